"""The router: what an application calls at every read. It needs the ledger's URL and no project."""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from dualgauge_router.arguments import NotKept, kept, own
from dualgauge_router.decision import COMPLETE, READING_V2, Decision, Routing
from dualgauge_router.errors import DualgaugeError, keep_secret
from dualgauge_router.ledger import TIMEOUT, LedgerReader
from dualgauge_router.ledger_errors import BadLedgerUrl, ChangedCanary, LedgerBusy, LedgerSilent
from dualgauge_router.ledger_url import LedgerUrl, ledger_url
from dualgauge_router.looks import Looks
from dualgauge_router.model import PPM, Side
from dualgauge_router.pins import PIN, Pin, text_of
from dualgauge_router.serving import (
    V1,
    V1_ERROR,
    V2,
    V2_ERROR,
    V2_TIMEOUT,
    Counts,
    Late,
    Waiting,
    cancellations,
    from_outside,
    is_interrupt,
)
from dualgauge_router.sqlite_files import over_forks
from dualgauge_router.state import MigrationState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from dualgauge_router.evidence import Judged, ReadEvidence
    from dualgauge_router.hashing import Unit
    from dualgauge_router.reader import Reader
    from dualgauge_router.shadow_reads import Mismatch, ShadowRules
    from dualgauge_router.shadows import Shadows

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")

LOGGER: Final = logging.getLogger("dualgauge.router")

_LETS_GO: Final = 2.0
"""Seconds that a fork waits for a look at a SQLite ledger: it takes thousandths, and more where threads are busy."""

_SHORTEST_PAUSE: Final = 0.01
"""Seconds between two looks at the least: a loop without a pause would keep one processor busy."""

_LONGEST_PAUSE: Final = 86_400.0
"""Seconds between two looks at the most, and that a caller waits for one: the system takes no endless ones."""

_WRITES: Final = 0.25
"""Seconds of a look in which what reads came to is written."""

_NEVER: Final = float("-inf")

_MOST_TOLD: Final = 100
"""Kinds of faults of v2 of which one is told."""

