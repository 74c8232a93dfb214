"""The two sides as DuckDB relations of one shape, under names of their own that are dropped at the end."""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.content.json_content import content_of
from dualgauge.comparison.engine.common_types import CommonType, narrowed
from dualgauge.comparison.engine.equality import CONTENT, form
from dualgauge.comparison.engine.fetch import count_where
from dualgauge.comparison.engine.kinds import kind_of
from dualgauge.comparison.errors import BadRelation
from dualgauge.engines.errors import BadStatement, EngineError
from dualgauge.model import literal, quote
from dualgauge_router.rules import Relative

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.comparison.engine.schema import Column, Layout
    from dualgauge.comparison.values import SchemaColumn
    from dualgauge.engines.duck import Engine

_serial = itertools.count(1)

_SETTINGS = {"perfect_ht_threshold": "17", "preserve_insertion_order": "false"}
"""2^16 buckets and one: so many groups are counted in a plain array. Order is given by ORDER BY where it matters."""


_WIDE: Final = 200
"""A side of more columns is kept first, though it is stable, if it has no more than `_FEW` cells."""

_FEW: Final = 4_000_000


class Scratch:
    """Temporary tables and views of one comparison."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._prefix = f"dualgauge_diff_{next(_serial)}_"
        self._made: list[tuple[str, str]] = []

    def table(self, name: str, select: str) -> str:
        """Keep a query's rows; gives the quoted name."""
        return self._make("TABLE", name, select)

    def view(self, name: str, select: str) -> str:
        """Name a query; gives the quoted name."""
        return self._make("VIEW", name, select)

    def _make(self, what: str, name: str, select: str) -> str:
        quoted = quote(self._prefix + name)
        self.engine.execute(f"CREATE TEMP {what} {quoted} AS {select}")
        self._made.append((what, quoted))
        return quoted

    def drop(self) -> None:
        """Drop everything, the last first."""
        while self._made:
            what, quoted = self._made.pop()
            # After a fault the connection may be unusable; the fault is what the user must see.
            with suppress(EngineError):
                self.engine.execute(f"DROP {what} IF EXISTS {quoted}")


@contextmanager
def scratch(engine: Engine) -> Iterator[Scratch]:
    """Give a Scratch; its objects are dropped and the engine's settings put back at the end, come what may."""
    before = {name: engine.row(f"SELECT current_setting({literal(name)})")[0] for name in _SETTINGS}
    space = Scratch(engine)
    try:
        for name, value in _SETTINGS.items():
            engine.execute(f"SET {name} = {value}")
        yield space
    finally:
        space.drop()
        for name, value in before.items():
            with suppress(EngineError):
                engine.execute(f"SET {name} = {literal(str(value))}")


def bring(space: Scratch, layout: Layout, side: str, sql: str, *, stable: bool) -> str:
    """
    Name one side's rows in the common shape, each column by its place: keys, compared columns, rest.

    Unless the query is `stable` its rows are kept first: it is read several times, and a sum of DOUBLE
    would differ from one reading to the next.

    Raises:
        BadRelation: the query cannot be run.
    """
    if layout.reads_json:
        space.engine.define(CONTENT, content_of)
    first = side == "v1"
    columns = []
    for at, key in enumerate(layout.keys):
        value = _cast(key, first=first)
        pairs = form(value, key.kind)[0]
        if key.paired is not None:
            pairs, value = _lossy_key(key, key.paired, first=first)
        columns.append(f"{pairs} AS {layout.key(at)}")
        if layout.shown(at) != layout.key(at):
            columns.append(f"{value} AS {layout.shown(at)}")
    columns += [f"{_cast(column, first=first)} AS {layout.value(at)}" for at, column in enumerate(layout.compared)]
    columns += [f"{_unfit(layout.compared[at], first=first)} AS {layout.unfit(at)}" for at in layout.risky]
    rest = layout.rest_v1 if first else layout.rest_v2
    columns += [f"{quote(name)} AS {layout.rest(at)}" for at, name in enumerate(rest)]
    select = f"SELECT {', '.join(columns)} FROM ({_bare(sql)}\n)"
    # The form of a key is made once, not at each reading.
    stable = stable and all(layout.shown(at) == name for at, name in enumerate(layout.key_names))
    try:
        # Seen: to bind a view of 1,500 columns takes a fifth of a second, and dozens of statements read it.
        if stable and len(columns) > _WIDE:
            rows = int(space.engine.row(f"SELECT count(*) FROM ({_bare(sql)}\n)")[0])
            stable = rows * len(columns) > _FEW
        return space.view(side, select) if stable else space.table(side, select)
    except BadStatement as fault:
        raise BadRelation(side, fault.reason) from fault


