"""Which slots there are: all of them, each in one state, and no more to run than the settings say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.ledger.slot_values import Slot, SlotsNow, SlotState
from dualgauge.schedules.laying import LATE, MOST, laid
from dualgauge.schedules.settings import ScheduleSettings

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def settings(**given: Any) -> ScheduleSettings:
    return ScheduleSettings(name="nightly", every="1h", **given)


def slot(hours: int, state: SlotState = SlotState.DUE, deaths: int = 0) -> Slot:
    return Slot("nightly", AT + hours * HOUR, state, 0, deaths)


def now(waiting: tuple[Slot, ...] = (), running: tuple[Slot, ...] = ()) -> SlotsNow:
    last = max((one.due for one in (*waiting, *running)), default=AT)
    return SlotsNow(last, waiting, running)


def states(*found: Any) -> dict[int, str]:
    return {int((one.due - AT) / HOUR): one.state.value for one in laid(*found)}


def test_after_a_day_down_the_latest_slot_is_run_and_every_other_one_is_a_row() -> None:
    found = states(settings(), now(), AT + 24 * HOUR)
    assert found == dict.fromkeys(range(1, 24), "missed") | {24: "due"}
    assert all("2026-05-02T12:00Z stands for it" in one.why for one in laid(settings(), now(), AT + 24 * HOUR)[:-1])


def test_where_nothing_is_caught_up_with_a_slot_that_is_late_is_missed() -> None:
    none = settings(catch_up="none")
    assert states(none, now(), AT + 3 * HOUR + LATE) == {1: "missed", 2: "missed", 3: "due"}
    assert states(none, now(), AT + 3 * HOUR + LATE + timedelta(seconds=1)) == {1: "missed", 2: "missed", 3: "missed"}
    # It waited for a runner, and none came in time.
    assert states(none, now(waiting=(slot(3),)), AT + 3 * HOUR + 2 * LATE) == {3: "missed"}


def test_all_that_are_caught_up_with_have_a_number_and_an_age() -> None:
    few = settings(catch_up="all", catch_up_most=3)
    assert [hour for hour, state in states(few, now(), AT + 24 * HOUR).items() if state == "due"] == [22, 23, 24]
    young = settings(catch_up="all", catch_up_window="2h")
    assert [hour for hour, state in states(young, now(), AT + 24 * HOUR).items() if state == "due"] == [22, 23, 24]


def test_while_one_runs_what_is_due_is_skipped_or_one_waits() -> None:
    runs = now(running=(slot(1, SlotState.CLAIMED),))
    assert states(settings(), runs, AT + 3 * HOUR) == {2: "skipped", 3: "skipped"}
    queued = settings(overlap="queue_one")
    assert states(queued, runs, AT + 3 * HOUR) == {2: "skipped", 3: "due"}
    waits = now(running=(slot(1, SlotState.CLAIMED),), waiting=(slot(2),))
    assert states(queued, waits, AT + 3 * HOUR) == {2: "skipped", 3: "due"}


def test_what_a_runner_died_over_is_run_again_whatever_came_after_it() -> None:
    assert states(settings(), now(waiting=(slot(1, deaths=1),)), AT + 3 * HOUR) == {2: "missed", 3: "due"}


def test_a_clock_that_is_set_back_makes_nothing_due() -> None:
    assert laid(settings(), now(waiting=(slot(5),)), AT + 2 * HOUR) == []


def test_of_a_year_of_minutes_the_last_rows_are_kept_and_the_number_of_the_others() -> None:
    found = laid(ScheduleSettings(name="n", every="1m"), now(), AT + timedelta(days=365))
    assert len(found) == MOST
    assert found[0].why.endswith(f"so with {365 * 24 * 60 - MOST:,} slots before it")
    assert [one.state for one in found if one.state is not SlotState.MISSED] == [SlotState.DUE]


@given(
    st.sampled_from(["latest", "none", "all"]), st.sampled_from(["skip", "queue_one"]), st.integers(0, 40),
    st.lists(st.integers(-3, 0), unique=True), st.booleans(), st.integers(1, 5),
)  # fmt: skip
def test_every_slot_gets_one_row_and_of_each_that_waited_is_told_what_becomes_of_it(
    catch_up: str, overlap: str, hours: int, waiting: list[int], runs: bool, most: int
) -> None:
    given = settings(catch_up=catch_up, overlap=overlap, catch_up_most=most)
    before = SlotsNow(AT, tuple(map(slot, sorted(waiting))), (slot(-9, SlotState.CLAIMED),) if runs else ())
    found = laid(given, before, AT + hours * HOUR)
    dues = [one.due for one in found]
    assert len(set(dues)) == len(dues)
    assert {due for due in dues if due > AT} == {AT + hour * HOUR for hour in range(1, hours + 1)}
    assert {due for due in dues if due <= AT} <= {AT + hour * HOUR for hour in waiting}
    assert all(one.why for one in found if one.state is not SlotState.DUE)
    left = {AT + hour * HOUR for hour in waiting} - {one.due for one in found if one.state is not SlotState.DUE}
    to_run = left | {one.due for one in found if one.state is SlotState.DUE}
    limit = most if catch_up == "all" and not runs else 1
    if hours and not (runs and overlap == "skip"):
        assert len(to_run) <= limit
        assert runs or catch_up == "none" or AT + hours * HOUR in to_run


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_over_a_year_a_look_at_any_time_lays_every_slot_once(zone: str) -> None:
    given = ScheduleSettings(name="n", cron="30 2 * * *", zone=zone)
    until, found = datetime(2026, 1, 1, tzinfo=UTC), []
    while until < datetime(2027, 1, 1, tzinfo=UTC):
        until += timedelta(hours=7, minutes=13)
        last = found[-1] if found else datetime(2026, 1, 1, tzinfo=UTC)
        found += [one.due for one in laid(given, SlotsNow(last, (), ()), until)]
    whole = list(given.timetable.between(datetime(2026, 1, 1, tzinfo=UTC), until))
    assert found == whole
    assert len(whole) == 365
