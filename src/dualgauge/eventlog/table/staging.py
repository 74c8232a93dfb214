"""
Files that are not committed yet, and what dead processes left of theirs.

A staged file is called `HOST-PID-TOKEN-WHAT`; its place in the log is named after the token. A mark stands beside it
while it may have a place in the log that no commit names: it says whose such a file is.
"""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.table.commits import read_commit
from dualgauge.eventlog.table.event_files import token
from dualgauge.eventlog.table.storage import leftovers, own_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from dualgauge.eventlog.table.event_log import EventLog


@contextmanager
def staged(log: EventLog, now: datetime, *what: str) -> Iterator[tuple[Path, ...]]:
    """Paths for files that are not committed yet, one for each name; whatever is left of them is removed at the end."""
    remove_leftovers(log, now)
    name = own_name("")
    *files, mark = (log.staging(f"{name}{one}") for one in (*what, "mark"))
    # Stays while a staged file is moved into the log and committed: it says whose a file is that no commit names.
    mark.touch()
    try:
        yield tuple(files)
    except BaseException as fault:
        if isinstance(fault, DualgaugeError) or not _in_doubt(log, mark):
            mark.unlink(missing_ok=True)
        raise
    else:
        mark.unlink(missing_ok=True)
    finally:
        for file in files:
            _remove(file)


def _in_doubt(log: EventLog, mark: Path) -> bool:
    """Whether a file may have a place in the log that no commit names: then the mark stays."""
    try:
        log.refresh()
        return bool(_unnamed(log, mark))
    except Exception:  # noqa: BLE001  (a disk that fails tells nothing)
        return True


def _unnamed(log: EventLog, mark: Path) -> list[str]:
    """The files of a mark's process that no commit names."""
    named = {one.name for one in log.event_files()}
    ends = f"-{token(mark)}.parquet"
    left = [
        name for name in log.place.names()
        if name.startswith("events-") and name.endswith(ends) and name not in named
    ]  # fmt: skip
    # What a compaction has replaced stays for who reads it: it is named by an older commit.
    for version in range(log.version, -1, -1) if left else ():
        try:
            left = [name for name in left if name not in read_commit(log.place, version).added]
        except (FileNotFoundError, ValueError):
            return []
    return left


def remove_leftovers(log: EventLog, now: datetime) -> None:
    """Remove what killed processes left: they are gone, or, on another machine, what they left is a day old."""
    dead = [file for file in leftovers(log.place.work) if not _alive(file, now)]
    if not dead:
        return
    # Looked at after the processes: what they committed before they died is in the log, and is left alone.
    log.refresh()
    for mark in dead:
        for name in _unnamed(log, mark):
            log.place.remove(name)
        _remove(mark)


def _remove(path: Path) -> None:
    """A file, or a folder of copies."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _alive(file: Path, now: datetime) -> bool:
    """Whether the process that staged a file may still be at work."""
    host, pid = file.name.rsplit("-", 3)[:2] if file.name.count("-") >= 3 else ("", "")  # noqa: PLR2004
    if host != socket.gethostname() or not pid.isdigit():
        return not file.exists() or file.stat().st_mtime > now.timestamp() - 86_400
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
