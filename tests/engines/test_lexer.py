"""The lexer under the definition hash: what changes it, and what never does."""

from __future__ import annotations

import unicodedata

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.engines.lexer import KEYWORDS, bare, split, tokens

NAMES = st.sampled_from(["carrier", "Carrier", "e", "events", "x1", "größe", "_a$b"])
PIECES = st.one_of(
    st.sampled_from(sorted(KEYWORDS)),
    NAMES,
    st.integers(0, 10**6).map(str),
    st.sampled_from(["1.5", "1e-3", "0.25E+7", ".5", "1_000"]),
    st.text("ab -'/*\n;", max_size=8).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.text('ab -"/*\n;', max_size=8).map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.sampled_from(["e'it\\'s'", "$$ it's -- so $$", "$tag$ $$ $tag$", "e'\\\\'"]),
    st.sampled_from(["(", ")", ",", "=", "<", "+", "*", "[", "]", ".", ";", "{", "}", "?", "%"]),
)
GAPS = st.lists(
    st.sampled_from(
        [" ", "\n", "\t", "\r\n", "-- it's a \"comment\n", "/* it's -- one */", "/* a /* nested */ one */", "--\n"]
    ),
    min_size=1,
    max_size=3,
).map("".join)


def words(text: str) -> list[str]:
    return [token.text for token in tokens(text)]


@given(st.lists(PIECES, min_size=1, max_size=12), st.data())
def test_comments_and_blanks_never_change_the_tokens(pieces: list[str], data: st.DataObject) -> None:
    one = " ".join(pieces)
    # A slash and a star, or two dashes, must not meet and begin a comment: a gap stands between all pieces.
    other = data.draw(GAPS) + "".join(piece + "\n" + data.draw(GAPS) for piece in pieces)

    assert words(one) == words(other)


@given(st.lists(PIECES, min_size=1, max_size=12), st.data())
def test_a_changed_token_always_changes_the_tokens(pieces: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(pieces) - 1))
    other = data.draw(PIECES.filter(lambda piece: words(piece) != words(pieces[at])))

    assert words(" ".join(pieces)) != words(" ".join([*pieces[:at], other, *pieces[at + 1 :]]))


@given(st.sampled_from(sorted(KEYWORDS)), st.data())
def test_the_case_of_a_keyword_never_counts(keyword: str, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(keyword), max_size=len(keyword)))
    mixed = "".join(c.upper() if up else c for c, up in zip(keyword, upper, strict=True))

    assert words(f"x {mixed} y") == words(f"x {keyword} y")


@pytest.mark.parametrize(
    ("one", "other"), [("carrier", "Carrier"), ("'a'", "'A'"), ('"from"', '"FROM"'), ("count", "COUNT")]
)
def test_the_case_of_names_and_texts_counts(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_what_looks_like_a_comment_inside_a_quote_is_text() -> None:
    assert words("'-- no' \"/* no */\" $$-- no$$ e'\\' -- no'") == [
        "'-- no'",
        '"/* no */"',
        "$$-- no$$",
        "e'\\' -- no'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1,\n'open", "line 2: a quote (') is not closed"),
        ('SELECT\n\n"open', 'line 3: a quote (") is not closed'),
        ("SELECT 1 -- fine\n/* open /* nested */", "line 2: a comment (/*) is not closed"),
    ],
)
def test_what_is_left_open_is_named_by_its_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="is not closed") as caught:
        tokens(text)
    assert str(caught.value) == said


def test_a_list_is_split_at_its_own_commas_only() -> None:
    assert split("a, f(b, c), 'x, y', [d, e], \"g, h\" -- i, j") == [
        "a",
        "f(b, c)",
        "'x, y'",
        "[d, e]",
        '"g, h" -- i, j',
    ]


@pytest.mark.parametrize("end", ["", ";", " ; ;\n", ";\n-- the end;\n", "\n/* the end */ ;"])
def test_a_statement_ends_before_its_semicolons(end: str) -> None:
    assert bare(f"SELECT ';' AS a{end}").split("\n")[0].rstrip() == "SELECT ';' AS a"
    assert not bare(f"SELECT ';' AS a{end}").endswith(";")


WRITTEN = st.sampled_from([
    "SELECT", "a", "1", "'it''s -- x'", '"q -- ""x"', "e'\\'--'", "$$ -- /* $$", "$t1$ -- $t1$", "$_9$ '$_9$",
    "$é$ -- $é$",
    "$T$ $t$ -- $T$", "-- c $$\n", "-- c '\n", "/* a /* $$ */ ' */", "(", ")", ",", "+", "a$b$", "$1", "\n",
    "-- c\r", "a\u20acw", "a\x85w", "a\u2028w",
    "\u0663", "li\u212ae",
])  # fmt: skip


@given(st.lists(WRITTEN, max_size=12).map(" ".join))
def test_comments_and_texts_are_where_the_engine_finds_them(text: str) -> None:
    """A comment that the engine takes for a text, or the other way round, would be a change that no hash shows."""
    written = text.encode()
    found = [(at, kind) for at, kind in duckdb.tokenize(text) if kind is not duckdb.token_type.comment]
    texts = {len(written[:at].decode()) for at, kind in found if kind is duckdb.token_type.string_const}
    mine = tokens(text)

    assert {one.start for one in mine if one.text[0] in "'$e" and one.text[1:]} == texts
    assert {one.start for one in mine} <= {len(written[:at].decode()) for at, _ in found}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("v \u20acw", "v\u20acw"), ("a b", "a\x85b"), ("a b", "a\u2028b"), ("x LIKE y", "x LI\u212aE y"),
        ("to_json({year: 1})", "to_json({YEAR: 1})"), ("row(year := 1)", "row(Year := 1)"),
        ("SELECT to_json(t) FROM (SELECT 1 AS year) t", "SELECT to_json(t) FROM (SELECT 1 AS YEAR) t"),
        ("1 -- \r + 1", "1"), ("$t1$ -- $t1$, 1", "$t1$ -- $t1$, 2"),
    ],
)  # fmt: skip
def test_texts_that_the_engine_takes_for_unlike_ones_have_unlike_tokens(one: str, other: str) -> None:
    assert [token.text for token in tokens(one)] != [token.text for token in tokens(other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CAST(x AS DATE)", "cast(x as date)"),
        ("x::TIMESTAMP", "x::timestamp"),
        ("{YEAR /* y */ : 1}", "{YEAR: 1}"),
        ("a\u00a0+\u3000b", "a + b"),
    ],
)
def test_what_the_engine_takes_for_the_same_has_the_same_tokens(one: str, other: str) -> None:
    assert [token.text for token in tokens(one)] == [token.text for token in tokens(other)]


def test_blanks_are_those_of_the_engine() -> None:
    odd = [one for at in range(1, 0xFFFF) if unicodedata.category(one := chr(at)) in {"Zs", "Zl", "Zp", "Cf", "Cc"}]
    with duckdb.connect() as connection:

        def is_blank(one: str) -> bool:
            try:
                return connection.execute(f"SELECT 1{one}AS{one}a").description[0][0] == "a"
            except duckdb.Error:
                return False

        assert [one for one in odd if is_blank(one)] == [
            one for one in odd if [token.text for token in tokens(f"1{one}AS{one}a")] == ["1", "as", "a"]
        ]
