"""Columns of Parquet files in expressions: of one type, however the files fall into imports."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.errors import BadMapping, BadReading, CutColumn, UnlikeColumn
from support.log_project import LogProject, parquet
from support.thinned import thinned

if TYPE_CHECKING:
    from pathlib import Path


def decimals(text: str, width: int) -> pa.Array:
    value = Decimal(text)
    return pa.array([value], pa.decimal128(width, -int(value.as_tuple().exponent)))


ALIKE = [
    [pa.array([1], pa.int8()), pa.array([300], pa.int16()), pa.array([2**40])],
    [pa.array([1], pa.uint8()), pa.array([300], pa.uint16()), pa.array([2**33], pa.uint64())],
    [decimals("1.50", 4), decimals("2.25", 15), decimals("1234567890123456.75", 18)],
    [decimals("1.50", 19), decimals("12345678901234567.75", 38)],
    [pa.nulls(1), pa.array([7]), pa.array([None], pa.int32())],
    [pa.array([1.5]), pa.nulls(1), pa.array([None], pa.float64())],
    [pa.array(["7"]), pa.nulls(1), pa.array(["x"])],
]
UNLIKE = [
    (pa.array([7]), pa.array([1.5])),
    (pa.array([7]), pa.array([7], pa.uint32())),
    (pa.array([7], pa.uint64()), decimals("7", 20)),
    (decimals("1.5", 4), decimals("1.50", 4)),
    (decimals("1.50", 18), decimals("1.50", 19)),
    (pa.array([0.1], pa.float32()), pa.array([0.1])),
    (pa.array([0], pa.date32()), pa.array([0], pa.timestamp("us"))),
    (pa.array([0], pa.timestamp("us")), pa.array([0], pa.timestamp("us", "UTC"))),
    (pa.array([True]), pa.array([1])),
    (pa.array(["7"]), pa.array([7])),
    (pa.array([[1]]), pa.array([[1.5]])),
    (pa.array([{"a": 1}]), pa.array([{"a": 1, "b": 2}])),
]


def taken(root: Path, columns: list[pa.Array], *, apart: bool) -> list[Any]:
    (root / "d").mkdir(parents=True)
    project = LogProject(root)
    project.source("s", path="d/*")
    project.sources[0] |= {"event_id": "id || '-' || to_json([n, n])", "select": {"a": "to_json({'v': n})", "b": "n"}}
    for at, column in enumerate(columns):
        parquet(project, f"{at}.parquet", n=column)
        if apart:
            project.take()
    project.take()
    return project.events("event_id", "payload")


@pytest.mark.parametrize("columns", thinned(2, ALIKE))
def test_types_that_write_alike_are_one_however_files_fall_into_imports(
    tmp_path: Path, columns: list[pa.Array]
) -> None:
    for at, order in enumerate((columns, columns[::-1])):
        found = [taken(tmp_path / f"{at}-{apart}", order, apart=apart) for apart in (False, True)]
        assert len(found[0]) == len(columns)
        assert found[0] == found[1]


@pytest.mark.parametrize(("pair", "apart"), thinned(3, UNLIKE, [True, False]))
def test_types_that_write_unlike_are_refused_with_the_way_out(
    tmp_path: Path, pair: tuple[pa.Array, pa.Array], *, apart: bool
) -> None:
    for at, (one, two) in enumerate((pair, pair[::-1])):
        with pytest.raises(UnlikeColumn, match=r"say for all files what it is, read = \{types = \{n = ") as told:
            taken(tmp_path / str(at), [one, two], apart=apart)
        assert (told.value.file, told.value.column) == ("d/1.parquet", "n")


@pytest.mark.parametrize(
    ("kind", "first", "second", "ids"),
    [
        ("DOUBLE", pa.array([7]), pa.array([1.5]), ["14.0", "3.0"]),
        ("BIGINT", pa.array([7]), pa.array([1.0]), ["14", "2"]),
        ("DECIMAL(9, 2)", pa.array([7]), pa.array([1.5]), ["14.00", "3.00"]),
        ("decimal(9,3)", decimals("1.5", 4), decimals("2.250", 6), ["3.000", "4.500"]),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("bare", [True, False])
def test_a_type_that_is_said_holds_for_all_files(
    project: LogProject, kind: str, first: pa.Array, second: pa.Array, ids: list[str], *, apart: bool, bare: bool
) -> None:
    project.sources[0] |= {"event_id": "n * 2", "read": {"types": {"N": kind}}}
    if bare:
        project.sources[0]["select"] = {"n": "n"}
    for at, column in enumerate((first, second)):
        parquet(project, f"{at}.parquet", n=column)
        if apart:
            project.take()
    project.take()

    assert sorted(project.events("event_id")) == ids


def test_a_value_that_is_none_of_the_type_that_is_said_is_refused(project: LogProject) -> None:
    project.sources[0] |= {"read": {"types": {"n": "BIGINT"}}, "select": {"n": "n"}}
    for column in (pa.array([7.5]), pa.array(["007"]), pa.array(["x"]), pa.array([[1]]), pa.array([float("nan")])):
        parquet(project, "a.parquet", n=column)
        with pytest.raises(CutColumn, match=r"'n' holds values of .* that are none of BIGINT, which `types` says"):
            project.take()
    parquet(project, "a.parquet", n=pa.array([7.0]))
    project.take()

    assert project.events("payload") == ['{"n":7}']


def test_what_is_no_type_and_no_column_is_refused(project: LogProject) -> None:
    parquet(project, "a.parquet", n=[1])
    project.sources[0]["read"] = {"types": {"n": "NUMBER"}}
    with pytest.raises(BadReading, match=r"'types' has 'NUMBER'"):
        project.take()
    project.sources[0]["read"] = {"types": {"m": "BIGINT"}}
    with pytest.raises(BadReading, match=r"'types' names 'm', which no file has"):
        project.take()


def test_a_struct_that_gets_a_field_is_taken_where_its_type_is_said(project: LogProject) -> None:
    project.sources[0] |= {"where": "p.a > 0", "read": {"types": {"p": "STRUCT(a BIGINT, b VARCHAR)"}}}
    project.sources[0]["select"] = {"b": "p.b"}
    parquet(project, "a.parquet", p=[{"a": 1}])
    project.take()
    parquet(project, "b.parquet", p=[{"a": 2, "b": "x"}])
    project.take()

    assert project.events("payload") == ['{"b":null}', '{"b":"x"}']


def test_what_hangs_on_the_type_of_a_column_without_a_value_is_refused_until_it_is_said(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"a": "coalesce(n, 0)"})
    (tmp_path / "d").mkdir()
    parquet(project, "0.parquet", n=pa.nulls(1))
    with pytest.raises(BadMapping, match=r'no row has a value of n yet: .* read = \{types = \{n = "BIGINT"\}\}'):
        project.take()

    project.sources[0]["read"] = {"types": {"n": "DOUBLE"}}
    project.take()
    parquet(project, "1.parquet", n=pa.array([1.5]))
    project.take()
    assert project.events("payload") == ['{"a":0.0}', '{"a":1.5}']


def test_the_name_of_a_folder_is_its_text_where_a_text_is_made_of_it(tmp_path: Path) -> None:
    found = []
    for apart in (False, True):
        project = LogProject(tmp_path / str(apart))
        project.source("s", path="d/*/*.parquet", event_id="zip || '-' || id", select={"zip": "zip"})
        for name in ("12", "007"):
            (project.root / f"d/zip={name}").mkdir(parents=True)
            parquet(project, f"zip={name}/1.parquet", n=pa.array([1]))
            if apart:
                project.take()
        project.take()
        found.append(sorted(project.events("event_id", "payload")))
    assert found[0] == found[1]
    assert [payload for _, payload in found[0]] == ['{"zip":"007"}', '{"zip":"12"}']


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("expression", ["ifnull(n, '00')", "[n, '0']", "greatest(n, '5')", "if(n IS NULL, '1', n)"])
def test_an_expression_that_hangs_on_a_type_to_come_is_refused_until_it_is_said(
    tmp_path: Path, kind: str, expression: str
) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"a": expression})
    (tmp_path / "d").mkdir()
    if kind == "csv":
        project.write("d/0.csv", "id,seen,n\na,2026-01-01,\n")
    elif kind == "jsonl":
        project.write("d/0.jsonl", '{"id":"a","seen":"2026-01-01","n":null}\n')
    else:
        parquet(project, "0.parquet", n=pa.nulls(1))
    with pytest.raises(BadMapping, match=r"no row has a value of n yet, .* read = \{types = \{n = \"VARCHAR\"\}\}"):
        project.take()
    project.sources[0]["read"] = {"types": {"n": "VARCHAR"}}
    assert project.take().added == 1


@pytest.mark.parametrize(
    "expression", ["n IS NULL", "n::VARCHAR", "concat_ws('-', n, id)", "coalesce(n, 'x')", "to_json(n)"]
)
def test_an_expression_that_hangs_on_no_type_is_none(tmp_path: Path, expression: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"a": expression})
    project.write("d/0.csv", "id,seen,n\na,2026-01-01,\n")
    assert project.take().added == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"select": {"next": "lag(n) OVER (ORDER BY seen DESC)"}},
        {"select": {"of_all": "sum(n) OVER (PARTITION BY id)"}, "order_by": "seen"},
        {"select": {"one": "(SELECT max(m) FROM unnest([n, 1]) AS t(m))"}},
        {"query": "SELECT id AS event_id, 't' AS type, seen AS occurred_at, lag(n) OVER (ORDER BY seen DESC) AS p "
                  "FROM source"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("files", [1, 3])
def test_rows_are_in_the_order_of_their_times_whatever_an_expression_looks_at(
    tmp_path: Path, settings: dict[str, Any], files: int
) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*.parquet", **settings)
    (tmp_path / "d").mkdir()
    for file in range(files):
        days = range(4 * file + 1, 4 * file + 5)
        seen = [datetime(2026, 1, day, tzinfo=UTC) for day in days]
        table = pa.table({"id": [f"{day:02}" for day in days], "seen": seen, "n": list(days)})
        pq.write_table(table, tmp_path / "d" / f"{file}.parquet")
    project.take()
    assert project.events("event_id") == [f"{day:02}" for day in range(1, 4 * files + 1)]
