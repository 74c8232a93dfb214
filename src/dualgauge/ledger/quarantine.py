"""
The quarantine: rows that do not fit, kept with where they stood, why, and their own text.

A row is known by the digest of where it stood and what it said, so one that is found again is the one that is there. It
waits until it is taken into the log, or skipped; either way it stays, and is not asked about again.

Each change seals the rows that it wrote, and is a row of the journal: see `quarantine_seal`.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from dualgauge.ledger.errors import NotWaiting, TamperedQuarantine, UnknownRow, WhichRow
from dualgauge.ledger.misfit import SHORT, Misfit, QuarantinedRow, RejectedBy, RowState
from dualgauge.ledger.quarantine_seal import BEFORE_SEALS, Change, changed, record
from dualgauge.ledger.tables import QUARANTINE
from dualgauge.ledger.values import time_text
from dualgauge.model import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from dualgauge.ledger.access import Access
    from dualgauge.ledger.misfit import Settled


class Quarantine:
    """The rows that do not fit. Each call is one transaction; the journal says who did, for which migration."""

    def __init__(self, access: Access, migration: str = "", who: str = "") -> None:
        self._access, self._migration, self._who = access, migration, who

    def add(self, misfits: Sequence[Misfit], *, at: datetime, kind: RejectedBy = RejectedBy.INPUT) -> int:
        """
        Keep rows, all or none; one that is there stays as it is. Gives how many of them wait now.

        Args:
            misfits: the rows.
            at: when they were found.
            kind: what they do not fit into.

        Raises:
            TamperedQuarantine: the seals that are there are not dualgauge's.
        """
        waiting, added = 0, list[str]()
        with self._access.writing() as connection:
            for one in misfits:
                state = connection.scalar(select(QUARANTINE.c.state).where(QUARANTINE.c.id == one.id))
                waiting += state in (None, RowState.WAITING)
                if state is None:
                    connection.execute(
                        QUARANTINE.insert().values(
                            id=one.id, kind=kind.value, source=one.source, place=one.place, row=one.row,
                            reason=one.reason, raw=one.raw, line=one.line, read_as=canonical_json(one.read_as),
                            state=RowState.WAITING.value, found_at=time_text(at),
                        )
                    )  # fmt: skip
                    added.append(one.id)
            self._record(connection, f"{len(added):,} added", added, at)
        return waiting

    def rows(self, *, state: RowState | None = None, source: str | None = None) -> tuple[QuarantinedRow, ...]:
        """The rows, of one state or source or of all, by source, place and row."""
        with self._access.reading() as connection:
            return _rows(connection, state, source)

    def waiting(self) -> int:
        """How many rows wait."""
        counted = select(func.count()).select_from(QUARANTINE).where(QUARANTINE.c.state == RowState.WAITING.value)
        with self._access.reading() as connection:
            return int(connection.scalar(counted) or 0)

    def chosen(self, ids: Sequence[str], *, source: str | None = None) -> tuple[QuarantinedRow, ...]:
        """
        The waiting rows that these ids name, by the beginnings of them; without any, every row that waits.

        Raises:
            UnknownRow, WhichRow: an id names none, or several.
            NotWaiting: a named row is taken or skipped.
            TamperedQuarantine: one of the rows was changed by hand.
        """
        with self._access.reading() as connection:
            known = {one.id: one for one in _rows(connection, None if ids else RowState.WAITING, source)}
            found = {one.id: one for one in (known[_named(given, list(known))] for given in ids)} if ids else known
            for one in found.values():
                if one.state is not RowState.WAITING:
                    raise NotWaiting(one.short, one.state.value)
            self._refuse_changed(connection, found)
        return tuple(found.values())

    def settle(self, settled: Iterable[Settled], *, at: datetime) -> None:
        """
        Write what became of rows, all or none.

        A row that is in the log is taken, whatever it was; anything else is said only of a row that still waits.

        Raises:
            NotWaiting: another process took or skipped a row meanwhile.
            TamperedQuarantine: one of the rows, or the seals of all, were changed by hand.
        """
        with self._access.writing() as connection:
            rows, states = list(settled), Counter[str]()
            self._refuse_changed(connection, [one.id for one in rows])
            for one in rows:
                mine = QUARANTINE.c.id == one.id
                state = connection.scalar(select(QUARANTINE.c.state).where(mine))
                if one.state is not RowState.TAKEN and state != RowState.WAITING:
                    raise NotWaiting(one.id[:SHORT], str(state))
                values = {"state": one.state.value, "reason": one.reason, "changed_at": time_text(at)}
                if one.raw is not None:
                    values["raw"] = one.raw
                connection.execute(QUARANTINE.update().where(mine).values(**values))
                states["retried" if one.state is RowState.WAITING else one.state.value] += 1
            change = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
            self._record(connection, change, [one.id for one in rows], at)

    def _refuse_changed(self, connection: Connection, ids: Iterable[str]) -> None:
        """What is read from a row that was changed by hand would be made good by what is written then."""
        if self._access.revision(connection) == BEFORE_SEALS:
            return
        if problem := next(changed(connection, ids), ""):
            raise TamperedQuarantine(problem)

    def _record(self, connection: Connection, change: str, ids: Sequence[str], at: datetime) -> None:
        if ids:
            record(connection, ids, Change(self._migration, self._who, at, change))


def _rows(connection: Connection, state: RowState | None, source: str | None) -> tuple[QuarantinedRow, ...]:
    query = select(QUARANTINE).order_by(QUARANTINE.c.source, QUARANTINE.c.place, QUARANTINE.c.row, QUARANTINE.c.id)
    if state is not None:
        query = query.where(QUARANTINE.c.state == state.value)
    if source is not None:
        query = query.where(QUARANTINE.c.source == source)
    return tuple(_kept(row) for row in connection.execute(query).mappings())


def _kept(row: Mapping[Any, Any]) -> QuarantinedRow:
    settled_at = row["changed_at"]
    try:
        read_as = json.loads(row["read_as"]) if row["read_as"] else {}
        return QuarantinedRow(
            id=row["id"], kind=RejectedBy(row["kind"]), state=RowState(row["state"]),
            misfit=Misfit(row["source"], row["place"], row["row"], row["reason"], row["raw"], row["line"], read_as),
            found_at=datetime.fromisoformat(row["found_at"]),
            changed_at=datetime.fromisoformat(settled_at) if settled_at else None,
        )  # fmt: skip
    except (ValueError, TypeError) as fault:
        problem = f"row {str(row['id'])[:SHORT]} of the quarantine cannot be read ({fault}): it was changed by hand"
        raise TamperedQuarantine(problem) from fault


def _named(given: str, known: Sequence[str]) -> str:
    """The one id that begins like what was given."""
    found = [one for one in known if given and one.startswith(given.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise WhichRow(given, [one[:SHORT] for one in found])
    raise UnknownRow(given, [one[: max(SHORT, len(given))] for one in known])
