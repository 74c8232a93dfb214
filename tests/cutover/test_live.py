"""The gates under a live log: how far views may be behind, and how old evidence may be, are two questions."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.cutover.errors import GateRefused
from dualgauge.model import Outcome
from support.forked import python
from support.tailed import VIEWS, events, following, laid_out

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.cutover.values import GateResult
    from dualgauge.migration import Migration

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [{"type": "in", "who": "ada", "n": at % 5, "price": "1.50"} for at in range(60)]

WRITES = """
import sys, time
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event
number = 0
with dualgauge.open(sys.argv[1]).appender() as log:
    print("ready", flush=True)
    while True:
        number += 1
        fields = {"who": "ada", "n": number % 5}
        log.append([Event(f"live{number}", "in", datetime(2026, 1, 2, tzinfo=UTC), fields)])
        time.sleep(0.01)
"""

CHECKED = """
from dualgauge import Check, Comparator
counts = Comparator(key="type", checks=[
    Check("expect_column_values_to_not_be_null", column="type"),
    Check("expect_column_values_to_be_between", column="a", min_value=1),
])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two sides of one view that a tail keeps, at the head of a log of 20 events, compared at the start."""
    migration = laid_out(tmp_path, {"counts": VIEWS["counts"]})
    shutil.copytree(tmp_path / "views_v1", tmp_path / "views_v2", dirs_exist_ok=True)
    (tmp_path / "comparators").mkdir(exist_ok=True)
    (tmp_path / "reports").mkdir(exist_ok=True)
    append(tmp_path, 0, 20)
    migration.replay()
    [one] = at(tmp_path, 0).diff()
    assert one.comparison.verdict is Outcome.PASS
    return tmp_path


def at(root: Path, seconds: float) -> Migration:
    """The project, so many seconds after the start."""
    return dualgauge.open(root, clock=lambda: START + timedelta(seconds=seconds))


def append(root: Path, first: int, last: int, seconds: float = 0) -> None:
    with at(root, seconds).appender() as log:
        log.append(events(ROWS)[first:last])


def lag(root: Path, seconds: float) -> GateResult:
    (found,) = (one for one in at(root, seconds).cutover.gates(500_000) if one.name == "lag")
    return found


def settings(root: Path, text: str) -> None:
    with (root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tool.dualgauge.gates]\n{text}\n")


def test_evidence_of_an_hour_ago_opens_the_gates_of_a_log_that_grew_under_a_tail(project: Path) -> None:
    append(project, 20, 50, 3_500)
    at(project, 3_600).tail(once=True)

    moved = at(project, 3_600).switch(500_000)
    assert moved.changed
    assert [one.value for one in moved.gates if one.name == "lag"] == ["0 events behind"]
    assert [one.value.partition(": ")[2] for one in moved.gates if one.name == "diff:counts"] == [
        "pass, 1 h old, 30 events behind"
    ]


def test_evidence_may_be_held_to_a_number_of_events(project: Path) -> None:
    settings(project, "max_evidence_events = 29")
    append(project, 20, 50, 10)
    at(project, 20).tail(once=True)

    with pytest.raises(GateRefused, match=r"Gate diff:counts: 30 events came after position 20, which run \S+ is of"):
        at(project, 20).switch(500_000)


def test_lag_is_measured_from_the_first_event_that_a_view_lacks(project: Path) -> None:
    append(project, 20, 30, 100)
    append(project, 30, 50, 104)

    assert (lag(project, 105).outcome, lag(project, 105).value) == (
        Outcome.PASS, "v2.counts is 30 events and 5.0 s behind",
    )  # fmt: skip
    late = lag(project, 112)
    assert (late.outcome, late.value, late.limit, late.why) == (
        Outcome.FAIL, "v2.counts is 30 events and 12.0 s behind", "at most 5s behind the log's head",
        "v2.counts lacks the newest events",
    )  # fmt: skip
    assert [one.command for one in late.next_steps] == ["dualgauge tail --once"]
    with pytest.raises(GateRefused, match=r"Gate lag: v2\.counts lacks the newest events \(found: v2\.counts is 30"):
        at(project, 112).switch(500_000)


def test_an_idle_log_has_no_lag_however_long_it_was_idle(project: Path) -> None:
    assert (lag(project, 80_000).outcome, lag(project, 80_000).value) == (Outcome.PASS, "0 events behind")


def test_a_number_of_events_may_be_a_limit_too(project: Path) -> None:
    settings(project, 'max_lag = "1h"\nmax_lag_events = 29')
    append(project, 20, 49, 100)
    assert lag(project, 101).outcome is Outcome.PASS
    append(project, 49, 50, 100)
    assert (lag(project, 101).outcome, lag(project, 101).limit) == (
        Outcome.FAIL, "at most 1h and 29 events behind the log's head",
    )  # fmt: skip


def test_a_view_that_no_tail_keeps_must_be_at_the_head(project: Path) -> None:
    text = "-- key: who\nSELECT who, median(n) AS middle FROM events WHERE who IS NOT NULL GROUP BY who\n"
    for side in ("views_v1", "views_v2"):
        (project / side / "middles.sql").write_text(text, encoding="utf-8")
    at(project, 10).replay()
    assert lag(project, 10).outcome is Outcome.PASS
    append(project, 20, 21, 100)
    at(project, 100).tail(once=True)

    assert (lag(project, 100).outcome, lag(project, 100).why) == (
        Outcome.FAIL, "v2.middles lacks the newest events, which only a replay brings it",
    )  # fmt: skip


def test_the_share_grows_while_a_tail_follows_events_that_never_stop(project: Path) -> None:
    (project / "comparators" / "counts.py").write_text(CHECKED, encoding="utf-8")
    # Other tests run beside it: what is shown is that the gates open at all, not within which time.
    settings(project, 'max_lag = "1m"')
    with (
        python(["-c", WRITES, str(project)], environment=dict(os.environ)) as writer,
        following(project) as tail,
    ):
        try:
            assert writer.stdout.readline() == "ready\n"
            migration = dualgauge.open(project)
            assert {one.comparison.verdict for one in migration.diff()} == {Outcome.PASS}
            checked = [migration.check()[0] for _ in range(3)]
            stages = [migration.switch(share).after.stage for share in (10_000, 500_000, 1_000_000)]
            assert (writer.poll(), tail.poll()) == (None, None)
        finally:
            writer.kill()

    assert [one.verdict for one in checked] == [Outcome.PASS] * 3
    assert len({one.position for one in checked}) > 1
    assert stages == ["canary", "canary", "live"]


def test_a_view_that_a_tail_stopped_at_closes_the_gate_however_much_it_may_lag(project: Path) -> None:
    text = "-- key: type\nSELECT type, count({}) AS counted FROM events GROUP BY type\n"
    (project / "views_v1" / "counts.sql").write_text(text.format("TRY_CAST(note AS BIGINT)"))
    (project / "views_v2" / "counts.sql").write_text(text.format("CAST(note AS BIGINT)"))
    with (project / "pyproject.toml").open("a") as settings:
        settings.write('[tool.dualgauge.gates]\nmax_lag = "1h"\nmax_lag_events = 1000\n')
    at(project, 10).replay()
    at(project, 20).diff()
    with at(project, 30).appender() as log:
        log.append(events([*ROWS[:20], {"note": "x"}, {"n": 1}])[20:])
    at(project, 40).tail(once=True)
    found = lag(project, 50)

    assert found.outcome is Outcome.FAIL
    assert found.why == "v2.counts lacks the newest events, which only a replay brings it"
    with pytest.raises(GateRefused):
        at(project, 50).switch(1_000_000)
    (project / "views_v2" / "counts.sql").write_text(text.format("TRY_CAST(note AS BIGINT)"))
    at(project, 60).replay()
    assert lag(project, 60).outcome is Outcome.PASS


def test_a_view_that_a_tail_rebuilds_may_lag_as_others_do(project: Path) -> None:
    text = "-- key: type\n-- allow: full\nSELECT type, median(n) AS counted FROM events GROUP BY type\n"
    for side in ("views_v1", "views_v2"):
        (project / side / "counts.sql").write_text(text)
    at(project, 10).replay()
    append(project, 20, 30, 30)

    assert lag(project, 31).outcome is Outcome.PASS
    assert lag(project, 40).outcome is Outcome.FAIL
