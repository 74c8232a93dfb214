"""Writing down what a tail does, for those who look on: `dualgauge status`."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dualgauge.errors import ConflictError
from dualgauge.model import utc_now
from dualgauge.replay.held_up import HeldUp
from dualgauge.stores.serving.tail_state import TailState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualgauge.model import Clock, Position, Side
    from dualgauge.replay.tail import Tailed
    from dualgauge.stores.serving.port import BuildStore
    from dualgauge.stores.serving.writers import Lease

INTERVAL: Final = 1.0
"""Seconds between two records, unless a build stops at an error."""

_Key = tuple["Side", str, int]


class TailRecord:
    """
    Records how quickly each build goes, and at what it stopped; called after each transaction, and in each round.

    The rate is of the time in which events were applied: a tail that waits for events is no slower for that.

    Args:
        store: has the builds.
        leases: the sides that this process holds.
        held_up: the sides of which nothing is recorded where they cannot be written.
        clock: the time that a record bears.
        timer: seconds, from anywhere.
    """

    def __init__(
        self, store: BuildStore, leases: Mapping[Side, Lease], *, held_up: HeldUp | None = None,
        clock: Clock = utc_now, timer: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._held_up = held_up or HeldUp()
        self._store, self._leases, self._clock, self._timer = store, leases, clock, timer
        self._at: dict[_Key, Position] = {}
        self._looked = self._written = timer()
        self._busy = 0.0
        self._applied: dict[_Key, int] = {}
        self._rates: dict[_Key, float] = {}
        self._known: dict[_Key, str] | None = None

    def __call__(self, done: Sequence[Tailed]) -> None:
        """Take what became of each build so far; written at most once a second, and where an error is new."""
        now = self._timer()
        at = {(one.side, one.view, one.build): one.position for one in done}
        moved = {key: new - self._at[key] for key, new in at.items() if self._at.get(key, new) < new}
        if moved:
            self._busy += now - self._looked
            self._applied = {key: self._applied.get(key, 0) + moved.get(key, 0) for key in at}
        self._at, self._looked = at, now
        errors = {(one.side, one.view, one.build): one.error for one in done}
        if errors != self._known or (self._busy and now - self._written >= INTERVAL):
            if self._busy:
                self._rates |= {key: count / self._busy for key, count in self._applied.items() if count}
            self._write(done)
            self._busy, self._applied, self._known, self._written = 0.0, {}, errors, now

    def _write(self, done: Sequence[Tailed]) -> None:
        for side, lease in self._leases.items():
            if self._held_up.waits(side):
                continue
            states = [
                TailState(
                    one.view, one.build, self._clock(), self._rates.get((side, one.view, one.build)), one.error,
                    one.position if one.error else None, one.hot_keys,
                )
                for one in done if one.side is side
            ]  # fmt: skip
            # Who has lost the side, or finds its database held, learns it from the next batch.
            with suppress(ConflictError), self._held_up.apart(side):
                self._store.record_tail(lease, states)
