"""
Which rows are worth judging by value.

Two plans, measured: signed hash buckets where everything is exact, and a narrow join of key, row hash and
the tolerant columns elsewhere. Both only choose candidates; a hash never makes a difference by itself.
Two unlike rows pass for alike with a chance of about 2^-62 a bucket or a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.engine.expectations import columns_used
from dualgauge.comparison.errors import PlanRefused
from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.comparison.engine.expectations import Expectation
    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Column, Layout

BUCKETS: Final = 1 << 16
MOST_BUCKETS: Final = BUCKETS // 5
"""Above a fifth of differing buckets the second pass reads most rows again, and the narrow join is quicker."""


class DiffPlan(StrEnum):
    """How candidates are found."""

    BUCKETS = "buckets"
    NARROW = "narrow"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Relations with the rows of each side worth judging; `within` counts cells, by column, that a rule let pass."""

    v1: str
    v2: str
    within: Mapping[str, int]
    plan: str


def choose(
    space: Scratch, layout: Layout, expected: Sequence[Expectation], v1: str, v2: str, *, wanted: DiffPlan | None
) -> Candidates:
    """
    Find the candidates by the plan that suits, or by the one that is wanted.

    Raises:
        PlanRefused: buckets were asked for, and a tolerant rule or an expected difference needs every row.
    """
    tolerant = [column.name for column in layout.compared if column.rule.numeric]
    needs_all = f"column {tolerant[0]!r} has a tolerant rule" if tolerant else "there are expected differences"
    if tolerant or expected:
        if wanted is DiffPlan.BUCKETS:
            raise PlanRefused(wanted, needs_all)
        return _narrow(space, layout, expected, v1, v2, why=needs_all)
    if wanted is DiffPlan.NARROW:
        return _narrow(space, layout, expected, v1, v2, why="asked for")
    bad = _differing_buckets(space, layout, v1, v2)
    count = space.engine.row(f"SELECT count(*) FROM {bad}")[0]
    if count > MOST_BUCKETS and wanted is None:
        return _narrow(space, layout, expected, v1, v2, why=f"{count:,} of {BUCKETS:,} buckets differ")
    bucket = _bucket(layout)
    chosen = [
        space.view(f"chosen_{side}", f"SELECT * FROM {relation} WHERE {bucket} IN (SELECT bucket FROM {bad})")
        for side, relation in (("v1", v1), ("v2", v2))
    ]
    return Candidates(chosen[0], chosen[1], {}, f"{DiffPlan.BUCKETS}: {count:,} of {BUCKETS:,} differ")


def _names(columns: Sequence[Column]) -> list[str]:
    return [quote(column.name) for column in columns]


def _bucket(layout: Layout) -> str:
    return f"CAST(hash({', '.join(_names(layout.keys))}) & {BUCKETS - 1} AS USMALLINT)"


def _differing_buckets(space: Scratch, layout: Layout, v1: str, v2: str) -> str:
    """
    Count and sum the row hashes of both sides in one aggregate: v1's with plus, v2's with minus.

    A USMALLINT group is dense, so that DuckDB counts in an array instead of a hash table (`perfect_ht_threshold`).
    """
    bucket = _bucket(layout)
    # Shifted, so that a signed number holds the hash and its negative.
    row = f"CAST(hash({', '.join(_names((*layout.keys, *layout.compared)))}) >> 2 AS BIGINT)"
    return space.table(
        "differing",
        f"SELECT bucket FROM (SELECT {bucket} AS bucket, 1 AS sign, {row} AS h FROM {v1} "
        f"UNION ALL SELECT {bucket}, -1, -{row} FROM {v2}) "
        "GROUP BY bucket HAVING sum(sign) <> 0 OR sum(h) <> 0",
    )


def _narrow(
    space: Scratch, layout: Layout, expected: Sequence[Expectation], v1: str, v2: str, *, why: str
) -> Candidates:
    """
    Join key, hash of the exact columns, tolerant columns and what the conditions use; keep the candidates' keys.

    Rows that only a rule lets pass are kept beside them, to be counted.
    """
    exact = [column for column in layout.compared if not column.rule.numeric]
    tolerant = [column for column in layout.compared if column.rule.numeric]
    live = [expectation for expectation in expected if expectation.live]
    sides = []
    for relation, rest in ((v1, layout.rest_v1), (v2, layout.rest_v2)):
        used = columns_used(live, (*(column.name for column in exact), *rest))
        hashed = f"hash({', '.join(_names(exact))})" if exact else "0"
        carried = [*_names(layout.keys), *_names(tolerant), *map(quote, used), f"{hashed} AS __hash"]
        sides.append(f"(SELECT {', '.join(carried)} FROM {relation})")
    keys = _names(layout.keys)
    on = " AND ".join(f"v1.{key} = v2.{key}" for key in keys)
    alone = f"v1.{keys[0]} IS NULL OR v2.{keys[0]} IS NULL"
    cells = [(f"v1.{name}", f"v2.{name}") for name in _names(tolerant)]
    holds = [column.rule.sql(a, b) for column, (a, b) in zip(tolerant, cells, strict=True)]
    judged = ["v1.__hash <> v2.__hash", *(f"NOT {rule}" for rule in holds), *(e.when for e in live)]
    within = [
        f"(NOT ({alone}) AND {a} IS DISTINCT FROM {b} AND {rule}) AS __within_{at}"
        for at, ((a, b), rule) in enumerate(zip(cells, holds, strict=True))
    ]
    picks = [f"coalesce(v1.{key}, v2.{key}) AS {key}" for key in keys]
    pick = f"({alone} OR {' OR '.join(judged)}) AS __candidate"
    kept = " OR ".join(["__candidate", *(f"__within_{at}" for at in range(len(tolerant)))])
    joined = f"SELECT {', '.join([*picks, pick, *within])} FROM {sides[0]} AS v1 FULL JOIN {sides[1]} AS v2 ON {on}"
    table = space.table("candidates", f"SELECT * FROM ({joined}) WHERE {kept}")
    counts = [f"count(*) FILTER (__within_{at})" for at in range(len(tolerant))]
    found = space.engine.row(f"SELECT {', '.join(['count(*)', *counts])} FROM {table}")[1:]
    same = " AND ".join(f"c.{key} = s.{key}" for key in keys)
    chosen = [
        space.view(
            f"chosen_{side}",
            f"SELECT * FROM {relation} s WHERE EXISTS (SELECT 1 FROM {table} c WHERE __candidate AND {same})",
        )
        for side, relation in (("v1", v1), ("v2", v2))
    ]
    counted = dict(zip((column.name for column in tolerant), found, strict=True))
    return Candidates(chosen[0], chosen[1], counted, f"{DiffPlan.NARROW}: {why}")
