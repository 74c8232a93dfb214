"""Types of the engine: which of them write and reckon every value alike."""

from __future__ import annotations

from typing import Final

import duckdb

_WHOLE: Final = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), "BIGINT"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint"), "UBIGINT"),
}
_SHORT: Final = 18
"""Digits of the decimals that the engine keeps in 64 bits."""


def named_type(kind: str) -> str | None:
    """A type as the engine writes its name, such as `DECIMAL(9,2)`; None where it is none."""
    try:
        return str(duckdb.sqltype(kind))
    except duckdb.Error:
        return None


def usual(kind: str) -> str:
    """
    The type that stands for all that write and reckon alike: whole numbers of one sign, decimals of one scale.

    Their sizes would be seen: a sum overflows, and `to_json` writes 1.50 where there are 16 digits, and 1.5 where 15.
    """
    found = duckdb.sqltype(kind)
    if found.id == "decimal":
        sizes = {name: int(str(size)) for name, size in found.children}
        return f"DECIMAL({_SHORT if sizes['precision'] <= _SHORT else 38},{sizes['scale']})"
    return _WHOLE.get(found.id, kind)
