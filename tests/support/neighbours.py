"""Kinds that a column is moved to in a migration, and its values there."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from support.table_kinds import (
    DECIMALS,
    DOUBLE,
    ENUM,
    ENUM_TEXTS,
    FLOAT,
    FOLDED,
    INSTANTS,
    INTEGERS,
    NUMBERS,
    OTHER_ENUM,
    TEXT,
    TIMES,
    WIDE,
    array_of,
    entries,
    fits,
    list_of,
    map_of,
    single,
    struct_of,
    union_of,
)

if TYPE_CHECKING:
    import random

    from support.oracle import Kind


class NoValue(Exception):
    """The other kind holds nothing like the value."""


def neighbour(chance: random.Random, kind: Kind) -> Kind | None:  # noqa: PLR0911  (one row a family reads best)
    """A kind that a column is moved to in a migration."""
    if kind.family == "number":
        return chance.choice([other for other in NUMBERS if other != kind and not _blurred(kind, other)])
    for family in (INSTANTS, TIMES, [TEXT, FOLDED, ENUM, OTHER_ENUM]):
        if kind in family:
            return chance.choice([other for other in family if other != kind])
    parts = [(name, neighbour(chance, of) if chance.random() < 0.5 else of) for name, of in kind.parts]
    if not parts or any(of is None or "COLLATE" in of.sql for _, of in parts):
        return None
    made = {name: of for name, of in parts if of is not None}
    if kind.family == "list":
        size = chance.choice((0, kind.size))
        return array_of(made[""], size) if size else list_of(made[""])
    if kind.family == "map":
        return map_of(made["key"], made["value"])
    if kind.family == "tuple":
        return None
    names = list(made)
    chance.shuffle(names)
    fields = {name: made[name] for name in names}
    return struct_of(fields) if kind.family == "struct" else union_of(fields)


def _blurred(a: Kind, b: Kind) -> bool:
    """DECIMAL beside binary: whether 0.1 is the DOUBLE nearest to it is not said."""
    return {a in (FLOAT, DOUBLE), b in (FLOAT, DOUBLE)} == {True, False} and (a in DECIMALS or b in DECIMALS)


def converted(old: Kind, new: Kind, value: Any) -> Any:  # noqa: C901, PLR0911  (one row a family reads best)
    """The value in another kind, or the nearest that it has."""
    if value is None or old == new:
        return value
    if old.family == "number":
        return _converted_number(new, value)
    if old.family in {"instant", "time"}:
        if isinstance(value, str):
            raise NoValue
        return _held(new, value * old.unit // new.unit)
    if old.family == "text":
        if new.sql.startswith("ENUM") and value not in ENUM_TEXTS:
            raise NoValue
        return value
    if old.family == "list":
        if new.size and len(value) != new.size:
            raise NoValue
        return tuple(converted(old.parts[0][1], new.parts[0][1], one) for one in value)
    if old.family == "map":
        made = tuple(
            tuple(converted(a[1], b[1], one) for a, b, one in zip(old.parts, new.parts, entry, strict=True))
            for entry in value
        )
        return entries(new, made)
    if old.family == "union":
        tag, held = value
        return (tag, converted(dict(old.parts)[tag], dict(new.parts)[tag], held))
    named = dict(zip((name for name, _ in old.parts), value, strict=True))
    kinds = dict(old.parts)
    return tuple(converted(kinds[name], of, named[name]) for name, of in new.parts)


def _converted_number(new: Kind, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return _held(new, value)
    exact = Fraction(value)
    if new in INTEGERS:
        return _held(new, math.floor(exact))
    if new in DECIMALS:
        return _held(new, Decimal(math.floor(exact * 10**new.scale)).scaleb(-new.scale, WIDE))
    try:
        made = float(exact)
    except OverflowError:
        raise NoValue from None
    return single(made) if new == FLOAT else made


def _held(kind: Kind, value: Any) -> Any:
    if not fits(kind, value):
        raise NoValue
    return value
