"""`dualgauge notify`, and what schedules and moves tell: through receivers that are really there."""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.ledger.ledger import Ledger
from support.forked import python
from support.ledgers import sql, url_of
from support.receivers import Receiver
from support.shop import PASSING, add_order, build, call
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 3, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECRET, TOKEN = "the-key-of-the-hook", "T0KEN-of-the-room"

SETTINGS = """
[[tool.dualgauge.channels]]
name = "hook"
kind = "webhook"
url = "URL/${HOOK_TOKEN}"
secret = "${HOOK_SECRET}"
moves = true
timeout = 2

[[tool.dualgauge.schedules]]
name = "nightly"
cron = "30 2 * * *"
owner = "ada"
notify = ["hook"]
ping = "${PING_URL}"
"""

DIFFERS = PASSING.replace(
    'key="customer"', 'key="customer", v2="SELECT customer, orders, cents + 1 AS cents FROM v2.customers"'
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built project whose comparator passes, with a schedule that tells."""
    monkeypatch.setenv("HOOK_TOKEN", TOKEN)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("PING_URL", f"{receiver.url}/ping")
    build(tmp_path)
    (tmp_path / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")
    with (tmp_path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(SETTINGS.replace("URL", receiver.url, 1))
    at(tmp_path, AT).schedule.run("nightly")
    return tmp_path


def at(folder: Path, now: datetime) -> dualgauge.Migration:
    return dualgauge.open(folder, clock=lambda: now)


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(one.json["kind"], one.json["what"]) for one in receiver.got if one.path == f"/{TOKEN}"]


def only_diff(shop: Path, *, do: str = '["diff"]') -> None:
    file = shop / "pyproject.toml"
    file.write_text(file.read_text(encoding="utf-8") + f"do = {do}\n", encoding="utf-8")


def test_nights_tell_changes_alone_and_ping_each_time(shop: Path, receiver: Receiver) -> None:
    only_diff(shop)
    comparator = shop / "comparators" / "customers.py"
    for day, text in enumerate([PASSING, DIFFERS, DIFFERS, PASSING], 1):
        comparator.write_text(text, encoding="utf-8")
        at(shop, AT + day * DAY).schedule.run("nightly")
    assert told(receiver) == [
        ("firing", "schedule nightly: differences were found (diff, exit code 4)"),
        # A day later it is as it was.
        ("reminder", "schedule nightly: differences were found (diff, exit code 4)"),
        ("resolved", "schedule nightly: passed"),
    ]
    said = next(one.json for one in receiver.got if one.path == f"/{TOKEN}")
    assert (said["found"], said["owner"], said["next"]) == (
        "diff (4): customers: fail, 3 mismatched", "ada", "dualgauge evidence list",
    )  # fmt: skip
    pings = [one.path for one in receiver.got if one.path.startswith("/ping")]
    assert pings == [f"/ping/{what}" for code in (0, 4, 4, 0) for what in ("start", code)]


def test_what_goes_wrong_beside_what_is_known_to_be_wrong_is_told(shop: Path, receiver: Receiver) -> None:
    only_diff(shop, do='["diff", "check"]')
    failing = 'checks=[Check("expect_table_row_count_to_equal", value=7)]'
    checked = DIFFERS.replace("import Comparator", "import Check, Comparator")
    checked = checked.replace('key="customer"', f'key="customer", {failing}')
    other = DIFFERS.replace("customers = ", "also = ").replace("v2=", 'v1="SELECT * FROM v1.customers", v2=')
    text = [DIFFERS, checked, checked, checked, DIFFERS]
    for day, (mine, also) in enumerate(zip(text, ["", "", other, other, ""], strict=True), 1):
        (shop / "comparators" / "customers.py").write_text(mine, encoding="utf-8")
        (shop / "comparators" / "also.py").write_text(also, encoding="utf-8")
        if day == 2:
            at(shop, AT + DAY).notify.ack("schedule:nightly", reason="ada looks", until=AT + 30 * DAY)
        at(shop, AT + day * DAY).schedule.run("nightly")
    diff = "schedule nightly: differences were found (diff, exit code 4)"
    both = f"{diff}, checks failed (check, exit code 4)"
    assert told(receiver) == [
        ("firing", diff), ("acknowledged", diff),
        # A check fails too; then a second comparator differs; then nothing changes; then it is as at first.
        ("changed", both), ("changed", both), ("reminder", both), ("changed", diff),
    ]  # fmt: skip


def test_a_run_that_leaves_the_position_while_the_log_grows_is_told(shop: Path, receiver: Receiver) -> None:
    # Nothing brings the views forward; the diff of an old position passes each night.
    only_diff(shop, do='["import", "diff"]')
    at(shop, AT + DAY).schedule.run("nightly")
    at(shop, AT + 2 * DAY).schedule.run("nightly")
    assert told(receiver) == []
    add_order(shop)
    at(shop, AT + 3 * DAY).schedule.run("nightly")
    at(shop, AT + 4 * DAY).schedule.run("nightly")
    stands = "schedule nightly ran, but the position did not move"
    assert told(receiver) == [("firing", stands), ("reminder", stands)]
    found = next(one.json["found"] for one in receiver.got if one.path == f"/{TOKEN}")
    assert found == "position 5 of 6; 1 event came since the last run"
    dualgauge.open(shop).replay()
    at(shop, AT + 5 * DAY).schedule.run("nightly")
    assert told(receiver)[2:] == [("resolved", "schedule nightly ran, and the position moved")]


def test_moves_are_told_each_time_also_where_nobody_runs_a_schedule(shop: Path, receiver: Receiver) -> None:
    only_diff(shop)
    assert call("diff", folder=shop).exit_code == 0
    assert call("switch", "--percent", "1", "--reason", "go", folder=shop).exit_code == 0
    assert call("canary", "kill", folder=shop).exit_code == 0
    # Written with the moves, they wait for whoever sends.
    assert told(receiver) == []
    sent = call("notify", "send", folder=shop)
    assert (sent.exit_code, sent.out.count("hook: event moves: delivered: 200 OK (try 1)")) == (0, 2)
    assert told(receiver) == [
        ("event", "share_some: stage canary at 1 % on v2"), ("event", "kill: stage canary at 1 % on v2"),
    ]  # fmt: skip
    assert re.fullmatch(r"share_some by \S+@\S+: go", receiver.got[0].json["done"])
    assert "nothing waits to be sent" in call("notify", "send", folder=shop).out


def test_what_was_not_run_is_told(shop: Path, receiver: Receiver) -> None:
    only_diff(shop)
    at(shop, AT + 3 * DAY).schedule.run("nightly")
    assert told(receiver) == [
        ("firing", "schedule nightly: nobody ran it in time"), ("resolved", "schedule nightly: passed"),
    ]  # fmt: skip


def test_no_value_of_a_row_and_no_secret_is_in_a_message_or_an_answer(shop: Path, receiver: Receiver) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("10,no time,zoe-the-customer,placed,777000777\n")
    at(shop, AT + DAY).schedule.run("nightly")
    receiver.mode = 500
    (shop / "comparators" / "customers.py").write_text(DIFFERS, encoding="utf-8")
    only_diff(shop)
    at(shop, AT + 2 * DAY).schedule.run("nightly")
    shown = [
        call("notify", *words, folder=shop)
        for words in (["list"], ["list", "--format", "json"], ["send", "--debug"], ["test"])
    ]
    assert [kind for kind, _ in told(receiver)] == ["firing", "changed", "changed", "test"]
    kept = [json.dumps(sql(url_of(shop), f"SELECT * FROM {table}")) for table in ("subject", "notice", "delivery")]
    texts = [one.body.decode() for one in receiver.got] + [one.out + one.err for one in shown] + kept
    # The rows of the source and of the views, the key of the hook, the token in its URL.
    for value in (SECRET, TOKEN, "zoe", "777000777", "no time", "cyd", "9900", "9901"):
        assert [text for text in texts if value in text] == [], value


def test_a_receiver_that_hangs_changes_nothing_of_a_run(shop: Path, receiver: Receiver) -> None:
    only_diff(shop)
    receiver.mode = "hang"
    (shop / "comparators" / "customers.py").write_text(DIFFERS, encoding="utf-8")
    done = at(shop, AT + DAY).schedule.run("nightly")
    assert done.exit_code == 4
    with Ledger.look(url_of(shop)) as ledger:
        [waiting] = ledger.outbox_of("customers").deliveries(9)
    assert (waiting.state.value, waiting.answer) == ("waiting", "no whole answer in 2 s")


def test_the_test_shows_receipts_and_touches_no_ledger(shop: Path, receiver: Receiver) -> None:
    before = (shop / ".dualgauge" / "ledger.db").read_bytes()
    said = call("notify", "test", folder=shop)
    assert said.exit_code == 0
    assert re.fullmatch(r"hook \(webhook\): delivered: 200 OK, in \S+ s\n", said.out)
    assert [(one.json["kind"], one.json["test"]) for one in receiver.got] == [("test", True)]
    receiver.mode = "redirect"
    failed = call("notify", "test", "hook", "--format", "json", folder=shop)
    assert failed.exit_code == 1
    [receipt] = failed.json["result"]["receipts"]
    assert (receipt["delivered"], receipt["code"]) == (False, 302)
    assert (shop / ".dualgauge" / "ledger.db").read_bytes() == before


def test_what_fires_can_be_taken_on_until_a_time(shop: Path, receiver: Receiver) -> None:
    only_diff(shop)
    (shop / "comparators" / "customers.py").write_text(DIFFERS, encoding="utf-8")
    at(shop, AT + DAY).schedule.run("nightly")
    until = (datetime.now(UTC) + 30 * DAY).strftime("%Y-%m-%dT%H:%MZ")
    words = ["notify", "ack", "schedule:nightly", "--reason", "ada looks at it", "--until"]
    taken = call(*words, until, folder=shop)
    assert (taken.exit_code, "schedule:nightly is acknowledged until" in taken.out) == (0, True)
    call("notify", "send", folder=shop)
    assert receiver.got[-1].json["acknowledged"]["reason"] == "ada looks at it"
    listed = call("notify", "list", folder=shop).out
    assert "schedule:nightly: acknowledged since 2026-03-29 12:00:00Z" in listed
    assert ": ada looks at it" in listed
    assert "hook  acknowledged schedule:nightly: delivered: 200 OK" in listed
    # Nobody is reminded of it meanwhile.
    at(shop, datetime.now(UTC) + 29 * DAY).notify.send()
    assert [kind for kind, _ in told(receiver)] == ["firing", "acknowledged"]
    at(shop, datetime.now(UTC) + 31 * DAY).notify.send()
    assert [kind for kind, _ in told(receiver)] == ["firing", "acknowledged", "expired"]
    for text, says, code in (("2020-01-01", "is over already", 2), ("soon", "is no time", 2)):
        refused = call(*words, text, folder=shop)
        assert (refused.exit_code, says in refused.err) == (code, True)
    unknown = call("notify", "ack", "schedule:nightl", "--reason", "r", "--until", until, folder=shop)
    assert (unknown.exit_code, "did you mean 'schedule:nightly'" in unknown.err) == (2, True)


def test_who_has_no_channel_is_told(tmp_path: Path) -> None:
    build(tmp_path)
    for words in (["test"], ["send"]):
        said = call("notify", *words, folder=tmp_path)
        assert (said.exit_code, "no [[tool.dualgauge.channels]] stands in pyproject.toml" in said.err) == (2, True)
    assert call("notify", "list", folder=tmp_path).out == "nothing was ever told\n"


ALERTS = 'kind = "alertmanager"\nurl = "https://x.example"'
HOURLY = '[[tool.dualgauge.schedules]]\nname = "n"\nevery = "1h"'
CHANNEL = '\n[[tool.dualgauge.channels]]\nname = "c"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('kind = "webhook"\nurl = "https://x.example"', "channel 'c': a webhook needs secret"),
        ('kind = "webhook"\nurl = "https://x.example"\nsecret = "abcd"', "a secret stands in no file"),
        ('kind = "webhook"\nurl = "ftp://x.example"\nsecret = "${A}"', "the URL of webhook begins with https://"),
        ('kind = "slack"\nurl = "https://hooks.example/T/B/x"', "the URL of slack is a secret"),
        ('kind = "apprise"\nurl = "tgram://token/room"', "the URL of apprise is a secret"),
        ('kind = "smtp"\nurl = "smtp://x.example"\nsender = "a@x.example"', "channel 'c': a smtp needs to"),
        (
            'kind = "smtp"\nurl = "smtp://a:hunter22@x.example"\nsender = "a@x.example"\nto = ["b@x.example"]',
            "a password stands in no file",
        ),
        ('kind = "alertmanager"\nurl = "https://x.example"\nto = ["a"]', "to is of a smtp alone"),
        ('kind = "pager"\nurl = "https://x.example"', "is not allowed"),
        ('kind = "alertmanager"\nurl = "https://x.example"\ntimeout = 0', "timeout = 0"),
        (f"{ALERTS}\n{CHANNEL}{ALERTS}", "two channels are called 'c'"),
        (f'{ALERTS}\n{HOURLY}\nnotify = ["d"]', "schedule 'n' notifies 'd', and no [[tool.dualgauge.channels]]"),
        (f'{ALERTS}\n{HOURLY}\nping = "https://hc.example/uuid"', "the URL of a dead man's switch is a secret"),
    ],
)  # fmt: skip
def test_settings_that_make_no_channel_are_refused(tmp_path: Path, text: str, says: str) -> None:
    build(tmp_path)
    with (tmp_path / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"{CHANNEL}{text}\n")
    said: Any = call("notify", "list", folder=tmp_path)
    assert (said.exit_code, says in said.err) == (2, True), said.err
    assert "hunter22" not in said.err
    assert "abcd" not in said.err
    assert "tgram://token" not in said.err


def test_who_follows_sends_what_others_wrote_and_ends_in_spite_of_a_receiver_that_hangs(
    shop: Path, receiver: Receiver
) -> None:
    only_diff(shop)
    assert call("diff", folder=shop).exit_code == 0
    with python(["-m", "dualgauge", "schedule", "follow"], folder=shop, environment=dict(os.environ)) as follower:
        assert call("switch", "--percent", "1", "--reason", "go", folder=shop).exit_code == 0
        moved = ("event", "share_some: stage canary at 1 % on v2")
        wait_for(lambda: moved in told(receiver))
        receiver.mode = "hang"
        assert call("canary", "kill", folder=shop).exit_code == 0
        wait_for(lambda: any("kill" in what for _, what in told(receiver)))
        # While it hangs, the process ends when it is asked.
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(timeout=30) == 0
        receiver.mode = 200
    later = datetime.now(UTC) + timedelta(hours=1)
    sent = at(shop, later).notify.send()
    kept = [(one.tries, one.receipt.delivered) for one in sent if one.subject == "moves"]
    assert kept == [(2, True)]
    # The same message, by its id.
    killed = [one.json["id"] for one in receiver.got if one.path == f"/{TOKEN}" and "kill" in one.json["what"]]
    assert (len(killed), len(set(killed))) == (2, 1)
