"""
Arrow's types without what is around them: dictionaries, runs and extensions say how values are kept, not what they are.

The engine looks into some of them and not into others: of runs of a dictionary it reads the indices, of runs of a
struct it fails. And whoever asks `is_duration` of a dictionary of durations hears no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_KNOWN: Final = ("arrow.json", "arrow.uuid", "arrow.bool8")
"""Extensions that are types of the engine: a UUID is no text of 16 bytes, and JSON is compared by its content."""

_FARTHEST: Final = {"s": 2**63 // 10**6 - 1, "ms": 2**63 // 10**3 - 1}
"""The last time, in a unit, of which the microseconds are a number of 64 bits."""

TOO_FAR: Final = "a time beyond the years that the engine has"
"""What messages say of a time behind that."""

_MEANT: Final = ("pandas.period", "pandas.interval")
"""Extensions that say more than what they keep: of a month its number, of an interval not which end belongs to it."""


def _is_known(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if not isinstance(kind, pa.BaseExtensionType):
        return False
    return kind.extension_name in _KNOWN or (
        isinstance(kind, pa.OpaqueType) and bool(kind.vendor_name == "DuckDB") and _is_bare(kind.storage_type)
    )


def bare(kind: pa.DataType) -> pa.DataType:
    """What a type holds, out of all that is around it; its parts stay as they are."""
    import pyarrow as pa

    kind = _unpacked(kind)
    while isinstance(kind, pa.BaseExtensionType):
        kind = _unpacked(kind.storage_type)
    return kind


def _unpacked(kind: pa.DataType) -> pa.DataType:
    """What a type holds, out of what is around it but an extension that the engine knows."""
    import pyarrow as pa

    while True:
        if isinstance(kind, pa.BaseExtensionType) and not _is_known(kind):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def held(kind: pa.DataType) -> Iterator[pa.DataType]:
    """What a type holds and what is in it, at every level, each bare."""
    kind = bare(kind)
    yield kind
    for at in range(kind.num_fields):
        yield from held(kind.field(at).type)


def means_more(field: pa.Field) -> str:
    """The name of an extension, at any level, whose values are not what they are kept as; empty where there is none."""
    import pyarrow as pa

    kind = field.type
    # Of an extension that nobody has registered, its name is all that is left.
    name: str = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
    if isinstance(kind, pa.BaseExtensionType):
        name, kind = str(kind.extension_name), kind.storage_type
    if name in _MEANT:
        return name
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return means_more(pa.field("", kind.value_type))
    return next(filter(None, (means_more(kind.field(at)) for at in range(kind.num_fields))), "")


def alike(kind: pa.DataType) -> str:
    """Two fields of a struct whose names differ by case alone, or not at all: `'a' and 'A'`; empty where none do."""
    import pyarrow as pa

    known: dict[str, str] = {}
    for at in range(kind.num_fields) if pa.types.is_struct(kind) or pa.types.is_union(kind) else ():
        name = kind.field(at).name
        if fold(name) in known:
            return f"{known[fold(name)]!r} and {name!r}"
        known[fold(name)] = name
    return ""


def too_far(array: pa.Array) -> bool:
    """Whether an array of times has one of which the microseconds are more than 64 bits hold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_timestamp(array.type) or array.type.unit not in _FARTHEST:
        return False
    found = pc.min_max(array.cast(pa.int64())).as_py()
    return bool(max(abs(found["min"] or 0), abs(found["max"] or 0)) > _FARTHEST[array.type.unit])


