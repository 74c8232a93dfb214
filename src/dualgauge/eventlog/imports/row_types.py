"""The types that columns have for a row that is read by itself, where other rows gave them theirs before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dualgauge.engines.files.column_types import NUMBER, is_number
from dualgauge.engines.files.json_shapes import merged, settled
from dualgauge.engines.files.json_types import JsonSpelling, define_faults, is_shape, opened, raw_of, structure_of
from dualgauge.model import canonical_json, literal, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.engines.files.column_types import Spelling


def kinds_by_row(
    engine: Engine, relation: str, kinds: Mapping[str, str], spelling: Spelling
) -> dict[tuple[str, int], dict[str, str]]:
    """
    The types and shapes of columns for each row of a relation, where `kinds` are those that other rows gave them.

    A row whose values are all of these has these. A column of which its value is none has the type that it would have
    over those rows and this one: no other row of the relation matters; a number beside numbers is found anew, as
    `NUMBER`. By the rows' `_file` and `_row`.

    Raises:
        EngineError: the relation cannot be read.
    """
    define_faults(engine, kinds)
    asked = ["_file", "_row"]
    for name, kind in kinds.items():
        raw, own = quote(raw_of(name)), literal('"VARCHAR"')
        if is_number(kind):
            # Of which the settings may need no more by now than that it is a number.
            own = f"CASE WHEN {spelling.fits(name, NUMBER)} THEN {literal(canonical_json(NUMBER))} ELSE {own} END"
        if isinstance(spelling, JsonSpelling):
            own = f"CASE WHEN left({raw}, 1) IN ('{{', '[') THEN {structure_of(raw)} ELSE {own} END"
        fits = f"coalesce({spelling.fits(name, kind)}, false)"
        asked.append(f"CASE WHEN {quote(name)} IS NOT NULL AND NOT {fits} THEN {own} END")
    found = {}
    for file, row, *structures in engine.rows(f"SELECT {', '.join(asked)} FROM {relation}"):
        pairs = zip(kinds.items(), structures, strict=True)
        found[file, row] = {name: kind if own is None else _beside(kind, own) for (name, kind), own in pairs}
    return found


def _beside(kind: str, structure: str) -> str:
    """The type of a column that has values of a type or a shape, and one that is none and has a structure."""
    own, kind = json.loads(structure), opened(kind)
    if own == NUMBER:
        return NUMBER
    if isinstance(own, str) and own != "JSON" and not is_shape(kind):
        return "VARCHAR"
    found = settled(merged(json.loads(kind) if is_shape(kind) else kind, own))
    return found if isinstance(found, str) else canonical_json(found)
