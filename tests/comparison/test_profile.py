"""Drifts: profiles against a naive count in Python, for every type, and the phrases that say what moved."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgauge.comparison.content.comparator import Comparator
from dualgauge.comparison.engine import profile as profile_module
from dualgauge.comparison.engine.diff import compare_relations
from dualgauge.comparison.engine.profile import between, notes
from dualgauge.comparison.values import Drift, Profile
from support.relations import TODAY
from support.store_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine


def look(engine: Engine, v1: str, v2: str, key: str = "id") -> dict[str, Drift]:
    return {one.column: one for one in between(engine, v1, v2, Comparator(key=key), stable=False, context=True)}


# What a naive reader would count.

CELLS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    pa.float64(): st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.5]),
    pa.string(): st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300) | st.sampled_from("abc"),
    pa.bool_(): st.booleans(),
    pa.decimal128(12, 2): st.integers(-(10**9), 10**9).map(lambda n: Decimal(n).scaleb(-2)),
    pa.date32(): st.dates(),
    pa.timestamp("us", tz="UTC"): st.datetimes(timezones=st.just(UTC)),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, list[pa.DataType]]:
    kinds = draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4))
    rows = draw(st.integers(0, 12))
    columns = [draw(st.lists(st.none() | CELLS[kind], min_size=rows, max_size=rows)) for kind in kinds]
    arrays = [pa.array(range(rows), pa.int64()), *map(pa.array, columns, kinds)]
    return pa.table(arrays, names=["id", *(f"c{at}" for at in range(len(kinds)))]), kinds


def naive(values: Sequence[Any]) -> Profile:
    there = [value for value in values if value is not None]
    least, most = (min(there), max(there)) if there else (None, None)
    if isinstance(least, str) and isinstance(most, str):
        least, most = least[:200], most[:200]
    return Profile(len(values), len(values) - len(there), len(set(there)), least, most)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_a_profile_is_what_a_naive_reader_counts(engine: Engine, table: tuple[pa.Table, list[pa.DataType]]) -> None:
    rows, _kinds = table
    engine.register("profiled", rows)
    try:
        found = look(engine, "SELECT * FROM profiled", "SELECT * FROM profiled")
    finally:
        engine.unregister("profiled")

    wanted = {name: naive(rows.column(name).to_pylist()) for name in rows.column_names}
    assert {name: one.v1 for name, one in found.items()} == wanted
    assert {name: one.v2 for name, one in found.items()} == wanted
    assert [one.notes for one in found.values()] == [()] * len(wanted)


# Every type that a store holds, and those that only a query can have; each with what is hard about it.
HARD: dict[str, list[str]] = {
    "BOOLEAN": ["true"],
    "TINYINT": ["-128"],
    "SMALLINT": ["-32768"],
    "INTEGER": ["-2147483648"],
    "BIGINT": ["-9223372036854775808", "9223372036854775807"],
    "UTINYINT": ["255"],
    "USMALLINT": ["65535"],
    "UINTEGER": ["4294967295"],
    "UBIGINT": ["18446744073709551615"],
    "HUGEINT": ["-170141183460469231731687303715884105728", "170141183460469231731687303715884105727"],
    "UHUGEINT": ["340282366920938463463374607431768211455"],
    "FLOAT": ["'nan'", "'inf'", "'-inf'", "-0.0"],
    "DOUBLE": ["'nan'", "'inf'", "'-inf'", "1e308", "-1e308"],
    "VARCHAR": ["''", "'🚆'", "chr(0)", "repeat('x', 100000)"],
    "UUID": ["'6f9619ff-8b86-d011-b42d-00c04fc964ff'"],
    "JSON": ["'{\"a\": [1]}'", "'null'"],
    "BLOB": ["'\\x00\\xFF'"],
    "DATE": ["'infinity'", "'-infinity'", "'0044-03-15 (BC)'", "'10000-01-01'"],
    "TIME": ["'24:00:00'", "'00:00:00'"],
    "TIMESTAMP": ["'infinity'", "'0044-03-15 (BC) 00:00:00'", "'294247-01-10 04:00:54.775806'"],
    "TIMESTAMP_S": ["'infinity'", "'2024-02-29 12:00:01'"],
    "TIMESTAMP_MS": ["'infinity'", "'2024-02-29 12:00:01.001'"],
    "TIMESTAMP WITH TIME ZONE": ["'infinity'", "'-infinity'", "'2024-02-29 12:00:01+05'"],
    "DECIMAL(p,s)": ["99999999999999999999999999999999999999"],
    "ENUM": ["'b'", "'a'"],
    "LIST": ["[1, NULL]"],
    "STRUCT": ["{'x': 1}"],
    "TIMESTAMP_NS": ["'2024-02-29 12:00:00.000000001'"],
    "TIME WITH TIME ZONE": ["'12:00:00+05'"],
    "INTERVAL": ["'1 month'", "'1 day'"],
    "BIT": ["'0101'"],
    "INTEGER[2]": ["[1, 2]"],
    "MAP(VARCHAR, INTEGER)": ["MAP {'a': 1}"],
    "UNION(a INTEGER, b VARCHAR)": ["1"],
}
WRITTEN = {
    "DECIMAL(p,s)": "DECIMAL(38,0)",
    "ENUM": "ENUM('b', 'a')",
    "LIST": "INTEGER[]",
    "STRUCT": "STRUCT(x INTEGER)",
}
UNORDERED = {"BLOB", "LIST", "STRUCT", "BIT", "INTEGER[2]", "MAP(VARCHAR, INTEGER)", "UNION(a INTEGER, b VARCHAR)"}


def test_every_type_that_a_store_holds_is_tried() -> None:
    assert set(TYPES) <= set(HARD)


@pytest.mark.parametrize("name", HARD)
def test_a_column_of_any_type_has_a_profile_that_json_can_hold(engine: Engine, name: str) -> None:
    kind = WRITTEN.get(name, name)
    values = [f"CAST({value} AS {kind})" for value in HARD[name]]
    rows = ", ".join(f"({at}, {value})" for at, value in enumerate([*values, f"CAST(NULL AS {kind})"]))
    query = f"SELECT * FROM (VALUES {rows}) AS t(id, c)"

    found = look(engine, query, f"SELECT id, CASE WHEN id >= 0 THEN NULL ELSE c END AS c FROM ({query})")["c"]

    assert found.v1 is not None
    assert (found.v1.rows, found.v1.nulls) == (len(values) + 1, 1)
    json.dumps(found.to_json(), allow_nan=False)
    if name in UNORDERED:
        assert (found.v1.distinct, found.v1.least, found.v1.most) == (None, None, None)
    else:
        assert found.v1.distinct == len(values)
        assert found.v1.least is not None
        assert found.v1.most is not None


def test_a_column_of_bare_nulls_and_an_empty_side_are_no_accident(engine: Engine) -> None:
    found = look(engine, "SELECT 1 AS id, NULL AS c", "SELECT 1 AS id, NULL AS c WHERE false")

    assert found["id"].notes == ("rows 1 in v1, 0 in v2",)
    assert found["c"].v1 == Profile(1, 1, None, None, None)
    assert found["c"].v2 == Profile(0, 0, None, None, None)


# What is said, and what is passed over.


def profile(
    least: object = 0, most: object = 100, *, rows: int = 100, nulls: int = 0, distinct: int | None = 50
) -> Profile:
    return Profile(rows, nulls, distinct, least, most)


SAME = profile()


@pytest.mark.parametrize(
    ("v1", "v2", "said"),
    [
        (SAME, SAME, []),
        (SAME, profile(rows=105), []),
        (SAME, profile(rows=120), ["rows 100 in v1, 120 in v2"]),
        (profile(rows=1000, nulls=100), profile(rows=1000, nulls=109), []),
        (profile(rows=1000, nulls=100), profile(rows=1000, nulls=110), ["null share 10 % in v1, 11 % in v2"]),
        (SAME, profile(rows=8, nulls=1), ["rows 100 in v1, 8 in v2", "null share 0 % in v1, 12.5 % in v2"]),
        (
            profile(rows=1_000_000),
            profile(rows=1_000_000, nulls=1),
            ["null share 0 % in v1, under 0.01 % in v2"],
        ),
        (
            profile(rows=1_000_000, nulls=1_000_000, distinct=0, least=None, most=None),
            profile(rows=1_000_000, nulls=999_999),
            [],
        ),
        (SAME, profile(distinct=41), []),
        (profile(distinct=120), profile(distinct=3), ["distinct 120 in v1, 3 in v2"]),
        (profile(distinct=1), profile(distinct=2), ["distinct 1 in v1, 2 in v2"]),
        (SAME, profile(most=110), []),
        (SAME, profile(most=112), ["most 100 in v1, 112 in v2"]),
        (
            profile(Decimal("1.00"), Decimal("99.00")),
            profile(Decimal("100.00"), Decimal("9900.00")),
            ["most 99.00 in v1, 9900.00 in v2"],
        ),
        (profile(0.0, 1.0), profile(0.0, float("nan")), ["most 1.0 in v1, NaN in v2"]),
        (profile(0.0, float("nan")), profile(0.0, float("nan")), []),
        (profile(0.0, float("inf")), profile(0.0, 5.0), ["most Infinity in v1, 5.0 in v2"]),
        (profile(0, 10**400), profile(0, 10**401), [f"most 1{'0' * 36}... in v1, 1{'0' * 36}... in v2"]),
        (profile("", "z"), profile("a", "z"), ["least '' in v1, 'a' in v2"]),
        (profile("a", "z" * 200), profile("a", "y"), [f"most '{'z' * 36}... in v1, 'y' in v2"]),
        (profile(False, True), profile(False, False), ["most True in v1, False in v2"]),
        (
            profile(date(2026, 1, 1), date(2026, 1, 31)),
            profile(date(2026, 1, 1), date(2026, 1, 30)),
            ["most 2026-01-31 in v1, 2026-01-30 in v2"],
        ),
        (
            profile(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)),
            profile(datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=1), datetime(2026, 1, 31, tzinfo=UTC)),
            ["least 2026-01-01 00:00:00+00:00 in v1, 2025-12-31 23:00:00+00:00 in v2"],
        ),
        (profile(None, None, distinct=None), profile(None, None, distinct=None), []),
    ],
)
def test_what_drifted_is_said_in_phrases(v1: Profile, v2: Profile, said: list[str]) -> None:
    assert list(notes(v1, v2, rows=True)) == said


def test_a_column_that_one_side_lacks_or_cannot_be_compared_has_what_can_be_said(engine: Engine) -> None:
    found = look(
        engine,
        "SELECT id, id AS a, id AS b, id AS _context FROM range(10) t(id)",
        "SELECT id, CASE WHEN id > 4 THEN 'x' || id END AS a, id AS c FROM range(10) t(id)",
    )

    assert list(found) == ["id", "a", "b", "c"]
    assert found["a"].notes == ("null share 0 % in v1, 50 % in v2",)
    assert found["a"].v2 == Profile(10, 5, 5, "x5", "x9")
    assert (found["b"].v1, found["b"].v2, found["b"].notes) == (Profile(10, 0, 10, 0, 9), None, ())
    assert (found["c"].v1, found["c"].v2, found["c"].notes) == (None, Profile(10, 0, 10, 0, 9), ())


def test_above_a_number_of_rows_distinct_values_are_estimated_within_a_tenth(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_module, "EXACT_ROWS", 99_999)
    query = "SELECT id, id % 30000 AS c, id % 3 AS few FROM range(100000) t(id)"

    found = look(engine, query, query)

    assert found["c"].v1 is not None
    assert found["c"].v1.distinct == pytest.approx(30_000, rel=0.1)
    assert found["few"].v1 is not None
    assert found["few"].v1.distinct == pytest.approx(3, abs=0)
    assert found["id"].v1 is not None
    assert found["id"].v1.distinct is not None
    assert 90_000 <= found["id"].v1.distinct <= 100_000


def test_every_diff_has_the_drifts_and_they_judge_nothing(engine: Engine) -> None:
    v1 = "SELECT id, id * 0.01 AS price FROM range(100) t(id)"

    found = compare_relations(engine, v1, f"SELECT id, price * 1.5 AS price FROM ({v1})",
                              Comparator(key="id", v1=v1), today=TODAY)  # fmt: skip

    assert found.mismatched == 99
    assert {one.column: one.notes for one in found.drifts} == {
        "id": (),
        "price": ("most 0.990 in v1, 1.485 in v2",),
    }
    assert json.loads(json.dumps(found.to_json()))["drifts"][0]["v1"] == {
        "rows": 100, "nulls": 0, "distinct": 100, "least": 0, "most": 99,
    }  # fmt: skip


def test_what_a_diff_knows_already_changes_no_profile(engine: Engine) -> None:
    v1 = "SELECT i AS id, i % 7 AS same, i AS moved, i % 2 = 0 AS flag, 'a' || i AS word FROM range(1000) t(i)"
    others = {
        "equal": f"SELECT * FROM ({v1})",
        "cells": f"SELECT * REPLACE (moved + (id = 999)::INT * 5 AS moved, id = 0 AS flag) FROM ({v1})",
        "fewer rows": f"SELECT * FROM ({v1}) WHERE id % 100 <> 3",
        "more rows": f"FROM ({v1}) UNION ALL SELECT 2000, NULL, NULL, NULL, 'zz'",
        "a key twice": f"FROM ({v1}) UNION ALL SELECT 1, 99, -99, NULL, 'zz'",
    }
    for name, v2 in others.items():
        for stable in (True, False):
            found = compare_relations(engine, v1, v2, Comparator(key="id"), today=TODAY, stable=stable).drifts
            assert {one.column: one for one in found} == look(engine, v1, v2), name


def test_keys_of_no_common_type_leave_the_drifts(engine: Engine) -> None:
    found = compare_relations(
        engine, "SELECT 1 AS id, 5 AS n", "SELECT DATE '2026-01-01' AS id, 500 AS n", Comparator(key="id"), today=TODAY
    )

    assert (found.rows_v1, found.rows_v2, found.compared) == (1, 1, 0)
    assert {one.column: one.notes for one in found.drifts} == {
        "id": (),
        "n": ("least 5 in v1, 500 in v2", "most 5 in v1, 500 in v2"),
    }
