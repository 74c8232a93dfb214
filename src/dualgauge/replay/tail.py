"""
The tail: builds are brought forward batch by batch, all views of both sides over the same batches, v1's first.

Each view's rows and its checkpoint are one transaction, so that a kill at any moment leaves every build whole at some
position, and the next tail goes on there. A view that fails stops at its position; the others go on.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final, Self

from dualgauge.engines.errors import EngineError
from dualgauge.errors import DataError, UsageError
from dualgauge.model import Clock, Position, Progress, Side, silent, utc_now
from dualgauge.replay.advance import KEPT, Batch, change
from dualgauge.replay.errors import BrokenBatch
from dualgauge.replay.held_up import HeldUp
from dualgauge.replay.hot_keys import Tally
from dualgauge.replay.late import old_windows
from dualgauge.replay.pace import Pace
from dualgauge.replay.remembered import Remembered
from dualgauge.replay.run import build_of, replay, shape_of
from dualgauge.stores.errors import Fenced, StoreDamaged, StoreHeld
from dualgauge.views.definition import EVENTS
from dualgauge.views.plan.plan import Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.commits import Head
    from dualgauge.eventlog.table.ends import Ends
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import Advancing, BuildStore
    from dualgauge.stores.serving.tail_state import HotKey
    from dualgauge.stores.serving.writers import Lease
    from dualgauge.views.plan.plan import Plan

SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two looks at a log that has nothing new: each pause is half as long again as the one before."""

_BATCH: Final = "_batch"
_TAKEN: Final = "its build is no longer what readers get"
"""Its view was taken from readers, or another replay was served meanwhile."""


@dataclass(frozen=True, slots=True)
class Tailed:
    """
    What became of one build. It went from `begun` to `position`; `rows` were written.

    `left` says why it is not brought forward by a tail, and `error` what stopped it; both are empty where it went on.
    `by_plan`: it is left because its view's plan is to be replayed, which `dualgauge plan` says at length.
    `old_windows`: how often a batch changed a window of time (an hour or a day in the view's key) that was not, or
    after, the newest one that the build had before that batch. `hot_keys`: see `HotKey`.
    """

    view: str
    side: Side
    build: int
    begun: Position
    position: Position
    rows: int = 0
    left: str = ""
    error: str = ""
    by_plan: bool = False
    old_windows: int = 0
    hot_keys: tuple[HotKey, ...] = ()

    @property
    def label(self) -> str:
        """What messages call it: `v2.orders`."""
        return f"{self.side.value}.{self.view}"


@dataclass(slots=True, eq=False)
class _Build:
    """A build, left as it is."""

    done: Tailed

    @property
    def key(self) -> tuple[Side, str, int]:
        return self.done.side, self.done.view, self.done.build


@dataclass(slots=True, eq=False)
class _Rebuilt(_Build):
    """A build that a replay takes the place of, again and again: its view allows it."""

    plan: Plan


@dataclass(slots=True, eq=False)
class _Moving(_Build):
    """
    A build that is brought forward.

    `checked` is the log's head when it was found to be of this log; `newest` the newest window of time that it has.
    """

    plan: Plan
    advancing: Advancing
    remembered: Remembered
    tally: Tally
    checked: Head | None = None
    newest: object = None


def to_keep(store: BuildStore, side: Side) -> list[Checkpoint]:
    """The builds of a side that readers get, and newer ones that a replay has filled and nobody had yet."""
    served = store.served(side)
    # A build of no event is complete at position 0, and known from one that is being loaded by being served.
    return [
        one
        for one in store.checkpoints(side)
        if one.view in served
        and (one.build == served[one.view] or (one.position and one.build > served[one.view] and one.kept is None))
    ]


