"""What is said of a view that a tail brings forward: when it is at the head, or that it will not be."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from dualgauge.cutover.status import LiveState, ViewReadiness, view_status
from dualgauge.model import Position, Side
from dualgauge.stores.serving.checkpoints import Checkpoint
from dualgauge.stores.serving.tail_state import TailState
from dualgauge.stores.serving.writers import Lease
from dualgauge.views.definition import ViewDefinition
from dualgauge.views.header import Header

AT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
KEY = (Side.V2, "orders", 3)


def view(*, text_hash: str = "h") -> ViewDefinition:
    header = Header(key=("id",))
    return ViewDefinition("orders", Side.V2, Path("orders.sql"), "", header, {"id": "BIGINT"}, text_hash)


def live(rate: float | None, arrivals: float | None, lag: float, *, held: bool = True, error: int = 0) -> LiveState:
    tail = TailState("orders", 3, AT, rate, "it fails" if error else "", Position(error) if error else None)
    lease = Lease(Side.V2, "ada", 1, AT) if held else None
    return LiveState(
        {Position(100): dt.timedelta(seconds=lag)}, arrivals, {Side.V1: None, Side.V2: lease}, {KEY: tail},
        {KEY[:2]: ("merge", True)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "eta", "catches_up"),
    [
        (live(500, 100, 60), 2.25, True),
        (live(500, 0, 60), 1.8, True),
        (live(100, 100, 60), None, False),
        (live(90, 100, 5), None, False),
        (live(90, 100, 4.9), None, None),
        (live(500, None, 60), None, None),
        (live(None, 100, 60), None, None),
        (live(500, 100, 60, held=False), None, None),
        (live(500, 100, 60, error=100), None, None),
    ],
)
def test_a_view_is_at_the_head_in_time_or_will_not_catch_up(
    state: LiveState, eta: float | None, catches_up: bool | None
) -> None:
    build = Checkpoint("orders", 3, Position(100), 1, "h", "", "t")
    found = view_status(view(), build, Position(1_000), state)

    assert (found.behind, found.eta_seconds, found.catches_up) == (900, eta, catches_up)


def test_an_error_counts_as_long_as_the_build_is_where_it_stopped() -> None:
    build = Checkpoint("orders", 3, Position(100), 1, "h", "", "t")

    stopped = view_status(view(), build, Position(1_000), live(5, 1, 60, error=100))
    assert (stopped.readiness, stopped.error, stopped.stopped_at) == (ViewReadiness.FAILING, "it fails", 100)
    past = view_status(view(), build, Position(1_000), live(5, 1, 60, error=99))
    assert (past.readiness, past.error, past.stopped_at) == (ViewReadiness.LAGGING, None, None)
    edited = view_status(view(text_hash="other"), build, Position(1_000), live(5, 1, 60))
    assert (edited.readiness, edited.stale) == (ViewReadiness.STALE, True)
