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
_WHOLE: Final = re.compile("-?(0|[1-9][0-9]*)")


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
        node = YAML().compose(text)
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        found.mistakes.append(Mistake(line, column, f"this is not YAML: {fault.problem or fault.context}"))
    except YAMLError as fault:
        found.mistakes.append(Mistake(1, 1, f"this is not YAML: {str(fault).splitlines()[0]}"))
    else:
        found.value = None if node is None else _value(node, (), found, ())
    return found


def _value(node: Any, path: Path, found: YamlText, around: tuple[int, ...]) -> Any:  # noqa: ANN401  (YAML)
    found.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    kind = str(node.tag).removeprefix(_TAG)
    if id(node) in around:
        found.mistake(path, "this is a part of itself")
        return None
    around = (*around, id(node))
    if kind == "map":
        made: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            found.keys[(*path, name)] = (key.start_mark.line + 1, key.start_mark.column + 1)
            if str(key.tag) != f"{_TAG}str":
                found.mistake((*path, name), f"the key {name} is not a plain text; write it in quotes", key=True)
            elif name in made:
                found.mistake((*path, name), f"the key {name!r} is there twice", key=True)
            made[name] = _value(value, (*path, name), found, around)
        return made
    if kind == "seq":
        return [_value(one, (*path, at), found, around) for at, one in enumerate(node.value)]
    return _scalar(str(node.value), kind, path, found)


def _scalar(text: str, kind: str, path: Path, found: YamlText) -> object:
    match kind:
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int" if _WHOLE.fullmatch(text):
            return int(text)
        case "float" if re.fullmatch(r"-?[0-9]+\.[0-9]+", text):
            return float(text)
    found.mistake(path, f"{text} is read as another value by some; write it in quotes, '{text}', if it is a text")
    return text


def unknown(key: str, known: Iterable[str]) -> str:
    """Say that a key is not known, with the one that it may have meant."""
    names = list(known)
    near = nearest(key, names)
    return f"there is no key {key!r} here{near}; there are {', '.join(names)}"
