"""How values leave DuckDB: by Arrow, as the Python values that a user would write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.comparison.engine.schema import INTEGERS, is_time
from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine

_AS_TEXT = frozenset(("UHUGEINT", "BIGNUM", "HUGEINT", "BIT", "INTERVAL", "TIME WITH TIME ZONE", "TIMESTAMP_NS"))
"""Types without a Python value of their own, or that Arrow would hand out as another one."""


def values_of(engine: Engine, columns: Sequence[tuple[str, str]], tail: str) -> list[dict[str, object]]:
    """
    Rows as dicts of Python values, in the query's order.

    Args:
        engine: where the relation is.
        columns: names and DuckDB types of the wanted columns.
        tail: the query from FROM on, ordered.
    """
    try:
        rows = _read(engine, columns, tail, times_as_text=False)
    except (OverflowError, ValueError):
        # Infinity and years past 9999 are times to DuckDB and not to Python: all times of the sample leave as text.
        rows = _read(engine, columns, tail, times_as_text=True)
    whole = [name for name, kind in columns if kind in INTEGERS]
    for row in rows:
        for name in whole:
            if isinstance(row[name], str):
                row[name] = int(str(row[name]))
    return rows


def _read(
    engine: Engine, columns: Sequence[tuple[str, str]], tail: str, *, times_as_text: bool
) -> list[dict[str, object]]:
    chosen = []
    for at, (name, kind) in enumerate(columns):
        text = kind in _AS_TEXT or (times_as_text and is_time(kind))
        # A name of its own: ORDER BY would take the text for the column, and 10 comes before 9 there.
        chosen.append(f"CAST({quote(name)} AS VARCHAR) AS __{at}" if text else f"{quote(name)} AS __{at}")
    table = engine.arrow(f"SELECT {', '.join(chosen)} {tail}")
    rows: list[dict[str, object]] = table.rename_columns([name for name, _ in columns]).to_pylist()
    return rows
