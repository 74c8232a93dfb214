"""
One shadow read: what is asked for, and what comes of it.

Answers that differ are read once more from both sides after a while, since one side may only have been behind: what
counts as a mismatch stood still on both. Where the positions are known that the sides are at, it stood still on both at
one position of the log.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge_router import arguments
from dualgauge_router.comparing import ViewRules, differing, row_of, rows_of
from dualgauge_router.evidence import Judged, hash_of, shown, storable, whole
from dualgauge_router.hashing import threshold
from dualgauge_router.model import PPM, Side, canonical_json
from dualgauge_router.serving import V1_ERROR, V2_ERROR, V2_TIMEOUT, Late

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

MATCHED: Final = "matched"
MISMATCHED: Final = "mismatched"
PENDING: Final = "pending"
LAG: Final = "lag"
COMPARATOR_ERROR: Final = "comparator_error"
DROPPED: Final = "dropped"
EXCLUDED: Final = "excluded"
"""
What comes of a shadow read, beside what `serving` calls `V1_ERROR`, `V2_ERROR` and `V2_TIMEOUT`.

Of one that is dropped nobody knows whether its answers differ. Those that differ and are not judged are excluded.
"""

_ROUNDS: Final = 3
"""How often answers that differ and move are read again."""


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """
    What an applied canary.yaml says of shadow reads.

    `below` is what the hash of a sampled unit is below; None: all are. `queue` reads wait at most, `workers` are read
    at the same time, each for `timeout` seconds; `settle` is after how many seconds answers that differ are read again.
    After `errors` reads in a row that failed, none is begun for `pause` seconds. `views` are those that are compared;
    what is kept of a mismatch is without the values of the columns that are `redacted`, whose names are folded.
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
            redacted=frozenset(map(str.lower, said.get("redact", ()))),
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

    `positions` gives the position of the log that a side is at, where anything tells, and `named` what names the read
    among others, where its arguments do not. `evidence_key` and `share_ppm` are those that it counts under; empty where
    it is no evidence. `asked` is the side that was asked last, and `differs` what is to be judged, or to be shown;
    `settling`: its answers differed at first, or must be judged, and wait to be read again.
    """

    view: str
    rules: ViewRules
    served: Side
    answer: object
    v1: Callable[..., Any]
    v2: Callable[..., Any]
    args: tuple[object, ...]
    as_rows: Callable[[Any], object] | None
    positions: Callable[[Side], int | None] | None
    named: Callable[..., object] | None
    evidence_key: str
    share_ppm: int
    asked: Side = Side.V1
    differs: Mismatch | None = None
    settling: bool = False

    def outcome(
        self, rules: ShadowRules, wanted: Callable[[], bool], settles: Callable[[], None]
    ) -> Generator[Any, Any, str]:
        """
        The steps to what comes of it: (function, args) to call, a `Wait`, or None after each row that was compared.

        Args:
            rules: what is in force.
            wanted: whether reads have shadows still; asked before each read of a side.
            settles: called once, as it begins to wait to be read again; sets `settling`.
        """
        try:
            return (yield from self._compared(rules, wanted, settles))
        except (queue.Full, Ended, _Incomparable) as fault:
            return _OF_FAULTS[type(fault)]
        except Late:
            return V1_ERROR if self.asked is Side.V1 else V2_TIMEOUT
        except BaseException:  # noqa: BLE001  (counted, whatever it is)
            return V1_ERROR if self.asked is Side.V1 else V2_ERROR

    def _compared(
        self, rules: ShadowRules, wanted: Callable[[], bool], settles: Callable[[], None]
    ) -> Generator[Any, Any, str]:
        answers = {self.served: self.answer}
        other = Side.V2 if self.served is Side.V1 else Side.V1
        answers[other] = yield self._call(other, wanted)
        columns = yield from self._differing(answers)
        # Where differences are expected, one that is not there may be the mismatch.
        if not columns and not self.rules.expects:
            return MATCHED
        settles()
        since = yield from self._positions(wanted)
        for _ in range(_ROUNDS):
            yield Wait(rules.settle)
            until, again = (yield from self._positions(wanted)), dict[Side, object]()
            for side in Side:
                again[side] = yield self._call(side, wanted)
            columns = yield from self._differing(again)
            if not columns and not self.rules.expects:
                break
            moved = set[Side]()
            for side in Side:
                if (yield from self._differing({Side.V1: answers[side], Side.V2: again[side]})):
                    moved.add(side)
            if not moved and _at_one_position(since, until):
                self.differs = Mismatch(self.view, self.args, tuple(sorted(map(str, columns))), *again.values())
                return PENDING if self.rules.expects else MISMATCHED
            if moved:
                since |= {side: one for side, one in (yield from self._positions(wanted)).items() if side in moved}
            answers = again
        return LAG

    def judged(self, rules: ShadowRules, outcome: str) -> Judged:
        """What its outcome is as evidence. Raises what a comparator raises, where it can be told to nobody."""
        key = hash_of(self.view, self._names())
        found = Judged(self.evidence_key, self.view, self.share_ppm, key, outcome == MISMATCHED)
        if self.differs is None:
            return found
        answers = [self._as_rows(one) for one in (self.differs.v1, self.differs.v2)]
        if outcome == PENDING:
            if any(
                str(name).lower() in rules.redacted for one in answers for row in rows_of(one) for name in row_of(row)
            ):
                # What is secret stands in no ledger, and without it nobody can judge them.
                raise _Incomparable
            v1, v2 = map(whole, answers)
            return found._replace(pair=(v1, v2), served=self.served.value)
        with suppress(Exception):  # a bad read counts, also where it cannot be shown
            v1, v2 = (shown(one, rules.redacted) for one in answers)
            found = found._replace(differs=(storable(canonical_json(self.differs.columns)), v1, v2))
        return found

    def _names(self) -> Sequence[object]:
        if self.named is not None:
            with suppress(BaseException):  # the application's own; its arguments name it as well
                return [self.named(*self.args)]
        return self.args

    def _call(self, side: Side, wanted: Callable[[], bool]) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """What is to be called, unless a kill or another stage came meanwhile."""
        self._ask(side, wanted)
        # What it does to them is done to a copy: it is asked for the same more than once.
        return (self.v1 if side is Side.V1 else self.v2), arguments.kept(self.args)

    def _ask(self, side: Side, wanted: Callable[[], bool]) -> None:
        if not wanted():
            raise Ended
        self.asked = side

    def _positions(self, wanted: Callable[[], bool]) -> Generator[Any, Any, dict[Side, int | None]]:
        found: dict[Side, int | None] = {}
        for side in Side if self.positions is not None else ():
            self._ask(side, wanted)
            found[side] = yield self.positions, (side,)
        return found

    def _differing(self, answers: Mapping[Side, object]) -> Generator[None, Any, frozenset[str]]:
        try:
            first, second = (rows_of(self._as_rows(answers[side])) for side in Side)
            found: frozenset[str] = yield from differing(self.rules, first, second)
        except GeneratorExit:
            raise
        except BaseException as fault:
            raise _Incomparable from fault
        return found

    def _as_rows(self, answer: object) -> object:
        return self.as_rows(answer) if self.as_rows is not None else answer


def _at_one_position(since: Mapping[Side, int | None], until: Mapping[Side, int | None]) -> bool:
    """
    Whether there is a position of the log at which both sides gave what they give, as far as anybody can tell.

    A side gave it from one position to another, by the side. That of one that nobody knows may have been any.
    """
    known = [(since[side], until[side]) for side in since.keys() & until.keys()]
    spans = [(one, other) for one, other in known if one is not None and other is not None]
    return len(spans) < len(Side) or max(one for one, _ in spans) <= min(other for _, other in spans)


class Wait(NamedTuple):
    """For so many seconds."""

    seconds: float


class Ended(Exception):
    """Reads have no shadow any more."""


class _Incomparable(Exception):
    """Two answers that the rules cannot judge."""


_OF_FAULTS: Final[Mapping[type[Exception], str]] = {
    queue.Full: EXCLUDED, Ended: DROPPED, _Incomparable: COMPARATOR_ERROR,
}  # fmt: skip
