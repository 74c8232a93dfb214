"""
The aggregates that can be kept by merging: what is stored of each, how two of those become one, and what it gives.

What is stored of an aggregate are one to three states, each an aggregate over some events. The state over other events
beside it makes the state over both: of exact types to the last bit, however the events were parted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.engines.aggregates import BY_KEY, OF_ONE, PACKED, named
from dualgauge.engines.lexer import tokens
from dualgauge.engines.syntax import Node, arguments_of, name_of
from dualgauge.model import fold, quote
from dualgauge.views.plan.left import NotKept, instead_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_CALL: Final = re.compile(r"[A-Za-z_]\w*\s*\(")
_UNIQUE: Final = frozenset(("position", "event_id"))
"""Of these the log sees to it that no two events have one value."""

_NOT_BACK: Final = re.compile(r'JSON|"NULL"|VARIANT|UNION|GEOMETRY|BIGNUM|TIME_NS')
"""Types that do not come back from text as what they were, alone or in others."""
_NUMBERS: Final = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(.*|FLOAT|DOUBLE")

_LESSER: Final = "CASE WHEN {0} IS NULL OR {1} < {0} THEN {1} ELSE {0} END"
_GREATER: Final = "CASE WHEN {0} IS NULL OR {1} > {0} THEN {1} ELSE {0} END"


def _either(sign: str) -> str:
    return f"CASE WHEN {{0}} IS NULL THEN {{1}} WHEN {{1}} IS NULL THEN {{0}} ELSE {{0}} {sign} {{1}} END"


def _second(merged: str) -> str:
    """The same of an aggregate's second state."""
    return merged.replace("{0}", "{2}").replace("{1}", "{3}")


_ADDED: Final = _either("+")


def comes_back(kind: str) -> bool:
    """Whether a value of a DuckDB type comes back from its text as it was."""
    return not _NOT_BACK.search(kind)


@dataclass(frozen=True, slots=True)
class State:
    """
    One value that is stored of an aggregate.

    Args:
        sql: the aggregate over some events that gives it.
        merged: SQL that makes one of two; `{0}`, `{2}`, `{4}` are the aggregate's states before, `{1}`, `{3}`, `{5}`
            those over later events.
        numbers: whether it must be a number.
    """

    sql: str
    merged: str
    numbers: bool = False

    def holds(self, kind: str) -> bool:
        """Whether a DuckDB type can be its: as text it comes back as it was, and can be merged."""
        return comes_back(kind) and (not self.numbers or bool(_NUMBERS.fullmatch(kind)))


@dataclass(frozen=True, slots=True)
class Kept:
    """
    An aggregate by its states. `result` is SQL in which `{0}`, `{1}`, `{2}` are these.

    `settled` is the text of a call whose key is unique by the view's word alone: then the second state is the key of
    the event whose value the first is, and the third its position. Else it is empty.
    """

    states: tuple[State, ...]
    result: str = "{0}"
    settled: str = ""


def kept(call: Node, text: str, alias: str = "events", unique: Iterable[frozenset[str]] = ()) -> Kept:
    """
    What to store of an aggregate.

    Args:
        call: its call in the tree.
        text: the same, as it is written.
        alias: what the events are called there.
        unique: sets of folded columns of which the view says that no two events of a group agree in all.

    Raises:
        NotKept: nothing short of all its values would do, or its value depends on the order of events.
    """
    name, arguments = named(name_of(call)), arguments_of(call)
    if not _CALL.match(text):
        raise NotKept(f"{text} is not a plain call", f"write it as {name}(...)")
    value = _first_argument(text)
    if call["distinct"]:
        raise NotKept(f"{text} counts each value once, which two counts do not say", instead_of(name, value))
    if call["order_bys"]["orders"]:
        simpler = "write arg_max_null(x, position), or (..., position) for another order" if name in OF_ONE else ""
        raise NotKept(f"{text} has an order", simpler or instead_of(name, value))
    if (make := _MADE.get(name)) is None or len(arguments) != _ARGUMENTS.get(name, 1):
        raise NotKept(f"{text} cannot be merged", instead_of(name, value))
    return make(text) if name not in BY_KEY else _by_key(name, text, _named(arguments[1], fold(alias)), alias, unique)


