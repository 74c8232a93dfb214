"""Counts, shown rows, drifts and the plan of a diff speak of the same rows, whichever side lacks some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import dualgauge
from dualgauge import Absolute, Comparator, Expected
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.model import Outcome
from support.relations import TODAY, rows

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

BY_ID = Comparator(key="id")


@pytest.mark.parametrize("plan", [None, DiffPlan.NARROW])
def test_a_row_that_only_v1_has_can_be_expected(engine: Engine, plan: DiffPlan | None) -> None:
    gone = Expected(when="v2.id IS NULL AND v1.n > 5", reason="closed", owner="shop", until=TODAY)
    by = Comparator(key="id", expected=[gone])
    v1 = rows("1, 1", "2, 2", "3, 7")
    result = compare_relations(engine, v1, rows("1, 1"), by, today=TODAY, plan=plan)
    assert (result.expected, result.only_in_v1, [m.key for m in result.mismatches]) == (1, 1, [{"id": 2}])
    assert compare_relations(engine, rows("3, 7"), rows("1, 1", "3, 7"), by, today=TODAY, plan=plan).expected == 0


def test_where_nothing_pairs_and_all_that_one_side_lacks_was_expected_the_diff_passes(engine: Engine) -> None:
    gone = Expected(when="v2.id IS NULL", reason="closed", owner="shop", until=TODAY)
    result = compare_relations(
        engine, rows("1, 1"), f"{rows('1, 1')} WHERE false", Comparator(key="id", expected=[gone]), today=TODAY
    )
    assert (result.verdict, result.compared, result.expected) == (Outcome.PASS, 0, 1)


@pytest.mark.parametrize("value", ["'x'", "['x']", "'x'::BLOB", "NULL::VARCHAR"])
@pytest.mark.parametrize("where", ["", "WHERE i < 0", "WHERE i > 0"])
def test_a_side_without_rows_or_texts_fits(engine: Engine, value: str, where: str) -> None:
    v1 = f"SELECT i AS id, {value} AS t FROM range(2) t(i)"
    result = compare_relations(engine, v1, f"{v1} {where}", BY_ID, today=TODAY)
    assert result.plan == "wide: both sides fit half of the memory limit"


def test_a_side_whose_cells_only_a_rule_lets_pass_has_a_profile_of_its_own(engine: Engine) -> None:
    v1 = "SELECT i AS id, i::DOUBLE AS n FROM range(10) t(i)"
    by = Comparator(key="id", rules={"n": Absolute(1)})

    found = compare_relations(engine, v1, f"SELECT id, n + 0.5 AS n FROM ({v1})", by, today=TODAY)

    [_, drift] = found.drifts
    assert drift.v1 is not None
    assert drift.v2 is not None
    assert (found.matched, found.columns[0].within_rule) == (10, 10)
    assert (drift.v1.least, drift.v1.most, drift.v2.least, drift.v2.most) == (0.0, 9.0, 0.5, 9.5)


def test_a_select_that_answers_anew_each_time_is_asked_once() -> None:
    """What is judged, what is shown and what is profiled are one answer."""
    by = Comparator(key="id", v1="SELECT id, random() AS x FROM v1", v2="SELECT id, 2.0::DOUBLE AS x FROM v2")

    found = dualgauge.compare(pa.table({"id": [1]}), pa.table({"id": [1]}), by)

    [row], [_, drift] = found.mismatches, found.drifts
    assert row.v1 is not None
    assert drift.v1 is not None
    assert drift.v1.least == drift.v1.most == row.v1["x"]
