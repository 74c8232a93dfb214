"""
What a tail last said of the builds that it keeps: how quickly it goes, and at what it stopped.

`_dualgauge_tail` lies in each side's own database and is written by the process that holds the side. It is for those
who look on, and nothing rests on it: how far a build is, its checkpoint says.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from dualgauge.model import Position, Side
from dualgauge.stores.serving import writers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.stores.serving.writers import Lease

TAIL: Final = "_dualgauge_tail"


@dataclass(frozen=True, slots=True)
class TailState:
    """
    One build under a tail, as of a time.

    `rate`: events a second while it had any to apply; None where it had none yet. `error`: what stopped it behind
    `error_position`; empty where it goes on.
    """

    view: str
    build: int
    at: dt.datetime
    rate: float | None = None
    error: str = ""
    error_position: Position | None = None


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
    made.create(connection, checkfirst=True)
    connection.execute(made.delete())
    if states:
        rows = [
            {
                "view": one.view, "build": one.build, "at": one.at.isoformat(), "rate": one.rate, "error": one.error,
                "error_position": one.error_position,
            }
            for one in states
        ]  # fmt: skip
        connection.execute(made.insert(), rows)


def states(connection: sa.Connection, side: Side) -> list[TailState]:
    """What was last said of each build; nothing where no tail ever said anything."""
    if not sa.inspect(connection).has_table(TAIL, schema=side.schema):
        return []
    return [
        TailState(
            row.view, row.build, dt.datetime.fromisoformat(row.at), row.rate, row.error,
            None if row.error_position is None else Position(row.error_position),
        )
        for row in connection.execute(sa.select(table(side)))
    ]  # fmt: skip
