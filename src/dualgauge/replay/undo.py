"""Undoing a rebuild: readers get the build that they had before, brought to the log's head with its own text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.model import Position, Progress, Side, silent, utc_now
from dualgauge.replay.advance import KEPT
from dualgauge.replay.errors import CannotUndo, NothingToUndo
from dualgauge.replay.run import replay, shape_of
from dualgauge.replay.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.replay.holding import Holding
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import BuildStore
    from dualgauge.views.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Undone:
    """A view of which readers got the build before: `build` in the place of `instead_of`, at `position`."""

    view: str
    side: Side
    build: int
    instead_of: int
    position: Position

    @property
    def label(self) -> str:
        """What messages call it: `v2.orders`."""
        return f"{self.side.value}.{self.view}"


def kept_builds(store: BuildStore, views: Sequence[tuple[Side, str]]) -> list[tuple[Side, Checkpoint]]:
    """
    The build of each view that readers had before.

    Raises:
        NothingToUndo: a view has none, or it was dropped since.
    """
    found = []
    for side, view in views:
        number = store.previous(side).get(view)
        builds = [one for one in store.checkpoints(side) if (one.view, one.build) == (view, number)]
        if not builds:
            raise NothingToUndo(f"{side.value}.{view}")
        found.append((side, builds[0]))
    return found


def undo(  # noqa: PLR0917  (called with all of them, in this order)
    engine: Engine, log: EventLog, store: BuildStore, holding: Holding, views: Sequence[tuple[Side, str]],
    plans: Callable[[Side, Checkpoint], Plan], *, progress: Progress = silent,
) -> list[Undone]:  # fmt: skip
    """
    Let readers have the builds that they had before, at the log's head.

    A build whose plan a tail keeps is brought forward; of another one its own text is replayed into a new build.

    Args:
        engine: computes.
        log: the history.
        store: has the builds.
        holding: takes the sides: no other process brings them forward meanwhile.
        views: which.
        plans: of the text that each build was made from.
        progress: told the position and the head.

    Raises:
        NothingToUndo: a view has no build before; nothing was changed.
        CannotUndo: a build cannot be brought to the log's head; readers keep what they have.
        SideHeld: another process holds a side.
        ViewError: the text that a build was made from cannot be read any more.
    """
    found = kept_builds(store, views)
    holding.take({side for side, _ in found})
    by_plan = {(side, one.view): plans(side, one) for side, one in found}
    head = log.head().last
    for side, one in found:
        plan = by_plan[side, one.view]
        if plan.strategy not in KEPT and one.position != head and not store.has_shape(shape_of(plan.view)):
            reason = "only a replay brings it there, and the table schema of the view was changed since"
            raise CannotUndo(plan.view.label, one.build, reason)

    def unstopped() -> bool:
        holding.renew()
        return False

    tailed = [(side, one) for side, one in found if by_plan[side, one.view].strategy in KEPT]
    with Tail(
        engine, log, store, holding.leases, plans, progress=progress,
        chosen=lambda _, side: [one for at, one in tailed if at is side],
    ) as tail:  # fmt: skip
        tail.catch_up(head, unstopped)
        for went in tail.done:
            if went.left or went.error:
                raise CannotUndo(went.label, went.build, went.left or went.error)
    done = []
    for side, one in found:
        plan, build = by_plan[side, one.view], one.build
        if plan.strategy not in KEPT and one.position != head:
            (again,) = replay(engine, log, store, [plan], head, force=True, progress=progress)
            build = again.build
            holding.renew()
        before = store.served(side)[one.view]
        if build != before:
            store.serve(one.view, build, holding.leases[side], utc_now())
        done.append(Undone(one.view, side, build, before, head))
    return done
