"""
Expected differences as SQL over a joined pair of rows, whose aliases are `v1` and `v2`.

A live expectation excuses rows; an expired one only says whose time is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.comparison.engine.common_types import common_type, is_numeric
from dualgauge.comparison.engine.equality import is_plain
from dualgauge.comparison.engine.relations import named
from dualgauge.comparison.engine.volatile import changing_parts, volatile_functions
from dualgauge.comparison.errors import BadExpectation, ExpectationFailed
from dualgauge.engines.errors import EngineError
from dualgauge.model import fold, listed
from dualgauge.views.relations import relations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from dualgauge.comparison.content.comparator import Comparator, Expected
    from dualgauge.comparison.engine.schema import Column, Layout
    from dualgauge.engines.duck import Engine


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expected difference against a layout: `equals` maps the place of a compared column to its expression."""

    at: int
    source: Expected
    live: bool
    equals: dict[int, str]

    @property
    def when(self) -> str:
        """The condition, true or false; the line break ends a comment that the author may have left."""
        return f"coalesce(CAST(({self.source.when}\n) AS BOOLEAN), false)"

    def texts(self) -> Iterator[tuple[str, str]]:
        """Each expression with the field that it stands in."""
        yield "when", self.source.when
        for column, expression in self.source.v2_equals.items():
            yield f"v2_equals[{column!r}]", expression


def expectations(comparator: Comparator, layout: Layout, today: date) -> tuple[Expectation, ...]:
    """Lay the comparator's expected differences against the compared columns."""
    places = {fold(column.name): at for at, column in enumerate(layout.compared)}
    return tuple(
        Expectation(
            at,
            source,
            not source.expired(today),
            {places[fold(name)]: text for name, text in source.v2_equals.items() if fold(name) in places},
        )
        for at, source in enumerate(comparator.expected)
    )


def check(engine: Engine, expected: Sequence[Expectation], layout: Layout, v1: str, v2: str) -> None:
    """
    Let the engine read every expression, without running it.

    Raises:
        BadExpectation: one does not parse, names what is not there, does not fit its column's type, or does not give
            the same at each reading.
    """
    # To list the engine's functions takes longer than all else that is asked of two small sides.
    volatile = volatile_functions(engine) if expected else frozenset[str]()
    for expectation in expected:
        for field, text in expectation.texts():
            if (read := relations(engine, f"SELECT ({text}\n)")) is not None and read.shown:
                cause = f"it reads {listed(read.shown)}, and an expected difference is told by the two rows alone"
                raise BadExpectation(expectation.source.reason, field, text, cause)
            if changing := list(changing_parts(text, volatile)):
                cause = f"{listed(changing)} may give another answer each time it is asked"
                raise BadExpectation(expectation.source.reason, field, text, cause)
    both = f"{named(layout, 'v1', v1)} AS v1, {named(layout, 'v2', v2)} AS v2"
    for expectation in expected:
        for field, text, condition in _conditions(expectation, layout):
            # In a WHERE, where an aggregate over all pairs is refused too.
            try:
                engine.columns(f"SELECT 1 FROM {both} WHERE {condition}")
            except EngineError as fault:
                raise BadExpectation(expectation.source.reason, field, text, fault.reason) from fault
        for at, text in expectation.equals.items():
            column = layout.compared[at]
            kind = engine.columns(f"SELECT ({text}\n) AS value FROM {both}")["value"]
            # DuckDB would read a number as a date and fail row by row, or not at all.
            if common_type(kind, column.common.name) is None:
                cause = f"it is {kind}, and the column is {column.common.name}; cast it"
                raise BadExpectation(expectation.source.reason, f"v2_equals[{column.name!r}]", text, cause)


def blame(
    engine: Engine, expected: Sequence[Expectation], layout: Layout, v1: str, v2: str, *, fault: EngineError
) -> None:
    """
    Find the expression that failed on a row, after the judging of all rows failed.

    Raises:
        ExpectationFailed: it is this one. Returns if none of them fails by itself.
    """
    sides = f"{named(layout, 'v1', v1)} AS v1 FULL JOIN {named(layout, 'v2', v2)} AS v2 ON {layout.on('v1', 'v2')}"
    for expectation in expected:
        for field, text, condition in _conditions(expectation, layout):
            guarded = condition if field == "when" else f"CASE WHEN {expectation.when} THEN {condition} END"
            try:
                engine.row(f"SELECT count(*) FROM {sides} WHERE {guarded}")
            except EngineError as own:
                raise ExpectationFailed(expectation.source.reason, field, text, own.reason) from fault


def _conditions(expectation: Expectation, layout: Layout) -> Iterator[tuple[str, str, str]]:
    yield "when", expectation.source.when, expectation.when
    for at, text in expectation.equals.items():
        column = layout.compared[at]
        yield f"v2_equals[{column.name!r}]", text, met(column, f"({text}\n)", f"v2.{layout.value(at)}")


def met(column: Column, expression: str, value: str) -> str:
    """Whether the expression equals v2's value by the column's rule."""
    if column.kind.parts or not is_plain(column.kind):
        # Fields by their names, and JSON out of a text.
        cast = f"CAST({expression} AS {column.common.name})"
        if column.kind.family in ("LIST", "ARRAY") and is_numeric(column.kind.parts[0].name):
            # What the cast rounds, as [1.5] to [2], excuses nothing.
            return f"(({cast}) IS NOT DISTINCT FROM ({expression}) AND {column.same(cast, value)})"
        expression = cast
    return column.same(expression, value)
