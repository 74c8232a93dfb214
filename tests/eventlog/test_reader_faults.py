"""What Python's own readers stop at, in files that are imported: it is read, or told by its file, line or row."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import BadFile, BadReading, BadRow
from dualgauge.ledger.misfit import RowState
from support.log_project import LogProject, csv

if TYPE_CHECKING:
    from pathlib import Path

LONG = "1" * 5_000


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"y": "VARCHAR"})
    found.source("s", path="d/*", select={"y": "CAST(x AS VARCHAR)"})
    (tmp_path / "d").mkdir()
    return found


def line(name: str, value: str) -> str:
    return f'{{"id": "{name}", "seen": "2026-01-01T00:00:00Z", "x": {value}}}\n'


def deep(levels: int) -> str:
    return "[" * levels + "0.12345678901234567" + "]" * levels


@pytest.mark.parametrize("value", [LONG, deep(5_000), '{"a": "}]\\"", "b": ' + deep(2_000) + "}"])
def test_a_last_line_without_its_end_is_imported_once_it_is_whole(project: LogProject, value: str) -> None:
    project.sources[0]["select"] = {"y": "id"}
    text = line("a", "1") + line("b", value).rstrip("\n")
    project.write("d/a.jsonl", text[:-3])
    assert project.take().added == 1
    project.write("d/a.jsonl", text)

    assert project.take().added == 1
    assert project.events("y") == ["a", "b"]


def test_a_last_line_that_ends_within_a_text_is_not_whole_whatever_the_text_holds(project: LogProject) -> None:
    project.sources[0]["select"] = {"y": "id"}
    project.write("d/a.jsonl", line("a", "1") + line("b", deep(2_000)).rstrip("}\n") + ', "z": "}')

    assert project.take().added == 1


@pytest.mark.parametrize("levels", [400, 1_200])
def test_a_value_of_too_many_levels_is_a_row_that_does_not_fit(project: LogProject, levels: int) -> None:
    project.write("d/a.jsonl", line("a", "[1]") + line("b", "{}") + line("c", deep(levels)))
    with pytest.raises(BadRow, match=r"d/a\.jsonl row 3: x: it has too many levels"):
        project.take()
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (2, 1)
    (tried,) = project.open().quarantine.retry().rows
    assert tried.state is RowState.WAITING


@pytest.mark.parametrize("number", [LONG, "1e99999999999999999999", "1e-99999999999999999999"])
def test_a_number_that_nothing_holds_is_a_row_that_does_not_fit(project: LogProject, number: str) -> None:
    project.write("d/a.jsonl", line("a", "[1]") + line("b", f"[{number}]"))
    with pytest.raises(BadRow, match=r"d/a\.jsonl row 2: x\[1\] = 1.* would be read as "):
        project.take()
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (1, 1)


def test_a_line_that_is_no_json_behind_a_long_number_is_told(project: LogProject) -> None:
    project.sources[0]["select"] = {"y": "id"}
    project.write("d/a.jsonl", line("a", "1") + f'{{"id": {LONG}, "seen": x}}\n')
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (1, 1)
    (kept,) = project.open().quarantine.list()
    assert kept.misfit.reason == "it is no JSON (Expecting value at character 5018)"


@pytest.mark.parametrize("given", [{}, {"max_bad_rows": 9}])
@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl.gz", line("a", "1") * 20_000), ("a.csv.gz", csv("id,seen,x", "a,2026-01-01,1"))]
)
def test_a_packed_file_that_is_cut_off_or_not_packed_or_damaged_is_named(
    project: LogProject, name: str, content: str, given: dict[str, int]
) -> None:
    packed = gzip.compress(content.encode())
    for data in (packed[:-5], content.encode(), packed[:30] + b"\xff" * 9 + packed[39:]):
        (project.root / "d" / name).write_bytes(data)
        with pytest.raises(DualgaugeError, match=f"d/{name}.*cannot be read"):
            project.take(**given)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ({"dateformat": 5}, "'dateformat' is 5, which is no text"),
        ({"timestampformat": True}, "'timestampformat' is True, which is no text"),
        ({"names": "abc"}, "'names' is 'abc', which is no list of names"),
        ({"delim": ";", "quote": ";"}, "'quote' is ';', which is what parts the values"),
        ({"encoding": "base64"}, "'base64' is known to nobody here"),
        ({"encoding": "idna"}, "'idna' is none that files are written in"),
    ],
)
def test_what_cannot_be_said_of_a_source_is_told_with_the_source(
    project: LogProject, read: dict[str, object], said: str
) -> None:
    project.sources[0]["read"] = read
    project.write("d/a.csv", csv("id,seen,x", "a,2026-01-01,1"))

    with pytest.raises(BadReading) as refused:
        project.take()
    assert said in str(refused.value)


def test_bytes_that_are_none_of_the_encoding_are_told_with_their_line(project: LogProject) -> None:
    project.sources[0]["read"] = {"encoding": "utf-16"}
    text = csv("id,seen,x", "a,2026-01-01,1")
    (project.root / "d" / "a.csv").write_bytes(text.encode("utf-16") + b"b")

    with pytest.raises(BadFile, match=r"d/a\.csv line 3: it is not utf-16; .* say what it is written in"):
        project.take()


@pytest.mark.parametrize(
    ("read", "row", "said"),
    [
        ({}, b'1,2026-01-01,"a\n7,2026-01-01,fake\nend",extra', "it has 4 values for 3 columns"),
        ({}, b'1,2026-01-01,"a\n7,2026-01-01,\xff\nend"', "it is not UTF-8"),
        ({"escape": "\\"}, b'1,2026-01-01,"a"b', 'a quote (") is closed in a value'),
        ({"escape": "\\"}, b'1,2026-01-01,"a\\', 'a quote (") is opened and not closed'),
    ],
)  # fmt: skip
def test_a_row_that_is_none_is_one_row_with_its_own_reason(
    project: LogProject, read: dict[str, str], row: bytes, said: str
) -> None:
    project.columns = {"x": "VARCHAR"}
    project.sources[0] |= {"read": read, "event_id": None}
    project.sources[0] = {key: one for key, one in project.sources[0].items() if one is not None}
    (project.root / "d" / "a.csv").write_bytes(b"id,seen,x\n" + row + b"\n2,2026-01-02,last\n")

    assert project.take(max_bad_rows=5).quarantined == 1
    (kept,) = project.open().quarantine.list()
    assert (kept.misfit.reason, kept.misfit.row) == (said, 1)
    assert project.events("event_id", "x") == [("d/a.csv#2", "last")]


def test_a_field_without_a_name_is_told_with_its_line(project: LogProject) -> None:
    project.write(
        "d/a.jsonl", '{"id": "a", "seen": "2026-01-01", "x": "y"}\n{"id": "b", "seen": "2026-01-02", "": 1}\n'
    )
    with pytest.raises(BadFile, match=r"d/a.jsonl line 2: it has a field whose name is empty"):
        project.take()

    assert project.take(max_bad_rows=1).quarantined == 1
