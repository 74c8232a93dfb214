"""
The decision: which side a unit reads, and why.

The rules are asked in one order and the first that applies decides. A migration that is complete comes before all:
v1 is no longer there to be read.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from dualgauge_router.canary import CanaryRules, Pins
from dualgauge_router.hashing import Unit, fault_of, prefix, salt, threshold, written
from dualgauge_router.model import PPM, Side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge_router.state import MigrationState

COMPLETE: Final = "complete"
"""The stage in which v1 is retired."""

READING_V2: Final = ("canary", "live", "rampdown")
"""The stages in which v2 answers reads: in any other one v1 does, whatever is pinned."""

SHADOWED: Final = ("shadow", "canary", "live")
"""The stages in which reads have a shadow on the other side, where the configuration asks for it."""

_EVERY: Final = b"\xff" * 33
"""What is above every digest: the threshold where all units are on v2."""


class Reason(StrEnum):
    """Why a side was chosen."""

    COMPLETE = "complete"
    KILL = "kill"
    STALE = "stale"
    STAGE = "stage"
    NO_UNIT = "no_unit"
    BAD_UNIT = "bad_unit"
    PIN_V1 = "pin_v1"
    PIN_V2 = "pin_v2"
    COHORT = "cohort"
    HASH = "hash"


_SIDES: Final = {
    **dict.fromkeys((Reason.COMPLETE, Reason.PIN_V2, Reason.COHORT), Side.V2),
    **dict.fromkeys((Reason.KILL, Reason.STALE, Reason.STAGE, Reason.NO_UNIT, Reason.BAD_UNIT, Reason.PIN_V1), Side.V1),
}
"""The side of each reason that has but one."""


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

    @property
    def header(self) -> str:
        """The decision for a header of a request to another service: `v2;hash;50000;17`."""
        return ";".join(map(str, self))

    @classmethod
    def from_header(cls, text: object) -> Decision | None:
        """The decision that such a header is; None where it is none."""
        if not isinstance(text, str):
            return None
        try:
            side, reason, *numbers = text.split(";")
            # What `int` takes besides digits, no header has.
            share_ppm, config_version = (int(one) for one in numbers if one.isascii() and one.isdigit())
            said = cls(Side(side), Reason(reason), share_ppm, config_version)
        except ValueError:
            return None
        could_be = len(numbers) == len(cls._fields) - 2 and said.side is _SIDES.get(said.reason, said.side)
        return said if could_be and said.share_ppm <= PPM else None


class Routing:
    """
    What deciding needs of a migration's state, worked out once and not at every read. It never changes.

    `always` is the decision where none needs a unit: a migration that is complete, that was killed, of which nothing
    trusted is known, or that is in a stage without reads on v2.
    """

    __slots__ = (
        "always", "bad_unit", "bases", "before", "cohort", "cohorts", "no_unit", "picks", "pin_v1", "pin_v2", "rules",
        "shadow", "state", "threshold", "v1", "v2",
    )  # fmt: skip

    def __init__(self, state: MigrationState, *, stale: bool = False) -> None:
        """
        Prepare a state.

        Args:
            state: the migration as it was last read from the ledger.
            stale: that is too long ago, so the share may have been taken back: v1 is safe, until it is complete.

        Raises:
            ValueError, KeyError, TypeError: the state's applied configuration is none that this version knows.
        """
        self.state = state

        def made(side: Side, reason: Reason) -> Decision:
            return Decision(side, reason, state.share_ppm, state.revision)

        self.always: Decision | None = None
        if state.stage == COMPLETE:
            self.always = made(Side.V2, Reason.COMPLETE)
        elif state.killed or stale or state.stage not in READING_V2:
            reason = Reason.KILL if state.killed else Reason.STALE if stale else Reason.STAGE
            self.always = made(Side.V1, reason)
        self.no_unit, self.bad_unit = made(Side.V1, Reason.NO_UNIT), made(Side.V1, Reason.BAD_UNIT)
        self.pin_v1, self.pin_v2 = made(Side.V1, Reason.PIN_V1), made(Side.V2, Reason.PIN_V2)
        self.cohort = made(Side.V2, Reason.COHORT)
        self.v1, self.v2 = made(Side.V1, Reason.HASH), made(Side.V2, Reason.HASH)
        self.rules = CanaryRules.of(state.canary)
        self.cohorts = self.rules.cohorts_at(state.share_ppm)
        self.picks = (self.rules.pin_v1, self.rules.pin_v2) != (Pins(), Pins()) or bool(self.cohorts)
        self.bases = dict(state.bases)
        known = not (state.killed or stale) and state.stage in SHADOWED
        self.shadow = self.rules.shadow if known else None
        self.before = prefix(salt(state.name, state.rollout))
        # A digest is below these bytes where its first eight are: the rest of it never counts, being longer.
        self.threshold = _EVERY if state.share_ppm >= PPM else threshold(state.share_ppm).to_bytes(8)

    def counted(self, view: str) -> tuple[str, int]:
        """What reads of a view are counted under: the evidence key, empty where there is none, and the share."""
        return self.bases.get(view, ""), self.state.share_ppm

    def decide(self, unit: Unit | Sequence[Unit | None] | None, attrs: Mapping[str, object] | None = None) -> Decision:
        """
        Choose the side for a unit; nothing is raised.

        Args:
            unit: a text, a whole number, or a list of these and None; None for a read without one, which reads v1. What
                has no one text to be hashed (a float, a boolean, a lone surrogate) reads v1 as `bad_unit`.
            attrs: what cohorts are told by, such as `{"region": "eu-1"}`.
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
            if self.picks and (picked := self._picked(unit, attrs)) is not None:
                return picked
            return self.v2 if _sha256(self.before + unit.encode()).digest() < self.threshold else self.v1
        except Exception:  # noqa: BLE001  (whatever it is, no read may fail for it)
            return self.bad_unit

    def _picked(self, unit: str, attrs: Mapping[str, object] | None) -> Decision | None:
        """The decision for a unit that is pinned, or in a cohort of the step; None where its hash decides."""
        # What cannot be hashed reads v1, pinned or not.
        unit.encode()
        if self.rules.pin_v1.has(unit, attrs):
            return self.pin_v1
        if self.rules.pin_v2.has(unit, attrs):
            return self.pin_v2
        return self.cohort if any(one.has(attrs) for one in self.cohorts) else None


_sha256 = hashlib.sha256
