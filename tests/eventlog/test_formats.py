"""The files of a source are of one format; and what a later import makes of a column is what one import of all does."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.eventlog.errors import BadFile, BadMapping, BadRow, UnlikeFiles
from support.log_project import LogProject, csv, jsonl, parquet
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable

SEEN = "2026-01-01"
EVENT = "SELECT id AS event_id, 't' AS type, CAST(seen AS TIMESTAMPTZ) AS occurred_at"
FILES: dict[str, Callable[[LogProject], object]] = {
    "a.csv": lambda project: project.write("d/a.csv", csv("id,seen,v", f"1,{SEEN},5.5")),
    "b.TSV": lambda project: project.write("d/b.TSV", f"id\tseen\tv\n2\t{SEEN}\t8\n"),
    "c.jsonl": lambda project: project.write("d/c.jsonl", jsonl({"id": 3, "seen": SEEN, "v": 1})),
    "d.json": lambda project: project.write("d/d.json", '[{"id": 4, "seen": "2026-01-01", "v": "x"}]'),
    "e.parquet": lambda project: parquet(project, "e.parquet", v=[1]),
}
FORMATS = {"a": "CSV", "b": "CSV", "c": "JSON", "d": "JSON", "e": "Parquet"}


@pytest.mark.parametrize(("one", "two", "how"), thinned(4, FILES, FILES, ["at once", "one by one", "archived"]))
def test_files_of_several_formats_are_refused_with_their_names(
    project: LogProject, one: str, two: str, how: str
) -> None:
    project.sources[0]["select"] = {"v": "v"}
    FILES[one](project)
    if how != "at once":
        project.take()
        if how == "archived":
            (project.root / "d" / one).unlink()
    FILES[two](project)
    if FORMATS[one[0]] == FORMATS[two[0]]:
        project.take()
        assert len(project.events()) == len({one, two})
        return

    with pytest.raises(UnlikeFiles) as told:
        project.take(max_bad_rows=5)
    assert f"d/{one} is {FORMATS[one[0]]}" in str(told.value)
    assert f"d/{two} is {FORMATS[two[0]]}" in str(told.value)
    assert "write a source for each, such as path = " in str(told.value)


def taken(project: LogProject, rows: list[str], *, apart: bool, **source: Any) -> list[Any]:
    project.sources[0] |= source
    for at, row in enumerate(rows):
        project.write(f"d/{at}.csv", csv("id,seen,v", f"{at},{SEEN},{row}"))
        if apart:
            project.take()
    if not apart:
        project.take()
    return project.events("event_id", "payload")


@pytest.mark.parametrize("rows", [["nan", "5"], ["inf", "nan", "1.50"], ["nan", "x"], ["", "5"], ["-Infinity", "true"]])
@pytest.mark.parametrize("apart", [True, False])
def test_a_column_of_nan_alone_is_of_no_kind_until_another_value_comes(
    project: LogProject, rows: list[str], *, apart: bool
) -> None:
    values = {"5": "5", "1.50": "1.50", "": "null"}
    found = taken(project, rows, apart=apart, select={"v": "v"})
    assert [payload for _, payload in found] == [f'{{"v":{values.get(row, chr(34) + row + chr(34))}}}' for row in rows]


@pytest.mark.parametrize("later", ['["y"]', '{"a": 1}', "[]"])
def test_a_list_behind_strings_is_a_row_that_does_not_fit_an_expression(project: LogProject, later: str) -> None:
    project.sources[0] |= {"event_id": "lower(v) || '-' || id", "select": {"v": "v"}}
    project.write("d/a.jsonl", jsonl({"id": 1, "seen": SEEN, "v": "x"}))
    project.take()
    project.write(
        "d/b.jsonl", f'{{"id": 2, "seen": "{SEEN}", "v": {later}}}\n{{"id": 3, "seen": "{SEEN}", "v": "z"}}\n'
    )
    with pytest.raises(BadRow, match=r"d/b.jsonl row 1: v = .* is no VARCHAR"):
        project.take()

    assert project.take(max_bad_rows=1).quarantined == 1
    assert project.events("event_id") == ["x-1", "z-3"]
    # By itself it is what it is.
    project.sources[0]["event_id"] = "id"
    assert project.open().quarantine.retry().added == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_type_may_be_said_of_a_file_of_which_no_row_fits(project: LogProject, kind: str) -> None:
    project.sources[0] |= {"select": {"v": "v"}, "read": {"types": {"v": "DOUBLE"}}}
    text = jsonl({"id": 9, "seen": SEEN, "v": "x"}) if kind == "jsonl" else csv("id,seen,v", f"9,{SEEN},x")
    project.write(f"d/b.{kind}", text)

    assert project.take(max_bad_rows=1).quarantined == 1


BENT = (
    "v <> 7", "v = 7.5", "7 = v", "v IN (7, 8)", "v IS DISTINCT FROM -7", "NOT (V = 7)", "nullif(v, 7) IS NULL",
    "v = w", "v <> w", "w = v", "lower(v) = 7", "v = 3 + 4", "v = length('1234567')", "CASE v WHEN w THEN true END",
    "v IN (w)", "v = CAST('7' AS INT)", "v = (SELECT 7)", "[7, 8][1] = v", "trim(v) = w", "v || '' = w",
    "coalesce(v, '0') = w", "w::VARCHAR = 7", "CASE WHEN true THEN v END = w", "v = 7e0", "v = 7::HUGEINT",
    "NOT EXISTS (SELECT 1 WHERE v = w)", "TRY(v = 7)", "[v][1] = 7", "{a: v}.a = 7", "w = '7.4'", "v = 7::BIGNUM",
    "day = DATE '2026-01-31'", "day = TIMESTAMPTZ '2026-01-31 00:00:00Z'", "DATE '2026-01-31' = '2026-01-31 10:00'",
    "nullif(day, DATE '2026-01-31') IS NULL", "v = true", "CASE WHEN v THEN 1 END", "nullif(v, false)", "(w > 7) = 't'",
    "v = '6f9619ff-8b86-d011-b42d-00c04fc964ff'::UUID", "TIME '12:00:00.123456' = '12:00:00.1234567'",
    "TIME '12:00:00' = '2026-01-01 12:00:00'", "v = INTERVAL 1 DAY",
)  # fmt: skip
"""Comparisons of a text with a number or a time in all the forms in which the engine makes one of it by itself."""


@pytest.mark.parametrize(
    ("compared", "setting", "kind"), thinned(5, BENT, ["where", "query", "select"], ["csv", "jsonl"])
)
def test_a_text_is_not_compared_with_a_number_or_a_time_which_would_bend_it(
    project: LogProject, compared: str, setting: str, kind: str
) -> None:
    if setting == "query":
        project.sources[0] = {"name": "s", "path": "d/*", "query": f"{EVENT} FROM source WHERE {compared}"}
    elif setting == "where":
        project.sources[0]["where"] = compared
    else:
        project.sources[0]["select"] = {"y": compared}
    rows = [("1", "007", 7, "2026-01-31 10:00"), ("2", "7.4", 7, "2026-01-31"), ("3", "8", 8, "x")]
    if kind == "csv":
        project.write("d/a.csv", csv("id,seen,v,w,day", *(f"{i},{SEEN},{v},{w},{day}" for i, v, w, day in rows)))
    else:
        values = ({"id": i, "seen": SEEN, "v": v, "w": w, "day": day} for i, v, w, day in rows)
        project.write("d/a.jsonl", jsonl(*values))

    told = r"it compares .*text.* with a value of [A-Z]+.*: the engine would|it has the text '.*' in the place of a"
    with pytest.raises(BadMapping, match=told):
        project.take()


@pytest.mark.parametrize(
    "query",
    [
        f"{EVENT} FROM source JOIN (SELECT 7 AS v) USING (v)",
        f"{EVENT} FROM source SEMI JOIN (SELECT 7 AS v) USING (v)",
        f"{EVENT} FROM source s WHERE EXISTS (SELECT 1 FROM source o WHERE o.v = s.w)",
        f"WITH x AS (SELECT *, v = w AS same FROM source) {EVENT} FROM x WHERE same",
        f"{EVENT} FROM source QUALIFY lag(v) OVER (ORDER BY id) = 7",
        f"{EVENT} FROM source ORDER BY nullif(v, 7)",
        f"{EVENT} FROM (SELECT id, seen, lower(v) AS v FROM source) WHERE v = 7",
        f"{EVENT} FROM source WHERE len(list_filter([v], lambda x: x = 7)) > 0", f"{EVENT} FROM source WHERE v = 7 ; ",
    ],
)  # fmt: skip
def test_nor_by_what_a_query_makes_of_it(project: LogProject, query: str) -> None:
    project.sources[0] = {"name": "s", "path": "d/*", "query": query}
    project.write("d/a.csv", csv("id,seen,v,w", f"1,{SEEN},007,7", f"2,{SEEN},7.4,7"))
    with pytest.raises(BadMapping, match=r"query: it compares .*text.* with a value of"):
        project.take()


@pytest.mark.parametrize(
    "compared",
    [
        "v = '7.4'", "v IN ('7.4', '9')", "CAST(v AS DOUBLE) = 7.4", "v::DOUBLE = 7.4", "TRY_CAST(v AS DOUBLE) = 7.4",
        "nullif(v, '7.4') IS NULL", "v = CAST(7.4 AS VARCHAR)", "w = '2'", "w = 2.0", "CASE v WHEN '7.4' THEN true END",
        "[v] = [7.4]", "{a: v} = {a: 7.4}", "day = '2026-01-31'", "seen < '2026-02-01' AND w = 2", "w IN ('2', '3')",
        "substring(v, '1', 3) = '7.4'",
        "(w = 2) = 'true'", "TIME '12:00:00' = '12:00:00.0000000' AND w = 2", "w = 2 AND CAST('t' AS BOOLEAN)",
        "day::DATE = DATE '2026-01-31' AND w = 2", "v = concat(7, '.4')",
    ],
)  # fmt: skip
def test_a_text_is_compared_with_a_text_and_what_is_cast_with_a_number(project: LogProject, compared: str) -> None:
    project.sources[0]["where"] = compared
    project.write("d/a.csv", csv("id,seen,v,w,day", f"1,{SEEN},007,7,2026-01-01", f"2,{SEEN},7.4,2,2026-01-31"))
    project.take()

    assert project.events("event_id") == ["2"]


def test_a_column_without_texts_is_a_number_and_may_be_compared_with_one(project: LogProject) -> None:
    project.sources[0]["where"] = "v <> 7"
    project.write("d/a.csv", csv("id,seen,v", f"2,{SEEN},7.4", f"3,{SEEN},8"))
    project.take()

    assert project.events("event_id") == ["2", "3"]


def test_what_a_query_calls_a_number_may_be_compared_with_one(project: LogProject) -> None:
    inner = "SELECT id, seen, CAST(v AS DOUBLE) AS v FROM source"
    project.sources[0] = {
        "name": "s", "path": "d/*",
        "query": f"{EVENT} FROM ({inner}) WHERE v = 7",
    }  # fmt: skip
    project.write("d/a.csv", csv("id,seen,v", f"1,{SEEN},007", f"2,{SEEN},7.4"))
    project.take()

    assert project.events("event_id") == ["1"]


def test_gzip_with_more_behind_it_is_named_with_its_file(project: LogProject) -> None:
    project.sources[0]["select"] = {"v": "v"}
    file = project.root / "d" / "a.csv.gz"
    file.write_bytes(gzip.compress(csv("id,seen,v", f"1,{SEEN},2").encode()) + b"\0" * 100)

    with pytest.raises(BadFile, match=r"d/a.csv.gz: it cannot be read \(.*GZIP"):
        project.take()


@pytest.mark.parametrize("where", ["true", "x > 1", "x IS NOT NULL"])
@pytest.mark.parametrize("value", ["nan", "-inf"])
def test_a_column_of_nothing_but_nan_may_stand_beside_a_where(project: LogProject, where: str, value: str) -> None:
    project.sources[0] |= {"where": where, "select": {"x": "x", "y": "[x]"}}
    project.write("d/a.csv", csv("id,seen,x", f"1,{SEEN},{value}"))
    if where == "x > 1":
        with pytest.raises(BadMapping):
            project.take()
        return
    project.take()
    assert project.events("payload") == [f'{{"x":"{value}","y":["{value}"]}}']


@pytest.mark.parametrize(
    "given",
    ["coalesce(b, a)", "[a, b]", "CASE WHEN b > 1 THEN a ELSE b END", "{k: [b, a]}", "ifnull(b, 0.125)"],
)
def test_a_decimal_is_not_rounded_by_the_digits_of_another_one(project: LogProject, given: str) -> None:
    project.sources[0]["select"] = {"y": given}
    long = "1234567890123456789012345678901234.56"
    project.write("d/a.csv", csv("id,seen,a,b", f"1,{SEEN},0.125,{long}", f"2,{SEEN},0.5,1.5"))
    with pytest.raises(BadMapping, match=r"it takes .*DECIMAL\(.*: the engine would round it; cast both"):
        project.take()


@pytest.mark.parametrize("given", ["coalesce(b, a)", "[a, b]", "ifnull(b, 0.5)", "a * 2", "a + b", "round(a, 1) + b"])
def test_decimals_with_room_are_taken_together(project: LogProject, given: str) -> None:
    project.sources[0]["select"] = {"y": given}
    project.write("d/a.csv", csv("id,seen,a,b", f"1,{SEEN},0.125,1.50", f"2,{SEEN},0.5,2.25"))
    project.take()
    assert len(project.events("payload")) == 2


MIXED = (
    "o.n || ''", "o.n = '1'", "o.n = '01'", "o.n = o.t", "o.n = 1", "coalesce(o.n, 'x')", "CAST(o.n AS VARCHAR)",
    "o.n::TEXT", "TRY_CAST(o.n AS VARCHAR)", "upper(o.n)", "o.n IN ('1', '2')", "list_contains(l, '1')", "l[1] || ''",
    "list_transform(l, lambda x: x || '')", "nullif(o.n, '1')", "o.n < o.m", "greatest(o.n, o.m)", "list_max(l)",
    "list_sort(l)", "o.n.a || ''", "TRY(o.n || '')", "CASE o.n WHEN '1' THEN 2 END", "o.n LIKE '1%'", "md5(o.n)",
    "o.n BETWEEN '1' AND '2'", "l = ['1']", "array_to_string(l, ',')", "concat(o.n, 'a')", "length(o.n)",
    "max(o.n) OVER ()", "row_number() OVER (ORDER BY o.n)", "CAST(l AS VARCHAR[])", "concat_ws('-', o.n, 'a')",
    "list_transform(l, lambda x: concat_ws('-', x, 'a'))", "MAP {o.n: 1}", "map([o.n], [1])",
    "concat_ws('', o.n) = o.t",
    "map_from_entries([(o.n, 1)])", "histogram(o.n) OVER ()", "printf('%s', o.n)", "format('{}', o.n)",
    "concat_ws('-', [o.n])", "lower(concat_ws('-', o.n))",
)  # fmt: skip
"""Uses as a text of what is a string in one row and a number in another."""

ROWS = (
    {"id": "1", "seen": SEEN, "o": {"n": "1", "m": "1", "t": "a"}, "l": ["1", 2]},
    {"id": "2", "seen": SEEN, "o": {"n": 2, "m": 2, "t": "b"}, "l": []},
)


@pytest.mark.parametrize(("given", "setting"), thinned(3, MIXED, ["select", "query"]))
def test_json_of_strings_and_numbers_is_not_taken_as_a_text_with_its_quotes(
    project: LogProject, given: str, setting: str
) -> None:
    if setting == "query":
        project.sources[0] = {"name": "s", "path": "d/*", "query": f"{EVENT}, {given} AS y FROM source"}
    else:
        project.sources[0]["select"] = {"y": given}
    project.write("d/a.jsonl", jsonl(*ROWS))

    with pytest.raises(BadMapping, match=r"it takes a value of [ol] as text that is not text in each row"):
        project.take()


@pytest.mark.parametrize("setting", ["event_id", "type", "caused_by", "order_by", "select", "query"])
def test_nor_by_what_stands_in_a_column_of_texts(project: LogProject, setting: str) -> None:
    project.columns |= {"y": "VARCHAR", "caused_by": "VARCHAR"}
    if setting == "query":
        project.sources[0] = {"name": "s", "path": "d/*", "query": f"{EVENT}, o.n AS Y FROM source"}
    else:
        project.sources[0][setting] = {"Y": "o.n"} if setting == "select" else "o.n"
    project.write("d/a.jsonl", jsonl(*ROWS))

    with pytest.raises(BadMapping, match=r"it takes a value of o as text .* say read = {types = {o = \"JSON\"}}"):
        project.take()


@pytest.mark.parametrize(
    ("given", "first", "second"),
    [
        ("o.n", '"1"', "2"), ("o", '{"n":"1","m":"1","t":"a"}', '{"n":2,"m":2,"t":"b"}'), ("o.n ->> '$'", '"1"', '"2"'),
        ("o.n IS NULL", "false", "false"), ("CAST(o.n AS BIGINT)", "1", "2"), ("o.t || '!'", '"a!"', '"b!"'),
        ("coalesce(o.n, o.m)", '"1"', "2"), ("o.n = o.m", "true", "true"), ("coalesce(o.n, NULL)", '"1"', "2"),
        ("o::JSON::VARCHAR", r'"{\"m\":\"1\",\"n\":\"1\",\"t\":\"a\"}"', r'"{\"m\":2,\"n\":2,\"t\":\"b\"}"'),
        ("json_type(o.n)", '"VARCHAR"', '"UBIGINT"'), ("json_object('k', o.n)", '{"k":"1"}', '{"k":2}'),
        ("[o.n]", '["1"]', "[2]"), ("len(l)", "2", "0"), ("MAP {'k': o.n}", '{"k":"1"}', '{"k":2}'),
        ("concat_ws('-', o.t, 'x')", '"a-x"', '"b-x"'), ("MAP {o.t: o.n}", '{"a":"1"}', '{"b":2}'),
        ("(o->'n') || ''", r'"\"1\""', '"2"'),
        ("json_merge_patch(o.n, '{\"a\": 1}')", '{"a":1}', '{"a":1}'), ("l[1]", '"1"', "null"),
    ],
)  # fmt: skip
def test_json_of_strings_and_numbers_is_what_it_is(project: LogProject, given: str, first: str, second: str) -> None:
    project.sources[0]["select"] = {"y": given}
    project.write("d/a.jsonl", jsonl(*ROWS))
    project.take()

    assert project.events("payload") == [f'{{"y":{first}}}', f'{{"y":{second}}}']


def test_a_column_of_strings_and_objects_is_taken_as_text_once_that_is_said(project: LogProject) -> None:
    project.sources[0]["select"] = {"y": "upper(m)"}
    rows = ({"id": "1", "seen": SEEN, "m": "x y"}, {"id": "2", "seen": SEEN, "m": {"a": 1.50}})
    project.write("d/a.jsonl", jsonl(*rows))
    with pytest.raises(BadMapping, match=r'say read = {types = {m = "VARCHAR"}} for its text, or JSON'):
        project.take()

    project.sources[0]["read"] = {"types": {"m": "VARCHAR"}}
    project.take()
    assert project.events("payload") == ['{"y":"X Y"}', r'{"y":"{\"A\":1.5}"}']


def test_what_is_said_to_be_json_is_taken_as_json(project: LogProject) -> None:
    project.columns["y"] = "VARCHAR"
    project.sources[0] |= {"read": {"types": {"o": "JSON"}}, "select": {"y": "o ->> 'n'", "z": "o.n || ''"}}
    project.write("d/a.jsonl", jsonl(*ROWS))
    project.take()

    assert project.events("y", "payload") == [("1", r'{"z":"\"1\""}'), ("2", '{"z":"2"}')]


@pytest.mark.parametrize("setting", ["select", "where", "query", "occurred_at"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_no_row_is_set_aside_by_what_compares_a_text_with_a_number(
    project: LogProject, setting: str, kind: str
) -> None:
    compared = "nullif(c, 7)"
    project.columns["x"] = "BIGINT"
    if setting == "query":
        project.sources[0] = {"name": "s", "path": "d/*", "query": f"{EVENT}, {compared} AS x FROM source"}
    elif setting == "where":
        project.sources[0]["where"] = f"{compared} IS NOT NULL"
    elif setting == "occurred_at":
        project.sources[0]["occurred_at"] = f"CASE WHEN {compared} IS NULL THEN NULL ELSE seen END"
    else:
        project.sources[0]["select"] = {"x": compared}
    values = ("6", "9007199254740993", "zzz")
    if kind == "csv":
        project.write("d/a.csv", csv("id,seen,c", *(f"{v},{SEEN},{v}" for v in values)))
    else:
        project.write("d/a.jsonl", jsonl(*({"id": v, "seen": SEEN, "c": v} for v in values)))

    with pytest.raises(BadMapping, match="it compares c, which is text, with a value of INTEGER"):
        project.take(max_bad_rows=5)
    assert not project.open().quarantine.list()


def test_a_row_that_is_set_aside_for_another_reason_makes_no_text_of_a_column(project: LogProject) -> None:
    project.columns["x"] = "BIGINT"
    project.sources[0]["select"] = {"x": "nullif(c, 7)"}
    project.write("d/a.csv", csv("id,seen,c", f"a,{SEEN},6", f"b,{SEEN},9007199254740993", "c,soon,zzz"))

    assert project.take(max_bad_rows=5).quarantined == 1
    assert project.events("event_id", "x") == [("a", 6), ("b", 9007199254740993)]


def test_the_latest_json_is_taken_by_a_time_and_is_in_no_order_itself(project: LogProject) -> None:
    query = "SELECT id AS event_id, 't' AS type, seen AS occurred_at, arg_max({}) AS y FROM source GROUP BY ALL"
    project.sources[0] = {"name": "s", "path": "d/*", "query": query.format("seen, o.n")}
    project.write("d/a.jsonl", jsonl(*ROWS))
    with pytest.raises(BadMapping, match="it takes a value of o as text"):
        project.take()

    project.sources[0]["query"] = query.format("o.n, seen")
    project.take()
    assert sorted(project.events("payload")) == ['{"y":"1"}', '{"y":2}']
