"""
What a Python source gives, so that the engine reads every value of it as it is, or the column is refused by name.

Of a data frame's column of objects the engine looks at some values and bends the others to their type. Arrow looks at
all of them, but makes a datetime beside dates a date, and a NaN among decimals nothing. Of some of Arrow's types the
engine cuts values, without a word.
"""

from __future__ import annotations

import datetime as dt
import numbers
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    Refuse = Callable[[str, str], Exception]
    """Makes the error that a column is refused with, of its name and the reason."""

_ONE_TYPE: Final = "give all of them one type, for example with astype(str)"
_TOGETHER: Final = ({"whole numbers", "numbers"}, {"whole numbers", "decimals"})
"""Families of values that one type of numbers holds, or Arrow refuses."""

_AS_WHOLE: Final = "give them as whole numbers, or as text"


def table_of(frame: Any, refuse: Refuse) -> pa.Table:  # noqa: ANN401  (pandas is not imported here)
    """
    A data frame of pandas as an Arrow table; its index is left out.

    Raises:
        what `refuse` makes: a column holds values of no one type.
    """
    import pyarrow as pa

    for name in frame.columns:
        kind: Any = frame[name].dtype
        values = kind.categories if str(kind) == "category" else frame[name]
        if str(values.dtype) == "object":
            _check_families(str(name), values.tolist(), refuse)
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError) as fault:
        column = str(fault.args[-1]).partition("column ")[2].partition(" with type")[0]
        known = {str(name) for name in frame.columns}
        raise refuse(column if column in known else "", f"holds values of no one type ({fault.args[0]})") from fault


def check_whole(schema: pa.Schema, batches: Iterable[pa.RecordBatch] | None, refuse: Refuse) -> None:
    """
    Look whether the engine reads all values of Arrow data whole.

    Args:
        schema: its columns.
        batches: all of it; None where it can be read but once, and its types alone have to tell.
        refuse: see `Refuse`.

    Raises:
        what `refuse` makes: a column is of a type of which the engine cuts values.
    """
    import pyarrow as pa

    fine: list[str] = []
    for field in schema:
        for depth, part in _parts(field.type):
            if reason := _unread(part):
                raise refuse(field.name, f"is {part}, {reason}")
            if pa.types.is_date64(part) or (pa.types.is_duration(part) and part.unit == "ns"):
                if depth or batches is None:
                    raise refuse(field.name, f"is {part}, of which parts would be cut: {_AS_WHOLE}")
                fine.append(field.name)
    for batch in batches or () if fine else ():
        for name in fine:
            array = batch.column(name)
            unit, part = (86_400_000, "day") if pa.types.is_date64(array.type) else (1_000, "microsecond")
            if (array.cast(pa.int64()).fill_null(0).to_numpy() % unit).any():
                raise refuse(name, f"holds parts of a {part}, which would be cut: {_AS_WHOLE}")


def _unread(kind: pa.DataType) -> str:
    """Why the engine reads a type not at all, or cuts its values; empty where it reads it whole."""
    import pyarrow as pa

    if pa.types.is_decimal256(kind) or (pa.types.is_decimal(kind) and kind.scale < 0):
        return "and the engine has no more than 38 digits: give it as text"
    if pa.types.is_float16(kind):
        return "which the engine has not: give it as float32"
    if kind == pa.month_day_nano_interval():
        return f"of which nanoseconds would be cut: {_AS_WHOLE}"
    return ""


def _parts(kind: pa.DataType, depth: int = 0) -> Iterator[tuple[int, pa.DataType]]:
    """A type and the types in it, each with its depth; an extension type is what it keeps its values in."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        yield from _parts(kind.storage_type, depth)
        return
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _parts(kind.value_type, depth + 1)
        return
    yield depth, kind
    for at in range(kind.num_fields):
        yield from _parts(kind.field(at).type, depth + 1)


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
