"""
When two values of one column are the same answer.

A rule judges twice: a diff in DuckDB (`sql`), a shadow read in Python (`holds`). Both give the same verdict
and neither knows "unknown": NULL equals NULL, NaN equals NaN, an infinity equals itself and nothing else.

The one place where the two may part is a difference that lies on the limit to the sixteenth digit, of
numbers that no DOUBLE holds exactly (over 15 digits), or so large that DuckDB's own type overflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import ClassVar, Final, Protocol, runtime_checkable

from dualgauge.comparison.errors import BadRule, NotANumber

Limit = float | int | Decimal

_WIDE = Context(prec=120)
"""Python's default context keeps 28 digits; a DECIMAL(38, s) has more, and differences must be exact."""

_SHORT_DIGITS = 15
_SHORT_SCALE = 18
"""A decimal this short is the same number as DECIMAL and as DOUBLE literal, whatever engine reads it."""

_MOST_DIGITS = 30


@runtime_checkable
class Rule(Protocol):
    """What a comparator asks of a rule. Rules are frozen values."""

    numeric: ClassVar[bool]
    """True if the rule measures a distance, so that it can stand on columns of numbers only."""

    def sql(self, a: str, b: str) -> str:
        """Give a DuckDB condition over two SQL expressions; it is never NULL."""
        ...

    def holds(self, a: object, b: object) -> bool:
        """
        Judge two Python values.

        Raises:
            NotANumber: the rule is numeric and a value is neither a number nor None.
        """
        ...

    def describe(self) -> str:
        """Say the rule in words: `within 0.01`."""
        ...

    def as_json(self) -> dict[str, object]:
        """Give the rule's name and limits: what the comparator's hash is taken from."""
        ...


@dataclass(frozen=True, slots=True)
class Exact:
    """The same value. DECIMAL 1.0 equals 1.00, a date equals its midnight, text is compared byte by byte."""

    numeric: ClassVar[bool] = False

    def sql(self, a: str, b: str) -> str:
        """Give the condition; see `Rule.sql`."""
        return f"(({a}) IS NOT DISTINCT FROM ({b}))"

    def holds(self, a: object, b: object) -> bool:
        """Judge two Python values; see `Rule.holds`."""
        return same(a, b)

    def describe(self) -> str:
        """Say the rule in words."""
        return "exact"

    def as_json(self) -> dict[str, object]:
        """Give name and limit, for the comparator's hash."""
        return {"rule": "exact"}


@dataclass(frozen=True, slots=True)
class Absolute:
    """
    Numbers no further apart than `limit`, in the column's own unit: |a - b| <= limit.

    A float limit means the decimal it is written as: `0.1` is one tenth, for DECIMAL columns to the last digit.

    Raises:
        BadRule: `limit` is negative, NaN, infinite or no number.
    """

    limit: Limit
    numeric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _checked("Absolute", self.limit)

    def sql(self, a: str, b: str) -> str:
        """Give the condition; see `Rule.sql`."""
        return _near_sql(a, b, _decimal(self.limit))

    def holds(self, a: object, b: object) -> bool:
        """Judge two Python values; see `Rule.holds`."""
        return _near(a, b, _decimal(self.limit), self.describe())

    def describe(self) -> str:
        """Say the rule in words."""
        return f"within {_text(self.limit)}"

    def as_json(self) -> dict[str, object]:
        """Give name and limit, for the comparator's hash."""
        return {"rule": "absolute", "limit": _text(self.limit)}


