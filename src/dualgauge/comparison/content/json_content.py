"""
JSON by what it says: one text for all the texts that have one content.

The order of an object's members, blanks, escapes and the way a number is written (5, 5.0, 50e-1) do not count;
numbers count to their last digit, which no DOUBLE holds. A member that is missing and one that is null are two
contents. Of members with one name all count, in their order: readers differ in which of them they take.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_LONGEST_EXPONENT: Final = 4_000
"""Digits of an exponent that Python still reads as a number; a longer one stays a text."""


@dataclass(frozen=True, slots=True)
class _Number:
    text: str


@dataclass(frozen=True, slots=True)
class _Object:
    members: list[tuple[str, object]]


def content_of(text: str | None) -> str | None:
    """
    The one text of a JSON value's content; None for NULL, which is not JSON's null.

    What is no JSON, or nested deeper than Python reads (about a thousand levels), is its own content, as it is written.
    """
    if text is None:
        return None
    try:
        return _written(_DECODER.decode(text))
    except (ValueError, RecursionError):
        # No JSON value begins so.
        return f"?{text}"


def _written(value: object) -> str:
    match value:
        case _Number():
            return value.text
        case _Object():
            # Sorted by name alone: members of one name keep their order.
            members = sorted(value.members, key=lambda member: member[0])
            return "{" + ",".join(f"{json.dumps(name)}:{_written(item)}" for name, item in members) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
        case _:
            return json.dumps(value)


def _number(text: str) -> _Number:
    """A number without the zeros that mean nothing, as digits and a power of ten: 5e0 for 5, 5.0 and 50e-1."""
    found = _NUMBER.fullmatch(text)
    if found is None or len(found[4] or "") > _LONGEST_EXPONENT:
        return _Number(text)
    sign, whole, fraction, exponent = found[1], found[2], found[3] or "", int(found[4] or 0)
    digits = (whole + fraction).lstrip("0")
    short = digits.rstrip("0")
    if not short:
        return _Number("0")
    return _Number(f"{sign}{short}e{exponent - len(fraction) + len(digits) - len(short)}")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_Object, parse_float=_number, parse_int=_number, parse_constant=_Number, strict=False
)
