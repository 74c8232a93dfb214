"""The router: what an application calls at every read. It needs the ledger's URL and no project."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from dualgauge_router.decision import Decision, Routing
from dualgauge_router.errors import DualgaugeError, keep_secret
from dualgauge_router.ledger import TIMEOUT, LedgerReader
from dualgauge_router.ledger_errors import BadLedgerUrl, LedgerSilent
from dualgauge_router.ledger_url import LedgerUrl, ledger_url
from dualgauge_router.model import Side
from dualgauge_router.sqlite_files import over_forks
from dualgauge_router.state import MigrationState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from dualgauge_router.hashing import Unit

T = TypeVar("T")

LOGGER: Final = logging.getLogger("dualgauge.router")

_LETS_GO: Final = 2.0
"""Seconds that a fork waits for a look at a SQLite ledger: it takes thousandths, and more where threads are busy."""

_SHORTEST_PAUSE: Final = 0.01
"""Seconds between two looks at the least: a loop without a pause would keep one processor busy."""

_LONGEST_PAUSE: Final = 86_400.0
"""Seconds between two looks at the most, and that a caller waits for one: the system takes no endless ones."""

_NEVER: Final = float("-inf")

_ALL: Final[weakref.WeakSet[Router]] = weakref.WeakSet()
"""Every router of this process."""


class _Pin(NamedTuple):
    """A decision that is kept for a unit of a router, in front of those kept around it."""

    router: Router
    unit: object
    decision: Decision
    outer: _Pin | None

    def find(self, router: Router, unit: object) -> Decision | None:
        """The decision that is kept for a unit, if one is; nothing is raised."""
        pin: _Pin | None = self
        while pin is not None:
            # Of one type: to Python True is 1.
            if pin.router is router and type(pin.unit) is type(unit) and _alike(pin.unit, unit):
                return pin.decision
            pin = pin.outer
        return None


def _alike(a: object, b: object) -> bool:
    try:
        return bool(a == b)
    except Exception:  # noqa: BLE001  (the application's own values; no read may fail for them)
        return False


_PIN: Final[ContextVar[_Pin | None]] = ContextVar("dualgauge_router_pin", default=None)


class _Known:
    """What was last read, swapped as one so that no thread sees half of it. Times are the clock's seconds."""

    __slots__ = ("read_at", "routing", "stale", "until")

    def __init__(self, routing: Routing, *, read_at: float, until: float, stale: bool = False) -> None:
        self.routing, self.read_at, self.until, self.stale = routing, read_at, until, stale


