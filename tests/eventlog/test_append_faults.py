"""Appends that are cut off, killed, raced or refused by the disk: what was acknowledged is there, and once."""

from __future__ import annotations

import os
import pathlib
import signal
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgauge.eventlog.append import appender
from dualgauge.eventlog.append.id_index import IdIndex
from dualgauge.eventlog.errors import LostRace
from dualgauge.eventlog.table.event_log import Behind, EventLog
from dualgauge.eventlog.table.storage import Folder
from dualgauge.ledger.ledger import Ledger
from support.appended import events, problems, race
from support.harm import digest
from support.log_project import LogProject, run_child

if TYPE_CHECKING:
    from pathlib import Path


# The steps of an append, in their order: where each is done, and whether the events are in the log before and after it.
STEPS: dict[str, tuple[Any, str, bool, bool]] = {
    "write": (appender.pq, "write_table", False, False),
    "publish": (Folder, "publish", False, False),
    "commit": (DeltaTable, "create_write_transaction", False, True),
    "look": (EventLog, "refresh", True, True),
    "ledger": (Ledger, "add_log_commits", True, True),
    "index": (IdIndex, "add", True, True),
}


class Died(BaseException):
    """The end of a process, as far as one process can play it."""


def breaks(step: str, when: str, fault: BaseException, patch: pytest.MonkeyPatch) -> None:
    """Let the next call of a step raise, before or after it did its work."""
    owner, name, *_ = STEPS[step]
    own = getattr(owner, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        patch.setattr(owner, name, own)
        if when == "after":
            own(*given, **named)
        raise fault

    patch.setattr(owner, name, wrapped)


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path, columns={"n": "BIGINT"})


broken = st.none() | st.tuples(st.sampled_from(list(STEPS)), st.sampled_from(["before", "after"]), st.booleans())
calls = st.lists(st.tuples(st.lists(st.integers(0, 40), min_size=1, max_size=12), broken), min_size=1, max_size=8)


