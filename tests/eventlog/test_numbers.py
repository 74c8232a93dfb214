"""The SQL by which a column of texts is one of DOUBLEs, DECIMALs or texts, against Python's repr and Decimal."""

from __future__ import annotations

import math
import random
import re
import struct
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from dualgauge.engines.duck import open_engine
from dualgauge.engines.files.column_types import normal, shortest
from dualgauge.eventlog.propose.numbers import NUMBER, number_type

if TYPE_CHECKING:
    from collections.abc import Sequence

ADVERSARIAL = [
    "0", "-0", "0.0", "-0.00", "0e5", "5.", ".5", "-.5", "1", "10", "100.00", "0.1", "0.10", "0.10000000000000001",
    "0.1000000000000000055511151231257827", "9007199254740991", "9007199254740992", "9007199254740993",
    "9007199254740994", "90071992547409.93", "123456789012345678", "1e22", "1e23", "1E+23", "9.5e-324", "5e-324",
    "4.9e-324", "4.9406564584124654e-324", "2e-324", "3e-324", "2.2250738585072014e-308", "2.2250738585072011e-308",
    "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1.8e308", "1e400", "-1e400",
    "1e-400", "-1e-400", "0e400", "1e99999", "1e-99999", "0.30000000000000004", "1e16", "1e15", "123456789.0e-5",
    "1.5e-05", "2.25", "3.1e+10", "1E5", "12e4", "100000", "8.41e21", "9.0071992547409915e15", "2.0000000000000002",
    "5e-1", "50e-2", "0.05e1", "4503599627370496.5", "4503599627370497.5", "72057594037927936", "72057594037927940",
    "1" * 400, "0." + "3" * 400, "0." + "0" * 330 + "1", "1" + "0" * 300, "1" + "0" * 310,
]  # fmt: skip


def is_repr(text: str) -> bool:
    """Whether a text is the very number that Python writes its float as."""
    value = float(text)
    return math.isfinite(value) and Decimal(repr(value)) == Decimal(text)


def written(chance: random.Random) -> str:
    """A number as programs, people or mischief may write it."""
    return chance.choice(
        [_of_bits, _of_printf, _of_a_sum, _whole, _near_two_to_53, _one_digit_more, _scientific, _bare]
    )(chance)


def _of_bits(chance: random.Random) -> str:
    value = struct.unpack("<d", struct.pack("<Q", chance.getrandbits(64)))[0]
    return repr(value) if math.isfinite(value) else "1"


def _of_printf(chance: random.Random) -> str:
    return f"{chance.uniform(-1, 1) * 10 ** chance.randint(-20, 20):.{chance.randint(14, 20)}g}"


def _of_a_sum(chance: random.Random) -> str:
    return f"{chance.uniform(-1000, 1000):.{chance.randint(0, 20)}f}"


def _whole(chance: random.Random) -> str:
    most = 10 ** chance.randint(1, 40)
    return str(chance.randint(-most, most))


def _near_two_to_53(chance: random.Random) -> str:
    return str(2**53 + chance.randint(-50, 50)) + chance.choice(["", ".0", ".5", "e0", "e-3", "00"])


def _one_digit_more(chance: random.Random) -> str:
    text = repr(chance.uniform(-1, 1))
    return text if "e" in text else text + chance.choice("0123456789")


def _scientific(chance: random.Random) -> str:
    digits = str(chance.randrange(10 ** chance.randint(1, 25)))
    power = f"{chance.choice('eE')}{chance.choice(['', '+', '-'])}{chance.randint(0, 340)}"
    return f"{chance.choice(['', '-'])}{digits}{power}"


def _bare(chance: random.Random) -> str:
    behind = f"{chance.randrange(10**9):0{chance.randint(1, 30)}}"
    return f"{chance.choice(['', '-'])}{chance.choice(['', '0', '7'])}.{behind}"


