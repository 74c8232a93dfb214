"""`dualgauge log add`: a source proposed from a file, written without touching what stands there, and imported."""

from __future__ import annotations

import gzip
import json
import math
import tomllib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dualgauge
from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import BadMapping, BadRow
from dualgauge.project import edit
from dualgauge.project.errors import CannotEdit
from dualgauge.scaffold.init import lay_out
from support.log_project import LogProject, csv, jsonl
from support.shop import EVENTS, Said, call

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = "pyproject.toml"
MINIMAL = '[tool.dualgauge]\nmigration = "m"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / SETTINGS).write_text(MINIMAL, encoding="utf-8")
    return tmp_path


def put(root: Path, name: str, body: str | bytes) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(body.encode() if isinstance(body, str) else body)


def proposed(root: Path, file: str, *more: str) -> dict[str, Any]:
    """What `log add` proposes: the source's keys, and the columns as `{name: type}`."""
    said = call("log", "add", file, *more, "--format", "json", folder=root)
    assert said.exit_code == 0, said.out
    result: dict[str, Any] = said.json["result"]
    return result | {"types": {one["name"]: one["type"] for one in result["columns"]}}


def taken(root: Path, file: str, *more: str) -> list[dict[str, Any]]:
    """Add a file's source, import at once what it says, and give the events."""
    said = call("log", "add", file, "--write", *more, folder=root)
    assert (said.exit_code, said.err) == (0, "")
    said = call("log", "import", "--all", folder=root)
    assert (said.exit_code, said.err) == (0, "")
    return dualgauge.open(root).log.show(1, limit=100_000).events


def refused(root: Path, file: str, *more: str) -> Said:
    """Ask for what cannot be; the settings stay as they are."""
    before = (root / SETTINGS).read_bytes()
    said = call("log", "add", file, "--write", *more, folder=root)
    assert said.out == ""
    assert (root / SETTINGS).read_bytes() == before
    return said


def test_an_export_of_orders_needs_no_word_of_its_user(root: Path) -> None:
    put(root, "data/orders.csv", EVENTS)

    events = taken(root, "data/orders.csv")

    assert [(one["event_id"], one["type"], one["customer"], one["cents"]) for one in events] == [
        ("orders/1/placed", "placed", "ada", 2500),
        ("orders/2/placed", "placed", "bob", 1200),
        ("orders/3/placed", "placed", "ada", 800),
        ("orders/2/cancelled", "cancelled", "bob", 1200),
        ("orders/4/placed", "placed", "cyd", 9900),
    ]
    assert f"{events[0]['occurred_at']:%Y-%m-%dT%H:%M:%SZ}" == "2026-01-01T09:00:00Z"


def test_what_is_shown_is_what_is_written_and_says_why(root: Path) -> None:
    put(root, "data/orders.csv", EVENTS)

    shown = call("log", "add", "data/orders.csv", folder=root)
    assert (root / SETTINGS).read_text() == MINIMAL
    call("log", "add", "data/orders.csv", "--write", folder=root)

    stanza, _, said = shown.out.partition("\n\nsource ")
    assert (root / SETTINGS).read_text() == f"{MINIMAL}\n{stanza}\n"
    assert stanza == (
        "[tool.dualgauge.log.columns]\n"
        'order_no = "BIGINT"   # whole numbers; 4 distinct, never NULL\n'
        'customer = "VARCHAR"  # text; 3 distinct, never NULL\n'
        'cents = "BIGINT"      # whole numbers; 4 distinct, never NULL\n'
        "\n"
        "# data/orders.csv: 5 rows, all of them looked at by `dualgauge log add`.\n"
        "[[tool.dualgauge.sources]]\n"
        'name = "orders"\n'
        'path = "data/orders.csv"\n'
        "# event_id: order_no and what: unique and never NULL in all 5 rows; the name in front keeps it apart from "
        "other\n"
        "# sources' ids\n"
        "event_id = \"'orders/' || order_no || '/' || what\"\n"
        "# type: 2 values: placed (4), cancelled (1)\n"
        'type = "what"\n'
        "# occurred_at: instants, never NULL, 5 distinct\n"
        'occurred_at = "time"'
    )
    assert said.splitlines() == [
        f"orders, 3 columns: nothing is written yet; it belongs into {root / SETTINGS}",
        "next: dualgauge log add data/orders.csv --write   # add it to the settings",
    ]


