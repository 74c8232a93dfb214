"""
Casts that the engine makes by itself, as its own binder says: where values of two types meet, one becomes the other.

What is written as a cast is no such one. No type is guessed here: `nullif(code, 0)`, `CASE code WHEN 0`, `USING (code)`
and a subquery compare as `code = 0` does, and the plan has the cast of each.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge.engines.syntax import nodes, statements_of
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.syntax import Node

_COLUMNS: Final = ("BOUND_REF", "BOUND_COLUMN_REF")
_ORDERS: Final = tuple(f"COMPARE_{one}THAN{also}" for one in ("LESS", "GREATER") for also in ("", "OREQUALTO"))
_ORDERING: Final = re.compile(r"hash|min|max|least|greatest|median|quantile\w*|(list|array)_(\w*sort|grade_up|aggr\w*)")
_ORDERED_BY: Final = re.compile(r"arg_?(min|max)\w*|(min|max)_by")
"""Functions that put all of their values in order, or hash them, and that do so by the second."""

_OF_JSON: Final = re.compile(r"(\w+_to_|to_|from_)?json(_\w+)?|->>?")


class Cast(NamedTuple):
    """
    A text that is cast to a value of another type, or a decimal to one of fewer digits behind the point.

    `before` is the type that it had, `kind` the one that it gets, such as `DECIMAL(5,2)`. `columns` are those that it
    is made of, as the engine calls them, `alone` where it is one of them itself. `literal` is a text that is written
    there.
    """

    before: str
    columns: tuple[str, ...]
    alone: bool
    literal: str | None
    kind: str


def bound(engine: Engine, sql: str) -> list[Node]:
    """The parts of a SELECT as the engine binds it, written casts as TRY_CAST; none of what it does not understand."""
    statements = statements_of(engine, sql)
    if statements is None:
        return []
    for one in nodes(statements):
        if one.get("class") == "CAST":
            # The plan does not say which casts were written: those become TRY_CAST, which none is that was not.
            one["try_cast"] = True
    (written,) = engine.row("SELECT json_deserialize_sql(?)", [json.dumps({"error": False, "statements": statements})])
    plan = json.loads(engine.row("SELECT json_serialize_plan(?)", [written])[0])
    return [] if plan["error"] else list(nodes(plan["plans"]))


def bending_casts(parts: Iterable[Node]) -> Iterator[Cast]:
    """The casts by which what is `bound` may make another value without saying so."""
    for one in parts:
        if one.get("type") != "OPERATOR_CAST" or one["function_data"]["try_cast"]:
            continue
        (before,), after = one["arguments"], one["return_type"]
        (child,) = one["children"]
        constant = child["value"].get("value") if child["expression_class"] == "BOUND_CONSTANT" else None
        if before["id"] == after["id"] == "DECIMAL":
            more = before["type_info"]["scale"] - after["type_info"]["scale"]
            if more <= 0 or (isinstance(constant, int) and constant % 10**more == 0):
                continue
        # Within lists and structs a number becomes a text, and no text a number.
        elif before["id"] != "VARCHAR" or after["id"] == "VARCHAR":
            continue
        columns = dict.fromkeys(each["alias"] for each in _columns(child))
        alone = child["expression_class"] in _COLUMNS
        text = constant if isinstance(constant, str) else None
        yield Cast(_name(before), tuple(columns), alone, text, _name(after))


def json_as_text(parts: Collection[Node], names: Collection[str]) -> str:
    """
    A column whose JSON, by itself or in it, is taken as a text or put in order as one; empty where none is.

    That of a string has quotes, and that of a number none. Nothing is said of JSON that a function of JSON gives.

    Args:
        parts: what is `bound`.
        names: the columns that are looked at, folded.
    """
    found = [each for each in _taken_as_text(parts) if _has_json(each.get("return_type")) and not _gives_json(each)]
    # What has a name of its own, such as a value of a list, is made of one of the others.
    columns = (one for each in (found, parts if found else ()) for one in _columns(each))
    return next((one["alias"] for one in columns if fold(one["alias"]) in names and _has_json(one["return_type"])), "")


def _taken_as_text(parts: Iterable[Node]) -> Iterator[Node]:
    """What becomes a text, is put in order, or meets what becomes JSON."""
    for one in parts:
        if one.get("type") == "OPERATOR_CAST":
            texts = any(each.get("id") == "VARCHAR" for each in nodes(one["return_type"]))
            if not _has_json(one["return_type"]) and (texts or not one["function_data"]["try_cast"]):
                yield from one["children"]
        elif one.get("type") in _ORDERS or _ORDERING.fullmatch(_called(one)):
            yield from _operands(one)
        elif _ORDERED_BY.fullmatch(_called(one)):
            yield from _operands(one)[1:]
        elif "null_order" in one and "expression" in one:
            yield one["expression"]
        elif not _gives_json(one) and any(map(_becomes_json, _operands(one))):
            yield from _operands(one)
        else:
            yield from _taken_by(one)


def _taken_by(function: Node) -> Iterator[Node]:
    """What a function takes as a text without a cast, as `concat_ws` does, or as the key of a map, which is one."""
    if not _called(function) or _OF_JSON.fullmatch(_called(function)):
        return
    kind = function["return_type"]
    keyed = any(one.get("first") == "key" and _has_json(one.get("second")) for one in nodes(kind))
    for each in _operands(function):
        if keyed or (kind["id"] == "VARCHAR" and not _has_json(kind) and _is_json(each)):
            yield each


def _columns(node: Any) -> Iterator[Node]:  # noqa: ANN401  (a tree of JSON)
    return (each for each in nodes(node) if each.get("expression_class") in _COLUMNS and each["alias"])


def _operands(node: Node) -> list[Node]:
    inner = (each for value in node.values() for each in (value if isinstance(value, list) else [value]))
    return [each for each in inner if isinstance(each, dict) and "expression_class" in each]


def _becomes_json(node: Node) -> bool:
    """Whether an expression is one that the engine makes JSON of, and no NULL."""
    if node.get("type") != "OPERATOR_CAST" or node["function_data"]["try_cast"] or not _has_json(node["return_type"]):
        return False
    (child,) = node["children"]
    return not _has_json(node["arguments"][0]) and not (child.get("value") or {}).get("is_null", False)


def _has_json(kind: Any) -> bool:  # noqa: ANN401  (a tree of JSON)
    return any(one.get("alias") == "JSON" for one in nodes(kind))


def _is_json(node: Node) -> bool:
    """Whether an expression is JSON, or a list of it."""
    kind = node.get("return_type") or {}
    while kind.get("id") == "LIST":
        kind = kind["type_info"]["child_type"]
    return (kind.get("type_info") or {}).get("alias") == "JSON"


def _called(node: Node) -> str:
    return str(node["qname"]["path"][-1]) if node.get("qname") and "expression_class" in node else ""


def _gives_json(node: Node) -> bool:
    """Whether an expression is written to give JSON, as a function or a cast: `o.n` of JSON is not, though it does."""
    if node.get("type") == "OPERATOR_CAST":
        return bool(node["function_data"]["try_cast"])
    if _OF_JSON.fullmatch(_called(node)) is None:
        return False
    path = [(each.get("value") or {}).get("value") for each in node["children"][1:]]
    return not any(isinstance(one, str) and one.startswith('$."') for one in path)


def _name(kind: dict[str, Any]) -> str:
    info = kind["type_info"] or {}
    return f"{kind['id']}({info['width']},{info['scale']})" if "scale" in info else str(kind["id"])
