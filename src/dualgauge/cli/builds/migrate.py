"""`dualgauge migrate revision`, `upgrade`, `history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.model import NextStep

if TYPE_CHECKING:
    from dualgauge.stores.serving.migrations import Revision


def revision(
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="What the revision is for.")
    ] = "shapes",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Write the Alembic revision that brings the store's shapes to the views.

    Earlier revisions are applied first. A shape is an empty table with a view's columns, key and indexes; a replay
    clones it. Only shapes are in revisions: builds come and go with replays. Plain `alembic` works in the folder too.
    """
    with answering("migrate-revision", project, form, debug=debug) as answer:
        made = answer.migration.views.revise(message)

        def text(screen: Console) -> None:
            screen.print(f"wrote {made.file}" if made else "nothing to write: the store's shapes are as the views say")

        steps = [NextStep("dualgauge migrate upgrade", "apply it")] if made else []
        answer.give({"revision": _json(made) if made else None}, text, next_steps=steps)


def upgrade(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Apply the revisions that the store lacks.

    Readers notice nothing: a changed shape reaches them with the next build.
    """
    with answering("migrate-upgrade", project, form, debug=debug) as answer:
        applied = answer.migration.views.upgrade()

        def text(screen: Console) -> None:
            for one in applied:
                screen.print(f"applied {one.id}: {one.message}")
            if not applied:
                screen.print("nothing to apply")

        answer.give({"applied": [_json(one) for one in applied]}, text)


def history(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """List the revisions, oldest first, and which of them the store has."""
    with answering("migrate-history", project, form, debug=debug) as answer:
        found = answer.migration.views.revisions()

        def text(screen: Console) -> None:
            made = table("revision", "applied", "message", "file")
            for one in found:
                made.add_row(one.id, "yes" if one.applied else "no", one.message, one.file.name)
            screen.print(made if found else "no revisions yet")

        answer.give({"revisions": [_json(one) for one in found]}, text)


def _json(one: Revision) -> dict[str, object]:
    return {"id": one.id, "message": one.message, "file": str(one.file), "applied": one.applied}
