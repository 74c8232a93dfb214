"""Values that the engine would fold, round or swap on their way into the log, in files of every kind."""

from __future__ import annotations

import json
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import BadFile, BadMapping, BadRow, CutColumn, EmptyFile, UnlikeColumn
from dualgauge.ledger.misfit import RowState
from support.log_project import LogProject, csv, jsonl, parquet
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (pa.array([9007199254740993]), pa.array([1.5])),
        (pa.array([Decimal("1.123456789")], pa.decimal128(38, 9)), pa.array([Decimal("1.5")], pa.decimal128(38, 1))),
        (pa.array([2**64 - 1], pa.uint64()), pa.array([-1.5])),
        (pa.array([True]), pa.array([1])),
        (pa.array([5]), pa.array(["five"])),
        (pa.array([{"n": 5}]), pa.array([5])),
        (pa.array(["{'n': 5}"]), pa.array([{"n": 5}])),
        (pa.array([time(10)]), pa.array([date(2026, 1, 1)])),
        (pa.array([{"n": True}]), pa.array([{"n": 1}])),
        (pa.array([{"n": 9007199254740993}]), pa.array([{"n": 1.5}])),
        (pa.array([[Decimal("1.25")]], pa.list_(pa.decimal128(38, 2))), pa.array([[1.5]])),
    ],
)
@pytest.mark.parametrize("imports", [1, 2])
def test_a_column_of_another_type_is_refused_where_an_expression_needs_it(
    project: LogProject, one: pa.Array, two: pa.Array, *, imports: int
) -> None:
    project.sources[0] |= {"select": {"x": "x"}, "where": "x IS NOT NULL"}
    parquet(project, "a.parquet", x=one)
    if imports == 2:
        project.take()
    parquet(project, "b.parquet", x=two)

    with pytest.raises(
        UnlikeColumn, match=r"d/b.parquet: its column 'x' is .*, and .* in the rest of the source: what"
    ):
        project.take()


@pytest.mark.parametrize("imports", [1, 2])
def test_a_column_that_another_file_spells_otherwise_is_refused(project: LogProject, imports: int) -> None:
    project.sources[0]["select"] = {"x": "x"}
    parquet(project, "a.parquet", x=[1])
    if imports == 2:
        project.take()
    parquet(project, "b.parquet", X=[2])

    with pytest.raises(CutColumn, match=r"d/b.parquet: its column 'X' holds what is called 'x' in another file"):
        project.take()


def test_nested_values_of_several_files_keep_their_fields(project: LogProject) -> None:
    project.sources[0]["select"] = {"x": "x"}
    parquet(project, "a.parquet", x=pa.array([{"n": 1}], pa.struct([("n", pa.int32())])))
    parquet(project, "b.parquet", x=[{"n": 2**40, "m": "y"}])
    project.take()

    assert project.events("payload") == ['{"x":{"n":1}}', '{"x":{"n":1099511627776,"m":"y"}}']

    parquet(project, "c.parquet", x=[{"N": 3}])
    project.sources[0]["where"] = "x IS NOT NULL"
    project.open().log.forget("s")
    with pytest.raises(UnlikeColumn, match=r"d/b.parquet: its column 'x' is STRUCT"):
        project.take()


def test_values_that_the_type_of_all_files_holds_are_taken(project: LogProject) -> None:
    project.columns = {"x": "DECIMAL(18,1)"}
    parquet(project, "a.parquet", x=pa.array([7, None]), more=pa.array([1, 2]))
    parquet(project, "b.parquet", x=pa.array([1.5, float("nan")]))
    with pytest.raises(BadRow, match=r"x = 'nan' is no DECIMAL"):
        project.take()
    project.take(max_bad_rows=1)

    assert project.events("x") == [Decimal(7), Decimal("1.5"), None]


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (
            "DECIMAL(9,2)",
            pa.array([1.005]),
            "amount = '1.005' does not fit into DECIMAL(9,2) without loss: round(amount, 2)",
        ),
        ("DECIMAL(9,2)", pa.array([0.1 + 0.2]), "amount = '0.30000000000000004' does not fit"),
        ("DECIMAL(9,2)", pa.array([1e8]), "amount = '100000000.0' is no DECIMAL(9,2)"),
        ("DECIMAL(9,2)", pa.array([float("inf")]), "amount = 'inf' is no DECIMAL(9,2)"),
        ("DECIMAL(9,2)", pa.array([1.005], pa.float32()), "amount = '1.005' does not fit into"),
        ("BOOLEAN", pa.array([2]), "amount = '2' does not fit into BOOLEAN without loss"),
    ],
)
def test_a_number_of_parquet_fits_its_column_whole_or_not(
    project: LogProject, kind: str, values: pa.Array, said: str
) -> None:
    project.columns = {"amount": kind}
    parquet(project, "a.parquet", amount=values)

    with pytest.raises(BadRow) as refused:
        project.take()

    assert said in str(refused.value)


