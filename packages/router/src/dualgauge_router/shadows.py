"""
Shadow reads: what one side answered is read from the other one too, behind the caller's back, and compared.

Nothing of it is waited for, and nothing of it reaches the caller. What does not fit into the queue is dropped, and
counted. Answers that differ are read once more from both sides after a while, since one side may only have been behind:
what counts as a mismatch stood still on both.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import queue
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple
from weakref import WeakKeyDictionary

from dualgauge_router.comparing import ViewRules, differing, kept, row_of, rows_of
from dualgauge_router.evidence import Judged, hash_of, shown, whole
from dualgauge_router.hashing import threshold
from dualgauge_router.model import PPM, Side, canonical_json
from dualgauge_router.serving import V1_ERROR, V2_ERROR, V2_TIMEOUT, Counts, Late, Waiting, from_outside, silence

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

MATCHED: Final = "matched"
MISMATCHED: Final = "mismatched"
PENDING: Final = "pending"
LAG: Final = "lag"
COMPARATOR_ERROR: Final = "comparator_error"
DROPPED: Final = "dropped"
EXCLUDED: Final = "excluded"
"""What comes of a shadow read, beside what `serving` calls `V1_ERROR`, `V2_ERROR` and `V2_TIMEOUT`."""

_SAMPLES: Final = 20
"""Mismatches that are kept to be looked at."""

_ROUNDS: Final = 3
"""How often answers that differ and move are read again."""

_SLICE, _PAUSE = 0.0001, 0.0005
"""Seconds of comparison at a time, and between two: Python's lock is the callers' meanwhile."""

_IDLE: Final = 5.0
"""Seconds after which a thread without work ends."""


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """
    What an applied canary.yaml says of shadow reads.

    `below` is what the hash of a sampled unit is below; None: all are. `queue` reads wait at most, `workers` are read
    at the same time, each for `timeout` seconds; `settle` is after how many seconds answers that differ are read again.
    After `errors` reads in a row that failed, none is begun for `pause` seconds. `views` are those that are compared;
    what is kept of a mismatch is without the values of the columns that are `redacted`.
    """

    sample_ppm: int
    below: bytes | None
    queue: int
    workers: int
    timeout: float
    settle: float
    errors: int
    pause: float
    views: Mapping[str, ViewRules] = field(default_factory=dict)
    redacted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, said: Mapping[str, Any], views: Mapping[str, Any]) -> ShadowRules:
        """From the applied configuration. Raises KeyError, ValueError, TypeError where it is none."""
        sample, breaker = int(said["sample_ppm"]), said["breaker"]
        return cls(
            sample_ppm=sample, below=None if sample >= PPM else threshold(sample).to_bytes(8),
            queue=int(said["queue"]), workers=int(said["workers"]), timeout=said["timeout_ms"] / 1000,
            settle=said["settle_ms"] / 1000, errors=int(breaker["errors"]), pause=breaker["pause_ms"] / 1000,
            views={name: ViewRules.of(one) for name, one in views.items() if one is not None},
            redacted=frozenset(said.get("redact", ())),
        )  # fmt: skip


class Mismatch(NamedTuple):
    """Two answers of one read that differ, and stood still; `columns` are those that do."""

    view: str
    args: tuple[object, ...]
    columns: tuple[str, ...]
    v1: object
    v2: object


@dataclass(slots=True)
class ShadowRead:
    """
    A read that `served` answered, and how either side is read; `as_rows` makes rows of an answer.

    `evidence_key` and `share_ppm` are those that it counts under; empty where it is no evidence.
    """

    view: str
    rules: ViewRules
    served: Side
    answer: object
    v1: Callable[..., Any]
    v2: Callable[..., Any]
    args: tuple[object, ...]
    as_rows: Callable[[Any], object] | None
    evidence_key: str
    share_ppm: int
    differs: Mismatch | None = None

    def of(self, side: Side) -> Callable[..., Any]:
        """What reads a side."""
        return self.v1 if side is Side.V1 else self.v2


class _Wait(NamedTuple):
    seconds: float


async def _no_end(function: Callable[..., Any], args: Sequence[object]) -> Any:  # noqa: ANN401  (whatever it gives)
    """What a side gives; KeyboardInterrupt, which would end the loop as SystemExit would, as another error."""
    try:
        return await function(*args)
    except KeyboardInterrupt as fault:
        raise _Raised from fault


class _Loop:
    """What waits in a loop to be compared, how many of its tasks do so, and how many reads are looked at later."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[ShadowRules, ShadowRead, Any]] = deque()
        self.running = self.later = 0


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

    def __init__(self, wanted: Callable[[], bool], judged: Callable[[Judged], None]) -> None:
        """
        Begin nothing yet.

        Args:
            wanted: whether reads have shadows still; asked before each read of a side.
            judged: takes each read that is evidence, once it is judged.
        """
        self._wanted, self._tell = wanted, judged
        self._counts = Counts()
        self._samples: deque[Mismatch] = deque(maxlen=_SAMPLES)
        self._queue: queue.SimpleQueue[tuple[ShadowRules, ShadowRead]] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._threads = 0
        self._later: list[tuple[float, int, ShadowRules, Any]] = []
        self._number = itertools.count()
        self._waiting = Waiting()
        self._failed, self._closed_until = 0, 0.0
        self._tasks: set[Any] = set()
        self._loops: WeakKeyDictionary[Any, _Loop] = WeakKeyDictionary()
        self._ended = False

    def close(self) -> None:
        """Begin no more; what waits is counted as dropped."""
        self._ended = True
        with suppress(queue.Empty):
            while True:
                self._count(self._queue.get_nowait()[1], DROPPED)
        with self._turn:
            later, self._later = self._later, []
        for *_, steps in later:
            with suppress(StopIteration):
                steps.throw(_Ended())

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

    def _count(self, read: ShadowRead, outcome: str) -> None:
        self._counts.add(read.view, f"{read.served.value} {outcome}")

    def samples(self) -> list[Mismatch]:
        """The last mismatches."""
        return list(self._samples)

    def takes(self, rules: ShadowRules, view: str, served: Side, *, awaited: bool) -> bool:
        """Whether there is room for one more read; one that is left out is counted."""
        waiting = len(self._of_loop().waiting) if awaited else self._queue.qsize()
        if waiting < rules.queue and not self._ended and time.monotonic() >= self._closed_until:
            return True
        self._counts.add(view, f"{served.value} {DROPPED}")
        return False

    def offer(self, rules: ShadowRules, read: ShadowRead, *, awaited: bool) -> None:
        """Take a read, to be compared by a thread, or where it is `awaited` by a task of this loop."""
        read.answer = kept(read.answer)
        if awaited:
            mine = self._of_loop()
            mine.waiting.append((rules, read, self._judged(rules, read)))
            self._begin_task(mine, rules.workers)
            return
        self._queue.put((rules, read))
        if self._threads < rules.workers:
            self._begin(rules.workers)

    def _of_loop(self) -> _Loop:
        import asyncio

        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            found = self._loops[loop] = _Loop()
        return found

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
            while mine.waiting:
                self._count(mine.waiting.popleft()[1], DROPPED)
            return
        # Asked for, or it would be told of at the end.
        task.exception()
        if mine.waiting:
            self._begin_task(mine, most)

    def _begin(self, most: int) -> None:
        with self._turn:
            if self._threads >= most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="dualgauge-router-shadow", daemon=True).start()
        except RuntimeError:
            # No thread is to be had: those that wait are dropped once the queue is full.
            with self._turn:
                self._threads -= 1

    def _work(self) -> None:
        """One thread: reads that came, and those that are to be looked at again."""
        idle_since = time.monotonic()
        while not self._ended:
            found = self._next()
            if found is not None:
                with suppress(Exception):  # nothing ends the thread
                    self._go_on(*found)
                idle_since = time.monotonic()
            elif not self._later and time.monotonic() - idle_since > _IDLE:
                break
        with self._turn:
            self._threads -= 1
        if not self._queue.empty() and not self._ended:
            # One came in the meantime, and saw this thread still at work.
            self._begin(1)

    def _next(self) -> tuple[ShadowRules, Any] | None:
        with self._turn:
            if self._later and self._later[0][0] <= time.monotonic():
                _, _, rules, steps = heapq.heappop(self._later)
                return rules, steps
            left = self._later[0][0] - time.monotonic() if self._later else 1.0
        try:
            rules, read = self._queue.get(timeout=min(max(left, 0.001), 1.0))
        except queue.Empty:
            return None
        return rules, self._judged(rules, read)

    def _go_on(self, rules: ShadowRules, steps: Any) -> None:  # noqa: ANN401  (the generator)
        """Take the steps of a read until it is over, or waits for another time."""
        answer, since = _Answer(), time.perf_counter()
        while (asked := answer.next(steps)) is not _OVER:
            if isinstance(asked, _Wait):
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
        with self._turn:
            if not self._ended and len(self._later) < rules.queue:
                heapq.heappush(self._later, (time.monotonic() + seconds, next(self._number), rules, steps))
                return
        try:
            steps.throw(_Ended() if self._ended else queue.Full())
        except StopIteration:
            return

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
                if isinstance(asked, _Wait):
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
                    try:
                        answer.given = await self._waiting.awaited(_no_end, asked, rules.timeout)
                    except BaseException as fault:
                        if from_outside(fault):
                            raise
                        answer.fault = fault if isinstance(fault, Exception) else _Raised()
                since = time.perf_counter()
        except BaseException:
            self._count(read, DROPPED)
            raise

    def _again(self, mine: _Loop, rules: ShadowRules, read: ShadowRead, steps: Any) -> None:  # noqa: ANN401  (the generator)
        """A read is looked at once more."""
        mine.later -= 1
        mine.waiting.append((rules, read, steps))
        self._begin_task(mine, rules.workers)

    def _judged(self, rules: ShadowRules, read: ShadowRead) -> Generator[Any, Any, None]:
        """The steps of one read, which count what came of it: (function, args) to call, a wait, or None after a row."""
        outcome = yield from self._outcome(rules, read)
        if read.evidence_key and outcome in (MATCHED, MISMATCHED, PENDING):
            try:
                self._tell(_judged(rules, read, outcome))
            except Exception:  # noqa: BLE001  (whatever it is, it cannot be written down)
                outcome = outcome if outcome == MISMATCHED else EXCLUDED
        self._count(read, outcome)
        if outcome in (V2_ERROR, V2_TIMEOUT):
            self._failed += 1
            if self._failed >= rules.errors:
                self._failed, self._closed_until = 0, time.monotonic() + rules.pause
        elif outcome in (MATCHED, MISMATCHED, PENDING, LAG):
            self._failed = 0

    def _outcome(self, rules: ShadowRules, read: ShadowRead) -> Generator[Any, Any, str]:
        asked = Side.V2 if read.served is Side.V1 else Side.V1
        answers = {read.served: read.answer}
        try:
            answers[asked] = yield self._call(read, asked)
            columns = yield from self._differing(read, answers[Side.V1], answers[Side.V2])
            for _ in range(_ROUNDS if columns else 0):
                yield _Wait(rules.settle)
                again = {}
                for asked in Side:
                    again[asked] = yield self._call(read, asked)
                columns = yield from self._differing(read, again[Side.V1], again[Side.V2])
                if not columns:
                    return LAG
                stood = True
                for side in Side:
                    stood = stood and not (yield from self._differing(read, answers[side], again[side]))
                if stood:
                    return self._differ(read, columns, again)
                answers = again
        except (queue.Full, _Ended, _Incomparable) as fault:
            return _OF_FAULTS[type(fault)]
        except Late:
            return V1_ERROR if asked is Side.V1 else V2_TIMEOUT
        except BaseException:  # noqa: BLE001  (counted, whatever it is)
            return V1_ERROR if asked is Side.V1 else V2_ERROR
        return LAG if columns else MATCHED

    def _call(self, read: ShadowRead, side: Side) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """What is to be called, unless a kill or another stage came meanwhile."""
        if self._ended or not self._wanted():
            raise _Ended
        return read.of(side), read.args

    def _differ(self, read: ShadowRead, columns: frozenset[str], answers: Mapping[Side, object]) -> str:
        """Two answers that differ and stood still."""
        v1, v2 = answers[Side.V1], answers[Side.V2]
        read.differs = Mismatch(read.view, read.args, tuple(sorted(map(str, columns))), v1, v2)
        if read.rules.expects:
            return PENDING
        self._samples.append(read.differs)
        return MISMATCHED

    def _differing(self, read: ShadowRead, a: object, b: object) -> Generator[None, Any, frozenset[str]]:
        try:
            first, second = (rows_of(read.as_rows(one) if read.as_rows is not None else one) for one in (a, b))
            found: frozenset[str] = yield from differing(read.rules, first, second)
        except GeneratorExit:
            raise
        except BaseException as fault:
            raise _Incomparable from fault
        return found


