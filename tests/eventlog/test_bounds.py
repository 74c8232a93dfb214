"""Bounds of the readers of files: the last digit, the end of a block, the case of a name: where a slip would show."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.errors import BadFile, BadRow, ChangedEvent, CutColumn, UnlikeColumn
from support.log_project import LogProject, csv, jsonl, parquet


@pytest.mark.parametrize("fraction", ["1234560001", "000000001"])
def test_a_fraction_with_noughts_behind_its_microseconds_does_not_fit(project: LogProject, fraction: str) -> None:
    project.columns = {"t": "TIMESTAMP"}
    rows = [{"id": "a", "seen": "2026-01-01", "t": f"2026-01-01 00:00:00.{fraction}"}]
    project.write("d/a.jsonl", jsonl(*rows, {"id": "b", "seen": "2026-01-01", "t": "2026-01-01 00:00:00.123456000"}))

    with pytest.raises(BadRow, match=r"row 1: t = .* does not fit into TIMESTAMP without loss"):
        project.take()
    assert project.take(max_bad_rows=1).quarantined == 1
    assert [str(one) for one in project.events("t")] == ["2026-01-01 00:00:00.123456"]


@pytest.mark.parametrize(
    ("text", "fits"), [("0.30000000000000004", True), ("0.300000000000000040", True), ("0.300000000000000041", False)]
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_double_takes_17_digits(project: LogProject, ending: str, text: str, *, fits: bool) -> None:
    project.columns = {"x": "DOUBLE"}
    line = f'{{"id": "a", "seen": "2026-01-01", "x": {text}}}\n'
    project.write(f"d/a.{ending}", line if ending == "jsonl" else csv("id,seen,x", f"a,2026-01-01,{text}"))
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (fits, not fits)
    assert project.events("x") == [0.30000000000000004] * fits


@pytest.mark.parametrize("text", ["9" * 38, "9" * 30 + "." + "9" * 8, "-" + "9" * 38])
def test_a_number_of_38_digits_is_one_in_an_expression(project: LogProject, text: str) -> None:
    project.sources[0]["select"] = {"x": "-n"}
    project.write("d/a.csv", csv("id,seen,n", f"a,2026-01-01,{text}"))
    project.take()

    assert project.events("payload") == [f'{{"x":{("-" + text).removeprefix("--")}}}']


@pytest.mark.parametrize("name", ["A.TSV", "a.Tsv.gz", "A.TSV.GZ"])
def test_a_file_of_tabs_is_one_in_capitals_too(project: LogProject, name: str) -> None:
    project.sources[0]["select"] = {"x": '"a,b,c,d"'}
    text = b"id\tseen\ta,b,c,d\n1\t2026-01-01\tx\n"
    (project.root / "d" / name).write_bytes(gzip.compress(text) if name.lower().endswith(".gz") else text)
    project.take()

    assert project.events("event_id", "payload") == [("1", '{"x":"x"}')]


BLOCK = 1 << 20


@pytest.mark.parametrize("at", range(-3, 4))
@pytest.mark.parametrize("value", ['''  "x"''', """"x"  """])
def test_blanks_around_quotes_are_told_wherever_a_block_ends(project: LogProject, value: str, at: int) -> None:
    logs = []
    for lead in (BLOCK, 100):
        inner = LogProject(project.root / str(lead), columns={"x": "VARCHAR"})
        inner.source("s", path="d/a.csv")
        start = "id,x,seen\n"
        row = "k" * (lead - len(start) - 3 + at)
        inner.write("d/a.csv", f'{start}{row},{value},2026-01-01\nlast,"y",2026-01-02\n')
        try:
            inner.take()
            logs.append(inner.events("x"))
        except BadFile:
            logs.append(["refused"])

    assert logs[0] == logs[1]


def test_a_row_that_goes_over_lines_and_is_too_long_is_one_row(project: LogProject) -> None:
    project.write("d/a.csv", 'id,seen,x\n1,2026-01-01,"a\nplain,2026-01-02,y\nz",4\n2,2026-01-03,x\n')
    done = project.take(max_bad_rows=5)

    waiting = project.open().quarantine.list()
    assert (done.added, done.quarantined) == (1, 1)
    assert [(one.misfit.row, one.misfit.line, one.misfit.raw) for one in waiting] == [
        (1, 2, '1,2026-01-01,"a\nplain,2026-01-02,y\nz",4')
    ]


@pytest.mark.parametrize("folder", ["year", "YEAR"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_column_of_a_file_is_read_also_where_its_folder_spells_it_otherwise(
    project: LogProject, ending: str, folder: str
) -> None:
    project.sources[0] |= {"path": "d/**/*", "select": {"y": "YEAR"}}
    row = {"id": "a", "seen": "2026-01-01", "Year": "2025"}
    text = jsonl(row) if ending == "jsonl" else csv(",".join(row), ",".join(row.values()))
    project.write(f"d/{folder}=2026/a.{ending}", text)
    project.take()

    assert project.events("payload") == ['{"y":"2025"}' if ending == "jsonl" else '{"y":2025}']


@pytest.mark.parametrize(
    ("number", "fits"), [(2**63 - 1, True), (2**63, False), (-(2**63), True), (-(2**63) - 1, False)]
)
def test_a_number_of_a_struct_fits_a_bigint_or_is_told(project: LogProject, number: int, *, fits: bool) -> None:
    project.sources[0]["select"] = {"n": "p.id"}
    project.write("d/1.jsonl", jsonl({"id": "a", "seen": "2026-01-01", "p": {"id": 1}}))
    project.take()
    project.write("d/2.jsonl", jsonl({"id": "b", "seen": "2026-01-02", "p": {"id": number}}))
    if not fits:
        with pytest.raises(BadRow, match=f"d/2.jsonl row 1: p.id = {number} is no BIGINT"):
            project.take()
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (fits, not fits)
    assert project.events("payload") == ['{"n":1}', f'{{"n":{number}}}'][: 1 + fits]


@pytest.mark.parametrize("size", [4095, 4096, 4097, 4096 + (1 << 20)])
def test_an_array_with_blanks_behind_it_is_whole_at_the_end_of_a_block(project: LogProject, size: int) -> None:
    text = '[{"id": "a", "seen": "2026-01-01", "x": ""}]'
    text = text.replace('"x": ""', f'"x": "{"y" * (size - len(text))}"')
    assert len(text) == size
    project.write("d/a.json", text + "\n")
    project.take()

    assert project.events("event_id") == ["a"]

    project.write("d/b.json", text[:-1] + " \n")
    with pytest.raises(BadFile, match="its array is not closed"):
        project.take()


@pytest.mark.parametrize(
    ("text", "shown"), [("007", '"007"'), ("7", "7"), ("-7", "-7"), ("-07", '"-07"'), ("0", "0"), ("1.5", '"1.5"')]
)
def test_the_name_of_a_folder_is_a_code_in_json_too(project: LogProject, text: str, shown: str) -> None:
    project.sources[0] |= {"path": "d/**/*", "select": {"zip": "zip"}}
    project.write(f"d/zip={text}/a.jsonl", jsonl({"id": "a", "seen": "2026-01-01"}))
    project.take()

    assert project.events("payload") == [f'{{"zip":{shown}}}']


@pytest.mark.parametrize("joined", ["'x-' || n", "concat('x-', n)", "concat_ws('-', 'x', n)", "CONCAT_WS('-', 'x', n)"])
def test_an_id_that_is_joined_in_any_way_keeps_the_digits(project: LogProject, joined: str) -> None:
    project.sources[0] |= {"event_id": joined, "select": {"m": "n + 0"}}
    project.write("d/a.csv", csv("seen,n", "2026-01-01,1.10", "2026-01-01,2.5"))
    project.take()

    assert sorted(project.events("event_id")) == ["x-1.10", "x-2.5"]


@pytest.mark.parametrize("truth", [pa.array([True]), pa.array([{"n": True}]), pa.array([[True]])])
def test_a_truth_of_a_file_becomes_no_text_beside_another(project: LogProject, truth: pa.Array) -> None:
    project.sources[0]["where"] = "x IS NOT NULL"
    parquet(project, "a.parquet", x=truth)
    parquet(project, "b.parquet", x=pa.array(["true"]))

    with pytest.raises(UnlikeColumn, match=r"d/b.parquet: its column 'x' is VARCHAR, and .* in the rest of the source"):
        project.take()


FINE = 1_577_836_800_123_456_789


@pytest.mark.parametrize("of", ["key", "value"])
def test_times_of_int96_in_a_map_are_refused_by_name(project: LogProject, of: str) -> None:
    project.sources[0]["select"] = {"n": "CAST(n AS VARCHAR)"}
    time = pa.timestamp("ns")
    kind = pa.map_(time, pa.string()) if of == "key" else pa.map_(pa.string(), time)
    column = pa.array([[(FINE, "a") if of == "key" else ("a", FINE)]], kind)
    table = pa.table({"id": ["a"], "seen": ["2026-01-01"], "n": column})
    pq.write_table(table, project.root / "d" / "a.parquet", use_deprecated_int96_timestamps=True)

    with pytest.raises(CutColumn, match=r"d/a.parquet: its column 'n' holds times of INT96 finer than a microsecond"):
        project.take()


@pytest.mark.parametrize("declared", ["Amount", "AMOUNT", "amount"])
def test_a_value_that_does_not_fit_is_told_whatever_case_its_column_has(project: LogProject, declared: str) -> None:
    project.columns = {declared: "BIGINT"}
    project.write("d/a.csv", csv("id,seen,amount", "a,2026-01-01,1", "b,2026-01-01,2.5", "c,2026-01-01,x"))
    with pytest.raises(BadRow, match=r"row 2: .* does not fit into BIGINT without loss"):
        project.take()
    done = project.take(max_bad_rows=2)

    assert (done.added, done.quarantined, project.events(declared)) == (1, 2, [1])


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_an_endless_number_of_parquet_is_its_text_in_the_payload(project: LogProject, kind: pa.DataType) -> None:
    project.sources[0]["select"] = {"x": "x"}
    parquet(project, "a.parquet", x=pa.array([1.5, float("inf"), float("-inf"), float("nan"), None], kind))
    project.take()

    assert [json.loads(one) for one in project.events("payload")] == [
        {"x": 1.5}, {"x": "inf"}, {"x": "-inf"}, {"x": "nan"}, {"x": None},
    ]  # fmt: skip


def test_a_file_that_grew_twice_is_due_when_the_latest_of_its_rows_was(project: LogProject) -> None:
    project.sources.clear()
    project.source("kept", path="d/*.jsonl", order_by="file")
    project.source("timed", path="t/*.csv")
    file = project.write("d/1.jsonl", jsonl({"id": "k1", "seen": "2026-01-05"}))
    project.write("t/1.csv", csv("id,seen", "a,2026-01-01"))
    project.take(every=True)
    for at in (2, 3):
        with file.open("a", encoding="utf-8") as out:
            out.write(jsonl({"id": f"k{at}", "seen": f"2026-01-0{at}"}))
        project.write(f"t/{at}.csv", csv("id,seen", f"b{at},2026-01-04"))
        project.take(every=True)

    assert project.events("event_id") == ["a", "k1", "b2", "k2", "b3", "k3"]


@pytest.mark.parametrize(
    "read",
    [{"skip": 1}, {"skip": 3}, {"skip": 1, "names": ["id", "seen", "x"], "header": False}, {"skip": 1, "comment": "#"}],
)
def test_a_row_of_a_file_with_lines_before_it_is_mended_as_any_other(project: LogProject, read: dict[str, Any]) -> None:
    project.columns = {"x": "BIGINT"}
    project.sources[0]["read"] = read
    head = ["made by hand"] * read["skip"] + ([] if "names" in read else ["id,seen,x"])
    project.write("d/a.csv", "\n".join([*head, "a,2026-01-01,1", "b,2026-01-02,two", "c,2026-01-03,3"]) + "\n")
    assert project.take(max_bad_rows=1).quarantined == 1
    quarantine = project.open().quarantine
    (one,) = quarantine.list()
    done = quarantine.retry([one.short], text="b,2026-01-02,2")

    assert (done.added, done.waiting) == (1, 0)
    assert sorted(project.events("event_id", "x")) == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("9007199254740993", "9007199254740992"),
        ("0.30000000000000001", "0.3"),
        ("1.000000000000001", "1.0000000000000011"),
        ("9007199254740993.0", "9007199254740992.0"),
        ("900719925474099.3", "900719925474099.2"),
    ],
)
def test_an_event_whose_number_has_another_last_digit_is_another_one(project: LogProject, one: str, two: str) -> None:
    project.sources[0]["select"] = {"n": "n", "o": "o"}
    for at, number in enumerate((one, two)):
        project.write(f"d/{at}.jsonl", f'{{"id": "a", "seen": "2026-01-01", "o": {{"p": {number}}}, "n": {number}}}\n')
    project.sources[0]["path"] = "d/0.jsonl"
    project.take()
    project.sources[0]["path"] = "d/*"

    with pytest.raises(ChangedEvent, match="payload"):
        project.take()


@pytest.mark.parametrize("last", ["9999-12-31T00:00:01Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"])
def test_an_event_may_have_occurred_at_any_time_of_these_years(project: LogProject, last: str) -> None:
    project.write("d/a.csv", csv("id,seen", f"a,{last}", "b,2026-01-01"))
    project.take()
    project.write("d/b.csv", csv("id,seen", f"c,{last}"))
    project.take()

    times = [one.astimezone(UTC) for one in project.events("occurred_at")]
    assert sorted(times) == sorted(map(datetime.fromisoformat, (last, "2026-01-01T00:00:00Z", last)))
    project.verify()


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_time_of_the_last_year_fits(project: LogProject, kind: str, ending: str) -> None:
    project.columns = {"t": kind}
    day = "9999-12-30"
    if ending == "parquet":
        parquet(project, "a.parquet", t=pa.array([day]))
    else:
        row = {"id": "a", "seen": "2026-01-01", "t": day}
        project.write(f"d/a.{ending}", jsonl(row) if ending == "jsonl" else csv(",".join(row), ",".join(row.values())))
    project.take()

    assert [f"{one:%Y-%m-%d}" for one in project.events("t")] == [day]


NOT_ISO = [
    "2026-01-01 10:00 30", "2026-01-01T00:00:00.12345 6", "2026-01-01T00:00:00.1 -", "2026-01-01T00:00:00 6", "1/2/26",
    "01/02/03", "26-01-01", "2026-01-01T00:00:00+20:00", "2026-01-01T00:00:00-23:30", "2026-01-01T00:00:00+24:00",
    "epoch", "2026-01-01x", "2026-01-01 00:00:00 Z Z",
]  # fmt: skip
ISO = [
    "2026-01-01",
    "2026-1-1",
    "2026-01-01T00:00:00Z",
    "2026-01-01 00:00:00+00:00",
    " 2026-01-01 00:00 ",
    "2026/01/01",
]


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_time_that_is_not_written_as_one_is_set_aside_and_never_cut(
    project: LogProject, kind: str, ending: str
) -> None:
    project.columns = {"t": kind}
    texts = [*ISO, *NOT_ISO]
    rows = [{"id": f"{at:02d}", "seen": "2026-01-01", "t": text} for at, text in enumerate(texts)]
    lines = (
        [json.dumps(row) for row in rows] if ending == "jsonl" else ["id,seen,t", *(",".join(r.values()) for r in rows)]
    )
    project.write(f"d/a.{ending}", "".join(f"{line}\n" for line in lines))
    project.take(max_bad_rows=100)

    # Of an instant the zone counts, and is none to lose.
    instants = {"2026-01-01T00:00:00+20:00": "2025-12-31 04:00", "2026-01-01T00:00:00-23:30": "2026-01-01 23:30"}
    due = dict.fromkeys(ISO, "2026-01-01 00:00") | (instants if kind == "TIMESTAMPTZ" else {})
    ids, times = project.events("event_id"), project.events("t")
    found = {
        one: f"{time:%Y-%m-%d}{'' if kind == 'DATE' else f'{time: %H:%M}'}"
        for one, time in zip(ids, times, strict=True)
    }
    assert found == {f"{texts.index(text):02d}": time[: 10 if kind == "DATE" else None] for text, time in due.items()}


@pytest.mark.parametrize("text", ["not json", "{'a': 1}", "{", '{"a":1}x'])
def test_a_payload_that_is_no_json_is_set_aside(project: LogProject, text: str) -> None:
    project.sources[0]["select"] = {"payload": "v"}
    quoted = text.replace('"', '""')
    project.write("d/a.csv", csv("id,seen,v", f'a,2026-01-01,"{quoted}"', "b,2026-01-01,[1]", "c,2026-01-01,"))
    with pytest.raises(BadRow, match=r"row 1: payload = .* is no JSON"):
        project.take()
    assert project.take(max_bad_rows=1).added == 2
    assert project.events("payload") == ["[1]", None]
