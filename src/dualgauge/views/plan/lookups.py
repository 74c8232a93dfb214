"""
As-of look-ups of a view, as a tail keeps them: the last row of each key before a batch, and the batch's own rows.

An event is joined with the last earlier row that has its key. So of all rows before a batch the last one of each key is
enough, whatever their number was; a row that comes later changes nothing that was joined before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.engines.lexer import tokens
from dualgauge.engines.syntax import Node, select_of
from dualgauge.model import fold, quote
from dualgauge.views.definition import EVENTS
from dualgauge.views.plan.left import NotKept
from dualgauge.views.plan.states import comes_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dualgauge.engines.duck import Engine


@dataclass(frozen=True, slots=True)
class Lookup:
    """
    One right side of an as-of join.

    Args:
        name: the relation that stands for it where a batch is computed.
        relation: its SELECT over `events`.
        key: its columns that are compared for equality.
        columns: all of its columns, with their types.
    """

    name: str
    relation: str
    key: tuple[str, ...]
    columns: Mapping[str, str]

    def last(self, relation: str) -> str:
        """A SELECT of the last row of each key of a relation: `_key` and `_row`, both as text."""
        key, row = (
            f"CAST(struct_pack({', '.join(f'{quote(one)} := {quote(one)}' for one in names)}) AS VARCHAR)"
            for names in (self.key, self.columns)
        )
        by = ", ".join(map(quote, self.key))
        known = " AND ".join(f"{quote(one)} IS NOT NULL" for one in self.key)
        ordered = f"SELECT *, row_number() OVER (PARTITION BY {by} ORDER BY position DESC) AS _n FROM ({relation}\n)"
        return f"SELECT {key} AS _key, {row} AS _row FROM ({ordered} WHERE {known}) WHERE _n = 1"

    def rows(self, table: str, before: str = "") -> str:
        """A SELECT of the rows that are kept in a table as `_row`, as they were, behind other columns of it."""
        kind = ", ".join(f"{quote(name)} {kind}" for name, kind in self.columns.items())
        return f"SELECT {before}unnest(CAST(_row AS STRUCT({kind}))) FROM {table}"


def lookups_of(engine: Engine, sql: str, tree: Node) -> tuple[Lookup, ...]:
    """
    The look-ups of a SELECT whose joins all are as-of ones over `events`, in the order of the text. `tree` is its.

    Raises:
        NotKept: one of them cannot be kept.
    """
    found = []
    for number, (join, relation, _) in enumerate(_joins(sql, tree)):
        columns = engine.columns(relation)
        for name, kind in columns.items():
            if not comes_back(kind):
                raise NotKept(
                    f"the column {name} that it looks up is {kind}, which does not come back from text",
                    f"CAST {name} to VARCHAR there",
                )
        found.append(Lookup(f"_lookup{number}", relation, _key(join), columns))
    return tuple(found)


def on_batch(engine: Engine, sql: str) -> str:
    """The same SELECT, in which the relations of its look-ups stand by their names."""
    tree = select_of(engine, sql)
    if tree is None:
        raise NotKept("it is not understood")
    content = sql.encode()
    for number, (join, _, (start, end)) in reversed(list(enumerate(_joins(sql, tree)))):
        # Without an alias a table is called as it was.
        alias = f" AS {EVENTS}" if join["right"]["type"] == "BASE_TABLE" and not join["right"]["alias"] else ""
        content = content[:start] + f"_lookup{number}{alias}".encode() + content[end:]
    return content.decode()


def _joins(sql: str, tree: Node) -> Iterator[tuple[Node, str, tuple[int, int]]]:
    """Each join of a SELECT, the SELECT that is its right side, and where that stands, in bytes."""
    joins, node = [], tree["from_table"]
    while node["type"] == "JOIN":
        joins.append(node)
        node = node["left"]
    content = sql.encode()
    for join in reversed(joins):
        right = join["right"]
        start = right["query_location"]
        if right["column_name_alias"]:
            raise NotKept("it gives the columns that it looks up other names", "name them with AS in what it looks up")
        if right["type"] == "SUBQUERY":
            end = start + right["query_location_length"]
            yield join, content[start + 1 : end - 1].decode(), (start, end)
        else:
            name = tokens(content[start:].decode().partition("\n")[0])[0].text
            yield join, f"SELECT * FROM {EVENTS}", (start, start + len(name.encode()))


def _key(join: Node) -> tuple[str, ...]:
    """The columns of a join's right side that are compared for equality."""
    if join["using_columns"]:
        *names, _ = join["using_columns"]
        return tuple(names)
    alias = fold(join["right"]["alias"] or EVENTS)
    condition = join["condition"]
    parts = condition["children"] if condition["type"] == "CONJUNCTION_AND" else [condition]
    found = []
    for part in parts:
        if part["type"] != "COMPARE_EQUAL":
            continue
        sides = [side for side in (part["left"], part["right"]) if _is_of(side, alias)]
        if len(sides) != 1:
            raise NotKept(
                "it looks up by something else than a column of what it looks up", "SELECT that in what it looks up"
            )
        found.append(sides[0]["column_names"][-1])
    if not found:
        raise NotKept("it looks up by no key", "compare a column of what it looks up by `=`")
    return tuple(found)


def _is_of(node: Node, alias: str) -> bool:
    names = node["column_names"] if node["class"] == "COLUMN_REF" else []
    return len(names) > 1 and fold(names[0]) == alias
