"""Rows that were set aside become the events that they would have been, and what lies beside them is found quickly."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.errors import BadFile
from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources import source as sources
from dualgauge.eventlog.sources.cursor import FileReading, Growth, SourceReading, Taken, source_of
from dualgauge.eventlog.sources.fingerprints import Fingerprint
from dualgauge.eventlog.sources.source import Source
from dualgauge.ledger.misfit import RowState
from support.log_project import LogProject, csv, jsonl
from support.thinned import thinned

if TYPE_CHECKING:
    from dualgauge.eventlog.imports.retry import Retried

DAY = "2026-01-01"
MENDED = "coalesce(TRY_CAST(seen AS TIMESTAMP), TIMESTAMP '2026-01-05')"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path)
    found.source("s", path="d/**/*", select={"x": "x"})
    (tmp_path / "d").mkdir()
    return found


def set_aside(project: LogProject) -> int:
    """How many rows are in the quarantine behind an import of what fits."""
    project.take(max_bad_rows=1000)
    return len(project.open().quarantine.list(state=RowState.WAITING))


def retry(project: LogProject, occurred_at: str = MENDED) -> Retried:
    project.sources[0]["occurred_at"] = occurred_at
    return project.open().quarantine.retry()


def payloads(project: LogProject) -> list[Any]:
    return [json.loads(one) for one in project.events("payload")]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_a_separator_in_a_json_string_is_still_there_after_a_retry(project: LogProject, mark: str) -> None:
    project.write("d/a.jsonl", f'{{"id": "a", "seen": "soon", "x": "a{mark}b"}}\n')
    assert set_aside(project) == 1

    assert retry(project).added == 1
    assert payloads(project) == [{"x": f"a{mark}b"}]


def test_a_json_text_of_several_lines_may_stand_in_the_place_of_a_row(project: LogProject) -> None:
    project.write("d/a.jsonl", jsonl({"id": "a", "seen": "soon", "x": 1}))
    assert set_aside(project) == 1
    (one,) = project.open().quarantine.list()
    text = f'{{"id": "a",\r\n "seen": "{DAY}",\n\r "x": "p  q"}}'

    assert project.open().quarantine.retry([one.id], text=text).added == 1
    assert payloads(project) == [{"x": "p  q"}]


@pytest.mark.parametrize(
    ("ending", "gone", "fits"), thinned(3, ["csv", "jsonl", "parquet"], [False, True], [False, True])
)
def test_a_retried_row_has_the_columns_of_its_folders(
    project: LogProject, ending: str, *, fits: bool, gone: bool
) -> None:
    project.sources[0] |= {"event_id": "concat(id, '-', year)", "select": {"year": "year", "next": "year + 1"}}
    rows = [{"id": "b", "seen": "soon"}, *([{"id": "c", "seen": DAY}] if fits else [])]
    write(project, f"year=2025/a.{ending}", [{"id": "a", "seen": DAY}])
    write(project, f"year=2026/b.{ending}", rows)
    assert set_aside(project) == 1
    if gone:
        (project.root / f"d/year=2026/b.{ending}").unlink()

    done = retry(project)
    assert [(one.state, one.reason) for one in done.rows if one.state is RowState.WAITING] == []
    assert project.events("event_id", "payload")[-1] == ("b-2026", '{"year":2026,"next":2027}')


@pytest.mark.parametrize("outside", [False, True])
def test_a_retried_row_says_the_name_of_its_file(
    project: LogProject, tmp_path_factory: pytest.TempPathFactory, *, outside: bool
) -> None:
    folder = tmp_path_factory.mktemp("other") if outside else project.root / "d"
    project.sources[0] |= {
        "path": f"{folder}/*" if outside else "d/*", "read": {"filename": True}, "select": {"from": "filename"}
    }  # fmt: skip
    (folder / "a.jsonl").write_text(jsonl({"id": "a", "seen": DAY}, {"id": "b", "seen": "soon"}))
    assert set_aside(project) == 1
    (folder / "a.jsonl").unlink()

    assert retry(project).added == 1
    assert payloads(project) == [{"from": str(folder / "a.jsonl")}] * 2


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("imports", [1, 2])
def test_a_retried_row_may_lack_a_column_that_other_files_have(project: LogProject, ending: str, imports: int) -> None:
    project.sources[0]["select"] = {"next": "x + 1"}
    write(project, f"a.{ending}", [{"id": "a", "seen": DAY, "x": 1}])
    if imports == 2:
        set_aside(project)
    write(project, f"b.{ending}", [{"id": "b", "seen": DAY}, {"id": "c", "seen": "soon"}])
    assert set_aside(project) == 1

    assert retry(project).added == 1
    assert sorted(project.events("event_id", "payload")) == [
        ("a", '{"next":2}'), ("b", '{"next":null}'), ("c", '{"next":null}'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("read", "header", "column"),
    [
        ({"header": True}, "id,seen,2024", '"2024"'),
        ({"quote": ""}, "id,seen,x", "x"),
        ({"quote": ""}, 'id,seen,"x"', '"""x"""'),
        ({}, 'id,seen,"x, of y"', '"x, of y"'),
        ({}, "id,seen,", "column2"),
        ({"header": False}, None, "column2"),
        ({"names": ["id", "seen", "n"], "header": True}, "ID,SEEN,x", "n"),
        ({"names": ["id", "seen", "n"]}, None, "n"),
        ({"skip": 1}, "made by hand\nid,seen,x", "x"),
    ],
)
def test_a_row_of_csv_is_retried_under_the_names_that_its_file_has(
    project: LogProject, read: dict[str, Any], header: str | None, column: str
) -> None:
    id_, seen = ("column0", "column1") if read == {"header": False} else ("id", "seen")
    project.sources[0] |= {"read": read, "select": {"x": column}, "event_id": id_, "occurred_at": seen}
    rows = [f"a,{DAY},1", "b,soon,2"]
    project.write("d/a.csv", csv(header, *rows) if header else csv(*rows))
    assert set_aside(project) == 1

    assert retry(project, MENDED.replace("seen", seen)).added == 1
    assert [str(one["x"]) for one in payloads(project)] == ["1", "2"]


def test_settings_may_say_other_quotes_before_a_retry(project: LogProject) -> None:
    project.sources[0]["select"] = {"x": '"x, of y"'}
    project.write("d/a.csv", csv('id,seen,"x, of y"', f"a,{DAY},1", f'b,{DAY},"5 pipe'))
    assert set_aside(project) == 1
    project.sources[0]["read"] = {"quote": ""}

    assert retry(project, "seen").added == 1
    assert project.events("payload")[-1] == '{"x":"\\"5 pipe"}'


@pytest.mark.parametrize("first", ["#a,,1", "#a,soon,1", f'#a,{DAY},"1'])
def test_a_row_that_is_a_comment_by_now_is_no_event(project: LogProject, first: str) -> None:
    project.write("d/a.csv", csv("id,seen,x", first, f"b,{DAY},2"))
    assert set_aside(project) == 1
    project.sources[0]["read"] = {"comment": "#"}

    done = retry(project, f"coalesce(TRY_CAST(seen AS TIMESTAMPTZ), TIMESTAMPTZ '{DAY}')")
    assert [one.state for one in done.rows] == [RowState.SKIPPED]
    assert done.rows[0].reason.endswith("(the source's read says that it is a comment)")
    assert project.events("event_id") == ["b"]


@pytest.mark.parametrize("imports", [1, 2])
@pytest.mark.parametrize("alone", [False, True])
def test_a_field_that_is_spelled_otherwise_waits_on_and_lands_nowhere(
    project: LogProject, imports: int, *, alone: bool
) -> None:
    project.write("d/a.jsonl", jsonl({"id": "a", "seen": DAY, "x": 1}))
    if imports == 2:
        set_aside(project)
    others = [] if alone else [{"id": "c", "seen": DAY}, {"id": "d", "seen": "soon", "x": 4}]
    project.write("d/b.jsonl", jsonl({"id": "b", "seen": DAY, "X": 2}, *others))
    assert set_aside(project) == len(others[1:]) + 1

    # It holds no other row back.
    done = retry(project)
    waiting = (RowState.WAITING, "its fields 'x' and 'X' differ by case alone")
    assert (done.rows[0].state, done.rows[0].reason) == waiting
    assert [one.state for one in done.rows[1:]] == [RowState.TAKEN] * len(others[1:])
    bad = done.rows[0].kept
    project.open().quarantine.retry([bad.id], text=bad.misfit.raw.replace("X", "x"))
    assert project.events("event_id", "payload")[-1] == ("b", '{"x":2}')


def test_names_that_other_files_spell_otherwise_stop_no_retry_of_other_rows(project: LogProject) -> None:
    project.write("d/a.csv", csv("id,seen,x", f"a,{DAY},1", "b,soon,2"))
    project.write("d/b.csv", csv("id,seen,x,more", f"c,{DAY},3,4", "d,soon,3,4"))
    assert set_aside(project) == 2
    project.sources[0] |= {"read": {"names": ["id", "seen", "More"]}, "select": {"id": "id"}}

    assert {one.reason for one in retry(project).rows} == {
        "it has 4 values for 3 columns",
        "it cannot be read (its column 'More' is called 'more' in another file of the source)",
    }


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_later_file_lies_beside_the_folder_of_an_earlier_one(project: LogProject, ending: str) -> None:
    project.sources[0]["select"] = {"year": "year", "next": "year + 1"}
    write(project, f"a.{ending}", [{"id": "0", "seen": DAY}])
    write(project, f"year=2026/a.{ending}", [{"id": "a", "seen": DAY}])
    project.take()
    write(project, f"b.{ending}", [{"id": "b", "seen": "2026-01-02"}])

    assert project.take().added == 1
    assert project.events("payload") == [
        '{"year":null,"next":null}', '{"year":2026,"next":2027}', '{"year":null,"next":null}'
    ]  # fmt: skip


def test_the_part_before_a_tail_is_counted_a_few_times_however_many_rows_follow(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [{"id": f"a{at}", "seen": DAY, "x": at} for at in range(10)]
    project.write("d/a.jsonl", jsonl(*first))
    project.take()
    tail = [{"id": f"b{at}", "seen": DAY, "x": at} for at in range(200)]
    project.write("d/a.jsonl", jsonl(*first, *tail, {"id": "c", "seen": "soon"}))
    calls: list[int] = []
    real = sources.lines

    def counted(file: Path, upto: int) -> int:
        calls.append(upto)
        return real(file, upto)

    monkeypatch.setattr(sources, "lines", counted)

    assert set_aside(project) == 1
    assert len(calls) < 20
    assert project.open().quarantine.list()[0].misfit.where == "d/a.jsonl row 211 (line 211)"


class Root(PosixPath):
    """A folder that counts how many paths are made in it."""

    joined = 0

    def __truediv__(self, name: Any) -> Path:
        Root.joined += 1
        return Path(str(self), name)


def test_a_part_is_due_behind_the_files_before_it_which_are_looked_at_once() -> None:
    chance = random.Random(5)
    labels = [f"d/{at:04d}.jsonl" for at in range(400)]
    kept = {one: Taken("", 1, due=_due(chance), again=chance.random() < 0.2) for one in chance.sample(labels, 200)}
    grown, new = Taken("", 1, due=None), None
    print_ = Fingerprint(1, "", "", "", "", more=False, blank=True, torn=False, state=())
    files = tuple(
        FileReading(Path("/p", one), one, Growth.LINES, print_, taken, tail=taken is not None and chance.random() < 0.7)
        for one in labels
        if one not in kept
        for taken in [chance.choice([new, replace(grown, due=_due(chance))])]
    )
    settings = SourceSettings(name="s", path="d/*", event_id="id", type="'s'", occurred_at="seen", order_by="file")
    reading = SourceReading(Source(settings, Root("/p")), None, files, kept)
    Root.joined = 0
    parts = source_of(reading, {}).parts

    assert Root.joined <= len(kept)
    for part in parts or ():
        before = [one.due for label, one in kept.items() if Path("/p", label) < part.file and not one.again]
        before += [one.taken.due for one in files if one.tail and one.taken and one.file <= part.file]
        assert part.floor == max((one for one in before if one is not None), default=None)


def _due(chance: random.Random) -> int | None:
    return chance.choice([None, chance.randrange(99)])


def write(project: LogProject, name: str, rows: list[dict[str, Any]]) -> None:
    """A file of rows, in the format that its ending says."""
    file = project.root / "d" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".jsonl":
        file.write_text(jsonl(*rows))
    else:
        file.write_text(csv(",".join(rows[0]), *(",".join(map(str, one.values())) for one in rows)))


@pytest.mark.parametrize("odd", [b"p\x00q", b"caf\xe9"])
def test_what_is_kept_with_escapes_is_not_taken_for_what_the_file_said(project: LogProject, odd: bytes) -> None:
    file = project.write("d/a.csv", "id,seen,x\n")
    file.write_bytes(file.read_bytes() + b"a,soon," + odd + b"\nb,2026-01-01,y\n")
    assert project.take(max_bad_rows=1).quarantined == 1
    project.sources[0]["occurred_at"] = "coalesce(TRY_CAST(seen AS TIMESTAMPTZ), TIMESTAMPTZ '2026-01-05 00:00:00Z')"
    quarantine = project.open().quarantine
    (kept,) = quarantine.list()

    (tried,) = quarantine.retry([kept.id]).rows
    assert (tried.state, "give it by --with" in tried.reason) == (RowState.WAITING, True)

    assert quarantine.retry([kept.id], text="a,2026-01-02,pq").added == 1


@pytest.mark.parametrize("name", ["n", "j", "_", "x"])
def test_rows_of_parquet_keep_their_numbers_whatever_a_column_is_called(project: LogProject, name: str) -> None:
    project.sources[0]["select"] = {"x": f'"{name}"'}
    del project.sources[0]["event_id"]
    numbers = range(1, 12)
    table = {name: [str(n) for n in numbers], "seen": ["soon" if n in (2, 10, 11) else DAY for n in numbers]}
    pq.write_table(pa.table(table), project.root / "d" / "a.parquet")
    assert set_aside(project) == 3

    assert retry(project).added == 3
    by_id = {one["event_id"]: json.loads(one["payload"])["x"] for one in project.events()}
    assert by_id == {f"d/a.parquet#{n}": str(n) for n in numbers}

    assert [one.state for one in project.open().quarantine.list(state=None)] == [RowState.TAKEN] * 3


def test_of_two_rows_of_parquet_the_one_that_fits_is_taken_and_the_other_waits(project: LogProject) -> None:
    project.sources[0]["select"] = {}
    numbers = range(1, 12)
    table = {"id": [f"i{n}" for n in numbers], "n": [str(n) for n in numbers]}
    table["seen"] = ["soon" if n in (2, 10) else DAY for n in numbers]
    pq.write_table(pa.table(table), project.root / "d" / "a.parquet")
    assert set_aside(project) == 2

    assert retry(project, "CASE WHEN n = '2' THEN '2026-01-05' ELSE seen END").added == 1
    states = {one.misfit.row: one.state for one in project.open().quarantine.list(state=None)}
    assert states == {2: RowState.TAKEN, 10: RowState.WAITING}
    assert "i2" in project.events("event_id")


def test_of_two_rows_of_a_python_object_the_one_that_fits_is_taken_and_the_other_waits(project: LogProject) -> None:
    project.sources[0] = {key: one for key, one in project.sources[0].items() if key not in ("path", "select")}
    project.sources[0]["python"] = "rows_again:rows"
    project.write(
        "rows_again.py",
        "import pyarrow as pa\n\n\ndef rows():\n"
        '    return pa.table({"id": ["a", "b", "c"], "seen": ["2026-01-01", "soon", "later"]})\n',
    )
    assert set_aside(project) == 2

    found = retry(project, "CASE WHEN seen = 'soon' THEN '2026-01-05' ELSE seen END")

    assert (found.added, found.waiting) == (1, 1)
    assert project.events("event_id") == ["a", "b"]


def test_rows_are_numbered_on_behind_an_import_that_set_all_of_its_rows_aside(project: LogProject) -> None:
    project.sources[0]["select"] = {}
    del project.sources[0]["event_id"]
    bad, good = '{"seen": "soon", "a": 7}\n', f'{{"seen": "{DAY}", "a": 7}}\n'
    file = project.root / "d" / "a.jsonl"
    for step in (bad + bad, good + bad, bad, good):
        with file.open("a") as opened:
            opened.write(step)
        project.take(max_bad_rows=10)
    waiting = project.open().quarantine.list(state=RowState.WAITING)
    assert sorted(one.misfit.row for one in waiting) == [1, 2, 4, 5]
    assert project.events("event_id") == ["d/a.jsonl#3", "d/a.jsonl#6"]

    retry(project)
    assert sorted(project.events("event_id")) == [f"d/a.jsonl#{n}" for n in range(1, 7)]
    project.open().log.forget("s")
    assert project.take().added == 0


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        file.write_text(json.dumps(rows))


@pytest.mark.parametrize("suffix", ["parquet", "json"])
def test_a_row_that_was_set_aside_is_known_again_whatever_columns_other_files_bring(
    project: LogProject, suffix: str
) -> None:
    project.sources[0]["select"] = {}
    write_rows(project.root / "d" / f"2.{suffix}", [{"id": "a", "seen": "soon", "x": "1"}])
    assert set_aside(project) == 1
    others = [{"more": "m", "x": "2", "id": "b", "seen": DAY}]
    write_rows(project.root / "d" / f"1.{suffix}", others)
    assert set_aside(project) == 1

    project.open().log.forget("s")
    assert set_aside(project) == 1
    [one] = project.open().quarantine.list(state=None)
    project.open().quarantine.skip([one.id], reason="left out for good")
    project.open().log.forget("s")
    assert project.take().added == 0


def test_a_column_that_is_called_as_a_place_is_refused_by_name_also_where_rows_may_be_set_aside(
    project: LogProject,
) -> None:
    project.sources[0]["select"] = {}
    table = {"id": ["a", "b"], "seen": [DAY, "soon"], "_file": ["x", None]}
    pq.write_table(pa.table(table), project.root / "d" / "a.parquet")
    with pytest.raises(BadFile, match="its column '_file' has the name of something that an import keeps of every row"):
        project.take(max_bad_rows=5)


def later(project: LogProject, ending: str, select: str, first: list[str], then: list[str]) -> None:
    """Rows of JSON, or of CSV with a column `x`, in two files that were taken in one after the other."""
    project.sources[0] |= {"path": f"d/*.{ending}", "select": {"t": select}, "occurred_at": "seen"}
    for name, values in (("a", first), ("b", then)):
        rows = [(f"{name}{at}", value) for at, value in enumerate(values)]
        text = (
            csv("id,seen,x", *(f"{key},{DAY},{value}" for key, value in rows))
            if ending == "csv"
            else "".join(f'{{"id": "{key}", "seen": "{DAY}", "x": {value}}}\n' for key, value in rows)
        )
        project.write(f"d/{name}.{ending}", text)
        set_aside(project)


SAME = "'c/' || CASE WHEN true THEN x END"


def test_a_number_that_no_expression_needs_any_more_is_a_number_of_the_payload(project: LogProject) -> None:
    project.sources[0]["where"] = "x * 2 > 0"
    project.write("d/1.csv", csv("id,seen,x", "1,2026-01-01,1.5", "2,2026-01-02,2.5"))
    project.take()
    project.write("d/2.csv", csv("id,seen,x", "3,2026-01-03,2.25", "4,2026-01-04,3.5", "5,2026-01-05,many"))
    assert set_aside(project) == 2
    del project.sources[0]["where"]
    project.open().quarantine.retry()

    assert dict(zip(project.events("event_id"), payloads(project), strict=True)) == {
        "1": {"x": 1.5}, "2": {"x": 2.5}, "3": {"x": 2.25}, "4": {"x": 3.5}, "5": {"x": "many"},
    }  # fmt: skip


OF_OTHER_TYPES = [
    ("csv", SAME, ["1", "2"], ["many", "7"], "x = 'many' is no BIGINT"),
    ("csv", SAME, ["1.5", "2.5"], ["many", "7"], "x = 'many' is no DECIMAL(18,1)"),
    ("jsonl", SAME, ["1", "2"], ['"many"', "7"], "x = 'many' is no BIGINT"),
    ("jsonl", "'c/' || x.n", ['{"n": 1.5, "z": 1}'], ['{"n": 7, "z": "k"}', '{"n": 7}'], "x.z = 'k' is no BIGINT"),
    ("jsonl", "[x[1]]", ["[1.5]"], ['["k"]', "[7]"], "x[1] = 'k' is no DOUBLE"),
]


@pytest.mark.parametrize(("ending", "select", "first", "then", "reason"), OF_OTHER_TYPES)
def test_a_row_that_is_not_of_its_columns_type_waits_until_the_settings_are_others(
    project: LogProject, ending: str, select: str, first: list[str], then: list[str], reason: str
) -> None:
    """However it is asked for: the same import without quarantine refuses the row by the same words."""
    later(project, ending, select, first, then)
    before = payloads(project)
    done = project.open().quarantine.retry()

    assert [(one.state, one.reason.replace('"', "'")) for one in done.rows] == [(RowState.WAITING, reason)]
    assert payloads(project) == before


@pytest.mark.parametrize(("ending", "select", "first", "then", "reason"), OF_OTHER_TYPES)
def test_what_a_row_becomes_rests_on_no_other_row_of_its_retry(
    project: LogProject, tmp_path: Path, ending: str, select: str, first: list[str], then: list[str], reason: str
) -> None:
    """One of the rows is none of its column's type, and the settings were mended: each has its own types."""
    found = []
    for folder, together in (("one", True), ("many", False)):
        project.root = tmp_path / folder
        project.write("d/0", "").unlink()
        project.sources[0]["type"] = "CASE WHEN id > 'b' THEN CAST(CAST(id AS BIGINT) AS VARCHAR) ELSE 's' END"
        later(project, ending, select, first, then)
        waiting = [one.id for one in project.open().quarantine.list(state=RowState.WAITING)]
        assert len(waiting) == len(then)
        project.sources[0]["type"] = "'s'"
        for ids in [waiting] if together else [[one] for one in reversed(waiting)]:
            project.open().quarantine.retry(ids)
        found.append(sorted(zip(project.events("event_id"), map(str, payloads(project)), strict=True)))

    assert found[0] == found[1]
    assert len(found[0]) == len(first) + len(then)


