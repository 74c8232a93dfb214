"""A column's type is one that all of its values are written in, and no digit is lost by it."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.files.column_types import (
    CANDIDATES,
    Spelling,
    kept_whole,
    misfitting,
    normal,
    shortest,
    types_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine() as found:
        yield found


def column(engine: Engine, values: list[str | None]) -> str:
    engine.execute("CREATE OR REPLACE TEMP TABLE given AS SELECT unnest(?) AS a", [values])
    return "given"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", None], "BIGINT"),
        (["1", "2.50"], "DECIMAL(18,2)"),
        (["007", "1"], "VARCHAR"),
        (["1E5", "2"], "VARCHAR"),
        (["+5"], "VARCHAR"),
        (["1_000"], "VARCHAR"),
        ([" 12"], "VARCHAR"),
        (["0x1F"], "VARCHAR"),
        (["1.5e-05", "2.25"], "DOUBLE"),
        (["1.0", "2e+3"], "DOUBLE"),
        (["1.5", "nan", "inf", "-Infinity"], "DOUBLE"),
        (["9007199254740993", "nan"], "VARCHAR"),
        (["0.1e0", "0.10000000000000001"], "VARCHAR"),
        (["1e400", "1.5"], "VARCHAR"),
        (["1.5", "1e-400"], "VARCHAR"),
        (["99999999999999999999"], "DECIMAL(38,0)"),
        (["1" * 39], "VARCHAR"),
        (["true", "False"], "BOOLEAN"),
        (["2026-01-01", None], "DATE"),
        (["2026-01-01", "2026-01-02 10:00:00"], "TIMESTAMP"),
        (["2026-01-01T00:00:00Z", "2026-01-01 00:00:00+01"], "TIMESTAMPTZ"),
        (["2026-01-01T00:00:00.1234567Z"], "VARCHAR"),
        (["2026-02-30"], "VARCHAR"),
        (["10:11:12"], "TIME"),
        ([None, None], "VARCHAR"),
        ([""], "VARCHAR"),
        ([*["1"] * 5_000, "1.5"], "DECIMAL(18,1)"),
        ([*["1"] * 5_000, "x"], "VARCHAR"),
    ],
)
def test_a_column_has_the_type_that_all_of_its_values_have(engine: Engine, values: list[str | None], kind: str) -> None:
    assert types_of(engine, column(engine, values), {"a": CANDIDATES}, Spelling()).get("a", "VARCHAR") == kind


def test_formats_and_a_comma_hold(engine: Engine) -> None:
    spelling = Spelling(date="%d/%m/%Y", decimal=",")
    assert types_of(engine, column(engine, ["31/12/2026"]), {"a": CANDIDATES}, spelling) == {"a": "DATE"}
    assert types_of(engine, column(engine, ["1,50", "2"]), {"a": CANDIDATES}, spelling) == {"a": "DECIMAL(18,2)"}
    # A point is then one of thousands, and that is no number here.
    assert types_of(engine, column(engine, ["1.500,50"]), {"a": CANDIDATES}, spelling) == {"a": "VARCHAR"}
    assert engine.rows(f"SELECT {spelling.value('a', 'DECIMAL(18,2)')} FROM (SELECT '1,50' AS a)") == [
        (Decimal("1.50"),)
    ]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("BIGINT", "7", "7.5"),
        ("BIGINT", "-7", "007"),
        ("DECIMAL(9,2)", "2.50", "2.555"),
        ("DECIMAL(9,2)", "-2.5", "2.500"),
        ("DECIMAL(9,2)", "2", "12345678.00"),
        ("DATE", "2026-01-01", "2026-01-01 10:00"),
        ("BOOLEAN", "TRUE", "yes"),
    ],
)
def test_a_later_value_that_is_not_of_the_type_is_seen(engine: Engine, kind: str, good: str, bad: str) -> None:
    assert misfitting(engine, column(engine, [good, None]), {"a": kind}, Spelling()) == set()
    assert misfitting(engine, column(engine, [good, bad]), {"a": kind}, Spelling()) == {"a"}


def test_a_decimal_that_is_said_takes_noughts_that_add_nothing(engine: Engine) -> None:
    said = Spelling.of({"types": {"A": "DECIMAL(9,2)"}})
    assert misfitting(engine, column(engine, ["2.500"]), {"a": "DECIMAL(9,2)"}, said) == set()
    assert misfitting(engine, column(engine, ["2.501"]), {"a": "DECIMAL(9,2)"}, said) == {"a"}


def written(chance: random.Random) -> str:
    match chance.randrange(3):
        case 0:
            return repr(chance.uniform(-1, 1) * 10.0 ** chance.randint(-320, 308))
        case 1:
            return f"{chance.randint(0, 10 ** chance.randint(1, 20))}.{chance.randint(0, 10 ** chance.randint(1, 20))}"
        case _:
            power = f"{chance.choice('+-')}{chance.randint(0, 330)}"
            return f"{chance.randint(0, 9)}.{chance.randint(0, 10 ** chance.randint(1, 17))}e{power}"


def test_numbers_are_told_as_exact_arithmetic_tells_them(engine: Engine) -> None:
    chance = random.Random(7)
    column(engine, [written(chance) for _ in range(20_000)])
    for text, is_shortest, form in engine.rows(f"SELECT a, {shortest('a')}, {normal('a')} FROM given"):
        double = float(text)
        finite = double not in (float("inf"), float("-inf"))
        assert is_shortest is (finite and Decimal(repr(double)) == Decimal(text)), text
        digits, _, power = form.partition("e")
        assert Decimal(f"{digits}e{power or 0}") == Decimal(text), text


@pytest.mark.parametrize(
    ("kind", "text", "whole"),
    [
        ("BIGINT", "007", True),
        ("BIGINT", " 12 ", True),
        ("BIGINT", "1e3", True),
        ("BIGINT", "1.50e1", True),
        ("BIGINT", "2.5", False),
        ("BIGINT", "1_000", False),
        ("DECIMAL(18,2)", "7.005", False),
        ("DECIMAL(18,2)", "7.000", True),
        ("DECIMAL(18,2)", "7005e-3", False),
        ("DOUBLE", "0.1", True),
        ("DOUBLE", "9007199254740993", True),
        ("DOUBLE", "0.1000000000000000055", False),
        ("DOUBLE", "1e400", False),
        ("DOUBLE", "1e-400", False),
        ("DOUBLE", "inf", True),
        ("TIMESTAMP", "2026-01-01 00:00:00.1234560", True),
        ("TIMESTAMP", "2026-01-01 00:00:00.1234567", False),
        ("DATE", "2026-01-01 00:00:00", True),
        ("DATE", "2026-01-01 10:00:00", False),
        ("VARCHAR", "anything", True),
    ],
)
def test_a_text_that_says_more_than_a_declared_type_holds_is_told(
    engine: Engine, kind: str, text: str, whole: bool
) -> None:
    column(engine, [text])
    assert engine.row(f"SELECT {kept_whole('a', kind)} FROM given") == (whole,)
