"""
A migration: what the command line, schedulers and services call.

`open(path)` finds the project and validates its settings. Each method is one command: it opens what it needs,
calls the rooms once, and closes it. Heavy rooms are loaded where they are used: a read loads no engine.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.history import History
from dualgauge.model import Position, Side
from dualgauge.project.project import find
from dualgauge.project.settings import validate
from dualgauge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.runtime.environment import EnvironmentContext

    from dualgauge.comparison.checking.check_run import CheckRun
    from dualgauge.comparison.runs.run import DiffRun
    from dualgauge.cutover.gates.evidence_list import EvidenceLine, EvidenceShown
    from dualgauge.cutover.status import Status
    from dualgauge.cutover.values import GateResult, Moved, Readiness
    from dualgauge.doctor.values import Examination
    from dualgauge.ledger.journal import JournalRow, TamperedRow
    from dualgauge.ledger.values import MigrationState
    from dualgauge.replay.run import Replayed
    from dualgauge.reporting.values import ReportFiles
    from dualgauge.routing.decision import Decision
    from dualgauge.stores.serving.migrations import Revision
    from dualgauge.stores.serving.shapes import Shape
    from dualgauge.views.plan import Plan


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """One read: the side that served it and why, and the row, None where that side has none."""

    view: str
    key: tuple[str, ...]
    decision: Decision
    row: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Rebuild:
    """
    What a replay did: revisions that it wrote and applied, and what became of each view.

    `adopted` are the chosen views that nobody builds: tables of the user's own. `nothing`: there was no other.
    """

    position: Position
    written: Revision | None
    applied: tuple[Revision, ...]
    views: tuple[Replayed, ...]
    adopted: tuple[str, ...] = ()
    nothing: bool = False


@dataclass(frozen=True)
class Migration(History):
    """One project's migration: each method is one command."""

    def doctor(self) -> Examination:
        """Look at the set-up, and change nothing; see `doctor.examine`, which works without a project too."""
        from dualgauge.doctor.examine import examine

        return examine(self.project.root, clock=self.clock)

    def plans(self) -> list[Plan]:
        """How each view of both sides is kept. Raises ViewError where a file cannot be used."""
        with self.engine() as engine:
            return self.plans_of(engine)

    def shapes(self) -> list[Shape]:
        """The shapes that the view files ask for, of both sides."""
        from dualgauge.replay.run import shape_of

        with self.engine() as engine:
            return [shape_of(one) for one in self.views(engine) if not one.adopted]

    def revise(self, message: str) -> Revision | None:
        """Write the Alembic revision that the views' shapes need; None where none is missing."""
        store, shapes = self.store(), self.shapes()
        store.upgrade(self.migrations_folder, shapes)
        return store.revise(self.migrations_folder, shapes, message)

    def upgrade(self) -> list[Revision]:
        """Apply the revisions that the store lacks; gives them."""
        return self.store().upgrade(self.migrations_folder, [])

    def revisions(self) -> list[Revision]:
        """All revisions, oldest first."""
        return self.store().history(self.migrations_folder)

    def replay(
        self, names: Sequence[str] = (), *, side: Side | None = None, force: bool = False, dry_run: bool = False
    ) -> Rebuild:
        """
        Build views anew from the log, up to its head: of one side or both, some by name or all.

        With `migrate = "auto"` missing revisions are written and applied first. The ledger notes how far v2 is. Adopted
        views are left as they are; where nothing else is chosen, nothing is done.
        """
        from dualgauge.cutover.gates.inputs import look
        from dualgauge.replay.choice import apart, choose
        from dualgauge.replay.run import replay
        from dualgauge.replay.shaping import shape_store

        with self.engine() as engine:
            plans = self.plans_of(engine)
            chosen, adopted = apart(choose(plans, names, side))
            log = self.log()
            head = log.head().last
            if not chosen:
                return Rebuild(position=head, written=None, applied=(), views=(), adopted=adopted, nothing=True)
            written, applied = shape_store(
                self.store(), self.migrations_folder, [one.view for one in plans if not one.view.adopted],
                mode=self.settings.store.migrate, dry_run=dry_run,
            )  # fmt: skip
            if dry_run:
                return Rebuild(position=head, written=None, applied=(), views=(), adopted=adopted)
            operation = uuid.uuid4().hex
            v2_chosen = any(one.view.side is Side.V2 for one in chosen)
            self._note_replay(operation, None, begins=v2_chosen)
            done = replay(engine, log, self.store(), chosen, head, force=force, progress=self.progress)
            ready = look(self.store(), [one.view for one in plans])
            self._note_replay(operation, ready, begins=v2_chosen)
            return Rebuild(position=head, written=written, applied=applied, views=tuple(done), adopted=adopted)

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
        with self.engine() as engine, self.ledger() as ledger:
            return [
                run_diff(
                    engine, self.log(), self.store(), ledger, pair,
                    root=self.project.root,
                    reports=self.reports,
                    configuration_hash=self.configuration_hash,
                    clock=self.clock, samples=samples, plan=wanted,
                    progress=self.progress, settle=settle, sleep=self.sleep,
                    migration=self.settings.migration, who=self.who,
                )
                for pair in self.pairs_of(self.plans_of(engine), names)
            ]  # fmt: skip

    def check(self, names: Sequence[str] = ()) -> list[CheckRun]:
        """Ask the checks of all comparators or some, at one position; each run that has checks is kept as evidence."""
        from dualgauge.comparison.checking.check_run import Keeping, run_checks

        with self.engine() as engine, self.ledger() as ledger:
            plans = self.plans_of(engine)
            keeping = Keeping(
                ledger, self.project.root, self.reports, self.configuration_hash,
                migration=self.settings.migration, who=self.who, clock=self.clock,
            )  # fmt: skip
            return run_checks(
                engine, self.log(), self.store(), self.pairs_of(plans, names),
                where=lambda side, name: self.queried(plans, side, name), keeping=keeping, progress=self.progress,
            )  # fmt: skip

    def report(self, names: Sequence[str] = (), *, run: str | None = None, output: Path | None = None) -> ReportFiles:
        """Write a report of kept evidence: of one run, or of the newest ones of some comparators or all."""
        from dualgauge.reporting.report import ReportRequest, folder_name, make_report, write
        from dualgauge.reporting.stored_runs import kept_of

        now = self.clock()
        with self.ledger_if_any() as ledger:
            limits, head = self.settings.gates.limits, self.log().head().last
            kept = kept_of(ledger, self.present, limits, head, self.settings.migration)
        made = make_report(kept, self.state(), ReportRequest(names, run), root=self.project.root, now=now)
        return write(made, output or self.reports / folder_name(now), self.project.root)

    def read(self, view: str, key: Sequence[str], *, unit: str | None = None) -> ReadAnswer:
        """Answer one read from the side that the share gives the unit, as a router would."""
        from dualgauge.routing.decision import Route, decide

        state = self.state()
        decision = decide(unit, Route.of(state))
        row = self.store().point(decision.side, view, key)
        return ReadAnswer(view=view, key=tuple(key), decision=decision, row=row)

    def state(self) -> MigrationState:
        """The migration's state; one that has no ledger yet was never moved."""
        from dualgauge.ledger.values import MigrationState

        name = self.settings.migration
        with self.ledger_if_any() as ledger:
            return ledger.state(name) if ledger else MigrationState(name)

    def switch(self, share_ppm: int, *, reason: str | None = None, dry_run: bool = False) -> Moved:
        """Set the share of reads on v2, in parts per million, by one compare-and-set of the ledger."""
        from dualgauge.cutover.gates.decide import decide
        from dualgauge.cutover.moves.switch import switch

        with self.ledger() as ledger:
            return switch(
                ledger, self.settings.migration, share_ppm=share_ppm,
                gates=lambda: decide(self.present(ledger), self.settings.gates.limits),
                who=self.who, at=self.clock(), operation_id=uuid.uuid4().hex, reason=reason, dry_run=dry_run,
            )  # fmt: skip

    def gates(self, share_ppm: int) -> tuple[GateResult, ...]:
        """What a move to this share would be asked now, each gate with its answer; nothing where no gate is asked."""
        from dualgauge.cutover.gates.decide import decide

        if share_ppm <= self.state().share_ppm:
            return ()
        with self.ledger_if_any() as ledger:
            return decide(self.present(ledger), self.settings.gates.limits)

    def rollback(self, *, reason: str | None = None, dry_run: bool = False) -> Moved:
        """Take all reads back to v1. Nothing is asked for; adopted tables are looked at when the move is made."""
        from dualgauge.cutover.moves.switch import rollback

        with self.ledger() as ledger:
            moved = rollback(
                ledger, self.settings.migration,
                who=self.who, at=self.clock(), operation_id=uuid.uuid4().hex, reason=reason, dry_run=dry_run,
            )  # fmt: skip
        return replace(moved, v1_positions=self.adopted_positions())

    def journal(self) -> tuple[JournalRow, ...]:
        """Every row of this migration, oldest first: moves and finished evidence."""
        with self.ledger_if_any() as ledger:
            return ledger.journal(self.settings.migration) if ledger else ()

    def verify_journal(self) -> TamperedRow | None:
        """What was changed by hand, first found: in the ledger, or in a file of evidence; None if all is well."""
        from dualgauge.cutover.gates.evidence_list import changed_file

        with self.ledger_if_any() as ledger:
            if ledger is None:
                return None
            evidence = ledger.evidence()
        return evidence.first_bad or changed_file(evidence, self.project.root)

    def evidence(
        self, name: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> tuple[EvidenceLine, ...]:
        """The runs that make evidence, newest first, each with whether a gate goes by it now."""
        from dualgauge.cutover.gates.evidence_list import chosen

        return chosen(self.runs(), name=name, kind=kind, limit=limit)

    def evidence_run(self, run_id: str) -> EvidenceShown:
        """One run of evidence in whole. Raises UnknownRun."""
        from dualgauge.cutover.gates.evidence_list import show

        return show(self.runs(), run_id, self.project.root)

    def status(self) -> Status:
        """Where everything stands."""
        from dualgauge.cutover.gates.decide import decide
        from dualgauge.cutover.status import gather
        from dualgauge.eventlog.table.lateness import lateness_if_readable
        from dualgauge.ledger.seal import Evidence
        from dualgauge.ledger.values import MigrationState

        name = self.settings.migration
        with self.engine() as engine, self.ledger_if_any() as ledger:
            plans, store = self.plans_of(engine), self.store()
            present, log = self.present_if_readable(ledger, plans), self.log()
            return gather(
                name, ledger.state(name) if ledger else MigrationState(name), log.head().last,
                lateness_if_readable(engine, log),
                views=[one.view for one in plans], served={side: store.served_builds(side) for side in Side},
                evidence=present.evidence if present else ledger.evidence(name) if ledger else Evidence(),
                gates=None if present is None else decide(present, self.settings.gates.limits),
                waiting=ledger.quarantine.waiting() if ledger else 0,
            )  # fmt: skip

    def _note_replay(self, operation: str, ready: Readiness | None, *, begins: bool) -> None:
        from dualgauge.cutover.moves.switch import record_replay

        with self.ledger() as ledger:
            record_replay(
                ledger, self.settings.migration, ready=ready, begins=begins,
                who=self.who, at=self.clock(), operation_id=operation,
            )  # fmt: skip


def open(path: Path | str = ".", **given: Any) -> Migration:  # noqa: A001, ANN401  (the public door; passed on to the dataclass, which names them)
    """
    Open the project at a path or above it.

    Args:
        path: where to begin looking.
        given: `clock`, `who`, `memory_limit`, `progress` of `Migration`.

    Raises:
        NoProject, BrokenToml, BadSettings: there is no usable project.
    """
    project = find(Path(path))
    return Migration(project=project, settings=validate(Settings, project.raw, project.file), **given)


def alembic_environment(context: EnvironmentContext, file: Path) -> None:
    """
    Run Alembic's environment; called by the project's `migrations/env.py`.

    Under `dualgauge` the open connection is handed over; under plain `alembic` the project is opened here.
    """
    from dualgauge.stores.serving import migrations

    if migrations.run_handed_over(context):
        return
    migration = open(file.parent)
    migrations.run_plain(context, migration.builds().databases, migration.shapes())
