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
    assert header.affected_by == ("carrier", "coalesce(origin, 'none')")
    assert header.description == "Flights, by carrier"


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
        "affected_by, description, adopt, position_query; put a blank line before comments that are not headers"
    )


def test_an_unknown_header_name_that_is_like_none_is_refused_without_a_guess() -> None:
    with pytest.raises(UnknownHeader, match="no header is called 'Remark'; known: key") as caught:
        parse("-- Remark: see below\n-- key: a", FILE)
    assert (caught.value.line, caught.value.name, caught.value.exit_code) == (1, "Remark", 2)


@pytest.mark.parametrize("name", [name for name in HEADERS if name != "index"])
def test_a_header_that_stands_twice_is_refused_with_its_line(name: str) -> None:
    assert refused(f"-- {name}: a\n-- {name}: b\n") == (
        f"views_v2/orders.sql: line 2: `-- {name}:` stands twice; keep one (only `index` may repeat)"
    )


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
