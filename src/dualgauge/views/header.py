"""The header of a view file: `-- name: value` lines, ended by the first blank line or the SELECT."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.views.errors import UnknownHeader, ViewError
from dualgauge.views.lexer import split

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = {
    "key": "columns that identify a row, in order; required",
    "index": "columns of an index beside the key; may repeat",
    "affected_by": "expressions over `events`, one per key column: which row an event touches",
    "description": "one line for people",
}
"""Header names and what they mean; the reference page is written from this table."""

_LINE = re.compile(r"--\s*(?P<name>[A-Za-z_][\w-]*)\s*:(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says."""

    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    affected_by: tuple[str, ...] = ()
    description: str = ""

    def canonical(self) -> list[object]:
        """What of it the definition hash covers: all but the description."""
        return [list(self.key), sorted(list(index) for index in self.indexes), list(self.affected_by)]


def parse(text: str, file: Path) -> Header:
    """
    Read the header of a view's text.

    Raises:
        UnknownHeader: a name that is not in `HEADERS`.
        ViewError: a value is empty, or a name that may stand once stands twice.
    """
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or not line.lstrip().startswith("--"):
            break
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, value = match["name"], match["value"].strip()
        if name not in HEADERS:
            raise UnknownHeader(file, number, name, list(HEADERS))
        if not value:
            raise ViewError(file, f"line {number}: `-- {name}:` has no value; it holds {HEADERS[name]}")
        if name in found and name != "index":
            raise ViewError(file, f"line {number}: `-- {name}:` stands twice; keep one (only `index` may repeat)")
        found.setdefault(name, []).append(value)
    try:
        return Header(
            key=_names(found.get("key", [""])[0]),
            indexes=tuple(_names(value) for value in found.get("index", [])),
            affected_by=tuple(split(found["affected_by"][0])) if "affected_by" in found else (),
            description=found.get("description", [""])[0],
        )
    except ValueError as fault:
        raise ViewError(file, f"its header cannot be read: {fault}") from fault


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip('"') for part in split(value) if part)
