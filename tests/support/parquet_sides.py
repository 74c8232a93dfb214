"""Parquet files of both sides, written from Arrow and compared."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

import dualgauge
from dualgauge import Comparator

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.values import Comparison

BY_ID = Comparator(key="id")


def write(folder: Path, name: str, columns: dict[str, pa.Array], *, first: int = 0, **options: Any) -> None:
    """Write a Parquet file of some columns, with ids from `first`."""
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"id": range(first, first + rows), **columns}), folder / f"{name}.parquet", **options)


def files(folder: Path, v1: pa.Array, v2: pa.Array, comparator: Comparator = BY_ID, **options: Any) -> Comparison:
    """Compare two Parquet files of a column x."""
    for name, values in (("a", v1), ("b", v2)):
        write(folder, name, {"x": values}, **options)
    return dualgauge.compare(folder / "a.parquet", folder / "b.parquet", comparator)


def patterns(folder: Path, *columns: dict[str, pa.Array]) -> Comparison:
    """Compare two patterns of two files each: two of v1, two of v2."""
    for name, first, one in zip(("a-1", "a-2", "b-1", "b-2"), (0, 10, 0, 10), columns, strict=True):
        write(folder, name, one, first=first)
    return dualgauge.compare(folder / "a-*.parquet", folder / "b-*.parquet", BY_ID)


def decimals(*values: str, digits: int = 60, scale: int = 2) -> pa.Array:
    """Decimals of Arrow, wide ones where `digits` are more than 38."""
    kind = pa.decimal256(digits, scale) if digits > 38 else pa.decimal128(digits, scale)
    return pa.array([Decimal(one) for one in values], kind)
