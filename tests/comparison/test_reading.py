"""Ways in which two unlike rows could pass for one, found by reading: each is a difference, or refused by name."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from dualgauge import Comparator, Expected, Relative
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.comparison.errors import BadComparator, BadRelation, PlanRefused
from dualgauge.comparison.runs.in_flight import still
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

TODAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine() as opened:
        yield opened


@pytest.mark.parametrize("key", ["{}", "[{}]", "{{'f': {}}}"])
def test_the_member_of_a_union_counts_in_a_key_of_a_map(engine: Engine, key: str) -> None:
    values = (f"union_value({value})::UNION(a INTEGER, b BIGINT)" for value in ("a := 1", "b := 1::BIGINT"))
    one, two = (f"SELECT 1 AS id, MAP {{{key.format(value)}: 1}} AS m" for value in values)

    for plan in (None, DiffPlan.WIDE):
        found = compare_relations(engine, one, two, Comparator(key="id"), today=TODAY, plan=plan)
        assert (found.verdict, found.changed) == (Outcome.FAIL, 1)
    for plan in (DiffPlan.BUCKETS, DiffPlan.NARROW):
        with pytest.raises(PlanRefused):
            compare_relations(engine, one, two, Comparator(key="id"), today=TODAY, plan=plan)


@pytest.mark.parametrize("columns", ["2 AS x, 3 AS x", "2 AS x, 3 AS X"])
def test_a_query_that_gives_a_column_twice_is_refused(engine: Engine, columns: str) -> None:
    with pytest.raises(BadRelation, match="give each a name of its own with AS"):
        compare_relations(
            engine, f"SELECT 1 AS id, {columns}", f"SELECT 1 AS id, {columns}", Comparator(key="id"), today=TODAY
        )


def test_a_number_that_the_common_type_does_not_hold_is_near_to_nothing(engine: Engine) -> None:
    found = compare_relations(
        engine, "SELECT 1 AS id, ('1' || repeat('0', 400))::BIGNUM AS x", "SELECT 1 AS id, NULL::DOUBLE AS x",
        Comparator(key="id", rules={"x": Relative(0.01)}), today=TODAY,
    )  # fmt: skip
    assert found.verdict is Outcome.FAIL


def test_an_expected_value_that_a_cast_would_round_excuses_nothing(engine: Engine) -> None:
    found = compare_relations(
        engine, "SELECT 1 AS id, [1] AS x", "SELECT 1 AS id, [2] AS x",
        Comparator(
            key="id",
            expected=[
                Expected(
                    when="true", v2_equals={"x": "[1.5]"}, reason="half", owner="me", until=date(2027, 1, 1)
                )
            ],
        ),
        today=TODAY,
    )  # fmt: skip
    assert (found.verdict, found.expected) == (Outcome.FAIL, 0)


def test_a_context_column_is_no_key(engine: Engine) -> None:
    with pytest.raises(BadComparator, match="a context column cannot identify a row"):
        compare_relations(
            engine, "SELECT 1 AS _id, 2 AS id", "SELECT 2 AS _id, 2 AS id", Comparator(key=("_id", "id")),
            today=TODAY, context=True,
        )  # fmt: skip


def test_a_key_with_a_collation_that_changes_between_two_looks_takes_no_other_along(engine: Engine) -> None:
    engine.execute("CREATE OR REPLACE TABLE one AS SELECT * FROM (VALUES ('a', 1), ('A', 2)) t(id, x)")
    engine.execute("CREATE OR REPLACE TABLE two AS SELECT * FROM (VALUES ('a', 1), ('A', 5)) t(id, x)")
    queries = [f"SELECT id COLLATE NOCASE AS id, x FROM {table}" for table in ("one", "two")]

    def again() -> None:
        engine.execute("UPDATE one SET x = 9 WHERE id = 'a'")

    with still(engine, *queries, Comparator(key="id"), exact=True, again=again) as looks:
        found = compare_relations(engine, looks.v1, looks.v2, Comparator(key="id"), today=TODAY, stable=True)

    assert looks.in_flight == 1
    assert (found.verdict, found.compared, found.changed) == (Outcome.FAIL, 1, 1)