def test_a_time_of_parquet_finer_than_a_microsecond_is_a_row_that_does_not_fit(project: LogProject) -> None:
    times = pa.array([1_767_225_599_999_999_600, 1_767_225_600_000_001_000], pa.timestamp("ns", "UTC"))
    parquet(project, "a.parquet", seen=times)
    with pytest.raises(BadRow, match="is finer than a microsecond, which the log keeps"):
        project.take()
    done = project.take(max_bad_rows=2)

    assert (done.added, done.quarantined) == (1, 1)


def test_a_time_finer_than_a_microsecond_is_a_row_that_does_not_fit(project: LogProject) -> None:
    project.write("d/b.jsonl", '{"id": "e", "seen": "2026-01-01T00:00:01.1234567Z"}\n')
    with pytest.raises(BadRow, match="is finer than a microsecond, which the log keeps"):
        project.take()
    done = project.take(max_bad_rows=2)

    assert (done.added, done.quarantined) == (0, 1)
    project.sources[0]["occurred_at"] = "left(seen, 26) || 'Z'"
    assert project.open().quarantine.retry().added == 1


def test_columns_of_parquet_that_differ_by_case_are_refused(project: LogProject) -> None:
    parquet(project, "a.parquet", x=pa.array([1]), X=pa.array([2]))

    with pytest.raises(CutColumn, match=r"its column 'X' holds what 'x' holds too: the two names differ by case alone"):
        project.take()


def test_an_object_of_an_array_is_kept_as_it_is_and_mended_as_a_line_is(project: LogProject) -> None:
    project.columns = {"amount": "DECIMAL(18,2)", "r": "BIGINT"}
    project.sources[0] |= {"event_id": None, "select": {"r": "x * 2", "y": "y"}}
    bad = {"seen": "soon", "x": 1, "amount": 1.01, "y": {"v": [1.5, None]}}
    good = {"seen": "2026-01-01T00:00:00Z", "x": 2, "amount": 2.02, "y": True}
    project.sources[0] = {key: one for key, one in project.sources[0].items() if one is not None}
    project.write("d/a.json", json.dumps([bad, good], indent=1))
    assert (project.take(max_bad_rows=1).added, project.events("r")) == (1, [4])
    (kept,) = project.open().quarantine.list()
    assert json.loads(kept.misfit.raw) == bad

    (tried,) = project.open().quarantine.retry([kept.id], text=json.dumps({**bad, "seen": good["seen"]})).rows

    assert tried.state is RowState.TAKEN
    assert project.events("event_id", "amount", "r", "payload")[1] == (
        "d/a.json#1", Decimal("1.01"), 2, '{"y":{"v":[1.5,null]}}',
    )  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_format_that_is_said_holds_for_every_value(project: LogProject, ending: str) -> None:
    project.columns = {"day": "DATE"}
    project.sources[0]["read"] = {"dateformat": "%d/%m/%Y"}
    days = ["01/02/2026", "31/12/2026", "bad", "2026-02-01", "01/02/26", "01/01/0001", "31/12/0999", "1/1/999"]
    rows = [{"id": f"e{at}", "seen": "2026-01-01", "day": day} for at, day in enumerate(days)]
    text = jsonl(*rows) if ending == "jsonl" else csv("id,seen,day", *(",".join(one.values()) for one in rows))
    project.write(f"d/a.{ending}", text)

    done = project.take(max_bad_rows=4)

    assert (done.added, done.quarantined) == (4, 4)
    assert [str(one) for one in project.events("day")] == ["2026-02-01", "2026-12-31", "0001-01-01", "0999-12-31"]


