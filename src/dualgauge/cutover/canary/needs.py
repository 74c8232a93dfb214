"""What each step of a canary.yaml needs: the reads that prove its gates, and how long those take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dualgauge.cutover.moves.percent import percent_text
from dualgauge.cutover.moves.stages import Stage
from dualgauge.cutover.statistics import clean_reads
from dualgauge.model import PPM, AsJson

if TYPE_CHECKING:
    from dualgauge.cutover.canary.model import CanaryFile, StepSection


@dataclass(frozen=True, slots=True)
class StepNeeds(AsJson):
    """
    One step. `gates` are the clean reads that each of its gates needs at least, by name; `reads` is the most of them.

    `seconds` is how long the share stays here at least, by its soak and, at a rate of reads, by these; None where the
    step asks neither.
    """

    name: str
    share_ppm: int
    stage: str
    cohorts: tuple[str, ...]
    soak_seconds: int
    gates: dict[str, int]
    reads: int
    seconds: float | None

    @property
    def share(self) -> str:
        """The share in percent."""
        return f"{percent_text(self.share_ppm)} %"


def needs(file: CanaryFile, rate: float | None = None) -> tuple[StepNeeds, ...]:
    """
    What each step needs.

    Args:
        file: the canary.yaml.
        rate: reads a second that are judged; without it only soaks take time.
    """
    return tuple(_needs(file, step, rate) for step in file.steps)


def stage_of(share_ppm: int, *, cohorts: bool) -> Stage:
    """The stage of a step: at 0 % it is canary where it has cohorts."""
    if share_ppm == 0 and not cohorts:
        return Stage.SHADOW
    return Stage.LIVE if share_ppm == PPM else Stage.CANARY


def _needs(file: CanaryFile, step: StepSection, rate: float | None) -> StepNeeds:
    gates = {}
    for name in step.gates:
        gate = file.gates[name]
        if gate.advance == "proven_below":
            gates[name] = _clean_reads(gate.limit, gate.alpha or file.alpha)
    reads = max(gates.values(), default=0)
    seconds = max(float(step.soak), reads / rate if rate else 0.0)
    return StepNeeds(
        name=step.label, share_ppm=step.share, stage=stage_of(step.share, cohorts=bool(step.cohorts)).value,
        cohorts=tuple(step.cohorts), soak_seconds=step.soak, gates=gates, reads=reads, seconds=seconds or None,
    )  # fmt: skip


_clean_reads = cache(clean_reads)
