"""The router in an application: cheap, current, and never in the way of a read."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dualgauge.ledger.errors import BadLedgerUrl, LedgerError, NoLedger
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import PPM, Side
from dualgauge_router.decision import Reason
from dualgauge_router.ledger import TIMEOUT
from dualgauge_router.router import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.pg_cluster import Cluster


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    Ledger.open(url).close()
    return url


@pytest.fixture
def clock() -> Hand:
    return Hand()


def share(url: str, share_ppm: int, stage: str = "canary") -> None:
    with Ledger.open(url) as ledger:
        state = ledger.state("orders")
        at = datetime(2026, 3, 1, tzinfo=UTC)
        ledger.move(
            state,
            JournalEntry(
                "orders", "v", "ana", at, state.stage, state.share_ppm, stage, share_ppm, f"op-{state.revision}"
            ),
        )


def test_a_migration_that_has_not_begun_reads_v1(url: str) -> None:
    with Router(ledger=url, migration="orders") as router:
        assert (router.decide("u").side, router.decide("u").reason) == (Side.V1, Reason.STAGE)


def test_a_read_is_answered_by_the_side_that_the_decision_names(url: str) -> None:
    share(url, 500_000)
    with Router(ledger=url, migration="orders") as router:
        for unit in (f"user-{number}" for number in range(50)):
            answer = router.read("orders", unit=unit, v1=lambda key: ("v1", key), v2=lambda key: ("v2", key), args=(7,))
            assert answer == (router.decide(unit).side, 7)


def test_a_new_share_is_in_force_after_the_refresh_time_without_being_asked_for(url: str) -> None:
    with Router(ledger=url, migration="orders", refresh=0.2) as router, Router(url, "orders", refresh=60) as slow:
        assert router.decide("u").share_ppm == 0
        share(url, PPM, "live")
        until(lambda: router.decide("u").share_ppm == PPM, 5)
        assert slow.decide("u").share_ppm == 0
        assert slow.refresh()
        assert slow.decide("u").share_ppm == PPM


def test_a_lost_ledger_keeps_the_last_share_for_a_while_and_then_reads_v1(
    url: str, clock: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    share(url, PPM, "live")
    path = Path(url.removeprefix("sqlite:///"))
    with Router(ledger=url, migration="orders", refresh=60, clock=clock) as router:
        assert router.decide("u").side is Side.V2
        path.rename(path.with_suffix(".away"))
        with caplog.at_level(logging.WARNING):
            for _ in range(30):
                clock.now += 1
                assert router.refresh()
                assert router.decide("u")[:2] == (Side.V2, Reason.HASH)
            assert isinstance(router.trouble, NoLedger)
            clock.now += 0.001
            assert router.decide("u")[:2] == (Side.V1, Reason.STALE)
            clock.now += 5
            assert router.refresh()
            assert router.decide("u")[:2] == (Side.V1, Reason.STALE)
        until(lambda: bool(caplog.records), 10)
        assert len(caplog.records) == 1, "said once, not at every try"
        assert caplog.records[0].getMessage().startswith("migration 'orders': there is no ledger at sqlite:///")
        path.with_suffix(".away").rename(path)
        assert router.refresh()
        assert router.decide("u")[:2] == (Side.V2, Reason.HASH)
        assert router.trouble is None


def test_a_complete_migration_reads_v2_even_when_the_ledger_is_lost(url: str, clock: Hand) -> None:
    share(url, PPM, "complete")
    with Router(ledger=url, migration="orders", clock=clock) as router:
        router.decide("u")
        Path(url.removeprefix("sqlite:///")).unlink()
        clock.now += 3_600
        assert router.decide("u")[:2] == (Side.V2, Reason.COMPLETE)


def test_an_application_starts_and_reads_v1_while_there_is_no_ledger(tmp_path: Path, clock: Hand) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Router(ledger=url, migration="orders", clock=clock) as router:
        assert router.decide("u")[:2] == (Side.V1, Reason.STALE)
        assert list(tmp_path.iterdir()) == []
        share(url, PPM, "live")
        assert router.refresh()
        assert router.decide("u")[:2] == (Side.V2, Reason.HASH)


def test_a_url_that_is_none_reads_v1_and_says_why(clock: Hand) -> None:
    with Router(ledger="nonsense", migration="orders", clock=clock) as router:
        assert router.decide("u").reason is Reason.STALE
        assert isinstance(router.trouble, BadLedgerUrl)


def test_many_threads_ask_at_once_while_the_share_moves(url: str) -> None:
    share(url, PPM, "live")
    begin = threading.Barrier(9)
    with Router(ledger=url, migration="orders", refresh=0.0) as router, ThreadPoolExecutor(8) as pool:

        def ask() -> set[tuple[int, Side]]:
            begin.wait()
            return {(made.share_ppm, made.side) for made in (router.decide("u") for _ in range(200))}

        asked = [pool.submit(ask) for _ in range(8)]
        begin.wait()
        share(url, 0, "shadow")
        seen = set().union(*(future.result() for future in asked))
        assert seen <= {(PPM, Side.V2), (0, Side.V1)}
        assert router.refresh()
        assert router.decide("u").share_ppm == 0


def test_a_forked_worker_goes_on_by_what_was_known_and_reads_the_ledger(url: str) -> None:
    share(url, PPM, "live")
    with Router(ledger=url, migration="orders", refresh=0.05) as router:
        pid = os.fork()
        if pid == 0:
            right = router.decide("u").side is Side.V2
            share(url, 0, "shadow")
            right = right and reaches(lambda: router.decide("u").side is Side.V1, 10) and router.trouble is None
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        until(lambda: router.decide("u").side is Side.V1, 5)


def test_threads_of_a_forked_worker_all_read_the_ledger(url: str) -> None:
    share(url, PPM, "live")

    def worker(router: Router) -> bool:
        sys.setswitchinterval(1e-6)
        begin = threading.Barrier(8)

        def ask(_: int) -> Side:
            begin.wait()
            return router.decide("u").side

        with ThreadPoolExecutor(8) as pool:
            same = set(pool.map(ask, range(8))) == {Side.V2}
        return same and router.refresh(20) and router.trouble is None and lookers() == 1

    # Of the threads of a new process, which come at the same moment, none finds half of what another one sets up.
    for _ in range(20):
        with Router(ledger=url, migration="orders") as router:
            pid = os.fork()
            if pid == 0:
                right = False
                try:
                    right = worker(router)
                finally:
                    os._exit(0 if right else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@contextmanager
def stopped(server: Cluster) -> Iterator[None]:
    """A server that takes connections and data, as its system does it for it, and answers nothing."""
    of_server = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=True)
    pids = [server.process.pid, *map(int, of_server.stdout.split())]

    def send(what: signal.Signals) -> None:
        for pid in pids:
            # A process of a connection ends with it, and the server's cleaners once they are through.
            with suppress(ProcessLookupError):
                os.kill(pid, what)

    try:
        send(signal.SIGSTOP)
        yield
    finally:
        send(signal.SIGCONT)


def reaches(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    assert reaches(condition, seconds)


def lookers() -> int:
    return sum(one.name == "dualgauge-router" for one in threading.enumerate())


def test_a_router_goes_on_while_its_server_does_not_answer(
    postgres: Cluster, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    Ledger.open(postgres_url).close()
    share(postgres_url, PPM, "live")
    with Router(postgres_url, "orders", refresh=0.05, stale_after=6.0) as router:
        assert router.decide("u")[:2] == (Side.V2, Reason.HASH)
        with caplog.at_level(logging.WARNING), stopped(postgres):
            longest = 0.0
            end = time.monotonic() + 4
            while time.monotonic() < end:
                start = time.monotonic()
                assert router.decide("u").side is Side.V2
                longest = max(longest, time.monotonic() - start)
                time.sleep(0.01)
            assert longest < 1, "no read waits"
            assert str(router.trouble) == (
                f"the ledger {postgres_url} has not answered for 2 s; what was known of it holds for a while, then "
                "every read goes to v1: see that its server runs and can be reached"
            )
            # It was asked once: the one look that was begun is still the only one.
            assert lookers() == 1
            until(lambda: router.decide("u")[:2] == (Side.V1, Reason.STALE), 10)
            until(lambda: bool(caplog.records), 10)
            assert len(caplog.records) == 1
        until(lambda: router.trouble is None)
        until(lambda: router.decide("u")[:2] == (Side.V2, Reason.HASH))


def test_a_router_that_starts_while_its_server_does_not_answer_reads_v1(postgres: Cluster, postgres_url: str) -> None:
    Ledger.open(postgres_url).close()
    with stopped(postgres):
        start = time.monotonic()
        router = Router(postgres_url, "orders")
        assert time.monotonic() - start < TIMEOUT + 2
        start = time.monotonic()
        unasked = Router(postgres_url, "orders", wait=0)
        assert time.monotonic() - start < 1
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: router.decide("u"), range(4)))
        assert {one[:2] for one in (*made, unasked.decide("u"))} == {(Side.V1, Reason.STALE)}
    with router, unasked:
        until(lambda: router.trouble is None)


def test_a_process_ends_and_forks_while_its_router_waits_for_a_server(postgres: Cluster, postgres_url: str) -> None:
    Ledger.open(postgres_url).close()
    share(postgres_url, PPM, "live")
    program = """
