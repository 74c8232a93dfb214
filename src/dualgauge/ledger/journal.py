"""
The journal: who moved which migration, when, from what to what, why; and which evidence was finished, with its seal.

It is append-only and hash-chained: a row's digest is SHA-256 over the digest of the row before it and the
row's text, so that no row can be changed, removed or moved without every later digest changing. Whoever can
rewrite the whole chain and the migrations with it, or cut off its end with what that end speaks of, leaves no
trace here: keep the last digest elsewhere too.

There are two kinds of rows. A move has a verb. A row of evidence holds `"row": "evidence"` and the digest of a
finished run's row (`dualgauge.ledger.seal`). Moves hold no such field: they were there first, and their digests stand.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from dualgauge.ledger.errors import BadJournalText
from dualgauge.ledger.values import EvidenceKind, MigrationState, percent_text, time_text
from dualgauge.model import Outcome, canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_PREVIOUS: Final = "0" * 64

EXACT_INTEGER: Final = 2**53 - 1
"""RFC 8785 writes numbers as IEEE 754 doubles do: past this an integer would not be exact."""


class RowKind(StrEnum):
    """What a row of the journal tells of."""

    MOVE = "move"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One move of one migration. `evidence` holds the run ids or evidence keys that it rests on."""

    migration: str
    verb: str
    who: str
    at: datetime
    from_stage: str
    from_share_ppm: int
    to_stage: str
    to_share_ppm: int
    operation_id: str
    reason: str | None = None
    evidence: tuple[str, ...] = ()

    @property
    def did(self) -> str:
        """The move as a phrase, for sentences."""
        return (
            f"bring {self.migration!r} to stage {self.to_stage} with {percent_text(self.to_share_ppm)} % by {self.verb}"
        )


@dataclass(frozen=True, slots=True)
class EvidenceEntry:
    """
    One run that was finished: whose, what it judged, and `seal`, the digest over all that its row held then.

    `at` is when it was finished, `evidence_key` the fingerprint of what it is bound to.
    """

    migration: str
    who: str
    at: datetime
    run: str
    kind: EvidenceKind
    name: str
    verdict: Outcome
    evidence_key: str
    seal: str

    @property
    def operation_id(self) -> str:
        """The id of the row: a run is sealed once."""
        return f"evidence:{self.run}"


@dataclass(frozen=True, slots=True)
class JournalRow:
    """
    One row as it is stored. `row` is the canonical JSON of the entry, its number, and the revision that a move made.

    `seq` is dense from 1. `digest` covers `previous` and `row`, both as UTF-8 text. Ask `kind` first: a move has
    `entry`, `before` and `after`, a row of evidence has `evidence`.
    """

    seq: int
    operation_id: str
    previous: str
    digest: str
    row: str

    @property
    def kind(self) -> RowKind:
        """What the row tells of."""
        return RowKind(self._fields().get("row", RowKind.MOVE))

    @property
    def unreadable(self) -> str:
        """Why the row is no entry, changed by other hands; empty where it is one."""
        try:
            if self.kind is RowKind.EVIDENCE:
                self.evidence  # noqa: B018  (reading it is the question)
            else:
                self.entry, self.after  # noqa: B018
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            return str(fault) or type(fault).__name__
        return ""

    @property
    def migration(self) -> str:
        """Whose row it is."""
        name: str = self._fields()["migration"]
        return name

    @property
    def evidence(self) -> EvidenceEntry:
        """The finished run that the row holds."""
        kept = self._fields()
        return EvidenceEntry(
            migration=kept["migration"],
            who=kept["who"],
            at=datetime.fromisoformat(kept["at"]),
            run=kept["run"],
            kind=EvidenceKind(kept["kind"]),
            name=kept["name"],
            verdict=Outcome(kept["verdict"]),
            evidence_key=kept["evidence_key"],
            seal=kept["seal"],
        )

    @property
    def entry(self) -> JournalEntry:
        """The move that the row holds."""
        kept = self._fields()
        kept["at"] = datetime.fromisoformat(kept["at"])
        kept["evidence"] = tuple(kept["evidence"])
        return JournalEntry(
            **{name: value for name, value in kept.items() if name not in {"seq", "revision", "rollout"}}
        )

    @property
    def before(self) -> MigrationState:
        """The state that the move started from; when that was made is not in this row."""
        kept = self._fields()
        return MigrationState(
            kept["migration"], kept["from_stage"], kept["from_share_ppm"], kept["rollout"], kept["revision"] - 1
        )

    @property
    def after(self) -> MigrationState:
        """The state that the move made."""
        kept = self._fields()
        at = datetime.fromisoformat(kept["at"])
        return MigrationState(
            kept["migration"], kept["to_stage"], kept["to_share_ppm"], kept["rollout"], kept["revision"], at
        )

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.row)
        return fields


@dataclass(frozen=True, slots=True)
class TamperedRow:
    """
    What verification found first.

    `seq` is 0 when a migration, or a finished run, has no row in the journal at all. `run` names the run whose
    evidence is concerned, if it is one.
    """

    seq: int
    problem: str
    run: str | None = None


