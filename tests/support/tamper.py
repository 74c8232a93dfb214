"""Edits a log by hand, as somebody could who may write its folder; what is left untouched is left to be found."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from dualgauge import Event
from support.log_project import NOW, LogProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Tamper:
    """The log in a folder."""

    folder: Path

    @property
    def names(self) -> list[str]:
        """The event files that count, in the order of positions."""
        return sorted(uri.rpartition("/")[2] for uri in DeltaTable(str(self.folder)).file_uris())

    def commit(self, version: int) -> Path:
        """The file of a commit."""
        return self.folder / "_delta_log" / f"{version:020d}.json"

    @property
    def newest(self) -> int:
        """The newest version."""
        return max(int(file.stem) for file in (self.folder / "_delta_log").glob("*.json"))

    def flip(self, name: str, at: int) -> None:
        """Change one bit of a byte; `at` counts from the end where it is negative."""
        data = bytearray((self.folder / name).read_bytes())
        data[at] ^= 1
        (self.folder / name).write_bytes(data)

    def flip_in(self, name: str, column: int) -> None:
        """Change one bit of the values of a whole file's column, by its number."""
        chunk = pq.read_metadata(self.folder / name).row_group(0).column(column)
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        self.flip(name, start + chunk.total_compressed_size - 2)

    def actions(self, version: int, edit: Callable[[list[dict[str, Any]]], None]) -> None:
        """Edit a commit's actions."""
        file = self.commit(version)
        actions = [json.loads(line) for line in file.read_text().splitlines()]
        edit(actions)
        file.write_text("".join(json.dumps(one) + "\n" for one in actions))

    def said(self, version: int, **other: Any) -> None:
        """Let a commit's metadata say something else."""

        def edit(actions: list[dict[str, Any]]) -> None:
            info = next(one["commitInfo"] for one in actions if "commitInfo" in one)
            info["dualgauge"] = json.dumps(json.loads(info["dualgauge"]) | other)

        self.actions(version, edit)

    def statistics(self, version: int, bound: str, name: str, value: object) -> None:
        """Let a commit's statistics say something else of its file; a value of None takes it away."""

        def edit(actions: list[dict[str, Any]]) -> None:
            add = next(one["add"] for one in actions if "add" in one)
            stats = json.loads(add["stats"])
            stats[bound][name] = value
            add["stats"] = json.dumps(stats)

        self.actions(version, edit)

    def age(self, days: int) -> None:
        """Let every commit look so old."""
        old = time.time() - days * 86_400
        for file in (self.folder / "_delta_log").iterdir():
            os.utime(file, (old, old))

    def checkpoint(self) -> None:
        """Let the Delta library write a checkpoint of the newest version, as it does at every hundredth."""
        DeltaTable(str(self.folder)).create_checkpoint()

    def rewrite(self, name: str, edit: Callable[[list[dict[str, Any]]], None]) -> None:
        """Write an event file anew with other rows."""
        table = pq.read_table(self.folder / name)
        rows = table.to_pylist()
        edit(rows)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), self.folder / name, compression="zstd")

    def rechain(self) -> None:
        """Let every commit say the digests, chain and sizes of the files as they are now; the ledger is left alone."""
        chain = "0" * 64
        for file in sorted((self.folder / "_delta_log").glob("*.json")):
            actions = [json.loads(line) for line in file.read_text().splitlines()]
            info = next(one["commitInfo"] for one in actions if "commitInfo" in one)
            if "dualgauge" not in info:
                continue
            said = json.loads(info["dualgauge"])
            for add in (one["add"] for one in actions if "add" in one):
                add["size"] = (self.folder / add["path"]).stat().st_size
                bounds, digest = (said["first"], said["last"]), self.digest(add["path"])
                for made in said.get("compaction", ()):
                    bounds, made["digest"] = (made["first"], made["last"]), digest
                    for old in made["replaces"]:
                        old[3] = self.digest(old[0]) if (self.folder / old[0]).exists() else old[3]
                ends = b"".join(one.to_bytes(8, "big") for one in bounds)
                chain = hashlib.sha256(bytes.fromhex(chain) + ends + bytes.fromhex(digest)).hexdigest()
            info["dualgauge"] = json.dumps(said | {"chain": chain})
            file.write_text("".join(json.dumps(one) + "\n" for one in actions))

    def digest(self, name: str) -> str:
        """SHA-256 of a file."""
        return hashlib.sha256((self.folder / name).read_bytes()).hexdigest()


@dataclass(frozen=True)
class Log:
    """A project with a log, and hands that can change it."""

    project: LogProject
    tamper: Tamper

    def found(self, first: int = 1) -> list[tuple[str, int, int, str]]:
        """What `verify` finds: fault, positions, file."""
        return [
            (one.fault.value, one.first, one.last, one.file) for one in self.project.open().log.verify(first).problems
        ]

    def faults(self) -> list[tuple[str, int, int]]:
        """The same without files."""
        return [one[:3] for one in self.found()]

    def without_a_ledger(self) -> Log:
        """The log, whose ledger is lost."""
        (self.project.root / ".dualgauge" / "ledger.db").unlink()
        return self

    def ledger(self, statement: str) -> None:
        """Edit the ledger's copy by hand."""
        with closing(sqlite3.connect(self.project.root / ".dualgauge" / "ledger.db")) as ledger, ledger:
            assert ledger.execute(statement).rowcount

    def append(self, first: int, last: int) -> None:
        """Append the events `e<first>` to `e<last>`, of which `x` is the number, in one commit."""
        with self.project.open().appender() as appender:
            appender.append([Event(f"e{i}", "t", NOW, {"x": i}) for i in range(first, last + 1)])


def copied(folder: Path, to: Path) -> Log:
    """A copy of a project that a test may change."""
    if folder != to:
        shutil.copytree(folder, to, dirs_exist_ok=True)
    project = LogProject(to, columns={"x": "BIGINT"})
    project.open()
    return Log(project, Tamper(project.folder))


def five_files(folder: Path) -> Path:
    """A log of five commits with ten events each, versions 1 to 5."""
    log = copied(folder, folder)
    for first in range(1, 51, 10):
        log.append(first, first + 9)
    return folder


def two_merged(five: Path, folder: Path) -> Path:
    """The same, in three files by two compactions, versions 6 and 7, and ten events more."""
    log = copied(five, folder)
    log.project.open().log.compact(rows=20)
    log.append(51, 60)
    return folder