class Router:
    """
    Sends each read of a migration to v1 or v2, as its share and the unit say.

    Thread-safe. One thread in the background looks at the ledger every `refresh` seconds; a decision never waits for
    it, takes no lock and does no input or output. So a new share, or a rollback, is in force in every process at most
    `refresh` seconds and one look after it was written. While the ledger cannot be read the last known state holds, and
    after `stale_after` seconds without it every read goes to v1, since the share may have been taken back meanwhile (a
    migration known to be complete goes on reading v2: its v1 is retired, and nothing takes that back). From the start,
    too, reads go to v1 while the ledger cannot be read: a router never keeps an application from reading.

    A process that is forked goes on with what its parent knew, and looks by itself.

    A router changes nothing in the ledger, and never upgrades it. Where a newer dualgauge did, and says that this
    router can still read it, it is read; else that is a ledger that cannot be read.
    """

    def __init__(
        self,
        ledger: str,
        migration: str,
        *,
        refresh: float = 1.0,
        stale_after: float = 30.0,
        wait: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Look at the ledger for the first time.

        Args:
            ledger: SQLAlchemy's form. A relative SQLite path counts from the working folder.
            migration: its name.
            refresh: seconds from one look at the ledger to the next.
            stale_after: seconds after which a state that could not be renewed is no longer trusted.
            wait: seconds to wait here for the first look; with 0, reads go to v1 until it is over.
            clock: seconds that only go forward.
        """
        self.migration = migration
        self.trouble: DualgaugeError | None = None
        """Why the ledger could not be read the last time; None when it could."""
        self._refresh, self._stale_after, self._clock = refresh, stale_after, clock
        keep_secret(ledger)
        self._at: LedgerUrl | BadLedgerUrl
        try:
            # Here, since a relative path counts from where the process is now.
            self._at = ledger_url(ledger)
        except BadLedgerUrl as fault:
            self._at = fault
        else:
            if self._at.path is None:
                # In this thread: a process that is forked while another one imports it never has it whole.
                with suppress(ImportError):
                    import psycopg  # noqa: F401
        self._looks = _Looks()
        self._swap = threading.Lock()
        self._known = self._nothing(clock())
        _ALL.add(self)
        if wait > 0:
            self.refresh(wait)
        else:
            self._run()

    def __enter__(self) -> Self:
        """Give the router itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Look at the ledger no more; reads go on by the last state, and to v1 once that is stale."""
        self._looks.end()

    def decide(self, unit: Unit | Sequence[Unit | None] | None, attrs: Mapping[str, object] | None = None) -> Decision:
        """
        Choose the side for a unit, and say why; nothing is raised, nothing waited for.

        The decision is a named tuple of `side` (v1 or v2), `reason` (the first that applies of complete, kill, stale,
        stage, no_unit, bad_unit, pin_v1, pin_v2, cohort and hash), `share_ppm`, the share of reads on v2, and
        `config_version`, which counts up with every change of the migration.

        Args:
            unit: a text, a whole number, or a list of these and None; None for a read without one. What cannot be
                hashed reads v1, with the reason `bad_unit`.
            attrs: what the cohorts of canary.yaml are told by, such as `{"region": "eu-1"}`.
        """
        routing = self._routing()
        # What holds for all units, such as a kill, wins over what is kept for a request.
        if (pin := _PIN.get()) is not None and routing.always is None:
            held = pin.find(self, unit)
            if held is not None:
                return held
        return routing.decide(unit, attrs)

    def _routing(self) -> Routing:
        known = self._known
        if self._clock() >= known.until:
            known = self._late(known)
        return known.routing

    @contextmanager
    def pinned(
        self,
        unit: Unit | Sequence[Unit | None] | None,
        attrs: Mapping[str, object] | None = None,
        *,
        header: str | None = None,
    ) -> Iterator[Decision]:
        """
        Keep one decision for a unit in a `with` block, so that a share that moves does not part one request in two.

        It holds in this thread or task, and in tasks that begin in the block. Other units are decided as ever. A kill,
        a rollback, and a ledger that cannot be read for too long win over it, in the block too.

        Args:
            unit: as `decide` takes it.
            attrs: as `decide` takes them.
            header: `Decision.header` of a service that decided for this request by the same migration, which must be
                one to be trusted. It is not followed where this router knows of a later change.
        """
        decision, every = self.decide(unit, attrs), self._routing().always
        said = Decision.from_header(header) if header and every is None else None
        if said is not None and said.config_version >= decision.config_version:
            decision = said
        token = _PIN.set(_Pin(self, unit, decision, _PIN.get()))
        try:
            yield decision
        finally:
            _PIN.reset(token)

    def read(
        self,
        view: str,  # noqa: ARG002  (part of the call: what is counted and shadowed will be kept by view)
        *,
        unit: Unit | Sequence[Unit | None] | None,
        v1: Callable[..., T],
        v2: Callable[..., T],
        args: Sequence[object] = (),
        attrs: Mapping[str, object] | None = None,
    ) -> T:
        """
        Read a view from the side that `decide` chooses: call `v1` or `v2` with `args` and give what it gives.

        What the chosen one raises reaches the caller, from v2 too.
        """
        chosen = v2 if self.decide(unit, attrs).side is Side.V2 else v1
        return chosen(*args)

    async def aread(
        self,
        view: str,
        *,
        unit: Unit | Sequence[Unit | None] | None,
        v1: Callable[..., Awaitable[T]],
        v2: Callable[..., Awaitable[T]],
        args: Sequence[object] = (),
        attrs: Mapping[str, object] | None = None,
    ) -> T:
        """Read as `read` does, from functions that are awaited."""
        return await self.read(view, unit=unit, v1=v1, v2=v2, args=args, attrs=attrs)

    def refresh(self, timeout: float = TIMEOUT) -> bool:
        """
        Have the ledger looked at now, and wait for that look; false where it is not over within `timeout` seconds.

        For the moment after a change that must hold here at once; `trouble` says whether the ledger could be read.
        """
        looks = self._looks
        wanted = looks.ask()
        self._run()
        if looks.wait(wanted, min(timeout, _LONGEST_PAUSE)):
            return True
        if looks.hangs(TIMEOUT - _SHORTEST_PAUSE):
            self._silent()
        return False

    def _run(self) -> None:
        looks = self._looks
        pause = min(max(self._refresh, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        # Whoever waits for the next look ends at once where nobody has the router any more.
        looks.run(weakref.ref(self, lambda _: looks.end()), pause)

    def _nothing(self, now: float) -> _Known:
        """What is known before the ledger was read: nothing, so all reads go to v1 as stale."""
        return _Known(Routing(MigrationState(self.migration), stale=True), read_at=_NEVER, until=now, stale=True)

    def _late(self, known: _Known) -> _Known:
        """What holds where a new look is due: the same while it is trusted, else v1. The looks go on."""
        now = self._clock()
        stale = known.stale or now - known.read_at > self._stale_after
        routing = known.routing
        if stale and not known.stale:
            routing = Routing(routing.state, stale=True)
        found = _Known(routing, read_at=known.read_at, until=self._until(known.read_at, now), stale=stale)
        # Never waited for: a signal's handler may ask in the middle of this.
        if self._swap.acquire(blocking=False):
            try:
                if known is not self._known:
                    return self._known
                self._known = found
            finally:
                self._swap.release()
        if self._looks.hangs(TIMEOUT):
            self._silent()
        self._run()
        return found

    def _until(self, read_at: float, now: float) -> float:
        """When a decision is to see whether the looks go on: a while after the next one, or once this is stale."""
        due = now + self._refresh + min(self._refresh, 1.0)
        trusted = read_at + self._stale_after
        # The moment itself still counts as trusted.
        return min(due, trusted + 1e-6) if trusted >= now else due

    def _look(self, reader: LedgerReader | None) -> LedgerReader | None:
        """One look at the ledger, in the thread for it; gives what the next one reads by."""
        at = self._clock()
        try:
            reader = reader or self._opened()
            state = reader.state(self.migration)
            now = self._clock()
            stale = now - at > self._stale_after
            routing = Routing(state, stale=stale)
        except DualgaugeError as fault:
            self._troubled(fault)
            return reader
        except Exception as fault:  # noqa: BLE001  (a driver's own; the looks must go on)
            self._troubled(DualgaugeError(f"the ledger cannot be read: {type(fault).__name__}: {fault}"))
            return reader
        with self._swap:
            self.trouble = None
            self._known = _Known(routing, read_at=at, until=self._until(at, now), stale=stale)
        return reader

    def _opened(self) -> LedgerReader:
        if isinstance(self._at, BadLedgerUrl):
            raise self._at
        return LedgerReader(self._at)

    def _silent(self) -> None:
        shown = self._at.shown if isinstance(self._at, LedgerUrl) else ""
        self._troubled(LedgerSilent(shown, TIMEOUT))

    def _troubled(self, fault: DualgaugeError) -> None:
        known, self.trouble = self.trouble, fault
        if type(fault) is not type(known):
            # By a thread of its own: whoever takes records may wait, or raise, and this may be a read's thread.
            told = threading.Thread(target=_tell, args=("migration %r: %s", self.migration, fault), daemon=True)
            with suppress(RuntimeError):
                told.start()

    def _hold(self) -> bool:
        """Have no look at a SQLite ledger under way: a forked process cannot open a file that was open at the fork."""
        of_file = isinstance(self._at, LedgerUrl) and self._at.path is not None
        return of_file and self._looks.pause(_LETS_GO)

    def _go_on(self) -> None:
        self._looks.go_on()

    def _inherit(self) -> None:
        """In a forked process: no lock (its holder may not be here), no thread and no connection is this one's."""
        self._looks, self._swap = self._looks.forked(), threading.Lock()
        known = self._known
        self._known = _Known(known.routing, read_at=known.read_at, until=_NEVER, stale=known.stale)
        # At once, and not at the first read: that would be by what the parent knew, however long ago.
        self._run()


def _tell(*record: object) -> None:
    """Write a log record; who takes it may not end what else goes on."""
    with suppress(Exception):
        LOGGER.warning(*record)


class _Looks:
    """The thread that looks at a ledger again and again while its router is there. It keeps no process alive."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        """Held for each look."""
        self._counted = threading.Condition()
        self._starting = threading.Lock()
        # No event: a router may be given up in the middle of whatever a thread does.
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._begun = self._ended = 0
        self._began_at: float | None = None
        self._thread: threading.Thread | None = None
        self._over = False

    def forked(self) -> _Looks:
        """Those of a forked process."""
        made = _Looks()
        made._over = self._over
        return made

    def run(self, router: weakref.ref[Router], pause: float) -> None:
        """Have the thread, unless it is there, or was ended."""
        thread = self._thread
        if self._over or (thread is not None and thread.is_alive()):
            return
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is thread:
                made = threading.Thread(target=self._go, args=(router, pause), name="dualgauge-router", daemon=True)
                # No thread is to be had, for example, at the end of the process.
                with suppress(RuntimeError):
                    made.start()
                    self._thread = made
        finally:
            self._starting.release()

    def _go(self, router: weakref.ref[Router], pause: float) -> None:
        reader: LedgerReader | None = None
        try:
            while not self._over and (found := router()) is not None:
                with self._looking:
                    with suppress(Empty):
                        while True:
                            self._asked.get_nowait()
                    with self._counted:
                        self._begun += 1
                    self._began_at = time.monotonic()
                    reader = found._look(reader)  # noqa: SLF001  (this module's own class)
                    self._began_at = None
                del found
                with self._counted:
                    self._ended = self._begun
                    self._counted.notify_all()
                with suppress(Empty):
                    self._asked.get(timeout=pause)
        finally:
            if reader is not None:
                reader.close()

    def ask(self) -> int:
        """Have a look begin as soon as can be; gives its number."""
        with self._counted:
            # One that is under way may be from before what the caller wants to see.
            wanted = self._begun + 1
        self._asked.put(None)
        return wanted

    def wait(self, number: int, timeout: float) -> bool:
        """Wait for the end of a look."""
        with self._counted:
            return self._counted.wait_for(lambda: self._ended >= number, timeout)

    def hangs(self, seconds: float) -> bool:
        """Whether a look takes longer than this."""
        began = self._began_at
        return began is not None and time.monotonic() - began > seconds

    def pause(self, seconds: float) -> bool:
        """Let no look begin until `go_on`; false where one is not over in time."""
        return self._looking.acquire(timeout=seconds)

    def go_on(self) -> None:
        """Let looks begin."""
        self._looking.release()

    def end(self) -> None:
        """End the thread after the look that is under way."""
        self._over = True
        self._asked.put(None)


over_forks(_ALL, Router._hold, Router._go_on, Router._inherit)  # noqa: SLF001  (this module's own class)
