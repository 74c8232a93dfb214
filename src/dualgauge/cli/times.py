"""Times on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from dualgauge.errors import UsageError


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
