"""
The journal: who moved which migration, when, from what to what, why; and which evidence was finished, with its seal.

It is append-only and hash-chained: a row's digest is SHA-256 over the digest of the row before it and the
row's text, so that no row can be changed, removed or moved without every later digest changing. Whoever can
rewrite the whole chain and the migrations with it, or cut off its end with what that end speaks of, leaves no
trace here: keep the last digest elsewhere too.

There are three kinds of rows. A move has a verb. A row of evidence holds `"row": "evidence"` and the digest of a
finished run's row (`dualgauge.ledger.seal`); one of the quarantine holds `"row": "quarantine"` and the digest over all
of its rows' seals. Moves hold no such field: they were there first, and their digests stand.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge.ledger.errors import BadJournalText
from dualgauge.ledger.values import EvidenceKind, MigrationState, percent_text, time_text
from dualgauge.model import Outcome, canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_PREVIOUS: Final = "0" * 64

EXACT_INTEGER: Final = 2**53 - 1
"""RFC 8785 writes numbers as IEEE 754 doubles do: past this an integer would not be exact."""


class RowKind(StrEnum):
    """What a row of the journal tells of."""

    MOVE = "move"
    EVIDENCE = "evidence"
    QUARANTINE = "quarantine"


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


class EvidenceEntry(NamedTuple):
    """
    One run that was finished: whose, what it judged, and `seal`, the digest over all that its row held then.

    `at` is when it was finished, `evidence_key` the fingerprint of what it is bound to. A tuple: thousands of these are
    made at every look at a gate.
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
class QuarantineEntry:
    """
    A change of the quarantine, and what it holds since: `rows`, of which some are `waiting`, and `seal` over all.

    `change` says what was done: `2 added`. `migration` is empty where the ledger's upgrade sealed what was there.
    """

    migration: str
    who: str
    at: datetime
    change: str
    rows: int
    waiting: int
    seal: str


@dataclass(frozen=True, slots=True)
class JournalRow:
    """
    One row as it is stored. `row` is the canonical JSON of the entry, its number, and the revision that a move made.

    `seq` is dense from 1. `digest` covers `previous` and `row`, both as UTF-8 text. Ask `kind` first: a move has
    `entry`, `before` and `after`, a row of evidence has `evidence`, one of the quarantine `quarantine`.
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
            read(self._fields())
        except UNREADABLE as fault:
            return str(fault) or type(fault).__name__
        return ""

    @property
    def migration(self) -> str:
        """Whose row it is; empty where it is of the whole ledger."""
        name: str = self._fields()["migration"]
        return name

    @property
    def at(self) -> datetime:
        """When what it tells of was done."""
        return datetime.fromisoformat(self._fields()["at"])

    @property
    def evidence(self) -> EvidenceEntry:
        """The finished run that the row holds."""
        return evidence_of(self._fields())

    @property
    def quarantine(self) -> QuarantineEntry:
        """The change of the quarantine that the row holds."""
        return quarantine_of(self._fields())

    @property
    def entry(self) -> JournalEntry:
        """The move that the row holds."""
        return move_of(self._fields())

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


UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError)
"""What reading a row's fields raises where other hands wrote them."""


def read(fields: Mapping[str, Any]) -> JournalEntry | EvidenceEntry | QuarantineEntry:
    """
    The entry of a row's fields, of whichever kind it is.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none.
    """
    match fields.get("row", RowKind.MOVE):
        case RowKind.EVIDENCE:
            return evidence_of(fields)
        case RowKind.QUARANTINE:
            return quarantine_of(fields)
        case kind:
            RowKind(kind)
            return move_of(fields)


def move_of(fields: Mapping[str, Any]) -> JournalEntry:
    """The move of a row's fields; raises as `read`."""
    kept = {name: value for name, value in fields.items() if name not in {"seq", "revision", "rollout"}}
    return JournalEntry(**kept | {"at": datetime.fromisoformat(kept["at"]), "evidence": tuple(kept["evidence"])})


def evidence_of(fields: Mapping[str, Any]) -> EvidenceEntry:
    """The finished run of a row's fields; raises as `read`."""
    return EvidenceEntry(
        fields["migration"], fields["who"], datetime.fromisoformat(fields["at"]), fields["run"],
        EvidenceKind(fields["kind"]), fields["name"], Outcome(fields["verdict"]), fields["evidence_key"],
        fields["seal"],
    )  # fmt: skip


def quarantine_of(fields: Mapping[str, Any]) -> QuarantineEntry:
    """The change of the quarantine of a row's fields; raises as `read`."""
    return QuarantineEntry(
        fields["migration"], fields["who"], datetime.fromisoformat(fields["at"]), fields["change"], fields["rows"],
        fields["waiting"], fields["seal"],
    )  # fmt: skip


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
    return _chained(entry._asdict() | made, previous)


def quarantine_row(entry: QuarantineEntry, *, seq: int, previous: str) -> JournalRow:
    """
    Make the row of a change of the quarantine: row number `seq`, chained to the digest `previous`.

    Raises:
        BadJournalText: as `move_row`.
    """
    made = {
        "at": time_text(entry.at), "operation_id": f"quarantine:{seq}", "row": RowKind.QUARANTINE.value, "seq": seq,
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
