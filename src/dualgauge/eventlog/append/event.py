"""
An event as an application writes it: what it takes, and as which values its fields are kept.

Nothing is rounded and nothing guessed: a value that its declared type does not hold is refused, with the field's name.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from dualgauge.eventlog.append.payload import canonical, same_payload, same_value, text_of
from dualgauge.eventlog.columns import CAUSED_BY
from dualgauge.eventlog.errors import BadEvent
from dualgauge.model import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

_BIGINT = 1 << 63
_EXACT: Final = Context(prec=80)
"""Twice the digits of the widest DECIMAL: Python's own context rounds at 28."""

_TOO_FINE: Final = re.compile(r"[.,]\d{6}\d*[1-9]")
"""A fraction of a second below a microsecond, which Python's parser drops."""

_LONGEST_SHOWN: Final = 60

_TOP = ("event_id", "type", "occurred_at", "caused_by", "fields")


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
class EventRow:
    """An event as it is kept: every declared column, and the payload's JSON text or None."""

    event_id: str
    type: str
    occurred_at: datetime
    payload: str | None
    columns: Mapping[str, Any]

    def differs(self, other: EventRow, absent: frozenset[str] = frozenset()) -> list[str]:
        """
        The columns in which two events of one id differ.

        `absent` were declared after the other one was taken in: it had them in its payload, or nowhere.
        """
        pairs = {"type": (self.type, other.type), "occurred_at": (self.occurred_at, other.occurred_at)}
        pairs |= {name: (value, other.columns.get(name)) for name, value in self.columns.items() if name not in absent}
        found = [name for name, (mine, theirs) in pairs.items() if not same_value(mine, theirs)]
        if not same_payload(self.payload, other.payload, absent):
            found.append("payload")
        return found


@dataclass(frozen=True, slots=True)
class Call:
    """How messages speak of a call's events: by their place in it, or by the `lines` that they were read from."""

    lines: Sequence[int] = ()

    def place(self, index: int) -> str:
        """The name of an event, by its index from 0."""
        return f"line {self.lines[index]:,}" if self.lines else f"event {index + 1:,} of this call"

    @property
    def nothing(self) -> str:
        """What was not done."""
        if self.lines:
            return f"nothing of lines {self.lines[0]:,} to {self.lines[-1]:,} was appended"
        return "nothing of this call was appended"


def row_of(event: Event, declared: Mapping[str, str], index: int, call: Call) -> EventRow:
    """
    An event as it is kept.

    Args:
        event: as it was given.
        declared: the log's declared columns and their DuckDB types.
        index: its place in the call, from 0, for the message.
        call: the call, for the message.

    Raises:
        BadEvent: a value does not fit.
    """
    try:
        given, rest = _sorted(event, declared)
        for name, text in (("event_id", event.event_id), ("type", event.type)):
            if not _named(f"its {name}", _string, text, ""):
                _refuse(f"its {name} is empty")
        moment = _named("its occurred_at", _instant, event.occurred_at)
        columns = {
            name: None
            if given.get(name) is None
            else _named(f"field {name!r}", _FITS[kind.partition("(")[0]], given[name], kind)
            for name, kind in declared.items()
        }
        for name, value in rest.items():
            # Each for itself, and only where there is one: the sentence names it.
            _named(f"field {name!r}", canonical, value)
        payload = canonical(rest) if rest else None
    except ValueError as fault:
        raise BadEvent(call.place(index), event.event_id, str(fault), call.nothing) from fault
    return EventRow(event.event_id, event.type, moment, payload, columns)


def _sorted(event: Event, declared: Mapping[str, str]) -> tuple[dict[str, object], dict[str, object]]:
    """An event's fields: the declared ones under their names, and the others."""
    names = {name.lower(): name for name in declared}
    given: dict[str, object] = {}
    rest: dict[str, object] = {}
    fields: Mapping[Any, object] = event.fields
    for name, value in fields.items():
        if not isinstance(name, str):
            _refuse(f"the field name {name!r} is no text")
        known = names.get(_named("the field name", text_of, name).lower())
        if known in given:
            _refuse(f"field {name!r} is there twice: column names are compared without case")
        (rest if known is None else given)[name if known is None else known] = value
    if event.caused_by is not None:
        if CAUSED_BY not in declared:
            _refuse('caused_by needs a column: declare caused_by = "VARCHAR" in [tool.dualgauge.log.columns]')
        if given.get(CAUSED_BY) is not None:
            _refuse("caused_by is there twice: among the fields, and by itself")
        given[CAUSED_BY] = event.caused_by
    return given, rest


