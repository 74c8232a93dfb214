"""One wrong row among a million is found, named, and traced to its events; nothing else is reported."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

import dualgauge
from dualgauge.comparison.values import DifferenceKind
from dualgauge.engines.duck import open_engine
from dualgauge.model import Outcome
from dualgauge.scaffold.demo import content

if TYPE_CHECKING:
    from pathlib import Path

KEYS = 1_000_000
EVENTS = 1_200_000
PLANTED = 777_777

# The account of event i: each has one event, every fifth two; one event of all is a refund.
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


def lay_out(root: Path) -> None:
    for side, text in (("v1", V1), ("v2", V2)):
        (root / f"views_{side}").mkdir()
        (root / f"views_{side}" / "accounts.sql").write_text(text, encoding="utf-8")
    (root / "migrations" / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        shutil.copyfile(content() / "migrations" / name, root / "migrations" / name)
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")


# One test, and not one for each sentence: the million is built once, however the tests are shared out.
def test_one_wrong_row_among_a_million_is_named_and_traced_to_its_events_and_nothing_else_is(tmp_path: Path) -> None:
    account = next(one for one in range(PLANTED, KEYS) if len(events_of(one)) == 2)
    first, second = events_of(account)
    lay_out(tmp_path)
    with open_engine() as engine:
        made = MADE.format(refund=second)
        engine.execute(f"COPY ({made}) TO '{tmp_path / 'payments.parquet'}' (FORMAT parquet)")
    migration = dualgauge.open(tmp_path)
    assert migration.import_().added == EVENTS
    rebuilt = migration.replay()
    assert [(one.side.value, one.rows) for one in rebuilt.views] == [("v1", KEYS), ("v2", KEYS)]

    (run,) = migration.diff()

    # It is found ...
    found = run.comparison
    assert (found.rows_v1, found.rows_v2, found.compared) == (KEYS, KEYS, KEYS)
    assert (found.changed, found.only_in_v1, found.only_in_v2, found.expected) == (1, 0, 0, 0)
    assert found.matched == KEYS - 1
    assert found.why[0] == "changed: 1 row, over the limit of 0 (1,000,000 keys compared)"
    assert (found.verdict, found.verdict.exit_code) == (Outcome.FAIL, 4)

    # ... named, with its column and both values ...
    (one,) = found.mismatches
    assert (one.key, one.kind, one.columns) == ({"account": account}, DifferenceKind.CHANGED, ("total",))
    assert one.v1 == {"account": account, "events": 2, "total": amount_of(first) + amount_of(second)}
    assert one.v2 == {"account": account, "events": 2, "total": amount_of(first)}

    # ... traced ...
    assert (run.untraced, one.events_total) == ("", 2)
    assert [(event.position, event.event_id, event.type) for event in one.events] == [
        (first, f"p-{first}", "paid"),
        (second, f"p-{second}", "refunded"),
    ]

    # ... and alone.
    assert {column.name: column.differ for column in found.columns} == {"events": 0, "total": 1}
    assert [(cluster.columns, cluster.rows) for cluster in found.clusters] == [(("total",), 1)]
    assert found.key_problems == ()
    kept = pq.read_table(run.folder / "mismatches.parquet")
    assert kept.column("account").to_pylist() == [account]
    said = json.loads((run.folder / "diff.json").read_text(encoding="utf-8"))
    assert (said["mismatched"], len(said["mismatches"])) == (1, 1)
