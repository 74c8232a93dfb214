"""Random files of each kind: one import and many give the same events, and each file's texts."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgauge.eventlog.errors import BadFile, BadRow
from dualgauge.eventlog.sources import text_columns
from dualgauge.ledger.misfit import RowState
from support.log_project import LogProject, csv
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = ("p", "É", "odd name")
TEXTS = ("007", "1.10", "1E5", "-0", "9007199254740993", "0.1", "true", "2026-01-01", "a b", "é", "1e400", "nan")
PARQUET: tuple[tuple[pa.DataType, Callable[[Random], Any], Callable[[Any], str]], ...] = (
    (pa.int32(), lambda random: random.randrange(-9, 9), str),
    (pa.int64(), lambda random: random.choice((2**53 + 1, -(2**63), 7)), str),
    (pa.decimal128(9, 2), lambda random: Decimal(random.randrange(-999, 999)) / 100, lambda one: f"{one:.2f}"),
    (pa.decimal128(38, 5), lambda random: Decimal(random.randrange(-999, 999)) / 100, lambda one: f"{one:.5f}"),
    (pa.string(), lambda random: random.choice(TEXTS), str),
    (pa.date32(), lambda random: date(2026, 1, random.randrange(1, 28)), str),
    (pa.bool_(), lambda random: random.random() < 0.5, lambda one: str(one).lower()),
    (pa.timestamp("us"), lambda random: datetime(2026, 1, random.randrange(1, 28)), str),  # noqa: DTZ001  (without a zone)
)  # fmt: skip


def _json(random: Random) -> str:
    return random.choice(
        ("7", "1.50", "1E5", "9007199254740993", "0.10000000000000001", "true", "null", '"007"', '"a \\" b"', '"1.10"')
    )  # fmt: skip


def file_of(random: Random, folder: Path, number: int, kind: str) -> dict[str, dict[str, str | None]]:
    """Write a file of a few rows; gives the text that each of its columns has in each row, by their ids."""
    names = random.sample(COLUMNS, k=random.randrange(1, len(COLUMNS) + 1) if number else len(COLUMNS))
    ids = [f"{number}-{at}" for at in range(random.randrange(1, 5))]
    file, found = folder / f"{number}.{kind}", {one: dict.fromkeys(COLUMNS) for one in ids}
    if kind == "parquet":
        table: dict[str, Any] = {"id": ids, "seen": ["2026-01-01T00:00:00Z"] * len(ids)}
        for name in names:
            made, make, text = random.choice(PARQUET)
            values = [make(random) if random.random() < 0.8 else None for _ in ids]
            table[name] = pa.array(values, made)
            for one, value in zip(ids, values, strict=True):
                found[one][name] = None if value is None else text(value)
        pq.write_table(pa.table(table), file)
    elif kind == "csv":
        rows = []
        for one in ids:
            # The first row makes texts of the columns: one of numbers would refuse what comes later.
            texts = [random.choice((*TEXTS, "")) if (number, one) != (0, ids[0]) else "a b" for _ in names]
            found[one] |= {name: text or None for name, text in zip(names, texts, strict=True)}
            rows.append(",".join([one, "2026-01-01T00:00:00Z", *texts]))
        file.write_text(csv(",".join(["id", "seen", *names]), *rows), encoding="utf-8")
    else:
        lines = []
        for one in ids:
            values = [_json(random) for _ in names]
            plain = [json.loads(value) if value.startswith('"') else value for value in values]
            found[one] |= {name: None if text == "null" else text for name, text in zip(names, plain, strict=True)}
            fields = [
                f"{json.dumps(name, ensure_ascii=False)}: {value}" for name, value in zip(names, values, strict=True)
            ]
            lines.append(f'{{"id": "{one}", "seen": "2026-01-01T00:00:00Z", {", ".join(fields)}}}\n')
        file.write_text("".join(lines), encoding="utf-8")
    return found


@pytest.mark.parametrize(("seed", "kind"), thinned(4, range(12), ["csv", "jsonl", "parquet"]))
def test_one_import_and_many_give_the_same_events(
    tmp_path: Path, seed: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(f"one and many {seed}")
    # So many CSV files are read by a query each, or gathered in one table.
    monkeypatch.setattr(text_columns, "_MANY", 1 + seed % 3)
    logs = [LogProject(tmp_path / name, columns={"d": "VARCHAR", "e": "VARCHAR"}) for name in ("one", "many")]
    for log in logs:
        event_id = "id || '/' || coalesce(p::VARCHAR, '')"
        log.source("s", path="d/*", event_id=event_id, select={"d": "p", "e": '"É"', "f": '"odd name"'})
        (log.root / "d").mkdir(parents=True)
    one, many = logs
    told: dict[str, dict[str, str | None]] = {}
    for number in range(random.randrange(2, 5)):
        told |= file_of(random, many.root / "d", number, kind)
        (file,) = (many.root / "d").glob(f"{number}.*")
        (one.root / "d" / file.name).write_bytes(file.read_bytes())
        many.take()
    one.take()

    expected = {f"{name}/{texts['p'] or ''}": (texts["p"], texts["É"]) for name, texts in told.items()}
    for log in logs:
        assert {event_id: (d, e) for event_id, d, e in log.events("event_id", "d", "e")} == expected
    payloads = [dict(log.events("event_id", "payload")) for log in logs]
    assert payloads[0] == payloads[1]


def test_hundreds_of_csv_files_are_one_import_row_by_row_and_their_rejected_rows_are_told(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    project.source("s", path="d/*.csv", event_id=None, order_by="file", select={"y": "y", "z": "'n' || x"})
    expected: list[tuple[str, int | None, str | None]] = []
    rejected = []
    for number in range(250):
        names = ["seen", "x"] if number % 7 == 5 else ["y", "x", "seen"] if number % 2 else ["seen", "x", "y"]
        rows = []
        for at in range(number % 4 + 1):
            value = "many" if (number, at) == (133, 1) else "" if (number + at) % 5 == 0 else str(number * at)
            row = {"seen": "2026-01-01", "x": value, "y": f'"{number}\n{at}"'}
            torn = (number, at) == (201, 0)
            rows.append(",".join([*(row[name] for name in names), *(["one more"] if torn else [])]))
            if torn or value == "many":
                rejected.append((f"d/{number:03d}.csv", at + 1))
            else:
                y = f"{number}\n{at}" if "y" in names else None
                expected.append((f"d/{number:03d}.csv#{at + 1}", int(value) if value else None, y))
        project.write(f"d/{number:03d}.csv", csv(",".join(names), *rows))

    with pytest.raises(BadFile, match=r"d/201.csv line 2: it has 3 values for 2 columns"):
        project.take()
    done = project.take(max_bad_rows=5)

    assert (done.added, done.quarantined) == (len(expected), 2)
    found = [(name, x, json.loads(kept)) for name, x, kept in project.events("event_id", "x", "payload")]
    assert [(name, x, kept["y"]) for name, x, kept in found] == expected
    assert [kept["z"] for _, _, kept in found] == [None if x is None else f"n{x}" for _, x, _ in expected]
    waiting = project.open().quarantine.list(state=RowState.WAITING)
    assert sorted((one.misfit.place, one.misfit.row) for one in waiting) == rejected


@pytest.mark.parametrize("count", [4, 40])
def test_some_small_files_that_are_compressed_take_no_more_memory_than_there_is(tmp_path: Path, count: int) -> None:
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    project.source("s", path="d/*.csv.gz")
    (tmp_path / "d").mkdir()
    for number in range(count):
        with gzip.open(tmp_path / "d" / f"{number}.csv.gz", "wt") as file:
            file.write(csv("id,seen,x", f"{number},2026-01-01,{number}"))

    assert project.take().added == count


@pytest.mark.parametrize("read", [{}, {"delim": ","}])
@pytest.mark.parametrize(
    "first", ['1,2026-01-01,t,"ab"c', '1,2026-01-01,t,"abc', "1,2026-01-01,t", "1;2;3,2026-01-01,t,x,y"]
)
def test_a_first_row_that_is_none_takes_no_other_with_it_where_the_names_are_said(
    tmp_path: Path, first: str, read: dict[str, str]
) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="s.csv", select={"x": "x"}, read={"names": ["id", "seen", "what", "x"], **read})
    project.write("s.csv", csv(first, "2,2026-01-02,t,b", "3,2026-01-03,t,c"))
    done = project.take(max_bad_rows=1)

    assert (done.added, done.quarantined) == (2, 1)
    (waiting,) = project.open().quarantine.list(state=RowState.WAITING)
    assert (waiting.misfit.row, waiting.misfit.raw) == (1, first)
    (tried,) = project.open().quarantine.retry([waiting.id], text="1,2026-01-01,t,abc").rows
    assert tried.state is RowState.TAKEN


@pytest.mark.parametrize("first", ['1;2026-01-01;t;"ab', '1;"2026-01-01;t;x'])
def test_a_quote_that_is_closed_nowhere_says_nothing_of_how_rows_are_parted(tmp_path: Path, first: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="s.csv", select={"x": "x"}, read={"names": ["id", "seen", "what", "x"]})
    project.write("s.csv", csv(first, "2;2026-01-02;t;b", "3;2026-01-03;t;c"))

    assert (done := project.take(max_bad_rows=1)).added == 2
    assert done.quarantined == 1


@pytest.mark.parametrize("first", ["#", "", "1 2026-01-01 t x", "1;2026-01-01"])
def test_the_first_row_that_has_a_value_for_each_name_says_what_parts_them(tmp_path: Path, first: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="s.csv", select={"x": "x"}, read={"names": ["id", "seen", "what", "x"]})
    project.write("s.csv", csv(first, "2;2026-01-02;t;b,c", "3;2026-01-03;t;c"))

    assert project.take(max_bad_rows=1).added == 2
    assert project.events("payload") == ['{"x":"b,c"}', '{"x":"c"}']


def test_a_line_of_a_value_is_no_event_where_the_value_beside_it_is_broken(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="s.csv", select={"x": "x"})
    broken = '"1",2026-01-01,"hello\n7,2026-01-07,forged,x\nbye","ab"c'
    project.write("s.csv", csv("id,seen,what,x", "0,2026-01-01,t,a", broken, "2,2026-01-02,t,b"))
    done = project.take(max_bad_rows=1)

    assert project.events("event_id") == ["0", "2"]
    assert (done.added, done.quarantined) == (2, 1)
    (waiting,) = project.open().quarantine.list(state=RowState.WAITING)
    assert (waiting.misfit.row, waiting.misfit.raw) == (2, broken)


@pytest.mark.parametrize("name", ["'s", "e's", "$x"])
def test_a_column_may_be_called_like_what_a_text_begins_with(tmp_path: Path, name: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="s.csv", select={"x": f'"{name}" + 1'})
    project.write("s.csv", csv(f"id,seen,{name}", "0,2026-01-01,41"))

    project.take()
    assert project.events("payload") == ['{"x":42}']


@pytest.mark.parametrize("mark", ['"', "'"])
@pytest.mark.parametrize("delimiter", [",", ";", "|"])
def test_names_may_stand_in_quotes(tmp_path: Path, delimiter: str, mark: str) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="s.csv", select={"x": "x"}, read={"quote": mark})
    names = delimiter.join(f"{mark}{name}{mark}" for name in ("id", "seen", "x"))
    project.write("s.csv", csv(names, delimiter.join(["1", "2026-01-01", "x"])))

    assert project.take().added == 1


@pytest.mark.parametrize("select", [{"w": "v"}, {"w": "v * 2"}, {"w": "v", "x": "v + 1"}])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_row_that_is_left_out_says_nothing_of_a_column_s_type(
    tmp_path: Path, kind: str, select: dict[str, str]
) -> None:
    rows = [("a", "line", "1"), ("b", "total", "n/a"), ("c", "line", "2.50")]
    found = []
    for order in ([[0], [1, 2]], [[1], [0, 2]], [[0, 1, 2]]):
        project = LogProject(tmp_path / str(len(found)))
        project.source("s", path="d/*", where="kind <> 'total'", select=select)
        for number, places in enumerate(order):
            chosen = [(one, "2026-01-01", kind_of, value) for one, kind_of, value in map(rows.__getitem__, places)]
            if kind == "csv":
                project.write(f"d/{number}.csv", csv("id,seen,kind,v", *map(",".join, chosen)))
            else:
                texts = [value if value[0].isdigit() else f'"{value}"' for *_, value in chosen]
                lines = [
                    f'{{"id":"{one}","seen":"{seen}","kind":"{kind_of}","v":{text}}}\n'
                    for (one, seen, kind_of, _), text in zip(chosen, texts, strict=True)
                ]
                project.write(f"d/{number}.jsonl", "".join(lines))
        project.take()
        found.append(sorted(project.events("event_id", "payload")))
    assert found[0] == found[1] == found[2]
    assert json.loads(found[0][0][1])["w"] in (1, 2)


def test_a_decimal_of_more_noughts_is_a_row_that_does_not_fit(tmp_path: Path) -> None:
    project = LogProject(tmp_path)
    project.source("s", path="d/*", event_id="id || abs(v)")
    project.write("d/1.csv", csv("id,seen,v", "a,2026-01-01,1.0"))
    project.take()
    project.write("d/2.csv", csv("id,seen,v", "b,2026-01-01,1.50"))
    # Together the two would be a1.00 and b1.50.
    with pytest.raises(BadRow, match=r"v = '1.50' is no DECIMAL\(18,1\)"):
        project.take()
    project.sources[0]["read"] = {"types": {"v": "DECIMAL(9,3)"}}
    project.take()
    assert "b1.500" in project.events("event_id")
