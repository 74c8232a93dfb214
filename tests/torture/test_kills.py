"""Imports and replays killed at random moments, many times over: the end is the same as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.engines.duck import open_engine
from dualgauge.model import Side
from support.builds import stored
from support.inside import log_of, store_of

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.migration import Migration

KILLS = int(os.environ.get("DUALGAUGE_KILLS", "100"))
EVENTS = 300_000
SETTINGS = """
[tool.dualgauge]
migration = "killed"
[tool.dualgauge.log.columns]
k = "BIGINT"
amount = "DECIMAL(12,2)"
[[tool.dualgauge.sources]]
name = "events"
path = "events.parquet"
event_id = "event_id"
type = "'added'"
occurred_at = "happened_at"
"""
VIEW = "-- key: k\n\nSELECT k, count(*) AS n, sum(amount) AS total FROM events GROUP BY k\n"

pytestmark = pytest.mark.torture


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("views_v1", "views_v2", "comparators", "migrations/versions"):
        (root / name).mkdir(parents=True)
    (root / "pyproject.toml").write_text(SETTINGS)
    (root / "views_v2" / "totals.sql").write_text(VIEW)
    here = __file__.rsplit("/tests/", 1)[0]
    for name in ("env.py", "script.py.mako"):
        shutil.copyfile(f"{here}/migrations/{name}", root / "migrations" / name)
    with open_engine() as engine:
        engine.execute(
            "COPY (SELECT 'e-' || i AS event_id, hash(i) % 60000 AS k, (i % 9973)::DECIMAL(12,2) / 100 AS amount, "
            f"TIMESTAMPTZ '2026-01-01' + INTERVAL (i) SECOND AS happened_at FROM range(1, {EVENTS + 1}) t(i)) "
            f"TO '{root}/events.parquet'"
        )
    return root


def killed_at_random(root: Path, arguments: list[str], longest: float, chance: random.Random) -> bool:
    """Run a command and kill it at some moment; whether it was still at work then."""
    command = [sys.executable, "-m", "dualgauge", *arguments]
    child = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child.wait(timeout=chance.uniform(0.2, longest))
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL


def rows(migration: Migration) -> list[tuple[object, ...]]:
    with store_of(migration).snapshot(Side.V2) as side:
        return stored(side, "totals", {"k": "BIGINT", "n": "BIGINT", "total": "DECIMAL(38,2)", "_position": "BIGINT"})


def test_an_import_killed_a_hundred_times_gives_each_event_once(project: Path) -> None:
    chance = random.Random(2026)
    migration = dualgauge.open(project)
    kills = 0
    for _ in range(KILLS):
        kills += killed_at_random(project, ["log", "import"], 3.0, chance)
        assert log_of(migration).head().last in (0, EVENTS)
        if log_of(migration).head().last:
            shutil.rmtree(project / ".dualgauge")
    migration.import_()

    log = log_of(migration)
    with open_engine() as engine:
        found = engine.row(
            "SELECT count(*), count(DISTINCT event_id), min(position), max(position), count(DISTINCT position) "
            f"FROM ({log.relation(log.head().last)})"
        )
    assert found == (EVENTS, EVENTS, 1, EVENTS, EVENTS)
    assert kills > KILLS // 4


def test_a_replay_killed_a_hundred_times_ends_as_one_never_killed(project: Path) -> None:
    chance = random.Random(2027)
    migration = dualgauge.open(project)
    migration.import_()
    migration.replay()
    whole = rows(migration)
    kills = 0
    for _ in range(KILLS):
        kills += killed_at_random(project, ["replay", "--force"], 3.0, chance)
        # Whatever was cut off, readers have a whole build.
        assert rows(migration) == whole
    done = migration.replay(force=True)

    assert [view.rows for view in done.views] == [len(whole)]
    assert rows(migration) == whole
    assert kills > KILLS // 4
    builds = [one.build for one in store_of(migration).checkpoints(Side.V2)]
    assert len(builds) == 2
