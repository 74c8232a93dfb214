"""Tables of many columns and few rows, in the memory that the engine has by default."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from dualgauge.comparison.engine.diff import DiffPlan
from dualgauge.engines.duck import open_engine
from support.oracle import Column, Table, disagreements, judge
from support.oracle_bench import Bench
from support.table_kinds import DOUBLE, INTEGERS, TEXT

COLUMNS = 1_500
BIGINT = INTEGERS[3]
KINDS = (BIGINT, TEXT, DOUBLE)


def _value(at: int, row: int) -> object:
    if (at + row) % 5 == 0:
        return None
    return (at * row, f"{at} of {row}", at / 4 + row)[at % len(KINDS)]


def _table(rows: list[int], changed: dict[tuple[int, int], object]) -> Table:
    columns = (Column("id", BIGINT), *(Column(f"c{at}", KINDS[at % len(KINDS)]) for at in range(COLUMNS)))
    return Table(
        columns,
        tuple((row, *(changed.get((at, row), _value(at, row)) for at in range(COLUMNS))) for row in rows),
    )


@pytest.mark.parametrize("plan", list(DiffPlan))
def test_fifteen_hundred_columns_are_judged_in_the_default_memory(plan: DiffPlan) -> None:
    v1 = _table([1, 2, 3, 4], {})
    v2 = _table([1, 2, 3, 5], {(750, 1): -1, (1499, 2): None, (0, 2): 7, (4, 1): "other"})
    with open_engine(threads=1) as engine, tempfile.TemporaryDirectory() as folder:
        at = Bench(engine, Path(folder))
        queries = [at.give(name, table, "parquet") for name, table in (("one", v1), ("two", v2))]
        found = at.compare(*queries, ("id",), plan)
    assert disagreements(judge(v1, v2, ("id",)), found) == []
    assert len(found.drifts) == COLUMNS + 1
    assert all(list(row.v1) == [column.name for column in v1.columns] for row in found.mismatches if row.v1)
