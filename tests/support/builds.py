"""What a store keeps of a build."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.stores.serving.port import Snapshot


def stored(snapshot: Snapshot, view: str, columns: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """Rows of the served build as they are kept; `columns` have their DuckDB types."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        with snapshot.export(view, columns, file) as written:
            counts = list(written)
        with pq.ParquetFile(file) as opened:
            table = opened.read()
    assert counts[-1:] == [table.num_rows][: table.num_rows]
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
