"""
What a notice says, for people and for machines: what happened, where, which numbers, since when, what was done, and
what to do next.

A text is made of the parts of a notice alone. None of them holds a value of a row, and each passes `redact`.
"""  # noqa: D205  (one sentence of two lines)

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Final

from dualgauge.errors import redact
from dualgauge.ledger.outbox.values import NoticeKind

if TYPE_CHECKING:
    from datetime import datetime

    from dualgauge.ledger.outbox.values import Notice

SCHEMA: Final = "dualgauge.notify/1"

_MOST: Final = 2_600
"""Characters of a text without its end: Slack cuts at 3,000."""


def title(notice: Notice) -> str:
    """One line: how it stands, and what happened."""
    return redact(" ".join(f"[{notice.kind.value}] {notice.migration}: {notice.message.what}".split()))[:200]


def text(notice: Notice) -> str:
    """A few lines for a person."""
    said = notice.message
    taken = ""
    if notice.ack_until is not None:
        taken = f"{notice.ack_by} until {_shown(notice.ack_until)}: {notice.ack_reason}"
    lines = [
        title(notice), _line("where", said.where), _line("found", said.found),
        _line("since", _shown(notice.since) if notice.since else ""), _line("at", _shown(notice.at)),
        _line("done", said.done), _line("owner", said.owner), _line("acknowledged", taken),
    ]  # fmt: skip
    begin = redact("\n".join(filter(None, lines)))[:_MOST]
    return "\n".join(filter(None, [begin, redact(_line("next", said.next)), f"id: {notice.id}"]))


def as_object(notice: Notice) -> dict[str, object]:
    """A notice as JSON has it: `dualgauge.notify/1`."""
    said, taken = notice.message, None
    if notice.ack_until is not None:
        taken = {"by": notice.ack_by, "reason": redact(notice.ack_reason or ""), "until": utc(notice.ack_until)}
    return {
        "schema": SCHEMA, "id": notice.id, "migration": notice.migration, "subject": notice.subject,
        "number": notice.number, "kind": notice.kind.value, "state": notice.state and notice.state.value,
        "at": utc(notice.at), "since": notice.since and utc(notice.since), "what": redact(said.what),
        "where": redact(said.where), "found": redact(said.found), "done": redact(said.done),
        "next": redact(said.next), "owner": redact(said.owner), "acknowledged": taken,
        "test": notice.kind is NoticeKind.TEST,
    }  # fmt: skip


def body(notice: Notice) -> bytes:
    """The same, as bytes that are signed."""
    return json.dumps(as_object(notice), ensure_ascii=False, separators=(",", ":")).encode()


def utc(at: datetime) -> str:
    """A time as JSON has it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _line(name: str, value: str) -> str:
    return f"{name}: {value}" if value else ""


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
