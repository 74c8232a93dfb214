"""The endless run: builds are kept current from the log, for as long as this process holds their sides."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.errors import UsageError
from dualgauge.model import Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualgauge.model import Position
    from dualgauge.replay.tail import Tailed
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import BuildStore
    from dualgauge.stores.serving.writers import Lease
    from dualgauge.views.plan.plan import Plan
    from dualgauge.workspace import Handles, Workspace

LEASE: Final = dt.timedelta(seconds=30)
"""For how long a side is held without being renewed: then another process may take it."""


@dataclass(frozen=True, slots=True)
class Tailing:
    """What a tail did. `head` is the position that it went to, `views` what became of each build."""

    head: Position
    views: tuple[Tailed, ...]

    @property
    def failing(self) -> tuple[Tailed, ...]:
        """The builds that stopped at an error."""
        return tuple(one for one in self.views if one.error)


class _Held:
    """The sides that this process holds."""

    def __init__(self, store: BuildStore, who: str) -> None:
        from dualgauge.stores.serving.writers import holder_name

        self._store = store
        self._name = holder_name(who)
        self.leases: dict[Side, Lease] = {}

    def take(self) -> None:
        """Take the sides that have builds and that this process does not hold yet."""
        now = dt.datetime.now(dt.UTC)
        for side in Side:
            if side not in self.leases and self._store.served(side):
                self.leases[side] = self._store.take(side, self._name, now, now + LEASE)

    def renew(self) -> None:
        """Renew what has come to its second half."""
        now = dt.datetime.now(dt.UTC)
        for side, lease in self.leases.items():
            if lease.until - now < LEASE / 2:
                self.leases[side] = self._store.renew(lease, now + LEASE)

    def release(self) -> None:
        from dualgauge.errors import DualgaugeError

        for lease in self.leases.values():
            # Who has taken it meanwhile holds it; who cannot be reached waits until it runs out.
            with suppress(DualgaugeError):
                self._store.renew(lease, dt.datetime.now(dt.UTC))


def follow(
    workspace: Workspace, *, once: bool, imports: Callable[[], object] | None, stop: Callable[[], bool]
) -> Tailing:
    """
    Bring the builds that readers get to the log's head, and unless `once` go on with what comes.

    Args:
        workspace: the project.
        once: end at the head that the log has now.
        imports: imports the sources before each round; None where nothing is imported.
        stop: whether to end: asked after each view's transaction, and while there is nothing to do.

    Raises:
        SideHeld: another process brings a side forward.
        LeaseLost: another one has taken a side from this one.
    """
    from dualgauge.replay.tail import LONGEST_PAUSE, SHORTEST_PAUSE, Tail

    with workspace.open() as handles, ExitStack() as stack:
        held = _Held(handles.builds, workspace.who)
        stack.callback(held.release)
        held.take()

        def between() -> bool:
            held.renew()
            return stop()

        plans = _Plans(workspace, handles)
        barriers = handles.ledger.barriers_of(workspace.settings.migration)
        tail = stack.enter_context(
            Tail(
                handles.engine, handles.log, handles.builds, held.leases, plans, progress=workspace.progress,
                held=lambda: barriers.held(dt.datetime.now(dt.UTC)),
            )
        )  # fmt: skip
        pause, rounds = SHORTEST_PAUSE, 0
        while True:
            if imports is not None:
                imports()
            head = handles.log.refresh().last
            before = [one.position for one in tail.done]
            tail.catch_up(head, between)
            moved = before != [one.position for one in tail.done]
            if moved:
                _note(handles, workspace)
            rounds += 1
            failed = any(one.error for one in tail.done)
            if once or between() or (not tail.going and (failed or rounds == 1)):
                return Tailing(head, tail.done)
            pause = SHORTEST_PAUSE if moved else min(pause * 1.5, LONGEST_PAUSE)
            time.sleep(pause)
            held.take()
            tail.look()


class _Plans:
    """The plan of a build, of the text that it was made from."""

    def __init__(self, workspace: Workspace, handles: Handles) -> None:
        self._workspace, self._handles = workspace, handles
        self._known: dict[tuple[Side, str, str], Plan] = {}

    def __call__(self, side: Side, checkpoint: Checkpoint) -> Plan:
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


def _note(handles: Handles, workspace: Workspace) -> None:
    """Note in the ledger that v2 has caught up, where it has."""
    from dualgauge.cutover.gates.inputs import look
    from dualgauge.cutover.moves.switch import record_replay

    try:
        ready = look(handles.store, handles.views)
    except UsageError:
        # A file of a view is being edited: its build goes on, and the next note says how far v2 is.
        return
    record_replay(
        handles.ledger, workspace.settings.migration, ready=ready, begins=False, who=workspace.who,
        at=workspace.clock(), operation_id=uuid.uuid4().hex,
    )  # fmt: skip
