"""Structs, lists and maps of two types: compared by the names of their fields, and what one side lacks is told."""

from __future__ import annotations

from datetime import date
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.comparison.content.comparator import Comparator, Expected
from dualgauge.comparison.engine.common_types import common_type
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.comparison.engine.kinds import kind_of
from dualgauge.comparison.values import SchemaVerdict
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.model import Outcome
from dualgauge_router.rules import Absolute, Relative, Rounded
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.comparison.values import Comparison
    from dualgauge_router.rules import Rule

TODAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


def compare(engine: Engine, a: str, b: str, **options: Any) -> Comparison:
    sides = [f"SELECT 1 AS id, {value} AS x" for value in (a, b)]
    return compare_relations(engine, *sides, Comparator(key="id"), today=TODAY, **options)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("{'a': 1}", "{'A': 1}"),
        ("{'a': 1}", "{'a': 1.00::DECIMAL(9,2)}"),
        ("{'a': DATE '2026-01-01'}", "{'a': TIMESTAMP '2026-01-01'}"),
        ("{'a': TIMESTAMP '2026-01-01'}", "{'a': TIMESTAMPTZ '2026-01-01 00:00:00+00'}"),
        (
            "{'a': {'b': [1], 'c': NULL}}",
            "{'a': {'c': 'x'[:0]::INTEGER, 'b': [1::HUGEINT]}}".replace("'x'[:0]", "NULL"),
        ),
        ("[{'a': 1, 'b': 'x'}]", "[{'b': 'x', 'a': 1::BIGINT}]"),
        ("MAP {'k': {'a': 1, 'b': 2}}", "MAP {'k': {'b': 2::BIGINT, 'a': 1::BIGINT}}"),
        ("MAP {1: 'a'}", "MAP {1::BIGINT: 'a'}"),
        ("row(1, 2)", "row(1::BIGINT, 2::HUGEINT)"),
        ("[1, 2]::INTEGER[2]", "[1, 2]::BIGINT[]"),
    ],
)
def test_what_is_one_value_in_two_types_is_matched(engine: Engine, a: str, b: str) -> None:
    for plan in DiffPlan:
        for pair in ((a, b), (b, a)):
            result = compare(engine, *pair, plan=plan)
            assert (result.matched, result.verdict) == (1, Outcome.PASS), (plan, result.why)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("{'a': 1, 'b': 2}", "{'b': 1, 'a': 2}"),
        ("{'a': 1}", "{'a': 1.01::DECIMAL(9,2)}"),
        ("[{'a': 1, 'b': 2}]", "[{'b': 1, 'a': 2::BIGINT}]"),
        ("{'a': NULL::INTEGER}", "NULL::STRUCT(a BIGINT)"),
        ("row(1, 2)", "row(2::BIGINT, 1)"),
    ],
)
def test_what_differs_in_two_types_is_found(engine: Engine, a: str, b: str) -> None:
    for plan in DiffPlan:
        assert compare(engine, a, b, plan=plan).changed == 1


def test_a_field_that_one_side_lacks_is_a_finding_even_where_it_is_null(engine: Engine) -> None:
    result = compare(engine, "[{'a': 1, 'b': {'c': 1}}]", "[{'a': 1, 'b': {'c': 1, 'd e': NULL::INTEGER}}]")
    assert [(one.name, one.v1_type, one.v2_type, one.verdict) for one in result.schema][2:] == [
        ('x[].b."d e"', None, "INTEGER", SchemaVerdict.ONLY_IN_V2)
    ]
    assert (result.verdict, result.matched) == (Outcome.FAIL, 1)
    assert result.why[0] == (
        'column x[].b."d e": only in v2; select it in v1 too, or leave it out of the comparator\'s SQL'
    )
    assert [one.column for one in result.drifts] == ["id", "x"]


def test_structs_without_a_field_in_common_cannot_be_compared(engine: Engine) -> None:
    result = compare(engine, "{'a': 1}", "{'b': 1}")
    assert (result.schema[1].verdict, result.verdict) == (SchemaVerdict.INCOMPARABLE, Outcome.FAIL)


def test_a_value_that_the_common_type_of_two_structs_cannot_hold_is_counted(engine: Engine) -> None:
    result = compare(engine, "{'a': 9007199254740993, 'only': 1}", "{'a': 9007199254740992.0::DOUBLE}")
    assert (result.schema[1].common_type, result.schema[1].lost) == ("STRUCT(a DOUBLE)", 1)
    assert result.verdict is Outcome.FAIL


def test_decimals_in_a_list_that_differ_are_shown(engine: Engine) -> None:
    result = compare(engine, "[1.5::DECIMAL(9,2)]", "[2.5::DECIMAL(9,2), NULL]")
    assert (result.changed, result.clusters[0].name) == (1, "x: other")
    assert result.to_json()["mismatches"][0]["v2"] == {"id": 1, "x": ["2.50", None]}  # type: ignore[index]


TIMES = ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ", "TIMESTAMPTZ_NS")


@pytest.mark.parametrize(("one", "other"), thinned(2, combinations_with_replacement(TIMES, 2)))
def test_one_moment_is_one_in_every_two_types_of_times(engine: Engine, one: str, other: str) -> None:
    for form in ("{}", "{{'a': [{}, NULL]}}"):
        moments = (("2026-01-02", one), ("2026-01-02", other), ("2026-01-03", other))
        a, b, later = (form.format(f"'{day} 00:00:00+00'::{kind}") for day, kind in moments)

        same = compare(engine, a, b)
        assert (same.matched, same.verdict, same.schema[1].lost) == (1, Outcome.PASS, 0), form
        unlike = compare(engine, a, later)
        assert (unlike.changed, unlike.schema[1].lost) == (1, 0), form


