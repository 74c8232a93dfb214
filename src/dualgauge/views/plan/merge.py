"""
Views that are kept by merging: the groups of new events are made one with the stored ones.

What is run are pieces of the view's own text. Beside a group's row stand the states of its aggregates, as the engine's
own text; HAVING and what the columns make of the aggregates apply on the way out, so that a group behind HAVING is not
forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.engines.aggregates import has_aggregate
from dualgauge.engines.errors import EngineError
from dualgauge.engines.macros import aggregates_of
from dualgauge.engines.syntax import Node, arguments_of, expressions, meaning, name_of, put_into, select_of, written
from dualgauge.model import POSITION, PRESENT, fold, literal, quote
from dualgauge.views.plan.left import NotKept
from dualgauge.views.plan.lookups import on_batch
from dualgauge.views.plan.nulls import refuse_null
from dualgauge.views.plan.parts import Column, Parts, parameters_of
from dualgauge.views.plan.states import QUOTIENT, Kept, kept, merged_states, places_of, quotient
from dualgauge.views.plan.windows import windows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition


_SCALAR: Final = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)|VARCHAR|UUID|BLOB|DATE|TIME|TIMESTAMP"
    r"( WITH TIME ZONE|_S|_MS)?|ENUM\(.*\)"
)
"""The types of keys: of these the engine and a store agree which values are one."""


@dataclass(frozen=True, slots=True)
class Merge:
    """
    How a view's groups are kept.

    Args:
        groups: a SELECT over `events` of each group's key, its states `_s0`, `_s1` ... and `_position`.
        of_batch: the same over the events of a batch, with the relations of its look-ups, and `_events`, which counts
            the events of each group.
        key: the columns of the key.
        states: the type of each state, by its name.
        merged: SQL that makes a state of one before, `_o0`, and one over later events, `_n0`.
        columns: SQL over the key and the states of each of the view's columns, by name.
        having: SQL over the same that says whether readers see the group; empty where they see all.
        windows: the columns of the key that are windows of the events' time.
        settled: the calls whose key is unique by the view's word alone, each with the numbers of the states that are
            the key and its event's position.
    """

    groups: str
    of_batch: str
    key: tuple[str, ...]
    states: Mapping[str, str]
    merged: tuple[str, ...]
    columns: Mapping[str, str]
    having: str
    windows: tuple[str, ...] = ()
    settled: tuple[tuple[str, int, int], ...] = ()

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden columns of a build beside `_position`, each with its DuckDB type."""
        return dict.fromkeys(self.states, "VARCHAR") | ({PRESENT: "INTEGER"} if self.having else {})

    def joined(self, new: str, old: str) -> str:
        """
        A SELECT of the groups of a batch made one with what was stored of them, as `groups` gives them.

        Args:
            new: a relation of the batch's groups, each with a number `_i`.
            old: a relation of what was stored: the number, and the hidden columns as text.
        """
        merged = [
            f"CAST({sql} AS {kind}) AS {name}"
            for (name, kind), sql in zip(self.states.items(), self.merged, strict=True)
        ]
        key = [quote(name) for name in self.key]
        return (
            f"SELECT {', '.join([*key, *merged])}, greatest(_after, coalesce(_before, 0)) AS {POSITION} "
            f"FROM {self._beside(new, old)}"
        )

    def tied(self, new: str, old: str) -> list[str]:
        """
        SELECTs of ties between a batch and what was stored, a row at most: call, key as text, position stored and new.

        Args:
            new, old: as `joined` takes them.
        """
        return [
            f"SELECT {literal(text)}, CAST(_n{key} AS VARCHAR), _o{at}, _n{at} FROM {self._beside(new, old)} "
            f"WHERE _o{key} = _n{key} ORDER BY _n{at} LIMIT 1"
            for text, key, at in self.settled
        ]

    def _beside(self, new: str, old: str) -> str:
        """The groups of a batch, each beside what was stored of it: a FROM."""
        before = [f"CAST({name} AS {kind}) AS {_at('o', name)}" for name, kind in self.states.items()]
        later = [f"{name} AS {_at('n', name)}" for name in self.states]
        key = [quote(name) for name in self.key]
        return (
            f"(SELECT {', '.join(['_i', *key, *later])}, {POSITION} AS _after FROM {new}) "
            f"LEFT JOIN (SELECT {', '.join(['_i', *before])}, {POSITION} AS _before FROM {old}) USING (_i)"
        )

    def _seen(self, name: str, sql: str) -> str:
        """A column's SQL, computed only for groups that readers see: HAVING may keep it from a value it fails on."""
        return sql if name in self.key or not self.having else f"CASE WHEN {self.having} THEN {sql} END"

    def rows(self, groups: str) -> str:
        """A SELECT of the rows that a build has of some groups, with the hidden columns and `_position` behind them."""
        public = [f"{self._seen(name, sql)} AS {quote(name)}" for name, sql in self.columns.items()]
        hidden = [f"CAST({name} AS VARCHAR) AS {name}" for name in self.states]
        present = [f"CASE WHEN {self.having} THEN 1 ELSE 0 END AS {PRESENT}"] if self.having else []
        return f"SELECT {', '.join([*public, *hidden, *present, POSITION])} FROM ({groups}\n)"


