"""
The tail: builds are brought forward batch by batch, all views of both sides over the same batches, v1's first.

Each view's rows and its checkpoint are one transaction, so that a kill at any moment leaves every build whole at some
position, and the next tail goes on there. A view that fails stops at its position; the others go on.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from dualgauge.errors import DataError, UsageError
from dualgauge.model import Position, Progress, Side, silent
from dualgauge.replay.advance import KEPT, Batch, advance
from dualgauge.replay.errors import BrokenBatch
from dualgauge.replay.remembered import Remembered
from dualgauge.replay.run import build_of
from dualgauge.stores.errors import Fenced, StoreHeld
from dualgauge.views.definition import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import Advancing, BuildStore
    from dualgauge.stores.serving.writers import Lease
    from dualgauge.views.plan.plan import Plan

TARGET_SECONDS: Final = 0.075
"""A view's transaction should take about this long."""

FIRST_BATCH: Final = 10_000
SMALLEST_BATCH, LARGEST_BATCH = 100, 200_000
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two looks at a log that has nothing new: each pause is half as long again as the one before."""

_BATCH: Final = "_batch"


@dataclass(frozen=True, slots=True)
class Tailed:
    """
    What became of one build. It went from `begun` to `position`; `rows` were written.

    `left` says why it is not brought forward by a tail, and `error` what stopped it; both are empty where it went on.
    """

    view: str
    side: Side
    build: int
    begun: Position
    position: Position
    rows: int = 0
    left: str = ""
    error: str = ""

    @property
    def label(self) -> str:
        """What messages call it: `v2.orders`."""
        return f"{self.side.value}.{self.view}"


@dataclass(slots=True)
class _Build:
    """A build that is brought forward, or left: of the latter the plan may not be known."""

    known: Plan | None
    opened: Advancing | None
    state: Remembered | None
    done: Tailed

    @property
    def plan(self) -> Plan:
        assert self.known is not None  # noqa: S101  (asked for builds that are brought forward alone, as below)
        return self.known

    @property
    def advancing(self) -> Advancing:
        assert self.opened is not None  # noqa: S101
        return self.opened

    @property
    def remembered(self) -> Remembered:
        assert self.state is not None  # noqa: S101
        return self.state

    @property
    def key(self) -> tuple[Side, str, int]:
        return self.done.side, self.done.view, self.done.build


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
        progress: told the position and the head.
    """

    engine: Engine
    log: EventLog
    store: BuildStore
    leases: Mapping[Side, Lease]
    plans: Callable[[Side, Checkpoint], Plan]
    progress: Progress = silent
    held: Callable[[], Mapping[Side, Position]] = dict
    size: int = field(default_factory=lambda: FIRST_BATCH)
    _stack: ExitStack = field(default_factory=ExitStack)
    _builds: list[_Build] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def look(self) -> None:
        """Look for builds that a replay has filled meanwhile, and for those that readers get otherwise now."""
        for side in filter(self.leases.__contains__, Side):
            served = self.store.served(side)
            # A build of no event is complete at position 0, and known from one that is being loaded by being served.
            there = [
                one
                for one in self.store.checkpoints(side)
                if one.build == served.get(one.view) or (one.position and one.build > served.get(one.view, 0))
            ]
            known = {one.key for one in self._builds}
            now = {(side, one.view, one.build) for one in there if one.view in served}
            self._builds = [one for one in self._builds if one.done.side is not side or one.key in now]
            for checkpoint in there:
                if checkpoint.view in served and (side, checkpoint.view, checkpoint.build) not in known:
                    self._begin(side, checkpoint)

    def _swap(self) -> None:
        """Let readers have a build that a replay filled, where it has come to the position of the one they get."""
        for side in filter(self.leases.__contains__, Side):
            for view, number in self.store.served(side).items():
                old = self._of(side, view, number)
                newer = [one for one in self._builds if one.key[:2] == (side, view) and one.done.build > number]
                for new in newer:
                    # One that no tail keeps will come no further.
                    if new.done.left or old is None or old.done.position <= new.done.position:
                        self.store.serve(view, new.done.build, self.leases[side])
                        self._builds = [one for one in self._builds if one is not old]

    def _of(self, side: Side, view: str, number: int) -> _Build | None:
        return next((one for one in self._builds if one.key == (side, view, number)), None)

    def _begin(self, side: Side, checkpoint: Checkpoint) -> None:
        at = Position(checkpoint.position or 0)
        done = Tailed(checkpoint.view, side, checkpoint.build, at, at)
        try:
            plan = self.plans(side, checkpoint)
        except UsageError as fault:
            # Of a column that the log has no more, say: the view's own text cannot be read any longer.
            self._builds.append(_Build(None, None, None, replace(done, left=str(fault))))
            return
        advancing = self._stack.enter_context(self.store.advance(build_of(plan), checkpoint.build, self.leases[side]))
        left = "" if plan.strategy in KEPT else plan.why
        if not left and not advancing.fits:
            left = "an older dualgauge made its build, without the columns that a tail needs: replay it"
        remembered = Remembered(self.engine, plan.lookups, [] if left else advancing.lookups())
        self._builds.append(_Build(plan, advancing, remembered, replace(done, left=left)))

    def _refuse_others(self) -> None:
        """Leave the builds that were made from another log than this one is now: it was put back, or made anew."""
        end = self.log.head().last
        for build in self._open():
            history, at = build.advancing.history, build.advancing.position
            # Nothing was read for a build of no event, and one of an older dualgauge may not know.
            if at and (at > end or (history is not None and not self.log.had(history, at))):
                left = "its build was made from another history than the log has now: replay it"
                build.done = replace(build.done, left=left)

    def _open(self) -> list[_Build]:
        return [one for one in self._builds if not one.done.left and not one.done.error]

    @property
    def done(self) -> tuple[Tailed, ...]:
        """What became of each build so far."""
        return tuple(one.done for one in self._builds)

    @property
    def going(self) -> bool:
        """Whether any build is brought forward."""
        return bool(self._open())

    def catch_up(self, head: Position, stop: Callable[[], bool] = lambda: False) -> None:
        """
        Bring every build to a position of the log, batch by batch.

        Args:
            head: the position; a commit ends there.
            stop: whether to stop: asked after each view's transaction.

        Raises:
            BrokenBatch: the log does not give each position once.
            LeaseLost, StoreHeld: another process took a side, or holds its database.
        """
        self._refuse_others()
        while not stop() and (found := self._next(head)) is not None:
            batch, taken = found
            self.progress("events", batch.first - 1, head)
            self._read(batch)
            with self.engine.bound(EVENTS, f"FROM {_BATCH}"):
                slowest = 0.0
                for build in taken:
                    start = time.monotonic()
                    self._advance(build, batch)
                    slowest = max(slowest, time.monotonic() - start)
                    if stop():
                        break
            self._resize(slowest)
            self.progress("events", batch.last, head)
        self._swap()

    def _next(self, head: Position) -> tuple[Batch, list[_Build]] | None:
        """
        The next batch, and the builds that it is for: those furthest behind, v1's first.

        It goes no further than where the next ones are, and than where a side is held.
        """
        held = self.held()
        limits = {side: min(head, held.get(side, head)) for side in Side}
        behind = [
            one for one in self._builds
            if not one.done.left and not one.done.error and one.advancing.position < limits[one.done.side]
        ]  # fmt: skip
        if not behind:
            return None
        at = min(one.advancing.position for one in behind)
        taken = [one for one in behind if one.advancing.position == at]
        ends = [limits[one.done.side] for one in taken]
        last = min(at + self.size, *ends, *(one.advancing.position for one in behind if one not in taken))
        end = Position(last)
        batch = Batch(Position(at + 1), end, self.log.history(end) or self.log.within(end))
        return batch, taken

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

    def _advance(self, build: _Build, batch: Batch) -> None:
        try:
            rows = advance(self.engine, build.plan, build.advancing, build.remembered, self.store.dialect, batch)
        except StoreHeld:
            raise
        except Fenced:
            # Its view was taken from readers, or another replay was served meanwhile.
            build.done = replace(build.done, left="its build is no longer what readers get")
            return
        except DataError as fault:
            build.done = replace(build.done, error=str(fault))
            return
        build.done = replace(build.done, position=batch.last, rows=build.done.rows + rows)

    def _resize(self, seconds: float) -> None:
        wanted = self.size * 3 // 2 if seconds < TARGET_SECONDS else self.size // 2
        self.size = max(SMALLEST_BATCH, min(LARGEST_BATCH, wanted))
