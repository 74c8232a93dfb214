"""What a store is given for a build, and what it keeps of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.stores.serving.port import Only, Snapshot


def batch(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows as a load takes them."""
    columns = [pa.array(values) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=[str(number) for number in range(len(columns))])


def stored(
    snapshot: Snapshot, view: str, columns: Mapping[str, str], only: Only | None = None
) -> list[tuple[Any, ...]]:  # fmt: skip
    """Rows of the served build as they are kept; `columns` have their DuckDB types."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        with snapshot.export(view, columns, file, only) as written:
            counts = list(written)
        with pq.ParquetFile(file) as opened:
            table = opened.read()
    assert counts[-1:] == [table.num_rows][: table.num_rows]
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
