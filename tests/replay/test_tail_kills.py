"""A tail that is killed, frozen or raced: each build is whole at some position, and the next tail goes on there."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.model import Position, Side
from dualgauge.replay.answer import answered
from dualgauge.replay.run import build_of
from dualgauge.stores.errors import LeaseLost, SideHeld
from support.forked import Process, python
from support.inside import handles_of
from support.tailed import VIEWS, events, following, judged, laid_out
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = {name: one for name, one in VIEWS.items() if name in ("counts", "balance", "two_keys", "one_row", "each")}
ROWS = 400

TAILS = """
import os, signal, sys
import dualgauge
from dualgauge.replay import pace, tail
from dualgauge.stores.serving import checkpoints, writers
from dualgauge.stores.sqlite.advance import SqliteAdvancing

pace.FIRST_BATCH = pace.SMALLEST_BATCH = pace.LARGEST_BATCH = 50
left = int(sys.argv[3])

def dies(owner, name, after):
    own = getattr(owner, name)
    def wrapped(*args, **named):
        global left
        left -= 1
        if not left and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = own(*args, **named)
        if not left and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(owner, name, wrapped)

where = sys.argv[2]
if where == "with the lease":
    dies(writers, "take", True)
elif where == "before the rows":
    dies(SqliteAdvancing, "apply", False)
elif where == "with the checkpoint, before the rows":
    dies(checkpoints, "advance", True)
elif where == "after the rows":
    dies(SqliteAdvancing, "apply", True)
elif where == "while it reads what is stored":
    dies(SqliteAdvancing, "stored", True)
elif where == "at a batch":
    dies(tail.Tail, "_read", True)
elif where == "anywhere":
    import threading, time
    def die():
        time.sleep(left / 1000)
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=die, daemon=True).start()
dualgauge.open(sys.argv[1]).tail(once=True)
print("not killed")
"""


def some(count: int) -> list[dict[str, Any]]:
    chance = random.Random(7)
    return [
        {
            "type": chance.choice(("in", "out")), "who": chance.choice(("ada", "bob", None, "")),
            "n": chance.randrange(9),
            "price": f"{chance.randrange(100)}.{chance.randrange(10)}", "at": chance.randrange(50),
        }
        for _ in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose builds are at position 100 of a log of 400 events."""
    root = tmp_path_factory.mktemp("behind")
    migration, rows = laid_out(root, KEPT), some(ROWS)
    for first, last in ((0, 100), (100, 230), (230, ROWS)):
        with migration.appender() as log:
            log.append(events(rows)[first:last])
        if not first:
            migration.replay()
    return root


@pytest.fixture
def project(behind: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(behind, tmp_path / "project"))


def run(script: str, *arguments: object) -> Process:
    return python(["-c", script, *map(str, arguments)], environment=dict(os.environ))


