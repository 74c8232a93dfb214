"""Which columns could be the key: those that are unique and never NULL on both sides, found by looking."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.common_types import INTEGERS, common_type, is_time
from dualgauge.comparison.engine.equality import hashable
from dualgauge.comparison.engine.kinds import kind_of
from dualgauge.model import fold, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualgauge.engines.duck import Engine

_LOOKED_AT: Final = 5_000
_MOST_COLUMNS: Final = 12
_SHOWN: Final = 3
_AT_ONCE: Final = 8

_ABLE: Final = frozenset((*INTEGERS, "BOOLEAN", "VARCHAR", "BLOB", "UUID", "TIME"))
"""What is proposed beside dates, times, DECIMAL and ENUM: types whose equality means the same to everybody."""


@dataclass(frozen=True, slots=True)
class _Able:
    """A column that may be part of a key: its name on both sides, and the type by which rows would be paired."""

    v1: str
    v2: str
    kind: str

    def value(self, side: int) -> str:
        """The value by which a row of a side would be paired; NULL where the type cannot hold it."""
        return f"TRY_CAST({quote((self.v1, self.v2)[side])} AS {self.kind})"


def proposed_keys(engine: Engine, v1: str, v2: str) -> tuple[list[tuple[str, ...]], list[str]]:
    """
    Columns, or else pairs of columns, that could be the key; and the columns that both sides have.

    Args:
        engine: where both queries run.
        v1: v1's rows.
        v2: v2's rows.
    """
    here, there = engine.columns(v1), engine.columns(v2)
    other = {fold(name): name for name in there}
    common = [
        name
        for name, kind in here.items()
        if fold(name) in other and common_type(kind, there[other[fold(name)]]) is not None
    ]
    able = [one for name in common if (one := _able(name, other[fold(name)], here, there)) is not None]
    for size in (1, 2):
        # A glance at some rows rules out nearly all: what repeats there is no key.
        left = list(combinations(able[:_MOST_COLUMNS] if size > 1 else able, size))
        for side, sql in enumerate((v1, v2)):
            left = _unique(engine, f"(FROM ({sql}) LIMIT {_LOOKED_AT})", side, left)
        found: list[tuple[_Able, ...]] = []
        while left and len(found) < _SHOWN:
            some, left = left[:_SHOWN], left[_SHOWN:]
            for side, sql in enumerate((v1, v2)):
                some = _unique(engine, f"({sql})", side, some)
            found += some
        if found:
            return [tuple(one.v1 for one in columns) for columns in found[:_SHOWN]], common
    return [], common


def _able(v1: str, v2: str, here: Mapping[str, str], there: Mapping[str, str]) -> _Able | None:
    """The column as part of a key, or None where it cannot be one, or cannot be typed on a command line."""
    kind = common_type(here[v1], there[v2])
    if kind is None or not v1.strip() or not v1.isprintable():
        return None
    name = kind.name
    able = name in _ABLE or name.startswith(("ENUM(", "DECIMAL("))
    return _Able(v1, v2, name) if not name.endswith("]") and (able or is_time(name)) else None


def _unique(engine: Engine, source: str, side: int, candidates: Iterable[tuple[_Able, ...]]) -> list[tuple[_Able, ...]]:
    """The candidates that name each row of a side once, and never with a NULL."""
    candidates = list(candidates)
    kept: list[tuple[_Able, ...]] = []
    for at in range(0, len(candidates), _AT_ONCE):
        asked = candidates[at : at + _AT_ONCE]
        # Hashes, eight bytes each, instead of whole values: this is a proposal, and the diff looks for itself.
        tests = []
        for columns in asked:
            values = [column.value(side) for column in columns]
            hashed = [
                hashable(value, kind_of(column.kind)) or value for value, column in zip(values, columns, strict=True)
            ]
            tests.append(
                f"count(DISTINCT hash({', '.join(hashed)})) = count(*) "
                f"AND count(*) = count(*) FILTER ({' AND '.join(f'{value} IS NOT NULL' for value in values)})"
            )
        row = engine.row(f"SELECT {', '.join(tests)} FROM {source}")
        kept += [one for one, unique in zip(asked, row, strict=True) if unique]
    return kept
