"""`dualgauge schedule show`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.schedules.schedule_run import ScheduleName
from dualgauge.cli.schedules.slots import both_clocks
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import as_json
from dualgauge.schedules.runners import Runner


def schedule_show(
    name: ScheduleName,
    runner: Annotated[Runner, typer.Option("--as", help="The scheduler that shall call.")] = Runner.CRON,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Print what cron, systemd or Kubernetes is told to run a schedule; nothing is installed.

    It names the slots of the next year at which that scheduler will not call, for example in the hour that is missing
    in spring: the next call runs them, unless `catch_up` says otherwise.

    Example: dualgauge schedule show nightly --as systemd
    """
    with answering("schedule-show", project, form, debug=debug) as answer:
        commands = answer.migration.schedule
        shown = commands.show(name, runner)
        timetable = next(one for one in answer.migration.settings.schedules if one.name == name).timetable

        def text(screen: Console) -> None:
            for file in shown.files:
                if len(shown.files) > 1:
                    screen.print(f"# {file.name}")
                for line in file.text.splitlines():
                    screen.print(line, soft_wrap=True)
            for due in shown.misses:
                screen.print(f"# {runner.value} does not call at {both_clocks(due, timetable)}", soft_wrap=True)

        result = {"schedule": name, "as": runner.value, "files": as_json(shown.files), "misses": list(shown.misses)}
        answer.give(result, text)
