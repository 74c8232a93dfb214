"""The key of a point read, as it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.model import plural
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
        count = f"{plural(len(given), 'key value')} {'was' if len(given) == 1 else 'were'} given"
        raise BadKey(view, names, count)
    for part in given:
        if not isinstance(part, str):
            raise BadKey(view, names, f"{part!r} is no text; give each part of the key as it is written")