def named(layout: Layout, side: str, relation: str) -> str:
    """A side's relation with the columns that expressions of the user's may name beside those by place."""
    columns = [f"{layout.shown(at)} AS {quote(column.name)}" for at, column in enumerate(layout.keys)]
    columns += [f"{layout.value(at)} AS {quote(column.name)}" for at, column in enumerate(layout.compared)]
    rest = layout.rest_v1 if side == "v1" else layout.rest_v2
    columns += [f"{layout.rest(at)} AS {quote(name)}" for at, name in enumerate(rest)]
    return f"(SELECT *, {', '.join(columns)} FROM {relation})"


def _bare(sql: str) -> str:
    """The query without the semicolon that would end the statement around it."""
    return sql.strip().removesuffix(";")


def _cast(column: Column, *, first: bool) -> str:
    name, kind = (column.name, column.v1_type) if first else (column.v2_name, column.v2_type)
    if kind == column.common.name != "VARCHAR":
        return quote(name)
    return in_common(column, quote(name))


def _unfit(column: Column, *, first: bool) -> str:
    """
    Another number on each side where the common type cannot hold a value, and has NULL in its place, or in it.

    Without it that NULL would match the NULL of the other side, or hash as it does.
    """
    value, there, back = _there_and_back(column, first=first)
    lost = f"{value} IS DISTINCT FROM {back}" if column.kind.parts else f"{value} IS NOT NULL AND {there} IS NULL"
    return f"CAST(CASE WHEN {lost} THEN {1 if first else 2} ELSE 0 END AS UTINYINT)"


def _lossy_key(column: Column, paired: CommonType, *, first: bool) -> tuple[str, str]:
    """
    The form that pairs a key, and the text that shows it.

    What the common type cannot hold is a key of its own, on its side only: rounded it might be another row's.
    """
    value, there, back = _there_and_back(replace(column, common=paired), first=first)
    lost, own = f"{value} IS DISTINCT FROM {back}", f"CAST({value} AS VARCHAR)"
    told = f"CASE WHEN {lost} THEN {literal('v1 ' if first else 'v2 ')} || {own} END"
    held = f"CASE WHEN NOT ({lost}) THEN {form(there, kind_of(paired.name))[0]} END"
    pairs = f"CASE WHEN {value} IS NOT NULL THEN struct_pack(lost := {told}, held := {held}) END"
    return pairs, f"CASE WHEN {lost} THEN {own} ELSE CAST({there} AS VARCHAR) END"


def with_lost_keys(layout: Layout, schema: tuple[SchemaColumn, ...]) -> Layout:
    """The layout after `count_lost`: keys of which some are lost are paired by what is left, and shown as text."""
    lost = {column.name for column in schema if column.lost}
    keys = [
        replace(key, common=CommonType("VARCHAR"), paired=key.common) if key.name in lost else key
        for key in layout.keys
    ]
    return replace(layout, keys=tuple(keys), schema=schema)


def _there_and_back(column: Column, *, first: bool) -> tuple[str, str, str]:
    """A value of a side in its own type (of structs, the fields that both have), in the common one, and back again."""
    name, kind = (column.name, column.v1_type) if first else (column.v2_name, column.v2_type)
    own = narrowed(kind_of(kind), column.kind)
    value = quote(name) if own == kind else f"CAST({quote(name)} AS {own})"
    there = f"TRY_CAST({value} AS {column.common.name})"
    return value, there, f"TRY_CAST({there} AS {own})"


def in_common(column: Column, value: str) -> str:
    """A value of a column in the common type."""
    cast = f"{'TRY_CAST' if column.common.risky else 'CAST'}({value} AS {column.common.name})"
    # A column may have a collation, by which 'a' is 'A' wherever it is compared, joined or hashed.
    return f'{cast} COLLATE "binary"' if column.common.name == "VARCHAR" else cast


def count_lost(engine: Engine, layout: Layout, v1_sql: str, v2_sql: str) -> tuple[SchemaColumn, ...]:
    """
    The schema with `lost` filled in: how many values of both sides the common type cannot hold exactly.

    Only columns whose cast is risky are read. A relative rule already says that later digits do not count: of its
    columns, only values that become none at all are lost.
    """
    risky = [column for column in (*layout.keys, *layout.compared) if column.common.risky]
    if not risky:
        return layout.schema
    lost = dict.fromkeys((column.name for column in risky), 0)
    for first, sql in ((True, v1_sql), (False, v2_sql)):
        counts = []
        for column in risky:
            value, there, back = _there_and_back(column, first=first)
            near = isinstance(column.rule, Relative) and column.common.name == "DOUBLE"
            lacks = f"{value} IS NOT NULL AND {there} IS NULL" if near else f"{value} IS DISTINCT FROM {back}"
            counts.append(count_where(lacks))
        for column, count in zip(risky, engine.row(f"SELECT {', '.join(counts)} FROM ({_bare(sql)}\n)"), strict=True):
            lost[column.name] += count
    return tuple(replace(column, lost=lost.get(column.name, 0)) for column in layout.schema)
