"""
Phase 1 of a diff: both sides at one position, out of the store and into Parquet.

Each side is read inside one transaction with its checkpoints, so that rows and positions belong together. The
engine then sees `v1.orders` and `v2.orders` as relations with the types that the views gave them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dualgauge.comparison.errors import UnequalPositions
from dualgauge.engines.parquet_files import parquet
from dualgauge.model import Position, Progress, Side, quote, silent
from dualgauge.stores.errors import NotBuilt
from dualgauge.stores.external.types import arrow_type
from dualgauge.stores.serving.types import StoreType, store_type
from dualgauge.views.definition import output_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.stores.adopted.adopting import AdoptedRows
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import Row, ServedStore, Snapshot

BATCH = 50_000

_ARROW = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "binary": pa.binary()}
_KEPT = {"int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "binary": "BLOB"}


@dataclass(frozen=True, slots=True)
class Pinned:
    """
    Both sides at one position. `builds` says what each view was served from.

    A table of the user's own that cannot tell its position is taken as it is: see `moving`.
    """

    position: Position
    builds: Mapping[Side, Mapping[str, Checkpoint]]
    columns: Mapping[Side, Mapping[str, Mapping[str, str]]]

    @property
    def moving(self) -> bool:
        """Whether a side may be at another position: one look cannot tell a difference from a row on its way."""
        return any(one.position is None for views in self.builds.values() for one in views.values())


def pin(
    engine: Engine,
    store: ServedStore,
    wanted: Mapping[Side, Sequence[str]],
    event_columns: Mapping[str, str],
    folder: Path,
    *,
    progress: Progress = silent,
) -> Pinned:
    """
    Take the served builds of some views, and adopted tables, out of the store.

    Args:
        engine: gets the relations `v1.NAME`, `v2.NAME`.
        store: read in one transaction a side.
        wanted: view names by side.
        event_columns: columns of `events`, by which the builds' own texts are typed.
        folder: where the Parquet files go; the caller removes it.
        progress: told rows read.

    Raises:
        NotBuilt: a view has no build.
        UnequalPositions: what says its position is not all at one.
        AdoptedTableMissing, BadPosition, TablesUnreachable: an adopted table cannot be read.
    """
    builds: dict[Side, dict[str, Checkpoint]] = {}
    columns: dict[Side, dict[str, dict[str, str]]] = {}
    for side, names in wanted.items():
        builds[side], columns[side] = {}, {}
        engine.execute(f"CREATE SCHEMA IF NOT EXISTS {side.value}")
        with store.snapshot(side) as snapshot:
            for name in names:
                checkpoint = snapshot.served(name)
                if checkpoint is None:
                    raise NotBuilt(f"{side.value}.{name}")
                builds[side][name] = checkpoint
            _same_position(builds)
            for name, checkpoint in builds[side].items():
                adopted = snapshot.adopted(name)
                if adopted is not None:
                    columns[side][name] = dict(adopted.columns)
                    _bring_table(engine, adopted, side, name, folder=folder, progress=progress)
                    continue
                # The text that the build was made from, which a file edited since does not change.
                kinds = output_columns(engine, checkpoint.text, Path(name), event_columns)
                columns[side][name] = kinds
                _bring(engine, snapshot, side, name, kinds=kinds, folder=folder, progress=progress)
    # v2 is always built from the log, so there is one that knows.
    position = next(one.position for side in builds.values() for one in side.values() if one.position is not None)
    return Pinned(position=position, builds=builds, columns=columns)


def _same_position(builds: Mapping[Side, Mapping[str, Checkpoint]]) -> None:
    known = {
        f"{side.value}.{name}": (one.position, one.adopted)
        for side, views in builds.items()
        for name, one in views.items()
        if one.position is not None
    }
    positions = {label: position for label, (position, _) in known.items()}
    if len(set(positions.values())) > 1:
        raise UnequalPositions(positions, adopted=[label for label, (_, adopted) in known.items() if adopted])


def _bring(
    engine: Engine,
    snapshot: Snapshot,
    side: Side,
    name: str,
    *,
    kinds: Mapping[str, str],
    folder: Path,
    progress: Progress,
) -> None:
    rows = {column: store_type(f"{side.value}.{name}", column, kind) for column, kind in kinds.items()}
    file = folder / f"{side.value}-{name}.parquet"
    schema = pa.schema([(column, _ARROW[row.arrow]) for column, row in rows.items()])
    step, read = f"{side.value}.{name}: reading", 0
    progress(step, 0, None)
    with pq.ParquetWriter(file, schema, compression="snappy") as writer:
        for batch in snapshot.batches(name, list(rows), BATCH):
            writer.write_batch(_record_batch(batch, rows, schema))
            read += len(batch)
            progress(step, read, None)
    kept = {column: _KEPT[row.arrow] for column, row in rows.items()}
    typed = ", ".join(f"{row.from_sqlite(quote(column))} AS {quote(column)}" for column, row in rows.items())
    engine.execute(
        f"CREATE OR REPLACE VIEW {side.value}.{quote(name)} AS SELECT {typed} FROM ({parquet([file], kept)})"
    )


def _bring_table(
    engine: Engine, adopted: AdoptedRows, side: Side, name: str, *, folder: Path, progress: Progress
) -> None:
    """The same for a table of the user's own, whose rows come in Arrow."""
    file = folder / f"{side.value}-{name}.parquet"
    schema = pa.schema([(column, arrow_type(kind)) for column, kind in adopted.columns.items()])
    step, read = f"{side.value}.{name}: reading", 0
    progress(step, 0, None)
    with pq.ParquetWriter(file, schema, compression="snappy") as writer:
        for batch in adopted.batches(BATCH):
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            read += batch.num_rows
            progress(step, read, None)
    typed = ", ".join(f"CAST({quote(column)} AS {kind}) AS {quote(column)}" for column, kind in adopted.columns.items())
    engine.execute(
        f"CREATE OR REPLACE VIEW {side.value}.{quote(name)} AS SELECT {typed} FROM ({parquet([file], adopted.columns)})"
    )


def _record_batch(batch: Sequence[Row], rows: Mapping[str, StoreType], schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for values, row in zip(zip(*batch, strict=True), rows.values(), strict=True):
        # SQLite's NUMERIC gives 2 for 2.00: Arrow wants one type a column.
        plain: Iterator[object] | Sequence[object] = values
        if row.arrow == "float64":
            plain = [None if value is None else float(value) for value in values]
        arrays.append(pa.array(plain, type=_ARROW[row.arrow]))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
