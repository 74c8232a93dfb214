"""The engine's aggregates and macros by name. A macro is written in SQL, and answers as what it calls."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dualgauge.model import fold

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

_TEXTS: Final = re.compile(r"'(?:[^']|'')*'")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_AGGREGATES: set[str] = set()
_MACROS: dict[str, frozenset[str]] = {}
"""The words of each macro's text, by its folded name. Asked for once, for both are those of the library."""


def aggregates_of(engine: Engine) -> frozenset[str]:
    """The folded names of the engine's aggregates."""
    _ask(engine)
    return frozenset(_AGGREGATES)


def macros_with(engine: Engine, words: frozenset[str]) -> frozenset[str]:
    """The macros, by their folded names, in whose text one of some words stands, or in that of a macro they call."""
    _ask(engine)
    return _closed(words)


def _ask(engine: Engine) -> None:
    if _AGGREGATES:
        return
    rows = engine.rows(
        "SELECT function_name, function_type, string_agg(macro_definition, ' ') FROM duckdb_functions() "
        "WHERE function_type IN ('aggregate', 'macro') GROUP BY ALL"
    )
    _MACROS.update(
        (fold(name), frozenset(map(fold, _WORD.findall(_TEXTS.sub("''", text)))))
        for name, kind, text in rows
        if kind == "macro"
    )
    _AGGREGATES.update(fold(name) for name, kind, _ in rows if kind == "aggregate")


@lru_cache
def _closed(words: frozenset[str]) -> frozenset[str]:
    found = frozenset(name for name, own in _MACROS.items() if own & words)
    return found if found <= words else found | _closed(words | found)
