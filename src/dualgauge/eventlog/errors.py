"""What the log refuses. Where a sentence does not say otherwise, nothing was appended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, DualgaugeError, UsageError
from dualgauge.model import NextStep, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class NoSuchSource(UsageError):
    """A name or file that no source of the project covers."""

    def __init__(self, name: str, known: Sequence[str], file: Path) -> None:
        self.name, self.known = name, tuple(known)
        wanted = f"no source is called {name!r} or reads a file of that name{nearest(name, known)}; " if name else ""
        have = f"the sources are {listed(known)}" if known else "the project has no sources yet"
        super().__init__(f"{wanted}{have}; add a [[tool.dualgauge.sources]] table to {file}")


class WhichSource(UsageError):
    """Several sources, and the call names none."""

    def __init__(self, known: Sequence[str]) -> None:
        self.known = tuple(known)
        super().__init__(
            f"the project has several sources ({listed(known)}); name one, or take all of them as one history",
            next_steps=(NextStep("dualgauge log import --all", "merge the rows of all sources by time"),),
        )


class NoSuchFile(UsageError):
    """A source's path matches nothing."""

    def __init__(self, source: str, path: str) -> None:
        self.source, self.path = source, path
        super().__init__(f"source {source!r}: no file matches {path}; check the path (it is relative to the project)")


class UnknownFormat(UsageError):
    """A file whose ending says nothing of its format."""

    def __init__(self, source: str, path: Path) -> None:
        self.source, self.path = source, path
        super().__init__(
            f"source {source!r}: cannot tell the format of {path} from its name; "
            "it must end in .csv, .tsv, .jsonl, .ndjson, .json or .parquet (text files also with .gz)"
        )


class BadPython(UsageError):
    """A `python = "package.module:name"` source that gives no table."""

    def __init__(self, source: str, reference: str, reason: str) -> None:
        self.source, self.reference, self.reason = source, reference, reason
        super().__init__(
            f"source {source!r}: python = {reference!r} {reason}; it must name a data frame, an Arrow table or "
            "reader, or a callable that gives one, as 'package.module:name'"
        )


class BadMapping(UsageError):
    """A source's expressions or query do not fit its columns."""

    def __init__(self, source: str, reason: str, columns: Sequence[str] = ()) -> None:
        self.source, self.reason, self.columns = source, reason, tuple(columns)
        have = f"; the source's columns are {listed(columns, 40)}" if columns else ""
        super().__init__(f"source {source!r}: {reason}{have}; mend its [[tool.dualgauge.sources]] table")


class BadRow(DataError):
    """A row that does not fit; nothing of the import was appended."""

    def __init__(self, source: str, row: str, reason: str) -> None:
        self.source, self.row, self.reason = source, row, reason
        place = f", {row}" if row else ""
        super().__init__(
            f"source {source!r}{place}: {reason}; "
            "nothing was imported: mend the row, or leave it out with the source's `where`"
        )


class ChangedEvent(DataError):
    """One event id with two contents."""

    def __init__(self, event_id: str, first: str, second: str, columns: Sequence[str]) -> None:
        self.event_id, self.first, self.second, self.columns = event_id, first, second, tuple(columns)
        super().__init__(
            f"event {event_id!r} is there twice with different content: {first} and {second} differ in "
            f"{listed(columns)}; nothing was imported: an event never changes, so give the second one an id of its own"
        )


class ChangedType(UsageError):
    """A declared column whose type is not the one it has in the log."""

    def __init__(self, column: str, old: str, new: str) -> None:
        self.column, self.old, self.new = column, old, new
        super().__init__(
            f"column {column!r} is {old} in the log and {new} in [tool.dualgauge.log.columns]: a log does not change "
            "its types; declare a new column with the new type and fill it from the source"
        )


class NoLog(UsageError):
    """There is no log yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"there is no event log at {path} yet; import a source first",
            next_steps=(NextStep("dualgauge log import --all", "create the log from the project's sources"),),
        )


class NotALog(UsageError):
    """A folder that holds something else."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} is no event log of dualgauge: {reason}; set [tool.dualgauge.log] path to another folder"
        )


class LostRace(ConflictError):
    """Other writers were quicker, again and again. Parts of a large import may be in the log."""

    def __init__(self, path: Path, tries: int) -> None:
        self.path, self.tries = path, tries
        super().__init__(
            f"other processes appended to {path} first, {tries} times; "
            "what was appended is whole: run the command again for the rest"
        )


class LogAndLedgerDisagree(DualgaugeError):
    """The ledger remembers a commit that the log does not have as such."""

    def __init__(self, path: Path, position: int, reason: str) -> None:
        self.path, self.position, self.reason = path, position, reason
        super().__init__(
            f"the log at {path} and the ledger disagree at position {position:,}: {reason}; one of them was changed or "
            "replaced: restore it from a backup, or start a new ledger if the log was replaced on purpose"
        )
