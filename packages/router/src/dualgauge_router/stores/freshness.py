"""Reads that must see an event: they wait until what readers get is as far as its position."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from dualgauge_router.errors import ConflictError, UsageError
from dualgauge_router.model import NextStep

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT: Final = 5.0
"""Seconds that a read waits where it does not say for how long."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.1
"""Seconds between two looks: each pause is half as long again as the one before."""


class NotFresh(ConflictError):
    """A view that did not come to a position in time; `position` is how far it is."""

    def __init__(self, view: str, position: int, at_least: int, timeout: float) -> None:
        self.view, self.position, self.at_least, self.timeout = view, position, at_least, timeout
        super().__init__(
            f"view {view} is at position {position:,}, and position {at_least:,} was waited for for {timeout:g} s; "
            "nothing was read: see with `dualgauge status` whether a tail keeps it, or wait longer",
            next_steps=(NextStep("dualgauge status", "see whether a tail keeps it, and how far it is behind"),),
        )


class PositionUnknown(UsageError):
    """A table of the user's own that does not say how far it is."""

    def __init__(self, view: str, at_least: int) -> None:
        self.view, self.at_least = view, at_least
        super().__init__(
            f"view {view} is a table of your own whose position is unknown, so nobody can wait for position "
            f"{at_least:,}; nothing was read: give its file a `-- position_query:` line, or read without `at_least`"
        )


def wait_for(position: Callable[[], int | None], view: str, at_least: int, timeout: float) -> None:
    """
    Wait until a view is at a position or past it.

    Args:
        position: how far what readers get is now; None where nobody can tell.
        view: its name with its side, for messages.
        at_least: the position.
        timeout: seconds; with 0 it is looked at once.

    Raises:
        NotFresh: it did not come there in time.
        PositionUnknown: nobody can tell.
    """
    until, pause = time.monotonic() + timeout, SHORTEST_PAUSE
    while (now := position()) is None or now < at_least:
        if now is None:
            raise PositionUnknown(view, at_least)
        left = until - time.monotonic()
        if left <= 0:
            raise NotFresh(view, now, at_least, timeout)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
