"""
SELECTs as the engine's own parser takes them: a tree of JSON, whose calls and columns know where they stand.

Another parser may take a text otherwise than the engine that runs it. What is put into a text at a place of the tree is
proven: the new text is parsed again, and must be the tree with the new part in that place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dualgauge.engines.duck import Engine

Node = dict[str, Any]
"""A part of a tree. An expression has a `class`; a SELECT has a `select_list`."""

_PLACES = ("query_location", "query_location_length")

_MOST, _LONGEST = 256, 100_000
"""How many trees are remembered, and of how many characters at most: 25 MB, whoever asks for what."""

_TREES: Final[dict[str, str]] = {}
"""
The trees of texts that were asked for, kept as JSON, for who gets a tree may change it.

A command asks three or four times for that of each view, and one that goes on (a tail, a service) again and again.
"""


def statements_of(engine: Engine, sql: str) -> list[Node] | None:
    """The statements of a text, each with its `node`; None where the engine cannot say, for one is no plain SELECT."""
    parsed = json.loads(_tree(engine, sql))
    return None if parsed["error"] else list(parsed["statements"])


def _tree(engine: Engine, sql: str) -> str:
    """A text's tree, as JSON. It hangs on nothing but the text and the engine's version, so it is asked for once."""
    tree = _TREES.get(sql)
    if tree is None:
        tree = str(engine.row("SELECT json_serialize_sql(?)", [sql])[0])
        if len(tree) <= _LONGEST:
            if len(_TREES) >= _MOST:
                _TREES.clear()
            _TREES[sql] = tree
    return tree


def select_of(engine: Engine, sql: str) -> Node | None:
    """The tree of a text that is one SELECT, and no UNION of several; None where it is not."""
    found = statements_of(engine, sql)
    if found is None or len(found) != 1:
        return None
    node: Node = found[0]["node"]
    return node if node["type"] == "SELECT_NODE" else None


def nodes(node: Any) -> Iterator[Node]:  # noqa: ANN401  (a tree of JSON)
    """Every object of a tree, the outer one first."""
    if isinstance(node, list):
        for part in node:
            yield from nodes(part)
    elif isinstance(node, dict):
        yield node
        for part in node.values():
            yield from nodes(part)


def expressions(node: Any) -> Iterator[Node]:  # noqa: ANN401  (a tree of JSON)
    """Every expression of a tree, the outer one first."""
    return (one for one in nodes(node) if "class" in one)


def with_parents(
    node: Any, parent: Node | None = None, *, windows: bool = False  # noqa: ANN401  (a tree of JSON)
) -> Iterator[tuple[Node, Node | None]]:  # fmt: skip
    """Every expression of a tree with the one around it; none of subqueries, and no window unless asked for."""
    if isinstance(node, list):
        for part in node:
            yield from with_parents(part, parent, windows=windows)
    elif isinstance(node, dict):
        if node.get("class") == "SUBQUERY":
            return
        here = node if "class" in node else parent
        if "class" in node and (windows or node["class"] != "WINDOW"):
            yield node, parent
        for part in node.values():
            yield from with_parents(part, here, windows=windows)


def meaning(node: Any, put: Callable[[Node], Any] = lambda _: None) -> Any:  # noqa: ANN401  (as above)
    """A tree without its places and the outermost alias; each expression that `put` gives something for is that."""

    def without(part: Any, *, outer: bool) -> Any:  # noqa: ANN401
        if isinstance(part, list):
            return [without(one, outer=False) for one in part]
        if not isinstance(part, dict):
            return part
        if "class" in part and (other := put(part)) is not None:
            return other
        kept = {name: without(one, outer=False) for name, one in part.items() if name not in _PLACES}
        if outer or not kept.get("alias"):
            kept.pop("alias", None)
        return kept

    return without(node, outer=True)


def name_of(node: Node) -> str:
    """The folded name of the function that an expression calls, OVER a window or not; empty where it calls none."""
    return fold(node["function_name"]) if node["class"] in ("FUNCTION", "WINDOW") else ""


def arguments_of(node: Node) -> list[Node]:
    """What a function is called with."""
    return [argument["expression"] for argument in node["arguments"]]


def written(node: Node, text: str) -> str:
    """What of a text a call or a column is. The engine counts bytes; of an operator it says where its sign stands."""
    start = node[_PLACES[0]]
    return text.encode()[start : start + node[_PLACES[1]]].decode()


def shown(engine: Engine, node: Node, text: str) -> str:
    """An expression as it is written in a text, where that is in one line and known; else as the engine writes it."""
    if node["class"] in ("FUNCTION", "WINDOW", "COLUMN_REF") and not node.get("is_operator"):
        found = written(node, text)
        if found and "\n" not in found:
            return found
    whole = json.loads(engine.row("SELECT json_serialize_sql('SELECT 1')")[0])
    whole["statements"][0]["node"]["select_list"] = [{**node, "alias": ""}]
    (sql,) = engine.row("SELECT json_deserialize_sql(?)", [json.dumps(whole)])
    return str(sql).removeprefix("SELECT ")


def put_into(engine: Engine, text: str, parts: Mapping[int, str]) -> str | None:
    """
    An expression in which other expressions stand in the place of some; None where that cannot be proven.

    Args:
        engine: parses it.
        text: the expression.
        parts: what to put, by the place in `expressions` of the tree of `SELECT text`.
    """
    before = "SELECT "
    tree = select_of(engine, before + text)
    if tree is None or len(tree["select_list"]) != 1:
        return None
    (whole,) = tree["select_list"]
    replaced: dict[int, Any] = {}
    edits: list[tuple[int, int, str]] = []
    for place, node in enumerate(expressions(whole)):
        if (new := parts.get(place)) is None:
            continue
        parsed = select_of(engine, before + new)
        if parsed is None:
            return None
        # The name of a struct's field is the alias of what stands in it.
        alias = {"alias": node["alias"]} if node["alias"] else {}
        replaced[id(node)] = meaning(parsed["select_list"][0]) | alias
        start = node[_PLACES[0]]
        edits.append((start, start + node[_PLACES[1]], f"({new})"))
    content = (before + text).encode()
    for start, end, new in sorted(edits, reverse=True):
        content = content[:start] + new.encode() + content[end:]
    found = content.decode().removeprefix(before)
    again = select_of(engine, before + found)
    if again is None or len(again["select_list"]) != 1:
        return None
    wanted = meaning(whole, lambda node: replaced.get(id(node)))
    return found if meaning(again["select_list"][0]) == wanted else None
