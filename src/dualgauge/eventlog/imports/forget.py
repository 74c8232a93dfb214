"""Forgetting: a source's cursor is taken away, so that the next import reads the source from its beginning."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.eventlog.errors import LostRace, NoLog, NothingTakenIn
from dualgauge.eventlog.table.event_log import Behind
from dualgauge.eventlog.table.retry import TRIES, attempts

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.model import Position


@dataclass(frozen=True, slots=True)
class Forgotten:
    """
    What was forgotten of a source: the files that its cursor named. Its events stay.

    `known`: there was a cursor. `configured`: the settings have the source, so an import can read it again. `head` is
    the log's last position.
    """

    source: str
    known: bool
    configured: bool
    files: tuple[str, ...]
    head: Position


def forget(
    log: EventLog,
    name: str,
    configured: Sequence[str],
    *,
    sleep: Callable[[float], None],
    chance: random.Random,
    dry_run: bool = False,
) -> Forgotten:
    """
    Take a source's cursor away, in a commit of its own.

    Args:
        log: the log.
        name: the source; it need not be in the settings any more.
        configured: the sources of the settings.
        sleep, chance: how to wait where another writer was quicker.
        dry_run: only say what would be.

    Raises:
        NoLog: there is no log yet.
        NothingTakenIn: neither the log nor the settings know the name.
        LostRace: other writers were quicker, again and again.
    """
    if not log.exists:
        raise NoLog(log.path)
    for _ in attempts(sleep, chance):
        with nullcontext() if dry_run else log.turn():
            head = log.refresh()
            cursor = head.cursors.get(name)
            if cursor is None and name not in configured:
                raise NothingTakenIn(name, sorted({*head.cursors, *configured}))
            files = tuple(sorted((cursor or {}).get("files", {})))
            found = Forgotten(name, cursor is not None, name in configured, files, head.last)
            if cursor is None or dry_run:
                return found
            try:
                log.note({name: None}, head)
            except Behind:
                continue
            return found
    raise LostRace(log.path, TRIES)
