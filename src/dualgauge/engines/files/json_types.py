"""
JSON files as columns of SQL: each field as its text, and as the type that all of its values have, over every row.

A field of texts is a text, or a time where each is written as one; one of numbers has the narrowest type that keeps
every digit. Objects and lists become structs and lists by their shape, `{"id": "BIGINT", "tags": ["VARCHAR"]}`, which
`from_json` takes. It takes more than that: 1.5 for a BIGINT, and 0.10000000000000001 through a DOUBLE. So each value is
held against the shape first, in Python where it has numbers of which digits might be lost.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Flag, auto
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.errors import BadDialect
from dualgauge.engines.files.column_types import CANDIDATES, NUMBERS, TIMES, Spelling, check_types, misfitting, types_of
from dualgauge.engines.files.csv_options import check_value
from dualgauge.engines.files.json_shapes import CLOSED, is_of, merged, nested_fault, settled
from dualgauge.engines.files.json_text import string_of
from dualgauge.engines.files.text_rows import LINES, partitions_of
from dualgauge.engines.parquet_schema import exact
from dualgauge.model import canonical_json, fold, listed, literal, nearest, quote, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.json_shapes import Shape
    from dualgauge.engines.files.json_text import JsonTexts

OPTIONS: Final = ("format", "types", "dateformat", "timestampformat", "filename")
"""What may be said of a JSON file."""

FORMATS: Final = ("auto", LINES, "array", "unstructured")

_SAMPLE: Final = 20_480
"""Objects of files that are looked into for the names of their fields."""


class Held(Flag):
    """Kinds of values that a field holds, beside null."""

    TEXT = auto()
    OBJECT = auto()
    LIST = auto()
    TRUTH = auto()
    NUMBER = auto()
    NESTED = OBJECT | LIST


_LONG: Final = r"[0-9.]{16}|[0-9][eE][-+0-9]|[nN][aA][nN]|Inf"
"""A number of which a DOUBLE may not hold all."""

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_EMPTY: Final = (r"([:\[,]\s*|^\s*)\{\s*\}", r'\1{"\\u0001":null}')


def check_json_options(options: Mapping[str, Any]) -> None:
    """
    Look at what is said of JSON files.

    Raises:
        BadDialect: an option is none of `OPTIONS`, or holds what it cannot.
    """
    for name, value in options.items():
        if name not in OPTIONS:
            near = " (it is called 'types')" if name == "columns" else nearest(name, OPTIONS)
            advice = f"take it out: types are found over all rows; there are {listed(OPTIONS, len(OPTIONS))}"
            raise BadDialect(name, f"is no option of a JSON file{near}", advice)
        if name in ("dateformat", "timestampformat"):
            check_value(name, value)
        if name == "format" and value not in FORMATS:
            raise BadDialect(name, f"is {value!r}", f"say one of {listed(FORMATS, len(FORMATS))}")
    check_types(options, "JSON", "JSON[]")


_ALLOWED: Final = {Held(0): (*CANDIDATES, *NUMBERS), Held.TEXT: TIMES, Held.TRUTH: ("BOOLEAN",), Held.NUMBER: NUMBERS}
_FIRST: Final = {'"': Held.TEXT, "{": Held.OBJECT, "[": Held.LIST, "t": Held.TRUTH, "f": Held.TRUTH}
"""Kinds of values by their first character; all others are numbers."""


def raw_of(name: str) -> str:
    """The name of the column that has a field's JSON text as it stands in the file."""
    return f"_json {name}"


@dataclass(frozen=True, slots=True)
class JsonSpelling(Spelling):
    """How values are written in JSON: a text stands in quotes, and what does not is none, unless that is `said`."""

    def pattern_of(self, family: str) -> str | None:
        """As `Spelling` has it; 1E5 is a number here."""
        if family in NUMBERS[2:]:
            return r"(?i:-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]+)?|-?inf(inity)?|nan)"
        return Spelling.pattern_of(self, family)

    def value(self, name: str, kind: str) -> str:
        """The value of a type or a shape that a field's text is, which `fits` says."""
        if is_shape(kind):
            return from_json(quote(raw_of(name)), kind)
        return f"CAST({quote(raw_of(name))} AS JSON)" if kind == "JSON" else Spelling.value(self, name, kind)

    def fits(self, name: str, kind: str) -> str:
        """A condition that a field's text is a value of a type or a shape, and loses nothing as one."""
        raw = quote(raw_of(name))
        if is_nested(kind):
            return f"({raw} IS NOT NULL AND {fault_of(kind)}({raw}) IS NULL)"
        quoted = "" if kind in TIMES else "NOT "
        fits = Spelling.fits(self, name, kind)
        if fold(name) in self.said:
            return fits
        if kind == "VARCHAR":
            # What an expression makes of a text is another thing for a list or an object.
            return f"(NOT regexp_matches({raw}, '^[\\[{{]'))"
        return f"({quoted}starts_with({raw}, '\"') AND {fits})"

    def fault(self, name: str, kind: str) -> str:
        """A text of SQL: why a field's text is no value of a type or a shape."""
        raw = quote(raw_of(name))
        if is_nested(kind):
            return f"{literal(name)} || coalesce({fault_of(kind)}({raw}), ' is no JSON')"
        return f"{literal(f'{name} = ')} || {raw} || {literal(f' is no {kind}')}"


