"""What stands in canary.yaml: shares, cohorts, pins and gates, as they are written there."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema, model_validator

from dualgauge.cutover.errors import BadPercent
from dualgauge.cutover.moves.percent import parse_percent
from dualgauge.cutover.settings import duration
from dualgauge.ledger.values import percent_text
from dualgauge.model import PPM, canonical_json
from dualgauge_router.canary import TESTS
from dualgauge_router.hashing import fault_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PERCENT: Final = "^[0-9]{1,9}(\\.[0-9]{1,30})?%$"
MOMENT: Final = "^([1-9][0-9]{0,5})(ms|s)$"
_LEAST: Final = 1e-9
"""Of a rate: less is proven by no number of reads that anybody has."""


def share_of(text: object) -> int:
    """
    A share such as `5%` in parts per million.

    Raises:
        ValueError: it is none; the sentence is for the user.
    """
    if not isinstance(text, str) or not text.endswith("%"):
        message = f"{text!r} is not a share of reads; write it as a percentage, such as 5% or 0.25%"
        raise ValueError(message)
    try:
        return parse_percent(text.removesuffix("%"))
    except BadPercent as fault:
        message = f"{text} is not a share of reads: {fault.reason}"
        raise ValueError(message) from None


def _rate(text: object) -> float:
    if isinstance(text, str) and re.fullmatch(PERCENT, text, re.ASCII):
        rate = float(Fraction(text.removesuffix("%")) / 100)
        if _LEAST <= rate <= 1 - _LEAST:
            return rate
    message = f"{text!r} is not a limit of a rate; write a percentage above 0% and below 100%, such as 0.1%"
    raise ValueError(message)


def _seconds(text: object) -> int:
    if not isinstance(text, str):
        message = f"{text!r} is not a duration; write a whole number of seconds, minutes, hours or days, such as 30m"
        raise ValueError(message)  # noqa: TRY004  (pydantic collects it)
    return int(duration(text).total_seconds())


def _milliseconds(text: object) -> int:
    found = re.fullmatch(MOMENT, text, re.ASCII) if isinstance(text, str) else None
    if found is None:
        message = f"{text!r} is not a short time; write a whole number of milliseconds or seconds, such as 250ms or 2s"
        raise ValueError(message)
    return int(found[1]) * (1 if found[2] == "ms" else 1_000)


def _unit(value: object) -> object:
    if (fault := fault_of(value)) is not None:
        message = f"{value!r} cannot be a unit: it {fault}; give a text, a whole number, or a list of these"
        raise ValueError(message)
    return value


Share = Annotated[int, BeforeValidator(share_of), WithJsonSchema({"type": "string", "pattern": PERCENT})]
Rate = Annotated[float, BeforeValidator(_rate), WithJsonSchema({"type": "string", "pattern": PERCENT})]
Seconds = Annotated[
    int, BeforeValidator(_seconds), WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,5}[smhd]$"})
]
Moment = Annotated[int, BeforeValidator(_milliseconds), WithJsonSchema({"type": "string", "pattern": MOMENT})]
Text = Annotated[str, Strict(), Field(min_length=1)]
Scalar = Annotated[str, Strict()] | Annotated[bool, Strict()] | Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1, le=100_000)]
Unit = Annotated[
    Any,
    BeforeValidator(_unit),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array"}]}),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CohortSection(_Section):
    """Reads that belong together by an attribute that the application gives with them."""

    attr: Text = Field(description="the attribute's name, as in `router.decide(unit, attrs={...})`")
    in_: list[Scalar] | None = Field(
        default=None, alias="in", min_length=1, description="the attribute is one of these"
    )
    starts_with: Text | None = Field(default=None, description="the attribute is a text that starts so")
    ends_with: Text | None = Field(default=None, description="the attribute is a text that ends so")

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if sum(one is not None for one in (self.in_, self.starts_with, self.ends_with)) != 1:
            message = f"a cohort asks one thing of its attribute: {', '.join(TESTS[:-1])} or {TESTS[-1]}"
            raise ValueError(message)
        return self


class PinSection(_Section):
    """Who reads one side whatever the share is."""

    units: list[Unit] = Field(default_factory=list, description="units, as the application gives them")
    cohorts: list[Text] = Field(default_factory=list, description="names of cohorts")


class OverrideSection(_Section):
    """Pins; those to v1 win. They hold while v2 answers reads: in stages canary, live and rampdown."""

    pin_v1: PinSection = Field(default_factory=PinSection)
    pin_v2: PinSection = Field(default_factory=PinSection)


class GateSection(_Section):
    """A rate of bad reads that is to be proven below a limit before the share may leave a step upward."""

    kind: Literal["rate"] = "rate"
    bad: Literal["mismatch", "v2_error", "v2_timeout"] = Field(description="what is counted as a bad read")
    limit: Rate = Field(description="the rate that is not to be reached, such as 0.1%")
    alpha: Annotated[float, Strict()] | None = Field(
        default=None, gt=0, lt=1, description="chance of a wrong claim, at most the file's; default: that"
    )
    advance: Literal["proven_below", "ignored"] = Field(default="proven_below", description="what opens it")
    alarm: Literal["proven_above", "ignored"] = Field(default="proven_above", description="what closes it for good")


class StepSection(_Section):
    """A share of reads on v2, and what it asks before the share may leave it upward."""

    share: Share = Field(description="the share of reads on v2, such as 0.1%; each step's is above the one before")
    name: Text | None = Field(default=None, description="for people; default: the share")
    cohorts: list[Text] = Field(
        default_factory=list, description="cohorts that are on v2 from this step on, beside the share"
    )
    soak: Seconds = Field(default=0, description="how long the share stays here at least, such as 30m")
    gates: list[Text] = Field(default_factory=list, description="names of gates, beside those that are always asked")

    @property
    def label(self) -> str:
        """Its name, or its share."""
        return self.name or f"{percent_text(self.share)}%"


class ServeSection(_Section):
    """How reads are served from v2: what it does not answer, v1 answers."""

    timeout: Moment = Field(description="how long v2 is waited for where the application says nothing, such as 250ms")


class BreakerSection(_Section):
    """When shadow reads pause, so that a side that is down is left alone."""

    errors: Count = Field(default=20, description="so many reads in a row that failed begin a pause")
    pause: Moment = Field(default=30_000, description="how long it is, such as 30s")


class ShadowSection(_Section):
    """Reads that are read from the other side too, and compared, while the caller goes on: in shadow, canary, live."""

    sample: Share = Field(default=PPM, description="the share of units whose reads have a shadow, such as 10%")
    queue: Count = Field(default=256, description="reads that wait at most; others are dropped, and counted")
    workers: Count = Field(default=2, description="reads of the other side at the same time at most, of each process")
    timeout: Moment = Field(default=1_000, description="how long one is waited for, such as 250ms")
    settle: Moment = Field(
        default=2_000,
        description="after how long answers that differ are read again from both sides; more than a view's lag",
    )
    breaker: BreakerSection = Field(default_factory=BreakerSection)
    redact: list[Text] = Field(
        default_factory=list, description="columns whose values are left out of the samples of mismatches"
    )


class CanaryFile(_Section):
    """canary.yaml as a whole."""

    rollout: Text | None = Field(
        default=None,
        pattern="^[^:]+$",
        description="half of the salt that units are hashed with; it cannot change while v2 answers reads. "
        "Default: as it was, v2 at first",
    )
    unit: Text | None = Field(default=None, description="what applications give as the unit, for people: customer_id")
    alpha: Annotated[float, Strict()] = Field(
        default=0.05, gt=0, le=0.2, description="chance of a wrong claim of a step's gates"
    )
    cohorts: dict[str, CohortSection] = Field(default_factory=dict)
    overrides: OverrideSection = Field(default_factory=OverrideSection)
    serve: ServeSection | None = Field(default=None, description="how v2 is waited for; default: as long as it takes")
    shadow: ShadowSection | None = Field(default=None, description="which reads have a shadow; default: none")
    gates: dict[str, GateSection] = Field(default_factory=dict)
    steps: list[StepSection] = Field(min_length=1, description="the ramp, from the smallest share up")

    @property
    def text(self) -> str:
        """What the ledger keeps of it, where no view is compared."""
        return self.text_with({})

    def text_with(self, views: Mapping[str, object]) -> str:
        """
        What the ledger keeps of it: canonical JSON, which routers read.

        Args:
            views: by what the shadow reads of each view are compared, None for one that is not.
        """
        said = self.model_dump(by_alias=True, exclude_none=True, exclude={"serve", "shadow"})
        said["steps"] = [
            {"name": one.label, "share_ppm": one.share, "cohorts": one.cohorts, "soak_seconds": one.soak,
             "gates": one.gates}
            for one in self.steps
        ]  # fmt: skip
        if self.serve is not None:
            said["serve"] = {"timeout_ms": self.serve.timeout}
        if (shadow := self.shadow) is not None:
            said["shadow"] = {
                "sample_ppm": shadow.sample, "queue": shadow.queue, "workers": shadow.workers,
                "timeout_ms": shadow.timeout, "settle_ms": shadow.settle,
                "breaker": {"errors": shadow.breaker.errors, "pause_ms": shadow.breaker.pause},
                "redact": sorted(set(shadow.redact)),
            }  # fmt: skip
            said["views"] = views
        return canonical_json(said)


class AppliedStep(BaseModel):
    """A step of the file in force, as the ledger keeps it."""

    model_config = ConfigDict(frozen=True)

    name: str
    share_ppm: int
    cohorts: list[str]
    soak_seconds: int
    gates: list[str]

    @property
    def soak(self) -> timedelta:
        """How long the share stays at the step at least."""
        return timedelta(seconds=self.soak_seconds)
