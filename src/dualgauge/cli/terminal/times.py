"""Times on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from dualgauge.errors import UsageError

_SHORTEST, _MINUTE = 0.001, 60
_UNITS = (("d", 86_400), ("h", 3_600), ("min", _MINUTE), ("s", 1))


class BadTime(UsageError):
    """A text that is no time."""

    def __init__(self, option: str, text: str) -> None:
        self.option, self.text = option, text
        super().__init__(
            f"{option} {text!r} is no time; write it as 2013-12-01 or 2013-12-01T06:30:00+01:00 (without a zone: UTC)"
        )


def instant(option: str, text: str | None) -> datetime | None:
    """An ISO 8601 text as an aware time; one without a zone is UTC. Raises BadTime."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise BadTime(option, text) from fault
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def duration(seconds: float) -> str:
    """A length of time by its two largest units: `1.5 s`, `2 min 5 s`, `3 h 20 min`, `4 d 2 h`."""
    if 0 < seconds < _SHORTEST:
        return "under 1 ms"
    if seconds < _MINUTE:
        return f"{round(seconds, 3):g} s"
    for (unit, size), (smaller, part) in pairwise(_UNITS):
        if seconds >= size:
            whole, rest = divmod(round(seconds), size)
            return f"{whole:,} {unit}" + (f" {rest // part} {smaller}" if rest // part else "")
    raise AssertionError(seconds)
