"""
What a diff of two tables must answer, said in plain Python: no SQL, no engine, and no code of dualgauge.

A value becomes a canonical form by its kind,
so that two values are the same exactly where their forms are equal. Tables
are judged row by row with dicts. What the documentation leaves open is not decided here: a verdict may be one of
several,
and a tolerant rule too near to its limit raises `Unclear`, which those who make up tables avoid.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

NULL = ("null",)

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


@dataclass(frozen=True)
class Kind:
    """
    What the values of a column mean.

    family: how they are read; one of `_FORMS`, or `list` (also of a fixed length), `struct`, `tuple`, `map`, `union`.
    sql: DuckDB's type, for those who make tables of it.
    parts: `(("", element),)`, the fields by name, `(("key", k), ("value", v))`, or the members by tag.
    unit: nanoseconds of one, for times that are counted.
    digits, scale, size: bounds, for those who make values.
    """

    family: str
    sql: str
    parts: tuple[tuple[str, Kind], ...] = ()
    unit: int = 1
    digits: int = 0
    scale: int = 0
    size: int = 0


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """Rows hold one value for each column, in order; None is NULL."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {column.name: at for at, column in reversed(list(enumerate(self.columns)))}

    def at(self, name: str) -> int:
        return self._places[name]

    def kind(self, name: str) -> Kind:
        return self.columns[self.at(name)].kind


# --- values -----------------------------------------------------------------------------------------------------


def _number(_: Kind, value: Any) -> Any:
    if isinstance(value, float | Decimal) and math.isnan(value):
        return "nan"
    if isinstance(value, float | Decimal) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return Fraction(value)


def _json(_: Kind, value: str) -> Any:
    return _content(json.loads(value, parse_float=Decimal, parse_int=Decimal))


def _content(value: Any) -> Any:
    """Of what a JSON text holds: names without order, numbers as exact as they are written."""
    if isinstance(value, dict):
        return ("object", frozenset((name, _content(one)) for name, one in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_content(one) for one in value))
    if isinstance(value, Decimal):
        # `normalize` would round to the context's 28 digits.
        sign, digits, exponent = value.as_tuple()
        whole = int("".join(map(str, digits)))
        while whole and whole % 10 == 0:
            whole, exponent = whole // 10, int(exponent) + 1
        return ("number", (sign, whole, exponent) if whole else (0, 0, 0))
    return (type(value).__name__, value)


def _counted(kind: Kind, value: Any) -> Any:
    """A time: an exact count of nanoseconds, or one of the two infinities (as text)."""
    return value if isinstance(value, str) else value * kind.unit


def _as_is(_: Kind, value: Any) -> Any:
    return value


_FORMS = {
    "number": _number,
    "json": _json,
    "instant": _counted,
    "zoned": _counted,
    "time": _counted,
    "text": _as_is,
    "blob": _as_is,
    "bits": _as_is,
    "bool": _as_is,
    "uuid": _as_is,
    "interval": _as_is,
    "zoned time": _as_is,
    "opaque": _as_is,
}


def form(kind: Kind, value: Any) -> Any:  # noqa: PLR0911  (one row a family reads best)
    """The canonical form of a value: hashable, and equal exactly where two values are the same."""
    if value is None:
        return NULL
    if kind.family == "list":
        element = kind.parts[0][1]
        return ("list", tuple(form(element, one) for one in value))
    if kind.family == "struct":
        return ("struct", frozenset((name, form(of, one)) for (name, of), one in zip(kind.parts, value, strict=True)))
    if kind.family == "tuple":
        return ("tuple", tuple(form(of, one) for (_, of), one in zip(kind.parts, value, strict=True)))
    if kind.family == "map":
        (_, key), (_, held) = kind.parts
        return ("map", frozenset((form(key, one), form(held, other)) for one, other in value))
    if kind.family == "union":
        tag, held = value
        return ("union", tag, form(dict(kind.parts)[tag], held))
    return (kind.family, _FORMS[kind.family](kind, value))


def comparable(a: Kind, b: Kind) -> bool:
    """Whether values of two kinds can be the same at all; else the diff fails and says so of the schema."""
    if "null" in (a.family, b.family):
        return True
    if a.family != b.family or len(a.parts) != len(b.parts):
        return False
    if a.family in {"struct", "union"}:
        one, other = dict(a.parts), dict(b.parts)
        return one.keys() == other.keys() and all(comparable(one[name], other[name]) for name in one)
    return all(comparable(one, other) for (_, one), (_, other) in zip(a.parts, b.parts, strict=True))


