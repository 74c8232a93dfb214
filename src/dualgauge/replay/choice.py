"""Which views a replay is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import UsageError
from dualgauge.model import Side, listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.views.plan import Plan


class NoSuchView(UsageError):
    """A wanted view that no side has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        have = f"there are {listed(known)}" if known else "there are none yet: add one to views_v1 or views_v2"
        super().__init__(f"no view is called {name!r}{nearest(name, known)}; {have}")


def choose(plans: Sequence[Plan], names: Sequence[str], side: Side | None) -> list[Plan]:
    """
    The plans of a call: all of a side or of both, or those named, as `orders` (each side's) or `v2.orders`.

    Raises:
        NoSuchView: a name that no chosen side has.
    """
    offered = [one for one in plans if side is None or one.view.side is side]
    for name in names:
        if not any(name in (one.view.name, one.view.label) for one in offered):
            raise NoSuchView(name, [one.view.label for one in offered])
    if not offered:
        raise NoSuchView("", [])
    return [one for one in offered if not names or one.view.name in names or one.view.label in names]
