"""Ways onto v2 without valid evidence: each is refused, by the gate or where the file is read, and says why."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

import dualgauge
from dualgauge.comparison.errors import BadComparator
from dualgauge.cutover.errors import GateRefused
from dualgauge.ledger.errors import GroundShifted
from dualgauge.model import Outcome
from dualgauge.project.settings import EVIDENCE, evidence_settings
from dualgauge.settings import Settings
from dualgauge_router.stores.errors import BadKey
from support.inside import ledger_of
from support.shop import ROOT, VIEW, add_order, build, call
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRONG = VIEW.replace("sum(cents)", "sum(cents) + 1")
PASSING = 'from dualgauge import Comparator\ncustomers = Comparator(key="customer")\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose diff passed: a switch would move."""
    folder = build(tmp_path_factory.mktemp("ways") / "shop")
    (folder / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")
    assert call("diff", folder=folder).exit_code == 0
    assert call("switch", "--percent", "50", "--dry-run", folder=folder).exit_code == 0
    return folder


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "shop")


def failing(shop: Path) -> None:
    """v2 answers otherwise than v1, and its diff has failed."""
    (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
    assert call("replay", folder=shop).exit_code == 0
    assert call("diff", folder=shop).exit_code == 4


def refused(shop: Path) -> str:
    said = call("switch", "--percent", "50", folder=shop)
    # 2: a file of the project is not one that can be read.
    assert said.exit_code in (2, 3), said.out + said.err
    assert dualgauge.open(shop).cutover.state().share_ppm == 0
    return said.err


# What is served counts, not what files are there.


def the_file_of_a_failed_view_removed(shop: Path) -> None:
    failing(shop)
    (shop / "views_v2" / "orders.sql").write_text(
        "-- key: position\nSELECT position, cents FROM events\n", encoding="utf-8"
    )
    shutil.copy(shop / "views_v2" / "orders.sql", shop / "views_v1" / "orders.sql")
    (shop / "comparators" / "customers.py").unlink()
    (shop / "views_v2" / "customers.sql").unlink()
    call("replay", folder=shop)
    call("diff", folder=shop)


def the_file_of_a_failed_view_renamed(shop: Path) -> None:
    failing(shop)
    (shop / "comparators" / "customers.py").unlink()
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
    (shop / "views_v2" / "customers.sql").unlink()
    call("replay", folder=shop)
    call("diff", folder=shop)


def both_files_of_a_failed_view_removed(shop: Path) -> None:
    failing(shop)
    (shop / "comparators" / "customers.py").unlink()
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
        (shop / side / "customers.sql").unlink()
    call("replay", folder=shop)
    call("diff", folder=shop)


# A build is what its token says.


def the_store_of_v2_removed_and_replayed(shop: Path) -> None:
    for file in (shop / ".dualgauge").glob("views_v2.db*"):
        file.unlink()
    assert call("replay", folder=shop).exit_code == 0


def the_stores_of_both_sides_removed_and_replayed(shop: Path) -> None:
    for file in (shop / ".dualgauge").glob("views_v*.db*"):
        file.unlink()
    assert call("replay", folder=shop).exit_code == 0


def a_build_of_an_older_version(shop: Path) -> None:
    with sqlite3.connect(shop / ".dualgauge" / "views_v2.db") as store:
        store.execute("ALTER TABLE _dualgauge_checkpoint DROP COLUMN token")


# Files of a run, and comparators.


def a_result_file_changed(shop: Path) -> None:
    (file,) = (shop / "reports").glob("*/diff.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"matched": 3', '"matched": 4'), encoding="utf-8")


def a_result_file_removed(shop: Path) -> None:
    (file,) = (shop / "reports").glob("*/diff.json")
    file.unlink()


def the_keys_of_a_run_removed(shop: Path) -> None:
    (file,) = (shop / "reports").glob("*/mismatches.parquet")
    file.unlink()


def all_reports_removed(shop: Path) -> None:
    shutil.rmtree(shop / "reports")


def a_comparator_that_failed_made_trivial_and_removed(shop: Path) -> None:
    failing(shop)
    file = shop / "comparators" / "customers.py"
    strict = PASSING.replace(
        'key="customer"', 'key="customer", v1="SELECT * FROM v1.customers", v2="SELECT * FROM v2.customers"'
    )
    file.write_text(strict.replace("customers = ", "money = "), encoding="utf-8")
    assert call("diff", "money", folder=shop).exit_code == 4
    trivial = "SELECT customer, 1 AS one FROM {}.customers"
    file.write_text(
        f'from dualgauge import Comparator\nmoney = Comparator(key="customer", v1="{trivial.format("v1")}", '
        f'v2="{trivial.format("v2")}")\n',
        encoding="utf-8",
    )
    assert call("diff", "money", folder=shop).exit_code == 0
    file.write_text(
        PASSING.replace("customers = ", "names = ").replace(
            'key="customer"', f'key="customer", v1="{trivial.format("v1")}", v2="{trivial.format("v2")}"'
        ),
        encoding="utf-8",
    )
    assert call("diff", "names", folder=shop).exit_code == 0


# The log is what its table's id says.


def another_log_under_the_same_ledger(shop: Path) -> None:
    shutil.rmtree(shop / ".dualgauge" / "log")
    with sqlite3.connect(shop / ".dualgauge" / "ledger.db") as ledger:
        ledger.execute("DELETE FROM log_link")
    assert call("log", "import", "--all", folder=shop).exit_code == 0


def a_backup_of_log_and_ledger_put_back_beside_a_newer_store(shop: Path) -> None:
    hidden, orders = shop / ".dualgauge", shop / "data" / "orders.csv"
    shutil.copytree(hidden, shop / "backup")
    known = orders.read_text(encoding="utf-8")
    orders.write_text(f"{known}9,2026-01-05T00:00:00Z,ada,placed,100\n", encoding="utf-8")
    call("log", "import", "--all", folder=shop)
    call("replay", folder=shop)
    for name in ("log", "ledger.db"):
        shutil.rmtree(hidden / name) if name == "log" else (hidden / name).unlink()
        (shutil.copytree if name == "log" else shutil.copy)(shop / "backup" / name, hidden / name)
    orders.write_text(f"{known}9,2026-01-05T00:00:00Z,eve,placed,5000\n", encoding="utf-8")
    call("log", "import", "--all", folder=shop)
    call("diff", folder=shop)


def log_and_ledger_made_anew_with_as_many_other_events(shop: Path) -> None:
    hidden, orders = shop / ".dualgauge", shop / "data" / "orders.csv"
    shutil.rmtree(hidden / "log")
    (hidden / "ledger.db").unlink()
    orders.write_text(orders.read_text(encoding="utf-8").replace(",9900", ",1"), encoding="utf-8")
    call("log", "import", "--all", folder=shop)
    call("diff", folder=shop)


# The ledger, by hand.


def by_hand(shop: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(shop / ".dualgauge" / "ledger.db")) as ledger, ledger:
        for one in statements:
            ledger.execute(one)


def a_failed_verdict_edited(shop: Path) -> None:
    failing(shop)
    by_hand(shop, "UPDATE evidence SET verdict = 'pass'")


def a_failed_run_deleted(shop: Path) -> None:
    failing(shop)
    by_hand(shop, "DELETE FROM evidence WHERE verdict = 'fail'")


def a_run_bound_to_other_builds_by_hand(shop: Path) -> None:
    failing(shop)
    by_hand(
        shop,
        "UPDATE evidence SET evidence_key = (SELECT evidence_key FROM evidence WHERE verdict = 'fail'), "
        "bound = (SELECT bound FROM evidence WHERE verdict = 'fail') WHERE verdict = 'pass'",
        "DELETE FROM evidence WHERE verdict = 'fail'",
    )


def the_runs_of_a_pass_and_a_fail_swapped(shop: Path) -> None:
    failing(shop)
    by_hand(
        shop,
        "UPDATE evidence SET run_id = 'x' WHERE verdict = 'fail'",
        "UPDATE evidence SET run_id = (SELECT json_extract(row, '$.run') FROM journal WHERE row LIKE '%\"fail\"%') "
        "WHERE verdict = 'pass'",
    )


def a_run_put_in(shop: Path) -> None:
    failing(shop)
    by_hand(
        shop,
        "INSERT INTO evidence SELECT 'put-in', kind, name, evidence_key, bound, position, 'pass', state, "
        "finished_at, strftime('%Y-%m-%dT%H:%M:%f', 'now', '+1 minute') || '000+00:00', summary, folder "
        "FROM evidence WHERE verdict = 'fail'",
    )


def a_run_made_younger(shop: Path) -> None:
    by_hand(shop, "UPDATE evidence SET finished_at = '2031-01-01T00:00:00.000000+00:00'")


def a_run_moved_to_the_logs_head(shop: Path) -> None:
    add_order(shop)
    call("log", "import", folder=shop)
    call("replay", folder=shop)
    by_hand(shop, "UPDATE evidence SET position = 6")


def a_row_of_the_journal_edited(shop: Path) -> None:
    failing(shop)
    by_hand(shop, "UPDATE journal SET row = replace(row, '\"fail\"', '\"pass\"')")


def a_row_of_the_journal_removed(shop: Path) -> None:
    failing(shop)
    by_hand(shop, "DELETE FROM journal WHERE seq = 2")


def the_rows_of_the_journal_renumbered(shop: Path) -> None:
    failing(shop)
    by_hand(shop, "DELETE FROM journal WHERE seq = 1", "UPDATE journal SET seq = seq - 1")


def the_seal_of_a_failed_run_cut_off(shop: Path) -> None:
    failing(shop)
    by_hand(shop, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")


def the_migration_written_by_hand(shop: Path) -> None:
    by_hand(shop, "UPDATE migration SET stage = 'canary'")


def the_migration_removed_by_hand(shop: Path) -> None:
    by_hand(shop, "DELETE FROM migration")


def a_trigger_that_turns_a_verdict_before_it_is_sealed(shop: Path) -> None:
    by_hand(
        shop,
        "CREATE TRIGGER turned AFTER UPDATE ON evidence WHEN NEW.verdict = 'fail' "
        "BEGIN UPDATE evidence SET verdict = 'pass' WHERE run_id = NEW.run_id; END",
    )
    (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
    call("replay", folder=shop)
    call("diff", folder=shop)


def rejected(shop: Path) -> None:
    """A row waits in the quarantine, and all else is well."""
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-05T00:00:00Z,ada,placed,many\n")
    call("log", "import", "--all", "--on-bad-row", "quarantine", folder=shop)
    call("replay", folder=shop)
    call("diff", folder=shop)


def a_row_of_the_quarantine_skipped_by_hand(shop: Path) -> None:
    rejected(shop)
    by_hand(shop, "UPDATE quarantine SET state = 'skipped'")


def the_quarantine_emptied_by_hand(shop: Path) -> None:
    rejected(shop)
    by_hand(shop, "DELETE FROM quarantine", "DELETE FROM quarantine_seal")


def a_row_skipped_by_hand_and_the_ledgers_version_set_back(shop: Path) -> None:
    rejected(shop)
    by_hand(
        shop,
        "UPDATE quarantine SET state = 'skipped', changed_at = found_at",
        "DROP TABLE quarantine_seal",
        "DROP TABLE readable_from",
        "UPDATE dualgauge_version SET version_num = '0004'",
    )


def a_trigger_that_drops_the_seals_of_what_failed(shop: Path) -> None:
    by_hand(
        shop,
        "CREATE TRIGGER dropped BEFORE INSERT ON journal WHEN NEW.row LIKE '%\"fail\"%' "
        "BEGIN SELECT RAISE(IGNORE); END",
    )
    (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
    call("replay", folder=shop)
    assert "did not keep row" in call("diff", folder=shop).err


# Comparators and views.

STRICT = (
    'strict = Comparator(key="customer", v1="SELECT customer, cents FROM v1.customers", '
    'v2="SELECT customer, cents + 1 AS cents FROM v2.customers")\n'
)


def given_up(shop: Path) -> None:
    """A comparator failed and was taken away; another one passed."""
    file = shop / "comparators" / "customers.py"
    file.write_text(PASSING + STRICT, encoding="utf-8")
    assert call("diff", folder=shop).exit_code == 4
    file.write_text(PASSING, encoding="utf-8")


def a_comparator_that_failed_removed(shop: Path) -> None:
    given_up(shop)


def the_run_of_a_comparator_that_failed_and_was_removed_deleted(shop: Path) -> None:
    given_up(shop)
    by_hand(shop, "DELETE FROM evidence WHERE name = 'strict'")


def the_run_of_a_comparator_that_failed_and_was_removed_edited(shop: Path) -> None:
    given_up(shop)
    by_hand(shop, "UPDATE evidence SET verdict = 'pass' WHERE name = 'strict'")


def the_run_of_a_comparator_that_failed_deleted_and_another_of_its_name_passed(shop: Path) -> None:
    given_up(shop)
    by_hand(shop, "DELETE FROM evidence WHERE name = 'strict'")
    file = shop / "comparators" / "customers.py"
    file.write_text(PASSING + PASSING.replace("customers = ", "strict = ").partition("\n")[2], encoding="utf-8")
    call("diff", folder=shop)
    file.write_text(PASSING, encoding="utf-8")


def the_run_of_a_comparator_that_failed_deleted_and_the_migration_renamed(shop: Path) -> None:
    the_migration_renamed_after_a_comparator_failed(shop)
    by_hand(shop, "DELETE FROM evidence WHERE name = 'strict'")


def the_migration_renamed_after_a_comparator_failed(shop: Path) -> None:
    given_up(shop)
    settings = shop / "pyproject.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('"customers"', '"renamed"', 1), encoding="utf-8")
    call("replay", folder=shop)
    call("diff", folder=shop)


def comparing(shop: Path, text: str) -> None:
    """Another comparator, compared."""
    (shop / "comparators" / "customers.py").write_text(
        f"from datetime import date\nfrom dualgauge import Check, Comparator, Expected\n{text}", encoding="utf-8"
    )
    call("diff", folder=shop)


def a_view_compared_with_another_than_its_partner(shop: Path) -> None:
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
    (shop / "views_v2" / "buyers.sql").write_text(WRONG, encoding="utf-8")
    call("replay", folder=shop)
    comparing(
        shop,
        'buyers = Comparator(key="customer", v1="SELECT * FROM v1.buyers", v2="SELECT * FROM v2.customers")\n'
        'customers = Comparator(key="customer")\n',
    )


def a_query_that_reads_v1_on_both_sides(shop: Path) -> None:
    failing(shop)
    comparing(
        shop,
        'customers = Comparator(key="customer", v1="SELECT customer, cents FROM v1.customers", v2="SELECT q.customer, '
        "q.cents FROM v2.customers c, LATERAL query('SELECT * FROM v1.customers') q WHERE q.customer = c.customer\")\n",
    )


def a_query_that_reads_a_file(shop: Path) -> None:
    failing(shop)
    comparing(
        shop,
        'customers = Comparator(key="customer", v2="SELECT c.customer, c.orders, c.cents - 1 AS cents FROM '
        "v2.customers c, LATERAL read_csv('data/orders.csv') f\")\n",
    )


def a_query_that_reads_a_file_by_the_name_of_another_cte(shop: Path) -> None:
    failing(shop)
    comparing(
        shop,
        'customers = Comparator(key="customer", v2="""SELECT c.customer, c.orders, c.cents FROM v2.customers c, '
        '(WITH "data/orders.csv" AS (SELECT 1) SELECT 1) x, "data/orders.csv" f""")\n',
    )


def an_expected_difference_that_reads_a_file(shop: Path) -> None:
    failing(shop)
    comparing(
        shop,
        'customers = Comparator(key="customer", expected=[Expected(reason="all", owner="ana", until=date(2099, 1, 1), '
        "when=\"(SELECT count(*) FROM read_csv('data/orders.csv')) > 0\")])\n",
    )


def a_comparator_edited_after_its_diff(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        PASSING.replace('key="customer"', 'key="customer", v2="SELECT * FROM v2.customers"'), encoding="utf-8"
    )


def a_comparator_renamed_after_its_diff(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        PASSING.replace("customers = ", "buyers = ").replace(
            'key="customer"', 'key="customer", v1="FROM v1.customers", v2="FROM v2.customers"'
        ),
        encoding="utf-8",
    )


def a_comparator_with_a_hash_of_its_own(shop: Path) -> None:
    comparing(
        shop,
        "class Own(Comparator):\n    def definition_hash(self):\n        return 'x'\n"
        'customers = Own(key="customer")\n',
    )


def a_check_with_code_of_its_own(shop: Path) -> None:
    comparing(
        shop,
        "import great_expectations.expectations as gxe\n"
        "class Own(gxe.ExpectColumnValuesToNotBeNull):\n    pass\n"
        'customers = Comparator(key="customer", checks=[Own(column="cents")])\n',
    )


def a_view_edited_after_its_diff(shop: Path) -> None:
    (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")


def a_view_edited_behind_what_looks_like_a_comment(shop: Path) -> None:
    view = VIEW.replace("count(*) AS orders,", "$t1$ -- $t1$ AS note, count(*) AS orders,")
    for side in ("views_v1", "views_v2"):
        (shop / side / "customers.sql").write_text(view, encoding="utf-8")
    call("replay", folder=shop)
    call("diff", folder=shop)
    (shop / "views_v2" / "customers.sql").write_text(view.replace("sum(cents)", "sum(cents) + 1"), encoding="utf-8")


def a_view_added_and_built_on_both_sides(shop: Path) -> None:
    for side, text in (("views_v1", VIEW), ("views_v2", WRONG)):
        (shop / side / "buyers.sql").write_text(text, encoding="utf-8")
    call("replay", folder=shop)


def v2_built_anew_after_its_diff(shop: Path) -> None:
    call("replay", "--side", "v2", "--force", folder=shop)


def events_imported_after_the_diff(shop: Path) -> None:
    add_order(shop)
    call("log", "import", folder=shop)
    call("replay", folder=shop)


def another_store_by_another_url(shop: Path) -> None:
    failing(shop)
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.dualgauge.store]\nurl = "sqlite:///.dualgauge/other_{side}.db"\n')
    call("replay", folder=shop)


def a_clock_that_went_ahead(shop: Path) -> None:
    ahead = dualgauge.open(shop, clock=lambda: datetime.now(UTC) + timedelta(hours=30))
    ahead.diff()


def builds_held_back_to_where_they_agree(shop: Path) -> None:
    view = VIEW.replace("WHERE", "WHERE customer IS NOT NULL AND")
    other = view.replace("sum(cents)", "sum(CASE WHEN cents < 9900 THEN cents ELSE 0 END)")
    for side, text in (("views_v1", view), ("views_v2", other)):
        (shop / side / "customers.sql").write_text(text, encoding="utf-8")
    call("replay", folder=shop)
    assert call("diff", folder=shop).exit_code == 4
    call("replay", "--to", "3", "--force", folder=shop)
    # A minute later than the events came.
    (found,) = dualgauge.open(shop, clock=lambda: datetime.now(UTC) + timedelta(minutes=1)).diff()
    assert (found.position, found.comparison.verdict) == (3, Outcome.PASS)
    assert call("tail", "--once", folder=shop).exit_code == 0


WAYS: dict[Callable[[Path], None], str] = {
    the_file_of_a_failed_view_removed: "readers get v2.customers, whose file is gone",
    the_file_of_a_failed_view_renamed: "readers get v2.customers, whose file is gone",
    both_files_of_a_failed_view_removed: "readers get v1.customers, v2.customers, whose file is gone",
    the_store_of_v2_removed_and_replayed: "the evidence is of another build 1 of v2.customers: the store was made anew",
    the_stores_of_both_sides_removed_and_replayed: "the store was made anew since",
    a_build_of_an_older_version: "of an older dualgauge, which gave builds no token",
    a_result_file_changed: "the file diff.json was changed by hand, so nobody can see any more what it found",
    a_result_file_removed: "the file diff.json is gone, so nobody can see any more what it found",
    the_keys_of_a_run_removed: "the file mismatches.parquet is gone",
    all_reports_removed: "is gone, so nobody can see any more what it found",
    a_comparator_that_failed_made_trivial_and_removed: "nothing asks for it any more",
    another_log_under_the_same_ledger: "the build is not of what is in the log now",
    a_backup_of_log_and_ledger_put_back_beside_a_newer_store: "the build is not of what is in the log now",
    log_and_ledger_made_anew_with_as_many_other_events: "the build is not of what is in the log now",
    a_failed_verdict_edited: "is not what was sealed: its row was changed by hand",
    a_failed_run_deleted: "is gone from the ledger: it was removed by hand",
    a_run_bound_to_other_builds_by_hand: "is gone from the ledger",
    the_runs_of_a_pass_and_a_fail_swapped: "is not what was sealed",
    a_run_put_in: "failed",
    a_run_made_younger: "is not what was sealed",
    a_run_moved_to_the_logs_head: "is not what was sealed",
    a_row_of_the_journal_edited: "the journal is not what was written",
    a_row_of_the_journal_removed: "the journal is not what was written",
    the_rows_of_the_journal_renumbered: "the journal is not what was written",
    the_seal_of_a_failed_run_cut_off: "has no seal in the journal",
    the_migration_written_by_hand: "the journal is not what was written",
    the_migration_removed_by_hand: "the journal is not what was written",
    a_trigger_that_turns_a_verdict_before_it_is_sealed: "readers get build",
    a_trigger_that_drops_the_seals_of_what_failed: "readers get build",
    a_row_of_the_quarantine_skipped_by_hand: "the quarantine is not what was written",
    the_quarantine_emptied_by_hand: "the quarantine is not what was written",
    a_row_skipped_by_hand_and_the_ledgers_version_set_back: "the quarantine is not what was written",
    a_comparator_that_failed_removed: "nothing asks for it any more",
    the_run_of_a_comparator_that_failed_and_was_removed_deleted: "nothing asks for it any more",
    the_run_of_a_comparator_that_failed_and_was_removed_edited: "nothing asks for it any more",
    the_run_of_a_comparator_that_failed_deleted_and_another_of_its_name_passed: "nothing asks for it any more",
    the_run_of_a_comparator_that_failed_deleted_and_the_migration_renamed: "nothing asks for it any more",
    the_migration_renamed_after_a_comparator_failed: "nothing asks for it any more",
    a_view_compared_with_another_than_its_partner: "not compared: v2.buyers",
    a_query_that_reads_v1_on_both_sides: "it reads query()",
    a_query_that_reads_a_file: "it reads read_csv()",
    a_query_that_reads_a_file_by_the_name_of_another_cte: "it reads data/orders.csv",
    an_expected_difference_that_reads_a_file: "could not tell",
    a_comparator_edited_after_its_diff: "the comparator was edited since",
    a_comparator_renamed_after_its_diff: "there is no diff of buyers",
    a_comparator_with_a_hash_of_its_own: "derived from Comparator",
    a_check_with_code_of_its_own: "a class of somebody's own",
    a_view_edited_after_its_diff: "the file of v2.customers was edited",
    a_view_edited_behind_what_looks_like_a_comment: "the file of v2.customers was edited",
    a_view_added_and_built_on_both_sides: "there is no diff of buyers",
    v2_built_anew_after_its_diff: "readers get build",
    events_imported_after_the_diff: "readers get build",
    another_store_by_another_url: "the evidence is of another build 1 of v",
    builds_held_back_to_where_they_agree: "began, its builds had lacked an event of the log for",
    a_clock_that_went_ahead: "one of two clocks is wrong",
}
"""What each way is refused for."""


@pytest.mark.parametrize("way", thinned(2, WAYS), ids=lambda way: way.__name__)
def test_a_way_onto_v2_without_valid_evidence_is_refused(way: Callable[[Path], None], shop: Path) -> None:
    way(shop)

    assert WAYS[way] in refused(shop)
    assert call("rollback", folder=shop).exit_code == 0


def test_a_check_of_builds_that_are_held_back_is_no_evidence_either(shop: Path) -> None:
    comparing(shop, 'customers = Comparator(key="customer", checks=[Check("expect_table_row_count_to_be_between")])\n')
    view = VIEW.replace("WHERE", "WHERE customer IS NOT NULL AND")
    for side in ("views_v1", "views_v2"):
        (shop / side / "customers.sql").write_text(view, encoding="utf-8")
    call("replay", "--to", "3", "--force", folder=shop)
    later = dualgauge.open(shop, clock=lambda: datetime.now(UTC) + timedelta(minutes=1))
    later.diff()
    (checked,) = later.check()
    assert checked.run_id is not None
    call("tail", "--once", folder=shop)

    gates = {one.name: one.why for one in dualgauge.open(shop).cutover.gates(500_000)}
    for name in ("diff:customers", "check:customers"):
        assert re.search(r"its builds had lacked an event of the log for \d+ minute", gates[name])
    [shown] = [one for one in dualgauge.open(shop).evidence.list() if one.run_id == checked.run_id]
    assert shown.counts is False
    assert re.fullmatch(r"\d+ minutes? behind the log when it was made", shown.why)


# What stays open.


def swallowing(shop: Path) -> None:
    failing(shop)
    comparing(
        shop,
        'customers = Comparator(key="customer", expected=[Expected(reason="any", owner="ana", until=date(2099, 1, 1), '
        'when="true", v2_equals={"cents": "v2.cents"})])\n',
    )


def a_program_in_a_comparators_file(shop: Path) -> None:
    failing(shop)
    asked = "SELECT customer, orders, cents FROM {}.customers"
    honest = f'customers = Comparator(key="customer", v1="{asked.format("v1")}", v2="{asked.format("v2")}")\n'
    other = '"SELECT customer, orders, cents - 1 AS cents FROM v2.customers"'
    comparing(
        shop,
        f"class Other(str):\n    def strip(self, *_):\n        return {other}\n"
        + honest.replace(f'v2="{asked.format("v2")}"', f'v2=Other("{asked.format("v2")}")'),
    )
    (shop / "comparators" / "customers.py").write_text(f"from dualgauge import Comparator\n{honest}", encoding="utf-8")


def a_checkpoint_changed(shop: Path) -> None:
    (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
    made = shutil.copytree(shop, shop.parent / "made")
    call("replay", folder=made)
    with contextlib.closing(sqlite3.connect(made / ".dualgauge" / "views_v2.db")) as store:
        told = store.execute("SELECT definition_hash, text FROM _dualgauge_checkpoint ORDER BY build DESC").fetchone()
    with contextlib.closing(sqlite3.connect(shop / ".dualgauge" / "views_v2.db")) as store, store:
        store.execute("UPDATE _dualgauge_checkpoint SET definition_hash = ?, text = ?", told)
    call("diff", folder=shop)


def an_adopted_table_replaced(shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop / "app.db")) as application, application:
        application.execute("CREATE TABLE sums (customer TEXT PRIMARY KEY, orders BIGINT, cents BIGINT)")
        application.executemany(
            "INSERT INTO sums VALUES (?, ?, ?)", [("ada", 2, 3300), ("bob", 1, 1200), ("cyd", 1, 9900)]
        )
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.dualgauge.store]\nadopt_url = "sqlite:///app.db"\n')
    (shop / "views_v1" / "customers.sql").write_text("-- adopt: sums\n-- key: customer\n", encoding="utf-8")
    call("replay", folder=shop)
    assert call("diff", folder=shop).exit_code == 0
    with contextlib.closing(sqlite3.connect(shop / "app.db")) as application, application:
        application.execute("UPDATE sums SET cents = 0")


def rows_changed(shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop / ".dualgauge" / "views_v2.db")) as store, store:
        store.execute('UPDATE "customers__b1" SET cents = 0')


def the_log_rewritten(shop: Path) -> None:
    (file,) = (shop / ".dualgauge" / "log").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"?")


def a_clock_set_back(shop: Path) -> None:
    """Two days have passed, and the clock says that one minute has."""


def the_end_cut_off(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        PASSING.replace("customers = ", "strict = ") + STRICT, encoding="utf-8"
    )
    call("diff", "strict", folder=shop)
    by_hand(
        shop,
        "DELETE FROM journal WHERE row LIKE '%\"strict\"%'",
        "DELETE FROM evidence WHERE name = 'strict'",
    )
    (shop / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")


def written_with_its_own_code(shop: Path) -> None:
    failing(shop)
    with ledger_of(dualgauge.open(shop)) as ledger:
        failed = ledger.evidence().sealed[-1].run
        assert failed is not None
        ledger.start_evidence(
            "made-up", kind=failed.kind, name=failed.name, bound=failed.bound, started_at=datetime.now(UTC),
            position=failed.position, folder=failed.folder,
        )  # fmt: skip
        ledger.finish_evidence(
            "made-up", verdict=Outcome.PASS, finished_at=datetime.now(UTC), summary=failed.summary,
            migration="customers", who="ana",
        )  # fmt: skip


def another_project_of_that_name(shop: Path) -> None:
    failing(shop)
    other = build(shop.parent / "other")
    for name in (shop, other):
        with (name / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(f'\n[tool.dualgauge.ledger]\nurl = "sqlite:///{shop / ".dualgauge" / "ledger.db"}"\n')
    (other / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")
    shutil.rmtree(other / ".dualgauge" / "log")
    shutil.copytree(shop / ".dualgauge" / "log", other / ".dualgauge" / "log")
    call("replay", folder=other)
    call("diff", folder=other)
    assert call("switch", "--percent", "50", folder=other).exit_code == 0


def a_replay_beside_reads(shop: Path) -> None:
    assert call("switch", "--percent", "50", folder=shop).exit_code == 0
    (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
    assert call("replay", folder=shop).exit_code == 0


OPEN: dict[Callable[[Path], None], str] = {
    swallowing: "A comparator that compares little",
    a_program_in_a_comparators_file: "Code in a comparator's file",
    rows_changed: "Rows of a build that were changed in the store by hand",
    a_checkpoint_changed: "What the store says of a build",
    an_adopted_table_replaced: "Rows of an adopted table",
    the_log_rewritten: "The contents of the log",
    a_clock_set_back: "A clock that was set back",
    the_end_cut_off: "The end of the journal",
    written_with_its_own_code: "Evidence written with dualgauge's own code",
    another_project_of_that_name: "Another project that has the same `migration` name in the same ledger",
    a_replay_beside_reads: "A replay while v2 takes reads",
}
"""What gets through, by the line of the page that says so."""


def test_the_page_on_gates_lists_what_gets_through_and_nothing_else() -> None:
    page = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \*\*(.+?)\*\*", page.partition("## What the gates cannot see")[2], re.MULTILINE)

    assert listed == list(OPEN.values())


@pytest.mark.parametrize("way", OPEN, ids=lambda way: way.__name__)
def test_what_the_page_on_gates_says_to_be_open_gets_through(way: Callable[[Path], None], shop: Path) -> None:
    way(shop)
    finished = datetime.now(UTC) + timedelta(minutes=1)
    # Two days old, and a clock that says otherwise: the gates go by the clock that they are given.
    dualgauge.open(shop, clock=lambda: finished).switch(500_000)

    assert dualgauge.open(shop).cutover.state().share_ppm == 500_000


def test_what_is_served_without_a_file_is_retired_by_prune_and_by_nothing_else(shop: Path) -> None:
    for side in ("views_v1", "views_v2"):
        (shop / side / "buyers.sql").write_text(VIEW, encoding="utf-8")
        (shop / side / "customers.sql").unlink()
    (shop / "comparators" / "customers.py").unlink()
    assert call("replay", folder=shop).exit_code == 0
    assert call("diff", folder=shop).exit_code == 0
    assert "dualgauge replay --prune" in refused(shop)

    told = call("replay", "--prune", "--dry-run", folder=shop).out
    assert "v1.customers: would be taken from readers, for its file is gone\n" in told
    assert call("read", "customers", "ada", folder=shop).exit_code == 0
    pruned = call("replay", "--prune", "--format", "json", folder=shop).json["result"]["pruned"]
    assert pruned == ["v1.customers", "v2.customers"]
    assert call("read", "customers", "ada", folder=shop).exit_code != 0
    assert call("switch", "--percent", "50", folder=shop).exit_code == 0


# Between the look and the move.


@pytest.mark.parametrize("between", ["a failing diff", "a replay of another text"])
def test_what_ends_between_the_look_and_the_move_is_seen_by_the_move(
    between: str, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dualgauge.cutover.gates import decide as gates

    real, other = gates.decide, dualgauge.open(shop)

    def decide(*given: Any) -> Any:
        found = real(*given)
        monkeypatch.setattr(gates, "decide", real)
        if between == "a failing diff":
            (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
            other.replay()
            other.diff()
        else:
            (shop / "views_v2" / "customers.sql").write_text(WRONG, encoding="utf-8")
            other.replay()
        return found

    monkeypatch.setattr(gates, "decide", decide)
    with pytest.raises(GateRefused):
        dualgauge.open(shop).switch(500_000)
    assert dualgauge.open(shop).cutover.state().share_ppm == 0


def test_a_move_whose_ground_never_rests_gives_up_and_says_so(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dualgauge.cutover.gates import decide as gates

    real, other = gates.decide, dualgauge.open(shop)

    def decide(*given: Any) -> Any:
        found = real(*given)
        other.diff()
        return found

    monkeypatch.setattr(gates, "decide", decide)
    with pytest.raises(GroundShifted, match="changed while its gates were looked at; nothing was written"):
        dualgauge.open(shop).switch(500_000)
    assert dualgauge.open(shop).cutover.state().share_ppm == 0


def test_a_switch_beside_failing_diffs_never_moves_on_old_evidence(shop: Path) -> None:
    """Threads: whatever comes first, a move is never behind a failing diff in the journal."""
    (shop / "comparators" / "customers.py").write_text(
        PASSING + 'unlike = Comparator(key="customer", v1="SELECT * FROM v1.customers", '
        'v2="SELECT customer, orders, cents + 1 AS cents FROM v2.customers")\n',
        encoding="utf-8",
    )
    stop = threading.Event()

    def diffs() -> None:
        while not stop.is_set():
            dualgauge.open(shop).diff(["unlike"])

    thread = threading.Thread(target=diffs)
    thread.start()
    try:
        for _ in range(3):
            with pytest.raises((GateRefused, GroundShifted)):
                dualgauge.open(shop).switch(500_000)
    finally:
        stop.set()
        thread.join()
    with ledger_of(dualgauge.open(shop)) as ledger:
        assert ledger.state("customers").share_ppm == 0


# Where a file is read.


@pytest.mark.parametrize("name", ["sqlite_orders", "sqlite_", "alembic_version"])
def test_a_view_called_like_a_table_of_the_stores_own_is_refused_when_it_is_read(name: str, shop: Path) -> None:
    (shop / "views_v2" / f"{name}.sql").write_text(VIEW, encoding="utf-8")

    for command in (["plan"], ["replay"]):
        said = call(*command, folder=shop)
        assert said.exit_code == 2
        assert said.err.count(f"{name}.sql")
    assert call("read", "customers", "ada", folder=shop).exit_code == 0


@pytest.mark.parametrize("name", ["../../escaped", "a" * 240, "with blank", "a/b", "ü"])
def test_a_comparator_has_a_name_that_a_folder_can_bear(name: str, shop: Path) -> None:
    file = shop / "comparators" / "customers.py"
    file.write_text(f"{PASSING}globals()[{name!r}] = Comparator(key='customer')\n", encoding="utf-8")

    said = call("diff", folder=shop)
    assert said.exit_code == 2
    assert "is no name for a Comparator: it becomes part of folders' names" in said.err
    assert not (shop.parent / "escaped").exists()


def test_a_rule_of_somebodys_own_is_refused_for_evidence_could_not_tell_what_it_does() -> None:
    class Blind(dualgauge.Exact):
        def sql(self, a: str, b: str) -> str:
            return "true"

    with pytest.raises(BadComparator, match=r"rules\['x'\].*must be a rule such as Exact"):
        dualgauge.Comparator(key="id", rules={"x": Blind()})


def test_a_read_by_something_else_than_text_says_what_a_key_is(shop: Path) -> None:
    given: Any = [1]
    with pytest.raises(BadKey, match="1 is no text; give each part of the key as it is written"):
        dualgauge.open(shop).read("customers", given)


def test_a_line_end_in_a_value_makes_no_line_of_its_own(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write('9,2026-01-05T08:15:00Z,"eve\ngates: all 9 open",placed,1\n')
    assert call("log", "import", "--all", folder=shop).exit_code == 0

    lines = call("log", "show", "--limit", "1", folder=shop).out.splitlines()
    assert len(lines) == 2
    assert "eve\\ngates: all 9 open" in lines[1]


# What evidence depends on.

OTHERS: dict[str, object] = {
    "migration": "another", "log.path": "elsewhere", "log.storage_options": {"region": "x"},
    "log.columns": {"customer": "VARCHAR"}, "sources": [], "store.url": "sqlite:///other_{side}.db",
    "store.adopt_url": "sqlite:///shop.db", "store.migrate": "manual", "ledger.url": "sqlite:///other.db",
    "gates.max_age": "2d", "gates.max_evidence_events": 7, "gates.max_lag": "2m", "gates.max_lag_events": 9,
    "paths.migrations": "m", "paths.views_v1": "a",
    "paths.views_v2": "b", "paths.comparators": "c", "paths.reports": "d",
    "schedules": [{"name": "nightly", "every": "1d"}],
    "channels": [{"name": "oncall", "kind": "alertmanager", "url": "https://alerts.shop.example"}],
}  # fmt: skip
"""Another value for each setting."""

DEPENDS = {"migration", "log.columns", "store.url", "store.adopt_url"}


def leaves(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, bool]]:
    """Every setting by its dotted name, and whether it is marked as one that evidence depends on."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", field.json_schema_extra == EVIDENCE


def test_evidence_depends_on_the_settings_that_say_so_and_on_no_other() -> None:
    settings = Settings(migration="shop")
    raw: dict[str, Any] = settings.model_dump()
    found = dict(leaves(Settings))

    assert found.keys() == OTHERS.keys()
    assert {name for name, marked in found.items() if marked} == DEPENDS
    for name, value in OTHERS.items():
        changed: dict[str, Any] = {key: dict(part) if isinstance(part, dict) else part for key, part in raw.items()}
        *path, last = name.split(".")
        part = changed
        for one in path:
            part = part[one]
        part[last] = value
        if name == "log.storage_options":
            changed["log"]["path"] = "s3://bucket/log"
        other = evidence_settings(Settings.model_validate(changed))
        assert (other != evidence_settings(settings)) == (name in DEPENDS), name


def test_an_edit_of_what_evidence_does_not_depend_on_leaves_it_valid(shop: Path) -> None:
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.dualgauge.gates]\nmax_age = "48h"\n\n[[tool.dualgauge.sources]]\nname = "more"\n')
        file.write('path = "data/more-*.csv"\nevent_id = "id"\ntype = "what"\noccurred_at = "time"\n')

    assert call("switch", "--percent", "50", folder=shop).exit_code == 0
