"""Events are taken in exactly once, in one order, whatever is imported again, changed, or killed."""

from __future__ import annotations

import signal
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgauge import Event
from dualgauge.engines.duck import open_engine
from dualgauge.eventlog.append.id_index import FOLDER
from dualgauge.eventlog.errors import ChangedEvent
from dualgauge.eventlog.imports import fresh
from support.log_project import LogProject, csv, jsonl, run_child

if TYPE_CHECKING:
    from dualgauge.eventlog.imports.run import Imported

HEAD = "id,seen,x"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"x": "BIGINT"})
    found.source("s", path="s.csv")
    return found


@pytest.fixture(params=[fresh._LONG, 0], ids=["joined", "by the index"])
def long(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many times as long as the rows the log is where their ids are looked up: here never, or always."""
    monkeypatch.setattr(fresh, "_LONG", request.param)
    return int(request.param)


BOTH_WAYS = pytest.mark.usefixtures("long")


def counts(done: Imported) -> tuple[int, int, int, int]:
    return done.added, done.known, done.first, done.last


# The real sales ledger: no event id, and equal lines that are events of their own.

RETAIL = {
    "InvoiceNo": "VARCHAR", "StockCode": "VARCHAR", "Quantity": "BIGINT", "UnitPrice": "DECIMAL(12,3)",
    "CustomerID": "VARCHAR",
}  # fmt: skip
LINE = "CASE WHEN InvoiceNo LIKE 'C%' THEN 'cancelled' ELSE 'sold' END"


def test_a_month_of_sales_keeps_the_order_and_the_sums_of_its_file(tmp_path: Path, data_folder: Path) -> None:
    project = LogProject(tmp_path, columns=RETAIL)
    file = project.root / "data" / "sales.csv"
    file.parent.mkdir()
    file.write_bytes((data_folder / "online_retail_2010-12.csv").read_bytes())
    project.source(
        "sales", path="data/*.csv", event_id=None, type=LINE,
        occurred_at="CAST(InvoiceDate AS TIMESTAMP)", order_by="file", select={"Description": "Description"},
    )  # fmt: skip

    assert counts(project.take()) == (42_481, 0, 1, 42_481)
    assert counts(project.take()) == (0, 0, 0, 42_481)
    assert project.verify() == 42_481
    log = project.log()
    with open_engine() as engine:
        events = log.relation(log.head().last)
        raw = f"SELECT *, row_number() OVER () AS line FROM read_csv('{file}', all_varchar = true)"
        sums = "count(*), sum(Quantity::BIGINT), sum(Quantity::BIGINT * UnitPrice::DECIMAL(12,3))"
        assert engine.row(f"SELECT {sums} FROM ({events})") == engine.row(f"SELECT {sums} FROM ({raw})")
        same = "e.event_id = 'data/sales.csv#' || r.line AND e.StockCode = r.StockCode AND e.InvoiceNo = r.InvoiceNo"
        said = "AND (e.payload->>'Description') IS NOT DISTINCT FROM r.Description"
        join = f"FROM ({events}) e JOIN ({raw}) r ON e.position = r.line WHERE {same} {said}"
        assert engine.row(f"SELECT count(*) {join}") == (42_481,)
        again = "SELECT * FROM events e WHERE type = 'cancelled' AND Quantity >= 0"
        assert engine.rows(again.replace("events", f"({events})")) == []


def test_a_year_of_sales_keeps_its_replay_order(tmp_path: Path, data_folder: Path) -> None:
    project = LogProject(tmp_path, columns={**RETAIL, "event_seq": "BIGINT"})
    retail = data_folder / "online_retail.parquet"
    project.source(
        "sales", path=str(retail), event_id="event_seq", type=LINE, occurred_at="InvoiceDate", order_by="event_seq"
    )

    assert counts(project.take()) == (541_909, 0, 1, 541_909)
    log = project.log()
    with open_engine() as engine:
        found = engine.row(
            "SELECT count(*), count(*) FILTER (position <> event_seq), sum(Quantity), "
            "CAST(sum(Quantity * UnitPrice) AS VARCHAR), count(DISTINCT InvoiceNo), count(DISTINCT CustomerID), "
            "CAST(sum(Quantity * UnitPrice) FILTER (type = 'cancelled') AS VARCHAR) "
            f"FROM ({log.relation(log.head().last)})"
        )
        (file,) = log.files()
        mixed = engine.row(
            "SELECT count(*) FILTER (position <> file_row_number + 1) "
            f"FROM read_parquet('{file}', file_row_number = true)"
        )

    assert found == (541_909, 0, 5_176_450, "9747747.934", 25_900, 4_372, "-896812.490")
    assert mixed == (0,)


def test_a_file_outside_the_project_gives_ids_with_its_absolute_path(tmp_path: Path) -> None:
    project = LogProject(tmp_path / "project")
    file = tmp_path / "other" / "s.csv"
    file.parent.mkdir()
    file.write_text(csv(HEAD, "a,2020-01-01,1"))
    project.source("s", path="../other/s.csv", event_id=None)
    project.take()

    assert project.events("event_id") == [f"{file}#1"]


# Once each.


def test_known_ids_are_skipped_and_later_rows_do_not_move_earlier_ones(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "b,2020-01-02,1", "d,2020-01-04,2"))
    assert counts(project.take()) == (2, 0, 1, 2)
    project.write("s.csv", csv(HEAD, "b,2020-01-02,1", "d,2020-01-04,2", "c,2020-01-03,3", "a,2020-01-01,0"))

    assert counts(project.take()) == (2, 2, 3, 4)
    assert project.events("position", "event_id") == [(1, "b"), (2, "d"), (3, "a"), (4, "c")]
    project.verify()


def test_a_row_that_is_twice_in_one_import_is_one_event(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, *["a,2020-01-01,1", "b,2020-01-02,2"] * 20_000, "c,2020-01-03,"))

    assert counts(project.take()) == (3, 39_998, 1, 3)
    assert project.events("event_id", "x") == [("a", 1), ("b", 2), ("c", None)]


def test_an_id_with_another_content_in_one_import_is_refused_and_both_are_named(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-01,1", "a,2020-01-02,2"))

    with pytest.raises(ChangedEvent) as refused:
        project.take()

    assert str(refused.value) == (
        "event 'a' is there twice with different content: s.csv row 1 and s.csv row 3 differ in "
        "occurred_at, x; nothing was imported: an event never changes, so give the second one an id of its own"
    )
    assert project.log().head().last == 0
    assert project.unnamed() == []


@BOTH_WAYS
@pytest.mark.parametrize(
    ("row", "differs"), [("b,2020-01-03,2", "occurred_at"), ("b,2020-01-02,", "x"), ("b,2020-01-02,7", "x")]
)
def test_an_id_with_another_content_than_in_the_log_is_refused(project: LogProject, row: str, differs: str) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2"))
    project.take()
    project.open().log.forget("s")
    before = project.commits()
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", row, "c,2020-01-03,3"))

    with pytest.raises(ChangedEvent) as refused:
        project.take()

    assert str(refused.value) == (
        "event 'b' is there twice with different content: position 2 of the log and s.csv row 2 differ in "
        f"{differs}; nothing was imported: an event never changes, so give the second one an id of its own"
    )
    assert refused.value.exit_code == 4
    assert project.commits() == before


@BOTH_WAYS
def test_an_id_of_another_source_with_another_type_is_refused(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.source("other", path="s.csv")
    project.take("s")

    with pytest.raises(ChangedEvent, match=r"differ in type; nothing was imported"):
        project.take("other")


@BOTH_WAYS
def test_a_changed_payload_is_refused(project: LogProject) -> None:
    project.sources[0]["select"] = {"more": "x + 1"}
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take()
    project.sources[0]["select"] = {"more": "x + 2"}

    with pytest.raises(ChangedEvent, match=r"differ in payload; nothing was imported"):
        project.take()


def test_an_unchanged_file_is_not_read_again(project: LogProject) -> None:
    steps: list[str] = []
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take()
    migration = project.open()
    migration.__dict__["progress"] = lambda step, done, total: steps.append(step)
    migration.import_()

    assert steps == []
    assert len([one for one in project.commits() if one["files"]]) == 1


def test_an_unchanged_file_is_read_again_where_its_mapping_changed(project: LogProject) -> None:
    project.sources[0]["where"] = "x > 1"
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2"))
    assert project.take().added == 1
    del project.sources[0]["where"]

    assert counts(project.take()) == (1, 1, 2, 2)
    assert project.events("event_id") == ["b", "a"]


def test_a_file_taken_in_up_to_a_time_is_read_again(project: LogProject) -> None:
    from datetime import UTC, datetime

    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2"))
    assert project.take(until=datetime(2020, 1, 1, 12, tzinfo=UTC)).added == 1

    assert counts(project.take()) == (1, 1, 2, 2)


def test_a_dry_run_counts_and_leaves_no_trace(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2"))

    assert counts(project.take(dry_run=True)) == (2, 0, 1, 2)
    assert not project.folder.exists()
    project.take()
    before = project.commits()
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2", "c,2020-01-03,3"))
    assert counts(project.take(dry_run=True)) == (1, 2, 3, 3)
    assert project.commits() == before
    assert project.unnamed() == []


def test_a_column_declared_later_is_null_before_and_its_file_may_still_grow(project: LogProject) -> None:
    rows = ["a,2020-01-01,1,p", "b,2020-01-02,2,q"]
    project.sources[0]["select"] = {"more": "5"}
    project.write("s.csv", csv("id,seen,x,who", *rows))
    project.take()
    before, chain = project.log().head(), project.commits()
    project.columns |= {"who": "VARCHAR", "more": "BIGINT", "local": "TIMESTAMP"}
    project.write("s.csv", csv("id,seen,x,who", *rows, "c,2020-01-03,3,r"))

    assert counts(project.take()) == (1, 2, 3, 3)
    assert project.events("event_id", "who", "more", "payload") == [
        ("a", None, None, '{"more":5}'), ("b", None, None, '{"more":5}'), ("c", "r", 5, None),
    ]  # fmt: skip
    added = project.commits()[1]
    assert added["files"] == []
    assert (added["last"], added["chain"]) == (before.last, before.chain) == (chain[0]["last"], chain[0]["chain"])
    project.verify()
    # What both hold must still be the same.
    project.open().log.forget("s")
    project.write("s.csv", csv("id,seen,x,who", "a,2020-01-01,7,p", "c,2020-01-03,3,z"))
    with pytest.raises(ChangedEvent, match=r"'a' .* position 1 of the log .* differ in x; "):
        project.take()
    project.write("s.csv", csv("id,seen,x,who", rows[0], "c,2020-01-03,3,z"))
    with pytest.raises(ChangedEvent, match=r"'c' .* position 3 of the log .* differ in who; "):
        project.take()


# Killed.

CHILD = """
import os, signal, sys
import dualgauge
from dualgauge.eventlog.imports import appending, run
from dualgauge.eventlog.table import event_log
from dualgauge.ledger.ledger import Ledger
sys.path.insert(0, sys.argv[4])
from support.log_project import NOW

root, boundary, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
appending.ROWS_PER_COMMIT = 100

def kill(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def half(engine, query, file):
    whole(engine, query, file)
    os.truncate(file, file.stat().st_size // 2)
    kill()

def noted(log, *given):
    note(log, *given)
    kill()

def before(owner, name, then=kill):
    real, calls = getattr(owner, name), []
    def wrapped(*given, **named):
        calls.append(name)
        return then(*given, **named) if len(calls) == nth else real(*given, **named)
    setattr(owner, name, wrapped)

whole, note = appending.copy_to, event_log.EventLog.note
if boundary == "half a staged file":
    before(appending, "copy_to", half)
elif boundary == "a staged file":
    before(run, "_fresh")
elif boundary == "a file in its place":
    before(event_log.EventLog, "transact")
elif boundary == "a commit":
    before(Ledger, "add_log_commits")
elif boundary == "an empty log":
    before(event_log.EventLog, "reconcile")
elif boundary == "a copy":
    before(run.Copies, "steady")
elif boundary == "cursors alone":
    before(event_log.EventLog, "note")
elif boundary == "noted cursors":
    before(event_log.EventLog, "note", noted)
if sys.argv[5:]:
    dualgauge.open(root).log.forget(sys.argv[5])
else:
    dualgauge.open(root, clock=lambda: NOW).import_(every=True)
print("done")
"""
TESTS = Path(__file__).parents[1]


def two_sources(root: Path) -> LogProject:
    project = LogProject(root, columns={"x": "BIGINT"})
    project.write("1.csv", csv(HEAD, *(f"a{i},2020-01-01 00:{i // 60:02d}:{i % 60:02d},{i}" for i in range(150))))
    project.write("2.csv", csv(HEAD, *(f"b{i},2020-01-01 00:{i // 60:02d}:{i % 60:02d},{i}" for i in range(100))))
    project.source("one", path="1.csv")
    project.source("two", path="2.csv", order_by="file")
    project.open()
    return project


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    project = two_sources(tmp_path_factory.mktemp("whole"))
    project.take(every=True)
    return project.events()


@pytest.mark.parametrize(
    ("boundary", "nth", "committed"),
    [
        ("an empty log", 1, 0), ("half a staged file", 1, 0), ("a staged file", 1, 0),
        ("a file in its place", 1, 0), ("a file in its place", 2, 100), ("a commit", 2, 200), ("a commit", 3, 250),
    ],
)  # fmt: skip
def test_an_import_killed_anywhere_leaves_whole_commits_and_is_completed_by_the_next(
    tmp_path: Path, never_killed: list[dict[str, Any]], boundary: str, nth: int, committed: int
) -> None:
    project = two_sources(tmp_path)
    child = run_child(CHILD, tmp_path, boundary, nth, TESTS)
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, out) == (-signal.SIGKILL, ""), errors

    assert project.verify() == committed
    assert project.events() == never_killed[:committed]
    assert project.log().head().cursors.keys() == ({"one", "two"} if committed == 250 else set())

    done = project.take(every=True)
    assert (done.added, done.last) == (250 - committed, 250)
    assert project.events() == never_killed
    assert project.verify() == 250
    assert [(row.last, row.chain) for row in project.mirror()] == [
        (one["last"], one["chain"]) for one in project.commits() if one["files"]
    ]
    if committed < 250:
        assert project.unnamed() == []
    else:
        # Its import had nothing to stage; the next one that has something clears up.
        with (tmp_path / "1.csv").open("a") as file:
            file.write("later,2020-01-02,1\n")
        project.take("one")
        assert project.unnamed() == []


def grown(root: Path, *, known: bool = False) -> LogProject:
    """
    Files taken in, then a JSONL file and a CSV file that have grown, and a new file; the JSONL file's end is torn.

    `known`: what is new of them holds nothing but what the log has.
    """
    project = LogProject(root, columns={"x": "BIGINT"})

    def day(number: int) -> str:
        return f"2020-01-01 00:{number // 60:02d}:{number % 60:02d}"

    def lines(*numbers: int) -> str:
        return jsonl(*({"id": f"j{i}", "seen": day(i), "x": i} for i in numbers))

    project.write("j/1.jsonl", lines(*range(100)))
    project.write("c/1.csv", csv(HEAD, *(f"c{i},{day(i)},{i}" for i in range(0, 100, 2))))
    project.source("lines", path="j/*.jsonl", event_id="id", order_by="file")
    project.source("rows", path="c/*.csv")
    project.take(every=True)
    new = range(20) if known else range(100, 160)
    with (root / "j/1.jsonl").open("a") as file:
        file.write(lines(*new) + '{"id":')
    with (root / "c/1.csv").open("a") as file:
        file.write("".join(f"c{i},{day(i)},{i}\n" for i in new if i % 2 == 0))
    project.write("c/2.csv", csv(HEAD, *(f"c{i},{day(i)},{i}" for i in new if i % 2 == 0 or not known)))
    return project


@pytest.fixture(scope="module")
def never_killed_growth(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    project = grown(tmp_path_factory.mktemp("grown"))
    assert project.take(every=True).added == 120
    return project.events(), dict(project.log().head().cursors)


@pytest.mark.parametrize(
    ("boundary", "nth", "committed"),
    [
        ("a copy", 1, 150), ("half a staged file", 1, 150), ("a file in its place", 1, 150),
        ("a file in its place", 2, 250), ("a commit", 2, 270),
    ],
)  # fmt: skip
def test_an_import_of_what_is_new_in_files_killed_anywhere_is_completed_by_the_next(
    tmp_path: Path,
    never_killed_growth: tuple[list[dict[str, Any]], dict[str, Any]],
    boundary: str,
    nth: int,
    committed: int,
) -> None:
    project = grown(tmp_path)
    child = run_child(CHILD, project.root, boundary, nth, TESTS)
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, out) == (-signal.SIGKILL, ""), errors

    assert project.verify() == committed
    assert project.take(every=True).last == 270
    assert (project.events(), project.log().head().cursors) == never_killed_growth
    assert project.verify() == 270
    with (project.root / "j/1.jsonl").open("a") as file:
        file.write('"j160", "seen": "2020-01-02", "x": 160}\n')
    assert project.take(every=True).added == 1
    assert project.unnamed() == []


@pytest.mark.parametrize("boundary", ["cursors alone", "noted cursors"])
def test_an_import_that_only_notes_cursors_killed_before_or_behind_that_is_completed_by_the_next(
    tmp_path: Path, boundary: str
) -> None:
    project = grown(tmp_path, known=True)
    before = project.events()
    child = run_child(CHILD, project.root, boundary, 1, TESTS)
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, out) == (-signal.SIGKILL, ""), errors

    assert len(project.commits()) == (2 if boundary == "noted cursors" else 1)
    assert project.take(every=True).added == 0
    assert project.log().head().cursors["rows"]["files"].keys() == {"c/1.csv", "c/2.csv"}
    assert len(project.commits()) == 2
    assert project.events() == before
    assert project.verify() == 150


def test_a_source_is_forgotten_by_one_commit_or_not_at_all_when_the_process_is_killed(tmp_path: Path) -> None:
    project = grown(tmp_path)
    before = project.commits()
    child = run_child(CHILD, project.root, "a file in its place", 1, TESTS, "rows")
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, out) == (-signal.SIGKILL, ""), errors

    assert project.commits() == before
    assert project.open().log.forget("rows").known
    assert project.take(every=True).last == 270
    assert project.verify() == 270


def test_a_folder_left_by_a_process_killed_while_it_created_the_log_is_used(project: LogProject) -> None:
    (project.folder / "_delta_log").mkdir(parents=True)
    (project.folder / "_delta_log" / "_commit_1.json.tmp").write_text("{")
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))

    assert project.take().added == 1


def test_what_a_living_import_has_staged_is_left_alone(project: LogProject) -> None:
    import os
    import socket

    staged = project.folder / "_staging"
    staged.mkdir(parents=True)
    mine = staged / f"{socket.gethostname()}-{os.getppid()}-{'0' * 32}-merged.parquet"
    elsewhere = staged / f"another-host-1-{'1' * 32}-merged.parquet"
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    DeltaTable.create(str(project.folder), _empty_schema(project), configuration={})
    mine.touch()
    elsewhere.touch()
    os.utime(elsewhere, (4_000_000_000, 4_000_000_000))
    project.take()

    assert project.unnamed() == sorted([mine.name, elsewhere.name])
    os.utime(elsewhere, (1, 1))
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-01,1"))
    project.take()
    assert project.unnamed() == [mine.name]


def _empty_schema(project: LogProject) -> Any:
    from dualgauge.eventlog.table.delta import schema

    return schema(project.open().settings.log.all_columns)


# At once.

RACER = """
import sys
import dualgauge
from dualgauge.eventlog.imports import appending
appending.ROWS_PER_COMMIT = 75
migration = dualgauge.open(sys.argv[1])
from dualgauge.eventlog.imports import fresh
fresh._LONG = int(sys.argv[3])
from dualgauge.eventlog.table import event_log  # loaded before the start, so that both run at once
from dualgauge.ledger import ledger
print("ready", flush=True)
sys.stdin.readline()
done = migration.import_(sys.argv[2])
print(done.added, done.known, done.last)
"""


def race(project: LogProject, long: int, *sources: str) -> list[tuple[int, int, int]]:
    children = [run_child(RACER, project.root, source, long) for source in sources]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate(timeout=120) for child in children]
    assert [(child.returncode, errors) for child, (_, errors) in zip(children, answers, strict=True)] == [
        (0, "") for _ in children
    ]
    return [tuple(int(word) for word in out.split()) for out, _ in answers]  # type: ignore[misc]


def test_two_processes_that_import_different_sources_at_once_number_densely(tmp_path: Path, long: int) -> None:
    project = two_sources(tmp_path)
    (one, two) = race(project, long, "one", "two")

    assert (one[:2], two[:2]) == ((150, 0), (100, 0))
    assert project.verify() == 250
    ids = project.events("event_id")
    assert [i for i in ids if i[0] == "a"] == sorted((i for i in ids if i[0] == "a"), key=lambda i: int(i[1:]))
    assert [i for i in ids if i[0] == "b"] == [f"b{i}" for i in range(100)]
    assert project.log().head().cursors.keys() == {"one", "two"}
    assert project.unnamed() == []
    assert sum(row.rows for row in project.mirror()) == 250


def test_two_processes_that_import_the_same_source_at_once_take_each_event_once(tmp_path: Path, long: int) -> None:
    project = two_sources(tmp_path)
    (one, two) = race(project, long, "one", "one")

    assert one[0] + two[0] == 150
    assert project.verify() == 150
    assert sorted(project.events("event_id")) == sorted(f"a{i}" for i in range(150))
    assert project.unnamed() == []


# A few rows into a long log.


def test_few_rows_are_looked_up_in_the_index_that_appends_use_and_that_is_made_anew(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("s.csv", csv(HEAD, *(f"a{i},2020-01-01,{i}" for i in range(1_200))))
    project.take()
    assert not (project.folder / FOLDER).exists()
    with project.open().appender() as log:
        log.append([Event("e", "s", datetime(2020, 1, 1, tzinfo=UTC), {"x": 7})])
    monkeypatch.setattr(fresh, "_LONG", 1)
    project.write("more.csv", csv(HEAD, "e,2020-01-01,7", "a7,2020-01-01,7", "f,2020-01-01,8", "f,2020-01-01,8"))
    project.source("more", path="more.csv", type="'s'")

    assert counts(project.take("more")) == (1, 3, 1_202, 1_202)

    for worn in (b"", b"\0" * 8):
        segments = list((project.folder / FOLDER).iterdir())
        for one in segments:
            one.write_bytes(one.read_bytes()[:-8] + worn)
        project.write(
            "more.csv", (project.root / "more.csv").read_text() + f"g{len(worn)},2020-01-01,9\na8,2020-01-01,8\n"
        )
        assert counts(project.take("more"))[0] == 1
    (project.folder / FOLDER).rename(project.folder / "_gone")
    (project.folder / FOLDER).write_text("no folder")
    project.write("more.csv", (project.root / "more.csv").read_text() + "h,2020-01-01,9\na9,2020-01-01,9\n")
    assert counts(project.take("more"))[0] == 1
    assert project.verify() == 1_205


def test_a_dry_run_of_few_rows_makes_no_index(project: LogProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "_LONG", 0)
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take()
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-01,1"))

    assert project.take(dry_run=True).added == 1
    assert not (project.folder / FOLDER).exists()


# Any batches.

EVENT = st.tuples(st.integers(0, 12), st.sampled_from([0, 0, 0, 0, 1]), st.integers(0, 3))
"""An id, whether its content is another than usual, and the time of its usual content."""


def row_of(event: tuple[int, int, int]) -> dict[str, object]:
    number, changed, _ = event
    # The usual content follows from the id.
    return {"id": f"e{number}", "seen": f"2020-01-{1 + number % 4:02d}", "x": number + 100 * changed}


@BOTH_WAYS
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(st.booleans(), st.lists(EVENT, max_size=8)), min_size=1, max_size=3))
def test_whatever_is_imported_one_after_another_the_log_is_what_a_dict_would_hold(
    batches: list[tuple[bool, list[tuple[int, int, int]]]],
) -> None:
    import pyarrow as pa

    model: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        project = LogProject(Path(folder), columns={"x": "BIGINT"})
        for number, (as_table, batch) in enumerate(batches):
            rows = [row_of(one) for one in batch]
            schema = pa.schema({"id": pa.string(), "seen": pa.string(), "x": pa.int64()})
            name = f"{number}.{'parquet' if as_table or not rows else 'jsonl'}"
            if name.endswith("parquet"):
                pq.write_table(pa.Table.from_pylist(rows, schema), project.root / name)
            else:
                project.write(name, jsonl(*rows))
            project.sources.clear()
            project.source(f"s{number}", path=name, type="'t'")

            wanted: dict[str, dict[str, object]] = {}
            for row in rows:
                wanted.setdefault(str(row["id"]), row)
            clash = any(wanted[str(r["id"])] != r or model.get(str(r["id"]), r) != r for r in rows)
            fresh = {key: row for key, row in wanted.items() if key not in model}
            if clash:
                with pytest.raises(ChangedEvent):
                    project.take()
            else:
                done = project.take()
                assert (done.added, done.known) == (len(fresh), len(rows) - len(fresh))
                model |= {str(r["id"]): r for r in sorted(fresh.values(), key=lambda r: (r["seen"], r["id"]))}
            found = [
                {"id": i, "seen": at.date().isoformat(), "x": x}
                for i, at, x in project.events("event_id", "occurred_at", "x")
            ]
            assert found == list(model.values())
        assert project.verify() == len(model)