import os, sys, time
from dualgauge import Router
router = Router(sys.argv[1], "orders", refresh=0.05)
print(router.decide("u").side, flush=True)
sys.stdin.readline()
print(router.decide("u").side, flush=True)
pid = os.fork()
if pid == 0:
    start = time.monotonic()
    print(router.decide("u").side, time.monotonic() - start < 4, flush=True)
    sys.exit()
os.waitpid(pid, 0)
print(router.decide("u").side, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, postgres_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "v2\n"
        with stopped(postgres):
            out, err = process.communicate("go\n", timeout=30)
    assert (process.returncode, out.splitlines()) == (0, ["v2", "v2 True", "v2"])
    assert "Traceback" not in err


def test_a_forked_process_leaves_its_parents_connection_to_the_server_alone(postgres_url: str) -> None:
    Ledger.open(postgres_url).close()
    share(postgres_url, PPM, "live")
    with Ledger.look(postgres_url) as ledger, Router(postgres_url, "orders", refresh=0.0) as router:
        before = [ledger.state("orders").stage, router.decide("u").side]
        pid = os.fork()
        if pid == 0:
            right = False
            try:
                right = [ledger.state("orders").stage, router.decide("u").side] == before and router.refresh(10)
            finally:
                os._exit(0 if right and router.trouble is None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert [ledger.state("orders").stage, router.decide("u").side] == before
        assert router.trouble is None


def test_processes_that_are_forked_while_threads_ask_all_read_the_ledger(url: str) -> None:
    # A SQLite file that is open at a fork cannot be opened in the new process: no look is under way then.
    share(url, PPM, "live")
    over = threading.Event()
    with Router(url, "orders", refresh=0.0) as router, ThreadPoolExecutor(4) as pool:

        def ask() -> None:
            while not over.is_set():
                assert router.decide("u").side is Side.V2

        asking = [pool.submit(ask) for _ in range(4)]
        try:
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    right = router.decide("u").side is Side.V2 and router.refresh(20) and router.trouble is None
                    os._exit(0 if right else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        finally:
            over.set()
        for one in asking:
            one.result()


def test_a_worker_that_is_idle_after_its_fork_answers_its_first_read_by_the_latest_share(url: str) -> None:
    """As a server that loads the application, forks, and has no request for the worker for a while."""
    share(url, PPM, "live")
    with Router(url, "orders", refresh=0.1, stale_after=1.0):
        router = Router(url, "orders", refresh=0.1, stale_after=1.0)
        pid = os.fork()
        if pid == 0:
            time.sleep(2.5)
            os._exit(0 if router.decide("u")[:2] == (Side.V1, Reason.STAGE) else 1)
        share(url, 0, "shadow")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        router.close()


def test_a_fork_right_behind_the_start_reads_a_server_too(postgres_url: str) -> None:
    Ledger.open(postgres_url).close()
    share(postgres_url, PPM, "live")
    program = """
import os, sys, time
from dualgauge_router import Router
router = Router(sys.argv[1], "orders", refresh=0.05, wait=0)
pid = os.fork()
if pid == 0:
    end = time.monotonic() + 20
    while router.decide("u").side != "v2" and time.monotonic() < end:
        time.sleep(0.02)
    os._exit(router.decide("u").side != "v2")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program, postgres_url], check=False, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_is_refused_without_being_written_down(url: str) -> None:
    class Lazy:
        def __repr__(self) -> str:
            pytest.fail("asked for")

    share(url, PPM, "live")
    with Router(url, "orders") as router:
        start = time.monotonic()
        for unit in (Lazy(), b"a" * 60_000 + b"://", ["a" * 60_000 + "://", 1.5], {"url": "https://" + "a" * 60_000}):
            assert router.decide(unit).reason is Reason.BAD_UNIT  # type: ignore[arg-type]
        assert time.monotonic() - start < 1


def test_a_read_neither_waits_for_whoever_takes_log_records_nor_raises_what_they_raise(url: str) -> None:
    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            time.sleep(2)
            message = "no room"
            raise OSError(message)

    handler = Slow()
    logging.getLogger("dualgauge.router").addHandler(handler)
    try:
        share(url, PPM, "live")
        with Router(url, "orders", refresh=0.02) as router:
            Path(url.removeprefix("sqlite:///")).unlink()
            end, longest = time.monotonic() + 1, 0.0
            while time.monotonic() < end:
                start = time.monotonic()
                router.decide("u")
                longest = max(longest, time.monotonic() - start)
            assert isinstance(router.trouble, NoLedger)
            assert longest < 0.5
    finally:
        logging.getLogger("dualgauge.router").removeHandler(handler)


def test_a_signal_may_ask_in_the_middle_of_a_read(url: str) -> None:
    program = """
import signal, sys
from dualgauge_router import Router
router = Router(sys.argv[1], "orders", refresh=0)
signal.signal(signal.SIGALRM, lambda *_: router.decide("y"))
for _ in range(1_500):
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    for _ in range(200):
        router.decide("x")
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    done = subprocess.run([sys.executable, "-c", program, url], check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_relative_path_counts_from_where_the_process_was(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share(url, PPM, "live")
    monkeypatch.chdir(tmp_path)
    with Router("sqlite:///ledger.db", "orders", refresh=60) as router:
        monkeypatch.chdir("/")
        share(url, 0, "shadow")
        assert router.refresh()
        assert (router.decide("u").side, router.trouble) == (Side.V1, None)


def test_a_share_that_cannot_be_ends_no_looks(url: str) -> None:
    share(url, PPM, "live")
    with Router(url, "orders", refresh=0.02) as router:
        with Ledger.open(url) as ledger:
            whole = ledger.state("orders")
        with sqlite3.connect(url.removeprefix("sqlite:///")) as hand:
            hand.execute("UPDATE migration SET share_ppm = -1")
        hand.close()
        until(lambda: isinstance(router.trouble, LedgerError), 5)
        with sqlite3.connect(url.removeprefix("sqlite:///")) as hand:
            hand.execute("UPDATE migration SET share_ppm = ?", (whole.share_ppm,))
        hand.close()
        until(lambda: router.trouble is None, 5)


def test_a_router_that_nobody_has_any_more_looks_no_more(url: str) -> None:
    router = Router(url, "orders", refresh=0.02)
    assert lookers() == 1
    del router
    until(lambda: lookers() == 0, 10)
    forgotten = Router(url, "orders", refresh=3_600)
    del forgotten
    until(lambda: lookers() == 0, 10)
    with Router(url, "orders", refresh=0.02):
        assert lookers() == 1
    until(lambda: lookers() == 0, 10)


def test_an_application_that_reads_loads_the_standard_library_alone(url: str) -> None:
    share(url, 500_000)
    program = (
        "import sys; before = set(sys.modules); from dualgauge_router import Router; "
        f"Router(ledger={url!r}, migration='orders').decide('u'); "
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(loaded - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("['dualgauge_router']\n", "")