@dataclass(frozen=True, slots=True)
class Relative:
    """
    Numbers no further apart than a share of the larger one: |a - b| <= limit * max(|a|, |b|).

    `limit` is a ratio (0.01 is one per cent). The distance is taken in the column's own type, the product as
    DOUBLE. Zero is near to nothing but zero, an infinity near to nothing but itself.

    Raises:
        BadRule: `limit` is negative, NaN, infinite or no number.
    """

    limit: Limit
    numeric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _checked("Relative", self.limit)

    def sql(self, a: str, b: str) -> str:
        """Give the condition; see `Rule.sql`."""
        x, y = f"CAST(({a}) AS DOUBLE)", f"CAST(({b}) AS DOUBLE)"
        larger = f"greatest(abs({x}), abs({y}))"
        distance = f"coalesce(TRY(CAST({_distance_sql(a, b)} AS DOUBLE)), {_distance_sql(x, y)})"
        return _unless_equal(a, b, f"{larger} < 'inf'::DOUBLE AND {distance} <= {_double(self.limit)} * {larger}")

    def holds(self, a: object, b: object) -> bool:
        """Judge two Python values; see `Rule.holds`."""
        if same(a, b):
            return True
        numbers = _numbers(a, b, self.describe())
        if numbers is None:
            return False
        x, y = numbers
        larger = max(abs(float(x)), abs(float(y)))
        return larger < math.inf and float(_distance(x, y)) <= float(_decimal(self.limit)) * larger

    def describe(self) -> str:
        """Say the rule in words."""
        return f"within {_text(self.limit)} of the larger"

    def as_json(self) -> dict[str, object]:
        """Give name and limit, for the comparator's hash."""
        return {"rule": "relative", "limit": _text(self.limit)}


@dataclass(frozen=True, slots=True)
class Rounded:
    """
    Numbers that agree to `digits` decimals: |a - b| <= half a unit of that decimal.

    Rounding both and comparing would report 0.4999999 and 0.5000001 as 0 and 1 though they are neighbours,
    so the distance is judged: with digits=2 it may be 0.005 at most. It follows that two numbers of one
    rounding interval (1.496 and 1.504 for 2 digits) are not the same where they are further apart than that.
    Negative digits count before the point: -3 is thousands.

    Raises:
        BadRule: `digits` is not a whole number from -30 to 30.
    """

    digits: int
    numeric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given: object = self.digits
        if isinstance(given, bool) or not isinstance(given, int) or abs(given) > _MOST_DIGITS:
            raise BadRule("Rounded", "digits", self.digits, f"a whole number from -{_MOST_DIGITS} to {_MOST_DIGITS}")

    def sql(self, a: str, b: str) -> str:
        """Give the condition; see `Rule.sql`."""
        return _near_sql(a, b, self._half)

    def holds(self, a: object, b: object) -> bool:
        """Judge two Python values; see `Rule.holds`."""
        return _near(a, b, self._half, self.describe())

    def describe(self) -> str:
        """Say the rule in words."""
        return f"to {self.digits} decimals"

    def as_json(self) -> dict[str, object]:
        """Give name and limit, for the comparator's hash."""
        return {"rule": "rounded", "digits": self.digits}

    @property
    def _half(self) -> Decimal:
        return Decimal((0, (5,), -self.digits - 1))


RULES: Final = (Exact, Absolute, Relative, Rounded)
"""All rules there are. A comparator takes no other: its hash, to which evidence is bound, cannot say what it does."""


