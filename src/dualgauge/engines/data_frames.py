"""
Data frames of pandas as Arrow tables: every value as it is, or the column is refused by name.

Of a column of objects the engine looks at some values and bends the others to their type. Arrow looks at all of them,
but makes a datetime beside dates a date, and a NaN among decimals nothing.
"""

from __future__ import annotations

import datetime as dt
import numbers
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    Refuse = Callable[[str, str], Exception]
    """Makes the error that a column is refused with, of its name and the reason: what it holds, `: `, what to do."""

_ONE_TYPE: Final = "give all of them one type, for example with astype(str)"
_TOGETHER: Final = ({"whole numbers", "numbers"}, {"whole numbers", "decimals"})
"""Families of values that one type of numbers holds, or Arrow refuses."""


def framed(given: Any, refuse: Refuse) -> Any:  # noqa: ANN401  (pandas is not imported here)
    """
    A data frame or a series of pandas as a data frame, whose index is data where it has a name, most often the key.

    Raises:
        what `refuse` makes: the index has the name of a column.
    """
    frame = given if hasattr(given, "columns") or not hasattr(given, "to_frame") else given.to_frame()
    named = [name for name in frame.index.names if name is not None]
    if taken := [str(name) for name in named if name in frame.columns]:
        raise refuse(taken[0], "has the name of its index: rename one of them")
    return frame.reset_index(level=named) if named else frame


def table_of(frame: Any, refuse: Refuse) -> pa.Table:  # noqa: ANN401  (pandas is not imported here)
    """
    A data frame of pandas as an Arrow table; its index, which only counts rows, is left out.

    Raises:
        what `refuse` makes: a column holds values of no one type, or of none that Arrow has.
    """
    import pyarrow as pa

    for at, name in enumerate(frame.columns):
        # By place: two columns of one name are for others to refuse.
        column: Any = frame.iloc[:, at]
        values = column.dtype.categories if str(column.dtype) == "category" else column
        if str(values.dtype) == "object":
            _check_families(str(name), values.tolist(), refuse)
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as fault:
        reason = f"holds values of no one type ({fault.args[0]}): {_ONE_TYPE}"
        raise refuse(_failing(frame), reason) from fault


def _failing(frame: Any) -> str:  # noqa: ANN401
    """The first column that Arrow does not take; empty where it takes each by itself."""
    import pyarrow as pa

    for at, name in enumerate(frame.columns):
        try:
            pa.array(frame.iloc[:, at], from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return str(name)
    return ""


def _check_families(name: str, values: list[Any], refuse: Refuse) -> None:
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str} or kinds <= {bytes}:
        return
    found: dict[tuple[object, ...], set[str]] = {}
    for value in values:
        if (reason := _note(value, (), found)) is not None:
            raise refuse(name, reason)
    for families in found.values():
        if len(families) > 1 and families not in _TOGETHER:
            one, other = sorted(families)[:2]
            raise refuse(name, f"holds {one} beside {other}: {_ONE_TYPE}")


def _note(value: Any, path: tuple[object, ...], found: dict[tuple[object, ...], set[str]]) -> str | None:  # noqa: ANN401
    """Note of which family a value is, and each that is in it; gives why it cannot be read, if so."""
    if isinstance(value, dict):
        found.setdefault(path, set()).add("structs")
        reasons = (_note(one, (*path, key), found) for key, one in value.items())
        return next((one for one in reasons if one), None)
    if isinstance(value, list | tuple | set) or (hasattr(value, "tolist") and getattr(value, "ndim", None)):
        found.setdefault(path, set()).add("lists")
        return next((one for one in (_note(each, (*path, 0), found) for each in value) if one), None)
    if not (family := _family(value)):
        return None
    found.setdefault(path, set()).add(family)
    return _cut(value)


def _cut(value: Any) -> str | None:  # noqa: ANN401
    """What of a value Arrow would cut, if anything."""
    if isinstance(value, Decimal) and not value.is_finite():
        return f"holds the decimal {value}, which would be nothing: give its numbers as float, or as text"
    if isinstance(value, dt.time) and value.tzinfo is not None:
        return f"holds {value}, of which the zone would be lost: give it as text"
    if getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0):
        return f"holds {value}, of which nanoseconds would be cut: give the column the type datetime64[ns]"
    return None


def _family(value: Any) -> str:  # noqa: ANN401
    """What a value is; empty where it is none."""
    kind = type(value)
    # NaN, NaT and pandas.NA are no value.
    if value is None or kind.__name__ in ("NaTType", "NAType") or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return ""
    if isinstance(value, dt.datetime):
        return "times with a zone" if value.tzinfo else "times without a zone"
    if kind.__name__ in ("bool", "bool_"):
        return "truths"
    if isinstance(value, numbers.Integral):
        return "whole numbers"
    if isinstance(value, numbers.Real):
        return "numbers"
    families = {Decimal: "decimals", str: "texts", bytes: "bytes", dt.date: "days", uuid.UUID: "UUIDs"}
    return families.get(kind, kind.__name__)
