"""Rows that are written in SQL, compared as two relations of one engine."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from dualgauge.comparison.content.comparator import Comparator
from dualgauge.comparison.engine.diff import compare_relations

if TYPE_CHECKING:
    from dualgauge.comparison.values import Comparison
    from dualgauge.engines.duck import Engine

TODAY = date(2026, 3, 1)


def compare(engine: Engine, v1: str, v2: str, comparator: Comparator | None = None, **options: Any) -> Comparison:
    return compare_relations(engine, v1, v2, comparator or Comparator(key="id"), today=TODAY, **options)


def rows(*values: str, columns: str = "id, n") -> str:
    """A SELECT that gives these rows: `rows("1, 'a'", "2, NULL")`."""
    return f"SELECT * FROM (VALUES {', '.join(f'({value})' for value in values)}) AS t({columns})"
