"""
Whether the log is what was written: every file's bytes, every commit, every position and every id.

The chain is followed over all commits; each file is hashed and read once, in the order of positions. What is found is
told in that order, so the first problem is the earliest. Whatever is wrong, nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from dualgauge.engines.duck import parquet
from dualgauge.engines.errors import EngineError
from dualgauge.eventlog.delta import CONFIGURATION
from dualgauge.eventlog.event import CAUSED_BY
from dualgauge.eventlog.place import digest
from dualgauge.eventlog.walk import Fault, Problem, walk
from dualgauge.model import Position, Progress, literal, plural, quote, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table import EventFile, EventLog
    from dualgauge.eventlog.walk import Walked
    from dualgauge.ledger.values import LogCommit

_AT_ONCE: Final = 1 << 25
"""Ids of which the hashes are held at once; a longer log is read several times."""

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Causes:
    """
    Events with a cause, counted: how many come before it, and how many whose cause never came.

    `early` and `absent` name the first ones as (position, event id, cause). None of it is damage: an event never moves.
    """

    counted: int = 0
    early_count: int = 0
    absent_count: int = 0
    early: tuple[tuple[Position, str, str], ...] = ()
    absent: tuple[tuple[Position, str, str], ...] = ()


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
    progress: Progress = silent,
) -> Verified:
    """
    Look at a log as it stood when it was opened.

    Args:
        engine: reads the files.
        log: the log, without a ledger of its own.
        kept: the ledger's copy of the chain; None where there is no ledger.
        first: hash and read only the files that hold this position or later ones.
        progress: told the steps; of files, the bytes.

    Raises:
        NoLog: there is no log.
        DamagedLog: the newest commit is gone, so nobody can say where the log stands.
    """
    table, head, version = log.table, log.head(), log.version
    history = walk(log.place, version, kept or (), lambda at: progress("following the commits", at, version))
    files = log.event_files()
    _files_of_history(history, files)
    if kept is not None:
        _ledger(history, kept, head.last)
    if table.metadata().configuration.get("delta.enableExpiredLogCleanup") != "false":
        wanted = ", ".join(f"{name} = {value}" for name, value in CONFIGURATION.items())
        history.fault(
            Fault.CLEAN_UP, 0, 0, f"the table's settings let commits be deleted when they are old (needed: {wanted})"
        )
    looked = [one for one in files if one.last >= first]
    readable = _hashed(log, history, looked, kept or (), progress)
    sound = [one for one in looked if one.name in readable]
    earlier = [one for one in files if one.last < first]
    _scanned(engine, log, history, sound, earlier=earlier, progress=progress)
    problems = sorted(history.problems, key=lambda one: (one.first or head.last + 1, one.last))
    causes = _causes(engine, log, first) if not problems and CAUSED_BY in _columns(log) else Causes()
    return Verified(
        first=first, last=head.last, commits=version + 1, files=len(looked), size=sum(one.size for one in looked),
        chain=head.chain, problems=tuple(problems), causes=causes,
    )  # fmt: skip


def _columns(log: EventLog) -> set[str]:
    return {one.name for one in log.table.schema().fields}


def _files_of_history(history: Walked, files: Sequence[EventFile]) -> None:
    """The table's files must be those that the commits tell of."""
    active = {one.name: one for one in files}
    removed = any(one.fault is Fault.COMMIT_REMOVED for one in history.problems)
    for name, held in history.files.items():
        if name not in active:
            history.fault(Fault.GAP, held.first, held.last, f"{name} was taken out of the table", name)
    for name, one in active.items():
        if name not in history.files and not removed:
            history.fault(Fault.CHAIN_BROKEN, one.first, one.last, f"no commit of dualgauge put {name} in", name)


def _ledger(history: Walked, kept: Sequence[LogCommit], last: Position) -> None:
    """The ledger's links must be the log's; those that it lacks are added by the next import."""
    for one in kept:
        at, step = one.place
        if at > last:
            history.fault(
                Fault.LEDGER,
                last + 1,
                at,
                f"the ledger has a commit up to position {at:,}, and the log ends at {last:,}",
            )
            return
        said = history.chains.get((at, step))
        if said is None and any(gap.fault is Fault.COMMIT_REMOVED for gap in history.problems):
            continue
        if said != one.chain:
            history.fault(
                Fault.LEDGER, one.first, one.last,
                "the ledger's chain is another one" if said else "the log has no such commit",
            )  # fmt: skip
            return


def _hashed(
    log: EventLog, history: Walked, files: Sequence[EventFile], kept: Sequence[LogCommit], progress: Progress
) -> set[str]:
    """Hash every file; gives the names of those that are what was committed, or that nobody can tell of."""
    known = {one.place[0]: one.digest for one in kept if not one.step}
    done, total = 0, sum(one.size for one in files)
    good = set()
    for one in files:
        progress("hashing the files", done, total)
        done += one.size
        try:
            found = digest(log.place, one.name)
        except FileNotFoundError:
            history.fault(Fault.FILE_MISSING, one.first, one.last, f"{one.name} is not there", one.name)
            continue
        held = history.files.get(one.name)
        proven = None if held is None else held.proves(found)
        if proven is None and one.last in known:
            proven = known[one.last] == found
        if proven is not False:
            good.add(one.name)
            continue
        # The ledger's digest tells a changed file from a changed commit.
        honest = held is not None and one.last in known and held.proves(known[one.last])
        if known.get(one.last) == found and not honest:
            what = f"the commit of version {held.version if held else 0} does not continue the chain"
            history.fault(Fault.CHAIN_BROKEN, one.first, one.last, what, one.name)
            good.add(one.name)
        else:
            history.fault(Fault.FILE_CHANGED, one.first, one.last, f"{one.name} is not what was written", one.name)
    return good


