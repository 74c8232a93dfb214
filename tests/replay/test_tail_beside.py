"""A tail beside everything else that a project does: replays, edits, a log that is put back."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.model import Position, Side, holder_name
from support.inside import handles_of
from support.tailed import VIEWS, come_to, events, following, judged, laid_out, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.forked import Process

ROWS = [{"type": ("in", "out")[at % 2], "who": "ada", "n": at % 5, "price": "1.50"} for at in range(60)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    migration = laid_out(tmp_path, {"counts": VIEWS["counts"]})
    append(tmp_path, 0, 20)
    migration.replay()
    return tmp_path


@pytest.fixture
def follower(project: Path) -> Iterator[Process]:
    with following(project) as child:
        yield child


def append(root: Path, first: int, last: int, rows: list[dict[str, Any]] | None = None) -> None:
    with dualgauge.open(root).appender() as log:
        log.append(events(rows or ROWS)[first:last])


def test_a_new_view_is_served_at_once_and_kept(project: Path, follower: Process) -> None:
    (project / "views_v1" / "sums.sql").write_text(VIEWS["sums"][1])
    dualgauge.open(project).replay()
    append(project, 20, 25)

    assert come_to(project, Side.V1, {"counts": 25, "sums": 25})
    assert follower.poll() is None
    assert judged(project) == {}


def test_a_side_that_gets_its_first_build_is_kept_too(project: Path, follower: Process) -> None:
    (project / "views_v2" / "sums.sql").write_text(VIEWS["sums"][1])
    dualgauge.open(project).replay(side=Side.V2)
    append(project, 20, 25)

    assert come_to(project, Side.V2, {"sums": 25})
    assert follower.poll() is None


@pytest.mark.parametrize("rounds", [3])
def test_replays_beside_events_end_no_tail_and_all_are_served(project: Path, follower: Process, rounds: int) -> None:
    for at in range(rounds):
        append(project, 20 + 5 * at, 25 + 5 * at)
        dualgauge.open(project).replay(force=True)

    assert come_to(project, Side.V1, {"counts": 20 + 5 * rounds})
    append(project, 20 + 5 * rounds, 40)
    assert come_to(project, Side.V1, {"counts": 40})
    assert follower.poll() is None
    assert judged(project) == {}


def test_a_view_that_no_tail_keeps_any_more_is_served_as_its_replay_left_it(project: Path, follower: Process) -> None:
    append(project, 20, 25)
    assert come_to(project, Side.V1, {"counts": 25})
    (project / "views_v1" / "counts.sql").write_text(VIEWS["medians"][1])
    with handles_of(dualgauge.open(project)) as handles:
        old = handles.builds.served(Side.V1)
    dualgauge.open(project).replay()
    append(project, 25, 30)
    until = time.monotonic() + 30
    with handles_of(dualgauge.open(project)) as handles:
        while handles.builds.served(Side.V1) == old and time.monotonic() < until:
            time.sleep(0.05)

    assert come_to(project, Side.V1, {"counts": 25})
    assert follower.poll() is None
    assert judged(project) == {}


def test_a_view_file_that_is_being_written_ends_no_tail(project: Path, follower: Process) -> None:
    before = (project / "views_v1" / "counts.sql").read_text()
    (project / "views_v1" / "counts.sql").write_text("-- key: ty")
    append(project, 20, 25)
    time.sleep(1.5)
    append(project, 25, 30)
    time.sleep(1.5)
    (project / "views_v1" / "counts.sql").write_text(before)

    assert come_to(project, Side.V1, {"counts": 30})
    assert follower.poll() is None


def test_a_build_whose_text_binds_no_longer_is_left_and_the_others_go_on(project: Path) -> None:
    (project / "views_v1" / "truths.sql").write_text(VIEWS["truths"][1])
    (project / "views_v1" / "bits.sql").write_text(VIEWS["bits"][1])
    (project / "views_v1" / "counts.sql").unlink()
    dualgauge.open(project).replay(prune=True)
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace('flag = "BOOLEAN"\n', ""))
    (project / "views_v1" / "truths.sql").write_text(VIEWS["sums"][1])
    append(project, 20, 25)
    done = {one.view: one for one in dualgauge.open(project).tail(once=True).views}

    assert (done["bits"].position, done["bits"].left) == (25, "")
    assert done["truths"].position == 20
    assert "flag" in done["truths"].left


def test_a_build_of_no_event_is_kept(tmp_path: Path) -> None:
    migration = laid_out(tmp_path, {name: VIEWS[name] for name in ("counts", "one_row", "each")})
    with migration.appender():
        pass
    migration.replay()
    append(tmp_path, 0, 20)

    assert {one.position for one in migration.tail(once=True).views} == {20}
    assert judged(tmp_path) == {}


def test_a_replay_after_a_killed_tail_waits_for_nobody(project: Path, follower: Process) -> None:
    follower.kill()
    follower.wait()
    append(project, 20, 25)
    dualgauge.open(project).replay()

    assert come_to(project, Side.V1, {"counts": 25})
    assert {one.position for one in dualgauge.open(project).tail(once=True).views} == {25}


def test_a_holder_that_is_gone_holds_nothing_and_one_of_another_machine_does(project: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    with handles_of(dualgauge.open(project)) as handles:
        mine = holder_name("ada")
        lease = handles.builds.take(Side.V1, mine, now, now + dt.timedelta(seconds=30))
        assert lease.holds(now)
        assert not lease.holds(now + dt.timedelta(seconds=31))
        gone = mine.replace(f"process {os.getpid()} ", "process 4194304 ")
        lease = handles.builds.take(Side.V1, mine, now, now)
        lease = handles.builds.take(Side.V1, gone, now, now + dt.timedelta(seconds=30))
        assert not lease.holds(now)
        away = gone.replace(" on ", " on another-")
        lease = handles.builds.take(Side.V1, away, now, now + dt.timedelta(seconds=30))
        assert lease.holds(now)


def test_a_new_build_that_fails_on_the_way_to_the_old_one_is_not_served(project: Path, follower: Process) -> None:
    with dualgauge.open(project).appender() as log:
        log.append(events([*ROWS[:20], {"note": "x"}, {"note": "5"}])[20:])
    assert come_to(project, Side.V1, {"counts": 22})
    with handles_of(dualgauge.open(project)) as handles:
        old = handles.builds.served(Side.V1)
    file = project / "views_v1" / "counts.sql"
    before = file.read_text()
    file.write_text("-- key: type\nSELECT type, sum(CAST(note AS BIGINT)) AS b FROM events GROUP BY type\n")
    dualgauge.open(project).replay(to=20)
    file.write_text(before)
    append(project, 22, 30)

    assert come_to(project, Side.V1, {"counts": 30})
    time.sleep(1)
    with handles_of(dualgauge.open(project)) as handles:
        assert handles.builds.served(Side.V1) == old
    assert follower.poll() is None
    assert judged(project) == {}


OTHERS = [{"type": "out", "who": "bob", "n": 7} for _ in range(60)]


def put_back(root: Path, first: int, last: int, before: Path) -> None:
    """The log of a backup, on which other events were appended since."""
    # What the ledger says of the log is put back with it.
    (root / ".dualgauge" / "ledger.db").unlink(missing_ok=True)
    shutil.rmtree(root / ".dualgauge" / "log")
    shutil.copytree(before, root / ".dualgauge" / "log")
    with dualgauge.open(root).appender() as log:
        log.append(events([*ROWS[:first], *OTHERS[first:last]])[first:last])


def test_a_log_that_is_put_back_under_a_tail_is_not_added_to_what_was_there(project: Path, follower: Process) -> None:
    shutil.copytree(project / ".dualgauge" / "log", project / "backup")
    append(project, 20, 30)
    assert come_to(project, Side.V1, {"counts": 30})
    follower.send_signal(signal.SIGSTOP)
    put_back(project, 20, 40, project / "backup")
    follower.send_signal(signal.SIGCONT)
    time.sleep(3)

    with handles_of(dualgauge.open(project)) as handles:
        assert handles.builds.served_builds(Side.V1)["counts"].position == 30
    dualgauge.open(project).replay()
    assert come_to(project, Side.V1, {"counts": 40})
    assert judged(project) == {}


def test_a_log_that_is_put_back_within_a_commit_is_known_for_another(tmp_path: Path) -> None:
    with opened(tmp_path, ROWS[:20], {"counts": VIEWS["counts"]}) as project:
        project.replay(20)
        shutil.copytree(tmp_path / ".dualgauge" / "log", tmp_path / "backup")
        append(tmp_path, 20, 60)
        project.handles.log.refresh()
        project.tail(40)
        assert project.wrong(40, ["counts"]) == []
    with handles_of(dualgauge.open(tmp_path)) as handles:
        (one,) = handles.builds.served_builds(Side.V1).values()
        assert one.position == 40
        assert handles.log.had(one.history, Position(40))
    put_back(tmp_path, 20, 60, tmp_path / "backup")
    (left,) = dualgauge.open(tmp_path).tail(once=True).views

    assert left.position == 40
    assert "another history" in left.left


@pytest.mark.parametrize("at", ["infinity", None])
def test_a_key_that_comes_to_be_null_stops_its_view(tmp_path: Path, at: str | None) -> None:
    text = "-- key: y\nSELECT year(TRY_CAST(note AS DATE)) AS y, count(*) AS c FROM events WHERE {} GROUP BY y\n"
    view = text.format("year(TRY_CAST(note AS DATE)) > 0 OR note = 'infinity'" if at is None else "note IS NOT NULL")
    rows = [{"note": "2026-01-01"}, {"note": "2027-01-01"}, {"note": "infinity"}]
    migration = laid_out(tmp_path, {"years": ("merge", view.replace("TRY_CAST(note AS DATE)", "CAST(note AS DATE)"))})
    append(tmp_path, 0, 2, rows)
    migration.replay()
    append(tmp_path, 2, 3, rows)
    (one,) = migration.tail(once=True).views

    assert one.position == 2
    assert one.left or "has a NULL in its key (y)" in one.error
    assert judged(tmp_path) == {}