def move_row(entry: JournalEntry, *, seq: int, revision: int, rollout: str, previous: str) -> JournalRow:
    """
    Make the row of a move: row number `seq`, chained to the digest `previous`.

    Raises:
        BadJournalText: a text with a lone surrogate, or an integer beyond 2**53 - 1.
    """
    made = {"at": time_text(entry.at), "seq": seq, "revision": revision, "rollout": rollout}
    return _chained(asdict(entry) | made, previous)


def evidence_row(entry: EvidenceEntry, *, seq: int, previous: str) -> JournalRow:
    """
    Make the row of a finished run: row number `seq`, chained to the digest `previous`.

    Raises:
        BadJournalText: as `move_row`.
    """
    made = {
        "at": time_text(entry.at), "kind": entry.kind.value, "operation_id": entry.operation_id,
        "row": RowKind.EVIDENCE.value, "seq": seq, "verdict": entry.verdict.value,
    }  # fmt: skip
    return _chained(asdict(entry) | made, previous)


def _chained(fields: dict[str, Any], previous: str) -> JournalRow:
    for name, value in fields.items():
        _check(name, value)
    # RFC 8785: only strings, exact integers, null and arrays are here, and all keys are ASCII. For these Python's
    # sorted, compact JSON is that form already: the same escapes, and code-point order of keys is UTF-16 order.
    row = canonical_json(fields)
    return JournalRow(fields["seq"], fields["operation_id"], previous, digest(previous, row), row)


def digest(previous: str, row: str) -> str:
    """Digest of a row's text behind the digest of the row before it, in hex."""
    return sha256(previous + row)


def verify(rows: Iterable[JournalRow], states: Iterable[MigrationState] | None = None) -> TamperedRow | None:
    """
    Walk the journal from its first row and give the first that does not fit, or None.

    A move must start from where the last one led: else a share that was written by hand would be made good by the
    next move. One that takes all reads back mends it, since that needs no proof.

    With `states` (all migrations of the ledger, of the same snapshot), each must be what its last row says:
    so a migration changed by hand, and a last row that was removed, are found too.
    """
    previous, made = FIRST_PREVIOUS, dict[str, tuple[int, MigrationState]]()
    loose: dict[str, TamperedRow] = {}
    for number, row in enumerate(rows, start=1):
        if problem := _problem(row, number, previous):
            return TamperedRow(number, problem)
        previous = row.digest
        if row.kind is RowKind.MOVE:
            name, before = row.after.name, row.before
            _, left = made.get(name, (0, MigrationState(name)))
            if before != replace(left, changed_at=None):
                problem = f"row {number} found migration {name!r} {_told(before)}, where no row before it led"
                loose.setdefault(name, TamperedRow(number, problem))
            if row.after.share_ppm == 0:
                loose.pop(name, None)
            made[name] = (row.seq, row.after)
    if loose:
        return min(loose.values(), key=lambda bad: bad.seq)
    return None if states is None else _disagreement(made, states)


def _problem(row: JournalRow, number: int, previous: str) -> str | None:
    if row.seq != number:
        return f"row {number} is missing: row {row.seq} stands in its place"
    if digest(row.previous, row.row) != row.digest:
        return f"row {number} was changed: its text does not give its digest {row.digest[:12]}"
    if row.previous != previous:
        return f"row {number} does not follow the row before it: a row was removed, inserted or moved"
    if fault := row.unreadable:
        return f"row {number} cannot be read as a journal entry: {fault}"
    entry = row.entry if row.kind is RowKind.MOVE else row.evidence
    kept, operation_id = json.loads(row.row).get("seq"), entry.operation_id
    if (kept, operation_id) != (row.seq, row.operation_id):
        return f"row {number} was moved: its text is of row {kept}, operation {operation_id!r}"
    return None


def _disagreement(made: dict[str, tuple[int, MigrationState]], states: Iterable[MigrationState]) -> TamperedRow | None:
    present = {state.name: state for state in states}
    for name in sorted(made.keys() | present.keys()):
        seq, said = made.get(name, (0, MigrationState(name)))
        found = present.get(name)
        if found != said:
            is_now = _told(found) if found else "no longer there"
            return TamperedRow(seq, f"migration {name!r} is {is_now}, and the journal left it {_told(said)}")
    return None


def _told(state: MigrationState) -> str:
    at = f", {state.changed_at}" if state.changed_at else ""
    return (
        f"in stage {state.stage} with {percent_text(state.share_ppm)} % "
        f"(revision {state.revision}, rollout {state.rollout}{at})"
    )


def _check(name: str, value: object) -> None:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as fault:
                raise BadJournalText(name, "holds a character that has no UTF-8 form (a lone surrogate)") from fault
        case int():
            if abs(value) > EXACT_INTEGER:
                raise BadJournalText(name, f"is {value}, which JSON cannot hold exactly")
        case tuple():
            for part in value:
                _check(name, part)
