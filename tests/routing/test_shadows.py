"""Shadow reads: counted right to the row, and nothing of them reaches the caller."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import itertools
import json
import os
import random
import sys
import threading
import time
import uuid
import weakref
from collections import Counter, OrderedDict, UserDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge_router import Router
from dualgauge_router.comparing import ROW, ViewRules, differing
from dualgauge_router.decision import Routing
from dualgauge_router.model import PPM
from dualgauge_router.rules import RULES, Absolute, BadRule, Exact, Relative, Rounded, rule_of, same
from dualgauge_router.state import MigrationState
from support.forked import python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ORDERS = {"key": ["id"], "rules": {"price": {"rule": "absolute", "limit": "0.01"}}, "expects": False}
SHADOW = {
    "sample_ppm": PPM, "queue": 100_000, "workers": 2, "timeout_ms": 5_000, "settle_ms": 10,
    "breaker": {"errors": 1_000_000, "pause_ms": 60_000},
}  # fmt: skip


def canary(views: Mapping[str, Any] | None = None, **shadow: Any) -> str:
    said = {
        "cohorts": {},
        "overrides": {side: {"units": [], "cohorts": []} for side in ("pin_v1", "pin_v2")},
        "steps": [],
    }
    return json.dumps(
        said | {"shadow": SHADOW | shadow, "views": {"orders": ORDERS, "unruled": None} | dict(views or {})}
    )


def routed(router: Router, stage: str, share_ppm: int, text: str, **state: Any) -> None:
    """As after a look at the ledger."""
    known = router._known
    known.until = float("inf")
    known.routing = Routing(MigrationState("m", stage, share_ppm, revision=7, canary=text, **state))


@pytest.fixture
def router() -> Iterator[Router]:
    with Router("sqlite:////nowhere/ledger.db", "m", wait=0) as opened:
        opened._looks.end()
        yield opened


def settled(router: Router, count: int, view: str = "orders") -> dict[str, int]:
    """The counts, once so many shadow reads are over."""
    until = time.monotonic() + 60
    while sum(router.shadow_counts().get(view, {}).values()) < count and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    found = router.shadow_counts().get(view, {})
    assert sum(found.values()) == count
    return found


def row(number: int, price: str = "1.00") -> dict[str, object]:
    return {"id": number, "price": Decimal(price), "note": "n"}


@pytest.mark.parametrize(
    ("stage", "bad_reads"),
    [("canary", 0), ("canary", 2), ("canary", 4), ("canary", 40), ("shadow", 40), ("live", 2_000)],
)
def test_a_seeded_rate_is_counted_to_the_row(router: Router, stage: str, bad_reads: int) -> None:
    """Of 4,000 reads. Half a cent is within the rule; two cents, another note and a lost row are not."""
    routed(router, stage, {"shadow": 0, "canary": PPM // 2, "live": PPM}[stage], canary(settle_ms=1))
    chosen = random.Random(f"{stage}{bad_reads}")
    bad = set(chosen.sample(range(4_000), bad_reads))
    ways: list[Callable[[int], object]] = [
        lambda n: row(n, "1.02"), lambda n: row(n) | {"note": "other"}, lambda _: None, lambda n: [row(n), row(n + 1)],
    ]  # fmt: skip
    told = {number: chosen.choice(ways)(number) for number in bad}

    def v2(number: int) -> object:
        return told.get(number, row(number, "1.005"))

    for number in range(4_000):
        answer = router.read("orders", unit=f"u{number}", v1=row, v2=v2, args=(number,))
        assert answer == (row(number) if router.decide(f"u{number}").side == "v1" else v2(number))
    found = settled(router, 4_000)
    assert Counter(found) == Counter(matched=4_000 - bad_reads, mismatched=bad_reads)
    samples = router.mismatches()
    assert len(samples) == min(20, bad_reads)
    assert all(one.args[0] in bad and one.v1 == row(one.args[0]) and one.v2 == told[one.args[0]] for one in samples)


def test_the_time_that_v2_is_waited_for_may_stand_in_the_configuration(router: Router) -> None:
    over = threading.Event()
    said = json.loads(canary()) | {"serve": {"timeout_ms": 30}, "views": {}}

    async def av1() -> str:
        return "v1"

    async def av2() -> str:
        await asyncio.sleep(60)
        return "v2"

    routed(router, "live", PPM, json.dumps(said))
    try:
        assert router.read("orders", unit="a", v1=lambda: "v1", v2=over.wait) == "v1"
        assert asyncio.run(router.aread("orders", unit="a", v1=av1, v2=av2)) == "v1"
        assert router.read("orders", unit="a", v1=lambda: "v1", v2=lambda: over.wait(0.1), timeout=30) is False
    finally:
        over.set()
    assert router.counts() == {"orders": {"v2_timeout": 2, "v2": 1}}


def test_what_moves_on_both_sides_is_no_mismatch(router: Router) -> None:
    """v1 has each event at once, v2 half a second later, as under a tail: nobody ever answers wrongly."""
    routed(router, "canary", PPM // 2, canary(settle_ms=1_000))
    begun = time.monotonic()

    def side(lag: float) -> Callable[[int], dict[str, object]]:
        # Each key changes twice a second for a second and a half, and then stands.
        return lambda number: {"id": number, "n": min(int(max(time.monotonic() - begun - lag, 0) * 2), 3)}

    v1, v2, reads = side(0), side(0.5), 0
    while time.monotonic() - begun < 1.5:
        router.read("orders", unit=f"u{reads}", v1=v1, v2=v2, args=(reads,))
        reads += 1
        time.sleep(0.002)
    found = settled(router, reads)
    assert found.get("lag", 0) > 0
    assert found.keys() <= {"matched", "lag"}, found
    assert router.mismatches() == []


@dataclass
class Told:
    """Two sides that are at positions of one log, and rows that its events change."""

    at: dict[str, int]
    bad: frozenset[int] = frozenset()

    def read(self, side: str, number: int) -> dict[str, object]:
        """A row as it was at the side's position: each event changes the rows of one number in seven."""
        changes = (self.at[side] + number) // 7
        return row(number, str(changes + (1000 if side == "v2" and number in self.bad else 0)))

    def ask(self, router: Router, number: int, **given: Any) -> None:
        """One read with a shadow."""
        v1, v2 = (lambda n, side=side: self.read(side, n) for side in ("v1", "v2"))
        positions = lambda side: self.at[side.value]  # noqa: E731
        router.read("orders", unit=f"u{number}", v1=v1, v2=v2, args=(number,), **{"positions": positions, **given})


