"""Which views a replay is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.replay.errors import NoSuchView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.model import Side
    from dualgauge.views.plan.plan import Plan


def apart(plans: Sequence[Plan]) -> tuple[list[Plan], tuple[str, ...]]:
    """The plans that are built, and the labels of the adopted ones, which are not."""
    return [one for one in plans if not one.view.adopted], tuple(one.view.label for one in plans if one.view.adopted)


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
