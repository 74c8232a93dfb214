"""How late the newest events are: exactly, and without reading what is before them."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dualgauge.cli.log.lateness import late_line
from dualgauge.cli.terminal.times import duration
from dualgauge.engines.duck import open_engine
from dualgauge.eventlog.errors import DamagedLog
from dualgauge.eventlog.settings import LogSettings
from dualgauge.eventlog.table import lateness as lateness_of
from dualgauge.eventlog.table.lateness import WINDOW, Lateness
from dualgauge.eventlog.table.open import open_log
from support.log_project import NOW, LogProject, csv
from support.shop import add_order, build, call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.eventlog.table.event_log import EventLog

START = datetime(2020, 1, 1, tzinfo=UTC)


def log_of(folder: Path, commits: Sequence[Sequence[int]]) -> EventLog:
    """A log whose events occurred so many microseconds after the start, a commit each."""
    log = open_log(folder / "log", LogSettings())
    log.create()
    for commit in filter(None, commits):
        last = log.head().last
        times = pa.array([START + timedelta(microseconds=one) for one in commit], pa.timestamp("us", tz="UTC"))
        ids = [f"e{last + i}" for i in range(1, len(commit) + 1)]
        table = pa.table({
            "position": range(last + 1, last + 1 + len(commit)), "event_id": ids, "type": ids, "occurred_at": times,
            "recorded_at": pa.array([NOW] * len(commit), pa.timestamp("us", tz="UTC")),
            "payload": pa.nulls(len(commit), pa.string()),
        })  # fmt: skip
        staged = log.staging(f"here-1-{last:032x}-part.parquet")
        pq.write_table(table, staged, row_group_size=2)
        log.commit(staged, log.head(), len(commit), {})
    return log


def lateness(log: EventLog, window: int = WINDOW) -> Lateness:
    with open_engine() as engine:
        return lateness_of.lateness(engine, log, window)


def naive(times: list[int], window: int) -> Lateness:
    start = max(0, len(times) - window)
    behind = sorted(max(times[:i]) - times[i] for i in range(start, len(times)) if i and times[i] < max(times[:i]))
    if not behind:
        return Lateness(len(times) - start, 0, None, None, None)
    p50, p99 = (behind[-(-len(behind) * share // 100) - 1] / 1e6 for share in (50, 99))
    return Lateness(len(times) - start, len(behind), p50, p99, behind[-1] / 1e6)


@settings(max_examples=25)
@given(
    commits=st.lists(st.lists(st.integers(0, 3_000), max_size=7), max_size=4),
    window=st.integers(1, 12),
)
@example(commits=[[1_999], [1_500], [1_998, 1_000]], window=2)
@example(commits=[[5], [1, 9, 2], [3]], window=2)
def test_late_events_are_those_that_a_walk_through_the_log_finds(commits: list[list[int]], window: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = log_of(Path(folder), commits)

        assert lateness(log, window) == naive([one for commit in commits for one in commit], window)


def test_what_is_before_the_window_is_not_read_where_statistics_say_enough(tmp_path: Path) -> None:
    log = log_of(tmp_path, [[10_000, 20_000], [90_000, 1_000], [50_000], [60_000, 70_000]])
    for file in log.event_files()[:3]:
        if file.first != 3:
            (tmp_path / "log" / file.name).unlink()

    assert lateness(log, 2) == Lateness(2, 2, 0.02, 0.03, 0.03)
    (tmp_path / "log" / log.event_files()[1].name).write_bytes(b"")
    with pytest.raises(DamagedLog, match=r"is damaged: its events cannot be read .*events-0000000000000003-"):
        lateness(log, 2)


def test_a_log_without_events_has_none_that_are_late(tmp_path: Path) -> None:
    assert lateness(open_log(tmp_path / "log", LogSettings())) == Lateness(0, 0, None, None, None)


def test_status_and_the_head_tell_how_late_events_are(tmp_path: Path) -> None:
    shop = build(tmp_path / "shop")
    none = "late: none of the last 5 events"
    assert none in call("status", folder=shop).out.splitlines()
    assert none in call("log", "show", "--head", folder=shop).out.splitlines()
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("5,2026-01-03T08:14:00Z,eve,placed,1\n6,2026-01-01T05:15:00Z,eve,placed,1\n")
    call("log", "import", folder=shop)
    add_order(shop)
    call("log", "import", folder=shop)
    line = "late: 2 of the last 8 events, half of them by up to 1 min, 99 % by up to 2 d 3 h, the most by 2 d 3 h"
    found = {"events": 8, "late": 2, "p50": 60.0, "p99": 183_600.0, "most": 183_600.0}

    assert line in call("status", folder=shop).out.splitlines()
    assert line in call("log", "show", "--head", folder=shop).out.splitlines()
    log = call("status", "--format", "json", folder=shop).json["result"]["log"]
    assert (log["head"], log["lateness"]) == (8, found)
    assert call("log", "show", "--head", "--format", "json", folder=shop).json["result"]["head"]["lateness"] == found
    assert call("log", "show", "--format", "json", folder=shop).json["result"]["head"]["lateness"] is None


def test_status_without_a_readable_log_tells_the_rest(tmp_path: Path) -> None:
    shop = build(tmp_path / "shop")
    (file,) = (shop / ".dualgauge" / "log").glob("*.parquet")
    file.write_bytes(b"")
    said = call("status", folder=shop)

    assert said.exit_code == 0
    assert (
        "late: cannot be told: the log's events cannot be read (`dualgauge doctor` says why)" in said.out.splitlines()
    )
    assert call("status", "--format", "json", folder=shop).json["result"]["log"]["lateness"] is None


def test_late_events_stay_where_they_are(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*.csv")
    for number, day in enumerate((3, 1, 2)):
        project.write(f"d/{number}.csv", csv("id,seen", f"{number},2020-01-0{day}"))
        project.take()

    assert lateness(project.log()) == Lateness(3, 2, 86_400.0, 172_800.0, 172_800.0)
    assert project.events("event_id") == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.000001, "under 1 ms"), (1.5, "1.5 s"), (59.9994, "59.999 s"), (60, "1 min"), (125.4, "2 min 5 s"),
        (12_000, "3 h 20 min"), (86_400, "1 d"), (356_400, "4 d 3 h"), (200_000_000, "2,314 d 19 h"),
    ],
)  # fmt: skip
def test_a_length_of_time_is_told_by_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_no_events_are_told_as_such() -> None:
    assert late_line(Lateness(0, 0, None, None, None)) == "late: no events yet"
