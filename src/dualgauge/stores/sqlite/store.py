"""The SQLite store: the embedded default, one file a side."""

from __future__ import annotations

import datetime as dt
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from dualgauge.model import Side
from dualgauge.stores.external.sql_location import in_file
from dualgauge.stores.serving import builds, checkpoints, tail_state, writers
from dualgauge.stores.serving.port import Health
from dualgauge.stores.serving.shapes import SUFFIX
from dualgauge.stores.sqlite import bulk, points
from dualgauge.stores.sqlite.advance import SqliteAdvancing
from dualgauge.stores.sqlite.database import Databases, reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from alembic.runtime.environment import EnvironmentContext

    from dualgauge.model import Position
    from dualgauge.stores.external.sql_location import SqlLocation
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.migrations import Revision
    from dualgauge.stores.serving.shapes import Shape
    from dualgauge.stores.serving.tail_state import TailState
    from dualgauge.stores.serving.writers import Lease
    from dualgauge.stores.settings import StoreSettings


class SqliteStore:
    """See `port.BuildStore`. Files are opened for each call, so nothing is held between them."""

    dialect = "sqlite"

    def __init__(self, databases: Databases) -> None:
        self.databases = databases

    def waiting(self, side: Side, seconds: float) -> Self:
        """The same store with another patience; see the port."""
        return type(self)(replace(self.databases, waits={side: seconds}))

    def revise(self, folder: Path, shapes: Sequence[Shape], message: str = "") -> Revision | None:
        """Write the missing revision; see the port."""
        from dualgauge.stores.serving import migrations

        with self.databases.open(create=True) as engine, engine.connect() as connection:
            return migrations.write_revision(folder, connection, shapes, message)

    def upgrade(self, folder: Path, shapes: Sequence[Shape]) -> list[Revision]:
        """Apply what is not applied; see the port."""
        from dualgauge.stores.serving import migrations

        with self.databases.open(create=True) as engine, writing(engine) as connection:
            return migrations.upgrade(folder, connection, shapes)

    def history(self, folder: Path) -> list[Revision]:
        """All revisions, oldest first."""
        from dualgauge.stores.serving import migrations

        with self.databases.open() as engine, reading(engine) as connection:
            return migrations.history(folder, connection)

    def missing(self, folder: Path, shapes: Sequence[Shape]) -> list[str]:
        """What the shapes in the store lack; the migrations folder must be there. See the port."""
        from dualgauge.stores.serving import migrations

        with self.databases.open() as engine, reading(engine) as connection:
            migrations.configuration(folder)
            return migrations.missing(connection, shapes)

    def has_shape(self, shape: Shape) -> bool:
        """Whether a view's table schema is this one; see the port."""
        from dualgauge.stores.serving import migrations

        with self.databases.open(shape.side) as engine, reading(engine) as connection:
            lacks = migrations.missing(connection, [shape])
        return not any(f" {shape.side.schema}.{shape.view}{SUFFIX}" in line for line in lacks)

    def served_builds(self, side: Side) -> dict[str, Checkpoint]:
        """The checkpoint of each build that readers get; see the port."""
        with self.snapshot(side) as snapshot:
            return snapshot.builds()

    def run_alembic(self, context: EnvironmentContext, shapes: Sequence[Shape]) -> None:
        """Run Alembic's environment on both files; see the port."""
        from dualgauge.stores.serving import migrations

        migrations.run_plain(context, self.databases, shapes)

    def checkpoints(self, side: Side) -> list[Checkpoint]:
        """Every build of a side."""
        with self.databases.open(side) as engine, reading(engine) as connection:
            return checkpoints.checkpoints(connection, side)

    def served(self, side: Side) -> dict[str, int]:
        """Which build of each view readers get."""
        with self.databases.open(side) as engine, reading(engine) as connection:
            return checkpoints.served(connection, side)

    @contextmanager
    def load(
        self, shape: Shape, definition_hash: str, text: str, target: Position, history: str | None,
        *, keep: dt.timedelta = dt.timedelta(0),
    ) -> Iterator[bulk.SqliteLoading]:  # fmt: skip
        """Begin or resume a build; only the side's own file is opened for writing."""
        with self.databases.open(shape.side, create=True) as engine:
            yield bulk.begin(engine, shape, definition_hash, text, target, history=history, keep=keep)

    @contextmanager
    def advance(self, shape: Shape, build: int, lease: Lease) -> Iterator[SqliteAdvancing]:
        """Open a whole build to bring it forward; see the port."""
        with self.databases.open(shape.side) as engine:
            yield SqliteAdvancing(engine, shape, build, lease)

    def take(self, side: Side, holder: str, now: dt.datetime, until: dt.datetime) -> Lease:
        """Take a side; see the port."""
        with self.databases.open(side, create=True) as engine, writing(engine) as connection:
            return writers.take(connection, side, holder, now, until)

    def renew(self, lease: Lease, until: dt.datetime) -> Lease:
        """Hold a side longer; see the port."""
        with self.databases.open(lease.side) as engine, writing(engine) as connection:
            return writers.renew(connection, lease, until)

    def writer(self, side: Side) -> Lease | None:
        """Who holds a side, or held it last."""
        with self.databases.open(side) as engine, reading(engine) as connection:
            return writers.holder(connection, side)

    def record_tail(self, lease: Lease, states: Sequence[TailState]) -> None:
        """Say how a tail goes; see the port."""
        with self.databases.open(lease.side) as engine, writing(engine) as connection:
            tail_state.record(connection, lease, states)

    def tail_states(self, side: Side) -> list[TailState]:
        """What a tail last said of each build of a side."""
        with self.databases.open(side) as engine, reading(engine) as connection:
            return tail_state.states(connection, side)

    def serve(self, view: str, build: int, lease: Lease, now: dt.datetime) -> None:
        """Let readers have a whole build; see the port."""
        side = lease.side
        with self.databases.open(side) as engine, writing(engine) as connection:
            writers.assert_held(connection, lease)
            builds.serve_only(connection, side, view, build, now)

    def previous(self, side: Side) -> dict[str, int]:
        """Which build of each view readers had before."""
        with self.databases.open(side) as engine, reading(engine) as connection:
            return checkpoints.previous(connection, side)

    def retire(self, side: Side, view: str) -> None:
        """Take a view from readers; see the port."""
        with self.databases.open(side) as engine, writing(engine) as connection:
            builds.retire(connection, side, view)

    def file(self, side: Side) -> Path:
        """A side's file."""
        return self.databases.file(side)

    def place(self, side: Side) -> object:
        """The file itself, whatever its name; see the port."""
        try:
            found = self.file(side).stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def health(self, side: Side) -> Health | None:
        """What SQLite's quick check says of a side's file. Raises NotADatabase, StoreHeld, StoreRefused."""
        if not self.file(side).exists():
            return None
        with self.databases.open(side) as engine, reading(engine) as connection:
            mode = connection.exec_driver_sql(f"PRAGMA {side.schema}.journal_mode").scalar_one()
            found = [row[0] for row in connection.exec_driver_sql(f"PRAGMA {side.schema}.quick_check(5)")]
            changed = builds.not_as_served(connection, side) if found == ["ok"] else []
        return Health(str(mode), tuple(found) if found != ["ok"] else (), tuple(changed))

    def sql_location(self, side: Side, view: str, key: tuple[str, ...]) -> SqlLocation:
        """The SQL view of a side's file; see the port."""
        return in_file(self.file(side), view, key)

    @contextmanager
    def snapshot(self, side: Side) -> Iterator[bulk.SqliteSnapshot]:
        """One side at one moment."""
        with self.databases.open(side) as engine, reading(engine) as connection:
            yield bulk.SqliteSnapshot(connection, side, self.file(side))

    def point(self, side: Side, view: str, key: Sequence[str]) -> dict[str, Any] | None:
        """The row of a key; see the port."""
        with self.reader(side) as reader:
            return reader.get(view, key)

    @contextmanager
    def reader(self, side: Side) -> Iterator[points.Reader]:
        """Many point reads of one side."""
        with closing(points.Reader(self.databases, side)) as reader:
            yield reader


def open_store(settings: StoreSettings, root: Path) -> SqliteStore:
    """The store of a project: paths in its url are relative to the root."""
    files = {side: root / settings.opened_url(side).removeprefix("sqlite:///") for side in Side}
    return SqliteStore(Databases(v1=files[Side.V1], v2=files[Side.V2]))
