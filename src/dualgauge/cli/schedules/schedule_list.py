"""`dualgauge schedule list`."""

from __future__ import annotations

from rich.console import Console

from dualgauge.cli.schedules.slots import both_clocks, words
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.ledger.slot_values import slot_text
from dualgauge.model import NextStep, as_json


def schedule_list(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Show every schedule: when it is due next, in UTC and in its zone, and what became of its last slots.

    Schedules are [[tool.dualgauge.schedules]] in pyproject.toml.

    Example: dualgauge schedule list
    """
    with answering("schedule-list", project, form, debug=debug) as answer:
        found = answer.migration.schedule.list()

        def text(screen: Console) -> None:
            for one in found:
                owner = f" (owner: {one.settings.owner})" if one.settings.owner else ""
                screen.print(f"{one.settings.name}: {one.settings.timetable.text}{owner}", style="bold", soft_wrap=True)
                caught = f"overlap {one.settings.overlap}, catch-up {one.settings.catch_up}"
                full = f" but on {', '.join(one.settings.full_on)}" if one.settings.full_on else ""
                diffs = f"; diffs touched{full}" if one.settings.diff == "touched" else ""
                screen.print(f"  does {', '.join(one.settings.do)}{diffs}; {caught}")
                if one.paused:
                    since = slot_text(one.paused.at)
                    screen.print(f"  paused since {since} by {one.paused.who}: {one.paused.reason}", soft_wrap=True)
                for due in one.following:
                    screen.print(f"  next {both_clocks(due, one.settings.timetable)}", soft_wrap=True)
                for slot in one.last:
                    screen.print(f"  last {slot_text(slot.due)}  {words(slot)}", soft_wrap=True)
            if not found:
                screen.print("no [[tool.dualgauge.schedules]] stands in pyproject.toml")

        result = [
            {
                "name": one.settings.name, "timetable": one.settings.timetable.text, "zone": one.settings.zone,
                "do": one.settings.do, "comparators": one.settings.comparators, "overlap": one.settings.overlap,
                "diff": one.settings.diff, "full_on": one.settings.full_on,
                "catch_up": one.settings.catch_up, "owner": one.settings.owner or None,
                "paused": as_json(one.paused),
                "next": [
                    {"due": due, "local": due.astimezone(one.settings.timetable.place),
                     "clocks_change": one.settings.timetable.is_odd(due)}
                    for due in one.following
                ],
                "last": [as_json(slot) for slot in one.last],
            }
            for one in found
        ]  # fmt: skip
        steps = [NextStep(f"dualgauge schedule run {one.settings.name}", "run what is due of it") for one in found[:1]]
        answer.give({"schedules": result}, text, next_steps=steps)
