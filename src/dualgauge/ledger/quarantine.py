"""
The quarantine: rows that do not fit, kept with where they stood, why, and their own text.

A row is known by the digest of where it stood and what it said, so one that is found again is the one that is there. It
waits until it is taken into the log, or skipped; either way it stays, and is not asked about again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from dualgauge.ledger.errors import NotWaiting, UnknownRow, WhichRow
from dualgauge.ledger.tables import QUARANTINE
from dualgauge.ledger.values import time_text
from dualgauge.model import canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from dualgauge.ledger.database import Database

SHORT: Final = 12
"""Characters of an id that are shown; fewer are enough to name a row, where they are of one alone."""


class Kind(StrEnum):
    """What a row did not fit into: the log, or a view."""

    INPUT = "input"
    VIEW = "view"


class State(StrEnum):
    """What became of a row. Only one that waits is asked about."""

    WAITING = "waiting"
    TAKEN = "taken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Misfit:
    """
    A row that does not fit.

    Args:
        source: the source it came from.
        place: the file, as event ids call it; empty where there is none.
        row: its number among the place's rows, from 1; None where it has none.
        reason: why it does not fit, as a phrase.
        raw: its text: the line, or the row as JSON.
        line: the line of the file that it begins on, from 1; None where that cannot be told.
        read_as: how the place was read, so that the text can be read again in the same way.
    """

    source: str
    place: str
    row: int | None
    reason: str
    raw: str
    line: int | None = None
    read_as: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """SHA-256 of what identifies it, in hex. The reason does not: settings change it."""
        return sha256(canonical_json({"source": self.source, "place": self.place, "row": self.row, "raw": self.raw}))

    @property
    def where(self) -> str:
        """Its place for a sentence: `data/a.csv row 7 (line 8)`."""
        row = "" if self.row is None else f"row {self.row}"
        return " ".join(one for one in (self.place, row, "" if self.line is None else f"(line {self.line})") if one)


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the quarantine. `id` is that of the row as it was found, whatever its text was mended to."""

    id: str
    kind: Kind
    misfit: Misfit
    state: State
    found_at: datetime
    changed_at: datetime | None = None

    @property
    def short(self) -> str:
        """As much of the id as is shown."""
        return self.id[:SHORT]

    def to_json(self) -> dict[str, object]:
        """Its fields, but for how it was read."""
        of = self.misfit
        return {
            "id": self.id, "kind": self.kind.value, "source": of.source, "place": of.place, "row": of.row,
            "line": of.line, "reason": of.reason, "raw": of.raw, "state": self.state.value,
            "found_at": self.found_at, "changed_at": self.changed_at,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to become of a waiting row. `raw` is its text, where that was mended."""

    id: str
    state: State
    reason: str
    raw: str | None = None


class Quarantine:
    """The rows that do not fit. Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, misfits: Sequence[Misfit], *, at: datetime, kind: Kind = Kind.INPUT) -> int:
        """
        Keep rows, all or none; one that is there stays as it is. Gives how many of them wait now.

        Args:
            misfits: the rows.
            at: when they were found.
            kind: what they do not fit into.
        """
        waiting = 0
        with self._database.writing() as connection:
            for one in misfits:
                state = connection.scalar(select(QUARANTINE.c.state).where(QUARANTINE.c.id == one.id))
                waiting += state in (None, State.WAITING)
                if state is None:
                    connection.execute(
                        QUARANTINE.insert().values(
                            id=one.id, kind=kind.value, source=one.source, place=one.place, row=one.row,
                            reason=one.reason, raw=one.raw, line=one.line, read_as=canonical_json(one.read_as),
                            state=State.WAITING.value, found_at=time_text(at),
                        )
                    )  # fmt: skip
        return waiting

    def rows(self, *, state: State | None = None, source: str | None = None) -> tuple[Kept, ...]:
        """The rows, of one state or source or of all, by source, place and row."""
        with self._database.reading() as connection:
            return _rows(connection, state, source)

    def waiting(self) -> int:
        """How many rows wait."""
        counted = select(func.count()).select_from(QUARANTINE).where(QUARANTINE.c.state == State.WAITING.value)
        with self._database.reading() as connection:
            return int(connection.scalar(counted) or 0)

    def chosen(self, ids: Sequence[str], *, source: str | None = None) -> tuple[Kept, ...]:
        """
        The waiting rows that these ids name, by the beginnings of them; without any, every row that waits.

        Raises:
            UnknownRow, WhichRow: an id names none, or several.
            NotWaiting: a named row is taken or skipped.
        """
        with self._database.reading() as connection:
            if not ids:
                return _rows(connection, State.WAITING, source)
            known = {one.id: one for one in _rows(connection, None, source)}
        found = {one.id: one for one in (known[_named(given, list(known))] for given in ids)}
        for one in found.values():
            if one.state is not State.WAITING:
                raise NotWaiting(one.short, one.state.value)
        return tuple(found.values())

    def settle(self, settled: Iterable[Settled], *, at: datetime) -> None:
        """
        Write what became of rows, all or none.

        A row that is in the log is taken, whatever it was; anything else is said only of a row that still waits.

        Raises:
            NotWaiting: another process took or skipped a row meanwhile.
        """
        with self._database.writing() as connection:
            for one in settled:
                mine = QUARANTINE.c.id == one.id
                state = connection.scalar(select(QUARANTINE.c.state).where(mine))
                if one.state is not State.TAKEN and state != State.WAITING:
                    raise NotWaiting(one.id[:SHORT], str(state))
                values = {"state": one.state.value, "reason": one.reason, "changed_at": time_text(at)}
                if one.raw is not None:
                    values["raw"] = one.raw
                connection.execute(QUARANTINE.update().where(mine).values(**values))


def _rows(connection: Connection, state: State | None, source: str | None) -> tuple[Kept, ...]:
    query = select(QUARANTINE).order_by(QUARANTINE.c.source, QUARANTINE.c.place, QUARANTINE.c.row, QUARANTINE.c.id)
    if state is not None:
        query = query.where(QUARANTINE.c.state == state.value)
    if source is not None:
        query = query.where(QUARANTINE.c.source == source)
    return tuple(_kept(row) for row in connection.execute(query).mappings())


def _kept(row: Mapping[Any, Any]) -> Kept:
    changed = row["changed_at"]
    read_as = json.loads(row["read_as"]) if row["read_as"] else {}
    return Kept(
        id=row["id"], kind=Kind(row["kind"]), state=State(row["state"]),
        misfit=Misfit(row["source"], row["place"], row["row"], row["reason"], row["raw"], row["line"], read_as),
        found_at=datetime.fromisoformat(row["found_at"]),
        changed_at=datetime.fromisoformat(changed) if changed else None,
    )  # fmt: skip


def _named(given: str, known: Sequence[str]) -> str:
    """The one id that begins like what was given."""
    found = [one for one in known if given and one.startswith(given.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise WhichRow(given, [one[:SHORT] for one in found])
    raise UnknownRow(given, [one[: max(SHORT, len(given))] for one in known])
