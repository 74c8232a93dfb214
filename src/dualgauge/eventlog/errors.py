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

    def __init__(self, source: str, reference: str, reason: str, root: Path) -> None:
        self.source, self.reference, self.reason, self.root = source, reference, reason, root
        super().__init__(
            f"source {source!r}: python = {reference!r} {reason}; it must name a data frame, an Arrow table or reader, "
            f"or a callable that gives one, as 'package.module:name', in a module that is installed or lies in {root}"
        )


class BadMapping(UsageError):
    """A source's expressions or query do not fit its columns. `setting` is the one at fault, where it can be told."""

    def __init__(self, source: str, reason: str, columns: Sequence[str] = (), setting: str = "") -> None:
        self.source, self.reason, self.columns, self.setting = source, reason, tuple(columns), setting
        have = f"; the source's columns are {listed(columns, 40)}" if columns else ""
        what = f"{setting}: " if setting else ""
        super().__init__(f"source {source!r}: {what}{reason}{have}; mend its [[tool.dualgauge.sources]] table")


class BadRow(DataError):
    """A row that does not fit; nothing of the import was appended. `row` names the file and the row in it."""

    def __init__(
        self,
        source: str,
        row: str,
        reason: str,
        advice: str = "mend the row, or leave it out with the source's `where`",
    ) -> None:
        self.source, self.row, self.reason = source, row, reason
        place = f", {row}" if row else ""
        super().__init__(f"source {source!r}{place}: {reason}; nothing was imported: {advice}")


class BadFile(BadRow):
    """A file that cannot be read as one of its format. `file` names it, with the line where that is known."""

    def __init__(self, source: str, file: str, reason: str, hint: str = "") -> None:
        self.file = file
        wrong_text = "unicode" in reason.lower() or "utf-8" in reason.lower()
        if wrong_text and not hint:
            hint = 'save it as UTF-8, or say what it is written in: read = {encoding = "latin-1"} or "utf-16"'
        super().__init__(source, file, reason, f"mend the file{f'; {hint}' if hint else ''}")


class EmptyFile(UsageError):
    """A file without a byte: it has no columns that the source's expressions could name."""

    def __init__(self, source: str, file: str) -> None:
        self.source, self.file = source, file
        super().__init__(
            f"source {source!r}: {file} is empty, so it has no columns; nothing was imported: "
            "fill the file, or take it out of the source's path"
        )


class ChangedEvent(DataError):
    """One event id with two contents. `nothing` says what was not done."""

    def __init__(
        self, event_id: str, first: str, second: str, columns: Sequence[str], nothing: str = "nothing was imported"
    ) -> None:
        self.event_id, self.first, self.second, self.columns = event_id, first, second, tuple(columns)
        super().__init__(
            f"event {event_id!r} is there twice with different content: {first} and {second} differ in "
            f"{listed(columns)}; {nothing}: an event never changes, so give the second one an id of its own"
        )


