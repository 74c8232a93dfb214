"""The router: what an application calls at every read. It needs the ledger's URL and no project."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from dualgauge.errors import DualgaugeError, keep_secret, redact
from dualgauge.ledger.errors import LedgerSilent
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.values import MigrationState
from dualgauge.model import Side
from dualgauge.routing.decision import Decision, Route, decide
from dualgauge.sqlite_files import over_forks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from dualgauge.routing.hashing import Unit

T = TypeVar("T")

LOGGER: Final = logging.getLogger("dualgauge.routing")

LEDGER_TIMEOUT: Final = 2.0
"""Seconds that one read may wait for the ledger: a reader of SQLite waits for nobody, a server may not answer."""

_LETS_GO: Final = 2.0
"""Seconds that a fork waits for a look at a SQLite ledger: it takes thousandths, and more where threads are busy."""

_ALL: Final[weakref.WeakSet[Router]] = weakref.WeakSet()
"""Every router of this process."""


class _Known(NamedTuple):
    """What was last read, swapped as one so that no thread sees half of it. Times are the clock's seconds."""

    route: Route
    read_at: float
    asked_at: float


class _Look:
    """
    One look at a ledger, in a thread of its own: a driver that waits for a server can be told no time that holds.

    Whoever waited in vain leaves it behind. It keeps no process from ending, and a forked process does not have it.
    """

    def __init__(self, url: str, migration: str, ledger: Ledger | None, at: float) -> None:
        self.ledger, self.at = ledger, at
        """The ledger, once it is open, and when the look began, by the router's clock."""
        self.state: MigrationState | None = None
        self.fault: BaseException | None = None
        self.done = threading.Event()
        self._url, self._migration = url, migration
        self.thread = threading.Thread(target=self._run, name="dualgauge-router", daemon=True)

    def _run(self) -> None:
        try:
            if self.ledger is None:
                self.ledger = Ledger.look(self._url, timeout=LEDGER_TIMEOUT)
            self.state = self.ledger.state(self._migration)
        except BaseException as fault:  # noqa: BLE001  (whoever asked is told)
            self.fault = fault
        finally:
            self.done.set()


