"""Types that the engine, Arrow or Parquet would bend are compared exactly, or refused by the column's name."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dualgauge
from dualgauge import Absolute, Comparator
from dualgauge.comparison.errors import UnreadableLocation
from dualgauge.comparison.files.number_text import number_text
from dualgauge.engines.duck import open_engine
from dualgauge.model import Outcome
from support.parquet_sides import BY_ID, decimals, files, patterns, write
from support.thinned import thinned

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.values import Comparison

WIDE = "12345678901234567890123456789012345678901234567890"


def run(url: str, *statements: str) -> None:
    """Run statements in a database of PostgreSQL."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def kinds(found: Comparison, name: str = "x") -> tuple[str | None, str | None, str]:
    """The types of a column of both sides, and what the schema says of them."""
    [column] = [one for one in found.schema if one.name == name]
    return column.v1_type, column.v2_type, column.verdict.value


def times(unit: str, *values: int, zone: str | None = None) -> pa.Array:
    """Times of Arrow."""
    return pa.array(values, pa.timestamp(unit, zone))


# Two files.

NS = 1577836800123456789
US = NS // 1000
FIRST, LAST = -62135596800000000, 253402300799999999


@pytest.mark.parametrize(
    ("v1", "v2", "verdict", "types"),
    [
        (decimals(WIDE + ".12"), decimals(WIDE + ".120", digits=70, scale=3), "pass", ("VARCHAR", "VARCHAR", "same")),
        (decimals(WIDE + ".12"), decimals(WIDE + ".13"), "fail", ("VARCHAR", "VARCHAR", "same")),
        (decimals("-" + WIDE), decimals(WIDE), "fail", ("VARCHAR", "VARCHAR", "same")),
        (decimals("-0.00"), decimals("0"), "pass", ("DECIMAL(18,0)", "DECIMAL(18,0)", "same")),
        (decimals("1.10"), decimals("1.1", digits=10, scale=1), "pass", ("DECIMAL(18,1)", "DECIMAL(10,1)", "retyped")),
        (decimals("9007199254740993"), pa.array([9007199254740993]), "pass", ("DECIMAL(18,0)", "BIGINT", "retyped")),
        (decimals("9007199254740993"), pa.array([9007199254740992]), "fail", ("DECIMAL(18,0)", "BIGINT", "retyped")),
        (decimals("9007199254740993"), pa.array([2.0**53]), "fail", ("DECIMAL(18,0)", "DOUBLE", "retyped")),
        (decimals("0.1"), pa.array([0.1]), "pass", ("DECIMAL(18,1)", "DOUBLE", "retyped")),
        (decimals(WIDE), pa.array([1]), "fail", ("VARCHAR", "VARCHAR", "same")),
        (decimals("1" + "0" * 50), pa.array([1e50]), "fail", ("VARCHAR", "VARCHAR", "same")),
        (decimals(str(int(1e50))), pa.array([1e50]), "pass", ("VARCHAR", "VARCHAR", "same")),
        (decimals(WIDE), decimals("1"), "fail", ("VARCHAR", "VARCHAR", "same")),
        (pa.array([0.1], pa.float16()), pa.array([0.0999755859375], pa.float32()), "pass", ("FLOAT", "FLOAT", "same")),
        (pa.array([0.1], pa.float16()), pa.array([0.1], pa.float32()), "fail", ("FLOAT", "FLOAT", "same")),
        (
            pa.array([2**64 - 1], pa.uint64()),
            pa.array([2**64 - 2], pa.uint64()),
            "fail",
            ("UBIGINT", "UBIGINT", "same"),
        ),
        (pa.array([2**63], pa.uint64()), pa.array([-(2**63)]), "fail", ("UBIGINT", "BIGINT", "retyped")),
        (times("ms", 1), times("ns", 1_000_000), "pass", ("TIMESTAMP", "TIMESTAMP_NS", "retyped")),
        (times("ms", 1), times("ns", 1_000_001), "fail", ("TIMESTAMP", "TIMESTAMP_NS", "retyped")),
        (times("s", 1), times("ns", 10**9 + 1), "fail", ("TIMESTAMP", "TIMESTAMP_NS", "retyped")),
        (
            pa.array([1], pa.duration("s")),
            pa.array([1000], pa.duration("ms")),
            "pass",
            ("INTERVAL", "INTERVAL", "same"),
        ),
        (pa.array([1], pa.duration("s")), pa.array([1], pa.duration("ms")), "fail", ("INTERVAL", "INTERVAL", "same")),
        (
            pa.array([5], pa.duration("us")),
            pa.array([5000], pa.duration("ns")),
            "pass",
            ("INTERVAL", "INTERVAL", "same"),
        ),
    ],
)
def test_wide_and_unlike_types_are_compared_digit_for_digit(
    tmp_path: Path, v1: pa.Array, v2: pa.Array, verdict: str, types: tuple[str, str, str]
) -> None:
    found = files(tmp_path, v1, v2)

    assert (found.verdict.value, kinds(found)) == (verdict, types)


@pytest.mark.parametrize("beside", [decimals(WIDE), decimals("1"), times("us", 5)], ids=["wide", "narrow", "time"])
@pytest.mark.parametrize("int96", [True, False])
@pytest.mark.parametrize(("milliseconds", "verdict"), [(5, "pass"), (5_000, "fail")])
def test_a_duration_is_exact_whatever_column_is_read_by_hand_beside_it(
    tmp_path: Path, beside: pa.Array, milliseconds: int, verdict: str, *, int96: bool
) -> None:
    for name, span in (
        ("v1", pa.array([milliseconds], pa.duration("ms"))),
        ("v2", pa.array([5_000], pa.duration("us"))),
    ):
        write(tmp_path, name, {"span": span, "beside": beside}, use_deprecated_int96_timestamps=int96)
    found = dualgauge.compare(tmp_path / "v1.parquet", tmp_path / "v2.parquet", BY_ID)

    assert (found.verdict.value, kinds(found, "span")) == (verdict, ("INTERVAL", "INTERVAL", "same"))


