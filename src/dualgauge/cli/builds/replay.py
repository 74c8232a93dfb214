"""`dualgauge replay`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.model import NextStep, Side


def replay(
    views: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VIEW]...",
            help="Views by name (`orders`) or side and name (`v2.orders`).",
            autocompletion=completion.views,
        ),
    ] = None,
    side: Annotated[Side | None, typer.Option("--side", help="Only the views of one side.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Build anew also what is at the log's head already.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Take from readers the views that have no file any more, with their builds.")
    ] = False,
    dry_run: DryRun = False,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Build views from the whole log, up to its head, and let readers have them.

    Each view gets a new build beside the old one; readers keep the old one until the new one is complete, and then get
    it in one transaction. A killed replay goes on where it was when it is run again. With migrate = "auto" the missing
    Alembic revision is written and applied first. An adopted v1 is left as it is: code of your own keeps it.

    Example: dualgauge replay --side v2
    """
    with answering("replay", project, form, debug=debug, memory_limit=memory_limit) as answer:
        done = answer.migration.replay(views or [], side=side, force=force, dry_run=dry_run, prune=prune)

        def text(screen: Console) -> None:
            for label in done.adopted:
                screen.print(f"{label}: adopted, so there is nothing to build: code of your own keeps its table")
            for label in done.pruned:
                said = "would be taken from readers" if dry_run else "taken from readers"
                screen.print(f"{label}: {said}, for its file is gone")
            if done.nothing:
                return
            if dry_run:
                screen.print(f"the settings and views are in order; would replay to position {done.position:,}")
                return
            if done.written:
                screen.print(f"wrote the missing revision {done.written.file}", soft_wrap=True)
            for one in done.applied:
                screen.print(f"applied revision {one.id}: {one.message}", soft_wrap=True)
            made = table(
                "view", "build", "position", "rows", "seconds", "", right=["build", "position", "rows", "seconds"]
            )
            for view in done.views:
                note = "was at the head already" if view.skipped else ""
                if view.resumed_at:
                    note = f"went on after row {view.resumed_at:,} of a replay that was cut off"
                rows = "" if view.skipped else f"{view.rows:,}"
                seconds = "" if view.skipped else f"{view.seconds:.1f}"
                made.add_row(
                    f"{view.side.value}.{view.view}", str(view.build), f"{view.position:,}", rows, seconds, note
                )
            screen.print(made)

        answer.give(
            {
                "position": done.position,
                "dry_run": dry_run,
                "revision": str(done.written.file) if done.written else None,
                "applied": [one.id for one in done.applied],
                "views": [
                    {
                        "side": one.side.value, "view": one.view, "build": one.build, "position": one.position,
                        "rows": one.rows, "resumed_at": one.resumed_at, "skipped": one.skipped,
                        "seconds": round(one.seconds, 3),
                    }
                    for one in done.views
                ],
                "adopted": list(done.adopted),
                "pruned": list(done.pruned),
            },
            text,
            next_steps=[] if dry_run else [_next(side)],
        )  # fmt: skip


def _next(side: Side | None) -> NextStep:
    if side is Side.V1:
        return NextStep("dualgauge replay --side v2", "build the candidate beside it")
    return NextStep("dualgauge diff", "compare what the sides answer")
