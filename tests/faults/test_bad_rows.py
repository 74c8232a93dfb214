"""Rows that do not fit are set aside with their text, the others keep their numbers, and no row is lost or twice."""

from __future__ import annotations

import gzip
import json
import signal
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.eventlog.errors import BadMapping, BadRow, ChangedEvent
from dualgauge.eventlog.imports import retry as retrying
from dualgauge.eventlog.imports.errors import NotSetAside, TooManyBadRows
from dualgauge.ledger.errors import NotWaiting, UnknownRow, WhichRow
from dualgauge.ledger.misfit import QuarantinedRow, RowState
from support.log_project import LogProject, csv, jsonl, run_child
from support.thinned import thinned

if TYPE_CHECKING:
    from dualgauge.eventlog.imports.run import Imported

HEAD = "id,seen,x"
MOST = 1_000
TESTS = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"x": "BIGINT"})
    found.source("s", path="s.csv", event_id=None)
    return found


def take(project: LogProject, **given: Any) -> Imported:
    return project.take(**{"every": True, "max_bad_rows": MOST, **given})


def kept(project: LogProject, state: RowState | None = None) -> list[QuarantinedRow]:
    return list(project.open().quarantine.list(state=state))


def why(project: LogProject) -> dict[str, str]:
    """The reason of each row, by its place."""
    return {one.misfit.where: one.misfit.reason for one in kept(project)}


# What does not fit, and what stays.


def test_rows_that_do_not_fit_are_kept_whole_and_the_others_keep_their_numbers(project: LogProject) -> None:
    project.write(
        "s.csv",
        csv(HEAD, "a,2020-01-01,1", "b,2020-01-02", "c,2020-01-03,zz", '"d\nd",2020-01-04,4', "e,2020-01-05,5,6",
            'f,2020-01-06,"7', 'g,2020-01-07,"8"8', "h,soon,9", "i,0044-03-15 (BC),10", "j,2020-01-10,2.5", ",,",
            "k,2020-01-12,12"),
    )  # fmt: skip
    done = take(project)

    assert (done.added, done.quarantined, done.last) == (3, 9, 3)
    assert project.events("event_id", "x") == [("s.csv#1", 1), ("s.csv#4", 4), ("s.csv#12", 12)]
    assert why(project) == {
        "s.csv row 2 (line 3)": "it has 2 values for 3 columns",
        "s.csv row 3 (line 4)": "x = 'zz' is no BIGINT",
        "s.csv row 5 (line 7)": "it has 4 values for 3 columns",
        "s.csv row 6 (line 8)": 'a quote (") is opened and not closed',
        "s.csv row 7 (line 9)": 'a quote (") is closed in a value',
        "s.csv row 8 (line 10)": "occurred_at = 'soon' is no TIMESTAMPTZ",
        "s.csv row 9 (line 11)": "occurred_at = '0044-03-15 (BC)' is not in the years 1 to 9999",
        "s.csv row 10 (line 12)": "x = '2.5' does not fit into BIGINT without loss",
        "s.csv row 11 (line 13)": "its occurred_at is NULL",
    }
    assert [one.misfit.raw for one in kept(project)][:5] == [
        "b,2020-01-02", "c,2020-01-03,zz", "e,2020-01-05,5,6", 'f,2020-01-06,"7', 'g,2020-01-07,"8"8',
    ]  # fmt: skip
    assert {(one.state.value, one.kind.value, one.misfit.source) for one in kept(project)} == {
        ("waiting", "input", "s")
    }
    assert project.verify() == 3


def test_the_same_file_is_not_read_again_and_the_same_row_is_no_second_one(project: LogProject) -> None:
    steps: list[str] = []
    rows = ["a,2020-01-01,1", "b,2020-01-02"]
    project.write("s.csv", csv(HEAD, *rows))
    take(project)
    migration = project.open()
    migration.__dict__["progress"] = lambda step, done, total: steps.append(step)
    migration.import_(max_bad_rows=MOST)
    assert steps == []
    before = kept(project)
    project.write("s.csv", csv(HEAD, *rows, "c,2020-01-03,3"))

    assert (take(project).added, kept(project)) == (1, before)


