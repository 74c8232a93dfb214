"""The commands of reads: `migration.traffic`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualgauge.model import Side
    from dualgauge.stores.serving.port import PointReader
    from dualgauge.workspace import Workspace
    from dualgauge_router.decision import Decision


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """
    One read: the side that served it and why, and the row, None where that side has none.

    `bucket` is where the unit stands, from 0 to 1: it is on v2 when that is under the share; None without a unit.
    """

    view: str
    key: tuple[str, ...]
    decision: Decision
    bucket: float | None
    row: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class TrafficCommands:
    """Reads of the views, and which side answers them."""

    _workspace: Workspace

    def read(
        self, view: str, key: Sequence[str], *, unit: str | None = None, attrs: Mapping[str, object] | None = None
    ) -> ReadAnswer:
        """Answer one read from the side that the share, or a pin or cohort, gives the unit, as a router would."""
        from dualgauge.cutover.errors import LostCanary
        from dualgauge.ledger.routing import CHANGED
        from dualgauge_router.decision import Reason, Routing
        from dualgauge_router.hashing import bucket

        with self._workspace.open() as handles:
            state = handles.state
            if state.canary == CHANGED:
                raise LostCanary(state.name)
            decision = Routing(state).decide(unit, attrs)
            row = handles.store.point(decision.side, view, key)
            at = None if unit is None or decision.reason is not Reason.HASH else bucket(state, unit)
            return ReadAnswer(view=view, key=tuple(key), decision=decision, bucket=at, row=row)

    @contextmanager
    def reader(self, side: Side) -> Iterator[PointReader]:
        """Open one side for many point reads: `with migration.traffic.reader(Side.V2) as v2: v2.get(view, key)`."""
        with self._workspace.open() as handles, handles.store.reader(side) as reader:
            yield reader
