"""Numbers, times and findings in words: the same ones on the page and in Markdown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.values import SchemaVerdict
from dualgauge.ledger.values import percent_text
from dualgauge.model import Outcome, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.comparison.values import Comparison, Mismatch, SchemaColumn
    from dualgauge.reporting.values import ReportSection, Standing

SIGNS: Final = {Outcome.PASS: "✓", Outcome.FAIL: "✕", Outcome.INCONCLUSIVE: "?", None: "…"}
"""A verdict as a sign; None is a run that is not finished."""

_LEAST, _MOST = 0.001, 0.999


def share(part: int, whole: int) -> str:
    """A share in percent: never 100 % while one is missing, never 0 % while one is there."""
    if not whole:
        return "-"
    if part in (0, whole):
        return "0 %" if part == 0 else "100 %"
    found = part / whole
    if found < _LEAST:
        return "< 0.1 %"
    return "> 99.9 %" if found > _MOST else f"{found * 100:.1f} %"


def percent(share_ppm: int) -> str:
    """A share of reads, exactly."""
    return f"{percent_text(share_ppm)} %"


def behind_text(behind: int) -> str:
    """How far behind the log's head, in words."""
    return f"{plural(behind, 'event')} behind" if behind else "at the head"


def when(at: datetime) -> str:
    """A time to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def schema_differences(found: Comparison) -> list[tuple[SchemaColumn, str]]:
    """Columns that are not the same on both sides, each with what that means."""
    return [(one, _schema_words(one)) for one in found.schema if one.verdict is not SchemaVerdict.SAME or one.lost]


def _schema_words(one: SchemaColumn) -> str:
    match one.verdict:
        case SchemaVerdict.ONLY_IN_V1:
            return "only in v1, not compared"
        case SchemaVerdict.ONLY_IN_V2:
            return "only in v2, not compared"
        case SchemaVerdict.INCOMPARABLE:
            return "no common type, not compared"
        case _:
            lost = f"; {plural(one.lost, 'value')} do not fit it exactly" if one.lost else ""
            return f"compared as {one.common_type}{lost}"


def columns_of(one: Mismatch) -> list[str]:
    """The columns of a sampled row: the key, those that differ, the others, as both sides have them."""
    names = dict.fromkeys([*(one.v1 or {}), *(one.v2 or {})])
    rest = [name for name in names if name not in one.key and name not in one.columns]
    return [*one.key, *one.columns, *rest]


def standing_text(standing: Standing) -> str:
    """Whether evidence still counts, in a few words."""
    words = {True: "still counts", False: "does not count any more", None: "cannot be told whether it still counts"}
    return words[standing.counts]


def verdict_lines(section: ReportSection) -> Iterator[str]:
    """Why a section's diff is no pass, a sentence each; nothing where it is one that counts."""
    found = section.comparison
    if found is None or section.verdict is Outcome.INCONCLUSIVE:
        if section.run is not None or section.checked is None:
            yield f"{section.name}: {section.why[0].text if section.why else 'could not tell'}"
    elif section.verdict is Outcome.FAIL:
        first = next((one for one in section.why if one.within is not True), None)
        if found.mismatched:
            yield f"{section.name}: {found.mismatched:,} of {section.keys:,} keys are mismatched"
        if first is not None and (first.within is None or not found.mismatched):
            yield f"{section.name}: {first.text}"
    if found is not None and section.run is not None and section.run.standing.counts is not True:
        yield f"{section.name}: the diff {standing_text(section.run.standing)}: {section.run.standing.why[0]}"
    yield from _check_lines(section)


def _check_lines(section: ReportSection) -> Iterator[str]:
    checked = section.checked
    if section.unchecked:
        yield f"{section.name}: its checks were never run"
    if checked is None:
        return
    failed = sum(1 for one in checked.results or () if one.success is False)
    if failed:
        yield f"{section.name}: {failed:,} of {len(checked.results or ()):,} checks failed"
    elif checked.verdict is not Outcome.PASS:
        yield f"{section.name}: the checks: {checked.why[0].text if checked.why else checked.verdict.value}"
    if checked.results is not None and checked.run.standing.counts is not True:
        yield f"{section.name}: the check run {standing_text(checked.run.standing)}: {checked.run.standing.why[0]}"
