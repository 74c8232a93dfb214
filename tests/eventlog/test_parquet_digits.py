"""Parquet as a source: no digit of a number or a time is lost on the way to the log, or its column is refused."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.errors import BadFile, BadMapping, BadRow, CutColumn
from support.log_project import LogProject
from support.shop import call

if TYPE_CHECKING:
    from pathlib import Path

WIDE = [2**63, 2**64 - 1, 10**30]
FINE = 1_577_836_800_123_456_789
"""2020-01-01 00:00:00.123456789 in nanoseconds."""


def project_of(tmp_path: Path, column: pa.Array, kind: str = "", name: str = "n", **options: Any) -> LogProject:
    """A project whose source is a Parquet file with that column, declared as a type or kept in the payload."""
    project = LogProject(tmp_path, columns={name: kind} if kind else {})
    project.source("s", path="s*.parquet", select=None if kind else {name: f'"{name}"'})
    write(tmp_path / "s.parquet", column, name, **options)
    return project


def write(file: Path, column: pa.Array, name: str = "n", **options: Any) -> None:
    rows = range(len(column))
    table = {"id": [f"{file.stem}{at}" for at in rows], "seen": [dt.datetime(2020, 1, 1 + at) for at in rows]}  # noqa: DTZ001
    pq.write_table(pa.table({**table, name: column}), file, **options)


def decimals(*texts: str, scale: int = 0) -> pa.Array:
    with decimal.localcontext(prec=76):
        return pa.array([Decimal(one) for one in texts], pa.decimal256(76, scale))


def test_numbers_past_a_bigint_are_in_the_log_to_the_last_digit(tmp_path: Path) -> None:
    for at, kind in enumerate(("VARCHAR", "DECIMAL(38,0)", "")):
        folder = tmp_path / str(at)
        folder.mkdir()
        project = project_of(folder, pa.array(WIDE[:2], pa.uint64()), kind)
        write(folder / "s2.parquet", pa.array([Decimal(10**30)], pa.decimal128(38, 0)))
        project.take()
        found = project.events("n" if kind else "payload")
        told = [str(one) for one in WIDE]
        assert sorted(map(str, found), key=len) == (told if kind else [f'{{"n":{one}}}' for one in told])
        project.verify()


def test_a_number_past_its_declared_type_stops_the_import_and_is_named(tmp_path: Path) -> None:
    project = project_of(tmp_path, pa.array([1, 2**63], pa.uint64()), "BIGINT")
    with pytest.raises(BadRow, match=r"s\.parquet row 2: n = '9223372036854775808' is no BIGINT"):
        project.take()


def test_sums_and_products_of_a_source_are_in_the_log_to_the_last_digit(tmp_path: Path) -> None:
    project = project_of(tmp_path, pa.array(WIDE[:2], pa.uint64()))
    project.sources[0]["select"] = {"n": "CAST(n AS HUGEINT) * 1000000007", "u": "CAST(n AS UHUGEINT) * n"}
    project.take()
    assert project.events("payload") == [f'{{"n":{one * 1000000007},"u":{one * one}}}' for one in WIDE[:2]]


@pytest.mark.parametrize("kind", ["VARCHAR", "DOUBLE", "DECIMAL(38,3)", ""])
def test_a_decimal_of_more_than_38_digits_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    project = project_of(tmp_path, decimals("1", "1.5", scale=2), kind, "amount")
    with pytest.raises(CutColumn) as told:
        project.take()
    assert str(told.value) == (
        "source 's', s.parquet: its column 'amount' holds a DECIMAL of 76 digits, which would lose digits as a DOUBLE; "
        "nothing was imported: write it with at most 38 digits, or as text, or give the file by a python source "
        "without that column"
    )
    assert project.log().head().last == 0
    said = call("log", "import", "s", "--on-bad-row", "quarantine", folder=tmp_path)
    assert (said.exit_code, project.log().head().last) == (4, 0)
    assert "holds a DECIMAL of 76 digits" in call("doctor", folder=tmp_path).out


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[Decimal(1)], None, []], pa.list_(pa.decimal256(39, 0))),
        pa.array([{"a": {"b": Decimal(1)}}, None], pa.struct([("a", pa.struct([("b", pa.decimal256(40, 2))]))])),
    ],
    ids=["list", "struct"],
)
def test_a_wide_decimal_inside_of_another_value_is_refused_too(tmp_path: Path, column: pa.Array) -> None:
    project = project_of(tmp_path, column)
    with pytest.raises(CutColumn, match=r"its column 'n' holds a DECIMAL of (39|40) digits"):
        project.take()


def test_the_one_file_of_a_pattern_that_would_lose_digits_is_named(tmp_path: Path) -> None:
    project = project_of(tmp_path, pa.array([Decimal(1)], pa.decimal128(38, 0)))
    project.take()
    write(tmp_path / "s [2].parquet", decimals("2"))
    with pytest.raises(CutColumn, match=r"source 's', s \[2\].parquet: its column 'n'"):
        project.take()
    assert project.log().head().last == 1


def times(*nanoseconds: int | None) -> pa.Array:
    return pa.array(nanoseconds, pa.timestamp("ns"))


NESTED = {
    "column": times(None, FINE - 789, FINE),
    "list": pa.array([[None, FINE - 789], None, [], [FINE]], pa.list_(pa.timestamp("ns"))),
    "struct": pa.array([{"t": FINE}, None, {"t": None}], pa.struct([("t", pa.timestamp("ns"))])),
    "map": pa.array([[("a", FINE)], None], pa.map_(pa.string(), pa.timestamp("ns"))),
}


@pytest.mark.parametrize("where", NESTED)
def test_times_of_int96_finer_than_a_microsecond_are_refused_by_name(tmp_path: Path, where: str) -> None:
    project = project_of(tmp_path, NESTED[where], use_deprecated_int96_timestamps=True)
    with pytest.raises(CutColumn) as told:
        project.take()
    assert str(told.value) == (
        "source 's', s.parquet: its column 'n' holds times of INT96 finer than a microsecond, which would be cut; "
        "nothing was imported: write it in microseconds, or as text, or give the file by a python source without that "
        "column"
    )
    assert project.log().head().last == 0


def test_times_of_int96_in_microseconds_are_read_also_far_from_today(tmp_path: Path) -> None:
    """Years that nanoseconds of 64 bits do not reach: Spark writes 9999-12-31 for what has no end."""
    micros = [-62_135_596_800_000_000, FINE // 1000, 253_402_300_799_999_999, None]
    column = pa.array(micros, pa.timestamp("us"))
    project = project_of(tmp_path, column, "TIMESTAMP", use_deprecated_int96_timestamps=True)
    project.take()
    assert project.events("n") == column.to_pylist()


@pytest.mark.parametrize(("day", "fits"), [(dt.date(1582, 10, 14), False), (dt.date(1582, 10, 15), True)])
def test_days_of_the_old_calendar_that_spark_wrote_are_refused(tmp_path: Path, day: dt.date, *, fits: bool) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*.parquet")
    table = pa.table({"id": ["a"], "seen": ["2026-01-01"], "day": [day]})
    (tmp_path / "d").mkdir()
    pq.write_table(table.replace_schema_metadata({"org.apache.spark.legacyDateTime": ""}), tmp_path / "d" / "a.parquet")

    if fits:
        assert project.take().added == 1
    else:
        with pytest.raises(CutColumn, match="its column 'day' holds days before 1582-10-15 of the calendar"):
            project.take()


@pytest.mark.parametrize("digits", [1, 5, 17, 18, 19, 37, 38])
def test_a_decimal_without_a_whole_digit_keeps_all_of_its_digits(tmp_path: Path, digits: int) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="a.parquet", select={"x": "x", "l": "l", "st": "st", "y": "y", "d": "d"})
    values = [Decimal(f"{one}E-{digits}") for one in (10**digits - 1, 1, -(10**digits - 1), 0)]
    kind = pa.decimal128(digits, digits)
    table = {
        "id": pa.array(["a", "b", "c", "d"]), "seen": pa.array(["2026-01-01"] * 4), "x": pa.array(values, kind),
        "l": pa.array([[one] for one in values], pa.list_(kind)), "d": pa.array([0.1, math.nan, 1e23, 2.0]),
        "st": pa.array([{"a": one} for one in values], pa.struct([("a", kind)])), "y": pa.array([1, 2, 3, 2**63 - 1]),
    }  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    project.take()

    found = [json.loads(one, parse_float=Decimal) for one in project.events("payload")]
    assert [Decimal(one["x"]) for one in found] == values
    assert [Decimal(one["l"][0]) for one in found] == values
    assert [Decimal(one["st"]["a"]) for one in found] == values
    assert [one["y"] for one in found] == [1, 2, 3, 2**63 - 1]
    assert [str(one["d"]) for one in found] == ["0.1", "nan", "1E+23", "2.0"]


LAST = 2**63 - 1
ENDS = {
    "ns": pa.array([LAST, None, 5], pa.timestamp("ns")),
    "first ns": pa.array([-LAST], pa.timestamp("ns")),
    "us": pa.array([LAST], pa.timestamp("us")),
    "instant": pa.array([5, -LAST], pa.timestamp("us", "UTC")),
    "ns instant": pa.array([LAST], pa.timestamp("ns", "UTC")),
    "day": pa.array([2**31 - 1], pa.date32()),
    "list": pa.array([[5], [LAST]], pa.list_(pa.timestamp("us"))),
    "struct": pa.array([{"a'b": [{"c": LAST}]}], pa.struct({"a'b": pa.list_(pa.struct({"c": pa.timestamp("ns")}))})),
    "map": pa.array([[("infinity", LAST)]], pa.map_(pa.string(), pa.timestamp("us"))),
    "key": pa.array([[(LAST, "x")]], pa.map_(pa.timestamp("us"), pa.string())),
}
"""Times like any, which the engine takes for infinite."""

BEFORE_ENDS = {
    "ns": pa.array([LAST - 1, 1 - LAST], pa.timestamp("ns")),
    "text": pa.array([{"t": 5, "infinity": "infinity"}], pa.struct({"t": pa.timestamp("us"), "infinity": pa.string()})),
    "nothing": pa.array([None, [], [None]], pa.list_(pa.timestamp("us"))),
}


@pytest.mark.parametrize("column", ENDS.values(), ids=ENDS)
def test_the_last_time_of_a_type_is_refused_by_name_and_never_endless(tmp_path: Path, column: pa.Array) -> None:
    project = project_of(tmp_path, column)
    with pytest.raises(
        CutColumn, match=r"s.parquet: its column 'n' holds the first or the last time of its type"
    ) as told:
        project.take()

    assert "nothing was imported: write it as NULL, or as text" in str(told.value)
    assert call("diff", "s.parquet", "s.parquet", "--key", "id", folder=tmp_path).err == (
        "error: s.parquet cannot be read: its column 'n' holds the first or the last time of its type, which would be "
        "read as infinity; write NULL, or a text\n"
    )


@pytest.mark.parametrize("column", BEFORE_ENDS.values(), ids=BEFORE_ENDS)
def test_a_time_that_is_not_the_last_one_is_taken(tmp_path: Path, column: pa.Array) -> None:
    project_of(tmp_path, column).take()
    assert call("diff", "s.parquet", "s.parquet", "--key", "id", folder=tmp_path).exit_code == 0


def test_what_the_engine_itself_wrote_as_endless_is_that(tmp_path: Path) -> None:
    project = project_of(tmp_path, pa.array([5]))
    duckdb.sql("SELECT 'a' AS id, TIMESTAMP '2020-01-01' AS seen, 'infinity'::TIMESTAMP AS n").write_parquet(
        str(tmp_path / "s.parquet")
    )
    project.take()
    assert project.events("payload") == ['{"n":"infinity"}']
    assert call("diff", "s.parquet", "s.parquet", "--key", "id", folder=tmp_path).exit_code == 0


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    project = project_of(tmp_path, pa.array([5]), name="C1")
    write(tmp_path / "s.parquet", pa.array([5]), "")
    with pytest.raises(BadFile, match=r"s.parquet: it has a column without a name; nothing was imported"):
        project.take()
    said = call("diff", "s.parquet", "s.parquet", "--key", "id", folder=tmp_path)
    assert said.err == "error: s.parquet cannot be read: it has a column without a name; give it one\n"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_duration_is_refused_by_name_and_never_a_number(tmp_path: Path, unit: str, *, nested: bool) -> None:
    kind = pa.duration(unit)
    column = pa.array([[5]], pa.list_(kind)) if nested else pa.array([5], kind)
    project = project_of(tmp_path, column)
    with pytest.raises(CutColumn, match=rf"column 'n' holds values of duration\[{unit}\], of which only the numbers"):
        project.take()


@pytest.mark.parametrize("made", ["frame()", "table()", "table().to_reader()"])
def test_an_object_of_python_with_such_a_time_is_refused_too(tmp_path: Path, made: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", python="made:given", select={"n": "n"})
    project.write(
        "made.py",
        "import pandas as pd\nimport pyarrow as pa\n"
        "def frame():\n    return pd.DataFrame({'id': ['a'], 'seen': ['2026-01-01'], 'n': [pd.Timestamp.max]})\n"
        "def table():\n    return pa.Table.from_pandas(frame(), preserve_index=False)\n"
        f"def given():\n    return {made}\n",
    )
    with pytest.raises(BadMapping, match=r"python: its column 'n' holds the first or the last time of its type"):
        project.take()
