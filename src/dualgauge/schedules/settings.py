"""The schedules' part of the project settings: `[[tool.dualgauge.schedules]]`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from dualgauge.project.settings import Section
from dualgauge.schedules.due import Timetable, cron_text, minutes, zone_text

Step = Literal["import", "tail", "diff", "check", "report"]
ORDER: Final[tuple[Step, ...]] = ("import", "tail", "diff", "check", "report")
"""What a schedule may do, in the order in which it does it."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)


class ScheduleSettings(Section):
    """One of `[[tool.dualgauge.schedules]]`: when it is due, and what it does then."""

    name: str = Field(description="the schedule's name: letters, digits, `_` and `-`")
    cron: str | None = Field(
        default=None, description="when it is due: cron's five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`"
    )
    every: str | None = Field(
        default=None, description="how often, instead of `cron`: `15m`, `6h`, `1d`, counted from 1970 in UTC"
    )
    zone: str = Field(default="UTC", description="the time zone of `cron`, such as `Europe/Berlin`")
    do: list[Step] = Field(default_factory=lambda: list(ORDER), min_length=1, description="what it does, in this order")
    comparators: list[str] = Field(
        default_factory=list, description="which comparators it asks; all of them unless set"
    )
    diff: Literal["full", "touched"] = Field(
        default="full", description="what its diffs compare: every key, or what changed and some of the rest, in turn"
    )
    full_on: list[Weekday] = Field(
        default_factory=list,
        description='with `diff = "touched"`: weekdays, in its zone, on which every key is compared',
    )
    overlap: Literal["skip", "queue_one"] = Field(
        default="skip", description="what becomes of a slot that is due while one before it runs"
    )
    catch_up: Literal["latest", "none", "all"] = Field(
        default="latest", description="which of the slots that nobody ran in time are run after all"
    )
    catch_up_most: int = Field(
        default=10, ge=1, le=1_000, strict=True, description='how many at most, with `catch_up = "all"`'
    )
    catch_up_window: str = Field(
        default="1d", description='how old they may be, with `catch_up = "all"`: minutes, hours or days'
    )
    owner: str = Field(default="", description="who looks after it; shown in the list, and in what is told")
    notify: list[str] = Field(default_factory=list, description="the channels that are told when its outcome changes")
    remind: str = Field(
        default="1d", description="how long the first reminder waits while it fires; each later one twice as long"
    )
    ping: str | None = Field(
        default=None,
        description="a dead man's switch: a URL, as `${NAME}`; `/start` and the exit code are put behind it",
    )

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            message = f"{name!r} is no name of a schedule; write at most 63 letters, digits, `_` and `-`"
            raise ValueError(message)
        return name

    @field_validator("cron")
    @classmethod
    def _a_cron(cls, text: str | None) -> str | None:
        return None if text is None else cron_text(text)

    @field_validator("ping")
    @classmethod
    def _a_secret(cls, url: str | None) -> str | None:
        if url is not None and "${" not in url:
            message = "the URL of a dead man's switch is a secret; name an environment variable, as ${NAME}"
            raise ValueError(message)
        return url

    @field_validator("every", "catch_up_window", "remind")
    @classmethod
    def _a_period(cls, text: str | None) -> str | None:
        if text is not None:
            minutes(text)
        return text

    @field_validator("zone")
    @classmethod
    def _a_zone(cls, text: str) -> str:
        return zone_text(text)

    @model_validator(mode="after")
    def _one_timetable(self) -> Self:
        if (self.cron is None) == (self.every is None):
            message = f"schedule {self.name!r} needs one of cron and every"
            raise ValueError(message)
        if self.every is not None and self.zone != "UTC":
            message = f"schedule {self.name!r} has every, which is counted in UTC; leave zone out"
            raise ValueError(message)
        if self.full_on and self.diff == "full":
            message = f"schedule {self.name!r} has full_on, and its diffs are full on every day; add diff = 'touched'"
            raise ValueError(message)
        if self.do != [step for step in ORDER if step in self.do]:
            message = f"schedule {self.name!r}: do is what it does in order, each once: {', '.join(ORDER)}"
            raise ValueError(message)
        return self

    @property
    def timetable(self) -> Timetable:
        """When it is due."""
        return Timetable(self.cron, self.every, self.zone)

    def is_touched(self, due: datetime) -> bool:
        """Whether the diffs of the slot that is due then compare what changed alone."""
        weekday = get_args(Weekday)[due.astimezone(self.timetable.place).weekday()]
        return self.diff == "touched" and weekday not in self.full_on

    @property
    def reminder(self) -> timedelta:
        """How long the first reminder waits."""
        return timedelta(minutes=minutes(self.remind))

    @property
    def window(self) -> timedelta:
        """How old a slot may be that is caught up with."""
        return timedelta(minutes=minutes(self.catch_up_window))