def test_a_row_of_strings_beside_numbers_waits_where_its_source_takes_them_as_text(project: LogProject) -> None:
    later(project, "jsonl", "'c/' || x[1]", ["[1.5]"], ['["k"]', "[7]"])
    project.sources[0]["type"] = "'other'"
    (one,) = project.open().quarantine.retry().rows
    assert one.state is RowState.WAITING
    assert "it takes a value of x as text that is not text in each row" in one.reason

    project.sources[0] |= {"read": {"types": {"x": "JSON"}}, "select": {"t": "'c/' || (x ->> 0)"}}
    (one,) = project.open().quarantine.retry().rows
    assert one.state is RowState.TAKEN
    assert [one["t"] for one in payloads(project)] == ["c/1.5", "c/7.0", "c/k"]


def of_two_types(project: LogProject, second: list[tuple[str | None, Any]], kind: pa.DataType) -> None:
    """Parquet files in which a column has two types; the second has rows without an id."""
    columns = {"seen": [DAY] * 2, "id": ["a", "b"], "x": [1, 2]}
    pq.write_table(pa.table(columns), project.root / "d" / "0.parquet")
    ids, values = zip(*second, strict=True)
    table = pa.table({"seen": [DAY] * len(ids), "id": pa.array(ids, pa.string()), "x": pa.array(values, kind)})
    pq.write_table(table, project.root / "d" / "1.parquet")


