"""
Sending a notice through a channel: one function a kind, each of which gives what the receiver answered.

No try takes longer than its channel's time-out and a second, whatever a receiver, a resolver or a library does.
"""

from __future__ import annotations

import email.policy
import hashlib
import hmac
import json
import queue
import smtplib
import ssl
import threading
import time
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from dualgauge.errors import DualgaugeError, redact
from dualgauge.ledger.outbox.values import NoticeKind, Receipt
from dualgauge.notifications.errors import NotSent
from dualgauge.notifications.message import body, text, title, utc
from dualgauge.notifications.wire import Answer, Wire, is_here, post

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from dualgauge.ledger.outbox.values import Notice
    from dualgauge.notifications.settings import ChannelSettings

_AGENT: Final = "dualgauge"
_READY: Final = 220

_FIRES_FOR: Final = timedelta(days=365)
"""Alertmanager takes an alert for resolved five minutes after it was last told, unless it is told when it ends."""

_ENDS: Final = {
    NoticeKind.RESOLVED: timedelta(0), NoticeKind.EVENT: timedelta(hours=1), NoticeKind.TEST: timedelta(minutes=5),
}  # fmt: skip


def send(channel: ChannelSettings, notice: Notice) -> Receipt:
    """Send a notice, and give the receipt: what goes wrong is one too."""
    begun = time.monotonic()
    try:
        answer = _bounded(lambda: _KINDS[channel.kind](channel, notice), channel.timeout)
    except DualgaugeError as fault:
        code, wait = (fault.code, fault.wait) if isinstance(fault, NotSent) else (None, 0.0)
        took = time.monotonic() - begun
        return Receipt(delivered=False, code=code, answer=redact(str(fault)), seconds=took, wait=wait)
    return Receipt(delivered=True, code=answer.code, answer=answer.words, seconds=time.monotonic() - begun)


def signature(key: bytes, timestamp: str, content: bytes) -> str:
    """HMAC-SHA-256 over a time, a full stop and a body, in hex: what a webhook's receiver computes as well."""
    return hmac.new(key, timestamp.encode() + b"." + content, hashlib.sha256).hexdigest()


def _webhook(channel: ChannelSettings, notice: Notice) -> Answer:
    content, now = body(notice), str(int(time.time()))
    signed = {
        "Dualgauge-Id": notice.id, "Dualgauge-Timestamp": now,
        "Dualgauge-Signature": f"sha256={signature(channel.key(), now, content)}",
    }  # fmt: skip
    return _posted(channel, channel.address(), content, signed)


def _slack(channel: ChannelSettings, notice: Notice) -> Answer:
    escaped = text(notice).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _posted(channel, channel.address(), json.dumps({"text": escaped}).encode(), {})


def _alertmanager(channel: ChannelSettings, notice: Notice) -> Answer:
    said, ends = notice.message, notice.at + _ENDS.get(notice.kind, _FIRES_FOR)
    begun = notice.at if notice.since is None else notice.since
    if notice.kind is NoticeKind.RESOLVED:
        # It began before it ended; when exactly, Alertmanager knows itself.
        begun = ends - timedelta(seconds=1)
    annotations = {
        "summary": title(notice), "found": said.found, "where": said.where, "done": said.done, "next": said.next,
        "owner": said.owner, "id": notice.id,
    }  # fmt: skip
    alert = {
        # Labels say which alert it is, so they are the same for as long as it fires.
        "labels": {
            "alertname": "DualgaugeTest" if notice.kind is NoticeKind.TEST else "Dualgauge",
            "migration": notice.migration, "subject": notice.subject,
        },
        "annotations": {name: redact(value) for name, value in annotations.items() if value},
        "startsAt": utc(begun), "endsAt": utc(ends),
    }  # fmt: skip
    url = f"{channel.address().rstrip('/')}/api/v2/alerts"
    return _posted(channel, url, json.dumps([alert]).encode(), {})


