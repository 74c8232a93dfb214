"""`dualgauge.compare`: two relations of any kind, without a project."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import sqlite3
import string
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

import dualgauge
from dualgauge import Absolute, Comparator, Expected
from dualgauge.comparison.errors import BadRelation, NoSource, UnclearTable, UnreadableLocation
from dualgauge.model import Outcome, quote
from dualgauge.stores.errors import NoTable, NoTablesFile, TablesUnreachable
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dualgauge.comparison.values import Comparison

BY_ID = Comparator(key="id")


def write(file: Path, text: str | bytes) -> Path:
    """Write a file, as UTF-8 where it is a text."""
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def csvs(folder: Path, old: str, new: str, comparator: Comparator = BY_ID) -> Comparison:
    """Compare two CSV texts."""
    return dualgauge.compare(write(folder / "old.csv", old), write(folder / "new.csv", new), comparator)


def types(found: Comparison) -> dict[str, tuple[str | None, str | None]]:
    """The types of both sides by column."""
    return {column.name: (column.v1_type, column.v2_type) for column in found.schema}


def changes(found: Comparison) -> dict[Any, dict[str, tuple[object, object]]]:
    """The wrong cells of both sides by id."""
    return {
        one.key["id"]: {name: ((one.v1 or {}).get(name), (one.v2 or {}).get(name)) for name in one.columns}
        for one in found.mismatches
    }


# Two CSV files are typed together.


def test_a_column_of_numbers_beside_one_of_texts_is_compared_as_text_and_only_the_odd_row_differs(
    tmp_path: Path,
) -> None:
    found = csvs(tmp_path, "id,n\n1,1\n2,2\n", "id,n\n1,1\n2,2x\n")

    assert types(found) == {"id": ("BIGINT", "BIGINT"), "n": ("VARCHAR", "VARCHAR")}
    assert changes(found) == {2: {"n": ("2", "2x")}}


def test_an_odd_value_far_behind_what_a_sniffer_looks_at_changes_no_other_row(tmp_path: Path) -> None:
    rows = [f"{number},{number}" for number in range(30_000)]
    odd = [*rows[:-1], "29999,none"]

    found = csvs(tmp_path, "id,n\n" + "\n".join(rows), "id,n\n" + "\n".join(odd))

    assert (found.matched, changes(found)) == (29_999, {29_999: {"n": ("29999", "none")}})


def test_leading_zeros_stay_on_both_sides(tmp_path: Path) -> None:
    found = csvs(tmp_path, "id,zip\n1,007\n2,12\n", "id,zip\n1,7\n2,12\n")

    assert changes(found) == {1: {"zip": ("007", "7")}}


@pytest.mark.parametrize("kept", ["+5", " 5", "5 ", "1e5", "0x10", "1,5", "5.", "--5", "1_000"])
def test_what_is_not_written_as_a_number_is_written_is_no_number(tmp_path: Path, kept: str) -> None:
    found = csvs(tmp_path, f'id,n\n1,"{kept}"\n', "id,n\n1,5\n")

    assert changes(found) == {1: {"n": (kept, "5")}}


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("1.50", "1.5", "DECIMAL(18,2)"),
        ("1", "1.0", "DECIMAL(18,1)"),
        (".5", "0.5", "DECIMAL(18,1)"),
        ("1e-05", "0.00001", "DOUBLE"),
        ("True", "true", "BOOLEAN"),
        ("2024-01-01T10:00:00", "2024-01-01 10:00:00.000", "TIMESTAMP"),
        ("2024-01-01T10:00:00Z", "2024-01-01 11:00:00+01:00", "TIMESTAMP WITH TIME ZONE"),
        ("2024-01-01", "2024-01-01 00:00:00", "TIMESTAMP"),
        ("12345678901234567890", "12345678901234567890", "DECIMAL(20,0)"),
    ],
)
def test_one_value_written_in_two_ways_is_one_value(tmp_path: Path, one: str, other: str, kind: str) -> None:
    found = csvs(tmp_path, f"id,n\n1,{one}\n", f"id,n\n1,{other}\n")

    assert (found.verdict, types(found)["n"]) == (Outcome.PASS, (kind, kind))


@pytest.mark.parametrize(
    ("one", "other", "beside"),
    [
        ("0.1", "0.10000000000000001", "0.5"),
        ("9007199254740993", "9007199254740992", "5"),
        ("12345678901234567891", "12345678901234567890", "5"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00Z", "2024-01-01 11:00:00"),
        ("2024-01-01 10:00:00.0000001", "2024-01-01 10:00:00", "2024-01-01 11:00:00"),
        ("2024-02-30", "2024-03-01", "2024-01-01"),
        ("NULL", "", "5"),
        ("NA", "", "5"),
        ("1E5", "100000", "5"),
    ],
)
def test_two_values_that_a_sniffer_would_make_one_stay_two(tmp_path: Path, one: str, other: str, beside: str) -> None:
    assert csvs(tmp_path, f"id,n\n1,{one}\n2,{beside}\n", f"id,n\n1,{other}\n2,{beside}\n").changed == 1


def test_a_dialect_is_no_difference(tmp_path: Path) -> None:
    found = csvs(
        tmp_path,
        'id,name,note\n1,"a;b",\n2,"say ""hi""",x\n',
        '\ufeff"id";"name";"note"\r\n"1";"a;b";""\r\n"2";"say ""hi""";"x"\r\n',
    )

    assert (found.verdict, found.matched) == (Outcome.PASS, 2)


def test_backslashes_that_escape_quotes_are_read(tmp_path: Path) -> None:
    found = csvs(tmp_path, 'id,name\n1,"say ""hi"""\n2,x\n', 'id,name\n1,"say \\"hi\\""\n2,x\n')

    assert found.verdict is Outcome.PASS


def test_a_column_full_of_another_delimiter_does_not_part_the_file(tmp_path: Path) -> None:
    rows = "".join(f"{number},{number};{number};1\n" for number in range(50))
    found = csvs(tmp_path, "id,codes\n" + rows, "id;codes\n" + "".join(f'{n};"{n};{n};1"\n' for n in range(50)))

    assert (found.verdict, found.matched) == (Outcome.PASS, 50)


