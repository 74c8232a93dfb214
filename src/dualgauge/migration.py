"""
A migration: what the command line, schedulers and services call.

`open(path)` finds the project and validates its settings. What a migration can do stands in groups, one method a
command; the calls that people use most are at hand without their group.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from dualgauge.commands.canary import CanaryCommands
from dualgauge.commands.compare import CompareCommands
from dualgauge.commands.cutover import CutoverCommands
from dualgauge.commands.evidence import EvidenceCommands
from dualgauge.commands.log import LogCommands
from dualgauge.commands.notify import NotifyCommands
from dualgauge.commands.quarantine import QuarantineCommands
from dualgauge.commands.schedule import ScheduleCommands
from dualgauge.commands.traffic import TrafficCommands
from dualgauge.commands.views import ViewCommands
from dualgauge.project.project import find
from dualgauge.project.settings import validate
from dualgauge.settings import Settings
from dualgauge.workspace import Given, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from alembic.runtime.environment import EnvironmentContext

    from dualgauge.commands.tailing import Tailing
    from dualgauge.commands.traffic import ReadAnswer
    from dualgauge.commands.views import Rebuild
    from dualgauge.comparison.checking.check_run import CheckRun
    from dualgauge.comparison.runs.run import DiffRun
    from dualgauge.cutover.status import Status
    from dualgauge.cutover.values import Moved
    from dualgauge.doctor.values import Examination
    from dualgauge.eventlog.append.appender import Appender
    from dualgauge.eventlog.imports.run import Imported
    from dualgauge.model import Side
    from dualgauge.project.project import Project
    from dualgauge.reporting.values import ReportFiles


class Migration:
    """One project's migration; `dualgauge.open` gives it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def project(self) -> Project:
        """The project: its root and its file."""
        return self._workspace.project

    @property
    def settings(self) -> Settings:
        """Everything under `[tool.dualgauge]`."""
        return self._workspace.settings

    @property
    def ledger_url(self) -> str:
        """The ledger's URL, as `Router` takes it."""
        return self._workspace.ledger_url

    @cached_property
    def log(self) -> LogCommands:
        """The event log."""
        return LogCommands(self._workspace)

    @cached_property
    def quarantine(self) -> QuarantineCommands:
        """The rows that do not fit."""
        return QuarantineCommands(self._workspace)

    @cached_property
    def views(self) -> ViewCommands:
        """The views of both sides, and their builds."""
        return ViewCommands(self._workspace)

    @cached_property
    def compare(self) -> CompareCommands:
        """What both sides answer, compared and checked."""
        return CompareCommands(self._workspace)

    @cached_property
    def evidence(self) -> EvidenceCommands:
        """The runs that make evidence, and reports of them."""
        return EvidenceCommands(self._workspace)

    @cached_property
    def traffic(self) -> TrafficCommands:
        """Reads."""
        return TrafficCommands(self._workspace)

    @cached_property
    def canary(self) -> CanaryCommands:
        """The ramp as a file: canary.yaml, who reads which side, and kills."""
        return CanaryCommands(self._workspace)

    @cached_property
    def cutover(self) -> CutoverCommands:
        """The share of reads on v2, and its moves."""
        return CutoverCommands(self._workspace)

    @cached_property
    def schedule(self) -> ScheduleCommands:
        """Work that is due by the clock."""
        return ScheduleCommands(self._workspace)

    @cached_property
    def notify(self) -> NotifyCommands:
        """What people are told, and whether it arrived."""
        return NotifyCommands(self._workspace)

    def doctor(self) -> Examination:
        """Look at the set-up, and change nothing; see `doctor.examine`, which works without a project too."""
        from dualgauge.doctor.examine import examine

        return examine(self.project.root, clock=self._workspace.clock)

    def import_(
        self, source: str | None = None, *, every: bool = False, until: datetime | None = None, dry_run: bool = False,
        max_bad_rows: int | None = None,
    ) -> Imported:  # fmt: skip
        """`log.import_`: append the events of one source (by name or file), or of all."""
        return self.log.import_(source, every=every, until=until, dry_run=dry_run, max_bad_rows=max_bad_rows)

    def appender(self) -> AbstractContextManager[Appender]:
        """`log.appender`: `with migration.appender() as log: log.append([Event(...)])`."""
        return self.log.appender()

    def replay(
        self, names: Sequence[str] = (), *, side: Side | None = None, force: bool = False, dry_run: bool = False,
        prune: bool = False, to: int | None = None, keep: timedelta = timedelta(0),
    ) -> Rebuild:  # fmt: skip
        """`views.replay`: build views anew from the log, up to its head or a position before."""
        return self.views.replay(names, side=side, force=force, dry_run=dry_run, prune=prune, to=to, keep=keep)

    def tail(
        self, *, once: bool = False, import_every: float | None = None, max_events_per_second: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Tailing:  # fmt: skip
        """`views.tail`: keep the builds that readers get at the log's head."""
        return self.views.tail(
            once=once, import_every=import_every, max_events_per_second=max_events_per_second, stop=stop
        )

    def diff(
        self, names: Sequence[str] = (), *, samples: int = 10, settle: float = 5.0, plan: str | None = None,
        touched: bool = False, sweep: int = 50_000,
    ) -> list[DiffRun]:  # fmt: skip
        """`compare.diff`: compare both sides at one position; each run is kept as evidence."""
        return self.compare.diff(
            names, samples=samples, settle=settle, plan=plan, touched=touched, sweep=sweep
        )  # fmt: skip

    def check(self, names: Sequence[str] = ()) -> list[CheckRun]:
        """`compare.check`: ask the checks of all comparators or some; each run is kept as evidence."""
        return self.compare.check(names)

    def report(self, names: Sequence[str] = (), *, run: str | None = None, output: Path | None = None) -> ReportFiles:
        """`evidence.report`: write a report of kept evidence."""
        return self.evidence.report(names, run=run, output=output)

    def read(
        self, view: str, key: Sequence[str], *, unit: str | None = None, attrs: Mapping[str, object] | None = None
    ) -> ReadAnswer:
        """`traffic.read`: answer one read from the side that the share gives the unit."""
        return self.traffic.read(view, key, unit=unit, attrs=attrs)

    def status(self) -> Status:
        """`cutover.status`: where everything stands."""
        return self.cutover.status()

    def switch(
        self, share_ppm: int, *, cohorts: bool = False, reason: str | None = None, dry_run: bool = False
    ) -> Moved:
        """`cutover.switch`: set the share of reads on v2, in parts per million."""
        return self.cutover.switch(share_ppm, cohorts=cohorts, reason=reason, dry_run=dry_run)

    def rollback(self, *, reason: str | None = None, dry_run: bool = False) -> Moved:
        """`cutover.rollback`: take all reads back to v1."""
        return self.cutover.rollback(reason=reason, dry_run=dry_run)


def open(path: Path | str = ".", **given: Unpack[Given]) -> Migration:  # noqa: A001  (the public door)
    """
    Open the project at a path or above it.

    Args:
        path: where to begin looking.
        given: `clock`, `who`, `memory_limit`, `progress`, `sleep`, `chance`, `patience` of the workspace.

    Raises:
        NoProject, BrokenToml, BadSettings: there is no usable project.
    """
    return Migration(_workspace(Path(path), **given))


def alembic_environment(context: EnvironmentContext, file: Path) -> None:
    """
    Run Alembic's environment; called by the project's `migrations/env.py`.

    Under `dualgauge` the open connection is handed over; under plain `alembic` the project is opened here.
    """
    from dualgauge.stores.serving import migrations

    if migrations.run_handed_over(context):
        return
    workspace = _workspace(file.parent)
    with workspace.open() as handles:
        handles.builds.run_alembic(context, ViewCommands(workspace).shapes())


def _workspace(path: Path, **given: Unpack[Given]) -> Workspace:
    project = find(path)
    return Workspace(project=project, settings=validate(Settings, project.raw, project.file), **given)
