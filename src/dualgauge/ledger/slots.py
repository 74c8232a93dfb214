"""
Slots: when each schedule was due, who runs it, and what came of it. Any number of processes may run one schedule.

A slot is claimed for as long as a lease lasts, and each claim raises the slot's epoch. What a runner writes asserts its
epoch in the transaction that writes (`Fenced`): one that was stopped past its lease and woken again writes nothing. A
lease counts by one clock for all hosts, the server's, where the ledger is on one.
"""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, select

from dualgauge.ledger.access import Access
from dualgauge.ledger.clock import lease_clock
from dualgauge.ledger.errors import ClaimLost, NoSlot, SlotHeld
from dualgauge.ledger.outbox.outbox import write
from dualgauge.ledger.slot_values import Claim, Pause, Slot, SlotsNow, SlotState
from dualgauge.ledger.tables import PROGRESS, SCHEDULE, SLOT
from dualgauge.ledger.values import time_text
from dualgauge.model import is_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

    from dualgauge.ledger.outbox.values import News, Teller
    from dualgauge.ledger.slot_values import LaidSlot

LEASE: Final = dt.timedelta(seconds=60)
"""For how long a claim holds, unless it is renewed."""

DEATHS: Final = 2
"""The runner that died as so many-th over one slot was the last."""