def test_a_file_without_a_row_that_fits_is_taken_in(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,soon,1", "b,2020-01-02"))

    assert (take(project).quarantined, project.log().head().last) == (2, 0)
    assert project.log().head().cursors.keys() == {"s"}
    assert take(project).quarantined == 0
    assert len(kept(project)) == 2


def test_an_expression_that_fails_is_told_apart_from_one_that_gives_null(project: LogProject) -> None:
    project.columns["y"] = "BIGINT"
    project.sources[0] |= {"select": {"y": "CAST(nullif(what, '-') AS BIGINT) + 1"}, "where": "CAST(x AS BIGINT) > 0"}
    project.write(
        "s.csv", csv("id,seen,x,what", "a,2020-01-01,1,-", "b,2020-01-02,2,many", "c,2020-01-03,,4", "d,2020-01-04,u,5")
    )
    done = take(project)

    # The third is left out by `where`: it is neither an event nor a misfit.
    assert (done.added, done.quarantined) == (1, 2)
    assert project.events("event_id", "x", "y") == [("s.csv#1", 1, None)]
    reasons = why(project)
    assert reasons["s.csv row 2 (line 3)"].startswith("its y fails (Conversion Error: Could not convert string 'many'")
    assert reasons["s.csv row 4 (line 5)"].startswith("its where fails (Conversion Error: Could not convert string 'u'")


def test_a_value_that_the_reader_cannot_convert_is_found_behind_the_guess_of_the_types(project: LogProject) -> None:
    good = [f'"é\n{i}",2020-01-01,{i}' for i in range(25_000)]
    project.write("s.csv", csv("id,seen,x,unused", *(f"{one},1" for one in good), "b,2020-01-02,zz,1", "c,soon,1,1",
                               "d,2020-01-01,7,not used"))  # fmt: skip

    assert (take(project).added, why(project)) == (
        25_001,
        {
            "s.csv row 25001 (line 50002)": "x = 'zz' is no BIGINT",
            "s.csv row 25002 (line 50003)": "occurred_at = 'soon' is no TIMESTAMPTZ",
        },
    )
    assert max(project.events("event_id", "x"), key=lambda event: int(event[0].partition("#")[2])) == ("s.csv#25003", 7)


def test_types_are_those_that_the_rows_that_fit_have(project: LogProject) -> None:
    project.sources[0]["select"] = {"more": "x"}
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,zz"))
    take(project)
    assert project.events("payload") == ['{"more":1}']
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2"))
    project.open().log.forget("s")

    # Mended in the file, it is what it would have been; nothing that is there is another event now.
    assert project.take().added == 1


BROKEN_JSON = '{"id": "b",\n\n[1]\nnull\n{"id": "c", "seen": "2020-01-03", "x": "zz"}\n{"id": "d"} {"id": "e"}\n'


def test_broken_lines_of_json_are_kept(project: LogProject) -> None:
    project.sources[0] |= {"path": "s.jsonl"}
    one, two = ({"id": name, "seen": "2020-01-01", "x": 1} for name in "af")
    project.write("s.jsonl", jsonl(one) + BROKEN_JSON + jsonl(two))

    assert (take(project).added, project.events("event_id")) == (2, ["s.jsonl#1", "s.jsonl#7"])
    assert why(project) == {
        "s.jsonl row 2 (line 2)": "it is no JSON (Expecting property name enclosed in double quotes at character 12)",
        "s.jsonl row 3 (line 4)": "it is no JSON object",
        "s.jsonl row 4 (line 5)": "it is no JSON object",
        "s.jsonl row 5 (line 6)": "x = 'zz' is no BIGINT",
        "s.jsonl row 6 (line 7)": "it is no JSON (Extra data at character 13)",
    }


def test_values_of_json_that_have_another_type_behind_the_guess_are_kept(project: LogProject) -> None:
    project.sources[0] |= {"path": "s.jsonl"}
    good = [{"id": f"a{i}", "seen": "2020-01-01", "x": i, "a/b": i} for i in range(25_000)]
    bad = [
        {"id": "b", "seen": "2020-01-01", "x": "zz"},
        {"id": "c", "seen": "2020-01-01", "x": [1]},
        {"id": "d", "seen": "2020-01-01", "x": "7"},
    ]
    project.write("s.jsonl", jsonl(*good, *bad))

    assert take(project).added == 25_001
    assert why(project) == {
        "s.jsonl row 25001 (line 25001)": "x = 'zz' is no BIGINT",
        "s.jsonl row 25002 (line 25002)": "x = '[1]' is no BIGINT",
    }


def test_a_line_that_is_not_utf8_is_kept_with_its_bytes_as_escapes(project: LogProject) -> None:
    file = project.root / "s.csv.gz"
    project.sources[0]["path"] = "s.csv.gz"
    with gzip.open(file, "wb") as out:
        out.write(b"id,seen,x\r\na,2020-01-01,1\r\n\xff,2020-01-02,2\r\nc,2020-01-03,3\r\n")

    assert take(project).added == 2
    assert [(one.misfit.reason, one.misfit.raw) for one in kept(project)] == [("it is not UTF-8", "\\xff,2020-01-02,2")]


def test_the_options_of_the_reader_hold(project: LogProject) -> None:
    project.sources[0]["read"] = {"delim": ";", "nullstr": "NA", "skip": 1, "quote": "'", "encoding": "latin-1"}
    project.columns["id"] = "VARCHAR"
    text = "made by hand\nid;seen;x\n'\xe4;a';2020-01-01;1\nb;2020-01-02;2;3\nNA;2020-01-03;NA\nc;NA;4\n"
    (project.root / "s.csv").write_text(text, encoding="latin-1")

    assert take(project).added == 2
    assert project.events("event_id", "id", "x") == [("s.csv#1", "\xe4;a", 1), ("s.csv#3", None, None)]
    assert why(project) == {
        "s.csv row 2 (line 4)": "it has 4 values for 3 columns",
        "s.csv row 4 (line 6)": "its occurred_at is NULL",
    }


def test_each_file_of_a_source_has_its_own_numbers(project: LogProject) -> None:
    project.sources[0] |= {"path": "d/*.csv", "order_by": "file"}
    project.write("d/1.csv", csv(HEAD, "a,2020-01-05", "b,2020-01-04,2"))
    project.write("d/2.csv", csv(HEAD, "c,2020-01-03,3", "d,2020-01-02,4,4", "e,2020-01-01,5"))

    take(project)
    assert project.events("event_id", "x") == [("d/1.csv#2", 2), ("d/2.csv#1", 3), ("d/2.csv#3", 5)]
    assert list(why(project)) == ["d/1.csv row 1 (line 2)", "d/2.csv row 2 (line 3)"]


PARQUET = """
import duckdb
duckdb.sql(
    "COPY (SELECT * FROM (VALUES ('a', '2020-01-01', 1.50::DECIMAL(9,2), [1], '\\\\xAA'::BLOB), "
    "('b', 'soon', 2.25, NULL, NULL), ('c', '2020-01-03', 3, [3], NULL)) t(id, seen, x, many, raw)) TO 'FILE'"
)
"""


@pytest.mark.parametrize("kind", ["parquet", "python"])
def test_rows_that_are_values_are_kept_as_json_and_retried_exactly(project: LogProject, kind: str) -> None:
    project.columns = {"x": "DECIMAL(9,2)", "raw": "BLOB"}
    exec(compile(PARQUET.replace("FILE", str(project.root / "s.parquet")), "made", "exec"))
    select = {"many": "many"}
    if kind == "parquet":
        project.sources[0] |= {"path": "s.parquet", "select": select}
    else:
        project.write("given.py", "import duckdb\ndef rows():\n    return duckdb.sql(\"FROM 's.parquet'\").arrow()\n"
                      .replace("s.parquet", str(project.root / "s.parquet")))  # fmt: skip
        project.sources.clear()
        project.source("s", python="given:rows", event_id=None, select=select)
    take(project)
    (one,) = kept(project)

    assert one.misfit.raw == '{"id":"b","seen":"soon","x":"2.25","many":null,"raw":null}'
    assert (one.misfit.row, one.misfit.line, one.misfit.reason) == (2, None, "occurred_at = 'soon' is no TIMESTAMPTZ")
    text = '{"id":"b","seen":"2020-01-02","x":"2.25","many":"[4, 5]","raw":"\\\\xAB"}'
    (tried,) = project.open().quarantine.retry([one.short], text=text).rows
    assert (tried.state, tried.position) == (RowState.TAKEN, 3)
    name = "s.parquet" if kind == "parquet" else "s"
    last = project.events()[-1]
    assert (last["event_id"], str(last["x"]), last["raw"], last["payload"]) == (
        f"{name}#2", "2.25", b"\xab", '{"many":[4,5]}',
    )  # fmt: skip


def test_rows_of_a_database_are_kept_by_their_cursor_and_retried(project: LogProject) -> None:
    with closing(sqlite3.connect(project.root / "till.db")) as till, till:
        till.execute("CREATE TABLE sale (id INTEGER PRIMARY KEY, sold TEXT, x TEXT)")
        till.executemany(
            "INSERT INTO sale VALUES (?, ?, ?)", [(1, "2020-01-01", "1"), (2, "soon", "2"), (3, "soon", "3")]
        )
    project.sources.clear()
    project.source(
        "s", url="sqlite:///till.db", table="sale", cursor="id", event_id="'sale/' || id", occurred_at="sold"
    )
    assert (take(project).added, take(project).added) == (1, 0)

    # The last row is read again for those that tie with it, and is no second one.
    assert why(project) == dict.fromkeys(["id 2", "id 3"], "occurred_at = 'soon' is no TIMESTAMPTZ")
    one, _ = kept(project)
    assert (one.misfit.raw, one.misfit.row) == ('{"id":"2","sold":"soon","x":"2"}', None)
    project.sources[0]["occurred_at"] = "coalesce(TRY_CAST(sold AS TIMESTAMP), TIMESTAMP '2020-01-02')"
    done = project.open().quarantine.retry()
    assert [(tried.kept.misfit.where, tried.position) for tried in done.rows] == [("id 2", 2), ("id 3", 3)]
    assert project.events("event_id", "x") == [("sale/1", 1), ("sale/2", 2), ("sale/3", 3)]


def test_rows_that_were_set_aside_stop_no_later_import_and_others_do(project: LogProject) -> None:
    rows = ["a,2020-01-01,1", "b,2020-01-02", "c,soon,3"]
    project.write("s.csv", csv(HEAD, *rows))
    take(project)
    project.write("s.csv", csv(HEAD, *rows, "d,2020-01-04,4"))
    done = project.take()

    assert (done.added, done.known, done.quarantined) == (1, 1, 2)
    project.open().quarantine.skip(source="s")
    project.write("s.csv", csv(HEAD, *rows, "d,2020-01-04,4", "e,2020-01-05,5", "f,later,6"))
    with pytest.raises(
        BadRow,
        match=r"^source 's', s.csv row 6: occurred_at = 'later' is no TIMESTAMPTZ; nothing was imported: mend the row",
    ):
        project.take()
    assert (take(project).quarantined, project.events("event_id")) == (1, ["s.csv#1", "s.csv#4", "s.csv#5"])


@pytest.mark.parametrize("named", [False, True])
def test_a_file_of_json_that_grows_behind_a_broken_line_is_read_on(project: LogProject, named: bool) -> None:
    project.sources[0] |= {"path": "s.jsonl", **({"event_id": "id"} if named else {})}
    first = [{"id": f"a{i}", "seen": "2020-01-01", "x": i} for i in range(3)]
    text = jsonl(first[0]) + '{"id": 1\n\n' + jsonl(*first[1:], {"id": "b", "x": 1})
    project.write("s.jsonl", text)
    assert (take(project).added, len(kept(project))) == (3, 2)
    text += jsonl({"id": "c", "seen": "2020-01-02", "x": 4}, {"id": "d", "x": 5})
    project.write("s.jsonl", text)

    assert (take(project).added, list(why(project))[2:]) == (1, ["s.jsonl row 7 (line 8)"])
    text += jsonl({"id": "e", "seen": "2020-01-03", "x": 6})
    project.write("s.jsonl", text)
    assert project.take().added == 1
    ids = ["a0", "a1", "a2", "c", "e"] if named else [f"s.jsonl#{n}" for n in (1, 3, 4, 6, 8)]
    assert project.events("event_id") == ids


def test_of_a_file_of_json_that_grows_only_what_is_new_is_set_aside(project: LogProject) -> None:
    project.sources[0] |= {"path": "s.jsonl"}
    text = jsonl(*({"id": f"a{i}", "seen": "2020-01-01", "x": i} for i in range(3)))
    project.write("s.jsonl", text)
    take(project)
    text += '\n{"id": 1\n' + jsonl({"id": "b", "seen": "soon", "x": 4}, {"id": "c", "seen": "2020-01-02", "x": 5})
    project.write("s.jsonl", text)

    assert (take(project).added, project.events("event_id")[-1]) == (1, "s.jsonl#6")
    assert why(project) == {
        "s.jsonl row 4 (line 5)": "it is no JSON (Expecting ',' delimiter at character 9)",
        "s.jsonl row 5 (line 6)": "occurred_at = 'soon' is no TIMESTAMPTZ",
    }
    (_, five) = kept(project)
    project.open().quarantine.retry([five.short], text='{"id": "b", "seen": "2020-01-02", "x": 4}')
    assert project.events("event_id", "x")[-1] == ("s.jsonl#5", 4)


# What is still refused.


def test_an_id_with_two_contents_still_stops_the_import_and_nothing_is_kept(project: LogProject) -> None:
    project.sources[0]["event_id"] = "id"
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02", "a,2020-01-03,3"))

    with pytest.raises(ChangedEvent, match=r"s.csv row 1 and s.csv row 3 differ in occurred_at, x"):
        take(project)

    assert (kept(project), project.log().head().last) == ([], 0)


def test_settings_that_do_not_fit_do_not_fill_the_quarantine(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, *(f"a{i},2020-01-0{i},n{i}" for i in range(1, 8)), "b,,1"))

    with pytest.raises(TooManyBadRows) as refused:
        take(project, max_bad_rows=5)

    assert str(refused.value) == (
        "source 's': at least 8 rows do not fit, more than may be set aside; of 6 that were looked at, 6 because of "
        "this: x = ... is no BIGINT (the first: s.csv row 1: x = 'n1' is no BIGINT; s.csv row 2: x = 'n2' is no "
        "BIGINT; s.csv row 3: x = 'n3' is no BIGINT); nothing was imported or kept: mend the source's settings, or "
        "allow more with --max-bad-rows"
    )
    assert (kept(project), project.log().head().last) == ([], 0)
    assert take(project, max_bad_rows=8).quarantined == 8


