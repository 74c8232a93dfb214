"""Appending from applications: each event once, in one order, and never lost once it was acknowledged."""

from __future__ import annotations

import itertools
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge import Event
from dualgauge.eventlog.append import appender
from dualgauge.eventlog.errors import AppenderClosed, BadEvent, ChangedEvent
from dualgauge.eventlog.table.event_log import EventLog
from support.appended import WHEN, event, events, problems
from support.log_project import NOW, LogProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dualgauge.eventlog.append.appender import Appender

NOTHING = "nothing of this call was appended"
NEVER = "an event never changes, so give the second one an id of its own"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path, columns={"n": "BIGINT"})


@pytest.fixture
def caused(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path / "caused", columns={"n": "BIGINT", "caused_by": "VARCHAR"})


@pytest.fixture
def log(project: LogProject) -> Iterator[Appender]:
    with project.open().appender() as made:
        yield made


def test_events_get_dense_positions_and_again_the_same_ones(log: Appender, project: LogProject) -> None:
    assert log.append([event("a", 1), event("b", 2)]) == [1, 2]
    assert log.append([event("c"), event("a", 1), event("c"), event("d")]) == [3, 1, 3, 4]
    assert log.take([event("b", 2), event("e")]) == appender.Appended([2, 5], 1)
    assert log.append([]) == []
    assert log.head == 5
    assert project.events("position", "event_id", "n") == [
        (1, "a", 1), (2, "b", 2), (3, "c", 0), (4, "d", 0), (5, "e", 0),
    ]  # fmt: skip
    assert len([one for one in project.commits() if one["files"]]) == 3


def test_an_appended_event_has_everything_it_was_given(caused: LogProject) -> None:
    with caused.open().appender() as log:
        log.append([event("a"), event("b", 7, "a", note=["x", Decimal("1.10")])])

    assert caused.events()[1] == {
        "position": 2, "event_id": "b", "type": "seen", "occurred_at": WHEN + timedelta(seconds=7), "n": 7,
        "caused_by": "a", "payload": '{"note":["x",1.10]}',
    }  # fmt: skip
    assert caused.open().log.show(1).events[0]["recorded_at"] == NOW


@pytest.mark.parametrize(
    ("second", "differs"),
    [
        (replace(event("a", 1), type="other"), "type"),
        (event("a", 2), "occurred_at, n"),
        (event("a", 1, more=1), "payload"),
        (Event("a", "seen", WHEN + timedelta(seconds=1)), "n"),
    ],
)
def test_an_id_with_other_content_is_refused_and_both_are_named(
    second: Event, differs: str, log: Appender, project: LogProject
) -> None:
    log.append([event("x"), event("a", 1)])
    with pytest.raises(ChangedEvent) as in_log:
        log.append([event("new"), second])
    with pytest.raises(ChangedEvent) as in_call:
        log.append([event("new"), event("q"), replace(event("a", 1), event_id="q2"), replace(second, event_id="q2")])

    assert str(in_log.value) == (
        "event 'a' is there twice with different content: position 2 of the log and event 2 of this call differ in "
        f"{differs}; {NOTHING}: {NEVER}"
    )
    assert str(in_call.value) == (
        "event 'q2' is there twice with different content: event 3 of this call and event 4 of this call differ in "
        f"{differs}; {NOTHING}: {NEVER}"
    )
    assert project.events("event_id") == ["x", "a"]
    assert log.append([event("new")]) == [3]


def test_an_event_comes_behind_its_cause(caused: LogProject) -> None:
    with caused.open().appender() as log:
        with pytest.raises(BadEvent) as late:
            log.append([event("x"), event("effect", caused_by="cause"), event("cause")])
        with pytest.raises(BadEvent) as own:
            log.append([event("me", caused_by="me")])
        first = [event("cause"), event("effect", caused_by="cause"), event("far", caused_by="?")]
        assert log.append(first) == [1, 2, 3]
        assert log.append([event("effect", caused_by="cause")]) == [2]
        with pytest.raises(ChangedEvent, match="position 2 of the log and event 1 of this call differ in caused_by; "):
            log.append([event("effect", caused_by="?")])

    assert str(late.value) == (
        "event 2 of this call ('effect'): its cause 'cause' comes behind it (event 3 of this call); "
        f"{NOTHING}: mend it, and append them all again"
    )
    assert "event 1 of this call ('me'): it is its own cause; " in str(own.value)
    assert caused.verify() == 3


def test_a_bad_event_stops_its_whole_call(log: Appender, project: LogProject) -> None:
    with pytest.raises(BadEvent, match=r"^event 2 of this call \('b'\): field 'n' = 'x' is no BIGINT"):
        log.append([event("a"), replace(event("b"), fields={"n": "x"})])
    assert project.events() == []


def test_an_append_behind_its_end_is_refused(project: LogProject) -> None:
    with project.open().appender() as log:
        log.append(events("a"))
    with pytest.raises(AppenderClosed) as fault:
        log.append(events("b"))

    assert str(fault.value) == (
        f"the log at {project.folder} was closed for this appender; nothing was appended: append inside the `with` "
        "that opened it, or open another one"
    )
    assert project.events("event_id") == ["a"]


