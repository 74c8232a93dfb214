"""Waiting for other processes: a ledger that is just being made, and one whose locks somebody keeps."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from dualgauge.ledger.errors import LedgerBusy, NoLedger
from dualgauge.ledger.ledger import Ledger
from support.forked import Process, python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.pg_cluster import Cluster


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger's file just after it was made: empty, and still with a rollback journal."""
    made = tmp_path / "ledger.db"
    made.touch()
    return made


def test_who_meets_a_new_ledger_that_another_process_has_locked_waits_for_it(file: Path) -> None:
    with held(file, "IMMEDIATE", 1.5):
        start = time.monotonic()
        with Ledger.open(f"sqlite:///{file}") as ledger:
            assert time.monotonic() - start > 1
            assert ledger.journal() == ()


def test_who_looks_at_a_new_ledger_while_its_file_is_written_waits_too(file: Path) -> None:
    with held(file, "EXCLUSIVE", 1.5):
        start = time.monotonic()
        with pytest.raises(NoLedger):
            Ledger.look(f"sqlite:///{file}")
        assert time.monotonic() - start > 1


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_new_ledger_that_stays_locked_is_told_as_held_after_the_whole_time(file: Path, lock: str) -> None:
    with held(file, lock, 60):
        start = time.monotonic()
        with pytest.raises(LedgerBusy) as caught:
            Ledger.open(f"sqlite:///{file}", timeout=0.5)
        assert 0.5 <= time.monotonic() - start < 5
    assert str(caught.value) == (
        f"the ledger sqlite:///{file} is held by another process for more than 0.5 s; "
        "what was under way wrote nothing: end or wait for that process, then run this again"
    )


def test_a_ledger_that_somebody_reads_while_it_is_turned_to_a_write_ahead_log_is_waited_for(file: Path) -> None:
    # A file of another time: it has a table, and a reader of the old kind who keeps writers out.
    with sqlite3.connect(file) as plain:
        plain.execute("CREATE TABLE of_a_user (n)")
    with held(file, "read", 1.5):
        start = time.monotonic()
        with Ledger.open(f"sqlite:///{file}"):
            assert time.monotonic() - start > 1


def test_processes_that_make_one_ledger_at_once_all_get_it(tmp_path: Path) -> None:
    for number in range(8):
        url = f"sqlite:///{tmp_path}/ledger-{number}.db"
        running = [child(OPEN, url) for _ in range(4)] + [child(LOOK, url)]
        told = [one.communicate(timeout=60) for one in running]
        assert [one.returncode for one in running] == [0] * 5, [err for _, err in told]


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_writers_on_postgresql_see_what_the_one_before_wrote_whatever_the_isolation(
    postgres: Cluster, isolation: str
) -> None:
    for _ in range(2):
        url = postgres.new_database()
        with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
            name = make_url(url).database
            connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"))
        running = [child(MOVE, url, who) for who in ("ana", "bo", "cyd")]
        told = [one.communicate(timeout=60) for one in running]
        assert [one.returncode for one in running] == [0] * 3, [err for _, err in told]
        with Ledger.open(url) as ledger:
            won = sum(int(out) for out, _ in told)
            assert ledger.state("orders").revision == won == len(ledger.journal())
            assert ledger.verify_journal() is None
        postgres.drop_database(url)


# Other processes

HOLD = """
import sqlite3, sys, time
file, lock, seconds = sys.argv[1:]
held = sqlite3.connect(file, isolation_level=None)
held.execute("BEGIN" if lock == "read" else f"BEGIN {lock}")
held.execute("SELECT * FROM sqlite_master").fetchall()
print("held", flush=True)
time.sleep(float(seconds))
held.execute("ROLLBACK")
held.close()
"""

OPEN = """
import sys
from dualgauge.ledger.ledger import Ledger
Ledger.open(sys.argv[1]).close()
"""

# As a router does: there may be no ledger yet, and that is all that may be said.
LOOK = """
import sys, time
from dualgauge.ledger.errors import NoLedger
from dualgauge.ledger.ledger import Ledger
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        Ledger.look(sys.argv[1]).close()
    except NoLedger:
        continue
    break
"""


MOVE = """
import sys
from datetime import UTC, datetime
from dualgauge.ledger.errors import StateChanged
from dualgauge.ledger.journal import JournalEntry
from dualgauge.ledger.ledger import Ledger
url, who = sys.argv[1:]
won = 0
with Ledger.open(url) as ledger:
    for n in range(10):
        was = ledger.state("orders")
        at = datetime(2026, 1, 1, tzinfo=UTC)
        move = JournalEntry("orders", "share_some", who, at, was.stage, was.share_ppm, "canary", n + 1, f"{who}-{n}")
        try:
            ledger.move(was, move)
            won += 1
        except StateChanged:
            pass
print(won)
"""


def child(script: str, *arguments: object) -> Process:
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    return python(["-c", script, *map(str, arguments)], environment=environment)


@contextmanager
def held(file: Path, lock: str, seconds: float) -> Iterator[None]:
    """Another process that keeps a lock on a file for some seconds, and at most until the end of the `with`."""
    process = child(HOLD, file, lock, seconds)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.kill()
        process.communicate()