@pytest.mark.parametrize(
    ("made", "other", "ending"),
    thinned(
        3,
        ["'v/' || num", "concat('v/', \"num\")", "'v/' || CAST(num AS VARCHAR)", "'v/' || num::text"],
        [{}, {"where": "num > 0"}, {"select": {"twice": "num * 2"}}, {"type": "CASE WHEN num > 0 THEN 't' END"}],
        ["csv", "jsonl"],
    ),
)
def test_an_id_is_made_of_texts(project: LogProject, ending: str, made: str, other: dict[str, Any]) -> None:
    project.sources[0] |= {"event_id": made, **other}
    ids = ["3.5", "1.1", "1.10", "1.255"]
    for at, one in enumerate(ids):
        text = f'{{"num": {one}, "seen": "2026-01-0{at + 1}"}}\n'
        project.write(f"d/{at}.{ending}", text if ending == "jsonl" else csv("num,seen", f"{one},2026-01-0{at + 1}"))
    project.take()

    assert project.events("event_id") == [f"v/{one}" for one in ids]
    project.write(
        f"d/4.{ending}", '{"num": 9, "seen": "2026-02-01"}\n' if ending == "jsonl" else csv("num,seen", "9,2026-02-01")
    )
    assert project.take().added == 1
    assert project.events("event_id")[-1] == "v/9"


@pytest.mark.parametrize("name", ["position", "recorded_at", "event_id", "type", "Occurred_At", "_x"])
def test_a_name_that_the_log_has_itself_is_refused_in_select(project: LogProject, name: str) -> None:
    project.write("d/a.jsonl", '{"id": "e", "seen": "2026-01-01", "x": 1}\n')
    project.sources[0]["select"] = {name: "x"}

    with pytest.raises(DualgaugeError, match=f"{name} in select: the log has columns of its own of such names"):
        project.take()


def test_a_payload_and_what_would_stand_in_it_are_refused(project: LogProject) -> None:
    project.write("d/a.jsonl", '{"id": "e", "seen": "2026-01-01", "payload": {"a": 1.50}, "x": 1}\n')
    project.sources[0]["select"] = {"payload": "payload", "x": "x"}
    with pytest.raises(BadMapping, match=r"it gives payload, and x beside it"):
        project.take()
    project.sources[0]["select"] = {"payload": "payload"}
    project.take()

    assert project.events("payload") == ['{"a":1.50}']


def test_nested_names_that_differ_by_case_are_rows_that_do_not_fit(project: LogProject) -> None:
    project.columns = {"r": "BIGINT"}
    project.sources[0]["select"] = {"r": "p.userid"}
    rows = [{"id": f"e{at}", "seen": "2026-01-01", "p": {name: at}} for at, name in enumerate(("userid", "userId"))]
    project.write("d/a.jsonl", jsonl(*rows))

    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (1, 1)
    assert project.events("r") in ([0], [1])


def test_a_name_that_another_file_has_in_another_case_is_refused(project: LogProject) -> None:
    project.write("d/a.jsonl", '{"id": "a", "seen": "2026-01-01", "x": 1}\n')
    project.take()
    project.write("d/b.jsonl", '{"id": "b", "seen": "2026-01-01", "X": 2}\n')

    with pytest.raises(BadFile, match=r"d/b.jsonl line 1: its fields 'x' and 'X' differ by case alone"):
        project.take()

    done = project.take(max_bad_rows=1)
    assert (done.added, done.quarantined) == (0, 1)

    project.write("d/c.jsonl", '{"id": "c", "seen": "2026-01-01", "x": 3}\n')
    assert project.take().added == 1


def test_blanks_marks_and_names_that_look_like_something_else(project: LogProject) -> None:
    project.sources[0]["select"] = {"who": "who"}
    project.write("d/1.jsonl", '{"id": "a",\r"seen": "2026-01-01",\r"who": "Nan"}\n{"id": 1\r"seen"}\n')
    (project.root / "d/2.json").write_bytes(b'\xef\xbb\xbf[{"id": "b", "seen": "2026-01-02", "who": "NaN"}]')
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (2, 1)
    assert [json.loads(one)["who"] for one in project.events("payload")] == ["Nan", "NaN"]


