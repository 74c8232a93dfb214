"""
What other schedulers are told of a schedule: a crontab, a pair of systemd units, a CronJob of Kubernetes.

Each calls `dualgauge schedule run`, which claims the slot that is due: a scheduler that calls too often runs nothing
twice. Where clocks change they differ in what they fire at; `misses` says where one will not call in time.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from dualgauge.schedules.due import Fields, Timetable
    from dualgauge.schedules.settings import ScheduleSettings

_HOUR: Final = 60
_DAY: Final = 24 * _HOUR
_QUARTER: Final = 15
"""Zones lie apart by quarters of an hour."""

_DAYS: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


class Runner(StrEnum):
    """Who calls."""

    CRON = "cron"
    SYSTEMD = "systemd"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class RunnerFile:
    """A file for a scheduler: what it is called, and its text."""

    name: str
    text: str


def files(settings: ScheduleSettings, runner: Runner, *, project: Path, program: str) -> tuple[RunnerFile, ...]:
    """
    The files that have a scheduler run a schedule.

    Args:
        settings: the schedule.
        runner: who calls.
        project: the project's folder.
        program: how dualgauge is called there.
    """
    match runner:
        case Runner.CRON:
            return (_crontab(settings, project, program),)
        case Runner.SYSTEMD:
            return _units(settings, project, program)
        case Runner.KUBERNETES:
            return (_cron_job(settings),)


def misses(timetable: Timetable, runner: Runner, after: datetime) -> list[datetime]:
    """The slots of the year after a time that a scheduler will not call at, in UTC; a later call runs them."""
    if timetable.cron is None or runner is Runner.CRON:
        return []
    fields, until = timetable.fields, after + timedelta(days=365)
    return [
        due
        for due in timetable.between(after, until)
        for local in (due.astimezone(timetable.place),)
        # An hour that is missing is passed over; one that comes twice, systemd takes once.
        if not fields.matches(local) or (runner is Runner.SYSTEMD and local.fold)
    ]


def _crontab(settings: ScheduleSettings, project: Path, program: str) -> RunnerFile:
    timetable = settings.timetable
    # In a crontab % ends the command.
    command = shlex.join([program, "schedule", "run", settings.name, "--project", str(project)]).replace("%", r"\%")
    if timetable.cron is not None:
        when, zone = timetable.cron, f"cron counts in this machine's zone, which must be {timetable.zone}"
    else:
        when, zone = _often(timetable.minutes), f"called often enough for every {timetable.every}, in any zone"
    return RunnerFile(f"dualgauge-{settings.name}.crontab", f"# {zone}\n{when} {command}\n")


def _often(minutes: int) -> str:
    """Cron's fields for a period of minutes that are counted in UTC, whatever zone cron counts in."""
    if minutes % _QUARTER == 0:
        return f"*/{_QUARTER} * * * *"
    return f"*/{minutes} * * * *" if _QUARTER % minutes == 0 and minutes > 1 else "* * * * *"


def _units(settings: ScheduleSettings, project: Path, program: str) -> tuple[RunnerFile, RunnerFile]:
    name = f"dualgauge-{settings.name}"
    call = " ".join(_unit_word(word) for word in (program, "schedule", "run", settings.name))
    service = (
        f"[Unit]\nDescription=dualgauge schedule {settings.name}\n\n"
        f"[Service]\nType=oneshot\nWorkingDirectory={str(project).replace('%', '%%')}\nExecStart={call}\n"
        # Another runner has the slot: that is no failure of the unit.
        "SuccessExitStatus=5\n"
    )
    times = "".join(f"OnCalendar={line}\n" for line in calendar(settings.timetable))
    timer = (
        f"[Unit]\nDescription=dualgauge schedule {settings.name}\n\n"
        f"[Timer]\n{times}Persistent=true\nAccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
    )
    return RunnerFile(f"{name}.service", service), RunnerFile(f"{name}.timer", timer)


def _unit_word(word: str) -> str:
    """A word of ExecStart, as systemd reads it back."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(one.isspace() or one in "\"'\\;" for one in word) else plain


def calendar(timetable: Timetable) -> list[str]:
    """What systemd's OnCalendar= is set to; two lines where a day matches by its number or by its weekday."""
    if timetable.cron is None:
        minutes = timetable.minutes
        if _HOUR % minutes == 0:
            return [f"*-*-* *:0/{minutes}:00 UTC" if minutes < _HOUR else "*-*-* *:00:00 UTC"]
        if minutes % _HOUR == 0 and _DAY % minutes == 0:
            hours = minutes // _HOUR
            return [f"*-*-* 0/{hours}:00:00 UTC" if minutes < _DAY else "*-*-* 00:00:00 UTC"]
        return ["*-*-* *:00:00 UTC" if minutes % _HOUR == 0 else "*-*-* *:*:00 UTC"]
    fields = timetable.fields
    days, months = _numbers(fields.days, range(1, 32)), _numbers(fields.months, range(1, 13))
    clock = f"{_numbers(fields.hours, range(24))}:{_numbers(fields.minutes, range(60))}:00 {timetable.zone}"
    by_day, by_weekday = f"*-{months}-{days} {clock}", f"{_weekdays(fields)}*-{months}-* {clock}"
    if fields.either:
        return [by_day, by_weekday]
    return [f"{_weekdays(fields)}{by_day}"]


def _numbers(found: frozenset[int], every: range) -> str:
    return "*" if found >= set(every) else ",".join(map(str, sorted(found)))


def _weekdays(fields: Fields) -> str:
    if len(fields.weekdays) == len(_DAYS):
        return ""
    return ",".join(_DAYS[day] for day in sorted(fields.weekdays)) + " "


def _cron_job(settings: ScheduleSettings) -> RunnerFile:
    timetable = settings.timetable
    when = timetable.cron if timetable.cron is not None else _often(timetable.minutes)
    # Names of Kubernetes have no underscore and no capital.
    name = f"dualgauge-{settings.name.lower().replace('_', '-')}"[:52].rstrip("-")
    text = f"""\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
spec:
  schedule: "{when}"
  timeZone: {timetable.zone}
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: dualgauge
              image: YOUR_IMAGE
              workingDir: /project
              command: [dualgauge, schedule, run, "{settings.name}"]
"""
    return RunnerFile(f"{name}.yaml", text)
