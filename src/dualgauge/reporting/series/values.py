"""What a report of a series holds. Nothing of it is a value of a row, so all of it may be sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dualgauge.model import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from dualgauge.model import Outcome


class ChangeState(StrEnum):
    """
    How a way of being wrong stands in the last run, by the runs before it.

    `unknown`: the last run cannot tell. It had too many of them to keep them all, and this one is not among those that
    it kept; or no key was on both sides, and this one is of a column.
    """

    NEW = "new"
    BACK = "back"
    GONE = "gone"
    ONGOING = "ongoing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SeriesRun(AsJson):
    """
    One run of a series. Counts are of rows, or of keys where the comparison pairs rows by them.

    `definitions` has the text's hash of each view that was compared, by its label, `v2.orders`. A run that was
    `touched` looked at some rows: `rows_v1`, `rows_v2`, `matched` and `expected` are of those, `drifted` is None.
    """

    run: str
    at: datetime
    position: int | None
    verdict: Outcome
    seconds: float | None
    rows_v1: int
    rows_v2: int
    matched: int
    expected: int
    changed: int
    only_in_v1: int
    only_in_v2: int
    unexpected_same: int
    mismatched: int
    drifted: int | None
    touched: bool
    definitions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SeriesChange(AsJson):
    """
    A way of being wrong, over the runs of a series: in one `column`, or None for rows that one side lacks.

    `change` is what a row shows by itself (see `ChangeCount`), so that it is the same one each night, whatever other
    rows there are; `fingerprint` names it by the comparator, the column and the change. `runs` counts the runs up to
    the last in which it was there without a break. `rows` are those of the last run, `before` those of the run before
    it; None where that did not keep them. `events` are positions of events behind sampled rows, at most five, where
    the last run's files are there.
    """

    fingerprint: str
    column: str | None
    change: str
    state: ChangeState
    runs: int
    rows: int
    before: int | None
    first: SeriesRun
    last: SeriesRun
    events: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Untold(AsJson):
    """A run that tells nothing, and why."""

    run: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Series(AsJson):
    """
    The runs of one comparator that compare the same thing, oldest first, and what the last of them found.

    `changed` says what is compared otherwise than in the runs before the first; empty where there are none.
    `left_out` says which runs could not be told from, with their number. `earlier` counts the runs before the first.
    `why` are the last run's reasons. `newer` are the runs after it, which tell nothing: with one there, what the last
    found is no verdict, and `verdict` is inconclusive.
    """

    migration: str
    comparator: str
    made_at: datetime
    version: str
    verdict: Outcome
    why: tuple[str, ...]
    runs: tuple[SeriesRun, ...]
    changes: tuple[SeriesChange, ...]
    newer: tuple[Untold, ...] = ()
    changed: tuple[str, ...] = ()
    earlier: int = 0
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def last(self) -> SeriesRun:
        """The last run."""
        return self.runs[-1]

    def of(self, state: ChangeState) -> tuple[SeriesChange, ...]:
        """Those that stand so, the most rows first."""
        return tuple(one for one in self.changes if one.state is state)

    @property
    def headline(self) -> str:
        """What changed since the run before, in a line; and first of all, if that is not of the newest run."""
        if self.newer:
            *_, newest = self.newer
            return f"the newest run, {newest.run}, tells nothing: {newest.why}; in {self.last.run}, {self._found}"
        return self._found

    @property
    def _found(self) -> str:
        counted = [(state, len(self.of(state))) for state in ChangeState]
        grown = sum(one.before is not None and one.rows > one.before for one in self.of(ChangeState.ONGOING))
        more = {ChangeState.ONGOING: f" ({grown} of them in more rows)"} if grown else {}
        found = ", ".join(f"{count} {state.value}{more.get(state, '')}" for state, count in counted if count)
        if len(self.runs) == 1:
            return f"the first run of this series: {found or 'no difference'}"
        return f"since the run before: {found}" if found else "since the run before: no difference, as in that one"


@dataclass(frozen=True, slots=True)
class SeriesFiles:
    """Where a report of a series was written; `shown_folder` is its path from the project's root if it lies below."""

    series: Series
    folder: Path
    shown_folder: str
    html: Path
    markdown: Path
    json: Path
    junit: Path

    def to_json(self) -> dict[str, object]:
        """What `--format json` gives."""
        found, counts = self.series, {state.value: len(self.series.of(state)) for state in ChangeState}
        names = {"html": self.html, "markdown": self.markdown, "json": self.json, "junit": self.junit}
        return {
            "verdict": found.verdict.value, "comparator": found.comparator, "runs": len(found.runs),
            "changes": counts, "folder": self.shown_folder, "files": {name: one.name for name, one in names.items()},
        }  # fmt: skip
