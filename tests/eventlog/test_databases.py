"""A table or a query of a database as a source: each row becomes an event once, whatever happens between imports."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import BadMapping, BadRow, ChangedEvent
from dualgauge.project.errors import BadSettings, NoVariable
from dualgauge.stores.errors import AlikeColumns, NoCursorColumn, NullCursor, TablesRefused, UnfitValue, UnnamedColumn
from support.log_project import LogProject
from support.shop import call
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dualgauge.eventlog.imports.run import Imported

ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, seen TEXT, x INTEGER, city TEXT)"


def lite(project: LogProject, *statements: str) -> None:
    """Run statements on the project's SQLite file."""
    with closing(sqlite3.connect(project.root / "shop.db")) as connection:
        for one in statements:
            connection.execute(one)
        connection.commit()


def served(url: str, *statements: str) -> None:
    """Run statements on a PostgreSQL database, each committed."""
    with closing(psycopg.connect(url.replace("+psycopg", ""), autocommit=True)) as connection:
        for one in statements:
            connection.execute(one.encode())


def row(number: int, city: str = "Ulm") -> str:
    return f"INSERT INTO orders VALUES ({number}, '2020-01-{number:02}', {number * 10}, '{city}')"


def counts(done: Imported) -> tuple[int, int, int]:
    return done.added, done.known, done.last


def cursor_of(project: LogProject) -> dict[str, Any]:
    found: dict[str, Any] = project.log().head().cursors["orders"]
    return found


@pytest.fixture
def project(tmp_path: Path) -> LogProject:
    found = LogProject(tmp_path, columns={"x": "BIGINT"})
    found.source("orders", url="sqlite:///shop.db", table="orders", cursor="id", select={"id": "id", "city": "city"})
    lite(found, ORDERS, row(1), row(2))
    return found


def test_an_import_takes_the_new_rows_and_a_second_one_nothing(project: LogProject) -> None:
    assert counts(project.take()) == (2, 0, 2)
    assert counts(project.take()) == (0, 1, 2)
    lite(project, row(3, "Bern"))
    assert counts(project.take()) == (1, 1, 3)

    assert project.events("event_id", "type", "x", "payload") == [
        ("1", "orders", 10, '{"id":1,"city":"Ulm"}'),
        ("2", "orders", 20, '{"id":2,"city":"Ulm"}'),
        ("3", "orders", 30, '{"id":3,"city":"Bern"}'),
    ]
    project.verify()


def test_rows_below_the_last_import_s_end_are_not_read_again(project: LogProject) -> None:
    project.take()
    # Seen by nobody, unlike a change of the row that is read again for those that tie with it.
    lite(project, "UPDATE orders SET city = 'Rome' WHERE id = 1")

    assert counts(project.take()) == (0, 1, 2)
    lite(project, "UPDATE orders SET city = 'Rome' WHERE id = 2")
    with pytest.raises(ChangedEvent, match="event '2' is there twice with different content"):
        project.take()


def test_the_cursor_is_committed_with_the_events(project: LogProject) -> None:
    project.take()
    cursor = cursor_of(project)

    assert cursor.keys() == {"from", "mapping", "until", "due"}
    assert (cursor["from"], cursor["until"]) == ({"type": "integer", "value": "2"}, None)
    assert [one["cursors"].keys() for one in project.commits()][-1] == {"orders"}


def test_a_dry_run_moves_nothing(project: LogProject) -> None:
    assert project.take(dry_run=True).added == 2
    assert counts(project.take()) == (2, 0, 2)
    lite(project, row(3))
    assert project.take(dry_run=True).added == 1
    assert counts(project.take()) == (1, 1, 3)


def test_what_an_import_up_to_a_time_left_out_is_taken_by_the_next(project: LogProject) -> None:
    from datetime import UTC, datetime

    assert counts(project.take(until=datetime(2020, 1, 1, tzinfo=UTC))) == (1, 0, 1)
    assert cursor_of(project)["until"] == "2020-01-01T00:00:00+00:00"
    assert counts(project.take()) == (1, 1, 2)


