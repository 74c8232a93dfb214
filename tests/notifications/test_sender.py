"""Senders that are killed, race, and meet receivers that fail: nothing is lost, doubled after its id, or held up."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dualgauge.ledger.database import WRITE_LOCK
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.outbox.values import DeliveryState, Message, News
from dualgauge.model import holder_name
from dualgauge.notifications.sender import OLDEST, TRIES, Sender
from dualgauge.notifications.settings import ChannelSettings
from support.forked import python
from support.receivers import Receiver
from support.shop import ROOT
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.forked import Process

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)

SENDS = """\
import os, sys, time
from datetime import UTC, datetime
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import holder_name
from dualgauge.notifications.sender import Sender
from dualgauge.notifications.settings import ChannelSettings

url, end, *places = sys.argv[1:]
made = {"kind": "webhook", "secret": "${HOOK_SECRET}"}
channels = [ChannelSettings(name=f"c{at}", url=place, **made) for at, place in enumerate(places)]
with Ledger.open(url) as ledger:
    outbox = ledger.outbox_of("m")
    sender = Sender(outbox, channels, lambda: datetime.now(UTC), holder_name("sender"))
    while sender.run() or (end == "wait" and outbox.channels_waiting(datetime.now(UTC))):
        pass
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "a key of the shop")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        found: str = request.getfixturevalue("postgres_url")
        return found
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def events(count: int, channels: tuple[str, ...], at: datetime = AT) -> list[News]:
    return [
        News(f"s{number}", None, Message("it happened"), channels, at, timedelta(days=1)) for number in range(count)
    ]


def child(url: str, *places: str, end: str = "once") -> Process:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return python(["-c", SENDS, url, end, *places], environment=environment)


def hook(name: str, url: str, **more: Any) -> ChannelSettings:
    return ChannelSettings(name=name, kind="webhook", url=url, secret="${HOOK_SECRET}", timeout=1, **more)


def locked(url: str) -> Callable[[], object]:
    """Take the ledger's lock of writers; gives what lets go of it."""
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        lite.execute("BEGIN IMMEDIATE")
        return lite.close
    server = psycopg.connect(url.replace("+psycopg", ""))
    server.execute("SELECT pg_advisory_xact_lock(%s)", [WRITE_LOCK])
    return server.close


def test_a_sender_killed_between_the_answer_and_its_mark_loses_and_doubles_nothing(
    url: str, receiver: Receiver
) -> None:
    held: list[Callable[[], object]] = []
    with Ledger.open(url) as ledger:
        outbox = ledger.outbox_of("m")
        outbox.tell(events(2, ("c0",)))
        # The sender gets its answer, closes, and cannot write what it got.
        closed: list[bool] = []
        receiver.meanwhile = lambda _: held.append(locked(url))
        receiver.after = lambda: closed.append(True)
        with child(url, receiver.url) as process:
            wait_for(lambda: closed)
            process.kill()
        held[0]()
        receiver.meanwhile = lambda _: None
        states = Counter(one.state for one in outbox.deliveries(9))
        assert states == {DeliveryState.SENDING: 1, DeliveryState.WAITING: 1}
        begun = time.monotonic()
        Sender(outbox, [hook("c0", receiver.url)], lambda: datetime.now(UTC), holder_name("next")).run()
        # Nobody waits for the lease of one that is known to be gone.
        assert time.monotonic() - begun < 10
        assert [one.state for one in outbox.deliveries(9)] == [DeliveryState.DELIVERED] * 2
    ids = [one.headers["dualgauge-id"] for one in receiver.got]
    assert (len(ids), len(set(ids)), ids[0]) == (3, 2, ids[1])
    # What comes twice under an id is the same, byte for byte.
    assert receiver.got[0].body == receiver.got[1].body


def test_two_senders_at_once_send_everything_once(url: str) -> None:
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver()) for _ in range(2)]
        with Ledger.open(url) as ledger:
            outbox = ledger.outbox_of("m")
            outbox.tell(events(30, ("c0", "c1")))
            children = [child(url, *(one.url for one in receivers), end="wait") for _ in range(2)]
            for process in children:
                out, err = process.communicate()
                assert (process.wait(), out, err) == (0, "", "")
            assert Counter(one.state for one in outbox.deliveries(99)) == {DeliveryState.DELIVERED: 60}
            assert {one.tries for one in outbox.deliveries(99)} == {1}
        for receiver in receivers:
            ids = [one.headers["dualgauge-id"] for one in receiver.got]
            assert (len(ids), len(set(ids))) == (30, 30)


