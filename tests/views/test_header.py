"""The header of a view file: what it may say, and what is said when it says something else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dualgauge.views.errors import UnknownHeader, ViewError
from dualgauge.views.header import HEADERS, parse
from support.store_types import TYPES

FILE = Path("views_v2/orders.sql")


def refused(text: str) -> str:
    with pytest.raises(ViewError) as caught:
        parse(text, FILE)
    return str(caught.value)


def test_a_header_gives_key_indexes_affected_by_and_description() -> None:
    header = parse(
        "-- key: carrier, origin\n-- index: mean_delay\n-- index: origin, mean_delay\n"
        "-- affected_by: carrier, coalesce(origin, 'none')\n-- description: Flights, by carrier\n\nSELECT 1",
        FILE,
    )

    assert header.key == ("carrier", "origin")
    assert header.indexes == (("mean_delay",), ("origin", "mean_delay"))
    assert [line.key for line in header.affected_by] == [{"carrier": "carrier", "origin": "coalesce(origin, 'none')"}]
    assert header.description == "Flights, by carrier"


@pytest.mark.parametrize("letter", ["\u2028", "\x85", "\x0b", "\x0c", "\x1d"])
def test_a_line_ends_where_the_engine_ends_a_comment(letter: str) -> None:
    header = parse(f"-- description: a{letter}b\r\n-- key: a\rSELECT a FROM events", FILE)

    assert (header.description, header.key) == (f"a{letter}b", ("a",))


def test_a_header_is_ended_by_the_first_blank_line() -> None:
    header = parse("-- key: a\n\n-- index: b\n-- remark: not a header\nSELECT a FROM events", FILE)

    assert header.key == ("a",)
    assert header.indexes == ()


def test_a_header_is_ended_by_the_select() -> None:
    assert parse("-- key: a\nSELECT a -- index: a\nFROM events\n-- remark: nothing\n", FILE).indexes == ()


def test_a_comment_without_a_colon_may_stand_in_a_header() -> None:
    assert parse("-- what each customer spent\n-- key: a\nSELECT 1", FILE).key == ("a",)


def test_blanks_around_names_and_values_mean_nothing() -> None:
    assert parse('  --key :  a ,  "b"  \nSELECT 1', FILE).key == ("a", "b")


def test_an_unknown_header_name_is_refused_with_its_line_and_the_nearest_one() -> None:
    said = refused("-- key: a\n-- indexx: b\nSELECT 1")

    assert said == (
        "views_v2/orders.sql: line 2: no header is called 'indexx' (did you mean 'index'?); known: key, index, "
        "unique, affected_by, allow, description, adopt, position_query and 1 more; put a blank line before comments "
        "that are not headers"
    )


def test_an_unknown_header_name_that_is_like_none_is_refused_without_a_guess() -> None:
    with pytest.raises(UnknownHeader, match="no header is called 'Remark'; known: key") as caught:
        parse("-- Remark: see below\n-- key: a", FILE)
    assert (caught.value.line, caught.value.name, caught.value.exit_code) == (1, "Remark", 2)


@pytest.mark.parametrize("name", [name for name in HEADERS if name not in ("index", "unique", "affected_by")])
def test_a_header_that_stands_twice_is_refused_with_its_line(name: str) -> None:
    assert refused(f"-- {name}: full\n-- {name}: full\n") == (
        f"views_v2/orders.sql: line 2: `-- {name}:` stands twice; keep one (only `index`, `unique` and `affected_by` "
        "may repeat)"
    )


def test_allow_holds_full_and_nothing_else() -> None:
    assert parse("-- key: a\n-- allow: full\nSELECT 1", FILE).allows_full
    assert not parse("-- key: a\nSELECT 1", FILE).allows_full
    assert refused("-- key: a\n-- allow: fully\nSELECT 1") == (
        "views_v2/orders.sql: line 2: `-- allow:` holds `full` and nothing else, not 'fully'"
    )


def test_what_is_unique_is_a_column_or_several_together_a_line() -> None:
    header = parse('-- key: a\n-- unique: seq\n-- unique: shop, "No"\nSELECT 1', FILE)

    assert header.unique == (("seq",), ("shop", "No"))
    assert "line 2: `-- unique:` names no column; it holds columns of `events`" in refused("-- key: a\n-- unique: ,\n")


def test_each_form_of_affected_by_is_told_from_the_others() -> None:
    lines = (
        "b = x + 1",
        'b = y, a = "A b"',
        "SELECT b FROM events WHERE c IN (SELECT c FROM batch);",
    )
    header = parse("\n".join(["-- key: a, b", *(f"-- affected_by: {line}" for line in lines)]), FILE)

    assert [dict(line.key) for line in header.affected_by] == [{"b": "x + 1"}, {"b": "y", "a": '"A b"'}, {}]
    assert [line.query for line in header.affected_by] == ["", "", lines[2].removesuffix(";")]
    assert [line.whole(header.key) for line in header.affected_by] == [False, True, False]
    by_place = parse("-- key: k, l\n-- affected_by: lower(a), (b = 1)", FILE).affected_by
    assert [dict(line.key) for line in by_place] == [{"k": "lower(a)", "l": "(b = 1)"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x", "has 1 expression and the key 2 columns; give one each, or name the columns that it gives"),
        ("aa = x", "the key 2 columns; 'aa' is not a column of the key (did you mean 'a'?); give one each"),
        ("a = x, y", "it gives 'a' by its name, and not each of its parts another column of the key; write `column"),
        ("a = x, a = y", "it gives 'a' by its name, and not each of its parts another column of the key; write"),
        ("x, ", "it has a comma with nothing beside it; remove it"),
        ("'x", "its header cannot be read: line 1: a quote (') is not closed"),
    ],
)
def test_an_affected_by_in_no_form_is_refused(line: str, reason: str) -> None:
    assert reason in refused(f"-- key: a, b\n-- affected_by: {line}")


@pytest.mark.parametrize("name", list(HEADERS))
def test_a_header_without_a_value_is_refused_and_says_what_it_holds(name: str) -> None:
    assert refused(f"-- {name}:  \n") == (
        f"views_v2/orders.sql: line 1: `-- {name}:` has no value; it holds {HEADERS[name]}"
    )


def test_a_quote_left_open_in_a_header_is_refused() -> None:
    assert "its header cannot be read: line 1: a quote (') is not closed" in refused(
        "-- affected_by: coalesce(a, 'x)\n"
    )


def rows(heading: str) -> list[tuple[str, str]]:
    """The first two columns of a table on the page of views."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "views.md").read_text(encoding="utf-8")
    text = re.split(r"^## ", page.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    return re.findall(r"^\| `([^`]+)` \| (.+) \|$", text, re.MULTILINE)


def test_the_page_of_views_tells_every_header_as_the_code_does() -> None:
    assert rows("Header") == [(name, meaning) for name, meaning in HEADERS.items()]


def test_the_page_of_views_names_every_type_that_a_store_holds() -> None:
    assert sorted(name for name, _ in rows("Types")) == sorted(TYPES)
