"""
The quarantine's seals: a digest of each row as dualgauge wrote it, and in the journal one over all of these.

Whether a row waits decides a gate, so a row that was changed, put in or removed by hand must be found, and named. The
seals name it; the journal vouches for the seals. A change seals the rows that it writes, and no others: so it makes
nothing good that other hands did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from dualgauge.ledger import journal
from dualgauge.ledger.errors import TamperedQuarantine
from dualgauge.ledger.journal import QuarantineEntry, TamperedRow
from dualgauge.ledger.journal_rows import append, end, last_quarantine
from dualgauge.ledger.misfit import SHORT, RowState
from dualgauge.ledger.seal import sealer
from dualgauge.ledger.tables import QUARANTINE, QUARANTINE_SEAL
from dualgauge.model import canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

BEFORE_SEALS: Final = "0004"
"""The revision whose rows have no seals yet."""

_AT_ONCE: Final = 500
"""How many ids a statement names."""

seal: Final = sealer(QUARANTINE)
"""Digest over a row as it is stored, in hex."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed the quarantine, for which migration, when, and how: `2 added`."""

    migration: str
    who: str
    at: datetime
    change: str


def record(connection: Connection, ids: Sequence[str], change: Change) -> None:
    """
    Seal rows as they are now, and write the row of the journal.

    Raises:
        TamperedQuarantine: the seals are not those that the journal left.
    """
    seals, last = _seals(connection), last_quarantine(connection)
    if problem := _untrue(seals, last):
        raise TamperedQuarantine(problem)
    for row in _stored(connection, ids):
        of = {"id": row[0], "seal": seal(row)}
        if row[0] in seals:
            connection.execute(QUARANTINE_SEAL.update().where(QUARANTINE_SEAL.c.id == row[0]).values(of))
        else:
            connection.execute(QUARANTINE_SEAL.insert().values(of))
        seals[row[0]] = of["seal"]
    counted = select(QUARANTINE.c.state, func.count()).group_by(QUARANTINE.c.state)
    states: dict[str, int] = dict(connection.execute(counted).all())
    entry = QuarantineEntry(
        migration=change.migration, who=change.who, at=change.at, change=change.change, rows=sum(states.values()),
        waiting=states.get(RowState.WAITING.value, 0), seal=total(seals.items()),
    )  # fmt: skip
    seq, previous = end(connection)
    append(connection, journal.quarantine_row(entry, seq=seq, previous=previous))


def total(seals: Iterable[tuple[Any, Any]]) -> str:
    """Digest over all seals, in hex: in whatever order they come."""
    return sha256("[" + ",".join(sorted(canonical_json(pair) for pair in seals)) + "]")


def verify(connection: Connection, revision: str, last: tuple[int, QuarantineEntry] | None) -> TamperedRow | None:
    """
    The first thing in the quarantine that dualgauge did not write.

    Args:
        connection: a snapshot.
        revision: the ledger's.
        last: the journal's last change of the quarantine, with its row's number; None without any.
    """
    if revision == BEFORE_SEALS and last is None:
        return None
    seq = last[0] if last else 0
    seals = {} if revision == BEFORE_SEALS else _seals(connection)
    problem = next(_changed(connection.execute(select(QUARANTINE)).all(), seals, seals), "") or _untrue(seals, last)
    return TamperedRow(seq, problem) if problem else None


def changed(connection: Connection, ids: Iterable[str]) -> Iterator[str]:
    """Say of some rows which are not what was sealed."""
    wanted = list(ids)
    seals = _seals(connection)
    return _changed(_stored(connection, wanted), seals, [one for one in wanted if one in seals])


def _changed(rows: Iterable[Sequence[Any]], seals: dict[Any, str], wanted: Iterable[Any]) -> Iterator[str]:
    """Of rows, and of the seals that are `wanted`, what is not what was sealed."""
    there = set()
    for row in rows:
        there.add(row[0])
        if row[0] not in seals:
            yield f"{_named(row)} has no seal: it was put in, or its seal was removed, by hand"
        elif seal(row) != seals[row[0]]:
            yield f"{_named(row)} is not what was sealed: it was changed by hand"
    for one in wanted:
        if one not in there:
            yield f"row {str(one)[:SHORT]} of the quarantine is gone: it was removed by hand"


def _named(row: Sequence[Any]) -> str:
    """A row for a sentence: its short id, its source, and its state as the row says it."""
    of = dict(zip(QUARANTINE.columns.keys(), row, strict=True))
    return f"row {str(of['id'])[:SHORT]} of the quarantine ({of['state']}, of {of['source']!r})"


def _untrue(seals: dict[Any, str], last: tuple[int, QuarantineEntry] | None) -> str:
    """Say that the seals are not those that the journal left; empty where they are."""
    if total(seals.items()) == (last[1].seal if last else total(())):
        return ""
    if last is None:
        return "the quarantine has seals that no row of the journal knows: they were put in by hand"
    return f"the quarantine's seals are not what row {last[0]} of the journal left: they were changed by hand"


def _seals(connection: Connection) -> dict[Any, str]:
    return dict(connection.execute(select(QUARANTINE_SEAL.c.id, QUARANTINE_SEAL.c.seal)).all())


def _stored(connection: Connection, ids: Iterable[str]) -> list[Sequence[Any]]:
    wanted = sorted(set(ids))
    return [
        row
        for at in range(0, len(wanted), _AT_ONCE)
        for row in connection.execute(select(QUARANTINE).where(QUARANTINE.c.id.in_(wanted[at : at + _AT_ONCE])))
    ]
