"""Replays to a position, builds that are kept, and going back to the build before."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.model import Side
from dualgauge.replay.errors import CannotUndo, NoSuchPosition, NothingToUndo
from dualgauge.stores.errors import SideHeld
from support.inside import handles_of
from support.shop import call
from support.tailed import VIEWS, come_to, events, following, judged, laid_out

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"type": ("in", "out")[at % 2], "who": "ada", "n": at % 5, "price": "1.50"} for at in range(60)]
OTHER = "-- key: type\nSELECT type, max(n) AS most, count(*) AS counted FROM events GROUP BY type\n"
MEDIANS = "-- key: type\nSELECT type, median(n) AS middle FROM events GROUP BY type\n"


def append(root: Path, first: int, last: int) -> None:
    with dualgauge.open(root).appender() as log:
        log.append(events(ROWS)[first:last])


def file(root: Path) -> Path:
    return root / "views_v1" / "counts.sql"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Its view is at position 20, and had another text before."""
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    append(tmp_path, 0, 20)
    dualgauge.open(tmp_path).replay()
    return tmp_path


def builds(root: Path) -> dict[int, tuple[int | None, bool]]:
    """Each build with its position, and whether readers get it."""
    with handles_of(dualgauge.open(root)) as handles:
        served = handles.builds.served(Side.V1)["counts"]
        return {one.build: (one.position, one.build == served) for one in handles.builds.checkpoints(Side.V1)}


def test_a_replay_to_a_position_gives_what_the_log_was_then(project: Path) -> None:
    append(project, 20, 60)
    (one,) = dualgauge.open(project).replay(to=33).views
    assert (one.position, one.skipped) == (33, False)
    assert judged(project) == {}
    # It is known for one of this log although no commit ends there: the next replay there has nothing to do.
    assert dualgauge.open(project).replay(to=33).views[0].skipped
    assert [one.position for one in dualgauge.open(project).tail(once=True).views] == [60]
    assert judged(project) == {}


@pytest.mark.parametrize("to", [0, 21, -1])
def test_a_position_that_the_log_does_not_have_is_refused(project: Path, to: int) -> None:
    with pytest.raises(NoSuchPosition, match=f"no position {to}: it ends at 20"):
        dualgauge.open(project).replay(to=to)


def test_an_undone_rebuild_gives_the_build_before_at_the_head(project: Path) -> None:
    before = file(project).read_text()
    file(project).write_text(OTHER)
    dualgauge.open(project).replay()
    append(project, 20, 31)
    said = call("replay", "--undo", folder=project)

    assert said.exit_code == 0, said.err
    assert builds(project) == {1: (31, True), 2: (20, False)}
    file(project).write_text(before)
    assert judged(project) == {}
    # A tail goes on with what readers get, and takes the other one for no new replay.
    append(project, 31, 40)
    assert [(one.build, one.position) for one in dualgauge.open(project).tail(once=True).views] == [(1, 40)]
    assert builds(project) == {1: (40, True), 2: (20, False)}

    again = call("replay", "--undo", "--format", "json", folder=project)
    assert again.json["result"]["undone"] == [
        {"side": "v1", "view": "counts", "build": 2, "instead_of": 1, "position": 40}
    ]
    file(project).write_text(OTHER)
    assert judged(project) == {}


def test_of_a_view_that_no_tail_keeps_the_text_before_is_replayed(project: Path) -> None:
    text = MEDIANS.replace("middle", "counted")
    file(project).write_text(text)
    dualgauge.open(project).replay()
    file(project).write_text(text.replace("median(n)", "quantile_cont(n, 0.25)"))
    dualgauge.open(project).replay()
    append(project, 20, 31)
    (one,) = dualgauge.open(project).views.undo(["counts"])

    assert (one.build, one.instead_of, one.position) == (4, 3, 31)
    file(project).write_text(text)
    assert judged(project) == {}


def test_where_its_table_schema_is_another_one_it_is_refused_and_readers_keep_theirs(project: Path) -> None:
    file(project).write_text(MEDIANS)
    dualgauge.open(project).replay()
    file(project).write_text(MEDIANS.replace("middle", "another"))
    dualgauge.open(project).replay()
    append(project, 20, 31)
    with pytest.raises(CannotUndo, match="the table schema of the view was changed since; readers keep"):
        dualgauge.open(project).views.undo()
    assert builds(project) == {2: (20, False), 3: (20, True)}
    assert judged(project) == {}