def opened(kind: str) -> str:
    """A shape without what says that it is `CLOSED`, unless it has no other field; any other type as it is."""
    return kind.replace(f'"{CLOSED}":"",', "")


def from_json(text: str, kind: str) -> str:
    """The value of a shape that an SQL expression of JSON is; an object that can have no field stays JSON."""
    shape = opened(kind).replace(f'{{"{CLOSED}":""}}', '"JSON"')
    return f"from_json({text}, {literal(shape)})"


def is_shape(kind: str) -> bool:
    """Whether a type is the shape of objects or lists."""
    return kind[:1] in ("{", "[")


def is_nested(kind: str) -> bool:
    """Whether a type is JSON, or a shape."""
    return kind == "JSON" or is_shape(kind)


def fault_of(kind: str) -> str:
    """The name in SQL of the function that says why a JSON text is no value of a shape, or of JSON; NULL if it is."""
    return f"json_fault_{sha256(kind)[:16]}"


def define_faults(engine: Engine, kinds: Mapping[str, str]) -> None:
    """Give the functions of the shapes among some types their names in SQL."""
    for kind in {kind for kind in kinds.values() if is_nested(kind)}:
        engine.define(fault_of(kind), _fault_in(json.loads(kind) if is_shape(kind) else kind))


def _fault_in(shape: Shape) -> Callable[[str | None], str | None]:
    return lambda raw: nested_fault(raw, shape)


