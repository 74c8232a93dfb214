"""`dualgauge log import`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.cli.terminal.times import instant
from dualgauge.model import NextStep, listed, plural


class OnBadRow(StrEnum):
    """What becomes of a row that does not fit."""

    STOP = "stop"
    QUARANTINE = "quarantine"


def log_import(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE|FILE]",
            help="A source by its name, or by a file that it reads.",
            autocompletion=completion.sources,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All sources as one history, merged by the time rows are due.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="Take only rows due by this time (ISO 8601; without a zone: UTC)."
        ),
    ] = None,
    on_bad_row: Annotated[
        OnBadRow,
        typer.Option("--on-bad-row", help="A row that does not fit stops the import, or goes into the quarantine."),
    ] = OnBadRow.STOP,
    max_bad_rows: Annotated[
        int, typer.Option("--max-bad-rows", min=1, help="Of more rows than this the quarantine takes none.")
    ] = 1000,
    dry_run: DryRun = False,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Append the events of a source to the log.

    Sources are [[tool.dualgauge.sources]] in pyproject.toml: CSV, JSONL, Parquet (text files also with .gz), a Python
    object, or a table or query of a database, which is read on from where the last import ended. Each event is taken in
    once: a row whose event id is known is skipped, and one with other content than the event of that id stops the
    import, with nothing appended.

    A row that does not fit stops the import too, and is named; with --on-bad-row quarantine it is set aside, and the
    others are taken in under the numbers that they have in their file.

    Of files only what is new is read: new files, and rows at the end of a JSONL file; a CSV file that has grown is read
    again. A file that was taken in and is changed elsewhere stops the import; `dualgauge log forget` is for that.

    Example: dualgauge log import --all --until 2013-12-01
    """
    with answering("log-import", project, form, debug=debug, memory_limit=memory_limit) as answer:
        aside = max_bad_rows if on_bad_row is OnBadRow.QUARANTINE else None
        done = answer.migration.import_(
            source, every=every, until=instant("--until", until), dry_run=dry_run, max_bad_rows=aside
        )
        would = "would add" if dry_run else "added"
        steps = []
        if done.added and not dry_run:
            steps.append(NextStep("dualgauge replay", "bring the views to the new head"))
        if done.quarantined and not dry_run:
            steps.append(NextStep("dualgauge quarantine list", "see which rows wait, and why"))

        def text(screen: Console) -> None:
            places = f" at positions {done.first:,} to {done.last:,}" if done.added else ""
            known = f"; {plural(done.known, 'event')} known already" if done.known else ""
            screen.print(f"{would} {plural(done.added, 'event')}{places} from {', '.join(done.sources)}{known}")
            if done.quarantined:
                do = "does" if done.quarantined == 1 else "do"
                wait = "would wait" if dry_run else "waits" if done.quarantined == 1 else "wait"
                where = "the quarantine" if dry_run else "the quarantine: `dualgauge quarantine list`"
                screen.print(f"{plural(done.quarantined, 'row')} {do} not fit and {wait} in {where}")
            for name, columns in done.unnamed.items():
                new, they = plural(len(columns), "new column"), "it is" if len(columns) == 1 else "they are"
                screen.print(
                    f"{name}: its files have {new} that no setting names, so {they} in no event: {listed(columns)}"
                )
            for file in done.torn:
                screen.print(f"{file}: its last line is not whole yet, and is left for the next import")
            for file in done.empty:
                screen.print(f"{file}: it is empty, and is left for the next import")
            if not dry_run:
                screen.print(f"the log's head is position {done.last:,}")

        answer.give(
            {
                "added": done.added, "known": done.known, "first": done.first, "last": done.last,
                "sources": list(done.sources), "until": done.until, "torn": list(done.torn),
                "empty": list(done.empty),
                "unnamed": {name: list(columns) for name, columns in done.unnamed.items()},
                "dry_run": dry_run, "quarantined": done.quarantined,
            },
            text,
            next_steps=steps,
        )  # fmt: skip
