"""
Where an event id stands in the log, without reading the log: an index beside it.

The index is made from the log and never trusted over it. It holds, for each event, 64 bits of its id's MD5 and its
position, in segments: files sorted by hash that are never changed, each for a run of positions. A hit is only where to
look: who asks compares the id with the event that is there. That an id is new rests on the index alone, so every block
that an answer rests on carries a checksum, and each segment names a commit of the log that must still say the same
chain; the name is part of its checksum, so that no file stands in for another. What does not hold is thrown away and
made anew from the log.

Newer segments are merged as they grow, so there are never more than a few. Several processes may use one folder: a file
appears whole under its name, and one that is gone is made again.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dualgauge.engines.duck import open_engine
from dualgauge.engines.parquet_files import parquet
from dualgauge.eventlog.table.commits import read_commit
from dualgauge.eventlog.table.lookup import ids_of
from dualgauge.eventlog.table.storage import unsynced
from dualgauge.model import START, Position

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dualgauge.eventlog.table.event_log import EventLog

FOLDER: Final = "_ids"
"""The index's folder in the log's own; Delta readers ignore names that start with an underscore."""

_MAGIC: Final = b"dgids-1\n"
_HEADER: Final = struct.Struct("<8sQQI")
"""Magic, entries, first position, and the checksum of all that, the file's name and the blocks' checksums."""

_NAME: Final = re.compile(r"([0-9]+)-([0-9]+)-([0-9]+)-([0-9a-f]{32})")
"""A segment's name: first and last position, and the version and the chain that it was made at."""

_BLOCK: Final = 512
"""Entries that have one checksum."""

_MOST: Final = 8_388_608
"""Entries of a segment that is not merged any further: it bounds the memory of a merge."""

_GROWTH: Final = 4
"""A segment is merged with the next newer one while it is not this many times as large."""

_BY_HAND: Final = 20_000
"""Events up to which their ids are hashed here; for more an engine is opened."""


class Worn(Exception):
    """A segment is not what was written."""


def hash_of(event_id: str) -> int:
    """64 bits of an id's MD5, as DuckDB's `md5_number_lower` gives them."""
    return int.from_bytes(hashlib.md5(event_id.encode(), usedforsecurity=False).digest()[8:], "little")


def hashes_of(ids: Sequence[str]) -> np.ndarray[Any, Any]:
    """The hashes of some ids, in their order."""
    return np.array([hash_of(one) for one in ids], dtype=np.uint64)


