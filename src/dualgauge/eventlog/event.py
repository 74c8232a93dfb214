"""
An event as an application writes it: what it takes, and as which values its fields are kept.

Nothing is rounded and nothing guessed: a value that its declared type does not hold is refused, with the field's name.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn

from dualgauge.eventlog.errors import BadEvent
from dualgauge.model import jsonable, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BIGINT = 1 << 63
_TOP = ("event_id", "type", "occurred_at", "caused_by", "fields")

CAUSED_BY = "caused_by"
"""The column that names an event's cause, where it is declared."""


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event to append.

    Args:
        event_id: unique over the whole log; appending the same event again gives the position it has.
        type: what happened.
        occurred_at: when, with its zone.
        fields: declared columns by name, and whatever else shall be kept: that becomes JSON in `payload`.
        caused_by: the id of the event that this one follows from; needs the declared column `caused_by`.
    """

    event_id: str
    type: str
    occurred_at: datetime
    fields: Mapping[str, object] = field(default_factory=dict)
    caused_by: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An event as it is kept: every declared column, and the payload's JSON text or None."""

    event_id: str
    type: str
    occurred_at: datetime
    payload: str | None
    columns: Mapping[str, Any]

    def differs(self, other: Row, absent: frozenset[str] = frozenset()) -> list[str]:
        """
        The columns in which two events of one id differ.

        `absent` were declared after the other one was taken in: it had them in its payload, or nowhere.
        """
        pairs = {"type": (self.type, other.type), "occurred_at": (self.occurred_at, other.occurred_at)}
        pairs |= {name: (value, other.columns.get(name)) for name, value in self.columns.items() if name not in absent}
        found = [name for name, (mine, theirs) in pairs.items() if not _same(mine, theirs)]
        if _without(self.payload, absent) != _without(other.payload, absent):
            found.append("payload")
        return found


def row_of(event: Event, declared: Mapping[str, str], number: int) -> Row:
    """
    An event as it is kept.

    Args:
        event: as it was given.
        declared: the log's declared columns and their DuckDB types.
        number: its place in the call, from 1, for the message.

    Raises:
        BadEvent: a value does not fit.
    """
    try:
        names = {name.lower(): name for name in declared}
        given: dict[str, object] = {}
        rest: dict[str, object] = {}
        for name, value in event.fields.items():
            known = names.get(name.lower())
            if known in given:
                _refuse(f"field {name!r} is there twice: column names are compared without case")
            (rest if known is None else given)[name if known is None else known] = value
        if event.caused_by is not None:
            if CAUSED_BY not in declared:
                _refuse('caused_by needs a column: declare caused_by = "VARCHAR" in [tool.dualgauge.log.columns]')
            given[CAUSED_BY] = event.caused_by
        columns = {name: _field(name, given.get(name), kind) for name, kind in declared.items()}
        for name, text in (("event_id", event.event_id), ("type", event.type)):
            if not _is_text(text):
                _refuse(f"its {name} is {text!r}, and must be a text that is not empty")
            _text(text)
        moment = _instant(event.occurred_at)
        payload = _json(rest) if rest else None
    except ValueError as fault:
        raise BadEvent(number, event.event_id, str(fault)) from fault
    return Row(event.event_id, event.type, moment, payload, columns)


