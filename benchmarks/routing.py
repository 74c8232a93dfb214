"""
What a routing decision costs, and how soon a rollback is in force everywhere.

decide      `Router.decide` of a new unit each time, at 5 %; floor: the same bytes, one SHA-256, one comparison.
read        `Router.read` of two functions; floor: the floor's decision and the call of one of them.
best        `Router.decide` beside the quickest of the feature-flag clients that are installed (growthbook,
            openfeature-sdk, UnleashClient), which decide by a share of units too, without a network.
import      loading the router in a new process; floor: loading asyncio.
resident    memory of a process with a router that has decided, more than of one without.
rollback    from the end of the write to the last read that v2 served, in any of eight other processes: the longest
            of all rounds.
kill        the same of a kill, from before it is written.

Prints a table and, as the last line, one JSON object. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import floors
from _figures import Figure, publish

import dualgauge_router
from dualgauge.cutover.moves.routing import RoutingOrder, kill, unkill
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge_router import Router
from dualgauge_router.hashing import threshold

if TYPE_CHECKING:
    from collections.abc import Callable

SHARE_PPM = 50_000
PROCESSES = 8

READER = """
import sys, time
from dualgauge_router import Router
router = Router(sys.argv[1], "orders_view")
now = time.monotonic
last, calls = 0.0, 0
v1, v2 = (lambda: 1), (lambda: 2)
print("ready", flush=True)
end = now() + float(sys.argv[2])
while now() < end:
    calls += 1
    if router.read("orders", unit=str(calls), v1=v1, v2=v2) == 2:
        last = now()
    if calls % 200 == 0:
        time.sleep(0.002)
print(last, flush=True)
"""

LOADED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
RESIDENT = """
import sys
if len(sys.argv) > 1:
    from dualgauge_router import Router
    Router(sys.argv[1], "orders_view").decide("u")
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


