"""
When two values of one column are the same answer.

A rule judges twice: a diff in DuckDB (`sql`), a shadow read in Python (`holds`). Both give the same verdict
and neither knows "unknown": NULL equals NULL, NaN equals NaN, an infinity equals itself and nothing else.

Distances of whole numbers and of DECIMAL are exact, and so are limits, however many digits they have; those of DOUBLE
are taken in double precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from dualgauge_router.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class BadRule(UsageError):
    """A rule was given a limit that means nothing."""

    def __init__(self, rule: str, field: str, given: object, wanted: str) -> None:
        self.rule, self.field, self.given = rule, field, given
        super().__init__(f"{rule}: {field} must be {wanted}, got {given!r}; correct it in the comparator")


class NotANumber(UsageError):
    """A tolerant rule was asked about values that have no distance."""

    def __init__(self, rule: str, given: object) -> None:
        self.rule, self.given = rule, given
        super().__init__(f"rule {rule!r} needs numbers, got {given!r}; use Exact() for that column")


Limit = float | int | Decimal

_WIDE = Context(prec=120)
"""Python's default context keeps 28 digits; a DECIMAL(38, s) has more, and differences must be exact."""

_DECIMALS = 38
"""No DECIMAL has more digits behind the point."""

_SURE = "1e-14"
"""Where a distance in double precision is this part of its numbers away from the limit, no digits need be asked."""

_LARGE, _EIGHTH = 1e300, 0.125
_SMALL, _SCALE = 1e-280, 2.0**200
"""Numbers near the ends of DOUBLE are judged on a scale where neither distance nor product overflows or loses bits."""

_ANY_PAIR = 2
"""No two finite numbers are farther apart than twice the larger one."""

_MOST_DIGITS = 30


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
        return _near_sql(a, b, as_written(self.limit))

    def holds(self, a: object, b: object) -> bool:
        """Judge two Python values; see `Rule.holds`."""
        return _near(a, b, as_written(self.limit), self.describe())

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
        x, y = f"TRY_CAST(({a}) AS DOUBLE)", f"TRY_CAST(({b}) AS DOUBLE)"
        larger = f"greatest(abs({x}), abs({y}))"
        finite = f"{larger} < 'inf'::DOUBLE"
        if as_written(self.limit) >= _ANY_PAIR:
            return _unless_equal(a, b, f"coalesce({finite}, false)")
        scale = (
            f"(CASE WHEN {larger} > {_LARGE!r} THEN {_EIGHTH!r} WHEN {larger} < {_SMALL!r} THEN {_SCALE!r} ELSE 1 END)"
        )
        own = f"TRY(CAST((greatest(({a}), ({b})) - least(({a}), ({b}))) AS DOUBLE))"
        distance = f"(CASE WHEN {_is_double(a, b)} THEN NULL ELSE {own} * {scale} END)"
        distance = f"coalesce({distance}, abs({x} * {scale} - {y} * {scale}))"
        near = f"{finite} AND {distance} <= {_double(as_written(self.limit))} * ({larger} * {scale})"
        return _unless_equal(a, b, f"coalesce({near}, false)")

    def holds(self, a: object, b: object) -> bool:
        """Judge two Python values; see `Rule.holds`."""
        if same(a, b):
            return True
        numbers = _numbers(a, b, self.describe())
        if numbers is None:
            return False
        x, y = map(_float, numbers)
        larger = max(abs(x), abs(y))
        # A NaN is not smaller than infinity; which of the two max() gives is an accident.
        if not (math.isfinite(x) and math.isfinite(y)):
            return False
        if as_written(self.limit) >= _ANY_PAIR:
            return True
        scale = _EIGHTH if larger > _LARGE else _SCALE if larger < _SMALL else 1.0
        exact = None if any(isinstance(number, float) for number in numbers) else _float(_distance(*numbers))
        distance = abs(x * scale - y * scale) if exact is None or not math.isfinite(exact) else exact * scale
        return distance <= float(as_written(self.limit)) * (larger * scale)

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


