"""`dualgauge status` beside a tail: who keeps what, how far behind it is, and what stopped it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.cli.builds.status import HOME
from support.forked import Process, python
from support.shop import ROOT, call
from support.tailed import VIEWS, events, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: list[dict[str, Any]] = [{"type": "in", "who": "ada", "n": at % 5, "note": "1"} for at in range(40)]
BAD = {"type": "in", "who": "ada", "n": 1, "note": "x"}
FAILS = "-- key: type\nSELECT type, sum(CAST(note AS BIGINT)) AS notes FROM events GROUP BY type\n"
REPLAYED = "-- key: who\nSELECT who, median(n) AS middle FROM events WHERE who IS NOT NULL GROUP BY who\n"
SOON = 60.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Views that a tail keeps, one of them failing at an event with such a note, and one that only a replay builds."""
    root = tmp_path_factory.mktemp("built")
    laid_out(root, {"counts": VIEWS["counts"], "fails": ("merge", FAILS), "middles": ("replay", REPLAYED)})
    shutil.copytree(root / "views_v1", root / "views_v2", dirs_exist_ok=True)
    for side, name in (("v1", "fails"), ("v1", "middles")):
        (root / f"views_{side}" / f"{name}.sql").unlink()
    append(root, ROWS[:20])
    dualgauge.open(root).replay()
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "project"))


@pytest.fixture
def tail(project: Path) -> Iterator[Process]:
    child = python(["-m", "dualgauge", "tail", "--project", str(project)], environment=dict(os.environ))
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def append(root: Path, rows: list[dict[str, Any]], after: int = 0) -> None:
    with dualgauge.open(root).appender() as log:
        log.append(events([*({} for _ in range(after)), *rows])[after:])


def status(root: Path) -> dict[str, Any]:
    said = call("status", "--format", "json", folder=root)
    assert (said.exit_code, said.err) == (0, "")
    found: dict[str, Any] = said.json["result"]
    return found | {"views": {f"{one['side']}.{one['view']}": one for one in found["views"]}}


def waited(root: Path, label: str, **wanted: object) -> dict[str, Any]:
    """What status says once a view is so, before long."""
    until = time.monotonic() + SOON
    while True:
        found = status(root)
        if wanted.items() <= found["views"][label].items():
            return found
        assert time.monotonic() < until, found["views"][label]
        time.sleep(0.1)


def test_without_a_tail_nobody_holds_the_sides_and_lag_is_of_what_is_lacking(project: Path) -> None:
    at_head = status(project)
    append(project, ROWS[20:30], 20)
    behind = status(project)

    assert at_head["sides"] == {side: {"holder": None, "until": None} for side in ("v1", "v2")}
    assert {(one["behind"], one["lag_seconds"], one["rate"]) for one in at_head["views"].values()} == {(0, 0.0, None)}
    assert {name: one["strategy"] for name, one in at_head["views"].items()} == {
        "v1.counts": "merge", "v2.counts": "merge", "v2.fails": "merge", "v2.middles": "replay",
    }  # fmt: skip
    assert {one["behind"] for one in behind["views"].values()} == {10}
    lags = {one["lag_seconds"] for one in behind["views"].values()}
    assert len(lags) == 1
    assert 0 < lags.pop() < SOON
    assert {one["catches_up"] for one in behind["views"].values()} == {None}
    assert "next: dualgauge replay   # 4 views not at the head" in call("status", folder=project).out


def test_a_tail_is_named_with_its_pace_and_the_error_that_stopped_a_view(project: Path, tail: Process) -> None:
    append(project, [*ROWS[20:25], BAD], 20)
    found = waited(project, "v2.fails", readiness="failing")
    found = waited(project, "v2.counts", behind=0)
    views = found["views"]

    assert {one["holder"].partition(" (")[0] for one in found["sides"].values()} == {
        found["sides"]["v1"]["holder"].partition(" (")[0]
    }
    assert f"process {tail.pid} on " in found["sides"]["v2"]["holder"]
    assert found["sides"]["v2"]["until"] is not None
    assert (views["v2.counts"]["readiness"], views["v2.counts"]["eta_seconds"]) == ("ready", 0.0)
    assert views["v2.counts"]["rate"] > 0
    assert views["v2.counts"]["catches_up"] is True
    assert views["v2.fails"]["stopped_at"] == views["v2.fails"]["position"] == 20
    assert "its SELECT cannot be computed over these events" in views["v2.fails"]["error"]
    assert (views["v2.middles"]["readiness"], views["v2.middles"]["rate"]) == ("lagging", None)
    assert found["log"]["arrivals_per_second"] > 0

    text = call("status", folder=project).out
    assert re.search(rf"^v1 is kept by \S+, process {tail.pid} on .* until \d\d:\d\d:\d\dZ$", text, re.MULTILINE)
    assert re.search(r"^v2\.fails +failing +2 +20 +6 .* merge *$", text, re.MULTILINE)
    assert "v2.fails stopped behind position 20: " in text
    assert "next: dualgauge replay   # 2 views not at the head" in text


