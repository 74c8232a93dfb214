"""
A v1 that its application writes while it is compared: the log gets what one snapshot of v1's database has.

The snapshot has v1's rows and the rows of the sources that feed it, of the same transactions. What of the latter the
log lacks is appended, and the last of it is the position: v2 is brought there, and is compared with the snapshot.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.eventlog.imports.in_snapshot import ids_above, import_in_snapshot
from dualgauge.eventlog.imports.run import run_import
from dualgauge.model import Progress, Side, silent
from dualgauge.stores.adopted.adopting import Moment, reached
from dualgauge.stores.errors import BadPosition, TablesRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from dualgauge.comparison.runs.barrier import Barrier, Held
    from dualgauge.comparison.runs.pairs import Pair
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.imports.in_snapshot import AtPosition
    from dualgauge.eventlog.imports.tolerance import Tolerance
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.model import Clock
    from dualgauge.stores.adopted.adopting import AdoptingStore
    from dualgauge.stores.serving.port import ServedStore


@dataclass(frozen=True, slots=True)
class Live:
    """Both sides at one moment: what `pin` reads, the sides that are held, and the ids of events that v1 lacks."""

    store: ServedStore
    held: Held
    lacking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feeds:
    """
    What feeds v1's adopted tables.

    Args:
        store: reads the tables, and writes nothing.
        sources: the source of each view that has one, by the view's name.
        log: where what it lacks is appended.
        barrier: has v2 at the position.
        tolerance: rows of the sources that were set aside before.
        clock, sleep, chance: when it is, and how to wait where another writer is quicker.
    """

    store: AdoptingStore
    sources: Mapping[str, Source]
    log: EventLog
    barrier: Barrier
    tolerance: Tolerance | None
    clock: Clock
    sleep: Callable[[float], None]
    chance: Random

    def of(self, pair: Pair) -> dict[str, Source]:
        """The sources of the views of v1 that a pair reads, by the view's name."""
        return {name: self.sources[name] for name in pair.views[Side.V1] if name in self.sources}

    @contextmanager
    def moment(self, engine: Engine, pair: Pair, progress: Progress = silent) -> Iterator[Live]:
        """
        Bring the log to what one snapshot of v1 has; the snapshot is open until the context ends.

        Raises:
            BadPosition: a position query gives no value of the source's cursor.
            and what `run_import` raises, for the sources that feed the pair's views.
        """
        fed = self.of(pair)
        sources = list({source.name: source for source in fed.values()}.values())
        with self.store.tables() as tables:
            # What can be appended before is: in the writers' turn the rest alone.
            run_import(
                engine, self.log, sources, now=self.clock(), tolerance=self.tolerance,
                sleep=self.sleep, chance=self.chance, progress=progress,
            )  # fmt: skip
            built = {
                side: [name for name in names if side is Side.V2 or name not in self.store.adoptions]
                for side, names in pair.views.items()
            }
            wanted = {side: names for side, names in built.items() if names}
            with import_in_snapshot(
                engine, self.log, sources, tables, now=self.clock(), tolerance=self.tolerance,
                hold=lambda position: self.barrier.asked(wanted, position),
                sleep=self.sleep, chance=self.chance, progress=progress,
            ) as found:  # fmt: skip
                lacking: set[str] = set()
                known = {}
                for name, source in fed.items():
                    above = self._above(engine, name, source, found)
                    if above is not None:
                        known[name] = found.position
                        lacking.update(above)
                store = self.store.at(Moment(found.snapshot.snapshot, known))
                yield Live(store, found.held, tuple(sorted(lacking)))

    def _above(self, engine: Engine, name: str, source: Source, found: AtPosition[Held]) -> list[str] | None:
        """The ids of the events that a table does not have yet; None where it cannot tell."""
        adoption = self.store.adoptions[name]
        if not adoption.position_query:
            return []
        value = reached(found.snapshot.snapshot, adoption)
        if value is None:
            return None
        try:
            return ids_above(engine, self.log, source, found.snapshot, value)
        except (TablesRefused, ValueError) as fault:
            reason = fault.reason if isinstance(fault, TablesRefused) else str(fault)
            raise BadPosition(adoption, f"gives no value of the cursor: {reason}") from fault
