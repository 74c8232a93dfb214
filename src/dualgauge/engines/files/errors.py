"""What a file of text may be refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError

if TYPE_CHECKING:
    from pathlib import Path


class BadJson(DualgaugeError):
    """
    A JSON file is not a list of objects, or an object names a field twice.

    `line` is the line of the file, or None where it is not known.
    """

    def __init__(self, file: Path, line: int | None, reason: str, advice: str) -> None:
        self.file, self.line, self.reason, self.advice = file, line, reason, advice
        super().__init__(f"{file} cannot be read: {self.found}; {advice}")

    @property
    def found(self) -> str:
        """What was found, and where."""
        return self.reason if self.line is None else f"line {self.line}: {self.reason}"
