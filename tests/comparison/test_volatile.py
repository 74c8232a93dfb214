"""An expected difference that is another one at each reading is refused."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from dualgauge.comparison.content.comparator import Comparator, Expected
from dualgauge.comparison.engine.diff import compare_relations
from dualgauge.comparison.errors import BadExpectation
from dualgauge.engines.duck import Engine, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.comparison.values import Comparison

TODAY = date(2026, 3, 1)
ROW = "SELECT 1 AS id, 1 AS n, DATE '2026-01-01' AS current_date, 'random()' AS random, TIMESTAMP '2026-01-01' AS day"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


def compare(engine: Engine, when: str, n: str = "v2.n") -> Comparison:
    by = Comparator(
        key="id", expected=[Expected(when=when, v2_equals={"n": n}, reason="it is right", owner="o", until=TODAY)]
    )
    return compare_relations(engine, ROW, ROW, by, today=TODAY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("random() < 0.5", "random()"),
        ("RANDOM ( ) < 0.5", "random()"),
        ('"random"() < 0.5', "random()"),
        ("v1.n /* */ < main.random()", "random()"),
        ("uuid() IS NOT NULL", "uuid()"),
        ("now() > '2026-01-01'", "now()"),
        ("ago(INTERVAL 1 DAY) > '2026-01-01'", "ago()"),
        ("CAST(current_date AS DATE) > '2026-01-01'", "current_date"),
        ("current_date > '2026-01-01'", "current_date"),
        ("CURRENT_TIMESTAMP > '2026-01-01'", "current_timestamp"),
        ("today() = '2026-01-01'", "today()"),
        ("nextval('s') > 1", "nextval()"),
        ("age(v1.day) > INTERVAL '1 day'", "age() of one time"),
        ("v1.day.age() > INTERVAL '1 day'", "age() of one time"),
        ("true -- \r AND random() < 2", "random()"),
        ("v1.n IN (SELECT n FROM (SELECT 1 AS n) TABLESAMPLE 50%)", "a sample"),
        ("v1.n = (SELECT n FROM (SELECT 1 AS n) USING SAMPLE 1)", "a sample"),
    ],
)
def test_what_changes_from_reading_to_reading_is_refused(engine: Engine, text: str, told: str) -> None:
    with pytest.raises(BadExpectation) as refused:
        compare(engine, text)
    assert str(refused.value) == (
        f"expected difference 'it is right': when = {text!r} is refused: {told} may give another answer each time "
        "it is asked; write it over the aliases v1 and v2"
    )
    with pytest.raises(BadExpectation, match="may give another answer each time it is asked"):
        compare(engine, "true", f"CASE WHEN {text} THEN 1 ELSE 2 END")


@pytest.mark.parametrize(
    "text",
    [
        "v1.n = 1 -- random()",
        "v1.random = 'random()'",
        "v1.current_date = '2026-01-01'",
        'v1."current_date" = v2.current_date',
        "age(v1.day, v2.day) = INTERVAL '0 days'",
        "age(date_trunc('day', v1.day), v2.day) = INTERVAL '0 days'",
        "CASE WHEN v1.n = 2 THEN error('no') ELSE true END",
    ],
)
def test_what_only_looks_like_it_is_taken(engine: Engine, text: str) -> None:
    assert compare(engine, text).matched == 1
