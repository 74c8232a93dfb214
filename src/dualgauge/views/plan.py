"""
How a view is kept current, and what can be said of its rows, derived from the parsed SQL.

Nothing is rewritten by a library: what is run is the view's own text, at most with one column put before its
FROM. Where the parsed tree does not prove something, the plan says so and takes the safe way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import expressions as exp

from dualgauge.engines.errors import EngineError
from dualgauge.model import quote
from dualgauge.views.definition import EVENTS
from dualgauge.views.lexer import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition

POSITION = "_position"
"""The hidden column of every row: the last event that changed it, or an upper bound."""

_ROUNDED = (exp.Sum, exp.Avg)
_FLOATS = {"DOUBLE", "FLOAT"}


@dataclass(frozen=True, slots=True)
class Tracing:
    """Which events touch a key: rows of `events <alias>` where the condition holds and each key expression matches."""

    alias: str
    condition: str
    key: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is known of a view before it is built.

    `strategy` is `replay` for every view: each build is a full replay to the new head. `position_sql` gives
    `_position` exactly, or is None where only the head bounds it. `tracing` is None where the plan cannot tell
    which events touch a key.
    """

    view: ViewDefinition
    strategy: str
    why: str
    position_sql: str | None
    tracing: Tracing | None
    warnings: tuple[str, ...]

    def select(self, head: int) -> str:
        """The view's SELECT with `_position` as its last column."""
        if self.position_sql is not None:
            return self.position_sql
        return f"SELECT *, {head:d} AS {POSITION} FROM ({_bare(self.view.text)}\n)"


def plan(engine: Engine, view: ViewDefinition, event_columns: Mapping[str, str]) -> Plan:
    """Derive a view's plan. The engine must know an (empty) `events`, as `define` leaves it."""
    tree = _parsed(view.text)
    main = _main_events(tree) if tree is not None else None
    position_sql = _with_position(engine, view, tree, main) if tree is not None and main is not None else None
    return Plan(
        view=view,
        strategy="replay",
        why="every build is a full replay to the new head",
        position_sql=position_sql,
        tracing=_tracing(view, tree, main),
        warnings=_warnings(view, tree, event_columns),
    )


def _bare(text: str) -> str:
    return text.rstrip().rstrip(";")


def _parsed(text: str) -> exp.Select | None:
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return None
    return tree if isinstance(tree, exp.Select) else None


def _main_events(tree: exp.Select) -> str | None:
    """The alias of `events` where it is what the SELECT goes over, alone or with as-of look-ups beside it."""
    source = tree.args.get("from_") or tree.args.get("from")
    if source is None or not isinstance(source.this, exp.Table) or source.this.name != EVENTS or tree.args.get("with_"):
        return None
    if any(not _is_asof(join) for join in tree.args.get("joins") or []):
        return None
    return str(source.this.alias_or_name)


def _is_asof(join: exp.Join) -> bool:
    return str(join.args.get("method") or "").upper() == "ASOF"


def _with_position(engine: Engine, view: ViewDefinition, tree: exp.Select, alias: str) -> str | None:
    """
    The view's own text with `_position` put before its FROM, or None where that is not the row's last event.

    A group's last event is its highest position; a row without grouping is one event's. As-of look-ups only add
    earlier events.
    """
    if any(tree.args.get(part) for part in ("distinct", "limit", "offset", "qualify")) or tree.find(exp.Window):
        return None
    grouped = tree.args.get("group") is not None
    if not grouped and any(_own(node, tree) for node in tree.find_all(exp.AggFunc)):
        return None
    if any(isinstance(node, exp.Anonymous) for one in tree.expressions for node in one.walk()):
        # An unknown function may be an aggregate, or give several rows: nothing is proven.
        return None
    column = f"{quote(alias)}.position"
    added = f"max({column})" if grouped else column
    text = _bare(view.text)
    place = next((token.start for token in tokens(text) if token.text == "from" and token.depth == 0), None)
    if place is None:
        return None
    before = text[:place].rstrip().removesuffix(",")
    # The line break ends a comment that may stand before FROM.
    sql = f"{before}\n, {added} AS {POSITION}\n{text[place:]}"
    try:
        columns = engine.columns(sql)
    except EngineError:
        return None
    return sql if list(columns) == [*view.columns, POSITION] else None


def _own(node: exp.Expression, tree: exp.Select) -> bool:
    return node.find_ancestor(exp.Select) is tree


def _tracing(view: ViewDefinition, tree: exp.Select | None, alias: str | None) -> Tracing | None:
    if view.header.affected_by:
        return Tracing(alias=EVENTS, condition="", key=dict(zip(view.key, view.header.affected_by, strict=True)))
    if tree is None or alias is None:
        return None
    alone = not tree.args.get("joins")
    given = {one.alias_or_name: one.unalias() for one in tree.expressions}
    key: dict[str, str] = {}
    for name in view.key:
        expression = given.get(name)
        if expression is None or not _only(expression, alias, alone=alone) or expression.find(exp.AggFunc, exp.Window, exp.Star):
            return None
        key[name] = expression.sql("duckdb")
    where = tree.args.get("where")
    parts = list(where.this.flatten()) if where is not None and isinstance(where.this, exp.And) else [where.this] if where else []
    kept = [part for part in parts if _only(part, alias, alone=alone) and not part.find(exp.Subquery, exp.Exists)]
    return Tracing(alias=alias, condition=" AND ".join(f"({part.sql('duckdb')})" for part in kept), key=key)


def _only(expression: exp.Expression, alias: str, *, alone: bool) -> bool:
    """Whether an expression speaks of the main events and of nothing joined to them."""
    return all(column.table == alias or (alone and not column.table) for column in expression.find_all(exp.Column))


def _warnings(view: ViewDefinition, tree: exp.Select | None, event_columns: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    doubles = {name for name, kind in event_columns.items() if kind in _FLOATS}
    for one in tree.expressions if tree is not None else []:
        for node in one.find_all(*_ROUNDED):
            over = {column.name for column in node.find_all(exp.Column)} & doubles
            if over:
                found.append(
                    f"{one.alias_or_name}: adds DOUBLE values ({', '.join(sorted(over))}), whose sum depends on the order "
                    "of addition; declare the column as DECIMAL, or compare it with a tolerant rule"
                )
    if tree is None:
        found.append("the SELECT could not be parsed here (DuckDB could), so little is known about it")
    return tuple(dict.fromkeys(found))
