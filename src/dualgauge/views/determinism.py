"""
What in a SELECT may answer otherwise at the next replay of the same log: what hangs on an order that is not unique.

An order is unique by where its columns come from: no two events have one `position` or `event_id`; a GROUP BY makes its
expressions unique, a DISTINCT all of its columns, a `row_number` its partition with the number; of a join the keys of
both sides together, and of an as-of one those of its left side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.aggregates import BY_KEY, OF_ONE, has_aggregate, named
from dualgauge.engines.macros import aggregates_of, macros_with
from dualgauge.engines.syntax import Node, arguments_of, expressions, meaning, name_of, with_parents, written
from dualgauge.model import fold
from dualgauge.views.rows import Rows, by_name, constant_of, union_of
from dualgauge.views.scope import (
    Name,
    Scope,
    all_names,
    columns_of,
    compared,
    covers,
    is_all,
    made_of,
    names_of,
    replaced,
    starred,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.views.rows import Value

_LISTS: Final = frozenset(("list", "array_agg", "string_agg", "group_concat", "listagg"))
_SCHEMAS: Final = (["main"], ["pg_catalog"], ["system"], ["system", "main"], ["memory", "main"])
"""What may stand before a function's name and is no value: `n.first()` is `first(n)`."""

_NEVER: Final = {
    "mode": "of several values that are there as often it gives any: `arg_max(value, (n, value))` over a count of each",
    "approx_count_distinct": "count(DISTINCT ...)", "approx_quantile": "quantile_cont(...)",
    "approx_top_k": "a count of each value, and LIMIT with a unique ORDER BY",
    "reservoir_quantile": "quantile_cont(...)", "hash": "md5(...)",
    "lttb": "a SELECT of the rows that are wanted", "combine_aggr": "the aggregate itself",
    "variant_group_object": "map(list(key ORDER BY key), list(value ORDER BY key)), of unique keys",
}  # fmt: skip
_PLACES: Final = frozenset(("row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value", "fill"))
_SORTING: Final = frozenset(
    ("list_sort", "array_sort", "list_reverse_sort", "array_reverse_sort", "len", "length", "array_length", "list_sum",
     "list_min", "list_max", "list_unique")
)  # fmt: skip

_SEVERAL: Final = frozenset(("unnest", "unlist", "generate_subscripts"))
"""Functions of a SELECT's columns that give several rows for one."""

_PARTS: Final = ("select_list", "where_clause", "having", "qualify", "group_expressions", "modifiers")
_ORDERING: Final = ("order_bys", "orders", "arg_orders", "partitions", "filter", "filter_expr")
"""Parts of a call that say in which order, or of which rows, and not what it gives."""

_TELLING: Final = frozenset(("count", "~~", "!~~", "~~*", "!~~*", "like_escape", "not_like_escape"))
"""Functions that tell the same of texts that a COLLATE makes one."""

_NAMES: Final = 8
"""Sets of names under which one set of columns is looked for."""

_BOUNDED: Final = 3
"""Arguments of a bitstring_agg that says between which values it is."""

