"""Kept JSON back into the values that it was written from; what does not fit is refused, not guessed."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from dualgauge.reporting.errors import BadEvidence

T = TypeVar("T")


def read_as(kind: type[T], document: object, place: str = "") -> T:
    """
    Build a dataclass from the JSON that its `to_json()` gave.

    A field with a default may be absent (an older version wrote none), an unknown one is passed over (a later one did).

    Raises:
        BadEvidence: a field is missing or of another type.
    """
    if not isinstance(document, Mapping):
        raise BadEvidence(place or kind.__name__, "should be an object")
    hints = get_type_hints(kind)
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # only dataclasses are asked for
        where = f"{place}.{field.name}" if place else field.name
        if field.name in document:
            given[field.name] = _value(hints[field.name], document[field.name], where)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BadEvidence(where, "is missing")
    return kind(**given)


def _value(hint: Any, found: object, place: str) -> object:  # noqa: ANN401  (a type hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = [one for one in get_args(hint) if one is not type(None)]
        return None if found is None else _value(inner[0], found, place)
    if origin is tuple:
        listed = _of(found, list, "a list", place)
        return tuple(_value(get_args(hint)[0], one, f"{place}[{at}]") for at, one in enumerate(listed))
    if origin is Mapping:
        return _of(found, dict, "an object", place)
    return _plain(hint, found, place) if isinstance(hint, type) else found


def _plain(hint: type, found: object, place: str) -> object:
    if dataclasses.is_dataclass(hint):
        return read_as(hint, found, place)
    if issubclass(hint, StrEnum):
        if found not in set(hint):
            raise BadEvidence(place, f"is {found!r}, and should be one of {', '.join(hint)}")
        return hint(str(found))
    word = {bool: "true or false", int: "a whole number", str: "a text"}.get(hint)
    return found if word is None else _of(found, hint, word, place)


def _of(found: Any, kind: type, word: str, place: str) -> Any:  # noqa: ANN401  (what JSON holds)
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise BadEvidence(place, f"should be {word}")
    return found
