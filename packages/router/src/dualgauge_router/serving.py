"""
Serving a read from v2 so that v1's answer is never lost because of it, and counting what came of each read.

A read that v2 fails to answer, or not in time, is answered by v1. Who waits for v2 no longer than a time-out has it
answer in a thread or task of its own; once `HANGING` of these are late, v1 answers at once.
"""

from __future__ import annotations

import contextvars
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

HANGING: Final = 32
"""Calls of v2 that are late and have not ended, in threads or in tasks: with so many, no other is begun."""

V1: Final = "v1"
V2: Final = "v2"
V2_ERROR: Final = "v2_error"
V2_TIMEOUT: Final = "v2_timeout"
V1_ERROR: Final = "v1_error"
"""What came of a read: the side that answered it, or why v1 answered for v2, or that v1 raised. Plain texts: an
enumeration's members take as long to look up as a decision."""


class Counts:
    """How many reads of each view came to what. Safe between threads: each counts by itself, and waits for no other."""

    def __init__(self) -> None:
        # By the number of the thread, which another one gets once it has ended: there are never more than threads.
        self._of_threads: dict[int, dict[tuple[str, str], int]] = {}

    def add(self, view: str, outcome: str, reads: int = 1) -> None:
        """Count a read, or some."""
        thread = threading.get_ident()
        counted = self._of_threads.get(thread)
        if counted is None:
            counted = self._of_threads[thread] = {}
        key = (view, outcome)
        counted[key] = counted.get(key, 0) + reads

    def total(self) -> dict[str, dict[str, int]]:
        """The counts by view and outcome; those that did not come up lack."""
        found: dict[str, dict[str, int]] = {}
        # Copies: a thread may begin to count meanwhile.
        for counted in [dict(one) for one in list(self._of_threads.values())]:
            for (view, outcome), count in counted.items():
                of_view = found.setdefault(view, {})
                of_view[outcome] = of_view.get(outcome, 0) + count
        return found


class Late(Exception):
    """v2 did not answer in time."""


class _Call:
    """One call of v2 in a thread of its own; `answer` is whether it gave or raised, and what."""

    __slots__ = ("answer", "late", "over")

    def __init__(self) -> None:
        self.answer: tuple[bool, Any] = (False, None)
        self.over = threading.Event()
        self.late = False


class Waiting:
    """Calls of v2 that are waited for no longer than a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._hanging = 0
        self._late: set[asyncio.Future[Any]] = set()

    def call(self, function: Callable[..., T], args: Sequence[object], timeout: float) -> T:
        """
        What a function gives or raises, if it does so in time.

        Raises:
            Late: it does not, or as many calls as may be are late already.
        """
        if self._hanging >= HANGING:
            raise Late
        call, context = _Call(), contextvars.copy_context()

        def run() -> None:
            try:
                call.answer = (True, context.run(function, *args))
            except KeyboardInterrupt:
                # Ctrl-C comes to no thread but the main one: this is v2's own.
                call.answer = (False, RuntimeError("it raised KeyboardInterrupt"))
            except BaseException as fault:  # noqa: BLE001  (raised where it is waited for)
                call.answer = (False, fault)
            with self._turn:
                call.over.set()
                self._hanging -= call.late

        try:
            threading.Thread(target=run, name="dualgauge-router-v2", daemon=True).start()
        except RuntimeError:
            # No thread is to be had.
            raise Late from None
        # What is no number waits as long as can be.
        if not call.over.wait(min(threading.TIMEOUT_MAX, timeout)):
            with self._turn:
                # It may have come at the last moment.
                call.late = not call.over.is_set()
                self._hanging += call.late
            if call.late:
                raise Late
        well, found = call.answer
        if not well:
            raise found
        given: T = found
        return given

    async def awaited(self, function: Callable[..., Awaitable[T]], args: Sequence[object], seconds: float | None) -> T:
        """
        What an asynchronous function gives or raises, if it does so in time.

        Raises:
            Late: it does not, and was told to end; or too many have been told so, and have not ended.
        """
        if seconds is None:
            return await function(*args)
        if len(self._late) >= HANGING:
            raise Late
        # Whoever awaits has it loaded; it takes longer than all of this package.
        import asyncio

        task = asyncio.ensure_future(_no_exit(function, args))
        silence(task)
        try:
            # Not asyncio.timeout: what does not end when it is cancelled would be waited for.
            await asyncio.wait({task}, timeout=max(seconds, 0))
        except BaseException:
            task.cancel()
            raise
        if not task.done():
            self._late.add(task)
            task.add_done_callback(self._over)
            task.cancel()
            raise Late
        return task.result()

    def _over(self, task: asyncio.Future[Any]) -> None:
        """A late call has ended: nobody asks what it gave, or raised."""
        self._late.discard(task)
        if not task.cancelled():
            task.exception()


def silence(task: Any) -> None:  # noqa: ANN401  (a task)
    """Have a loop that is closed in the middle of a task of ours say nothing of it, as asyncio has it for its own."""
    with suppress(AttributeError):
        task._log_destroy_pending = False  # noqa: SLF001  (there is no other way)


async def _no_exit(function: Callable[..., Awaitable[T]], args: Sequence[object]) -> T:
    """What a function gives; SystemExit as another error, since a task that raises it would end the loop."""
    try:
        return await function(*args)
    except SystemExit as fault:
        raise RuntimeError(f"it raised SystemExit({fault.code!r})") from fault


def is_interrupt(fault: BaseException) -> bool:
    """Whether it was raised by the application's own handler of a signal, as for SIGTERM, while v2 was waited for."""
    # Not isinstance: that asks the error, which is the application's own, and may raise.
    if issubclass(type(fault), KeyboardInterrupt):
        return True
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()} - {None}
    at = fault.__traceback__
    while at is not None and at.tb_frame.f_code not in handlers:
        at = at.tb_next
    return at is not None


def cancellations() -> int:
    """How often the task that runs was told to end; one that went on all the same was told so before."""
    from asyncio import current_task

    task = current_task()
    return task.cancelling() if task is not None else 0


def from_outside(fault: BaseException, cancelled: int) -> bool:
    """Whether it is the caller who was interrupted, or cancelled more often than before, and not what v2 waited for."""
    if issubclass(type(fault), GeneratorExit) or is_interrupt(fault):
        return True
    from asyncio import CancelledError

    return issubclass(type(fault), CancelledError) and cancellations() > cancelled