def test_as_many_broken_lines_are_allowed_as_other_rows(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", *["b,2020-01-02"] * 5, "c,2020-01-01,z"))

    with pytest.raises(TooManyBadRows, match=r"5 because of this: it has 2 values for 3 columns"):
        take(project, max_bad_rows=4)
    with pytest.raises(TooManyBadRows, match=r"at least 6 rows do not fit"):
        take(project, max_bad_rows=5)
    assert take(project, max_bad_rows=6).quarantined == 6


TWO = (
    "SELECT id || '/' || what AS event_id, what AS type, seen AS occurred_at, CAST(x AS BIGINT) AS x FROM source, "
    "(VALUES ('opened'), ('closed')) AS _(what) WHERE id <> 'none'"
)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_rows_of_a_query_are_set_aside_and_retried(project: LogProject, ending: str) -> None:
    project.sources.clear()
    project.source("s", path=f"s.{ending}", query=TWO, read={"types": {"seen": "VARCHAR", "x": "VARCHAR"}})
    rows = ["a,2020-01-01,1", "b,soon,2", "c,2020-01-03,three", "none,2020-01-03,3", "d,2020-01-04,4", "e,2020-01-05,z"]
    names = HEAD.split(",")
    lines = [json.dumps(dict(zip(names, row.split(","), strict=True))) for row in rows]
    project.write(f"s.{ending}", csv(HEAD, *rows) if ending == "csv" else "\n".join(lines))

    done = take(project)

    assert (done.added, done.quarantined) == (4, 3)
    assert project.events("event_id", "x") == [("a/closed", 1), ("a/opened", 1), ("d/closed", 4), ("d/opened", 4)]
    found = {one.misfit.row: one.misfit.reason.partition(" (")[0] for one in kept(project)}
    assert found == {2: "occurred_at = 'soon' is no TIMESTAMPTZ", 3: "its query fails", 6: "its query fails"}
    assert [one.misfit.raw for one in kept(project)] == [(rows if ending == "csv" else lines)[at] for at in (1, 2, 5)]
    mended = ["b,2020-01-02,2", "none,2020-01-03,3", "e,2020-01-05,z"]
    texts = mended if ending == "csv" else [json.dumps(dict(zip(names, one.split(","), strict=True))) for one in mended]
    states = []
    for one, text in zip(kept(project), texts, strict=True):
        (tried,) = project.open().quarantine.retry([one.id], text=text).rows
        states.append((tried.state, tried.position))
    assert states == [(RowState.TAKEN, 5), (RowState.SKIPPED, None), (RowState.WAITING, None)]
    assert project.events("event_id")[4:] == ["b/closed", "b/opened"]
    project.verify()


@pytest.mark.parametrize(
    ("setting", "expression", "called"),
    [
        ("select", "(SELECT sum(CAST(one AS BIGINT)) FROM unnest(string_split(x, ' ')) AS t(one))", "total"),
        ("select", "CAST(unnest(string_split(x, ' ')) AS BIGINT)", "total"),
        ("where", "(SELECT CAST(x AS BIGINT)) > 0", "where"),
        ("event_id", "id || (SELECT CAST(x AS BIGINT))", "event_id"),
    ],
)
def test_a_row_on_which_a_subquery_fails_is_named_and_set_aside(
    project: LogProject, setting: str, expression: str, called: str
) -> None:
    settings: dict[str, Any] = {setting: {"total": expression} if setting == "select" else expression}
    project.sources.clear()
    project.source("s", path="s.csv", **settings)
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,two", "c,2020-01-03,3", "d,2020-01-04,4 4 4?"))
    told = f"its {called} fails (Conversion Error: Could not convert string 'two' to INT64"
    with pytest.raises(BadRow) as refused:
        project.take()
    assert f"source 's', s.csv row 2: {told}" in str(refused.value)

    done = take(project)

    assert (done.added, done.quarantined) == (2, 2)
    assert [(one.misfit.row, one.misfit.reason.startswith(f"its {called} fails")) for one in kept(project)] == [
        (2, True), (4, True),
    ]  # fmt: skip


QUERY = "SELECT id AS event_id, 't' AS type, seen AS occurred_at, {} FROM source"


NEEDLESS: list[tuple[dict[str, Any], int]] = [
    ({"read": {"types": {"x": "BIGINT"}}, "select": {"m": "m"}}, 2),
    ({"read": {"types": {"x": "BIGINT"}}, "event_id": "id || '/' || m", "select": {"m": "m"}}, 2),
    ({"read": {"types": {"x": "BIGINT"}}, "query": QUERY.format("m")}, 2),
    ({"read": {"types": {"x": "BIGINT"}}, "query": QUERY.format("x * 2 AS y") + " WHERE m = 'a'"}, 1),
]
# In one import the column is a text, of which x * 2 is nothing.
LATER: list[tuple[dict[str, Any], int]] = [
    ({"query": QUERY.format("x * 2 AS y") + " WHERE m = 'a'"}, 1),
    ({"query": QUERY.format("x * 2 AS y") + " WHERE m <> 'b' AND x > 0"}, 1),
]


@pytest.mark.parametrize(
    ("needless", "ending"),
    thinned(
        3, [*((*one, together) for one in NEEDLESS for together in (False, True)), *((*one, False) for one in LATER)],
        ["csv", "jsonl"],
    ),
)  # fmt: skip
def test_a_value_that_nothing_needs_sets_no_row_aside_beside_another_one(
    project: LogProject, ending: str, needless: tuple[dict[str, Any], int, bool]
) -> None:
    settings, events, together = needless
    rows = ["a,2020-01-01,5,a", "b,2020-01-02,two,b", "c,never,1,a"]
    names = ["id", "seen", "x", "m"]
    lines = [
        json.dumps(dict(zip(names, one.split(","), strict=True))).replace('"5"', "5").replace('"1"', "1")
        for one in rows
    ]
    project.sources.clear()
    project.columns.clear()
    project.source("s", path=f"s.{ending}", **settings)
    for upto in (3,) if together else (1, 2, 3):
        text = csv(",".join(names), *rows[:upto]) if ending == "csv" else "".join(f"{one}\n" for one in lines[:upto])
        project.write(f"s.{ending}", text)
        if upto < 3:
            project.take()
    with pytest.raises(BadRow, match=rf"s\.{ending} row 3: .*['\"]never['\"]"):
        project.take()
    done = take(project)
    assert (len(project.events()), done.quarantined) == (events, 1)
    assert [one.misfit.row for one in kept(project)] == [3]


def test_rows_that_a_window_looks_at_are_named_and_cannot_be_set_aside(project: LogProject) -> None:
    project.sources.clear()
    project.source("s", path="s.csv", select={"total": "sum(CAST(x AS BIGINT)) OVER (ORDER BY id)"})
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,two"))
    with pytest.raises(NotSetAside, match=r"s\.csv row 2: its total fails .* its source may make an event of several"):
        take(project)


def test_rows_of_a_query_that_makes_events_of_several_cannot_be_set_aside(project: LogProject) -> None:
    project.sources.clear()
    query = "SELECT id AS event_id, 't' AS type, max(seen) AS occurred_at FROM source GROUP BY id"
    project.source("s", path="s.csv", query=query)
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,soon,2"))

    with pytest.raises(NotSetAside) as refused:
        take(project)

    assert str(refused.value) == (
        "source 's': occurred_at = 'soon' is no TIMESTAMPTZ; nothing was imported: --on-bad-row quarantine cannot set "
        "it aside, because its source may make an event of several rows; mend the data"
    )


def test_a_file_that_is_damaged_as_a_whole_is_still_refused(project: LogProject) -> None:
    project.sources[0]["path"] = "s.csv.gz"
    (project.root / "s.csv.gz").write_bytes(gzip.compress(b"id,seen,x\na,2020-01-01,1\n" * 1_000)[:-9])

    with pytest.raises(NotSetAside, match=r"which row it is cannot be told"):
        take(project)


def test_an_expression_that_does_not_fit_the_columns_is_still_an_error_of_the_settings(project: LogProject) -> None:
    project.sources[0]["type"] = "kind"
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02"))

    with pytest.raises(BadMapping):
        take(project)


def test_without_the_option_the_first_row_stops_the_import_and_the_option_is_named(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,soon,2"))

    with pytest.raises(BadRow, match=r"or set it aside with --on-bad-row quarantine$"):
        project.take()
    assert kept(project) == []


def test_a_dry_run_counts_and_keeps_nothing(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,soon,2"))
    done = take(project, dry_run=True)

    assert (done.added, done.quarantined) == (1, 1)
    assert not (project.root / ".dualgauge").exists()


# Retried, skipped.


ROWS = ["a,2020-01-01,1", "b,2020-01-02", "c,soon,3", "d,2020-01-04,2.5"]


@pytest.fixture
def waiting(project: LogProject) -> LogProject:
    project.write("s.csv", csv(HEAD, *ROWS))
    take(project)
    return project


def test_mended_settings_let_rows_in_as_the_events_they_would_have_been(waiting: LogProject) -> None:
    waiting.sources[0]["occurred_at"] = "coalesce(TRY_CAST(seen AS TIMESTAMP), TIMESTAMP '2020-01-03')"
    waiting.sources[0]["read"] = {"types": {"seen": "VARCHAR", "x": "VARCHAR"}}
    done = waiting.open().quarantine.retry()

    assert [(one.kept.misfit.row, one.state, one.position) for one in done.rows] == [
        (2, RowState.WAITING, None), (3, RowState.TAKEN, 2), (4, RowState.WAITING, None),
    ]  # fmt: skip
    assert (done.added, done.waiting, done.last) == (1, 2, 2)
    assert waiting.events("event_id", "x") == [("s.csv#1", 1), ("s.csv#3", 3)]
    assert waiting.open().quarantine.retry().rows[0].kept.misfit.row == 2


def test_a_row_is_taken_in_with_another_text_which_is_kept(waiting: LogProject) -> None:
    two, _, four = kept(waiting)
    done = waiting.open().quarantine.retry([two.id[:6]], text="b,2020-01-02,2")

    assert [(one.state, one.position) for one in done.rows] == [(RowState.TAKEN, 2)]
    assert waiting.events("event_id", "x")[-1] == ("s.csv#2", 2)
    (now,) = kept(waiting, RowState.TAKEN)
    assert (now.id, now.misfit.raw, now.changed_at is None) == (two.id, "b,2020-01-02,2", False)
    # One that does not fit either changes nothing.
    before = kept(waiting)
    (tried,) = waiting.open().quarantine.retry([four.short], text="d,2020-01-04,many").rows
    assert (tried.state, tried.reason) == (RowState.WAITING, "x = 'many' is no BIGINT")
    texts = ("", "d\n,2020-01-04,2", '"d')
    assert [waiting.open().quarantine.retry([four.short], text=text).rows[0].reason for text in texts] == [
        "it has 1 value for 3 columns", "it is more than one line", 'a quote (") is opened and not closed',
    ]  # fmt: skip
    assert kept(waiting) == before


def test_a_file_without_a_row_that_fits_can_be_retried(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "007,2020-01-01,one", "b,2020-01-02"))
    project.columns["id"] = "VARCHAR"
    take(project)
    one, two = kept(project)
    project.open().quarantine.retry([one.short], text="007,2020-01-01,1")
    project.open().quarantine.retry([two.short], text="b,2020-01-02,2")

    assert project.events("event_id", "id", "x") == [("s.csv#1", "007", 1), ("s.csv#2", "b", 2)]


def test_the_file_may_be_gone_and_types_are_still_those_of_its_rows(project: LogProject) -> None:
    project.columns |= {"id": "VARCHAR", "day": "DATE"}
    project.sources[0]["read"] = {"dateformat": "%d/%m/%Y"}
    project.write("s.csv", csv("id,seen,x,day", "A12,25/12/2020,1,25/12/2020", "007,03/04/2020,u,03/04/2020"))
    take(project)
    (project.root / "s.csv").unlink()
    (one,) = kept(project)
    project.open().quarantine.retry([one.short], text="007,03/04/2020,2,03/04/2020")

    assert [(name, str(day)) for name, day in project.events("id", "day")] == [
        ("A12", "2020-12-25"), ("007", "2020-04-03"),
    ]  # fmt: skip


def test_a_row_that_where_leaves_out_now_is_skipped(waiting: LogProject) -> None:
    waiting.sources[0]["where"] = "id NOT IN ('c')"
    done = waiting.open().quarantine.retry()

    assert {one.kept.misfit.row: one.state.value for one in done.rows} == {2: "waiting", 3: "skipped", 4: "waiting"}
    assert [one.misfit.reason for one in kept(waiting, RowState.SKIPPED)] == [
        "occurred_at = 'soon' is no TIMESTAMPTZ (the source's where leaves it out)"
    ]


def test_a_row_whose_source_is_gone_waits_and_says_so(waiting: LogProject) -> None:
    waiting.sources.clear()
    waiting.source("t", path="s.csv")
    done = waiting.open().quarantine.retry()

    assert {one.reason for one in done.rows} == {"no source is called 's' any more"}


def test_a_row_that_was_mended_in_its_file_is_known_and_taken(waiting: LogProject) -> None:
    waiting.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2", "c,2020-01-03,3", "d,2020-01-04,4"))
    waiting.open().log.forget("s")
    assert waiting.take().added == 3
    two, three, _ = kept(waiting)
    done = waiting.open().quarantine.retry([two.short], text="b,2020-01-02,2")
    assert (done.added, done.rows[0].position) == (0, 2)

    with pytest.raises(ChangedEvent):
        waiting.open().quarantine.retry([three.short], text="c,2020-01-03,5")
    assert [one.state for one in kept(waiting)] == [RowState.TAKEN, RowState.WAITING, RowState.WAITING]
    assert waiting.verify() == 4


def test_a_skipped_row_is_never_asked_about_again(waiting: LogProject) -> None:
    two, _, four = kept(waiting)
    assert waiting.open().quarantine.skip([two.short], reason="a test", dry_run=True) == (two,)
    assert kept(waiting, RowState.SKIPPED) == []
    waiting.open().quarantine.skip([two.short, four.short], reason="a test")
    waiting.write("s.csv", csv(HEAD, *ROWS, "e,2020-01-05,5"))

    assert (take(waiting).quarantined, waiting.log().head().last) == (1, 2)
    assert [one.misfit.reason for one in kept(waiting, RowState.SKIPPED)] == [
        "it has 2 values for 3 columns (skipped: a test)",
        "x = '2.5' does not fit into BIGINT without loss (skipped: a test)",
    ]
    for call in (waiting.open().quarantine.retry, waiting.open().quarantine.skip):
        with pytest.raises(NotWaiting) as refused:
            call([two.short])
        assert str(refused.value) == (
            f"row {two.short} of the quarantine is skipped, and only one that waits can be retried or skipped; nothing "
            "was changed: leave it out of the call"
        )
        assert refused.value.exit_code == 5
    assert [one.kept.misfit.row for one in waiting.open().quarantine.retry().rows] == [3]


def test_an_id_that_names_no_row_or_several_is_refused(waiting: LogProject) -> None:
    two = kept(waiting)[0]
    near = f"{two.short[:-1]}{'0' if two.short[-1] != '0' else '1'}"
    with pytest.raises(UnknownRow, match=rf"has the id '{near}' \(did you mean '{two.short}'\?\); nothing was changed"):
        waiting.open().quarantine.retry([near])
    waiting.write("s.csv", csv(HEAD, *ROWS, *["a,soon"] * 40))
    take(waiting)
    with pytest.raises(WhichRow, match=r"rows of the quarantine have an id that begins with '.' \("):
        waiting.open().quarantine.skip([next(one for one in "0123456789abcdef" if _several(waiting, one))])


def _several(project: LogProject, start: str) -> bool:
    return sum(one.id.startswith(start) for one in kept(project)) > 1


# Killed.

CHILD = """
import os, signal, sys
import dualgauge
from dualgauge.eventlog.imports import run
from dualgauge.eventlog.table import event_log
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.quarantine import Quarantine
sys.path.insert(0, sys.argv[3])
from support.log_project import NOW

root, boundary = sys.argv[1], sys.argv[2]

def dies(owner, name, moment):
    real = getattr(owner, name)
    def wrapped(*given, **named):
        if moment == "after":
            real(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, wrapped)

what, moment = boundary.split()
owner, name = {
    "stage": (run, "_fresh"), "add": (Quarantine, "add"), "commit": (event_log.EventLog, "transact"),
    "mirror": (Ledger, "add_log_commits"), "note": (event_log.EventLog, "note"), "settle": (Quarantine, "settle"),
}[what]
dies(owner, name, moment)
project = dualgauge.open(root, clock=lambda: NOW)
if len(sys.argv) > 4:
    given = {"text": sys.argv[4], "ids": sys.argv[5:]} if sys.argv[4] else {}
    project.quarantine.retry(**given)
else:
    project.import_(every=True, max_bad_rows=1000)
print("done")
"""


def killed(project: LogProject, boundary: str, *given: str) -> None:
    project.open()
    child = run_child(CHILD, project.root, boundary, TESTS, *given)
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, out) == (-signal.SIGKILL, ""), errors


def two_files(root: Path, *, good: bool = True) -> LogProject:
    project = LogProject(root, columns={"x": "BIGINT"})
    project.source("s", path="s.csv", event_id=None)
    project.source("t", path="t.jsonl")
    rows = [f"a{i},2020-01-01,{i}" for i in range(20)] if good else []
    project.write("s.csv", csv(HEAD, "z,soon,1", *rows, "b,2020-01-02", 'c,2020-01-03,"4'))
    project.write("t.jsonl", '{"id": 1\n' + (jsonl({"id": "t2", "seen": "2020-01-01", "x": 2}) if good else ""))
    return project


def state_of(project: LogProject) -> tuple[list[Any], list[QuarantinedRow]]:
    return (project.events() if project.log().exists else [], kept(project))


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[list[Any], list[QuarantinedRow]]]:
    found = {}
    for good in (True, False):
        project = two_files(tmp_path_factory.mktemp("whole"), good=good)
        take(project)
        found[good] = state_of(project)
    return found


