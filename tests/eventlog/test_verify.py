"""`log verify` finds what was changed in the log's files, the chain, or the ledger's copy of it, and says where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dualgauge
from dualgauge import Event
from dualgauge.eventlog.integrity import verify_contents
from dualgauge.eventlog.table import duplicates
from dualgauge.eventlog.table.open import open_log
from support.log_project import NOW, LogProject
from support.shop import call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.tamper import Log

GUIDE = (
    "append and compact nothing, and restore what is named from a backup (docs/guides/log.md says what each finding "
    "means)"
)
ALL = ("position", "event_id", "type", "occurred_at", "recorded_at", "payload", "x")


def swap(one: int, other: int, *names: str) -> Callable[[list[dict[str, Any]]], None]:
    def edit(rows: list[dict[str, Any]]) -> None:
        for name in names:
            rows[one][name], rows[other][name] = rows[other][name], rows[one][name]

    return edit


def test_a_sound_log_is_verified_and_the_answer_says_what_was_looked_at(log: Log) -> None:
    chain = log.project.log().head().chain
    said = call("log", "verify", folder=log.project.root)
    size = sum((log.project.folder / name).stat().st_size for name in log.tamper.names)

    assert (said.exit_code, said.err) == (0, "")
    assert said.out == f"verified: 6 commits, 5 files of 0.0 MB, positions 1 to 50; chain {chain[:16]}\n"
    assert call("log", "verify", "--format", "json", folder=log.project.root).json["result"] == {
        "sound": True, "from": 1, "last": 50, "chain": chain, "commits": 6, "files": 5, "bytes": size, "problems": [],
        "causes": {"counted": 0, "early_count": 0, "absent_count": 0, "early": [], "absent": []},
    }  # fmt: skip


def test_a_compacted_log_is_sound_by_our_word_and_by_hand(compacted: Log) -> None:
    assert compacted.found() == []
    assert compacted.project.verify() == 60
    assert compacted.project.mirrored()
    assert compacted.without_a_ledger().found() == []


def test_a_log_without_events_is_sound_and_without_a_log_there_is_nothing_to_verify(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    project.open()
    said = call("log", "verify", folder=tmp_path)

    assert said.exit_code == 2
    assert said.err.startswith(f"error: there is no event log at {project.folder} yet; import a source first\n")
    open_log(project.folder, project.open().settings.log).create()
    assert call("log", "verify", folder=tmp_path).out == (
        f"verified: 1 commit, 0 files of 0.0 MB, no events; chain {'0' * 16}\n"
    )


def test_the_steps_are_told_with_an_honest_end(compacted: Log) -> None:
    told: list[tuple[str, int, int | None]] = []
    dualgauge.open(compacted.project.root, progress=lambda *step: told.append(step)).log.verify()

    assert list(dict.fromkeys(step for step, _, _ in told)) == [
        "following the commits", "hashing the files", "looking at positions", "looking at ids",
        "looking at compactions",
    ]  # fmt: skip
    assert all(total is not None and 0 <= done < total for _, done, total in told)


# Files.


@pytest.mark.parametrize("at", [0, 700, -200, -8, -1])
def test_a_flipped_bit_is_found_in_every_file_wherever_it_is(log: Log, at: int) -> None:
    for number, name in enumerate(log.tamper.names):
        log.tamper.flip(name, at)
        assert log.found() == [("file changed", number * 10 + 1, number * 10 + 10, name)]
        log.tamper.flip(name, at)
    assert log.found() == []


def test_the_first_bad_file_is_named_with_its_positions_and_what_is_wrong(log: Log) -> None:
    second, fourth = log.tamper.names[1], log.tamper.names[3]
    log.tamper.flip(fourth, 900)
    (log.project.folder / second).unlink()
    said = call("log", "verify", folder=log.project.root)
    answer = call("log", "verify", "--format", "json", folder=log.project.root).json

    assert (said.exit_code, said.err) == (1, "")
    assert said.out.splitlines() == [
        f"file missing: positions 11 to 20: {second} is not there",
        f"file changed: positions 31 to 40: {fourth} is not what was written",
        f"damaged: 2 problems in 6 commits, 5 files of 0.0 MB, positions 1 to 50; {GUIDE}",
    ]
    assert (answer["exit_code"], answer["result"]["sound"]) == (1, False)
    assert answer["result"]["problems"][0] == {
        "fault": "file missing", "first": 11, "last": 20, "file": second, "what": f"{second} is not there",
    }  # fmt: skip


def test_of_many_problems_ten_are_shown_and_the_rest_counted(log: Log) -> None:
    for number in range(51, 57):
        log.append(number, number)
    for name in log.tamper.names:
        log.tamper.flip(name, 900)
    said = call("log", "verify", folder=log.project.root).out.splitlines()

    assert [line.partition(":")[0] for line in said] == ["file changed"] * 10 + ["and 1 more", "damaged"]


def test_after_a_compaction_too_a_changed_or_missing_file_is_found(compacted: Log) -> None:
    bounds = [(1, 20), (21, 40), (41, 50), (51, 60)]
    for name, (first, last) in zip(compacted.tamper.names, bounds, strict=True):
        for at in (0, 600, -1):
            compacted.tamper.flip(name, at)
            assert compacted.found() == [("file changed", first, last, name)]
            compacted.tamper.flip(name, at)
    (compacted.project.folder / compacted.tamper.names[1]).unlink()
    assert compacted.found() == [("file missing", 21, 40, compacted.tamper.names[1])]


def test_a_replaced_file_is_no_part_of_the_log_any_more(compacted: Log) -> None:
    replaced = [one for one in compacted.project.folder.glob("events-*") if one.name not in set(compacted.tamper.names)]
    assert len(replaced) == 4
    compacted.tamper.flip(replaced[0].name, 900)
    replaced[1].unlink()

    assert compacted.found() == []


@pytest.mark.parametrize("ledger", ["with a ledger", "without one"])
def test_a_changed_file_is_told_from_a_changed_commit(log: Log, ledger: str) -> None:
    if ledger == "without one":
        log.without_a_ledger()
    name = log.tamper.names[1]
    log.tamper.flip(name, 900)
    assert log.found() == [("file changed", 11, 20, name)]
    log.tamper.flip(name, 900)
    log.tamper.said(2, chain="ab" * 32)
    assert log.found() == [("chain broken", 11, 20, name)]


# Content, positions and ids under a chain that was made anew.


def test_two_swapped_rows_are_found_by_the_file_s_bytes_or_by_their_place(log: Log) -> None:
    name = log.tamper.names[2]
    log.tamper.rewrite(name, swap(2, 5, *ALL))
    assert log.found() == [("file changed", 21, 30, name)]

    log.tamper.rechain()
    assert log.found() == [("gap", 21, 30, name), ("ledger and log disagree", 21, 30, "")]
    assert log.without_a_ledger().project.open().log.verify().problems[0].what == (
        f"{name} holds 10 events, 2 of them not in their place"
    )


@pytest.mark.parametrize("edit", [swap(2, 5, "event_id", "x"), lambda rows: rows[3].update(x=99)])
def test_other_content_under_a_chain_made_anew_is_told_by_the_ledger_and_by_nothing_else(
    log: Log, edit: Callable[[list[dict[str, Any]]], None]
) -> None:
    log.tamper.rewrite(log.tamper.names[2], edit)
    log.tamper.rechain()
    said = call("log", "verify", folder=log.project.root)

    assert said.out.splitlines()[0] == (
        "ledger and log disagree: positions 21 to 30: the ledger's chain is another one"
    )
    assert log.without_a_ledger().found() == []


@pytest.mark.parametrize("gone", [0, 4, 9])
def test_a_row_taken_out_is_a_gap(log: Log, gone: int) -> None:
    log.tamper.rewrite(log.tamper.names[1], lambda rows: rows.pop(gone) and None)
    log.tamper.rechain()

    assert log.without_a_ledger().found() == [("gap", 11, 20, log.tamper.names[1])]


@pytest.mark.parametrize("at_once", [1, 7, 50, 1 << 25])
def test_an_id_put_in_a_second_time_is_found_wherever_it_is(
    log: Log, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    # Of a long log, a part of the ids is looked at at once.
    monkeypatch.setattr(duplicates, "AT_ONCE", at_once)
    names = log.tamper.names
    log.tamper.rewrite(names[3], lambda rows: rows[4].update(event_id="e7"))
    log.tamper.rewrite(names[4], lambda rows: [rows[at].update(event_id="e50") for at in range(4)] and None)
    log.tamper.rechain()
    problems = log.without_a_ledger().project.open().log.verify().problems

    assert [(one.fault.value, one.first, one.last, one.file, one.what) for one in problems] == [
        ("repeated id", 35, 35, names[3], "event 'e7' is at position 7 already"),
        ("repeated id", 42, 42, names[4], "event 'e50' is at position 41 already"),
        ("repeated id", 43, 43, names[4], "event 'e50' is at position 41 already; 2 more events repeat an id"),
    ]


def test_ids_of_one_hash_are_compared_as_they_are(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    # There are no two known ids of one hash, so every hash is given twice.
    own = verify_contents.Scan._hashes
    monkeypatch.setattr(verify_contents.Scan, "_hashes", lambda *given: np.repeat(own(*given), 2))

    assert log.found() == []


def test_from_a_position_on_later_files_are_hashed_and_an_id_of_an_earlier_one_is_still_known(log: Log) -> None:
    names = log.tamper.names
    whole = (log.project.folder / names[0]).read_bytes()
    log.tamper.flip_in(names[0], ALL.index("x"))
    said = call("log", "verify", "--from", "25", folder=log.project.root)

    assert said.exit_code == 0
    assert said.out.startswith("verified: 6 commits, 3 files of 0.0 MB, positions 25 to 50; chain ")
    assert log.found(10) == [("file changed", 1, 10, names[0])]
    (log.project.folder / names[0]).write_bytes(whole)
    log.tamper.rewrite(names[3], lambda rows: rows[4].update(event_id="e7"))
    log.tamper.rechain()
    assert log.without_a_ledger().found(31) == [("repeated id", 35, 35, names[3])]
    assert "0 files of 0.0 MB, no events" in call("log", "verify", "--from", "51", folder=log.project.root).out


# The ledger's copy.


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (f"chain = '{'ab' * 32}'", "the ledger's chain is another one"),
        (f"digest = '{'ab' * 32}'", "the ledger's row says other positions, events or another digest"),
        ("first = 12", "the ledger's row says other positions, events or another digest"),
        ("rows = 9", "the ledger's row says other positions, events or another digest"),
        ("step = 1", "the ledger has a commit that the log does not have"),
    ],
)
def test_an_edited_row_of_the_ledger_is_found(log: Log, statement: str, what: str) -> None:
    log.ledger(f"UPDATE log_link SET {statement} WHERE at = 20")
    (problem,) = log.project.open().log.verify().problems

    assert (problem.fault.value, problem.what) == ("ledger and log disagree", what)
    assert problem.last == 20


@pytest.mark.parametrize("where", ["at = 50", "at = 20", "at IN (20, 30)", "at > 0"])
def test_rows_that_the_ledger_lacks_are_no_fault_and_the_next_writer_adds_them(log: Log, where: str) -> None:
    whole = log.project.mirror()
    log.ledger(f"DELETE FROM log_link WHERE {where}")

    assert log.found() == []
    log.append(1, 1)
    assert log.project.mirror() == whole


@pytest.mark.parametrize("version", [3, 6, 7])
def test_a_log_put_back_to_an_older_state_is_found(compacted: Log, version: int) -> None:
    for newer in range(version + 1, 9):
        compacted.tamper.commit(newer).unlink()
    (first, *others) = compacted.project.open().log.verify().problems

    last = 30 if version == 3 else 50
    assert (first.fault.value, others) == ("ledger and log disagree", [])
    assert (first.first, first.last) == ((last + 1, 60) if version != 6 else (21, 40))
    if version != 6:
        assert first.what == f"the ledger has commits up to position 60, and the log ends at {last}"


# Compactions that are none.


def forged(log: Log) -> str:
    """Let the first compaction's file hold other content, and every commit say so; the ledger knows nothing of it."""
    name = log.tamper.names[0]
    log.tamper.rewrite(name, lambda rows: rows[3].update(x=99))
    log.tamper.rechain()
    log.ledger("DELETE FROM log_link WHERE step > 0 OR at = 60")
    return name


