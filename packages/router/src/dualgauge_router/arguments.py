"""The arguments of a read as they were, whatever becomes of them: both sides are asked for the same."""

from __future__ import annotations

import copy
from collections import deque
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
    copies = _Copies()
    return tuple([one if type(one) in _PLAIN else copies.of(one) for one in args])


class _Copies:
    def __init__(self) -> None:
        self._left = _MOST

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
        if hasattr(type(one), "__next__"):
            raise NotKept
        return one

    def _of_container(self, one: Any) -> Any:  # noqa: ANN401  (as above)
        self._count(one)
        made = copy.copy(one)
        parts = one.items() if isinstance(one, dict) else () if isinstance(one, (set, bytearray)) else enumerate(one)
        for at, inner in parts:
            if type(inner) not in _PLAIN:
                made[at] = self.of(inner)
        return made

    def _of_fields(self, one: Any) -> Any:  # noqa: ANN401  (as above)
        names = type(one).__dataclass_fields__
        self._count(names)
        made = copy.copy(one)
        for name in names:
            if hasattr(one, name):
                # It may be frozen, for others.
                object.__setattr__(made, name, self.of(getattr(one, name)))
        return made

    def _count(self, values: Any) -> None:  # noqa: ANN401  (as above)
        self._left -= 1 + len(values)
        if self._left < 0:
            raise NotKept
