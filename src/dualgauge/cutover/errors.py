"""What a move may be refused for. Nothing was written when one of these is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.errors import ConflictError, GateError, UsageError
from dualgauge.ledger.values import percent_text
from dualgauge.model import PPM, NextStep, listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualgauge.cutover.canary.yaml_text import Mistake
    from dualgauge.cutover.moves.stages import Stage, Verb
    from dualgauge.cutover.values import GateResult

JOINED: Final = ("diff", "check")
"""Commands that take several comparators at once."""


class BadShare(UsageError):
    """A share is a whole number of parts per million."""

    def __init__(self, given: object) -> None:
        self.given = given
        super().__init__(f"a share is 0 to {PPM} ppm, a whole number, not {given!r}; nothing was changed")


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


class GateRefused(GateError):
    """
    A move forward was asked for, and not every gate is open. `gates` are all of them, `closed` those that are not.

    The sentence tells of the first that is closed: what the others wait for is often the same. `asked` is what was, and
    cannot be, as a phrase; a share, unless it is said.
    """

    def __init__(self, migration: str, share_ppm: int, gates: tuple[GateResult, ...], *, asked: str = "") -> None:
        self.migration, self.share_ppm, self.gates = migration, share_ppm, gates
        asked = asked or f"{percent_text(share_ppm)} % of the reads of {migration!r} cannot go to v2"
        self.closed = tuple(one for one in gates if not one.passed)
        first, others = self.closed[0], self.closed[1:]
        more = f" Closed too: {listed(one.name for one in others)}." if others else ""
        steps = joined(step for one in self.closed for step in one.next_steps)
        run = ", then ".join(f"`{step.command}`" for step in steps)
        super().__init__(
            f"{asked}. Gate {first.name}: {first.why} (found: {first.value}; needed: {first.limit}).{more} "
            f"Nothing was changed: run {run}, and ask again",
            next_steps=steps,
        )

    def details(self) -> dict[str, object]:
        """All gates, open ones too."""
        return {"gates": [one.to_json() for one in self.gates]}


def joined(steps: Iterable[NextStep]) -> tuple[NextStep, ...]:
    """Each command once, in order; several diffs, or checks, become one call that names them all."""
    found: dict[str, NextStep] = {}
    for step in steps:
        verb, _, names = step.command.removeprefix("dualgauge ").partition(" ")
        key = verb if verb in JOINED and names else step.command
        if key not in found:
            found[key] = step
        elif key in JOINED and names not in found[key].command.split():
            found[key] = NextStep(f"{found[key].command} {names}", found[key].why)
    return tuple(found.values())


class BadPercent(UsageError):
    """A text is no percentage that a share can have."""

    def __init__(self, text: str, reason: str) -> None:
        self.text, self.reason = text, reason
        super().__init__(f"{text!r} is no percentage of reads: {reason}; write one like 5 or 0.25")


class BadCanary(UsageError):
    """A canary.yaml cannot work. `mistakes` are all of them, by line."""

    def __init__(self, file: str, mistakes: tuple[Mistake, ...]) -> None:
        self.file, self.mistakes = file, mistakes
        count = f"{plural(len(mistakes), 'mistake')}: " if mistakes[1:] else ""
        told = "; ".join(map(str, mistakes))
        super().__init__(f"{file} cannot work. {count}{told}. Nothing was changed: fix it, and validate it again")

    def details(self) -> dict[str, object]:
        """Each mistake with its place."""
        return {"mistakes": [{"line": one.line, "column": one.column, "what": one.what} for one in self.mistakes]}


class NoCanary(UsageError):
    """There is no canary.yaml."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        super().__init__(f"{file} cannot be read ({reason}); write it, or name another file. See `dualgauge canary -h`")


class NotActedOn(UsageError):
    """A canary.yaml asks for what this version does not do."""

    def __init__(self, file: str, what: str) -> None:
        self.file = file
        super().__init__(f"{file} cannot be applied: {what}. Nothing was changed")


class RolloutFrozen(ConflictError):
    """Another rollout would hash every unit anew, and reads are on v2."""

    def __init__(self, migration: str, stage: str, found: str, wanted: str) -> None:
        self.migration, self.found, self.wanted = migration, found, wanted
        super().__init__(
            f"the rollout of {migration!r} is {found!r}, and cannot become {wanted!r} in stage {stage}: units would "
            f"change sides. Nothing was changed: say rollout: {found}, or roll back first",
            next_steps=(NextStep("dualgauge rollback", "take all reads back to v1"),),
        )


class EndedMigration(ConflictError):
    """A migration that has ended is not routed otherwise any more."""

    def __init__(self, migration: str, stage: str, what: str) -> None:
        self.migration, self.stage = migration, stage
        super().__init__(
            f"the migration {migration!r} is in stage {stage}, an end, and cannot be {what}; nothing was changed",
            next_steps=(NextStep("dualgauge status", "see where it stands"),),
        )


class LostCanary(ConflictError):
    """The configuration in force is gone, or not what was applied."""

    def __init__(self, migration: str) -> None:
        self.migration = migration
        super().__init__(
            f"the configuration in force of {migration!r} is not the one that was applied: it was changed by hand; "
            "`dualgauge journal --verify` says more. Roll back, and apply the file again",
            next_steps=(NextStep("dualgauge rollback", "take all reads back to v1"),),
        )
