"""What a plan says of a view is proven by computing, by hand, over random events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgauge.engines.duck import Engine, open_engine
from dualgauge.eventlog.columns import ENVELOPE
from dualgauge.model import POSITION, Side, literal, quote
from dualgauge.views.definition import from_text
from dualgauge.views.plan.plan import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

COLUMNS = {**ENVELOPE, "carrier": "VARCHAR", "origin": "VARCHAR", "delay": "BIGINT", "fare": "DOUBLE"}
FILE = Path("views_v2/orders.sql")

Event = tuple[str, str | None, str | None, int | None]

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["sold", "flown", "weather"]),
        st.sampled_from(["AA", "BB", "cc", None]),
        st.sampled_from(["EWR", "JFK", None]),
        st.one_of(st.none(), st.integers(-3, 3)),
    ),
    max_size=25,
)

# A view, and how the events of a row are found by hand: of those that pass the filter, the ones with the row's key.
EXACT: dict[str, tuple[str, Callable[[Event], bool], Callable[[Event], tuple[object, ...]]]] = {
    "grouped": (
        "-- key: carrier\n\nSELECT carrier, count(*) AS n, sum(delay) AS s FROM events GROUP BY carrier",
        lambda e: True,
        lambda e: (e[1],),
    ),
    "GROUP BY ALL with a filter": (
        ("-- key: k, origin\n\nSELECT lower(carrier) AS k, origin, max(delay) FILTER (WHERE type = 'sold') AS m "
        "FROM events WHERE type <> 'weather' AND delay > 0 GROUP BY ALL"),
        lambda e: e[0] != "weather" and e[3] is not None and e[3] > 0,
        lambda e: (e[1].lower() if e[1] else None, e[2]),
    ),
    "HAVING and a trailing comma": (
        ("-- key: carrier\n\nSELECT carrier, -- who\n count(*) AS n, -- all of it\n"
        "FROM events GROUP BY 1 HAVING count(*) > 1;"),
        lambda e: True,
        lambda e: (e[1],),
    ),
    "a condition that joins two": (
        ("-- key: origin\n\nSELECT ev.origin, min(ev.delay) AS m FROM events AS ev "
        "WHERE ev.type = 'sold' OR ev.delay IS NULL GROUP BY ev.origin"),
        lambda e: e[0] == "sold" or e[3] is None,
        lambda e: (e[2],),
    ),
    "the value of the last event, NULL or not": (
        ("-- key: carrier\n\nSELECT carrier, arg_max_null(delay, position) AS d, arg_max(delay, position) AS e "
        "FROM events GROUP BY carrier"),
        lambda e: True,
        lambda e: (e[1],),
    ),
    "as-of look-up": (
        ("-- key: carrier, origin\n\nSELECT e.carrier, e.origin, sum(w.delay) AS w FROM events AS e "
        "ASOF LEFT JOIN (SELECT position, origin, delay FROM events WHERE type = 'weather') AS w "
        "ON e.origin = w.origin AND e.position >= w.position WHERE e.type <> 'weather' GROUP BY e.carrier, e.origin"),
        lambda e: e[0] != "weather",
        lambda e: (e[1], e[2]),
    ),
}  # fmt: skip

# One that takes each event for itself.
ROWS = "-- key: position\n\nSELECT position, carrier, delay * 2 AS twice FROM events WHERE type = 'sold'"

BOUND = {
    "DISTINCT": "SELECT DISTINCT carrier AS k FROM events",
    "QUALIFY": "SELECT carrier AS k FROM events QUALIFY row_number() OVER (PARTITION BY carrier ORDER BY position) = 1",
    "a window": "SELECT position AS k, sum(delay) OVER (ORDER BY position) AS s FROM events",
    "LIMIT": "SELECT carrier AS k FROM events ORDER BY position LIMIT 3",
    "a CTE": "WITH a AS (SELECT carrier AS k FROM events) SELECT k, count(*) AS n FROM a GROUP BY k",
    "UNION": "SELECT carrier AS k FROM events UNION SELECT origin FROM events",
    "one row of the last of all": "SELECT 1 AS k, last(delay ORDER BY position) AS n FROM events",
    "one row of all": "SELECT 1 AS k, count(DISTINCT delay) AS n FROM events",
    "FROM first": "FROM events SELECT carrier AS k, count(*) AS n GROUP BY ALL",
    "a join": "SELECT e.carrier AS k, count(*) AS n FROM events AS e JOIN events AS o USING (origin) GROUP BY ALL",
    "a subquery in SELECT": "SELECT carrier AS k, (SELECT count(*) FROM events) AS n FROM events GROUP BY carrier",
    "a subquery in WHERE": (
        "SELECT carrier AS k, count(*) AS n FROM events WHERE delay IN (SELECT delay FROM events) GROUP BY 1"
    ),
    "a subquery in HAVING": (
        "SELECT carrier AS k FROM events GROUP BY 1 HAVING count(*) > (SELECT count(*) / 2 FROM events)"
    ),
    "a look-up of later rows": (
        "SELECT e.position AS k, w.delay FROM events AS e "
        "ASOF LEFT JOIN (SELECT position, origin, delay FROM events) AS w "
        "ON e.origin = w.origin AND e.position <= w.position"
    ),
    "a look-up by time": (
        "SELECT e.position AS k, w.delay FROM events AS e "
        "ASOF LEFT JOIN (SELECT occurred_at, origin, max(delay) AS delay FROM events GROUP BY ALL) AS w "
        "ON e.origin = w.origin AND e.occurred_at >= w.occurred_at"
    ),
    "a look-up of sums": (
        "SELECT e.position AS k, w.n FROM events AS e ASOF LEFT JOIN "
        "(SELECT origin, min(position) AS position, count(*) AS n FROM events GROUP BY origin) AS w "
        "ON e.origin = w.origin AND e.position >= w.position"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(memory_limit="200MB", threads=1) as opened:
        yield opened


def planned(engine: Engine, text: str) -> Plan:
    return plan(engine, from_text(engine, text, "orders", Side.V2, FILE, COLUMNS), COLUMNS)


def put(engine: Engine, events: Sequence[Event]) -> None:
    """Make `events` hold these, at positions from 1."""

    def cell(value: object) -> str:
        return "NULL" if value is None else literal(value) if isinstance(value, str) else str(value)

    given = "".join(
        f" UNION ALL SELECT {at}, 'e{at}', {cell(kind)}, "
        f"TIMESTAMPTZ '2026-01-01 00:00:00Z' + INTERVAL ({(at * 7) % 5}) HOUR, "
        f"TIMESTAMPTZ '2026-01-01 00:00:00Z', NULL, {cell(carrier)}, {cell(origin)}, {cell(delay)}, NULL"
        for at, (kind, carrier, origin, delay) in enumerate(events, start=1)
    )
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in COLUMNS.items())
    engine.execute(f"CREATE OR REPLACE TEMP VIEW events AS SELECT * FROM (SELECT {empty} WHERE false{given})")


def rows(engine: Engine, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.arrow(sql).to_pylist()
    return found


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=25)
@given(events=EVENTS)
def test_an_exact_position_is_the_last_event_that_the_row_is_made_from(
    engine: Engine, name: str, events: list[Event]
) -> None:
    text, counts, key_of = EXACT[name]
    one = planned(engine, text)
    assert one.position_sql is not None
    put(engine, events)
    last: dict[tuple[object, ...], int] = {}
    for at, event in enumerate(events, start=1):
        if counts(event):
            last[key_of(event)] = at

    found = {
        tuple(row[column] for column in one.view.key): row[POSITION] for row in rows(engine, one.select(len(events)))
    }
    assert found == {key: last[key] for key in found}
    if "HAVING" not in name:
        assert set(found) == set(last)


@settings(max_examples=25)
@given(events=EVENTS)
def test_a_row_of_one_event_has_that_events_position(engine: Engine, events: list[Event]) -> None:
    one = planned(engine, ROWS)
    assert one.position_sql is not None
    put(engine, events)

    found = [(row["position"], row[POSITION]) for row in rows(engine, one.select(len(events)))]
    assert sorted(found) == [(at, at) for at, event in enumerate(events, start=1) if event[0] == "sold"]


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=15)
@given(events=EVENTS)
def test_a_row_does_not_change_by_events_behind_its_exact_position(
    engine: Engine, name: str, events: list[Event]
) -> None:
    """What makes a position exact: the history cut there gives the same row."""
    one = planned(engine, EXACT[name][0])
    put(engine, events)
    whole = rows(engine, one.select(len(events)))
    for row in whole:
        put(engine, events[: row[POSITION]])
        assert row in rows(engine, one.select(len(events)))


@pytest.mark.parametrize("name", EXACT)
def test_the_position_is_put_beside_the_views_own_columns(engine: Engine, name: str) -> None:
    one = planned(engine, EXACT[name][0])
    put(engine, [])

    assert list(engine.columns(one.select(7))) == [*one.view.columns, POSITION]


@pytest.mark.parametrize("name", BOUND)
def test_where_nothing_proves_the_position_it_is_the_head(engine: Engine, name: str) -> None:
    one = planned(engine, f"-- key: k\n\n{BOUND[name]};  -- the end")
    assert one.position_sql is None
    put(engine, [("sold", "AA", "EWR", 1), ("weather", "AA", "JFK", 2), ("sold", "BB", "EWR", None)])

    found = rows(engine, one.select(3))
    assert found
    assert {row[POSITION] for row in found} == {3}
    assert list(found[0]) == [*one.view.columns, POSITION]


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=15)
@given(events=EVENTS)
def test_the_events_that_touch_a_key_are_found_exactly(engine: Engine, name: str, events: list[Event]) -> None:
    text, counts, key_of = EXACT[name]
    tracing = planned(engine, text).tracing
    assert tracing is not None
    put(engine, events)
    wanted: dict[tuple[object, ...], set[int]] = {}
    for at, event in enumerate(events, start=1):
        if counts(event):
            wanted.setdefault(key_of(event), set()).add(at)

    for key, positions in wanted.items():
        same = " AND ".join(
            f"({expression}) IS NOT DISTINCT FROM {'NULL' if part is None else literal(str(part))}"
            for expression, part in zip(tracing.key.values(), key, strict=True)
        )
        where = f"{tracing.condition} AND {same}" if tracing.condition else same
        found = engine.rows(
            f"SELECT {quote(tracing.alias)}.position FROM events AS {quote(tracing.alias)} WHERE {where}"
        )
        assert {position for (position,) in found} == positions


@pytest.mark.parametrize("name", ["a CTE", "UNION", "a join", "a subquery in WHERE", "a look-up of later rows"])
def test_a_view_whose_rows_other_events_may_change_is_not_traced(engine: Engine, name: str) -> None:
    assert planned(engine, f"-- key: k\n\n{BOUND[name]}").tracing is None


def test_affected_by_says_which_events_touch_a_key_where_the_plan_cannot(engine: Engine) -> None:
    tracing = planned(engine, f"-- key: k\n-- affected_by: lower(carrier)\n\n{BOUND['a CTE']}").tracing

    assert tracing is not None
    assert (tracing.alias, tracing.condition, tracing.key) == ("events", "", {"k": "lower(carrier)"})


def test_a_key_that_is_computed_from_many_events_is_not_traced(engine: Engine) -> None:
    for key in ("max(delay)", "arg_max_null(delay, position)"):
        text = f"-- key: k\n\nSELECT {key} AS k, carrier FROM events GROUP BY carrier"
        assert planned(engine, text).tracing is None


def test_a_row_of_all_events_is_merged_and_knows_its_last_one(engine: Engine) -> None:
    one = planned(engine, "-- key: k\n\nSELECT 1 AS k, count(*) AS n FROM events WHERE carrier = 'AA'")
    put(engine, [("sold", "AA", "EWR", 1), ("sold", "AA", "JFK", 2), ("sold", "BB", "EWR", None)])

    assert (one.strategy, one.exact) == ("merge", True)
    assert [(row["n"], row[POSITION]) for row in rows(engine, one.select(3))] == [(2, 2)]
    put(engine, [])
    assert [(row["n"], row[POSITION]) for row in rows(engine, one.select(0))] == [(0, 0)]


@pytest.mark.parametrize(
    ("select", "named"),
    [
        ("SELECT carrier AS k, sum(fare) AS paid FROM events GROUP BY carrier", "paid: adds DOUBLE values (fare)"),
        ("SELECT carrier AS k, 2 * avg(FARE) AS paid FROM events GROUP BY carrier", "paid: adds DOUBLE values (FARE)"),
        (
            "SELECT carrier AS k, sum(fare) FILTER (WHERE delay > 0) AS paid FROM events GROUP BY carrier",
            "paid: adds DOUBLE values (fare)",
        ),
        (
            "WITH a AS (SELECT carrier AS k, sum(fare) AS paid FROM events GROUP BY 1) SELECT * FROM a",
            "paid: adds DOUBLE values (fare)",
        ),
        (
            "SELECT carrier AS k, sum(delay::DOUBLE) AS late FROM events GROUP BY carrier",
            "late: adds DOUBLE values (CAST(delay AS DOUBLE))",
        ),
        (
            "SELECT carrier AS k, sum(delay / 60) AS hours FROM events GROUP BY carrier",
            "hours: adds DOUBLE values (delay / 60)",
        ),
    ],
)  # fmt: skip
def test_a_sum_that_depends_on_the_order_of_addition_is_warned_of(engine: Engine, select: str, named: str) -> None:
    assert planned(engine, f"-- key: k\n\n{select}").warnings == (
        (
            f"{named}, whose sum depends on the order of addition; declare the column as DECIMAL, "
            "or compare it with a tolerant rule"
        ),
    )


@pytest.mark.parametrize(
    "select",
    [
        "SELECT carrier AS k, sum(delay) AS s, avg(delay) AS a, max(fare) AS m FROM events GROUP BY carrier",
        "SELECT carrier AS k, sum(delay // 60) AS hours FROM events GROUP BY carrier",
        "SELECT carrier AS k, sum(CAST(fare AS DECIMAL(10, 2))) AS s FROM events WHERE false GROUP BY carrier",
    ],
)
def test_a_sum_of_whole_numbers_is_not_warned_of(engine: Engine, select: str) -> None:
    warned = planned(engine, f"-- key: k\n\n{select}").warnings
    assert [one for one in warned if "fare" not in one] == []


def test_events_are_what_they_were_when_a_view_was_planned(engine: Engine) -> None:
    columns = {"position": "BIGINT"}
    with engine.bound("events", "SELECT 7 AS position"):
        found = from_text(engine, "-- key: position\nSELECT position FROM events", "v", Side.V1, Path("v.sql"), columns)
        plan(engine, found, columns)
        assert engine.rows("SELECT position FROM events") == [(7,)]


# A view that is left to replays, what the plan advises, and the view that the advice gives.
ADVISED = {
    "a key that may be NULL": (
        "SELECT carrier AS k, count(*) AS n FROM events GROUP BY ALL",
        "leave those events out (WHERE carrier IS NOT NULL), or give them a name (coalesce)",
        "SELECT carrier AS k, count(*) AS n FROM events WHERE carrier IS NOT NULL GROUP BY ALL",
    ),
    "a key that may be NULL, named": (
        "SELECT carrier AS k, delay FROM events",
        "leave those events out (WHERE carrier IS NOT NULL), or give them a name (coalesce)",
        "SELECT coalesce(carrier, '?') AS k, delay FROM events",
    ),
    "count(DISTINCT)": (
        "SELECT type AS k, count(DISTINCT carrier) AS n FROM events GROUP BY type",
        "keep a view with carrier in its key (GROUP BY it too) and count(*), and compute this where it is read",
        "SELECT type AS k, coalesce(carrier, '') AS carrier, count(*) AS n FROM events GROUP BY ALL",
    ),
    "a median": (
        "SELECT type AS k, median(delay + 1) AS n FROM events GROUP BY type",
        "keep a view with delay + 1 in its key (GROUP BY it too) and count(*), and compute this where it is read",
        "SELECT type AS k, coalesce(delay + 1, 0) AS d, count(*) AS n FROM events GROUP BY ALL",
    ),
    "a quantile, filtered": (
        "SELECT type AS k, quantile_disc(delay, 0.5) FILTER (WHERE delay > 0) AS n FROM events GROUP BY type",
        "keep a view with delay in its key (GROUP BY it too) and count(*), and compute this where it is read",
        "SELECT type AS k, delay, count(*) AS n FROM events WHERE delay > 0 GROUP BY ALL",
    ),
    "a list": (
        "SELECT type AS k, list(carrier ORDER BY position) AS l FROM events GROUP BY type",
        "keep a view of the events, a row each, and put carrier together where it is read",
        "SELECT type AS k, position, carrier FROM events",
    ),
    "the last in an order": (
        "SELECT type AS k, last(carrier ORDER BY occurred_at, position) AS l FROM events GROUP BY type",
        "write arg_max_null(x, position), or (..., position) for another order",
        "SELECT type AS k, arg_max_null(carrier, (occurred_at, position)) AS l FROM events GROUP BY type",
    ),
    "a correlation": (
        "SELECT type AS k, corr(delay, position) AS c FROM events GROUP BY type",
        "keep the count and the sums that it is made of, and compute it where it is read",
        "SELECT type AS k, sum(delay) AS a, sum(delay * position) AS b, count(delay) AS n FROM events GROUP BY type",
    ),
    "a key that ties, seen by no analysis": (
        "SELECT type AS k, arg_max(delay, delay) AS n FROM events GROUP BY type",
        "write the key as (..., position), or say by `-- unique:` what no two events agree in",
        "SELECT type AS k, arg_max(delay, (delay, position)) AS n FROM events GROUP BY type",
    ),
    "UNION": (
        "SELECT type AS k FROM events UNION ALL SELECT event_id FROM events",
        "make each branch a view of its own",
        "SELECT type AS k, event_id FROM events",
    ),
    "FROM first": (
        "FROM events SELECT type AS k, count(*) AS n GROUP BY ALL",
        "begin with SELECT",
        "SELECT type AS k, count(*) AS n FROM events GROUP BY ALL",
    ),
    "WITH": (
        "WITH late AS (SELECT * FROM events WHERE delay > 1) SELECT type AS k, count(*) AS n FROM late GROUP BY type",
        "write it as one SELECT over `events`, or make each part a view of its own",
        "SELECT type AS k, count(*) AS n FROM events WHERE delay > 1 GROUP BY type",
    ),
    "DISTINCT": (
        "SELECT DISTINCT type AS k, carrier FROM events WHERE carrier > ''",
        "GROUP BY the columns instead",
        "SELECT type AS k, carrier FROM events WHERE carrier > '' GROUP BY type, carrier",
    ),
    "ORDER BY": (
        "SELECT type AS k, count(*) AS n FROM events GROUP BY type ORDER BY n",
        "leave it out: a store keeps rows by their key, and an `-- index:` orders others",
        "SELECT type AS k, count(*) AS n FROM events GROUP BY type",
    ),
    "LIMIT": (
        "SELECT position AS k, delay FROM events ORDER BY position LIMIT 3",
        "keep all rows, with an `-- index:` of what orders them, and limit at the read",
        "SELECT position AS k, delay FROM events",
    ),
    "QUALIFY": (
        "SELECT type AS k, delay FROM events QUALIFY row_number() OVER (PARTITION BY type ORDER BY position DESC) = 1",
        "for the last event of a group, GROUP BY and write arg_max_null(x, (..., position)); else keep the rows",
        "SELECT type AS k, arg_max_null(delay, position) AS delay FROM events GROUP BY type",
    ),
    "a column by its place": (
        "SELECT position AS k, #1 AS again FROM events", "write the column",
        "SELECT position AS k, position AS again FROM events",
    ),
    "COLLATE": (
        "SELECT type AS k, count(*) AS n FROM events WHERE type = 'A' COLLATE NOCASE GROUP BY ALL",
        "write lower(x), or another expression of the text, instead",
        "SELECT type AS k, count(*) AS n FROM events WHERE lower(type) = 'a' GROUP BY ALL",
    ),
    "a subquery": (
        "SELECT type AS k, count(*) AS n FROM events WHERE delay > (SELECT 1) GROUP BY type",
        "look up earlier events by ASOF JOIN with `e.position >= o.position`, or make it a view",
        "SELECT type AS k, count(*) AS n FROM events WHERE delay > 1 GROUP BY type",
    ),
    "a star": (
        "SELECT *, type AS k FROM events", "name its columns", "SELECT position, event_id, type AS k FROM events",
    ),
    "a group beside the key": (
        "SELECT type AS k, count(*) AS n FROM events GROUP BY type, position < 3",
        "SELECT it too, and name it in the key",
        "SELECT type AS k, position < 3 AS early, count(*) AS n FROM events GROUP BY ALL",
    ),
    "a list for a key": (
        "SELECT [type] AS k, count(*) AS n FROM events GROUP BY ALL", "CAST k to VARCHAR",
        "SELECT CAST([type] AS VARCHAR) AS k, count(*) AS n FROM events WHERE [type] IS NOT NULL GROUP BY ALL",
    ),
    "several sets": (
        "SELECT type AS k, count(*) AS n FROM events GROUP BY GROUPING SETS ((type), ())",
        "make each set a view of its own", "SELECT 'all' AS k, count(*) AS n FROM events",
    ),
    "a lambda": (
        "SELECT type AS k, list_transform([1], lambda _x: _x) AS n FROM events GROUP BY type", "call it otherwise",
        "SELECT type AS k, list_transform([1], lambda x: x) AS n FROM events GROUP BY type",
    ),
    "VARIANT": (
        "SELECT type AS k, variant_typeof(arg_max(delay::VARIANT, position)) AS n FROM events GROUP BY type",
        "CAST what it goes over to VARCHAR or a number",
        "SELECT type AS k, arg_max(delay, position) AS n FROM events GROUP BY type",
    ),
}  # fmt: skip


KEYS = {
    "count(DISTINCT)": "k, carrier", "a median": "k, d", "a quantile, filtered": "k, delay", "DISTINCT": "k, carrier",
    "a group beside the key": "k, early",
}  # fmt: skip
"""The keys that take more than `k`."""


@pytest.mark.parametrize("name", ADVISED)
def test_what_a_plan_advises_is_kept_by_a_tail(engine: Engine, name: str) -> None:
    before, advice, after = ADVISED[name]
    left = planned(engine, f"-- key: k\n\n{before}")
    key = KEYS.get(name, "k")
    kept = planned(engine, f"-- key: {key}\n\n{after}")

    assert (left.strategy, kept.advice) == ("replay", "")
    assert advice in left.advice
    assert kept.strategy in ("merge", "append"), kept.why


def test_a_plan_says_whether_a_tail_rebuilds_a_view(engine: Engine) -> None:
    kept = "SELECT type AS k, count(*) AS n FROM events GROUP BY type"
    header, allowed = "-- key: k\n", "-- key: k\n-- allow: full\n"

    assert planned(engine, header + kept).full == ""
    assert planned(engine, allowed + kept).full == "a tail keeps it without, so `-- allow: full` is not needed"
    assert planned(engine, f"{header}{BOUND['a CTE']}").full == (
        "a tail leaves it at its position; `-- allow: full` lets one rebuild it at the end of a round"
    )
    assert planned(engine, f"{allowed}{BOUND['a CTE']}").full == "a tail rebuilds it at the end of a round"


@pytest.mark.parametrize("line", ["k = carrier", "carrier", "SELECT carrier AS k FROM batch"])
def test_a_plan_says_that_affected_by_does_not_keep_a_view_yet(engine: Engine, line: str) -> None:
    said = "; its `-- affected_by:` is checked, and in this version no tail recomputes single keys by it"
    one = planned(engine, f"-- key: k\n-- affected_by: {line}\n\n{BOUND['a CTE']}")

    assert one.why.endswith(said)
    assert (one.tracing is None) == line.startswith("SELECT")


@pytest.mark.parametrize("lines", ["-- affected_by: carrier\n-- affected_by: origin", "-- affected_by: k = carrier"])
def test_an_event_that_touches_several_keys_or_a_part_of_one_is_not_traced(engine: Engine, lines: str) -> None:
    key = "-- key: k\n" if lines.count("\n") else "-- key: k, n\n"
    assert planned(engine, f"{key}{lines}\n\n{BOUND['a CTE']}").tracing is None


@pytest.mark.parametrize(
    ("column", "window"),
    [
        ("date_trunc('hour', occurred_at)", True),
        ("date_trunc('day', e.occurred_at AT TIME ZONE 'UTC')", True),
        ("time_bucket(INTERVAL 1 HOUR, recorded_at)", True),
        ("occurred_at::DATE", True),
        ("coalesce(CAST(occurred_at AT TIME ZONE 'UTC' AS DATE), DATE '2026-01-01')", True),
        ("strftime(occurred_at, '%Y-%m')", True),
        ("occurred_at", False),
        ("CAST('2026-01-0' || length(e.type) AS DATE)", False),
        ("position // 100", False),
        ("type || strftime(DATE '2026-01-01', '%Y')", False),
    ],
)
def test_a_plan_names_the_columns_of_a_key_that_are_windows_of_time(engine: Engine, column: str, window: bool) -> None:
    select = f"SELECT {column} AS w, type, count(*) AS n FROM events AS e WHERE {column} IS NOT NULL GROUP BY ALL"
    one = planned(engine, f"-- key: w, type\n\n{select}")

    assert one.strategy == "merge", one.why
    assert one.windows == (("w",) if window else ())