def may_be_told_apart(a: Kind, b: Kind) -> bool:
    """
    Whether the schema may tell two kinds apart though their values can be the same: then the diff fails, by name.

    Said is "compared in a common type without loss, else the schema says so", and DuckDB has none for every pair:
    BIGNUM has casts from some numbers alone, a UNION none from one with other members.
    """
    if a == b or "null" in (a.family, b.family):
        return False
    if "BIGNUM" in (a.sql, b.sql) or a.family == "union":
        return True
    one, other = dict(a.parts), dict(b.parts)
    return any(may_be_told_apart(one[name], other[name]) for name in one.keys() & other.keys())


# --- rules ------------------------------------------------------------------------------------------------------


class Unclear(Exception):
    """The words do not say whether these two are the same: too near to a limit that is computed in binary."""


@dataclass(frozen=True)
class Near:
    """A tolerant rule: `absolute` in the column's unit, or `relative` to the larger one."""

    limit: Fraction
    relative: bool = False


# DOUBLE has 53 bits, FLOAT 24: what lies nearer to a limit than this share of the values is not said by the words.
_BLUR = {"DOUBLE": Fraction(1, 2**46), "FLOAT": Fraction(1, 2**18)}
_SMALLEST = Fraction(1, 10**300)


def within(rule: Near, kinds: tuple[Kind, Kind], a: Any, b: Any) -> bool:
    """Whether a tolerant rule takes two values for the same."""
    one, other = form(kinds[0], a), form(kinds[1], b)
    if one == other:
        return True
    if not all(isinstance(value, tuple) and isinstance(value[-1], Fraction) for value in (one, other)):
        # NULL, NaN and the infinities are near to nothing but themselves.
        return False
    x, y = one[1], other[1]
    larger = max(abs(x), abs(y))
    allowed = rule.limit * larger if rule.relative else rule.limit
    blur = max((_BLUR.get(kind.sql, Fraction(0)) for kind in kinds), default=Fraction(0))
    if rule.relative:
        # The product is taken as DOUBLE, whatever the column is.
        blur = max(blur, _BLUR["DOUBLE"])
    unsure = blur * (larger + allowed)
    if blur and unsure and abs(abs(x - y) - allowed) <= unsure + _SMALLEST:
        raise Unclear
    return abs(x - y) <= allowed


