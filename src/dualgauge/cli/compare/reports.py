"""`dualgauge reports prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.cutover.settings import duration
from dualgauge.doctor.machine import size
from dualgauge.errors import UsageError
from dualgauge.model import plural

if TYPE_CHECKING:
    from dualgauge.reporting.prune import Pruned


class BadKeep(UsageError):
    """How long folders are kept is no length of time."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"--keep {reason}")


def prune(
    keep: Annotated[str, typer.Option("--keep", metavar="TIME", help="How long they are kept, as 90d or 12h.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Remove the folders of old runs and reports, but for those that something rests on.

    What a move rests on stays, so does what a gate goes by, the newest run of each comparator, a run that was not
    sealed, and a folder in which a file was changed or added. No row of the ledger goes: what a run found is in
    `evidence list` and in the report of a series still.

    Example: dualgauge reports prune --keep 90d --dry-run
    """
    with answering("reports-prune", project, form, debug=debug) as answer:
        try:
            length = duration(keep)
        except ValueError as fault:
            raise BadKeep(str(fault)) from fault
        found = answer.migration.evidence.prune(length, dry_run=dry_run)
        answer.give(found.to_json(), lambda screen: _print(screen, found))


def _print(screen: Console, found: Pruned) -> None:
    verb = "would go" if found.dry_run else "removed"
    if found.removed:
        made = table("folder", "size", right=["size"])
        for one in found.removed:
            made.add_row(one.folder, size(one.size))
        screen.print(made)
    gone, total = plural(len(found.removed), "folder"), size(sum(one.size for one in found.removed))
    screen.print(f"{verb}: {gone} from before {found.before:%Y-%m-%d %H:%M} UTC, {total}", soft_wrap=True)
    for reason, count in found.reasons.items():
        screen.print(f"kept: {plural(count, 'older folder')}: {reason}", soft_wrap=True)
