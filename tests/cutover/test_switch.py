"""Moving a real ledger forward and back."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.cutover.errors import BadShare, GateRefused, IllegalMove, UnknownStage
from dualgauge.cutover.moves.stages import MOVES, Stage, Verb
from dualgauge.cutover.moves.switch import record_replay, rollback, switch
from dualgauge.cutover.values import GateResult, Readiness
from dualgauge.ledger.errors import OperationReused, StateChanged
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import PPM, NextStep, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dualgauge.ledger.values import MigrationState

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
READY = Readiness(unbuilt=(), v1_position=900, v2_position=900)
UNBUILT = Readiness(unbuilt=("v2.orders", "v2.planes"), v1_position=900, v2_position=None)
BEHIND = Readiness(unbuilt=(), v1_position=900, v2_position=850)

BUILDS = GateResult("builds", Outcome.PASS, "every view is built", "a build of every view")
DIFF = GateResult("diff:orders", Outcome.PASS, "run r7: pass", "a passing diff", run="r7")
CLOSED = GateResult(
    "diff:orders", Outcome.FAIL, "run r8: fail", "a passing diff", "run r8 failed",
    (NextStep("dualgauge diff orders", "look again"),), "r8",
)  # fmt: skip
UNSURE = GateResult(
    "diff:planes", Outcome.INCONCLUSIVE, "no evidence", "a passing diff", "there is no diff of planes",
    (NextStep("dualgauge diff planes", "look"),),
)  # fmt: skip


def opened() -> Sequence[GateResult]:
    return BUILDS, DIFF


def closed() -> Sequence[GateResult]:
    return BUILDS, CLOSED, UNSURE


def never_asked() -> Sequence[GateResult]:
    message = "a gate was asked"
    raise AssertionError(message)


put = partial(switch, migration="orders", gates=opened, who="ana", at=AT)
back = partial(rollback, migration="orders", who="ana", at=AT)
replayed = partial(record_replay, migration="orders", who="ana", at=AT)


class Contested(Ledger):
    """A ledger in which somebody else moves the migration just before the next move, once."""

    rival: JournalEntry | None = None

    def move(self, expected: MigrationState, entry: JournalEntry, still: Any = None) -> MigrationState:
        if self.rival:
            rival, self.rival = self.rival, None
            super().move(expected, rival)
        return super().move(expected, entry, still)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        yield opened
        assert opened.verify_journal() is None


@pytest.fixture
def shadow(ledger: Ledger) -> Ledger:
    replayed(ledger, ready=READY, operation_id="replay-1")
    return ledger


def by_hand(ledger: Ledger, stage: str, share_ppm: int) -> None:
    """Bring the migration to a stage that no command of this version leads to."""
    state = ledger.state("orders")
    ledger.move(
        state,
        JournalEntry(
            "orders", "test", "ana", AT, state.stage, state.share_ppm, stage, share_ppm, f"hand-{state.revision}"
        ),
    )


def test_a_share_between_is_canary_all_is_live_and_none_is_shadow(shadow: Ledger) -> None:
    shares = [1, 50_000, 60_000, PPM, 500_000, 0, PPM, 0]
    stages = []
    for number, share_ppm in enumerate(shares):
        moved = put(shadow, share_ppm=share_ppm, operation_id=f"op-{number}")
        assert moved.changed
        assert moved.after == shadow.state("orders")
        assert moved.after.share_ppm == share_ppm
        stages.append(moved.after.stage)
    assert stages == ["canary", "canary", "canary", "live", "canary", "shadow", "live", "shadow"]


def test_the_journal_says_who_moved_what_why_and_on_which_evidence(shadow: Ledger) -> None:
    put(shadow, share_ppm=50_000, operation_id="op-1", reason="first step")
    assert shadow.journal()[-1].entry == JournalEntry(
        "orders", "share_some", "ana", AT, "shadow", 0, "canary", 50_000, "op-1", "first step", ("r7",)
    )


def test_a_closed_gate_refuses_and_names_value_limit_and_what_to_run(shadow: Ledger) -> None:
    rows = shadow.journal()
    with pytest.raises(GateRefused) as caught:
        put(shadow, share_ppm=50_000, gates=closed, operation_id="op-1")
    assert str(caught.value) == (
        "5 % of the reads of 'orders' cannot go to v2. "
        "Gate diff:orders: run r8 failed (found: run r8: fail; needed: a passing diff). Closed too: diff:planes. "
        "Nothing was changed: run `dualgauge diff orders planes`, and ask again"
    )
    assert caught.value.exit_code == 3
    assert [step.command for step in caught.value.next_steps] == ["dualgauge diff orders planes"]
    assert [one["outcome"] for one in caught.value.details()["gates"]] == ["pass", "fail", "inconclusive"]
    assert (shadow.state("orders").stage, shadow.journal()) == ("shadow", rows)


def test_an_inconclusive_gate_is_as_closed_as_one_that_failed(shadow: Ledger) -> None:
    with pytest.raises(GateRefused, match="Gate diff:planes: there is no diff of planes"):
        put(shadow, share_ppm=50_000, gates=lambda: (BUILDS, UNSURE), operation_id="op-1")


def test_a_move_forward_without_any_gate_is_a_mistake_of_the_code(shadow: Ledger) -> None:
    with pytest.raises(ValueError, match="asked by at least one gate"):
        put(shadow, share_ppm=50_000, gates=tuple, operation_id="op-1")


def test_a_move_gives_the_gates_that_it_passed(shadow: Ledger) -> None:
    assert put(shadow, share_ppm=50_000, operation_id="op-1").gates == (BUILDS, DIFF)
    assert put(shadow, share_ppm=10_000, operation_id="op-2").gates == ()


@pytest.mark.parametrize("gates", [closed, never_asked])
def test_going_back_asks_no_gate(shadow: Ledger, gates: Callable[[], Sequence[GateResult]]) -> None:
    put(shadow, share_ppm=PPM, operation_id="op-1")
    assert put(shadow, share_ppm=50_000, gates=gates, operation_id="op-2").after.stage == "canary"
    assert put(shadow, share_ppm=10_000, gates=gates, operation_id="op-3").after.share_ppm == 10_000
    assert put(shadow, share_ppm=0, gates=gates, operation_id="op-4").after.stage == "shadow"
    assert [row.entry.evidence for row in shadow.journal()][-3:] == [(), (), ()]


def test_the_share_it_has_already_changes_nothing_and_leaves_no_row(shadow: Ledger) -> None:
    put(shadow, share_ppm=50_000, operation_id="op-1")
    rows = shadow.journal()
    moved = put(shadow, share_ppm=50_000, gates=never_asked, operation_id="op-2")
    assert not moved.changed
    assert moved.before == moved.after == shadow.state("orders")
    assert shadow.journal() == rows


def test_a_dry_run_says_what_would_be_and_writes_nothing(shadow: Ledger) -> None:
    before = shadow.state("orders")
    moved = put(shadow, share_ppm=50_000, operation_id="op-1", dry_run=True)
    assert moved.changed
    assert moved.dry_run
    assert shadow.state("orders") == before
    assert put(shadow, share_ppm=50_000, operation_id="op-1").after == moved.after
    assert back(shadow, operation_id="op-2", dry_run=True).after.stage == "shadow"
    assert shadow.state("orders").stage == "canary"
    with pytest.raises(GateRefused):
        put(shadow, share_ppm=60_000, gates=closed, operation_id="op-3", dry_run=True)


def test_a_migration_that_is_ready_but_not_in_shadow_is_told_what_its_stage_allows(ledger: Ledger) -> None:
    replayed(ledger, ready=None, operation_id="replay-1")
    with pytest.raises(IllegalMove, match="stage backfill does not allow share_some"):
        put(ledger, share_ppm=50_000, operation_id="op-1")
    assert ledger.state("orders").stage == "backfill"


@pytest.mark.parametrize("stage", ["complete", "cancelled"])
def test_an_end_says_that_it_is_one_whatever_v2_lacks(shadow: Ledger, stage: str) -> None:
    by_hand(shadow, stage, 0)
    with pytest.raises(IllegalMove, match=f"stage {stage} does not allow share_some"):
        put(shadow, share_ppm=50_000, gates=never_asked, operation_id="op-1")


@pytest.mark.parametrize(("stage", "share_ppm"), [("canary", 50_000), ("live", PPM), ("rampdown", PPM)])
def test_a_rollback_takes_all_reads_back_in_one_write(shadow: Ledger, stage: str, share_ppm: int) -> None:
    by_hand(shadow, stage, share_ppm)
    rows = len(shadow.journal())
    moved = back(shadow, operation_id="op-1", reason="wrong totals")
    assert (moved.after.stage, moved.after.share_ppm) == ("shadow", 0)
    assert len(shadow.journal()) == rows + 1
    entry = shadow.journal()[-1].entry
    assert (entry.verb, entry.from_stage, entry.to_stage, entry.reason) == (
        "roll_back",
        stage,
        "shadow",
        "wrong totals",
    )


@pytest.mark.parametrize("stage", ["off", "backfill", "catchup", "shadow", "cancelled"])
def test_a_rollback_without_reads_on_v2_has_nothing_to_do(ledger: Ledger, stage: str) -> None:
    if stage != "off":
        by_hand(ledger, stage, 0)
    rows = ledger.journal()
    assert not back(ledger, operation_id="op-1").changed
    assert ledger.journal() == rows


def test_a_rollback_wins_over_a_move_that_came_between_and_a_switch_gives_way(tmp_path: Path) -> None:
    with Contested.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        by_hand(ledger, "canary", 50_000)
        ledger.rival = JournalEntry("orders", "share_some", "bo", AT, "canary", 50_000, "canary", 250_000, "rival-1")
        with pytest.raises(StateChanged, match="it is now in stage canary with 25 % of reads on v2"):
            put(ledger, share_ppm=PPM, operation_id="op-1")
        ledger.rival = JournalEntry("orders", "share_all", "bo", AT, "canary", 250_000, "live", PPM, "rival-2")
        moved = back(ledger, operation_id="op-2")
        assert (moved.before.stage, moved.after.stage, moved.after.share_ppm) == ("live", "shadow", 0)
        assert [row.operation_id for row in ledger.journal()] == ["hand-0", "rival-1", "rival-2", "op-2"]


def test_two_replays_that_note_the_same_progress_leave_one_row_for_each_step(tmp_path: Path) -> None:
    with Contested.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.rival = JournalEntry("orders", "replay", "bo", AT, "off", 0, "backfill", 0, "other-replay")
        assert replayed(ledger, ready=READY, operation_id="replay-1").after.stage == "shadow"
        assert [row.entry.verb for row in ledger.journal()] == ["replay", "hydrated", "caught_up"]
        assert [row.entry.who for row in ledger.journal()] == ["bo", "ana", "ana"]


def test_a_complete_migration_cannot_be_rolled_back(shadow: Ledger) -> None:
    by_hand(shadow, "complete", PPM)
    with pytest.raises(IllegalMove, match="it is an end: nothing leaves it"):
        back(shadow, operation_id="op-1")
    assert shadow.state("orders").share_ppm == PPM


def test_a_call_repeated_with_its_operation_id_gives_the_same_answer(shadow: Ledger) -> None:
    first = put(shadow, share_ppm=50_000, operation_id="op-1")
    back(shadow, operation_id="op-2")
    rows = shadow.journal()
    again = put(shadow, share_ppm=50_000, operation_id="op-1")
    assert (again.after, again.changed, again.before.stage) == (first.after, True, "shadow")
    assert back(shadow, operation_id="op-2").after == shadow.state("orders")
    assert shadow.journal() == rows
    with pytest.raises(OperationReused) as caught:
        back(shadow, operation_id="op-1")
    assert str(caught.value) == (
        "operation 'op-1' was used before, to bring 'orders' to stage canary with 5 % by share_some, "
        "and now asks to bring 'orders' to 0 % by roll_back; nothing was written: give a new operation id"
    )


def test_a_stage_that_does_not_exist_is_traced_to_the_journal(ledger: Ledger) -> None:
    by_hand(ledger, "limbo", 0)
    with pytest.raises(UnknownStage) as caught:
        put(ledger, share_ppm=1, operation_id="op-1")
    assert str(caught.value) == (
        "the ledger has migration 'orders' in a stage 'limbo' that does not exist; "
        "it was changed by other hands: `dualgauge journal --verify` says what it should be"
    )


@pytest.mark.parametrize("share_ppm", [-1, PPM + 1, 500_000.0, 0.5, True, "10", None])
def test_what_is_no_share_is_refused_before_anything_is_written(ledger: Ledger, share_ppm: Any) -> None:
    with pytest.raises(BadShare, match="a share is 0 to 1000000 ppm, a whole number, not"):
        put(ledger, share_ppm=share_ppm, operation_id="op-1")
    assert ledger.journal() == ()


def test_a_replay_brings_a_migration_to_shadow_as_far_as_it_got(ledger: Ledger) -> None:
    steps: list[tuple[Readiness | None, str]] = [
        (None, "backfill"),
        (UNBUILT, "backfill"),
        (BEHIND, "catchup"),
        (BEHIND, "catchup"),
        (READY, "shadow"),
        (None, "shadow"),
    ]
    for number, (ready, stage) in enumerate(steps):
        assert replayed(ledger, ready=ready, operation_id=f"replay-{number}").after.stage == stage
    assert [row.entry.verb for row in ledger.journal()] == ["replay", "hydrated", "caught_up"]
    assert [row.operation_id for row in ledger.journal()] == [
        "replay-0:replay",
        "replay-2:hydrated",
        "replay-4:caught_up",
    ]


def test_a_replay_that_did_all_at_once_leaves_a_row_for_each_step(ledger: Ledger) -> None:
    moved = replayed(ledger, ready=READY, operation_id="replay-1")
    assert (moved.before.stage, moved.after.stage) == ("off", "shadow")
    assert [row.entry.verb for row in ledger.journal()] == ["replay", "hydrated", "caught_up"]


@pytest.mark.parametrize("stage", ["shadow", "canary", "live", "rampdown", "complete", "cancelled"])
def test_a_replay_in_a_later_stage_is_no_move(ledger: Ledger, stage: str) -> None:
    by_hand(ledger, stage, 0)
    assert not replayed(ledger, ready=READY, operation_id="replay-1").changed
    assert len(ledger.journal()) == 1


@settings(max_examples=15, deadline=None)
@given(asked=st.lists(st.sampled_from([-1, 0, 1, 500_000, PPM]), max_size=8))
def test_any_sequence_of_moves_keeps_stage_and_share_together(
    tmp_path_factory: pytest.TempPathFactory, asked: list[int]
) -> None:
    with Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('moves') / 'ledger.db'}") as ledger:
        replayed(ledger, ready=READY, operation_id="replay-1")
        for number, share_ppm in enumerate(asked):
            op = f"op-{number}"
            after = (
                back(ledger, operation_id=op) if share_ppm < 0 else put(ledger, share_ppm=share_ppm, operation_id=op)
            ).after
            assert after.share_ppm == max(share_ppm, 0)
            assert after.stage == {0: "shadow", PPM: "live"}.get(after.share_ppm, "canary")
        for entry in (row.entry for row in ledger.journal()):
            assert MOVES[Stage(entry.from_stage), Verb(entry.verb)] == entry.to_stage
        assert ledger.verify_journal() is None
