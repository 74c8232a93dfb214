"""
The kinds of values that DuckDB can hold in a table, with values that libraries are known to fold together.

Each scalar kind has a pool of adversarial values: edges of every width, what has the hash of NULL, what a cast or a
collation makes one. `table_writing` writes tables of them, `table_pairs` makes pairs of tables.
"""

from __future__ import annotations

import math
import struct
import uuid
from dataclasses import replace
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from support.oracle import Kind, form

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

AS_NULL = -2930909409056394622
"""The 64-bit integer whose DuckDB hash is that of NULL."""

DAY = 86_400_000_000_000
INFINITE = ("infinity", "-infinity")


def _integer(sql: str, bits: int, *, signed: bool = True) -> Kind:
    # `digits` bounds the value: the power of two that it stays under; `scale` says whether it has a sign.
    return Kind("number", sql, digits=bits - 1 if signed else bits, scale=int(signed))


INTEGERS = [
    *(_integer(sql, 8 * 2**at) for at, sql in enumerate(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"))),
    *(
        _integer(sql, 8 * 2**at, signed=False)
        for at, sql in enumerate(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"))
    ),
    _integer("BIGNUM", 400),
]
DECIMALS = [
    Kind("number", f"DECIMAL({digits},{scale})", digits=digits, scale=scale)
    for digits, scale in ((4, 2), (9, 0), (18, 2), (19, 2), (38, 0), (38, 2), (38, 10), (38, 38))
]
FLOAT, DOUBLE = Kind("number", "FLOAT"), Kind("number", "DOUBLE")
NUMBERS = [*INTEGERS, *DECIMALS, FLOAT, DOUBLE]

DATE = Kind("instant", "DATE", unit=DAY)
INSTANTS = [
    DATE,
    Kind("instant", "TIMESTAMP_S", unit=10**9),
    Kind("instant", "TIMESTAMP_MS", unit=10**6),
    Kind("instant", "TIMESTAMP", unit=10**3),
    Kind("instant", "TIMESTAMP_NS", unit=1),
]
ZONED = Kind("zoned", "TIMESTAMP WITH TIME ZONE", unit=10**3)
# With `size` 1, the two infinities are among the values: neither Arrow nor Parquet has a name for them.
ENDLESS = [replace(kind, size=1) for kind in (DATE, INSTANTS[3], ZONED)]
TIMES = [Kind("time", "TIME", unit=10**3), Kind("time", "TIME_NS", unit=1)]
INTERVAL = Kind("interval", "INTERVAL")
TEXT, BLOB, BITS = Kind("text", "VARCHAR"), Kind("blob", "BLOB"), Kind("bits", "BIT")
FOLDED = Kind("text", "VARCHAR COLLATE NOCASE")
ENUM_TEXTS = ("a", "A", "", "NULL", "ab", "a ")
ENUM = Kind("text", "ENUM('a', 'A', '', 'NULL', 'ab', 'a ')")
OTHER_ENUM = Kind("text", "ENUM('a ', 'ab', 'NULL', '', 'A', 'a', 'more')")
JSON, UUID, BOOLEAN = Kind("json", "JSON"), Kind("uuid", "UUID"), Kind("bool", "BOOLEAN")
NOTHING = Kind("null", '"NULL"')
# May be refused by name instead of being compared.
ZONED_TIME, ZONED_NS = Kind("zoned time", "TIME WITH TIME ZONE"), Kind("zoned", "TIMESTAMPTZ_NS")
GEOMETRY, VARIANT = Kind("opaque", "GEOMETRY"), Kind("opaque", "VARIANT")
TUPLE = Kind("tuple", "TUPLE(INTEGER, VARCHAR)", (("0", INTEGERS[2]), ("1", TEXT)))
REFUSABLE = (ZONED_TIME, ZONED_NS, GEOMETRY, VARIANT, TUPLE)

SCALARS = [*NUMBERS, *INSTANTS, ZONED, *TIMES, INTERVAL, TEXT, BLOB, BITS, ENUM, JSON, UUID, BOOLEAN]


def list_of(element: Kind) -> Kind:
    return Kind("list", f"{element.sql}[]", (("", element),))


def array_of(element: Kind, size: int) -> Kind:
    return Kind("list", f"{element.sql}[{size}]", (("", element),), size=size)


def struct_of(fields: dict[str, Kind]) -> Kind:
    return Kind("struct", f"STRUCT({_named(fields)})", tuple(fields.items()))


def union_of(members: dict[str, Kind]) -> Kind:
    return Kind("union", f"UNION({_named(members)})", tuple(members.items()))


def map_of(key: Kind, value: Kind) -> Kind:
    return Kind("map", f"MAP({key.sql}, {value.sql})", (("key", key), ("value", value)))


def _named(parts: dict[str, Kind]) -> str:
    return ", ".join(f'"{name}" {kind.sql}' for name, kind in parts.items())


# --- values -----------------------------------------------------------------------------------------------------


def _double(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def single(value: float) -> float:
    """The nearest FLOAT."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


_EDGES = (
    0, 1, -1, 2, 42, 127, -128, 255, 2**31, 2**32, -(2**32), 2**53, 2**53 + 1, AS_NULL, AS_NULL % 2**64, 2**63,
    2**63 - 1,
    -(2**63), 2**64, 2**64 + 1, -(2**64), 3 * 2**64 + 5, 5 * 2**64 + 3, (AS_NULL % 2**63) << 64, 2**126, 2**127 - 1,
    -(2**127), 2**127, 2**128 - 1, 10**37, -(10**37), 10**38 - 1, 1 - 10**38, 57360, -57360, 10**80, -(10**80),
    10**80 + 1,
)  # fmt: skip
_DOUBLES = (
    0.0, -0.0, 1.0, -1.0, 0.1, 0.30000000000000004, 0.3, 0.5, 573.6, -573.6, 2.0**53, 2.0**53 + 2, 2.0**63, 2.0**64,
    1e300,
    1.7976931348623157e308, -1.7976931348623157e308, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-45,
    3.4028234663852886e38,
    math.nan, math.inf, -math.inf, _double(AS_NULL), 16777216.0, 16777217.0,
)  # fmt: skip
_TEXTS = (
    "", " ", "a", "A", "b", "a ", " a", "ab", "c", "bc", "abc", "NULL", "null", "é", "e\u0301", "ß", "ss", "a\x00",
    "a\x00b", "0", "1", "1.0", "'", '"', ",", "[]", "{}", "\\", "\n", "twelve bytes", "thirteen byte", "thirteen bytE",
    "😀", "x" * 300,
)  # fmt: skip
_JSONS = (
    "null", "true", "false", "0", "-0", "0.0", "5", "5.0", "50e-1", "-5", '"5"', '""', '"a"', '"A"', '"\\u0061"',
    "[]", "{}",
    "[null]", '{"a":null}', '{"a": 1, "b": 2}', '{"b":2,"a":1}', '{"a":1}', '{"a":1.0}', '{"a":1,"b":null}', '{"A":1}',
    "12345678901234567890", "12345678901234567891", "1.2345678901234567890", "1.2345678901234567891", "0.1",
    "0.10000000000000001", "123456789012345678901234567890", "1e400", "1e401", "9007199254740993", "9007199254740992",
    '{"a":{"x":[1,{"y":null}]}}', '{"a":{"x":[1,{}]}}', "[1,[2,3]]", "[[1,2],3]", "[ 1 , [ 2, 3 ] ]", '{"":0}',
    '{"é":"\\n"}',
)  # fmt: skip
_INSTANTS = (
    0, 1, -1, DAY, -DAY, DAY + 1, 10**9, 10**6, 10**3, 1_700_000_000 * 10**9, 1_700_000_000 * 10**9 + 1,
    1_700_000_000_123 * 10**6, 1_700_000_000_123_456 * 10**3, 19_000 * DAY, 3600 * 10**9, -62_135_596_800 * 10**9,
    253_402_300_799 * 10**9, AS_NULL * 1000, AS_NULL,
)  # fmt: skip
_INTERVALS = (
    (0, 0, 0), (1, 0, 0), (0, 30, 0), (0, 1, 0), (0, 0, 86_400_000_000), (12, 0, 0), (0, 360, 0), (0, 365, 0), (-1, 0,
    0), (0, -30, 0),
    (0, 0, 1), (0, 0, -1), (1, -30, 0), (1, 1, 1), (0, 31, 1), (0, 0, 30 * 86_400_000_000), (1200, -1, 5),
)  # fmt: skip
_BLOBS = (b"", b"\x00", b"\x00\x00", b"a", b"A", b"a ", b"ab", b"\xff", b"\xc3\x28", b"\\x00", bytes(range(40)), b"'")
_BITS = ("0", "1", "00", "01", "10", "001", "0000000", "00000000", "000000000", "11111111", "1" * 70, "1" * 69 + "0")
_UUIDS = (0, 1, 2**64, 2**127, 2**128 - 1, 2**63, (3 << 64) + 5, (5 << 64) + 3, 2**64 - 1, (2**64 - 1) << 64)
_POINTS = ("POINT (0 0)", "POINT (1 0)", "POINT (0 1)", "LINESTRING (0 0, 1 1)", "LINESTRING (1 1, 0 0)")
_VARIANTS = ("1::INTEGER", "-1::INTEGER", "'a'::VARCHAR", "'A'::VARCHAR", "[1, 2]", "[2, 1]", "{'a': 1}", "{'b': 1}")


def fits(kind: Kind, value: Any) -> bool:
    """Whether a kind can hold a number or a time exactly, so far as its range says."""
    if kind in (FLOAT, DOUBLE):
        return isinstance(value, float) and (kind is DOUBLE or math.isnan(value) or single(value) == value)
    if kind in DECIMALS:
        return isinstance(value, Decimal) and abs(int(value.scaleb(kind.scale, WIDE))) < 10**kind.digits
    if kind in INTEGERS:
        return isinstance(value, int) and (-(2**kind.digits) if kind.scale else 0) <= value < 2**kind.digits
    if kind.family in {"instant", "zoned"}:
        return isinstance(value, str) or (
            abs(value) < (2**31 - 200 if kind.sql == "DATE" else 2**63 - 1000) and _in_years(kind, value)
        )
    if kind.family == "time":
        return bool(0 <= value * kind.unit <= DAY)
    return True


WIDE = Context(prec=200)
"""Arithmetic without rounding: the default context has 28 digits, a DECIMAL up to 38."""


def _in_years(kind: Kind, value: int) -> bool:
    """Within the years that TIMESTAMP holds (290,308 BC to 294,246)."""
    return bool(-9_223_000_000_000_000_000 < value * kind.unit // 1000 < 9_223_000_000_000_000_000)


def pool(kind: Kind) -> list[Any]:  # noqa: PLR0911  (one row a family reads best)
    """The adversarial values of a scalar kind."""
    if kind in INTEGERS:
        return [value for value in _EDGES if fits(kind, value)]
    if kind in DECIMALS:
        edges = [Decimal(value).scaleb(-kind.scale, WIDE) for value in _EDGES]
        return [value for value in edges if fits(kind, value)]
    if kind is DOUBLE:
        return list(_DOUBLES)
    if kind is FLOAT:
        return [single(value) for value in _DOUBLES]
    if kind.family in {"instant", "zoned"}:
        counted = {value // kind.unit for value in _INSTANTS}
        return [value for value in sorted(counted) if fits(kind, value)] + list(INFINITE if kind.size else ())
    if kind.family == "time":
        return sorted({value // kind.unit for value in (0, 1, 10**3, 10**6, 10**9, DAY // 2, DAY - 1, DAY - 10**3)})
    if kind.family == "zoned time":
        return ["00:00:00+00", "10:00:00+02", "10:00:01+02", "23:59:59.999999-05", "09:00:00+02"]
    if kind.family == "text":
        return list(ENUM_TEXTS) if kind.sql.startswith("ENUM") else list(_TEXTS)
    pools: dict[str, Sequence[Any]] = {
        "json": _JSONS, "interval": _INTERVALS, "blob": _BLOBS, "bits": _BITS, "bool": (False, True), "null": (None,),
        "uuid": [uuid.UUID(int=one) for one in _UUIDS], "opaque": _POINTS if kind is GEOMETRY else _VARIANTS,
    }  # fmt: skip
    return list(pools[kind.family])


def draw(chance: random.Random, kind: Kind, *, nulls: float = 0.12) -> Any:  # noqa: PLR0911  (one row a family reads best)
    """A value of any kind; NULL at a given share, outside and inside."""
    if chance.random() < nulls:
        return None
    if kind.family == "list":
        size = kind.size or chance.choice((0, 0, 1, 1, 2, 3))
        return tuple(draw(chance, kind.parts[0][1]) for _ in range(size))
    if kind.family in {"struct", "tuple"}:
        empty = 1.0 if chance.random() < 0.15 else 0.12
        return tuple(draw(chance, of, nulls=empty) for _, of in kind.parts)
    if kind.family == "map":
        key, held = kind.parts[0][1], kind.parts[1][1]
        return entries(kind, [(draw(chance, key, nulls=0), draw(chance, held)) for _ in range(chance.randrange(4))])
    if kind.family == "union":
        tag, of = chance.choice(kind.parts)
        return (tag, draw(chance, of))
    if kind in INTEGERS and chance.random() < 0.4:
        bits = chance.randrange(kind.digits + 1)
        return chance.getrandbits(bits) * (chance.choice((1, -1)) if kind.scale else 1)
    if kind in DECIMALS and chance.random() < 0.4:
        return Decimal(chance.randrange(-(10**kind.digits) + 1, 10**kind.digits)).scaleb(-kind.scale, WIDE)
    if kind.family == "uuid" and chance.random() < 0.5:
        return uuid.UUID(int=chance.getrandbits(128))
    if kind is TEXT and chance.random() < 0.3:
        return "".join(chance.choice("abAB '\"\\,[]{}:=\x00é1") for _ in range(chance.randrange(5)))
    return chance.choice(pool(kind))


def entries(kind: Kind, pairs: Sequence[tuple[Any, Any]]) -> tuple[tuple[Any, Any], ...]:
    """
    The entries of a map: of keys that are the same only the last is kept, which no map holds twice.

    Of intervals a single one is kept: DuckDB has no map of 1 month and 30 days, which are one to it.
    """
    made = tuple({form(kind.parts[0][1], key): (key, held) for key, held in pairs}.values())
    return made[:1] if INTERVAL.sql in kind.parts[0][1].sql else made
