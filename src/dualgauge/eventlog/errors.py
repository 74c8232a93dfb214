"""What the log refuses. Where a sentence does not say otherwise, nothing was appended."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, DualgaugeError, UsageError
from dualgauge.model import NextStep, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dualgauge.engines.errors import BadDialect


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
        advice: str = "",
    ) -> None:
        self.source, self.row, self.reason = source, row, reason
        aside = ", or set it aside with --on-bad-row quarantine" if row else ""
        advice = advice or f"mend the row, or leave it out with the source's `where`{aside}"
        place = f", {row}" if row else ""
        super().__init__(f"source {source!r}{place}: {reason}; nothing was imported: {advice}")


class BadFile(BadRow):
    """A file that cannot be read as one of its format. `file` names it, with the line where that is known."""

    def __init__(self, source: str, file: str, reason: str, hint: str = "") -> None:
        self.file = file
        wrong_text = "unicode" in reason.lower() or "utf-8" in reason.lower()
        if wrong_text and not hint:
            hint = 'save it as UTF-8, or say what it is written in: read = {encoding = "cp1252"} or "utf-16"'
        super().__init__(source, file, reason, f"mend the file{f'; {hint}' if hint else ''}")


class BadReading(UsageError):
    """What a source's `read` says of its files cannot be."""

    def __init__(self, source: str, fault: BadDialect) -> None:
        self.source, self.option = source, fault.option
        super().__init__(
            f"source {source!r}: read: {fault.option!r} {fault.reason}; {fault.advice}, in its "
            "[[tool.dualgauge.sources]] table"
        )


class CutColumn(DataError):
    """A column of a Parquet file that the engine would read as other values; nothing of the import was appended."""

    def __init__(self, source: str, file: str, column: str, what: str, advice: str) -> None:
        self.source, self.file, self.column, self.what = source, file, column, what
        super().__init__(
            f"source {source!r}, {file}: its column {column!r} holds {what}; nothing was imported: write it "
            f"{advice}, or as text, or give the file by a python source without that column"
        )


class UnlikeFiles(UsageError):
    """Files of one source in several formats, in each of which a value is written otherwise; nothing was appended."""

    def __init__(self, source: str, one: tuple[str, str], other: tuple[str, str]) -> None:
        self.source, self.files = source, (one[1], other[1])
        patterns = [f'path = "*{PurePath(file).suffix}"' for _, file in (one, other)]
        super().__init__(
            f"source {source!r} reads files of several formats: {one[1]} is {one[0]}, and {other[1]} is {other[0]}; "
            f"nothing was imported: write a source for each, such as {patterns[0]} and {patterns[1]} in their folder"
        )


class UnlikeColumn(DataError):
    """A column of a Parquet file that is not of the type that it has in expressions; nothing was appended."""

    def __init__(self, source: str, file: str, column: str, *, own: str, kind: str, advice: str) -> None:
        self.source, self.file, self.column, self.own, self.kind = source, file, column, own, kind
        super().__init__(
            f"source {source!r}, {file}: its column {column!r} is {own}, and {kind} in the rest of the source: what an "
            "expression makes of it would hang on the files that are read together; nothing was imported: write it as "
            f"{kind}, or say for all files what it is, {advice}"
        )


class EmptyFile(UsageError):
    """A file without a byte: it has no columns that the source's expressions could name."""

    def __init__(self, source: str, file: str) -> None:
        self.source, self.file = source, file
        super().__init__(
            f"source {source!r}: {file} is empty, so it has no columns; nothing was imported: "
            "fill the file, or take it out of the source's path"
        )


class ChangedFile(DataError):
    """A file that was taken in and is not what it was; nothing of the import was appended."""

    def __init__(self, source: str, file: str, reason: str, *, may_grow: bool) -> None:
        self.source, self.file, self.reason = source, file, reason
        end = ", or at the end of this one" if may_grow else ""
        super().__init__(
            f"source {source!r}: {file} was taken in, and {reason}; nothing was imported: put new rows into a new file"
            f"{end}; if the change is right, run `dualgauge log forget {source}` and import again: ids that are known "
            "are skipped, and an id with other content is refused"
        )


