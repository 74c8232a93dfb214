"""Trying again after another writer was quicker: with pauses that are random, so that writers do not meet again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

TRIES: Final = 200
"""How often a writer that lost the race for the next commit starts over."""

_PAUSE, _LONGEST = 0.005, 0.5
"""Seconds: a pause is random up to twice the one before, and never longer."""


def attempts(sleep: Callable[[float], None], chance: random.Random) -> Iterator[int]:
    """The numbers of tries, from 0; between two of them it sleeps."""
    for tries in range(TRIES):
        if tries:
            sleep(chance.uniform(0, min(_LONGEST, _PAUSE * 2 ** min(tries - 1, 10))))
        yield tries
