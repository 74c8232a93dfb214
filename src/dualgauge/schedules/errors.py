"""What a schedule may refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import UsageError
from dualgauge.model import NextStep, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

LIST = NextStep("dualgauge schedule list", "see every schedule, and when it is due")


class UnknownSchedule(UsageError):
    """No schedule has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        there = "" if known else "; no [[tool.dualgauge.schedules]] stands in pyproject.toml"
        super().__init__(f"there is no schedule {name!r}{nearest(name, known)}{there}", next_steps=(LIST,))


class NoSchedules(UsageError):
    """The settings have no schedule that could be followed."""

    def __init__(self) -> None:
        super().__init__("no [[tool.dualgauge.schedules]] stands in pyproject.toml: write one, and follow it then")


class NoSuchSlot(UsageError):
    """A schedule has no slot at this time, or none yet."""

    def __init__(self, name: str, asked: str, reason: str) -> None:
        self.name, self.asked = name, asked
        super().__init__(f"schedule {name!r} has no slot {asked}: {reason}; nothing was run", next_steps=(LIST,))
