"""Counting what was judged: rows by outcome, cells by column, rows by expected difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.comparison.engine.fetch import count_where
from dualgauge.comparison.errors import RowsLost
from dualgauge.comparison.values import UNEXPECTED_SAME, ColumnCount, DifferenceKind, ExpectedCount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.comparison.engine.expectations import Expectation
    from dualgauge.comparison.engine.keys import Paired
    from dualgauge.comparison.engine.schema import Layout
    from dualgauge.engines.duck import Engine


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows: `compared` = `matched` + `changed` + the expected ones among the pairs."""

    compared: int
    matched: int
    expected: int
    only_in_v1: int
    only_in_v2: int
    changed: int
    unexpected_same: int
    columns: tuple[ColumnCount, ...]
    expected_by: tuple[ExpectedCount, ...]


def count(
    engine: Engine,
    layout: Layout,
    expected: Sequence[Expectation],
    paired: Paired,
    judged: str,
    *,
    within: Mapping[str, int],
) -> Counts:
    """
    Count the judged rows. Every row that is on one side only was judged, so the others of that side are pairs.

    `within` gives, by column, the cells over all pairs that are unequal and pass by their rule.
    """
    rows = {
        (kind, bool(excused)): (int(number), int(unmoved))
        for kind, excused, number, unmoved in engine.rows(
            f"SELECT kind, excused IS NOT NULL, count(*), count(*) FILTER (note = '{UNEXPECTED_SAME}') "
            f"FROM {judged} GROUP BY ALL"
        )
    }
    mismatched = {kind: rows.get((kind, False), (0, 0))[0] for kind in DifferenceKind}
    excused = {kind: rows.get((kind, True), (0, 0))[0] for kind in DifferenceKind}
    compared, other = (
        clean - mismatched[kind] - excused[kind]
        for clean, kind in (
            (paired.clean_v1, DifferenceKind.ONLY_IN_V1), (paired.clean_v2, DifferenceKind.ONLY_IN_V2),
        )
    )  # fmt: skip
    if compared != other:
        # A row that a plan lost would count as matched.
        raise RowsLost(compared, other)
    return Counts(
        compared=compared,
        matched=compared - mismatched[DifferenceKind.CHANGED] - excused[DifferenceKind.CHANGED],
        expected=sum(excused.values()),
        only_in_v1=mismatched[DifferenceKind.ONLY_IN_V1],
        only_in_v2=mismatched[DifferenceKind.ONLY_IN_V2],
        changed=mismatched[DifferenceKind.CHANGED],
        unexpected_same=rows.get((DifferenceKind.CHANGED, False), (0, 0))[1],
        columns=_columns(engine, layout, judged, within, compared),
        expected_by=_expected(engine, expected, judged),
    )


def _columns(
    engine: Engine, layout: Layout, judged: str, within: Mapping[str, int], compared: int
) -> tuple[ColumnCount, ...]:
    parts = ["count(*)"]
    for at, column in enumerate(layout.compared):
        unequal = "false" if column.exact else f"a{at} IS DISTINCT FROM b{at}"
        parts += [
            count_where(f"d{at}"),
            count_where(f"f{at} AND NOT d{at}"),
            # Unequal, let pass by its rule, and wrong all the same: the change that was expected did not come.
            count_where(f"d{at} AND NOT f{at} AND {unequal}"),
        ]
    numbers = engine.row(f"SELECT {', '.join(parts)} FROM {judged} WHERE kind = '{DifferenceKind.CHANGED}'")[1:]
    found = []
    for at, column in enumerate(layout.compared):
        differ, expected, both = numbers[3 * at : 3 * at + 3]
        passed = within.get(column.name, 0) - both
        equal = compared - passed - expected - differ
        found.append(ColumnCount(column.name, column.rule.describe(), compared, equal, passed, expected, differ))
    return tuple(found)


def _expected(engine: Engine, expected: Sequence[Expectation], judged: str) -> tuple[ExpectedCount, ...]:
    if not expected:
        return ()
    parts = ", ".join(
        count_where(f"excused = {e.at}" if e.live else f"excused IS NULL AND lapsed = {e.at}") for e in expected
    )
    numbers = engine.row(f"SELECT {parts} FROM {judged}")
    return tuple(
        ExpectedCount(e.source.reason, e.source.owner, e.source.until.isoformat(), number, not e.live)
        for e, number in zip(expected, numbers, strict=True)
    )
