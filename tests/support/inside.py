"""What lies behind a migration's door, for tests that look there: its log, store, ledger and engine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.migration import Migration
    from dualgauge.workspace import Handles


@contextmanager
def handles_of(migration: Migration) -> Iterator[Handles]:
    """What one command has open."""
    with migration._workspace.open() as handles:
        yield handles


def log_of(migration: Migration) -> EventLog:
    """The event log; it holds nothing open."""
    with handles_of(migration) as handles:
        return handles.log


def store_of(migration: Migration) -> Any:
    """What answers reads; it opens its files for each call."""
    with handles_of(migration) as handles:
        return handles.store


@contextmanager
def ledger_of(migration: Migration) -> Iterator[Ledger]:
    """The ledger, made where there is none."""
    with handles_of(migration) as handles:
        yield handles.ledger