def test_numbers_that_json_has_not_are_texts_in_a_payload(project: LogProject) -> None:
    project.sources[0]["select"] = {"x": "x"}
    project.write("d/3.csv", csv("id,seen,x", "a,2026-01-03,nan", "b,2026-01-04,1.5"))
    project.take()

    assert project.events("payload") == ['{"x":"nan"}', '{"x":1.5}']


def test_a_file_without_an_object_is_empty(project: LogProject) -> None:
    project.write("d/1.json", "[]")

    with pytest.raises(EmptyFile, match=r"d/1.json is empty"):
        project.take()


@pytest.mark.parametrize("given", [{}, {"max_bad_rows": 5}])
@pytest.mark.parametrize("before", ["none", "parquet"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "it is empty"),
        (lambda _: b"id,seen\n1,2026-01-01\n", "it is no Parquet file, whatever it is called"),
        (lambda whole: whole[:6], "it is cut off, or was not written to its end"),
        (lambda whole: whole[:-1], "it is cut off, or was not written to its end"),
        (lambda whole: whole[:4] + whole[-20:], "it is cut off, or was not written to its end"),
    ],
)
def test_a_parquet_file_that_is_none_is_named_with_what_became_of_it(
    project: LogProject, damage: Callable[[bytes], bytes], reason: str, before: str, given: dict[str, int]
) -> None:
    """Also where rows may be set aside, and behind an import of a whole file."""
    if before == "parquet":
        parquet(project, "a.parquet", id=["a"], seen=["2026-01-01"])
        project.take()
    had = project.log().head().last
    parquet(project, "b.parquet", id=["x"], seen=["2026-01-01"])
    file = project.root / "d" / "b.parquet"
    file.write_bytes(damage(file.read_bytes()))

    with pytest.raises(BadFile) as told:
        project.take(every=True, **given)
    assert str(told.value) == (
        f"source 's', d/b.parquet: {reason}; nothing was imported: mend the file; write it whole under another name "
        "and rename it, or take it out of the source's path"
    )
    assert (told.value.exit_code, project.log().head().last) == (4, had)


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("text", ["infinity", "-infinity", "10000-01-01", "0044-03-15 (BC)"])
def test_a_time_of_no_year_that_the_log_holds_does_not_fit(project: LogProject, kind: str, text: str) -> None:
    project.columns = {"t": kind}
    project.write("d/a.csv", csv("id,seen,t", "a,2026-01-01,2026-01-01", f"b,2026-01-01,{text}"))

    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined, len(project.events("t"))) == (1, 1, 1)


def test_an_offset_that_a_time_without_a_zone_would_lose_does_not_fit(project: LogProject) -> None:
    project.columns = {"t": "TIMESTAMP", "d": "DATE", "z": "TIMESTAMPTZ"}
    times = ["2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00+00", "2026-01-01T00:00:00-05"]
    rows = [{"id": f"e{at}", "seen": "2026-01-01", "t": one, "z": one} for at, one in enumerate(times)]
    rows.append({"id": "d", "seen": "2026-01-01", "d": times[-1]})
    project.write("d/a.jsonl", jsonl(*rows))

    done = project.take(max_bad_rows=3)

    assert (done.added, done.quarantined) == (2, 3)
    assert [str(one) for one in project.events("t")] == ["2026-01-01 00:00:00"] * 2


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_one_odd_time_switches_no_format_off(project: LogProject, ending: str) -> None:
    project.sources[0]["read"] = {"timestampformat": "%Y-%d-%m %H:%M:%S"}
    times = ["2026-03-04 00:00:00", "2026-05-04 00:00:00", "2026-04-13 00:00:00", "soon"]
    rows = [{"id": f"e{at}", "seen": one} for at, one in enumerate(times)]
    text = jsonl(*rows) if ending == "jsonl" else csv("id,seen", *(",".join(one.values()) for one in rows))
    project.write(f"d/a.{ending}", text)

    assert project.take(max_bad_rows=2).quarantined == 2
    assert [f"{one:%Y-%m-%d}" for one in project.events("occurred_at")] == ["2026-04-03", "2026-04-05"]


