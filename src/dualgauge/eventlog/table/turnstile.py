"""
Whose turn it is to commit to a log in a folder: writers go on one after the other, and none is passed over.

Two locks of the system (flock) in a row: who waits for the second one holds the first, so a writer that has just
committed cannot take the second again before the one that waits. One lock alone starves a writer (seen: of two that
never pause, 498 turns to 3). Nothing rests on a turn but fairness: each commit is a compare-and-set on the log's head,
with a turn and without. So where there is no lock to be had a writer goes on without, and where the turn does not come
(its holder was stopped) it does so after a while, and says it.

A lock is freed by the system when its holder dies. Readers take none.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import weakref
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

from dualgauge.model import listed
from dualgauge.stores.holders import holders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGGER: Final = logging.getLogger("dualgauge.eventlog")

FOLDER: Final = "_turn"
"""The locks' folder in the log's own; Delta readers ignore names that start with an underscore."""

PATIENCE: Final = 30.0
"""Seconds that a writer waits for its turn."""

_OPEN: Final[weakref.WeakSet[IO[bytes]]] = weakref.WeakSet()
"""Every lock file that this process has open."""


class Turnstile:
    """The turns of one log, as one of its writers sees them. Safe to share between threads: each waits for itself."""

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        """
        Take the log's folder; nothing is made or locked.

        Args:
            folder: the log's.
            patience: seconds to wait for a turn.
        """
        self._log = folder
        self._patience = patience
        self._entry, self._commit = (folder / FOLDER / name for name in ("entry.lock", "commit.lock"))
        self._late: _Waiter | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn for a while; without one where there is none to be had."""
        held = self._taken()
        try:
            yield
        finally:
            if held is not None:
                _release(held)

    def _taken(self) -> IO[bytes] | None:
        late = self._late
        if late is not None and late.is_alive():
            # Whoever kept this one waiting still does: it is not waited for a second time.
            return None
        self._late = None
        try:
            self._entry.parent.mkdir(parents=True, exist_ok=True)
            if (held := self._at_once()) is not None:
                return held
            waiter = _Waiter(self._entry, self._commit)
        except OSError:
            # A file system without locks, or one that takes no file: what is to be written tells of that.
            return None
        held = waiter.result(self._patience)
        if held is None and not waiter.settled.is_set():
            self._late = waiter
            LOGGER.warning("%s", self._told(waiter.at))
        return held

    def _at_once(self) -> IO[bytes] | None:
        """The turn where nobody else wants it."""
        entry = _opened(self._entry)
        try:
            fcntl.flock(entry, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = _opened(self._commit)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                _release(held)
                raise
        except BlockingIOError:
            return None
        finally:
            _release(entry)
        return held

    def _told(self, file: Path) -> str:
        found = holders(file)
        pids = listed([str(pid) for pid in found])
        who = f"process {pids} holds" if len(found) == 1 else f"processes {pids} hold" if found else "somebody holds"
        step = f"`kill -CONT {found[0]}` lets it go on" if found else "see which process has the file open"
        return (
            f"the log at {self._log}: this writer's turn did not come in {self._patience:g} s, because {who} {file}; "
            "it goes on without one: what is appended is whole as ever, but writers may have to wait for each other: "
            f"if that process was stopped, {step}"
        )


class _Waiter(threading.Thread):
    """Waits for both locks: in a thread, because a lock of the system cannot be told how long to wait."""

    def __init__(self, entry: Path, commit: Path) -> None:
        super().__init__(name="dualgauge-turn", daemon=True)
        self.at = entry
        """The lock that it waits for."""
        self.settled = threading.Event()
        self._commit = commit
        self._first = _opened(entry)
        try:
            self._second = _opened(commit)
        except OSError:
            _release(self._first)
            raise
        self._guard = threading.Lock()
        self._wanted = True
        self._held: IO[bytes] | None = None

    def run(self) -> None:
        """Wait; a turn that nobody wants any more is given back."""
        try:
            fcntl.flock(self._first, fcntl.LOCK_EX)
            self.at = self._commit
            fcntl.flock(self._second, fcntl.LOCK_EX)
            with self._guard:
                if self._wanted:
                    self._held = self._second
        except OSError:
            pass
        finally:
            self.settled.set()
            _release(self._first)
            if self._held is None:
                _release(self._second)

    def result(self, patience: float) -> IO[bytes] | None:
        """The turn; None where it does not come in so many seconds."""
        try:
            self.start()
            self.settled.wait(patience)
        except RuntimeError:
            # No thread is to be had, for example at the end of the process.
            _release(self._first)
            _release(self._second)
            self.settled.set()
        except BaseException:
            if (held := self._last_call()) is not None:
                _release(held)
            raise
        return self._last_call()

    def _last_call(self) -> IO[bytes] | None:
        with self._guard:
            self._wanted = False
            return self._held


def _opened(file: Path) -> IO[bytes]:
    """A lock file, made where there is none; another user's may be locked without being written to."""
    try:
        made: IO[bytes] = file.open("ab", buffering=0)
    except PermissionError:
        made = file.open("rb", buffering=0)
    _OPEN.add(made)
    return made


def _release(file: IO[bytes]) -> None:
    # Said, and not left to the closing: a process forked meanwhile has the same open file.
    with suppress(OSError, ValueError):  # a fork closed it already
        fcntl.flock(file, fcntl.LOCK_UN)
    file.close()


def _forget() -> None:
    """In a forked process: let go of the parent's lock files, or its death would not free them."""
    for file in list(_OPEN):
        file.close()


os.register_at_fork(after_in_child=_forget)
