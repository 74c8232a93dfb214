"""The words that several floors share: positions, time, the one quoting function; and those that the router has."""

from __future__ import annotations

import difflib
import hashlib
import math
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NewType

from dualgauge_router.model import PPM, NextStep, Side, canonical_json, fold, jsonable, quote

__all__ = [
    "ALEMBIC",
    "POSITION",
    "PPM",
    "PRESENT",
    "START",
    "AsJson",
    "Clock",
    "NextStep",
    "Outcome",
    "Position",
    "Progress",
    "Side",
    "as_json",
    "canonical_json",
    "fold",
    "holder_name",
    "is_gone",
    "jsonable",
    "listed",
    "literal",
    "meanwhile",
    "nearest",
    "plural",
    "quote",
    "sha256",
    "silent",
    "unquoted",
    "utc_now",
]

Position = NewType("Position", int)
"""A place in the event log: dense, from 1; 0 is "before the first event"."""

START = Position(0)

_PROCESS: Final = re.compile(r", process (?P<pid>[0-9]+) on (?P<host>.+) \([0-9a-f]+\)$")

POSITION = "_position"
"""The hidden column of every row of a build: the last event that changed it, or an upper bound."""

PRESENT = "_present"
"""The hidden column of a build that says whether readers see a row: 1 or 0. A build without it hides none."""

ALEMBIC: Final = threading.RLock()
"""
Held while Alembic runs revisions: what it works on is one value of the whole process.

Seen: of two threads that opened new ledgers, one made its tables through the other's connection.
"""

Clock = Callable[[], datetime]
"""Gives the present as an aware UTC time. Passed in, so that tests can hold time still."""


class Outcome(StrEnum):
    """What a check of evidence can say; `inconclusive` is never a pass."""

    PASS = "pass"  # noqa: S105  (a verdict, no password)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """What a command ends with that found this."""
        return {Outcome.PASS: 0, Outcome.FAIL: 4, Outcome.INCONCLUSIVE: 1}[self]


def holder_name(who: str) -> str:
    """What this process is called as a holder; no other one ever was."""
    return f"{who}, process {os.getpid()} on {socket.gethostname()} ({secrets.token_hex(4)})"


def is_gone(name: str) -> bool:
    """Whether a holder is known to be gone: a process of this machine can be looked for."""
    found = _PROCESS.search(name)
    if found is None or found["host"] != socket.gethostname():
        return False
    try:
        os.kill(int(found["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def utc_now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


@contextmanager
def meanwhile(work: Callable[[], object], end: Callable[[], object]) -> Iterator[None]:
    """
    Do some work in a thread of its own, for as long as a block runs.

    Args:
        work: what the thread does, until it is told to end.
        end: tells it; the thread is waited for then.
    """
    thread = threading.Thread(target=work, daemon=True)
    # Ctrl-C may come as soon as it has begun, and one that is left behind keeps what it has to the end of the process.
    try:
        thread.start()
        yield
    finally:
        end()
        if thread.ident is not None:
            thread.join()


def unquoted(identifier: str) -> str:
    """A name without the quotes around it, where it has some; inside them, two stand for one."""
    quoted = len(identifier) > 1 and identifier[0] == identifier[-1] == '"'
    return identifier[1:-1].replace('""', '"') if quoted else identifier


def literal(text: str) -> str:
    """Write a text as an SQL string literal, for the few places that take no bound value (a file list, a setting)."""
    return "'" + text.replace("'", "''") + "'"


def nearest(name: str, known: Iterable[str]) -> str:
    """Give ` (did you mean 'x'?)` for the known name most like `name`, or the empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def listed(names: Iterable[object], most: int = 8) -> str:
    """Join names for a sentence; past `most` of them, say how many more there are."""
    texts = [str(name) for name in names]
    shown = ", ".join(texts[:most])
    return f"{shown} and {len(texts) - most:,} more" if len(texts) > most else shown


def plural(count: int, noun: str) -> str:
    """Count a noun for a sentence: `1 event`, `2,000 events`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


class AsJson:
    """Gives `to_json()` to dataclasses: their fields, in order, as `as_json` has them."""

    __slots__ = ()

    def to_json(self) -> dict[str, object]:
        """Field names to values; decimals are text, times ISO, NaN and infinities text."""
        return {one.name: as_json(getattr(self, one.name)) for one in fields(self)}  # type: ignore[arg-type]


def as_json(value: object) -> object:  # noqa: PLR0911  (one row a type reads best)
    """A value as JSON can hold it: like `jsonable`, with NaN and infinities as text, dataclasses by their fields."""
    match value:
        case AsJson():
            return value.to_json()
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case StrEnum():
            return value.value
        case Mapping():
            return {str(key): as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json(item) for item in value]
        case bytearray() | memoryview():
            return bytes(value).hex()
        case _ if is_dataclass(value):
            return AsJson.to_json(value)  # type: ignore[arg-type]
        case _:
            return jsonable(value)


def sha256(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


Progress = Callable[[str, int, int | None], None]
"""Called as `progress(step, done, total)`; a total of None means that the end is not known."""


def silent(step: str, done: int, total: int | None) -> None:
    """Report progress to nobody."""