def test_a_row_of_a_file_that_has_a_column_in_a_type_of_its_own_becomes_what_its_text_says(
    project: LogProject,
) -> None:
    project.columns["v"] = "DECIMAL(18,4)"
    project.sources[0] |= {"select": {"v": "x", "x": "x", "t": "'t/' || x"}, "occurred_at": "seen"}
    of_two_types(project, [("c", 1.5), (None, 2.5), (None, 2.5), ("d", 7.0)], pa.float64())
    assert set_aside(project) == 2
    waiting = project.open().quarantine.list(state=RowState.WAITING)
    assert [json.loads(one.misfit.raw) for one in waiting] == [{"id": None, "seen": DAY, "x": "2.5"}] * 2
    for one, text in zip(waiting, ('{"id": "e", "seen": "2026-01-01", "x": "77.5"}', None), strict=True):
        mended = json.loads(one.misfit.raw) | {"id": "f", "x": "7.0"}
        project.open().quarantine.retry([one.id], text=text or json.dumps(mended))

    found = {name: (str(v), json.loads(kept)) for name, v, kept in project.events("event_id", "v", "payload")}
    # As rows of the same file that were read with the others.
    assert found["d"] == ("7.0000", {"x": 7.0, "t": "t/7.0"}) == found["f"]
    assert found["e"] == ("77.5000", {"x": 77.5, "t": "t/77.5"})
    assert found["a"] == ("1.0000", {"x": 1, "t": "t/1"})


