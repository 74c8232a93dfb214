"""Writers of a log in a folder go on one after the other: none is starved, and none waits for a dead or stopped one."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.eventlog.table.turnstile import Turnstile
from support.appended import event, events, paces, problems
from support.log_project import LogProject, csv, run_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.forked import Process

HOLDS = """
import sys, time
from pathlib import Path
from dualgauge.eventlog.table.turnstile import Turnstile
with Turnstile(Path(sys.argv[1])).turn():
    print("held", flush=True)
    sys.stdin.readline()
"""

STOPS = """
import os, pathlib, signal, sys
from datetime import UTC, datetime
import deltalake
import dualgauge
from dualgauge import Event
from dualgauge.eventlog.append import appender
from dualgauge.eventlog.table.storage import Folder

root, step = sys.argv[1:]
owner, name = {
    "written": (appender.pq, "write_table"), "published": (Folder, "publish"),
    "committed": (deltalake.DeltaTable, "create_write_transaction"),
}[step]
own = getattr(owner, name)

def stops(*given, **named):
    setattr(owner, name, own)
    os.kill(os.getpid(), signal.SIGSTOP)
    return own(*given, **named)

with dualgauge.open(root).appender() as log:
    log.append([Event("first", "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": 0})])
    print("ready", flush=True)
    setattr(owner, name, stops)
    made = [Event(one, "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": 0}) for one in ("x", "b")]
    print(log.append(made), flush=True)
"""

IMPATIENT = """
import sys
from dualgauge.cli import main
from dualgauge.eventlog.table import event_log, turnstile
event_log.Turnstile = lambda folder, patience: turnstile.Turnstile(folder, 0.2)
sys.argv = ["dualgauge", "log", "append", "--format", "json", "--project", sys.argv[1]]
main()
"""

WRITES = """
import sys
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event
with dualgauge.open(sys.argv[1]).appender() as log:
    for n in range(1_000_000):
        log.append([Event(f"w{n}", "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": n})])
        if n == 2:
            print("ready", flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path, columns={"n": "BIGINT"})


@pytest.fixture
def holder(project: LogProject) -> Iterator[Process]:
    """Another process, whose turn it is."""
    with project.open().appender() as log:
        log.append(events("a"))
    child = run_child(HOLDS, project.folder)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def stopped(child: Process) -> None:
    """Until a process is stopped."""
    while "\nState:\tT" not in Path(f"/proc/{child.pid}/status").read_text():
        time.sleep(0.01)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "dualgauge.eventlog"]


def free(folder: Path) -> bool:
    """Whether it is nobody's turn."""
    held = Turnstile(folder)._at_once()
    if held is not None:
        held.close()
    return held is not None


def sound(project: LogProject) -> bool:
    """Whether a log is whole, where files were merged: by our own look, by the command's, and by the ledger's copy."""
    project.verify()
    return project.mirrored() and project.open().log.verify().sound


# Fair.


@pytest.mark.parametrize(("processes", "appenders"), [(2, 1), (1, 2)])
def test_of_two_writers_that_never_pause_neither_is_left_behind(
    project: LogProject, processes: int, appenders: int
) -> None:
    found = paces(project, processes, 5, appenders=appenders)

    assert len(found) == 2
    assert min(found) >= 0.3 * max(found)
    assert problems(project) == []


def test_threads_of_one_appender_that_never_pause_are_all_served(project: LogProject) -> None:
    counts = [0] * 6
    with project.open().appender() as log:

        def run(number: int) -> None:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                log.append([event(f"{number}-{counts[number]}")])
                counts[number] += 1

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(run, range(6)))

    assert min(counts) >= 0.3 * max(counts)
    assert len(project.events()) == sum(counts)
    assert problems(project) == []


def test_an_import_and_a_compaction_get_their_turns_beside_a_writer_that_never_pauses(project: LogProject) -> None:
    project.source("s", path="s.csv")
    project.write("s.csv", csv("id,seen,n", *(f"i{n},2026-01-01,{n}" for n in range(30_000))))
    project.open()
    child = run_child(WRITES, project.root)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        done = project.take()
        compacted = project.open().log.compact()
        assert child.poll() is None
    finally:
        child.kill()
        child.communicate()

    assert (done.added, done.known) == (30_000, 0)
    assert compacted.ranges
    with project.open().appender():
        ids = project.events("event_id")
    assert ids[done.first - 1 : done.last] == sorted(f"i{n}" for n in range(30_000))
    assert sound(project)


# Stopped.


def test_a_writer_goes_on_when_the_holder_of_the_turn_is_stopped_and_says_it_once(
    project: LogProject, holder: Process, caplog: pytest.LogCaptureFixture
) -> None:
    holder.send_signal(signal.SIGSTOP)
    stopped(holder)
    with dualgauge.open(project.root, patience=0.2).appender() as log:
        assert log.append(events("ab")) == [1, 2]
        assert log.append(events("cd")) == [3, 4]
        lock = project.folder / "_turn" / "commit.lock"
        (said,) = warnings(caplog)
        assert said == (
            f"the log at {project.folder}: this writer's turn did not come in 0.2 s, because process {holder.pid} "
            f"holds {lock}; it goes on without one: what is appended is whole as ever, but writers may have to wait "
            f"for each other: if that process was stopped, `kill -CONT {holder.pid}` lets it go on"
        )
        holder.send_signal(signal.SIGCONT)
        holder.communicate("go on\n", timeout=60)
        assert log.append(events("e")) == [5]

    assert len(warnings(caplog)) == 1
    assert problems(project) == []