# --- tables -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """
    What the diff must say.

    Counts are not asked for where `schema_fails`: then not all columns can be compared. Where `may_fail`,
    the schema may
    say that two types have no common one, and the diff fails by that.
    """

    verdicts: frozenset[str]
    rows: tuple[int, int]
    matched: int
    changed: int
    only_in: tuple[int, int]
    problems: tuple[tuple[int, int, int], tuple[int, int, int]]
    cells: dict[str, tuple[int, int, int]]
    found: Counter[tuple[str, frozenset[str]]]
    schema_fails: bool
    may_fail: bool


def judge(v1: Table, v2: Table, key: tuple[str, ...], rules: dict[str, Near] | None = None) -> Answer:
    """
    Say what a diff of two tables by a key must answer.

    A row whose key is NULL, or is there twice on either side, takes no part, and the diff fails.

    Raises:
        Unclear: the words leave open what is right.
    """
    rules = rules or {}
    common = [column.name for column in v1.columns if column.name in {other.name for other in v2.columns}]
    one_sided = len(common) < max(len(v1.columns), len(v2.columns))
    unlike = not all(comparable(v1.kind(name), v2.kind(name)) for name in common)
    sides = [[_read(table, row, key) for row in table.rows] for table in (v1, v2)]
    counts = [Counter(at for at, _ in side if at is not None) for side in sides]
    repeated = {at for count in counts for at, times in count.items() if times > 1}
    kept = [{at: row for at, row in side if at is not None and at not in repeated} for side in sides]
    if not all(comparable(v1.kind(name), v2.kind(name)) for name in key):
        # Keys that cannot be the same pair nothing.
        kept[1] = {("v2", at): row for at, row in kept[1].items()}
    columns = [name for name in common if name not in key]
    cells = {name: [0, 0, 0] for name in columns}
    found: Counter[tuple[str, frozenset[str]]] = Counter()
    matched = 0
    for at in kept[0].keys() & kept[1].keys():
        wrong = set()
        for name in columns:
            kinds = (v1.kind(name), v2.kind(name))
            outcome = _cell(rules.get(name), kinds, kept[0][at][v1.at(name)], kept[1][at][v2.at(name)])
            cells[name][outcome] += 1
            if outcome == DIFFERS:
                wrong.add(name)
        matched += not wrong
        if wrong:
            found["changed", frozenset(wrong)] += 1
    only = (len(kept[0].keys() - kept[1].keys()), len(kept[1].keys() - kept[0].keys()))
    for number, name in zip(only, ("only_in_v1", "only_in_v2"), strict=True):
        if number:
            found[name, frozenset()] = number
    problems = [
        (
            sum(at is None for at, _ in side),
            sum(times > 1 for times in count.values()),
            sum(times for times in count.values() if times > 1),
        )
        for side, count in zip(sides, counts, strict=True)
    ]
    compared = len(kept[0].keys() & kept[1].keys())
    verdicts = {PASS if compared else INCONCLUSIVE}
    if found or problems != [(0, 0, 0)] * 2 or (one_sided and compared):
        verdicts = {FAIL}
    elif one_sided or unlike:
        # Where no row was compared, or only NULLs in columns of unlike types, the words do not say which it is.
        verdicts |= {FAIL}
    return Answer(
        verdicts=frozenset(verdicts),
        rows=(len(v1.rows), len(v2.rows)),
        matched=matched,
        changed=compared - matched,
        only_in=only,
        problems=(problems[0], problems[1]),
        cells={name: (one, two, three) for name, (one, two, three) in cells.items()},
        found=found,
        schema_fails=one_sided or unlike,
        may_fail=any(may_be_told_apart(v1.kind(name), v2.kind(name)) for name in common),
    )


EQUAL, WITHIN, DIFFERS = range(3)


def _cell(rule: Near | None, kinds: tuple[Kind, Kind], a: Any, b: Any) -> int:
    if form(kinds[0], a) == form(kinds[1], b):
        return EQUAL
    return WITHIN if rule and within(rule, kinds, a, b) else DIFFERS


def _read(table: Table, row: tuple[Any, ...], key: tuple[str, ...]) -> tuple[Any, tuple[Any, ...]]:
    """A row with its key, which is None where a part of it is NULL."""
    at = tuple(form(table.kind(name), row[table.at(name)]) for name in key)
    return (None if NULL in at else at), row


def disagreements(answer: Answer, found: Any) -> list[str]:
    """What a `Comparison` says otherwise; nothing where it is right."""
    wrong = []
    incomparable = any(column.verdict.value == "incomparable" for column in found.schema)
    if answer.may_fail and incomparable and found.verdict.value == FAIL:
        return []
    if found.verdict.value not in answer.verdicts:
        wrong.append(f"verdict: right is {' or '.join(sorted(answer.verdicts))}, found {found.verdict.value}")
    told = answer.schema_fails or incomparable or any(column.lost for column in found.schema)
    if told and found.verdict.value != PASS:
        # What is lost in a common type, or has none, is told and fails: then counts are not of all columns.
        return wrong
    problems = {one.side: (one.null_keys, one.duplicate_keys, one.duplicate_rows) for one in found.key_problems}
    pairs: list[tuple[str, Any, Any]] = [
        ("rows", answer.rows, (found.rows_v1, found.rows_v2)),
        ("matched", answer.matched, found.matched),
        ("changed", answer.changed, found.changed),
        ("only in v1 and v2", answer.only_in, (found.only_in_v1, found.only_in_v2)),
        ("key problems", answer.problems, (problems.get("v1", (0, 0, 0)), problems.get("v2", (0, 0, 0)))),
        ("cells", answer.cells, {c.name: (c.equal, c.within_rule, c.differ) for c in found.columns}),
    ]
    if len(found.mismatches) == found.changed + found.only_in_v1 + found.only_in_v2:
        shown = Counter((one.kind.value, frozenset(one.columns)) for one in found.mismatches)
        pairs.append(("mismatches", answer.found, shown))
    wrong += [f"{name}: right is {right}, found {said}" for name, right, said in pairs if right != said]
    return wrong