def test_a_rejected_row_stops_no_import_of_files_that_have_a_column_in_two_types(project: LogProject) -> None:
    project.sources[0]["occurred_at"] = "seen"
    of_two_types(project, [("c", "x"), (None, "007")], pa.string())
    assert set_aside(project) == 1
    (one,) = project.open().quarantine.list(state=RowState.WAITING)
    project.open().quarantine.retry([one.id], text='{"id": "d", "seen": "2026-01-01", "x": "007"}')

    assert payloads(project) == [{"x": 1}, {"x": 2}, {"x": "x"}, {"x": "007"}]


@pytest.mark.parametrize("beside", [[], ['{"n": "k"}'], ['{"N": 1}', '{"n": "k"}']])
def test_of_two_fields_of_one_name_inside_of_an_object_the_first_counts_whatever_stands_beside_it(
    project: LogProject, beside: list[str]
) -> None:
    later(project, "jsonl", "'c/' || x.n", ['{"n": 1}'], ['{"n": 5, "n": 6}', '{"n": 7, "n": "k"}', *beside])

    assert [kept["t"] for kept in payloads(project)] == ["c/1", "c/5", "c/7"]
    assert len(project.open().quarantine.list(state=RowState.WAITING)) == len(beside)


def test_a_row_of_which_a_query_cannot_compute_the_payload_waits_alone(project: LogProject) -> None:
    project.sources[0] = {
        "name": "s", "path": "d/*.jsonl",
        "query": "SELECT id AS event_id, 't' AS type, seen AS occurred_at, x * 2 AS w FROM source",
    }  # fmt: skip
    numbers = [1, 2**63 - 1, 3]
    project.write("d/a.jsonl", jsonl(*({"id": str(at), "seen": DAY, "x": x} for at, x in enumerate(numbers))))
    assert set_aside(project) == 1

    assert payloads(project) == [{"w": 2}, {"w": 6}]
    (one,) = project.open().quarantine.list(state=RowState.WAITING)
    assert (one.misfit.row, one.misfit.reason.partition(" (")[0]) == (2, "its query fails")