@pytest.mark.parametrize(
    ("v1", "v2", "verdict", "kind"),
    [
        (times("ns", NS), times("ns", NS), "pass", "TIMESTAMP_NS"),
        (times("ns", NS), times("ns", NS - 1), "fail", "TIMESTAMP_NS"),
        (times("ns", -NS), times("ns", -NS - 1), "fail", "TIMESTAMP_NS"),
        (times("us", US), times("us", US), "pass", "TIMESTAMP"),
        (times("us", FIRST, LAST), times("us", FIRST, LAST), "pass", "TIMESTAMP"),
        (times("us", FIRST, LAST), times("us", FIRST, LAST - 1), "fail", "TIMESTAMP"),
    ],
)  # fmt: skip
def test_nanoseconds_and_far_years_of_old_timestamps_count(
    tmp_path: Path, v1: pa.Array, v2: pa.Array, verdict: str, kind: str
) -> None:
    found = files(tmp_path, v1, v2, use_deprecated_int96_timestamps=True)

    assert (found.verdict.value, kinds(found)) == (verdict, (kind, kind, "same"))


def test_an_old_timestamp_is_what_the_same_time_of_another_type_is(tmp_path: Path) -> None:
    write(tmp_path, "a", {"x": pa.array([NS, None, -1], pa.timestamp("ns"))}, use_deprecated_int96_timestamps=True)
    write(tmp_path, "b", {"x": pa.array([NS, None, -1], pa.timestamp("ns"))})

    assert dualgauge.compare(tmp_path / "a.parquet", tmp_path / "b.parquet", BY_ID).verdict is Outcome.PASS


def test_columns_read_by_hand_stay_beside_their_rows_over_many_row_groups(tmp_path: Path) -> None:
    rows = 120_000
    wide = pa.array([Decimal(one * 10**30) for one in range(rows)], pa.decimal256(60, 0))
    other = pa.array([Decimal(one * 10**30 + (one == 77_777)) for one in range(rows)], pa.decimal256(60, 0))
    write(tmp_path, "a", {"x": wide, "at": times("ns", *range(rows))}, row_group_size=7_000)
    write(tmp_path, "b", {"x": other, "at": times("ns", *range(rows))}, row_group_size=11_000)

    found = dualgauge.compare(tmp_path / "a.parquet", tmp_path / "b.parquet", BY_ID)

    assert [(one.key, one.columns) for one in found.mismatches] == [({"id": 77_777}, ("x",))]


def test_a_tolerance_of_a_wide_decimal_that_fits_is_kept(tmp_path: Path) -> None:
    by = Comparator(key="id", rules={"x": Absolute(Decimal("0.01"))})

    assert files(tmp_path, decimals("1.10"), decimals("1.11"), by).verdict is Outcome.PASS
    assert files(tmp_path, decimals("1.10"), decimals("1.12"), by).verdict is Outcome.FAIL


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            pa.array([[Decimal(1)]], pa.list_(pa.decimal256(50, 0))),
            (
                "its column 'x' holds a DECIMAL of 50 digits inside a list or a struct, of which digits would be lost; "
                "write it as a column of its own, or as text"
            ),
        ),
        (
            pa.array([1], pa.duration("ns")),
            (
                "its column 'x' holds durations finer than a microsecond, which is the finest that is compared; "
                "write them as whole numbers"
            ),
        ),
    ],
)
def test_what_cannot_be_read_whole_is_refused_by_its_name(tmp_path: Path, values: pa.Array, reason: str) -> None:
    with pytest.raises(UnreadableLocation) as refused:
        files(tmp_path, values, values)

    assert str(refused.value) == f"{tmp_path / 'a.parquet'} cannot be read: {reason}"


def test_bytes_in_a_list_are_no_text_of_their_letters(tmp_path: Path) -> None:
    write(tmp_path, "a", {"x": pa.array([[b"\x00"]])})
    write(tmp_path, "b", {"x": pa.array([["\\x00"]])})

    found = dualgauge.compare(tmp_path / "a.parquet", tmp_path / "b.parquet", BY_ID)
    assert (found.verdict, kinds(found)) == (Outcome.FAIL, ("BLOB[]", "VARCHAR[]", "incomparable"))


@pytest.mark.parametrize("form", ["{}[]", "STRUCT(f {})", "MAP(VARCHAR, {})", "STRUCT(f {})[]", "MAP({}, VARCHAR)"])
@pytest.mark.parametrize(
    ("v1", "v2"),
    [
        ("DATE '1970-01-01'", "'1970-01-01'"),
        ("TIME '01:02:03'", "'01:02:03'"),
        ("1", "'1'"),
        ("{'a': 1}", "MAP {'a': 1}"),
    ],
)
def test_values_inside_of_two_types_that_have_none_in_common_are_a_finding_of_the_schema(
    tmp_path: Path, form: str, v1: str, v2: str
) -> None:
    engine = duckdb.connect()
    for name, value in (("a", v1), ("b", v2)):
        kind = engine.sql(f"SELECT typeof({value})").fetchall()[0][0]
        packed = {
            "{}[]": f"[{value}]",
            "STRUCT(f {})": f"{{'f': {value}}}",
            "MAP(VARCHAR, {})": f"MAP {{'k': {value}}}",
        }
        packed |= {"STRUCT(f {})[]": f"[{{'f': {value}}}]", "MAP({}, VARCHAR)": f"MAP {{{value}: 'v'}}"}
        engine.execute(
            f"COPY (SELECT 0 AS id, ({packed[form]})::{form.format(kind)} AS x) TO '{tmp_path / name}.parquet'"
        )
    found = dualgauge.compare(tmp_path / "a.parquet", tmp_path / "b.parquet", BY_ID)

    assert (found.verdict, kinds(found)[2]) == (Outcome.FAIL, "incomparable")


