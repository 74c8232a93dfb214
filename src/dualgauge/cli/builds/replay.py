"""`dualgauge replay`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.model import NextStep, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from dualgauge.replay.run import Replayed


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
    to: Annotated[
        int | None, typer.Option("--to", metavar="POSITION", min=1, help="Up to this position instead of the head.")
    ] = None,
    keep: Annotated[
        float,
        typer.Option(
            "--keep",
            metavar="HOURS",
            min=0,
            max=876_000,
            help="How long the builds that readers have now stay, also beyond the next replay.",
        ),
    ] = 0.0,
    undo: Annotated[
        bool, typer.Option("--undo", help="Let readers have the build that they had before, brought to the head.")
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

    The build that readers had stays until the next replay of its view, or as long as --keep says. With --undo they get
    it back, at the log's head, with the text that it was made from; another --undo takes that back.

    Example: dualgauge replay --side v2
    """
    if undo:
        _only_undo(force=force, prune=prune, dry_run=dry_run, to=to, keep=keep)
        _undo(views or [], side, project, form, debug=debug, memory_limit=memory_limit)
        return
    with answering("replay", project, form, debug=debug, memory_limit=memory_limit) as answer:
        done = answer.migration.replay(
            views or [], side=side, force=force, dry_run=dry_run, prune=prune, to=to,
            keep=timedelta(hours=keep),
        )  # fmt: skip

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
            screen.print(_views(done.views))

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
                "undone": [],
            },
            text,
            next_steps=[] if dry_run else [_next(side)],
        )  # fmt: skip


def _views(views: Sequence[Replayed]) -> Table:
    made = table("view", "build", "position", "rows", "seconds", "", right=["build", "position", "rows", "seconds"])
    for view in views:
        note = "was there already" if view.skipped else ""
        if view.resumed_at:
            note = f"went on after row {view.resumed_at:,} of a replay that was cut off"
        rows = "" if view.skipped else f"{view.rows:,}"
        seconds = "" if view.skipped else f"{view.seconds:.1f}"
        made.add_row(f"{view.side.value}.{view.view}", str(view.build), f"{view.position:,}", rows, seconds, note)
    return made


def _only_undo(**others: object) -> None:
    """Refuse what means nothing beside --undo."""
    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if given:
        raise typer.BadParameter(f"it cannot be combined with {', '.join(given)}", param_hint="--undo")


def _undo(
    views: list[str], side: Side | None, project: Path, form: Format, *, debug: bool, memory_limit: str
) -> None:  # fmt: skip
    with answering("replay", project, form, debug=debug, memory_limit=memory_limit) as answer:
        done = answer.migration.views.undo(views, side=side)

        def text(screen: Console) -> None:
            made = table("view", "build", "instead of", "position", right=["build", "instead of", "position"])
            for one in done:
                made.add_row(one.label, str(one.build), str(one.instead_of), f"{one.position:,}")
            screen.print(made)

        answer.give(
            {
                "position": max((one.position for one in done), default=0), "dry_run": False, "revision": None,
                "applied": [], "views": [], "adopted": [], "pruned": [],
                "undone": [
                    {
                        "side": one.side.value, "view": one.view, "build": one.build, "instead_of": one.instead_of,
                        "position": one.position,
                    }
                    for one in done
                ]
            },
            text,
            next_steps=[NextStep("dualgauge status", "see which files say otherwise than what readers get")],
        )  # fmt: skip


def _next(side: Side | None) -> NextStep:
    if side is Side.V1:
        return NextStep("dualgauge replay --side v2", "build the candidate beside it")
    return NextStep("dualgauge diff", "compare what the sides answer")
