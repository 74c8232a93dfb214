"""Which events touch a key of a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from dualgauge.views.definition import EVENTS
from dualgauge.views.plan.analysis import aggregates, main_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.views.definition import ViewDefinition


@dataclass(frozen=True, slots=True)
class Tracing:
    """Which events touch a key: rows of `events <alias>` where the condition holds and each key expression matches."""

    alias: str
    condition: str
    key: Mapping[str, str]


def tracing(view: ViewDefinition) -> Tracing | None:
    """How the events of a key are found, as the view declares or proves it; None where it does neither."""
    # What gives a part of the key, several keys of an event or other events finds no key by itself.
    if view.tree is not None and len(view.header.affected_by) == 1 and view.header.affected_by[0].whole(view.key):
        return Tracing(alias=EVENTS, condition="", key=view.header.affected_by[0].key)
    return proven(view)


def proven(view: ViewDefinition) -> Tracing | None:
    """How the events of a key are found by the view's SELECT alone: no other event changes the key's row."""
    tree, alias = main_of(view)
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
            or any(map(aggregates, expression.find_all(exp.AggFunc, exp.Anonymous)))
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
