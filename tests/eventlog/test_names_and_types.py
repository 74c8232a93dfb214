"""Names that the engine folds, patterns that it sees in paths, and types whose values a cast would change."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.errors import BadFile, BadReading
from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources.cursor import beyond_a_row
from support.log_project import LogProject, csv, jsonl

if TYPE_CHECKING:
    from pathlib import Path

SEEN = "2026-01-01T00:00:00Z"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path)
    found.source("s", path="d/*")
    (tmp_path / "d").mkdir()
    return found


def parquet(project: LogProject, name: str, **columns: Any) -> None:
    rows = len(next(iter(columns.values())))
    given = {"id": [f"{name}-{at}" for at in range(rows)], "seen": [SEEN] * rows} | columns
    pq.write_table(pa.table(given), project.root / "d" / name)


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


def test_what_is_said_of_csv_does_not_trouble_parquet_beside_it(project: LogProject) -> None:
    project.sources[0]["read"] = {"delim": ";"}
    project.write("d/a.csv", csv("id;seen", f"a;{SEEN}"))
    parquet(project, "b.parquet", id=["b"])
    project.take()

    assert project.events("event_id") == ["a", "b"]