def test_a_side_that_stands_still_behind_the_other_is_no_mismatch_where_positions_are_known(router: Router) -> None:
    routed(router, "canary", PPM // 2, canary(settle_ms=5))
    told = Told({"v1": 70, "v2": 7})
    for number in range(20):
        told.ask(router, number)
    assert settled(router, 20) == {"lag": 20}
    # Nobody knows the one, or both: what stands still is a mismatch, as that of functions is.
    for number, known in enumerate((lambda side: 9 if side == "v2" else None, lambda _: None, None)):
        told.ask(router, number, positions=known)
    assert settled(router, 23) == {"lag": 20, "mismatched": 3}
    told.at["v2"] = 70
    told.ask(router, 1)
    assert settled(router, 24) == {"lag": 20, "mismatched": 3, "matched": 1}


def test_what_differs_at_one_position_is_a_mismatch_also_where_both_sides_go_on(router: Router) -> None:
    routed(router, "canary", PPM // 2, canary(settle_ms=100))
    told, seen = Told({"v1": 700, "v2": 700}, bad=frozenset({3})), threading.Event()

    def positions(side: Any) -> int:
        found = told.at[side]
        if side == "v2":
            seen.set()
        return found

    told.ask(router, 3, positions=positions)
    assert seen.wait(30)
    # Rows of this number change with the event 704 next: it stood from 700 to 702 on both.
    told.at |= {"v1": 703, "v2": 702}
    assert settled(router, 1) == {"mismatched": 1}


def test_a_position_that_cannot_be_told_fails_the_shadow_alone(router: Router) -> None:
    routed(router, "canary", PPM // 2, canary(settle_ms=5))

    def positions(side: Any) -> int:
        raise OSError(side)

    told = Told({"v1": 7, "v2": 14})
    told.ask(router, 1, positions=positions)
    assert settled(router, 1) == {"excluded": 1}
    told.ask(router, 2, positions=lambda side: 7 if side == "v1" else positions(side))
    assert settled(router, 2) == {"excluded": 2}


@pytest.mark.parametrize("seed", range(3))
def test_seeded_mismatches_are_found_and_no_other_while_tails_of_any_delay_move_both_sides(
    router: Router, seed: int
) -> None:
    routed(router, "canary", PPM // 2, canary(settle_ms=3, workers=4))
    chosen = random.Random(seed)
    told, over = Told({"v1": 0, "v2": 0}, bad=frozenset(chosen.sample(range(1_500), 15))), threading.Event()

    def tails() -> None:
        moves = random.Random(-seed)
        while not over.is_set():
            # One side stands for a while, and then comes to where the other is, or past it.
            side = moves.choice(("v1", "v2"))
            told.at[side] = max(told.at.values()) + moves.choice((0, 0, 1, 5))
            time.sleep(moves.choice((0.0005, 0.004, 0.02)))

    mover = threading.Thread(target=tails)
    mover.start()
    try:
        for number in range(1_500):
            told.ask(router, number)
        found = settled(router, 1_500)
    finally:
        over.set()
        mover.join()
    assert found.keys() <= {"matched", "mismatched", "lag"}
    assert found.get("mismatched", 0) <= len(told.bad)
    assert {one.args[0] for one in router.mismatches()} <= told.bad
    # They are told once the sides stand for a moment.
    told.at = dict.fromkeys(told.at, max(told.at.values()))
    for number in sorted(told.bad):
        told.ask(router, number)
    assert settled(router, 1_500 + len(told.bad))["mismatched"] == found.get("mismatched", 0) + len(told.bad)


def test_a_v2_that_fails_hangs_or_answers_garbage_costs_no_answer_and_is_counted(router: Router) -> None:
    over = threading.Event()
    routed(router, "shadow", 0, canary(timeout_ms=50, workers=4))

    def fails(_: int) -> object:
        sys.exit("v2 is gone")

    v2s: list[tuple[Callable[[int], object], str]] = [
        (fails, "v2_error"), (lambda _: over.wait(), "v2_timeout"), (lambda _: object(), "comparator_error"),
        (lambda n: row(n) | {"price": "one"}, "comparator_error"), (lambda n: row(n) | {"more": 1}, "mismatched"),
    ]  # fmt: skip
    try:
        for number in range(50):
            v2, _ = v2s[number % 5]
            start = time.perf_counter()
            assert router.read("orders", unit="a", v1=row, v2=v2, args=(number,)) == row(number)
            assert time.perf_counter() - start < 1
        assert settled(router, 50) == Counter(v2_error=10, v2_timeout=10, comparator_error=20, mismatched=10)
    finally:
        over.set()
    assert router.counts() == {"orders": {"v1": 50}}
    assert {one.columns for one in router.mismatches()} == {("more",)}


def test_a_v1_that_fails_as_the_shadow_is_no_fault_of_v2(router: Router) -> None:
    routed(router, "live", PPM, canary())

    def fails(_: int) -> object:
        raise LookupError

    for number in range(10):
        assert router.read("orders", unit="a", v1=fails, v2=row, args=(number,)) == row(number)
    assert settled(router, 10) == {"v1_error": 10}


def test_what_the_queue_does_not_hold_is_dropped_and_memory_is_bounded(router: Router) -> None:
    over = threading.Event()
    routed(router, "shadow", 0, canary(queue=5, workers=2, timeout_ms=60_000))

    def waits(number: int) -> object:
        over.wait(30)
        return row(number)

    for number in range(500):
        assert router.read("orders", unit="a", v1=row, v2=waits, args=(number,)) == row(number)
    assert router.shadow_counts()["orders"]["dropped"] >= 500 - 5 - 2
    over.set()
    found = settled(router, 500)
    assert found["matched"] + found["dropped"] == 500


def test_differences_that_the_queue_does_not_hold_are_excluded(router: Router) -> None:
    routed(router, "shadow", 0, canary(queue=3, settle_ms=2_000))
    for number in range(6):
        router.read("orders", unit="a", v1=row, v2=lambda n: row(n, "9"), args=(number,))
        until = time.monotonic() + 10
        while router._shadows is None or router._shadows._queue.qsize():
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.02)
    assert settled(router, 6) == {"mismatched": 3, "excluded": 3}


def test_a_v2_that_fails_again_and_again_is_left_alone_for_a_while(router: Router) -> None:
    calls = 0
    routed(router, "shadow", 0, canary(breaker={"errors": 5, "pause_ms": 400}, workers=1))

    def fails(_: int) -> object:
        nonlocal calls
        calls += 1
        raise LookupError

    def reads(count: int, before: int) -> None:
        for number in range(count):
            router.read("orders", unit="a", v1=row, v2=fails, args=(number,))
            settled(router, before + number + 1)

    reads(8, 0)
    assert (calls, router.shadow_counts()["orders"]) == (5, {"v2_error": 5, "dropped": 3})
    time.sleep(0.5)
    reads(1, 8)
    assert calls == 6


@pytest.mark.parametrize(
    ("stage", "share_ppm", "state"),
    [("off", 0, {}), ("backfill", 0, {}), ("catchup", 0, {}), ("rampdown", PPM, {}), ("complete", PPM, {}),
     ("canary", PPM // 2, {"killed": True})],
)  # fmt: skip
def test_other_stages_and_a_kill_read_one_side_alone(
    router: Router, stage: str, share_ppm: int, state: dict[str, Any]
) -> None:
    routed(router, stage, share_ppm, canary(), **state)
    calls = Counter[str]()

    def side(name: str) -> Callable[[int], object]:
        def read(number: int) -> object:
            calls[name] += 1
            return row(number)

        return read

    for number in range(20):
        router.read("orders", unit="a", v1=side("v1"), v2=side("v2"), args=(number,))
    time.sleep(0.1)
    assert sum(calls.values()) == 20
    assert len(calls) == 1
    assert router.shadow_counts() == {}


def test_a_view_without_rules_has_no_shadow(router: Router) -> None:
    routed(router, "shadow", 0, canary())
    for view in ("unruled", "unheard_of"):
        assert router.read(view, unit="a", v1=row, v2=row, args=(1,)) == row(1)
    time.sleep(0.05)
    assert router.shadow_counts() == {}


def test_expected_differences_are_left_to_a_diff_and_so_is_whether_one_is_missing(router: Router) -> None:
    routed(router, "shadow", 0, canary({"orders": ORDERS | {"expects": True}}))
    for number in range(10):
        router.read("orders", unit="a", v1=row, v2=lambda n: row(n, "2" if n % 2 else "1"), args=(number,))
    assert settled(router, 10) == {"pending": 10}


def test_what_is_alike_where_a_difference_is_expected_must_stand_still_too(router: Router) -> None:
    """v2 is one behind, and gives what v1 gives where it should give more: no mismatch, and not for a diff either."""
    routed(router, "shadow", 0, canary({"orders": ORDERS | {"expects": True}}))
    later = itertools.count(1)
    router.read("orders", unit="a", v1=lambda: row(1, "2"), v2=lambda: row(1, str(2 * next(later))))
    assert settled(router, 1) == {"lag": 1}


def test_a_sample_is_of_units_by_their_hash(router: Router) -> None:
    routed(router, "shadow", 0, canary(sample_ppm=100_000))
    seen = set[str]()

    def v2(unit: str) -> dict[str, object]:
        seen.add(unit)
        return {"id": unit}

    units = [f"u{number}" for number in range(2_000)]
    for _ in range(2):
        for unit in units:
            router.read("orders", unit=unit, v1=lambda unit: {"id": unit}, v2=v2, args=(unit,))
    below = 2**64 // 10
    expected = {one for one in units if int.from_bytes(sha256(f"m:shadow\0{one}".encode()).digest()[:8], "big") < below}
    assert 140 < len(expected) < 260
    settled(router, 2 * len(expected))
    assert seen == expected


def test_an_answer_that_the_caller_changes_is_compared_as_it_was(router: Router) -> None:
    routed(router, "shadow", 0, canary())
    for number in range(40):
        found = router.read(
            "orders", unit="a", args=(number,), v2=lambda n: row(n, "7" if n % 2 else "1"),
            v1=lambda n: [row(n)] if n % 4 < 2 else row(n),
        )  # fmt: skip
        (found[0] if isinstance(found, list) else found)["price"] = "changed"
    assert settled(router, 40) == {"matched": 20, "mismatched": 20}


def test_a_kill_ends_the_shadows_that_wait(router: Router) -> None:
    calls = 0
    routed(router, "shadow", 0, canary(workers=1))

    def slow(number: int) -> object:
        nonlocal calls
        calls += 1
        time.sleep(0.05)
        return row(number)

    for number in range(100):
        router.read("orders", unit="a", v1=row, v2=slow, args=(number,))
    time.sleep(0.2)
    routed(router, "canary", PPM // 2, canary(), killed=True)
    had = calls
    assert settled(router, 100)["dropped"] > 80
    assert calls <= had + 1


def test_what_is_no_error_ends_no_thread_and_no_loop(router: Router) -> None:
    routed(router, "shadow", 0, canary(timeout_ms=2_000))
    kinds = [GeneratorExit, KeyboardInterrupt, SystemExit, asyncio.CancelledError, StopIteration, BaseException]

    def v2(number: int) -> object:
        if number < len(kinds) * 2:
            raise kinds[number % len(kinds)]
        return row(number)

    async def av1(number: int) -> object:
        return row(number)

    async def av2(number: int) -> object:
        if 0 < number < len(kinds) and kinds[number] is not StopIteration:
            raise kinds[number]
        return row(number)

    async def run() -> None:
        for number in range(1, 30):
            assert await router.aread("orders", unit="a", v1=av1, v2=av2, args=(number,)) == row(number)
        await over(router)

    for number in range(100):
        assert router.read("orders", unit="a", v1=row, v2=v2, args=(number,)) == row(number)
    assert settled(router, 100) == {"v2_error": 12, "matched": 88}
    asyncio.run(run())
    assert settled(router, 129) == {"v2_error": 16, "matched": 113}


CLOSED = """
import asyncio, gc, json, sys, weakref
sys.path.insert(0, sys.argv[1])
from routing.test_shadows import canary, routed, row, over
from dualgauge_router import Router

async def v1(number):
    return row(number)

async def v2(number):
    await asyncio.sleep(60)

async def reads(v2):
    for number in range(5):
        assert await router.aread("orders", unit="a", v1=v1, v2=v2, args=(number,)) == row(number)

async def last():
    await reads(v1)
    await over(router)

with Router("sqlite:////nowhere/ledger.db", "m", wait=0) as router:
    router._looks.end()
    routed(router, "shadow", 0, canary(workers=2, timeout_ms=60_000, queue=20))
    for _ in range(20):
        asyncio.run(reads(v2))
    print(json.dumps(router.shadow_counts()))
    loops = []
    for _ in range(20 if len(sys.argv) > 2 else 0):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(reads(v2))
        loop.close()
        loops.append(weakref.ref(loop))
        del loop
    asyncio.run(last())
    for _ in range(3):
        gc.collect()
    print(json.dumps([router.shadow_counts()["orders"]["matched"], sum(one() is not None for one in loops)]))
"""


@pytest.mark.parametrize("closed", [False, True])
def test_loops_that_end_are_not_kept_and_what_waited_in_them_is_counted(closed: bool) -> None:
    tests = Path(__file__).parents[1]
    child = python(["-c", CLOSED, str(tests), *(["closed"] if closed else [])], environment=dict(os.environ))
    out, err = child.communicate(timeout=60)
    assert out.splitlines() == ['{"orders": {"dropped": 100}}', "[5, 0]"]
    # Of tasks in a loop that is closed without having ended them, asyncio itself says what it says.
    assert closed or not [line for line in (err or "").splitlines() if "there is no ledger" not in line]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (uuid.UUID(int=1), str(uuid.UUID(int=1))), ({"a": Decimal("1.50")}, '{"a": 1.50}'), ([1], "[1]"),
        (date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)), (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),  # noqa: DTZ001
        (Decimal("1.0"), 1), (0.1, Decimal("0.1")), (Decimal("NaN"), float("nan")), ([1], [1.0]), ([1, 2], (1, 2)),
        ([Decimal("1.0"), Decimal("1e30")], [Decimal("1.00"), 10**30]), (Decimal("1e400"), 10**400),
        (12345678901234567890, Decimal("12345678901234567890.0")), (Decimal("Infinity"), float("inf")),
    ],
)  # fmt: skip
def test_values_and_keys_of_two_types_are_one_as_in_a_diff(router: Router, one: object, other: object) -> None:
    routed(router, "shadow", 0, canary())
    router.read("orders", unit="a", v1=lambda: {"id": 1, "x": one}, v2=lambda: {"id": 1, "x": other})
    router.read("orders", unit="a", v1=lambda: [{"id": one}, {"id": 2}], v2=lambda: [{"id": 2}, {"id": other}])
    router.read("orders", unit="a", v1=lambda: {"id": 1, "x": one}, v2=lambda: {"id": 1, "x": "other"})
    found = settled(router, 3)
    keyed = not isinstance(one, dict)
    assert found == ({"matched": 2, "mismatched": 1} if keyed else {"matched": 1, "mismatched": 2})


def test_a_long_answer_keeps_no_loop_waiting(router: Router) -> None:
    routed(router, "shadow", 0, canary(timeout_ms=60_000))
    rows = [{"id": number, "x": number} for number in range(20_000)]

    async def side() -> list[dict[str, int]]:
        return rows

    async def run() -> float:
        # Of this thread alone, so that nothing else which the machine does counts.
        longest, at = 0.0, time.thread_time()
        await router.aread("orders", unit="a", v1=side, v2=side)
        while not router.shadow_counts():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, at = max(longest, now - at), now
        return longest

    assert asyncio.run(run()) < 0.1
    assert router.shadow_counts() == {"orders": {"matched": 1}}


@dataclass
class Order:
    id: int
    tags: list[str]


def test_dataclasses_lists_and_what_is_made_rows_are_compared(router: Router) -> None:
    routed(router, "shadow", 0, canary())

    def orders(*ids: int) -> Callable[[], list[Order]]:
        return lambda: [Order(one, ["x"]) for one in ids]

    router.read("orders", unit="a", v1=orders(1, 2), v2=orders(2, 1))
    router.read("orders", unit="a", v1=orders(1, 2), v2=orders(1, 3))
    router.read("orders", unit="a", v1=lambda: Order(1, ["x"]), v2=lambda: {"id": 1, "tags": ["x"]})
    router.read("orders", unit="a", v1=lambda: "1;x", v2=lambda: "1;x;", as_rows=lambda text: {"id": text.strip(";")})
    assert settled(router, 4) == {"matched": 3, "mismatched": 1}
    assert [one.columns for one in router.mismatches()] == [(ROW,)]


async def over(router: Router) -> None:
    """Until no shadow of this loop waits, or is under way."""
    assert router._shadows is not None
    while router._shadows._tasks or router._shadows._of_loop().later:  # noqa: ASYNC110  (nobody tells)
        await asyncio.sleep(0.005)


def test_differences_of_awaited_reads_that_the_queue_does_not_hold_are_excluded(router: Router) -> None:
    routed(router, "shadow", 0, canary(queue=3, settle_ms=300))

    async def v1(number: int) -> object:
        return row(number)

    async def v2(number: int) -> object:
        return row(number, "9")

    async def run() -> None:
        for number in range(6):
            await router.aread("orders", unit="a", v1=v1, v2=v2, args=(number,))
            for _ in range(30):
                await asyncio.sleep(0)
        await over(router)

    asyncio.run(run())
    assert router.shadow_counts()["orders"] == {"mismatched": 3, "excluded": 3}


def test_a_loop_that_ends_ends_its_shadows_without_a_word(router: Router, capfd: pytest.CaptureFixture[str]) -> None:
    routed(router, "shadow", 0, canary(workers=3))

    async def v1(number: int) -> object:
        return row(number)

    async def v2(number: int) -> object:
        await asyncio.sleep(60 if number % 2 else 0)
        return row(number, "9")

    async def run() -> list[object]:
        return [await router.aread("orders", unit="a", v1=v1, v2=v2, args=(number,)) for number in range(20)]

    for _ in range(3):
        assert asyncio.run(run()) == [row(number) for number in range(20)]
    gc.collect()
    assert capfd.readouterr() == ("", "")
    assert router.counts() == {"orders": {"v1": 60}}


def test_reads_that_are_awaited_have_shadows_in_tasks_of_their_loop(router: Router) -> None:
    routed(router, "canary", PPM // 2, canary(timeout_ms=30))
    threads = threading.active_count()

    async def v1(number: int) -> object:
        await asyncio.sleep(0)
        return row(number)

    async def v2(number: int) -> object:
        await asyncio.sleep(60 if number % 10 == 9 else 0)
        if number % 10 == 8:
            sys.exit(1)
        return row(number, "5" if number % 10 == 7 else "1")

    async def run() -> list[object]:
        found = [
            await router.aread("orders", unit=f"u{number}", v1=v1, v2=v2, args=(number,), timeout=0.02)
            for number in range(100)
        ]
        assert router._shadows is not None
        # Each is a task of this loop, and no thread.
        assert threading.active_count() <= threads
        await over(router)
        return found

    on_v2 = {number for number in range(100) if router.decide(f"u{number}").side == "v2"}
    # What v2 did not answer was no read of v2 that could be compared with v1.
    found = asyncio.run(run())
    assert len(found) == 100
    assert router.shadow_counts()["orders"] == Counter(
        matched=70, mismatched=10, v2_error=sum(n % 10 == 8 for n in set(range(100)) - on_v2),
        v2_timeout=sum(n % 10 == 9 for n in set(range(100)) - on_v2),
    )  # fmt: skip


def test_counts_add_up_over_threads_and_a_fork_begins_from_nothing(router: Router) -> None:
    routed(router, "shadow", 0, canary())

    def reads() -> None:
        for number in range(200):
            router.read("orders", unit="a", v1=row, v2=lambda n: row(n, "7" if n % 4 == 0 else "1"), args=(number,))

    threads = [threading.Thread(target=reads) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert settled(router, 1_600) == {"matched": 1_200, "mismatched": 400}
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            fresh = router.shadow_counts() == {}
            router._looks.end()
            routed(router, "shadow", 0, canary())
            reads()
            os._exit(0 if fresh and settled(router, 200) == {"matched": 150, "mismatched": 50} else 2)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert settled(router, 1_600) == {"matched": 1_200, "mismatched": 400}


def test_a_router_that_is_closed_begins_no_shadow(router: Router) -> None:
    routed(router, "shadow", 0, canary())
    router.read("orders", unit="a", v1=row, v2=row, args=(1,))
    settled(router, 1)
    router.close()
    routed(router, "shadow", 0, canary())
    router.read("orders", unit="a", v1=row, v2=row, args=(1,))
    assert settled(router, 2) == {"matched": 1, "dropped": 1}


def test_what_waits_when_a_router_is_closed_is_counted(router: Router) -> None:
    routed(router, "shadow", 0, canary(workers=1, settle_ms=60_000))
    over = threading.Event()

    def v2(number: int) -> object:
        if number == 3:
            over.wait(30)
        return row(number, "9")

    for number in range(20):
        router.read("orders", unit="a", v1=row, v2=v2, args=(number,))
    until = time.monotonic() + 30
    assert router._shadows is not None
    while len(router._shadows._later) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    router.close()
    over.set()
    # Those that differed already are told apart from those of which nobody knows.
    found = settled(router, 20)
    assert found.keys() == {"dropped", "excluded"}
    assert found["excluded"] >= 3


@pytest.mark.parametrize("asked", [1, 2])
def test_what_is_under_way_when_a_router_is_closed_is_counted_once(router: Router, asked: int) -> None:
    """At the first read of a side, before its answers are known to differ, or at a later one, when they do."""
    routed(router, "shadow", 0, canary(workers=3))
    begun, over = threading.Semaphore(0), threading.Event()
    times = [0, 0, 0]

    def v2(number: int) -> object:
        times[number] += 1
        if times[number] == asked:
            begun.release()
            over.wait(30)
        return row(number, "9")

    for number in range(3):
        router.read("orders", unit="a", v1=row, v2=v2, args=(number,))
    for _ in range(3):
        assert begun.acquire(timeout=30)
    router.close()
    expected = {"dropped": 3} if asked == 1 else {"excluded": 3}
    assert router.shadow_counts() == {"orders": expected}
    over.set()
    time.sleep(0.2)
    assert router.shadow_counts() == {"orders": expected}
    assert router._shadows is not None
    assert router._shadows.counts_by_side()["orders"].get("v1 settling", 0) == 0


def test_what_a_loop_does_when_a_router_is_closed_is_counted_once(router: Router) -> None:
    routed(router, "shadow", 0, canary(workers=8))

    async def ask() -> None:
        over = asyncio.Event()

        async def v1() -> object:
            return row(1)

        async def v2() -> object:
            await over.wait()
            return row(1, "9")

        for _ in range(20):
            await router.aread("orders", unit="a", v1=v1, v2=v2)
        await asyncio.sleep(0.05)
        router.close()
        assert router.shadow_counts() == {"orders": {"dropped": 20}}
        over.set()
        await asyncio.sleep(0.2)

    asyncio.run(ask())
    assert router.shadow_counts() == {"orders": {"dropped": 20}}


@dataclass
class Priced:
    """An answer that is no dict."""

    id: int
    price: Decimal


@pytest.mark.parametrize(
    "made",
    [
        lambda price: Priced(1, price), lambda price: OrderedDict(id=1, price=price),
        lambda price: ({"id": 1, "price": price},), lambda price: [Priced(1, price)],
        lambda price: {"id": 1, "price": price},
    ],
)  # fmt: skip
def test_an_answer_of_any_kind_is_compared_as_it_was_when_the_caller_got_it(router: Router, made: Any) -> None:
    routed(router, "shadow", 0, canary())
    for _ in range(20):
        answer = router.read("orders", unit="a", v1=lambda: made(Decimal(7)), v2=lambda: made(Decimal(1)))
        row = answer[0] if isinstance(answer, list | tuple) else answer
        if isinstance(row, dict):
            row["price"] = Decimal(1)
        else:
            row.price = Decimal(1)
    assert settled(router, 20) == {"mismatched": 20}


class Rows(list[object]):
    pass


class Paged(NamedTuple):
    rows: list[object]
    after: object = None


@dataclass(frozen=True)
class Sheet:
    rows: list[object]


@pytest.mark.parametrize("kind", [list, Rows, Paged, Sheet])
def test_rows_that_the_caller_takes_out_or_fills_are_compared_as_they_were(router: Router, kind: Any) -> None:
    routed(router, "shadow", 0, canary())

    def rows(answer: Any) -> Any:
        return answer.rows if isinstance(answer, Paged | Sheet) else answer

    for number in range(10):
        answer = router.read(
            "orders", unit="a", v1=lambda: kind([row(1)]), v2=lambda n=number: kind([row(1)] if n % 2 else []),
            as_rows=rows,
        )  # fmt: skip
        if number % 2:
            rows(answer)[0]["shown"] = "1 order"
        else:
            rows(answer).clear()
    assert settled(router, 10) == {"matched": 5, "mismatched": 5}


def test_a_mapping_of_the_applications_own_is_compared_as_it_was(router: Router) -> None:
    routed(router, "shadow", 0, canary())
    for _ in range(10):
        answer = router.read("orders", unit="a", v1=lambda: UserDict(row(1)), v2=lambda: UserDict(row(1, "3")))
        answer["price"] = Decimal(3)
    assert settled(router, 10) == {"mismatched": 10}


NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (Decimal("NaN"), Decimal("NaN"), True), (Decimal("NaN"), float("nan"), True),
        (Decimal("NaN"), Decimal(1), False), (Decimal("sNaN"), Decimal("NaN"), True),
        ({True}, {1}, False), ({1}, {1.0}, True), ({float("nan")}, {float("nan")}, True),
        (Priced(1, Decimal("NaN")), Priced(1, Decimal("NaN")), True),
        (Priced(True, Decimal(1)), Priced(1, Decimal(1)), False),
        (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK), datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=NEW_YORK), False),
        (datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=NEW_YORK), datetime(2026, 11, 1, 6, 30, tzinfo=UTC), True),
        (datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")), datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")), True),
    ],
)  # fmt: skip
def test_values_are_alike_where_they_are_the_same_value(one: object, other: object, *, alike: bool) -> None:
    assert same(one, other) is alike
    assert same([other], [one]) is alike


