"""Whether a comparator compares the rows of one view a side, each under the key that the view has it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import expressions as exp

from dualgauge.model import Side, fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.views.definition import ViewDefinition

_OF_ROWS = {"expressions", "from_", "where", "order"}
_OF_A_TABLE = {"this", "db", "catalog", "alias"}
"""The parts of a SELECT, and of what it goes over, that make each of its rows of one row by itself."""


@dataclass(frozen=True, slots=True)
class KeysKept:
    """The view of a side, and what the comparator calls the columns of its key, by their names there."""

    view: ViewDefinition
    names: Mapping[str, str]


def keys_kept(
    comparator: Comparator, queries: Mapping[Side, str], read: Mapping[Side, Sequence[ViewDefinition]], *, plain: bool
) -> Mapping[Side, KeysKept] | str:
    """
    The views of both sides, where each row that is compared is made of the one of the view with its key; else why not.

    Args:
        comparator: its key pairs the rows.
        queries: of both sides.
        read: the views that each of them reads.
        plain: the queries give the whole of a view, as it is.
    """
    found = {}
    for side, views in read.items():
        if len(views) != 1:
            return f"the query of {side.value} reads {len(views)} views"
        named = {fold(name): name for name in views[0].key} if plain else _as_they_are(queries[side], views[0])
        if named is None:
            return f"the query of {side.value} gives something else than rows of {views[0].label} one by one"
        names = {named[fold(one)]: one for one in comparator.keys if fold(one) in named}
        if set(names) != set(views[0].key) or len(comparator.keys) != len(names):
            return f"the key of {views[0].label} is not the comparator's"
        found[side] = KeysKept(views[0], {name: names[name] for name in views[0].key})
    if len({tuple(map(fold, one.names.values())) for one in found.values()}) > 1:
        return "the key of one side has its columns in another order than that of the other"
    return found


def _as_they_are(query: str, view: ViewDefinition) -> dict[str, str] | None:
    """
    The columns of a view's key that a query gives as they are, by the folded names that it gives them.

    None where a row that it gives is not made of one of the view alone.
    """
    try:
        (tree,) = sqlglot.parse(query, read="duckdb")
    except (sqlglot.errors.SqlglotError, ValueError):
        return None
    if not isinstance(tree, exp.Select) or _others(tree, _OF_ROWS):
        return None
    table = tree.args["from_"].this
    alias = table.args.get("alias")
    if not isinstance(table, exp.Table) or _others(table, _OF_A_TABLE) or (alias is not None and alias.columns):
        return None
    if any(node is not tree for node in tree.find_all(exp.Window, exp.Query, exp.Exists)):
        return None
    # A struct's fields are written as a table's columns are.
    called = {"", fold(table.alias_or_name)} - set(map(fold, view.columns))
    return _given(tree, called, {fold(name): name for name in view.key})


def _others(tree: exp.Expr, known: set[str]) -> bool:
    return any(part and name not in known for name, part in tree.args.items())


def _given(tree: exp.Select, called: set[str], key: Mapping[str, str]) -> dict[str, str] | None:
    given: dict[str, str] = {}
    for at, one in enumerate(tree.expressions):
        column = one.unalias()
        if isinstance(column, exp.Column) and fold(column.table) not in called:
            continue
        star = column.this if isinstance(column, exp.Column) else column
        if isinstance(star, exp.Star):
            if any(star.args.get(part) for part in ("replace", "rename")):
                return None
            given |= {name: own for name, own in key.items() if name not in given}
        elif isinstance(column, exp.Column) and fold(column.name) in key:
            # What another column is called may be meant by the name.
            others = [fold(other.alias) for place, other in enumerate(tree.expressions) if place != at]
            if fold(column.name) in others:
                return None
            given[fold(one.alias_or_name)] = key[fold(column.name)]
    return given
