"""Makes up pairs of small tables by a seed: two copies, with what a diff could overlook put into one of them."""

from __future__ import annotations

import math
import random
import uuid
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from support.oracle import Column, Kind, Table, form
from support.table_kinds import (
    AS_NULL,
    BOOLEAN,
    DATE,
    DECIMALS,
    DOUBLE,
    ENDLESS,
    ENUM,
    ENUM_TEXTS,
    FLOAT,
    FOLDED,
    INSTANTS,
    INTEGERS,
    INTERVAL,
    JSON,
    NOTHING,
    NUMBERS,
    OTHER_ENUM,
    REFUSABLE,
    SCALARS,
    TEXT,
    TIMES,
    UUID,
    WIDE,
    array_of,
    draw,
    entries,
    fits,
    list_of,
    map_of,
    pool,
    single,
    struct_of,
    union_of,
)
from support.table_writing import arrow_type, in_parquet

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTES = ("sql", "arrow", "parquet")
HOLDS: dict[str, Callable[[Kind], bool]] = {
    "sql": lambda kind: kind.family != "null",
    "arrow": lambda kind: arrow_type(kind) is not None,
    "parquet": in_parquet,
}


NAMES = (
    "id",
    "key",
    "s",
    "t",
    "c",
    "a",
    "b",
    "v1",
    "v2",
    "x y",
    'q"q',
    "select",
    "Ä",
    "rowid",
    "count",
    "hash",
    "n'n",
    "value",
)
"""Names of columns: what a query that is put together may bear itself, or quote wrongly."""


@dataclass(frozen=True)
class Pair:
    """Two tables, the key to compare them by, and the way to hand them over."""

    seed: int
    route: str
    v1: Table
    v2: Table
    key: tuple[str, ...]
    done: tuple[str, ...]


def make_pair(seed: int, route: str | None = None) -> Pair:
    """A pair of tables, the same for the same seed."""
    chance = random.Random(seed)
    route = route or chance.choice(ROUTES)
    names = chance.sample(NAMES, 7)
    key = tuple(names[: chance.choice((1, 1, 1, 2))])
    columns = [Column(name, _kind(chance, route, deep=chance.choice((0, 0, 0, 1)))) for name in key]
    for name in names[len(key) : len(key) + chance.choice((1, 1, 2, 2, 3, 4, 5))]:
        # Neighbours of one kind: what moves from one to the other must be found.
        again = len(columns) > len(key) and chance.random() < 0.4
        kind = columns[-1].kind if again else _kind(chance, route, deep=chance.choice((0, 0, 1, 2)))
        columns.append(Column(name, kind))
    v1 = Table(tuple(columns), _rows(chance, columns, len(key), chance.choice((0, 1, 2, 3, 8, 8, 20, 40))))
    v2, done = v1, []
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        name, change = chance.choice(CHANGES)
        v2 = change(chance, v2, len(key), route)
        done.append(name)
    rows = list(v2.rows)
    chance.shuffle(rows)
    v2 = Table(v2.columns, tuple(rows))
    v2 = permuted(chance, v2) if chance.random() < 0.3 else v2
    v1, v2 = (v2, v1) if chance.random() < 0.3 else (v1, v2)
    return Pair(seed, route, v1, v2, key, tuple(done))


def permuted(chance: random.Random, table: Table) -> Table:
    """The same table with its columns and rows in another order."""
    order = list(range(len(table.columns)))
    chance.shuffle(order)
    rows = [tuple(row[at] for at in order) for row in table.rows]
    chance.shuffle(rows)
    return Table(tuple(table.columns[at] for at in order), tuple(rows))


def _kind(chance: random.Random, route: str, deep: int) -> Kind:
    """A kind that the route can carry, nested up to `deep`."""
    while True:
        kind = chance.choice(RARE) if chance.random() < 0.06 else _any_kind(chance, deep)
        if HOLDS[route](kind):
            return kind


