"""The commands of the quarantine: `migration.quarantine`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.eventlog.imports.retry import Retried
    from dualgauge.ledger.misfit import QuarantinedRow, RowState
    from dualgauge.workspace import Workspace


@dataclass(frozen=True, slots=True)
class QuarantineCommands:
    """The rows that do not fit: which they are, and what becomes of them."""

    _workspace: Workspace

    def list(self, *, state: RowState | None = None, source: str | None = None) -> tuple[QuarantinedRow, ...]:
        """The rows of the quarantine, of one state or source or of all, by source, place and row."""
        with self._workspace.open() as handles:
            ledger = handles.known_ledger
            return ledger.quarantine.rows(state=state, source=source) if ledger else ()

    def retry(
        self,
        ids: Sequence[str] = (),
        *,
        source: str | None = None,
        text: str | None = None,
        dry_run: bool = False,
    ) -> Retried:
        """
        Read waiting rows of the quarantine again, some or all, and append those that fit now.

        Args:
            ids: the beginnings of their ids; all that wait without any.
            source: only rows of this source.
            text: what to read in the place of the text of the one row that is named.
            dry_run: say what would be done.

        Raises:
            TextForMany: a text is given, and not one row is named.
        """
        from dualgauge.eventlog.imports.errors import TextForMany
        from dualgauge.eventlog.imports.retry import retry

        if text is not None and len(ids) != 1:
            raise TextForMany(len(ids))
        workspace = self._workspace
        with workspace.open() as handles:
            ledger = handles.ledger_for(dry_run=dry_run)
            quarantine = ledger.quarantine_of(workspace.settings.migration, workspace.who)
            chosen = quarantine.chosen(ids, source=source)
            return retry(
                handles.engine, handles.open_log_with(ledger), quarantine, chosen, workspace.settings.sources,
                root=workspace.project.root, now=workspace.clock(), sleep=workspace.sleep, chance=workspace.chance,
                text=text, dry_run=dry_run, progress=workspace.progress,
            )  # fmt: skip

    def skip(
        self, ids: Sequence[str] = (), *, source: str | None = None, reason: str | None = None, dry_run: bool = False
    ) -> tuple[QuarantinedRow, ...]:
        """
        Let waiting rows of the quarantine be, for good: some or all. Gives them as they were.

        Args:
            ids: the beginnings of their ids; all that wait without any.
            source: only rows of this source.
            reason: why; kept behind the reason why they do not fit.
            dry_run: say what would be done.
        """
        from dualgauge.ledger.misfit import RowState, Settled

        workspace = self._workspace
        with workspace.open() as handles:
            ledger = handles.ledger_for(dry_run=dry_run)
            quarantine = ledger.quarantine_of(workspace.settings.migration, workspace.who)
            chosen = quarantine.chosen(ids, source=source)
            if not dry_run:
                said = f" (skipped: {reason})" if reason else ""
                quarantine.settle(
                    [Settled(row.id, RowState.SKIPPED, f"{row.misfit.reason}{said}") for row in chosen],
                    at=workspace.clock(),
                )
            return chosen
