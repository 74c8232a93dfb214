"""What is easily taken for a value: other halves, another sign, what has the hash of NULL, an empty thing for NULL."""

from __future__ import annotations

import math
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from support.table_kinds import AS_NULL, ENUM_TEXTS, FLOAT, WIDE, draw, entries, fits, pool, single

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from support.oracle import Kind


def alike(chance: random.Random, kind: Kind, value: Any) -> Any:
    """What a hash, a cast or a collation may take for the value; sometimes the same value written in another way."""
    if chance.random() < 0.12:
        return draw(chance, kind)
    if value is None:
        return _for_null(chance, kind)
    made = _NEAR[kind.family](chance, kind, value) if kind.family in _NEAR else None
    if made is None and chance.random() < 0.3:
        return None
    return draw(chance, kind, nulls=0) if made is None else made


def _for_null(chance: random.Random, kind: Kind) -> Any:
    """What a hash or a text may take for NULL."""
    if kind.family == "list":
        return (None,) * kind.size if kind.size else chance.choice(((), (None,)))
    if kind.family in {"struct", "tuple"}:
        return (None,) * len(kind.parts)
    if kind.family == "map":
        return ()
    if kind.family == "union":
        return (kind.parts[0][0], None)
    likely = {
        "text": ("", "NULL"),
        "json": ("null", "{}", "[]"),
        "blob": (b"",),
        "bool": (False,),
        "interval": ((0, 0, 0),),
    }
    values = [one for one in likely.get(kind.family, (AS_NULL, AS_NULL % 2**64, 0)) if one in pool(kind)]
    return chance.choice(values or pool(kind))


def _near_number(chance: random.Random, kind: Kind, value: Any) -> Any:
    if isinstance(value, float):
        step = 2.0**-149 if kind == FLOAT else 5e-324
        close = [
            -value,
            math.nextafter(value, math.inf),
            math.nextafter(value, -math.inf),
            value + step,
            math.nan,
            value + 1,
        ]
        if kind == FLOAT:
            close = [single(one) for one in close] + [single(value * (1 + 2**-23))]
        return chance.choice(close)
    whole = int(value.scaleb(kind.scale, WIDE)) if isinstance(value, Decimal) else value
    high, low = divmod(whole, 2**64)
    swapped = (low << 64) | (high % 2**64)
    near = [
        -whole,
        ~whole,
        whole + 1,
        whole - 1,
        whole ^ 1,
        whole + 2**32,
        whole + 2**64,
        whole - 2**64,
        swapped,
        swapped - 2**128,
    ]
    near += [whole * 10, whole // 10, (high ^ low) % 2**64, 0, -1]
    made = [Decimal(one).scaleb(-kind.scale, WIDE) if isinstance(value, Decimal) else one for one in near]
    return chance.choice([one for one in made if fits(kind, one) and one != value] or [None])


def _near_count(chance: random.Random, kind: Kind, value: Any) -> Any:
    if isinstance(value, str):
        return None
    near = [
        value + 1,
        value - 1,
        -value,
        value + max(1, 86_400 * 10**9 // kind.unit),
        value + max(1, 10**9 // kind.unit),
    ]
    return chance.choice([one for one in near if fits(kind, one)] or [None])


def _near_text(chance: random.Random, kind: Kind, value: str) -> Any:
    near = [value + " ", value + "\x00", value.swapcase(), value[:-1], value[::-1], " " + value, value.strip()]
    if kind.sql.startswith("ENUM"):
        near = [one for one in near if one in ENUM_TEXTS]
    return chance.choice(near or [None])


def _near_json(chance: random.Random, _: Kind, value: str) -> Any:
    """The same with other blanks, one deeper, or JSON's null."""
    return chance.choice((f" {value} ", f"\n{value}", f"[{value}]", f'{{"a":{value}}}', "null", None))


def _near_interval(chance: random.Random, _: Kind, value: tuple[int, int, int]) -> Any:
    months, days, rest = value
    return chance.choice(
        [
            (months - 1, days + 30, rest),
            (months + 1, days - 30, rest),
            (months, days - 1, rest + 86_400_000_000),
            (months, days + 1, rest - 86_400_000_000),
            (-months, -days, -rest),
            (months, days, rest + 1),
        ]
    )


def _near_bytes(chance: random.Random, _: Kind, value: bytes) -> Any:
    return chance.choice((value + b"\x00", value + b" ", value.swapcase(), value[::-1], value[:-1]))


def _near_bits(chance: random.Random, _: Kind, value: str) -> Any:
    return chance.choice(("0" + value, value + "0", value[::-1], value.replace("1", "0", 1)))


def _near_uuid(chance: random.Random, _: Kind, value: uuid.UUID) -> Any:
    whole = value.int
    return uuid.UUID(
        int=chance.choice((whole ^ 1, whole ^ 2**127, (whole >> 64) | (whole % 2**64 << 64), whole ^ (2**64 + 1)))
    )


def _near_list(chance: random.Random, kind: Kind, value: tuple[Any, ...]) -> Any:
    element = kind.parts[0][1]
    if value and chance.random() < 0.5:
        at = chance.randrange(len(value))
        return (*value[:at], alike(chance, element, value[at]), *value[at + 1 :])
    if kind.size:
        return value[::-1]
    return chance.choice((value[::-1], value[:-1], (*value, None), (*value, *value), None, ()))


def _near_struct(chance: random.Random, kind: Kind, value: tuple[Any, ...]) -> Any:
    if all(one is None for one in value) and chance.random() < 0.5:
        return None
    if kind.parts[0][1] == kind.parts[-1][1] and chance.random() < 0.3:
        return value[::-1]
    at = chance.randrange(len(value))
    return (*value[:at], alike(chance, kind.parts[at][1], value[at]), *value[at + 1 :])


def _near_map(chance: random.Random, kind: Kind, value: tuple[tuple[Any, Any], ...]) -> Any:
    if not value:
        return None
    (first, held), *others = value
    near = [
        value[::-1],
        tuple(others),
        ((first, alike(chance, kind.parts[1][1], held)), *others),
        (*others, (first, None)),
        entries(kind, [(alike(chance, kind.parts[0][1], first), held), *others]),
    ]
    made = chance.choice(near)
    return made if all(key is not None for key, _ in made) else value[::-1]


def _near_union(chance: random.Random, kind: Kind, value: tuple[str, Any]) -> Any:
    tag, held = value
    other = next(name for name, _ in kind.parts if name != tag)
    members = dict(kind.parts)
    if (members[tag] == members[other] or held is None) and chance.random() < 0.6:
        return (other, held)
    return (tag, alike(chance, members[tag], held))


_NEAR: dict[str, Callable[[random.Random, Kind, Any], Any]] = {
    "number": _near_number, "instant": _near_count, "zoned": _near_count, "time": _near_count, "text": _near_text,
    "json": _near_json, "interval": _near_interval, "blob": _near_bytes, "bits": _near_bits, "uuid": _near_uuid,
    "list": _near_list, "struct": _near_struct, "tuple": _near_struct, "map": _near_map, "union": _near_union,
    "bool": lambda chance, kind, value: not value,
}  # fmt: skip