# What the rows of a column hold, and the type that it gets.
HELD = {
    "whole": (["1", "-20", "9223372036854775807"], "BIGINT"),
    "padded": (["00123", "4"], "VARCHAR"),
    "dialled": (["+5", "7"], "VARCHAR"),
    "hex": (["0x1F", "1"], "VARCHAR"),
    "grouped": (["1_000", "1"], "VARCHAR"),
    "spaced": ([" 12 ", "1"], "VARCHAR"),
    "code": (["1E5", "12e4", "100000"], "VARCHAR"),
    "wide": (["1234567890123456789012", "1"], "DECIMAL(38,0)"),
    "amount": (["1.5", "2.25", "-3"], "DECIMAL(18,2)"),
    "measured": (["1.0000000001", "2"], "DOUBLE"),
    "power": (["1.5e-05", "2.25", "3.1e+10"], "DOUBLE"),
    "long": (["9007199254740993", "0.5"], "DECIMAL(38,1)"),
    "noise": (["0.10000000000000001", "0.5"], "DECIMAL(38,17)"),
    "tiny": (["1.5e-400", "0.5"], "VARCHAR"),
    "huge": (["1.5e+400", "0.5"], "VARCHAR"),
    "flag": (["true", "False"], "BOOLEAN"),
    "day": (["2026-01-01", "2026-02-28"], "DATE"),
    "no_day": (["2026-01-01", "2026-02-30"], "VARCHAR"),
    "local": (["2026-01-01 10:00", "2026-01-02T10:00:30.5"], "TIMESTAMP"),
    "instant": (["2026-01-01T10:00:00Z", "2026-01-02 10:00:00+02:00"], "TIMESTAMPTZ"),
    "american": (["12/31/2025 8:26", "1/2/2026 18:00"], "TIMESTAMP"),
    "german": (["31.12.2025", "1.2.2026"], "DATE"),
    "comma": (["1,5", "2,5"], "VARCHAR"),
    "other": (["£5", "ß"], "VARCHAR"),
}


def test_a_column_of_text_gets_the_type_that_every_value_has(root: Path) -> None:
    rows = [
        ",".join(
            ["2026-01-01T00:00:00Z", *(f'"{values[i] if i < len(values) else ""}"' for values, _ in HELD.values())]
        )
        for i in range(3)
    ]
    put(root, "f.csv", csv(",".join(["event_time", *HELD]), *rows))

    assert proposed(root, "f.csv")["types"] == {name: kind for name, (_, kind) in HELD.items()}
    events = taken(root, "f.csv")
    for name, (values, kind) in HELD.items():
        got = [one[name] for one in events if one[name] is not None]
        assert len(got) == len(values)
        if kind.startswith("DECIMAL"):
            assert sorted(got) == sorted(Decimal(one) for one in values)
        if kind == "DOUBLE":
            assert sorted(got) == sorted(float(one) for one in values)
        if name in ("dialled", "hex", "grouped", "spaced", "code", "tiny", "huge"):
            assert sorted(got) == sorted(values)


@pytest.mark.parametrize(
    ("more", "kind", "read"),
    [("", "BIGINT", [5, None]), ("N/A", "VARCHAR", ["5", "N/A"]), ("ada", "BIGINT", [5, None])],
)
def test_a_word_for_nothing_is_read_as_null_unless_a_text_says_it_too(
    more: str, kind: str, read: list[object], root: Path
) -> None:
    put(root, "f.csv", csv("time,amount,name", "2026-01-01,5,bob", f"2026-01-01,N/A,{more}"))

    assert [one["amount"] for one in taken(root, "f.csv")] == read
    assert dualgauge.open(root).settings.log.columns["amount"] == kind


def test_words_for_nothing_of_which_a_text_says_one_are_all_texts(root: Path) -> None:
    put(root, "f.csv", csv("time,a,b", "2026-01-01,NA,x", "2026-01-02,1.5,NA", "2026-01-03,NULL,y"))

    assert "nullstr" not in proposed(root, "f.csv")
    assert [one["a"] for one in taken(root, "f.csv")] == ["NA", "1.5", "NULL"]


def test_a_value_far_behind_the_first_rows_counts_too(root: Path) -> None:
    """DuckDB's own guess looks at twenty thousand rows."""
    rows = [f"2026-01-01T00:00:00Z,{number}" for number in range(30_000)]
    put(root, "f.csv", csv("time,code", *rows, "2026-01-01T00:00:00Z,C1"))

    assert proposed(root, "f.csv")["types"] == {"code": "VARCHAR"}
    assert taken(root, "f.csv")[-1]["code"] == "C1"


def test_an_identifier_that_looks_like_a_decimal_keeps_its_text(root: Path) -> None:
    put(root, "f.csv", csv("time,CustomerID", "2026-01-01,17850.0", "2026-01-02,12.5"))

    assert proposed(root, "f.csv")["types"] == {"CustomerID": "VARCHAR"}
    assert [one["CustomerID"] for one in taken(root, "f.csv")] == ["17850.0", "12.5"]


