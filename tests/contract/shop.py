"""A small project of our own: orders that are placed and paid, a few views, real files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import dualgauge

if TYPE_CHECKING:
    from dualgauge.migration import Migration

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """\
[tool.dualgauge]
migration = "shop"
[tool.dualgauge.store]
migrate = "{migrate}"
[tool.dualgauge.log.columns]
customer = "VARCHAR"
amount = "DECIMAL(12,2)"
weight = "DOUBLE"
[[tool.dualgauge.sources]]
name = "orders"
path = "orders-*.csv"
event_id = "id"
type = "kind"
occurred_at = "placed_at::TIMESTAMPTZ"
order_by = "id::BIGINT"
{more}
[tool.alembic]
script_location = "%(here)s/migrations"
"""

TOTALS = """\
-- key: customer
-- index: total
SELECT customer, count(*) AS orders, sum(amount) AS total, max(occurred_at) AS latest
FROM events WHERE type = 'placed' GROUP BY customer
"""

EACH = """\
-- key: event_id
SELECT event_id, customer, amount, weight, occurred_at FROM events
"""


def view(folder: Path, side: str, name: str, text: str) -> None:
    """Write a view's file."""
    (folder / f"views_{side}").mkdir(exist_ok=True)
    (folder / f"views_{side}" / f"{name}.sql").write_text(text, encoding="utf-8")


def events(folder: Path, first: int, last: int, part: str = "a") -> None:
    """Write a source file of events: ids from `first` to `last`, some 1,000 customers."""
    lines = ["id,kind,placed_at,customer,amount,weight"]
    for number in range(first, last + 1):
        kind = "paid" if number % 5 == 0 else "placed"
        amount = f"{number * 37 % 100_000 / 100:.2f}"
        at = f"2024-01-{number % 28 + 1:02d} 10:{number % 60:02d}:00+00"
        lines.append(f"{number},{kind},{at},c{number * 7919 % 1000:04d},{amount},{number / 7}")
    (folder / f"orders-{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def project(
    folder: Path, *, rows: int = 50, migrate: str = "auto", more: str = "", v1: str = TOTALS, v2: str = ""
) -> Path:
    """Lay out a project with `totals` on one or both sides; `rows` events wait to be imported."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(SETTINGS.format(migrate=migrate, more=more), encoding="utf-8")
    shutil.copytree(ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (folder / "migrations" / "versions").glob("*.py"):
        file.unlink()
    for side, text in (("v1", v1), ("v2", v2)):
        if text:
            view(folder, side, "totals", text)
    if rows:
        events(folder, 1, rows)
    return folder


def opened(folder: Path) -> Migration:
    """Open the project as a user does, under a name that does not depend on the machine."""
    return dualgauge.open(folder, who="tester")


def imported(folder: Path) -> Migration:
    """Open the project with its events in the log."""
    migration = opened(folder)
    migration.import_(every=True)
    return migration
