"""Of files and globs only what is new is read, exactly once, and what was taken in stays what it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.engines.duck import Engine
from dualgauge.eventlog.errors import BadFile, BadRow, ChangedEvent, ChangedFile, EmptyFile, NoSuchFile, UnsteadyFile
from dualgauge.eventlog.imports import run
from dualgauge.eventlog.sources.cursor import mapping_of
from support.log_project import LogProject, csv, jsonl
from support.shop import add_order, build, call

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualgauge.eventlog.imports.run import Imported

HEAD = "id,seen,x"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path, columns={"x": "BIGINT"})


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that DuckDB was told to read events from, copies among them; filled by each import."""
    seen: list[str] = []
    objects: list[str] = []
    real, streamed = Engine.execute, Engine.stream

    def execute(self: Engine, sql: str, values: Any = ()) -> None:
        if sql.startswith("COPY") and "_due" in sql and (objects or "read_" in sql):
            seen[:] = objects or [part.split("'")[1] for part in sql.split("read_")[1:]]
            objects.clear()
        real(self, sql, values)

    def stream(self: Engine, sql: str, size: int) -> Any:
        objects.extend(part.split("'")[1] for part in sql.split("read_json_objects")[1:])
        return streamed(self, sql, size)

    monkeypatch.setattr(Engine, "execute", execute)
    monkeypatch.setattr(Engine, "stream", stream)
    return seen


def counts(done: Imported) -> tuple[int, int]:
    return done.added, done.known


def row(number: int, **more: object) -> dict[str, object]:
    return {"id": f"e{number}", "seen": f"2020-01-01 00:00:{number:02d}", "x": number, **more}


def append(project: LogProject, name: str, text: str) -> None:
    with (project.root / name).open("a", encoding="utf-8") as file:
        file.write(text)


def cursor(project: LogProject, source: str = "s") -> dict[str, Any]:
    found: dict[str, Any] = project.log().head().cursors[source]
    return found


# New files, grown files.


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "csv.gz"])
def test_of_a_glob_only_new_files_are_read(project: LogProject, read: list[str], ending: str) -> None:
    def put(number: int) -> None:
        file = project.root / "d" / f"{number}.{ending}"
        file.parent.mkdir(exist_ok=True)
        rows = [row(number), row(number + 20)]
        text = jsonl(*rows) if "json" in ending else csv(HEAD, *(",".join(map(str, one.values())) for one in rows))
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), file)
        else:
            file.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())

    project.source("s", path=f"d/*.{ending}")
    put(1)
    put(3)
    assert counts(project.take()) == (4, 0)
    put(2)
    put(4)

    assert counts(project.take()) == (4, 0)
    assert [Path(one).name for one in read] == [f"2.{ending}", f"4.{ending}"]
    assert cursor(project)["files"].keys() == {f"d/{i}.{ending}" for i in (1, 2, 3, 4)}
    assert project.events("event_id") == ["e1", "e3", "e21", "e23", "e2", "e4", "e22", "e24"]
    project.verify()


