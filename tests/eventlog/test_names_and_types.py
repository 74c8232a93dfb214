"""Names that the engine folds, patterns that it sees in paths, and types whose values a cast would change."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import BadFile, BadMapping, BadReading, BadRow, CutColumn
from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources.cursor import beyond_a_row
from support.log_project import LogProject, csv, jsonl
from support.log_project import parquet as write_parquet

if TYPE_CHECKING:
    from pathlib import Path

SEEN = "2026-01-01T00:00:00Z"


def parquet(project: LogProject, name: str, **columns: Any) -> None:
    """A file whose rows have one time, as a text."""
    write_parquet(project, name, **{"seen": [SEEN] * len(next(iter(columns.values())))} | columns)


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    for folder in ("p1", "p[1]"):
        project = LogProject(tmp_path / folder)
        project.source("s", path="d/*")
        (project.root / "d").mkdir(parents=True)
        parquet(project, "a[1].parquet", id=[f"odd-{folder}"])
        parquet(project, "a1.parquet", id=[f"plain-{folder}"])
        project.take()

        assert set(project.events("event_id")) == {f"odd-{folder}", f"plain-{folder}"}


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("BIGINT", 1.5, "n = '1.5' does not fit into BIGINT"),
        ("DECIMAL(9,2)", 1.005, "n = '1.005' does not fit into DECIMAL"),
        ("DATE", "2026-01-01T10:00:00", "does not fit into DATE"),
        ("DOUBLE", 123456789012345678, "does not fit into DOUBLE"),
    ],
)
@pytest.mark.parametrize("made", ["body -> '$.a'", "n"])
def test_a_value_of_json_fits_whole_or_not(project: LogProject, kind: str, value: object, said: str, made: str) -> None:
    project.columns = {"n": kind}
    project.sources[0]["select"] = {"n": made}
    row = {"id": "a", "seen": SEEN, "body": json.dumps({"a": value}), "n": value}
    project.write("d/a.jsonl", jsonl(row, {**row, "id": "b", "body": json.dumps({"a": None}), "n": None}))

    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined, project.events("n")) == (1, 1, [None])
    assert said.partition("'")[0].strip() in project.open().quarantine.list()[0].misfit.reason


def test_texts_numbers_and_truths_of_json_become_what_they_are(project: LogProject) -> None:
    project.columns = {"n": "DECIMAL(9,2)", "b": "BOOLEAN", "d": "DATE"}
    project.sources[0]["select"] = {"n": "body -> '$.n'", "b": "body -> '$.b'", "d": "body -> '$.d'"}
    row = json.dumps({"n": 1.5, "b": True, "d": "2026-01-01"})
    project.write("d/a.jsonl", jsonl({"id": "a", "seen": SEEN, "body": row}, {"id": "b", "seen": SEEN, "body": "{}"}))
    project.take()

    assert project.events("n", "b", "d") == [(Decimal("1.50"), True, date(2026, 1, 1)), (None, None, None)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([123456789012345678]), "DOUBLE"),
        (pa.array([Decimal("1.234567890123456789")], pa.decimal128(38, 18)), "DOUBLE"),
        (pa.array(["1.5"]).dictionary_encode(), "BIGINT"),
    ],
)
def test_a_number_of_parquet_that_its_column_would_round_does_not_fit(
    project: LogProject, values: pa.Array, kind: str
) -> None:
    project.columns = {"n": kind}
    parquet(project, "a.parquet", n=values)

    assert project.take(max_bad_rows=1).quarantined == 1


@pytest.mark.parametrize("kind", ["INT", "bigint", "DECIMAL(9)", "DECIMAL(99,2)", "DECIMAL(2,3)", "NOSUCH"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_type_that_is_none_of_those_that_may_be_said_is_refused(project: LogProject, kind: str, ending: str) -> None:
    project.sources[0] |= {"read": {"types": {"price": kind}}, "select": {"twice": "price * 2"}}
    text = (
        csv("id,seen,price", f"a,{SEEN},1.26") if ending == "csv" else jsonl({"id": "a", "seen": SEEN, "price": 1.26})
    )
    project.write(f"d/a.{ending}", text)

    with pytest.raises(BadReading, match=r"types.*DECIMAL\(p,s\)"):
        project.take()


def test_a_type_of_no_column_is_refused_with_the_one_that_is_meant(project: LogProject) -> None:
    project.sources[0]["read"] = {"types": {"prise": "DECIMAL(9,2)"}}
    project.write("d/a.csv", csv("id,seen,price", f"a,{SEEN},1.26"))

    with pytest.raises(BadReading, match=r"names 'prise', which no file has \(did you mean 'price'\?\)"):
        project.take()


def test_names_with_quotes_in_them_are_found_in_expressions(project: LogProject) -> None:
    project.sources[0]["where"] = '"it\'s" > "don\'t" AND "ab""" < 11'
    project.write("d/a.csv", csv('id,seen,it\'s,don\'t,"ab"""', f"a,{SEEN},10,9,9", f"b,{SEEN},9,10,9"))
    project.take()

    assert project.events("event_id") == ["a"]


