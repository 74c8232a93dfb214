"""
What counted reads prove of a rate, valid at every look.

With a limit p0, n reads and k bad ones, `LR(p1) = (p1/p0)^k ((1-p1)/(1-p0))^(n-k)` says how much likelier a rate p1
made them than p0. A weighted sum of such ratios for rates below the limit is an e-process under every rate at or above
it (and the other way round): by Ville's inequality it ever reaches 1/alpha with a chance of at most alpha, however
often it is looked at. So a claim at `E >= 1/alpha` needs no fixed number of reads and no memory of earlier looks.

Source: Ville, *Étude critique de la notion de collectif* (1939); Howard, Ramdas, McAuliffe, Sekhon, *Time-uniform,
nonparametric, nonasymptotic confidence sequences* (2021).
"""

from __future__ import annotations

import math
from typing import Final

SAFE: Final = ((0.0, 0.35), (0.05, 0.25), (0.2, 0.25), (0.5, 0.15))
"""Rates below the limit, as shares of it, and their weights: what proves that the rate is under the limit."""

ALARM: Final = (1.5, 2.0, 4.0, 10.0, 50.0, 300.0)
"""Rates above the limit, as multiples of it, of equal weight: what proves that the rate is over the limit."""

MIN_BAD: Final = 2
"""Bad reads that an alarm needs at least: a single early one would be enough for the highest of the rates."""

_STEPS: Final = 200


def safe(limit: float, reads: int, bad: int) -> float:
    """
    The evidence that a rate is below a limit, as the natural logarithm of its e-value.

    Args:
        limit: the rate that is not to be reached, more than 0 and less than 1.
        reads: how many were judged.
        bad: how many of them were bad.

    Raises:
        ValueError: a limit or a count that cannot be.
    """
    _check(limit, reads, bad)
    return _mixture(limit, reads, bad, [(share * limit, weight) for share, weight in SAFE])


def alarm(limit: float, reads: int, bad: int) -> float:
    """
    The evidence that a rate is above a limit, as the natural logarithm of its e-value; none below `MIN_BAD` bad reads.

    Rates of 1 and more are left out, and the weights of the others made to sum up to 1 again.

    Raises:
        ValueError: a limit or a count that cannot be.
    """
    _check(limit, reads, bad)
    rates = [times * limit for times in ALARM if times * limit < 1]
    if bad < MIN_BAD or not rates:
        return -math.inf
    return _mixture(limit, reads, bad, [(rate, 1 / len(rates)) for rate in rates])


def proves(evidence: float, alpha: float) -> bool:
    """Whether evidence, as a logarithm, is enough for a claim that is wrong with a chance of at most `alpha`."""
    return evidence >= -math.log(alpha)


def clean_reads(limit: float, alpha: float) -> int:
    """How many reads without a bad one prove that a rate is below a limit."""
    low, high = 0, 1
    while not proves(safe(limit, high, 0), alpha):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(safe(limit, middle, 0), alpha) else (middle, high)
    return high


def upper_bound(reads: int, bad: int, alpha: float) -> float:
    """The least limit that these reads prove a rate to be below; 1 where they prove nothing."""
    _check(0.5, reads, bad)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if not 0 < middle < 1 or middle in (low, high):
            break
        low, high = (low, middle) if proves(safe(middle, reads, bad), alpha) else (middle, high)
    return high


def _mixture(limit: float, reads: int, bad: int, rates: list[tuple[float, float]]) -> float:
    """The logarithm of the weighted sum of likelihood ratios; in logarithms, since none of them fits a number else."""
    terms = [math.log(weight) + _ratio(limit, rate, reads, bad) for rate, weight in rates]
    highest = max(terms)
    if highest == -math.inf:
        return highest
    return highest + math.log(math.fsum(math.exp(term - highest) for term in terms))


def _ratio(limit: float, rate: float, reads: int, bad: int) -> float:
    of_bad = 0.0 if not bad else -math.inf if rate == 0 else bad * math.log(rate / limit)
    return of_bad + (reads - bad) * (math.log1p(-rate) - math.log1p(-limit))


def _check(limit: float, reads: int, bad: int) -> None:
    if not 0 < limit < 1:
        message = f"a limit of a rate is between 0 and 1, and not {limit!r}: where nothing may be bad, use the diff"
        raise ValueError(message)
    if not 0 <= bad <= reads:
        message = f"{bad} of {reads} reads cannot be bad"
        raise ValueError(message)
