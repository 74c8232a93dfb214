"""Shapes are owned by ordinary Alembic revisions: written by a replay or by hand, run again after a crash."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from alembic import config as alembic_config

from contract import shop
from dualgauge.model import Side
from dualgauge.stores.errors import MissingShape, NoMigrations, RevisionFailed
from support.inside import store_of

if TYPE_CHECKING:
    from pathlib import Path

COUNTED = "-- key: customer\nSELECT customer, count(*) AS orders FROM events GROUP BY customer\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shop.project(tmp_path / "shop", rows=40)


@dataclass
class Ran:
    returncode: int
    stdout: str
    stderr: str


def alembic(folder: Path, *arguments: str) -> Ran:
    """What `alembic ...` does in the project's folder, without the time that a process takes to start."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            alembic_config.main(argv=list(arguments), prog="alembic")
        except SystemExit as done:
            code = 1 if done.code else 0
    return Ran(code, out.getvalue(), err.getvalue())


def shapes(folder: Path, side: str = "v1") -> dict[str, str]:
    """Statements of the shapes and their indexes in a side's file."""
    file = folder / ".dualgauge" / f"views_{side}.db"
    with sqlite3.connect(file) as alone:
        found = alone.execute(
            "SELECT name, sql FROM sqlite_master WHERE name LIKE '%\\_\\_shape%' ESCAPE '\\' AND sql > ''"
        )
        read = {name: " ".join(sql.split()) for name, sql in found}
    alone.close()
    return read


def test_a_replay_writes_and_applies_the_missing_revision_and_says_so(folder: Path) -> None:
    done = shop.imported(folder).replay()
    assert done.written is not None
    assert (done.written.id, done.written.message) == ("0001", "shapes of totals")
    assert [one.id for one in done.applied] == ["0001"]
    assert done.written.file == folder / "migrations" / "versions" / "0001_shapes_of_totals.py"
    assert done.written.file.is_file()
    again = shop.opened(folder).replay()
    assert (again.written, again.applied) == (None, ())


def test_a_manual_project_is_refused_until_its_revision_is_written_and_applied(tmp_path: Path) -> None:
    folder = shop.project(tmp_path / "shop", rows=40, migrate="manual")
    migration = shop.imported(folder)
    with pytest.raises(MissingShape) as caught:
        migration.replay()
    assert caught.value.exit_code == 5
    assert "CreateTable views_v1.totals__shape" in str(caught.value)
    assert [step.command for step in caught.value.next_steps] == [
        "dualgauge migrate revision",
        "dualgauge migrate upgrade",
    ]
    assert migration.views.revise("first") is not None
    with pytest.raises(MissingShape):
        migration.replay()
    assert [one.id for one in migration.views.upgrade().applied] == ["0001"]
    assert migration.replay().views[0].rows == 32
    assert migration.views.revise("nothing to do") is None


