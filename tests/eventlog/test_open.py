"""A log whose commits were removed, edited or added by others says so; a sound one opens without any code of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from dualgauge.eventlog.errors import DamagedLog, ForeignCommit, LogAndLedgerDisagree
from dualgauge.eventlog.settings import LogSettings
from dualgauge.eventlog.table.open import open_log
from support.shop import call

if TYPE_CHECKING:
    from pathlib import Path

    from support.tamper import Log

ADVICE = "restore the log's folder from a backup, or move it and the store away and import the sources again"


def refusal(log: Log) -> str:
    """Why the log does not open; every command says the same."""
    with pytest.raises(DamagedLog) as refused:
        log.project.log().head()
    for words in (("log", "verify"), ("log", "show"), ("log", "compact"), ("log", "import", "--all")):
        said = call(*words, folder=log.project.root)
        if words[1] != "import":
            assert (said.exit_code, said.err) == (1, f"error: {refused.value}\n")
    opening = f"the log at {log.project.folder} is damaged: "
    assert str(refused.value).startswith(opening)
    assert str(refused.value).endswith(f"; {ADVICE}")
    return str(refused.value)[len(opening) : -len(f"; {ADVICE}")]


# Commits that the Delta library needs.


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ([0], "the commit of version 0 is gone, which held no events"),
        ([1], "the commit of version 1 is gone, which held positions 1 to 10"),
        ([3], "the commit of version 3 is gone, which held positions 21 to 30"),
        ([2, 3], "the commits of versions 2 to 3 are gone, which held positions 11 to 30"),
        ([1, 3], "the commit of version 1 is gone, which held positions 1 to 10"),
        ([0, 1, 2, 3, 4, 5], "all of its commits are gone (the folder _delta_log)"),
    ],
)
def test_a_log_that_lacks_a_commit_says_which_and_what_it_held(log: Log, versions: list[int], sentence: str) -> None:
    for version in versions:
        log.tamper.commit(version).unlink()
    assert refusal(log) == sentence


@pytest.mark.parametrize(("version", "held"), [(6, "no events"), (8, None)])
def test_a_compacted_log_that_lacks_a_commit_says_so_too(compacted: Log, version: int, held: str | None) -> None:
    compacted.tamper.commit(version).unlink()
    if held:
        assert refusal(compacted) == f"the commit of version {version} is gone, which held {held}"
    else:
        # It was the newest: what is left is a whole log of before, and only the ledger knows of more.
        assert compacted.faults() == [("ledger and log disagree", 51, 60)]


def test_the_last_commit_behind_a_checkpoint_is_missed_by_every_command_but_verify_which_tells_all(log: Log) -> None:
    log.tamper.checkpoint()
    log.tamper.commit(4).unlink()
    log.tamper.commit(5).unlink()

    with pytest.raises(DamagedLog) as refused:
        log.project.log().head()
    assert str(refused.value) == (
        f"the log at {log.project.folder} is damaged: the commits of versions 4 to 5 are gone, which held positions "
        f"31 to 50; {ADVICE}"
    )
    assert log.found() == [("commit removed", 31, 50, "")]


def test_a_commit_missing_behind_a_checkpoint_is_named(log: Log) -> None:
    log.tamper.checkpoint()
    log.append(51, 55)
    log.append(56, 60)
    log.tamper.commit(6).unlink()

    assert refusal(log) == "the commit of version 6 is gone, which held positions 51 to 55"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"), ("x", None)],
)
def test_a_commit_that_is_no_json_is_named(log: Log, text: str, reason: str | None) -> None:
    log.tamper.commit(3).write_text(text)
    found = refusal(log)

    assert found.startswith("the commit of version 3 cannot be read (")
    assert reason is None or found == f"the commit of version 3 cannot be read ({reason})"


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_bad_checkpoint_is_told_and_the_log_opens_again_without_it(log: Log, harm: str) -> None:
    log.tamper.checkpoint()
    folder = log.project.folder / "_delta_log"
    checkpoint = folder / f"{5:020d}.checkpoint.parquet"
    if harm == "cut":
        checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    else:
        checkpoint.unlink()
    assert refusal(log).startswith(
        "_delta_log/_last_checkpoint or a checkpoint beside it cannot be read (every commit is there, so it opens "
        "again without them): "
    )

    checkpoint.unlink(missing_ok=True)
    (folder / "_last_checkpoint").unlink()
    assert log.found() == []


def test_commits_that_do_not_say_where_a_file_stands_are_refused(log: Log) -> None:
    log.tamper.statistics(2, "maxValues", "position", None)
    said = call("log", "verify", folder=log.project.root)

    assert said.exit_code == 1
    assert said.err == (
        f"error: the log at {log.project.folder} is damaged: its commits do not say which positions "
        f"{log.tamper.names[1]} holds; {ADVICE}\n"
    )


# Commits that only the chain needs.


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("ledger", ["with a ledger", "without one"])
def test_a_removed_commit_behind_a_checkpoint_is_found_with_its_positions(log: Log, version: int, ledger: str) -> None:
    log.tamper.checkpoint()
    if ledger == "without one":
        log.without_a_ledger()
    log.tamper.commit(version).unlink()

    first = version * 10 - 9
    assert log.found() == [("commit removed", first, first + 9, "")]
    assert log.project.open().log.verify().problems[0].what == f"the commit of version {version} is gone"


def test_what_a_removed_commit_held_is_still_proven_by_the_ledger(log: Log) -> None:
    log.tamper.checkpoint()
    log.tamper.commit(2).unlink()
    held, behind = log.tamper.names[1:3]
    for name, first in ((held, 11), (behind, 21)):
        log.tamper.flip(name, 900)
        assert log.found() == [("commit removed", 11, 20, ""), ("file changed", first, first + 9, name)]
        log.tamper.flip(name, 900)


def test_removed_commits_beside_each_other_are_one_finding(log: Log) -> None:
    log.tamper.checkpoint()
    for version in (0, 1, 2, 4):
        log.tamper.commit(version).unlink()
    said = call("log", "verify", folder=log.project.root)

    assert said.exit_code == 1
    assert said.out.splitlines()[:2] == [
        "commit removed: positions 1 to 20: the commits of versions 0 to 2 are gone",
        "commit removed: positions 31 to 40: the commit of version 4 is gone",
    ]


@pytest.mark.parametrize("version", [0, 6, 7])
@pytest.mark.parametrize("ledger", ["with a ledger", "without one"])
def test_a_removed_commit_that_appended_nothing_is_found_and_accuses_no_file(
    compacted: Log, version: int, ledger: str
) -> None:
    compacted.tamper.checkpoint()
    if ledger == "without one":
        compacted.without_a_ledger()
    compacted.tamper.commit(version).unlink()

    assert compacted.found() == [("commit removed", 0, 0, "")]
    assert call("log", "verify", folder=compacted.project.root).out.startswith(
        f"commit removed: the commit of version {version} is gone\n"
    )


def test_commits_that_a_clean_up_by_hand_removed_are_found(log: Log) -> None:
    log.tamper.checkpoint()
    log.append(51, 55)
    log.tamper.age(40)
    DeltaTable(str(log.project.folder)).cleanup_metadata()

    assert not log.tamper.commit(2).exists()
    assert log.faults() == [("commit removed", 1, 40)]


def test_commits_of_forty_days_outlive_a_hundred_later_ones_and_their_checkpoint(log: Log) -> None:
    log.tamper.age(40)
    opened = log.project.log()
    for number in range(105):
        opened.note({"s": {"n": number}}, opened.head())
        log.tamper.age(40)
    log.append(51, 60)

    assert (log.project.folder / "_delta_log" / f"{99:020d}.checkpoint.parquet").exists()
    assert all(log.tamper.commit(version).exists() for version in range(112))
    assert log.found() == []
    assert log.project.verify() == 60


@pytest.mark.parametrize(
    ("other", "faults"),
    [
        ({"chain": "ab" * 32}, [("chain broken", 11, 20)]),
        ({"first": 12}, [("gap", 11, 11), ("commit changed", 12, 20)]),
        ({"last": 19, "rows": 9}, [("chain broken", 11, 19), ("commit changed", 11, 19)]),
        ({"rows": 9}, [("gap", 11, 20), ("ledger and log disagree", 11, 20)]),
        ({"chain": "no digest"}, [("commit changed", 11, 20)]),
        ({"last": "20"}, [("commit changed", 11, 20)]),
        ({"first": -1}, [("commit changed", 11, 20)]),
        ({"cursors": 3}, [("commit changed", 11, 20)]),
    ],
)
def test_an_edited_commit_is_found(log: Log, other: dict[str, Any], faults: list[tuple[str, int, int]]) -> None:
    log.tamper.said(2, **other)
    found = log.faults()

    assert set(faults) <= set(found)
    assert found[0][1] == faults[0][1]


def test_cursors_are_no_part_of_the_chain(log: Log) -> None:
    log.tamper.said(2, cursors={"s": {"files": {}}})
    assert log.found() == []


@pytest.mark.parametrize(
    ("bound", "name", "value"),
    [
        ("maxValues", "position", 9),
        ("minValues", "position", 2),
        ("maxValues", "occurred_at", "2020-01-01T00:00:00.000Z"),
        ("minValues", "recorded_at", "2099-01-01T00:00:00.000Z"),
    ],
)
def test_statistics_that_hide_events_from_readers_are_found(log: Log, bound: str, name: str, value: object) -> None:
    log.tamper.statistics(1, bound, name, value)
    found = log.project.open().log.verify().problems[0]

    assert (found.fault.value, found.first, found.last) == ("commit changed", 1, 10)
    assert "statistics" in found.what


# Others' commits.


def test_the_clean_up_setting_is_told_with_the_commit_that_changed_it(log: Log) -> None:
    DeltaTable(str(log.project.folder)).alter.set_table_properties({"delta.enableExpiredLogCleanup": "true"})
    said = call("log", "verify", folder=log.project.root)

    assert said.exit_code == 1
    assert said.out.splitlines()[:2] == [
        "foreign commit: version 6 is not dualgauge's (SET TBLPROPERTIES)",
        (
            "clean-up setting off: the table's settings let old commits be deleted (delta.enableExpiredLogCleanup must "
            "be false): the next writer may do it"
        ),
    ]
    # It is the last one, so taking it away puts the log back.
    log.tamper.commit(6).unlink()
    assert log.found() == []


def test_events_that_another_tool_wrote_are_found(log: Log) -> None:
    two = DeltaTable(str(log.project.folder)).to_pyarrow_table().slice(0, 2)
    write_deltalake(str(log.project.folder), two, mode="append")
    found = log.project.open().log.verify().problems

    assert {one.fault.value for one in found} == {"foreign commit", "repeated id"}
    assert "foreign commit: version 6 is not dualgauge's (WRITE)" in {f"{one.fault}: {one.what}" for one in found}
    with pytest.raises(ForeignCommit, match=r"version 6 \(WRITE\), was not written by dualgauge"):
        log.append(51, 51)


def test_a_log_that_the_ledger_knows_longer_is_written_by_nobody(log: Log) -> None:
    log.tamper.commit(5).unlink()

    for act in (lambda: log.append(60, 60), log.project.open().log.compact):
        with pytest.raises(LogAndLedgerDisagree, match=r"disagree at position 50: the log ends at 40; "):
            act()


# Without any code of ours.


def test_a_compacted_log_is_a_plain_delta_table_in_deltalake_and_in_duckdb(compacted: Log) -> None:
    compacted.project.columns["y"] = "VARCHAR"
    compacted.append(61, 62)
    table = DeltaTable(str(compacted.project.folder))
    events = table.to_pyarrow_table()
    files = [uri.removeprefix("file://") for uri in table.file_uris()]
    rows = duckdb.sql(
        f"SELECT position, event_id, x, y, file_row_number FROM read_parquet({sorted(files)}, union_by_name = true, "
        "file_row_number = true)"
    ).fetchall()

    assert sorted(events["position"].to_pylist()) == list(range(1, 63))
    assert [row[:4] for row in rows] == [(i, f"e{i}", i, None) for i in range(1, 63)]
    # Sorted in every file, and found by statistics: other readers skip files by them.
    firsts = {1: 0, 21: 0, 41: 0, 51: 0, 61: 0}
    assert {row[0]: row[4] for row in rows if row[0] in firsts} == firsts
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    assert sorted((one["min.position"], one["max.position"], one["num_records"]) for one in actions) == [
        (1, 20, 20), (21, 40, 20), (41, 50, 10), (51, 60, 10), (61, 62, 2),
    ]  # fmt: skip
    old = DeltaTable(str(compacted.project.folder), version=5)
    assert sorted(old.to_pyarrow_table()["x"].to_pylist()) == list(range(1, 51))


@pytest.mark.parametrize("name", ["00000000000000000000.json#1", "00000000000000000000.json.tmp"])
def test_a_log_whose_first_commit_is_being_written_by_another_is_not_there_yet(tmp_path: Path, name: str) -> None:
    (tmp_path / "log" / "_delta_log").mkdir(parents=True)
    (tmp_path / "log" / "_delta_log" / name).write_text("{", encoding="utf-8")

    assert not open_log(tmp_path / "log", LogSettings()).exists
