"""A comparator refuses mistakes where they are written, and its hash says when it judges otherwise."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import date, datetime
from typing import Any

import pytest

from dualgauge.comparison.content.comparator import Comparator, Expected, Limits
from dualgauge.comparison.errors import BadComparator
from dualgauge_router.rules import Absolute, Exact, Rounded

UNTIL = date(2027, 12, 31)
RIGHT = Expected(when="v1.n > 1", v2_equals={"n": "v1.n + 1"}, reason="UTC", owner="flight-data", until=UNTIL)
ORDERS = Comparator(key=("origin", "day"), rules={"mean": Rounded(6)}, expected=[RIGHT])


def sentence(make: Any, **fields: Any) -> str:
    with pytest.raises(BadComparator) as refused:
        make(**fields)
    return str(refused.value)


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        ("when", "Expected: when is empty; give a condition over v1 and v2"),
        ("reason", "Expected: reason is empty; give why the difference is right"),
        ("owner", "Expected: owner is empty; give who answers for it"),
        ("until", "Expected: until must be a date, the last day on which the difference is excused"),
    ],
)
def test_an_expected_difference_without_a_needed_field_is_refused(left_out: str, told: str) -> None:
    fields = {"when": "true", "reason": "UTC", "owner": "flight-data", "until": UNTIL}
    del fields[left_out]
    assert sentence(Expected, **fields) == told


@pytest.mark.parametrize("until", [datetime(2027, 1, 1), "2027-01-01", None])  # noqa: DTZ001
def test_an_expiry_that_is_no_date_is_refused(until: object) -> None:
    told = sentence(Expected, when="true", reason="UTC", owner="me", until=until)
    assert told == "Expected: until must be a date, the last day on which the difference is excused"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "Comparator: key is empty; name the column or columns that identify a row"),
        ({"key": ""}, "Comparator: key is empty; give names of columns"),
        ({"key": ("a", "A")}, "Comparator: key names a column twice: a, A"),
        ({"key": "a", "v1": " "}, "Comparator: v1 is empty; give a SELECT, or None for the view of that name"),
        (
            {"key": "a", "rules": {"A": Exact()}},
            "Comparator: rules['A'] is a key column; keys pair the rows and are always exact",
        ),
        ({"key": "a", "rules": {"b": Exact(), "B": Exact()}}, "Comparator: rules name a column twice: b, B"),
        (
            {"key": "a", "rules": {"b": Exact}},
            (
                "Comparator: rules['b'] must be a rule such as Exact() or Absolute(0.01), "
                "got <class 'dualgauge_router.rules.Exact'>"
            ),
        ),
        (
            {"key": "a", "rules": {"b": 0.01}},
            "Comparator: rules['b'] must be a rule such as Exact() or Absolute(0.01), got 0.01",
        ),
        ({"key": "a", "rules": [Exact()]}, "Comparator: rules must be a dict by column name, got [Exact()]"),
        ({"key": "a", "expected": RIGHT}, "Comparator: expected must be a list of Expected(...)"),
        ({"key": "a", "expected": ["x"]}, "Comparator: expected[0] must be Expected(...), got 'x'"),
        (
            {"key": "n", "expected": [RIGHT]},
            "Comparator: expected[0].v2_equals['n'] is a key column; keys pair the rows and are always exact",
        ),
        (
            {"key": ("a", "b"), "affected_by": {"a": "x"}},
            "Comparator: affected_by must give one expression for each key column: a, b",
        ),
        ({"key": "a", "limits": 3}, "Comparator: limits must be Limits(...), got 3"),
        (
            {"key": "a", "limits": Limits(columns={"a": 1})},
            "Limits: columns['a'] is a key column; keys pair the rows and are always exact",
        ),
    ],
)
def test_a_mistake_in_a_comparator_is_named_by_its_field(fields: dict[str, Any], told: str) -> None:
    assert sentence(Comparator, **fields) == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"key": "_position"}, "Comparator: key names '_position'; a context column cannot identify a row"),
        (
            {"key": "a", "rules": {"_p": Exact()}},
            "Comparator: rules['_p'] is context (its name begins with '_') and is never compared",
        ),
        (
            {"key": "a", "limits": Limits(columns={"_p": 1})},
            "Limits: columns['_p'] is context (its name begins with '_') and is never compared",
        ),
        (
            {"key": "a", "expected": [replace(RIGHT, v2_equals={"_p": "1"})]},
            "Comparator: expected[0].v2_equals['_p'] is context (its name begins with '_') and is never compared",
        ),
    ],
)
def test_a_context_column_is_named_by_the_field_that_speaks_of_it(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(BadComparator) as refused:
        Comparator(**fields).check_context()
    assert str(refused.value) == told


@pytest.mark.parametrize("count", [-1, 0.5, True, "1"])
def test_a_limit_that_counts_no_rows_is_refused(count: Any) -> None:
    assert sentence(Limits, changed=count) == f"Limits: changed must be a count of rows, zero or more, got {count!r}"
    assert sentence(Limits, columns={"n": count}).startswith("Limits: columns['n'] must be a count of rows")


def test_a_key_may_be_one_name_or_several() -> None:
    assert Comparator(key="id").keys == ("id",)
    assert Comparator(key=["origin", "day"]).keys == ("origin", "day")
    assert Comparator(key="id").definition_hash() == Comparator(key=["id"]).definition_hash()


def test_two_comparators_that_judge_alike_have_one_hash() -> None:
    again = Comparator(expected=(RIGHT,), rules={"mean": Rounded(digits=6)}, key=["origin", "day"])
    assert again.definition_hash() == ORDERS.definition_hash()
    assert len(ORDERS.definition_hash()) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"key": ("day", "origin")},
        {"v1": "SELECT 1"},
        {"v2": "SELECT 1"},
        {"rules": {"mean": Rounded(5)}},
        {"rules": {"mean": Absolute(0.0000005)}},
        {"expected": ()},
        {"expected": (replace(RIGHT, until=date(2028, 1, 1)),)},
        {"expected": (replace(RIGHT, owner="another"),)},
        {"affected_by": {"origin": "origin", "day": "day"}},
        {"limits": Limits(changed=1)},
        {"limits": Limits(columns={"mean": 0})},
    ],
)
def test_every_change_of_what_is_judged_changes_the_hash(change: dict[str, Any]) -> None:
    assert replace(ORDERS, **change).definition_hash() != ORDERS.definition_hash()


def test_a_comparator_cannot_be_changed_after_it_was_hashed() -> None:
    rules = {"mean": Rounded(6)}
    comparator = Comparator(key="id", rules=rules)
    before = comparator.definition_hash()
    rules["mean"] = Rounded(1)
    assert comparator.definition_hash() == before
    with pytest.raises(FrozenInstanceError):
        comparator.key = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        comparator.rules["mean"] = Exact()  # type: ignore[index]
