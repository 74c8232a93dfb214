"""What the log's files hold: every position in its place, no id twice, and causes that come before what they cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from dualgauge.engines.errors import EngineError, OutOfMemory
from dualgauge.engines.parquet_files import parquet, scan
from dualgauge.eventlog.columns import CAUSED_BY
from dualgauge.eventlog.integrity.history import Fault
from dualgauge.eventlog.table.commits import replaced_since
from dualgauge.eventlog.table.delta import active_files
from dualgauge.eventlog.table.duplicates import part_of, parts_of, suspects
from dualgauge.eventlog.table.event_files import statistics
from dualgauge.model import Position, Progress, plural, quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.integrity.history import Walked
    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.eventlog.table.event_log import EventLog

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
class Scan:
    """Reads files of a log, and notes in its history what is wrong with what they hold."""

    engine: Engine
    log: EventLog
    history: Walked
    progress: Progress

    def positions(self, files: Sequence[EventFile], proven: set[str]) -> None:
        """Every position must stand in its row, and what the table says of a file, where its bytes are proven."""
        told = self._told()
        total = sum(_rows(one) for one in files)
        done = 0
        for one in files:
            self.progress("looking at positions", done, total)
            done += _rows(one)
            path = self.log.place.local(one.name, one.size)
            try:
                rows, astray = _dense(self.engine, path, one.first)
            except OutOfMemory:
                raise
            except EngineError as fault:
                self._unreadable(one, fault.reason)
                continue
            if astray or rows != _rows(one):
                what = f"{one.name} holds {plural(rows, 'event')}, {astray:,} of them not in their place"
                self.history.fault(Fault.GAP, one.first, one.last, what, one.name)
            # Seen: pyarrow ends the process at some damaged footers.
            elif one.name in proven and (wrong := _wrong_statistics(path, rows, told[one.name])):
                what = f"the table's statistics of {one.name} are not the file's ({', '.join(wrong)})"
                self.history.fault(Fault.COMMIT_CHANGED, one.first, one.last, what, one.name)

    def ids(self, earlier: Sequence[EventFile], files: Sequence[EventFile]) -> None:
        """No id may be in `files` that is there a second time, or in `earlier` ones."""
        read = [*earlier, *files]
        rows = sum(_rows(one) for one in read)
        parts = parts_of(rows)
        bad: set[str] = set()
        twice: list[np.ndarray[Any, Any]] = []
        for part in range(parts):
            hashes, done = [], part * rows
            for one in read:
                self.progress("looking at ids", done, parts * rows)
                done += _rows(one)
                if one.name not in bad:
                    try:
                        hashes.append(self._hashes(one, part, parts))
                    except OutOfMemory:
                        raise
                    except EngineError as fault:
                        bad.add(one.name)
                        self._unreadable(one, fault.reason)
            twice.append(suspects(hashes))
        found = np.concatenate(twice)
        if len(found):
            self._repeated([one for one in read if one.name not in bad], found)

    def same(self, old: Sequence[str], new: str) -> bool:
        """Whether files hold the same events as another one."""
        return same_events(self.engine, [self.log.place.local(one, 0) for one in old], self.log.place.local(new, 0))

    def _hashes(self, file: EventFile, part: int, parts: int) -> np.ndarray[Any, Any]:
        """The hashes of a file's ids that fall into a part."""
        body = parquet([self.log.place.local(file.name, file.size)], {"event_id": "VARCHAR"})
        return self.engine.numbers(f"SELECT hash(event_id) FROM ({body}) WHERE {part_of(part, parts)}")

    def _repeated(self, files: Sequence[EventFile], hashes: np.ndarray[Any, Any]) -> None:
        """Look closer at ids of one hash: some are the same, some only look so."""
        self.engine.register("suspects", pa.table({"hash": pa.array(hashes, pa.uint64())}))
        body = parquet(
            [self.log.place.local(one.name, one.size) for one in files], {"event_id": "VARCHAR", "position": "BIGINT"}
        )
        again = (
            "SELECT event_id, position, min(position) OVER (PARTITION BY event_id) AS first FROM "
            f"({body}) WHERE hash(event_id) IN (SELECT hash FROM suspects) "
            "QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY position) > 1"
        )
        (ids,) = self.engine.row(f"SELECT count(*) FROM ({again})")
        rows = self.engine.rows(f"SELECT event_id, position, first FROM ({again}) ORDER BY position LIMIT {_SHOWN}")
        self.engine.unregister("suspects")
        for number, (event_id, position, first) in enumerate(rows, 1):
            more = f"; {ids - _SHOWN:,} more events repeat an id" if number == _SHOWN < ids else ""
            name = next((one.name for one in files if one.first <= position <= one.last), "")
            what = f"event {event_id!r} is at position {first:,} already{more}"
            self.history.fault(Fault.REPEATED_ID, position, position, what, name)

    def _told(self) -> dict[str, dict[str, Any]]:
        """What the table says of each file."""
        return {row["path"]: row for row in active_files(self.log.table, _TOLD)}

    def _unreadable(self, file: EventFile, reason: str) -> None:
        if replaced_since(self.log.place, self.log.table.version(), file.name):
            return
        first = reason.split("\n", maxsplit=1)[0].rstrip(".")
        self.history.fault(
            Fault.FILE_CHANGED, file.first, file.last, f"{file.name} cannot be read ({first})", file.name
        )


