"""Point reads and forks: a forked process reads right, or is told why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dualgauge.stores.errors import ReaderForked
from dualgauge_router.stores.errors import StoreForked
from support.adopted import ready
from support.shop import build

if TYPE_CHECKING:
    from pathlib import Path

START = """
import os, select, signal, sqlite3, subprocess, sys, threading, time
import dualgauge
from dualgauge.model import Side

migration = dualgauge.open(".")

def forked(work, seconds=20):
    "What `work` gave in a forked process, or that it hung."
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = str(work())
        except dualgauge.DualgaugeError as fault:
            said = f"{type(fault).__name__}: {fault}"
        except BaseException as fault:
            said = f"not ours: {fault!r}"
        os.write(into, said.encode())
        os._exit(0)
    os.close(into)
    heard = select.select([out], [], [], seconds)[0]
    said = os.read(out, 10_000).decode() if heard else "hung"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(out)
    return said
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return build(tmp_path / "shop")


def played(script: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START + script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_reader_goes_on_in_a_forked_process_and_in_its_own(shop: Path) -> None:
    script = """
with migration.traffic.reader(Side.V1) as reader:
    reader.get("customers", ["ada"])
    print(forked(lambda: reader.get("customers", ["ada"])["orders"]))
    print(reader.get("customers", ["ada"])["orders"])
"""
    assert played(script, shop) == ["2", "2"]


def test_a_forked_process_that_leaves_the_with_takes_nothing_from_its_parent(shop: Path) -> None:
    script = """
with migration.traffic.reader(Side.V1) as reader:
    if (pid := os.fork()) != 0:
        assert os.waitpid(pid, 0)[1] == 0
        print(reader.get("customers", ["ada"])["orders"])
"""
    assert played(script, shop) == ["2"]


WRITE = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
table = c.execute("SELECT name FROM sqlite_master WHERE name LIKE 'customers__b%' AND type = 'table'").fetchone()[0]
c.execute(f'UPDATE "{table}" SET orders = orders + 1 WHERE customer = ?', ["ada"])
c.commit()
c.close()
"""


def test_a_reader_that_a_forked_process_opens_sees_what_others_write(shop: Path) -> None:
    # With a connection that it inherited beside it, SQLite would take none of the locks that keep its log from removal.
    script = (
        f"WRITE = {WRITE!r}"
        """
def work():
    os.read(gone, 1)  # until the parent has closed its reader
    seen = []
    with dualgauge.open(".").traffic.reader(Side.V1) as mine:
        seen.append(mine.get("customers", ["ada"])["orders"])
        for _ in range(3):
            subprocess.run([sys.executable, "-c", WRITE, ".dualgauge/views_v1.db"], check=True)
            seen.append(mine.get("customers", ["ada"])["orders"])
    return seen

gone, going = os.pipe()
opened = migration.traffic.reader(Side.V1)
reader = opened.__enter__()
reader.get("customers", ["ada"])
threading.Timer(0.5, lambda: (opened.__exit__(None, None, None), os.write(going, b"x"))).start()
print(forked(work))
"""
    )
    assert played(script, shop) == ["[2, 3, 4, 5]"]


def test_a_process_forked_while_threads_read_never_hangs(shop: Path) -> None:
    script = """
stop = False
with migration.traffic.reader(Side.V1) as reader:
    def read():
        while not stop:
            assert reader.get("customers", ["ada"])["orders"] == 2
    threads = [threading.Thread(target=read) for _ in range(4)]
    [one.start() for one in threads]
    for _ in range(8):
        time.sleep(0.02)
        print(forked(lambda: reader.get("customers", ["ada"])["orders"]))
        def own():
            with dualgauge.open(".").traffic.reader(Side.V1) as mine:
                return mine.get("customers", ["ada"])["orders"]
        print(forked(own))
    stop = True
    [one.join() for one in threads]
"""
    assert played(script, shop) == ["2", "2"] * 8


def test_a_file_that_was_in_use_at_the_fork_is_not_opened_in_the_forked_process(shop: Path) -> None:
    script = """
from pathlib import Path
from dualgauge.stores.sqlite.database import Databases, reading
databases = Databases(v1=Path(".dualgauge/views_v1.db"), v2=Path(".dualgauge/views_v2.db"))
with databases.open(Side.V1) as engine, reading(engine):
    def work():
        with migration.traffic.reader(Side.V1) as reader:
            return reader.get("customers", ["ada"])
    print(forked(work))
    def other():
        with migration.traffic.reader(Side.V2) as reader:
            return reader.get("customers", ["ada"])["orders"]
    print(forked(other))
"""
    file = shop / ".dualgauge" / "views_v1.db"
    assert played(script, shop) == [f"StoreForked: {StoreForked(file)}", "2"]
    assert str(StoreForked(file)) == (
        f"{file} was in use when this process was forked, and SQLite cannot lock a file in a process that was forked "
        'meanwhile; nothing was read or written: start processes by spawn (`multiprocessing.get_context("spawn")`) or '
        "by a command of their own"
    )


def test_a_reader_of_an_adopted_table_is_refused_in_a_forked_process_at_once(tmp_path: Path) -> None:
    script = """
stop = False
with migration.traffic.reader(Side.V1) as reader:
    def read():
        while not stop:
            reader.get("customers", ["ada"])
    threads = [threading.Thread(target=read) for _ in range(3)]
    [one.start() for one in threads]
    for _ in range(5):
        time.sleep(0.02)
        print(forked(lambda: reader.get("customers", ["ada"])).partition(":")[0])
    stop = True
    [one.join() for one in threads]
"""
    assert played(script, ready(tmp_path / "shop")) == ["ReaderForked"] * 5
    assert ReaderForked("v1", 1).exit_code == 2
    assert str(ReaderForked("v1", 1)) == (
        "the reader of v1 was opened in process 1, and this is another one, forked from it; nothing was read: open a "
        "reader in the process that reads"
    )
