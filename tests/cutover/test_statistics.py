"""What counted reads prove: the published vectors, exact arithmetic beside it, and the promise at every look."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.cutover.statistics import ALARM, MIN_BAD, SAFE, alarm, clean_reads, proves, safe, upper_bound

LIMITS = st.floats(1e-6, 0.6)
COUNTS = st.integers(0, 400).flatmap(lambda reads: st.tuples(st.just(reads), st.integers(0, reads)))


@pytest.mark.parametrize(
    ("limit", "reads", "bad", "value"),
    [(0.001, 3_324, 0, 19.994), (0.001, 3_325, 0, 20.013), (0.001, 10_000, 2, 43.862), (0.01, 331, 0, 20.028),
     (0.5, 5, 0, 24.112)],
)  # fmt: skip
def test_the_safe_side_is_as_published(limit: float, reads: int, bad: int, value: float) -> None:
    assert math.exp(safe(limit, reads, bad)) == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize(
    ("reads", "bad", "value", "places"), [(79, 2, 20.065, 3), (80, 2, 19.558, 3), (500, 5, 231.70, 2)]
)
def test_the_alarm_is_as_published(reads: int, bad: int, value: float, places: int) -> None:
    assert math.exp(alarm(0.001, reads, bad)) == pytest.approx(value, abs=0.6 * 10**-places)


def test_the_upper_bound_is_as_published() -> None:
    assert upper_bound(10_000, 2, 0.05) == pytest.approx(0.000900, abs=5e-7)


@pytest.mark.parametrize(("limit", "alpha", "reads"), [(0.001, 0.05, 3_325), (0.01, 0.05, 331), (0.5, 0.05, 5)])
def test_so_many_clean_reads_prove_a_limit(limit: float, alpha: float, reads: int) -> None:
    assert clean_reads(limit, alpha) == reads


@given(limit=LIMITS, alpha=st.floats(1e-6, 0.5))
def test_one_clean_read_fewer_proves_less(limit: float, alpha: float) -> None:
    reads = clean_reads(limit, alpha)
    assert proves(safe(limit, reads, 0), alpha)
    assert reads == 1 or not proves(safe(limit, reads - 1, 0), alpha)


def exactly(limit: float, reads: int, bad: int, rates: list[tuple[Fraction, Fraction]]) -> Fraction:
    p0 = Fraction(limit)
    return sum(
        (weight * (rate / p0) ** bad * ((1 - rate) / (1 - p0)) ** (reads - bad) for rate, weight in rates), Fraction(0)
    )


@given(limit=LIMITS, counts=COUNTS)
def test_both_sides_are_what_exact_arithmetic_gives(limit: float, counts: tuple[int, int]) -> None:
    reads, bad = counts
    p0 = Fraction(limit)
    below = [(Fraction(share) * p0, Fraction(weight)) for share, weight in SAFE]
    above = [Fraction(times) * p0 for times in ALARM if times * limit < 1]
    wanted = {
        safe(limit, reads, bad): exactly(limit, reads, bad, below),
        alarm(limit, reads, bad): exactly(limit, reads, bad, [(rate, Fraction(1, len(above))) for rate in above])
        if bad >= MIN_BAD
        else Fraction(0),
    }
    for found, value in wanted.items():
        if value == 0:
            assert found == -math.inf
        else:
            exact = math.log(value.numerator) - math.log(value.denominator)
            assert found == pytest.approx(exact, rel=1e-9, abs=1e-9)


@given(limit=st.floats(1e-4, 0.5), reads=st.integers(0, 10**9), bad=st.integers(0, 100))
def test_huge_counts_overflow_nothing(limit: float, reads: int, bad: int) -> None:
    reads = max(reads, bad)
    assert not math.isnan(safe(limit, reads, bad))
    assert not math.isnan(alarm(limit, reads, bad))


@given(counts=COUNTS, alpha=st.floats(0.001, 0.3))
def test_the_bound_is_the_least_limit_that_is_proved(counts: tuple[int, int], alpha: float) -> None:
    reads, bad = counts
    bound = upper_bound(reads, bad, alpha)
    assert bad / reads <= bound if reads else bound == 1
    if bound < 1:
        assert proves(safe(bound, reads, bad), alpha)
        assert not proves(safe(bound * 0.999, reads, bad), alpha)


@given(limit=LIMITS, reads=st.integers(1, 400), bad=st.integers(0, 20))
def test_a_bad_read_more_is_less_safe_and_more_alarming(limit: float, reads: int, bad: int) -> None:
    bad = min(bad, reads - 1)
    assert safe(limit, reads, bad + 1) <= safe(limit, reads, bad)
    assert alarm(limit, reads, bad + 1) >= alarm(limit, reads, bad)


@pytest.mark.parametrize(("limit", "reads", "bad"), [(0, 1, 0), (1, 1, 0), (-0.1, 1, 0), (0.1, 1, 2), (0.1, 1, -1)])
def test_what_cannot_be_is_refused(limit: float, reads: int, bad: int) -> None:
    for side in (safe, alarm):
        with pytest.raises(ValueError, match=r"a limit of a rate is between 0 and 1|reads cannot be bad"):
            side(limit, reads, bad)


@pytest.mark.parametrize(("side", "rate"), [(safe, 0.05), (alarm, 0.05)])
def test_looked_at_after_every_read_a_claim_is_wrong_no_oftener_than_promised(side: object, rate: float) -> None:
    """The rate is the limit itself: of 400 histories of 400 reads, at most one in ten may ever claim anything."""
    chance, wrong, histories = random.Random(7), 0, 400
    for _ in range(histories):
        bad = 0
        for reads in range(1, 401):
            bad += chance.random() < rate
            if proves(side(0.05, reads, bad), 0.1):  # type: ignore[operator]
                wrong += 1
                break
    # Three standard deviations above one in ten.
    assert wrong / histories <= 0.1 + 3 * (0.1 * 0.9 / histories) ** 0.5
