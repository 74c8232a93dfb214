"""
Whether the log is what was written: every file's bytes, every commit, every position and every id.

The chain is followed over all commits; each file is hashed and read, in the order of positions. What is found is told
in that order, so the first problem is the earliest. Whatever is wrong, nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dualgauge.engines.errors import CannotRead
from dualgauge.eventlog.integrity.history import Fault, Problem, walk
from dualgauge.eventlog.integrity.verify_chain import compare, judge, unproven
from dualgauge.eventlog.integrity.verify_contents import Causes, Scan, causes
from dualgauge.eventlog.table.commits import replaced_since
from dualgauge.eventlog.table.delta import CONFIGURATION
from dualgauge.eventlog.table.storage import digest
from dualgauge.model import START, Position, Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.integrity.history import Walked
    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.values import LogCommit

_CLEAN_UP = "delta.enableExpiredLogCleanup"


@dataclass(frozen=True, slots=True)
class Verified:
    """
    What was looked at, and what is wrong with it, the earliest first.

    `first` is the position from which on files were hashed and read; commits and the chain are followed from 1.
    """

    first: Position
    last: Position
    commits: int
    files: int
    size: int
    chain: str
    problems: tuple[Problem, ...]
    causes: Causes = field(default_factory=Causes)

    @property
    def sound(self) -> bool:
        """Whether all is as it was written."""
        return not self.problems


def verify(
    engine: Engine,
    log: EventLog,
    kept: Sequence[LogCommit] | None,
    *,
    first: Position = Position(1),  # noqa: B008  (a number)
    later: Callable[[], Sequence[LogCommit]] = tuple,
    progress: Progress = silent,
) -> Verified:
    """
    Look at a log as it stood when it was opened.

    Args:
        engine: reads the files.
        log: the log, opened after `kept` was read.
        kept: the ledger's copy of the chain; None where there is no ledger.
        first: hash and read only the files that hold this position or later ones.
        later: the ledger's copy once more, as it is by then.
        progress: told the steps; of files, the bytes.

    Raises:
        NoLog: there is no log.
    """
    version, files = log.table.version(), log.event_files()
    history = walk(
        log.place, version, kept or (), end=max((one.last for one in files), default=START),
        step=lambda at: progress("following the commits", at, version + 1),
    )  # fmt: skip
    files, odd = _table(history, files)
    if log.table.metadata().configuration.get(_CLEAN_UP) != "false":
        what = (
            f"the table's settings let old commits be deleted ({_CLEAN_UP} must be {CONFIGURATION[_CLEAN_UP]}): "
            "the next writer may do it"
        )
        history.fault(Fault.CLEAN_UP, 0, 0, what)
    looked = [one for one in files if one.last >= first]
    found = _hashed(log, history, looked, progress)
    changed, broken = judge(history, looked, found, kept or (), odd)
    scan = Scan(engine, log, history, progress)
    sound = [one for one in looked if one.name in found and one.name not in changed | odd]
    proven = {name for name, held in history.files.items() if name in found and held.proves(found[name])}
    scan.positions(sound, proven)
    scan.ids([one for one in files if one.last < first and _there(log, one)], sound)
    _compactions(log, history, scan, first)
    if kept is not None:
        compare(history, kept, broken)
    if kept and (doubtful := unproven(history, kept, set(log.place.names()))):
        known = {one.place for one in later()}
        for held in doubtful:
            if held.place not in known:
                what = (
                    f"the ledger does not know the compaction of version {held.version}, and what it replaced is gone: "
                    "nobody can tell whether it holds the same events"
                )
                history.fault(Fault.LEDGER, held.first, held.last, what, held.name)
    problems = sorted(history.problems, key=lambda one: (one.first or history.last + 1, one.last))
    return Verified(
        first=first, last=history.last, commits=version + 1, files=len(looked), size=sum(one.size for one in looked),
        chain=history.chains[0] if history.chains else "", problems=tuple(problems),
        causes=Causes() if problems else causes(engine, log, first, history.last),
    )  # fmt: skip


def _table(history: Walked, files: Sequence[EventFile]) -> tuple[list[EventFile], set[str]]:
    """
    The table's files must be those that the commits tell of, at their positions.

    Gives them by what the chain says, and the names of those of which the table says something else.
    """
    odd: set[str] = set()
    active = {one.name: one for one in files}
    strange = [one for one in files if one.name not in history.files]
    for name, held in history.files.items():
        one = active.get(name)
        if one is None:
            # A compaction may have done it, of which the commit is gone.
            if history.lost and any(other.first <= held.first and held.last <= other.last for other in strange):
                continue
            history.fault(Fault.GAP, held.first, held.last, f"{name} was taken out of the table", name)
        elif (one.first, one.last) != (held.first, held.last):
            what = f"the table's statistics say that {name} holds positions {one.first:,} to {one.last:,}"
            history.fault(Fault.COMMIT_CHANGED, held.first, held.last, what, name)
            active[name] = replace(one, first=held.first, last=held.last)
            odd.add(name)
    for one in strange:
        if not history.lost:
            history.fault(
                Fault.FOREIGN_COMMIT, one.first, one.last, f"no commit of dualgauge put {one.name} in", one.name
            )
    return sorted(active.values()), odd


def _hashed(log: EventLog, history: Walked, files: Sequence[EventFile], progress: Progress) -> dict[str, str]:
    """The digests of files, by name; those that are not there are noted."""
    found: dict[str, str] = {}
    done, total = 0, sum(one.size for one in files)
    for one in files:
        progress("hashing the files", done, total)
        done += one.size
        try:
            found[one.name] = digest(log.place, one.name)
        except FileNotFoundError:
            if not replaced_since(log.place, log.table.version(), one.name):
                history.fault(Fault.FILE_MISSING, one.first, one.last, f"{one.name} is not there", one.name)
    return found


def _there(log: EventLog, file: EventFile) -> bool:
    try:
        with log.place.opened(file.name):
            return True
    except FileNotFoundError:
        return False


def _compactions(log: EventLog, history: Walked, scan: Scan, first: Position) -> None:
    """What compactions made must hold the events of what they replaced, as long as that is still there."""
    made = [held for held in history.links if held.digest is not None and held.last >= first]
    for number, held in enumerate(made):
        scan.progress("looking at compactions", number, len(made))
        try:
            old = [digest(log.place, one.name) == one.digest for one in held.replaces]
            if not all(old) or digest(log.place, held.name) != held.digest:
                continue
            same = scan.same([one.name for one in held.replaces], held.name)
        except (FileNotFoundError, CannotRead):
            continue
        if not same:
            what = f"{held.name} does not hold the events that the compaction of version {held.version} replaced"
            history.fault(Fault.FILE_CHANGED, held.first, held.last, what, held.name)
