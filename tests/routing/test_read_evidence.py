"""What reads came to, in the ledger: counted once, for what they are evidence for, whatever becomes of a process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.routing import RoutingVerb, evidence_for
from dualgauge_router import Router, evidence, ledger_writing
from dualgauge_router.evidence import SETTLING, Batch, Judged, Place, ReadEvidence, hash_of
from dualgauge_router.ledger import LedgerReader
from dualgauge_router.ledger_errors import LedgerBusy, NewerLedger
from dualgauge_router.ledger_url import ledger_url
from dualgauge_router.model import Side
from dualgauge_router.state import MigrationState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualgauge.ledger.reads import ReadsNow

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAID: dict[str, Any] = {
    "cohorts": {}, "steps": [], "overrides": {side: {"units": [], "cohorts": []} for side in ("pin_v1", "pin_v2")},
    "shadow": {
        "sample_ppm": 1_000_000, "queue": 100_000, "workers": 2, "timeout_ms": 5_000, "settle_ms": 5,
        "breaker": {"errors": 1_000_000, "pause_ms": 60_000}, "redact": ["email"],
    },
    "views": {"orders": {"key": ["id"], "rules": {}, "expects": False}},
}  # fmt: skip
EXPECTING = SAID | {
    "views": {"orders": {"key": ["id"], "rules": {}, "expects": True}}, "shadow": {**SAID["shadow"], "redact": []},
}  # fmt: skip
FOR: Mapping[str, Mapping[str, object]] = {"orders": {"v1": 1, "v2": 1}}


def route(url: str, stage: str, share_ppm: int, said: Mapping[str, Any] = SAID) -> None:
    """Move the migration there, with this configuration in force."""
    text = json.dumps(said)
    with Ledger.open(url) as ledger:
        for verb in (RoutingVerb.APPLY.value, "moved"):
            state = ledger.state("m")
            to = (state.stage, state.share_ppm) if verb != "moved" else (stage, share_ppm)
            entry = JournalEntry(
                "m", verb, "ana", AT, state.stage, state.share_ppm, *to, f"{state.revision}-{verb}", None,
                evidence_for(text) if verb != "moved" else (),
            )  # fmt: skip
            ledger.move(state, entry, routed=replace(state, canary=text) if verb != "moved" else None)


def count_for(url: str, bases: Mapping[str, Mapping[str, object]] = FOR, *, at: datetime = AT) -> None:
    with Ledger.open(url) as ledger:
        ledger.reads_of("m").count_for(bases, at=at)


def now(url: str) -> ReadsNow:
    with Ledger.look(url) as ledger:
        return ledger.reads_of("m").now()


def counts(url: str) -> dict[str, int]:
    """By share, kind, side and outcome."""
    return {f"{one.share_ppm} {one.kind} {one.side} {one.outcome}": one.reads for one in now(url).counts}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        found = request.getfixturevalue("postgres_url")
    route(found, "shadow", 0)
    count_for(found)
    return found


def settled(router: Router, count: int) -> None:
    until = time.monotonic() + 30
    while sum(router.shadow_counts().get("orders", {}).values()) < count and time.monotonic() < until:
        time.sleep(0.005)
    assert sum(router.shadow_counts()["orders"].values()) == count


def answer(number: int, cents: int = 0) -> dict[str, Any]:
    return {"id": number, "cents": Decimal(cents), "email": f"{number}@shop.example"}


def read(router: Router, number: int, *, bad: bool = False) -> None:
    router.read("orders", unit=number, v1=answer, v2=lambda n: answer(n, int(bad)), args=(number,))


def test_each_read_is_counted_and_each_different_one_judged_once(url: str) -> None:
    with Router(url, "m", refresh=60) as router:
        for number in (1, 2, 3, 1, 1):
            read(router, number)
        read(router, 4, bad=True)
        settled(router, 6)
        read(router, 1, bad=True)
        read(router, 4)
        settled(router, 8)
        assert router.refresh()
        assert counts(url) == {
            "0 read v1 v1": 8, "0 shadow v1 matched": 6, "0 shadow v1 mismatched": 2,
        }  # fmt: skip
        (judged,) = now(url).judged
        # Of 1 a later one was bad, of 4 the first.
        assert (judged.reads, judged.bad, judged.ever_bad) == (4, 1, 2)
        assert router.refresh()
        assert sum(counts(url).values()) == 16


def test_what_differs_is_kept_with_both_answers_and_without_what_is_secret(url: str) -> None:
    with Router(url, "m", refresh=60) as router:
        for number in range(30):
            read(router, number, bad=True)
        settled(router, 30)
        assert router.refresh()
    samples = now(url).samples
    assert len(samples) == 20
    for one in samples:
        assert (one.view, one.outcome, one.columns) == ("orders", "mismatched", ("cents",))
        ((v1,), (v2,)) = one.v1, one.v2
        assert isinstance(v1, dict)
        assert isinstance(v2, dict)
        assert (v1["cents"], v2["cents"], v1["email"], v2["email"]) == ("0", "1", "(redacted)", "(redacted)")


def test_a_sample_is_cut_and_a_secret_is_in_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    long = {"id": 1, "note": "n" * 10_000_000, "tags": list(range(1_000)), "email": "ada@shop.example"}
    with Router(url, "m", refresh=60) as router:
        router.read("orders", unit=1, v1=lambda: [long] * 500, v2=lambda: [{**long, "id": 2}] * 500)
        settled(router, 1)
        assert router.refresh()
    (sample,) = now(url).samples
    assert len(sample.v1) == 20
    assert len(json.dumps(sample.v1)) < 20_000
    assert b"ada@shop" not in (tmp_path / "ledger.db").read_bytes()


def test_v2s_failures_and_the_share_are_told_apart(url: str) -> None:
    def fails(number: int) -> dict[str, Any]:
        raise KeyError(number)

    route(url, "canary", 500_000)
    with Router(url, "m", refresh=60) as router:
        on_v2 = [n for n in range(100) if router.decide(n).side == "v2"]
        for number in range(100):
            router.read("orders", unit=number, v1=answer, v2=answer if number % 2 else fails, args=(number,))
        settled(router, 100 - sum(n % 2 == 0 for n in on_v2))
        # What was counted before the share moved stays at the share of then.
        route(url, "live", 1_000_000)
        assert router.refresh()
        read(router, 1)
        settled(router, 101 - sum(n % 2 == 0 for n in on_v2))
        assert router.refresh()
    failed = sum(n % 2 == 0 for n in on_v2)
    on_v1 = [n for n in range(100) if n not in on_v2]
    assert counts(url) == {
        "500000 read v1 v1": len(on_v1), "500000 read v2 v2": len(on_v2) - failed, "500000 read v2 v2_error": failed,
        "500000 shadow v1 matched": sum(n % 2 for n in on_v1),
        "500000 shadow v1 v2_error": sum(n % 2 == 0 for n in on_v1),
        "500000 shadow v2 matched": len(on_v2) - failed, "1000000 read v2 v2": 1, "1000000 shadow v2 matched": 1,
    }  # fmt: skip


def test_reads_are_counted_for_what_is_there_and_anew_where_that_changes(url: str) -> None:
    held = threading.Event()
    with Router(url, "m", refresh=60) as router:
        for number in range(5):
            read(router, number)
        settled(router, 5)
        assert router.refresh()
        before = now(url).bases["orders"].key
        # The same again changes nothing.
        count_for(url, at=AT + timedelta(hours=1))
        assert sum(counts(url).values()) == 10
        # Begun before the change and judged after it: evidence for neither.
        router.read("orders", unit=9, v1=answer, v2=lambda n: held.wait(10) and answer(n), args=(9,))
        count_for(url, {"orders": {"v1": 1, "v2": 2}}, at=AT + timedelta(hours=2))
        assert counts(url) == {}
        assert router.refresh()
        held.set()
        settled(router, 6)
        read(router, 1)
        settled(router, 7)
        assert router.refresh()
        found = now(url)
        assert found.bases["orders"].key != before
        assert [(one.reads, one.ever_bad) for one in found.judged] == [(1, 0)]
        # Back again is no less new.
        count_for(url, at=AT + timedelta(hours=3))
        assert counts(url) == {}
        assert now(url).bases["orders"].key != before
        count_for(url, {})
        assert router.refresh()
        read(router, 1)
        settled(router, 8)
        assert router.refresh()
    assert now(url).bases == {}
    assert now(url).counts == ()


def test_a_router_that_is_not_to_record_writes_nothing(url: str) -> None:
    with Router(url, "m", refresh=60, record=False) as router:
        read(router, 1, bad=True)
        settled(router, 1)
        assert router.refresh()
    assert (now(url).counts, now(url).judged, now(url).samples) == ((), (), ())
    assert router.shadow_counts() == {"orders": {"mismatched": 1}}


def test_closing_writes_what_came_last(url: str) -> None:
    with Router(url, "m", refresh=60) as router:
        read(router, 1)
        settled(router, 1)
    assert sum(counts(url).values()) == 2


def test_tasks_are_counted_too(url: str) -> None:
    async def get(number: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return answer(number)

    async def serve(router: Router) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(router.aread("orders", unit=number, v1=get, v2=get, args=(number,)))
        await asyncio.to_thread(settled, router, 50)

    with Router(url, "m", refresh=60) as router:
        asyncio.run(serve(router))
    assert counts(url) == {"0 read v1 v1": 50, "0 shadow v1 matched": 50}
    assert [(one.reads, one.ever_bad) for one in now(url).judged] == [(50, 0)]


WORKER = textwrap.dedent("""
    import os, sys, threading, time
    from dualgauge_router import Router

    url, first, count, threads, refresh = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
    router = Router(url, "m", refresh=refresh)

    def reads(start):
        for n in range(start, start + count):
            router.read("orders", unit=n, v1=lambda n: {"id": n}, v2=lambda n: {"id": n}, args=(n,))

    if os.environ.get("FORKS"):
        reads(first)
        if os.fork() == 0:
            first += count
    of_each = [threading.Thread(target=reads, args=(first + at * count,)) for at in range(threads)]
    for one in of_each: one.start()
    for one in of_each: one.join()
    while sum(router.shadow_counts().get("orders", {}).values()) < sum(router.counts()["orders"].values()):
        time.sleep(0.005)
    router.close()
    # One write, where a fork says its own beside it.
    os.write(1, b"%d\\n" % sum(router.counts()["orders"].values()))