@dataclass(frozen=True, slots=True)
class JsonFiles:
    """
    JSON files that `read_json_texts` has read.

    Args:
        texts: what was read.
        paths: the files, in their order.
        constants: of each file the values that its rows without such a field have: of its folders' names, and its own.
    """

    texts: JsonTexts
    paths: tuple[Path, ...]
    constants: tuple[Mapping[str, str | None], ...]

    @property
    def rows(self) -> dict[Path, int]:
        """How many rows each file has."""
        return dict(zip(self.paths, self.texts.rows, strict=True))

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields, and the columns that are no fields, of all files."""
        names = {fold(name): name for one in self.constants for name in one}
        own = {fold(name) for name in self.texts.columns}
        return (*self.texts.columns, *(name for folded, name in names.items() if folded not in own))

    def relation(self) -> str:
        """
        The rows in SQL, in their order: each field as its text, and under `raw_of` as it stands in the file.

        `_part` is the file's place, from 0, and `_row` the row's number in it, from 1.
        """
        columns = ["_part", "_row"]
        for name, column in self.texts.columns.items():
            raw = f"nullif({column}, 'null')"
            text = f"CASE WHEN starts_with({column}, '\"') THEN {string_of(column)} ELSE {raw} END"
            if constant := self._constant(name):
                text, raw = (
                    f"CASE WHEN {column} IS NULL THEN {one} ELSE {own} END"
                    for one, own in zip(constant, (text, raw), strict=True)
                )
            columns += [f"{text} AS {quote(name)}", f"{raw} AS {quote(raw_of(name))}"]
        for name in self.columns[len(self.texts.columns) :]:
            text, raw = self._constant(name) or ("CAST(NULL AS VARCHAR)", "CAST(NULL AS VARCHAR)")
            columns += [f"{text} AS {quote(name)}", f"{raw} AS {quote(raw_of(name))}"]
        return f"(SELECT {', '.join(columns)} FROM {self.texts.source})"

    def _constant(self, name: str) -> tuple[str, str] | None:
        """The value of a column that is constant in a file, as text and as JSON; None where no file has one."""
        values = [{fold(key): text for key, text in one.items()}.get(fold(name)) for one in self.constants]
        if all(one is None for one in values):
            return None
        texts, raws = (
            f"CAST([{', '.join('NULL' if one is None else literal(one) for one in each)}] AS VARCHAR[])[_part + 1]"
            for each in (values, [None if one is None else _as_json(one) for one in values])
        )
        return texts, raws


def field_names(engine: Engine, forms: Mapping[Path, str]) -> list[str]:
    """
    The names of the fields in the first objects of JSON files.

    Of two that differ by case it is the more frequent one, or the first.

    Raises:
        EngineError: they cannot be read.
    """
    objects = " UNION ALL ".join(
        f"(SELECT json FROM read_json_objects({literal(exact(file))}, format = {literal(form)}, "
        f"hive_partitioning = false, ignore_errors = {str(form == LINES).lower()}) LIMIT {_SAMPLE:d})"
        for file, form in forms.items()
    )
    keys = f"SELECT unnest(json_keys(json)) AS name, row_number() OVER () AS place FROM ({objects})"
    rows = engine.rows(f"SELECT name FROM ({keys}) GROUP BY name ORDER BY count(*), min(place) DESC")
    found = sorted({fold(name): name for (name,) in rows}.values())
    return found + list(partitions_of(next(iter(forms)), found))


def _as_json(text: str) -> str:
    """The name of a folder as JSON."""
    return text if re.fullmatch("-?(0|[1-9][0-9]*)", text) else json.dumps(text)


def json_types(
    engine: Engine, relation: str, names: Mapping[str, Sequence[str]], spelling: JsonSpelling
) -> dict[str, str]:
    """
    The types and shapes of fields of a relation, by their names; some value may not be of its shape.

    `names` are the fields, with the types that are tried. One of values of several kinds is a text where none is an
    object or a list, and JSON otherwise; one without a value has no type.

    Raises:
        EngineError: the relation cannot be read.
    """
    held = {name: kinds for name, kinds in kinds_of(engine, relation, names).items() if kinds.value}
    allowed = {name: [one for one in names[name] if one in _ALLOWED.get(kinds, ())] for name, kinds in held.items()}
    found = types_of(engine, relation, allowed, spelling)
    shapes = {
        name: _shape(engine, relation, name) if kinds in (Held.OBJECT, Held.LIST) else "JSON"
        for name, kinds in held.items()
        if kinds & Held.NESTED
    }
    return found | shapes


def json_misfitting(engine: Engine, relation: str, kinds: Mapping[str, str], spelling: JsonSpelling) -> set[str]:
    """Those fields of a relation of which some value is none of its type or shape. Raises EngineError."""
    define_faults(engine, kinds)
    nested = {name: kind for name, kind in kinds.items() if is_nested(kind)}
    unsure = misfitting(engine, relation, {name: kind for name, kind in kinds.items() if name not in nested}, spelling)
    for name, kind in nested.items():
        raw, text = quote(raw_of(name)), quote(name)
        loses = f"({_is_long(raw)} AND NOT {spelling.fits(name, kind)}) OR ({raw} IS NULL AND {text} IS NOT NULL)"
        (some,) = engine.row(f"SELECT coalesce(bool_or({loses}), false) FROM {relation}")
        shape = json.loads(kind) if is_shape(kind) else kind
        if some or not all(is_of(one, shape) for one in _structures(engine, relation, name)):
            unsure.add(name)
    return unsure


def _is_long(raw: str) -> str:
    long = f"regexp_matches(regexp_replace({raw}, {literal(_STRING)}, '\"\"', 'g'), {literal(_LONG)})"
    return f"(CASE WHEN regexp_matches({raw}, {literal(_LONG)}) THEN {long} ELSE false END)"


def kinds_of(engine: Engine, relation: str, names: Collection[str]) -> dict[str, Held]:
    """Which kinds of values fields of a relation hold. Raises EngineError where it cannot be read."""
    if not names:
        return {}
    kinds = " ".join(f"WHEN {literal(first)} THEN {kind.value:d}" for first, kind in _FIRST.items())
    kinds += f" ELSE {Held.NUMBER.value:d}"
    ors = ", ".join(
        f"coalesce(bit_or(CASE left({raw}, 1) {kinds} END) FILTER ({raw} IS NOT NULL), 0)"
        for raw in map(quote, map(raw_of, names))
    )
    return dict(zip(names, map(Held, engine.row(f"SELECT {ors} FROM {relation}")), strict=True))


def _shape(engine: Engine, relation: str, name: str) -> str:
    found = settled(reduce(merged, _structures(engine, relation, name)))
    return found if isinstance(found, str) else canonical_json(found)


def _structures(engine: Engine, relation: str, name: str) -> list[Shape]:
    """The structures that a field's values have, in the order in which they come first."""
    raw = quote(raw_of(name))
    rows = engine.rows(
        f"SELECT {structure_of(raw)} AS found FROM {relation} WHERE {raw} IS NOT NULL "
        "GROUP BY found ORDER BY min((_part, _row))"
    )
    return [json.loads(structure) for (structure,) in rows]


def structure_of(raw: str) -> str:
    """The structure of a JSON text in SQL, which is JSON."""
    # Seen: the engine says of an empty object what it says of a list of numbers and texts, that it is JSON.
    emptied = f"regexp_replace({raw}, {literal(_EMPTY[0])}, {literal(_EMPTY[1])}, 'g')"
    # Seen: it gives no structure of a value of more than 128 levels.
    return f"coalesce(TRY(json_structure(CASE WHEN contains({raw}, '{{') THEN {emptied} ELSE {raw} END)), '\"JSON\"')"
