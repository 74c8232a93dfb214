"""The arguments of a read as they were, whatever becomes of them: both sides are asked for the same."""

from __future__ import annotations

import copy
import math
from collections import deque
from dataclasses import fields
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST: Final = 20_000
"""Values in the containers of a read's arguments, at most: to copy them takes a caller about a millisecond."""

_PLAIN: Final = frozenset({str, int, float, bool, bytes, type(None)})

_CONTAINERS: Final = (dict, list, deque, set, bytearray)


class NotKept(Exception):
    """Arguments that cannot be asked for a second time: they are used up by the first, or too many."""


def kept(args: Sequence[object]) -> tuple[object, ...]:
    """
    Copies of the containers and dataclasses in arguments, all the way down; what else there is stands in them itself.

    Raises:
        NotKept: there are too many values, or an iterator, which whoever is asked first uses up.
    """
    return _copied(args, _Copies(_MOST))


def own(args: Sequence[object]) -> tuple[object, ...]:
    """
    The same for v2, whatever their number: v1 is asked with what it was given where v2 fails.

    A cursor of a database is no iterator here: whoever has it begins by a statement of its own.

    Raises:
        NotKept: whoever is asked first uses them up.
    """
    return _copied(args, _Copies(math.inf, cursors=True))


def _copied(args: Sequence[object], copies: _Copies) -> tuple[object, ...]:
    return tuple([one if type(one) in _PLAIN else copies.of(one) for one in args])


class _Copies:
    def __init__(self, most: float, *, cursors: bool = False) -> None:
        self._left, self._cursors = most, cursors

    def of(self, one: Any) -> Any:  # noqa: ANN401  (of any type)
        if type(one) in _PLAIN:
            return one
        if isinstance(one, tuple):
            self._count(one)
            parts = map(self.of, one)
            # One with names is made of its parts one by one.
            return type(one)(*parts) if hasattr(one, "_fields") else tuple(parts) if type(one) is tuple else one
        if hasattr(type(one), "__dataclass_fields__") and not isinstance(one, type):
            return self._of_fields(one)
        if isinstance(one, _CONTAINERS):
            return self._of_container(one)
        if self._is_used_up(type(one)):
            raise NotKept
        return one

    def _is_used_up(self, kind: type) -> bool:
        """Whether what is of a type can be read once: an iterator, an open file, what is awaited."""
        if kind is CoroutineType or hasattr(kind, "__anext__"):
            return True
        return hasattr(kind, "__next__") and not (self._cursors and hasattr(kind, "execute"))

    def _of_container(self, one: Any) -> Any:  # noqa: ANN401  (as above)
        self._count(one)
        made = _copy(one)
        parts = one.items() if isinstance(one, dict) else () if isinstance(one, (set, bytearray)) else enumerate(one)
        for at, inner in parts:
            if type(inner) not in _PLAIN:
                made[at] = self.of(inner)
        return made

    def _of_fields(self, one: Any) -> Any:  # noqa: ANN401  (as above)
        names = [each.name for each in fields(one)]
        self._count(names)
        made = _copy(one)
        for name in names:
            if hasattr(one, name):
                # It may be frozen, for others.
                object.__setattr__(made, name, self.of(getattr(one, name)))
        return made

    def _count(self, values: Any) -> None:  # noqa: ANN401  (as above)
        self._left -= 1 + len(values)
        if self._left < 0:
            raise NotKept


def _copy(one: Any) -> Any:  # noqa: ANN401  (of any type)
    made = copy.copy(one)
    if made is one:
        # It gives itself for a copy of itself: what is put into that would stand in the application's own.
        raise NotKept
    return made