def test_a_comment_in_a_query_hides_no_column(project: LogProject) -> None:
    query = "-- it's the later one\nSELECT id AS event_id, 't' AS type, seen AS occurred_at FROM source "
    query += "WHERE a > b AND id <> 'z'"
    project.sources[0] = {"name": "s", "path": "d/*", "query": query}
    project.write("d/a.csv", csv("id,seen,a,b", f"x,{SEEN},10,9", f"y,{SEEN},9,10"))
    project.take()

    assert project.events("event_id") == ["x"]


@pytest.mark.parametrize(
    "made",
    [
        "/* the customer's n-th */ SELECT *, row_number() OVER (ORDER BY id) AS n FROM source",
        "SELECT max_by(a, b) FROM source",
        'SELECT * FROM source JOIN "source" s USING (id)',
        'SELECT * FROM "source" WHERE id IN (SELECT id FROM source)',
        "SELECT * FROM source USING SAMPLE 10 ROWS",
        "SELECT bit_or(a) FROM source",
    ],
)
def test_what_looks_beyond_a_row_is_told(made: str) -> None:
    assert beyond_a_row(SourceSettings.model_validate({"name": "s", "path": "x.csv", "query": made}))


@pytest.mark.parametrize("made", ["SELECT 'over (x)' AS a FROM source -- sum(", 'SELECT "count" FROM source'])
def test_what_only_speaks_of_more_rows_looks_at_its_own(made: str) -> None:
    assert not beyond_a_row(SourceSettings.model_validate({"name": "s", "path": "x.csv", "query": made}))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(("one", "other"), [("É", "é"), ("k", "\N{KELVIN SIGN}")])
def test_letters_beyond_a_to_z_are_told_apart_by_case(project: LogProject, ending: str, one: str, other: str) -> None:
    project.sources[0]["select"] = {"x": f'"{one}"', "y": f'"{other}"', "z": f'"{one}" + 1'}
    if ending == "parquet":
        parquet(project, "a.parquet", **{one: [1], other: [2]})
    elif ending == "csv":
        project.write("d/a.csv", csv(f"id,seen,{one},{other}", f"a,{SEEN},1,2"))
    else:
        project.write("d/a.jsonl", json.dumps({"id": "a", "seen": SEEN, one: 1, other: 2}, ensure_ascii=False) + "\n")
    project.take()

    (payload,) = project.events("payload")
    assert {name: int(value) for name, value in json.loads(payload).items()} == {"x": 1, "y": 2, "z": 2}


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("name", ["_row", "_FILE", "_at"])
def test_a_column_called_as_a_rows_place_is_refused(project: LogProject, ending: str, name: str) -> None:
    if ending == "parquet":
        parquet(project, "a.parquet", **{name: [7]})
    else:
        row = {"id": "a", "seen": SEEN, name: 7}
        project.write(f"d/a.{ending}", jsonl(row) if ending == "jsonl" else csv(",".join(row), f"a,{SEEN},7"))

    with pytest.raises(BadFile, match=f"its column '{name}' has the name of something that an import keeps"):
        project.take()


