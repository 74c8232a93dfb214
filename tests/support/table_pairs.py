"""Makes up pairs of small tables by a seed: two copies, with what a diff could overlook put into one of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from support.oracle import Column, Kind, Table, form
from support.table_changes import CHANGES, HOLDS
from support.table_kinds import (
    ENDLESS,
    FOLDED,
    JSON,
    NOTHING,
    NUMBERS,
    OTHER_ENUM,
    REFUSABLE,
    SCALARS,
    TEXT,
    array_of,
    draw,
    list_of,
    map_of,
    struct_of,
    union_of,
)

ROUTES = ("sql", "arrow", "parquet")
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


RARE = (*ENDLESS, *REFUSABLE, FOLDED, FOLDED, NOTHING, OTHER_ENUM)
"""Kinds of which a few are enough: infinities, collations, what may be refused, a column of NULL alone."""


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