def test_other_settings_read_from_the_beginning_and_another_password_does_not(
    project: LogProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.sources[0]["where"] = "city <> 'Ulm'"
    lite(project, row(3, "Bern"))
    assert counts(project.take()) == (1, 0, 1)
    del project.sources[0]["where"]
    assert counts(project.take()) == (2, 1, 3)
    mapping = cursor_of(project)["mapping"]

    from dualgauge.eventlog.sources.databases import mapping_of
    from dualgauge.eventlog.sources.source import Source

    def digest(url: str) -> str:
        project.sources[0]["url"] = url
        return mapping_of(Source(project.open().settings.sources[0], project.root))

    monkeypatch.setenv("DB_PASSWORD", "one-Zebra")
    plain, secret = (
        "postgresql://app@db/shop?sslmode=require",
        "postgresql://app:${DB_PASSWORD}@db/shop?sslmode=require",
    )
    assert digest("sqlite:///shop.db") == mapping
    assert digest(plain) == digest(secret) == digest(f"{plain}&password=x") != digest("postgresql://app@db/other")
    monkeypatch.setenv("SHOP_URL", plain)
    assert digest("${SHOP_URL}") == digest(plain)


def test_a_query_over_the_rows_and_a_statement_in_the_database_s_sql_go_together(project: LogProject) -> None:
    project.sources[0] = {
        "name": "orders", "url": "sqlite:///shop.db", "cursor": "id",
        "statement": "SELECT id, seen, x, upper(city) AS city FROM orders WHERE x > 10;",
        "query": "SELECT _order, 'o' || id AS event_id, 'ordered' AS type, seen AS occurred_at, city, x FROM source "
        "UNION ALL SELECT _order, 'p' || id, 'paid', CAST(seen AS DATE) + 1, NULL, NULL FROM source",
    }  # fmt: skip

    assert counts(project.take()) == (2, 0, 2)
    lite(project, row(3))
    assert counts(project.take()) == (2, 2, 4)
    assert project.events("event_id", "payload") == [
        ("o2", '{"city":"ULM"}'), ("p2", '{"city":null}'), ("o3", '{"city":"ULM"}'), ("p3", '{"city":null}')
    ]  # fmt: skip


def test_a_database_and_a_file_are_one_history(project: LogProject) -> None:
    project.write("s.csv", "id,seen,x\na,2020-01-01 12:00,7\n")
    project.source("files", path="s.csv")

    assert counts(project.take(every=True)) == (3, 0, 3)
    assert project.events("event_id") == ["1", "a", "2"]
    lite(project, row(3))
    assert counts(project.take(every=True)) == (1, 1, 4)
    assert project.log().head().cursors.keys() == {"orders", "files"}


def test_more_rows_than_a_batch_are_taken(project: LogProject) -> None:
    lite(
        project,
        "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
        "INSERT INTO orders SELECT i, '2021-01-01', i, 'x' FROM n",
    )

    assert counts(project.take()) == (50_000, 0, 50_000)
    assert counts(project.take()) == (0, 1, 50_000)


def test_a_row_that_does_not_fit_is_named_by_its_cursor(project: LogProject) -> None:
    lite(project, "INSERT INTO orders VALUES (3, 'soon', 1, 'Ulm')")

    with pytest.raises(BadRow) as told:
        project.take()

    assert str(told.value).startswith("source 'orders', id 3: occurred_at = 'soon' is no TIMESTAMPTZ; nothing was")
    assert project.log().head().last == 0


@pytest.mark.parametrize(
    ("change", "statement", "error", "said"),
    [
        ({"cursor": "ident"}, "", NoCursorColumn, "source 'orders': table orders has no column 'ident'"),
        ({"cursor": "city"}, "UPDATE orders SET city = NULL", NullCursor, "source 'orders': table orders has a row"),
        ({}, "UPDATE orders SET x = 'many'", UnfitValue, "column 'x' holds 'many', which is no BIGINT"),
        ({"table": "order"}, "", DualgaugeError, r"has no table 'order' \(did you mean 'orders'\?\)"),
        ({"table": None, "statement": "DELETE FROM orders"}, "", TablesRefused, "source 'orders': .*refuses the query"),
        ({"url": "sqlite:///none.db"}, "", DualgaugeError, "source 'orders': .*none.db cannot be read"),
        ({"url": "postgresql://me:${PW}@h/d"}, "", NoVariable, "the url of source 'orders' names the .* variable PW"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_source_and_nothing_is_imported(
    project: LogProject, change: dict[str, Any], statement: str, error: type[DualgaugeError], said: str
) -> None:
    if statement:
        lite(project, statement)
    changed = project.sources[0] | change
    project.sources[0] = {key: value for key, value in changed.items() if value is not None}

    with pytest.raises(error, match=said):
        project.take()
    assert project.log().head().last == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"table": None}, 'reads a database, so it needs either table = "..." or statement = "SELECT ..."'),
        ({"statement": "SELECT 1"}, 'reads a database, so it needs either table = "..." or statement = "SELECT ..."'),
        ({"cursor": None}, 'it needs cursor = "...": the column that grows, by which new rows are told'),
        ({"event_id": None}, 'whose rows have no file and number, so it needs event_id = "..."'),
        ({"read": {"header": True}}, "read = {...} holds options of a file's reader; a database takes none"),
        ({"order_by": "file"}, 'order_by = "file" keeps the order of a file; a database has none, so name a column'),
        ({"url": "shop.db"}, "its url is no database URL; write one such as sqlite:///shop.db or postgresql://app@db"),
        ({"url": None, "path": "a.csv"}, 'table, cursor belong to a database; give url = "...", or remove them'),
        ({"path": "a.csv"}, 'needs either path = "..." or python = "package.module:name" or url = "postgresql://..."'),
    ],
)
def test_settings_that_do_not_go_together_are_told(project: LogProject, change: dict[str, Any], said: str) -> None:
    changed = project.sources[0] | change
    project.sources[0] = {key: value for key, value in changed.items() if value is not None}

    with pytest.raises(BadSettings) as told:
        project.open()

    assert "tool.dualgauge.sources.0: source 'orders'" in str(told.value)
    assert said in str(told.value)


