"""Arrow data that a Python source gives: of some of its types the engine cuts values, without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.engines.parquet_schema import ALIKE
from dualgauge.engines.plain_arrow import TOO_FAR, alike, held, is_beyond_decimal, means_more, too_far

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
    fine, far = _unsure(schema, refuse, readable=batches is not None)
    for batch in batches or () if fine or far else ():
        for name in far:
            if too_far(batch.column(name)):
                raise refuse(name, f"holds {TOO_FAR}: give NULL or a text in its place")
        for name in fine:
            _check_fine(name, batch.column(name), refuse)


def _unsure(schema: pa.Schema, refuse: Refuse, *, readable: bool) -> tuple[list[str], list[str]]:
    """The columns of which values may be too fine, and too far, for the engine; raises what `refuse` makes."""
    import pyarrow as pa

    fine: list[str] = []
    for field in schema:
        if name := means_more(field):
            raise refuse(field.name, f"is {name}, of which only what it is kept as would be read: give it as text")
        for part in held(field.type):
            if reason := _unread(part):
                raise refuse(field.name, f"is {part}, {reason}")
            if pa.types.is_date64(part) or (pa.types.is_duration(part) and part.unit == "ns"):
                if part != field.type or not readable:
                    raise refuse(field.name, f"is {part}, of which parts would be cut: {_AS_WHOLE}")
                fine.append(field.name)
    return fine, [one.name for one in schema if pa.types.is_timestamp(one.type) and one.type.unit in ("s", "ms")]


def _check_fine(name: str, array: pa.Array, refuse: Refuse) -> None:
    import pyarrow as pa

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
    if names := alike(kind):
        return f"with fields {names}{ALIKE}: rename one of them"
    if pa.types.is_union(kind) and kind.mode == "dense":
        return "which is not read: give it as a sparse union, or as text"
    if kind == pa.month_day_nano_interval():
        return f"of which nanoseconds would be cut: {_AS_WHOLE}"
    return ""
