"""What an expression says that is not the same at each reading: a diff must find tomorrow what it finds today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.lexer import Token, tokens
from dualgauge.model import fold
from dualgauge.views.definition import changing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.engines.duck import Engine

_BARE: Final = frozenset(
    (
        "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user", "user",
        "session_user", "current_role", "current_catalog", "current_schema",
    )
)  # fmt: skip
"""Words that are functions without parentheses."""

_NAMES_FOLLOW: Final = (".", "as", "with")
"""What stands before a name that somebody gave."""


def volatile_functions(engine: Engine) -> frozenset[str]:
    """The functions whose answer is not one of their arguments' alone; error() gives none."""
    found = engine.rows("SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'")
    return frozenset({*changing(engine), *(str(name) for (name,) in found)} - {"error"})


def changing_parts(text: str, volatile: frozenset[str]) -> Iterator[str]:
    """
    What an expression says that may change, as it is written there.

    Args:
        text: an SQL expression. One that cannot be read has no such part: the engine says what is wrong with it.
        volatile: names of functions, in small letters.
    """
    try:
        found = tokens(text)
    except ValueError:
        return
    words = ["", *(fold(token.text.strip('"')) for token in found), ""]
    for at, token in enumerate(found):
        before, word, after = words[at : at + 3]
        quoted = token.text[:1] in "\"'"
        if after == "(" and word == "age":
            if before == "." or len(_arguments(found[at + 1 :])) == 1:
                yield "age() of one time"
        elif after == "(" and word in volatile:
            yield f"{word}()"
        elif word in _BARE and not quoted and before not in _NAMES_FOLLOW and (before, word) != ("from", "user"):
            yield word
        elif word == "tablesample" or (word == "sample" and before == "using"):
            yield "a sample"


def _arguments(found: Sequence[Token]) -> list[list[str]]:
    """The arguments of a call, whose first token is its parenthesis."""
    inside = found[0].depth + 1
    arguments: list[list[str]] = [[]]
    for token in found[1:]:
        if token.text == ")" and token.depth < inside:
            break
        if token.text == "," and token.depth == inside:
            arguments.append([])
        else:
            arguments[-1].append(token.text)
    return arguments
