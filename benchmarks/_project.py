"""The project that a benchmark measures: the reference project's migrations folder, settings and view files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import dualgauge
from dualgauge.scaffold.demo import content

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def new_project(root: Path, settings: str, views: Mapping[str, str]) -> dualgauge.Migration:
    """Lay out a project in a folder, which is made where it is not there; `views` maps a file's path to its text."""
    shutil.copytree(
        content() / "migrations", root / "migrations", ignore=shutil.ignore_patterns("versions", "__pycache__")
    )
    (root / "migrations" / "versions").mkdir()
    (root / "pyproject.toml").write_text(settings, encoding="utf-8")
    for side in ("views_v1", "views_v2"):
        (root / side).mkdir()
    for name, text in views.items():
        (root / name).write_text(text, encoding="utf-8")
    return dualgauge.open(root)
