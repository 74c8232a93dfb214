"""Which columns could be the key: those that are unique and never NULL on both sides, found by looking."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.schema import FLOATS, common_type
from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine

_LOOKED_AT: Final = 5_000
_MOST_COLUMNS: Final = 12
_SHOWN: Final = 3


def proposed_keys(engine: Engine, v1: str, v2: str) -> tuple[list[tuple[str, ...]], list[str]]:
    """
    Columns, or else pairs of columns, that could be the key; and the columns that both sides have.

    Args:
        engine: where both queries run.
        v1: v1's rows.
        v2: v2's rows.
    """
    here, there = engine.columns(v1), engine.columns(v2)
    other = {name.casefold(): kind for name, kind in there.items()}
    common = [
        name
        for name, kind in here.items()
        if name.casefold() in other and common_type(kind, other[name.casefold()]) is not None
    ]
    able = [name for name in common if here[name].startswith("DECIMAL(") or here[name][-1] not in "])"]
    able = [name for name in able if here[name] not in FLOATS]
    for size in (1, 2):
        # A glance at some rows rules out nearly all: what repeats there is no key.
        left = list(combinations(able[:_MOST_COLUMNS] if size > 1 else able, size))
        for sql in (f"(FROM ({v1}) LIMIT {_LOOKED_AT})", f"(FROM ({v2}) LIMIT {_LOOKED_AT})"):
            left = _unique(engine, sql, left)
        for sql in (f"({v1})", f"({v2})"):
            left = _unique(engine, sql, left[:_SHOWN])
        if left:
            return left, common
    return [], common


def _unique(engine: Engine, source: str, candidates: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The candidates that name each row of a relation once, and never with a NULL."""
    if not candidates:
        return []
    # Hashes, eight bytes each, instead of whole values: this is a proposal, and the diff looks for itself.
    tests = [
        f"count(DISTINCT hash({', '.join(quote(name) for name in one)})) = count(*) "
        f"AND count(*) = count(*) FILTER ({' AND '.join(f'{quote(name)} IS NOT NULL' for name in one)})"
        for one in candidates
    ]
    row = engine.row(f"SELECT {', '.join(tests)} FROM {source}")
    return [one for one, unique in zip(candidates, row, strict=True) if unique]
