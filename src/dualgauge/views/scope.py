"""What stands behind FROM: which columns there are, what an expression over them is, and what tells rows apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.aggregates import PACKED
from dualgauge.engines.syntax import Node, arguments_of, expressions, meaning, name_of
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Name = tuple[str, str]
"""A column: what its relation is called, and its own name, both folded."""

_BOUNDS: Final = (
    "COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO",
)  # fmt: skip


@dataclass(slots=True)
class Scope:
    """
    What stands behind FROM: the columns of each relation, and what is unique of them together.

    `of_events` says that it is `events` and nothing beside it.
    """

    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    of_events: bool = False
    unique: list[frozenset[Name]] = field(default_factory=list)
    items: Sequence[Node] = ()

    def numbered(self, node: Node) -> Node:
        """What the number of a column stands for, behind GROUP BY and ORDER BY; any other expression as it is."""
        if node["class"] != "CONSTANT" or node["literal"]["kind"] != "INTEGER":
            return node
        at = int(node["literal"]["text"]) - 1
        # Behind a star the numbers are others.
        known = 0 <= at < len(self.items) and not any(item["class"] == "STAR" for item in self.items[: at + 1])
        return self.items[at] if known else node

    def resolved(self, node: Node) -> Node:
        """What an alias stands for; any other expression as it is."""
        if node["class"] != "COLUMN_REF" or len(node["column_names"]) != 1:
            return node
        name = fold(node["column_names"][0])
        if any(name in columns for columns in self.columns.values()):
            return node
        return self._called(name) or node

    def ordered(self, node: Node) -> Node:
        """What an expression behind ORDER BY or DISTINCT ON is: there an alias goes before a column of its name."""
        node = self.numbered(node)
        if node["class"] == "COLUMN_REF" and len(node["column_names"]) == 1:
            return self._called(fold(node["column_names"][0])) or node
        return node

    def _called(self, name: str) -> Node | None:
        """The column that an alias is, also one that a star gives another value or another name."""
        for item in self.items:
            if item["alias"] and fold(item["alias"]) == name:
                return item
            if item["class"] == "STAR":
                changed = {fold(one["key"]): one["value"] for one in item["replace_list"]}
                renamed = {fold(one["value"]): one["key"]["column"] for one in item["rename_list"]}
                if name in renamed:
                    return {"class": "COLUMN_REF", "alias": "", "column_names": [renamed[name]]}
                if name in changed:
                    return dict(changed[name])
        return None


def starred(star: Node, scope: Scope) -> dict[Name, str]:
    """The columns that a star stands for, each with the name that it gets; none of COLUMNS, for they are unknown."""
    new = {fold(one["key"]["column"]): fold(one["value"]) for one in star["rename_list"]}
    without = {fold(one) for one in star["exclude_list"]}
    without |= {fold(one["column"]) for one in star["qualified_exclude_list"]}
    return {
        (relation, column): new.get(column, column)
        for relation, columns in scope.columns.items()
        for column in columns
        if fold(star["relation_name"]) in ("", relation) and column not in without and not star["columns"]
    }


def replaced(star: Node, scope: Scope) -> set[Name]:
    """The columns that a star gives with other values."""
    names = {fold(one["key"]) for one in star["replace_list"]}
    return {name for name in columns_of(scope) if name[1] in names}


def is_all(order: Node) -> bool:
    """Whether something to order by is every column: a bare star, or ALL."""
    lists = ("exclude_list", "replace_list", "rename_list", "qualified_exclude_list", "relation_name")
    return order["class"] == "STAR" and order["expr"] is None and not any(order[one] for one in lists)


def compared(condition: Any, side: Scope, other: Scope, both: Scope, *, by_order: bool) -> set[Name]:  # noqa: ANN401
    """The columns of a side that a join holds equal to something of the other side, or an as-of join orders by."""
    if not condition:
        return set()
    if condition["class"] == "CONJUNCTION" and condition["type"] == "CONJUNCTION_AND":
        found = (compared(one, side, other, both, by_order=by_order) for one in condition["children"])
        return set().union(*found)
    told = condition["class"] == "COMPARISON" and (
        condition["type"] == "COMPARE_EQUAL" or (by_order and condition["type"] in _BOUNDS)
    )
    if not told or any(one["class"] == "COLLATE" for one in expressions(condition)):
        return set()
    for own, against in (("left", "right"), ("right", "left")):
        names, far = names_of(condition[own], both), made_of([condition[against]], both)
        if (
            condition[own]["class"] == "COLUMN_REF"
            and names
            and names <= columns_of(side)
            and far
            and far <= columns_of(other)
        ):
            return names
    return set()


def unpacked(key: Node) -> list[Node]:
    """The parts of a key that is a tuple; else the key."""
    return arguments_of(key) if name_of(key) in PACKED else [key]


def names_of(node: Node, scope: Scope) -> set[Name]:
    """The columns that an expression is, if it is nothing but one of them; each that it may be; all that a star is."""
    if node["class"] == "STAR" and not node["columns"] and not node["replace_list"] and all(scope.columns.values()):
        return set(starred(node, scope))
    if node["class"] != "COLUMN_REF":
        # What a star stands for that is not known is ordered by nothing but the same star.
        return {("*", repr(meaning(node)))} if node["class"] == "STAR" else set()
    *relation, name = map(fold, node["column_names"])
    if relation:
        return {(relation[-1], name)}
    return {(one, name) for one, columns in scope.columns.items() if name in columns} or {("", name)}


def all_names(nodes: Iterable[Node], scope: Scope) -> set[Name]:
    """
    What some expressions are: columns, or of one that is made of columns a name for itself.

    Only columns that stand alone, or in a tuple, tell rows apart: `lower(x)` does not tell `A` from `a`.
    """
    found: set[Name] = set()
    for node in nodes:
        for part in map(scope.resolved, unpacked(scope.resolved(node))):
            found |= names_of(part, scope) or ({("=", repr(meaning(part)))} if made_of([part], scope) else set())
    return found


def made_of(nodes: Iterable[Node], scope: Scope) -> set[Name]:
    """The columns that some expressions are made of."""
    return {name for node in nodes for one in expressions(node) for name in names_of(one, scope)}


def covers(unique: Iterable[frozenset[Name]], keys: set[Name]) -> bool:
    """Whether some columns have a set among them that is unique."""
    return any(one <= keys for one in unique)


def columns_of(scope: Scope) -> set[Name]:
    """All columns that are known of it."""
    return {(relation, name) for relation, columns in scope.columns.items() for name in columns}
