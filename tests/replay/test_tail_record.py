"""What a tail writes down of itself: its pace while it works, and an error at once."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.model import Position, Side
from dualgauge.replay.tail import Tailed
from dualgauge.replay.tail_record import TailRecord
from dualgauge.stores.errors import LeaseLost
from dualgauge.stores.serving.tail_state import TailState
from support.inside import handles_of
from support.tailed import VIEWS, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dualgauge.stores.serving.port import BuildStore

AT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BuildStore]:
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    with handles_of(dualgauge.open(tmp_path)) as handles:
        yield handles.builds


def done(position: int, error: str = "") -> list[Tailed]:
    return [Tailed("counts", Side.V1, 3, Position(0), Position(position), error=error)]


def test_the_pace_is_of_the_time_in_which_events_were_applied(store: BuildStore) -> None:
    lease = store.take(Side.V1, "one", AT, AT + dt.timedelta(seconds=9))
    now = [0.0]
    record = TailRecord(store, {Side.V1: lease}, clock=lambda: AT, timer=lambda: now[0])

    def look(at: float, position: int, error: str = "") -> TailState:
        now[0] = at
        record(done(position, error))
        (found,) = store.tail_states(Side.V1)
        return found

    assert store.tail_states(Side.V1) == []
    assert look(0.0, 10) == TailState("counts", 3, AT)
    # Half a second for 50 events: nothing is written before a second is over.
    assert look(0.5, 60).rate is None
    # Then it waits for events, which makes it no slower.
    assert look(60.0, 60).rate == 100
    assert look(60.5, 60).rate == 100
    assert look(61.5, 70).rate == 10
    assert look(61.6, 70, "it cannot be computed") == TailState(
        "counts", 3, AT, 10.0, "it cannot be computed", Position(70)
    )
    assert look(61.7, 70).error == ""


def test_who_has_lost_the_side_writes_nothing_down(store: BuildStore) -> None:
    first = store.take(Side.V1, "one", AT, AT)
    second = store.take(Side.V1, "two", AT, AT + dt.timedelta(seconds=9))
    TailRecord(store, {Side.V1: second}, clock=lambda: AT)(done(5))
    TailRecord(store, {Side.V1: first}, clock=lambda: AT)(done(4, "from long ago"))

    assert [one.error for one in store.tail_states(Side.V1)] == [""]
    with pytest.raises(LeaseLost, match="v1 was taken over by two"):
        store.record_tail(first, [])
