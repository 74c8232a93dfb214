"""The log is an ordinary Delta Lake table in which one order, one chain and every position can be checked."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from dualgauge.engines.duck import open_engine
from dualgauge.eventlog.errors import (
    BadLogPath,
    ChangedType,
    DamagedLog,
    ForeignCommit,
    LogAndLedgerDisagree,
    LogReplaced,
    NotALog,
)
from dualgauge.eventlog.imports import appending
from dualgauge.eventlog.settings import LogSettings
from dualgauge.eventlog.table.commits import file_of
from dualgauge.eventlog.table.delta import schema
from dualgauge.eventlog.table.event_log import Behind, EventLog
from dualgauge.eventlog.table.open import open_log
from dualgauge.model import Position
from support.log_project import NOW, LogProject, csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "id,seen,x"
SETTINGS = LogSettings(columns={"x": "BIGINT"})
WIDER = LogSettings(columns={"x": "BIGINT", "y": "DECIMAL(12,3)", "z": "TIMESTAMP"})


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"x": "BIGINT"})
    found.source("s", path="s.csv")
    return found


@pytest.fixture
def in_parts(project: LogProject, monkeypatch: pytest.MonkeyPatch) -> LogProject:
    """A log of five files with 100 events each but the last, which has 50; `x` is the position."""
    monkeypatch.setattr(appending, "ROWS_PER_COMMIT", 100)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    rows = [f"{i},{(start + timedelta(seconds=i)).isoformat()},{i}" for i in range(1, 451)]
    project.write("s.csv", csv(HEAD, *rows))
    project.take()
    return project


def append(log: EventLog, count: int) -> None:
    """Append events as an import does."""
    first = log.head().last + 1
    ids = [f"e{i}" for i in range(first, first + count)]
    at = [NOW] * count
    events = {
        "position": range(first, first + count), "event_id": ids, "type": ["t"] * count, "occurred_at": at,
        "recorded_at": at, "payload": pa.nulls(count, pa.string()), "x": range(first, first + count),
    }  # fmt: skip
    staged = log.staging(f"here-1-{first:032x}-part.parquet")
    table = pa.table({name: one if isinstance(one, pa.Array) else pa.array(list(one)) for name, one in events.items()})
    pq.write_table(table, staged)
    log.commit(staged, log.head(), count, {})


def new_log(path: Path, settings: LogSettings = SETTINGS) -> EventLog:
    log = open_log(path, settings)
    log.create()
    return log


# What a commit says.


def test_each_commit_says_where_everything_stands_and_the_ledger_mirrors_the_chain(in_parts: LogProject) -> None:
    commits = in_parts.commits()

    assert in_parts.verify() == 450
    assert [(one["first"], one["last"], one["rows"]) for one in commits] == [
        (1, 100, 100), (101, 200, 100), (201, 300, 100), (301, 400, 100), (401, 450, 50),
    ]  # fmt: skip
    assert all(one.keys() == {"first", "last", "rows", "chain", "cursors", "files"} for one in commits)
    assert [one["cursors"].keys() for one in commits] == [set()] * 4 + [{"s"}]
    assert commits[-1]["cursors"]["s"]["files"].keys() == {"s.csv"}
    assert [(row.first, row.last, row.rows, row.chain) for row in in_parts.mirror()] == [
        (one["first"], one["last"], one["rows"], one["chain"]) for one in commits
    ]


def test_a_plain_delta_reader_finds_the_last_position_the_events_and_the_whole_history(in_parts: LogProject) -> None:
    table = DeltaTable(str(in_parts.folder))

    assert table.transaction_version("dualgauge") == 450
    assert table.metadata().configuration == {"delta.enableExpiredLogCleanup": "false", "delta.appendOnly": "true"}
    assert sorted(table.to_pyarrow_table()["position"].to_pylist()) == list(range(1, 451))
    assert [json.loads(one["dualgauge"])["last"] for one in table.history() if "dualgauge" in one] == [
        450,
        400,
        300,
        200,
        100,
    ]
    assert table.history()[0]["operation"] == "WRITE"


def test_files_hold_their_positions_in_order_and_apart(in_parts: LogProject) -> None:
    files = in_parts.log().files()
    with open_engine() as engine:
        rows = engine.rows(
            "SELECT filename, position, file_row_number FROM read_parquet("
            f"{[str(file) for file in files]}, filename = true, file_row_number = true) ORDER BY ALL"
        )

    assert [(name, position) for name, position, _ in rows] == [
        (str(files[(position - 1) // 100]), position) for position in range(1, 451)
    ]
    assert all(row == (position - 1) % 100 for _, position, row in rows)


def test_a_relation_gives_exactly_the_positions_asked_for_and_opens_no_other_file(in_parts: LogProject) -> None:
    log = in_parts.log()
    wanted = {
        (0, 450): 5, (0, 100): 1, (0, 101): 2, (100, 200): 1, (99, 200): 2, (449, 450): 1, (150, 160): 1,
        (200, 200): 0, (450, 450): 0,
    }  # fmt: skip
    with open_engine() as engine:
        for (after, upto), opened in wanted.items():
            relation = log.relation(Position(upto), Position(after))
            found = [row[0] for row in engine.rows(f"SELECT position FROM ({relation}) ORDER BY position")]

            assert found == list(range(after + 1, upto + 1))
            assert len(log.files(Position(upto), Position(after))) == opened
            assert relation.count("events-") == opened


def test_an_empty_log_has_the_columns_of_a_full_one(project: LogProject) -> None:
    log = project.log()
    with open_engine() as engine:
        assert engine.columns(log.relation(Position(0))) == {
            "position": "BIGINT", "event_id": "VARCHAR", "type": "VARCHAR", "occurred_at": "TIMESTAMP WITH TIME ZONE",
            "recorded_at": "TIMESTAMP WITH TIME ZONE", "payload": "VARCHAR", "x": "BIGINT",
        }  # fmt: skip
        assert engine.row(f"SELECT count(*) FROM ({log.relation(Position(0))})") == (0,)


def test_the_bounds_of_a_file_hold_times_of_any_fraction(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01 00:00:00.000999,1", "b,2020-01-01 00:00:00.123456,1"))
    project.take()
    actions = pa.table(DeltaTable(str(project.folder)).get_add_actions(flatten=True)).to_pylist()

    assert actions[0]["num_records"] == 2
    assert actions[0]["min.occurred_at"] <= datetime(2020, 1, 1, 0, 0, 0, 999, tzinfo=UTC)
    assert actions[0]["max.occurred_at"] >= datetime(2020, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


# One order.


def test_of_two_writers_that_read_one_head_the_second_appends_nothing(tmp_path: Path) -> None:
    first = new_log(tmp_path / "log")
    second = open_log(tmp_path / "log", SETTINGS)
    assert second.head().last == 0
    append(first, 3)

    with pytest.raises(Behind):
        append(second, 2)

    assert second.refresh().last == 3
    append(second, 2)
    assert open_log(tmp_path / "log", SETTINGS).head().last == 5


def test_a_part_whose_place_was_taken_meanwhile_is_not_appended(tmp_path: Path) -> None:
    log, other = new_log(tmp_path / "log"), open_log(tmp_path / "log", SETTINGS)
    append(log, 3)
    base = log.head()
    other.refresh()
    append(other, 2)
    log.refresh()

    with pytest.raises(Behind):
        log.commit(tmp_path / "staged for position 4", base, 1, {})

    assert open_log(tmp_path / "log", SETTINGS).head().last == 5


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def made_anew(folder: Path) -> None:
    """As many commits as before, of other events."""
    moved(folder)
    other = new_log(folder)
    append(other, 1)
    append(other, 1)


def put_back(folder: Path) -> None:
    moved(folder)
    shutil.copytree(folder.with_name("away"), folder)


def committed(folder: Path) -> list[Path]:
    """All of a log but what is staged, and whose turn it is."""
    return sorted(one for one in folder.rglob("*") if not {"_staging", "_turn"} & set(one.parts))


@pytest.mark.parametrize("harm", [moved, made_anew, put_back])
def test_a_log_that_is_there_no_more_is_neither_written_nor_read_on(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    folder = tmp_path / "log"
    log = new_log(folder)
    append(log, 3)
    harm(folder)
    before = committed(folder)

    with pytest.raises(LogReplaced, match=r"log is (there no more|no longer the one that was opened).*nothing more"):
        append(log, 2)
    with pytest.raises(LogReplaced):
        log.refresh()

    assert committed(folder) == before


def test_a_log_that_is_back_before_anybody_looks_is_gone_on_with(tmp_path: Path) -> None:
    log = new_log(tmp_path / "log")
    append(log, 3)
    moved(tmp_path / "log")
    (tmp_path / "away").rename(tmp_path / "log")
    append(log, 2)

    assert open_log(tmp_path / "log", SETTINGS).head().last == 5


def test_a_log_that_lost_commits_under_who_reads_it_is_said_to_be_damaged(tmp_path: Path) -> None:
    log = new_log(tmp_path / "log")
    append(log, 3)
    append(log, 2)
    assert log.refresh().last == 5
    (tmp_path / "log" / file_of(2)).unlink()

    with pytest.raises(DamagedLog, match="restore the log's folder"):
        log.refresh()


def test_a_head_never_speaks_of_events_whose_files_are_not_known(tmp_path: Path) -> None:
    writer = new_log(tmp_path / "log")
    append(writer, 3)
    reader = open_log(tmp_path / "log", SETTINGS)
    append(writer, 2)
    head = reader.head()

    with open_engine() as engine:
        assert engine.row(f"SELECT count(*) FROM ({reader.relation(head.last)})") == (head.last,)


def test_a_column_declared_by_a_process_that_is_behind_does_not_rewind_the_log(tmp_path: Path) -> None:
    writer = new_log(tmp_path / "log")
    append(writer, 3)
    behind = open_log(tmp_path / "log", WIDER)
    assert behind.head().last == 3
    append(writer, 2)
    chain = writer.head().chain
    behind.create()
    now = open_log(tmp_path / "log", WIDER)

    assert (now.head().last, now.head().chain) == (5, chain)
    with pytest.raises(Behind):
        append(writer, 1)
    writer.refresh()
    append(writer, 1)
    assert now.refresh().last == 6


def test_two_processes_may_create_the_log_and_declare_columns_at_the_same_time(tmp_path: Path) -> None:
    first, second = open_log(tmp_path / "log", SETTINGS), open_log(tmp_path / "log", WIDER)
    first.create()
    second.create()
    third = open_log(tmp_path / "log", WIDER)
    fourth = open_log(tmp_path / "log", LogSettings(columns={"w": "BLOB"}))
    fourth.create()
    third.create()

    names = [field.name for field in DeltaTable(str(tmp_path / "log")).schema().fields]
    assert names[6:] == ["x", "y", "z", "w"]


def test_a_changed_type_is_refused_with_advice(project: LogProject) -> None:
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take()
    before = project.commits()
    project.columns["x"] = "VARCHAR"

    with pytest.raises(ChangedType) as refused:
        project.take()

    assert str(refused.value) == (
        "column 'x' is BIGINT in the log and VARCHAR in [tool.dualgauge.log.columns]: a log does not change "
        "its types; write BIGINT there again, or declare a new column with the new type and fill it from the source"
    )
    assert project.commits() == before


@pytest.mark.parametrize("kind", ["DECIMAL(12,3)", "TIMESTAMP", "TIMESTAMPTZ", "BLOB", "DATE", "DOUBLE", "BOOLEAN"])
def test_a_declared_type_is_found_again_when_the_log_is_opened_again(tmp_path: Path, kind: str) -> None:
    settings = LogSettings(columns={"x": kind})
    new_log(tmp_path / "log", settings)
    new_log(tmp_path / "log", settings)

    assert DeltaTable(str(tmp_path / "log")).version() == 0


# Log and ledger.


def test_a_commit_that_the_ledger_missed_is_added_by_the_next_import(in_parts: LogProject) -> None:
    whole = in_parts.mirror()
    for missed in (1, 3, 5):
        file = in_parts.root / ".dualgauge" / "ledger.db"
        file.unlink()
        with in_parts.ledger() as ledger:
            ledger.add_log_commits(whole[: missed - 1] + whole[missed:])
        in_parts.take()

        assert in_parts.mirror() == whole


def test_a_ledger_that_is_ahead_of_the_log_is_refused(in_parts: LogProject) -> None:
    shutil.rmtree(in_parts.folder)

    with pytest.raises(LogAndLedgerDisagree) as refused:
        in_parts.take()

    assert str(refused.value) == (
        f"the log at {in_parts.folder} and the ledger disagree at position 450: the log ends at 0; one of them was "
        "changed or replaced: restore it from a backup, or start a new ledger if the log was replaced on purpose"
    )
    assert refused.value.exit_code == 1


def test_a_log_of_the_same_length_with_other_events_is_refused(in_parts: LogProject) -> None:
    shutil.rmtree(in_parts.folder)
    (in_parts.root / ".dualgauge" / "ledger.db").rename(in_parts.root / "kept.db")
    in_parts.write("s.csv", csv(HEAD, *(f"other{i},2020-01-01,{i}" for i in range(450))))
    in_parts.take()
    (in_parts.root / "kept.db").rename(in_parts.root / ".dualgauge" / "ledger.db")
    in_parts.write("s.csv", csv(HEAD, "more,2020-01-01,1"))

    with pytest.raises(LogAndLedgerDisagree, match=r"disagree at position 100: the digest chains differ; "):
        in_parts.take()


def test_a_file_changed_by_hand_is_noticed_where_the_ledger_lacks_its_commit(in_parts: LogProject) -> None:
    (in_parts.root / ".dualgauge" / "ledger.db").unlink()
    changed = in_parts.log().files()[2]
    with changed.open("r+b") as file:
        file.seek(200)
        file.write(b"changed")

    with pytest.raises(LogAndLedgerDisagree, match=r"position 300: the file's digest does not continue the chain; "):
        in_parts.take()


# What is no log.


def test_a_folder_with_something_else_is_not_taken_for_a_log(project: LogProject) -> None:
    project.write(".dualgauge/log/notes.txt", "mine")
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))

    with pytest.raises(NotALog) as refused:
        project.take()

    assert str(refused.value) == (
        f"{project.folder} is no event log of dualgauge: it holds files, but no Delta Lake table; "
        "set [tool.dualgauge.log] path to another folder"
    )
    assert [file.name for file in project.folder.iterdir()] == ["notes.txt"]


def test_another_delta_table_is_not_taken_for_a_log(project: LogProject) -> None:
    write_deltalake(str(project.folder), pa.table({"a": [1]}))

    with pytest.raises(NotALog, match=r"it is a Delta Lake table without an event's columns; set "):
        project.log()


def test_a_log_that_another_tool_wrote_to_is_refused_until_that_is_taken_back(in_parts: LogProject) -> None:
    DeltaTable(str(in_parts.folder)).alter.set_table_properties({"delta.logRetentionDuration": "interval 9 days"})
    commit = f"_delta_log/{6:020d}.json"

    with pytest.raises(ForeignCommit) as refused:
        in_parts.take()
    assert str(refused.value) == (
        f"the last commit of the log at {in_parts.folder}, version 6 (SET TBLPROPERTIES), was not written by "
        "dualgauge, so nothing is read or appended behind it: see by `dualgauge log verify` what it did; moving "
        f"{commit} out of the log's folder takes it back"
    )
    (in_parts.folder / commit).rename(in_parts.root / "taken back.json")
    assert in_parts.verify() == 450


def test_a_table_with_an_event_s_columns_that_dualgauge_never_wrote_is_not_taken_for_a_log(project: LogProject) -> None:
    DeltaTable.create(str(project.folder), schema(project.open().settings.log.all_columns))
    DeltaTable(str(project.folder)).alter.set_table_properties({"delta.logRetentionDuration": "interval 9 days"})

    with pytest.raises(NotALog, match=r"no commit of it was written by dualgauge \(no such key in their metadata\)"):
        project.log().head()


@pytest.mark.parametrize(("name", "misread"), [("a #1", "#"), ("why?", "?"), ("a%20b", "%20"), ("a\\b", "\\")])
def test_a_log_is_not_kept_where_the_delta_library_would_misread_the_path(
    tmp_path: Path, name: str, misread: str
) -> None:
    with pytest.raises(BadLogPath) as refused:
        open_log(tmp_path / name / "log", SETTINGS)

    assert str(refused.value) == (
        f"the log cannot be kept in {tmp_path / name / 'log'}: the Delta library misreads '{misread}' in a path; "
        "nothing was written: rename the folder, or set [tool.dualgauge.log] path to one without #, ?, \\ and %XX"
    )
    assert not (tmp_path / name).exists()
