"""
How a view is kept current, and what can be said of its rows, derived from the parsed SQL.

Nothing is rewritten by a library: what is run is the view's own text, at most with one column put before its
FROM. Where the parsed tree does not prove something, the plan says so and takes the safe way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from dualgauge.engines.errors import EngineError
from dualgauge.engines.lexer import bare, tokens
from dualgauge.model import POSITION, fold, quote
from dualgauge.views.definition import EVENTS, no_events
from dualgauge.views.latest import KEEPING, latest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition
    from dualgauge.views.latest import Latest

ADOPTED = "adopted"
"""The strategy of a table of the user's own: nothing is built."""

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

    `strategy` is `replay` for every view that is built: each build is a full replay to the new head; `adopted` for
    one that is not. `position_sql` gives `_position` exactly, or is None where only the head bounds it. `tracing` is
    None where the plan cannot tell which events touch a key. `latest` are the values that the view takes from the last
    or the first event of a group.
    """

    view: ViewDefinition
    strategy: str
    why: str
    position_sql: str | None
    tracing: Tracing | None
    warnings: tuple[str, ...]
    latest: tuple[Latest, ...] = ()

    def select(self, head: int) -> str:
        """The view's SELECT with `_position` as its last column."""
        if self.position_sql is not None:
            return self.position_sql
        return f"SELECT *, {head:d} AS {POSITION} FROM ({bare(self.view.text)}\n)"


def plan(engine: Engine, view: ViewDefinition, event_columns: Mapping[str, str]) -> Plan:
    """Derive a view's plan. The engine's `events` stay what they are."""
    if view.tree is None:
        return Plan(
            view=view,
            strategy=ADOPTED,
            why=f"code of your own keeps the table {view.adopted}, which is only read",
            position_sql=None,
            tracing=None,
            warnings=(),
        )
    tree, main = _main(view)
    with no_events(engine, event_columns):
        return Plan(
            view=view,
            strategy="replay",
            why="every build is a full replay to the new head",
            position_sql=_with_position(engine, view, tree, main) if tree is not None and main is not None else None,
            tracing=_tracing(view, tree, main),
            warnings=_warnings(view.tree, event_columns),
            latest=latest(engine, bare(view.text), tuple(view.columns)),
        )


def tracing(view: ViewDefinition) -> Tracing | None:
    """How the events of a key are found, by the view alone; None where nothing proves it."""
    return None if view.tree is None else _tracing(view, *_main(view))


def _main(view: ViewDefinition) -> tuple[exp.Select | None, str | None]:
    """The view's SELECT, where it is one, and the alias of the events that it goes over, where it has one."""
    tree = view.tree if isinstance(view.tree, exp.Select) else None
    return tree, None if tree is None else _main_events(tree)


def _main_events(tree: exp.Select) -> str | None:
    """
    The alias of `events` where it is what the SELECT goes over, alone or with as-of look-ups beside it.

    None where `events` is read anywhere else too: then a row may change by an event that is not among its own.
    """
    source = _source(tree)
    if source is None or tree.args.get("with_"):
        return None
    alias = str(source.alias_or_name)
    joins = tree.args.get("joins") or []
    if any(not _is_lookup(join, alias) for join in joins):
        return None
    read = sum(1 for table in tree.find_all(exp.Table) if table.name.casefold() == EVENTS)
    return alias if read == 1 + len(joins) else None


def _source(tree: exp.Select) -> exp.Table | None:
    """`events` where it is the SELECT's FROM."""
    found = tree.args.get("from_")
    if found is None or not isinstance(found.this, exp.Table) or found.this.name.casefold() != EVENTS:
        return None
    return found.this


def _is_lookup(join: exp.Join, alias: str) -> bool:
    """Whether a join looks up earlier rows of `events`: as-of by `position`, its right side a plain filter."""
    if str(join.args.get("method") or "").upper() != "ASOF":
        return False
    right = join.this
    if isinstance(right, exp.Subquery):
        if not isinstance(right.this, exp.Select) or not _is_filter(right.this):
            return False
    elif not isinstance(right, exp.Table):
        return False
    using = join.args.get("using")
    if using:
        return bool(using[-1].name.casefold() == "position")
    on = join.args.get("on")
    return on is not None and any(_goes_back(part, alias, right.alias_or_name) for part in on.flatten())


def _is_filter(tree: exp.Select) -> bool:
    """Whether a SELECT only leaves out rows and columns of `events`, `position` as it is among them."""
    parts = ("with_", "joins", "group", "having", "distinct", "qualify", "limit", "offset")
    if _source(tree) is None or any(tree.args.get(part) for part in parts):
        return False
    if tree.find(exp.AggFunc, exp.Window, exp.Subquery, exp.Exists):
        return False
    given = {one.alias_or_name.casefold(): one for one in tree.expressions}
    kept = given.get("position")
    return "*" in given if kept is None else isinstance(kept, exp.Column)


