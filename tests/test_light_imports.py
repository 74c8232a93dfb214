"""What must start at once loads no engine: help, point reads, and the router of an application."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.shop import ROOT, build

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"alembic", "altair", "deltalake", "duckdb", "great_expectations", "numpy", "pandas", "pyarrow", "sqlglot"}

# Run as the installed script does, and say at the end what was loaded.
COMMAND_LINE = """
import atexit, sys
atexit.register(lambda: print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr))
from dualgauge.cli import main
main()
"""

ROUTER = """
import sys
import dualgauge
from dualgauge import Router
with Router(ledger=sys.argv[1], migration="customers") as router:
    print(router.read("customers", unit="cyd", v1=lambda: "v1", v2=lambda: "v2"))
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


EVENTS = """
import sys
from datetime import UTC, datetime
from dualgauge import Event
print(Event("o-1", "placed", datetime(2026, 1, 1, tzinfo=UTC), {"cents": 5}, caused_by="o-0").event_id)
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("light") / "shop")


def run(program: str, *arguments: str, folder: Path) -> tuple[str, set[str]]:
    """What a program printed, and the top-level modules it had loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["diff", "--help"], ["log", "append", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    out, loaded = run(COMMAND_LINE, *arguments, folder=tmp_path)

    assert out
    assert loaded & (HEAVY | {"sqlalchemy"}) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read", "customers", "ada", "--unit", "ada"], "v1 answered: no read is on v2 in this stage"),
        (["read", "customers", "ada", "--unit", "ada", "--format", "json"], '"dualgauge.read/1"'),
        (["rollback"], "nothing to do: stage shadow (0 % on v2) already"),
        (["journal", "--verify"], "verified: 3 rows"),
        (["canary", "show"], "no canary.yaml is in force"),
        (["canary", "who", "ada"], "ada reads v1"),
        (["canary", "kill", "--dry-run"], "would be killed: all reads go to v1"),
    ],
)
def test_reads_and_ways_back_load_nothing_heavy(arguments: list[str], said: str, shop: Path) -> None:
    out, loaded = run(COMMAND_LINE, *arguments, folder=shop)

    assert said in out
    assert loaded & HEAVY == set()


def test_a_router_loads_nothing_heavy_and_no_command_line(shop: Path) -> None:
    out, loaded = run(ROUTER, f"sqlite:///{shop}/.dualgauge/ledger.db", folder=shop)

    assert out == "v1\n"
    assert loaded & (HEAVY | {"rich", "typer", "pydantic"}) == set()


def test_an_application_makes_events_and_loads_nothing_heavy_before_it_appends_them(tmp_path: Path) -> None:
    out, loaded = run(EVENTS, folder=tmp_path)

    assert out == "o-1\n"
    assert loaded & (HEAVY | {"rich", "typer", "pydantic", "sqlalchemy"}) == set()


def test_the_public_names_are_all_there_and_loaded_when_asked_for() -> None:
    import dualgauge

    assert {name for name in dualgauge.__all__ if getattr(dualgauge, name, None) is None} == set()
    assert dir(dualgauge) == sorted(dualgauge.__all__)
    with pytest.raises(AttributeError, match="module 'dualgauge' has no attribute 'Routr'"):
        dualgauge.Routr  # noqa: B018  (asking is the test)
