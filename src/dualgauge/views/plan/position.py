"""The position of a row: that of the last event that it is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from dualgauge.engines.errors import EngineError
from dualgauge.engines.lexer import bare, tokens
from dualgauge.model import POSITION, quote
from dualgauge.views.plan.analysis import aggregates

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition


def with_position(engine: Engine, view: ViewDefinition, tree: exp.Select, alias: str) -> str | None:
    """
    The view's own text with `_position` put before its FROM, or None where that is not the row's last event.

    A group's last event is its highest position; a row without grouping is one event's. As-of look-ups only add
    earlier events.
    """
    if any(tree.args.get(part) for part in ("distinct", "limit", "offset", "qualify")) or tree.find(exp.Window):
        return None
    grouped = tree.args.get("group") is not None
    called = [node for node in tree.find_all(exp.AggFunc, exp.Anonymous) if aggregates(node)]
    if not grouped and any(_own(node, tree) for node in called):
        return None
    unknown = (node for one in tree.expressions for node in one.walk() if isinstance(node, exp.Anonymous))
    if not all(map(aggregates, unknown)):
        # An unknown function may be an aggregate, or give several rows: nothing is proven.
        return None
    column = f"{quote(alias)}.position"
    # Of no event there may be a row too: GROUP BY ALL over nothing but constants.
    added = f"coalesce(max({column}), 0)" if grouped else column
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


def _own(node: exp.Expr, tree: exp.Select) -> bool:
    return node.find_ancestor(exp.Select) is tree
