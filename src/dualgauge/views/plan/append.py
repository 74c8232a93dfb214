"""Views that are kept by appending: each event gives rows of its own, so that new events give new rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.aggregates import has_aggregate
from dualgauge.views.plan.nulls import refuse_null

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition
    from dualgauge.views.plan.parts import Parts


def is_append(engine: Engine, view: ViewDefinition, parts: Parts, alias: str) -> bool:
    """
    Whether a SELECT groups nothing, and so gives each event rows of its own.

    Raises:
        NotKept: it does, and a column of its key may be NULL.
    """
    if parts.group is not None or has_aggregate(engine, parts.tree["select_list"]):
        return False
    for column in parts.columns:
        if column.name in view.key:
            refuse_null(column, parts.tree["where_clause"], alias)
    return True