def same_events(engine: Engine, old: Sequence[Path], new: Path) -> bool:
    """Whether files hold the same events as another one, column for column."""
    kinds = engine.columns(f"SELECT * FROM {scan(old)}")
    if kinds != engine.columns(f"SELECT * FROM {scan([new])}"):
        return False
    # Row beside row, in the order of the files, each value by itself: two rows may have one hash.
    unlike = [_unlike(f"_old.{quote(name)}", f"_new.{quote(name)}", kind) for name, kind in kinds.items()]
    (found,) = engine.row(
        f"SELECT count(*) FROM ({parquet(old, kinds)}) _old POSITIONAL JOIN ({parquet([new], kinds)}) _new "
        f"WHERE {' OR '.join(unlike)}"
    )
    return not found


def _unlike(old: str, new: str, kind: str) -> str:
    differ = f"{old} IS DISTINCT FROM {new}"
    # To the bit: 0.0 is -0.0 for the engine.
    return f"{differ} OR ({old} = 0 AND 1 / {old} <> 1 / {new})" if kind == "DOUBLE" else differ


def in_order(engine: Engine, file: Path, first: int, rows: int) -> bool:
    """Whether a file holds so many positions from `first` on, in their order."""
    return _dense(engine, file, first) == (rows, 0)


def causes(engine: Engine, log: EventLog, first: Position, last: Position) -> Causes:
    """Which events from `first` to `last` come before their cause, or have one that never came."""
    # As it is now: a compaction may have removed files since the log was opened.
    log.refresh()
    if log.settings.columns.get(CAUSED_BY) != "VARCHAR" or CAUSED_BY not in log.since():
        return Causes()
    kinds = {name: log.settings.all_columns[name] for name in ("position", "event_id", CAUSED_BY)}
    body = f"{parquet(log.files(last), kinds)} WHERE position <= {last:d}"
    cause = quote(CAUSED_BY)
    joined = (
        f"SELECT _e.position, _e.event_id, _e.{cause} AS cause, _c.position AS came FROM ({body}) _e "
        f"LEFT JOIN (SELECT event_id, position FROM ({body})) _c ON _c.event_id = _e.{cause} "
        f"WHERE _e.{cause} IS NOT NULL AND _e.position >= {first:d}"
    )
    counted, early, absent = engine.row(
        f"SELECT count(*), count(*) FILTER (came >= position), count(*) FILTER (came IS NULL) FROM ({joined})"
    )

    def named(where: str) -> tuple[tuple[Position, str, str], ...]:
        rows = engine.rows(
            f"SELECT position, event_id, cause FROM ({joined}) WHERE {where} ORDER BY position LIMIT {_SHOWN}"
        )
        return tuple((Position(position), event_id, of) for position, event_id, of in rows)

    return Causes(
        counted, early, absent, named("came >= position") if early else (), named("came IS NULL") if absent else ()
    )


_TOLD: Final = (
    "path", "size_bytes", "num_records",
    *(f"{bound}.{name}" for bound in ("min", "max") for name in ("position", "occurred_at", "recorded_at")),
)  # fmt: skip


def _rows(file: EventFile) -> int:
    return file.last - file.first + 1


def _dense(engine: Engine, path: Path, first: int) -> tuple[int, int]:
    """How many rows a file has, and in how many of them the position is not the row's."""
    # DuckDB keeps the order of a file's rows.
    there = engine.numbers(parquet([path], {"position": "BIGINT"}))
    return len(there), int(np.count_nonzero(there != np.arange(first, first + len(there))))


def _wrong_statistics(path: Path, rows: int, told: dict[str, Any]) -> list[str]:
    """What the table says otherwise of a file than its footer does: readers choose files by it."""
    real = statistics(path, rows)
    pairs: dict[str, tuple[object, object]] = {
        "num_records": (told.get("num_records"), rows),
        "size_bytes": (told["size_bytes"], path.stat().st_size),
    }
    for bound, values in (("min", real["minValues"]), ("max", real["maxValues"])):
        for name, value in values.items():
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            pairs[f"{bound}.{name}"] = (told.get(f"{bound}.{name}"), moment)
    return [name for name, (said, is_) in pairs.items() if said != is_]
