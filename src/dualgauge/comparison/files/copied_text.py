"""Values of PostgreSQL as COPY writes them, where the engine's own text is another one: beside a CSV export."""

from __future__ import annotations

from typing import Final

_QUOTED: Final = r"""e = '' OR upper(e) = 'NULL' OR regexp_matches(e, '[{}",\\\s\x0b]')"""
_ELEMENT: Final = (
    f"CASE WHEN e IS NULL THEN 'NULL' WHEN {_QUOTED} "
    "THEN '\"' || replace(replace(e, '\\', '\\\\'), '\"', '\\\"') || '\"' ELSE e END"
)


def copied_text(column: str, kind: str) -> str | None:
    """A value of a DuckDB type as PostgreSQL's text; None where the engine's text is the same."""
    if kind == "BOOLEAN":
        return f"CASE WHEN {column} THEN 't' WHEN NOT {column} THEN 'f' END"
    if kind == "BLOB":
        return f"'\\x' || lower(hex({column}))"
    if kind.endswith("[]"):
        element = copied_text("e", kind.removesuffix("[]")) or "CAST(e AS VARCHAR)"
        texts = f"list_transform({column}, lambda e: {element})"
        return f"'{{' || array_to_string(list_transform({texts}, lambda e: {_ELEMENT}), ',') || '}}'"
    return None
