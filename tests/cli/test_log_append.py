"""`dualgauge log append`: JSONL from standard input, all of it or nothing; and events that an import brought too."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge import Event
from dualgauge.eventlog.errors import ChangedEvent
from support.appended import WHEN, problems
from support.harm import digest, small_disk
from support.log_project import LogProject, csv, jsonl
from support.shop import ROOT, Said, call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.harm import Disk

BATCHED = "appended 0 events; 3 events known already\nthe log's head is position 3\n"


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    made = LogProject(tmp_path, columns={"cents": "BIGINT", "rate": "DECIMAL(12,2)"})
    made.open()
    return made


def line(event_id: str, **fields: Any) -> str:
    return json.dumps({"event_id": event_id, "type": "seen", "occurred_at": WHEN.isoformat(), "fields": fields})


def piped(project: LogProject, *lines: str | bytes, form: str = "text", batch: int | None = None) -> Said:
    data = b"\n".join(one.encode() if isinstance(one, str) else one for one in lines)
    more = ["--batch", str(batch)] if batch else []
    return call("log", "append", "--format", form, *more, folder=project.root, stdin=data)


def told(said: Said, code: int = 4) -> str:
    """The sentence of a call that was refused: one line and nothing else."""
    assert (said.exit_code, said.out, said.err.count("\n")) == (code, "", 1)
    return said.err.removeprefix("error: ").rstrip("\n")


def test_lines_are_appended_and_again_known(project: LogProject) -> None:
    lines = [line("a", cents=1), "", "   ", line("b", rate="1.50", note=[1.0]), "\r", line("a", cents=1)]
    first, again = piped(project, *lines), piped(project, *lines, line("c"), form="json")

    assert (first.exit_code, first.err) == (0, "")
    assert first.out == (
        "appended 2 events; 1 event known already\n"
        "the log's head is position 2\n"
        "next: dualgauge replay   # bring the views to the new head\n"
    )
    assert again.json["result"] == {"added": 1, "known": 3, "positions": [1, 2, 1, 3], "last": 3}
    assert again.json["next_steps"] == [{"command": "dualgauge replay", "why": "bring the views to the new head"}]
    assert project.events("event_id", "cents", "rate", "payload") == [
        ("a", 1, None, None), ("b", None, Decimal("1.50"), '{"note":[1.0]}'), ("c", None, None, None),
    ]  # fmt: skip
    assert problems(project) == []


def test_nothing_on_stdin_appends_nothing(project: LogProject) -> None:
    piped(project, line("a"))
    before = digest(project.folder)
    said = piped(project, "", "\n")

    assert (said.exit_code, said.out) == (0, "appended 0 events\nthe log's head is position 1\n")
    assert digest(project.folder) == before


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "line 4: it is no JSON (Expecting property name enclosed in double quotes at character 2)"),
        (b"\xe4", "line 4: it is no UTF-8 (byte 1)"),
        (line("x", cents="1"), "line 4 ('x'): field 'cents' = '1' is no BIGINT: a whole number of 64 bits"),
        ('{"event_id": "x"}', "line 4 ('x'): type, occurred_at is missing"),
        (
            line("x").replace("}}", '}, "caused_by": "a"}'),
            "line 4 ('x'): caused_by needs a column: declare caused_by = \"VARCHAR\" in [tool.dualgauge.log.columns]",
        ),
    ],
)
def test_a_bad_line_is_named_and_stops_them_all(bad: str | bytes, said: str, project: LogProject) -> None:
    piped(project, line("a"))
    before = digest(project.folder)
    found = told(piped(project, line("b"), line("a"), "", bad, line("c")))

    assert found == f"{said}; nothing of lines 1 to 5 was appended: mend it, and append them all again"
    assert digest(project.folder) == before


def test_a_changed_line_is_named_beside_what_the_log_has(project: LogProject) -> None:
    piped(project, line("x"), line("a", cents=1))
    said = piped(project, line("b"), "", line("a", cents=2), form="json")

    assert said.exit_code == 4
    assert said.json["error"] == {"type": "ChangedEvent", "message": (
        "event 'a' is there twice with different content: position 2 of the log and line 3 differ in cents; nothing of "
        "lines 1 to 3 was appended: an event never changes, so give the second one an id of its own"
    )}  # fmt: skip
    assert project.events("event_id") == ["x", "a"]


def test_batches_are_appended_as_they_come_and_a_bad_line_stops_its_own(project: LogProject) -> None:
    lines = [line("a"), line("b"), line("c"), "{", line("e")]
    said = told(piped(project, *lines, batch=2))

    assert "line 4: it is no JSON" in said
    assert "nothing of lines 3 to 4 was appended" in said
    assert project.events("event_id") == ["a", "b"]
    assert piped(project, *lines[:3], batch=2).out.startswith("appended 1 event; 2 events known already\n")
    assert piped(project, *lines[:3], batch=1).out == BATCHED


def test_lines_are_taken_in_while_the_pipe_is_still_open(project: LogProject) -> None:
    piped(project, line("x"))
    log = project.log()
    command = [sys.executable, "-m", "dualgauge", "log", "append", "--batch", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=project.root, env=environment, stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdin is not None
        running.stdin.write(line("a") + "\n")
        running.stdin.flush()
        while log.refresh().last == 1:
            assert running.poll() is None
        out, _ = running.communicate(line("b") + "\n")

    assert (running.returncode, out.splitlines()[0]) == (0, "appended 2 events")
    assert problems(project) == []


@pytest.mark.parametrize("closed", [True, False])
def test_a_terminal_is_no_input(closed: bool, project: LogProject, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", None if closed else terminal)
        said = call("log", "append", folder=project.root)
    os.close(ours)

    assert told(said, 2) == (
        "log append reads events from standard input, one JSON object a line, and nothing is piped in; give it a file: "
        "dualgauge log append < events.jsonl"
    )
    assert not project.folder.exists()


def test_more_lines_than_fit_into_one_call_are_refused_with_the_way_out(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualgauge.cli.log.append._MOST", 3)

    assert told(piped(project, *(line(str(n)) for n in range(4))), 2) == (
        "more than 3 events in one call; nothing was appended: say --batch 100000, which appends so many at a time, or "
        "make the file a source and use `dualgauge log import`"
    )
    assert piped(project, *(line(str(n)) for n in range(3))).out.startswith("appended 3 events\n")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


@pytest.mark.parametrize("leave", [0, 4_096, 30_000])
def test_an_append_that_finds_the_disk_full_appends_nothing(leave: int, disk: Disk) -> None:
    (disk.folder / "project").mkdir()
    project = LogProject(disk.folder / "project", columns={"cents": "BIGINT"})
    project.open()
    assert piped(project, line("a", cents=1)).exit_code == 0
    before = digest(project.folder)
    lines = "\n".join(
        line(f"{n:040d}", cents=n * 7919 % 10**9, note=hashlib.sha256(str(n).encode()).hexdigest())
        for n in range(3_000)
    )
    (disk.folder / "lines").write_text(lines, encoding="utf-8")
    first = disk.fill(leave)
    with (disk.folder / "lines").open() as given:
        done = subprocess.run(
            [sys.executable, "-m", "dualgauge", "log", "append"], stdin=given, cwd=project.root, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, preexec_fn=first,
        )  # fmt: skip
    disk.free()

    assert "cannot be used: " in told(Said(done.returncode, done.stdout, done.stderr), 1)
    assert digest(project.folder) == before
    assert piped(project, lines).out.startswith("appended 3,000 events\n")
    assert problems(project) == []


ROW = {"id": "a", "seen": WHEN.isoformat(), "cents": 5, "zeta": 1.50, "alpha": {"y": [1, None, 1e3], "x": "é"}}


def test_an_event_that_an_import_brought_is_known_to_an_append(project: LogProject) -> None:
    project.write("rows.jsonl", jsonl(ROW, {**ROW, "id": "b", "zeta": None}))
    project.source("seen", path="rows.jsonl", select={"zeta": "zeta", "alpha": "alpha"})
    project.take()
    fields = {"alpha": {"x": "é", "y": [1, None, 1000]}, "cents": 5, "zeta": Decimal("1.5")}

    assert project.events("payload")[0] != '{"alpha":{"x":"é","y":[1,null,1000]},"zeta":1.5}'
    with project.open().appender() as log:
        again = [Event("a", "seen", WHEN, fields), Event("b", "seen", WHEN, {**fields, "zeta": None})]
        assert log.append(again) == [1, 2]
        with pytest.raises(ChangedEvent, match="position 1 of the log and event 1 of this call differ in payload; "):
            log.append([Event("a", "seen", WHEN, {**fields, "zeta": True})])


def test_an_event_that_was_appended_is_known_to_an_import(project: LogProject) -> None:
    fields = {"alpha": {"x": "é", "y": [1, None, 1000]}, "cents": 5, "zeta": Decimal("1.50")}
    with project.open().appender() as log:
        log.append([Event("a", "seen", WHEN, fields), Event("z", "seen", WHEN)])
    project.write("rows.jsonl", jsonl(ROW, {**ROW, "id": "b"}, {**ROW, "zeta": 15e-1}))
    project.source("seen", path="rows.jsonl", select={"zeta": "zeta", "alpha": "alpha"})
    done = project.take()

    assert (done.added, done.known, project.events("event_id")) == (1, 2, ["a", "z", "b"])
    project.write("rows.jsonl", jsonl({**ROW, "id": "b"}, {**ROW, "zeta": 1.51}))
    project.open().log.forget("seen")
    with pytest.raises(
        ChangedEvent, match=r"position 1 of the log and rows.jsonl row 2 differ in payload; nothing was"
    ):
        project.take()


def test_a_payload_from_before_a_column_was_declared_is_known_in_any_spelling(project: LogProject) -> None:
    with project.open().appender() as log:
        log.append([Event("a", "seen", WHEN, {"name": "n", "zeta": Decimal("1.50"), "alpha": [1]})])
    project.columns["name"] = "VARCHAR"
    project.write("rows.csv", csv("id,seen,name,alpha,zeta", f"a,{WHEN.isoformat()},n,[1],1.5"))
    project.source("seen", path="rows.csv", select={"alpha": "alpha::JSON", "zeta": "zeta::DOUBLE"})

    assert project.take().known == 1