def test_a_hash_a_blank_line_and_a_line_end_in_quotes_lose_no_row(tmp_path: Path) -> None:
    text = 'id,name\n1,#a\n\n#2,"b\nc"\n3,d'

    found = csvs(tmp_path, text, text)

    assert (found.rows_v1, found.matched) == (3, 3)


def test_lines_that_end_in_several_ways_and_a_blank_before_a_quote_are_read_as_they_stand(tmp_path: Path) -> None:
    ends = write(tmp_path / "ends.csv", 'id,n\r\n1,2\r\n2,3\n3,"4\r5"\n')
    blank = write(tmp_path / "blank.csv", 'id,n\n1,"a, ""b"" , c"\n2, "b"\n')

    found = dualgauge.compare(ends, pa.table({"id": [1, 2, 3], "n": ["2", "3", "4\r5"]}), BY_ID)
    assert (found.matched, changes(found)) == (3, {})
    found = dualgauge.compare(blank, pa.table({"id": [1, 2], "n": ['a, "b" , c', ' "b"']}), BY_ID)
    assert (found.matched, changes(found)) == (2, {})


def test_a_tsv_a_packed_file_and_a_pattern_are_read(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.tsv", "id\tname\n1\ta,b\n2\tc\n")
    packed = write(tmp_path / "a.csv.gz", gzip.compress(b'id,name\n1,"a,b"\n2,c\n'))
    write(tmp_path / "part-1.csv", 'id,name\n1,"a,b"\n')
    write(tmp_path / "part-2.csv", "id;name\n2;c\n")

    assert dualgauge.compare(whole, packed, BY_ID).matched == 2
    assert dualgauge.compare(whole, str(tmp_path / "part-*.csv"), BY_ID).verdict is Outcome.PASS


def test_a_file_without_a_suffix_is_known_by_how_it_begins(tmp_path: Path) -> None:
    table = pa.table({"id": [1], "n": ["x"]})
    pq.write_table(table, tmp_path / "p")
    write(tmp_path / "c", "id,n\n1,x\n")
    write(tmp_path / "j", '[{"id": 1, "n": "x"}]')
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id, 'x' AS n")
        connection.commit()

    assert [dualgauge.compare(tmp_path / one, table, BY_ID).matched for one in "pcjs"] == [1, 1, 1, 1]


# JSON.


def test_json_strings_stay_texts_and_numbers_numbers(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", '{"id": 1, "s": "007", "n": 1.50, "m": 1}\n')
    new = write(tmp_path / "new.json", '[{"m": "1", "n": 1.5, "s": "007", "id": 1}]')

    found = dualgauge.compare(old, new, BY_ID)

    assert types(found)["s"] == ("VARCHAR", "VARCHAR")
    assert types(found)["n"] == ("DECIMAL(18,2)", "DECIMAL(18,2)")
    assert changes(found) == {1: {"m": ("1", '"1"')}}


def test_a_column_that_is_missing_is_null_a_member_is_not_and_the_order_is_no_difference(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", '{"id":1,"o":{"a":1,"b":[1,2]},"x":null}\n{"id":2,"o":{"a":2}}\n')
    new = write(tmp_path / "new.jsonl", '{"o":{"b":[1,2],"a":1},"id":1}\n{"id":2,"o":{"b":null,"a":2},"x":null}\n')

    assert list(changes(dualgauge.compare(old, new, BY_ID))) == [2]


def test_large_numbers_inside_of_json_are_not_rounded_beside_smaller_ones(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", '{"id":1,"o":{"a":9007199254740993}}\n{"id":2,"o":{"a":0.5}}\n')
    new = write(tmp_path / "new.jsonl", '{"id":1,"o":{"a":9007199254740992}}\n{"id":2,"o":{"a":0.50}}\n')

    assert list(changes(dualgauge.compare(old, new, BY_ID))) == [1]


def test_nested_json_compares_with_nested_parquet(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", '{"id":1,"o":{"a":1},"l":["x"]}\n{"id":2,"o":{"a":2},"l":[]}\n')
    new = pa.table({"id": [1, 2], "o": [{"a": 1}, {"a": 3}], "l": [["x"], []]})

    assert list(changes(dualgauge.compare(old, new, BY_ID))) == [2]


def test_json_fields_that_differ_by_case_alone_are_compared_each_by_itself(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", '{"id":1,"x":1,"X":2,"ä":1}\n{"id":2,"X":2,"x_1":3,"Ä":4}\n')
    new = write(tmp_path / "new.jsonl", '{"id":1,"X":2,"x":1,"ä":1}\n{"id":2,"X":3,"x_1":3,"Ä":5}\n')

    found = dualgauge.compare(old, new, BY_ID)

    assert {one.name: one.differ for one in found.columns if one.differ} == {"X (2)": 1, "Ä": 1}


def test_a_field_that_one_object_names_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "twice.jsonl", '{"id":1,"x":1}\n\n{"id":2,"x":1,"\\u0078":2}\n')

    with pytest.raises(UnreadableLocation, match="line 3: its field 'x' is there twice; give each a name of its own"):
        dualgauge.compare(file, file, BY_ID)


def test_json_fields_with_a_number_behind_are_names_like_any_other(tmp_path: Path) -> None:
    for name, last in (("a", 3), ("b", 4)):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"id":1,"x":1,"x_1":{last},"x_2":5}}', encoding="utf-8")
    found = dualgauge.compare(tmp_path / "a.jsonl", tmp_path / "b.jsonl", Comparator(key="id"))

    assert {one.name: one.differ for one in found.columns} == {"x": 0, "x_1": 1, "x_2": 0}


def test_a_comparators_own_queries_have_context_columns_and_whole_sides_have_none() -> None:
    rows = [{"id": 1, "_seen": seen, "x": 1} for seen in (1, 2)]
    sides = [pa.Table.from_pylist([one]) for one in rows]
    queries = {"v1": "SELECT * FROM v1", "v2": "SELECT * FROM v2"}

    assert dualgauge.compare(*sides, Comparator(key="id", **queries)).verdict is Outcome.PASS
    assert dualgauge.compare(*sides, Comparator(key="id")).verdict is Outcome.FAIL


def test_a_key_that_differs_from_a_column_by_case_may_say_what_it_is_affected_by() -> None:
    table = pa.table({"x": [1], "X": [2]})

    assert dualgauge.compare(table, table, Comparator(key="x", affected_by={"x": "x"})).verdict is Outcome.PASS


@pytest.mark.parametrize("values", [[0, -1, 5], [-(2**64), 2**64, 2**64 - 1, 1 - 2**64]])
def test_a_key_of_wide_numbers_is_proposed_though_hashes_of_the_engine_are_alike(values: list[int]) -> None:
    from dualgauge.comparison.files.propose_key import proposed_keys
    from dualgauge.engines.duck import open_engine

    sql = " UNION ALL ".join(f"SELECT '{one}'::HUGEINT AS id, 1 AS x" for one in values)
    with open_engine() as engine:
        assert proposed_keys(engine, sql, sql)[0] == [("id",)]


def test_large_numbers_in_json_are_not_rounded(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", '{"id":1,"n":123456789012345678901}\n{"id":2,"n":9007199254740993}\n')
    new = write(tmp_path / "new.jsonl", '{"id":1,"n":123456789012345678902}\n{"id":2,"n":9007199254740992}\n')

    assert dualgauge.compare(old, new, BY_ID).changed == 2


def test_a_number_of_64_bits_in_json_is_a_whole_number(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", f'{{"id":{2**63 - 1}}}\n{{"id":{-(2**63)}}}\n')

    found = dualgauge.compare(old, pa.table({"id": [2**63 - 1, -(2**63)]}), BY_ID)

    assert (types(found), found.matched) == ({"id": ("BIGINT", "BIGINT")}, 2)


# Databases.


def shop(folder: Path, *rows: tuple[object, ...], name: str = "shop.db") -> Path:
    """A SQLite file with one table of orders."""
    file = folder / name
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, cents INT, day DATE)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        connection.commit()
    return file


def test_one_odd_value_in_a_sqlite_column_changes_one_row_and_not_all(tmp_path: Path) -> None:
    old = shop(tmp_path, (1, 5, "2024-01-01"), (2, 6, "2024-01-02"))
    new = shop(tmp_path, (1, 5, "2024-01-01"), (2, "n/a", "02.01.2024"), name="new.db")

    found = dualgauge.compare(old, new, BY_ID)

    assert changes(found) == {2: {"cents": ("6 (number)", "n/a"), "day": ("2024-01-02", "02.01.2024")}}


LOOSE = st.sampled_from(
    [None, 0, 1, 10, 2**53, 2**53 + 1, -(2**63), 1.0, 0.5, 0.1, 1e-05, 1e16, 2.0**53, float("inf"), "1", "1.0", "", "x",
     "true", "1 (number)", "1 (text)", "31 (blob)", "x'31'", "31", "2024-01-01", "2024-13-01", b"1", b""]
)  # fmt: skip
DECLARED = ["", "INT", "TEXT", "REAL", "BLOB", "DECIMAL(9,3)", "NUMERIC", "DATE", "BOOLEAN", "UUID", "VARCHAR(3)"]


def loose(folder: Path, name: str, declared: str, values: list[object]) -> tuple[Path, list[object]]:
    """A SQLite file with values in a column of a declared type; and what SQLite made of them."""
    file = folder / f"{name}.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared})")
        connection.executemany("INSERT INTO t (c) VALUES (?)", [(one,) for one in values])
        connection.commit()
        return file, [row[0] for row in connection.execute("SELECT c FROM t ORDER BY id")]


@given(st.sampled_from(DECLARED), st.sampled_from(DECLARED), st.lists(st.tuples(LOOSE, LOOSE), min_size=1, max_size=5))
def test_values_of_sqlite_are_the_same_where_type_and_value_are(
    tmp_path_factory: pytest.TempPathFactory, one: str, other: str, values: list[tuple[object, object]]
) -> None:
    folder = tmp_path_factory.mktemp("loose")
    old, v1 = loose(folder, "old", one, [a for a, _ in values])
    new, v2 = loose(folder, "new", other, [b for _, b in values])

    found = dualgauge.compare(old, new, BY_ID)

    # Python's own equality: 1 is 1.0, and no number is a text.
    unlike = [at for at, (a, b) in enumerate(zip(v1, v2, strict=True), start=1) if a != b]
    said = [one for one in found.schema if one.lost or one.verdict == "incomparable"]
    assert (found.verdict is Outcome.PASS) is (not unlike and not said)
    if not said:
        assert [one.key["id"] for one in found.mismatches] == unlike


@pytest.mark.parametrize("beside", ["text", None])
@pytest.mark.parametrize("number", [-(2**63), 2**62, -(2**62), 0])
def test_a_whole_number_of_sqlite_is_the_same_as_a_real_to_the_end_of_64_bits(
    tmp_path: Path, number: int, beside: str | None
) -> None:
    whole, _ = loose(tmp_path, "whole", "", [number, "text"])
    real, _ = loose(tmp_path, "real", "", [float(number), beside])

    found = dualgauge.compare(whole, real, BY_ID)
    assert [one.key["id"] for one in found.mismatches] == ([] if beside else [2])


@pytest.mark.parametrize(
    ("alike", "odd"),
    thinned(3, [
        ("DATETIME", ["2024-01-01 00:00:00.000000", "2024-01-02T12:00:00.500000", None]),
        ("TIMESTAMP", ["2024-01-01T00:00:00Z", "2024-01-02 12:00:00.50+02:00"]),
        ("TIME", ["01:02:03.500", "01:02:03", "01:02:03.000000"]),
        ("DATE", ["2024-01-01", None]),
        ("UUID", ["{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11"]),
        ("JSON", ['{"a": 1.0}', '{ "b": [] }']),
        ("DECIMAL(9,3)", [1, 2.5, 1000000]),
        ("REAL", [1.0, 1e-7, 1e16, 1e300, -0.0]),
        ("BOOLEAN", [0, 1]),
        ("INT", [1, 2**62]),
        ("BLOB", [b"\xff", b""]),
    ], ["unknown", 5, 0.25, b"x"]),
)  # fmt: skip
def test_what_is_stored_alike_stays_the_same_beside_a_value_of_another_type(
    tmp_path: Path, alike: tuple[str, list[object]], odd: object
) -> None:
    declared, values = alike
    old, _ = loose(tmp_path, "old", declared, [*values, odd])
    new, _ = loose(tmp_path, "new", declared, [*values, values[0]])

    assert [one.key["id"] for one in dualgauge.compare(old, new, BY_ID).mismatches] == [len(values) + 1]
    assert [one.key["id"] for one in dualgauge.compare(new, old, BY_ID).mismatches] == [len(values) + 1]


@pytest.mark.parametrize(
    ("declared", "values", "texts"),
    [
        ("DATETIME", ["2024-01-01 00:00:00.000000"], ["2024-01-01 00:00:00.000000"]),
        ("TIME", ["01:02:03.500"], ["01:02:03.500"]),
        ("BOOLEAN", [0, 1], ["0", "1"]),
        ("DECIMAL(9,3)", [1, 2.5], ["1", "2.5"]),
        ("REAL", [1.0, 1e-7], ["1.0", "1e-07"]),
    ],
)
def test_a_sqlite_column_beside_a_text_of_a_csv_file_is_what_is_stored(
    tmp_path: Path, declared: str, values: list[object], texts: list[str]
) -> None:
    file, _ = loose(tmp_path, "t", declared, [*values, values[0]])
    rows = "".join(f"{at},{text}\n" for at, text in enumerate([*texts, "unknown"], start=1))
    found = dualgauge.compare(file, write(tmp_path / "t.csv", f"id,c\n{rows}"), BY_ID)

    assert [one.key["id"] for one in found.mismatches] == [len(values) + 1]


@pytest.mark.parametrize(
    ("declared", "values", "texts", "differ"),
    [
        ("", [1, "1"], ["1", "1"], [1]),
        ("", [b"1", "x'31'"], ["x'31'", "x'31'"], [1]),
        ("", [1, "1 (number)"], ["1 (number)", "1 (number)"], [1]),
        ("", [1, "a"], ["1 (number)", "a"], [1]),
        ("TEXT", ["", None], ["", None], []),
        ("TEXT", ["", None], [None, ""], [1, 2]),
        ("BOOLEAN", ["true", 1], ["true", "1"], [2]),
        ("DATE", ["2024-01-01", "soon"], ["2024-01-01", "soon"], []),
    ],
)
def test_values_of_sqlite_beside_texts_of_another_kind_of_side_are_told_from_them(
    tmp_path: Path, declared: str, values: list[object], texts: list[object], differ: list[int]
) -> None:
    file, _ = loose(tmp_path, "t", declared, values)
    found = dualgauge.compare(file, pa.table({"id": [1, 2], "c": pa.array(texts, pa.string())}), BY_ID)
    assert [one.key["id"] for one in found.mismatches] == differ


def test_a_sqlite_column_of_several_types_is_the_same_as_its_csv(tmp_path: Path) -> None:
    file, _ = loose(tmp_path, "t", "", [1, "n/a", 2.5, "7 (number)", None])
    csv = write(tmp_path / "t.csv", "id,c\n1,1\n2,n/a\n3,2.5\n4,7 (number)\n5,\n")

    assert dualgauge.compare(file, csv, BY_ID).verdict is Outcome.PASS


def test_a_number_of_sqlite_beside_a_number_that_is_a_text_there_is_a_finding_beside_another_database(
    tmp_path: Path,
) -> None:
    file, _ = loose(tmp_path, "t", "", [1, "n/a"])

    found = dualgauge.compare(file, pa.table({"id": [1, 2], "c": [1, 2]}), BY_ID)

    assert found.why[0] == (
        "column c: VARCHAR in v1 and BIGINT in v2 have no common type, so it was not compared; "
        "cast it in the comparator's SQL"
    )


def test_a_table_is_named_behind_a_hash_and_a_database_is_not_changed(tmp_path: Path) -> None:
    file = shop(tmp_path, (1, 5, None))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute('CREATE VIEW "my #view" AS SELECT * FROM orders')
        connection.commit()
    before = file.read_bytes()

    assert dualgauge.compare(f"{file}#orders", f"sqlite:///{file}#orders", BY_ID).matched == 1
    assert dualgauge.compare(f"{file}#orders", f"{file}#my #view", BY_ID).matched == 1
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["shop.db"]


def test_postgresql_and_sqlite_tables_compare(tmp_path: Path, postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int PRIMARY KEY, cents bigint, day date)")
        connection.execute("INSERT INTO orders VALUES (1, 5, '2024-01-01'), (2, 6, NULL)")
    file = shop(tmp_path, (1, 5, "2024-01-01"), (2, 7, None))

    found = dualgauge.compare(f"{postgres_url}#public.orders", file, BY_ID)

    assert (found.matched, changes(found)) == (1, {2: {"cents": (6, 7)}})


# What Python holds.

ROWS = {"id": [1, 2, 3], "name": ["a", None, "c"], "n": [1.5, 2.5, None]}


UUIDS = ["0c1d2e3f-aaaa-4000-8000-00000000000a", "0c1d2e3f-bbbb-4000-8000-00000000000b"]


@pytest.mark.parametrize(
    "written",
    [str.upper, lambda one: one.replace("-", ""), lambda one: f"{{{one.upper()}}}"],
)
def test_uuids_pair_with_texts_however_these_are_written(
    tmp_path: Path, postgres_url: str, written: Callable[[str], str]
) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id uuid PRIMARY KEY, ref uuid)")
        for one in UUIDS:
            connection.exec_driver_sql(f"INSERT INTO t VALUES ('{one}', '{one}')")
        connection.exec_driver_sql(f"INSERT INTO t VALUES ('{UUIDS[0].replace('a', 'c')}', NULL)")
    engine.dispose()
    texts = [written(one) for one in UUIDS]
    table = pa.table({"id": [*texts, "n/a"], "ref": [texts[0], "no uuid", None]})
    pq.write_table(table, tmp_path / "t.parquet")
    csv = "id,ref\n" + "".join(f"{one},{ref or ''}\n" for one, ref in zip(*table.to_pydict().values(), strict=True))

    for other in (tmp_path / "t.parquet", write(tmp_path / "t.csv", csv), table):
        found = dualgauge.compare(f"{postgres_url}#t", other, BY_ID)

        assert (found.compared, found.only_in_v1, found.only_in_v2) == (2, 1, 1)
        assert changes(found) == {UUIDS[1]: {"ref": (UUIDS[1], "no uuid")}} | {
            one.key["id"]: {} for one in found.mismatches if one.kind != "changed"
        }


# Every type of PostgreSQL: values of one type, no two of which are one.
KINDS: dict[str, list[str]] = {
    "bool": ["t", "f"],
    "int2": ["1", "-32768"],
    "int8": ["9223372036854775807", "9223372036854775806"],
    "oid": ["0", "4294967295"],
    "float4": ["0.1", "NaN", "Infinity", "-1e-45", "1e+20"],
    "float8": ["0.1", "NaN", "-Infinity", "1e-320", "0.30000000000000004", "1e+22"],
    "numeric": ["1.5", "123456789012345678.123456789012345678", "-0.000000001", "0"],
    "numeric(20,3)": ["1.500", "99999999999999999.999"],
    "numeric(3,-2)": ["12300", "100"],
    "numeric(6,3)": ["NaN", "1.255"],
    "decimal": ["Infinity", "-Infinity", "NaN", "1"],
    "numeric(100,50)": [f"1.{50 * '1'}", f"{50 * '9'}.{50 * '9'}"],
    "money": ["1234.56", "-1.00"],
    "date": ["2024-02-29", "0001-01-01", "9999-12-31"],
    "date ": ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "2024-01-01"],
    "timestamp": ["2024-02-29 10:00:00.000001", "0001-01-01", "2024-02-29 10:00:00"],
    "timestamp ": ["infinity", "0044-03-15 10:00 BC", "294276-12-31 23:59:59.999999"],
    "timestamptz": ["2024-02-29 10:00:00+02", "2024-02-29 10:00:00.5+00"],
    "timestamptz ": ["infinity", "-infinity", "0044-03-15 10:00+00 BC"],
    "time": ["10:00", "23:59:59.999999"],
    "time ": ["24:00", "00:00"],
    "timetz": ["10:00+02", "08:00+00", "24:00+00"],
    "interval": ["1 mon", "30 days", "720:00:00", "1 year 2 mons -3 days +04:05:06.789", "0"],
    "uuid": ["0c1d2e3f-aaaa-4000-8000-00000000000a", "0c1d2e3f-aaaa-4000-8000-00000000000b"],
    "json": ['{"a": 1}', '{"a": 2}', "null", "[1, null]", "12345678901234567890"],
    "jsonb": ['{"a": 1}', "null", "[]", "12345678901234567890", "12345678901234567891"],
    "bytea": ["\\x00ff", "\\x5c78", "\\x31", "\\x4142"],
    "bit(3)": ["101", "001"],
    "varbit": ["1", "10", "01"],
    "char(3)": ["a", "ab"],
    "citext": ["A", "a"],
    '"char"': ["a", "b"],
    "name": ["a", "A"],
    "colour": ["red", "blue"],
    "public.int8": ["1", "01"],
    "positive": ["1", "2"],
    "cents": ["1.55", "NaN"],
    "int4range": ["[1,5)", "empty", "(,5)"],
    "int4multirange": ["{[1,2),[3,4)}", "{}"],
    "pair": ["(1,a)", "(1,)", "(,)"],
    "hstore": ["a=>1, b=>NULL", "a=>NULL", "a=>1"],
    "point": ["(0.1,1e-300)", "(1,2)"],
    "xml": ["<a/>", "<a></a>"],
    "inet": ["10.0.0.1", "10.0.0.1/24", "::1"],
    "macaddr": ["08:00:2b:01:02:03", "08:00:2b:01:02:04"],
    "tsvector": ["a b", "b"],
    "int[]": ["{1,2}", "{}", "{NULL}", "{2,1}", "{1,2,NULL}"],
    "int[] ": ["{1,2}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{1,2,3,4}"],
    "bool[]": ["{t,f}", "{f,NULL}"],
    "varchar[]": ['{"a,b",NULL,"NULL",""}', "{a,b}", '{"a\\"b"}', '{"a\\\\b"}', '{" "}', "{}", '{"{}"}'],
    "bytea[]": ['{"\\\\x00ff"}', '{"\\\\x"}'],
    "numeric[]": ["{1.5,NaN}", "{1.5}"],
    "numeric[] ": ["{1.50,NULL}", "{}", "{-0.001,123456789012345678.5}", "{1.5,2}"],
    "numeric(9,2)[]": ["{1.50}", "{1.50,NULL}", "{1.51}"],
    "numeric(100,50)[]": [f"{{1.{50 * '1'}}}", "{1}"],
    "date[]": ["{2024-01-01}", "{infinity}"],
    "date[] ": ["{2024-01-01,NULL}", "{}", "{9999-12-31}"],
    "timestamp[]": ['{"2024-02-29 10:00:00.5"}', '{"2024-02-29 10:00:00"}', "{NULL}"],
    "timestamptz[]": ['{"2024-02-29 10:00:00+02"}', '{"2024-02-29 10:00:00+00"}'],
    "timestamptz[] ": ['{"2024-02-29 10:00:00+02"}', "{-infinity}"],
    "jsonb[]": ['{"{\\"a\\": 1}"}', "{NULL}", '{"null"}', "{}", "{12345678901234567890,12345678901234567891}"],
    "json[]": ['{"{\\"a\\": 1}"}', '{"{\\"a\\": 2}"}', '{"[1,   null]"}', '{"\\"}\\""}'],
    "uuid[]": ["{0c1d2e3f-aaaa-4000-8000-00000000000a}", "{NULL}", "{}"],
    "time[] ": ["{10:00,23:59:59.5}", "{10:00}"],
    "colour[]": ["{red}", "{blue}"],
    "time[]": ["{10:00,24:00}", "{10:00}"],
}


def test_values_of_every_postgresql_type_are_told_apart_and_are_the_same_as_their_copy(
    postgres_url: str, tmp_path: Path
) -> None:
    height = max(map(len, KINDS.values()))
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        for made in (
            "EXTENSION citext", "EXTENSION hstore", "TYPE colour AS ENUM ('red', 'blue')",
            "TYPE pair AS (a int, b text)", "DOMAIN cents AS numeric(10,2)",
            "DOMAIN positive AS int CHECK (value > 0)", "TYPE public.int8 AS ENUM ('1', '01')",
        ):  # fmt: skip
            connection.exec_driver_sql(f"CREATE {made}")
        for name, by in (("old", 0), ("moved", 1)):
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (id int PRIMARY KEY, {', '.join(f'{quote(kind)} {kind}' for kind in KINDS)})"
            )
            for at in range(height + 1):
                row = [values[(at + by) % len(values)] if at < len(values) else None for values in KINDS.values()]
                casts = ", ".join(f"CAST(%s AS {kind})" for kind in KINDS)
                connection.exec_driver_sql(f"INSERT INTO {name} VALUES (%s, {casts})", (at, *row))
        connection.exec_driver_sql("CREATE TABLE same AS TABLE old")
        raw: Any = connection.connection.driver_connection
        with raw.cursor() as cursor, cursor.copy("COPY old TO STDOUT (FORMAT csv, HEADER)") as copied:
            csv = b"".join(bytes(part) for part in copied)
    engine.dispose()
    old, moved = f"{postgres_url}#old", f"{postgres_url}#moved"
    copy = write(tmp_path / "old.csv", csv)
    every = {kind: len(values) for kind, values in KINDS.items()}

    for v1, v2, differ in (
        (old, f"{postgres_url}#same", dict.fromkeys(KINDS, 0)),
        (old, copy, dict.fromkeys(KINDS, 0)),
        (old, moved, every),
        (copy, moved, every),
    ):
        found = dualgauge.compare(v1, v2, BY_ID)
        assert {one.name: one.differ for one in found.columns} == differ, found.why
        assert (found.verdict is Outcome.PASS) is (differ != every), found.why


