"""Bulk work on a SQLite store: loading builds in short transactions, and reading one side whole."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dualgauge.model import Side, literal, quote
from dualgauge.stores.errors import BadKeys, NotAsServed
from dualgauge.stores.serving import builds, checkpoints, writers
from dualgauge.stores.serving.types import bound_columns, restored, store_type
from dualgauge.stores.sqlite.database import writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from dualgauge.model import Position
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import Only
    from dualgauge.stores.serving.shapes import Shape


class SqliteLoading:
    """A build that this process loads. Its rows come in key order, so that a killed load goes on after the last one."""

    def __init__(
        self, engine: sa.Engine, shape: Shape, table: sa.Table, *, build: int, epoch: int, target: Position, rows: int,
        before: int,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._shape = shape
        self._table = table
        self._statement = builds.insert_statement(table)
        self._target = target
        self._before = before
        self.build = build
        self.epoch = epoch
        self.rows = rows

    def append(self, batch: pa.RecordBatch) -> None:
        """Load more rows in one transaction; see the port."""
        if not batch.num_rows:
            return
        rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        side, view = self._shape.side, self._shape.view
        with writing(self._engine) as connection:
            # The fencing token first: whoever lost the build must not write one row more.
            checkpoints.assert_epoch(connection, side, view, self.build, self.epoch)
            try:
                connection.exec_driver_sql(self._statement, rows)
            except sa.exc.IntegrityError as fault:
                # Apart in the engine, one in the store: JSON keys that differ in blanks only.
                raise BadKeys(
                    self._shape.label, self._shape.key, "two keys are one once stored", str(fault.orig)
                ) from fault
            checkpoints.record_load(connection, side, view, self.rows + len(rows))
        self.rows += len(rows)

    def keep(self, lookups: Sequence[tuple[int, str, str]]) -> None:
        """Keep what the view looks up beside the build; see the port."""
        side, view = self._shape.side, self._shape.view
        if lookups:
            with writing(self._engine) as connection:
                checkpoints.assert_epoch(connection, side, view, self.build, self.epoch)
                builds.keep_lookups(connection, side, view, self.build, lookups)

    def finish(self) -> int | None:
        """Index, move the checkpoint, repoint, drop what is older than the build before; see the port."""
        side, view = self._shape.side, self._shape.view
        with writing(self._engine) as connection:
            checkpoints.assert_epoch(connection, side, view, self.build, self.epoch)
            builds.create_indexes(connection, self._table)
        with writing(self._engine) as connection:
            checkpoints.assert_epoch(connection, side, view, self.build, self.epoch)
            checkpoints.finish(connection, side, view, self.build, self._target)
            now = checkpoints.served_position(connection, side, view)
            ahead = now > self._target and now != self._before
            new, at = checkpoints.served(connection, side).get(view) is None, dt.datetime.now(dt.UTC)
            if not new and (ahead or writers.is_held(connection, side, at)):
                # Whoever brings the side forward lets readers have this build where both are at one position: what
                # they have seen once is not taken back.
                return None
            before = builds.serve(connection, side, self._table, view, self.build, at)
        with writing(self._engine) as connection:
            # The build before is kept, so that a rebuild can be undone; a newer one is another process's load.
            builds.drop_older(connection, side, view, self.build, before, at)
        return before


def begin(
    engine: sa.Engine, shape: Shape, definition_hash: str, text: str, target: Position, *, history: str | None,
    keep: dt.timedelta,
) -> SqliteLoading:  # fmt: skip
    """
    Begin a build, or take over the unfinished one of the same definition, position and history.

    Any other unfinished build of the view is dropped: nobody was served from it.
    """
    side, view, keeps = shape.side, shape.view, int(keep.total_seconds())
    # As they stand, not sorted: readers get them in this order.
    columns = json.dumps(dict(shape.columns), ensure_ascii=False)
    with writing(engine) as connection:
        checkpoints.ensure(connection, side)
        load = checkpoints.load_of(connection, side, view)
        before = checkpoints.served_position(connection, side, view)
        if load is not None:
            begun = [c for c in checkpoints.checkpoints(connection, side) if (c.view, c.build) == (view, load.build)]
            same = [c for c in begun if (c.definition_hash, c.history) == (definition_hash, history) and c.token]
            table = builds.clone(connection, side, view, load.build, shape.hidden)
            whole = builds.is_as(connection, table) and builds.has_lookups(connection, shape, load.build)
            if same and load.target == target and whole:
                epoch = checkpoints.take_over(connection, side, view, load.build, keeps=keeps, columns=columns)
                return SqliteLoading(
                    engine, shape, table, build=load.build, epoch=epoch, target=target, rows=load.rows, before=before
                )
            builds.drop(connection, side, view, [load.build])
        new = checkpoints.add_build(
            connection, side, view, definition_hash=definition_hash, text=text, target=target, history=history,
            keeps=keeps, columns=columns,
        )  # fmt: skip
        table = builds.clone(connection, side, view, new.build, shape.hidden)
        builds.create_table(connection, table, builds.lookups_of(shape, new.build))
        return SqliteLoading(
            engine, shape, table, build=new.build, epoch=new.epoch, target=target, rows=0, before=before
        )  # fmt: skip


class SqliteSnapshot:
    """One side inside one read transaction."""

    def __init__(self, connection: sa.Connection, side: Side, file: Path) -> None:
        self._connection = connection
        self._side = side
        self._file = file
        served = checkpoints.served(connection, side)
        self._changed = builds.not_as_served(connection, side)
        self._served = {
            c.view: c
            for c in checkpoints.checkpoints(connection, side)
            if served.get(c.view) == c.build and c.view not in self._changed
        }

    def served(self, view: str) -> Checkpoint | None:
        """The build of a view that readers get. Raises NotAsServed."""
        if view in self._changed:
            raise NotAsServed(f"{self._side.value}.{view}")
        return self._served.get(view)

    def builds(self) -> dict[str, Checkpoint]:
        """The build of each view that readers get, but for those whose SQL view is not the one that was made."""
        return dict(self._served)

    def adopted(self, view: str) -> None:
        """No view of this store is a table of the user's own."""

    def exported(self, view: str, columns: Mapping[str, str]) -> tuple[dict[str, str], str]:
        """How what `export` wrote is read; see the port."""
        return restored(f"{self._side.value}.{view}", columns, "sqlite")

    @contextmanager
    def export(
        self, view: str, columns: Mapping[str, str], to: Path, only: Only | None = None
    ) -> Iterator[Iterator[int]]:  # fmt: skip
        """Begin to write the rows of the served build into a Parquet file; see the port."""
        # Imported here: a point read loads no Arrow.
        from dualgauge.stores.sqlite.export import Export, is_large, written_apart, written_here

        raw = self._raw
        served = self._served[view]
        token = "NULL" if served.token is None else "token"
        asked = Export(
            label=f"{self._side.value}.{view}",
            schema=self._side.schema,
            file=self._file,
            table=builds.build_name(view, served.build),
            columns={name: store_type(view, name, kind).sqlite for name, kind in columns.items()},
            where=self._seen(view, served.build),
            check=f"SELECT position, {token} FROM {quote(checkpoints.CHECKPOINT)} "
            f"WHERE view = {literal(view)} AND build = {served.build:d}",
            expected=(served.position, served.token),
            only=only,
        )
        if only is not None:
            with self._keys(view, served.build, only):
                yield written_here(raw, asked, to)
        elif is_large(raw, asked):
            with written_apart(asked, to) as rows:
                yield rows
        else:
            yield written_here(raw, asked, to)

    def bound(self, view: str, columns: Mapping[str, str]) -> list[str]:
        """What the store keeps of columns; see the port."""
        return bound_columns(f"{self._side.value}.{view}", columns, "sqlite")

    def place(self, view: str, key: Sequence[str], after: tuple[Any, ...] | None, rows: int) -> tuple[Any, ...] | None:
        """The key of the last of so many rows of the served build; see the port."""
        columns = ", ".join(map(quote, key))
        behind = f"WHERE ({columns}) > ({', '.join('?' * len(key))}) " if after is not None else ""
        # Rows that no reader sees are counted too: they are as quick to skip as to give.
        found = self._raw.execute(
            f"SELECT {columns} FROM {self._table(view, self._served[view].build)} {behind}"
            f"ORDER BY {columns} LIMIT 2 OFFSET {rows - 1:d}",
            after or (),
        ).fetchall()
        return tuple(found[0]) if len(found) > 1 else None

    @property
    def _raw(self) -> Any:  # noqa: ANN401  (sqlite3's, which SQLAlchemy has no type for)
        return self._connection.connection.driver_connection

    def _table(self, view: str, build: int) -> str:
        return f"{self._side.schema}.{quote(builds.build_name(view, build))}"

    @contextmanager
    def _keys(self, view: str, build: int, only: Only) -> Iterator[None]:
        """Have the keys that are asked for as a table, of the build's own columns: compared as they are stored."""
        from dualgauge.stores.sqlite.export import KEYS

        of, marks = ", ".join(map(quote, only.key)), ", ".join("?" * len(only.key))
        self._raw.execute(f"CREATE TEMP TABLE {KEYS} AS SELECT {of} FROM {self._table(view, build)} WHERE false")
        try:
            rows = list(zip(*(column.to_pylist() for column in only.keys.columns), strict=True))
            self._raw.executemany(f"INSERT INTO temp.{KEYS} VALUES ({marks})", rows)
            yield
        finally:
            self._raw.execute(f"DROP TABLE temp.{KEYS}")

    def _seen(self, view: str, build: int) -> str:
        """The WHERE by which readers see the rows of a build."""
        table = builds.build_name(view, build)
        columns = self._connection.exec_driver_sql(f"PRAGMA {self._side.schema}.table_info({quote(table)})")
        return builds.seen(row[1] for row in columns)
