"""
When a schedule is due: cron's five fields in a time zone, or every so often counted from 1970 in UTC.

Cron as Debian has it: on the day that an hour is missing, what was due in it is due at its end; where an hour comes
twice, a fixed time is due the first time, and what has a star in its minutes or hours at every real one. Day of the
month and day of the week, where neither begins with a star, are either, not both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dualgauge.model import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

_EVERY: Final = re.compile(r"([1-9][0-9]{0,4})(m|h|d)", re.ASCII)
_MINUTES: Final = {"m": 1, "h": 60, "d": 24 * 60}
_FIELDS: Final = 5
_ALLOWED: Final = re.compile(r"[0-9A-Za-z*,/-]+", re.ASCII)
_NAMED: Final = re.compile(r"[A-Za-z]+", re.ASCII)
_MONTHS: Final = frozenset(("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
_NAMES: Final = _MONTHS | {"MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"}
_SHORT: Final = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOON: Final = time(12)
_NEVER: Final = timedelta(days=50 * 366)
"""What is not due for so long is never due."""


@dataclass(frozen=True, slots=True)
class Fields:
    """
    What five fields of cron match. `either`: a day matches by its number or its weekday, Sunday being 0.

    `every_time`: minutes or hours begin with a star, and what the clock shows twice is due twice.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    every_time: bool

    def matches(self, at: datetime) -> bool:
        """Whether the clock shows a minute of these."""
        return at.minute in self.minutes and at.hour in self.hours and self.has_day(at)

    def has_day(self, at: date) -> bool:
        """Whether a day is one of these."""
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return at.month in self.months and ((day or weekday) if self.either else (day and weekday))