def test_a_decimal_that_is_no_number_hides_no_difference(router: Router) -> None:
    routed(router, "shadow", 0, canary())
    nan = {"id": 1, "note": Decimal("NaN")}
    router.read("orders", unit="a", v1=lambda: {**nan, "n": 1}, v2=lambda: {**nan, "n": 999})
    router.read("orders", unit="a", v1=lambda: {**nan, "n": 1}, v2=lambda: {**nan, "n": 1})
    assert settled(router, 2) == {"mismatched": 1, "matched": 1}


def test_differences_of_tasks_that_wait_when_a_router_is_closed_are_counted(router: Router) -> None:
    routed(router, "shadow", 0, canary(settle_ms=200))

    async def ask() -> None:
        async def v1() -> object:
            return row(1)

        async def v2() -> object:
            return row(1, "9")

        for _ in range(10):
            await router.aread("orders", unit="a", v1=v1, v2=v2)
        await asyncio.sleep(0.1)
        router.close()
        assert settled(router, 10) == {"excluded": 10}
        await asyncio.sleep(0.3)

    asyncio.run(ask())
    assert settled(router, 10) == {"excluded": 10}


def test_differences_that_wait_in_a_loop_that_ends_are_counted(router: Router) -> None:
    routed(router, "shadow", 0, canary(settle_ms=60_000))

    async def one(number: int) -> None:
        async def v1() -> object:
            return row(number)

        async def v2() -> object:
            return row(number, "9")

        await router.aread("orders", unit="a", v1=v1, v2=v2)
        await asyncio.sleep(0.05)

    for number in range(5):
        asyncio.run(one(number))
    gc.collect()
    assert settled(router, 5) == {"excluded": 5}


