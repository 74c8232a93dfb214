"""
Which slots there are at an instant, from those that there were: every one that was due gets a row, run or not.

A pure function of the timetable, the rows and the time. `ledger.slots` calls it inside the transaction that writes
what it gives, so that of any number of processes one lays a slot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dualgauge.ledger.slot_values import LaidSlot, SlotState, slot_text

if TYPE_CHECKING:
    from datetime import datetime

    from dualgauge.ledger.slot_values import SlotsNow
    from dualgauge.schedules.settings import ScheduleSettings

LATE: Final = timedelta(minutes=5)
"""How late a slot is run at most where nothing is caught up with: a runner is not punctual to the second."""

MOST: Final = 10_000
"""How many rows of slots that nobody ran are written at once; the first of them says how many there were before."""


def laid(settings: ScheduleSettings, before: SlotsNow, now: datetime) -> list[LaidSlot]:
    """The rows that are new or become another state: what is due now, and why what is not run is not."""
    kept: deque[datetime] = deque(maxlen=MOST)
    count = 0
    for due in settings.timetable.between(before.laid_until, now):
        kept.append(due)
        count += 1
    # A slot whose runner died is run again whatever came after it.
    waiting = [slot.due for slot in before.waiting if not slot.deaths]
    if kept and before.running:
        found = _behind(settings, before.running[0].due, waiting, list(kept))
    else:
        found = _in_turn(settings, waiting, list(kept), now)
    if count > len(kept):
        found = [_with_those_before(one, count - len(kept)) if one.due == kept[0] else one for one in found]
    return found


def _behind(
    settings: ScheduleSettings, running: datetime, waiting: list[datetime], new: list[datetime]
) -> list[LaidSlot]:
    """What becomes of slots that are due while another one runs."""
    if settings.overlap == "skip":
        why = f"the slot of {slot_text(running)} was still running"
        return [LaidSlot(due, SlotState.SKIPPED, why) for due in new]
    why = f"the slot of {slot_text(running)} was still running, and {slot_text(new[-1])} waits for its end"
    return [*(LaidSlot(due, SlotState.SKIPPED, why) for due in (*waiting, *new[:-1])), LaidSlot(new[-1], SlotState.DUE)]


def _in_turn(settings: ScheduleSettings, waiting: list[datetime], new: list[datetime], now: datetime) -> list[LaidSlot]:
    """What becomes of slots that are due while none runs."""
    dues, missed = [*waiting, *new], "nobody ran it in time"
    if not dues:
        return []
    if settings.catch_up == "all":
        chosen = [due for due in dues if now - due <= settings.window][-settings.catch_up_most :]
    elif settings.catch_up == "none":
        chosen = [due for due in dues[-1:] if now - due <= LATE]
    else:
        chosen = dues[-1:]
        missed = f"{missed}; {slot_text(dues[-1])} stands for it"
    found = [LaidSlot(due, SlotState.DUE) for due in chosen if due in new]
    return [*(LaidSlot(due, SlotState.MISSED, missed) for due in dues if due not in chosen), *found]


def _with_those_before(one: LaidSlot, count: int) -> LaidSlot:
    return replace(one, why=f"{one.why}; so with {count:,} slots before it")
