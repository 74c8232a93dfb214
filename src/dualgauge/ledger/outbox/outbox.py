"""
The outbox: notices that wait for their channels, and what became of each.

A notice is written in the transaction that writes what it tells of (`write`), so neither is there without the other. A
sender claims one delivery at a time, sends, and writes what came of it. One that dies between leaves its claim to
another, which sends again under the same id: at least once.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, inspect, select

from dualgauge.ledger.clock import lease_clock
from dualgauge.ledger.errors import NotFiring, UnknownSubject
from dualgauge.ledger.outbox.subjects import acknowledged, found, passed
from dualgauge.ledger.outbox.values import (
    Delivery,
    DeliveryState,
    Message,
    Notice,
    NoticeKind,
    Sending,
    Subject,
    SubjectState,
)
from dualgauge.ledger.tables import DELIVERY, NOTICE, SUBJECT
from dualgauge.ledger.values import time_text
from dualgauge.model import canonical_json, is_gone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.engine import Connection

    from dualgauge.ledger.access import Access
    from dualgauge.ledger.outbox.values import News, Receipt

LEASE: Final = dt.timedelta(seconds=120)
"""For how long a sender has a delivery: longer than any try may take."""

_PENDING: Final = (DeliveryState.WAITING.value, DeliveryState.SENDING.value)


def write(connection: Connection, migration: str, news: Iterable[News]) -> None:
    """Write how subjects were found, and for each change a notice with its deliveries, in a transaction under way."""
    for one in news:
        if one.bad is None:
            last = select(NOTICE.c.number).where(NOTICE.c.migration == migration, NOTICE.c.subject == one.subject)
            number = connection.execute(last.order_by(NOTICE.c.number.desc()).limit(1)).scalar() or 0
            ok = SubjectState.OK
            event = Subject(one.subject, ok, "", one.at, one.at, one.message, one.channels, number + 1, 0, 0)
            _tell(connection, migration, event, NoticeKind.EVENT)
            continue
        before = _subject(connection, migration, one.subject)
        after, kind = found(before, one)
        if after != before and (before is not None or kind is not None):
            _keep(connection, migration, after)
        if kind is not None:
            _tell(connection, migration, after, kind)


class Outbox:
    """The outbox of one migration. Each call is one transaction."""

    def __init__(self, access: Access, migration: str) -> None:
        self._access, self._migration = access, migration

    def tell(self, news: Sequence[News]) -> None:
        """Write news of what nobody else writes."""
        with self._access.writing() as connection:
            write(connection, self._migration, news)

    def subjects(self) -> tuple[Subject, ...]:
        """Every subject that was ever bad, by name."""
        with self._access.reading() as connection:
            if not inspect(connection).has_table(SUBJECT.name):
                return ()
            rows = connection.execute(select(SUBJECT).where(self._mine(SUBJECT)).order_by(SUBJECT.c.subject))
            return tuple(map(_subject_of, rows))

    def deliveries(self, most: int) -> tuple[Delivery, ...]:
        """The newest deliveries, from the last on."""
        with self._access.reading() as connection:
            if not inspect(connection).has_table(DELIVERY.name):
                return ()
            order = (NOTICE.c.at.desc(), NOTICE.c.number.desc(), NOTICE.c.subject, DELIVERY.c.channel)
            return tuple(map(_delivery_of, connection.execute(self._joined().order_by(*order).limit(most))))

    def remind(self, now: datetime) -> None:
        """Write the notices that are due by the clock: reminders, and acknowledgements that are over."""
        with self._access.reading() as connection:
            if not self._due(connection, now):
                return
        with self._access.writing() as connection:
            for subject in self._due(connection, now):
                if move := passed(subject, now):
                    self._write(connection, *move)

    def acknowledge(self, subject: str, who: str, reason: str, until: datetime, now: datetime) -> Subject:
        """
        Take on what fires: no reminder comes until a time.

        Raises:
            UnknownSubject: there is no subject of this name.
            NotFiring: it does not fire.
        """
        with self._access.writing() as connection:
            before = _subject(connection, self._migration, subject)
            if before is None:
                known = connection.execute(select(SUBJECT.c.subject).where(self._mine(SUBJECT))).scalars()
                raise UnknownSubject(subject, sorted(known))
            move = acknowledged(before, who, reason, until, now)
            if move is None:
                raise NotFiring(subject, before.state.value)
            self._write(connection, *move)
            return move[0]

    def channels_waiting(self, now: datetime) -> tuple[str, ...]:
        """The channels that have something to be sent now."""
        with self._access.reading() as connection:
            return tuple(sorted({row.channel for row in self._ready(connection, now)}))

    def claim(self, channel: str, holder: str, now: datetime, *, but: Collection[str] = ()) -> Sending | None:
        """
        Take the oldest notice that waits for a channel; None where none does, or others have them.

        Of one subject the notices go out in their order: none before the one before it has ended.

        Args:
            channel: its name.
            holder: who sends.
            now: what is to be tried again later than this is left.
            but: ids of notices that are left.
        """
        with self._access.writing() as connection:
            ready = [one for one in self._ready(connection, now) if one.channel == channel and one.notice not in but]
            if not ready:
                return None
            row = min(ready, key=lambda one: (one.at, one.number, one.subject))
            values = {
                "state": DeliveryState.SENDING.value, "epoch": row.epoch + 1, "holder": holder, "tries": row.tries + 1,
                "lease_until": time_text(lease_clock(connection) + LEASE),
            }  # fmt: skip
            connection.execute(DELIVERY.update().where(_this(row.notice, channel)).values(values))
            notice = connection.execute(select(NOTICE).where(NOTICE.c.id == row.notice)).one()
            return Sending(_notice_of(notice), channel, row.tries + 1, row.epoch + 1)

    def record(
        self, sending: Sending, receipt: Receipt, now: datetime, next_try: datetime | None, news: Sequence[News] = ()
    ) -> bool:
        """
        Write what a try came to, and news of the channel with it; False where another sender has the delivery.

        Args:
            sending: the claim.
            receipt: what the receiver answered.
            now: when.
            next_try: when it is tried again; None where it is not.
            news: of the channel.
        """
        again = not receipt.delivered and next_try is not None
        ended = DeliveryState.DELIVERED if receipt.delivered else DeliveryState.UNDELIVERED
        values: dict[str, Any] = {
            "state": (DeliveryState.WAITING if again else ended).value, "code": receipt.code, "answer": receipt.answer,
            "lease_until": None, "ended": None if again else time_text(now),
        }  # fmt: skip
        if next_try is not None:
            values["next_try"] = time_text(next_try)
        mine = and_(_this(sending.notice.id, sending.channel), DELIVERY.c.epoch == sending.epoch)
        sent = DELIVERY.update().where(mine, DELIVERY.c.state == DeliveryState.SENDING).values(values)
        with self._access.writing() as connection:
            if connection.execute(sent).rowcount != 1:
                return False
            write(connection, self._migration, news)
            return True

    def again(self, now: datetime) -> int:
        """Let what was not delivered wait once more, with all its tries; gives how many there are."""
        failed = and_(self._mine(DELIVERY), DELIVERY.c.state == DeliveryState.UNDELIVERED)
        anew = {"state": DeliveryState.WAITING.value, "tries": 0, "next_try": time_text(now), "ended": None}
        with self._access.writing() as connection:
            return connection.execute(DELIVERY.update().where(failed).values(anew)).rowcount

    def _write(self, connection: Connection, after: Subject, kind: NoticeKind | None) -> None:
        _keep(connection, self._migration, after)
        if kind is not None:
            _tell(connection, self._migration, after, kind)

    def _mine(self, table: Any) -> ColumnElement[bool]:  # noqa: ANN401  (any of the tables)
        mine: ColumnElement[bool] = table.c.migration == self._migration
        return mine

    def _due(self, connection: Connection, now: datetime) -> list[Subject]:
        if not inspect(connection).has_table(SUBJECT.name):
            return []
        fires = SUBJECT.c.state.in_([SubjectState.FIRING, SubjectState.ACKNOWLEDGED])
        rows = connection.execute(select(SUBJECT).where(self._mine(SUBJECT), fires).order_by(SUBJECT.c.subject))
        return [one for one in map(_subject_of, rows) if passed(one, now)]

    def _joined(self) -> Any:  # noqa: ANN401  (a statement)
        of = NOTICE.c
        joined = DELIVERY.join(NOTICE, DELIVERY.c.notice == of.id)
        return select(DELIVERY, of.subject, of.kind, of.at, of.number).select_from(joined).where(self._mine(DELIVERY))

    def _ready(self, connection: Connection, now: datetime) -> list[Row[Any]]:
        """The deliveries that may be sent now."""
        if not inspect(connection).has_table(DELIVERY.name):
            return []
        order = (NOTICE.c.subject, DELIVERY.c.channel, NOTICE.c.number)
        rows = connection.execute(self._joined().where(DELIVERY.c.state.in_(_PENDING)).order_by(*order)).all()
        first: dict[tuple[str, str], Row[Any]] = {}
        for row in rows:
            first.setdefault((row.subject, row.channel), row)
        clock = time_text(lease_clock(connection))
        return [row for row in first.values() if _is_free(row, clock, time_text(now))]


def _is_free(row: Row[Any], clock: str, now: str) -> bool:
    if row.state == DeliveryState.WAITING:
        return bool(row.next_try <= now)
    return bool(row.lease_until <= clock) or is_gone(row.holder)


def _tell(connection: Connection, migration: str, subject: Subject, kind: NoticeKind) -> None:
    """Write a notice of a subject as it is now, and a delivery for each of its channels."""
    event = kind is NoticeKind.EVENT
    told = {
        **asdict(subject.message), "state": None if event else subject.state.value,
        "since": None if event else time_text(subject.since), "ack_by": subject.ack_by,
        "ack_reason": subject.ack_reason, "ack_until": subject.ack_until and time_text(subject.ack_until),
    }  # fmt: skip
    key, at = uuid.uuid4().hex, time_text(subject.changed)
    row = {"id": key, "migration": migration, "subject": subject.subject, "number": subject.number}
    connection.execute(NOTICE.insert().values(**row, kind=kind.value, at=at, message=canonical_json(told)))
    rows = [
        {
            "notice": key, "channel": channel, "migration": migration, "state": DeliveryState.WAITING.value,
            "holder": "", "answer": "", "next_try": at, "tries": 0, "epoch": 0,
        }
        for channel in subject.channels
    ]  # fmt: skip
    if rows:
        connection.execute(DELIVERY.insert(), rows)


def _keep(connection: Connection, migration: str, after: Subject) -> None:
    values = {
        "state": after.state.value, "cause": after.cause, "since": time_text(after.since),
        "changed": time_text(after.changed), "message": canonical_json(asdict(after.message)),
        "channels": canonical_json(list(after.channels)), "number": after.number, "base": after.base,
        "wait": after.wait, "remind_at": after.remind_at and time_text(after.remind_at), "ack_by": after.ack_by,
        "ack_reason": after.ack_reason, "ack_until": after.ack_until and time_text(after.ack_until),
    }  # fmt: skip
    mine = and_(SUBJECT.c.migration == migration, SUBJECT.c.subject == after.subject)
    if connection.execute(SUBJECT.update().where(mine).values(values)).rowcount == 0:
        connection.execute(SUBJECT.insert().values(migration=migration, subject=after.subject, **values))


def _subject(connection: Connection, migration: str, name: str) -> Subject | None:
    mine = and_(SUBJECT.c.migration == migration, SUBJECT.c.subject == name)
    row = connection.execute(select(SUBJECT).where(mine)).one_or_none()
    return None if row is None else _subject_of(row)


def _this(notice: str, channel: str) -> ColumnElement[bool]:
    return and_(DELIVERY.c.notice == notice, DELIVERY.c.channel == channel)


def _subject_of(row: Row[Any]) -> Subject:
    return Subject(
        row.subject, SubjectState(row.state), row.cause, _at(row.since), _at(row.changed),
        Message(**json.loads(row.message)), tuple(json.loads(row.channels)), row.number, row.base, row.wait,
        _time(row.remind_at), row.ack_by, row.ack_reason, _time(row.ack_until),
    )  # fmt: skip


def _notice_of(row: Row[Any]) -> Notice:
    said = json.loads(row.message)
    state, since, until = said.pop("state"), said.pop("since"), said.pop("ack_until")
    by, reason = said.pop("ack_by"), said.pop("ack_reason")
    return Notice(
        row.id, row.migration, row.subject, row.number, NoticeKind(row.kind), _at(row.at),
        None if state is None else SubjectState(state), _time(since), Message(**said), by, reason, _time(until),
    )  # fmt: skip


def _delivery_of(row: Row[Any]) -> Delivery:
    return Delivery(
        row.notice, row.subject, NoticeKind(row.kind), _at(row.at), row.channel, DeliveryState(row.state), row.tries,
        row.code, row.answer, _at(row.next_try), _time(row.ended),
    )  # fmt: skip


def _at(text: str) -> datetime:
    return dt.datetime.fromisoformat(text)


def _time(text: str | None) -> datetime | None:
    return None if text is None else _at(text)
