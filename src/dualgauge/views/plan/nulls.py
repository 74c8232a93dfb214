"""Whether an expression over events may be NULL: what is not proven may be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from dualgauge.engines.syntax import Node, arguments_of, meaning, name_of
from dualgauge.model import fold
from dualgauge.views.plan.left import NotKept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualgauge.views.plan.parts import Column

_NEVER: Final = frozenset(("position", "event_id", "type", "occurred_at", "recorded_at"))
"""Columns that each event has a value in."""

_TOTAL: Final = frozenset(
    """
    + - * || abs concat date_trunc date_part strftime upper lower ucase lcase trim ltrim rtrim length strlen md5 sha256
    year month day hour minute second quarter week dayofweek isodow dayofyear yearweek epoch epoch_ms epoch_us
    time_bucket timezone left right lpad rpad replace reverse struct_pack row list_value
    """.split()  # noqa: SIM905  (words read best as text)
)
"""Functions that are NULL only where an argument is."""

_COMPARED: Final = frozenset(
    ("COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN", "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO",
     "COMPARE_GREATERTHANOREQUALTO")
)  # fmt: skip


def may_be_null(node: Node, where: Node | None, alias: str) -> bool:
    """
    Whether an expression may be NULL in an event.

    Args:
        node: the expression, in the tree.
        where: the condition that the events meet, in the same tree; None where there is none.
        alias: what the events are called there; columns of others may be NULL.
    """
    bare = partial(_bare, fold(alias))
    sure = [meaning(one, bare) for one in _refused(where)] if where else []
    return not _never(node, sure, bare)


def refuse_null(column: Column, where: Node | None, alias: str) -> None:
    """Raise NotKept where a column of a key may be NULL."""
    if may_be_null(column.node, where, alias):
        raise NotKept(
            f"{column.name} of its key may be NULL, and no row has such a key",
            f"leave those events out (WHERE {column.text} IS NOT NULL), or give them a name (coalesce)",
        )


def _never(node: Node, sure: list[object], bare: Callable[[Node], object]) -> bool:
    if meaning(node, bare) in sure:
        return True
    match node["class"]:
        case "CONSTANT":
            found = node["literal"]["kind"] != "NULL"
        case "COLUMN_REF":
            found = bare(node) in [[name] for name in _NEVER]
        case "CAST":
            found = not node["try_cast"] and _never(node["child"], sure, bare)
        case "FUNCTION" if name_of(node) == "unnest":
            (unnested,) = arguments_of(node)
            found = name_of(unnested) == "list_value" and all(_never(one, sure, bare) for one in arguments_of(unnested))
        case "FUNCTION":
            found = name_of(node) in _TOTAL and all(_never(one, sure, bare) for one in arguments_of(node))
        case "OPERATOR" if node["type"] == "OPERATOR_COALESCE":
            found = any(_never(one, sure, bare) for one in node["children"])
        case "COMPARISON" | "CONJUNCTION":
            found = all(_never(one, sure, bare) for one in node.get("children") or (node["left"], node["right"]))
        case "CASE":
            results = [check["then_expr"] for check in node["case_checks"]]
            found = all(_never(one, sure, bare) for one in [*results, node["else_expr"]])
        case _:
            found = False
    return bool(found)


def _bare(alias: str, node: Node) -> list[str] | None:
    """A column without what says that it is one of the events."""
    if node["class"] != "COLUMN_REF":
        return None
    names = [fold(name) for name in node["column_names"]]
    return names[1:] if names[1:] and names[0] == alias else names


def _refused(where: Node) -> Iterator[Node]:
    """The expressions whose NULL a condition does not let pass."""
    if where["type"] == "CONJUNCTION_AND":
        for part in where["children"]:
            yield from _refused(part)
    elif where["type"] == "OPERATOR_IS_NOT_NULL" or where["type"] == "COMPARE_IN":
        yield where["children"][0]
    elif where["type"] in _COMPARED:
        yield from (where["left"], where["right"])
    elif where["type"] == "COMPARE_BETWEEN":
        yield where["input"]