def _renamed(text: str, name: str) -> str:
    """The same call of another aggregate."""
    return name + text[text.index("(") :]


def _plain(merged: str, *, numbers: bool = False) -> Callable[[str], Kept]:
    return lambda text: Kept((State(text, merged, numbers),))


QUOTIENT: Final = "_dualgauge_quotient"
"""The name in SQL of `quotient`, which is for sums that are no DOUBLE; of such it is quicker than any SQL for it."""
_QUOTIENT: Final = f"CAST({QUOTIENT}(CAST({{0}} AS VARCHAR) || '/' || {{1}}) AS DOUBLE)"

# Of a sum of so few digits the whole number is a DOUBLE, and no text is needed for it. Of a type that is known, the
# engine works the power out once.
_POWER: Final = "pow(10.0, coalesce(TRY_CAST(regexp_extract(typeof({0}), ',([0-9]+)', 1) AS INTEGER), 0))"
_IS_SMALL: Final = f"abs({{0}}::DOUBLE) * {_POWER} < 281474976710656 AND {{1}} * {_POWER} <= 9007199254740992"
_SMALL_QUOTIENT: Final = f"round({{0}}::DOUBLE * {_POWER}) / ({{1}} * {_POWER})"


def quotient(text: str | None) -> str | None:
    """The DOUBLE nearest to the quotient of a decimal number and a whole one, both in a text as `12.50/3`."""
    total, _, count = (text or "").partition("/")
    whole, _, places = total.partition(".")
    # Of whole numbers of any length Python rounds once.
    return repr(int(whole + places) / (int(count) * 10 ** len(places))) if count else None


def _mean(text: str) -> Kept:
    # The quotient of two whole numbers, rounded once. Seen: so is the engine's own mean of an exact type, but where a
    # sum or a count of the same stands beside it: then it divides the rounded sum, and a quarter differ in a last bit.
    states = State(_renamed(text, "sum"), _ADDED, numbers=True), State(_renamed(text, "count"), _second(_ADDED))
    exact = f"CASE WHEN {_IS_SMALL} THEN {_SMALL_QUOTIENT} ELSE {_QUOTIENT} END"
    result = f"CASE typeof({{0}}) WHEN 'DOUBLE' THEN {{0}} / {{1}} ELSE {exact} END"
    return Kept(states, f"CASE WHEN {{1}} > 0 THEN {result} END")


def _moments(result: str) -> Callable[[str], Kept]:
    """Count, mean and sum of squared distances from it, merged as Chan, Golub and LeVeque do."""
    number = "(coalesce({0}, 0) + {1})"
    mean = (
        "CASE WHEN {2} IS NULL THEN {3} WHEN {3} IS NULL THEN {2} "
        f"ELSE {{2}} + ({{3}} - {{2}}) * {{1}} / {number} END"
    )
    squares = (
        "CASE WHEN {4} IS NULL THEN {5} WHEN {5} IS NULL THEN {4} "
        f"ELSE {{4}} + {{5}} + ({{3}} - {{2}}) * ({{3}} - {{2}}) * {{0}} * {{1}} / {number} END"
    )

    def made(text: str) -> Kept:
        spread = f"{_renamed(text, 'var_pop')} * {_renamed(text, 'count')}"
        states = (
            State(_renamed(text, "count"), _ADDED),
            State(_renamed(text, "avg"), mean, numbers=True),
            State(spread, squares, numbers=True),
        )
        return Kept(states, result)

    return made


