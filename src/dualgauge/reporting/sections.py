"""
From kept runs to a report's sections: which runs, what they found, and what that amounts to now.

Nothing is compared again and nothing is written. What was changed since a run is told and not shown as evidence.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.runs.run_files import RESULT
from dualgauge.comparison.values import Comparison, Drift
from dualgauge.ledger.errors import UnknownRun
from dualgauge.ledger.values import EvidenceKind, RunState
from dualgauge.model import Outcome, listed
from dualgauge.reporting.errors import BadEvidence, NoSuchReport, NotADiffOrCheck, NothingToReport
from dualgauge.reporting.from_json import read_as
from dualgauge.reporting.stored_runs import document, removed, run_of
from dualgauge.reporting.values import Checked, CheckLine, Earlier, ReportSection, Run, VerdictReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from dualgauge.cutover.gates.evidence_list import EvidenceLine
    from dualgauge.reporting.stored_runs import StoredRuns

CHECK_FILE: Final = "check.json"
MOST_HISTORY: Final = 24
"""So many runs of a comparator are in its history, the newest ones."""

BOUND: Final = re.compile(
    r"(?P<what>.+): (?P<value>[\d,]+) rows?, (?P<word>over|within) the limit of (?P<limit>[\d,]+) "
    r"\((?P<sample>[\d,]+) keys? compared\)",
    re.DOTALL,
)
_COUNTS: Final = ("matched", "expected", "mismatched")


def gather(
    kept: StoredRuns, migration: str, root: Path, names: Sequence[str] = (), run: str | None = None
) -> tuple[ReportSection, ...]:
    """
    The sections of a report: one run by its id, or the newest finished runs of the named comparators, or of all.

    Raises:
        UnknownRun, NoSuchReport, NotADiffOrCheck: what was asked for is not there.
        NothingToReport: no run was ever kept.
    """
    if run is not None:
        return (_one(kept, root, run),)
    if not kept.lines and not kept.problem:
        raise NothingToReport(migration)
    present = [one.name for one in kept.present.wanted] if kept.present else []
    found = [one.name for one in kept.lines]
    known = list(dict.fromkeys([*present, *(found if names or not present else ())]))
    for name in names:
        if name not in known:
            raise NoSuchReport(name, known)
    sections = [
        _section(name, _newest(kept, EvidenceKind.DIFF, name), _newest(kept, EvidenceKind.CHECK, name), kept, root)
        for name in names or known
    ]
    checks = {one.name for one in kept.present.wanted if one.kind is EvidenceKind.CHECK} if kept.present else set()
    return tuple(replace(one, unchecked=one.checked is None and one.name in checks) for one in sections)


def reason(text: str) -> VerdictReason:
    """One line of a verdict's why; those that give a value and its limit are taken apart."""
    found = BOUND.fullmatch(text)
    if not found:
        return VerdictReason(text)
    return VerdictReason(
        text, found["what"], found["value"], found["limit"], found["sample"], found["word"] == "within"
    )


def drifts_of(section: ReportSection) -> tuple[Drift, ...]:
    """The columns of a section that drifted."""
    return tuple(one for one in section.drifts if one.notes)


def _one(kept: StoredRuns, root: Path, run: str) -> ReportSection:
    line = next((one for one in kept.lines if one.run_id == run), None)
    if line is None:
        raise UnknownRun(run)
    match line.kind:
        case EvidenceKind.DIFF.value:
            return _section(line.name, line, None, kept, root)
        case EvidenceKind.CHECK.value:
            return _section(line.name, None, line, kept, root)
        case other:
            raise NotADiffOrCheck(run, other)


def _of(kept: StoredRuns, kind: EvidenceKind, name: str) -> list[EvidenceLine]:
    return [one for one in kept.lines if (one.kind, one.name) == (kind.value, name)]


def _unfinished(line: EvidenceLine) -> bool:
    return line.run is not None and line.run.state is RunState.RUNNING


def _newest(kept: StoredRuns, kind: EvidenceKind, name: str) -> EvidenceLine | None:
    """The run that a gate goes by, else the newest finished one, else the newest: a wrong clock decides nothing."""
    own = _of(kept, kind, name)
    finished = [one for one in own if not _unfinished(one)]
    return next((one for one in own if one.counts), next(iter(finished or own), None))


