"""The key of a point read, as it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge_router.stores.errors import BadKey

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_key(view: str, names: Sequence[str], given: Sequence[object]) -> None:
    """
    See that a key has as many parts as the view's, each of them a text.

    Raises:
        BadKey: it has not.
    """
    if len(given) != len(names):
        raise BadKey.of_count(view, names, len(given))
    for part in given:
        if not isinstance(part, str):
            raise BadKey(view, names, f"{part!r} is no text; give each part of the key as it is written")
