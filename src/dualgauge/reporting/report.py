"""A report, put together from its sections and written as three files."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge import __version__
from dualgauge.cutover.errors import joined
from dualgauge.cutover.gates.decide import COVERAGE, decide
from dualgauge.model import NextStep, Outcome
from dualgauge.reporting.errors import OneRunOneReport, ReportNotWritten
from dualgauge.reporting.sections import gather
from dualgauge.reporting.values import Report, ReportFiles
from dualgauge.reporting.words import verdict_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.cutover.values import GateResult
    from dualgauge.ledger.values import MigrationState
    from dualgauge.reporting.stored_runs import StoredRuns
    from dualgauge.reporting.values import ReportSection

HTML, MARKDOWN, JSON = "report.html", "report.md", "report.json"
_FIRST_STAGES: Final = {"off", "backfill", "catchup", "shadow"}


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What is to be reported: some comparators, one run, or (nothing given) the newest run of each comparator."""

    names: Sequence[str] = ()
    run: str | None = None


def make_report(kept: StoredRuns, state: MigrationState, wanted: ReportRequest, *, root: Path, now: datetime) -> Report:
    """
    Put a report together from kept evidence; nothing is written, the ledger least of all.

    Raises:
        NothingToReport, NoSuchReport, UnknownRun, NotADiffOrCheck, OneRunOneReport: there is nothing to be reported so.
    """
    if wanted.run is not None and wanted.names:
        raise OneRunOneReport(wanted.run, wanted.names)
    sections = gather(kept, state.name, root, wanted.names, wanted.run)
    verdict, why = overall(sections, kept.problem)
    notes = [f"the project cannot be read now: {kept.trouble.replace(f'{root}/', '')}"] if kept.trouble else []
    gates = decide(kept.present, kept.limits) if kept.present else ()
    closed = [one for one in gates if not one.passed]
    notes += [f"gate {one.name}: {one.why}" for one in gates if one.name == COVERAGE]
    return Report(
        migration=state.name, made_at=now, version=__version__, verdict=verdict, why=why,
        head=kept.head, stage=state.stage, share_ppm=state.share_ppm, sections=sections, notes=tuple(notes),
        next_steps=tuple(_next_steps(sections, verdict, state, closed)),
    )  # fmt: skip


def write(report: Report, folder: Path, root: Path | None = None) -> ReportFiles:
    """
    Write the three files into a folder, which is made; files of an older report there are replaced.

    Raises:
        ReportNotWritten: the folder cannot be made or written.
    """
    from dualgauge.reporting.html import html
    from dualgauge.reporting.markdown import markdown

    shown = write_all({HTML: html(report), MARKDOWN: markdown(report), JSON: json_text(report)}, folder, root)
    return ReportFiles(report, folder, shown, folder / HTML, folder / MARKDOWN, folder / JSON)


def write_all(texts: Mapping[str, str], folder: Path, root: Path | None) -> str:
    """
    Write files, by their names, into a folder, which is made; gives its path from the root where it lies below.

    Raises:
        ReportNotWritten: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _put(folder / name, text)
    except OSError as fault:
        raise ReportNotWritten(folder, fault.strerror or str(fault)) from fault
    return os.path.relpath(folder, root) if root and folder.is_relative_to(root) else str(folder)


def write_page(text: str, file: Path) -> None:
    """
    Write one page, that of a comparison without a project.

    Raises:
        ReportNotWritten: it cannot be written there.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _put(file, text)
    except OSError as fault:
        raise ReportNotWritten(file, fault.strerror or str(fault), "--report") from fault


def _put(file: Path, text: str) -> None:
    # Whoever looks meanwhile sees the old file or the whole new one.
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_bytes(text.encode("utf-8", "backslashreplace"))
    unfinished.replace(file)


def folder_name(now: datetime) -> str:
    """A new report's folder below `reports`."""
    return f"{now:%Y%m%dT%H%M%SZ}-report-{secrets.token_hex(3)}"


def json_text(report: Report) -> str:
    """The JSON file. A lone surrogate, which UTF-8 has no form for, is written as JSON's escape when it is encoded."""
    return json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def overall(sections: Sequence[ReportSection], problem: str = "") -> tuple[Outcome, tuple[str, ...]]:
    """
    The worst verdict of all, and why; a pass only where each is a pass and its evidence still counts.

    With a `problem` of the journal nothing that was kept can be trusted.
    """
    if problem:
        return Outcome.INCONCLUSIVE, (f"the journal is not what was written, so no evidence can be trusted: {problem}",)
    verdicts = [verdict for one in sections for verdict in _verdicts(one)]
    why = tuple(line for one in sections for line in verdict_lines(one))
    if Outcome.FAIL in verdicts:
        return Outcome.FAIL, why
    return (Outcome.INCONCLUSIVE if why or Outcome.INCONCLUSIVE in verdicts else Outcome.PASS), why


def _verdicts(section: ReportSection) -> Iterator[Outcome]:
    if section.run is not None or section.checked is None:
        yield section.verdict
    if section.checked is not None:
        yield section.checked.verdict


def _next_steps(
    sections: Sequence[ReportSection], verdict: Outcome, state: MigrationState, closed: Sequence[GateResult]
) -> Iterator[NextStep]:
    names = " ".join(shlex.quote(one.name) for one in sections)
    failed = [shlex.quote(one.name) for one in sections if one.verdict is Outcome.FAIL and one.comparison]
    for name in failed:
        yield NextStep(f"dualgauge diff {name} --samples 20", "see more of the rows that differ, with their events")
    stale = [one.name for one in sections if one.run and one.run.standing.counts is not True]
    behind = [one.name for one in sections if one.run and one.run.behind]
    if failed or stale or behind:
        why = "bring the views to their files and to the log's head" if stale or behind else "after a view was mended"
        yield NextStep("dualgauge replay", why)
    if verdict is not Outcome.PASS:
        yield NextStep(f"dualgauge diff {names}", "compare again; the new run is evidence of what is there then")
        if any(one.unchecked or (one.checked and one.checked.verdict is not Outcome.PASS) for one in sections):
            yield NextStep(f"dualgauge check {names}", "run the checks")
        if state.share_ppm:
            yield NextStep("dualgauge rollback", "take all reads back to v1; this is never refused")
    elif closed:
        yield from joined(step for one in closed for step in one.next_steps)
    elif state.stage in _FIRST_STAGES:
        yield NextStep("dualgauge switch --percent 1", "send the first reads to v2")
    yield NextStep("dualgauge status", "see where everything stands now")
