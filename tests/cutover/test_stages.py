"""The table of moves, walked."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.cutover.errors import BadPercent, IllegalMove
from dualgauge.cutover.moves.percent import parse_percent, percent_text
from dualgauge.cutover.moves.stages import MOVES, Stage, Verb, allowed, stages_page, target, verb_of_share
from dualgauge.model import PPM
from dualgauge_router.decision import COMPLETE

ENDS = {Stage.COMPLETE, Stage.CANCELLED}
READS_ON_V2 = {Stage.CANARY, Stage.LIVE, Stage.RAMPDOWN}


def reachable(start: Stage) -> set[Stage]:
    seen, todo = {start}, [start]
    while todo:
        at = todo.pop()
        for to in (target(at, verb) for verb in allowed(at)):
            if to not in seen:
                seen.add(to)
                todo.append(to)
    return seen


def test_every_stage_can_be_reached_from_off() -> None:
    assert reachable(Stage.OFF) == set(Stage)


def test_complete_and_cancelled_are_the_only_ends() -> None:
    assert {stage for stage in Stage if not allowed(stage)} == ENDS


def test_every_verb_is_good_for_something() -> None:
    assert {verb for _, verb in MOVES} == set(Verb)


@pytest.mark.parametrize(("stage", "verb"), sorted(set(itertools.product(Stage, Verb)) - set(MOVES)))
def test_a_move_that_is_not_in_the_table_is_refused(stage: Stage, verb: Verb) -> None:
    with pytest.raises(IllegalMove) as caught:
        target(stage, verb)
    assert (caught.value.stage, caught.value.verb, caught.value.exit_code) == (stage, verb, 5)
    assert all(str(instead) in str(caught.value) for instead in allowed(stage))


def test_a_refused_move_names_what_the_stage_allows_instead() -> None:
    with pytest.raises(IllegalMove) as caught:
        target(Stage.CATCHUP, Verb.SHARE_SOME)
    assert str(caught.value) == (
        "stage catchup does not allow share_some (to send a part of the reads to v2); "
        "what it allows is caught_up, cancel. Nothing was changed: look at `dualgauge status`"
    )


def test_a_move_out_of_an_end_is_refused_as_one() -> None:
    with pytest.raises(IllegalMove) as caught:
        target(Stage.COMPLETE, Verb.ROLL_BACK)
    assert str(caught.value) == (
        "stage complete does not allow roll_back (to take all reads back to v1); "
        "it is an end: nothing leaves it. Nothing was changed: look at `dualgauge status`"
    )


def test_every_stage_with_reads_on_v2_before_the_end_goes_back_to_shadow_in_one_move() -> None:
    assert {stage for stage in Stage if MOVES.get((stage, Verb.ROLL_BACK)) is Stage.SHADOW} == READS_ON_V2


def test_only_complete_cannot_be_taken_back() -> None:
    final = {
        (stage, verb)
        for (stage, verb), to in MOVES.items()
        if stage in READS_ON_V2 and Stage.SHADOW not in reachable(to)
    }
    assert final == {(Stage.RAMPDOWN, Verb.COMPLETE), (Stage.CANARY, Verb.CANCEL)}


def test_a_migration_is_cancelled_from_before_live_only() -> None:
    before_live = {Stage.OFF, Stage.BACKFILL, Stage.CATCHUP, Stage.SHADOW, Stage.CANARY}
    assert {stage for stage in Stage if Verb.CANCEL in allowed(stage)} == before_live


@given(verbs=st.lists(st.sampled_from(Verb), max_size=30))
def test_no_sequence_of_verbs_leaves_the_table_or_an_end(verbs: list[Verb]) -> None:
    stage, ended = Stage.OFF, False
    for verb in verbs:
        before = stage
        try:
            stage = target(stage, verb)
        except IllegalMove:
            assert (before, verb) not in MOVES
        else:
            assert not ended
            assert MOVES[before, verb] is stage
        ended = stage in ENDS


def test_routing_knows_the_end_by_the_name_that_it_has_here() -> None:
    assert Stage.COMPLETE.value == COMPLETE


@pytest.mark.parametrize(
    ("share_ppm", "verb"),
    [(0, Verb.SHARE_NONE), (1, Verb.SHARE_SOME), (999_999, Verb.SHARE_SOME), (PPM, Verb.SHARE_ALL)],
)
def test_a_share_says_which_move_it_is(share_ppm: int, verb: Verb) -> None:
    assert verb_of_share(share_ppm) is verb


def test_the_page_of_stages_shows_every_stage_and_every_move() -> None:
    page = stages_page()
    assert "| canary | share on v2 | both | both ways |" in page
    assert "| rampdown | complete | retire v1 for good | complete |" in page
    assert page.count(" --> ") == len(MOVES) + 1 + len(ENDS)
    assert "    shadow --> canary: share_some\n" in page
    assert "    cancelled --> [*]\n```\n" in page


@pytest.mark.parametrize(
    ("text", "ppm"),
    [
        ("0", 0), ("0.0", 0), ("0.0001", 1), ("0.25", 2_500), ("5", 50_000), ("05", 50_000), ("12.3456", 123_456),
        ("99.9999", 999_999), ("100", PPM), ("100.00000", PPM), (" 7 ", 70_000), ("0.07", 700),
    ],
)  # fmt: skip
def test_a_percentage_is_read_exactly(text: str, ppm: int) -> None:
    assert parse_percent(text) == ppm


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.00001", "it has 5 decimals, and the finest share is 0.0001 (one read in a million)"),
        ("100.0001", "it is over 100"),
        ("101", "it is over 100"),
        ("9" * 5_000, "it is over 100"),
        *((text, "it is not a plain decimal number from 0 to 100") for text in
          ("", "1e1", "nan", "inf", "-1", "-0", "+5", "5%", ".5", "5.", "1_0", "0x5", "1,5", "٥", "5 5")),
    ],
)  # fmt: skip
def test_what_is_no_share_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(BadPercent) as caught:
        parse_percent(text)
    assert str(caught.value) == f"{text!r} is no percentage of reads: {reason}; write one like 5 or 0.25"
    assert caught.value.exit_code == 2


@given(share_ppm=st.integers(0, PPM))
def test_a_share_comes_back_from_its_text_as_it_was(share_ppm: int) -> None:
    assert parse_percent(percent_text(share_ppm)) == share_ppm
