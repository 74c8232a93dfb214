"""How large the batches of a tail are, and how long it waits between two."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET_SECONDS: Final = 0.075
"""The transaction of a view should take about this long: what the engine takes before it keeps nobody waiting."""

FIRST_BATCH: Final = 10_000
SMALLEST_BATCH, LARGEST_BATCH = 100, 200_000

_STRAINED: Final = 4 * TARGET_SECONDS
"""A transaction that takes longer strains the store: others are given as long again, up to `_LONGEST` seconds."""
_LONGEST: Final = 1.0

_SLICE: Final = 0.25
"""Seconds of a throttled rate that one batch has at most, so that what comes in bursts is written evenly."""
_LOOK: Final = 0.05
"""Seconds between two looks, while waiting, whether to stop."""


@dataclass
class Pace:
    """
    The pace of a tail: by how long transactions take, and by how many events a second it may read.

    A batch costs the engine much the same whatever its size, so a size that followed that would fall to the smallest.

    Args:
        limit: events a second at most, or None: asked before each batch, for it may change meanwhile.
        size: events of the first batch.
    """

    limit: Callable[[], float | None] = lambda: None
    size: int = field(default_factory=lambda: FIRST_BATCH)
    _due: float = 0.0
    _transaction: float = 0.0

    @property
    def batch(self) -> int:
        """Events of the next batch, at most."""
        limit = self.limit()
        return self.size if limit is None else max(1, min(self.size, int(limit * _SLICE)))

    def written(self, seconds: float) -> None:
        """Note how long a transaction of the batch took."""
        self._transaction = max(self._transaction, seconds)

    def batch_done(self, events: int) -> None:
        """Note the end of a batch of so many events."""
        wanted = self.size * 3 // 2 if self._transaction < TARGET_SECONDS else self.size // 2
        self.size = max(SMALLEST_BATCH, min(LARGEST_BATCH, wanted))
        now, limit = time.monotonic(), self.limit()
        rested = now + min(self._transaction, _LONGEST) if self._transaction > _STRAINED else now
        # From when the batch was due: what a slow one has lost, quick ones make good, but no more than one slice.
        self._due = rested if limit is None else max(rested, max(self._due, now - _SLICE) + events / limit)
        self._transaction = 0.0

    def wait(self, stop: Callable[[], bool]) -> None:
        """Wait until the next batch is due, or until `stop` says so."""
        while (left := self._due - time.monotonic()) > 0 and not stop():
            time.sleep(min(left, _LOOK))
