"""The columns of every event, and the name of the declared one that the log itself understands."""

from __future__ import annotations

import re

from dualgauge.engines.lexer import unquoted
from dualgauge.model import fold

ENVELOPE = {
    "position": "BIGINT",
    "event_id": "VARCHAR",
    "type": "VARCHAR",
    "occurred_at": "TIMESTAMPTZ",
    "recorded_at": "TIMESTAMPTZ",
    "payload": "VARCHAR",
}
"""Columns of every event, in the log's order, with their DuckDB types."""

CAUSED_BY = "caused_by"
"""The declared column that holds the id of the event which caused this one."""


def column_of(expression: str) -> str:
    """The column that an expression may be by itself, folded."""
    text = expression.strip()
    return fold(unquoted(text) if re.fullmatch('"([^"]|"")+"', text) else text)
