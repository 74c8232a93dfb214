"""
Expressions of a source that take an object of JSON whole, and not a field of it.

`to_json(v)` is another text where a later object has one field more than those that gave `v` its shape, and that shape
has no room for it. So the shape of what is taken whole is `CLOSED`: an object with a new field is a row that does not
fit. An object of which only fields are named may get others, as a table may get columns.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.files.json_shapes import CLOSED
from dualgauge.engines.files.json_types import is_shape
from dualgauge.engines.syntax import Node, arguments_of, name_of, statements_of
from dualgauge.eventlog.columns import column_of
from dualgauge.model import canonical_json, fold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.json_shapes import Shape
    from dualgauge.eventlog.settings import SourceSettings

_EXTRACTS: Final = ("STRUCT_EXTRACT", "ARRAY_EXTRACT")
_CALLED_SO: Final = ("struct_extract", "array_extract", "list_extract", "list_element")
_OF_JSON: Final = ("->", "->>", "json_extract", "json_extract_string")
_FIELD: Final = re.compile(r"(\$\.)?\w+")
_OF_EACH: Final = ("list_transform", "list_apply", "array_transform", "array_apply", "apply")
_COUNTS: Final = ("len", "length", "array_length")
_UNNAMED: Final = "unnamed_"
"""What the engine's own names of tables begin with."""

_IS_NULL: Final = ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL")

_Path = tuple[str, ...]


def closed(
    engine: Engine, settings: SourceSettings, kinds: Mapping[str, str], names: Collection[str]
) -> dict[str, str]:
    """
    Types of columns, of whose shapes those are closed that are taken whole.

    Args:
        engine: parses the expressions.
        settings: the source's; what is a column by itself is no expression.
        kinds: types and shapes by the names of columns.
        names: all columns, in small letters.
    """
    shapes = {fold(name): json.loads(kind) for name, kind in kinds.items() if is_shape(kind)}
    if not shapes:
        return dict(kinds)
    found = _Reach(shapes, names)
    for setting, expression in settings.sql().items():
        if column_of(expression) in names:
            continue
        statements = statements_of(engine, expression if setting == "query" else f"SELECT {expression}")
        if statements is None:
            # What no plain SELECT is may take anything.
            found.every()
        for one in statements or ():
            found.look(one["node"], final=True)
    for column, *path in found.whole:
        _close(shapes[column], path)
    return {name: canonical_json(shapes[fold(name)]) if is_shape(kind) else kind for name, kind in kinds.items()}


def _close(shape: Shape, path: list[str]) -> None:
    """Close the objects of a shape at a path, and those in them; a list has the fields of its values."""
    if isinstance(shape, list):
        _close(shape[0], path)
    elif isinstance(shape, dict):
        inner = [one for name, one in shape.items() if name != CLOSED and (not path or fold(name) == path[0])]
        if not path or not inner:
            # A path of JSON may name a field that comes later; a name of SQL may not.
            shape[CLOSED] = ""
        for one in inner:
            _close(one, path[1:])


