"""The endless run: builds are kept current from the log, for as long as this process holds their sides."""

from __future__ import annotations

import datetime as dt
import math
import time
import uuid
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.errors import UsageError
from dualgauge.model import Position, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualgauge.errors import DualgaugeError
    from dualgauge.replay.held_up import HeldUp
    from dualgauge.replay.tail import Tailed
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.views.plan.plan import Plan
    from dualgauge.workspace import Handles, Workspace

MANY_FILES: Final = 1_000
"""Small files of the log, above which a tail that imports merges them."""

_NOTED, _LOOKED = 1.0, 0.5
"""Seconds between two notes of how far v2 is, and between two looks at the throttle, at least."""


_TOLD: Final = 5.0
"""Seconds for which another process's transaction is in the way before anybody is told."""

_V2_SECONDS: Final = 0.5
"""How long v2 catches up before the tail looks whether there is something new for v1."""


@dataclass(frozen=True, slots=True)
class Tailing:
    """
    What a tail did. `head` is the position that it went to, `views` what became of each build.

    `held_up` says of a side why it could not be written at the end.
    """

    head: Position
    views: tuple[Tailed, ...]
    held_up: Mapping[Side, DualgaugeError]

    @property
    def failing(self) -> tuple[Tailed, ...]:
        """The builds that stopped at an error."""
        return tuple(one for one in self.views if one.error)


