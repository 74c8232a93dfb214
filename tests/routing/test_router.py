"""The router in an application: cheap, current, and never in the way of a read."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dualgauge.ledger.errors import BadLedgerUrl, NoLedger
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import PPM, Side
from dualgauge.routing.decision import Reason
from dualgauge.routing.router import Router

HEAVY = (
    "duckdb",
    "pyarrow",
    "pandas",
    "deltalake",
    "altair",
    "great_expectations",
    "alembic",
    "pydantic",
    "typer",
    "rich",
)


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
        assert (router.decide("u").side, router.decide("u").reason) == (Side.V1, Reason.HASH)


def test_a_read_is_answered_by_the_side_that_the_decision_names(url: str) -> None:
    share(url, 500_000)
    with Router(ledger=url, migration="orders") as router:
        for unit in (f"user-{number}" for number in range(50)):
            answer = router.read("orders", unit=unit, v1=lambda key: ("v1", key), v2=lambda key: ("v2", key), args=(7,))
            assert answer == (router.decide(unit).side, 7)


def test_an_error_of_v2_reaches_the_caller(url: str) -> None:
    def broken() -> str:
        raise LookupError("v2 has no such row")

    share(url, PPM, "live")
    with Router(ledger=url, migration="orders") as router, pytest.raises(LookupError, match="v2 has no such row"):
        router.read("orders", unit="u", v1=lambda: "fine", v2=broken)


def test_a_new_share_is_seen_after_the_refresh_time_and_not_before(url: str, clock: Hand) -> None:
    with Router(ledger=url, migration="orders", refresh=1.0, clock=clock) as router:
        assert router.decide("u").share_ppm == 0
        share(url, PPM, "live")
        clock.now += 0.999
        assert router.decide("u").share_ppm == 0
        clock.now += 0.001
        assert router.decide("u").share_ppm == PPM


def test_a_lost_ledger_keeps_the_last_share_for_a_while_and_then_reads_v1(
    url: str, clock: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    share(url, PPM, "live")
    path = Path(url.removeprefix("sqlite:///"))
    with Router(ledger=url, migration="orders", clock=clock) as router:
        assert router.decide("u").side is Side.V2
        path.rename(path.with_suffix(".away"))
        with caplog.at_level(logging.WARNING):
            for _ in range(30):
                clock.now += 1
                assert router.decide("u")[:2] == (Side.V2, Reason.HASH)
            assert isinstance(router.trouble, NoLedger)
            clock.now += 0.001
            assert router.decide("u")[:2] == (Side.V1, Reason.STALE)
            clock.now += 5
            assert router.decide("u")[:2] == (Side.V1, Reason.STALE)
        assert len(caplog.records) == 1, "said once, not at every try"
        assert caplog.records[0].getMessage().startswith("migration 'orders': there is no ledger at sqlite:///")
        path.with_suffix(".away").rename(path)
        clock.now += 1
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
        clock.now += 1
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
        assert router.decide("u").share_ppm == 0


def test_a_forked_worker_goes_on_reading_the_ledger(url: str, clock: Hand) -> None:
    share(url, 0)
    with Router(ledger=url, migration="orders", clock=clock) as router:
        router.decide("u")
        # As if another thread of the parent were reading the ledger at the moment of the fork.
        with router._lock:
            pid = os.fork()
            if pid == 0:
                share(url, PPM, "live")
                clock.now += 1
                os._exit(0 if router.decide("u").side is Side.V2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_threads_of_a_forked_worker_all_read_the_ledger(url: str) -> None:
    share(url, PPM, "live")

    def worker(router: Router) -> bool:
        sys.setswitchinterval(1e-6)
        begin = threading.Barrier(8)

        def ask(_: int) -> Side:
            begin.wait()
            return router.decide("u").side

        with ThreadPoolExecutor(8) as pool:
            return set(pool.map(ask, range(8))) == {Side.V2} and router.trouble is None

    # Of the threads of a new process, which come at the same moment, none finds half of what another one sets up.
    for _ in range(20):
        with Router(ledger=url, migration="orders") as router, router._lock:
            pid = os.fork()
            if pid == 0:
                right = False
                try:
                    right = worker(router)
                finally:
                    os._exit(0 if right else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_an_application_that_reads_loads_none_of_the_heavy_engines(url: str) -> None:
    share(url, 500_000)
    program = (
        "import sys; from dualgauge.routing.router import Router; "
        f"Router(ledger={url!r}, migration='orders').decide('u'); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
