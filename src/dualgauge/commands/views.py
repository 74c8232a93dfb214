"""The commands that build views: `migration.views`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dualgauge.model import Position, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualgauge.commands.tailing import Tailing
    from dualgauge.cutover.values import Readiness
    from dualgauge.errors import DualgaugeError
    from dualgauge.replay.run import Replayed
    from dualgauge.replay.undo import Undone
    from dualgauge.stores.serving.migrations import Revision
    from dualgauge.stores.serving.shapes import Shape
    from dualgauge.views.plan.plan import Plan
    from dualgauge.workspace import Handles, Workspace


@dataclass(frozen=True, slots=True)
class Rebuild:
    """
    What a replay did: revisions that it wrote and applied, and what became of each view.

    `adopted` are the chosen views that nobody builds: tables of the user's own. `nothing`: there was no other. `pruned`
    are the views that were taken from readers, because their files are gone.
    """

    position: Position
    written: Revision | None
    applied: tuple[Revision, ...]
    views: tuple[Replayed, ...]
    adopted: tuple[str, ...] = ()
    nothing: bool = False
    pruned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upgraded:
    """
    What an upgrade did: the store's revisions that it applied, and those of the ledger's tables before and after.

    Both are None where there is no ledger yet.
    """

    applied: tuple[Revision, ...]
    ledger_before: str | None = None
    ledger_after: str | None = None


@dataclass(frozen=True, slots=True)
class ViewCommands:
    """The views of both sides: how each is kept, its table schema, its builds."""

    _workspace: Workspace

    def plan(self) -> list[Plan]:
        """How each view of both sides is kept. Raises ViewError where a file cannot be used."""
        with self._workspace.open() as handles:
            found = list(handles.plans)
            # What an adopted table is fed by is asked for by a diff, which would be late to be told of a mistake.
            _ = handles.feeds
            return found

    def shapes(self) -> list[Shape]:
        """The shapes that the view files ask for, of both sides."""
        with self._workspace.open() as handles:
            return _shapes(handles)

    def revise(self, message: str) -> Revision | None:
        """Write the Alembic revision that the views' shapes need; None where none is missing."""
        folder = self._workspace.migrations_folder
        with self._workspace.open() as handles:
            shapes = _shapes(handles)
            handles.builds.upgrade(folder, shapes)
            return handles.builds.revise(folder, shapes, message)

    def upgrade(self) -> Upgraded:
        """Upgrade the ledger, where there is one, and apply the revisions that the store lacks."""
        from dualgauge.ledger.upgrade import upgrade_at

        workspace = self._workspace
        before, after = upgrade_at(workspace.ledger_url)
        with workspace.open() as handles:
            applied = handles.builds.upgrade(workspace.migrations_folder, [])
        return Upgraded(tuple(applied), before, after)

    def revisions(self) -> list[Revision]:
        """All revisions, oldest first."""
        with self._workspace.open() as handles:
            return handles.builds.history(self._workspace.migrations_folder)

    def replay(
        self, names: Sequence[str] = (), *, side: Side | None = None, force: bool = False, dry_run: bool = False,
        prune: bool = False, to: int | None = None, keep: timedelta = timedelta(0),
    ) -> Rebuild:  # fmt: skip
        """
        Build views anew from the log, up to its head or a position before: of one side or both, some by name or all.

        With `migrate = "auto"` missing revisions are written and applied first. The ledger notes how far v2 is. Adopted
        views are left as they are; where nothing else is chosen, nothing is done.

        With `prune`, views that readers get and that have no file any more are taken from them, of the chosen side or
        of both: a gate would stay closed for them.

        Args:
            names: views, as `orders` or `v2.orders`; none are all.
            side: of this side alone.
            force: build anew also what is at the position already.
            dry_run: say what would be done.
            prune: see above.
            to: the position; by default the log's head. Where a tail holds the side, it goes on from there.
            keep: for how long the builds that readers have now stay; the last one stays until the next replay anyway.

        Raises:
            NoSuchPosition: the log does not have it.
        """
        from dualgauge.cutover.gates.inputs import look
        from dualgauge.replay.choice import apart, choose
        from dualgauge.replay.run import replay
        from dualgauge.replay.shaping import shape_store

        workspace = self._workspace
        with workspace.open() as handles:
            plans = handles.plans
            # Where the last file is gone, there may still be something to prune.
            chosen, adopted = apart(choose(plans, names, side) if plans or not prune else [])
            log, builds = handles.log, handles.builds
            head = _position(log.head().last, to)
            unfiled = _unfiled(handles, side) if prune else []
            pruned = tuple(f"{at.value}.{name}" for at, name in unfiled)
            if not chosen:
                self._retire(handles, () if dry_run else unfiled)
                return Rebuild(
                    position=head, written=None, applied=(), views=(), adopted=adopted, nothing=True, pruned=pruned
                )
            written, applied = shape_store(
                builds, workspace.migrations_folder, [plan.view for plan in plans if not plan.view.adopted],
                mode=workspace.settings.store.migrate, dry_run=dry_run,
            )  # fmt: skip
            if dry_run:
                return Rebuild(position=head, written=None, applied=(), views=(), adopted=adopted, pruned=pruned)
            operation = uuid.uuid4().hex
            v2_chosen = any(plan.view.side is Side.V2 for plan in chosen)
            self._note(handles, operation, None, begins=v2_chosen)
            done = replay(
                handles.engine, log, builds, chosen, head, force=force, keep=keep, progress=workspace.progress
            )
            self._retire(handles, unfiled)
            self._note(handles, operation, look(handles.store, handles.views), begins=v2_chosen)
            self._count_reads(handles)
            return Rebuild(
                position=head, written=written, applied=applied, views=tuple(done), adopted=adopted, pruned=pruned
            )

    def undo(self, names: Sequence[str] = (), *, side: Side | None = None) -> list[Undone]:
        """
        Let readers have the builds that they had before the last replay, at the log's head, with their own text.

        Args:
            names: views, as `orders` or `v2.orders`; none are all that have such a build.
            side: of this side alone.

        Raises:
            NothingToUndo: a named view has none, or no view has.
            CannotUndo: a build cannot be brought to the log's head; readers keep what they have.
            SideHeld: a tail holds the side.
        """
        from dualgauge.commands.tailing import BuildPlans
        from dualgauge.cutover.gates.inputs import look
        from dualgauge.replay.choice import apart, choose
        from dualgauge.replay.errors import NothingToUndo
        from dualgauge.replay.holding import Holding
        from dualgauge.replay.undo import undo

        workspace = self._workspace
        with workspace.open() as handles:
            builds = handles.builds
            chosen, _ = apart(choose(handles.plans, names, side))
            views = [(one.view.side, one.view.name) for one in chosen]
            if not names:
                before = {at: builds.previous(at) for at in Side}
                views = [(at, name) for at, name in views if name in before[at]]
            if not views:
                raise NothingToUndo("")

            with Holding(builds, workspace.who) as holding:
                done = undo(
                    handles.engine, handles.log, builds, holding, views, BuildPlans(workspace, handles),
                    progress=workspace.progress,
                )  # fmt: skip
            self._note(handles, uuid.uuid4().hex, look(handles.store, handles.views), begins=False)
            self._count_reads(handles)
            return done

    def tail(
        self, *, once: bool = False, import_every: float | None = None, max_events_per_second: int | None = None,
        stop: Callable[[], bool] = lambda: False,
        told: Callable[[Side, DualgaugeError | None], None] = lambda _, __: None,
    ) -> Tailing:  # fmt: skip
        """
        Bring the builds that readers get to the log's head, and unless `once` keep them there until `stop` says so.

        Args:
            once: end at the head that the log has now.
            import_every: import all sources between rounds, so many seconds apart at least; None: import nothing.
            max_events_per_second: how fast it goes at most, where `throttle` has said nothing.
            stop: whether to end: asked after each view's transaction, and while there is nothing to do.
            told: is told that a side's database cannot be written for some seconds now, and by None that it can.
        """
        from dualgauge.commands.tailing import follow

        return follow(
            self._workspace, once=once, import_every=import_every, max_events_per_second=max_events_per_second,
            stop=stop, told=told,
        )  # fmt: skip

    def throttle(self) -> int | None:
        """How many events a second a tail may read; None where nothing is throttled."""
        with self._workspace.open() as handles:
            ledger = handles.known_ledger
            return ledger.throttle_of(self._workspace.settings.migration).limit() if ledger else None

    def set_throttle(self, events_per_second: int | None) -> None:
        """Throttle tails, also one that runs; None: no longer."""
        with self._workspace.open() as handles:
            handles.ledger.throttle_of(self._workspace.settings.migration).set(events_per_second)

    def _retire(self, handles: Handles, unfiled: Sequence[tuple[Side, str]]) -> None:
        for side, name in unfiled:
            handles.builds.retire(side, name)

    def _note(self, handles: Handles, operation: str, ready: Readiness | None, *, begins: bool) -> None:
        from dualgauge.cutover.moves.switch import record_replay

        workspace = self._workspace
        record_replay(
            handles.ledger, workspace.settings.migration, ready=ready, begins=begins,
            who=workspace.who, at=workspace.clock(), operation_id=operation,
        )  # fmt: skip

    def _count_reads(self, handles: Handles) -> None:
        """Have routers count reads for the builds that readers have now."""
        from dualgauge.commands.reads import count_for

        state = handles.ledger.state(self._workspace.settings.migration)
        if state.canary:
            count_for(handles, handles.ledger, state, self._workspace.clock())


def _unfiled(handles: Handles, side: Side | None) -> list[tuple[Side, str]]:
    """The views that readers get and that have no file, of a side or of both."""
    filed = {(view.side, view.name) for view in handles.views}
    return [(at, name) for at in Side if side in (None, at) for name in handles.served[at] if (at, name) not in filed]


def _position(head: Position, to: int | None) -> Position:
    from dualgauge.replay.errors import NoSuchPosition

    if to is None:
        return head
    if not 1 <= to <= head:
        raise NoSuchPosition(to, head)
    return Position(to)


def _shapes(handles: Handles) -> list[Shape]:
    from dualgauge.replay.run import shape_of

    return [shape_of(view) for view in handles.views if not view.adopted]
