"""What Python's own readers stop at, in files that are imported: it is read, or told by its file, line or row."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import BadFile, BadReading, BadRow, ChangedFile
from dualgauge.ledger.misfit import RowState
from support.log_project import LogProject, csv
from support.thinned import thinned

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
    project.sources[0]["select"] = {"y": "to_json(x)"}
    project.write("d/a.jsonl", line("a", "[1]") + line("b", "{}") + line("c", deep(levels)))
    with pytest.raises(BadRow, match=r"d/a\.jsonl row 3: x: it has too many levels"):
        project.take()
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (2, 1)
    (tried,) = project.open().quarantine.retry().rows
    assert tried.state is RowState.WAITING


@pytest.mark.parametrize("number", [LONG, "1e99999999999999999999", "1e-99999999999999999999"])
def test_a_number_that_nothing_holds_is_a_row_that_does_not_fit(project: LogProject, number: str) -> None:
    project.sources[0]["select"] = {"y": "to_json(x)"}
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
        ({"dateformat": 5}, "'dateformat' is 5, which is no format"),
        ({"timestampformat": True}, "'timestampformat' is True, which is no format"),
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


@pytest.mark.parametrize(("more", "numbered"), thinned(3, ["\n", "\r\n", "\n\n", "  \n", "\n \t\n"], [True, False]))
def test_the_end_of_a_last_line_that_comes_by_itself_is_no_row(
    project: LogProject, more: str, *, numbered: bool
) -> None:
    project.sources[0]["select"] = {"y": "x"}
    if numbered:
        del project.sources[0]["event_id"]
    file = project.root / "d" / "a.jsonl"
    file.write_text(line("a", '"1"') + line("b", '"2"').rstrip("\n"))
    assert project.take().added == 2
    with file.open("a") as opened:
        opened.write(more)
    project.write("d/b.jsonl", line("c", '"3"'))

    assert project.take().added == 1
    assert project.take().added == 0
    with file.open("a") as opened:
        opened.write(line("d", '"4"')[:9])
    assert project.take().added == 0
    with file.open("a") as opened:
        opened.write(line("d", '"4"')[9:])
    assert project.take().added == 1
    assert sorted(project.events("y")) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize(
    "before",
    ['"title\nmore";;\n', 'a 5" screen;;\n\n', '"";;\n"x";"y\n', 'one\ntwo " three\nfour " five " six\n'],
)
def test_lines_before_the_names_are_lines_whatever_quotes_they_have(
    project: LogProject, before: str, suffix: str
) -> None:
    project.sources[0]["select"] = {"y": "x"}
    project.sources[0]["read"] = {"delim": ";", "skip": before.count("\n")}
    text = before + "".join(
        f"{one}\n" for one in ("id;seen;x", "a;2026-01-01;1,5", 'b;2026-01-02;"2;\n5"', "c;2026-01-03;")
    )
    file = project.root / "d" / f"a.{suffix}"
    file.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    project.take()

    assert project.events("event_id", "y") == [("a", "1,5"), ("b", "2;\n5"), ("c", None)]


BIG = 1 << 24


@pytest.mark.parametrize("quarantine", [True, False])
def test_a_row_that_is_longer_than_any_may_be_is_told_and_none_is_made_of_its_lines(
    project: LogProject, *, quarantine: bool
) -> None:
    inside = "start\n" + "x" * BIG + "\n9,2026-01-09,never a row\nend"
    project.write("d/a.csv", csv("id,seen,x", f'1,2026-01-01,"{inside}"', "2,2026-01-02,b"))
    with pytest.raises(
        DualgaugeError, match=r'd/a.csv line 2: a quote \("\) is opened, and not closed in the 16 MiB behi'
    ):
        project.take(**({"max_bad_rows": 10} if quarantine else {}))


def test_a_row_without_quotes_that_is_longer_than_any_may_be_is_told(project: LogProject) -> None:
    project.write("d/a.csv", csv("id,seen,x", "0,2026-01-01,a", f"1,2026-01-01,{'x' * BIG}"))
    with pytest.raises(
        BadFile, match=r"d/a.csv line 3: its row is longer than 16 MiB; nothing was imported: mend the fil"
    ):
        project.take()


def test_an_object_that_is_longer_than_any_may_be_is_told(project: LogProject) -> None:
    project.write("d/a.jsonl", line("a", '"1"') + line("b", f'"{"x" * 3 * BIG}"'))
    with pytest.raises(BadFile, match="an object is longer than 16 MiB, which none may be"):
        project.take()


def test_a_quote_that_no_other_one_follows_ends_with_its_line_in_a_large_file_too(project: LogProject) -> None:
    rows = [f"{n},2026-01-01,{'y' * 2_000}" for n in range(BIG // 1_900)]
    project.write("d/a.csv", csv("id,seen,x", 'z,2026-01-01,"open', *rows))

    assert project.take(max_bad_rows=10).added == len(rows)
    [one] = project.open().quarantine.list(state=RowState.WAITING)
    assert (one.misfit.line, one.misfit.raw) == (2, 'z,2026-01-01,"open')


def test_objects_of_a_json_file_may_go_over_lines_behind_one_that_does_not(project: LogProject) -> None:
    project.sources[0]["select"] = {"y": "x"}
    whole = line("a", '"1"')
    project.write(
        "d/a.json", whole + line("b", '"2"').replace(",", ",\n") + line("c", '"3"').rstrip() + line("d", '"4"')
    )
    project.take()

    assert project.events("event_id", "y") == [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]


def test_a_line_with_a_field_twice_says_nothing_of_how_those_of_other_files_are_spelled(project: LogProject) -> None:
    project.sources[0]["select"] = {}
    project.write("d/1.jsonl", line("a", "1") + '{"id":"b","seen":"2026-01-01","Zz":1,"n":1,"n":2}\n')
    project.write("d/2.jsonl", '{"id":"c","seen":"2026-01-02","zz":3}\n')

    done = project.take(max_bad_rows=5)

    assert (done.added, done.quarantined) == (2, 1)
    assert project.events("event_id") == ["a", "c"]


def test_a_row_without_a_time_is_told_also_where_a_time_bounds_the_import(project: LogProject) -> None:
    project.sources[0]["select"] = {}
    project.write("d/a.csv", csv("id,seen", "a,2026-01-01", "b,", "c,2026-01-09"))
    with pytest.raises(BadRow, match=r"d/a.csv row 2: its occurred_at is NULL"):
        project.take(until=datetime(2026, 1, 5, tzinfo=UTC))


OPEN = ["a,2026-01-01,x", 'b,2026-01-01,"open', "c,2026-01-01,y"]


def grow(project: LogProject, *rows: str) -> None:
    with (project.root / "d" / "a.csv").open("a") as opened:
        opened.writelines(f"{row}\n" for row in rows)


@pytest.mark.parametrize("before", ['z,2026-01-01,5"', 'z,2026-01-01,"open', 'z,2026-01-01,"two\nlines"'])
def test_an_odd_quote_before_it_hides_no_quote_that_a_grown_file_closes(project: LogProject, before: str) -> None:
    project.write("d/a.csv", csv("id,seen,x", before, 'b,2026-01-01,"M4', "c,2026-01-01,no row"))
    project.take(max_bad_rows=5)
    events = project.events()
    grow(project, 'd"', "e,2026-01-01,z")

    with pytest.raises(ChangedFile, match="goes on over line"):
        project.take(max_bad_rows=5)
    assert project.events() == events


@pytest.mark.parametrize("lone", ["x\ry", "x\ry\rz", "\r"])
def test_a_carriage_return_by_itself_in_a_value_moves_no_line(project: LogProject, lone: str) -> None:
    """It ends a line as others do, so that rows behind it are on later lines."""
    project.write("d/a.csv", csv("id,seen,x", f'a,2026-01-01,"{lone}"', 'b,2026-01-01,"two\nlines"'))
    assert project.take().added == 2
    grow(project, "c,2026-01-01,z")
    assert project.take().added == 1
    project.write("d/b.csv", csv("id,seen,x", f'd,2026-01-01,"{lone}"', 'e,2026-01-01,"open', "f,2026-01-01,y"))
    project.take(max_bad_rows=5)
    events = project.events()
    with (project.root / "d" / "b.csv").open("a") as opened:
        opened.write('g,2026-01-01,z"\n')
    with pytest.raises(ChangedFile, match="goes on over line"):
        project.take(max_bad_rows=5)
    assert project.events() == events


@pytest.mark.parametrize("closing", ['d,2026-01-01,5"', 'd,2026-01-01,5",y', 'd"', 'd" x', 'd","a"b'])
@pytest.mark.parametrize("numbered", [True, False])
def test_a_quote_that_is_closed_by_rows_that_come_later_takes_none_of_those_that_were_taken_in(
    project: LogProject, closing: str, *, numbered: bool
) -> None:
    if numbered:
        del project.sources[0]["event_id"]
    project.write("d/a.csv", csv("id,seen,x", *OPEN))
    assert project.take(max_bad_rows=5).added == 2
    before = project.events()
    grow(project, closing, "e,2026-01-01,z")

    for given in ({}, {"max_bad_rows": 5}):
        with pytest.raises(ChangedFile, match=r"d/a.csv was taken in, and its row of line 3 goes on over line 5 now"):
            project.take(**given)
    assert project.events() == before


def test_a_file_with_a_quote_that_is_closed_nowhere_goes_on_growing(project: LogProject) -> None:
    project.write("d/a.csv", csv("id,seen,x", *OPEN))
    assert project.take(max_bad_rows=5).added == 2
    grow(project, "d,2026-01-01,z")
    assert project.take(max_bad_rows=5).added == 1
    grow(project, 'e,2026-01-01,"a ""b"" c"', 'f,2026-01-01,"two\nlines"')
    assert project.take(max_bad_rows=5).added == 2
    assert project.events("event_id") == ["a", "c", "d", "e", "f"]
    assert len(project.open().quarantine.list(state=None)) == 1


def test_a_row_whose_lines_were_whole_goes_on_over_nothing(project: LogProject) -> None:
    project.write("d/a.csv", csv("id,seen,x", 'a,2026-01-01,"two\nlines"', 'b,2026-01-01,5"'))
    assert project.take(max_bad_rows=5).added == 2
    grow(project, 'c,2026-01-01,"two\nlines"')
    assert project.take().added == 1


@pytest.mark.parametrize("blank", ["\x0c", "\x0b", " \x0c\t"])
def test_a_blank_that_only_the_engine_knows_moves_no_line(project: LogProject, blank: str) -> None:
    project.write(
        "d/a.jsonl",
        f'{{"id":1,"seen":"2026-01-01","x":1}}{blank}\n{{"id":2,"seen":"2026-01-01"}}\n{{"id":3,"seen":x}}\n',
    )
    with pytest.raises(BadRow, match=r"d/a.jsonl line 3"):
        project.take()


def test_a_file_of_nothing_but_a_mark_cannot_be_set_aside(project: LogProject) -> None:
    project.write("d/a.csv", "\ufeff")
    with pytest.raises(BadRow) as told:
        project.take()
    assert "set it aside" not in str(told.value)


def test_half_of_a_surrogate_pair_is_told_as_such(project: LogProject) -> None:
    project.write("d/a.jsonl", '{"id":1,"seen":"2026-01-01","x":"\\ud800"}\n{"id":2,"seen":"2026-01-01","x":"y"}\n')
    assert project.take(max_bad_rows=1).added == 1
    (kept,) = project.open().quarantine.list()
    assert kept.misfit.reason == "a text has half of a surrogate pair"
