"""A v1 that its application goes on writing: the log gets what v1 has, and v2 is compared there, at one look."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

import dualgauge
from dualgauge.comparison.errors import NotBrought
from dualgauge.eventlog.append.event import Event
from dualgauge.model import Outcome
from support.forked import python
from support.inside import handles_of
from support.live_shop import (
    ADOPTS,
    file_project,
    open_shop,
    plain,
    project,
    run_sql,
    sell,
    sell_in,
    selling,
    tailing,
)
from support.object_store import new_bucket, object_store
from support.shop import ROOT, call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dualgauge.comparison.runs.run import DiffRun
    from dualgauge.migration import Migration

JOB = "-- adopt: summary\n-- key: customer\n-- fed_by: outbox\n-- position_query: SELECT upto FROM progress\n"
WRONG = "UPDATE summary SET cents = cents + 1 WHERE customer = '{}'"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return file_project(tmp_path_factory.mktemp("live") / "shop")


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    """A shop in a SQLite file with three sales, and v2 built of them."""
    folder = tmp_path / "shop"
    shutil.copytree(built, folder)
    return folder


def header(folder: Path, text: str) -> None:
    (folder / "views_v1" / "summary.sql").write_text(text, encoding="utf-8")


def diff(folder: Path) -> DiffRun:
    """The shop as it is, at one look."""
    [run] = dualgauge.open(folder).diff(settle=0)
    return run


def at_step(folder: Path, name: str, act: Callable[[], None]) -> Migration:
    """The shop's project: when a step of that name is told the first time, somebody acts."""
    left = [act]

    def progress(step: str, _done: int, _of: int | None) -> None:
        if name == step and left:
            left.pop()()

    return dualgauge.open(folder, progress=progress)


def ids(folder: Path, most: int = 100) -> list[str]:
    """The ids of the log's events, in the order of their positions."""
    return [str(event["event_id"]) for event in dualgauge.open(folder).log.show(1, most + 1).events]


def error(folder: Path, *arguments: str) -> str:
    said = call(*(arguments or ("diff",)), folder=folder)
    assert (said.exit_code, said.out) != (0, "")
    return " ".join(said.err.split())


# One snapshot


def test_what_v1_has_and_the_log_lacks_is_appended_and_both_are_compared_there(shop: Path) -> None:
    """Also what comes behind the rows that are imported before the snapshot."""
    sell_in(shop / "shop.db", "cyd", 100)

    [run] = at_step(shop, "committing", lambda: sell_in(shop / "shop.db", "ada", 100)).diff(settle=0)

    assert (run.position, run.comparison.verdict, run.comparison.matched) == (5, Outcome.PASS, 3)
    assert ids(shop) == [f"outbox-{number}" for number in range(1, 6)]
    assert diff(shop).position == 5


def test_a_wrong_row_of_v1_is_found_at_one_look(shop: Path) -> None:
    sell_in(shop / "shop.db", "cyd", 100)
    run_sql(shop / "shop.db", WRONG.format("bob"))

    run = diff(shop)

    assert [one.key for one in run.comparison.mismatches] == [{"customer": "bob"}]
    assert (run.comparison.matched, run.comparison.in_flight) == (2, 0)
    assert call("diff", folder=shop).exit_code == 4


