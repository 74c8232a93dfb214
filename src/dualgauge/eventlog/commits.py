"""
What a log's commits say: read from Delta's own JSON files, one a version.

Every commit of ours has metadata under one key, `dualgauge`: JSON {first, last, rows, chain, cursors}, so the last one
alone says where everything stands. A commit that appends nothing (a cursor, a column, a compaction) has `rows` 0 and
`first` behind `last`. A compaction says under `compaction` which files it made, in whose places; `step` counts the
links that compactions have added to the chain since the last append.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dualgauge.eventlog.chain import GENESIS
from dualgauge.eventlog.place import COMMITS
from dualgauge.model import START, Position, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.eventlog.place import Place

KEY = "dualgauge"
"""Name of the metadata key and of the Delta application transaction."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A file that a compaction took out of the log: its name, positions and digest."""

    name: str
    first: Position
    last: Position
    digest: str


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a compaction put in: positions `first` to `last`, its digest, and what it stands in the place of."""

    first: Position
    last: Position
    digest: str
    replaces: tuple[Replaced, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands: what a commit's metadata says. Position 0 is an empty log."""

    last: Position = START
    first: Position = START
    rows: int = 0
    chain: str = GENESIS
    cursors: Mapping[str, Any] = field(default_factory=dict)
    step: int = 0

    def metadata(self, made: Sequence[Made] = ()) -> dict[str, str]:
        """The commit metadata that says this; `made` by a compaction."""
        said: dict[str, Any] = {
            "first": self.first, "last": self.last, "rows": self.rows, "chain": self.chain, "cursors": self.cursors,
        }  # fmt: skip
        if self.step:
            said["step"] = self.step
        if made:
            said["compaction"] = [
                {
                    "first": one.first, "last": one.last, "digest": one.digest,
                    "replaces": [[old.name, old.first, old.last, old.digest] for old in one.replaces],
                }
                for one in made
            ]  # fmt: skip
        return {KEY: canonical_json(said)}


@dataclass(frozen=True, slots=True)
class Commit:
    """
    One version of the table: what it says, and the event files it put in and took out.

    `head` is None where dualgauge did not write it. `at` is its time, in milliseconds since 1970.
    """

    version: int
    head: Head | None
    at: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    made: tuple[Made, ...] = ()

    @property
    def appends(self) -> bool:
        """Whether it put new events in."""
        return self.head is not None and bool(self.added) and not self.made


def file_of(version: int) -> str:
    """The name of a version's commit in the log's place."""
    return f"{COMMITS}/{version:020d}.json"


def read_commit(place: Place, version: int) -> Commit:
    """
    The commit of a version.

    Raises:
        FileNotFoundError: it is not there (any more).
        ValueError: it cannot be read as a commit.
    """
    with place.opened(file_of(version)) as file:
        lines = file.read().decode().splitlines()
    actions = [json.loads(line) for line in lines if line.strip()]
    info: dict[str, Any] = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
    said = json.loads(info[KEY]) if KEY in info else None
    return Commit(
        version=version,
        head=None if said is None else _head(said),
        at=int(info.get("timestamp", 0)),
        added=tuple(one["add"]["path"] for one in actions if "add" in one),
        removed=tuple(one["remove"]["path"] for one in actions if "remove" in one),
        made=tuple(_made(one) for one in (said or {}).get("compaction", ())),
    )


def _head(said: Mapping[str, Any]) -> Head:
    return Head(
        last=Position(said["last"]), first=Position(said["first"]), rows=said["rows"], chain=said["chain"],
        cursors=said["cursors"], step=said.get("step", 0),
    )  # fmt: skip


def _made(said: Mapping[str, Any]) -> Made:
    replaced = tuple(
        Replaced(str(name), Position(first), Position(last), str(digest))
        for name, first, last, digest in said["replaces"]
    )
    return Made(Position(said["first"]), Position(said["last"]), said["digest"], replaced)
