"""Views that a tail keeps, each with the strategy it must get; a project that has them, and DuckDB as their judge."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import dualgauge
from dualgauge.engines.lexer import bare
from dualgauge.eventlog.append.event import Event
from dualgauge.model import Position, Side
from dualgauge.replay.pace import Pace
from dualgauge.replay.run import replay
from dualgauge.replay.shaping import shape_store
from dualgauge.replay.tail import Tail
from support.forked import Process, python
from support.inside import handles_of
from support.log_project import LogProject
from support.shop import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualgauge.migration import Migration
    from dualgauge.replay.tail import Tailed
    from dualgauge.workspace import Handles

COLUMNS = {
    "who": "VARCHAR", "n": "BIGINT", "price": "DECIMAL(18,2)", "d": "DOUBLE", "flag": "BOOLEAN", "note": "VARCHAR",
    "seq": "BIGINT",
}  # fmt: skip


def _views() -> dict[str, tuple[str, str]]:
    found = {}
    for part in re.split(r"^-- view: ", Path(__file__).with_name("tailed_views.sql").read_text(), flags=re.MULTILINE)[
        1:
    ]:
        first, _, text = re.sub(r"^---- .*$", "", part, flags=re.MULTILINE).partition("\n")
        name, _, strategy = first.partition(", ")
        found[name] = (strategy, text.strip() + "\n")
    return found


VIEWS: Final = _views()
"""The strategy that each view must get, and its text."""

KEPT: Final = [name for name, (strategy, _) in VIEWS.items() if strategy in ("merge", "append")]
"""The views that a tail keeps."""


def events(rows: Sequence[Mapping[str, Any]]) -> list[Event]:
    """
    Events of some rows: `type`, `at` (hours from a day's beginning, 0 by default), and values of `COLUMNS`.

    `seq` is another in each event by default, and in another order than the events.
    """
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return [
        Event(
            event_id=f"e{number}", type=row.get("type", "in"), occurred_at=day + dt.timedelta(hours=row.get("at", 0)),
            fields={
                name: _value(name, value)
                for name, value in {"seq": number * 40_009 % 100_003, **row}.items()
                if name in COLUMNS and value is not None
            },
        )
        for number, row in enumerate(rows, 1)
    ]  # fmt: skip


def _value(name: str, value: object) -> object:
    return Decimal(str(value)) if name == "price" else value


@dataclass
class TailedProject:
    """A project with a log and views, open: it can be brought forward, looked at, and put back."""

    handles: Handles
    root: Path

    def replay(self, position: int) -> None:
        """Build all views anew at a position."""
        replay(
            self.handles.engine,
            self.handles.log,
            self.handles.builds,
            self.handles.plans,
            Position(position),
            force=True,
        )

    def tail(self, position: int, size: int = 10_000) -> tuple[Tailed, ...]:
        """Bring the builds to a position, as a process of its own would."""
        now = dt.datetime.now(dt.UTC)
        leases = {Side.V1: self.handles.builds.take(Side.V1, f"{now}", now, now)}
        plans = {one.view.name: one for one in self.handles.plans}
        with Tail(
            self.handles.engine,
            self.handles.log,
            self.handles.builds,
            leases,
            lambda _, one: plans[one.view],
            pace=Pace(size=size),
        ) as tail:
            tail.catch_up(Position(position))
            return tail.done

    def wrong(self, position: int, names: Sequence[str]) -> list[str]:
        """The views of which readers get other rows than a plain query over the log gives at a position."""
        engine, found = self.handles.engine, []
        views = {one.view.name: one.view for one in self.handles.plans}
        # Read once, for the queries of all views.
        engine.execute(f"CREATE OR REPLACE TEMP TABLE judged_events AS {self.handles.log.relation(Position(position))}")
        with (
            TemporaryDirectory() as folder, engine.bound("events", "FROM judged_events"),
            self.handles.builds.snapshot(Side.V1) as snapshot,
        ):  # fmt: skip
            for name in names:
                view, file = views[name], Path(folder) / f"{name}.parquet"
                with snapshot.export(name, view.columns, file) as written:
                    list(written)
                _, back = snapshot.exported(name, view.columns)
                (differ,) = engine.row(
                    f"WITH a AS MATERIALIZED (SELECT {back} FROM read_parquet('{file}')), "
                    f"b AS MATERIALIZED ({bare(view.text)}) SELECT (SELECT count(*) FROM (FROM a EXCEPT ALL FROM b)) "
                    "+ (SELECT count(*) FROM (FROM b EXCEPT ALL FROM a))"
                )
                if differ:
                    found.append(name)
        return found

    def state(self, names: Sequence[str]) -> str:
        """A digest of all that a tail finds in the store of some views: rows, hidden columns, look-ups, checkpoints."""
        (file,), digest = (self.root / ".dualgauge").glob("views_v1*.db"), hashlib.sha256()
        builds = self.handles.builds.served(Side.V1)
        with closing(sqlite3.connect(file)) as connection:
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for name in sorted(names):
                build = builds[name]
                own = "SELECT position, definition_hash, text, history FROM _dualgauge_checkpoint"
                found = [connection.execute(f"{own} WHERE view = ? AND build = ?", (name, build)).fetchall()]
                tables = there & {f"{name}__b{build}", f"{name}__b{build}__lookups"}
                found += [connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in sorted(tables)]
                assert len(found) > 1, (name, build, there)
                digest.update(repr((name, [sorted(rows, key=repr) for rows in found])).encode())
        return digest.hexdigest()

    def kept(self) -> Path:
        """A copy of the builds as they are now."""
        copy = self.root / f"kept-{len(list(self.root.glob('kept-*')))}"
        copy.mkdir()
        for file in (self.root / ".dualgauge").glob("views_*.db*"):
            shutil.copy(file, copy / file.name)
        return copy

    def put_back(self, copy: Path) -> None:
        """Have the builds of a copy."""
        for file in (self.root / ".dualgauge").glob("views_*.db*"):
            file.unlink()
        for file in copy.iterdir():
            shutil.copy(file, self.root / ".dualgauge" / file.name)


def laid_out(root: Path, views: Mapping[str, tuple[str, str]] = VIEWS) -> Migration:
    """A project with such views on v1, and nothing in its log."""
    project = LogProject(root, columns=dict(COLUMNS))
    for name, (_, text) in views.items():
        project.write(f"views_v1/{name}.sql", text)
    (root / "views_v2").mkdir()
    (root / "migrations").mkdir()
    for name in ("env.py", "script.py.mako"):
        shutil.copy(ROOT / "migrations" / name, root / "migrations" / name)
    return project.open()


@contextmanager
def opened(
    root: Path, rows: Sequence[Mapping[str, Any]], views: Mapping[str, tuple[str, str]] = VIEWS
) -> Iterator[TailedProject]:
    """A project with such events and views, its table schemas made, and nothing built."""
    migration = laid_out(root, views)
    with migration.appender() as log:
        log.append(events(rows))
    with handles_of(migration) as handles:
        schemas = [one.view for one in handles.plans]
        shape_store(handles.builds, root / "migrations", schemas, mode="auto", dry_run=False)
        yield TailedProject(handles, root)


def judge_all_splits(project: TailedProject, count: int) -> int:
    """
    Part a log of so many events in every way, and see that after each batch every view is what its query gives.

    A tail knows of what was before nothing but the log and the store. So where two ways come to stores with the same
    bytes in them, hidden columns and look-ups too, what is behind them is the same, and is gone through once.

    Gives how many ways there were.
    """
    judged: dict[tuple[int, str], int] = {}

    def ways_on(at: int, parts: Sequence[int]) -> int:
        state = at, project.state(KEPT)
        if state not in judged:
            assert project.wrong(at, KEPT) == [], parts
            before, found = project.kept(), int(at == count)
            for end in range(at + 1, count + 1):
                project.put_back(before)
                done = project.tail(end)
                assert {one.view for one in done if not one.left} == set(KEPT)
                assert {(one.position, one.error) for one in done if not one.left} == {(end, "")}
                found += ways_on(end, (*parts, end))
            judged[state] = found
        return judged[state]

    ways = 0
    for first in range(1, count + 1):
        project.replay(first)
        assert project.wrong(first, sorted(set(VIEWS) - set(KEPT))) == [], first
        ways += ways_on(first, (first,))
    return ways


def judged(root: Path) -> dict[str, int]:
    """The views of which readers get other rows than a plain query gives, each with the position of its build."""
    with handles_of(dualgauge.open(root)) as handles:
        project, found = TailedProject(handles, root), {}
        for name, one in handles.builds.served_builds(Side.V1).items():
            assert one.position is not None
            if project.wrong(one.position, [name]):
                found[name] = int(one.position)
        return found


_FOLLOWS: Final = """
import json, sys
import dualgauge
ready = []
def stop():
    if not ready:
        ready.append(True)
        print("ready", flush=True)
    return False
done = dualgauge.open(sys.argv[1]).tail(stop=stop, **json.loads(sys.argv[2]))
print("ended by itself", done)
"""


@contextmanager
def following(root: Path, *, lease: float = 30.0, **how: Any) -> Iterator[Process]:
    """A process that follows the log, once it has taken the sides, by leases of so many seconds; killed at the end."""
    short = (
        f"import datetime\nfrom dualgauge.replay import holding\nholding.LEASE = datetime.timedelta(seconds={lease})\n"
    )
    child = python(["-c", short + _FOLLOWS, str(root), json.dumps(how)], environment=dict(os.environ))
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGCONT)
        child.kill()
        child.communicate()


def come_to(root: Path, side: Side, wanted: Mapping[str, int]) -> bool:
    """Whether readers get builds at these positions, before long."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with handles_of(dualgauge.open(root)) as handles:
            if {name: one.position for name, one in handles.builds.served_builds(side).items()} == wanted:
                return True
        time.sleep(0.1)
    return False
