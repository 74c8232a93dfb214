"""Bulk work on a SQLite store: loading builds in short transactions, and reading one side whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from dualgauge.model import Side, quote
from dualgauge.stores import builds, control
from dualgauge.stores.database import writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.model import Position
    from dualgauge.stores.control import Checkpoint
    from dualgauge.stores.port import Row
    from dualgauge.stores.shapes import Shape


class SqliteLoading:
    """A build that this process loads. Its rows come in key order, so that a killed load goes on after the last one."""

    def __init__(self, engine: sa.Engine, shape: Shape, table: sa.Table, build: int, epoch: int, target: Position, rows: int) -> None:
        self._engine = engine
        self._shape = shape
        self._table = table
        self._statement = builds.insert_statement(table)
        self._target = target
        self.build = build
        self.epoch = epoch
        self.rows = rows

    def append(self, rows: Sequence[Row]) -> None:
        """Load more rows in one transaction; see the port."""
        side, view = self._shape.side, self._shape.view
        with writing(self._engine, self._shape.label) as connection:
            # The fencing token first: whoever lost the build must not write one row more.
            control.assert_epoch(connection, side, view, self.build, self.epoch)
            connection.exec_driver_sql(self._statement, list(rows))
            control.record_load(connection, side, view, self.rows + len(rows))
        self.rows += len(rows)

    def finish(self) -> int | None:
        """Index, move the checkpoint, repoint, drop what is older than the build before; see the port."""
        side, view = self._shape.side, self._shape.view
        with writing(self._engine, self._shape.label) as connection:
            control.assert_epoch(connection, side, view, self.build, self.epoch)
            builds.create_indexes(connection, self._table)
        with writing(self._engine, self._shape.label) as connection:
            control.assert_epoch(connection, side, view, self.build, self.epoch)
            control.finish(connection, side, view, self.build, self._target)
            before = builds.serve(connection, side, self._table, view, self.build)
        with writing(self._engine, self._shape.label) as connection:
            kept = {self.build, before}
            old = [c.build for c in control.checkpoints(connection, side) if c.view == view and c.build not in kept]
            # The build before is kept, so that a rebuild can be undone.
            builds.drop(connection, side, view, old)
        return before


def begin(engine: sa.Engine, shape: Shape, definition_hash: str, text: str, target: Position) -> SqliteLoading:
    """
    Begin a build, or take over the unfinished one of the same definition and position.

    Any other unfinished build of the view is dropped: nobody was served from it.
    """
    side, view = shape.side, shape.view
    with writing(engine, shape.label) as connection:
        control.ensure(connection, side)
        unfinished = [c for c in control.checkpoints(connection, side) if c.view == view and c.position == 0]
        for one in unfinished:
            load = control.load_of(connection, side, view, one.build)
            if load is not None and one.definition_hash == definition_hash and load.target == target:
                epoch = control.take_over(connection, side, view, one.build)
                table = builds.clone(connection, side, view, one.build)
                return SqliteLoading(engine, shape, table, one.build, epoch, target, load.rows)
        builds.drop(connection, side, view, [one.build for one in unfinished])
        new = control.add_build(connection, side, view, definition_hash, text, target)
        table = builds.clone(connection, side, view, new.build)
        builds.create_table(connection, table)
        return SqliteLoading(engine, shape, table, new.build, new.epoch, target, 0)


class SqliteSnapshot:
    """One side inside one read transaction."""

    def __init__(self, connection: sa.Connection, side: Side) -> None:
        self._connection = connection
        self._side = side
        served = control.served(connection, side)
        self._served = {c.view: c for c in control.checkpoints(connection, side) if served.get(c.view) == c.build}

    def served(self, view: str) -> Checkpoint | None:
        """The build of a view that readers get."""
        return self._served.get(view)

    def batches(self, view: str, columns: Sequence[str], size: int) -> Iterator[list[Row]]:
        """Rows of the served build in lists of at most `size`, as stored."""
        table = builds.build_name(view, self._served[view].build)
        chosen = ", ".join(quote(column) for column in columns)
        raw = self._connection.connection.cursor()
        try:
            raw.execute(f"SELECT {chosen} FROM {quote(self._side.schema)}.{quote(table)}")  # noqa: S608
            while rows := raw.fetchmany(size):
                yield [tuple(row) for row in rows]
        finally:
            raw.close()