def test_the_shortest_text_of_a_double_is_what_python_writes() -> None:
    chance = random.Random(20260101)
    texts = [*ADVERSARIAL, *(written(chance) for _ in range(40_000))]
    assert all(re.fullmatch(NUMBER, one) for one in texts)
    with open_engine(threads=2) as engine:
        engine.register("given", pa.table({"n": range(len(texts)), "t": texts}))
        rows = engine.rows(f"SELECT t, coalesce({shortest('t')}, false), {normal('t')} FROM given ORDER BY n")

    wrong = [(text, found) for text, found, _ in rows if found != is_repr(text)]
    assert wrong == []
    assert 5_000 < sum(found for _, found, _ in rows) < len(texts) - 5_000
    for text, _, form in rows:
        digits, _, power = form.partition("e")
        assert Decimal(form) == Decimal(text), text
        assert form == "0" or (not digits.endswith("0") and power.lstrip("-").isdigit())


# The values of a column, and its type; None: whatever Python's own rule over the values gives.
COLUMNS = [
    (["1.5e-05", "2.25", "3.1e+10"], "DOUBLE"),
    (["1e-05", "2.5"], "DOUBLE"),
    (["1.5E5", "2"], "DOUBLE"),
    (["1E5", "12e4", "100000"], "VARCHAR"),
    (["1e5", "2.5"], "VARCHAR"),
    (["1e-05", "2e-07"], "VARCHAR"),
    (["1e-400", "1.5"], "VARCHAR"),
    (["1e400", "1.5"], "VARCHAR"),
    (["1.00000000000000001e-05", "1.5"], "DECIMAL(38,22)"),
    (["9007199254740993.0e+0", "1.5e+0"], "DECIMAL(38,1)"),
    (["90071992547409.93", "1"], "DECIMAL(38,2)"),
    (["9007199254740993.5", "1"], "DECIMAL(38,1)"),
    (["0.10000000000000001", "1"], "DECIMAL(38,17)"),
    (["0.1000000000", "0.2000000001"], "DOUBLE"),
    (["0.30000000000000004", "0.1"], "DOUBLE"),
    (["3." + "1" * 40], "VARCHAR"),
    (["1" + "0" * 40, "1"], "VARCHAR"),
    (["1" + "0" * 37, "1"], "DECIMAL(38,0)"),
    (["12.50", "3"], "DECIMAL(18,2)"),
    (["1234567890123456.25"], "DECIMAL(38,2)"),
    (["-0.00", "1.25"], "DECIMAL(18,2)"),
    ([".5", "5."], "DECIMAL(18,1)"),
]


@pytest.mark.parametrize(
    ("values", "kind"), COLUMNS, ids=lambda value: "-" if isinstance(value, str) else str(value)[:30]
)
def test_a_column_of_numbers_has_the_type_that_loses_no_digit(values: list[str], kind: str) -> None:
    assert typed(values) == kind


def test_numbers_in_json_are_numbers_with_any_exponent() -> None:
    assert typed(["1E5", "12e4"], coded=False) == "DOUBLE"


def test_whatever_type_is_chosen_gives_each_number_back() -> None:
    """Through the DOUBLE's own text or the DECIMAL's, each value is the number that was written."""
    chance = random.Random(7)
    kinds = set()
    with open_engine(threads=1) as engine:
        for _ in range(100):
            values = [written(chance) for _ in range(chance.choice([1, 2, 3]))]
            engine.register("given", pa.table({"n": range(len(values)), "x": values}))
            kind, _ = number_type(engine, "FROM given", '"x"', coded=True)
            kinds.add(kind.partition("(")[0])
            if kind != "VARCHAR":
                back = engine.rows(f"SELECT CAST(CAST(x AS {kind}) AS VARCHAR) FROM given ORDER BY n")
                assert [Decimal(one) for (one,) in back] == [Decimal(one) for one in values], kind
    assert kinds == {"DOUBLE", "DECIMAL", "VARCHAR"}


def typed(values: Sequence[str], *, coded: bool = True) -> str:
    with open_engine(threads=1) as engine:
        engine.register("given", pa.table({"x": values}))
        return number_type(engine, "FROM given", '"x"', coded=coded)[0]