def test_a_grown_jsonl_file_is_read_on_from_where_it_ended(project: LogProject, read: list[str]) -> None:
    project.source("s", path="d/*.jsonl")
    project.write("d/1.jsonl", jsonl(row(1), row(2)))
    project.write("d/2.jsonl", jsonl(row(3)))
    project.take()
    append(project, "d/1.jsonl", jsonl(row(4), row(5)))
    done = project.take()

    assert counts(done) == (2, 0)
    (copy,) = read
    assert copy.startswith(str(project.folder / "_staging"))
    assert not Path(copy).exists()
    assert project.events("event_id", "x") == [(f"e{i}", i) for i in (1, 2, 3, 4, 5)]
    text = (project.root / "d/1.jsonl").read_bytes()
    assert cursor(project)["files"]["d/1.jsonl"] == {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    assert counts(project.take()) == (0, 0)


def test_rows_of_a_grown_jsonl_file_go_on_being_numbered(project: LogProject) -> None:
    project.source("s", path="s.jsonl", event_id=None)
    project.write("s.jsonl", jsonl(row(1), row(2)) + "\n")
    project.take()
    append(project, "s.jsonl", "  \n" + jsonl(row(3)))
    assert counts(project.take()) == (1, 0)
    append(project, "s.jsonl", jsonl(row(4), row(5)))
    assert counts(project.take()) == (2, 0)

    assert project.events("event_id") == [f"s.jsonl#{i}" for i in (1, 2, 3, 4, 5)]
    assert cursor(project)["files"]["s.jsonl"]["rows"] == 5


def test_rows_of_a_grown_csv_file_are_skipped_by_their_ids(project: LogProject) -> None:
    project.source("s", path="s.csv", event_id=None)
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take()
    append(project, "s.csv", "b,2020-01-02,2\nc,2020-01-03,3\n")

    assert counts(project.take()) == (2, 1)
    assert project.events("event_id", "x") == [("s.csv#1", 1), ("s.csv#2", 2), ("s.csv#3", 3)]


def test_an_end_that_lacks_columns_is_read_as_a_part_of_its_file(project: LogProject) -> None:
    project.columns = {"x": "BIGINT", "twice": "BIGINT"}
    project.source("s", path="s.jsonl", select={"twice": "2 * x", "note": "note"})
    project.write("s.jsonl", jsonl(row(1, note={"by": "Ann"}), row(2, note=None)))
    project.take()
    append(project, "s.jsonl", '{"id": "e3", "seen": "2020-01-02", "x": null}\n')
    append(project, "s.jsonl", '{"id": "e4", "seen": "2020-01-03", "more": [1, 2]}\n')
    project.take()

    assert project.events("event_id", "twice", "payload") == [
        ("e1", 2, '{"note":{"by":"Ann"}}'), ("e2", 4, '{"note":null}'),
        ("e3", None, '{"note":null}'), ("e4", None, '{"note":null}'),
    ]  # fmt: skip


def test_a_new_file_may_lack_a_column_that_others_have(project: LogProject) -> None:
    project.source("s", path="d/*.csv", select={"x": "coalesce(x, y)"})
    project.write("d/1.csv", csv("id,seen,x,y", "a,2020-01-01,1,7"))
    project.take()
    project.write("d/2.csv", csv("id,seen,y", "b,2020-01-02,2"))
    project.write("d/3.csv", csv("id,seen,x", "c,2020-01-03,3"))
    project.take()

    assert project.events("event_id", "x") == [("a", 1), ("b", 2), ("c", 3)]


def test_a_file_that_has_other_columns_does_not_change_what_the_log_has(project: LogProject) -> None:
    rest = "SELECT id AS event_id, 's' AS type, seen AS occurred_at, * EXCLUDE (id, seen) FROM source"
    project.source("s", path="d/*.csv", query=rest)
    project.write("d/1.csv", csv("id,seen,p,q", "a,2020-01-01,1,2"))
    project.take()
    project.write("d/2.csv", csv("seen,q,r,id,p", "2020-01-02,4,5,b,3"))
    project.take()
    project.open().log.forget("s")

    assert counts(project.take()) == (0, 2)
    project.open().log.forget("s")
    project.write("d/1.csv", csv("id,seen,p,q", "a,2020-01-01,1,7"))
    with pytest.raises(ChangedEvent, match=r"position 1 of the log and a row of this import differ in payload"):
        project.take()


def test_reader_options_that_speak_of_the_file_mean_the_file_and_not_a_copy(project: LogProject) -> None:
    project.columns = {"x": "BIGINT", "y": "BIGINT", "name": "VARCHAR"}
    project.source(
        "s", path="d/*/*.jsonl", read={"filename": True}, select={"name": "parse_filename(filename)", "at": "filename"}
    )
    project.write("d/y=7/s.jsonl", jsonl(row(1)))
    project.take()
    append(project, "d/y=7/s.jsonl", jsonl(row(2)) + '{"id"')
    project.take()

    assert project.events("event_id", "y", "name", "payload")[1] == ("e2", 7, "s.jsonl", json.dumps(
        {"at": str(project.root / "d/y=7/s.jsonl")}, separators=(",", ":")
    ))  # fmt: skip


def test_a_bad_row_of_an_end_is_named_by_its_row_in_the_file(project: LogProject) -> None:
    project.source("s", path="s.jsonl")
    project.write("s.jsonl", jsonl(row(1), row(2)))
    project.take()
    append(project, "s.jsonl", jsonl(row(3), {"id": "e4", "seen": "2020-01-02", "x": "four"}))
    with pytest.raises(BadRow, match=r"^source 's', s.jsonl row 4: x = 'four' is no BIGINT; "):
        project.take()
    shutil.copy(project.root / "s.jsonl", project.root / "kept.jsonl")
    (project.root / "s.jsonl").write_text(jsonl(row(1), row(2), row(3)) + "{]}\n")

    with pytest.raises(BadFile) as refused:
        project.take()

    assert str(refused.value).startswith("source 's', s.jsonl line 4: ")
    assert "_staging" not in str(refused.value)


@pytest.mark.parametrize(
    "more",
    [
        {"select": {"before": "lag(x) OVER (ORDER BY seen)"}},
        {"query": "SELECT id AS event_id, 's' AS type, max(seen) AS occurred_at, sum(x) AS x FROM source GROUP BY 1"},
    ],
)
def test_where_an_event_is_made_of_several_rows_all_of_them_are_read(
    project: LogProject, read: list[str], more: dict[str, Any]
) -> None:
    project.source("s", path="d/*.jsonl", **more)
    project.write("d/1.jsonl", jsonl(row(1), row(2)))
    project.take()
    project.write("d/2.jsonl", jsonl(row(3)))

    assert counts(project.take()) == (1, 2)
    assert len(read) == 2
    (*_, last) = project.events()
    assert last["payload"] in (None, '{"before":2}')


# Changed files.

LATER = "put new rows into a new file, or at the end of this one; "
ELSE = (
    "if the change is right, run `dualgauge log forget s` and import again: ids that are known are skipped, "
    "and an id with other content is refused"
)


@pytest.mark.parametrize("name", ["s.csv", "s.jsonl", "s.parquet", "s.json", "s.csv.gz"])
def test_a_file_that_was_taken_in_and_is_another_one_is_refused(project: LogProject, name: str) -> None:
    file = project.root / name

    def put(*rows: dict[str, object]) -> None:
        text = jsonl(*rows) if "json" in name else csv(HEAD, *(",".join(map(str, one.values())) for one in rows))
        if name.endswith("parquet"):
            pq.write_table(pa.Table.from_pylist(list(rows)), file)
        else:
            file.write_bytes(gzip.compress(text.encode(), mtime=0) if name.endswith("gz") else text.encode())

    project.source("s", path=name)
    put(row(1), row(2))
    project.take()
    size, before = file.stat().st_size, project.commits()
    put(row(1), row(3))

    with pytest.raises(ChangedFile) as refused:
        project.take()

    may_grow = name in ("s.csv", "s.jsonl")
    advice = LATER if may_grow else LATER.replace(", or at the end of this one", "")
    reason = "is another one now: its first {size:,} bytes have changed"
    if file.stat().st_size < size:
        reason = "is shorter now than the {size:,} bytes it had"
    assert str(refused.value) == (
        f"source 's': {name} was taken in, and {reason.format(size=size)}; nothing was imported: {advice}{ELSE}"
    )
    assert refused.value.exit_code == 4
    assert project.commits() == before
    assert project.unnamed() == []


def test_a_file_that_has_shrunk_is_refused(project: LogProject) -> None:
    project.source("s", path="s.csv")
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-01,2"))
    project.take()
    project.write("s.csv", csv(HEAD, "a,2020-01-01,1"))

    with pytest.raises(ChangedFile, match=r"s.csv was taken in, and is shorter now than the 40 bytes it had; nothing"):
        project.take()


@pytest.mark.parametrize("name", ["s.csv.gz", "s.json"])
def test_a_file_that_cannot_grow_is_refused_when_it_has(project: LogProject, name: str) -> None:
    project.source("s", path=name)
    text = csv(HEAD, "a,2020-01-01,1") if "csv" in name else jsonl(row(1))
    more = "b,2020-01-02,2\n" if "csv" in name else jsonl(row(2))
    pack = gzip.compress if name.endswith("gz") else bytes
    (project.root / name).write_bytes(pack(text.encode()))
    size = (project.root / name).stat().st_size
    project.take()
    with (project.root / name).open("ab") as file:
        file.write(pack(more.encode()))

    with pytest.raises(ChangedFile) as refused:
        project.take()

    assert f"is longer now than the {size} bytes it had, which a file of its kind cannot be; " in str(refused.value)


@pytest.mark.parametrize("changed", ["mapping", "until"])
def test_a_changed_file_is_refused_where_its_source_is_read_again_whole(project: LogProject, changed: str) -> None:
    project.source("s", path="d/*.jsonl")
    project.write("d/1.jsonl", jsonl(row(1), row(2)))
    project.take(until=datetime(2021, 1, 1, tzinfo=UTC) if changed == "until" else None)
    if changed == "mapping":
        project.sources[0]["where"] = "true"
    project.write("d/2.jsonl", jsonl(row(3)))
    append(project, "d/1.jsonl", jsonl(row(4)))
    assert counts(project.take()) == (2, 2)
    project.write("d/1.jsonl", jsonl(row(1), row(5), row(4)))

    with pytest.raises(ChangedFile):
        project.take()


def test_a_file_that_was_archived_is_not_missed_and_one_that_comes_back_is_known(
    project: LogProject, read: list[str]
) -> None:
    project.source("s", path="d/*.csv")
    first = project.write("d/1.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take()
    first.rename(project.root / "1.csv")
    assert counts(project.take()) == (0, 0)
    project.write("d/2.csv", csv(HEAD, "b,2020-01-02,2"))
    assert counts(project.take()) == (1, 0)
    assert cursor(project)["files"].keys() == {"d/1.csv", "d/2.csv"}
    (project.root / "1.csv").rename(first)
    read.clear()
    assert counts(project.take()) == (0, 0)
    assert read == []
    append(project, "d/1.csv", "c,2020-01-03,3\n")

    assert counts(project.take()) == (1, 1)
    project.write("d/1.csv", csv(HEAD, "a,2020-01-01,9"))
    with pytest.raises(ChangedFile):
        project.take()


def test_a_file_that_was_away_while_the_mapping_changed_is_read_when_it_is_back(project: LogProject) -> None:
    project.source("s", path="d/*.csv", where="x > 1")
    first = project.write("d/1.csv", csv(HEAD, "a,2020-01-01,1", "b,2020-01-02,2"))
    project.write("d/2.csv", csv(HEAD, "c,2020-01-03,1"))
    project.take()
    first.rename(project.root / "1.csv")
    del project.sources[0]["where"]
    assert counts(project.take()) == (1, 0)
    (project.root / "1.csv").rename(first)

    assert counts(project.take()) == (1, 1)
    assert counts(project.take()) == (0, 0)
    assert project.events("event_id") == ["b", "c", "a"]


def test_a_glob_that_never_matched_a_file_is_refused(project: LogProject) -> None:
    project.source("s", path="d/*.csv")

    with pytest.raises(NoSuchFile, match=r"no file matches d/\*.csv"):
        project.take()


def test_one_file_taken_by_its_name_leaves_what_is_known_of_the_others(project: LogProject, read: list[str]) -> None:
    project.source("s", path="d/*.csv")
    for number in (1, 2, 3):
        project.write(f"d/{number}.csv", csv(HEAD, f"e{number},2020-01-01,1"))
    project.take(str(project.root / "d/1.csv"))
    project.take(str(project.root / "d/2.csv"))
    assert cursor(project)["files"].keys() == {"d/1.csv", "d/2.csv"}
    project.sources[0]["where"] = "true"
    project.take(str(project.root / "d/1.csv"))
    read.clear()
    project.take()

    assert [Path(one).name for one in read] == ["2.csv", "3.csv"]
    assert sorted(project.events("event_id")) == ["e1", "e2", "e3"]


# Cursors of older logs.


def older(project: LogProject, name: str, **more: object) -> None:
    """Give the source the cursor that older versions wrote."""
    text = (project.root / name).read_bytes()
    source = project.open().settings.sources[0]
    said = {"files": {name: hashlib.sha256(text).hexdigest()}, "mapping": mapping_of(source), "until": None, **more}
    log = project.log()
    log.note({"s": said}, log.head())


def test_a_file_of_an_older_cursor_is_known_or_read_again_whole(project: LogProject, read: list[str]) -> None:
    project.source("s", path="s.jsonl")
    project.write("s.jsonl", jsonl(row(1), row(2)))
    project.take()
    older(project, "s.jsonl")
    read.clear()
    assert counts(project.take()) == (0, 0)
    assert read == []
    project.write("s.jsonl", jsonl(row(3), row(1), row(2)))

    assert counts(project.take()) == (1, 2)
    assert cursor(project)["files"]["s.jsonl"]["size"] == (project.root / "s.jsonl").stat().st_size


def test_the_hash_of_a_mapping_is_that_of_older_versions(project: LogProject) -> None:
    project.source("s", path="s.csv")
    source = project.open().settings.sources[0]
    names = (
        "name",
        "path",
        "python",
        "read",
        "event_id",
        "type",
        "occurred_at",
        "order_by",
        "where",
        "select",
        "query",
    )
    said = json.dumps({name: getattr(source, name) for name in names}, sort_keys=True, separators=(",", ":"))

    assert mapping_of(source) == hashlib.sha256(said.encode()).hexdigest()
    assert mapping_of(source.model_copy(update={"caused_by": "x"})) != mapping_of(source)


# Torn lines, and files that move.


def test_a_last_line_that_is_not_whole_is_left_and_told(project: LogProject) -> None:
    project.source("s", path="d/*.jsonl", event_id=None)
    project.write("d/1.jsonl", jsonl(row(1)) + '{"id": "e2", "seen": "2020-')
    first = project.take()
    again = project.take()
    append(project, "d/1.jsonl", '01-02", "x": 2}')
    second = project.take()
    append(project, "d/1.jsonl", "\n" + jsonl(row(3)) + "{")
    project.write("d/2.jsonl", "{")
    third = project.take()

    assert [(one.added, one.torn) for one in (first, again, second, third)] == [
        (1, ("d/1.jsonl",)), (0, ("d/1.jsonl",)), (1, ()), (1, ("d/1.jsonl", "d/2.jsonl")),
    ]  # fmt: skip
    assert project.events("event_id", "x") == [("d/1.jsonl#1", 1), ("d/1.jsonl#2", 2), ("d/1.jsonl#3", 3)]
    assert cursor(project)["files"].keys() == {"d/1.jsonl"}


def test_a_torn_line_is_told_by_the_command(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="s.jsonl")
    project.write("s.jsonl", jsonl(row(1)) + '{"id"')
    project.open()
    said = call("log", "import", folder=tmp_path)

    assert said.out.splitlines()[:2] == [
        "added 1 event at positions 1 to 1 from s",
        "s.jsonl: its last line is not whole yet, and is left for the next import",
    ]
    assert call("log", "import", "--format", "json", folder=tmp_path).json["result"]["torn"] == ["s.jsonl"]


@pytest.mark.parametrize("blank", ["", "\n", " \n\n"])
@pytest.mark.parametrize("beside", ["before", "with it", "nowhere"])
def test_a_file_that_is_only_opened_is_left_until_something_is_in_it(
    project: LogProject, beside: str, blank: str
) -> None:
    project.source("s", path="d/*.jsonl", event_id=None)
    if beside != "nowhere":
        project.write("d/1.jsonl", jsonl(row(1)))
    if beside == "before":
        assert project.take().empty == ()
    project.write("d/2.jsonl", blank)
    if beside == "nowhere":
        with pytest.raises(EmptyFile, match=r"d/2.jsonl is empty"):
            project.take()
        return
    first, again = project.take(), project.take()
    append(project, "d/2.jsonl", "{")
    torn = project.take()
    append(project, "d/2.jsonl", jsonl(row(2))[1:])
    last = project.take()

    assert [(one.added, one.empty, one.torn) for one in (first, again, torn, last)] == [
        (int(beside == "with it"), ("d/2.jsonl",), ()), (0, ("d/2.jsonl",), ()), (0, (), ("d/2.jsonl",)), (1, (), ()),
    ]  # fmt: skip
    assert project.events("event_id", "x") == [("d/1.jsonl#1", 1), ("d/2.jsonl#1", 2)]


def test_a_csv_file_that_is_only_opened_is_left_and_told_by_the_command(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="*.csv", event_id=None)
    project.write("1.csv", "id,seen,x\na,2026-01-01,1\n")
    project.write("2.csv", "")
    project.open()
    said = call("log", "import", folder=tmp_path)
    assert "2.csv: it is empty, and is left for the next import" in said.out.splitlines()
    assert call("log", "import", "--format", "json", folder=tmp_path).json["result"]["empty"] == ["2.csv"]
    project.write("2.csv", "id,seen,x\nb,2026-01-02,2\n")
    assert call("log", "import", "--format", "json", folder=tmp_path).json["result"]["added"] == 1


def test_a_file_that_is_one_torn_line_and_nothing_else_is_refused(project: LogProject) -> None:
    project.source("s", path="s.jsonl")
    project.write("s.jsonl", '{"id": "a"')

    with pytest.raises(BadFile) as refused:
        project.take()

    assert str(refused.value) == (
        "source 's', s.jsonl: its only line is not whole JSON; nothing was imported: mend the file; "
        "or wait until it is written"
    )


def moving(monkeypatch: pytest.MonkeyPatch, *moves: Callable[[], object]) -> None:
    """Let something happen to the files between their fingerprints and their reading, once for each reading."""
    left, real = list(moves), run._stage

    def stage(*given: Any, **named: Any) -> None:
        if left:
            left.pop(0)()
        real(*given, **named)

    monkeypatch.setattr(run, "_stage", stage)


@pytest.mark.parametrize("name", ["s.csv", "s.jsonl"])
@pytest.mark.parametrize("numbered", [False, True])
def test_what_is_written_while_a_file_is_read_is_left_for_the_next_import(
    project: LogProject, monkeypatch: pytest.MonkeyPatch, name: str, numbered: bool
) -> None:
    def lines(*numbers: int) -> str:
        rows = [row(one) for one in numbers]
        return jsonl(*rows) if "json" in name else "".join(",".join(map(str, r.values())) + "\n" for r in rows)

    project.source("s", path=name, event_id=None if numbered else "id")
    project.write(name, ("" if "json" in name else HEAD + "\n") + lines(1, 2))
    size = (project.root / name).stat().st_size
    moving(monkeypatch, lambda: append(project, name, lines(3, 4) + lines(5)[:9]))

    assert counts(project.take()) == (2, 0)
    assert cursor(project)["files"][name]["size"] == size
    append(project, name, lines(5)[9:])
    moving(monkeypatch, lambda: append(project, name, lines(6)))
    assert project.take().added == 3
    assert project.take().added == 1
    assert project.events("x") == [1, 2, 3, 4, 5, 6]
    assert project.events("event_id") == [f"{name}#{i}" if numbered else f"e{i}" for i in range(1, 7)]
    assert project.unnamed() == []


def test_two_files_that_are_written_while_they_are_read_are_each_taken_as_they_were(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.source("s", path="d/*.jsonl")
    project.write("d/1.jsonl", jsonl(row(1)))
    project.write("d/2.jsonl", jsonl(row(2)))
    moving(monkeypatch, lambda: append(project, "d/1.jsonl", jsonl(row(3))), lambda: append(project, "d/2.jsonl", "{"))

    assert project.take().added == 2
    assert project.events("x") == [1, 2]


@pytest.mark.parametrize("name", ["s.parquet", "s.csv"])
def test_a_file_that_is_replaced_while_it_is_read_is_refused(
    project: LogProject, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def put(*rows: dict[str, object]) -> None:
        if name.endswith("parquet"):
            pq.write_table(pa.Table.from_pylist(list(rows)), project.root / name)
        else:
            project.write(name, csv(HEAD, *(",".join(map(str, one.values())) for one in rows)))

    project.source("s", path=name)
    put(row(1))
    moving(monkeypatch, lambda: put(row(2), row(3)))

    with pytest.raises(UnsteadyFile) as refused:
        project.take()

    assert str(refused.value) == (
        f"source 's': {name} was changed while it was read; nothing was imported: run the command again when nothing "
        "writes it, or let it be written under another name and renamed when it is whole"
    )
    assert project.log().head().last == 0
    assert project.unnamed() == []


def test_a_file_that_is_taken_away_while_it_is_read_is_refused(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.source("s", path="d/*.csv")
    file = project.write("d/1.csv", csv(HEAD, "a,2020-01-01,1"))
    project.write("d/2.csv", csv(HEAD, "b,2020-01-01,1"))
    moving(monkeypatch, file.unlink)

    with pytest.raises(UnsteadyFile):
        project.take()


# Cursors alone.


def test_an_import_that_finds_nothing_new_in_a_changed_file_does_not_read_it_again(
    project: LogProject, read: list[str]
) -> None:
    project.source("s", path="d/*.csv")
    project.write("d/1.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take()
    before = project.log().head()
    project.write("d/2.csv", csv(HEAD, "a,2020-01-01,1"))
    assert counts(project.take()) == (0, 1)
    read.clear()

    assert counts(project.take()) == (0, 0)
    assert read == []
    after = project.commits()[-1]
    assert (after["rows"], after["last"], after["chain"], after["files"]) == (0, before.last, before.chain, [])
    project.verify()


def test_a_note_that_another_process_was_quicker_than_is_made_behind_it(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("1.csv", csv(HEAD, "a,2020-01-01,1"))
    project.write("2.csv", csv(HEAD, "b,2020-01-01,1"))
    project.source("one", path="1.csv")
    project.source("two", path="2.csv")
    project.source("again", path="1.csv", type="'one'")
    project.take("one")
    real = run._fresh
    meanwhile = [lambda: project.take("two")]

    def fresh(*given: Any) -> Any:
        found = real(*given)
        if meanwhile:
            meanwhile.pop()()
        return found

    monkeypatch.setattr(run, "_fresh", fresh)
    assert counts(project.take("again")) == (0, 1)
    assert project.log().head().cursors.keys() == {"one", "two", "again"}
    project.verify()


def test_a_source_that_another_process_took_in_meanwhile_is_looked_at_anew(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.source("s", path="s.jsonl", event_id=None)
    project.write("s.jsonl", jsonl(row(1), row(2)))
    real = run._fresh

    def other() -> None:
        append(project, "s.jsonl", jsonl(row(3)))
        project.take()

    meanwhile = [other]

    def fresh(*given: Any) -> Any:
        found = real(*given)
        if meanwhile:
            meanwhile.pop()()
        return found

    monkeypatch.setattr(run, "_fresh", fresh)
    assert counts(project.take()) == (0, 2)
    assert cursor(project)["files"]["s.jsonl"]["rows"] == 3
    append(project, "s.jsonl", jsonl(row(4)))
    assert counts(project.take()) == (1, 0)
    assert project.events("event_id") == [f"s.jsonl#{i}" for i in (1, 2, 3, 4)]


# The order of a file.


def in_file_order(root: Path) -> LogProject:
    project = LogProject(root, columns={"x": "BIGINT"})
    project.source("kept", path="d/*.jsonl", order_by="file", event_id=None)
    project.source("timed", path="t/*.csv", event_id="id")
    return project


def test_rows_of_an_end_are_due_when_the_rows_before_them_were(tmp_path: Path) -> None:
    project = in_file_order(tmp_path)
    project.write("d/1.jsonl", jsonl({"id": 1, "seen": "2020-01-05", "x": 1}))
    project.write("t/1.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take(every=True)
    append(project, "d/1.jsonl", jsonl({"id": 2, "seen": "2020-01-02", "x": 2}))
    project.write("d/2.jsonl", jsonl({"id": 3, "seen": "2020-01-01", "x": 3}))
    project.write("d/0.jsonl", jsonl({"id": 0, "seen": "2020-01-03", "x": 0}))
    project.write("t/2.csv", csv(HEAD, "b,2020-01-04,1", "c,2020-01-06,1"))
    early = project.take(every=True, until=datetime(2020, 1, 4, 12, tzinfo=UTC))
    project.take(every=True)

    assert early.added == 2
    assert project.events("event_id") == [
        "a", "d/1.jsonl#1", "d/0.jsonl#1", "b", "d/1.jsonl#2", "d/2.jsonl#1", "c",
    ]  # fmt: skip


def test_rows_that_are_numbered_by_their_source_are_due_when_those_before_them_were(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    project.source("kept", path="d/*.jsonl", order_by="x")
    project.source("timed", path="t/*.csv")
    project.write("d/1.jsonl", jsonl({"id": "k1", "seen": "2020-01-05", "x": 1}))
    project.write("t/1.csv", csv(HEAD, "a,2020-01-01,1"))
    project.take(every=True)
    append(project, "d/1.jsonl", jsonl({"id": "k2", "seen": "2020-01-02", "x": 2}))
    project.write("t/2.csv", csv(HEAD, "b,2020-01-04,1", "c,2020-01-06,1"))
    project.take(every=True)

    assert project.events("event_id") == ["a", "k1", "b", "k2", "c"]


STEP = st.tuples(st.sampled_from(["d/1.jsonl", "d/2.jsonl", "t/3.csv", "t/1.csv"]), st.lists(st.integers(0, 9)))


@settings(max_examples=6)
@given(steps=st.lists(STEP, min_size=2, max_size=4), order=st.sampled_from(["", "file"]))
def test_read_bit_by_bit_the_log_is_what_reading_everything_each_time_makes_of_it(
    steps: list[tuple[str, list[int]]], order: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        logs = []
        for forgetful in (False, True):
            project = LogProject(Path(folder) / str(forgetful), columns={"x": "BIGINT"})
            project.source("d", path="d/*.*", event_id=None, order_by=order or None)
            project.source("t", path="t/*.csv", event_id=None)
            for name in ("t/3.csv", "t/1.csv"):
                project.write(name, HEAD + "\n")
            project.write("d/0.jsonl", jsonl({"id": "i", "seen": "2020-01-01", "x": 0}))
            for name, days in steps:
                rows = [{"id": "i", "seen": f"2020-01-{day + 1:02d}", "x": day} for day in days]
                text = "".join(f"i,{one['seen']},{one['x']}\n" for one in rows) if "csv" in name else jsonl(*rows)
                (project.root / "d").mkdir(exist_ok=True)
                if text:
                    append(project, name, text)
                for source in ("d", "t") if forgetful and project.log().exists else ():
                    project.open().log.forget(source)
                project.take(every=True)
            project.verify()
            logs.append(project.events())

        assert logs[0] == logs[1]


# The whole way.


def test_a_command_refuses_a_changed_file_and_goes_on_when_the_source_was_forgotten(tmp_path: Path) -> None:
    shop = build(tmp_path / "shop")
    file = shop / "data" / "orders.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "8,2026-01-01T08:00:00Z,eve,placed,1", *lines[1:]]) + "\n")
    refused = call("log", "import", folder=shop)
    assert refused.exit_code == 4
    assert "data/orders.csv was taken in, and is another one now" in refused.err
    assert call("log", "forget", "orders", folder=shop).exit_code == 0
    add_order(shop)

    assert call("log", "import", folder=shop).out.startswith("added 2 events at positions 6 to 7 from orders; 5 events")


@pytest.mark.parametrize("end", ["", " ", "\t"])
def test_a_line_that_goes_on_behind_its_object_is_no_new_one(project: LogProject, end: str) -> None:
    project.source("s", path="a.jsonl")
    (project.root / "a.jsonl").write_text(jsonl(row(1)).rstrip("\n") + end)
    assert project.take().added == 1
    whole = (project.root / "a.jsonl").read_text()
    (project.root / "a.jsonl").write_text(whole + " " + jsonl(row(2)))
    with pytest.raises(ChangedFile, match="its last line goes on now behind the object that was taken in"):
        project.take()

    (project.root / "a.jsonl").write_text(whole + " \n" + jsonl(row(2)))
    assert project.take().added == 1


@pytest.mark.parametrize("first", ["\u010aa", '"a\r\nb"', "\u0a0d", "\u2222"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_a_file_may_grow_whatever_bytes_its_letters_have(tmp_path: Path, first: str, encoding: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*.csv", select={"v": "v"}, read={"encoding": encoding})
    text = f"id,seen,v\na,2026-01-01,{first}\n"
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.csv").write_bytes(text.encode(encoding))
    project.take()
    (tmp_path / "d" / "a.csv").write_bytes(f'{text}b,2026-01-02,"x\ny"\n'.encode(encoding))
    project.take()

    assert [json.loads(one)["v"] for one in project.events("payload")] == [first.strip('"'), "x\ny"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_quoted_value_of_several_lines_at_the_end_may_get_the_end_of_its_line(
    project: LogProject, end: str, encoding: str
) -> None:
    project.source("s", path="d/1.csv", select={"v": "v"}, read={"encoding": encoding})
    file = project.root / "d/1.csv"
    file.parent.mkdir(exist_ok=True)
    text = f'id,seen,v{end}a,2026-01-01,"x\ny"'
    for more in ("", end, f"b,2026-01-02,z{end}"):
        text += more
        file.write_bytes(text.encode(encoding))
        project.take()
    assert project.events("event_id", "payload") == [("a", '{"v":"x\\ny"}'), ("b", '{"v":"z"}')]


def test_a_quote_that_was_open_at_the_end_of_a_file_takes_no_row_that_was_taken_in(project: LogProject) -> None:
    project.source("s", path="d/1.csv", select={"v": "v"})
    file = project.root / "d/1.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text('id,seen,v\na,2026-01-01,"x\nb,2026-01-01,3')
    assert project.take(max_bad_rows=1).added == 1
    with file.open("a") as grown:
        grown.write('"\nc,2026-01-01,2\n')
    with pytest.raises(ChangedFile, match="its row of line 2 goes on over line 3 now"):
        project.take(max_bad_rows=1)
