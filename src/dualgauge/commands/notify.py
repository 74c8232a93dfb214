"""The commands of notifications: `migration.notify`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.errors import UsageError
from dualgauge.ledger.outbox.values import DeliveryState, Message, Notice, NoticeKind
from dualgauge.model import holder_name
from dualgauge.notifications.errors import NoChannels, UnknownChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dualgauge.ledger.outbox.values import Delivery, Receipt, Subject
    from dualgauge.notifications.sender import Sent
    from dualgauge.notifications.settings import ChannelSettings
    from dualgauge.workspace import Workspace

NEWEST: Final = 20
"""How many deliveries a list shows."""


class AckIsOver(UsageError):
    """An acknowledgement would end in the past."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        super().__init__(
            f"--until {until.isoformat()} is over already, and an acknowledgement has an end that is to come; nothing "
            "was changed: name a later time"
        )


@dataclass(frozen=True, slots=True)
class Tested:
    """A test through a channel, and the receipt."""

    channel: ChannelSettings
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Told:
    """Every subject that was ever bad, and the newest deliveries."""

    subjects: tuple[Subject, ...]
    deliveries: tuple[Delivery, ...]

    @property
    def given_up(self) -> bool:
        """Whether one of these was not delivered."""
        return any(one.state is DeliveryState.UNDELIVERED for one in self.deliveries)


@dataclass(frozen=True, slots=True)
class NotifyCommands:
    """What people are told of: changes alone, kept in the ledger until they are delivered."""

    _workspace: Workspace

    def test(self, channel: str | None = None) -> Sequence[Tested]:
        """
        Send a message that is marked as a test through one channel, or all at once; gives the receipts.

        Raises:
            NoChannels, UnknownChannel: there is none, or none of this name.
        """
        from concurrent.futures import ThreadPoolExecutor

        from dualgauge.notifications.channels import send

        chosen, now = self._channels(channel), self._workspace.clock()
        said = Message(
            "this is a test, and nothing has happened", done=f"sent by {self._workspace.who}",
            next="dualgauge notify list",
        )  # fmt: skip
        migration = self._workspace.settings.migration
        notice = Notice(uuid.uuid4().hex, migration, "test", 1, NoticeKind.TEST, now, None, None, said)
        with ThreadPoolExecutor(len(chosen)) as pool:
            receipts = pool.map(lambda one: send(one, notice), chosen)
            return [Tested(one, receipt) for one, receipt in zip(chosen, receipts, strict=True)]

    def send(self, *, again: bool = False, stop: Callable[[], bool] = lambda: False) -> tuple[Sent, ...]:
        """
        Send what waits, once: what fails is tried again later, by whoever sends then. Gives every try.

        Args:
            again: try once more what was given up.
            stop: whether to end.

        Raises:
            NoChannels: the settings have none.
        """
        from dualgauge.notifications.sender import Sender

        channels, workspace = self._channels(None), self._workspace
        with workspace.open() as handles:
            outbox = handles.ledger.outbox_of(workspace.settings.migration)
            if again:
                outbox.again(workspace.clock())
            return Sender(outbox, channels, workspace.clock, holder_name(workspace.who)).run(stop)

    def list(self, *, most: int = NEWEST) -> Told:
        """What fires or did, and the newest deliveries."""
        with self._workspace.open() as handles:
            if (ledger := handles.known_ledger) is None:
                return Told((), ())
            outbox = ledger.outbox_of(self._workspace.settings.migration)
            return Told(outbox.subjects(), outbox.deliveries(most))

    def ack(self, subject: str, *, reason: str, until: datetime) -> Subject:
        """
        Take on what fires: it sends no reminder until a time, and fires again then.

        Raises:
            UnknownSubject, NotFiring: nothing of this name fires.
            AckIsOver: the time is over.
        """
        now = self._workspace.clock()
        if until <= now:
            raise AckIsOver(until)
        with self._workspace.open() as handles:
            outbox = handles.ledger.outbox_of(self._workspace.settings.migration)
            return outbox.acknowledge(subject, self._workspace.who, reason, until, now)

    def _channels(self, name: str | None) -> Sequence[ChannelSettings]:
        known = self._workspace.settings.channels
        if not known:
            raise NoChannels
        found = [one for one in known if name in (None, one.name)]
        if not found:
            raise UnknownChannel(name or "", [one.name for one in known])
        return found
