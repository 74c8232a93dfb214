"""
Casts that the engine makes by itself, as its own binder says: where values of two types meet, one becomes the other.

What is written as a cast is no such one. No type is guessed here: `nullif(code, 0)`, `CASE code WHEN 0`, `USING (code)`
and a subquery compare as `code = 0` does, and the plan has the cast of each.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge.engines.syntax import nodes, statements_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.engines.duck import Engine

_COLUMNS: Final = ("BOUND_REF", "BOUND_COLUMN_REF")


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


def bending_casts(engine: Engine, sql: str) -> list[Cast]:
    """The casts by which a SELECT may make another value without saying so; none of one that is not understood."""
    statements = statements_of(engine, sql)
    if statements is None:
        return []
    for one in nodes(statements):
        if one.get("class") == "CAST":
            # The plan does not say which casts were written: those become TRY_CAST, which none is that was not.
            one["try_cast"] = True
    (written,) = engine.row("SELECT json_deserialize_sql(?)", [json.dumps({"error": False, "statements": statements})])
    plan = json.loads(engine.row("SELECT json_serialize_plan(?)", [written])[0])
    return [] if plan["error"] else list(_found(plan["plans"]))


def _found(plans: Any) -> Iterator[Cast]:  # noqa: ANN401  (a tree of JSON)
    for one in nodes(plans):
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
        columns = [each["alias"] for each in nodes(child) if each.get("expression_class") in _COLUMNS and each["alias"]]
        alone = child["expression_class"] in _COLUMNS
        text = constant if isinstance(constant, str) else None
        yield Cast(_name(before), tuple(dict.fromkeys(columns)), alone, text, _name(after))


def _name(kind: dict[str, Any]) -> str:
    info = kind["type_info"] or {}
    return f"{kind['id']}({info['width']},{info['scale']})" if "scale" in info else str(kind["id"])
