"""
The journal: who moved which migration, when, from what to what, why, on which evidence.

It is append-only and hash-chained: a row's digest is SHA-256 over the digest of the row before it and the
row's text, so that no row can be changed, removed or moved without every later digest changing. Whoever can
rewrite the whole chain and the migrations with it leaves no trace here: keep the last digest elsewhere too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from dualgauge.ledger.errors import BadJournalText
from dualgauge.ledger.values import MigrationState, percent_text, time_text
from dualgauge.model import canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_PREVIOUS: Final = "0" * 64

EXACT_INTEGER: Final = 2**53 - 1
"""RFC 8785 writes numbers as IEEE 754 doubles do: past this an integer would not be exact."""


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
class JournalRow:
    """
    One row as it is stored. `row` is the canonical JSON of the entry, its number, and the revision it made.

    `seq` is dense from 1. `digest` covers `previous` and `row`, both as UTF-8 text.
    """

    seq: int
    operation_id: str
    previous: str
    digest: str
    row: str

    @property
    def entry(self) -> JournalEntry:
        """The entry that the row holds."""
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
class BadRow:
    """What verification found first. `seq` is 0 when a migration has no row in the journal at all."""

    seq: int
    problem: str


def seal(entry: JournalEntry, *, seq: int, revision: int, rollout: str, previous: str) -> JournalRow:
    """
    Make the row of an entry: row number `seq`, chained to the digest `previous`.

    Raises:
        BadJournalText: a text with a lone surrogate, or an integer beyond 2**53 - 1.
    """
    fields = asdict(entry) | {"at": time_text(entry.at), "seq": seq, "revision": revision, "rollout": rollout}
    for name, value in fields.items():
        _check(name, value)
    # RFC 8785: only strings, exact integers, null and arrays are here, and all keys are ASCII. For these Python's
    # sorted, compact JSON is that form already: the same escapes, and code-point order of keys is UTF-16 order.
    row = canonical_json(fields)
    return JournalRow(seq, entry.operation_id, previous, digest(previous, row), row)


def digest(previous: str, row: str) -> str:
    """Digest of a row's text behind the digest of the row before it, in hex."""
    return sha256(previous + row)


def verify(rows: Iterable[JournalRow], states: Iterable[MigrationState] | None = None) -> BadRow | None:
    """
    Walk the journal from its first row and give the first that does not fit, or None.

    With `states` (all migrations of the ledger, of the same snapshot), each must be what its last row says:
    so a migration changed by hand, and a last row that was removed, are found too.
    """
    previous, made = FIRST_PREVIOUS, dict[str, tuple[int, MigrationState]]()
    for number, row in enumerate(rows, start=1):
        if problem := _problem(row, number, previous):
            return BadRow(number, problem)
        previous = row.digest
        made[row.after.name] = (row.seq, row.after)
    return None if states is None else _disagreement(made, states)


def _problem(row: JournalRow, number: int, previous: str) -> str | None:
    if row.seq != number:
        return f"row {number} is missing: row {row.seq} stands in its place"
    if digest(row.previous, row.row) != row.digest:
        return f"row {number} was changed: its text does not give its digest {row.digest[:12]}"
    if row.previous != previous:
        return f"row {number} does not follow the row before it: a row was removed, inserted or moved"
    try:
        kept, operation_id = json.loads(row.row)["seq"], row.entry.operation_id
    except (ValueError, TypeError, KeyError) as fault:
        return f"row {number} cannot be read as a journal entry: {fault}"
    if (kept, operation_id) != (row.seq, row.operation_id):
        return f"row {number} was moved: its text is of row {kept}, operation {operation_id!r}"
    return None


def _disagreement(made: dict[str, tuple[int, MigrationState]], states: Iterable[MigrationState]) -> BadRow | None:
    present = {state.name: state for state in states}
    for name in sorted(made.keys() | present.keys()):
        seq, said = made.get(name, (0, MigrationState(name)))
        found = present.get(name)
        if found != said:
            is_now = _told(found) if found else "no longer there"
            return BadRow(seq, f"migration {name!r} is {is_now}, and the journal left it {_told(said)}")
    return None


def _told(state: MigrationState) -> str:
    return (
        f"in stage {state.stage} with {percent_text(state.share_ppm)} % "
        f"(revision {state.revision}, rollout {state.rollout}, {state.changed_at})"
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
