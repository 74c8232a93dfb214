"""A v1 that is a table of the user's own: adopted, compared, read and rolled back to, and never written."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

import dualgauge
from dualgauge.cli.compare.printing import print_run
from dualgauge.comparison.errors import ChangedMeanwhile, UnequalPositions
from dualgauge.model import Outcome, Side, quote
from dualgauge.project.environment import expand
from dualgauge.project.errors import NoVariable
from dualgauge.stores.errors import BadStoreUrl
from dualgauge.stores.settings import StoreSettings
from dualgauge_router.stores.errors import BadKey, ReaderClosed
from support.adopted import ADOPTS, ROWS, adopt, application, between_looks, ready, write
from support.inside import ledger_of, store_of
from support.ledgers import kept_runs
from support.shop import ROOT, call, child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SET_CENTS = "UPDATE customer_totals SET cents = ? WHERE customer = ?"
HEAVY = {"alembic", "altair", "deltalake", "duckdb", "great_expectations", "numpy", "pandas", "pyarrow", "sqlglot"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ready(tmp_path_factory.mktemp("adopted") / "shop")


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    """A project with an adopted v1, v2 built beside it."""
    folder = tmp_path / "shop"
    shutil.copytree(built, folder)
    return folder


def header(folder: Path, text: str) -> None:
    (folder / "views_v1" / "customers.sql").write_text(text, encoding="utf-8")


def error(folder: Path, *arguments: str) -> str:
    said = call(*(arguments or ("plan",)), folder=folder)
    assert said.exit_code != 0
    assert said.out == ""
    return " ".join(said.err.split())


# What the file may say


def test_an_adopted_table_is_a_view_with_the_columns_of_its_database(shop: Path) -> None:
    said = call("plan", folder=shop)

    assert said.out.splitlines()[1:4] == [
        "  kept by: adopted; code of your own keeps the table customer_totals, which is only read",
        "  columns: customer TEXT, orders INTEGER, cents INTEGER",
        "  position: unknown; a difference counts when it is still there after the settle time of `dualgauge diff`",
    ]
    plan = call("plan", "--format", "json", folder=shop).json["result"]["views"][0]
    assert (plan["strategy"], plan["adopted"], plan["traceable"]) == ("adopted", "customer_totals", False)
    assert plan["row_position"] is None


def test_a_missing_table_is_told_with_the_nearest_one_and_the_file(shop: Path) -> None:
    header(shop, "-- adopt: customer_total\n-- key: customer\n")

    assert error(shop) == (
        f"error: {shop}/views_v1/customers.sql: {shop}/shop.db has no table 'customer_total' "
        "(did you mean 'customer_totals'?); it has customer_totals; name one of its tables, "
        "or name the database in [tool.dualgauge.store] adopt_url"
    )
    assert "has no table 'customer_total'" in error(shop, "read", "customers", "ada")


def test_a_key_that_the_table_does_not_have_is_told_with_the_nearest_column(shop: Path) -> None:
    header(shop, "-- adopt: customer_totals\n-- key: custmer\n")

    assert "names 'custmer', which the table 'customer_totals' does not have (did you mean 'customer'?)" in error(shop)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- adopt: customer_totals\n", "the view has no key; begin the file with `-- key: COLUMN`"),
        (
            "-- adopt: customer_totals\n-- key: customer\n\nSELECT customer FROM events\n",
            "it adopts the table 'customer_totals' and has a SELECT too; an adopted table is kept by code of your own",
        ),
        (
            "-- adopt: customer_totals\n-- key: customer\n-- index: orders\n",
            "`-- index:` stands beside `-- adopt:`; an adopted table is kept by code of your own",
        ),
        ("-- adopt: customer_totals\n-- adopt: other\n-- key: customer\n", "`-- adopt:` stands twice; keep one"),
        ("-- adopt:\n-- key: customer\n", "`-- adopt:` has no value; it holds table of your own that is v1 already"),
    ],
)
def test_a_file_that_cannot_adopt_says_why(text: str, said: str, shop: Path) -> None:
    header(shop, text)

    assert said in error(shop)


def test_only_v1_may_be_adopted(shop: Path) -> None:
    (shop / "views_v2" / "customers.sql").write_text(ADOPTS)

    assert (
        "views_v2/customers.sql: it adopts the table 'customer_totals', and only v1 may be adopted: v2 is built from "
        "the log; write the SELECT that gives v2's rows"
    ) in error(shop)


def test_a_position_query_needs_an_adopted_table(shop: Path) -> None:
    (shop / "views_v2" / "customers.sql").write_text(
        "-- key: customer\n-- position_query: SELECT 5\nSELECT customer FROM events GROUP BY customer\n"
    )

    assert "`-- position_query:` stands without `-- adopt:`; a view with a SELECT knows its position" in error(shop)


def test_the_definition_hash_changes_with_header_and_declared_columns_and_not_with_rows(shop: Path) -> None:
    def fingerprint() -> str:
        plans = call("plan", "--format", "json", folder=shop).json["result"]["views"]
        return str(plans[0]["definition_hash"])

    first = fingerprint()
    write(shop / "shop.db", "INSERT INTO customer_totals VALUES ('dan', 'many', 0.5)")
    header(shop, f"{ADOPTS}-- description: Totals, by customer\n")
    assert fingerprint() == first
    header(shop, f"{ADOPTS}-- position_query: SELECT 5\n")
    asked = fingerprint()
    header(shop, ADOPTS)
    write(shop / "shop.db", "ALTER TABLE customer_totals ADD COLUMN city TEXT")
    assert len({first, asked, fingerprint()}) == 3


# The commands


def test_a_replay_leaves_an_adopted_view_and_says_so(shop: Path) -> None:
    line = "v1.customers: adopted, so there is nothing to build: code of your own keeps its table"

    assert call("replay", "--side", "v1", folder=shop).out.splitlines()[0] == line
    assert call("replay", "v1.customers", "--dry-run", folder=shop).out.splitlines()[0] == line
    both = call("replay", folder=shop)
    assert both.out.splitlines()[0] == line
    assert "v2.customers" in both.out
    assert call("replay", "--format", "json", folder=shop).json["result"]["adopted"] == ["v1.customers"]
    revisions = "\n".join(file.read_text() for file in (shop / "migrations" / "versions").glob("*.py"))
    assert "views_v2" in revisions
    assert "views_v1" not in revisions


def test_a_replay_of_adopted_views_alone_changes_nothing(tmp_path: Path) -> None:
    folder = adopt(tmp_path / "shop")
    application(folder)
    call("log", "import", "--all", folder=folder)
    before = {file for file in folder.rglob("*") if file.is_file()}

    assert call("replay", "--side", "v1", folder=folder).exit_code == 0
    assert {file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"} == before


def test_status_shows_the_position_or_that_it_is_unknown(shop: Path) -> None:
    def line() -> list[str]:
        return next(one for one in call("status", folder=shop).out.splitlines() if "v1.customers" in one).split()

    assert line() == ["v1.customers", "adopted", "unknown"]
    header(shop, f"{ADOPTS}-- position_query: SELECT sum(orders) FROM customer_totals\n")
    assert line()[:4] == ["v1.customers", "adopted", "4", "1"]
    write(shop / "shop.db", "INSERT INTO customer_totals VALUES ('dan', 3, 0)")
    assert line() == ["v1.customers", "adopted", "7", "2", "ahead"]
    view = call("status", "--format", "json", folder=shop).json["result"]["views"][0]
    assert (view["readiness"], view["build"], view["position"], view["behind"]) == ("adopted", None, 7, -2)
    assert "next: dualgauge replay" not in call("status", folder=shop).out


def test_a_read_is_answered_from_the_table_and_loads_no_engine(shop: Path) -> None:
    assert "  cents     3300" in call("read", "customers", "ada", folder=shop).out
    assert "no row with key dan" in call("read", "customers", "dan", folder=shop).out
    assert "2 key values were given; its key is customer" in error(shop, "read", "customers", "ada", "x")
    for arguments in (["read", "customers", "ada"], ["rollback"]):
        assert loaded(arguments, shop) & HEAVY == set()


def loaded(arguments: list[str], folder: Path) -> set[str]:
    """The top-level modules of a command's process at its end."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted({n.partition('.')[0] for n in sys.modules}), file=sys.stderr))\n"
        "from dualgauge.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_an_application_reads_both_sides_through_the_store(shop: Path) -> None:
    store = store_of(dualgauge.open(shop))

    with store.reader(Side.V1) as v1, store.reader(Side.V2) as v2:
        assert v1.get("customers", ["bob"]) == v2.get("customers", ["bob"])
        write(shop / "shop.db", SET_CENTS, [(7, "bob")])
        assert v1.get("customers", ["bob"]) == {"customer": "bob", "orders": 1, "cents": 7}
        with pytest.raises(BadKey, match=r"view v1.customers: 2 key values were given; its key is customer"):
            v1.get("customers", ["bob", "x"])
    assert store.served(Side.V1) == {"customers": 0}