def same(a: object, b: object) -> bool:  # noqa: PLR0911  (one row a kind of value reads best)
    """Whether two Python values are one value, as DuckDB would say once both have one type."""
    if a is None or b is None:
        return a is b
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, float | Decimal) and isinstance(b, float | Decimal):
        return same(float(a), float(b)) if type(a) is not type(b) else bool(a == b)
    if isinstance(a, date) and isinstance(b, date):
        return _instant(a) == _instant(b)
    if isinstance(a, bytes | bytearray | memoryview) and isinstance(b, bytes | bytearray | memoryview):
        return bytes(a) == bytes(b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    return bool(a == b)


def _instant(value: date) -> datetime:
    """One scale for dates and times: a date is its midnight, a time without a zone is UTC (the engine's zone)."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _checked(rule: str, limit: object) -> None:
    number = isinstance(limit, int | float | Decimal) and not isinstance(limit, bool)
    if not number or not math.isfinite(limit) or limit < 0:  # type: ignore[arg-type, operator]
        raise BadRule(rule, "limit", limit, "a finite number, zero or more")


def _decimal(limit: Limit) -> Decimal:
    """The decimal that was written: 0.1 is a tenth, and not the binary fraction beside it."""
    return Decimal(repr(limit)) if isinstance(limit, float) else Decimal(limit)


def _text(limit: Limit) -> str:
    """One text for one limit, however it was written: 0.01, Decimal("0.010") and 1e-2 are one rule."""
    value = _decimal(limit)
    return format(value.normalize(_WIDE) if value else Decimal(0), "f")


def _double(limit: Limit) -> str:
    return f"'{float(_decimal(limit))!r}'::DOUBLE"


def _is_short(limit: Decimal) -> bool:
    _, digits, exponent = limit.as_tuple()
    scale = -exponent if isinstance(exponent, int) else 0
    return 0 <= scale <= _SHORT_SCALE and len(digits) <= _SHORT_DIGITS


def _bound_sql(limit: Decimal) -> str:
    """
    The limit as a literal: DECIMAL where that is exact for DECIMAL, integer and DOUBLE columns alike.

    Otherwise DOUBLE: DECIMAL(p, 20) beside a DECIMAL(38, 2) would leave its integers no room.
    """
    if not _is_short(limit):
        return _double(limit)
    scale = -int(limit.as_tuple().exponent)
    return f"{limit:f}::DECIMAL({max(len(limit.as_tuple().digits), scale, 1)}, {scale})"


def _distance_sql(a: str, b: str) -> str:
    # The greater less the smaller: abs(a - b) is beyond an unsigned column, and -2^63 has no abs().
    return f"(greatest(({a}), ({b})) - least(({a}), ({b})))"


def _unless_equal(a: str, b: str, near: str) -> str:
    """Equality and NULLs first: greatest() and least() pass over NULLs and would find them near to anything."""
    return (
        f"(CASE WHEN ({a}) IS NULL OR ({b}) IS NULL THEN ({a}) IS NULL AND ({b}) IS NULL "
        f"WHEN ({a}) = ({b}) THEN true ELSE {near} END)"
    )


def _near_sql(a: str, b: str, limit: Decimal) -> str:
    # TRY: the distance of two BIGINT or DECIMAL(38, s) may not fit their type; it is then judged as DOUBLE.
    exact = f"TRY({_distance_sql(a, b)} <= {_bound_sql(limit)})"
    wide = f"{_distance_sql(f'CAST(({a}) AS DOUBLE)', f'CAST(({b}) AS DOUBLE)')} <= {_double(limit)}"
    return _unless_equal(a, b, f"coalesce({exact}, {wide})")


def _near(a: object, b: object, limit: Decimal, rule: str) -> bool:
    if same(a, b):
        return True
    numbers = _numbers(a, b, rule)
    if numbers is None:
        return False
    distance = _distance(*numbers)
    if isinstance(distance, float) or not _is_short(limit):
        return float(distance) <= float(limit)
    return distance <= limit


def _numbers(a: object, b: object, rule: str) -> tuple[Limit, Limit] | None:
    """Both as numbers of one type; None where one of them is None."""
    found: list[Limit] = []
    for value in (a, b):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise NotANumber(rule, value)
        found.append(value)
    if len(found) < 2:  # noqa: PLR2004  (a pair)
        return None
    x, y = found
    if isinstance(x, float) or isinstance(y, float):
        return float(x), float(y)
    return x, y


def _distance(x: Limit, y: Limit) -> Limit:
    if isinstance(x, float) or isinstance(y, float):
        return abs(float(x) - float(y))
    if isinstance(x, int) and isinstance(y, int):
        return abs(x - y)
    return _WIDE.abs(_WIDE.subtract(Decimal(x), Decimal(y)))
