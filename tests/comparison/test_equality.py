"""Two values of any type are the same, or are told apart, whatever plan looks at them and wherever they are nested."""

from __future__ import annotations

import itertools
from datetime import date
from typing import TYPE_CHECKING

import pytest

from dualgauge.comparison.content.comparator import Comparator
from dualgauge.comparison.content.json_content import content_of
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.comparison.engine.equality import CONTENT, equal, form, hashable, unknown
from dualgauge.comparison.engine.kinds import kind_of
from dualgauge.comparison.errors import NoEquality, PlanRefused
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

TODAY = date(2026, 3, 1)

UNLIKE: dict[str, list[str]] = {
    "BOOLEAN": ["true", "false"],
    "TINYINT": ["0", "-1", "1", "-128", "127"],
    "BIGINT": ["0", "-1", "1", "4294967296", "-9223372036854775808", "9223372036854775807", "-2930909409056394622"],
    "UBIGINT": ["0", "1", "18446744073709551615", "18446744073709551614"],
    "HUGEINT": [
        "0", "-1", "1", "18446744073709551615", "18446744073709551616", "-18446744073709551616",
        "9223372036854775808", "-9223372036854775809", "170141183460469231731687303715884105727",
    ],
    "UHUGEINT": ["0", "1", "18446744073709551615", "18446744073709551616", "340282366920938463463374607431768211455"],
    "BIGNUM": ["0", "-1", "1", "340282366920938463463374607431768211456", "-340282366920938463463374607431768211456"],
    "FLOAT": ["0", "-1", "1", "nan", "inf", "-inf", "0.1", "1e-45", "3.4028235e38"],
    "DOUBLE": ["0", "-1", "1", "nan", "inf", "-inf", "0.1", "0.10000000000000002", "5e-324", "1.7976931348623157e308"],
    "DECIMAL(4,2)": ["0.00", "-0.01", "0.01", "99.99"],
    "DECIMAL(18,2)": ["0.00", "-0.01", "0.01", "9999999999999999.99"],
    "DECIMAL(19,2)": ["0.00", "-0.01", "0.01", "99999999999999999.99", "-99999999999999999.99"],
    "DECIMAL(38,2)": ["0.00", "-0.01", "0.01", "184467440737095516.16", "999999999999999999999999999999999999.99"],
    "DECIMAL(38,30)": ["0", "-0.000000000000000000000000000001", "0.000000000000000000000000000001", "99999999.5"],
    "VARCHAR": ["", " ", "NULL", "null", "a", "A", "a ", "1", "[]", "ä", "a\u0308", "', '", '"', "\\", "a, b"],
    "BLOB": ["", "a", "\\x00", "\\x00\\x00", "\\xFF", "\\x22", "\\x5C"],
    "BIT": ["0", "00", "000000000", "1", "01", "10000000", "100000000"],
    "DATE": ["1970-01-01", "1969-12-31", "infinity", "-infinity", "0001-01-01 (BC)", "0001-01-01"],
    "TIME": ["00:00:00", "24:00:00", "00:00:00.000001"],
    "TIME_NS": ["00:00:00", "24:00:00", "00:00:00.000000001"],
    "TIME WITH TIME ZONE": ["00:00:00+00", "24:00:00+00", "01:00:00+01", "00:00:00+15:59:59", "00:00:00-15:59:59"],
    "TIMESTAMP": ["1970-01-01", "1970-01-01 00:00:00.000001", "infinity", "-infinity"],
    "TIMESTAMP_S": ["1970-01-01", "1970-01-01 00:00:01", "infinity", "-infinity"],
    "TIMESTAMP_MS": ["1970-01-01", "1970-01-01 00:00:00.001", "infinity", "-infinity"],
    "TIMESTAMP_NS": ["1970-01-01", "1970-01-01 00:00:00.000000001", "infinity", "-infinity"],
    "TIMESTAMP WITH TIME ZONE": ["1970-01-01 00:00:00+00", "1970-01-01 00:00:00+01", "infinity", "-infinity"],
    "TIMESTAMPTZ_NS": ["1970-01-01 00:00:00+00", "1970-01-01 00:00:00.000000001+00", "infinity"],
    "UUID": [
        "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "00000000-0000-0001-0000-000000000001", "80000000-0000-0000-0000-000000000000",
    ],
    "INTERVAL": [
        "0 days", "1 month", "30 days", "720 hours", "1 year", "360 days", "1 month -30 days", "-1 month", "1 day",
        "24 hours", "-1 day 24 hours", "1 microsecond",
    ],
    "GEOMETRY": ["POINT (1 2)", "POINT (2 1)", "POINT (-0 1)", "POINT (0 1)", "POINT EMPTY", "POINT Z (1 2 3)"],
    "ENUM('a', 'it''s', 'x, y')": ["a", "it's", "x, y"],
    "JSON": [
        "null", "0", "-1", "true", "false", '""', '"null"', "[]", "{}", "[null]", '{"a":null}', '{"a":1}', '{"A":1}',
        '{"a":1,"b":2}', "[1,2]", "[2,1]", "9007199254740993", "9007199254740992", "0.1", "0.10000000000000001",
        "1e400", "1e401", '{"a":1,"a":2}', '{"a":2,"a":1}', '{"a":2}', '"a, b"', "[[1],[2]]", "[[1,2]]", '"é"', '"1"',
    ],
}  # fmt: skip

