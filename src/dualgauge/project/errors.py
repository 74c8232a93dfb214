"""What can be wrong with a project's files before any room has looked at its own part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import UsageError
from dualgauge.model import NextStep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class NoProject(UsageError):
    """No folder from here upward holds a pyproject.toml with `[tool.dualgauge]`."""

    def __init__(self, start: Path) -> None:
        self.start = start
        super().__init__(
            f"no dualgauge project in {start} or above it: no pyproject.toml there has a [tool.dualgauge] table; "
            "go to the project's folder, name it with --project DIR, or add the table",
            next_steps=(NextStep("dualgauge demo", "play a whole migration in a project of its own"),),
        )


class NoFolder(UsageError):
    """The place to look for a project is not there."""

    def __init__(self, start: Path) -> None:
        self.start = start
        super().__init__(f"there is no folder {start}; name the project's folder, or one below it")


class BrokenToml(UsageError):
    """The project file is no TOML."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file} is not valid TOML: {reason}; mend that line and run the command again")


class BadSettings(UsageError):
    """One or more settings are wrong; all of them are told at once."""

    def __init__(self, file: Path, mistakes: Sequence[str]) -> None:
        self.file, self.mistakes = file, tuple(mistakes)
        lines = "; ".join(self.mistakes)
        super().__init__(f"{file}: {lines}. Mend the settings under [tool.dualgauge] and run the command again")


class BadContent(UsageError):
    """A Python content file cannot be loaded."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file} cannot be loaded: {reason}; mend the file and run the command again")
