"""Values that the common type of both sides cannot hold: they are no NULL, and match nothing."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge import Absolute, Comparator, Relative
from dualgauge.comparison.engine.diff import DiffPlan, compare_relations
from dualgauge.engines.duck import open_engine

if TYPE_CHECKING:
    from pathlib import Path

FAR, NEAR = "DATE '9999-12-31'", "DATE '2024-01-01'"
PAIRS = {
    "date": (FAR, NEAR, "CAST({} AS TIMESTAMP_NS)", {}),
    "list": (f"[{FAR}]", f"[{NEAR}]", "CAST({} AS TIMESTAMP_NS[])", {}),
    "struct": (f"{{'a': {FAR}}}", f"{{'a': {NEAR}}}", "CAST({} AS STRUCT(a TIMESTAMP_NS))", {}),
    "map": (f"MAP {{1: {FAR}}}", f"MAP {{1: {NEAR}}}", "CAST({} AS MAP(INTEGER, TIMESTAMP_NS))", {}),
    "absolute": ("CAST(1e35 AS DECIMAL(38,0))", "CAST(5 AS DECIMAL(38,0))", "CAST({} AS DECIMAL(38,10))", Absolute(1)),
    "relative": ("CAST(1e35 AS DECIMAL(38,0))", "CAST(5 AS DECIMAL(38,0))", "CAST({} AS DECIMAL(38,10))", Relative(1)),
}
EMPTY = {"list": "[NULL]", "struct": "{{'a': NULL}}", "map": "MAP {{1: NULL}}"}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("name", "plan"),
    # Buckets refuse a tolerant rule.
    [(name, plan) for name in PAIRS for plan in DiffPlan if not (PAIRS[name][3] and plan is DiffPlan.BUCKETS)],
)
def test_a_value_that_does_not_fit_differs_from_the_null_of_the_other_side(
    name: str, turned: bool, plan: DiffPlan
) -> None:
    far, near, cast, rule = PAIRS[name]
    null = cast.format(EMPTY.get(name, "NULL").replace("{{", "{").replace("}}", "}"))
    own = f"SELECT 1 AS id, {far} AS x UNION ALL SELECT 2, {near} UNION ALL SELECT 3, NULL"
    other = f"SELECT 1 AS id, {null} AS x UNION ALL SELECT 2, {cast.format(near)} UNION ALL SELECT 3, NULL"
    sides = (other, own) if turned else (own, other)
    rules: dict[str, Any] = {"x": rule} if rule else {}
    with open_engine(threads=1) as engine:
        found = compare_relations(engine, *sides, Comparator(key="id", rules=rules), today=date(2026, 3, 1), plan=plan)
    assert (found.changed, found.matched, found.columns[0].differ) == (1, 2, 1)
    assert [row.key for row in found.mismatches] == [{"id": 1}]
    assert [cluster.shape for cluster in found.clusters] == ["not in the common type"]


def test_two_structs_that_lose_another_field_each_are_not_one_value() -> None:
    v1 = f"SELECT 1 AS id, {{'a': {FAR}, 'b': CAST(NULL AS TIMESTAMP_NS)}} AS x"
    v2 = f"SELECT 1 AS id, {{'a': CAST(NULL AS TIMESTAMP_NS), 'b': {FAR}}} AS x"
    for plan in DiffPlan:
        with open_engine(threads=1) as engine:
            found = compare_relations(engine, v1, v2, Comparator(key="id"), today=date(2026, 3, 1), plan=plan)
        assert found.changed == 1


def _rows(kind: str, values: list[str], others: list[str] | None = None) -> str:
    others = others or ["1"] * len(values)
    return " UNION ALL ".join(
        f"SELECT CAST({value} AS {kind}) AS k, 7 AS l, {other} AS x"
        for value, other in zip(values, others, strict=True)
    )


@pytest.mark.parametrize("plan", list(DiffPlan))
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("key", ["k", ("k", "l")])
def test_keys_that_do_not_fit_are_keys_of_one_side_and_no_duplicates(
    key: str | tuple[str, ...], turned: bool, plan: DiffPlan
) -> None:
    # As DOUBLE the second is 2^53, which the other side has, and the third and the last are one.
    whole = _rows("HUGEINT", ["1", "9007199254740993", "9007199254740997", "0", "9007199254740995"])
    near = _rows("DOUBLE", ["1", "9007199254740992", "-0.0", "'nan'"], ["2", "1", "1", "1"])
    sides = (near, whole) if turned else (whole, near)
    with open_engine(threads=1) as engine:
        found = compare_relations(engine, *sides, Comparator(key=key), today=date(2026, 3, 1), plan=plan)
    assert found.key_problems == ()
    assert (found.compared, found.changed, found.matched) == (2, 1, 1)
    assert {found.only_in_v1, found.only_in_v2} == {3, 2}
    shown = [str(row.key["k"]) for row in found.mismatches]
    assert {"9007199254740993", "9007199254740995"} <= set(shown)


@pytest.mark.parametrize("plan", list(DiffPlan))
def test_a_date_that_does_not_fit_is_no_null_key_and_keeps_its_text(plan: DiffPlan, tmp_path: Path) -> None:
    v1 = _rows("DATE", ["'9999-12-31'", "'2024-01-01'", "'9999-12-30'", "'9999-12-30'"])
    v2 = _rows("TIMESTAMP_NS", ["NULL", "'2024-01-01'"])
    keep = tmp_path / "keys.parquet"
    with open_engine(threads=1) as engine:
        found = compare_relations(engine, v1, v2, Comparator(key="k"), today=date(2026, 3, 1), plan=plan, keep=keep)
        kept = engine.rows(f"SELECT k, _kind FROM '{keep}'")
    assert (found.compared, found.matched, found.only_in_v1, found.only_in_v2) == (1, 1, 1, 0)
    assert [(one.side, one.null_keys, one.duplicate_keys) for one in found.key_problems] == [("v1", 0, 1), ("v2", 1, 0)]
    assert found.key_problems[0].samples == ({"k": "9999-12-30"},)
    assert kept == [("9999-12-31", "only_in_v1")]