class Slots:
    """The slots of one migration. Each call is one transaction."""

    def __init__(self, access: Access, migration: str, teller: Teller | None = None) -> None:
        self._access, self._migration, self._teller = access, migration, teller

    def lay(
        self, schedule: str, timetable: str, since: datetime, choose: Callable[[SlotsNow], Sequence[LaidSlot]]
    ) -> tuple[Slot, ...]:
        """
        Write which slots there are now; gives those that wait to be run, in order.

        A schedule is laid from when it was first seen, was given another timetable, or was resumed for the last time.

        Args:
            schedule: its name.
            timetable: its times, as a text: where it is another one, what waits is skipped.
            since: from when on, where it is seen for the first time, or with this timetable.
            choose: gives the slots that are new or change.
        """
        with self._access.reading() as connection:
            if not self._changes(connection, schedule, timetable, choose):
                return self._waiting(connection, schedule)
        with self._access.writing() as connection:
            row = self._row(connection, schedule)
            if row is None or row.timetable != timetable:
                self._begin(connection, schedule, timetable, since)
            self._bury(connection, schedule)
            found = self._now(connection, schedule)
            if found is not None:
                self._write(connection, schedule, choose(found))
            return self._waiting(connection, schedule)

    def _changes(
        self, connection: Connection, schedule: str, timetable: str, choose: Callable[[SlotsNow], Sequence[LaidSlot]]
    ) -> bool:
        """Whether laying would write: asked without the lock, which is of all writers."""
        if not inspect(connection).has_table(SCHEDULE.name):
            return True
        row = self._row(connection, schedule)
        if row is None or row.timetable != timetable or self._dead(connection, schedule):
            return True
        found = self._now(connection, schedule)
        return found is not None and bool(choose(found))

    def look(self, schedule: str, timetable: str) -> SlotsNow | None:
        """What a schedule's slots are, as `lay` would find them; None where it was not seen with this timetable."""
        with self._access.reading() as connection:
            row = self._row(connection, schedule) if inspect(connection).has_table(SCHEDULE.name) else None
            return self._now(connection, schedule) if row is not None and row.timetable == timetable else None

    def claim(self, schedule: str, due: datetime, holder: str) -> Claim:
        """
        Take a slot, to run it: one that waits, or that nobody ran.

        Raises:
            SlotHeld: somebody runs it, or another slot of the schedule.
            NoSlot: there is no such row, or it has ended otherwise.
        """
        with self._access.writing() as connection:
            self._bury(connection, schedule)
            running = self._running(connection, schedule)
            if running:
                raise SlotHeld(schedule, running[0])
            here = self._here(schedule) & (SLOT.c.due == time_text(due))
            values = {
                "state": SlotState.CLAIMED.value, "epoch": SLOT.c.epoch + 1, "holder": holder, "why": "",
                "lease_until": time_text(lease_clock(connection) + LEASE), "began": time_text(lease_clock(connection)),
            }  # fmt: skip
            free = SLOT.c.state.in_([SlotState.DUE, SlotState.MISSED, SlotState.SKIPPED])
            epoch = connection.execute(SLOT.update().where(here, free).values(values).returning(SLOT.c.epoch)).scalar()
            if epoch is None:
                raise NoSlot(schedule, due)
            return Claim(self._migration, schedule, due, holder, epoch)

    def renew(self, claim: Claim) -> None:
        """
        Hold a claim for as long again.

        Raises:
            ClaimLost: somebody has taken it.
        """
        with self._access.writing() as connection:
            until = time_text(lease_clock(connection) + LEASE)
            _update(connection, claim, {"lease_until": until})

    def finish(
        self, claim: Claim, exit_code: int, why: str, *, news: Sequence[News] = (),
        progress: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """
        Write what a slot came to, and the news of it.

        Args:
            claim: the slot.
            exit_code: of the first step that did not end with 0.
            why: what each step found.
            news: what is told of it, where that is a change.
            progress: the positions of the views and of the log's head now, kept for `progress`.

        Raises:
            ClaimLost: somebody has taken it: what they find counts.
        """
        with self._access.writing() as connection:
            ended = {"state": SlotState.DONE.value, "exit_code": exit_code, "why": why}
            _update(connection, claim, {**ended, "ended": time_text(lease_clock(connection))})
            write(connection, self._migration, news)
            if progress is not None:
                self._keep_progress(connection, claim.schedule, *progress)

    def progress(self, schedule: str) -> tuple[int, int] | None:
        """The positions of the views and of the log's head when a schedule last ended a slot; None before."""
        with self._access.reading() as connection:
            if not inspect(connection).has_table(PROGRESS.name):
                return None
            of = PROGRESS.c
            mine = (of.migration == self._migration) & (of.schedule == schedule)
            row = connection.execute(select(of.position, of.head).where(mine)).one_or_none()
            return None if row is None else (row.position, row.head)

    def _keep_progress(self, connection: Connection, schedule: str, position: int, head: int) -> None:
        mine = (PROGRESS.c.migration == self._migration) & (PROGRESS.c.schedule == schedule)
        connection.execute(PROGRESS.delete().where(mine))
        row = {"migration": self._migration, "schedule": schedule, "position": position, "head": head}
        connection.execute(PROGRESS.insert().values(row))

    def give_back(self, claim: Claim) -> None:
        """
        Let another one run the slot.

        Raises:
            ClaimLost: somebody does already.
        """
        with self._access.writing() as connection:
            _update(connection, claim, {"state": SlotState.DUE.value, "lease_until": None, "began": None})

    def pause(self, schedule: str, pause: Pause | None, now: datetime) -> None:
        """Let nothing of a schedule be run, or with None run it again: what was due meanwhile is due no more."""
        with self._access.writing() as connection:
            if self._row(connection, schedule) is None:
                self._begin(connection, schedule, "", now)
            values = {
                "paused_by": pause.who if pause else None, "paused_at": time_text(pause.at) if pause else None,
                "pause_reason": pause.reason if pause else None,
            }  # fmt: skip
            if pause is None:
                values["laid_until"] = time_text(now)
                self._skip_waiting(connection, schedule, "the schedule was paused")
            connection.execute(SCHEDULE.update().where(self._of(schedule)).values(values))

    def paused(self, schedule: str) -> Pause | None:
        """Whether a schedule is paused."""
        with self._access.reading() as connection:
            row = self._row(connection, schedule) if inspect(connection).has_table(SCHEDULE.name) else None
            if row is None or row.paused_at is None:
                return None
            return Pause(row.paused_by, dt.datetime.fromisoformat(row.paused_at), row.pause_reason)

    def is_running(self, schedule: str) -> bool:
        """Whether somebody runs a slot of a schedule."""
        with self._access.reading() as connection:
            return bool(self._running(connection, schedule))

    def slot(self, schedule: str, due: datetime) -> Slot | None:
        """One slot; None where there is no row of it."""
        found = self._slots(self._here(schedule) & (SLOT.c.due == time_text(due)), 1)
        return found[0] if found else None

    def newest(self, schedule: str, most: int) -> tuple[Slot, ...]:
        """The last slots of a schedule, the newest first."""
        return self._slots(self._here(schedule), most)

    def _slots(self, here: ColumnElement[bool], most: int) -> tuple[Slot, ...]:
        with self._access.reading() as connection:
            if not inspect(connection).has_table(SLOT.name):
                return ()
            found = connection.execute(select(SLOT).where(here).order_by(SLOT.c.due.desc()).limit(most))
            return tuple(map(_slot, found))

    def _of(self, schedule: str) -> ColumnElement[bool]:
        return (SCHEDULE.c.migration == self._migration) & (SCHEDULE.c.schedule == schedule)

    def _here(self, schedule: str) -> ColumnElement[bool]:
        return (SLOT.c.migration == self._migration) & (SLOT.c.schedule == schedule)

    def _row(self, connection: Connection, schedule: str) -> Row[tuple[str, ...]] | None:
        return connection.execute(select(SCHEDULE).where(self._of(schedule))).one_or_none()

    def _begin(self, connection: Connection, schedule: str, timetable: str, now: datetime) -> None:
        """Lay a schedule's slots from now on; what waits by another timetable is skipped."""
        row = self._row(connection, schedule)
        if row is None:
            values = {"migration": self._migration, "schedule": schedule}
            connection.execute(SCHEDULE.insert().values(**values, timetable=timetable, laid_until=time_text(now)))
            return
        changed = {"timetable": timetable, "laid_until": time_text(now)}
        connection.execute(SCHEDULE.update().where(self._of(schedule)).values(changed))
        self._skip_waiting(connection, schedule, f"the schedule was changed to {timetable}")

    def _skip_waiting(self, connection: Connection, schedule: str, why: str) -> None:
        waits = self._here(schedule) & (SLOT.c.state == SlotState.DUE)
        connection.execute(SLOT.update().where(waits).values(state=SlotState.SKIPPED.value, why=why))

    def _now(self, connection: Connection, schedule: str) -> SlotsNow | None:
        """What a schedule's slots are; None where it is paused."""
        row = self._row(connection, schedule)
        if row is None or row.paused_at is not None:
            return None
        until = dt.datetime.fromisoformat(row.laid_until)
        return SlotsNow(until, self._waiting(connection, schedule), self._running(connection, schedule))

    def _waiting(self, connection: Connection, schedule: str) -> tuple[Slot, ...]:
        row = self._row(connection, schedule)
        if row is None or row.paused_at is not None:
            return ()
        here = self._here(schedule) & (SLOT.c.state == SlotState.DUE)
        return tuple(map(_slot, connection.execute(select(SLOT).where(here).order_by(SLOT.c.due))))

    def _running(self, connection: Connection, schedule: str) -> tuple[Slot, ...]:
        here = self._here(schedule) & (SLOT.c.state == SlotState.CLAIMED)
        return tuple(map(_slot, connection.execute(select(SLOT).where(here).order_by(SLOT.c.due))))

    def _dead(self, connection: Connection, schedule: str) -> list[Row[tuple[str, ...]]]:
        """Claims whose lease is over, or whose process is known to be gone."""
        here = self._here(schedule) & (SLOT.c.state == SlotState.CLAIMED)
        now = time_text(lease_clock(connection))
        return [
            row for row in connection.execute(select(SLOT).where(here)) if row.lease_until <= now or is_gone(row.holder)
        ]

    def _bury(self, connection: Connection, schedule: str) -> None:
        """Let a slot whose runner died be run again, once."""
        for row in self._dead(connection, schedule):
            over = row.deaths + 1 >= DEATHS
            why = f"its runner died, as the one before it: {row.holder}" if over else f"its runner died: {row.holder}"
            values = {
                "state": SlotState.FAILED.value if over else SlotState.DUE.value, "deaths": row.deaths + 1, "why": why,
                "epoch": row.epoch + 1, "lease_until": None, "exit_code": 1 if over else None,
                "ended": time_text(lease_clock(connection)) if over else None,
            }  # fmt: skip
            here = self._here(schedule) & (SLOT.c.due == row.due)
            ended = connection.execute(SLOT.update().where(here).values(values).returning(SLOT)).one()
            if over:
                self._tell(connection, [_slot(ended)])

    def _tell(self, connection: Connection, slots: Sequence[Slot]) -> None:
        if self._teller is not None and slots:
            write(connection, self._migration, self._teller.of_slots(slots))

    def _write(self, connection: Connection, schedule: str, slots: Sequence[LaidSlot]) -> None:
        if not slots:
            return
        last = self._row(connection, schedule)
        new = [one for one in slots if last is None or time_text(one.due) > last.laid_until]
        for one in slots:
            if one not in new:
                here = self._here(schedule) & (SLOT.c.due == time_text(one.due)) & (SLOT.c.state == SlotState.DUE)
                connection.execute(SLOT.update().where(here).values(state=one.state.value, why=one.why))
        if new:
            connection.execute(
                SLOT.insert(),
                [
                    {
                        "migration": self._migration, "schedule": schedule, "due": time_text(one.due),
                        "state": one.state.value, "why": one.why, "epoch": 0, "deaths": 0, "holder": "",
                    }
                    for one in new
                ],
            )  # fmt: skip
            until = time_text(max(one.due for one in new))
            connection.execute(SCHEDULE.update().where(self._of(schedule)).values(laid_until=until))
        missed = [one for one in slots if one.state is SlotState.MISSED]
        self._tell(connection, [Slot(schedule, one.due, one.state, 0, 0, why=one.why) for one in missed])


class Fenced(Access):
    """The ledger's tables for whoever runs a slot: nothing is written once somebody else has taken it."""

    def __init__(self, access: Access, claim: Claim) -> None:
        self._access, self._claim = access, claim

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read in one snapshot."""
        with self._access.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """
        Write in one transaction that asserts the claim.

        Raises:
            ClaimLost: somebody has taken it.
        """
        with self._access.writing() as connection:
            _update(connection, self._claim, {"holder": self._claim.holder})
            yield connection

    def revision(self, connection: Connection) -> str:
        """The revision in the snapshot of a connection."""
        return self._access.revision(connection)

    def close(self) -> None:
        """Let go of every connection."""
        self._access.close()


def _update(connection: Connection, claim: Claim, values: dict[str, object]) -> None:
    here = (
        (SLOT.c.migration == claim.migration) & (SLOT.c.schedule == claim.schedule)
        & (SLOT.c.due == time_text(claim.due)) & (SLOT.c.epoch == claim.epoch) & (SLOT.c.state == SlotState.CLAIMED)
    )  # fmt: skip
    if connection.execute(SLOT.update().where(here).values(values)).rowcount != 1:
        raise ClaimLost(claim.schedule, claim.due)


def _slot(row: Row[tuple[str, ...]]) -> Slot:
    return Slot(
        row.schedule, dt.datetime.fromisoformat(row.due), SlotState(row.state), row.epoch, row.deaths, row.holder,
        row.exit_code, row.why, _time(row.began), _time(row.ended),
    )  # fmt: skip


def _time(text: str | None) -> datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)