def _judged(rules: ShadowRules, read: ShadowRead, outcome: str) -> Judged:
    found = Judged(read.evidence_key, read.view, read.share_ppm, hash_of(read.view, read.args), outcome == MISMATCHED)
    if read.differs is None:
        return found
    answers = [read.as_rows(one) if read.as_rows is not None else one for one in (read.differs.v1, read.differs.v2)]
    if outcome == PENDING:
        if any(name in rules.redacted for one in answers for row in rows_of(one) for name in row_of(row)):
            # What is secret stands in no ledger, and without it nobody can judge them.
            raise _Incomparable
        v1, v2 = map(whole, answers)
        return found._replace(pair=(v1, v2), served=read.served.value)
    with suppress(Exception):  # a bad read counts, also where it cannot be shown
        v1, v2 = (shown(one, rules.redacted) for one in answers)
        found = found._replace(differs=(canonical_json(read.differs.columns), v1, v2))
    return found


class _Ended(Exception):
    """Reads have no shadow any more."""


class _Raised(Exception):
    """What a side raised that is no error, such as SystemExit: thrown on as it is, it would end more than the read."""


class _Incomparable(Exception):
    """Two answers that the rules cannot judge."""


_OF_FAULTS: Final[Mapping[type[Exception], str]] = {
    queue.Full: EXCLUDED, _Ended: DROPPED, _Incomparable: COMPARATOR_ERROR,
}  # fmt: skip