@given(calls=calls)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_dies_when_the_log_is_what_a_dict_would_hold(
    calls: list[tuple[list[int], tuple[str, str, bool] | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A call that raised is there whole or not at all; the same again gives the positions that it has."""
    project = LogProject(tmp_path_factory.mktemp("model"), columns={"n": "BIGINT"})
    model: dict[str, int] = {}
    migration = project.open()
    while calls:
        try:
            with migration.appender() as log:
                while calls:
                    names, fault = calls.pop(0)
                    wanted = dict(model)
                    for name in map(str, names):
                        wanted.setdefault(name, len(wanted) + 1)
                    with pytest.MonkeyPatch.context() as patch:
                        if fault is not None:
                            breaks(fault[0], fault[1], Died() if fault[2] else OSError(5, "broken"), patch)
                        try:
                            assert log.append(events(names)) == [wanted[str(one)] for one in names]
                        except OSError:
                            calls.insert(0, (names, None))
                            continue
                    model = wanted
        except Died:
            held = {one: at for at, one in enumerate(project.events("event_id"), 1)}
            assert held in (model, wanted)
            calls.insert(0, (names, None))
    assert {one: at for at, one in enumerate(project.events("event_id"), 1)} == model
    assert problems(project) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_what_fails_in_an_open_appender_is_whole_or_gone_and_the_next_call_goes_on(
    step: str, when: str, project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = STEPS[step][2 if when == "before" else 3]
    with project.open().appender() as log:
        assert log.append(events("ab")) == [1, 2]
        before = digest(project.folder)
        breaks(step, when, OSError(5, "broken"), monkeypatch)
        # Once the commit is there only the ledger's fault is told.
        if landed and step != "ledger":
            assert log.append(events("bcd")) == [2, 3, 4]
        else:
            with pytest.raises(OSError, match="broken"):
                log.append(events("bcd"))
        assert project.events("event_id") == (["a", "b", "c", "d"] if landed else ["a", "b"])
        assert landed or digest(project.folder) == before
        assert log.append(events("ebcd")) == ([5, 2, 3, 4] if landed else [3, 2, 4, 5])
    with project.open().appender() as log:
        assert log.append(events("cf")) == [3 if landed else 4, 6]
    assert problems(project) == []


def test_a_writer_that_always_comes_second_gives_up_and_says_so(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behind(*_: Any) -> None:
        raise Behind

    with project.open().appender() as log:
        log.append(events("a"))
        pauses: list[float] = []
        log._sleep = pauses.append
        monkeypatch.setattr(EventLog, "transact", behind)
        with pytest.raises(LostRace) as fault:
            log.append(events("b"))
        monkeypatch.undo()
        assert log.append(events("b")) == [2]

    assert str(fault.value) == (
        f"other processes appended to {project.folder} first, 200 times; what was appended is whole: run the command "
        "again for the rest"
    )
    assert len(pauses) == 199
    assert max(pauses) <= 0.5
    assert max(pauses[:3]) <= 0.02
    assert problems(project) == []


KILLED = """
import os, pathlib, signal, sys
from datetime import UTC, datetime
import deltalake
import dualgauge
from dualgauge import Event
from dualgauge.eventlog.append import appender, id_index
from dualgauge.eventlog.table import storage
from dualgauge.ledger.ledger import Ledger

root, step, when = sys.argv[1:]
owner, name = {
    "write": (appender.pq, "write_table"), "publish": (storage.Folder, "publish"),
    "commit": (deltalake.DeltaTable, "create_write_transaction"), "ledger": (Ledger, "add_log_commits"),
    "index": (id_index.IdIndex, "add"), "segment": (pathlib.Path, "write_bytes"),
}[step]

def made(*names):
    return [Event(one, "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": 0}) for one in names]

with dualgauge.open(root).appender() as log:
    print(log.append(made("a", "b")), flush=True)
    own = getattr(owner, name)

    def dies(*given, **named):
        if when == "half":
            own(given[0], given[1][:20])
        if when == "after":
            own(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dies)
    log.append(made("b", "c", "d"))
"""


@pytest.mark.parametrize(
    ("step", "when"),
    [(step, when) for step in STEPS if step != "look" for when in ("before", "after")] + [("segment", "half")],
)
def test_a_process_killed_in_an_append_leaves_all_of_it_or_nothing(step: str, when: str, project: LogProject) -> None:
    project.open()
    child = run_child(KILLED, project.root, step, when)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (-signal.SIGKILL, "[1, 2]\n", "")

    landed = step in ("ledger", "index", "segment") or (step, when) == ("commit", "after")
    assert project.events("event_id") == (["a", "b", "c", "d"] if landed else ["a", "b"])
    assert [name for name in project.unnamed() if not name.endswith(".ids")] != []
    with project.open().appender() as log:
        # Whoever opens it next has cleared what the dead one left.
        alive = f"-{os.getpid()}-"
        assert [name for name in project.unnamed() if not name.endswith(".ids") and alive not in name] == []
        assert log.append(events("xdbc")) == ([5, 4, 2, 3] if landed else [3, 4, 2, 5])
    assert problems(project) == []


def test_two_processes_append_at_once_and_each_event_is_there_once(project: LogProject) -> None:
    found = race(project, processes=2, count=3_000, batch=150)

    assert sorted(found.values()) == list(range(1, 5_001))
    assert project.verify() == 5_000
    assert {one: at for at, one in enumerate(project.events("event_id"), 1)} == found
    assert problems(project) == []


def test_an_index_that_cannot_be_written_stops_no_append_and_leaves_no_part_of_it(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pathlib.Path.replace

    def full(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if target.suffix == ".ids":
            raise OSError(28, "No space left on device")
        return own(path, target)

    with project.open().appender() as log:
        log.append(events("a"))
        monkeypatch.setattr(pathlib.Path, "replace", full)
        assert log.append(events("bc")) == [2, 3]
        with pytest.raises(OSError, match="No space left on device"):
            log.append(events("d"))
        assert [path.name.rpartition("-")[2] for path in (project.folder / "_staging").iterdir()] == ["mark"]
        monkeypatch.undo()
        assert log.append(events("cd")) == [3, 4]
    assert problems(project) == []


WAITS = """
import sys
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event

with dualgauge.open(sys.argv[1]).appender() as log:
    for name in "abc":
        print(log.append([Event(name, "seen", datetime(2026, 1, 31, 12, tzinfo=UTC), {"n": 0})]), flush=True)
    sys.stdin.readline()
"""


def test_what_a_compaction_replaced_stays_for_readers_when_its_writer_dies(project: LogProject) -> None:
    project.open()
    child = run_child(WAITS, project.root)
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in "abc"] == ["[1]\n", "[2]\n", "[3]\n"]
    reader = project.log()
    assert len(reader.files()) == 3
    project.open().log.compact()
    child.kill()
    child.communicate()
    with project.open().appender() as log:
        assert log.append(events("abcd")) == [1, 2, 3, 4]

    assert all(path.is_file() for path in reader.files())
    assert [path.name for path in (project.folder / "_staging").iterdir()] == []
