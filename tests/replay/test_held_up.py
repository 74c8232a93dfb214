"""A v2 whose database cannot be written, or that is far behind: v1 goes on, and v2 when it can."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.model import Side
from dualgauge.stores.sqlite.database import Databases
from support.forked import python
from support.harm import unwritable
from support.inside import handles_of
from support.shop import call, child
from support.tailed import VIEWS, come_to, events, following, judged, laid_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROWS = [{"type": ("in", "out")[at % 2], "who": "ada", "n": at % 5, "price": "1.50"} for at in range(6_000)]

ONCE = """
import sys
from dualgauge.__main__ import main
from dualgauge.replay import held_up
held_up.LONG = 1.5
sys.argv = ["dualgauge", "tail", "--once", "--project", sys.argv[1], "--format", "json"]
main()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    migration = laid_out(tmp_path, {"counts": VIEWS["counts"]})
    (tmp_path / "views_v2" / "counts.sql").write_text(VIEWS["counts"][1])
    append(tmp_path, 0, 20)
    migration.replay()
    return tmp_path


def append(root: Path, first: int, last: int) -> None:
    with dualgauge.open(root).appender() as log:
        log.append(events(ROWS[:last])[first:])


@contextlib.contextmanager
def locked(root: Path, side: Side) -> Iterator[None]:
    """Another process's transaction, which stays open."""
    file = root / ".dualgauge" / f"views_{side.value}.db"
    script = f"""
import sqlite3, sys
held = sqlite3.connect({str(file)!r}, isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
    with python(["-c", script], environment=dict(os.environ)) as child:
        try:
            assert child.stdout.readline() == "held\n"
            yield
        finally:
            child.kill()


def test_a_lock_on_v2_holds_v1_up_nowhere(project: Path) -> None:
    with following(project) as child:
        with locked(project, Side.V2):
            for last in (25, 30):
                append(project, last - 5, last)
                assert come_to(project, Side.V1, {"counts": last})
            assert come_to(project, Side.V2, {"counts": 20})
        append(project, 30, 40)
        assert come_to(project, Side.V2, {"counts": 40})
        assert come_to(project, Side.V1, {"counts": 40})
        assert child.poll() is None
    assert judged(project) == {}


def test_a_tail_that_begins_under_a_lock_on_v2_keeps_v1_at_once(project: Path) -> None:
    append(project, 20, 25)
    with locked(project, Side.V2):
        start = time.monotonic()
        with following(project) as child:
            assert come_to(project, Side.V1, {"counts": 25})
            assert time.monotonic() - start < 15
            assert child.poll() is None


def test_a_tail_that_ends_brings_v1_to_the_head_before_it_says_what_holds_v2(project: Path) -> None:
    append(project, 20, 25)
    with locked(project, Side.V2):
        child = python(["-c", ONCE, str(project)], environment=dict(os.environ))
        out, _ = child.communicate(timeout=60)
        holder = "has been held by another process's transaction"
    assert child.returncode == 5
    assert [(one["side"], one["position"]) for one in json.loads(out)["result"]["views"]] == [("v1", 25)]
    assert "views_v2.db" in out
    assert holder in out
    assert "what was under way wrote nothing" in out
    assert come_to(project, Side.V1, {"counts": 25})
    assert come_to(project, Side.V2, {"counts": 20})
    assert {one.position for one in dualgauge.open(project).tail(once=True).views} == {25}


def test_a_tail_that_is_told_to_end_says_what_holds_v2(project: Path) -> None:
    append(project, 20, 25)
    at_head = threading.Event()
    with locked(project, Side.V2):
        timer = threading.Timer(3, at_head.set)
        timer.start()
        done = dualgauge.open(project).tail(stop=at_head.is_set)

    assert list(done.held_up) == [Side.V2]
    assert "has been held by another process's transaction" in str(done.held_up[Side.V2])
    assert [(one.side, one.position) for one in done.views] == [(Side.V1, 25)]


def test_a_lock_on_v1_is_an_error_as_ever(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualgauge.stores.sqlite.store.Databases", partial(Databases, wait=0.5))
    append(project, 20, 25)
    with locked(project, Side.V1), pytest.raises(dualgauge.DualgaugeError, match=r"views_v1\.db has been held"):
        dualgauge.open(project).tail(once=True)


def test_a_v2_that_may_not_be_written_lets_v1_come_to_the_head(project: Path) -> None:
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text() + '\n[tool.dualgauge.store]\nurl = "sqlite:///stores/{side}/views.db"\n')
    dualgauge.open(project).replay()
    append(project, 20, 25)
    with unwritable(project / "stores" / "v2") as first:
        child = subprocess.run(
            [sys.executable, "-m", "dualgauge", "tail", "--once"], cwd=project, capture_output=True, text=True,
            check=False, preexec_fn=first,
        )  # fmt: skip
    assert child.returncode == 1
    assert "v2 was brought no further: " in child.stdout
    assert "stores/v2/views.db cannot be used: " in child.stdout
    with handles_of(dualgauge.open(project)) as handles:
        assert handles.builds.served_builds(Side.V1)["counts"].position == 25
    assert {one.position for one in dualgauge.open(project).tail(once=True).views} == {25}


def test_v1_does_not_wait_until_v2_has_caught_up(project: Path) -> None:
    migration = dualgauge.open(project)
    append(project, 20, 6_000)
    migration.replay(side=Side.V1)
    migration.views.set_throttle(1_000)
    with following(project):
        time.sleep(1)
        with migration.appender() as log:
            log.append(events([*ROWS, ROWS[0]])[6_000:])
        assert come_to(project, Side.V1, {"counts": 6_001})
        assert not at(project, Side.V2, 6_001)
        migration.views.set_throttle(None)
        assert come_to(project, Side.V2, {"counts": 6_001})
    assert judged(project) == {}


def at(root: Path, side: Side, position: int) -> bool:
    with contextlib.closing(sqlite3.connect(root / ".dualgauge" / f"views_{side.value}.db")) as connection:
        found: Any = connection.execute("SELECT max(position) FROM _dualgauge_checkpoint").fetchone()
    return found == (position,)


def v2_of(root: Path) -> Path:
    return root / ".dualgauge" / "views_v2.db"


def dropped(root: Path) -> None:
    with contextlib.closing(sqlite3.connect(v2_of(root), timeout=30)) as connection:
        connection.execute("DROP VIEW counts")
        [[name]] = connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'counts__b*' AND type = 'table'")
        connection.execute(f"DROP TABLE {name}")
        connection.commit()


def without_a_column(root: Path) -> None:
    with contextlib.closing(sqlite3.connect(v2_of(root), timeout=30)) as connection:
        [[name]] = connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'counts__b*' AND type = 'table'")
        connection.execute(f"ALTER TABLE {name} RENAME COLUMN _position TO gone")
        connection.commit()


def without_writer(root: Path) -> None:
    with contextlib.closing(sqlite3.connect(v2_of(root), timeout=30)) as connection:
        connection.execute("DROP TABLE IF EXISTS _dualgauge_writer")
        connection.commit()


def without_an_end(root: Path) -> None:
    with contextlib.closing(sqlite3.connect(v2_of(root), timeout=30)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS _dualgauge_writer (side, holder, epoch, lease_until)")
        connection.execute("DELETE FROM _dualgauge_writer")
        connection.execute("INSERT INTO _dualgauge_writer VALUES ('v2', 'x', 1, 'zz')")
        connection.commit()


def garbage(root: Path) -> None:
    remove_logs(root)
    v2_of(root).write_bytes(b"garbage!" * 2_000)


def removed(root: Path) -> None:
    v2_of(root).unlink()
    remove_logs(root)


def remove_logs(root: Path) -> None:
    for name in ("views_v2.db-wal", "views_v2.db-shm"):
        v2_of(root).with_name(name).unlink(missing_ok=True)


HARMS = [dropped, without_a_column, without_writer, without_an_end, garbage, removed]


@pytest.mark.parametrize("harm", HARMS)
def test_a_v2_that_is_damaged_lets_v1_come_to_the_head(project: Path, harm: Callable[[Path], None]) -> None:
    append(project, 20, 25)
    harm(project)
    done = child("tail", "--once", folder=project)
    assert "unexpected" not in done.out + done.err
    assert come_to(project, Side.V1, {"counts": 25})
    # A build that lacks a column is left, as one of an older dualgauge; the writer's table is made again; one that is
    # gone has no build.
    assert (
        done.exit_code
        == {dropped: 1, without_a_column: 0, without_writer: 0, without_an_end: 0, garbage: 2, removed: 0}[harm]
    )
    if harm is removed:
        assert "no view of v2 has a build" in done.out


@pytest.mark.parametrize("harm", HARMS)
def test_a_v2_that_is_damaged_under_a_tail_lets_v1_go_on(project: Path, harm: Callable[[Path], None]) -> None:
    with following(project) as tail:
        append(project, 20, 25)
        assert come_to(project, Side.V2, {"counts": 25})
        harm(project)
        for last in (30, 35):
            append(project, last - 5, last)
            assert come_to(project, Side.V1, {"counts": last})
        assert tail.poll() is None


def renamed(file: Path, backup: Path) -> None:
    for name in (f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).unlink(missing_ok=True)
    backup.replace(file)


def restored(file: Path, backup: Path) -> None:
    copied(backup, file)


def without_its_writer(file: Path, backup: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
        connection.execute("DELETE FROM _dualgauge_writer")
        connection.commit()


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(
    ("put_back", "old"),
    [(renamed, False), (renamed, True), (restored, False), (restored, True), (without_its_writer, False)],
)
def test_a_database_that_is_put_back_under_a_tail_is_gone_on_with(
    project: Path, side: Side, put_back: Callable[[Path, Path], None], *, old: bool
) -> None:
    """From a backup of before the tail, and of while it ran; in the place of the file, and into it."""
    file, backup = project / ".dualgauge" / f"views_{side.value}.db", project / "backup.db"
    if old:
        copied(file, backup)
    with following(project) as tail:
        append(project, 20, 25)
        assert come_to(project, side, {"counts": 25})
        if not old:
            copied(file, backup)
        append(project, 25, 30)
        assert come_to(project, side, {"counts": 30})
        put_back(file, backup)
        append(project, 30, 35)
        for one in Side:
            assert come_to(project, one, {"counts": 35})
        assert tail.poll() is None
    assert judged(project) == {}


def test_a_build_whose_checkpoint_is_lost_is_replaced_by_a_replay_beside_the_tail(project: Path) -> None:
    with following(project) as tail:
        append(project, 20, 25)
        assert come_to(project, Side.V2, {"counts": 25})
        with contextlib.closing(sqlite3.connect(v2_of(project), timeout=30)) as connection:
            connection.execute("DELETE FROM _dualgauge_checkpoint")
            connection.commit()
        dualgauge.open(project).replay(["v2.counts"], force=True)
        append(project, 25, 30)
        assert come_to(project, Side.V2, {"counts": 30})
        assert tail.poll() is None
    assert judged(project) == {}


FULL = (
    "-- key: who\n-- allow: full\nSELECT who, count(DISTINCT n) AS n FROM events WHERE who IS NOT NULL GROUP BY who\n"
)


@pytest.mark.parametrize("harm", [garbage, removed, dropped])
def test_a_view_that_a_tail_replays_on_v1_does_not_look_at_v2(project: Path, harm: Callable[[Path], None]) -> None:
    for side in Side:
        (project / f"views_{side.value}" / "full.sql").write_text(FULL)
    dualgauge.open(project).replay()
    with following(project) as tail:
        for harmed, last in ((False, 25), (True, 30), (True, 35)):
            append(project, last - 5, last)
            assert come_to(project, Side.V1, {"counts": last, "full": last})
            if not harmed:
                assert come_to(project, Side.V2, {"counts": last, "full": last})
                harm(project)
        assert tail.poll() is None


def copied(file: Path, backup: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(file)) as source,
        contextlib.closing(sqlite3.connect(backup, timeout=30)) as target,
    ):
        source.backup(target)


def test_status_says_which_side_a_tail_cannot_write(project: Path) -> None:
    with following(project, lease=3.0) as tail:
        append(project, 20, 25)
        assert come_to(project, Side.V2, {"counts": 25})
        with locked(project, Side.V2):
            append(project, 25, 30)
            assert come_to(project, Side.V1, {"counts": 30})
            # Once the lease has ended.
            until = time.monotonic() + 90
            while "v2 is brought no further" not in (said := call("status", folder=project).out):
                assert time.monotonic() < until
                time.sleep(0.2)
        assert f"process {tail.pid} on" in said
        assert "at the head in" not in said
        assert "dualgauge replay" not in said
        assert come_to(project, Side.V2, {"counts": 30})


def test_a_lock_on_one_side_is_not_said_to_be_on_both(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualgauge.stores.sqlite.store.Databases", partial(Databases, wait=0.5))
    with locked(project, Side.V2), pytest.raises(dualgauge.DualgaugeError) as told:
        dualgauge.open(project).replay(side=Side.V2, force=True)
    assert "views_v2.db has been held" in str(told.value)
    assert "views_v1.db" not in str(told.value)