def test_a_loop_that_ended_is_kept_alive_by_no_read_that_waits(router: Router) -> None:
    routed(router, "shadow", 0, canary(settle_ms=60_000))
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    class Client:
        """As drivers of asyncio are: it belongs to a loop."""

        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()

        async def get(self) -> object:
            return row(1, "9")

    async def one() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))

        async def v1() -> object:
            return row(1)

        await router.aread("orders", unit="a", v1=v1, v2=Client().get)
        await asyncio.sleep(0.05)

    for _ in range(10):
        asyncio.run(one())
    gc.collect()
    # The last one is let go of when the next begins.
    assert sum(loop() is not None for loop in loops) <= 1
    assert settled(router, 9) == {"excluded": 9}


def test_columns_are_one_where_the_engine_takes_their_names_for_one(router: Router) -> None:
    rules = {"key": ["ID"], "rules": {"Price": {"rule": "absolute", "limit": "1"}}, "expects": False}
    routed(router, "shadow", 0, canary({"orders": rules}))
    pairs = [
        # Of other letters the case counts.
        (({"id": 1, "PRICE": Decimal(1)}, {"Id": 1, "price": Decimal(2)}), "matched"),
        (({"id": 1, "PRICE": Decimal(1)}, {"Id": 1, "price": Decimal(3)}), "mismatched"),
        (({"id": 1, "Ä": 1}, {"id": 1, "ä": 1}), "mismatched"),
        (({"id": 1, "a": 1, "A": 2}, {"id": 1, "a": 1, "A": 3}), "mismatched"),
        (({"id": 1, 7: 1}, {"ID": 1, 7: 1}), "matched"),
    ]
    for (one, other), _ in pairs:
        assert (
            router.read("orders", unit=1, v1=lambda _, one=one: one, v2=lambda _, other=other: other, args=(1,)) == one
        )
    assert settled(router, len(pairs)) == Counter(outcome for _, outcome in pairs)


