"""
A project: a folder whose pyproject.toml has `[tool.dualgauge]`, found like git finds its own.

This room knows the file and the folders. What the settings mean belongs to the rooms, which validate their
own part (`settings.validate`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dualgauge.errors import keep_secret
from dualgauge.model import Side
from dualgauge.project.errors import BrokenToml, NoFolder, NoProject, NotATable, UnreadableFile

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.project.settings import Paths

FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """Root folder, settings file, and the raw `[tool.dualgauge]` table, which may hold passwords and is not shown."""

    root: Path
    file: Path
    raw: dict[str, Any] = field(repr=False)

    def path(self, relative: str) -> Path:
        """A path of the settings as an absolute one: relative ones start at the project's root."""
        return self.root / relative

    def views(self, side: Side, paths: Paths) -> Path:
        """The folder of a side's view files."""
        return self.path(paths.views_v1 if side is Side.V1 else paths.views_v2)


def find(start: Path) -> Project:
    """
    Find the nearest project at `start` or above it.

    Raises:
        NoFolder: `start` is not there; looking above it could find a project that was not meant.
        NoProject: no pyproject.toml upward has `[tool.dualgauge]`.
        BrokenToml: the nearest pyproject.toml is no TOML, so nobody can tell.
    """
    start = start.resolve()
    if not start.exists():
        raise NoFolder(start)
    for folder in (start, *start.parents):
        file = folder / FILE
        if file.is_file():
            raw = _table(file)
            if raw is not None:
                _keep_secrets(raw)
                return Project(root=folder, file=file, raw=raw)
    raise NoProject(start)


def _table(file: Path) -> dict[str, Any] | None:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as fault:
        raise BrokenToml(file, str(fault)) from fault
    except RecursionError as fault:
        raise BrokenToml(file, "it is nested too deeply") from fault
    except UnicodeDecodeError as fault:
        raise BrokenToml(file, f"it is not UTF-8 text ({fault.reason} at byte {fault.start})") from fault
    except OSError as fault:
        raise UnreadableFile(file, fault.strerror or str(fault)) from fault
    tool = document.get("tool")
    table = tool.get("dualgauge") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise NotATable(file, table)
    return table


def _keep_secrets(value: object) -> None:
    """Have every password of the settings hidden from now on, also where another library's message repeats it."""
    if isinstance(value, str):
        keep_secret(value)
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _keep_secrets(one)