TYPED = {
    "i": (pa.int32(), 1, ["5.5", "1e3", "5_000", "3000000000", ""], ["-7"]),
    "d": (pa.decimal128(9, 2), Decimal("1.50"), ["1.555", "12345678.00", "1,5"], ["2.5", "-0.07"]),
    "f": (pa.float64(), 1.5, ["0.12345678901234567890123", "1e400", "9007199254740993"], ["77.50", "1e-3", "5"]),
    "g": (pa.float32(), 1.5, ["0.12345678901", "1e39"], ["0.25"]),
    "t": (
        pa.timestamp("us"), datetime(2026, 1, 1),  # noqa: DTZ001  (a time without a zone)
        ["2026-01-01 00:00:00.1234567", "2026-01-01T00:00:00+01:00", "soon"], ["2026-01-01", "2026-01-01T10:00:00.5"],
    ),
    "z": (pa.timestamp("us", tz="UTC"), datetime(2026, 1, 1, tzinfo=UTC), ["soon"], ["2026-01-01T10:00:00+01:00"]),
    "y": (pa.date32(), date(2026, 1, 1), ["2026-01-01 10:00:00", "2026-02-30"], ["2026-02-28"]),
    "l": (pa.list_(pa.int64()), [1, 2], ["[1.5]", "5"], ["[1, 3]"]),
    "o": (pa.struct({"n": pa.int64()}), {"n": 1}, ["{'n': 1.5}"], ["{'n': 7}"]),
    "b": (pa.bool_(), True, ["maybe"], ["false"]),
    "s": (pa.string(), "x", [], ["007", "1.50", ""]),
}  # fmt: skip


