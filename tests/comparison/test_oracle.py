"""The diff against an oracle in plain Python: over every type, by every plan, and under changes that change nothing."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge import Comparator, Expected, Relative
from dualgauge.comparison.engine.diff import DiffPlan
from dualgauge.comparison.errors import UnreadableLocation
from support.near_values import alike
from support.oracle import Column, Table, disagreements, form, judge
from support.oracle_bench import TODAY, Bench, bench, wrong_rules, wrong_seeds
from support.table_changes import HOLDS
from support.table_kinds import BOOLEAN, DOUBLE, ENDLESS, FOLDED, INTEGERS, REFUSABLE, SCALARS, draw, pool
from support.table_pairs import make_pair, permuted
from support.table_writing import arrow, parquet
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAIRS = 400
BLOCK = 50
PLANS = list(DiffPlan)
BLOCKS = [
    (plan, range(start, start + BLOCK))
    for at, start in enumerate(range(0, PAIRS, BLOCK))
    for plan in [PLANS[at % len(PLANS)]]
]


@pytest.fixture(scope="module")
def at() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


# --- verdicts and counts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "seeds"), thinned(3, BLOCKS), ids=[f"{plan.value}-{seeds.start}" for plan, seeds in BLOCKS]
)
def test_a_diff_answers_what_a_reader_of_both_tables_would(plan: DiffPlan, seeds: range) -> None:
    assert wrong_seeds(seeds, [plan]) == {}


@pytest.mark.parametrize("route", ["arrow", "parquet"])
def test_tables_and_files_that_a_user_hands_over_are_judged_alike(tmp_path: Path, route: str) -> None:
    wrong = {}
    for seed in range(16):
        pair = make_pair(seed, route)
        sides = [
            arrow(table) if route == "arrow" else parquet(table, tmp_path, f"{name}{seed}", files=1 + seed % 3)
            for name, table in (("v1-", pair.v1), ("v2-", pair.v2))
        ]
        try:
            found = dualgauge.compare(*sides, Comparator(key=pair.key), today=TODAY, samples=200)
        except UnreadableLocation as fault:
            # Refused by name: an interval of Arrow may be finer than DuckDB's, and nobody looks inside of something.
            nested = [one.name for one in (*pair.v1.columns, *pair.v2.columns) if one.kind.sql.count("INTERVAL")]
            if not any(f"its column {name!r} holds month_day_nano_interval" in str(fault) for name in nested):
                wrong[seed] = [str(fault)]
            continue
        if told := disagreements(judge(pair.v1, pair.v2, pair.key), found):
            wrong[seed] = told
    assert wrong == {}


def test_the_values_that_the_oracle_judges_are_those_that_the_engine_gets(at: Bench) -> None:
    """No two values of a pool become one on their way into a table: a diff could then not be wrong about them."""
    for kind in [*SCALARS, *ENDLESS, *REFUSABLE[:-1], FOLDED]:
        values = pool(kind)
        query = at.give("one", Table((Column("x", kind),), tuple((value,) for value in values)), "sql")
        texts = at.engine.rows(f"SELECT encode(CAST(x AS VARCHAR)) FROM ({query})")
        assert len(set(texts)) == len(set(map(repr, values))), kind.sql


# --- what must not change an answer -----------------------------------------------------------------------------


def told(found: Any) -> tuple[Any, ...]:
    """What a diff says, without the order of rows and columns."""
    return (
        found.verdict,
        (found.rows_v1, found.rows_v2, found.matched, found.changed, found.only_in_v1, found.only_in_v2),
        {one.side: (one.null_keys, one.duplicate_keys, one.duplicate_rows) for one in found.key_problems},
        {one.name: (one.equal, one.differ) for one in found.columns},
        Counter((one.kind, frozenset(one.columns)) for one in found.mismatches),
    )


@pytest.mark.parametrize("start", range(5_000, 5_020, 10))
def test_the_sides_for_each_other_swap_what_only_one_has_and_nothing_else(at: Bench, start: int) -> None:
    for seed in range(start, start + 10):
        pair = make_pair(seed)
        v1, v2 = at.give("one", pair.v1, pair.route), at.give("two", pair.v2, pair.route)
        there, back = at.compare(v1, v2, pair.key), at.compare(v2, v1, pair.key)
        assert (there.verdict, there.matched, there.changed) == (back.verdict, back.matched, back.changed), seed
        assert (there.only_in_v1, there.only_in_v2) == (back.only_in_v2, back.only_in_v1), seed


@pytest.mark.parametrize("start", range(6_000, 6_020, 10))
def test_the_order_of_rows_and_columns_and_the_number_of_files_say_nothing(at: Bench, start: int) -> None:
    for seed in range(start, start + 10):
        pair = make_pair(seed, "parquet")
        chance = random.Random(seed)
        first = at.compare(at.give("one", pair.v1, "parquet"), at.give("two", pair.v2, "parquet"), pair.key)
        other = permuted(chance, pair.v1), permuted(chance, pair.v2)
        again = at.compare(
            at.give("three", other[0], "parquet", files=chance.randint(2, 5)),
            at.give("four", other[1], "parquet", files=chance.randint(2, 5)),
            pair.key,
        )
        assert told(first) == told(again), seed


@pytest.mark.parametrize("start", range(7_000, 7_020, 10))
def test_a_table_equals_itself_whichever_way_it_is_handed_over(at: Bench, start: int) -> None:
    for seed in range(start, start + 10):
        pair = make_pair(seed)
        table = Table(pair.v1.columns, tuple(row for row in pair.v1.rows if _alone(pair.v1, row, pair.key)))
        kinds = [column.kind for column in table.columns]
        routes = [route for route, holds in HOLDS.items() if all(holds(kind) for kind in kinds)]
        queries = [at.give(f"by_{route}", table, route) for route in (pair.route, random.Random(seed).choice(routes))]
        found = at.compare(queries[0], queries[1], pair.key)
        assert (found.verdict.value, found.matched) == ("pass" if table.rows else "inconclusive", len(table.rows)), seed


def _alone(table: Table, row: tuple[Any, ...], key: tuple[str, ...]) -> bool:
    """Whether a row's key is not NULL and no other row has it."""
    named = [tuple(form(table.kind(name), one[table.at(name)]) for name in key) for one in (row, *table.rows)]
    return ("null",) not in named[0] and named.count(named[0]) == 2


