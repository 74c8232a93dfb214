"""A read is answered whatever v2 does, and what came of it is counted."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import PPM
from dualgauge_router.router import Router
from dualgauge_router.serving import HANGING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

AT = datetime(2026, 3, 1, tzinfo=UTC)


def put(url: str, share_ppm: int, stage: str) -> None:
    with Ledger.open(url) as ledger:
        state = ledger.state("orders")
        found = (state.stage, state.share_ppm)
        ledger.move(state, JournalEntry("orders", "v", "ana", AT, *found, stage, share_ppm, f"op-{state.revision}"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def router(url: str) -> Iterator[Router]:
    """All reads are on v2."""
    put(url, PPM, "live")
    with Router(url, "orders", refresh=60) as opened:
        yield opened


def fails(*_: object) -> Any:
    raise LookupError


def v1(*key: object) -> object:
    return ("v1", *key)


def v2(*key: object) -> object:
    return ("v2", *key)


def test_v1_answers_where_v2_raises_and_the_first_is_told(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dualgauge.router"):
        for _ in range(3):
            assert router.read("orders", unit="a", v1=v1, v2=fails, args=(7,)) == ("v1", 7)
        until = time.monotonic() + 5
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
    assert [one.getMessage() for one in caplog.records] == [
        "view 'orders': v2 raised LookupError, and v1 answered for it; further ones are counted"
    ]
    assert router.read("orders", unit="a", v1=v1, v2=v2) == ("v2",)
    assert router.counts() == {"orders": {"v2_error": 3, "v2": 1}}


def test_what_v1_raises_reaches_the_caller_from_either_side(router: Router, url: str) -> None:
    with pytest.raises(LookupError):
        router.read("orders", unit="a", v1=fails, v2=fails)
    put(url, 0, "shadow")
    assert router.refresh()
    with pytest.raises(LookupError):
        router.read("orders", unit="a", v1=fails, v2=v2)
    # Each is one read, though both failed the first.
    assert router.counts() == {"orders": {"v2_error": 1, "v1_error": 1}}


def interrupts(*_: object) -> object:
    raise KeyboardInterrupt


def closes(*_: object) -> object:
    raise GeneratorExit


def test_ctrl_c_goes_through_where_it_can_come(router: Router) -> None:
    with pytest.raises(KeyboardInterrupt):
        router.read("orders", unit="a", v1=v1, v2=interrupts)
    # In a thread of v2's own it is no Ctrl-C.
    assert router.read("orders", unit="a", v1=v1, v2=interrupts, timeout=5.0) == ("v1",)
    assert router.counts() == {"orders": {"v2_error": 1}}


def test_once_complete_there_is_no_v1_to_answer(router: Router, url: str) -> None:
    put(url, PPM, "complete")
    assert router.refresh()

    def gone(*_: object) -> object:
        pytest.fail("v1 is retired")

    with pytest.raises(LookupError):
        router.read("orders", unit="a", v1=gone, v2=fails)
    with pytest.raises(TimeoutError, match="v2 did not answer the read of 'orders' in time"):
        router.read("orders", unit="a", v1=gone, v2=lambda: time.sleep(1), timeout=0.01)


def test_a_v2_that_hangs_takes_so_many_threads_and_no_more_and_no_read_waits_for_it(router: Router) -> None:
    over = threading.Event()
    before = threading.active_count()
    try:
        for _ in range(HANGING):
            assert router.read("orders", unit="a", v1=v1, v2=over.wait, timeout=0.01) == ("v1",)
        start = time.monotonic()
        for _ in range(20):
            # With no thread to be had v1 answers at once, and not after a minute.
            assert router.read("orders", unit="a", v1=v1, v2=over.wait, timeout=60) == ("v1",)
        assert time.monotonic() - start < 60
        assert threading.active_count() - before <= HANGING + 1
        assert router.counts() == {"orders": {"v2_timeout": HANGING + 20}}
    finally:
        over.set()
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert router.read("orders", unit="a", v1=v1, v2=v2, timeout=5) == ("v2",)


def test_more_reads_at_once_than_may_hang_are_all_answered_by_a_v2_that_is_in_time(router: Router) -> None:
    together = threading.Barrier(2 * HANGING)

    def both() -> str:
        together.wait(30)
        return "v2"

    with ThreadPoolExecutor(2 * HANGING) as pool:
        found = [pool.submit(router.read, "orders", unit="a", v1=v1, v2=both, timeout=60.0) for _ in range(2 * HANGING)]
        assert {one.result() for one in found} == {"v2"}
    assert router.counts() == {"orders": {"v2": 2 * HANGING}}


def test_a_v2_in_time_answers_in_the_context_of_its_caller(router: Router) -> None:
    with router.pinned("a") as decision:
        seen = router.read("orders", unit="a", v1=v1, v2=lambda: router.decide("a"), timeout=5)
        assert seen is decision
    assert router.read("orders", unit="a", v1=v1, v2=lambda: None, timeout=5) is None
    with pytest.raises(TypeError):
        router.read("orders", unit="a", v1=lambda: v1() + 1, v2=fails, timeout=5)  # type: ignore[operator]


def test_counts_of_threads_add_up_and_a_fork_begins_from_nothing(router: Router) -> None:
    def reads(number: int) -> None:
        for at in range(2_000):
            router.read(f"view-{number % 2}", unit="a", v1=v1, v2=v2 if at % 2 else fails)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(reads, range(8)))
    assert router.counts() == {f"view-{number}": {"v2": 4_000, "v2_error": 4_000} for number in (0, 1)}
    pid = os.fork()
    if pid == 0:
        router.read("orders", unit="a", v1=v1, v2=v2)
        os._exit(0 if router.counts() == {"orders": {"v2": 1}} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


async def av1(*key: object) -> object:
    return ("v1", *key)


def test_an_asynchronous_read_falls_back_too_and_cancels_what_is_late(router: Router) -> None:
    cancelled: list[str] = []

    async def hangs(*_: object) -> object:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append("v2")
            raise

    async def afails(*_: object) -> object:
        raise LookupError

    async def own(*_: object) -> object:
        raise TimeoutError

    async def run() -> None:
        for bad, timeout in ((hangs, 0.01), (afails, None), (afails, 5.0), (own, 5.0), (own, None)):
            assert await router.aread("orders", unit="a", v1=av1, v2=bad, args=(7,), timeout=timeout) == ("v1", 7)
        assert cancelled == ["v2"]
        # A caller who is cancelled is not answered by v1.
        task = asyncio.create_task(router.aread("orders", unit="a", v1=av1, v2=hangs))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert router.counts() == {"orders": {"v2_timeout": 1, "v2_error": 4}}


def test_a_decorated_function_goes_to_the_side_of_its_unit(router: Router, url: str) -> None:
    def new(customer: str, order: int = 5) -> tuple[object, ...]:
        return ("v2", customer, order)

    @router.switched("orders", unit="customer", v2=new, attrs=lambda customer, order=5: {"region": customer})
    def old(customer: str, order: int = 5) -> tuple[object, ...]:
        """Read an order."""
        return ("v1", customer, order)

    @router.switched("orders", unit="customer", v2=fails, timeout=5)
    def slow(order: int, *, customer: str | None = None) -> tuple[object, ...]:
        return ("v1", customer, order)

    async def anew(customer: str) -> str:
        return f"v2 {customer}"

    @router.switched("orders", unit="customer", v2=anew)
    async def aold(customer: str) -> str:
        return f"v1 {customer}"

    assert (old.__name__, old.__doc__) == ("old", "Read an order.")
    assert [old("a"), old("a", 7), old(customer="a")] == [("v2", "a", 5), ("v2", "a", 7), ("v2", "a", 5)]
    # Without a unit v1 answers.
    assert [slow(7), slow(7, customer="a")] == [("v1", None, 7), ("v1", "a", 7)]
    assert asyncio.run(aold("a")) == "v2 a"
    assert router.counts() == {"orders": {"v2": 4, "v1": 1, "v2_error": 1}}
    put(url, 0, "shadow")
    assert router.refresh()
    assert (old("a"), asyncio.run(aold("a"))) == (("v1", "a", 5), "v1 a")
    with pytest.raises(ValueError, match="'old' has no parameter 'client' that could be the unit"):
        router.switched("orders", unit="client", v2=new)(old)


def test_attributes_that_cannot_be_had_fail_no_read(router: Router) -> None:
    def old(a: int) -> object:
        return v1(a)

    assert router.switched("orders", unit="a", v2=v2, attrs=fails)(old)(7) == ("v2", 7)


def leaves(*_: object) -> object:
    raise SystemExit(1)


def test_a_v2_that_ends_its_process_or_whose_error_is_odd_is_a_v2_that_fails(router: Router) -> None:
    class Odd(type):
        def __hash__(cls) -> int:
            raise MemoryError

    class OddError(Exception, metaclass=Odd):
        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise MemoryError

    def odd(*_: object) -> object:
        raise OddError

    for bad in (leaves, closes, odd):
        for timeout in (None, 5.0):
            assert router.read("orders", unit="a", v1=v1, v2=bad, timeout=timeout) == ("v1",)
    assert router.counts() == {"orders": {"v2_error": 6}}


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), 1e12])
def test_an_endless_time_out_waits_for_v2(router: Router, timeout: float) -> None:
    assert router.read("orders", unit="a", v1=v1, v2=lambda: time.sleep(0.05), timeout=timeout) is None


def test_a_v2_that_does_not_end_when_it_is_cancelled_costs_no_caller_its_answer(router: Router) -> None:
    over = False

    async def stays(*_: object) -> object:
        while not over:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return "late"

    async def waits_for_another(*_: object) -> object:
        other = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        other.cancel()
        await other
        return None

    async def run() -> None:
        nonlocal over
        for _ in range(HANGING + 3):
            start = time.monotonic()
            assert await router.aread("orders", unit="a", v1=av1, v2=stays, timeout=0.001) == ("v1",)
            assert time.monotonic() - start < 10
        for timeout in (None, 5.0):
            assert await router.aread("orders", unit="a", v1=av1, v2=waits_for_another, timeout=None) == ("v1",), (
                timeout
            )
        over = True
        await asyncio.sleep(0.1)
        assert await router.aread("orders", unit="a", v1=av1, v2=av1, timeout=5) == ("v1",)

    asyncio.run(run())
    assert router.counts() == {"orders": {"v2_timeout": HANGING + 3, "v2_error": 2, "v2": 1}}


def test_the_unit_of_a_call_is_the_argument_of_its_parameter(router: Router) -> None:
    with router.pinned("p1"):
        seen: list[object] = []
        router.read = lambda view, *, unit, **_: seen.append(unit)  # type: ignore[method-assign, assignment]

        @router.switched("orders", unit="tenant", v2=v2)
        def many(*orders: object, tenant: str = "p1") -> object:
            return orders, tenant

        @router.switched("orders", unit="tenant", v2=v2)
        def by_place(tenant: str, /, **filters: object) -> object:
            return tenant, filters

        many(1, "p2")
        many(1, tenant="p3")
        by_place("p4", tenant="p5")
    assert seen == ["p1", "p3", "p4"]
    for name in ("orders", "filters"):
        with pytest.raises(ValueError, match="has no parameter"):
            router.switched("orders", unit=name, v2=v2)(many if name == "orders" else by_place)


def test_what_is_awaited_is_told_by_what_is_called_and_what_yields_is_refused(router: Router) -> None:
    class Called:
        async def __call__(self, unit: str) -> str:
            return f"v1 {unit}"

    @functools.wraps(av1)
    def wrapped(*key: object) -> object:
        return av1(*key)

    async def fails_late(*_: object) -> object:
        raise LookupError

    def yields(unit: str) -> Iterator[str]:
        yield unit

    async def ayields(unit: str) -> Any:
        yield unit

    async def old(unit: str) -> object:
        return await av1(unit)

    assert asyncio.run(router.switched("orders", unit="unit", v2=fails_late)(old)("a")) == ("v1", "a")
    called = router.switched("orders", unit="unit", v2=fails_late)(functools.partial(Called().__call__))
    assert asyncio.run(called(unit="a")) == "v1 a"
    for one, two in ((yields, v2), (ayields, v2), (v1, fails_late), (wrapped, v2), (staticmethod(v1), v2)):
        with pytest.raises(ValueError, match=r"yields|awaited|beneath"):
            router.switched("orders", unit="unit", v2=two)(one)  # type: ignore[type-var]


@dataclass(slots=True)
class Query:
    ids: list[int]
    limit: ClassVar[int] = 100


class Itself(list[int]):
    """Gives itself for a copy of itself."""

    def __copy__(self) -> Itself:
        return self


def uses_up(*args: Any) -> Any:
    for one in args:
        values = one.ids if isinstance(one, Query) else one
        if hasattr(values, "clear"):
            values.clear()
        else:
            list(values)
    raise LookupError


def adds_up(*args: Any) -> list[int]:
    return [sum(one.ids if isinstance(one, Query) else one) for one in args]


@pytest.mark.parametrize(
    "asked",
    [
        lambda: [[1, 2, 3]],
        lambda: [iter([1, 2, 3])],
        lambda: [(one for one in (1, 2, 3))],
        lambda: [[1, 2, 3], map(int, "456")],
        lambda: [list(range(20_001))],
        lambda: [Query([1, 2, 3])],
        lambda: [Itself([1, 2, 3])],
        lambda: [{1: 1}, bytearray(b"abc"), {4, 5}],
    ],
)
@pytest.mark.parametrize("timeout", [None, 5.0])
def test_v1_answers_as_if_v2_had_never_been_asked(
    router: Router, asked: Callable[[], list[Any]], timeout: float | None
) -> None:
    found = router.read("orders", unit="a", v1=adds_up, v2=uses_up, args=asked(), timeout=timeout)
    assert found == adds_up(*asked())
    assert router.counts() == {"orders": {"v2_error": 1}}


def test_an_argument_that_can_be_read_once_is_v1s_and_that_is_told(
    router: Router, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "ids"
    file.write_text("1\n2\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING, "dualgauge.router"):
        with file.open(encoding="utf-8") as opened:
            assert router.read("orders", unit="a", v1=list, v2=v2, args=[opened]) == ["1\n", "2\n"]
        until = time.monotonic() + 5
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.01)
    [told] = caplog.records
    assert "v2 was not asked, for the arguments can be read once only, and v1 answered for it" in told.getMessage()
    # A cursor begins anew by each statement.
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        first = router.read(
            "orders", unit="a", v1=v1, v2=lambda at: at.execute("SELECT 2").fetchone(), args=[connection.cursor()]
        )
    assert first == (2,)
    # Where there is no v1 any more, nobody is asked after v2.
    put(url, PPM, "complete")
    assert router.refresh()
    assert router.read("orders", unit="a", v1=fails, v2=list, args=[iter([1, 2])]) == [1, 2]


def test_what_is_awaited_once_is_v1s(router: Router) -> None:
    async def five() -> int:
        return 5

    async def some() -> AsyncIterator[int]:
        for one in (1, 2, 3):
            yield one

    async def awaits(one: Any) -> Any:
        return await one

    async def sums(one: Any) -> Any:
        return sum([each async for each in one])

    async def run() -> list[Any]:
        return [
            await router.aread("orders", unit="a", v1=awaits, v2=awaits, args=[five()]),
            await router.aread("orders", unit="a", v1=sums, v2=sums, args=[some()]),
        ]

    assert asyncio.run(run()) == [5, 6]
    assert router.counts() == {"orders": {"v2_error": 2}}


class Worker:
    def ends(self, *_: object) -> None:
        raise SystemExit(7)


def times_out(*_: object) -> None:
    raise TimeoutError


@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize(
    ("handler", "raised"), [(Worker().ends, SystemExit), (times_out, TimeoutError), (lambda *_: leaves(), SystemExit)]
)
def test_what_the_applications_own_handler_of_a_signal_raises_reaches_it(
    router: Router, handler: Callable[..., Any], raised: type[BaseException], timeout: float | None
) -> None:
    def asked() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(1)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(raised):
            router.read("orders", unit="a", v1=v1, v2=asked, timeout=timeout)
        # Raised by v2 itself, it is an error of v2.
        own = functools.partial(fails) if raised is TimeoutError else leaves
        assert router.read("orders", unit="a", v1=v1, v2=own, timeout=timeout) == ("v1",)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert router.counts() == {"orders": {"v2_error": 1}}


def test_a_task_that_went_on_once_when_it_was_cancelled_is_answered_for_by_v1(router: Router) -> None:
    async def cancelled(*_: object) -> object:
        raise asyncio.CancelledError

    async def run() -> object:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return await router.aread("orders", unit="a", v1=av1, v2=cancelled)

    async def slow(*_: object) -> object:
        return await asyncio.sleep(60)

    async def ended() -> object:
        task = asyncio.create_task(run_slow())
        await asyncio.sleep(0.05)
        task.cancel()
        return await task

    async def run_slow() -> object:
        return await router.aread("orders", unit="a", v1=av1, v2=slow)

    assert asyncio.run(run()) == ("v1",)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ended())
    assert router.counts() == {"orders": {"v2_error": 1}}