# In which order rows are taken.

PIECES = ([12], [7, 5], [1, 2, 4, 5])
"""How the twelve rows of a table fall into imports."""


def moved(number: int, name: object) -> str:
    """A row of an outbox: the times go to and fro, as those of several clocks do, and three keys take turns."""
    return (
        f"INSERT INTO orders VALUES ({name}, '2020-01-{1 + number * 7 % 28:02} {number * 11 % 24:02}:00:00', {number}, "
        f"'key {number % 3}')"
    )


def by_turns(
    project: LogProject, pieces: Sequence[int], names: Sequence[object], put: Callable[[str], None]
) -> list[Any]:
    """What the log has after a table grew piece by piece, with an import after each."""
    taken = 0
    for size in pieces:
        for number in range(taken, taken + size):
            put(moved(number, names[number]))
        taken += size
        project.take()
    project.verify()
    return project.events("position", "event_id", "occurred_at", "x", "payload")


GROWING: dict[str, tuple[str, list[object]]] = {
    "numbers": ("INTEGER", list(range(1, 13))),
    "texts": ("TEXT", [f"'{one}'" for one in "189ABCabczßé"]),
    "texts without case": ("TEXT COLLATE NOCASE", [f"'{one}'" for one in "aBcDeFgHiJkL"]),
    "times": ("DATETIME", [f"'2020-01-01 10:{n:02}'" for n in range(12)]),
    "numbers of several types": ("", [0.5 * n if n % 2 else n // 2 for n in range(12)]),
    "bytes": ("BLOB", [f"x'{n:02x}'" for n in range(12)]),
}


@pytest.mark.parametrize(("kind", "pieces"), thinned(2, GROWING, PIECES), ids=str)
def test_one_import_of_a_growing_table_and_many_give_the_same_log(
    tmp_path: Path, kind: str, pieces: Sequence[int]
) -> None:
    declared, names = GROWING[kind]
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    event_id = "hex(id)" if kind == "bytes" else "id"
    project.source(
        "orders", url="sqlite:///shop.db", table="orders", cursor="id", event_id=event_id, select={"city": "city"}
    )
    lite(project, ORDERS.replace("INTEGER PRIMARY KEY", f"{declared} PRIMARY KEY"))

    found = by_turns(project, pieces, names, lambda statement: lite(project, statement))

    assert [row[3] for row in found] == list(range(12))


def test_rows_of_one_value_of_the_cursor_are_in_the_order_of_their_ids(project: LogProject) -> None:
    lite(project, "DROP TABLE orders", ORDERS.replace(" PRIMARY KEY", ""))
    project.sources[0]["event_id"] = "city"
    for number, city in ((2, "d"), (1, "c"), (1, "a"), (2, "b")):
        lite(project, row(number, city))

    project.take()

    assert project.events("event_id") == ["a", "c", "b", "d"]


def test_another_order_is_taken_where_order_by_names_it(project: LogProject) -> None:
    lite(project, "DELETE FROM orders", *(moved(number, number) for number in range(12)))
    project.sources[0]["order_by"] = "seen"
    project.take()
    times = project.events("occurred_at")
    assert times == sorted(times)

    project.sources[0]["order_by"] = "-x"
    project.sources[0]["event_id"] = "'again/' || id"
    project.take()
    assert project.events("x")[12:] == list(range(11, -1, -1))


def test_merged_with_other_sources_a_table_keeps_the_order_of_its_cursor(project: LogProject) -> None:
    lite(project, "DELETE FROM orders")
    for number, day in ((1, 5), (2, 1), (3, 9)):
        lite(project, f"INSERT INTO orders VALUES ({number}, '2020-01-{day:02}', {number}, 'Ulm')")
    project.write("s.csv", "id,seen,x\na,2020-01-02,7\nb,2020-01-06,7\nc,2020-01-10,7\n")
    project.source("files", path="s.csv")

    project.take(every=True)

    # Row 2 comes behind row 1, so it is due when that one is.
    assert project.events("event_id") == ["a", "1", "2", "b", "3", "c"]


def test_a_row_is_not_due_before_the_rows_that_an_earlier_import_took(project: LogProject) -> None:
    from datetime import UTC, datetime

    lite(project, "DELETE FROM orders", "INSERT INTO orders VALUES (1, '2020-01-05', 1, 'Ulm')")
    assert project.take().added == 1
    lite(project, "INSERT INTO orders VALUES (2, '2020-01-01', 2, 'Ulm')")

    assert project.take(until=datetime(2020, 1, 4, tzinfo=UTC)).added == 0
    assert project.take().added == 1
    lite(project, "INSERT INTO orders VALUES (3, '2020-01-02', 3, 'Ulm')")
    project.write("s.csv", "id,seen,x\na,2020-01-03,7\n")
    project.source("files", path="s.csv")
    project.take(every=True)

    assert project.events("event_id") == ["1", "2", "a", "3"]


def test_a_query_that_does_not_say_a_row_s_place_is_refused_and_told_what_to_add(project: LogProject) -> None:
    mapped = {"name": "orders", "url": "sqlite:///shop.db", "table": "orders", "cursor": "id"}
    query = "SELECT {} 'o' || id AS event_id, 'ordered' AS type, seen AS occurred_at, x FROM source"
    project.sources[0] = {**mapped, "query": query.format("")}

    with pytest.raises(BadMapping) as told:
        project.take()

    assert (
        "source 'orders': its query gives no column '_order', which source has: the place of a row in the order of the "
        'cursor; add _order to what it selects, or name another order, such as order_by = "occurred_at"'
    ) in str(told.value)
    assert project.log().head().last == 0
    for change in ({"query": query.format("_order,")}, {"query": query.format(""), "order_by": "occurred_at"}):
        project.sources[0] = {**mapped, **change}
        assert project.take(dry_run=True).added == 2


def test_rows_that_waited_keep_the_order_of_the_cursor_among_them(project: LogProject) -> None:
    lite(project, "DELETE FROM orders")
    for number, seen in ((1, "2020-01-09"), (2, "soon"), (3, "2020-01-01"), (4, "later")):
        lite(project, f"INSERT INTO orders VALUES ({number}, '{seen}', {number}, 'Ulm')")
    assert project.open().import_("orders", max_bad_rows=9).quarantined == 2
    assert project.events("event_id") == ["1", "3"]

    # Row 4 is the earlier one by its time.
    project.sources[0]["occurred_at"] = "coalesce(try_cast(seen AS DATE), DATE '2020-02-01' - CAST(x AS INTEGER))"
    assert [one.state.value for one in project.open().quarantine.retry().rows] == ["taken", "taken"]
    assert project.events("event_id") == ["1", "3", "2", "4"]
    project.verify()


def test_two_columns_of_one_name_are_refused_and_told_how_to_read_them(project: LogProject) -> None:
    project.sources[0]["statement"] = "SELECT *, city AS _order FROM orders"
    project.sources[0].pop("table")

    with pytest.raises(
        AlikeColumns, match="the statement has a column '_order', by which name an import keeps a row's place"
    ):
        project.take()
    assert project.log().head().last == 0
    project.sources[0]["order_by"] = "id"
    assert project.take().added == 2


# PostgreSQL.

SERVED = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, seen timestamptz, x int, city text, price numeric(9,2), more jsonb)"
)