@pytest.mark.parametrize(
    ("header", "rows", "occurred_at", "first"),
    [
        ("at,x", ["2026-01-01T10:00:00+02:00,1"], '"at"', "2026-01-01 08:00"),
        ("InvoiceDate,x", ["12/13/2010 8:26,1", "12/1/2010 18:26,2"], None, "2010-12-01 18:26"),
        ("Order Date,x", ["13/12/2010,1", "1/12/2010,2"], None, "2010-12-01 00:00"),
        ("ts,x", ["1290000000,1"], 'to_timestamp(CAST("ts" AS BIGINT))', "2010-11-17 13:20"),
        ("ts,x", ["1290000000500,1"], 'epoch_ms(CAST("ts" AS BIGINT))', "2010-11-17 13:20"),
        ("day,x", ["20101201,1"], None, "2010-12-01 00:00"),
        ("due_date,created_at,x", ["2026-02-01,2026-01-01 10:00,1"], "created_at", "2026-01-01 10:00"),
        ("date,event_time,x", ["2026-01-01,2026-01-01T11:00:00Z,1"], "event_time", "2026-01-01 11:00"),
        ("ts,x", ["1290000000500000,1"], 'make_timestamp(CAST("ts" AS BIGINT))', "2010-11-17 13:20"),
        ("ts,x", ["1290000000500000000,1"], 'make_timestamp(CAST("ts" AS BIGINT) // 1000)', "2010-11-17 13:20"),
        ("when,x", ['"Mon, 06 Dec 2010 08:26:00 GMT",1'], None, "2010-12-06 08:26"),
        (
            "when,x",
            ['"Thu, 01 Jan 2026 00:00:00 +0100",1', '"Fri, 2 Jan 2026 12:00:00 -0330",2'],
            None,
            "2025-12-31 23:00",
        ),
        ("when,x", ["01 Jan 2026 00:00:00 +0100,1"], None, "2025-12-31 23:00"),
    ],
)
def test_the_time_of_an_event_is_found_in_many_forms(
    header: str, rows: list[str], occurred_at: str | None, first: str, root: Path
) -> None:
    put(root, "f.csv", csv(header, *rows))

    assert f"{taken(root, 'f.csv')[0]['occurred_at']:%Y-%m-%d %H:%M}" == first
    chosen = dualgauge.open(root).settings.sources[0].occurred_at
    assert chosen == occurred_at if occurred_at else chosen.startswith("strptime(")


APART = "CAST(regexp_replace(\"at\", ' ([+-])', '\\1') AS TIMESTAMPTZ)"
LEFT = 'left("at", 26)'
MICROS = "regexp_replace(\"at\", '([.][0-9]{6})[0-9]+', '\\1')"


@pytest.mark.parametrize(
    ("values", "occurred_at", "times"),
    [
        (["2026-01-01 00:00:00 +0100"], APART, ["2025-12-31 23:00:00"]),
        (
            ["2026-01-01 00:00:00.5 -03:30", "2026-01-01T04:00:00Z"],
            APART,
            ["2026-01-01 03:30:00.500000", "2026-01-01 04:00:00"],
        ),
        (["2026-01-01T00:00:00.1234567Z"], f"CAST({LEFT} || 'Z' AS TIMESTAMPTZ)", ["2026-01-01 00:00:00.123456"]),
        (["2026-01-01 00:00:00.123456789"], f"CAST({LEFT} AS TIMESTAMP)", ["2026-01-01 00:00:00.123456"]),
        (
            ["2026-01-01T00:00:00.1234567+01:00", "2026-01-01T00:00:00Z"],
            f"CAST(regexp_replace({MICROS}, ' ([+-])', '\\1') AS TIMESTAMPTZ)",
            ["2025-12-31 23:00:00.123456", "2026-01-01 00:00:00"],
        ),
        (
            ["2026-01-01T00:00:00.9999999Z", "2026-01-01T00:00:01Z"],
            f"CAST({MICROS} AS TIMESTAMPTZ)",
            ["2026-01-01 00:00:00.999999", "2026-01-01 00:00:01"],
        ),
    ],
)
def test_times_that_the_engine_reads_otherwise_are_rewritten(
    values: list[str], occurred_at: str, times: list[str], root: Path
) -> None:
    put(root, "f.csv", csv("at,x", *(f"{value},{n}" for n, value in enumerate(values))))

    events = taken(root, "f.csv")

    assert dualgauge.open(root).settings.sources[0].occurred_at == occurred_at
    assert [str(one["occurred_at"]).removesuffix("+00:00") for one in events] == times


def test_digits_of_a_second_that_the_log_cannot_have_stay_in_their_column(root: Path) -> None:
    put(root, "f.csv", csv("at,x", "2026-01-01T00:00:00.1234567Z,1", "2026-01-01T00:00:00.1234568Z,2"))

    why = proposed(root, "f.csv")["why"]["occurred_at"]

    assert why.startswith(
        f"instants, with 7 digits of a second, of which the log keeps six by {LEFT} || 'Z'; the column keeps its text"
    )
    assert [one["at"] for one in taken(root, "f.csv")] == [
        "2026-01-01T00:00:00.1234567Z",
        "2026-01-01T00:00:00.1234568Z",
    ]


