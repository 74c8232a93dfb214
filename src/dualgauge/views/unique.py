"""What a view says to be unique over its events, and how to look whether it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.engines.errors import EngineError
from dualgauge.engines.lexer import tokens
from dualgauge.engines.syntax import meaning, nodes, select_of, statements_of
from dualgauge.model import fold, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine

_ALL: Final = "FROM events"
_ENDS: Final = frozenset(
    "group having qualify window order limit offset union intersect except select".split()  # noqa: SIM905
)
"""Words that end a WHERE."""


@dataclass(frozen=True, slots=True)
class Unique:
    """
    Columns of which no two events of a view agree in all, and in none of which an event has a NULL.

    Args:
        columns: their names.
        broken: a SELECT over `events` of the first values that break it: each column as text, and the positions of the
            first and the last event with them, which are one where a column is NULL in one event.
    """

    columns: tuple[str, ...]
    broken: str


def unique_of(engine: Engine, sql: str, declared: Sequence[Sequence[str]]) -> tuple[Unique, ...]:
    """
    How to look whether what a view says to be unique is so, over the events that it reads.

    Where it reads `events` in one place, these are the events that the WHERE there lets pass; else all.

    Args:
        engine: its `events` have the columns of the log.
        sql: the view's SELECT.
        declared: sets of columns.
    """
    if not declared:
        return ()
    source = _source(engine, sql)
    try:
        engine.columns(f"SELECT * {source}")
    except EngineError:
        # Its WHERE asks for what stands around it.
        source = _ALL
    return tuple(Unique(tuple(names), _broken(source, list(map(quote, names)))) for names in declared)


def _broken(source: str, columns: Sequence[str]) -> str:
    texts = ", ".join(f"CAST({column} AS VARCHAR)" for column in columns)
    bad = " OR ".join(["count(*) > 1", *(f"{column} IS NULL" for column in columns)])
    # The line break ends a comment.
    return (
        f"SELECT {texts}, min(position), max(position) {source}\nGROUP BY {', '.join(columns)} HAVING {bad} "
        "ORDER BY min(position) LIMIT 1"
    )


def _source(engine: Engine, sql: str) -> str:
    """The text from FROM to the end of WHERE where a SELECT reads `events` in one place alone; else all of `events`."""
    objects = list(nodes(statements_of(engine, sql)))
    read = [one for one in objects if one.get("type") == "BASE_TABLE" and fold(one["table_name"]) == "events"]
    around = [one for one in objects if one.get("type") == "SELECT_NODE" and one["from_table"] in read]
    if not len(read) == len(around) == 1 or read[0]["column_name_alias"]:
        return _ALL
    start = len(sql.encode()[: read[0]["query_location"]].decode())
    found = tokens(sql)
    depth = next(token.depth for token in found if token.start == start)
    begin = [token for token in found if token.start < start and token.depth == depth and token.text == "from"][-1]
    ends = (
        token.start
        for token in found
        if token.start > start and (token.depth < depth or (token.depth == depth and token.text in _ENDS))
    )
    source = sql[begin.start : next(ends, len(sql))].rstrip()
    again = select_of(engine, f"SELECT * {source}")
    parts = ("from_table", "where_clause")
    proven = again is not None and all(meaning(again[part]) == meaning(around[0][part]) for part in parts)
    return source if proven else _ALL
