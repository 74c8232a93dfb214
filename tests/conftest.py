"""What every test may ask for: the real data sets, a PostgreSQL server, and an environment without surprises."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import is_hypothesis_test, settings

from dualgauge_router import errors
from support import cost
from support.browser import NoBrowser, chromium, executable
from support.pg_cluster import Cluster, NoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]

REQUIRED = os.environ.get("DUALGAUGE_REQUIRE_DATA", "") not in ("", "0")
"""Set where nothing may be skipped: what a test needs and does not find is then a failure."""

# Change what is printed, where settings are looked for, or which server is spoken to.
UNWANTED = {
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "PYTHONWARNINGS",
    "TTY_COMPATIBLE",
}
UNWANTED_PREFIXES = ("DUALGAUGE_", "PG", "TYPER_", "XDG_")
WANTED = {"DUALGAUGE_DATA", "DUALGAUGE_RECORD", "DUALGAUGE_REQUIRE_DATA", "PG_BIN_DIR"}

# Files of tests stand in memory where it has room: a seventh of the suite waited for disks. Where they are to stand
# elsewhere, PYTEST_DEBUG_TEMPROOT says so.
IN_MEMORY, ROOM = Path("/dev/shm"), 4 << 30
if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# A shell ignores Ctrl-C for what it starts in the background, and so do all children: tests that press it would wait.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: a machine that runs other tests is slow, and that says nothing of the code.
settings.register_profile("default", deadline=None, max_examples=60)
# The same examples on every run, so that a failure is a change's own and can be repeated.
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
# Others each time, and many; see the Makefile.
settings.register_profile("torture", deadline=None, max_examples=1_000)
settings.load_profile("ci" if REQUIRED or os.environ.get("CI") else "default")


LONG = ("test_demo.py", "test_planted_row.py", "test_recovery.py", "test_pages.py")
"""Files with a test of many seconds: first, so that at the end no process waits for another that has just begun one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """What may be asked for: see `support.cost`."""
    parser.addoption("--cost", metavar="FILE", help="write what each test costs into FILE.*.jsonl")
    parser.addoption("--fast", action="store_true", help="run the tests that start no process and cost little")


COST = pytest.StashKey[cost.Cost | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Count, where it is asked for."""
    config.stash[COST] = cost.of(config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count what a test and its fixtures cost."""
    counting = item.config.stash[COST]
    if counting is None:
        return (yield)
    begun = counting.begin()
    try:
        return (yield)
    finally:
        counting.end(item.nodeid, begun)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long tests first; all others stay in the order of their files."""
    if config.getoption("--fast"):
        fast = cost.fast_files()
        items[:] = [item for item in items if item.nodeid.partition("::")[0] in fast]
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by what it asks for."""
    if is_hypothesis_test(getattr(item, "obj", None)):
        item.add_marker("property")
    asked = set(getattr(item, "fixturenames", ()))
    for fixture, mark in (("data_folder", "data"), ("postgres", "postgresql"), ("browser", "browser")):
        if fixture in asked:
            item.add_marker(mark)


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run as on a machine where nobody has configured anything: an empty home, no colours, no server by default."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in UNWANTED or (name.startswith(UNWANTED_PREFIXES) and name not in WANTED):
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """Forget the passwords of a test at its end: in another one they would hide words that are none."""
    before = set(errors._secrets)
    yield
    errors._secrets.intersection_update(before)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Where a program of the system is, by its name."""

    def path(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            _missing(f"{name} is not installed here")
        return found

    return path


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets: $DUALGAUGE_DATA, relative to the repository, or ../shared/data."""
    folder = (ROOT / os.environ.get("DUALGAUGE_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        _missing(f"the data sets are not here: no folder {folder}; name it in DUALGAUGE_DATA")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One PostgreSQL server for each process of tests. A test asks for `postgres_url`, or for `new_database()`."""
    try:
        cluster = Cluster()
    except NoServer as error:
        _missing(str(error))
    with cluster:
        yield cluster


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """Give the URL (`postgresql+psycopg://...`) of an empty database, removed after the test."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Its module ends it: while it runs, other tests could start no event loop."""
    try:
        executable()
    except NoBrowser as error:
        _missing(str(error))
    with chromium() as running:
        yield running


def _missing(what: str) -> NoReturn:
    if REQUIRED:
        pytest.fail(f"{what} (DUALGAUGE_REQUIRE_DATA is set, so this is no reason to skip)")
    pytest.skip(what)
