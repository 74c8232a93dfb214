"""What a report may refuse; each sentence ends in the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError, UsageError
from dualgauge.model import NextStep, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DIFF = NextStep("dualgauge diff", "compare what the sides answer, and keep it as evidence")


class NothingToReport(UsageError):
    """No run was ever kept."""

    def __init__(self, migration: str) -> None:
        self.migration = migration
        super().__init__(
            f"there is nothing to report of migration {migration!r}: no run was kept yet; compare the sides first",
            next_steps=(DIFF,),
        )


class NoSuchReport(UsageError):
    """A name that is neither a comparator of the project nor one of a kept run."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = list(known)
        self.name = name
        super().__init__(
            f"there is no comparator {name!r}{nearest(name, names)}; those of this project are {listed(names)}"
        )


class NoSeries(UsageError):
    """No run of a comparator tells how it stands."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f"there is no series of {name!r} to be reported: {reason}; compare the sides first", next_steps=(DIFF,)
        )


class SeriesAlone(UsageError):
    """A series was asked for, and something else with it."""

    def __init__(self, series: str, others: Iterable[str]) -> None:
        self.series = series
        super().__init__(f"--series {series} is a report by itself; leave {listed(others)} out, or --series")


class OneRunOneReport(UsageError):
    """A run and names of comparators were both asked for."""

    def __init__(self, run: str, names: Iterable[str]) -> None:
        self.run = run
        super().__init__(f"--run {run} says already what is reported; leave {listed(names)} out, or --run")


class NotADiffOrCheck(UsageError):
    """A run of a kind that has no page."""

    def __init__(self, run: str, kind: str) -> None:
        self.run, self.kind = run, kind
        super().__init__(f"run {run!r} is of kind {kind}; a report is made of a diff or a check: name one of those")


class ReportNotWritten(DualgaugeError):
    """The files could not be written. `option` is what names another place."""

    def __init__(self, place: Path, reason: str, option: str = "--output") -> None:
        self.place, self.reason, self.option = place, reason, option
        super().__init__(f"the report cannot be written to {place}: {reason}; give another place with {option}")


class NotPruned(DualgaugeError):
    """Folders of old runs could not be removed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"reports were not pruned: {reason}; see to that, then run the command again",
            next_steps=(NextStep("dualgauge doctor", "see what is in order and what is not"),),
        )


class BadEvidence(DualgaugeError):
    """A kept file is not what the tool writes. `place` is a path inside the document."""

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place} {reason}")
