"""What keeps v2's database from being written while v1 goes on: another process's lock, a full disk, a broken file."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dualgauge.stores.errors import NotADatabase, NotNext, StoreDamaged, StoreHeld, StoreRefused, StoreReplaced

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from dualgauge.errors import DualgaugeError
    from dualgauge.model import Side

SHORT: Final = 0.25
"""Seconds that a tail waits for another process's transaction in v2's database: v1's views wait as long."""

LONG: Final = 30.0
"""Seconds after which a tail that is to come to an end gives v2 up."""

_PAUSE: Final = 1.0
"""Seconds until a side that could not be written is tried again."""


class HeldUp:
    """
    The sides that could not be written, each with the reason.

    Args:
        sides: those that others do not wait for; the reason why another one cannot be written is raised.
        reopened: those that are opened anew where another database is in the place of theirs.
        clock: seconds, from anywhere.
    """

    def __init__(
        self, sides: Collection[Side] = (), *, reopened: Collection[Side] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._sides, self._reopened, self._clock = sides, reopened, clock
        self.replaced: set[Side] = set()
        """What was opened of these is of a database that is there no more."""
        self.reasons: dict[Side, DualgaugeError] = {}
        self._since: dict[Side, float] = {}
        self._again: dict[Side, float] = {}

    def waits(self, side: Side) -> bool:
        """Whether it is too early to try a side again."""
        return self._clock() < self._again.get(side, 0.0)

    @contextmanager
    def apart(self, side: Side) -> Iterator[None]:
        """Around what is done in a side's database: where that cannot be, it is noted, and the other side goes on."""
        try:
            yield
        except (StoreReplaced, NotNext) as fault:
            if side not in self._reopened:
                raise
            self.replaced.add(side)
            self._note(side, fault)
        except (StoreHeld, StoreRefused, StoreDamaged, NotADatabase) as fault:
            if side not in self._sides:
                raise
            self._note(side, fault)

    def _note(self, side: Side, fault: DualgaugeError) -> None:
        self.reasons[side] = fault
        self._again[side] = self._clock() + _PAUSE
        self._since.setdefault(side, self._clock())

    def written(self, side: Side) -> None:
        """A side could be written."""
        if side in self.reasons:
            del self.reasons[side], self._since[side]

    def reason(self, side: Side) -> DualgaugeError:
        """Why a side cannot be written; of a lock, with the seconds since it was first met."""
        found = self.reasons[side]
        if not isinstance(found, StoreHeld):
            return found
        return StoreHeld(found.path, round(self._clock() - self._since[side], 1), found.holders)

    def lasting(self, seconds: float | None = None) -> dict[Side, DualgaugeError]:
        """Why sides cannot be written; of a lock once it has lasted for so many seconds, by default `LONG`."""
        seconds = LONG if seconds is None else seconds
        return {
            side: self.reason(side)
            for side, found in self.reasons.items()
            if not isinstance(found, StoreHeld) or self._clock() - self._since[side] >= seconds
        }