@pytest.mark.parametrize(
    ("v1", "v2", "kinds", "verdict"),
    [
        ("'{1.10}'::numeric(10,2)[]", "'{1.1}'::numeric(10,1)[]", ("DECIMAL(10,2)[]", "DECIMAL(10,1)[]"), "pass"),
        ("'{1.10}'::numeric[]", "'{1.11}'::numeric(10,2)[]", ("DECIMAL(18,1)[]", "DECIMAL(10,2)[]"), "fail"),
        ("'{1,NULL}'::int[]", "'{1.0,NULL}'::numeric[]", ("INTEGER[]", "DECIMAL(18,0)[]"), "pass"),
        ("'{2024-01-01}'::date[]", "'{2024-01-01 00:00:00}'::timestamp[]", ("DATE[]", "TIMESTAMP[]"), "pass"),
        ("'{2024-01-01}'::date[]", "'{2024-01-01 00:00:01}'::timestamp[]", ("DATE[]", "TIMESTAMP[]"), "fail"),
        ("""'{"{\\"a\\":1}"}'::json[]""", """'{"{ \\"a\\": 1.0}"}'::json[]""", ("JSON[]", "JSON[]"), "pass"),
        ("""'{"{\\"a\\":1}"}'::json[]""", """'{"{\\"a\\": 2}"}'::jsonb[]""", ("JSON[]", "JSON[]"), "fail"),
        ("'{1}'::numeric[]", "'{NaN}'::numeric[]", ("DECIMAL(18,0)[]", "VARCHAR"), "fail"),
        ("'{10:00}'::time[]", "'{10:00:00.000}'::time[]", ("TIME[]", "TIME[]"), "pass"),
        ("'{1}'::numeric[]", "'[0:0]={1}'::numeric[]", ("DECIMAL(18,0)[]", "VARCHAR"), "fail"),
    ],
)
def test_elements_of_an_array_of_postgresql_have_the_types_of_columns(
    postgres_url: str, v1: str, v2: str, kinds: tuple[str, str], verdict: str
) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        for name, value in (("v1", v1), ("v2", v2)):
            connection.execute(sa.text(f"CREATE TABLE {name} AS SELECT 0 AS id, {value} AS x".replace(":", "\\:")))
    engine.dispose()
    found = dualgauge.compare(f"{postgres_url}#v1", f"{postgres_url}#v2", BY_ID)

    assert (found.verdict.value, types(found)["x"]) == (verdict, kinds)


