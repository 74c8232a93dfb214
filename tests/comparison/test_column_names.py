"""Columns of any name: beside others that differ from it by case, in every form that a side may have."""

from __future__ import annotations

import csv
import shlex
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

import dualgauge
from dualgauge import Absolute, Comparator, Expected, Limits
from dualgauge.comparison.errors import BadRelation, NoKeyGiven, UnclearColumn, UnreadableLocation
from dualgauge.comparison.files.compare import diff_sources
from dualgauge.comparison.files.names import key_of, key_text, meant, shown_names
from dualgauge.engines.duck import open_engine
from dualgauge.model import Outcome, fold, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dualgauge.comparison.values import Comparison

Columns = dict[str, list[Any]]
"""A relation: values by column."""


def csv_file(columns: Columns, file: Path) -> Path:
    """Write a CSV file."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return file


def parquet_file(columns: Columns, file: Path) -> Path:
    """Write a Parquet file."""
    pq.write_table(pa.table(columns), file)
    return file


def postgresql_table(columns: Columns, url: str, name: str) -> str:
    """Make a table of PostgreSQL; give the side's name."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {name} ({', '.join(f'{quote(one)} int' for one in columns)})")
        for row in zip(*columns.values(), strict=True):
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES {tuple(row)!r}")
    engine.dispose()
    return f"{url}#{name}"


def side(form: str, columns: Columns, folder: Path, name: str) -> Any:
    """The columns as one side of a comparison, in a form."""
    match form:
        case "csv":
            return csv_file(columns, folder / f"{name}.csv")
        case "parquet":
            return parquet_file(columns, folder / f"{name}.parquet")
        case "reader":
            return pa.table(columns).to_reader()
        case "frame":
            return pd.DataFrame(columns)
        case _:
            return pa.table(columns)


def wrong(found: Comparison) -> dict[str, int]:
    """The columns in which some row differs."""
    return {one.name: one.differ for one in found.columns if one.differ}


FORMS = ("csv", "parquet", "reader", "frame", "arrow")


# A column whose name begins with an underscore.


@pytest.mark.parametrize("form", FORMS)
def test_a_column_that_begins_with_an_underscore_is_compared_like_any_other(form: str, tmp_path: Path) -> None:
    old = side(form, {"_id": [1, 2], "_x": [1, 2]}, tmp_path, "old")
    new = side(form, {"_id": [1, 2], "_x": [1, 3]}, tmp_path, "new")

    found = dualgauge.compare(old, new, Comparator(key="_id"))

    assert (wrong(found), found.verdict) == ({"_x": 1}, Outcome.FAIL)


def test_a_column_that_begins_with_an_underscore_is_compared_of_a_duckdb_relation_and_is_context_of_a_query() -> None:
    with duckdb.connect() as connection:
        old, new = connection.sql("SELECT 1 AS id, 1 AS _x"), pa.table({"id": [1], "_x": [2]})
        whole = dualgauge.compare(old, new, Comparator(key="id"))
        chosen = dualgauge.compare(
            old, new, Comparator(key="id", v1="SELECT * , 1 AS y FROM v1", v2="SELECT *, 1 AS y FROM v2")
        )
    assert (wrong(whole), wrong(chosen)) == ({"_x": 1}, {})


