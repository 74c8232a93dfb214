"""What is news: of a schedule's slots, of views that do not move, and of moves of reads."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dualgauge.ledger.outbox.values import Message, News
from dualgauge.ledger.slot_values import SlotState, slot_text
from dualgauge.ledger.values import percent_text
from dualgauge.model import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from dualgauge.ledger.journal import JournalEntry
    from dualgauge.ledger.slot_values import Slot
    from dualgauge.model import Clock

_DIFFERENCES: Final = ("diff", 4)
_WORDS: Final[Mapping[int, str]] = {
    1: "it failed, or could not tell", 2: "the settings or a file are wrong", 3: "a gate refused",
    4: "the data breaks a promise", 5: "somebody else holds what it needs",
}  # fmt: skip
_OF_STEPS: Final[Mapping[tuple[str, int], str]] = {
    _DIFFERENCES: "differences were found", ("check", 4): "checks failed",
}  # fmt: skip

_MOVES: Final = frozenset(
    ("share_none", "share_some", "share_all", "roll_back", "ramp_down", "complete", "cancel", "kill", "unkill", "apply")
)
"""Verbs of the journal that change who reads what; a replay's own steps are no news."""


@dataclass(frozen=True, slots=True)
class Route:
    """Who is told of a schedule: its channels, how long a reminder waits at first, and its owner."""

    channels: tuple[str, ...]
    base: timedelta
    owner: str = ""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step came to, for a message: its exit code, numbers without any value of a row, and what is bad."""

    step: str
    exit_code: int
    numbers: str
    bad: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """Makes the news of one project: `routes` by schedule, `moves` the channels that are told of moves."""

    migration: str
    routes: Mapping[str, Route]
    moves: tuple[str, ...]
    clock: Clock

    def of_slots(self, slots: Sequence[Slot]) -> list[News]:
        """News of slots that nobody ran, or whose runners died: one of each schedule."""
        by_schedule: dict[str, list[Slot]] = defaultdict(list)
        for slot in slots:
            by_schedule[slot.schedule].append(slot)
        return [self._unrun(name, found) for name, found in by_schedule.items() if name in self.routes]

    def of_move(self, entry: JournalEntry) -> list[News]:
        """News of a move of reads."""
        if entry.verb not in _MOVES or not self.moves:
            return []
        before = f"{entry.from_stage} at {percent_text(entry.from_share_ppm)} %"
        after = f"{entry.to_stage} at {percent_text(entry.to_share_ppm)} %"
        reason = f": {entry.reason}" if entry.reason else ""
        message = Message(
            f"{entry.verb}: stage {after} on v2", where=f"migration {entry.migration}", found=f"before: {before}",
            done=f"{entry.verb} by {entry.who}{reason}", next="dualgauge status",
        )  # fmt: skip
        return [News("moves", None, message, self.moves, entry.at, timedelta(days=1))]

    def of_outcome(self, name: str, due: datetime, steps: Sequence[StepOutcome]) -> News:
        """News of a slot that was run."""
        bad = [one for one in steps if one.exit_code]
        found = "; ".join(f"{one.step} ({one.exit_code}): {one.numbers}" for one in bad)
        differs = any((one.step, one.exit_code) == _DIFFERENCES for one in bad)
        message = Message(
            f"schedule {name}: {', '.join(map(_words, bad)) or 'passed'}",
            where=f"migration {self.migration}, slot {slot_text(due)}", found=found,
            next="dualgauge evidence list" if differs else "dualgauge schedule list", owner=self.routes[name].owner,
        )  # fmt: skip
        cause = "; ".join(f"{one.step} {one.exit_code} {one.bad}" for one in bad)
        return self._news(f"schedule:{name}", name, message, cause)

    def of_progress(self, name: str, before: tuple[int, int] | None, now: tuple[int, int]) -> list[News]:
        """News of views that a run left where the run before had left them, while the log grew."""
        (position, head), (was, head_was) = now, before or (0, 0)
        stands = before is not None and position == was and position < head
        if stands and head == head_was:
            # Nothing came that could have moved it: it is as it was found before.
            return []
        where = f"migration {self.migration}"
        message = Message(f"schedule {name} ran, and the position moved", where=where)
        if stands:
            message = Message(
                f"schedule {name} ran, but the position did not move", where=where,
                found=f"position {position:,} of {head:,}; {plural(head - head_was, 'event')} came since the last run",
                next="dualgauge status", owner=self.routes[name].owner,
            )  # fmt: skip
        return [self._news(f"progress:{name}", name, message, "stands" if stands else "")]

    def _unrun(self, name: str, slots: Sequence[Slot]) -> News:
        last = slots[-1]
        died = last.state is SlotState.FAILED
        message = Message(
            f"schedule {name}: {'whoever ran it died, twice' if died else 'nobody ran it in time'}",
            where=f"migration {self.migration}", found=f"{plural(len(slots), 'slot')}, the last {slot_text(last.due)}",
            next="dualgauge schedule list", owner=self.routes[name].owner,
        )  # fmt: skip
        return self._news(f"schedule:{name}", name, message, last.state.value)

    def _news(self, subject: str, schedule: str, message: Message, cause: str) -> News:
        route = self.routes[schedule]
        return News(subject, bool(cause), message, route.channels, self.clock(), route.base, cause)


def _words(bad: StepOutcome) -> str:
    words = _OF_STEPS.get((bad.step, bad.exit_code)) or _WORDS.get(bad.exit_code, "it failed")
    return f"{words} ({bad.step}, exit code {bad.exit_code})"
