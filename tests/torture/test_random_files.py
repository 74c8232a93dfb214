"""Ten thousand random files are imported: each value is in the log as it stands, or its row set aside with a reason."""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest

from support.random_sources import csv_file, findings, json_file

FILES = int(os.environ.get("DUALGAUGE_FILES", "10000"))
MAKERS = {"jsonl": (json_file, 250), "csv": (csv_file, 50)}

pytestmark = pytest.mark.torture


def wrong(suffix: str, block: int) -> list[str]:
    make, files = MAKERS[suffix]
    random = Random(f"torture {suffix} {block}")
    with tempfile.TemporaryDirectory() as folder:
        return findings(Path(folder), [make(random, at) for at in range(files)], suffix)


@pytest.mark.parametrize(("suffix", "share"), [("jsonl", 0.75), ("csv", 0.25)])
def test_ten_thousand_random_files_are_in_the_log_or_set_aside(suffix: str, share: float) -> None:
    blocks = range(int(FILES * share) // MAKERS[suffix][1])
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        for block, found in enumerate(processes.map(wrong, [suffix] * len(blocks), blocks)):
            assert found == [], f"block {block}"
    print(f"{len(blocks) * MAKERS[suffix][1]:,} files of {suffix}, none wrong", file=sys.__stderr__)
