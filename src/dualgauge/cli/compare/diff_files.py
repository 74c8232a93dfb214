"""The words of `diff OLD NEW`: two sides instead of comparators, and what may be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dualgauge.errors import UsageError
from dualgauge.model import Progress, listed

if TYPE_CHECKING:
    from dualgauge.comparison.files.compare import SourceDiff
    from dualgauge_router.rules import Rule

_BOTH: Final = 2


class UnclearSides(UsageError):
    """Files and comparators together, or not two files."""

    def __init__(self, files: Sequence[str], comparators: Sequence[str]) -> None:
        self.files, self.comparators = tuple(files), tuple(comparators)
        also = f", and {listed(comparators)}, which no file is called" if comparators else ""
        super().__init__(
            f"diff takes the names of comparators, or two files or tables: {listed(files)} was given{also}; "
            "write `dualgauge diff OLD NEW --key COLUMN`, or comparators alone"
        )


class NotForFiles(UsageError):
    """An option of a project's comparators, given with two files."""

    def __init__(self, option: str) -> None:
        self.option = option
        super().__init__(
            f"{option} belongs to a diff of a project's comparators, whose log says what changed; "
            "leave it out, or name comparators alone"
        )


class NotForComparators(UsageError):
    """An option of two files, given without them."""

    def __init__(self, option: str) -> None:
        self.option = option
        super().__init__(
            f"{option} belongs to a diff of two files or tables (`dualgauge diff OLD NEW {option} ...`); "
            "a comparator of the project says it in its own file"
        )


class TwoPlans(UsageError):
    """--paranoid beside another plan."""

    def __init__(self, plan: str) -> None:
        self.plan = plan
        super().__init__(f"--paranoid is the plan wide, and --plan {plan} is another one; give one of the two")


class BadTolerance(UsageError):
    """A tolerance that is no `COLUMN=NUMBER`, or one too many for its column."""

    def __init__(self, option: str, given: str, reason: str) -> None:
        self.option, self.given, self.reason = option, given, reason
        super().__init__(f"{option} {given}: {reason}; write it as {option} COLUMN=0.01, once for each column")


@dataclass(frozen=True, slots=True)
class SidePair:
    """Two sides to be compared without a project."""

    v1: str
    v2: str
    key: Sequence[str]
    rules: Mapping[str, Rule]
    keep: Path | None

    def diff(self, *, samples: int, plan: str | None, memory_limit: str, progress: Progress) -> SourceDiff:
        """Compare them; see `diff_sources`."""
        from dualgauge.comparison.files.compare import diff_sources

        return diff_sources(
            self.v1, self.v2, key=self.key, rules=self.rules, samples=samples, keep=self.keep, plan=plan,
            memory_limit=memory_limit, progress=progress,
        )  # fmt: skip


def pair(
    names: Sequence[str],
    *,
    key: Sequence[str],
    absolute: Sequence[str],
    relative: Sequence[str],
    keep: Path | None,
    report: Path | None = None,
    touched: bool = False,
) -> SidePair | None:
    """
    The two sides that were named; None where these are names of comparators.

    Raises:
        UnclearSides: files and comparators together, or not two.
        NotForComparators: an option that only two files have.
        NotForFiles: an option that they do not have.
        BadTolerance: a tolerance that cannot be read.
    """
    from dualgauge.comparison.files.locations import is_source
    from dualgauge.comparison.files.names import key_of

    files = [name for name in names if is_source(name)]
    if not files:
        given = {"--key": key, "--absolute": absolute, "--relative": relative, "--keep": keep}
        given["--report"] = report
        for option, value in given.items():
            if value:
                raise NotForComparators(option)
        return None
    if len(files) != _BOTH or len(names) != _BOTH:
        raise UnclearSides(files, [name for name in names if name not in files])
    if touched:
        raise NotForFiles("--touched")
    columns = [column for one in key for column in key_of(one)]
    return SidePair(files[0], files[1], columns, _rules(absolute, relative), keep)


def plan_of(plan: str | None, *, paranoid: bool) -> str | None:
    """The plan that was asked for. Raises TwoPlans, NoSuchPlan."""
    from dualgauge.comparison.engine.candidates import DiffPlan

    asked = DiffPlan.named(plan)
    if paranoid and asked not in (None, DiffPlan.WIDE):
        raise TwoPlans(str(asked))
    return DiffPlan.WIDE if paranoid else asked


def write_report(found: SourceDiff, file: Path) -> None:
    """Write what was found as a page. Raises ReportNotWritten."""
    from dualgauge.model import utc_now
    from dualgauge.reporting.html import of_comparison
    from dualgauge.reporting.report import write_page

    name = f"{found.v1} and {found.v2}"
    write_page(of_comparison(found.comparison, name=name, v1=found.v1, v2=found.v2, made_at=utc_now()), file)


def _rules(absolute: Sequence[str], relative: Sequence[str]) -> dict[str, Rule]:
    from dualgauge_router.rules import Absolute, Relative

    rules: dict[str, Rule] = {}
    for option, given, rule in (("--absolute", absolute, Absolute), ("--relative", relative, Relative)):
        for one in given:
            column, mark, text = one.rpartition("=")
            if not mark or not column:
                raise BadTolerance(option, one, "it has no column and number")
            try:
                number, exact = float(text), Decimal(text)
            except (ValueError, InvalidOperation):
                raise BadTolerance(option, one, f"{text!r} is no number") from None
            # To the last digit that was written, which a DOUBLE may not hold.
            limit = number if Decimal(repr(number)) == exact else exact
            if column in rules:
                raise BadTolerance(option, one, f"column {column!r} has a tolerance already")
            rules[column] = rule(limit)
    return rules