def test_nanoseconds_stay_in_their_column(root: Path) -> None:
    put(root, "f.csv", csv("ts,x", "1767225600123456789,1", "1767225600123456999,2"))
    table = pa.table({"at": pa.array([1767225600123456789], pa.timestamp("ns")), "id": [1]})
    pq.write_table(table, root / "g.parquet")

    assert proposed(root, "f.csv")["why"]["occurred_at"].startswith(
        "whole numbers: nanoseconds since 1970, of which the log keeps microseconds; the column keeps its numbers"
    )
    assert [one["ts"] for one in taken(root, "f.csv")] == [1767225600123456789, 1767225600123456999]
    assert taken(root, "g.parquet")[-1]["at"] == "2026-01-01 00:00:00.123456789"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["1290000000", "1290000000000"], "1290000000"),
        (["1290000000.25", "1290000001.5"], "1290000000.25"),
        (["Thu, 1 Jan 2026 00:00:00 CET", "Thu, 1 Jan 2026 00:00:00 PST"], "Thu, 1 Jan 2026 00:00:00 CET"),
        (["2026-01-01 00:00:00 +0100", "2026-01-01 00:00:00 +9900"], "2026-01-01 00:00:00 +0100"),
        (["2026-01-01T00:00:00.1234567Z", "2026-02-30T00:00:00.1234567Z"], "2026-01-01T00:00:00.1234567Z"),
    ],
)
def test_a_form_of_times_that_one_value_does_not_have_is_named(values: list[str], shown: str, root: Path) -> None:
    put(root, "f.csv", csv("sent_at,x", *(f'"{value}",1' for value in values)))

    said = refused(root, "f.csv")

    assert said.exit_code == 2
    assert f"(sent_at ({shown}) is called one, but there is no form that all its values have)" in said.err


def test_the_order_of_instants_is_that_of_time_and_not_of_their_texts(root: Path) -> None:
    """The second text is the lower one, and the later instant."""
    rows = ["2026-01-01T10:00:00+02:00,1", "2026-01-01T09:00:00Z,2", "2026-01-01T09:00:00Z,3"]
    put(root, "f.csv", csv("at,x", *rows))

    assert proposed(root, "f.csv")["source"]["order_by"] == "file"


def test_a_date_that_reads_in_two_ways_is_told(root: Path) -> None:
    put(root, "f.csv", csv("date,x", "1/2/2010,1", "3/4/2010,2"))

    why = proposed(root, "f.csv")["why"]["occurred_at"]

    assert "text of the form %m/%d/%Y; every value also reads as %d/%m/%Y: see which is meant" in why


def test_rows_without_a_time_are_left_out_and_counted(root: Path) -> None:
    put(root, "f.csv", csv("id,shipped_at", "1,2026-01-01", "2,", "3,2026-01-03"))

    found = proposed(root, "f.csv")

    assert found["source"]["where"] == "shipped_at IS NOT NULL"
    assert found["why"]["where"] == "1 row of 3 have no shipped_at, and are left out"
    assert (found["rows"], found["events"]) == (3, 2)
    assert [one["id"] for one in taken(root, "f.csv")] == [1, 3]


def test_a_file_whose_times_stand_still_keeps_its_order(root: Path) -> None:
    rows = [f"2026-01-01 10:{number // 20:02},{number}" for number in range(60)]
    put(root, "f.csv", csv("time,amount", *rows))

    assert [one["amount"] for one in taken(root, "f.csv")] == list(range(60))


def test_names_that_the_log_cannot_have_are_made_legal(root: Path) -> None:
    put(
        root,
        "f.csv",
        csv("time,Unit Price,position,order,_x,Größe,unit-price,", '2026-01-01,1.5,2,3,4,5,"six ""6""",'),
    )

    found = proposed(root, "f.csv")
    (event,) = taken(root, "f.csv")

    assert found["source"]["select"]["unit_price"] == '"Unit Price"'
    assert list(found["types"]) == ["unit_price", "f_position", "order", "x", "groe", "unit_price_2"]
    assert [event[name] for name in found["types"]] == [Decimal("1.50"), 2, 3, 4, 5, 'six "6"']
    assert found["not_declared"] == ["column7: holds no value"]


def test_ids_that_repeat_are_left_out_with_what_that_means(root: Path) -> None:
    put(root, "data/f.csv", csv("time,id", "2026-01-01,1", "2026-01-01,1"))

    found = proposed(root, "data/f.csv")

    assert "event_id" not in found["source"]
    assert found["why"]["event_id"] == (
        "left out, because 1 row repeats an earlier one in every column. An event is then named after its file and row "
        "(data/f.csv#1): rows may be added at the file's end, but not moved or removed"
    )
    assert [one["event_id"] for one in taken(root, "data/f.csv")] == ["data/f.csv#1", "data/f.csv#2"]


def test_several_files_are_one_source(root: Path) -> None:
    put(root, "data/b-1.csv", csv("time;id", "2026-01-01;1"))
    with gzip.open(root / "data/b-2.csv.gz", "wt", encoding="utf-8") as file:
        file.write(csv("time;id;note", "2026-01-02;2;late"))

    events = taken(root, "data/b-*")

    assert [(one["event_id"], one["note"]) for one in events] == [("b/1", None), ("b/2", "late")]
    assert tomllib.loads((root / SETTINGS).read_text())["tool"]["dualgauge"]["sources"][0]["path"] == "data/b-*"


