"""
Who brings a side's builds forward: one process at a time, for as long as its lease lasts.

`_dualgauge_writer` lies in the side's own database. Whoever takes the side, from nobody or from one whose lease has run
out, raises the epoch of every build that is whole, in the same transaction: what the one before still writes asserts
its epoch, and is refused.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from dualgauge.model import is_gone
from dualgauge.stores.errors import LeaseLost, NobodyHolds, SideHeld
from dualgauge.stores.serving import checkpoints

if TYPE_CHECKING:
    from dualgauge.model import Side

WRITER: Final = "_dualgauge_writer"


@dataclass(frozen=True, slots=True)
class Lease:
    """A side that a process holds. `until` is when another may take it, unless it is renewed."""

    side: Side
    holder: str
    epoch: int
    until: dt.datetime

    def holds(self, now: dt.datetime) -> bool:
        """Whether its time is not over, and its process not known to be gone: one of this machine can be looked for."""
        return self.until > now and not is_gone(self.holder)


@cache
def table(side: Side) -> sa.Table:
    """The table of a side's writer; it has one row."""
    return sa.Table(
        WRITER, sa.MetaData(),
        sa.Column("side", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lease_until", sa.Text, nullable=False),
        schema=side.schema,
    )  # fmt: skip


def holder(connection: sa.Connection, side: Side) -> Lease | None:
    """Who holds a side, or held it last; None where nobody ever did."""
    return _holder(connection, side) if sa.inspect(connection).has_table(WRITER, schema=side.schema) else None


def _holder(connection: sa.Connection, side: Side) -> Lease | None:
    row = connection.execute(sa.select(table(side))).one_or_none()
    return None if row is None else Lease(side, row.holder, row.epoch, _until(row.lease_until))


def _until(text: str) -> dt.datetime:
    """When a lease ends; one whose end nobody can read is over."""
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def is_held(connection: sa.Connection, side: Side, now: dt.datetime) -> bool:
    """Whether a process brings a side forward."""
    found = holder(connection, side)
    return found is not None and found.holds(now)


def take(connection: sa.Connection, side: Side, name: str, now: dt.datetime, until: dt.datetime) -> Lease:
    """
    Take a side, and raise the epoch of each of its builds that is whole.

    Raises:
        SideHeld: another process holds it.
    """
    checkpoints.ensure(connection, side)
    table(side).create(connection, checkfirst=True)
    before = holder(connection, side)
    if before is not None and before.holds(now) and before.holder != name:
        raise SideHeld(side.value, before.holder, before.until)
    lease = Lease(side, name, before.epoch + 1 if before else 1, until)
    connection.execute(table(side).delete())
    connection.execute(table(side).insert().values(_row(lease)))
    checkpoint, *_ = checkpoints.tables(side)
    connection.execute(checkpoint.update().where(checkpoint.c.position > 0).values(epoch=checkpoint.c.epoch + 1))
    return lease


def assert_held(connection: sa.Connection, lease: Lease) -> None:
    """
    Make sure, inside the transaction that writes, that nobody has taken the side meanwhile.

    Raises:
        LeaseLost: another process has.
        NobodyHolds: it is not held by this one any more, nor by another one.
    """
    # A lease was taken, so the table is there, unless an older database was put back: asked in every transaction, it is
    # not looked for.
    try:
        now = _holder(connection, lease.side)
    except sa.exc.OperationalError as fault:
        if WRITER not in str(fault.orig):
            raise
        raise NobodyHolds(lease.side.value) from fault
    if now is None or (now.holder, now.epoch) != (lease.holder, lease.epoch):
        # Whoever takes a side raises its epoch: one that is no higher is of an older database.
        if now is None or now.epoch <= lease.epoch:
            raise NobodyHolds(lease.side.value)
        raise LeaseLost(lease.side.value, now.holder)


def renew(connection: sa.Connection, lease: Lease, until: dt.datetime) -> Lease:
    """
    Let a lease last longer; in the past, it is over.

    Raises:
        LeaseLost: another process has taken the side.
    """
    assert_held(connection, lease)
    new = Lease(lease.side, lease.holder, lease.epoch, until)
    connection.execute(table(lease.side).update().values(_row(new)))
    return new


def _row(lease: Lease) -> dict[str, object]:
    return {
        "side": lease.side.value, "holder": lease.holder, "epoch": lease.epoch, "lease_until": lease.until.isoformat()
    }  # fmt: skip
