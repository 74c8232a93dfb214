"""What the ledger gives: frozen values, and the forms in which times and shares are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dualgauge.model import canonical_json, sha256
from dualgauge_router.state import MigrationState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.model import Outcome, Position


__all__ = [
    "LAG",
    "TOUCHED",
    "EvidenceKind",
    "EvidenceRun",
    "LogCommit",
    "MigrationState",
    "RunState",
    "evidence_key",
    "percent_text",
    "time_text",
]

LAG: Final = "lag_seconds"
"""What a run's summary says of the log that it was made by: see `cutover.gates.validity.lag_when_made`."""


TOUCHED: Final = "touched"
"""What a run's summary says of what it compared, where that was not every key: see `comparison.runs.touched`."""


class EvidenceKind(StrEnum):
    """How evidence was made: rows compared, rules checked, or reads counted."""

    DIFF = "diff"
    CHECK = "check"
    READS = "reads"


class RunState(StrEnum):
    """
    A run that was killed stays `running`; only `finished` evidence, whose seal is in the journal, can open a gate.

    `unsealed` runs were finished by a dualgauge that did not seal them: they are kept to be read, and open no gate.
    """

    RUNNING = "running"
    FINISHED = "finished"
    UNSEALED = "unsealed"


@dataclass(frozen=True, slots=True)
class EvidenceRun:
    """
    One run that makes evidence. `bound` is what it is bound to; `evidence_key` is its fingerprint.

    `verdict`, `finished_at` and `summary` are None while it runs. `folder` is where its files are, None without any.
    """

    run_id: str
    kind: EvidenceKind
    name: str
    evidence_key: str
    bound: Mapping[str, object] = field(hash=False)
    position: Position | None
    state: RunState
    started_at: datetime
    folder: str | None = None
    verdict: Outcome | None = None
    finished_at: datetime | None = None
    summary: Mapping[str, object] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class LogCommit:
    """
    One link of the event log's digest chain: positions `first` to `last`, their file's digest, the chain with it (hex).

    An append moves the log on to `last`. A compaction writes positions anew that the log had: `at` is then where the
    log stood, and `step` counts such links from 1 behind the append that ended there.
    """

    first: int
    last: int
    rows: int
    digest: str
    chain: str
    at: int = 0
    step: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Where the link stands in the chain: links are in the order of this."""
        return self.at or self.last, self.step


def evidence_key(bound: Mapping[str, object]) -> str:
    """Fingerprint of what evidence is bound to: two runs with one key are comparable."""
    return sha256(canonical_json(bound))


def time_text(at: datetime) -> str:
    """
    Write a time as the ledger keeps it: ISO, UTC, always six decimals, so that texts sort as times do.

    Raises:
        ValueError: the time has no zone. That is a mistake of the calling code, not of a user.
    """
    if at.tzinfo is None:
        message = f"a time without a zone reached the ledger: {at!r}"
        raise ValueError(message)
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def percent_text(share_ppm: int) -> str:
    """Write a share in percent, exactly and as short as can be: 50_000 is `5`, 1 is `0.0001`."""
    whole, rest = divmod(share_ppm, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")
