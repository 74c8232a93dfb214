"""
A comparator: what "the same answer" means for one pair of relations.

Content files hold them as module-level values and are named by their variable. Everything wrong that can be
seen without the data is refused when the value is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

from dualgauge.comparison.content.checks import single, taken
from dualgauge.comparison.errors import BadComparator
from dualgauge.model import canonical_json, fold, sha256
from dualgauge_router.rules import RULES, Rule

CONTEXT: Final = "_"
"""
Columns whose names begin so are context where a comparator's own queries choose them: never compared, but `expected`
conditions may use them.
"""

SCHEME: Final = 2
"""
Changes whenever the meaning of a comparator's fields changes, so that old evidence is not taken for new.

2: equality by type, every row judged by value or by hashes that tell every two values apart, and context columns only
where a comparator's own queries choose them.
"""

_NO_DATE: Final = date.min
"""Stands for "not given", so that a missing date is refused by a sentence of ours."""


def _no_texts() -> Mapping[str, str]:
    return MappingProxyType({})


def _no_numbers() -> Mapping[str, int]:
    return MappingProxyType({})


def _no_rules() -> Mapping[str, Rule]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """
    A difference that v2 exists to make.

    `when` is a condition over the aliases `v1` and `v2` of one pair of rows (all NULL on an absent side).
    `v2_equals` gives, per column, the expression that v2 must then equal by that column's rule; all other
    columns must agree as ever. Without it, the expectation excuses rows that one side lacks.
    `until` is the last day on which it excuses anything; afterwards its rows are mismatches.

    Raises:
        BadComparator: a field is missing, empty or of another type.
    """

    when: str = ""
    v2_equals: Mapping[str, str] = field(default_factory=_no_texts)
    reason: str = ""
    owner: str = ""
    until: date = _NO_DATE

    def __post_init__(self) -> None:
        _check_text("Expected: when", self.when, "a condition over v1 and v2")
        _check_text("Expected: reason", self.reason, "why the difference is right")
        _check_text("Expected: owner", self.owner, "who answers for it")
        given: object = self.until
        if not isinstance(given, date) or isinstance(given, datetime) or given == _NO_DATE:
            raise BadComparator("Expected: until", "must be a date, the last day on which the difference is excused")
        _check_mapping("Expected: v2_equals", self.v2_equals)
        for column, expression in self.v2_equals.items():
            _check_text(f"Expected: v2_equals[{column!r}]", expression, "an expression over v1 and v2")
        object.__setattr__(self, "v2_equals", MappingProxyType(dict(self.v2_equals)))

    def expired(self, today: date) -> bool:
        """Whether `today` is after the last day."""
        return self.until < today

    def as_json(self) -> dict[str, object]:
        """Give what the comparator's hash is taken from."""
        return {
            "when": self.when,
            "v2_equals": dict(self.v2_equals),
            "reason": self.reason,
            "owner": self.owner,
            "until": self.until.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    The largest counts of mismatched rows that still pass; all zero by default.

    `columns` narrows `changed`: `Limits(changed=100, columns={"amount": 0})` lets a hundred rows differ, none
    of them in `amount`. Columns that are not named have no bound of their own.

    Raises:
        BadComparator: a count is negative or no whole number.
    """

    only_in_v1: int = 0
    only_in_v2: int = 0
    changed: int = 0
    columns: Mapping[str, int] = field(default_factory=_no_numbers)

    def __post_init__(self) -> None:
        _check_mapping("Limits: columns", self.columns)
        counts: dict[str, object] = {
            "only_in_v1": self.only_in_v1,
            "only_in_v2": self.only_in_v2,
            "changed": self.changed,
            **{f"columns[{name!r}]": count for name, count in self.columns.items()},
        }
        for name, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise BadComparator(f"Limits: {name}", f"must be a count of rows, zero or more, got {count!r}")
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))

    def as_json(self) -> dict[str, object]:
        """Give what the comparator's hash is taken from."""
        return {
            "only_in_v1": self.only_in_v1,
            "only_in_v2": self.only_in_v2,
            "changed": self.changed,
            "columns": dict(self.columns),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparator:
    """
    How one pair of relations is compared.

    Args:
        key: the column or columns that name a row on both sides. Kept as a tuple.
        v1: v1's SELECT in DuckDB's dialect; None is the view named like the comparator, all columns.
        v2: the same for v2.
        rules: the rule per column; `Exact()` where none is given.
        expected: the differences that v2 exists to make; the first that fits a row counts it.
        affected_by: per key column, an expression over an event giving the keys that the event touches.
        limits: how many mismatched rows still pass.
        checks: rules that each side must keep by itself: `Check(...)`, or objects of Great Expectations.

    Raises:
        BadComparator: a field is empty, contradicts another, or is of another type.
    """

    key: str | Sequence[str] = ()
    v1: str | None = None
    v2: str | None = None
    rules: Mapping[str, Rule] = field(default_factory=_no_rules)
    expected: Sequence[Expected] = ()
    affected_by: Mapping[str, str] | None = None
    limits: Limits = field(default_factory=Limits)
    checks: Sequence[object] = ()

    def __post_init__(self) -> None:
        key = (self.key,) if isinstance(self.key, str) else tuple(self.key)
        object.__setattr__(self, "key", key)
        _check_key(key)
        for side in ("v1", "v2"):
            query = getattr(self, side)
            if query is not None:
                _check_text(f"Comparator: {side}", query, "a SELECT, or None for the view of that name")
        _check_mapping("Comparator: rules", self.rules)
        object.__setattr__(self, "rules", MappingProxyType(dict(self.rules)))
        self._check_rules()
        if isinstance(self.expected, Expected) or not isinstance(self.expected, Sequence):
            raise BadComparator("Comparator: expected", "must be a list of Expected(...)")
        object.__setattr__(self, "expected", tuple(self.expected))
        self._check_expected()
        self._check_affected_by()
        if type(self.limits) is not Limits:
            raise BadComparator("Comparator: limits", f"must be Limits(...), got {self.limits!r}")
        for column in self.limits.columns:
            self._check_compared(f"Limits: columns[{column!r}]", column)
        object.__setattr__(self, "checks", taken(self.checks))

    @property
    def keys(self) -> tuple[str, ...]:
        """The key as the tuple that it is kept as."""
        return tuple(self.key)

    def check_context(self) -> None:
        """
        Refuse what speaks of context columns, for a diff of a project's views in which there are such.

        Raises:
            BadComparator: a context column is in the key, or has a rule or a limit.
        """
        for column in self.keys:
            if column.startswith(CONTEXT):
                raise BadComparator("Comparator: key", f"names {column!r}; a context column cannot identify a row")
        named = [(f"Comparator: rules[{column!r}]", column) for column in self.rules]
        named += [(f"Limits: columns[{column!r}]", column) for column in self.limits.columns]
        named += [
            (f"Comparator: expected[{at}].v2_equals[{column!r}]", column)
            for at, one in enumerate(self.expected)
            for column in one.v2_equals
        ]
        for name, column in named:
            if column.startswith(CONTEXT):
                raise BadComparator(name, f"is context (its name begins with {CONTEXT!r}) and is never compared")

    def as_json(self) -> dict[str, object]:
        """Give everything that decides a diff's verdict, and nothing else: checks have a hash of their own."""
        return {
            "scheme": SCHEME,
            "key": list(self.key),
            "v1": self.v1,
            "v2": self.v2,
            "rules": {column: rule.as_json() for column, rule in self.rules.items()},
            "expected": [expected.as_json() for expected in self.expected],
            "affected_by": None if self.affected_by is None else dict(self.affected_by),
            "limits": self.limits.as_json(),
        }

    def definition_hash(self) -> str:
        """SHA-256 in hex: what evidence is bound to. Two comparators with one hash judge alike."""
        return sha256(canonical_json(self.as_json()))

    def checks_hash(self) -> str:
        """SHA-256 in hex of the checks, suites taken apart: what evidence of a check run is bound to."""
        return sha256(canonical_json([check.as_json() for check in single(self.checks)]))

    def _check_rules(self) -> None:
        if len({fold(column) for column in self.rules}) < len(self.rules):
            raise BadComparator("Comparator: rules", f"name a column twice: {', '.join(self.rules)}")
        for column, rule in self.rules.items():
            # A class derived from a rule would share its hash, and evidence could not tell them apart.
            if type(rule) not in RULES:
                raise BadComparator(
                    f"Comparator: rules[{column!r}]", f"must be a rule such as Exact() or Absolute(0.01), got {rule!r}"
                )
            self._check_compared(f"Comparator: rules[{column!r}]", column)

    def _check_expected(self) -> None:
        for at, expected in enumerate(self.expected):
            if type(expected) is not Expected:
                raise BadComparator(f"Comparator: expected[{at}]", f"must be Expected(...), got {expected!r}")
            for column in expected.v2_equals:
                self._check_compared(f"Comparator: expected[{at}].v2_equals[{column!r}]", column)

    def _check_affected_by(self) -> None:
        if self.affected_by is None:
            return
        _check_mapping("Comparator: affected_by", self.affected_by)
        for column, expression in self.affected_by.items():
            _check_text(f"Comparator: affected_by[{column!r}]", expression, "an expression over an event")
        given, wanted = {fold(c) for c in self.affected_by}, {fold(c) for c in self.key}
        if given != wanted:
            raise BadComparator(
                "Comparator: affected_by", f"must give one expression for each key column: {', '.join(self.key)}"
            )
        object.__setattr__(self, "affected_by", MappingProxyType(dict(self.affected_by)))

    def _check_compared(self, name: str, column: str) -> None:
        if fold(column) in {fold(key) for key in self.key}:
            raise BadComparator(name, "is a key column; keys pair the rows and are always exact")


def _check_key(key: tuple[object, ...]) -> None:
    if not key:
        raise BadComparator("Comparator: key", "is empty; name the column or columns that identify a row")
    for column in key:
        _check_text("Comparator: key", column, "names of columns")
    if len({fold(str(column)) for column in key}) < len(key):
        raise BadComparator("Comparator: key", f"names a column twice: {', '.join(map(str, key))}")


def _check_text(name: str, given: object, wanted: str) -> None:
    if not isinstance(given, str):
        raise BadComparator(name, f"must be text, {wanted}; got {given!r}")
    if not given.strip():
        raise BadComparator(name, f"is empty; give {wanted}")


def _check_mapping(name: str, given: object) -> None:
    if not isinstance(given, Mapping):
        raise BadComparator(name, f"must be a dict by column name, got {given!r}")
    for column in given:
        _check_text(f"{name}: a column name", column, "the name of a column")
