"""Aggregates by their states: merged part by part they are what the engine gives over all, and by its own states."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from dualgauge.engines.duck import open_engine
from dualgauge.engines.syntax import expressions, name_of, select_of
from dualgauge.views.plan.states import QUOTIENT, kept, merged_states, places_of, quotient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.engines.duck import Engine

PARTS = 7
ROWS = f"""
    SELECT position, position % 50 AS g, (hash(position) % {PARTS})::BIGINT AS part,
        CASE WHEN hash(position, 1) % 5 > 0 THEN (hash(position, 2) % 2001)::BIGINT - 1000 END AS x,
        CASE WHEN hash(position, 3) % 4 > 0 THEN ((hash(position, 4) % 100000)::BIGINT / 100)::DECIMAL(18,2) END AS d,
        [NULL, 'a', 'b', 'c'][(hash(position, 5) % 4)::BIGINT + 1] AS t,
        [NULL, true, false][(hash(position, 6) % 3)::BIGINT + 1] AS b
    FROM range(2000) AS r(position)
"""
EXACT = [
    "count(*)", "count(x)", "count_if(x > 1)", "sum(x)", "sum(d)", "min(d)", "max(t)", "avg(x)", "avg(d)",
    "bool_and(b)", "bool_or(b)", "bit_and(x)", "bit_or(x)", "bit_xor(x)", "arg_max(t, position)",
    "arg_min(t, position)", "arg_max_null(t, position)", "arg_min_null(t, position)", "arg_max(t, (x, position))",
    "sum(x) FILTER (WHERE b)", "avg(d) FILTER (WHERE t <> 'a')", "arg_max(t, position) FILTER (WHERE b)",
]  # fmt: skip
BOUNDED = ["var_pop(x)", "var_samp(x)", "stddev_pop(x)", "stddev(d)", "variance(x) FILTER (WHERE b)"]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with open_engine() as found:
        found.execute(f"CREATE TABLE t AS {ROWS}")
        found.define(QUOTIENT, quotient)
        yield found


def merged(engine: Engine, text: str) -> str:
    """A SELECT of each group's value, of states that were merged part by part."""
    tree = select_of(engine, f"SELECT {text}")
    assert tree is not None
    ours = kept(next(node for node in expressions(tree["select_list"]) if name_of(node)), text)
    columns = ", ".join(f"{state.sql} AS _s{at}" for at, state in enumerate(ours.states))
    kinds = engine.columns(f"SELECT {columns} FROM t")
    stored = ", ".join(f"CAST(_s{at} AS VARCHAR) AS _s{at}" for at in range(len(kinds)))
    before = ", ".join(f"CAST(m._s{at} AS {kind}) AS _o{at}" for at, kind in enumerate(kinds.values()))
    later = ", ".join(f"n._s{at} AS _n{at}" for at in range(len(kinds)))
    both = ", ".join(
        f"CAST(CAST({sql} AS {kind}) AS VARCHAR) AS _s{at}"
        for at, (sql, kind) in enumerate(zip(merged_states([ours], places_of([ours])), kinds.values(), strict=True))
    )
    engine.execute(f"CREATE TABLE m AS SELECT g, {stored} FROM (SELECT g, {columns} FROM t WHERE part = 0 GROUP BY g)")
    for part in range(1, PARTS):
        engine.execute(f"CREATE OR REPLACE TABLE n AS SELECT g, {columns} FROM t WHERE part = {part} GROUP BY g")
        joined = f"SELECT coalesce(m.g, n.g) AS g, {before}, {later} FROM m FULL JOIN n ON m.g = n.g"
        engine.execute(f"CREATE OR REPLACE TABLE m AS SELECT g, {both} FROM ({joined})")
    typed = ", ".join(f"CAST(_s{at} AS {kind}) AS _s{at}" for at, kind in enumerate(kinds.values()))
    return f"SELECT g, {ours.result.format(*kinds)} AS r FROM (SELECT g, {typed} FROM m)"


def by_the_engine(text: str) -> str:
    """The same by the engine's own states."""
    call, filtered, condition = text.partition(" FILTER ")
    state = f"{call}{filtered}{condition} EXPORT_STATE"
    parts = f"SELECT g, part, {state} AS s FROM t GROUP BY g, part"
    return f"SELECT g, finalize(s) AS r FROM (SELECT g, combine_aggr(s) AS s FROM ({parts}) GROUP BY g)"


def wrong(engine: Engine, one: str, other: str, same: str) -> int:
    joined = f"FROM ({one}) AS a FULL JOIN ({other}) AS b USING (g)"
    return int(engine.row(f"SELECT count(*) FILTER (NOT coalesce({same}, a.r IS NULL AND b.r IS NULL)) {joined}")[0])


@pytest.mark.parametrize("text", EXACT)
def test_states_of_exact_values_merge_to_the_last_bit(engine: Engine, text: str) -> None:
    ours, same = merged(engine, text), "a.r IS NOT DISTINCT FROM b.r"

    assert engine.row(f"SELECT count(*) FROM ({ours})")[0] == 50
    assert wrong(engine, ours, f"SELECT g, {text} AS r FROM t GROUP BY g", same) == 0
    assert wrong(engine, ours, by_the_engine(text), same) == 0


@pytest.mark.parametrize("text", BOUNDED)
def test_states_of_moments_merge_within_a_bound(engine: Engine, text: str) -> None:
    ours, same = merged(engine, text), "abs(a.r - b.r) <= 1e-12 * abs(b.r)"

    assert wrong(engine, ours, f"SELECT g, {text} AS r FROM t GROUP BY g", same) == 0
    assert wrong(engine, ours, by_the_engine(text), same) == 0


@pytest.mark.parametrize(
    ("kind", "digits"),
    [
        ("BIGINT", 18),
        ("DECIMAL(18,2)", 16),
        ("DECIMAL(38,0)", 38),
        ("DECIMAL(38,9)", 24),
        ("DECIMAL(38,20)", 38),
        ("DECIMAL(38,38)", 38),
        ("HUGEINT", 38),
    ],
)
def test_a_mean_is_the_quotient_rounded_once(engine: Engine, kind: str, digits: int) -> None:
    """Of a sum and a count, against fractions of Python, which are exact and rounded once when they become a float."""
    chance = random.Random(kind)
    values = [
        (chance.choice((1, -1)) * chance.randrange(10 ** chance.randrange(1, digits)), chance.randrange(1, most))
        for _ in range(3000) for most in (3000, 2**63)
    ]  # fmt: skip
    scale = int(kind.partition(",")[2].rstrip(")") or 0)
    # About where a sum, or a count of so many digits, is no whole number of a DOUBLE any more.
    most = 2**53 // 10**scale
    values += [
        (2**power + more, n)
        for power in (48, 53) for more in (-1, 0, 1) for n in (1, 3, most, most + (scale > 0)) if n
    ]  # fmt: skip
    tree = select_of(engine, "SELECT avg(x)")
    assert tree is not None
    result = kept(tree["select_list"][0], "avg(x)").result.format("s", "n")
    engine.execute(f"CREATE TABLE sums (s {'HUGEINT' if scale == 0 else f'DECIMAL(38,{scale})'}, n BIGINT)")
    # In quotes: a number of so many digits would be a DOUBLE.
    rows = ", ".join(f"('{Decimal(a).scaleb(-scale):f}', {n})" for a, n in values)
    engine.execute(f"INSERT INTO sums VALUES {rows}")

    found = [mean for (mean,) in engine.rows(f"SELECT {result} FROM sums")]
    assert found == [float(Fraction(a, n * 10**scale)) for a, n in values]
