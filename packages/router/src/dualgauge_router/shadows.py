"""
Shadow reads: what one side answered is read from the other one too, behind the caller's back, and compared.

Nothing of it is waited for, and nothing of it reaches the caller. What does not fit into the queue is dropped, and
counted. What comes of one read, `shadow_reads` says.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import queue
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final
from weakref import WeakKeyDictionary, finalize

from dualgauge_router.comparing import kept
from dualgauge_router.evidence import SETTLING, Place
from dualgauge_router.serving import (
    V1_ERROR,
    V2_ERROR,
    V2_TIMEOUT,
    Counts,
    Waiting,
    cancellations,
    from_outside,
    silence,
)  # fmt: skip
from dualgauge_router.shadow_reads import (
    DROPPED,
    EXCLUDED,
    LAG,
    MATCHED,
    MISMATCHED,
    PENDING,
    Ended,
    Mismatch,
    ShadowRead,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from dualgauge_router.evidence import Judged
    from dualgauge_router.model import Side
    from dualgauge_router.shadow_reads import ShadowRules

_SAMPLES: Final = 20
"""Mismatches that are kept to be looked at."""

_SLICE, _PAUSE = 0.0001, 0.0005
"""Seconds of comparison at a time, and between two: Python's lock is the callers' meanwhile."""

_UNKNOWN: Final = (DROPPED, V1_ERROR, V2_ERROR, V2_TIMEOUT)
"""Outcomes of reads of which nobody knows whether their answers differ."""

_IDLE: Final = 5.0
"""Seconds after which a thread without work ends."""


async def _no_end(function: Callable[..., Any], args: Sequence[object]) -> Any:  # noqa: ANN401  (whatever it gives)
    """What a side gives; KeyboardInterrupt, which would end the loop as SystemExit would, as another error."""
    try:
        return await function(*args)
    except KeyboardInterrupt as fault:
        raise _Raised from fault


_Reads = dict[int, "ShadowRead"]
"""Reads that have come to nothing yet, by what is theirs alone as long as they are there."""


class _Loop:
    """The reads of a loop, those that wait to be compared, how many of its tasks do so, and how many wait for later."""

    def __init__(self) -> None:
        self.reads: _Reads = {}
        self.waiting: deque[tuple[ShadowRules, ShadowRead, Any]] = deque()
        self.later = self.running = 0


_OVER: Final = object()


class _Answer:
    """What the last step of a read came to: what was `given`, or the `fault`."""

    __slots__ = ("fault", "given")

    def __init__(self) -> None:
        self.given: Any = None
        self.fault: BaseException | None = None

    def next(self, steps: Any) -> Any:  # noqa: ANN401  (the generator, and what it asks for)
        """What is asked for next, once the steps have this; `_OVER` at the end."""
        given, fault, self.given, self.fault = self.given, self.fault, None, None
        try:
            return steps.send(given) if fault is None else steps.throw(fault)
        except StopIteration:
            return _OVER


class Shadows:
    """The shadow reads of one router, in threads of their own, or in tasks of the loop whose read it was."""

    of: ClassVar = ShadowRead
    """Makes a read: who has shadow reads need not load this module again at each."""

    def __init__(
        self, wanted: Callable[[], bool], judged: Callable[[Judged], bool], now: Callable[[str], tuple[str, int]]
    ) -> None:
        """
        Begin nothing yet.

        Args:
            wanted: whether reads have shadows still; asked before each read of a side.
            judged: takes each read that is evidence, once it is judged; whether there was room for it.
            now: the evidence key and the share that reads of a view are counted under now.
        """
        self._wanted, self._tell, self._now = wanted, judged, now
        self._counts, self._aside = Counts(), Counts()
        self._samples: deque[Mismatch] = deque(maxlen=_SAMPLES)
        self._queue: queue.SimpleQueue[tuple[ShadowRules, ShadowRead]] = queue.SimpleQueue()
        # A signal's handler may read in the middle of it, and a loop may be over.
        self.turn = threading.RLock()
        """Held while a read comes to something: who holds it sees all of each, or nothing."""
        self._reads: _Reads = {}
        self._placed: Counter[tuple[Place, str]] = Counter()
        self._threads = 0
        self._later: list[tuple[float, int, ShadowRules, Any]] = []
        self._number = itertools.count()
        self._waiting = Waiting()
        self._failed, self._closed_until = 0, 0.0
        self._tasks: set[Any] = set()
        self._loops: WeakKeyDictionary[Any, _Loop] = WeakKeyDictionary()
        self._ended = False

    def close(self) -> None:
        """Begin no more. What has come to nothing by now, never will: it is counted as dropped, or as excluded."""
        self._ended = True
        with self.turn:
            for reads in (self._reads, *(mine.reads for mine in list(self._loops.values()))):
                self._over(reads)
            self._later.clear()

    def counts(self) -> dict[str, dict[str, int]]:
        """How many shadow reads of each view came to what."""
        found: dict[str, dict[str, int]] = {}
        for view, outcomes in self.counts_by_side().items():
            of_view = found.setdefault(view, {})
            for outcome, count in outcomes.items():
                what = outcome.partition(" ")[2]
                of_view[what] = of_view.get(what, 0) + count
        return found

    def counts_by_side(self) -> dict[str, dict[str, int]]:
        """The same by the side that answered, too: `v1 matched`."""
        return self._counts.total()

    def aside(self) -> dict[str, dict[str, int]]:
        """Those of them that were begun for another evidence key or share than was there at their end."""
        return self._aside.total()

    def placed(self) -> dict[tuple[Place, str], int]:
        """
        How many reads came to what by the place that they were begun for: those that wait to be read again.

        And what became of these where the share was moved meanwhile: they were written under the other one.
        """
        return dict(self._placed)

    def _over(self, reads: _Reads, *some: ShadowRead) -> None:
        """Count reads that come to nothing any more: all, unless some are given."""
        with self.turn:
            for at in map(id, some) if some else list(reads):
                if (read := reads.pop(at, None)) is not None:
                    self._count(read, DROPPED)

    def _settles(self, reads: _Reads, read: ShadowRead) -> None:
        with self.turn:
            if id(read) in reads:
                read.settling = True
                self._placed[_place(read), SETTLING] += 1

    def _is_evidence(self, read: ShadowRead) -> bool:
        """Whether what a read comes to is evidence: of what is there, at this share unless it settles."""
        key, share_ppm = self._now(read.view)
        return key == read.evidence_key and (read.settling or share_ppm == read.share_ppm)

    def _count(self, read: ShadowRead, outcome: str) -> None:
        if read.settling and outcome in _UNKNOWN:
            # One that differed at first is not left out with those.
            outcome = EXCLUDED
        self._counts.add(read.view, f"{read.served.value} {outcome}")
        if self._now(read.view) != (read.evidence_key, read.share_ppm):
            self._aside.add(read.view, f"{read.served.value} {outcome}")
            if self._is_evidence(read):
                self._placed[_place(read), outcome] += 1
        if read.settling:
            # Whatever holds by now, it is taken back where it was counted.
            self._placed[_place(read), SETTLING] -= 1

    def samples(self) -> list[Mismatch]:
        """The last mismatches."""
        return list(self._samples)

    def takes(self, rules: ShadowRules, view: str, served: Side, *, awaited: bool) -> bool:
        """Whether there is room for one more read; one that is left out is counted."""
        waiting = len(self._of_loop().waiting) if awaited else self._queue.qsize()
        if waiting < rules.queue and not self._ended and time.monotonic() >= self._closed_until:
            return True
        self.drop(view, served)
        return False

    def drop(self, view: str, served: Side) -> None:
        """Count a read that cannot be asked for again."""
        self._counts.add(view, f"{served.value} {DROPPED}")

    def offer(self, rules: ShadowRules, read: ShadowRead, *, awaited: bool) -> None:
        """Take a read, to be compared by a thread, or where it is `awaited` by a task of this loop."""
        read.answer = kept(read.answer)
        mine = self._of_loop() if awaited else None
        reads = mine.reads if mine is not None else self._reads
        reads[id(read)] = read
        if mine is not None:
            mine.waiting.append((rules, read, self._judged(reads, rules, read)))
            self._begin_task(mine, rules.workers)
        else:
            self._queue.put((rules, read))
            if self._threads < rules.workers:
                self._begin(rules.workers)
        if self._ended:
            # It was closed in the meantime.
            self._over(reads)

    def _of_loop(self) -> _Loop:
        import asyncio

        loop = asyncio.get_running_loop()
        with self.turn:
            found = self._loops.get(loop)
            if found is None:
                self._leave_ended()
                found = self._loops[loop] = _Loop()
                # A loop that ends tells nobody.
                finalize(loop, self._over, found.reads)
        return found

    def _leave_ended(self) -> None:
        """Let go of loops that were closed: a read that waits may hold a client, and that its loop."""
        for loop in [one for one in self._loops if one.is_closed()]:
            left = self._loops.pop(loop)
            left.waiting.clear()
            self._over(left.reads)

    def _begin_task(self, mine: _Loop, most: int) -> None:
        if mine.running >= most:
            return
        import asyncio

        mine.running += 1
        # A loop knows its tasks weakly, and one that was closed keeps them for nothing.
        self._tasks = {one for one in self._tasks if not one.get_loop().is_closed()}
        # Nothing that the caller's context holds, such as a pin, is the shadow's.
        task = asyncio.get_running_loop().create_task(self._work_in(mine), context=contextvars.Context())
        silence(task)
        self._tasks.add(task)
        task.add_done_callback(lambda over: self._task_over(mine, over, most))

    def _task_over(self, mine: _Loop, task: Any, most: int) -> None:  # noqa: ANN401  (a task)
        self._tasks.discard(task)
        mine.running -= 1
        if task.cancelled():
            # The loop ends: nobody will compare what waits.
            mine.waiting.clear()
            self._over(mine.reads)
            return
        # Asked for, or it would be told of at the end.
        task.exception()
        if mine.waiting:
            self._begin_task(mine, most)

    def _begin(self, most: int) -> None:
        with self.turn:
            if self._threads >= most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="dualgauge-router-shadow", daemon=True).start()
        except RuntimeError:
            # No thread is to be had: those that wait are dropped once the queue is full.
            with self.turn:
                self._threads -= 1

    def _work(self) -> None:
        """One thread: reads that came, and those that are to be looked at again."""
        idle_since = time.monotonic()
        while not self._ended:
            found = self._next()
            if found is not None:
                with suppress(BaseException):  # nothing ends the thread
                    self._go_on(*found)
                idle_since = time.monotonic()
            elif not self._later and time.monotonic() - idle_since > _IDLE:
                break
        with self.turn:
            self._threads -= 1
        if not self._queue.empty() and not self._ended:
            # One came in the meantime, and saw this thread still at work.
            self._begin(1)

    def _next(self) -> tuple[ShadowRules, Any] | None:
        with self.turn:
            if self._later and self._later[0][0] <= time.monotonic():
                _, _, rules, steps = heapq.heappop(self._later)
                return rules, steps
            left = self._later[0][0] - time.monotonic() if self._later else 1.0
        try:
            rules, read = self._queue.get(timeout=min(max(left, 0.001), 1.0))
        except queue.Empty:
            return None
        return rules, self._judged(self._reads, rules, read)

    def _go_on(self, rules: ShadowRules, steps: Any) -> None:  # noqa: ANN401  (the generator)
        """Take the steps of a read until it is over, or waits for another time."""
        answer, since = _Answer(), time.perf_counter()
        while (asked := answer.next(steps)) is not _OVER:
            if isinstance(asked, Wait):
                self._put_off(rules, steps, asked.seconds)
                return
            if asked is None:
                if time.perf_counter() - since < _SLICE:
                    continue
                time.sleep(_PAUSE)
            else:
                try:
                    answer.given = self._waiting.call(asked[0], asked[1], rules.timeout)
                except Exception as fault:  # noqa: BLE001  (counted, whatever it is)
                    answer.fault = fault
                except BaseException:  # noqa: BLE001  (counted, whatever it is)
                    answer.fault = _Raised()
            since = time.perf_counter()

    def _put_off(self, rules: ShadowRules, steps: Any, seconds: float) -> None:  # noqa: ANN401  (the generator)
        with self.turn:
            if not self._ended and len(self._later) < rules.queue:
                heapq.heappush(self._later, (time.monotonic() + seconds, next(self._number), rules, steps))
                return
        with suppress(StopIteration):
            steps.throw(Ended() if self._ended else queue.Full())

    async def _work_in(self, mine: _Loop) -> None:
        """One task: the reads of its loop, until there is none."""
        while mine.waiting:
            await self._awaited(mine, *mine.waiting.popleft())

    async def _awaited(self, mine: _Loop, rules: ShadowRules, read: ShadowRead, steps: Any) -> None:  # noqa: ANN401  (the generator)
        """What `_go_on` does, in a task that leaves its loop to others in between."""
        import asyncio

        answer, since = _Answer(), time.perf_counter()
        try:
            while (asked := answer.next(steps)) is not _OVER:
                if isinstance(asked, Wait):
                    if mine.later < rules.queue:
                        mine.later += 1
                        asyncio.get_running_loop().call_later(asked.seconds, self._again, mine, rules, read, steps)
                        return
                    answer.fault = queue.Full()
                elif asked is None:
                    if time.perf_counter() - since < _SLICE:
                        continue
                    await asyncio.sleep(_PAUSE)
                else:
                    cancelled = cancellations()
                    try:
                        answer.given = await self._waiting.awaited(_no_end, asked, rules.timeout)
                    except BaseException as fault:
                        if from_outside(fault, cancelled):
                            raise
                        answer.fault = fault if isinstance(fault, Exception) else _Raised()
                since = time.perf_counter()
        except BaseException:
            self._over(mine.reads, read)
            raise

    def _again(self, mine: _Loop, rules: ShadowRules, read: ShadowRead, steps: Any) -> None:  # noqa: ANN401  (the generator)
        """A read is looked at once more, unless it is over."""
        mine.later -= 1
        if id(read) not in mine.reads:
            return
        mine.waiting.append((rules, read, steps))
        self._begin_task(mine, rules.workers)

    def _judged(self, reads: _Reads, rules: ShadowRules, read: ShadowRead) -> Generator[Any, Any, None]:
        """The steps of one read, which count what came of it: (function, args) to call, a wait, or None after a row."""
        outcome = yield from read.outcome(
            rules, lambda: not self._ended and self._wanted(), lambda: self._settles(reads, read)
        )
        found: Judged | None = None
        if read.evidence_key and self._is_evidence(read) and outcome in (MATCHED, MISMATCHED, PENDING):
            try:
                found = read.judged(rules, outcome)
            except BaseException:  # noqa: BLE001  (whatever it is, it cannot be written down)
                outcome = outcome if outcome == MISMATCHED else EXCLUDED
        # In one turn: who closes this writes what is counted then, and nothing after.
        with self.turn:
            if reads.pop(id(read), None) is None:
                return
            if found is not None and not self._tell(found) and outcome != MATCHED:
                outcome = EXCLUDED
            if outcome == MISMATCHED and read.differs is not None:
                self._samples.append(read.differs)
            self._count(read, outcome)
        if outcome in (V2_ERROR, V2_TIMEOUT):
            self._failed += 1
            if self._failed >= rules.errors:
                self._failed, self._closed_until = 0, time.monotonic() + rules.pause
        elif outcome in (MATCHED, MISMATCHED, PENDING, LAG):
            self._failed = 0


def _place(read: ShadowRead) -> Place:
    return Place(read.evidence_key, read.view, read.share_ppm, read.served.value)


class _Raised(Exception):
    """What a side raised that is no error, such as SystemExit: thrown on as it is, it would end more than the read."""