def parse(line: str, declared: Mapping[str, str], number: int) -> Event:
    """
    An event out of a line of JSON: {"event_id", "type", "occurred_at", "fields": {...}, "caused_by"}.

    Times are ISO 8601 (without a zone: UTC), DECIMAL values numbers or texts, BLOB values hex.

    Raises:
        BadEvent: the line is no such object.
    """
    given: Any = None
    try:
        given = json.loads(line, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
        if not isinstance(given, dict):
            _refuse("the line holds no JSON object")
        if unknown := [name for name in given if name not in _TOP]:
            _refuse(f"{listed(unknown)}: what is no part of the envelope ({listed(_TOP)}) belongs into fields")
        if absent := [name for name in _TOP[:3] if given.get(name) is None]:
            _refuse(f"{listed(absent)} is missing")
        fields = given.get("fields", {})
        if not isinstance(fields, dict):
            _refuse("fields is no JSON object")
        kinds = {name.lower(): kind for name, kind in declared.items()}
        return Event(
            event_id=given["event_id"],
            type=given["type"],
            occurred_at=_moment(given["occurred_at"]),
            fields={name: _from_json(value, kinds.get(name.lower(), "")) for name, value in fields.items()},
            caused_by=given.get("caused_by"),
        )
    except json.JSONDecodeError as fault:
        raise BadEvent(number, "", f"the line is no JSON ({fault.msg} at character {fault.pos + 1})") from fault
    except (ValueError, RecursionError) as fault:
        event_id = given.get("event_id", "") if isinstance(given, dict) else ""
        raise BadEvent(number, str(event_id), str(fault)) from fault


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        _refuse(f"{next(one for one in names if names.count(one) > 1)!r} is there twice in one object")
    return made


def _field(name: str, value: object, kind: str) -> object:
    if value is None:
        return None
    try:
        return _FITS[kind.partition("(")[0]](value, kind)
    except ValueError as fault:
        shown = repr(value)
        most = 60
        shown = f"{shown[:most]}..." if len(shown) > most else shown
        raise ValueError(f"field {name!r} = {shown} {fault}") from fault


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _whole(value: object, kind: str) -> int:  # noqa: ARG001  (one signature for all kinds)
    if isinstance(value, bool) or not isinstance(value, int) or not -_BIGINT <= value < _BIGINT:
        _refuse("is no BIGINT: a whole number of 64 bits")
    return value


def _double(value: object, kind: str) -> float:  # noqa: ARG001
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("is no DOUBLE: a float")
    made = float(value)
    if isinstance(value, int) and int(made) != value:
        _refuse("does not fit into DOUBLE without loss")
    return made


def _decimal(value: object, kind: str) -> Decimal:
    precision, scale = (int(part) for part in kind[len("DECIMAL(") : -1].split(","))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        _refuse(f"is no {kind}: a Decimal or an int (a float has no exact digits)")
    try:
        exact = Decimal(value)
        made = exact.quantize(Decimal(1).scaleb(-scale))
        fits = made == exact and made.is_finite() and abs(made) < Decimal(10) ** (precision - scale)
    except InvalidOperation:
        fits, made = False, Decimal()
    if not fits:
        _refuse(f"does not fit into {kind} without loss")
    return made


def _string(value: object, kind: str) -> str:  # noqa: ARG001
    if not isinstance(value, str):
        _refuse("is no VARCHAR: a text")
    return _text(value)


def _truth(value: object, kind: str) -> bool:  # noqa: ARG001
    if not isinstance(value, bool):
        _refuse("is no BOOLEAN: true or false")
    return value


def _day(value: object, kind: str) -> date:  # noqa: ARG001
    if not isinstance(value, date) or isinstance(value, datetime):
        _refuse("is no DATE")
    return value


def _local(value: object, kind: str) -> datetime:  # noqa: ARG001
    if not isinstance(value, datetime) or value.tzinfo is not None:
        _refuse("is no TIMESTAMP: a time without a zone")
    return value


def _zoned(value: object, kind: str) -> datetime:  # noqa: ARG001
    if not isinstance(value, datetime) or value.tzinfo is None:
        _refuse("is no TIMESTAMPTZ: a time with its zone")
    return _instant(value)


def _bytes(value: object, kind: str) -> bytes:  # noqa: ARG001
    if not isinstance(value, bytes | bytearray | memoryview):
        _refuse("is no BLOB: bytes")
    return bytes(value)


_FITS: dict[str, Callable[[object, str], object]] = {
    "BIGINT": _whole, "DOUBLE": _double, "DECIMAL": _decimal, "VARCHAR": _string, "BOOLEAN": _truth, "DATE": _day,
    "TIMESTAMP": _local, "TIMESTAMPTZ": _zoned, "BLOB": _bytes,
}  # fmt: skip


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as fault:
        raise ValueError("holds half of a character (a lone surrogate), which has no UTF-8") from fault
    return value


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        _refuse(f"its time {value!r} is no time with its zone")
    try:
        return value.astimezone(UTC)
    except OverflowError as fault:
        raise ValueError(f"the time {value} is not in the years 1 to 9999") from fault


def _from_json(value: object, kind: str) -> object:  # noqa: PLR0911  (one row a type reads best)
    """A JSON value as the Python value that its declared type takes; undeclared ones stay as they are."""
    if kind == "DOUBLE" and isinstance(value, Decimal):
        return float(value)
    if not isinstance(value, str):
        return value
    try:
        match kind.partition("(")[0]:
            case "DECIMAL":
                return Decimal(value)
            case "DATE":
                return date.fromisoformat(value)
            case "TIMESTAMP":
                return datetime.fromisoformat(value)
            case "TIMESTAMPTZ":
                return _moment(value)
            case "BLOB":
                return bytes.fromhex(value)
    except (ValueError, InvalidOperation):
        # It is refused as the text that it is, with the field's name.
        return value
    return value


def _moment(value: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as fault:
        raise ValueError(f"{value!r} is no time (ISO 8601, as 2026-01-31T12:00:00Z)") from fault
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _no_number(text: str) -> object:
    _refuse(f"{text} is no JSON number")


def _json(value: object) -> str:  # noqa: PLR0911  (one row a type reads best)
    """Canonical JSON that keeps every digit of a number."""
    match value:
        case dict():
            pairs = sorted((str(name), one) for name, one in value.items())
            return "{" + ",".join(f"{_quoted(name)}:{_json(one)}" for name, one in pairs) + "}"
        case list() | tuple():
            return "[" + ",".join(_json(one) for one in value) + "]"
        case str():
            return _quoted(value)
        case float() if not math.isfinite(value):
            return str(_no_number(str(value)))
        case None | bool() | int() | float():
            return json.dumps(value)
        case Decimal() if value.is_finite():
            return str(value)
        case _:
            plain = jsonable(value)
            return _json(plain) if isinstance(plain, dict | list) else _quoted(str(plain))


def _quoted(text: str) -> str:
    return json.dumps(_text(text), ensure_ascii=False)


def _without(payload: str | None, absent: frozenset[str]) -> object:
    """A payload's content, however it is written; an empty one is as good as none."""
    if payload is None:
        return {}
    content = json.loads(payload, parse_float=Decimal)
    return {name: one for name, one in content.items() if name not in absent} if isinstance(content, dict) else content


def _same(mine: object, theirs: object) -> bool:
    if isinstance(mine, float) and isinstance(theirs, float) and math.isnan(mine):
        return math.isnan(theirs)
    return mine == theirs