VALUES = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([Decimal("1.00"), Decimal("1.01"), 1.0, "a", "b"]))
ROWS = st.lists(st.fixed_dictionaries({"id": st.integers(0, 3)}, optional={"a": VALUES, "b": VALUES}), max_size=4)


@given(a=ROWS, b=ROWS)
def test_rows_of_one_key_are_compared_whatever_their_order(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> None:
    def found(x: list[dict[str, Any]], y: list[dict[str, Any]]) -> frozenset[str]:
        steps, view = 0, ViewRules(key=("id",))
        run = differing(view, x, y)
        while True:
            try:
                next(run)
                steps += 1
            except StopIteration as over:
                assert steps <= 2 * (len(x) + len(y))
                columns: frozenset[str] = over.value
                return columns

    assert found(a, b) == found(b, a)
    assert found(a, a) == frozenset()
    if len({one["id"] for one in a}) == len(a) and len({one["id"] for one in b}) == len(b):
        assert found(a, b) == found(a[::-1], b)
        # Without rules: by the values, as SQL has them.
        alike = {one["id"]: one for one in a}.keys() == {one["id"]: one for one in b}.keys()
        assert (ROW in found(a, b)) == (not alike)


@pytest.mark.parametrize("rule", [Exact(), Absolute(0.1), Absolute(Decimal("1e-30")), Relative(0.01), Rounded(-3)])
def test_a_rule_is_what_its_json_says(rule: Any) -> None:
    assert type(rule) in RULES
    again = rule_of(json.loads(json.dumps(rule.as_json())))
    assert (type(again), again.as_json()) == (type(rule), rule.as_json())


@pytest.mark.parametrize(
    "said",
    [
        {"rule": "fuzzy"},
        {},
        {"rule": "absolute"},
        {"rule": "absolute", "limit": "-1"},
        {"rule": "rounded", "digits": 99},
    ],
)
def test_what_is_no_rule_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError, BadRule)):
        rule_of(said)


