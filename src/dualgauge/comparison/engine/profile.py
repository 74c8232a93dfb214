"""
Drifts: how each column stands on the two sides, side by side, whatever row belongs to which.

A diff pairs rows; a drift needs no key: a share of NULLs that grew, a largest value a hundred times as large, a
hundred and twenty countries that became three. What a diff has found already is not computed again. Drifts are shown
and never judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.common_types import is_numeric, is_time
from dualgauge.comparison.engine.fetch import groups_of, joined_values
from dualgauge.comparison.engine.relations import bring, scratch
from dualgauge.comparison.engine.schema import read_layout
from dualgauge.comparison.values import Drift, Profile, SchemaVerdict
from dualgauge.model import as_json, fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.comparison.engine.counts import Counts
    from dualgauge.comparison.engine.fetch import Columns
    from dualgauge.comparison.engine.keys import Paired
    from dualgauge.comparison.engine.schema import Layout
    from dualgauge.engines.duck import Engine

EXACT_ROWS: Final = 200_000
"""Up to so many rows distinct values are counted; above, they are estimated by a sketch, in a tenth of the time."""

COLUMNS: Final = 40
"""So many columns are profiled in one query: time and memory of distinct counts grow by the square of their number."""

TEXT: Final = 200
"""Characters of the smallest and the largest text that are kept."""

NULL_POINTS: Final = 1
"""Shares of NULL that differ by less than so many percentage points are no drift, unless one side has no NULL."""

EXTREME: Final = 0.1
"""Least and most of numbers that differ by less than this part of the larger range are no drift."""

DISTINCT: Final = 0.2
"""Numbers of distinct values that differ by less than this part of the larger one are no drift."""

ROWS: Final = 0.05
"""Numbers of rows that differ by less than this part of the larger one are no drift."""

NEAR: Final = 0.05
"""Where so few cells of a column differ, of its distinct values, one estimate of these serves both sides."""

_TEXTS: Final = frozenset(("VARCHAR", "JSON"))
_BY_TEXT: Final = ("UUID", "TIME", "TIME WITH TIME ZONE", "INTERVAL", "BIGNUM")
"""Types that are ordered, and leave as text: not each of their values is one of Python's."""

_READ: Final = ("BOOLEAN", "FLOAT", "DOUBLE")
"""Types whose least and most are read: statistics of a Parquet file leave NaN out, and DuckDB asks none of BOOLEAN."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A column to be looked at: what the user calls it, its name in the relation and its DuckDB type."""

    name: str
    place: str
    kind: str

    @property
    def ordered(self) -> bool:
        """Whether its values have a least and a most that mean something, and are worth counting."""
        kind = self.kind
        simple = kind == "BOOLEAN" or kind in _TEXTS or kind in _BY_TEXT or kind.startswith("ENUM(")
        return not kind.endswith("]") and (simple or is_numeric(kind) or is_time(kind))

    def leaving(self, aggregate: str) -> tuple[str, str]:
        """The expression of its least or most, and the type of that."""
        value = f"{aggregate}({self.place})"
        if self.kind in _TEXTS:
            # By value, not by what is kept of it; and JSON is compared as the text that it is.
            return f"left({aggregate}(CAST({self.place} AS VARCHAR)), {TEXT:d})", "VARCHAR"
        if self.kind in _BY_TEXT or self.kind.startswith("ENUM("):
            return f"CAST({value} AS VARCHAR)", "VARCHAR"
        return value, self.kind


def between(
    engine: Engine, v1_sql: str, v2_sql: str, comparator: Comparator, *, stable: bool, context: bool = False
) -> tuple[Drift, ...]:
    """
    The drifts of two queries, by themselves; see `compare_relations` for the arguments.

    Raises:
        BadRelation, MissingKey, NoColumnToCompare, NotNumeric: as there.
    """
    with scratch(engine) as space:
        layout = read_layout(engine, v1_sql, v2_sql, comparator, context=context)
        v1 = bring(space, layout, "v1", v1_sql, stable=stable)
        v2 = bring(space, layout, "v2", v2_sql, stable=stable)
        return drifts(engine, layout, v1, v2)


