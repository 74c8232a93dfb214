"""What a comparator or a comparison may refuse; each sentence names the field and ends in the next step."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DataError, DualgaugeError, UsageError
from dualgauge.model import NextStep, listed, nearest, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dualgauge.model import Side


class BadComparator(UsageError):
    """A field of a Comparator, an Expected or a Limits is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field} {reason}")


class RowsLost(DualgaugeError):
    """The rows of the sides do not add up: a fault of dualgauge's own, which must give no verdict."""

    def __init__(self, v1: int, v2: int) -> None:
        self.v1, self.v2 = v1, v2
        super().__init__(
            f"the rows do not add up: {v1:,} of v1 have a partner and {v2:,} of v2; this is a fault of dualgauge, so "
            "there is no verdict: run it again with --paranoid, and report it"
        )


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


class NoColumnToCompare(UsageError):
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


class NoEquality(UsageError):
    """A column has a type of which nobody can say when two values are the same."""

    def __init__(self, column: str, kind: str) -> None:
        self.column, self.kind = column, kind
        super().__init__(
            f"column {column!r} holds {kind}, and when two values of that type are the same is not defined; "
            "cast it to another type in v1= and v2= of the comparator (to JSON, or to text), or leave it out there"
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


class NoSuchPlan(UsageError):
    """A plan that there is not."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = [str(one) for one in known]
        self.name = name
        super().__init__(
            f"no plan is called {name!r}{nearest(name, names)}; there are {listed(names)}; "
            "name one of them, or leave the choice to the tool"
        )


class NoViewToCompare(UsageError):
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
    """What would be compared is not at one position. `adopted` are the labels that are tables of the user's own."""

    def __init__(self, positions: Mapping[str, int], adopted: Sequence[str] = ()) -> None:
        self.positions, self.adopted = dict(positions), tuple(adopted)
        shown = listed(f"{view} at {position:,}" for view, position in positions.items())
        sentence = f"the views are at different positions ({shown}), and answers can only be compared at one"
        steps = [
            NextStep("dualgauge replay", "bring every view to the log's head"),
            NextStep("dualgauge status", "see how far each view is, and who keeps it"),
        ]
        if adopted:
            built = max((position for label, position in positions.items() if label not in adopted), default=0)
            behind = [label for label in adopted if positions[label] < built]
            if behind:
                sentence += f"; code of your own keeps {listed(behind)}: compare again when it has come as far"
                steps = [NextStep("dualgauge status", "see how far each view is")]
            else:
                steps.insert(0, NextStep("dualgauge log import --all", f"take in what {listed(adopted)} has already"))
        super().__init__(sentence, next_steps=tuple(steps))


class NotBrought(ConflictError):
    """v2 did not come to the position at which v1 was looked at."""

    def __init__(self, positions: Mapping[str, int], wanted: int) -> None:
        self.positions, self.wanted = dict(positions), wanted
        behind = {label: position for label, position in positions.items() if position != wanted}
        shown = listed(f"{label} at {position:,}" for label, position in behind.items())
        super().__init__(
            f"v1 was looked at where it has the events up to position {wanted:,}, and nothing brought v2 there in time "
            f"({shown}), so nothing was compared; what v1 has is in the log: bring v2 there and compare again",
            next_steps=(
                NextStep("dualgauge tail --once", "bring the views to the log's head"),
                NextStep("dualgauge plan", "see which views a tail does not keep: replay these"),
            ),
        )


class UntracedEvents(UsageError):
    """An adopted table does not have some events yet, and nothing says which keys they touch."""

    def __init__(self, comparator: str, events: int) -> None:
        self.comparator, self.events = comparator, events
        super().__init__(
            f"comparator {comparator!r}: v1 does not have {plural(events, 'event')} of the log yet, and which keys "
            "they touch is not known, so nothing was compared: give the comparator an affected_by, or compare when v1 "
            "has them"
        )


class ChangedMeanwhile(ConflictError):
    """A build was replaced or a table altered while a diff waited: its two looks are of two things."""

    def __init__(self, comparator: str) -> None:
        self.comparator = comparator
        super().__init__(
            f"comparator {comparator!r}: a view was replayed, or its table altered, while the diff waited for what "
            "changes to settle; nothing was compared: run the diff again when that is done",
            next_steps=(NextStep("dualgauge diff", "compare again"),),
        )


class NotRead(UsageError):
    """A check names a view that its comparator does not read on that side."""

    def __init__(
        self, comparator: str, expectation: str, side: Side, view: str, views: Mapping[Side, Sequence[str]]
    ) -> None:
        self.comparator, self.expectation, self.side, self.view = comparator, expectation, side, view
        there = [other for other, names in views.items() if view in names]
        advice = f"write on={there[0].value!r}" if there else "name one of these"
        super().__init__(
            f"check {expectation} of comparator {comparator!r} names the view {view!r}, which the comparator does not "
            f"read on {side.value}{nearest(view, views[side])}; it reads {listed(views[side])}; {advice}"
        )


class UnclearView(UsageError):
    """A check names no view, and its comparator reads several on that side."""

    def __init__(self, comparator: str, expectation: str, side: Side, names: Sequence[str]) -> None:
        self.comparator, self.expectation, self.side = comparator, expectation, side
        super().__init__(
            f"check {expectation} of comparator {comparator!r} does not say which view it is asked of: the comparator "
            f"reads {listed(names)} on {side.value}; write Check(..., view={names[0]!r}, on={side.value!r})"
        )


class NoSuchExpectation(UsageError):
    """A check names an expectation that Great Expectations does not have."""

    def __init__(self, comparator: str, name: str, known: Iterable[str]) -> None:
        self.comparator, self.name = comparator, name
        super().__init__(
            f"comparator {comparator!r} has a check {name!r}, which is no expectation{nearest(name, known)}; "
            "correct its name: Great Expectations lists them in its gallery"
        )


class BadArguments(UsageError):
    """Great Expectations refuses a check's arguments."""

    def __init__(self, comparator: str, expectation: str, words: str) -> None:
        self.comparator, self.expectation, self.words = comparator, expectation, words
        super().__init__(
            f"comparator {comparator!r}: Great Expectations refuses the arguments of check {expectation}: {words}; "
            "correct them in the comparator"
        )


class BuildsMoved(ConflictError):
    """The builds changed while they were checked, time and again."""

    def __init__(self, comparator: str, tries: int) -> None:
        self.comparator, self.tries = comparator, tries
        super().__init__(
            f"the views of comparator {comparator!r} changed while they were checked, {tries} times in a row; "
            "check again when no replay is at work",
            next_steps=(NextStep(f"dualgauge check {comparator}", "once the replay is done"),),
        )


class NoSource(UsageError):
    """What was named as one side of a comparison, and cannot be one."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f"{name} cannot be compared: {reason}; name a file (.csv, .tsv, .json, .jsonl, .ndjson, also with .gz, "
            ".parquet), a pattern in quotes, or a table of a database (shop.db#orders, postgresql://host/db#orders)"
        )


class UnreadableLocation(DualgaugeError):
    """A side that is there and cannot be read."""

    def __init__(self, name: str, reason: str, advice: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name} cannot be read: {reason}; {advice}")


class UnclearTable(UsageError):
    """A database of several tables, or of none, and no table named."""

    def __init__(self, name: str, tables: Sequence[str]) -> None:
        self.name, self.tables = name, tuple(tables)
        have = f"it has {listed(tables)}" if tables else "it has none"
        advice = f"name one, as in {name}#{tables[0]}" if tables else "correct the name"
        super().__init__(f"{name}: which table is to be compared is not said, and {have}; {advice}")


class NoKeyGiven(UsageError):
    """
    Nothing says which columns identify a row. `found` are columns that do, on both sides.

    `written` has each of them as `--key` takes it.
    """

    def __init__(
        self, found: Sequence[Sequence[str]], common: Sequence[str], command: str, written: Sequence[str]
    ) -> None:
        self.found, self.common = tuple(tuple(one) for one in found), tuple(common)
        if self.found:
            said = " or ".join(" with ".join(one) for one in self.found)
            advice = f"on both sides {said} is unique and never NULL: give what identifies a row with --key"
        elif self.common:
            advice = (
                f"no column and no pair of columns is unique and never NULL on both sides, of {listed(self.common)}: "
                "give those that identify a row with --key A,B,C"
            )
        else:
            advice = "the two sides have no column in common, so there is nothing to pair their rows by"
        steps = tuple(NextStep(f"{command} --key {shlex.quote(one)}", "compare by it") for one in written[:1])
        super().__init__(f"no key was given, and no primary key is stated on both sides; {advice}", next_steps=steps)


class UnclearColumn(UsageError):
    """A name that stands for several columns, which differ from it by case alone."""

    def __init__(self, field: str, column: str, alike: Sequence[str]) -> None:
        self.field, self.column, self.alike = field, column, tuple(alike)
        super().__init__(
            f"{field} {column}: no column is called so, and {listed(repr(name) for name in alike)} differ from it by "
            "case alone; write one of them as it stands there"
        )


class NoKeyColumn(UsageError):
    """A column of the key that one side lacks."""

    def __init__(self, column: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        self.column, self.name = column, name
        super().__init__(
            f"--key {column}: {name} has no such column{nearest(column, names)}; it has {listed(names) or 'none'}; "
            "give columns that both sides have"
        )
