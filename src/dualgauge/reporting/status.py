"""Where a migration stands: values that `status` shows, taken from log, store and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.ledger.values import EvidenceRun, MigrationState
    from dualgauge.model import Position, Side
    from dualgauge.stores.control import Checkpoint
    from dualgauge.views.definition import ViewDefinition


class ViewReadiness(StrEnum):
    """How near a view is to what its file and the log say."""

    UNBUILT = "unbuilt"
    STALE = "stale"
    LAGGING = "lagging"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class ViewStatus:
    """One view of one side. `behind` counts events between its position and the head."""

    side: Side
    view: str
    readiness: ViewReadiness
    build: int | None
    position: Position | None
    behind: int | None

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        return {
            "side": self.side.value, "view": self.view, "readiness": self.readiness.value,
            "build": self.build, "position": self.position, "behind": self.behind,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Status:
    """The whole of it. `last_diffs` holds the newest finished run of each comparator."""

    migration: str
    state: MigrationState
    head: Position
    views: tuple[ViewStatus, ...]
    last_diffs: tuple[EvidenceRun, ...]
    unread: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """What `--format json` gives."""
        return {
            "migration": self.migration,
            "stage": self.state.stage,
            "share_ppm": self.state.share_ppm,
            "rollout": self.state.rollout,
            "log": {"head": self.head},
            "views": [one.to_json() for one in self.views],
            "diffs": [
                {"run": one.run_id, "comparator": one.name, "position": one.position, "verdict": one.verdict}
                for one in self.last_diffs
            ],
            "views_without_a_file": list(self.unread),
        }


def view_status(view: ViewDefinition, served: Checkpoint | None, head: Position) -> ViewStatus:
    """Compare a view's file with the build that readers get."""
    if served is None:
        return ViewStatus(view.side, view.name, ViewReadiness.UNBUILT, None, None, None)
    behind = head - served.position
    if served.definition_hash != view.hash:
        readiness = ViewReadiness.STALE
    else:
        readiness = ViewReadiness.LAGGING if behind else ViewReadiness.READY
    return ViewStatus(view.side, view.name, readiness, served.build, served.position, behind)


def newest(runs: Sequence[EvidenceRun]) -> tuple[EvidenceRun, ...]:
    """The newest finished run of each comparator; `runs` come newest first."""
    found: dict[str, EvidenceRun] = {}
    for one in runs:
        if one.finished_at is not None:
            found.setdefault(one.name, one)
    return tuple(found[name] for name in sorted(found))