class _Timer:
    """Says when so many seconds have gone by since it said so last; at first they have."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._due = seconds, time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self._seconds
        return True


def follow(
    workspace: Workspace, *, once: bool, import_every: float | None, max_events_per_second: int | None,
    stop: Callable[[], bool], told: Callable[[Side, DualgaugeError | None], None],
) -> Tailing:  # fmt: skip
    """
    Bring the builds that readers get to the log's head, and unless `once` go on with what comes.

    Args:
        workspace: the project.
        once: end at the head that the log has now.
        import_every: import all sources between rounds, so many seconds apart at least; None: import nothing.
        max_events_per_second: how fast it goes at most, where the ledger has no throttle.
        stop: whether to end: asked after each view's transaction, and while there is nothing to do.
        told: is told that a side cannot be written, and later, by None, that it can.

    v1 waits for v2 nowhere: where v2's database cannot be written, v2 is tried again each second.

    Raises:
        SideHeld: another process brings a side forward.
        LeaseLost: another one has taken a side from this one.
        StoreHeld, StoreRefused, StoreDamaged, NotADatabase: v1's database cannot be written.
    """
    from dualgauge.replay.held_up import SHORT, HeldUp
    from dualgauge.replay.holding import Holding
    from dualgauge.replay.pace import Pace
    from dualgauge.replay.tail import LONGEST_PAUSE, SHORTEST_PAUSE, Tail
    from dualgauge.replay.tail_record import TailRecord

    with workspace.open() as handles, ExitStack() as stack:
        held_up = HeldUp([Side.V2], reopened=list(Side))
        builds = handles.builds.waiting(Side.V2, SHORT)
        holding = stack.enter_context(Holding(builds, workspace.who, held_up))
        holding.take()

        record = TailRecord(builds, holding.leases, held_up=held_up)

        def between() -> bool:
            holding.renew()
            record(tail.done)
            return stop()

        barriers = handles.ledger.barriers_of(workspace.settings.migration)
        tail = stack.enter_context(
            Tail(
                handles.engine, handles.log, builds, holding.leases, BuildPlans(workspace, handles), held_up=held_up,
                progress=workspace.progress, held=lambda: barriers.held(dt.datetime.now(dt.UTC)),
                pace=Pace(_limit(workspace, handles, max_events_per_second)), rebuilding=holding.renewed,
            )
        )  # fmt: skip
        noticed: frozenset[Side] = frozenset()
        imports, notes = _Timer(import_every or 0.0), _Timer(_NOTED)
        head, pause, owed, first = Position(0), SHORTEST_PAUSE, False, True
        while True:
            if import_every is not None and (first or not once) and imports.due():
                # Of a source that has to be read whole, an import may take longer than a lease lasts.
                with holding.renewed():
                    _import(workspace, handles)
            if first or not once:
                head = handles.log.refresh().last
            before = [(one.build, one.position) for one in tail.done]
            tail.catch_up(head, between, v2_seconds=math.inf if once else _V2_SECONDS)
            if not stop():
                tail.rebuild(head, now=once)
            moved = before != [(one.build, one.position) for one in tail.done]
            failed = any(one.error for one in tail.done)
            waiting = bool(held_up.reasons)
            noticed = _notice(held_up, noticed, told)
            ends = (
                (once and (not waiting or bool(held_up.lasting())))
                or between()
                or (not tail.going and not waiting and (failed or first))
            )
            owed = owed or moved
            if owed and (ends or notes.due()):
                _note(workspace, handles)
                owed = False
            if ends:
                return Tailing(head, tail.done, held_up.lasting(0))
            pause, first = SHORTEST_PAUSE if moved else min(pause * 1.5, LONGEST_PAUSE), False
            time.sleep(pause)
            holding.take()
            tail.look()


def _notice(
    held_up: HeldUp, noticed: frozenset[Side], told: Callable[[Side, DualgaugeError | None], None]
) -> frozenset[Side]:
    """Tell of sides that cannot be written for a while now, and of those that can be again; gives the first."""
    found = held_up.lasting(_TOLD)
    for side, reason in found.items():
        if side not in noticed:
            told(side, reason)
    for side in noticed - found.keys():
        told(side, None)
    return frozenset(found)


def _limit(workspace: Workspace, handles: Handles, given: int | None) -> Callable[[], float | None]:
    """How many events a second a tail may read now: what the ledger says, which may change, or else what was given."""
    throttle, looks = handles.ledger.throttle_of(workspace.settings.migration), _Timer(_LOOKED)
    found: list[int | None] = []

    def limit() -> float | None:
        if looks.due():
            found[:] = [throttle.limit() or given]
        return found[0]

    return limit


def _import(workspace: Workspace, handles: Handles) -> None:
    """Import all sources, and merge the log's small files where there are many."""
    from dualgauge.commands.log import LogCommands
    from dualgauge.eventlog.errors import LostRace
    from dualgauge.eventlog.integrity.compact import ROWS
    from dualgauge.ledger.ledger import Ledger

    # Where the project's data was moved away, an import would begin a log and a ledger of its own.
    handles.log.refresh()
    Ledger.look(workspace.ledger_url).close()
    log = LogCommands(workspace)
    log.import_(every=True)
    handles.log.refresh()
    if sum(file.last - file.first < ROWS // 2 for file in handles.log.event_files()) > MANY_FILES:
        # Where other writers are quicker, the next import tries again.
        with suppress(LostRace):
            log.compact()


class BuildPlans:
    """The plan of a build, of the text that it was made from."""

    def __init__(self, workspace: Workspace, handles: Handles) -> None:
        self._workspace, self._handles = workspace, handles
        self._known: dict[tuple[Side, str, str], Plan] = {}

    def __call__(self, side: Side, checkpoint: Checkpoint) -> Plan:
        """The plan of a build. Raises ViewError where its text cannot be read any more."""
        key = (side, checkpoint.view, checkpoint.definition_hash)
        if key not in self._known:
            self._known[key] = self._plan(side, checkpoint)
        return self._known[key]

    def _plan(self, side: Side, checkpoint: Checkpoint) -> Plan:
        from dualgauge.views.definition import from_text
        from dualgauge.views.plan.plan import plan

        workspace, engine = self._workspace, self._handles.engine
        columns = workspace.settings.log.all_columns
        folder = workspace.project.views(side, workspace.settings.paths)
        file = folder / f"{checkpoint.view}.sql"
        return plan(engine, from_text(engine, checkpoint.text, checkpoint.view, side, file, columns), columns)


def _note(workspace: Workspace, handles: Handles) -> None:
    """Note in the ledger that v2 has caught up, where it has."""
    from dualgauge.cutover.gates.inputs import look
    from dualgauge.cutover.moves.switch import record_replay
    from dualgauge.stores.errors import NotADatabase, StoreDamaged, StoreRefused

    # A file of a view that is being edited cannot be read: its build goes on, and the next note says how far v2 is.
    with suppress(UsageError, NotADatabase, StoreDamaged, StoreRefused):
        record_replay(
            handles.ledger, workspace.settings.migration, ready=look(handles.store, handles.views), begins=False,
            who=workspace.who, at=workspace.clock(), operation_id=uuid.uuid4().hex,
        )  # fmt: skip
