"""
Phase 1 of a diff: both sides at one position, out of the store and into Parquet.

Each side is read inside one transaction with its checkpoints, so that rows and positions belong together. The
engine then sees `v1.orders` and `v2.orders` as relations with the types that the views gave them.
"""

from __future__ import annotations

from contextlib import ExitStack
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
from dualgauge.views.definition import output_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dualgauge.comparison.runs.barrier import Held
    from dualgauge.engines.duck import Engine
    from dualgauge.stores.adopted.adopting import AdoptedRows
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.port import Only, ServedStore, Snapshot

    Builds = Mapping[Side, Mapping[str, Checkpoint]]
    Columns = Mapping[Side, Mapping[str, Mapping[str, str]]]
    Select = Callable[[Builds, Mapping[Side, Snapshot], Columns], Mapping[Side, Only] | None]

BATCH = 50_000


@dataclass(frozen=True, slots=True)
class Pinned:
    """
    Both sides at one position. `builds` says what each view was served from.

    A table of the user's own that cannot tell its position is taken as it is: see `moving`. `lacking` are the ids of
    events up to the position that v1 does not have yet.
    """

    position: Position
    builds: Mapping[Side, Mapping[str, Checkpoint]]
    columns: Mapping[Side, Mapping[str, Mapping[str, str]]]
    lacking: Sequence[str] = ()

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
    held: Held | None = None,
    opened: Callable[[Side], None] = lambda _: None,
    select: Select | None = None,
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
        held: the sides that were asked to be held at one position, where something moves them.
        opened: called when a side's transaction is open, while the side is still held.
        select: says which rows are wanted, by side, once both sides are known; all of them where it gives none.
        progress: told rows read.

    Raises:
        NotBuilt: a view has no build.
        UnequalPositions: what says its position is not all at one.
        AdoptedTableMissing, BadPosition, TablesUnreachable: an adopted table cannot be read.
    """
    builds: dict[Side, dict[str, Checkpoint]] = {side: {} for side in wanted}
    columns: dict[Side, dict[str, Mapping[str, str]]] = {side: {} for side in wanted}
    with ExitStack() as stack:
        snapshots = _opened(store, wanted, held, opened, stack)
        for side, name in _each(wanted):
            checkpoint = snapshots[side].served(name)
            if checkpoint is None:
                raise NotBuilt(f"{side.value}.{name}")
            builds[side][name] = checkpoint
        _same_position(builds)
        adoptions = {(side, name): snapshots[side].adopted(name) for side, name in _each(wanted)}
        for side, name in _each(wanted):
            adopted = adoptions[side, name]
            # The text that the build was made from, which a file edited since does not change.
            columns[side][name] = (
                output_columns(engine, builds[side][name].text, Path(name), event_columns)
                if adopted is None
                else adopted.columns
            )
        only = (select and select(builds, snapshots, columns)) or {}
        begun = []
        for side, name in _each(wanted):
            file = folder / f"{side.value}-{name}.parquet"
            adopted, kinds = adoptions[side, name], columns[side][name]
            if adopted is not None:
                rows = _written(adopted, file)
                typed = ", ".join(f"CAST({quote(one)} AS {kind}) AS {quote(one)}" for one, kind in kinds.items())
                kept: Mapping[str, str] = kinds
            else:
                rows = stack.enter_context(snapshots[side].export(name, kinds, file, only.get(side)))
                kept, typed = snapshots[side].exported(name, kinds)
            begun.append((side, name, rows, f"SELECT {typed} FROM ({parquet([file], kept)})"))
        for side, name, rows, relation in begun:
            step = f"{side.value}.{name}: reading"
            progress(step, 0, None)
            for count in rows:
                progress(step, count, None)
            engine.execute(f"CREATE SCHEMA IF NOT EXISTS {side.value}")
            engine.execute(f"CREATE OR REPLACE VIEW {side.value}.{quote(name)} AS {relation}")
    # v2 is always built from the log, so there is one that knows.
    position = next(one.position for side in builds.values() for one in side.values() if one.position is not None)
    return Pinned(position=position, builds=builds, columns=columns)


def _opened(
    store: ServedStore, wanted: Mapping[Side, Sequence[str]], held: Held | None, opened: Callable[[Side], None],
    stack: ExitStack,
) -> dict[Side, Snapshot]:  # fmt: skip
    """A snapshot of each side, of one that is held for no longer than it takes to open it."""
    snapshots = {}
    for side in wanted:
        if held is not None:
            held.wait(side)
        snapshots[side] = stack.enter_context(store.snapshot(side))
        opened(side)
        if held is not None:
            held.release(side)
    return snapshots


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


def _each(wanted: Mapping[Side, Sequence[str]]) -> list[tuple[Side, str]]:
    return [(side, name) for side, names in wanted.items() for name in names]


def _written(adopted: AdoptedRows, to: Path) -> Iterator[int]:
    """Write a table of the user's own, whose rows come in Arrow; says after each batch how many there are."""
    schema, written = pa.schema([(column, arrow_type(kind)) for column, kind in adopted.columns.items()]), 0
    with pq.ParquetWriter(to, schema, compression="snappy") as writer:
        for batch in adopted.batches(BATCH):
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            written += batch.num_rows
            yield written