def test_json_lines_keep_digits_texts_and_what_is_nested(root: Path) -> None:
    put(
        root,
        "f.jsonl",
        jsonl(
            {"id": 1, "price": 1.1, "zip": "00123", "code": "5", "at": "2026-01-01T00:00:00Z", "lines": [{"n": 1}]},
            {"id": 2, "price": 2.25, "zip": "7", "code": "6", "at": "2026-01-02T00:00:00Z", "lines": []},
        ),
    )

    found = proposed(root, "f.jsonl")
    events = taken(root, "f.jsonl")

    assert found["types"] == {"id": "BIGINT", "price": "DECIMAL(18,2)", "zip": "VARCHAR", "code": "VARCHAR"}
    assert [(one["price"], one["zip"], one["payload"]) for one in events] == [
        (Decimal("1.10"), "00123", '{"lines":[{"n":1}]}'),
        (Decimal("2.25"), "7", '{"lines":[]}'),
    ]


def test_a_parquet_file_says_its_types_itself(root: Path) -> None:
    rows = {
        "seq": pa.array([1, 2], pa.uint32()),
        "big": pa.array([2**64 - 1, 1], pa.uint64()),
        "at": pa.array([0, 1], pa.timestamp("ns", "UTC")),
        "price": pa.array([Decimal("1.5"), None], pa.decimal128(12, 3)),
        "ratio": pa.array([0.5, 1.0]),
        "code": ["1", "2"],
        "tags": [["a"], []],
        "none": pa.nulls(2, pa.int32()),
    }
    pq.write_table(pa.table(rows), root / "f.parquet")

    found = proposed(root, "f.parquet")

    assert found["types"] == {
        "seq": "BIGINT", "big": "VARCHAR", "at": "VARCHAR", "price": "DECIMAL(12,3)", "ratio": "DOUBLE",
        "code": "VARCHAR",
    }  # fmt: skip
    assert "sums depend on their order; declare a DECIMAL where the digits are exact" in str(found["columns"])
    assert "read" not in found["source"]
    first = taken(root, "f.parquet")[0]
    assert (first["big"], first["price"], first["payload"]) == (str(2**64 - 1), Decimal("1.500"), '{"tags":["a"]}')


def test_the_real_shops_december_is_imported_as_it_is_proposed(data_folder: Path, tmp_path: Path) -> None:
    lay_out(tmp_path, name="retail")

    said = call("log", "add", str(data_folder / "online_retail_2010-12.csv"), "--write", folder=tmp_path)
    assert (said.exit_code, said.err) == (0, "")
    said = call("log", "import", "--all", "--format", "json", folder=tmp_path)

    assert (said.exit_code, said.json["result"]["added"]) == (0, 42_481)
    columns = dualgauge.open(tmp_path).settings.log.columns
    assert columns["UnitPrice"] == "DECIMAL(18,2)"
    assert columns["CustomerID"] == columns["StockCode"] == "VARCHAR"


def test_the_rates_of_a_bank_have_a_key_of_two_columns(data_folder: Path, root: Path) -> None:
    found = proposed(root, str(data_folder / "eurofxref_long.parquet"))

    assert found["source"]["event_id"] == "'eurofxref_long/' || rate_date || '/' || currency"
    assert found["types"] == {"currency": "VARCHAR", "units_per_eur": "DECIMAL(18,6)"}


def test_a_path_is_told_from_the_project_wherever_the_call_is_made(root: Path) -> None:
    put(root, "data/orders.csv", EVENTS)

    inside = call("log", "add", "../data/orders.csv", "--format", "json", folder=mkdir(root / "views_v1"))
    outside = call("log", "add", "x/../data/orders.csv", "--project", str(root), "--format", "json", folder=root)

    assert inside.json["result"]["source"]["path"] == "data/orders.csv"
    assert outside.json["result"]["source"]["path"] == "data/orders.csv"