def test_times_of_several_forms_are_times_in_one_import_and_in_many(project: LogProject) -> None:
    times = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00", "2026-01-03", "2026-01-04T02:00:00+02:00"]
    for at, one in enumerate(times):
        project.write(f"d/{at}.jsonl", json.dumps({"id": f"e{at}", "seen": one}) + "\n")
        project.take()

    assert [f"{one:%Y-%m-%d %H:%M}" for one in project.events("occurred_at")] == [
        f"2026-01-0{day} 00:00" for day in (1, 2, 3, 4)
    ]


def test_an_id_of_objects_is_made_of_their_text(project: LogProject) -> None:
    project.sources[0]["event_id"] = "'v/' || o || '-' || id"
    rows = [{"id": 1, "o": {"a": "x"}}, {"id": 7, "o": {"a": "x", "b": 1}}, {"id": 7, "o": {"a": "x", "b": 2}}]
    for at, one in enumerate(rows):
        project.write(f"d/{at}.jsonl", json.dumps({**one, "seen": "2026-01-01"}) + "\n")
        project.take()

    assert project.events("event_id") == ['v/{"a":"x"}-1', 'v/{"a":"x","b":1}-7', 'v/{"a":"x","b":2}-7']


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "[1, NaN]", '{"x": Infinity}'])
def test_what_is_no_value_of_json_is_set_aside(project: LogProject, value: str) -> None:
    project.sources[0]["select"] = {"x": "x"}
    project.write(
        "d/a.jsonl", f'{{"id": 1, "seen": "2026-01-01", "x": {value}}}\n{{"id": 2, "seen": "2026-01-01", "x": 1}}\n'
    )
    with pytest.raises(BadFile, match="line 1: no JSON"):
        project.take()

    assert (project.take(max_bad_rows=1).quarantined, project.events("payload")) == (1, ['{"x":1}'])


def hive(project: LogProject, *folders: str, **columns: Any) -> None:
    project.sources[0]["path"] = "d/**/*"
    for folder in folders:
        (project.root / "d" / folder).mkdir(parents=True)
        parquet(project, f"{folder}/{len(list((project.root / 'd').glob('**/*')))}.parquet", **columns)


def test_the_names_of_folders_are_codes_or_numbers_over_all_of_them(project: LogProject) -> None:
    project.sources[0]["select"] = {"zip": "zip", "year": "year", "day": "day"}
    hive(project, "zip=007/year=2026/day=2026-01-02", "zip=12/year=2027/day=2026-01-03", x=[1])
    project.take()

    assert project.events("payload") == [
        '{"zip":"007","year":"2026","day":"2026-01-02"}',
        '{"zip":"12","year":"2027","day":"2026-01-03"}',
    ]


def test_a_folder_that_an_expression_needs_is_a_number_where_all_are(project: LogProject) -> None:
    project.sources[0] |= {"select": {"next": "year + 1", "zip": "zip"}, "where": "day > DATE '2026-01-02'"}
    hive(project, "zip=2/year=2026/day=2026-01-02", "zip=3/year=2027/day=2026-01-03", x=[1])
    project.take()

    assert project.events("payload") == ['{"next":2028,"zip":"3"}']


def test_what_is_in_a_folder_hangs_on_no_folder_that_comes_later(project: LogProject) -> None:
    project.sources[0]["select"] = {"zip": "zip"}
    hive(project, "zip=2", x=[1])
    project.take()
    hive(project, "zip=007", x=[2])
    project.take()
    assert project.events("payload") == ['{"zip":"2"}', '{"zip":"007"}']
    project.open().log.forget("s")
    assert project.take().added == 0


def test_a_folder_takes_no_columns_place(project: LogProject) -> None:
    project.sources[0]["select"] = {"year": "year"}
    hive(project, "YEAR=2026", year=[2025])

    with pytest.raises(BadFile, match=r"the name of its folder, YEAR=..., would take the place of its column 'year'"):
        project.take()

    project.sources[0]["read"] = {"hive_partitioning": False}
    project.take()
    assert project.events("payload") == ['{"year":2025}']


