"""Writing into a ledger what reads came to, by plain SQL that SQLite and PostgreSQL take alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge_router.evidence import Batch
    from dualgauge_router.ledger import Ask

_TOGETHER: Final = 100
"""Rows that are written by one statement."""

_MOST_KEYS: Final = 100_000
"""Different reads of a view that are kept for one share: no proof needs more. Bad ones are kept all the same."""

_PAIRS: Final = 1_000
"""Pairs of answers of a view that wait to be judged, at most."""

_SAMPLES: Final = 20
"""Samples that are kept of a view."""

_KNOWN: Final = (
    "SELECT 1 FROM read_pair WHERE migration = ? AND evidence_key = ? AND view = ? AND share_ppm = ? AND read_hash = ? "
    "AND answers = ?"
)


def write(ask: Ask, migration: str, batch: Batch) -> None:
    """
    Add what reads came to; a batch that is there already changes nothing.

    Args:
        ask: runs statements in one transaction.
        migration: its name.
        batch: as `ReadEvidence` makes it.
    """
    known = ask("SELECT batch FROM read_writer WHERE writer = ?", (batch.writer,))
    if known and known[0][0] >= batch.number:
        return
    added = "ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at"
    ask(f"INSERT INTO read_writer (writer, batch, at) VALUES (?, ?, ?) {added}", (batch.writer, batch.number, batch.at))
    if not known:
        # Processes come and go; what one wrote a day ago it does not write again.
        ask("DELETE FROM read_writer WHERE at < ?", (_day_before(batch.at),))
    names = ("evidence_key", "view", "share_ppm")
    pairs, counts = _pairs(ask, migration, batch)
    of_pair = (*names, "read_hash", "answers")
    _add(ask, "read_pair", migration, of_pair, ("at", "v1", "v2", "verdict"), pairs, "at = read_pair.at")
    of_count = (*names, "kind", "side", "outcome", "since")
    _add(ask, "read_count", migration, of_count, ("reads",), counts, "reads = read_count.reads + excluded.reads")
    full = {place for place in {row[:3] for row in batch.keys} if _is_full(ask, migration, place)}
    keys = [row for row in batch.keys if row[:3] not in full or any(row[4:])]
    worse = "CASE WHEN excluded.bad + excluded.bad_later > 0 THEN 1 ELSE read_key.bad_later END"
    _add(ask, "read_key", migration, (*names, "read_hash"), ("bad", "bad_later"), keys, f"bad_later = {worse}")
    said = ("outcome", "at", "columns", "v1", "v2")
    room = {place: _SAMPLES - _samples(ask, migration, place) for place in {row[:2] for row in batch.samples}}
    samples = []
    for row in batch.samples:
        room[row[:2]] -= 1
        if room[row[:2]] >= 0:
            samples.append(row)
    _add(ask, "read_sample", migration, (*names, "read_hash"), said, samples, "at = read_sample.at")


def _pairs(ask: Ask, migration: str, batch: Batch) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The pairs that there is room for, and the counts with those that there is not as excluded, no more pending."""
    waiting = "SELECT count(*) FROM read_pair WHERE migration = ? AND evidence_key = ? AND view = ? AND verdict = ''"
    room = {place: _PAIRS - int(ask(waiting, (migration, *place))[0][0]) for place in {row[:2] for row in batch.pairs}}
    counts = {row[:-1]: row[-1] for row in batch.counts}
    taken = []
    for *row, served in batch.pairs:
        if ask(_KNOWN, (migration, *row[:5])):
            # It waits, or was judged.
            continue
        room[row[0], row[1]] -= 1
        if room[row[0], row[1]] >= 0:
            taken.append((*row, ""))
            continue
        for outcome, more in (("pending", -1), ("excluded", 1)):
            place = (*row[:3], "shadow", served, outcome, batch.since)
            counts[place] = counts.get(place, 0) + more
    return taken, [(*place, count) for place, count in sorted(counts.items())]


def _add(  # noqa: PLR0917  (called in this order, thrice)
    ask: Ask, table: str, migration: str, key: Sequence[str], rest: Sequence[str], rows: Sequence[tuple[Any, ...]],
    update: str,
) -> None:  # fmt: skip
    named = ("migration", *key)
    columns = (*named, *rest)
    for start in range(0, len(rows), _TOGETHER):
        some = rows[start : start + _TOGETHER]
        marks = ", ".join([f"({', '.join('?' * len(columns))})"] * len(some))
        ask(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks} "
            f"ON CONFLICT ({', '.join(named)}) DO UPDATE SET {update}",
            [value for row in some for value in (migration, *row)],
        )


def _is_full(ask: Ask, migration: str, place: Sequence[object]) -> bool:
    of = "SELECT 1 FROM read_key WHERE migration = ? AND evidence_key = ? AND view = ? AND share_ppm = ?"
    (count,) = ask(f"SELECT count(*) FROM ({of} LIMIT {_MOST_KEYS:d}) AS k", (migration, *place))[0]
    return bool(count >= _MOST_KEYS)


def _samples(ask: Ask, migration: str, place: Sequence[object]) -> int:
    sql = "SELECT count(*) FROM read_sample WHERE migration = ? AND evidence_key = ? AND view = ?"
    return int(ask(sql, (migration, *place))[0][0])


def _day_before(at: str) -> str:
    return (datetime.fromisoformat(at) - timedelta(days=1)).isoformat()
