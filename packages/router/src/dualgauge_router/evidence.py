"""
What the reads of one process came to, on its way into the ledger.

It is counts, the different reads that were judged, and samples of those that differed.

A batch that may have been written is offered again as it is until it is known to be, by its number; so nothing counts
twice, whatever becomes of a connection.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from enum import Enum
from hashlib import sha256
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge_router.comparing import row_of, rows_of
from dualgauge_router.model import Side, canonical_json, jsonable
from dualgauge_router.rules import as_written, instant
from dualgauge_router.serving import V2, V2_ERROR, V2_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dualgauge_router.state import MigrationState

SETTLING: Final = "settling"
"""
The outcome of a shadow read that waits to be read again: whatever becomes of its process, it is not left out as if it
were none.
"""

_SHADOW: Final = "shadow"
"""The kind of counts of what came of shadow reads; the other one is of what callers got."""

WINDOW: Final = 300
"""Seconds whose reads are counted together."""

_MOST: Final = 10_000
"""Judged reads that wait to be written; of bad ones twice as many."""

_PAIRS: Final = 1_000
"""Pairs of answers that wait to be written."""

_KEYS, _SAMPLES, _ANSWERS = 800, 20, 100
"""Of one batch, so that no other writer of the ledger waits long."""

_WHOLE: Final = 100_000
"""Characters of an answer that is kept whole, at most."""

_MANY: Final = 1_000
"""Rows of such an answer, at most: to look at more takes long."""

_ROWS, _LONG = 20, 500
"""Rows of a sample's answers, and characters of a value, at most."""

_WIDE: Final = Context(prec=1_000)

_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]{6,}>")
"""What stands in the text of a value that holds what is none."""

_OF_V2: Final = (V2, V2_ERROR, V2_TIMEOUT)


class Judged(NamedTuple):
    """
    A shadow read that was judged, under the key of what it is evidence for.

    `differs` is a sample of a bad one: its columns and both answers. One that waits for dualgauge to judge it is not
    `bad`, nor good, and has both answers whole as `pair`; `served` is the side that it is counted by.
    """

    evidence_key: str
    view: str
    share_ppm: int
    read_hash: str
    bad: bool
    differs: tuple[str, str, str] | None = None
    pair: tuple[str, str] | None = None
    served: str = ""


_NAMED: Final = 4
"""The fields of `Judged` that tell one read from another."""


class Place(NamedTuple):
    """What a read is counted for; `side` answered it."""

    evidence_key: str
    view: str
    share_ppm: int
    side: str


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Rows for the ledger, without the migration's name, which comes first in each.

    `number` counts up from 1; `since` is when the window of its counts began.
    """

    writer: str
    number: int
    at: str
    since: str
    counts: Sequence[tuple[Any, ...]]
    keys: Sequence[tuple[Any, ...]] = ()
    samples: Sequence[tuple[Any, ...]] = ()
    pairs: Sequence[tuple[Any, ...]] = ()


class ReadEvidence:
    """Counts of one process that the ledger does not have yet. `judge` is for any thread, the rest for one."""

    def __init__(self) -> None:
        self._writer, self._number = uuid.uuid4().hex, 0
        self._judged: deque[Judged] = deque()
        self._pairs: deque[Judged] = deque()
        self._taken: dict[tuple[str, str, str], int] = {}
        self._counts: Counter[tuple[Any, ...]] = Counter()
        self._placed: dict[tuple[Place, str], int] = {}
        self._settled: Counter[tuple[Any, ...]] = Counter()
        self._due = [0, 0]
        self._open: Batch | None = None

    def judge(self, read: Judged) -> bool:
        """Take in one judged read, if there is room for it; nothing is waited for."""
        # Of several threads each may be one too many.
        waiting, most = (self._judged, 2 * _MOST if read.bad else _MOST) if read.pair is None else (self._pairs, _PAIRS)
        if len(waiting) >= most:
            return False
        waiting.append(read)
        return True

    def count(
        self, state: MigrationState, totals: Mapping[str, Mapping[str, Mapping[str, int]]],
        aside: Mapping[str, Mapping[str, Mapping[str, int]]], placed: Mapping[tuple[Place, str], int], now: datetime,
    ) -> None:  # fmt: skip
        """
        Take in what came since the last time, whether or not it can be written.

        Args:
            state: what reads went by since then: its bases and its share are what they are counted under.
            totals: by kind, view and outcome, the reads since the process began; outcomes of shadow reads begin with
                the side that answered, `v1 matched`.
            aside: those of them that count for nothing, as they were under way when what they count for changed.
            placed: reads by place and outcome: those that wait to be read again, and what came of them elsewhere.
            now: says in which window they are.
        """
        bases, since = dict(state.bases), _window(now)
        for kind, views in totals.items():
            for view, outcomes in views.items():
                for outcome, every in outcomes.items():
                    key, total = (kind, view, outcome), every - aside[kind].get(view, {}).get(outcome, 0)
                    new, self._taken[key] = total - self._taken.get(key, 0), total
                    if new and view in bases:
                        side, _, what = _sided(kind, outcome)
                        place = (bases[view], view, state.share_ppm, kind, side, what, since)
                        self._counts[place] += new
        for (of, what), reads in placed.items():
            new, self._placed[of, what] = reads - self._placed.get((of, what), 0), reads
            if new and bases.get(of.view) == of.evidence_key:
                into = self._counts if new > 0 else self._settled
                place = (of.evidence_key, of.view, of.share_ppm, _SHADOW, of.side, what, since)
                into[place] += new
        self._due = [len(self._judged), len(self._pairs)]

    def batch(self, now: datetime) -> Batch | None:
        """What is to be written next; the same again until `written`; None where there is nothing."""
        if self._open is not None:
            return self._open
        # What was judged since the last count waits for the next one, which also has those that settle meanwhile.
        found = [self._judged.popleft() for _ in range(min(self._due[0], _KEYS))]
        answers = [self._pairs.popleft() for _ in range(min(self._due[1], _ANSWERS))]
        self._due = [self._due[0] - len(found), self._due[1] - len(answers)]
        if not any(self._due):
            # What was settled is taken back with the last of them: until then a read is counted as one or the other.
            self._counts.update(self._settled)
            self._settled.clear()
        if not found and not answers and not self._counts:
            return None
        at = now.isoformat()
        judged: dict[tuple[Any, ...], list[bool]] = {}
        samples: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for one in found:
            name = one[:_NAMED]
            judged.setdefault(name, []).append(one.bad)
            if one.differs is not None and len(samples) < _SAMPLES:
                samples.setdefault(name, ("mismatched", at, *one.differs))
        pairs: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for number, one in enumerate(answers):
            # The times tell their order; texts of one length, as a database may take signs for nothing.
            place = (now + timedelta(microseconds=number)).isoformat(timespec="microseconds")
            pairs.setdefault((*one[:_NAMED], _digest(one.pair)), (place, *(one.pair or ()), one.served))
        counts, self._counts = self._counts, Counter()
        self._number += 1
        # Sorted: two processes that take the same rows in other orders would wait for each other.
        self._open = Batch(
            self._writer, self._number, at, _window(now), sorted((*place, count) for place, count in counts.items()),
            sorted((*name, int(bad[0]), int(any(bad[1:]))) for name, bad in judged.items()),
            sorted((*name, *one) for name, one in samples.items()),
            sorted((*name, *one) for name, one in pairs.items()),
        )  # fmt: skip
        return self._open

    def written(self) -> None:
        """The last batch is in the ledger."""
        self._open = None


def _window(now: datetime) -> str:
    return datetime.fromtimestamp(now.timestamp() // WINDOW * WINDOW, UTC).isoformat()


def _sided(kind: str, outcome: str) -> tuple[str, str, str]:
    if kind == _SHADOW:
        return outcome.partition(" ")
    return (Side.V2 if outcome in _OF_V2 else Side.V1).value, "", outcome


def _digest(value: object) -> str:
    # A text may have half a character, such as a file's name.
    return sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def storable(text: str) -> str:
    """A text as a database keeps one."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def hash_of(view: str, args: Sequence[object]) -> str:
    """What names a read among others: SHA-256 of its view and arguments; of an argument that is no value, its type."""
    return _digest([view, [_plain(one) for one in args]])


