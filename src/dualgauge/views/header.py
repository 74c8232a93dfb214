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
from dualgauge.views.affected_by import affected_by
from dualgauge.views.errors import NoKey, UnknownHeader, ViewError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dualgauge.views.affected_by import AffectedBy

SCHEME = 1
"""Of the definition hash."""

HEADERS = {
    "key": "columns that identify a row, in order; required",
    "index": "columns of an index beside the key; may repeat",
    "unique": "columns of `events`, of which no two events of the view agree in all; may repeat",
    "affected_by": "which rows an event touches: expressions over it, one per key column; or `column = expression` for "
    "some; or a SELECT over `events` and `batch`; may repeat",
    "allow": "`full`: a tail may rebuild the view where nothing less keeps it",
    "description": "one line for people",
    "adopt": "table of your own that is v1 already, as `table` or `schema.table`; no SELECT beside it",
    "position_query": "SELECT that says up to which position an adopted table is; without it, nobody knows",
    "fed_by": "database source that is written in the transactions that write an adopted table; with a "
    "`position_query`, the one that a job brings the table up from, and the query gives a value of its cursor",
}
"""Header names and what they mean; the reference page is written from this table."""

_REPEATED = ("index", "unique", "affected_by")
_ADOPTS = re.compile(r"^\s*--\s*adopt\s*:", re.MULTILINE)
_LINE = re.compile(r"--\s*(?P<name>[A-Za-z_][\w-]*)\s*:(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says. `unique` are sets of columns of `events`, each in the order of its line."""

    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    affected_by: tuple[AffectedBy, ...] = ()
    allows_full: bool = False
    description: str = ""
    adopt: str = ""
    position_query: str = ""
    fed_by: str = ""

    def canonical(self) -> list[object]:
        """What of it the definition hash covers: all but the description."""
        lines = [list(line.parts) for line in self.affected_by]
        found: list[object] = [list(self.key), sorted(list(index) for index in self.indexes), *(lines[:1] or [[]])]
        if self.adopt:
            found += [self.adopt, self.position_query]
        later: dict[str, object] = {
            "affected_by": sorted(lines[1:]),
            "unique": sorted(sorted(names) for names in self.unique),
            "allow": ["full"] * self.allows_full,
            "fed_by": self.fed_by,
        }
        # Names of later versions stand by themselves: the hash of a file without them is as it was.
        extras = {name: value for name, value in later.items() if value}
        return [*found, extras] if extras else found


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
    refused = (
        ("index", header.indexes), ("unique", header.unique), ("affected_by", header.affected_by),
        ("allow", header.allows_full),
    )  # fmt: skip
    for name, given in refused:
        if given:
            raise ViewError(
                file,
                f"`-- {name}:` stands beside `-- adopt:`; an adopted table is kept by code of your own, and its file "
                "holds `adopt`, `key` and perhaps `fed_by`, `position_query` and `description`: remove the line",
            )
    if not header.key:
        raise NoKey(file, ())
    return Adoption(
        view=file.stem,
        table=header.adopt,
        key=header.key,
        position_query=header.position_query,
        fed_by=header.fed_by,
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
    found = _lines(text, file)
    for name in ("position_query", "fed_by"):
        if name in found and "adopt" not in found:
            raise ViewError(
                file,
                f"`-- {name}:` stands without `-- adopt:`; a view with a SELECT knows its position: remove the line, "
                "or name the table with `-- adopt:`",
            )
    try:
        key = _names(found.get("key", [""])[0])
        return Header(
            key=key,
            indexes=tuple(_names(value) for value in found.get("index", [])),
            unique=tuple(_names(value) for value in found.get("unique", [])),
            affected_by=tuple(affected_by(value, key, file) for value in found.get("affected_by", [])),
            allows_full="allow" in found,
            description=found.get("description", [""])[0],
            adopt=found.get("adopt", [""])[0],
            position_query=found.get("position_query", [""])[0].removesuffix(";"),
            fed_by=found.get("fed_by", [""])[0],
        )
    except ValueError as fault:
        raise ViewError(file, f"its header cannot be read: {fault}") from fault


def _lines(text: str, file: Path) -> dict[str, list[str]]:
    """The values of each name, in the order of the lines."""
    found: dict[str, list[str]] = {}
    for number, line in enumerate(re.split(r"\r\n?|\n", text), start=1):
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
        if name in found and name not in _REPEATED:
            raise ViewError(
                file, f"line {number}: `-- {name}:` stands twice; keep one (only `index`, `unique` and `affected_by` "
                "may repeat)"
            )  # fmt: skip
        if name == "unique" and not _names(value):
            raise ViewError(file, f"line {number}: `-- unique:` names no column; it holds {HEADERS[name]}")
        if name == "allow" and value != "full":
            raise ViewError(file, f"line {number}: `-- allow:` holds `full` and nothing else, not {value!r}")
        found.setdefault(name, []).append(value)
    return found


def _names(value: str) -> tuple[str, ...]:
    return tuple(unquoted(part) for part in split(value) if part)