def merge_of(engine: Engine, view: ViewDefinition, parts: Parts, alias: str) -> Merge:
    """
    How a view's groups are kept.

    Args:
        engine: its `events` have the columns of the log.
        view: the view.
        parts: its SELECT taken apart.
        alias: what `events` is called in it.

    Raises:
        NotKept: it cannot be kept so.
    """
    work = _Work(engine, view, parts, alias)
    key = work.key()
    names = {column.name: quote(column.name) for column in key}
    columns = {column.name: work.over_states(column.text) for column in parts.columns if column not in key}
    having = work.over_states(parts.having) if parts.having else ""
    aggregates = list(work.kept.values())
    places = places_of(aggregates)
    states = {places[state.sql]: state for one in aggregates for state in one.states}
    given = [f"{column.text} AS {quote(column.name)}" for column in key]
    given += [f"{state.sql} AS _s{at}" for at, state in states.items()]
    given.append(f"coalesce(max({quote(alias)}.position), 0) AS {POSITION}")
    grouped = f"\nGROUP BY {', '.join(str(at) for at in range(1, len(key) + 1))}" if parts.group is not None else ""
    groups = f"SELECT {', '.join(given)}\n{parts.source}{grouped}"
    counted = f"SELECT {', '.join([*given, 'count(*) AS _events'])}\n{parts.source}{grouped}"
    try:
        kinds = engine.columns(groups)
        found = Merge(
            groups=groups, of_batch=on_batch(engine, counted), key=tuple(names), having=having,
            merged=tuple(merged_states(aggregates, places)),
            states={f"_s{at}": kinds[f"_s{at}"] for at in states},
            columns={column.name: names.get(column.name) or columns[column.name] for column in parts.columns},
            windows=windows_of(key, work.events), settled=_settled(aggregates, places),
        )  # fmt: skip
        made = engine.columns(found.rows(groups))
    except EngineError as fault:
        raise NotKept(f"taken apart it does not bind ({fault.reason.splitlines()[0]})") from fault
    for at, state in states.items():
        if not state.holds(kinds[f"_s{at}"]):
            raise NotKept(
                f"{state.sql} is {kinds[f'_s{at}']}, which cannot be merged",
                "CAST what it goes over to VARCHAR or a number",
            )
    if {name: made[name] for name in view.columns} != dict(view.columns):
        raise NotKept("taken apart its columns have other types")
    return found


def _settled(aggregates: Sequence[Kept], places: Mapping[str, int]) -> tuple[tuple[str, int, int], ...]:
    """The calls whose key is unique by the view's word alone, each with the states that are the key and the place."""
    return tuple(
        (one.settled, places[one.states[1].sql], places[one.states[2].sql]) for one in aggregates if one.settled
    )


def _at(side: str, state: str) -> str:
    """What a state of before (`o`) or of later events (`n`) is called where two are merged: `_o0`."""
    return f"_{side}{state.removeprefix('_s')}"


