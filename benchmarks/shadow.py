"""
What a shadow read costs the caller: v1 takes a millisecond, v2 twenty, and a row has twelve columns.

Eight callers read at the same time, by threads (`read`) or by tasks of a loop (`aread`), with a shadow of every read
and without one, in turns. The queue is full most of the time, as it is wherever v2 is slower than v1.

threads p50, p99   with a shadow; floor: without one.
tasks p50, p99     the same.
off p50, p99       without one; floor: without one, in the same run: what the machine itself does to a ratio.
laboratory p50     the same two functions in `laboratory`, a port of Scientist, where it is installed; floor: without.

Prints a table and, as the last line, one JSON object. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import statistics
import sys
import tempfile
import threading
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _figures import Figure, publish

import dualgauge_router
from dualgauge.cutover.canary.check import read as canary
from dualgauge.cutover.moves.routing import RoutingOrder, apply
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge_router import Router

if TYPE_CHECKING:
    from collections.abc import Callable

CALLERS = 8
SHADOW = "shadow: {queue: 256, workers: 2, breaker: {errors: 100000}}\n"
VIEWS = {"orders": {"key": ["id"], "rules": {"price": {"rule": "absolute", "limit": "0.01"}}, "expects": False}}


def row(number: int) -> dict[str, object]:
    """Twelve columns of five types."""
    return {"id": number, "price": Decimal("12.50"), "at": "2026-01-01"} | {f"c{at}": at * 1.5 for at in range(9)}


def old(number: int) -> dict[str, object]:
    """A read of v1."""
    time.sleep(0.001)
    return row(number)


def new(number: int) -> dict[str, object]:
    """A read of v2."""
    time.sleep(0.02)
    return row(number)


async def aold(number: int) -> dict[str, object]:
    """A read of v1 that is awaited."""
    await asyncio.sleep(0.001)
    return row(number)


async def anew(number: int) -> dict[str, object]:
    """A read of v2 that is awaited."""
    await asyncio.sleep(0.02)
    return row(number)


def ledger(folder: Path, *, shadow: bool) -> str:
    """A ledger in stage shadow, with or without shadow reads."""
    url = f"sqlite:///{folder / f'{shadow}.db'}"
    with Ledger.open(url) as opened:
        entry = JournalEntry("m", "benchmark", "bench", datetime.now(UTC), "off", 0, "shadow", 0, uuid.uuid4().hex)
        opened.move(opened.state("m"), entry)
        file = canary(f"{SHADOW if shadow else ''}steps: [{{share: 1%}}, {{share: 100%}}]\n", "canary.yaml")
        order = RoutingOrder("bench", datetime.now(UTC), uuid.uuid4().hex)
        apply(opened, "m", order, text=file.text_with(VIEWS), rollout=None, gates=tuple, still=lambda _: True)
    return url


def by_threads(call: Callable[[int], object], reads: int) -> list[float]:
    """The milliseconds that each read took, of callers at the same time."""
    taken: list[float] = []

    def caller() -> None:
        mine = []
        for number in range(reads):
            start = time.perf_counter()
            call(number)
            mine.append((time.perf_counter() - start) * 1e3)
        taken.extend(mine)

    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return taken


def by_tasks(call: Callable[[int], Any], reads: int) -> list[float]:
    """The same of tasks of one loop."""
    taken: list[float] = []

    async def caller() -> None:
        for number in range(reads):
            start = time.perf_counter()
            await call(number)
            taken.append((time.perf_counter() - start) * 1e3)

    async def callers() -> None:
        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    asyncio.run(callers())
    return taken


def laboratory() -> Callable[[int], object] | None:
    """The two functions in `laboratory`, if it is installed."""
    if not importlib.util.find_spec("laboratory"):
        return None
    from laboratory import Experiment

    def call(number: int) -> object:
        experiment = Experiment(raise_on_mismatch=False)
        experiment.control(old, args=[number])
        experiment.candidate(new, args=[number])
        return experiment.conduct()

    return call


def main() -> int:
    """Measure everything; 1 where a bar is missed."""
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description="What a shadow read costs the caller.")
    parser.add_argument("--reads", type=int, default=500, help="of each caller and round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON line to a file, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualgauge-bench-") as folder:
        urls = {shadow: ledger(Path(folder), shadow=shadow) for shadow in (False, True)}
        with Router(urls[False], "m", refresh=60) as without, Router(urls[True], "m", refresh=60) as with_shadow:

            def reads(router: Router) -> Callable[[], list[float]]:
                return lambda: by_threads(
                    lambda number: router.read("orders", unit="u", v1=old, v2=new, args=(number,)), given.reads
                )

            def areads(router: Router) -> Callable[[], list[float]]:
                return lambda: by_tasks(
                    lambda number: router.aread("orders", unit="u", v1=aold, v2=anew, args=(number,)), given.reads
                )

            turns = {
                "off": reads(without), "off again": reads(without), "threads": reads(with_shadow),
                "tasks off": areads(without), "tasks": areads(with_shadow),
            }  # fmt: skip
            if (other := laboratory()) is not None:
                turns["laboratory"] = lambda: by_threads(other, max(1, given.reads // 10))
            taken: dict[str, list[list[float]]] = {name: [] for name in turns}
            for number in range(given.rounds):
                for name in turns if number % 2 else reversed(turns):
                    taken[name].append(turns[name]())
            outcomes = with_shadow.shadow_counts()["orders"]
            assert outcomes.keys() <= {"matched", "dropped"}, outcomes
            assert outcomes["matched"] > 0
            assert without.shadow_counts() == {}

    def at(name: str, part: float) -> float:
        """The median over the rounds of a quantile of each."""
        return statistics.median(sorted(one)[int(len(one) * part)] for one in taken[name])

    def figure(name: str, of: str, floor: str, part: float, bar: float | None = None) -> Figure:
        return Figure(f"{name} p{part * 100:g}", "ms", at(of, part), at(floor, part), bar=bar)

    figures = [
        figure("threads", "threads", "off", 0.5, 1.05), figure("threads", "threads", "off", 0.99, 1.25),
        figure("tasks", "tasks", "tasks off", 0.5, 1.05), figure("tasks", "tasks", "tasks off", 0.99, 1.25),
        figure("off", "off again", "off", 0.5), figure("off", "off again", "off", 0.99),
    ]  # fmt: skip
    if "laboratory" in turns:
        figures.append(figure("laboratory", "laboratory", "off", 0.5))
    print(f"shadow reads of threads and tasks: {outcomes}")
    return publish(
        "shadow",
        f"a caller's wait with a shadow of every read: {CALLERS} callers, {given.reads:,} reads each, "
        f"medians of {given.rounds} rounds in turns",
        figures,
        sizes={"callers": CALLERS, "reads": given.reads, "rounds": given.rounds},
        versions={"dualgauge-router": dualgauge_router.__version__},
        to=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())
