"""What stands in a JSON file stands in the log: no digit, name or row is lost, and a payload is as it is written."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from dualgauge.eventlog.errors import BadFile, BadMapping, BadReading, BadRow
from support.log_project import LogProject, jsonl

if TYPE_CHECKING:
    from pathlib import Path


def line(number: int, **more: object) -> dict[str, object]:
    return {"id": f"e{number}", "seen": f"2026-01-01T00:00:{number % 60:02d}Z", **more}


def written(number: int, fields: str) -> str:
    """A line whose values are written as they are given."""
    return f'{{"id": "e{number}", "seen": "2026-01-01T00:00:{number:02d}Z", {fields}}}\n'


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"amount": "DECIMAL(18,2)", "code": "VARCHAR"})
    found.source("s", path="d/*.jsonl")
    return found


def test_values_behind_many_others_are_what_they_are(project: LogProject) -> None:
    rows = [line(number, amount=7, code=10) for number in range(25_000)]
    project.write("d/1.jsonl", jsonl(*rows) + written(1, '"amount":1.5,"code":"007"').replace("e1", "late"))

    assert project.take().added == 25_001
    assert ("late", Decimal("1.50"), "007") in project.events("event_id", "amount", "code")


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("BIGINT", "true", "amount = 'true' is no BIGINT"),
        ("BIGINT", "1.5", "amount = '1.5' does not fit into BIGINT without loss"),
        ("BIGINT", "9223372036854775808", "amount = '9223372036854775808' is no BIGINT"),
        ("DECIMAL(18,2)", "7.005", "amount = '7.005' does not fit into DECIMAL(18,2) without loss"),
        ("DECIMAL(18,2)", '{"a": 1}', "amount = '{\"a\":1}' is no DECIMAL(18,2)"),
        ("DOUBLE", "1e400", "amount = '1e400' does not fit into DOUBLE without loss"),
        ("DOUBLE", "123456789012345678", "amount = '123456789012345678' does not fit into DOUBLE without loss"),
        ("DATE", '"2026-01-01T10:00:00Z"', "amount = '2026-01-01T10:00:00Z' does not fit into DATE without loss"),
        ("TIMESTAMP", '"2026-01-01T10:00:00.1234567"', "without loss"),
    ],
)
def test_a_value_that_its_column_would_bend_is_a_row_that_does_not_fit(
    project: LogProject, kind: str, value: str, said: str
) -> None:
    project.columns = {"amount": kind}
    project.write("d/1.jsonl", written(1, f'"amount": {value}'))

    with pytest.raises(BadRow) as refused:
        project.take()

    assert said in str(refused.value)
    assert "d/1.jsonl row 1: " in str(refused.value)


def test_exact_numbers_reach_their_columns(project: LogProject) -> None:
    project.columns = {"amount": "DECIMAL(38,18)", "code": "VARCHAR", "rate": "DOUBLE"}
    digits = ["1234567890123456.78", "0.123456789012345678", "9007199254740993", "1.5e3", '"7.50"']
    project.write(
        "d/1.jsonl",
        "".join(written(at, f'"amount": {one}, "code": {one}, "rate": 0.1') for at, one in enumerate(digits)),
    )
    project.take()

    plain = [json.loads(one) if one.startswith('"') else one for one in digits]
    assert project.events("amount", "code", "rate") == [(Decimal(one), one, 0.1) for one in plain]


def test_what_is_not_declared_is_in_the_payload_as_it_is_written(project: LogProject) -> None:
    project.columns = {}
    names = ("n", "t", "mixed", "deep", "gone")
    project.sources[0]["select"] = {name: name for name in names} | {"more": "n"}
    values = [
        ("0.10000000000000001", '"2026-01-01T00:00:00Z"', "1", '{"x": [1.50, 1E5, "\\u00e9 b"], "x2": null}'),
        ("12345678901234567890123456789012345678901", '"007"', '"1"', "[]"),
        ("1.0", '"a \\" b"', "true", '{"x": -0}'),
    ]
    rows = [", ".join(f'"{name}": {one}' for name, one in zip(names, [*row, "null"], strict=True)) for row in values]
    project.write("d/1.jsonl", "".join(written(at, row) for at, row in enumerate(rows)))
    project.take()

    found = project.events("payload")
    for text, (number, when, mixed, deep) in zip(found, values, strict=True):
        plain = deep.replace(": ", ":").replace(", ", ",")
        assert text == f'{{"n":{number},"t":{when},"mixed":{mixed},"deep":{plain},"gone":null,"more":{number}}}'


def test_a_field_of_numbers_and_texts_is_a_text_without_quotes(project: LogProject) -> None:
    project.sources[0]["select"] = {"code": "upper(zip) || '!'"}
    project.write("d/1.jsonl", jsonl(line(1, zip=10001), line(2, zip="00501"), line(3, zip="a"), line(4)))
    project.take()

    assert project.events("code") == ["10001!", "00501!", "A!", None]


def test_in_an_expression_objects_and_lists_are_structs_and_lists(project: LogProject) -> None:
    project.columns = {"n": "BIGINT", "who": "VARCHAR", "sum": "DOUBLE", "first": "VARCHAR"}
    project.sources[0]["select"] = {
        "n": "p.user.id + 1", "who": "p.user.name", "sum": "p.rate * 2", "first": "p.tags[1]",
    }  # fmt: skip
    project.write(
        "d/1.jsonl",
        written(1, '"p": {"user": {"id": 123456789012345678, "name": "Ann"}, "rate": 0.5, "tags": ["a", "b"]}')
        + written(2, '"p": {"user": {"id": 2}, "rate": 3, "tags": []}')
        + written(3, '"p": {}')
        + written(4, '"p": null'),
    )
    project.take()

    assert project.events("n", "who", "sum", "first") == [
        (123456789012345679, "Ann", 1.0, "a"), (3, None, 6.0, None), (None,) * 4, (None,) * 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{"rate": 0.10000000000000001}', "p.rate = 0.10000000000000001 would be read as 0.1"),
        ('{"rate": 9007199254740993}', "p.rate = 9007199254740993 would be read as 9007199254740992.0"),
        ('{"id": 12345678901234567890}', "p.id = 12345678901234567890 is no BIGINT"),
        ('{"id": 1.5}', "p.id = 1.5 is no BIGINT"),
        ('{"id": "5"}', 'p.id = "5" is no BIGINT'),
        ('{"tags": [1]}', "p.tags[1] = 1 is no VARCHAR"),
        ('{"tags": "a"}', 'p.tags = "a" is no list'),
        ('{"ID": 5}', "p: its field 'ID' was called 'id' before"),
        ("[1]", "p = [...] is no object"),
        ("7", "p = 7 is no object"),
    ],
)
def test_what_a_struct_would_bend_is_a_row_that_does_not_fit(project: LogProject, value: str, said: str) -> None:
    project.columns = {"n": "BIGINT"}
    project.sources[0]["select"] = {"n": "p.id", "rate": "p.rate", "tags": "p.tags"}
    project.write("d/1.jsonl", written(1, '"p": {"id": 1, "rate": 0.5, "tags": ["a"]}'))
    project.take()
    project.write("d/2.jsonl", written(2, f'"p": {value}') + written(3, '"p": {"id": 3}'))

    with pytest.raises(BadRow) as refused:
        project.take()
    assert f"d/2.jsonl row 1: {said}" in str(refused.value)
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (1, 1)
    assert project.events("n") == [1, 3]


def test_the_type_that_a_field_had_in_an_expression_stays(project: LogProject) -> None:
    project.columns = {"twice": "DECIMAL(18,2)", "code": "VARCHAR"}
    project.sources[0]["select"] = {"twice": "price * 2", "code": "code || '?'"}
    project.write("d/1.jsonl", written(1, '"price": 1.5, "code": "a"') + written(2, '"price": 2, "code": null'))
    project.take()
    project.write("d/2.jsonl", written(3, '"price": 3, "code": 5'))
    project.take()
    project.write("d/3.jsonl", written(4, '"price": "4", "code": "b"'))

    with pytest.raises(BadRow, match=r'd/3.jsonl row 1: price = "4" is no DECIMAL\(18,1\)'):
        project.take()
    assert project.events("twice", "code") == [
        (Decimal(3), "a?"), (Decimal(4), None), (Decimal(6), "5?"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"id": "e1", "seen": "2026-01-01", "Id": 2}\n', "line 1: its fields 'id' and 'Id' differ by case alone"),
        ('{"id": "e1", "seen": "2026-01-01", "id": 2}\n', "line 1: its field 'id' is there twice"),
        ('{"id": "e1", "seen": "2026-01-01"}\n\n[1]\n', "line 3: it is no object"),
        ('{"id": "e1", "seen": "2026-01-01"}\n{"id": \n', "line 2: unexpected end of data"),
        ('{"id": "e1", "seen": "2026-01-01", "": 1}\n', "line 1: it has a field whose name is empty"),
    ],
)
def test_a_line_that_is_no_object_of_its_own_names_stops_the_import(project: LogProject, text: str, said: str) -> None:
    project.write("d/1.jsonl", text)

    with pytest.raises(BadFile) as refused:
        project.take()

    assert f"d/1.jsonl{said if said.startswith(':') else f' {said}'}" in str(refused.value)


def test_names_that_differ_by_case_between_lines_are_refused_by_line(project: LogProject) -> None:
    project.write("d/1.jsonl", written(1, '"amount": 1') + written(2, '"Amount": 50'))

    with pytest.raises(BadFile, match=r"d/1.jsonl line 2: its fields 'amount' and 'Amount' differ by case alone"):
        project.take()
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (1, 1)
    assert [one.misfit.where for one in project.open().quarantine.list()] == ["d/1.jsonl row 2 (line 2)"]


def test_an_option_that_loses_rows_or_digits_is_refused_by_name(project: LogProject) -> None:
    project.write("d/1.jsonl", jsonl(line(1)))
    for option, advice in (
        ({"ignore_errors": True}, "'ignore_errors' is no option of a JSON file"),
        ({"sample_size": 5}, "'sample_size' is no option of a JSON file"),
        ({"columns": {"id": "VARCHAR"}}, "'columns' is no option of a JSON file (it is called 'types')"),
        ({"types": {"id": "INT"}}, "'types' has 'INT'; say it as"),
        ({"format": "lines"}, "'format' is 'lines'; say one of"),
    ):
        project.sources[0]["read"] = option
        with pytest.raises(BadReading) as refused:
            project.take()
        assert advice in str(refused.value)


def test_types_and_formats_may_be_said(project: LogProject) -> None:
    project.columns = {"total": "DECIMAL(18,2)", "day": "DATE"}
    project.sources[0] |= {
        "read": {"types": {"price": "DECIMAL(9,2)"}, "dateformat": "%d/%m/%Y"},
        "select": {"total": "price * 2", "day": "day"},
    }
    project.write("d/1.jsonl", written(1, '"price": "1.25", "day": "31/12/2026"'))
    project.take()

    assert [(one, str(day)) for one, day in project.events("total", "day")] == [(Decimal("2.50"), "2026-12-31")]


def test_a_field_that_no_type_of_sql_holds_is_json_in_an_expression(project: LogProject) -> None:
    project.columns = {"code": "VARCHAR"}
    project.sources[0]["select"] = {"code": "p ->> '$.a'"}
    project.write("d/1.jsonl", written(1, '"p": {"a": "x"}') + written(2, '"p": 5'))
    project.take()
    assert project.events("code") == ["x", None]


def test_an_array_of_objects_over_many_lines_is_a_file_too(project: LogProject) -> None:
    project.sources[0]["path"] = "d/*.json"
    project.write("d/1.json", json.dumps([line(1, amount=1.25, code="x"), line(2, p={"a": [1, 2]})], indent=2))
    project.sources[0]["select"] = {"p": "p"}
    project.take()

    assert project.events("amount", "payload") == [(Decimal("1.25"), '{"p":null}'), (None, '{"p":{"a":[1,2]}}')]


def test_a_field_that_no_row_has_yet_is_null_once_its_type_is_said(project: LogProject) -> None:
    project.sources[0]["select"] = {"coupon": "upper(coupon)"}
    project.write("d/1.jsonl", jsonl({"id": "a", "seen": "2026-01-01"}))
    with pytest.raises(BadMapping, match=r'no row has yet say the type, read = {types = {coupon = "VARCHAR"}}'):
        project.take()

    project.sources[0]["read"] = {"types": {"coupon": "VARCHAR"}}
    project.take()
    project.write("d/2.jsonl", jsonl({"id": "b", "seen": "2026-01-02", "coupon": "x"}))
    project.take()

    assert project.events("payload") == ['{"coupon":null}', '{"coupon":"X"}']


def test_a_field_that_no_object_of_a_later_file_has_is_null_in_the_shape_it_had(project: LogProject) -> None:
    project.columns = {"n": "BIGINT", "city": "VARCHAR"}
    project.sources[0]["select"] = {"n": "items[1].n", "city": "addr.city"}
    project.write("d/1.jsonl", '{"id":"a","seen":"2026-01-01","items":[{"n":1}],"addr":{"city":"x"}}\n')
    assert project.take().added == 1
    project.write("d/2.jsonl", '{"id":"b","seen":"2026-01-02"}\n')
    assert project.take().added == 1
    assert project.events("n", "city") == [(1, "x"), (None, None)]