def test_a_row_of_json_has_its_own_field_or_its_folders(project: LogProject) -> None:
    project.sources[0] |= {"select": {"year": "year", "next": "year + 1"}, "path": "d/**/*"}
    rows = [{"id": 1, "seen": "2026-01-01", "year": 2025}, {"id": 2, "seen": "2026-01-02"}]
    project.write("d/year=2026/a.jsonl", jsonl(*rows, {"id": 3, "seen": "2026-01-03", "year": None}))
    project.write("d/b.jsonl", jsonl({"id": 4, "seen": "2026-01-04"}))
    project.take()

    assert project.events("payload") == [
        '{"year":2025,"next":2026}', '{"year":2026,"next":2027}', '{"year":null,"next":null}',
        '{"year":null,"next":null}',
    ]  # fmt: skip


def test_the_folder_that_a_project_lies_in_says_nothing_of_its_log(tmp_path: Path) -> None:
    project = LogProject(tmp_path / "position=7" / "event_id=x" / "json=1" / "id=5")
    project.columns = {"x": "BIGINT"}
    project.source("s", path="e.jsonl")
    project.write("e.jsonl", jsonl({"id": "a", "seen": "2026-01-01", "x": 1}))
    project.take()

    assert project.events("position", "event_id", "x") == [(1, "a", 1)]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("form", "texts", "fits"),
    [
        ("%Y-%d-%m %H:%M", ["2026-02-01 10:00", "2026-01-02T11:00:00+01:00", "2026-01-02 10:00:00"], 2),
        ("%d/%m/%Y %H:%M %z", ["02/01/2026 12:00 +0200", "02/01/2026 10:00", "2026-01-02T10:00:00Z"], 1),
    ],
)
def test_an_instant_is_read_by_the_format_that_is_said(
    project: LogProject, ending: str, form: str, texts: list[str], fits: int
) -> None:
    project.columns = {"at": "TIMESTAMPTZ"}
    project.sources[0]["read"] = {"timestampformat": form}
    project.sources[0]["occurred_at"] = "TIMESTAMPTZ '2026-01-02 00:00:00Z'"
    rows = [{"id": f"e{at}", "at": text} for at, text in enumerate(texts)]
    project.write(
        f"d/a.{ending}",
        jsonl(*rows) if ending == "jsonl" else csv("id,at", *(f"{one['id']},{one['at']}" for one in rows)),
    )

    done = project.take(max_bad_rows=3)

    assert (done.added, done.quarantined) == (fits, len(texts) - fits)
    assert {at.isoformat() for at in project.events("at")} == {"2026-01-02T10:00:00+00:00"}


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_a_double_is_the_decimal_that_its_shortest_text_is(project: LogProject, kind: pa.DataType) -> None:
    project.columns = {"amount": "DECIMAL(18,5)"}
    texts = ["0.1", "19.99", "-7.005", "1e-05", "123.5", "0.0", "1.1"]
    parquet(project, "a.parquet", amount=pa.array([float(one) for one in texts], kind))
    project.take()

    assert project.events("amount") == [Decimal(one) for one in texts]


@pytest.mark.parametrize("expression", ["to_json(v)", "json_object('x', v)", "to_json([v])"])
def test_what_json_has_not_is_a_text_in_whatever_an_expression_makes(tmp_path: Path, expression: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"w": expression, "k": "k"})
    project.write(
        "d/1.csv", csv("id,seen,v,k", "a,2026-01-01,nan,NaN Infinity", "b,2026-01-01,1.5,x", "c,2026-01-01,-inf,y")
    )
    project.take()
    first, second, third = map(json.loads, project.events("payload"))
    assert "nan" in json.dumps(first["w"])
    assert (first["k"], "1.5" in json.dumps(second["w"]), "-inf" in json.dumps(third["w"])) == (
        "NaN Infinity",
        True,
        True,
    )


def test_a_row_that_does_not_fit_is_named_beneath_a_subquery_too(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", select={"w": "(SELECT v + 1)"}, where="(SELECT v) IS NOT NULL")
    project.write("d/1.csv", csv("id,seen,v", "a,2026-01-01,5"))
    project.take()
    project.write("d/2.csv", csv("id,seen,v", "b,2026-01-01,6", "c,2026-01-01,abc"))
    with pytest.raises(BadRow, match=r"d/2.csv row 2: v = 'abc' is no BIGINT"):
        project.take()
    assert project.take(max_bad_rows=1).added == 1