def test_a_column_cut_by_the_engine_whose_name_differs_in_case_alone_is_refused(tmp_path: Path) -> None:
    wide = pa.array([Decimal(1)], pa.decimal256(50, 0))
    write(tmp_path, "a", {"x": pa.array([1]), "X": wide})

    with pytest.raises(UnreadableLocation, match="'X' holds a DECIMAL of 50 digits and differs from another one"):
        dualgauge.compare(tmp_path / "a.parquet", tmp_path / "a.parquet", BY_ID)


# Patterns whose files are not alike.

BIG = 9007199254740993


@pytest.mark.parametrize(
    ("columns", "verdict", "types"),
    [
        (([BIG], [0.5], [BIG], [0.5]), "pass", ("VARCHAR", "VARCHAR", "same")),
        (([BIG], [0.5], [BIG - 1], [0.5]), "fail", ("VARCHAR", "VARCHAR", "same")),
        (([BIG], [0.5], [float(BIG)], [0.5]), "fail", ("VARCHAR", "VARCHAR", "same")),
        (([[1]], [[2**40]], [[1]], [[2**40]]), "pass", ("BIGINT[]", "BIGINT[]", "same")),
        (([[1]], [[2**40]], [[1]], [[2**40 + 1]]), "fail", ("BIGINT[]", "BIGINT[]", "same")),
        (([5], [0.5], [5.0], [0.5]), "pass", ("DOUBLE", "DOUBLE", "same")),
        (([2**64 - 1], [-1], [2**64 - 2], [-1]), "fail", ("HUGEINT", "HUGEINT", "same")),
        ((["a"], [None], ["a"], [None]), "pass", ("VARCHAR", "VARCHAR", "same")),
    ],
)
def test_files_of_unlike_numbers_are_one_column_without_loss(
    tmp_path: Path, columns: tuple[list[Any], ...], verdict: str, types: tuple[str, str, str]
) -> None:
    narrow = {str([2**64 - 1]): pa.uint64(), str([2**64 - 2]): pa.uint64(), "[[1]]": pa.list_(pa.int32())}
    made = [{"x": pa.array(one, narrow.get(str(one)))} for one in columns]
    found = patterns(tmp_path, *made)

    assert (found.verdict.value, kinds(found)) == (verdict, types)


@pytest.mark.parametrize(
    ("key", "last", "verdict"),
    [("id", "1e-7", "pass"), ("id", "2e-7", "fail"), ("x", "1e-7", "pass"), ("x", "2e-7", "fail")],
)
def test_a_number_is_one_whatever_the_types_of_the_files_beside_it(
    tmp_path: Path, key: str, last: str, verdict: str
) -> None:
    write(tmp_path, "old-1", {"x": pa.array([0.5, 1e-07])})
    write(tmp_path, "old-2", {"x": pa.array([BIG])}, first=2)
    numbers = [Decimal("0.5"), Decimal(last), Decimal(BIG)]
    write(tmp_path, "new", {"x": pa.array(numbers, pa.decimal128(38, 7))})
    write(tmp_path, "mixed-1", {"x": pa.array(numbers[1:], pa.decimal128(38, 10))}, first=1)
    write(tmp_path, "mixed-2", {"x": pa.array([0.5])})
    (tmp_path / "new.csv").write_text(f"id,x\n0,0.50\n1,{numbers[1]:f}\n2,{BIG}\n")

    for v2 in ("new.parquet", "mixed-*.parquet", "new.csv"):
        found = dualgauge.compare(tmp_path / "old-*.parquet", tmp_path / v2, Comparator(key=key))
        assert found.verdict.value == verdict, v2


EXTREMES = [
    5e-324,
    2.2250738585072014e-308,
    1e308,
    -1.7976931348623157e308,
    -0.0,
    0.5,
    1e-07,
    1e-05,
    1e16,
    1e23,
    2.0**63,
]


