"""A store with shapes in it, of the `store` that a file of tests has."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from contract.store import ROOT, TOTALS

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.stores.sqlite.store import SqliteStore


@pytest.fixture
def shaped(store: SqliteStore, tmp_path: Path) -> SqliteStore:
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("versions"))
    store.revise(tmp_path / "migrations", [TOTALS], "shapes")
    store.upgrade(tmp_path / "migrations", [TOTALS])
    return store
