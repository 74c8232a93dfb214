"""Kill, unkill and apply on a real ledger: what they ask, what they write, and what they never do."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.cutover.canary.check import read
from dualgauge.cutover.errors import EndedMigration, GateRefused, RolloutFrozen
from dualgauge.cutover.gates.ramp import ramp_gates, step_of
from dualgauge.cutover.moves.routing import RoutingOrder, apply, kill, unkill, widens
from dualgauge.cutover.moves.switch import rollback, switch
from dualgauge.cutover.values import GateResult
from dualgauge.ledger.errors import OperationReused, StateChanged
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.past import state_at
from dualgauge.ledger.values import MigrationState
from dualgauge.model import PPM, NextStep, Outcome, Side, sha256
from dualgauge_router.decision import Reason
from dualgauge_router.router import Router

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = (GateResult("builds", Outcome.PASS, "every view is built", "a build of every view", run="r7"),)
CLOSED = (GateResult("lag", Outcome.FAIL, "far", "near", "it lags", (NextStep("dualgauge tail", "keep up"),)),)
NUMBERS = count()


def text(more: str = "", steps: str = "[{share: 1%}, {share: 100%}]") -> str:
    return read(f"{more}\nsteps: {steps}\n", "canary.yaml").text


def order(reason: str | None = None, *, dry_run: bool = False, at: datetime = AT) -> RoutingOrder:
    return RoutingOrder("ana", at, f"op-{next(NUMBERS)}", reason, dry_run)


def never() -> Sequence[GateResult]:
    message = "a gate was asked"
    raise AssertionError(message)


def still(_: object) -> bool:
    return True


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        yield opened
        assert opened.verify_journal() is None


def bring(ledger: Ledger, stage: str, share_ppm: int, at: datetime = AT) -> MigrationState:
    state = ledger.state("orders")
    found = (state.stage, state.share_ppm)
    return ledger.move(state, JournalEntry("orders", "v", "ana", at, *found, stage, share_ppm, f"op-{next(NUMBERS)}"))


def put(ledger: Ledger, canary: str, gates: object = never, rollout: str | None = None) -> MigrationState:
    done = apply(ledger, "orders", order(), text=canary, rollout=rollout, gates=gates, still=still)  # type: ignore[arg-type]
    return done.after


def test_a_kill_asks_nothing_and_leaves_stage_and_share_as_they_are(ledger: Ledger) -> None:
    bring(ledger, "canary", 500_000)
    done = kill(ledger, "orders", order("v2 is slow"))
    assert (done.after.killed, done.after.stage, done.after.share_ppm) == (True, "canary", 500_000)
    assert done.after == ledger.state("orders")
    row = ledger.journal("orders")[-1].entry
    assert (row.verb, row.reason, row.from_share_ppm, row.to_share_ppm) == ("kill", "v2 is slow", 500_000, 500_000)
    again = kill(ledger, "orders", order())
    assert not again.changed
    assert len(ledger.journal("orders")) == 2


def test_an_unkill_that_sends_reads_to_v2_asks_the_gates(ledger: Ledger) -> None:
    bring(ledger, "canary", 10_000)
    kill(ledger, "orders", order())
    with pytest.raises(GateRefused):
        unkill(ledger, "orders", order(), gates=lambda: CLOSED, still=still)
    assert ledger.state("orders").killed
    done = unkill(ledger, "orders", order(), gates=lambda: OPEN, still=still)
    assert (done.after.killed, done.gates) == (False, OPEN)
    assert ledger.journal("orders")[-1].entry.evidence == ("r7", "was:1:")
    assert not unkill(ledger, "orders", order(), gates=never, still=still).changed


def test_an_unkill_without_reads_on_v2_asks_nothing(ledger: Ledger) -> None:
    bring(ledger, "canary", 10_000)
    kill(ledger, "orders", order())
    rollback(ledger, "orders", who="ana", at=AT, operation_id="back")
    assert ledger.state("orders").killed
    assert not unkill(ledger, "orders", order(), gates=never, still=still).after.killed


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [
        ("", "", False),
        ("", "overrides: {pin_v1: {units: [a]}}", False),
        ("overrides: {pin_v1: {units: [a]}}", "", True),
        ("", "overrides: {pin_v2: {units: [a]}}", True),
        ("overrides: {pin_v2: {units: [a, b]}}", "overrides: {pin_v2: {units: [a]}}", False),
        ("overrides: {pin_v2: {units: [a]}}", "overrides: {pin_v2: {units: [b]}}", True),
        ("", "cohorts: {c: {attr: x, in: [1]}}", False),
        ("cohorts: {c: {attr: x, in: [1]}}\noverrides: {pin_v2: {cohorts: [c]}}",
         "cohorts: {c: {attr: x, in: [true]}}\noverrides: {pin_v2: {cohorts: [c]}}", True),
        ("", "cohorts: {c: {attr: x, in: [1]}}\noverrides: {pin_v2: {cohorts: [c]}}", True),
        ("", "cohorts: {c: {attr: x, in: [1]}}\noverrides: {pin_v1: {cohorts: [c]}}", False),
        ("cohorts: {c: {attr: x, in: [1]}}\noverrides: {pin_v1: {cohorts: [c]}}",
         "cohorts: {c: {attr: x, in: [1, 2]}}\noverrides: {pin_v1: {cohorts: [c]}}", True),
        ("cohorts: {c: {attr: x, in: [1]}}\noverrides: {pin_v2: {cohorts: [c]}}",
         "cohorts: {c: {attr: x, in: [1, 2]}}\noverrides: {pin_v2: {cohorts: [c]}}", True),
    ],
)  # fmt: skip
def test_a_file_that_may_send_more_reads_to_v2_asks_the_gates(
    ledger: Ledger, before: str, after: str, *, asks: bool
) -> None:
    put(ledger, text(before))
    bring(ledger, "canary", 10_000)
    if asks:
        with pytest.raises(GateRefused):
            put(ledger, text(after), lambda: CLOSED)
        assert ledger.state("orders").canary == text(before)
    put(ledger, text(after), (lambda: OPEN) if asks else never)
    assert ledger.state("orders").canary == text(after)


def test_a_cohort_of_a_step_that_the_share_has_passed_asks_the_gates(ledger: Ledger) -> None:
    put(ledger, text())
    bring(ledger, "canary", 20_000)
    cohorts = "cohorts: {c: {attr: x, in: [1]}}"
    put(ledger, text(cohorts, "[{share: 1%}, {share: 3%, cohorts: [c]}]"))
    with pytest.raises(GateRefused):
        put(ledger, text(cohorts, "[{share: 1%, cohorts: [c]}, {share: 3%}]"), lambda: CLOSED)


def test_while_no_read_is_on_v2_a_file_asks_nothing(ledger: Ledger) -> None:
    pins = text("overrides: {pin_v2: {units: [a]}}")
    for stage in ("off", "backfill", "catchup", "shadow"):
        if stage != "off":
            bring(ledger, stage, 0)
        put(ledger, pins)
        put(ledger, text())
    kill(ledger, "orders", order())
    bring(ledger, "canary", 10_000)
    put(ledger, pins)


def test_the_rollout_is_frozen_while_v2_answers_reads(ledger: Ledger) -> None:
    assert put(ledger, text("rollout: a"), rollout="a").rollout == "a"
    bring(ledger, "canary", 10_000)
    for canary, rollout in ((text(), None), (text("rollout: a"), "a")):
        assert put(ledger, canary, rollout=rollout).rollout == "a"
    with pytest.raises(RolloutFrozen, match="is 'a', and cannot become 'b' in stage canary"):
        put(ledger, text("rollout: b"), rollout="b")
    bring(ledger, "canary", 0)
    with pytest.raises(RolloutFrozen):
        put(ledger, text("rollout: b"), rollout="b")
    bring(ledger, "shadow", 0)
    assert put(ledger, text("rollout: b"), rollout="b").rollout == "b"


def test_a_dry_run_and_the_same_file_write_nothing(ledger: Ledger) -> None:
    done = apply(
        ledger, "orders", order(dry_run=True), text=text(), rollout=None, gates=never, still=still
    )  # fmt: skip
    assert (done.changed, done.dry_run, ledger.journal("orders")) == (True, True, ())
    put(ledger, text())
    assert len(ledger.journal("orders")) == 1
    put(ledger, text())
    assert len(ledger.journal("orders")) == 1
    assert kill(ledger, "orders", order(dry_run=True)).after != ledger.state("orders")
    assert not ledger.state("orders").killed


@pytest.mark.parametrize("stage", ["complete", "cancelled"])
def test_what_has_ended_is_not_routed_otherwise(ledger: Ledger, stage: str) -> None:
    bring(ledger, stage, PPM if stage == "complete" else 0)
    for change in (
        lambda: kill(ledger, "orders", order()),
        lambda: unkill(ledger, "orders", order(), gates=never, still=still),
        lambda: put(ledger, text()),
    ):
        with pytest.raises(EndedMigration, match=f"is in stage {stage}, an end"):
            change()


def test_two_files_at_once_are_not_mixed_and_a_kill_wins_over_moves(ledger: Ledger) -> None:
    bring(ledger, "canary", 10_000)
    barrier, texts = threading.Barrier(8), [text(f"unit: u{number}") for number in range(7)]

    def change(number: int) -> str:
        barrier.wait()
        if number == 7:
            return str(kill(ledger, "orders", order()).after.killed)
        try:
            return put(ledger, texts[number], lambda: OPEN).canary
        except StateChanged:
            return ""

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(change, range(8)))
    assert found[7] == "True"
    now = ledger.state("orders")
    assert now.killed
    # Where the kill came first, no file found what it had looked at.
    assert now.canary in ([one for one in found[:7] if one] or [""])
    applied = [row for row in ledger.journal("orders") if row.entry.verb == "apply"]
    assert len(applied) == len([one for one in found[:7] if one])


def test_an_operation_that_is_repeated_is_done_once_and_another_file_is_another_operation(ledger: Ledger) -> None:
    once = order()
    state = ledger.state("orders")
    first = apply(ledger, "orders", once, text=text(), rollout=None, gates=never, still=still)
    entry = ledger.journal("orders")[-1].entry
    routed = replace(state, canary=text())
    assert ledger.move(state, entry, routed=routed) == first.after
    other = replace(entry, evidence=("canary:" + "0" * 64,))
    with pytest.raises(OperationReused):
        ledger.move(state, other, routed=routed)


def test_the_state_at_a_time_has_what_was_in_force_then(ledger: Ledger) -> None:
    def at(hours: int) -> datetime:
        return AT + timedelta(hours=hours)

    apply(ledger, "orders", order(at=at(1)), text=text("unit: a"), rollout=None, gates=never, still=still)
    bring(ledger, "canary", 10_000, at(2))
    kill(ledger, "orders", order(at=at(3)))
    apply(ledger, "orders", order(at=at(4)), text=text("unit: b"), rollout=None, gates=never, still=still)
    unkill(ledger, "orders", order(at=at(5)), gates=lambda: OPEN, still=still)
    found = [state_at(ledger, "orders", at(hours)) for hours in range(6)]
    assert [(one.stage, one.share_ppm, one.killed) for one in found] == [
        ("off", 0, False), ("off", 0, False), ("canary", 10_000, False), ("canary", 10_000, True),
        ("canary", 10_000, True), ("canary", 10_000, False),
    ]  # fmt: skip
    assert [one.canary for one in found] == ["", *[text("unit: a")] * 3, *[text("unit: b")] * 2]
    assert found[-1] == ledger.state("orders")


# The ramp's own gates.


def asked(state: MigrationState, ledger: Ledger, share_ppm: int, at: datetime) -> dict[str, Outcome]:
    return {one.name: one.outcome for one in ramp_gates(state, ledger.journal("orders"), share_ppm, at)}


def test_a_step_asks_for_its_soak_before_the_share_leaves_it_upward(ledger: Ledger) -> None:
    put(
        ledger,
        text("", "[{share: 0%, soak: 1h}, {share: 1%, soak: 2h}, {share: 10%, soak: 1h}, {share: 50%}, {share: 100%}]"),
    )
    shadow = bring(ledger, "shadow", 0)
    minute, hour = AT + timedelta(minutes=59), AT + timedelta(hours=1)
    assert asked(shadow, ledger, 10_000, minute) == {"soak:0%": Outcome.INCONCLUSIVE}
    assert asked(shadow, ledger, 10_000, hour) == {"soak:0%": Outcome.PASS}
    # What a move would pass, it never stood on.
    assert asked(shadow, ledger, 100_000, hour) == {"soak:0%": Outcome.PASS, "soak:1%": Outcome.INCONCLUSIVE}
    at_1 = bring(ledger, "canary", 10_000)
    assert asked(at_1, ledger, 50_000, hour) == {"soak:1%": Outcome.INCONCLUSIVE}
    assert asked(at_1, ledger, 100_000, AT + timedelta(hours=2)) == {"soak:1%": Outcome.PASS}
    assert asked(at_1, ledger, PPM, AT + timedelta(hours=2)) == {
        "soak:1%": Outcome.PASS,
        "soak:10%": Outcome.INCONCLUSIVE,
    }
    kill(ledger, "orders", order(at=hour))
    killed = asked(ledger.state("orders"), ledger, 100_000, AT + timedelta(hours=2))
    assert killed == {"kill": Outcome.FAIL, "soak:1%": Outcome.PASS}
    # While it was killed nobody was on v2: the clock of the soak begins anew.
    unkill(ledger, "orders", order(at=AT + timedelta(hours=2)), gates=lambda: OPEN, still=still)
    again = [asked(ledger.state("orders"), ledger, 100_000, AT + timedelta(hours=hours)) for hours in (3, 4)]
    assert again == [{"soak:1%": Outcome.INCONCLUSIVE}, {"soak:1%": Outcome.PASS}]
    at_50 = bring(ledger, "canary", 500_000)
    assert [one.name for one in ramp_gates(at_50, ledger.journal("orders"), PPM, AT, killed=False)] == []


def test_a_cohort_that_comes_later_stands_its_own_soak(ledger: Ledger) -> None:
    def cohorts(name: str) -> str:
        return text(f"cohorts: {{c: {{attr: x, in: [{name}]}}}}", "[{share: 0%, cohorts: [c], soak: 1h}, {share: 1%}]")

    put(ledger, cohorts("a"))
    state, hours = bring(ledger, "canary", 0), [AT + timedelta(hours=number) for number in range(4)]
    assert asked(state, ledger, 10_000, hours[1]) == {"soak:0%": Outcome.PASS}
    apply(
        ledger, "orders", order(at=hours[1]), text=cohorts("b"), rollout=None, gates=lambda: OPEN, still=still
    )  # fmt: skip
    state = ledger.state("orders")
    assert [asked(state, ledger, 10_000, at)["soak:0%"] for at in hours[1:3]] == [Outcome.INCONCLUSIVE, Outcome.PASS]


def test_the_step_that_a_share_stands_on_is_the_last_one_up_to_it(ledger: Ledger) -> None:
    cohorts = "cohorts: {c: {attr: x, in: [1]}}"
    put(ledger, text(cohorts, "[{share: 0%}, {share: 0%, cohorts: [c], name: c}, {share: 1%}, {share: 100%}]"))
    state = ledger.state("orders")

    def name(stage: str, share_ppm: int) -> str | None:
        step = step_of(replace(state, stage=stage, share_ppm=share_ppm))
        return step.name if step else None

    assert [name("canary", share) for share in (0, 9_999, 10_000, 999_999)] == ["c", "c", "1%", "1%"]
    assert (name("live", PPM), name("shadow", 0)) == ("100%", None)


def test_the_stage_of_cohorts_is_entered_by_gates_and_left_without(ledger: Ledger) -> None:
    bring(ledger, "shadow", 0)
    given = {"share_ppm": 0, "who": "ana", "at": AT}
    with pytest.raises(GateRefused):
        switch(ledger, "orders", cohorts=True, gates=lambda: CLOSED, operation_id="a", **given)
    done = switch(ledger, "orders", cohorts=True, gates=lambda: OPEN, operation_id="b", **given)
    assert (done.after.stage, done.after.share_ppm, done.changed) == ("canary", 0, True)
    assert not switch(ledger, "orders", cohorts=True, gates=never, operation_id="c", **given).changed
    left = switch(ledger, "orders", gates=never, operation_id="d", **given)
    assert (left.after.stage, left.changed) == ("shadow", True)
    assert not switch(ledger, "orders", gates=never, operation_id="e", **given).changed
    for number, (stage, share) in enumerate((("canary", 10_000), ("live", PPM))):
        bring(ledger, stage, share)
        down = switch(ledger, "orders", cohorts=True, gates=never, operation_id=f"f{number}", **given)
        assert (down.after.stage, down.after.share_ppm) == ("canary", 0)


def test_what_cannot_be_read_in_force_counts_as_nothing_that_is_on_v2_yet() -> None:
    state = MigrationState("orders", "canary", 10_000, canary="what a later version writes")
    assert widens(state, replace(state, canary=text()))


def test_a_smaller_share_wins_over_files_that_are_applied_meanwhile(ledger: Ledger) -> None:
    bring(ledger, "canary", 900_000)
    over = threading.Event()

    def applies() -> None:
        for number in count():
            if over.is_set():
                return
            with suppress(StateChanged):
                put(ledger, text(f"overrides: {{pin_v1: {{units: [{', '.join(map(str, range(number + 1)))}]}}}}"))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(applies)
        for share in range(899_999, 899_969, -1):
            given = {"share_ppm": share, "who": "ana", "at": AT}
            moved = switch(ledger, "orders", gates=never, operation_id=f"s{share}", **given)
            assert moved.after.share_ppm == share
        over.set()
        done.result()


# What other hands write.


@pytest.fixture
def tampered(tmp_path: Path) -> Iterator[tuple[Ledger, sqlite3.Connection]]:
    """A ledger, and other hands on its file."""
    with (
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as opened,
        closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as hand,
    ):
        yield opened, hand


def test_a_stage_by_hand_is_made_good_by_no_file_and_no_smaller_share_that_leaves_cohorts_on_v2(
    tampered: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, hand = tampered
    pins = "overrides: {pin_v2: {units: [a]}}"
    put(ledger, text(pins))
    hand.execute("UPDATE migration SET stage = 'canary', share_ppm = 500000")
    put(ledger, text(f"unit: k\n{pins}"))
    assert ledger.verify_journal() is not None
    switch(ledger, "orders", share_ppm=0, cohorts=True, gates=never, who="ana", at=AT, operation_id="down")
    assert ledger.verify_journal() is not None
    rollback(ledger, "orders", who="ana", at=AT, operation_id="back")
    assert ledger.verify_journal() is None


def test_an_earlier_file_by_hand_is_made_good_by_no_change_while_v2_answers_reads(
    tampered: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, hand = tampered
    wide = text("overrides: {pin_v2: {units: [a, b]}}")
    put(ledger, wide)
    put(ledger, text())
    bring(ledger, "canary", 10_000)
    hand.execute("UPDATE routing SET canary = ?", (sha256(wide),))
    assert "is not what the journal left" in str(ledger.verify_journal())
    put(ledger, text("unit: k\noverrides: {pin_v2: {units: [a, b]}}"))
    assert "routed otherwise than the journal left it" in str(ledger.verify_journal())
    rollback(ledger, "orders", who="ana", at=AT, operation_id="back")
    put(ledger, text())
    assert ledger.verify_journal() is None


@pytest.mark.parametrize("text_of_hand", ["{", "", b"\x00\xff", '{"cohorts":{}}'])
def test_a_text_by_hand_keeps_no_read_on_v2_and_is_mended_by_the_file(
    tampered: tuple[Ledger, sqlite3.Connection], tmp_path: Path, text_of_hand: object
) -> None:
    ledger, hand = tampered
    put(ledger, text("overrides: {pin_v1: {units: [p]}}"))
    bring(ledger, "canary", 900_000)
    with Router(f"sqlite:///{tmp_path / 'ledger.db'}", "orders", refresh=60) as router:
        hand.execute("UPDATE canary SET text = ?", (text_of_hand,))
        assert router.refresh()
        assert "is not the one that was applied" in str(router.trouble)
        # What was known of the file holds; a kill and a rollback are followed at once.
        assert router.decide("p").reason is Reason.PIN_V1
        kill(ledger, "orders", order())
        assert router.refresh()
        assert router.decide("u").reason is Reason.KILL
        rollback(ledger, "orders", who="ana", at=AT, operation_id="back")
        unkill(ledger, "orders", order(), gates=never, still=still)
        assert router.refresh()
        assert router.decide("u").reason is Reason.STAGE
        with Router(f"sqlite:///{tmp_path / 'ledger.db'}", "orders", refresh=60) as late:
            assert late.decide("p").side is Side.V1
    assert ledger.verify_journal() is not None
    put(ledger, text("overrides: {pin_v1: {units: [p]}}"))
    assert ledger.verify_journal() is None


def test_beside_a_lost_text_every_file_asks_the_gates_while_v2_answers_reads(
    tampered: tuple[Ledger, sqlite3.Connection],
) -> None:
    ledger, hand = tampered
    put(ledger, text("overrides: {pin_v1: {units: [bank]}}"))
    bring(ledger, "canary", 500_000)
    for statement in ("UPDATE canary SET text = '{}'", "DELETE FROM canary", "UPDATE routing SET canary = 'abc'"):
        hand.execute(statement)
        with pytest.raises(GateRefused):
            put(ledger, text(), lambda: CLOSED)


class Between(Ledger):
    """A ledger in which a file is applied just before the next move, once."""

    between = ""

    def move(self, expected: MigrationState, entry: JournalEntry, still: Any = None, **given: Any) -> MigrationState:
        if self.between:
            canary, self.between = self.between, ""
            put(self, canary)
        return super().move(expected, entry, still, **given)


def test_cohorts_are_taken_back_at_0_percent_whatever_comes_between(tmp_path: Path) -> None:
    with Between.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        bring(ledger, "canary", 0)
        ledger.between = text("unit: a")
        moved = switch(ledger, "orders", share_ppm=0, gates=never, who="ana", at=AT, operation_id="down")
        assert (moved.after.stage, ledger.verify_journal()) == ("shadow", None)
