"""The pace of a tail: throttled, also while it runs; imports and commits beside it; what allows a rebuild."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.model import Position, Side
from dualgauge.replay.holding import Holding
from dualgauge.replay.pace import LARGEST_BATCH, SMALLEST_BATCH, Pace
from dualgauge.replay.tail import Tail
from dualgauge.stores.errors import LeaseLost
from support.inside import handles_of, log_of
from support.shop import call
from support.tailed import VIEWS, come_to, events, following, judged, laid_out, opened

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"type": ("in", "out")[at % 2], "who": "ada", "n": at % 5, "price": "1.50"} for at in range(3_000)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A view at position 20 of a log of 3,000 events."""
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    append(tmp_path, 0, 20)
    dualgauge.open(tmp_path).replay()
    append(tmp_path, 20, 3_000)
    return tmp_path


def append(root: Path, first: int, last: int) -> None:
    with dualgauge.open(root).appender() as log:
        log.append(events(ROWS)[first:last])


def position(root: Path) -> int:
    with handles_of(dualgauge.open(root)) as handles:
        return int(handles.builds.served_builds(Side.V1)["counts"].position or 0)


def done(pace: Pace, *transactions: float) -> None:
    """A batch whose transactions took so many seconds."""
    for seconds in transactions:
        pace.written(seconds)
    pace.batch_done(1)


def test_the_slowest_transaction_counts_and_only_in_its_own_batch() -> None:
    pace = Pace(size=1000)
    done(pace, 0.01, 1.0, 0.02)
    assert pace.batch == 500
    done(pace)
    assert pace.batch == 750


def test_batches_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    pace = Pace(size=1000)
    done(pace, 0.01)
    assert pace.batch == 1500
    done(pace, 1.0)
    assert pace.batch == 750
    for _ in range(30):
        done(pace, 1.0)
    assert pace.batch == SMALLEST_BATCH
    for _ in range(40):
        done(pace, 0.0)
    assert pace.batch == LARGEST_BATCH


@pytest.mark.parametrize(("limit", "batch"), [(None, 1000), (100_000, 1000), (400, 100), (3, 1), (1, 1)])
def test_a_throttled_batch_is_a_small_part_of_a_second(limit: int | None, batch: int) -> None:
    assert Pace(lambda: limit, size=1000).batch == batch


def test_after_a_slow_transaction_others_get_their_turn_and_stopping_waits_for_nothing() -> None:
    pace = Pace()
    pace.written(30.0)
    pace.batch_done(100)
    start = time.monotonic()
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 3

    pace.wait(stop)
    assert time.monotonic() - start < 1.0
    assert len(asked) == 3
    pace.wait(lambda: False)
    assert time.monotonic() - start > 0.9


def test_a_tail_goes_no_faster_than_it_may(project: Path) -> None:
    start = time.monotonic()
    (one,) = dualgauge.open(project).tail(once=True, max_events_per_second=1_500).views
    took = time.monotonic() - start

    assert (one.position, one.error) == (3_000, "")
    # 2,980 events, of which the first quarter of a second's may come at once.
    assert took > 2_980 / 1_500 - 0.3
    assert judged(project) == {}


def test_one_that_runs_is_throttled_and_let_go_again(project: Path) -> None:
    assert call("throttle", "40", folder=project).out == "tails read at most 40 events a second\n"
    with following(project):
        until = time.monotonic() + 30
        while (slow := position(project)) == 20 and time.monotonic() < until:
            time.sleep(0.05)
        said = call("throttle", "--off", folder=project)
        assert (said.exit_code, said.out) == (0, "not throttled\n")
        assert come_to(project, Side.V1, {"counts": 3_000})

    assert 20 < slow < 1_000
    assert judged(project) == {}


def test_the_throttle_stands_above_the_tails_own_limit_and_is_said(project: Path) -> None:
    assert call("throttle", folder=project).out == "not throttled\n"
    assert call("throttle", "1_000_000", folder=project).exit_code == 0
    assert call("throttle", "--format", "json", folder=project).json["result"] == {"events_per_second": 1_000_000}
    start = time.monotonic()
    dualgauge.open(project).tail(once=True, max_events_per_second=50)
    assert time.monotonic() - start < 30
    assert position(project) == 3_000


@pytest.mark.parametrize("given", [["0"], ["-1"], ["x"], ["5", "--off"]])
def test_a_throttle_that_is_none_is_refused(project: Path, given: list[str]) -> None:
    assert call("throttle", *given, folder=project).exit_code == 2
    assert call("throttle", folder=project).out == "not throttled\n"


