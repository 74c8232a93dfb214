"""
Files that an import found as the log has them: what the system said of each then, so that it need not be read again.

A file that was taken in is looked at by every later import, since it may not change. What the system says of it changes
with every write, and with it the file is read. The notes are kept beside the log, and may be lost: then all are read.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from dualgauge.eventlog.table.storage import unsynced

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "_seen.json"
"""The notes' name in the log's folder; Delta readers ignore names that start with an underscore."""

_SETTLED: Final = 3_000_000_000
"""Nanoseconds for which a file must have been as it is: a write behind a look may have the same time on its clock."""


class SeenFiles:
    """The notes of one import. What it neither finds nor notes of the sources that it asks about is forgotten."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._before = _read(work / FILE)
        self._now: dict[str, dict[str, list[Any]]] = {}
        self._begun = time.time_ns()

    def same(self, source: str, label: str, state: tuple[int, ...], sha256: str) -> bool:
        """Whether a file of this digest is as it was when it was read the last time."""
        note = self._before.get(source, {}).get(label)
        if note != [*state, sha256]:
            return False
        self._now.setdefault(source, {})[label] = note
        return True

    def note(self, source: str, label: str, state: tuple[int, ...], sha256: str) -> None:
        """Note that a file was read, and is that of the digest."""
        _, modified, changed, *_ = state
        if max(modified, changed) < self._begun - _SETTLED:
            self._now.setdefault(source, {})[label] = [*state, sha256]

    def save(self) -> None:
        """Keep the notes for the next import, where that can be."""
        notes = self._before | self._now
        if notes == self._before:
            return
        try:
            unsynced(self._work, self._work / FILE, json.dumps(notes).encode())
        except OSError:
            # The next import reads the files.
            return


def _read(file: Path) -> dict[str, dict[str, list[Any]]]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(one, dict) for one in found.values())
    return found if whole else {}
