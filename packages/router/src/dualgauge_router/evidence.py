"""
What the reads of one process came to, on its way into the ledger.

It is counts, the different reads that were judged, and samples of those that differed.

A batch that may have been written is offered again as it is until it is known to be, by its number; so nothing counts
twice, whatever becomes of a connection.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge_router.comparing import row_of, rows_of
from dualgauge_router.model import Side, canonical_json, jsonable
from dualgauge_router.serving import V2, V2_ERROR, V2_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dualgauge_router.state import MigrationState

_SHADOW: Final = "shadow"
"""The kind of counts of what came of shadow reads; the other one is of what callers got."""

WINDOW: Final = 300
"""Seconds whose reads are counted together."""

_MOST: Final = 10_000
"""Judged reads that wait to be written."""

_KEYS, _SAMPLES = 800, 20
"""Of one batch, so that no other writer of the ledger waits long."""

_WHOLE: Final = 100_000
"""Characters of an answer that is kept whole, at most."""

_MANY: Final = 1_000
"""Rows of such an answer, at most: to look at more takes long."""

_ROWS, _LONG = 20, 500
"""Rows of a sample's answers, and characters of a value, at most."""

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
        self.lost = 0
        """Judged reads that there was no room for."""
        self._writer, self._number = uuid.uuid4().hex, 0
        self._judged: deque[Judged] = deque(maxlen=_MOST)
        self._taken: dict[tuple[str, str, str], int] = {}
        self._counts: dict[tuple[Any, ...], int] = {}
        self._open: Batch | None = None

    def judge(self, read: Judged) -> None:
        """Take in one judged read; nothing is waited for. Where there is no room a good one is left out."""
        if len(self._judged) == _MOST:
            self.lost += 1
            if not read.bad:
                return
        self._judged.append(read)

    def count(
        self, state: MigrationState, totals: Mapping[str, Mapping[str, Mapping[str, int]]],
        aside: Mapping[str, Mapping[str, Mapping[str, int]]], now: datetime,
    ) -> None:  # fmt: skip
        """
        Take in what came since the last time, whether or not it can be written.

        Args:
            state: what reads went by since then: its bases and its share are what they are counted under.
            totals: by kind, view and outcome, the reads since the process began; outcomes of shadow reads begin with
                the side that answered, `v1 matched`.
            aside: those of them that count for nothing, as they were under way when what they count for changed.
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
                        self._counts[place] = self._counts.get(place, 0) + new

    def batch(self, now: datetime) -> Batch | None:
        """What is to be written next; the same again until `written`; None where there is nothing."""
        if self._open is not None:
            return self._open
        found = [self._judged.popleft() for _ in range(min(len(self._judged), _KEYS))]
        if not found and not self._counts:
            return None
        at = now.isoformat()
        judged: dict[tuple[Any, ...], list[bool]] = {}
        samples: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        pairs: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for one in found:
            name = (one.evidence_key, one.view, one.share_ppm, one.read_hash)
            if one.pair is not None:
                pairs[*name, _digest(one.pair)] = (at, *one.pair, one.served)
                continue
            judged.setdefault(name, []).append(one.bad)
            if one.differs is not None and len(samples) < _SAMPLES:
                samples.setdefault(name, ("mismatched", at, *one.differs))
        counts, self._counts = self._counts, {}
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
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return sorted([str(_plain(name)), _plain(one)] for name, one in value.items())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        # In each process they come in another order.
        return sorted(map(canonical_json, map(_plain, value)))
    try:
        text = canonical_json(value)
    except Exception:  # noqa: BLE001  (the application's own value)
        return type(value).__name__
    # Such as a connection, which has another text in every process.
    return type(value).__name__ if " at 0x" in text else text


def whole(answer: object) -> str:
    """
    An answer to be judged elsewhere: rows as JSON, with each value as a text, and lists and dicts as JSON in one.

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


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _json(value)
    # Not through JSON, which has no long numbers, and no nan.
    return str(value).lower() if isinstance(value, bool) else str(jsonable(value))


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
