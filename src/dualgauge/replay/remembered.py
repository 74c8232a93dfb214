"""What a view looks up, between two batches: the last row of each key, in the engine and beside the build."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.views.plan.lookups import Lookup

    Row = tuple[int, str, str]
    """The number of a look-up, a key and a row, as text."""


def last_rows(engine: Engine, lookups: Sequence[Lookup]) -> list[Row]:
    """The last row of each key of each look-up, over `events` as they are bound."""
    return [
        (number, key, row)
        for number, lookup in enumerate(lookups)
        for key, row in engine.rows(lookup.last(lookup.relation))
    ]


class Remembered:
    """The last rows before a batch, of one build."""

    def __init__(self, engine: Engine, lookups: Sequence[Lookup], rows: Sequence[Row]) -> None:
        self._engine, self._lookups = engine, lookups
        self._tables = [f"_state_{uuid.uuid4().hex}" for _ in lookups]
        for lookup, table in zip(lookups, self._tables, strict=True):
            columns = ", ".join(f"{quote(name)} {kind}" for name, kind in lookup.columns.items())
            engine.execute(f"CREATE TEMP TABLE {table} (_key VARCHAR, {columns})")
        self.keep(rows)

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Bind the relations of the look-ups to what is remembered and what the batch has."""
        with ExitStack() as stack:
            for lookup, table in zip(self._lookups, self._tables, strict=True):
                before = f"SELECT * EXCLUDE (_key) FROM {table}"
                stack.enter_context(self._engine.bound(lookup.name, f"{before} UNION ALL ({lookup.relation}\n)"))
            yield

    def keep(self, rows: Sequence[Row]) -> None:
        """Remember rows, each in the place of the one with its key."""
        for number, (lookup, table) in enumerate(zip(self._lookups, self._tables, strict=True)):
            mine = [(key, row) for at, key, row in rows if at == number]
            if not mine:
                continue
            # Not by a name for an Arrow table: two columns of text bind well as lists.
            keys, texts = [key for key, _ in mine], [row for _, row in mine]
            given = "SELECT unnest($1::VARCHAR[]) AS _key, unnest($2::VARCHAR[]) AS _row"
            self._engine.execute(f"CREATE OR REPLACE TEMP TABLE _given AS {given}", [keys, texts])
            self._engine.execute(f"DELETE FROM {table} WHERE _key IN (SELECT _key FROM _given)")
            self._engine.execute(f"INSERT INTO {table} {lookup.rows('_given', '_key, ')}")
            self._engine.execute("DROP TABLE _given")