@dataclass
class Tail:
    """
    A tail over the builds that readers get, of the sides whose leases are held.

    Args:
        engine: computes.
        log: the history.
        store: has the builds.
        leases: the sides.
        plans: of the text that each build was made from, by side and view.
        held: the positions at which sides are to be held for a moment: asked before each batch.
        pace: how large batches are, and how long to wait between two.
        progress: told the position and the head.
        clock: says the time.
        chosen: the builds of a side that are brought forward; by default those that readers get, and newer ones.
        rebuilding: around a full replay, which may take longer than a lease lasts.
        held_up: the sides that others do not wait for.
    """

    engine: Engine
    log: EventLog
    store: BuildStore
    leases: Mapping[Side, Lease]
    plans: Callable[[Side, Checkpoint], Plan]
    progress: Progress = silent
    held: Callable[[], Mapping[Side, Position]] = dict
    pace: Pace = field(default_factory=Pace)
    clock: Clock = utc_now
    chosen: Callable[[BuildStore, Side], Sequence[Checkpoint]] = to_keep
    rebuilding: Callable[[], AbstractContextManager[None]] = nullcontext
    held_up: HeldUp = field(default_factory=HeldUp)
    _stack: ExitStack = field(default_factory=ExitStack)
    _due: dict[tuple[Side, str], float] = field(default_factory=dict)
    _builds: list[_Build] = field(default_factory=list)
    _without: set[tuple[Side, str]] = field(default_factory=set)
    """Views of which readers get a build that has no checkpoint any more: nothing is known of it."""

    def __enter__(self) -> Self:
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def look(self) -> None:
        """Look for builds that a replay has filled meanwhile, and for those that readers get otherwise now."""
        gone = self.held_up.replaced | (set(Side) - self.leases.keys())
        self._builds = [one for one in self._builds if one.done.side not in gone]
        self.held_up.replaced -= self.leases.keys()
        for side in filter(self.leases.__contains__, Side):
            if not self.held_up.waits(side):
                with self.held_up.apart(side):
                    self._look(side)
        # v1's first, in every batch.
        self._builds.sort(key=lambda one: one.done.side.value)

    def _look(self, side: Side) -> None:
        there = self.chosen(self.store, side)
        now = {(side, one.view, one.build) for one in there}
        self._builds = [one for one in self._builds if one.done.side is not side or one.key in now]
        known = {one.key for one in self._builds}
        new = [one for one in there if (side, one.view, one.build) not in known]
        if new:
            served, known_builds = (
                self.store.served(side),
                {(one.view, one.build) for one in self.store.checkpoints(side)},
            )
            self._without |= {(side, one.view) for one in new if (one.view, served.get(one.view)) not in known_builds}
        self._builds += [self._begun(side, one) for one in new]

    def swap(self) -> None:
        """Let readers have a build that a replay filled, where it has come to the position of the one they get."""
        several = Counter(one.key[:2] for one in self._builds)
        for side, view in [place for place, count in several.items() if count > 1 or place in self._without]:
            if not self.held_up.waits(side):
                with self.held_up.apart(side):
                    self._swap(side, view)

    def _swap(self, side: Side, view: str) -> None:
        number = self.store.served(side)[view]
        of_view = sorted((one for one in self._builds if one.key[:2] == (side, view)), key=lambda one: one.done.build)
        old = next((one for one in of_view if one.done.build == number), None)
        for new in (one for one in of_view if one.done.build > number):
            # One that no tail keeps will come no further; one that stopped at an error does not take its place.
            stays = bool(new.done.left) or isinstance(new, _Rebuilt)
            if stays or old is None or old.done.position <= new.done.position:
                self.store.serve(view, new.done.build, self.leases[side], self.clock())
                self._without.discard((side, view))
                self._builds = [one for one in self._builds if one is not old]

    def _begun(self, side: Side, checkpoint: Checkpoint) -> _Build:
        at = Position(checkpoint.position or 0)
        done = Tailed(checkpoint.view, side, checkpoint.build, at, at)
        try:
            plan = self.plans(side, checkpoint)
        except UsageError as fault:
            # Of a column that the log has no more, say: the view's own text cannot be read any longer.
            return _Build(replace(done, left=str(fault)))
        if plan.strategy not in KEPT and plan.view.allows_full:
            return _Rebuilt(done, plan)
        if plan.strategy not in KEPT:
            return _Build(replace(done, left=plan.why, by_plan=True))
        opened = self.store.advance(build_of(plan), checkpoint.build, self.leases[side])
        try:
            advancing = self._stack.enter_context(opened)
        except StoreDamaged as fault:
            return _Build(replace(done, error=str(fault)))
        if not advancing.fits:
            left = "its build has not the columns that a tail needs, as one of an older dualgauge: replay it"
            return _Build(replace(done, left=left))
        remembered = Remembered(self.engine, plan.lookups, advancing.lookups())
        return _Moving(
            done,
            plan,
            advancing,
            remembered,
            Tally(plan.merge.key if plan.merge else ()),
            newest=advancing.newest(plan.windows[0]) if plan.windows else None,
        )

    def _stop(self, build: _Build, *, left: str = "", error: str = "") -> None:
        """Bring a build no further."""
        stopped = _Build(replace(build.done, left=left, error=error))
        self._builds = [stopped if one is build else one for one in self._builds]

    def _refuse_others(self, ends: Ends) -> None:
        """Leave the builds that were made from another log than this one is now: it was put back, or made anew."""
        head = self.log.head()
        for build in self._moving:
            if build.checked == head:
                continue
            build.checked = head
            known, at = build.advancing.history, build.advancing.position
            # Nothing was read for a build of no event, and one of an older dualgauge may not know.
            if at and (at > head.last or (known is not None and not ends.had(known, at))):
                self._stop(build, left="its build was made from another history than the log has now: replay it")

    @property
    def _moving(self) -> list[_Moving]:
        return [one for one in self._builds if isinstance(one, _Moving)]

    @property
    def done(self) -> tuple[Tailed, ...]:
        """What became of each build so far."""
        return tuple(one.done for one in self._builds)

    @property
    def going(self) -> bool:
        """Whether any build is brought forward, or rebuilt."""
        return any(isinstance(one, _Moving | _Rebuilt) for one in self._builds)

    def catch_up(
        self, head: Position, stop: Callable[[], bool] = lambda: False, *, v2_seconds: float = math.inf
    ) -> None:
        """
        Bring every build to a position of the log, batch by batch: v1's, and then v2's that are further behind.

        Args:
            head: the position; a commit ends there.
            stop: whether to stop: asked after each view's transaction, and while the pace asks to wait.
            v2_seconds: leave the rest of what v2 is behind for the next call after so long.

        Raises:
            BrokenBatch: the log does not give each position once.
            LeaseLost, StoreHeld: another process took a side, or holds its database.
        """
        begun = time.monotonic()
        ends = self.log.ends(min((one.advancing.position for one in self._moving), default=head))
        self._refuse_others(ends)
        while not stop() and (found := self._next(head, ends)) is not None:
            batch, taken = found
            self.progress("events", batch.first - 1, head)
            self._read(batch)
            with self.engine.bound(EVENTS, f"FROM {_BATCH}"):
                self._advance_all(taken, batch, stop)
            self.progress("events", batch.last, head)
            self.pace.batch_done(batch.last - batch.first + 1)
            self.pace.wait(stop)
            # At least one: where v1 takes all of the time, v2 goes on all the same.
            if time.monotonic() - begun > v2_seconds and all(one.done.side is Side.V2 for one in taken):
                break
        self.swap()

    def rebuild(self, head: Position, *, now: bool) -> None:
        """
        Replay the views that allow it, and that no tail keeps otherwise, up to a position; readers get them at once.

        Such a view is replayed for a fifth of the time at most; but `now`, and where a side is held, when it is behind.

        Raises:
            LeaseLost, StoreHeld: another process took a side, or holds its database.
        """
        held = self.held()
        for build in [one for one in self._builds if isinstance(one, _Rebuilt)]:
            side, view = build.done.side, build.done.view
            to = min(head, held.get(side, head))
            due = now or side in held or time.monotonic() >= self._due.get((side, view), 0.0)
            if not due or build.done.position >= to or self.held_up.waits(side):
                continue
            with self.held_up.apart(side):
                self._rebuild(build, to)

    def _rebuild(self, build: _Rebuilt, to: Position) -> None:
        side, view = build.done.side, build.done.view
        if not self.store.has_shape(shape_of(build.plan.view)):
            self._stop(build, left="the table schema of its view was changed since it was built: replay it")
            return
        start = time.monotonic()
        with self._stopping(build), self.rebuilding():
            (made,) = replay(self.engine, self.log, self.store, [build.plan], to, progress=self.progress)
            self.held_up.written(side)
            self.look()
            self.swap()
            for new in self._builds:
                if new.key == (side, view, made.build):
                    new.done = replace(new.done, begun=build.done.begun, rows=build.done.rows + made.rows)
        ended = time.monotonic()
        self._due[side, view] = ended + 4 * (ended - start)

    def _next(self, head: Position, ends: Ends) -> tuple[Batch, list[_Moving]] | None:
        """
        The next batch, and the builds that it is for: those of v1 furthest behind, or of v2 where v1 has all.

        It goes no further than where the next ones are, and than where a side is held. A side that cannot be written is
        left out.
        """
        held = self.held()
        limits = {side: min(head, held.get(side, head)) for side in Side}
        behind = [
            one
            for one in self._moving
            if one.advancing.position < limits[one.done.side] and not self.held_up.waits(one.done.side)
        ]
        if not behind:
            return None
        of_v1 = [one for one in behind if one.done.side is Side.V1]
        at = min(one.advancing.position for one in of_v1 or behind)
        taken = [one for one in behind if one.advancing.position == at]
        bounds = [limits[one.done.side] for one in taken]
        ahead = [one.advancing.position for one in behind if one.advancing.position > at]
        last = min(at + self.pace.batch, *bounds, *ahead)
        end = Position(last)
        return Batch(Position(at + 1), end, ends.known_by(end)), taken

    def _read(self, batch: Batch) -> None:
        """Read the events once for all views, and make sure that each position is there once."""
        relation = self.log.relation(batch.last, Position(batch.first - 1))
        self.engine.execute(f"CREATE OR REPLACE TEMP TABLE {_BATCH} AS {relation}")
        found = self.engine.row(
            f"SELECT count(*), count(DISTINCT position), min(position), max(position) FROM {_BATCH}"
        )
        due = batch.last - batch.first + 1
        if found != (due, due, batch.first, batch.last):
            raise BrokenBatch(batch.first, batch.last, found[0])

    def _advance_all(self, taken: Sequence[_Moving], batch: Batch, stop: Callable[[], bool]) -> None:
        """Bring builds over a batch, v1's first."""
        stopped = False
        for side, builds in groupby(taken, key=lambda build: build.done.side):
            untouched = []
            with self.held_up.apart(side):
                for build in builds:
                    with self._stopping(build):
                        if not self._advance(build, batch):
                            untouched.append(build)
                    if stopped := stop():
                        break
                self._pass_over(untouched, batch)
                self.held_up.written(side)
            if stopped:
                break

    def _advance(self, build: _Moving, batch: Batch) -> bool:
        """Write what a batch changes in a build; false where it changes nothing, and nothing was written."""
        made = change(self.engine, build.plan, build.advancing, build.remembered, self.store.dialect)
        if made.empty:
            return False
        start = time.monotonic()
        build.advancing.apply(
            made.rows, batch.first, batch.last, batch.known_by,
            new=build.plan.strategy is Strategy.APPEND, lookups=made.lookups,
        )  # fmt: skip
        self.pace.written(time.monotonic() - start)
        build.remembered.keep(made.lookups)
        late = 0
        if made.windows is not None:
            late, build.newest = old_windows(made.windows, build.newest)
        build.tally.add(made.heaviest, made.events)
        build.done = replace(
            build.done, position=batch.last, rows=build.done.rows + made.rows.num_rows,
            old_windows=build.done.old_windows + late, hot_keys=build.tally.hot(),
        )  # fmt: skip
        return True

    def _pass_over(self, builds: Sequence[_Moving], batch: Batch) -> None:
        """Move the checkpoints of a side's builds over a batch that changes nothing in them, in one transaction."""
        if not builds:
            return
        bounds = batch.first, batch.last, batch.known_by
        try:
            builds[0].advancing.pass_over([build.advancing for build in builds[1:]], *bounds)
        except Fenced:
            # One of them: each by itself, so that it stops alone.
            if len(builds) > 1:
                for build in builds:
                    self._pass_over([build], batch)
                return
            self._stop(builds[0], left=_TAKEN)
        for build in builds:
            build.done = replace(build.done, position=build.advancing.position)

    @contextmanager
    def _stopping(self, build: _Build) -> Iterator[None]:
        """Bring a build no further where it fails."""
        try:
            yield
        except StoreHeld:
            raise
        except Fenced:
            self._stop(build, left=_TAKEN)
        except (DataError, EngineError, StoreDamaged) as fault:
            # Also what the engine cannot do with a value, and what does not fit its memory: it is this view's alone.
            self._stop(build, error=str(fault))
