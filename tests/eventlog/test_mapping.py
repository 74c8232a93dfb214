"""What a source may be, in which order its rows become events, and which rows are refused."""

from __future__ import annotations

import gzip
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.errors import (
    BadMapping,
    BadPython,
    BadRow,
    NoSuchFile,
    NoSuchSource,
    UnknownFormat,
    WhichSource,
)
from support.log_project import LogProject, csv, jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = [("a", "2020-01-01", 1), ("b", "2020-01-02", 2), ("c", "2020-01-03", 3)]
HEAD = "id,seen,x"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path, columns={"x": "BIGINT"})


@pytest.fixture
def package(project: LogProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogProject]:
    monkeypatch.syspath_prepend(str(project.root))
    yield project
    sys.modules.pop("given", None)


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2020, 1, number, hour, tzinfo=UTC)


def table() -> pa.Table:
    return pa.table({"id": [r[0] for r in ROWS], "seen": [r[1] for r in ROWS], "x": [r[2] for r in ROWS]})


def write(folder: Path, name: str) -> None:
    delimiter = "\t" if ".tsv" in name else ","
    text = csv(HEAD, *(f"{a},{b},{c}" for a, b, c in ROWS)).replace(",", delimiter)
    if "json" in name:
        text = jsonl(*({"id": a, "seen": b, "x": c} for a, b, c in ROWS))
    if name.endswith(".parquet"):
        pq.write_table(table(), folder / name)
    elif name.endswith(".gz"):
        (folder / name).write_bytes(gzip.compress(text.encode()))
    else:
        (folder / name).write_text(text)


FORMATS = ["s.csv", "s.csv.gz", "s.tsv", "s.tsv.gz", "s.jsonl", "s.jsonl.gz", "s.ndjson", "s.json", "s.parquet"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_rows_in_any_format_give_the_same_events(project: LogProject, name: str) -> None:
    write(project.root, name)
    project.source("s", path=name)

    assert project.take().added == 3
    assert project.events("event_id", "occurred_at", "x") == [("a", day(1), 1), ("b", day(2), 2), ("c", day(3), 3)]


PYTHON = """
import pandas as pd, pyarrow as pa
table = pa.table({"id": ["a", "b", "c"], "seen": ["2020-01-01", "2020-01-02", "2020-01-03"], "x": [1, 2, 3]})
frame = table.to_pandas()
reader = table.to_reader(max_chunksize=1)
def call_table(): return table
def call_reader(): return table.to_reader(max_chunksize=1)
class Inside:
    frame = frame
def fails(): raise OSError("the disk is gone")
def late(): return pa.table({"id": ["a", "b"], "seen": ["2020-01-01", None], "x": [1, 2]}).to_reader()
number = 7
"""


@pytest.mark.parametrize("name", ["table", "frame", "reader", "call_table", "call_reader", "Inside.frame"])
def test_a_python_object_that_holds_a_table_is_a_source(package: LogProject, name: str) -> None:
    package.write("given.py", PYTHON)
    package.source("s", python=f"given:{name}")

    assert package.take().added == 3
    assert package.events("event_id", "x") == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.parametrize("name", ["table", "reader", "call_reader"])
def test_a_query_may_read_its_source_twice_even_where_it_can_be_read_only_once(package: LogProject, name: str) -> None:
    package.write("given.py", PYTHON)
    half = "SELECT id || '/{0}' AS event_id, '{0}' AS type, seen AS occurred_at, x FROM source"
    package.source("s", python=f"given:{name}", query=f"{half.format('out')} UNION ALL {half.format('back')}")

    assert package.take().added == 6
    assert package.events("event_id") == ["a/back", "a/out", "b/back", "b/out", "c/back", "c/out"]


def test_rows_of_a_python_object_without_an_id_are_numbered_under_the_sources_name(package: LogProject) -> None:
    package.write("given.py", PYTHON)
    package.source("s", python="given:frame", event_id=None)
    package.take()

    assert package.events("event_id") == ["s#1", "s#2", "s#3"]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("nowhere_at_all:x", "cannot be imported (ModuleNotFoundError: No module named 'nowhere_at_all')"),
        ("given:absent", "cannot be imported (AttributeError: module 'given' has no attribute 'absent')"),
        ("given", "cannot be imported (AttributeError: module 'given' has no attribute '')"),
        ("given:number", "gives a int"),
        ("given:fails", "raised OSError: the disk is gone"),
    ],
)
def test_a_python_reference_that_gives_no_table_is_refused(package: LogProject, reference: str, reason: str) -> None:
    package.write("given.py", PYTHON)
    package.source("s", python=reference)

    with pytest.raises(BadPython) as refused:
        package.take()

    assert str(refused.value) == (
        f"source 's': python = {reference!r} {reason}; it must name a data frame, an Arrow table or reader, "
        "or a callable that gives one, as 'package.module:name', in a module that is installed or lies in "
        f"{package.root}"
    )


