"""
Checkpoints, epochs and what is served: kept in each side's own database, committed with the rows they speak of.

`_dualgauge_checkpoint` says up to which position a build is applied; 0 is a build still being loaded. Its epoch
is the fencing token of the one process that may write the build: whoever takes a build over raises it, and every
batch asserts it inside its own transaction. `_dualgauge_served` says which build readers get, and changes in the
transaction that repoints the SQL view. `_dualgauge_replay` is the progress of a load, so that a killed one resumes.
`_dualgauge_last_build` is the highest number ever given: the number of a dropped build is never given again, or who
still loads the dropped one would pass for the loader of the new one.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa

from dualgauge.model import Position, Side, quote
from dualgauge.stores.errors import Fenced, NotNext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Build = tuple[str, int, int]
    """A build that a process may write: its view, its number, and the epoch."""

CHECKPOINT = "_dualgauge_checkpoint"
SERVED = "_dualgauge_served"
REPLAY = "_dualgauge_replay"
LAST_BUILD = "_dualgauge_last_build"


_ADDED = {"token": "TEXT", "history": "TEXT", "keeps": "BIGINT", "kept": "TEXT", "columns": "TEXT"}
"""Columns of a checkpoint that the first version's do not have, with their types."""

ADOPTED = 0
"""The build number of a table of the user's own, which nobody built; builds are numbered from 1."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    The state of one build, or of an adopted table.

    `position` 0: still being loaded; None: an adopted table that cannot tell. `text` is what the build was made from.
    `token` is random and the build's alone, whatever becomes of its file: numbers begin anew in a new one. `history` is
    the log's digest chain at `position`, so that a build of another history is known. None: an adopted table, or a
    build of a dualgauge that gave none. `keeps`: for how many seconds the build that readers had before it stays, once
    they get this one. `kept`: until when it stays itself, as ISO text, since they get another; None before that.
    """

    view: str
    build: int
    position: Position | None
    epoch: int
    definition_hash: str
    text: str
    token: str | None = None
    history: str | None = None
    keeps: int | None = None
    kept: str | None = None
    columns: str | None = None

    @property
    def adopted(self) -> bool:
        """Whether this is a table of the user's own."""
        return self.build == ADOPTED

    @property
    def identified(self) -> bool:
        """Whether evidence can name it so that it names no other: by its token, or by the table that it is."""
        return self.adopted or self.token is not None


@dataclass(frozen=True, slots=True)
class Load:
    """How far the load of a build has come: rows in key order, of the view's answer at `target`."""

    build: int
    target: Position
    rows: int


