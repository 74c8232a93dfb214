"""Gates of the ramp itself: a migration that is killed stays where it is, and a step asks for its soak."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from dualgauge.cutover.canary.model import AppliedStep
from dualgauge.cutover.values import GateResult
from dualgauge.ledger.journal import RowKind
from dualgauge.ledger.routing import CHANGED, RoutingVerb, runs_in
from dualgauge.model import NextStep, Outcome
from dualgauge_router.decision import READING_V2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from dualgauge.ledger.journal import JournalRow
    from dualgauge.ledger.values import MigrationState

UNKILL = NextStep("dualgauge canary unkill", "let the share count again")
WAIT = NextStep("dualgauge status --watch", "see how long it stands there")


def steps_in_force(state: MigrationState) -> tuple[AppliedStep, ...]:
    """The steps of the canary.yaml in force, from the smallest share up; none without one."""
    if state.canary in ("", CHANGED):
        return ()
    return tuple(map(AppliedStep.model_validate, json.loads(state.canary)["steps"]))


def step_of(state: MigrationState) -> AppliedStep | None:
    """The step that the share stands on: the last one up to it; None where v2 answers no reads, or none is so low."""
    if state.stage not in READING_V2:
        return None
    return next((one for one in reversed(steps_in_force(state)) if one.share_ppm <= state.share_ppm), None)


def standing_since(rows: Iterable[JournalRow]) -> datetime | None:
    """Since when reads have gone by this stage, share and cohorts, and by no kill; None where they never did."""
    moves = (row.entry for row in rows if not row.unreadable and row.kind is RowKind.MOVE)
    times = [
        one.at
        for one in moves
        if (one.from_stage, one.from_share_ppm) != (one.to_stage, one.to_share_ppm)
        or one.verb == RoutingVerb.UNKILL
        # A file that sent more reads to v2 rests on evidence.
        or (one.verb == RoutingVerb.APPLY and runs_in(one.evidence))
    ]
    return times[-1] if times else None


def ramp_gates(
    state: MigrationState, rows: Sequence[JournalRow], share_ppm: int | None, at: datetime,
    *, killed: bool = True, soak: bool = True,
) -> tuple[GateResult, ...]:  # fmt: skip
    """
    What the ramp asks of a move forward: that nobody killed the migration, and the soak of each step that it leaves.

    Args:
        state: the migration.
        rows: its journal.
        share_ppm: where the share is to go; None for the next step, whichever that is.
        at: now.
        killed: whether a kill closes its gate; not where it is to be taken back.
        soak: whether soaks are asked for; not where the share stays as it is.
    """
    gates = [_kill()] if state.killed and killed else []
    stands = step_of(state)
    for step in steps_in_force(state) if soak else ():
        above = stands is None or step.share_ppm > stands.share_ppm
        passes = above and share_ppm is not None and step.share_ppm < share_ppm
        # A step at 0 % without cohorts is stage shadow, where the share stands before it ever moves.
        before = step.share_ppm == 0 and not step.cohorts
        if not step.soak_seconds or not (step == stands or passes or (before and stands is None)):
            continue
        spent = at - since if (since := standing_since(rows)) and (step == stands or before) else timedelta()
        gates.append(_soak(step, spent, passes=passes and not before))
    return tuple(gates)


def _kill() -> GateResult:
    why = "all reads are on v1 by a kill, so a larger share would say nothing"
    return GateResult("kill", Outcome.FAIL, "killed", "no kill in force", why, (UNKILL,))


def _soak(step: AppliedStep, spent: timedelta, *, passes: bool) -> GateResult:
    name, needed = f"soak:{step.name}", f"{step.soak_seconds:,} s at this step"
    found = f"{int(spent.total_seconds()):,} s so far"
    if spent >= step.soak:
        return GateResult(name, Outcome.PASS, found, needed)
    why = "the move would pass this step, and the share never stood there" if passes else "the soak is not over"
    return GateResult(name, Outcome.INCONCLUSIVE, "never there" if passes else found, needed, why, (WAIT,))
