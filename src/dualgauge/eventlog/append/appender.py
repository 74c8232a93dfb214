"""
Appending from applications: each event once, in one order, and many small calls in few commits.

Calls of several threads that wait for each other go into one commit (group commit): whoever comes first commits for all
that wait by then. Each call is whole or refused by itself. A call that is repeated gets the positions that its events
have, so an application that does not know whether a call went through makes it again.

Only whoever commits touches the log and the index, one thread at a time; what others are told is a value of its own.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dualgauge.eventlog.append.event import Call, EventRow, row_of
from dualgauge.eventlog.append.id_index import IdIndex, Worn, hashes_of
from dualgauge.eventlog.columns import CAUSED_BY
from dualgauge.eventlog.errors import AppenderClosed, AppenderForked, BadEvent, ChangedEvent, DamagedLog, LostRace
from dualgauge.eventlog.table.event_log import Behind
from dualgauge.eventlog.table.lookup import events_at
from dualgauge.eventlog.table.retry import TRIES, attempts
from dualgauge.eventlog.table.staging import staged
from dualgauge.model import Position

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dualgauge.eventlog.append.event import Event
    from dualgauge.eventlog.table.commits import Head
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.model import Clock

_Kept = tuple[Position, EventRow, frozenset[str]]
"""An event as the log has it: where it stands, what it is, and which declared columns its file lacks."""

MOST_ROWS: Final = 100_000
"""Events of a group commit; a call of more goes alone."""

_ARROW: Final[dict[str, pa.DataType]] = {
    "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"), "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"), "BLOB": pa.binary(),
}  # fmt: skip


@dataclass(eq=False)
class _Waiting:
    """One call that waits for its commit."""

    call: Call
    rows: Sequence[EventRow]
    positions: list[Position] = field(default_factory=list)
    added: int = 0
    fault: BaseException | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Appended:
    """What a call did: the position of each of its events, and how many of them this call put in."""

    positions: list[Position]
    added: int


class Appender:
    """Appends to one log. Safe to share between threads; `open_appender` gives it."""

    def __init__(
        self, log: EventLog, file: Path, *, clock: Clock, sleep: Callable[[float], None], chance: random.Random
    ) -> None:
        self._log = log
        self._file = file
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._index = IdIndex(log)
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._closed = False
        self._pid = os.getpid()
        self._seen = log.head().last

    @property
    def head(self) -> Position:
        """The log's last position, as this appender last saw it."""
        return self._seen

    def append(self, events: Sequence[Event]) -> list[Position]:
        """Append events; gives the position of each. It is `take`, without the count."""
        return self.take(events).positions

    def take(self, events: Sequence[Event], call: Call = Call()) -> Appended:  # noqa: B008  (a frozen value)
        """
        Append events, in their order; gives the position of each, also of those that the log has already.

        It returns when the events are on disk. Nothing of a call that raises one of these was appended; where the disk,
        the store or the ledger failed, it may have been: repeat it, and what was appended keeps its positions.

        Args:
            events: what to append.
            call: how messages name the events.

        Raises:
            BadEvent: an event does not fit, or comes before its cause in the same call.
            ChangedEvent: an id is there with other content, in the log or in this call.
            LostRace: other writers were quicker, again and again.
            AppenderClosed: the `with` that opened it is over.
            AppenderForked: another process opened it.
            OSError: the disk does not take it.
        """
        if os.getpid() != self._pid:
            # Two processes would write one staged file, and the locks may be held by threads that are not here.
            raise AppenderForked(self._log.path, self._pid)
        declared = self._log.settings.columns
        mine = _Waiting(call, [row_of(event, declared, index, call) for index, event in enumerate(events)])
        _refuse_changed(mine)
        _refuse_early(mine)
        if not mine.rows:
            return Appended([], 0)
        try:
            with self._lock:
                self._waiting.append(mine)
            while not mine.done:
                with self._turn:
                    if not mine.done:
                        self._lead()
        finally:
            # Also where this thread is interrupted: nobody may append the call later. The others' calls stay.
            with self._lock:
                self._waiting = [one for one in self._waiting if one is not mine]
        if mine.fault is not None:
            raise mine.fault
        return Appended(mine.positions, mine.added)

    def close(self) -> None:
        """Let the commit that is under way end, and refuse whatever comes after it."""
        with self._turn:
            self._closed = True

    def _lead(self) -> None:
        """Append the calls that wait, or as many of the first as go into one commit."""
        group: list[_Waiting] = []
        with self._lock:
            rows = 0
            for one in (one for one in self._waiting if not one.done):
                rows += len(one.rows)
                if group and rows > MOST_ROWS:
                    break
                group.append(one)
        try:
            self._commit(group)
        except Exception as fault:  # noqa: BLE001  (whatever it is, it is what became of each call)
            for one in group:
                one.fault = one.fault or fault
        for one in group:
            one.done = True

    def _commit(self, group: Sequence[_Waiting]) -> None:
        """Append what is new of some calls in one commit, and give each its positions or its fault."""
        if self._closed:
            raise AppenderClosed(self._log.path)
        self._log.mirror()
        known: dict[str, _Kept] = {}
        for tries in attempts(self._sleep, self._chance):
            try:
                positions = self._tried(group, known)
            except DamagedLog:
                # What was read when this one last looked may be replaced by a compaction, and gone.
                if tries:
                    raise
                self._log.refresh()
                continue
            except Behind:
                continue
            for one in group:
                if one.fault is None:
                    one.positions = [positions[row.event_id] for row in one.rows]
            return
        raise LostRace(self._log.path, TRIES)

    def _tried(self, group: Sequence[_Waiting], known: dict[str, _Kept]) -> dict[str, Position]:
        """
        Append what is new of some calls, and give the position of every id.

        Raises:
            Behind: another writer committed first; nothing was appended.
        """
        # Where other writers are at work, what is looked at before the turn is old when it comes.
        base = self._log.head()
        fresh, positions = self._settled(group, base, known)
        if fresh:
            with self._log.turn():
                # Until now others had their turns. What they appended is all that is looked at now.
                if (now := self._log.look()) != base:
                    base = now
                    fresh, positions = self._settled(group, base, known)
                if fresh:
                    self._write(fresh, base)
            self._log.mirror()
            self._keep(fresh, base)
        self._seen = Position(base.last + len(fresh))
        return positions

    def _settled(
        self, group: Sequence[_Waiting], base: Head, known: dict[str, _Kept]
    ) -> tuple[list[EventRow], dict[str, Position]]:
        """
        The rows that the log lacks, in order, and where every id stands; a call that is refused gets its fault.

        `known` has what was found before, and gets what is found.
        """
        ids = list(dict.fromkeys(row.event_id for one in group for row in one.rows if row.event_id not in known))
        if ids:
            known |= self._known(self._index.find(ids))
        positions = {event_id: position for event_id, (position, _, _) in known.items()}
        head = base.last
        fresh: dict[str, EventRow] = {}
        for one in group:
            before = len(fresh)
            one.fault = self._fault(one, known, fresh)
            if one.fault is None:
                for row in one.rows:
                    if row.event_id not in known and row.event_id not in fresh:
                        fresh[row.event_id] = row
                        positions[row.event_id] = Position(head + len(fresh))
                one.added = len(fresh) - before
        return list(fresh.values()), positions

    def _fault(
        self,
        one: _Waiting,
        known: Mapping[str, _Kept],
        fresh: Mapping[str, EventRow],
    ) -> ChangedEvent | None:
        for index, row in enumerate(one.rows):
            if row.event_id in known:
                position, kept, absent = known[row.event_id]
                first, differing = f"position {position:,} of the log", row.differs(kept, absent)
            elif row.event_id in fresh:
                first, differing = "a call that came first", row.differs(fresh[row.event_id])
            else:
                continue
            if differing:
                return ChangedEvent(row.event_id, first, one.call.place(index), differing, one.call.nothing)
        return None

    def _known(self, places: Mapping[str, Sequence[Position]]) -> dict[str, _Kept]:
        """The events that stand at some positions and have the ids that are looked for, as the log has them."""
        wanted = sorted({position for found in places.values() for position in found})
        if not wanted:
            return {}
        declared = self._log.settings.columns
        found = {}
        for row in events_at(self._log, wanted):
            if row["event_id"] not in places:
                continue  # another id of the same hash
            columns = {name: row[name] for name in declared if name in row}
            kept = EventRow(row["event_id"], row["type"], row["occurred_at"], row["payload"], columns)
            found[row["event_id"]] = (Position(row["position"]), kept, frozenset(declared.keys() - columns.keys()))
        return found

    def _write(self, rows: Sequence[EventRow], base: Head) -> None:
        head, columns, count = base.last, self._log.settings.columns, len(rows)
        arrays = {
            "position": pa.array(np.arange(head + 1, head + 1 + count, dtype=np.int64)),
            "event_id": pa.array([row.event_id for row in rows], pa.string()),
            "type": pa.array([row.type for row in rows], pa.string()),
            "occurred_at": pa.array([row.occurred_at for row in rows], _ARROW["TIMESTAMPTZ"]),
            "recorded_at": pa.array([self._clock()] * count, _ARROW["TIMESTAMPTZ"]),
            "payload": pa.array([row.payload for row in rows], pa.string()),
            **{
                name: pa.array([row.columns[name] for row in rows], arrow_type(kind)) for name, kind in columns.items()
            },
        }  # fmt: skip
        try:
            pq.write_table(pa.table(arrays), self._file, compression="zstd")
            self._log.commit(self._file, base, count, {})
        finally:
            self._file.unlink(missing_ok=True)

    def _keep(self, rows: Sequence[EventRow], base: Head) -> None:
        """Have the index know what was appended behind `base`."""
        if rows:
            try:
                if self._log.head().last == base.last + len(rows):
                    self._index.add(base.last, hashes_of([row.event_id for row in rows]))
            except (OSError, Worn):
                # The events are in the log; the index is made again from it.
                self._index = IdIndex(self._log)