def test_looking_at_the_throttle_makes_no_ledger(tmp_path: Path) -> None:
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    assert call("throttle", folder=tmp_path).out == "not throttled\n"
    assert not (tmp_path / ".dualgauge").exists()


SOURCE = '[[tool.dualgauge.sources]]\nname = "s"\npath = "s*.csv"\nevent_id = "id"\ntype = "kind"\noccurred_at = "at"\n'


def lines(first: int, last: int) -> str:
    return "".join(f"{number},in,2026-01-01,{number % 7}\n" for number in range(first, last))


def imported(root: Path) -> None:
    """A view at position 1, of a log that comes from a file which may grow."""
    laid_out(root, {"counts": VIEWS["counts"]})
    with (root / "pyproject.toml").open("a") as settings:
        settings.write(SOURCE)
    (root / "s.csv").write_text("id,kind,at,n\n" + lines(0, 1))
    assert call("log", "import", "s", folder=root).exit_code == 0
    assert call("replay", folder=root).exit_code == 0


def test_imports_beside_a_tail_are_as_far_apart_as_is_asked(tmp_path: Path) -> None:
    imported(tmp_path)
    start = time.monotonic()
    with following(tmp_path, import_every=1.0):
        for number in range(1, 30):
            with (tmp_path / "s.csv").open("a") as file:
                file.write(lines(number, number + 1))
            time.sleep(0.1)
        assert come_to(tmp_path, Side.V1, {"counts": 30})
        took = time.monotonic() - start
    files = len(log_of(dualgauge.open(tmp_path)).event_files())

    assert 2 <= files <= 2 + took
    assert judged(tmp_path) == {}


@pytest.mark.parametrize("gone", [".dualgauge", ".dualgauge/log", ".dualgauge/ledger.db"])
def test_a_tail_that_imports_begins_no_log_and_no_ledger_where_they_were_moved_away(tmp_path: Path, gone: str) -> None:
    imported(tmp_path)
    with following(tmp_path, import_every=0.2) as child:
        (tmp_path / gone).rename(tmp_path / "away")
        with (tmp_path / "s.csv").open("a") as file:
            file.write(lines(1, 2))
        _, said = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "is there no more" in said or "there is no ledger" in said
    assert not (tmp_path / gone).exists()
    (tmp_path / "away").rename(tmp_path / gone)
    assert [one.position for one in dualgauge.open(tmp_path).tail(once=True, import_every=1.0).views] == [2]
    assert judged(tmp_path) == {}


def test_many_small_files_of_the_log_are_merged_beside_a_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported(tmp_path)
    append(tmp_path, 0, 1)
    append(tmp_path, 1, 2)
    monkeypatch.setattr("dualgauge.commands.tailing.MANY_FILES", 3)
    assert [one.position for one in dualgauge.open(tmp_path).tail(once=True, import_every=1.0).views] == [3]
    assert len(log_of(dualgauge.open(tmp_path)).event_files()) == 3
    append(tmp_path, 2, 3)
    assert [one.position for one in dualgauge.open(tmp_path).tail(once=True, import_every=1.0).views] == [4]
    assert len(log_of(dualgauge.open(tmp_path)).event_files()) == 1
    assert judged(tmp_path) == {}
    assert call("log", "verify", folder=tmp_path).exit_code == 0


MEDIANS = "-- key: type\n{}SELECT type, median(n) AS middle FROM events GROUP BY type\n"


def rebuilt(root: Path, allow: str = "-- allow: full\n") -> Path:
    """A project with a view that a tail keeps and one that only a replay can, at position 20 of 40."""
    laid_out(root, {"counts": VIEWS["counts"], "medians": ("replay", MEDIANS.format(allow))})
    append(root, 0, 20)
    dualgauge.open(root).replay()
    append(root, 20, 40)
    return root


def test_a_view_that_allows_it_is_replayed_at_the_end_of_a_round(tmp_path: Path) -> None:
    project = rebuilt(tmp_path)
    done = {one.view: one for one in dualgauge.open(project).tail(once=True).views}

    assert {name: (one.begun, one.position, one.left, one.error) for name, one in done.items()} == {
        "counts": (20, 40, "", ""), "medians": (20, 40, "", ""),
    }  # fmt: skip
    assert done["medians"].rows == 2
    assert judged(project) == {}


def test_one_that_does_not_is_left_where_it_is(tmp_path: Path) -> None:
    project = rebuilt(tmp_path, "")
    (left,) = [one for one in dualgauge.open(project).tail(once=True).views if one.left]

    assert (left.view, left.position, left.by_plan) == ("medians", 20, True)


