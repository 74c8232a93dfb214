"""
Moving a migration: each function here is at most one compare-and-set of the ledger for each verb.

Forward asks the gates; back never does. Who, when and the operation's id are handed in. An operation id
that was done before gives what it did then, so a call that lost its answer can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dualgauge.cutover.errors import BadShare, GateRefused, IllegalMove, UnknownStage
from dualgauge.cutover.moves.stages import MOVES, Stage, Verb, allowed, target, verb_of_share
from dualgauge.cutover.values import Moved
from dualgauge.ledger.errors import GroundShifted, OperationReused, StateChanged
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.values import percent_text
from dualgauge.model import PPM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dualgauge.cutover.values import GateResult, Readiness
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.ledger.values import MigrationState


LOOKS: Final = 5
"""How often the gates are looked at, where evidence or builds change between a look and the move that rests on it."""

_NOTHING_TO_TAKE_BACK: Final = frozenset(stage for stage in Stage if (stage, Verb.ROLL_BACK) not in MOVES)


def switch(
    ledger: Ledger,
    migration: str,
    *,
    share_ppm: int,
    cohorts: bool = False,
    gates: Callable[[], Sequence[GateResult]],
    still: Callable[[tuple[int, str]], bool] | None = None,
    who: str,
    at: datetime,
    operation_id: str,
    reason: str | None = None,
    dry_run: bool = False,
) -> Moved:
    """
    Set the share of reads on v2: 0 is stage shadow, 1,000,000 ppm is live, between is canary.

    With `cohorts`, 0 is stage canary too: its cohorts and pins are on v2, and no other read.

    `gates` is called only where the share would grow; the runs that its results rest on go into the journal. `still` is
    asked in the move's own transaction whether what `gates` looked at last is what is there now; where it is not, for
    another process ended a diff or a replay between, the gates are looked at anew.

    The share that it has already changes nothing and writes nothing.

    Raises:
        BadShare: the share is no whole number of 0 to 1,000,000.
        GateRefused: the share would grow, and a gate is closed. Lowering it is never refused for that.
        IllegalMove: the stage has no such move.
        StateChanged: another move came between.
        GroundShifted: evidence or builds changed between look and move, each of several times.
        OperationReused: the operation id made another move.
    """
    if type(share_ppm) is not int or not 0 <= share_ppm <= PPM:
        raise BadShare(share_ppm)
    before, stage = _present(ledger, migration)
    verb = Verb.SHARE_SOME if cohorts and share_ppm == 0 else verb_of_share(share_ppm)
    order = _Order(verb, share_ppm, who, at, operation_id, reason, (), dry_run)
    if done := _done(ledger, migration, order):
        return done
    # Both at 0 %: the stage of cohorts is left, or entered.
    turns = share_ppm == before.share_ppm == 0 and (stage is Stage.CANARY) is not cohorts
    if before.share_ppm == share_ppm and not turns:
        return Moved(before, before, dry_run=dry_run)
    # An end says that it is one, whatever v2 lacks; before shadow, what is missing says more than the table does.
    if not (allowed(stage) and (share_ppm > before.share_ppm or (turns and cohorts))):
        return _lower(ledger, before, stage, order)
    for look in range(LOOKS):
        asked = passed(
            migration, share_ppm, gates(),
            asked=f"the cohorts and pins of {migration!r} cannot go to v2" if turns else "",
        )  # fmt: skip
        resting = replace(order, evidence=tuple(dict.fromkeys(one.run for one in asked if one.run)))
        try:
            return replace(_move(ledger, before, target(stage, verb), resting, still), gates=asked)
        except GroundShifted:
            if look == LOOKS - 1:
                raise
    raise AssertionError


def rollback(
    ledger: Ledger,
    migration: str,
    *,
    who: str,
    at: datetime,
    operation_id: str,
    reason: str | None = None,
    evidence: tuple[str, ...] = (),
    dry_run: bool = False,
) -> Moved:
    """
    Take all reads back to v1: share 0 and stage shadow in one write. It asks for nothing, and wins over other moves.

    Where no read is on v2 there is nothing to take back: nothing changes and nothing is written. A stage that has no
    reads on v2, or that does not exist, is no reason to leave them there when other hands wrote a share beside it.

    Raises:
        IllegalMove: the migration is complete, and v1 retired.
        OperationReused: the operation id made another move.
    """
    order = _Order(Verb.ROLL_BACK, 0, who, at, operation_id, reason, evidence, dry_run)
    if done := _done(ledger, migration, order):
        return done
    while True:
        before = ledger.state(migration)
        if before.share_ppm == 0 and before.stage in _NOTHING_TO_TAKE_BACK:
            return Moved(before, before, dry_run=dry_run)
        if before.stage == Stage.COMPLETE:
            raise IllegalMove(Stage.COMPLETE, Verb.ROLL_BACK, ())
        try:
            return _move(ledger, before, Stage.SHADOW, order)
        except StateChanged:
            # Whatever came between, going back is still what was asked for. Each turn means that another move was made.
            continue


def record_replay(
    ledger: Ledger,
    migration: str,
    *,
    ready: Readiness | None,
    begins: bool = True,
    who: str,
    at: datetime,
    operation_id: str,
) -> Moved:
    """
    Note in the ledger how far a replay has brought v2: off to backfill, catchup, shadow, one journal row for each.

    Args:
        ready: what the stores hold now; None when the replay has only begun.
        begins: whether v2 was replayed; a replay of v1 alone begins no migration, but may be what v2 waited for.
        operation_id: of the replay; each row's id is this with the verb behind it.

    In later stages, and in the ends, it does nothing: a rebuild beside reads is no move.
    """
    verbs = [Verb.REPLAY] if begins else []
    if ready is not None and ready.hydrated:
        verbs.append(Verb.HYDRATED)
        if ready.caught_up:
            verbs.append(Verb.CAUGHT_UP)
    first, _ = _present(ledger, migration)
    for verb in verbs:
        order = _Order(verb, 0, who, at, f"{operation_id}:{verb}", None, (), dry_run=False)
        _note(ledger, migration, order)
    return Moved(first, ledger.state(migration))


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for, by whom."""

    verb: Verb
    share_ppm: int
    who: str
    at: datetime
    operation_id: str
    reason: str | None
    evidence: tuple[str, ...]
    dry_run: bool


