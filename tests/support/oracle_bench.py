"""Hands pairs of tables to dualgauge's diff, and says where it answers otherwise than the oracle."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.comparison.content.comparator import Comparator
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.comparison.errors import PlanRefused
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.errors import EngineError
from dualgauge.errors import DualgaugeError
from support.oracle import Table, disagreements, judge, within
from support.rule_pairs import make_rule_pair
from support.table_kinds import REFUSABLE
from support.table_pairs import Pair, make_pair
from support.table_writing import arrow, parquet, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

TODAY = date(2026, 3, 1)
HASHED = (DiffPlan.BUCKETS, DiffPlan.NARROW)
"""Plans that may refuse a type of which no hash is proven."""
SAMPLES = 200
"""More rows than a pair has: so every mismatch is shown."""


class Bench:
    """An engine and a folder, for many comparisons one after the other."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def give(self, name: str, table: Table, route: str, files: int = 1) -> str:
        """Put a table where the engine finds it; gives the query that reads it."""
        if route == "sql":
            for statement in statements(name, table):
                self.engine.execute(statement)
            return f"SELECT * FROM {name}"
        if route == "arrow":
            self.engine.register(f"arrow_{name}", arrow(table))
            return f"SELECT * FROM arrow_{name}"
        return f"SELECT * FROM read_parquet('{parquet(table, self.folder, name, files)}')"

    def compare(self, v1: str, v2: str, key: tuple[str, ...], plan: DiffPlan | None = None, **more: Any) -> Any:
        return compare_relations(
            self.engine, v1, v2, Comparator(key=key, **more), today=TODAY, plan=plan, samples=SAMPLES
        )

    def wrong(self, pair: Pair, plan: DiffPlan | None = None) -> list[str]:
        """What the diff of a pair says otherwise than the oracle; nothing where it is right."""
        answer = judge(pair.v1, pair.v2, pair.key)
        try:
            queries = [self.give(name, table, pair.route) for name, table in (("one", pair.v1), ("two", pair.v2))]
            found = self.by(plan, *queries, pair.key)
        except Exception as fault:  # noqa: BLE001  (whatever stops a diff is a finding, and the next seed is tried)
            return [] if _refused_by_name(pair, fault) else [f"stopped: {type(fault).__name__}: {fault}"]
        return disagreements(answer, found)

    def by(self, plan: DiffPlan | None, v1: str, v2: str, key: tuple[str, ...]) -> Any:
        """Compare by a plan, or by the tool's own where that one says that it cannot judge these types."""
        try:
            return self.compare(v1, v2, key, plan)
        except PlanRefused:
            if plan not in HASHED:
                raise
            return self.compare(v1, v2, key)


def _refused_by_name(pair: Pair, fault: Exception) -> bool:
    """Some types may be refused instead of being compared, by an error of our own that names the column."""
    columns = {column.name for table in (pair.v1, pair.v2) for column in table.columns if column.kind in REFUSABLE}
    ours = isinstance(fault, DualgaugeError) and not isinstance(fault, EngineError)
    return ours and any(name in str(fault) for name in columns)


@contextmanager
def bench() -> Iterator[Bench]:
    with open_engine(threads=1) as engine, tempfile.TemporaryDirectory() as folder:
        yield Bench(engine, Path(folder))


def wrong_seeds(seeds: range, plans: list[DiffPlan | None]) -> dict[str, list[str]]:
    """What is wrong by seed and plan, over many seeds: `make_pair(seed)` makes the pair again."""
    found = {}
    with bench() as at:
        for seed in seeds:
            pair = make_pair(seed)
            for plan in plans:
                if wrong := at.wrong(pair, plan):
                    found[f"seed {seed}, plan {plan.value if plan else 'of its own'}"] = wrong
    return found


def wrong_rules(seeds: range) -> dict[str, list[str]]:
    """The same of `make_rule_pair(seed)`: a column that a tolerant rule judges, in the diff and in `holds`."""
    found = {}
    with bench() as at:
        for seed in seeds:
            pair = make_rule_pair(seed)
            queries = [at.give(name, table, "sql") for name, table in (("one", pair.v1), ("two", pair.v2))]
            comparison = at.compare(*queries, ("id",), rules={"x": pair.rule})
            wrong = disagreements(judge(pair.v1, pair.v2, ("id",), {"x": pair.near}), comparison)
            for (_, a), (_, b) in zip(pair.v1.rows, pair.v2.rows, strict=True):
                if pair.rule.holds(a, b) is not within(pair.near, (pair.kind, pair.kind), a, b):
                    wrong.append(f"holds({a!r}, {b!r}) is {pair.rule.holds(a, b)}")
            if wrong:
                found[f"seed {seed}, {pair.kind.sql}, {pair.rule}"] = wrong
    return found
