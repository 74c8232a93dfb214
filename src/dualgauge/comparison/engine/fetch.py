"""How values leave DuckDB: by Arrow, as the Python values that a user would write."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from dualgauge.comparison.engine.common_types import INTEGERS, is_time
from dualgauge.comparison.engine.kinds import Kind, kind_of, listed_kind, map_kind, struct_kind, tuple_kind
from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine

_T = TypeVar("_T")

_AS_TEXT = frozenset(
    (
        "UHUGEINT", "BIGNUM", "HUGEINT", "BIT", "INTERVAL", "TIME", "TIME WITH TIME ZONE", "TIME_NS", "TIMESTAMP_NS",
        "TIMESTAMPTZ_NS", "GEOMETRY", "VARIANT", "TYPE",
    )
)  # fmt: skip
"""Types without a Python value of their own, or that Arrow would hand out as another one (24:00 as 0:00)."""

_TEXT = kind_of("VARCHAR")

GROUP: Final = 1_000
"""So many columns are asked for at a time. Seen: a vector of 2,048 values is held for each column by each step of a
query, however few the rows are, and some aggregates take time and memory by the square of their number."""

Columns: TypeAlias = "Sequence[tuple[str, str]]"
"""Names and DuckDB types."""


def count_where(condition: str) -> str:
    """How many rows meet a condition; thousands of `FILTER`s take time by the square of their number."""
    return f"count(CASE WHEN {condition} THEN 1 END)"


def groups_of(items: Sequence[_T], size: int = GROUP) -> list[Sequence[_T]]:
    """The items in groups, in their order."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def values_of(engine: Engine, columns: Columns, tail: str) -> list[dict[str, object]]:
    """
    Rows as dicts of Python values, in the query's order.

    Args:
        engine: where the relation is.
        columns: the wanted columns.
        tail: the query from FROM on, ordered.
    """
    return joined_values(engine, [(columns, tail)])


def joined_values(engine: Engine, queries: Sequence[tuple[Columns, str]]) -> list[dict[str, object]]:
    """Several queries that give the same rows in the same order, each some of their columns; see `values_of`."""
    try:
        found = [_read(engine, columns, tail, times_as_text=False) for columns, tail in queries]
    except (OverflowError, ValueError):
        # Infinity and years past 9999 are times to DuckDB and not to Python: all times of the sample leave as text.
        found = [_read(engine, columns, tail, times_as_text=True) for columns, tail in queries]
    rows = [dict(chain.from_iterable(row.items() for row in parts)) for parts in zip(*found, strict=True)]
    whole = [name for columns, _ in queries for name, kind in columns if kind in INTEGERS]
    for row in rows:
        for name in whole:
            if isinstance(row[name], str):
                row[name] = int(str(row[name]))
    return rows


def _read(engine: Engine, columns: Columns, tail: str, *, times_as_text: bool) -> list[dict[str, object]]:
    chosen = []
    for at, (name, text) in enumerate(columns):
        kind = kind_of(text)
        leaving = _leaving(kind, times_as_text=times_as_text)
        # A name of its own: ORDER BY would take the text for the column, and 10 comes before 9 there.
        value = quote(name) if leaving == kind else f"CAST({quote(name)} AS {leaving.name})"
        chosen.append(f"{value} AS __{at}")
    table = engine.arrow(f"SELECT {', '.join(chosen)} {tail}")
    rows: list[dict[str, object]] = table.rename_columns([name for name, _ in columns]).to_pylist()
    return rows


def _leaving(kind: Kind, *, times_as_text: bool) -> Kind:  # noqa: PLR0911  (one row a type reads best)
    """The type as which a value leaves: itself, or with a text in the place of what Python has no value for."""
    if kind.family in _AS_TEXT or (times_as_text and is_time(kind.family)):
        return _TEXT
    if kind.family == "UNION":
        # Its text does not say which member it is.
        return kind_of("JSON")
    parts = tuple(_leaving(part, times_as_text=times_as_text) for part in kind.parts)
    if parts == kind.parts:
        return kind
    match kind.family:
        case "STRUCT":
            return struct_kind(kind.fields, parts)
        case "TUPLE":
            return tuple_kind(parts)
        case "MAP":
            return map_kind(parts[0], parts[1])
        case _:
            return listed_kind(parts[0])