def arrow_type(kind: str) -> pa.DataType:
    """The Arrow type of a declared column."""
    if kind.startswith("DECIMAL"):
        precision, scale = (int(part) for part in kind[len("DECIMAL(") : -1].split(","))
        return pa.decimal128(precision, scale)
    return _ARROW[kind]


@contextmanager
def open_appender(
    log: EventLog, *, clock: Clock, sleep: Callable[[float], None], chance: random.Random
) -> Iterator[Appender]:
    """
    Open a log to append to it; it is created where there is none.

    Raises:
        ChangedType: a declared column has another type in the log.
        LogAndLedgerDisagree: the ledger holds a commit that the log does not.
    """
    log.create(sleep=sleep, chance=chance)
    log.reconcile()
    with ExitStack() as stack:
        (file,) = stack.enter_context(staged(log, clock(), "append.parquet"))
        appender = Appender(log, file, clock=clock, sleep=sleep, chance=chance)
        stack.callback(appender.close)
        yield appender


def _refuse_changed(one: _Waiting) -> None:
    """Raise where an id has two contents in one call."""
    seen: dict[str, int] = {}
    for index, row in enumerate(one.rows):
        first = seen.setdefault(row.event_id, index)
        if first != index and (differing := row.differs(one.rows[first])):
            raise ChangedEvent(row.event_id, one.call.place(first), one.call.place(index), differing, one.call.nothing)


def _refuse_early(one: _Waiting) -> None:
    """Raise where an event comes before its cause in one call."""
    if not any(row.columns.get(CAUSED_BY) for row in one.rows):
        return
    first: dict[str, int] = {}
    for index, row in enumerate(one.rows):
        first.setdefault(row.event_id, index)
    for index, row in enumerate(one.rows):
        cause = row.columns.get(CAUSED_BY)
        if cause is not None and index == first[row.event_id] <= first.get(cause, -1):
            late = f"its cause {cause!r} comes behind it ({one.call.place(first[cause])})"
            reason = "it is its own cause" if cause == row.event_id else late
            raise BadEvent(one.call.place(index), row.event_id, reason, one.call.nothing)