""")


def begin(url: str, *args: object, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, url, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})


def test_several_processes_with_several_threads_add_up_and_judge_the_same_read_once(url: str) -> None:
    # Reads of one process are reads of the next one, too.
    running = [begin(url, at * 100, 100, 4, 0.02) for at in range(3)]
    made = sum(int(one.communicate(timeout=60)[0]) for one in running)

    assert made == 3 * 400
    assert counts(url) == {"0 read v1 v1": made, "0 shadow v1 matched": made}
    assert [(one.reads, one.ever_bad) for one in now(url).judged] == [(600, 0)]


def test_a_forked_process_counts_its_own_reads(url: str) -> None:
    made, _ = begin(url, 0, 50, 2, 0.02, FORKS="1").communicate(timeout=60)

    assert sorted(map(int, made.split())) == [100, 150]
    assert counts(url) == {"0 read v1 v1": 250, "0 shadow v1 matched": 250}


def test_killed_at_any_moment_a_process_leaves_no_half_of_a_batch_and_nothing_twice(url: str) -> None:
    chance = random.Random(7)
    for before in range(8):
        one = begin(url, 0, 1_000_000, 1, 0.001)
        until = time.monotonic() + 60
        while rows(url, "SELECT count(*) FROM read_writer") == [(before,)] and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.3)
        one.send_signal(signal.SIGKILL)
        one.communicate(timeout=60)
    found = counts(url)
    (judged,) = now(url).judged
    # A batch has the counts and the judged reads of one look; what was killed is short of some, and no read too many.
    assert found["0 shadow v1 matched"] <= found["0 read v1 v1"]
    assert 0 < judged.reads <= found["0 shadow v1 matched"] + 8 * 800
    with Ledger.look(url) as ledger:
        assert ledger.verify_journal() is None


def batch(number: int, reads: int = 5, *, keys: int = 3, bad: int = 0, writer: str = "w" * 32) -> Batch:
    counted = [("k" * 64, "orders", 0, "read", "v1", "v1", AT.isoformat(), reads)]
    judged = [("k" * 64, "orders", 0, f"{at:064d}", bad, 0) for at in range(keys)]
    return Batch(writer, number, AT.isoformat(), AT.isoformat(), counted, judged)


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(LedgerReader(ledger_url(url))) as reader, reader._asking() as ask:
        return list(ask(sql, ()))


def test_a_batch_that_is_written_again_changes_nothing(url: str) -> None:
    writer = LedgerReader(ledger_url(url))
    for number in (1, 1, 2, 1, 2, 2):
        writer.write("m", batch(number))
    writer.write("m", batch(1, writer="v" * 32))
    writer.write("other", batch(1, writer="u" * 32))
    writer.close()

    assert sorted(rows(url, "SELECT migration, reads FROM read_count")) == [("m", 15), ("other", 5)]
    assert rows(url, "SELECT count(*) FROM read_key WHERE migration = 'm'") == [(3,)]


def test_a_batch_whose_end_is_not_known_is_offered_again_as_it_was() -> None:
    evidence, state = ReadEvidence(), MigrationState("m", "shadow", bases=(("orders", "k" * 64),))
    aside: Mapping[str, Any] = {"read": {}, "shadow": {}}
    evidence.count(state, {"read": {"orders": {"v1": 3}}}, aside, {}, AT)
    first = evidence.batch(AT)
    assert first is not None
    # Meanwhile more came, under what held then, and another key, and another share.
    evidence.count(state, {"read": {"orders": {"v1": 5}}}, aside, {}, AT)
    evidence.count(replace(state, share_ppm=7), {"read": {"orders": {"v1": 6}}}, aside, {}, AT)
    evidence.count(replace(state, bases=(("orders", "l" * 64),)), {"read": {"orders": {"v1": 9}}}, aside, {}, AT)
    assert evidence.batch(AT) is first
    evidence.written()
    second = evidence.batch(AT)
    assert second is not None
    counted = [(row[0][0], row[2], row[-1]) for row in second.counts]
    assert (second.number, counted) == (2, [("k", 0, 2), ("k", 7, 1), ("l", 0, 3)])
    evidence.written()
    assert evidence.batch(AT) is None


def test_what_came_before_another_file_is_no_evidence_for_it_though_it_could_not_be_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    with Router(url, "m", refresh=60) as router:
        for number in range(10):
            read(router, number)
        settled(router, 10)
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert router.refresh()
            assert isinstance(router.record_trouble, LedgerBusy)
            for number in range(20):
                read(router, number)
            settled(router, 30)
        count_for(url, {"orders": {"v1": 1, "v2": 2}}, at=AT + timedelta(hours=1))
        assert router.refresh()
        assert router.refresh()
        assert counts(url) == {}
        read(router, 1)
        settled(router, 31)
    assert counts(url) == {"0 read v1 v1": 1, "0 shadow v1 matched": 1}


def test_closing_writes_all_that_was_judged_the_bad_ones_too(url: str) -> None:
    with Router(url, "m", refresh=60) as router:
        for number in range(3_000):
            read(router, number, bad=number % 100 == 99)
        settled(router, 3_000)
    assert [(one.reads, one.bad) for one in now(url).judged] == [(3_000, 30)]


def test_no_answer_and_no_argument_stops_what_comes_after_it(url: str) -> None:
    class Session:
        pass

    odd: list[Any] = ["x\udc80", {1: "a", "b": 2}, 10**5_000, "a\0b", b"\xff", Session(), "meet at 0x0", "meet at 0x1"]
    with Router(url, "m", refresh=60) as router:
        for at, value in enumerate(odd):
            router.read(
                "orders", unit=at, v1=lambda v: {"id": 1, "v": v}, v2=lambda _: {"id": 1, "v": None}, args=(value,)
            )
            settled(router, at + 1)
            assert router.refresh()
            assert router.record_trouble is None
        read(router, 1)
        settled(router, len(odd) + 1)
    assert [(one.reads, one.bad) for one in now(url).judged] == [(len(odd) + 1, len(odd))]
    assert counts(url)["0 shadow v1 mismatched"] == len(odd)


def test_pairs_with_what_is_secret_are_kept_nowhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0, {**SAID, "views": {"orders": {"key": ["id"], "rules": {}, "expects": True}}})
    count_for(url)
    with Router(url, "m", refresh=60) as router:
        read(router, 77, bad=True)
        settled(router, 1)
    assert counts(url) == {"0 read v1 v1": 1, "0 shadow v1 excluded": 1}
    assert b"77@shop" not in (tmp_path / "ledger.db").read_bytes()


def test_the_different_reads_of_a_share_are_bounded_but_for_bad_ones(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_writing, "_MOST_KEYS", 10)
    writer = LedgerReader(ledger_url(url))
    writer.write("m", batch(1, keys=10))
    writer.write("m", batch(2, keys=40))
    assert rows(url, "SELECT count(*), sum(bad_later) FROM read_key") == [(10, 0)]
    writer.write("m", batch(3, keys=20, bad=1))
    writer.close()
    assert rows(url, "SELECT count(*), sum(bad), sum(bad_later) FROM read_key") == [(20, 10, 10)]


def test_while_another_writes_reads_and_looks_go_on_and_nothing_is_lost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    with Router(url, "m", refresh=0.02) as router:
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(50):
                read(router, number)
            settled(router, 50)
            began = time.monotonic()
            assert router.refresh()
            assert time.monotonic() - began < 1.5
            assert counts(url) == {}
        assert router.refresh()
        assert router.refresh()
        assert counts(url) == {"0 read v1 v1": 50, "0 shadow v1 matched": 50}
    assert router.record_trouble is None


@pytest.mark.parametrize("revision", ["0008", "0099"])
def test_a_ledger_of_another_revision_is_read_and_not_written(tmp_path: Path, revision: str) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as hand:
        if revision == "0099":
            hand.execute("INSERT INTO readable_from VALUES ('0099', '0008')")
        hand.execute("UPDATE dualgauge_version SET version_num = ?", [revision])
        hand.commit()
    with Router(url, "m", refresh=60) as router:
        assert router.trouble is None
        read(router, 1)
        settled(router, 1)
        assert router.refresh()
    assert rows(url, "SELECT count(*) FROM read_count") == [(0,)]
    with pytest.raises(NewerLedger):
        LedgerReader(ledger_url(url)).write("m", batch(1))


def test_a_ledger_that_may_not_be_written_is_told_once_and_reads_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as hand:
        # As a role without the right to write.
        hand.execute("CREATE TRIGGER t BEFORE INSERT ON read_writer BEGIN SELECT RAISE(ABORT, 'not yours'); END")
    with Router(url, "m", refresh=60) as router:
        for number in range(3):
            read(router, number)
            settled(router, number + 1)
            assert router.refresh()
            assert router.trouble is None
            assert "not yours" in str(router.record_trouble)
        time.sleep(0.2)
        told = [one.message for one in caplog.records if "not written" in one.message]
        assert len(told) == 1
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as hand:
            hand.execute("DROP TRIGGER t")
        # One batch a look: the one that waited, then the rest.
        assert router.refresh()
        assert router.refresh()
        assert router.record_trouble is None
    assert counts(url) == {"0 read v1 v1": 3, "0 shadow v1 matched": 3}


def test_pairs_that_wait_are_bounded_and_the_rest_is_excluded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_writing, "_PAIRS", 5)
    route(url, "shadow", 0, EXPECTING)
    with Router(url, "m", refresh=60) as router:
        for number in range(8):
            read(router, number, bad=bool(number % 2))
        settled(router, 8)
        assert router.refresh()
        assert counts(url) == {"0 read v1 v1": 8, "0 shadow v1 pending": 5, "0 shadow v1 excluded": 3}
        for number in range(8):
            read(router, number, bad=bool(number % 2))
        settled(router, 16)
        assert router.refresh()
    # Five of those wait already, and take no room.
    assert counts(url) == {"0 read v1 v1": 16, "0 shadow v1 pending": 10, "0 shadow v1 excluded": 6}
    assert now(url).waiting == {"orders": 5}
    # Neither good nor bad before it is judged.
    assert now(url).judged == ()


@pytest.mark.parametrize("together", [True, False])
def test_pairs_wait_in_the_order_in_which_they_came(url: str, *, together: bool) -> None:
    """Of one read the first pair decides, so they are judged in that order, whatever they hold."""
    route(url, "shadow", 0, EXPECTING | {"shadow": EXPECTING["shadow"] | {"workers": 1}})
    with Router(url, "m", refresh=60) as router:
        for cents in range(12):
            v1, v2 = answer(1), answer(1, cents)
            router.read("orders", unit=1, v1=lambda _, v1=v1: v1, v2=lambda _, v2=v2: v2, args=(1,))
            settled(router, cents + 1)
            assert together or router.refresh()
    with Ledger.look(url) as ledger:
        waiting = ledger.reads_of("m").waiting(["orders"])
    assert [json.loads(one.v2)[0]["cents"] for one in waiting] == [[str(cents)] for cents in range(12)]


def test_a_process_that_ends_counts_every_shadow_it_began(url: str) -> None:
    """None is left out, good or bad, where a router is closed while reads of the other side are under way."""
    route(url, "shadow", 0, SAID | {"shadow": SAID["shadow"] | {"timeout_ms": 60_000}})
    over = threading.Event()

    def slow(number: int) -> dict[str, Any]:
        over.wait(30)
        return answer(number, number % 2)

    with Router(url, "m", refresh=60) as router:
        for number in range(12):
            read(router, number, bad=bool(number % 2))
        settled(router, 12)
        for number in range(12, 20):
            router.read("orders", unit=number, v1=answer, v2=slow, args=(number,))
    over.set()
    assert counts(url) == {
        "0 read v1 v1": 20, "0 shadow v1 matched": 6, "0 shadow v1 mismatched": 6, "0 shadow v1 dropped": 8,
    }  # fmt: skip


def test_pairs_that_a_process_has_no_room_for_are_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_PAIRS", 5)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0, EXPECTING)
    count_for(url)
    with Router(url, "m", refresh=60) as router:
        for number in range(8):
            read(router, number)
        settled(router, 8)
        found = router.shadow_counts()["orders"]
        assert found["pending"] + found["excluded"] == 8
        # Of two threads each may be one too many.
        assert found["pending"] in (5, 6)


def test_a_difference_that_waits_is_not_forgotten_with_its_process(url: str) -> None:
    """Killed while answers that differ wait to be read again, a process leaves no evidence of the good ones alone."""
    route(url, "shadow", 0, SAID | {"shadow": SAID["shadow"] | {"settle_ms": 600_000}})
    killed = textwrap.dedent("""
        import os, signal, sys, time
        from dualgauge_router import Router

        router = Router(sys.argv[1], "m", refresh=60)
        for n in range(12):
            v2 = {"id": n, "bad": n < 3}
            router.read("orders", unit=n, v1=lambda n: {"id": n, "bad": False}, v2=lambda n: v2, args=(n,))
            while sum(router.shadow_counts().get("orders", {}).values()) < n - 2: time.sleep(0.005)
        assert router.refresh()
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", killed, url], check=False, timeout=60).returncode == -signal.SIGKILL
    assert counts(url) == {"0 read v1 v1": 12, "0 shadow v1 matched": 9, "0 shadow v1 settling": 3}