def _posted(channel: ChannelSettings, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    every = {"Content-Type": "application/json", "User-Agent": _AGENT, **headers}
    return post(url, content, every, allow_private=channel.allow_private, seconds=channel.timeout)


def _smtp(channel: ChannelSettings, notice: Notice) -> Answer:
    try:
        parts = urlsplit(channel.address())
        host, port = parts.hostname or "", parts.port or (465 if parts.scheme == "smtps" else 587)
    except ValueError:
        raise NotSent("its URL is not a valid one") from None
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["Subject"], mail["From"], mail["To"] = title(notice), channel.sender or "", ", ".join(channel.to)
    mail["Date"] = notice.at
    # The same for each try: a mailbox that has it already may drop it.
    mail["Message-ID"] = f"<{notice.id}@dualgauge.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text(notice))
    with Wire(host, port, channel.timeout, allow_private=channel.allow_private) as wire:
        try:
            refused = _mailed(wire, mail, parts)
        except smtplib.SMTPRecipientsRefused as fault:
            refused = fault.recipients
        except smtplib.SMTPResponseException as fault:
            raise NotSent(f"{fault.smtp_code}: the mail server refused", code=fault.smtp_code) from None
        except smtplib.SMTPNotSupportedError:
            raise NotSent("the mail server has no STARTTLS, or no way to log in that is known here") from None
        except (OSError, smtplib.SMTPException, ValueError) as fault:
            raise NotSent(wire.reason(fault)) from None
    if refused:
        code = next(iter(refused.values()))[0]
        raise NotSent(f"{code}: {len(refused)} of {len(channel.to)} recipients were refused", code=code)
    return Answer(250, f"250 accepted for {len(channel.to)}")


def _mailed(wire: Wire, mail: EmailMessage, parts: SplitResult) -> dict[str, tuple[int, bytes]]:
    """Speak SMTP; gives the recipients that were refused."""
    if parts.scheme == "smtps":
        wire.encrypt()
    # It is given a connection, and makes none of its own.
    server = smtplib.SMTP()
    server.sock, server._host = wire.socket, wire.host  # type: ignore[attr-defined]  # noqa: SLF001  (as connect() leaves them)
    try:
        code, _ = server.getreply()
        if code != _READY:
            raise smtplib.SMTPResponseException(code, b"")
        if parts.scheme != "smtps" and not is_here(wire.host):
            server.ehlo()
            server.starttls(context=ssl.create_default_context())
            wire.socket = server.sock
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        return server.send_message(mail)
    finally:
        # Without a farewell: the other end has the mail, and what it said to that would change nothing.
        server.close()


def _apprise(channel: ChannelSettings, notice: Notice) -> Answer:
    try:
        import apprise
    except ModuleNotFoundError:
        raise NotSent("apprise is not installed: `pip install dualgauge[apprise]`") from None
    import logging

    # It writes addresses, and what a receiver answered, into its log.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    service = apprise.Apprise()
    if not service.add(channel.address()):
        raise NotSent("apprise knows no service of this URL")
    if not service.notify(body=text(notice), title=title(notice)):
        raise NotSent("apprise could not deliver it")
    return Answer(200, "apprise delivered it")


_KINDS: Final[Mapping[str, Callable[[ChannelSettings, Notice], Answer]]] = {
    "webhook": _webhook, "smtp": _smtp, "slack": _slack, "alertmanager": _alertmanager, "apprise": _apprise,
}  # fmt: skip


def _bounded(work: Callable[[], Answer], seconds: float) -> Answer:
    """Do some work, and leave it where it takes a second longer than it may: a resolver knows no time-out."""
    done: queue.SimpleQueue[Answer | DualgaugeError] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(work())
        except DualgaugeError as fault:
            done.put(fault)
        except Exception as fault:  # noqa: BLE001  (of a library, whose words may hold what it was given)
            done.put(NotSent(f"unexpected {type(fault).__name__}"))

    threading.Thread(target=run, daemon=True).start()
    try:
        found = done.get(timeout=seconds + 1)
    except queue.Empty:
        raise NotSent(f"no whole answer in {seconds:g} s") from None
    if isinstance(found, DualgaugeError):
        raise found
    return found