NESTED = [kind for seed in range(60) for kind in [make_pair(seed, "sql").v1.columns[-1].kind] if kind.parts]
FLIPPED = [*SCALARS, *NESTED]


@pytest.mark.parametrize("start", range(0, len(FLIPPED), 20))
def test_one_value_flipped_is_always_found_alone(at: Bench, start: int) -> None:
    for number, kind in enumerate(FLIPPED[start : start + 20], start):
        chance, plan = random.Random(number), PLANS[number % len(PLANS)]
        columns = (Column("id", INTEGERS[3]), Column("x", kind), Column("y", kind))
        rows = [[one, draw(chance, kind), draw(chance, kind)] for one in range(12)]
        row, column = chance.randrange(12), chance.randrange(1, 3)
        value = other = rows[row][column]
        while form(kind, other) == form(kind, value):
            other = alike(chance, kind, value)
        v1 = at.give("one", Table(columns, tuple(map(tuple, rows))), "sql")
        rows[row][column] = other
        v2 = at.give("two", Table(columns, tuple(map(tuple, rows))), "sql")
        found = at.by(plan, v1, v2, ("id",))
        told_of = [(one.key["id"], one.columns) for one in found.mismatches]
        assert (found.verdict.value, told_of) == ("fail", [(row, (columns[column].name,))]), (
            kind.sql,
            value,
            other,
            plan,
        )


