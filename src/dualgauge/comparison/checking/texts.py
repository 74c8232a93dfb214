"""
Checks that cannot tell: SQLite takes any text for more than any number, and keeps decimals of many digits as text.

Which columns an expectation is about, its arguments say, and in its SQL their names. SQL that reaches further than the
view itself, or gives its columns other names, may be about any.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import fold
from dualgauge.stores.serving.types import texts_of_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

_AS_TEXT_TOO: Final = frozenset({
    "ExpectColumnToExist", "ExpectColumnValuesToBeNull", "ExpectColumnValuesToNotBeNull",
    "ExpectColumnValuesToBeUnique", "ExpectCompoundColumnsToBeUnique", "ExpectTableColumnsToMatchOrderedList",
    "ExpectTableColumnsToMatchSet",
})  # fmt: skip
"""Expectations that tell the same of a number and of the text that is the number."""

_BATCH: Final = "{batch}"
_ALONE: Final = re.compile(r"\sfrom\s+\{batch\}(?!\s*,)")
_FURTHER: Final = re.compile(r"\b(select|from|join|with|values|union|intersect|except)\b")


def in_the_way(connection: sa.Connection, table: str, expectation: Any) -> list[str]:  # noqa: ANN401  (GX has no types)
    """The columns with such texts that an expectation of a table of SQLite may be about."""
    said = expectation.dict()
    condition = said.get("row_condition")
    queries = [fold(one) for one in _strings(said) if _BATCH in one]
    if any(not _is_plain(one) for one in queries):
        views = "SELECT name FROM sqlite_master WHERE type = 'view'"
        tables = dict.fromkeys([table, *connection.exec_driver_sql(views).scalars()])
        return [f"{one}.{name}" for one in tables for name in texts_of_numbers(connection, one)]
    if type(expectation).__name__ in _AS_TEXT_TOO and not condition:
        return []
    about = {fold(one) for key, value in said.items() if key.startswith("column") for one in _strings(value)}
    conditions = [*queries, *map(fold, _strings(condition))]

    def concerned(name: str) -> bool:
        return fold(name) in about or any(_names(one, fold(name)) for one in conditions)

    return list(texts_of_numbers(connection, table, concerned))


def _is_plain(query: str) -> bool:
    """Whether SQL is one SELECT of the view alone, so that it calls the columns as they are called."""
    words = [found[1] for found in _FURTHER.finditer(query)]
    return words == ["select", "from"] and _ALONE.search(query) is not None


def _names(text: str, name: str) -> bool:
    """Whether a column's name stands in SQL, however it is quoted."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text.replace('""', '"')) is not None


def _strings(value: object) -> Iterator[str]:
    """Every text in an argument."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _strings(one)
    elif hasattr(value, "dict"):
        yield from _strings(value.dict())
