"""A row that does not fit, as it is found, kept, and settled: values of the quarantine."""

from __future__ import annotations

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
        return sha256(canonical_json({"source": self.source, "place": self.place, "row": self.row, "raw": self.raw}))

    @property
    def where(self) -> str:
        """Its place for a sentence: `data/a.csv row 7 (line 8)`."""
        row = "" if self.row is None else f"row {self.row}"
        return " ".join(one for one in (self.place, row, "" if self.line is None else f"(line {self.line})") if one)


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
