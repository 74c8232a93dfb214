"""Which columns of a source its expressions need as more than the text, or the value, that stands in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.files.column_types import Spelling
from dualgauge.engines.files.csv_options import ALL_TEXT
from dualgauge.engines.lexer import pieces, unquoted
from dualgauge.eventlog.columns import column_of
from dualgauge.eventlog.sources.source import FILE_ORDER
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from dualgauge.eventlog.settings import SourceSettings

_BEFORE_A_STAR = ("", ",", "(", ".", "select", "distinct", "all", "returning")


def typed_columns(
    settings: SourceSettings, columns: Mapping[str, str], names: Mapping[str, str], *, as_it_stands: bool
) -> Iterator[str]:
    """The columns that something needs as more than their text; the payload needs none that it has `as_it_stands`."""
    declared = {fold(name): kind for name, kind in columns.items()}
    spelling = Spelling.of(settings.read)
    # A time is made by the file's formats; what a row is due by has an order that its text may not have.
    said = ["" if settings.order_by == FILE_ORDER else settings.order_by]
    if spelling.date or spelling.timestamp or column_of(settings.occurred_at) not in names:
        said.append(settings.occurred_at)
    for name, expression in settings.select.items():
        kind = declared.get(fold(name), "")
        if spelling.format_of(kind) or not (kind or (as_it_stands and column_of(expression) in names)):
            said.append(expression)
    by_format = {name for name, kind in declared.items() if spelling.format_of(kind)}
    texts = (settings.event_id, settings.type, settings.caused_by, *settings.select.values())
    words = words_of([*said, settings.where, settings.query]) | named_in(texts, names) | by_format
    if settings.read.get(ALL_TEXT):
        return
    every = has_star([settings.where, settings.query, *said])
    yield from (one for name, one in names.items() if every or name in words)


def named_in(expressions: Iterable[str], names: Container[str]) -> set[str]:
    """The words, in small letters, of the expressions that are more than a column of `names` by itself."""
    return words_of(one for one in expressions if column_of(one) not in names)


def has_star(expressions: Iterable[str]) -> bool:
    """Whether a star in one of them stands for every column, and is no sign of multiplication."""
    for one in map(pieces, expressions):
        if any(sign == "*" and fold(before) in _BEFORE_A_STAR for before, sign in zip(["", *one], one, strict=False)):
            return True
    return False


def words_of(expressions: Iterable[str]) -> set[str]:
    """The words and quoted names of expressions, folded; what is a text or a comment in them says nothing."""
    return {fold(unquoted(one)) for text in expressions for one in pieces(text)}
