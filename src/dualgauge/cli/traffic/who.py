"""`dualgauge canary who`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.cli.terminal.times import instant
from dualgauge.cli.traffic.reasons import Attributes, attributes, why


def who(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="The unit, as the application gives it.")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="A time that has been; without a zone it is UTC.")
    ] = None,
    attr: Attributes = None,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Say which side a unit reads, or read at a time, and why.

    What was in force at a time is in the journal. A composite unit is its JSON array: '["acme",7]'.

    Example: dualgauge canary who customer-17 --at 2026-03-01T12:00 --attr region=eu-1
    """
    given = attributes(attr)
    with answering("canary-who", project, form, debug=debug) as answer:
        found = answer.migration.canary.who(_unit(unit), at=instant("--at", at), attrs=given)
        chosen = found.decision

        def text(screen: Console) -> None:
            reads = "read" if at else "reads"
            screen.print(f"{unit} {reads} {chosen.side.value}: {why(chosen.reason, found.bucket, chosen.share_ppm)}")

        answer.give(
            {
                "unit": unit, "side": chosen.side.value, "reason": chosen.reason.value, "share_ppm": chosen.share_ppm,
                "bucket": found.bucket, "stage": found.state.stage, "rollout": found.state.rollout,
                "revision": found.state.revision,
            },
            text,
        )  # fmt: skip


def _unit(text: str) -> Any:  # noqa: ANN401  (of JSON)
    """A composite unit, however its JSON array is spaced; any other text as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, list) else text
