"""What reads came to, in the ledger: counted once, for what they are evidence for, whatever becomes of a process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.routing import RoutingVerb, evidence_for
from dualgauge_router import Router, ledger_writing
from dualgauge_router.evidence import Batch, ReadEvidence, hash_of
from dualgauge_router.ledger import LedgerReader
from dualgauge_router.ledger_errors import LedgerBusy, NewerLedger
from dualgauge_router.ledger_url import ledger_url
from dualgauge_router.state import MigrationState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    print(sum(router.counts()["orders"].values()), flush=True)
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
    for _ in range(8):
        one = begin(url, 0, 1_000_000, 1, 0.001)
        time.sleep(0.4 + chance.random() * 0.4)
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
    evidence.count(state, {"read": {"orders": {"v1": 3}}}, aside, AT)
    first = evidence.batch(AT)
    assert first is not None
    # Meanwhile more came, under what held then, and another key, and another share.
    evidence.count(state, {"read": {"orders": {"v1": 5}}}, aside, AT)
    evidence.count(replace(state, share_ppm=7), {"read": {"orders": {"v1": 6}}}, aside, AT)
    evidence.count(replace(state, bases=(("orders", "l" * 64),)), {"read": {"orders": {"v1": 9}}}, aside, AT)
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
    said = {
        **SAID, "views": {"orders": {"key": ["id"], "rules": {}, "expects": True}},
        "shadow": {**SAID["shadow"], "redact": []},
    }  # fmt: skip
    route(url, "shadow", 0, said)
    with Router(url, "m", refresh=60) as router:
        for number in range(8):
            read(router, number, bad=True)
            read(router, number)
        settled(router, 16)
        assert router.refresh()
        read(router, 0, bad=True)
        settled(router, 17)
        assert router.refresh()
    # The pair of the last one waits already, among those that there was room for.
    found = counts(url)
    assert (found["0 shadow v1 matched"], found["0 shadow v1 pending"] + found["0 shadow v1 excluded"]) == (8, 9)
    assert now(url).waiting == {"orders": 5}
    assert found["0 shadow v1 excluded"] in (3, 4)
    # Neither good nor bad before it is judged.
    assert [(one.reads, one.ever_bad) for one in now(url).judged] == [(8, 0)]


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
    assert hash_of("orders", [{"a": 1, "b": 2}]) == hash_of("orders", [{"b": 2, "a": 1}])
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
    assert sum(one.reads for one in now(url).judged) == 5
