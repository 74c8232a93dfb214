"""`dualgauge switch`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.cutover.moves import move_json, print_gates, print_move, print_remarks
from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, ProjectDir, Reason
from dualgauge.cli.terminal.output import answering, console
from dualgauge.cutover.errors import GateRefused
from dualgauge.cutover.moves.percent import parse_percent
from dualgauge.model import NextStep


def switch(
    percent: Annotated[
        str,
        typer.Option(
            "--percent", metavar="N", help="Share of reads on v2: 0 is stage shadow, 100 is live, between is canary."
        ),
    ],
    cohorts: Annotated[
        bool, typer.Option("--cohorts", help="With 0: stage canary, for the cohorts and pins of canary.yaml alone.")
    ] = False,
    reason: Reason = None,
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Set the share of reads that v2 answers.

    One compare-and-set in the ledger, with one row in the journal. Raising the share asks the gates: v2 is complete
    and current, and every diff and check of what readers get now has passed and is fresh. One that is closed refuses
    the move, with exit code 3. Lowering the share asks for nothing. A unit that v2 serves at a small share stays on v2
    at every larger one. `--dry-run` shows every gate.

    Example: dualgauge switch --percent 10 --reason "a day at 1 % was quiet"
    """
    if cohorts and parse_percent(percent):
        raise typer.BadParameter("it goes with --percent 0", param_hint="--cohorts")
    with answering("switch", project, form, debug=debug) as answer:
        try:
            moved = answer.migration.switch(parse_percent(percent), cohorts=cohorts, reason=reason, dry_run=dry_run)
        except GateRefused as refused:
            if dry_run and form is Format.TEXT:
                print_gates(console(), refused.gates)
            raise

        def text(screen: Console) -> None:
            print_move(screen, moved)
            if dry_run and moved.gates:
                print_gates(screen, moved.gates)
            else:
                print_remarks(screen, moved.gates)

        steps = (
            [NextStep("dualgauge rollback", "take all reads back to v1, at any time")] if moved.after.share_ppm else []
        )
        result = {**move_json(moved), "gates": [one.to_json() for one in moved.gates]}
        answer.give(result, text, next_steps=steps if moved.changed else [])
