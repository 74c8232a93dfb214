"""The SQLite store: the contract of every store, and what is SQLite's own: files, locks, who may write."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.sql.compiler import SQLCompiler

from contract.store import ROOT, TOTALS, StoreContract, build, rows
from dualgauge.model import Position, Side
from dualgauge.stores.errors import NotADatabase, StoreHeld, StoreRefused
from dualgauge.stores.serving.shapes import Shape
from dualgauge.stores.sqlite.database import Databases, reading, writing
from dualgauge.stores.sqlite.store import SqliteStore
from support.builds import stored

if TYPE_CHECKING:
    from pathlib import Path


def sqlite(folder: Path, wait: float = 30.0) -> SqliteStore:
    return SqliteStore(Databases(v1=folder / "views_v1.db", v2=folder / "views_v2.db", wait=wait))


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return sqlite(tmp_path)


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        return sqlite(tmp_path / "deep" / "er's %20 é folder")


# --- files --------------------------------------------------------------------------------------------------------


def test_a_read_makes_no_file(store: SqliteStore, tmp_path: Path) -> None:
    for side in Side:
        assert store.served(side) == {}
        with store.snapshot(side):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_read_of_an_empty_file_leaves_it_empty(store: SqliteStore) -> None:
    store.databases.v1.touch()
    assert store.checkpoints(Side.V1) == []
    assert store.databases.v1.stat().st_size == 0


def test_a_load_of_one_side_does_not_touch_the_file_of_the_other(shaped: SqliteStore) -> None:
    before = shaped.databases.v2.read_bytes()
    build(shaped, TOTALS, rows(3, 1), target=1)
    assert shaped.databases.v2.read_bytes() == before


def test_a_view_finds_its_build_when_its_file_is_opened_alone(shaped: SqliteStore) -> None:
    build(shaped, TOTALS, rows(3, 1), target=1)
    alone = sqlite3.connect(shaped.databases.v1)
    assert alone.execute("SELECT * FROM totals WHERE customer = 'c001'").fetchall() == [("c001", 1)]
    names = [row[0] for row in alone.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")]
    assert sorted(names) == ["ix_totals__b1__orders", "ix_totals__shape__orders"]
    alone.close()


def test_nothing_is_left_beside_the_files_when_all_is_closed(shaped: SqliteStore, tmp_path: Path) -> None:
    build(shaped, TOTALS, rows(3, 1), target=1)
    shaped.point(Side.V1, "totals", ["c001"])
    assert sorted(file.name for file in tmp_path.glob("*.db*")) == ["views_v1.db", "views_v2.db"]


def test_a_key_of_bytes_decides_the_row_and_its_order(store: SqliteStore, tmp_path: Path) -> None:
    shape = Shape(Side.V1, "blobs", {"id": "BLOB", "n": "BIGINT"}, ("id",))
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("versions"))
    store.revise(tmp_path / "migrations", [shape], "blobs")
    store.upgrade(tmp_path / "migrations", [shape])
    keys = [b"", b"\x00", b"\x00\x00", b"'", b"\xff\x00"]
    build(store, shape, [(key, number, 1) for number, key in enumerate(keys)], target=1)
    for number, key in enumerate(keys):
        assert store.point(Side.V1, "blobs", [key.hex()]) == {"id": key, "n": number}
    alone = sqlite3.connect(store.databases.v1)
    assert "WITHOUT ROWID" in alone.execute("SELECT sql FROM sqlite_master WHERE name = 'blobs__b1'").fetchone()[0]
    assert [row[0] for row in alone.execute("SELECT id FROM blobs")] == keys
    alone.close()


@pytest.mark.parametrize(
    ("kind", "stored", "asked"),
    [
        ("BOOLEAN", 1, "true"),
        ("DATE", "0005-01-02", "0005-01-02"),
        ("TIME", "07:30:00.000000", "07:30"),
        ("TIMESTAMP", "0005-01-02 03:04:05.000000", "0005-01-02T03:04:05"),
        ("TIMESTAMP WITH TIME ZONE", "2024-01-02 03:04:05.000000", "2024-01-02T05:04:05+02:00"),
        ("DECIMAL(12,3)", "10.500", "10.5"),
        ("DECIMAL(12,3)", "100.000", "1E+2"),
        ("DOUBLE", 0.1, "0.1"),
        ("BIGINT", -(2**63), str(-(2**63))),
        ("VARCHAR", "a\x00b'☃", "a\x00b'☃"),
        ("UUID", "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000a"),
    ],
)
def test_a_key_of_each_type_is_found_by_its_text(
    store: SqliteStore, tmp_path: Path, kind: str, stored: object, asked: str
) -> None:
    shape = Shape(Side.V1, "keyed", {"id": kind, "n": "BIGINT"}, ("id",))
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("versions"))
    store.revise(tmp_path / "migrations", [shape], "keyed")
    store.upgrade(tmp_path / "migrations", [shape])
    build(store, shape, [(stored, 7, 1)], target=1)
    found = store.point(Side.V1, "keyed", [asked])
    assert found is not None
    assert found["n"] == 7


def test_a_uuid_is_read_however_it_is_written_and_a_text_only_as_it_is(store: SqliteStore, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "migrations", tmp_path / "m", ignore=shutil.ignore_patterns("versions", "__pycache__"))
    one, other = "0c1d2e3f-aaaa-4000-8000-00000000000a", "0c1d2e3f-bbbb-4000-8000-00000000000b"
    shapes = [
        Shape(Side.V1, name, {"id": kind, "n": "BIGINT"}, ("id",)) for name, kind in (("u", "UUID"), ("t", "VARCHAR"))
    ]
    store.revise(tmp_path / "m", shapes, "keyed")
    store.upgrade(tmp_path / "m", shapes)
    for shape, keys in zip(shapes, ((one, other), (one, "name")), strict=True):
        build(store, shape, [(key, number, 1) for number, key in enumerate(keys)], target=1)

    for asked in (one, one.upper(), f"{{{one.upper()}}}", one.replace("-", "")):
        assert store.point(Side.V1, "u", [asked]) == {"id": one, "n": 0}
        assert store.point(Side.V1, "t", [asked]) == ({"id": one, "n": 0} if asked == one else None)
    assert store.point(Side.V1, "u", [one.upper().replace("A", "C")]) is None


@pytest.mark.parametrize("content", [b"not a database, but a text that is long enough" * 9, b"short"])
def test_a_file_that_is_no_database_is_named_and_left_as_it_is(store: SqliteStore, content: bytes) -> None:
    store.databases.v1.write_bytes(content)
    for look in (lambda: store.served(Side.V1), lambda: store.point(Side.V1, "totals", ["x"])):
        with pytest.raises(NotADatabase) as caught:
            look()
        assert str(caught.value) == (
            f"{store.databases.v1} cannot be opened as a SQLite database: file is not a database; "
            "set [tool.dualgauge.store] url to another file, "
            "or move this one away and replay: everything in a store can be rebuilt from the log"
        )
        assert caught.value.exit_code == 2
    with pytest.raises(NotADatabase), store.load(TOTALS, "h", "t", Position(1), "chain"):
        pass
    assert store.databases.v1.read_bytes() == content


def test_a_damaged_database_is_told_as_such(shaped: SqliteStore) -> None:
    build(shaped, TOTALS, rows(2000, 1), target=1)
    file = shaped.databases.v1
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(NotADatabase, match="malformed"), shaped.snapshot(Side.V1) as snapshot:
        stored(snapshot, "totals", {"customer": "VARCHAR"})
    with pytest.raises(NotADatabase, match="malformed"):
        shaped.point(Side.V1, "totals", ["c001"])


def test_a_folder_in_the_place_of_a_file_is_refused(store: SqliteStore) -> None:
    store.databases.v1.mkdir()
    with pytest.raises(StoreRefused, match="unable to open database; what was under way wrote nothing"):
        store.served(Side.V1)


AS_NOBODY = """
import os, sys
from pathlib import Path
from contract.store import TOTALS
from dualgauge.model import Position, Side
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.errors import StoreRefused
from dualgauge.stores.sqlite import bulk
from dualgauge.stores.serving import migrations
from dualgauge.stores.sqlite.store import SqliteStore
folder = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)
for where in (folder, folder / "new"):
    store = SqliteStore(Databases(v1=where / "views_v1.db", v2=where / "views_v2.db"))
    try:
        with store.load(TOTALS, "h", "t", Position(1), "chain"):
            pass
    except StoreRefused as error:
        print(error.exit_code, error)
