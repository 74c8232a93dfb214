"""What is known of the rows of a relation: their columns in order, and which of them tell rows apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dualgauge.engines.syntax import Node

Value = tuple[str, str]
"""A constant: its kind and its text, equal where the values are."""

_SURE: Final = frozenset(("INTEGER", "STRING"))
"""Kinds of constants whose texts differ only where the values do, as long as all are of one kind."""


@dataclass(frozen=True, slots=True)
class Rows:
    """
    Rows of a relation.

    Args:
        columns: its columns, folded.
        unique: sets of columns that no two rows agree in; of one row also the empty set.
        constants: the columns that hold nothing but constants, with these.
        placed: whether `columns` are all of them, in order.
    """

    columns: tuple[str, ...] = ()
    unique: tuple[frozenset[str], ...] = ()
    constants: Mapping[str, frozenset[Value]] = field(default_factory=dict)
    placed: bool = False

    def renamed(self, names: Sequence[str]) -> Rows:
        """The same under other names, given for the first columns."""
        if not names:
            return self
        if not self.placed:
            return Rows(tuple(map(fold, names)))
        columns = (*map(fold, names), *self.columns[len(names) :])
        new = dict(zip(self.columns, columns, strict=False))
        unique = tuple(frozenset(new[one] for one in keys) for keys in self.unique)
        return replace(
            self, columns=columns, unique=unique, constants={new[name]: one for name, one in self.constants.items()}
        )


def constant_of(node: Node) -> frozenset[Value]:
    """The value that an expression is, where it is a constant of a kind whose texts tell values apart; else none."""
    if node["class"] != "CONSTANT" or (kind := node["literal"]["kind"]) not in _SURE:
        return frozenset()
    text = node["literal"]["text"]
    return frozenset(((kind, str(int(text)) if kind == "INTEGER" else text),))


def by_name(sides: Sequence[Rows]) -> list[Rows]:
    """The sides of a UNION BY NAME as those of one by place; where their columns are not the same, nothing is known."""
    columns = sides[0].columns
    if not all(one.placed and len(one.columns) == len(columns) and {*one.columns} == {*columns} for one in sides):
        return [Rows()] * len(sides)
    return [replace(one, columns=columns) for one in sides]


def union_of(sides: Sequence[Rows], *, distinct: bool) -> Rows:
    """
    The rows of a UNION by place, one after the other.

    Where a column of each side is a constant, and no two sides have the same one, it says which side a row is from:
    with what is unique in each side it is unique.
    """
    first = sides[0]
    unique = [frozenset(first.columns)] if distinct and first.columns else []
    if not all(one.placed and len(one.columns) == len(first.columns) for one in sides):
        return Rows(first.columns, tuple(unique))
    constants: dict[str, frozenset[Value]] = {}
    for at, name in enumerate(first.columns):
        values = [one.constants.get(one.columns[at], frozenset()) for one in sides]
        known = frozenset[Value]().union(*values)
        # Of several kinds the engine makes one: '1' may be the number 1.
        if not all(values) or len({kind for kind, _ in known}) > 1:
            continue
        constants[name] = known
        if len(known) == sum(map(len, values)):
            unique += [frozenset(first.columns[place] for place in (*places, at)) for places in _together(sides)]
    return Rows(first.columns, tuple(unique), constants, placed=True)


def _together(sides: Sequence[Rows]) -> Iterable[frozenset[int]]:
    """Sets of places of columns, each of which has a unique set of every side; none that has another one in it."""
    found = {frozenset[int]()}
    for side in sides:
        given = [frozenset(map(side.columns.index, keys)) for keys in side.unique]
        found = {one | other for one in found for other in given}
        found = {one for one in found if not any(other < one for other in found)}
    return found