def entry(number: int) -> str:
    return f"INSERT INTO orders VALUES ({number}, '2020-01-{number:02} 10:00+02', {number}, 'Ulm', 1.5, '{{\"a\": 1}}')"


@pytest.fixture
def served_project(tmp_path: Path, postgres_url: str) -> LogProject:
    found = LogProject(tmp_path, columns={"x": "BIGINT"})
    found.source("orders", url=postgres_url, table="orders", cursor="id")
    served(postgres_url, SERVED, entry(1))
    return found


def test_no_row_of_postgresql_is_lost_and_none_is_there_twice(served_project: LogProject, postgres_url: str) -> None:
    assert counts(served_project.take()) == (1, 0, 1)
    with closing(psycopg.connect(postgres_url.replace("+psycopg", ""))) as slow:
        slow.execute(entry(5).encode())
        served(postgres_url, entry(6))

        assert counts(served_project.take()) == (1, 1, 2)
        cursor = cursor_of(served_project)
        assert cursor.keys() == {"from", "seen", "xmax", "running", "prepared", "mapping", "until", "due"}
        assert (cursor["from"]["value"], cursor["seen"]["value"], len(cursor["running"])) == ("1", "6", 1)
        slow.commit()

    assert counts(served_project.take()) == (1, 2, 3)
    assert served_project.events("event_id") == ["1", "6", "5"]
    assert cursor_of(served_project)["from"] == {"type": "bigint", "value": "6"}
    assert counts(served_project.take()) == (0, 1, 3)
    served_project.verify()


