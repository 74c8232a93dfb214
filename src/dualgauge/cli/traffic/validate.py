"""`dualgauge canary validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.cli.terminal.times import duration
from dualgauge.model import NextStep, as_json, plural

CanaryPath = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="The file; by default canary.yaml beside pyproject.toml.")
]


def validate(
    file: CanaryPath = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="N", min=0.001, help="Reads a second that are judged: how long proofs take."),
    ] = None,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Say whether a canary.yaml can work, and what each of its steps needs.

    Every mistake is told at once, with line and column. A gate's rate is proven by reads without a bad one: how many
    that takes at least is said for each step, and with `--rate` for how long.

    Example: dualgauge canary validate --rate 50
    """
    with answering("canary-validate", project, form, debug=debug) as answer:
        found = answer.migration.canary.validate(file, rate=rate)

        def text(screen: Console) -> None:
            made = table("step", "share", "stage", "cohorts", "soak", "clean reads", "takes at least", right=["share"])
            for step in found.steps:
                soak = duration(step.soak_seconds) if step.soak_seconds else ""
                takes = "" if step.seconds is None else duration(step.seconds)
                reads = f"{step.reads:,}" if step.reads else ""
                made.add_row(step.name, step.share, step.stage, " ".join(step.cohorts), soak, reads, takes)
            screen.print(f"{found.file} can work: {plural(len(found.steps), 'step')}", soft_wrap=True)
            screen.print(made)

        steps = [NextStep("dualgauge canary apply --dry-run", "see what would change")]
        answer.give({"file": found.file, "steps": as_json(found.steps)}, text, next_steps=steps)
