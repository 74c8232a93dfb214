"""What the tool keeps, damaged: refused in one paragraph that says what, where and what to do, and left alone."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from support.harm import digest, refused
from support.shop import build, call

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "shop")


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.mark.parametrize("command", ["status", "replay", "diff", "read customers ada"])
def test_a_store_file_that_is_no_database_is_left_alone(command: str, shop: Path) -> None:
    file = shop / ".dualgauge" / "views_v1.db"
    file.write_text("this is no database, and somebody may want it back\n" * 100, encoding="utf-8")

    assert refused(*command.split(), folder=shop) == (
        2,
        (
            f"{file} cannot be opened as a SQLite database: file is not a database; set [tool.dualgauge.store] url to "
            "another file, or move this one away and replay: everything in a store can be rebuilt from the log"
        ),
    )


@pytest.mark.parametrize(
    "command", ["status", "replay", "diff", "switch --percent 1", "rollback", "journal", "log import"]
)
def test_a_ledger_file_that_is_no_database_is_left_alone(command: str, shop: Path) -> None:
    file = shop / ".dualgauge" / "ledger.db"
    file.write_text("this is no database, and somebody may want it back\n" * 100, encoding="utf-8")

    assert refused(*command.split(), folder=shop) == (
        2,
        (
            f"sqlite:///{file} is not a dualgauge ledger: file is not a database; nothing was changed: give another "
            "`url` under [tool.dualgauge.ledger], or move that database away"
        ),
    )


@pytest.mark.parametrize(
    "command", ["status", "replay", "diff", "switch --percent 1", "rollback", "journal", "log import"]
)
def test_a_newer_ledger_is_left_alone(command: str, shop: Path) -> None:
    from dualgauge.ledger.tables import REVISIONS

    file = shop / ".dualgauge" / "ledger.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE dualgauge_version SET version_num = '9999'")
        connection.commit()

    assert refused(*command.split(), folder=shop) == (
        2,
        (
            f"the ledger sqlite:///{file} is at revision 9999, and this dualgauge knows revisions up to "
            f"{REVISIONS[-1]}; nothing was touched: upgrade dualgauge"
        ),
    )


def test_a_log_whose_files_are_gone_or_damaged_is_told_as_such(shop: Path) -> None:
    log = shop / ".dualgauge" / "log"
    (file,) = log.glob("*.parquet")
    advice = "restore the log's folder from a backup, or move it and the store away and import the sources again"
    file.write_text("no Parquet any more " * 100, encoding="utf-8")
    code, told = refused("log", "show", folder=shop)
    assert code == 1
    assert told.startswith(f"the log at {log} is damaged: {file.name} cannot be read (Parquet magic bytes not found")
    assert told.endswith(advice)

    file.unlink()
    assert refused("replay", "--force", folder=shop) == (
        1,
        f"the log at {log} is damaged: {file.name} cannot be read (it is not there); {advice}",
    )


def test_a_file_in_the_place_of_the_log_is_told(shop: Path) -> None:
    log = shop / ".dualgauge" / "log"
    shutil.rmtree(log)
    log.write_text("", encoding="utf-8")

    assert refused("log", "show", folder=shop) == (
        2,
        (
            f"{log} is no event log of dualgauge: it is a file, and a log is a folder; set [tool.dualgauge.log] path "
            "to another folder"
        ),
    )


def test_a_file_in_the_place_of_the_reports_is_told(shop: Path) -> None:
    shutil.rmtree(shop / "reports", ignore_errors=True)
    (shop / "reports").write_text("", encoding="utf-8")
    before = digest(shop)
    said = call("diff", "customers", folder=shop)

    assert said.exit_code == 1
    assert (
        "Not a directory; put a folder where that path has a file, and run the command again: what was being "
        in said.err
    )
    assert digest(shop) == before


@pytest.mark.parametrize("limit", ["lots", "-1GB", ""])
def test_a_memory_limit_that_is_no_size_is_refused(limit: str, shop: Path) -> None:
    assert refused("replay", "--memory-limit", limit, folder=shop) == (
        2,
        f"--memory-limit {limit!r} is no size of memory; give a size such as 500MB or 4GB",
    )
