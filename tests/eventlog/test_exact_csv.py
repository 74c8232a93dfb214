"""What stands in a CSV file stands in the log: no value is bent to a type that other rows have, and no row is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from dualgauge.eventlog.errors import BadFile, BadMapping, BadReading, BadRow
from support.log_project import LogProject, csv
from support.thinned import thinned

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "id,seen,amount,code"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"amount": "DECIMAL(18,2)", "code": "VARCHAR"})
    found.source("s", path="d/*.csv")
    return found


def test_values_behind_many_others_are_what_they_are(project: LogProject) -> None:
    rows = [f"{number},2026-01-01,7,10" for number in range(25_000)]
    late = ["25000,2026-01-02 10:11:12,1.5,007", "25001,2026-01-02 10:11:13,2.25,1_000"]
    project.write("d/1.csv", csv(HEAD, *rows, *late))

    assert project.take().added == 25_002
    last = project.events("occurred_at", "amount", "code")[-2:]
    assert [(str(when), *others) for when, *others in last] == [
        ("2026-01-02 10:11:12+00:00", Decimal("1.50"), "007"),
        ("2026-01-02 10:11:13+00:00", Decimal("2.25"), "1_000"),
    ]


def test_a_declared_decimal_is_exact_or_a_row_that_does_not_fit(project: LogProject) -> None:
    project.columns = {"amount": "DECIMAL(38,18)", "code": "VARCHAR"}
    exact = ["1234567890123456.78", "0.123456789012345678", "9007199254740993"]
    project.write("d/1.csv", csv(HEAD, *(f"{at},2026-01-01,{one}," for at, one in enumerate(exact))))
    project.take()
    assert project.events("amount") == [Decimal(one) for one in exact]
    project.write("d/2.csv", csv(HEAD, "9,2026-01-01,0.1234567890123456789,"))

    with pytest.raises(
        BadRow, match=r"d/2.csv row 1: amount = '0.1234567890123456789' does not fit into DECIMAL\(38,18"
    ):
        project.take()


def test_a_line_that_begins_with_a_hash_is_a_row(project: LogProject) -> None:
    project.write("d/1.csv", csv(HEAD, "1,2026-01-01,1,x", "#2,2026-01-02,2,y", "3,2026-01-03,3,#z"))

    assert project.take().added == 3
    assert project.events("event_id", "code") == [("1", "x"), ("#2", "y"), ("3", "#z")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2,2026-01-02,2", "line 3: it has 3 values for 4 columns"),
        ("2,2026-01-02,2,y,", "line 3: it has 5 values for 4 columns"),
        ('2,2026-01-02,2,"y', 'line 3: a quote (") is opened and not closed'),
    ],
)
def test_a_row_that_is_none_stops_the_import_with_its_line(project: LogProject, row: str, reason: str) -> None:
    project.write("d/1.csv", csv(HEAD, "1,2026-01-01,1,x", row, "3,2026-01-03,3,z"))

    with pytest.raises(BadFile) as refused:
        project.take()
    assert reason in str(refused.value)
    assert project.log().head().last == 0


def test_the_type_that_a_column_had_in_an_expression_stays(project: LogProject) -> None:
    project.sources[0]["select"] = {"amount": "price * 2", "note": "price"}
    project.write("d/1.csv", csv("id,seen,price", "a,2026-01-01,1.50"))
    project.take()
    assert project.events("amount", "payload") == [(Decimal("3.00"), '{"note":1.50}')]
    project.write("d/2.csv", csv("id,seen,price", "b,2026-01-02,2", "c,2026-01-03,2.255"))

    with pytest.raises(BadRow, match=r"d/2.csv row 2: price = '2.255' is no DECIMAL\(18,2\)"):
        project.take()
    done = project.take(every=True, max_bad_rows=5)
    assert (done.added, done.quarantined) == (1, 1)
    assert project.events("event_id", "amount") == [("a", Decimal("3.00")), ("b", Decimal("4.00"))]


def alone(project: LogProject, *imports: list[str], **given: object) -> list[str]:
    """What the payload has of a column `a` that nothing else needs; its values come by one import after another."""
    project.columns = {}
    project.sources[0] |= {"select": {"a": "a"}, "order_by": "file", **given}
    for at, values in enumerate(imports):
        rows = [f"{at}/{row},2026-01-01,{value}" for row, value in enumerate(values)]
        project.write(f"d/{at}.csv", csv("id,seen,a", *rows))
        project.take()
    return [payload.removeprefix('{"a":').removesuffix("}") for payload in project.events("payload")]


@pytest.mark.parametrize(
    ("values", "payload"),
    [
        (["2026-01-01T00:00:00+05:30"], ['"2026-01-01T00:00:00+05:30"']),
        (["2026-01-01 00:00:00Z", ""], ['"2026-01-01 00:00:00Z"', "null"]),
        (["2026-01-01T10:00:00.120", "2026-01-01"], ['"2026-01-01T10:00:00.120"', '"2026-01-01"']),
        (["10:00:00.500", ""], ['"10:00:00.500"', "null"]),
        (["true", "True", "false", ""], ["true", '"True"', "false", "null"]),
        (["true", "t"], ['"true"', '"t"']),
        (["1.50", ".5", "-0", "1e-05"], ["1.50", "0.5", "-0", "1e-05"]),
        (["1.5", "1" * 39, "1.5E400", "NaN"], ["1.5", "1" * 39, "1.5E400", '"NaN"']),
        (["nan", "NaN"], ['"nan"', '"NaN"']),
        (["1", "1E5"], ['"1"', '"1E5"']),
    ],
)  # fmt: skip
def test_a_column_that_only_the_payload_needs_is_there_as_it_stands(
    project: LogProject, values: list[str], payload: list[str]
) -> None:
    assert alone(project, values) == payload


def test_such_a_column_is_there_as_it_stands_where_an_expression_has_its_type_too(project: LogProject) -> None:
    project.columns = {"y": "BIGINT", "late": "BOOLEAN", "no": "BOOLEAN"}
    project.sources[0]["select"] = {"at": "at", "y": 'year("at")', "b": "b", "no": "NOT b", "n": "n", "late": "n > 2"}
    project.write("d/1.csv", csv("id,seen,at,b,n", "1,2026-01-01,2026-03-04T10:00:00,TRUE,2.50"))
    project.take()

    assert project.events("y", "no", "late") == [(2026, False, True)]
    assert project.events("payload") == ['{"at":"2026-03-04T10:00:00","b":"TRUE","n":2.50}']


def test_a_type_that_is_said_of_such_a_column_is_what_it_has(project: LogProject) -> None:
    read = {"types": {"a": "TIMESTAMPTZ"}}

    assert alone(project, ["2026-01-01T00:00:00+05:30"], read=read) == ['"2025-12-31 18:30:00+00"']


@pytest.mark.parametrize(
    ("later", "first"),
    thinned(
        3, ["1.25", "1.5", "-9223372036854775808", "1" * 39, "9223372036854775808", "0.1e-20"],
        ["1.5", "5", "1.50", "1e-05"],
    ),
)  # fmt: skip
def test_a_number_of_a_later_import_is_there_as_it_stands(project: LogProject, first: str, later: str) -> None:
    assert alone(project, [first], [later]) == [first, later]


def test_what_such_a_column_was_stays_in_later_imports(project: LogProject, tmp_path: Path) -> None:
    """One of numbers or truths takes no text; one of texts takes all, and a number is a text there."""
    assert alone(project, ["x"], ["5"], ["true"]) == ['"x"', '"5"', '"true"']
    other = LogProject(tmp_path / "truths")
    other.source("s", path="d/*.csv")
    with pytest.raises(BadRow, match=r"d/3.csv row 1: a = '5' is no BOOLEAN"):
        alone(other, ["true"], ["False"], [""], ["5"])
    assert other.events("payload") == ['{"a":true}', '{"a":"False"}', '{"a":null}']
    other = LogProject(tmp_path / "numbers")
    other.source("s", path="d/*.csv")
    with pytest.raises(BadRow, match=r"d/1.csv row 1: a = 'zz' is no number"):
        alone(other, ["5"], ["zz"])

    assert other.take(max_bad_rows=5).quarantined == 1
    (kept,) = other.open().quarantine.list()
    assert other.open().quarantine.retry().rows[0].reason == "a = 'zz' is no number"
    assert other.open().quarantine.retry([kept.id], text="1/0,2026-01-01,1.25").rows[0].state.value == "taken"
    assert other.events("payload") == ['{"a":5}', '{"a":1.25}']


def test_what_an_older_version_kept_of_such_a_column_says_that_it_is_one_of_numbers(project: LogProject) -> None:
    alone(project, ["1.5"])
    for file in (project.folder / "_delta_log").glob("*.json"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace('\\"number\\"', '\\"DECIMAL(18,1)\\"'), encoding="utf-8")
    assert project.commits()[-1]["cursors"]["s"]["types"] == {"a": "DECIMAL(18,1)"}
    project.write("d/1.csv", csv("id,seen,a", "x,2026-01-01,1.25", "y,2026-01-01,zz"))

    assert project.take(max_bad_rows=5).quarantined == 1
    assert project.events("payload") == ['{"a":1.5}', '{"a":1.25}']


def test_a_column_that_one_value_makes_text_is_told_with_what_to_say(project: LogProject) -> None:
    project.sources[0]["select"] = {"amount": "price * 2"}
    project.write("d/1.csv", csv("id,seen,price", "a,2026-01-01,1", "b,2026-01-02,zz", "c,2026-01-03,3"))
    with pytest.raises(
        BadMapping, match=r"price is text, since .* read = \{types = \{price = \"BIGINT\"\}\} or DECIMAL.*, and rows"
    ):
        project.take(every=True, max_bad_rows=5)
    project.sources[0]["read"] = {"types": {"price": "BIGINT"}}
    with pytest.raises(BadRow, match=r"d/1.csv row 2: price = 'zz' is no BIGINT"):
        project.take()

    assert project.take(every=True, max_bad_rows=5).quarantined == 1
    assert project.events("event_id", "amount") == [("a", Decimal("2.00")), ("c", Decimal("6.00"))]


def test_an_event_s_id_is_the_text_that_stands_there(project: LogProject) -> None:
    project.columns = {}
    project.write("d/1.csv", csv("id,seen", "1.10,2026-01-01", "1.1,2026-01-02"))

    assert project.take().added == 2
    assert project.events("event_id") == ["1.10", "1.1"]


def test_files_whose_names_differ_by_case_are_refused_by_name(project: LogProject) -> None:
    project.write("d/1.csv", csv(HEAD, "1,2026-01-01,1,x"))
    project.write("d/2.csv", csv(HEAD.replace("code", "Code"), "2,2026-01-01,1,x"))

    with pytest.raises(
        BadFile, match=r"d/2.csv line 1: its column 'Code' is called 'code' in another file of the source"
    ):
        project.take()


def test_formats_and_a_decimal_comma_are_said(project: LogProject) -> None:
    project.sources[0]["read"] = {
        "delim": ";", "decimal_separator": ",", "dateformat": "%d.%m.%Y", "types": {"code": "VARCHAR"},
    }  # fmt: skip
    project.sources[0]["select"] = {"code": "code || '!'"}
    project.write("d/1.csv", "id;seen;amount;code\n1;31.12.2026;1,50;1.10\n2;01.01.2027;2;1.1\n")

    project.take()
    assert [(str(when), *others) for when, *others in project.events("occurred_at", "amount", "code")] == [
        ("2026-12-31 00:00:00+00:00", Decimal("1.50"), "1.10!"),
        ("2027-01-01 00:00:00+00:00", Decimal("2.00"), "1.1!"),
    ]
    project.write("d/2.csv", "id;seen;amount;code\n3;01.01.2027;1.50;x\n")
    with pytest.raises(BadRow, match=r"d/2.csv row 1: amount = '1.50' is no DECIMAL\(18,2\)"):
        project.take()


def test_a_column_in_quotes_is_its_text_as_one_without_is(project: LogProject) -> None:
    project.columns = {"price": "VARCHAR", "twice": "DECIMAL(18,2)"}
    project.sources[0]["select"] = {"price": '"Unit Price"', "twice": '"Unit Price" * 2'}
    project.write("d/1.csv", csv("id,seen,Unit Price", "1,2026-01-01,1.5", "2,2026-01-02,1.50"))

    project.take()
    assert project.events("price", "twice") == [("1.5", Decimal("3.00")), ("1.50", Decimal("3.00"))]


def test_an_option_that_nobody_knows_is_refused_by_name(project: LogProject) -> None:
    project.sources[0]["read"] = {"sample_size": -1}
    project.write("d/1.csv", csv(HEAD, "1,2026-01-01,1,x"))

    with pytest.raises(BadReading, match=r"source 's': read: 'sample_size' is no option of a CSV file; take it out"):
        project.take()


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ"])
def test_a_time_of_seven_decimals_is_no_time_of_six(project: LogProject, kind: str) -> None:
    project.columns = {"at": kind}
    project.write("d/1.csv", csv("id,seen,at", "1,2026-01-01,2026-01-01 00:00:00.1234567"))

    with pytest.raises(BadRow, match=r"at = '2026-01-01 00:00:00.1234567' does not fit into TIMESTAMP"):
        project.take()


def test_one_import_and_many_give_the_same_log(project: LogProject) -> None:
    rows = [f"{number},2026-01-{number + 1:02},{number}.50,{number:03}" for number in range(20)]
    project.write("d/1.csv", csv(HEAD, *rows))
    project.take()
    many = LogProject(project.root / "many", columns=project.columns)
    many.source("s", path="d/*.csv")
    for upto in (3, 4, 11, 20):
        many.write("d/1.csv", csv(HEAD, *rows[:upto]))
        many.take()

    wanted = ("position", "event_id", "occurred_at", "amount", "code")
    assert many.events(*wanted) == project.events(*wanted)


def test_settings_that_log_add_wrote_once_mean_that_every_column_is_text(project: LogProject) -> None:
    project.sources[0] |= {"read": {"all_varchar": True}, "select": {"code": "code || amount"}}
    project.write("d/1.csv", csv(HEAD, "1,2026-01-01,1.50,7", "2,2026-01-02,2,8"))
    project.take()

    assert project.events("amount", "code") == [(Decimal("1.50"), "71.50"), (Decimal(2), "82")]


def test_a_file_of_which_only_the_skipped_line_is_there_has_no_rows_yet(project: LogProject) -> None:
    project.sources[0]["read"] = {"skip": 1, "header": False, "names": ["id", "seen"]}
    project.write("d/a.csv", "title\n")
    project.write("d/b.csv", "title\nb,2026-01-01\n")
    assert project.take().added == 1
    project.write("d/a.csv", "title\na,2026-01-02\n")
    assert project.take().added == 1


def test_a_column_without_a_name_is_called_by_its_place(project: LogProject) -> None:
    project.columns = {}
    project.sources[0]["select"] = {"x": "column1", "y": "column3"}
    project.write("d/1.csv", csv("id,,seen,", "a,1,2026-01-01,2"))
    project.take()
    assert project.events("payload") == ['{"x":1,"y":2}']
    project.write("d/2.csv", csv("id,,seen,column1", "b,1,2026-01-01,2"))

    with pytest.raises(BadFile, match=r"d/2.csv line 1: it names the column 'column1' twice"):
        project.take()


def test_a_format_of_a_day_takes_no_time_of_a_day(project: LogProject) -> None:
    project.columns = {"d": "DATE"}
    project.sources[0] |= {"select": {"d": "a"}, "read": {"dateformat": "%d/%m/%Y %H:%M"}}
    project.write("d/1.csv", csv("id,seen,a", "1,2026-01-01T00:00:00Z,31/12/2026 00:00", "2,2026-01-01T00:00:00Z,"))
    project.sources[0]["occurred_at"] = "TIMESTAMPTZ '2026-01-01 00:00:00Z'"
    project.take()
    assert list(map(str, project.events("d"))) == ["2026-12-31", "None"]

    project.write("d/2.csv", csv("id,seen,a", "3,2026-01-01T00:00:00Z,31/12/2026 10:00"))
    with pytest.raises(BadRow, match=r"a = '31/12/2026 10:00' is no DATE"):
        project.take()
