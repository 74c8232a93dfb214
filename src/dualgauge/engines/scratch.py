"""
Scratch folders: for what an engine spills, and for what a diff reads. They go away at the end of the work.

A killed process cannot remove its own, so each folder says whose it is and can be found again: it lies in the
system's folder for temporary files, has the process's number in its name, and holds a file that its process keeps
locked. The next start removes those that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dualgauge.engines.errors import NoScratch

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK: Final = ".held"
"""The file that the owner keeps locked. The system lets go of it however the owner ends."""

_AN_HOUR: Final = 3600

_NAME: Final = re.compile(r"dualgauge-[a-z]+-(?P<pid>\d+)-[0-9a-f]{16}")


@contextmanager
def scratch(purpose: str, folder: Path | None = None) -> Iterator[Path]:
    """
    Give an empty folder, and remove it at the end; first remove those that killed processes left.

    Args:
        purpose: one word, part of the name: `dualgauge-<purpose>-<process>-<random>`.
        folder: where; the system's folder for temporary files by default.

    Raises:
        NoScratch: no folder can be made there.
    """
    try:
        base = folder or Path(tempfile.gettempdir())
        clean(base)
        path = base / f"dualgauge-{purpose}-{os.getpid()}-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        held = os.open(path / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as fault:
        raise NoScratch(folder or os.environ.get("TMPDIR", "the system's temporary folder"), _told(fault)) from fault
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def clean(base: Path) -> list[Path]:
    """Remove the scratch folders in `base` whose processes are gone; gives them. Those of others are left alone."""
    gone = []
    for path in base.glob("dualgauge-*"):
        match = _NAME.fullmatch(path.name)
        if match and not _alive(int(match["pid"])) and not _held(path):
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path)
    return gone


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _held(path: Path) -> bool:
    """
    Whether somebody holds the folder's lock, or it cannot be looked at.

    A process of another container that shares this folder has a number that means nothing here; its lock does.
    """
    try:
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            return True
        held = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Made and not locked yet, or half removed: an old one is nobody's.
        return time.time() - _changed_at(path) < _AN_HOUR
    except OSError:
        return True
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(held)
    return False


def _changed_at(path: Path) -> float:
    """When the folder was changed; now, if another start has removed it since it was listed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _told(fault: OSError) -> str:
    return fault.strerror or str(fault)