def child(program: str, *arguments: str) -> float:
    """What a new process prints."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  (our own scripts)
    return float(done.stdout)


def move(url: str, share_ppm: int, stage: str) -> None:
    """Set the share, as a switch does."""
    with Ledger.open(url) as ledger:
        state = ledger.state("orders_view")
        entry = JournalEntry(
            "orders_view", "benchmark", "bench", datetime.now(UTC), state.stage, state.share_ppm, stage, share_ppm,
            f"op-{state.revision}",
        )  # fmt: skip
        ledger.move(state, entry)


def others() -> dict[str, Callable[[str], bool]]:
    """A decision of each client that is installed, by the same share."""
    found: dict[str, Callable[[str], bool]] = {}
    for name, make in (("growthbook", _growthbook), ("openfeature", _openfeature), ("UnleashClient", _unleash)):
        if importlib.util.find_spec(name):
            found[name] = make()
    return found


def _growthbook() -> Callable[[str], bool]:
    from growthbook import GrowthBook

    rule = {"force": True, "coverage": SHARE_PPM / 1_000_000, "hashAttribute": "id", "seed": "orders_view:v2"}
    client = GrowthBook(features={"v2": {"defaultValue": False, "rules": [rule]}})

    def decide(unit: str) -> bool:
        client.set_attributes({"id": unit})
        return bool(client.is_on("v2"))

    return decide


def _openfeature() -> Callable[[str], bool]:
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    limit = threshold(SHARE_PPM)

    def evaluate(_: Any, context: Any) -> Any:  # noqa: ANN401  (the library's own)
        on = floors.decide(context.targeting_key, limit)
        return FlagResolutionDetails(value=on, variant="on" if on else "off")

    flag = InMemoryFlag("off", {"on": True, "off": False}, context_evaluator=evaluate)
    api.set_provider(InMemoryProvider({"v2": flag}))
    client = api.get_client()
    return lambda unit: bool(client.get_boolean_value("v2", False, EvaluationContext(targeting_key=unit)))  # noqa: FBT003


def _unleash() -> Callable[[str], bool]:
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    cache = FileCache("dualgauge-benchmark")
    share = {"rollout": str(SHARE_PPM // 10_000), "stickiness": "userId", "groupId": "orders_view"}
    toggle = {"name": "v2", "enabled": True, "strategies": [{"name": "flexibleRollout", "parameters": share}]}
    cache.bootstrap_from_dict({"version": 1, "features": [toggle]})
    client = UnleashClient("http://localhost:9", "bench", cache=cache, disable_metrics=True, disable_registration=True)
    client.initialize_client(fetch_toggles=False)
    return lambda unit: bool(client.is_enabled("v2", {"userId": unit}))


def decisions(url: str, units: list[str], rounds: int) -> list[Figure]:
    """Decisions and reads, and the clients beside them, in turns."""
    limit = threshold(SHARE_PPM)

    def old(number: int) -> int:
        return number

    def new(number: int) -> int:
        return -number

    few = units[:: max(1, len(units) // 5_000)]
    clients = others()
    with Router(url, "orders_view", refresh=60, stale_after=3_600) as router:
        turns: dict[str, tuple[Callable[[str], object], list[str]]] = {
            "floor": (lambda unit: floors.decide(unit, limit), units),
            "decide": (router.decide, units),
            "read": (lambda unit: router.read("orders", unit=unit, v1=old, v2=new, args=(1,)), units),
            "read floor": (lambda unit: (new if floors.decide(unit, limit) else old)(1), units),
            **{name: (decide, few) for name, decide in clients.items()},
        }
        assert [router.decide(unit).side == "v2" for unit in units] == [floors.decide(unit, limit) for unit in units]
        taken: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(rounds):
            for name in turns if number % 2 else reversed(turns):
                call, asked = turns[name]
                seconds, _ = floors.timed(lambda call=call, asked=asked: [call(unit) for unit in asked])
                taken[name].append(seconds * 1e9 / len(asked))
    middle = {name: statistics.median(one) for name, one in taken.items()}
    figures = [
        Figure("decide", "ns", middle["decide"], middle["floor"], bar=1.35),
        Figure("read", "ns", middle["read"], middle["read floor"]),
    ]
    if clients:
        quickest = min(middle[name] for name in clients)
        figures.append(Figure("best", "ns", middle["decide"], quickest, bar=round(1 / 6, 3)))
        figures += [Figure(name, "ns", middle["decide"], middle[name]) for name in clients]
    return figures


def loading(url: str, rounds: int) -> list[Figure]:
    """Loading the router, in processes of their own."""
    ours, theirs, with_router, without = [], [], [], []
    for _ in range(rounds):
        ours.append(1000 * child(LOADED.format("dualgauge_router")))
        theirs.append(1000 * child(LOADED.format("asyncio")))
        with_router.append(child(RESIDENT, url) / 1024)
        without.append(child(RESIDENT) / 1024)
    return [
        Figure("import", "ms", statistics.median(ours), statistics.median(theirs)),
        Figure("resident", "MB", statistics.median(with_router) - statistics.median(without)),
    ]


def killing(url: str, *, killed: bool) -> None:
    """Kill, or take that back, as the command does."""
    with Ledger.open(url) as ledger:
        order = RoutingOrder("bench", datetime.now(UTC), uuid.uuid4().hex)
        if killed:
            kill(ledger, "orders_view", order)
        else:
            # Nothing is on v2 then: no gate is asked.
            unkill(ledger, "orders_view", order, gates=tuple, still=lambda _: True)


def rollback(url: str, rounds: int, seconds: float, *, by_kill: bool = False) -> Figure:
    """How long after a rollback, or a kill, v2 still serves a read, in any of the processes."""
    longest = 0.0
    for _ in range(rounds):
        move(url, 0, "shadow")
        killing(url, killed=False)
        move(url, 1_000_000, "live")
        command = [sys.executable, "-c", READER, url, str(seconds)]
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  (our own script)
            for _ in range(PROCESSES)
        ]
        for one in processes:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        time.sleep(seconds / 4)
        written = time.monotonic()
        if by_kill:
            killing(url, killed=True)
        else:
            move(url, 0, "shadow")
            written = time.monotonic()
        last = [float(one.communicate()[0]) for one in processes]
        assert all(one > written - seconds / 4 for one in last), "every process read from v2 until it ended"
        longest = max(longest, max(last) - written)
    return Figure("kill" if by_kill else "rollback", "s", longest, bar=2.0)


def main() -> int:
    """Measure everything; 1 where a bar is missed."""
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description="What a routing decision costs, and how soon a rollback is in force.")
    parser.add_argument("--units", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--rollbacks", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="that the processes of a rollback read for")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON line to a file, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualgauge-bench-") as folder:
        url = f"sqlite:///{Path(folder, 'ledger.db')}"
        move(url, SHARE_PPM, "canary")
        figures = decisions(url, [f"user-{at:08}" for at in range(given.units)], given.rounds)
        figures += loading(url, given.rounds)
        figures += [rollback(url, given.rollbacks, given.seconds, by_kill=by_kill) for by_kill in (False, True)]
    return publish(
        "routing",
        f"routing decisions: medians of {given.rounds} rounds over {given.units:,} units, in turns",
        figures,
        sizes={"units": given.units, "rounds": given.rounds, "processes": PROCESSES},
        versions={"dualgauge-router": dualgauge_router.__version__},
        to=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())
