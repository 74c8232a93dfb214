"""Answers of applications that differ where that may be expected: judged by the values that they are, of every type."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge import Comparator, Expected
from dualgauge.comparison.engine.answers import judge_answers
from dualgauge.ledger.reads import PairVerdict
from dualgauge.model import Side
from dualgauge_router.evidence import whole

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

TODAY = date(2026, 3, 1)
EAST = timezone(timedelta(hours=5, minutes=30))
# Of each type two values that are not the same, however close.
VALUES: list[tuple[str, Any, Any]] = [
    ("BIGINT", 9007199254740993, 9007199254740992), ("HUGEINT", 10**37 + 1, 10**37), ("BOOLEAN", True, False),
    ("UBIGINT", (1 << 64) - 1, (1 << 64) - 2), ("DOUBLE", 0.1, 0.10000000000000002),
    ("DOUBLE", float("nan"), float("inf")), ("DOUBLE", 5e-324, 0.0), ("FLOAT", 0.5, 0.25),
    ("DECIMAL(38,10)", Decimal("1234567890123456789012345678.0000000001"), Decimal(1234567890123456789012345678)),
    ("DECIMAL(18,2)", Decimal("1.50"), Decimal("1.51")), ("VARCHAR", "ä 'x' \"y\" \\ \n", "ä 'x' \"y\" \\ "),
    ("VARCHAR", "", None), ("VARCHAR", "007", "7"), ("VARCHAR", "null", None), ("BLOB", b"\x00\xff", b"\x00"),
    ("DATE", date(2026, 1, 31), date(2026, 2, 1)), ("TIME", time(10, 0, 0, 1), time(10)),
    ("TIMESTAMP", datetime(2026, 1, 1, 0, 0, 0, 1), datetime(2026, 1, 1)),  # noqa: DTZ001
    ("TIMESTAMP WITH TIME ZONE", datetime(2026, 1, 1, tzinfo=EAST), datetime(2026, 1, 1, tzinfo=UTC)),
    ("UUID", uuid.UUID(int=7), uuid.UUID(int=8)), ("JSON", {"a": [1, "x"]}, {"a": [1, "y"]}), ("JSON", [1.5], [1.25]),
    ("JSON", {"f": Decimal("1.5")}, {"f": "1.5"}), ("JSON", [Decimal("0.10000000000000000001")], [Decimal("0.1")]),
    ("DECIMAL(38,20)[]", [Decimal("0.10000000000000000001")], [Decimal("0.1")]),
    ("BIGINT[]", [1, None, 9007199254740993], [1, None, 9007199254740992]), ("VARCHAR[]", ["a", "1"], ["a", "01"]),
    ("DECIMAL(18,2)[]", [Decimal("1.50")], [Decimal("1.51")]), ("DATE[]", [date(2026, 1, 1)], [date(2026, 1, 2)]),
    ("STRUCT(a BIGINT, b VARCHAR)", {"a": 1, "b": "x"}, {"a": 1, "b": None}),
    ("STRUCT(a STRUCT(b DECIMAL(20,3))[])", {"a": [{"b": Decimal("1.001")}]}, {"a": [{"b": Decimal("1.002")}]}),
]  # fmt: skip


def judged(engine: Engine, kind: str, pairs: list[tuple[Any, Any]], **more: Any) -> list[PairVerdict]:
    columns = {side: {"id": "BIGINT", "v": kind} for side in Side}
    texts = [(whole({"id": 1, "v": a}), whole({"id": 1, "v": b})) for a, b in pairs]
    return judge_answers(engine, Comparator(key="id", **more), texts, columns, TODAY)


@pytest.mark.parametrize(("kind", "a", "b"), VALUES, ids=str)
def test_a_value_is_the_one_that_it_was(engine: Engine, kind: str, a: Any, b: Any) -> None:
    good, bad = PairVerdict.EXPECTED, PairVerdict.MISMATCHED
    assert judged(engine, kind, [(a, a), (a, b), (b, b), (b, a), (a, None)]) == [good, bad, good, bad, bad]


def test_what_is_expected_hangs_on_both_rows_and_ends_some_day(engine: Engine) -> None:
    doubled = Expected(when="v1.v > 10", v2_equals={"v": "v1.v * 2"}, reason="r", owner="o", until=TODAY)
    pairs = [(11, 22), (10, 20), (11, 23), (None, 4)]
    good, bad = PairVerdict.EXPECTED, PairVerdict.MISMATCHED
    assert judged(engine, "BIGINT", pairs, expected=[doubled]) == [good, bad, bad, bad]
    over = Expected(when="true", v2_equals={"v": "v1.v * 2"}, reason="r", owner="o", until=date(2026, 2, 28))
    assert judged(engine, "BIGINT", pairs, expected=[over]) == [bad, bad, bad, bad]


def test_one_pair_that_cannot_be_judged_keeps_no_other_from_it(engine: Engine) -> None:
    good, bad, none = PairVerdict.EXPECTED, PairVerdict.MISMATCHED, PairVerdict.COMPARATOR_ERROR
    pairs = [(1, 1), ("x", 1), (1, 2), (None, 1), (3, 3)]
    assert judged(engine, "BIGINT", pairs) == [good, none, bad, bad, good]
    columns = {side: {"id": "BIGINT", "v": "BIGINT"} for side in Side}
    row = {"id": 1, "v": 1}
    texts = [
        ([row, row], [row]), ([{**row, "id": None}], [row]), ([row], []), ([{"id": 1}], [row]),
        ([row], [{**row, "w": 2}]), ([], []), ([row, {"id": 2, "v": 5}], [{"id": 2, "v": 5}, row]),
    ]  # fmt: skip
    found = judge_answers(engine, Comparator(key="id"), [(whole(a), whole(b)) for a, b in texts], columns, TODAY)
    assert found == [none, none, bad, none, none, good, good]


@pytest.mark.parametrize(
    ("kind", "value", "other"),
    [
        ("BIGINT", 400, Decimal("400.4")), ("INTEGER", 1, 1.5), ("HUGEINT", 7, "7.1"), ("BIGINT", 1, True),
        ("DECIMAL(18,2)", Decimal("1.50"), Decimal("1.504")), ("BOOLEAN", True, 1), ("BOOLEAN", True, "t"),
        ("DATE", date(2026, 1, 1), datetime(2026, 1, 1, 5)),  # noqa: DTZ001
        ("TIMESTAMP", datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=EAST)),  # noqa: DTZ001
        ("DOUBLE", 0.1, Decimal("0.1000000000000000055511151231257827")),
    ],
)  # fmt: skip
def test_what_is_no_value_of_its_columns_type_is_made_none(engine: Engine, kind: str, value: Any, other: Any) -> None:
    good, none = PairVerdict.EXPECTED, PairVerdict.COMPARATOR_ERROR
    assert judged(engine, kind, [(value, value), (value, other), (other, value), (None, None)]) == [
        good, none, none, good,
    ]  # fmt: skip


JSON_VALUES: list[Any] = [
    5, "5", 5.5, "5.5", True, "true", "x", "", "null", "[]", [], {}, {"a": 1}, {"a": "1"}, [1], ["1"], [None],
    "[1", None, Decimal("0.10000000000000000001"), "0.10000000000000000001", 10**40, str(10**40), '"x"',
]  # fmt: skip


def test_in_json_a_text_is_no_number_and_no_other_value(engine: Engine) -> None:
    """Every two of them, judged at once: good are those that Python has as one, or that one side has as their text."""
    good, bad = PairVerdict.EXPECTED, PairVerdict.MISMATCHED
    pairs = [(a, b) for a in JSON_VALUES for b in JSON_VALUES]
    found = judged(engine, "JSON", pairs)
    same = [(type(a) is type(b) and a == b) or {str(a), str(b)} == {"[]"} for a, b in pairs]
    assert found == [good if one else bad for one in same]


def test_texts_that_say_one_thing_in_two_ways_are_judged_by_nobody(engine: Engine) -> None:
    """A reader that decodes JSON gives two texts of them, which differ; one that does not gives one value."""
    pairs = [('{"a": 1}', '{"a":1}'), ('{"a": 1}', '{"a":2}'), ('{"a":1}', '{"a":1}'), ('{"a": 1}', {"a": 1})]
    good, bad, none = PairVerdict.EXPECTED, PairVerdict.MISMATCHED, PairVerdict.COMPARATOR_ERROR
    assert judged(engine, "JSON", pairs) == [none, bad, good, good]


@pytest.mark.parametrize(
    ("kind", "number", "text"), [("VARCHAR", 5, "5"), ("BIGINT", 5, "5"), ("VARCHAR", False, "false")]
)
def test_a_number_on_one_side_and_its_text_on_the_other_are_judged_by_nobody(
    engine: Engine, kind: str, number: object, text: str
) -> None:
    good, none = PairVerdict.EXPECTED, PairVerdict.COMPARATOR_ERROR
    pairs = [(number, text), (text, number), (text, text), (None, None)]
    assert judged(engine, kind, pairs) == [none, none, good, good]
