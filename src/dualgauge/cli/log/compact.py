"""`dualgauge log compact`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.model import NextStep, plural


def log_compact(
    keep: Annotated[
        float,
        typer.Option(
            "--keep",
            metavar="HOURS",
            min=0,
            max=876_000,
            help="How long files that were replaced stay for who opened the log before.",
        ),
    ] = 168.0,
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=2, help="Events of a file, at most; default: 4,194,304.")
    ] = None,
    dry_run: DryRun = False,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Merge the log's small files into few.

    Events, positions and their order stay, and so does what somebody sees who reads at the same time. The digest chain
    goes on: it names what was replaced. Files replaced longer ago than --keep are removed.

    Example: dualgauge log compact --dry-run
    """  # fmt: skip
    with answering("log-compact", project, form, debug=debug, memory_limit=memory_limit) as answer:
        done = answer.migration.log.compact(keep=timedelta(hours=keep), rows=rows, dry_run=dry_run)

        def text(screen: Console) -> None:
            if done.ranges:
                made = table("positions", "files", right=["files"])
                for first, last, files in done.ranges:
                    made.add_row(f"{first:,} to {last:,}", f"{files:,}")
                screen.print(made)
            would = "would be" if dry_run else "were"
            screen.print(
                f"{plural(done.before, 'file')} before, {done.after:,} after; "
                f"{plural(done.removed, 'file')} replaced earlier {would} removed"
            )

        step = NextStep("dualgauge log verify", "see that the chain goes on")
        answer.give(
            {
                "before": done.before, "after": done.after, "removed": done.removed, "dry_run": dry_run,
                "ranges": [{"first": first, "last": last, "files": files} for first, last, files in done.ranges],
            },
            text,
            next_steps=[step] if done.ranges and not dry_run else [],
        )  # fmt: skip
