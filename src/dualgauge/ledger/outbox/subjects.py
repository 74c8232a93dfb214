"""
The states of a subject, and every move between them: only a move that has a notice in its row is told of.

Two rules. All that decides where a signal leads is in `MOVES`. And this file knows no table and no channel: it answers
"from here, by this, where to, and what is told?".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dualgauge.ledger.outbox.values import NoticeKind, Subject, SubjectState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dualgauge.ledger.outbox.values import News


class Signal(StrEnum):
    """What may happen to a subject: how it was found, what a person said, or that a time has come."""

    BAD = "bad"
    OTHER = "bad for another cause"
    GOOD = "good"
    ACK = "acknowledged"
    EXPIRED = "the acknowledgement is over"
    DUE = "a reminder is due"


_S, _N = SubjectState, NoticeKind

MOVES: Final[Mapping[tuple[SubjectState, Signal], tuple[SubjectState, NoticeKind | None]]] = MappingProxyType(
    {
        (_S.OK, Signal.BAD): (_S.FIRING, _N.FIRING),
        (_S.OK, Signal.GOOD): (_S.OK, None),
        (_S.FIRING, Signal.BAD): (_S.FIRING, None),
        (_S.FIRING, Signal.OTHER): (_S.FIRING, _N.CHANGED),
        (_S.FIRING, Signal.GOOD): (_S.RESOLVED, _N.RESOLVED),
        (_S.FIRING, Signal.ACK): (_S.ACKNOWLEDGED, _N.ACKNOWLEDGED),
        (_S.FIRING, Signal.DUE): (_S.FIRING, _N.REMINDER),
        (_S.ACKNOWLEDGED, Signal.BAD): (_S.ACKNOWLEDGED, None),
        # What was acknowledged is not what is there now.
        (_S.ACKNOWLEDGED, Signal.OTHER): (_S.FIRING, _N.CHANGED),
        (_S.ACKNOWLEDGED, Signal.GOOD): (_S.RESOLVED, _N.RESOLVED),
        (_S.ACKNOWLEDGED, Signal.ACK): (_S.ACKNOWLEDGED, _N.ACKNOWLEDGED),
        (_S.ACKNOWLEDGED, Signal.EXPIRED): (_S.FIRING, _N.EXPIRED),
        (_S.RESOLVED, Signal.BAD): (_S.FIRING, _N.FIRING),
        (_S.RESOLVED, Signal.GOOD): (_S.RESOLVED, None),
    }
)
"""What has no row changes nothing: a person can acknowledge only what fires."""

LONGEST: Final = timedelta(days=32)
"""A reminder waits no longer, however often it came."""


def found(before: Subject | None, news: News) -> tuple[Subject, NoticeKind | None]:
    """A subject after it was found good or bad, and what is told. `news.bad` is not None."""
    now = before or _new(news)
    fires = now.state in {SubjectState.FIRING, SubjectState.ACKNOWLEDGED}
    signal = Signal.GOOD
    if news.bad:
        signal = Signal.OTHER if fires and now.cause != news.cause else Signal.BAD
    state, kind = MOVES[now.state, signal]
    if news.bad:
        # Who got "firing" gets "resolved", also where the settings name others by then.
        channels = tuple(dict.fromkeys((*(now.channels if fires else ()), *news.channels)))
        now = replace(now, cause=news.cause, message=news.message, channels=channels)
    elif kind is not None:
        now = replace(now, message=news.message)
    base = max(1, round(news.base.total_seconds()))
    return _told(replace(now, base=base), state, kind, news.at), kind


def acknowledged(
    before: Subject, who: str, reason: str, until: datetime, at: datetime
) -> tuple[Subject, NoticeKind | None] | None:
    """A subject after a person took it on, up to a time; None where there is nothing to take on."""
    if (before.state, Signal.ACK) not in MOVES:
        return None
    state, kind = MOVES[before.state, Signal.ACK]
    after = _told(before, state, kind, at)
    return replace(after, ack_by=who, ack_reason=reason, ack_until=until), kind


def passed(before: Subject, now: datetime) -> tuple[Subject, NoticeKind | None] | None:
    """A subject after time went by; None where nothing comes of it."""
    if before.state is SubjectState.ACKNOWLEDGED and before.ack_until is not None and before.ack_until <= now:
        signal = Signal.EXPIRED
    elif before.state is SubjectState.FIRING and before.remind_at is not None and before.remind_at <= now:
        signal = Signal.DUE
    else:
        return None
    state, kind = MOVES[before.state, signal]
    return _told(before, state, kind, now), kind


def _new(news: News) -> Subject:
    return Subject(news.subject, SubjectState.OK, "", news.at, news.at, news.message, (), 0, 0, 0)


def _told(before: Subject, state: SubjectState, kind: NoticeKind | None, at: datetime) -> Subject:
    """A subject in its new state, with the time of its next reminder."""
    if kind is None:
        return before
    wait = before.base
    if kind is NoticeKind.REMINDER:
        wait = min(2 * before.wait, max(before.base, round(LONGEST.total_seconds())))
    # It fires since it began to, whatever was said of it meanwhile.
    begins = kind in {NoticeKind.FIRING, NoticeKind.RESOLVED}
    fires = state is SubjectState.FIRING
    after = replace(
        before, state=state, number=before.number + 1, changed=at, wait=wait, since=at if begins else before.since,
        remind_at=at + timedelta(seconds=wait) if fires else None,
    )  # fmt: skip
    if state is not SubjectState.ACKNOWLEDGED:
        after = replace(after, ack_by=None, ack_reason=None, ack_until=None)
    return after
