"""Slots as the commands of schedules show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.ledger.slot_values import SlotState, slot_text

if TYPE_CHECKING:
    from datetime import datetime

    from dualgauge.ledger.slot_values import Slot
    from dualgauge.schedules.due import Timetable


def words(slot: Slot) -> str:
    """What became of a slot, in a line."""
    match slot.state:
        case SlotState.DONE:
            return f"done, exit code {slot.exit_code}"
        case SlotState.CLAIMED:
            return f"run by {slot.holder}"
        case SlotState.DUE:
            return f"due{', again: ' + slot.why if slot.deaths else ''}"
        case _:
            return f"{slot.state.value}: {slot.why}"


def both_clocks(due: datetime, timetable: Timetable) -> str:
    """A time in UTC and in the schedule's zone, and whether the clocks change that day."""
    if timetable.zone == "UTC":
        return slot_text(due)
    local = due.astimezone(timetable.place).strftime("%a %Y-%m-%d %H:%M %Z")
    return f"{slot_text(due)}  {local}{'  (the clocks change that day)' if timetable.is_odd(due) else ''}"
