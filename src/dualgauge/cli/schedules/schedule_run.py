"""`dualgauge schedule run` and `dualgauge schedule follow`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.schedules.slots import words
from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering, console, write_line
from dualgauge.cli.terminal.stopping import interruptible, stopping
from dualgauge.cli.terminal.times import duration
from dualgauge.commands.schedule import NOW, Followed
from dualgauge.ledger.slot_values import slot_text
from dualgauge.model import as_json

ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="The schedule.", autocompletion=completion.schedules)]


def schedule_run(
    name: ScheduleName,
    slot: Annotated[
        str,
        typer.Option(
            "--slot",
            metavar="TIME|now",
            help="A slot by its time; without a zone, on the schedule's clock. `now`: the newest one that waits.",
        ),
    ] = NOW,
    dry_run: DryRun = False,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Run what is due of a schedule, once, whoever else runs it: for cron, systemd, Kubernetes, or a person.

    Each time that it is due is a slot, which one process claims. The steps are done in order; where an import or a tail
    ends badly, none after it is. Exits with the first exit code of a step that is not 0. A slot that is done is not run
    again: its exit code is answered. Exits with 5 where another process runs it, with 0 where nothing is due.

    SIGTERM and Ctrl-C end it, and the next call runs the slot. A runner that dies leaves its slot to be run again,
    once. One that was stopped for more than a minute, and whose slot another has taken, writes nothing more.

    Example: dualgauge schedule run nightly
    """
    with interruptible(), answering("schedule-run", project, form, debug=debug, memory_limit=memory_limit) as answer:
        done = answer.migration.schedule.run(name, slot=slot, dry_run=dry_run)

        def text(screen: Console) -> None:
            if done.slot is None:
                screen.print(f"{name}: nothing is due")
            elif dry_run:
                screen.print(f"{name} {slot_text(done.slot.due)}: {words(done.slot)}; nothing was run", soft_wrap=True)
            else:
                before = "" if done.steps else "; it was run before, and nothing was run now"
                screen.print(f"{name} {slot_text(done.slot.due)}: {words(done.slot)}{before}", soft_wrap=True)
            for step in done.steps:
                screen.print(f"  {step.step}: exit code {step.exit_code}: {step.found}", soft_wrap=True)
            if done.following is not None:
                screen.print(f"next due {slot_text(done.following)}")

        result = {
            "schedule": name, "slot": done.slot and as_json(done.slot), "dry_run": dry_run,
            "steps": [as_json(step) for step in done.steps], "next": done.following,
        }  # fmt: skip
        answer.give(result, text, exit_code=done.exit_code)


def schedule_follow(
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Run every schedule when it is due, until it is stopped: a line for each slot that was run here.

    Any number of these may run, on any number of hosts: each slot is run by one of them. Each slot is run in a process
    of its own. SIGTERM and Ctrl-C end it once what runs has ended; slots that were due while nobody followed are rows
    too, and `catch_up` of each schedule says which of them are run after all.

    Example: dualgauge schedule follow
    """
    with (
        stopping() as stop,
        answering("schedule-follow", project, form, debug=debug, memory_limit=memory_limit) as answer,
    ):
        ran: list[Followed] = []

        def ended(one: Followed) -> None:
            ran.append(one)
            if form is Format.JSON:
                write_line("schedule-follow", as_json(one), ())
            else:
                took = duration(one.seconds)
                console().print(f"{one.schedule} {slot_text(one.due)}: exit code {one.exit_code} in {took}")

        answer.migration.schedule.follow(stop=stop, ended=ended)

        def text(screen: Console) -> None:
            screen.print(f"stopped; {len(ran)} slots were run here")

        answer.give({"ran": len(ran)}, text)
