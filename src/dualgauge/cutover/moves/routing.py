"""
Changing what reads are routed by beside the share: kill, unkill, and a canary.yaml that is applied.

Each is one compare-and-set of the ledger, and a row of the journal that leaves stage and share as they are. What may
send more reads to v2 asks the gates, as a larger share does; what takes reads back asks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dualgauge.cutover.errors import EndedMigration, RolloutFrozen
from dualgauge.cutover.moves.stages import Stage, allowed
from dualgauge.cutover.moves.switch import LOOKS, passed
from dualgauge.ledger.errors import GroundShifted, StateChanged
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.routing import RoutingVerb, evidence_for
from dualgauge_router.canary import CanaryRules
from dualgauge_router.decision import READING_V2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dualgauge.cutover.values import GateResult
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.ledger.values import MigrationState


@dataclass(frozen=True, slots=True)
class Routed:
    """What a migration was routed by, and is, or in a dry run would be; `gates` are those that were asked."""

    before: MigrationState
    after: MigrationState
    dry_run: bool = False
    gates: tuple[GateResult, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything changes."""
        return _routing(self.before) != _routing(self.after)


@dataclass(frozen=True, slots=True)
class RoutingOrder:
    """Who asks for a change, when, why, under which operation id, and whether only to see what it would do."""

    who: str
    at: datetime
    operation_id: str
    reason: str | None = None
    dry_run: bool = False


def kill(ledger: Ledger, migration: str, order: RoutingOrder) -> Routed:
    """
    Send all reads to v1, whatever the share is, until `unkill`. It asks for nothing, and wins over other moves.

    Raises:
        EndedMigration: it is complete, and v1 retired; or cancelled.
    """
    while True:
        before = ledger.state(migration)
        _refuse_ended(before, "killed")
        try:
            return _write(ledger, before, replace(before, killed=True), RoutingVerb.KILL, order)
        except StateChanged:
            # Whatever came between, v1 is still what was asked for.
            continue


def unkill(
    ledger: Ledger,
    migration: str,
    order: RoutingOrder,
    *,
    gates: Callable[[], Sequence[GateResult]],
    still: Callable[[tuple[int, str]], bool],
) -> Routed:
    """
    Let the share count again. Where that sends reads to v2, the gates are asked as for a larger share.

    Raises:
        EndedMigration: the migration has ended.
        GateRefused: a gate is closed.
        StateChanged, GroundShifted: another move came between.
    """
    before = ledger.state(migration)
    _refuse_ended(before, "unkilled")
    return _asked(ledger, before, replace(before, killed=False), RoutingVerb.UNKILL, order, gates=gates, still=still)


def apply(
    ledger: Ledger,
    migration: str,
    order: RoutingOrder,
    *,
    text: str,
    rollout: str | None,
    gates: Callable[[], Sequence[GateResult]],
    still: Callable[[tuple[int, str]], bool],
) -> Routed:
    """
    Put a canary.yaml in force. Where it may send more reads to v2 at once, the gates are asked.

    Args:
        ledger: the ledger.
        migration: its name.
        order: who asks, and why.
        text: the file as the ledger keeps it.
        rollout: the one that it names; None leaves it as it is.
        gates: looks at them.
        still: whether what they looked at is there yet.

    Raises:
        EndedMigration: the migration has ended.
        RolloutFrozen: it names another rollout while v2 answers reads.
        GateRefused: a gate is closed.
        StateChanged, GroundShifted: another move came between.
    """
    before = ledger.state(migration)
    _refuse_ended(before, "configured")
    after = replace(before, canary=text, rollout=rollout or before.rollout)
    if after.rollout != before.rollout and (before.share_ppm or before.stage in READING_V2):
        raise RolloutFrozen(migration, before.stage, before.rollout, after.rollout)
    return _asked(ledger, before, after, RoutingVerb.APPLY, order, gates=gates, still=still)


def widens(before: MigrationState, after: MigrationState) -> bool:
    """Whether a read may be on v2 by what a migration is routed by then, and was not before; in doubt it may."""
    if after.killed or after.stage not in READING_V2:
        return False
    if before.killed:
        return True
    try:
        had = CanaryRules.of(before.canary)
    except (ValueError, KeyError, TypeError):
        return True
    gets = CanaryRules.of(after.canary)
    on_v2 = [one for one in gets.cohorts_at(after.share_ppm) if one not in had.cohorts_at(before.share_ppm)]
    pinned = gets.pin_v2.units - had.pin_v2.units or set(gets.pin_v2.cohorts) - set(had.pin_v2.cohorts)
    freed = had.pin_v1.units - gets.pin_v1.units or set(had.pin_v1.cohorts) - set(gets.pin_v1.cohorts)
    return bool(on_v2 or pinned or freed)


def _asked(
    ledger: Ledger,
    before: MigrationState,
    after: MigrationState,
    verb: RoutingVerb,
    order: RoutingOrder,
    *,
    gates: Callable[[], Sequence[GateResult]],
    still: Callable[[tuple[int, str]], bool],
) -> Routed:
    if _routing(before) == _routing(after) or not widens(before, after):
        return _write(ledger, before, after, verb, order)
    for look in range(LOOKS):
        what = {
            RoutingVerb.UNKILL: f"the kill of {before.name!r} cannot be taken back",
            RoutingVerb.APPLY: f"this file may send more reads of {before.name!r} to v2, and cannot be applied",
        }
        found = passed(before.name, before.share_ppm, gates(), asked=what[verb])
        runs = tuple(dict.fromkeys(one.run for one in found if one.run))
        try:
            return replace(_write(ledger, before, after, verb, order, resting=runs, still=still), gates=found)
        except GroundShifted:
            if look == LOOKS - 1:
                raise
    raise AssertionError


def _write(
    ledger: Ledger,
    before: MigrationState,
    after: MigrationState,
    verb: RoutingVerb,
    order: RoutingOrder,
    *,
    resting: tuple[str, ...] = (),
    still: Callable[[tuple[int, str]], bool] | None = None,
) -> Routed:
    if order.dry_run or _routing(before) == _routing(after):
        return Routed(before, after, dry_run=order.dry_run)
    digest = evidence_for(after.canary) if verb is RoutingVerb.APPLY else ()
    entry = JournalEntry(
        migration=before.name, verb=verb.value, who=order.who, at=order.at, from_stage=before.stage,
        from_share_ppm=before.share_ppm, to_stage=before.stage, to_share_ppm=before.share_ppm,
        operation_id=order.operation_id, reason=order.reason, evidence=(*digest, *resting),
    )  # fmt: skip
    return Routed(before, ledger.move(before, entry, still, routed=after))


def _routing(state: MigrationState) -> tuple[bool, str, str]:
    return state.killed, state.canary, state.rollout


def _refuse_ended(state: MigrationState, what: str) -> None:
    try:
        ended = not allowed(Stage(state.stage))
    except ValueError:
        # Changed by other hands: to take reads back is never refused for that.
        ended = False
    if ended:
        raise EndedMigration(state.name, state.stage, what)
