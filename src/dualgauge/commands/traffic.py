"""The commands of reads: `migration.traffic`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.model import Side
    from dualgauge.routing.decision import Decision
    from dualgauge.stores.serving.port import PointReader
    from dualgauge.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """One read: the side that served it and why, and the row, None where that side has none."""

    view: str
    key: tuple[str, ...]
    decision: Decision
    row: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class TrafficCommands:
    """Reads of the views, and which side answers them."""

    _workspace: Workspace

    def read(self, view: str, key: Sequence[str], *, unit: str | None = None) -> ReadAnswer:
        """Answer one read from the side that the share gives the unit, as a router would."""
        from dualgauge.routing.decision import Route, decide

        with self._workspace.open() as handles:
            decision = decide(unit, Route.of(handles.state))
            row = handles.store.point(decision.side, view, key)
            return ReadAnswer(view=view, key=tuple(key), decision=decision, row=row)

    @contextmanager
    def reader(self, side: Side) -> Iterator[PointReader]:
        """Open one side for many point reads: `with migration.traffic.reader(Side.V2) as v2: v2.get(view, key)`."""
        with self._workspace.open() as handles, handles.store.reader(side) as reader:
            yield reader
