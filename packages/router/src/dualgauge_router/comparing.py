"""Two answers of one read, compared row by row by the rules of a comparator: in Python, and in small pieces."""

from __future__ import annotations

import copy
import json
import math
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from dualgauge_router.model import canonical_json, fold
from dualgauge_router.rules import Exact, as_written, instant, rule_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from dualgauge_router.rules import Rule

    Row = Mapping[str, Any]

ROW: Final = "(row)"
"""Stands for a column where one answer has a row that the other lacks."""

_EXACT: Final = Exact()

_LONG: Final = 1_000
"""Whole numbers in JSON that have no more digits are one, however they are written."""

_FEW: Final = 100
"""Rows of an answer of which each is copied in the caller's turn."""


class NotComparable(TypeError):
    """An answer that is neither a row nor a list of rows."""


@dataclass(frozen=True, slots=True)
class ViewRules:
    """
    How the rows of a view are compared: the columns that name a row, and the rules of others, in small letters.

    `expects`: its comparator has expected differences, which a diff alone can judge.
    """

    key: tuple[str, ...] = ()
    rules: Mapping[str, Rule] = field(default_factory=dict)
    expects: bool = False

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> ViewRules:
        """From the applied configuration. Raises KeyError, ValueError, TypeError, BadRule where it is none."""
        rules = {fold(name): rule_of(one) for name, one in said["rules"].items()}
        return cls(tuple(map(fold, said["key"])), rules, bool(said["expects"]))


def kept(answer: object) -> object:
    """An answer as it is now, also where the caller changes a field of it; of many rows, which are there."""
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        # Such as a page, whose rows are one of its parts.
        parts: Any = map(kept, answer)
        return type(answer)(*parts)
    if isinstance(answer, list | tuple):
        rows = map(_copied, answer) if len(answer) <= _FEW else answer
        # One of another type may be made in another way; a list of the same rows is compared alike.
        return tuple(rows) if type(answer) is tuple else list(rows)
    return _copied(answer)


def _copied(row: object) -> object:
    if type(row) is dict:
        return dict(row)
    is_record = is_dataclass(row) and not isinstance(row, type)
    if not is_record and not isinstance(row, MutableMapping):
        return row
    try:
        made = copy.copy(row)
        if is_record and made is not row:
            for one in fields(made):  # type: ignore[arg-type]
                if isinstance(rows := getattr(made, one.name), list):
                    object.__setattr__(made, one.name, kept(rows))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:  # noqa: BLE001  (the application's own; it is compared as it is)
        return row
    return made


def rows_of(answer: object) -> Sequence[object]:
    """What may be the rows of an answer: None has none, a list several, anything else is one."""
    return [] if answer is None else answer if isinstance(answer, list | tuple) else [answer]


def row_of(value: object) -> Row:
    """A row of an answer. Raises NotComparable where it is none."""
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    raise NotComparable


def _by_name(value: object) -> Row:
    """A row by the names of its columns in small letters, as the engine compares names."""
    row: Mapping[Any, Any] = row_of(value)
    found = {fold(name) if isinstance(name, str) else name: one for name, one in row.items()}
    # A row of the application's own may have both.
    return found if len(found) == len(row) else row


def differing(view: ViewRules, a: Sequence[object], b: Sequence[object]) -> Generator[None, None, frozenset[str]]:
    """
    The columns in which two answers differ; it comes back after every row, so that no thread waits for all of them.

    Rows are one by their key where all have one of their own, else by their places.

    Raises:
        NotComparable: a row is neither a mapping nor a dataclass.
        NotANumber, TypeError: a rule cannot judge the values.
    """
    found = set[str]()
    first, second = (yield from _by_key(view.key, a)), (yield from _by_key(view.key, b))
    if first is None or second is None:
        first, second = dict(enumerate(a)), dict(enumerate(b))
    for at in first.keys() | second.keys():
        if at not in first or at not in second:
            found.add(ROW)
        else:
            x, y = _by_name(first[at]), _by_name(second[at])
            # A column that one side alone has is a difference too.
            found.update(
                name for name in x.keys() | y.keys()
                if name not in x or name not in y or not _holds(view.rules.get(name, _EXACT), x[name], y[name])
            )  # fmt: skip
        yield
    return frozenset(found)


def _holds(rule: Rule, x: object, y: object) -> bool:
    if type(x) is not type(y):
        x, y = _beside(x, y), _beside(y, x)
    return rule.holds(x, y)


def _beside(value: object, other: object) -> object:
    """A value of a type as a diff compares it with one of another type: a UUID or JSON and a text are texts."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str) and isinstance(other, list | dict):
        try:
            return json.loads(value, parse_float=Decimal)
        except ValueError:
            return value
    return value


def _by_key(key: tuple[str, ...], rows: Sequence[object]) -> Generator[None, None, dict[object, object] | None]:
    """Rows by their keys; None where one has none, or the same as another."""
    found: dict[object, object] = {}
    for one in rows if key else ():
        row = _by_name(one)
        if any(name not in row for name in key):
            return None
        found[tuple(_part(row[name]) for name in key)] = one
        yield
    return found if key and len(found) == len(rows) else None


def _part(value: object) -> object:
    """A part of a key, such that parts which a diff takes for one are one."""
    if isinstance(value, date):
        return instant(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bool):
        # To Python True is 1; to no database.
        return (value,)
    if isinstance(value, float | Decimal):
        return (math.nan,) if math.isnan(value) else _number(value)
    # Lists and dicts, as of JSON, have no hash.
    return canonical_json(_in_json(value)) if isinstance(value, list | tuple | dict) else value


def _number(value: float | Decimal) -> float | Decimal:
    """One value for a float and the decimal that it is written as, with a hash; an int's, where it is whole."""
    nearest = float(value)
    return nearest if isinstance(value, float) or as_written(nearest) == value else value


def _in_json(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_in_json(one) for one in value]
    if isinstance(value, dict):
        return {name: _in_json(one) for name, one in value.items()}
    if isinstance(value, float | Decimal) and math.isfinite(value):
        exact = as_written(value)
        whole = exact == exact.to_integral_value() and exact.adjusted() < _LONG
        return int(exact) if whole else _number(value)
    return value