def test_a_table_of_postgresql_is_the_same_as_its_parquet(postgres_url: str, tmp_path: Path) -> None:
    export = pa.table(
        {
            "id": pa.array([1, 2], pa.int32()),
            "n": pa.array([Decimal("1.50"), None], pa.decimal128(12, 2)),
            "f": pa.array([0.1, float("nan")], pa.float64()),
            "r": pa.array([0.1, None], pa.float32()),
            "t": ["ä", ""],
            "b": [True, None],
            "y": [b"\x00", b""],
            "d": pa.array([dt.date(2024, 2, 29), None]),
            "at": pa.array([dt.datetime(2024, 2, 29, 10, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
            "u": ["0c1d2e3f-aaaa-4000-8000-00000000000a", None],
            "a": pa.array([[1, None], []], pa.list_(pa.int32())),
        }
    )
    pq.write_table(export, tmp_path / "t.parquet")
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE t (id int, n numeric, f float8, r float4, t text, b bool, y bytea, d date, at timestamptz, "
            "u uuid, a int[])"
        )
        for row in export.to_pylist():
            connection.exec_driver_sql(f"INSERT INTO t VALUES ({', '.join(f'%({name})s' for name in row)})", row)
    engine.dispose()

    found = dualgauge.compare(f"{postgres_url}#t", tmp_path / "t.parquet", BY_ID)

    assert (found.verdict, found.matched) == (Outcome.PASS, 2)


def test_arrow_tables_readers_batches_frames_and_duckdb_relations_are_one() -> None:
    table = pa.table(ROWS)
    with duckdb.connect() as other:
        relation = other.sql("SELECT * FROM (VALUES (1, 'a', 1.5), (2, NULL, 2.5), (3, 'c', NULL)) AS t (id, name, n)")
        given: list[object] = [
            table,
            table.to_reader(),
            table.to_batches()[0],
            table.to_pandas(),
            table.to_pandas().set_index("id"),
            relation,
        ]
        assert [dualgauge.compare(one, table, BY_ID).matched for one in given] == [3] * 6


def test_a_relation_that_fails_and_one_of_a_closed_connection_are_told_by_name() -> None:
    failing = "SELECT 1 AS id, CAST(CASE WHEN i = 1 THEN 'x' ELSE '1' END AS INTEGER) AS n FROM range(3) AS t (i)"
    with duckdb.connect() as other:
        relation, of_none = other.sql(failing), other.sql("SELECT 1 AS id, 1 AS n")
        with pytest.raises(UnreadableLocation, match=r"^v1 \(DuckDBPyRelation\)[^\n]*Could not convert string 'x'"):
            dualgauge.compare(relation, pa.table(ROWS), BY_ID)
    with pytest.raises(UnreadableLocation, match=r"see that its query runs by itself, and that its connection is open"):
        dualgauge.compare(of_none, pa.table(ROWS), BY_ID)


def test_a_reader_is_never_whole_in_memory() -> None:
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    alive: list[int] = []

    def batches() -> Any:
        for number in range(20):
            alive.append(pa.total_allocated_bytes())
            ids = range(number * 5_000, number * 5_000 + 5_000)
            yield pa.record_batch([list(ids), [f"{one:0200d}" for one in ids]], schema=schema)

    reader = pa.RecordBatchReader.from_batches(schema, batches())

    found = dualgauge.compare(reader, pa.table({"id": [0], "text": ["0" * 200]}), BY_ID, memory_limit="200MB")

    assert (found.rows_v1, found.matched) == (100_000, 1)
    assert max(alive) < 10 * 2**20  # 20 MB went through


def test_the_comparator_s_rules_expectations_and_selects_hold() -> None:
    old = pa.table({"id": [1, 2], "n": [1.0, 2.0], "tax": [1, 1]})
    new = pa.table({"id": [1, 2], "n": [1.001, 2.0], "tax": [2, 2]})
    expected = Expected(
        when="true", v2_equals={"tax": "v1.tax + 1"}, reason="the new tax", owner="billing", until=dt.date(2024, 1, 31)
    )
    comparator = Comparator(
        key="id",
        v1="SELECT id, n, tax FROM v1",
        v2="SELECT id, n, tax FROM v2 WHERE id < 2",
        rules={"n": Absolute(0.01)},
        expected=[expected],
    )

    found = dualgauge.compare(old, new, comparator, today=dt.date(2024, 1, 31))
    later = dualgauge.compare(old, new, comparator, today=dt.date(2024, 2, 1), samples=0)

    assert (found.expected, found.only_in_v1, found.changed) == (1, 1, 0)
    assert (later.expected, later.changed, later.mismatches) == (0, 1, ())
    with pytest.raises(BadRelation, match="the query of v1 cannot be run"):
        dualgauge.compare(old, new, Comparator(key="id", v1="SELECT * FROM orders"))


# One table in every form.

NAMES = st.text(string.ascii_letters + string.digits + " ,;\"'|#é😀\t-", min_size=1).filter(lambda text: text.strip())
CELLS = st.fixed_dictionaries(
    {
        "name": st.none() | NAMES,
        "whole": st.none() | st.integers(-(2**53), 2**53),
        "price": st.none() | st.decimals(-(10**9), 10**9, places=2),
        "share": st.none() | st.floats(-1e6, 1e6).map(lambda number: round(number, 6) + 0.0),
        "day": st.none() | st.dates(dt.date(1, 1, 1)),
        "at": st.none() | st.datetimes(),
        "yes": st.none() | st.booleans(),
    }
)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("whole", pa.int64()),
        ("price", pa.decimal128(12, 2)),
        ("share", pa.float64()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us")),
        ("yes", pa.bool_()),
    ]
)


def as_text(value: object) -> str:
    """A value as a CSV file has it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dt.datetime():
            return value.isoformat(" ")
        case _:
            return str(value)


def every_form(folder: Path, rows: list[dict[str, Any]]) -> dict[str, object]:
    """The same rows as CSV, JSONL, Parquet, SQLite, Arrow and pandas."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    pq.write_table(table, folder / "rows.parquet")
    table_csv = [",".join('"' + as_text(row[name]).replace('"', '""') + '"' for name in SCHEMA.names) for row in rows]
    write(folder / "rows.csv", "\n".join([",".join(SCHEMA.names), *table_csv]) + "\n")
    plain = [{k: float(v) if isinstance(v, Decimal) else v for k, v in row.items()} for row in rows]
    lines = [json.dumps(row, default=as_text, ensure_ascii=False) for row in plain]
    write(folder / "rows.jsonl", "\n".join(lines) + "\n")
    file = folder / "rows.db"
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, whole INT, price DECIMAL(12,2), share REAL,"
            " day DATE, at DATETIME, yes BOOLEAN)"
        )
        stored = [
            [as_text(v) if isinstance(v, Decimal | dt.date) else v for v in (row[name] for name in SCHEMA.names)]
            for row in rows
        ]
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)", stored)
        connection.commit()
    return {
        "csv": folder / "rows.csv",
        "jsonl": folder / "rows.jsonl",
        "parquet": folder / "rows.parquet",
        "sqlite": file,
        "arrow": table,
    }


