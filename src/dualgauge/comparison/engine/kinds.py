"""DuckDB's types as trees: what a list holds, which fields a struct has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NULL: Final = '"NULL"'
"""The type of a bare NULL."""

_NAMED: Final = ("STRUCT", "UNION")
_UNNAMED: Final = ("MAP", "TUPLE")


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A type, as DESCRIBE spells it in `name`.

    `family` is LIST, ARRAY, STRUCT, TUPLE, MAP, UNION, DECIMAL, ENUM, GEOMETRY, or the name of a type without
    arguments. `fields` are the names of a STRUCT's or UNION's `parts`, spelled as in the type: in quotes where needed.
    """

    name: str
    family: str
    parts: tuple[Kind, ...] = ()
    fields: tuple[str, ...] = ()

    def walk(self) -> Iterator[Kind]:
        """The type itself and every type in it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def holds(self, *families: str) -> bool:
        """Whether the type is, or has in it, one of these families."""
        return any(one.family in families for one in self.walk())


def listed_kind(element: Kind) -> Kind:
    """The type of a list of such elements."""
    return Kind(f"{element.name}[]", "LIST", (element,))


def struct_kind(fields: tuple[str, ...], parts: tuple[Kind, ...]) -> Kind:
    """The type of a struct; `fields` are spelled as SQL spells them."""
    inner = ", ".join(f"{field} {part.name}" for field, part in zip(fields, parts, strict=True))
    return Kind(f"STRUCT({inner})", "STRUCT", parts, fields)


def map_kind(key: Kind, value: Kind) -> Kind:
    """The type of a map."""
    return Kind(f"MAP({key.name}, {value.name})", "MAP", (key, value))


def tuple_kind(parts: tuple[Kind, ...]) -> Kind:
    """The type of a struct whose fields have no names."""
    return Kind(f"TUPLE({', '.join(part.name for part in parts)})", "TUPLE", parts)


@lru_cache(maxsize=1024)
def kind_of(text: str) -> Kind:
    """The tree of a type that DESCRIBE names."""
    return _TypeParser(text).kind()


class _TypeParser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def kind(self) -> Kind:
        start = self._at
        family = self._word()
        fields: list[str] = []
        parts: list[Kind] = []
        if self._next("("):
            if family in _NAMED or family in _UNNAMED:
                while not self._next(")"):
                    if family in _NAMED:
                        fields.append(self._identifier())
                    parts.append(self.kind())
                    self._next(",")
            else:
                self._skip_arguments()
        kind = Kind(self._text[start : self._at].strip(), family, tuple(parts), tuple(fields))
        while self._next("["):
            sized = not self._next("]")
            if sized:
                self._at = self._text.index("]", self._at) + 1
            kind = Kind(self._text[start : self._at].strip(), "ARRAY" if sized else "LIST", (kind,))
        return kind

    def _next(self, mark: str) -> bool:
        """Take a mark, and the blanks before it, if it comes next."""
        self._blanks()
        there = self._text.startswith(mark, self._at)
        self._at += len(mark) if there else 0
        return there

    def _word(self) -> str:
        """The type's name, which may be of several words."""
        self._blanks()
        start = self._at
        if self._text.startswith('"', start):
            return self._identifier()
        while self._at < len(self._text) and self._text[self._at] not in "(),[":
            self._at += 1
        return self._text[start : self._at].strip()

    def _identifier(self) -> str:
        self._blanks()
        start = self._at
        if self._text.startswith('"', start):
            self._quoted('"')
        else:
            while self._text[self._at] != " ":
                self._at += 1
        return self._text[start : self._at]

    def _blanks(self) -> None:
        while self._text[self._at : self._at + 1] == " ":
            self._at += 1

    def _quoted(self, mark: str) -> None:
        """Pass over a quoted text, in which the mark stands twice."""
        self._at += 1
        while True:
            self._at = self._text.index(mark, self._at) + 1
            if self._text[self._at : self._at + 1] != mark:
                return
            self._at += 1

    def _skip_arguments(self) -> None:
        while not self._next(")"):
            if self._text[self._at] == "'":
                self._quoted("'")
            else:
                self._at += 1