LISTS: dict[str, list[str]] = {
    "BIGINT[]": ["[]", "[NULL]", "[NULL, NULL]", "[0]", "[1]", "[1, 2]", "[2, 1]"],
    "BIGINT[2]": ["[NULL, NULL]", "[0, NULL]", "[NULL, 0]", "[1, 2]", "[2, 1]"],
    "BIGINT[][]": ["[]", "[[]]", "[NULL]", "[[NULL]]", "[[1, 2], [3]]", "[[1], [2, 3]]", "[[1, 2, 3]]"],
    "STRUCT(a BIGINT, b BIGINT[])": [
        "{'a': NULL, 'b': NULL}", "{'a': NULL, 'b': []}", "{'a': NULL, 'b': [NULL]}", "{'a': 1, 'b': []}",
        "{'a': 0, 'b': []}",
    ],
    'STRUCT("a b" VARCHAR, "c""d" VARCHAR)': [
        "{'a b': 'x', 'c\"d': NULL}", "{'a b': NULL, 'c\"d': 'x'}", "{'a b': 'x', 'c\"d': ''}",
    ],
    "TUPLE(BIGINT, INTERVAL)": [
        "row(1, INTERVAL '1 month')", "row(1, INTERVAL '30 days')", "row(NULL, INTERVAL '30 days')",
    ],
    "MAP(VARCHAR, BIGINT)": [
        "MAP {}", "MAP {'a': NULL}", "MAP {'a': 1}", "MAP {'a': 1, 'b': 2}", "MAP {'a': 2, 'b': 1}",
    ],
    "MAP(INTERVAL, MAP(VARCHAR, DOUBLE))": [
        "MAP {INTERVAL '1 month': MAP {'a': 1}}", "MAP {INTERVAL '30 days': MAP {'a': 1}}",
        "MAP {INTERVAL '30 days': MAP {'a': 'nan'::DOUBLE}}", "MAP {INTERVAL '30 days': NULL}",
    ],
    "UNION(a BIGINT, b BIGINT)": [
        "union_value(a := 1)", "union_value(b := 1::BIGINT)::UNION(a BIGINT, b BIGINT)",
        "union_value(a := NULL::BIGINT)",
        "union_value(b := NULL::BIGINT)::UNION(a BIGINT, b BIGINT)",
    ],
    "UNION(a INTERVAL, b JSON)": [
        "union_value(a := INTERVAL '1 month')", "union_value(a := INTERVAL '30 days')",
        "union_value(b := '1'::JSON)::UNION(a INTERVAL, b JSON)",
        "union_value(b := 'null'::JSON)::UNION(a INTERVAL, b JSON)",
    ],
    "JSON[]": [
        "['null']", "[NULL]", "['\"a\"', '\"b\"']", "['\"a, b\"']", "['[1, 2]']", "['1', '2']", "['{\"a\": 1}']",
    ],
}  # fmt: skip

NESTED = ("{}[]", "{}[1]", "STRUCT(a {})", "MAP(VARCHAR, {})", "{}[][]", "STRUCT(a {}[])", "UNION(a {})")
"""What each type is put into; `_inside` writes its values."""

