"""The index of event ids: it answers as the log itself would, whatever became of its files."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgauge import Event
from dualgauge.eventlog.append import id_index
from dualgauge.eventlog.append.appender import open_appender
from dualgauge.eventlog.append.id_index import FOLDER, IdIndex, Worn, hash_of, hashes_of
from dualgauge.eventlog.errors import ChangedEvent
from support.log_project import NOW, LogProject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dualgauge.eventlog.table.event_log import EventLog

WHEN = datetime(2026, 1, 31, tzinfo=UTC)
STRANGERS = [f"stranger-{number}" for number in range(40)]


def events(names: Iterable[object]) -> list[Event]:
    return [Event(str(name), "seen", WHEN) for name in names]


def filled(root: Path, *batches: Sequence[object]) -> LogProject:
    """A project whose log has these ids, a commit a batch."""
    project = LogProject(root)
    with project.open().appender() as log:
        for batch in batches:
            log.append(events(batch))
    return project


def truth(project: LogProject) -> dict[str, int]:
    return {row["event_id"]: row["position"] for row in project.events()}


def answers(log: EventLog, wanted: Sequence[str]) -> dict[str, list[int]]:
    """What a new index says."""
    return {name: [int(one) for one in found] for name, found in IdIndex(log).find(wanted).items()}


def segments(project: LogProject) -> list[Path]:
    return sorted((project.folder / FOLDER).glob("*.ids"))


def right(log: EventLog | LogProject, known: dict[str, int], wanted: Sequence[str] = ()) -> bool:
    """Whether a new index knows these ids, each at its one position, and none of the strangers."""
    wanted = wanted or [*known, *STRANGERS]
    return answers(log.log() if isinstance(log, LogProject) else log, wanted) == {
        name: [known[name]] for name in wanted if name in known
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> LogProject:
    """A log of 40 events in one file, and its index in one segment of three blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(id_index, "_BLOCK", 16)
        return filled(tmp_path_factory.mktemp("sample"), range(40))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_index, "_BLOCK", 16)