def _any_kind(chance: random.Random, deep: int) -> Kind:
    if deep == 0:
        return chance.choice((chance.choice(SCALARS), chance.choice(SCALARS), chance.choice(NUMBERS), TEXT, JSON))
    shape = chance.choice(("list", "list", "array", "struct", "struct", "map", "union"))
    inner = [_any_kind(chance, deep - 1) for _ in range(2)]
    if shape == "list":
        return list_of(inner[0])
    if shape == "array":
        return array_of(inner[0], chance.choice((1, 2, 3)))
    if shape == "map":
        return map_of(_any_kind(chance, 0), inner[1])
    named = {"a": inner[0], "b": chance.choice((inner[0], inner[1]))}
    return struct_of(named) if shape == "struct" else union_of(named)


def _rows(chance: random.Random, columns: list[Column], keys: int, number: int) -> tuple[tuple[Any, ...], ...]:
    rows: dict[Any, tuple[Any, ...]] = {}
    # Columns of one value, and of NULL alone, among those of many.
    nulls = [chance.choice((0.0, 0.1, 0.1, 0.5, 1.0)) for _ in columns]
    for _ in range(number * 2):
        row = tuple(draw(chance, column.kind, nulls=0 if at < keys else nulls[at]) for at, column in enumerate(columns))
        rows.setdefault(tuple(form(column.kind, one) for column, one in zip(columns[:keys], row, strict=False)), row)
        if len(rows) >= number:
            break
    return tuple(rows.values())[:number]


RARE = (*ENDLESS, *REFUSABLE, FOLDED, FOLDED, NOTHING, OTHER_ENUM)
UNLIKE = {
    "number": (DATE, list_of(TEXT), struct_of({"a": TEXT}), map_of(TEXT, TEXT), INTERVAL, UUID),
    "list": (struct_of({"a": TEXT}), map_of(TEXT, TEXT), DATE, DOUBLE),
    "struct": (map_of(TEXT, TEXT), DATE, BOOLEAN),
    "map": (INTERVAL, DATE, DOUBLE),
    "bool": (DATE, list_of(BOOLEAN)),
    "instant": (UUID, BOOLEAN, list_of(DATE)),
}
"""
Kinds that no cast makes one. Texts, JSON, BLOBs and UUIDs beside texts are left out: whether what is written as a number
is one is not said; neither is whether a TIMESTAMP is one of UTC.
"""


# --- what is easily taken for another value ---------------------------------------------------------------------


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


# --- changes of a table -----------------------------------------------------------------------------------------


def _with_cell(table: Table, row: int, column: int, value: Any) -> Table:
    made = table.rows[row]
    changed = (*made[:column], value, *made[column + 1 :])
    return replace(table, rows=(*table.rows[:row], changed, *table.rows[row + 1 :]))