@pytest.mark.parametrize("kind", ["TIMESTAMP", "DATE"])
@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2026-01-01 00:00:00 Asia/Tokyo", False), ("2026-01-01 00:00:00 CET", False), ("2026-01-01 00:00:00", True),
        ("2026-01-01T00:00:00Z", True), ("2026-01-01 00:00:00 UTC", True),
    ],
)  # fmt: skip
def test_a_zone_with_a_name_that_a_time_would_lose_does_not_fit(
    project: LogProject, kind: str, text: str, *, fits: bool
) -> None:
    project.columns = {"at": kind}
    project.write("d/a.csv", csv("id,seen,at", f"a,{SEEN},{text}"))

    assert project.take(max_bad_rows=1).added == fits


def test_what_is_no_number_of_json_stands_in_quotes_inside_of_others_too(project: LogProject) -> None:
    project.sources[0]["select"] = {"x": "x", "y": "y", "z": "z"}
    values = [float("nan"), 1.5, float("-inf")]
    parquet(project, "a.parquet", x=[values], y=[{"v": float("inf"), "t": 'say "NaN, Infinity"'}], z=[values[1]])
    project.take()

    (payload,) = project.events("payload")
    assert json.loads(payload, parse_constant=pytest.fail) == {
        "x": ["nan", 1.5, "-inf"], "y": {"v": "inf", "t": 'say "NaN, Infinity"'}, "z": 1.5,
    }  # fmt: skip


def test_an_id_of_joined_lists_is_as_it_was(project: LogProject) -> None:
    project.sources[0]["event_id"] = "(tags || ['x'])[1] || '-' || array_to_string(tags || tags, '+')"
    project.write("d/a.jsonl", jsonl({"id": "a", "seen": SEEN, "tags": ["v", "w"]}))
    project.take()

    assert project.events("event_id") == ["v-v+w+v+w"]


def test_a_folder_without_a_value_is_an_empty_text(project: LogProject) -> None:
    project.sources[0] |= {"path": "d/**/*", "select": {"x": "x"}}
    project.write("d/x=/a.jsonl", jsonl({"id": "a", "seen": SEEN}))
    project.take()

    assert project.events("payload") == ['{"x":""}']


def test_a_file_that_comes_later_has_its_own_types(project: LogProject) -> None:
    project.columns = {"n": "BIGINT"}
    project.sources[0] |= {"event_id": "p", "select": {"n": "p"}}
    parquet(project, "a.parquet", p=[1.0])
    project.take()
    parquet(project, "b.parquet", p=[9007199254740993, 9007199254740992])
    project.take()

    assert project.events("event_id", "n") == [
        ("1.0", 1), ("9007199254740992", 9007199254740992), ("9007199254740993", 9007199254740993),
    ]  # fmt: skip


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        (
            (pa.array([Decimal("1.10")], pa.decimal128(5, 2)), pa.array([Decimal("1.100")], pa.decimal128(6, 3))),
            ["1.10", "1.100"],
        ),
        ((pa.array([date(2026, 1, 1)]), pa.array([0], pa.timestamp("us"))), ["2026-01-01", "1970-01-01 00:00:00"]),
        ((pa.array([5]), pa.array([1.5])), ["5", "1.5"]),
    ],
)  # fmt: skip
def test_a_value_of_parquet_is_what_it_is_in_its_own_file(
    project: LogProject, columns: tuple[pa.Array, pa.Array], texts: list[str], *, at_once: bool
) -> None:
    project.columns = {"t": "VARCHAR"}
    project.sources[0] |= {"event_id": "'x' || p", "select": {"t": "p", "p": "p"}}
    for name, column in zip("ab", columns, strict=True):
        parquet(project, f"{name}.parquet", p=column)
        if not at_once:
            project.take()
    project.take()

    found = project.events("event_id", "t", "payload")
    assert {one[:2] for one in found} == {(f"x{text}", text) for text in texts}
    # What a number ends with is not said in JSON.
    payloads = {one[1]: json.loads(one[2], parse_float=str, parse_int=str)["p"] for one in found}
    assert payloads == {text: "1.1" if text.startswith("1.1") else text for text in texts}
    project.open().log.forget("s")
    assert project.take().added == 0