def rule_of(said: Mapping[str, Any]) -> Rule:
    """
    The rule that `Rule.as_json` gave.

    Raises:
        KeyError, ValueError, BadRule: it is none that this version knows.
    """
    match said["rule"]:
        case "exact":
            return Exact()
        case "absolute":
            return Absolute(Decimal(said["limit"]))
        case "relative":
            return Relative(Decimal(said["limit"]))
        case "rounded":
            return Rounded(said["digits"])
    raise ValueError(said["rule"])


def same(a: object, b: object) -> bool:  # noqa: C901, PLR0911  (one row a kind of value reads best)
    """Whether two Python values are one value, as DuckDB would say once both have one type."""
    if a is None or b is None:
        return a is b
    if isinstance(a, bool) is not isinstance(b, bool):
        # To Python True is 1; to no database and no JSON.
        return False
    if isinstance(a, float | Decimal) and isinstance(b, float | Decimal):
        if _is_nan(a) or _is_nan(b):
            return _is_nan(a) and _is_nan(b)
        return a == b if type(a) is type(b) else _is_written(*((a, b) if isinstance(a, Decimal) else (b, a)))
    if isinstance(a, date) and isinstance(b, date):
        return instant(a) == instant(b)
    if isinstance(a, time) and isinstance(b, time):
        # To Python 12:00+01:00 is 11:00+00:00; to us a time of day is what it is, and its offset.
        return a.utcoffset() == b.utcoffset() and a.replace(tzinfo=None) == b.replace(tzinfo=None)
    if isinstance(a, bytes | bytearray | memoryview) and isinstance(b, bytes | bytearray | memoryview):
        return bytes(a) == bytes(b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        there = {key: key for key in b}
        return a.keys() == b.keys() and all(same(key, there[key]) and same(value, b[key]) for key, value in a.items())
    if isinstance(a, set | frozenset) and isinstance(b, set | frozenset):
        return {_in_a_set(x) for x in a} == {_in_a_set(y) for y in b}
    if is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, one.name), getattr(b, one.name)) for one in fields(a))
    return bool(a == b)


def _is_written(decimal: Decimal, number: float) -> bool:
    """Whether a DOUBLE is a decimal: the one that it is written as, or the one that its bits are."""
    if not math.isfinite(number) or not decimal.is_finite():
        return decimal.is_infinite() and float(decimal) == number
    return decimal in (as_written(number), Decimal(number))


def _in_a_set(value: object) -> tuple[bool, object]:
    return isinstance(value, bool), "nan" if isinstance(value, float | Decimal) and _is_nan(value) else value


def _is_nan(value: float | Decimal) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else math.isnan(value)


def instant(value: date) -> datetime:
    """One scale for dates and times: a date is its midnight, a time without a zone is UTC (the engine's zone)."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    offset = value.utcoffset()
    if offset is None:
        return value.replace(tzinfo=UTC)
    try:
        # To Python two times of one zone are as their clocks say, also of an hour that comes twice.
        return (value.replace(tzinfo=None) - offset).replace(tzinfo=UTC)
    except OverflowError:
        return value


def _checked(rule: str, limit: object) -> None:
    number = int | float | Decimal
    # By Decimal: a number over 2^1024 is finite, and no float.
    if isinstance(limit, bool) or not isinstance(limit, number) or not Decimal(limit).is_finite() or limit < 0:
        raise BadRule(rule, "limit", limit, "a finite number, zero or more")


def as_written(number: Limit) -> Decimal:
    """The decimal that was written: 0.1 is a tenth, and not the binary fraction beside it."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _text(limit: Limit) -> str:
    """One text for one limit, however it was written: 0.01, Decimal("0.010") and 1e-2 are one rule."""
    value = as_written(limit)
    return format(value.normalize(_WIDE) if value else Decimal(0), "f")


