"""`dualgauge notify test`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.cli.terminal.times import duration


def notify_test(
    channel: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHANNEL]",
            help="One channel; all unless named.",
            autocompletion=completion.channels,
        ),
    ] = None,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Send a message that is marked as a test through every channel, or one, and show what each receiver answered.

    Exits with 1 where one did not take it. Nothing is written into the ledger.

    Example: dualgauge notify test
    """
    with answering("notify-test", project, form, debug=debug) as answer:
        found = answer.migration.notify.test(channel)

        def text(screen: Console) -> None:
            for one in found:
                state = "delivered" if one.receipt.delivered else "not delivered"
                took = duration(one.receipt.seconds)
                screen.print(
                    f"{one.channel.name} ({one.channel.kind}): {state}: {one.receipt.answer}, in {took}",
                    soft_wrap=True,
                )

        result = [
            {
                "channel": one.channel.name, "kind": one.channel.kind, "delivered": one.receipt.delivered,
                "code": one.receipt.code, "answer": one.receipt.answer, "seconds": one.receipt.seconds,
            }
            for one in found
        ]  # fmt: skip
        answer.give(
            {"receipts": result},
            text,
            exit_code=int(not all(one.receipt.delivered for one in found)),
        )
