"""`dualgauge rollback`."""

from __future__ import annotations

from dualgauge.cli.cutover.moves import move_json, print_move
from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, ProjectDir, Reason
from dualgauge.cli.terminal.output import answering


def rollback(
    reason: Reason = None,
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Take all reads back to v1.

    One write: share 0, stage shadow. It is never refused before the migration is complete, because v1 is fed from the
    log until then. Where v1 is a table of your own, its position is shown, or that it is unknown.
    """
    with answering("rollback", project, form, debug=debug) as answer:
        moved = answer.migration.rollback(reason=reason, dry_run=dry_run)
        result = {**move_json(moved), "v1_positions": dict(moved.v1_positions)}
        answer.give(result, lambda screen: print_move(screen, moved))
