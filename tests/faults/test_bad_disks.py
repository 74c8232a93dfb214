"""Full disks and places that take no writes: what was there is there afterwards, and the message says what to do."""

from __future__ import annotations

import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from support.harm import Disk, digest, small_disk, unwritable
from support.shop import Said, build, call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 5_000
LEDGER = (
    "what was under way wrote nothing: see that you may write the file, those beside it (-wal, -shm) and its folder, "
    "and that the disk has room, then run this again"
)
STORE = (
    "what was under way wrote nothing: see that you may write the file and its folder (a read needs that too) "
    "and that the disk has room, or set [tool.dualgauge.store] url to another place"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "shop")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


@pytest.fixture
def shop(built: Path, disk: Disk) -> Path:
    """A built project on the small disk, with many more rows to import."""
    shutil.copytree(built, disk.folder / "shop")
    with (disk.folder / "shop" / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{100 + i},2026-02-01T00:00:00Z,{i:040d},placed,{i}\n" for i in range(ROWS))
    return disk.folder / "shop"


def told(said: Said) -> str:
    """The sentence of a command that could not do it: one line, no traceback, no shrug."""
    sentence, *_ = said.err.splitlines()
    assert (said.exit_code, said.out) == (1, "")
    assert "Traceback" not in said.err
    assert not sentence.startswith("error: unexpected")
    return sentence.removeprefix("error: ")


def answers(shop: Path) -> str:
    """What readers are told."""
    return call("read", "customers", "ada", folder=shop).out


@pytest.mark.parametrize("leave", [0, 40_000])
def test_an_import_that_finds_the_disk_full_adds_nothing(leave: int, shop: Path, disk: Disk) -> None:
    before = digest(shop)
    said = disk.call("log", "import", folder=shop, first=disk.fill(leave))
    disk.free()

    assert "disk" in told(said)
    assert digest(shop) == before
    assert call("log", "import", folder=shop).out.startswith(f"added {ROWS:,} events at positions 6 to {ROWS + 5:,} ")


@pytest.mark.parametrize("leave", [60_000, 200_000])
def test_a_disk_that_is_full_while_rows_are_sorted_is_not_told_as_a_bad_row(leave: int, shop: Path, disk: Disk) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.writelines(
            f"{100_000 + i},2026-02-01T00:00:00Z,{sha256(str(i).encode()).hexdigest()},placed,{i}\n"
            for i in range(9_000)
        )
    before = digest(shop)
    said = disk.call("log", "import", folder=shop, first=disk.fill(leave))
    disk.free()

    assert told(said).startswith("DuckDB: IO Error: Could not write file ")
    assert told(said).endswith("; see that you may write there and that the disk has room, then run the command again")
    assert digest(shop) == before


@pytest.mark.parametrize("leave", [0, 150_000])
def test_a_replay_that_finds_the_disk_full_leaves_readers_what_they_have(leave: int, shop: Path, disk: Disk) -> None:
    call("log", "import", folder=shop)
    before = answers(shop)
    said = disk.call("replay", folder=shop, first=disk.fill(leave))
    disk.free()

    assert told(said).endswith((STORE, LEDGER))
    assert answers(shop) == before
    assert call("replay", folder=shop).exit_code == 0
    assert call("diff", "customers", folder=shop).out.startswith(f"customers: PASS at position {ROWS + 5:,}\n")


def test_a_diff_that_finds_the_disk_full_leaves_no_evidence(shop: Path, disk: Disk) -> None:
    said = disk.call("diff", "unlike", folder=shop, first=disk.fill())
    disk.free()

    assert told(said).endswith(LEDGER)
    assert [file for file in (shop / "reports").glob("*/*") if file.name == "diff.json"] == []
    assert call("diff", "unlike", folder=shop).exit_code == 4


def test_a_move_that_finds_the_disk_full_is_not_made(shop: Path, disk: Disk) -> None:
    before = call("status", "--format", "json", folder=shop).json
    said = disk.call("replay", "--force", folder=shop, first=disk.fill())
    moved = disk.call("rollback", "--reason", "r" * 1_000, folder=shop, first=disk.fill())
    disk.free()

    assert told(said)
    assert told(moved).startswith(f"the ledger sqlite:///{shop / '.dualgauge' / 'ledger.db'} cannot be used: ")
    assert told(moved).endswith(LEDGER)
    assert call("status", "--format", "json", folder=shop).json == before
    assert call("journal", "--verify", folder=shop).exit_code == 0


@pytest.mark.parametrize("command", ["log import", "replay --force", "diff customers", "rollback --reason because"])
def test_a_folder_that_takes_no_writes_is_told_and_left_as_it_was(command: str, shop: Path, disk: Disk) -> None:
    before = digest(shop)
    with unwritable(shop) as first:
        said = disk.call(*command.split(), folder=shop, first=first)

    assert any(word in told(said) for word in ("unable to open", "readonly", "read-only", "Read-only", "Permission"))
    assert digest(shop) == before
