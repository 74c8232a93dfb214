"""`dualgauge canary judge`."""

from __future__ import annotations

from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import as_json


def judge(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Judge the answers of shadow reads that differ where the comparator has expected differences.

    Routers keep both answers of such a read, for what is expected is said in SQL. They are judged as a diff judges
    rows: as expected, and so good, or mismatched. Run it as often as a diff.
    """
    with answering("canary-judge", project, form, debug=debug) as answer:
        found = answer.migration.canary.judge()

        def text(screen: Console) -> None:
            if not found:
                screen.print("no pair of answers waits to be judged")
            for one in found:
                error = f", {one.comparator_error:,} that cannot be judged" if one.comparator_error else ""
                screen.print(f"{one.view}: {one.expected:,} as expected, {one.mismatched:,} mismatched{error}")

        answer.give({"views": as_json(found)}, text)