CHANGES = {
    "a column more": COUNTED.replace("count(*) AS orders", "count(*) AS orders, max(position) AS newest"),
    "a column less": COUNTED.replace(", count(*) AS orders", ""),
    "another type and name": COUNTED.replace("count(*) AS orders", 'CAST(count(*) AS VARCHAR) AS "How many?"'),
    "another key": COUNTED.replace("-- key: customer", "-- key: orders, customer"),
    "an index more": COUNTED.replace("\nSELECT", "\n-- index: orders, customer\nSELECT"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_view_gets_a_second_revision_and_readers_keep_the_old_build_until_the_replay(
    tmp_path: Path, change: str
) -> None:
    folder = shop.project(tmp_path / "shop", rows=40, v1=COUNTED)
    migration = shop.imported(folder)
    migration.replay()
    before = shapes(folder)
    key = ["c0919"]
    old = store_of(migration).point(Side.V1, "totals", key)
    assert old == {"customer": key[0], "orders": 1}

    shop.view(folder, "v1", "totals", CHANGES[change])
    migration = shop.opened(folder)
    assert migration.views.revise("changed") is not None
    assert [one.id for one in migration.views.upgrade().applied] == ["0002"]
    assert store_of(migration).point(Side.V1, "totals", key) == old
    assert shapes(folder) != before
    [one] = migration.replay().views
    assert (one.rows, one.skipped) == (40, False)
    assert migration.replay().written is None

    # And back: the shape is as it was, statement for statement, and so it is under --sql.
    printed = alembic(folder, "upgrade", "head", "--sql")
    assert printed.returncode == 0, printed.stderr
    assert "Running upgrade 0001 -> 0002" in printed.stdout
    down = alembic(folder, "downgrade", "0001")
    assert down.returncode == 0, down.stderr
    assert {name: sql.replace("BIGINT", "INTEGER").split(" CONSTRAINT")[0] for name, sql in shapes(folder).items()} == {
        name: sql.replace("BIGINT", "INTEGER").split(" CONSTRAINT")[0] for name, sql in before.items()
    }
    assert alembic(folder, "upgrade", "head").returncode == 0
    assert alembic(folder, "check").returncode == 0


def test_a_view_that_is_gone_gives_a_revision_that_drops_its_shape_alone(folder: Path) -> None:
    shop.view(folder, "v1", "more", COUNTED)
    migration = shop.imported(folder)
    migration.replay()
    (folder / "views_v1" / "more.sql").unlink()
    done = shop.opened(folder).replay()
    assert done.written is not None
    assert done.written.message == "shapes of more"
    assert list(shapes(folder)) == ["totals__shape", "ix_totals__shape__total"]
    assert store_of(migration).point(Side.V1, "more", ["c0040"]) is None


def test_a_failing_revision_leaves_nothing_behind_and_is_told_with_its_folder(folder: Path) -> None:
    migration = shop.imported(folder)
    migration.replay()
    before = shapes(folder)
    shop.view(folder, "v2", "totals", COUNTED)
    migration = shop.opened(folder)
    written = migration.views.revise("both")
    assert written is not None
    text = written.file.read_text()
    broken = text.replace(
        "    # ### end Alembic",
        "    op.execute('CREATE TABLE views_v1.half (x)')\n    op.execute('NONSENSE')\n    # ### end Alembic",
        1,
    )
    written.file.write_text(broken)
    with pytest.raises(RevisionFailed) as caught:
        migration.views.upgrade()
    assert f'the revisions in {folder}/migrations/versions cannot be applied: near "NONSENSE": syntax error' in str(
        caught.value
    )
    assert "nothing of them was kept" in str(caught.value)
    assert shapes(folder) == before
    assert shapes(folder, "v2") == {}
    with sqlite3.connect(folder / ".dualgauge" / "views_v1.db") as alone:
        assert alone.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)
    alone.close()
    written.file.write_text(text)
    assert [one.id for one in migration.views.upgrade().applied] == ["0002"]


def test_a_revision_that_the_folder_lacks_is_told_and_not_guessed(folder: Path) -> None:
    done = shop.imported(folder).replay()
    assert done.written is not None
    done.written.file.unlink()
    with pytest.raises(RevisionFailed, match="No such revision or branch '0001'"):
        shop.opened(folder).replay()


def test_a_project_without_its_environment_is_told(folder: Path) -> None:
    migration = shop.imported(folder)
    shutil.rmtree(folder / "migrations")
    with pytest.raises(NoMigrations, match=r"has no env\.py"):
        migration.replay()


@pytest.mark.parametrize("change", ["a column more", "another key", "an index more"])
def test_a_revision_runs_again_after_a_crash_between_the_two_files(tmp_path: Path, change: str) -> None:
    """The version table is in v1's file, which is committed last: v2's may be ahead of it, never behind."""
    folder = shop.project(tmp_path / "shop", rows=40, v1=COUNTED, v2=COUNTED)
    migration = shop.imported(folder)
    migration.replay()
    data = folder / ".dualgauge"
    for side in ("v1", "v2"):
        shop.view(folder, side, "totals", CHANGES[change])
    migration = shop.opened(folder)
    assert migration.views.revise("changed") is not None
    shutil.copy(data / "views_v1.db", data / "before.db")
    migration.views.upgrade()
    wanted = shapes(folder, "v1"), shapes(folder, "v2")
    shutil.copy(data / "before.db", data / "views_v1.db")
    assert [one.id for one in migration.views.upgrade().applied] == ["0002"]
    assert (shapes(folder, "v1"), shapes(folder, "v2")) == wanted
    assert migration.replay().written is None


def test_the_file_with_the_version_table_is_committed_last(folder: Path) -> None:
    migration = shop.imported(folder)
    with store_of(migration).databases.open(create=True) as engine, engine.connect() as connection:
        names = [row[1] for row in connection.exec_driver_sql("PRAGMA database_list")]
    # SQLite commits in this order.
    assert names == ["main", "views_v2", "views_v1"]


def test_plain_alembic_works_in_the_project_and_sees_only_shapes_whatever_builds_exist(folder: Path) -> None:
    shop.view(folder, "v2", "totals", shop.TOTALS)
    migration = shop.imported(folder)
    migration.replay()
    migration.replay(force=True)
    check = subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path[1:])},
    )  # fmt: skip
    assert (check.returncode, check.stdout.strip()) == (0, "No new upgrade operations detected."), check.stderr
    printed = alembic(folder, "upgrade", "head", "--sql").stdout
    assert "CREATE TABLE IF NOT EXISTS views_v1.totals__shape" in printed
    assert "CREATE INDEX IF NOT EXISTS views_v2.ix_totals__shape__total ON totals__shape (total)" in printed
    assert "__b1" not in printed

    assert alembic(folder, "downgrade", "base").returncode == 0
    assert shapes(folder) == shapes(folder, "v2") == {}
    # Builds are not the revisions' matter: readers go on.
    for side in Side:
        assert store_of(migration).point(side, "totals", ["c0919"]) is not None
    ahead = alembic(folder, "check")
    assert ahead.returncode != 0
    assert "Target database is not up to date" in ahead.stderr + ahead.stdout
    assert alembic(folder, "upgrade", "head").returncode == 0
    assert alembic(folder, "check").returncode == 0

    # A key that changes is seen too, which Alembic by itself does not compare.
    shop.view(folder, "v2", "totals", shop.TOTALS.replace("-- key: customer", "-- key: customer, orders"))
    assert alembic(folder, "check").returncode != 0
    own = alembic(folder, "revision", "--autogenerate", "-m", "by hand")
    assert own.returncode == 0, own.stderr
    assert alembic(folder, "upgrade", "head").returncode == 0
    assert migration.replay().written is None


def test_revisions_are_numbered_past_those_that_were_written_by_hand(folder: Path) -> None:
    migration = shop.imported(folder)
    first = migration.views.revise("first")
    assert first is not None
    migration.views.upgrade()
    second = first.file.with_name("0003_by_hand.py")
    second.write_text(
        f"revision = '0003'\ndown_revision = '{first.id}'\ndef upgrade():\n    pass\ndef downgrade():\n    pass\n"
    )
    shop.view(folder, "v2", "totals", COUNTED)
    third = shop.opened(folder).views.revise("third")
    assert third is not None
    assert third.id == "0004"