def _section(
    name: str, diff: EvidenceLine | None, check: EvidenceLine | None, kept: StoredRuns, root: Path
) -> ReportSection:
    checked = _checked(check, kept, root) if check else None
    history = tuple(_earlier(one, diff) for one in reversed(_of(kept, EvidenceKind.DIFF, name)[:MOST_HISTORY]))
    notes = tuple(note for one in (diff, check) if one for note in _notes(one, kept, root))
    if diff is None:
        verdict = checked.verdict if checked else Outcome.INCONCLUSIVE
        never = () if checked else (VerdictReason("it was never compared"),)
        return ReportSection(name, verdict, never, checked=checked, history=history, notes=notes)
    run = run_of(diff, kept, root)
    found, faults = _document(diff, run, root, RESULT)
    comparison = None
    if found:
        try:
            comparison = read_as(Comparison, found)
        except BadEvidence as fault:
            faults = (f"{RESULT} is not what a diff writes: {fault}",)
    verdict, why = _judged(diff, run, faults)
    return ReportSection(
        name, verdict, why,
        run=run, comparison=comparison, untraced=str(found.get("untraced", "")), checked=checked,
        drifts=comparison.drifts if comparison else (), history=history, notes=notes,
    )  # fmt: skip


def _document(line: EvidenceLine, run: Run, root: Path, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A run's file, empty where it has none to show; and why what the run wrote is not there any more."""
    if run.altered or run.error or _unfinished(line):
        return {}, run.altered
    try:
        return document(line, root, name), ()
    except BadEvidence as fault:
        return {}, (str(fault),)


def _judged(line: EvidenceLine, run: Run, faults: Sequence[str]) -> tuple[Outcome, tuple[VerdictReason, ...]]:
    """The verdict of a run as a reader may take it: one whose findings cannot be shown is no pass and no fail."""
    if _unfinished(line):
        return Outcome.INCONCLUSIVE, (VerdictReason("the run is not finished: it is still running, or was cut off"),)
    if faults:
        said = f"; the verdict was {run.said.value}" if run.said else ""
        return Outcome.INCONCLUSIVE, tuple(VerdictReason(f"no evidence any more: {one}{said}") for one in faults)
    if run.error:
        return Outcome.INCONCLUSIVE, (VerdictReason(f"the run could not look: {run.error}"),)
    lines = (line.run.summary or {}).get("why") if line.run else None
    why = tuple(reason(str(one)) for one in lines) if isinstance(lines, list) else ()
    return run.said or Outcome.INCONCLUSIVE, why


def _checked(line: EvidenceLine, kept: StoredRuns, root: Path) -> Checked:
    run = run_of(line, kept, root)
    found, faults = _document(line, run, root, CHECK_FILE)
    results = None
    if found:
        try:
            given = found.get("results")
            results = tuple(
                read_as(CheckLine, one, f"results[{at}]")
                for at, one in enumerate(given if isinstance(given, list) else ())
            )
        except BadEvidence as fault:
            faults = (f"{CHECK_FILE} is not what a check writes: {fault}",)
    verdict, why = _judged(line, run, faults)
    return Checked(run, verdict, why, results)


def _notes(line: EvidenceLine, kept: StoredRuns, root: Path) -> Iterator[str]:
    """What a reader must know before the figures: files that are gone, and later runs that did not finish."""
    gone = [name for name in removed(line, root) if name not in {RESULT, CHECK_FILE}]
    if gone:
        yield f"removed since the {line.kind}: {listed(gone)}; the figures are those of the run all the same"
    own = _of(kept, EvidenceKind(line.kind), line.name)
    later = [one.run_id for one in own[: own.index(line)] if _unfinished(one)]
    if later:
        yield f"begun after the {line.kind} shown, and not finished (still running, or cut off): {listed(later, 3)}"


def _earlier(line: EvidenceLine, shown: EvidenceLine | None) -> Earlier:
    run = line.run
    found = (run.summary or {}) if run else {}
    counts = {name: count if isinstance(count := found.get(name), int) else None for name in _COUNTS}
    parts = [part for part in counts.values() if part is not None]
    return Earlier(
        run=line.run_id, at=run.started_at if run else line.at, position=line.position,
        verdict=run.verdict if run else None, keys=sum(parts) if len(parts) == len(counts) else None,
        **counts, shown=shown is not None and line.run_id == shown.run_id,
    )  # fmt: skip
