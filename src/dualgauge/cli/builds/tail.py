"""`dualgauge tail`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.cli.terminal.screen import Screen
from dualgauge.cli.terminal.stopping import stopping
from dualgauge.model import NextStep, Side, plural

if TYPE_CHECKING:
    from rich.console import Console

    from dualgauge.errors import DualgaugeError


def tail(
    once: Annotated[bool, typer.Option("--once", help="End at the head that the log has now.")] = False,
    imports: Annotated[bool, typer.Option("--import", help="Import all sources, over and over.")] = False,
    every: Annotated[
        float,
        typer.Option(
            "--every",
            metavar="SECONDS",
            min=0.02,
            max=86_400,
            help="Seconds between two imports, at least: each that finds events is a commit of the log.",
        ),
    ] = 1.0,
    max_events_per_second: Annotated[
        int | None,
        typer.Option(
            "--max-events-per-second",
            metavar="N",
            min=1,
            help="How fast it goes at most, unless `dualgauge throttle` says otherwise.",
        ),
    ] = None,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Keep the views that readers get current, from the log, batch by batch.

    Every build goes on from where it is, with the text that it was made from: v1's views first, each batch of a view in
    one transaction with its checkpoint. Views that `dualgauge plan` says are kept by replay are left at their position.
    One process holds a side at a time; a second one ends with exit code 5 and the name of the first. SIGTERM and Ctrl-C
    end it after the transaction that is under way; what was done stays, and the next tail goes on there.

    Example: dualgauge tail --import
    """
    with stopping() as stop, answering("tail", project, form, debug=debug, memory_limit=memory_limit) as answer:
        done = answer.migration.views.tail(
            once=once, import_every=every if imports else None, max_events_per_second=max_events_per_second, stop=stop,
            told=_told,
        )  # fmt: skip
        held = next(iter(done.held_up.values()), None)

        def text(screen: Console) -> None:
            made = table("view", "build", "from", "to", "rows", "", right=["build", "from", "to", "rows"])
            for one in done.views:
                left = "see `dualgauge plan`" if one.by_plan else one.left
                note = one.error or (f"left as it is: {left}" if left else "")
                if one.old_windows:
                    note = ". ".join(
                        filter(None, (note, f"late events changed {plural(one.old_windows, 'old window')}"))
                    )
                rows = "" if one.left else f"{one.rows:,}"
                made.add_row(one.label, str(one.build), f"{one.begun:,}", f"{one.position:,}", rows, note)
            for side, reason in done.held_up.items():
                screen.print(f"{side.value} was brought no further: {reason}")
            if done.views:
                screen.print(made)
            for side in Side if done.views else ():
                if side not in done.held_up and all(one.side is not side for one in done.views):
                    screen.print(f"no view of {side.value} has a build: `dualgauge replay` makes them")
            if not done.views:
                screen.print("no view has a build yet: run `dualgauge replay` first")

        answer.give(
            {
                "head": done.head,
                "views": [
                    {
                        "side": one.side.value, "view": one.view, "build": one.build, "from": one.begun,
                        "position": one.position, "rows": one.rows, "left": one.left or None,
                        "error": one.error or None, "old_windows": one.old_windows,
                    }
                    for one in done.views
                ],
                "held_up": {side.value: str(reason) for side, reason in done.held_up.items()},
            },
            text,
            exit_code=1 if done.failing else held.exit_code if once and held else 0,
            next_steps=[
                NextStep(f"dualgauge replay {one.label}", "build it anew, once its text or the events are fixed")
                for one in done.failing
            ] or ([] if done.views else [NextStep("dualgauge replay", "build the views")]),
        )  # fmt: skip


def _told(side: Side, reason: DualgaugeError | None) -> None:
    """On stderr, while it runs."""
    if reason is None:
        told = f"{side.value} is brought forward again"
    else:
        other = Side.V2 if side is Side.V1 else Side.V1
        told = f"{side.value} is brought no further for now, and {other.value} is: {reason}"
    with suppress(OSError):
        Screen(stderr=True).print(told, soft_wrap=True)