def test_one_that_fails_on_an_event_since_is_refused_and_readers_keep_theirs(project: Path) -> None:
    file(project).write_text("-- key: type\nSELECT type, sum(CAST(note AS BIGINT)) AS c FROM events GROUP BY type\n")
    dualgauge.open(project).replay()
    file(project).write_text(OTHER)
    dualgauge.open(project).replay()
    with dualgauge.open(project).appender() as log:
        log.append(events([*ROWS[:20], {"note": "x"}])[20:])
    with pytest.raises(CannotUndo, match=r"build 2 of v1\.counts, which readers had before, cannot be brought"):
        dualgauge.open(project).views.undo()
    assert builds(project)[3] == (20, True)


def test_without_a_build_before_there_is_nothing_to_undo(project: Path) -> None:
    said = call("replay", "--undo", folder=project)
    assert said.exit_code == 5
    assert "no view has a build before the one that readers get" in said.err
    with pytest.raises(NothingToUndo, match=r"v1\.counts has no build before the one that readers get"):
        dualgauge.open(project).views.undo(["v1.counts"])


@pytest.mark.parametrize("option", ["--force", "--prune", "--dry-run", "--to=3", "--keep=1"])
def test_undo_is_refused_beside_what_means_nothing_there(project: Path, option: str) -> None:
    said = call("replay", "--undo", option, folder=project)
    assert said.exit_code == 2
    assert option.split("=", maxsplit=1)[0] in said.err
    assert builds(project) == {1: (20, True)}


def test_a_side_that_a_tail_holds_is_not_taken_from_it(project: Path) -> None:
    dualgauge.open(project).replay(force=True)
    with following(project) as child:
        with pytest.raises(SideHeld, match=f"process {child.pid} "):
            dualgauge.open(project).views.undo()
        append(project, 20, 25)
        assert come_to(project, Side.V1, {"counts": 25})


def test_a_build_is_kept_as_long_as_it_is_asked_for_and_no_longer(project: Path) -> None:
    dualgauge.open(project).replay(force=True, keep=dt.timedelta(hours=5))
    dualgauge.open(project).replay(force=True)
    dualgauge.open(project).replay(force=True)
    # The first for its five hours, the third for it was the last before.
    assert sorted(builds(project)) == [1, 3, 4]
    with handles_of(dualgauge.open(project)) as handles:
        store, now = handles.builds, dt.datetime.now(dt.UTC)
        lease = store.take(Side.V1, "later", now, now + dt.timedelta(seconds=5))
        (kept,) = [one.kept for one in store.checkpoints(Side.V1) if one.build == 1]
        assert now + dt.timedelta(hours=4) < dt.datetime.fromisoformat(str(kept)) < now + dt.timedelta(hours=6)
        store.serve("counts", 4, lease, now + dt.timedelta(hours=6))
    assert sorted(builds(project)) == [4]


def test_a_build_that_was_kept_is_nobodys_new_replay(project: Path) -> None:
    dualgauge.open(project).replay(force=True, keep=dt.timedelta(hours=5))
    append(project, 20, 30)
    assert [(one.build, one.position) for one in dualgauge.open(project).tail(once=True).views] == [(2, 30)]
    assert builds(project) == {1: (20, False), 2: (30, True)}


def test_builds_of_an_older_store_are_read_and_kept(project: Path) -> None:
    """A side whose checkpoints have no such columns is only looked at, until the next replay or tail gives it them."""
    import contextlib
    import sqlite3

    database = project / ".dualgauge" / "views_v1.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for column in ("keeps", "kept"):
            connection.execute(f"ALTER TABLE _dualgauge_checkpoint DROP COLUMN {column}")
    copy = shutil.copy(database, project / "copy.db")
    assert builds(project) == {1: (20, True)}
    assert copy.read_bytes() == database.read_bytes()
    append(project, 20, 30)
    assert [one.position for one in dualgauge.open(project).tail(once=True).views] == [30]
    dualgauge.open(project).replay(force=True)
    assert sorted(builds(project)) == [1, 2]
