"""
Shapes of JSON values: which structs and lists hold them, and whether one holds all of a value.

A shape is JSON itself: `{"id": "BIGINT", "tags": ["VARCHAR"]}` is a struct of a number and a list of texts. A leaf that
has no type of SQL is JSON.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    Shape = str | dict[str, "Shape"] | list["Shape"]

CLOSED: Final = ""
"""A field that no object has: in a shape it says that an object with fields that the shape lacks is no value of it."""

EMPTY: Final = "\x01"
"""A field that no object has: in a structure it says that it is of an object, if only of one without fields."""

_MOST_FIELDS: Final = 1_000
"""An object of more names is no struct: they are keys."""

_INTEGERS: Final = ("BIGINT", "UBIGINT")
_SHOWN: Final = 80
_DIGITS: Final = len(str(-(1 << 63)))


def merged(a: Shape, b: Shape) -> Shape:
    """What the engine's `json_structure` would say of values of two structures, with a `NULL` for no value."""
    if b in (a, "NULL"):
        return a
    if a == "NULL":
        return b
    if isinstance(a, dict) and isinstance(b, dict):
        return a | {name: merged(a.get(name, "NULL"), one) for name, one in b.items()}
    if isinstance(a, list) and isinstance(b, list):
        return [merged(a[0], b[0])]
    if isinstance(a, str) and isinstance(b, str):
        both = {a, b}
        if both <= {*_INTEGERS, "DOUBLE"}:
            return "DOUBLE" if "DOUBLE" in both else "BIGINT"
    return "JSON"


def settled(structure: Shape) -> Shape:
    """A structure as a shape."""
    if isinstance(structure, dict):
        # Of names that differ by case alone the first stays, and a value that has another is none of the shape.
        names = {fold(name): name for name in reversed(structure) if name != EMPTY}
        if "" in names or len(names) > _MOST_FIELDS:
            return "JSON"
        # Of objects without fields nothing is known: one that has some is no value of their shape.
        return {name: settled(structure[name]) for name in sorted(names.values())} or {CLOSED: ""}
    if isinstance(structure, list):
        return [settled(structure[0])]
    # What has no value yet is a text, as a column is: later ones that are none are named.
    return {"NULL": "VARCHAR", "UBIGINT": "BIGINT", "HUGEINT": "BIGINT"}.get(structure, structure)


def is_of(found: Shape, shape: Shape) -> bool:
    """Whether values of a structure are values of a shape, their numbers' digits aside."""
    if found == "NULL" or shape == "JSON":
        return True
    if isinstance(found, dict) and isinstance(shape, dict):
        known = {fold(name): name for name in shape}
        return all(
            known.get(fold(name), name) == name
            and (is_of(found[name], shape[name]) if name in shape else CLOSED not in shape)
            for name in found.keys() - {EMPTY}
        )
    if isinstance(found, list) and isinstance(shape, list):
        return is_of(found[0], shape[0])
    return found in ((*_INTEGERS, "DOUBLE") if shape == "DOUBLE" else _INTEGERS if shape == "BIGINT" else (shape,))


class _Digits(str):
    """A number as it is written."""

    __slots__ = ()


def nested_fault(raw: str | None, shape: Shape) -> str | None:
    """Why a JSON text is no value of a shape, as its path and a reason (`.id = "x" is no BIGINT`); None where it is."""
    if raw is None:
        return None
    try:
        value = json.loads(
            raw, parse_int=_Digits, parse_float=_Digits, parse_constant=_Digits, object_pairs_hook=_object
        )
        return _fault(value, shape)
    except RecursionError:
        return ": it has too many levels"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # The engine's values are of the first of two.
    return dict(reversed(pairs))


def _fault(value: object, shape: Shape) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict) and (isinstance(shape, dict) or shape == "JSON"):
        return _object_fault(value, shape)
    if isinstance(value, list) and (isinstance(shape, list) or shape == "JSON"):
        inner = "JSON" if shape == "JSON" else shape[0]
        # Counted as SQL does.
        faults = ((at, _fault(one, inner)) for at, one in enumerate(value, 1))
        return next((f"[{at}]{fault}" for at, fault in faults if fault), None)
    if isinstance(value, _Digits):
        return _number_fault(value, shape)
    fits = shape == "JSON" or shape == {str: "VARCHAR", bool: "BOOLEAN"}.get(type(value))
    return None if fits else f" = {_shown(value)} is no {_called(shape)}"


def _shown(value: object) -> str:
    if isinstance(value, (list, dict)):
        return "[...]" if isinstance(value, list) else "{...}"
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _called(shape: Shape) -> str:
    return shape if isinstance(shape, str) else "list" if isinstance(shape, list) else "object"


def _object_fault(value: Mapping[str, object], shape: Shape) -> str | None:
    fields = shape if isinstance(shape, dict) else dict.fromkeys(value, shape)
    known = {fold(name): name for name in fields} if fields is shape else {}
    for name, one in value.items():
        if (other := known.get(fold(name), name)) != name:
            return f": its field {name!r} was called {other!r} before"
        if name not in fields and CLOSED in fields:
            return f": no object had its field {name!r} before; `types` may say JSON or JSON[]"
        if name in fields and (fault := _fault(one, fields[name])):
            return f".{name}{fault}"
    return None


def _number_fault(digits: str, shape: Shape) -> str | None:
    whole = re.fullmatch("-?[0-9]+", digits) is not None
    if shape == "JSON" and whole:
        return None
    if shape == "BIGINT":
        # Python makes no integer of more than 4,300 digits.
        fits = whole and len(digits) <= _DIGITS and -(1 << 63) <= int(digits) < 1 << 63
        return None if fits else f" = {_cut(digits)} is no BIGINT"
    if shape not in ("DOUBLE", "JSON"):
        return f" = {_cut(digits)} is no {_called(shape)}"
    number = float(digits)
    if digits.lstrip("-")[:1].isdigit() and not _is_number(digits, number):
        return f" = {_cut(digits)} would be read as {number!r}"
    return None


def _is_number(digits: str, number: float) -> bool:
    """Whether a number is the one that is written, to its last digit."""
    try:
        return Decimal(repr(number)) == Decimal(digits)
    except InvalidOperation:
        # Its exponent is more than anything holds, unless it is zero.
        return not number and re.match("-?[0.]+([eE]|$)", digits) is not None
