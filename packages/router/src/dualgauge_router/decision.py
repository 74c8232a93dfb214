"""
The decision: which side a unit reads, and why.

The rules are asked in one order and the first that applies decides. A migration that is complete comes before all:
v1 is no longer there to be read.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from dualgauge_router.hashing import Unit, fault_of, prefix, salt, threshold, written
from dualgauge_router.model import PPM, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge_router.state import MigrationState

COMPLETE: Final = "complete"
"""The one stage that routing must know: in every other one the share says all. Stages belong to dualgauge."""

_EVERY: Final = b"\xff" * 33
"""What is above every digest: the threshold where all units are on v2."""


class Reason(StrEnum):
    """Why a side was chosen."""

    COMPLETE = "complete"
    NO_UNIT = "no_unit"
    BAD_UNIT = "bad_unit"
    STALE = "stale"
    HASH = "hash"


class Decision(NamedTuple):
    """
    A side, and why.

    `share_ppm` is the share of reads on v2 and `config_version` the revision of the migration's state that it was
    decided by: it counts up with every change of what routing goes by. One object for all decisions that are alike.
    """

    side: Side
    reason: Reason
    share_ppm: int
    config_version: int


class Routing:
    """
    What deciding needs of a migration's state, worked out once and not at every read. It never changes.

    `always` is the decision where none needs a unit: a complete migration, or one of which nothing trusted is known.
    """

    __slots__ = ("always", "bad_unit", "before", "no_unit", "state", "threshold", "v1", "v2")

    def __init__(self, state: MigrationState, *, stale: bool = False) -> None:
        """
        Prepare a state.

        Args:
            state: the migration as it was last read from the ledger.
            stale: that is too long ago, so the share may have been taken back: v1 is safe, until it is complete.
        """
        self.state = state
        complete = state.stage == COMPLETE

        def made(side: Side, reason: Reason) -> Decision:
            return Decision(side, reason, state.share_ppm, state.revision)

        self.always = made(Side.V2, Reason.COMPLETE) if complete else made(Side.V1, Reason.STALE) if stale else None
        self.no_unit, self.bad_unit = made(Side.V1, Reason.NO_UNIT), made(Side.V1, Reason.BAD_UNIT)
        self.v1, self.v2 = made(Side.V1, Reason.HASH), made(Side.V2, Reason.HASH)
        self.before = prefix(salt(state.name, state.rollout))
        # A digest is below these bytes where its first eight are: the rest of it never counts, being longer.
        self.threshold = _EVERY if state.share_ppm >= PPM else threshold(state.share_ppm).to_bytes(8)

    def decide(self, unit: Unit | Sequence[Unit | None] | None) -> Decision:
        """
        Choose the side for a unit; nothing is raised.

        Args:
            unit: a text, a whole number, or a list of these and None; None for a read without one, which reads v1. What
                has no one text to be hashed (a float, a boolean, a lone surrogate) reads v1 as `bad_unit`.
        """
        if self.always is not None:
            return self.always
        try:
            if type(unit) is not str:
                if unit is None:
                    return self.no_unit
                if fault_of(unit) is not None:
                    # Asked first: an error would write the unit down, which may take long.
                    return self.bad_unit
                unit = written(unit)
            return self.v2 if _sha256(self.before + unit.encode()).digest() < self.threshold else self.v1
        except Exception:  # noqa: BLE001  (whatever it is, no read may fail for it)
            return self.bad_unit


_sha256 = hashlib.sha256