@pytest.mark.parametrize("name", thinned(2, TYPED))
def test_a_text_in_the_place_of_values_loses_nothing_or_is_refused(project: LogProject, name: str) -> None:
    kind, value, refused, taken = TYPED[name]
    project.sources[0] |= {"select": {"v": "v"}, "occurred_at": "seen"}
    table = {"seen": ["soon"] * len(taken), "id": [f"r{at}" for at in range(len(taken))]}
    pq.write_table(pa.table({**table, "v": pa.array([value] * len(taken), kind)}), project.root / "d" / "a.parquet")
    assert set_aside(project) == len(taken)
    waiting = project.open().quarantine.list(state=RowState.WAITING)
    for text in refused:
        mended = json.loads(waiting[0].misfit.raw) | {"seen": DAY, "v": text}
        (tried,) = project.open().quarantine.retry([waiting[0].id], text=json.dumps(mended)).rows
        assert tried.state is RowState.WAITING
        assert tried.reason.startswith(f"v = '{text}' is no ")
    for one, text in zip(waiting, taken, strict=True):
        mended = json.loads(one.misfit.raw) | {"seen": DAY, "v": text}
        (tried,) = project.open().quarantine.retry([one.id], text=json.dumps(mended)).rows
        assert tried.state is RowState.TAKEN
    assert len(payloads(project)) == len(taken)
    if name in ("i", "d", "f", "g"):
        assert [Decimal(str(kept["v"])) for kept in payloads(project)] == list(map(Decimal, taken))
    if name == "s":
        assert [kept["v"] for kept in payloads(project)] == taken


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_row_may_be_retried_by_settings_that_name_a_column_of_a_later_file(project: LogProject, ending: str) -> None:
    rows: list[dict[str, Any]] = [{"id": "a", "seen": DAY, "x": 1}, {"id": "b", "seen": "soon", "x": 2}]
    for name, table in (("0", rows), ("1", [{"id": "c", "seen": DAY, "x": 3, "w": "w"}])):
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(table), project.root / "d" / f"{name}.parquet")
        else:
            lines = [",".join(table[0]), *(",".join(map(str, row.values())) for row in table)]
            project.write(f"d/{name}.{ending}", csv(*lines) if ending == "csv" else jsonl(*table))
        set_aside(project)
    project.sources[0] |= {"select": {"x": "x", "w": "w"}}

    assert retry(project).added == 1
    assert payloads(project)[-1] == {"x": 2, "w": None}


