"""A small application with a v1 of its own: a table in its SQLite database, and a project that adopts it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import dualgauge
from support.shop import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from dualgauge.migration import Migration

TABLE = "CREATE TABLE customer_totals (customer TEXT PRIMARY KEY, orders INTEGER NOT NULL, cents INTEGER NOT NULL)"
ROWS = [("ada", 2, 3300), ("bob", 1, 1200), ("cyd", 1, 9900)]
ADOPTS = "-- adopt: customer_totals\n-- key: customer\n"


def write(file: Path, statement: str, rows: Iterable[tuple[Any, ...]] = ((),)) -> None:
    """What the application's own code does: statements on its own database."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(statement, rows)


def adopt(folder: Path, header: str = ADOPTS, adopt_url: str = "sqlite:///shop.db") -> Path:
    """Lay the shop's project out with an adopted v1; nothing is imported or built, and there is no such database."""
    lay_out(folder)
    (folder / "comparators" / "customers.py").unlink()
    (folder / "views_v1" / "customers.sql").write_text(header, encoding="utf-8")
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[tool.dualgauge.store]\nadopt_url = "{adopt_url}"\n')
    return folder


def application(folder: Path) -> Path:
    """Make the application's database as it is after the shop's five events."""
    file = folder / "shop.db"
    write(file, TABLE)
    write(file, "INSERT INTO customer_totals VALUES (?, ?, ?)", ROWS)
    return file


def ready(folder: Path, header: str = ADOPTS) -> Path:
    """A project that adopts the application's table, imported, with v2 built."""
    application(adopt(folder, header))
    migration = dualgauge.open(folder)
    migration.import_(every=True)
    migration.replay()
    return folder


def between_looks(folder: Path, act: Callable[[], None]) -> Migration:
    """The project, whose waits end at once when the application has acted."""

    def sleep(_seconds: float) -> None:
        act()

    return dualgauge.open(folder, sleep=sleep)
