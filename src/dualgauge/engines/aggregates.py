"""The engine's aggregates, by the name that each goes by here: some are called by several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.macros import aggregates_of
from dualgauge.engines.syntax import name_of, with_parents
from dualgauge.model import fold

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

_ALSO: Final = {
    "mean": "avg", "argmax": "arg_max", "max_by": "arg_max", "argmin": "arg_min", "min_by": "arg_min",
    "arg_max_nulls_last": "arg_max_null", "arg_min_nulls_last": "arg_min_null", "countif": "count_if",
    "variance": "var_samp", "stddev": "stddev_samp",
}  # fmt: skip
"""Other names. Those that end in `nulls_last` mean another thing where what they order by may be NULL."""

BY_KEY: Final = frozenset(("arg_max", "arg_max_null", "arg_min", "arg_min_null"))
"""Those that give a value of the row whose key is greatest or least: both are arguments."""

OF_ONE: Final = {"last": True, "first": False, "arbitrary": False, "any_value": False}
"""Those that give a value of one row by an ORDER BY inside, and whether it is the last one."""

PACKED: Final = frozenset(("row", "struct_pack"))
"""Functions that make one value of several, by which rows are ordered from the first to the last."""


def named(name: str) -> str:
    """The name that an aggregate goes by, of any that it has; another function's as it is, folded."""
    return _ALSO.get(fold(name), fold(name))


def has_aggregate(engine: Engine, node: Any) -> bool:  # noqa: ANN401  (a tree of JSON)
    """Whether an expression, or one of several, makes one value of many rows of its own SELECT."""
    known = aggregates_of(engine)
    return any(name_of(one) in known for one, _ in with_parents(node))
