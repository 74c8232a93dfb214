"""
The columns of both sides, and the one type that each pair is cast to.

Seen: DuckDB's hash differs for equal values of unlike DECIMAL scale, of DATE and TIMESTAMP, of FLOAT and
DOUBLE. So both sides are cast to one type before anything is hashed, joined or judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.content.comparator import CONTEXT, Comparator
from dualgauge.comparison.errors import BadRelation, MissingKey, NoColumnToCompare, NotNumeric
from dualgauge.comparison.values import SchemaColumn, SchemaVerdict
from dualgauge.engines.errors import EngineError
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.comparison.content.rules import Rule
    from dualgauge.engines.duck import Engine

_NULL: Final = '"NULL"'
_SIGNED: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED: Final = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
INTEGERS: Final = frozenset((*_SIGNED, *_UNSIGNED, "BIGNUM"))
FLOATS: Final = frozenset(("FLOAT", "DOUBLE"))
_DIGITS: Final = (3, 5, 10, 20, 39)
_TIMES: Final = ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_TEXTS: Final = frozenset(("VARCHAR", "JSON", "UUID"))
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_WIDEST: Final = 38
_EXACT_AS_DOUBLE: Final = 15
_BEYOND_DOUBLE: Final = frozenset(("BIGINT", "HUGEINT", "UBIGINT", "UHUGEINT", "BIGNUM"))


@dataclass(frozen=True, slots=True)
class CommonType:
    """A type that both sides can be cast to; `risky` if some value might not survive the cast."""

    name: str
    risky: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is on both sides: its spelling on each, the common type, and the rule that judges it."""

    name: str
    v2_name: str
    v1_type: str
    v2_type: str
    common: CommonType
    rule: Rule

    @property
    def numeric(self) -> bool:
        """Whether the common type has a distance that counts in numbers."""
        return is_numeric(self.common.name)


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Both sides' columns, sorted by what happens to them.

    `keys` and `compared` are cast to their common types and bear v1's spelling on both sides. `rest_v1` and
    `rest_v2` (context, one-sided and incomparable columns) keep theirs: conditions may name them.
    """

    keys: tuple[Column, ...]
    compared: tuple[Column, ...]
    rest_v1: tuple[str, ...]
    rest_v2: tuple[str, ...]
    schema: tuple[SchemaColumn, ...]
    bad_keys: tuple[SchemaColumn, ...]


def is_numeric(kind: str) -> bool:
    """Whether a DuckDB type is a number."""
    return kind in INTEGERS or kind in FLOATS or _DECIMAL.fullmatch(kind) is not None


def is_time(kind: str) -> bool:
    """Whether a DuckDB type is a date or a date with a time."""
    return kind in _TIMES


def common_type(a: str, b: str) -> CommonType | None:  # noqa: PLR0911  (one row a family reads best)
    """
    The type that values of both types can be compared in, or None where no such type makes sense.

    A time without a zone is read as UTC beside one with a zone: that is the zone of the engine.
    """
    if a == b:
        return CommonType(a)
    if _NULL in (a, b):
        return CommonType(b if a == _NULL else a)
    if is_numeric(a) and is_numeric(b):
        return _common_number(a, b)
    if is_time(a) and is_time(b):
        return CommonType(max(a, b, key=_TIMES.index), risky=True)
    if _is_text(a) and _is_text(b) and ("VARCHAR" in (a, b) or (a.startswith("ENUM(") and b.startswith("ENUM("))):
        return CommonType("VARCHAR")
    if a.endswith("]") and b.endswith("]"):
        element = common_type(a[: a.rindex("[")], b[: b.rindex("[")])
        return CommonType(f"{element.name}[]", element.risky) if element else None
    return None


def _is_text(kind: str) -> bool:
    return kind in _TEXTS or kind.startswith("ENUM(")


def _common_number(a: str, b: str) -> CommonType | None:
    if a in FLOATS or b in FLOATS:
        return CommonType("DOUBLE", any(kind in _BEYOND_DOUBLE or _width(kind) > _EXACT_AS_DOUBLE for kind in (a, b)))
    if a in INTEGERS and b in INTEGERS:
        return _common_integer(a, b)
    if "BIGNUM" in (a, b):
        return None
    (whole_a, scale_a), (whole_b, scale_b) = _decimal_of(a), _decimal_of(b)
    scale, whole = max(scale_a, scale_b), max(whole_a, whole_b)
    return CommonType(f"DECIMAL({min(whole + scale, _WIDEST)},{scale})", risky=whole + scale > _WIDEST)


def _common_integer(a: str, b: str) -> CommonType:
    if "BIGNUM" in (a, b):
        return CommonType("BIGNUM")
    for family in (_SIGNED, _UNSIGNED):
        if a in family and b in family:
            return CommonType(max(a, b, key=family.index))
    signed, unsigned = (a, b) if a in _SIGNED else (b, a)
    size = max(_SIGNED.index(signed), _UNSIGNED.index(unsigned) + 1)
    return CommonType(_SIGNED[min(size, len(_SIGNED) - 1)], risky=size == len(_SIGNED))


def _width(kind: str) -> int:
    found = _DECIMAL.fullmatch(kind)
    return int(found[1]) if found else 0


def _decimal_of(kind: str) -> tuple[int, int]:
    """Digits before and after the point that a type needs."""
    found = _DECIMAL.fullmatch(kind)
    if found:
        return int(found[1]) - int(found[2]), int(found[2])
    return _DIGITS[(_SIGNED if kind in _SIGNED else _UNSIGNED).index(kind)], 0


def read_layout(engine: Engine, v1_sql: str, v2_sql: str, comparator: Comparator, *, context: bool = False) -> Layout:
    """
    Look at both queries' columns, without running them. Names are matched without regard to case, as in SQL.

    With `context`, columns whose names begin with `_` are not compared.

    Raises:
        BadRelation: a query cannot be run.
        MissingKey: a key column is not on both sides.
        NoColumnToCompare: a rule, a limit or an expected difference names a column that is not compared.
        NotNumeric: a tolerant rule stands on a column without numbers.
    """
    v1, v2 = _columns(engine, "v1", v1_sql), _columns(engine, "v2", v2_sql)
    for column in comparator.keys:
        for side, names in (("v1", v1), ("v2", v2)):
            if fold(column) not in {fold(name) for name in names}:
                raise MissingKey(column, side, names)
    pairs, schema = _paired(v1, v2, comparator, context=context)
    keys = {fold(column) for column in comparator.keys}
    by_name = {fold(column.name): column for column in pairs}
    layout = Layout(
        keys=tuple(by_name[fold(name)] for name in comparator.keys if fold(name) in by_name),
        compared=tuple(column for column in pairs if fold(column.name) not in keys),
        rest_v1=_rest(v1, [column.name for column in pairs]),
        rest_v2=_rest(v2, [column.v2_name for column in pairs]),
        schema=schema,
        bad_keys=tuple(c for c in schema if c.verdict is SchemaVerdict.INCOMPARABLE and fold(c.name) in keys),
    )
    _check_names(comparator, layout)
    return layout


def _columns(engine: Engine, side: str, sql: str) -> dict[str, str]:
    try:
        return engine.columns(sql)
    except EngineError as fault:
        raise BadRelation(side, fault.reason) from fault


def _paired(
    v1: Mapping[str, str], v2: Mapping[str, str], comparator: Comparator, *, context: bool
) -> tuple[list[Column], tuple[SchemaColumn, ...]]:
    there = {fold(name): name for name in v2}
    here = {fold(name) for name in v1}
    pairs: list[Column] = []
    schema: list[SchemaColumn] = []
    for name, kind in v1.items():
        if context and name.startswith(CONTEXT):
            continue
        twin = there.get(fold(name))
        if twin is None:
            schema.append(SchemaColumn(name, kind, None, None, SchemaVerdict.ONLY_IN_V1))
            continue
        other, rule = v2[twin], comparator.rule(name)
        common = common_type(kind, other)
        if common is None:
            schema.append(SchemaColumn(name, kind, other, None, SchemaVerdict.INCOMPARABLE))
            continue
        if rule.numeric:
            if not is_numeric(common.name) and common.name != _NULL:
                raise NotNumeric(name, rule.describe(), kind if kind == other else f"{kind} and {other}")
            # A FLOAT's distance would be taken in FLOAT, and Python's in double precision.
            common = CommonType("DOUBLE") if common.name in (_NULL, "FLOAT") else common
        verdict = SchemaVerdict.SAME if kind == other else SchemaVerdict.RETYPED
        schema.append(SchemaColumn(name, kind, other, common.name, verdict))
        pairs.append(Column(name, twin, kind, other, common, rule))
    schema.extend(
        SchemaColumn(name, None, kind, None, SchemaVerdict.ONLY_IN_V2)
        for name, kind in v2.items()
        if fold(name) not in here and not (context and name.startswith(CONTEXT))
    )
    return pairs, tuple(schema)


def _rest(names: Mapping[str, str], taken: list[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in set(taken))


def _check_names(comparator: Comparator, layout: Layout) -> None:
    known = [column.name for column in layout.compared]
    # A column that stands in the schema with a finding is not unknown: the finding says what is wrong.
    named = {fold(column) for column in known} | {fold(column.name) for column in layout.schema}
    used = [("rules", column) for column in comparator.rules]
    used += [("limits.columns", column) for column in comparator.limits.columns]
    for expected in comparator.expected:
        used += [(f"v2_equals of {expected.reason!r}", column) for column in expected.v2_equals]
    for field, column in used:
        if fold(column) not in named:
            raise NoColumnToCompare(field, column, known)
