"""A file that was taken in is read again only where the system says that it changed; and where it did, that is seen."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from dualgauge.eventlog.errors import ChangedFile
from dualgauge.eventlog.imports import seen_files
from dualgauge.eventlog.imports.seen_files import FILE
from dualgauge.eventlog.sources import cursor
from support.log_project import LogProject, csv

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "id,seen,x"
ROW = "a{},2026-01-0{},{}"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read to see what they are. A file may be noted at once, however new it is."""
    names: list[str] = []
    real = cursor.fingerprint

    def counted(file: Path, begin: int, *, by_line: bool) -> object:
        names.append(file.name)
        return real(file, begin, by_line=by_line)

    monkeypatch.setattr(cursor, "fingerprint", counted)
    monkeypatch.setattr(seen_files, "_SETTLED", -(10**12))
    return names


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"x": "BIGINT"})
    found.source("s", path="d/*.csv")
    for number in range(4):
        found.write(f"d/{number}.csv", csv(HEAD, ROW.format(number, number + 1, number)))
    found.take()
    found.take()
    return found


def test_what_is_as_it_was_is_read_once_more_and_then_no_more(project: LogProject, read: list[str]) -> None:
    project.take()
    assert sorted(read) == [f"{number}.csv" for number in range(4)]
    read.clear()
    project.write("d/new.csv", csv(HEAD, ROW.format("n", 1, 9)))

    assert project.take().added == 1
    assert read == ["new.csv"]
    assert project.take().added == 0
    assert read == ["new.csv", "new.csv"]
    assert project.take().added == 0
    assert read == ["new.csv", "new.csv"]
    assert project.verify() == 5


def other_content(file: Path) -> None:
    """As many bytes, and the times of before."""
    said = file.stat()
    text = file.read_text().replace(",2\n", ",3\n")
    file.write_text(text)
    os.utime(file, ns=(said.st_atime_ns, said.st_mtime_ns))


def another_file(file: Path) -> None:
    """Under the same name, from elsewhere, with the times of before."""
    said = file.stat()
    copy = file.with_suffix(".copy")
    shutil.copy2(file, copy)
    copy.write_text(copy.read_text().replace(",2\n", ",3\n"))
    os.utime(copy, ns=(said.st_atime_ns, said.st_mtime_ns))
    copy.replace(file)


@pytest.mark.parametrize("change", [other_content, another_file])
def test_a_change_that_leaves_size_and_time_as_they_were_is_seen(
    project: LogProject, read: list[str], change: object
) -> None:
    for _ in range(2):
        project.take()
    read.clear()
    change(project.root / "d" / "2.csv")  # type: ignore[operator]

    with pytest.raises(ChangedFile, match=r"d/2.csv was taken in, and is another one now: its first"):
        project.take()
    assert read == ["2.csv"]


def test_a_file_that_was_written_just_now_is_not_known_by_its_times(
    project: LogProject, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_files, "_SETTLED", 10**12)
    for _ in range(3):
        project.take()

    assert len(read) == 12
    assert not (project.folder / FILE).exists()


@pytest.mark.parametrize("notes", [b"", b"{", b"[]", b'{"s": 1}', b'{"s": {"d/2.csv": [1]}}', None])
def test_notes_may_be_lost_or_be_anything(project: LogProject, read: list[str], notes: bytes | None) -> None:
    project.take()
    read.clear()
    file = project.folder / FILE
    file.unlink()
    if notes is None:
        file.mkdir()
    else:
        file.write_bytes(notes)

    assert project.take().added == 0
    assert sorted(read) == [f"{number}.csv" for number in range(4)]
    assert project.verify() == 4


def test_other_settings_read_every_file_whatever_is_noted(project: LogProject, read: list[str]) -> None:
    for _ in range(2):
        project.take()
    read.clear()
    project.sources[0]["select"] = {"more": "x + 1"}
    project.sources[0]["event_id"] = "id || '!'"

    assert project.take().added == 4
    assert {*read} == {f"{number}.csv" for number in range(4)}


def test_a_file_that_was_away_while_the_settings_changed_is_read_when_it_is_back(
    project: LogProject, read: list[str]
) -> None:
    for _ in range(2):
        project.take()
    away = (project.root / "d" / "2.csv").rename(project.root / "2.away")
    project.sources[0]["event_id"] = "id || '!'"
    assert project.take().added == 3
    for _ in range(2):
        project.take()
    away.rename(project.root / "d" / "2.csv")

    assert project.take().added == 1
    assert project.verify() == 8


def test_a_file_that_grows_is_read_however_often_it_was_noted(project: LogProject, read: list[str]) -> None:
    for _ in range(2):
        project.take()
    read.clear()
    with (project.root / "d" / "1.csv").open("a") as file:
        file.write(ROW.format("more", 5, 5) + "\n")

    assert project.take().added == 1
    assert read == ["1.csv"]
    # A column that only another file has may still be named.
    project.write("d/less.csv", csv("id,seen", "b,2026-01-01"))
    assert project.take().added == 1
    assert project.events("event_id", "x")[-1] == ("b", None)


def test_a_dry_run_notes_nothing(project: LogProject, read: list[str]) -> None:
    project.take(dry_run=True)

    assert read
    assert not (project.folder / FILE).exists()