def test_a_csv_file_may_lack_a_column_that_others_have(project: LogProject) -> None:
    project.sources[0] |= {"select": {"p": "upper(p)"}, "where": "p IS NULL OR p <> 'z'"}
    project.write("d/0.csv", csv("id,seen,p", f"a,{SEEN},x"))
    project.write("d/1.csv", csv("id,seen", f"b,{SEEN}"))
    project.take()
    project.write("d/1.csv", csv("id,seen", f"b,{SEEN}", f"c,{SEEN}"))
    project.write("d/2.csv", csv("id,seen", f"d,{SEEN}"))
    project.take()

    assert dict(project.events("event_id", "payload")) == {"a": '{"p":"X"}', **dict.fromkeys("bcd", '{"p":null}')}


def test_a_decimal_without_a_whole_digit_is_a_number_of_json(project: LogProject) -> None:
    project.sources[0]["select"] = {"p": "p", "q": "q"}
    wide = pa.decimal128(19, 19)
    half = Decimal("0.5")
    parquet(project, "a.parquet", p=pa.array([half, -half], wide), q=pa.array([[half, None], [-half]], pa.list_(wide)))
    project.take()

    found = [json.loads(one, parse_float=Decimal) for one in project.events("payload")]
    assert found == [{"p": half, "q": [half, None]}, {"p": -half, "q": [-half]}]


def test_fields_of_a_struct_that_differ_by_case_are_refused(project: LogProject) -> None:
    struct = pa.struct([("n", pa.list_(pa.struct([("a", pa.int64()), ("A", pa.int64())])))])
    parquet(project, "a.parquet", p=pa.array([{"n": [(1, 2)]}], struct))

    with pytest.raises(CutColumn, match="its column 'p' holds fields 'a' and 'A', of which the engine would call one"):
        project.take()


def test_the_row_that_spells_a_nested_name_otherwise_is_set_aside(project: LogProject) -> None:
    project.sources[0]["select"] = {"n": "p.a"}
    project.write(
        "d/a.jsonl", jsonl(*({"id": name, "seen": SEEN, "p": {key: 1}} for name, key in zip("xyz", "aaA", strict=True)))
    )

    assert project.take(max_bad_rows=1).quarantined == 1
    assert project.events("event_id") == ["x", "y"]


def test_nanoseconds_with_a_zone_become_a_time_without_one(project: LogProject) -> None:
    project.columns = {"t": "TIMESTAMP", "z": "TIMESTAMPTZ"}
    times = pa.array([1_767_225_600_000_001_000, 1_767_225_600_000_000_001], pa.timestamp("ns", "UTC"))
    parquet(project, "a.parquet", t=times, z=times)

    assert project.take(max_bad_rows=1).quarantined == 1
    assert [(str(t), str(z)) for t, z in project.events("t", "z")] == [
        ("2026-01-01 00:00:00.000001", "2026-01-01 00:00:00.000001+00:00")
    ]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_folder_with_two_signs_of_equality_is_no_column(project: LogProject, ending: str) -> None:
    project.sources[0]["path"] = "d/**/*"
    (project.root / "d" / "k=a=b").mkdir()
    row = {"id": "a", "seen": SEEN}
    if ending == "parquet":
        parquet(project, "k=a=b/a.parquet", id=["a"])
    else:
        project.write(
            f"d/k=a=b/a.{ending}", jsonl(row) if ending == "jsonl" else csv(",".join(row), ",".join(row.values()))
        )

    assert project.take().added == 1


