"""Where a migration stands: values that `status` shows, taken from log, store and ledger."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import AsJson, as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from dualgauge.cutover.values import GateResult
    from dualgauge.eventlog.table.lateness import Lateness
    from dualgauge.ledger.seal import Evidence
    from dualgauge.ledger.values import EvidenceRun, MigrationState
    from dualgauge.model import Position, Side
    from dualgauge.stores.serving.checkpoints import Checkpoint
    from dualgauge.stores.serving.tail_state import HotKey, TailState
    from dualgauge.stores.serving.writers import Lease
    from dualgauge.views.definition import ViewDefinition


class ViewReadiness(StrEnum):
    """How near a view is to what its file and the log say."""

    UNBUILT = "unbuilt"
    STALE = "stale"
    FAILING = "failing"
    LAGGING = "lagging"
    READY = "ready"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class ViewStatus(AsJson):
    """
    One view of one side. `behind` counts events between its position and the head.

    `adopted` is the table of the user's own that is the view: it has no build, its position is None where it cannot
    tell, and it may be ahead of the log, which is a negative `behind`.

    `lag_seconds`: for how long the log has had the first event that it lacks, 0.0 at the head. `strategy`: how its file
    says that it is kept. `stale`: its file changed since its build was made. `error`: what stopped a tail behind
    `stopped_at`. `rate`: events a second that a tail last applied to it. `eta_seconds`: until it is at the head, where
    a tail brings it there; None also where that applies no more events than come, which `catches_up` says. All of these
    are None where nobody can tell. `hot_keys`: the keys that a tenth or more of the newest events under a tail went to.
    """

    side: Side
    view: str
    readiness: ViewReadiness
    build: int | None
    position: Position | None
    behind: int | None
    adopted: str | None = None
    lag_seconds: float | None = None
    strategy: str | None = None
    stale: bool | None = None
    error: str | None = None
    stopped_at: Position | None = None
    rate: float | None = None
    eta_seconds: float | None = None
    catches_up: bool | None = None
    hot_keys: tuple[HotKey, ...] = ()

    @property
    def label(self) -> str:
        """Its name with its side: `v2.orders`."""
        return f"{self.side.value}.{self.view}"


@dataclass(frozen=True, slots=True)
class LiveState:
    """
    How the log, and the tails, go now.

    Args:
        lags: for how long the log has had the event behind each position that is not the head.
        arrivals: events a second that the log got in the last minute; None where it cannot be read.
        holders: who brings each side forward; None where nobody does.
        tails: what a tail last said of each build, by side, view and number.
        strategies: how each view is kept, by side and name, and whether a tail can.
        now: the time by the system's clock, which a tail's own times are of; None where nobody looked.
    """

    lags: Mapping[Position, timedelta]
    arrivals: float | None
    holders: Mapping[Side, Lease | None]
    tails: Mapping[tuple[Side, str, int], TailState]
    strategies: Mapping[tuple[Side, str], tuple[str, bool]]
    now: datetime | None = None


FALLEN_BEHIND: Final = 5.0
"""Seconds of lag from which on a rate below that of new events means that a view will not catch up."""

STILL: Final = timedelta(seconds=10)
"""A tail that has said nothing of a view behind the head for so long does not bring it forward now."""

UNKNOWN: Final = LiveState({}, None, {}, {}, {})
"""Nobody looked."""


@dataclass(frozen=True, slots=True)
class Status:
    """
    The whole of it. `last_diffs` holds the newest finished run of each comparator.

    `lateness` is of the log's newest events; None where they cannot be read.
    `gates` are what a larger share would be asked; None where the project's files do not let them be asked.
    `step` is the one of canary.yaml that the share stands on. `waiting` counts rows of the quarantine. `arrivals` are
    events a second of the last minute, `holders` who brings each side forward, or would if it could write there: one
    whose lease had ended `at` the time, by the system's clock, when somebody looked.
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
    arrivals: float | None = None
    holders: Mapping[Side, Lease | None] = field(default_factory=dict, hash=False)
    step: str | None = None
    at: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """What `--format json` gives."""
        return {
            "migration": self.migration,
            "stage": self.state.stage,
            "share_ppm": self.state.share_ppm,
            "rollout": self.state.rollout,
            "killed": self.state.killed,
            "step": self.step,
            "log": {"head": self.head, "lateness": as_json(self.lateness), "arrivals_per_second": self.arrivals},
            "sides": {
                side.value: {"holder": lease and lease.holder, "until": lease and lease.until}
                for side, lease in self.holders.items()
            },
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
    live: LiveState,
    waiting: int = 0,
    step: str | None = None,
) -> Status:
    """Put it together from what log, stores and ledger hold; `evidence` is of this migration."""
    known = {(one.side, one.name) for one in views}
    return Status(
        migration=name,
        state=state,
        head=head,
        lateness=lateness,
        views=tuple(view_status(one, served[one.side].get(one.name), head, live) for one in views),
        last_diffs=_last_diffs(evidence),
        unread=tuple(f"{side.value}.{name}" for side in served for name in served[side] if (side, name) not in known),
        gates=gates,
        waiting=waiting,
        arrivals=live.arrivals,
        holders=live.holders,
        step=step,
        at=live.now,
    )


