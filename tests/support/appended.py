"""What tests of appends share: plain events, and a look at all that a log must hold."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dualgauge import Event
from support.log_project import run_child

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.log_project import LogProject

WHEN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(event_id: object, n: int = 0, caused_by: str | None = None, **fields: Any) -> Event:
    """An event with one declared field."""
    return Event(str(event_id), "seen", WHEN + timedelta(seconds=n), {"n": n, **fields}, caused_by)


def events(names: Iterable[object]) -> list[Event]:
    """Events that differ in their ids alone."""
    return [event(name) for name in names]


APPENDS = """
import json, sys
from datetime import UTC, datetime, timedelta
import dualgauge
from dualgauge import Event

root, name, count, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
start = datetime(2026, 1, 31, 12, tzinfo=UTC)
ids = [f"shared-{n}" if n % 3 == 0 else f"{name}-{n}" for n in range(count)]
with dualgauge.open(root).appender() as log:
    print("ready", flush=True)
    sys.stdin.readline()
    for at in range(0, count, batch):
        made = [Event(one, "seen", start + timedelta(seconds=at), {"n": at}) for one in ids[at : at + batch]]
        print(json.dumps([ids[at : at + batch], log.append(made)]), flush=True)
"""
"""A process that appends `count` events in batches; a third of them are the same in every process."""


def race(project: LogProject, processes: int, count: int, batch: int) -> dict[str, int]:
    """Let processes append at the same time; gives the position of each id, the same for all who were told one."""
    project.open()
    children = [run_child(APPENDS, project.root, f"p{number}", count, batch) for number in range(processes)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    found: dict[str, int] = {}
    said = [child.communicate(timeout=600) for child in children]
    for out, err in said:
        assert err == ""
        told = [json.loads(line) for line in out.splitlines()]
        assert sum(len(ids) for ids, _ in told) == count
        for ids, positions in told:
            for one, position in zip(ids, positions, strict=True):
                assert found.setdefault(one, position) == position
    return found


def problems(project: LogProject) -> list[str]:
    """What is wrong with a log, by our own look and by the command's, with the ledger's copy, and what lies about."""
    project.verify()
    found = [str(one) for one in project.open().log.verify().problems]
    mirror = [(one.first, one.last, one.chain) for one in project.mirror()]
    if mirror != [(one["first"], one["last"], one["chain"]) for one in project.commits() if one["files"]]:
        found.append("the ledger has another chain")
    alive = f"-{os.getpid()}-"
    return found + [name for name in project.unnamed() if not name.endswith(".ids") and alive not in name]


PACES = """
import json, sys, threading, time
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event

root, name, appenders, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
counts = [0] * appenders

def run(number, until):
    with dualgauge.open(root).appender() as log:
        log.append([Event(f"{name}-{number}-first", "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": 0})])
        opened.wait()
        go.wait()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            made = [f"{name}-{number}-{counts[number]}-{step}" for step in range(10)]
            log.append([Event(one, "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": 0}) for one in made])
            counts[number] += 1

opened, go = threading.Barrier(appenders + 1, timeout=60), threading.Event()
threads = [threading.Thread(target=run, args=(number, seconds)) for number in range(appenders)]
for one in threads:
    one.start()
opened.wait()
print("ready", flush=True)
sys.stdin.readline()
go.set()
for one in threads:
    one.join()
print(json.dumps(counts), flush=True)
"""
"""A process whose appenders, each in a thread of its own, append ten events at a time and never pause."""


def paces(project: LogProject, processes: int, seconds: float, *, appenders: int = 1) -> list[int]:
    """How many appends each writer makes in some seconds, of processes that append at the same time."""
    project.open()
    children = [run_child(PACES, project.root, f"p{number}", appenders, seconds) for number in range(processes)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=seconds + 120) for child in children]
    assert [err for _, err in said] == [""] * processes
    return [count for out, _ in said for count in json.loads(out)]
