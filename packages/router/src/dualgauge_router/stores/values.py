"""
Values of the serving store: what a type of DuckDB is in SQLite, and which Python value it is.

A type has one Python type, whichever store holds it: DECIMAL is `Decimal` with the digits that the type has, TIMESTAMP
`datetime`, with a zone (UTC) where the type has one, DATE, TIME and UUID what they are called, JSON, LIST and STRUCT
lists and dicts. A number of JSON that is not whole is a `Decimal`: no digit is lost.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import struct
import uuid
from decimal import Context, Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from dualgauge_router.stores.long_decimals import SQLITE_DIGITS, written
from dualgauge_router.stores.uuids import uuid_text

if TYPE_CHECKING:
    from collections.abc import Callable

_DECIMAL: Final = re.compile(r"(?:DECIMAL|NUMERIC|DECIMAL_BLOB)\((\d+), ?(\d+)\)")
_FIELD_NAME: Final = re.compile(r'("(?:[^"]|"")*"|\S+)\s+')
_WIDE: Final = Context(prec=60)

_INTEGERS: Final = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT",
)  # fmt: skip
_STAMPS: Final = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "DATETIME")
_ZONED: Final = "TIMESTAMP WITH TIME ZONE"
_TRUTHS: Final = {"true": 1, "1": 1, "false": 0, "0": 0}

_MOST: Final = 2**63


def inner_kinds(kind: str) -> dict[str, str]:
    """The types right inside a LIST, an ARRAY (named by nothing) or a STRUCT, by the names of the fields."""
    if kind.endswith("]"):
        return {"": kind[: kind.rindex("[")]}
    fields, depth, quoted, start = [], 0, "", len("STRUCT(")
    for place, character in enumerate(kind[start:-1] + ",", start=start):
        if quoted:
            quoted = "" if character == quoted else quoted
        elif character in "\"'":
            quoted = character
        elif character == "," and depth == 0:
            fields.append(kind[start:place].strip())
            start = place + 1
        depth += (character == "(") - (character == ")") if not quoted else 0
    named = {}
    for field in fields:
        found = _FIELD_NAME.match(field)
        name = found[1] if found else ""
        named[name[1:-1].replace('""', '"') if name.startswith('"') else name] = field[found.end() if found else 0 :]
    return named


def is_json(kind: str) -> bool:
    """Whether a store keeps a type as JSON: of a value, nobody can tell the text that is kept."""
    return kind == "JSON" or kind.endswith("]") or kind.startswith("STRUCT(")


@cache
def decoder(kind: str) -> Callable[[Any], Any] | None:
    """What makes the Python value of what SQLite holds of a type; None where it is that already. NULL is None."""
    if is_json(kind):
        inner = _nested(kind)
        return lambda text: inner(json.loads(text, parse_float=Decimal))
    if match := _DECIMAL.fullmatch(kind):
        return _decimals(int(match[2]))
    if kind in _STAMPS:
        return dt.datetime.fromisoformat
    return _DECODERS.get(kind)


def _decimals(scale: int) -> Callable[[Any], Decimal]:
    """Decimals with so many digits behind the point."""
    unit = Decimal(1).scaleb(-scale)

    def decimal(value: object) -> Decimal:
        # A REAL has as many digits as the decimal that it was made of.
        number = Decimal(f"{value:.{SQLITE_DIGITS}g}") if isinstance(value, float) else Decimal(value)  # type: ignore[arg-type]
        return number.quantize(unit, context=_WIDE)

    return decimal


def _in_utc(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


_DECODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "BOOLEAN": bool, "FLOAT": float, "DOUBLE": float, "UUID": uuid.UUID, "DATE": dt.date.fromisoformat,
    "TIME": dt.time.fromisoformat, _ZONED: _in_utc,
}  # fmt: skip


def _nested(kind: str) -> Callable[[Any], Any]:
    """What makes the Python value of a type of what `json.loads` gives of it."""
    if kind.endswith("]"):
        one = _nested(inner_kinds(kind)[""])
        return lambda value: None if value is None else [one(each) for each in value]
    if kind.startswith("STRUCT("):
        fields = {name: _nested(inner) for name, inner in inner_kinds(kind).items()}
        return lambda value: (
            None
            if value is None
            else {name: fields[name](one) if name in fields else one for name, one in value.items()}
        )
    made = None if kind == "JSON" else decoder(kind)
    if made is None:
        return lambda value: value
    return lambda value: None if value is None else made(value)


_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[ \t\r\n]+')
"""The texts in JSON, and the blanks between its values."""


def bound(kind: str, value: object) -> object:
    """
    What SQLite holds of a value of a type, for a comparison; None where no column holds the value.

    A text is read as the command line reads it, so that the part of a path may be given as it came; of JSON, a LIST or
    a STRUCT it is the text of its JSON. A time is one as the other side may have it: a date is its midnight, and one
    without a zone is in UTC.

    Raises:
        ValueError: it is no value of the type.
    """
    try:
        found = _of_text(kind, value) if isinstance(value, str) else _of_value(kind, value)
    except (ArithmeticError, KeyError, OverflowError, struct.error, TypeError) as fault:
        raise ValueError(value) from fault
    return found


def _of_text(kind: str, text: str) -> object:  # noqa: PLR0911  (one row a type reads best)
    if kind == "BOOLEAN":
        return _TRUTHS[text.lower()]
    if kind in _INTEGERS:
        return _number(int(text))
    if kind in ("FLOAT", "DOUBLE"):
        return _real(kind, float(text))
    if match := _DECIMAL.fullmatch(kind):
        # None is the key of no row: the column holds no number of so many digits.
        return written(text, int(match[2]))
    if kind in (*_STAMPS, _ZONED):
        return _stamp(dt.datetime.fromisoformat(text))
    if kind == "DATE":
        return dt.date.fromisoformat(text).isoformat()
    if kind == "TIME":
        return dt.time.fromisoformat(text).isoformat("microseconds")
    if kind == "BLOB":
        # As JSON output writes it.
        return bytes.fromhex(text)
    text.encode()  # what is no text, as from broken arguments, SQLite could not take
    if is_json(kind):
        json.loads(text, parse_int=str, parse_float=str)
        # What a source gave as JSON is kept as it came; what the engine makes of a list has one spelling.
        found = text if kind == "JSON" else _TOKENS.sub(_as_kept, text)
        found.encode()  # half a character may have come of an escape
        return found
    return (uuid_text(text) or text) if kind == "UUID" else text


def _as_kept(found: re.Match[str]) -> str:
    """A text in JSON as the engine writes it; blanks between values are none."""
    return json.dumps(json.loads(found[0]), ensure_ascii=False) if found[0].startswith('"') else ""


def _of_value(kind: str, value: object) -> object:  # noqa: PLR0911  (one row a type reads best)
    if isinstance(value, dt.date) and kind in (*_STAMPS, _ZONED, "DATE"):
        return _of_moment(kind, value)
    match value:
        case bool():
            if kind == "BOOLEAN":
                return int(value)
        case int() | Decimal() if kind in _INTEGERS:
            return _number(int(value)) if value == int(value) else None
        case int() | float() if kind in ("FLOAT", "DOUBLE"):
            return _real(kind, float(value))
        case int() | Decimal() if match := _DECIMAL.fullmatch(kind):
            return written(str(value), int(match[2]))
        case dt.time() if kind == "TIME" and value.tzinfo is None:
            return value.isoformat("microseconds")
        case bytes() | bytearray() | memoryview() if kind == "BLOB":
            return bytes(value)
        case uuid.UUID() if kind in ("UUID", "VARCHAR"):
            return str(value)
    raise ValueError(value)


def _of_moment(kind: str, value: dt.date) -> str | None:
    """A date or a time as a column of either holds it; None where a date would lose the time of the day."""
    if not isinstance(value, dt.datetime):
        return value.isoformat() if kind == "DATE" else _stamp(dt.datetime(value.year, value.month, value.day))  # noqa: DTZ001
    if kind != "DATE":
        return _stamp(value)
    in_utc = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    return in_utc.date().isoformat() if in_utc.time() == dt.time() else None


def _number(value: int) -> int:
    if not -_MOST <= value < _MOST:
        raise ValueError(value)
    return value


def _real(kind: str, value: float) -> float:
    """A FLOAT is kept as the double that it is. SQLite has no NaN, which would be a NULL."""
    if value != value:  # noqa: PLR0124  (NaN alone is not itself)
        raise ValueError(value)
    number: float = struct.unpack("<f", struct.pack("<f", value))[0] if kind == "FLOAT" else value
    return number


def _stamp(moment: dt.datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    # Not strftime: it writes the year 5 as 5.
    return moment.isoformat(" ", "microseconds")