ORDERED: Final = "give it an ORDER BY that ends with position"
IDIOM: Final = "add `position` as the last thing that it is ordered by"
TUPLE: Final = "write its key as (..., position)"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One expression that may answer otherwise, and how to write it so that it does not."""

    sql: str
    idiom: str


def doubts(
    engine: Engine, sql: str, tree: Node, event_columns: Iterable[str], declared: Iterable[Sequence[str]] = ()
) -> list[Doubt]:
    """
    What of a SELECT may answer otherwise.

    Args:
        engine: knows its aggregates.
        sql: the SELECT.
        tree: it, as the engine parses it.
        event_columns: the columns of `events`.
        declared: sets of these that the view declares to be unique.
    """
    unique = [("position",), ("event_id",), *declared]
    events = Rows(tuple(map(fold, event_columns)), tuple(frozenset(map(fold, names)) for names in unique), placed=True)
    return doubts_over(engine, sql, tree, {"events": events})


def doubts_over(engine: Engine, sql: str, tree: Node, known: Mapping[str, Rows]) -> list[Doubt]:
    """The same of a SELECT over other relations, by their folded names."""
    work = _Work(engine, sql, known.get("events", Rows()))
    work.query(tree, known)
    return list(dict.fromkeys(work.found))


class _Work:
    def __init__(self, engine: Engine, sql: str, events: Rows) -> None:
        self._engine, self._sql, self._events, self._aggregates = engine, sql, events, aggregates_of(engine)
        self._unordered = macros_with(engine, frozenset(_LISTS | OF_ONE.keys() | _NEVER.keys()))
        self._several = _SEVERAL | macros_with(engine, _SEVERAL)
        self.found: list[Doubt] = []

    def query(self, node: Node, known: Mapping[str, Rows]) -> Rows:
        """Look through a query; gives what its rows are."""
        known = dict(known)
        for one in node.get("cte_map", {}).get("map", ()):
            inner = one["value"].get("query_node") or one["value"].get("query", {}).get("node")
            if one["value"].get("key_targets"):
                self.found.append(Doubt("WITH RECURSIVE ... USING KEY", "a fold with `arg_max(x, position)`"))
            if inner is not None:
                known[fold(one["key"])] = self.query(inner, known).renamed(one["value"].get("aliases") or ())
        if node["type"] == "SELECT_NODE":
            return self._select(node, known)
        if node["type"] == "SET_OPERATION_NODE":
            sides = node.get("children") or [node["left"], node["right"]]
            rows = [self.query(one.get("node", one), known) for one in sides if one]
            if node["setop_type"] == "UNION_BY_NAME":
                rows = by_name(rows)
            found = Rows(rows[0].columns, placed=rows[0].placed)
            if node["setop_type"].startswith("UNION"):
                found = union_of(rows, distinct=not node["setop_all"])
            names = [frozenset(("", name) for name in one) for one in found.unique]
            self._modifiers(node, Scope({"": found.columns} if found.placed else {}), names)
            return found
        for inner in (node.get("left"), node.get("right")):
            if isinstance(inner, dict):
                self.query(inner, known)
        return Rows()

    def _select(self, node: Node, known: Mapping[str, Rows]) -> Rows:
        scope = self._source(node["from_table"], known)
        scope.items = items = node["select_list"]
        parts = [node[part] for part in _PARTS]
        for below in _subqueries(parts):
            self.query(below, known)
        for call, _ in with_parents(parts, windows=True):
            self._never(call)
        if _shows_collated([items, node["group_expressions"]]):
            self.found.append(Doubt("a COLLATE, which makes several texts one", "group by lower(x), and SELECT it"))
        grouped = bool(node["group_expressions"]) or node["aggregate_handling"] == "FORCE_AGGREGATES"
        single = not grouped and has_aggregate(self._engine, items)
        groups = list(map(scope.numbered, self._groups(node))) if grouped else []
        by = all_names(groups, scope)
        # Of several sets a group has the values of one of them.
        of_all = by if len(node["group_sets"]) <= 1 else set()
        self._calls([*items, node["having"], node["qualify"], node["modifiers"]], scope, of_all)
        unique = list(scope.unique)
        if grouped or single:
            # Behind a GROUP BY its expressions are unique, whatever the rows were; without one there is one row.
            unique, scope.of_events = [frozenset(by)], False
        if len(node["group_sets"]) > 1:
            unique, groups = [], []
        self._windows([*items, node["qualify"], node["modifiers"]], scope, unique)
        several = any(name_of(call) in self._several for call, _ in with_parents(items))
        if several:
            unique, groups, scope.of_events = [], [], False
        if _is_distinct(node):
            unique.append(frozenset(all_names(items, scope)))
        self._modifiers(node, scope, unique)
        if on := [target for one in node["modifiers"] for target in one.get("distinct_on_targets", ())]:
            unique.append(frozenset(all_names(map(scope.ordered, on), scope)))
        rows = self._output(node, scope, unique, groups)
        if several:
            # A row's number is repeated with it.
            rows = replace(rows, unique=(frozenset(rows.columns),) if _is_distinct(node) and rows.placed else ())
        return rows

    def _never(self, call: Node) -> None:
        """Look at a call that no order helps."""
        name = name_of(call)
        if name in _NEVER:
            self._doubt(call, _NEVER[name])
        elif name in self._unordered:
            self._doubt(call, "to_json(list(x ORDER BY position)), or what else it stands for, with an ORDER BY")
        elif name == "bitstring_agg" and len(_given(call)) < _BOUNDED:
            self._doubt(call, "name the least and the greatest value: bitstring_agg(x, 0, 99)")
        elif name in _LISTS and any(one["class"] == "POSITIONAL_REFERENCE" for one in _given(call)):
            self.found.append(Doubt("ARRAY(SELECT ...)", "(SELECT list(x ORDER BY position) FROM ...)"))

    def _groups(self, node: Node) -> list[Node]:
        items = node["select_list"]
        if not node["group_expressions"]:
            return [item for item in items if not has_aggregate(self._engine, item)]
        return list(node["group_expressions"])

    def _output(self, node: Node, scope: Scope, unique: Sequence[frozenset[Name]], groups: Sequence[Node]) -> Rows:
        """What the rows of a SELECT are by the names of its columns."""
        names: dict[Name, list[str]] = {}
        columns: list[str] = []
        placed = complete = True
        by_meaning: dict[str, str] = {}
        numbered: list[frozenset[Name]] = []
        constants: dict[str, frozenset[Value]] = {}
        for at, item in enumerate(node["select_list"]):
            if item["class"] == "STAR":
                for (relation, column), new in starred(item, scope).items():
                    columns.append(new)
                    if (relation, column) not in replaced(item, scope):
                        names.setdefault((relation, column), []).append(new)
                placed = placed and len(scope.columns) == 1 and not item["columns"]
                complete = complete and not item["columns"] and all(scope.columns.values())
                continue
            placed = placed and not any(one["class"] == "STAR" for one in expressions(item))
            name = _called(item) or f"#{at}"
            columns.append(name)
            if value := constant_of(item):
                constants[name] = value
            by_meaning[repr(meaning(item))] = name
            for source in names_of(item, scope) if item["class"] == "COLUMN_REF" else ():
                names.setdefault(source, []).append(name)
            if item["class"] == "WINDOW" and name_of(item) == "row_number":
                numbered.append(frozenset({("", name), *all_names(item["partitions"], scope)}))
                names["", name] = [name]
        known = [keys for keys in (*unique, *numbered) if keys <= names.keys()]
        # A column may be given twice, under two names.
        found = [
            frozenset(chosen) for keys in known for chosen in islice(product(*(names[one] for one in keys)), _NAMES)
        ]
        grouped = [by_meaning.get(repr(meaning(scope.resolved(group))), "") for group in groups]
        found += [frozenset(grouped)] * (bool(groups) and all(grouped))
        if _is_distinct(node):
            found += [frozenset(columns)] * complete
        placed = placed and complete and len(set(columns)) == len(columns)
        return Rows(tuple(columns), tuple(found), constants, placed)

    def _source(self, node: Node, known: Mapping[str, Rows]) -> Scope:
        kind = node["type"]
        if kind == "JOIN":
            return self._join(node, known)
        rows, name = Rows(), fold(node.get("alias") or "")
        if kind == "BASE_TABLE":
            rows = known.get(fold(node["table_name"]), Rows())
            name = name or fold(node["table_name"])
        elif kind == "SUBQUERY":
            rows = self.query(node["subquery"]["node"], known)
        elif kind == "PIVOT":
            self._calls(node["aggregates"], self._source(node["source"], known), set())
            for call, _ in with_parents(node["aggregates"]):
                self._never(call)
        else:
            for below in _subqueries(node):
                self.query(below, known)
        if kind == "EMPTY":
            return Scope(unique=[frozenset()])
        if node.get("column_name_alias"):
            rows = rows.renamed(node["column_name_alias"])
        unique = [frozenset((name, one) for one in keys) for keys in rows.unique]
        return Scope({name: rows.columns}, rows is self._events, unique)

    def _join(self, node: Node, known: Mapping[str, Rows]) -> Scope:
        left, right = self._source(node["left"], known), self._source(node["right"], known)
        for below in _subqueries(node["condition"]):
            self.query(below, known)
        for call, _ in with_parents(node["condition"]):
            self._never(call)
        found = Scope(left.columns | right.columns, unique=[a | b for a in left.unique for b in right.unique])
        using, kind = set(map(fold, node["using_columns"])), node["join_type"]
        by_order = node["ref_type"] == "ASOF"
        met_right, met_left = (
            compared(node["condition"], side, other, found, by_order=by_order)
            | {name for name in columns_of(side) if name[1] in using}
            for side, other in ((right, left), (left, right))
        )
        if node["ref_type"] == "POSITIONAL":
            self.found.append(Doubt("a POSITIONAL JOIN", "join by `position`, or by a row_number() of each side"))
            found.unique = []
            return found
        sure = any(keys <= met_right for keys in right.unique)
        if by_order and not sure:
            text = "an ASOF JOIN by something that is not unique"
            self.found.append(Doubt(text, "join by `position`, or look up a relation whose times are unique"))
        # Each row of the left side meets one of the right, or none; rows of the right that meet none have no left side.
        if kind in ("SEMI", "ANTI") or (kind in ("INNER", "LEFT") and (sure or by_order)):
            found.unique += left.unique
        if kind in ("INNER", "RIGHT") and not by_order and any(keys <= met_left for keys in left.unique):
            found.unique += right.unique
        return found

    def _calls(self, parts: Any, scope: Scope, by: set[Name]) -> None:  # noqa: ANN401  (a tree of JSON)
        """Look at the aggregates of expressions over groups of the rows of a scope."""
        for call, parent in with_parents(parts):
            name = name_of(call)
            if name not in self._aggregates:
                continue
            arguments = _given(call)
            given = [one["expression"] for one in call["order_bys"]["orders"]]
            value = arguments[:1]
            if named(name) in BY_KEY and len(arguments) > 1:
                if not self._tells(value, arguments[1:2], scope, scope.unique, by):
                    self._doubt(call, TUPLE + _declared(arguments[1:2], scope))
            elif name in OF_ONE or (name in _LISTS and name_of(parent or {"class": ""}) not in _SORTING):
                if made_of(value, scope) <= by or all_names(value, scope) <= by:
                    continue
                if not (given and self._tells(value, given, scope, scope.unique, by)):
                    idiom = ORDERED if name in _LISTS else f"write arg_max(x, position), or {ORDERED}"
                    self._doubt(call, idiom + _declared(given, scope))

    def _tells(
        self, value: Sequence[Node], order: Sequence[Node], scope: Scope, unique: Iterable[frozenset[Name]],
        beside: set[Name],
    ) -> bool:  # fmt: skip
        """Whether an order leaves no tie, or only such of one value, within what agrees in some columns."""
        keys = all_names(order, scope) | beside
        return made_of(value, scope) <= keys or all_names(value, scope) <= keys or covers(unique, keys)

    def _windows(self, parts: Any, scope: Scope, unique: Sequence[frozenset[Name]]) -> None:  # noqa: ANN401
        for call, _ in with_parents(parts, windows=True):
            if call["class"] != "WINDOW":
                continue
            name, arguments = name_of(call), _given(call)
            within = all_names(call["partitions"], scope)
            orders = [one["expression"] for one in (*call["orders"], *call["arg_orders"])]
            rows = any(str(call[end]).endswith("_ROWS") for end in ("start", "end"))
            framed = [one["expression"] for one in call["orders"]]
            if rows and not covers(unique, all_names(framed, scope) | within):
                self._doubt(call, IDIOM + _declared(framed, scope))
                continue
            if named(name) in BY_KEY and len(arguments) > 1:
                if not self._tells(arguments[:1], arguments[1:2], scope, unique, within):
                    self._doubt(call, TUPLE + _declared(arguments[1:2], scope))
                continue
            inner = [one["expression"] for one in call["arg_orders"]]
            if name in (*OF_ONE, *_LISTS) and inner and self._tells(arguments[:1], inner, scope, unique, within):
                continue
            placed = name in OF_ONE or name in _PLACES | _LISTS
            if placed and not covers(unique, all_names(orders, scope) | within):
                self._doubt(call, IDIOM + _declared(orders, scope))

    def _modifiers(self, node: Node, scope: Scope, unique: Sequence[frozenset[Name]]) -> None:
        kinds = {one["type"]: one for one in node["modifiers"]}
        orders = [scope.ordered(one["expression"]) for one in kinds.get("ORDER_MODIFIER", {}).get("orders", ())]
        keys = all_names(orders, scope)
        if any(map(is_all, orders)):
            keys |= all_names(scope.items, scope) | {("", name) for name in scope.columns.get("", ())}
        if "LIMIT_MODIFIER" in kinds and not covers(unique, keys):
            self.found.append(Doubt("LIMIT without a unique ORDER BY", IDIOM + _declared(orders, scope)))
        distinct = kinds.get("DISTINCT_MODIFIER")
        if distinct and distinct["distinct_on_targets"]:
            keys |= all_names(map(scope.ordered, distinct["distinct_on_targets"]), scope)
            if not covers(unique, keys):
                idiom = IDIOM + _declared(orders, scope)
                self.found.append(Doubt("DISTINCT ON without a unique ORDER BY", idiom))

    def _doubt(self, call: Node, idiom: str) -> None:
        text = written(call, self._sql)
        self.found.append(Doubt(" ".join(text.split()) or f"{call['function_name']}()", idiom))


def _declared(order: Sequence[Node], scope: Scope) -> str:
    """What a view may say of an order by columns of the events, behind other advice; empty where that is no help."""
    parts = [part for node in order for part in unpacked(node)]
    names = [part["column_names"][-1] for part in parts if part["class"] == "COLUMN_REF"]
    if not scope.of_events or not names:
        return ""
    return f"; or, where no two events agree in it, say so in the header: `-- unique: {', '.join(names)}`"


def _is_distinct(node: Node) -> bool:
    """Whether a SELECT has DISTINCT, and not ON something."""
    return any(one["type"] == "DISTINCT_MODIFIER" and not one["distinct_on_targets"] for one in node["modifiers"])


def _called(item: Node) -> str:
    """The folded name of a SELECT's column; empty where it has none of its own."""
    return fold(item["alias"] or (item["column_names"][-1] if item["class"] == "COLUMN_REF" else ""))


def _subqueries(node: Any) -> Iterator[Node]:  # noqa: ANN401
    for one in expressions(node):
        if one["class"] == "SUBQUERY":
            yield one["subquery"]["node"]


def _given(call: Node) -> list[Node]:
    """What a function is called with, the value before its name too: `n.first()`."""
    path = call.get("qualified_name", {}).get("path", [])[:-1]
    if not path or path in _SCHEMAS:
        return arguments_of(call)
    return [{"class": "COLUMN_REF", "alias": "", "column_names": path}, *arguments_of(call)]


def _shows_collated(node: Any) -> bool:  # noqa: ANN401  (a tree of JSON)
    """Whether what columns or groups are is of texts that a COLLATE makes one; not what is ordered by or compared."""
    if isinstance(node, list):
        return any(map(_shows_collated, node))
    if not isinstance(node, dict) or node.get("class") in ("COMPARISON", "BETWEEN", "SUBQUERY"):
        return False
    if node.get("class") == "COLLATE":
        return True
    if node.get("type") in ("COMPARE_IN", "COMPARE_NOT_IN") or ("class" in node and name_of(node) in _TELLING):
        return False
    return any(_shows_collated(part) for name, part in node.items() if name not in _ORDERING)