def _by_key(name: str, text: str, key: set[str], alias: str, unique: Iterable[frozenset[str]]) -> Kept:
    """A value of the event whose key, which has some columns, is greatest or least: with that key."""
    sure = bool(key & _UNIQUE)
    if not sure and not any(one <= key for one in unique):
        raise NotKept(
            f"{text} says nothing of events with equal keys",
            "write the key as (..., position), or say by `-- unique:` what no two events agree in",
        )
    value, key_text, behind = _arguments(text)
    greatest = name.startswith("arg_max")
    over = key_text if name.endswith("_null") else f"CASE WHEN ({value}) IS NOT NULL THEN ({key_text}) END"
    sign = ">" if greatest else "<"
    later = f"CASE WHEN {{2}} IS NULL OR {{3}} {sign} {{2}} THEN {{1}} ELSE {{0}} END"
    bound = _second(_GREATER if greatest else _LESSER)
    states = State(text, later), State(f"{'max' if greatest else 'min'}({over}){behind}", bound)
    if sure:
        return Kept(states)
    place = f"{'arg_max' if greatest else 'arg_min'}({quote(alias)}.position, {over}){behind}"
    return Kept((*states, State(place, later.replace("{1}", "{5}").replace("{0}", "{4}"))), settled=text)


def _named(key: Node, alias: str) -> set[str]:
    """The folded columns of the events that a key is, or that stand in it by themselves."""
    if key["class"] == "COLUMN_REF":
        *other, name = map(fold, key["column_names"])
        return {name} if other in ([], [alias]) else set()
    return {name for one in arguments_of(key) for name in _named(one, alias)} if name_of(key) in PACKED else set()


def _first_argument(text: str) -> str:
    """What a call goes over, without DISTINCT; empty where it has no arguments."""
    found = tokens(text)[2:]
    start = next(token for token in found if token.text not in ("distinct", "all"))
    end = next(token for token in found if token.depth <= 1 and token.text in (",", ")", "order"))
    return text[start.start : end.start].strip()


def _arguments(text: str) -> tuple[str, str, str]:
    """The two arguments of a call, and what stands behind its parenthesis."""
    found = tokens(text)
    close = next(at for at, token in enumerate(found) if token.text == ")" and not token.depth)
    comma = next(at for at, token in enumerate(found) if token.text == "," and token.depth == 1)
    start = found[1].start + 1
    return (
        text[start : found[comma].start].strip(),
        text[found[comma].start + 1 : found[close].start].strip(),
        text[found[close].start + 1 :],
    )


_MADE: Final[dict[str, Callable[[str], Kept]]] = {
    **dict.fromkeys(("count", "count_star", "count_if"), _plain(_ADDED)),
    "sum": _plain(_ADDED, numbers=True),
    "min": _plain(_LESSER),
    "max": _plain(_GREATER),
    "bool_and": _plain(_either("AND")),
    "bool_or": _plain(_either("OR")),
    "bit_and": _plain(_either("&")),
    "bit_or": _plain(_either("|")),
    "bit_xor": _plain("CASE WHEN {0} IS NULL THEN {1} WHEN {1} IS NULL THEN {0} ELSE xor({0}, {1}) END"),
    "avg": _mean,
    "var_pop": _moments("CASE WHEN {0} > 0 THEN {2} / {0} END"),
    "var_samp": _moments("CASE WHEN {0} > 1 THEN {2} / ({0} - 1) END"),
    "stddev_pop": _moments("CASE WHEN {0} > 0 THEN sqrt({2} / {0}) END"),
    "stddev_samp": _moments("CASE WHEN {0} > 1 THEN sqrt({2} / ({0} - 1)) END"),
    **dict.fromkeys(BY_KEY, _plain("")),
}
_ARGUMENTS: Final = {"count_star": 0, **dict.fromkeys(BY_KEY, 2)}


def places_of(kept_ones: Iterable[Kept]) -> dict[str, int]:
    """The number of each state of some aggregates, by its SQL: what two of them need is stored once."""
    found: dict[str, int] = {}
    for state in (state for one in kept_ones for state in one.states):
        found.setdefault(state.sql, len(found))
    return found


def merged_states(kept_ones: Iterable[Kept], places: Mapping[str, int]) -> list[str]:
    """For each state of some aggregates, SQL over `_o0`, `_o1` ... before and `_n0`, `_n1` ... of later events."""
    found: dict[int, str] = {}
    for one in kept_ones:
        names = [f"_{side}{places[state.sql]}" for state in one.states for side in "on"]
        for state in one.states:
            found.setdefault(places[state.sql], state.merged.format(*names))
    return list(found.values())
