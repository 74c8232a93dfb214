"""Changes of a copy that a diff could overlook, or take for a difference where they are none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from support.near_values import alike
from support.neighbours import NoValue, converted, neighbour
from support.oracle import Column, Kind, Table
from support.table_kinds import (
    BOOLEAN,
    DATE,
    DOUBLE,
    FOLDED,
    INTERVAL,
    TEXT,
    UUID,
    draw,
    list_of,
    map_of,
    struct_of,
)
from support.table_writing import arrow_type, in_parquet

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

HOLDS: dict[str, Callable[[Kind], bool]] = {
    "sql": lambda kind: kind.family != "null",
    "arrow": lambda kind: arrow_type(kind) is not None,
    "parquet": in_parquet,
}
"""Which kinds a way to hand over a table can carry."""

UNLIKE = {
    "number": (DATE, list_of(TEXT), struct_of({"a": TEXT}), map_of(TEXT, TEXT), INTERVAL, UUID),
    "list": (struct_of({"a": TEXT}), map_of(TEXT, TEXT), DATE, DOUBLE),
    "struct": (map_of(TEXT, TEXT), DATE, BOOLEAN),
    "map": (INTERVAL, DATE, DOUBLE),
    "bool": (DATE, list_of(BOOLEAN)),
    "instant": (UUID, BOOLEAN, list_of(DATE)),
}
"""
Kinds that no cast makes one. Texts, JSON,
BLOBs and UUIDs beside texts are left out: whether what is written as a number
is one is not said; neither is whether a TIMESTAMP is one of UTC.
"""


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
    kinds = [(at, table.columns[at].kind) for at in range(keys, len(table.columns))]
    structs = [at for at, kind in kinds if kind.family == "struct" and len(kind.parts) > 1]
    if not structs:
        return flip(chance, table, keys, route)
    at = chance.choice(structs)
    column, renamed = table.columns[at], chance.random() < 0.5
    fields = dict(column.kind.parts[:-1]) | ({"other": column.kind.parts[-1][1]} if renamed else {})
    if not HOLDS[route](struct_of(fields)):
        return flip(chance, table, keys, route)
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
    """A column, also of the key, in a neighbouring kind, with its values or the nearest that the kind has."""
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
    ("flip", flip), ("flip", flip), ("flip", flip), ("flip", flip), ("flip column", flip_column), ("flip key",
    flip_key),
    ("lose", lose), ("add", add), ("double", double), ("no key", no_key), ("move", move), ("move", move),
    ("unlike", unlike), ("lose field", lose_field),
    ("swap columns", swap_columns), ("drop column", drop_column), ("retype", retype), ("retype", retype), ("retype",
    retype),
]  # fmt: skip
