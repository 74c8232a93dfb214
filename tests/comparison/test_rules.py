"""Rules judge alike in DuckDB and in Python, and say what they are."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dualgauge import Comparator, compare
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.errors import UsageError
from dualgauge.model import Outcome
from dualgauge_router.rules import Absolute, BadRule, Exact, NotANumber, Relative, Rounded, Rule, same

if TYPE_CHECKING:
    from collections.abc import Iterator

INF, NAN = math.inf, math.nan
WIDE = Context(prec=200)
QUIET = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

LIMITS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([0, 1, 0.1, 0.5, 1e-9, 1e-11, 1e-25, 1e17, Decimal("0.01"), Decimal("0.0005"), 2**40]),
    st.decimals(0, 1000, places=3),
)
RATIOS: st.SearchStrategy[Any] = st.sampled_from([0, 0.01, 1e-9, Decimal("0.25"), 1, 2])
RULES = st.one_of(
    st.just(Exact()),
    LIMITS.map(lambda limit: Absolute(limit)),  # noqa: PLW0108  (a class is not a function of one argument to mypy)
    RATIOS.map(lambda limit: Relative(limit)),  # noqa: PLW0108
    st.integers(-4, 12).map(Rounded),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


def in_sql(engine: Engine, rule: Rule, kind: str, a: object, b: object) -> object:
    pair = f"(SELECT CAST(? AS {kind}) AS a, CAST(? AS {kind}) AS b)"
    return engine.row(f"SELECT {rule.sql('a', 'b')} FROM {pair}", [a, b])[0]


@st.composite
def near_pairs(draw: st.DrawFn, values: st.SearchStrategy[Any], steps: st.SearchStrategy[Any]) -> tuple[Any, Any]:
    """Two values that are equal, apart by a step that limits are made of, or unrelated; each may be NULL."""
    a = draw(values)
    b = draw(st.one_of(st.just(a), steps.map(lambda step: a + step), values))
    pair: tuple[Any, Any] = draw(st.sampled_from([(a, b), (b, a), (a, b), (None, b), (a, None), (None, None)]))
    return pair


DOUBLES = near_pairs(
    st.one_of(
        st.floats(), st.floats(-1000, 1000).map(lambda x: round(x, 2)), st.sampled_from([0.0, -0.0, INF, -INF, NAN])
    ),
    st.sampled_from([0.1, -0.1, 0.5, 1e-9, 1.0, -1.0, 0.005, 1e-12]),
)
BIGINTS = near_pairs(
    st.one_of(st.integers(-(2**62), 2**62), st.integers(-100, 100)), st.sampled_from([1, -1, 2, 500, 2**40, -(2**40)])
)
DECIMALS = near_pairs(
    st.one_of(st.decimals(-(10**10), 10**10, places=4), st.decimals(-10, 10, places=4)),
    st.sampled_from([Decimal("0.01"), Decimal("-0.01"), Decimal("0.0005"), Decimal("0.5"), Decimal(1)]),
)


@given(pair=DOUBLES, rule=RULES)
@example(pair=(INF, -INF), rule=Relative(1))
@example(pair=(INF, 1.0), rule=Relative(2))
@example(pair=(NAN, 1.0), rule=Relative(2))
@example(pair=(NAN, NAN), rule=Absolute(0))
@example(pair=(None, 5.0), rule=Absolute(1000))
@example(pair=(0.3, 0.1 + 0.2), rule=Exact())
@QUIET
def test_a_rule_says_the_same_of_doubles_in_a_diff_and_in_a_shadow_read(engine: Engine, pair: Any, rule: Rule) -> None:
    assert in_sql(engine, rule, "DOUBLE", *pair) is rule.holds(*pair)


@given(pair=BIGINTS, rule=RULES)
@example(pair=(2**63 - 1, -(2**63)), rule=Absolute(1))
@example(pair=(-(2**63), -(2**63) + 1), rule=Relative(0.5))
@QUIET
def test_a_rule_says_the_same_of_integers_in_a_diff_and_in_a_shadow_read(engine: Engine, pair: Any, rule: Rule) -> None:
    assert in_sql(engine, rule, "BIGINT", *pair) is rule.holds(*pair)


@given(pair=DECIMALS, rule=RULES)
@example(pair=(Decimal("1.00"), Decimal("0.99")), rule=Relative(0.01))
@QUIET
def test_a_rule_says_the_same_of_decimals_in_a_diff_and_in_a_shadow_read(engine: Engine, pair: Any, rule: Rule) -> None:
    assert in_sql(engine, rule, "DECIMAL(18,4)", *pair) is rule.holds(*pair)


@pytest.mark.parametrize("kind", ["HUGEINT", "UBIGINT", "UTINYINT", "DECIMAL(38,2)", "DECIMAL(38,30)", "FLOAT"])
@pytest.mark.parametrize("rule", [Exact(), Absolute(0.5), Relative(0.1), Rounded(3)])
def test_every_numeric_type_can_be_judged_and_never_gives_null(engine: Engine, kind: str, rule: Rule) -> None:
    pairs = [(1, 1), (1, 2), (None, 2), (2, None), (None, None)]
    assert [in_sql(engine, rule, kind, *pair) for pair in pairs] == [True, False, False, False, True]


def test_the_widest_decimals_are_judged_though_their_distance_does_not_fit(engine: Engine) -> None:
    far = Decimal("9" * 38)
    low = far.copy_negate()
    for rule in (Absolute(Decimal("0.1")), Relative(Decimal("0.1")), Rounded(2)):
        assert in_sql(engine, rule, "DECIMAL(38,0)", far, low) is False
        assert rule.holds(far, low) is False


KINDS = {
    "BIGINT": (-(2**63), 2**63 - 1, 0),
    "UBIGINT": (0, 2**64 - 1, 0),
    "HUGEINT": (-(10**38), 10**38, 0),
    "UHUGEINT": (0, 2**128 - 1, 0),
    "BIGNUM": (-(10**60), 10**60, 0),
    "DECIMAL(18,2)": (-(10**18) + 1, 10**18 - 1, 2),
    "DECIMAL(38,2)": (-(10**38) + 1, 10**38 - 1, 2),
    "DECIMAL(38,37)": (-(10**38) + 1, 10**38 - 1, 37),
    "DECIMAL(38,38)": (-(10**38) + 1, 10**38 - 1, 38),
}
"""Types with the smallest and largest of their numbers in units of the last digit, and the digits behind the point."""


@given(
    kind=st.sampled_from(sorted(KINDS)), draw=st.data(), step=st.integers(-1, 1), finer=st.sampled_from([0, 0, 1, 5])
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_limit_of_any_length_is_exact_for_whole_numbers_and_decimals(
    engine: Engine, kind: str, draw: st.DataObject, step: int, finer: int
) -> None:
    """The limit lies at the distance, or one digit beside it, or behind the last digit that the column has."""
    low, high, scale = KINDS[kind]
    a, b = (draw.draw(st.one_of(st.integers(low, high), st.integers(max(low, -100), 100))) for _ in range(2))
    limit = max(0, abs(a - b) * 10**finer + step)
    values = [f"{Decimal(one).scaleb(-scale, WIDE):f}" for one in (a, b)]
    rule = Absolute(Decimal(limit).scaleb(-scale - finer, WIDE))
    within = abs(a - b) * 10**finer <= limit
    assert in_sql(engine, rule, kind, *values) is within
    assert rule.holds(*(Decimal(one) if scale else int(one) for one in values)) is within


@pytest.mark.parametrize(
    ("a", "b", "limit", "within"),
    [
        (1.7e308, -1.7e308, 1.9, False),
        (1.7e308, -1.7e308, 2, True),
        (1.7e308, -1.7e308, 2.5, True),
        (1.7e308, 0.9e308, 0.5, True),
        (1.7e308, 0.8e308, 0.5, False),
        (1.7976931348623157e308, 1.7976931348623155e308, 1e-15, True),
        (1e-323, 5e-324, 0.5, True),
        (1e-323, 5e-324, 0.4, False),
        (5e-324, 0.0, 0.9, False),
        (5e-324, 0.0, 1, True),
        (3e-308, 2e-308, 0.34, True),
        (3e-308, 2e-308, 0.33, False),
        (INF, 1.7e308, 1e300, False),
        (INF, -INF, 1e300, False),
        (NAN, 1.0, 1e300, False),
    ],
)
def test_a_share_is_right_at_the_ends_of_what_a_double_holds(
    engine: Engine, a: float, b: float, limit: float, within: bool
) -> None:
    for pair in ((a, b), (b, a)):
        assert in_sql(engine, Relative(limit), "DOUBLE", *pair) is within
        assert Relative(limit).holds(*pair) is within


@pytest.mark.parametrize(
    ("a", "b", "limit", "within"),
    [
        (1.7e308, -1.7e308, Decimal("3.3e308"), False),
        (1.7e308, -1.7e308, Decimal("3.5e308"), True),
        (1.7e308, -1.7e308, Decimal("1e400"), True),
        (INF, 0.0, Decimal("1e400"), False),
        (INF, -INF, Decimal("1e400"), False),
        (NAN, 0.0, Decimal("1e400"), False),
        (1e-323, 5e-324, Decimal("1e-400"), False),
        (1e-323, 5e-324, Decimal("5e-324"), True),
    ],
)
def test_a_distance_is_right_at_the_ends_of_what_a_double_holds(
    engine: Engine, a: float, b: float, limit: Decimal, within: bool
) -> None:
    assert in_sql(engine, Absolute(limit), "DOUBLE", a, b) is within
    assert Absolute(limit).holds(a, b) is within


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x", "x"),
        (True, True),
        (date(2013, 1, 1), datetime(2013, 1, 1)),  # noqa: DTZ001  (a value without a zone is the point)
        (datetime(2013, 1, 1, 5), datetime(2013, 1, 1, 5, tzinfo=UTC)),  # noqa: DTZ001
        (b"ab", memoryview(b"ab")),
        ([1, None, NAN], (1, None, NAN)),
        ({"a": NAN, "b": [1]}, {"b": [1.0], "a": NAN}),
        (Decimal("0.1"), 0.1),
        (Decimal("1.50"), Decimal("1.5")),
        (None, None),
    ],
)
def test_exact_takes_one_value_in_two_python_types_for_the_same(a: object, b: object) -> None:
    assert Exact().holds(a, b)
    assert Exact().holds(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x", "x "),
        ("x", "X"),
        (None, ""),
        (None, 0),
        (2**53 + 1, float(2**53)),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ({"a": None}, {}),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}),
        (True, 1),
        ([True], [1]),
        ({"a": False}, {"a": 0}),
        ('{"a": 1}', '{"a":1}'),
        (NAN, 1.0),
        (time(12, tzinfo=timezone(timedelta(hours=1))), time(11, tzinfo=UTC)),
        ([{"at": time(0, tzinfo=UTC)}], [{"at": time(1, tzinfo=timezone(timedelta(hours=1)))}]),
        ({time(12, tzinfo=timezone(timedelta(hours=1))): 1}, {time(11, tzinfo=UTC): 1}),
        (time(12), time(12, tzinfo=UTC)),
        ({True: 1}, {1: 1}),
    ],
)
def test_exact_tells_unlike_values_apart(a: object, b: object) -> None:
    assert not Exact().holds(a, b)
    assert not Exact().holds(b, a)


def test_times_with_an_offset_are_judged_by_python_as_by_a_diff(engine: Engine) -> None:
    texts = ["12:00:00+01", "11:00:00+00", "12:00:00.000001+01", "12:00:00+01:30", "10:30:00+00"]
    hours = {"+01": 60, "+00": 0, "+01:30": 90}

    def read(text: str) -> time:
        return time.fromisoformat(text[: text.index("+")]).replace(
            tzinfo=timezone(timedelta(minutes=hours[text[text.index("+") :]]))
        )

    for one in texts:
        for other in texts:
            condition = Exact().sql(f"'{one}'::TIMETZ", f"'{other}'::TIMETZ")
            assert Exact().holds(read(one), read(other)) is engine.row(f"SELECT {condition}")[0], (one, other)


def test_rounded_takes_neighbours_on_two_sides_of_a_rounding_boundary_for_the_same(engine: Engine) -> None:
    for a, b in ((0.4999999, 0.5000001), (1.4999, 1.5001)):
        assert round(a) != round(b)
        assert Rounded(0).holds(a, b)
        assert in_sql(engine, Rounded(0), "DOUBLE", a, b) is True
    assert not Rounded(2).holds(1.0, 1.0051)
    assert Rounded(-3).holds(1000, 1500)
    assert not Rounded(-3).holds(1000, 1501)


def test_a_float_limit_means_the_decimal_it_is_written_as(engine: Engine) -> None:
    for limit in (0.07, 0.1, 0.3):
        a, b = Decimal("5.00"), Decimal("5.00") + Decimal(str(limit))
        assert Absolute(limit).holds(a, b)
        assert in_sql(engine, Absolute(limit), "DECIMAL(18,2)", a, b) is True


@pytest.mark.parametrize("limit", [-1, -0.5, NAN, INF, Decimal(-1), Decimal("NaN"), "0.1", None, True])
@pytest.mark.parametrize("rule", [Absolute, Relative])
def test_a_limit_that_means_nothing_is_refused(rule: Any, limit: object) -> None:
    with pytest.raises(BadRule) as refused:
        rule(limit)
    assert str(refused.value) == (
        f"{rule.__name__}: limit must be a finite number, zero or more, got {limit!r}; correct it in the comparator"
    )
    assert isinstance(refused.value, UsageError)


@pytest.mark.parametrize("digits", [1.5, True, "2", 31, -31])
def test_digits_that_are_no_whole_number_are_refused(digits: Any) -> None:
    with pytest.raises(BadRule, match=r"^Rounded: digits must be a whole number from -30 to 30, got "):
        Rounded(digits)


@pytest.mark.parametrize("value", ["x", True, date(2013, 1, 1)])
def test_a_tolerant_rule_refuses_what_has_no_distance(value: object) -> None:
    with pytest.raises(NotANumber) as refused:
        Absolute(0.1).holds(value, 2)
    assert str(refused.value) == f"rule 'within 0.1' needs numbers, got {value!r}; use Exact() for that column"


def test_rules_describe_themselves() -> None:
    assert [rule.describe() for rule in (Exact(), Absolute(0.010), Relative(1e-9), Rounded(6))] == [
        "exact",
        "within 0.01",
        "within 0.000000001 of the larger",
        "to 6 decimals",
    ]


def test_one_limit_written_in_three_ways_is_one_rule_for_the_evidence() -> None:
    written = [Absolute(100).as_json(), Absolute(1e2).as_json(), Absolute(Decimal("100.00")).as_json()]
    assert written == [{"rule": "absolute", "limit": "100"}] * 3
    assert Absolute(0.0).as_json() == Absolute(0).as_json()
    assert Absolute(0.01).as_json() != Relative(0.01).as_json()


BESIDE = [
    (20, 0, "9007199254740993", 9007199254740992.0), (20, 0, "9007199254740992", 9007199254740992.0),
    (38, 0, str(2**70), 2.0**70), (38, 0, str(2**70 + 1), 2.0**70), (5, 2, "0.10", 0.1), (5, 2, "0.10", 0.1 + 2**-56),
    (38, 34, "0.1000000000000000055511151231257827", 0.1), (38, 38, "0." + "0" * 37 + "1", 0.0),
    (38, 38, "0." + "0" * 37 + "1", 1e-38), (18, 4, "0.0000", -0.0), (18, 4, "3.1415", 3.1415),
    (18, 4, "0.0000", 5e-324), (38, 0, "9" * 38, 1e38), (4, 1, "1.5", INF), (4, 1, "1.5", NAN),
    (17, 17, "0.12345678901234567", 0.12345678901234567),
]  # fmt: skip


@pytest.mark.parametrize(("digits", "scale", "text", "number"), BESIDE)
def test_a_decimal_beside_a_float_is_what_a_diff_takes_it_for(
    digits: int, scale: int, text: str, number: float
) -> None:
    kinds = [pa.decimal128(digits, scale), pa.float64()]
    for a, b in ((0, 1), (1, 0)):
        values = [Decimal(text), number]
        tables = [pa.table({"k": [1], "v": pa.array([values[at]], kinds[at])}) for at in (a, b)]
        found = compare(*tables, Comparator(key="k"))
        assert same(values[a], values[b]) is (found.verdict is Outcome.PASS), found.why