def decimal_text(number: Decimal) -> str:
    """Its digits, without zeros at the end."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


@given(st.lists(st.floats() | st.floats(width=32) | st.sampled_from(EXTREMES), min_size=1, max_size=50))
def test_a_double_is_written_as_the_number_that_it_is(values: list[float]) -> None:
    with open_engine(threads=1) as engine:
        engine.register("numbers", pa.table({"x": pa.array(values)}))
        texts = engine.rows(f"SELECT {number_text('x', 'DOUBLE')} FROM numbers")

    for value, (text,) in zip(values, texts, strict=True):
        if not math.isfinite(value):
            assert text == repr(value)
        else:
            assert text == decimal_text(Decimal(value) if value.is_integer() else Decimal(repr(value)))


@pytest.mark.parametrize("scale", [0, 1, 7, 18, 30, 38])
def test_a_decimal_is_written_as_the_number_that_it_is(scale: int) -> None:
    digits = [0, 1, -1, 10, 500, -12300, 10**37, 10**38 - 1, -(10**20)]
    numbers = [Decimal((int(one < 0), tuple(map(int, str(abs(one)))), -scale)) for one in digits]
    with open_engine(threads=1) as engine:
        engine.register("numbers", pa.table({"x": pa.array(numbers, pa.decimal128(38, scale))}))
        texts = engine.rows(f"SELECT {number_text('x', f'DECIMAL(38,{scale})')} FROM numbers")

    assert [text for (text,) in texts] == list(map(decimal_text, numbers))


def test_digits_behind_the_point_are_not_cut_to_those_of_the_first_file(tmp_path: Path) -> None:
    whole = decimals("1234567890123456789012345678901234567.5", digits=38, scale=1)
    one, other = decimals("1.23456", digits=38, scale=30), decimals("1.23457", digits=38, scale=30)

    assert patterns(tmp_path, *({"x": of} for of in (whole, one, whole, one))).verdict is Outcome.PASS
    found = patterns(tmp_path, *({"x": of} for of in (whole, one, whole, other)))
    assert [(one.v1, one.v2) for one in found.mismatches] == [({"id": 10, "x": "1.23456"}, {"id": 10, "x": "1.23457"})]


@pytest.mark.parametrize(
    ("second", "third", "verdict"),
    [(times("ns", 7), times("ns", 1000), "pass"), (times("ns", 7), times("ns", 1001), "fail")],
)
def test_files_of_unlike_times_are_one_column_in_the_finest(
    tmp_path: Path, second: pa.Array, third: pa.Array, verdict: str
) -> None:
    found = patterns(tmp_path, {"x": times("us", 1)}, {"x": second}, {"x": third}, {"x": second})

    assert (found.verdict.value, kinds(found)) == (verdict, ("TIMESTAMP_NS", "TIMESTAMP_NS", "same"))


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (pa.array(["007"]), pa.array([7]), "is of unlike types (a-1.parquet has VARCHAR, a-2.parquet has BIGINT)"),
        (pa.array([True]), pa.array([1]), "is of unlike types (a-1.parquet has BOOLEAN, a-2.parquet has BIGINT)"),
        (
            pa.array([{"a": 1}]), pa.array([{"b": 1}]),
            "is of unlike types (a-1.parquet has STRUCT(a BIGINT), a-2.parquet has STRUCT(b BIGINT))",
        ),
        (
            times("us", 2**60), times("ns", 1),
            "is TIMESTAMP and TIMESTAMP_NS, and TIMESTAMP_NS does not hold all values of it",
        ),
    ],
)  # fmt: skip
def test_files_without_a_common_type_are_refused_with_their_names(
    tmp_path: Path, first: pa.Array, second: pa.Array, reason: str
) -> None:
    with pytest.raises(UnreadableLocation) as refused:
        patterns(tmp_path, *({"x": one} for one in (first, second, first, second)))

    assert str(refused.value) == (
        f"{tmp_path / 'a-*.parquet'} cannot be read: the column 'x' {reason}; write the files with one type, or "
        "compare them one by one"
    )


def test_a_file_that_lacks_a_column_is_refused_unless_the_other_side_is_alike(tmp_path: Path) -> None:
    both, one = {"x": pa.array([1]), "y": pa.array([1])}, {"x": pa.array([1])}
    null = {"x": pa.array([1]), "y": pa.array([None], pa.int64())}

    assert patterns(tmp_path, both, one, both, one).verdict is Outcome.PASS
    with pytest.raises(UnreadableLocation) as refused:
        patterns(tmp_path, both, one, both, null)
    assert str(refused.value) == (
        f"{tmp_path / 'a-*.parquet'} cannot be read: a-2.parquet has no column 'y', which its other files and the "
        "other side have; write that file with the column, or compare the files one by one"
    )


def test_names_that_differ_in_case_between_files_are_one_column(tmp_path: Path) -> None:
    found = patterns(tmp_path, {"X": pa.array([1])}, {"x": pa.array([2])}, {"x": pa.array([1])}, {"x": pa.array([3])})

    assert [(one.key, one.columns) for one in found.mismatches] == [({"id": 10}, ("X",))]


# NaN, whatever a file says of its columns.


@pytest.mark.parametrize("comparator", [BY_ID, Comparator(key="id", rules={"x": Absolute(5)})])
def test_a_nan_in_a_file_is_no_number_and_itself(tmp_path: Path, comparator: Comparator) -> None:
    nan = pa.array([1.0, float("nan"), 3.0])

    assert files(tmp_path, nan, nan, comparator, row_group_size=2).verdict is Outcome.PASS
    found = files(tmp_path, nan, pa.array([1.0, 1.0, 3.0]), comparator, row_group_size=2)
    assert [(one.key, one.columns) for one in found.mismatches] == [({"id": 1}, ("x",))]


def test_a_nan_is_a_key_like_another(tmp_path: Path) -> None:
    for name, last in (("a", 3), ("b", 4)):
        keys = pa.array([1.0, float("nan"), -0.0])
        pq.write_table(pa.table({"k": keys, "x": [1, last, 5]}), tmp_path / f"{name}.parquet", row_group_size=1)
    found = dualgauge.compare(tmp_path / "a.parquet", tmp_path / "b.parquet", Comparator(key="k"))

    assert (found.changed, found.only_in_v1, found.only_in_v2, found.matched) == (1, 0, 0, 2)
    assert [((one.v1 or {})["x"], (one.v2 or {})["x"]) for one in found.mismatches] == [(3, 4)]


# What Python holds.


def relation(expression: str) -> duckdb.DuckDBPyRelation:
    """A relation of a connection of its own."""
    return duckdb.connect().sql(f"SELECT 1 AS id, {expression} AS x")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("HUGEINT", "170141183460469231731687303715884105727", "170141183460469231731687303715884105726"),
        ("UHUGEINT", "340282366920938463463374607431768211455", "340282366920938463463374607431768211454"),
        ("BIGNUM", "340282366920938463463374607431768211456", "340282366920938463463374607431768211457"),
        ("INTERVAL", "'-3 microseconds'", "'-2 microseconds'"),
        ("BIT", "'01'", "'001'"),
        ("TIME WITH TIME ZONE", "'01:00:00+01'", "'01:00:00+02'"),
        ("TIME_NS", "'01:02:03.123456789'", "'01:02:03.123456788'"),
    ],
)
def test_values_of_a_duckdb_relation_arrive_as_they_are(kind: str, one: str, other: str) -> None:
    a, b = f"({one})::{kind}", f"({other})::{kind}"
    found = dualgauge.compare(relation(a), relation(b), BY_ID)

    assert (found.verdict, kinds(found)) == (Outcome.FAIL, (kind, kind, "same"))
    assert dualgauge.compare(relation(a), relation(a), BY_ID).verdict is Outcome.PASS


@pytest.mark.parametrize(
    "form", thinned(2, ["{}", "[{}]", "MAP {{'k': {}}}", "{{'j': {}}}", "[[{{'j': [{}]}}]]", "MAP {{{}: 1}}"])
)
@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (
            """'{"a":1,"b":[12345678901234567890]}'::JSON""",
            """'{ "b":[12345678901234567890.0], "a":1.0}'::JSON""",
            """'{"a":1,"b":[12345678901234567891]}'::JSON""",
        ),
        ("'null'::JSON", "' null '::JSON", "NULL::JSON"),
        ("""'"a"'::JSON""", """'"\\u0061"'::JSON""", "'[]'::JSON"),
        (
            "'0c1d2e3f-aaaa-4000-8000-00000000000a'::UUID",
            "'0C1D2E3FAAAA4000800000000000000A'::UUID",
            "'0c1d2e3f-aaaa-4000-8000-00000000000b'::UUID",
        ),
    ],
)
def test_json_and_uuids_of_a_duckdb_relation_are_such_wherever_they_are(
    tmp_path: Path, form: str, one: str, same: str, other: str
) -> None:
    if form.startswith("MAP {{{}") and other.startswith("NULL"):
        # No key of a map is NULL.
        other = "'1'::JSON"
    a, b, c = (relation(form.format(value)) for value in (one, same, other))
    a.write_parquet(str(tmp_path / "a.parquet"))

    assert dualgauge.compare(a, b, BY_ID).verdict is Outcome.PASS
    assert dualgauge.compare(a, c, BY_ID).verdict is Outcome.FAIL
    assert dualgauge.compare(tmp_path / "a.parquet", b, BY_ID).verdict is Outcome.PASS


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("union_value(a := 1)", "UNION(a INTEGER)"),
        ("{'a': 1::HUGEINT}", "STRUCT(a HUGEINT)"),
        ("1::VARIANT", "VARIANT"),
    ],
)
def test_what_duckdb_gives_as_something_else_is_refused(expression: str, kind: str) -> None:
    with pytest.raises(UnreadableLocation) as refused:
        dualgauge.compare(relation(expression), relation(expression), BY_ID)

    assert str(refused.value) == (
        f"v1 (DuckDBPyRelation) cannot be read: its column 'x' is {kind}, which comes out of DuckDB as something else; "
        "cast the column to a plain type, for example to text"
    )


class Wrapped(pa.ExtensionType):
    """A type of somebody's own."""

    def __init__(self, storage: pa.DataType) -> None:
        super().__init__(storage, "dualgauge.tests.wrapped")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, _: bytes) -> Wrapped:
        return cls(storage)


