"""Temporary folders say whose they are, go away at the end of the work, and after a kill at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from dualgauge.engines.duck import open_engine
from dualgauge.engines.errors import NoScratch
from dualgauge.engines.scratch import LOCK, clean, scratch
from support.shop import ROOT, build, call

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from dualgauge.engines.duck import open_engine
from dualgauge.engines.scratch import scratch
with open_engine(), scratch("diff") as folder:
    (folder / "half.parquet").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


def held(folder: Path) -> subprocess.Popen[str]:
    """A process that has an engine and a diff's folder open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def names(folder: Path) -> set[str]:
    return {path.name.rsplit("-", 1)[0] for path in folder.glob("dualgauge-*")}


def test_a_killed_processs_folders_are_removed_at_the_next_start_and_a_live_ones_never(tmp_path: Path) -> None:
    live, killed = held(tmp_path), held(tmp_path)
    try:
        both = {f"dualgauge-{what}-{process.pid}" for what in ("engine", "diff") for process in (live, killed)}
        assert names(tmp_path) == both
        killed.kill()
        killed.wait()
        assert names(tmp_path) == both

        with open_engine(folder=tmp_path):
            mine = f"dualgauge-engine-{os.getpid()}"
            assert names(tmp_path) == {f"dualgauge-{what}-{live.pid}" for what in ("engine", "diff")} | {mine}
        assert names(tmp_path) == {f"dualgauge-{what}-{live.pid}" for what in ("engine", "diff")}
    finally:
        for process in (live, killed):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_a_folder_whose_number_was_given_to_nobody_but_whose_lock_is_held_is_left_alone(tmp_path: Path) -> None:
    """As seen from another container that shares the folder."""
    with scratch("diff", tmp_path) as folder:
        foreign = tmp_path / "dualgauge-diff-999999999-0123456789abcdef"
        folder.rename(foreign)
        assert clean(tmp_path) == []
        foreign.rename(folder)


def test_starts_that_remove_the_same_folders_at_the_same_time_do_not_stop_each_other(tmp_path: Path) -> None:
    for number in range(1_500):
        left = tmp_path / f"dualgauge-engine-999999999-{number:016x}"
        left.mkdir()
        (left / LOCK).touch()
    with ThreadPoolExecutor(8) as starts:
        removed = [start.result() for start in [starts.submit(clean, tmp_path) for _ in range(8)]]

    assert list(tmp_path.iterdir()) == []
    assert {path.name for one in removed for path in one} == {
        f"dualgauge-engine-999999999-{number:016x}" for number in range(1_500)
    }


def test_what_has_another_name_is_nobodys_business(tmp_path: Path) -> None:
    for name in ("dualgauge-notes", "dualgauge-diff-x-0123456789abcdef", "other-diff-999999999-0123456789abcdef"):
        (tmp_path / name).mkdir()

    assert clean(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 3


def test_commands_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    shop = build(tmp_path / "shop")
    for command in ("log import --dry-run", "diff unlike", "diff nothing", "plan"):
        call(*command.split(), folder=shop)

    assert list(temporary.iterdir()) == []


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoScratch) as refused, open_engine(folder=tmp_path / "nowhere"):
        pass

    assert str(refused.value) == (
        f"temporary files cannot be written in {tmp_path / 'nowhere'}: No such file or directory; make room there, or "
        "name another folder in the environment variable TMPDIR, and run the command again"
    )