class UnsteadyFile(ConflictError):
    """A file that is written in other places than its end while it is read; nothing of the import was appended."""

    def __init__(self, source: str, file: str) -> None:
        self.source, self.file = source, file
        super().__init__(
            f"source {source!r}: {file} was changed while it was read; nothing was imported: run the command again "
            "when nothing writes it, or let it be written under another name and renamed when it is whole"
        )


class CircleOfCauses(DataError):
    """Events that cause each other; nothing of the import was appended."""

    def __init__(self, events: Sequence[str], *, more: bool = False) -> None:
        self.events = tuple(events)
        links = [f"{one!r}" for one in (*events, *([] if more else events[:1]))]
        super().__init__(
            f"causes go round in a circle: {' is caused by '.join(links)}{', and so on' if more else ''}; nothing was "
            "imported: no event can come after itself, so mend `caused_by` of one of them"
        )


class NothingTakenIn(UsageError):
    """A name that is no source's, and that the log has nothing from."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        have = f"the log knows of {listed(known)}" if known else "the log knows of no source yet"
        super().__init__(
            f"no source is called {name!r}{nearest(name, known)}; {have}; nothing was forgotten: see "
            "`dualgauge log show --head`"
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
    """An event of an append that does not fit. `place` says which one, `nothing` what was not done."""

    def __init__(self, place: str, event_id: object, reason: str, nothing: str) -> None:
        self.place, self.event_id, self.reason, self.nothing = place, event_id, reason, nothing
        named = f" ({event_id!r})" if event_id else ""
        super().__init__(f"{place}{named}: {reason}; {nothing}: mend it, and append them all again")


class AppenderClosed(UsageError):
    """An append behind the end of the `with` that opened the log for it."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        super().__init__(
            f"the log at {path} was closed for this appender; nothing was appended: append inside the `with` that "
            "opened it, or open another one"
        )


class AppenderForked(UsageError):
    """An append through an appender that another process opened: this one was forked from it."""

    def __init__(self, path: Path | str, process: int) -> None:
        self.path, self.process = path, process
        super().__init__(
            f"the appender of the log at {path} was opened in process {process}, and this is another one, forked from "
            "it; nothing was appended: give the process that appends an appender of its own, and start it by spawn "
            '(`multiprocessing.get_context("spawn")`) or by a command of its own'
        )


class LogForked(UsageError):
    """A log in a process that was forked from one that had used a log: the Delta library works in that one alone."""

    def __init__(self, path: Path | str, process: int) -> None:
        self.path, self.process = path, process
        super().__init__(
            f"the log at {path} cannot be used here: process {process} had used a log before this one was forked from "
            "it, and the Delta library does not work in a process that was forked meanwhile; nothing was read or "
            'appended: start processes by spawn (`multiprocessing.get_context("spawn")`) or by a command of their own, '
            "or fork before a log is first used"
        )


class ChangedType(UsageError):
    """A declared column whose type is not the one it has in the log."""

    def __init__(self, column: str, old: str, new: str) -> None:
        self.column, self.old, self.new = column, old, new
        super().__init__(
            f"column {column!r} is {old} in the log and {new} in [tool.dualgauge.log.columns]: a log does not change "
            f"its types; write {old} there again, or declare a new column with the new type and fill it from the source"
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


class LogUnreachable(DualgaugeError):
    """An object store that does not answer, or that refuses."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"the log at {path} cannot be reached: {reason}; see that the address and "
            "[tool.dualgauge.log] storage_options are right, and that the environment has the store's credentials"
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


class LogReplaced(ConflictError):
    """The log that a process has opened is there no more: it was moved, removed, put back or made anew."""

    def __init__(self, path: Path | str, *, gone: bool) -> None:
        self.path, self.gone = path, gone
        found = "is there no more" if gone else "is no longer the one that was opened: another one was put in its place"
        super().__init__(
            f"the event log at {path} {found}; nothing more was read or written",
            next_steps=(NextStep("dualgauge status", "see where the log and the views stand; then start again"),),
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
