"""Compactions killed at random moments while others append and verify: no event is lost, moved or there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import dualgauge
from support.log_project import LogProject, run_child
from support.tamper import copied

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("DUALGAUGE_KILLS", "100"))
LONGEST = 2.5
"""Seconds after which a compaction that goes on is killed at the latest."""

APPENDER = """
import sys
from datetime import datetime, UTC
import dualgauge
from dualgauge import Event
with dualgauge.open(sys.argv[1]).appender() as log:
    i = 0
    while True:
        positions = log.append([Event(f"{sys.argv[2]}-{i}-{j}", "t", datetime.now(UTC), {"x": j}) for j in range(5)])
        print(i, positions[0], flush=True)
        i += 1
        if i % 20 == 0:
            sys.stdin.readline()
"""

pytestmark = pytest.mark.torture


def compaction(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dualgauge", "log", "compact", *arguments]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_compactions_killed_a_hundred_times_beside_an_appender_lose_nothing(tmp_path: Path) -> None:
    chance = random.Random(2028)
    log = copied(tmp_path, tmp_path)
    appender = run_child(APPENDER, tmp_path, "a")
    assert appender.stdin is not None
    assert appender.stdout is not None
    told: list[tuple[int, int]] = []
    kills = 0
    try:
        for number in range(KILLS):
            # So many events more, and a compaction meanwhile.
            for _ in range(20):
                i, position = map(int, appender.stdout.readline().split())
                told.append((i, position))
            appender.stdin.write("\n")
            appender.stdin.flush()
            child = compaction(tmp_path, "--rows", str(chance.choice([50, 200, 1000])), "--keep", "0")
            try:
                child.wait(timeout=chance.uniform(0.5, LONGEST))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            kills += child.wait() == -signal.SIGKILL
            if number % 10 == 0:
                assert dualgauge.open(tmp_path).log.verify().problems == ()
    finally:
        appender.kill()
        appender.communicate()

    assert kills > KILLS // 4
    whole = log.project.events("position", "event_id")
    assert [position for position, _ in whole] == list(range(1, len(whole) + 1))
    places = {event_id: position for position, event_id in whole}
    for i, position in told:
        assert [places[f"a-{i}-{j}"] for j in range(5)] == list(range(position, position + 5))
    # What nobody finished is finished, and cleared.
    for _ in range(2):
        dualgauge.open(tmp_path).log.compact(keep=timedelta(0))
    assert log.project.verify() == len(whole)
    assert log.project.mirrored()
    assert log.found() == []
    assert {one.name for one in log.project.folder.glob("events-*")} == set(log.tamper.names)


def test_many_compactions_and_appenders_at_once_agree(tmp_path: Path) -> None:
    log = copied(tmp_path, tmp_path)
    assert isinstance(log.project, LogProject)
    appenders = [run_child(APPENDER, tmp_path, who) for who in "abc"]
    until = time.monotonic() + 60
    try:
        for one in appenders:
            assert one.stdout is not None
            one.stdout.readline()
        while time.monotonic() < until:
            children = [compaction(tmp_path, "--rows", rows, "--keep", "0.001") for rows in ("100", "1000")]
            for one in appenders:
                assert one.stdin is not None
                one.stdin.write("\n")
                one.stdin.flush()
            assert [child.wait() for child in children] == [0, 0]
            assert dualgauge.open(tmp_path).log.verify().problems == ()
        assert [one.poll() for one in appenders] == [None] * 3
    finally:
        for one in appenders:
            one.kill()
            one.communicate()

    last = log.project.verify()
    assert last > 300
    log.append(1, 1)
    assert log.project.mirrored()
    assert log.found() == []
