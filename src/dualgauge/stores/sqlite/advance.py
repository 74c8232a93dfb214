"""Bringing a whole build of a SQLite store forward: what is stored of some keys, and the rows of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dualgauge.model import POSITION, quote
from dualgauge.stores.errors import BadKeys
from dualgauge.stores.serving import builds, checkpoints, writers
from dualgauge.stores.sqlite.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import pyarrow as pa

    from dualgauge.model import Position
    from dualgauge.stores.serving.shapes import Shape
    from dualgauge.stores.serving.writers import Lease


class SqliteAdvancing:
    """See `port.Advancing`. It asserts the lease, and the epoch that the build had when it was opened."""

    def __init__(self, engine: sa.Engine, shape: Shape, build: int, lease: Lease) -> None:
        self._engine, self._shape, self._build, self._lease = engine, shape, build, lease
        with reading(engine) as connection:
            # The build's own table: its view's shape may be ahead of it.
            self._table = builds.reflected(connection, shape.side, shape.view, build)
            found = checkpoints.checkpoints(connection, shape.side)
            beside = builds.has_lookups(connection, shape, build)
        self.fits = beside and list(self._table.columns.keys()) == [*shape.columns, *shape.hidden, POSITION]
        self.checkpoint = next(one for one in found if (one.view, one.build) == (shape.view, build))
        self._inserts = builds.insert_statement(self._table)
        self._upserts = builds.upsert_statement(self._table)

    @property
    def position(self) -> Position:
        """The position that it is at."""
        assert self.checkpoint.position is not None  # noqa: S101  (no adopted table is a build)
        return self.checkpoint.position

    def stored(self, keys: pa.Table) -> pa.Table:
        """What is stored of some keys; see the port."""
        # Imported here: a point read, which comes through this package, loads no Arrow.
        import pyarrow as pa

        columns = list(self._table.primary_key.columns)
        hidden = [*self._shape.hidden, POSITION]
        name = f"{quote(str(self._table.schema))}.{quote(self._table.name)}"
        marks = ", ".join(builds.mark_of(column.type, at) for at, column in enumerate(columns, 2))
        same = " AND ".join(f"b.{quote(column.name)} = k.{quote(column.name)}" for column in columns)
        rows = list(zip(range(keys.num_rows), *(column.to_pylist() for column in keys.columns), strict=True))
        with reading(self._engine) as connection:
            # A build that is gone has no table any more.
            checkpoints.assert_epoch(
                connection, self._shape.side, self._shape.view, self._build, self.checkpoint.epoch
            )  # fmt: skip
            raw: Any = connection.connection.driver_connection
            # Of the build's own columns, so that values are compared as they are stored.
            of = ", ".join(quote(column.name) for column in columns)
            raw.execute(f"CREATE TEMP TABLE _keys AS SELECT 0 AS _i, {of} FROM {name} WHERE false")
            raw.executemany(f"INSERT INTO temp._keys VALUES (?1, {marks})", rows)
            chosen = ", ".join(["k._i", *(f"b.{quote(column)}" for column in hidden)])
            # In this order of joining each key is one look-up.
            found = raw.execute(f"SELECT {chosen} FROM temp._keys AS k CROSS JOIN {name} AS b ON {same}").fetchall()
            raw.execute("DROP TABLE temp._keys")
        hidden_kinds = [pa.string() if kind == "VARCHAR" else pa.int64() for kind in self._shape.hidden.values()]
        kinds = [pa.int64(), *hidden_kinds, pa.int64()]
        values = zip(*found, strict=True) if found else [()] * len(kinds)
        arrays = [pa.array(column, kind) for column, kind in zip(values, kinds, strict=True)]
        return pa.table(arrays, names=["_i", *hidden])

    @property
    def history(self) -> str | None:
        """What the log was known by at that position."""
        return self.checkpoint.history

    def newest(self, column: str) -> object:
        """The highest value of a column of its key; see the port."""
        with reading(self._engine) as connection:
            # As it is stored: a time is text here, and the order of such texts that of the times.
            chosen = f"SELECT max({quote(column)}) FROM {quote(str(self._table.schema))}.{quote(self._table.name)}"
            return connection.exec_driver_sql(chosen).scalar()

    def lookups(self) -> list[tuple[int, str, str]]:
        """What is kept beside the build of what its view looks up; see the port."""
        table = builds.lookups_of(self._shape, self._build)
        if table is None:
            return []
        with reading(self._engine) as connection:
            return [(row.lookup, row.key, row.row) for row in connection.execute(sa.select(table))]

    def apply(
        self, rows: pa.Table, first: Position, last: Position, history: str | None, *, new: bool,
        lookups: Sequence[tuple[int, str, str]] = (),
    ) -> None:  # fmt: skip
        """Write the rows of a batch, and move the checkpoint over it; see the port."""
        side, view = self._shape.side, self._shape.view
        values = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        with writing(self._engine) as connection:
            writers.assert_held(connection, self._lease)
            checkpoints.advance(connection, side, [self.writable], first, last, history)
            try:
                if values:
                    connection.exec_driver_sql(self._inserts if new else self._upserts, values)
            except sa.exc.IntegrityError as fault:
                raise BadKeys(
                    self._shape.label, self._shape.key, "a key is NULL or there already", str(fault.orig)
                ) from fault
            builds.keep_lookups(connection, side, view, self._build, lookups)
        self.checkpoint = replace(self.checkpoint, position=last, history=history)

    def pass_over(self, others: Sequence[Self], first: Position, last: Position, history: str | None) -> None:
        """Move checkpoints over a batch that changes nothing; see the port."""
        moved = [self, *others]
        with writing(self._engine) as connection:
            writers.assert_held(connection, self._lease)
            checkpoints.advance(connection, self._shape.side, [one.writable for one in moved], first, last, history)
        for one in moved:
            one.checkpoint = replace(one.checkpoint, position=last, history=history)

    @property
    def writable(self) -> checkpoints.Build:
        """The build under its epoch."""
        return self._shape.view, self._build, self.checkpoint.epoch