@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, unique=True))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_engine_and_python_hash_every_id_alike(
    names: list[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = filled(tmp_path_factory.mktemp("names"), names)
    by_hand = id_index._hashes(project.log(), 0, len(names))
    monkeypatch.setattr(id_index, "_BY_HAND", 0)
    by_engine = id_index._hashes(project.log(), 0, len(names))

    assert list(by_hand) == list(by_engine) == list(hashes_of(names))
    assert truth(project) == {name: at for at, name in enumerate(names, 1)}


@given(data=st.data(), width=st.sampled_from([1, 3, 50, 2**64]), block=st.sampled_from([2, 512]))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_appended_and_reopened_the_index_says_what_a_dict_would(
    data: st.DataObject, width: int, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hashes as narrow as `width` collide: then an answer may name other positions too, and appends stay exact."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(id_index, "hash_of", lambda name: hash_of(name) % width)
        patch.setattr(id_index, "_BLOCK", block)
        patch.setattr(id_index, "_MOST", data.draw(st.sampled_from([10, 100_000]), "most"))
        project = LogProject(tmp_path_factory.mktemp("model"))
        migration, model = project.open(), dict[str, int]()
        for _ in range(data.draw(st.integers(1, 3), "openings")):
            with migration.appender() as log:
                for batch in data.draw(st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=4), "batches"):
                    for name in map(str, batch):
                        model.setdefault(name, len(model) + 1)
                    assert log.append(events(batch)) == [model[str(one)] for one in batch]
            if data.draw(st.booleans(), "compact"):
                migration.log.compact()
            found = answers(project.log(), [*model, *STRANGERS])
            assert all(at in found[name] for name, at in model.items())
            assert width < 2**64 or found == {name: [at] for name, at in model.items()}
        assert truth(project) == model


def test_many_small_appends_leave_few_segments(tmp_path: Path) -> None:
    project = filled(tmp_path, *([number] for number in range(70)))

    assert len(segments(project)) <= 4
    assert sum(len(one.read_bytes()) for one in segments(project)) < 70 * 12 + 4 * 64
    assert right(project, truth(project))
    assert list((project.folder / "_staging").iterdir()) == []


def test_a_compaction_leaves_the_index_as_it_is(tmp_path: Path) -> None:
    project = filled(tmp_path, range(10), range(10, 30), range(30, 35))
    before = {path: path.read_bytes() for path in segments(project)}
    project.open().log.compact()

    assert right(project, truth(project))
    assert {path: path.read_bytes() for path in segments(project)} == before


@pytest.mark.usefixtures("small_blocks")
def test_a_flipped_bit_anywhere_in_a_segment_changes_no_answer(sample: LogProject) -> None:
    log, known, chance = sample.log(), truth(sample), random.Random(7)
    (segment,) = segments(sample)
    whole = segment.read_bytes()
    assert len(whole) == 28 + 3 * 4 + 40 * 12
    for at in range(len(whole)):
        hurt = bytearray(whole)
        hurt[at] ^= 1 << chance.randrange(8)
        segment.write_bytes(hurt)
        # First a few, for which not every block is looked at; then all.
        assert right(log, known, chance.sample([*known, *STRANGERS], 2))
        assert right(log, known)
        assert segments(sample) == [segment]
    assert segment.read_bytes() == whole


@pytest.mark.usefixtures("small_blocks")
@given(flips=st.dictionaries(st.integers(0, 519), st.integers(1, 255), min_size=1), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_changed_bytes_change_no_answer(flips: dict[int, int], data: st.DataObject, sample: LogProject) -> None:
    log, known = sample.log(), {str(number): number + 1 for number in range(40)}
    assert right(log, known)
    (segment,) = segments(sample)
    hurt = bytearray(segment.read_bytes())
    for at, change in flips.items():
        hurt[at] ^= change
    segment.write_bytes(hurt)

    assert right(log, known, data.draw(st.lists(st.sampled_from([*known, *STRANGERS]), min_size=1, unique=True)))
    assert right(log, known)


@pytest.mark.usefixtures("small_blocks")
def test_a_segment_cut_short_or_grown_changes_no_answer(sample: LogProject) -> None:
    log, known = sample.log(), truth(sample)
    (segment,) = segments(sample)
    whole = segment.read_bytes()
    for size in [*range(45), *range(45, len(whole), 31), len(whole) - 1]:
        segment.write_bytes(whole[:size])
        assert right(log, known)
    segment.write_bytes(whole + b"\0")
    assert right(sample, known)
    assert segment.read_bytes() == whole


def test_an_index_that_is_gone_in_part_or_in_whole_is_made_again(tmp_path: Path) -> None:
    project = filled(tmp_path, range(40), range(40, 45), [45])
    known, files = truth(project), segments(project)
    assert len(files) > 1
    for gone in (slice(1), slice(-1, None), slice(None)):
        for path in files[gone]:
            path.unlink()
        assert right(project, known)
        # No two speak of the same positions.
        held = sum(
            int(last) - int(first) + 1 for first, last, *_ in (path.name.split("-") for path in segments(project))
        )
        assert held == len(known)
        files = segments(project)
    shutil.rmtree(project.folder / FOLDER)
    assert right(project, known)


def test_a_segment_of_another_log_does_not_stand_in(tmp_path: Path) -> None:
    here, other = filled(tmp_path / "here", range(40)), filled(tmp_path / "other", range(100, 140))
    (mine,), (theirs,) = segments(here), segments(other)
    known = truth(here)

    # Under its own name, under the name of the one that should be there, and both.
    for names in ([theirs.name], [mine.name], [mine.name, theirs.name]):
        for path in segments(here):
            path.unlink()
        for name in names:
            shutil.copy(theirs, mine.with_name(name))
        assert right(here, known, [*known, *(str(number) for number in range(100, 140))])


def test_files_that_are_no_segments_are_left_alone(tmp_path: Path) -> None:
    project = filled(tmp_path, range(5))
    odd = [project.folder / FOLDER / name for name in ("notes.txt", "1-2-3.ids", "x-y-z-w.ids", "1-5-²-00.ids")]
    for path in odd:
        path.write_text("mine")

    assert right(project, truth(project))
    assert all(path.read_text() == "mine" for path in odd)


def test_a_log_that_was_replaced_is_not_answered_for_by_the_old_index(tmp_path: Path) -> None:
    here, other = filled(tmp_path / "here", range(40)), filled(tmp_path / "other", range(100, 150))
    shutil.copytree(here.folder / FOLDER, tmp_path / "index")
    shutil.rmtree(here.folder)
    shutil.copytree(other.folder, here.folder, ignore=shutil.ignore_patterns(FOLDER))
    shutil.copytree(tmp_path / "index", here.folder / FOLDER)

    assert right(here, truth(other), [*truth(other), *(str(number) for number in range(40))])


@pytest.mark.parametrize("grown", [0, 3, 20])
def test_a_log_put_back_takes_the_ids_again_that_it_lost(tmp_path: Path, grown: int) -> None:
    """It is then shorter than its index, as long, or longer, with other events."""
    project = filled(tmp_path / "project", range(40))
    shutil.copytree(project.root, tmp_path / "backup")
    with project.open().appender() as log:
        log.append(events(range(40, 60)))
    index = {path.name: path.read_bytes() for path in segments(project)}
    shutil.rmtree(project.root)
    shutil.copytree(tmp_path / "backup", project.root)
    for name, data in index.items():
        (project.folder / FOLDER / name).write_bytes(data)

    with project.open().appender() as log:
        assert log.append(events(range(100, 100 + grown))) == list(range(41, 41 + grown))
    assert right(project, truth(project), [str(number) for number in range(130)])
    with project.open().appender() as log:
        # The first 40 are there, the next 20 are new again.
        assert log.append(events(range(60))) == [*range(1, 41), *range(41 + grown, 61 + grown)]
    assert project.verify() == 60 + grown


@pytest.mark.usefixtures("small_blocks")
def test_an_id_of_the_same_hash_is_another_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_index, "hash_of", lambda _: 7)
    project = filled(tmp_path, range(700), ["a"], ["b"])
    known = truth(project)
    with project.open().appender() as log:
        assert log.append(events(["b", "c", "a", 699])) == [702, 703, 701, 700]
        with pytest.raises(ChangedEvent, match="position 702 of the log"):
            log.append([Event("b", "other", WHEN)])

    # Every block of the run of equal hashes is looked at, not its ends alone.
    (segment, *_) = segments(project)
    hurt = bytearray(segment.read_bytes())
    hurt[-4 * 550] ^= 1
    segment.write_bytes(hurt)
    with project.open().appender() as log:
        assert log.append(events(known)) == list(known.values())
    assert project.verify() == 703


@pytest.mark.usefixtures("small_blocks")
def test_a_worn_segment_is_noticed_when_it_is_merged_too(tmp_path: Path) -> None:
    """The events are in the log by then: the index is made again, and the call answers."""
    project = filled(tmp_path, range(40))
    with project.open().appender() as log:
        log.append(events([40]))
        # New ids that only ask for the first block of three, and enough of them that the segment is merged.
        edge = int(log._index._segments[0].hashes[14])
        names = [name for name in map(str, range(41, 900)) if hash_of(name) < edge][:30]
        log._index._segments[0].offsets = log._index._segments[0].offsets.copy()
        log._index._segments[0].offsets[38] += 1
        log._index._segments[0].sound[:] = False
        with pytest.raises(Worn):
            log._index._segments[0].whole()
        assert log.append(events(names)) == list(range(42, 72))
        assert log.append(events([*range(41), "last"])) == [*range(1, 42), 72]
    assert right(project, truth(project))


def test_an_appender_opened_without_a_migration_finds_the_same(tmp_path: Path) -> None:
    project = filled(tmp_path, range(5))
    with open_appender(project.log(), clock=lambda: NOW, sleep=lambda _: None, chance=random.Random(1)) as log:
        assert log.append(events(["4", "5"])) == [5, 6]
        assert log.head == 6
