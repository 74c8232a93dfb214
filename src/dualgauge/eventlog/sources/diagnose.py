"""Where an import was stopped: the first row that does not fit, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.errors import EngineError
from dualgauge.eventlog.errors import BadFile
from dualgauge.eventlog.sources.kept_rows import makes_own_events, misfitting
from dualgauge.eventlog.sources.mapping import place_of
from dualgauge.eventlog.sources.misfits import misfits_of
from dualgauge.eventlog.sources.readers import raw_rows, reader
from dualgauge.eventlog.sources.text_columns import ASIDE, broken_text, with_texts

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source


def diagnose(engine: Engine, source: Source, columns: dict[str, str], number: int) -> tuple[str, str] | None:
    """
    The first row of a source that does not fit: its place in the file, and why. None where no row can be named.

    The source was read by `select` on this engine before.

    Raises:
        BadFile: a file cannot be read to its end.
    """
    source = with_texts(engine, source, columns)
    objects = frozenset(source.objects.paths if source.objects else ())
    for part in source.reading:
        text = (source.texts or {}).get(part.path)
        if part.path in objects:
            continue
        try:
            engine.rows(f"SELECT count(COLUMNS(*)) FROM {text.relation() if text else reader(source, part.path)}")
        except EngineError as fault:
            if text and (broken := broken_text(source)):
                raise broken from fault
            hint = ASIDE if text and not source.settings.query else ""
            raise BadFile(source.name, source.label(part.file), part.told(fault), hint) from fault
    try:
        if makes_own_events(source) or not source.settings.query:
            _, found = misfitting(engine, source, columns, number, 1)
            return (found[0].place, found[0].reason) if found else None
        if source.unsure:
            # What its query gives has no place, but a value that is none of its column's type has.
            unfit = (
                f"SELECT _file, _row, _unfit FROM ({raw_rows(source, number, placed=True)}) WHERE _unfit IS NOT NULL"
            )
            for file, row, reason in engine.rows(f"{unfit} ORDER BY _at LIMIT 1"):
                return place_of(file, row), reason
        _, found = misfits_of(engine, source, columns, raw_rows(source, number)).find(engine, 1)
    except EngineError:
        return None
    return (found[0].place, found[0].reason) if found else None