def test_a_key_that_two_tables_state_may_begin_with_an_underscore(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        for name, x in (("a", 1), ("b", 2)):
            connection.exec_driver_sql(f'CREATE TABLE {name} ("_id" int PRIMARY KEY, _x int)')
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES (1, {x})")
    engine.dispose()

    found = diff_sources(f"{postgres_url}#a", f"{postgres_url}#b")

    assert (found.key, found.stated, wrong(found.comparison)) == (("_id",), True, {"_x": 1})


# Two columns whose names differ by case.


@pytest.mark.parametrize("form", FORMS)
def test_columns_that_differ_by_case_are_compared_each_by_itself(form: str, tmp_path: Path) -> None:
    old = {"id": [1], "x": [1], "X": [2], "X_1": [3]}
    for column in ("x", "X", "X_1"):
        new = old | {column: [9]}
        found = dualgauge.compare(
            side(form, old, tmp_path, "old"),
            side(form, dict(reversed(new.items())), tmp_path, "new"),
            Comparator(key="id"),
        )
        assert wrong(found) == {{"x": "x (1)", "X": "X (2)", "X_1": "X_1"}[column]: 1}


def test_columns_of_postgresql_that_differ_by_case_are_compared_each_by_itself(
    postgres_url: str, tmp_path: Path
) -> None:
    old = {"id": [1], "x": [1], "X": [2], "X_1": [3]}
    v1 = postgresql_table(old, postgres_url, "old")
    for at, column in enumerate(("x", "X", "X_1")):
        v2 = postgresql_table(old | {column: [9]}, postgres_url, f"new{at}")
        export = parquet_file(old | {column: [9]}, tmp_path / f"{at}.parquet")
        for other in (v2, export):
            assert wrong(diff_sources(v1, str(other), key=["id"]).comparison) == {
                {"x": "x (1)", "X": "X (2)", "X_1": "X_1"}[column]: 1
            }
    export = csv_file(old, tmp_path / "old.csv")
    assert diff_sources(v1, str(export), key=["X"]).comparison.verdict is Outcome.PASS


def test_one_column_beside_two_that_differ_from_it_by_case_is_never_compared_with_the_wrong_one() -> None:
    two = pa.table({"id": [1], "x": [1], "X": [2]})

    same = dualgauge.compare(two, pa.table({"id": [1], "X": [2]}), Comparator(key="id"))
    neither = dualgauge.compare(
        pa.table({"id": [1], "ab": [1], "AB": [2]}), pa.table({"id": [1], "Ab": [1]}), Comparator(key="id")
    )

    assert same.why[0] == ("column x (1): only in v1; select it in v2 too, or leave it out of the comparator's SQL")
    assert [one.name for one in same.columns] == ["X (2)"]
    assert wrong(same) == {}
    assert [one.name for one in neither.columns] == []
    assert neither.verdict is Outcome.FAIL


def test_names_that_differ_by_case_between_the_sides_are_one_column(tmp_path: Path) -> None:
    old = csv_file({"id": [1], "Name": ["ada"]}, tmp_path / "old.csv")
    new = csv_file({"ID": [1], "name": ["ada"]}, tmp_path / "new.csv")

    assert diff_sources(str(old), str(new), key=["Id"]).comparison.verdict is Outcome.PASS


def test_files_of_one_side_whose_names_differ_by_case_are_one_table(tmp_path: Path) -> None:
    for kind, write in (("csv", csv_file), ("parquet", parquet_file)):
        write({"id": [1], "x": [1]}, tmp_path / f"a1.{kind}")
        write({"ID": [2], "X": [2]}, tmp_path / f"a2.{kind}")
        write({"X": [4], "x": [3], "id": [3]}, tmp_path / f"b2.{kind}")
        write({"id": [1], "x": [1]}, tmp_path / f"b1.{kind}")
        whole = pa.table({"id": [1, 2], "x": [1, 2]})
        parted = pa.table({"id": [1, 3], "x": [1, 3], "X": pa.array([None, 4])})

        assert dualgauge.compare(str(tmp_path / f"a*.{kind}"), whole, Comparator(key="id")).verdict is Outcome.PASS
        if kind == "parquet":
            # Parquet says which columns a file has: one that lacks a column of the other side is no NULL.
            with pytest.raises(UnreadableLocation, match=r"b1\.parquet has no column 'X', which its other files and"):
                dualgauge.compare(str(tmp_path / f"b*.{kind}"), parted, Comparator(key="id"))
            continue
        assert dualgauge.compare(str(tmp_path / f"b*.{kind}"), parted, Comparator(key="id")).verdict is Outcome.PASS


def test_two_columns_of_one_spelling_are_refused_in_parquet_too(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["id", "id"])
    pq.write_table(twice, tmp_path / "twice.parquet")

    with pytest.raises(UnreadableLocation) as told:
        dualgauge.compare(tmp_path / "twice.parquet", twice, Comparator(key="id"))
    assert str(told.value) == (
        f"{tmp_path / 'twice.parquet'} cannot be read: it has two columns 'id'; give each column a name of its own"
    )


def test_rules_limits_expectations_and_keys_mean_the_column_that_is_spelled_so() -> None:
    today = date(2026, 1, 1)
    old, new = pa.table({"id": [1], "x": [1], "X": [2]}), pa.table({"id": [1], "x": [1], "X": [3]})
    right = Expected(when="true", v2_equals={"X": 'v1."X (2)" + 1'}, reason="one more", owner="me", until=today)

    for comparator, passes in (
        (Comparator(key="id", rules={"X": Absolute(1)}), True),
        (Comparator(key="id", rules={"x": Absolute(1)}), False),
        (Comparator(key="id", rules={"X (2)": Absolute(1)}), True),
        (Comparator(key="id", limits=Limits(changed=1, columns={"x": 0})), True),
        (Comparator(key="id", limits=Limits(changed=1, columns={"X": 0})), False),
        (Comparator(key="id", expected=[right]), True),
        (Comparator(key="x", rules={"X (2)": Absolute(1)}), True),
        (Comparator(key="id", v1='SELECT id, "X (2)" FROM v1', v2='SELECT id, "x (1)" + 1 AS "x (2)" FROM v2'), True),
    ):
        found = dualgauge.compare(old, new, comparator, today=today)
        assert (found.verdict is Outcome.PASS) is passes, comparator


def test_a_name_that_could_mean_two_columns_is_refused_with_both() -> None:
    table = pa.table({"id": [1], "ab": [1], "AB": [2]})

    with pytest.raises(UnclearColumn) as told:
        dualgauge.compare(table, table, Comparator(key="Ab"))
    assert str(told.value) == (
        "Comparator: key Ab: no column is called so, and 'ab', 'AB' differ from it by case alone; "
        "write one of them as it stands there"
    )
    with pytest.raises(BadRelation, match=r'"?AB'):
        dualgauge.compare(table, table, Comparator(key="id", v1="SELECT id, AB FROM v1"))


# Names that Python folds and the engine does not.

ALIKE = (
    *(
        "x",
        "X",
        "ß",
        "SS",
        "ss",
        "ẞ",
        "İ",
        "i",
        "I",
        "ı",
        "i\u0307",
        "Ä",
        "ä",
        "A\u0308",
        "ſ",
        "s",
        "S",
        "\u212a",
        "k",
        "K",
    ),
    *("σ", "ς", "Σ", "ﬁ", "fi", "FI", "value", "VALUE", "é", "É", "x (1)", "X (1)", "_", "__", " x", "c0", "C0", "x_1"),
)


@given(a=st.sampled_from(ALIKE), b=st.sampled_from(ALIKE))
def test_names_are_one_exactly_where_the_engine_takes_them_for_one(a: str, b: str) -> None:
    with open_engine(threads=1) as engine:
        described = list(engine.columns(f"SELECT * FROM (SELECT 1 AS {quote(a)}, 2 AS {quote(b)})"))

    assert (described != [a, b]) is (fold(a) == fold(b))


@given(
    v1=st.lists(st.sampled_from(ALIKE), unique=True, max_size=6),
    v2=st.lists(st.sampled_from(ALIKE), unique=True, max_size=6),
)
def test_every_column_has_a_name_of_its_own_in_sql_and_pairs_as_sql_would(v1: list[str], v2: list[str]) -> None:
    shown = shown_names(v1, v2)

    for names in (v1, v2):
        assert len({fold(shown[name]) for name in names}) == len(names)
        assert all(meant("--key", name, shown) == shown[name] for name in names)
    for a in v1:
        for b in v2:
            alone = all(sum(fold(one) == fold(a) for one in names) == 1 for names in (v1, v2))
            together = fold(shown[a]) == fold(shown[b])
            assert together is (a == b or (alone and fold(a) == fold(b)))


@given(
    names=st.lists(st.sampled_from(ALIKE), unique=True, min_size=1, max_size=6),
    at=st.integers(0, 5),
    form=st.sampled_from(("csv", "parquet", "arrow")),
)
def test_a_change_in_one_column_is_found_in_that_column_whatever_the_names(
    tmp_path_factory: pytest.TempPathFactory, names: Sequence[str], at: int, form: str
) -> None:
    folder = tmp_path_factory.mktemp("names")
    old: Columns = {"the key": [1, 2], **{name: [place, None] for place, name in enumerate(names)}}
    changed = names[at % len(names)]
    new = old | {changed: [99, None]}

    found = dualgauge.compare(side(form, old, folder, "old"), side(form, new, folder, "new"), Comparator(key="the key"))

    assert wrong(found) == {shown_names(list(old), list(new))[changed]: 1}
    assert found.mismatches[0].v2 is not None
    assert found.matched == 1


# Keys that are proposed, and written.

KEY_NAMES = st.text(st.sampled_from("aB,\"' x;ß#-\\"), min_size=1, max_size=6)


@given(st.lists(KEY_NAMES, min_size=1, max_size=4))
def test_what_is_written_for_a_key_is_read_as_the_same_columns(names: list[str]) -> None:
    assert key_of(key_text(names)) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id", ["id"]),
        (" day , shop,", ["day", "shop"]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a ""b"""', ['a "b"']),
        ('a"b', ['a"b']),
        ('"a', ['"a']),
        ('" a "', [" a "]),
        ("", []),
    ],
)
def test_a_key_is_parted_by_commas_outside_of_quotes(text: str, names: list[str]) -> None:
    assert key_of(text) == names


TYPED: Mapping[str, tuple[list[Any], pa.DataType]] = {
    "int": ([1, 2, 3], pa.int64()),
    "small": ([1, 2, 3], pa.int8()),
    "text": (["1", "2", "3"], pa.string()),
    "words": (["a", "A", "ä"], pa.string()),
    "null": ([1, 2, None], pa.int64()),
    "twice": ([1, 2, 2], pa.int64()),
    "bytes": ([b"1", b"2", b"3"], pa.binary()),
    "float": ([1.0, 2.0, 3.0], pa.float64()),
    "nan": ([1.0, float("nan"), 3.0], pa.float64()),
    "zeros": ([0.0, -0.0, 1.0], pa.float64()),
    "list": ([[1], [2], [3]], pa.list_(pa.int64())),
    "struct": ([{"a": 1}, {"a": 2}, {"a": 3}], pa.struct([("a", pa.int64())])),
    "map": ([[(1, 1)], [(2, 1)], [(3, 1)]], pa.map_(pa.int64(), pa.int64())),
    "date": ([0, 1, 2], pa.date32()),
    "stamp": ([0, 1, 86_400_000_000], pa.timestamp("us")),
    "zoned": ([0, 1, 86_400_000_000], pa.timestamp("us", "UTC")),
    "clock": ([0, 1, 2], pa.time64("us")),
    "decimal": ([1, 2, 3], pa.decimal128(38, 10)),
    "wide": ([1, 2, 3], pa.decimal128(38, 0)),
    "bool": ([True, False, None], pa.bool_()),
    "nothing": ([None, None, None], pa.null()),
}


@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(("a", "A", "a,b", '"a"', " b ", "c d", "--key", "it's", "ß", "SS", " ")),
                  st.sampled_from(sorted(TYPED)), st.sampled_from(sorted(TYPED))),
        unique_by=lambda one: one[0], min_size=1, max_size=5,
    )
)  # fmt: skip
def test_a_key_that_is_proposed_is_a_key_that_is_taken_and_pairs_every_row(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    sides = []
    for at, file in enumerate(("old", "new")):
        arrays = {name: pa.array(TYPED[both[at]][0], TYPED[both[at]][1]) for name, *both in kinds}
        pq.write_table(pa.table(arrays), folder / f"{file}.parquet")
        sides.append(str(folder / f"{file}.parquet"))

    with pytest.raises(NoKeyGiven) as told:
        diff_sources(*sides)

    for step in told.value.next_steps:
        *_, option, typed = shlex.split(step.command)
        assert (option, key_of(typed)) == ("--key", list(told.value.found[0]))
    for columns in told.value.found:
        found = diff_sources(*sides, key=key_of(key_text(columns))).comparison
        assert (found.key_problems, found.plan != "none") == ((), True)
        assert found.compared + found.only_in_v1 == found.compared + found.only_in_v2 == 3