@pytest.mark.parametrize(
    ("boundary", "good"),
    [("stage after", True), ("add before", True), ("add after", True), ("commit before", True), ("commit after", True),
     ("mirror before", True), ("mirror after", True), ("add after", False), ("note before", False),
     ("note after", False)],
)  # fmt: skip
def test_an_import_killed_anywhere_and_run_again_is_as_one_never_killed(
    tmp_path: Path, boundary: str, good: bool, never_killed: dict[bool, tuple[list[Any], list[QuarantinedRow]]]
) -> None:
    project = two_files(tmp_path, good=good)
    killed(project, boundary)
    committed = boundary in {"commit after", "mirror before", "mirror after", "note after"}
    assert (project.log().head().cursors.keys() == {"s", "t"}) == committed
    if committed:
        # What the cursors claim is in the log or in the quarantine already.
        assert state_of(project) == never_killed[good]
    take(project)

    assert state_of(project) == never_killed[good]
    assert len(state_of(project)[1]) == 4
    project.verify()


@pytest.mark.parametrize(
    "boundary", ["commit before", "commit after", "mirror before", "settle before", "settle after"]
)
def test_a_retry_killed_anywhere_and_run_again_takes_the_row_in_once(waiting: LogProject, boundary: str) -> None:
    two = kept(waiting)[0]
    killed(waiting, boundary, "b,2020-01-02,2", two.short)
    if boundary == "settle after":
        with pytest.raises(NotWaiting):
            waiting.open().quarantine.retry([two.short], text="b,2020-01-02,2")
    else:
        assert kept(waiting)[0] == two
        done = waiting.open().quarantine.retry([two.short], text="b,2020-01-02,2")
        assert (done.rows[0].position, done.added) == (2, 1 if boundary == "commit before" else 0)

    assert waiting.events("event_id", "x") == [("s.csv#1", 1), ("s.csv#2", 2)]
    assert kept(waiting)[0].state is RowState.TAKEN
    waiting.verify()


