"""Edits a log by hand, as somebody could who may write its folder; what is left untouched is left to be found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

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
