"""Where a migration stands: values that `status` shows, taken from log, store and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import AsJson, as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.cutover.values import GateResult
    from dualgauge.eventlog.table.lateness import Lateness
    from dualgauge.ledger.seal import Evidence
    from dualgauge.ledger.values import EvidenceRun, MigrationState
    from dualgauge.model import Position, Side
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.views.definition import ViewDefinition


class ViewReadiness(StrEnum):
    """How near a view is to what its file and the log say."""

    UNBUILT = "unbuilt"
    STALE = "stale"
    LAGGING = "lagging"
    READY = "ready"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class ViewStatus(AsJson):
    """
    One view of one side. `behind` counts events between its position and the head.

    `adopted` is the table of the user's own that is the view: it has no build, its position is None where it cannot
    tell, and it may be ahead of the log, which is a negative `behind`.
    """

    side: Side
    view: str
    readiness: ViewReadiness
    build: int | None
    position: Position | None
    behind: int | None
    adopted: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """
    The whole of it. `last_diffs` holds the newest finished run of each comparator.

    `lateness` is of the log's newest events; None where they cannot be read.
    `gates` are what a larger share would be asked; None where the project's files do not let them be asked.
    `waiting` counts rows of the quarantine.
    """

    migration: str
    state: MigrationState
    head: Position
    lateness: Lateness | None
    views: tuple[ViewStatus, ...]
    last_diffs: tuple[EvidenceRun, ...]
    unread: tuple[str, ...]
    gates: tuple[GateResult, ...] | None = None
    waiting: int = 0

    def to_json(self) -> dict[str, object]:
        """What `--format json` gives."""
        return {
            "migration": self.migration,
            "stage": self.state.stage,
            "share_ppm": self.state.share_ppm,
            "rollout": self.state.rollout,
            "log": {"head": self.head, "lateness": as_json(self.lateness)},
            "quarantine": {"waiting": self.waiting},
            "views": as_json(self.views),
            "diffs": [
                {"run": one.run_id, "comparator": one.name, "position": one.position, "verdict": one.verdict}
                for one in self.last_diffs
            ],
            "views_without_a_file": list(self.unread),
            "gates": None if self.gates is None else [one.to_json() for one in self.gates],
        }


def gather(
    name: str,
    state: MigrationState,
    head: Position,
    lateness: Lateness | None,
    *,
    views: Sequence[ViewDefinition],
    served: Mapping[Side, Mapping[str, Checkpoint]],
    evidence: Evidence,
    gates: tuple[GateResult, ...] | None,
    waiting: int = 0,
) -> Status:
    """Put it together from what log, stores and ledger hold; `evidence` is of this migration."""
    known = {(one.side, one.name) for one in views}
    return Status(
        migration=name,
        state=state,
        head=head,
        lateness=lateness,
        views=tuple(view_status(one, served[one.side].get(one.name), head) for one in views),
        last_diffs=_last_diffs(evidence),
        unread=tuple(f"{side.value}.{name}" for side in served for name in served[side] if (side, name) not in known),
        gates=gates,
        waiting=waiting,
    )


def view_status(view: ViewDefinition, served: Checkpoint | None, head: Position) -> ViewStatus:
    """Compare a view's file with the build that readers get."""
    if served is None:
        return ViewStatus(view.side, view.name, ViewReadiness.UNBUILT, None, None, None)
    behind = None if served.position is None else head - served.position
    if view.adopted:
        return ViewStatus(view.side, view.name, ViewReadiness.ADOPTED, None, served.position, behind, view.adopted)
    if served.definition_hash != view.hash:
        readiness = ViewReadiness.STALE
    else:
        readiness = ViewReadiness.LAGGING if behind else ViewReadiness.READY
    return ViewStatus(view.side, view.name, readiness, served.build, served.position, behind)


def _last_diffs(evidence: Evidence) -> tuple[EvidenceRun, ...]:
    """The last diff of each comparator in the journal's order; none of one that is not what was sealed."""
    last = {one.entry.name: one for one in evidence.sealed if one.entry.kind is EvidenceKind.DIFF}
    return tuple(one.run for _, one in sorted(last.items()) if one.run is not None)
