"""Which side a unit reads: the same on every machine, in Python and in SQL, and never back when the share grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.ledger.values import MigrationState
from dualgauge.model import PPM, Side
from dualgauge.routing.decision import Decision, Reason, Route, decide
from dualgauge.routing.errors import BadUnit
from dualgauge.routing.hashing import SPACE, place, prefix, salt, threshold, unit_text

SALT = "orders_view:v2"
UNITS = st.text(st.characters(codec="utf-8"), max_size=20)
SHARES = st.integers(0, PPM)


def route(share_ppm: int, stage: str = "canary", rollout: str = "v2") -> Route:
    return Route.of(MigrationState("orders_view", stage, share_ppm, rollout))


@pytest.mark.parametrize(
    ("unit", "h"), [("0", 0x9D67B76997360053), ("user-00000001", 0x6792C8BFD58C45F9), ("😀", 0x09CE13F7D030112F)]
)
def test_a_unit_stands_where_the_published_vectors_say(unit: str, h: int) -> None:
    assert place(prefix(SALT), unit) == h


def test_the_salt_is_the_migration_and_its_rollout() -> None:
    assert salt("orders_view", "v2") == SALT


@pytest.mark.parametrize(
    ("share_ppm", "first_not_on_v2"),
    [(0, 0), (1, 18446744073709), (500_000, 2**63), (999_999, 18446725626965477906), (1_000_000, 2**64)],
)
def test_the_threshold_is_the_share_of_all_places_rounded_down(share_ppm: int, first_not_on_v2: int) -> None:
    assert threshold(share_ppm) == first_not_on_v2


@pytest.mark.parametrize(
    ("unit", "text"),
    [("a", "a"), (42, "42"), (-1, "-1"), (("é", 7, None), '["é",7,null]'), (["a", 'b"'], '["a","b\\""]'), ((), "[]")],
)
def test_a_composite_unit_is_its_canonical_json_array(unit: str | int | list[str | int | None], text: str) -> None:
    assert unit_text(unit) == text


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (1.5, "is of type float"),
        (True, "is of type bool"),
        (b"x", "is of type bytes"),
        (("a", 1.5), "has a part of type float"),
        (("a", False), "has a part of type bool"),
        ({"a": 1}, "is of type dict"),
    ],
)
def test_a_unit_without_one_text_is_refused(unit: object, reason: str) -> None:
    with pytest.raises(BadUnit) as caught:
        decide(unit, route(PPM))  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"the unit {unit!r} {reason}; give a text, a whole number, or a list of these (None for a read without a unit)"
    )


def test_a_unit_without_utf8_form_is_refused() -> None:
    with pytest.raises(BadUnit, match="has no UTF-8 form"):
        decide("\ud83d", route(1))


@given(unit=UNITS, shares=st.tuples(SHARES, SHARES))
def test_a_unit_on_v2_stays_there_when_the_share_grows(unit: str, shares: tuple[int, int]) -> None:
    low, high = sorted(shares)
    if decide(unit, route(low)).side is Side.V2:
        assert decide(unit, route(high)).side is Side.V2


@given(unit=UNITS)
def test_no_unit_is_on_v2_at_0_and_every_unit_is_at_100_percent(unit: str) -> None:
    assert decide(unit, route(0)).side is Side.V1
    assert decide(unit, route(PPM)).side is Side.V2


@pytest.mark.parametrize("share_ppm", [1_000, 10_000, 50_000, 250_000, 500_000, 990_000])
def test_the_share_of_100_000_units_is_the_share_asked_for(share_ppm: int) -> None:
    count, share = 100_000, share_ppm / PPM
    taken = sum(decide(f"user-{number:08}", route(share_ppm)).side is Side.V2 for number in range(count))
    # Five standard deviations of a binomial count; the units are fixed, so this passes always or never.
    assert abs(taken - count * share) <= 5 * (count * share * (1 - share)) ** 0.5


def test_a_unit_exactly_at_the_threshold_is_not_on_v2() -> None:
    at = place(prefix(SALT), "u")
    edges = [Route(share_ppm=1, complete=False, prefix=prefix(SALT), threshold=edge) for edge in (at, at + 1)]
    assert [decide("u", edge).side for edge in edges] == [Side.V1, Side.V2]


def test_another_rollout_draws_other_units() -> None:
    units = [f"user-{number}" for number in range(10_000)]
    drawn = [
        {unit for unit in units if decide(unit, route(100_000, rollout=name)).side is Side.V2} for name in ("v2", "v3")
    ]
    assert 50 < len(drawn[0] & drawn[1]) < 150  # independent draws of 10 % share 1 %


def test_a_decision_says_the_side_the_reason_and_where_the_unit_stands() -> None:
    bucket = 0x6792C8BFD58C45F9 / SPACE
    assert decide("user-00000001", route(500_000)) == Decision(Side.V2, Reason.HASH, "user-00000001", 500_000, bucket)
    assert decide("user-00000001", route(400_000)) == Decision(Side.V1, Reason.HASH, "user-00000001", 400_000, bucket)
    assert round(bucket, 3) == 0.405


def test_a_read_without_a_unit_reads_v1_also_when_all_reads_are_on_v2() -> None:
    assert decide(None, route(PPM, "live")) == Decision(Side.V1, Reason.NO_UNIT, None, PPM, None)


def test_a_stale_state_reads_v1() -> None:
    assert decide("u", route(PPM, "live"), stale=True) == Decision(Side.V1, Reason.STALE, "u", PPM, None)


@pytest.mark.parametrize(("unit", "stale"), [("u", True), (None, False), (None, True), ("u", False)])
def test_a_complete_migration_reads_v2_whatever_else_holds_since_v1_is_retired(unit: str | None, stale: bool) -> None:
    assert decide(unit, route(PPM, "complete"), stale=stale) == Decision(Side.V2, Reason.COMPLETE, unit, PPM, None)