def _double(limit: Decimal) -> str:
    return f"'{float(limit)!r}'::DOUBLE"


def _is_double(a: str, b: str) -> str:
    return f"(typeof({a}) IN ('FLOAT', 'DOUBLE') OR typeof({b}) IN ('FLOAT', 'DOUBLE'))"


def _unless_equal(a: str, b: str, near: str) -> str:
    """Equality and NULLs first: greatest() and least() pass over NULLs and would find them near to anything."""
    return (
        f"(CASE WHEN ({a}) IS NULL OR ({b}) IS NULL THEN ({a}) IS NULL AND ({b}) IS NULL "
        f"WHEN ({a}) = ({b}) THEN true ELSE {near} END)"
    )


def _near_sql(a: str, b: str, limit: Decimal) -> str:
    """DOUBLE by double precision; everything else to the last digit, of which most need no look at the digits."""
    x, y, bound = f"TRY_CAST(({a}) AS DOUBLE)", f"TRY_CAST(({b}) AS DOUBLE)", _double(limit)
    large = f"greatest(abs({x}), abs({y})) > {_LARGE!r}"
    eighth = f"abs({x} * {_EIGHTH!r} - {y} * {_EIGHTH!r}) <= {_double(limit / 8)}"
    doubles = (
        f"isfinite({x}) AND isfinite({y}) AND (CASE WHEN {large} THEN {eighth} ELSE abs({x} - {y}) <= {bound} END)"
    )
    unsure = f"{_SURE} * (abs({x}) + abs({y}) + {bound})"
    near = (
        f"CASE WHEN {_is_double(a, b)} THEN {doubles} WHEN abs({x} - {y}) + {unsure} <= {bound} THEN true "
        f"WHEN abs({x} - {y}) - {unsure} > {bound} THEN false ELSE {_digits_sql(a, b, limit)} END"
    )
    return _unless_equal(a, b, f"({near})")


def _digits_sql(a: str, b: str, limit: Decimal) -> str:
    """The same by all digits: both numbers and the limit as whole numbers of any length, at the finer of two scales."""
    texts = [f"CAST(({one}) AS VARCHAR)" for one in (a, b)]
    scales = [f"length(split_part({text}, '.', 2))" for text in texts]
    scale = f"greatest({', '.join(scales)})"
    # BIGNUM is a whole number without an end.
    x, y = (
        f"CAST(replace({text}, '.', '') || repeat('0', {scale} - {own}) AS BIGNUM)"
        for text, own in zip(texts, scales, strict=True)
    )
    whole, _, fraction = f"{limit:f}".partition(".")
    # What is behind the last digit of the numbers makes no distance between them.
    bound = f"CAST('{whole}' || left('{fraction.ljust(_DECIMALS, '0')}', {scale}) AS BIGNUM)"
    return f"greatest({x}, {y}) - least({x}, {y}) <= {bound}"


def _near(a: object, b: object, limit: Decimal, rule: str) -> bool:
    if same(a, b):
        return True
    numbers = _numbers(a, b, rule)
    if numbers is None:
        return False
    x, y = numbers
    if isinstance(x, float) or isinstance(y, float):
        x, y = _float(x), _float(y)
        if not (math.isfinite(x) and math.isfinite(y)):
            return False
        if max(abs(x), abs(y)) > _LARGE:
            return abs(x * _EIGHTH - y * _EIGHTH) <= float(limit / 8)
        return abs(x - y) <= float(limit)
    return _distance(x, y) <= limit


def _float(number: Limit) -> float:
    """The nearest DOUBLE; an infinity where there is none."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


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
        return _float(x), _float(y)
    return x, y


def _distance(x: Limit, y: Limit) -> Limit:
    if isinstance(x, int) and isinstance(y, int):
        return abs(x - y)
    return _WIDE.abs(_WIDE.subtract(Decimal(x), Decimal(y)))
