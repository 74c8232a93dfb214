"""
A shop that writes its own summary and an outbox in one transaction, in PostgreSQL or in a SQLite file.

As a program, `python -m support.live_shop URL SEED` sells until its input ends, then says how many events it committed.
"""

from __future__ import annotations

import os
import random
import select
import sqlite3
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Final

import psycopg

import dualgauge
from support.forked import python
from support.shop import ROOT, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dualgauge.migration import Migration
    from support.forked import Process
    from support.object_store import Bucket

SHOP: Final = """
CREATE TABLE summary (
  customer text PRIMARY KEY, orders bigint NOT NULL, cents bigint NOT NULL, latest bigint NOT NULL
);
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  customer text NOT NULL, cents bigint NOT NULL
);
"""
SHOP_FILE: Final = """
PRAGMA journal_mode = WAL;
CREATE TABLE summary (
  customer TEXT PRIMARY KEY, orders INTEGER NOT NULL, cents INTEGER NOT NULL, latest INTEGER NOT NULL
);
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f')),
  customer TEXT NOT NULL, cents INTEGER NOT NULL
);
CREATE TABLE progress (upto);
"""
READER: Final = """
CREATE ROLE {role} LOGIN;
GRANT SELECT ON summary, outbox TO {role};
"""
SELL: Final = (
    # The summary first: its row is locked before the outbox gives a number, so that a customer's numbers are in order.
    """
    INSERT INTO summary AS s VALUES (:customer, 1, :cents, :cents) ON CONFLICT (customer) DO UPDATE
    SET orders = s.orders + 1, cents = s.cents + excluded.cents, latest = excluded.latest
    """,
    "INSERT INTO outbox (customer, cents) VALUES (:customer, :cents)",
)
SETTINGS: Final = """\
[tool.dualgauge]
migration = "summary"

[tool.dualgauge.store]
adopt_url = "{url}"

[tool.dualgauge.log.columns]
customer = "VARCHAR"
cents = "BIGINT"

[[tool.dualgauge.sources]]
name = "outbox"
url = "{url}"
table = "outbox"
cursor = "id"
event_id = "'outbox-' || id"
type = "'sold'"
occurred_at = "at"
"""
ADOPTS: Final = "-- adopt: summary\n-- key: customer\n-- fed_by: outbox\n"
V2: Final = """\
-- key: customer
SELECT customer, count(*) AS orders, sum(cents) AS cents, arg_max(cents, position) AS latest
FROM events
WHERE customer IS NOT NULL
GROUP BY customer
"""


def plain(url: str) -> str:
    """A URL as psycopg itself reads it."""
    return url.replace("+psycopg", "")


def open_shop(url: str, role: str) -> str:
    """Make the shop's tables and a role that may read them; gives the URL of that role."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(SHOP)
        connection.execute(READER.format(role=role).encode())
    return url.replace("postgres@", f"{role}@")


def run_sql(file: Path, *statements: str) -> None:
    """Run statements on a SQLite file, in one transaction."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for one in statements:
            connection.execute(one)


def sell_in(file: Path, customer: str, cents: int, *, summary: bool = True) -> None:
    """One sale in a SQLite file, in a transaction of its own; without the summary, a job is to bring it up."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in SELL if summary else SELL[1:]:
            connection.execute(statement, {"customer": customer, "cents": cents})


def file_project(folder: Path, header: str = ADOPTS, log: Bucket | None = None) -> Path:
    """A project beside a shop in a SQLite file with three sales, imported, with v2 built; perhaps a log in a bucket."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.executescript(SHOP_FILE)
    for customer, cents in (("ada", 500), ("bob", 700), ("ada", 900)):
        sell_in(folder / "shop.db", customer, cents)
    project(folder, "sqlite:///shop.db", header, log)
    return folder


def sell(connection: psycopg.Connection, customer: str, cents: int) -> None:
    """One sale, in the transaction that runs."""
    for statement in SELL:
        bound = statement.replace(":customer", "%(customer)s").replace(":cents", "%(cents)s")
        connection.execute(bound.encode(), {"customer": customer, "cents": cents})


def project(folder: Path, url: str, header: str = ADOPTS, log: Bucket | None = None) -> Migration:
    """A project that adopts the shop's summary, imported, with v2 built."""
    lay_out(folder)
    for file in (folder / "comparators").iterdir():
        file.unlink()
    for side, text in (("v1", header), ("v2", V2)):
        (folder / f"views_{side}" / "customers.sql").unlink()
        (folder / f"views_{side}" / "summary.sql").write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        f"{'' if log is None else log.settings}{SETTINGS.format(url=url)}", encoding="utf-8"
    )
    migration = dualgauge.open(folder)
    migration.import_(every=True)
    migration.replay()
    return migration


@contextmanager
def selling(url: str, writers: int = 4) -> Iterator[Callable[[], int]]:
    """Processes that sell at once; gives what ends them, and says how many events they committed."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    with ExitStack() as stack:
        begun = [
            stack.enter_context(python(["-m", "support.live_shop", url, str(seed)], environment=environment))
            for seed in range(writers)
        ]
        for one in begun:
            stack.callback(one.kill)

        def end() -> int:
            return sum(int(out) for out, _ in [one.communicate("end\n") for one in begun])

        yield end


@contextmanager
def tailing(folder: Path) -> Iterator[Process]:
    """`dualgauge tail --import` in a process of its own; killed at the end, unless it has ended."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with python(["-m", "dualgauge", "tail", "--import"], folder=folder, environment=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def _sold(connection: psycopg.Connection, chance: random.Random) -> int:
    """One transaction of 1 to 50 ms, of which one in ten is rolled back; gives the events that it committed."""
    customers = sorted({f"c{chance.randrange(60):02d}" for _ in range(chance.randint(1, 4))})
    with connection.transaction() as running:
        for customer in customers:
            sell(connection, customer, chance.randint(1, 9_999))
            time.sleep(chance.uniform(0.001, 0.05) / len(customers))
        if chance.random() < 0.1:
            raise psycopg.Rollback(running)
        return len(customers)
    return 0


def _main(url: str, seed: int) -> None:
    chance, events = random.Random(seed), 0
    with psycopg.connect(plain(url)) as connection:
        begun = time.monotonic()
        while not select.select([sys.stdin], [], [], 0)[0]:
            events += _sold(connection, chance)
            # About 50 events a second.
            time.sleep(max(0.0, begun + events / 50 - time.monotonic()))
    print(events)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
