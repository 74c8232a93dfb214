"""Appends by many processes at once, and by processes killed at random moments, many times over."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.appended import paces, problems, race
from support.log_project import LogProject, run_child

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("DUALGAUGE_KILLS", "200"))
SECONDS = 20.0

# Appends without end; each batch is written down, and flushed to the disk, once it was acknowledged.
WRITER = """
import json, os, random, sys
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event

root, book, run = sys.argv[1:]
chance = random.Random(run)
with dualgauge.open(root).appender() as log, open(book, "a") as told:
    print("ready", flush=True)
    number = 0
    while True:
        ids = [f"{run}-{number + step}" for step in range(chance.randint(1, 50))]
        # Some are from before, so that the index is asked for more than new ones.
        again = [f"{run}-{chance.randrange(number)}" for _ in range(chance.randint(0, 3) if number else 0)]
        number += len(ids)
        made = [Event(one, "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": 0}) for one in ids + again]
        told.write(json.dumps([ids + again, log.append(made)]) + "\\n")
        told.flush()
        os.fsync(told.fileno())
"""

pytestmark = pytest.mark.torture


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path / "project", columns={"n": "BIGINT"})


def test_eight_processes_append_at_once_and_each_event_is_there_once(project: LogProject) -> None:
    project.root.mkdir()
    found = race(project, processes=8, count=20_000, batch=500)

    shared, own = -(-20_000 // 3), 20_000 - -(-20_000 // 3)
    assert len(found) == shared + 8 * own
    assert sorted(found.values()) == list(range(1, len(found) + 1))
    assert problems(project) == []
    assert {one: at for at, one in enumerate(project.events("event_id"), 1)} == found


@pytest.mark.parametrize(("writers", "share"), [(2, 0.7), (8, 0.5)])
def test_of_writers_that_never_pause_the_slowest_has_a_fair_share(
    project: LogProject, writers: int, share: float
) -> None:
    project.root.mkdir()
    counts = paces(project, writers, SECONDS)

    print(f"{writers} writers: {counts}")
    assert min(counts) >= share * max(counts)
    assert problems(project) == []


def test_two_writers_together_append_as_much_as_one_alone(tmp_path: Path) -> None:
    # Each alone and together in turn, for a machine is not as quick at every moment.
    alone, together = 0, 0
    for turn in range(3):
        for writers in (1, 2):
            project = LogProject(tmp_path / f"{writers}-{turn}", columns={"n": "BIGINT"})
            project.root.mkdir()
            counts = paces(project, writers, SECONDS / 3)
            alone, together = (alone + counts[0], together) if writers == 1 else (alone, together + sum(counts))

    print(f"alone {alone}, two together {together}")
    assert together >= 0.8 * alone


def test_a_writer_killed_two_hundred_times_loses_no_acknowledged_event(project: LogProject, tmp_path: Path) -> None:
    project.root.mkdir()
    project.open()
    chance, kills, acknowledged = random.Random(2028), 0, []
    for run in range(KILLS):
        book = tmp_path / f"book-{run}"
        child = run_child(WRITER, project.root, book, f"r{run}")
        assert child.stdout is not None
        # Most of them while they append, some while they open the log and clear what the one before left.
        at_work = run % 5 != 0
        if at_work:
            assert child.stdout.readline() == "ready\n"
        try:
            child.wait(timeout=chance.uniform(0, 1.2 if at_work else 3))
        except subprocess.TimeoutExpired:
            child.kill()
        assert child.communicate()[1] == ""
        kills += child.returncode == -signal.SIGKILL
        # The last line may be cut off.
        lines = book.read_text(encoding="utf-8").splitlines(keepends=True) if book.exists() else []
        acknowledged += [json.loads(line) for line in lines if line.endswith("\n")]
        if run % 20 == 19:
            # A compaction now and then, as a project has it.
            project.open().log.compact()

    assert kills == KILLS
    with project.open().appender():
        held = {one: at for at, one in enumerate(project.events("event_id"), 1)}
    assert len(acknowledged) > KILLS
    for ids, positions in acknowledged:
        assert [held[one] for one in ids] == positions
    assert len(held) == project.log().head().last
    assert project.open().log.verify().problems == ()
    assert [name for name in project.unnamed() if "_staging" in name or name.endswith("-mark")] == []
