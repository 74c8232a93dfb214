"""The outbox in the ledger: what is told, to whom, when, and that it is written with what it tells of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.ledger.errors import ClaimLost, NotFiring, StateChanged, UnknownSubject
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.outbox.subjects import MOVES, Signal, acknowledged, found, passed
from dualgauge.ledger.outbox.values import DeliveryState, Message, News, NoticeKind, Receipt, Subject, SubjectState
from dualgauge.model import holder_name
from dualgauge.schedules.laying import laid
from dualgauge.schedules.settings import ScheduleSettings
from support.ledgers import dead_holder, downgrade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dualgauge.ledger.slot_values import Slot

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SENT = Receipt(delivered=True, code=200, answer="OK", seconds=0.1)
REFUSED = Receipt(delivered=False, code=500, answer="Internal Server Error", seconds=0.1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with Ledger.open(url) as opened:
        yield opened


def news(
    bad: bool | None, *, cause: str = "exit 4", subject: str = "schedule:nightly", at: datetime = AT,
    channels: tuple[str, ...] = ("mail", "hook"),
) -> News:  # fmt: skip
    return News(subject, bad, Message("it happened"), channels, at, DAY, cause if bad else "")


def told(ledger: Ledger) -> Counter[tuple[str, str]]:
    return Counter((one.kind.value, one.channel) for one in ledger.outbox_of("m").deliveries(1_000))


def test_only_changes_are_told_and_resolved_goes_to_whoever_got_firing(ledger: Ledger) -> None:
    outbox = ledger.outbox_of("m")
    outbox.tell([news(False)])
    assert (outbox.subjects(), told(ledger)) == ((), {})
    outbox.tell([news(True)])
    outbox.tell([news(True, at=AT + HOUR)])
    [subject] = outbox.subjects()
    assert (subject.state, subject.since, subject.number) == (SubjectState.FIRING, AT, 1)
    # The settings name another channel by now.
    outbox.tell([news(False, at=AT + 2 * HOUR, channels=("slack",))])
    outbox.tell([news(False, at=AT + 3 * HOUR)])
    [subject] = outbox.subjects()
    assert (subject.state, subject.since) == (SubjectState.RESOLVED, AT + 2 * HOUR)
    assert told(ledger) == {(kind, channel): 1 for kind in ("firing", "resolved") for channel in ("mail", "hook")}


def test_reminders_grow_rarer_and_stop_while_somebody_has_taken_it_on(ledger: Ledger) -> None:
    outbox = ledger.outbox_of("m")
    outbox.tell([news(True, channels=("mail",))])
    reminded = []
    for day in range(34):
        before = told(ledger)["reminder", "mail"]
        outbox.remind(AT + day * DAY - timedelta(seconds=1))
        assert told(ledger)["reminder", "mail"] == before
        outbox.remind(AT + day * DAY)
        reminded += [day] * (told(ledger)["reminder", "mail"] - before)
    assert reminded == [1, 3, 7, 15, 31]
    now = AT + 34 * DAY
    outbox.acknowledge("schedule:nightly", "ada@host", "known", now + 200 * DAY, now)
    outbox.remind(now + 199 * DAY)
    assert told(ledger)["reminder", "mail"] == 5
    outbox.remind(now + 200 * DAY)
    [subject] = outbox.subjects()
    assert (subject.state, subject.since, subject.ack_by) == (SubjectState.FIRING, AT, None)
    assert told(ledger)["expired", "mail"] == 1


def test_another_cause_is_news_also_of_what_is_acknowledged(ledger: Ledger) -> None:
    outbox = ledger.outbox_of("m")
    outbox.tell([news(True)])
    outbox.acknowledge("schedule:nightly", "ada@host", "known", AT + DAY, AT)
    outbox.tell([news(True)])
    assert outbox.subjects()[0].state is SubjectState.ACKNOWLEDGED
    outbox.tell([news(True, cause="exit 1")])
    assert outbox.subjects()[0].state is SubjectState.FIRING
    assert told(ledger)["changed", "mail"] == 1


def test_only_what_fires_can_be_acknowledged(ledger: Ledger) -> None:
    outbox = ledger.outbox_of("m")
    with pytest.raises(UnknownSubject, match="nothing was ever bad"):
        outbox.acknowledge("x", "ada", "r", AT + DAY, AT)
    outbox.tell([news(True)])
    with pytest.raises(UnknownSubject, match="did you mean 'schedule:nightly'"):
        outbox.acknowledge("schedule:nightl", "ada", "r", AT + DAY, AT)
    outbox.tell([news(False)])
    with pytest.raises(NotFiring, match="'schedule:nightly' is resolved and does not fire"):
        outbox.acknowledge("schedule:nightly", "ada", "r", AT + DAY, AT)


def test_of_one_subject_a_channel_gets_notices_in_their_order(ledger: Ledger) -> None:
    outbox = ledger.outbox_of("m")
    outbox.tell([news(True), news(False), news(None, subject="z", channels=("hook",))])
    assert outbox.channels_waiting(AT) == ("hook", "mail")
    first = outbox.claim("hook", holder_name("a"), AT)
    assert first is not None
    assert first.notice.kind is NoticeKind.FIRING
    event = outbox.claim("hook", holder_name("b"), AT)
    assert event is not None
    assert event.notice.kind is NoticeKind.EVENT
    # What comes after the first one waits until that has ended.
    assert outbox.claim("hook", holder_name("b"), AT) is None
    assert outbox.record(first, REFUSED, AT, AT + HOUR)
    assert outbox.claim("hook", holder_name("b"), AT) is None
    again = outbox.claim("hook", holder_name("b"), AT + HOUR)
    assert again is not None
    assert (again.notice.id, again.tries) == (first.notice.id, 2)
    assert outbox.record(again, REFUSED, AT + HOUR, None)
    last = outbox.claim("hook", holder_name("b"), AT + HOUR)
    assert last is not None
    assert last.notice.kind is NoticeKind.RESOLVED
    assert [one.state for one in outbox.deliveries(9) if one.channel == "mail"] == [DeliveryState.WAITING] * 2


def test_a_sender_that_lost_its_claim_marks_nothing(ledger: Ledger) -> None:
    outbox = ledger.outbox_of("m")
    outbox.tell([news(True, channels=("hook",))])
    lost = outbox.claim("hook", dead_holder(), AT)
    assert lost is not None
    taken = outbox.claim("hook", holder_name("a"), AT)
    assert taken is not None
    assert (taken.notice, taken.tries) == (lost.notice, 2)
    assert not outbox.record(lost, REFUSED, AT, None)
    assert outbox.record(taken, SENT, AT, None)
    assert not outbox.record(taken, SENT, AT, None)
    [row] = outbox.deliveries(9)
    assert (row.state, row.code, row.tries) == (DeliveryState.DELIVERED, 200, 2)
    assert outbox.again(AT) == 0


def test_what_was_not_delivered_can_wait_once_more(ledger: Ledger) -> None:
    outbox = ledger.outbox_of("m")
    outbox.tell([news(True, channels=("hook",))])
    claim = outbox.claim("hook", holder_name("a"), AT)
    assert claim is not None
    outbox.record(claim, REFUSED, AT, None, [news(True, subject="channel:hook", channels=("mail",))])
    assert [one.subject for one in outbox.subjects()] == ["channel:hook", "schedule:nightly"]
    assert (outbox.channels_waiting(AT), outbox.again(AT)) == (("mail",), 1)
    assert outbox.channels_waiting(AT) == ("hook", "mail")


class Telling:
    """Makes news of everything; or fails, as a fault of ours would."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails

    def of_slots(self, slots: Sequence[Slot]) -> Sequence[News]:
        return [news(True, subject=f"schedule:{slots[0].schedule}", cause=slots[0].state.value)]

    def of_move(self, entry: JournalEntry) -> Sequence[News]:
        if self.fails:
            raise ValueError("a fault of ours")
        return [news(None, subject="moves")]