@pytest.mark.parametrize("step", ["v2.summary: reading", "v1.summary: reading"])
def test_an_event_that_comes_while_the_sides_are_read_is_in_neither(
    step: str, shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log's writers wait for nothing then: one whose turn did not come would say so."""

    def act() -> None:
        sell_in(shop / "shop.db", "ada", 5_000)
        assert dualgauge.open(shop, patience=0.0).import_(every=True).added == 1

    sell_in(shop / "shop.db", "bob", 100)
    [run] = at_step(shop, step, act).diff(settle=0)

    assert (run.position, run.comparison.verdict, caplog.messages) == (4, Outcome.PASS, [])
    assert (diff(shop).position, ids(shop)[-1]) == (5, "outbox-5")


def test_rows_that_were_deleted_since_and_gaps_in_numbers_hold_nothing_up(shop: Path) -> None:
    file = shop / "shop.db"
    run_sql(file, "DELETE FROM outbox")
    assert diff(shop).comparison.verdict is Outcome.PASS
    with closing(sqlite3.connect(file)) as connection:
        # What is rolled back may leave a gap.
        connection.execute("UPDATE sqlite_sequence SET seq = seq + 40 WHERE name = 'outbox'")
        connection.commit()
    sell_in(file, "dan", 100)

    run = diff(shop)

    assert (run.position, run.comparison.verdict) == (4, Outcome.PASS)
    assert ids(shop)[-1] == "outbox-44"
    run_sql(file, WRONG.format("dan"))
    assert diff(shop).comparison.mismatched == 1


def test_two_tables_of_one_source_are_read_in_one_snapshot(shop: Path) -> None:
    run_sql(
        shop / "shop.db",
        "CREATE TABLE counts (customer TEXT PRIMARY KEY, orders INTEGER)",
        "INSERT INTO counts SELECT customer, orders FROM summary",
    )
    (shop / "views_v1" / "counts.sql").write_text("-- adopt: counts\n-- key: customer\n-- fed_by: outbox\n")
    (shop / "comparators" / "both.py").write_text(
        "from dualgauge import Comparator\n\n"
        "both = Comparator(\n"
        "    key='customer',\n"
        "    v1='SELECT customer, c.orders, s.cents FROM v1.counts c JOIN v1.summary s USING (customer)',\n"
        "    v2='SELECT customer, orders, cents FROM v2.summary',\n"
        ")\n"
    )

    def act() -> None:
        sell_in(shop / "shop.db", "ada", 300)
        run_sql(shop / "shop.db", "UPDATE counts SET orders = orders + 1 WHERE customer = 'ada'")

    [run] = at_step(shop, "v2.summary: reading", act).diff(["both"], settle=0)

    assert (run.position, run.comparison.verdict, run.comparison.matched) == (3, Outcome.PASS, 2)
    assert dualgauge.open(shop).diff(["both"])[0].comparison.matched == 2


def test_without_a_tail_v2_is_brought_by_the_diff_and_a_view_that_no_tail_keeps_is_told(shop: Path) -> None:
    (shop / "views_v2" / "summary.sql").write_text(
        "-- key: customer\nSELECT customer, count(DISTINCT cents) AS orders FROM events WHERE customer IS NOT NULL "
        "GROUP BY customer\n"
    )
    dualgauge.open(shop).replay()
    sell_in(shop / "shop.db", "cyd", 100)

    assert error(shop) == (
        "error: v1 was looked at where it has the events up to position 4, and nothing brought v2 there in time "
        "(v2.summary at 3), so nothing was compared; what v1 has is in the log: bring v2 there and compare again "
        "next: dualgauge tail --once # bring the views to the log's head "
        "next: dualgauge plan # see which views a tail does not keep: replay these"
    )
    with pytest.raises(NotBrought):
        dualgauge.open(shop).diff()
    assert ids(shop)[-1] == "outbox-4"


# A job that keeps v1


def test_keys_of_events_that_a_job_has_not_come_to_are_in_flight_and_the_rest_is_strict(shop: Path) -> None:
    header(shop, JOB)
    file = shop / "shop.db"
    run_sql(file, "INSERT INTO progress VALUES (3)")
    assert diff(shop).comparison.why == dualgauge.open(shop).diff()[0].comparison.why
    for customer in ("ada", "cyd", "ada"):
        sell_in(file, customer, 400, summary=False)

    late = diff(shop).comparison

    assert (late.verdict, late.matched, late.in_flight) == (Outcome.PASS, 1, 2)
    assert late.why[-1] == "in_flight: 2 keys were left out, touched by 3 events that v1 does not have yet"
    run_sql(file, WRONG.format("bob"))
    assert [one.key["customer"] for one in diff(shop).comparison.mismatches] == ["bob"]
    run_sql(file, "UPDATE summary SET cents = cents - 1 WHERE customer = 'bob'", "UPDATE progress SET upto = 5",
            "UPDATE summary SET orders = 3, cents = 1800, latest = 400 WHERE customer = 'ada'")  # fmt: skip
    run = diff(shop)
    assert (run.position, run.comparison.in_flight, [one.key["customer"] for one in run.comparison.mismatches]) == (
        6, 1, ["cyd"],
    )  # fmt: skip


def test_a_job_that_cannot_tell_where_it_is_is_looked_at_twice(shop: Path) -> None:
    header(shop, JOB)
    run_sql(shop / "shop.db", WRONG.format("bob"))
    waited: list[float] = []

    [run] = dualgauge.open(shop, sleep=waited.append).diff(settle=7)

    assert (waited, run.comparison.mismatched) == ([7], 1)


def test_events_whose_keys_nobody_can_tell_are_refused(shop: Path) -> None:
    header(shop, JOB)
    (shop / "comparators" / "summary.py").write_text(
        "from dualgauge import Comparator\n\n"
        "summary = Comparator(key='who', v1='SELECT customer AS who, cents FROM v1.summary',\n"
        "                     v2='SELECT customer AS who, cents FROM v2.summary')\n"
    )
    run_sql(shop / "shop.db", "INSERT INTO progress VALUES (2)")

    assert error(shop) == (
        "error: comparator 'summary': v1 does not have 1 event of the log yet, and which keys they touch is not known, "
        "so nothing was compared: give the comparator an affected_by, or compare when v1 has them"
    )
    (shop / "comparators" / "summary.py").write_text(
        (shop / "comparators" / "summary.py")
        .read_text()
        .replace("key='who'", "key='who', affected_by={'who': 'customer'}")
    )
    assert (diff(shop).comparison.matched, diff(shop).comparison.in_flight) == (1, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("'3'", "gave '3', and the cursor column 'id' holds values of the type integer"),
        ("2.5", "gave 2.5, and the cursor column 'id' holds values of the type integer"),
    ],
)
def test_a_position_that_is_no_value_of_the_cursor_is_told(value: str, said: str, shop: Path) -> None:
    header(shop, JOB)
    run_sql(shop / "shop.db", f"INSERT INTO progress VALUES ({value})")

    assert error(shop) == (
        f"error: {shop}/views_v1/summary.sql: `-- position_query:` gives no value of the cursor: {said}; write a "
        "SELECT that gives the value of the cursor of source 'outbox' up to which the table has every row"
    )