# --- rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(0, 75, 25))
def test_a_tolerant_rule_lets_pass_what_exact_arithmetic_does_in_a_diff_and_in_a_shadow_read(start: int) -> None:
    assert wrong_rules(range(start, start + 25)) == {}


@pytest.mark.parametrize(
    ("a", "b", "share", "right"),
    [
        (1.7e308, -1.7e308, Decimal("1.9"), False),
        (1.7e308, -1.7e308, Decimal("2.1"), True),
        (1.7e308, -1.2e308, Decimal("1.5"), False),
        (1.7976931348623157e308, 1e290, 1.1, True),
        (-1.7976931348623157e308, 1.7976931348623157e308, 1, False),
        (1e308, 0.9e308, 0.2, True),
        (1e308, 0.9e308, 0.05, False),
    ],
)
def test_a_share_of_the_larger_holds_at_the_end_of_double(
    at: Bench, a: float, b: float, share: Any, right: bool
) -> None:
    columns = (Column("id", INTEGERS[3]), Column("x", DOUBLE))
    queries = [at.give(name, Table(columns, ((1, value),)), "sql") for name, value in (("one", a), ("two", b))]
    found = at.compare(*queries, ("id",), rules={"x": Relative(share)})

    assert ((found.verdict.value == "pass"), Relative(share).holds(a, b)) == (right, right)


@pytest.mark.parametrize("start", range(0, 20, 10))
def test_an_expected_difference_excuses_what_it_says_beside_columns_of_any_type(at: Bench, start: int) -> None:
    """v2 adds one where v1 has the flag; rows that only v2 has may be those with the flag."""
    expected = [
        Expected(when="v1.flag", v2_equals={"n": "v1.n + 1"}, reason="counted anew", owner="shop", until=TODAY),
        Expected(when="v2.flag AND v1.id IS NULL", reason="new", owner="shop", until=TODAY),
    ]
    for seed in range(start, start + 10):
        chance = random.Random(seed)
        kinds = (INTEGERS[3], BOOLEAN, INTEGERS[3], make_pair(seed, "sql").v1.columns[-1].kind)
        columns = tuple(Column(name, kind) for name, kind in zip(("id", "flag", "n", "x"), kinds, strict=True))
        v1 = [(one, chance.random() < 0.5, chance.randrange(3), draw(chance, kinds[3])) for one in range(20)]
        v2 = []
        for one, flag, n, x in v1:
            other = alike(chance, kinds[3], x) if chance.random() < 0.2 else x
            v2.append((one, flag, n + (flag if chance.random() < 0.8 else 1), other))
        v1, v2 = v1[:18], v2[2:]
        right = _with_expected(columns, {row[0]: row for row in v1}, {row[0]: row for row in v2})
        queries = [at.give(name, Table(columns, tuple(side)), "sql") for name, side in (("one", v1), ("two", v2))]
        found = at.compare(*queries, ("id",), expected=expected)
        outcomes = (found.matched, found.expected, found.changed, found.only_in_v1, found.only_in_v2)
        assert outcomes == right, (seed, kinds[3].sql)


def _with_expected(
    columns: tuple[Column, ...], v1: dict[int, Any], v2: dict[int, Any]
) -> tuple[int, int, int, int, int]:
    """Matched, expected, changed, only in v1 and only in v2, as the two expected differences above say."""
    kind, outcomes = columns[3].kind, Counter[str]()
    for one in v1.keys() | v2.keys():
        if one not in v1:
            outcomes["expected" if v2[one][1] else "only_in_v2"] += 1
        elif one not in v2:
            outcomes["only_in_v1"] += 1
        else:
            (_, flag, n, x), (_, _, m, y) = v1[one], v2[one]
            right = m == n + flag and form(kind, x) == form(kind, y)
            outcomes["changed" if not right else "expected" if flag else "matched"] += 1
    return tuple(outcomes[name] for name in ("matched", "expected", "changed", "only_in_v1", "only_in_v2"))