@dataclass
class Asked:
    ids: list[int]


@dataclass(frozen=True)
class Sealed:
    asked: Asked


@pytest.mark.parametrize(
    ("made", "ids"),
    [
        (list, lambda one: one),
        (lambda: {"ids": []}, lambda one: one["ids"]),
        (lambda: OrderedDict(ids=[[]]), lambda one: one["ids"][0]),
        (lambda: ([],), lambda one: one[0]),
        (lambda: deque([{"ids": []}]), lambda one: one[0]["ids"]),
        (lambda: Asked([]), lambda one: one.ids),
        (lambda: Sealed(Asked([])), lambda one: one.asked.ids),
    ],
)
@pytest.mark.parametrize("awaited", [False, True])
def test_a_caller_may_fill_its_arguments_anew_for_the_next_read(
    router: Router, made: Callable[[], Any], ids: Callable[[Any], list[int]], *, awaited: bool
) -> None:
    """Each read is wrong, and is judged by what it was asked for."""
    routed(router, "shadow", 0, canary())
    mine = made()

    def v1(asked: Any) -> list[object]:
        return [row(number) for number in ids(asked)]

    def v2(asked: Any) -> list[object]:
        return [row(number, "9.00") for number in ids(asked)]

    async def ask() -> None:
        async def first(asked: Any) -> list[object]:
            return v1(asked)

        async def second(asked: Any) -> list[object]:
            return v2(asked)

        for number in range(50):
            ids(mine)[:] = [number]
            assert await router.aread("orders", unit=1, v1=first, v2=second, args=(mine,)) == [row(number)]
        ids(mine).clear()
        await over(router)

    if awaited:
        asyncio.run(ask())
    else:
        for number in range(50):
            ids(mine)[:] = [number]
            assert router.read("orders", unit=1, v1=v1, v2=v2, args=(mine,)) == [row(number)]
        ids(mine).clear()
    assert settled(router, 50) == {"mismatched": 50}
    # What is shown of each is what was asked for then.
    assert len({tuple(ids(one.args[0])) for one in router.mismatches()}) == 20
    assert all([one.v1[0]["id"]] == ids(one.args[0]) for one in router.mismatches())  # type: ignore[index]