def _goes_back(condition: exp.Expr, alias: str, other: str) -> bool:
    """Whether a condition is `alias.position >= other.position`, either way round."""
    if isinstance(condition, exp.GTE | exp.GT):
        later, earlier = condition.left, condition.right
    elif isinstance(condition, exp.LTE | exp.LT):
        later, earlier = condition.right, condition.left
    else:
        return False
    return [_place(later), _place(earlier)] == [(alias, "position"), (other, "position")]


def _place(node: exp.Expr) -> tuple[str, str] | None:
    return (node.table, node.name.casefold()) if isinstance(node, exp.Column) else None


def _with_position(engine: Engine, view: ViewDefinition, tree: exp.Select, alias: str) -> str | None:
    """
    The view's own text with `_position` put before its FROM, or None where that is not the row's last event.

    A group's last event is its highest position; a row without grouping is one event's. As-of look-ups only add
    earlier events.
    """
    if any(tree.args.get(part) for part in ("distinct", "limit", "offset", "qualify")) or tree.find(exp.Window):
        return None
    grouped = tree.args.get("group") is not None
    aggregates = [node for node in tree.find_all(exp.AggFunc, exp.Anonymous) if _aggregates(node)]
    if not grouped and any(_own(node, tree) for node in aggregates):
        return None
    unknown = (node for one in tree.expressions for node in one.walk() if isinstance(node, exp.Anonymous))
    if not all(map(_aggregates, unknown)):
        # An unknown function may be an aggregate, or give several rows: nothing is proven.
        return None
    column = f"{quote(alias)}.position"
    added = f"max({column})" if grouped else column
    text = bare(view.text)
    found = tokens(text)
    at = next((at for at, token in enumerate(found) if token.text == "from" and token.depth == 0), 0)
    if not at:
        return None
    place = found[at].start
    # A comma may stand behind the last column.
    before = text[: found[at - 1].start if found[at - 1].text == "," else place].rstrip()
    # The line break ends a comment that may stand before FROM.
    sql = f"{before}\n, {added} AS {POSITION}\n{text[place:]}"
    try:
        columns = engine.columns(sql)
    except EngineError:
        return None
    return sql if list(columns) == [*view.columns, POSITION] else None


def _aggregates(node: exp.Expr) -> bool:
    """Whether a function is known to be an aggregate."""
    return isinstance(node, exp.AggFunc) or (isinstance(node, exp.Anonymous) and fold(node.name) in KEEPING)


def _own(node: exp.Expr, tree: exp.Select) -> bool:
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
        if (
            expression is None
            or not _only(expression, alias, alone=alone)
            or expression.find(exp.Window, exp.Star)
            or any(map(_aggregates, expression.find_all(exp.AggFunc, exp.Anonymous)))
        ):
            return None
        key[name] = expression.sql("duckdb")
    where = tree.args.get("where")
    parts = (
        list(where.this.flatten())
        if where is not None and isinstance(where.this, exp.And)
        else [where.this]
        if where
        else []
    )
    kept = [part for part in parts if _only(part, alias, alone=alone) and not part.find(exp.Subquery, exp.Exists)]
    return Tracing(alias=alias, condition=" AND ".join(f"({part.sql('duckdb')})" for part in kept), key=key)


def _only(expression: exp.Expr, alias: str, *, alone: bool) -> bool:
    """Whether an expression speaks of the main events and of nothing joined to them."""
    return all(column.table == alias or (alone and not column.table) for column in expression.find_all(exp.Column))


def _warnings(tree: exp.Expr, event_columns: Mapping[str, str]) -> tuple[str, ...]:
    doubles = {name.casefold() for name, kind in event_columns.items() if kind in _FLOATS}
    found = []
    for node in tree.find_all(*_ROUNDED):
        over = {column.name for column in node.find_all(exp.Column) if column.name.casefold() in doubles}
        over |= {part.sql("duckdb") for part in node.find_all(exp.Div, exp.Cast) if _gives_double(part)}
        if over:
            # A FILTER stands between an aggregate and its name.
            named = node.find_ancestor(exp.Alias, exp.Select)
            name = named.alias if isinstance(named, exp.Alias) else node.sql("duckdb")
            found.append(
                f"{name}: adds DOUBLE values ({', '.join(sorted(over))}), whose sum depends on the order "
                "of addition; declare the column as DECIMAL, or compare it with a tolerant rule"
            )
    return tuple(dict.fromkeys(found))


def _gives_double(node: exp.Expr) -> bool:
    """Whether an expression is DOUBLE whatever goes in: a cast to it, or a division (DuckDB's `/`)."""
    if isinstance(node, exp.Cast):
        return str(node.to.sql("duckdb")).upper() in _FLOATS | {"REAL"}
    return isinstance(node, exp.Div)
