"""`dualgauge report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table

if TYPE_CHECKING:
    from dualgauge.reporting.series.values import SeriesFiles
    from dualgauge.reporting.values import ReportFiles, ReportSection


def report(
    comparators: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMPARATOR]...",
            help="Comparators by name; all of them by default.",
            autocompletion=completion.comparators,
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="One kept run by its id, instead of the newest ones.")
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(
            "--series",
            metavar="COMPARATOR",
            help="All runs of one comparator: what changed since the run before.",
            autocompletion=completion.comparators,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Where to write; by default a new folder below `reports`."),
    ] = None,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Write a report of kept evidence: one HTML page, one Markdown and one JSON file.

    Of each comparator it takes the newest finished diff and the newest check run; nothing is compared again and nothing
    is moved. It says whether the evidence still counts, and no evidence is shown whose files were changed since. The
    page needs no network and no script. Exits with 0 when the report was written, whatever its verdict.

    With --series it is of all runs of a comparator that compare the same thing: which ways of being wrong are new,
    ongoing, gone or back since the run before. No value of a row is in it, and it is JUnit XML too.

    Example: dualgauge report carrier_months --output build/report
    """
    with answering("report", project, form, debug=debug) as answer:
        if series is not None:
            from dualgauge.reporting.errors import SeriesAlone

            if others := [*(comparators or []), *(["--run"] if run else [])]:
                raise SeriesAlone(series, others)
            written = answer.migration.evidence.series(series, output=output)
            answer.give(written.to_json(), lambda screen: _print_series(screen, written))
            return
        files = answer.migration.report(comparators or [], run=run, output=output)

        def text(screen: Console) -> None:
            _print(screen, files)

        answer.give(files.to_json(), text, next_steps=files.report.next_steps)


def _print(screen: Console, files: ReportFiles) -> None:
    found = files.report
    screen.print(found.verdict.value.upper(), style="bold")
    for line in found.why:
        screen.print(f"  {line}", soft_wrap=True)
    made = table("comparator", "verdict", "mismatched", "of keys", "checks", right=["mismatched", "of keys"])
    for one in found.sections:
        made.add_row(one.name, one.verdict.value, *_counts(one), one.checked.verdict.value if one.checked else "-")
    screen.print(made)
    for file in (files.html, files.markdown, files.json):
        screen.print(f"wrote {file}", soft_wrap=True)


def _counts(one: ReportSection) -> tuple[str, str]:
    return (f"{one.comparison.mismatched:,}", f"{one.keys:,}") if one.comparison else ("-", "-")


def _print_series(screen: Console, files: SeriesFiles) -> None:
    from dualgauge.reporting.series.markdown import column_of, notes, state_of

    found = files.series
    screen.print(f"{found.verdict.value.upper()}  {found.comparator}: {found.headline}", style="bold", soft_wrap=True)
    made = table("state", "column", "change", "rows", "before", "first seen", right=["rows", "before"])
    for one in found.changes:
        before = "-" if one.before is None else f"{one.before:,}"
        made.add_row(state_of(one), column_of(one), one.change, f"{one.rows:,}", before, one.first.run)
    if found.changes:
        screen.print(made)
    for line in notes(found):
        screen.print(line, soft_wrap=True)
    for file in (files.html, files.markdown, files.json, files.junit):
        screen.print(f"wrote {file}", soft_wrap=True)