def _scanned(
    engine: Engine,
    log: EventLog,
    history: Walked,
    files: Sequence[EventFile],
    *,
    earlier: Sequence[EventFile],
    progress: Progress,
) -> None:
    """Every position of `files` must stand in its place, and no id twice, in `earlier` ones neither."""
    rows = sum(one.last - one.first + 1 for one in (*earlier, *files))
    parts = max(1, -(-rows // _AT_ONCE))
    twice: list[int] = []
    for part in range(parts):
        hashes, done = [], 0
        for one in (*earlier, *files):
            progress("looking at positions and ids", part * rows + done, parts * rows)
            done += one.last - one.first + 1
            try:
                found = _read(engine, log, one, part, parts)
                if one.first > (earlier[-1].last if earlier else 0):
                    _dense(engine, log, history, one, found)
            except EngineError as fault:
                history.fault(Fault.FILE_CHANGED, one.first, one.last, f"{one.name}: {fault.reason}", one.name)
                continue
            hashes.append(found["hash"].to_numpy())
        everything = np.sort(np.concatenate(hashes)) if hashes else np.array([], dtype=np.uint64)
        twice += [int(one) for one in np.unique(everything[1:][everything[1:] == everything[:-1]])]
    if twice:
        _repeated(engine, log, history, [*earlier, *files], twice)


def _read(engine: Engine, log: EventLog, file: EventFile, part: int, parts: int) -> pa.Table:
    """Of the ids whose hash falls into a part: that hash, and how far the position is from the row's number."""
    body = f"read_parquet({literal(str(log.place.local(file.name, file.size)))}, file_row_number = true)"
    chosen = f" WHERE hash(event_id) % {parts:d} = {part:d}" if parts > 1 else ""
    return engine.arrow(f"SELECT position - file_row_number AS shift, hash(event_id) AS hash FROM {body}{chosen}")


def _dense(engine: Engine, log: EventLog, history: Walked, file: EventFile, found: pa.Table) -> None:
    """Note a file in which an event is not at its place."""
    shift = found["shift"].to_numpy()
    if bool(np.all(shift == file.first)):
        return
    count, least, most = engine.row(
        f"SELECT count(*), min(position), max(position) FROM ({parquet([log.place.local(file.name, file.size)])})"
    )
    astray = int(np.count_nonzero(shift != file.first))
    what = f"{file.name} holds {plural(count, 'event')} at positions {least} to {most}, {astray:,} not in their place"
    history.fault(Fault.GAP, file.first, file.last, what, file.name)


def _repeated(
    engine: Engine, log: EventLog, history: Walked, files: Sequence[EventFile], hashes: Sequence[int]
) -> None:
    """Look closer at ids of one hash: some are the same, some only look so."""
    engine.register("suspects", pa.table({"hash": pa.array(hashes, pa.uint64())}))
    body = parquet([log.place.local(one.name, one.size) for one in files], ("event_id", "position"))
    rows = engine.rows(
        f"SELECT event_id, min(position), max(position), count(*) FROM ({body}) "
        "WHERE hash(event_id) IN (SELECT hash FROM suspects) GROUP BY event_id HAVING count(*) > 1 "
        f"ORDER BY min(position) LIMIT {_SHOWN}"
    )
    engine.unregister("suspects")
    for event_id, first, last, count in rows:
        history.fault(Fault.REPEATED_ID, first, last, f"event {event_id!r} is there {count:,} times")


def _causes(engine: Engine, log: EventLog, first: Position) -> Causes:
    """Which events come before their cause, or have one that never came."""
    files = [log.place.local(one.name, one.size) for one in log.event_files()]
    body = parquet(files)
    cause = quote(CAUSED_BY)
    joined = (
        f"SELECT e.position, e.event_id, e.{cause} AS cause, c.position AS at FROM ({body}) e "
        f"LEFT JOIN (SELECT event_id, position FROM ({body})) c ON c.event_id = e.{cause} "
        f"WHERE e.{cause} IS NOT NULL AND e.position >= {first:d}"
    )
    counted, early, absent = engine.row(
        f"SELECT count(*), count(*) FILTER (at >= position), count(*) FILTER (at IS NULL) FROM ({joined})"
    )
    named = [
        tuple(
            (Position(position), event_id, of)
            for position, event_id, of in engine.rows(
                f"SELECT position, event_id, cause FROM ({joined}) WHERE {where} ORDER BY position LIMIT {_SHOWN}"
            )
        )
        if count
        else ()
        for where, count in (("at >= position", early), ("at IS NULL", absent))
    ]
    return Causes(counted, early, absent, *named)


def removed_commit(names: Sequence[str]) -> int | None:
    """The first version that is missing between others, by the names in the folder of commits."""
    versions = sorted(int(name[: -len(".json")]) for name in names if name.endswith(".json") and name[:20].isdigit())
    present = set(versions)
    return next((one for one in range(versions[0], versions[-1]) if one not in present), None) if versions else None
