"""
Values that the engine takes for one though they are written unlike.

So are an INTERVAL of 1 month and one of 30 days, and the numbers 1 and 1.0 of a VARIANT. Which of them a group shows,
hangs on the order of rows. The engine's plan says of which type a group is. The difference of two times is written in
one way, so a SELECT that can have no others is not looked at.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.syntax import nodes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.syntax import Node

_TYPES: Final = ("INTERVAL", "VARIANT")
_MAKING: Final = re.compile(r"interval|variant|\bto_|\bage\b", re.IGNORECASE)
"""What stands in a SELECT that makes such values."""


def grouped_unlike(engine: Engine, sql: str, event_types: Iterable[str]) -> str:
    """
    The type by which a SELECT groups, or makes rows distinct, and whose values may be one and written unlike.

    Args:
        engine: `events` must have a meaning in it.
        sql: the SELECT.
        event_types: the types of the columns of `events`.

    Returns empty where there is none.
    """
    if not _MAKING.search(sql) and not any(kind in of for of in event_types for kind in _TYPES):
        return ""
    (plan,) = engine.row("SELECT json_serialize_plan(?)", [sql])
    groups = (
        expression
        for node in nodes(json.loads(plan))
        for name in ("groups", "distinct_targets")
        for expression in node.get(name) or ()
    )
    kinds = {part.get("id") for expression in groups for part in nodes(_types(expression))}
    return next((kind for kind in _TYPES if kind in kinds), "")


def _types(expression: Node) -> list[Any]:
    """The type of a group, and where the engine makes a key of its bytes, those of what that is made of."""
    kind = expression.get("return_type") or {}
    inner = expression.get("children") or () if kind.get("id") == "BLOB" else ()
    return [kind, *(part.get("return_type") for part in inner)]
