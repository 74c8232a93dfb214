"""A database's fault in our words, by SQLite's code or SQLSTATE, without the URL's password."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from dualgauge.stores.errors import StoreHeld, TablesRefused, TablesUnreachable, UnreadableValue
from dualgauge.stores.holders import holders

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.errors import DualgaugeError


def told(fault: BaseException | None, shown: str, file: Path | None, wait: float) -> DualgaugeError:
    """
    The error to raise for what a driver raised.

    Args:
        fault: the driver's own.
        shown: the database, as it may be shown.
        file: SQLite's file.
        wait: seconds that were waited for a lock.
    """
    reason = first_line(fault)
    if isinstance(fault, sqlite3.Error):
        return _of_sqlite(fault, reason, shown, file, wait)
    state = str(getattr(fault, "sqlstate", None) or "")
    if not state and type(fault).__name__ == "DataError":
        # The driver's own: Python has no such date.
        return UnreadableValue(shown, reason)
    # SQLSTATE: 25006 a read-only transaction; 42 a statement that does not fit; 22 a value that does not;
    # 0A000 what stands in a place where it is not taken, such as a write inside of a query.
    if state in ("25006", "0A000") or state[:2] in ("42", "22"):
        return TablesRefused(shown, reason)
    return TablesUnreachable(shown, reason)


def _of_sqlite(fault: sqlite3.Error, reason: str, shown: str, file: Path | None, wait: float) -> DualgaugeError:
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreHeld(shown, wait, holders(file) if file else ())
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return TablesUnreachable(shown, f"as a SQLite database: {reason}")
    if "Could not decode" in reason:
        return UnreadableValue(shown, reason)
    if code == sqlite3.SQLITE_ERROR or (code == sqlite3.SQLITE_READONLY and "attempt to write" in reason):
        return TablesRefused(shown, reason)
    return TablesUnreachable(shown, reason)


def first_line(fault: BaseException | None) -> str:
    """What a fault says, without the hints below it."""
    return str(fault).strip().split("\n", maxsplit=1)[0].strip()
