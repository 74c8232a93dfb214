"""
Rows that do not fit, found by halves: what a query gives has no place, and an expression with a subquery has no `TRY`.

Only where each event is made of one row: with a window, a join or a group the rows have no events of their own.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dualgauge.engines.errors import BadValue
from dualgauge.eventlog.sources.cursor import beyond_a_row, has_window
from dualgauge.eventlog.sources.mapping import columns_quoted, mapping, queried, row_mapping
from dualgauge.eventlog.sources.misfits import Found, misfits_of
from dualgauge.eventlog.sources.readers import raw_rows
from dualgauge.eventlog.sources.source import told
from dualgauge.model import fold, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

_ROWS = "_kept_rows"


def misfitting(
    engine: Engine, source: Source, columns: dict[str, str], number: int, most: int
) -> tuple[int, list[Found]]:
    """
    How many rows of a source do not fit, and the first of them; those found by halves are counted up to `most`.

    Raises:
        BadMapping, EngineError: the rows cannot be read.
    """
    if not source.settings.query:
        with suppress(BadValue):
            return misfits_of(engine, source, columns, raw_rows(source, number, placed=True)).find(engine, most)
    found = KeptRows(engine, source, columns, number).misfits(most)
    return len(found), found


class KeptRows:
    """The rows of a source that makes events of one row at a time; kept by the engine, which may spill them."""

    def __init__(self, engine: Engine, source: Source, columns: dict[str, str], number: int) -> None:
        """
        Read the rows.

        Raises:
            EngineError: they cannot be read.
        """
        self._engine, self._source, self._columns = engine, source, columns
        base = raw_rows(source, number, placed=True)
        self._available = engine.columns(base)
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
            events = self._events(self._rows(place, place))
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
        engine, source = self._engine, self._source
        rows, reason = self._rows(first, last), None
        if "_unfit" in self._available:
            unfit = f"SELECT min(_unfit) FROM {_ROWS} WHERE _place BETWEEN {first:d} AND {last:d}"
            if (reason := engine.row(unfit)[0]) is not None and (first < last or not source.settings.query):
                return str(reason)
        if reason is not None:
            # A query may leave the row out, and need nothing of what does not fit.
            rows = self._strict(first)
        try:
            _, found = misfits_of(engine, source, self._columns, rows).find(engine, 1)
            # What is in the payload alone is not computed there, nor where it is only counted.
            engine.rows(f"SELECT bit_xor(hash(q)) FROM ({self._events(rows)}) AS q")
        except BadValue as fault:
            return self._failing(rows, fault) if reason is None else str(reason)
        return found[0].reason if found else None

    def _failing(self, rows: str, fault: BadValue) -> str:
        """Which of a source's expressions fails on some rows, and with what."""
        settings, expressions = self._source.expressions, dict[str, str]()
        if not settings.query:
            settings = columns_quoted(settings, self._available, self._columns)
            expressions = {"where": settings.where} if settings.where else {}
            expressions |= mapping(settings, self._columns, self._available)
        for name, expression in expressions.items():
            try:
                self._engine.rows(f"SELECT bit_xor(hash(x)) FROM (SELECT {expression} AS x FROM ({rows}))")
            except BadValue as why:
                return f"its {name} fails ({told(why)})"
        return f"its query fails ({told(fault)})"

    def _events(self, rows: str) -> str:
        settings = self._source.expressions
        return queried(rows, settings) if settings.query else row_mapping(
            rows, settings, self._columns, self._available
        )  # fmt: skip

    def _rows(self, first: int, last: int, replaced: str = "") -> str:
        """Some of the rows; those of a query without their places, as it has them."""
        place = "_place"
        if self._source.settings.query:
            place = f"_file, _row, _at, _place{', _unfit' if '_unfit' in self._available else ''}"
        return f"SELECT * EXCLUDE ({place}){replaced} FROM {_ROWS} WHERE _place BETWEEN {first:d} AND {last:d}"

    def _strict(self, place: int) -> str:
        """A row of which a value that does not fit is an error where it is asked for."""
        said = ((name, quote(name)) for name in self._available if fold(name) in self._source.unsure)
        columns = [
            f"CASE WHEN starts_with(_unfit, {literal(name)}) THEN error(_unfit) ELSE {column} END AS {column}"
            for name, column in said
        ]
        return self._rows(place, place, f" REPLACE ({', '.join(columns)})")


def makes_own_events(source: Source) -> bool:
    """Whether each row of a source makes its own events, so that one that does not fit can be told from the others."""
    return not beyond_a_row(source.settings) if source.settings.query else not has_window(source.settings)
