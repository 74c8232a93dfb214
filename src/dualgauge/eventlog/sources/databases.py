"""
A source that is a table or a query of a database: its new rows are taken into the engine, batch by batch.

The log keeps with the events where the next import begins (see `stores.external.rows`). Other settings, or an import
that took rows up to a time only, begin anew: what is known by its id is skipped.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.sources.source import CURSOR_ORDER, by_cursor, relation_of
from dualgauge.model import canonical_json, quote, sha256
from dualgauge.project.environment import expand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source

SAMPLE_ROWS: Final = 1_000
"""Rows that are looked at where a source is only tried."""

_BATCH: Final = 20_000
_SECRET: Final = re.compile(r"(?<=//)[^/?]*@|[?&](?:\w*password|passwd|pwd|token|secret)=[^&]*", re.IGNORECASE)


def read_on(
    engine: Engine, source: Source, number: int, before: Mapping[str, Any] | None, until: str | None
) -> tuple[Source, dict[str, Any]]:
    """
    Take the new rows of a database into the engine.

    Args:
        engine: where they are kept, and may be spilled.
        source: one with a url.
        number: the source's place in the call.
        before: its cursor in the log.
        until: up to which time rows are taken in, as text.

    Returns:
        The source, whose rows are loaded, and its cursor after all of them were taken in.

    Raises:
        What `load_rows` raises; nothing was appended.
    """
    last, mapping = before or {}, mapping_of(source)
    whole = last.get("until") is None and last.get("mapping") == mapping
    state = load_rows(engine, source, number, since=last if whole else None)
    floor = last.get("due") if whole else None
    return replace(source, state=state, floor=floor), {"mapping": mapping, "until": until, **state}


def with_due(cursor: Mapping[str, Any], source: Source, latest: int | None) -> dict[str, Any]:
    """
    A database's cursor with the latest time of all rows up to it, in microseconds since 1970.

    `latest` is that of the rows that were read; None where they have no order of their own, or are read again.
    """
    known = [one for one in (latest, source.floor) if one is not None]
    return dict(cursor) if cursor["until"] is not None or not known else {**cursor, "due": max(known)}


def moved(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Whether a database's cursor says more than which transactions run: that changes with every look."""
    parts = ("from", "mapping", "until")
    return [(before or {}).get(name) for name in parts] != [after.get(name) for name in parts]


def load_rows(
    engine: Engine, source: Source, number: int, *, since: Mapping[str, Any] | None = None, sample: bool = False
) -> dict[str, Any]:
    """
    Take rows of a database into the engine, in a table with the name of the source's relation.

    Args:
        engine: where they are kept, and may be spilled.
        source: one with a url.
        number: the source's place in the call.
        since: the cursor that the last import left; None begins anew.
        sample: take some rows only, which count as not read.

    Returns:
        Where the next import begins, as JSON.

    Raises:
        NoVariable: the url names an environment variable that is not set.
        DualgaugeError: the database, its table, its cursor or a value is not as it should be; the source is named.
    """
    import pyarrow as pa

    from dualgauge.stores.external.rows import Chosen, new_rows

    settings, relation = source.settings, relation_of(number)
    arriving = f"{relation}_arriving"
    try:
        place = CURSOR_ORDER if by_cursor(settings) else ""
        chosen = Chosen(settings.cursor, settings.table, settings.statement, place)
        with new_rows(_url(source), chosen, root=source.root, state=since, sample=sample) as found:
            columns = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in found.columns.items())
            engine.execute(f"CREATE OR REPLACE TEMP TABLE {quote(relation)} AS SELECT {columns} LIMIT 0")
            for batch in found.reader(SAMPLE_ROWS if sample else _BATCH):
                engine.register(arriving, pa.Table.from_batches([batch]))
                engine.execute(f"INSERT INTO {quote(relation)} FROM {quote(arriving)}")
                engine.unregister(arriving)
                if sample:
                    break
            return found.state
    except DualgaugeError as fault:
        fault.within(f"source {source.name!r}")
        raise


def mapping_of(source: Source) -> str:
    """A digest of a source's settings. A user and a password are no part of it; another database is."""
    shown = _SECRET.sub("", _url(source))
    return sha256(canonical_json({**source.settings.model_dump(), "url": shown}))


def _url(source: Source) -> str:
    return expand(source.settings.url, f"the url of source {source.name!r}")
