"""The types that columns have for a row that is read by itself, where other rows gave them theirs before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dualgauge.engines.files.column_types import CANDIDATES, NAN, NUMBER, NUMBERS, TIMES, Held, is_number, sized
from dualgauge.engines.files.json_shapes import merged, settled
from dualgauge.engines.files.json_types import JsonSpelling, define_faults, is_shape, opened, raw_of, structure_of
from dualgauge.model import canonical_json, literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.column_types import Spelling
    from dualgauge.engines.files.json_shapes import Shape


def kinds_by_row(
    engine: Engine, relation: str, kinds: Mapping[str, str], spelling: Spelling
) -> dict[tuple[str, int], dict[str, str]]:
    """
    The types and shapes of columns for each row of a relation, where `kinds` are those that other rows gave them.

    A row whose values are all of these has these. A column of which its value is none has the type that it would have
    over those rows and this one: no other row of the relation matters; a number beside numbers is found anew, as
    `NUMBER`. A column to which no row gave a type, which is empty then, has that of the row's value; none where that is
    NULL, or nan. By the rows' `_file` and `_row`.

    Raises:
        EngineError: the relation cannot be read.
    """
    define_faults(engine, kinds)
    asked = ["_file", "_row"]
    for name, kind in kinds.items():
        raw, own = quote(raw_of(name)), literal('"VARCHAR"')
        if is_number(kind) or kind in ("", NAN):
            own = _own(name, spelling)
        if isinstance(spelling, JsonSpelling):
            own = f"CASE WHEN left({raw}, 1) IN ('{{', '[') THEN {structure_of(raw)} ELSE {own} END"
        fits = f"coalesce({spelling.fits(name, kind)}, false)" if kind not in ("", NAN, NUMBER) else "false"
        asked.append(f"CASE WHEN {quote(name)} IS NOT NULL AND NOT {fits} THEN {own} END")
    found = {}
    for file, row, *structures in engine.rows(f"SELECT {', '.join(asked)} FROM {relation}"):
        pairs = zip(kinds.items(), structures, strict=True)
        kept = {name: kind if own is None else _beside(kind, own) for (name, kind), own in pairs}
        found[file, row] = {name: kind for name, kind in kept.items() if kind not in ("", NAN)}
    return found


def _own(name: str, spelling: Spelling) -> str:
    """SQL that gives the type of the value that a column's text is by itself, as JSON; of a number, with its text."""
    found = {
        kind: f"to_json('{kind} ' || {spelling.number(quote(name))})" if kind in NUMBERS else literal(f'"{kind}"')
        for kind in (*CANDIDATES[: -len(TIMES)], NUMBER, *TIMES, "VARCHAR")
    }
    return f"CASE {' '.join(f'WHEN {spelling.fits(name, kind)} THEN {one}' for kind, one in found.items())} END"


def _beside(kind: str, structure: str) -> str:
    """The type of a column that has values of a type or a shape, and one that is none and has a structure."""
    own, kind = json.loads(structure), opened(kind)
    family, _, number = own.partition(" ") if isinstance(own, str) else ("", "", "")
    if number:
        return _number(kind, family, number)
    if family and (not kind or family == "VARCHAR"):
        # Of a text an expression makes another thing than of a list.
        return "JSON" if is_shape(kind) or kind == "JSON" else family
    if not kind:
        return _written(settled(own))
    if family and family != "JSON" and not is_shape(kind):
        return "VARCHAR"
    return _written(settled(merged(json.loads(kind) if is_shape(kind) else kind, own)))


def _number(kind: str, family: str, number: str) -> str:
    """The type of a column that has values of a type, and a number, which is of a family and none of the type."""
    if is_shape(kind) or kind == "JSON":
        return "JSON"
    whole, _, fraction = number.lstrip("-").partition(".")
    size = Held(1, len(whole), len(fraction), any(map(str.isdigit, number)))
    if kind in ("", NAN):
        own = sized(family, size)
        # One of more digits than a type has is a number for the payload alone.
        return NUMBER if own == "VARCHAR" else own
    if not is_number(kind):
        return "VARCHAR"
    if family == "DOUBLE" and size.digits and not kind.startswith(("DECIMAL(38", "DOUBLE", NUMBER)):
        # Those of 15 digits are the shortest texts of one, too.
        return family
    if family not in ("BIGINT", "DECIMAL") or kind in ("DOUBLE", NUMBER):
        return NUMBER
    scale = max(size.scale, int(kind.rstrip(")").rpartition(",")[2]) if kind.startswith("DECIMAL") else 0)
    own = sized("DECIMAL", size._replace(scale=scale))
    return NUMBER if own == "VARCHAR" else f"DECIMAL(38,{scale})" if kind.startswith("DECIMAL(38") else own


def _written(shape: Shape) -> str:
    return shape if isinstance(shape, str) else canonical_json(shape)
