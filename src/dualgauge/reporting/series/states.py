"""
From the sealed lines of runs to a series: nothing is read but the ledger, and nothing is compared again.

A line that is not what was sealed, that keeps no changes or that compared nothing tells nothing: it is left out and
counted, and makes no difference go or come. Where it is the newest, what an older one found is no verdict any more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from dualgauge import __version__
from dualgauge.comparison.runs.run import CHANGES, CHANGES_LEFT_OUT, DRIFTED
from dualgauge.comparison.runs.run_files import RESULT
from dualgauge.ledger.values import TOUCHED, EvidenceKind, RunState
from dualgauge.model import Outcome, Side, canonical_json, sha256
from dualgauge.reporting.errors import BadEvidence, NoSeries, NoSuchReport
from dualgauge.reporting.series.values import ChangeState, Series, SeriesChange, SeriesRun, Untold
from dualgauge.reporting.stored_runs import document, views_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.cutover.gates.evidence_list import EvidenceLine
    from dualgauge.ledger.values import EvidenceRun
    from dualgauge.reporting.stored_runs import StoredRuns

MOST_EVENTS: Final = 5

_PARTS: Final = {
    "comparator_hash": "the comparator's rules", "configuration_hash": "the project's settings", "log": "the event log",
    "views": "the views that are compared",
}  # fmt: skip

_COUNTS: Final = (
    "rows_v1", "rows_v2", "matched", "expected", "changed", "only_in_v1", "only_in_v2", "unexpected_same", "mismatched",
)  # fmt: skip

_ORDER: Final = (ChangeState.NEW, ChangeState.BACK, ChangeState.GONE, ChangeState.ONGOING, ChangeState.UNKNOWN)

_Name = tuple[str | None, str]
"""A column, None for a whole row, and the way in which it is wrong."""


def series_of(kept: StoredRuns, migration: str, name: str, *, root: Path, now: datetime) -> Series:
    """
    The newest series of a comparator.

    Raises:
        NoSuchReport: neither the project nor a kept run has a comparator of this name.
        NoSeries: no run of it can be told from.
    """
    present = [one.name for one in kept.present.wanted] if kept.present else []
    known = list(dict.fromkeys([*present, *(one.name for one in kept.lines)]))
    if name not in known:
        raise NoSuchReport(name, known)
    if kept.problem:
        raise NoSeries(name, f"the journal is not what was written: {kept.problem}")
    own = [one for one in kept.lines if (one.kind, one.name) == (EvidenceKind.DIFF.value, name)]
    # Oldest first: in the journal's order, and those that are not in it by when they began.
    lines = sorted((one for one in own if one.row), key=lambda one: one.row)
    strays = [one for one in own if not one.row]
    left_out = Counter(reason for one in (*lines, *strays) if (reason := _untold(one)))
    found = [one.run for one in lines if not _untold(one) and one.run is not None]
    if not found:
        said = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise NoSeries(name, said or "it was never compared")
    begin = next((at for at in range(len(found) - 1, 0, -1) if _key(found[at]) != _key(found[at - 1])), 0)
    runs = found[begin:]
    last, told = runs[-1], tuple(map(_run, runs))
    newer = _newer(last, lines, strays)
    return Series(
        migration=migration, comparator=name, made_at=now, version=__version__,
        verdict=Outcome.INCONCLUSIVE if newer else told[-1].verdict,
        why=tuple(map(str, (last.summary or {}).get("why", ()))),  # type: ignore[call-overload]
        runs=told, changes=tuple(_changes(name, runs, told, _events(last, lines, root))),
        changed=tuple(_differing(found[begin - 1], found[begin])) if begin else (), earlier=begin,
        newer=newer, left_out=tuple(sorted(left_out.items())),
    )  # fmt: skip


def _untold(line: EvidenceLine) -> str:
    """Why a run tells nothing; empty where it does."""
    run = line.run
    if run is None:
        return "not what was sealed"
    if not line.row:
        return line.why
    if run.state is not RunState.FINISHED or run.verdict is None:
        return "not finished"
    summary = run.summary or {}
    if not isinstance(summary.get(CHANGES), list):
        return "ended without a comparison, or of an older version"
    # Neither side had a row: what was wrong the night before is not mended by that.
    empty = not any(summary.get(name) for name in ("rows_v1", "rows_v2"))
    return "compared nothing" if empty and run.verdict is Outcome.INCONCLUSIVE else ""


def _newer(last: EvidenceRun, lines: Sequence[EvidenceLine], strays: Sequence[EvidenceLine]) -> tuple[Untold, ...]:
    """The runs after the last one that tells something, oldest first."""
    at = next(at for at, one in enumerate(lines) if one.run_id == last.run_id)
    begun = [one for one in strays if one.run and one.run.started_at > last.started_at]
    found = [*lines[at + 1 :], *sorted(begun, key=lambda one: one.at)]
    return tuple(Untold(one.run_id, one.at, _untold(one)) for one in found)


def _key(run: EvidenceRun) -> dict[str, object]:
    """What is compared: all that a run is bound to but the builds and their texts, which are what is being mended."""
    sides = {side.value: sorted(views_of(run.bound, side)) for side in Side}
    return {"views": sides, **{name: one for name, one in run.bound.items() if name not in sides}}


def _differing(before: EvidenceRun, after: EvidenceRun) -> Iterator[str]:
    one, other = _key(before), _key(after)
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield _PARTS.get(name, name)


def _run(run: EvidenceRun) -> SeriesRun:
    summary: Mapping[str, Any] = run.summary or {}
    ended = run.finished_at
    assert run.verdict is not None  # noqa: S101  (others are left out)
    return SeriesRun(
        run=run.run_id, at=run.started_at, position=run.position, verdict=run.verdict,
        seconds=(ended - run.started_at).total_seconds() if ended else None, touched=TOUCHED in summary,
        drifted=None if TOUCHED in summary else int(summary.get(DRIFTED, 0)),
        definitions={
            f"{side.value}.{view}": str(one.get("definition_hash", ""))[:12]
            for side in Side
            for view, one in views_of(run.bound, side).items()
        },
        **{name: int(summary.get(name, 0)) for name in _COUNTS},
    )  # fmt: skip


def _rows(run: EvidenceRun) -> dict[_Name, int]:
    """How many rows are wrong in each way."""
    found: list[dict[str, Any]] = list((run.summary or {})[CHANGES])  # type: ignore[call-overload]
    return {(one["column"], str(one["change"])): int(one["rows"]) for one in found}


def _changes(
    comparator: str, runs: Sequence[EvidenceRun], told: Sequence[SeriesRun],
    events: Mapping[_Name, tuple[int, ...]],
) -> Iterator[SeriesChange]:  # fmt: skip
    found = [_rows(one) for one in runs]
    made = []
    for name in dict.fromkeys(name for one in found for name in one):
        counts = [rows.get(name, _absent(one, name)) for rows, one in zip(found, runs, strict=True)]
        made.append(_change(comparator, name, told, counts, events.get(name, ())))
    known = [one for one in made if one is not None]
    yield from sorted(known, key=lambda one: (_ORDER.index(one.state), -one.rows, one.column or "", one.change))


def _change(
    comparator: str, name: _Name, runs: Sequence[SeriesRun], counts: Sequence[int | None], events: tuple[int, ...]
) -> SeriesChange | None:
    """A way of being wrong, by the rows that it has in each run; None of one that left some out."""
    state, row = state_of([None if one is None else one > 0 for one in counts])
    if state is None:
        return None
    there = [run for run, count in zip(runs, counts, strict=True) if count]
    *_, before, rows = None, *counts
    return SeriesChange(
        fingerprint=sha256(canonical_json([comparator, *name]))[:16], column=name[0], change=name[1], state=state,
        runs=row, rows=rows or 0, before=before, first=there[0], last=there[-1], events=events if rows else (),
    )  # fmt: skip


def state_of(seen: Sequence[bool | None]) -> tuple[ChangeState | None, int]:
    """
    How something stands in the last of some runs, and in how many up to that it was without a break.

    Args:
        seen: of each run, oldest first, whether it was there; None where the run cannot tell.

    Returns:
        The state; None where it is gone since longer than the last run, and nobody is told of it.
    """
    told = [one for one in seen if one is not None]
    row = next((at for at, one in enumerate(reversed(told)) if not one), len(told))
    if seen[-1] is None:
        return (ChangeState.UNKNOWN if told and told[-1] else None), row
    if row:
        if row > 1:
            return ChangeState.ONGOING, row
        return (ChangeState.BACK if any(told[:-1]) else ChangeState.NEW), row
    return (ChangeState.GONE if len(told) > 1 and told[-2] else None), 0


def _absent(run: EvidenceRun, name: _Name) -> int | None:
    """How many rows a way of being wrong has that a run did not keep; None where that run cannot tell."""
    summary = run.summary or {}
    # No column was compared where no key is on both sides.
    unpaired = name[0] is not None and not summary.get("compared")
    return None if unpaired or summary.get(CHANGES_LEFT_OUT) else 0


def _events(last: EvidenceRun, lines: Sequence[EvidenceLine], root: Path) -> dict[_Name, tuple[int, ...]]:
    """Positions of events behind sampled rows, by the way in which these are wrong; none where the files are gone."""
    line = next(one for one in lines if one.run_id == last.run_id)
    try:
        samples = document(line, root, RESULT).get("mismatches", ())
    except BadEvidence:
        return {}
    found: dict[_Name, list[int]] = {}
    for sample in samples:
        names = list(zip(sample["columns"], sample["changes"], strict=False)) or [(None, sample["kind"])]
        for name in names:
            found.setdefault(name, []).extend(int(event["position"]) for event in sample["events"])
    return {name: tuple(sorted(set(some)))[-MOST_EVENTS:] for name, some in found.items()}