@dataclass
class Segment:
    """
    An open segment: the positions `first` to `last`, by the log as it stood at `version` with `chain`.

    `hashes` are sorted; `offsets` are positions behind `first`. `sound` marks the blocks whose checksum was compared.
    """

    path: Path
    first: Position
    last: Position
    version: int
    chain: str
    hashes: np.ndarray[Any, Any]
    offsets: np.ndarray[Any, Any]
    checksums: np.ndarray[Any, Any]
    sound: np.ndarray[Any, Any] = field(repr=False)

    def find(self, wanted: np.ndarray[Any, Any]) -> list[tuple[int, Position]]:
        """
        Which of some hashes are here: (index into `wanted`, position).

        Raises:
            Worn: what the answer rests on is not what was written.
        """
        left = np.searchsorted(self.hashes, wanted, side="left")
        right = np.searchsorted(self.hashes, wanted, side="right")
        count = len(self.hashes)
        # Each answer rests on its two neighbours: in sorted blocks that are sound, nothing else can hold the hash.
        before, behind = np.maximum(left - 1, 0), np.minimum(right, count - 1)
        for block in np.unique(np.concatenate([before, behind]) // _BLOCK):
            self._compare(int(block))
        beside = (left == 0) | (self.hashes[before] < wanted)
        if not bool(np.all(beside & ((right == count) | (self.hashes[behind] > wanted)))):
            raise Worn(self.path)
        found = []
        for index in np.nonzero(right > left)[0]:
            for block in range(left[index] // _BLOCK, (right[index] - 1) // _BLOCK + 1):
                self._compare(block)
            found += [(int(index), Position(self.first + int(one))) for one in self.offsets[left[index] : right[index]]]
        return found

    def whole(self) -> None:
        """Compare every block. Raises Worn."""
        for block in range(len(self.checksums)):
            self._compare(block)

    def _compare(self, block: int) -> None:
        if self.sound[block]:
            return
        where = slice(block * _BLOCK, (block + 1) * _BLOCK)
        if _checksum(self.hashes[where], self.offsets[where]) != self.checksums[block]:
            raise Worn(self.path)
        self.sound[block] = True


class IdIndex:
    """The index of one log. Not shared between threads."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._folder = log.place.work / FOLDER
        self._segments: list[Segment] = []
        self._loaded = False

    @property
    def upto(self) -> Position:
        """The last position that the index speaks of."""
        return self._segments[-1].last if self._segments else START

    def find(self, ids: Sequence[str]) -> dict[str, list[Position]]:
        """
        Where ids may stand: for each that may be in the log up to its head, the positions to look at.

        What the index lacks is first made from the log; where it is worn, all of it.
        """
        wanted = hashes_of(ids)
        for again in (True, False):
            try:
                self.bring_up()
                found: dict[str, list[Position]] = {}
                for segment in self._segments:
                    for index, position in segment.find(wanted):
                        found.setdefault(ids[index], []).append(position)
            except Worn:
                if not again:
                    raise
                self._discard()
            else:
                return found
        raise AssertionError

    def bring_up(self) -> None:
        """Have the index speak of the log up to its head."""
        head = self._log.head()
        if not self._loaded:
            self._load()
        if self.upto > head.last:
            # The log was put back, or is another one.
            self._discard()
        while self.upto < head.last:
            after, upto = self.upto, Position(min(head.last, self.upto + _MOST))
            self.add(after, _hashes(self._log, after, upto))

    def add(self, after: Position, hashes: np.ndarray[Any, Any]) -> None:
        """
        Take in the hashes of the events behind `after`, which the log has at its head.

        Raises:
            Worn: a segment that is to be merged is not what was written.
            OSError: the new segment cannot be written.
        """
        if after != self.upto:
            return
        offsets = np.arange(len(hashes), dtype=np.uint32)
        first = Position(after + 1)
        while self._segments:
            newest = self._segments[-1]
            size = len(newest.hashes)
            if size >= _GROWTH * len(hashes) or size + len(hashes) > _MOST:
                break
            newest.whole()
            offsets = np.concatenate([newest.offsets, offsets + np.uint32(first - newest.first)])
            hashes = np.concatenate([newest.hashes, hashes])
            first = newest.first
            self._segments.pop()
        order = np.argsort(hashes, kind="stable")
        last = Position(first + len(hashes) - 1)
        self._segments.append(self._written(first, last, hashes[order], offsets[order]))
        for begins, ends, _, _, path in self._named():
            if first <= begins and ends <= last and path != self._segments[-1].path:
                path.unlink(missing_ok=True)

    def _written(
        self, first: Position, last: Position, hashes: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any]
    ) -> Segment:
        self._folder.mkdir(parents=True, exist_ok=True)
        head, version = self._log.head(), self._log.version
        path = self._folder / f"{first:d}-{last:d}-{version:d}-{head.chain[:32]}.ids"
        checksums = np.array(
            [
                _checksum(hashes[at : at + _BLOCK], offsets[at : at + _BLOCK]) for at in range(0, len(hashes), _BLOCK)
            ],
            dtype=np.uint32,
        )  # fmt: skip
        summed = checksums.tobytes()
        start = _HEADER.pack(_MAGIC, len(hashes), first, _header_checksum(path, len(hashes), first, summed))
        unsynced(self._log.place.work, path, b"".join([start, summed, hashes.tobytes(), offsets.tobytes()]))
        return Segment(
            path, first, last, version, head.chain, hashes, offsets, checksums, np.ones(len(checksums), dtype=bool)
        )

    def _load(self) -> None:
        """Open the segments that follow from each other, from position 1, and that the log still speaks for."""
        self._loaded = True
        self._segments = []
        named = self._named()
        for first, last, version, chain, path in sorted(named, key=lambda one: (one[0], -one[1])):
            if first == self.upto + 1 and self._vouched(last, version, chain):
                try:
                    self._segments.append(_opened(path, Position(first), Position(last), version, chain))
                except (Worn, OSError):
                    path.unlink(missing_ok=True)
        kept = {one.path for one in self._segments}
        for _, last, _, _, path in named:
            # Part of others, or of another log; what lies behind may be another process's that is further on.
            if path not in kept and last <= self.upto:
                path.unlink(missing_ok=True)

    def _vouched(self, last: int, version: int, chain: str) -> bool:
        """Whether the log still has the commit that a segment was made at."""
        if version > self._log.version:
            return False
        try:
            head = read_commit(self._log.place, version).head
        except (FileNotFoundError, ValueError):
            return False
        return head is not None and head.last >= last and head.chain.startswith(chain)

    def _named(self) -> list[tuple[int, int, int, str, Path]]:
        """The segments in the folder, as their names tell: first, last, version, chain, file."""
        return [
            (int(parts[1]), int(parts[2]), int(parts[3]), parts[4], path)
            for path in (self._folder.glob("*.ids") if self._folder.is_dir() else ())
            if (parts := _NAME.fullmatch(path.stem))
        ]

    def _discard(self) -> None:
        """Throw the index away; the next question makes it anew."""
        self._segments = []
        for *_, path in self._named():
            path.unlink(missing_ok=True)


def _hashes(log: EventLog, after: Position, upto: Position) -> np.ndarray[Any, Any]:
    """The hashes of the log's ids after a position, in the order of positions."""
    if upto - after <= _BY_HAND:
        return hashes_of(ids_of(log, after, upto))
    body = parquet(log.files(upto, after), {"event_id": "VARCHAR", "position": "BIGINT"})
    bounds = f"position > {after:d} AND position <= {upto:d}"
    with open_engine() as engine:
        return engine.numbers(f"SELECT md5_number_lower(event_id) FROM ({body}) WHERE {bounds} ORDER BY position")


def _opened(path: Path, first: Position, last: Position, version: int, chain: str) -> Segment:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < _HEADER.size:
            raise Worn(path)
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    magic, count, begins, checksum = _HEADER.unpack_from(mapped)
    blocks = -(-count // _BLOCK)
    size = _HEADER.size + blocks * 4 + count * 12
    if magic != _MAGIC or len(mapped) != size or begins != first or count != last - first + 1:
        raise Worn(path)
    summed = bytes(mapped[_HEADER.size : _HEADER.size + blocks * 4])
    if checksum != _header_checksum(path, count, first, summed):
        raise Worn(path)
    at = _HEADER.size + blocks * 4
    return Segment(
        path, first, last, version, chain,
        np.frombuffer(mapped, dtype=np.uint64, count=count, offset=at),
        np.frombuffer(mapped, dtype=np.uint32, count=count, offset=at + count * 8),
        np.frombuffer(summed, dtype=np.uint32),
        np.zeros(blocks, dtype=bool),
    )  # fmt: skip


def _checksum(hashes: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(offsets).data, zlib.crc32(np.ascontiguousarray(hashes).data))


def _header_checksum(path: Path, count: int, first: int, summed: bytes) -> int:
    return zlib.crc32(summed, zlib.crc32(struct.pack("<QQ", count, first), zlib.crc32(path.name.encode())))