def drifts(
    engine: Engine, layout: Layout, v1: str, v2: str, *, paired: Paired | None = None, counts: Counts | None = None
) -> tuple[Drift, ...]:
    """
    The profile of each column on both sides, keys first, then in the order of the schema.

    Args:
        engine: where the relations are.
        layout: which columns there are; context columns are left out.
        v1: v1's relation, with the columns' common types, as `relations.bring` names it.
        v2: v2's.
        paired: what is known of the keys, after a diff.
        counts: what is known of the cells, after a diff.
    """
    keys = [fold(column.name) for column in layout.keys]
    schema = sorted(layout.schema, key=lambda one: (fold(one.name) not in keys, _place(one.name, keys)))
    pairs = {
        fold(column.name): _Wanted(column.name, place, column.common.name)
        for column, place in zip(
            (*layout.keys, *layout.compared),
            (*map(layout.shown, range(len(layout.keys))), *map(layout.value, range(len(layout.compared)))),
            strict=True,
        )
    }
    rest = [
        {fold(name): layout.rest(at) for at, name in enumerate(names)} for names in (layout.rest_v1, layout.rest_v2)
    ]
    # What a struct of one side lacks is a finding, and no column to look at.
    schema = [one for one in schema if fold(one.name) in pairs or any(fold(one.name) in names for names in rest)]
    wanted: tuple[list[_Wanted], list[_Wanted]] = ([], [])
    for one in schema:
        pair = pairs.get(fold(one.name))
        if pair is not None:
            for side in wanted:
                side.append(pair)
            continue
        for side, names, kind in zip(wanted, rest, (one.v1_type, one.v2_type), strict=True):
            if kind is not None:
                side.append(_Wanted(one.name, names[fold(one.name)], kind))
    apart = _apart_by_column(keys, paired, counts) if paired and counts else {}
    distinct: tuple[dict[str, int], dict[str, int]] = ({}, {})
    if paired and len(keys) == 1 and not paired.problems:
        distinct = ({keys[0]: paired.rows_v1}, {keys[0]: paired.rows_v2})
    rows = (paired.rows_v1, paired.rows_v2) if paired else (None, None)
    a = _profiles(engine, v1, wanted[0], distinct[0], rows[0])
    same = {name: a[name] for name, cells in apart.items() if not cells}
    distinct[1].update(_near(a, apart))
    b = same | _profiles(engine, v2, [one for one in wanted[1] if fold(one.name) not in same], distinct[1], rows[1])
    made = []
    for place, one in enumerate(schema):
        left, right = a.get(fold(one.name)), b.get(fold(one.name))
        said: list[str] = []
        if left is not None and right is not None:
            alike = one.verdict is not SchemaVerdict.INCOMPARABLE
            said = list(notes(left, right, rows=place == 0, values=alike))
        made.append(Drift(one.name, left, right, tuple(said)))
    return tuple(made)


def _apart_by_column(keys: Sequence[str], paired: Paired, counts: Counts) -> dict[str, int]:
    """By column that was compared, at most how many cells of either side the other side lacks."""
    alone = paired.rows_v1 + paired.rows_v2 - 2 * counts.compared
    cells = {fold(one.name): alone + one.compared - one.equal for one in counts.columns}
    return dict.fromkeys(keys, alone) | cells


