"""Values as JSON for a payload, also those of which the engine writes what is no JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dualgauge.engines.files.column_types import is_number

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine

_MENDED = "json_mended"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)|(?<![0-9])\.')


def define_json(engine: Engine) -> None:
    """Give what `as_json` calls its name in SQL."""
    engine.define(_MENDED, _mended)


def as_json(column: str, kind: str) -> str:
    """
    A column as JSON, digit for digit; nan and the infinite numbers, which JSON has not, as texts.

    It is not to be given to `to_json` or `json_object`: they take the numbers of what is JSON already through DOUBLE.
    """
    if kind in ("DOUBLE", "FLOAT"):
        text = f"to_json(CAST({column} AS VARCHAR))"
        return f"CASE WHEN {column} IS NULL OR isfinite({column}) THEN to_json({column}) ELSE {text} END"
    if not miswritten(kind):
        return f"to_json({column})"
    written = f"CAST(to_json({column}) AS VARCHAR)"
    wrong = f"regexp_matches({written}, '(^|[^0-9])\\.[0-9]|NaN|Infinity')"
    return f"CASE WHEN {wrong} THEN CAST({_MENDED}({written}) AS JSON) ELSE to_json({column}) END"


def as_valid(column: str) -> str:
    """A column of JSON, in which what `to_json` wrote for nan and the infinite numbers, and JSON has not, is a text."""
    text = f"CAST({column} AS VARCHAR)"
    wrong = f"(contains({text}, 'NaN') OR contains({text}, 'Infinity'))"
    return f"CASE WHEN {wrong} THEN CAST({_MENDED}({text}) AS JSON) ELSE {column} END"


def miswritten(kind: str) -> bool:
    """Whether the engine writes what is no JSON for values of a type: NaN, or .5 for a DECIMAL of no whole digit."""
    return re.search(r"\b(DOUBLE|FLOAT|VARIANT)\b|DECIMAL\((\d+),\2\)", kind) is not None


def _mended(written: str | None) -> str | None:
    """JSON in which what is no number stands in quotes, as it does by itself, and a point has a nought before it."""
    words = {"NaN": '"nan"', "Infinity": '"inf"', "-Infinity": '"-inf"', ".": "0."}
    return _TOKEN.sub(lambda found: words.get(found[0], found[0]), written) if written else written


def as_written(text: str, kind: str) -> str:
    """
    The text of a value that is one of JSON as it is written, where a column holds NUMBER, another number, or BOOLEAN.

    NULL where JSON writes no such value: all that is left is a string. Empty for a column that holds anything else.
    """
    if kind == "BOOLEAN":
        return f"CASE WHEN {text} IN ('true', 'false') THEN {text} END"
    if not is_number(kind):
        return ""
    number = rf"regexp_replace({text}, '^(-?)\.', '\10.')"
    return rf"CASE WHEN regexp_full_match({text}, '-?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?') THEN {number} END"
