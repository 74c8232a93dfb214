"""Types of the engine as trees: what becomes of values when a column of several files gets one type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_WHOLE: Final = (
    "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint",
)  # fmt: skip
_NUMBERS: Final = (*_WHOLE, "decimal", "float", "double")
_PARTS: Final = {"list": ("child",), "array": ("child",), "map": ("key", "value")}


def is_nested(kind: str) -> bool:
    """Whether values of a type have parts."""
    return duckdb.sqltype(kind).id in ("struct", *_PARTS)


def stays(kind: str, common: str) -> bool:
    """
    Whether values of a type are of the same kind in JSON, and of the same fields, as values of a wider type.

    A number that has no parts around it may still not be held by the wider type: that is for its value to say.
    """
    return _stays(duckdb.sqltype(kind), duckdb.sqltype(common), inside=False)


def _stays(one: DuckDBPyType, other: DuckDBPyType, *, inside: bool) -> bool:
    if one == other or (one.id in _WHOLE and other.id in _WHOLE):
        return True
    if one.id != other.id:
        written = other.id == "varchar" and one.id not in (*_NUMBERS, "boolean", "struct", *_PARTS)
        return not inside and (written or _in_json(one.id) == _in_json(other.id))
    parts, others = _parts(one), _parts(other)
    if one.id == "decimal":
        (width, scale), (widest, finest) = parts.values(), others.values()
        return not inside or (scale <= finest and width - scale <= widest - finest)
    if one.id == "struct":
        return all(name in others and _stays(part, others[name], inside=True) for name, part in parts.items())
    return all(_stays(parts[name], others[name], inside=True) for name in _PARTS.get(one.id, ()))


def _parts(kind: DuckDBPyType) -> dict[str, Any]:
    return dict(kind.children) if kind.id in ("struct", "decimal", *_PARTS) else {}


def _in_json(kind: str) -> str:
    if kind in _NUMBERS:
        return "number"
    return "day or instant" if kind == "date" or kind.startswith("timestamp") else kind
