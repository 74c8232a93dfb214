"""Hundreds of random files are imported: each value is in the log as it stands, or its row set aside with a reason."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from support.log_project import LogProject
from support.random_sources import csv_file, findings, json_file, written
from support.thinned import thinned

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("block", thinned(3, range(3)))
def test_every_value_of_random_json_files_is_in_the_log_or_set_aside(tmp_path: Path, block: int) -> None:
    random = Random(f"json {block}")

    assert findings(tmp_path, [json_file(random, at) for at in range(250)], "jsonl") == []


@pytest.mark.parametrize("block", thinned(3, range(3)))
def test_every_value_of_random_csv_files_is_in_the_log_or_set_aside(tmp_path: Path, block: int) -> None:
    random = Random(f"csv {block}")

    assert findings(tmp_path, [csv_file(random, at) for at in range(40)], "csv") == []


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_one_import_of_random_files_and_many_give_the_same_log(tmp_path: Path, suffix: str) -> None:
    random = Random(suffix)
    made = [(csv_file if suffix == "csv" else json_file)(random, at) for at in range(12)]
    logs = []
    for pieces in (1, 4):
        project = LogProject(tmp_path / str(pieces))
        written(project, made, suffix, pieces)
        logs.append((project.events(), [one.misfit.id for one in project.open().quarantine.list()]))

    assert len(logs[0][0]) > 5
    assert logs[0][0] == logs[1][0]
    assert logs[0][1] == logs[1][1]