def test_an_error_of_the_application_leaves_nothing_behind(project: LogProject) -> None:
    with pytest.raises(ZeroDivisionError), project.open().appender() as log:
        log.append([event("a", 1 // len(log.append(events("a")) * 0))])

    assert [name for name in project.unnamed() if not name.endswith(".ids")] == []
    assert problems(project) == []


def test_a_call_interrupted_while_it_waits_is_not_appended_later(log: Appender, project: LogProject) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(log._turn.acquire).result()
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(KeyboardInterrupt):
                log.append(events("a"))
            log._turn.release()
    finally:
        signal.signal(signal.SIGALRM, before)

    assert log.append(events("b")) == [1]
    assert project.events("event_id") == ["b"]


def waits(log: Appender, calls: int) -> None:
    """Until so many calls wait."""
    while len(log._waiting) < calls:
        threading.Event().wait(0.001)


def all_at_once(log: Appender, patch: pytest.MonkeyPatch, first: list[Event], calls: list[list[Event]]) -> list[Any]:
    """What becomes of calls that wait while another one is committed: positions, or the error."""

    def outcome(call: list[Event]) -> Any:
        try:
            return log.append(call)
        except Exception as fault:  # noqa: BLE001  (it is the outcome)
            return str(fault)

    entered, go, own = threading.Event(), threading.Event(), EventLog.commit

    def commit(inner: EventLog, *inputs: Any) -> Any:
        entered.set()
        assert go.wait(30)
        return own(inner, *inputs)

    patch.setattr(EventLog, "commit", commit)
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        leader = pool.submit(outcome, first)
        assert entered.wait(30)
        waiting = []
        for number, call in enumerate(calls, 2):
            waiting.append(pool.submit(outcome, call))
            waits(log, number)
        go.set()
        return [leader.result(), *(one.result() for one in waiting)]


def test_calls_that_wait_for_each_other_go_into_one_commit(
    log: Appender, project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [events([f"{n}-a", f"{n}-b", "shared"]) for n in range(50)]
    found = all_at_once(log, monkeypatch, events(["first"]), calls)

    assert found == [[1], [2, 3, 4], *([n * 2 + 3, n * 2 + 4, 4] for n in range(1, 50))]
    assert [one["rows"] for one in project.commits() if one["files"]] == [1, 101]
    assert problems(project) == []


def test_a_refused_call_fails_by_itself_and_not_its_neighbours(
    log: Appender, project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([event("old", 1)])
    calls = [[event("a", 1)], [event("b"), event("old", 2)], [event("c"), event("a", 2)], [event("b"), event("old", 1)]]
    found = all_at_once(log, monkeypatch, events(["first"]), calls)

    assert found[:2] == [[2], [3]]
    assert "'old' is there twice with different content: position 1 of the log and event 2 of this call" in found[2]
    assert "'a' is there twice with different content: a call that came first and event 2 of this call" in found[3]
    assert found[4] == [4, 1]
    assert project.events("event_id") == ["old", "first", "a", "b"]


def test_more_calls_than_go_into_one_commit_all_get_their_positions(
    log: Appender, project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "MOST_ROWS", 10)
    calls = [events(f"{n}-{i}" for i in range(4)) for n in range(8)]
    calls.append(events(f"big-{i}" for i in range(25)))
    found = all_at_once(log, monkeypatch, events(["first"]), calls)

    assert sorted(itertools.chain(*found)) == list(range(1, 59))
    assert [one["rows"] for one in project.commits() if one["files"]] == [1, 8, 8, 8, 8, 25]
    assert {row["event_id"]: row["position"] for row in project.events()} == {
        one.event_id: at for call, where in zip([events(["first"]), *calls], found, strict=True)
        for one, at in zip(call, where, strict=True)
    }  # fmt: skip


def test_a_thread_that_leads_for_others_goes_on_until_its_own_call_is_done(
    log: Appender, project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "MOST_ROWS", 4)
    with log._turn, ThreadPoolExecutor(4) as pool:
        calls = []
        for number, name in enumerate("abcd", 1):
            calls.append(pool.submit(log.append, events([name, f"{name}2"])))
            waits(log, number)
        # Whoever waits longest comes last.
        log._waiting.reverse()
        log._turn.release()
        found = [one.result() for one in calls]
        log._turn.acquire()

    assert found == [[7, 8], [5, 6], [3, 4], [1, 2]]
    assert project.events("event_id") == ["d", "d2", "c", "c2", "b", "b2", "a", "a2"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupted_leader_loses_no_call_of_the_others(
    moment: str, log: Appender, project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, done = EventLog.commit, []

    def commit(inner: EventLog, *inputs: Any) -> Any:
        if not done and len(log._waiting) == 4:
            done.append(own(inner, *inputs) if moment == "after" else None)
            raise KeyboardInterrupt
        return own(inner, *inputs)

    stopped = []

    def call(name: str) -> list[int]:
        try:
            return list(map(int, log.append(events([name, f"{name}2"]))))
        except KeyboardInterrupt:
            stopped.append(name)
            return []

    with log._turn, ThreadPoolExecutor(4) as pool:
        monkeypatch.setattr(EventLog, "commit", commit)
        waiting = {name: pool.submit(call, name) for name in "abcd"}
        waits(log, 4)
        log._turn.release()
        found = {name: one.result() for name, one in waiting.items()}
        log._turn.acquire()

    (gone,) = stopped
    there = project.events("event_id")
    assert (gone in there) is (moment == "after")
    assert all(there[at - 1] == name + tail for name in found if name != gone
               for at, tail in zip(found[name], ("", "2"), strict=True))  # fmt: skip
    assert log._waiting == []
    log.append(events([gone, f"{gone}2"]))
    assert sorted(project.events("event_id")) == ["a", "a2", "b", "b2", "c", "c2", "d", "d2"]
