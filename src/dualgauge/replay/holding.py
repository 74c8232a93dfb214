"""The sides that this process holds, so that it alone brings their builds forward."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from dualgauge.errors import DualgaugeError
from dualgauge.model import Side, holder_name, meanwhile
from dualgauge.replay.held_up import HeldUp
from dualgauge.stores.errors import StoreReplaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dualgauge.stores.serving.port import BuildStore
    from dualgauge.stores.serving.writers import Lease

LEASE: Final = dt.timedelta(seconds=30)
"""For how long a side is held without being renewed: then another process may take it."""

_SOON: Final = 1.0
"""Seconds that it is waited for to let go of a side."""

_LOOK: Final = 5.0
"""Seconds between two looks whether it is time to renew."""


class Holding:
    """
    The leases of one process; at the end of its context it holds none.

    Args:
        store: has the sides.
        who: acts.
        held_up: the sides that need not be there at once.
    """

    def __init__(self, store: BuildStore, who: str, held_up: HeldUp | None = None) -> None:
        self._store = store
        self.held_up = held_up or HeldUp()
        self._name = holder_name(who)
        self.leases: dict[Side, Lease] = {}
        self._places: dict[Side, object] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for lease in self.leases.values():
            # Who has taken it meanwhile holds it; one that cannot be reached soon runs out by itself.
            with suppress(DualgaugeError):
                self._store.waiting(lease.side, _SOON).renew(lease, dt.datetime.now(dt.UTC))

    def take(self, sides: Iterable[Side] = Side) -> None:
        """Take those of some sides that have builds and that this process does not hold yet. Raises SideHeld."""
        for side in sides:
            if side in self.held_up.replaced:
                self.leases.pop(side, None)
            if side in self.leases or self.held_up.waits(side):
                continue
            with self.held_up.apart(side):
                if self._store.served(side):
                    now = dt.datetime.now(dt.UTC)
                    self.leases[side] = self._store.take(side, self._name, now, now + LEASE)
                    self._places[side] = self._store.place(side)
                    self.held_up.written(side)

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """
        Renew meanwhile, in a thread, for what has no moment to do so. Raises LeaseLost at the end.

        A frozen process has frozen threads: its lease runs out as ever.
        """
        over = threading.Event()
        faults: list[DualgaugeError] = []

        def keep() -> None:
            while not over.wait(_LOOK):
                try:
                    self.renew()
                except DualgaugeError as fault:
                    faults.append(fault)
                    return

        with meanwhile(keep, over.set):
            yield
        if faults:
            raise faults[0]

    def renew(self) -> None:
        """
        Renew what has come to its second half, and let go of a side in whose place there is another one.

        Raises:
            LeaseLost: another process has a side.
        """
        now = dt.datetime.now(dt.UTC)
        for side, lease in list(self.leases.items()):
            if self.held_up.waits(side):
                continue
            with self.held_up.apart(side):
                if self._store.place(side) != self._places[side]:
                    raise StoreReplaced(f"the database of {side.value}")
                if lease.until - now < LEASE / 2:
                    self.leases[side] = self._store.renew(lease, now + LEASE)
                    self.held_up.written(side)