"""


def test_a_folder_that_may_not_be_written_is_told_with_what_to_do(shaped: SqliteStore, tmp_path: Path) -> None:
    # The tests may run as root, whom nothing is forbidden: the script is then nobody, who must reach the folder.
    for folder in tmp_path.parents[:-2]:
        folder.chmod(folder.stat().st_mode | 0o011)
    for file in tmp_path.glob("*.db"):
        file.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        out = run(AS_NOBODY, tmp_path).communicate()[0].splitlines()
    finally:
        tmp_path.chmod(0o755)
    assert len(out) == 2
    assert f"1 {shaped.databases.v1} cannot be used: " in out[0]
    assert "what was under way wrote nothing: see that you may write the file and its folder" in out[0]
    assert f"1 {tmp_path}/new/views_v1.db cannot be used: Permission denied; what was under way wrote nothing" in out[1]


# --- locks --------------------------------------------------------------------------------------------------------

HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_database_that_another_process_holds_is_told_with_the_process_and_code_5(
    shaped: SqliteStore, tmp_path: Path
) -> None:
    build(shaped, TOTALS, rows(1, 1), target=1)
    holder = run(HOLD, shaped.databases.v1)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    impatient = sqlite(tmp_path, wait=0.2)
    try:
        start = time.monotonic()
        with pytest.raises(StoreHeld) as caught, impatient.load(TOTALS, "h", "t", Position(2), "chain"):
            pass
        assert 0.2 <= time.monotonic() - start < 5
        which = f" (process {holder.pid})" if sys.platform == "linux" else ""
        assert str(caught.value) == (
            f"{impatient.databases.v1} has been held by another process's transaction{which} for over 0.2 seconds; "
            "what was under way wrote nothing: wait for that process or end it, and run the command again"
        )
        assert caught.value.exit_code == 5
        # Readers wait for nobody.
        assert impatient.point(Side.V1, "totals", ["c000"]) == {"customer": "c000", "orders": 1}
    finally:
        holder.communicate()
    build(impatient, TOTALS, rows(1, 2), target=2)
    assert impatient.point(Side.V1, "totals", ["c000"]) == {"customer": "c000", "orders": 2}


def test_a_file_that_is_new_and_held_is_waited_for_as_long_as_is_said(tmp_path: Path) -> None:
    new = tmp_path / "views_v1.db"
    holder = run(HOLD, new)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        start = time.monotonic()
        with (
            pytest.raises(StoreHeld, match=r"for over 0\.5 seconds"),
            sqlite(tmp_path, wait=0.5).databases.open(Side.V1, create=True) as engine,
            writing(engine),
        ):
            pass
        assert 0.5 <= time.monotonic() - start < 5
        ending = threading.Timer(1, holder.terminate)
        ending.start()
        with sqlite(tmp_path).databases.open(Side.V1, create=True) as engine, writing(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE views_v1.made (n)")
        assert not ending.is_alive()
    finally:
        holder.kill()
        holder.communicate()
    alone = sqlite3.connect(new)
    assert alone.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    alone.close()


TOUCH = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("INSERT INTO written_by_other VALUES (1)")
other.close()
"""


