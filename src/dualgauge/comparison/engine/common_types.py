"""
The one type that the two sides of a column are cast to.

Seen: DuckDB's hash differs for equal values of unlike DECIMAL scale, of DATE and TIMESTAMP, of FLOAT and
DOUBLE. So both sides are cast to one type before anything is hashed, joined or judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.kinds import NULL, Kind, kind_of, listed_kind, map_kind, struct_kind, tuple_kind
from dualgauge.model import fold, unquoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SIGNED: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED: Final = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
INTEGERS: Final = frozenset((*_SIGNED, *_UNSIGNED, "BIGNUM"))
FLOATS: Final = frozenset(("FLOAT", "DOUBLE"))
_DIGITS: Final = (3, 5, 10, 20, 39)
_TIMES: Final = (
    "DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS",
)  # fmt: skip
"""The last holds most."""

_NO_WAY_BACK: Final = {
    frozenset(("TIMESTAMP", "TIMESTAMPTZ_NS")): "TIMESTAMP_NS",
    frozenset(("TIMESTAMP_S", "TIMESTAMP_NS")): "TIMESTAMPTZ_NS",
}
"""Seen: TRY_CAST from one of two such types to the other is NULL, and every value would count as lost."""

_TEXTS: Final = frozenset(("VARCHAR", "JSON", "UUID"))
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_WIDEST: Final = 38
_EXACT_AS_DOUBLE: Final = 15
_BEYOND_DOUBLE: Final = frozenset(("BIGINT", "HUGEINT", "UBIGINT", "UHUGEINT", "BIGNUM"))


@dataclass(frozen=True, slots=True)
class CommonType:
    """
    A type that both sides can be cast to; `risky` if some value might not survive the cast.

    `apart` are the fields of structs that one side lacks, which the type leaves out: path, type in the first, type in
    the second.
    """

    name: str
    risky: bool = False
    apart: tuple[tuple[str, str | None, str | None], ...] = ()


def is_numeric(kind: str) -> bool:
    """Whether a DuckDB type is a number."""
    return kind in INTEGERS or kind in FLOATS or _DECIMAL.fullmatch(kind) is not None


def is_time(kind: str) -> bool:
    """Whether a DuckDB type is a date or a date with a time."""
    return kind in _TIMES


def common_type(a: str, b: str) -> CommonType | None:
    """
    The type that values of both types can be compared in, or None where no such type makes sense.

    A time without a zone is read as UTC beside one with a zone: that is the zone of the engine. Structs share the
    fields that both have, by name.
    """
    found = _common(kind_of(a), kind_of(b), "")
    return None if found is None else CommonType(found.kind.name, found.risky, found.apart)


@dataclass(frozen=True, slots=True)
class _Common:
    kind: Kind
    risky: bool = False
    apart: tuple[tuple[str, str | None, str | None], ...] = ()


def _common(a: Kind, b: Kind, path: str) -> _Common | None:
    if a.name == b.name:
        return _Common(a)
    if NULL in (a.name, b.name):
        return _Common(b if a.name == NULL else a)
    if a.parts and b.parts:
        return _common_nested(a, b, path)
    scalar = _common_scalar(a.name, b.name)
    return None if scalar is None else _Common(kind_of(scalar.name), scalar.risky)


def _common_scalar(a: str, b: str) -> CommonType | None:
    if is_numeric(a) and is_numeric(b):
        return _common_number(a, b)
    if is_time(a) and is_time(b):
        return CommonType(_NO_WAY_BACK.get(frozenset((a, b))) or max(a, b, key=_TIMES.index), risky=True)
    if {a, b} == {"TIME", "TIME_NS"}:
        return CommonType("TIME_NS")
    if _is_text(a) and _is_text(b) and ("VARCHAR" in (a, b) or (a.startswith("ENUM(") and b.startswith("ENUM("))):
        return CommonType("VARCHAR")
    return None


def _common_nested(a: Kind, b: Kind, path: str) -> _Common | None:
    lists = ("LIST", "ARRAY")
    if a.family in lists and b.family in lists:
        return _of_parts(_pairs(a, b, (f"{path}[]",)), lambda parts: listed_kind(parts[0]))
    if a.family == b.family == "MAP":
        return _of_parts(_pairs(a, b, (f"{path}[key]", f"{path}[value]")), lambda parts: map_kind(parts[0], parts[1]))
    if a.family == b.family == "TUPLE" and len(a.parts) == len(b.parts):
        return _of_parts(_pairs(a, b, [f"{path}[{at}]" for at in range(1, len(a.parts) + 1)]), tuple_kind)
    if a.family == b.family == "STRUCT":
        return _common_struct(a, b, path)
    return None


def _pairs(a: Kind, b: Kind, paths: Sequence[str]) -> list[_Common | None]:
    return [_common(x, y, path) for x, y, path in zip(a.parts, b.parts, paths, strict=True)]


def _of_parts(found: Sequence[_Common | None], make: Callable[[tuple[Kind, ...]], Kind]) -> _Common | None:
    parts = [one for one in found if one is not None]
    if len(parts) < len(found):
        return None
    apart = tuple(one for part in parts for one in part.apart)
    return _Common(make(tuple(part.kind for part in parts)), any(part.risky for part in parts), apart)


def _common_struct(a: Kind, b: Kind, path: str) -> _Common | None:
    here, there = ({_plain(field): at for at, field in enumerate(kind.fields)} for kind in (a, b))
    shared = [field for field in a.fields if _plain(field) in there]
    if not shared:
        return None
    found = _of_parts(
        [_common(a.parts[here[_plain(field)]], b.parts[there[_plain(field)]], f"{path}.{field}") for field in shared],
        lambda parts: struct_kind(tuple(shared), parts),
    )
    if found is None:
        return None
    apart: list[tuple[str, str | None, str | None]] = [
        (f"{path}.{field}", part.name, None)
        for field, part in zip(a.fields, a.parts, strict=True)
        if _plain(field) not in there
    ]
    apart += [
        (f"{path}.{field}", None, part.name)
        for field, part in zip(b.fields, b.parts, strict=True)
        if _plain(field) not in here
    ]
    return _Common(found.kind, found.risky, (*found.apart, *apart))


def _plain(field: str) -> str:
    """A field's name, spelled as an identifier, as the engine compares it."""
    return fold(unquoted(field))


