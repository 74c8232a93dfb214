"""The gates' part of the project settings: `[tool.dualgauge.gates]`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dualgauge.cutover.values import EvidenceLimits

_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})(m|h|d)", re.ASCII)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class GateSettings(BaseModel):
    """How fresh evidence must be to open a gate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_age: str = Field(
        default="24h", description="how old evidence may be: whole minutes, hours or days, as `90m`, `24h` or `2d`"
    )
    max_events_behind: int = Field(
        default=0,
        ge=0,
        strict=True,
        description="how many events of the log v2, and the evidence, may lack",
    )

    @field_validator("max_age")
    @classmethod
    def _a_duration(cls, text: str) -> str:
        duration(text)
        return text

    @property
    def limits(self) -> EvidenceLimits:
        """What the gates hold evidence to."""
        return EvidenceLimits(duration(self.max_age), self.max_events_behind, self.max_age)


def duration(text: str) -> timedelta:
    """
    Read a whole number of minutes, hours or days, as `90m`, `24h` or `2d`.

    Raises:
        ValueError: it is none; the sentence is for the user.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        message = f"{text!r} is no age; write a whole number of minutes, hours or days, such as 90m, 24h or 2d"
        raise ValueError(message)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