def test_opening_the_files_a_second_time_does_not_let_go_of_the_locks_of_the_first(shaped: SqliteStore) -> None:
    """Closing any descriptor of a file drops a process's POSIX locks on it; then others may remove a WAL in use."""
    with shaped.databases.open(Side.V1, create=True) as engine:
        with writing(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE views_v1.written_by_other (n)")
        assert shaped.checkpoints(Side.V1) == []
        run(TOUCH, shaped.databases.v1).communicate()
        assert shaped.databases.v1.with_name("views_v1.db-wal").exists()
        with writing(engine) as connection:
            connection.exec_driver_sql("INSERT INTO views_v1.written_by_other VALUES (2)")
        with reading(engine) as connection:
            found = connection.exec_driver_sql("SELECT n FROM views_v1.written_by_other").fetchall()
        assert [row[0] for row in found] == [1, 2]
    alone = sqlite3.connect(shaped.databases.v1)
    assert alone.execute("SELECT n FROM written_by_other").fetchall() == [(1,), (2,)]
    assert alone.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    alone.close()


WRITER = """
import sys, time
from pathlib import Path
from contract.store import TOTALS, rows, Shape, Side
from support.builds import batch
from dualgauge.model import Position
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.sqlite.store import SqliteStore
folder = Path(sys.argv[1])
store = SqliteStore(Databases(v1=folder / "views_v1.db", v2=folder / "views_v2.db"))
end = time.monotonic() + float(sys.argv[3])
shape = Shape(Side(sys.argv[2]), TOTALS.view, TOTALS.columns, TOTALS.key, TOTALS.indexes)
target = 1
# However slow the machine is: a few rounds of each.
while time.monotonic() < end or target < 4:
    target += 1
    given = rows(400, target, target)
    with store.load(shape, "h", "t", Position(target), "chain") as loading:
        for start in range(0, 400, 100):
            loading.append(batch(given[start:start + 100]))
        loading.finish()
print(target)
"""

DIFFER = """
import sys, time
from pathlib import Path
from dualgauge.model import Side
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.sqlite.store import SqliteStore
from support.builds import stored
folder = Path(sys.argv[1])
store = SqliteStore(Databases(v1=folder / "views_v1.db", v2=folder / "views_v2.db"))
end, looks = time.monotonic() + float(sys.argv[3]), 0
while time.monotonic() < end or looks < 4:
    for side in Side:
        with store.snapshot(side) as snapshot:
            position = snapshot.served("totals").position
            found = stored(snapshot, "totals", {"orders": "BIGINT", "_position": "BIGINT"})
            assert found == [(position, position)] * 400, (side, position, len(found), set(found))
            looks += 1
print(looks)
"""

READER = """
import sys, time
from pathlib import Path
from dualgauge.model import Side
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.sqlite.store import SqliteStore
folder = Path(sys.argv[1])
store = SqliteStore(Databases(v1=folder / "views_v1.db", v2=folder / "views_v2.db"))
end, reads, last = time.monotonic() + float(sys.argv[3]), 0, 0
with store.reader(Side(sys.argv[2])) as reader:
    while time.monotonic() < end or reads < 4:
        for key in ("c000", "c399"):
            row = reader.get("totals", [key])
            assert row["orders"] >= last, (row, last)
            last, reads = row["orders"], reads + 1
print(reads)
"""


def test_writers_a_differ_and_readers_at_once_never_see_half_and_leave_sound_files(
    shaped: SqliteStore, tmp_path: Path
) -> None:
    both = [Shape(side, TOTALS.view, TOTALS.columns, TOTALS.key, TOTALS.indexes) for side in Side]
    shaped.revise(tmp_path / "migrations", both, "v2 too")
    shaped.upgrade(tmp_path / "migrations", both)
    for shape in both:
        build(shaped, shape, rows(400, 1), target=1)
    parts = [(WRITER, Side.V1), (WRITER, Side.V2), (DIFFER, Side.V1), (READER, Side.V1), (READER, Side.V2)]
    running = [run(script, tmp_path, side.value, 3) for script, side in parts]
    done = [(int(one.communicate()[0] or -1), one.returncode) for one in running]
    assert all(code == 0 and count > 3 for count, code in done), done
    for file in (shaped.databases.v1, shaped.databases.v2):
        alone = sqlite3.connect(file)
        assert alone.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        alone.close()


def test_a_store_that_is_opened_again_compiles_nothing_again(
    shaped: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(shaped, TOTALS, rows(3, 1), target=1)
    compiled: list[object] = []
    compile_ = SQLCompiler.__init__

    def counted(self: SQLCompiler, *given: Any, **named: Any) -> None:
        compiled.append(given)
        compile_(self, *given, **named)

    monkeypatch.setattr(SQLCompiler, "__init__", counted)
    shaped.served_builds(TOTALS.side)
    compiled.clear()
    again = SqliteStore(Databases(v1=shaped.databases.v1, v2=shaped.databases.v2))

    assert list(again.served_builds(TOTALS.side)) == ["totals"]
    assert compiled == []


def test_a_log_that_grew_behind_a_reader_is_cut_back_once_that_has_gone(tmp_path: Path) -> None:
    databases, rows = Databases(tmp_path / "v1.db", tmp_path / "v2.db"), [(bytes(4_000),)] * 6_000
    log = tmp_path / "v2.db-wal"
    with databases.open(Side.V2, create=True) as engine:
        with writing(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE views_v2.t (b BLOB)")
        with closing(sqlite3.connect(tmp_path / "v2.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM t").fetchall()
            for _ in range(2):
                with writing(engine) as connection:
                    connection.exec_driver_sql("INSERT INTO views_v2.t VALUES (?)", rows)
            assert log.stat().st_size > 45_000_000
        for _ in range(3):
            with writing(engine) as connection:
                connection.exec_driver_sql("INSERT INTO views_v2.t VALUES (?)", rows[:1])
        assert log.stat().st_size <= 4096 * 4096
