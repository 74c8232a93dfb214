"""
Sealed evidence: a finished run's row, held to the digest that the journal took of it when it was finished.

The journal's seals, in their order, say which runs there are and which is the newest: so a row that was changed,
added, removed or swapped by hand is found, and neither a clock nor a deleted row makes an older run the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dualgauge.ledger.errors import BrokenRun
from dualgauge.ledger.journal import EvidenceEntry, JournalRow, RowKind, TamperedRow
from dualgauge.ledger.rows import run_of
from dualgauge.ledger.values import EvidenceRun, RunState
from dualgauge.model import canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SCHEME: Final = 1
"""Changes whenever what a seal covers changes."""

SEALED: Final = (
    "run_id", "kind", "name", "evidence_key", "bound", "position", "verdict", "state", "started_at", "finished_at",
    "summary", "folder",
)  # fmt: skip
"""The columns of a run's row that its seal covers: all of them, as they are stored."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """
    A finished run that the journal knows: its entry there, in row `seq`, and the run's own row.

    `broken` says what was done to that row since; empty where it is what was sealed. `run` is None where the row is
    gone or not what was sealed: what it says now is nobody's evidence.
    """

    seq: int
    entry: EvidenceEntry
    run: EvidenceRun | None
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Stray:
    """
    A run without a seal, from its row: `running`, `unsealed` (of before evidence was sealed), or put in by hand.

    `state`, `kind` and the rest are what the row says, and are taken for nothing more. `run` is None where it cannot
    be read.
    """

    run_id: str
    kind: str
    name: str
    evidence_key: str
    state: str
    run: EvidenceRun | None

    @property
    def forged(self) -> bool:
        """Whether the row claims what only a sealed run may: that it is finished, or no state that there is."""
        return self.state not in (RunState.RUNNING.value, RunState.UNSEALED.value)


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    All evidence of one snapshot of the ledger. `sealed` is in the journal's order, oldest first.

    `problem` is what is wrong with the journal itself or with a migration's state; seals are worth nothing then.
    """

    sealed: tuple[Sealed, ...] = ()
    strays: tuple[Stray, ...] = ()
    problem: TamperedRow | None = None

    @property
    def first_bad(self) -> TamperedRow | None:
        """What verification says: the journal's own problem, else the first run that is not what was sealed."""
        return self.problem or next(self._bad(), None)

    def _bad(self) -> Iterator[TamperedRow]:
        for one in self.sealed:
            if one.broken:
                yield TamperedRow(one.seq, one.broken, one.entry.run)
        for stray in self.strays:
            if stray.forged:
                yield TamperedRow(0, forged(stray.run_id, stray.state), stray.run_id)


def seal(row: Mapping[Any, Any]) -> str:
    """Digest over a run's row as it is stored, in hex."""
    return sha256(canonical_json([SCHEME, {name: row[name] for name in SEALED}]))


def forged(run_id: str, state: str) -> str:
    """Say that a run has no seal and should have one."""
    return (
        f"evidence run {run_id} is {state} in the ledger and has no seal in the journal: "
        "it was put in, or its seal was removed, by hand"
    )


def gather(rows: Iterable[JournalRow], runs: Iterable[Mapping[Any, Any]], problem: TamperedRow | None) -> Evidence:
    """
    Hold the runs' rows and the journal's seals against each other.

    With a `problem` the journal is not read, and of a finished run nothing can be said: none is given.
    """
    by_id = {str(row["run_id"]): row for row in runs}
    found = [] if problem else [_held(row, by_id) for row in rows if row.kind is RowKind.EVIDENCE]
    known = {one.entry.run for one in found}
    strays = [_stray(row) for run_id, row in sorted(by_id.items()) if run_id not in known]
    return Evidence(tuple(found), tuple(one for one in strays if not (problem and one.forged)), problem)


def _held(row: JournalRow, by_id: Mapping[str, Mapping[Any, Any]]) -> Sealed:
    entry = row.evidence
    told = f"evidence run {entry.run} (sealed as {entry.verdict.value} of {entry.kind.value} {entry.name!r})"
    kept = by_id.get(entry.run)
    if kept is None:
        return Sealed(row.seq, entry, None, f"{told} is gone from the ledger: it was removed by hand")
    if seal(kept) != entry.seal:
        return Sealed(row.seq, entry, None, f"{told} is not what was sealed: its row was changed by hand")
    return Sealed(row.seq, entry, run_of(kept))


def _stray(row: Mapping[Any, Any]) -> Stray:
    try:
        run = run_of(row)
    except BrokenRun:
        run = None
    return Stray(
        run_id=str(row["run_id"]), kind=str(row["kind"]), name=str(row["name"]),
        evidence_key=str(row["evidence_key"]), state=str(row["state"]), run=run,
    )  # fmt: skip