def is_beyond_decimal(kind: pa.DataType) -> bool:
    """Whether a type is of decimals that the engine has not: of more digits than 38, or with a scale below nought."""
    import pyarrow as pa

    return bool(pa.types.is_decimal256(kind) or (pa.types.is_decimal(kind) and kind.scale < 0))


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of what `unwrapped` gives."""
    import pyarrow as pa

    kind = _unpacked(kind)
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(one) for one in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), _plain_field(kind.item_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(plain(field.type))


def is_readable(kind: pa.DataType) -> bool:
    """
    Whether the engine and Parquet take a type as it is: a dictionary of scalars, an extension of what is bare.

    Not so a dictionary inside: of a slice of arrays of two, the engine takes the indices of other rows.
    """
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        # The engine may know it: a UUID, JSON.
        return _is_bare(kind.storage_type) and is_readable(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _is_bare(kind.value_type) and not pa.types.is_nested(kind.value_type)
    if pa.types.is_run_end_encoded(kind):
        return False
    parts = [kind.field(at).type for at in range(kind.num_fields)]
    return all(is_readable(one) and not pa.types.is_dictionary(one) for one in parts)


def _is_bare(kind: pa.DataType) -> bool:
    return bool(bare(kind) == kind)


def unwrapped(array: pa.Array) -> pa.Array:
    """
    The same values without a wrapping that the engine does not know, at every level.

    Inside of what is no list, struct or map they stay wrapped. Takes as long as to copy what is wrapped.
    """
    import pyarrow as pa

    kind = array.type
    if kind == plain(kind):
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return unwrapped(array.storage)
    if pa.types.is_dictionary(kind):
        return unwrapped(array.dictionary).take(array.indices)
    if pa.types.is_run_end_encoded(kind):
        return unwrapped(array.values).take(_runs(array))
    if pa.types.is_struct(kind):
        # flatten() gives the rows of a slice alone.
        children = [unwrapped(one) for one in array.flatten()]
        return pa.StructArray.from_arrays(children, fields=list(plain(kind)), mask=array.is_null())
    return _unwrapped_list(array)


def _runs(array: Any) -> pa.Array:  # noqa: ANN401  (pyarrow has no types)
    """The place of each row's value among the values of the runs."""
    import numpy as np
    import pyarrow as pa

    rows = np.arange(array.offset, array.offset + len(array))
    return pa.array(np.searchsorted(array.run_ends.to_numpy(), rows, side="right"))


def _unwrapped_list(array: Any) -> pa.Array:  # noqa: ANN401
    import numpy as np
    import pyarrow as pa

    made, absent = plain(array.type), array.is_null()
    if pa.types.is_fixed_size_list(made):
        size = made.list_size
        values = unwrapped(array.values.slice(array.offset * size, len(array) * size))
        return pa.FixedSizeListArray.from_arrays(values, type=made, mask=absent)
    # Of a slice, from nought; of nothing there may be no offset at all.
    offsets = array.offsets.to_numpy() if len(array) else np.zeros(1, np.int32)
    first, last = int(offsets[0]), int(offsets[-1])
    if pa.types.is_map(made):
        keys, items = (unwrapped(one.slice(first, last - first)) for one in (array.keys, array.items))
        # A NULL among the offsets is a map that is NULL.
        nulls = np.append(absent.to_numpy(zero_copy_only=False), np.False_)
        return pa.MapArray.from_arrays(pa.array(offsets - first, pa.int32(), mask=nulls), keys, items, type=made)
    values = unwrapped(array.values.slice(first, last - first))
    large = pa.types.is_large_list(made)
    starts = pa.array(offsets - first, pa.int64() if large else pa.int32())
    return (pa.LargeListArray if large else pa.ListArray).from_arrays(starts, values, type=made, mask=absent)


def compact(array: pa.Array) -> pa.Array:
    """The same values, copied where the engine fails: on a slice of structs that hold structs."""
    import numpy as np
    import pyarrow as pa

    if not any(pa.types.is_struct(one) and any(map(_is_struct, one)) for one in held(array.type)) or not _sliced(array):
        return array
    return array.take(pa.array(np.arange(len(array))))


def _is_struct(field: pa.Field) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(bare(field.type)))


def _sliced(array: Any) -> bool:  # noqa: ANN401
    """Whether an array, or a struct in it, begins behind the start of what holds its values."""
    import pyarrow as pa

    if array.offset or not pa.types.is_struct(array.type):
        return bool(array.offset)
    return any(_sliced(array.field(at)) for at in range(array.type.num_fields))
