"""The commands that compare and check: `migration.compare`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dualgauge.model import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualgauge.comparison.checking.check_run import CheckRun
    from dualgauge.comparison.runs.barrier import Barrier
    from dualgauge.comparison.runs.live import Feeds
    from dualgauge.comparison.runs.recording import Keeping
    from dualgauge.comparison.runs.run import DiffRun
    from dualgauge.workspace import Handles, Workspace


@dataclass(frozen=True, slots=True)
class CompareCommands:
    """What both sides answer, at one position: compared, and held to the checks."""

    _workspace: Workspace

    def diff(
        self, names: Sequence[str] = (), *, samples: int = 10, settle: float = 5.0, plan: str | None = None,
        touched: bool = False, sweep: int = 50_000,
    ) -> list[DiffRun]:  # fmt: skip
        """
        Compare both sides at one position, by all comparators or some; each run is kept as evidence.

        The plan `wide` judges every row by value, whatever the size; see `dualgauge.compare`.

        Where v1 is a table of the user's own that cannot tell its position, a difference counts only when it is still
        there after `settle` seconds; 0 waits for nothing. Where its file says what feeds it, the log gets what v1 has,
        and v2 is compared there: a tail brings it, or, where none is at work, this call.

        `touched` compares the keys that changed since the run before alone, those that differed in it, and `sweep` rows
        of all, in turn; where that cannot be, all keys, and the run's `in_full` says why.
        """
        from dualgauge.comparison.engine.candidates import DiffPlan
        from dualgauge.comparison.runs.run import run_diff

        wanted = DiffPlan.named(plan)
        workspace = self._workspace
        with workspace.open() as handles:
            keeping, barrier = self._keeping(handles), _barrier(handles, workspace.settings.migration)
            feeds = _feeds(workspace, handles) if handles.feeds else None
            return [
                run_diff(
                    handles.engine, handles.log, handles.store, pair,
                    keeping=keeping, samples=samples, plan=wanted, progress=workspace.progress, settle=settle,
                    barrier=barrier, feeds=feeds, evidence=handles.evidence if touched else None, sweep=sweep,
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
                where=handles.sql_location, keeping=self._keeping(handles),
                barrier=_barrier(handles, workspace.settings.migration), progress=workspace.progress,
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
    return _barrier_of(handles, migration) if _is_tailed(handles) else None


def _barrier_of(handles: Handles, migration: str, bring: Callable[[], bool] | None = None) -> Barrier:
    from dualgauge.comparison.runs.barrier import Barrier

    return Barrier(handles.ledger.barriers_of(migration), handles.builds, lambda: handles.log.refresh().last, bring)


def _is_tailed(handles: Handles) -> bool:
    now = dt.datetime.now(dt.UTC)
    leases = [handles.builds.writer(side) for side in Side]
    return any(lease is not None and lease.holds(now) for lease in leases)


def _feeds(workspace: Workspace, handles: Handles) -> Feeds:
    """What brings the log to what v1's adopted tables have, and v2 to the log."""
    from dualgauge.commands.log import tolerance_of
    from dualgauge.commands.views import ViewCommands
    from dualgauge.comparison.runs.live import Feeds
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.stores.errors import SideHeld

    assert handles.adopting is not None  # noqa: S101  (asked for where an adopted table is fed)
    sources = {name: Source(settings=one, root=workspace.project.root) for name, one in handles.feeds.items()}

    def bring() -> bool:
        if _is_tailed(handles):
            return False
        try:
            done = ViewCommands(workspace).tail(once=True)
        except SideHeld:
            # A tail has begun since.
            return False
        for reason in done.held_up.values():
            raise reason
        return True

    migration = workspace.settings.migration
    keep = partial(handles.ledger.quarantine_of(migration, workspace.who).add, at=workspace.clock())
    return Feeds(
        store=handles.adopting,
        sources=sources,
        log=handles.open_log_with(handles.ledger),
        barrier=_barrier_of(handles, migration, bring),
        tolerance=tolerance_of(handles.ledger, list(sources.values()), keep, None),
        clock=workspace.clock,
        sleep=workspace.sleep,
        chance=workspace.chance,
    )
