"""
Which folders below `reports` may go: those of old runs that nothing rests on, and of old reports.

No row of the ledger goes: what a run found, with its seal and the ways in which rows were wrong, stays there, so that
the report of a series tells of it still.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.runs.run_files import FileState, file_states
from dualgauge.ledger.journal import RowKind
from dualgauge.model import AsJson
from dualgauge.reporting.errors import NotPruned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dualgauge.cutover.gates.evidence_list import EvidenceLine
    from dualgauge.ledger.journal import JournalRow
    from dualgauge.reporting.stored_runs import StoredRuns

_REPORT: Final = re.compile(r"(\d{8}T\d{6})Z-report-[0-9a-f]{6}", re.ASCII)
_OF_REPORTS: Final = re.compile(r"(report\.(html|md|json)|series\.(html|md|json|xml))")


@dataclass(frozen=True, slots=True)
class OldFolder(AsJson):
    """An old folder: its path from the project's root, its size in bytes, and why it stays; empty where it goes."""

    folder: str
    size: int
    stays: str = ""


@dataclass(frozen=True, slots=True)
class Pruned(AsJson):
    """What became of the folders older than `before`; with `dry_run` nothing was removed."""

    before: datetime
    removed: tuple[OldFolder, ...]
    kept: tuple[OldFolder, ...]
    dry_run: bool

    @property
    def reasons(self) -> Mapping[str, int]:
        """Why folders stay, with their number."""
        return Counter(one.stays for one in self.kept)


def prune(
    stored: StoredRuns,
    rows: Iterable[JournalRow],
    reports: Path,
    root: Path,
    *,
    before: datetime,
    dry_run: bool = False,
) -> Pruned:
    """
    Remove the folders that are older than a time and that nothing needs.

    Args:
        stored: all kept runs, and what they are held against.
        rows: the journal, which has the moves and what they rest on.
        reports: the folder that they lie in.
        root: the project's.
        before: runs that finished and reports that were written before it are old.
        dry_run: look only.

    Raises:
        NotPruned: the journal was changed by hand, so that nobody can tell what a move rests on; nothing is removed. Or
            a file cannot be removed; what was removed before it stays so, and the next run goes on.
    """
    if stored.problem:
        raise NotPruned(f"the journal is not what was written: {stored.problem}")
    needed = {name: row.seq for row in rows if row.kind is RowKind.MOVE for name in row.entry.evidence}
    found = sorted(
        [*_of_runs(stored, needed, reports, root, before), *_of_reports(reports, root, before)],
        key=lambda one: one.folder,
    )
    gone = tuple(one for one in found if not one.stays)
    for one in gone if not dry_run else ():
        _remove(root / one.folder)
    return Pruned(before, gone, tuple(one for one in found if one.stays), dry_run)


def _of_runs(
    stored: StoredRuns, needed: Mapping[str, int], reports: Path, root: Path, before: datetime
) -> Iterator[OldFolder]:
    seen = set[tuple[str, str]]()
    for line in stored.lines:  # the newest first
        newest = (line.kind, line.name) not in seen and bool(line.row)
        if newest:
            seen.add((line.kind, line.name))
        folder = root / line.run.folder if line.run is not None and line.run.folder else None
        if folder is None or line.at >= before or not folder.is_dir():
            continue
        stays = "the newest run of its kind" if newest else _stays(line, needed, folder, reports)
        yield _old(folder, root, stays)


def _stays(line: EvidenceLine, needed: Mapping[str, int], folder: Path, reports: Path) -> str:  # noqa: PLR0911
    """Why the folder of an old run stays."""
    run = line.run
    if run is None or not line.row:
        return "nothing says what the run wrote: it was not sealed"
    if line.counts is None:
        return "nobody can tell whether a gate goes by it: the project's files cannot be read"
    if line.counts:
        return "a gate goes by it"
    if needed.keys() & {run.run_id, run.evidence_key}:
        return "a move rests on it"
    if folder.is_symlink() or folder.parent.resolve() != reports.resolve():
        return "it does not lie in the folder of reports"
    states = file_states(folder, run.summary)
    if FileState.CHANGED in states.values():
        return "a file is not what the run wrote"
    return "" if {one.name for one in folder.iterdir()} <= states.keys() else "it has a file that the run did not write"


def _of_reports(reports: Path, root: Path, before: datetime) -> Iterator[OldFolder]:
    for folder in reports.iterdir() if reports.is_dir() else ():
        named = _REPORT.fullmatch(folder.name)
        if named is None or folder.is_symlink() or not folder.is_dir():
            continue
        if datetime.strptime(named[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) < before:
            own = all(_OF_REPORTS.fullmatch(one.name) and one.is_file() for one in folder.iterdir())
            yield _old(folder, root, "" if own else "it has a file that no report writes")


def _old(folder: Path, root: Path, stays: str) -> OldFolder:
    size = sum(one.stat(follow_symlinks=False).st_size for one in folder.iterdir())
    shown = folder.relative_to(root) if folder.is_relative_to(root) else folder
    return OldFolder(shown.as_posix(), size, stays)


def _remove(folder: Path) -> None:
    """Remove a folder that has nothing but files. Killed half-way, it is one whose other files are gone."""
    try:
        for one in folder.iterdir():
            one.unlink()
        folder.rmdir()
    except OSError as fault:
        raise NotPruned(f"{fault.filename or folder} cannot be removed: {fault.strerror or fault}") from fault
