"""Opening a log: where there is none, where something else is, and where what is there is damaged or out of reach."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from dualgauge.eventlog.errors import DamagedLog, LogUnreachable, NotALog
from dualgauge.eventlog.table.commits import damage
from dualgauge.eventlog.table.delta import first_words, undeclared
from dualgauge.eventlog.table.event_log import EventLog
from dualgauge.eventlog.table.forks import using_delta
from dualgauge.eventlog.table.storage import COMMITS, Folder, Place
from dualgauge.eventlog.table.turnstile import PATIENCE

if TYPE_CHECKING:
    from dualgauge.eventlog.settings import LogSettings
    from dualgauge.ledger.ledger import Ledger


_UNFINISHED = re.compile(r".*\.tmp|[0-9]+\.json#[0-9]+").fullmatch
"""What a commit is called before it is one: by us, and by the Delta library."""


def open_log(
    where: Place | Path, settings: LogSettings, ledger: Ledger | None = None, *, patience: float = PATIENCE
) -> EventLog:
    """
    Open the log at a place, or in a folder; where there is none, the log is empty and `exists` is false.

    Args:
        where: a place, or a folder.
        settings: the columns.
        ledger: where commits are kept too.
        patience: seconds that a writer waits for its turn before it goes on without.

    Raises:
        NotALog: the folder holds something else.
        DamagedLog: commits are gone, or cannot be read.
        BadLogPath: the Delta library would take the path for another one.
        ChangedType: a declared column has another type in the log.
        LogForked: this process was forked from one that had used a log.
    """
    place: Place = Folder(where) if isinstance(where, Path) else where
    if isinstance(place, Folder) and place.there() and not place.path.is_dir():
        raise NotALog(place.shown, "it is a file, and a log is a folder")
    try:
        table = _table(place) if place.there() else None
    except TableNotFoundError as fault:
        raise NotALog(place.shown, "it holds files, but no Delta Lake table") from fault
    except (DeltaError, OSError) as fault:
        try:
            lost = damage(place, first_words(fault))
        except OSError as away:
            raise LogUnreachable(place.shown, _steps(fault)) from away
        if lost:
            raise DamagedLog(place.shown, lost) from fault
        raise NotALog(place.shown, first_words(fault)) from fault
    if table is not None:
        have = table.schema()
        if not {"position", "event_id", "type", "occurred_at"} <= {one.name for one in have.fields}:
            raise NotALog(place.shown, "it is a Delta Lake table without an event's columns")
        # Read as another type, a view would be computed of other values than were appended.
        undeclared(have, settings.all_columns)
    return EventLog(place, settings, table, ledger, patience)


def _table(place: Place) -> DeltaTable | None:
    """The table; None where there is none yet. Raises TableNotFoundError where there is something else."""
    try:
        with using_delta(place.shown):
            return DeltaTable(place.uri, storage_options=place.options)
    except TableNotFoundError as fault:
        # In this order: an event file that another process has put there since comes behind a commit.
        files, commits = place.names(), place.names(COMMITS)
        if lost := damage(place, first_words(fault)):
            raise DamagedLog(place.shown, lost) from fault
        if any(name.endswith(".json") for name in commits):
            # Another process has made it since.
            return DeltaTable(place.uri, storage_options=place.options)
        # A process that creates the log, or was killed at it, leaves an empty folder and an unfinished commit.
        if any(not _UNFINISHED(name) for name in (*files, *commits)):
            raise
        return None


def _steps(fault: Exception) -> str:
    """What the Delta library says of a store, from the outermost reason to the innermost, in a line."""
    plain = re.sub(r"\x1b\[[0-9;]*m|↳", "", str(fault))
    return ": ".join(line.strip(" .") for line in plain.splitlines() if line.strip())
