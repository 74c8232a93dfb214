"""
YAML with the place of every value: line and column, from 1.

A scalar is what it plainly is, or a mistake: `007` would be the number 7, and `0x1f` 31.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_WHOLE: Final = re.compile("0|-?[1-9][0-9]{0,99}")

_POINT: Final = re.compile(r"-?[0-9]{1,20}\.[0-9]{1,20}")

_MOST: Final = 20_000
"""Parts that a file may have; names for parts in parts make millions of a few letters."""

_DEEPEST: Final = 50
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """What is wrong at a place of a file."""

    line: int
    column: int
    what: str

    def __str__(self) -> str:
        """As a phrase."""
        return f"line {self.line}, column {self.column}: {self.what}"


@dataclass(slots=True)
class YamlText:
    """A file's value, the places of its parts and of their keys, and what is no plain value."""

    value: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    parts: int = 0

    def mistake(self, path: Path, what: str, *, key: bool = False) -> None:
        """Note what is wrong at a path, or with its key: at the nearest part around it that stands in the file."""
        if key and path in self.keys:
            self.mistakes.append(Mistake(*self.keys[path], what))
            return
        while path and path not in self.places:
            path = path[:-1]
        self.mistakes.append(Mistake(*self.places.get(path, (1, 1)), what))


def parse(text: str) -> YamlText:
    """Read one YAML document; what it cannot be is among the mistakes."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    found = YamlText()
    try:
        # Its own way of reading keeps marks in folded texts, for writing them back.
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        found.mistakes.append(Mistake(line, column, f"this is not YAML: {fault.problem or fault.context}"))
    except RecursionError:
        found.mistakes.append(Mistake(1, 1, "this has too many levels"))
    except YAMLError as fault:
        at = getattr(fault, "position", 0) or 0
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        found.mistakes.append(Mistake(line, column, f"this is not YAML: {str(fault).splitlines()[0]}"))
    else:
        found.value = None if node is None else _value(node, (), found, ())
    return found


def _value(node: Any, path: Path, found: YamlText, around: tuple[int, ...]) -> Any:  # noqa: ANN401  (YAML)
    found.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    found.parts += 1
    if found.parts == _MOST:
        found.mistake(path, f"this has more than {_MOST:,} parts")
    if found.parts >= _MOST:
        return None
    if id(node) in around or len(around) > _DEEPEST:
        found.mistake(path, "this is a part of itself" if id(node) in around else "this has too many levels")
        return None
    kind, around = str(node.tag).removeprefix(_TAG), (*around, id(node))
    if node.id != {"map": "mapping", "seq": "sequence"}.get(kind, "scalar"):
        found.mistake(path, f"this is a {node.id}, and its tag says {node.tag}")
        return None
    if kind == "map":
        return _mapping(node, path, found, around)
    if kind == "seq":
        return [_value(one, (*path, at), found, around) for at, one in enumerate(node.value)]
    return _scalar(str(node.value), kind, path, found)


def _mapping(node: Any, path: Path, found: YamlText, around: tuple[int, ...]) -> dict[str, Any]:  # noqa: ANN401
    made: dict[str, Any] = {}
    for key, value in node.value:
        name = str(key.value)
        found.keys[(*path, name)] = (key.start_mark.line + 1, key.start_mark.column + 1)
        if str(key.tag) != f"{_TAG}str":
            what = f"{name} is no plain text; write it in quotes" if key.id == "scalar" else "has several parts"
            if str(key.tag) == f"{_TAG}merge":
                what = "<< merges another part: write its keys here"
            found.mistake((*path, name), f"the key {what}", key=True)
            continue
        _look_at_letters(name, (*path, name), found, key=True)
        if name in made:
            found.mistake((*path, name), f"the key {name!r} is there twice", key=True)
        made[name] = _value(value, (*path, name), found, around)
    return made


def _scalar(text: str, kind: str, path: Path, found: YamlText) -> object:
    if kind == "str":
        _look_at_letters(text, path, found)
        return text
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if kind == "float" and _POINT.fullmatch(text):
        return float(text)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    found.mistake(path, f"{shown} is read as another value by some; write it in quotes, '{shown}', if it is a text")
    return text


def _look_at_letters(text: str, path: Path, found: YamlText, *, key: bool = False) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        found.mistake(path, "this text has half a character (a lone surrogate), which nothing can store", key=key)


def unknown(key: str, known: Iterable[str]) -> str:
    """Say that a key is not known, with the one that it may have meant."""
    names = list(known)
    near = nearest(key, names)
    return f"there is no key {key!r} here{near}; there are {', '.join(names)}"