def extended(values: pa.Array) -> pa.Array:
    """The values in an extension."""
    return pa.ExtensionArray.from_storage(Wrapped(values.type), values)


def runs(values: pa.Array) -> pa.Array:
    """The values, a run each."""
    return pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(values) + 1), pa.int32()), values)


def indexed(values: pa.Array) -> pa.Array:
    """The values in a dictionary."""
    places = iter(range(len(values)))
    found = [next(places) if one.is_valid else None for one in values]
    return pa.DictionaryArray.from_arrays(pa.array(found, pa.int32()), values.drop_null())


def bare(values: pa.Array) -> pa.Array:
    """The values."""
    return values


def in_list(values: pa.Array) -> pa.Array:
    """Lists of the values, of which the second is NULL and none begins at the first value."""
    ends = pa.array([0, 1, 1, 2, len(values)], pa.int32())
    return pa.ListArray.from_arrays(ends, values, mask=pa.array([False, True, False, False])).slice(1)


def in_struct(values: pa.Array) -> pa.Array:
    """Structs of the values, without the first; the second is NULL."""
    mask = pa.array([at == 1 for at in range(len(values))])
    return pa.StructArray.from_arrays([values], ["f"], mask=mask).slice(1)


def in_map(values: pa.Array) -> pa.Array:
    """Maps of the values, of which the second is NULL, without the first."""
    ends = pa.array([0, None, 1, 2, len(values)], pa.int32())
    return pa.MapArray.from_arrays(ends, pa.array([str(at) for at in range(len(values))]), values).slice(1)


def in_array(values: pa.Array) -> pa.Array:
    """Arrays of two of the values, without the first of them."""
    return pa.FixedSizeListArray.from_arrays(values, 2).slice(1)