def mkdir(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("name", "body", "code", "reason"),
    [
        ("nosuch.csv", None, 2, "nosuch.csv matches no file (looked for from {root}); check the path"),
        ("folder/", b"", 2, "folder/ is a folder (looked for from {root}); name a file in it, or a glob in quotes"),
        ("f.csv", b"", 2, "f.csv: it is empty, and a source is proposed from the values of its rows"),
        ("f.csv", b"time,x\n", 2, "f.csv: it holds no row, and a source is proposed from the values of its rows"),
        ("f.csv", b"time,x\n2026-01-01,caf\xe9\n", 4, "f.csv cannot be read: line 2: it is not UTF-8; write it"),
        ("f.csv", "time,x\n2026-01-01,1\n".encode("utf-16"), 4, "f.csv cannot be read: it is UTF-16; write it"),
        (
            "f.csv",
            b"time,x\n2026-01-01,1\n2026-01-02,caf\xe9\n",
            4,
            "f.csv cannot be read: line 3: it is not UTF-8; write it as UTF-8 (iconv -f cp1252 -t utf-8 f.csv), or",
        ),
        (
            "f.csv",
            b'time,x\n2026-01-01,"open\n2026-01-02,x\n',
            4,
            'f.csv cannot be read: line 2: a quote (") is opened and not closed; mend the file',
        ),
        (
            "f.csv",
            b"time,x\n2026-01-01,1\n2026-01-02\n",
            4,
            "f.csv cannot be read: line 3: it has 1 value for 2 columns; mend the file and run the command again",
        ),
        ("f.csv", b"2026-01-01,1\n2026-01-02,2\n", 2, "f.csv: its first line (2026-01-01,1) does not name the"),
        (
            "f.csv",
            b"# by X\ntime,x\n2026-01-01,1\n",
            4,
            "f.csv cannot be read: line 2: it has 2 values for 1 column; mend the file",
        ),
        ("f.csv", b"x,y\n1,2\n", 2, "f.csv: no column reads as a time for its rows (the columns are x, y), and an"),
        ("f.csv.gz", b"no gzip", 4, "f.csv.gz cannot be read: Not a gzipped file"),
        ("f.jsonl", b'{"time": "2026-01-01"}\n{"time":\n', 4, "f.jsonl cannot be read: "),
        ("f.jsonl", b"", 2, "f.jsonl: it is empty"),
        ("f.parquet", b"PAR", 4, "f.parquet cannot be read: "),
        ("f.xlsx", b"PK", 2, "source 'f': cannot tell the format of {root}/f.xlsx from its name"),
    ],
)
def test_a_file_that_is_no_source_is_told_in_one_paragraph(
    name: str, body: bytes | None, code: int, reason: str, root: Path
) -> None:
    if name.endswith("/"):
        (root / name).mkdir()
    elif body is not None:
        (root / name).write_bytes(body)

    said = refused(root, name)

    assert said.exit_code == code
    assert said.err.startswith(f"error: {reason.format(root=root)}")
    assert len(said.err.strip().splitlines()) == 1


def test_a_source_of_that_path_or_name_is_a_conflict(root: Path) -> None:
    put(root, "a/orders.csv", EVENTS)
    put(root, "b/orders.csv", EVENTS)
    taken(root, "a/orders.csv")

    path = refused(root, "a/*.csv", "--name", "again")
    name = refused(root, "b/orders.csv")

    assert (path.exit_code, name.exit_code) == (5, 5)
    assert path.err.splitlines() == [
        (
            "error: source 'orders' reads a/*.csv already; nothing was written: import it, or change or remove its "
            "[[tool.dualgauge.sources]] table first"
        ),
        "next: dualgauge log import orders   # take in its rows that are new",
    ]
    assert name.err == (
        "error: there is a source 'orders' already, which does not read b/orders.csv; nothing was written: give this "
        "one a name of its own with --name\n"
    )
    assert call("log", "add", "b/orders.csv", "--name", "orders-b", "--write", folder=root).exit_code == 0


@pytest.mark.parametrize("name", ["", "a b", "1st"])
def test_a_name_that_no_source_can_have_is_refused(name: str, root: Path) -> None:
    put(root, "orders.csv", EVENTS)

    said = refused(root, "orders.csv", "--name", name)

    assert (said.exit_code, said.err) == (
        2,
        f"error: {name!r} is no source's name: a letter, then letters, digits, - and _; give another with --name\n",
    )


def test_a_column_that_is_declared_otherwise_is_a_conflict_that_names_both(root: Path) -> None:
    text = MINIMAL + '[tool.dualgauge.log.columns]\ncents = "VARCHAR"\n'
    put(root, SETTINGS, text)
    put(root, "orders.csv", EVENTS)

    said = refused(root, "orders.csv")

    assert said.exit_code == 5
    assert said.err == (
        "error: column 'cents' is declared as VARCHAR in [tool.dualgauge.log.columns] and holds BIGINT in orders.csv; "
        "nothing was written: rename the column in the file, or, while nothing is imported, declare 'cents' as BIGINT\n"
    )


