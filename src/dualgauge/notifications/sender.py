"""
Sending what waits in the outbox: each channel by itself, so that one that hangs holds up no other.

At least once: a notice is marked once its receiver has answered. A sender that dies between leaves its claim to the
next, which sends again under the same id.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dualgauge.errors import DualgaugeError
from dualgauge.ledger.outbox.values import Message, News, Receipt
from dualgauge.notifications.channels import send

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dualgauge.ledger.outbox.outbox import Outbox
    from dualgauge.ledger.outbox.values import NoticeKind, Sending
    from dualgauge.model import Clock
    from dualgauge.notifications.settings import ChannelSettings

TRIES: Final = 8
"""After so many a notice is undelivered; a sender that is called seldom gives up after `OLDEST`."""

OLDEST: Final = timedelta(days=1)

FIRST: Final = timedelta(seconds=5)
"""How long the second try waits; each later one waits four times as long, and none longer than `LONGEST`."""

LONGEST: Final = timedelta(hours=1)

_GONE: Final = Receipt(delivered=False, code=None, answer="the settings have no channel of this name", seconds=0.0)


@dataclass(frozen=True, slots=True)
class Sent:
    """A try: what was sent where, and the receipt; `last` where it is not tried again."""

    channel: str
    notice: str
    subject: str
    kind: NoticeKind
    tries: int
    receipt: Receipt
    last: bool


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends for one migration. `channels` are those of the settings."""

    outbox: Outbox
    channels: Sequence[ChannelSettings]
    clock: Clock
    holder: str

    def run(self, stop: Callable[[], bool] = lambda: False) -> tuple[Sent, ...]:
        """
        Send what is due now, each channel up to its first failure; gives every try, in the order of the channels.

        Raises:
            LedgerError: the ledger cannot be read or written; what was sent meanwhile is sent again.
        """
        self.outbox.remind(self.clock())
        names = self.outbox.channels_waiting(self.clock())
        found: dict[str, list[Sent]] = {name: [] for name in names}
        faults: list[DualgaugeError] = []

        def work(name: str) -> None:
            try:
                self._channel(name, found[name], stop)
            except DualgaugeError as fault:
                faults.append(fault)

        threads = [threading.Thread(target=work, args=[name], daemon=True) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]
        return tuple(one for sent in found.values() for one in sent)

    def _channel(self, name: str, sent: list[Sent], stop: Callable[[], bool]) -> None:
        settings = next((one for one in self.channels if one.name == name), None)
        tried: set[str] = set()
        while not stop() and (claim := self.outbox.claim(name, self.holder, self.clock(), but=tried)):
            tried.add(claim.notice.id)
            receipt = send(settings, claim.notice) if settings is not None else _GONE
            now = self.clock()
            next_try = None if receipt.delivered else later(claim, receipt, now)
            if self.outbox.record(claim, receipt, now, next_try, self._news(claim, receipt, next_try, now)):
                notice, last = claim.notice, receipt.delivered or next_try is None
                sent.append(Sent(name, notice.id, notice.subject, notice.kind, claim.tries, receipt, last))
            if not receipt.delivered:
                # The next notice would very likely wait for the same time-out.
                return

    def _news(self, claim: Sending, receipt: Receipt, next_try: datetime | None, now: datetime) -> list[News]:
        """How the channel was found. A try that is made again says nothing yet."""
        if not receipt.delivered and next_try is not None:
            return []
        name = claim.channel
        message = Message(f"channel {name} delivers again")
        if not receipt.delivered:
            message = Message(
                f"channel {name} does not deliver", found=f"{claim.tries} of {TRIES} tries: {receipt.answer}",
                done="what it was to tell is kept", next=f"dualgauge notify test {name}",
            )  # fmt: skip
        # Never through itself; whoever has another channel is the one who can know.
        others = tuple(one.name for one in self.channels if one.name != name)
        cause = "" if receipt.delivered else "undelivered"
        return [News(f"channel:{name}", not receipt.delivered, message, others, now, OLDEST, cause)]


def later(claim: Sending, receipt: Receipt, now: datetime) -> datetime | None:
    """When a notice is tried again; None where that was the last try."""
    if claim.tries >= TRIES or now - claim.notice.at >= OLDEST:
        return None
    wait: timedelta = min(FIRST * 4 ** (claim.tries - 1), LONGEST)
    return now + max(wait, timedelta(seconds=receipt.wait))
