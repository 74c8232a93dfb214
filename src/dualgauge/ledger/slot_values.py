"""What the ledger keeps of schedules: slots, and claims on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class SlotState(StrEnum):
    """
    What became of a slot. `due` and `claimed` are not the end; all others are.

    `skipped`: one before it was still running, or its timetable was changed. `missed`: nobody ran it in time. `failed`:
    who ran it died, twice.
    """

    DUE = "due"
    CLAIMED = "claimed"
    DONE = "done"
    SKIPPED = "skipped"
    MISSED = "missed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LaidSlot:
    """A slot that is new, or that becomes something else because of what is new."""

    due: datetime
    state: SlotState
    why: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """
    A time at which a schedule was due, and what became of it.

    `epoch` counts who claimed it, `deaths` those who died over it. `holder` has or had it; `exit_code` is that of the
    run, None where none ended. `why` says more, in words.
    """

    schedule: str
    due: datetime
    state: SlotState
    epoch: int
    deaths: int
    holder: str = ""
    exit_code: int | None = None
    why: str = ""
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class SlotsNow:
    """What a schedule's slots are: laid up to `laid_until`; those that wait, and those that somebody runs, in order."""

    laid_until: datetime
    waiting: tuple[Slot, ...]
    running: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """A schedule that is paused: by whom, since when, and why."""

    who: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a slot: whoever takes it from this holder raises the epoch."""

    migration: str
    schedule: str
    due: datetime
    holder: str
    epoch: int


def slot_text(due: datetime) -> str:
    """A slot in a line, as `schedule run --slot` takes it."""
    return due.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
