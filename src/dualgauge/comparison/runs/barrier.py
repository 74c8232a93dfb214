"""Both sides at one position while a tail moves them: it is asked to hold them while a snapshot is opened."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dualgauge.ledger.barriers import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dualgauge.ledger.barriers import Barriers
    from dualgauge.model import Position, Side
    from dualgauge.stores.serving.port import ServedStore

_PAUSE: Final = 0.01

LATE: Final = dt.timedelta(seconds=1)
"""For how long the log has had what a build lacks that is asked for at the log's end, and not taken as it is."""

PATIENCE: Final = dt.timedelta(seconds=20)
"""For how long a side that is not there yet is asked for again."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """
    Asks whoever keeps the sides current to hold them.

    Args:
        barriers: where it is asked.
        store: says how far the sides are.
        head: looks where the log ends now.
        bring: brings the sides to where they are held, and says so; false where somebody else does, who is waited for.
    """

    barriers: Barriers
    store: ServedStore
    head: Callable[[], Position]
    bring: Callable[[], bool] | None = None
    _asker: str = field(default_factory=lambda: secrets.token_hex(8))

    def late(self, wanted: Mapping[Side, Sequence[str]], lag: Callable[[Position], dt.timedelta]) -> bool:
        """Whether a wanted build, though another may be just there, lacks what the log has had for `LATE`."""
        served = {side: self.store.served_builds(side) for side in wanted}
        builds = [served[side].get(name) for side, names in wanted.items() for name in names]
        return any(one is not None and one.position is not None and lag(one.position) > LATE for one in builds)

    @contextmanager
    def asked(self, wanted: Mapping[Side, Sequence[str]], position: Position | None = None) -> Iterator[Held]:
        """
        Ask for all wanted sides to be held at a position, by default at the log's end.

        Each side is let go of by itself, and all of them at the end.
        """
        position = self.head() if position is None else position
        try:
            for side in wanted:
                self.ask(side, position)
            yield Held(self, wanted, position)
        finally:
            self.barriers.release(self._asker)

    def ask(self, side: Side, position: Position) -> None:
        """Ask for a side to be held, for `LONGEST` from now."""
        self.barriers.ask(side, self._asker, position, dt.datetime.now(dt.UTC))

    def release(self, side: Side) -> None:
        """Let go of a side."""
        self.barriers.release(self._asker, side)


@dataclass(frozen=True, slots=True)
class Held:
    """Views, by side, that were asked to be held at a position."""

    barrier: Barrier
    wanted: Mapping[Side, Sequence[str]]
    position: Position

    def wait(self, side: Side) -> None:
        """Wait until a side is there, or has passed, or its time is over."""
        if side not in self.wanted or (self.barrier.bring is not None and self.barrier.bring()):
            return
        begun = asked = time.monotonic()
        while (now := time.monotonic()) < asked + LONGEST.total_seconds():
            builds = self.barrier.store.served_builds(side)
            places = [builds[name].position for name in self.wanted[side] if name in builds]
            known = [at for at in places if at is not None]
            if all(at == self.position for at in known) or any(at > self.position for at in known):
                return
            late = now > asked + LONGEST.total_seconds() / 2 and now < begun + PATIENCE.total_seconds()
            if late and self.position not in known:
                # A view stands still only once it is there: until then, asking again holds nothing up.
                self.barrier.ask(side, self.position)
                asked = now
            time.sleep(_PAUSE)

    def release(self, side: Side) -> None:
        """Let go of a side."""
        if side in self.wanted:
            self.barrier.release(side)