# What the file may say


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            ADOPTS.replace("fed_by: outbox", "fed_by: outbx"),
            "fed_by:` names the source 'outbx' (did you mean 'outbox'?), which is not in the settings; known: outbox; ",
        ),
        (
            JOB.replace("SELECT upto FROM progress", "SELECT max(id) FROM outbox"),
            "position_query:` counts 'outbox' or takes its highest value, which says how far the source 'outbox' is ",
        ),
    ],
)
def test_a_feed_that_cannot_be_one_is_refused(text: str, said: str, shop: Path) -> None:
    header(shop, text)

    assert error(shop).startswith(f"error: {shop}/views_v1/summary.sql: `-- {said}")
    assert call("plan", folder=shop).exit_code == 2


def test_a_source_of_another_database_is_refused(shop: Path) -> None:
    shutil.copy(shop / "shop.db", shop / "other.db")
    settings = shop / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace('url = "sqlite:///shop.db"\ntable', 'url = "sqlite:///other.db"\ntable')
    )

    assert error(shop).endswith(
        "`-- fed_by:` names the source 'outbox', which is not in the database of [tool.dualgauge.store] adopt_url, and "
        "both must be read in one transaction: write the same host, port and database in its url as in adopt_url, or "
        "remove the line"
    )


def test_a_plan_says_how_v1_is_placed_and_warns_of_a_count(shop: Path) -> None:
    assert (
        "  position: that of the source outbox, which is read in one snapshot with the table"
        in call("plan", folder=shop).out
    )
    header(shop, JOB)
    assert (
        "  position: asked of its `-- position_query:`, a value of the cursor of the source outbox"
        in call("plan", folder=shop).out
    )
    header(shop, "-- adopt: summary\n-- key: customer\n-- position_query: SELECT count(*) FROM outbox\n")
    assert (
        "  position: asked of its `-- position_query:`; a count or a highest number is one only where no two writers "
        "overlap, as in SQLite: elsewhere name the source by `-- fed_by:`"
    ) in call("plan", folder=shop).out


