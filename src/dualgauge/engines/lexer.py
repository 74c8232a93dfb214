"""
Tokens of SQL, by rules of our own.

The definition hash is taken from them, and a hash must not change because a library was upgraded: so this small
lexer stands on its own, and what it gives for a text never changes within scheme 1. Comments and blanks
vanish, keywords are folded to lower case, every other text stays as it is (names too: an alias names a column).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

KEYWORDS = frozenset(
    """
    all and any array as asc asof at between bool_and by case cast collate cross current date day desc distinct else
    end escape except exclude exists extract false filter first following for from full group grouping having hour
    ilike in inner intersect interval is isnull join last lateral left like limit microsecond millisecond minute
    month natural not notnull null nulls offset on or order outer over partition positional preceding qualify range
    recursive replace right row rows second select semi sets similar some struct then time timestamp timestamptz to
    true try_cast unbounded union unnest using values week when where window with within year zone anti
    """.split()  # noqa: SIM905  (a hundred and more words read best as text)
)
"""Words that mean the same in any case."""

# What DuckDB takes for a blank; every other character beyond ASCII is a letter of a name to it.
_BLANKS = "\\xa0\\u2000-\\u200b\\u202f\\u205f\\u2060\\u3000\\ufeff"
_LETTER = r"A-Za-z_\x80-\x9f\xa1-\u1fff\u200c-\u202e\u2030-\u205e\u2061-\u2fff\u3001-\ufefe\uff00-\U0010ffff"

_TOKEN = re.compile(
    rf"""
      (?P<blank>[ \t\n\v\f\r{_BLANKS}]+)
    | (?P<line>--[^\n\r]*)
    | (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<dollar>\$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*)?)\$.*?\$(?P=tag)\$)
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<number>(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[{_LETTER}][{_LETTER}0-9$]*)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_WORD = re.compile(r'"(?:[^"]|"")*"|\w+')

_UNRESERVED = frozenset(
    """
    current day escape exclude filter first following hour last microsecond millisecond minute month nulls over
    partition preceding range recursive replace rows second sets unbounded week within year zone
    """.split()  # noqa: SIM905  (as above)
)
"""Keywords that may name a column: there their case counts, for a row that becomes JSON shows it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece that counts: its text, a keyword folded, where it starts, how deep in parentheses it stands."""

    text: str
    start: int
    depth: int


def tokens(text: str) -> list[Token]:
    """
    The tokens of an SQL text, without comments and blanks.

    Raises:
        ValueError: a quote or a comment is not closed; the sentence names its line.
    """
    found: list[Token] = []
    at, depth = 0, 0
    while at < len(text):
        if text.startswith("/*", at):
            at = _after_comment(text, at)
            continue
        match = _TOKEN.match(text, at)
        assert match is not None  # noqa: S101  (the last alternative takes anything)
        kind, body = match.lastgroup, match[0]
        if kind == "sign" and body in "'\"":
            message = f"line {_line(text, at)}: a quote ({body}) is not closed"
            raise ValueError(message)
        if kind not in ("blank", "line"):
            if body in ")]}":
                depth -= 1
            found.append(Token(body, at, depth))
            if body in "([{":
                depth += 1
        at = match.end()
    return [replace(one, text=one.text.lower()) if _folds(found, place) else one for place, one in enumerate(found)]


def _folds(found: list[Token], place: int) -> bool:
    """Whether a token is a keyword, and names nothing: no alias, and no field (`{year: 1}`, `year := 1`)."""
    word = found[place].text.lower()
    if word not in KEYWORDS or not found[place].text.isascii():
        return False
    after = [one.text for one in found[place + 1 : place + 3]]
    field = after[:1] == [":"] and after[1:] != [":"]
    alias = word in _UNRESERVED and place > 0 and found[place - 1].text.lower() == "as"
    return not field and not alias


def pieces(text: str) -> list[str]:
    """The tokens of an SQL text but for those that are texts; of one that breaks off, what stands there."""
    try:
        return [one.text for one in tokens(text) if not one.text.lower().startswith(("'", "e'", "$"))]
    except ValueError:
        return _WORD.findall(text)


def unquoted(name: str) -> str:
    """A name without the quotes around it; a word as it is."""
    return name[1:-1].replace('""', '"') if name[:1] == '"' else name


def bare(text: str) -> str:
    """
    The statement of a text, without the semicolons that may end it and the comments behind them.

    Raises:
        ValueError: as `tokens`.
    """
    for token in reversed(tokens(text)):
        if token.text != ";":
            break
        text = text[: token.start]
    return text.rstrip()


def plain(text: str) -> str:
    """
    The statement of a text with one blank for each comment or gap, for a parser that stumbles over comments.

    Raises:
        ValueError: as `tokens`.
    """
    written, end = "", 0
    for token in tokens(bare(text)):
        gap = " " if written and token.start > end else ""
        end = token.start + len(token.text)
        written += gap + text[token.start : end]
    return written


def split(text: str) -> list[str]:
    """A list of expressions, split at the commas that stand outside parentheses and quotes."""
    found = tokens(text)
    commas = [token.start for token in found if token.text == "," and token.depth == 0]
    starts = [0, *(at + 1 for at in commas)]
    ends = [*commas, len(text)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _after_comment(text: str, at: int) -> int:
    """Skip a block comment; they nest."""
    depth, place = 0, at
    while place < len(text):
        if text.startswith("/*", place):
            depth, place = depth + 1, place + 2
        elif text.startswith("*/", place):
            depth, place = depth - 1, place + 2
            if not depth:
                return place
        else:
            place += 1
    message = f"line {_line(text, at)}: a comment (/*) is not closed"
    raise ValueError(message)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
