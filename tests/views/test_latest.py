"""What a view means by the latest value: what the plan says of it is what DuckDB gives, by hand over random events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.views.latest import latest
from support.shop import build, call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# As a view writes it, and what the plan says: what it takes, of which event, and whether NULLs are passed over.
CALLS = {
    "arg_max(x, p)": ("x", True, True),
    "ARG_MAX(x, p)": ("x", True, True),
    "max_by(x, p)": ("x", True, True),
    "argmax(x, p)": ("x", True, True),
    "arg_max(x, p) FILTER (WHERE p > 0)": ("x", True, True),
    "any_value(x ORDER BY p DESC)": ("x", True, True),
    "arg_max_null(x, p)": ("x", True, False),
    "arg_max_nulls_last(x, p)": ("x", True, False),
    "arg_max({'v': x}, p).v": ("x", True, False),
    "struct_extract(arg_max(struct_pack(v := x), p), 'v')": ("x", True, False),
    "arg_max(row(x), p)[1]": ("x", True, False),
    "arg_max([x], p)[1]": ("x", True, False),
    "last(x ORDER BY p)": ("x", True, False),
    "first(x ORDER BY p DESC)": ("x", True, False),
    "arbitrary(x ORDER BY p DESC)": ("x", True, False),
    "arg_max_null(x, (p // 1000, p))": ("x", True, False),
    "arg_max(coalesce(x, NULL), p)": ("COALESCE(x, NULL)", True, True),
    "arg_max(x + 0, p)": ("(x + 0)", True, True),
    "arg_min(x, p)": ("x", False, True),
    "min_by(x, p)": ("x", False, True),
    "any_value(x ORDER BY p)": ("x", False, True),
    "arg_min_null(x, p)": ("x", False, False),
    "arg_min_nulls_last(x, p)": ("x", False, False),
    "arg_min({'v': x}, p).v": ("x", False, False),
    "first(x ORDER BY p)": ("x", False, False),
    "last(x ORDER BY p DESC)": ("x", False, False),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(memory_limit="200MB", threads=1) as opened:
        yield opened


@pytest.mark.parametrize("written", CALLS)
@settings(max_examples=15)
@given(values=st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=1, max_size=12))
def test_what_is_said_of_the_latest_value_is_what_it_is(engine: Engine, written: str, values: list[int | None]) -> None:
    (found,) = latest(engine, f"SELECT {written} AS y FROM events", ["y"])
    assert (found.column, found.value, found.last, found.skips) == ("y", *CALLS[written])

    events = values if found.last else values[::-1]
    there = [one for one in events if one is not None]
    wanted = (there[-1] if there else None) if found.skips else events[-1]
    rows = ", ".join(f"({at}, {'NULL' if one is None else one}::INTEGER)" for at, one in enumerate(values, 1))
    assert engine.row(f"SELECT {written} FROM (VALUES {rows}) AS events(p, x)") == (wanted,)


@pytest.mark.parametrize(
    "select",
    [
        "SELECT max(x) AS y, count(*) AS n, list(x ORDER BY p) AS z FROM events",
        "SELECT last(x) AS y, first(x) AS z, any_value(x) AS w FROM events",
        "SELECT 'arg_max(x, p)' AS y, x AS arg_max FROM events",
        "SELECT x -- arg_max(x, p)\nFROM events",
    ],
)
def test_nothing_is_said_where_no_value_is_taken_from_one_event(engine: Engine, select: str) -> None:
    assert latest(engine, select, ["y"]) == ()


@pytest.mark.parametrize(
    ("select", "columns", "told"),
    [
        (
            "WITH a AS (SELECT k, arg_max(x, p) AS z FROM events GROUP BY k) SELECT k, z FROM a", ["k", "z"],
            [("", "arg_max(x, p) skips NULLs: the last x that is not NULL")],
        ),
        (
            'SELECT k, arg_max(x, p), (SELECT arg_min_null("É x", p) FROM events) + 1 FROM events', ["k", "a", "b"],
            [
                ("a", "arg_max(x, p) skips NULLs: the last x that is not NULL"),
                ("b", 'arg_min_null("É x", p) keeps NULLs: the "É x" of the first event, NULL or not'),
            ],
        ),
        (
            "SELECT *, arg_max(x,\n  p) -- the last\n OVER (PARTITION BY k) AS z FROM events", ["k", "p", "x", "z"],
            [("z", "arg_max(x, p) OVER (PARTITION BY k) skips NULLs: the last x that is not NULL")],
        ),
        (
            "SELECT 1, arg_max(x, p) AS z FROM events UNION ALL SELECT 2, last(x ORDER BY p) FROM events", ["k", "z"],
            [
                ("", "arg_max(x, p) skips NULLs: the last x that is not NULL"),
                ("", "last(x ORDER BY p) keeps NULLs: the x of the last event, NULL or not"),
            ],
        ),
    ],
)  # fmt: skip
def test_it_is_found_wherever_it_stands(
    engine: Engine, select: str, columns: list[str], told: list[tuple[str, str]]
) -> None:
    assert [(one.column, one.shown) for one in latest(engine, select, columns)] == told


def test_plan_says_which_meaning_of_latest_a_view_has(tmp_path: Path) -> None:
    shop = build(tmp_path / "shop")
    (shop / "views_v2" / "lasts.sql").write_text(
        "-- key: customer\n\nSELECT customer, arg_max(cents, position) AS a, arg_max_null(cents, position) AS b, "
        "arg_min(cents, position) AS c, count(*) AS n\nFROM events GROUP BY customer\n"
    )

    text = call("plan", folder=shop).out
    assert (
        "  latest: arg_max(cents, position) skips NULLs: the last cents that is not NULL\n"
        "  latest: arg_max_null(cents, position) keeps NULLs: the cents of the last event, NULL or not\n"
        "  earliest: arg_min(cents, position) skips NULLs: the first cents that is not NULL\n"
        "  each row carries: the last event that changed it\n"
    ) in text
    views = call("plan", "--format", "json", folder=shop).json["result"]["views"]
    told = {one["view"]: one["latest"] for one in views if one["side"] == "v2"}
    assert told["lasts"] == [
        {"column": "a", "sql": "arg_max(cents, position)", "value": "cents", "event": "last", "nulls": "skip"},
        {"column": "b", "sql": "arg_max_null(cents, position)", "value": "cents", "event": "last", "nulls": "keep"},
        {"column": "c", "sql": "arg_min(cents, position)", "value": "cents", "event": "first", "nulls": "skip"},
    ]
    assert {name for name, found in told.items() if found} == {"lasts"}
