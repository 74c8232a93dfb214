"""
Adds to a project's pyproject.toml, and leaves every byte that stands there as it is.

What is added is written by tomlkit and put between the lines that are there, or behind them; then the whole is read
as TOML again and has to hold what it held, and the additions, and nothing else.
"""

from __future__ import annotations

import copy
import os
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit import items

from dualgauge.project.errors import BrokenToml, CannotEdit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_COLUMNS = ("tool", "dualgauge", "log", "columns")
_SOURCES = "tool.dualgauge.sources"
_KEYS = (
    "name",
    "path",
    "url",
    "table",
    "cursor",
    "read",
    "event_id",
    "type",
    "occurred_at",
    "order_by",
    "where",
    "select",
)
_HEADER = re.compile(r"^[ \t]*\[+[^\]\n]*\]+[ \t]*(#.*)?$")
_WIDTH = 112


@dataclass(frozen=True, slots=True)
class Edited:
    """A settings file as it would be: its text, and its `[tool.dualgauge]` table. Nothing is written yet."""

    file: Path
    text: str
    raw: dict[str, Any]

    def write(self) -> None:
        """Put the text in the file's place in one step. Raises CannotEdit where the folder cannot be written."""
        # A link stays one, and what it leads to is replaced.
        target = self.file.resolve()
        beside = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            beside.write_bytes(self.text.encode())
            beside.chmod(target.stat().st_mode & 0o7777)
            beside.replace(target)
        except OSError as fault:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise CannotEdit(self.file, f"cannot be written ({fault.strerror or fault})") from fault


def stanza(table: Mapping[str, Any], why: Mapping[str, str], heading: Sequence[str] = ()) -> str:
    """A `[[tool.dualgauge.sources]]` table with a comment before each key that has a reason, also for keys left out."""
    lines = [*_comments(heading), f"[[{_SOURCES}]]"]
    for key in _KEYS:
        if key in why:
            lines += _comments([f"{key}: {why[key]}"])
        if key in table:
            lines.append(_line(key, table[key]))
    return "\n".join(lines) + "\n"


def columns(declared: Mapping[str, str], why: Mapping[str, str]) -> str:
    """Lines for `[tool.dualgauge.log.columns]`, each with its reason behind it."""
    entries = [(name, _line(name, kind)) for name, kind in declared.items()]
    width = max((len(line) for _, line in entries), default=0)
    return "".join(f"{line:{width}}  # {_shown(why[name])}\n" if name in why else f"{line}\n" for name, line in entries)


def with_source(file: Path, declared: Mapping[str, str], column_lines: str, source: str) -> Edited:
    """
    The file with a source behind everything else, and declared columns among those that are there.

    Raises:
        CannotEdit: the file writes its tables in a form that cannot be added to; says what to do.
        BrokenToml: it is no TOML.
    """
    try:
        raw = file.read_bytes()
        text = raw.decode()
        before = tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BrokenToml(file, str(fault)) from fault
    newline = "\r\n" if "\r\n" in text else "\n"
    made, added = text, source.replace("\n", newline)
    if declared:
        lines = column_lines.replace("\n", newline)
        spot = _end_of_columns(text)
        if spot is not None:
            made = text[:spot] + ("" if text[:spot].endswith("\n") else newline) + lines + text[spot:]
        elif _there(before):
            made = _inline(file, text, declared)
        else:
            added = f"[{'.'.join(_COLUMNS)}]{newline}{lines}{newline}{added}"
    made += ("" if made.endswith("\n") else newline) + newline + added
    after = _parsed(made)
    if after is None or after != _expected(before, declared, tomllib.loads(source)) or not _kept(text, made):
        form = "in a form that nothing can be added to (inline tables?)"
        raise CannotEdit(file, f"writes [{'.'.join(_COLUMNS)}] or [[{_SOURCES}]] {form}")
    return Edited(file, made, after["tool"]["dualgauge"])


def _comments(texts: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for text in texts:
        line = "#"
        for word in _shown(text).split():
            if len(line) + len(word) >= _WIDTH:
                lines.append(line)
                line = "#"
            line += f" {word}"
        lines.append(line)
    return lines


def _shown(text: str) -> str:
    """A text as a comment may hold it: on one line, without control characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _line(key: str, value: object) -> str:
    """One `key = value`, as tomlkit writes it."""
    document = tomlkit.document()
    document.add(key, _item(value))
    return tomlkit.dumps(document).rstrip("\n")


def _item(value: object) -> items.Item:
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        for key, one in value.items():
            inline.add(key, _item(one))
        return inline
    if isinstance(value, str) and '"' in value and "'" not in value and "\\" not in value and value.isprintable():
        return tomlkit.string(value, literal=True)
    return tomlkit.item(value)


def _end_of_columns(text: str) -> int | None:
    """Where the last key of `[tool.dualgauge.log.columns]` ends, or its header and comments where it has no key."""
    spot, inside, at, keyed = None, False, 0, False
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        at += len(line)
        bare = line.rstrip("\r\n")
        if _HEADER.match(bare):
            if inside:
                break
            inside = re.sub(r"[\s\"']|#.*$", "", bare) == f"[{'.'.join(_COLUMNS)}]"
            spot = at if inside else None
        elif inside and bare.strip():
            comment = bare.lstrip().startswith("#")
            if not comment or not keyed:
                spot = at
            keyed = keyed or not comment
        elif inside and not keyed and not bare.strip():
            # A blank line ends the comments that explain the table; what follows may belong to the next one.
            keyed = True
    return spot


def _there(document: Mapping[str, Any]) -> bool:
    found: Any = document
    for key in _COLUMNS:
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return True


def _inline(file: Path, text: str, declared: Mapping[str, str]) -> str:
    """The text with columns added to a table that has no header of its own."""
    document = tomlkit.parse(text)
    table: Any = document
    try:
        for key in _COLUMNS:
            table = table[key]
        for name, kind in declared.items():
            table[name] = kind
        return tomlkit.dumps(document)
    except Exception as fault:
        raise CannotEdit(file, f"writes {'.'.join(_COLUMNS)} in a form that tomlkit cannot add to ({fault})") from fault


def _expected(before: dict[str, Any], declared: Mapping[str, str], source: dict[str, Any]) -> dict[str, Any]:
    wanted = copy.deepcopy(before)
    own = wanted["tool"]["dualgauge"]
    if declared:
        own.setdefault("log", {}).setdefault("columns", {}).update(declared)
    own["sources"] = [*own.get("sources", []), *source["tool"]["dualgauge"]["sources"]]
    return wanted


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        return None


def _kept(old: str, new: str) -> bool:
    """Whether the new text is the old one with something put in at one place, and something behind it."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    # The inserted text may begin like what it stands before, so the place may be a little earlier.
    return any(old[at:] in new[at:] for at in range(same, max(-1, same - _WIDTH), -1))
