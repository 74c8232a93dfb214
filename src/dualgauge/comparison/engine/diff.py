"""
The diff engine: two queries and a comparator in, a `Comparison` out.

Schema first, then NULL and duplicate keys, then rows. Nothing is joined into nonsense: what cannot be paired
or compared is a finding of its own, and every reported row was judged by value.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from dualgauge.comparison.engine.candidates import DiffPlan, choose
from dualgauge.comparison.engine.clusters import changes_of, clusters_of, keep_keys, label, sample
from dualgauge.comparison.engine.counts import count
from dualgauge.comparison.engine.expectations import blame, check, expectations
from dualgauge.comparison.engine.judge import judge
from dualgauge.comparison.engine.keys import sort_out
from dualgauge.comparison.engine.profile import drifts
from dualgauge.comparison.engine.relations import bring, count_lost, scratch, with_lost_keys
from dualgauge.comparison.engine.schema import read_layout
from dualgauge.comparison.engine.verdict import decide, schema_findings
from dualgauge.comparison.values import Comparison
from dualgauge.engines.errors import EngineError
from dualgauge.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from dualgauge.comparison.content.comparator import Comparator
    from dualgauge.comparison.engine.relations import Scratch
    from dualgauge.comparison.engine.schema import Layout
    from dualgauge.engines.duck import Engine

__all__ = ["DiffPlan", "compare_relations"]


def compare_relations(
    engine: Engine,
    v1_sql: str,
    v2_sql: str,
    comparator: Comparator,
    *,
    today: date,
    samples: int = 10,
    keep: Path | None = None,
    progress: Callable[[str], None] | None = None,
    plan: DiffPlan | None = None,
    stable: bool = False,
    chance: Random | None = None,
    context: bool = False,
) -> Comparison:
    """
    Compare the rows of two DuckDB SELECTs.

    Args:
        engine: an open engine in which both queries run. Its settings and names are as before afterwards.
        v1_sql: v1's rows.
        v2_sql: v2's rows.
        comparator: key, rules, expected differences and limits. Its own `v1` and `v2` are not looked at.
        today: the day by which expected differences expire.
        samples: how many mismatched rows are shown whole, and how many keys of each key problem.
        keep: where to write every mismatched key as Parquet; nothing is written when the keys are incomparable.
        progress: called with the name of each step that begins: schema, keys, rows, clusters.
        plan: how candidates are found; by default the tool chooses, `wide` where both sides fit half of the memory.
        stable: the queries are cheap and give the same rows each time they run (plain files). They are then
            read in place; otherwise their rows are kept first, in the engine's memory and spill folder.
        chance: chooses what a hash-based plan judges by value all the same; other rows in each run by default.
        context: columns whose names begin with `_` are context: not compared, but conditions see them. So it is
            where a comparator's own queries choose the columns; whoever compares whole tables leaves no column out.

    Raises:
        BadRelation: a query cannot be run.
        MissingKey: a key column is not on both sides.
        NoColumnToCompare: the comparator names a column that is not compared.
        NotNumeric: a tolerant rule stands on a column without numbers.
        NoEquality: a column has a type whose values cannot be told to be the same.
        BadExpectation: an expected difference cannot be read by the engine.
        ExpectationFailed: one failed on a row.
        PlanRefused: the plan asked for cannot judge this comparator.
    """
    say = progress or _quiet
    with scratch(engine) as space:
        say("schema")
        layout = read_layout(engine, v1_sql, v2_sql, comparator, context=context)
        if layout.bad_keys:
            return _nothing_compared(space, layout, v1_sql, v2_sql, stable=stable)
        schema = count_lost(engine, layout, v1_sql, v2_sql)
        layout = with_lost_keys(layout, schema)
        v1 = bring(space, layout, "v1", v1_sql, stable=stable)
        v2 = bring(space, layout, "v2", v2_sql, stable=stable)
        expected = expectations(comparator, layout, today)
        check(engine, expected, layout, v1, v2)
        say("keys")
        paired = sort_out(space, layout, v1, v2, samples=samples)
        say("rows")
        try:
            candidates = choose(space, layout, expected, paired, wanted=plan, chance=chance or Random())  # noqa: S311  (no secret)
            judged = judge(space, layout, expected, candidates)
        except EngineError as fault:
            blame(engine, expected, layout, paired.v1, paired.v2, fault=fault)
            raise
        say("clusters")
        counts = count(engine, layout, expected, paired, judged, within=candidates.within)
        labelled = label(space, layout, judged)
        if keep is not None:
            keep_keys(engine, layout, labelled, keep)
        differing = counts.only_in_v1 + counts.only_in_v2 + counts.changed
        verdict, why = decide(
            comparator.limits,
            counts=(counts.only_in_v1, counts.only_in_v2, counts.changed),
            compared=counts.compared,
            expected=counts.expected,
            schema=schema,
            key_problems=paired.problems,
            columns=counts.columns,
        )
        return Comparison(
            rows_v1=paired.rows_v1,
            rows_v2=paired.rows_v2,
            compared=counts.compared,
            matched=counts.matched,
            expected=counts.expected,
            only_in_v1=counts.only_in_v1,
            only_in_v2=counts.only_in_v2,
            changed=counts.changed,
            unexpected_same=counts.unexpected_same,
            schema=schema,
            key_problems=paired.problems,
            columns=counts.columns,
            expected_by=counts.expected_by,
            clusters=clusters_of(engine, layout, labelled) if differing else (),
            mismatches=sample(engine, layout, labelled, most=samples) if differing else (),
            plan=candidates.plan,
            verdict=verdict,
            why=why,
            drifts=drifts(engine, layout, v1, v2, paired=paired, counts=counts),
            changes=changes_of(engine, labelled) if differing else (),
        )


def _quiet(_step: str) -> None:
    """Report to nobody."""


def _nothing_compared(space: Scratch, layout: Layout, v1_sql: str, v2_sql: str, *, stable: bool) -> Comparison:
    """No row can be paired by keys that have no common type: rows are counted, columns profiled, and that is all."""
    v1, v2 = (bring(space, layout, side, sql, stable=stable) for side, sql in (("v1", v1_sql), ("v2", v2_sql)))
    rows_v1, rows_v2 = (int(space.engine.row(f"SELECT count(*) FROM {relation}")[0]) for relation in (v1, v2))
    why = (*schema_findings(layout.schema), "0 rows were compared: a key column has no common type")
    return Comparison(
        rows_v1=rows_v1,
        rows_v2=rows_v2,
        compared=0,
        matched=0,
        expected=0,
        only_in_v1=0,
        only_in_v2=0,
        changed=0,
        unexpected_same=0,
        schema=layout.schema,
        key_problems=(),
        columns=(),
        expected_by=(),
        clusters=(),
        mismatches=(),
        plan="none",
        verdict=Outcome.FAIL,
        why=why,
        drifts=drifts(space.engine, layout, v1, v2),
    )
