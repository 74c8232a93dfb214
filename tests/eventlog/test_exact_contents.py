"""What the log holds is told from what it does not by values: by every digit, and by NaN."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import shop
from dualgauge import Event
from dualgauge.engines.duck import open_engine
from dualgauge.eventlog.append.payload import same_payload
from dualgauge.eventlog.errors import ChangedEvent
from dualgauge.eventlog.integrity.verify_contents import same_events
from dualgauge.model import Side
from support.builds import stored
from support.inside import store_of
from support.log_project import LogProject, csv

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.migration import Migration

NAN = math.nan
SIGNED_NAN = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000001))[0]
WHEN = datetime(2026, 1, 31, 12, tzinfo=UTC)

VIEWS = {
    "over": "SELECT event_id, CAST(weight AS VARCHAR) AS text FROM events WHERE weight > 5",
    "under": "SELECT event_id, weight FROM events WHERE weight <= 5",
    "no_number": "SELECT event_id, 1 AS n FROM events WHERE isnan(weight)",
    "number": "SELECT event_id, CAST(1 / weight AS VARCHAR) AS inverse FROM events WHERE NOT isnan(weight)",
    "spelt": "SELECT event_id, CAST(weight AS VARCHAR) AS text FROM events",
    # Of 0.0 and -0.0, which are equal, either is the largest: it depends on the order in which threads find them.
    "largest": "SELECT 'all' AS event_id, CAST(max(weight) + 0.0 AS VARCHAR) AS most FROM events",
    "alike": (
        "SELECT a.event_id, count(*) AS n FROM events a JOIN (SELECT 'nan'::DOUBLE AS w) b ON a.weight = b.w "
        "GROUP BY a.event_id"
    ),
}


def answers(migration: Migration) -> dict[str, list[Any]]:
    """What each view answers, by a replay of its own, with every bit of a number."""
    migration.replay(force=True)
    found = {}
    with store_of(migration).snapshot(Side.V1) as snapshot:
        for plan in migration.views.plan():
            found[plan.view.name] = sorted(map(repr, stored(snapshot, plan.view.name, plan.view.columns)))
    return found


@pytest.mark.parametrize(
    "weights",
    [
        [1.0, 4.0, NAN], [NAN, NAN, NAN], [SIGNED_NAN, 7.0, -0.0], [0.0, -0.0, 0.0], [5.0, None, 6.0],
        [1.0, 2.0, 3.0, NAN, 4.0, math.inf],
    ],
)  # fmt: skip
def test_a_view_answers_the_same_before_and_after_a_compaction(tmp_path: Path, weights: list[float | None]) -> None:
    folder = shop.project(tmp_path / "shop", rows=0, v1="")
    for name, text in VIEWS.items():
        shop.view(folder, "v1", name, f"-- key: event_id\n{text}\n")
    migration = shop.opened(folder)
    with migration.appender() as log:
        for number, weight in enumerate(weights):
            log.append([Event(f"e{number}", "placed", WHEN + timedelta(seconds=number), {"weight": weight})])
    before = answers(migration)
    assert migration.log.compact().after == 1

    assert answers(shop.opened(folder)) == before
    assert len(before["over"]) == sum(one is not None and (one != one or one > 5) for one in weights)  # noqa: PLR0124
    assert len(before["no_number"]) == len(before["alike"]) == sum(one is not None and one != one for one in weights)  # noqa: PLR0124


def test_a_row_with_nan_in_a_parquet_source_meets_a_condition_as_in_any_format(tmp_path: Path) -> None:
    project = LogProject(tmp_path, columns={"x": "DOUBLE"})
    rows = {"id": ["a", "b", "c"], "seen": ["2020-01-01"] * 3, "x": [1.0, NAN, 4.0]}
    pq.write_table(pa.table(rows), tmp_path / "s.parquet")
    project.write("s.csv", csv("id,seen,x", "a,2020-01-01,1", "b,2020-01-01,nan", "c,2020-01-01,4"))
    for ending in ("parquet", "csv"):
        project.source(ending, path=f"s.{ending}", event_id=f"'{ending}' || id", where="x > 5")
        project.take(ending)

    assert project.events("event_id") == ["parquetb", "csvb"]


# What a compaction made.


def written(folder: Path, name: str, columns: dict[str, Any]) -> Path:
    """A Parquet file."""
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pa.decimal128(38, 2), [Decimal(0), Decimal(1)], [Decimal(-1), Decimal(1)]),
        (pa.decimal128(38, 0), [Decimal(10**37), None], [Decimal(10**37 + 1), None]),
        (pa.float64(), [NAN, 1.0], [1.0, 1.0]),
        (pa.float64(), [0.0, 1.0], [-0.0, 1.0]),
        (pa.float64(), [0.1, 1.0], [0.1 + 2**-56, 1.0]),
        (pa.string(), ["a", None], ["a", ""]),
        (pa.string(), ["0.1", "b"], ["0.10", "b"]),
        (pa.int64(), [None, 0], [0, 0]),
        (pa.timestamp("us", "UTC"), [WHEN, None], [WHEN + timedelta(microseconds=1), None]),
        (pa.binary(), [b"a", b""], [b"a", b"\0"]),
        (pa.bool_(), [True, None], [True, False]),
    ],
)
def test_files_hold_the_same_events_only_where_every_value_is_the_same(
    tmp_path: Path, kind: pa.DataType, one: list[Any], other: list[Any]
) -> None:
    first = written(tmp_path, "1.parquet", {"position": [1], "x": pa.array(one[:1], kind)})
    second = written(tmp_path, "2.parquet", {"position": [2], "x": pa.array(one[1:], kind)})
    same = written(tmp_path, "same.parquet", {"x": pa.array(one, kind), "position": [1, 2]})
    changed = written(tmp_path, "changed.parquet", {"position": [1, 2], "x": pa.array(other, kind)})
    short = written(tmp_path, "short.parquet", {"position": [1], "x": pa.array(one[:1], kind)})
    more = written(tmp_path, "more.parquet", {"position": [1, 2], "x": pa.array(one, kind), "y": [1, 2]})

    with open_engine() as engine:
        found = [same_events(engine, [first, second], file) for file in (same, changed, short, more)]
        assert found == [True, False, False, False]
        assert not same_events(engine, [second, first], same)


# An id again.

CHANGES = [
    ('{"a":0.1}', '{"a":0.10000000000000001}'),
    ('{"a":12345678901234567890}', '{"a":12345678901234567891}'),
    ('{"a":1e400}', '{"a":2e400}'),
    ('{"a":1e-400}', '{"a":0}'),
    ('{"a":[{"b":0.1}]}', '{"a":[{"b":0.10000000000000001}]}'),
    ('{"a":1}', '{"A":1}'),
    ('{"a":1,"A":2}', '{"a":2,"A":1}'),
    ('{"a":1,"a":2}', '{"a":2}'),
    ('{"a":{"b":1,"b":2}}', '{"a":{"b":2}}'),
    ('{"a":1}', '{"a":true}'),
    ('{"a":1}', '{"a":"1"}'),
    ('{"a":[1,2]}', '{"a":[2,1]}'),
    ('{"a":[]}', '{"a":[null]}'),
]
"""Payloads that say different things."""

SPELT = [
    ('{"a":5}', '{"a":5.0}'),
    ('{"a":2.5,"b":"x"}', '{"b":"x","a":2.50}'),
    ('{"a":12345678901234567890}', '{"a":12345678901234567890.0}'),
    ('{"a":100000}', '{"a":1e5}'),
    ('{"a":"\\u00e9"}', '{"a":"é"}'),
    ('{"a":1,"a":2}', '{"a":1.0,"a":2}'),
]
"""Payloads that say the same, spelt in two ways."""


def payloads(folder: Path, *texts: str) -> LogProject:
    """A project whose source holds one event, taken in again with each payload."""
    project = LogProject(folder)
    project.source("s", path="s.csv", select={"payload": "payload"})
    for text in texts:
        quoted = text.replace('"', '""')
        project.write("s.csv", csv("id,seen,payload", f'e,2020-01-01,"{quoted}"'))
        project.take()
        project.open().log.forget("s")
    return project


@pytest.mark.parametrize(("one", "other"), CHANGES)
def test_an_id_again_whose_payload_says_something_else_is_refused(tmp_path: Path, one: str, other: str) -> None:
    assert not same_payload(one, other)
    assert not same_payload(other, one)
    with pytest.raises(ChangedEvent, match=r"'e' .* differ in payload"):
        payloads(tmp_path, one, other)


@pytest.mark.parametrize(("one", "other"), SPELT)
def test_an_id_again_whose_payload_is_spelt_otherwise_is_known(tmp_path: Path, one: str, other: str) -> None:
    assert same_payload(one, other)
    assert payloads(tmp_path, one, other, one).log().head().last == 1


def test_an_application_s_payload_is_told_from_another_by_every_digit(tmp_path: Path) -> None:
    project = payloads(tmp_path, '{"a":0.1,"b":5}')
    seen = datetime(2020, 1, 1, tzinfo=UTC)
    with project.open().appender() as log:
        assert log.append([Event("e", "s", seen, {"a": Decimal("0.10"), "b": 5.0})]) == [1]
        with pytest.raises(ChangedEvent, match=r"'e' .* differ in payload"):
            log.append([Event("e", "s", seen, {"a": Decimal("0.10000000000000001"), "b": 5})])


@pytest.mark.parametrize(
    ("kind", "had", "has"),
    [
        ("DOUBLE", "nan", "1"), ("DOUBLE", "1", "nan"), ("DOUBLE", "0.1", "0.10000000000000002"),
        ("DECIMAL(38,0)", "0", "-1"), ("DECIMAL(38,2)", "573.60", "-573.60"),
    ],
)  # fmt: skip
def test_an_id_again_with_another_value_in_its_column_is_refused(tmp_path: Path, kind: str, had: str, has: str) -> None:
    project = LogProject(tmp_path, columns={"x": kind})
    project.source("s", path="s.csv")
    for value in (had, had):
        project.write("s.csv", csv("id,seen,x", f"e,2020-01-01,{value}", "f,2020-01-01,1"))
        project.take()
        project.open().log.forget("s")
    project.write("s.csv", csv("id,seen,x", f"e,2020-01-01,{has}", "f,2020-01-01,1"))

    with pytest.raises(ChangedEvent, match=r"'e' .* differ in x"):
        project.take()
