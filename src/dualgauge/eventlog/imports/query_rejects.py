"""
Rows that a source's query makes no events of that fit: found by halves, because a query has no place for a row.

Only where each event is made of one row: with a window, a join or a group the rows have no events of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadValue
from dualgauge.eventlog.sources.cursor import beyond_a_row
from dualgauge.eventlog.sources.diagnose import Found, misfits_of
from dualgauge.eventlog.sources.mapping import queried
from dualgauge.eventlog.sources.readers import raw_rows
from dualgauge.eventlog.sources.source import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

_ROWS = "_rows_of_query"
_PLACE = "_file, _row, _at, _place"


class QueryRows:
    """The rows of a source whose query makes events of one row at a time; kept by the engine, which may spill them."""

    def __init__(self, engine: Engine, source: Source, columns: dict[str, str], number: int) -> None:
        """
        Read the rows.

        Raises:
            EngineError: they cannot be read.
        """
        self._engine, self._source, self._columns = engine, source, columns
        base = raw_rows(source, number, placed=True)
        self._unfit = "_unfit" in engine.columns(base)
        numbered = f"SELECT *, row_number() OVER (ORDER BY _at) AS _place FROM ({base})"
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {_ROWS} AS {numbered}")
        (self._count,) = engine.row(f"SELECT count(*) FROM {_ROWS}")

    def misfits(self, most: int) -> list[Found]:
        """The first rows that do not fit, at most `most`. Raises BadMapping, EngineError."""
        found: list[Found] = []
        for place, reason in self._search(1, self._count):
            file, row = self._engine.row(f"SELECT _file, _row FROM {_ROWS} WHERE _place = {place:d}")
            found.append(Found(file, row, reason))
            if len(found) == most:
                break
        return found

    def ids(self) -> dict[tuple[str, int], str]:
        """The id of the first event that each row makes, by the row's file and number; one of none is left out."""
        found = {}
        for place, file, row in self._engine.rows(f"SELECT _place, _file, _row FROM {_ROWS} ORDER BY _place"):
            events = queried(self._rows(place, place), self._source.settings)
            (event_id,) = self._engine.row(f"SELECT min(CAST(event_id AS VARCHAR)) FROM ({events})")
            if event_id is not None:
                found[file, row] = event_id
        return found

    def _search(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        if first > last or (reason := self._fault(first, last)) is None:
            return
        if first == last:
            yield first, reason
            return
        middle = (first + last) // 2
        yield from self._search(first, middle)
        yield from self._search(middle + 1, last)

    def _fault(self, first: int, last: int) -> str | None:
        """Why one of the rows from one place to another does not fit; None where all do."""
        engine = self._engine
        if self._unfit:
            unfit = f"SELECT min(_unfit) FROM {_ROWS} WHERE _place BETWEEN {first:d} AND {last:d}"
            if (reason := engine.row(unfit)[0]) is not None:
                return str(reason)
        rows = self._rows(first, last)
        try:
            _, found = misfits_of(engine, self._source, self._columns, rows).find(engine, 1)
            # What is in the payload alone is not computed there, nor where it is only counted.
            engine.rows(f"SELECT bit_xor(hash(q)) FROM ({queried(rows, self._source.settings)}) AS q")
        except BadValue as fault:
            return f"its query fails ({told(fault)})"
        return found[0].reason if found else None

    def _rows(self, first: int, last: int) -> str:
        place = f"{_PLACE}{', _unfit' if self._unfit else ''}"
        return f"SELECT * EXCLUDE ({place}) FROM {_ROWS} WHERE _place BETWEEN {first:d} AND {last:d}"


def makes_own_events(source: Source) -> bool:
    """Whether each row of a source makes its own events, so that one that does not fit can be told from the others."""
    return not source.settings.query or not beyond_a_row(source.settings)
