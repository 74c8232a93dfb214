"""
Files that are not committed yet, and what dead processes left of theirs.

A staged file is called `HOST-PID-TOKEN-WHAT`; its place in the log is named after the token. A mark stands beside it
while it may have a place in the log that no commit names: it says whose such a file is.
"""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.commits import taken_out
from dualgauge.eventlog.place import leftovers
from dualgauge.eventlog.table import token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from dualgauge.eventlog.table import EventLog


@contextmanager
def staged(log: EventLog, now: datetime, *what: str) -> Iterator[tuple[Path, ...]]:
    """Paths for files that are not committed yet, one for each name; whatever is left of them is removed at the end."""
    remove_leftovers(log, now)
    name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
    *files, mark = (log.staging(f"{name}-{one}") for one in (*what, "mark"))
    # Stays while a staged file is moved into the log and committed: it says whose a file is that no commit names.
    mark.touch()
    try:
        yield tuple(files)
    except DualgaugeError:
        mark.unlink(missing_ok=True)
        raise
    else:
        mark.unlink(missing_ok=True)
    finally:
        # After any other fault the mark stays: nobody knows yet whether the commit went through.
        for file in files:
            file.unlink(missing_ok=True)


def remove_leftovers(log: EventLog, now: datetime) -> None:
    """Remove what killed processes left: they are gone, or, on another machine, what they left is a day old."""
    dead = [file for file in leftovers(log.place.work) if not _alive(file, now)]
    if not dead:
        return
    # Looked at after the processes: what they committed before they died is in the log, and is left alone.
    log.refresh()
    named = {one.name for one in log.event_files()}
    left = [name for name in log.place.names() if name.startswith("events-") and name not in named]
    if left:
        # What a compaction replaced stays for who reads it still, whoever wrote it.
        left = sorted(set(left) - taken_out(log.place, log.version))
    for mark in dead:
        for name in left:
            if name.endswith(f"-{token(mark)}.parquet"):
                log.place.remove(name)
        mark.unlink(missing_ok=True)


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
