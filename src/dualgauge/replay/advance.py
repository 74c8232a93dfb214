"""The rows of one batch of events in a whole build, by the plan of its view. `events` are the batch's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dualgauge.engines.errors import BadValue, CannotRead
from dualgauge.model import quote
from dualgauge.replay.answer import answered
from dualgauge.replay.errors import CannotCompute
from dualgauge.replay.hot_keys import HEAVIEST
from dualgauge.replay.remembered import last_rows
from dualgauge.replay.unique import check_ties, check_unique
from dualgauge.stores.errors import UnstorableValue
from dualgauge.stores.serving.types import bound_columns
from dualgauge.views.plan.plan import Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dualgauge.engines.duck import Engine
    from dualgauge.model import Position
    from dualgauge.replay.remembered import Remembered
    from dualgauge.stores.serving.port import Advancing
    from dualgauge.views.plan.merge import Merge
    from dualgauge.views.plan.plan import Plan

KEPT: Final = frozenset((Strategy.MERGE, Strategy.APPEND))
"""The strategies by which a build is brought forward batch by batch."""

_GROUPS: Final = "_groups"
_STORED: Final = "_stored"


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that follow on each other. `known_by` is what the log is known by at the last: see `Ends.known_by`."""

    first: Position
    last: Position
    known_by: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """
    What a batch changes in a build: rows by the build's columns, and what its view looks up from then on.

    `windows` are the windows of time that it changes, as they are stored, where the view's key has such a column.
    `heaviest` are the keys, as text, that most of its `events` went to, each with its number, where groups are merged.
    """

    rows: pa.Table
    lookups: Sequence[tuple[int, str, str]] = ()
    windows: pa.ChunkedArray | None = None
    heaviest: Sequence[tuple[tuple[str, ...], int]] = ()
    events: int = 0

    @property
    def empty(self) -> bool:
        """Whether the batch changes nothing."""
        return not self.rows.num_rows and not self.lookups


def change(engine: Engine, plan: Plan, build: Advancing, remembered: Remembered, dialect: str) -> Change:
    """
    What a batch changes in a build that is right before it; nothing is written.

    Args:
        engine: its `events` are those of the batch and no other.
        plan: the view's, of the text that the build was made from.
        build: the build.
        remembered: what the view looks up, as of before the batch.
        dialect: the store's.

    Raises:
        CannotCompute: the view's SELECT fails on an event.
        NotUnique, Tied: the view's `-- unique:` does not hold.
        BadKeys: a key is NULL or repeats.
        UnstorableValue: a value does not fit its stored type.
        Fenced: another process took over the build.
    """
    try:
        with remembered.bound():
            made = _rows(engine, plan, build, dialect)
    except CannotRead:
        raise
    except BadValue as fault:
        raise UnstorableValue(plan.view.label, fault.reason.split(": ", 1)[-1]) from fault
    return replace(made, lookups=last_rows(engine, plan.lookups))


def _rows(engine: Engine, plan: Plan, build: Advancing, dialect: str) -> Change:
    check_unique(engine, plan)
    if plan.merge is not None:
        return _merged(engine, plan, plan.merge, build, dialect)
    with answered(engine, plan, plan.batch_sql) as answer:
        answer.check_keys()
        return Change(answer.table(dialect))


def _merged(engine: Engine, plan: Plan, merge: Merge, build: Advancing, dialect: str) -> Change:
    """The rows of the batch's groups, made one with what is stored of them."""
    view = plan.view
    key = ", ".join(map(quote, merge.key))
    numbered = f"SELECT *, row_number() OVER (ORDER BY {key}) - 1 AS _i FROM ({merge.of_batch}\n)"
    try:
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {_GROUPS} AS {numbered}")
    except CannotRead:
        raise
    except BadValue as fault:
        raise CannotCompute(view.label, fault.reason.splitlines()[0]) from fault
    try:
        kinds = {name: view.columns[name] for name in view.key}
        bound = zip(bound_columns(view.label, kinds, dialect), kinds, strict=True)
        keys = ", ".join(f"{value} AS {quote(name)}" for value, name in bound)
        groups = engine.arrow(f"SELECT {keys} FROM {_GROUPS} ORDER BY _i")
        windows = groups.column(plan.windows[0]) if plan.windows else None
        stored = build.stored(groups)
        engine.register(_STORED, stored)
        try:
            check_ties(engine, plan, merge.tied(_GROUPS, _STORED))
            with answered(engine, plan, merge.rows(merge.joined(_GROUPS, _STORED))) as answer:
                answer.check_keys()
                heaviest, events = _heaviest(engine, merge)
                return Change(answer.table(dialect), windows=windows, heaviest=heaviest, events=events)
        finally:
            engine.unregister(_STORED)
    finally:
        engine.execute(f"DROP TABLE IF EXISTS {_GROUPS}")


def _heaviest(engine: Engine, merge: Merge) -> tuple[Sequence[tuple[tuple[str, ...], int]], int]:
    """The keys that most events of a batch went to, each with its number, and how many it has for all keys."""
    key = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in merge.key)
    found = engine.rows(
        f"SELECT {key}, _events, CAST(sum(_events) OVER () AS BIGINT) FROM {_GROUPS} "
        f"ORDER BY _events DESC, _i LIMIT {HEAVIEST}"
    )
    return [(tuple(row[:-2]), row[-2]) for row in found], found[0][-1] if found else 0