@cache
def tables(side: Side) -> tuple[sa.Table, sa.Table, sa.Table, sa.Table]:
    """The control tables of a side: checkpoint, served, replay, last build. Made once, so that SQL is compiled once."""
    metadata = sa.MetaData()
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    checkpoint = sa.Table(
        CHECKPOINT, metadata,
        sa.Column("view", sa.Text, primary_key=True),
        sa.Column("build", number, primary_key=True, autoincrement=False),
        sa.Column("position", number, nullable=False),
        sa.Column("epoch", number, nullable=False),
        sa.Column("definition_hash", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("history", sa.Text),
        sa.Column("keeps", number),
        sa.Column("kept", sa.Text),
        sa.Column("columns", sa.Text),
        schema=side.schema,
    )  # fmt: skip
    served = sa.Table(
        SERVED, metadata,
        sa.Column("view", sa.Text, primary_key=True),
        sa.Column("build", number, nullable=False),
        sa.Column("previous", number),
        schema=side.schema,
    )  # fmt: skip
    replay = sa.Table(
        REPLAY, metadata,
        sa.Column("view", sa.Text, primary_key=True),
        sa.Column("build", number, nullable=False),
        sa.Column("target", number, nullable=False),
        sa.Column("rows", number, nullable=False),
        schema=side.schema,
    )  # fmt: skip
    last_build = sa.Table(LAST_BUILD, metadata, sa.Column("build", number, nullable=False), schema=side.schema)
    return checkpoint, served, replay, last_build


def ensure(connection: sa.Connection, side: Side) -> None:
    """Create the control tables where they are not there, and the columns that older ones lack."""
    checkpoint, *_ = tables(side)
    checkpoint.metadata.create_all(connection)
    known = _columns(connection, side)
    for name, kind in _ADDED.items():
        if name not in known:
            connection.exec_driver_sql(f"ALTER TABLE {quote(side.schema)}.{quote(CHECKPOINT)} ADD COLUMN {name} {kind}")


def exists(connection: sa.Connection, side: Side) -> bool:
    """Whether the side has control tables."""
    return bool(sa.inspect(connection).has_table(CHECKPOINT, schema=side.schema))


def checkpoints(connection: sa.Connection, side: Side) -> list[Checkpoint]:
    """Every build of a side, by view and number."""
    names = _columns(connection, side)
    if not names:
        return []
    table, *_ = tables(side)
    given = [one if one.name in names or one.name not in _ADDED else sa.null().label(one.name) for one in table.columns]
    rows = connection.execute(sa.select(*given).order_by(table.c.view, table.c.build)).mappings()
    return [Checkpoint(**row | {"position": Position(row["position"])}) for row in map(dict, rows)]


def _columns(connection: sa.Connection, side: Side) -> set[str]:
    """The columns of a side's checkpoints; none where it has no control tables."""
    try:
        found = sa.inspect(connection).get_columns(CHECKPOINT, schema=side.schema)
    except sa.exc.NoSuchTableError:
        return set()
    return {column["name"] for column in found}


def served(connection: sa.Connection, side: Side) -> dict[str, int]:
    """Which build of each view readers get."""
    if not exists(connection, side):
        return {}
    _, table, *_ = tables(side)
    return {row.view: row.build for row in connection.execute(sa.select(table))}


def served_position(connection: sa.Connection, side: Side, view: str) -> int:
    """The position of the build of a view that readers get; 0 where they get none."""
    table, served_table, *_ = tables(side)
    joined = table.join(served_table, (table.c.view == served_table.c.view) & (table.c.build == served_table.c.build))
    found = connection.execute(sa.select(table.c.position).select_from(joined).where(table.c.view == view))
    return int(found.scalar_one_or_none() or 0)


def add_build(
    connection: sa.Connection,
    side: Side,
    view: str,
    *,
    definition_hash: str,
    text: str,
    target: Position,
    history: str | None,
    keeps: int,
    columns: str,
) -> Checkpoint:
    """Number a new build, unique in its side, with a checkpoint of its own and a load that begins."""
    table, _, replay, last_build = tables(side)
    given = [connection.execute(sa.select(sa.func.max(one.c.build))).scalar_one() for one in (last_build, table)]
    number = max(number or 0 for number in given) + 1
    new = Checkpoint(view, number, Position(0), 1, definition_hash, text, secrets.token_hex(16), history, keeps,
                     columns=columns)  # fmt: skip
    connection.execute(last_build.delete())
    connection.execute(last_build.insert().values(build=new.build))
    connection.execute(
        table.insert().values(
            view=view,
            build=new.build,
            position=0,
            epoch=new.epoch,
            definition_hash=definition_hash,
            text=text,
            token=new.token,
            history=history,
            keeps=keeps,
            columns=columns,
        )
    )
    connection.execute(replay.delete().where(replay.c.view == view))
    connection.execute(replay.insert().values(view=view, build=new.build, target=target, rows=0))
    return new


def load_of(connection: sa.Connection, side: Side, view: str) -> Load | None:
    """The load of a view that is not done, and how far it has come."""
    _, _, replay, _ = tables(side)
    row = connection.execute(sa.select(replay).where(replay.c.view == view)).one_or_none()
    return None if row is None else Load(row.build, Position(row.target), row.rows)


def take_over(connection: sa.Connection, side: Side, view: str, build: int, *, keeps: int, columns: str) -> int:
    """Raise the epoch of a build, and so fence out whoever wrote it; gives the new epoch."""
    table, *_ = tables(side)
    here = (table.c.view == view) & (table.c.build == build)
    connection.execute(table.update().where(here).values(epoch=table.c.epoch + 1, keeps=keeps, columns=columns))
    return int(connection.execute(sa.select(table.c.epoch).where(here)).scalar_one())


def assert_epoch(connection: sa.Connection, side: Side, view: str, build: int, epoch: int) -> None:
    """
    Make sure, inside the transaction that writes, that this process still may.

    Raises:
        Fenced: another process raised the epoch; the transaction must be left.
    """
    table, *_ = tables(side)
    now = connection.execute(
        sa.select(table.c.epoch).where(table.c.view == view, table.c.build == build)
    ).scalar_one_or_none()
    if now != epoch:
        raise Fenced(f"{side.value}.{view}", build, epoch, now or 0)


def advance(  # noqa: PLR0917  (called with all of them, in this order)
    connection: sa.Connection, side: Side, builds: Sequence[Build], first: Position, last: Position,
    history: str | None,
) -> None:  # fmt: skip
    """
    Move the checkpoints of builds over a batch, in the transaction that writes its rows: of all, or of none.

    Raises:
        Fenced: another process raised an epoch.
        NotNext: a build is not right before `first`.
    """
    table, *_ = tables(side)
    known = sa.tuple_(table.c.view, table.c.build, table.c.epoch).in_(builds)
    here = known & (table.c.position == first - 1)
    if connection.execute(table.update().where(here).values(position=last, history=history)).rowcount == len(builds):
        return
    for view, build, epoch in builds:
        assert_epoch(connection, side, view, build, epoch)
        one = (table.c.view == view) & (table.c.build == build)
        position = connection.execute(sa.select(table.c.position).where(one)).scalar_one()
        if position != last:
            raise NotNext(f"{side.value}.{view}", build, position, first)


def record_load(connection: sa.Connection, side: Side, view: str, rows: int) -> None:
    """Say how many rows are loaded, in the transaction that loaded them."""
    _, _, replay, _ = tables(side)
    connection.execute(replay.update().where(replay.c.view == view).values(rows=rows))


def finish(connection: sa.Connection, side: Side, view: str, build: int, position: Position) -> None:
    """Move the checkpoint to the position that the rows are applied to."""
    table, _, replay, _ = tables(side)
    connection.execute(table.update().where(table.c.view == view, table.c.build == build).values(position=position))
    connection.execute(replay.delete().where(replay.c.view == view))


def previous(connection: sa.Connection, side: Side) -> dict[str, int]:
    """Which build of each view readers had before the one they get, where they had one."""
    if not exists(connection, side):
        return {}
    _, table, *_ = tables(side)
    return {row.view: row.previous for row in connection.execute(sa.select(table)) if row.previous is not None}


def set_served(connection: sa.Connection, side: Side, view: str, build: int, now: dt.datetime) -> int | None:
    """Say which build readers get, and until when the one before stays; gives the number of that."""
    checkpoint, table, *_ = tables(side)
    before = connection.execute(sa.select(table.c.build).where(table.c.view == view)).scalar_one_or_none()
    connection.execute(table.delete().where(table.c.view == view))
    connection.execute(table.insert().values(view=view, build=build, previous=before))
    of_view = checkpoint.c.view == view
    here = of_view & (checkpoint.c.build == build)
    keeps = connection.execute(sa.select(checkpoint.c.keeps).where(here)).scalar_one() or 0
    until = (now + dt.timedelta(seconds=keeps)).isoformat()
    connection.execute(checkpoint.update().where(of_view & (checkpoint.c.build == before)).values(kept=until))
    connection.execute(checkpoint.update().where(here).values(kept=None))
    return before


def forget(connection: sa.Connection, side: Side, view: str, builds: Iterable[int]) -> None:
    """Remove the checkpoints of dropped builds."""
    table, *_ = tables(side)
    connection.execute(table.delete().where(table.c.view == view, table.c.build.in_(list(builds))))


def forget_view(connection: sa.Connection, side: Side, view: str) -> None:
    """Say that readers get no build of a view, and that none is being loaded."""
    _, served_table, replay, _ = tables(side)
    for table in (served_table, replay):
        connection.execute(table.delete().where(table.c.view == view))