def test_threads_share_a_reader_of_adopted_tables(shop: Path) -> None:
    store = store_of(dualgauge.open(shop))
    with store.reader(Side.V1) as v1, ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: v1.get("customers", ["bob"]), range(60)))
    assert found == [found[0]] * 60
    assert found[0] is not None
    assert store.served_builds(Side.V1)["customers"].adopted
    assert not store.served_builds(Side.V2)["customers"].adopted


@pytest.mark.parametrize("read_before", [True, False])
def test_a_reader_of_adopted_tables_is_closed_when_its_with_is_over(shop: Path, *, read_before: bool) -> None:
    store = store_of(dualgauge.open(shop))
    with store.reader(Side.V1) as reader:
        if read_before:
            assert reader.get("customers", ["bob"])

    with pytest.raises(ReaderClosed):
        reader.get("customers", ["bob"])


def test_a_rollback_says_how_far_v1_is(shop: Path) -> None:
    def last() -> str:
        return call("rollback", "--dry-run", folder=shop).out.splitlines()[-1]

    assert last() == "v1.customers, kept by code of your own: position unknown"
    assert call("rollback", "--format", "json", folder=shop).json["result"]["v1_positions"] == {"customers": None}
    header(shop, f"{ADOPTS}-- position_query: SELECT 5\n")
    assert last() == "v1.customers, kept by code of your own: at position 5"
    assert call("rollback", "--format", "json", folder=shop).json["result"]["v1_positions"] == {"customers": 5}