def positions(root: Path) -> set[int]:
    with contextlib.closing(sqlite3.connect(root / ".dualgauge" / "views_v1.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {row[0] for row in connection.execute("SELECT position FROM _dualgauge_checkpoint")}


def run_out(root: Path) -> None:
    """Let the lease of whoever was killed run out at once; one that was killed early has taken none."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(root / ".dualgauge" / "views_v1.db")) as connection,
        connection,
    ):
        connection.execute("UPDATE _dualgauge_writer SET lease_until = '2026-01-01T00:00:00+00:00'")


def goes_on(root: Path) -> None:
    """Each view is what its query gives at its own position; and after one more tail at the head."""
    assert judged(root) == {}
    run_out(root)
    done = dualgauge.open(root).tail(once=True)
    assert {(one.position, one.error, one.left) for one in done.views} == {(ROWS, "", "")}
    assert judged(root) == {}


MOMENTS = [
    ("with the lease", 1), ("before the rows", 1), ("before the rows", 7), ("with the checkpoint, before the rows", 1),
    ("with the checkpoint, before the rows", 8), ("after the rows", 1), ("after the rows", 9),
    ("while it reads what is stored", 2), ("at a batch", 1), ("at a batch", 4),
]  # fmt: skip


@pytest.mark.parametrize(("where", "at"), thinned(2, MOMENTS))
def test_a_killed_tail_leaves_each_build_whole_and_the_next_one_goes_on(project: Path, where: str, at: int) -> None:
    with run(TAILS, project, where, at) as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (-signal.SIGKILL, ""), err

    assert positions(project) != {ROWS}
    goes_on(project)


def test_killed_at_any_moment_nothing_is_lost_or_twice(project: Path) -> None:
    chance, killed = random.Random(), 0
    for _ in range(20):
        with run(TAILS, project, "anywhere", chance.randrange(5, 250)) as child:
            child.communicate(timeout=60)
        killed += child.returncode == -signal.SIGKILL
        assert judged(project) == {}
        run_out(project)
        if positions(project) == {ROWS}:
            dualgauge.open(project).replay(force=True)
    assert killed


@pytest.fixture
def holder(project: Path) -> Iterator[Process]:
    with following(project) as child:
        yield child


def test_a_second_tail_is_told_who_holds_the_side(project: Path, holder: Process) -> None:
    with pytest.raises(SideHeld) as caught:
        dualgauge.open(project).tail(once=True)

    assert caught.value.exit_code == 5
    assert f"process {holder.pid} " in str(caught.value)


def test_a_tail_that_is_told_to_end_lets_go_at_once(project: Path) -> None:
    child = python(["-m", "dualgauge", "tail", "--project", str(project)], environment=dict(os.environ))
    with child:
        until = time.monotonic() + 30
        while positions(project) != {ROWS} and time.monotonic() < until:
            time.sleep(0.05)
        child.terminate()
        out, err = child.communicate(timeout=30)

    assert (child.returncode, err) == (0, "")
    assert "v1.counts" in out
    assert {one.position for one in dualgauge.open(project).tail(once=True).views} == {ROWS}
    assert judged(project) == {}


def freeze_outside_the_ledger(project: Path, holder: Process) -> None:
    """Stop a tail where it has no transaction of the ledger open, which nobody else could write to else."""
    end, file = time.monotonic() + 30, project / ".dualgauge" / "ledger.db"
    while time.monotonic() < end:
        holder.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        with contextlib.closing(sqlite3.connect(file, timeout=0.2, isolation_level=None)) as ledger:
            try:
                ledger.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                holder.send_signal(signal.SIGCONT)
                time.sleep(0.05)
                continue
            ledger.execute("ROLLBACK")
            return
    pytest.fail("the tail was in the ledger all the time")


def test_one_that_is_frozen_past_its_lease_writes_nothing_more(project: Path, holder: Process) -> None:
    until = time.monotonic() + 30
    while positions(project) != {ROWS} and time.monotonic() < until:
        time.sleep(0.05)
    freeze_outside_the_ledger(project, holder)
    run_out(project)
    migration = dualgauge.open(project)
    with migration.appender() as log:
        log.append(events(some(ROWS + 60))[ROWS:])
    assert {one.position for one in migration.tail(once=True).views} == {ROWS + 60}
    holder.send_signal(signal.SIGCONT)
    with migration.appender() as log:
        log.append(events(some(ROWS + 90))[ROWS + 60 :])
    _, err = holder.communicate(timeout=60)

    assert holder.returncode == 1
    assert LeaseLost.__name__ in err
    assert positions(project) == {ROWS + 60}
    assert {one.position for one in migration.tail(once=True).views} == {ROWS + 90}
    assert judged(project) == {}


def test_a_lease_that_ran_out_is_taken_and_the_epochs_are_raised(project: Path) -> None:
    with handles_of(dualgauge.open(project)) as handles:
        store, now = handles.builds, dt.datetime.now(dt.UTC)
        before = {one.view: one.epoch for one in store.checkpoints(Side.V1)}
        first = store.take(Side.V1, "one", now, now + dt.timedelta(seconds=5))
        with pytest.raises(SideHeld, match=r"v1 is held by one until"):
            store.take(Side.V1, "two", now, now + dt.timedelta(seconds=5))
        later = now + dt.timedelta(seconds=5)
        second = store.take(Side.V1, "two", later, later + dt.timedelta(seconds=5))
        with pytest.raises(LeaseLost, match="v1 was taken over by two"):
            store.renew(first, later)

        assert second.epoch == first.epoch + 1
        assert {one.view: one.epoch for one in store.checkpoints(Side.V1)} == {
            name: at + 2 for name, at in before.items()
        }


def test_a_replay_under_a_tail_is_served_by_the_tail_once_both_are_at_one_position(
    project: Path, holder: Process
) -> None:
    migration = dualgauge.open(project)
    with handles_of(migration) as handles:
        old = handles.builds.served(Side.V1)
    migration.replay(force=True)
    until = time.monotonic() + 30
    with handles_of(migration) as handles:
        while set(handles.builds.served(Side.V1).values()) & set(old.values()) and time.monotonic() < until:
            time.sleep(0.05)
        new = handles.builds.served(Side.V1)

    assert holder.poll() is None
    assert all(new[name] > old[name] for name in old)
    assert judged(project) == {}


WRITES = """
import sys, time
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event

with dualgauge.open(sys.argv[1]).appender() as log:
    print("ready", flush=True)
    for number in range(100_000):
        fields = {"who": "ada", "n": number % 7}
        log.append([Event(f"w{number}", "in", datetime(2026, 1, 1, tzinfo=UTC), fields)])
        time.sleep(0.005)
"""


def test_a_diff_beside_a_tail_gets_both_sides_at_one_position(project: Path) -> None:
    """Asked again and again while events come: each time it is of one position, and nothing differs."""
    shutil.copytree(project / "views_v1", project / "views_v2", dirs_exist_ok=True)
    dualgauge.open(project).replay()
    (project / "comparators").mkdir(exist_ok=True)
    (project / "reports").mkdir(exist_ok=True)
    with run(WRITES, project) as writer, following(project) as tail:
        try:
            assert writer.stdout.readline() == "ready\n"
            found = [one for _ in range(2) for one in dualgauge.open(project).diff()]
            assert (writer.poll(), tail.poll()) == (None, None)
        finally:
            writer.kill()

    assert len(found) == 2 * len(KEPT)
    assert {one.comparison.verdict.value for one in found} == {"pass"}
    assert len({one.position for one in found}) > 1
    assert judged(project) == {}


def test_a_diff_beside_a_tail_that_is_late_is_of_the_logs_end(project: Path) -> None:
    """Both sides stand where they agree, and have events to come: what was found there would be no evidence."""
    shutil.copytree(project / "views_v1", project / "views_v2", dirs_exist_ok=True)
    (project / "comparators").mkdir(exist_ok=True)
    (project / "reports").mkdir(exist_ok=True)
    migration = dualgauge.open(project)
    migration.replay(to=100, force=True)
    with following(project, max_events_per_second=60):
        found = migration.diff()

    assert {one.position for one in found} == {ROWS}
    lags = {migration.evidence.show(one.run_id).line.run.summary["lag_seconds"] for one in found}
    assert lags == {0.0}


def test_a_side_is_held_no_longer_than_its_barrier_lasts(project: Path) -> None:
    migration = dualgauge.open(project)
    now = dt.datetime.now(dt.UTC)
    with handles_of(migration) as handles:
        barriers = handles.ledger.barriers_of("m")
        barriers.ask(Side.V1, "somebody", Position(150), now)
        barriers.ask(Side.V1, "another", Position(200), now)
        barriers.ask(Side.V1, "long ago", Position(120), now - dt.timedelta(seconds=11))
        barriers.ask(Side.V1, "for ever", Position(120), now + dt.timedelta(days=1))
    assert {one.position for one in migration.tail(once=True).views} == {150}
    with handles_of(migration) as handles:
        handles.ledger.barriers_of("m").release("somebody")
    assert {one.position for one in migration.tail(once=True).views} == {200}
    with handles_of(migration) as handles:
        handles.ledger.barriers_of("m").release("another")
    assert {one.position for one in migration.tail(once=True).views} == {ROWS}
    assert judged(project) == {}


def test_a_replay_that_a_tail_overtook_takes_nothing_back_from_readers(project: Path) -> None:
    """It began before a tail brought the old build further, and ends behind it: the next tail lets readers have it."""
    migration = dualgauge.open(project)
    with handles_of(migration) as handles:
        (counts,) = [one for one in handles.plans if one.view.name == "counts"]
        old = handles.builds.served(Side.V1)["counts"]
        relation, history = handles.log.relation(Position(230)), handles.log.ends(Position(230)).known_by(Position(230))
        view = counts.view
        with (
            handles.engine.bound("events", relation), answered(handles.engine, counts, counts.select(230)) as answer,
            handles.builds.load(build_of(counts), view.hash, view.text, Position(230), history) as loading,
        ):  # fmt: skip
            for batch in answer.batches("sqlite", 1000, skip=0):
                loading.append(batch)
            migration.tail(once=True)
            assert loading.finish() is None
        assert handles.builds.served(Side.V1)["counts"] == old
    assert judged(project) == {}
    migration.tail(once=True)
    with handles_of(migration) as handles:
        assert handles.builds.served(Side.V1)["counts"] == loading.build
    assert judged(project) == {}


def test_a_view_that_is_taken_from_readers_ends_no_tail(project: Path, holder: Process) -> None:
    (project / "views_v1" / "counts.sql").unlink()
    migration = dualgauge.open(project)
    migration.replay(prune=True)
    with migration.appender() as log:
        log.append(events(some(ROWS + 60))[ROWS:])
    until = time.monotonic() + 30
    while positions(project) != {ROWS + 60} and time.monotonic() < until:
        time.sleep(0.05)

    assert holder.poll() is None, holder.stderr.read()
    assert judged(project) == {}
