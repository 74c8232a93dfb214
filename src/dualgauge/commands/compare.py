"""The commands that compare and check: `migration.compare`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.model import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.comparison.checking.check_run import CheckRun
    from dualgauge.comparison.runs.barrier import Barrier
    from dualgauge.comparison.runs.recording import Keeping
    from dualgauge.comparison.runs.run import DiffRun
    from dualgauge.workspace import Handles, Workspace


@dataclass(frozen=True, slots=True)
class CompareCommands:
    """What both sides answer, at one position: compared, and held to the checks."""

    _workspace: Workspace

    def diff(
        self, names: Sequence[str] = (), *, samples: int = 10, settle: float = 5.0, plan: str | None = None
    ) -> list[DiffRun]:
        """
        Compare both sides at one position, by all comparators or some; each run is kept as evidence.

        The plan `wide` judges every row by value, whatever the size; see `dualgauge.compare`.

        Where v1 is a table of the user's own that cannot tell its position, a difference counts only when it is still
        there after `settle` seconds; 0 waits for nothing.
        """
        from dualgauge.comparison.engine.candidates import DiffPlan
        from dualgauge.comparison.runs.run import run_diff

        wanted = DiffPlan.named(plan)
        workspace = self._workspace
        with workspace.open() as handles:
            keeping, barrier = self._keeping(handles), _barrier(handles, workspace.settings.migration)
            return [
                run_diff(
                    handles.engine, handles.log, handles.store, pair,
                    keeping=keeping, samples=samples, plan=wanted, progress=workspace.progress, settle=settle,
                    barrier=barrier,
                    sleep=workspace.sleep, chance=workspace.chance,
                )
                for pair in handles.pairs(names)
            ]  # fmt: skip

    def check(self, names: Sequence[str] = ()) -> list[CheckRun]:
        """Ask the checks of all comparators or some, at one position; each run that has checks is kept as evidence."""
        from dualgauge.comparison.checking.check_run import run_checks

        workspace = self._workspace
        with workspace.open() as handles:
            return run_checks(
                handles.engine, handles.log, handles.store, handles.pairs(names),
                where=handles.sql_location, keeping=self._keeping(handles), progress=workspace.progress,
            )  # fmt: skip

    def _keeping(self, handles: Handles) -> Keeping:
        from dualgauge.comparison.runs.recording import Keeping

        workspace = self._workspace
        return Keeping(
            handles.ledger, workspace.project.root, workspace.reports, handles.basis,
            migration=workspace.settings.migration, who=workspace.who, clock=workspace.clock,
        )  # fmt: skip


def _barrier(handles: Handles, migration: str) -> Barrier | None:
    """What asks a tail to hold the sides; None where none is at work."""
    from dualgauge.comparison.runs.barrier import Barrier

    now = dt.datetime.now(dt.UTC)
    leases = [handles.builds.writer(side) for side in Side]
    if not any(lease is not None and lease.holds(now) for lease in leases):
        return None
    return Barrier(handles.ledger.barriers_of(migration), handles.store, lambda: handles.log.refresh().last)
