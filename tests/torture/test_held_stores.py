"""Diffs, replays and reads of one store at once, killed again and again: SQLite's files stay whole, answers right."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.model import Outcome, Side
from dualgauge.stores.sqlite import export
from support.inside import store_of

# The project of 300,000 events, whose view has 60,000 rows; here each has more than a diff reads by itself.
from torture.test_kills import SETTINGS, project  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = int(os.environ.get("DUALGAUGE_HELD_ROUNDS", "60"))
VIEW = """\
-- key: k

SELECT position AS k, amount, CAST(amount AS DECIMAL(38,2)) * 1234567890123456.75 AS long
FROM events
WHERE position <= 150000
"""
COMPARATOR = "from dualgauge import Comparator\n\nrows = Comparator(key='k')\n"
WORK = (
    ("diff", "rows"),
    ("replay", "--side", "v1", "--force"),
    ("replay", "--side", "v2", "--force"),
    ("read", "rows", "77777"),
)

pytestmark = pytest.mark.torture


@pytest.fixture
def held(project: Path) -> Path:  # noqa: F811  (the fixture above)
    assert SETTINGS in (project / "pyproject.toml").read_text()
    (project / "views_v2" / "totals.sql").unlink()
    for side in Side:
        (project / side.schema / "rows.sql").write_text(VIEW)
    (project / "comparators" / "rows.py").write_text(COMPARATOR)
    migration = dualgauge.open(project)
    migration.import_()
    migration.replay()
    assert export.LARGE < 150_000
    return project


def whole(root: Path) -> None:
    """What SQLite itself says of the files."""
    for side in Side:
        with closing(sqlite3.connect(store_of(dualgauge.open(root)).file(side))) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_files_are_whole_and_answers_right_whatever_is_killed(held: Path) -> None:
    chance = random.Random(int(os.environ.get("DUALGAUGE_SEED", "8")))
    before = dualgauge.open(held).read("rows", ["77777"]).row
    killed = 0
    for _ in range(ROUNDS):
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "dualgauge", *chance.choice(WORK)], cwd=held, start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for _ in range(chance.randrange(2, 4))
        ]  # fmt: skip
        for child in running:
            time.sleep(chance.uniform(0.2, 2.5))
            if chance.random() < 0.7 and child.poll() is None:
                # Alone, or with the children that read for a diff.
                if chance.random() < 0.5:
                    child.kill()
                else:
                    os.killpg(child.pid, signal.SIGKILL)
        for child in running:
            killed += child.wait() == -signal.SIGKILL
        whole(held)
        assert dualgauge.open(held).read("rows", ["77777"]).row == before

    assert killed > ROUNDS // 4
    migration = dualgauge.open(held)
    migration.replay()
    (run,) = migration.diff(["rows"])
    assert run.comparison.verdict is Outcome.PASS
    assert run.comparison.matched == 150_000