@pytest.mark.parametrize("broken", ["no database", "no table", "no variable", "no query"])
def test_a_rollback_is_never_refused_for_what_v1_looks_like(broken: str, shop: Path) -> None:
    call("diff", folder=shop)
    assert call("switch", "--percent", "5", folder=shop).exit_code == 0
    match broken:
        case "no database":
            (shop / "shop.db").unlink()
        case "no table":
            write(shop / "shop.db", "DROP TABLE customer_totals")
        case "no variable":
            file = shop / "pyproject.toml"
            file.write_text(file.read_text().replace("sqlite:///shop.db", "postgresql://app:${SHOP_PASSWORD}@db/shop"))
        case "no query":
            header(shop, f"{ADOPTS}-- position_query: SELECT upto FROM nowhere\n")
    said = call("rollback", folder=shop)

    assert said.exit_code == 0
    assert said.out.splitlines()[0] == "moved from stage canary (5 % on v2) to stage shadow (0 % on v2)"
    assert said.out.splitlines()[1] == "v1.customers, kept by code of your own: position unknown"


# Read, never written


def test_no_command_writes_the_application_s_database(tmp_path: Path) -> None:
    folder = adopt(tmp_path / "shop", f"{ADOPTS}-- position_query: SELECT upto FROM progress\n")
    file = application(folder)
    write(file, "CREATE TABLE progress (upto INTEGER)")
    write(file, "INSERT INTO progress VALUES (5)")
    write(file, "CREATE TABLE touched (what TEXT)")
    for verb in ("INSERT", "UPDATE", "DELETE"):
        write(
            file,
            f"CREATE TRIGGER on_{verb.lower()} AFTER {verb} ON customer_totals "
            f"BEGIN INSERT INTO touched VALUES ('{verb}'); END",
        )
    before, stamp = file.read_bytes(), file.stat().st_mtime_ns

    for line in (
        "log import --all", "plan", "replay", "replay --side v1 --force", "status", "diff", "read customers ada",
        "switch --percent 100", "rollback", "evidence list", "journal --verify", "migrate history",
    ):  # fmt: skip
        said = call(*line.split(), folder=folder)
        assert said.exit_code == 0, said.err
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, stamp)
    assert sorted(one.name for one in folder.glob("shop.db*")) == ["shop.db"]


def test_a_position_query_of_several_rows_is_refused(shop: Path) -> None:
    header(shop, f"{ADOPTS}-- position_query: SELECT 3 UNION ALL SELECT 99\n")

    said = error(shop, "diff")
    assert "views_v1/customers.sql: `-- position_query:` gave more than one row, and which of them came first" in said
    header(shop, f"{ADOPTS}-- position_query: SELECT max(n) FROM (SELECT 3 AS n UNION ALL SELECT 5) AS both\n")
    assert "at position 5" in call("rollback", "--dry-run", folder=shop).out


def test_a_position_query_that_would_write_is_refused(shop: Path) -> None:
    header(shop, f"{ADOPTS}-- position_query: DELETE FROM customer_totals RETURNING 5\n")

    said = error(shop, "status")
    assert "views_v1/customers.sql: `-- position_query:` cannot be answered" in said
    assert "write a SELECT that gives the number of the last event that the table has in it" in said
    with closing(sqlite3.connect(shop / "shop.db")) as connection:
        assert connection.execute("SELECT count(*) FROM customer_totals").fetchone() == (3,)


