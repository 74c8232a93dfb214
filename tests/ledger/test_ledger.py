"""The ledger as its callers see it: real SQLite files, and processes that race and die."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import ValidationError
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.sql.compiler import SQLCompiler

from dualgauge.ledger.errors import (
    BadJournalText,
    BadLedgerUrl,
    BrokenRun,
    LedgerBusy,
    LedgerError,
    LogCommitDiffers,
    NewerLedger,
    NoLedger,
    NotALedger,
    NotWaiting,
    OperationReused,
    RunConflict,
    StateChanged,
    UnknownRun,
)
from dualgauge.ledger.journal import JournalEntry, RowKind
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.misfit import Misfit, RowState, Settled
from dualgauge.ledger.settings import LedgerSettings, resolve_url
from dualgauge.ledger.tables import METADATA, REVISIONS, VERSION_TABLE
from dualgauge.ledger.upgrade import SCRIPTS
from dualgauge.ledger.values import (
    EvidenceKind,
    EvidenceRun,
    LogCommit,
    MigrationState,
    RunState,
    percent_text,
    time_text,
)
from dualgauge.model import Outcome, Position
from support.forked import Process, python
from support.ledgers import kept_runs, make_by_revisions

AT = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)
RACES = 50


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'kept' / 'ledger.db'}"


def entry(state: MigrationState, stage: str, share_ppm: int, operation_id: str) -> JournalEntry:
    return JournalEntry(
        state.name,
        "share_some",
        "ana",
        AT,
        state.stage,
        state.share_ppm,
        stage,
        share_ppm,
        operation_id,
        "a reason",
        ("run-1",),
    )


def finish(ledger: Ledger, run_id: str, **found: Any) -> EvidenceRun:
    return ledger.finish_evidence(run_id, migration="orders", who="ana", **found)


def by_hand(url: str, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        return connection.execute(sql, values).fetchall()


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


# Opening


def test_a_ledger_is_made_with_its_folder_where_there_is_none(url: str) -> None:
    with Ledger.open(url) as ledger:
        assert ledger.journal() == ()
    assert by_hand(url, f"SELECT * FROM {VERSION_TABLE}") == [(REVISIONS[-1],)]
    assert by_hand(url, "PRAGMA journal_mode") == [("wal",)]


def test_threads_that_open_new_ledgers_at_once_each_get_their_own(tmp_path: Path) -> None:
    begin = threading.Barrier(6)

    def act(number: int) -> list[tuple[object, ...]]:
        url = f"sqlite:///{tmp_path}/{number // 2}.db"
        begin.wait()
        with Ledger.open(url) as ledger:
            ledger.start_evidence(f"run-{number}", kind=EvidenceKind.DIFF, name="o", bound={}, started_at=AT)
        return by_hand(url, f"SELECT * FROM {VERSION_TABLE}")

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(act, range(6))) == [[(REVISIONS[-1],)]] * 6
    for number in range(3):
        with Ledger.open(f"sqlite:///{tmp_path}/{number}.db", create=False) as ledger:
            assert {run.run_id for run in kept_runs(ledger)} == {f"run-{2 * number}", f"run-{2 * number + 1}"}


def test_threads_share_an_open_ledger(url: str) -> None:
    with Ledger.open(url) as ledger:

        def act(number: int) -> int:
            won = 0
            for turn in range(10):
                state = ledger.state("orders")
                try:
                    ledger.move(state, entry(state, "canary", number * 100 + turn, f"{number}-{turn}"))
                    won += 1
                except StateChanged:
                    pass
                at = Position(number * 10 + turn + 1)
                ledger.add_log_commits([LogCommit(at, at, 1, "0" * 64, "0" * 64)])
                ledger.quarantine.waiting()
            return won

        with ThreadPoolExecutor(4) as pool:
            won = sum(pool.map(act, range(4)))
        assert ledger.state("orders").revision == won == len(ledger.journal())
        assert ledger.verify_journal() is None
        assert [one.first for one in ledger.log_commits()] == list(range(1, 41))


def test_a_ledger_that_is_opened_again_compiles_nothing_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(url) as ledger:
        ledger.state("orders")
    compiled: list[object] = []
    compile_ = SQLCompiler.__init__

    def counted(self: SQLCompiler, *given: Any, **named: Any) -> None:
        compiled.append(given)
        compile_(self, *given, **named)

    monkeypatch.setattr(SQLCompiler, "__init__", counted)
    with Ledger.open(url) as ledger:
        assert ledger.state("orders").revision == 0
        assert compiled == []
        assert ledger.log_commits() == ()
    assert compiled


def test_the_revisions_make_exactly_the_tables_that_the_code_reads(url: str) -> None:
    Path(url.removeprefix("sqlite:///")).parent.mkdir()
    make_by_revisions(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name != VERSION_TABLE}
        )
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_revisions_known_without_alembic_are_those_in_the_folder() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


def test_a_reader_is_told_that_there_is_no_ledger_and_none_is_made(url: str, tmp_path: Path) -> None:
    with pytest.raises(NoLedger) as caught:
        Ledger.open(url, create=False)
    assert str(caught.value) == f"there is no ledger at {url}; `dualgauge replay` makes it"
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_reader_whose_ledger_is_taken_away_leaves_no_empty_file_behind(url: str) -> None:
    with Ledger.open(url) as ledger:
        path = Path(url.removeprefix("sqlite:///"))
        path.unlink()
        with pytest.raises(NoLedger):
            ledger.state("orders")
        assert not path.exists()


def test_a_newer_ledger_is_refused_with_both_revisions_and_left_as_it_was(url: str, tmp_path: Path) -> None:
    Ledger.open(url).close()
    by_hand(url, f"UPDATE {VERSION_TABLE} SET version_num = '0099'")
    before = contents(tmp_path / "kept")
    with pytest.raises(NewerLedger) as caught:
        Ledger.open(url)
    assert str(caught.value) == (
        f"the ledger {url} is at revision 0099, and this dualgauge knows revisions up to {REVISIONS[-1]}; "
        "nothing was touched: upgrade dualgauge"
    )
    assert caught.value.exit_code == 2
    assert contents(tmp_path / "kept") == before


def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is a shopping list, long enough to be read as a header of one hundred bytes" * 3)
    before = contents(tmp_path)
    with pytest.raises(NotALedger, match="is not a dualgauge ledger: file is not a database; nothing was changed"):
        Ledger.open(f"sqlite:///{path}")
    assert contents(tmp_path) == before


def test_a_database_with_a_table_of_the_same_name_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    by_hand(url, "CREATE TABLE journal (note TEXT)")
    with pytest.raises(NotALedger, match="it has a table 'journal' and no revision in 'dualgauge_version'"):
        Ledger.open(url)
    assert by_hand(url, "SELECT name FROM sqlite_master") == [("journal",)]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "it cannot be read as one"),
        ("sqlite://", "a SQLite ledger is a file, given by its path"),
        ("sqlite://folder/ledger.db", "a SQLite ledger is a file, given by its path behind three slashes"),
        ("sqlite:///:memory:", "a SQLite ledger is a file, given by its path"),
        ("mysql://me:secret@host/db", "a ledger is kept in SQLite or PostgreSQL, not in mysql"),
        ("postgresql+pigeon://me:secret@host/db", "its kind of database is unknown"),
    ],
)
def test_a_url_that_can_keep_no_ledger_is_refused_without_showing_its_password(url: str, reason: str) -> None:
    with pytest.raises(BadLedgerUrl) as caught:
        Ledger.open(url)
    assert f"the ledger's URL is not usable: {reason}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(LedgerError) as caught:
        Ledger.open("postgresql+psycopg://me:secret@127.0.0.1:1/none", timeout=2)
    assert str(caught.value).startswith("the ledger postgresql+psycopg://me:***@127.0.0.1:1/none cannot be used: ")
    assert "secret" not in str(caught.value)


def test_a_path_below_a_file_is_refused_with_the_systems_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"Not a directory|File exists"):
        Ledger.open(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")


def test_the_settings_refuse_a_name_they_do_not_know() -> None:
    assert LedgerSettings().url == "sqlite:///.dualgauge/ledger.db"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        LedgerSettings.model_validate({"uri": "sqlite:///x.db"})


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///.dualgauge/ledger.db", "sqlite:////project/.dualgauge/ledger.db"),
        ("sqlite:////elsewhere/ledger.db", "sqlite:////elsewhere/ledger.db"),
        ("postgresql://me:secret@host/db", "postgresql://me:secret@host/db"),
    ],
)
def test_a_relative_path_counts_from_the_project(url: str, resolved: str) -> None:
    assert resolve_url(url, Path("/project")) == resolved


def test_a_url_that_is_none_is_refused_before_it_is_resolved() -> None:
    with pytest.raises(BadLedgerUrl):
        resolve_url("nonsense", Path("/project"))


# Moves


def test_a_migration_never_seen_is_off_at_revision_0(url: str) -> None:
    with Ledger.open(url) as ledger:
        assert ledger.state("orders") == MigrationState("orders", "off", 0, "v2", 0, None)


def test_a_move_is_seen_by_others_with_its_journal_row(url: str) -> None:
    with Ledger.open(url) as ledger, Ledger.open(url) as other:
        before = ledger.state("orders")
        after = ledger.move(before, entry(before, "canary", 50_000, "op-1"))
        assert after == MigrationState("orders", "canary", 50_000, "v2", 1, AT)
        assert other.state("orders") == after
        (row,) = other.journal()
        assert (row.seq, row.entry, row.after) == (1, entry(before, "canary", 50_000, "op-1"), after)
        assert other.verify_journal() is None


def test_the_same_operation_again_gives_the_state_it_made_and_appends_nothing(url: str) -> None:
    with Ledger.open(url) as ledger:
        off = ledger.state("orders")
        first = ledger.move(off, entry(off, "canary", 50_000, "op-1"))
        ledger.move(first, entry(first, "canary", 90_000, "op-2"))
        assert ledger.move(off, entry(off, "canary", 50_000, "op-1")) == first
        assert len(ledger.journal()) == 2
        assert ledger.state("orders").share_ppm == 90_000


def test_an_operation_id_is_not_used_for_another_move(url: str) -> None:
    with Ledger.open(url) as ledger:
        off = ledger.state("orders")
        first = ledger.move(off, entry(off, "canary", 50_000, "op-1"))
        with pytest.raises(OperationReused) as caught:
            ledger.move(first, entry(first, "canary", 60_000, "op-1"))
        assert str(caught.value) == (
            "operation 'op-1' was used before, to bring 'orders' to stage canary with 5 % by share_some, "
            "and now asks to bring 'orders' to stage canary with 6 % by share_some; "
            "nothing was written: give a new operation id"
        )
        assert ledger.state("orders") == first


def test_a_lost_race_says_what_the_migration_is_now(url: str) -> None:
    with Ledger.open(url) as ledger:
        off = ledger.state("orders")
        won = ledger.move(off, entry(off, "canary", 12_500, "op-1"))
        with pytest.raises(StateChanged) as caught:
            ledger.move(off, entry(off, "live", 1_000_000, "op-2"))
        assert str(caught.value) == (
            "migration 'orders' was changed meanwhile: it is now in stage canary with 1.25 % of reads on v2 "
            "(revision 1 since 2026-03-01T12:00:00+00:00), not in stage off with 0 % (revision 0); "
            "nothing was written: look at `dualgauge status` and decide again"
        )
        assert caught.value.exit_code == 5
        assert (ledger.state("orders"), len(ledger.journal())) == (won, 1)


def test_an_entry_that_does_not_start_from_the_expected_state_is_a_mistake_of_the_code(url: str) -> None:
    with Ledger.open(url) as ledger, pytest.raises(ValueError, match="does not start from"):
        ledger.move(ledger.state("orders"), entry(MigrationState("orders", "live"), "canary", 1, "op-1"))


def test_a_time_without_a_zone_is_a_mistake_of_the_code() -> None:
    with pytest.raises(ValueError, match="a time without a zone"):
        time_text(AT.replace(tzinfo=None))


def test_times_are_kept_in_utc_to_the_microsecond() -> None:
    assert time_text(AT.astimezone(timezone(timedelta(hours=5)))) == "2026-03-01T12:00:00.000250+00:00"


def test_the_journal_of_one_migration_is_its_own_rows(url: str) -> None:
    with Ledger.open(url) as ledger:
        for name in ("orders", "flights", "planes"):
            state = ledger.state(name)
            ledger.move(state, entry(state, "canary", 1, f"op-{name}"))
        assert [row.seq for row in ledger.journal("flights")] == [2]
        assert [row.seq for row in ledger.journal()] == [1, 2, 3]
        assert ledger.operation("op-planes") == ledger.journal()[2]
        assert ledger.operation("op-none") is None


def test_a_writer_that_waits_too_long_is_told_who_keeps_it_waiting(url: str) -> None:
    with Ledger.open(url, timeout=0.05) as ledger:
        state = ledger.state("orders")
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(
                LedgerBusy, match=r"is held by another process for more than 0.05 s; what was under way wrote nothing"
            ):
                ledger.move(state, entry(state, "canary", 1, "op-1"))
            assert ledger.state("orders") == state, "a reader waits for nobody"


# Evidence and log commits


def test_a_run_is_kept_from_its_start_to_its_verdict(url: str) -> None:
    with Ledger.open(url) as ledger:
        started = ledger.start_evidence(
            "r1", kind=EvidenceKind.DIFF, name="orders", bound={"v2": "b7", "v1": "b3"}, position=Position(9),
            started_at=AT, folder="reports/r1",
        )  # fmt: skip
        assert (started.state, started.verdict, started.summary) == (RunState.RUNNING, None, None)
        finished = finish(ledger, "r1", verdict=Outcome.PASS, finished_at=AT, summary={"rows": 3})
        assert kept_runs(ledger) == (finished,)
        assert (finished.state, finished.verdict, finished.summary) == (RunState.FINISHED, Outcome.PASS, {"rows": 3})
        assert (finished.started_at, finished.finished_at, finished.folder) == (AT, AT, "reports/r1")
        assert finished.bound == {"v1": "b3", "v2": "b7"}


def test_runs_bound_to_the_same_have_one_key_whatever_the_order_it_is_named_in(url: str) -> None:
    with Ledger.open(url) as ledger:
        first = ledger.start_evidence(
            "r1", kind=EvidenceKind.DIFF, name="orders", bound={"a": 1, "b": 2}, started_at=AT
        )
        second = ledger.start_evidence(
            "r2", kind=EvidenceKind.DIFF, name="orders", bound={"b": 2, "a": 1}, started_at=AT
        )
        third = ledger.start_evidence(
            "r3", kind=EvidenceKind.DIFF, name="orders", bound={"a": 1, "b": 3}, started_at=AT
        )
        assert first.evidence_key == second.evidence_key != third.evidence_key


def test_a_running_run_resumes_and_a_finished_one_does_not(url: str) -> None:
    with Ledger.open(url) as ledger:
        first = ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={"a": 1}, started_at=AT)
        later = AT + timedelta(hours=1)
        assert (
            ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={"a": 1}, started_at=later)
            == first
        )
        with pytest.raises(RunConflict, match="evidence run 'r1' is of diff 'orders' and bound to something else"):
            ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={"a": 2}, started_at=later)
        finish(ledger, "r1", verdict=Outcome.FAIL, finished_at=AT, summary={})
        with pytest.raises(RunConflict, match="evidence run 'r1' is finished; nothing was written: start a new run"):
            ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={"a": 1}, started_at=later)


def test_a_finished_run_is_sealed_in_the_journal(url: str) -> None:
    with Ledger.open(url) as ledger:
        off = ledger.state("orders")
        ledger.move(off, entry(off, "canary", 50_000, "op-1"))
        ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={"a": 1}, started_at=AT)
        assert len(ledger.journal()) == 1
        finished = finish(ledger, "r1", verdict=Outcome.PASS, finished_at=AT, summary={"rows": 3})

        row = ledger.journal("orders")[-1]
        assert (row.seq, row.operation_id, row.kind, row.migration) == (2, "evidence:r1", RowKind.EVIDENCE, "orders")
        sealed = row.evidence
        assert (sealed.who, sealed.at, sealed.run, sealed.name) == ("ana", AT, "r1", "orders")
        assert (sealed.kind, sealed.verdict, sealed.evidence_key) == ("diff", "pass", finished.evidence_key)
        (held,) = ledger.evidence().sealed
        assert (held.run, held.broken, held.seq) == (finished, "", 2)
        assert ledger.verify_journal() is None
        # Moves go on behind it, in the same chain.
        state = ledger.state("orders")
        ledger.move(state, entry(state, "canary", 60_000, "op-2"))
        assert [one.kind for one in ledger.journal()] == ["move", "evidence", "move"]
        assert ledger.verify_journal() is None
        assert ledger.journal("planes") == ()


def test_a_verdict_that_is_given_again_is_sealed_once(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={}, started_at=AT)
        for _ in range(2):
            finish(ledger, "r1", verdict=Outcome.PASS, finished_at=AT, summary={})
        assert len(ledger.journal()) == 1


def test_a_run_that_cannot_be_sealed_is_not_finished(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={}, started_at=AT)
        with pytest.raises(BadJournalText, match="who of the journal entry holds a character that has no UTF-8 form"):
            ledger.finish_evidence(
                "r1", verdict=Outcome.PASS, finished_at=AT, summary={}, migration="orders", who="\ud83d"
            )
        assert [run.state for run in kept_runs(ledger)] == [RunState.RUNNING]
        assert ledger.journal() == ()


def test_a_row_that_no_run_could_have_written_is_named(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={}, started_at=AT)
        by_hand(url, "UPDATE evidence SET kind = 'guess'")
        with pytest.raises(BrokenRun) as caught:
            finish(ledger, "r1", verdict=Outcome.PASS, finished_at=AT, summary={})
        assert str(caught.value) == (
            "evidence run 'r1' cannot be read: 'guess' is not a valid EvidenceKind; its row was changed by other "
            "hands: `dualgauge journal --verify` says what else was"
        )
        assert [(one.run_id, one.run) for one in ledger.evidence().strays] == [("r1", None)]


def first_revision(url: str) -> None:
    """A ledger as the first dualgauge made it: one finished run without a seal, one that runs, and one move."""
    with Ledger.open(url) as ledger:
        off = ledger.state("orders")
        ledger.move(off, entry(off, "canary", 50_000, "op-1"))
        ledger.add_log_commits([LogCommit(1, 10, 10, "d1", "c1")])
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        for run_id, verdict, state in (("r1", "pass", "finished"), ("r2", None, "running")):
            connection.execute(
                text(
                    "INSERT INTO evidence VALUES (:run_id, 'diff', 'orders', 'k', '{}', 6, :verdict, :state, "
                    ":at, :finished, '{}', 'reports/x')"
                ),
                {
                    "run_id": run_id, "verdict": verdict, "state": state, "at": time_text(AT),
                    "finished": verdict and time_text(AT),
                },
            )  # fmt: skip
    engine.dispose()


def upgraded(url: str) -> None:
    with Ledger.open(url, create=False) as ledger:
        assert [(run.run_id, run.state, run.verdict) for run in kept_runs(ledger)] == [
            ("r2", RunState.RUNNING, None), ("r1", RunState.UNSEALED, Outcome.PASS),
        ]  # fmt: skip
        evidence = ledger.evidence()
        assert (evidence.sealed, evidence.first_bad) == ((), None)
        assert [(one.run_id, one.forged) for one in evidence.strays] == [("r1", False), ("r2", False)]
        with pytest.raises(RunConflict, match="is finished already, with verdict pass"):
            finish(ledger, "r1", verdict=Outcome.FAIL, finished_at=AT, summary={})
        finish(ledger, "r2", verdict=Outcome.PASS, finished_at=AT, summary={})
        assert [row.kind for row in ledger.journal()] == ["move", "evidence"]
        assert ledger.verify_journal() is None
        assert ledger.log_commits() == (LogCommit(1, 10, 10, "d1", "c1"),)


def test_runs_of_before_evidence_was_sealed_are_kept_and_set_apart(url: str) -> None:
    first_revision(url)
    upgraded(url)
    assert by_hand(url, f"SELECT * FROM {VERSION_TABLE}") == [(REVISIONS[-1],)]


def test_runs_of_before_evidence_was_sealed_are_set_apart_on_postgresql_too(postgres_url: str) -> None:
    first_revision(postgres_url)
    upgraded(postgres_url)


def test_a_verdict_stands_once_given(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.start_evidence("r1", kind=EvidenceKind.CHECK, name="orders", bound={}, started_at=AT)
        given = finish(ledger, "r1", verdict=Outcome.FAIL, finished_at=AT, summary={"bad": 1})
        later = AT + timedelta(hours=1)
        assert finish(ledger, "r1", verdict=Outcome.FAIL, finished_at=later, summary={"bad": 1}) == given
        with pytest.raises(RunConflict, match="evidence run 'r1' is finished already, with verdict fail"):
            finish(ledger, "r1", verdict=Outcome.PASS, finished_at=later, summary={"bad": 1})


def test_an_unknown_run_is_named_with_the_place_where_runs_are_kept(url: str) -> None:
    with Ledger.open(url) as ledger, pytest.raises(UnknownRun) as caught:
        finish(ledger, "r9", verdict=Outcome.PASS, finished_at=AT, summary={})
    assert str(caught.value) == "there is no evidence run 'r9'; runs are named like the folders below `reports`"


def test_a_commit_of_the_log_is_kept_once_and_another_chain_is_refused(url: str) -> None:
    one, two = LogCommit(1, 10, 10, "d1", "c1"), LogCommit(11, 12, 2, "d2", "c2")
    with Ledger.open(url) as ledger:
        for commit in (two, one, two):
            ledger.add_log_commits([commit])
        assert ledger.log_commits() == (one, two)
        with pytest.raises(LogCommitDiffers) as caught:
            ledger.add_log_commits([LogCommit(11, 12, 2, "d2", "forged")])
        assert str(caught.value).startswith(
            "the log's commit that ends at position 12 has chain forged, and the ledger kept c2 for it"
        )
        assert ledger.log_commits() == (one, two)


def settled_quarantine(url: str) -> None:
    row = Misfit("s", "a.csv", 7, "x = 'é' is no BIGINT", 'é,"\n",', 8, {"columns": [["z", "BIGINT"], ["a", "DATE"]]})
    again, other = replace(row, reason="another", line=None), replace(row, row=None, raw="")
    with Ledger.open(url) as ledger:
        aside = ledger.quarantine
        assert (aside.add([row, other], at=AT), aside.add([again], at=AT + timedelta(days=1)), aside.waiting()) == (
            2,
            1,
            2,
        )
        # Where a row without a number stands is the database's own choice: SQLite puts it first, PostgreSQL last.
        first, second = sorted(aside.rows(source="s"), key=lambda one: one.misfit.row is None)
        assert (first.misfit, first.id, first.state, first.found_at) == (row, row.id, RowState.WAITING, AT)
        assert second.misfit == other
        aside.settle(
            [Settled(row.id, RowState.TAKEN, "taken", "mended"), Settled(other.id, RowState.WAITING, "no")], at=AT
        )
        assert aside.add([row], at=AT) == 0
        assert [(one.id, one.misfit.raw, one.misfit.reason) for one in aside.rows(state=RowState.TAKEN)] == [
            (row.id, "mended", "taken")
        ]
        # All or none: the second is taken, so the first waits on.
        with pytest.raises(NotWaiting):
            aside.settle([Settled(other.id, RowState.SKIPPED, "no"), Settled(row.id, RowState.SKIPPED, "no")], at=AT)
        assert [one.misfit for one in aside.rows(state=RowState.WAITING)] == [replace(other, reason="no")]
        # What is in the log is taken, whatever was said of it meanwhile.
        aside.settle([Settled(row.id, RowState.TAKEN, "taken")], at=AT)
        assert [one.id for one in aside.chosen([])] == [other.id]


def test_a_row_of_the_quarantine_is_kept_once_and_settled_whole(url: str) -> None:
    settled_quarantine(url)


def test_a_row_of_the_quarantine_is_kept_on_postgresql_too(postgres_url: str) -> None:
    settled_quarantine(postgres_url)


@pytest.mark.parametrize(
    ("ppm", "text"), [(0, "0"), (1, "0.0001"), (2_500, "0.25"), (50_000, "5"), (100_000, "10"), (1_000_000, "100")]
)
def test_a_share_is_written_exactly_and_as_short_as_can_be(ppm: int, text: str) -> None:
    assert percent_text(ppm) == text


# Processes: this file is also the program that they run


def child(*arguments: str) -> Process:
    return python([__file__, *arguments], environment={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def test_two_processes_that_race_never_both_win_and_the_journal_holds(url: str) -> None:
    # The ledger is not there yet: they race to make it too. Both are let go by one line each, when both are up.
    children = [child("race", url, name) for name in ("ana", "bo")]
    for process in children:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    for process in children:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0].split() for process in children]
    assert [process.returncode for process in children] == [0, 0]
    won = [int(moved) for moved, _ in told]
    assert [int(moved) + int(lost) for moved, lost in told] == [RACES, RACES]
    with Ledger.open(url) as ledger:
        assert ledger.state("orders").revision == sum(won) == len(ledger.journal())
        assert ledger.verify_journal() is None
        by_whom = [row.entry.who for row in ledger.journal()]
        assert [by_whom.count("ana"), by_whom.count("bo")] == won


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_process_killed_while_it_finishes_a_run_leaves_verdict_and_seal_or_neither(url: str, moment: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={}, started_at=AT)
        with child("die_sealing", url, moment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{moment}\n"
            process.send_signal(signal.SIGKILL)
        done = moment == "after the commit"
        assert [run.state for run in kept_runs(ledger)] == [RunState.FINISHED if done else RunState.RUNNING]
        assert [row.operation_id for row in ledger.journal()] == (["evidence:r1"] if done else [])
        assert ledger.verify_journal() is None


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_process_killed_in_a_move_leaves_it_whole_or_not_at_all(url: str, moment: str) -> None:
    with Ledger.open(url) as ledger:
        off = ledger.state("orders")
        canary = ledger.move(off, entry(off, "canary", 50_000, "op-1"))
        with child("die", url, moment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{moment}\n"
            process.send_signal(signal.SIGKILL)
        found = ledger.state("orders")
        made = 0 if moment == "before the commit" else 1
        assert (found.revision, found.share_ppm) == (1 + made, [50_000, 60_000][made])
        assert ledger.verify_journal() is None
        # The caller never had an answer and asks again with the same operation.
        again = ledger.move(canary, entry(canary, "canary", 60_000, "op-2"))
        assert (again.revision, again.share_ppm, len(ledger.journal())) == (2, 60_000, 2)
        assert ledger.verify_journal() is None


def race(url: str, who: str) -> None:
    print("up", flush=True)
    sys.stdin.readline()
    won = lost = 0
    with Ledger.open(url) as ledger:
        for number in range(RACES):
            state = ledger.state("orders")
            move = JournalEntry(
                "orders", "share_some", who, AT, state.stage, state.share_ppm, "canary", number + 1, f"{who}-{number}"
            )
            try:
                ledger.move(state, move)
                won += 1
            except StateChanged:
                lost += 1
    print(won, lost)


def die(url: str, moment: str) -> None:
    def stand_still(_: object) -> None:
        print(moment, flush=True)
        sys.stdin.readline()

    with Ledger.open(url) as ledger:
        state = ledger.state("orders")
        if moment == "before the commit":  # all is written, nothing is committed
            event.listen(Engine, "commit", stand_still)
        ledger.move(state, entry(state, "canary", 60_000, "op-2"))
        stand_still(None)


def die_sealing(url: str, moment: str) -> None:
    def stand_still(_: object) -> None:
        print(moment, flush=True)
        sys.stdin.readline()

    with Ledger.open(url) as ledger:
        if moment == "before the commit":
            event.listen(Engine, "commit", stand_still)
        finish(ledger, "r1", verdict=Outcome.PASS, finished_at=AT, summary={})
        stand_still(None)


if __name__ == "__main__":
    {"race": race, "die": die, "die_sealing": die_sealing}[sys.argv[1]](*sys.argv[2:])