@pytest.mark.parametrize(("one", "other"), [("Ä", "ä"), ("ß", "ẞ")])
def test_files_whose_columns_differ_in_letters_beyond_a_to_z_keep_both(
    project: LogProject, one: str, other: str
) -> None:
    project.sources[0]["select"] = {"x": f'"{one}"', "y": f'"{other}"'}
    parquet(project, "a.parquet", **{one: [1]})
    parquet(project, "b.parquet", **{other: [2]})
    project.take()

    assert [json.loads(payload) for payload in project.events("payload")] == [{"x": 1, "y": None}, {"x": None, "y": 2}]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_column_that_comes_later_and_that_nobody_names_is_told_once(project: LogProject, ending: str) -> None:
    project.columns = {"declared": "VARCHAR"}
    project.sources[0]["select"] = {"v": "v"}

    def put(name: str, **row: str) -> None:
        given = {"id": name, "seen": SEEN, **row}
        if ending == "parquet":
            parquet(project, f"{name}.parquet", **{key: [one] for key, one in given.items()})
        else:
            text = jsonl(given) if ending == "jsonl" else csv(",".join(given), ",".join(given.values()))
            project.write(f"d/{name}.{ending}", text)

    put("a", v="1", left_out="x")
    assert project.take().unnamed == {}
    put("b", v="1", coupon="SAVE10", declared="x")
    assert project.take(dry_run=True).unnamed == {"s": ["coupon"]}
    assert project.take().unnamed == {"s": ["coupon"]}
    put("c", v="1", coupon="SAVE10")
    assert project.take().unnamed == {}


def test_a_struct_with_a_fraction_is_retried_and_set_aside(project: LogProject) -> None:
    project.sources[0]["select"] = {"o": "o", "d": "o.d"}
    rows = [{"id": "a", "seen": SEEN, "o": {"d": 1.25}}, {"id": "b", "seen": "soon", "o": {"d": 1.5}}]
    project.write("d/a.jsonl", jsonl(*rows) + '{"id": "c"\n' + jsonl({"id": "d", "seen": SEEN}))
    done = project.take(max_bad_rows=2)
    assert (done.added, done.quarantined) == (2, 2)

    project.sources[0]["occurred_at"] = "coalesce(TRY_CAST(seen AS TIMESTAMPTZ), TIMESTAMPTZ '2026-01-02 00:00:00Z')"
    quarantine = project.open().quarantine
    assert quarantine.retry([one.id for one in quarantine.list()]).added == 1
    assert project.events("payload")[-1] == '{"o":{"d":1.5},"d":1.5}'


@pytest.mark.parametrize("made", ["q + 2", "q * 2", "(q) * 2 * q"])
def test_a_multiplication_is_no_star(project: LogProject, made: str) -> None:
    project.sources[0]["select"] = {"e": made, "b": "b"}
    for at, b in enumerate((1, 1.5)):
        project.write(f"d/{at}.jsonl", jsonl({"id": f"{at}", "seen": SEEN, "q": 2, "b": b}))
        project.take()

    assert [json.loads(one)["b"] for one in project.events("payload")] == [1, 1.5]


def test_a_first_row_of_a_file_without_names_may_not_fit(project: LogProject) -> None:
    project.columns = {"x": "VARCHAR"}
    project.sources[0]["read"] = {"names": ["id", "seen", "x"]}
    project.write("d/a.csv", f"a,{SEEN}\nb,{SEEN},y\nc,{SEEN},z,more\n")

    assert (project.take(max_bad_rows=2).quarantined, project.events("event_id", "x")) == (2, [("b", "y")])


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("where", ["a > 0", "a IS NOT NULL", "id <> 'z' AND a > 0"])
def test_a_value_that_a_where_needs_and_that_is_none_of_its_type_is_set_aside(
    project: LogProject, ending: str, where: str
) -> None:
    project.sources[0] |= {"where": where, "read": {"types": {"a": "BIGINT"}}}
    rows = [{"id": "x", "seen": SEEN, "a": 1}, {"id": "y", "seen": SEEN, "a": "n/a"}, {"id": "z", "seen": SEEN, "a": 0}]
    text = jsonl(*rows) if ending == "jsonl" else csv("id,seen,a", *(",".join(map(str, one.values())) for one in rows))
    project.write(f"d/a.{ending}", text)
    with pytest.raises(BadRow, match=rf"d/a.{ending} row 2: a = .*n/a.* is no BIGINT"):
        project.take()
    done = project.take(max_bad_rows=1)

    assert (done.quarantined, "y" in project.events("event_id")) == (1, False)
    assert "x" in project.events("event_id")


