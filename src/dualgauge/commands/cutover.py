"""The commands that move reads, and look back on the moves: `migration.cutover`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dualgauge.commands.looks import Looks
from dualgauge.errors import DualgaugeError
from dualgauge.model import Side

if TYPE_CHECKING:
    from dualgauge.cutover.status import Status
    from dualgauge.cutover.values import GateResult, Moved
    from dualgauge.ledger.journal import JournalRow, TamperedRow
    from dualgauge.ledger.values import MigrationState
    from dualgauge.model import Position
    from dualgauge.workspace import Handles, Workspace


@dataclass(frozen=True, slots=True)
class JournalShown:
    """Every row of the migration, oldest first; `tampered`: what was changed by hand, None where nothing was found."""

    rows: tuple[JournalRow, ...]
    tampered: TamperedRow | None = None


@dataclass(frozen=True, slots=True)
class CutoverCommands:
    """The share of reads on v2: where it stands, what opens the next step, forward and back."""

    _workspace: Workspace

    def state(self) -> MigrationState:
        """The migration's state; one that has no ledger yet was never moved."""
        with self._workspace.open() as handles:
            return handles.state

    def status(self) -> Status:
        """Where everything stands, and how the tails go. Nothing is written."""
        from dualgauge.commands.live import live_state
        from dualgauge.cutover.gates.decide import decide
        from dualgauge.cutover.gates.ramp import step_of
        from dualgauge.cutover.status import gather
        from dualgauge.eventlog.table.lateness import lateness_if_readable

        settings = self._workspace.settings
        with self._workspace.open() as handles:
            # The builds first: of a log that was read before, one that goes on meanwhile would be ahead.
            served, views, present = handles.served, handles.views, handles.present_if_readable
            return gather(
                settings.migration, handles.state, handles.log.head().last,
                lateness_if_readable(handles.engine, handles.log),
                views=views, served=served, evidence=handles.evidence,
                live=live_state(handles, self._workspace.clock()),
                gates=None if present is None else (*handles.ramp(None), *decide(present, settings.gates.limits)),
                waiting=handles.waiting, step=step.name if (step := step_of(handles.state)) else None,
            )  # fmt: skip

    def switch(
        self, share_ppm: int, *, cohorts: bool = False, reason: str | None = None, dry_run: bool = False
    ) -> Moved:
        """
        Set the share of reads on v2, in parts per million, by one compare-and-set of the ledger.

        With `cohorts`, 0 is stage canary: the cohorts of canary.yaml's step at 0 % are on v2.
        """
        from dualgauge.cutover.moves.switch import switch

        workspace = self._workspace
        with workspace.open() as handles, Looks(workspace) as looks:
            return switch(
                handles.ledger_for(dry_run=dry_run), workspace.settings.migration, share_ppm=share_ppm,
                cohorts=cohorts, gates=lambda: looks.gates(share_ppm), still=looks.still,
                who=workspace.who, at=workspace.clock(), operation_id=uuid.uuid4().hex, reason=reason, dry_run=dry_run,
            )  # fmt: skip

    def gates(self, share_ppm: int) -> tuple[GateResult, ...]:
        """What a move to this share would be asked now, each gate with its answer; nothing where no gate is asked."""
        with Looks(self._workspace) as looks:
            return looks.gates(share_ppm) if share_ppm > looks.state().share_ppm else ()

    def rollback(self, *, reason: str | None = None, dry_run: bool = False) -> Moved:
        """Take all reads back to v1. Nothing is asked for; adopted tables are looked at when the move is made."""
        from dualgauge.cutover.moves.switch import rollback

        workspace = self._workspace
        with workspace.open() as handles:
            moved = rollback(
                handles.ledger_for(dry_run=dry_run), workspace.settings.migration,
                who=workspace.who, at=workspace.clock(), operation_id=uuid.uuid4().hex, reason=reason, dry_run=dry_run,
            )  # fmt: skip
            return replace(moved, v1_positions=self._adopted_positions(handles))

    def journal(self, *, verify: bool = False) -> JournalShown:
        """
        Every row of this migration: moves, finished evidence, and the changes of the quarantine.

        With `verify`, what was changed by hand is looked for.
        """
        from dualgauge.cutover.gates.evidence_list import changed_file

        workspace = self._workspace
        with workspace.open() as handles:
            ledger = handles.known_ledger
            if ledger is None:
                return JournalShown(())
            rows = ledger.journal(workspace.settings.migration)
            if not verify:
                return JournalShown(rows)
            # Of all migrations: the chain is one.
            evidence = ledger.evidence()
        return JournalShown(rows, evidence.first_bad or changed_file(evidence, workspace.project.root))

    def _adopted_positions(self, handles: Handles) -> dict[str, Position | None]:
        """
        How far each adopted view is; None where nobody can tell. A rollback asks: nothing raises, nothing heavy loads.

        Where the database does not answer, or cannot be opened, all of them are unknown.
        """
        from dualgauge.views.header import adoptions

        workspace = self._workspace
        names: dict[str, Position | None] = {}
        try:
            names = dict.fromkeys(adoptions(workspace.project.views(Side.V1, workspace.settings.paths)))
            return handles.adopting.positions() if handles.adopting else {}
        except (DualgaugeError, OSError):
            return names
