"""Point reads: what an application asks. Light: no engine, no Arrow."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from dualgauge.model import Side, quote
from dualgauge.stores import control
from dualgauge.stores.errors import BadKey, NotBuilt
from dualgauge.stores.shapes import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence


def key_columns(connection: sa.Connection, side: Side, view: str) -> list[sa.Column[Any]]:
    """
    The columns that identify a row, from the shape in the store.

    Raises:
        NotBuilt: the store has no such view.
    """
    try:
        shape = sa.Table(view + SUFFIX, sa.MetaData(), autoload_with=connection, schema=side.schema)
    except sa.exc.NoSuchTableError as fault:
        raise NotBuilt(f"{side.value}.{view}") from fault
    return list(shape.primary_key.columns)


def read(connection: sa.Connection, side: Side, view: str, key: Sequence[str]) -> dict[str, Any] | None:
    """
    The row of a key as readers see it, values as they are stored; None where there is none.

    Args:
        connection: a read transaction.
        side: which side answers.
        view: the view's name.
        key: the key's parts as text, in the key's order.

    Raises:
        NotBuilt: the view has no build that is served.
        BadKey: too many or too few parts, or one that its column cannot hold.
    """
    if view not in control.served(connection, side):
        raise NotBuilt(f"{side.value}.{view}")
    columns = key_columns(connection, side, view)
    names = [column.name for column in columns]
    label = f"{side.value}.{view}"
    if len(key) != len(columns):
        raise BadKey(label, names, f"{len(key)} key values were given")
    where = " AND ".join(f"{quote(name)} = ?" for name in names)
    values = tuple(_value(label, names, column, text) for column, text in zip(columns, key, strict=True))
    found = connection.exec_driver_sql(
        f"SELECT * FROM {quote(side.schema)}.{quote(view)} WHERE {where}",  # noqa: S608  (names quoted, values bound)
        values,
    ).one_or_none()
    return None if found is None else dict(found._mapping)


def _value(view: str, names: Sequence[str], column: sa.Column[Any], text: str) -> object:
    """A key's part as its column stores it."""
    try:
        match column.type:
            case sa.Boolean():
                return {"true": 1, "1": 1, "false": 0, "0": 0}[text.lower()]
            case sa.Integer():
                return int(text)
            case sa.Double() | sa.Float():
                return float(text)
            case sa.Numeric():
                return str(Decimal(text))
            case sa.Date():
                return dt.date.fromisoformat(text).isoformat()
            case sa.DateTime():
                return _stamp(text)
            case sa.Uuid():
                return str(UUID(text))
            case _:
                return text
    except (ValueError, KeyError, InvalidOperation) as fault:
        raise BadKey(view, names, f"{text!r} is no value of {column.name!r} ({str(column.type).lower()})") from fault


def _stamp(text: str) -> str:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
