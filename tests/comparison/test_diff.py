"""The diff engine against a naive reading of its own words, and what a user sees of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgauge.comparison.content.comparator import Comparator, Expected, Limits
from dualgauge.comparison.engine.diff import DiffPlan
from dualgauge.comparison.errors import (
    BadExpectation,
    BadRelation,
    ExpectationFailed,
    MissingKey,
    NoColumnToCompare,
    NotNumeric,
    PlanRefused,
)
from dualgauge.comparison.values import Comparison, DifferenceKind
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.errors import DataError, UsageError
from dualgauge.model import Outcome
from dualgauge_router.rules import Absolute, Exact, Relative, Rounded, Rule
from support.relations import TODAY, compare, rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EMPTY = "SELECT 1 AS id, 1 AS n WHERE false"


def expected(when: str, reason: str = "it is right", until: date = TODAY, **v2_equals: str) -> Expected:
    return Expected(when=when, v2_equals=v2_equals, reason=reason, owner="flight-data", until=until)


# --- against a naive oracle -------------------------------------------------------------------------------------

KEYS = ("id", "part")
VALUES = ("d", "n", "t")
SCHEMA = pa.schema(
    [("id", pa.int64()), ("part", pa.string()), ("d", pa.float64()), ("n", pa.decimal128(18, 2)), ("t", pa.string())]
)
Record = dict[str, Any]

DOUBLES = st.sampled_from([None, 0.0, -0.0, 1.0, 1.004, 1.006, -1.0, float("nan"), float("inf"), float("-inf"), 1e300])
DECIMALS = st.sampled_from([None, *(Decimal(text) for text in ("0.00", "1.00", "1.01", "1.02", "-1.00", "99.99"))])
TEXTS = st.sampled_from([None, "", "a", "A", "a ", "é"])
RECORDS = st.fixed_dictionaries(
    {
        "id": st.sampled_from([None, 1, 2, 3, 4, 5, 6, 7]),
        "part": st.sampled_from(["x", "x", "x", "y", None]),
        "d": DOUBLES,
        "n": DECIMALS,
        "t": TEXTS,
    }
)


@st.composite
def sides(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """Two small relations: much alike, or having nothing to do with each other; with NULLs and repeated keys."""
    v1 = draw(st.lists(RECORDS, max_size=9))
    v2 = [dict(row) for row in v1] if draw(st.booleans()) else draw(st.lists(RECORDS, max_size=9))
    for row in v2:
        if draw(st.integers(0, 3)) == 0:
            column, values = draw(st.sampled_from([("d", DOUBLES), ("n", DECIMALS), ("t", TEXTS)]))
            row[column] = draw(values)
    return v1, draw(st.permutations(v2))


@dataclass(frozen=True)
class Said:
    """What the oracle says, and what a Comparison says, in one form."""

    found: frozenset[tuple[Any, str, frozenset[str]]]
    matched: int
    compared: int
    cells: tuple[tuple[int, int, int], ...]
    null_and_duplicate_rows: tuple[tuple[int, int, int], tuple[int, int, int]]


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEYS)


def oracle(v1: list[Record], v2: list[Record], rules: Mapping[str, Rule]) -> Said:
    counts = [Counter(key_of(row) for row in side if None not in key_of(row)) for side in (v1, v2)]
    repeated = {key for count in counts for key, number in count.items() if number > 1}
    a, b = ({key_of(r): r for r in side if None not in key_of(r) and key_of(r) not in repeated} for side in (v1, v2))
    found: set[tuple[Any, str, frozenset[str]]] = set()
    cells = {name: [0, 0, 0] for name in VALUES}
    for key in a.keys() | b.keys():
        if key not in a or key not in b:
            found.add((key, "only_in_v1" if key in a else "only_in_v2", frozenset()))
            continue
        wrong = set()
        for name in VALUES:
            equal = Exact().holds(a[key][name], b[key][name])
            holds = rules.get(name, Exact()).holds(a[key][name], b[key][name])
            cells[name][0 if equal else 1 if holds else 2] += 1
            if not holds:
                wrong.add(name)
        if wrong:
            found.add((key, "changed", frozenset(wrong)))
    compared = len(a.keys() & b.keys())
    changed = sum(kind == "changed" for _, kind, _ in found)
    problems = [
        (
            sum(None in key_of(row) for row in side),
            sum(number > 1 for number in count.values()),
            sum(number for number in count.values() if number > 1),
        )
        for side, count in zip((v1, v2), counts, strict=True)
    ]
    return Said(
        frozenset(found),
        compared - changed,
        compared,
        tuple((n[0], n[1], n[2]) for n in cells.values()),
        (problems[0], problems[1]),
    )


def said(result: Comparison) -> Said:
    problems = {p.side: (p.null_keys, p.duplicate_keys, p.duplicate_rows) for p in result.key_problems}
    return Said(
        frozenset((tuple(m.key.values()), m.kind.value, frozenset(m.columns)) for m in result.mismatches),
        result.matched,
        result.compared,
        tuple((column.equal, column.within_rule, column.differ) for column in result.columns),
        (problems.get("v1", (0, 0, 0)), problems.get("v2", (0, 0, 0))),
    )


@given(
    pair=sides(),
    rules=st.sampled_from(
        [{}, {}, {"d": Absolute(0.005)}, {"n": Rounded(1)}, {"d": Relative(0.01), "n": Absolute(0.01)}]
    ),
    plan=st.sampled_from([None, DiffPlan.NARROW, DiffPlan.BUCKETS]),
    stable=st.booleans(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_diff_finds_what_a_reader_with_two_dicts_finds(
    engine: Engine, pair: tuple[list[Record], list[Record]], rules: dict[str, Rule], plan: DiffPlan | None, stable: bool
) -> None:
    v1, v2 = pair
    for name, side in (("left_rows", v1), ("right_rows", v2)):
        engine.register(name, pa.Table.from_pylist(side, schema=SCHEMA))
    chosen = None if rules and plan is DiffPlan.BUCKETS else plan
    result = compare(
        engine,
        "SELECT * FROM left_rows",
        "SELECT * FROM right_rows",
        Comparator(key=KEYS, rules=rules),
        samples=1000,
        plan=chosen,
        stable=stable,
    )
    told = oracle(v1, v2, rules)
    assert said(result) == told
    assert (result.rows_v1, result.rows_v2) == (len(v1), len(v2))
    assert sum(cluster.rows for cluster in result.clusters) == result.mismatched == len(told.found)
    clean = told.null_and_duplicate_rows == ((0, 0, 0), (0, 0, 0))
    verdict = Outcome.FAIL if told.found or not clean else Outcome.PASS if told.compared else Outcome.INCONCLUSIVE
    assert result.verdict is verdict
    json.dumps(result.to_json(), allow_nan=False)


@given(
    pairs=st.dictionaries(
        st.integers(0, 8),
        st.tuples(st.sampled_from([None, 0, 1, 2, 3]), st.sampled_from([None, 0, 1, 2, 3]), st.booleans()),
        max_size=8,
    ),
    only_v1=st.sets(st.integers(10, 14)),
    only_v2=st.sets(st.integers(15, 19)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_expected_differences_are_told_from_wrong_ones_as_a_reader_would(
    engine: Engine, pairs: dict[int, tuple[Any, Any, bool]], only_v1: set[int], only_v2: set[int]
) -> None:
    """v2 must add one where v1.n is over 1; rows over 16 may be new; another column may never change."""
    schema = pa.schema([("id", pa.int64()), ("n", pa.int64()), ("o", pa.bool_())])
    v1 = [{"id": i, "n": a, "o": False} for i, (a, _, _) in pairs.items()] + [
        {"id": i, "n": 0, "o": False} for i in only_v1
    ]
    v2 = [{"id": i, "n": b, "o": o} for i, (_, b, o) in pairs.items()] + [
        {"id": i, "n": 0, "o": False} for i in only_v2
    ]
    engine.register("left_rows", pa.Table.from_pylist(v1, schema=schema))
    engine.register("right_rows", pa.Table.from_pylist(v2, schema=schema))
    by = Comparator(key="id", expected=[expected("v1.n > 1", n="v1.n + 1"), expected("v2.id > 16")])
    result = compare(engine, "FROM left_rows SELECT *", "FROM right_rows SELECT *", by, samples=100)
    outcomes: dict[Any, str] = {}
    for i, (a, b, o) in pairs.items():
        if a is not None and a > 1:
            outcomes[i] = "expected" if (b == a + 1 and not o) else "unexpected_same" if a == b else "mismatched"
        else:
            outcomes[i] = "matched" if (a == b and not o) else "mismatched"
    outcomes |= dict.fromkeys(only_v1, "mismatched")
    outcomes |= {i: "expected" if i > 16 else "mismatched" for i in only_v2}
    counted = Counter(outcomes.values())
    assert result.matched == counted["matched"]
    assert result.expected == counted["expected"]
    assert result.mismatched == counted["mismatched"] + counted["unexpected_same"]
    assert result.unexpected_same == counted["unexpected_same"]
    assert {m.key["id"]: m.note or "mismatched" for m in result.mismatches} == {
        i: outcome for i, outcome in outcomes.items() if outcome not in {"matched", "expected"}
    }
    for column in result.columns:
        assert column.compared == column.equal + column.within_rule + column.expected + column.differ == len(pairs)


# --- one difference among many ----------------------------------------------------------------------------------

MILLION = (
    "SELECT i AS id, i * 7919 % 1000 AS qty, CAST(i % 100000 AS DECIMAL(18,2)) / 100 AS price, 'name ' || i AS name "
    "FROM range(1000000) t(i)"
)


@pytest.mark.parametrize("plan", [DiffPlan.BUCKETS, DiffPlan.NARROW])
def test_one_wrong_value_in_a_million_rows_is_found_alone(engine: Engine, plan: DiffPlan) -> None:
    v2 = f"SELECT * REPLACE (CASE WHEN id = 777777 THEN qty + 1 ELSE qty END AS qty) FROM ({MILLION})"
    result = compare(engine, MILLION, v2, plan=plan)
    assert [(m.key, m.kind, m.columns) for m in result.mismatches] == [
        ({"id": 777777}, DifferenceKind.CHANGED, ("qty",))
    ]
    assert (result.compared, result.matched, result.mismatched) == (1_000_000, 999_999, 1)
    assert result.why[0] == "changed: 1 row, over the limit of 0 (1,000,000 keys compared)"


def test_a_million_wrong_rows_are_one_cluster() -> None:
    v2 = f"SELECT * REPLACE (qty + 60 AS qty) FROM ({MILLION}) WHERE id < 500000"
    with open_engine(memory_limit="100MB") as small:
        result = compare(small, f"{MILLION} WHERE i < 500000", v2)
    assert result.plan.startswith("narrow: ")
    assert result.plan.endswith(" of 65,536 buckets differ, and one of 500 was judged by value")
    assert [(c.name, c.columns, c.rows, c.example) for c in result.clusters] == [
        ("qty: constant offset +60", ("qty",), 500_000, {"id": 0})
    ]


# --- schema -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("v1_type", "v2_type", "common"),
    [
        ("DECIMAL(18,2)", "DECIMAL(18,4)", "DECIMAL(20,4)"),
        ("DECIMAL(38,2)", "DECIMAL(18,4)", "DECIMAL(38,4)"),
        ("BIGINT", "HUGEINT", "HUGEINT"),
        ("BIGINT", "UBIGINT", "HUGEINT"),
        ("INTEGER", "DECIMAL(9,3)", "DECIMAL(13,3)"),
        ("FLOAT", "DOUBLE", "DOUBLE"),
        ("BIGINT", "DOUBLE", "DOUBLE"),
        ("VARCHAR", "JSON", "VARCHAR"),
        ("INTEGER[]", "BIGINT[]", "BIGINT[]"),
    ],
)
@pytest.mark.parametrize("plan", [DiffPlan.BUCKETS, DiffPlan.NARROW])
def test_equal_values_of_two_types_are_matched(
    engine: Engine, v1_type: str, v2_type: str, common: str, plan: DiffPlan
) -> None:
    value = {"VARCHAR": "'[7]'", "INTEGER[]": "[7]"}.get(v1_type, "7")
    v1 = f"SELECT i AS id, CAST({value} AS {v1_type}) AS n FROM range(50) t(i)"
    v2 = f"SELECT i AS id, CAST({value} AS {v2_type}) AS n FROM range(50) t(i)"
    result = compare(engine, v1, v2, plan=plan)
    assert (result.matched, result.verdict) == (50, Outcome.PASS)
    column = result.schema[1]
    assert (column.v1_type, column.v2_type, column.common_type, column.verdict) == (v1_type, v2_type, common, "retyped")


@pytest.mark.parametrize("other", ["TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"])
def test_a_date_equals_its_midnight_and_differs_from_its_noon(engine: Engine, other: str) -> None:
    v1 = rows("1, DATE '2013-01-01'", "2, DATE '2013-01-02'")
    v2 = rows("1, CAST('2013-01-01 00:00' AS TIMESTAMP)", "2, CAST('2013-01-02 12:00' AS TIMESTAMP)")
    result = compare(engine, v1, f"SELECT id, CAST(n AS {other}) AS n FROM ({v2})")
    assert [m.key for m in result.mismatches] == [{"id": 2}]
    assert result.schema[1].common_type == other


def test_keys_of_two_types_find_each_other(engine: Engine) -> None:
    v1 = rows("1.00::DECIMAL(10,2), 1", "2.50::DECIMAL(10,2), 2")
    for plan in DiffPlan:
        result = compare(engine, v1, rows("1::BIGINT, 1", "3::BIGINT, 2"), plan=plan)
        assert (result.matched, result.only_in_v1, result.only_in_v2) == (1, 1, 1)


def test_column_names_match_without_regard_to_case_and_keep_v1s_spelling(engine: Engine) -> None:
    result = compare(
        engine,
        rows("1, 1", columns='"Id", "Net Amount"'),
        rows("1, 2", columns='"id", "net amount"'),
        Comparator(key="ID"),
    )
    assert [(m.key, m.columns) for m in result.mismatches] == [({"Id": 1}, ("Net Amount",))]


def test_types_without_a_common_one_are_a_finding_and_are_not_compared(engine: Engine) -> None:
    result = compare(engine, rows("1, 'one', 5", columns="id, n, o"), rows("1, 1::BIGINT, 5", columns="id, n, o"))
    assert (result.matched, result.verdict) == (1, Outcome.FAIL)
    assert result.why[0] == (
        "column n: VARCHAR in v1 and BIGINT in v2 have no common type, so it was not compared; "
        "cast it in the comparator's SQL"
    )


def test_keys_without_a_common_type_are_never_joined(engine: Engine) -> None:
    result = compare(engine, rows("'1', 1", "'2', 2"), rows("1::BIGINT, 1"))
    assert (result.rows_v1, result.rows_v2, result.compared, result.plan) == (2, 1, 0, "none")
    assert result.verdict is Outcome.FAIL
    assert result.why[-1] == "0 rows were compared: a key column has no common type"


def test_a_column_of_one_side_fails_until_the_query_leaves_it_out(engine: Engine) -> None:
    v1, v2 = rows("1, 1, 2", columns="id, n, tax"), rows("1, 1")
    result = compare(engine, v1, v2)
    assert (result.matched, result.mismatched, result.verdict) == (1, 0, Outcome.FAIL)
    assert result.why[0] == "column tax: only in v1; select it in v2 too, or leave it out of the comparator's SQL"
    assert compare(engine, f"SELECT id, n FROM ({v1})", v2).verdict is Outcome.PASS


def test_context_columns_are_not_compared_and_stand_in_the_sample(engine: Engine) -> None:
    v1, v2 = rows("1, 1, 8", columns="id, n, _position"), rows("1, 2, 9", columns="id, n, _position")
    result = compare(engine, v1, v2, context=True)
    assert [column.name for column in compare(engine, v1, v2).schema] == ["id", "n", "_position"]
    assert result.mismatches[0].v1 == {"id": 1, "n": 1, "_position": 8}
    assert result.mismatches[0].v2 == {"id": 1, "n": 2, "_position": 9}
    assert [column.name for column in result.schema] == ["id", "n"]


def test_digits_that_the_common_type_cannot_hold_are_a_finding(engine: Engine) -> None:
    v1, v2 = rows("1, 9007199254740993::BIGINT", "2, 5"), rows("1, 9007199254740992::DOUBLE", "2, 5")
    result = compare(engine, v1, v2)
    assert result.verdict is Outcome.FAIL
    assert result.why[0] == (
        "column n: 1 value of BIGINT and DOUBLE do not fit DOUBLE exactly, limit 0; cast it in the comparator's SQL"
    )
    assert compare(engine, v1, v2, Comparator(key="id", rules={"n": Relative(1e-9)})).verdict is Outcome.PASS


def test_columns_that_are_only_null_can_be_compared(engine: Engine) -> None:
    assert compare(engine, rows("1, NULL"), rows("1, NULL")).verdict is Outcome.PASS
    assert compare(engine, "SELECT 1 AS id, NULL AS n", "SELECT 1 AS id, 'x' AS n").changed == 1
    assert compare(engine, "SELECT 1 AS id, NULL AS n", "SELECT 1 AS id, NULL AS n").verdict is Outcome.PASS


# --- keys -------------------------------------------------------------------------------------------------------


def test_duplicate_and_null_keys_are_reported_and_left_out(engine: Engine) -> None:
    v1 = rows("1, 1", "1, 2", "2, 1", "3, 3", "NULL, 4", "NULL, 5")
    v2 = rows("1, 1", "2, 1", "3, 9")
    result = compare(engine, v1, v2, Comparator(key="id", limits=Limits(changed=5)))
    problem = result.key_problems[0]
    assert (problem.side, problem.null_keys, problem.duplicate_keys, problem.duplicate_rows) == ("v1", 2, 1, 2)
    assert problem.samples == ({"id": 1}, {"id": None}, {"id": None})
    assert (result.rows_v1, result.compared, result.matched, result.changed) == (6, 2, 1, 1)
    assert (result.only_in_v1, result.only_in_v2, result.verdict) == (0, 0, Outcome.FAIL)
    assert result.why[0] == ("key of v1: 2 NULL keys, 1 duplicate key on 2 rows, limit 0; those rows were left out")


def test_the_same_duplicates_on_both_sides_still_fail(engine: Engine) -> None:
    both = rows("1, 1", "1, 1", "2, 2")
    for plan in DiffPlan:
        result = compare(engine, both, both, plan=plan)
        assert ([p.side for p in result.key_problems], result.verdict) == (["v1", "v2"], Outcome.FAIL)


# --- expected differences ---------------------------------------------------------------------------------------


def test_an_expected_difference_is_counted_apart_with_its_reason(engine: Engine) -> None:
    by = Comparator(key="id", expected=[expected("v2._moved <> 0", reason="UTC months", n="v1.n + v2._moved")])
    v2 = rows("1, 12, 2", "2, 20, 0", "3, 31, 1", columns="id, n, _moved")
    result = compare(engine, rows("1, 10", "2, 20", "3, 30"), v2, by, context=True)
    assert (result.matched, result.expected, result.mismatched, result.verdict) == (1, 2, 0, Outcome.PASS)
    count = result.expected_by[0]
    assert (count.reason, count.owner, count.until, count.rows, count.expired) == (
        "UTC months",
        "flight-data",
        "2026-03-01",
        2,
        False,
    )
    assert (result.columns[0].equal, result.columns[0].expected, result.columns[0].differ) == (1, 2, 0)


def test_a_change_that_was_expected_and_did_not_come_is_a_mismatch(engine: Engine) -> None:
    by = Comparator(key="id", expected=[expected("v1.n > 15", n="v1.n * 2")])
    result = compare(engine, rows("1, 10", "2, 20", "3, 30"), rows("1, 10", "2, 20", "3, 60"), by)
    assert (result.matched, result.expected, result.changed, result.unexpected_same) == (1, 1, 1, 1)
    found = result.mismatches[0]
    assert (found.key, found.columns, found.note) == ({"id": 2}, ("n",), "unexpected_same")
    assert found.cluster == "n: unexpected same"


def test_a_cell_that_only_its_rule_lets_pass_is_counted_once_when_it_should_have_changed(engine: Engine) -> None:
    by = Comparator(key="id", rules={"n": Absolute(1)}, expected=[expected("v1.id = 1", n="v1.n + 10")])
    result = compare(engine, rows("1, 10.0::DOUBLE", "2, 10.0"), rows("1, 10.5::DOUBLE", "2, 10.5"), by)
    column = result.columns[0]
    assert (column.compared, column.equal, column.within_rule, column.expected, column.differ) == (2, 0, 1, 0, 1)
    assert (result.matched, result.unexpected_same) == (1, 1)


def test_a_wrong_change_is_not_excused_by_the_condition_alone(engine: Engine) -> None:
    by = Comparator(key="id", expected=[expected("v1.n > 15", n="v1.n * 2")])
    v1, v2 = rows("1, 20, 5", columns="id, n, o"), rows("1, 40, 6", columns="id, n, o")
    result = compare(engine, v1, v2, by)
    assert [(m.columns, m.note) for m in result.mismatches] == [(("o",), "")]
    assert [(c.name, c.expected, c.differ) for c in result.columns] == [("n", 1, 0), ("o", 0, 1)]


def test_an_expired_expectation_excuses_nothing_and_says_so(engine: Engine) -> None:
    by = Comparator(key="id", expected=[expected("true", reason="rounding", until=date(2026, 2, 28), n="v1.n + 1")])
    result = compare(engine, rows("1, 1", "2, 2"), rows("1, 2", "2, 2"), by)
    assert (result.matched, result.expected, result.changed, result.unexpected_same) == (1, 0, 1, 0)
    assert result.mismatches[0].note == "expired: rounding (until 2026-02-28)"
    assert [(e.rows, e.expired) for e in result.expected_by] == [(1, True)]


def test_a_row_that_only_v2_has_can_be_expected(engine: Engine) -> None:
    v1, v2 = rows("1, 1"), rows("1, 1", "2, 2", "3, 7")
    by = Comparator(key="id", expected=[expected("v1.id IS NULL AND v2.n > 5")])
    result = compare(engine, v1, v2, by)
    assert (result.expected, result.only_in_v2, [m.key for m in result.mismatches]) == (1, 1, [{"id": 2}])
    by = Comparator(key="id", expected=[expected("v1.id IS NULL", n="coalesce(v1.n, 0) + 7")])
    assert [m.key for m in compare(engine, v1, v2, by).mismatches] == [{"id": 2}]


def test_an_expected_value_is_judged_by_its_columns_rule(engine: Engine) -> None:
    by = Comparator(key="id", rules={"n": Rounded(2)}, expected=[expected("true", n="v1.n / 3")])
    result = compare(engine, rows("1, 1.0::DOUBLE", "2, 3.0"), rows("1, 0.333::DOUBLE", "2, 1.2"), by)
    assert (result.expected, [m.key for m in result.mismatches]) == (1, [{"id": 2}])


def test_a_trailing_comment_in_a_condition_does_no_harm(engine: Engine) -> None:
    by = Comparator(key="id", expected=[expected("v1.n = 1 -- the first", n="2 -- always")])
    assert compare(engine, f"{rows('1, 1')} -- v1", f"{rows('1, 2')};", by).expected == 1


# --- clusters, samples, files -----------------------------------------------------------------------------------


def test_changes_are_clustered_by_their_shape(engine: Engine) -> None:
    columns = "id, n, t, moment"
    pairs = [
        ("1, 'a', TIMESTAMP '2013-01-01'", "NULL, 'a', TIMESTAMP '2013-01-01'", "n: value to NULL"),
        ("NULL, 'a', NULL", "1, 'a', NULL", "n: NULL to value"),
        ("5, 'a', NULL", "-5, 'a', NULL", "n: sign"),
        ("1, 'a ', NULL", "1, 'a', NULL", "t: trailing blank"),
        ("1, 'a', NULL", "1, 'A', NULL", "t: letter case"),
        ("1, 'a', NULL", "1, 'b', NULL", "t: other"),
        ("1, 'a', TIMESTAMP '2013-01-01'", "1, 'a', TIMESTAMP '2013-01-01 05:00'", "moment: constant offset 05:00:00"),
        ("1, 'a', TIMESTAMP '2013-06-01'", "1, 'a', TIMESTAMP '2013-06-01 05:00'", "moment: constant offset 05:00:00"),
        ("12, 'a', NULL", "1200, 'a', NULL", "n: scale factor 100"),
        ("13, 'a', NULL", "1300, 'A', NULL", "n: scale factor 100; t: letter case"),
    ]
    v1 = rows(*(f"{i}, {a}" for i, (a, _, _) in enumerate(pairs)), columns=columns)
    v2 = rows(*(f"{i}, {b}" for i, (_, b, _) in enumerate(pairs)), columns=columns)
    result = compare(engine, v1, v2, samples=99)
    assert [m.cluster for m in result.mismatches] == [name for _, _, name in pairs]
    assert result.clusters[0].name == "moment: constant offset 05:00:00"
    assert (result.clusters[0].shape, result.clusters[0].rows) == ("constant offset 05:00:00", 2)
    # The last row is in two changes, and no cluster is: what meets in a row by chance is counted for each.
    assert [(one.column, one.change, one.rows, one.shapes) for one in result.changes] == [
        ("t", "another value", 4, {"trailing blank": 1, "letter case": 2, "other": 1}),
        ("n", "another value", 3, {"sign": 1, "scale factor": 2}),
        ("moment", "another value", 2, {"constant offset": 2}),
        ("n", "NULL to value", 1, {"NULL to value": 1}),
        ("n", "value to NULL", 1, {"value to NULL": 1}),
    ]
    assert result.mismatches[-1].changes == ("another value", "another value")


@pytest.mark.parametrize(
    "nights",
    [
        # An offset of one row has no name, of two it has; of rows around zero one looks like a changed sign.
        (("n + 1", [5]), ("n + 1", [5, 6]), ("n + 2", [5, 6, -1]), ("n + 2", [-1])),
        (("n * 100", [5]), ("n * 100.5", [5, 7, 9]), ("n * 100 + n % 3", [5, 7, 9, 11])),
        (("-n", [4]), ("-n + 1", [4, 8]), ("n + random()::INTEGER + 3", list(range(1, 40)))),
    ],
)
def test_one_defect_is_one_change_whatever_rows_it_hits(nights: list[tuple[str, list[int]]], engine: Engine) -> None:
    clusters = set()
    for defect, values in nights:
        v1 = rows(*(f"{at}, {value}::DOUBLE" for at, value in enumerate(values)))
        result = compare(engine, v1, f"SELECT id, {defect} AS n FROM ({v1})")
        clusters |= {one.name for one in result.clusters}
        assert [(one.column, one.change, one.rows) for one in result.changes] == [("n", "another value", len(values))]
    assert len(clusters) > 1


def test_rows_that_one_side_lacks_are_a_change_without_a_column(engine: Engine) -> None:
    result = compare(engine, rows("1, 1", "2, 2", "3, 3"), rows("3, 4", "5, 5"))

    assert [(one.column, one.change, one.rows) for one in result.changes] == [
        (None, "only_in_v1", 2), (None, "only_in_v2", 1), ("n", "another value", 1),
    ]  # fmt: skip


def test_a_small_sample_shows_every_cluster_before_it_repeats_one(engine: Engine) -> None:
    v1 = "SELECT i AS id, i AS n, 'a' AS t FROM range(100) x(i)"
    v2 = (
        "SELECT i AS id, CASE WHEN i < 90 THEN i + 7 ELSE i END AS n, CASE WHEN i = 95 THEN 'A' ELSE 'a' END AS t "
        "FROM range(99) x(i)"
    )
    result = compare(engine, v1, v2, samples=4)
    assert [(m.key["id"], m.cluster) for m in result.mismatches] == [
        (0, "n: constant offset +7"),
        (1, "n: constant offset +7"),
        (95, "t: letter case"),
        (99, "only_in_v1"),
    ]


def test_every_mismatched_key_is_kept_as_parquet(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "reports" / "it's run 1" / "keys.parquet"
    compare(engine, rows("3, 1", "2, 2", "1, 3"), rows("2, 5", "3, 1", "4, 4"), samples=1, keep=path)
    assert pq.read_table(path).to_pylist() == [
        {"id": 1, "_kind": "only_in_v1", "_columns": [], "_note": "", "_cluster": "only_in_v1"},
        {"id": 2, "_kind": "changed", "_columns": ["n"], "_note": "", "_cluster": "n: other"},
        {"id": 4, "_kind": "only_in_v2", "_columns": [], "_note": "", "_cluster": "only_in_v2"},
    ]
    assert [file.name for file in path.parent.iterdir()] == ["keys.parquet"]
    compare(engine, rows("1, 1"), rows("1, 1"), keep=path)
    assert pq.read_table(path).to_pylist() == []


def test_values_leave_as_python_values_and_as_json(engine: Engine) -> None:
    columns = "id, moment, h, d, b, f, l"
    v1 = rows(
        "1, TIMESTAMPTZ '2013-01-01 05:00+00', 5::HUGEINT, 1.50::DECIMAL(38,2), 'x'::BLOB, 'nan'::DOUBLE, [1, NULL]",
        columns=columns,
    )
    v2 = f"SELECT * REPLACE (h + 1 AS h) FROM ({v1})"
    row = compare(engine, v1, v2).mismatches[0].v2
    assert row is not None
    assert row["moment"] == datetime(2013, 1, 1, 5, tzinfo=UTC)
    assert (row["h"], row["d"], row["b"], row["l"]) == (6, Decimal("1.50"), b"x", [1, None])
    told = json.loads(json.dumps(compare(engine, v1, v2).to_json(), allow_nan=False))
    assert told["mismatches"][0]["v1"] == {
        "id": 1,
        "moment": "2013-01-01T05:00:00+00:00",
        "h": 5,
        "d": "1.50",
        "b": "78",
        "f": "NaN",
        "l": [1, None],
    }
    assert (told["verdict"], told["mismatched"], told["mismatches"][0]["kind"]) == ("fail", 1, "changed")


def test_times_that_python_cannot_hold_are_shown_as_text(engine: Engine) -> None:
    result = compare(engine, rows("1, TIMESTAMP 'infinity'"), rows("1, TIMESTAMP '2013-01-01'"))
    assert result.mismatches[0].v1 == {"id": 1, "n": "infinity"}


def test_big_keys_are_ordered_as_numbers(engine: Engine) -> None:
    v1, v2 = rows("10::HUGEINT, 1", "9, 1"), rows("10::HUGEINT, 2", "9, 2")
    assert [m.key for m in compare(engine, v1, v2).mismatches] == [{"id": 9}, {"id": 10}]


# --- verdicts ---------------------------------------------------------------------------------------------------


def test_differences_within_the_limits_pass_with_value_limit_and_sample_size(engine: Engine) -> None:
    by = Comparator(key="id", limits=Limits(changed=1, columns={"N": 1}))
    result = compare(engine, rows("1, 1", "2, 2"), rows("1, 1", "2, 3"), by)
    assert (result.verdict, result.why) == (
        Outcome.PASS,
        (
            "only_in_v1: 0 rows, within the limit of 0 (2 keys compared)",
            "only_in_v2: 0 rows, within the limit of 0 (2 keys compared)",
            "changed: 1 row, within the limit of 1 (2 keys compared)",
            "column n: 1 row, within the limit of 1 (2 keys compared)",
        ),
    )
    by = Comparator(key="id", limits=Limits(changed=9, columns={"n": 0}))
    assert compare(engine, rows("1, 1"), rows("1, 2"), by).why[0] == (
        "column n: 1 row, over the limit of 0 (1 key compared)"
    )


def test_two_empty_sides_are_inconclusive_and_never_a_pass(engine: Engine) -> None:
    result = compare(engine, EMPTY, EMPTY)
    assert (result.verdict, result.why[0]) == (
        Outcome.INCONCLUSIVE,
        "no key is on both sides: 0 rows were compared, at least 1 is needed",
    )


def test_a_comparison_leaves_the_engine_as_it_was(engine: Engine) -> None:
    settings_sql = "SELECT current_setting('perfect_ht_threshold'), current_setting('preserve_insertion_order')"
    names_sql = (
        "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
    )
    before = engine.rows(settings_sql), sorted(engine.rows(names_sql))
    compare(engine, rows("1, 1", "1, 1", "2, 1"), rows("2, 2"), Comparator(key="id", rules={"n": Absolute(0)}))
    with pytest.raises(DataError):
        compare(engine, rows("1, 'a'"), rows("1, 'b'"), Comparator(key="id", expected=[expected("v1.n::INT = 1")]))
    assert (engine.rows(settings_sql), sorted(engine.rows(names_sql))) == before


def test_progress_names_the_steps(engine: Engine) -> None:
    steps: list[str] = []
    compare(engine, rows("1, 1"), rows("1, 1"), progress=steps.append)
    assert steps == ["schema", "keys", "rows", "clusters"]


# --- mistakes ---------------------------------------------------------------------------------------------------


def refused(engine: Engine, kind: type[Exception], by: Comparator, v1: str, v2: str, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        compare(engine, v1, v2, by, **options)
    return str(caught.value)


def test_a_key_column_that_is_missing_is_named(engine: Engine) -> None:
    sentence = refused(engine, MissingKey, Comparator(key="order_id"), rows("1, 1"), rows("1, 1"))
    assert sentence == (
        "key column 'order_id' is missing from v1, which has id, n; correct key= or select the column in v1="
    )


def test_a_column_that_the_comparator_misspells_is_named(engine: Engine) -> None:
    v1 = rows("1, 1", columns="id, amount")
    assert refused(engine, NoColumnToCompare, Comparator(key="id", rules={"amont": Exact()}), v1, v1) == (
        "rules names column 'amont', which is not compared (did you mean 'amount'?); compared are amount"
    )
    by = Comparator(key="id", expected=[expected("true", reason="why", amout="1")])
    assert refused(engine, NoColumnToCompare, by, v1, v1).startswith("v2_equals of 'why' names column 'amout'")


def test_a_tolerant_rule_on_text_is_refused_by_column(engine: Engine) -> None:
    by = Comparator(key="id", rules={"n": Absolute(0.01)})
    assert refused(engine, NotNumeric, by, rows("1, 'x'"), rows("1, 'x'")) == (
        "column 'n' is VARCHAR, and the rule 'within 0.01' needs numbers; use Exact() or cast it to a number"
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (expected("v1.nope > 1", reason="R"), "when = 'v1.nope > 1'"),
        (expected("n > 1", reason="R"), "when = 'n > 1'"),
        (expected("count(*) > 1", reason="R"), "when = 'count(*) > 1'"),
        (expected("true", reason="R", n="v1.n +"), "v2_equals['n'] = 'v1.n +'"),
        (expected("true", reason="R", n="DATE '2013-01-01'"), "v2_equals['n'] = \"DATE '2013-01-01'\""),
    ],
)
def test_an_expectation_that_cannot_be_read_is_named_with_the_engines_reason(
    engine: Engine, wrong: Expected, field: str
) -> None:
    sentence = refused(engine, BadExpectation, Comparator(key="id", expected=[wrong]), rows("1, 1"), rows("1, 2"))
    assert sentence.startswith(f"expected difference 'R': {field} is refused: ")
    assert "Error: " in sentence or "it is DATE, and the column is INTEGER; cast it" in sentence
    assert sentence.endswith("; write it over the aliases v1 and v2")


def test_an_expectation_that_fails_on_a_row_is_named(engine: Engine) -> None:
    by = Comparator(
        key="id", expected=[expected("v1.n <> 'a'"), expected("v1.n = 'b'", reason="R", n="v1.n::INT::VARCHAR")]
    )
    sentence = refused(engine, ExpectationFailed, by, rows("1, 'b'"), rows("1, 'c'"))
    assert sentence.startswith("expected difference 'R': v2_equals['n'] = 'v1.n::INT::VARCHAR' failed on a row: ")


def test_a_query_that_cannot_run_names_its_side(engine: Engine) -> None:
    sentence = refused(engine, BadRelation, Comparator(key="id"), rows("1, 1"), "SELECT * FROM nowhere")
    assert sentence.startswith("the query of v2 cannot be run: ")
    assert sentence.endswith("; correct v2= in the comparator")


def test_buckets_are_refused_where_every_row_must_be_judged(engine: Engine) -> None:
    by = Comparator(key="id", rules={"n": Absolute(1)})
    assert refused(engine, PlanRefused, by, rows("1, 1"), rows("1, 1"), plan=DiffPlan.BUCKETS) == (
        "the plan 'buckets' cannot be used: column 'n' has a tolerant rule; leave the choice to the tool"
    )
    assert issubclass(PlanRefused, UsageError)
