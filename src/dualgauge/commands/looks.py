"""Looking at the gates of a move, and seeing whether what was looked at is still there when the move is made."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from dualgauge.cutover.values import GateResult
    from dualgauge.ledger.values import MigrationState
    from dualgauge.model import Side
    from dualgauge.workspace import Handles, Workspace


class Looks:
    """Looks at the gates; the last look stays open until the next one, or the end."""

    def __init__(self, workspace: Workspace, *, killed: bool = True) -> None:
        """
        Look at nothing yet.

        Args:
            workspace: the project.
            killed: whether a kill in force closes a gate.
        """
        self._workspace, self._killed = workspace, killed
        self._limits = workspace.settings.gates.limits
        self._open = ExitStack()
        self._looked: Handles | None = None

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        """Close what the last look opened."""
        self._open.close()

    def state(self) -> MigrationState:
        """The migration's state, by a new look."""
        return self._look().state

    def gates(self, share_ppm: int | None) -> tuple[GateResult, ...]:
        """Every gate of a move to a share, by a new look; None: of one that leaves the share where it is."""
        from dualgauge.cutover.gates.decide import decide

        looked = self._look()
        ramp = looked.ramp(share_ppm, killed=self._killed, soak=share_ppm is not None)
        return (*ramp, *decide(looked.present, self._limits))

    def still(self, end: tuple[int, str]) -> bool:
        """Whether what was looked at last is there yet, where the journal ends so."""
        from dualgauge.cutover.gates.decide import lag_gate

        looked = self._looked
        if looked is None or end != looked.evidence.end:
            return False
        with self._workspace.open() as now:
            if (now.served, now.log.head().last) == (looked.served, looked.log.head().last):
                return True
            # Under a tail the log and the builds go on between any two looks.
            lag = lag_gate(now.views_now, now.log.head().last, self._limits.lag)
            return _builds(now) == _builds(looked) and lag.passed

    def _look(self) -> Handles:
        self._open.close()
        self._looked = self._open.enter_context(self._workspace.open())
        return self._looked


def _builds(handles: Handles) -> dict[tuple[Side, str], tuple[int, str | None, str]]:
    """The builds that readers get, each with what names it and no other, wherever a tail has brought it."""
    return {
        (side, one.view): (one.build, one.token, one.definition_hash)
        for side, found in handles.served.items()
        for one in found.values()
    }
