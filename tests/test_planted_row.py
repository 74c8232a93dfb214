"""One wrong row among a million is found, named, and traced to its events; nothing else is reported."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

import dualgauge
from dualgauge.cli.diff import EXIT
from dualgauge.comparison.values import Kind
from dualgauge.engines.duck import open_engine
from dualgauge.model import Outcome
from dualgauge.scaffold.demo import content

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.run import DiffRun

KEYS = 1_000_000
EVENTS = 1_200_000
PLANTED = 777_777

# The key of event i: each key has an event, every fifth key two; and in the middle of it all one refund.
MADE = f"""
SELECT i AS n, (i * 7919) % {KEYS} AS account, CASE WHEN i = {{refund}} THEN 'refunded' ELSE 'paid' END AS kind,
  CAST((i * 31) % 100000 AS DECIMAL(18,2)) AS amount, TIMESTAMPTZ '2020-01-01' + INTERVAL (i) SECOND AS paid_at
FROM range(1, {EVENTS + 1}) t(i)
"""

SETTINGS = """[tool.dualgauge]
migration = "accounts"
[tool.dualgauge.log.columns]
account = "BIGINT"
amount = "DECIMAL(18,2)"
[[tool.dualgauge.sources]]
name = "payments"
path = "payments.parquet"
event_id = "'p-' || n"
type = "kind"
occurred_at = "paid_at"
"""

V1 = """-- key: account
SELECT account, count(*) AS events, sum(amount) AS total FROM events GROUP BY account
"""
# What a rewrite forgets: the one kind of event that nobody had in mind.
V2 = """-- key: account
SELECT account, count(*) AS events, sum(CASE WHEN type = 'paid' THEN amount ELSE 0 END) AS total
FROM events GROUP BY account
"""


def events_of(account: int) -> list[int]:
    """The positions of an account's events: the inverse of how they were made."""
    first = account * pow(7919, -1, KEYS) % KEYS or KEYS
    return [position for position in (first, first + KEYS) if position <= EVENTS]


def amount_of(position: int) -> Decimal:
    return Decimal(position * 31 % 100_000)


@pytest.fixture(scope="module")
def account() -> int:
    """The account nearest to the planted number that has two events."""
    return next(one for one in range(PLANTED, KEYS) if len(events_of(one)) == 2)


@pytest.fixture(scope="module")
def run(account: int, tmp_path_factory: pytest.TempPathFactory) -> DiffRun:
    root = tmp_path_factory.mktemp("million")
    lay_out(root)
    with open_engine() as engine:
        made = MADE.format(refund=events_of(account)[1])
        engine.execute(f"COPY ({made}) TO '{root / 'payments.parquet'}' (FORMAT parquet)")
    migration = dualgauge.open(root)
    assert migration.import_().added == EVENTS
    rebuilt = migration.replay()
    assert [(one.side.value, one.rows) for one in rebuilt.views] == [("v1", KEYS), ("v2", KEYS)]
    (found,) = migration.diff()
    return found


def lay_out(root: Path) -> None:
    for side, text in (("v1", V1), ("v2", V2)):
        (root / f"views_{side}").mkdir()
        (root / f"views_{side}" / "accounts.sql").write_text(text, encoding="utf-8")
    (root / "migrations" / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        shutil.copyfile(content() / "migrations" / name, root / "migrations" / name)
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")


def test_one_wrong_row_among_a_million_fails_the_diff(run: DiffRun) -> None:
    found = run.comparison

    assert (found.rows_v1, found.rows_v2, found.compared) == (KEYS, KEYS, KEYS)
    assert (found.changed, found.only_in_v1, found.only_in_v2, found.expected) == (1, 0, 0, 0)
    assert found.matched == KEYS - 1
    assert found.verdict is Outcome.FAIL
    assert EXIT[found.verdict] == 4
    assert found.why[0] == "changed: 1 row, over the limit of 0 (1,000,000 keys compared)"


def test_the_wrong_row_is_named_with_its_column_and_both_values(run: DiffRun, account: int) -> None:
    first, second = events_of(account)
    (one,) = run.comparison.mismatches

    assert (one.key, one.kind, one.columns) == ({"account": account}, Kind.CHANGED, ("total",))
    assert one.v1 == {"account": account, "events": 2, "total": amount_of(first) + amount_of(second)}
    assert one.v2 == {"account": account, "events": 2, "total": amount_of(first)}


def test_the_wrong_row_is_traced_to_the_events_that_touched_it(run: DiffRun, account: int) -> None:
    first, second = events_of(account)
    (one,) = run.comparison.mismatches

    assert run.untraced == ""
    assert one.events_total == 2
    assert [(event.position, event.event_id, event.type) for event in one.events] == [
        (first, f"p-{first}", "paid"),
        (second, f"p-{second}", "refunded"),
    ]


def test_nothing_else_is_reported(run: DiffRun, account: int) -> None:
    found = run.comparison
    kept = pq.read_table(run.folder / "mismatches.parquet")
    said = json.loads((run.folder / "diff.json").read_text(encoding="utf-8"))

    assert {one.name: one.differ for one in found.columns} == {"events": 0, "total": 1}
    assert [(one.columns, one.rows, one.example) for one in found.clusters] == [(("total",), 1, {"account": account})]
    assert found.key_problems == ()
    assert kept.column("account").to_pylist() == [account]
    assert (said["mismatched"], len(said["mismatches"])) == (1, 1)
