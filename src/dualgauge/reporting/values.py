"""
What a report says: frozen values, put together once and written three ways (HTML, Markdown, JSON).

Nothing here is escaped or cut: the JSON file holds it whole, the pages make it safe to look at.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  (kept files are read back by these annotations)
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.values import Comparison, Drift  # noqa: TC001  (as above)
from dualgauge.model import AsJson

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from dualgauge.model import NextStep, Outcome

SCHEMA: Final = "dualgauge.report-file/1"
"""Of the JSON file; the number grows when a field is taken away or changes its meaning."""


@dataclass(frozen=True, slots=True)
class Build:
    """
    One build that evidence is of. `now` is the build that readers get at the time of the report, None where unknown.

    `side` is `v1` or `v2`; an adopted table has no build of its own and `build` is then what the evidence says of it.
    """

    side: str
    view: str
    build: int | str | None
    definition_hash: str | None
    now: int | str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether evidence still counts, None where that cannot be told; `why` says why not."""

    counts: bool | None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """
    The run that evidence comes from, as the ledger keeps it.

    `position` is None where the run has none (two files compared), `behind` counts the log's events after it.
    `said` is the verdict that the run ended with, None while it is running. `altered` says, a sentence for each, which
    kept files are no longer those that the run wrote: what they hold is then no evidence.
    """

    run: str
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    position: int | None
    behind: int | None
    said: Outcome | None
    evidence_key: str | None
    comparator_hash: str | None
    checks_hash: str | None
    configuration_hash: str | None
    folder: str | None
    builds: tuple[Build, ...]
    standing: Standing
    altered: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class VerdictReason:
    """One line of why a verdict is what it is. `value`, `limit` and `sample` are empty where the line is a sentence."""

    text: str
    what: str = ""
    value: str = ""
    limit: str = ""
    sample: str = ""
    within: bool | None = None


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One expectation on one view. `success` is None where it could not be looked at; `error` then says why."""

    view: str
    expectation: str
    arguments: Mapping[str, object]
    success: bool | None
    checked: int | None = None
    unexpected: int | None = None
    samples: tuple[object, ...] = ()
    observed: object = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A comparator's newest check run. `results` is None where the files cannot be shown."""

    run: Run
    verdict: Outcome
    why: tuple[VerdictReason, ...]
    results: tuple[CheckLine, ...] | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """One run of a comparator's history. Counts are None where the run gave none; `verdict` is None while it runs."""

    run: str
    at: datetime
    position: int | None
    verdict: Outcome | None
    keys: int | None
    matched: int | None
    expected: int | None
    mismatched: int | None
    shown: bool


@dataclass(frozen=True, slots=True)
class ReportSection:
    """
    One comparator. `run` and `comparison` are of its diff; None where there is none, or none that can be shown.

    `history` is oldest first. `sources` names what was compared where there is no project. `notes` are sentences that
    a reader must know before the figures. `unchecked`: its comparator has checks, and they were never run.
    """

    name: str
    verdict: Outcome
    why: tuple[VerdictReason, ...]
    run: Run | None = None
    comparison: Comparison | None = None
    untraced: str = ""
    checked: Checked | None = None
    drifts: tuple[Drift, ...] = ()
    history: tuple[Earlier, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[str, str] | None = None
    unchecked: bool = False

    @property
    def keys(self) -> int:
        """All keys that were judged, on both sides or one: matched, expected and mismatched add up to it."""
        found = self.comparison
        return found.matched + found.expected + found.mismatched if found else 0


@dataclass(frozen=True, slots=True)
class Report(AsJson):
    """
    The whole of it. `head` is the log's last position; it, the migration's name and state are None without a project.

    `verdict` is the worst of all comparators, and no pass unless all their evidence still counts.
    """

    migration: str | None
    made_at: datetime
    version: str
    verdict: Outcome
    why: tuple[str, ...]
    head: int | None
    stage: str | None
    share_ppm: int | None
    sections: tuple[ReportSection, ...]
    notes: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()

    def to_json(self) -> dict[str, object]:
        """What `report.json` holds: every field by its name, times ISO 8601, nothing cut."""
        return {"schema": SCHEMA, **AsJson.to_json(self)}


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where a report was written; `shown_folder` is its path from the project's root where it lies below."""

    report: Report
    folder: Path
    shown_folder: str
    html: Path
    markdown: Path
    json: Path

    def to_json(self) -> dict[str, object]:
        """What `--format json` gives."""
        return {
            "verdict": self.report.verdict.value,
            "folder": self.shown_folder,
            "files": {"html": self.html.name, "markdown": self.markdown.name, "json": self.json.name},
            "comparators": [
                {
                    "comparator": one.name,
                    "verdict": one.verdict.value,
                    "run": one.run.run if one.run else None,
                    "check_run": one.checked.run.run if one.checked else None,
                }
                for one in self.report.sections
            ],
        }
