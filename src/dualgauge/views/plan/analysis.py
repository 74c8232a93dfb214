"""What a view's SELECT goes over, and what is an aggregate in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from dualgauge.engines.aggregates import BY_KEY, named
from dualgauge.views.definition import EVENTS

if TYPE_CHECKING:
    from dualgauge.views.definition import ViewDefinition


def main_of(view: ViewDefinition) -> tuple[exp.Select | None, str | None]:
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


def aggregates(node: exp.Expr) -> bool:
    """Whether a function is known to be an aggregate."""
    return isinstance(node, exp.AggFunc) or (isinstance(node, exp.Anonymous) and named(node.name) in BY_KEY)
