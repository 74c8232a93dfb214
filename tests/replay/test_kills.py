"""A replay killed at its worst moments: readers see one answer or the other, whole, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from contract import shop
from dualgauge.model import Side
from support.builds import stored
from support.forked import python
from support.inside import store_of

ROWS = 5_000
OLD = "-- key: event_id\n-- index: amount\nSELECT event_id, CAST(1 AS BIGINT) AS mark, amount FROM events\n"
NEW = OLD.replace("CAST(1 AS BIGINT)", "CAST(2 AS BIGINT)")
RETYPED = NEW.replace("CAST(2 AS BIGINT) AS mark", "CAST(2 AS BIGINT) AS mark, customer")

KILL_AT = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
import dualgauge
from dualgauge.replay import run
from dualgauge.stores.sqlite import bulk
from dualgauge.stores.serving import builds, checkpoints

run.FIRST_CHUNK = run.LARGEST_CHUNK = run.SMALLEST_CHUNK = 1000
calls = {}

def dies(owner, name, at=1, after=False):
    own = getattr(owner, name)
    def wrapped(*args, **named):
        calls[name] = calls.get(name, 0) + 1
        if calls[name] == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = own(*args, **named)
        if calls[name] == at and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(owner, name, wrapped)

where = sys.argv[2]
if where == "in chunk 3, before its commit":
    dies(checkpoints, "record_load", 3, after=True)
elif where == "before the indexes":
    dies(builds, "create_indexes")
elif where == "in the swap, before its commit":
    dies(builds, "serve", after=True)
elif where == "after the swap, before old builds are dropped":
    dies(builds, "drop", 1)
elif where == "in the revision":
    from alembic.ddl.impl import DefaultImpl
    dies(DefaultImpl, "create_table", after=True)
dualgauge.open(sys.argv[1]).replay()
print("not killed")
"""

MOMENTS = {
    "in chunk 3, before its commit": 2_000,
    "before the indexes": ROWS,
    "in the swap, before its commit": ROWS,
    "after the swap, before old builds are dropped": None,
    "in the revision": 0,
}


class Watcher(threading.Thread):
    """Another connection that reads through the view all the time, and keeps each different answer that it saw."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self.file = file
        self.stop = threading.Event()
        self.answers: set[tuple[int, int, int]] = set()
        self.reads = 0
        self.fault: BaseException | None = None

    def look(self) -> tuple[int, int, int]:
        """(rows, lowest mark, highest mark) of what readers get."""
        alone = sqlite3.connect(f"file:{self.file}?mode=rw", uri=True)
        try:
            found: tuple[int, int, int] = alone.execute("SELECT count(*), min(mark), max(mark) FROM totals").fetchone()
        finally:
            alone.close()
        return found

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.answers.add(self.look())
                self.reads += 1
                self.stop.wait(0.005)  # the others shall have the processor too
        except BaseException as fault:  # noqa: BLE001  (handed to the test)
            self.fault = fault


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose v1 is built twice, so that there is an old build to drop."""
    folder = shop.project(tmp_path_factory.mktemp("built") / "shop", rows=ROWS, v1=OLD)
    migration = shop.imported(folder)
    migration.replay()
    migration.replay(force=True)
    return folder


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_replay_leaves_readers_a_whole_answer_and_the_next_one_goes_on(
    built: Path, tmp_path: Path, moment: str
) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(built, folder)
    shop.view(folder, "v1", "totals", RETYPED if moment == "in the revision" else NEW)
    file = folder / ".dualgauge" / "views_v1.db"
    old, new = (ROWS, 1, 1), (ROWS, 2, 2)

    watcher = Watcher(file)
    assert watcher.look() == old
    watcher.start()
    child = python(
        ["-c", KILL_AT, str(folder), moment, str(Path(__file__).parents[1])],
        environment={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    said = child.communicate()
    assert child.returncode == -signal.SIGKILL, said
    assert watcher.look() == (new if MOMENTS[moment] is None else old)

    migration = shop.opened(folder)
    done = migration.replay()
    watcher.stop.set()
    watcher.join()
    assert watcher.fault is None
    assert watcher.reads > 0
    assert watcher.answers <= {old, new}
    assert watcher.look() == new

    [one] = done.views
    assert (one.skipped, one.resumed_at) == (MOMENTS[moment] is None, MOMENTS[moment] or 0)
    assert [found.id for found in done.applied] == (["0002"] if moment == "in the revision" else [])
    # Nothing is there twice, nothing is missing, and the index is there.
    with store_of(migration).snapshot(Side.V1) as snapshot:
        ids = sorted(int(row[0]) for row in stored(snapshot, "totals", {"event_id": "VARCHAR"}))
    assert ids == list(range(1, ROWS + 1))
    alone = sqlite3.connect(file)
    assert alone.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    tables = {
        row[0] for row in alone.execute("SELECT name FROM sqlite_master WHERE name LIKE 'totals\\_\\_b%' ESCAPE '\\'")
    }
    indexes = {
        row[0]
        for row in alone.execute("SELECT name FROM sqlite_master WHERE name LIKE 'ix\\_totals\\_\\_b%' ESCAPE '\\'")
    }
    alone.close()
    assert f"ix_totals__b{one.build}__amount" in indexes

    assert f"totals__b{one.build}" in tables
    if MOMENTS[moment] is None:
        # What the killed replay left is dropped by the next one.
        assert len(tables) == 3
        [forced] = migration.replay(force=True).views
        assert {found.build for found in store_of(migration).checkpoints(Side.V1)} == {one.build, forced.build}
    else:
        assert len(tables) == 2
