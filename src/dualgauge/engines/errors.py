"""What an engine may refuse, in words that do not depend on the engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from dualgauge.errors import DataError, DualgaugeError, UsageError
from dualgauge.model import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_UNKNOWN: Final = re.compile(r'Referenced column "(?P<name>[^"]+)" not found')


class EngineError(DualgaugeError):
    """
    The engine refused a statement.

    `reason` is its own first paragraph, `line` the line of the statement that it points to, 0 where it points to none.
    `advice` is the next step of the kind.
    """

    advice: ClassVar[str] = "run the command again with --debug to see which statement it was"

    def __init__(self, reason: str, line: int = 0) -> None:
        self.reason, self.line = reason, line
        super().__init__(f"DuckDB: {reason}; {self.advice}")

    def unknown_column(self, known: Iterable[str]) -> str:
        """` (did you mean 'x'?)` where the statement names a column that is not there and `known` has one like it."""
        return nearest(self.unknown_name, known) if self.unknown_name else ""

    @property
    def unknown_name(self) -> str:
        """The column that the statement names and that is not there; empty where that is not what is wrong."""
        match = _UNKNOWN.search(self.reason)
        return match["name"] if match else ""


class BadStatement(EngineError):
    """The SQL does not parse, or names what does not exist."""

    exit_code = 2
    advice = "mend the SQL (of the source, view or comparator that was at work) and run the command again"


class BadValue(EngineError):
    """A value does not fit: a failed cast, a number out of range, a broken input file."""

    exit_code = 4
    advice = (
        "mend the value, or guard the expression (TRY_CAST gives NULL where a cast fails), and run the command again"
    )


class BadMemoryLimit(UsageError):
    """A memory limit that is no size."""

    def __init__(self, given: str) -> None:
        self.given = given
        super().__init__(f"--memory-limit {given!r} is no size of memory; give a size such as 500MB or 4GB")


class CannotRead(BadValue):
    """A file failed: not there, damaged. It is no fault of the SQL or of a row."""

    exit_code = 1
    advice = "see that the file is there and whole (restore it from a backup if not), then run the command again"


class CannotWrite(DualgaugeError):
    """The disk takes no more, or nothing. No EngineError: it says nothing of the SQL, of a row or of a file."""

    def __init__(self, reason: str, line: int = 0) -> None:
        self.reason, self.line = reason, line
        super().__init__(
            f"DuckDB: {reason}; see that you may write there and that the disk has room, then run the command again"
        )


class OutOfMemory(EngineError):
    """The memory limit was reached and spilling did not help."""

    advice = "give the engine more with --memory-limit, or stop what else uses memory"


class NoScratch(DualgaugeError):
    """No folder for temporary files can be made."""

    def __init__(self, folder: Path | str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"temporary files cannot be written in {folder}: {reason}; make room there, or name another folder in the "
            "environment variable TMPDIR, and run the command again"
        )


class BrokenFile(DataError):
    """A file that cannot be read as one of its kind. `line` is where, from 1; `hint` says what may help."""

    def __init__(self, file: Path, line: int, reason: str, hint: str = "") -> None:
        self.file, self.line, self.reason, self.hint = file, line, reason, hint
        super().__init__(f"{file} line {line:,}: {reason}; mend the file{f'; {hint}' if hint else ''}")


class NoColumnNames(BrokenFile):
    """A CSV file whose first line, `first`, holds values; empty where the file has no line."""

    def __init__(self, file: Path, line: int, reason: str, hint: str, first: str) -> None:
        self.first = first
        super().__init__(file, line, reason, hint)


class BadDialect(UsageError):
    """What is said of how a file is to be read, and cannot be."""

    def __init__(self, option: str, reason: str, advice: str) -> None:
        self.option, self.reason, self.advice = option, reason, advice
        super().__init__(f"read: {option!r} {reason}; {advice}")
