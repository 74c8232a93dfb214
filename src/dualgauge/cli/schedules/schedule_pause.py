"""`dualgauge schedule pause` and `dualgauge schedule resume`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.schedules.schedule_run import ScheduleName
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir, without_password
from dualgauge.cli.terminal.output import answering
from dualgauge.model import NextStep, as_json


def schedule_pause(
    name: ScheduleName,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; the list shows it.", callback=without_password)
    ],
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Run nothing of a schedule until it is resumed, whoever calls. What runs now goes on to its end.

    Example: dualgauge schedule pause nightly --reason "the shop moves house"
    """
    with answering("schedule-pause", project, form, debug=debug) as answer:
        paused = answer.migration.schedule.pause(name, reason=reason)

        def text(screen: Console) -> None:
            screen.print(f"{name} is paused: {reason}", soft_wrap=True)

        steps = [NextStep(f"dualgauge schedule resume {name}", "run it again")]
        answer.give({"schedule": name, "paused": as_json(paused)}, text, next_steps=steps)


def schedule_resume(
    name: ScheduleName, project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False
) -> None:
    """
    Run a schedule again, from now on: what was due while it was paused is not run.

    Example: dualgauge schedule resume nightly
    """
    with answering("schedule-resume", project, form, debug=debug) as answer:
        answer.migration.schedule.resume(name)

        def text(screen: Console) -> None:
            screen.print(f"{name} is run again, from now on")

        steps = [NextStep("dualgauge schedule list", "see when it is due next")]
        answer.give({"schedule": name, "paused": None}, text, next_steps=steps)