def flip(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """One value for a near one."""
    if not table.rows:
        return table
    row, column = chance.randrange(len(table.rows)), chance.randrange(keys, len(table.columns))
    return _with_cell(table, row, column, alike(chance, table.columns[column].kind, table.rows[row][column]))


def flip_column(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """Every value of a column for a near one."""
    column = chance.randrange(keys, len(table.columns))
    for row in range(len(table.rows)):
        table = _with_cell(table, row, column, alike(chance, table.columns[column].kind, table.rows[row][column]))
    return table


def flip_key(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    if not table.rows:
        return table
    row, column = chance.randrange(len(table.rows)), chance.randrange(keys)
    return _with_cell(table, row, column, alike(chance, table.columns[column].kind, table.rows[row][column]))


def unlike(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """A column of a kind that has nothing in common with what it was."""
    at = chance.randrange(keys, len(table.columns))
    others = UNLIKE.get(table.columns[at].kind.family, ())
    kind = next((kind for kind in others if HOLDS[route](kind) and chance.random() < 0.6), None)
    if kind is None:
        return flip(chance, table, keys, route)
    rows = tuple((*row[:at], draw(chance, kind), *row[at + 1 :]) for row in table.rows)
    return Table((*table.columns[:at], Column(table.columns[at].name, kind), *table.columns[at + 1 :]), rows)


def lose_field(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """A struct without its last field, or with the field under another name."""
    structs = [at for at in range(keys, len(table.columns)) if table.columns[at].kind.family == "struct"]
    if not structs:
        return flip(chance, table, keys, route)
    at = chance.choice(structs)
    column, renamed = table.columns[at], chance.random() < 0.5
    fields = dict(column.kind.parts[:-1]) | ({"other": column.kind.parts[-1][1]} if renamed else {})
    rows = [(*row[:at], row[at] if renamed or row[at] is None else row[at][:-1], *row[at + 1 :]) for row in table.rows]
    return Table((*table.columns[:at], Column(column.name, struct_of(fields)), *table.columns[at + 1 :]), tuple(rows))


def lose(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    gone = chance.randrange(len(table.rows) or 1)
    return replace(table, rows=(*table.rows[:gone], *table.rows[gone + 1 :]))


def add(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    row = tuple(draw(chance, column.kind, nulls=0 if at < keys else 0.12) for at, column in enumerate(table.columns))
    return replace(table, rows=(*table.rows, row))


def double(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """A row once more, with its key written in another way where there is one."""
    if not table.rows:
        return table
    row = chance.randrange(len(table.rows))
    table = replace(table, rows=(*table.rows, table.rows[row]))
    return flip_key(chance, table, keys, route) if chance.random() < 0.2 else table


def no_key(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    if not table.rows:
        return table
    return _with_cell(table, chance.randrange(len(table.rows)), chance.randrange(keys), None)


def move(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """The end of a list or a text to the beginning of the next column; else the two values for each other."""
    pairs = [at for at in range(keys, len(table.columns) - 1) if table.columns[at].kind == table.columns[at + 1].kind]
    if not pairs or not table.rows:
        return flip(chance, table, keys, route)
    at, row = chance.choice(pairs), chance.randrange(len(table.rows))
    one, other, kind = table.rows[row][at], table.rows[row][at + 1], table.columns[at].kind
    joins = (kind.family == "list" and not kind.size) or kind in (TEXT, FOLDED) or kind.family == "blob"
    if joins and one and other is not None and chance.random() < 0.8:
        one, other = one[:-1], one[-1:] + other
    else:
        one, other = other, one
    return _with_cell(_with_cell(table, row, at, one), row, at + 1, other)


def swap_columns(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """The names of two columns for each other, where both have one kind."""
    at = chance.randrange(keys, len(table.columns))
    alikes = [n for n in range(keys, len(table.columns)) if n != at and table.columns[n].kind == table.columns[at].kind]
    if not alikes:
        return move(chance, table, keys, route)
    other = chance.choice(alikes)
    columns = list(table.columns)
    columns[at], columns[other] = (
        replace(columns[at], name=columns[other].name),
        replace(columns[other], name=columns[at].name),
    )
    return Table(tuple(columns), table.rows)


def drop_column(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    if len(table.columns) < keys + 2:
        return table
    gone = chance.randrange(keys, len(table.columns))
    return Table(
        (*table.columns[:gone], *table.columns[gone + 1 :]),
        tuple((*row[:gone], *row[gone + 1 :]) for row in table.rows),
    )


def retype(chance: random.Random, table: Table, keys: int, route: str) -> Table:
    """A column, also of the key, in a neighbouring kind, with the same values or, where it has none, the nearest ones."""
    at = chance.randrange(len(table.columns))
    column = table.columns[at]
    kind = neighbour(chance, column.kind)
    if kind is None or not HOLDS[route](kind):
        return flip(chance, table, keys, route)
    rows = []
    for row in table.rows:
        try:
            made = converted(column.kind, kind, row[at])
        except NoValue:
            return table
        rows.append((*row[:at], made, *row[at + 1 :]))
    return Table((*table.columns[:at], Column(column.name, kind), *table.columns[at + 1 :]), tuple(rows))


CHANGES: list[tuple[str, Callable[[random.Random, Table, int, str], Table]]] = [
    ("flip", flip), ("flip", flip), ("flip", flip), ("flip", flip), ("flip column", flip_column), ("flip key", flip_key),
    ("lose", lose), ("add", add), ("double", double), ("no key", no_key), ("move", move), ("move", move),
    ("unlike", unlike), ("lose field", lose_field),
    ("swap columns", swap_columns), ("drop column", drop_column), ("retype", retype), ("retype", retype), ("retype", retype),
]  # fmt: skip


# --- neighbouring kinds -----------------------------------------------------------------------------------------


class NoValue(Exception):
    """The other kind holds nothing like the value."""


def neighbour(chance: random.Random, kind: Kind) -> Kind | None:
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


def converted(old: Kind, new: Kind, value: Any) -> Any:
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
