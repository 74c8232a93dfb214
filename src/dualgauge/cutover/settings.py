"""The gates' part of the project settings: `[tool.dualgauge.gates]`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dualgauge.cutover.values import EvidenceLimits, GateLimits, LagLimits

_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class GateSettings(BaseModel):
    """How far views may be behind the log, and how fresh evidence must be, to open a gate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_lag: str = Field(
        default="5s",
        description="how long an event may be in the log that a view lacks: whole seconds, minutes, hours or days",
    )
    max_lag_events: int | None = Field(
        default=None, ge=0, strict=True, description="how many events of the log a view may lack; no limit unless set"
    )
    max_age: str = Field(
        default="24h",
        description="how old evidence may be: whole seconds, minutes, hours or days, as `90m`, `24h` or `2d`",
    )
    max_evidence_events: int | None = Field(
        default=None,
        ge=0,
        strict=True,
        description="how many events may have come since evidence was made; no limit unless set",
    )

    @model_validator(mode="before")
    @classmethod
    def _not_the_old_one(cls, raw: Any) -> Any:  # noqa: ANN401  (whatever stands in the file)
        if isinstance(raw, dict) and "max_events_behind" in raw:
            message = (
                "max_events_behind is now two settings; write max_lag_events for how many events a view may lack, and "
                "max_evidence_events for how many may have come since the evidence"
            )
            raise ValueError(message)
        return raw

    @field_validator("max_lag", "max_age")
    @classmethod
    def _a_duration(cls, text: str) -> str:
        duration(text)
        return text

    @property
    def limits(self) -> GateLimits:
        """What the gates hold views and evidence to."""
        return GateLimits(
            LagLimits(duration(self.max_lag), self.max_lag_events, self.max_lag),
            EvidenceLimits(duration(self.max_age), self.max_evidence_events, self.max_age),
        )


def duration(text: str) -> timedelta:
    """
    Read a whole number of seconds, minutes, hours or days, as `5s`, `90m`, `24h` or `2d`.

    Raises:
        ValueError: it is none; the sentence is for the user.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        message = (
            f"{text!r} is not a duration; write a whole number of seconds, minutes, hours or days, such as 5s, 90m, "
            "24h or 2d"
        )
        raise ValueError(message)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
