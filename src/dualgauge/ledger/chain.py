"""
Walking the journal: every digest, every link, every entry, at every look at a gate.

Rows come as plain tuples, and each row's text is read once: five thousand of them take less time than opening a file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dualgauge.ledger.journal import (
    FIRST_PREVIOUS,
    UNREADABLE,
    EvidenceEntry,
    QuarantineEntry,
    TamperedRow,
    read,
)
from dualgauge.ledger.routing import RoutingSaid, RoutingVerb
from dualgauge.ledger.rows import state_of
from dualgauge.ledger.values import EvidenceKind, percent_text
from dualgauge.model import Outcome
from dualgauge_router.decision import READING_V2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_STATE = ("stage", "share_ppm", "rollout", "revision", "changed_at")

_NEVER = ("off", 0, "v2", 0, None)


# The canonical JSON of a row of evidence, a group for each of its values. Most rows are of evidence, and this takes a
# fifth of the time that `json` and a dictionary take.
_SEALED: Final = re.compile(
    r'\{"at":"([^"]*)","evidence_key":"([^"]*)","kind":"([^"]*)","migration":"([^"]*)","name":"([^"]*)",'
    r'"operation_id":"([^"]*)","row":"evidence","run":"([^"]*)","seal":"([^"]*)","seq":([1-9][0-9]*),'
    r'"verdict":"([^"]*)","who":"([^"]*)"\}'
).fullmatch

_KINDS: Final = {one.value: one for one in EvidenceKind}

_VERDICTS: Final = {one.value: one for one in Outcome}


@dataclass(frozen=True, slots=True)
class ChainReading:
    """
    What a walk found: the first `problem`, else None; the seals in the journal's order; the quarantine's last change.

    `routing` is what it says of routing. With a problem the rest is what came before it, and worth nothing.
    """

    problem: TamperedRow | None
    seals: Sequence[tuple[int, EvidenceEntry]] = ()
    quarantine: tuple[int, QuarantineEntry] | None = None
    routing: RoutingSaid = field(default_factory=RoutingSaid)


def walk(rows: Iterable[Sequence[Any]], states: Iterable[Sequence[Any]] | None = None) -> ChainReading:
    """
    Walk the journal from its first row, and give the first that does not fit.

    A move must start from where the last one led: else a share that was written by hand would be made good by the
    next move. One that takes all reads back mends it, since that needs no proof.

    With `states` each migration must be what its last row says, value by value: so a migration changed by hand, and a
    last row that was removed, are found too.

    Args:
        rows: the journal's, in the order of `seq`, with the columns in the order of the table.
        states: all migrations of the ledger, of the same snapshot, likewise.
    """
    previous, moves = FIRST_PREVIOUS, _Moves()
    seals: list[tuple[int, EvidenceEntry]] = []
    quarantine: tuple[int, QuarantineEntry] | None = None
    for number, (seq, operation_id, before, digest, text) in enumerate(rows, start=1):
        if seq != number:
            return _bad(number, f"is missing: row {seq} stands in its place")
        if not _digested(before, text, digest):
            return _bad(number, f"was changed: its text does not give its digest {str(digest)[:12]}")
        if before != previous:
            return _bad(number, "does not follow the row before it: a row was removed, inserted or moved")
        previous = digest
        try:
            if quick := sealed_run(text):
                told = quick[0]
                seals.append((seq, quick[1]))
            else:
                fields = json.loads(text)
                entry, told = read(fields), (fields.get("seq"), fields.get("operation_id"))
                if isinstance(entry, EvidenceEntry):
                    seals.append((seq, entry))
                elif isinstance(entry, QuarantineEntry):
                    quarantine = (seq, entry)
                else:
                    moves.add(seq, fields)
        except UNREADABLE as fault:
            return _bad(number, f"cannot be read as a journal entry: {str(fault) or type(fault).__name__}")
        if told != (seq, operation_id):
            return _bad(number, f"was moved: its text is of row {told[0]}, operation {told[1]!r}")
    return ChainReading(moves.problem(states), seals, quarantine, moves.routing)


def _bad(number: int, what: str) -> ChainReading:
    return ChainReading(TamperedRow(number, f"row {number} {what}"))


def _digested(before: object, text: object, digest: object) -> bool:
    return isinstance(before, str) and isinstance(text, str) and sha256((before + text).encode()).hexdigest() == digest


def sealed_run(text: str) -> tuple[tuple[int, str], EvidenceEntry] | None:
    """
    Read the text of a row of evidence as it is nearly always: its number and operation id, and its entry.

    None where it is another row, or where a text in it has an escape: that takes the way through `json`.

    Raises:
        KeyError, ValueError: it is such a row, and what it says is none of its kinds, verdicts or times.
    """
    found = None if "\\" in text else _SEALED(text)
    if found is None:
        return None
    at, key, kind, migration, name, operation_id, run, seal, seq, verdict, who = found.groups()
    entry = EvidenceEntry(
        migration, who, datetime.fromisoformat(at), run, _KINDS[kind], name, _VERDICTS[verdict], key, seal
    )
    return (int(seq), operation_id), entry


@dataclass(frozen=True, slots=True)
class _Moves:
    """What the moves of the journal made: of each migration the last row's number, and what its state is since."""

    made: dict[str, tuple[int, tuple[Any, ...]]] = field(default_factory=dict)
    loose: dict[str, TamperedRow] = field(default_factory=dict)
    routing: RoutingSaid = field(default_factory=RoutingSaid)

    def add(self, seq: int, fields: Mapping[str, Any]) -> None:
        name, verb = fields["migration"], fields["verb"]
        known = self.made.get(name, (0, _NEVER))[1][:4]
        # A file that is applied may name another rollout, while no read is on v2.
        rollout = known[2] if verb == RoutingVerb.APPLY and fields["from_share_ppm"] == 0 else fields["rollout"]
        found = (fields["from_stage"], fields["from_share_ppm"], rollout, fields["revision"] - 1)
        self.routing.add(seq, fields)
        if found != known:
            problem = f"row {seq} found migration {name!r} {_told(found)}, where no row before it led"
            self.loose.setdefault(name, TamperedRow(seq, problem))
        if fields["to_share_ppm"] == 0 and fields["to_stage"] not in READING_V2:
            self.loose.pop(name, None)
        after = (fields["to_stage"], fields["to_share_ppm"], fields["rollout"], fields["revision"], fields["at"])
        self.made[name] = (seq, after)

    def problem(self, states: Iterable[Sequence[Any]] | None) -> TamperedRow | None:
        """The first move that starts from nowhere, else the first migration that is not what its last move made."""
        if self.loose:
            return min(self.loose.values(), key=lambda bad: bad.seq)
        if states is None:
            return None
        present = {str(name): tuple(row) for name, *row in states}
        for name in sorted(self.made.keys() | present.keys()):
            seq, said = self.made.get(name, (0, _NEVER))
            if present.get(name) != said:
                is_now = _told(present[name]) if name in present else "no longer there"
                return TamperedRow(seq, f"migration {name!r} is {is_now}, and the journal left it {_told(said)}")
        return None


def _told(values: Sequence[Any]) -> str:
    state = state_of({"name": "", "changed_at": None} | dict(zip(_STATE, values, strict=False)))
    at = f", {state.changed_at}" if state.changed_at else ""
    return (
        f"in stage {state.stage} with {percent_text(state.share_ppm)} % "
        f"(revision {state.revision}, rollout {state.rollout}{at})"
    )
