"""The router's wheel in virtual environments of applications: with SQLAlchemy 1.4, 2.0, and with nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.ledgers import move

pytestmark = pytest.mark.torture

ROOT = Path(__file__).resolve().parents[2]

READ = """
import sys
from dualgauge_router import Router
with Router(sys.argv[1], "orders") as router:
    print(router.read("orders", unit="u", v1=lambda: "v1", v2=lambda: "v2"), router.trouble)
try:
    import sqlalchemy
    print(sqlalchemy.__version__[:3])
except ImportError:
    print("none")
"""


@pytest.mark.parametrize(("beside", "version"), [("sqlalchemy<2", "1.4"), ("sqlalchemy<2.1", "2.0"), ("", "none")])
def test_a_fresh_environment_installs_the_router_and_reads(tmp_path: Path, beside: str, version: str) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    move(url, 1_000_000, "live")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist"]
    subprocess.run([*build, ROOT / "packages" / "router"], check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    wanted = [str(wheel), *([beside] if beside else [])]
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], check=True)
    done = subprocess.run([python, "-c", READ, url], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["v2", "None", version]
