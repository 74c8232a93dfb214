"""The thread in the background that looks at a ledger again and again, for one router."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import weakref

    from dualgauge_router.ledger import LedgerReader
    from dualgauge_router.router import Router


class Looks:
    """The thread that looks at a ledger again and again while its router is there. It keeps no process alive."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        """Held for each look."""
        self._counted = threading.Condition()
        self._starting = threading.Lock()
        # No event: a router may be given up in the middle of whatever a thread does.
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._begun = self._ended = 0
        self._began_at: float | None = None
        self._thread: threading.Thread | None = None
        self._over, self._last = False, 0.0

    def forked(self) -> Looks:
        """Those of a forked process."""
        made = Looks()
        made._over = self._over
        return made

    def run(self, router: weakref.ref[Router], pause: float) -> None:
        """Have the thread, unless it is there, or was ended."""
        thread = self._thread
        if self._over or (thread is not None and thread.is_alive()):
            return
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is thread:
                made = threading.Thread(target=self._go, args=(router, pause), name="dualgauge-router", daemon=True)
                # No thread is to be had, for example, at the end of the process.
                with suppress(RuntimeError):
                    made.start()
                    self._thread = made
        finally:
            self._starting.release()

    def _go(self, router: weakref.ref[Router], pause: float) -> None:
        reader: LedgerReader | None = None
        try:
            while not self._over and (found := router()) is not None:
                with self._looking:
                    with suppress(Empty):
                        while True:
                            self._asked.get_nowait()
                    with self._counted:
                        self._begun += 1
                    self._began_at = time.monotonic()
                    reader = found._look(reader)  # noqa: SLF001  (made for this)
                    self._began_at = None
                del found
                with self._counted:
                    self._ended = self._begun
                    self._counted.notify_all()
                with suppress(Empty):
                    self._asked.get(timeout=pause)
            if (found := router()) is not None:
                with self._looking, suppress(Exception):
                    found._write_last(reader, self._last)  # noqa: SLF001  (made for this)
        finally:
            if reader is not None:
                reader.close()

    def ask(self) -> int:
        """Have a look begin as soon as can be; gives its number."""
        with self._counted:
            # One that is under way may be from before what the caller wants to see.
            wanted = self._begun + 1
        self._asked.put(None)
        return wanted

    def wait(self, number: int, timeout: float) -> bool:
        """Wait for the end of a look."""
        with self._counted:
            return self._counted.wait_for(lambda: self._ended >= number, timeout)

    def hangs(self, seconds: float) -> bool:
        """Whether a look takes longer than this."""
        began = self._began_at
        return began is not None and time.monotonic() - began > seconds

    def pause(self, seconds: float) -> bool:
        """Let no look begin until `go_on`; false where one is not over in time."""
        return self._looking.acquire(timeout=seconds)

    def go_on(self) -> None:
        """Let looks begin."""
        self._looking.release()

    def end(self, timeout: float = 0) -> None:
        """End the thread after the look that is under way; wait for that for some seconds."""
        self._last, self._over = timeout, True
        self._asked.put(None)
        thread = self._thread
        if timeout and thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