def narrowed(own: Kind, common: Kind) -> str:
    """The side's own type, of structs only the fields that the common type has."""
    if own.family == "STRUCT" and common.family == "STRUCT":
        parts = {_plain(field): part for field, part in zip(own.fields, own.parts, strict=True)}
        kept = zip(common.fields, common.parts, strict=True)
        fields = [f"{field} {narrowed(parts[_plain(field)], part)}" for field, part in kept]
        return f"STRUCT({', '.join(fields)})"
    if not own.parts or len(own.parts) != len(common.parts):
        return own.name
    inner = [narrowed(part, other) for part, other in zip(own.parts, common.parts, strict=True)]
    match own.family:
        case "LIST" | "ARRAY":
            return f"{inner[0]}{own.name[own.name.rindex('[') :]}"
        case "MAP" | "TUPLE":
            return f"{own.family}({', '.join(inner)})"
        case _:
            return own.name


def _is_text(kind: str) -> bool:
    return kind in _TEXTS or kind.startswith("ENUM(")


def _common_number(a: str, b: str) -> CommonType | None:
    if a in FLOATS or b in FLOATS:
        return CommonType("DOUBLE", any(kind in _BEYOND_DOUBLE or _width(kind) > _EXACT_AS_DOUBLE for kind in (a, b)))
    if a in INTEGERS and b in INTEGERS:
        return _common_integer(a, b)
    if "BIGNUM" in (a, b):
        return None
    (whole_a, scale_a), (whole_b, scale_b) = _decimal_of(a), _decimal_of(b)
    scale, whole = max(scale_a, scale_b), max(whole_a, whole_b)
    return CommonType(f"DECIMAL({min(whole + scale, _WIDEST)},{scale})", risky=whole + scale > _WIDEST)


def _common_integer(a: str, b: str) -> CommonType:
    if "BIGNUM" in (a, b):
        return CommonType("BIGNUM")
    for family in (_SIGNED, _UNSIGNED):
        if a in family and b in family:
            return CommonType(max(a, b, key=family.index))
    signed, unsigned = (a, b) if a in _SIGNED else (b, a)
    size = max(_SIGNED.index(signed), _UNSIGNED.index(unsigned) + 1)
    return CommonType(_SIGNED[min(size, len(_SIGNED) - 1)], risky=size == len(_SIGNED))


def _width(kind: str) -> int:
    found = _DECIMAL.fullmatch(kind)
    return int(found[1]) if found else 0


def _decimal_of(kind: str) -> tuple[int, int]:
    """Digits before and after the point that a type needs."""
    found = _DECIMAL.fullmatch(kind)
    if found:
        return int(found[1]) - int(found[2]), int(found[2])
    return _DIGITS[(_SIGNED if kind in _SIGNED else _UNSIGNED).index(kind)], 0
