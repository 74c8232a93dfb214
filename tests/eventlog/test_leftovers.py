"""Who clears away what a dead writer left takes nothing that a commit names or will name, wherever its writer runs."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from dualgauge.eventlog.table.event_log import EventLog
from dualgauge.eventlog.table.staging import remove_leftovers
from support.appended import events, problems
from support.log_project import NOW, LogProject, run_child

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    return LogProject(tmp_path, columns={"n": "BIGINT"})


APPENDS_AND_WAITS = """
import sys
import dualgauge
from support.appended import events

with dualgauge.open(sys.argv[1]).appender() as log:
    for name in "abc":
        print(log.append(events(name)), flush=True)
    sys.stdin.readline()
"""


def test_what_a_process_committed_before_it_died_is_no_leftover_to_who_opened_the_log_before(
    project: LogProject,
) -> None:
    with project.open().appender() as log:
        log.append(events("x"))
    opened = project.log()
    assert opened.head().last == 1
    child = run_child(APPENDS_AND_WAITS, project.root)
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in "abc"] == ["[2]\n", "[3]\n", "[4]\n"]
    child.kill()
    child.communicate()
    remove_leftovers(opened, NOW)

    assert project.events("event_id") == ["x", "a", "b", "c"]
    assert problems(project) == []


def test_what_an_appender_of_yesterday_commits_is_no_leftover_to_another_machine(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = EventLog.transact

    def beside(log: EventLog, *given: Any) -> None:
        # The file has its place in the log, and no commit names it yet.
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(socket, "gethostname", lambda: "another-host")
            remove_leftovers(project.log(), datetime.now(UTC))
        own(log, *given)

    with project.open().appender() as log:
        log.append(events("a"))
        (mark,) = (project.folder / "_staging").glob("*-mark")
        os.utime(mark, (1, 1))
        monkeypatch.setattr(EventLog, "transact", beside)
        log.append(events("b"))

    assert project.events("event_id") == ["a", "b"]
    assert problems(project) == []


def test_what_another_user_s_process_has_staged_is_left_alone(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(pid: int, signal: int) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    with project.open().appender() as log:
        log.append(events("a"))
        (mark,) = (project.folder / "_staging").glob("*-mark")
        monkeypatch.setattr(os, "kill", refuses)
        remove_leftovers(project.log(), NOW)
        assert mark.exists()
