"""What Python sources give: every value is in the log as it was, or its column is refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import dualgauge
from dualgauge import Comparator
from dualgauge.comparison.errors import UnreadableLocation
from dualgauge.eventlog.errors import BadMapping, CutColumn
from support.log_project import LogProject

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import datetime as dt, uuid
from decimal import Decimal as D
import numpy as np, pandas as pd, pyarrow as pa
zone = dt.timezone(dt.timedelta(hours=5))
"""
LATE = """
def given():
    values = [{first}] * 10_000
    values[5_003] = {other}
    ids = [f"{{at:05d}}" for at in range(10_000)]
    return pd.DataFrame({{"id": ids, "seen": "2026-01-01", "v": pd.Series(values, dtype=object)}})
"""
FEW = """
def given():
    values = {values}
    return pd.DataFrame({{"id": [f"{{at}}" for at in range(len(values))], "seen": "2026-01-01",
                         "v": pd.Series(values, dtype=object)}})
"""
ARROW = """
def given():
    v = {array}
    found = pa.table({{"id": [f"{{at}}" for at in range(len(v))], "seen": ["2026-01-01"] * len(v), "v": v}})
    return found{reader}
"""


def project_of(root: Path, text: str) -> LogProject:
    project = LogProject(root)
    project.source("s", python="made:given", select={"v": "v"})
    project.write("made.py", HEAD + text)
    return project


def refused(root: Path, text: str) -> str:
    with pytest.raises(BadMapping) as told:
        project_of(root, text).take()
    return str(told.value).partition("python: ")[2].partition("; the source's columns")[0]


@pytest.mark.parametrize(
    ("first", "other", "said"),
    [
        ("1", '"007"', "texts beside whole numbers"),
        ("1", '"1.7"', "texts beside whole numbers"),
        ("True", "5", "truths beside whole numbers"),
        ("dt.date(2026, 1, 1)", "dt.datetime(2026, 1, 1, 5)", "days beside times without a zone"),
        ("dt.datetime(2026, 1, 1)", "dt.datetime(2026, 1, 1, tzinfo=zone)", "times with a zone beside times without"),
        ('D("1.5")', "0.30000000000000004", "decimals beside numbers"),
        ('{"a": 1}', '{"a": "x"}', "texts beside whole numbers"),
        ('{"a": [dt.date(2026, 1, 1)]}', '{"a": [dt.datetime(2026, 1, 1, 5)]}', "days beside times without a zone"),
        ("[1]", "[True]", "truths beside whole numbers"),
        ("'a'", "b'a'", "bytes beside texts"),
        ("'a'", "['a']", "lists beside texts"),
        ('D("1.10")', 'D("NaN")', "the decimal NaN, which would be nothing"),
        ('D("1.10")', 'D("-Infinity")', "the decimal -Infinity, which would be nothing"),
        ('[D("1.10")]', '[D("sNaN")]', "the decimal sNaN, which would be nothing"),
        ("pd.Timestamp('2026-01-01')", "pd.Timestamp('2026-01-01 00:00:00.000000001')", "nanoseconds would be cut"),
        ("dt.time(5)", "dt.time(5, tzinfo=zone)", "of which the zone would be lost"),
    ],
)
def test_one_value_of_another_type_among_ten_thousand_is_found_and_named(
    tmp_path: Path, first: str, other: str, said: str
) -> None:
    reason = refused(tmp_path, LATE.format(first=first, other=other))
    assert reason.startswith("its column 'v' holds ")
    assert said in reason


@pytest.mark.parametrize(
    ("first", "other", "seen"),
    [
        ("1", "2.5", "2.5"), ('D("1.5")', 'D("1.23456789")', "1.23456789"), ("None", '"007"', '"007"'),
        ("1", "9007199254740993", "9007199254740993"), ("float('nan')", "0.30000000000000004", "0.30000000000000004"),
        ('"a"', '"é😀"', '"é😀"'), ("None", "dt.date(2026, 1, 1)", '"2026-01-01"'), ("True", "None", ""),
        ("pd.NaT", "dt.datetime(2026, 1, 1, 5)", '"2026-01-01 05:00:00"'), ("'a'", "pd.NaT", ""), ("1", "pd.NA", ""),
        ('{"a": 1}', '{"a": 2.5}', '{"a":2.5}'), ("[1.0]", "[2.7]", "[2.7]"), ("np.int64(5)", "2.5", "2.5"),
        ("dt.datetime(2026, 1, 1, tzinfo=zone)", "dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone.utc)",
         '"2026-01-01 01:00:00+00"'),
    ],
)  # fmt: skip
def test_one_value_of_the_same_type_is_in_the_log_as_it_was(tmp_path: Path, first: str, other: str, seen: str) -> None:
    project = project_of(tmp_path, LATE.format(first=first, other=other))
    project.take()
    payload = project.events("payload")[5_003]
    assert payload == f'{{"v":{seen}}}' if seen else payload in (None, "{}", '{"v":null}')


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("[D(10) ** 37, D('1E-10')]", "decimal256"), ("[D('1' * 40), D('1' * 39 + '2')]", "no more than 38 digits"),
        ("[9007199254740993, 2.5]", "holds values of no one type"), ("[10**40]", "of no one type"),
        ("[1 + 2j]", "of no one type"), ("[object()]", "of no one type"), ("[2**64, 1]", "of no one type"),
    ],
)  # fmt: skip
def test_what_no_type_holds_is_refused(tmp_path: Path, values: str, said: str) -> None:
    assert said in refused(tmp_path, FEW.format(values=values))


