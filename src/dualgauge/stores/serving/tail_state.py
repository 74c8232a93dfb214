"""
What a tail last said of the builds that it keeps: how quickly it goes, and at what it stopped.

`_dualgauge_tail` lies in each side's own database and is written by the process that holds the side. It is for those
who look on, and nothing rests on it: how far a build is, its checkpoint says.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from dualgauge.model import AsJson, Position, Side
from dualgauge.stores.serving import writers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.stores.serving.writers import Lease

TAIL: Final = "_dualgauge_tail"


@dataclass(frozen=True, slots=True)
class HotKey(AsJson):
    """A key that many of a view's newest events go to: its columns' values as text, and about which share."""

    key: Mapping[str, str]
    share: float

    @property
    def label(self) -> str:
        """What messages call it: `customer 7 and month 2026-01`."""
        return " and ".join(f"{name} {value}" for name, value in self.key.items())


@dataclass(frozen=True, slots=True)
class TailState:
    """
    One build under a tail, as of a time.

    `rate`: events a second while it had any to apply; None where it had none yet. `error`: what stopped it behind
    `error_position`; empty where it goes on. `hot_keys`: see `HotKey`.
    """

    view: str
    build: int
    at: dt.datetime
    rate: float | None = None
    error: str = ""
    error_position: Position | None = None
    hot_keys: tuple[HotKey, ...] = ()


@cache
def table(side: Side) -> sa.Table:
    """The table of a side's builds under a tail."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Table(
        TAIL, sa.MetaData(),
        sa.Column("view", sa.Text, primary_key=True),
        sa.Column("build", number, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("error_position", number),
        sa.Column("hot_keys", sa.Text, nullable=False),
        schema=side.schema,
    )  # fmt: skip


def record(connection: sa.Connection, lease: Lease, states: Sequence[TailState]) -> None:
    """
    Put what a tail says of all builds of a side in the place of what was said before.

    Raises:
        LeaseLost: another process has taken the side.
    """
    writers.assert_held(connection, lease)
    made = table(lease.side)
    if not _is_there(connection, lease.side):
        # There is none, or one of an older dualgauge, of which nothing is kept.
        made.drop(connection, checkfirst=True)
        made.create(connection)
    connection.execute(made.delete())
    if states:
        rows = [
            {
                "view": one.view, "build": one.build, "at": one.at.isoformat(), "rate": one.rate, "error": one.error,
                "error_position": one.error_position,
                "hot_keys": json.dumps([hot.to_json() for hot in one.hot_keys]),
            }
            for one in states
        ]  # fmt: skip
        connection.execute(made.insert(), rows)


def states(connection: sa.Connection, side: Side) -> list[TailState]:
    """What was last said of each build; nothing where no tail of this version ever said anything."""
    if not _is_there(connection, side):
        return []
    return [
        TailState(
            row.view, row.build, dt.datetime.fromisoformat(row.at), row.rate, row.error,
            None if row.error_position is None else Position(row.error_position),
            tuple(HotKey(**one) for one in json.loads(row.hot_keys)),
        )
        for row in connection.execute(sa.select(table(side)))
    ]  # fmt: skip


def _is_there(connection: sa.Connection, side: Side) -> bool:
    """Whether the table is there, with all of its columns."""
    look = sa.inspect(connection)
    if not look.has_table(TAIL, schema=side.schema):
        return False
    return {one["name"] for one in look.get_columns(TAIL, schema=side.schema)} == set(table(side).columns.keys())
