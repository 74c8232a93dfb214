"""What a user of the package writes, held to strict types by `make types`. It is checked, never run."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dualgauge
from dualgauge import Absolute, Check, Comparator, Event, Exact, Expected, Relative, Rounded, Router
from dualgauge.model import Outcome

if TYPE_CHECKING:
    from pathlib import Path

orders = Comparator(
    key=("tenant", "order_id"),
    v1="SELECT tenant, order_id, amount, score FROM v1.orders",
    rules={"amount": Absolute(0.005), "score": Relative(1e-9), "mean": Rounded(digits=6), "note": Exact()},
    expected=[
        Expected(
            when="v1.region = 7",
            v2_equals={"tax": "round(v1.amount * 0.2, 2)"},
            reason="the new tax",
            owner="billing",
            until=date(2027, 12, 31),
        )
    ],
    affected_by={"tenant": "tenant", "order_id": "order_id"},
    checks=[
        Check("expect_column_values_to_not_be_null", column="amount"),
        Check("expect_column_values_to_be_between", column="score", min_value=0, mostly=0.99, on="v2", view="orders"),
    ],
)


def play(path: str) -> int:
    """A migration in Python."""
    migration = dualgauge.open(path)
    imported = migration.import_(every=True)
    rebuilt = migration.replay(["orders"])
    failed = [run.name for run in migration.diff() if run.comparison.mismatched]
    failed += [run.name for run in migration.check() for one in run.results if one.success is False]
    moved = migration.switch(10_000, reason="the diff passed", dry_run=True)
    answer = migration.read("orders", ["acme", "17"], unit="acme")
    row: dict[str, object] | None = answer.row
    share: int = moved.after.share_ppm
    return imported.added + len(rebuilt.views) + len(failed) + share + (row is not None)


def write(path: str) -> list[int]:
    """Events of an application, and the positions that they have."""
    placed = Event("o-1", "placed", datetime(2026, 1, 31, tzinfo=UTC), {"cents": 2500, "type": "online"})
    with dualgauge.open(path, who="me", memory_limit="500MB", patience=5).appender() as log:
        positions = log.append([placed, Event("p-1", "paid", datetime.now(UTC), caused_by="o-1")])
        done = log.take([placed])
    return [*positions, *done.positions, done.added]


def two_files(old: str, new: Path) -> bool:
    """Two relations without a project."""
    found = dualgauge.compare(old, new, Comparator(key="id"), today=date(2027, 1, 1), samples=3, memory_limit="500MB")
    return found.verdict is Outcome.PASS and found.mismatched == 0


def serve(order_id: int) -> str:
    """A read in an application."""
    with Router(ledger="sqlite:///ledger.db", migration="orders") as router:
        return router.read("orders", unit=f"customer-{order_id}", v1=str, v2=hex, args=(order_id,))