class _Reach:
    """
    The objects that expressions take whole: `whole` has their columns, with the names of the fields down to them.

    One name may stand for several paths: what is not sure counts as all of them.
    """

    def __init__(self, shapes: Iterable[str], names: Iterable[str]) -> None:
        self._columns = tuple(shapes)
        self._paths: dict[str, set[_Path]] = {name: {(name,)} for name in shapes}
        # A table's name by itself is a row of it, unless a column is called so.
        self._tables, self._others = {"source"}, set(names)
        self.whole = set[_Path]()

    def every(self) -> None:
        """Take each object whole."""
        self.whole |= {(one,) for one in self._columns}

    def look(self, node: Any, *, final: bool = True) -> None:  # noqa: ANN401  (a tree of JSON)
        """Look at a tree; what a SELECT that is not `final` gives is what other ones around it make of it."""
        if isinstance(node, list):
            for part in node:
                self.look(part)
        elif isinstance(node, dict) and "select_list" in node:
            self._look_at_select(node, final=final)
        elif isinstance(node, dict) and "class" in node:
            self._look_at_expression(node)
        elif isinstance(node, dict):
            self._look_at_table(node)

    def _look_at_select(self, node: Node, *, final: bool) -> None:
        for each in node.get("cte_map", {}).get("map", ()):
            if each["value"].get("aliases"):
                self.every()
            self._tables.add(fold(each["key"]))
            self.look(each["value"]["query_node"], final=False)
        self.look(node.get("from_table"))
        for one in node["select_list"]:
            paths = set() if final else self._of(one)
            name = one["alias"] or (one["column_names"][-1] if one["class"] == "COLUMN_REF" else "")
            if paths and name:
                self._name(name, paths)
            else:
                self.look(one)
        self.look([part for name, part in node.items() if name not in ("cte_map", "from_table", "select_list")])

    def _look_at_table(self, node: Node) -> None:
        if node.get("alias"):
            self._tables.add(fold(node["alias"]))
        called = node.get("column_name_alias") or []
        if node.get("type") == "TABLE_FUNCTION" and len(called) == 1 and (paths := self._of(node["function"])):
            self._name(called[0], paths)
            return
        if (called and node.get("type") != "TABLE_FUNCTION") or node.get("ref_type") == "NATURAL":
            self.every()
        for name in node.get("using_columns") or ():
            self.whole |= self._paths.get(fold(name), set())
        if node.get("type") == "SUBQUERY":
            self.look(node["subquery"]["node"], final=False)
        else:
            self.look(list(node.values()))

    def _look_at_expression(self, node: Node) -> None:
        if paths := self._of(node):
            self.whole |= paths
            return
        inner: Any = list(node.values())
        if node["class"] == "STAR":
            self.every()
        elif node["class"] == "COLUMN_REF":
            names = list(map(fold, node["column_names"]))
            row = names[0] in self._tables or names[0].startswith(_UNNAMED)
            if len(names) == 1 and row and names[0] not in self._others:
                self.every()
            return
        elif node["type"] in _IS_NULL:
            inner = [one for one in node["children"] if not self._of(one)]
        elif name_of(node) in _COUNTS:
            inner = [one for one in arguments_of(node) if not self._of(one)]
        elif name_of(node) in _OF_EACH:
            inner = self._of_each(node) or inner
        self.look(inner)

    def _of_each(self, node: Node) -> Node | None:
        """What is made of each value of a list, which has a name from here on; None where that is not sure."""
        values, *functions = arguments_of(node)
        paths = self._of(values)
        if not paths or len(functions) != 1 or functions[0]["class"] != "LAMBDA":
            return None
        given = functions[0]["lhs"]
        first = given if given["class"] == "COLUMN_REF" else next(iter(arguments_of(given)), given)
        if first["class"] != "COLUMN_REF":
            return None
        self._name(first["column_names"][0], paths)
        made: Node = functions[0]["expr"]
        return made

    def _name(self, name: str, paths: set[_Path]) -> None:
        self._paths.setdefault(fold(name), set()).update(paths)

    def _of(self, node: Node) -> set[_Path]:
        """The paths that an expression may be, and nothing else; a value of a list has that of the list."""
        if node.get("class") == "COLUMN_REF":
            names = list(map(fold, node["column_names"]))
            # A table's name may stand before it, also one that the engine gave.
            qualified = len(names) > 1 and (names[0] in self._tables or names[0] not in self._paths)
            starts = [0, *([1] if qualified else [])]
            return {(*path, *names[at + 1 :]) for at in starts for path in self._paths.get(names[at], ())}
        if node.get("class") == "CAST" and fold(node["type_expr"].get("type_name", "")) == "json":
            return self._of(node["child"])
        called = name_of(node) if "class" in node else ""
        if called == "unnest" and len(arguments_of(node)) == 1:
            return self._of(arguments_of(node)[0])
        if node.get("type") in _EXTRACTS or called in _CALLED_SO:
            child, place = arguments_of(node) if called else node["children"]
            if said := place.get("literal"):
                step = (fold(said["text"]),) if said["kind"] == "STRING" else ()
                return {(*path, *step) for path in self._of(child)}
        # `v->'a'` is parsed as a function of v.
        arrow = node.get("class") == "LAMBDA"
        if called in _OF_JSON or arrow:
            child, place = (node["lhs"], node["expr"]) if arrow else arguments_of(node)
            said = place.get("literal") or {"kind": "", "text": ""}
            if said["kind"] == "STRING" and _FIELD.fullmatch(said["text"]):
                return {(*path, fold(said["text"].removeprefix("$."))) for path in self._of(child)}
        return set()
