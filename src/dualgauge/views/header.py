"""
The header of a view file: `-- name: value` lines, ended by the first blank line or the SELECT.

Light: point reads of an adopted v1 come through here, and load no engine.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dualgauge.engines.lexer import split, tokens
from dualgauge.model import sha256, unquoted
from dualgauge.stores.adopted.adoption import Adoption
from dualgauge.views.errors import NoKey, UnknownHeader, ViewError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEME = 1
"""Of the definition hash."""

HEADERS = {
    "key": "columns that identify a row, in order; required",
    "index": "columns of an index beside the key; may repeat",
    "affected_by": "expressions over `events`, one per key column: which row an event touches",
    "description": "one line for people",
    "adopt": "table of your own that is v1 already, as `table` or `schema.table`; no SELECT beside it",
    "position_query": "SELECT that says up to which position an adopted table is; without it, nobody knows",
}
"""Header names and what they mean; the reference page is written from this table."""

_ADOPTS = re.compile(r"^\s*--\s*adopt\s*:", re.MULTILINE)
_LINE = re.compile(r"--\s*(?P<name>[A-Za-z_][\w-]*)\s*:(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says."""

    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    affected_by: tuple[str, ...] = ()
    description: str = ""
    adopt: str = ""
    position_query: str = ""

    def canonical(self) -> list[object]:
        """What of it the definition hash covers: all but the description."""
        found: list[object] = [list(self.key), sorted(list(index) for index in self.indexes), list(self.affected_by)]
        return [*found, self.adopt, self.position_query] if self.adopt else found


def definition_hash(header: Header, columns: Mapping[str, str], words: Sequence[str] = ()) -> str:
    """
    SHA-256 of the JSON list [scheme, header, output types, tokens of the text].

    Args:
        header: the file's.
        columns: names with DuckDB types, in order; of an adopted table, as they are declared.
        words: the tokens; an adopted view has none.
    """
    content = [SCHEME, header.canonical(), [[column, kind] for column, kind in columns.items()], list(words)]
    return sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def adoptions(folder: Path) -> dict[str, Adoption]:
    """
    The adopted views of v1's folder, by name; other files are not looked into further than for the word.

    Raises:
        ViewError: a file that adopts a table cannot be used.
    """
    found: dict[str, Adoption] = {}
    for file in sorted(folder.glob("*.sql")):
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        if _ADOPTS.search(text) and (header := parse(text, file)).adopt:
            found[file.stem] = adoption(header, text, file)
    return found


def adoption(header: Header, text: str, file: Path) -> Adoption:
    """
    What a file that adopts a table says.

    Raises:
        NoKey: it names no key.
        ViewError: there is a SELECT beside it, or a header that only a view with one has.
    """
    try:
        words = tokens(text)
    except ValueError as fault:
        raise ViewError(file, f"{fault}; close it") from fault
    if words:
        raise ViewError(
            file,
            f"it adopts the table {header.adopt!r} and has a SELECT too; an adopted table is kept by code of your own: "
            "remove the SELECT, or the line `-- adopt:`",
        )
    for name, given in (("index", header.indexes), ("affected_by", header.affected_by)):
        if given:
            raise ViewError(
                file,
                f"`-- {name}:` stands beside `-- adopt:`; an adopted table is kept by code of your own, and its file "
                "holds `adopt`, `key` and perhaps `position_query` and `description`: remove the line",
            )
    if not header.key:
        raise NoKey(file, ())
    return Adoption(
        view=file.stem,
        table=header.adopt,
        key=header.key,
        position_query=header.position_query,
        text=text,
        file=file,
        hash_of=partial(definition_hash, header),
    )


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
    if "position_query" in found and "adopt" not in found:
        raise ViewError(
            file,
            "`-- position_query:` stands without `-- adopt:`; a view with a SELECT knows its position: remove the "
            "line, or name the table with `-- adopt:`",
        )
    try:
        return Header(
            key=_names(found.get("key", [""])[0]),
            indexes=tuple(_names(value) for value in found.get("index", [])),
            affected_by=tuple(split(found["affected_by"][0])) if "affected_by" in found else (),
            description=found.get("description", [""])[0],
            adopt=found.get("adopt", [""])[0],
            position_query=found.get("position_query", [""])[0].removesuffix(";"),
        )
    except ValueError as fault:
        raise ViewError(file, f"its header cannot be read: {fault}") from fault


def _names(value: str) -> tuple[str, ...]:
    return tuple(unquoted(part) for part in split(value) if part)
