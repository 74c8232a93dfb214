"""
Values of SQLite as texts, where the two sides of a column are of unlike types: `stores.external.types.as_told` in SQL.

SQLite keeps any value in any column, so the number 1, the text '1' and the byte x'31' may stand in one, or on the two
sides. As plain texts they would be one.
"""

from __future__ import annotations

from typing import Final

_MARKED: Final = " OR ".join(f"suffix({{0}}, ' ({one})')" for one in ("number", "blob", "text"))
_WHOLE: Final = "abs({0}) < 9223372036854775808 AND {0} = trunc({0})"


def escaped(text: str) -> str:
    """A text beside values of several types: what ends like one of them is marked as the text that it is."""
    return f"CASE WHEN {_MARKED.format(text)} THEN {text} || ' (text)' ELSE {text} END"


def told_text(column: str, kind: str, *, mixed: bool) -> str:
    """A value of a column of a DuckDB type that SQLite's values were found to fit, as the text that tells its type."""
    if mixed:
        return column
    typed = f"CAST({column} AS {kind})"
    if kind == "BLOB":
        return f"lower(hex({typed})) || ' (blob)'"
    if kind == "BOOLEAN":
        return f"CAST(CAST({typed} AS INTEGER) AS VARCHAR) || ' (number)'"
    if kind == "BIGINT":
        return f"CAST({typed} AS VARCHAR) || ' (number)'"
    if kind == "DOUBLE" or kind.startswith("DECIMAL("):
        whole = f"CAST(CAST({typed} AS HUGEINT) AS VARCHAR)"
        part = f"CAST(CAST({typed} AS DOUBLE) AS VARCHAR)"
        condition = _WHOLE.format(typed) if kind == "DOUBLE" else f"{typed} = trunc({typed})"
        return f"CASE WHEN {condition} THEN {whole} ELSE {part} END || ' (number)'"
    return escaped(f"CAST({typed} AS VARCHAR)")


def plain_text(column: str, *, mixed: bool) -> str:
    """A value as it stands in a CSV file, which does not say whether it is a number."""
    text = f"CAST({column} AS VARCHAR)"
    return f"regexp_replace({text}, ' [(](number|blob|text)[)]$', '')" if mixed else text
