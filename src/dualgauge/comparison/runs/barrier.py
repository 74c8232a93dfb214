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


@dataclass(frozen=True, slots=True)
class Barrier:
    """
    Asks whoever keeps the sides current to hold them.

    Args:
        barriers: where it is asked.
        store: says how far the sides are.
        head: looks where the log ends now.
    """

    barriers: Barriers
    store: ServedStore
    head: Callable[[], Position]
    _asker: str = field(default_factory=lambda: secrets.token_hex(8))

    @contextmanager
    def asked(self, wanted: Mapping[Side, Sequence[str]]) -> Iterator[Callable[[Side], None]]:
        """
        Ask for all wanted sides to be held at the log's end; gives what waits until a side is there.

        Each side is let go of by `release`, and all of them at the end.
        """
        position = self.head()
        until, now = time.monotonic() + LONGEST.total_seconds(), dt.datetime.now(dt.UTC)

        def reached(side: Side) -> None:
            while time.monotonic() < until:
                builds = self.store.served_builds(side)
                if all(name in builds and builds[name].position == position for name in wanted[side]):
                    return
                time.sleep(_PAUSE)

        try:
            for side in wanted:
                self.barriers.ask(side, self._asker, position, now)
            yield reached
        finally:
            self.barriers.release(self._asker)

    def release(self, side: Side) -> None:
        """Let go of a side."""
        self.barriers.release(self._asker, side)