SERVED_GROWING: dict[str, tuple[str, list[object]]] = {
    "numbers": ("bigint", list(range(1, 13))),
    "numbers without a scale": ("numeric", [9 + n / 4 for n in range(12)]),
    "texts of a language": ('text COLLATE "en-x-icu"', [f"'{one}'" for one in "aBcDeFgHiJkL"]),
    "times": ("timestamptz", [f"'2020-01-01 10:{n:02}+00'" for n in range(12)]),
    "uuids": ("uuid", [f"'0190a0b0-0000-7000-8000-0000000000{n:02x}'" for n in range(12)]),
}


def test_bytes_are_no_text_and_a_statement_makes_one_of_them(project: LogProject) -> None:
    lite(
        project,
        "UPDATE orders SET city = x'ff' WHERE id = 1",
        "UPDATE orders SET city = 'x' || char(39) || 'ff' || char(39) WHERE id = 2",
    )
    del project.sources[0]["table"]
    project.sources[0]["statement"] = "SELECT id, seen, x, coalesce(city, '') AS city FROM orders"
    with pytest.raises(UnfitValue, match=r"column 'city' holds b'.xff', which is no VARCHAR"):
        project.take()
    project.sources[0]["statement"] = (
        "SELECT id, seen, x, CASE typeof(city) WHEN 'blob' THEN hex(city) ELSE city END AS city FROM orders"
    )
    project.take()

    assert [json.loads(one)["city"] for one in project.events("payload")] == ["FF", "x'ff'"]


