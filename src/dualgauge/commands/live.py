"""Looking at a log and its tails while they go: nothing is written, and what cannot be read is left out."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dualgauge.errors import DualgaugeError
from dualgauge.model import Side

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dualgauge.cutover.status import LiveState
    from dualgauge.stores.serving.writers import Lease
    from dualgauge.workspace import Handles

T = TypeVar("T")


def live_state(handles: Handles, at: datetime) -> LiveState:
    """How the log and the tails go at a time; what cannot be read of the log is not known."""
    from dualgauge.cutover.status import LiveState
    from dualgauge.eventlog.table.lag import arrival_rate, lags
    from dualgauge.replay.advance import KEPT

    positions = [one.position for side in handles.served.values() for one in side.values()]
    found = {(one.side, one.name): _if_readable(partial(handles.strategy, one)) for one in handles.views}
    return LiveState(
        lags=_if_readable(lambda: lags(handles.log, positions, at)) or {},
        arrivals=_if_readable(lambda: arrival_rate(handles.log, at)),
        holders=_holders(handles),
        tails={(side, one.view, one.build): one for side in Side for one in handles.builds.tail_states(side)},
        strategies={key: (one.value, one in KEPT) for key, one in found.items() if one},
        now=dt.datetime.now(dt.UTC),
    )


def _holders(handles: Handles) -> dict[Side, Lease | None]:
    """
    Who brings each side forward; None where nobody does, or who did is gone.

    A tail that cannot write a side's database cannot renew its lease there: it is known by the other one.
    """
    found = {side: handles.builds.writer(side) for side in Side}
    # The lease is of the system's clock, whatever the project's is.
    alive = {one.holder for one in found.values() if one is not None and one.holds(dt.datetime.now(dt.UTC))}
    return {side: one if one is not None and one.holder in alive else None for side, one in found.items()}


def _if_readable(look: Callable[[], T]) -> T | None:
    """What a look gives; None where it cannot be had."""
    try:
        return look()
    except DualgaugeError:
        return None