def test_categories_are_looked_at_as_objects_are(tmp_path: Path) -> None:
    text = FEW.format(values="[dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 5)]").replace(
        "dtype=object)", "dtype=object).astype('category')"
    )
    assert "days beside times without a zone" in refused(tmp_path, text)


@pytest.mark.parametrize("reader", ["", ".to_reader()"])
@pytest.mark.parametrize(
    ("array", "said"),
    [
        ("pa.array([1001], pa.duration('ns'))", "would be cut"),
        ("pa.array([pa.MonthDayNano([1, 2, 3])])", "of which nanoseconds would be cut"),
        ("pa.array([D('1' * 40)])", "no more than 38 digits"),
        ("pa.array([[D('1' * 40)]])", "no more than 38 digits"),
        ("pa.array([{'a': 1001}], pa.struct({'a': pa.duration('ns')}))", "would be cut"),
        ("pa.array([1], pa.int64()).view(pa.date64())",
         "would be cut"),
        ("pa.array([5_000]).view(pa.date64()).dictionary_encode()", "would be cut"),
        ("pa.array([1001], pa.duration('ns')).dictionary_encode()", "would be cut"),
        ("pa.array([1.5], pa.float16())", "give it as float32"),
        ("pa.array([None], pa.list_(pa.struct({'a': pa.int32(), 'A': pa.int32()})))", "with fields 'a' and 'A'"),
        ("pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])",
         "which is not read"),
        ("pa.ExtensionArray.from_storage(pa.json_(), pa.array(['bad json']))", "is no JSON, though its type says so"),
        ("pa.array([2**63 - 1], pa.timestamp('us'))", "would be read as infinity"),
    ],
)  # fmt: skip
def test_arrow_that_the_engine_would_cut_is_refused(tmp_path: Path, array: str, said: str, reader: str) -> None:
    assert said in refused(tmp_path, ARROW.format(array=array, reader=reader))


@pytest.mark.parametrize(
    ("array", "seen"),
    [
        ("pa.array([1000], pa.duration('ns'))", '"00:00:00.000001"'),
        ("pa.array([86_400_000]).view(pa.date64())", '"1970-01-02"'),
        ("pa.array([D('1' * 38)])", "1" * 38),
        ("pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{\"a\": 1.50}']))", '{"a":1.50}'),
        ("pa.array(['a', None]).dictionary_encode()", '"a"'),
    ],
)
def test_arrow_that_it_reads_whole_is_taken(tmp_path: Path, array: str, seen: str) -> None:
    project = project_of(tmp_path, ARROW.format(array=array, reader=""))
    project.take()
    assert json.loads(project.events("payload")[0]) == {"v": json.loads(seen)}


FRAMES = [
    ("pd.PeriodIndex(['2026-01'], freq='M')", "pandas.period, of which only what it is kept as would be read"),
    ("pd.arrays.IntervalArray.from_tuples([(0, 1)], closed='left')", "pandas.interval, of which only"),
    ("np.array([1 + 2j])", "holds values of no one type (Unsupported numpy type"),
    ("np.array([0.1], np.longdouble)", "holds values of no one type (Unsupported numpy type"),
    ("np.array([2**62], 'datetime64[s]')", "a time beyond the years that the engine has"),
]


@pytest.mark.parametrize(("column", "said"), FRAMES)
def test_a_column_of_pandas_that_says_more_than_arrow_keeps_is_refused(tmp_path: Path, column: str, said: str) -> None:
    text = f"def given():\n    return pd.DataFrame({{'id': ['a'], 'seen': ['2026-01-01'], 'v': {column}}})\n"
    assert said in refused(tmp_path, text)
    space: dict[str, Any] = {}
    exec(HEAD + text, space)
    with pytest.raises(UnreadableLocation) as told:
        dualgauge.compare(space["given"](), space["given"](), Comparator(key="id"))
    assert said in str(told.value)
    assert "column 'v'" in str(told.value)


@pytest.mark.parametrize("column", [column for column, _ in FRAMES[:2]])
def test_such_a_column_in_parquet_is_refused_where_pandas_is_not_loaded(tmp_path: Path, column: str) -> None:
    space: dict[str, Any] = {}
    exec(f"{HEAD}frame = pd.DataFrame({{'id': ['a'], 'seen': ['2026-01-01'], 'v': {column}}})", space)
    space["frame"].to_parquet(tmp_path / "s.parquet")
    project = LogProject(tmp_path)
    project.source("s", path="s.parquet", select={"v": "v"})
    with pytest.raises(CutColumn, match=r"s.parquet: its column 'v' holds values of pandas.\w+, of which only"):
        project.take()
    done = subprocess.run(
        [sys.executable, "-m", "dualgauge", "diff", "s.parquet", "s.parquet", "--key", "id"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "its column 'v' is pandas." in done.stderr) == (1, True)


def test_an_index_with_a_name_is_a_column_and_a_series_is_one(tmp_path: Path) -> None:
    project = project_of(
        tmp_path,
        "index = pd.Index(['x'], name='v')\n"
        "def given():\n    return pd.DataFrame({'id': ['a'], 'seen': ['2026-01-01']}, index=index)\n",
    )
    project.take()
    assert project.events("payload") == ['{"v":"x"}']
    clash = "def given():\n    return pd.DataFrame({'v': ['a']}, index=pd.Index(['x'], name='v'))\n"
    assert "its column 'v' has the name of its index: rename one of them" in refused(tmp_path / "clash", clash)
    series = pd.Series([5], index=pd.Index(["x"], name="id"), name="v")
    frame = pd.DataFrame({"id": ["x"], "v": [5]})
    assert dualgauge.compare(series, frame, Comparator(key="id")).matched == 1
