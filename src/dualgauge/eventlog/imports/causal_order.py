"""
Causes before their effects: within one import, an event never comes before the one that caused it.

Rows are in the order in which they are due. An effect that would come first is moved to right behind its cause, and
nothing else is: each event is ordered by the greatest place on the chain of causes up to it, then by how far below that
one it is, then by its own place. A cause that is not in the import, because the log has it or it never came, does not
matter here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.engines.parquet_files import parquet, whole_parquet
from dualgauge.eventlog.errors import CircleOfCauses
from dualgauge.model import literal

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.engines.duck import Engine

_MOST_NAMED = 8

_BEFORE = """
SELECT 1
FROM ({staged}) AS effect
JOIN ({staged}) AS cause ON effect.caused_by = cause.event_id
WHERE effect.position <= cause.position
LIMIT 1
"""

# One row an id: the same event twice is at its first place. `up` is an event above on its chain, at first the cause;
# `best` is the greatest place from the event up to, but without, that one, and `depth` how far above that place is.
_LINKS = """
CREATE OR REPLACE TEMP TABLE _causes_0 AS
WITH events AS (
  SELECT event_id, arg_min(caused_by, position) AS caused_by, min(position) AS place FROM ({staged}) GROUP BY event_id
)
SELECT e.event_id, e.place, c.event_id AS up, e.place AS best, 0::BIGINT AS depth, 1::BIGINT AS steps
FROM events AS e
LEFT JOIN events AS c ON e.caused_by = c.event_id
"""

# Each round looks twice as far up.
_TWICE_AS_FAR = """
CREATE OR REPLACE TEMP TABLE _causes_{next} AS
SELECT
  e.event_id, e.place, u.up,
  CASE WHEN u.best > e.best THEN u.best ELSE e.best END AS best,
  CASE WHEN u.best > e.best THEN e.steps + u.depth ELSE e.depth END AS depth,
  e.steps + coalesce(u.steps, 0) AS steps
FROM _causes_{this} AS e
LEFT JOIN _causes_{this} AS u ON e.up = u.event_id
"""

_ORDERED = """
SELECT row_number() OVER () AS position, * EXCLUDE (position, _best, _depth, _place)
FROM (
  SELECT s.*, coalesce(c.best, s.position) AS _best, coalesce(c.depth, 0) AS _depth, s.position AS _place
  FROM ({staged}) AS s
  LEFT JOIN (SELECT event_id, best, depth FROM _causes WHERE best > place) AS c USING (event_id)
  ORDER BY _best, _depth, _place
)
"""


def put_in_order(engine: Engine, staged: Path, spare: Path) -> None:
    """
    Let no effect come before its cause in a staged file of events.

    Args:
        engine: sorts; where no effect comes before its cause, it only joins once.
        staged: the file, with dense positions from 1, and the column `caused_by`. It is replaced.
        spare: where the new one is written; on the same disk.

    Raises:
        CircleOfCauses: events cause each other.
    """
    events = parquet([staged], {"position": "BIGINT", "event_id": "VARCHAR", "caused_by": "VARCHAR"})
    if not engine.rows(_BEFORE.format(staged=events)):
        return
    engine.execute(_LINKS.format(staged=events))
    (rows,) = engine.row("SELECT count(*) FROM _causes_0")
    last = int(rows).bit_length() + 1
    for number in range(last):
        if not engine.rows(f"SELECT 1 FROM _causes_{number} WHERE up IS NOT NULL LIMIT 1"):
            last = number
            break
        engine.execute(_TWICE_AS_FAR.format(this=number, next=number + 1))
        if number:
            engine.execute(f"DROP TABLE _causes_{number}")
    else:
        # Nothing has more causes above it than there are events: what still has one goes round.
        (start,) = engine.row(f"SELECT min(up) FROM _causes_{last}")
        if start is not None:
            raise _circle(engine, start)
    engine.execute(f"CREATE OR REPLACE TEMP VIEW _causes AS FROM _causes_{last}")
    query = _ORDERED.format(staged=whole_parquet(engine, [staged]))
    engine.execute(f"COPY ({query}) TO {literal(str(spare))} (FORMAT parquet, COMPRESSION zstd)")
    engine.execute("DROP VIEW _causes")
    for number in {0, last}:
        engine.execute(f"DROP TABLE _causes_{number}")
    spare.replace(staged)


def _circle(engine: Engine, start: str) -> CircleOfCauses:
    """The error that names a circle's events, from one that lies on it."""
    names = [start]
    while len(names) <= _MOST_NAMED:
        (up,) = engine.row("SELECT up FROM _causes_0 WHERE event_id = ?", [names[-1]])
        if up == start:
            return CircleOfCauses(names)
        names.append(up)
    return CircleOfCauses(names[:_MOST_NAMED], more=True)