def test_an_application_that_writes_in_wal_mode_goes_on_writing(shop: Path) -> None:
    with closing(sqlite3.connect(shop / "shop.db")) as own:
        own.execute("PRAGMA journal_mode = WAL")
        own.execute("BEGIN IMMEDIATE")
        own.execute(SET_CENTS, (1, "bob"))
        assert call("diff", folder=shop).exit_code == 0
        own.commit()
    [run] = between_looks(shop, lambda: None).diff()
    assert run.comparison.changed == 1


# Names


@pytest.mark.parametrize(("table", "key"), [('my "totals" 🚂', 'the "key" 🧍'), ("select", "a.b")])
def test_odd_names_of_tables_and_columns_are_read_as_they_are(table: str, key: str, tmp_path: Path) -> None:
    folder = adopt(tmp_path / "shop", f"-- adopt: {table}\n-- key: {quote(key)}\n")
    query = f"SELECT {quote(key)} AS customer, orders, cents FROM v1.customers"
    write(folder / "shop.db", f"CREATE TABLE {quote(table)} ({quote(key)} TEXT PRIMARY KEY, orders INT, cents INT)")
    write(folder / "shop.db", f"INSERT INTO {quote(table)} VALUES (?, ?, ?)", ROWS)
    (folder / "comparators" / "customers.py").write_text(
        f"from dualgauge import Comparator\n\ncustomers = Comparator(key='customer', v1={query!r})\n"
    )
    call("log", "import", "--all", folder=folder)
    assert call("replay", folder=folder).exit_code == 0

    assert "customers: PASS" in call("diff", folder=folder).out
    assert "3300" in call("read", "customers", "ada", folder=folder).out


# One position, where the table can tell it


def test_a_table_that_tells_its_position_is_compared_at_it_with_one_look(shop: Path) -> None:
    header(shop, f"{ADOPTS}-- position_query: SELECT 5\n")
    write(shop / "shop.db", SET_CENTS, [(1, "bob")])
    looks: list[str] = []
    [run] = between_looks(shop, lambda: looks.append("again")).diff()

    assert (run.position, run.comparison.changed, run.comparison.in_flight) == (5, 1, 0)
    assert looks == []


def test_a_table_ahead_of_the_log_is_not_compared_and_the_advice_is_to_import(shop: Path) -> None:
    header(shop, f"{ADOPTS}-- position_query: SELECT 8\n")
    said = call("diff", folder=shop)

    assert said.exit_code == 5
    assert "v1.customers at 8, v2.customers at 5" in said.err
    assert "next: dualgauge log import --all   # take in what v1.customers has already" in said.err
    assert "next: dualgauge replay   # bring every view to the log's head" in said.err


def test_a_table_behind_the_log_is_waited_for(shop: Path) -> None:
    header(shop, f"{ADOPTS}-- position_query: SELECT 3\n")

    with pytest.raises(UnequalPositions, match=r"code of your own keeps v1.customers: compare again when it has come"):
        dualgauge.open(shop).diff()


def test_adopted_and_built_views_of_v1_stand_beside_each_other(shop: Path) -> None:
    select = "-- key: customer\nSELECT customer, count(*) AS events FROM events GROUP BY customer\n"
    for side in Side:
        (shop / side.schema / "visits.sql").write_text(select)
    said = call("replay", folder=shop)

    assert said.out.splitlines()[0].startswith("v1.customers: adopted")
    assert "v1.visits" in said.out
    assert {run.name: run.comparison.verdict for run in dualgauge.open(shop).diff()} == {
        "customers": Outcome.PASS,
        "visits": Outcome.PASS,
    }
    assert "  events    2" in call("read", "visits", "ada", folder=shop).out
    (shop / "shop.db").unlink()
    store = store_of(dualgauge.open(shop))
    with store.snapshot(Side.V1) as snapshot, store.reader(Side.V1) as reader:
        assert snapshot.served("visits") is not None
        assert reader.get("visits", ["ada"]) is not None


def test_a_position_that_is_null_is_unknown(shop: Path) -> None:
    header(shop, f"{ADOPTS}-- position_query: SELECT max(orders) FROM customer_totals WHERE false;\n")

    assert "unknown" in call("status", folder=shop).out
    assert call("diff", folder=shop).exit_code == 0


@pytest.mark.parametrize("answer", ["'five'", "-1", "2.5"])
def test_an_answer_that_is_no_position_is_told(answer: str, shop: Path) -> None:
    header(shop, f"{ADOPTS}-- position_query: SELECT {answer}\n")

    assert "which is no position: one is a whole number, 0 or more" in error(shop, "diff")


# Two looks, where it cannot


