"""
Where a unit stands: a number that depends on the salt and the unit alone.

h = the first 8 bytes, big-endian, of SHA-256(UTF8(salt) || 0x00 || UTF8(unit)); the unit is on v2 when
h < floor(share_ppm * 2**64 / 1_000_000). The threshold only grows with the share, so a unit that had v2
at 1 % has it at 5 %, on every machine, in every language, for every view.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from dualgauge_router.errors import UsageError
from dualgauge_router.model import PPM, canonical_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge_router.state import MigrationState

_FIRST_8_BYTES: Final = struct.Struct(">Q")  # half the cost of a slice and int.from_bytes, at every read

SPACE: Final = 2**64
"""How many places there are: h is 0 to SPACE - 1."""

_MOST_BITS: Final = 10_000
"""Of a whole number; Python writes none of much more."""

Unit = str | int
"""A simple unit. A whole number is hashed as its decimal text, as SQL casts it."""


class BadUnit(UsageError):
    """What was given as a unit cannot be hashed."""

    def __init__(self, unit: object, reason: str) -> None:
        self.unit, self.reason = unit, reason
        # Python writes no number of so many digits.
        shown = "the unit" if "digits" in reason else f"the unit {unit!r}"
        super().__init__(
            f"{shown} {reason}; give a text, a whole number, or a list of these (None for a read without a unit)"
        )


def salt(migration: str, rollout: str) -> str:
    """The salt of a rollout: frozen while it lives, so that units stay where they are."""
    return f"{migration}:{rollout}"


def prefix(salt_text: str) -> bytes:
    """The bytes that stand before every unit of one salt."""
    return salt_text.encode() + b"\x00"


def unit_text(unit: Unit | Sequence[Unit | None]) -> str:
    """
    The text of a unit that is hashed: itself, a number's digits, or the canonical JSON array of a composite one.

    Raises:
        BadUnit: it is something else (a float, a boolean, bytes have no one text).
    """
    if (fault := fault_of(unit)) is not None:
        raise BadUnit(unit, fault)
    return written(unit)


def written(unit: Unit | Sequence[Unit | None]) -> str:
    """The text of a unit that has one, as `fault_of` says."""
    if isinstance(unit, str):
        return str.__str__(unit)
    # Whatever a class of its own writes for it: `class Tenant(int, Enum)` would write its name.
    return int.__repr__(unit) if isinstance(unit, int) else canonical_json(unit)


def fault_of(unit: object) -> str | None:
    """Why a unit has no text to be hashed; None where it has one. Nothing of the unit's own is called."""
    if isinstance(unit, list | tuple):
        for part in unit:
            if isinstance(part, bool) or not isinstance(part, str | int | None):
                return f"has a part of type {type(part).__name__}"
            if isinstance(part, int) and int.bit_length(part) > _MOST_BITS:
                return "has a part of too many digits"
        return None
    if isinstance(unit, bool) or not isinstance(unit, str | int):
        return f"is of type {type(unit).__name__}"
    return "has too many digits" if isinstance(unit, int) and int.bit_length(unit) > _MOST_BITS else None


def place(before: bytes, unit: str) -> int:
    """
    The unit's h, 0 to 2**64 - 1; `before` is the `prefix` of its salt.

    Raises:
        BadUnit: the text has no UTF-8 form.
    """
    try:
        h: int = _FIRST_8_BYTES.unpack_from(hashlib.sha256(before + unit.encode()).digest())[0]
    except UnicodeEncodeError as fault:
        raise BadUnit(unit, "holds a character that has no UTF-8 form (a lone surrogate)") from fault
    return h


def bucket(state: MigrationState, unit: Unit | Sequence[Unit | None]) -> float:
    """
    Where a unit stands in a migration, from 0 to 1: it is on v2 when that is under the share.

    Raises:
        BadUnit: it cannot be hashed.
    """
    return place(prefix(salt(state.name, state.rollout)), unit_text(unit)) / SPACE


def threshold(share_ppm: int) -> int:
    """
    The first h that is not on v2, 0 to 2**64.

    Whole numbers make the two ends exact without a special case: no h is under 0, every h is under 2**64.
    """
    return share_ppm * SPACE // PPM
