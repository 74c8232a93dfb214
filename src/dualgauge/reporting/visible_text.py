"""
Text from data, made safe to look at.

A value may hold what no reader sees, or what reorders the line that it stands in: control characters, marks of
direction, blanks at an end. Two values that look alike and are not would make a report useless, so each such character
is named. Every value that reaches a page passes through here; escaping for HTML or Markdown is done by the page.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dualgauge.model import canonical_json

MOST: Final = 320
"""Characters of a value that a page shows; the JSON file has it whole."""

MOST_OF_A_SENTENCE: Final = 1_200
"""The same of a sentence, which is not data but may hold some."""

BEFORE: Final = 48
"""Characters that are kept before the first difference of two long values."""

_LEAST_CUT: Final = 40
_MOST_MARKS: Final = 4
_JOINER: Final = "\u200d"
_CONTROLS: Final = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
)  # fmt: skip
"""Their names, and not the signs that Unicode has for them: few fonts do."""
_DELETE: Final = 0x7F
_UNSEEN: Final = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}
_FILLERS: Final = set("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and symbols that are drawn as nothing."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A stretch of a value: plain text, or (`named`) the name of one character that cannot be seen."""

    text: str
    named: bool = False


def pieces(text: str) -> list[TextPiece]:
    """Part a text into what can be seen and the names of what cannot: `NUL`, `U+202E`, `·` for a blank at an end."""
    found: list[TextPiece] = []
    plain: list[str] = []
    first, last = len(text) - len(text.lstrip(" ")), len(text.rstrip(" "))
    marks = 0
    for at, (before, character) in enumerate(pairwise(("", *text))):
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        outside = at < first or at >= last
        name = "·" if outside and character == " " else _name(before, character, text[at + 1 : at + 2], marks)
        if name is None:
            plain.append(character)
            continue
        if plain:
            found.append(TextPiece("".join(plain)))
            plain.clear()
        found.append(TextPiece(name, named=True))
    return [*found, TextPiece("".join(plain))] if plain else found


def _name(before: str, character: str, after: str, marks: int) -> str | None:
    """The name of a character that cannot be seen, or None."""
    if character == " ":
        return None
    code = ord(character)
    if code < len(_CONTROLS):
        return _CONTROLS[code]
    if code == _DELETE:
        return "DEL"
    if character == _JOINER and _symbol(before) and _symbol(after):
        # Joins emoji into one: it is seen.
        return None
    unseen = unicodedata.category(character) in _UNSEEN or character in _FILLERS
    # Marks piled on one letter would be drawn over the lines around it.
    return f"U+{code:04X}" if unseen or marks > _MOST_MARKS else None


def _symbol(character: str) -> bool:
    return character == "\ufe0f" or (character != "" and unicodedata.category(character) in {"So", "Sk"})


def plain(text: str) -> str:
    """A text as one line of plain characters, with names in brackets: for charts and other places without marks."""
    return "".join(f"[{one.text}]" if one.named and len(one.text) > 1 else one.text for one in pieces(text))


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a value that is shown, and how many characters stand before and after it."""

    text: str
    before: int = 0
    after: int = 0


def window(text: str, other: str | None = None, most: int = MOST) -> Window:
    """Cut a long value; with another one to be told apart from, to where the two begin to differ."""
    if len(text) <= most + _LEAST_CUT:
        return Window(text)
    start = 0
    if other is not None and text != other:
        same = next(
            (at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(map(len, (text, other)))
        )
        start = max(0, min(same - BEFORE, len(text) - most)) if same > most - BEFORE else 0
    return Window(text[start : start + most], start, len(text) - start - most if start + most < len(text) else 0)


def text_of(value: object) -> str:
    """A value of a row as text, as JSON writes what is no text; None is for the caller to tell."""
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return canonical_json(value)
