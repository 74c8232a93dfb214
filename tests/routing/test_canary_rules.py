"""Who reads which side beside the share: kills, pins and cohorts, in the one order of decisions."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.cutover.canary.check import read
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.routing import RoutingVerb, evidence_for
from dualgauge.ledger.values import MigrationState
from dualgauge.model import PPM, Side
from dualgauge_router.decision import Decision, Reason, Routing
from dualgauge_router.router import Router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

FILE = """
cohorts:
  staff: {attr: email, ends_with: "@shop.example"}
  north: {attr: region, in: [north-1, 7, true]}
  early: {attr: name, starts_with: "é"}
overrides:
  pin_v1: {units: [bank, 7, [acme, 7, null]], cohorts: [early]}
  pin_v2: {units: [acme, "07"], cohorts: [staff]}
steps:
  - {share: 0%}
  - {share: 0%, cohorts: [staff], name: staff}
  - {share: 1%, cohorts: [north]}
  - {share: 100%}
"""
TEXT = read(FILE, "canary.yaml").text
AT = datetime(2026, 3, 1, tzinfo=UTC)
STAFF, NORTH, EARLY = {"email": "ada@shop.example"}, {"region": "north-1"}, {"name": "été"}


def route(share_ppm: int = 0, stage: str = "canary", *, stale: bool = False, killed: bool = False) -> Routing:
    return Routing(MigrationState("orders", stage, share_ppm, "v2", 3, AT, killed, TEXT), stale=stale)


@pytest.mark.parametrize(
    ("unit", "attrs", "side", "reason"),
    [
        ("acme", None, Side.V2, Reason.PIN_V2), ("07", None, Side.V2, Reason.PIN_V2),
        ("bank", STAFF, Side.V1, Reason.PIN_V1), (7, STAFF, Side.V1, Reason.PIN_V1),
        ("7", None, Side.V1, Reason.PIN_V1),
        (("acme", 7, None), None, Side.V1, Reason.PIN_V1), ("acme", EARLY, Side.V1, Reason.PIN_V1),
        ("x", STAFF, Side.V2, Reason.PIN_V2), ("x", EARLY | STAFF, Side.V1, Reason.PIN_V1),
        ("x", NORTH, Side.V2, Reason.COHORT), ("x", {"region": 7}, Side.V2, Reason.COHORT),
        ("x", {"region": True}, Side.V2, Reason.COHORT), ("x", {"region": "7"}, Side.V1, Reason.HASH),
        ("x", {"region": 1}, Side.V1, Reason.HASH), ("x", {"region": ["south", "north-1"]}, Side.V2, Reason.COHORT),
        ("x", {"region": None}, Side.V1, Reason.HASH), ("x", {"email": 5}, Side.V1, Reason.HASH),
        ("x", {}, Side.V1, Reason.HASH), (None, STAFF, Side.V1, Reason.NO_UNIT),
        (1.5, STAFF, Side.V1, Reason.BAD_UNIT), ("\ud83d", STAFF, Side.V1, Reason.BAD_UNIT),
    ],
)  # fmt: skip
def test_the_first_rule_that_applies_decides(
    unit: Any, attrs: Mapping[str, object] | None, side: Side, reason: Reason
) -> None:
    assert route(10_000).decide(unit, attrs) == Decision(side, reason, 10_000, 3)


@pytest.mark.parametrize("stage", ["off", "backfill", "catchup", "shadow", "cancelled", "unheard of"])
def test_pins_and_cohorts_hold_in_no_stage_without_reads_on_v2(stage: str) -> None:
    for unit, attrs in (("acme", None), ("x", STAFF), ("x", None), (None, None)):
        assert route(0, stage).decide(unit, attrs)[:2] == (Side.V1, Reason.STAGE)


def test_a_kill_and_a_stale_state_come_before_pins_and_a_complete_migration_before_them() -> None:
    for stage in ("canary", "live", "rampdown", "shadow"):
        assert route(PPM, stage, killed=True, stale=True).decide("acme")[:2] == (Side.V1, Reason.KILL)
        assert route(PPM, stage, stale=True).decide("acme", STAFF)[:2] == (Side.V1, Reason.STALE)
    assert route(PPM, "complete", killed=True, stale=True).decide("bank")[:2] == (Side.V2, Reason.COMPLETE)


def test_a_cohort_is_on_v2_from_its_step_on() -> None:
    reasons = [route(share).decide("x", NORTH).reason for share in (0, 9_999, 10_000, 500_000)]
    assert reasons == [Reason.HASH, Reason.HASH, Reason.COHORT, Reason.COHORT]


class Hostile(dict[str, object]):
    def get(self, *_: object) -> object:
        raise RuntimeError


class Unlike:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "attrs", [Hostile(a=1), {"region": Unlike()}, {"region": [Unlike()]}, 7, "abc", [("region", 1)]]
)
def test_whatever_attributes_do_a_decision_raises_nothing(attrs: Any) -> None:
    assert route(10_000).decide("x", attrs)[0] is Side.V1


@pytest.mark.parametrize("attrs", [Hostile(a=1), 7, [("team", "staff")]])
def test_where_nobody_can_tell_what_decides_v1_is_read(attrs: Any) -> None:
    """At a share of all: whoever is pinned to v1 by what cannot be had must not be on v2."""
    assert route(PPM).decide("x", attrs) == Decision(Side.V1, Reason.BAD_UNIT, PPM, 3)


@given(unit=st.text(max_size=5), share=st.integers(0, PPM), north=st.booleans(), staff=st.booleans())
def test_decisions_are_those_of_the_plain_rules(unit: str, share: int, *, north: bool, staff: bool) -> None:
    attrs = (NORTH if north else {}) | (STAFF if staff else {})
    plain = Routing(MigrationState("orders", "canary", share, "v2", 3, AT))
    if unit in ("bank", "7", '["acme",7,null]'):
        expected = Side.V1
    elif unit in ("acme", "07") or staff or (north and share >= 10_000):
        expected = Side.V2
    else:
        expected = plain.decide(unit).side
    assert route(share).decide(unit, attrs).side is expected


def test_a_configuration_of_a_later_version_is_not_guessed_at() -> None:
    for text in ("{}", "[]", "x", '{"cohorts":{"a":{"attr":"b","near":"c"}},"overrides":{},"steps":[]}'):
        with pytest.raises((ValueError, KeyError, TypeError)):
            Routing(MigrationState("orders", "canary", 1, "v2", 3, AT, canary=text))


def test_a_decision_goes_through_a_header() -> None:
    decided = route(10_000).decide("acme")
    assert Decision.from_header(decided.header) == decided
    assert decided.header == "v2;pin_v2;10000;3"
    for text in (
        None, 5, b"v2;hash;1;1", "v2;no_unit;1;1", "v1;cohort;1;1", "v2;hash;-7;1", "v2;hash;1000001;1", "v2;hash;1;-1",
        "", "v2", "v3;hash;1;1", "v2;hash;x;1", "v2;nothing;1;1",
        "v2;hash;1;1;1", "\x00", "v2;hash;1_0;1", "v2;hash; 1 ;1", "v2;hash;\uff11;1",
    ):  # fmt: skip
        assert Decision.from_header(text) is None


# Through a ledger.


def put(url: str, share_ppm: int, stage: str = "canary", *, killed: bool = False, canary: str = TEXT) -> None:
    with Ledger.open(url) as ledger:
        state = ledger.state("orders")
        here = (state.stage, state.share_ppm)
        for number, (verb, to, evidence) in enumerate(
            ((RoutingVerb.APPLY, here, evidence_for(canary)), ("v", (stage, share_ppm), ()),
             (RoutingVerb.KILL if killed else RoutingVerb.UNKILL, (stage, share_ppm), ())),
        ):  # fmt: skip
            state = ledger.state("orders")
            entry = JournalEntry(
                "orders",
                str(verb),
                "ana",
                AT,
                state.stage,
                state.share_ppm,
                *to,
                f"{state.revision}-{number}",
                None,
                evidence,
            )
            routed = replace(state, canary=canary, killed=killed if number else state.killed)
            ledger.move(state, entry, routed=None if verb == "v" else routed)
        assert ledger.verify_journal() is None


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def test_a_router_reads_kills_and_rules_from_the_ledger(url: str) -> None:
    put(url, 10_000)
    with Router(url, "orders", refresh=60) as router:
        assert router.decide("acme").reason is Reason.PIN_V2
        assert router.read("orders", unit="x", attrs=NORTH, v1=lambda: 1, v2=lambda: 2) == 2
        put(url, 10_000, killed=True)
        assert router.refresh()
        assert router.decide("acme")[:2] == (Side.V1, Reason.KILL)
        put(url, 10_000, canary="")
        assert router.refresh()
        assert router.decide("acme", STAFF).reason is Reason.HASH
        assert router.trouble is None


def test_a_configuration_that_other_hands_changed_is_not_followed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    put(url, 10_000)
    with Router(url, "orders", refresh=60) as router:
        hand = sqlite3.connect(tmp_path / "ledger.db")
        hand.execute("UPDATE canary SET text = replace(text, 'acme', 'evil')")
        hand.commit()
        hand.close()
        assert router.refresh()
        assert "is not the one that was applied" in str(router.trouble)
        # What was known of it before holds.
        assert (router.decide("evil").reason, router.decide("acme").reason) == (Reason.HASH, Reason.PIN_V2)
    with Router(url, "orders", refresh=60) as late:
        assert late.decide("acme").reason is Reason.STALE
    with Ledger.look(url) as ledger:
        assert "is not what was applied" in str(ledger.verify_journal())


def test_a_pinned_decision_holds_for_its_unit_in_its_thread_and_task_alone(url: str) -> None:
    put(url, PPM, "live", canary="")
    with Router(url, "orders", refresh=60) as router, Router(url, "orders", refresh=60) as other:
        with router.pinned("a") as decision:
            assert decision.side is Side.V2
            put(url, 0, "canary", canary="")
            assert router.refresh()
            assert router.decide("a") == decision
            assert router.decide("b").side is Side.V1
            assert other.refresh()
            assert other.decide("a").side is Side.V1
            seen: list[Side] = []
            thread = threading.Thread(target=lambda: seen.append(router.decide("a").side))
            thread.start()
            thread.join()
            assert seen == [Side.V1]
            with router.pinned("b") as inner:
                assert (router.decide("a"), router.decide("b")) == (decision, inner)
        assert router.decide("a").side is Side.V1


def test_a_pinned_decision_holds_in_tasks_that_begin_in_the_block(url: str) -> None:
    put(url, PPM, "live", canary="")

    async def answer(side: str) -> str:
        await asyncio.sleep(0)
        return side

    async def reading(router: Router) -> str:
        return await router.aread("orders", unit="a", v1=lambda: answer("v1"), v2=lambda: answer("v2"))

    async def run(router: Router) -> tuple[str, str]:
        with router.pinned("a"):
            put(url, 0, "canary", canary="")
            assert router.refresh()
            within = await asyncio.create_task(reading(router))
        return within, await reading(router)

    with Router(url, "orders", refresh=60) as router:
        assert asyncio.run(run(router)) == ("v2", "v1")


def test_a_kill_and_a_rollback_win_over_a_pinned_decision(url: str) -> None:
    for killed, stage in ((True, "live"), (False, "shadow")):
        put(url, PPM, "live", canary="")
        with Router(url, "orders", refresh=60) as router, router.pinned("a") as decision:
            assert decision.side is Side.V2
            put(url, PPM if killed else 0, stage, killed=killed, canary="")
            assert router.refresh()
            assert router.decide("a").side is Side.V1


@pytest.mark.parametrize("begun", ["shadow", "killed", "hash"])
def test_a_block_that_begins_on_v1_stays_there_though_the_share_moves_up(url: str, begun: str) -> None:
    put(url, 0, "shadow" if begun == "shadow" else "canary", killed=begun == "killed", canary="")
    with Router(url, "orders", refresh=60) as router, router.pinned("a") as decision:
        header = decision.header
        assert decision.side is Side.V1
        put(url, PPM, "live", canary="")
        assert router.refresh()
        assert (router.decide("a").side, router.decide("b").side) == (Side.V1, Side.V2)
        with Router(url, "orders", refresh=60) as other, other.pinned("a", header=header) as followed:
            assert followed.side is Side.V1
    with Router(url, "orders", refresh=60) as router:
        assert router.decide("a").side is Side.V2


def test_a_header_is_followed_unless_this_router_knows_of_a_later_change(url: str) -> None:
    put(url, 0, "canary", canary="")
    with Router(url, "orders", refresh=60) as router:
        now = router.decide("a")
        for version, side in (
            (now.config_version + 1, Side.V2),
            (now.config_version, Side.V2),
            (now.config_version - 1, Side.V1),
        ):
            with router.pinned("a", header=f"v2;hash;1;{version}") as decision:
                assert decision.side is side
                assert router.read("orders", unit="a", v1=lambda: Side.V1, v2=lambda: Side.V2) is side
        with router.pinned("a", header="nothing that is a header") as decision:
            assert decision == now
        put(url, PPM, "live", killed=True, canary="")
        assert router.refresh()
        with router.pinned("a", header="v2;hash;1;999") as decision:
            assert decision.reason is Reason.KILL


def test_a_ledger_that_has_no_kills_yet_is_read_as_before(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    put(url, PPM, "live", canary="")
    hand = sqlite3.connect(tmp_path / "ledger.db")
    for statement in (
        "DROP TABLE routing", "DROP TABLE canary", "UPDATE dualgauge_version SET version_num = '0007'",
        "DELETE FROM readable_from WHERE revision >= '0008'",
    ):  # fmt: skip
        hand.execute(statement)
    hand.commit()
    hand.close()
    with Router(url, "orders", refresh=60) as router, Ledger.look(url) as ledger:
        assert router.decide("a").side is Side.V2
        assert ledger.state("orders").stage == "live"
    put(url, PPM, "live")
    with Ledger.look(url) as ledger:
        assert json.loads(ledger.state("orders").canary)["overrides"]["pin_v2"]["units"] == ["acme", "07"]


def test_a_pinned_decision_is_of_what_the_unit_is_hashed_as(url: str) -> None:
    put(url, PPM, "live", canary="")
    with Router(url, "orders", refresh=60) as router:
        composite: list[Any] = ["q", 1, "a"]
        with router.pinned(7) as seven, router.pinned(composite) as listed:
            put(url, 0, "canary", canary="")
            assert router.refresh()
            assert [router.decide(unit) for unit in (7, "7")] == [seven, seven]
            assert router.decide(("q", 1, "a")) == listed
            assert [router.decide(["q", one, "a"]).reason for one in (True, 1.0)] == [Reason.BAD_UNIT] * 2  # type: ignore[list-item]
            composite[2] = "b"
            assert router.decide(composite).side is Side.V1
        with router.pinned(None, header="v2;hash;1;999") as none, router.pinned(1.5, header="v2;hash;1;999") as bad:  # type: ignore[arg-type]
            assert (none.reason, bad.reason) == (Reason.NO_UNIT, Reason.BAD_UNIT)


def test_blocks_may_end_in_another_order_than_they_began_and_in_another_task(url: str) -> None:
    put(url, PPM, "live", canary="")

    def stream(router: Router, unit: str) -> Iterator[Decision]:
        with router.pinned(unit):
            while True:
                yield router.decide(unit)

    async def astream(router: Router) -> AsyncIterator[Decision]:
        with router.pinned("z"):
            while True:
                yield router.decide("z")

    async def run(router: Router) -> None:
        given = astream(router)
        await asyncio.create_task(given.__anext__())  # type: ignore[arg-type]
        await asyncio.create_task(given.aclose())  # type: ignore[attr-defined]

    with Router(url, "orders", refresh=60) as router:
        first, second = stream(router, "a"), stream(router, "b")
        assert (next(first).side, next(second).side) == (Side.V2, Side.V2)
        put(url, 0, "canary", canary="")
        assert router.refresh()
        first.close()  # type: ignore[attr-defined]
        assert (router.decide("a").side, router.decide("b").side) == (Side.V1, Side.V2)
        second.close()  # type: ignore[attr-defined]
        assert router.decide("b").side is Side.V1
        asyncio.run(run(router))
        assert router.decide("z").side is Side.V1


class Folded(str):
    __slots__ = ()

    def encode(self, *given: object) -> bytes:
        raise MemoryError

    def __eq__(self, other: object) -> bool:
        return self.lower() == str(other).lower()

    def __hash__(self) -> int:
        return 1


def test_texts_of_classes_of_their_own_are_the_texts_that_they_hold() -> None:
    assert route(10_000).decide(Folded("bank")).reason is Reason.PIN_V1
    assert route(10_000).decide(Folded("BANK")).reason is Reason.HASH
    assert route(10_000).decide("x", {"region": Folded("NORTH-1")}).reason is Reason.HASH
    assert route(10_000).decide("x", {"region": [Unlike(), "north-1"]}).reason is Reason.COHORT


def test_a_number_of_more_digits_than_python_writes_is_no_unit() -> None:
    assert route(10_000).decide(10**5000).reason is Reason.BAD_UNIT
    assert route(10_000).decide(["a", 10**5000]).reason is Reason.BAD_UNIT


def test_a_decision_for_v2_does_not_come_back_in_its_block_once_it_was_stale(tmp_path: Path) -> None:
    ledger, away = tmp_path / "ledger.db", tmp_path / "away"
    url = f"sqlite:///{ledger}"
    put(url, PPM, "live", canary="")
    with Router(url, "orders", refresh=0.1, stale_after=0.5) as router, router.pinned("x") as decision:
        assert decision.side is Side.V2
        away.mkdir()
        for file in tmp_path.glob("ledger.db*"):
            file.rename(away / file.name)
        until = time.monotonic() + 30
        while router.decide("x").reason is not Reason.STALE and time.monotonic() < until:
            time.sleep(0.01)
        assert router.decide("x").reason is Reason.STALE
        for file in away.iterdir():
            file.rename(tmp_path / file.name)
        put(url, 1, "canary", canary="")
        assert router.refresh()
        assert router.decide("x").side is Side.V1
    put(url, PPM, "live", canary="")
    # One that is kept from then on holds as ever.
    with Router(url, "orders", refresh=60) as router, router.pinned("x") as decision:
        put(url, 1, "canary", canary="")
        assert router.refresh()
        assert router.decide("x") == decision


def test_a_decision_that_a_rollback_took_back_does_not_come_back_in_its_block(url: str) -> None:
    put(url, PPM, "live", canary="")
    with Router(url, "orders", refresh=60) as router, router.pinned("x") as decision:
        assert decision.side is Side.V2
        put(url, 0, "shadow", canary="")
        assert router.refresh()
        put(url, 1, "canary", canary="")
        assert router.refresh()
        assert router.decide("x").side is Side.V1
        # A header is held against what the router knows, and not against a decision that is kept.
        with router.pinned("y"):
            put(url, 2, "canary", canary="")
            assert router.refresh()
            with router.pinned("y", header=f"v2;hash;1;{router.decide('q').config_version - 1}") as inner:
                assert inner.side is Side.V1