def test_a_declared_decimal_with_room_for_every_value_stays(root: Path) -> None:
    put(root, SETTINGS, MINIMAL + '[tool.dualgauge.log.columns]\nPRICE = "DECIMAL(12,3)"\n')
    put(root, "f.csv", csv("time,price", "2026-01-01,1.25"))

    (event,) = taken(root, "f.csv")

    assert event["PRICE"] == Decimal("1.250")
    assert dualgauge.open(root).settings.log.columns == {"PRICE": "DECIMAL(12,3)"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "settings",
    [
        '# Ours.\n[project]\nname="x"   # odd   spacing\n\n[tool.dualgauge]\nmigration = "m"\n',
        MINIMAL + '[tool.dualgauge.log.columns]\n# Ours.\n\n# Of the store.\n[tool.dualgauge.store]\nmigrate="auto"',
        MINIMAL + '[tool.dualgauge.log.columns]\na = "DATE" # day\n# also\nb="DATE"\n\n# Next.\n[tool.ruff]\nx = 1\n',
        MINIMAL + '[ tool . dualgauge . "log" . columns ] # here\na = "DATE"',
        MINIMAL + '[tool.dualgauge.log]\ncolumns = {a = "DATE"} # inline\n[tool.x]\ny=1\n',
        (
            MINIMAL + '[tool.dualgauge.log]\npath = "log"\n\n[[tool.dualgauge.sources]]\nname="o"\npath="o.csv"\n'
            "type=\"'o'\"\noccurred_at='t'\n[tool.x]\ny=1\n"
        ),
        (
            '[tool.dualgauge.log.columns]\na = "DATE"\n[tool.x]\ny = """\n[tool.dualgauge]\n"""\n[tool.dualgauge]\n'
            'migration = "m"'
        ),
    ],
)
def test_every_byte_of_the_settings_stays(settings: str, newline: str, root: Path) -> None:
    before = settings.replace("\n", newline)
    put(root, SETTINGS, before)
    put(root, "orders.csv", EVENTS)

    said = call("log", "add", "orders.csv", "--write", folder=root)

    assert (said.exit_code, said.err) == (0, "")
    after = (root / SETTINGS).read_bytes().decode()
    assert remains(before, after)
    assert after.count("\r\n") == (after.count("\n") if newline == "\r\n" else 0)
    was, now = (tomllib.loads(one.replace("\r\n", "\n"))["tool"] for one in (before, after))
    own = now.pop("dualgauge")
    theirs = was.pop("dualgauge")
    assert now == was
    assert list(own["log"]["columns"]) == [*theirs.get("log", {}).get("columns", {}), "order_no", "customer", "cents"]
    assert own["sources"][: len(theirs.get("sources", []))] == theirs.get("sources", [])
    assert own["sources"][-1]["name"] == "orders"


def remains(before: str, after: str) -> bool:
    """Whether every line of a text is in another one, in its order; a line may have grown in its middle."""
    rest = iter(after.splitlines(keepends=True))
    return all(
        any(one == line or (one.startswith(line.rstrip()) or line.startswith("columns = {")) for one in rest)
        for line in before.splitlines(keepends=True)
    )


def test_settings_that_cannot_be_added_to_are_left_alone(root: Path) -> None:
    put(root, SETTINGS, '[tool.dualgauge]\nmigration = "m"\nsources = []\n')
    put(root, "orders.csv", EVENTS)

    said = refused(root, "orders.csv")

    assert said.exit_code == 2
    assert said.err == (
        f"error: {root / SETTINGS} writes [tool.dualgauge.log.columns] or [[tool.dualgauge.sources]] in a form that "
        "nothing can be added to (inline tables?); nothing was written: run the command without --write and put what "
        "it prints into the file by hand\n"
    )


def test_a_settings_file_behind_a_link_is_written_where_it_is(root: Path) -> None:
    put(root, "real/settings.toml", MINIMAL)
    (root / SETTINGS).unlink()
    (root / SETTINGS).symlink_to("real/settings.toml")
    (root / "real/settings.toml").chmod(0o640)
    put(root, "orders.csv", EVENTS)

    taken(root, "orders.csv")

    assert (root / SETTINGS).is_symlink()
    assert (root / "real/settings.toml").stat().st_mode & 0o777 == 0o640
    assert [one.name for one in (root / "real").iterdir()] == ["settings.toml"]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotEdit, match="cannot be written"):
        edit.Edited(tmp_path / "file" / SETTINGS, "", {}).write()


def test_values_that_would_break_a_comment_or_a_text_do_not(root: Path) -> None:
    put(root, "f.csv", csv('time,"a ""b"" \n[x] #é\\",kind', "2026-01-01,1,\"it's\n\x07 'odd'\""))

    (event,) = taken(root, "f.csv", "--name", "odd-one")

    assert event["a_b_x_e"] == 1
    assert event["type"] == "it's\n\x07 'odd'"


def test_a_source_of_a_python_project_is_not_taken_for_the_file(root: Path) -> None:
    put(root, SETTINGS, MINIMAL + "[[tool.dualgauge.sources]]\nname='p'\npython='p:q'\ntype='1'\noccurred_at='t'\n")
    put(root, "orders.csv", EVENTS)

    assert call("log", "add", "orders.csv", "--write", folder=root).exit_code == 0


# What the import did to a newcomer before there was `log add`.


