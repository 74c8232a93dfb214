"""What a comparator or a comparison may refuse; each sentence names the field and ends in the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, UsageError
from dualgauge.model import NextStep, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualgauge.model import Side


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


class BadComparator(UsageError):
    """A field of a Comparator, an Expected or a Limits is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field} {reason}")


class BadRelation(UsageError):
    """One side's query cannot be run."""

    def __init__(self, side: str, reason: str) -> None:
        self.side, self.reason = side, reason
        super().__init__(f"the query of {side} cannot be run: {reason}; correct {side}= in the comparator")


class MissingKey(UsageError):
    """A key column is not on both sides: no row could be paired."""

    def __init__(self, column: str, side: str, known: Iterable[str]) -> None:
        names = list(known)
        self.column, self.side = column, side
        super().__init__(
            f"key column {column!r} is missing from {side}{nearest(column, names)}, which has {listed(names)}; "
            f"correct key= or select the column in {side}="
        )


class UnknownColumn(UsageError):
    """The comparator speaks of a column that is not compared."""

    def __init__(self, field: str, column: str, known: Iterable[str]) -> None:
        names = list(known)
        self.field, self.column = field, column
        super().__init__(
            f"{field} names column {column!r}, which is not compared{nearest(column, names)}; "
            f"compared are {listed(names) or 'no columns'}"
        )


class NotNumeric(UsageError):
    """A tolerant rule stands on a column that holds no numbers."""

    def __init__(self, column: str, rule: str, kind: str) -> None:
        self.column, self.rule, self.kind = column, rule, kind
        super().__init__(
            f"column {column!r} is {kind}, and the rule {rule!r} needs numbers; use Exact() or cast it to a number"
        )


class BadExpectation(UsageError):
    """An expression of an expected difference does not parse, or does not fit the two sides."""

    def __init__(self, reason: str, field: str, expression: str, cause: str) -> None:
        self.reason, self.field, self.expression, self.cause = reason, field, expression, cause
        super().__init__(
            f"expected difference {reason!r}: {field} = {expression.strip()!r} is refused: {cause}; "
            "write it over the aliases v1 and v2"
        )


class ExpectationFailed(DataError):
    """An expression of an expected difference failed on a row."""

    def __init__(self, reason: str, field: str, expression: str, cause: str) -> None:
        self.reason, self.field, self.expression, self.cause = reason, field, expression, cause
        super().__init__(
            f"expected difference {reason!r}: {field} = {expression.strip()!r} failed on a row: {cause}; "
            "guard it, for example with try_cast or nullif"
        )


class PlanRefused(UsageError):
    """A plan was asked for that cannot judge this comparator."""

    def __init__(self, plan: str, cause: str) -> None:
        self.plan = plan
        super().__init__(f"the plan {str(plan)!r} cannot be used: {cause}; leave the choice to the tool")


class NoSuchView(UsageError):
    """A comparator names a view that its side does not have."""

    def __init__(self, comparator: str, side: Side, view: str, known: Iterable[str]) -> None:
        names = list(known)
        self.comparator, self.side, self.view = comparator, side, view
        have = f"{side.value} has {listed(names)}" if names else f"{side.value} has no views"
        super().__init__(
            f"comparator {comparator!r} reads {side.value}.{view}, which is not there{nearest(view, names)}; {have}; "
            f"correct the query or add the view's file to {side.schema}"
        )


class NoSuchComparator(UsageError):
    """A name that is neither a comparator nor a view of both sides."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = list(known)
        self.name = name
        have = f"there are {listed(names)}" if names else "there are none yet"
        super().__init__(
            f"no comparator is called {name!r}{nearest(name, names)}; {have}; name one of them, or none for all"
        )


class NothingToCompare(UsageError):
    """No comparator, and no view that both sides have."""

    def __init__(self) -> None:
        super().__init__(
            "there is nothing to compare: no comparator is defined and no view has the same name on both sides; "
            "add a view to both folders, or a Comparator to the comparators folder"
        )


class UnequalPositions(ConflictError):
    """The builds that would be compared are not at one position."""

    def __init__(self, positions: Mapping[str, int]) -> None:
        self.positions = dict(positions)
        shown = listed(f"{view} at {position:,}" for view, position in positions.items())
        super().__init__(
            f"the views are at different positions ({shown}), and answers can only be compared at one",
            next_steps=(NextStep("dualgauge replay", "bring every view to the log's head"),),
        )
