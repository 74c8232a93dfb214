"""
The decision: which side a unit reads, and why.

The rules are asked in one order and the first that applies decides. A migration that is complete comes
before all: v1 is no longer there to be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from dualgauge.model import Side
from dualgauge.routing.hashing import SPACE, Unit, place, prefix, salt, threshold, unit_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.ledger.values import MigrationState

COMPLETE: Final = "complete"
"""The one stage that routing must know: in every other one the share says all. (Stages belong to a higher floor;
a test there holds the names equal.)"""


class Reason(StrEnum):
    """Why a side was chosen."""

    COMPLETE = "complete"
    NO_UNIT = "no_unit"
    STALE = "stale"
    HASH = "hash"


class Decision(NamedTuple):
    """
    A side, and why.

    `unit` is the text that was hashed, None for a read without a unit. `bucket` is where the unit stands, from
    0 to 1: it is on v2 when that is under the share; None where another rule decided. (A named tuple: made at
    every read, and a third of the cost of a frozen dataclass.)
    """

    side: Side
    reason: Reason
    unit: str | None
    share_ppm: int
    bucket: float | None


@dataclass(frozen=True, slots=True)
class Route:
    """What deciding needs of a migration's state, worked out once and not at every read."""

    share_ppm: int
    complete: bool
    prefix: bytes
    threshold: int

    @classmethod
    def of(cls, state: MigrationState) -> Route:
        """Prepare a state."""
        return cls(
            share_ppm=state.share_ppm,
            complete=state.stage == COMPLETE,
            prefix=prefix(salt(state.name, state.rollout)),
            threshold=threshold(state.share_ppm),
        )


def decide(unit: Unit | Sequence[Unit | None] | None, route: Route, *, stale: bool = False) -> Decision:
    """
    Choose the side for a unit.

    Args:
        unit: what is hashed; None for a read without one, which reads v1.
        route: the migration as it was last read from the ledger.
        stale: the ledger could not be read for too long, so the share may have been taken back: v1 is safe.

    Raises:
        BadUnit: the unit is neither a text, a whole number, nor a list of these.
    """
    text = unit if unit is None or type(unit) is str else unit_text(unit)
    if route.complete:
        return Decision(_V2, _COMPLETE, text, route.share_ppm, None)
    if text is None:
        return Decision(_V1, _NO_UNIT, None, route.share_ppm, None)
    if stale:
        return Decision(_V1, _STALE, text, route.share_ppm, None)
    at = place(route.prefix, text)
    return Decision(_V2 if at < route.threshold else _V1, _HASH, text, route.share_ppm, at / SPACE)


# An enum's member costs a look-up each time it is named; these are asked for at every read.
_V1, _V2 = Side.V1, Side.V2
_COMPLETE, _NO_UNIT, _STALE, _HASH = Reason.COMPLETE, Reason.NO_UNIT, Reason.STALE, Reason.HASH