# Whatever the mix.

# A row that began with a quote might close one that was left open: which of two rows is broken then, nobody can tell.
GOOD = st.text("abcäé'\" ,;\n", max_size=6).map("a".__add__)
BAD_LINES = ["x", "x,2020-01-02", "x,2020-01-02,3,4", 'x,2020-01-02,"5', "x,never,3", "x,2020-01-02,three", "x,,3"]
BAD_JSON = ['{"id": 1', "[1]", "7", '{"seen": "2020-01-01", "x": "three"}', '{"seen": "never"}', "{}"]


def mixed(bad: list[str]) -> st.SearchStrategy[list[tuple[bool, str]]]:
    """Rows that fit, by their ids, and texts that do not."""
    one = st.one_of(st.tuples(st.just(True), GOOD), st.tuples(st.just(False), st.sampled_from(bad)))
    return st.lists(one, max_size=7)


def csv_row(name: str, number: int) -> str:
    return f'"{name.replace(chr(34), chr(34) * 2)}",2020-01-0{1 + number % 9},{number}'


def mended(project: LogProject, texts: dict[int, str]) -> None:
    migration = project.open()
    for one in migration.quarantine.list(state=RowState.WAITING):
        done = migration.quarantine.retry([one.id], text=texts[one.misfit.row or 0])
        assert (done.added, done.waiting) == (1, 0), done