TWICE = {
    'SELECT id, seen, x AS "City", city FROM orders': "'City' and 'city', which differ by case alone",
    "SELECT id, seen, x AS city, city FROM orders ORDER BY x DESC -- all": "two columns called 'city'",
    "WITH o AS (SELECT * FROM orders) SELECT * FROM o AS a JOIN o AS b ON a.id = b.id;": "two columns called 'id'",
    "SELECT id, id, seen, city FROM orders": "two columns called 'id'",
}


@pytest.mark.parametrize("statement", TWICE)
def test_columns_of_a_statement_that_are_called_alike_are_refused(project: LogProject, statement: str) -> None:
    del project.sources[0]["table"]
    project.sources[0]["statement"] = statement

    with pytest.raises(AlikeColumns, match=f"the statement has (the columns )?{TWICE[statement]}, so one would be"):
        project.take()
    assert project.log().head().last == 0


@pytest.mark.parametrize("statement", TWICE)
def test_columns_of_a_statement_of_postgresql_that_are_called_alike_are_refused(
    served_project: LogProject, statement: str
) -> None:
    del served_project.sources[0]["table"]
    served_project.sources[0]["statement"] = statement

    with pytest.raises(AlikeColumns, match=f"the statement has (the columns )?{TWICE[statement]}, so one would be"):
        served_project.take()


def test_a_column_that_is_called_as_sqlite_would_call_a_second_one_is_read(project: LogProject) -> None:
    lite(project, 'CREATE VIEW twice AS SELECT id, seen, x, x AS city, city AS "city:1" FROM orders')
    project.sources[0] |= {"table": "twice", "select": {"a": "city", "b": '"city:1"'}}
    project.take()
    project.sources[0]["statement"] = "SELECT * FROM (SELECT id, seen, x, x AS city, city FROM orders)"
    del project.sources[0]["table"]

    assert counts(project.take()) == (0, 2, 2)
    assert project.events("payload") == ['{"a":10,"b":"Ulm"}', '{"a":20,"b":"Ulm"}']


@pytest.mark.parametrize("name", ['""', "``"])
def test_a_column_without_a_name_is_refused_with_its_place(project: LogProject, name: str) -> None:
    del project.sources[0]["table"]
    project.sources[0]["statement"] = f"SELECT id, seen, x, city, x + 1 AS {name} FROM orders"

    with pytest.raises(UnnamedColumn) as told:
        project.take()
    assert str(told.value) == (
        "source 'orders': the statement gives its column 5 an empty name, which SQL cannot say; read it by "
        "statement = ..., a SELECT that gives each column a name (`AS other_name`)"
    )


@pytest.mark.parametrize(("kind", "pieces"), thinned(2, SERVED_GROWING, PIECES), ids=str)
def test_one_import_of_a_growing_table_of_postgresql_and_many_give_the_same_log(
    tmp_path: Path, postgres_url: str, kind: str, pieces: Sequence[int]
) -> None:
    declared, names = SERVED_GROWING[kind]
    project = LogProject(tmp_path, columns={"x": "BIGINT"})
    project.source("orders", url=postgres_url, table="orders", cursor="id", select={"city": "city"})
    served(postgres_url, f"CREATE TABLE orders (id {declared} PRIMARY KEY, seen timestamptz, x int, city text)")

    found = by_turns(project, pieces, names, lambda statement: served(postgres_url, statement))

    assert [row[3] for row in found] == list(range(12))


def test_columns_of_postgresql_that_differ_by_case_alone_are_refused(
    served_project: LogProject, postgres_url: str
) -> None:
    served(postgres_url, 'ALTER TABLE orders ADD COLUMN "City" text', "UPDATE orders SET \"City\" = 'Bern'")

    with pytest.raises(AlikeColumns) as told:
        served_project.take()

    assert str(told.value) == (
        "source 'orders': table orders has the columns 'city' and 'City', which differ by case alone, so one would be "
        "taken for the other; read it by statement = ..., a SELECT that gives it another name "
        '(`"City" AS other_name`)'
    )
    assert served_project.log().head().last == 0
    source = served_project.sources[0]
    del source["table"]
    source["statement"] = 'SELECT id, seen, x, city, "City" AS other_name FROM orders'
    source["select"] = {"city": "city", "other": "other_name"}
    served_project.take()
    assert served_project.events("payload") == ['{"city":"Ulm","other":"Bern"}']