def test_senders_killed_at_random_lose_nothing(tmp_path: Path, receiver: Receiver) -> None:
    url, chance, kills = f"sqlite:///{tmp_path / 'ledger.db'}", random.Random(7), 6
    with Ledger.open(url) as ledger:
        outbox = ledger.outbox_of("m")
        outbox.tell(events(60, ("c0",)))
        for _ in range(kills):
            before = len(receiver.got)
            with child(url, receiver.url) as process:
                wait_for(lambda before=before: len(receiver.got) > before)
                time.sleep(chance.random() * 0.05)
                process.kill()
        Sender(outbox, [hook("c0", receiver.url)], lambda: datetime.now(UTC), holder_name("last")).run()
        assert {one.state for one in outbox.deliveries(99)} == {DeliveryState.DELIVERED}
        sent = sum(one.tries for one in outbox.deliveries(99))
    ids = Counter(one.headers["dualgauge-id"] for one in receiver.got)
    assert len(ids) == 60
    assert len(receiver.got) <= sent <= 60 + kills


def test_a_channel_that_hangs_holds_up_no_other(tmp_path: Path, receiver: Receiver) -> None:
    with Receiver("hang") as slow, Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        outbox = ledger.outbox_of("m")
        outbox.tell(events(20, ("slow", "quick")))
        channels = [hook("slow", slow.url), hook("quick", receiver.url)]
        begun = time.monotonic()
        sent = Sender(outbox, channels, lambda: AT, holder_name("a")).run()
        # One try of the slow one: the nineteen others would have waited for as long.
        assert time.monotonic() - begun < 5
        assert Counter((one.channel, one.receipt.delivered) for one in sent) == {
            ("quick", True): 20, ("slow", False): 1,
        }  # fmt: skip


def test_one_message_that_is_refused_holds_up_none_behind_it(tmp_path: Path, receiver: Receiver) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        outbox = ledger.outbox_of("m")
        outbox.tell(events(3, ("c0",)))
        sender = Sender(outbox, [hook("c0", receiver.url)], lambda: AT, holder_name("a"))
        receiver.mode = 400
        assert [one.receipt.code for one in sender.run()] == [400]
        receiver.mode = 200
        assert [one.receipt.code for one in sender.run()] == [200, 200]
        assert sender.run() == ()


def test_a_channel_that_does_not_deliver_fires_itself_and_is_told_through_the_others(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Receiver(500) as broken, Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        outbox, now = ledger.outbox_of("m"), [AT]
        channels = [hook("broken", broken.url), hook("quick", receiver.url)]
        sender = Sender(outbox, channels, lambda: now[0], holder_name("a"))
        outbox.tell(events(1, ("broken",)))
        waits = []
        while [one.state for one in outbox.deliveries(9) if one.channel == "broken"] == [DeliveryState.WAITING]:
            sender.run()
            [row] = [one for one in outbox.deliveries(9) if one.channel == "broken"]
            waits.append((row.next_try - now[0]).total_seconds())
            now[0] = max(now[0], row.next_try)
        assert waits == [5, 20, 80, 320, 1280, 3600, 3600, 0]
        assert len(broken.got) == TRIES
        sender.run()
        [got] = receiver.got
        assert got.json["what"] == "channel broken does not deliver"
        assert got.json["found"] == "8 of 8 tries: 500 Internal Server Error"
        assert {one.subject: one.state.value for one in outbox.subjects()} == {"channel:broken": "firing"}
        # It comes back, what was kept is sent, and that it delivers is told too.
        broken.mode = 200
        assert outbox.again(now[0]) == 1
        sender.run()
        sender.run()
        assert len({one.headers["dualgauge-id"] for one in broken.got}) == 1
        assert [one.json["kind"] for one in receiver.got] == ["firing", "resolved"]
        assert outbox.channels_waiting(now[0] + OLDEST) == ()


def test_who_sends_seldom_gives_up_after_a_day(tmp_path: Path, receiver: Receiver) -> None:
    receiver.mode = 500
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        outbox, now = ledger.outbox_of("m"), [AT]
        sender = Sender(outbox, [hook("c0", receiver.url)], lambda: now[0], holder_name("a"))
        outbox.tell(events(1, ("c0", "forgotten")))
        assert [one.last for one in sender.run()] == [False, False]
        now[0] += OLDEST
        # A channel that the settings have no more is one that does not deliver.
        assert [(one.channel, one.last) for one in sender.run()] == [("c0", True), ("forgotten", True)]
        assert [one.subject for one in outbox.subjects()] == ["channel:c0", "channel:forgotten"]


def test_a_receiver_is_left_alone_for_as_long_as_it_asked(tmp_path: Path, receiver: Receiver) -> None:
    receiver.mode = 503
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        outbox = ledger.outbox_of("m")
        outbox.tell(events(1, ("c0",)))
        Sender(outbox, [hook("c0", receiver.url)], lambda: AT, holder_name("a")).run()
        assert [one.next_try - AT for one in outbox.deliveries(9)] == [timedelta(seconds=120)]
