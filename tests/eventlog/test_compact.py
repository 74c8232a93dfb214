"""`log compact` makes few files of many, and whoever reads, writes, or checks the log sees no difference."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualgauge
from dualgauge import Event
from dualgauge.engines.duck import open_engine
from dualgauge.eventlog.errors import DamagedLog, NoLog, UnlikeCompaction
from dualgauge.eventlog.table.staging import staged
from support.harm import digest
from support.log_project import NOW, LogProject
from support.shop import build, call
from support.tamper import Log, Tamper, copied

if TYPE_CHECKING:
    from pathlib import Path


def bounds(log: Log) -> list[tuple[int, int]]:
    """The positions of the files that count."""
    return [(one.first, one.last) for one in log.project.log().event_files()]


def files(log: Log) -> set[str]:
    return {one.name for one in log.project.folder.glob("events-*")}


def sound(log: Log) -> bool:
    return log.found() == [] and log.project.mirrored() and log.project.verify() == log.project.log().head().last


# What it does.


def test_small_files_become_one_and_nothing_else_is_another(log: Log) -> None:
    before, head = log.project.events(), log.project.log().head()
    said = call("log", "compact", folder=log.project.root)

    assert said.exit_code == 0
    assert said.out.splitlines() == [
        "positions  files",
        "1 to 50        5",
        "5 files before, 1 after; 0 files replaced earlier were removed",
        "next: dualgauge log verify   # see that the chain goes on",
    ]
    assert said.err == ""
    assert log.project.events() == before
    now = log.project.log().head()
    assert (now.last, now.cursors, now.rows, now.step) == (head.last, head.cursors, 0, 1)
    assert now.chain != head.chain
    assert bounds(log) == [(1, 50)]
    assert sound(log)


def test_the_answer_in_json(log: Log) -> None:
    answer = call("log", "compact", "--rows", "20", "--format", "json", folder=log.project.root).json

    assert answer["result"] == {
        "before": 5, "after": 3, "removed": 0, "dry_run": False,
        "ranges": [{"first": 1, "last": 20, "files": 2}, {"first": 21, "last": 40, "files": 2}],
    }  # fmt: skip
    assert [one["command"] for one in answer["next_steps"]] == ["dualgauge log verify"]
    again = call("log", "compact", "--rows", "20", "--format", "json", folder=log.project.root).json
    assert (again["result"]["ranges"], again["next_steps"]) == ([], [])


@pytest.mark.parametrize(
    ("rows", "made"),
    [
        (2, [(1, 10), (11, 20), (21, 30), (31, 40), (41, 50)]),
        (19, [(1, 10), (11, 20), (21, 30), (31, 40), (41, 50)]),
        (20, [(1, 20), (21, 40), (41, 50)]),
        (39, [(1, 30), (31, 50)]),
        (50, [(1, 50)]),
    ],
)
def test_files_get_no_larger_than_was_said_and_half_of_that_is_large_enough(
    log: Log, rows: int, made: list[tuple[int, int]]
) -> None:
    log.project.open().log.compact(rows=rows)
    assert bounds(log) == made
    log.project.open().log.compact(rows=rows)
    assert bounds(log) == made
    assert sound(log)


def test_what_was_compacted_is_compacted_again(log: Log) -> None:
    before = log.project.events()
    for rows in (20, 40, 50, 1000):
        log.project.open().log.compact(rows=rows)
        assert sound(log)
    log.append(51, 55)
    log.project.open().log.compact()

    assert bounds(log) == [(1, 55)]
    assert log.project.events()[:50] == before
    assert sound(log.without_a_ledger()) is False
    log.append(56, 56)
    assert sound(log)


def test_a_dry_run_says_the_same_and_changes_nothing(log: Log) -> None:
    before = digest(log.project.root)
    said = call("log", "compact", "--rows", "20", "--dry-run", folder=log.project.root)

    assert said.out.splitlines() == [
        "positions  files",
        "1 to 20        2",
        "21 to 40       2",
        "5 files before, 3 after; 0 files replaced earlier would be removed",
    ]
    assert said.err == ""
    assert digest(log.project.root) == before


def test_where_there_is_no_log_nothing_is_made(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    with pytest.raises(NoLog):
        project.open().log.compact()
    assert not (tmp_path / ".dualgauge").exists()


@pytest.mark.parametrize("keep", ["nan", "inf", "-1", "1e300"])
def test_a_time_that_is_none_is_refused(log: Log, keep: str) -> None:
    said = call("log", "compact", "--keep", keep, folder=log.project.root)
    assert (said.exit_code, "Traceback" in said.err) == (2, False)
    assert bounds(log)[0] == (1, 10)


# Readers.


def test_who_opened_the_log_before_reads_the_same_until_the_old_files_are_removed(log: Log) -> None:
    opened, old = log.project.log(), files(log)
    with open_engine() as engine:
        relation = f"SELECT * FROM ({opened.relation(opened.head().last)})"
        rows = engine.arrow(relation)
        log.project.open().log.compact(rows=20)
        log.append(51, 55)
        log.project.open().log.compact(keep=timedelta(hours=1))
        assert engine.arrow(relation).equals(rows)
        assert old < files(log)

        assert log.project.open().log.compact(keep=timedelta(0)).removed == 8
    assert bounds(log) == [(1, 55)]
    assert len(files(log)) == 1
    assert sound(log)
    # What the ledger lacks of files that are gone is taken from the compactions that replaced them.
    log.ledger("DELETE FROM log_link WHERE at = 20 OR step = 1")
    log.append(56, 56)
    assert sound(log)
    log.without_a_ledger().append(57, 57)
    assert sound(log)


def test_old_files_go_when_they_were_replaced_as_long_ago_as_was_said(log: Log) -> None:
    log.project.open().log.compact(rows=20)
    for days, removed in ((6, 0), (8, 4)):
        later = dualgauge.open(log.project.root, clock=partial(NOW.__add__, timedelta(days=days)))
        assert later.log.compact(rows=20, dry_run=True).removed == removed
    assert len(files(log)) == 7
    assert later.log.compact(rows=20).removed == 4
    assert len(files(log)) == 3


def test_rows_stay_in_their_order_in_a_file_of_several_row_groups(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    project.source("s", path="s-*.csv")
    for part in range(3):
        rows = [f"{part}-{i},2020-01-01,{(i * 7919) % 100_003}" for i in range(100_000)]
        project.write(f"s-{part}.csv", "\n".join(("id,seen,x", *rows)) + "\n")
        project.take()
    before = project.log().relation(project.log().head().last)
    project.open().log.compact()
    (made,) = project.log().files()

    assert pq.read_metadata(made).num_row_groups > 1
    assert pq.read_table(made, columns=["position"])["position"].to_pylist() == list(range(1, 300_001))
    with open_engine() as engine:
        both = f"SELECT count(*) FROM (({before}) EXCEPT (SELECT * FROM read_parquet('{made}')))"
        assert engine.row(both) == (0,)
    assert project.verify() == 300_000


TYPES: dict[str, list[object]] = {
    "BIGINT": [None, 0, -(2**63), 2**63 - 1],
    "DOUBLE": [None, -0.0, 0.1, float("inf")],
    "DECIMAL(38,10)": [None, Decimal("0.1234567891"), Decimal("-999999999999999999.9999999999"), 3],
    "DECIMAL(9,2)": [None, Decimal("1.25"), 0, 7],
    "VARCHAR": [None, "", "ä\0 \U0001f600", "x" * 10_000],
    "BOOLEAN": [None, True, False, True],
    "DATE": [None, date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)],
    "TIMESTAMP": [None, *map(datetime.fromisoformat, ("0001-01-01", "9999-12-31 23:59:59.999999", "2024-01-01"))],
    "TIMESTAMPTZ": [None, NOW, datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)],
    "BLOB": [None, b"", b"\0\xff", b"y" * 300],
}


def test_every_type_comes_out_as_it_was_with_its_schema(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={f"c{number}": kind for number, kind in enumerate(TYPES)})
    for row in range(4):
        values = {f"c{number}": found[row] for number, found in enumerate(TYPES.values())}
        with project.open().appender() as appender:
            appender.append([Event(f"e{row}", "t", NOW, values | {"rest": {"deep": [row, "ß"]}})])
    before, old = project.events(), pq.read_schema(project.log().files()[0])
    project.open().log.compact()
    (made,) = project.log().files()

    assert project.events() == before
    assert [(one.name, one.type) for one in pq.read_schema(made)] == [(one.name, one.type) for one in old]
    assert project.verify() == 4


def test_files_with_other_columns_are_kept_apart_so_that_old_events_stay_as_they_were(log: Log) -> None:
    log.project.columns["y"] = "BIGINT"
    for i in (51, 52, 53):
        with log.project.open().appender() as appender:
            appender.append([Event(f"e{i}", "t", NOW, {"x": i, "y": -i})])
    log.project.open().log.compact()

    assert bounds(log) == [(1, 50), (51, 53)]
    assert log.project.events("y")[48:] == [None, None, -51, -52, -53]
    # An old event is known again whatever was declared since; a new column was in nobody's payload then.
    with log.project.open().appender() as appender:
        again = [Event("e7", "t", NOW, {"x": 7, "y": 3}), Event("e52", "t", NOW, {"x": 52, "y": -52})]
        assert appender.append(again) == [7, 52]
    assert sound(log)


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    names = ["e", "c", "hash", "at", "came", "cause", "first", "file_row_number", "filename", "suspects"]
    project = LogProject(tmp_path, columns=dict.fromkeys(names, "BIGINT") | {"caused_by": "VARCHAR"})
    for number in (1, 2, 3):
        with project.open().appender() as appender:
            values: dict[str, object] = dict.fromkeys(names, number)
            appender.append([Event(f"e{number}", "t", NOW, values, caused_by="e1" if number > 1 else None)])
    before = project.events()
    project.open().log.compact()
    assert project.events() == before
    assert project.open().log.verify().causes.counted == 2

    # Every column counts where a compaction is held against what it replaced.
    tamper = Tamper(project.folder)
    tamper.rewrite(tamper.names[0], lambda rows: rows[1].update(suspects=99))
    tamper.rechain()
    (project.root / ".dualgauge" / "ledger.db").unlink()
    assert [one.fault.value for one in project.open().log.verify().problems] == ["file changed"]


def test_the_order_of_columns_is_nobody_s_reason_to_keep_files_apart(log: Log) -> None:
    log.project.columns = {"y": "BIGINT", "x": "BIGINT"}
    log.append(51, 51)
    log.project.columns = {"x": "BIGINT", "y": "BIGINT"}
    log.append(52, 52)
    log.project.open().log.compact()

    assert bounds(log) == [(1, 50), (51, 52)]
    assert sound(log)


def test_everything_goes_on_with_a_compacted_log(tmp_path: Path) -> None:
    folder = build(tmp_path / "shop")
    with (folder / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-09T09:00:00Z,dan,placed,100\n")
    steps: list[tuple[list[str], int]] = [
        (["log", "import", "--all"], 0), (["log", "compact", "--keep", "0"], 0), (["log", "verify"], 0),
        (["log", "show"], 0), (["replay"], 0), (["diff", "customers"], 0), (["check"], 0), (["status"], 0),
        (["log", "import", "--all"], 0), (["log", "compact", "--keep", "0"], 0), (["replay", "--force"], 0),
        (["log", "verify"], 0), (["doctor"], 0),
    ]  # fmt: skip
    for words, code in steps:
        said = call(*words, folder=folder)
        assert (words, said.exit_code) == (words, code), said.err
    assert len(list((folder / ".dualgauge" / "log").glob("events-*"))) == 1
    assert call("read", "customers", "dan", "--format", "json", folder=folder).json["result"]["row"]["orders"] == 1


# What it refuses.


@pytest.mark.parametrize("harm", ["changed", "footer", "gone"])
def test_a_damaged_file_is_refused_and_nothing_is_written_over_it(log: Log, harm: str) -> None:
    name = log.tamper.names[3]
    if harm == "gone":
        (log.project.folder / name).unlink()
    else:
        log.tamper.flip(name, 900 if harm == "changed" else -20)
    before, version = digest(log.project.folder), log.tamper.newest
    with pytest.raises(DamagedLog) as refused:
        log.project.open().log.compact()

    what = f"{name} is not there" if harm == "gone" else f"{name} is not what was written"
    assert str(refused.value).startswith(
        f"the log at {log.project.folder} is damaged: {what}; restore the log's folder"
    )
    assert log.tamper.newest == version
    assert digest(log.project.folder) == before
    with pytest.raises(DamagedLog):
        log.project.open().log.compact(rows=20)
    # The range before it was whole.
    assert bounds(log)[:2] == [(1, 20), (21, 30)]


def test_a_log_with_a_broken_history_is_not_compacted(log: Log) -> None:
    log.tamper.said(2, chain="ab" * 32)
    with pytest.raises(DamagedLog):
        log.project.open().log.compact()
    assert len(bounds(log)) == 5


def test_behind_a_removed_commit_the_ledger_says_what_may_be_compacted(log: Log) -> None:
    log.tamper.checkpoint()
    log.tamper.commit(2).unlink()
    log.project.open().log.compact()
    assert bounds(log) == [(1, 50)]
    assert log.faults() == [("commit removed", 11, 20)]


def test_what_is_not_the_same_when_it_is_written_anew_is_not_committed(log: Log) -> None:
    # Rows that do not stand in their order: no writer of ours leaves such a file.
    opened = log.project.log()
    with staged(opened, NOW, "part.parquet") as (file,):
        table = pq.read_table(opened.files()[0])
        rows = table.to_pylist()
        for number, row in enumerate(reversed(rows), 51):
            row.update(event_id=f"e{number}", position=number)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
        opened.commit(file, opened.head(), 10, {})
    before = files(log)
    with pytest.raises(UnlikeCompaction) as refused:
        log.project.open().log.compact()

    assert str(refused.value) == (
        f"positions 1 to 60 of the log at {log.project.folder} were not compacted: what was written anew does not hold "
        "the same events; nothing was changed: run `dualgauge log verify`, and please report this"
    )
    assert files(log) == before
    assert log.project.unnamed() == [] or all(name.endswith(".ids") for name in log.project.unnamed())
    assert [one[0] for one in log.faults()] == ["gap"]


# Any sequence of steps, against a list.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("compact"), st.integers(2, 12)),
        st.tuples(st.just("clear"), st.integers(2, 12)),
        st.tuples(st.just("again"), st.integers(0, 30)),
    ),
    min_size=2,
    max_size=8,
)


@settings(max_examples=12)
@given(steps=STEPS)
def test_whatever_is_appended_and_compacted_the_log_is_the_list_of_its_events(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = copied(tmp_path_factory.mktemp("any"), tmp_path_factory.mktemp("any"))
    model: list[int] = []
    for what, number in steps:
        if what == "append":
            log.append(len(model) + 1, len(model) + number)
            model += range(len(model) + 1, len(model) + number + 1)
        elif what == "again" and number < len(model):
            log.append(number + 1, number + 1)
        elif what in {"compact", "clear"} and model:
            keep = timedelta(0) if what == "clear" else None
            log.project.open().log.compact(rows=number, keep=keep)
    if model:
        assert log.project.events("position", "event_id", "x") == [(i, f"e{i}", i) for i in model]
        assert sound(log)
    shutil.rmtree(log.project.root)