def test_what_a_number_of_csv_becomes_in_a_payload_rests_on_its_own_text(tmp_path: Path) -> None:
    """In one import and in several, and once more after `forget`: columns have the type of all values in arithmetic."""
    texts = ["1.5", "1.50", "-.25", "7", "-0", "2.5e-3", "1.0"]
    found = []
    for name, together in (("one", True), ("many", False)):
        project = LogProject(tmp_path / name, columns={"d": "DECIMAL(9,4)"})
        project.source("s", path="d/*.csv", select={"d": "v", "v": "v", "t": "'t/' || v", "twice": "2 * v"})
        for at, text in enumerate(texts):
            project.write(f"d/{at}.csv", csv("id,seen,v", f"{at},{DAY},{text}"))
            if not together:
                project.sources[0]["read"] = {"types": {"v": "DOUBLE"}}
                project.take()
        if together:
            project.sources[0]["read"] = {"types": {"v": "DOUBLE"}}
            project.take()
        found.append(project.events("event_id", "d", "payload"))
        project.open().log.forget("s")
        assert project.take().added == 0

    assert found[0] == found[1]
    for text, (_, kept, payload) in zip(texts, found[0], strict=True):
        assert kept == Decimal(text)
        said = json.loads(payload, parse_float=str, parse_int=str)
        assert (said["v"], said["t"]) == (text.replace("-.", "-0."), f"t/{text}")


@pytest.mark.parametrize(
    ("ending", "select"),
    [("csv", {"v": "v"}), ("csv", {"v": "v", "e": "v * 2"}), ("jsonl", {"v": "v", "e": "v * 2"})],
)
def test_a_row_that_does_not_fit_the_type_that_is_said_since_keeps_no_other_one_waiting(
    project: LogProject, ending: str, select: dict[str, str]
) -> None:
    project.sources[0]["select"] = select

    def write(name: str, *values: object) -> None:
        rows = [{"id": f"{name}-{at}", "seen": "2026-01-01", "v": value} for at, value in enumerate(values)]
        text = (
            jsonl(*rows) if ending == "jsonl" else csv("id,seen,v", *(",".join(map(str, row.values())) for row in rows))
        )
        project.write(f"d/{name}.{ending}", text)

    write("a", 1.5)
    project.take()
    write("b", "foo", "many")
    assert project.take(max_bad_rows=5).quarantined == 2
    project.sources[0]["read"] = {"types": {"v": "DOUBLE"}}
    waiting = project.open().quarantine.list()

    done = project.open().quarantine.retry([one.id for one in waiting])
    assert [one.state for one in done.rows] == [RowState.WAITING, RowState.WAITING]