def test_a_difference_that_is_gone_at_the_second_look_is_in_flight(shop: Path) -> None:
    write(shop / "shop.db", SET_CENTS, [(1, "bob")])
    [run] = between_looks(shop, lambda: write(shop / "shop.db", SET_CENTS, [(1200, "bob")])).diff()

    found = run.comparison
    assert (found.verdict, found.in_flight, found.compared, found.mismatched) == (Outcome.PASS, 1, 2, 0)
    assert found.why[-1] == (
        "in_flight: 1 key changed within 5 seconds and was left out, because v1 cannot tell its position"
    )
    kept = json.loads((run.folder / "diff.json").read_text())
    assert (kept["in_flight"], kept["mismatched"]) == (1, 0)
    screen = Console(file=io.StringIO(), width=200)
    print_run(screen, run)
    assert "2 matched, 0 changed; 0 only in v1, 0 only in v2; 0 expected; 1 in flight" in said_on(screen)


def said_on(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_a_difference_that_stands_still_is_a_mismatch_while_others_move(shop: Path) -> None:
    def act() -> None:
        write(shop / "shop.db", SET_CENTS, [(2, "ada")])
        write(shop / "shop.db", "DELETE FROM customer_totals WHERE customer = 'cyd'")
        write(shop / "shop.db", "INSERT INTO customer_totals VALUES ('dan', 1, 1)")

    write(shop / "shop.db", SET_CENTS, [(1, "bob")])
    [run] = between_looks(shop, act).diff()

    assert run.comparison.verdict is Outcome.FAIL
    assert run.comparison.in_flight == 3
    assert [(dict(one.key), one.kind.value) for one in run.comparison.mismatches] == [({"customer": "bob"}, "changed")]
    [mismatch] = run.comparison.mismatches
    assert [event.event_id for event in mismatch.events] == ["2/placed"]


def test_nothing_that_stood_still_is_inconclusive(shop: Path) -> None:
    migration = between_looks(shop, lambda: write(shop / "shop.db", "UPDATE customer_totals SET cents = cents + 1"))
    write(shop / "shop.db", SET_CENTS, [(1, "bob")])
    [run] = migration.diff()

    assert (run.comparison.verdict, run.comparison.in_flight, run.comparison.compared) == (Outcome.INCONCLUSIVE, 3, 0)


def test_equal_sides_are_not_looked_at_again_and_a_settle_time_of_0_waits_for_nothing(shop: Path) -> None:
    looks: list[str] = []
    migration = between_looks(shop, lambda: looks.append("again"))
    assert migration.diff()[0].comparison.verdict is Outcome.PASS
    write(shop / "shop.db", SET_CENTS, [(1, "bob")])
    assert migration.diff(settle=0)[0].comparison.changed == 1
    assert looks == []
    assert migration.diff(settle=0.25)[0].comparison.changed == 1
    assert looks == ["again"]


def test_a_comparator_that_adds_up_is_judged_by_its_own_keys(shop: Path) -> None:
    (shop / "comparators" / "totals.py").write_text(
        "from dualgauge import Comparator\n\n"
        "both = Comparator(\n    key='letter',\n"
        '    v1="SELECT left(customer, 1) AS letter, sum(cents / 7) AS part FROM v1.customers GROUP BY ALL",\n'
        '    v2="SELECT left(customer, 1) AS letter, sum(cents / 7) AS part FROM v2.customers GROUP BY ALL",\n)\n'
    )
    write(shop / "shop.db", SET_CENTS, [(1, "bob"), (2, "cyd")])
    [run] = between_looks(shop, lambda: write(shop / "shop.db", SET_CENTS, [(3, "cyd")])).diff(["both"])

    assert (run.comparison.in_flight, [dict(one.key) for one in run.comparison.mismatches]) == (1, [{"letter": "b"}])


def test_keys_that_repeat_stay_a_finding_whatever_moves(tmp_path: Path) -> None:
    folder = adopt(tmp_path / "shop")
    file = folder / "shop.db"
    write(file, "CREATE TABLE customer_totals (customer TEXT, orders INTEGER, cents INTEGER)")
    write(file, "INSERT INTO customer_totals VALUES (?, ?, ?)", [*ROWS, ("bob", 5, 5), (None, 1, 1), ("dan", 1, 1)])
    migration = between_looks(folder, lambda: write(file, "UPDATE customer_totals SET cents = cents + 1"))
    migration.import_(every=True)
    migration.replay()
    [run] = migration.diff()

    [problem] = run.comparison.key_problems
    assert (problem.null_keys, problem.duplicate_keys, run.comparison.verdict) == (1, 1, Outcome.FAIL)
    assert (run.comparison.in_flight, run.comparison.mismatched) == (3, 0)


def test_a_table_that_is_altered_between_the_looks_is_not_compared(shop: Path) -> None:
    write(shop / "shop.db", SET_CENTS, [(1, "bob")])
    migration = between_looks(shop, lambda: write(shop / "shop.db", "ALTER TABLE customer_totals ADD COLUMN city TEXT"))

    with pytest.raises(ChangedMeanwhile, match="comparator 'customers': a view was replayed, or its table altered"):
        migration.diff()
    with ledger_of(migration) as ledger:
        [run] = kept_runs(ledger)
    assert run.verdict is Outcome.INCONCLUSIVE
    assert list((shop / "reports").iterdir()) == []


NAMES = ("ada", "bob", "cyd", "dan", "eve")
WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from((1, 1200, 3300, 9900))),
        st.tuples(st.just("drop"), st.sampled_from(NAMES), st.just(0)),
    ),
    max_size=6,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=WRITES, between=WRITES)
