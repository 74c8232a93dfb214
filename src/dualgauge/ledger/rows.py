"""The ledger's rows as values, and back: how states and runs stand in the tables."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dualgauge.ledger.errors import BrokenRun
from dualgauge.ledger.values import EvidenceKind, EvidenceRun, MigrationState, RunState
from dualgauge.model import Outcome, Position

if TYPE_CHECKING:
    from collections.abc import Mapping


def state_of(row: Mapping[Any, Any]) -> MigrationState:
    """
    A migration, from its row.

    What other hands left unreadable is taken as what sends no read to v2, and refuses nothing: a rollback starts here.
    """
    kept: dict[str, Any] = dict(row)
    try:
        changed_at = datetime.fromisoformat(kept["changed_at"])
    except (ValueError, TypeError):
        changed_at = None
    share, revision = kept["share_ppm"], kept["revision"]
    return MigrationState(
        kept["name"], str(kept["stage"]), share if isinstance(share, int) else 0, str(kept["rollout"]),
        # Of no revision there would be no row.
        revision if isinstance(revision, int) else 1, changed_at,
    )  # fmt: skip


def run_of(row: Mapping[Any, Any]) -> EvidenceRun:
    """
    A run, from its row.

    Raises:
        BrokenRun: the row cannot be read: it was written by other hands.
    """
    kept: dict[str, Any] = dict(row)
    try:
        return EvidenceRun(
            **kept
            | {
                "kind": EvidenceKind(kept["kind"]),
                "bound": json.loads(kept["bound"]),
                "position": None if kept["position"] is None else Position(kept["position"]),
                "state": RunState(kept["state"]),
                "verdict": kept["verdict"] and Outcome(kept["verdict"]),
                "started_at": datetime.fromisoformat(kept["started_at"]),
                "finished_at": kept["finished_at"] and datetime.fromisoformat(kept["finished_at"]),
                "summary": kept["summary"] and json.loads(kept["summary"]),
            }
        )
    except (ValueError, TypeError) as fault:
        raise BrokenRun(str(kept["run_id"]), str(fault)) from fault