def test_a_killed_tail_holds_nothing_and_what_it_said_of_an_error_stays(project: Path, tail: Process) -> None:
    append(project, [BAD], 20)
    waited(project, "v2.fails", readiness="failing")
    tail.kill()
    tail.wait()
    found = status(project)

    assert found["sides"]["v2"] == {"holder": None, "until": None}
    assert found["views"]["v2.fails"]["readiness"] == "failing"
    assert found["views"]["v2.counts"]["rate"] is None
    assert "is kept by" not in call("status", folder=project).out

    (project / "views_v2" / "fails.sql").write_text(FAILS.replace("CAST(", "TRY_CAST("), encoding="utf-8")
    assert call("replay", "v2.fails", folder=project).exit_code == 0
    assert status(project)["views"]["v2.fails"]["readiness"] == "ready"


def test_a_store_that_no_tail_ever_said_anything_in_is_only_read(project: Path) -> None:
    files = sorted((project / ".dualgauge").glob("views_*.db"))

    def tables() -> list[set[str]]:
        found = []
        for file in files:
            with contextlib.closing(sqlite3.connect(file)) as connection:
                found.append({row[0] for row in connection.execute("SELECT name FROM sqlite_master")})
        return found

    before = tables()
    assert status(project)["views"]["v2.counts"]["error"] is None
    assert tables() == before
    assert "_dualgauge_tail" not in before[0] | before[1]


def test_without_a_build_it_says_what_is_known(tmp_path: Path) -> None:
    laid_out(tmp_path, {"counts": VIEWS["counts"]})
    found = status(tmp_path)

    assert found["views"]["v1.counts"] | {"view": ""} == {
        "side": "v1", "view": "", "readiness": "unbuilt", "build": None, "position": None, "behind": None,
        "adopted": None, "lag_seconds": None, "strategy": "merge", "stale": None, "error": None, "stopped_at": None,
        "rate": None, "eta_seconds": None, "catches_up": None, "hot_keys": [],
    }  # fmt: skip
    assert found["sides"]["v1"]["holder"] is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_gives_a_line_a_look_until_it_is_told_to_end(project: Path, number: signal.Signals) -> None:
    form = ["--format", "json"] if number is signal.SIGTERM else []
    child = python(
        ["-m", "dualgauge", "status", "--watch", *form, "--project", str(project)], environment=dict(os.environ)
    )
    with child:
        lines = [child.stdout.readline() for _ in range(2)]
        child.send_signal(number)
        rest, err = child.communicate(timeout=SOON)

    assert (child.returncode, err) == (0, "")
    assert rest.count("\n") <= 1
    for line in lines:
        if form:
            said = json.loads(line)
            assert (said["schema"], said["result"]["log"]["head"]) == ("dualgauge.status/1", 20)
        else:
            pattern = (
                r"\d\d:\d\d:\d\dZ stage shadow, 0 % on v2; head 20; v1 0 events and 0\.0 s behind; v2 0 events .*\n"
            )
            assert re.fullmatch(pattern, line), line


def test_a_watch_on_a_terminal_draws_over_what_stands_there(project: Path) -> None:
    line = f"{sys.executable} -m dualgauge status --watch"
    child = subprocess.Popen(
        ["script", "-qefc", f"stty rows 5 cols 100; exec {line}", "/dev/null"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TERM": "xterm-256color"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    seen = b""
    while seen.count(HOME.encode()) < 3:
        piece = os.read(child.stdout.fileno(), 65_536)
        assert piece, seen
        seen += piece
    child.stdin.write(b"\x03")
    child.stdin.flush()
    out, _ = child.communicate(timeout=SOON)

    first, second, *_ = (seen + out).decode().split(HOME)[1:]
    assert child.returncode == 0
    assert first.count("\n") == second.count("\n") == 4
    assert first.splitlines()[0].startswith("migration ")
    assert first.splitlines()[:2] == second.splitlines()[:2]