WRAPS = {
    "dictionary": indexed,
    "extension": extended,
    "runs": runs,
    "runs of a dictionary": lambda of: runs(indexed(of)),
    "dictionary of an extension": lambda of: indexed(extended(of)),
}
AROUND = (in_list, in_struct, in_map, in_array)
WHOLE = [
    (pa.array([1, 2, None, 4]), pa.array([1, 2, None, 5])),
    (pa.array(["a", "b", None, "d"]), pa.array(["a", "b", None, "e"])),
    (pa.array([{"a": 1}, {"a": 2}, None, {"a": 4}]), pa.array([{"a": 1}, {"a": 2}, None, {"a": None}])),
    (pa.array([[1], [2], None, []]), pa.array([[1], [2], None, [None]])),
]
CUT = [
    (pa.array([1, 2, None, 4], pa.duration("ms")), pa.array([1, 2, None, 4], pa.duration("s"))),
    (decimals(WIDE, "2", "3", WIDE), decimals(WIDE, "2", "3", WIDE + ".01")),
    (pa.array([1, 2, None, 4], pa.float16()), pa.array([1, 2, None, 5], pa.float16())),
]
"""Values, and others."""


@pytest.mark.parametrize(("around", "wrap", "form"), thinned(3, [bare, *AROUND], WRAPS, ["table", "reader"]))
def test_how_arrow_keeps_values_changes_none_of_them(form: str, wrap: str, around: Any) -> None:
    pairs = [*WHOLE, *(CUT if around is bare else [])]
    plain = [around(one) for one, _ in pairs]
    wrapped = [around(WRAPS[wrap](one)) for one, _ in pairs]
    unlike = [around(WRAPS[wrap](other)) for _, other in pairs]
    tables = [
        pa.table({"id": range(len(columns[0])), **{str(at): one for at, one in enumerate(columns)}})
        for columns in (wrapped, plain, unlike)
    ]

    def compared(*sides: pa.Table) -> Comparison:
        return dualgauge.compare(*(one if form == "table" else one.to_reader() for one in sides), BY_ID)

    assert compared(*tables[:2]).verdict is Outcome.PASS
    found = compared(tables[0], tables[2])
    assert {name for one in found.mismatches for name in one.columns} == {str(at) for at in range(len(pairs))}


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("around", AROUND)
def test_what_would_be_cut_inside_is_refused_however_it_is_kept(wrap: str, around: Any) -> None:
    for values, _ in CUT:
        array = around(WRAPS[wrap](values))
        table = pa.table({"id": range(len(array)), "x": array})
        with pytest.raises(UnreadableLocation, match=r"its column 'x' holds .* inside a list or a struct"):
            dualgauge.compare(table, table, BY_ID)


@pytest.mark.parametrize("wrap", ["dictionary", "extension"])
def test_a_dictionary_or_an_extension_of_a_file_hides_no_duration(tmp_path: Path, wrap: str) -> None:
    for values, other in CUT[:2]:
        v1, v2 = WRAPS[wrap](values), WRAPS[wrap](other)
        assert files(tmp_path, v1, values).verdict is Outcome.PASS
        assert files(tmp_path, v1, v2).verdict is Outcome.FAIL


@pytest.mark.parametrize("form", ["table", "reader"])
def test_slices_of_structs_in_structs_are_read(form: str) -> None:
    table = pa.table({"id": range(6), "x": [{"s": {"t": {"a": at}}} if at != 3 else None for at in range(6)]})
    sides = [table.slice(2, 3), table.take([2, 3, 4])]
    found = dualgauge.compare(*(one if form == "table" else one.to_reader() for one in sides), BY_ID)

    assert (found.verdict, found.matched) == (Outcome.PASS, 3)


@pytest.mark.parametrize("form", ["table", "reader"])
@pytest.mark.parametrize(
    ("v1", "v2", "same"),
    [
        (pa.array([Decimal(1200)], pa.decimal128(5, -2)), pa.array([1200]), True),
        (pa.array([Decimal(1200)], pa.decimal64(5, -2)), pa.array([Decimal(1300)], pa.decimal128(5, -2)), False),
        (decimals(WIDE), decimals(WIDE + ".00", scale=4), True),
        (decimals(WIDE), decimals(WIDE + ".01"), False),
        (decimals("1"), pa.array([1]), True),
        (pa.array([0.5], pa.float16()), pa.array([0.5]), True),
        (pa.array([1], pa.duration("s")), pa.array([1], pa.duration("ms")), False),
        (pa.array([1], pa.duration("s")), pa.array([10**9], pa.duration("ns")), True),
        (pa.array([float("nan")]), pa.array([1.0]), False),
    ],
)
def test_arrow_types_that_the_engine_has_not_are_compared_exactly(
    form: str, v1: pa.Array, v2: pa.Array, *, same: bool
) -> None:
    tables = [pa.table({"id": [1], "x": one}) for one in (v1, v2)]
    found = dualgauge.compare(*(one if form == "table" else one.to_reader() for one in tables), BY_ID)

    assert found.verdict is (Outcome.PASS if same else Outcome.FAIL)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            pa.array([[Decimal(1)]], pa.list_(pa.decimal256(50, 0))),
            (
                "its column 'x' holds decimal256(50, 0) inside a list or a struct, which would be cut; "
                "give it as a column of its own, or as text"
            ),
        ),
        (
            pa.array([[Decimal(1200)]], pa.list_(pa.decimal128(5, -2))),
            (
                "its column 'x' holds decimal128(5, -2) inside a list or a struct, which would be cut; "
                "give it as a column of its own, or as text"
            ),
        ),
        (
            pa.array([86_400_005], pa.date64()),
            (
                "its column 'x' does not hold what its type says: Casting from date64[ms] to date32[day] would lose "
                "data: 86400005; give it as timestamps"
            ),
        ),
        (
            pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
            (
                "its column 'x' holds durations finer than a microsecond, which is the finest that is compared; "
                "give them as whole numbers"
            ),
        ),
    ],
)
def test_arrow_values_that_would_be_cut_are_refused(values: pa.Array, reason: str) -> None:
    table = pa.table({"id": [1], "x": values})

    with pytest.raises(UnreadableLocation) as refused:
        dualgauge.compare(table, table, BY_ID)
    assert str(refused.value) == f"v1 (Table) cannot be read: {reason}"