@dataclass(frozen=True)
class Timetable:
    """Times at which work is due. One of `cron` and `every` is given; `zone` is what cron's clock shows."""

    cron: str | None
    every: str | None
    zone: str

    @property
    def text(self) -> str:
        """The timetable in a line, which tells it from every other."""
        return f"{self.cron} {self.zone}" if self.cron is not None else f"every {self.every}"

    @cached_property
    def place(self) -> ZoneInfo:
        """The zone."""
        return ZoneInfo(self.zone)

    @cached_property
    def minutes(self) -> int:
        """The period of `every`, in minutes."""
        assert self.every is not None  # noqa: S101  (asked of such a timetable alone)
        return minutes(self.every)

    @cached_property
    def fields(self) -> Fields:
        """What the fields of `cron` match."""
        assert self.cron is not None  # noqa: S101  (as above)
        from cronsim import CronSim

        # It reads the fields. It does not enumerate: from an hour on that is half an hour long it counts half hours.
        found, (minute, hour) = CronSim(self.cron, _EPOCH), self.cron.split()[:2]
        return Fields(
            frozenset(found.minutes), frozenset(found.hours), frozenset(found.days), frozenset(found.months),
            frozenset(int(day) % 7 for day in found.weekdays if isinstance(day, int)), not found.day_and,
            minute.startswith("*") or hour.startswith("*"),
        )  # fmt: skip

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every time that is later than `after` and not later than `until`, in UTC, in order."""
        for due in self._from(after):
            if due > until:
                return
            yield due

    def following(self, after: datetime, most: int) -> list[datetime]:
        """The next times, in UTC: fewer than `most` where the timetable ends."""
        return [due for due, _ in zip(self._from(after), range(most), strict=False)]

    def has(self, at: datetime) -> bool:
        """Whether it is due at this time."""
        return next(self.between(at - timedelta(seconds=1), at), None) == at

    def _from(self, after: datetime) -> Iterator[datetime]:
        return self._periods(after) if self.cron is None else self._clock(after)

    def _periods(self, after: datetime) -> Iterator[datetime]:
        period = timedelta(minutes=self.minutes)
        due = _EPOCH + ((after - _EPOCH) // period + 1) * period
        while True:
            yield due
            due += period

    def _clock(self, after: datetime) -> Iterator[datetime]:
        # From two days before, so that what is due depends on no instant that it is asked at.
        day = after.astimezone(self.place).date() - timedelta(days=2)
        last, end, waiting = after, day + _NEVER, set[datetime]()
        while day < end:
            if self.fields.has_day(day):
                waiting.update(self._of_day(day))
            # Where clocks are set back at midnight, a time of the next day comes before one of this day: its second.
            noon = datetime.combine(day, _NOON, self.place).astimezone(UTC)
            for due in sorted(one for one in waiting if one < noon):
                waiting.discard(due)
                if due > last:
                    yield due
                    last, end = due, day + _NEVER
            day += timedelta(days=1)

    def _of_day(self, day: date) -> Iterator[datetime]:
        """Every time, in UTC, at which this is due on a day of the zone's calendar."""
        for hour, minute in product(sorted(self.fields.hours), sorted(self.fields.minutes)):
            shown = datetime.combine(day, time(hour, minute), self.place)
            first, second = (shown.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
            if first <= second:
                yield first
                if self.fields.every_time and first != second:
                    yield second
            elif not self.fields.every_time:
                # No clock shows it. By the offset before, it lies behind the change, and by the one after, before it.
                yield self._change(second, first)

    def _change(self, before: datetime, after: datetime) -> datetime:
        """The minute at which the clocks are set forward, between two times in UTC."""
        at, offset = before, after.astimezone(self.place).utcoffset()
        while at.astimezone(self.place).utcoffset() != offset:
            at += timedelta(minutes=1)
        return at

    def is_odd(self, due: datetime) -> bool:
        """Whether the clocks change on the day of a time."""
        day = due.astimezone(self.place).date()
        midnights = (datetime.combine(one, time(), self.place) for one in (day, day + timedelta(days=1)))
        first, second = (one.utcoffset() for one in midnights)
        return first != second


def minutes(text: str) -> int:
    """
    Read `15m`, `6h` or `1d` as minutes.

    Raises:
        ValueError: it is none; the sentence is for the user.
    """
    found = _EVERY.fullmatch(text)
    if found is None:
        message = f"{text!r} is not how often; write whole minutes, hours or days, such as 15m, 6h or 1d"
        raise ValueError(message)
    return int(found[1]) * _MINUTES[found[2]]


def cron_text(text: str) -> str:
    """
    Cron's five fields, in one form: `@daily` is written out.

    Raises:
        ValueError: it is not what Debian's cron reads, or never due; the sentence is for the user.
    """
    plain = " ".join(_SHORT.get(text.strip().lower(), text).split())
    parts = plain.split(" ")
    if plain.startswith("@"):
        message = f"{text!r} is not known; write cron's five fields, or one of {', '.join(sorted(_SHORT))}"
        raise ValueError(message)
    if len(parts) != _FIELDS:
        message = f"{text!r} has {len(parts)} fields, and cron has five: minute, hour, day, month, day of the week"
        raise ValueError(message)
    for part in parts:
        unknown = {name.upper() for name in _NAMED.findall(part)} - _NAMES
        if unknown or not _ALLOWED.fullmatch(part):
            message = f"{text!r}: {part!r} is not what cron reads; numbers, names, `*`, `,`, `-` and `/` are"
            raise ValueError(message)
    # Imported here: few projects have a schedule, and every command reads the settings.
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(plain, _EPOCH))
    except (CronSimError, StopIteration) as fault:
        reason = str(fault) or "it is never due"
        message = f"{text!r} is no timetable of cron: {reason}"
        raise ValueError(message) from fault
    return plain


def zone_text(text: str) -> str:
    """
    The name of a time zone.

    Raises:
        ValueError: there is none of that name; the sentence is for the user.
    """
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        from zoneinfo import available_timezones

        known = sorted(available_timezones())
        there = nearest(text, known) if known else "; this machine has no zones: install tzdata"
        message = f"there is no time zone {text!r}{there}"
        raise ValueError(message) from fault
    return text
