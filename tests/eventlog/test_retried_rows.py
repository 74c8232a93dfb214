"""Rows that were set aside become the events that they would have been, and what lies beside them is found quickly."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources import source as sources
from dualgauge.eventlog.sources.cursor import FileReading, Growth, SourceReading, Taken, source_of
from dualgauge.eventlog.sources.fingerprints import Fingerprint
from dualgauge.eventlog.sources.source import Source
from dualgauge.ledger.misfit import RowState
from support.log_project import LogProject, csv, jsonl

if TYPE_CHECKING:
    pass

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
    print_ = Fingerprint(1, "", "", "", "", more=False, torn=False, state=())
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