_ALL: Final[weakref.WeakSet[Router]] = weakref.WeakSet()
"""Every router of this process."""


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

    A router changes nothing in the ledger but the counts of its reads, and never upgrades it. Where a newer dualgauge
    did, and says that this router can still read it, it is read; else that is a ledger that cannot be read.
    """

    def __init__(
        self,
        ledger: str,
        migration: str,
        *,
        refresh: float = 1.0,
        stale_after: float = 30.0,
        wait: float = TIMEOUT,
        record: bool = True,
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
            record: write what reads came to into the ledger, where a canary.yaml is applied; else only count here.
            clock: seconds that only go forward.
        """
        self.migration = migration
        self.trouble: DualgaugeError | None = None
        """Why the ledger could not be read the last time; None when it could."""
        # What is no number would end the looks.
        self._refresh = refresh if refresh >= 0 else 1.0
        self._stale_after, self._clock = stale_after, clock
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
        self._counts, self._aside, self._waiting = Counts(), Counts(), Waiting()
        self._told: set[tuple[str, int]] = set()
        self._shadowing: dict[str, Shadows] = {}
        self._record = record
        self._evidence: dict[str, ReadEvidence] = {}
        self.record_trouble: DualgaugeError | None = None
        """Why what reads came to could not be written the last time; it is tried again. None when it could."""
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._looks = Looks()
        self._swap = threading.Lock()
        self._cuts = 0
        """How often one decision began to hold for all units, or was found to hold still."""
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
        """
        Look at the ledger no more; reads go on by the last state, and to v1 once that is stale.

        What reads came to since the last look is written before, if that takes no longer than two seconds. Its readers
        hold files only while they read, from then on.
        """
        if self._shadows is not None:
            self._shadows.close()
        for reader in list(self._readers):
            reader.rest()
        self._looks.end(TIMEOUT if self._recorded is not None else 0)

    def decide(self, unit: Unit | Sequence[Unit | None] | None, attrs: Mapping[str, object] | None = None) -> Decision:
        """
        Choose the side for a unit, and say why; nothing is raised, nothing waited for.

        The decision is a named tuple of `side` (v1 or v2), `reason` (the first that applies of complete, kill, stale,
        stage, no_unit, bad_unit, pin_v1, pin_v2, cohort and hash), `share_ppm`, the share of reads on v2, and
        `config_version`, which counts up with every change of the migration.

        Args:
            unit: a text, a whole number, or a list of these and None; None for a read without one. What cannot be
                hashed reads v1, with the reason `bad_unit`.
            attrs: what the cohorts of canary.yaml are told by, such as `{"region": "eu-1"}`. Where they are asked for,
                and raise or are no mapping, it reads v1 as `bad_unit`.
        """
        known = self._known
        if self._clock() >= known.until:
            known = self._late(known)
        routing = known.routing
        # What holds for all units, such as a kill, wins over what is kept for a request.
        if (pin := PIN.get()) is not None and routing.always is None:
            held = pin.find(self, text_of(unit), self._cuts)
            if held is not None:
                return held
        return routing.decide(unit, attrs)

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
        decision, text = self.decide(unit, attrs), text_of(unit)
        routing = self._known.routing
        every = routing.always
        said = Decision.from_header(header) if header and every is None and text is not None else None
        if said is not None and (said.side is Side.V1 or said.config_version >= routing.state.revision):
            decision = said
        if text is None:
            # Without a unit every decision is alike.
            yield decision
            return
        pin = Pin(self, text, decision, self._cuts, PIN.get())
        PIN.set(pin)
        try:
            yield decision
        finally:
            pin.end()

    def read(
        self,
        view: str,
        *,
        unit: Unit | Sequence[Unit | None] | None,
        v1: Callable[..., T],
        v2: Callable[..., T],
        args: Sequence[object] = (),
        attrs: Mapping[str, object] | None = None,
        timeout: float | None = None,
        as_rows: Callable[[T], object] | None = None,
        positions: Callable[[Side], int | None] | None = None,
        named: Callable[..., object] | None = None,
    ) -> T:
        """
        Read a view from the side that `decide` chooses: call `v1` or `v2` with `args` and give what it gives.

        Where v2 raises, or does not answer in time, v1 is called and answers: what it gives or raises reaches the
        caller. Once the migration is complete there is no v1, and what v2 raises does. `counts` says how often.

        Args:
            view: the view's name, by which reads are counted.
            unit: as `decide` takes it.
            v1: reads v1.
            v2: reads v2. It must be a read: where v1 answers for it, both were called.
            args: what the chosen one is called with. v2, and a shadow read, get copies of the lists, dicts, sets and
                dataclasses there; what else they hold has to stay as it is. Where an argument can be read once only (an
                iterator, an open file, a coroutine) v2 is not asked: v1 answers, and it counts as `v2_error`.
            attrs: as `decide` takes them.
            timeout: seconds that v2 is waited for; it answers in a thread of its own then. None: as canary.yaml says,
                or as long as it takes.
            as_rows: what makes a mapping, or a list of these, of an answer that is none, for the comparison of a shadow
                read; it may not change the answer.
            positions: gives the position of the log that a side's readers are at, where anything tells; of a shadow
                read, answers that differ are a mismatch then where both sides gave them at one position.
            named: called with `args`; gives what names the read among others, where these have several spellings of
                it, such as 7 and "07". Asked for by shadow reads.
        """
        known = self._known
        decision = self.decide(unit, attrs)
        asked = self._asked(view, args)
        if decision.side is Side.V2:
            if timeout is None:
                timeout = self._known.routing.rules.timeout
            try:
                given = self._given(args)
                answer = v2(*given) if timeout is None else self._waiting.call(v2, given, timeout)
            except BaseException as fault:
                if is_interrupt(fault):
                    raise
                # Whatever else it is, v1 answers.
                self._failed(view, fault, known, decision)
            else:
                self._counts_for(view, V2, known, decision)
                if self._known.routing.shadow is not None:
                    self._shadow(known, decision, view, unit, answer, v1, v2, asked, as_rows, positions, named)
                return answer
        try:
            answer = v1(*args)
        except Exception:
            self._v1_failed(view, decision, known)
            raise
        if decision.side is Side.V1:
            self._counts_for(view, V1, known, decision)
            if self._known.routing.shadow is not None:
                self._shadow(known, decision, view, unit, answer, v1, v2, asked, as_rows, positions, named)
        return answer

    async def aread(
        self,
        view: str,
        *,
        unit: Unit | Sequence[Unit | None] | None,
        v1: Callable[..., Awaitable[T]],
        v2: Callable[..., Awaitable[T]],
        args: Sequence[object] = (),
        attrs: Mapping[str, object] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (of v2 alone: v1 answers then)
        as_rows: Callable[[T], object] | None = None,
        named: Callable[..., object] | None = None,
    ) -> T:
        """Read as `read` does, from functions that are awaited; a v2 that is late is cancelled, in no thread."""
        known = self._known
        decision = self.decide(unit, attrs)
        asked = self._asked(view, args)
        if decision.side is Side.V2:
            if timeout is None:
                timeout = self._known.routing.rules.timeout
            cancelled = cancellations()
            try:
                answer = await self._waiting.awaited(v2, self._given(args), timeout)
            except BaseException as fault:
                if from_outside(fault, cancelled):
                    raise
                self._failed(view, fault, known, decision)
            else:
                self._counts_for(view, V2, known, decision)
                if self._known.routing.shadow is not None:
                    self._shadow(known, decision, view, unit, answer, v1, v2, asked, as_rows, None, named, awaited=True)
                return answer
        try:
            answer = await v1(*args)
        except Exception:
            self._v1_failed(view, decision, known)
            raise
        if decision.side is Side.V1:
            self._counts_for(view, V1, known, decision)
            if self._known.routing.shadow is not None:
                self._shadow(known, decision, view, unit, answer, v1, v2, asked, as_rows, None, named, awaited=True)
        return answer

    def switched(
        self,
        view: str,
        *,
        unit: str,
        v2: Callable[..., Any],
        attrs: Callable[..., Mapping[str, object]] | None = None,
        timeout: float | None = None,
    ) -> Callable[[F], F]:
        """
        Decorate the function that reads v1, so that its calls go to the side that `decide` chooses, as by `read`.

        Args:
            view: as `read` takes it.
            unit: the name of the function's parameter that is the unit.
            v2: takes what the function takes. It is awaited where that is.
            attrs: called with what the function is called with; gives the attributes. Where it raises, a read that they
                decide for reads v1.
            timeout: as `read` takes it.

        Raises:
            ValueError: the function has no such parameter. A mistake of the calling code.
        """
        from dualgauge_router.switching import switched

        return switched(self, view, unit=unit, v2=v2, attrs=attrs, timeout=timeout)

    def reader(self, store: str) -> Reader:
        """
        Read views from the serving store itself: `reader.get("orders", key, unit=customer)`.

        Args:
            store: its URL, as [tool.dualgauge.store] of the project has it, such as
                `sqlite:////srv/orders/.dualgauge/views_{side}.db`.

        Raises:
            BadStore: it names no store that can be read.
        """
        from dualgauge_router.reader import Reader

        made = Reader(self, store)
        self._readers.add(made)
        return made

    def counts(self) -> dict[str, dict[str, int]]:
        """
        How many reads of each view came to what, in this process since the router was made.

        The outcomes are `v1` and `v2` (that side answered), `v2_error` and `v2_timeout` (v1 answered for it), and
        `v1_error` (v1 raised). After a fork the child counts from nothing.
        """
        return self._counts.total()

    def shadow_counts(self) -> dict[str, dict[str, int]]:
        """
        How many shadow reads of each view came to what, in this process since the router was made.

        The outcomes are `matched`, `mismatched`, `pending` (they differ, and the comparator has expected differences,
        which a diff judges), `lag` (they were alike later, or went on changing), `v1_error`, `v2_error`, `v2_timeout`,
        `comparator_error` (the answers are no rows, or no values of a rule), `dropped` (more reads than the queue
        holds, or v2 failed too often, or the router was closed) and `excluded` (they differed, and could not be read
        again).
        """
        return self._shadows.counts() if self._shadows is not None else {}

    def mismatches(self) -> list[Mismatch]:
        """The last shadow reads that were mismatched, at most 20, with both answers. They may hold what is secret."""
        return self._shadows.samples() if self._shadows is not None else []

    def _given(self, args: Sequence[object]) -> Sequence[object]:
        """
        What v2 is called with: nothing that v1 would miss, or find changed, where v1 has to answer for it.

        Raises:
            NotKept: they can be read once, and v2 is not asked.
        """
        # Once it is complete there is no v1.
        return args if self._known.routing.state.stage == COMPLETE else own(args)

    def _asked(self, view: str, args: Sequence[object]) -> tuple[object, ...] | None:
        """What a shadow read asks for: the arguments as they are before either side has them; None for no shadow."""
        rules = self._known.routing.shadow
        return None if rules is None or view not in rules.views else _copies(args)

    def _shadow(  # noqa: PLR0917  (called with all of them, in this order)
        self, known: _Known, decision: Decision, view: str, unit: Unit | Sequence[Unit | None] | None, answer: object,
        v1: Callable[..., Any], v2: Callable[..., Any], asked: tuple[object, ...] | None,
        as_rows: Callable[[Any], object] | None, positions: Callable[[Side], int | None] | None = None,
        named: Callable[..., object] | None = None, *, awaited: bool = False,
    ) -> None:  # fmt: skip
        """Have a read compared with the other side, if it is one of those that are; the caller has its answer."""
        served = decision.side
        try:
            rules = self._known.routing.shadow
            compared = rules.views.get(view) if rules is not None else None
            if rules is None or compared is None or (rules.below is not None and not self._sampled(rules, unit)):
                return
            shadows = self._shadowing.get("") or self._begin_shadows()
            if asked is None:
                shadows.drop(view, served)
            elif shadows.takes(rules, view, served, awaited=awaited):
                key, share = known.routing.counted(view)
                if decision.config_version != known.routing.state.revision:
                    key = ""
                read = shadows.of(view, compared, served, answer, v1, v2, asked, as_rows, positions, named, key, share)
                shadows.offer(rules, read, awaited=awaited)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:  # noqa: BLE001  (whatever it is, the caller has its answer)
            return

    def _begin_shadows(self) -> Shadows:
        from dualgauge_router.shadows import Shadows

        # By one step of a dict, which no lock need guard: a signal's handler may read in the middle of this.
        mine = weakref.ref(self)

        def wanted() -> bool:
            router = mine()
            return router is not None and router._known.routing.shadow is not None  # noqa: SLF001  (this one)

        def judged(read: Judged) -> bool:
            router = mine()
            evidence = router._recorded if router is not None else None  # noqa: SLF001  (this one)
            return evidence is None or evidence.judge(read)

        def now(view: str) -> tuple[str, int]:
            router = mine()
            return router._known.routing.counted(view) if router is not None else ("", -1)  # noqa: SLF001  (this one)

        return self._shadowing.setdefault("", Shadows(wanted, judged, now))

    @property
    def _shadows(self) -> Shadows | None:
        return self._shadowing.get("")

    @property
    def _recorded(self) -> ReadEvidence | None:
        """What reads came to, where that is written into the ledger."""
        return self._begin_evidence(self._known.routing.state)

    def _begin_evidence(self, state: MigrationState) -> ReadEvidence | None:
        if not self._record or not state.bases:
            return self._evidence.get("")
        if (found := self._evidence.get("")) is None:
            # Loaded where it is asked for, as shadows are.
            from dualgauge_router.evidence import ReadEvidence

            found = self._evidence.setdefault("", ReadEvidence())
        return found

    def _count_down(self) -> ReadEvidence | None:
        """Take in what reads came to since the last time, by what they went by; None where that is not written."""
        evidence, shadows = self._recorded, self._shadows
        if evidence is not None:
            with self._still():
                of_shadows = shadows.counts_by_side() if shadows is not None else {}
                totals = {"read": self._counts.total(), "shadow": of_shadows}
                aside = {"read": self._aside.total(), "shadow": shadows.aside() if shadows is not None else {}}
                placed = shadows.placed() if shadows is not None else {}
                evidence.count(self._known.routing.state, totals, aside, placed, datetime.now(UTC))
        return evidence

    def _still(self) -> AbstractContextManager[object]:
        """Meanwhile no shadow read comes to anything."""
        shadows = self._shadows
        return shadows.turn if shadows is not None else nullcontext()

    def _write_down(self, reader: LedgerReader | None, seconds: float = _WRITES) -> None:
        """Write what reads came to, by the thread that looks; what takes longer waits for the next look."""
        evidence, until = self._count_down(), time.monotonic() + seconds
        fault: DualgaugeError | None = None
        try:
            while evidence is not None and (batch := evidence.batch(datetime.now(UTC))) is not None:
                reader = reader or self._opened()
                reader.write(self.migration, batch)
                evidence.written()
                if time.monotonic() > until:
                    break
        except DualgaugeError as found:
            fault = found
        except Exception as found:  # noqa: BLE001  (a driver's own; the looks must go on)
            fault = DualgaugeError(f"what reads came to cannot be written: {type(found).__name__}: {found}")
        if fault is not None and type(fault) not in (type(self.record_trouble), LedgerBusy):
            _tell_soon("migration %r: what reads came to is not written: %s", self.migration, fault)
        self.record_trouble = fault

    def _write_last(self, reader: LedgerReader | None, seconds: float) -> None:
        """Write what is left, before nobody does any more: a ledger that another one writes to is waited for."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._write_down(reader, left)
            if not isinstance(self.record_trouble, LedgerBusy):
                break

    def _v1_failed(self, view: str, decision: Decision, known: _Known) -> None:
        """Count a read that v1 did not answer; one that v2 had failed before is counted as that."""
        if decision.side is Side.V1:
            self._counts_for(view, V1_ERROR, known, decision)

    def _counts_for(self, view: str, outcome: str, known: _Known, decision: Decision) -> None:
        """
        Count a read that was begun by what was known then; it is no evidence where it would be for another thing.

        Nor is one of a decision that was kept from before, as for a request: it says nothing of the share of now.
        """
        self._counts.add(view, outcome)
        moved = self._known is not known and self._known.routing.counted(view) != known.routing.counted(view)
        if moved or decision.config_version != known.routing.state.revision:
            self._aside.add(view, outcome)

    def _sampled(self, rules: ShadowRules, unit: Unit | Sequence[Unit | None] | None) -> bool:
        text = text_of(unit)
        if text is None:
            # Without a unit, by chance.
            return random.random() * PPM < rules.sample_ppm  # noqa: S311  (a sample, and no secret)
        return rules.below is None or sha256(f"{self.migration}:shadow\0{text}".encode()).digest() < rules.below

    def _failed(self, view: str, fault: BaseException, known: _Known, decision: Decision) -> None:
        """Count a read that v2 did not answer, and tell of the first of each kind; raise it where there is no v1."""
        late = type(fault) is Late
        self._counts_for(view, V2_TIMEOUT if late else V2_ERROR, known, decision)
        if self._known.routing.state.stage == COMPLETE:
            if late:
                raise TimeoutError(f"v2 did not answer the read of {view!r} in time") from None
            raise fault
        kind = (view, id(type(fault)))
        if kind not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(kind)
            what = "did not answer in time" if late else f"raised {type(fault).__name__}"
            if type(fault) is NotKept:
                what = "was not asked, for the arguments can be read once only"
            _tell_soon("view %r: v2 %s, and v1 answered for it; further ones are counted", view, what)

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
                self._cuts += stale and not known.stale
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
        with suppress(Exception):  # whatever it is, the looks go on
            self._write_down(reader)
        at = self._clock()
        trouble: DualgaugeError | None = None
        try:
            reader = reader or self._opened()
            try:
                state = reader.state(self.migration)
            except ChangedCanary as fault:
                # All but the configuration is followed; of that, what was known before.
                trouble, before = fault, self._known
                state = replace(fault.state, canary=before.routing.state.canary)
                if before.read_at == _NEVER and state.stage in READING_V2:
                    raise
            now = self._clock()
            stale = now - at > self._stale_after
            routing = Routing(state, stale=stale)
        except DualgaugeError as fault:
            self._troubled(fault)
            return reader
        except Exception as fault:  # noqa: BLE001  (a driver's own; the looks must go on)
            self._troubled(DualgaugeError(f"the ledger cannot be read: {type(fault).__name__}: {fault}"))
            return reader
        if trouble is not None:
            self._troubled(trouble)
        with self._still():
            # Reads up to here went by what was known before.
            with suppress(Exception):  # whatever it is, the looks go on
                self._begin_evidence(state)
                self._count_down()
            with self._swap:
                if routing.always is not None:
                    self._cuts += 1
                self.trouble = trouble
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
            _tell_soon("migration %r: %s", self.migration, fault)

    def _hold(self) -> bool:
        """Have no look at a SQLite ledger under way: a forked process cannot open a file that was open at the fork."""
        of_file = isinstance(self._at, LedgerUrl) and self._at.path is not None
        return of_file and self._looks.pause(_LETS_GO)

    def _go_on(self) -> None:
        self._looks.go_on()

    def _inherit(self) -> None:
        """In a forked process: no lock (its holder may not be here), no thread and no connection is this one's."""
        self._looks, self._swap = self._looks.forked(), threading.Lock()
        self._counts, self._aside, self._waiting = Counts(), Counts(), Waiting()
        self._shadowing, self._evidence = {}, {}
        known = self._known
        self._known = _Known(known.routing, read_at=known.read_at, until=_NEVER, stale=known.stale)
        # At once, and not at the first read: that would be by what the parent knew, however long ago.
        self._run()


def _copies(args: Sequence[object]) -> tuple[object, ...] | None:
    """Arguments as they are now; None where they cannot be kept. What v2 does to its own costs v1 nothing."""
    try:
        return kept(args)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:  # noqa: BLE001  (the application's own values)
        return None


def _tell_soon(*record: object) -> None:
    """Write a log record by a thread of its own: whoever takes it may wait, or raise, and this may be a read's."""
    with suppress(RuntimeError):
        threading.Thread(target=_tell, args=record, daemon=True).start()


def _tell(*record: object) -> None:
    """Write a log record; who takes it may not end what else goes on."""
    with suppress(Exception):
        LOGGER.warning(*record)


over_forks(_ALL, Router._hold, Router._go_on, Router._inherit)  # noqa: SLF001  (this module's own class)