def test_the_command_line_says_on_stderr_that_it_went_on_without_a_turn(project: LogProject, holder: Process) -> None:
    line = '{"event_id": "b", "type": "seen", "occurred_at": "2026-01-31T12:00:00Z", "fields": {"n": 0}}\n'
    child = run_child(IMPATIENT, project.root)
    out, err = child.communicate(line, timeout=60)

    assert child.returncode == 0
    assert err.startswith(f"the log at {project.folder}: this writer's turn did not come in 0.2 s, because ")
    assert '"positions": [\n      2\n    ]' in out


@pytest.mark.parametrize("step", ["written", "published", "committed"])
def test_a_writer_stopped_within_its_turn_spoils_nothing_when_it_goes_on(step: str, project: LogProject) -> None:
    project.open()
    child = run_child(STOPS, project.root, step)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    stopped(child)
    with dualgauge.open(project.root, patience=0.2).appender() as log:
        assert log.append(events("ab")) == [2, 3]
        assert log.append(events("c")) == [4]
    child.send_signal(signal.SIGCONT)
    out, err = child.communicate(timeout=60)

    assert (child.returncode, out, err) == (0, "[5, 3]\n", "")
    assert project.events("event_id") == ["first", "a", "b", "c", "x"]
    assert problems(project) == []


def test_a_turn_that_comes_too_late_is_given_back(project: LogProject, holder: Process) -> None:
    turns = Turnstile(project.folder, 0.1)
    with turns.turn():
        assert not free(project.folder)
    holder.communicate("go on\n", timeout=60)
    late = turns._late
    assert late is not None
    late.join(60)
    assert free(project.folder)
    with turns.turn():
        assert not free(project.folder)
    assert free(project.folder)


def test_a_wait_that_is_interrupted_leaves_no_turn_taken(project: LogProject, holder: Process) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt), Turnstile(project.folder).turn():
            pass
    finally:
        signal.signal(signal.SIGALRM, before)
    holder.communicate("go on\n", timeout=60)
    for one in threading.enumerate():
        if one.name == "dualgauge-turn":
            one.join(60)
    assert free(project.folder)


# Killed, and without locks.


def test_a_turn_is_free_once_its_holder_is_killed(
    project: LogProject, holder: Process, caplog: pytest.LogCaptureFixture
) -> None:
    with project.open().appender() as log, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(log.append, events("b"))
        time.sleep(0.2)
        assert not waiting.done()
        holder.kill()
        assert waiting.result(60) == [2]
    assert warnings(caplog) == []


def test_a_process_forked_within_a_turn_does_not_keep_it(project: LogProject) -> None:
    project.log().create()
    script = (
        "import os, signal, sys, threading\n"
        "from pathlib import Path\n"
        "from dualgauge.eventlog.table.turnstile import Turnstile\n"
        "with Turnstile(Path(sys.argv[1])).turn():\n"
        "    if os.fork() == 0:\n"
        "        print('forked', flush=True)\n"
        "        sys.stdin.readline()\n"
        "        os._exit(0)\n"
        "    threading.Event().wait()\n"
    )
    child = run_child(script, project.folder)
    assert child.stdout is not None
    assert child.stdout.readline() == "forked\n"
    assert not free(project.folder)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(60)
    assert free(project.folder)
    child.communicate("go on\n", timeout=60)


def test_readers_wait_for_no_turn(project: LogProject, holder: Process, caplog: pytest.LogCaptureFixture) -> None:
    migration = project.open()
    assert migration.log.head().head.last == 1
    assert len(migration.log.show().events) == 1
    assert migration.log.verify().sound
    with migration.appender() as log:
        # What is in the log already is only read.
        assert log.append(events("a")) == [1]
    assert holder.poll() is None
    assert warnings(caplog) == []


def test_where_no_lock_is_to_be_had_writers_go_on_without(
    project: LogProject, caplog: pytest.LogCaptureFixture
) -> None:
    project.log().create()
    (project.folder / "_turn").write_text("a file in the place of the folder", encoding="utf-8")
    caplog.set_level(logging.WARNING)
    with project.open().appender() as log:
        assert log.append(events("ab")) == [1, 2]
    assert warnings(caplog) == []


def test_the_locks_are_in_the_way_of_nothing_and_stay(project: LogProject) -> None:
    with project.open().appender() as log:
        for one in "abc":
            log.append(events(one))
    project.open().log.compact()
    with project.open().appender() as log:
        log.append(events("d"))

    assert sorted(one.name for one in (project.folder / "_turn").iterdir()) == ["commit.lock", "entry.lock"]
    assert sound(project)
