"""`dualgauge check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.compare.drifts import print_drifts
from dualgauge.cli.terminal import completion
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.terminal.output import answering
from dualgauge.model import NextStep, Outcome, jsonable

if TYPE_CHECKING:
    from dualgauge.comparison.checking.check_run import CheckRun
    from dualgauge.comparison.checking.gx import CheckResult

SHOWN = 3
"""Unexpected rows of a failed check that are printed; all that are kept are in its folder."""

LONGEST = 60
"""Characters of an argument or a value in a line."""


def check(
    comparators: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMPARATOR]...",
            help="Comparators by name; all of them by default.",
            autocompletion=completion.comparators,
        ),
    ] = None,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Ask each side the data-quality rules of its comparators, and show how the sides drift apart.

    A comparator's `checks` are expectations of Great Expectations, asked of the views in the serving store, on v1, on
    v2 or on both. Each run is kept as evidence. Drifts (rows, NULLs, distinct values, least and most of each column)
    need no rule, and judge nothing. Exits with 4 where a check fails, with 1 where one could not tell.

    Example: dualgauge check carrier_months
    """
    from dualgauge.comparison.checking.check_run import worst

    with answering("check", project, form, debug=debug, memory_limit=memory_limit) as answer:
        runs = answer.migration.check(comparators or [])
        verdict = worst(runs)

        def text(screen: Console) -> None:
            for run in runs:
                _print_run(screen, run)
            if verdict is None:
                screen.print("no comparator has checks: give one checks=[Check(...)], and `check` will ask them")

        steps = [
            NextStep(f"dualgauge evidence show {run.run_id}", "see all that is kept of it")
            for run in runs
            if run.verdict not in (None, Outcome.PASS)
        ]
        if not steps:
            steps = [NextStep("dualgauge diff", "compare the sides row by row")]
        result = {"verdict": verdict and verdict.value, "runs": [run.to_json() for run in runs]}
        answer.give(result, text, exit_code=verdict.exit_code if verdict else 0, next_steps=steps)


def _print_run(screen: Console, run: CheckRun) -> None:
    said = "NO CHECKS" if run.verdict is None else run.verdict.value.upper()
    screen.print(f"{run.name}: {said} at position {run.position:,}", style="bold")
    for one in run.results:
        _print_result(screen, one)
    print_drifts(screen, run.drifts)
    if run.run_id is not None:
        screen.print(f"  run {run.run_id}; all of it is in {run.folder}", soft_wrap=True)


def _print_result(screen: Console, one: CheckResult) -> None:
    verdict = {True: "PASS", False: "FAIL", None: "COULD NOT TELL"}[one.success]
    arguments = ", ".join(f"{name}={_short(value)}" for name, value in one.arguments.items())
    screen.print(f"  {verdict} {one.view} {_words(one.expectation)} ({arguments}): {_found(one)}", soft_wrap=True)
    if one.success is False:
        for sample in one.samples[:SHOWN]:
            screen.print(f"    {_sample(sample)}", soft_wrap=True)


def _words(expectation: str) -> str:
    """`expect_column_values_to_not_be_null` as a person would say it."""
    return expectation.removeprefix("expect_").replace("_", " ")


def _found(one: CheckResult) -> str:
    if one.success is None:
        return one.error
    if one.checked is not None and one.unexpected is not None:
        return f"{one.checked:,} checked, {one.unexpected:,} unexpected"
    return f"observed {_short(one.observed)}"


def _sample(sample: object) -> str:
    if isinstance(sample, dict):
        return ", ".join(f"{name}={_short(value)}" for name, value in sample.items())
    return _short(sample)


def _short(value: object) -> str:
    if value is None:
        return "NULL"
    text = str(jsonable(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
