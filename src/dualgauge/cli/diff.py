"""`dualgauge diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.options import HERE, Debug, Format, FormatOption, MemoryLimit, ProjectDir
from dualgauge.cli.output import answering, table
from dualgauge.cutover.stages import Stage
from dualgauge.model import NextStep, Outcome, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.comparison.run import DiffRun
    from dualgauge.comparison.values import Comparison, Mismatch

EXIT = {Outcome.PASS: 0, Outcome.FAIL: 4, Outcome.INCONCLUSIVE: 1}


def diff(
    comparators: Annotated[
        list[str] | None, typer.Argument(metavar="[COMPARATOR]...", help="Comparators by name; all of them by default.")
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=0, max=1000, help="How many mismatched rows to show whole.")
    ] = 5,
    memory_limit: MemoryLimit = "1GB",
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Compare what the two sides answer, at one position of the log.

    A comparator says how v2 answers v1's question; views of one name without a comparator are compared by their common
    columns, exactly. Each run is kept as evidence, in the ledger and in a folder below `reports`, with every
    mismatching key. Exits with 4 where rows differ that no expected difference explains, or keys are NULL or repeat.

    Example: dualgauge diff carrier_months --samples 3
    """
    from dualgauge.comparison.run import worst

    with answering("diff", project, form, debug=debug, memory_limit=memory_limit) as answer:
        runs = answer.migration.diff(comparators or [], samples=samples)
        verdict = worst(runs)

        def text(screen: Console) -> None:
            for run in runs:
                _print_run(screen, run)

        steps = []
        if verdict is Outcome.PASS and answer.migration.state().stage == Stage.SHADOW:
            steps = [NextStep("dualgauge switch --percent 1", "send the first reads to v2")]
        result = {"verdict": verdict.value, "runs": [run.to_json() for run in runs]}
        answer.give(result, text, exit_code=EXIT[verdict], next_steps=steps)


def _print_run(screen: Console, run: DiffRun) -> None:
    found = run.comparison
    screen.print(f"{run.name}: {found.verdict.value.upper()} at position {run.position:,}", style="bold")
    screen.print(
        f"  {found.rows_v1:,} rows in v1, {found.rows_v2:,} in v2; {plural(found.compared, 'key')} on both: "
        f"{found.matched:,} matched, {found.changed:,} changed; "
        f"{found.only_in_v1:,} only in v1, {found.only_in_v2:,} only in v2; {found.expected:,} expected",
        soft_wrap=True,
    )
    for reason in found.why if found.verdict is not Outcome.PASS else ():
        screen.print(f"  {reason}", soft_wrap=True)
    _print_findings(screen, found)
    for one in found.mismatches:
        _print_mismatch(screen, one)
    if found.mismatches and run.untraced:
        screen.print(f"  events are not shown: {run.untraced}", soft_wrap=True)
    screen.print(f"  run {run.run_id}; all of it is in {run.folder}", soft_wrap=True)


def _print_findings(screen: Console, found: Comparison) -> None:
    for column in found.schema:
        if column.verdict.value != "same":
            screen.print(f"  column {column.name}: {column.verdict.value} ({column.v1_type} / {column.v2_type})")
    for problem in found.key_problems:
        screen.print(
            f"  keys of {problem.side}: {plural(problem.null_keys, 'row')} with a NULL, "
            f"{plural(problem.duplicate_keys, 'key')} more than once ({plural(problem.duplicate_rows, 'row')})"
        )
    for expected in found.expected_by:
        state = "EXPIRED " if expected.expired else ""
        screen.print(
            f"  {state}expected, {plural(expected.rows, 'row')}: {expected.reason} "
            f"(owner {expected.owner}, until {expected.until})",
            soft_wrap=True,
        )
    differing = [one for one in found.columns if one.differ or one.within_rule]
    if differing:
        made = table(
            "  column",
            "rule",
            "compared",
            "within rule",
            "expected",
            "differ",
            right=["compared", "within rule", "expected", "differ"],
        )
        for one in differing:
            made.add_row(
                f"  {one.name}",
                one.rule,
                f"{one.compared:,}",
                f"{one.within_rule:,}",
                f"{one.expected:,}",
                f"{one.differ:,}",
            )
        screen.print(made)
    if found.clusters:
        made = table("  cluster", "rows", "for example", right=["rows"])
        for cluster in found.clusters:
            made.add_row(f"  {cluster.name}", f"{cluster.rows:,}", _key(cluster.example))
        screen.print(made)


def _print_mismatch(screen: Console, one: Mismatch) -> None:
    note = f" ({one.note})" if one.note else ""
    screen.print(f"  {_key(one.key)}: {one.kind.value}{note}")
    shown = one.columns or tuple(one.v1 or one.v2 or {})
    for column in shown:
        if column in one.key:
            continue
        screen.print(f"    {column}: v1 {_cell(one.v1, column)} | v2 {_cell(one.v2, column)}", soft_wrap=True)
    if one.events_total is not None:
        latest = ", ".join(f"{event.position:,} {event.event_id}" for event in one.events[-3:])
        screen.print(
            f"    touched by {plural(one.events_total, 'event')}, the latest: {latest or 'none'}", soft_wrap=True
        )


def _cell(row: Mapping[str, object] | None, column: str) -> str:
    if row is None:
        return "no row"
    return "NULL" if row.get(column) is None else str(row[column])


def _key(key: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())