@settings(max_examples=12)
@given(rows=mixed(BAD_LINES))
def test_every_row_of_csv_is_an_event_or_set_aside_and_mended_all_are_events(
    rows: list[tuple[bool, str]],
) -> None:
    good = {n: csv_row(text if fits else "mended", n) for n, (fits, text) in enumerate(rows, 1)}
    written = [good[n] if fits else text for n, (fits, text) in enumerate(rows, 1)]
    with tempfile.TemporaryDirectory() as folder:
        project = LogProject(Path(folder), columns={"x": "BIGINT", "id": "VARCHAR"})
        project.source(
            "s", path="s.csv", event_id=None, order_by="file", read={"quote": '"', "delim": ",", "header": True}
        )
        project.write("s.csv", csv(HEAD, *written))
        done = take(project)

        assert (done.added, done.quarantined) == (sum(fits for fits, _ in rows), sum(not fits for fits, _ in rows))
        assert project.events("event_id", "x") == [(f"s.csv#{n}", n) for n, (fits, _) in enumerate(rows, 1) if fits]
        assert [one.misfit.raw for one in kept(project)] == [text for fits, text in rows if not fits]
        mended(project, good)
        assert sorted(project.events("x")) == list(good)
        assert {(name, x) for name, x in project.events("event_id", "x")} == {(f"s.csv#{n}", n) for n in good}


