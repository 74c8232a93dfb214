"""Arrow data that a Python source gives: of some of its types the engine cuts values, without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.plain_arrow import held, is_beyond_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from dualgauge.engines.data_frames import Refuse

_AS_WHOLE: Final = "give them as whole numbers, or as text"


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
        for part in held(field.type):
            if reason := _unread(part):
                raise refuse(field.name, f"is {part}, {reason}")
            if pa.types.is_date64(part) or (pa.types.is_duration(part) and part.unit == "ns"):
                if part != field.type or batches is None:
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

    if is_beyond_decimal(kind):
        return "and the engine has no more than 38 digits: give it as text"
    if pa.types.is_float16(kind):
        return "which the engine has not: give it as float32"
    if kind == pa.month_day_nano_interval():
        return f"of which nanoseconds would be cut: {_AS_WHOLE}"
    return ""