class _Work:
    """One view that is being taken apart."""

    def __init__(self, engine: Engine, view: ViewDefinition, parts: Parts, alias: str) -> None:
        self._engine, self._view, self._parts, self._alias = engine, view, parts, fold(alias)
        self._aggregates = aggregates_of(engine)
        self.events = engine.columns("FROM events")
        self.kept: dict[str, Kept] = {}
        self._group: list[Column] = []

    def key(self) -> list[Column]:
        """The columns of the key, which are those that it groups by."""
        columns = self._parts.columns
        plain = [column for column in columns if not has_aggregate(self._engine, column.node)]
        if self._parts.group is None:
            self._group = plain
            if len(plain) == len(columns) or any(column.node["class"] != "CONSTANT" for column in plain):
                raise NotKept("it has no aggregate")
        elif self._parts.group_all:
            self._group = plain
            if all(column.node["class"] == "CONSTANT" for column in self._group):
                raise NotKept("it groups by nothing but constants", "leave GROUP BY out")
        else:
            self._group = [self._grouped(node) for node in self._parts.group]
        by = {column.name for column in self._group}
        for name in self._view.key:
            if name not in by:
                raise NotKept(
                    f"it does not group by {name} of its key", f"GROUP BY {name} too, or take it out of the key"
                )
        beside = [column for column in self._group if column.name not in self._view.key]
        self._group = [column for column in self._group if column.name in self._view.key]
        for column in beside:
            try:
                self.over_states(column.text)
            except NotKept as fault:
                raise NotKept(f"it groups by {column.name} beside its key", "name it in the key") from fault
        for column in self._group:
            self._check_key(column)
        return self._group

    def _check_key(self, column: Column) -> None:
        refuse_null(column, self._parts.tree["where_clause"], self._alias)
        if not _SCALAR.fullmatch(kind := self._view.columns[column.name]):
            raise NotKept(
                f"{column.name} of its key is {kind}, and a store tells such values apart otherwise",
                f"CAST {column.name} to VARCHAR",
            )

    def _grouped(self, node: Node) -> Column:
        """The column that an expression of GROUP BY is."""
        columns = self._parts.columns
        if node["class"] == "CONSTANT" and node["literal"]["kind"] == "INTEGER":
            return columns[int(node["literal"]["text"]) - 1]
        for column in columns:
            if self._is(node, column):
                return column
        raise NotKept("it groups by something that is not a column of it", "SELECT it too, and name it in the key")

    def _is(self, node: Node, column: Column) -> bool:
        """Whether an expression is that of a column, or its alias."""
        return meaning(column.node, self._unqualified) == meaning(node, self._unqualified) or self._is_alias(
            node, column
        )

    def _unqualified(self, node: Node) -> list[str] | None:
        names = [fold(name) for name in node["column_names"]] if node["class"] == "COLUMN_REF" else []
        return names[1:] if names[:1] == [self._alias] and len(names) > 1 else names or None

    def _names(self, column: Column) -> list[str]:
        """The folded name of the events' column that a column is; none or several where it is something else."""
        return self._unqualified(column.node) or []

    def _is_alias(self, node: Node, column: Column) -> bool:
        """Whether a column by itself is the alias of another, and none of the events' own."""
        if node["class"] != "COLUMN_REF" or len(node["column_names"]) != 1:
            return False
        name = fold(node["column_names"][0])
        return name == fold(column.node["alias"]) and name not in map(fold, self.events)

    def over_states(self, text: str) -> str:
        """An expression over the view's groups as one over the key and the states."""
        tree = select_of(self._engine, f"SELECT {text}")
        if tree is None:
            raise NotKept(f"{text} is not understood")
        (whole,) = tree["select_list"]
        parts: dict[int, str] = {}
        inside: set[int] = set()
        own = {name for node in expressions(whole) for name in parameters_of(node)}
        for place, node in enumerate(expressions(whole)):
            if id(node) in inside:
                continue
            new = self._instead(node, f"SELECT {text}")
            if new is not None:
                parts[place] = new
                inside |= {id(below) for below in expressions(node)}
            elif node["class"] == "COLUMN_REF" and fold(node["column_names"][0]) not in own:
                raise NotKept(f"{'.'.join(node['column_names'])} in {text} is neither grouped by nor aggregated")
            elif node["class"] == "STAR":
                raise NotKept("it has a star", "name its columns")
        found = put_into(self._engine, text, parts) if parts else text
        if found is None:
            raise NotKept(f"{text} is not understood")
        return found

    def _instead(self, node: Node, text: str) -> str | None:
        """What stands for an expression: a group's column, what the states make of an aggregate, what an alias is."""
        for column in self._group:
            if self._is(node, column):
                return quote(column.name)
        if name_of(node) in self._aggregates:
            return self._result(node, written(node, text))
        for column in self._parts.columns:
            if self._is_alias(node, column):
                return self.over_states(column.text)
        return None

    def _result(self, node: Node, text: str) -> str:
        if has_aggregate(self._engine, arguments_of(node)):
            raise NotKept(f"{text} has an aggregate inside", "make what is inside a view of its own")
        known = repr(meaning(node))
        if known not in self.kept:
            grouped = {names[0] for names in map(self._names, self._group) if len(names) == 1}
            unique = [frozenset(map(fold, names)) - grouped for names in self._view.header.unique]
            made = self.kept[known] = kept(node, text, self._alias, unique)
            if QUOTIENT in made.result:
                self._engine.define(QUOTIENT, quotient)
        one, places = self.kept[known], places_of(self.kept.values())
        return one.result.format(*(f"_s{places[state.sql]}" for state in one.states))
