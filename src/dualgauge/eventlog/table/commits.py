"""
What a log's commits say: read from Delta's own JSON files, one a version.

Every commit of ours has metadata under one key, `dualgauge`: JSON {first, last, rows, chain, cursors}, so the last one
alone says where everything stands. A commit that appends nothing (a cursor, a column, a compaction) has `rows` 0 and
`first` behind `last`. A compaction says under `compaction` which files it made, in whose places; `step` counts the
links that compactions have added to the chain since the last append.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from dualgauge.eventlog.table.chain import GENESIS
from dualgauge.eventlog.table.storage import COMMITS
from dualgauge.model import START, Position, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.eventlog.table.storage import Place

KEY = "dualgauge"
"""Name of the metadata key and of the Delta application transaction."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint\..*parquet")
_LARGEST: Final = 1 << 63


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

    `head` is None where dualgauge did not write it. `at` is when it took files out, in milliseconds since 1970 (0: it
    took none). `operation` is Delta's word for what was done.
    """

    version: int
    head: Head | None
    at: int = 0
    operation: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    made: tuple[Made, ...] = ()

    @property
    def appends(self) -> bool:
        """Whether it put new events in."""
        return self.head is not None and bool(self.added) and not self.made


def nothing_new(head: Head) -> Head:
    """The head after a commit that appends nothing."""
    return replace(head, first=Position(head.last + 1), rows=0)


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
        text = file.read()
    try:
        return _read(version, [json.loads(line) for line in text.decode().split("\n") if line.strip()])
    except (LookupError, TypeError, AttributeError) as fault:
        message = f"{type(fault).__name__}: {fault}"
        raise ValueError(message) from fault


def _read(version: int, actions: list[dict[str, Any]]) -> Commit:
    if not actions or not all(isinstance(one, dict) for one in actions):
        raise ValueError("it is empty" if not actions else "it does not hold Delta's actions")
    info: dict[str, Any] = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
    said = json.loads(info[KEY]) if KEY in info else None
    removed = [one["remove"] for one in actions if "remove" in one]
    return Commit(
        version=version,
        head=None if said is None else _head(said),
        at=max((int(one.get("deletionTimestamp", 0)) for one in removed), default=0),
        operation=str(info.get("operation", "")),
        added=tuple(str(one["add"]["path"]) for one in actions if "add" in one),
        removed=tuple(str(one["path"]) for one in removed),
        made=tuple(_made(one) for one in (said or {}).get("compaction", ())),
    )


def _head(said: Mapping[str, Any]) -> Head:
    return Head(
        last=_position(said["last"]), first=_position(said["first"]), rows=_position(said["rows"]),
        chain=_hex(said["chain"]), cursors=dict(said["cursors"]), step=_position(said.get("step", 0)),
    )  # fmt: skip


def _made(said: Mapping[str, Any]) -> Made:
    replaced = tuple(
        Replaced(str(name), _position(first), _position(last), _hex(digest))
        for name, first, last, digest in said["replaces"]
    )
    return Made(_position(said["first"]), _position(said["last"]), _hex(said["digest"]), replaced)


def _position(value: object) -> Position:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
        message = f"{value!r} is no position or count"
        raise ValueError(message)
    return Position(value)


def _hex(value: object) -> str:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        message = f"{value!r} is no digest"
        raise ValueError(message)
    return value


def replaced_since(place: Place, version: int, name: str) -> bool:
    """Whether a commit behind a version took a file out: who opened the log before may find it removed."""
    for number in count(version + 1):
        try:
            if name in read_commit(place, number).removed:
                return True
        except (FileNotFoundError, ValueError):
            break
    return False


def ours(place: Place, version: int) -> bool:
    """Whether dualgauge wrote a commit up to a version."""
    return any(_said(place, number) for number in range(version, -1, -1))


def damage(place: Place, said: str) -> str | None:
    """
    Why the Delta library, which said something, cannot open a log: what is wrong with its commits.

    Those behind the last checkpoint count, and the checkpoint itself. None where nothing there is dualgauge's, or where
    nothing is wrong with its commits.
    """
    names = place.names(COMMITS)
    there = {int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.json", name)}
    if not there:
        lost = any(name.startswith("events-") and name.endswith(".parquet") for name in place.names())
        return f"all of its commits are gone (the folder {COMMITS})" if lost else None
    start = max((int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name))), default=-1)
    read: dict[int, Commit | str] = {}
    for version in sorted(one for one in there if one >= start):
        try:
            read[version] = read_commit(place, version)
        except ValueError as fault:
            read[version] = str(fault)
    if not any(isinstance(one, Commit) and one.head for one in read.values()):
        return None
    for version in range(start + 1, max(there)):
        if version not in there:
            return removed(place, version, max(there))
    bad = [(version, one) for version, one in read.items() if isinstance(one, str) and version > start]
    if bad:
        return f"the commit of version {bad[0][0]} cannot be read ({bad[0][1]})"
    if start < 0 and not any(name == "_last_checkpoint" for name in names):
        return None
    whole = " (every commit is there, so it opens again without them)" if len(there) == max(there) + 1 else ""
    return f"{COMMITS}/_last_checkpoint or a checkpoint beside it cannot be read{whole}: {said}"


def removed(place: Place, version: int, newest: int, last: Position | None = None) -> str:
    """
    What is lost with a commit that is not there, and those missing right beside it.

    Args:
        place: where the log is.
        version: the commit's.
        newest: the newest version of which anything is known.
        last: the log's last position at that version, where its commit cannot say it.
    """
    while version and not _there(place, version - 1):
        version -= 1
    behind = next((one for one in range(version + 1, newest + 1) if _there(place, one)), newest + 1)
    before = next((one for at in range(version - 1, -1, -1) if (one := _said(place, at))), None)
    after = next((one for at in range(behind, newest + 1) if (one := _said(place, at))), None)
    first = 1 + (before.head.last if before and before.head else 0)
    if after and after.head:
        last = Position(after.head.first - 1)
    several = behind - version > 1
    which = f"commits of versions {version} to {behind - 1} are" if several else f"commit of version {version} is"
    held = f"positions {first:,} to {last:,}" if last is not None and last >= first else "no events"
    return f"the {which} gone, which held {held}"


def _there(place: Place, version: int) -> bool:
    try:
        with place.opened(file_of(version)):
            return True
    except FileNotFoundError:
        return False


def _said(place: Place, version: int) -> Commit | None:
    """A commit of dualgauge; None where it is none or cannot be read."""
    try:
        commit = read_commit(place, version)
    except (FileNotFoundError, ValueError):
        return None
    return commit if commit.head else None
