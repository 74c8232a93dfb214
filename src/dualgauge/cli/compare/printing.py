"""How a comparison is printed: the same for a project's run and for two files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from dualgauge.cli.compare.drifts import print_drift_line
from dualgauge.cli.terminal.output import table
from dualgauge.model import Outcome, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.comparison.files.compare import SourceDiff
    from dualgauge.comparison.runs.run import DiffRun
    from dualgauge.comparison.values import Comparison, Mismatch


def print_run(screen: Console, run: DiffRun) -> None:
    """A comparator's run."""
    found = run.comparison
    screen.print(f"{run.name}: {found.verdict.value.upper()} at position {run.position:,}", style="bold")
    if run.in_full:
        screen.print(f"  in full: {run.in_full}", soft_wrap=True)
    _print_comparison(screen, found)
    if found.mismatches and run.untraced:
        screen.print(f"  events are not shown: {run.untraced}", soft_wrap=True)
    print_drift_line(screen, found.drifts, f"`dualgauge check {run.name}`")
    screen.print(f"  run {run.run_id}; all of it is in {run.folder}", soft_wrap=True)


def print_sources(screen: Console, run: SourceDiff) -> None:
    """A comparison of two files or tables."""
    found = run.comparison
    screen.print(f"{found.verdict.value.upper()}: v1 is {run.v1}, v2 is {run.v2}", style="bold", soft_wrap=True)
    if run.stated:
        screen.print(f"  key {', '.join(run.key)}: the primary key that both state", soft_wrap=True)
    _print_comparison(screen, found)
    print_drift_line(screen, found.drifts, "`--format json`")
    if run.keep is not None:
        screen.print(f"  every mismatching key is in {run.keep}", soft_wrap=True)


def _print_comparison(screen: Console, found: Comparison) -> None:
    if found.partly:
        screen.print(f"  touched: {found.partly}", soft_wrap=True)
    of = "of" if found.partly else "in"
    screen.print(
        f"  {found.rows_v1:,} rows {of} v1, {found.rows_v2:,} {of} v2; {plural(found.compared, 'key')} on both: "
        f"{found.matched:,} matched, {found.changed:,} changed; "
        f"{found.only_in_v1:,} only in v1, {found.only_in_v2:,} only in v2; {found.expected:,} expected"
        + (f"; {found.in_flight:,} in flight" if found.in_flight else ""),
        soft_wrap=True,
    )
    for reason in found.why if found.verdict is not Outcome.PASS else ():
        screen.print(f"  {reason}", soft_wrap=True)
    _print_findings(screen, found)
    for one in found.mismatches:
        _print_mismatch(screen, one)


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