@pytest.mark.parametrize("other", ["TIMESTAMP_NS", "TIMESTAMPTZ_NS"])
def test_a_nanosecond_of_a_time_with_a_zone_counts(engine: Engine, other: str) -> None:
    times = [f"'2026-01-02 00:00:00.00000000{last}'" for last in (1, 2)]
    result = compare(engine, f"{times[0]}::TIMESTAMPTZ_NS", f"{times[1]}::{other}")
    assert (result.changed, result.mismatches[0].columns) == (1, ("x",))


def test_an_offset_of_times_with_a_zone_is_named(engine: Engine) -> None:
    sides = [
        f"SELECT i AS id, ('2026-01-02 0{hour}:00:00+00'::TIMESTAMPTZ_NS) AS x FROM range(5) t(i)" for hour in (1, 2)
    ]
    result = compare_relations(engine, *sides, Comparator(key="id"), today=TODAY)
    assert [one.name for one in result.clusters] == ["x: constant offset 01:00:00"]


@pytest.mark.parametrize("rule", [None, Absolute(4), Relative(1e-300), Rounded(digits=0)])
def test_whole_numbers_beyond_every_double_are_compared(engine: Engine, rule: Rule | None) -> None:
    sides = [f"SELECT 1 AS id, ('1' || repeat('0', 399) || '{last}')::BIGNUM AS x" for last in (0, 5)]
    by = Comparator(key="id", rules={"x": rule} if rule else {})
    for plan in (DiffPlan.WIDE, DiffPlan.NARROW):
        result = compare_relations(engine, *sides, by, today=TODAY, plan=plan)
        assert (result.changed, compare_relations(engine, sides[0], sides[0], by, today=TODAY).matched) == (1, 1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("[INTERVAL '1 month']", ["1 month"]),
        ("{'a': 5::HUGEINT}", {"a": "5"}),
        ("union_value(a := 1)::UNION(a INTEGER, b INTEGER)", '{"a":1}'),
        ("union_value(b := 1)::UNION(a INTEGER, b INTEGER)", '{"b":1}'),
        ("[TIMESTAMP 'infinity']", ["infinity"]),
        ("TIME '24:00:00'", "24:00:00"),
        ("TIME '00:00:00'", "00:00:00"),
        ("'00:00:00.000000001'::TIME_NS", "00:00:00.000000001"),
        ("MAP {INTERVAL '1 day': '101'::BIT}", [("1 day", "101")]),
        ("row(1, INTERVAL '1 day')", {"element1": 1, "element2": "1 day"}),
        ("'POINT (1 2)'::GEOMETRY", "POINT (1 2)"),
    ],
)
def test_a_value_is_shown_so_that_it_can_be_told_from_others(engine: Engine, value: str, shown: object) -> None:
    result = compare(engine, value, f"CASE WHEN false THEN {value} END")
    assert result.mismatches[0].v1 is not None
    assert result.mismatches[0].v1["x"] == shown


def test_types_are_read_as_the_engine_writes_them(engine: Engine) -> None:
    types = [
        'STRUCT("a b" VARCHAR, "c""d, (" INTEGER[])', "ENUM('a', 'it''s', 'x, y)')",
        "MAP(VARCHAR, STRUCT(a TIMESTAMP WITH TIME ZONE))",
        "UNION(a INTEGER, b DECIMAL(9,2)[3][])", "TIME WITH TIME ZONE", "STRUCT(\"select\" ENUM('(', '['), b \"NULL\")",
        "TUPLE(INTEGER, VARCHAR)", "GEOMETRY('OGC:CRS84')",
    ]  # fmt: skip
    for text in types:
        spelled = engine.columns(f"SELECT CAST(NULL AS {text}) AS x")["x"] if '"NULL"' not in text else text
        kind = kind_of(spelled)
        assert kind.name == spelled
        assert common_type(spelled, spelled) is not None
    nested = kind_of('STRUCT(a INTEGER, "b""c" MAP(VARCHAR, DOUBLE[]))')
    assert nested.fields == ("a", '"b""c"')
    assert [one.family for one in nested.walk()] == ["STRUCT", "INTEGER", "MAP", "VARCHAR", "LIST", "DOUBLE"]


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ("{'a': 1, 'b': 2}", "{'a': 5, 'b': 2}", "{'b': 2::BIGINT, 'a': 5}"),
        ("""'{"a":1}'::JSON""", """'{"a":2, "b":1}'::JSON""", """'{"b":1.0,"a":2}'"""),
        ("INTERVAL '1 month'", "INTERVAL '30 days'", "to_days(30)"),
        ("MAP {'a': 1}", "MAP {'a': 1, 'b': 2}", "MAP {'b': 2, 'a': 1}"),
        ("[1]", "[1, 2]", "[1::HUGEINT, 2]"),
    ],
)
def test_an_expected_difference_may_give_a_value_of_any_type(engine: Engine, a: str, b: str, says: str) -> None:
    change = Expected(when="true", v2_equals={"x": says}, reason="r", owner="o", until=TODAY)
    sides = [f"SELECT 1 AS id, {value} AS x" for value in (a, b)]
    for plan in (DiffPlan.WIDE, DiffPlan.NARROW):
        by = Comparator(key="id", expected=[change])
        result = compare_relations(engine, *sides, by, today=TODAY, plan=plan)
        assert (result.expected, result.mismatched) == (1, 0)
        same = compare_relations(engine, sides[0], sides[0], by, today=TODAY, plan=plan)
        assert same.unexpected_same == 1