FORMS = ("csv", "jsonl", "parquet", "sqlite", "arrow")


@pytest.mark.parametrize(
    ("first", "second"),
    [*zip(FORMS, [*FORMS[1:], FORMS[0]], strict=True), ("csv", "csv"), ("jsonl", "jsonl"), ("sqlite", "csv")],
)
def test_one_table_in_two_forms_is_the_same(first: str, second: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("forms")
    values: dict[str, Any] = {
        "name": '007, "x"',
        "whole": -5,
        "price": Decimal("1.50"),
        "share": 0.1,
        "day": dt.date(2024, 2, 29),
        "at": dt.datetime(2024, 2, 29, 10, 0, 0, 123000),  # noqa: DTZ001  (a time without a zone is meant)
        "yes": True,
    }
    rows = [{"id": 1, **values}, {"id": 2, **dict.fromkeys(values)}, {"id": 3, **values, "name": "é", "yes": False}]
    forms = every_form(folder, rows)
    other = every_form(tmp_path_factory.mktemp("other"), [*rows[:2], {**rows[2], "whole": 6}])

    same = dualgauge.compare(forms[first], forms[second], BY_ID)
    changed = dualgauge.compare(forms[first], other[second], BY_ID)

    assert (same.verdict, same.matched, same.why) == (Outcome.PASS, 3, same.why)
    assert [(one.key, one.columns) for one in changed.mismatches] == [({"id": 3}, ("whole",))]


@settings(max_examples=12)
@given(st.data(), st.lists(CELLS, min_size=1, max_size=5))
def test_any_table_is_the_same_in_two_forms(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, cells: list[dict[str, Any]]
) -> None:
    first, second = data.draw(st.tuples(st.sampled_from(FORMS), st.sampled_from(FORMS)))
    forms = every_form(tmp_path_factory.mktemp("any"), [{"id": at, **row} for at, row in enumerate(cells)])

    found = dualgauge.compare(forms[first], forms[second], BY_ID)

    assert (found.matched, changes(found)) == (len(cells), {})


# What cannot be compared.


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("quote.csv", 'id,n\n1,"abc\n2,d\n', 'line 2: a quote (") is opened and not closed'),
        ("short.csv", "id,n\n1,2\n1\n", "line 3: it has 1 value for 2 columns"),
        ("long.csv", "id,n\n1,2,3\n", "line 2: it has 3 values for 2 columns"),
        ("longer.csv", 'id,n\n"1\n",2\n1,2,3,4\n', "line 4: it has 4 values for 2 columns"),
        ("comma.csv", 'id,n\n"1\n",2\n2,3,\n', "line 4: it has 3 values for 2 columns"),
        ("one.csv", "id\n1\n2,\n", "line 3: it has 2 values for 1 column"),
        ("behind.csv", 'id,n\n1,"b"  \n', 'line 2: a quote (") is closed in a value'),
        ("latin.csv", b"id,n\n1,M\xfcnchen\n", "line 2: it is not UTF-8"),
        ("header.csv", b"id,M\xfc\n1,2\n", "line 1: it is not UTF-8"),
        ("empty.csv", "", "it is empty; a CSV file begins with a line of column names"),
        ("twice.csv", "id,id\n1,2\n", "line 1: it names the column 'id' twice"),
        ("packed.csv.gz", b"no gzip", "Not a gzipped file"),
        ("broken.jsonl", '{"id":1}\n{"id":\n', "unexpected end of data"),
        ("list.json", "[1, 2]", "value 1: it is no object"),
        ("cut.json", '[{"id":1},\n', "its array is not closed: the file is cut off"),
        ("comma.jsonl", '{"id":1}\n{"id":2,}\n', "line 2: no JSON: a comma before '}'"),
        ("behind.json", '[{"id":1},]', "behind its last comma there is no value"),
        ("half.jsonl", '{"id":1}\n{"id":"\\ud800"}\n', "line 2: a text has half of a surrogate pair"),
        ("half.json", '[{"id":"\\udc00"}]', "a text has half of a surrogate pair"),
        ("none.json", "[]", "it has no columns"),
        ("empty.jsonl", "", "it is empty; a JSON file holds"),
        ("latin.jsonl", b'{"id":"\xfc"}\n', "invalid UTF-8"),
        ("text.parquet", "id,n\n1,2\n" * 10, "see that it is a whole Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_line_and_the_fault(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    file = write(tmp_path / name, content)

    with pytest.raises(UnreadableLocation) as told:
        dualgauge.compare(pa.table(ROWS), file, BY_ID)
    assert str(told.value).startswith(f"{file} cannot be read: ")
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.csv", "none.csv cannot be compared: there is no such file"),
        ("none-*.csv", "none-*.csv cannot be compared: no file has a name like it"),
        (".", "it is a folder: name its files, for example as './*.parquet'"),
        ("https://host/old.csv", "files are read from this machine's disk only: download it first"),
        ("mixed.*", "its files are of several kinds (csv, json)"),
    ],
)
def test_what_is_no_side_says_what_can_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mixed.csv", "id\n1\n")
    write(tmp_path / "mixed.json", "[]")

    with pytest.raises(NoSource) as told:
        dualgauge.compare(name, pa.table(ROWS), BY_ID)

    assert said in str(told.value)
    assert "or a table of a database (shop.db#orders, postgresql://host/db#orders)" in str(told.value)


