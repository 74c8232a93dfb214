"""
A source that is a table or a query of a database: its new rows are taken into the engine, batch by batch.

The log keeps with the events where the next import begins (see `stores.external.rows`). Other settings, or an import
that took rows up to a time only, begin anew: what is known by its id is skipped.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.sources.source import CURSOR_ORDER, by_cursor, relation_of
from dualgauge.model import canonical_json, quote, sha256
from dualgauge.project.environment import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.stores.external.rows import Chosen, NewRows
    from dualgauge.stores.external.tables import Tables, TableSnapshot

SAMPLE_ROWS: Final = 1_000
"""Rows that are looked at where a source is only tried."""

_BATCH: Final = 20_000
_SECRET: Final = re.compile(r"(?<=//)[^/?]*@|[?&](?:\w*password|passwd|pwd|token|secret)=[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OneSnapshot:
    """
    One state of a database that is read by more than an import.

    `noted` is, by the names of sources, what had to be known before it was taken.
    """

    snapshot: TableSnapshot
    noted: Mapping[str, Mapping[str, Any]]


@contextmanager
def one_snapshot(tables: Tables, sources: Sequence[Source], cursors: Mapping[str, Any]) -> Iterator[OneSnapshot]:
    """
    Open one snapshot for several sources of a database, which go on from their cursors in the log.

    Nothing is waited for: what transactions that run now will have written is new to the next snapshot.

    Raises:
        DualgaugeError: the database, a table or a cursor is not as it should be; the source is named.
    """
    from dualgauge.stores.external.rows import noted_before

    noted = {}
    for source in sources:
        with _naming(source):
            since = _since(source, cursors.get(source.name))
            noted[source.name] = noted_before(tables, _chosen(source), since, settle=0)
    with tables.snapshot() as snapshot:
        yield OneSnapshot(snapshot, noted)


def read_on(  # noqa: PLR0917  (called with all of them, in this order)
    engine: Engine,
    source: Source,
    number: int,
    before: Mapping[str, Any] | None,
    until: str | None,
    within: OneSnapshot | None = None,
) -> tuple[Source, dict[str, Any]]:
    """
    Take the new rows of a database into the engine.

    Args:
        engine: where they are kept, and may be spilled.
        source: one with a url.
        number: the source's place in the call.
        before: its cursor in the log.
        until: up to which time rows are taken in, as text.
        within: a snapshot that is open; without, one is opened for it.

    Returns:
        The source, whose rows are loaded, and its cursor after all of them were taken in.

    Raises:
        What `load_rows` raises; nothing was appended.
    """
    since = _since(source, before)
    state = load_rows(engine, source, number, since=since, within=within)
    floor = None if since is None else since.get("due")
    return replace(source, state=state, floor=floor), {"mapping": mapping_of(source), "until": until, **state}


def _since(source: Source, before: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The cursor by which a source is read on; None where it begins anew."""
    last = before or {}
    return last if last.get("until") is None and last.get("mapping") == mapping_of(source) else None


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
    engine: Engine,
    source: Source,
    number: int,
    *,
    since: Mapping[str, Any] | None = None,
    sample: bool = False,
    within: OneSnapshot | None = None,
) -> dict[str, Any]:
    """
    Take rows of a database into the engine, in a table with the name of the source's relation.

    Args:
        engine: where they are kept, and may be spilled.
        source: one with a url.
        number: the source's place in the call.
        since: the cursor that the last import left; None begins anew.
        sample: take some rows only, which count as not read.
        within: a snapshot that is open; without, one is opened for it.

    Returns:
        Where the next import begins, as JSON.

    Raises:
        NoVariable: the url names an environment variable that is not set.
        DualgaugeError: the database, its table, its cursor or a value is not as it should be; the source is named.
    """
    with _naming(source), _opened(source, since, within, sample=sample) as found:
        _take(engine, found, relation_of(number), SAMPLE_ROWS if sample else _BATCH, most=1 if sample else None)
        return found.state


def load_above(engine: Engine, source: Source, number: int, within: OneSnapshot, value: object) -> Source:
    """
    Take the rows of a snapshot whose cursor is above a value into the engine; gives the source that has them.

    Raises:
        ValueError: it is no value of the cursor, with the reason.
        and what `load_rows` raises.
    """
    from dualgauge.stores.external.rows import rows_above

    with _naming(source), rows_above(within.snapshot, _chosen(source), value) as found:
        _take(engine, found, relation_of(number), _BATCH)
    return replace(source, state={})


def _take(engine: Engine, found: NewRows, relation: str, size: int, *, most: int | None = None) -> None:
    """Put rows into a table of the engine, in batches of a size, `most` of them."""
    import pyarrow as pa

    arriving = f"{relation}_arriving"
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in found.columns.items())
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {quote(relation)} AS SELECT {columns} LIMIT 0")
    for batch in islice(found.reader(size), most):
        engine.register(arriving, pa.Table.from_batches([batch]))
        engine.execute(f"INSERT INTO {quote(relation)} FROM {quote(arriving)}")
        engine.unregister(arriving)


def _opened(
    source: Source, since: Mapping[str, Any] | None, within: OneSnapshot | None, *, sample: bool
) -> AbstractContextManager[NewRows]:
    from dualgauge.stores.external.rows import new_rows, rows_in

    if within is None:
        return new_rows(_url(source), _chosen(source), root=source.root, state=since, sample=sample)
    return rows_in(within.snapshot, _chosen(source), since, within.noted.get(source.name, {}), sample=sample)


def _chosen(source: Source) -> Chosen:
    from dualgauge.stores.external.rows import Chosen

    settings = source.settings
    place = CURSOR_ORDER if by_cursor(settings) else ""
    return Chosen(settings.cursor, settings.table, settings.statement, place)


@contextmanager
def _naming(source: Source) -> Iterator[None]:
    try:
        yield
    except DualgaugeError as fault:
        fault.within(f"source {source.name!r}")
        raise


def mapping_of(source: Source) -> str:
    """A digest of a source's settings. A user and a password are no part of it; another database is."""
    shown = _SECRET.sub("", _url(source))
    return sha256(canonical_json({**source.settings.model_dump(), "url": shown}))


def _url(source: Source) -> str:
    return expand(source.settings.url, f"the url of source {source.name!r}")
