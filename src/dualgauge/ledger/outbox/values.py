"""What the ledger keeps of news: subjects, notices, and their deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from dualgauge.ledger.journal import JournalEntry
    from dualgauge.ledger.slot_values import Slot


class SubjectState(StrEnum):
    """Where a subject is. `ok` was never otherwise; `resolved` was once, and is well again."""

    OK = "ok"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class NoticeKind(StrEnum):
    """
    What a notice tells of.

    `changed`: it fires for another cause than before. `expired`: the time of an acknowledgement is over, and it fires
    still. `event`: something that happened once and has no state, such as a move of reads. `test`: by hand.
    """

    FIRING = "firing"
    CHANGED = "changed"
    REMINDER = "reminder"
    ACKNOWLEDGED = "acknowledged"
    EXPIRED = "expired"
    RESOLVED = "resolved"
    EVENT = "event"
    TEST = "test"


class DeliveryState(StrEnum):
    """What became of a notice at a channel. `waiting` and `sending` are not the end; the others are."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Message:
    """
    What a notice says, in parts. None of them holds a value of a row, or what an error said of one.

    `what` happened, `where`, the numbers that were `found`, what was `done` already, and the command to run `next`.
    """

    what: str
    where: str = ""
    found: str = ""
    done: str = ""
    next: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """
    How a subject was found, for those channels that are to know of a change.

    `bad` is None for what has no state: it is told each time. `cause` is why it is bad, in a word: another cause is a
    change. `base` is how long a reminder waits at first.
    """

    subject: str
    bad: bool | None
    message: Message
    channels: tuple[str, ...]
    at: datetime
    base: timedelta
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """
    What news is told of. `since` it is in its state; `changed` is when it was last told of, in a notice of `number`.

    `base` and `wait` are seconds: how long a reminder waits at first, and how long the next one.
    """

    subject: str
    state: SubjectState
    cause: str
    since: datetime
    changed: datetime
    message: Message
    channels: tuple[str, ...]
    number: int
    base: int
    wait: int
    remind_at: datetime | None = None
    ack_by: str | None = None
    ack_reason: str | None = None
    ack_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A piece of news: by `id` a receiver knows what it got before. `number` counts those of its subject."""

    id: str
    migration: str
    subject: str
    number: int
    kind: NoticeKind
    at: datetime
    state: SubjectState | None
    since: datetime | None
    message: Message
    ack_by: str | None = None
    ack_reason: str | None = None
    ack_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice for a channel: `code` is what its receiver answered, None where it answered nothing."""

    notice: str
    subject: str
    kind: NoticeKind
    at: datetime
    channel: str
    state: DeliveryState
    tries: int
    code: int | None
    answer: str
    next_try: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Sending:
    """The right to send a notice to a channel: whoever takes it from this holder raises the epoch."""

    notice: Notice
    channel: str
    tries: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    What a receiver answered to a try: its code, None where there was none, and what that means in words.

    `wait`: seconds for which the receiver asked to be left alone.
    """

    delivered: bool
    code: int | None
    answer: str
    seconds: float
    wait: float = 0.0


class Teller(Protocol):
    """Makes news of what is written, inside the transaction that writes it: it must not ask anything slow."""

    def of_slots(self, slots: Sequence[Slot]) -> Sequence[News]:
        """News of slots that nobody ran, or whose runners died."""

    def of_move(self, entry: JournalEntry) -> Sequence[News]:
        """News of a move of reads."""