def test_something_else_of_python_s_is_told_what_can_be_given() -> None:
    with pytest.raises(NoSource, match=r"v2 \(dict\) cannot be compared: it is no path, Arrow table or reader"):
        dualgauge.compare(pa.table(ROWS), {"id": [1]}, BY_ID)


def test_a_frame_of_mixed_values_names_its_column() -> None:
    with pytest.raises(UnreadableLocation, match=r"(?s)v1 \(DataFrame\) cannot be read: .*column '?n.*astype"):
        dualgauge.compare(pd.DataFrame({"id": [1, 2], "n": [1, "x"]}), pa.table(ROWS), BY_ID)


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["id", "id"])

    with pytest.raises(UnreadableLocation, match=r"v1 \(Table\) cannot be read: it has two columns 'id'"):
        dualgauge.compare(twice, pa.table(ROWS), BY_ID)


def test_a_database_without_its_table_lists_them(tmp_path: Path) -> None:
    file = shop(tmp_path)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE users (id INT)")
    (tmp_path / "text.db").write_text("no database, just a text that is long enough\n" * 20, encoding="utf-8")

    with pytest.raises(UnclearTable) as told:
        dualgauge.compare(file, pa.table(ROWS), BY_ID)
    assert str(told.value) == (
        f"{file}: which table is to be compared is not said, and it has orders, users; name one, as in {file}#orders"
    )
    with pytest.raises(NoTable, match=r"has no table 'order' \(did you mean 'orders'\?\)"):
        dualgauge.compare(f"{file}#order", pa.table(ROWS), BY_ID)
    with pytest.raises(NoTablesFile, match="there is no such file"):
        dualgauge.compare(f"{tmp_path}/gone.db#orders", pa.table(ROWS), BY_ID)
    with pytest.raises(TablesUnreachable, match="file is not a database"):
        dualgauge.compare(tmp_path / "text.db", pa.table(ROWS), BY_ID)
