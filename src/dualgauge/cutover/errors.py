"""What a move may be refused for. Nothing was written when one of these is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, UsageError
from dualgauge.ledger.values import percent_text
from dualgauge.model import NextStep, listed

if TYPE_CHECKING:
    from dualgauge.cutover.stages import Stage, Verb


class IllegalMove(ConflictError):
    """The table of moves has no row for this stage and verb."""

    def __init__(self, stage: Stage, verb: Verb, allowed: tuple[Verb, ...]) -> None:
        self.stage, self.verb, self.allowed = stage, verb, allowed
        instead = (
            f"what it allows is {listed(allowed, most=len(allowed))}" if allowed else "it is an end: nothing leaves it"
        )
        super().__init__(
            f"stage {stage} does not allow {verb} (to {verb.meaning}); {instead}. "
            "Nothing was changed: look at `dualgauge status`",
            next_steps=(NextStep("dualgauge status", "see the stage and what it waits for"),),
        )


class UnknownStage(ConflictError):
    """The ledger holds a stage that this dualgauge does not know."""

    def __init__(self, migration: str, stage: str) -> None:
        self.migration, self.stage = migration, stage
        super().__init__(
            f"the ledger has migration {migration!r} in a stage {stage!r} that does not exist; "
            "it was changed by other hands: `dualgauge journal --verify` says what it should be",
            next_steps=(NextStep("dualgauge journal --verify", "see what the journal says of it"),),
        )


class NotReady(ConflictError):
    """Reads cannot go to v2 as it stands: `missing` says what it lacks."""

    def __init__(self, migration: str, share_ppm: int, missing: tuple[str, ...]) -> None:
        self.migration, self.share_ppm, self.missing = migration, share_ppm, missing
        super().__init__(
            f"{percent_text(share_ppm)} % of the reads of {migration!r} cannot go to v2: {'; '.join(missing)}. "
            "Nothing was changed: run `dualgauge replay`",
            next_steps=(NextStep("dualgauge replay", "build what is missing and bring both sides to one position"),),
        )


class BadPercent(UsageError):
    """A text is no percentage that a share can have."""

    def __init__(self, text: str, reason: str) -> None:
        self.text, self.reason = text, reason
        super().__init__(f"{text!r} is no percentage of reads: {reason}; write one like 5 or 0.25")
