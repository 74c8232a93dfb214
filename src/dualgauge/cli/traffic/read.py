"""`dualgauge read`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.cli.traffic.reasons import Attributes, attributes, why


def read(
    view: Annotated[
        str,
        typer.Argument(metavar="VIEW", help="The view's name, without a side.", autocompletion=completion.view_names),
    ],
    key: Annotated[list[str], typer.Argument(metavar="KEY...", help="The key's parts, in the key's order.")],
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit", metavar="UNIT", help="What chooses the side (a customer, a tenant); without one, v1 answers."
        ),
    ] = None,
    attr: Attributes = None,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Answer one read as the router would, and say which side answered and why.

    The unit is hashed: one that had v2 at a small share has it at every larger one.

    Example: dualgauge read airport_days JFK 2013-03-01 --unit customer-17
    """
    given = attributes(attr)
    with answering("read", project, form, debug=debug) as answer:
        found = answer.migration.read(view, key, unit=unit, attrs=given)
        chosen = found.decision

        def text(screen: Console) -> None:
            screen.print(f"{chosen.side.value} answered: {why(chosen.reason, found.bucket, chosen.share_ppm)}")
            if found.row is None:
                screen.print(f"no row with key {' '.join(key)}")
                return
            width = max(len(name) for name in found.row)
            for name, value in found.row.items():
                screen.print(f"  {name:{width}}  {'NULL' if value is None else value}", soft_wrap=True)

        answer.give(
            {
                "view": view, "key": list(key), "unit": unit, "side": chosen.side.value, "reason": chosen.reason.value,
                "share_ppm": chosen.share_ppm, "bucket": found.bucket, "row": found.row,
            },
            text,
        )  # fmt: skip