@pytest.mark.parametrize(("name", "key"), [("later", "later"), ("a b", '"a b"'), ("%s", '"%s"'), ("é", '"é"')])
def test_the_advice_for_a_field_that_no_row_has_can_be_copied(project: LogProject, name: str, key: str) -> None:
    project.sources[0]["select"] = {"x": f'"{name}" || 1'}
    project.write("d/a.jsonl", '{"id": "a", "seen": "2026-01-01T00:00:00Z"}\n')
    with pytest.raises(DualgaugeError) as caught:
        project.take()

    assert f'read = {{types = {{{key} = "VARCHAR"}}}}' in str(caught.value)


EVENT = "id AS event_id, 't' AS type, seen AS occurred_at"


@pytest.mark.parametrize(
    ("query", "alike"),
    [
        (f"SELECT {EVENT}, b AS a, a FROM source;", "two columns 'a'"),
        (f"SELECT {EVENT}, b, a AS B FROM source -- all of it", "columns 'b' and 'B', which differ by case alone"),
        (f"WITH s AS (FROM source) SELECT {EVENT}, b AS n, a AS n, id AS n FROM s ORDER BY 1", "two columns 'n'"),
    ],
)
def test_a_query_that_gives_columns_that_are_called_alike_is_refused(tmp_path: Path, query: str, alike: str) -> None:
    project = LogProject(tmp_path, columns={"a": "BIGINT"})
    project.source("s", path="s.csv", query=query)
    project.write("s.csv", csv("id,seen,a,b", f"1,{SEEN},5,7"))

    with pytest.raises(BadMapping, match=f"^source 's': query: it gives {alike}: give one another name; "):
        project.take()
    project.sources[0]["query"] = f"WITH s AS (FROM source) SELECT {EVENT}, b AS x, a AS x_1 FROM s"
    assert project.take().added == 1
    assert project.events("payload") == ['{"x":7,"x_1":5}']


@pytest.mark.parametrize(
    ("made", "alike"),
    [
        ("pyarrow.table([['1'], [5], [7]], names=['id', 'a', 'a'])", "two columns 'a'"),
        ("pyarrow.table([['1'], [5], [7]], names=['id', 'a', 'A']).to_reader()", "columns 'a' and 'A', which differ"),
        ("pandas.DataFrame([['1', 5, 7]], columns=['id', 'a', 'a'])", "two columns 'a'"),
    ],
)
def test_an_object_that_has_columns_that_are_called_alike_is_refused(tmp_path: Path, made: str, alike: str) -> None:
    project = LogProject(tmp_path, columns={"a": "BIGINT"})
    project.source("s", python="frames:found", occurred_at=f"'{SEEN}'")
    project.write("frames.py", f"import pandas\nimport pyarrow\n\nfound = {made}\n")

    with pytest.raises(BadMapping, match=f"^source 's': python: it gives {alike}"):
        project.take()
    assert project.log().head().last == 0


@pytest.mark.parametrize("names", [("a", "A"), ("A", "a"), ("amount", "Amount")])
def test_names_in_select_that_differ_by_case_alone_are_refused(project: LogProject, names: tuple[str, str]) -> None:
    project.source("s", path="s.csv", select=dict(zip(names, ("x", "y"), strict=True)))
    project.write("s.csv", f"id,seen,x,y\n1,{SEEN},fromx,fromy\n")
    with pytest.raises(DualgaugeError, match=f"'{names[0]}' and '{names[1]}' in select differ by case alone"):
        project.take()


def test_the_name_of_a_folder_is_text_whatever_the_others_are(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*/*.csv", select={"zip": "zip"})
    project.write("d/zip=12345/a.csv", f"id,seen\n1,{SEEN}\n")
    project.take()
    project.write("d/zip=007/b.csv", f"id,seen\n2,{SEEN}\n")
    project.take()

    assert [json.loads(one) for one in project.events("payload")] == [{"zip": "12345"}, {"zip": "007"}]