FIRST_VALUES = {
    "csv": ["9", "true", "1.50", "x", "007", "2026-01-31", "1.5e+5", "nan", "0.1", "12345678901234567890", "1" * 39,
            "-0.5", "", "10:00", "2026-01-31T10:00:00Z", "0.10000000000000000001"],
    "jsonl": ["9", "true", "1.50", '"x"', '"007"', '"2026-01-31"', "1.5e+5", "0.1", "12345678901234567890", "1" * 39,
              "-0.5", "null", '"9"', '{"a": 1.50}', "[1, 2]", '[{"b": null}, {"b": "x"}]', "{}", "[]"],
}  # fmt: skip


@pytest.mark.parametrize(("known", "mended", "ending"), thinned(5, [[], [""]], ["settings", "text"], ["csv", "jsonl"]))
def test_a_row_with_the_first_value_of_a_column_becomes_what_an_import_of_it_makes(
    tmp_path: Path, ending: str, mended: str, known: list[str]
) -> None:
    def project_of(name: str, rows: list[tuple[str, str]]) -> LogProject:
        made = LogProject(tmp_path / name)
        made.source(
            "s", path="d/*", select={"x": "x", "y": "[x]"}, occurred_at=MENDED if mended == "settings" else "seen"
        )
        made.write(f"d/a.{ending}", text_of(rows))
        return made

    def text_of(rows: list[tuple[str, str]]) -> str:
        if ending == "csv":
            return csv("id,seen,x", *(f"r{at},{seen},{value}" for at, (seen, value) in enumerate(rows)))
        values = (
            f'{{"id": "r{at}", "seen": "{seen}", "x": {value or "null"}}}\n' for at, (seen, value) in enumerate(rows)
        )
        return "".join(values)

    values = FIRST_VALUES[ending]
    apart = [project_of(f"p{at}", [(DAY, value)]) for at, value in enumerate(values)]
    for one in apart:
        one.take()
    project = project_of("all", [(DAY, one) for one in known] + [("soon", one) for one in values])
    project.sources[0]["occurred_at"] = "seen"
    assert set_aside(project) == len(values)

    if mended == "settings":
        retry(project)
    else:
        for one in project.open().quarantine.list(state=RowState.WAITING):
            project.open().quarantine.retry([one.id], text=one.misfit.raw.replace("soon", DAY))
    # Groups of one type come one after another.
    found = [payload for _, payload in sorted(project.events("event_id", "payload"), key=lambda one: int(one[0][1:]))]
    assert found[len(known) :] == [payload for one in apart for payload in one.events("payload")]


def test_a_type_that_came_since_is_that_of_a_row_which_was_set_aside_before(project: LogProject) -> None:
    project.sources[0]["select"] = {"y": "x IS NULL"}
    project.write("d/a.csv", csv("id,seen,x", "a,soon,7", "b,soon,seven"))
    assert set_aside(project) == 2
    project.write("d/b.csv", csv("id,seen,x", f"c,{DAY},8"))
    project.take()
    first, second = project.open().quarantine.list(state=RowState.WAITING)

    assert project.open().quarantine.retry([first.id], text=f"a,{DAY},7").added == 1
    (tried,) = project.open().quarantine.retry([second.id], text=f"b,{DAY},seven").rows
    assert tried.reason.endswith("x = 'seven' is no BIGINT")


@pytest.mark.parametrize(
    "before", thinned(5, [["1.5", "2"], ["3", "4"], ["1.5e-05", "2"], ["nan"], ["1.50", "12345678901234567.5"]])
)
def test_a_number_beside_numbers_becomes_what_it_becomes_when_it_is_retried_alone(
    tmp_path: Path, before: list[str]
) -> None:
    values = ["1.50", "1.125", "1.5e-05", "12345678901234567890", "12345678901234567.89", "nan", "true", "x", "7"]

    def project_of(name: str, late: list[str]) -> LogProject:
        made = LogProject(tmp_path / name)
        made.source("s", path="d/*", select={"k": "{k: x}", "y": "x"}, occurred_at="seen")
        rows = [f"a{at},{DAY},{value}" for at, value in enumerate(before)]
        made.write("d/a.csv", csv("id,seen,x", *rows, *(f"r{value},soon,{value}" for value in late)))
        assert set_aside(made) == len(late)
        made.sources[0]["where"] = "true"
        retry(made)
        return made

    together = dict(project_of("all", values).events("event_id", "payload"))
    for value in values:
        alone = dict(project_of(f"one-{values.index(value)}", [value]).events("event_id", "payload"))
        assert together.get(f"r{value}") == alone.get(f"r{value}")
        assert f"r{value}" in alone
