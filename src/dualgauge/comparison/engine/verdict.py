"""From counts to pass, fail or inconclusive: every reason with its value, its limit and the sample size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.comparison.values import SchemaVerdict
from dualgauge.model import Outcome, fold, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.comparison.content.comparator import Limits
    from dualgauge.comparison.values import ColumnCount, KeyProblem, SchemaColumn


def decide(
    limits: Limits,
    *,
    counts: tuple[int, int, int],
    compared: int,
    expected: int,
    schema: Sequence[SchemaColumn],
    key_problems: Sequence[KeyProblem],
    columns: Sequence[ColumnCount],
) -> tuple[Outcome, tuple[str, ...]]:
    """
    Judge the counts (only_in_v1, only_in_v2, changed) and the findings.

    No pair and nothing expected is inconclusive where nothing fails: there was nothing to be alike.
    """
    findings = [*schema_findings(schema), *(_key_finding(problem) for problem in key_problems)]
    over: list[str] = []
    under: list[str] = []
    for name, value, limit in _bounds(limits, counts, columns):
        word = "over" if value > limit else "within"
        line = f"{name}: {plural(value, 'row')}, {word} the limit of {limit:,} ({plural(compared, 'key')} compared)"
        (over if value > limit else under).append(line)
    if findings or over:
        return Outcome.FAIL, (*findings, *over, *under)
    if compared == 0 and expected == 0:
        return Outcome.INCONCLUSIVE, ("no key is on both sides: 0 rows were compared, at least 1 is needed", *under)
    return Outcome.PASS, tuple(under)


def _bounds(
    limits: Limits, counts: tuple[int, int, int], columns: Sequence[ColumnCount]
) -> Iterator[tuple[str, int, int]]:
    yield "only_in_v1", counts[0], limits.only_in_v1
    yield "only_in_v2", counts[1], limits.only_in_v2
    yield "changed", counts[2], limits.changed
    by_name = {fold(name): limit for name, limit in limits.columns.items()}
    for column in columns:
        limit = by_name.get(fold(column.name))
        if limit is not None:
            yield f"column {column.name}", column.differ, limit


def schema_findings(schema: Sequence[SchemaColumn]) -> Iterator[str]:
    """One sentence for each column that cannot be compared as it stands."""
    for column in schema:
        match column.verdict:
            case SchemaVerdict.ONLY_IN_V1:
                yield _one_sided(column.name, "v1", "v2")
            case SchemaVerdict.ONLY_IN_V2:
                yield _one_sided(column.name, "v2", "v1")
            case SchemaVerdict.INCOMPARABLE:
                yield (
                    f"column {column.name}: {column.v1_type} in v1 and {column.v2_type} in v2 have no common type, "
                    "so it was not compared; cast it in the comparator's SQL"
                )
            case _ if column.lost:
                yield (
                    f"column {column.name}: {plural(column.lost, 'value')} of {column.v1_type} and {column.v2_type} "
                    f"do not fit {column.common_type} exactly, limit 0; cast it in the comparator's SQL"
                )


def _one_sided(name: str, side: str, other: str) -> str:
    return f"column {name}: only in {side}; select it in {other} too, or leave it out of the comparator's SQL"


def _key_finding(problem: KeyProblem) -> str:
    return (
        f"key of {problem.side}: {plural(problem.null_keys, 'NULL key')}, "
        f"{plural(problem.duplicate_keys, 'duplicate key')} on {plural(problem.duplicate_rows, 'row')}, limit 0; "
        "those rows were left out"
    )
