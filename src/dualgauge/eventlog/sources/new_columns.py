"""Columns that a source's files have since its last import, and that nothing in its settings names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualgauge.eventlog.sources.needed import has_star, words_of
from dualgauge.eventlog.sources.readers import parquet_columns, text_columns
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source


def file_columns(engine: Engine, source: Source) -> list[str]:
    """The columns of the files that were read, in the order in which they were met."""
    return [*text_columns(source), *parquet_columns(engine, source)]


def unnamed(
    source: Source, columns: Iterable[str], before: Mapping[str, Any] | None, declared: Iterable[str]
) -> list[str]:
    """
    Those of some columns that are in no event: nobody names them, and the last import did not see them.

    Args:
        source: as it is read.
        columns: of its files.
        before: its cursor before this import; one without its columns tells nothing.
        declared: the log's columns, each of which takes one of its name.
    """
    settings = source.settings
    said = [settings.event_id, settings.type, settings.occurred_at, settings.order_by, settings.where, settings.query]
    said += [settings.caused_by, *settings.select.values()]
    if not before or "columns" not in before or has_star(said):
        return []
    named = words_of(said) | set(map(fold, [*declared, *before["columns"]]))
    return [one for one in columns if fold(one) not in named]
