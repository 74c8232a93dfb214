"""`dualgauge throttle`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import plural


def throttle(
    events_per_second: Annotated[
        int | None, typer.Argument(metavar="[N]", min=1, help="Events a second that a tail may read at most.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Throttle no longer.")] = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Throttle tails, also while they run; without N, say what holds.

    It holds until it is changed, in every tail of the project, and stands above the tail's own --max-events-per-second.

    Example: dualgauge throttle 500
    """
    if off and events_per_second is not None:
        raise typer.BadParameter("give a number of events a second, or --off", param_hint="--off")
    with answering("throttle", project, form, debug=debug) as answer:
        views = answer.migration.views
        if off or events_per_second is not None:
            views.set_throttle(events_per_second)
        now = views.throttle()

        def text(screen: Console) -> None:
            screen.print("not throttled" if now is None else f"tails read at most {plural(now, 'event')} a second")

        answer.give({"events_per_second": now}, text)
