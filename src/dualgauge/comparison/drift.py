"""
Drifts: how each column stands on the two sides, side by side, whatever row belongs to which.

A diff pairs rows; a drift needs no key: a share of NULLs that grew, a largest value a hundred times as large, a
hundred and twenty countries that became three. One pass a side computes it. Drifts are shown and never judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.leaving import values_of
from dualgauge.comparison.relations import bring, scratch
from dualgauge.comparison.schema import is_numeric, is_time, read_layout
from dualgauge.comparison.values import Drift, Profile, SchemaVerdict, safe
from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.comparison.comparator import Comparator
    from dualgauge.comparison.schema import Layout
    from dualgauge.engines.duck import Engine

EXACT_ROWS: Final = 200_000
"""Up to so many rows distinct values are counted; above, they are estimated by a sketch, in a tenth of the time."""

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

_TEXTS: Final = frozenset(("VARCHAR", "JSON"))
_BY_TEXT: Final = ("UUID", "TIME", "TIME WITH TIME ZONE", "INTERVAL", "BIGNUM")
"""Types that are ordered, and leave as text: not each of their values is one of Python's."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A column to be looked at: its name in the relation and its DuckDB type."""

    name: str
    kind: str

    @property
    def ordered(self) -> bool:
        """Whether its values have a least and a most that mean something, and are worth counting."""
        kind = self.kind
        simple = kind == "BOOLEAN" or kind in _TEXTS or kind in _BY_TEXT or kind.startswith("ENUM(")
        return not kind.endswith("]") and (simple or is_numeric(kind) or is_time(kind))

    def leaving(self, aggregate: str) -> tuple[str, str]:
        """The expression of its least or most, and the type of that."""
        value = f"{aggregate}({quote(self.name)})"
        if self.kind in _TEXTS:
            # By value, not by what is kept of it; and JSON is compared as the text that it is.
            return f"left({aggregate}(CAST({quote(self.name)} AS VARCHAR)), {TEXT:d})", "VARCHAR"
        if self.kind in _BY_TEXT or self.kind.startswith("ENUM("):
            return f"CAST({value} AS VARCHAR)", "VARCHAR"
        return value, self.kind


def between(engine: Engine, v1_sql: str, v2_sql: str, comparator: Comparator, *, stable: bool) -> tuple[Drift, ...]:
    """
    The drifts of two queries, by themselves; see `compare_relations` for the arguments.

    Raises:
        BadRelation, MissingKey, UnknownColumn, NotNumeric: as there.
    """
    with scratch(engine) as space:
        layout = read_layout(engine, v1_sql, v2_sql, comparator)
        v1 = bring(space, layout, "v1", v1_sql, stable=stable)
        v2 = bring(space, layout, "v2", v2_sql, stable=stable)
        return drifts(engine, layout, v1, v2)


def drifts(engine: Engine, layout: Layout, v1: str, v2: str) -> tuple[Drift, ...]:
    """
    The profile of each column on both sides, keys first, then in the order of the schema.

    Args:
        engine: where the relations are.
        layout: which columns there are; context columns are left out.
        v1: v1's relation, with the columns' common types, as `relations.bring` names it.
        v2: v2's.
    """
    keys = [column.name.casefold() for column in layout.keys]
    schema = sorted(layout.schema, key=lambda one: (one.name.casefold() not in keys, _place(one.name, keys)))
    pairs = {column.name.casefold(): column for column in (*layout.keys, *layout.compared)}
    there = {column.casefold(): column for column in layout.rest_v2}
    wanted: tuple[list[_Wanted], list[_Wanted]] = ([], [])
    for one in schema:
        pair = pairs.get(one.name.casefold())
        if pair is not None:
            for side in wanted:
                side.append(_Wanted(pair.name, pair.common.name))
            continue
        if one.v1_type is not None:
            wanted[0].append(_Wanted(one.name, one.v1_type))
        if one.v2_type is not None:
            wanted[1].append(_Wanted(there.get(one.name.casefold(), one.name), one.v2_type))
    found = [_profiles(engine, relation, side) for relation, side in zip((v1, v2), wanted, strict=True)]
    made = []
    for place, one in enumerate(schema):
        a, b = (side.get(one.name.casefold()) for side in found)
        said: list[str] = []
        if a is not None and b is not None:
            alike = one.verdict is not SchemaVerdict.INCOMPARABLE
            said = list(notes(a, b, rows=place == 0, values=alike))
        made.append(Drift(one.name, a, b, tuple(said)))
    return tuple(made)


def _place(name: str, keys: Sequence[str]) -> int:
    return keys.index(name.casefold()) if name.casefold() in keys else 0


def _profiles(engine: Engine, relation: str, columns: Sequence[_Wanted]) -> dict[str, Profile]:
    """One pass over a side: the profile of each column, by its name in small letters."""
    if not columns:
        return {}
    rows = int(engine.row(f"SELECT count(*) FROM {relation}")[0])
    count = "count(DISTINCT {})" if rows <= EXACT_ROWS else "approx_count_distinct({})"
    parts: list[tuple[str, str]] = []
    for column in columns:
        name = quote(column.name)
        parts.append((f"count({name})", "BIGINT"))
        if column.ordered:
            parts += [(count.format(name), "BIGINT"), column.leaving("min"), column.leaving("max")]
    selected = ", ".join(f"{expression} AS p{at}" for at, (expression, _) in enumerate(parts))
    row = values_of(
        engine, [(f"p{at}", kind) for at, (_, kind) in enumerate(parts)], f"FROM (SELECT {selected} FROM {relation})"
    )[0]
    values = iter([row[f"p{at}"] for at in range(len(parts))])
    found: dict[str, Profile] = {}
    for column in columns:
        nulls = rows - int(str(next(values)))
        distinct, least, most = None, None, None
        if column.ordered:
            # An estimate may say more than there are values.
            distinct = min(int(str(next(values))), rows - nulls)
            least, most = next(values), next(values)
        found[column.name.casefold()] = Profile(rows, nulls, distinct, least, most)
    return found


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
    text = repr(value) if isinstance(value, str) else str(safe(value))
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004  (what fits beside a second one)
