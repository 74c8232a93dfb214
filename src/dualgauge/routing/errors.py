"""What routing may refuse."""

from __future__ import annotations

from dualgauge.errors import UsageError


class BadUnit(UsageError):
    """What was given as a unit cannot be hashed."""

    def __init__(self, unit: object, reason: str) -> None:
        self.unit, self.reason = unit, reason
        super().__init__(
            f"the unit {unit!r} {reason}; "
            "give a text, a whole number, or a list of these (None for a read without a unit)"
        )
