"""Two answers of one read, compared row by row by the rules of a comparator: in Python, and in small pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

from dualgauge_router.rules import Exact, rule_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from dualgauge_router.rules import Rule

    Row = Mapping[str, Any]

ROW: Final = "(row)"
"""Stands for a column where one answer has a row that the other lacks."""

_EXACT: Final = Exact()


class NotComparable(TypeError):
    """An answer that is neither a row nor a list of rows."""


@dataclass(frozen=True, slots=True)
class ViewRules:
    """
    How the rows of a view are compared: the columns that name a row, and the rules of others.

    `expects`: its comparator has expected differences, which a diff alone can judge.
    """

    key: tuple[str, ...] = ()
    rules: Mapping[str, Rule] = field(default_factory=dict)
    expects: bool = False

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> ViewRules:
        """From the applied configuration. Raises KeyError, ValueError, TypeError, BadRule where it is none."""
        rules = {name: rule_of(one) for name, one in said["rules"].items()}
        return cls(tuple(said["key"]), rules, bool(said["expects"]))


def rows_of(answer: object) -> list[Row]:
    """
    The rows of an answer: a mapping or a dataclass is one, None is none, a list has several.

    Raises:
        NotComparable: it is something else.
    """
    if answer is None:
        return []
    if isinstance(answer, list | tuple):
        return [_row(one) for one in answer]
    return [_row(answer)]


def _row(value: object) -> Row:
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    raise NotComparable


def differing(view: ViewRules, a: Sequence[Row], b: Sequence[Row]) -> Generator[None, None, frozenset[str]]:
    """
    The columns in which two answers differ; it comes back after every row, so that no thread waits for all of them.

    Raises:
        NotANumber, TypeError: a rule cannot judge the values.
    """
    found = set[str]()
    for x, y in _pairs(view.key, a, b):
        if x is None or y is None:
            found.add(ROW)
        else:
            # A column that one side alone has is a difference too.
            found.update(
                name for name in x.keys() | y.keys()
                if name not in x or name not in y or not view.rules.get(name, _EXACT).holds(x[name], y[name])
            )  # fmt: skip
        yield
    return frozenset(found)


def _pairs(key: tuple[str, ...], a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Row | None, Row | None]]:
    """Rows that are one: by their key where all have one of their own, else by their places."""
    pairs: list[tuple[Row | None, Row | None]] = []
    if key and all(name in row for row in (*a, *b) for name in key):
        first, second = ({_key_of(key, row): row for row in rows} for rows in (a, b))
        if len(first) == len(a) and len(second) == len(b):
            pairs += ((row, second.get(at)) for at, row in first.items())
            pairs += ((None, row) for at, row in second.items() if at not in first)
            return pairs
    most = max(len(a), len(b))
    for at in range(most):
        pairs.append((a[at] if at < len(a) else None, b[at] if at < len(b) else None))
    return pairs


def _key_of(key: tuple[str, ...], row: Row) -> tuple[object, ...]:
    # Lists and dicts, as of JSON, have no hash.
    return tuple(repr(one) if isinstance(one := row[name], list | dict) else one for name in key)