def view_status(
    view: ViewDefinition, served: Checkpoint | None, head: Position, live: LiveState = UNKNOWN
) -> ViewStatus:
    """Compare a view's file with the build that readers get, and say how far that is behind and how it goes on."""
    strategy, keeps = live.strategies.get((view.side, view.name), (None, False))
    if served is None:
        return ViewStatus(view.side, view.name, ViewReadiness.UNBUILT, None, None, None, strategy=strategy)
    at = served.position
    behind = None if at is None else head - at
    lag = None if at is None or (at < head and at not in live.lags) else live.lags.get(at, timedelta()).total_seconds()
    found = ViewStatus(
        view.side, view.name, ViewReadiness.ADOPTED, None, at, behind, view.adopted, lag_seconds=lag, strategy=strategy
    )
    if view.adopted:
        return found
    stale = served.definition_hash != view.hash
    tail = live.tails.get((view.side, view.name, served.build))
    # What stopped it behind another position was replayed, or went by.
    error = tail.error if tail and tail.error_position == at else ""
    states = {
        ViewReadiness.STALE: stale, ViewReadiness.FAILING: bool(error), ViewReadiness.LAGGING: bool(behind),
    }  # fmt: skip
    found = replace(
        found, readiness=next((one for one, holds in states.items() if holds), ViewReadiness.READY),
        build=served.build, stale=stale, error=error or None, stopped_at=at if error else None,
    )  # fmt: skip
    holder = live.holders.get(view.side)
    kept = keeps and not error and holder is not None and (live.now is None or holder.until >= live.now)
    if (
        not kept
        or tail is None
        or tail.rate is None
        or (behind and live.now is not None and live.now - tail.at > STILL)
    ):
        return found
    found = replace(found, rate=tail.rate, hot_keys=tail.hot_keys)
    arrivals = live.arrivals
    if not behind or arrivals is None:
        return replace(found, catches_up=None if behind else True, eta_seconds=None if behind else 0.0)
    if tail.rate > arrivals:
        return replace(found, catches_up=True, eta_seconds=behind / (tail.rate - arrivals))
    # Few events at a time go slowly, and a tail that is right behind the head has no more of them.
    return replace(found, catches_up=None if lag is None or lag < FALLEN_BEHIND else False)


def _last_diffs(evidence: Evidence) -> tuple[EvidenceRun, ...]:
    """The last diff of each comparator in the journal's order; none of one that is not what was sealed."""
    last = {one.entry.name: one for one in evidence.sealed if one.entry.kind is EvidenceKind.DIFF}
    return tuple(one.run for _, one in sorted(last.items()) if one.run is not None)