def test_files_of_a_glob_are_read_in_the_order_of_their_names_and_each_in_its_own(project: LogProject) -> None:
    project.write("d/2.csv", csv(HEAD, "z,2020-01-03,1", "y,2020-01-04,2"))
    project.write("d/1.csv", csv(HEAD, "q,2020-01-01,1", "p,2020-01-01,2", "r,2020-01-01,3"))
    project.source("s", path="d/*.csv", event_id=None, order_by="file")
    project.take()

    assert project.events("event_id", "x") == [
        ("d/1.csv#1", 1), ("d/1.csv#2", 2), ("d/1.csv#3", 3), ("d/2.csv#1", 1), ("d/2.csv#2", 2),
    ]  # fmt: skip


def test_one_file_of_a_glob_may_be_imported_by_its_name(project: LogProject) -> None:
    for name in ("1", "2"):
        project.write(f"d/{name}.csv", csv(HEAD, f"{name},2020-01-01,1"))
    project.source("s", path="d/*.csv")

    assert project.take(str(project.root / "d/2.csv")).added == 1
    assert project.take().added == 1
    assert project.events("event_id") == ["2", "1"]


def test_brackets_in_the_name_of_a_file_or_of_the_project_are_no_pattern(tmp_path: Path) -> None:
    project = LogProject(tmp_path / "old [2]", columns={"x": "BIGINT"})
    project.write("a[1].csv", csv(HEAD, "a,2020-01-01,1"))
    project.write("b1.csv", csv(HEAD, "b,2020-01-02,1"))
    project.source("exact", path="a[1].csv")
    project.source("pattern", path="b[12].csv")

    assert project.take(every=True).added == 2
    assert project.take(every=True).added == 0
    assert project.events("event_id") == ["a", "b"]


def test_a_query_gives_several_events_of_a_row_and_what_is_not_declared_goes_into_the_payload(
    project: LogProject,
) -> None:
    project.write("s.csv", csv("id,out,back,x,who", "a,2020-01-01,2020-01-03,1,Ann", "b,2020-01-02,,2,Bob"))
    project.source(
        "s",
        path="s.csv",
        query="SELECT id || '>' AS event_id, 'lent' AS type, out AS occurred_at, x, who, NULL AS fee FROM source "
        "UNION ALL BY NAME SELECT id || '<' AS event_id, 'returned' AS type, back AS occurred_at, 5 AS fee "
        "FROM source WHERE back IS NOT NULL;",
    )
    project.take()

    assert project.events("event_id", "type", "occurred_at", "x", "payload") == [
        ("a>", "lent", day(1), 1, '{"who":"Ann","fee":null}'),
        ("b>", "lent", day(2), 2, '{"who":"Bob","fee":null}'),
        ("a<", "returned", day(3), None, '{"who":null,"fee":5}'),
    ]


def test_a_query_in_file_order_keeps_the_order_of_its_rows(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "z,2020-01-01,1", "y,2020-01-01,2", "x,2020-01-01,3"))
    query = "SELECT id AS event_id, 't' AS type, seen AS occurred_at FROM source -- as it is"
    project.source("s", path="s.csv", order_by="file", query=query)
    project.take()

    assert project.events("event_id") == ["z", "y", "x"]


@pytest.mark.parametrize(
    ("select", "rest"),
    [
        ("id || n", "source, unnest([2, 1]) AS t(n)"),
        ("id || b.n", "source JOIN (SELECT 1 AS n) AS b ON true"),
        ("id || sum(x) OVER (PARTITION BY id)", "source"),
        ("id", "source GROUP BY ALL"),
        ("id", "source UNION ALL SELECT id || 2, 't', seen FROM source"),
    ],
)
def test_a_query_whose_rows_may_come_in_any_order_has_no_file_order_unless_it_is_ordered(
    project: LogProject, select: str, rest: str
) -> None:
    query = f"SELECT {select} AS event_id, 't' AS type, seen AS occurred_at FROM {rest}"
    rows = ["z,2020-01-01,1", "y,2020-01-01,2", "x,2020-01-01,3"]
    project.source("s", path="d/*.csv", order_by="file", query=query)
    project.write("d/1.csv", csv(HEAD, *rows))
    with pytest.raises(BadMapping, match=r"query: order_by = \"file\" keeps the order .*: end it with ORDER BY"):
        project.take()
    project.sources[0]["query"] = f"{query} ORDER BY event_id DESC"
    project.take()
    found = project.events("event_id")
    assert found == sorted(found, reverse=True)
    assert len(found) in (3, 6)


