"""What a view says to be unique is looked at over the events that it reads, and found broken as by a count by hand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.engines.duck import open_engine
from dualgauge.views.unique import unique_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.engines.duck import Engine

Event = tuple[str, int | None, str | None]

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.one_of(st.none(), st.integers(1, 40), st.integers(1, 3)),
        st.sampled_from(["x", "y", "z", None]),
    ),
    max_size=9,
)
ALL = "FROM events"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(memory_limit="200MB", threads=1) as opened:
        opened.execute("CREATE TABLE events (position BIGINT, type VARCHAR, seq BIGINT, shop VARCHAR)")
        yield opened


@settings(max_examples=150)
@given(events=EVENTS, names=st.sampled_from([("seq",), ("shop", "seq"), ("type", "shop", "seq")]), only=st.booleans())
def test_it_is_broken_where_a_count_by_hand_says_so(
    engine: Engine, events: list[Event], names: tuple[str, ...], *, only: bool
) -> None:
    engine.execute("DELETE FROM events")
    rows = [(at, *event) for at, event in enumerate(events, 1)]
    for row in rows:
        engine.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row)
    where = " WHERE type = 'a'" if only else ""
    (unique,) = unique_of(engine, f"SELECT seq{ALL.replace('FROM', ' FROM')}{where} ORDER BY seq", [names])

    place = {"type": 1, "seq": 2, "shop": 3}
    read = {row[0]: tuple(row[place[name]] for name in names) for row in rows if not only or row[1] == "a"}
    count = Counter(read.values())
    bad = [at for at, values in read.items() if count[values] > 1 or None in values]
    wanted = []
    if bad:
        values = read[bad[0]]
        shown = [None if value is None else str(value) for value in values]
        wanted = [(*shown, bad[0], max(at for at in read if read[at] == values))]
    assert engine.rows(unique.broken) == wanted


READ = {
    "SELECT seq FROM events AS e WHERE e.type = 'a' GROUP BY seq HAVING true": "FROM events AS e WHERE e.type = 'a'",
    "SELECT 'from' AS a, seq FROM events -- all\nWHERE type = ')' LIMIT 3": "FROM events -- all\nWHERE type = ')'",
    'SELECT row_number() OVER (ORDER BY seq) AS n FROM "events" WHERE (seq) > 1': 'FROM "events" WHERE (seq) > 1',
    "WITH a AS (SELECT *, seq AS s FROM events WHERE type = 'a' QUALIFY true) SELECT * FROM a WHERE s > 1": (
        "FROM events WHERE type = 'a'"
    ),
    "SELECT x FROM (SELECT seq AS x FROM Events WHERE shop > '') AS y WHERE x > 1": "FROM Events WHERE shop > ''",
    "SELECT 1 FROM events WHERE type IS DISTINCT FROM 'a' UNION SELECT 2": (
        "FROM events WHERE type IS DISTINCT FROM 'a'"
    ),
    "SELECT seq FROM events": ALL,
    "FROM events SELECT seq WHERE type = 'a'": ALL,
    "SELECT seq FROM events WHERE seq IN (SELECT seq FROM events WHERE type = 'a')": ALL,
    "SELECT e.seq FROM events e ASOF JOIN events o USING (seq, position) WHERE e.type = 'a'": ALL,
    "SELECT e.seq FROM events e, range(3) WHERE e.type = 'a'": ALL,
    "SELECT seq FROM events WHERE type = 'a' UNION ALL SELECT seq FROM events WHERE type = 'b'": ALL,
    "SELECT (SELECT max(seq) FROM events WHERE seq < r.range) FROM range(3) AS r": ALL,
    "WITH a AS (SELECT 1 AS x) SELECT seq FROM events WHERE seq IN (SELECT x FROM a)": ALL,
    "SELECT a FROM events AS e(a, b) WHERE a > 1": ALL,
}


@pytest.mark.parametrize(("sql", "source"), READ.items())
def test_it_is_looked_at_over_the_events_that_the_view_reads(engine: Engine, sql: str, source: str) -> None:
    (unique,) = unique_of(engine, sql, [("seq",)])

    assert f"max(position) {source}\nGROUP BY" in unique.broken
    assert list(engine.columns(unique.broken))[1:] == ['min("position")', 'max("position")']
    assert unique_of(engine, sql, []) == ()
