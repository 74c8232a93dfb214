"""What is refused because its answer hangs on an order that nothing makes unique, and what is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dualgauge.engines.duck import open_engine
from dualgauge.engines.syntax import statements_of
from dualgauge.model import Side
from dualgauge.views.definition import from_text
from dualgauge.views.determinism import doubts
from dualgauge.views.errors import UnlikeValues, UnsureOrder
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.engines.duck import Engine

COLUMNS = {
    "position": "BIGINT", "event_id": "VARCHAR", "type": "VARCHAR", "occurred_at": "TIMESTAMP WITH TIME ZONE",
    "recorded_at": "TIMESTAMP WITH TIME ZONE", "payload": "VARCHAR", "who": "VARCHAR", "n": "BIGINT", "note": "VARCHAR",
}  # fmt: skip

ROWS = """
    SELECT i AS position, 'e' || i AS event_id, ['a', 'b'][(i % 2)::BIGINT + 1] AS type,
        TIMESTAMPTZ '2026-01-01' + to_hours((i % 7)::INTEGER) AS occurred_at, TIMESTAMPTZ '2026-01-01' AS recorded_at,
        NULL::VARCHAR AS payload, ['x', 'y', 'z', NULL][(i % 4)::BIGINT + 1] AS who, (i % 5)::BIGINT AS n,
        'note ' || i AS note
    FROM range(1, 2001) AS r(i)