class BadEvent(DataError):
    """An event of an append that does not fit. `number` is its place in the call, from 1."""

    def __init__(self, number: int, event_id: str, reason: str) -> None:
        self.number, self.event_id, self.reason = number, event_id, reason
        named = f" ({event_id!r})" if event_id else ""
        super().__init__(
            f"event {number} of this call{named}: {reason}; nothing of this call was appended: mend the event, and "
            "append them all again"
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

    def __init__(self, path: Path | str) -> None:
        self.path = path
        super().__init__(
            f"there is no event log at {path} yet; import a source first",
            next_steps=(NextStep("dualgauge log import --all", "create the log from the project's sources"),),
        )


class BadLogPath(UsageError):
    """The log's path holds something that the Delta library takes for a part of an address."""

    def __init__(self, path: Path, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"the log cannot be kept in {path}: the Delta library misreads '{found}' in a path; nothing was written: "
            "rename the folder, or set [tool.dualgauge.log] path to one without #, ?, \\ and %XX"
        )


class NotALog(UsageError):
    """A folder that holds something else."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} is no event log of dualgauge: {reason}; set [tool.dualgauge.log] path to another folder"
        )


class ForeignCommit(DualgaugeError):
    """Something else has committed to the log, and nothing goes on behind that. `operation` is Delta's word for it."""

    def __init__(self, path: Path | str, version: int, operation: str, file: str) -> None:
        self.path, self.version, self.operation, self.file = path, version, operation, file
        super().__init__(
            f"the last commit of the log at {path}, version {version} ({operation or 'of an unknown kind'}), was not "
            "written by dualgauge, so nothing is read or appended behind it: see by `dualgauge log verify` what it "
            f"did; moving {file} out of the log's folder takes it back",
            next_steps=(NextStep("dualgauge log verify", "see what it did"),),
        )


class DamagedLog(DualgaugeError):
    """A file of the log that is gone, or is not what was written."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"the log at {path} is damaged: {reason}; restore the log's folder from a backup, or move it and the store "
            "away and import the sources again"
        )


class UnlikeCompaction(DualgaugeError):
    """A file that a compaction wrote does not hold what the old ones hold; it was not committed."""

    def __init__(self, path: Path | str, first: int, last: int) -> None:
        self.path, self.first, self.last = path, first, last
        super().__init__(
            f"positions {first:,} to {last:,} of the log at {path} were not compacted: what was written anew does not "
            "hold the same events; nothing was changed: run `dualgauge log verify`, and please report this"
        )


class LostRace(ConflictError):
    """Other writers were quicker, again and again. Parts of a large import may be in the log."""

    def __init__(self, path: Path | str, tries: int) -> None:
        self.path, self.tries = path, tries
        super().__init__(
            f"other processes appended to {path} first, {tries} times; "
            "what was appended is whole: run the command again for the rest"
        )


class LogAndLedgerDisagree(DualgaugeError):
    """The ledger remembers a commit that the log does not have as such."""

    def __init__(self, path: Path | str, position: int, reason: str) -> None:
        self.path, self.position, self.reason = path, position, reason
        super().__init__(
            f"the log at {path} and the ledger disagree at position {position:,}: {reason}; one of them was changed or "
            "replaced: restore it from a backup, or start a new ledger if the log was replaced on purpose"
        )


class NoSuchData(UsageError):
    """A file or glob that `log add` was given matches nothing."""

    def __init__(self, path: str, folder: Path, *, is_folder: bool = False) -> None:
        self.path, self.folder = path, folder
        found = "is a folder" if is_folder else "matches no file"
        glob = f'name a file in it, or a glob in quotes ("{path.rstrip("/")}/*.csv")'
        advice = glob if is_folder else "check the path"
        super().__init__(f"{path} {found} (looked for from {folder}); {advice}")


class NothingToRead(UsageError):
    """A file without a row: a source is proposed from values."""

    def __init__(self, file: str, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(
            f"{file}: {reason}, and a source is proposed from the values of its rows; name a file that has some, "
            "or write its [[tool.dualgauge.sources]] table by hand"
        )


class NoHeader(UsageError):
    """A CSV file whose first line is a row."""

    def __init__(self, file: str, line: str) -> None:
        self.file, self.line = file, line
        most = 60
        shown = line if len(line) <= most else f"{line[:most]}..."
        super().__init__(
            f"{file}: its first line ({shown}) does not name the columns; put a line with their names first, or write "
            "its [[tool.dualgauge.sources]] table by hand, with read = {header = false, names = [...]}"
        )


class Unreadable(DataError):
    """A file that is broken, in another encoding, or no file of its format."""

    def __init__(self, file: str, reason: str, *, encoding: str = "") -> None:
        self.file, self.reason = file, reason
        advice = (
            f"write it as UTF-8 (iconv -f {encoding.replace('latin-1', 'latin1')} -t utf-8 {file}), or write its "
            f'[[tool.dualgauge.sources]] table by hand, with read = {{encoding = "{encoding}"}}'
            if encoding
            else "mend the file and run the command again"
        )
        super().__init__(f"{file} cannot be read: {reason}; {advice}")


class NoTime(UsageError):
    """A file in which no column tells when its rows happened."""

    def __init__(self, file: str, columns: Sequence[str]) -> None:
        self.file, self.columns = file, tuple(columns)
        super().__init__(
            f"{file}: no column reads as a time for its rows (the columns are {listed(columns, 40)}), and an event has "
            "one; add such a column, or write its [[tool.dualgauge.sources]] table by hand, with occurred_at as an "
            "expression"
        )


class BadSourceName(UsageError):
    """A name that no source can have."""

    def __init__(self, name: str) -> None:
        self.name = name
        rule = "a letter, then letters, digits, - and _"
        super().__init__(f"{name!r} is no source's name: {rule}; give another with --name")


class AlreadyASource(ConflictError):
    """The project has a source of that name, or one that reads that file."""

    def __init__(self, name: str, path: str, *, same_path: bool) -> None:
        self.name, self.path = name, path
        steps: tuple[NextStep, ...] = ()
        if same_path:
            sentence = (
                f"source {name!r} reads {path} already; nothing was written: import it, or change or remove its "
                "[[tool.dualgauge.sources]] table first"
            )
            steps = (NextStep(f"dualgauge log import {name}", "take in its rows that are new"),)
        else:
            sentence = (
                f"there is a source {name!r} already, which does not read {path}; nothing was written: give this one "
                "a name of its own with --name"
            )
        super().__init__(sentence, next_steps=steps)


class DeclaredOtherwise(ConflictError):
    """A column of the file has the name of a declared one, and another type."""

    def __init__(self, column: str, declared: str, found: str, file: str) -> None:
        self.column, self.declared, self.found, self.file = column, declared, found, file
        super().__init__(
            f"column {column!r} is declared as {declared} in [tool.dualgauge.log.columns] and holds {found} in {file}; "
            f"nothing was written: rename the column in the file, or, while nothing is imported, declare {column!r} "
            f"as {found}"
        )
