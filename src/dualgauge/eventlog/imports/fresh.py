"""
Which of the staged rows the log does not have: each stretch of the log is looked at once, as it grows.

Many rows are joined with it. A few are looked up in the index of ids, which says where one may stand, so that it does
not matter how long the log is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.parquet_files import parquet
from dualgauge.eventlog.append.id_index import Worn
from dualgauge.eventlog.imports.conflicts import different
from dualgauge.eventlog.table.duplicates import may_repeat
from dualgauge.model import START

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.append.id_index import IdIndex
    from dualgauge.eventlog.table.commits import Head
    from dualgauge.eventlog.table.event_log import EventLog

_FEW: Final = 10_000
"""Rows that may be looked up by their ids."""

_LONG: Final = 100
"""They are where the log is so many times as long, and as a thousand of them: a join takes less where it is shorter."""

_OUT: Final = "_left_out"
"""A table of the engine's: where the rows stand that are not appended."""


class Fresh:
    """
    The rows of a staged file, which stands in their order at positions from 1, without those that the log has.

    A row is left out where its id is known: from an earlier row of the file, or from the log.
    """

    def __init__(self, engine: Engine, log: EventLog, merged: Path, index: IdIndex | None) -> None:
        """
        Look for ids that the file has twice; the log is not looked at yet.

        Args:
            engine: reads the staged file, and what of the log is looked at.
            log: what the rows are to be appended to.
            merged: the staged file.
            index: where few ids are looked up, which writes what it lacks; without, the log is read.

        Raises:
            ChangedEvent: an id is there twice with different content.
        """
        self._index = index
        self._engine, self._log, self._staged = engine, log, parquet([merged], log.settings.all_columns)
        self._seen, self._after, self._taken = START, 0, 0
        self._total: int = engine.row(f"SELECT count(*) FROM ({self._staged})")[0]
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {_OUT} (position BIGINT)")
        self.known: int = 0
        if may_repeat(engine, self._staged, self._total):
            numbered = "row_number() OVER (PARTITION BY event_id ORDER BY position)"
            self._leave_out(f"SELECT position FROM ({self._staged}) QUALIFY {numbered} > 1")
            if self.known:
                different(engine, log, self._left, self._staged, in_log=False)

    @property
    def added(self) -> int:
        """How many rows are to be appended, and were."""
        return self._total - self.known

    @property
    def taken(self) -> int:
        """How many of them were."""
        return self._taken

    def whole(self, base: Head) -> bool:
        """Whether the staged file is what is to be appended behind a head, positions and all."""
        return not (base.last or self.known or self._taken)

    def look(self, head: Head) -> None:
        """
        Leave out what the log has up to a head; what was looked at before is not looked at again.

        Raises:
            ChangedEvent: an id came again with other content.
        """
        if head.last > self._seen and self._total:
            had, before = self._had(head), self.known
            self._leave_out(f"SELECT s.position FROM ({self._left}) s SEMI JOIN ({had}) USING (event_id)")
            if self.known > before:
                different(self._engine, self._log, had, self._staged, in_log=True)
        self._seen = head.last

    def _had(self, head: Head) -> str:
        """What the log has behind what was looked at, as a query; of a long stretch and few rows, what may be one."""
        events = self._log.relation(head.last, self._seen)
        length = head.last - self._seen
        if self._index is None or self._total > _FEW or length < _LONG * max(self._total, 1_000):
            return events
        ids = [one for (one,) in self._engine.rows(f"SELECT event_id FROM ({self._left})")]
        try:
            found = self._index.find(ids)
        except (Worn, OSError):
            # It cannot be written, or is another process's to mend: what it is made of is there.
            return events
        places = {place for one in found.values() for place in one if place > self._seen}
        only = f"position IN ({', '.join(map(str, sorted(places)))})" if places else "false"
        return f"SELECT * FROM ({events}) WHERE {only}"

    def part(self, base: Head, rows: int) -> str:
        """The next so many rows as a query, with the positions that follow from a head."""
        if not self.known:
            # Nothing is sorted, and only what is asked for is read.
            bounds = f"WHERE position > {self._after:d} AND position <= {self._after + rows:d}"
            number = f"position + {base.last - self._after:d}"
            return f"SELECT {number} AS position, * EXCLUDE (position) FROM ({self._staged}) {bounds}"
        number = f"row_number() OVER () + {base.last:d}"
        return f"SELECT {number} AS position, * EXCLUDE (position) FROM ({self._next(rows)})"

    def took(self, rows: int, new: Head) -> None:
        """The next so many rows were appended, and the log stands at `new`."""
        self._taken += rows
        if self._taken < self.added:
            (self._after,) = self._engine.row(f"SELECT max(position) FROM ({self._next(rows)})")
        self._seen = new.last

    @property
    def _left(self) -> str:
        return f"SELECT * FROM ({self._staged}) ANTI JOIN {_OUT} USING (position)" if self.known else self._staged

    def _next(self, rows: int) -> str:
        return f"SELECT * FROM ({self._left}) WHERE position > {self._after:d} ORDER BY position LIMIT {rows:d}"

    def _leave_out(self, positions: str) -> None:
        self._engine.execute(f"INSERT INTO {_OUT} {positions}")
        self.known = self._engine.row(f"SELECT count(*) FROM {_OUT}")[0]


def fresh(engine: Engine, log: EventLog, merged: Path, index: IdIndex | None) -> Fresh:
    """The staged rows that the log does not have at its head; as `Fresh`. Raises ChangedEvent."""
    found = Fresh(engine, log, merged, index)
    found.look(log.head())
    return found