def test_evidence_is_bound_to_what_feeds_v1_and_other_files_keep_their_hash(shop: Path) -> None:
    without = ADOPTS.replace("-- fed_by: outbox\n", "")
    hashes = []
    for text in (ADOPTS, without, f"-- description: as ever\n{without}"):
        header(shop, text)
        with handles_of(dualgauge.open(shop)) as handles:
            hashes.append(handles.views[0].hash)

    assert hashes[0] != hashes[1] == hashes[2]


# Killed, and overtaken

KILLS = """
import os, signal, sys
from pathlib import Path
import dualgauge
from dualgauge.comparison.runs import barrier, run
from dualgauge.eventlog.table.event_log import EventLog
from support.live_shop import sell_in

owner, name, after = {
    "before the append": (EventLog, "commit", False),
    "behind the append": (EventLog, "commit", True),
    "before v2 is waited for": (barrier.Held, "wait", False),
    "before the sides are compared": (run, "compare_relations", False),
}[sys.argv[2]]
own = getattr(owner, name)

def dies(*given, **named):
    if after:
        own(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

def progress(step, done, of):
    # The first import has read its rows: what is sold now is appended out of the snapshot.
    if step == "committing" and getattr(owner, name) is own:
        sell_in(Path(sys.argv[1], "shop.db"), "cyd", 100)
        setattr(owner, name, dies)

dualgauge.open(sys.argv[1], progress=progress).diff()
print("not killed")
"""


@pytest.mark.parametrize(
    "where", ["before the append", "behind the append", "before v2 is waited for", "before the sides are compared"]
)
def test_a_diff_that_is_killed_loses_no_event_and_takes_none_twice(where: str, shop: Path) -> None:
    process = python(
        ["-c", KILLS, str(shop), where], environment={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}/tests"}
    )
    said = process.communicate()

    assert (process.returncode, said) == (-signal.SIGKILL, ("", ""))
    assert len(ids(shop)) == (3 if where == "before the append" else 4)
    run = diff(shop)
    assert (run.position, run.comparison.verdict) == (4, Outcome.PASS)
    assert ids(shop) == [f"outbox-{number}" for number in range(1, 5)]
    assert call("log", "verify", folder=shop).exit_code == 0


