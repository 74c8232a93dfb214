"""CSV, JSON and SQLite files are read as they stand: no two values become one, and no other file or key is taken."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dualgauge
from dualgauge import Comparator
from dualgauge.comparison.errors import NoKeyGiven, UnreadableLocation
from dualgauge.comparison.files.compare import diff_sources
from dualgauge.model import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.values import Comparison

BY_ID = Comparator(key="id")


def texts(folder: Path, form: str, old: str, new: str) -> Comparison:
    """Compare two texts as files of a form."""
    for name, text in (("old", old), ("new", new)):
        (folder / f"{name}.{form}").write_text(text, encoding="utf-8")
    return dualgauge.compare(folder / f"old.{form}", folder / f"new.{form}", BY_ID)


@pytest.mark.parametrize(
    ("one", "other", "beside"),
    [
        ("2024-01-01 10:00:00.1234567", "2024-01-01 10:00:00.1234568", "2024-01-01 10:00:00"),
        ("2024-01-01 10:00:00.123456701", "2024-01-01 10:00:00.123456702", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00Z", "2024-01-01 10:00:00+00"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00Z", "2024-01-01 10:00:00"),
        ("2024-02-30", "2024-03-01", "2024-01-01"),
        ("1.23456789012345678e+10", "1.23456789012345679e+10", "1e-05"),
    ],
)
def test_two_values_beside_others_of_their_kind_stay_two(tmp_path: Path, one: str, other: str, beside: str) -> None:
    """The other rows have the type that the two would need to become one."""
    found = texts(tmp_path, "csv", f"id,n\n1,{one}\n2,{beside}\n", f"id,n\n1,{other}\n2,{beside}\n")

    assert (found.verdict, found.changed, found.matched) == (Outcome.FAIL, 1, 1)


def test_a_field_that_stands_only_far_behind_what_a_sniffer_looks_at_is_compared(tmp_path: Path) -> None:
    rows = "".join(f'{{"id":{number}}}\n' for number in range(30_000))

    found = texts(tmp_path, "jsonl", *(f'{rows}{{"id":30000,"late":{late}}}\n' for late in (1, 2)))

    assert [(one.key, one.columns, one.v1, one.v2) for one in found.mismatches] == [
        ({"id": 30_000}, ("late",), {"id": 30_000, "late": 1}, {"id": 30_000, "late": 2})
    ]


@pytest.mark.parametrize("number", [2**63, 10**19 - 2, -(2**63) - 2, 2**64])
def test_a_whole_number_just_beyond_64_bits_in_json_is_not_rounded(tmp_path: Path, number: int) -> None:
    old, new = (f'{{"id":1,"n":{one}}}\n{{"id":2,"n":{number}}}\n' for one in (number, number + 1))

    assert [one.key["id"] for one in texts(tmp_path, "jsonl", old, new).mismatches] == [1]


@pytest.mark.parametrize(("name", "alike"), [("day?", "day1"), ("day*", "day12"), ("day[12]", "day1")])
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_that_is_called_like_a_pattern_is_read_alone(tmp_path: Path, name: str, alike: str, form: str) -> None:
    for file, number in ((name, 1), (alike, 2), ("same", 1)):
        path = tmp_path / f"{file}.{form}"
        if form == "parquet":
            pq.write_table(pa.table({"id": [number]}), path)
        else:
            path.write_text(f"id\n{number}\n" if form == "csv" else f'{{"id":{number}}}\n', encoding="utf-8")

    found = dualgauge.compare(tmp_path / f"{name}.{form}", tmp_path / f"same.{form}", BY_ID)

    assert (found.verdict, found.rows_v1, found.matched) == (Outcome.PASS, 1, 1)


@pytest.mark.parametrize("text", ["1 (number)", "31 (blob)", "a (text)", "a (text) (text)"])
def test_a_text_that_ends_like_a_marked_value_is_itself_beside_values_of_several_types(
    tmp_path: Path, text: str
) -> None:
    """A SQLite column of no declared type; the values that are no texts are marked by their type."""
    for name, values in (("mixed.db", [text, text, 5]), ("texts.db", [text, f"{text} (text)", "5"])):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, c)")
            connection.executemany("INSERT INTO t (c) VALUES (?)", [(one,) for one in values])
            connection.commit()

    for old, new in (("mixed.db", "texts.db"), ("texts.db", "mixed.db")):
        found = dualgauge.compare(tmp_path / old, tmp_path / new, BY_ID)
        assert [one.key["id"] for one in found.mismatches] == [2, 3]


@pytest.mark.parametrize("keys", [("id", "id, day"), ("id, day", "id")])
def test_a_primary_key_that_is_a_part_of_the_other_sides_is_not_taken(tmp_path: Path, keys: tuple[str, str]) -> None:
    for name, key in zip(("old.db", "new.db"), keys, strict=True):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute(f"CREATE TABLE orders (id INT NOT NULL, day DATE NOT NULL, PRIMARY KEY ({key}))")
            connection.execute("INSERT INTO orders VALUES (1, '2024-01-01')")
            connection.commit()

    with pytest.raises(NoKeyGiven, match="no primary key is stated on both sides"):
        diff_sources(str(tmp_path / "old.db"), str(tmp_path / "new.db"))


@pytest.mark.parametrize("written", ["1.5E8", "1.5e8", "1.5E+8", "150000000", "1.50E08"])
def test_an_exponent_behind_a_fraction_is_a_number_as_programs_write_it(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.csv").write_text(f"id,v\n1,{written}\n2,2.5\n")
    (tmp_path / "b.csv").write_text("id,v\n1,150000000.0\n2,2.50\n")
    (tmp_path / "c.csv").write_text("id,v\n1,150000001.0\n2,2.50\n")
    pq.write_table(pa.table({"id": [1, 2], "v": [150000000.0, 2.5]}), tmp_path / "d.parquet")
    for other in ("b.csv", "d.parquet"):
        assert dualgauge.compare(tmp_path / "a.csv", tmp_path / other, Comparator(key="id")).matched == 2
    assert dualgauge.compare(tmp_path / "a.csv", tmp_path / "c.csv", Comparator(key="id")).changed == 1


@pytest.mark.parametrize("number", [10**40, -(2**70)])
def test_a_number_of_python_that_no_type_of_arrow_holds_is_told(number: int) -> None:
    frame = pd.DataFrame({"id": [1], "v": pd.Series([number], dtype=object)})
    with pytest.raises(UnreadableLocation, match="too large"):
        dualgauge.compare(frame, frame, BY_ID)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([Decimal("1.5"), Decimal("NaN")], "holds the decimal NaN, which would be nothing"),
        ([dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 5, tzinfo=dt.UTC)], "holds days beside times with a zone"),
        ([[dt.date(2026, 1, 1)], [dt.datetime(2026, 1, 1, 5, tzinfo=dt.UTC)]], "holds days beside times with a zone"),
        ([dt.time(5), dt.time(5, tzinfo=dt.UTC)], "of which the zone would be lost"),
        ([pd.Timestamp("2026-01-01 00:00:00.000000001"), pd.Timestamp("2026-01-01")], "nanoseconds would be cut"),
    ],
)
def test_values_of_a_data_frame_that_arrow_would_bend_are_told(values: list[object], said: str) -> None:
    frame = pd.DataFrame({"id": [1, 2], "v": pd.Series(values, dtype=object)})
    with pytest.raises(UnreadableLocation, match=rf"(?s)its column 'v' {said}|its column 'v' holds .*{said}"):
        dualgauge.compare(frame, frame, BY_ID)


@pytest.mark.parametrize(
    "kind",
    [
        pa.struct({"a": pa.int32(), "A": pa.int32()}),
        pa.list_(pa.struct({"a": pa.int32(), "A": pa.int32()})),
        pa.struct({"s": pa.struct({"a": pa.int32(), "A": pa.int32()})}),
        pa.map_(pa.string(), pa.struct({"b": pa.int32(), "a": pa.int32(), "B": pa.int32()})),
    ],
    ids=str,
)
def test_fields_of_a_struct_that_differ_by_case_alone_are_refused(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"id": pa.array([1]), "x": pa.array([None], kind)})
    pq.write_table(table, tmp_path / "a.parquet")
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    for given, label in ((table, "v1 (Table)"), (frame, "v1 (DataFrame)"), (tmp_path / "a.parquet", "a.parquet")):
        with pytest.raises(UnreadableLocation) as told:
            dualgauge.compare(given, pa.table({"id": [1]}), BY_ID)
        assert f"{label} cannot be read: its column 'x' has fields " in str(told.value)
        assert "of which the engine would call one otherwise; rename one of them" in str(told.value)