class Router:
    """
    Sends each read of a migration to v1 or v2, as its share and the unit say.

    Thread-safe. The ledger is read at most every `refresh` seconds, by one of the threads that ask; the others go
    on with what is known. A ledger that does not answer is waited for once, for two seconds, and asked again when it
    has answered. While the ledger cannot be read the last known state holds, and after `stale_after` seconds without
    it every read goes to v1, since the share may have been taken back meanwhile (a migration known to be complete
    goes on reading v2: its v1 is retired, and nothing takes that back). From the start, too, reads go to v1 while the
    ledger cannot be read: a router never keeps an application from reading.

    A router changes nothing in the ledger, and never upgrades it. Where another version of dualgauge did, and says that
    this one can still read it, it is read; else that is a ledger that cannot be read.
    """

    def __init__(
        self,
        ledger: str,
        migration: str,
        *,
        refresh: float = 1.0,
        stale_after: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Take the ledger's URL; it is first read at the first decision.

        Args:
            ledger: SQLAlchemy's form. A relative SQLite path counts from the working folder.
            migration: its name.
            refresh: seconds for which a state is used before the ledger is asked again.
            stale_after: seconds after which a state that could not be renewed is no longer trusted.
            clock: seconds that only go forward.
        """
        self.migration = migration
        self.trouble: DualgaugeError | None = None
        """Why the ledger could not be read the last time; None when it could."""
        self._url, self._refresh, self._stale_after, self._clock = ledger, refresh, stale_after, clock
        keep_secret(ledger)
        self._ledger: Ledger | None = None
        self._lock = threading.Lock()
        self._look: _Look | None = None
        self._pausing = False
        self._unknown = Route.of(MigrationState(migration))
        self._known: _Known | None = None
        _ALL.add(self)

    def __enter__(self) -> Self:
        """Give the router itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the ledger's connection; the router may be used again."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()

    def decide(self, unit: Unit | Sequence[Unit | None] | None) -> Decision:
        """
        Choose the side for a unit, and say why.

        Raises:
            BadUnit: the unit is neither a text, a whole number, nor a list of these.
        """
        now = self._clock()
        known = self._known
        if known is None or now - known.asked_at >= self._refresh:
            known = self._renewed(now)
        return decide(unit, known.route, stale=now - known.read_at > self._stale_after)

    def read(
        self,
        view: str,  # noqa: ARG002  (part of the call: what is counted and shadowed will be kept by view)
        *,
        unit: Unit | Sequence[Unit | None] | None,
        v1: Callable[..., T],
        v2: Callable[..., T],
        args: Sequence[object] = (),
    ) -> T:
        """
        Read a view from the side that `decide` chooses: call `v1` or `v2` with `args` and give what it gives.

        What the chosen one raises reaches the caller, from v2 too: falling back to v1 is a matter of `canary.yaml`,
        which this version does not read yet.
        """
        chosen = v2 if self.decide(unit).side is Side.V2 else v1
        return chosen(*args)

    def _renewed(self, now: float) -> _Known:
        """Read the ledger, unless another thread is doing so and something is known already."""
        known = self._known
        if known is not None and (self._pausing or not self._lock.acquire(blocking=False)):
            return known
        if known is None:
            self._lock.acquire()
        try:
            known = self._known
            if known is None or now - known.asked_at >= self._refresh:
                known = self._known = self._asked(now)
            return known
        finally:
            self._lock.release()

    def _hold(self) -> bool:
        """Have no look at a SQLite ledger under way: a forked process cannot open a file that was open at the fork."""
        if not self._url.startswith("sqlite"):
            return False
        # Said before it is waited for: those that ask without a pause would always be quicker.
        self._pausing = True
        if self._lock.acquire(timeout=_LETS_GO):
            return True
        self._pausing = False
        return False

    def _go_on(self) -> None:
        self._pausing = False
        self._lock.release()

    def _forget_parent(self) -> None:
        """In a forked process: neither the lock (its holder is not here), a look nor a connection is this one's."""
        # Before any thread of the new process can ask: two that find it out for themselves get in each other's way.
        self._lock, self._ledger, self._look, self._pausing = threading.Lock(), None, None, False

    def _asked(self, now: float) -> _Known:
        if (late := self._look) is not None:
            if not late.done.is_set():
                return self._unanswered(now)
            # What it found is as old as its beginning, and may be from before a share was taken back.
            self._known = self._answered(late, now)
            if now - self._known.asked_at < self._refresh:
                return self._known
        look = _Look(self._url, self.migration, self._ledger, now)
        try:
            look.thread.start()
        except RuntimeError:
            # No thread is to be had, for example at the end of the process.
            return self._unanswered(now)
        self._look = look
        return self._answered(look, now) if look.done.wait(LEDGER_TIMEOUT) else self._unanswered(now)

    def _answered(self, look: _Look, now: float) -> _Known:
        self._look = None
        if look.ledger is not None:
            self._ledger = look.ledger
        if look.state is not None:
            self.trouble = None
            return _Known(Route.of(look.state), read_at=look.at, asked_at=look.at)
        if isinstance(look.fault, DualgaugeError):
            return self._troubled(look.fault, now)
        assert look.fault is not None  # noqa: S101  (one of the two is there)
        raise look.fault

    def _unanswered(self, now: float) -> _Known:
        return self._troubled(LedgerSilent(redact(self._url), LEDGER_TIMEOUT), now)

    def _troubled(self, fault: DualgaugeError, now: float) -> _Known:
        if type(fault) is not type(self.trouble):
            LOGGER.warning("migration %r: %s", self.migration, fault)
        self.trouble = fault
        return self._known._replace(asked_at=now) if self._known else self._never(now)

    def _never(self, now: float) -> _Known:
        """What is known when the ledger was never read: nothing, so all reads go to v1 as stale."""
        return _Known(self._unknown, read_at=float("-inf"), asked_at=now)


over_forks(_ALL, Router._hold, Router._go_on, Router._forget_parent)  # noqa: SLF001  (this module's own class)
