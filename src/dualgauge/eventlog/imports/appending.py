"""The commits of an import: what is staged and new gets its positions, and goes into the log part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dualgauge.eventlog.errors import LostRace
from dualgauge.eventlog.sources.databases import moved
from dualgauge.eventlog.table.event_log import Behind
from dualgauge.eventlog.table.retry import TRIES, attempts
from dualgauge.model import literal

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.imports.fresh import Fresh
    from dualgauge.eventlog.table.commits import Head
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.model import Progress

ROWS_PER_COMMIT = 8_388_608
"""A larger import is committed in parts, each whole, so that no file grows without bound."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Paths for what is not committed yet: two files of events, and a folder for copies of files."""

    merged: Path
    part: Path
    copies: Path


@dataclass(frozen=True, slots=True)
class Appending:
    """
    Numbers and commits the fresh rows of one staging, each commit noted in `done`; or, without any, the cursors alone.

    `before` are the cursors that the staging rests on.
    """

    engine: Engine
    log: EventLog
    fresh: Fresh
    staged: Staged
    cursors: Mapping[str, Any]
    before: Mapping[str, Any]
    progress: Progress
    done: list[Head]

    def all(self, sleep: Callable[[float], None], chance: random.Random) -> bool:
        """
        Commit them in parts; false where another process imported a source: its files are to be looked at anew.

        Raises:
            LostRace: other writers were quicker, again and again.
        """
        for _ in attempts(sleep, chance):
            try:
                while True:
                    if not self._part():
                        return False
                    if self.fresh.taken == self.fresh.added:
                        self.progress("committing", self.fresh.added, self.fresh.added)
                        return True
            except Behind:
                continue
        raise LostRace(self.log.path, TRIES)

    def _part(self) -> bool:
        """
        Commit the next part; false where a cursor is not what it was.

        Raises:
            Behind: another writer was quicker.
        """
        base = self.log.look()
        rows, file = self._numbered(base)
        with self.log.turn():
            now = self.log.look()
            if any(now.cursors.get(name) != one for name, one in self.before.items()):
                return False
            if now != base:
                # Numbered anew within the turn: who appends without a pause would always be quicker.
                rows, file = self._numbered(now)
            new = self._commit(rows, file, now)
        if new:
            self.log.mirror()
            self._took(rows, new)
        return True

    def behind(self, base: Head) -> None:
        """
        Commit them in parts right behind a head, in the turn that the caller has; `log.mirror` is to follow.

        Raises:
            Behind: another writer was quicker.
        """
        if not self.fresh.added and self.log.refresh() != base:
            raise Behind
        while True:
            rows, file = self._numbered(base)
            new = self._commit(rows, file, base)
            if new:
                self._took(rows, new)
                base = new
            if self.fresh.taken == self.fresh.added:
                return

    def _commit(self, rows: int, file: Path, base: Head) -> Head | None:
        """Commit a part behind a head, or the cursors alone where it has no row; gives the head that has new rows."""
        if rows:
            # The cursors say that a source was taken in whole: only the last part may claim that.
            last = self.fresh.taken + rows == self.fresh.added
            return self.log.commit(file, base, rows, self.cursors if last else {})
        if any(_says_more(base.cursors.get(name), one) for name, one in self.cursors.items()):
            self.log.note(self.cursors, base)
        return None

    def _took(self, rows: int, new: Head) -> None:
        self.done.append(new)
        self.fresh.took(rows, new)

    def _numbered(self, base: Head) -> tuple[int, Path]:
        """How many rows the next part has, and the file in which they have the positions behind a head."""
        self.fresh.look(base)
        self.progress("committing", self.fresh.taken, self.fresh.added)
        left = self.fresh.added - self.fresh.taken
        rows = min(ROWS_PER_COMMIT, left)
        if rows == left and self.fresh.whole(base):
            return rows, self.staged.merged
        if rows:
            copy_to(self.engine, self.fresh.part(base, rows), self.staged.part)
        return rows, self.staged.part


def _says_more(held: Mapping[str, Any] | None, cursor: Mapping[str, Any]) -> bool:
    """Whether a cursor is worth a commit of its own."""
    return held != cursor if "files" in cursor else moved(held, cursor)


def copy_to(engine: Engine, query: str, file: Path) -> None:
    """Write a query's rows into a Parquet file."""
    engine.execute(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")
