"""Columns of Arrow that the engine would cut, written in a way in which it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.fetch import groups_of
from dualgauge.comparison.errors import UnreadableLocation
from dualgauge.comparison.files.value_types import Reading, typed_reading
from dualgauge.engines.parquet_schema import ALIKE
from dualgauge.engines.plain_arrow import (
    TOO_FAR,
    alike,
    bare,
    compact,
    held,
    is_beyond_decimal,
    is_readable,
    means_more,
    plain,
    too_far,
    unwrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_BATCH: Final = 50_000
_WIDEST: Final = 38
_FARTHEST: Final = 2**63 // 1000 - 1

DURATIONS: Final[Mapping[str, str]] = {
    "s": "to_microseconds(CAST({0} AS BIGINT) * 1000000)",
    "ms": "to_microseconds(CAST({0} AS BIGINT) * 1000)",
    "us": "to_microseconds(CAST({0} AS BIGINT))",
    "ns": "to_microseconds({0} // 1000)",
}
"""How a number of a unit becomes an INTERVAL; nanoseconds are whole microseconds, or refused before."""

_SPARSE: Final = "give it as a sparse union, or as text"
_AS_NUMBERS: Final = "give them as whole numbers"
MEANT: Final = ", of which only what it is kept as would be read"
AS_TEXT: Final = "give it as text, for example with astype(str)"
RENAME: Final = "rename one of them"
FINE: Final = "holds durations finer than a microsecond, which is the finest that is compared"


def wide_decimals(cut: Mapping[str, str]) -> set[str]:
    """The columns that are read as texts of numbers, of those that the engine would cut."""
    return {name for name, what in cut.items() if "DECIMAL" in what}


def write_exact(file: Path, names: Sequence[str], kept: Path) -> dict[str, str]:
    """
    Write columns of a Parquet file anew: times of INT96 as such of 64 bits, wide DECIMALs as texts.

    Gives the types that hold their values, VARCHAR for a DECIMAL of more than 38 digits.

    Raises:
        UnreadableLocation: no time of 64 bits holds all times of a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fine, kinds = dict[str, bool](), dict[str, str]()
    digits: dict[str, tuple[int, int]] = {}
    with pq.ParquetFile(file) as opened:
        whole = opened.schema_arrow
        types = {name: bare(whole.field(name).type) for name in names}
    times = [name for name in names if pa.types.is_timestamp(types[name])]
    for name in times:
        fine[name] = any(bool(rest.any()) for _, rest, _ in _int96(file, name))
        if fine[name] and any(bool((abs(micros) > _FARTHEST).any()) for micros, _, _ in _int96(file, name)):
            raise UnreadableLocation(
                str(file), f"its column {name!r} (INT96) holds nanoseconds and years out of 1678 to 2261",
                "write it as a TIMESTAMP in microseconds, or as text",
            )  # fmt: skip
        kinds[name] = "TIMESTAMP_NS" if fine[name] else "TIMESTAMP"
    schema = pa.schema(
        [(name, pa.timestamp("ns" if fine[name] else "us") if name in fine else pa.string()) for name in names]
    )
    with pq.ParquetWriter(kept, schema, compression="snappy") as writer:
        # Some at a time: to open a file of hundreds of columns takes longer than to read one of them.
        streams = [_texts(file, group, digits) for group in groups_of([one for one in names if one not in fine], 50)]
        streams += [_times(file, name, fine=fine[name]) for name in times]
        for parts in zip(*streams, strict=True):
            arrays = {name: array for part in parts for name, array in part.items()}
            writer.write_batch(pa.RecordBatch.from_arrays([arrays[name] for name in names], schema=schema))
    for name, (whole, scale) in digits.items():
        kinds[name] = decimal_type(whole, scale)
    return {name: kinds[name] for name in names}


def _batches(file: Path, names: Sequence[str], **options: str) -> Iterator[dict[str, pa.Array]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, **options) as opened:
        for batch in opened.iter_batches(_BATCH, columns=list(names)):
            # Asked for x, a column that is called x.y comes too.
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            yield {name: unwrapped(found[name]) for name in names}


