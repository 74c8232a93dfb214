"""Threads that share an appender, a log or a migration: no look moves what a commit of another thread rests on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

import dualgauge
from dualgauge.eventlog.errors import AppenderForked
from dualgauge.eventlog.table.event_log import Behind
from support.appended import event, events, problems
from support.log_project import LogProject, csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path, columns={"n": "BIGINT"})


def meanwhile(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen once, at the last moment before a commit, in another thread."""
    own = DeltaTable.create_write_transaction

    def commit(table: DeltaTable, *given: Any, **named: Any) -> None:
        patch.setattr(DeltaTable, "create_write_transaction", own)
        one = threading.Thread(target=act)
        one.start()
        # It may have to wait until the commit is done.
        one.join(2)
        threads.append(one)
        own(table, *given, **named)

    threads: list[threading.Thread] = []
    patch.setattr(DeltaTable, "create_write_transaction", commit)


def test_a_thread_that_asks_for_the_head_does_not_hide_another_writers_commit(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = []
    # The second writer does not wait: only the comparison keeps the two apart.
    impatient = dualgauge.open(project.open().project.root, patience=0.05)
    with project.open().appender() as log, impatient.appender() as other:
        assert log.append(events("a")) == [1]

        def act() -> None:
            other.append(events("bc"))
            heads.append(log.head)

        meanwhile(monkeypatch, act)
        assert log.append(events("de")) == [4, 5]
        assert log.head == 5

    assert heads == [1]
    assert project.events("event_id") == ["a", "b", "c", "d", "e"]
    assert problems(project) == []


def test_a_thread_that_refreshes_the_log_does_not_hide_another_writers_commit(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.open()
    with project.open().appender() as other:
        other.append(events("a"))
        log, done = project.log(), threading.Event()
        base = log.head()

        def act() -> None:
            other.append(events("bc"))
            log.refresh()
            done.set()

        meanwhile(monkeypatch, act)
        with pytest.raises(Behind):
            log.note({"s": {}}, base)
        assert done.wait(60)

    assert log.head().last == 3
    assert problems(project) == []


def test_what_rests_on_an_older_head_is_not_committed_though_the_table_is_refreshed(project: LogProject) -> None:
    with project.open().appender() as other:
        other.append(events("a"))
        log = project.log()
        base = log.head()
        other.append(events("b"))
        assert log.refresh().last == 2
        with pytest.raises(Behind):
            log.note({"s": {}}, base)
    assert project.log().head().cursors == {}


def test_threads_share_an_appender_while_others_ask_for_its_head(project: LogProject) -> None:
    chance, told = random.Random(7), {}
    calls = [[str(chance.randrange(60)) for _ in range(chance.randint(1, 6))] for _ in range(80)]
    with project.open().appender() as log, ThreadPoolExecutor(10) as pool:
        over = threading.Event()

        def watch() -> list[int]:
            seen = []
            while not over.wait(0.001):
                seen.append(log.head)
            return seen

        watchers = [pool.submit(watch) for _ in range(2)]
        for names, positions in zip(calls, pool.map(lambda one: log.append(events(one)), calls), strict=True):
            for name, position in zip(names, positions, strict=True):
                assert told.setdefault(name, position) == position
        over.set()
        heads = [one.result() for one in watchers]

    assert all(seen == sorted(seen) for seen in heads)
    assert {name: at for at, name in enumerate(project.events("event_id"), 1)} == told
    assert problems(project) == []


def test_threads_share_an_open_log_that_grows(project: LogProject) -> None:
    with project.open().appender() as writer, ThreadPoolExecutor(4) as pool:
        writer.append(events("a"))
        log, over = project.log(), threading.Event()

        def read(number: int) -> None:
            while not over.is_set():
                if number == 0:
                    log.refresh()
                head, version = log.head().last, log.version
                files = log.event_files()
                assert [one.first for one in files] == [1, *(one.last + 1 for one in files[:-1])]
                assert files[-1].last >= head
                assert version >= 0
                assert set(log.since()) == {"n"}

        readers = [pool.submit(read, number) for number in range(4)]
        for number in range(30):
            writer.append([event(f"{number}")])
        over.set()
        for one in readers:
            one.result()
    assert log.refresh().last == 31


def test_threads_share_a_migration(project: LogProject) -> None:
    for name in "ab":
        project.source(name, path=f"{name}.csv")
        project.write(f"{name}.csv", csv("id,seen,n", *(f"{name}{n},2026-01-01,{n}" for n in range(50))))
    migration, begin = project.open(), threading.Barrier(6)

    def act(number: int) -> int:
        begin.wait()
        match number:
            case 0 | 1:
                return migration.import_("ab"[number]).added
            case 2 | 3:
                with migration.appender() as log:
                    return len([log.append(events([f"{number}-{n}"])) for n in range(5)])
            case _:
                return len([migration.log.head() for _ in range(5)])

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(act, range(6))) == [50, 50, 5, 5, 5, 5]
    assert len(project.events()) == 110
    assert problems(project) == []


def test_an_appender_in_a_forked_process_is_refused_and_the_parents_goes_on(project: LogProject) -> None:
    with project.open().appender() as log:
        log.append(events("a"))
        said, says = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                log.append(events("b"))
            except AppenderForked as fault:
                os.write(says, str(fault).encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        os.close(says)
        with os.fdopen(said) as told:
            assert told.read() == (
                f"the appender of the log at {project.folder} was opened in process {os.getpid()}, and this is another "
                "one, forked from it; nothing was appended: give the process that appends an appender of its own, and "
                'start it by spawn (`multiprocessing.get_context("spawn")`) or by a command of its own'
            )
        assert log.append(events("b")) == [2]
    assert problems(project) == []


FORKED = """
import os, sys
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event

def events(*ids):
    return [Event(one, "seen", datetime(2026, 1, 1, tzinfo=UTC), {"n": 1}) for one in ids]

def forked(*calls):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        for call in calls:
            try:
                print(call())
            except dualgauge.DualgaugeError as fault:
                print(fault)
            except BaseException as fault:
                print("not ours:", repr(fault))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)

def own(*ids):
    with dualgauge.open(".").appender() as log:
        return log.append(events(*ids))

def show():
    return dualgauge.open(".").log.head().head.last
"""

SPAWNED = """
import multiprocessing
if __name__ == "__main__":
    print(own("a"))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(sorted(pool.map(own, ["b", "c"])))
    print(show())
"""


def played(project: LogProject, script: str) -> tuple[list[str], str]:
    program = project.root / "application.py"
    program.write_text(FORKED + script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, program],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("use", ["own('a')", "show()"])
def test_a_log_in_a_process_that_was_forked_from_one_that_had_used_it_is_refused(project: LogProject, use: str) -> None:
    with project.open().appender() as log:
        log.append(events("before"))
    said, trouble = played(project, f"{use}\nprint(os.getpid())\nforked(lambda: own('b'), show)\n")
    assert trouble == ""
    refused = (
        f"the log at {project.folder} cannot be used here: process {said[0]} had used a log before this one was forked "
        "from it, and the Delta library does not work in a process that was forked meanwhile; nothing was read or "
        'appended: start processes by spawn (`multiprocessing.get_context("spawn")`) or by a command of their own, '
        "or fork before a log is first used"
    )
    assert said[1:] == [refused, refused]


def test_a_log_is_refused_where_the_application_itself_used_the_delta_library_before_the_fork(
    project: LogProject,
) -> None:
    with project.open().appender() as log:
        log.append(events("before"))
    said, _ = played(project, f"import deltalake\ndeltalake.DeltaTable({str(project.folder)!r})\nforked(show)\n")
    assert [one.partition(": process")[0] for one in said] == [f"the log at {project.folder} cannot be used here"]


def test_a_process_that_is_forked_before_a_log_was_used_uses_it_and_so_does_a_spawned_one(project: LogProject) -> None:
    project.open()
    assert played(project, "forked(lambda: own('x'), show)\n") == (["[1]", "1"], "")
    assert played(project, SPAWNED) == (["[2]", "[[3], [4]]", "4"], "")
    assert problems(project) == []
