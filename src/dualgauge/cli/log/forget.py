"""`dualgauge log forget`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import NextStep, plural


def log_forget(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A source by its name; one that is not in the settings any more, too.",
            autocompletion=completion.sources,
        ),
    ],
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Let the next import read a source from its beginning. Its events stay in the log.

    For a source whose files were changed on purpose: an import refuses a file that is not what was taken in. After this
    it reads all of it; ids that are known are skipped, and an id with other content is refused.

    Example: dualgauge log forget orders
    """
    with answering("log-forget", project, form, debug=debug) as answer:
        done = answer.migration.log.forget(source, dry_run=dry_run)
        changed = done.known and not dry_run

        def text(screen: Console) -> None:
            if not done.known:
                screen.print(f"nothing was taken in from {done.source} yet: there is nothing to forget")
                return
            files = f" ({plural(len(done.files), 'file')})" if done.files else ""
            screen.print(f"{'would forget' if dry_run else 'forgot'} how far {done.source} was taken in{files}")
            screen.print("its events stay; the next import reads it from its beginning and skips ids that are known")
            if not done.configured:
                screen.print(f"{done.source} is not in the settings any more, so nothing reads it")

        step = NextStep(f"dualgauge log import {done.source}", "read it from its beginning")
        answer.give(
            {
                "source": done.source, "changed": changed, "configured": done.configured, "files": list(done.files),
                "head": done.head, "dry_run": dry_run,
            },
            text,
            next_steps=[step] if changed and done.configured else [],
        )  # fmt: skip
