"""Which rows are judged by value, and that no plan lets a difference pass."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.comparison.content.comparator import Comparator, Expected
from dualgauge.comparison.engine import candidates
from dualgauge.comparison.engine.diff import DiffPlan
from dualgauge.comparison.errors import NoSuchPlan
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.model import Outcome
from dualgauge_router.rules import Absolute
from support.relations import TODAY, compare

if TYPE_CHECKING:
    from pathlib import Path


ROWS = "SELECT i AS id, i % 7 AS n, 'name ' || i AS name FROM range({}) t(i)"


def test_what_fits_half_of_the_memory_is_judged_row_by_row(engine: Engine) -> None:
    rows = ROWS.format(1000)
    for by in (Comparator(key="id"), Comparator(key="id", rules={"n": Absolute(1)})):
        assert compare(engine, rows, rows, by).plan == "wide: both sides fit half of the memory limit"


def test_a_few_very_long_texts_count_as_much_as_many_short_ones() -> None:
    """25 texts of a megabyte on each side are no 32 MB, whatever a look at the first rows says."""
    v2 = "SELECT i AS id, CASE WHEN i % 40 = 39 THEN repeat('x', 1000000) ELSE 'x' END AS name FROM range(1000) t(i)"
    with open_engine(memory_limit="64MB", threads=1) as small:
        assert compare(small, v2, v2, stable=True).plan.startswith("buckets: 0 of 65,536 differ")
        short = v2.replace("1000000", "10")
        assert compare(small, short, short, stable=True).plan.startswith("wide: ")


@pytest.mark.parametrize(
    ("value", "memory"),
    [
        ("[repeat('x', 1000000)]", "300MB"),
        ("{'a': repeat('x', 1000000)}", "300MB"),
        ("repeat('x', 1000000)::BLOB", "90MB"),
    ],
)
def test_what_is_long_within_a_list_or_a_struct_counts_too(value: str, memory: str) -> None:
    rows = f"SELECT i AS id, CASE WHEN i % 40 = 39 THEN {value} END AS name FROM range(1000) t(i)"
    with open_engine(memory_limit=memory, threads=1) as small:
        assert compare(small, rows, rows, stable=True).plan.startswith("buckets: ")


def test_asked_for_every_row_is_judged_by_value_though_it_does_not_fit() -> None:
    v1 = ROWS.format(1_500_000)
    v2 = v1.replace("i % 7", "CASE WHEN i = 77 THEN -1 ELSE i % 7 END")
    with open_engine(memory_limit="150MB", threads=1) as small:
        result = compare(small, v1, v2, stable=True, plan=DiffPlan.WIDE)
    assert (result.plan, result.changed, result.matched) == ("wide: asked for", 1, 1_499_999)


@pytest.mark.parametrize("plan", [DiffPlan.BUCKETS, DiffPlan.NARROW])
@pytest.mark.parametrize("broken", ["hash(0)", "CASE WHEN dg_c0 % 2 = 1 THEN 0 ELSE hash(dg_k0, dg_c0, dg_c1) END"])
def test_a_hash_that_is_broken_does_not_hide_all_that_differs(
    engine: Engine, plan: DiffPlan, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 rows that differ and whose hashes do not: the net misses all of them with a chance of 2e-9."""
    monkeypatch.setattr(candidates, "_hash", lambda _columns: broken)
    v1 = ROWS.format(40_000)
    v2 = v1.replace("'name '", "CASE WHEN i % 7 % 2 = 1 AND i < 24000 THEN 'another ' ELSE 'name ' END")
    found = [compare(engine, v1, v2, plan=plan, chance=Random(seed)) for seed in (1, 2)]
    assert [one.verdict for one in found] == [Outcome.FAIL] * 2
    # One of 500, about; another one each time; and only what differs.
    assert all(5 <= one.changed <= 60 for one in found)
    assert {m.key["id"] for m in found[0].mismatches} != {m.key["id"] for m in found[1].mismatches}
    assert compare(engine, v1, v2, plan=DiffPlan.WIDE).changed == 10_286


def test_one_chance_chooses_one_net(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_hash", lambda _columns: "hash(0)")
    v1, v2 = ROWS.format(20_000), ROWS.format(20_000).replace("i % 7", "i % 7 + 1")
    found = [compare(engine, v1, v2, plan=DiffPlan.BUCKETS, chance=Random(5)) for _ in range(2)]
    assert found[0].changed == found[1].changed > 0
    assert found[0].mismatches == found[1].mismatches


@pytest.mark.parametrize("plan", DiffPlan)
def test_cells_that_only_a_rule_lets_pass_are_counted_by_every_plan(engine: Engine, plan: DiffPlan) -> None:
    if plan is DiffPlan.BUCKETS:
        return
    v1 = "SELECT i AS id, i::DOUBLE AS n, i AS m FROM range(1000) t(i)"
    step = "CASE WHEN i < 100 THEN 0.25 WHEN i < 110 THEN 2 ELSE 0 END"
    v2 = f"SELECT i AS id, i + {step} AS n, i AS m FROM range(1000) t(i)"
    by = Comparator(key="id", rules={"n": Absolute(0.5)})
    column = compare(engine, v1, v2, by, plan=plan).columns[0]
    assert (column.compared, column.equal, column.within_rule, column.differ) == (1000, 890, 100, 10)


def test_expected_differences_are_judged_by_every_row(engine: Engine) -> None:
    v1, v2 = ROWS.format(1000), ROWS.format(1000).replace("i % 7", "i % 7 + 1")
    change = Expected(when="v1.n >= 0", v2_equals={"n": "v1.n + 1"}, reason="r", owner="o", until=TODAY)
    for plan in (DiffPlan.WIDE, DiffPlan.NARROW, None):
        result = compare(engine, v1, v2, Comparator(key="id", expected=[change]), plan=plan)
        assert (result.expected, result.mismatched) == (1000, 0)


def test_a_plan_is_named_to_compare_and_one_that_there_is_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n\n1,2\n")
    side = str(tmp_path / "a.csv")
    for plan in ("wide", "buckets", "narrow"):
        assert dualgauge.compare(side, side, Comparator(key="id"), plan=plan).plan.startswith(f"{plan}: ")
    with pytest.raises(NoSuchPlan) as refused:
        dualgauge.compare(side, side, Comparator(key="id"), plan="wid")
    assert str(refused.value) == (
        "no plan is called 'wid' (did you mean 'wide'?); there are wide, buckets, narrow; "
        "name one of them, or leave the choice to the tool"
    )