def parse(line: bytes, declared: Mapping[str, str], index: int, call: Call) -> Event:
    """
    An event out of a line of JSON: {"event_id", "type", "occurred_at", "fields": {...}, "caused_by"}.

    Times are ISO 8601 (without a zone: UTC), DECIMAL values numbers or texts, BLOB values hex.

    Raises:
        BadEvent: the line is no such object.
    """
    given: Any = None
    try:
        text = line.decode("utf-8-sig").rstrip()
        given = json.loads(text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
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
            occurred_at=_named("its occurred_at", _moment, given["occurred_at"]),
            fields={name: _from_json(value, kinds.get(name.lower(), "")) for name, value in fields.items()},
            caused_by=given.get("caused_by"),
        )
    except (ValueError, RecursionError, InvalidOperation) as fault:
        event_id = given.get("event_id", "") if isinstance(given, dict) else ""
        match fault:
            case json.JSONDecodeError():
                reason = f"it is no JSON ({fault.msg} at character {fault.pos + 1})"
            case UnicodeDecodeError():
                reason = f"it is no UTF-8 (byte {fault.start + 1})"
            case InvalidOperation():
                reason = "it holds a number that is out of all bounds"
            case RecursionError():
                reason = "it is nested too deep"
            case _:
                reason = str(fault)
        raise BadEvent(call.place(index), event_id, reason, call.nothing) from fault


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        _refuse(f"{next(one for one in names if names.count(one) > 1)!r} is there twice in one object")
    return made


def _named(name: str, made: Callable[..., T], value: object, *more: object) -> T:
    """Call a function that says what is wrong with a value, and put the value and its name in front."""
    try:
        return made(value, *more)
    except ValueError as fault:
        raise ValueError(f"{name} = {_shown(value)} {fault}") from fault


def _shown(value: object) -> str:
    try:
        shown = f"{value}" if isinstance(value, date | Decimal) else repr(value)
    except (ValueError, RecursionError):
        # Python writes no int of thousands of digits, and nothing nested without end.
        return f"({type(value).__name__})"
    return f"{shown[:_LONGEST_SHOWN]}..." if len(shown) > _LONGEST_SHOWN else shown


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _whole(value: object, kind: str) -> int:  # noqa: ARG001  (one signature for all kinds)
    if isinstance(value, bool) or not isinstance(value, int) or not -_BIGINT <= value < _BIGINT:
        _refuse("is no BIGINT: a whole number of 64 bits")
    return value


def _double(value: object, kind: str) -> float:  # noqa: ARG001
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("is no DOUBLE: a float of 64 bits")
    try:
        if isinstance(value, float) or int(float(value)) == value:
            return float(value)
    except OverflowError:
        pass
    _refuse("does not fit into DOUBLE without loss")


def _decimal(value: object, kind: str) -> Decimal:
    precision, scale = (int(part) for part in kind[len("DECIMAL(") : -1].split(","))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        _refuse(f"is no {kind}: a Decimal or an int (a float has no exact digits)")
    try:
        exact = Decimal(value)
        made = exact.quantize(Decimal((0, (1,), -scale)), context=_EXACT)
        fits = made == exact and made.adjusted() < precision - scale
    except InvalidOperation:
        fits, made = False, Decimal()
    if not fits:
        _refuse(f"does not fit into {kind} without loss")
    return made


def _string(value: object, kind: str) -> str:  # noqa: ARG001
    if not isinstance(value, str):
        _refuse("is no VARCHAR: a text")
    return text_of(value)


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
        _refuse("is no TIMESTAMP: a time without a zone, to the microsecond")
    return value


def _zoned(value: object, kind: str) -> datetime:  # noqa: ARG001
    return _instant(value)


def _bytes(value: object, kind: str) -> bytes:  # noqa: ARG001
    if not isinstance(value, bytes | bytearray | memoryview):
        _refuse("is no BLOB: bytes")
    return bytes(value)


_FITS: dict[str, Callable[[object, str], object]] = {
    "BIGINT": _whole, "DOUBLE": _double, "DECIMAL": _decimal, "VARCHAR": _string, "BOOLEAN": _truth, "DATE": _day,
    "TIMESTAMP": _local, "TIMESTAMPTZ": _zoned, "BLOB": _bytes,
}  # fmt: skip


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        _refuse("is no TIMESTAMPTZ: a time with its zone, to the microsecond")
    try:
        return value.astimezone(UTC)
    except OverflowError as fault:
        raise ValueError("is not in the years 1 to 9999, told in UTC") from fault


def _from_json(value: object, kind: str) -> object:  # noqa: PLR0911  (one row a type reads best)
    """A JSON value as the Python value that its declared type takes; undeclared ones stay as they are."""
    if kind == "DOUBLE" and isinstance(value, Decimal):
        made = float(value)
        return made if math.isfinite(made) else value
    if not isinstance(value, str):
        return value
    try:
        match kind.partition("(")[0]:
            case "DECIMAL":
                return Decimal(value)
            case "DATE":
                return date.fromisoformat(value)
            case "TIMESTAMP":
                return _fine(value)
            case "TIMESTAMPTZ":
                return _moment(value)
            case "BLOB":
                return bytes.fromhex(value)
    except (ValueError, InvalidOperation):
        # It is refused as the text that it is, with the field's name.
        return value
    return value


def _moment(value: object) -> datetime:
    found = _fine(value)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _fine(value: object) -> datetime:
    """A time out of a text, with every digit of it."""
    if not isinstance(value, str) or _TOO_FINE.search(value):
        _refuse("is no time (ISO 8601, as 2026-01-31T12:00:00Z, to the microsecond)")
    try:
        return datetime.fromisoformat(value)
    except ValueError as fault:
        raise ValueError("is no time (ISO 8601, as 2026-01-31T12:00:00Z, to the microsecond)") from fault


def _no_number(text: str) -> object:
    _refuse(f"{text} is no JSON number")
