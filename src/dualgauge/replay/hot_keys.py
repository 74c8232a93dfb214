"""Hot keys: those that many of the newest events of a view go to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from dualgauge.stores.serving.tail_state import HotKey

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAVIEST: Final = 10
"""How many keys of a batch are looked at."""

SHARE: Final = 0.1
"""A key is hot where at least this share of the events went to it."""

_FEWEST, _MOST = 1_000, 100_000
"""Events before which nothing is said, and events after which all counts are halved, so that newer ones weigh more."""

_KEYS: Final = 200
"""Counts that are kept. One of a hot key is among the highest ten."""


class Tally:
    """About how many events went to the keys that get most."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._events = 0.0

    def add(self, heaviest: Sequence[tuple[tuple[str, ...], int]], events: int) -> None:
        """Take a batch: its heaviest keys as text, each with its events, and how many events it has for all keys."""
        self._counts.update(dict(heaviest))
        self._events += events
        if self._events > _MOST:
            self._events /= 2
            self._counts = Counter({key: count // 2 for key, count in self._counts.items()})
        if len(self._counts) > _KEYS:
            self._counts = Counter(dict(self._counts.most_common(_KEYS // 2)))

    def hot(self) -> tuple[HotKey, ...]:
        """The hot keys, the hottest first; none where there is but one key, and none after few events."""
        if len(self._counts) <= 1 or self._events < _FEWEST:
            return ()
        shares = [(key, count / self._events) for key, count in self._counts.most_common(int(1 / SHARE))]
        return tuple(
            HotKey(dict(zip(self._columns, key, strict=True)), round(share, 2))
            for key, share in shares
            if share >= SHARE
        )
