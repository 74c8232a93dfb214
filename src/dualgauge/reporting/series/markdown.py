"""
A series as Markdown, for a pull request or a chat: at most 60 lines, whatever there is to tell.

Rows of tables are cut, and how many is said; the verdict and what changed are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.reporting.markdown import code, text
from dualgauge.reporting.series.values import ChangeState
from dualgauge.reporting.words import SIGNS, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualgauge.reporting.series.values import Series, SeriesChange, SeriesRun

MOST_LINES: Final = 60
MOST_CHANGES: Final = 23
MOST_RUNS: Final = 12
_MOST_REASONS: Final = 5
_MOST_NEWER: Final = 3


def markdown(series: Series) -> str:
    """The whole file."""
    last = series.last
    run = (
        f"Run {code(last.run)} at position {_number(last.position)} of migration {code(series.migration)}, "
        f"{when(last.at)}; {last.mismatched:,} mismatched, {last.expected:,} expected, {last.matched:,} matched."
    )
    lines = [
        f"# {SIGNS[series.verdict]} {series.verdict.value.upper()}: {code(series.comparator)}", "",
        f"**{text(series.headline)}**", "",
        run, "",
        *(f"- {text(one)}" for one in series.why[:_MOST_REASONS]),
    ]  # fmt: skip
    if left := series.why[_MOST_REASONS:]:
        lines.append(f"- and {len(left)} reasons more")
    lines += ["", *_table(
        ("State", "Column", "Change", "Rows", "Before", "First seen"), map(_change, series.changes), MOST_CHANGES,
        len(series.changes), "changes",
    )] if series.changes else []  # fmt: skip
    recent = series.runs[-MOST_RUNS:]
    lines += ["", *_table(
        ("Run", "Position", "Verdict", "Mismatched", "Rows v1", "Rows v2"),
        map(_run, reversed(recent)),
        MOST_RUNS, len(series.runs), "runs",
    )]  # fmt: skip
    lines += ["", *map(text, notes(series))]
    lines += [f"Written by dualgauge {series.version}, without a value of any row; `series.json` beside it holds all."]
    assert len(lines) <= MOST_LINES  # noqa: S101  (each part has its most)
    return "\n".join(lines) + "\n"


def notes(series: Series) -> list[str]:
    """What is to be known of the series itself."""
    found = []
    if series.newer:
        newer = ", ".join(f"{one.run} ({one.why})" for one in series.newer[-_MOST_NEWER:])
        found.append(
            f"Newer than the last run that tells anything ({series.last.run}, {series.last.verdict.value}), so that "
            f"the verdict is inconclusive: {newer}. Compare again: dualgauge diff {series.comparator}."
        )
    if series.changed:
        found.append(
            f"This series begins with {len(series.runs)} runs from {series.runs[0].run} on: what is compared changed "
            f"then ({', '.join(series.changed)}), after {series.earlier} earlier ones."
        )
    if series.left_out:
        told = ", ".join(f"{count} {reason}" for reason, count in series.left_out)
        found.append(f"Left out, for they tell nothing: {told}.")
    return found


def column_of(change: SeriesChange) -> str:
    """The column, or what stands for a whole row."""
    return "(row)" if change.column is None else change.column


def state_of(change: SeriesChange) -> str:
    """The state in words."""
    return f"ongoing, {change.runs} runs" if change.state is ChangeState.ONGOING else change.state.value


def _change(one: SeriesChange) -> tuple[str, ...]:
    return (
        state_of(one), code(column_of(one)), text(one.change), f"{one.rows:,}", _number(one.before),
        code(one.first.run),
    )  # fmt: skip


def _run(one: SeriesRun) -> tuple[str, ...]:
    of = " touched" if one.touched else ""
    counts = (f"{one.mismatched:,}", f"{one.rows_v1:,}{of}", f"{one.rows_v2:,}{of}")
    return (code(one.run), _number(one.position), one.verdict.value, *counts)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], most: int, there: int, what: str) -> list[str]:
    shown = [row for row, _ in zip(rows, range(most), strict=False)]
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *shown)]
    return [*lines, *([f"*{there - len(shown):,} {what} more*"] if there > len(shown) else [])]