def test_a_compaction_that_changed_an_event_is_found_while_what_it_replaced_is_kept(compacted: Log) -> None:
    name = forged(compacted)

    assert compacted.found() == [("file changed", 1, 20, name)]
    assert compacted.project.open().log.verify().problems[0].what == (
        f"{name} does not hold the events that the compaction of version 6 replaced"
    )
    # The ledger takes in what it lacks; the finding stays.
    compacted.append(61, 61)
    assert compacted.found() == [("file changed", 1, 20, name)]


def test_a_compaction_that_the_ledger_does_not_know_is_told_where_nobody_can_look(compacted: Log) -> None:
    name = forged(compacted)
    for file in compacted.project.folder.glob("events-*"):
        if file.name not in set(compacted.tamper.names):
            file.unlink()

    assert compacted.found()[0] == ("ledger and log disagree", 1, 20, name)
    assert compacted.project.open().log.verify().problems[0].what == (
        "the ledger does not know the compaction of version 6, and what it replaced is gone: nobody can tell whether "
        "it holds the same events"
    )


def test_a_compaction_that_says_other_digests_of_what_it_replaced_is_found(compacted: Log) -> None:
    def edit(actions: list[dict[str, Any]]) -> None:
        info = next(one["commitInfo"] for one in actions if "commitInfo" in one)
        info["dualgauge"] = info["dualgauge"].replace(compacted.tamper.digest(replaced), "ab" * 32)

    replaced = next(one.name for one in compacted.project.folder.glob(f"events-{11:016d}-*"))
    compacted.tamper.actions(6, edit)

    assert compacted.found() == [("chain broken", 11, 20, replaced)]


