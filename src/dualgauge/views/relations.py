"""
What an SQL text reads, as DuckDB itself parses it.

Another parser may take a text otherwise than the engine that runs it: a function behind LATERAL, or a table that is
called like a CTE of another scope, would be read without anybody knowing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.syntax import Node, statements_of
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.engines.duck import Engine

_READING: Final = frozenset(("json_serialize_plan",))
"""Functions of a text that read what it names: DuckDB plans it, and opens the files."""

_PURE: Final = frozenset(("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"))
"""Functions that give rows of nothing but their arguments."""


@dataclass(frozen=True, slots=True)
class Relations:
    """
    The tables that a text reads, each as (catalog and schema, name), and the functions that give it rows.

    CTEs are none of them, and neither are functions of their arguments alone.
    """

    tables: tuple[tuple[str, str], ...]
    functions: tuple[str, ...]

    @property
    def shown(self) -> list[str]:
        """All of them, as a message names them."""
        return [f"{schema}.{name}" if schema else name for schema, name in self.tables] + [
            f"{name}()" for name in self.functions
        ]


def relations(engine: Engine, sql: str) -> Relations | None:
    """What a SELECT reads, in the order of the text; None where the engine cannot say, for it is no plain SELECT."""
    statements = statements_of(engine, sql)
    if statements is None:
        return None
    found = list(dict.fromkeys(_read(statements, frozenset())))
    return Relations(
        tuple((schema, name) for schema, name, function in found if not function),
        tuple(name for _, name, function in found if function),
    )


def _read(node: Any, ctes: frozenset[str]) -> Iterator[tuple[str, str, bool]]:  # noqa: ANN401  (a tree of JSON)
    """Each table, and each function that gives rows, as (schema, name, whether it is a function)."""
    if isinstance(node, list):
        for one in node:
            yield from _read(one, ctes)
    elif isinstance(node, dict):
        for one in node.get("cte_map", {}).get("map", ()):
            query, name = one["value"], fold(one["key"])
            # Only a recursive one may read itself: in another its name is a table's.
            itself = {name} if (query.get("query_node") or {}).get("type") == "RECURSIVE_CTE_NODE" else set()
            yield from _read(query, ctes | itself)
            ctes |= {name}
        yield from _itself(node, ctes)
        for key, one in node.items():
            if key != "cte_map":
                yield from _read(one, ctes)


def _itself(node: Node, ctes: frozenset[str]) -> Iterator[tuple[str, str, bool]]:
    """What a node of the tree is, if it is something that is read."""
    match node.get("type"):
        case "BASE_TABLE":
            schema = ".".join(filter(None, (node["catalog_name"], node["schema_name"])))
            if schema or fold(node["table_name"]) not in ctes:
                yield schema, node["table_name"], False
        case "TABLE_FUNCTION" if (name := fold(node["function"]["function_name"])) not in _PURE:
            yield "", name, True
        case "FUNCTION" if (name := fold(node["function_name"])) in _READING:
            yield "", name, True
        case "SHOW_REF":
            yield "", "show", True
