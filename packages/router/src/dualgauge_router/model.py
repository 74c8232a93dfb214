"""What the router and dualgauge share: sides, shares, next steps, the one quoting function, the one text of a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

PPM = 1_000_000
"""Shares are whole numbers of parts per million."""


class Side(StrEnum):
    """The two roles of a view set: what readers have today, and the candidate."""

    V1 = "v1"
    V2 = "v2"

    @property
    def schema(self) -> str:
        """Name of the side's schema in the serving store, the same on every database: `views_v1`."""
        return f"views_{self.value}"


@dataclass(frozen=True, slots=True)
class NextStep:
    """A command worth running next, and why."""

    command: str
    why: str


def quote(identifier: str) -> str:
    """
    Quote an identifier for DuckDB, SQLite and PostgreSQL alike.

    This is the only quoting function: every name that reaches SQL text passes through it.
    """
    return '"' + identifier.replace('"', '""') + '"'


def fold(name: str) -> str:
    """
    A name as the engine compares names: of A to Z the case does not count, of every other letter it does.

    Seen: DuckDB keeps `Ä` and `ä`, `ß` and `SS` in one table as two columns, which `casefold()` would take for one.
    """
    return name.translate(_SMALL_ASCII)


_SMALL_ASCII = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def canonical_json(value: object) -> str:
    """Sorted keys, no blanks, UTF-8 as it is: the text that hashes and keys are taken from."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=jsonable)


def jsonable(value: object) -> object:  # noqa: PLR0911  (one row a type reads best)
    """
    Turn a value that a view may hold into one that JSON can: the same text on every run and machine.

    Decimals keep their digits as text, times are ISO with their offset, bytes are hex.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case Mapping():
            return {str(k): jsonable(v) for k, v in value.items()}
        case Sequence() | set() | frozenset():
            return [jsonable(v) for v in value]
        case _:
            return str(value)