def test_values_of_postgresql_are_in_the_payload_as_they_are(served_project: LogProject) -> None:
    names = ("id", "seen", "city", "price", "more")
    served_project.sources[0]["select"] = {name: name for name in names}
    served_project.take()

    (payload,) = served_project.events("payload")
    assert json.loads(payload) == {
        "id": 1, "seen": "2020-01-01 08:00:00+00", "city": "Ulm", "price": 1.5, "more": {"a": 1}
    }  # fmt: skip
    assert [f"{at:%H:%M}" for at in served_project.events("occurred_at")] == ["08:00"]


def test_a_password_is_in_nothing_that_is_said_or_kept(
    served_project: LogProject, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = postgres_url.split("@")[1]
    monkeypatch.setenv("DB_PASSWORD", "hunter2-Zebra/@")
    for url in (
        f"postgresql+psycopg://postgres:${{DB_PASSWORD}}@{place}",
        f"postgresql+psycopg://nobody@{place}?password=literal-Zebra",
    ):
        served_project.sources[0]["url"] = url
        served_project.open()
        said = [
            call(*command.split(), *more, folder=served_project.root)
            for command in ("log import", "log show --head", "doctor")
            for more in ((), ("--format", "json", "--debug"))
        ]
        assert "Zebra" not in "".join(one.out + one.err for one in said)
        assert ("position 1" in said[0].out) == ("nobody" not in url)
    kept = [file for file in served_project.root.rglob("*") if file.is_file() and file.name != "pyproject.toml"]
    assert b"Zebra" not in b"".join(file.read_bytes() for file in kept)


# Beside the import.


def test_doctor_tries_a_database_by_some_of_its_rows(project: LogProject) -> None:
    project.open()
    told = call("doctor", folder=project.root).out
    assert "ok    sources: orders: its database answers, whose columns fit  (sqlite:///shop.db)\n" in told
    assert not (project.root / ".dualgauge").exists()

    project.sources[0]["where"] = "x > 1000"
    project.open()
    told = call("doctor", folder=project.root).out
    assert "warn  sources: orders: its database answers, none of its first 1,000 rows is an event  (sqlite" in told
    project.sources[0]["cursor"] = "ident"
    project.open()
    told = call("doctor", folder=project.root).out
    assert "fail  sources: source 'orders': table orders has no column 'ident'" in told


def test_a_source_is_proposed_beside_a_database(project: LogProject) -> None:
    project.open()
    (project.root / "more.csv").write_text("id,seen\na,2020-01-01 10:00:00\nb,2020-01-02 10:00:00\n")

    said = call("log", "add", "more.csv", "--write", folder=project.root)

    assert said.exit_code == 0
    assert call("log", "import", "--all", folder=project.root).out.startswith("added 4 events")
    shown = call("log", "show", "--head", folder=project.root).out
    assert "source orders: all of it" in shown


def test_a_row_of_a_query_that_names_its_order_is_taken_in_by_a_retry(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, o TEXT, am TEXT)")
        given = [(1, "2026-01-01", "1.5"), (2, "2026-01-02", "lots"), (3, "2026-01-03", "2.5")]
        database.executemany("INSERT INTO t VALUES (?, ?, ?)", given)
        database.commit()
    project = LogProject(tmp_path, columns={"am": "DECIMAL(18,3)"})
    query = "SELECT _order, 'd/' || k AS event_id, 't' AS type, o AS occurred_at, am FROM source"
    project.source("s", url="sqlite:///shop.db", table="t", cursor="k", query=query)
    assert project.take(max_bad_rows=5).added == 2
    [one] = project.open().quarantine.list()

    done = project.open().quarantine.retry([one.id], text='{"k":"2","o":"2026-01-02","am":"9.125"}')

    assert (done.added, done.waiting) == (1, 0)
    assert sorted(project.events("event_id")) == ["d/1", "d/2", "d/3"]