@settings(max_examples=12)
@given(rows=mixed(BAD_JSON))
def test_every_line_of_json_is_an_event_or_set_aside_and_mended_all_are_events(rows: list[tuple[bool, str]]) -> None:
    good = {
        n: jsonl({"id": text if fits else "mended", "seen": "2020-01-01", "x": n}).strip()
        for n, (fits, text) in enumerate(rows, 1)
    }
    written = [good[n] if fits else text for n, (fits, text) in enumerate(rows, 1)]
    with tempfile.TemporaryDirectory() as folder:
        project = LogProject(Path(folder), columns={"x": "BIGINT", "id": "VARCHAR"})
        columns = {"id": "VARCHAR", "seen": "VARCHAR", "x": "BIGINT"}
        project.source("s", path="s.jsonl", event_id=None, order_by="file", read={"types": columns})
        # A file without a byte has no rows to tell apart.
        project.write("s.jsonl", "\n".join([*written, jsonl({"id": "z", "seen": "2020-01-01", "x": 0})]))
        done = take(project)

        assert (done.added, done.quarantined) == (1 + sum(fits for fits, _ in rows), sum(not fits for fits, _ in rows))
        mended(project, good)
        assert sorted(project.events("x")) == [0, *good]
        assert {(name, x) for name, x in project.events("event_id", "x") if x} == {(f"s.jsonl#{n}", n) for n in good}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_rows_of_many_files_are_retried_in_few_passes(
    project: LogProject, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.columns = {"x": "BIGINT"}
    project.sources[0] |= {"path": f"d/*.{ending}", "event_id": "id"}
    for at in range(120):
        row = {"id": f"e{at}", "seen": "2020-01-01", "x": f"0.{at}"}
        text = jsonl(row) if ending == "jsonl" else csv(HEAD, ",".join(row.values()))
        project.write(f"d/{at:03d}.{ending}", text)
    assert (take(project).added, len(kept(project))) == (1, 119)
    passes: list[int] = []
    real = retrying.separate

    def counted(*given: Any, **named: Any) -> Any:
        passes.append(len(given[1].files))
        return real(*given, **named)

    monkeypatch.setattr(retrying, "separate", counted)
    project.columns = {"x": "BIGINT", "y": "DECIMAL(9,3)"}
    project.sources[0]["select"] = {"x": "NULL", "y": "x"}
    done = project.open().quarantine.retry()

    assert (done.added, done.waiting, passes) == (119, 0, [50, 50, 19])
    assert len({one.position for one in done.rows}) == 119
    assert {str(y) for y in project.events("y")[1:]} == {f"{float(f'0.{at}'):.3f}" for at in range(1, 120)}
