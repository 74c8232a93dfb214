"""Which side a unit reads: the same on every machine, in Python and in SQL, and never back when the share grows."""

from __future__ import annotations

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.engines.duck import open_engine
from dualgauge.ledger.values import MigrationState
from dualgauge.model import PPM, Side
from dualgauge_router.decision import Decision, Reason, Routing
from dualgauge_router.hashing import SPACE, BadUnit, bucket, place, prefix, salt, threshold, unit_text

SALT = "orders_view:v2"
UNITS = st.text(st.characters(codec="utf-8"), max_size=20)
SHARES = st.integers(0, PPM)


def route(share_ppm: int, stage: str = "canary", rollout: str = "v2", *, stale: bool = False) -> Routing:
    return Routing(MigrationState("orders_view", stage, share_ppm, rollout, revision=3), stale=stale)


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


class Tenant(int, Enum):
    ACME = 7


class Padded(int):
    def __str__(self) -> str:
        return f"{int(self):05}"

    __repr__ = __str__


@pytest.mark.parametrize("unit", [Tenant.ACME, Padded(7)])
def test_a_whole_number_of_a_class_of_its_own_is_its_digits(unit: int) -> None:
    assert (unit_text(unit), unit_text([unit])) == ("7", "[7]")
    assert route(500_000).decide(unit) == route(500_000).decide("7")


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
def test_a_unit_without_one_text_reads_v1_and_is_named_where_it_is_asked_for(unit: object, reason: str) -> None:
    decided = route(PPM).decide(unit)  # type: ignore[arg-type]
    assert decided == Decision(Side.V1, Reason.BAD_UNIT, PPM, 3)
    with pytest.raises(BadUnit) as caught:
        unit_text(unit)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"the unit {unit!r} {reason}; give a text, a whole number, or a list of these (None for a read without a unit)"
    )


def test_a_unit_without_utf8_form_reads_v1_also_at_100_percent() -> None:
    assert route(PPM).decide("\ud83d")[:2] == (Side.V1, Reason.BAD_UNIT)
    with pytest.raises(BadUnit, match="has no UTF-8 form"):
        place(prefix(SALT), "\ud83d")


def test_whatever_a_unit_does_a_decision_raises_nothing() -> None:
    deep: list[object] = []
    deep.append(deep)
    for unit in (deep, object(), [object()], 2**70_000, {"a"}, float("nan")):
        assert route(PPM).decide(unit)[:2] == (Side.V1, Reason.BAD_UNIT)  # type: ignore[arg-type]


@given(unit=UNITS, shares=st.tuples(SHARES, SHARES))
def test_a_unit_on_v2_stays_there_when_the_share_grows(unit: str, shares: tuple[int, int]) -> None:
    low, high = sorted(shares)
    if route(low).decide(unit).side is Side.V2:
        assert route(high).decide(unit).side is Side.V2


@given(unit=UNITS)
def test_no_unit_is_on_v2_at_0_and_every_unit_is_at_100_percent(unit: str) -> None:
    assert route(0).decide(unit).side is Side.V1
    assert route(PPM).decide(unit).side is Side.V2


@pytest.mark.parametrize("share_ppm", [1_000, 10_000, 50_000, 250_000, 500_000, 990_000])
def test_the_share_of_100_000_units_is_the_share_asked_for(share_ppm: int) -> None:
    count, share, routing = 100_000, share_ppm / PPM, route(share_ppm)
    taken = sum(routing.decide(f"user-{number:08}").side is Side.V2 for number in range(count))
    # Five standard deviations of a binomial count; the units are fixed, so this passes always or never.
    assert abs(taken - count * share) <= 5 * (count * share * (1 - share)) ** 0.5


@given(unit=UNITS, share_ppm=SHARES)
def test_the_decision_is_that_of_the_place_and_the_threshold(unit: str, share_ppm: int) -> None:
    on_v2 = place(prefix(SALT), unit) < threshold(share_ppm)
    assert route(share_ppm).decide(unit) == Decision(Side.V2 if on_v2 else Side.V1, Reason.HASH, share_ppm, 3)


@pytest.mark.parametrize("rest", [b"", b"\x00" * 24, b"\xff" * 24])
@pytest.mark.parametrize(("past", "side"), [(-1, Side.V2), (0, Side.V1), (1, Side.V1)])
def test_a_unit_exactly_at_the_threshold_is_not_on_v2(
    rest: bytes, past: int, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the rest of the digest is, which does not count."""
    digest = (threshold(250_000) + past).to_bytes(8) + rest

    class Made:
        def digest(self) -> bytes:
            return digest

    monkeypatch.setattr("dualgauge_router.decision._sha256", lambda _: Made())
    assert route(250_000).decide("u").side is side


def test_another_rollout_draws_other_units() -> None:
    units = [f"user-{number}" for number in range(10_000)]
    drawn = [
        {unit for unit in units if route(100_000, rollout=name).decide(unit).side is Side.V2} for name in ("v2", "v3")
    ]
    assert 50 < len(drawn[0] & drawn[1]) < 150  # independent draws of 10 % share 1 %


def test_a_decision_says_the_side_the_reason_the_share_and_by_which_configuration() -> None:
    at = bucket(MigrationState("orders_view"), "user-00000001")
    assert at == 0x6792C8BFD58C45F9 / SPACE
    assert round(at, 3) == 0.405
    assert route(500_000).decide("user-00000001") == Decision(Side.V2, Reason.HASH, 500_000, 3)
    assert route(400_000).decide("user-00000001") == Decision(Side.V1, Reason.HASH, 400_000, 3)


def test_decisions_that_are_alike_are_one_object() -> None:
    routing = route(500_000)
    assert len({id(routing.decide(f"u{at}")) for at in range(200)}) == 2


def test_a_read_without_a_unit_reads_v1_also_when_all_reads_are_on_v2() -> None:
    assert route(PPM, "live").decide(None) == Decision(Side.V1, Reason.NO_UNIT, PPM, 3)


def test_a_stale_state_reads_v1() -> None:
    assert route(PPM, "live", stale=True).decide("u") == Decision(Side.V1, Reason.STALE, PPM, 3)


@pytest.mark.parametrize(("unit", "stale"), [("u", True), (None, False), (None, True), ("u", False), (1.5, False)])
def test_a_complete_migration_reads_v2_whatever_else_holds_since_v1_is_retired(
    unit: str | float | None, stale: bool
) -> None:
    decided = route(PPM, "complete", stale=stale).decide(unit)  # type: ignore[arg-type]
    assert decided == Decision(Side.V2, Reason.COMPLETE, PPM, 3)


def test_a_million_units_are_on_the_side_that_plain_sql_says() -> None:
    """Of every hundredth one in Python; DuckDB counts them all."""
    share_ppm = 99_752
    sql = (
        "SELECT count(*) FILTER (v2), count(*) FILTER (v2 AND i % 100 = 0) FROM (SELECT i, "
        f"('0x' || substr(sha256('{SALT}' || chr(0) || 'user-' || i), 1, 16))::UBIGINT < {threshold(share_ppm)} AS v2 "
        "FROM range(1000000) AS t(i))"
    )
    with open_engine() as engine:
        every, hundredth = engine.row(sql)
    routing = route(share_ppm)
    assert sum(routing.decide(f"user-{i}").side is Side.V2 for i in range(0, 1_000_000, 100)) == hundredth
    assert abs(every - 99_752) < 5 * 300
