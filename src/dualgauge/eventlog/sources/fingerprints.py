"""
What a file's bytes are: fingerprints, taken in one pass, and copies of exactly the bytes that a fingerprint is of.

A file may grow while it is looked at. A fingerprint is of the bytes that it had when it was opened; whoever reads the
file afterwards asks whether it is still the same one, and reads a copy of those bytes where it is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 20
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """
    A file as it was when it was looked at: digests are SHA-256, in hex.

    `size` counts its bytes without a torn last line, and `sha256` is of those; `whole` is of every byte. `begin` is of
    the first bytes, as many as were asked for, or empty where the file has fewer; `end` is of those from there to
    `size`. `more`: it has more bytes than were asked for, and `blank`: those up to `size` hold no letter, if any.
    `state` is what the system says of the file.
    """

    size: int
    sha256: str
    whole: str
    begin: str
    end: str
    more: bool
    blank: bool
    torn: bool
    state: tuple[int, ...]


def fingerprint(file: Path, begin: int, *, by_line: bool) -> Fingerprint:
    """
    Look at a file's bytes once.

    Args:
        file: the file.
        begin: how many of its first bytes are to have a digest of their own.
        by_line: each of its lines is JSON, so that one can tell whether the last one is whole.

    Raises:
        FileNotFoundError: it is not there.
    """
    with file.open("rb") as opened:
        state = state_of(opened)
        size = state[0]
        digest, end, rest, at = hashlib.sha256(), hashlib.sha256(), bytearray(), 0
        for chunk in _chunks(opened, min(begin, size)):
            digest.update(chunk)
            at += len(chunk)
        begun = digest.hexdigest() if at == begin else ""
        mark, blank = (at, digest.copy(), end.copy()), True
        for chunk in _chunks(opened, size - at):
            cut = chunk.rfind(b"\n") + 1 if by_line else len(chunk)
            if cut:
                blank = blank and not (rest.strip() or chunk[:cut].strip())
                digest.update(chunk[:cut])
                end.update(chunk[:cut])
                mark, rest = (at + cut, digest.copy(), end.copy()), bytearray()
            digest.update(chunk[cut:])
            end.update(chunk[cut:])
            rest += chunk[cut:]
            at += len(chunk)
    torn = not _whole(bytes(rest))
    blank = blank and (torn or not rest.strip())
    counted, known, behind = mark if torn else (at, digest, end)
    return Fingerprint(
        size=counted, sha256=known.hexdigest(), whole=digest.hexdigest(), begin=begun, end=behind.hexdigest(),
        more=at > begin, blank=blank, torn=torn, state=state,
    )  # fmt: skip


def _chunks(opened: IO[bytes], count: int) -> Iterator[bytes]:
    while count > 0 and (chunk := opened.read(min(_CHUNK, count))):
        yield chunk
        count -= len(chunk)


def _whole(line: bytes) -> bool:
    """Whether a last line without its end is all there: nothing, or a JSON object (a number may have more digits)."""
    if not line.strip():
        return True
    try:
        # Python makes no integer of more than 4,300 digits.
        return isinstance(json.loads(line, parse_int=str, parse_float=str), dict)
    except ValueError:
        return False
    except RecursionError:
        return _is_closed(_STRING.sub(b"", line).strip())


def _is_closed(marks: bytes) -> bool:
    """Whether an object of too many levels, without its strings, is all there: one that is cut off lacks an end."""
    begun, ended = (sum(map(marks.count, each)) for each in ((b"{", b"["), (b"}", b"]")))
    return marks.startswith(b"{") and begun == ended and b'"' not in marks


def state_of(file: Path | IO[bytes]) -> tuple[int, ...]:
    """What changes when a file is written: its size in bytes, times, and which file it is."""
    said = os.fstat(file.fileno()) if not isinstance(file, os.PathLike) else os.stat(file)  # noqa: PTH116
    return said.st_size, said.st_mtime_ns, said.st_ctime_ns, said.st_ino, said.st_dev


def moved(file: Path, state: tuple[int, ...]) -> bool:
    """Whether a file is not the one any more that was looked at."""
    try:
        return state_of(file) != state
    except FileNotFoundError:
        return True


def copy_bytes(file: Path, target: Path, start: int, end: int, sha256: str) -> bool:
    """Append the bytes from `start` to `end` of a file to another one; gives whether they are those of the digest."""
    digest, left = hashlib.sha256(), end - start
    try:
        with file.open("rb") as opened, target.open("ab") as copy:
            opened.seek(start)
            for chunk in _chunks(opened, left):
                digest.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == sha256
