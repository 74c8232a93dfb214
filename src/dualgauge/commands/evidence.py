"""The commands that show evidence: `migration.evidence`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from dualgauge.cutover.gates.evidence_list import EvidenceLine, EvidenceShown
    from dualgauge.reporting.prune import Pruned
    from dualgauge.reporting.series.values import SeriesFiles
    from dualgauge.reporting.stored_runs import StoredRuns
    from dualgauge.reporting.values import ReportFiles
    from dualgauge.workspace import Handles, Workspace


@dataclass(frozen=True, slots=True)
class EvidenceCommands:
    """The runs that make evidence: what they found, and whether a gate goes by them."""

    _workspace: Workspace

    def list(
        self, name: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> tuple[EvidenceLine, ...]:
        """The runs that make evidence, newest first, each with whether a gate goes by it now."""
        from dualgauge.cutover.gates.evidence_list import chosen

        with self._workspace.open() as handles:
            return chosen(self._lines(handles), name=name, kind=kind, limit=limit)

    def show(self, run_id: str) -> EvidenceShown:
        """One run of evidence in whole. Raises UnknownRun."""
        from dualgauge.cutover.gates.evidence_list import show

        with self._workspace.open() as handles:
            return show(self._lines(handles), run_id, self._workspace.project.root)

    def report(self, names: Sequence[str] = (), *, run: str | None = None, output: Path | None = None) -> ReportFiles:
        """Write a report of kept evidence: of one run, or of the newest ones of some comparators or all."""
        from dualgauge.reporting.report import ReportRequest, folder_name, make_report, write

        workspace, now = self._workspace, self._workspace.clock()
        with workspace.open() as handles:
            root = workspace.project.root
            made = make_report(self._kept(handles), handles.state, ReportRequest(names, run), root=root, now=now)
        return write(made, output or workspace.reports / folder_name(now), root)

    def series(self, name: str, *, output: Path | None = None) -> SeriesFiles:
        """
        Write a report of all runs of a comparator that compare the same: what changed since the run before, first.

        Raises:
            NoSuchReport, NoSeries: there is no comparator of this name, or no run that tells anything.
            ReportNotWritten: the files cannot be written.
        """
        from dualgauge.reporting.report import folder_name
        from dualgauge.reporting.series.states import series_of
        from dualgauge.reporting.series.write import write

        workspace, now = self._workspace, self._workspace.clock()
        root = workspace.project.root
        with workspace.open() as handles:
            made = series_of(self._kept(handles), workspace.settings.migration, name, root=root, now=now)
        return write(made, output or workspace.reports / folder_name(now), root)

    def prune(self, keep: timedelta, *, dry_run: bool = False) -> Pruned:
        """
        Remove the folders of runs and reports older than `keep`, but for those that something rests on.

        Raises:
            NotPruned: nobody can tell what is needed, or a file cannot be removed.
        """
        from dualgauge.reporting.prune import prune

        workspace = self._workspace
        before = workspace.clock() - keep
        with workspace.open() as handles:
            ledger = handles.known_ledger
            rows = ledger.journal(workspace.settings.migration) if ledger else ()
            root = workspace.project.root
            return prune(self._kept(handles), rows, workspace.reports, root, before=before, dry_run=dry_run)

    def _kept(self, handles: Handles) -> StoredRuns:
        """All kept runs, and what a report holds them against."""
        from dualgauge.reporting.stored_runs import kept_of

        limits = self._workspace.settings.gates.limits
        return kept_of(lambda: handles.present, lambda: handles.evidence, limits, handles.log.head().last)

    def _lines(self, handles: Handles) -> Sequence[EvidenceLine]:
        """All runs that make evidence, newest first. A project that cannot be read now still has them."""
        from dualgauge.cutover.gates.evidence_list import lines

        if handles.known_ledger is None:
            return []
        present = handles.present_if_readable
        return lines(handles.evidence, present, self._workspace.settings.gates.limits)
