"""Logs that several files of tests look at, or copy before they harm them, and a project that they import into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.log_project import LogProject
from support.tamper import Log, copied, five_files, two_merged

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return five_files(tmp_path_factory.mktemp("five"))


@pytest.fixture(scope="session")
def merged(five: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_merged(five, tmp_path_factory.mktemp("merged"))


@pytest.fixture
def log(five: Path, tmp_path: Path) -> Log:
    return copied(five, tmp_path)


@pytest.fixture
def compacted(merged: Path, tmp_path: Path) -> Log:
    return copied(merged, tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    """A project whose source reads all files of a folder."""
    found = LogProject(tmp_path)
    found.source("s", path="d/*")
    (tmp_path / "d").mkdir()
    return found