def test_a_tail_goes_on_rebuilding_it_and_alone_it_is_enough_to_go_on_for(tmp_path: Path) -> None:
    project = rebuilt(tmp_path)
    (project / "views_v1" / "counts.sql").unlink()
    dualgauge.open(project).replay(prune=True)
    with following(project) as child:
        append(project, 40, 50)
        assert come_to(project, Side.V1, {"medians": 50})
        append(project, 50, 60)
        assert come_to(project, Side.V1, {"medians": 60})
        assert child.poll() is None
    assert judged(project) == {}


def test_one_that_fails_stops_with_its_error_and_the_others_go_on(tmp_path: Path) -> None:
    project = rebuilt(tmp_path, "-- allow: full\n")
    text = MEDIANS.format("-- allow: full\n").replace("median(n)", "median(CAST(note AS BIGINT))")
    (project / "views_v1" / "medians.sql").write_text(text)
    dualgauge.open(project).replay()
    with dualgauge.open(project).appender() as log:
        log.append(events([*ROWS[:40], {"note": "x"}])[40:])
    said = call("tail", "--once", folder=project)

    assert said.exit_code == 1
    assert "v1.medians: its SELECT cannot be computed" in " ".join(said.out.split())
    with handles_of(dualgauge.open(project)) as handles:
        served = handles.builds.served_builds(Side.V1)
    assert {name: one.position for name, one in served.items()} == {"counts": 41, "medians": 40}


def test_with_another_table_schema_it_waits_for_a_replay(tmp_path: Path) -> None:
    project = rebuilt(tmp_path)
    (project / "views_v1" / "medians.sql").write_text(MEDIANS.format("").replace("middle", "another"))
    assert call("migrate", "revision", folder=project).exit_code == 0
    assert call("migrate", "upgrade", folder=project).exit_code == 0
    (left,) = [one for one in dualgauge.open(project).tail(once=True).views if one.left]

    assert left.left == "the table schema of its view was changed since it was built: replay it"
    dualgauge.open(project).replay()
    (project / "views_v1" / "medians.sql").write_text(MEDIANS.format("-- allow: full\n"))
    dualgauge.open(project).replay()
    append(project, 40, 50)
    assert {one.position for one in dualgauge.open(project).tail(once=True).views} == {50}


def test_its_time_is_no_more_than_a_part_and_a_diff_gets_it_at_once(tmp_path: Path) -> None:
    """Until it is due it stays where it is, however often events come; `now`, and a barrier, ask for it at once."""
    with opened(tmp_path, ROWS[:60], {"medians": ("replay", MEDIANS.format("-- allow: full\n"))}) as project:
        project.replay(20)
        now = dt.datetime.now(dt.UTC)
        leases = {Side.V1: project.handles.builds.take(Side.V1, "me", now, now + dt.timedelta(seconds=60))}
        plans = {one.view.name: one for one in project.handles.plans}
        held: dict[Side, Position] = {}
        with Tail(
            project.handles.engine, project.handles.log, project.handles.builds, leases,
            lambda _, one: plans[one.view], held=lambda: held,
        ) as tail:  # fmt: skip
            tail.rebuild(Position(30), now=False)
            assert [one.position for one in tail.done] == [30]
            tail._due = {key: time.monotonic() + 60 for key in tail._due}
            tail.rebuild(Position(40), now=False)
            assert [one.position for one in tail.done] == [30]
            held[Side.V1] = Position(35)
            tail.rebuild(Position(40), now=False)
            assert [one.position for one in tail.done] == [35]
            held.clear()
            tail.rebuild(Position(60), now=True)
            assert [(one.begun, one.position) for one in tail.done] == [(20, 60)]
        assert project.wrong(60, ["medians"]) == []


def test_a_lease_is_renewed_while_something_long_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = rebuilt(tmp_path)
    monkeypatch.setattr("dualgauge.replay.holding._LOOK", 0.05)
    monkeypatch.setattr("dualgauge.replay.holding.LEASE", dt.timedelta(seconds=2))
    with handles_of(dualgauge.open(project)) as handles, Holding(handles.builds, "me") as holding:
        holding.take()
        before = holding.leases[Side.V1]
        with holding.renewed():
            time.sleep(2.5)
        lease = handles.builds.writer(Side.V1)
        assert lease is not None
        assert (lease.epoch, lease.holder) == (before.epoch, before.holder)
        assert lease.until > before.until + dt.timedelta(seconds=1)
        later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
        handles.builds.take(Side.V1, "another", later, later + dt.timedelta(seconds=5))
        with pytest.raises(LeaseLost), holding.renewed():
            time.sleep(2.5)