def test_a_move_and_its_news_are_one_transaction(ledger: Ledger) -> None:
    entry = JournalEntry("m", "kill", "ada", AT, "off", 0, "off", 0, "op-1")
    state = ledger.state("m")
    with pytest.raises(ValueError, match="a fault of ours"):
        ledger.telling(Telling(fails=True)).move(state, entry)
    assert (ledger.journal(), told(ledger)) == ((), {})
    telling = ledger.telling(Telling())
    telling.move(state, entry)
    # Asked again with the same id it moves nothing, and tells nothing.
    telling.move(state, entry)
    with pytest.raises(StateChanged):
        telling.move(state, JournalEntry("m", "kill", "ada", AT, "off", 0, "off", 0, "op-2"))
    assert told(ledger) == {("event", "mail"): 1, ("event", "hook"): 1}


def test_a_slot_and_its_news_are_one_transaction(ledger: Ledger) -> None:
    settings = ScheduleSettings(name="nightly", every="1h")
    slots = ledger.telling(Telling()).slots_of("m")
    slots.lay("nightly", settings.timetable.text, AT, partial(laid, settings, now=AT + 3 * HOUR))
    assert told(ledger) == {("firing", "mail"): 1, ("firing", "hook"): 1}
    claim = slots.claim("nightly", AT + 3 * HOUR, holder_name("a"))
    slots.finish(claim, 0, "", news=[news(False)], progress=(5, 7))
    assert told(ledger)["resolved", "mail"] == 1
    with pytest.raises(ClaimLost):
        slots.finish(claim, 4, "", news=[news(True)], progress=(8, 9))
    assert (told(ledger)["firing", "mail"], slots.progress("nightly"), slots.progress("other")) == (1, (5, 7), None)


