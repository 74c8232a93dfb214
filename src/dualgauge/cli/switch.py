"""`dualgauge switch`."""

from __future__ import annotations

from typing import Annotated

import typer

from dualgauge.cli.moves import move_json, print_move
from dualgauge.cli.options import HERE, Debug, DryRun, Format, FormatOption, ProjectDir, Reason
from dualgauge.cli.output import answering
from dualgauge.cutover.percent import parse_percent
from dualgauge.model import NextStep


def switch(
    percent: Annotated[
        str,
        typer.Option(
            "--percent", metavar="N", help="Share of reads on v2: 0 is stage shadow, 100 is live, between is canary."
        ),
    ],
    reason: Reason = None,
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Set the share of reads that v2 answers.

    One compare-and-set in the ledger, with one row in the journal. Raising the share asks that v2 has builds of all
    views and is as far as v1; lowering it asks for nothing. A unit that v2 serves at a small share stays on v2 at every
    larger one.

    Example: dualgauge switch --percent 10 --reason "a day at 1 % was quiet"
    """
    with answering("switch", project, form, debug=debug) as answer:
        moved = answer.migration.switch(parse_percent(percent), reason=reason, dry_run=dry_run)
        steps = (
            [NextStep("dualgauge rollback", "take all reads back to v1, at any time")] if moved.after.share_ppm else []
        )
        answer.give(
            move_json(moved), lambda screen: print_move(screen, moved), next_steps=steps if moved.changed else []
        )
