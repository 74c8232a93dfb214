"""What can be wrong with a project's files before any room has looked at its own part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError, UsageError
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
            next_steps=(
                NextStep("dualgauge init", "lay out a project here"),
                NextStep("dualgauge demo", "play a whole migration in a project of its own"),
            ),
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


class UnreadableFile(DualgaugeError):
    """A file of the project that is there and cannot be read."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file} cannot be read: {reason}; see that you may read it, and run the command again")


class NotATable(UsageError):
    """`dualgauge = ...` stands where the table should be."""

    def __init__(self, file: Path, given: object) -> None:
        self.file, self.given = file, given
        super().__init__(
            f"{file}: tool.dualgauge is {given!r}, and should be a table; begin it with a line [tool.dualgauge]"
        )


class BadSettings(UsageError):
    """One or more settings are wrong; all of them are told at once."""

    def __init__(self, file: Path, mistakes: Sequence[str]) -> None:
        self.file, self.mistakes = file, tuple(mistakes)
        lines = "; ".join(self.mistakes)
        super().__init__(f"{file}: {lines}. Mend the settings under [tool.dualgauge] and run the command again")


class NoVariable(UsageError):
    """A setting names an environment variable that is not set."""

    def __init__(self, key: str, name: str) -> None:
        self.key, self.name = key, name
        super().__init__(
            f"{key} names the environment variable {name}, which is not set; set it where the command runs, as in "
            f"`export {name}=...`, and run the command again"
        )


class BadContent(UsageError):
    """A Python content file cannot be loaded."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file} cannot be loaded: {reason}; mend the file and run the command again")


class CannotEdit(UsageError):
    """The settings file cannot be added to by a command."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(
            f"{file} {reason}; nothing was written: run the command without --write and put what it prints into the "
            "file by hand"
        )
