"""The files of a source are of one format; and what a later import makes of a column is what one import of all does."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.eventlog.errors import BadFile, BadMapping, BadRow, UnlikeFiles
from support.log_project import LogProject, csv, jsonl, parquet

if TYPE_CHECKING:
    from collections.abc import Callable

SEEN = "2026-01-01"
EVENT = "SELECT id AS event_id, 't' AS type, CAST(seen AS TIMESTAMPTZ) AS occurred_at"
FILES: dict[str, Callable[[LogProject], object]] = {
    "a.csv": lambda project: project.write("d/a.csv", csv("id,seen,v", f"1,{SEEN},5.5")),
    "b.TSV": lambda project: project.write("d/b.TSV", f"id\tseen\tv\n2\t{SEEN}\t8\n"),
    "c.jsonl": lambda project: project.write("d/c.jsonl", jsonl({"id": 3, "seen": SEEN, "v": 1})),
    "d.json": lambda project: project.write("d/d.json", '[{"id": 4, "seen": "2026-01-01", "v": "x"}]'),
    "e.parquet": lambda project: parquet(project, "e.parquet", v=[1]),
}
FORMATS = {"a": "CSV", "b": "CSV", "c": "JSON", "d": "JSON", "e": "Parquet"}


@pytest.mark.parametrize("how", ["at once", "one by one", "archived"])
@pytest.mark.parametrize("one", FILES)
@pytest.mark.parametrize("two", FILES)
def test_files_of_several_formats_are_refused_with_their_names(
    project: LogProject, one: str, two: str, how: str
) -> None:
    project.sources[0]["select"] = {"v": "v"}
    FILES[one](project)
    if how != "at once":
        project.take()
        if how == "archived":
            (project.root / "d" / one).unlink()
    FILES[two](project)
    if FORMATS[one[0]] == FORMATS[two[0]]:
        project.take()
        assert len(project.events()) == len({one, two})
        return

    with pytest.raises(UnlikeFiles) as told:
        project.take(max_bad_rows=5)
    assert f"d/{one} is {FORMATS[one[0]]}" in str(told.value)
    assert f"d/{two} is {FORMATS[two[0]]}" in str(told.value)
    assert "write a source for each, such as path = " in str(told.value)


def taken(project: LogProject, rows: list[str], *, apart: bool, **source: Any) -> list[Any]:
    project.sources[0] |= source
    for at, row in enumerate(rows):
        project.write(f"d/{at}.csv", csv("id,seen,v", f"{at},{SEEN},{row}"))
        if apart:
            project.take()
    if not apart:
        project.take()
    return project.events("event_id", "payload")


@pytest.mark.parametrize("rows", [["nan", "5"], ["inf", "nan", "1.50"], ["nan", "x"], ["", "5"], ["-Infinity", "true"]])
@pytest.mark.parametrize("apart", [True, False])
def test_a_column_of_nan_alone_is_of_no_kind_until_another_value_comes(
    project: LogProject, rows: list[str], *, apart: bool
) -> None:
    values = {"5": "5", "1.50": "1.50", "": "null"}
    found = taken(project, rows, apart=apart, select={"v": "v"})
    assert [payload for _, payload in found] == [f'{{"v":{values.get(row, chr(34) + row + chr(34))}}}' for row in rows]


@pytest.mark.parametrize("later", ['["y"]', '{"a": 1}', "[]"])
def test_a_list_behind_strings_is_a_row_that_does_not_fit_an_expression(project: LogProject, later: str) -> None:
    project.sources[0] |= {"event_id": "lower(v) || '-' || id", "select": {"v": "v"}}
    project.write("d/a.jsonl", jsonl({"id": 1, "seen": SEEN, "v": "x"}))
    project.take()
    project.write(
        "d/b.jsonl", f'{{"id": 2, "seen": "{SEEN}", "v": {later}}}\n{{"id": 3, "seen": "{SEEN}", "v": "z"}}\n'
    )
    with pytest.raises(BadRow, match=r"d/b.jsonl row 1: v = .* is no VARCHAR"):
        project.take()

    assert project.take(max_bad_rows=1).quarantined == 1
    assert project.events("event_id") == ["x-1", "z-3"]
    # By itself it is what it is.
    project.sources[0]["event_id"] = "id"
    assert project.open().quarantine.retry().added == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_type_may_be_said_of_a_file_of_which_no_row_fits(project: LogProject, kind: str) -> None:
    project.sources[0] |= {"select": {"v": "v"}, "read": {"types": {"v": "DOUBLE"}}}
    text = jsonl({"id": 9, "seen": SEEN, "v": "x"}) if kind == "jsonl" else csv("id,seen,v", f"9,{SEEN},x")
    project.write(f"d/b.{kind}", text)

    assert project.take(max_bad_rows=1).quarantined == 1


@pytest.mark.parametrize(
    "compared", ["v <> 7", "v = 7.5", "7 = v", "v IN (7, 8)", "v IS DISTINCT FROM -7", "NOT (V = 7)"]
)
@pytest.mark.parametrize("setting", ["where", "query"])
def test_a_text_is_not_compared_with_a_number_which_would_round_it(
    project: LogProject, compared: str, setting: str
) -> None:
    if setting == "query":
        project.sources[0] = {"name": "s", "path": "d/*", "query": f"{EVENT} FROM source WHERE {compared}"}
    else:
        project.sources[0]["where"] = compared
    project.write("d/a.csv", csv("id,seen,v", f"1,{SEEN},007", f"2,{SEEN},7.4", f"3,{SEEN},8"))
    with pytest.raises(BadMapping, match=r"it compares [vV], which is text, with the number -?[78.5]+: the engine"):
        project.take()

    project.write("d/a.csv", csv("id,seen,v", f"2,{SEEN},7.4", f"3,{SEEN},8"))
    project.take()


def test_what_a_query_calls_a_number_may_be_compared_with_one(project: LogProject) -> None:
    inner = "SELECT id, seen, CAST(v AS DOUBLE) AS v FROM source"
    project.sources[0] = {
        "name": "s", "path": "d/*",
        "query": f"{EVENT} FROM ({inner}) WHERE v = 7",
    }  # fmt: skip
    project.write("d/a.csv", csv("id,seen,v", f"1,{SEEN},007", f"2,{SEEN},7.4"))
    project.take()

    assert project.events("event_id") == ["1"]


def test_gzip_with_more_behind_it_is_named_with_its_file(project: LogProject) -> None:
    project.sources[0]["select"] = {"v": "v"}
    file = project.root / "d" / "a.csv.gz"
    file.write_bytes(gzip.compress(csv("id,seen,v", f"1,{SEEN},2").encode()) + b"\0" * 100)

    with pytest.raises(BadFile, match=r"d/a.csv.gz: it cannot be read \(.*GZIP"):
        project.take()
