"""A small project, built once and copied for each test, and its command line."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dualgauge
from support.forked import python

ROOT = Path(__file__).resolve().parents[2]

EVENTS = """\
order_no,time,customer,what,cents
1,2026-01-01T09:00:00Z,ada,placed,2500
2,2026-01-01T09:30:00Z,bob,placed,1200
3,2026-01-02T10:00:00Z,ada,placed,800
2,2026-01-02T11:00:00Z,bob,cancelled,1200
4,2026-01-03T08:15:00Z,cyd,placed,9900
"""

SETTINGS = """\
[tool.dualgauge]
migration = "customers"

[tool.dualgauge.log.columns]
customer = "VARCHAR"
cents = "BIGINT"

[[tool.dualgauge.sources]]
name = "orders"
path = "data/orders.csv"
event_id = "order_no || '/' || what"
type = "what"
occurred_at = "time"
"""

VIEW = """\
-- key: customer
SELECT customer, count(*) AS orders, sum(cents) AS cents
FROM events
WHERE type = 'placed'
GROUP BY customer
"""

COMPARATORS = """\
from dualgauge import Comparator

customers = Comparator(key="customer")
unlike = Comparator(
    key="customer",
    v1="SELECT * FROM v1.customers",
    v2="SELECT customer, orders, cents + 1 AS cents FROM v2.customers",
)
empty = Comparator(
    key="customer",
    v1="SELECT * FROM v1.customers WHERE false",
    v2="SELECT * FROM v2.customers WHERE false",
)
"""


PASSING = """\
from dualgauge import Comparator

customers = Comparator(key="customer")
"""


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def lay_out(folder: Path) -> Path:
    """Write the project's files; nothing is imported or built."""
    files = {
        "pyproject.toml": SETTINGS,
        "data/orders.csv": EVENTS,
        "views_v1/customers.sql": VIEW,
        "views_v2/customers.sql": VIEW,
        "comparators/customers.py": COMPARATORS,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "migrations").mkdir()
    for name in ("env.py", "script.py.mako"):
        shutil.copy(ROOT / "migrations" / name, folder / "migrations" / name)
    return folder


def build(folder: Path, *, compared: bool = False) -> Path:
    """
    Lay the project out, import its events, build its views: done once in a process, and written down again after.

    With `compared`, the one comparator that passes is left, and has compared: now the share may grow.
    """
    for name, content in _built(compared=compared).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).write_bytes(content)
    return folder


@functools.cache
def _built(*, compared: bool) -> dict[str, bytes | None]:
    """The built project's files by name; None is a folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "shop")
        if compared:
            build(folder)
            (folder / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")
            dualgauge.open(folder).diff()
        else:
            migration = dualgauge.open(lay_out(folder))
            migration.import_(every=True)
            migration.replay()
        return {
            one.relative_to(folder).as_posix(): None if one.is_dir() else one.read_bytes()
            for one in sorted(folder.rglob("*"))
            if "__pycache__" not in one.parts
        }


def add_order(folder: Path) -> None:
    """One more event in the source."""
    with (folder / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-09T09:00:00Z,dan,placed,100\n")


def call(*arguments: str, folder: Path, stdin: bytes | None = None) -> Said:
    """Run the command line in this process, from a folder; `stdin` is piped in."""
    from dualgauge.cli import main

    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    before, sys.argv = (sys.argv, sys.stdin), ["dualgauge", *arguments]
    if stdin is not None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        finally:
            sys.argv, sys.stdin = before
    assert code is None or isinstance(code, int)
    return Said(code or 0, out.getvalue(), err.getvalue())


def interpreter(*arguments: str, folder: Path, **environment: str) -> Said:
    """Run the command line in an interpreter of its own, which finds its locale and its folders when it begins."""
    whole = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    command = [sys.executable, "-m", "dualgauge", *arguments]
    done = subprocess.run(command, cwd=folder, env=whole, capture_output=True, text=True, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


def child(*arguments: str, folder: Path, **environment: str) -> Said:
    """Run the command line in a process of its own."""
    source = {"PYTHONPATH": str(ROOT / "src")}
    process = python(
        ["-m", "dualgauge", *arguments], folder=folder, environment={**os.environ, **source, **environment}
    )
    out, err = process.communicate()
    return Said(process.wait(), out, err)