def test_a_runner_that_dies_twice_is_told_with_the_slot(ledger: Ledger) -> None:
    settings = ScheduleSettings(name="nightly", every="1h")
    slots = ledger.telling(Telling()).slots_of("m")
    for _ in range(2):
        slots.lay("nightly", settings.timetable.text, AT, partial(laid, settings, now=AT + HOUR))
        slots.claim("nightly", AT + HOUR, dead_holder())
    slots.lay("nightly", settings.timetable.text, AT, partial(laid, settings, now=AT + HOUR))
    [subject] = ledger.outbox_of("m").subjects()
    assert (subject.state, subject.cause) == (SubjectState.FIRING, "failed")


def test_a_ledger_that_has_no_outbox_yet_can_be_looked_at(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    Ledger.open(url).close()
    downgrade(url, "0010")
    with Ledger.look(url) as ledger:
        outbox = ledger.outbox_of("m")
        assert (outbox.subjects(), outbox.deliveries(9), outbox.channels_waiting(AT)) == ((), (), ())
        assert ledger.slots_of("m").progress("nightly") is None


# The states, against a model that shares nothing with them.


@dataclass
class Model:
    """What a person would be told, kept as plain facts: is it bad, for what, who has it, when was it last told."""

    bad: str = ""
    since: datetime | None = None
    taken: datetime | None = None
    waits: timedelta = DAY
    last: datetime | None = None
    said: list[str] = field(default_factory=list)

    def say(self, what: str, at: datetime) -> None:
        self.said.append(what)
        self.last = at

    def look(self, cause: str, at: datetime) -> None:
        if cause and not self.bad:
            self.since, self.waits = at, DAY
            self.say("firing", at)
        elif cause and cause != self.bad:
            self.taken, self.waits = None, DAY
            self.say("changed", at)
        elif self.bad and not cause:
            self.since, self.taken = at, None
            self.say("resolved", at)
        self.bad = cause

    def ack(self, until: datetime, at: datetime) -> None:
        if self.bad:
            self.taken = until
            self.say("acknowledged", at)

    def tick(self, at: datetime) -> None:
        if self.bad and self.taken is not None and at >= self.taken:
            self.taken, self.waits = None, DAY
            self.say("expired", at)
        elif self.bad and self.taken is None and self.last is not None and at >= self.last + self.waits:
            self.waits = min(2 * self.waits, 32 * DAY)
            self.say("reminder", at)


STEP = st.tuples(st.sampled_from(["look", "ack", "tick"]), st.sampled_from(["", "a", "b"]), st.integers(0, 24 * 9))


@given(st.lists(STEP, max_size=40))
def test_states_and_what_is_told_are_those_of_the_model(steps: list[tuple[str, str, int]]) -> None:
    model, subject, said, now = Model(), None, list[str](), AT
    for what, cause, hours in steps:
        now += hours * HOUR
        move: tuple[Subject, NoticeKind | None] | None = None
        match what:
            case "look":
                model.look(cause, now)
                move = found(subject, news(bool(cause), cause=cause, at=now))
            case "ack":
                model.ack(now + 3 * DAY, now)
                move = None if subject is None else acknowledged(subject, "ada", "r", now + 3 * DAY, now)
            case _:
                model.tick(now)
                move = None if subject is None else passed(subject, now)
        if move is not None:
            subject = move[0]
            said += [move[1].value] if move[1] else []
        assert said == model.said
        if subject is not None and model.said:
            assert subject.since == model.since
            assert (subject.state is SubjectState.ACKNOWLEDGED) == (model.taken is not None)
            assert (subject.state in {SubjectState.FIRING, SubjectState.ACKNOWLEDGED}) == bool(model.bad)
            assert subject.number == len(said)


def test_every_state_can_be_reached_and_left() -> None:
    for state in SubjectState:
        assert state is SubjectState.OK or state in {to for to, _ in MOVES.values()}
        assert {to for (at, _), (to, _) in MOVES.items() if at is state} - {state}
    assert {kind for _, kind in MOVES.values() if kind} == set(NoticeKind) - {NoticeKind.EVENT, NoticeKind.TEST}
    assert {signal for _, signal in MOVES} == set(Signal)
