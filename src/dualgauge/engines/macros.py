"""The engine's macros: functions that are written in SQL, and answer as what they call."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dualgauge.model import fold

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

_TEXTS: Final = re.compile(r"'(?:[^']|'')*'")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_MACROS: dict[str, frozenset[str]] = {}
"""The words of each macro's text, by its folded name: asked for once, for they are those of the library."""


def macros_with(engine: Engine, words: frozenset[str]) -> frozenset[str]:
    """The macros, by their folded names, in whose text one of some words stands, or in that of a macro they call."""
    if not _MACROS:
        rows = engine.rows(
            "SELECT function_name, string_agg(macro_definition, ' ') FROM duckdb_functions() "
            "WHERE function_type = 'macro' GROUP BY ALL"
        )
        _MACROS.update(
            (fold(name), frozenset(map(fold, _WORD.findall(_TEXTS.sub("''", str(text)))))) for name, text in rows
        )
    return _closed(words)


@lru_cache
def _closed(words: frozenset[str]) -> frozenset[str]:
    found = frozenset(name for name, own in _MACROS.items() if own & words)
    return found if found <= words else found | _closed(words | found)
