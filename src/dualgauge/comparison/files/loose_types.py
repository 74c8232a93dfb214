"""
Values of SQLite as texts, where the two sides of a column are of unlike types: `stores.external.types.as_told` in SQL.

SQLite keeps any value in any column, so the number 1, the text '1' and the byte x'31' may stand in one, or on the two
sides. As plain texts they would be one.
"""

from __future__ import annotations

from typing import Final

_MARKED: Final = " OR ".join(f"suffix({{0}}, ' ({one})')" for one in ("number", "blob", "text"))
_WHOLE: Final = "{0} >= -9223372036854775808 AND {0} < 9223372036854775808 AND {0} = trunc({0})"


def escaped(text: str) -> str:
    """A text beside values of several types: what ends like one of them is marked as the text that it is."""
    return f"CASE WHEN {_MARKED.format(text)} THEN {text} || ' (text)' ELSE {text} END"


def told_text(column: str, kind: str, stored: str, *, mixed: bool) -> str:
    """
    A value of a column of a DuckDB type that SQLite's values were found to fit, as the text that tells its type.

    `stored` is the text of it as SQLite has it, where it is a text there: one moment is written in several ways.
    """
    if mixed:
        return column
    typed = f"CAST({column} AS {kind})"
    if kind == "BLOB":
        return f"lower(hex({typed})) || ' (blob)'"
    if (number := _number_text(typed, kind)) is not None:
        return f"{number} || ' (number)'"
    return escaped(f"CAST({stored} AS VARCHAR)")


def _number_text(typed: str, kind: str) -> str | None:
    """A number as the text that it has in a column of several types; None where the type is of no numbers."""
    if kind == "BOOLEAN":
        return f"CAST(CAST({typed} AS INTEGER) AS VARCHAR)"
    if kind == "BIGINT":
        return f"CAST({typed} AS VARCHAR)"
    if kind == "DOUBLE" or kind.startswith("DECIMAL("):
        whole = f"CAST(CAST({typed} AS HUGEINT) AS VARCHAR)"
        part = f"CAST(CAST({typed} AS DOUBLE) AS VARCHAR)"
        condition = _WHOLE.format(typed) if kind == "DOUBLE" else f"{typed} = trunc({typed})"
        return f"CASE WHEN {condition} THEN {whole} ELSE {part} END"
    return None


def plain_text(column: str, kind: str, stored: str, *, mixed: bool) -> str:
    """A value as it stands in a CSV file, which does not say whether it is a number."""
    if mixed:
        return f"regexp_replace({column}, ' [(](number|blob|text)[)]$', '')"
    # What is stored is 1 and 5, not the true and the 5.00 of the type.
    number = _number_text(f"CAST({column} AS {kind})", kind) if kind != "DOUBLE" else None
    return number or f"CAST({stored} AS VARCHAR)"