def test_where_and_select_choose_rows_and_make_columns(project: LogProject) -> None:
    project.columns |= {"name": "VARCHAR"}
    project.write("s.csv", csv("id,seen,x,name", "a,2020-01-01,1,ann", "b,2020-01-02,2,bob"))
    project.source("s", path="s.csv", where="x > 1", select={"name": "upper(name)", "twice": "2 * x"})
    project.take()

    assert project.events("event_id", "x", "name", "payload") == [("b", 2, "BOB", '{"twice":4}')]


def test_column_names_match_whatever_their_case(project: LogProject) -> None:
    project.columns = {"quantity": "BIGINT", "price": "DOUBLE"}
    project.write("s.csv", csv("ID,Seen,Quantity,Price", "a,2020-01-01,4,1.5"))
    project.source("s", path="s.csv", select={"PRICE": "Price * 2"})
    project.source(
        "q", path="s.csv", query="SELECT ID || 'q' AS Event_ID, 't' AS Type, Seen AS Occurred_At, Quantity FROM source"
    )
    project.take(every=True)

    assert project.events("event_id", "quantity", "price", "payload") == [("a", 4, 3.0, None), ("aq", 4, None, None)]


def test_declared_columns_have_their_types_exactly(project: LogProject) -> None:
    project.columns = {
        "n": "BIGINT", "d": "DECIMAL(38,10)", "f": "DOUBLE", "t": "VARCHAR", "b": "BOOLEAN",
        "day": "DATE", "local": "TIMESTAMP", "at": "TIMESTAMPTZ", "raw": "BLOB",
    }  # fmt: skip
    big = "1234567890123456789012345678.0123456789"
    header = "id,seen,n,d,f,t,b,day,local,at,raw"
    times = "2020-02-29,2020-02-29 01:02:03.000004,2020-02-29 01:02:03+02"
    row = f"1,2020-01-01,9007199254740993,{big},0.1,007,true,{times},x"
    project.write("s.csv", csv(header, row))
    project.source("s", path="s.csv")
    project.take()
    (event,) = project.events()

    assert event["n"] == 9007199254740993
    assert event["d"] == Decimal(big)
    assert (event["f"], event["t"], event["b"], event["raw"]) == (0.1, "007", True, b"x")
    assert event["day"].isoformat() == "2020-02-29"
    assert event["local"] == datetime(2020, 2, 29, 1, 2, 3, 4)  # noqa: DTZ001  (a local time has no zone)
    assert event["at"] == datetime(2020, 2, 28, 23, 2, 3, tzinfo=UTC)


def test_events_are_ordered_by_time_then_source_then_id(project: LogProject) -> None:
    project.write("1.csv", csv(HEAD, "m,2020-01-02,1", "b,2020-01-01,1", "k,2020-01-02,1"))
    project.write("2.csv", csv(HEAD, "a,2020-01-02,1", "c,2020-01-01,1", "d,2019-12-31,1"))
    project.source("first", path="1.csv")
    project.source("second", path="2.csv")
    project.take(every=True)

    assert project.events("position", "event_id") == [(1, "d"), (2, "b"), (3, "c"), (4, "k"), (5, "m"), (6, "a")]


def test_a_source_in_file_order_is_merged_by_the_latest_time_so_far(project: LogProject) -> None:
    project.write("file.csv", csv(HEAD, "f1,2020-01-03,1", "f2,2020-01-01,1", "f3,2020-01-05,1"))
    project.write("time.csv", csv(HEAD, "t1,2020-01-02,1", "t2,2020-01-03,1", "t3,2020-01-04,1"))
    project.source("kept", path="file.csv", order_by="file")
    project.source("timed", path="time.csv")
    project.take(every=True)

    assert project.events("event_id") == ["t1", "f1", "f2", "t2", "t3", "f3"]


def test_rows_may_be_ordered_by_another_time_or_by_a_number(project: LogProject) -> None:
    project.write("s.csv", csv("id,seen,known,n", "a,2020-01-01,2020-01-09,2", "b,2020-01-02,2020-01-03,1"))
    project.source("s", path="s.csv", order_by="known")
    assert project.take(until=day(5)).added == 1
    project.sources.clear()
    project.source("numbered", path="s.csv", event_id="id || '#'", order_by="n")
    project.take()

    assert project.events("event_id") == ["b", "b#", "a#"]


