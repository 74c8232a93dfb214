"""What other schedulers are told: read by their own programs, and held to when they would call."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from dualgauge.schedules.due import Timetable
from dualgauge.schedules.runners import Runner, calendar, files, misses
from dualgauge.schedules.settings import ScheduleSettings

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 2, 1, tzinfo=UTC)
TIMETABLES = [
    Timetable("30 2 * * *", None, "Europe/Berlin"),
    Timetable("30 1 * * *", None, "America/New_York"),
    Timetable("0 0 1 * 1", None, "Europe/Berlin"),
    Timetable("*/15 2 * * *", None, "Europe/Berlin"),
    Timetable("5,35 */4 1-7,20 3-11/2 1-5", None, "UTC"),
    Timetable("0 9 * * SUN", None, "Australia/Lord_Howe"),
    *(Timetable(None, every, "UTC") for every in ("1m", "5m", "7m", "1h", "6h", "7h", "1d", "2d")),
]


def schedule(table: Timetable, name: str = "nightly") -> ScheduleSettings:
    return ScheduleSettings(name=name, cron=table.cron, every=table.every, zone=table.zone)


@pytest.fixture
def systemd(tool: Callable[[str], str]) -> str:
    return tool("systemd-analyze")


@pytest.mark.parametrize("table", TIMETABLES, ids=lambda one: one.text)
def test_systemd_calls_at_every_slot_but_those_that_are_named(table: Timetable, systemd: str) -> None:
    """By its own calendar, over the days on which clocks change, or over so many calls."""
    until = AT + timedelta(days=300) if table.cron else AT + timedelta(hours=60)
    calls = set()
    for line in calendar(table):
        done = subprocess.run(
            [systemd, "calendar", "--iterations=4000", f"--base-time={AT:%Y-%m-%d %H:%M:%S} UTC", line],
            capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        found = re.findall(r"(?:elapse|Iter\. #\d+): \w+ (\S+ \S+) UTC", done.stdout)
        calls |= {datetime.fromisoformat(one).replace(tzinfo=UTC) for one in found}
    assert len(calls) > 20
    until = min(until, max(calls))
    slots = set(table.between(AT, until))
    named = {one for one in misses(table, Runner.SYSTEMD, AT) if one <= until}
    assert slots - calls == named


@pytest.mark.parametrize(
    ("cron", "zone", "runner", "missed"),
    [
        ("30 2 * * *", "Europe/Berlin", Runner.SYSTEMD, ["2026-03-29T01:00"]),
        ("30 2 * * *", "Europe/Berlin", Runner.KUBERNETES, ["2026-03-29T01:00"]),
        ("30 2 * * *", "Europe/Berlin", Runner.CRON, []),
        ("30 2 * * *", "America/New_York", Runner.SYSTEMD, ["2026-03-08T07:00"]),
        ("30 2 * * *", "UTC", Runner.SYSTEMD, []),
        ("0 4 * * *", "Europe/Berlin", Runner.SYSTEMD, []),
    ],
)
def test_the_slots_that_a_scheduler_passes_over_are_named(
    cron: str, zone: str, runner: Runner, missed: list[str]
) -> None:
    found = misses(Timetable(cron, None, zone), runner, AT)
    assert [one.strftime("%Y-%m-%dT%H:%M") for one in found] == missed


@pytest.mark.parametrize("folder", ["/srv/shop", "/srv/my shop/100% $HOME"])
def test_systemd_takes_the_units(folder: str, systemd: str, tmp_path: Path) -> None:
    program = shutil.which("true")
    assert program is not None
    made = [
        file
        for at, table in enumerate(TIMETABLES)
        for file in files(schedule(table, f"n{at}"), Runner.SYSTEMD, project=Path(folder), program=program)
    ]
    for file in made:
        (tmp_path / file.name).write_text(file.text, encoding="utf-8")
    done = subprocess.run(
        [systemd, "verify", "--man=no", "--recursive-errors=no", *(str(tmp_path / file.name) for file in made)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if tmp_path.as_posix() in line or "dualgauge-" in line] == []
    assert all("Persistent=true" in file.text for file in made if file.name.endswith(".timer"))
    # It does look: a key that is none is told.
    (tmp_path / made[0].name).write_text(made[0].text.replace("Type=", "Tpye="), encoding="utf-8")
    wrong = subprocess.run(
        [systemd, "verify", str(tmp_path / made[0].name)], capture_output=True, text=True, check=False
    )
    assert "Tpye" in wrong.stderr


@pytest.mark.parametrize("table", TIMETABLES, ids=lambda one: one.text)
def test_cron_takes_the_line_and_ends_the_command_nowhere_else(table: Timetable, tool: Callable[[str], str]) -> None:
    [made] = files(schedule(table), Runner.CRON, project=Path("/srv/my shop/100%"), program="/opt/x/bin/dualgauge")
    check = [tool("crontab"), "-n", "-"]
    done = subprocess.run(check, input=made.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "The syntax of the crontab file was successfully checked.\n")
    assert subprocess.run(check, input="0 2 61 * * x\n", capture_output=True, text=True, check=False).returncode == 1
    assert made.text.endswith(r"dualgauge schedule run nightly --project '/srv/my shop/100\%'" + "\n")


@pytest.mark.parametrize("every", ["1m", "2m", "3m", "4m", "5m", "15m", "30m", "45m", "1h", "7h", "1d"])
def test_cron_calls_at_every_period_in_any_zone(every: str) -> None:
    table = Timetable(None, every, "UTC")
    [made] = files(schedule(table), Runner.CRON, project=Path("/srv"), program="dualgauge")
    line = " ".join(made.text.splitlines()[1].split()[:5])
    for zone in ("Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"):
        calls = set(Timetable(line, None, zone).between(AT, AT + timedelta(days=3)))
        assert set(table.between(AT, AT + timedelta(days=3))) <= calls


def test_kubernetes_gets_a_job_that_never_overlaps() -> None:
    table = Timetable("30 2 * * *", None, "Europe/Berlin")
    [made] = files(schedule(table, "Nightly_run"), Runner.KUBERNETES, project=Path("/srv"), program="dualgauge")
    read = YAML(typ="safe").load(made.text)
    assert read["metadata"]["name"] == "dualgauge-nightly-run"
    assert read["spec"]["schedule"] == "30 2 * * *"
    assert read["spec"]["timeZone"] == "Europe/Berlin"
    assert read["spec"]["concurrencyPolicy"] == "Forbid"
    job = read["spec"]["jobTemplate"]["spec"]
    assert job["template"]["spec"]["containers"][0]["command"] == ["dualgauge", "schedule", "run", "Nightly_run"]