def test_what_differs_and_stood_still_is_always_told_and_what_moved_never(
    before: list[tuple[str, str, int]], between: list[tuple[str, str, int]], shop: Path
) -> None:
    file = shop / "shop.db"

    def play(writes: list[tuple[str, str, int]]) -> None:
        for verb, name, cents in writes:
            if verb == "put":
                write(file, "INSERT OR REPLACE INTO customer_totals VALUES (?, 1, ?)", [(name, cents)])
            else:
                write(file, "DELETE FROM customer_totals WHERE customer = ?", [(name,)])

    def rows() -> dict[str, tuple[Any, ...]]:
        with closing(sqlite3.connect(file)) as connection:
            return {row[0]: row for row in connection.execute("SELECT * FROM customer_totals")}

    write(file, "DELETE FROM customer_totals")
    write(file, "INSERT INTO customer_totals VALUES (?, ?, ?)", ROWS)
    play(before)
    first, v2 = rows(), {row[0]: row for row in ROWS}
    [run] = between_looks(shop, lambda: play(between)).diff(samples=100)
    second = rows()

    told = {str(one.key["customer"]) for one in run.comparison.mismatches}
    if first == v2:
        second = first  # one look was enough
    moved = {name for name in NAMES if first.get(name) != second.get(name)}
    assert told == {name for name in NAMES if name not in moved and first.get(name) != v2.get(name)}
    assert run.comparison.in_flight == len(moved)
    assert run.comparison.verdict is not Outcome.PASS or run.comparison.compared > 0