def _lower(ledger: Ledger, before: MigrationState, stage: Stage, order: _Order) -> Moved:
    """Set a share that is not above the present one; it wins over moves that leave it so."""
    while True:
        try:
            return _move(ledger, before, target(stage, order.verb), order)
        except StateChanged:
            now, stage = _present(ledger, before.name)
            # At 0 % the cohorts of stage canary may be on v2 yet.
            leaves = order.verb is Verb.SHARE_NONE and stage is Stage.CANARY
            if now.share_ppm < order.share_ppm or (now.share_ppm == order.share_ppm and not leaves):
                raise
            before = now


def passed(migration: str, share_ppm: int, gates: Sequence[GateResult], *, asked: str = "") -> tuple[GateResult, ...]:
    """The gates of a move to a share, where each is open. Raises GateRefused."""
    if not gates:
        # No gate at all would let everything through. That is a mistake of the calling code.
        message = "a move forward is asked by at least one gate"
        raise ValueError(message)
    if not all(one.passed for one in gates):
        raise GateRefused(migration, share_ppm, tuple(gates), asked=asked)
    return tuple(gates)


def _present(ledger: Ledger, migration: str) -> tuple[MigrationState, Stage]:
    state = ledger.state(migration)
    try:
        return state, Stage(state.stage)
    except ValueError:
        raise UnknownStage(migration, state.stage) from None


def _done(ledger: Ledger, migration: str, order: _Order) -> Moved | None:
    """What an operation of this id did before."""
    row = ledger.operation(order.operation_id)
    if row is None:
        return None
    did = row.entry
    if (did.migration, did.verb, did.to_share_ppm) != (migration, order.verb, order.share_ppm):
        wanted = f"bring {migration!r} to {percent_text(order.share_ppm)} % by {order.verb}"
        raise OperationReused(order.operation_id, did.did, wanted)
    return Moved(row.before, row.after, dry_run=order.dry_run)


def _move(
    ledger: Ledger,
    before: MigrationState,
    stage: Stage,
    order: _Order,
    still: Callable[[tuple[int, str]], bool] | None = None,
) -> Moved:
    if order.dry_run:
        after = replace(
            before, stage=stage.value, share_ppm=order.share_ppm, revision=before.revision + 1, changed_at=order.at
        )
        return Moved(before, after, dry_run=True)
    entry = JournalEntry(
        migration=before.name,
        verb=order.verb.value,
        who=order.who,
        at=order.at,
        from_stage=before.stage,
        from_share_ppm=before.share_ppm,
        to_stage=stage.value,
        to_share_ppm=order.share_ppm,
        operation_id=order.operation_id,
        reason=order.reason,
        evidence=order.evidence,
    )
    return Moved(before, ledger.move(before, entry, still))


def _note(ledger: Ledger, migration: str, order: _Order) -> None:
    """Make a move if the migration is where it starts; another process may have made it just now, which is as well."""
    while True:
        before, stage = _present(ledger, migration)
        if (stage, order.verb) not in MOVES:
            return
        try:
            _move(ledger, before, target(stage, order.verb), order)
        except StateChanged:
            continue
        return
