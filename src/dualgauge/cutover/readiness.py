"""Looking whether v2 could answer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.cutover.values import Readiness
from dualgauge.model import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.stores.port import Store
    from dualgauge.views.definition import ViewDefinition


def look(store: Store, views: Sequence[ViewDefinition]) -> Readiness:
    """
    What the store holds of the views that have a file: which are not built, and how far each side is.

    A view whose file is gone may still be served; it is nobody's candidate, and nothing waits for it.
    """
    served = {side: store.served_builds(side) for side in Side}
    built = [(one.side, served[one.side][one.name].position) for one in views if one.name in served[one.side]]
    return Readiness(
        unbuilt=tuple(one.label for one in views if one.name not in served[one.side]),
        v1_position=max((position for side, position in built if side is Side.V1), default=None),
        v2_position=min((position for side, position in built if side is Side.V2), default=None),
    )
