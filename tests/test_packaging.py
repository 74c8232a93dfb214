"""The wheel as it would be published, the lock file, and what both promise."""

from __future__ import annotations

import configparser
import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dualgauge
import dualgauge_router
from support.ledgers import move

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CONTENT: dict[str, str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
CONTENT_PATTERNS = (
    "comparators/*.py",
    "migrations/env.py",
    "migrations/script.py.mako",
    "pyproject.toml",
    "reports/README.md",
    "views_v1/*.sql",
    "views_v2/*.sql",
)

LAY_OUT = (
    "import sys; from pathlib import Path; from dualgauge.scaffold.demo import lay_out; lay_out(Path(sys.argv[1]))"
)

# Left by running the project; all of it git ignores, and none of it may reach a wheel.
LITTER = (
    "comparators/__pycache__/orders.pyc",
    "src/dualgauge/.dualgauge/ledger.db",
    "src/dualgauge/__pycache__/left.pyc",
    "views_v1/.coverage",
)


def required(lines: list[str]) -> set[str]:
    return {str(Requirement(line)) for line in lines}


def locked() -> dict[str, list[str]]:
    """Versions by package; a package has several where they depend on the version of Python."""
    versions: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, version = line.partition(";")[0].strip().split("==")
            versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy with litter in it, so that the checkout stays as it is; nothing is downloaded."""
    copy = tmp_path_factory.mktemp("source") / "dualgauge"
    copy.mkdir()
    for name in (".gitignore", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("comparators", "migrations", "src", "views_v1", "views_v2"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "reports").mkdir()
    shutil.copy(ROOT / "reports" / "README.md", copy / "reports" / "README.md")
    for name in LITTER:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("litter")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", copy / "dist", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (copy / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def in_dist_info(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"dualgauge-{dualgauge.__version__}.dist-info/{name}").decode()


def test_the_wheel_holds_one_import_package(names: list[str]) -> None:
    assert {name.partition("/")[0] for name in names} == {"dualgauge", f"dualgauge-{dualgauge.__version__}.dist-info"}


def test_the_wheel_holds_the_package_and_the_named_content_and_nothing_else(names: list[str]) -> None:
    package = {
        f"dualgauge/{path.relative_to(ROOT / 'src' / 'dualgauge').as_posix()}"
        for path in (ROOT / "src" / "dualgauge").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in names if ".dist-info/" not in name}
    assert held == package | set(CONTENT.values())


def test_every_content_file_is_named_for_the_wheel() -> None:
    there = {path.relative_to(ROOT).as_posix() for pattern in CONTENT_PATTERNS for path in ROOT.glob(pattern)}
    assert set(CONTENT) == there


def test_content_lies_in_the_wheel_as_in_the_project() -> None:
    assert {path: f"dualgauge/scaffold/demo_project/{path}" for path in CONTENT} == CONTENT


def test_the_wheel_lays_out_the_project_that_the_checkout_lays_out(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    laid_out = {}
    for name, package in (("wheel", tmp_path / "installed"), ("checkout", ROOT / "src")):
        subprocess.run(
            [sys.executable, "-c", LAY_OUT, tmp_path / name],
            env={**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
        )
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        laid_out[name] = {path.relative_to(tmp_path / name).as_posix(): path.read_bytes() for path in files}
    assert "pyproject.toml" in laid_out["wheel"]
    assert laid_out["wheel"] == laid_out["checkout"]


def test_the_ledgers_revisions_are_in_the_wheel(names: list[str]) -> None:
    revisions = {path.name for path in (ROOT / "src/dualgauge/ledger/revisions/versions").glob("*.py")}
    assert revisions
    assert {f"dualgauge/ledger/revisions/versions/{name}" for name in revisions} <= set(names)
    assert "dualgauge/ledger/revisions/env.py" in names


def test_the_package_is_marked_as_typed(names: list[str]) -> None:
    assert "dualgauge/py.typed" in names


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    assert in_dist_info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert email.message_from_string(in_dist_info(wheel, "METADATA"))["License-Expression"] == "Apache-2.0"


def test_the_wheel_installs_one_command(wheel: Path) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(in_dist_info(wheel, "entry_points.txt"))
    assert {name: dict(entry_points[name]) for name in entry_points.sections()} == {
        "console_scripts": {"dualgauge": "dualgauge.__main__:main"}
    }


def test_the_wheel_requires_what_the_project_says(wheel: Path) -> None:
    metadata = email.message_from_string(in_dist_info(wheel, "METADATA"))
    extras = PROJECT["optional-dependencies"]
    said = required(PROJECT["dependencies"]) | {
        str(Requirement(f"{line}; extra == '{extra}'")) for extra, lines in extras.items() for line in lines
    }
    assert required(metadata.get_all("Requires-Dist", [])) == said
    assert set(metadata.get_all("Provides-Extra", [])) == set(extras)
    assert (metadata["Version"], metadata["Requires-Python"]) == (dualgauge.__version__, PROJECT["requires-python"])


def test_the_lock_pins_everything_the_project_names_within_its_bounds() -> None:
    versions = locked()
    groups = PYPROJECT["dependency-groups"].values()
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
        *(line for group in groups for line in group if isinstance(line, str)),
        *PYPROJECT["build-system"]["requires"],
    ]
    # The router is installed from its folder, beside this project.
    for requirement in (one for one in map(Requirement, lines) if one.name != "dualgauge-router"):
        found = versions.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement.name} is not in requirements.lock: run `make lock`"
        assert all(map(requirement.specifier.contains, found)), f"{requirement} is locked at {found}: run `make lock`"


def test_every_line_of_the_lock_pins_one_version() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", line)] == []


@pytest.mark.parametrize(
    "word", ["://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host", "@", "file:"]
)
def test_the_lock_names_no_host(word: str) -> None:
    assert word not in (ROOT / "requirements.lock").read_text(encoding="utf-8")


# The router's wheel.

ROUTER = ROOT / "packages" / "router"

READ = """
import sys
sys.path.insert(0, sys.argv[1])
from dualgauge_router import DualgaugeError as router_error, Router
with Router(sys.argv[2], "orders") as router:
    print(router.read("orders", unit="u", v1=lambda key: ["v1", key], v2=lambda key: ["v2", key], args=(7,)))
    print(router.trouble)
    import dualgauge_router.shadows
    try:
        router.reader("sqlite:////nowhere/views_{side}.db").v2.get("orders", 7)
    except router_error as fault:
        print(type(fault).__name__)
"""


@pytest.fixture(scope="module")
def router_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("router") / "router"
    shutil.copytree(ROUTER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", copy / "dist", copy],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (copy / "dist").iterdir()
    return built


def test_the_routers_wheel_is_small_holds_its_package_and_requires_nothing(router_wheel: Path) -> None:
    assert router_wheel.stat().st_size < 200_000
    info = f"dualgauge_router-{dualgauge_router.__version__}.dist-info"
    with zipfile.ZipFile(router_wheel) as archive:
        held = {name for name in archive.namelist() if not name.startswith(info)}
        metadata = email.message_from_string(archive.read(f"{info}/METADATA").decode())
        assert archive.read(f"{info}/licenses/LICENSE").decode() == (ROOT / "LICENSE").read_text(encoding="utf-8")
    source = ROUTER / "src" / "dualgauge_router"
    files = {path for path in source.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    assert held == {str(path.relative_to(source.parent)) for path in files}
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert (needed, metadata["Requires-Python"], metadata["Version"]) == ([], ">=3.11", dualgauge_router.__version__)


def test_dualgauge_takes_the_router_that_stands_beside_it() -> None:
    (needed,) = (one for one in map(Requirement, PROJECT["dependencies"]) if one.name == "dualgauge-router")
    assert needed.specifier.contains(dualgauge_router.__version__)


def test_an_application_with_the_router_alone_reads(router_wheel: Path, tmp_path: Path) -> None:
    """Without any site-packages; the ledger was made by dualgauge."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    move(url, 1_000_000, "live")
    with zipfile.ZipFile(router_wheel) as archive:
        archive.extractall(tmp_path / "installed")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", READ, tmp_path / "installed", url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("['v2', 7]\nNone\nNoStore\n", "")
