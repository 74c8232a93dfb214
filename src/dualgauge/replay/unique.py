"""Whether what a view says to be unique is so: over the events of a replay, and those of a batch and the stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadValue, CannotRead
from dualgauge.replay.errors import CannotCompute, NotUnique, Tied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine, Row
    from dualgauge.views.plan.plan import Plan


def check_unique(engine: Engine, plan: Plan) -> None:
    """
    Look at `events` as they are bound.

    Raises:
        NotUnique: two events agree in what is said to be unique, or one has a NULL there.
        CannotCompute: the view's WHERE fails on an event.
    """
    for unique in plan.unique:
        if rows := _rows(engine, plan, unique.broken):
            *values, first, last = rows[0]
            raise NotUnique(plan.view.label, unique.columns, values, first, last)


def check_ties(engine: Engine, plan: Plan, tied: Sequence[str]) -> None:
    """
    Look at the groups of a batch beside what is stored of them.

    Args:
        engine: has both.
        plan: the view's.
        tied: SELECTs of ties, as `Merge.tied` gives them.

    Raises:
        Tied: the last event of a group, or the first, is not told from the stored one by what orders them.
    """
    for sql in tied:
        if rows := _rows(engine, plan, sql):
            raise Tied(plan.view.label, *rows[0])


def _rows(engine: Engine, plan: Plan, sql: str) -> list[Row]:
    try:
        return engine.rows(sql)
    except CannotRead:
        raise
    except BadValue as fault:
        raise CannotCompute(plan.view.label, fault.reason.splitlines()[0]) from fault
