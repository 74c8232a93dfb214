"""Processes that append, compact, verify and are killed: each finds the log whole, and completes what others left."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.engines.duck import open_engine
from support.log_project import run_child
from support.tamper import Log, copied

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def files(log: Log) -> set[str]:
    return {one.name for one in log.project.folder.glob("events-*")}


def sound(log: Log) -> bool:
    return log.found() == [] and log.project.mirrored() and log.project.verify() == log.project.log().head().last


# Others at work.

APPENDER = """
import sys
from datetime import datetime, UTC
import dualgauge
from dualgauge import Event
with dualgauge.open(sys.argv[1]).appender() as log:
    for i in range(int(sys.argv[2])):
        log.append([Event(f"{sys.argv[3]}-{i}", "t", datetime.now(UTC), {"x": i})])
        print(i, flush=True)
"""
COMPACTER = """
import sys
from datetime import timedelta
import dualgauge
for i in range(int(sys.argv[2])):
    dualgauge.open(sys.argv[1]).log.compact(rows=int(sys.argv[3]), keep=timedelta(hours=float(sys.argv[4])))
"""


def done(children: Sequence[Any]) -> list[str]:
    """Wait for processes; gives what they complained of."""
    answers = [child.communicate(timeout=120) for child in children]
    return [err for (_, err), child in zip(answers, children, strict=True) if err or child.returncode]


def test_appends_during_compactions_lose_nothing(log: Log) -> None:
    appenders = [run_child(APPENDER, log.project.root, 25, who) for who in "ab"]
    for one in appenders:
        assert one.stdout is not None
        assert one.stdout.readline() == "0\n"
    compacted = [bool(dualgauge.open(log.project.root).log.compact(rows=60).ranges) for _ in range(3)]

    assert any(compacted)
    assert done(appenders) == []
    assert log.project.events("event_id")[:50] == [f"e{i}" for i in range(1, 51)]
    for who in "ab":
        assert [one for one in log.project.events("event_id") if one.startswith(who)] == [
            f"{who}-{i}" for i in range(25)
        ]
    assert sound(log)


@pytest.mark.parametrize("keep", [168, 0])
def test_of_two_compactions_at_once_each_range_is_done_by_one(log: Log, keep: int) -> None:
    before = log.project.events()
    compacters = [run_child(COMPACTER, log.project.root, 2, rows, keep) for rows in (20, 50)]

    assert done(compacters) == []
    assert log.project.events() == before
    assert sound(log)
    for _ in range(2):
        dualgauge.open(log.project.root).log.compact(rows=50, keep=timedelta(0))
    assert files(log) == set(log.tamper.names)


def test_what_a_dead_writer_left_is_cleared_and_what_a_compaction_replaced_is_kept(log: Log) -> None:
    writer = run_child(APPENDER, log.project.root, 100_000, "a")
    assert writer.stdout is not None
    for _ in range(5):
        writer.stdout.readline()
    opened = log.project.log()
    log.project.open().log.compact()
    writer.kill()
    writer.communicate()
    # The next writer clears what the dead one left, and nothing that a compaction took out of the log.
    log.append(1, 1)

    with open_engine() as engine:
        rows = engine.row(f"SELECT count(*), max(position) FROM ({opened.relation(opened.head().last)})")
    assert rows == (opened.head().last, opened.head().last)
    assert sound(log)


WRITER = """
import sys
from datetime import datetime, timedelta, UTC
import dualgauge
from dualgauge import Event
migration = dualgauge.open(sys.argv[1])
with migration.appender() as log:
    for i in range(100, 100_000):
        log.append([Event(f"e{i}", "t", datetime.now(UTC), {"x": i})])
        print(i, flush=True)
        if i % 10 == 0 and sys.argv[2] == "compacts":
            dualgauge.open(sys.argv[1]).log.compact(rows=1000, keep=timedelta(0))
"""


@pytest.mark.parametrize("also", ["appends", "compacts"])
def test_a_writer_at_work_is_no_false_alarm(log: Log, also: str) -> None:
    writer = run_child(WRITER, log.project.root, also)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "100\n"
        found = [dualgauge.open(log.project.root).log.verify() for _ in range(6)]
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()

    assert [one.problems for one in found] == [()] * 6
    assert len({one.last for one in found}) > 1
    assert log.found() == []


# Killed.

DIES = """
import os, signal, sys
from datetime import timedelta
import dualgauge
from dualgauge.eventlog.integrity.compact import _Compaction
from dualgauge.eventlog.table.storage import Folder
from dualgauge.eventlog.table.event_log import EventLog
from dualgauge.ledger.ledger import Ledger

def half(work, group, file):
    whole(work, group, file)
    os.truncate(file, file.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)

def dies(owner, name, calls):
    own = getattr(owner, name)
    count = [0]
    def wrapped(*given, **named):
        answer = own(*given, **named)
        count[0] += 1
        if count[0] == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(owner, name, wrapped)

whole = _Compaction._write
match sys.argv[2]:
    case "half of the file is staged": _Compaction._write = half
    case "the file is staged": dies(_Compaction, "_write", 1)
    case "the file has its place": dies(Folder, "publish", 1)
    case "the commit is made": dies(EventLog, "transact", 1)
    case "the ledger has the link": dies(Ledger, "add_log_commits", 1)
    case "a range is done": dies(_Compaction, "rewrite", 1)
    case "a second file has its place": dies(Folder, "publish", 2)
    case "an old file is removed": dies(Folder, "remove", 1)
dualgauge.open(sys.argv[1]).log.compact(rows=20, keep=timedelta(0))
"""

MOMENTS = {
    "half of the file is staged": 5, "the file is staged": 5, "the file has its place": 5, "the commit is made": 4,
    "the ledger has the link": 4, "a range is done": 4, "a second file has its place": 4, "an old file is removed": 3,
}  # fmt: skip
"""Moments, and how many files the log has then."""


def left(log: Log) -> list[str]:
    """Files of the log's folder that are neither the log's nor kept for readers of before."""
    kept = {name for one in log.project.commits() for name in one.get("removed", ())}
    return [name for name in log.project.unnamed() if name not in kept and not name.endswith(".ids")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_compaction_killed_when(moment: str, five: Path, tmp_path: Path) -> None:
    log = copied(five, tmp_path)
    before = log.project.events()
    if moment == "an old file is removed":
        dualgauge.open(tmp_path).log.compact(rows=20)
    child = run_child(DIES, tmp_path, moment)
    _, err = child.communicate(timeout=120)
    assert (child.returncode, err) == (-signal.SIGKILL, "")

    # What it left is a whole log, which nothing has to be done to.
    assert log.project.events() == before
    assert log.project.verify() == 50
    assert log.found() == []
    assert len(log.tamper.names) == MOMENTS[moment]
    assert log.project.mirrored() == (moment != "the commit is made")

    # The next writer clears what is left, and brings the ledger's copy up.
    log.append(51, 51)
    assert left(log) == []
    assert log.project.mirrored()

    # The next compactions complete it.
    for _ in range(2):
        dualgauge.open(tmp_path).log.compact(rows=60, keep=timedelta(0))
    assert [(one.first, one.last) for one in log.project.log().event_files()] == [(1, 51)]
    assert {one.name for one in log.project.folder.glob("events-*")} == set(log.tamper.names)
    assert log.project.events()[:50] == before
    assert log.found() == []
    assert log.project.mirrored()
