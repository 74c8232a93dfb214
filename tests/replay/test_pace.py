"""The pace of a tail: throttled, also while it runs; imports and commits beside it; what allows a rebuild."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.model import Side
from dualgauge.replay.pace import LARGEST_BATCH, SMALLEST_BATCH, Pace
from support.inside import handles_of, log_of
from support.shop import call
from support.tailed import VIEWS, come_to, events, following, judged, laid_out

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


def test_batches_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    pace = Pace(size=1000)
    pace.took(1000, 0.01)
    assert pace.batch == 1500
    pace.took(1500, 1.0)
    assert pace.batch == 750
    for _ in range(30):
        pace.took(1, 1.0)
    assert pace.batch == SMALLEST_BATCH
    for _ in range(40):
        pace.took(1, 0.0)
    assert pace.batch == LARGEST_BATCH


@pytest.mark.parametrize(("limit", "batch"), [(None, 1000), (100_000, 1000), (400, 100), (3, 1), (1, 1)])
def test_a_throttled_batch_is_a_small_part_of_a_second(limit: int | None, batch: int) -> None:
    assert Pace(lambda: limit, size=1000).batch == batch


def test_after_a_slow_transaction_others_get_their_turn_and_stopping_waits_for_nothing() -> None:
    pace = Pace()
    pace.took(100, 30.0)
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


def test_imports_beside_a_tail_are_as_far_apart_as_is_asked(tmp_path: Path) -> None:
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    with (tmp_path / "pyproject.toml").open("a") as settings:
        settings.write(SOURCE)
    (tmp_path / "s.csv").write_text("id,kind,at,n\n" + lines(0, 1))
    assert call("log", "import", "s", folder=tmp_path).exit_code == 0
    assert call("replay", folder=tmp_path).exit_code == 0
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


def test_many_small_files_of_the_log_are_merged_beside_a_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    with (tmp_path / "pyproject.toml").open("a") as settings:
        settings.write(SOURCE)
    (tmp_path / "s.csv").write_text("id,kind,at,n\n" + lines(0, 1))
    call("log", "import", "s", folder=tmp_path)
    call("replay", folder=tmp_path)
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
