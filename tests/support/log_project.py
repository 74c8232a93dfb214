"""A project in a folder of its own whose event log is imported, read back, and checked file by file."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

import dualgauge
from dualgauge.eventlog.table.open import open_log
from dualgauge.ledger.ledger import Ledger
from support.forked import Process, python

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dualgauge.eventlog.imports.run import Imported
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.values import LogCommit
    from dualgauge.migration import Migration

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class LogProject:
    """Sources and columns as they stand in pyproject.toml; change them, and the next call sees it."""

    root: Path
    columns: dict[str, str] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        """Write one of the project's files."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def source(self, name: str, **settings: Any) -> None:
        """Add a source; one with an id in `id`, a type of its own name, and a time in `seen`, unless told otherwise."""
        if "query" not in settings:
            settings = {"event_id": "id", "type": f"'{name}'", "occurred_at": "seen", **settings}
        self.sources.append({"name": name, **{key: value for key, value in settings.items() if value is not None}})

    def open(self) -> Migration:
        """Open the project as it is now."""
        lines = ["[tool.dualgauge]", 'migration = "m"', "[tool.dualgauge.log.columns]"]
        lines += [f"{name} = {_toml(kind)}" for name, kind in self.columns.items()]
        for source in self.sources:
            lines += ["[[tool.dualgauge.sources]]", *(f"{key} = {_toml(value)}" for key, value in source.items())]
        self.write("pyproject.toml", "\n".join(lines) + "\n")
        return dualgauge.open(self.root, clock=lambda: NOW)

    def take(self, source: str | None = None, **given: Any) -> Imported:
        """Import."""
        return self.open().import_(source, **given)

    @property
    def folder(self) -> Path:
        """The log's folder."""
        return self.root / ".dualgauge" / "log"

    def log(self) -> EventLog:
        """The log as it stands, without a ledger."""
        return open_log(self.folder, self.open().settings.log)

    def ledger(self) -> Ledger:
        """The project's ledger; the caller closes it."""
        return Ledger.open(self.open().ledger_url)

    def mirror(self) -> tuple[LogCommit, ...]:
        """What the ledger keeps of the log's commits."""
        with self.ledger() as ledger:
            return ledger.log_commits()

    def events(self, *names: str) -> list[Any]:
        """All events in order: whole, without `recorded_at`; or one column's values, or tuples of several."""
        rows = self.open().log.show(1, limit=10_000_000).events
        if not names:
            return [{name: value for name, value in row.items() if name != "recorded_at"} for row in rows]
        return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in rows]

    def commits(self) -> list[dict[str, Any]]:
        """
        What each commit of the Delta log says under the key `dualgauge`, oldest first, with the files it adds.

        A compaction also has the files that it takes out.
        """
        found = []
        for file in sorted((self.folder / "_delta_log").glob("*.json")):
            actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            said = next(one["commitInfo"] for one in actions if "commitInfo" in one).get("dualgauge")
            if said is not None:
                files = [one["add"]["path"] for one in actions if "add" in one]
                removed = [one["remove"]["path"] for one in actions if "remove" in one]
                found.append(json.loads(said) | {"files": files} | ({"removed": removed} if removed else {}))
        return found

    def verify(self) -> int:
        """
        Check the whole log by hand: chain, digests, positions in every file's own order, unique ids.

        Compactions must replace what was there, position by position. Gives the last position.
        """
        links, active, last = self._links()
        following, ids = 1, []
        for name, (first, upto) in sorted(active.items(), key=lambda one: one[1]):
            rows = pq.read_table(self.folder / name, columns=["position", "event_id"])
            assert first == following
            assert rows["position"].to_pylist() == list(range(first, upto + 1))
            following = upto + 1
            ids += rows["event_id"].to_pylist()
        assert following == last + 1
        assert len(set(ids)) == len(ids)
        head = self.log().head()
        assert (head.last, head.chain) == (last, links[-1][-1] if links else "0" * 64)
        assert {file.name for file in self.log().files()} == set(active)
        return last

    def mirrored(self) -> bool:
        """Whether the ledger has every link of the log's chain, and no other."""
        kept = [(row.first, row.last, row.digest, row.place, row.chain) for row in self.mirror()]
        return kept == self._links()[0]

    def _links(self) -> tuple[list[tuple[Any, ...]], dict[str, tuple[int, int]], int]:
        """The chain's links as the commits and files make them, the files that count with their positions, the last."""
        commits = self.commits()
        replaced = {
            name: digest
            for one in commits
            for made in one.get("compaction", ())
            for name, _, _, digest in made["replaces"]
        }
        links: list[tuple[Any, ...]] = []
        active: dict[str, tuple[int, int]] = {}
        chain, last, step = "0" * 64, 0, 0

        def digest_of(name: str) -> str:
            there = (self.folder / name).exists()
            found = hashlib.sha256((self.folder / name).read_bytes()).hexdigest() if there else replaced[name]
            assert replaced.get(name, found) == found
            return found

        for said in commits:
            (name,) = said["files"] or [""]
            first, upto = said["first"], said["last"]
            if name and "compaction" in said:
                (made,) = said["compaction"]
                first, upto = made["first"], made["last"]
                gone = {old: active.pop(old) for old, *_ in made["replaces"]}
                assert gone == {old: (low, high) for old, low, high, _ in made["replaces"]}
                assert sorted(gone) == sorted(said["removed"])
                ends = sorted(gone.values())
                assert [low for low, _ in ends] == [first, *(high + 1 for _, high in ends[:-1])]
                assert ends[-1][1] == upto
                assert digest_of(name) == made["digest"]
                step += 1
            elif name:
                assert first == last + 1
                assert said["rows"] == upto - first + 1
                last, step = upto, 0
            assert (said["last"], said.get("step", 0)) == (last, step)
            if name:
                digest, active[name] = digest_of(name), (first, upto)
                ends_of = first.to_bytes(8, "big") + upto.to_bytes(8, "big")
                chain = hashlib.sha256(bytes.fromhex(chain) + ends_of + bytes.fromhex(digest)).hexdigest()
                links.append((first, upto, digest, (last, step), chain))
            assert said["chain"] == chain
        return links, active, last

    def unnamed(self) -> list[str]:
        """Files of the log's folder that no commit names, staged ones too; locks, ids and notes stay, and are none."""
        named = {name for one in self.commits() for name in one["files"]}
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        files = [file for file in files if not {"_delta_log", "_turn", "_ids", "_seen.json"} & set(file.parts)]
        return sorted(file.name for file in files if file.name not in named)


def run_child(script: str, *arguments: object) -> Process:
    """Start Python on a script's text, with this process's search path."""
    path = ":".join(one for one in sys.path if one)
    return python(["-c", script, *map(str, arguments)], environment={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"})


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(_toml(one) for one in value) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def csv(header: str, *rows: str) -> str:
    """A CSV file's text."""
    return "\n".join((header, *rows)) + "\n"


def parquet(project: LogProject, name: str, **columns: Any) -> None:
    """Write a Parquet file into `d`; what is not given are ids of the file's own, and a time for each row."""
    rows = len(next(iter(columns.values())))
    times = pa.array([1_767_225_600_000_000 + at for at in range(rows)], pa.timestamp("us", "UTC"))
    ids = columns.pop("id", [f"{name}-{at}" for at in range(rows)])
    pq.write_table(pa.table({"id": ids, "seen": columns.pop("seen", times), **columns}), project.root / "d" / name)


def jsonl(*rows: Mapping[str, object]) -> str:
    """A JSONL file's text."""
    return "".join(json.dumps(row) + "\n" for row in rows)
