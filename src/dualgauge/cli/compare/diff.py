"""`dualgauge diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.compare import diff_files
from dualgauge.cli.compare.printing import print_run, print_sources
from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering, failing, write
from dualgauge.cli.terminal.progress import bars
from dualgauge.cutover.moves.stages import Stage
from dualgauge.model import NextStep, Outcome


def diff(
    comparators: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMPARATOR]... | OLD NEW",
            help="Comparators by name, all of them by default; or two files, patterns or tables, with no project.",
            autocompletion=completion.comparators,
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=0, max=1000, help="How many mismatched rows to show whole.")
    ] = 5,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="A,B", help="OLD NEW: the columns that identify a row. May be given again."),
    ] = None,
    absolute: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=0.01", help="OLD NEW: numbers of a column that are no farther apart match."),
    ] = None,
    relative: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=0.001", help="OLD NEW: the same, as a share of the larger one."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.parquet", help="OLD NEW: write every mismatching key there; else nothing is written."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="OLD NEW: write what was found as a page, too.")
    ] = None,
    settle: Annotated[
        float,
        typer.Option(
            "--settle",
            min=0,
            max=86_400,
            metavar="SECONDS",
            help="How long a difference must stand still where v1 is adopted and cannot tell its position.",
        ),
    ] = 5.0,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="wide|buckets|narrow",
            help="How rows are chosen that are judged by value: all of them, or by hashes. Default: what suits.",
        ),
    ] = None,
    paranoid: Annotated[
        bool, typer.Option("--paranoid", help="Judge every row by value, whatever the size: the plan wide.")
    ] = False,
    touched: Annotated[
        bool,
        typer.Option("--touched", help="Compare what changed since the run before, and some of the rest, in turn."),
    ] = False,
    sweep: Annotated[
        int, typer.Option("--sweep", min=1, metavar="ROWS", help="--touched: how many rows of all, in turn.")
    ] = 50_000,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Compare what the two sides answer, at one position of the log; or two files or tables, without a project.

    A comparator says how v2 answers v1's question; views of one name without a comparator are compared by their common
    columns, exactly. Each run is kept as evidence, in the ledger and in a folder below `reports`, with every
    mismatching key. Exits with 4 where rows differ that no expected difference explains, or keys are NULL or repeat.

    Where both sides fit half of the memory limit every row is judged by value. Above that hashes choose the rows that
    are, and one of 500 buckets of rows is judged whatever they say; --paranoid judges every row at any size.

    --touched compares the keys whose events came since the run before, those that differed in it, and --sweep rows of
    all, in turn. Where a comparator does not let it, all keys are compared, and the run says why.

    OLD and NEW are files (CSV, TSV, JSON, JSONL, Parquet; text also with .gz), patterns in quotes, or tables of a
    database: `shop.db#orders`, `postgresql://host/db#public.orders`. OLD stands as v1, NEW as v2.

    Example: dualgauge diff carrier_months --samples 3

    Example: dualgauge diff old.parquet new.parquet --key id --relative amount=0.001
    """
    from dualgauge.comparison.runs.run import worst

    with failing("diff", form, debug=debug):
        pair = diff_files.pair(
            comparators or [],
            key=key or [],
            absolute=absolute or [],
            relative=relative or [],
            keep=keep,
            report=report,
            touched=touched,
        )
        plan = diff_files.plan_of(plan, paranoid=paranoid)
    if pair is not None:
        with failing("diff", form, debug=debug):
            with bars() as progress:
                found = pair.diff(samples=samples, plan=plan, memory_limit=memory_limit, progress=progress)
            verdict = found.comparison.verdict
            result = {"verdict": verdict.value, "runs": [found.to_json()]}
            if report is not None:
                diff_files.write_report(found, report)

            def sources(screen: Console) -> None:
                print_sources(screen, found)
                if report is not None:
                    screen.print(f"wrote {report}", soft_wrap=True)

            write("diff", form, result, verdict.exit_code, (), sources)
        raise typer.Exit(verdict.exit_code)
    with answering("diff", project, form, debug=debug, memory_limit=memory_limit) as answer:
        runs = answer.migration.diff(
            comparators or [], samples=samples, settle=settle, plan=plan, touched=touched, sweep=sweep
        )
        verdict = worst(runs)

        def text(screen: Console) -> None:
            for run in runs:
                print_run(screen, run)

        steps = []
        if verdict is Outcome.PASS and answer.migration.cutover.state().stage == Stage.SHADOW:
            steps = [NextStep("dualgauge switch --percent 1", "send the first reads to v2")]
        result = {"verdict": verdict.value, "runs": [run.to_json() for run in runs]}
        answer.give(result, text, exit_code=verdict.exit_code, next_steps=steps)
