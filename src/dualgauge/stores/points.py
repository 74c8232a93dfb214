"""Point reads: what an application asks. Light: no engine, no Arrow."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from dualgauge.model import Side, quote
from dualgauge.stores.errors import BadKey, NotBuilt
from dualgauge.stores.shapes import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence


class Reader:
    """
    Point reads of one side through one open connection: for an application that reads often.

    Each read is a statement of its own, so it sees the build that is served at that moment. Not shared between threads.
    """

    def __init__(self, engine: sa.Engine, side: Side) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._raw: Any = self._connection.connection.driver_connection
        self._side = side
        self._keys: dict[str, list[sa.Column[Any]]] = {}
        self._statements: dict[str, str] = {}

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def key_columns(self, view: str) -> list[sa.Column[Any]]:
        """
        The columns that identify a row, from the shape in the store.

        Raises:
            NotBuilt: the store has no such view.
        """
        if view not in self._keys:
            try:
                shape = sa.Table(view + SUFFIX, sa.MetaData(), autoload_with=self._connection, schema=self._side.schema)
            except sa.exc.NoSuchTableError as fault:
                raise NotBuilt(f"{self._side.value}.{view}") from fault
            self._keys[view] = list(shape.primary_key.columns)
            where = " AND ".join(f"{quote(column.name)} = ?" for column in self._keys[view])
            relation = f"{quote(self._side.schema)}.{quote(view)}"
            self._statements[view] = f"SELECT * FROM {relation} WHERE {where}"  # noqa: S608  (names quoted, values bound)
        return self._keys[view]

    def get(self, view: str, key: Sequence[str]) -> dict[str, Any] | None:
        """
        The row of a key as readers see it, values as they are stored; None where there is none.

        Args:
            view: the view's name.
            key: the key's parts as text, in the key's order.

        Raises:
            NotBuilt: the view has no build that is served.
            BadKey: too many or too few parts, or one that its column cannot hold.
        """
        columns = self.key_columns(view)
        names = [column.name for column in columns]
        label = f"{self._side.value}.{view}"
        if len(key) != len(columns):
            raise BadKey(label, names, f"{len(key)} key values were given")
        values = tuple(_value(label, names, column, text) for column, text in zip(columns, key, strict=True))
        try:
            cursor = self._raw.execute(self._statements[view], values)
        except self._raw.OperationalError as fault:
            if "no such table" in str(fault):
                # The shape is there, and no replay has finished.
                raise NotBuilt(label) from fault
            raise
        found = cursor.fetchone()
        return None if found is None else dict(zip((one[0] for one in cursor.description), found, strict=True))


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