def _plain(value: object) -> object:
    value = value.value if isinstance(value, Enum) else value
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return sorted([str(_plain(name)), _plain(one)] for name, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_plain(one) for one in value]
        # In each process those of a set come in another order.
        return parts if isinstance(value, list | tuple) else sorted(map(canonical_json, parts))
    try:
        if isinstance(value, float | Decimal):
            return _digits(value)
        text = canonical_json(instant(value) if isinstance(value, datetime) else value)
    except Exception:  # noqa: BLE001  (the application's own value)
        return type(value).__name__
    # What is the same as itself alone, such as a connection, is no value, and has another text each time.
    alone = type(value).__eq__ is object.__eq__ or _ADDRESS.search(text)
    return type(value).__name__ if alone else text


def _digits(number: float | Decimal) -> str:
    """One text for one number, whatever its type and its zeros are: that of a whole one is that of an int."""
    exact = as_written(number)
    if not exact.is_finite():
        return str(exact)
    least = exact.normalize(_WIDE) if exact else Decimal(0)
    return format(least, "f") if abs(least.adjusted()) < _WIDE.prec else str(least)


def whole(answer: object) -> str:
    """
    An answer to be judged elsewhere: rows as JSON, with each value as a text, and lists and dicts as JSON in one.

    What Python has as a number, a truth value, a list or a dict stands in a list of its own: '5' is not 5.

    Raises:
        NotComparable, ValueError: it has no rows, or is too long.
    """
    if len(given := rows_of(answer)) > _MANY:
        raise ValueError(len(given))
    rows = [{str(name): _text(one) for name, one in row_of(row).items()} for row in given]
    text = storable(canonical_json(rows))
    if len(text) > _WHOLE:
        raise ValueError(len(text))
    return text


def _text(value: object) -> str | list[str] | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return [_json(value)]
    if isinstance(value, bool):
        return [str(value).lower()]
    # Not through JSON, which has no long numbers, and no nan.
    return [str(value)] if isinstance(value, int | float | Decimal) else str(jsonable(value))


def _json(value: object) -> str:
    """A list or a dict as JSON, in which a Decimal is the number that it is."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{canonical_json(str(name))}:{_json(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    return canonical_json(str(value) if isinstance(value, float) and not isfinite(value) else value)


def shown(answer: object, redacted: Collection[str]) -> str:
    """An answer for a sample, as JSON: its first rows, of each value what is looked at; `redacted` names are folded."""
    rows = []
    for row in islice(rows_of(answer), _ROWS):
        columns = row_of(row).items()
        rows.append({str(name): "(redacted)" if str(name).lower() in redacted else _cut(one) for name, one in columns})
    return storable(canonical_json(rows))


def _cut(value: object) -> object:
    if isinstance(value, str | bytes):
        return value[:_LONG]
    if isinstance(value, list | tuple | dict) and len(value) > _ROWS:
        return f"({len(value)} values)"
    text = canonical_json(value)
    return value if len(text) <= _LONG else text[:_LONG]
