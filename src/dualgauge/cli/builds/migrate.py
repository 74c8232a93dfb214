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
    Apply the revisions that the store lacks, and upgrade the ledger.

    Readers notice nothing: a changed shape reaches them with the next build. The ledger's own tables come with
    dualgauge; a command that writes upgrades them too, and one that only looks never does.
    """
    with answering("migrate-upgrade", project, form, debug=debug) as answer:
        done = answer.migration.views.upgrade()
        upgraded = done.ledger_before != done.ledger_after

        def text(screen: Console) -> None:
            if upgraded:
                screen.print(f"upgraded the ledger from revision {done.ledger_before} to {done.ledger_after}")
            for one in done.applied:
                screen.print(f"applied {one.id}: {one.message}")
            if not (done.applied or upgraded):
                screen.print("nothing to apply")

        ledger = {"before": done.ledger_before, "after": done.ledger_after} if done.ledger_after else None
        answer.give({"applied": [_json(one) for one in done.applied], "ledger": ledger}, text)


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
