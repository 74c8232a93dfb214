"""Tables of many columns and few rows, in the memory that the engine has by default."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dualgauge
from dualgauge import Comparator
from dualgauge.comparison.engine.diff import DiffPlan
from dualgauge.engines.duck import Engine, Row, open_engine
from support.oracle import Column, Table, disagreements, judge
from support.oracle_bench import Bench
from support.table_kinds import DOUBLE, INTEGERS, TEXT
from support.thinned import thinned

COLUMNS = 1_300
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


@pytest.mark.parametrize("plan", thinned(3, DiffPlan))
def test_thirteen_hundred_columns_are_judged_in_the_default_memory(plan: DiffPlan) -> None:
    """By each plan, also of a row in which the last column alone is another one."""
    v1 = _table([1, 2, 3, 4, 8], {})
    changed = {(750, 1): -1, (1_199, 2): None, (0, 2): 7, (4, 1): "other", (COLUMNS - 1, 8): None}
    v2 = _table([1, 2, 3, 5, 8], changed)
    with open_engine(threads=1) as engine, tempfile.TemporaryDirectory() as folder:
        at = Bench(engine, Path(folder))
        queries = [at.give(name, table, "parquet") for name, table in (("one", v1), ("two", v2))]
        found = at.compare(*queries, ("id",), plan)
    assert disagreements(judge(v1, v2, ("id",)), found) == []
    assert (f"c{COLUMNS - 1}",) in [row.columns for row in found.mismatches]
    assert len(found.drifts) == COLUMNS + 1
    assert all(list(row.v1) == [column.name for column in v1.columns] for row in found.mismatches if row.v1)


def test_wide_decimals_of_hundreds_of_columns_are_not_looked_at_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    row = Engine.row

    def counted(self: Engine, sql: str, *given: object) -> Row:
        asked.append(sql)
        return row(self, sql, *given)

    monkeypatch.setattr(Engine, "row", counted)
    number = pa.array([Decimal(7), None, Decimal("0.5")], pa.decimal256(60, 2))
    other = pa.array([Decimal(7), None, Decimal("0.51")], pa.decimal256(60, 2))
    for name, last in (("a", number), ("b", other)):
        columns = {f"c{at}": number for at in range(300)} | {"last": last}
        pq.write_table(pa.table({"id": [1, 2, 3], **columns}), tmp_path / f"{name}.parquet")
    found = dualgauge.compare(tmp_path / "a.parquet", tmp_path / "b.parquet", Comparator(key="id"))

    assert [(row.key, row.columns) for row in found.mismatches] == [({"id": 3}, ("last",))]
    # Each reads all columns: by the square of their number, 800 would take more than a minute.
    assert len(asked) < 50
