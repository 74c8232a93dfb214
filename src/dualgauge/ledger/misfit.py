"""A row that does not fit, as it is found, kept, and settled: values of the quarantine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import canonical_json, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SHORT: Final = 12
"""Characters of an id that are shown; fewer are enough to name a row, where they are of one alone."""


class RejectedBy(StrEnum):
    """What a row did not fit into: the log, or a view."""

    INPUT = "input"
    VIEW = "view"


class RowState(StrEnum):
    """What became of a row. Only one that waits is asked about."""

    WAITING = "waiting"
    TAKEN = "taken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Misfit:
    """
    A row that does not fit.

    Args:
        source: the source it came from.
        place: the file, as event ids call it; empty where there is none.
        row: its number among the place's rows, from 1; None where it has none.
        reason: why it does not fit, as a phrase.
        raw: its text: the line, or the row as JSON.
        line: the line of the file that it begins on, from 1; None where that cannot be told.
        read_as: how the place was read, so that the text can be read again in the same way; of values that JSON has.
    """

    source: str
    place: str
    row: int | None
    reason: str
    raw: str
    line: int | None = None
    read_as: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """SHA-256 of what identifies it, in hex. The reason does not: settings change it."""
        raw = self.raw if self._is_line else _values_of(self.raw)
        return sha256(canonical_json({"source": self.source, "place": self.place, "row": self.row, "raw": raw}))

    @property
    def _is_line(self) -> bool:
        """Whether its text stands so in a file; else it was made of values, of all columns that the files have."""
        return self.read_as.get("format") != "values" and (self.line is not None or "columns" not in self.read_as)

    @property
    def where(self) -> str:
        """Its place for a sentence: `data/a.csv row 7 (line 8)`."""
        row = "" if self.row is None else f"row {self.row}"
        return " ".join(one for one in (self.place, row, "" if self.line is None else f"(line {self.line})") if one)


def _values_of(raw: str) -> str:
    """The values that a JSON text has, whatever order they stand in: what is NULL may be a column of another file."""
    try:
        said = json.loads(raw, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(said, dict):
        return raw
    return canonical_json({name: one for name, one in said.items() if one is not None})


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row of the quarantine. `id` is that of the row as it was found, whatever its text was mended to."""

    id: str
    kind: RejectedBy
    misfit: Misfit
    state: RowState
    found_at: datetime
    changed_at: datetime | None = None

    @property
    def short(self) -> str:
        """As much of the id as is shown."""
        return self.id[:SHORT]

    def to_json(self) -> dict[str, object]:
        """Its fields, but for how it was read."""
        of = self.misfit
        return {
            "id": self.id, "kind": self.kind.value, "source": of.source, "place": of.place, "row": of.row,
            "line": of.line, "reason": of.reason, "raw": of.raw, "state": self.state.value,
            "found_at": self.found_at, "changed_at": self.changed_at,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to become of a waiting row. `raw` is its text, where that was mended."""

    id: str
    state: RowState
    reason: str
    raw: str | None = None
