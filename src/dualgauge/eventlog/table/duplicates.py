"""
Ids that may be there twice, found by their hashes: a sort of numbers costs a third of a grouping of texts.

Two ids may have one hash, so what is found is only suspected; that nothing is found is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualgauge.engines.duck import Engine

AT_ONCE: Final = 1 << 25
"""Hashes that are held at once, of 8 bytes each; what has more is read several times."""


def parts_of(rows: int) -> int:
    """In how many parts the hashes of so many rows are to be read."""
    return max(1, -(-rows // AT_ONCE))


def part_of(part: int, parts: int) -> str:
    """A condition on `event_id`: its hash falls into a part."""
    return "true" if parts == 1 else f"hash(event_id) % {parts:d} = {part:d}"


def suspects(hashes: Iterable[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The hashes that occur twice."""
    found = list(hashes)
    ordered = np.sort(np.concatenate(found)) if found else np.array([], dtype=np.uint64)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def may_repeat(engine: Engine, events: str, rows: int) -> bool:
    """Whether an id may be twice among the events that a SELECT gives; False is certain."""
    parts = parts_of(rows)
    for part in range(parts):
        if len(suspects([engine.numbers(f"SELECT hash(event_id) FROM ({events}) WHERE {part_of(part, parts)}")])):
            return True
    return False