@pytest.mark.parametrize("name", ["at", "order", "Unit Price", "end"])
def test_a_column_named_like_a_word_of_sql_is_a_column(name: str, tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.write("s.csv", csv(f"{name},id", "2026-01-01,1"))
    project.source("s", path="s.csv", occurred_at=name)

    assert project.take().added == 1


def test_a_word_of_sql_within_an_expression_is_told(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.write("s.csv", csv("at,id", "2026-01-01,1"))
    project.source("s", path="s.csv", occurred_at="at + INTERVAL 1 DAY")

    with pytest.raises(BadMapping) as fault:
        project.take()

    assert "'at' is a word of SQL: where it means the column, write it in double quotes" in str(fault.value)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("DECIMAL(9,2)", ["2.50", "2.5000", "25e-1", "3", ""], "2.555"),
        ("DECIMAL(9,2)", ["1"], "2.5e-3"),
        ("BIGINT", ["5", "5.0"], "5.5"),
        ("DATE", ["2026-01-01", "2026-01-01 00:00"], "2026-01-01 10:00"),
    ],
)
def test_a_text_that_would_lose_something_stops_the_import(
    kind: str, good: list[str], bad: str, tmp_path: Path
) -> None:
    project = LogProject(tmp_path, columns={"value": kind})
    project.source("s", path="s.csv", event_id=None)
    project.write("s.csv", csv("seen,value", *(f"2026-01-01,{one}" for one in good)))
    assert project.take().added == len(good)
    project.write("s.csv", csv("seen,value", *(f"2026-01-01,{one}" for one in [*good, bad])))

    with pytest.raises(BadRow) as fault:
        project.take()

    assert isinstance(fault.value, DualgaugeError)
    assert f"s.csv row {len(good) + 1}: value = '{bad}' does not fit into {kind} without loss" in str(fault.value)


def test_a_column_that_has_a_legal_name_keeps_it(root: Path) -> None:
    put(root, "a.csv", "id,time,Stück,stuck\n1,2026-01-01T00:00:00Z,5,7\n2,2026-01-02T00:00:00Z,6,8\n")

    assert [(one["stuck"], one["stuck_2"]) for one in taken(root, "a.csv")] == [(7, 5), (8, 6)]


def test_numbers_that_json_has_not_are_shown_as_the_texts_that_stand_for_them(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={"x": "DOUBLE"})
    project.source("s", path="a.parquet")
    values = {"id": ["a", "b", "c", "d"], "seen": ["2026-01-01"] * 4, "x": [math.nan, math.inf, -math.inf, 0.1]}
    pq.write_table(pa.table(values), tmp_path / "a.parquet")
    project.take()

    said = call("log", "show", "--from", "1", "--format", "json", folder=tmp_path)

    def refused(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    shown = json.loads(said.out, parse_constant=refused)["result"]["events"]
    assert [one["x"] for one in shown] == ["nan", "inf", "-inf", 0.1]


def test_files_that_are_parted_in_several_ways_are_each_read_in_its_own(root: Path) -> None:
    (root / "d").mkdir()
    (root / "d" / "a.csv").write_text("time,v\n2026-01-01T00:00:00Z,a\n2026-01-02T00:00:00Z,b\n")
    (root / "d" / "b.csv").write_text("time;v\n2026-01-03T00:00:00Z;c\n2026-01-04T00:00:00Z;d\n")

    assert call("log", "add", "d/*.csv", "--write", folder=root).exit_code == 0
    assert call("log", "import", "--all", folder=root).exit_code == 0
    shown = call("log", "show", "--from", "1", "--format", "json", folder=root).json["result"]["events"]
    assert sorted(one["v"] for one in shown) == ["a", "b", "c", "d"]


def test_the_ids_of_causes_are_texts(root: Path) -> None:
    (root / "a.csv").write_text("id,time,kind,caused_by\n1,2026-01-01T00:00:00Z,a,\n2,2026-01-02T00:00:00Z,b,1\n")

    assert call("log", "add", "a.csv", "--write", folder=root).exit_code == 0
    assert 'caused_by = "VARCHAR"' in (root / "pyproject.toml").read_text()
    assert call("log", "import", "--all", folder=root).exit_code == 0


@pytest.mark.parametrize("name", ["z\x01", "a\x7fb", 'say "\x1b"', "\u2028"])
def test_a_name_with_control_characters_is_written_so_that_it_is_read_as_it_is(root: Path, name: str) -> None:
    put(root, "s.jsonl", json.dumps({"id": 1, "t": "2026-01-01", name: 4}) + "\n")
    said = call("log", "add", "s.jsonl", "--write", folder=root)
    assert (said.exit_code, said.err) == (0, "")
    (source,) = tomllib.loads((root / SETTINGS).read_text(encoding="utf-8"))["tool"]["dualgauge"]["sources"]
    assert list(source["select"].values()) == ['"' + name.replace('"', '""') + '"']
    assert call("log", "import", "s", folder=root).exit_code == 0
    (event,) = dualgauge.open(root).log.show(1, 2).events
    assert event[next(iter(source["select"]))] == 4


def test_instants_of_seven_digits_are_not_called_none(root: Path) -> None:
    put(root, "s.csv", csv("id,time", "1,2026-01-01T00:00:00.1234567Z", "2,2026-01-01T00:00:01.1234567Z"))
    said = call("log", "add", "s.csv", folder=root)
    assert "instants, with 7 digits of a second" in said.out
    assert "read as none" not in said.out