def test_arguments_of_too_many_parts_are_no_shadows_and_are_counted(router: Router) -> None:
    routed(router, "shadow", 0, canary())

    def side(asked: list[Any]) -> dict[str, object]:
        return row(len(asked))

    router.read("orders", unit=1, v1=side, v2=side, args=([7] * 19_000,))
    router.read("orders", unit=1, v1=side, v2=side, args=([7] * 20_000,))
    router.read("orders", unit=1, v1=side, v2=side, args=([[7]] * 10_000,))
    assert settled(router, 3) == {"matched": 1, "dropped": 2}


class Query(NamedTuple):
    ids: list[int]
    limit: int = 5


@pytest.mark.parametrize("stage", ["shadow", "live"])
def test_a_side_that_uses_its_arguments_up_takes_nothing_from_the_other(router: Router, stage: str) -> None:
    routed(router, stage, PPM if stage == "live" else 0, canary())

    def v1(query: Query, more: dict[str, int]) -> list[object]:
        return [row(query.ids.pop()), row(more.pop("id"))]

    def v2(query: Query, more: dict[str, int]) -> list[object]:
        return [row(query.ids.pop()), row(more.pop("id"), "9.00")]

    for number in range(20):
        router.read("orders", unit=1, v1=v1, v2=v2, args=(Query([number]), {"id": 100 + number}))
    assert settled(router, 20) == {"mismatched": 20}
    assert {one.args[0].ids[0] for one in router.mismatches()} == set(range(20))