def dense() -> pa.Array:
    """A dense union of a number and a text."""
    places = pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32())
    return pa.UnionArray.from_dense(*places, [pa.array([1]), pa.array(["a"])])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "values", [dense(), pa.StructArray.from_arrays([dense()], ["f"])], ids=["by itself", "in a struct"]
)
def test_a_dense_union_is_refused_by_the_columns_name(values: pa.Array, stream: bool) -> None:
    table = pa.table({"id": [1, 2], "x": values})

    with pytest.raises(UnreadableLocation) as refused:
        dualgauge.compare(table, table.to_reader() if stream else table, BY_ID)
    assert str(refused.value) == (
        "v1 (Table) cannot be read: its column 'x' holds a dense union, which is not read; "
        "give it as a sparse union, or as text"
    )


# Extensions that the engine knows, with something around or beside them that it does not.


def beside(other: pa.Array) -> Any:
    """What puts values into structs, beside others."""
    return lambda values: pa.StructArray.from_arrays([other, values], ["c", "j"])


def one_each(values: pa.Array) -> pa.Array:
    """Arrays of one of the values."""
    return pa.FixedSizeListArray.from_arrays(values, 1)


LETTERS = pa.array(["p", "q", "r"])
WRAPPED: dict[str, tuple[Any, Any]] = {
    "dictionary": (indexed, bare),
    "runs": (runs, bare),
    "runs of a dictionary": (lambda values: runs(indexed(values)), bare),
    "beside a dictionary": (beside(indexed(LETTERS)), beside(LETTERS)),
    "beside an unknown one": (beside(extended(LETTERS)), beside(LETTERS)),
    "list": (lambda values: in_list(indexed(values)), in_list),
    "map": (lambda values: in_map(runs(values)), in_map),
    "array": (lambda values: one_each(runs(values)), one_each),
}
HELD: dict[str, tuple[pa.Array, pa.Array, pa.Array]] = {
    "JSON": tuple(
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts))
        for texts in (
            ['{"a": 1, "b": 2}', None, "1"],
            ['{"b": 2, "a": 1}', None, "1.0"],
            ['{"b": 2, "a": 1}', None, "2"],
        )
    ),
    "UUID": tuple(
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16, None, last * 16], pa.binary(16)))
        for last in (b"b", b"b", b"c")
    ),
    "BOOLEAN": (
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None, 0], pa.int8())),
        pa.array([True, None, False]),
        pa.array([True, None, True]),
    ),
}


@pytest.mark.parametrize(("form", "held"), thinned(2, WRAPPED, HELD))
def test_an_extension_that_the_engine_knows_is_what_it_says_whatever_is_around_it(form: str, held: str) -> None:
    wrap, plainly = WRAPPED[form]
    given, same, other = HELD[held]
    wrapped = pa.table({"id": [0, 1, 2], "x": wrap(given)})

    for values, unlike in ((same, []), (other, [2])):
        found = dualgauge.compare(wrapped, pa.table({"id": [0, 1, 2], "x": plainly(values)}), BY_ID)
        assert [row.key["id"] for row in found.mismatches] == unlike
        assert (found.verdict is Outcome.PASS) is (not unlike)
        assert held in str(kinds(found)[0])
    sliced = dualgauge.compare(wrapped.slice(1), pa.table({"id": [1, 2], "x": plainly(same).slice(1)}), BY_ID)
    assert sliced.verdict is Outcome.PASS


# Keys that are kept.


def test_kept_keys_that_parquet_has_no_type_for_are_texts(tmp_path: Path) -> None:
    from dualgauge.comparison.files.compare import diff_sources

    for name, x in (("a", 1), ("b", 2)):
        for at, (key, kind) in enumerate(((2**64 - 1, pa.uint64()), (-1, pa.int64()))):
            pq.write_table(pa.table({"k": pa.array([key], kind), "x": [x]}), tmp_path / f"{name}-{at}.parquet")
    keep = tmp_path / "keys.parquet"
    diff_sources(str(tmp_path / "a-*.parquet"), str(tmp_path / "b-*.parquet"), key=["k"], keep=keep)

    assert pq.read_table(keep)["k"].to_pylist() == ["-1", "18446744073709551615"]