def _near(v1: Mapping[str, Profile], apart: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The estimates of v1 that are v2's too: fewer cells differ than an estimate is off."""
    for name, cells in apart.items():
        one = v1[name]
        if cells and one.rows > EXACT_ROWS and one.distinct is not None and cells <= NEAR * one.distinct:
            yield name, one.distinct


def _place(name: str, keys: Sequence[str]) -> int:
    return keys.index(fold(name)) if fold(name) in keys else 0


def _profiles(
    engine: Engine, relation: str, columns: Sequence[_Wanted], distinct: Mapping[str, int], rows: int | None
) -> dict[str, Profile]:
    """
    The profile of each column of a side, by its name in small letters.

    `distinct` has those that are known, and `rows` is how many rows there are, None where nobody counted.
    """
    if not columns:
        return {}
    if rows is None:
        rows = int(engine.row(f"SELECT count(*) FROM {relation}")[0])
    count = "count(DISTINCT {})" if rows <= EXACT_ROWS else "approx_count_distinct({})"
    queries = [_query(relation, group, distinct, count) for group in groups_of(list(enumerate(columns)), COLUMNS)]
    row = joined_values(engine, queries)[0]
    found: dict[str, Profile] = {}
    for at, column in enumerate(columns):
        name = fold(column.name)
        values = int(str(row[f"n{at}"]))
        # An estimate may say more than there are values.
        several = min(int(str(row.get(f"d{at}", distinct.get(name)))), values) if column.ordered else None
        found[name] = Profile(rows, rows - values, several, row.get(f"min{at}"), row.get(f"max{at}"))
    return found


def _query(
    relation: str, columns: Sequence[tuple[int, _Wanted]], distinct: Mapping[str, int], count: str
) -> tuple[Columns, str]:
    """What is asked of some columns of a side, each with its place, and the query from FROM on."""
    counted: dict[str, tuple[str, str]] = {}
    extremes: dict[str, tuple[str, str]] = {}
    for at, column in columns:
        name = column.place
        counted[f"n{at}"] = (f"count({name})", "BIGINT")
        if column.ordered:
            if fold(column.name) not in distinct:
                counted[f"d{at}"] = (count.format(name), "BIGINT")
            group = counted if column.kind in _READ else extremes
            group |= {f"{aggregate}{at}": column.leaving(aggregate) for aggregate in ("min", "max")}
    # The extremes by themselves: the statistics of a Parquet file answer them all, and no row is read.
    parts = [
        f"(SELECT {', '.join(f'{expression} AS {at}' for at, (expression, _) in group.items())} FROM {relation})"
        for group in (counted, extremes)
        if group
    ]
    leaving = [(at, kind) for at, (_, kind) in (counted | extremes).items()]
    return leaving, f"FROM {', '.join(parts)}"


def notes(v1: Profile, v2: Profile, *, rows: bool, values: bool = True) -> Iterator[str]:
    """
    What drifted, in phrases.

    Args:
        v1: the column in v1.
        v2: the column in v2.
        rows: whether to speak of the sides' rows, which are the same for each column.
        values: whether least and most can be held against each other: the sides have one type.
    """
    if rows and _apart(v1.rows, v2.rows, ROWS):
        yield f"rows {v1.rows:,} in v1, {v2.rows:,} in v2"
    if not v1.rows or not v2.rows:
        return
    # In whole numbers: 0.11 - 0.10 is less than 0.01.
    apart = abs(v1.nulls * v2.rows - v2.nulls * v1.rows)
    if apart * 100 >= NULL_POINTS * v1.rows * v2.rows or (v1.nulls == 0) != (v2.nulls == 0):
        yield f"null share {_percent(v1)} in v1, {_percent(v2)} in v2"
    if not values or v1.nulls == v1.rows or v2.nulls == v2.rows:
        return
    if v1.distinct is not None and v2.distinct is not None and _apart(v1.distinct, v2.distinct, DISTINCT):
        yield f"distinct {v1.distinct:,} in v1, {v2.distinct:,} in v2"
    for name, a, b in (("least", v1.least, v2.least), ("most", v1.most, v2.most)):
        if a is not None and b is not None and _moved(a, b, v1, v2):
            yield f"{name} {_shown(a)} in v1, {_shown(b)} in v2"


def _apart(a: int, b: int, part: float) -> bool:
    return abs(a - b) > part * max(a, b)


def _moved(a: object, b: object, v1: Profile, v2: Profile) -> bool:
    if a == b or (a != a and b != b):  # noqa: PLR0124  (only NaN is unequal to itself)
        return False
    ranges = [_range(v1), _range(v2)]
    if not isinstance(a, int | float | Decimal) or not isinstance(b, int | float | Decimal) or None in ranges:
        return True
    return abs(float(a) - float(b)) > EXTREME * max(one for one in ranges if one is not None)


def _range(profile: Profile) -> float | None:
    """How far least and most are apart; None where they have no distance: a text, NaN, infinity, beyond a double."""
    ends = (profile.least, profile.most)
    if not all(isinstance(one, int | float | Decimal) and not isinstance(one, bool) for one in ends):
        return None
    least, most = (float(str(one)) for one in ends)
    apart = most - least
    return apart if math.isfinite(apart) else None


def _percent(profile: Profile) -> str:
    share = 100 * profile.nulls / profile.rows
    if 0 < share < 0.01:  # noqa: PLR2004  (what two decimals would show as 0)
        return "under 0.01 %"
    if 99.99 < share < 100:  # noqa: PLR2004
        return "over 99.99 %"
    return f"{share:.2f}".rstrip("0").rstrip(".") + " %"


def _shown(value: object) -> str:
    """A value in a phrase; a long text is cut."""
    if isinstance(value, date | datetime):
        return value.isoformat(*(" ",) if isinstance(value, datetime) else ())
    text = repr(value) if isinstance(value, str) else str(as_json(value))
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004  (what fits beside a second one)