def test_until_takes_what_is_due_and_later_imports_append_the_rest_behind_it(project: LogProject) -> None:
    project.write("1.csv", csv(HEAD, "a,2020-01-01,1", "c,2020-01-03,1", "e,2020-01-05,1"))
    project.write("2.csv", csv(HEAD, "b,2020-01-02,1", "d,2020-01-04,1"))
    project.source("one", path="1.csv")
    project.source("two", path="2.csv")
    first = project.take(every=True, until=day(3))
    project.write("2.csv", csv(HEAD, "b,2020-01-02,1", "d,2020-01-04,1", "late,2020-01-01,1"))
    second = project.take(every=True, until=day(4, 12))
    third = project.take(every=True)

    assert (first.added, second.added, third.added) == (3, 2, 1)
    assert (second.first, second.last, second.known) == (4, 5, 3)
    assert project.events("position", "event_id") == [(1, "a"), (2, "b"), (3, "c"), (4, "late"), (5, "d"), (6, "e")]
    project.verify()


def test_a_source_without_rows_adds_nothing(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD))
    project.source("s", path="s.csv")

    assert project.take().added == 0
    assert project.log().head().last == 0


MEND = "; nothing was imported: mend the row, or leave it out with the source's `where`"
ASIDE = ", or set it aside with --on-bad-row quarantine"
BAD_ROWS = {
    "no id": (",2020-01-02,2", "its event_id is NULL"),
    "no time": ("b,,2", "its occurred_at is NULL"),
    "no number": ("b,2020-01-02,two", "x = 'two' is no BIGINT"),
    "a fraction": ("b,2020-01-02,2.5", "x = '2.5' does not fit into BIGINT without loss"),
    # The file before had days, and that is what the column has been since.
    "no time at all": ("b,yesterday,2", "occurred_at = 'yesterday' is no TIMESTAMPTZ"),
    "behind the last day": ("b,10000-01-01,2", "occurred_at = '10000-01-01' is not in the years 1 to 9999"),
    "endless": ("b,infinity,2", "occurred_at = 'infinity' is not in the years 1 to 9999"),
    "before our time": ("b,0044-03-15 (BC),2", "occurred_at = '0044-03-15 (BC)' is not in the years 1 to 9999"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_row_that_does_not_fit_is_named_and_nothing_is_appended(project: LogProject, case: str) -> None:
    row, reason = BAD_ROWS[case]
    project.write("d/1.csv", csv(HEAD, "a,2020-01-01,1"))
    project.source("s", path="d/*.csv")
    project.take()
    before = project.log().head()
    project.write("d/2.csv", csv(HEAD, "c,2020-01-01,1", row))

    with pytest.raises(BadRow) as refused:
        project.take()

    assert str(refused.value) == f"source 's', d/2.csv row 2: {reason}{MEND}{ASIDE}"
    assert refused.value.exit_code == 4
    assert project.log().head() == before
    assert project.unnamed() == []


def test_a_row_whose_type_is_null_is_refused(project: LogProject) -> None:
    project.write("s.csv", csv("id,seen,kind", "a,2020-01-01,t", "b,2020-01-01,"))
    project.source("s", path="s.csv", type="kind")

    with pytest.raises(BadRow, match=r"^source 's', s.csv row 2: its type is NULL; nothing was imported"):
        project.take()


def test_a_row_without_a_place_in_the_order_is_refused(project: LogProject) -> None:
    project.write("s.csv", csv("id,seen,known", "a,2020-01-01,2020-01-01", "b,2020-01-01,"))
    project.source("s", path="s.csv", order_by="known")

    with pytest.raises(BadRow, match=r"^source 's', s.csv row 2: its order_by is NULL; "):
        project.take()


def test_a_row_for_which_an_expression_fails_is_named_with_the_failure(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,soon,2"))
    project.source("s", path="s.csv", occurred_at="CAST(seen AS TIMESTAMP)")

    with pytest.raises(BadRow) as refused:
        project.take()

    assert str(refused.value).startswith("source 's', s.csv row 2: its occurred_at is NULL (Conversion Error: invalid ")


def test_a_bad_row_of_a_python_source_is_named_by_its_number(package: LogProject) -> None:
    package.write("given.py", PYTHON)
    package.source("s", python="given:late")

    with pytest.raises(BadRow) as refused:
        package.take()

    assert str(refused.value) == f"source 's', row 2: its occurred_at is NULL{MEND}{ASIDE}"


def test_a_bad_row_of_a_query_is_named(project: LogProject) -> None:
    project.write("good.csv", csv(HEAD, "g,2020-01-01,1"))
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,soon,2"))
    project.source("good", path="good.csv")
    project.source("s", path="s.csv", query="SELECT id AS event_id, 't' AS type, seen AS occurred_at FROM source")

    with pytest.raises(BadRow) as refused:
        project.take(every=True)

    assert str(refused.value) == f"source 's', s.csv row 2: occurred_at = 'soon' is no TIMESTAMPTZ{MEND}{ASIDE}"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("b.csv", csv(HEAD, *["a,2020-01-01,1"] * 25_000, "b,2020-01-01,2,3,4"), "b.csv line 25002: it has 5 values"),
        ("b.csv", csv(HEAD, *["a,2020-01-01,1"] * 25_000, "b,2020-01-01,two"), "b.csv row 25001: x = 'two' is no"),
        ("b.jsonl", '{"id": "b", "seen": "2020-01-01"}\n{"id": \n', "line 2: unexpected end of data"),
        ("b.parquet", "no parquet", "it is no Parquet file"),
        ("b.csv.gz", "no gzip", "b.csv.gz: it cannot be read (Not a gzipped"),
    ],
)
def test_a_broken_file_is_named_with_the_place_in_it(project: LogProject, name: str, text: str, reason: str) -> None:
    project.write(name, text)
    project.write("good.csv", csv(HEAD, "g,2020-01-01,1"))
    project.source("good", path="good.csv")
    project.source("s", path=name)

    with pytest.raises(BadRow) as refused:
        project.take(every=True)

    assert str(refused.value).startswith(f"source 's', {name}")
    assert reason in str(refused.value)
    assert "Possible" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert project.log().head().last == 0


@pytest.mark.parametrize("key", ["event_id", "type", "occurred_at", "where", "order_by"])
def test_an_unknown_column_is_refused_with_the_columns_that_there_are(project: LogProject, key: str) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.source("s", path="s.csv", **{key: "nothing_of_it"})

    with pytest.raises(BadMapping) as refused:
        project.take()

    assert str(refused.value) == (
        f"source 's': {key} = 'nothing_of_it': Binder Error: "
        'Referenced column "nothing_of_it" not found in FROM clause; '
        "the source's columns are id, seen, x; mend its [[tool.dualgauge.sources]] table"
    )


def test_a_query_without_an_envelope_column_is_refused(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.source("s", path="s.csv", query="SELECT id AS event_id, 't' AS type, seen FROM source")

    with pytest.raises(BadMapping, match=r"its query gives no column 'occurred_at'; .* are event_id, type, seen; mend"):
        project.take()


def test_a_file_that_is_not_there_is_named(project: LogProject) -> None:
    project.source("s", path="nowhere/*.csv")

    with pytest.raises(NoSuchFile) as refused:
        project.take()

    assert str(refused.value) == (
        "source 's': no file matches nowhere/*.csv; check the path (it is relative to the project)"
    )


def test_a_file_whose_ending_says_nothing_is_refused(project: LogProject) -> None:
    file = project.write("s.xlsx", "")
    project.source("s", path="s.xlsx")

    with pytest.raises(UnknownFormat) as refused:
        project.take()

    assert str(refused.value) == (
        f"source 's': cannot tell the format of {file} from its name; "
        "it must end in .csv, .tsv, .jsonl, .ndjson, .json or .parquet (text files also with .gz)"
    )


def test_an_unknown_source_is_refused_and_the_nearest_offered(project: LogProject) -> None:
    project.source("flights", path="f.csv")
    project.source("weather", path="w.csv")

    with pytest.raises(NoSuchSource) as refused:
        project.take("flihgts")

    assert str(refused.value) == (
        "no source is called 'flihgts' or reads a file of that name (did you mean 'flights'?); "
        "the sources are flights, weather; "
        f"add a [[tool.dualgauge.sources]] table to {project.root / 'pyproject.toml'}"
    )


def test_several_sources_and_no_choice_are_refused(project: LogProject) -> None:
    project.source("flights", path="f.csv")
    project.source("weather", path="w.csv")

    with pytest.raises(WhichSource, match=r"several sources \(flights, weather\); name one, or take all"):
        project.take()


def test_a_project_without_sources_says_where_to_add_one(project: LogProject) -> None:
    with pytest.raises(NoSuchSource, match=r"^the project has no sources yet; add a .* table to .*pyproject.toml$"):
        project.take()