def test_a_difference_that_has_waited_is_settling_no_more(url: str) -> None:
    # One worker: once the second read is over, the first one waits.
    route(url, "shadow", 0, SAID | {"shadow": SAID["shadow"] | {"settle_ms": 3_000, "workers": 1}})
    with Router(url, "m", refresh=60) as router:
        read(router, 1, bad=True)
        read(router, 2)
        settled(router, 1)
        assert router.refresh()
        assert counts(url) == {"0 read v1 v1": 2, "0 shadow v1 matched": 1, "0 shadow v1 settling": 1}
        settled(router, 2)
        assert router.refresh()
        assert counts(url) == {"0 read v1 v1": 2, "0 shadow v1 matched": 1, "0 shadow v1 mismatched": 1}


@pytest.mark.parametrize("fails", ["v1 raises", "v2 raises", "v2 exits", "v2 is late", "positions raise"])
def test_a_difference_that_cannot_be_looked_at_again_is_not_left_out(tmp_path: Path, fails: str) -> None:
    """With the reads of which nobody knows, a v2 that is wrong and unsteady would look clean."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0, SAID | {"shadow": SAID["shadow"] | {"timeout_ms": 300}})
    count_for(url)
    asked = {Side.V1: 0, Side.V2: 0}

    def side(which: Side) -> dict[str, Any]:
        asked[which] += 1
        if asked[which] > 1 and fails.startswith(which.value):
            if fails.endswith("is late"):
                time.sleep(1)
            raise SystemExit(3) if fails.endswith("exits") else RuntimeError
        return answer(1, int(which is Side.V2))

    def positions(_: Side) -> int:
        if fails.startswith("positions"):
            raise RuntimeError
        return 7

    with Router(url, "m", refresh=60) as router:
        router.read(
            "orders", unit=1, v1=lambda: side(Side.V1), v2=lambda: side(Side.V2), positions=positions
        )  # fmt: skip
        settled(router, 1)
    assert counts(url) == {"0 read v1 v1": 1, "0 shadow v1 excluded": 1}
    assert now(url).judged == ()


@pytest.mark.parametrize("stage", ["canary", "shadow"])
@pytest.mark.parametrize("back", [False, True])
def test_what_settles_while_a_share_moves_counts_where_it_was_begun(url: str, stage: str, *, back: bool) -> None:
    """A rollback, say: it would take with it what it was made for."""
    route(url, "canary", 10_000, SAID | {"shadow": SAID["shadow"] | {"settle_ms": 4_000, "workers": 1}})
    with Router(url, "m", refresh=60) as router:
        read(router, 1, bad=True)
        read(router, 2)
        settled(router, 1)
        assert router.refresh()
        assert counts(url)["10000 shadow v1 settling"] == 1
        route(url, stage, 20_000)
        assert router.refresh()
        # Begun under the one share, and found to differ under the other one.
        read(router, 3, bad=True)
        if back:
            route(url, "canary", 10_000)
            assert router.refresh()
        settled(router, 3)
        assert router.refresh()
    found = {name: reads for name, reads in counts(url).items() if " shadow " in name}
    assert found == {
        "10000 shadow v1 matched": 1, "10000 shadow v1 mismatched": 1, "20000 shadow v1 mismatched": 1,
    }  # fmt: skip
    assert {(one.share_ppm, one.reads, one.bad) for one in now(url).judged} == {(10_000, 2, 1), (20_000, 1, 1)}
    assert len(now(url).samples) == 2


def test_what_is_judged_behind_a_count_waits_for_the_next_one() -> None:
    """Written before, good reads would be there without those that wait, and a process may be killed then."""
    evidence, state = ReadEvidence(), MigrationState("m", "shadow", bases=(("orders", "k" * 64),))
    nothing: Mapping[str, Any] = {"read": {}, "shadow": {}}
    waits = {(Place("k" * 64, "orders", 0, "v1"), SETTLING): 1}

    def judge(first: int, count: int) -> None:
        for number in range(first, first + count):
            assert evidence.judge(Judged("k" * 64, "orders", 0, f"{number:064d}", bad=False))

    def written() -> list[tuple[int, dict[str, int]]]:
        found = []
        while (one := evidence.batch(AT)) is not None:
            found.append((len(one.keys), {row[5]: row[7] for row in one.counts}))
            evidence.written()
        return found

    judge(0, 3)
    evidence.count(state, nothing, nothing, waits, AT)
    judge(3, 2_000)
    assert written() == [(3, {"settling": 1})]
    # It is settled: taken back with the last of those that were judged by then.
    evidence.count(state, nothing, nothing, dict.fromkeys(waits, 0), AT)
    judge(2_003, 5)
    assert written() == [(800, {}), (800, {}), (400, {"settling": -1})]
    evidence.count(state, nothing, nothing, dict.fromkeys(waits, 0), AT)
    assert written() == [(5, {})]


def test_calls_that_are_one_are_one_read_however_their_arguments_are_given(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    with Router(url, "m", refresh=60) as router:

        def v2(name: str, limit: int = 5, *more: int, by: str = "id", **others: int) -> dict[str, Any]:
            return {"id": name, "limit": limit, "more": more, "by": by, "others": others}

        v1 = router.switched("orders", unit="name", v2=v2)(v2)
        calls: list[Callable[[], object]] = [
            lambda: v1("ada"), lambda: v1(name="ada"), lambda: v1("ada", 5), lambda: v1("ada", limit=5),
            lambda: v1(limit=5, name="ada"), lambda: v1("ada", by="id"), lambda: v1("ada", 6), lambda: v1("ada", 5, 5),
            lambda: v1("ada", x=1, y=2), lambda: v1("ada", y=2, x=1), lambda: v1("ada", by="x"),
        ]  # fmt: skip
        for call in calls:
            call()
        settled(router, len(calls))
    # Five are others: a limit, one value more, two names more in any order, another order.
    assert [one.reads for one in now(url).judged] == [5]


def test_what_names_an_awaited_read_may_be_given(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)

    async def side(key: str) -> dict[str, Any]:
        return {"id": int(key)}

    async def ask() -> None:
        with Router(url, "m", refresh=60) as router:
            for key in ("7", "07", "007", "8"):
                await router.aread("orders", unit=1, v1=side, v2=side, args=(key,), named=lambda key=key: int(key))
            for _ in range(3_000):
                if router.shadow_counts().get("orders") == {"matched": 4}:
                    break
                await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert [one.reads for one in now(url).judged] == [2]


def test_what_an_application_raises_ends_no_thread_of_shadows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0, SAID | {"shadow": SAID["shadow"] | {"workers": 1}})
    count_for(url)

    def leave(*_: object) -> Any:
        raise SystemExit(3)

    class Leaving(dict[str, Any]):
        __copy__ = leave

    with Router(url, "m", refresh=60) as router:
        for number in range(5):
            router.read("orders", unit=1, v1=answer, v2=answer, args=(number,), named=leave)
            router.read("orders", unit=1, v1=answer, v2=answer, args=(number,), as_rows=leave)
            assert router.read("orders", unit=1, v1=lambda: Leaving(id=1), v2=lambda: Leaving(id=1)) == {"id": 1}
        read(router, 77)
        until = time.monotonic() + 30
        while sum(router.shadow_counts().get("orders", {}).values()) < 16 and time.monotonic() < until:
            time.sleep(0.01)
        assert router.shadow_counts() == {"orders": {"matched": 11, "comparator_error": 5}}


def test_reads_before_the_first_file_are_no_evidence(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    with Router(url, "m", refresh=60) as router:
        for number in range(100):
            read(router, number)
        settled(router, 100)
        count_for(url)
        assert router.refresh()
        for number in range(7):
            read(router, number)
        settled(router, 107)
        assert router.refresh()
        assert counts(url) == {"0 read v1 v1": 7, "0 shadow v1 matched": 7}


@pytest.mark.parametrize("change", ["share", "file"])
def test_reads_that_are_under_way_while_something_changes_count_for_neither(tmp_path: Path, change: str) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "canary", 500_000)
    count_for(url)
    begun, over = threading.Semaphore(0), threading.Event()

    def slow(number: int) -> dict[str, Any]:
        begun.release()
        over.wait(30)
        return answer(number)

    with Router(url, "m", refresh=60) as router:
        threads = [
            threading.Thread(target=lambda n=n: router.read("orders", unit=n, v1=slow, v2=slow, args=(n,)))
            for n in range(10)
        ]
        for one in threads:
            one.start()
            assert begun.acquire(timeout=30)
        if change == "share":
            route(url, "canary", 600_000)
        else:
            count_for(url, {"orders": {"v1": 2, "v2": 1}})
        assert router.refresh()
        over.set()
        for one in threads:
            one.join()
        settled(router, 10)
        assert router.counts() != {}
        read(router, 11)
        settled(router, 11)
        assert router.refresh()
        share = 600_000 if change == "share" else 500_000
        assert sum(counts(url).values()) == 2
        assert all(one.startswith(f"{share} ") for one in counts(url))
        assert sum(one.reads for one in now(url).judged) == 1


def test_a_difference_that_settles_behind_a_change_counts_for_neither(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0, SAID | {"shadow": SAID["shadow"] | {"settle_ms": 1_000}})
    count_for(url)
    with Router(url, "m", refresh=60) as router:
        read(router, 1, bad=True)
        count_for(url, {"orders": {"v1": 2, "v2": 1}})
        assert router.refresh()
        settled(router, 1)
        assert router.refresh()
        assert counts(url) == {}
        assert now(url).judged == ()


def test_one_read_has_one_hash_whatever_object_and_whichever_process_asks(tmp_path: Path) -> None:
    class Session:
        """Has another address each time."""

    args = [
        ({"id": 7, "session": Session(), "tags": {"a", "b", "c"}}, [Session()], frozenset({"x", "y"})) for _ in "ab"
    ]
    assert len({hash_of("orders", one) for one in args}) == 1
    with socket.socket() as one, socket.socket() as another:
        # Its text says nothing of where it stands, and is another one each time all the same.
        assert hash_of("orders", [one, 7]) == hash_of("orders", [another, 7]) != hash_of("orders", [one, 8])
    assert len({hash_of("orders", [side]) for side in Side}) == 2
    values = (Path("a"), Path("/look at 0x/b"), Path("/look at 0x/c"), uuid.UUID(int=1), range(3), b"a", b"b")
    assert len({hash_of("orders", [value]) for value in values}) == 7
    assert hash_of("orders", [{"a": 1, "b": 2}]) == hash_of("orders", [{"b": 2, "a": 1}])
    alike = (7, 7.0, "7", Decimal(7), Decimal("7.00")), (0.1, "0.1", Decimal("0.10")), (100, 1e2, Decimal("1E2"), "100")
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    alike += ((moment, moment.astimezone(ZoneInfo("America/New_York"))), (0, -0.0, "0", Decimal("-0")))
    for values in alike:
        assert len({hash_of("orders", [one]) for one in values}) == 1
    unlike = (1, True, 1.5, Decimal("1e400"), 10**399, Decimal("NaN"), 0.1 + 0.2, 0.3, None, date(2026, 3, 1))
    assert len({hash_of("orders", [one]) for one in unlike}) == len(unlike)
    assert len({hash_of("orders", [one]) for one in ({"a": 1}, {"a": 2}, ["a", 1], {"a"}, {"b"}, "meet at 0x0")}) == 6
    asked = (
        "from dualgauge_router.evidence import hash_of; "
        "print(hash_of('o', [{'ada', 'bob', 'cleo'}, {'k': {'x', 'y'}}]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", asked],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(1, 5)
    }
    assert len(found) == 1


def test_a_column_of_half_a_character_stops_nothing(url: str) -> None:
    with Router(url, "m", refresh=60) as router:
        router.read("orders", unit=1, v1=lambda: {"id": 1, "\ud800": 1}, v2=lambda: {"id": 1, "\ud800": 2})
        for number in range(3):
            read(router, number)
        settled(router, 4)
        assert router.refresh()
        assert router.record_trouble is None
    assert counts(url) == {"0 read v1 v1": 4, "0 shadow v1 matched": 3, "0 shadow v1 mismatched": 1}


def test_names_of_redacted_columns_are_folded_and_long_values_of_any_kind_are_cut(url: str) -> None:
    given = {"id": 1, "EMail": "ada@shop.example", "more": {"a": "x" * 1_000_000}, "all": {"y" * 100_000}}
    with Router(url, "m", refresh=60) as router:
        router.read("orders", unit=1, v1=lambda: given, v2=lambda: {**given, "id": 2})
        settled(router, 1)
        assert router.refresh()
    (sample,) = now(url).samples
    assert "ada@" not in repr(sample)
    assert len(repr(sample)) < 10_000


def test_closing_waits_for_a_ledger_that_another_one_writes_to(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)) as other:
        router = Router(url, "m", refresh=60)
        for number in range(10):
            read(router, number)
        settled(router, 10)
        other.execute("BEGIN IMMEDIATE")
        letting_go = threading.Timer(0.8, lambda: other.execute("ROLLBACK"))
        letting_go.start()
        router.close()
        letting_go.join()
    assert counts(url) == {"0 read v1 v1": 10, "0 shadow v1 matched": 10}


def test_a_switched_functions_arguments_tell_its_reads_apart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "shadow", 0)
    count_for(url)
    with Router(url, "m", refresh=60) as router:

        def new(number: int, *, wide: bool = False) -> dict[str, Any]:
            return answer(number, int(wide))

        @router.switched("orders", unit="number", v2=new)
        def orders(number: int, *, wide: bool = False) -> dict[str, Any]:
            return new(number, wide=wide)

        for number in (1, 2, 3, 1):
            orders(number)
        orders(1, wide=True)
        orders(number=1, wide=True)
        settled(router, 6)
        assert router.refresh()
    # The last two are one call.
    assert sum(one.reads for one in now(url).judged) == 4


def test_reads_by_a_decision_from_before_say_nothing_of_the_share_of_now(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    route(url, "canary", 1_000_000)
    count_for(url)
    with Router(url, "m", refresh=60) as router, router.pinned(1):
        read(router, 1)
        settled(router, 1)
        route(url, "canary", 100)
        assert router.refresh()
        assert router.decide(1).side == "v2"
        for _ in range(5):
            read(router, 1)
        settled(router, 6)
        assert router.decide(2).side == "v1"
        read(router, 2)
        settled(router, 7)
        assert router.refresh()
    assert counts(url) == {
        "1000000 read v2 v2": 1, "1000000 shadow v2 matched": 1, "100 read v1 v1": 1, "100 shadow v1 matched": 1,
    }  # fmt: skip
    assert {(one.share_ppm, one.reads) for one in now(url).judged} == {(1_000_000, 1), (100, 1)}
