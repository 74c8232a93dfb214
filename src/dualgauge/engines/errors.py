"""What an engine may refuse, in words that do not depend on the engine."""

from __future__ import annotations

from dualgauge.errors import DualgaugeError


class EngineError(DualgaugeError):
    """The engine refused a statement. `reason` is its own first paragraph."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"DuckDB: {reason}")


class BadStatement(EngineError):
    """The SQL does not parse, or names what does not exist."""

    exit_code = 2


class BadValue(EngineError):
    """A value does not fit: a failed cast, a number out of range, a broken input file."""

    exit_code = 4


class CannotRead(BadValue):
    """A file or the disk failed: not there, damaged, full. It is no fault of the SQL or of a row."""

    exit_code = 1

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        advice = "see that the file is there and whole (restore it from a backup if not) and that the disk has room"
        self.args = (f"DuckDB: {reason}; {advice}, then run the command again",)


class OutOfMemory(EngineError):
    """The memory limit was reached and spilling did not help."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; give the engine more with --memory-limit, or stop what else uses memory")
        self.reason = reason
