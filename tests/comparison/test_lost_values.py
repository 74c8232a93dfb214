"""Values that a common type, a rule, or the text that shows them could make one: each stays two, and is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from dualgauge.comparison.content.comparator import Comparator, Expected
from dualgauge.comparison.engine.diff import DiffPlan
from dualgauge.comparison.errors import PlanRefused
from dualgauge.model import Outcome
from dualgauge_router.rules import Absolute, Exact, Rounded, Rule
from support.relations import TODAY, compare, rows

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

# Two types on the two sides, and the one that both are cast to.


@pytest.mark.parametrize("digits", [16, 17, 18, 30])
def test_a_decimal_of_more_digits_than_a_double_holds_is_no_match_for_one(engine: Engine, digits: int) -> None:
    v1, v2 = rows(f"1, 9007199254740993::DECIMAL({digits},0)"), rows("1, 9007199254740992::DOUBLE")
    for result in (compare(engine, v1, v2), compare(engine, v2, v1)):
        assert (result.verdict, result.schema[1].lost) == (Outcome.FAIL, 1)
        assert "do not fit DOUBLE exactly" in result.why[0]


@pytest.mark.parametrize(
    ("wide", "other", "common"),
    [
        ("(repeat('9', 36) || '.11')::DECIMAL(38,2)", "1.5::DECIMAL(18,3)", "DECIMAL(38,3)"),
        ("('1' || repeat('0', 38))::HUGEINT", "1::DECIMAL(5,0)", "DECIMAL(38,0)"),
        ("18446744073709551615::UBIGINT", "1.5::DECIMAL(38,19)", "DECIMAL(38,19)"),
    ],
)
def test_a_number_that_no_decimal_beside_the_other_side_can_hold_is_a_finding_and_stops_nothing(
    engine: Engine, wide: str, other: str, common: str
) -> None:
    for v1, v2 in ((wide, other), (other, wide)):
        result = compare(engine, rows(f"1, {v1}", "2, NULL"), rows(f"1, {v2}", "2, NULL"))
        assert (result.schema[1].common_type, result.schema[1].lost) == (common, 1)
        assert (result.verdict, result.changed, result.matched) == (Outcome.FAIL, 1, 1)


def test_the_largest_unsigned_number_fits_beside_a_decimal(engine: Engine) -> None:
    largest = "18446744073709551615"
    result = compare(engine, rows(f"1, {largest}::UBIGINT", "2, 1"), rows("1, 1.50::DECIMAL(5,2)", "2, 1.00"))
    assert (result.schema[1].common_type, result.schema[1].lost) == ("DECIMAL(22,2)", 0)
    assert (result.changed, result.matched) == (1, 1)


NANOSECOND = "TIMESTAMP_NS '2024-01-01 00:00:00.000000001'"


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("9007199254740993", "9007199254740992::DOUBLE", "DOUBLE"),
        (NANOSECOND, "TIMESTAMPTZ '2024-01-01 00:00:00+00'", "TIMESTAMP WITH TIME ZONE"),
        (f"[{NANOSECOND}]", "[TIMESTAMPTZ '2024-01-01 00:00:00+00']", "TIMESTAMP WITH TIME ZONE[]"),
    ],
)
def test_what_either_side_loses_is_counted(engine: Engine, one: str, other: str, common: str) -> None:
    for v1, v2 in ((one, other), (other, one)):
        result = compare(engine, rows(f"1, {v1}"), rows(f"1, {v2}"))
        assert (result.schema[1].common_type, result.schema[1].lost, result.verdict) == (common, 1, Outcome.FAIL)


@pytest.mark.parametrize("pattern", ["{}", "[{}]", "{{'f': {}}}"])
def test_the_member_of_a_union_counts_beside_json(engine: Engine, pattern: str) -> None:
    values = (f"union_value({member} := '1'::JSON)::UNION(a JSON, b JSON)" for member in ("a", "b"))
    one, two = (f"SELECT 1 AS id, {pattern.format(value)} AS m" for value in values)

    for plan in (None, DiffPlan.WIDE):
        found = compare(engine, one, two, plan=plan)
        assert (found.verdict, found.changed) == (Outcome.FAIL, 1)
    for plan in (DiffPlan.BUCKETS, DiffPlan.NARROW):
        with pytest.raises(PlanRefused):
            compare(engine, one, two, plan=plan)


# Rules and expected values.


@pytest.mark.parametrize("rule", [Exact(), Absolute(0), Absolute(0.5), Rounded(0)])
def test_a_distance_lets_no_value_pass_that_lost_digits_on_its_way(engine: Engine, rule: Rule) -> None:
    """They are 1 apart; as DOUBLE they are one number."""
    by = Comparator(key="id", rules={"n": rule})
    result = compare(engine, rows("1, 9007199254740993"), rows("1, 9007199254740992::DOUBLE"), by)
    assert (result.verdict, result.schema[1].lost) == (Outcome.FAIL, 1)


@pytest.mark.parametrize("scale", [2, 18, 37, 38])
@pytest.mark.parametrize(("b", "within"), [("0.20", True), ("0.19", False), ("0.21", True)])
def test_a_limit_of_few_digits_is_exact_beside_numbers_of_many(
    engine: Engine, scale: int, b: str, within: bool
) -> None:
    """The distance is the limit, or a hundredth beside it: the digits alone can say which."""
    rule = Absolute(0.1)
    kind = f"DECIMAL(38,{scale})"
    condition = rule.sql(f"CAST('0.30' AS {kind})", f"CAST('{b}' AS {kind})")

    assert engine.row(f"SELECT {condition}")[0] is within
    assert rule.holds(Decimal("0.30"), Decimal(b)) is within


def test_one_instant_in_two_zones_is_one_value_and_one_clock_in_two_zones_is_not() -> None:
    east = timezone(timedelta(hours=1))
    assert Exact().holds(datetime(2024, 1, 1, 1, tzinfo=east), datetime(2024, 1, 1, tzinfo=UTC))
    assert not Exact().holds(datetime(2024, 1, 1, tzinfo=east), datetime(2024, 1, 1, tzinfo=UTC))


def test_an_expected_list_of_fixed_length_that_a_cast_would_round_excuses_nothing(engine: Engine) -> None:
    half = Expected(when="true", v2_equals={"n": "[1.5]"}, reason="half", owner="me", until=TODAY)
    result = compare(
        engine, rows("1, [1]::INTEGER[1]"), rows("1, [2]::INTEGER[1]"), Comparator(key="id", expected=[half])
    )
    assert (result.verdict, result.expected) == (Outcome.FAIL, 0)


# What is shown of them.


def test_nanoseconds_of_a_time_are_shown_as_text(engine: Engine) -> None:
    sides = [f"SELECT 1 AS id, '2024-01-01 00:00:00.{one:09d}'::TIMESTAMP_NS AS x" for one in (1, 2)]
    result = compare(engine, *sides)
    assert [(one.v1, one.v2) for one in result.mismatches] == [
        ({"id": 1, "x": "2024-01-01 00:00:00.000000001"}, {"id": 1, "x": "2024-01-01 00:00:00.000000002"})
    ]
    told = result.to_json()["mismatches"][0]  # type: ignore[index]
    assert (told["v1"]["x"], told["v2"]["x"]) == ("2024-01-01 00:00:00.000000001", "2024-01-01 00:00:00.000000002")
