"""
The payload: what is not declared, as JSON; how it is written, and when two of them say the same.

The log holds payloads of two hands: canonical JSON from here, and what DuckDB makes of an import's rows. They differ in
the order of names and in how numbers are spelt, so payloads are compared by what they say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Collection


def canonical(value: object) -> str:  # noqa: C901, PLR0911  (one row a type reads best)
    """
    Canonical JSON that keeps every digit: sorted names, no blanks. Times are ISO 8601, bytes hex.

    Raises:
        ValueError: JSON has no such value; the sentence goes on after the value's name.
    """
    try:
        match value:
            case str():
                return json.dumps(text_of(value), ensure_ascii=False)
            case None | bool():
                return json.dumps(value)
            case int():
                return _whole(value)
            case float() if math.isfinite(value):
                return json.dumps(value)
            case Decimal() if value.is_finite():
                return str(value)
            case float() | Decimal():
                raise ValueError(f"holds {value}, which is no JSON number")
            case Mapping():
                return "{" + ",".join(f"{name}:{one}" for name, one in _pairs(value)) + "}"
            case list() | tuple():
                return "[" + ",".join([canonical(one) for one in value]) + "]"
            case date() | time():
                return json.dumps(value.isoformat())
            case bytes() | bytearray():
                return json.dumps(value.hex())
            case UUID():
                return json.dumps(str(value))
    except RecursionError as fault:
        raise ValueError("is nested too deep") from fault
    raise ValueError(f"holds a value of {type(value).__name__}, which JSON has not: give it as a text")


def same_payload(
    mine: str | None, theirs: str | None, absent: Collection[str] = (), *, nulls_count: bool = True
) -> bool:
    """
    Whether two payloads say the same but for some columns. An empty one is as good as none.

    Unless `nulls_count`, a field that is null says as much as one that is not there; not so in a list.
    """
    if mine == theirs:
        return True
    gone = {name.lower() for name in absent}
    mine_says, they_say = (_content(one, gone) for one in (mine, theirs))
    if not nulls_count:
        mine_says, they_say = _without_nulls(mine_says), _without_nulls(they_say)
    return same_value(mine_says, they_say)


def same_value(mine: object, theirs: object) -> bool:
    """Whether two values are the same: numbers by value, NaN is NaN, and true is not 1."""
    match mine, theirs:
        case (bool(), _) | (_, bool()):
            return mine is theirs
        case (int() | float() | Decimal(), int() | float() | Decimal()):
            return mine == theirs or (mine != mine and theirs != theirs)  # noqa: PLR0124  (NaN)
        case dict(), dict():
            return mine.keys() == theirs.keys() and all(same_value(one, theirs[name]) for name, one in mine.items())
        case list() | tuple(), list() | tuple():
            alike = type(mine) is type(theirs) and len(mine) == len(theirs)
            return alike and all(same_value(one, other) for one, other in zip(mine, theirs, strict=True))
        case _:
            return mine == theirs


def text_of(value: str) -> str:
    """
    A text that can be kept.

    Raises:
        ValueError: it cannot; the sentence goes on after the value's name.
    """
    try:
        value.encode()
    except UnicodeEncodeError as fault:
        raise ValueError("holds half of a character (a lone surrogate), which has no UTF-8") from fault
    return value


def _whole(value: int) -> str:
    try:
        return json.dumps(value)
    except ValueError as fault:
        raise ValueError("has more digits than Python writes and reads") from fault


def _pairs(value: Mapping[object, object]) -> list[tuple[str, str]]:
    if odd := [name for name in value if not isinstance(name, str)]:
        raise ValueError(f"holds the name {odd[0]!r}, which is no text")
    return sorted((canonical(name), canonical(one)) for name, one in value.items())


def _named(pairs: list[tuple[str, object]]) -> object:
    """An object; one that names a field twice stays the pairs that it is, since nobody knows which of them counts."""
    made = dict(pairs)
    return made if len(made) == len(pairs) else tuple(pairs)


def _without_nulls(content: object) -> object:
    if isinstance(content, dict):
        return {name: _without_nulls(one) for name, one in content.items() if one is not None}
    return content


def _content(payload: str | None, absent: Collection[str]) -> object:
    """A payload's content, however it is written. What is no JSON is the text that it is."""
    if payload is None:
        return {}
    try:
        content = json.loads(payload, parse_float=Decimal, object_pairs_hook=_named)
    except (ValueError, ArithmeticError, RecursionError):
        return (payload,)
    if isinstance(content, dict):
        return {name: one for name, one in content.items() if name.lower() not in absent}
    return content
