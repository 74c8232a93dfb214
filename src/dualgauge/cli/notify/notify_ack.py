"""`dualgauge notify ack`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import (
    HERE,
    Debug,
    Format,
    FormatOption,
    ProjectDir,
    without_password,
)
from dualgauge.cli.terminal.output import answering
from dualgauge.cli.terminal.times import instant


def notify_ack(
    subject: Annotated[
        str,
        typer.Argument(metavar="SUBJECT", help="What fires, as `notify list` names it."),
    ],
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="TEXT",
            help="Why; all channels get it.",
            callback=without_password,
        ),
    ],
    until: Annotated[
        str,
        typer.Option("--until", metavar="TIME", help="When it fires again if it is not resolved."),
    ],
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Take on what fires: no reminder comes until a time, and then it fires again unless it is resolved.

    It fires at once where it becomes bad for another cause. Whoever was told that it fires is told who has it.

    Example: dualgauge notify ack schedule:nightly --reason "ada looks at it" --until 2027-03-28T12:00Z
    """
    with answering("notify-ack", project, form, debug=debug) as answer:
        moment = instant("--until", until)
        assert moment is not None  # noqa: S101  (a time was given)
        found = answer.migration.notify.ack(subject, reason=reason, until=moment)

        def text(screen: Console) -> None:
            screen.print(
                f"{subject} is acknowledged until {moment:%Y-%m-%d %H:%M:%SZ}: {reason}",
                soft_wrap=True,
            )

        result = {
            "subject": found.subject, "state": found.state.value, "ack_by": found.ack_by,
            "ack_reason": found.ack_reason, "ack_until": found.ack_until,
        }  # fmt: skip
        answer.give(result, text)
