"""
Replaying views: the whole history up to one position, computed in the engine, loaded in short transactions.

A kill leaves readers the build they had; the next replay of the same definition to the same position goes on
after the last committed row.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadValue, CannotRead
from dualgauge.model import Position, Progress, Side, silent
from dualgauge.replay.answer import answered
from dualgauge.replay.remembered import last_rows
from dualgauge.replay.unique import check_unique
from dualgauge.stores.errors import UnstorableValue
from dualgauge.stores.serving.shapes import Shape
from dualgauge.views.definition import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.replay.answer import Answer
    from dualgauge.stores.serving.port import BuildStore, Loading
    from dualgauge.views.definition import ViewDefinition
    from dualgauge.views.plan.plan import Plan

FIRST_CHUNK = 10_000
TARGET_SECONDS = 0.05
"""A chunk's transaction should take about this long: well under the 200 ms after which others would notice."""
SMALLEST_CHUNK, LARGEST_CHUNK = 500, 50_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one view. `build` is served now; `skipped` where it was at the position already."""

    view: str
    side: Side
    build: int
    position: Position
    rows: int
    resumed_at: int
    skipped: bool
    seconds: float


def build_of(plan: Plan) -> Shape:
    """The shape that a view's builds have, with what only they have."""
    return replace(shape_of(plan.view), hidden=plan.hidden, looks_up=bool(plan.lookups))


def shape_of(view: ViewDefinition) -> Shape:
    """The shape that a view's definition asks for."""
    return Shape(
        side=view.side, view=view.name, columns=view.columns, key=view.key, indexes=view.header.indexes,
    )  # fmt: skip


def is_current(log: EventLog, store: BuildStore, view: ViewDefinition, position: Position) -> int | None:
    """The number of the served build, where it was made from this text and this log, and is at this position."""
    one = store.served_builds(view.side).get(view.name)
    # A build without a token is of an older dualgauge, and no evidence can name it.
    if one is None or not one.token or one.definition_hash != view.hash or one.position != position:
        return None
    return one.build if log.had(one.history, position) else None


def replay(
    engine: Engine,
    log: EventLog,
    store: BuildStore,
    plans: Sequence[Plan],
    position: Position,
    *,
    force: bool = False,
    keep: timedelta = timedelta(0),
    progress: Progress = silent,
) -> list[Replayed]:
    """
    Bring views to a position, each by a full replay into a new build.

    Args:
        engine: computes the answers.
        log: the history.
        store: takes the builds; the views' shapes must be in it.
        plans: the views, in any order and of either side.
        position: up to which event, inclusive; the same for all of them.
        force: build anew what is at the position already.
        keep: for how long the builds that readers have now stay at least.
        progress: told rows loaded and their number, view by view.

    Raises:
        CannotCompute: a view's SELECT fails on an event.
        NotUnique: a view's `-- unique:` does not hold.
        BadKeys: a key is NULL or repeats; readers keep what they had.
        UnstorableValue: a value does not fit its stored type.
        Fenced: another replay took a build over.
    """
    with engine.bound(EVENTS, log.relation(position)):
        return [_one(engine, log, store, one, position, force=force, keep=keep, progress=progress) for one in plans]


def _one(
    engine: Engine, log: EventLog, store: BuildStore, plan: Plan, position: Position, *, force: bool, keep: timedelta,
    progress: Progress,
) -> Replayed:  # fmt: skip
    view = plan.view
    start = time.monotonic()
    current = None if force else is_current(log, store, view, position)
    if current is not None:
        return Replayed(view.name, view.side, current, position, rows=0, resumed_at=0, skipped=True, seconds=0.0)
    progress(f"{view.label}: computing", 0, None)
    check_unique(engine, plan)
    with answered(engine, plan, plan.select(position)) as answer:
        answer.check_keys()
        try:
            known_by = log.ends(position).known_by(position)
            with store.load(build_of(plan), view.hash, view.text, position, known_by, keep=keep) as loading:
                resumed_at = loading.rows
                _load(answer, store.dialect, loading, progress=progress)
                loading.keep(last_rows(engine, plan.lookups))
                loading.finish()
                return Replayed(
                    view.name, view.side, loading.build, position,
                    rows=answer.seen, resumed_at=resumed_at, skipped=False, seconds=time.monotonic() - start,
                )  # fmt: skip
        except CannotRead:
            raise
        except BadValue as fault:
            raise UnstorableValue(view.label, fault.reason.split(": ", 1)[-1]) from fault


def _load(answer: Answer, dialect: str, loading: Loading, *, progress: Progress) -> None:
    """Load the answer in key order, each chunk sized so that its transaction stays short."""
    label, size = answer.view.label, FIRST_CHUNK
    progress(f"{label}: loading", loading.rows, answer.rows)
    for batch in answer.batches(dialect, LARGEST_CHUNK, skip=loading.rows):
        at = 0
        while at < batch.num_rows:
            chunk = batch.slice(at, size)
            at += chunk.num_rows
            size = _next_size(size, _timed(loading, chunk))
            progress(f"{label}: loading", loading.rows, answer.rows)
    progress(f"{label}: loading", loading.rows, answer.rows)


def _timed(loading: Loading, chunk: pa.RecordBatch) -> float:
    start = time.monotonic()
    loading.append(chunk)
    return time.monotonic() - start


def _next_size(size: int, seconds: float) -> int:
    wanted = int(size * TARGET_SECONDS / max(seconds, 0.001))
    # At most doubled: one quick chunk says little.
    return max(SMALLEST_CHUNK, min(LARGEST_CHUNK, wanted, size * 2))