# Texts beside numbers that no type of the engine holds.


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("numbers", ["arrow", "parquet"])
@pytest.mark.parametrize("texts", ["arrow", "parquet", "sqlite", "postgresql"])
def test_a_typed_text_beside_a_number_is_a_finding_however_long_the_number_is(
    tmp_path: Path, postgres_url: str, texts: str, numbers: str, long: bool
) -> None:
    values = [WIDE if long else "7", "5.5"]
    sides: dict[str, Any] = {
        "arrow": pa.table({"id": [0, 1], "x": values}),
        "parquet": tmp_path / "texts.parquet",
        "sqlite": f"{tmp_path / 'texts.db'}#t",
        "postgresql": f"{postgres_url}#t",
    }
    write(tmp_path, "texts", {"x": pa.array(values)})
    of_numbers = decimals(*values)
    write(tmp_path, "numbers", {"x": of_numbers})
    make = f"CREATE TABLE t (id integer, x text); INSERT INTO t VALUES (0, '{values[0]}'), (1, '5.5')"
    with closing(sqlite3.connect(tmp_path / "texts.db")) as opened:
        opened.executescript(make)
    run(postgres_url, make)
    other: Any = tmp_path / "numbers.parquet" if numbers == "parquet" else pa.table({"id": [0, 1], "x": of_numbers})

    for v1, v2 in ((sides[texts], other), (other, sides[texts])):
        found = dualgauge.compare(v1, v2, BY_ID)
        assert (found.verdict, kinds(found)[2]) == (Outcome.FAIL, "incomparable")


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("a.csv", (WIDE, "5.50"), []),
        ("a.csv", (WIDE, "5.51"), [1]),
        ("a.csv", ("odd", "5.5"), [0]),
        # With one text in it, the column is compared as text.
        ("a.csv", ("odd", "5.50"), [0, 1]),
        ("a.jsonl", (WIDE, "5.50"), []),
        ("a.jsonl", (WIDE, "null"), [1]),
        ("a.jsonl", (WIDE, '"5.5"'), "incomparable"),
        ("a.jsonl", (f'"{WIDE}"', '"5.5"'), "incomparable"),
    ],
)
def test_files_beside_numbers_that_are_kept_as_text(
    tmp_path: Path, name: str, values: tuple[str, str], said: object
) -> None:
    lines = [f"{at},{one}" if name == "a.csv" else f'{{"id": {at}, "x": {one}}}' for at, one in enumerate(values)]
    (tmp_path / name).write_text("\n".join(["id,x", *lines] if name == "a.csv" else lines))

    found = dualgauge.compare(tmp_path / name, pa.table({"id": [0, 1], "x": decimals(WIDE, "5.5")}), BY_ID)
    verdict = kinds(found)[2]
    assert (verdict if verdict == "incomparable" else [row.key["id"] for row in found.mismatches]) == said
    assert (found.verdict is Outcome.PASS) is (said == [])


@pytest.mark.parametrize(
    ("v1", "v2", "outcome"),
    [
        (f"numeric '{WIDE}'", f"text '{WIDE}'", Outcome.FAIL),
        (f"numeric '{WIDE}.50'", f"numeric '{WIDE}.5'", Outcome.PASS),
        (f"numeric '{WIDE}.50'", f"numeric '{WIDE}.51'", Outcome.FAIL),
        ("numeric 'NaN'", "float8 'NaN'", Outcome.PASS),
        ("numeric '-Infinity'", "float8 '-Infinity'", Outcome.PASS),
        ("numeric '-Infinity'", "float8 'Infinity'", Outcome.FAIL),
        ("numeric 'NaN'", "text 'NaN'", Outcome.FAIL),
        ("CAST('{NaN,1.50,NULL,10}' AS numeric[])", "CAST('{NaN,1.5,NULL,10.00}' AS numeric[])", Outcome.PASS),
        ("CAST('{{1.50},{-100}}' AS numeric[])", "CAST('{{1.500},{-100.0}}' AS numeric[])", Outcome.PASS),
        ("CAST('{NaN,1.05}' AS numeric[])", "CAST('{NaN,1.5}' AS numeric[])", Outcome.FAIL),
        ("CAST('{NaN,10}' AS numeric[])", "CAST('{NaN,1}' AS numeric[])", Outcome.FAIL),
    ],
)
def test_numbers_of_postgresql_that_are_kept_as_text_are_compared_as_numbers(
    postgres_url: str, v1: str, v2: str, outcome: Outcome
) -> None:
    run(postgres_url, f"CREATE TABLE a AS SELECT 1 AS id, {v1} AS x; CREATE TABLE b AS SELECT 1 AS id, {v2} AS x")

    found = dualgauge.compare(f"{postgres_url}#a", f"{postgres_url}#b", BY_ID)
    assert found.verdict is outcome


def test_not_a_number_of_postgresql_is_that_of_a_parquet_pattern_and_of_its_copy(
    tmp_path: Path, postgres_url: str
) -> None:
    write(tmp_path, "p-1", {"x": pa.array([math.nan, math.inf, -math.inf])})
    write(tmp_path, "p-2", {"x": decimals(WIDE, "0.1")}, first=3)
    numbers = f"(0, numeric 'NaN'), (1, 'Infinity'), (2, '-Infinity'), (3, {WIDE}), (4, 0.10)"
    run(postgres_url, f"CREATE TABLE t AS SELECT * FROM (VALUES {numbers}) AS t (id, x)")
    (tmp_path / "copy.csv").write_text(f"id,x\n0,NaN\n1,Infinity\n2,-Infinity\n3,{WIDE}\n4,0.10\n")
    (tmp_path / "odd.csv").write_text(f"id,x\n0,NaN\n1,Infinity\n2,odd\n3,{WIDE}\n4,0.1\n")

    for other in ("p-*.parquet", "copy.csv"):
        assert dualgauge.compare(f"{postgres_url}#t", tmp_path / other, BY_ID).verdict is Outcome.PASS
    # With one text in it, the column is compared as text, as it is written.
    found = dualgauge.compare(f"{postgres_url}#t", tmp_path / "odd.csv", BY_ID)
    assert [row.key["id"] for row in found.mismatches] == [2]
