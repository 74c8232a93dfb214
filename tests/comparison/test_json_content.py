"""JSON is compared by what it says: two texts of one content are one value, whoever wrote them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgauge.comparison.content.comparator import Comparator
from dualgauge.comparison.content.json_content import content_of
from dualgauge.comparison.engine.diff import compare_relations
from dualgauge.engines.duck import Engine, open_engine
from dualgauge_router.rules import Exact

if TYPE_CHECKING:
    from collections.abc import Iterator

TODAY = date(2026, 3, 1)

NUMBERS = st.one_of(
    st.sampled_from(["0", "-0", "0.0", "5", "5.0", "50e-1", "0.5E1", "5e0", "-5", "1e400", "10e399", "0.1"]),
    st.sampled_from(["0.10000000000000001", "9007199254740993", "9007199254740992", "9007199254740993.0"]),
    st.integers().map(str),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NUMBERS.map(Decimal), st.booleans(), st.none(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


def written(value: Any, draw: st.DataObject) -> str:
    """One of the texts that a value has: members in any order, blanks, escapes, numbers in any form."""
    blank = draw.draw(st.sampled_from(["", " ", "\n"]))
    match value:
        case Decimal():
            sign, digits, exponent = value.as_tuple()
            # 00 is no number of JSON.
            zeros = draw.draw(st.integers(0, 2)) if value else 0
            number = f"{'-' if sign else ''}{''.join(map(str, digits))}{'0' * zeros}e{int(exponent) - zeros}"
            return draw.draw(st.sampled_from([str(value).replace("E", "e"), number]))
        case dict():
            members = draw.draw(st.permutations(list(value.items())))
            inner = ("," + blank).join(
                f"{written(name, draw)}{blank}:{blank}{written(item, draw)}" for name, item in members
            )
            return f"{{{blank}{inner}{blank}}}"
        case list():
            return f"[{blank}{f',{blank}'.join(written(item, draw) for item in value)}{blank}]"
        case _:
            return json.dumps(value, ensure_ascii=draw.draw(st.booleans()))


def alike(a: Any, b: Any) -> bool:
    """Whether two values are one by a plain reading of what JSON is."""
    if isinstance(a, Decimal) and isinstance(b, Decimal):
        return a == b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(value, b[name]) for name, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and bool(a == b)


@given(a=VALUES, b=VALUES, draw=st.data())
@settings(max_examples=300, deadline=None)
def test_two_texts_have_one_content_exactly_where_they_say_the_same(a: Any, b: Any, draw: st.DataObject) -> None:
    assert content_of(written(a, draw)) == content_of(written(a, draw))
    assert (content_of(written(a, draw)) == content_of(written(b, draw))) is alike(a, b)


@given(a=VALUES, b=VALUES, draw=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_diff_and_a_shadow_read_judge_json_alike(engine: Engine, a: Any, b: Any, draw: st.DataObject) -> None:
    """A shadow read has the documents as Python values."""
    texts = [written(one, draw).replace("\\u0000", "0").replace("\0", "0") for one in (a, b)]
    sides = [f"SELECT 1 AS id, CAST('{text.replace(chr(39), chr(39) * 2)}' AS JSON) AS x" for text in texts]
    result = compare_relations(engine, *sides, Comparator(key="id"), today=TODAY)
    loaded = [json.loads(text, parse_float=Decimal, parse_int=Decimal) for text in texts]
    assert (result.matched == 1) is Exact().holds(*loaded)


def test_of_members_with_one_name_all_count_in_their_order() -> None:
    texts = ['{"a":1,"a":2}', '{"a":2,"a":1}', '{"a":2}', '{"a":1}', '{"a":1,"a":1}']
    assert len({content_of(text) for text in texts}) == len(texts)
    assert content_of('{"a":1,"b":0,"a":2}') == content_of('{"b":0,"a":1,"a":2}')


def test_a_missing_member_is_not_a_null_and_null_is_not_json_null() -> None:
    assert content_of("{}") != content_of('{"a":null}')
    assert content_of(None) is None
    assert content_of("null") == "null"


@pytest.mark.parametrize("text", ["", "{", "nul", "[1,]", "[" * 100_000, "\ud800", "{'a':1}"])
def test_what_is_no_json_is_compared_as_it_is_written(text: str) -> None:
    assert content_of(text) == f"?{text}"


@pytest.mark.parametrize("digits", [5_000, 100_000])
def test_numbers_of_any_length_count_to_their_last_digit(digits: int) -> None:
    number = "9" * digits
    assert content_of(number) == content_of(f"{number}.0")
    assert content_of(number) != content_of(f"{number[:-1]}8")


def test_exponents_of_any_length_are_compared() -> None:
    assert content_of("1e99999999999999999999") == content_of("10e99999999999999999998")
    assert content_of(f"1e{'9' * 5000}") != content_of(f"1e{'9' * 4999}8")
