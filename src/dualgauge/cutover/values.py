"""What a move needs to know, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from dualgauge.model import Outcome, as_json, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.ledger.values import MigrationState
    from dualgauge.model import NextStep


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """How fresh evidence must be: its age, `shown` as the settings write it, and the events that came since."""

    max_age: timedelta = timedelta(hours=24)
    max_events: int | None = None
    shown: str = "24h"


@dataclass(frozen=True, slots=True)
class LagLimits:
    """How far views may be behind the log: in time, `shown` as the settings write it, and in events."""

    max_lag: timedelta = timedelta(seconds=5)
    max_events: int | None = None
    shown: str = "5s"


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What the gates hold views and evidence to."""

    lag: LagLimits = LagLimits()
    evidence: EvidenceLimits = EvidenceLimits()


@dataclass(frozen=True, slots=True)
class Readiness:
    """
    Whether v2 could answer reads, as the caller found it in the stores.

    Args:
        unbuilt: the views that have no build, as `v2.orders`; of either side, since the sides are compared.
        v1_position: how far v1 is, by its view that is furthest; None where an adopted v1 cannot tell.
        v2_position: how far all of v2 is, by its view that is least far; None without any build.
    """

    unbuilt: tuple[str, ...]
    v1_position: int | None
    v2_position: int | None

    @property
    def hydrated(self) -> bool:
        """Every view has a build."""
        return not self.unbuilt and self.v2_position is not None

    @property
    def caught_up(self) -> bool:
        """Every view has a build, and v2 is at least as far as v1 (or v1 cannot tell how far it is)."""
        return self.v2_position is not None and not self.unbuilt and (self.v1_position or 0) <= self.v2_position

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps reads from going to v2, in phrases; nothing when it is ready."""
        if self.unbuilt:
            return (f"there is no build of {listed(self.unbuilt)}",)
        return () if self.hydrated else ("v2 has no builds",)


@dataclass(frozen=True, slots=True)
class GateResult:
    """
    What a gate says of a move forward. Only `pass` opens it; `inconclusive` is never a pass.

    Args:
        name: `builds`, `diff:customers`; unique among the gates of a move.
        outcome: what it says.
        value: what was found.
        limit: what is needed.
        why: what is wrong, as a phrase; of an open gate a remark, or nothing.
        next_steps: what opens it.
        run: the evidence run that it rests on; empty where it rests on none.
    """

    name: str
    outcome: Outcome
    value: str
    limit: str
    why: str = ""
    next_steps: tuple[NextStep, ...] = ()
    run: str = ""

    @property
    def passed(self) -> bool:
        """Whether the gate is open."""
        return self.outcome is Outcome.PASS

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        return {
            "name": self.name, "outcome": self.outcome.value, "value": self.value, "limit": self.limit,
            "why": self.why, "run": self.run or None,
            "next_steps": as_json(self.next_steps),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """
    A move: what the migration was and what it is, or, in a dry run, would be.

    Where `changed` is False there was nothing to do and no journal row was written. `gates` are those that a move
    forward passed; back there are none. `v1_positions` says, after a rollback, how far each adopted view of v1 is; None
    where nobody can tell.
    """

    before: MigrationState
    after: MigrationState
    dry_run: bool = False
    gates: tuple[GateResult, ...] = ()
    v1_positions: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether the move does anything."""
        return (self.before.stage, self.before.share_ppm) != (self.after.stage, self.after.share_ppm)
