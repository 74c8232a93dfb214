"""A view's SELECT taken apart by the engine's own parser: its columns, what it goes over, how it groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.engines.lexer import Token, bare, tokens
from dualgauge.engines.syntax import Node, expressions, meaning, select_of
from dualgauge.model import fold
from dualgauge.views.plan.left import NotKept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a SELECT: its name, its expression without the alias, and the tree of that."""

    name: str
    text: str
    node: Node


@dataclass(frozen=True, slots=True)
class Parts:
    """
    A plain SELECT: `source` is its text from FROM to the end of WHERE.

    `group` are the expressions that it groups by, None where it does not; all columns without an aggregate where it
    groups by ALL, which `group_all` says.
    """

    tree: Node
    columns: tuple[Column, ...]
    source: str
    group: tuple[Node, ...] | None
    group_all: bool
    having: str


_LAST: Final = (
    "for the last event of a group, GROUP BY and write arg_max_null(x, (..., position)); else keep the rows "
    "by themselves, and compute over them where they are read"
)
_MODIFIED: Final = {
    "LIMIT_MODIFIER": ("LIMIT", "keep all rows, with an `-- index:` of what orders them, and limit at the read"),
    "DISTINCT_MODIFIER": ("DISTINCT", "GROUP BY the columns instead"),
    "ORDER_MODIFIER": ("ORDER BY", "leave it out: a store keeps rows by their key, and an `-- index:` orders others"),
}
_REFUSED: Final = {
    "SUBQUERY": (
        "it has a subquery", "look up earlier events by ASOF JOIN with `e.position >= o.position`, or make it a view"
    ),
    "COLLATE": ("it has a COLLATE", "write lower(x), or another expression of the text, instead"),
    "POSITIONAL_REFERENCE": ("it has a column by its place (#1)", "write the column"),
    "PARAMETER": ("it has a parameter", "write the value"),
}  # fmt: skip


def parts_of(engine: Engine, view: ViewDefinition, alias: str | None) -> Parts:
    """
    Take a view's SELECT apart.

    Args:
        engine: parses it.
        view: the view.
        alias: what `events` is called in it; None where it is read elsewhere than by as-of joins too.

    Raises:
        NotKept: it has parts that no single event has, or is written in a way that is not understood.
    """
    text = bare(view.text)
    tree = select_of(engine, text)
    if tree is None:
        raise NotKept("it is a UNION or the like", "make each branch a view of its own")
    _refuse(tree)
    if alias is None:
        raise NotKept(
            "it reads events in more than one place, and not by as-of joins of earlier ones alone",
            "look up earlier events by ASOF JOIN with `e.position >= o.position`, or make each part a view of its own",
        )
    found = tokens(text)
    if found[0].text != "select":
        raise NotKept("it begins with FROM", "begin with SELECT")
    at = _from(found, text, tree)
    ends = {word: _word(found, at, word) for word in ("group", "having")}
    stop = min((place for place in ends.values() if place is not None), default=len(found))
    columns = _columns(engine, view, text, found[1:at], tree["select_list"])
    having = "" if ends["having"] is None else _between(text, found[ends["having"] + 1 :])
    grouped = tree["aggregate_handling"] == "FORCE_AGGREGATES" or bool(tree["group_expressions"])
    return Parts(
        tree=tree,
        columns=columns,
        source=_between(text, found[at:stop]),
        group=tuple(tree["group_expressions"]) if grouped else None,
        group_all=tree["aggregate_handling"] == "FORCE_AGGREGATES",
        having=having,
    )


def _refuse(tree: Node) -> None:
    if tree["cte_map"]["map"]:
        raise NotKept("it has a WITH", "write it as one SELECT over `events`, or make each part a view of its own")
    if tree["modifiers"]:
        kinds = [one["type"] for one in tree["modifiers"]]
        called, advice = next((one for kind, one in _MODIFIED.items() if kind in kinds), (kinds[0], ""))
        raise NotKept(f"it has {called}", advice)
    if tree["qualify"]:
        raise NotKept("it has QUALIFY", _LAST)
    if len(tree["group_sets"]) > 1:
        raise NotKept("it groups by several sets", "make each set a view of its own")
    for node in expressions(tree):
        if node["class"] == "WINDOW":
            raise NotKept("it has a window (OVER)", _LAST)
        if node["class"] in _REFUSED:
            raise NotKept(*_REFUSED[node["class"]])
        if any(name.startswith("_") for name in parameters_of(node)):
            raise NotKept("it has a lambda whose parameter begins with an underscore", "call it otherwise")


def _from(found: Sequence[Token], text: str, tree: Node) -> int:
    """The place of FROM among the tokens: the last before what is read, for `IS DISTINCT FROM` has one as well."""
    source = tree["from_table"]
    while source["type"] == "JOIN":
        source = source["left"]
    if source["type"] != "BASE_TABLE":
        raise NotKept("it goes over something else than `events`", "begin its FROM with `events`")
    if source["column_name_alias"]:
        raise NotKept("it gives the columns of `events` other names", "name them with AS in the SELECT")
    start = len(text.encode()[: source["query_location"]].decode())
    before = [at for at, token in enumerate(found) if token.text == "from" and not token.depth and token.start < start]
    if not before:
        raise NotKept("its FROM is not found")
    return before[-1]


def parameters_of(node: Node) -> list[str]:
    """The folded names of a lambda's parameters; none of what is no lambda."""
    if node["class"] != "LAMBDA":
        return []
    return [fold(part["column_names"][0]) for part in expressions(node["lhs"]) if part["class"] == "COLUMN_REF"]


def _word(found: Sequence[Token], behind: int, word: str) -> int | None:
    places = (at for at, token in enumerate(found) if at > behind and token.text == word and not token.depth)
    return next(places, None)


def _between(text: str, found: Sequence[Token]) -> str:
    """What of a text some of its tokens go over, comments between them too."""
    return text[found[0].start : found[-1].start + len(found[-1].text)] if found else ""


def _columns(
    engine: Engine, view: ViewDefinition, text: str, found: Sequence[Token], given: Sequence[Node]
) -> tuple[Column, ...]:
    items: list[list[Token]] = [[]]
    for token in found:
        if token.text == "," and not token.depth:
            items.append([])
        else:
            items[-1].append(token)
    # A comma may stand behind the last one.
    items = [item for item in items if item]
    if items and items[0][0].text == "all" and len(items[0]) > 1:
        items[0] = items[0][1:]
    if not len(items) == len(given) == len(view.columns):
        raise NotKept("it has a star", "name its columns")
    return tuple(
        Column(name, _expression(engine, text, item, node), node)
        for name, item, node in zip(view.columns, items, given, strict=True)
    )


def _expression(engine: Engine, text: str, item: Sequence[Token], node: Node) -> str:
    """The text of a column without its alias, proven to be the same expression."""
    tried = [item]
    if node["alias"]:
        tried = [item[:-2], item[:-1], item[2:]]
    for part in filter(None, tried):
        written = _between(text, part)
        tree = select_of(engine, f"SELECT {written}")
        if tree is not None and len(tree["select_list"]) == 1 and not tree["select_list"][0]["alias"]:
            alone: Node = tree["select_list"][0]
            if meaning(alone) == meaning(node):
                return written
    raise NotKept(f"the expression of {fold(node['alias']) or _between(text, item)} is not understood")
