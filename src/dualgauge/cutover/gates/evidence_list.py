"""The runs that make evidence, one by one: what each found, and whether the gates go by it now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.runs.run_files import FileState, file_states
from dualgauge.cutover.gates.validity import why_not
from dualgauge.ledger.errors import UnknownRun
from dualgauge.ledger.journal import TamperedRow
from dualgauge.ledger.values import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dualgauge.cutover.gates.validity import Present
    from dualgauge.cutover.values import GateLimits
    from dualgauge.ledger.seal import Evidence, Sealed, Stray
    from dualgauge.ledger.values import EvidenceRun
    from dualgauge.model import Position

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """
    One run as `evidence list` shows it.

    `counts` says whether a gate goes by it now, with a pass as with a fail; None where the project's files could not
    be read, so that nobody can tell. `why` says why it does not. `at` is when it finished, else when it began. `run`
    is None where its row is gone, or is not what was sealed. `row` is the journal's row that seals it, 0 for none.
    """

    run_id: str
    kind: str
    name: str
    at: datetime
    verdict: str
    counts: bool | None
    why: str
    row: int = 0
    who: str = ""
    position: Position | None = None
    run: EvidenceRun | None = field(default=None, hash=False)

    def to_json(self) -> dict[str, object]:
        """What `--format json` lists."""
        return {
            "run": self.run_id, "kind": self.kind, "name": self.name, "at": self.at, "position": self.position,
            "verdict": self.verdict or None, "counts": self.counts, "why": self.why, "journal_row": self.row or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class EvidenceShown:
    """One run in whole: its line, and what became of its files."""

    line: EvidenceLine
    files: Mapping[str, FileState] = field(hash=False)

    def to_json(self) -> dict[str, object]:
        """What `--format json` shows."""
        run = self.line.run
        return {
            **self.line.to_json(),
            "who": self.line.who or None,
            "state": run.state.value if run else None,
            "started_at": run.started_at if run else None,
            "finished_at": run.finished_at if run else None,
            "evidence_key": run.evidence_key if run else None,
            "bound": dict(run.bound) if run else None,
            "summary": run.summary if run else None,
            "folder": run.folder if run else None,
            "files": {name: state.value for name, state in self.files.items()},
        }


def lines(evidence: Evidence, present: Present | None, limits: GateLimits) -> list[EvidenceLine]:
    """All runs, newest first. Without `present`, whether a run counts cannot be told."""
    found = [*(_sealed(one, present, limits) for one in evidence.sealed), *(_stray(one) for one in evidence.strays)]
    return sorted(found, key=lambda one: (one.at, one.row, one.run_id), reverse=True)


def chosen(
    found: Sequence[EvidenceLine], *, name: str | None = None, kind: str | None = None, limit: int | None = None
) -> tuple[EvidenceLine, ...]:
    """Some of the lines: of one comparator, of one kind, at most `limit`."""
    fitting = [one for one in found if name in (None, one.name) and kind in (None, one.kind)]
    return tuple(fitting[:limit])


def show(found: Sequence[EvidenceLine], run_id: str, root: Path) -> EvidenceShown:
    """
    One run of the lines, with the state of its files below the project's root.

    Raises:
        UnknownRun: there is none of this id.
    """
    for one in found:
        if one.run_id == run_id:
            run = one.run
            files = file_states(root / run.folder, run.summary) if run and run.folder else {}
            return EvidenceShown(one, files)
    raise UnknownRun(run_id)


def changed_file(evidence: Evidence, root: Path) -> TamperedRow | None:
    """The first file below `reports` that is not what its sealed run wrote; a file that is gone is none."""
    return next(_changed(evidence, root), None)


def _changed(evidence: Evidence, root: Path) -> Iterator[TamperedRow]:
    for one in evidence.sealed:
        run = one.run
        if run is None or run.folder is None:
            continue
        for name, state in file_states(root / run.folder, run.summary).items():
            if state is FileState.CHANGED:
                problem = f"{run.folder}/{name} is not what evidence run {run.run_id} wrote: it was changed by hand"
                yield TamperedRow(one.seq, problem, run.run_id)


def _sealed(one: Sealed, present: Present | None, limits: GateLimits) -> EvidenceLine:
    entry = one.entry
    counts: bool | None = None
    why = ""
    if present is not None:
        wanted = {(each.kind, each.name): each for each in present.wanted}
        why = why_not(present, wanted.get((entry.kind, entry.name)), one, limits)
        counts = not why
    return EvidenceLine(
        run_id=entry.run, kind=entry.kind.value, name=entry.name, at=entry.at, verdict=entry.verdict.value,
        counts=counts, why=why or one.broken, row=one.seq, who=entry.who,
        position=one.run.position if one.run else None, run=one.run,
    )  # fmt: skip


def _stray(one: Stray) -> EvidenceLine:
    why = {RunState.RUNNING.value: "did not finish", RunState.UNSEALED.value: "made before evidence was sealed"}
    run = one.run
    verdict = run.verdict.value if run and run.verdict else ""
    return EvidenceLine(
        run_id=one.run_id, kind=one.kind, name=one.name, at=(run.finished_at or run.started_at) if run else _NEVER,
        verdict=verdict, counts=False, why=why.get(one.state, "put in by hand: it has no seal"),
        position=run.position if run else None, run=run,
    )  # fmt: skip