"""


def judged() -> list[tuple[str, str]]:
    """Each SELECT, and the expression for which it is refused; empty where it is not."""
    text = (Path(__file__).parents[1] / "support" / "ordered_views.sql").read_text(encoding="utf-8")
    text = re.sub(r"^----.*$", "", text, flags=re.MULTILINE)
    found = []
    for part in re.split(r"^-- (?=no: |yes)", text, flags=re.MULTILINE)[1:]:
        verdict, _, sql = part.partition("\n")
        found.append((sql.strip(), verdict.removeprefix("no: ") if verdict != "yes" else ""))
    return found


JUDGED = judged()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine() as found:
        yield found


def test_there_are_seventy_of_them() -> None:
    assert len(JUDGED) >= 70
    assert len({sql for sql, _ in JUDGED}) == len(JUDGED)


@pytest.mark.parametrize(("sql", "refused"), JUDGED, ids=[sql[:60] for sql, _ in JUDGED])
def test_each_view_gets_the_verdict_that_it_must(engine: Engine, sql: str, refused: str) -> None:
    (statement,) = statements_of(engine, sql) or ()

    assert [one.sql for one in doubts(engine, sql, statement["node"], COLUMNS)] == ([refused] if refused else [])


def test_a_view_is_refused_with_the_expression_and_its_idiom(engine: Engine) -> None:
    text = "-- key: type\nSELECT type, any_value(n) AS a, arg_max(note, n) AS b FROM events GROUP BY type\n"
    with pytest.raises(UnsureOrder) as caught:
        from_text(engine, text, "v", Side.V1, Path("views_v1/v.sql"), COLUMNS)

    assert "any_value(n) may give another answer at the next replay of the same log" in str(caught.value)
    assert "(so may arg_max(note, n))" in str(caught.value)
    assert "write arg_max(x, position), or give it an ORDER BY that ends with position" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("select", "kind"),
    [
        ("CAST(a AS VARCHAR) AS k, c FROM (SELECT CAST(note AS INTERVAL) AS a, count(*) AS c FROM events GROUP BY 1)",
         "INTERVAL"),
        ("DISTINCT epoch(to_days(n::INTEGER)) AS k FROM events", ""),
        ("CAST(a AS VARCHAR) AS k FROM (SELECT DISTINCT to_days(n::INTEGER) AS a FROM events)", "INTERVAL"),
        ("a[1]::VARCHAR AS k FROM (SELECT [age(occurred_at, recorded_at)] AS a FROM events UNION SELECT [NULL])",
         "INTERVAL"),
        ("CAST(a AS VARCHAR) AS k, c FROM (SELECT n::VARIANT AS a, count(*) AS c FROM events GROUP BY a)", "VARIANT"),
        ("date_trunc('day', occurred_at + INTERVAL 1 DAY) AS k, count(*) AS c FROM events GROUP BY 1", ""),
        ("epoch(recorded_at - occurred_at) AS k, count(*) AS c FROM events GROUP BY recorded_at - occurred_at", ""),
        ("type AS k, max(CAST(note AS INTERVAL))::VARCHAR AS c FROM events GROUP BY type", ""),
    ],
)  # fmt: skip
def test_a_group_of_values_that_are_one_and_written_unlike_is_refused(engine: Engine, select: str, kind: str) -> None:
    text = f"-- key: k\nSELECT {select}"
    if not kind:
        assert from_text(engine, text, "v", Side.V1, Path("views_v1/v.sql"), COLUMNS).key == ("k",)
        return
    with pytest.raises(UnlikeValues, match=rf"it groups by a value of type {kind}, .* group by its text"):
        from_text(engine, text, "v", Side.V1, Path("views_v1/v.sql"), COLUMNS)


@pytest.mark.parametrize(
    ("sql", "declares"),
    [
        ("SELECT type AS k, arg_max(note, n) AS a FROM events GROUP BY type", "n"),
        ("SELECT type AS k, arg_max(note, (occurred_at, n)) AS a FROM events GROUP BY type", "occurred_at, n"),
        ("SELECT type AS k, list(note ORDER BY n) AS a FROM events GROUP BY type", "n"),
        ("SELECT n AS k, note FROM events ORDER BY n LIMIT 3", "n"),
        ("SELECT n AS k, row_number() OVER (ORDER BY n) AS r FROM events", "n"),
        ("SELECT DISTINCT ON (type) type AS k, n FROM events ORDER BY type, n", "type, n"),
        ("SELECT type AS k, arg_max(note, n) AS a FROM (SELECT * FROM events) GROUP BY type", ""),
        ("SELECT type AS k, arg_max(note, n + 1) AS a FROM events GROUP BY type", ""),
        ("SELECT type AS k, list(note) AS a FROM events GROUP BY type", ""),
        ("SELECT type AS k, count(*) AS c FROM events GROUP BY type ORDER BY c LIMIT 3", ""),
        ("SELECT e.type AS k, list(e.note ORDER BY o.n) AS a FROM events e JOIN events o USING (who) GROUP BY ALL", ""),
    ],
)
def test_what_may_be_said_to_be_unique_is_advised_where_it_helps(engine: Engine, sql: str, declares: str) -> None:
    with pytest.raises(UnsureOrder) as caught:
        from_text(engine, f"-- key: k\n{sql}", "v", Side.V1, Path("views_v1/v.sql"), COLUMNS)

    assert ("`-- unique: " in str(caught.value)) == bool(declares)
    if declares:
        assert str(caught.value).endswith(
            f"; or, where no two events agree in it, say so in the header: `-- unique: {declares}`"
        )
        text = f"-- key: k\n-- unique: {declares}\n{sql}"
        assert from_text(engine, text, "v", Side.V1, Path("views_v1/v.sql"), COLUMNS).key == ("k",)


def answers(sql: str, order: str) -> list[tuple[object, ...]]:
    """What a SELECT answers over events that lie in some order, on one thread."""
    with open_engine(threads=1) as engine:
        engine.execute(f"CREATE TABLE events AS SELECT * FROM ({ROWS}) ORDER BY {order}")
        return sorted(engine.rows(f"SELECT CAST(q AS VARCHAR) FROM ({sql}) AS q"))


@pytest.mark.parametrize("sql", thinned(2, [sql for sql, refused in JUDGED if not refused]))
def test_what_is_not_refused_answers_the_same_however_events_lie(sql: str) -> None:
    first = answers(sql, "position")

    assert first
    assert all(answers(sql, order) == first for order in ("position DESC", "md5(event_id)"))


UNSEEN = {
    r"approx_|hash\(": "what it gives is the version's own, and stands in no documentation",
    r"-position": "no two events tie, but an expression of a unique column is not known to be unique",
    r"mode\(": "of values that are there as often it gave the same one in each order that was tried",
    r"DISTINCT who|(GROUP BY (who|type)) ORDER BY|ORDER BY total": "ties of groups lie as their hashes do",
    r"GROUP BY events\.n": "the alias that it is ordered by ties, and the groups lie as their hashes do",
    r"END\) COLLATE NOCASE AS": "of the texts that are one it gave the same in each order that was tried",
    r"e\.who COLLATE": "of the rows that one meets it gave the same in each order that was tried",
    r"bitstring_agg": "it goes by the least and the greatest value that the log's files say of themselves",
    r"e\.event_id\) e|FROM events e JOIN events o ON o.who = e.who\) e": "the rows that tie are alike here",
    r"UNION ALL (BY NAME )?(\()?SELECT (position|[12'])|unnest": "what ties is of one event, as the text has it",
    r"GROUPING SETS|ROLLUP|DISTINCT \*": "ties of groups lie as their hashes do, and rows of one group are alike",
}
"""Which of the refused answer alike however events lie on one thread, and why they are refused all the same."""


@pytest.mark.parametrize(
    "sql", thinned(2, [sql for sql, refused in JUDGED if refused and not re.search("|".join(UNSEEN), sql)])
)
def test_what_is_refused_answers_otherwise_where_events_lie_otherwise(sql: str) -> None:
    first = answers(sql, "position")

    assert any(answers(sql, order) != first for order in ("position DESC", "md5(event_id)", "md5('1' || event_id)"))
