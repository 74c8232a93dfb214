"""`dualgauge notify send`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import NextStep


def notify_send(
    again: Annotated[bool, typer.Option("--again", help="Try once more what was given up, too.")] = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Send what waits to be told, once; every run of a schedule does so at its end.

    Any number may do so at the same time: each message is sent by one of them. What a receiver does not take is tried
    again, each time later, and given up after eight tries or a day. Exits with 1 where a try failed.

    Example: dualgauge notify send
    """
    with answering("notify-send", project, form, debug=debug) as answer:
        found = answer.migration.notify.send(again=again)

        def text(screen: Console) -> None:
            for one in found:
                state = "delivered" if one.receipt.delivered else "given up" if one.last else "tried again later"
                screen.print(
                    f"{one.channel}: {one.kind.value} {one.subject}: {state}: {one.receipt.answer} (try {one.tries})",
                    soft_wrap=True,
                )
            if not found:
                screen.print("nothing waits to be sent")

        result = [
            {
                "channel": one.channel, "id": one.notice, "subject": one.subject, "kind": one.kind.value,
                "delivered": one.receipt.delivered, "code": one.receipt.code, "answer": one.receipt.answer,
                "tries": one.tries, "last": one.last,
            }
            for one in found
        ]  # fmt: skip
        bad = not all(one.receipt.delivered for one in found)
        steps = [NextStep("dualgauge notify list", "see what waits, and what was given up")] if bad else []
        answer.give({"sent": result}, text, exit_code=int(bad), next_steps=steps)