def _int96(file: Path, name: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """Microseconds, the nanoseconds beyond them, and which values are NULL, batch by batch."""
    import pyarrow as pa

    pairs = zip(*(_batches(file, [name], coerce_int96_timestamp_unit=unit) for unit in ("us", "ns")), strict=True)
    for pair in pairs:
        by_unit = [one[name] for one in pair]
        micros, nanos = (one.cast(pa.int64()).fill_null(0).to_numpy() for one in by_unit)
        # Out of the years that nanoseconds of 64 bits reach, both go round alike, and the rest is right.
        yield micros, nanos - micros * 1000, by_unit[0].is_null().to_numpy(zero_copy_only=False)


def _times(file: Path, name: str, *, fine: bool) -> Iterator[dict[str, pa.Array]]:
    import pyarrow as pa

    for micros, rest, absent in _int96(file, name):
        times = pa.array(micros * 1000 + rest if fine else micros, mask=absent)
        yield {name: times.cast(pa.timestamp("ns" if fine else "us"))}


def _texts(file: Path, names: Sequence[str], digits: dict[str, tuple[int, int]]) -> Iterator[dict[str, pa.Array]]:
    digits |= dict.fromkeys(names, (1, 0))
    for arrays in _batches(file, names):
        yield {name: decimal_texts(array, name, digits) for name, array in arrays.items()}


def decimal_texts(array: pa.Array, name: str, digits: dict[str, tuple[int, int]]) -> pa.Array:
    """Decimals as texts without zeros at their ends; `digits` grows to the most before and behind the point."""
    import pyarrow as pa

    texts = [None if one is None else spelt(one) for one in array.to_pylist()]
    whole, scale = digits.get(name, (1, 0))
    for text in texts:
        if text is not None:
            before, _, behind = text.lstrip("-").partition(".")
            whole, scale = max(whole, len(before)), max(scale, len(behind))
    digits[name] = (whole, scale)
    return pa.array(texts, pa.string())


def decimal_type(whole: int, scale: int) -> str:
    """The type of numbers that have so many digits before and behind the point; VARCHAR where there is none."""
    return f"DECIMAL({max(18, whole + scale)},{scale})" if whole + scale <= _WIDEST else "VARCHAR"


def spelt(value: Decimal) -> str:
    """A decimal as the text that all decimals of its value have."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _is_cut(kind: pa.DataType) -> bool:
    """Whether values of a type would be cut inside of another one."""
    import pyarrow as pa

    return bool(
        is_beyond_decimal(kind)
        or pa.types.is_float16(kind)
        or pa.types.is_duration(kind)
        or kind == pa.month_day_nano_interval()
    )


class ExactColumns:
    """
    The columns of an Arrow schema, in types that the engine reads whole.

    Args:
        schema: what the batches have.
        label: the side, for messages.

    Raises:
        UnreadableLocation: such a type is inside a list or a struct.
    """

    def __init__(self, schema: pa.Schema, label: str) -> None:
        import pyarrow as pa

        self._digits: dict[str, tuple[int, int]] = {}
        self._units: dict[str, str] = {}
        self._label = label
        fields = []
        for one in schema:
            if name := means_more(one):
                raise UnreadableLocation(label, f"its column {one.name!r} is {name}{MEANT}", AS_TEXT)
            kind = became = bare(one.type)
            if is_beyond_decimal(kind):
                became, self._digits[one.name] = pa.string(), (1, 0)
            elif pa.types.is_float16(kind):
                became = pa.float32()
            elif pa.types.is_date64(kind):
                # The engine takes the day of it, also where it is a time of that day.
                became = pa.date32()
            elif pa.types.is_duration(kind):
                became, self._units[one.name] = pa.int64(), kind.unit
            elif kind != pa.month_day_nano_interval():
                self._refuse_parts(one.name, kind)
                became = one.type if is_readable(one.type) else plain(one.type)
            fields.append(pa.field(one.name, became))
        self._from = schema
        self.schema = pa.schema(fields)

    def _refuse_parts(self, name: str, kind: pa.DataType) -> None:
        import pyarrow as pa

        advice = "give it as a column of its own, or as text"
        for part in held(kind):
            if pa.types.is_union(part) and part.mode == "dense":
                raise UnreadableLocation(
                    self._label, f"its column {name!r} holds a dense union, which is not read", _SPARSE
                )
            if names := alike(part):
                raise UnreadableLocation(self._label, f"its column {name!r} has fields {names}{ALIKE}", RENAME)
            if _is_cut(part):
                reason = f"its column {name!r} holds {part} inside a list or a struct, which would be cut"
                raise UnreadableLocation(self._label, reason, advice)
        if not is_readable(plain(kind)):
            raise UnreadableLocation(self._label, f"its column {name!r} is {kind}, which is not read", advice)

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch with these types. Raises UnreadableLocation."""
        import pyarrow as pa

        arrays = []
        for one, became, array in zip(self._from, self.schema, batch.columns, strict=True):
            made = array if one.type == became.type else unwrapped(array)
            if one.name in self._digits:
                made = decimal_texts(made, one.name, self._digits)
            elif made.type == pa.month_day_nano_interval():
                self._refuse_fine(one.name, made)
            elif made.type != became.type:
                try:
                    made = made.cast(became.type)
                except pa.ArrowInvalid as fault:
                    reason = f"its column {one.name!r} does not hold what its type says: {fault}"
                    raise UnreadableLocation(self._label, reason, "give it as timestamps") from fault
                if self._units.get(one.name) == "ns" and (made.fill_null(0).to_numpy() % 1000).any():
                    raise UnreadableLocation(self._label, f"its column {one.name!r} {FINE}", _AS_NUMBERS)
            if too_far(made):
                raise UnreadableLocation(
                    self._label, f"its column {one.name!r} holds {TOO_FAR}", "give NULL, or a text"
                )
            arrays.append(compact(made))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def reading(self, name: str, kind: str, column: str) -> Reading:
        """How a column that the engine gives such a type is read, after the last batch; `column` is its name in SQL."""
        if name in self._units:
            return Reading(name, "INTERVAL", DURATIONS[self._units[name]].format(column))
        if name in self._digits:
            kind = decimal_type(*self._digits[name])
            return Reading(name, kind, f"CAST({column} AS {kind})", text=column, of_numbers=kind == "VARCHAR")
        return typed_reading(name, kind, column)

    def _refuse_fine(self, name: str, array: pa.Array) -> None:
        if any(one is not None and one.nanoseconds % 1000 for one in array.to_pylist()):
            raise UnreadableLocation(self._label, f"its column {name!r} {FINE}", _AS_NUMBERS)
