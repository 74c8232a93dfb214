"""
What is Delta's own: its types, its settings, its errors.

It has no unsigned types and does not widen: a changed type is refused.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any, cast

from deltalake import Field, Schema
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction

from dualgauge.eventlog.errors import ChangedType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltalake import DeltaTable

CONFIGURATION: dict[str, str | None] = {
    # Expired commits are kept: their metadata holds the chain.
    "delta.enableExpiredLogCleanup": "false",
    "delta.appendOnly": "true",
}

_TO_DELTA = {
    "BIGINT": "long", "DOUBLE": "double", "VARCHAR": "string", "BOOLEAN": "boolean", "DATE": "date",
    "TIMESTAMP": "timestamp_ntz", "TIMESTAMPTZ": "timestamp", "BLOB": "binary",
}  # fmt: skip


_FROM_DELTA = {delta: duck for duck, delta in _TO_DELTA.items()}


def schema(columns: Mapping[str, str]) -> Schema:
    """Columns and their DuckDB types as a Delta schema; every one may be NULL."""
    return Schema([Field(name, _type(kind), nullable=True) for name, kind in columns.items()])


def undeclared(have: Schema, columns: Mapping[str, str]) -> list[Field]:
    """
    The declared columns that a table lacks.

    Raises:
        ChangedType: one has another type there.
    """
    types = {one.name: _text(one) for one in have.fields}
    want = {name: _type(kind) for name, kind in columns.items()}
    for name, kind in want.items():
        if name in types and types[name] != str(kind.type):
            raise ChangedType(name, _FROM_DELTA.get(types[name], types[name].upper()), columns[name])
    return [Field(name, cast("Any", kind), nullable=True) for name, kind in want.items() if name not in types]


def first_words(fault: Exception) -> str:
    """What the Delta library says, without the addresses of its own code behind it."""
    return str(fault).strip().splitlines()[0].split(" 0: ")[0].removeprefix("Kernel error: ").rstrip(". ")


def refused_by_system(fault: OSError, path: str) -> OSError:
    """The system's own error, where the Delta library has it in its text alone."""
    found = re.search(r"\(os error (\d+)\)", str(fault))
    return OSError(int(found[1]), os.strerror(int(found[1])), path) if found and fault.errno is None else fault


def _type(kind: str) -> PrimitiveType:
    return PrimitiveType(_TO_DELTA.get(kind, kind.lower()))


def _text(column: Field) -> str:
    kind = column.type
    return str(kind.type) if isinstance(kind, PrimitiveType) else str(kind)


def added(name: str, size: int, described: str, *, data_change: bool) -> AddAction:
    """The action that puts a file in; `described` are its statistics as JSON."""
    return AddAction(
        path=name,
        size=size,
        partition_values={},
        modification_time=int(time.time() * 1000),
        data_change=data_change,
        stats=described,
    )


def active_files(table: DeltaTable, names: Sequence[str]) -> list[dict[str, Any]]:
    """
    What Delta says of each of the table's files, by such names as `path`, `size_bytes`, `num_records`, `min.position`.

    None where it says nothing. Times have their zone. pyarrow is not asked: it is long to load.
    """
    found = table.get_add_actions(flatten=True)
    known = set(found.schema.names)
    columns = [found.column(one).to_pylist() if one in known else [None] * found.num_rows for one in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