def test_v1_answers_from_what_v2_was_asked_with(router: Router) -> None:
    routed(router, "live", PPM, canary())

    def v2(ids: list[int]) -> object:
        ids.pop()
        raise RuntimeError

    mine = [1, 2]
    assert router.read("orders", unit=1, v1=lambda ids: [row(one) for one in ids], v2=v2, args=(mine,)) == [
        row(1), row(2)
    ]  # fmt: skip
    assert mine == [1, 2]


@pytest.mark.parametrize(
    "made", [lambda: iter([1]), lambda: (one for one in [1]), lambda: io.StringIO("1"), lambda: map(int, "1")]
)
def test_what_is_used_up_by_the_first_who_reads_it_is_no_shadow(router: Router, made: Callable[[], Any]) -> None:
    routed(router, "shadow", 0, canary())

    def side(lines: Any) -> list[object]:
        return [row(int(one)) for one in lines]

    assert router.read("orders", unit=1, v1=side, v2=side, args=(made(),)) == [row(1)]
    assert settled(router, 1) == {"dropped": 1}


class Bare(BaseException):
    pass


class Unkept(dict[str, object]):
    def __copy__(self) -> object:
        raise Bare


def test_an_argument_that_cannot_be_copied_costs_nobody_an_answer_and_is_counted(router: Router) -> None:
    for stage, share in (("shadow", 0), ("live", PPM)):
        routed(router, stage, share, canary())
        assert router.read("orders", unit=1, v1=lambda _: row(1), v2=lambda _: row(2), args=(Unkept(),)) == row(1)
    assert settled(router, 1) == {"dropped": 1}
    # v2, which could change it under v1, was not asked.
    assert router.counts() == {"orders": {"v1": 1, "v2_error": 1}}
