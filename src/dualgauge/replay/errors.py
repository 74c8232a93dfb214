"""What a replay refuses; readers keep the build that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import DataError, UsageError
from dualgauge.model import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoSuchView(UsageError):
    """A wanted view that no side has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        have = f"there are {listed(known)}" if known else "there are none yet: add one to views_v1 or views_v2"
        super().__init__(f"no view is called {name!r}{nearest(name, known)}; {have}")


class BrokenBatch(DataError):
    """A batch of the log that does not hold each position once."""

    def __init__(self, first: int, last: int, rows: int) -> None:
        self.first, self.last, self.rows = first, last, rows
        super().__init__(
            f"the log gives {rows:,} events from position {first:,} to {last:,}, where {last - first + 1:,} are due; "
            "nothing was written: look with `dualgauge log verify`"
        )


class CannotCompute(DataError):
    """A view's SELECT that fails on an event: a cast, a division, a number out of range."""

    def __init__(self, view: str, reason: str) -> None:
        self.view, self.reason = view, reason
        super().__init__(
            f"view {view}: its SELECT cannot be computed over these events: {reason}; "
            "mend the expression (TRY_CAST gives NULL where a cast fails) and replay; readers keep the build before"
        )
