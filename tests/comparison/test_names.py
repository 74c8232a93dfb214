"""Columns may be called anything: no name of the engine's own SQL is taken for one, and case counts as in DuckDB."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from dualgauge.comparison.content.comparator import Comparator, Expected, Limits
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.comparison.errors import BadComparator, BadRelation, MissingKey
from dualgauge.comparison.runs.in_flight import still
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.errors import EngineError
from dualgauge.model import fold, quote
from dualgauge_router.rules import Absolute
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TODAY = date(2026, 3, 1)

ODD = [
    "s", "r", "c", "f", "t", "h", "v1", "v2", "a0", "b0", "k0", "k1", "x0", "d0", "f0", "w0", "e0_0", "m0_0", "no1",
    "same", "excused", "lapsed", "governing", "kind", "note", "columns", "shapes", "cluster", "bucket", "sign",
    "differs", "row", "row1", "hash", "dg_k0", "dg_c0", "dg_s0", "dg_hash", "dg__k0", "VALUE", "value", "select",
    "order", "a b", 'a"b', "a'b", "a.b", "ä", "ß", "İ", "{}", "%s", "$1", "?", "unnest", "place", "size", "element",
    "dualgauge_element_0", "kept", "rowid", "NULL", "1",
]  # fmt: skip

KEYS = ["'{{\"a\":{0}}}'::JSON", "{{'a': {0}}}", "MAP {{'a': {0}}}", "{0}", "to_days({0}::INTEGER)"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


def expected(when: str, **v2_equals: str) -> Expected:
    return Expected(when=when, v2_equals=v2_equals, reason="it is right", owner="o", until=TODAY)


PLANS = ((DiffPlan.WIDE, {}), (DiffPlan.BUCKETS, {}), (DiffPlan.NARROW, {"x": Absolute(1)}))


@pytest.mark.parametrize(
    ("name", "value", "plans"),
    [
        *thinned(4, [(name, KEYS[at % len(KEYS)], PLANS[at % 3 : at % 3 + 1]) for at, name in enumerate(ODD)]),
        *thinned(2, ("s", "k0", "v1"), KEYS, (PLANS,)),
    ],
)
def test_a_key_of_any_name_and_type_pairs_rows(
    engine: Engine, name: str, value: str, plans: tuple[tuple[DiffPlan, dict[str, Absolute]], ...], tmp_path: Path
) -> None:
    """Five rows differ, two are on one side each, one key repeats; the same for every name."""
    key = f"CASE {' '.join(f'WHEN i = {i} THEN {value.format(i)}' for i in range(21))} END AS {quote(name)}"
    other = "k1" if name == "k0" else "k0"
    v1 = f"SELECT 7 AS {quote(other)}, {key}, i AS n, 1.0::DOUBLE AS x FROM range(20) t(i)"
    v2 = f"SELECT 7 AS {quote(other)}, {key}, i AS n, 1.0 + 9 * (i < 6)::INTEGER::DOUBLE AS x FROM range(1, 21) t(i)"
    twice = f"{v1} UNION ALL SELECT 7, {key.partition(' AS ')[0]}, i, 1.0 FROM range(19, 20) t(i)"
    for plan, rules in plans:
        by = Comparator(key=(other, name), rules=rules)
        kept = tmp_path / f"{plan}.parquet"
        result = compare_relations(engine, twice, v2, by, today=TODAY, plan=plan, keep=kept)
        assert (result.changed, result.only_in_v1, result.only_in_v2, result.matched) == (5, 1, 1, 13)
        assert [(one.side, one.duplicate_rows) for one in result.key_problems] == [("v1", 2)]
        table = pq.read_table(kept)
        assert table.column_names[:2] == [other, name]
        assert table.num_rows == 7


@pytest.mark.parametrize("name", thinned(3, ODD))
def test_a_column_of_any_name_is_compared_and_may_stand_in_an_expected_difference(engine: Engine, name: str) -> None:
    column = quote(name)
    v1 = f"SELECT i AS id, i AS {column}, 1 AS other FROM range(10) t(i)"
    step = "CASE WHEN i < 3 THEN 1 WHEN i < 5 THEN 2 ELSE 0 END"
    v2 = f"SELECT i AS id, i + {step} AS {column}, 1 AS other FROM range(10) t(i)"
    by = Comparator(
        key="id",
        expected=[expected(f"v1.{column} < 3", **{name: f"v1.{column} + 1"})],
        limits=Limits(columns={name: 2}),
    )
    for plan in (DiffPlan.WIDE, DiffPlan.NARROW):
        result = compare_relations(engine, v1, v2, by, today=TODAY, plan=plan)
        assert (result.expected, result.changed, result.matched) == (3, 2, 5)
        assert {one.columns for one in result.mismatches} == {(name,)}


def test_a_context_column_called_like_a_side_does_not_hide_the_sides(engine: Engine) -> None:
    v1 = "SELECT i AS id, i AS n, {'n': 100} AS v1, {'n': 200} AS v2 FROM range(4) t(i)"
    v2 = "SELECT i AS id, i + 1 AS n, {'n': 100} AS v1, {'n': 200} AS v2 FROM range(4) t(i)"
    by = Comparator(key="id", expected=[expected("v1.n < 2", n="v1.n + 1")])
    for plan in (DiffPlan.WIDE, DiffPlan.NARROW):
        result = compare_relations(engine, v1, v2, by, today=TODAY, plan=plan)
        assert (result.expected, result.changed) == (2, 2)


@pytest.mark.parametrize(
    ("one", "other"), [("Ä", "ä"), ("ß", "SS"), ("ẞ", "ß"), ("İ", "i̇"), ("ı", "I"), ("Σ", "ς"), ("é", "É")]
)
def test_names_that_differ_to_the_engine_are_two_columns(engine: Engine, one: str, other: str) -> None:
    v1 = f"SELECT 1 AS id, 1 AS {quote(one)}, 2 AS {quote(other)}"
    v2 = f"SELECT 1 AS id, 3 AS {quote(other)}, 1 AS {quote(one)}"
    result = compare_relations(engine, v1, v2, Comparator(key="id", rules={one: Absolute(1)}), today=TODAY)
    assert [(column.name, column.rule, column.differ) for column in result.columns] == [
        (one, "within 1", 0), (other, "exact", 1),
    ]  # fmt: skip
    with pytest.raises(MissingKey):
        compare_relations(
            engine, f"SELECT 1 AS {quote(one)}", f"SELECT 1 AS {quote(other)}", Comparator(key=one), today=TODAY
        )
    assert Comparator(key=(one, other)).keys == (one, other)


def test_names_that_are_one_to_the_engine_are_one_column(engine: Engine) -> None:
    result = compare_relations(
        engine, 'SELECT 1 AS "ID", 2 AS "Kä"', 'SELECT 1 AS "id", 2 AS "kä"', Comparator(key="Id"), today=TODAY
    )
    assert (result.matched, [column.name for column in result.columns]) == (1, ["Kä"])
    with pytest.raises(BadComparator, match="names a column twice"):
        Comparator(key=("x", "X"))


@pytest.mark.parametrize(("other", "said"), [("x", "twice"), ("X", "and 'X', which SQL takes for one")])
def test_a_query_that_gives_two_columns_of_one_name_is_told_how_both_are_spelled(
    engine: Engine, other: str, said: str
) -> None:
    doubled = f"SELECT 1 AS id, 1 AS x, 2 AS {other}"
    with pytest.raises(BadRelation) as caught:
        compare_relations(engine, doubled, "SELECT 1 AS id, 1 AS x", Comparator(key="id"), today=TODAY)
    assert str(caught.value) == (
        f"the query of v1 cannot be run: it gives the column 'x' {said}; give each a name of its own with AS; "
        "correct v1= in the comparator"
    )


@pytest.mark.parametrize("second", ["SELECT 1", "DESCRIBE SELECT 1 AS id", "DROP TABLE orders", "SELECT 'a', 'b'"])
def test_a_query_of_two_statements_is_refused_and_none_of_them_is_run(engine: Engine, second: str) -> None:
    engine.execute("CREATE OR REPLACE TABLE orders AS SELECT 1 AS id, 1 AS x")
    one = "SELECT * FROM orders"
    with pytest.raises(BadRelation) as caught:
        compare_relations(engine, one, f"{one}; {second}", Comparator(key="id"), today=TODAY)
    assert str(caught.value) == (
        "the query of v2 cannot be run: it holds 2 statements, and one SELECT is due; correct v2= in the comparator"
    )
    assert engine.row("SELECT count(*) FROM orders") == (1,)


@pytest.mark.parametrize("name", [*ODD, "AZ", "az", "[", "@", "`", "é", "ﬁ", "K", "ſ"])
def test_a_name_is_folded_as_the_engine_folds_it(engine: Engine, name: str) -> None:
    others = {fold(name), name.upper(), name.lower(), name.casefold(), name.swapcase()} - {""}
    for other in others:
        assert _is_one(engine, name, other) is (fold(name) == fold(other)), (name, other)


def _is_one(engine: Engine, name: str, other: str) -> bool:
    """Whether the engine refuses both names in one table."""
    try:
        engine.execute(f"CREATE OR REPLACE TEMP TABLE two ({quote(name)} INTEGER, {quote(other)} INTEGER)")
    except EngineError:
        return True
    return False


@pytest.mark.parametrize("name", ["s", "f", "id"])
@pytest.mark.parametrize(("then", "now"), [("{'s': 1, 'f': 2, 'id': 3}", "{'s': 4, 'f': 2, 'id': 3}")])
def test_a_key_in_flight_is_left_out_whatever_it_is_called(engine: Engine, name: str, then: str, now: str) -> None:
    engine.execute(f"CREATE OR REPLACE TEMP TABLE source AS SELECT {then} AS {quote(name)}, 1 AS n")
    engine.execute(f"INSERT INTO source SELECT {now}, 1")

    def again() -> None:
        engine.execute("UPDATE source SET n = n + 1 WHERE rowid = 1")

    sql = "SELECT * FROM source"
    with still(engine, sql, sql, Comparator(key=name), exact=True, again=again) as looks:
        assert looks.in_flight == 1
        assert engine.rows(f"SELECT n FROM ({looks.v1})") == [(1,)]