@pytest.mark.parametrize("more", [True, False])
def test_a_compaction_that_takes_out_other_files_than_it_says_is_found(compacted: Log, more: bool) -> None:
    def edit(actions: list[dict[str, Any]]) -> None:
        one = next(one for one in actions if "remove" in one)
        if more:
            actions.append({"remove": one["remove"] | {"path": compacted.tamper.names[2]}})
        else:
            actions.remove(one)

    compacted.tamper.actions(7, edit)
    assert ("chain broken", 21, 40) in compacted.faults()


# Causes.


def test_events_before_their_cause_and_causes_that_never_came_are_told_and_are_no_damage(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    with project.open().appender() as log:
        log.append([Event("a", "t", NOW)])
    project.columns["caused_by"] = "VARCHAR"
    for event_id, cause in [("b", "a"), ("c", "e"), ("d", "nobody"), ("e", None), ("f", "f2"), ("f2", "f")]:
        with project.open().appender() as log:
            log.append([Event(event_id, "t", NOW, caused_by=cause)])
    said = call("log", "verify", folder=tmp_path)

    assert said.exit_code == 0
    assert said.out.splitlines()[:4] == [
        "5 events with a cause: 2 before it, 1 whose cause never came",
        "  3 c comes before its cause e",
        "  6 f comes before its cause f2",
        "  4 d: its cause nobody never came",
    ]
    assert said.out.splitlines()[4].startswith("verified: ")
    assert call("log", "verify", "--from", "4", "--format", "json", folder=tmp_path).json["result"]["causes"] == {
        "counted": 3, "early_count": 1, "absent_count": 1,
        "early": [{"position": 6, "event_id": "f", "cause": "f2"}],
        "absent": [{"position": 4, "event_id": "d", "cause": "nobody"}],
    }  # fmt: skip


def test_a_column_of_causes_that_holds_none_is_left_alone(log: Log) -> None:
    log.project.columns["caused_by"] = "VARCHAR"
    assert log.project.open().log.verify().causes.counted == 0
    log.append(51, 52)
    assert log.project.open().log.verify().causes.counted == 0