@pytest.mark.parametrize(
    ("step", "fresh", "taken"),
    [
        ("looking for known ids", False, ["visit", "outbox-5"]),
        ("looking for known ids", True, ["visit", "outbox-5", "outbox-6"]),
        ("committing", True, ["visit", "outbox-5", "outbox-6"]),
    ],
)
def test_whoever_appends_meanwhile_to_an_object_store_makes_the_diff_begin_anew(
    step: str, taken: list[str], *, fresh: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no turn there: what was sold before the other's append is in the new snapshot, and in the log."""
    with object_store() as endpoint:
        bucket = new_bucket(endpoint)
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        folder = file_project(tmp_path / "shop", log=bucket)
        sell_in(folder / "shop.db", "cyd", 100)
        told: list[str] = []

        def progress(name: str, _done: int, _of: int | None) -> None:
            told.append(name)
            # The import that comes before the snapshot has read its rows; then the snapshot's are read.
            if fresh and name == "committing" and told.count("committing") == 1:
                sell_in(folder / "shop.db", "bob", 100)
            if told.count("reading and sorting") == 2 and name == step and "" not in told:
                told.append("")
                sell_in(folder / "shop.db", "ada", 100)
                with dualgauge.open(folder).appender() as log:
                    log.append([Event("visit", "seen", datetime(2026, 1, 1, tzinfo=UTC), {})])

        [run] = dualgauge.open(folder, progress=progress).diff()

        assert (run.position, run.comparison.verdict) == (4 + len(taken), Outcome.PASS)
        assert ids(folder) == ["outbox-1", "outbox-2", "outbox-3", "outbox-4", *taken]
        assert told.count("reading and sorting") == 3


# PostgreSQL


@pytest.fixture
def server(postgres_url: str) -> Iterator[tuple[str, str]]:
    """The shop in PostgreSQL: the URL of the role that sells, and of one that may only read."""
    role = f"reader_{postgres_url.rpartition('_')[2]}"
    yield postgres_url, open_shop(postgres_url, role)
    with psycopg.connect(plain(postgres_url), autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP ROLE {role}".encode())


def written(url: str) -> list[tuple[object, ...]]:
    """What the server counts of writes to the shop's tables; the number of a transaction may be the server's own."""
    counted = "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY relname"
    with psycopg.connect(plain(url), autocommit=True) as connection:
        return connection.execute(counted).fetchall()


def test_a_row_that_is_committed_behind_one_with_a_higher_number_is_in_both_sides_or_in_none(
    server: tuple[str, str], tmp_path: Path
) -> None:
    """A count or a highest number would take the second look for the position of the third."""
    url, reader = server
    with psycopg.connect(plain(url)) as early, psycopg.connect(plain(url), autocommit=True) as other:
        sell(other, "ada", 500)
        project(tmp_path / "shop", reader)
        sell(early, "bob", 700)
        sell(other, "cyd", 900)

        first = diff(tmp_path / "shop")
        early.commit()
        second = diff(tmp_path / "shop")

    assert (first.position, first.comparison.matched, first.comparison.verdict) == (2, 2, Outcome.PASS)
    assert (second.position, second.comparison.matched, second.comparison.verdict) == (3, 3, Outcome.PASS)
    assert ids(tmp_path / "shop") == ["outbox-1", "outbox-3", "outbox-2"]


def test_nothing_is_written_to_v1_and_a_role_that_may_only_read_will_do(
    server: tuple[str, str], tmp_path: Path
) -> None:
    url, reader = server
    with psycopg.connect(plain(url), autocommit=True) as other:
        sell(other, "ada", 500)
        project(tmp_path / "shop", reader)
        sell(other, "bob", 700)
        other.execute("SELECT pg_stat_force_next_flush()")
    before = written(url)

    assert diff(tmp_path / "shop").comparison.matched == 2
    assert call("diff", folder=tmp_path / "shop").exit_code == 0

    assert written(url) == before
    assert [row[1] for row in before[:2]] == [2, 2]


def test_a_job_in_postgresql_is_placed_by_its_cursor(server: tuple[str, str], tmp_path: Path) -> None:
    url, reader = server
    role = reader.partition("//")[2].partition("@")[0]
    with psycopg.connect(plain(url), autocommit=True) as other:
        other.execute("CREATE TABLE progress (upto text)")
        other.execute("INSERT INTO progress VALUES ('2')")
        other.execute(f"GRANT SELECT ON progress TO {role}".encode())
        for customer in ("ada", "bob"):
            sell(other, customer, 500)
        project(tmp_path / "shop", reader, JOB)
        other.execute("INSERT INTO outbox (customer, cents) VALUES ('cyd', 100), ('ada', 100)")

        late = diff(tmp_path / "shop").comparison
        other.execute("UPDATE progress SET upto = 'two'")
        refused = error(tmp_path / "shop")

    assert (late.verdict, late.matched, late.in_flight) == (Outcome.PASS, 1, 2)
    assert 'gives no value of the cursor: invalid input syntax for type bigint: "two"' in refused


def test_under_four_writers_nothing_differs_but_the_row_that_is_wrong(server: tuple[str, str], tmp_path: Path) -> None:
    """A tail imports and follows; every diff is of another position, none of a row on its way; the gates take them."""
    url, reader = server
    with psycopg.connect(plain(url), autocommit=True) as other:
        sell(other, "wrong", 500)
        project(tmp_path / "shop", reader)
        with selling(url) as end, tailing(tmp_path / "shop") as tail:
            right = [diff(tmp_path / "shop") for _ in range(3)]
            moved = dualgauge.open(tmp_path / "shop").switch(100_000)
            other.execute(WRONG.format("wrong").encode())
            wrong = diff(tmp_path / "shop")
            assert tail.poll() is None
            events = end()
            last = diff(tmp_path / "shop")

    assert [one.comparison.verdict for one in right] == [Outcome.PASS] * 3
    assert (moved.after.stage, moved.after.share_ppm) == ("canary", 100_000)
    assert len({one.position for one in [*right, wrong]}) == 4
    assert [[one.key for one in run.comparison.mismatches] for run in (wrong, last)] == [[{"customer": "wrong"}]] * 2
    assert (last.position, len(set(ids(tmp_path / "shop", events)))) == (events + 1, events + 1)
    assert {one.comparison.in_flight for one in [*right, wrong, last]} == {0}
