"""
Columns without a value in any row yet, which an expression needs: what it gives may hang on the type that comes.

`ifnull(v, '00')` is the text 00 while `v` has no type, and the number 0 once it has one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dualgauge.engines.errors import EngineError
from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import BadMapping
from dualgauge.eventlog.sources.advice import type_said
from dualgauge.model import fold, listed, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

_OTHERS: Final = ("BIGINT", "DOUBLE", "DECIMAL(18,9)", "TIMESTAMP", "DATE", "TIME", "BOOLEAN")
"""Types that a column may turn out to have, beside text."""

_NESTED: Final = ('["VARCHAR"]', '{"a":"VARCHAR"}')
"""Shapes that a field of JSON may turn out to have."""


def refuse_untyped(
    engine: Engine, source: Source, events: str, select: Callable[[Source], str], columns: Mapping[str, str]
) -> None:
    """
    Look whether the events of a source would be others if its columns without a value had another type.

    Args:
        engine: where it was read.
        source: as it was read.
        events: its SELECT of events, by which they are texts.
        select: makes that of a source.
        columns: the declared columns.

    Raises:
        BadMapping: they would.
    """
    if not source.untyped:
        return
    names = ", ".join(map(quote, ("event_id", "type", "occurred_at", "payload", *columns)))

    def digest(sql: str) -> object:
        return engine.row(f"SELECT count(*), sum(hash({names})) FROM ({sql})")

    try:
        found = digest(events)
    except EngineError:
        # Some row does not fit: that is told first, and this once it is set aside.
        return
    for kind in (*_OTHERS, *(_NESTED if source.objects else ())):
        try:
            other = digest(select(_as_if(source, kind)))
        except DualgaugeError:
            continue
        if other != found:
            known = {fold(name): name for name in _columns(source)}
            untyped = [known.get(name, name) for name in sorted(source.untyped)]
            reason = (
                f"no row has a value of {listed(untyped)} yet, and what its expressions give hangs on the type that "
                f"comes: say which it will be, {type_said(untyped[0], 'JSON' if kind in _NESTED else 'VARCHAR')}"
            )
            raise BadMapping(source.name, reason, tuple(known.values()))


def _as_if(source: Source, kind: str) -> Source:
    """The source with its columns without a value as if they were of a type."""
    kinds = {**source.kinds, **dict.fromkeys(source.untyped, kind)}
    cast = {
        file: {name: kind if fold(name) in source.untyped else one for name, one in columns.items()}
        for file, columns in source.cast.items()
    }
    return replace(source, kinds=kinds, cast=cast, untyped=())


def _columns(source: Source) -> list[str]:
    of_parquet = [name for own in source.own.values() for name in own]
    of_text = [name for text in (source.texts or {}).values() for name in text.columns]
    return list(dict.fromkeys([*of_parquet, *of_text, *(source.objects.columns if source.objects else ())]))
