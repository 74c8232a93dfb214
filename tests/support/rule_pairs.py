"""Makes up columns of numbers for tolerant rules, with values at the limit and one step to either side of it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dualgauge import Absolute, Relative, Rounded
from support.near_values import alike
from support.oracle import Column, Near, Table, Unclear, within
from support.table_kinds import DECIMALS, FLOAT, INTEGERS, NUMBERS, WIDE, draw, fits, single

if TYPE_CHECKING:
    from dualgauge_router.rules import Rule
    from support.oracle import Kind

# BIGNUM has no tolerant rule: what it should say of a distance is not written.
KINDS = [kind for kind in NUMBERS if kind.sql != "BIGNUM"]
LIMITS: tuple[Any, ...] = (
    0, 1, 10**17, 2**63, 10**37, 0.1, 1e17, 1e-9, Decimal("0.01"), Decimal("1234567890123456.78"), Decimal("1e-30"),
    Decimal("99999999999999999999.999999"),
)  # fmt: skip
SHARES: tuple[Any, ...] = (0, 1e-9, 0.01, 0.5, Decimal("0.25"), 1, 1.9, 2)


@dataclass(frozen=True)
class RulePair:
    rule: Rule
    near: Near
    kind: Kind
    v1: Table
    v2: Table


def make_rule_pair(seed: int) -> RulePair:
    """Two columns of one kind of number, and a rule; no two values are so near to its limit that it is unclear."""
    chance = random.Random(seed)
    kind = chance.choice(KINDS)
    rule, near = _rule(chance)
    rows = []
    for number in range(25):
        a = draw(chance, kind, nulls=0.05)
        b = chance.choice((a, draw(chance, kind, nulls=0.05), alike(chance, kind, a)))
        if chance.random() < 0.6:
            b = _at_the_limit(chance, kind, near, a, b)
        try:
            within(near, (kind, kind), a, b)
        except Unclear:
            continue
        rows.append((number, a, b))
    columns = (Column("id", INTEGERS[2]), Column("x", kind))
    v1, v2 = (Table(columns, tuple((row[0], row[at]) for row in rows)) for at in (1, 2))
    return RulePair(rule, near, kind, v1, v2)


def _rule(chance: random.Random) -> tuple[Rule, Near]:
    which = chance.choice(("absolute", "absolute", "relative", "rounded"))
    if which == "rounded":
        digits = chance.randint(-20, 20)
        return Rounded(digits), Near(Fraction(1, 2) / Fraction(10) ** digits)
    limit = chance.choice(SHARES if which == "relative" else LIMITS)
    # A float means the decimal that it is written as.
    exact = Fraction(repr(limit)) if isinstance(limit, float) else Fraction(limit)
    return (Relative(limit), Near(exact, relative=True)) if which == "relative" else (Absolute(limit), Near(exact))


def _at_the_limit(chance: random.Random, kind: Kind, near: Near, a: Any, otherwise: Any) -> Any:
    """A value as far from `a` as the rule allows, or a step nearer or further; `otherwise` where the kind has none."""
    if a is None or (isinstance(a, float) and not math.isfinite(a)):
        return otherwise
    distance = near.limit * abs(Fraction(a)) if near.relative else near.limit
    step = Fraction(1, 10**kind.scale) if kind in DECIMALS else Fraction(int(kind in INTEGERS))
    exact = Fraction(a) + chance.choice((1, -1)) * distance + chance.choice((-1, 0, 1)) * step
    try:
        made = _nearest(kind, exact)
    except OverflowError:
        return otherwise
    return made if fits(kind, made) else otherwise


def _nearest(kind: Kind, exact: Fraction) -> Any:
    if kind in INTEGERS:
        return math.floor(exact)
    if kind in DECIMALS:
        return Decimal(math.floor(exact * 10**kind.scale)).scaleb(-kind.scale, WIDE)
    return single(float(exact)) if kind is FLOAT else float(exact)
