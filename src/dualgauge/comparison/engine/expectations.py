"""
Expected differences as SQL over a joined pair of rows, whose aliases are `v1` and `v2`.

A live expectation excuses rows; an expired one only says whose time is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.comparison.engine.schema import common_type
from dualgauge.comparison.errors import BadExpectation, ExpectationFailed
from dualgauge.engines.errors import EngineError
from dualgauge.model import fold, quote

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
        BadExpectation: one does not parse, names what is not there, or does not fit its column's type.
    """
    for expectation in expected:
        for field, text, condition in _conditions(expectation, layout):
            # In a WHERE, where an aggregate over all pairs is refused too.
            try:
                engine.columns(f"SELECT 1 FROM {v1} AS v1, {v2} AS v2 WHERE {condition}")
            except EngineError as fault:
                raise BadExpectation(expectation.source.reason, field, text, fault.reason) from fault
        for at, text in expectation.equals.items():
            column = layout.compared[at]
            kind = engine.columns(f"SELECT ({text}\n) AS value FROM {v1} AS v1, {v2} AS v2")["value"]
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
    keys = " AND ".join(f"v1.{quote(key.name)} = v2.{quote(key.name)}" for key in layout.keys)
    for expectation in expected:
        for field, text, condition in _conditions(expectation, layout):
            guarded = condition if field == "when" else f"CASE WHEN {expectation.when} THEN {condition} END"
            try:
                engine.row(f"SELECT count(*) FROM {v1} AS v1 FULL JOIN {v2} AS v2 ON {keys} WHERE {guarded}")
            except EngineError as own:
                raise ExpectationFailed(expectation.source.reason, field, text, own.reason) from fault


def columns_used(expected: Sequence[Expectation], names: Sequence[str]) -> tuple[str, ...]:
    """The columns that some expression may use: those whose names occur in its text (rather one too many)."""
    text = fold("\n".join(text for expectation in expected for _, text in expectation.texts()))
    return tuple(name for name in names if fold(name).replace('"', '""') in text)


def _conditions(expectation: Expectation, layout: Layout) -> Iterator[tuple[str, str, str]]:
    yield "when", expectation.source.when, expectation.when
    for at, text in expectation.equals.items():
        column = layout.compared[at]
        yield f"v2_equals[{column.name!r}]", text, met(column, f"({text}\n)", f"v2.{quote(column.name)}")


def met(column: Column, expression: str, value: str) -> str:
    """Whether the expression equals v2's value by the column's rule."""
    return column.rule.sql(expression, value)