ALIKE: list[tuple[str, str, str]] = [
    ("DOUBLE", "0.0::DOUBLE", "'-0.0'::DOUBLE"),
    ("DOUBLE", "'nan'::DOUBLE", "-('nan'::DOUBLE)"),
    ("DOUBLE[]", "[0.0::DOUBLE, 'nan']", "['-0.0'::DOUBLE, -('nan'::DOUBLE)]"),
    ("INTERVAL", "INTERVAL '1 year'", "INTERVAL '12 months'"),
    ("INTERVAL", "INTERVAL '90 seconds'", "INTERVAL '1 minute 30 seconds'"),
    ("MAP(VARCHAR, BIGINT)", "MAP {'a': 1, 'b': 2}", "MAP {'b': 2, 'a': 1}"),
    ("MAP(VARCHAR, BIGINT)[]", "[MAP {'a': 1, 'b': 2}]", "[MAP {'b': 2, 'a': 1}]"),
    ("MAP(DOUBLE, BIGINT)", "MAP {'nan'::DOUBLE: 1, 0: 2}", "MAP {0: 2, 'nan'::DOUBLE: 1}"),
    ("JSON", """'{"a":1,"b":[2.0]}'""", """'{ "b" : [ 2 ], "a" : 1e0 }'"""),
    ("JSON", "'5'", "'5.0'"),
    ("JSON", "'100'", "'1E+2'"),
    ("JSON", "'0'", "'-0.0e7'"),
    ("JSON", """'"é"'""", r"""'"\u00e9"'"""),
    ("JSON", """'"/"'""", r"""'"\/"'"""),
    ("JSON", "'[]'", "'[ ]'"),
    ("JSON[]", """['{"a":1,"b":2}']""", """['{"b":2,"a":1}']"""),
    ("STRUCT(a JSON)", """{'a': '{"a":1,"b":2}'}""", """{'a': '{"b":2,"a":1}'}"""),
    ("UNION(a JSON, b BIGINT)", "union_value(a := '5'::JSON)", "union_value(a := '5.0'::JSON)"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=2) as opened:
        opened.define(CONTENT, content_of)
        yield opened


def keep(engine: Engine, values: list[str]) -> None:
    """Name a table `it` of the values, `x`, with their places."""
    rows = " UNION ALL ".join(f"SELECT {at} AS place, {one} AS x" for at, one in enumerate(values))
    engine.execute(f"CREATE OR REPLACE TEMP TABLE it AS {rows}")


def _scalar(kind: str, text: str) -> str:
    return f"CAST('{text.replace(chr(39), chr(39) * 2)}' AS {kind})"


def _inside(pattern: str, kind: str, value: str) -> str:
    inner = {
        "{}[]": f"[{value}]",
        "{}[1]": f"[{value}]",
        "STRUCT(a {})": f"{{'a': {value}}}",
        "MAP(VARCHAR, {})": f"MAP {{'k': {value}}}",
        "{}[][]": f"[[], [{value}]]",
        "STRUCT(a {}[])": f"{{'a': [NULL, {value}]}}",
        "UNION(a {})": f"union_value(a := {value})",
    }[pattern]
    return f"CAST({inner} AS {pattern.format(kind)})"


def _types() -> Iterator[tuple[str, list[str]]]:
    """Every type, alone and nested, with values of it that all differ."""
    for kind, texts in UNLIKE.items():
        scalars = [_scalar(kind, text) for text in texts]
        yield kind, [*scalars, f"CAST(NULL AS {kind})"]
        for pattern in NESTED:
            name = pattern.format(kind)
            inside = [_inside(pattern, kind, value) for value in (*scalars, f"CAST(NULL AS {kind})")]
            yield name, [*inside, f"CAST(NULL AS {name})"]
    for kind, texts in LISTS.items():
        yield kind, [*(f"CAST({text} AS {kind})" for text in texts), f"CAST(NULL AS {kind})"]


TYPES = dict(_types())


@pytest.mark.parametrize("kind", TYPES)
def test_values_that_differ_are_told_apart_and_so_are_their_hashes(engine: Engine, kind: str) -> None:
    values = TYPES[kind]
    keep(engine, values)
    described = kind_of(engine.columns("SELECT x FROM it")["x"])
    pairs = engine.rows(
        "SELECT a.place, b.place FROM it AS a, it AS b "
        f"WHERE {equal('a.x', 'b.x', described)} AND a.place <= b.place ORDER BY ALL"
    )
    assert pairs == [(at, at) for at in range(len(values))]
    key, _ = form("x", described)
    assert engine.row(f"SELECT count(DISTINCT y) FROM (SELECT {key} AS y FROM it)")[0] == len(values) - 1
    hashed = hashable("x", described)
    if hashed is not None:
        assert engine.row(f"SELECT count(DISTINCT hash({hashed}, x IS NULL)) FROM it")[0] == len(values)
    else:
        assert described.holds("GEOMETRY") or (described.holds("UNION") and described.holds("JSON"))


@pytest.mark.parametrize(("kind", "a", "b"), ALIKE)
def test_values_that_are_one_to_us_are_matched_by_every_plan_and_pair_rows(
    engine: Engine, kind: str, a: str, b: str
) -> None:
    described = kind_of(kind)
    sides = [f"SELECT 1 AS id, CAST({one} AS {kind}) AS x, 2 AS n" for one in (a, b)]
    unhashed = hashable("x", described) is None
    for plan in [None, DiffPlan.WIDE] if unhashed else [None, *DiffPlan]:
        for key in ("id", "x"):
            result = compare_relations(engine, *sides, Comparator(key=key), today=TODAY, plan=plan)
            assert (result.matched, result.verdict) == (1, Outcome.PASS), (plan, key)
    twice = compare_relations(engine, f"{sides[0]} UNION ALL {sides[1]}", sides[0], Comparator(key="x"), today=TODAY)
    assert [(one.side, one.duplicate_keys, one.duplicate_rows) for one in twice.key_problems] == [("v1", 1, 2)]


@pytest.mark.parametrize("plan", DiffPlan)
@pytest.mark.parametrize(
    "kind",
    ["HUGEINT", "DECIMAL(38,2)", "INTERVAL", "JSON", "DOUBLE", "UUID", "MAP(VARCHAR, INTERVAL)", "BIGINT[]", "JSON[]",
     "STRUCT(a BIGINT, b BIGINT[])", "BLOB[]", "VARCHAR[]"],
)  # fmt: skip
def test_each_unlike_pair_is_a_difference_as_a_value_and_two_rows_as_a_key(
    engine: Engine, kind: str, plan: DiffPlan
) -> None:
    values = TYPES[kind]
    pairs = list(itertools.permutations(range(len(values)), 2))
    keep(engine, values)
    engine.execute("CREATE OR REPLACE TEMP TABLE two (id INTEGER, a INTEGER, b INTEGER)")
    engine.execute(f"INSERT INTO two VALUES {', '.join(f'({at}, {a}, {b})' for at, (a, b) in enumerate(pairs))}")
    v1, v2 = (f"SELECT two.id, it.x FROM two JOIN it ON it.place = two.{side}" for side in ("a", "b"))
    result = compare_relations(engine, v1, v2, Comparator(key="id"), today=TODAY, plan=plan, samples=0)
    assert (result.changed, result.matched) == (len(pairs), 0)
    # As a key: the first half is in v1, the second in v2.
    half = len(values) // 2
    v1, v2 = (f"SELECT x, 1 AS n FROM it WHERE x IS NOT NULL AND place {sign} {half}" for sign in ("<", ">="))
    result = compare_relations(engine, v1, v2, Comparator(key="x"), today=TODAY, plan=plan)
    assert (result.compared, result.only_in_v1, result.only_in_v2) == (0, half, len(values) - 1 - half)
    assert result.key_problems == ()


@pytest.mark.parametrize("plan", DiffPlan)
def test_what_moves_from_one_column_to_the_next_is_seen(engine: Engine, plan: DiffPlan) -> None:
    moves = [
        ("BIGINT[]", ("[1, 2]", "[3]"), ("[1]", "[2, 3]")),
        ("VARCHAR[]", ("['a', 'b']", "NULL"), ("['a']", "['b']")),
        ("BIGINT", ("0", "NULL"), ("NULL", "0")),
        ("VARCHAR", ("''", "NULL"), ("NULL", "''")),
        ("HUGEINT", ("1", "2"), ("2", "1")),
        ("MAP(VARCHAR, BIGINT)", ("MAP {'a': 1}", "NULL"), ("NULL", "MAP {'a': 1}")),
    ]
    for kind, *sides in moves:
        v1, v2 = (f"SELECT 1 AS id, CAST({p} AS {kind}) AS p, CAST({q} AS {kind}) AS q" for p, q in sides)
        assert compare_relations(engine, v1, v2, Comparator(key="id"), today=TODAY, plan=plan).changed == 1, kind


def test_values_swapped_between_two_keys_of_one_bucket_are_seen(engine: Engine) -> None:
    """DuckDB's hash of 0 and of -1 as HUGEINT is one, so they share a bucket, and the sums of their rows must not."""
    v1 = "SELECT CAST(k AS HUGEINT) AS id, n FROM (VALUES (0, 1), (-1, 2)) AS t(k, n)"
    v2 = "SELECT CAST(k AS HUGEINT) AS id, n FROM (VALUES (0, 2), (-1, 1)) AS t(k, n)"
    for plan in DiffPlan:
        assert compare_relations(engine, v1, v2, Comparator(key="id"), today=TODAY, plan=plan).changed == 2


@pytest.mark.parametrize("kind", ["VARIANT", "VARIANT[]", "STRUCT(a VARIANT)"])
def test_a_type_without_an_equality_is_refused_by_name(engine: Engine, kind: str) -> None:
    value = {"VARIANT": "1", "VARIANT[]": "[1]", "STRUCT(a VARIANT)": "{'a': 1}"}[kind]
    sql = f"SELECT 1 AS id, CAST({value} AS {kind}) AS x"
    with pytest.raises(NoEquality) as refused:
        compare_relations(engine, sql, sql, Comparator(key="id"), today=TODAY)
    assert str(refused.value) == (
        "column 'x' holds VARIANT, and when two values of that type are the same is not defined; "
        "cast it to another type in v1= and v2= of the comparator (to JSON, or to text), or leave it out there"
    )


def test_a_type_without_a_proven_hash_is_judged_by_value(engine: Engine) -> None:
    sql = "SELECT 1 AS id, ['POINT (1 2)'::GEOMETRY] AS x"
    result = compare_relations(engine, sql, sql, Comparator(key="id"), today=TODAY)
    assert result.plan == "wide: column 'x' is GEOMETRY[], and no hash of that type is proven"
    with pytest.raises(PlanRefused) as refused:
        compare_relations(engine, sql, sql, Comparator(key="id"), today=TODAY, plan=DiffPlan.NARROW)
    assert str(refused.value) == (
        "the plan 'narrow' cannot be used: column 'x' is GEOMETRY[], and no hash of that type is proven; "
        "leave the choice to the tool"
    )


def test_every_type_of_the_engine_is_known_or_refused(engine: Engine) -> None:
    """A type that a later DuckDB adds must not slip through unproven."""
    tried = {kind_of(kind).family for kind in TYPES}
    there = {
        row[0] for row in engine.rows("SELECT DISTINCT logical_type FROM duckdb_types() WHERE database_name = 'system'")
    }
    refused = {"VARIANT", "TYPE"}
    small = {"SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
    assert there - tried - refused - small <= {"NULL"}
    assert all(unknown(kind_of(kind)) == kind for kind in refused)


@pytest.mark.parametrize(
    "value",
    ["{}", "[{}]", "{{'s': {}}}", "map([{}], [1])", "[{{'s': [{}]}}]", "[[{}]]"],
)
@pytest.mark.parametrize("collation", ["NOCASE", "NOACCENT"])
def test_a_collation_makes_no_match(engine: Engine, value: str, collation: str) -> None:
    other = {"NOCASE": "A", "NOACCENT": "ä"}[collation]
    sides = [f"SELECT 1 AS id, {value.format(f'{text!r} COLLATE {collation}')} AS x" for text in ("a", other)]

    for plan in DiffPlan:
        found = compare_relations(engine, *sides, Comparator(key="id"), today=TODAY, plan=plan)
        assert (found.verdict, found.changed) == (Outcome.FAIL, 1)
    keyed = compare_relations(engine, *sides, Comparator(key="x"), today=TODAY)
    assert (keyed.verdict, keyed.only_in_v1, keyed.only_in_v2) == (Outcome.FAIL, 1, 1)
