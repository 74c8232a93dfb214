"""
Sealed evidence: a finished run's row, held to the digest that the journal took of it when it was finished.

The journal's seals, in their order, say which runs there are and which is the newest: so a row that was changed,
added, removed or swapped by hand is found, and neither a clock nor a deleted row makes an older run the newest.

A row is digested as the database gives it, a tuple, and read as a run only where somebody asks for the run: all seals
are looked at whenever a gate is, and of thousands of runs a gate goes by a few.
"""

from __future__ import annotations

from dataclasses import dataclass
from json.encoder import encode_basestring
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge.ledger.errors import BrokenRun
from dualgauge.ledger.journal import EvidenceEntry, TamperedRow
from dualgauge.ledger.rows import run_of
from dualgauge.ledger.tables import EVIDENCE
from dualgauge.ledger.values import EvidenceRun, RunState
from dualgauge.model import canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Table

SCHEME: Final = 1
"""Changes whenever what a seal covers changes."""


def sealer(table: Table) -> Callable[[Sequence[Any]], str]:
    """
    What digests a row of a table, given as a tuple in the order of its columns: all of them, as they are stored.

    The text that is digested is the canonical JSON of `[SCHEME, {column: value}]`, put together from what texts and
    numbers look like in it: a third of the time that a dictionary takes on its way through `json`.
    """
    names = [column.name for column in table.columns]
    in_order = itemgetter(*sorted(range(len(names)), key=names.__getitem__))
    form = f"[{SCHEME},{{" + ",".join(f'"{name}":%s' for name in sorted(names)) + "}]"

    def digest(row: Sequence[Any]) -> str:
        return sha256(
            form % tuple([encode_basestring(one) if type(one) is str else _written(one) for one in in_order(row)])
        )

    return digest


def _written(value: object) -> str:
    """The JSON of what is no text; `null` and whole numbers, which nearly all are, the short way."""
    if value is None:
        return "null"
    return repr(value) if type(value) is int else canonical_json(value)


_TOLD: Final = itemgetter(*map(EVIDENCE.columns.keys().index, ("run_id", "kind", "name", "verdict", "evidence_key")))
"""What a run's row and its entry in the journal both say, in the order of the entry."""

seal: Final = sealer(EVIDENCE)
"""Digest over a run's row as it is stored, in hex."""


class Sealed(NamedTuple):
    """
    A finished run that the journal knows: its entry there, in row `seq`, and the run's own row, as it is stored.

    `broken` says what was done to that row since; empty where it is what was sealed. A tuple, as its entry is.
    """

    seq: int
    entry: EvidenceEntry
    kept: EvidenceRun | Sequence[Any] | None
    broken: str = ""

    @property
    def run(self) -> EvidenceRun | None:
        """The run; None where its row is gone or not what was sealed: what it says now is nobody's evidence."""
        return self.kept if self.kept is None or isinstance(self.kept, EvidenceRun) else run_of(_named(self.kept))


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
    All evidence of one snapshot of the ledger. `sealed` is put in the journal's order, oldest first.

    `problem` is what is wrong with the journal itself or with a migration's state; seals are worth nothing then.
    `others` are runs of other migrations, where only those of one were asked for.
    `quarantine` is the first row of the quarantine that is not what was sealed. `end` is the number that the
    journal's next row gets, and the digest that it is chained to: what was looked at, no more and no less.
    """

    sealed: tuple[Sealed, ...] = ()
    strays: tuple[Stray, ...] = ()
    problem: TamperedRow | None = None
    quarantine: TamperedRow | None = None
    end: tuple[int, str] | None = None
    others: tuple[Sealed, ...] = ()

    def __post_init__(self) -> None:
        """Put the runs in order: who asks for the newest takes the last."""
        object.__setattr__(self, "sealed", tuple(sorted(self.sealed, key=attrgetter("seq"))))

    @property
    def first_bad(self) -> TamperedRow | None:
        """What verification says: the journal's own problem, else the first run or row that is not what was sealed."""
        return self.problem or next(self._bad(), self.quarantine)

    def _bad(self) -> Iterator[TamperedRow]:
        for one in self.sealed:
            if one.broken:
                yield TamperedRow(one.seq, one.broken, one.entry.run)
        for stray in self.strays:
            if stray.forged:
                yield TamperedRow(0, forged(stray.run_id, stray.state), stray.run_id)


def forged(run_id: str, state: str) -> str:
    """Say that a run has no seal and should have one."""
    return (
        f"evidence run {run_id} is {state} in the ledger and has no seal in the journal: "
        "it was put in, or its seal was removed, by hand"
    )


def gather(
    seals: Iterable[tuple[int, EvidenceEntry]], runs: Iterable[Sequence[Any]], problem: TamperedRow | None
) -> Evidence:
    """
    Hold the runs' rows and the journal's seals against each other.

    With a `problem` the journal is not read, and of a finished run nothing can be said: none is given.

    Args:
        seals: the journal's, each with its row's number, in their order.
        runs: all rows of the table, as tuples in the order of its columns.
        problem: what is wrong with the journal.
    """
    by_id = {str(row[0]): row for row in runs}
    found = [] if problem else [_held(seq, entry, by_id.get(entry.run)) for seq, entry in seals]
    known = {one.entry.run for one in found}
    strays = [_stray(_named(by_id[run_id])) for run_id in sorted(by_id.keys() - known)]
    return Evidence(tuple(found), tuple(one for one in strays if not (problem and one.forged)), problem)


def _held(seq: int, entry: EvidenceEntry, kept: Sequence[Any] | None) -> Sealed:
    # The row's own words too: of two stories that somebody sealed together, neither is believed.
    if kept is not None and seal(kept) == entry.seal and _TOLD(kept) == entry[3:8]:
        return Sealed(seq, entry, kept)
    told = f"evidence run {entry.run} (sealed as {entry.verdict.value} of {entry.kind.value} {entry.name!r})"
    if kept is None:
        return Sealed(seq, entry, None, f"{told} is gone from the ledger: it was removed by hand")
    return Sealed(seq, entry, None, f"{told} is not what was sealed: its row was changed by hand")


def _named(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(EVIDENCE.columns.keys(), row, strict=True))


def _stray(row: Mapping[str, Any]) -> Stray:
    try:
        run = run_of(row)
    except BrokenRun:
        run = None
    return Stray(
        run_id=str(row["run_id"]), kind=str(row["kind"]), name=str(row["name"]),
        evidence_key=str(row["evidence_key"]), state=str(row["state"]), run=run,
    )  # fmt: skip