def test_an_application_that_never_stops_writing_hides_no_difference_of_another_key(shop: Path) -> None:
    file = shop / "shop.db"
    write(file, SET_CENTS, [(1, "bob")])
    program = (
        "import sqlite3, sys, time\n"
        "own = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "print('writing', flush=True)\n"
        "while True:\n"
        "    own.execute(\"UPDATE customer_totals SET cents = cents + 1 WHERE customer = 'ada'\")\n"
        "    time.sleep(0.005)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE) as own:
        assert own.stdout is not None
        own.stdout.readline()
        try:
            said = child("diff", "--settle", "0.3", "--format", "json", folder=shop)
        finally:
            own.kill()
    assert said.exit_code == 4
    [run] = said.json["result"]["runs"]
    assert [one["key"] for one in run["mismatches"]] == [{"customer": "bob"}]
    assert (run["in_flight"], run["matched"]) == (1, 1)


def test_a_diff_that_is_killed_while_it_waits_is_evidence_of_nothing(shop: Path) -> None:
    write(shop / "shop.db", SET_CENTS, [(1, "bob")])
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    arguments = [sys.executable, "-m", "dualgauge", "diff", "--settle", "600"]
    migration = dualgauge.open(shop)
    with subprocess.Popen(arguments, cwd=shop, env=environment, stdout=subprocess.DEVNULL) as waiting:
        try:
            wait_for(lambda: any((shop / "reports").glob("*/mismatches.parquet")))
        finally:
            waiting.send_signal(signal.SIGKILL)
    with ledger_of(migration) as ledger:
        [run] = kept_runs(ledger)

    assert (run.state.value, run.verdict, run.summary) == ("running", None, None)
    assert not (shop / str(run.folder) / "diff.json").exists()
    refused = call("switch", "--percent", "1", folder=shop)
    assert refused.exit_code == 3
    assert "diff:customers" in refused.err


def wait_for(there: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


# Evidence and gates


def test_evidence_is_bound_to_the_table_s_definition_and_a_gate_goes_by_it(shop: Path) -> None:
    [run] = dualgauge.open(shop).diff()
    with ledger_of(dualgauge.open(shop)) as ledger:
        [kept] = kept_runs(ledger)
    bound: Any = kept.bound
    plan = call("plan", "--format", "json", folder=shop).json["result"]["views"][0]
    assert bound["v1"]["customers"] == {"build": None, "token": None, "definition_hash": plan["definition_hash"]}
    assert (kept.position, run.position) == (5, 5)
    write(shop / "shop.db", SET_CENTS, [(2, "bob"), (1200, "bob")])
    assert call("switch", "--percent", "1", folder=shop).exit_code == 0

    write(shop / "shop.db", "ALTER TABLE customer_totals ADD COLUMN city TEXT")
    said = call("switch", "--percent", "5", folder=shop)
    assert said.exit_code == 3
    assert "diff:customers" in said.err


# PostgreSQL, and settings with variables


@pytest.fixture
def server(postgres_url: str) -> Iterator[tuple[str, str]]:
    """The application's database: its own URL, and that of a role which may only read, password left out."""
    plain = postgres_url.replace("+psycopg", "")
    role = f"reader_{postgres_url.rpartition('/')[2]}"
    with psycopg.connect(plain, autocommit=True) as own:
        own.execute("CREATE SCHEMA sales")
        own.execute(
            'CREATE TABLE sales."Customer Totals 🚂" '
            "(customer text PRIMARY KEY, orders integer NOT NULL, cents bigint, seen timestamptz DEFAULT now())"
        )
        with own.cursor() as cursor:
            cursor.executemany('INSERT INTO sales."Customer Totals 🚂" VALUES (%s, %s, %s)', ROWS)
        own.execute("CREATE TABLE sales.progress (upto bigint)")
        own.execute("INSERT INTO sales.progress VALUES (5)")
        own.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p@ss/w:rd'")
        own.execute(f"GRANT USAGE ON SCHEMA sales TO {role}")
        own.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA sales TO {role}")
        yield plain, postgres_url.replace("postgres@", f"{role}:${{SHOP_PASSWORD}}@")
        own.execute(f"DROP OWNED BY {role}")
        own.execute(f"DROP ROLE {role}")


def test_an_adopted_key_that_begins_with_an_underscore_is_read_and_compared_by_another_name(tmp_path: Path) -> None:
    folder = adopt(tmp_path / "shop", "-- adopt: customer_totals\n-- key: _id\n")
    write(folder / "shop.db", "CREATE TABLE customer_totals (_id TEXT PRIMARY KEY, _x INTEGER)")
    write(folder / "shop.db", "INSERT INTO customer_totals VALUES ('ada', 1)")
    (folder / "comparators" / "customers.py").write_text(
        "from dualgauge import Comparator\n\n"
        "customers = Comparator(key='customer', v1='SELECT _id AS customer, 2 AS orders, _x FROM v1.customers',\n"
        "    v2=\"SELECT customer, orders, 7 AS _x FROM v2.customers WHERE customer = 'ada'\")\n"
    )
    migration = dualgauge.open(folder)
    migration.import_(every=True)
    migration.replay()

    [context] = migration.diff(["customers"], settle=0)
    assert [one.name for one in context.comparison.columns] == ["orders"]
    assert call("read", "customers", "ada", folder=folder).exit_code == 0


def test_an_adopted_table_whose_columns_differ_by_case_is_refused_with_both(tmp_path: Path, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql('CREATE TABLE customer_totals (customer text, orders int, "Orders" int)')
    engine.dispose()
    folder = adopt(tmp_path / "shop", adopt_url=postgres_url)

    assert "column 'Orders' differs from 'orders' only in case; drop or rename one, or adopt a database view" in error(
        folder
    )


def test_a_table_of_postgresql_is_adopted_by_a_role_that_may_only_read(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, url = server
    folder = adopt(
        tmp_path / "shop",
        "-- adopt: sales.Customer Totals 🚂\n-- key: customer\n-- position_query: SELECT upto FROM sales.progress\n",
        adopt_url=url,
    )
    (folder / "comparators" / "customers.py").write_text(
        "from dualgauge import Comparator\n\n"
        "customers = Comparator(key='customer', v1='SELECT customer, orders, cents FROM v1.customers')\n"
    )
    call("log", "import", "--all", folder=folder)
    assert (
        "tool.dualgauge.store.adopt_url names the environment variable SHOP_PASSWORD, which is not set; set it where "
        "the command runs, as in `export SHOP_PASSWORD=...`"
    ) in error(folder)

    monkeypatch.setenv("SHOP_PASSWORD", "p@ss/w:rd")
    said = [
        call(*line.split(), folder=folder)
        for line in ("plan", "replay", "status", "diff", "read customers ada", "switch --percent 1", "rollback")
    ]
    assert [one.exit_code for one in said] == [0] * 7
    assert "columns: customer text, orders integer, cents bigint, seen timestamp with time zone" in said[0].out
    assert "3 matched" in said[3].out
    assert "  cents     3300" in said[4].out
    assert said[6].out.splitlines()[-1] == "v1.customers, kept by code of your own: at position 5"
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute("UPDATE sales.progress SET upto = 9")
    assert call("diff", folder=folder).exit_code == 5
    refused = call("diff", "--debug", folder=folder)
    assert "p@ss" not in "".join(one.out + one.err for one in [*said, refused])


def test_a_table_of_postgresql_that_moves_is_looked_at_twice(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, url = server
    monkeypatch.setenv("SHOP_PASSWORD", "p@ss/w:rd")
    folder = adopt(tmp_path / "shop", "-- adopt: sales.Customer Totals 🚂\n-- key: customer\n", adopt_url=url)

    def sql(statement: str) -> None:
        with psycopg.connect(own, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    sql("UPDATE sales.\"Customer Totals 🚂\" SET cents = 1 WHERE customer IN ('ada', 'bob')")
    migration = between_looks(
        folder, lambda: sql("UPDATE sales.\"Customer Totals 🚂\" SET cents = 2 WHERE customer = 'ada'")
    )
    migration.import_(every=True)
    migration.replay()
    [run] = migration.diff()

    assert (run.comparison.in_flight, [one.key["customer"] for one in run.comparison.mismatches]) == (1, ["bob"])


def test_variables_stand_in_urls_and_passwords_are_written_as_a_url_needs_them() -> None:
    known = {"PASSWORD": "p@ss/w:rd%", "HOST": "db.example", "URL": "postgresql://a:b@c/d", "DATA": "/var/data"}

    assert expand("postgresql://app:${PASSWORD}@${HOST}/shop", "key", known) == (
        "postgresql://app:p%40ss%2Fw%3Ard%25@db.example/shop"
    )
    assert expand("${URL}", "key", known) == known["URL"]
    assert expand("postgresql://${HOST}/d?note=@", "key", known) == "postgresql://db.example/d?note=@"
    assert expand("sqlite:///${DATA}/views_{side}.db", "key", known) == "sqlite:////var/data/views_{side}.db"
    assert expand("sqlite:///plain$.db", "key", known) == "sqlite:///plain$.db"
    with pytest.raises(NoVariable, match=r"^key names the environment variable MISSING, which is not set"):
        expand("postgresql://app:${MISSING}@db/shop", "key", known)


def test_store_and_ledger_take_variables_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = adopt(tmp_path / "shop", adopt_url="sqlite:///${SHOP_DATA}/shop.db")
    with (folder / "pyproject.toml").open("a") as file:
        file.write('url = "sqlite:///${SHOP_DATA}/views_{side}.db"\n')
        file.write('[tool.dualgauge.ledger]\nurl = "sqlite:///${SHOP_DATA}/ledger.db"\n')
    assert "tool.dualgauge.ledger.url names the environment variable SHOP_DATA" in error(folder, "journal")
    monkeypatch.setenv("SHOP_DATA", str(tmp_path / "data"))
    application(tmp_path / "data" if (tmp_path / "data").mkdir() is None else folder)
    call("log", "import", "--all", folder=folder)

    assert call("replay", folder=folder).exit_code == 0
    assert call("diff", folder=folder).exit_code == 0
    assert {"ledger.db", "shop.db", "views_v2.db"} <= {file.name for file in (tmp_path / "data").iterdir()}
    assert not (folder / ".dualgauge" / "ledger.db").exists()


def test_a_variable_that_is_no_store_is_told_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE", "mysql://db/shop")

    with pytest.raises(BadStoreUrl, match=r"tool.dualgauge.store.url: 'mysql' stores are not supported yet"):
        StoreSettings(url="${STORE}").opened_url(Side.V1)


def test_without_an_adopt_url_the_table_is_looked_for_in_v1_s_file(tmp_path: Path) -> None:
    folder = adopt(tmp_path / "shop")
    file = folder / "pyproject.toml"
    file.write_text(file.read_text().replace('adopt_url = "sqlite:///shop.db"', ""))
    (folder / ".dualgauge").mkdir()
    application(folder).rename(folder / ".dualgauge" / "views_v1.db")

    assert "customer TEXT, orders INTEGER" in call("plan", folder=folder).out
    file.write_text(file.read_text().replace("[tool.dualgauge.store]", '[tool.dualgauge.store]\nadopt_url = "shop.db"'))
    assert "'shop.db' is no database URL; write one such as sqlite:///shop.db" in error(folder)
