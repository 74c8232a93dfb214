"""Evidence through the real command line: every way around a gate that we know is tried, and refused."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.ledger.ledger import Ledger
from support.shop import PASSING, Said, add_order, build, call
from support.thinned import thinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHECKED = """\
from dualgauge import Check, Comparator

customers = Comparator(key="customer", checks=[Check("expect_column_values_to_not_be_null", column="orders")])
"""

KILLED = """
    import signal, sys
    import dualgauge

    def progress(step, done, total):
        if step == "customers: rows":
            print("comparing", flush=True)
            signal.pause()

    dualgauge.open(sys.argv[1], progress=progress).diff()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that passed its diff, with ten percent of its reads on v2."""
    shop = build(tmp_path_factory.mktemp("built") / "shop", compared=True)
    assert call("switch", "--percent", "10", folder=shop).exit_code == 0
    return shop


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "shop")
    return tmp_path / "shop"


def ledger(shop: Path, *statements: str) -> list[tuple[str, ...]]:
    """Run SQL on the ledger by hand; gives the rows of the last."""
    with contextlib.closing(sqlite3.connect(shop / ".dualgauge" / "ledger.db")) as connection, connection:
        return [connection.execute(sql).fetchall() for sql in statements][-1]


def answers(shop: Path, add: int) -> None:
    """Change what v2 answers behind its replay's back."""
    with contextlib.closing(sqlite3.connect(shop / ".dualgauge" / "views_v2.db")) as connection, connection:
        connection.execute(f"UPDATE customers__b1 SET cents = cents + {add}")


def runs(shop: Path) -> list[str]:
    """The run ids, oldest first."""
    return [run for (run,) in ledger(shop, "SELECT run_id FROM evidence ORDER BY started_at, run_id")]


def in_file(shop: Path, name: str, old: str, new: str) -> None:
    file = shop / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


# The ways around.


def an_edited_view(shop: Path) -> None:
    in_file(shop, "views_v2/customers.sql", "sum(cents)", "sum(cents + 0)")


def an_edited_view_that_was_replayed(shop: Path) -> None:
    an_edited_view(shop)
    assert call("replay", folder=shop).exit_code == 0


def another_build(shop: Path) -> None:
    assert call("replay", "--force", "--side", "v2", folder=shop).exit_code == 0


def another_comparator(shop: Path) -> None:
    wider = PASSING.replace('key="customer"', 'key="customer", limits=Limits(changed=9)')
    (shop / "comparators" / "customers.py").write_text(f"from dualgauge import Limits\n{wider}", encoding="utf-8")


def one_comparator_more(shop: Path) -> None:
    (shop / "comparators" / "more.py").write_text(PASSING.replace("customers =", "again ="), encoding="utf-8")
    in_file(
        shop, "comparators/more.py", 'key="customer"', 'key="customer", v1="FROM v1.customers", v2="FROM v2.customers"'
    )


def checks_that_nobody_asked(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(CHECKED, encoding="utf-8")


def another_configuration(shop: Path) -> None:
    in_file(
        shop, "pyproject.toml", "[tool.dualgauge.log.columns]\n", '[tool.dualgauge.log.columns]\nextra = "BIGINT"\n'
    )


def too_old(shop: Path) -> None:
    dualgauge.open(shop, clock=lambda: datetime.now(UTC) - timedelta(hours=25)).diff()


def of_the_future(shop: Path) -> None:
    dualgauge.open(shop, clock=lambda: datetime.now(UTC) + timedelta(hours=25)).diff()


def new_events(shop: Path) -> None:
    add_order(shop)
    assert call("log", "import", "--all", folder=shop).exit_code == 0


def one_side_replayed(shop: Path) -> None:
    new_events(shop)
    assert call("replay", "--side", "v2", folder=shop).exit_code == 0


def a_failed_run_after_the_pass(shop: Path) -> None:
    answers(shop, 1)
    assert call("diff", folder=shop).exit_code == 4


def a_failed_run_and_what_it_found_mended_unseen(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    answers(shop, -1)


def an_inconclusive_run_after_the_pass(shop: Path) -> None:
    for side in ("v1", "v2"):
        with contextlib.closing(sqlite3.connect(shop / ".dualgauge" / f"views_{side}.db")) as connection, connection:
            connection.execute("DELETE FROM customers__b1")
    assert call("diff", folder=shop).exit_code == 1


def no_comparison_at_all(shop: Path) -> None:
    shutil.rmtree(shop / "comparators")
    (shop / "views_v2" / "customers.sql").rename(shop / "views_v2" / "clients.sql")
    assert call("replay", folder=shop).exit_code == 0


def a_failed_verdict_made_a_pass_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    ledger(shop, "UPDATE evidence SET verdict = 'pass'")


def a_verdict_that_does_not_exist(shop: Path) -> None:
    ledger(shop, "UPDATE evidence SET verdict = 'passed'")


def another_position_by_hand(shop: Path) -> None:
    new_events(shop)
    ledger(shop, "UPDATE evidence SET position = 6")


def another_build_by_hand(shop: Path) -> None:
    another_build(shop)
    then, now = (f'"v2":{{"customers":{{"build":{build}' for build in (1, 2))
    ledger(shop, f"UPDATE evidence SET bound = replace(bound, '{then}', '{now}')")


def the_newer_failed_run_bound_to_something_else_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    ledger(shop, f"UPDATE evidence SET evidence_key = 'x', bound = '{{}}' WHERE run_id = '{runs(shop)[-1]}'")


def the_newer_failed_run_removed_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    ledger(shop, f"DELETE FROM evidence WHERE run_id = '{runs(shop)[-1]}'")


def the_newer_failed_run_unfinished_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    ledger(shop, f"UPDATE evidence SET state = 'running' WHERE run_id = '{runs(shop)[-1]}'")


def two_verdicts_swapped_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    ledger(shop, "UPDATE evidence SET verdict = CASE verdict WHEN 'pass' THEN 'fail' ELSE 'pass' END")


def two_run_ids_swapped_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    passed, failed = runs(shop)
    ledger(
        shop,
        f"UPDATE evidence SET run_id = 'x' WHERE run_id = '{passed}'",
        f"UPDATE evidence SET run_id = '{passed}' WHERE run_id = '{failed}'",
        f"UPDATE evidence SET run_id = '{failed}' WHERE run_id = 'x'",
    )


def a_run_put_in_by_hand(shop: Path) -> None:
    columns = "kind, name, evidence_key, bound, position, verdict, state, started_at, finished_at, summary, folder"
    another_build(shop)
    assert call("diff", folder=shop).exit_code == 0
    real = runs(shop)[-1]
    ledger(
        shop,
        f"INSERT INTO evidence (run_id, {columns}) SELECT 'forged', {columns} FROM evidence WHERE run_id = '{real}'",
        f"DELETE FROM evidence WHERE run_id = '{real}'",
    )


def a_journal_row_changed_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    ledger(shop, """UPDATE journal SET row = replace(row, '"verdict":"fail"', '"verdict":"pass"')""")


def the_journals_end_removed_by_hand(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    ledger(shop, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")


def a_share_changed_by_hand(shop: Path) -> None:
    ledger(shop, "UPDATE migration SET share_ppm = 20000")


def a_share_raised_by_hand_and_lowered_by_a_switch(shop: Path) -> None:
    ledger(shop, "UPDATE migration SET share_ppm = 900000")
    assert call("switch", "--percent", "40", folder=shop).exit_code == 0


def a_row_in_the_quarantine(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("5,2026-01-04T08:15:00Z,dan,placed,many\n6,2026-01-04T08:20:00Z,eve,placed,some\n")
    assert call("log", "import", "--all", "--on-bad-row", "quarantine", folder=shop).exit_code == 0


def rows_skipped_in_the_quarantine_by_hand(shop: Path) -> None:
    a_row_in_the_quarantine(shop)
    ledger(shop, "UPDATE quarantine SET state = 'skipped'")


def a_row_removed_from_the_quarantine_by_hand(shop: Path) -> None:
    a_row_in_the_quarantine(shop)
    (first, _) = (one for (one,) in ledger(shop, "SELECT id FROM quarantine"))
    ledger(shop, f"DELETE FROM quarantine WHERE id <> '{first}'")
    assert call("quarantine", "skip", "--all", folder=shop).exit_code == 0


def the_quarantine_and_its_seals_emptied_by_hand(shop: Path) -> None:
    a_row_in_the_quarantine(shop)
    ledger(shop, "DELETE FROM quarantine", "DELETE FROM quarantine_seal")


def a_comparator_that_failed_taken_away(shop: Path) -> None:
    (shop / "comparators" / "more.py").write_text(
        PASSING.replace(
            'customers = Comparator(key="customer")',
            'unlike = Comparator(key="customer", v1="FROM v1.customers", '
            'v2="SELECT customer, orders, cents + 1 AS cents FROM v2.customers")',
        ),
        encoding="utf-8",
    )
    assert call("diff", folder=shop).exit_code == 4
    (shop / "comparators" / "more.py").unlink()


def a_name_given_to_a_comparator_of_something_else(shop: Path) -> None:
    for side in ("v1", "v2"):
        folder = shop / f"views_{side}"
        shutil.copy(folder / "customers.sql", folder / "others.sql")
    (shop / "comparators" / "customers.py").write_text(
        PASSING.replace('key="customer"', 'key="customer", v1="FROM v1.others", v2="FROM v2.others"'), encoding="utf-8"
    )
    assert call("replay", folder=shop).exit_code == 0
    assert call("diff", folder=shop).exit_code == 0


def another_store_in_a_variable(shop: Path) -> None:
    with (shop / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.dualgauge.store]\nurl = "sqlite:///${DG_TEST_STORE}/views_{side}.db"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DG_TEST_STORE", ".dualgauge")
        assert call("diff", folder=shop).exit_code == 0
    shutil.copytree(shop / ".dualgauge", shop / "elsewhere")


WAYS: dict[Callable[[Path], None], tuple[str, str]] = {
    an_edited_view: (
        "definitions", "the file of v2.customers was edited since the build that readers get"
    ),
    an_edited_view_that_was_replayed: (
        "diff:customers", "the evidence is of another definition of v2.customers (build 1, readers get build 2)"
    ),
    another_build: ("diff:customers", "the evidence is of build 1 of v2.customers, readers get build 2"),
    another_comparator: ("diff:customers", "the comparator was edited since the evidence was made"),
    one_comparator_more: ("diff:again", "there is no diff of again"),
    checks_that_nobody_asked: ("check:customers", "there is no check of customers"),
    another_configuration: (
        "diff:customers",
        "settings that evidence depends on, or variables in the store's URLs, were changed since it was made",
    ),
    too_old: ("diff:customers", "finished 25 h ago, and may be 24h old"),
    of_the_future: ("diff:customers", "from now: one of two clocks is wrong"),
    new_events: ("lag", "v2.customers lacks the newest events"),
    one_side_replayed: ("lag", "v1.customers lacks the newest events"),
    a_failed_run_after_the_pass: ("diff:customers", "the newest of what is there now, failed"),
    a_failed_run_and_what_it_found_mended_unseen: ("diff:customers", "the newest of what is there now, failed"),
    an_inconclusive_run_after_the_pass: ("diff:customers", "the newest of what is there now, could not tell"),
    no_comparison_at_all: ("diff", "so nothing can say that v2 answers as v1 does"),
    a_failed_verdict_made_a_pass_by_hand: ("diff:customers", "is not what was sealed: its row was changed by hand"),
    a_verdict_that_does_not_exist: ("diff:customers", "is not what was sealed: its row was changed by hand"),
    another_position_by_hand: ("lag", "v2.customers lacks the newest events"),
    another_build_by_hand: ("diff:customers", "is not what was sealed: its row was changed by hand"),
    the_newer_failed_run_bound_to_something_else_by_hand: (
        "diff:customers", "is not what was sealed: its row was changed by hand"
    ),
    the_newer_failed_run_removed_by_hand: ("diff:customers", "is gone from the ledger: it was removed by hand"),
    the_newer_failed_run_unfinished_by_hand: (
        "diff:customers", "is not what was sealed: its row was changed by hand"
    ),
    two_verdicts_swapped_by_hand: ("diff:customers", "is not what was sealed: its row was changed by hand"),
    two_run_ids_swapped_by_hand: ("diff:customers", "is not what was sealed: its row was changed by hand"),
    a_run_put_in_by_hand: ("diff:customers", "is gone from the ledger: it was removed by hand"),
    a_journal_row_changed_by_hand: ("journal", "the journal is not what was written"),
    the_journals_end_removed_by_hand: (
        "diff:customers", "has no seal in the journal: it was put in, or its seal was removed, by hand"
    ),
    a_share_changed_by_hand: ("journal", "the journal is not what was written"),
    a_share_raised_by_hand_and_lowered_by_a_switch: ("journal", "the journal is not what was written"),
    a_row_in_the_quarantine: (
        "quarantine", "what does not fit into the log, or into a view, is missing from what readers get"
    ),
    rows_skipped_in_the_quarantine_by_hand: ("quarantine", "the quarantine is not what was written"),
    a_row_removed_from_the_quarantine_by_hand: ("quarantine", "the quarantine is not what was written"),
    the_quarantine_and_its_seals_emptied_by_hand: ("quarantine", "the quarantine is not what was written"),
    a_comparator_that_failed_taken_away: (
        "coverage", "the last diff of unlike failed on what readers get now, and nothing asks for it any more"
    ),
    a_name_given_to_a_comparator_of_something_else: ("coverage", "not compared: v1.customers, v2.customers"),
    another_store_in_a_variable: (
        "diff:customers", "or variables in the store's URLs, were changed since it was made"
    ),
}  # fmt: skip

BY_HAND = [way for way in WAYS if "by_hand" in way.__name__ or way is a_verdict_that_does_not_exist]


@pytest.mark.parametrize("way", thinned(2, WAYS), ids=lambda way: way.__name__)
def test_a_way_around_the_gates_is_refused_and_the_way_back_is_open(
    way: Callable[[Path], None], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way(shop)
    monkeypatch.setenv("DG_TEST_STORE", "elsewhere")
    gate, why = WAYS[way]
    rows = ledger(shop, "SELECT seq FROM journal")

    said = call("switch", "--percent", "50", "--format", "json", folder=shop)
    error = said.json["error"]
    closed = {one["name"]: one for one in error["gates"] if one["outcome"] != "pass"}

    assert (said.exit_code, error["type"]) == (3, "GateRefused")
    assert why in closed[gate]["why"]
    assert next(iter(closed)) in error["message"]
    assert closed[gate]["value"]
    assert closed[gate]["limit"]
    assert closed[gate]["next_steps"]
    assert said.json["next_steps"]
    assert ledger(shop, "SELECT seq FROM journal") == rows

    back = call("rollback", folder=shop)
    assert (back.exit_code, back.err) == (0, "")
    assert back.out.endswith("to stage shadow (0 % on v2)\n")


@pytest.mark.parametrize("way", BY_HAND, ids=lambda way: way.__name__)
def test_what_was_done_by_hand_is_found_by_verify(way: Callable[[Path], None], shop: Path) -> None:
    assert call("journal", "--verify", folder=shop).exit_code == 0
    way(shop)

    said = call("journal", "--verify", "--format", "json", folder=shop)

    assert said.exit_code == 1
    assert said.json["result"]["verified"] is False
    problem = said.json["result"]["problem"]
    assert problem["run"] is None or problem["run"] in problem["problem"]
    of_no_run = (a_journal_row_changed_by_hand, a_share_changed_by_hand, a_share_raised_by_hand_and_lowered_by_a_switch)
    assert (problem["run"] is None) == (way in of_no_run or "quarantine" in way.__name__)


@pytest.mark.parametrize(
    "harm",
    [
        "stage = 'limbo', share_ppm = 500000", "stage = 'off', share_ppm = 500000", "changed_at = 'x'",
        "share_ppm = 'many'", "revision = 'x'", "share_ppm = 9000000",
    ],
)  # fmt: skip
def test_whatever_was_written_over_a_migration_reads_can_be_taken_back(harm: str, shop: Path) -> None:
    ledger(shop, f"UPDATE migration SET {harm}")
    assert call("status", folder=shop).exit_code == 0

    back = call("rollback", folder=shop)

    assert (back.exit_code, back.err) == (0, "")
    assert ledger(shop, "SELECT stage, share_ppm FROM migration") == [("shadow", 0)]
    assert call("journal", "--verify", folder=shop).exit_code == 0


def test_a_rollback_is_done_where_a_folder_stands_in_the_place_of_a_view(shop: Path) -> None:
    (shop / "views_v1" / "folder.sql").mkdir()

    assert call("rollback", folder=shop).exit_code == 0


def test_a_pipe_in_the_place_of_a_run_s_file_is_a_changed_file_and_nobody_waits_for_it(shop: Path) -> None:
    call("diff", folder=shop)
    for file in (shop / "reports").glob("*/diff.json"):
        file.unlink()
        os.mkfifo(file)

    assert "by hand" in call("switch", "--percent", "50", folder=shop).err
    said = call("report", folder=shop)
    assert "diff.json was changed since the run" in said.out


@pytest.mark.parametrize("text", ["garbage", "{}", "[]"])
def test_a_journal_row_that_cannot_be_read_is_shown_as_such_and_named(text: str, shop: Path) -> None:
    ledger(shop, f"UPDATE journal SET row = '{text}' WHERE seq = 2")

    said = call("journal", "--verify", folder=shop)

    assert (said.exit_code, said.err) == (1, "")
    assert "cannot be read" in said.out
    assert "row 2 was changed" in said.out
    assert call("journal", "--format", "json", folder=shop).json["result"]["rows"][1]["row"] is None


def test_a_view_without_a_partner_is_told_and_closes_nothing(shop: Path) -> None:
    shutil.copy(shop / "views_v2" / "customers.sql", shop / "views_v2" / "extra.sql")
    assert call("replay", folder=shop).exit_code == 0
    assert call("diff", folder=shop).exit_code == 0

    assert call("status", folder=shop).out.endswith("gates: all 7 open\nnote: coverage: not compared: v2.extra\n")
    moved = call("switch", "--percent", "50", folder=shop)
    assert moved.exit_code == 0
    assert "note: coverage: not compared: v2.extra" in moved.out
    assert "coverage" in json.dumps(json.loads(newest_report(shop))["notes"])


def newest_report(shop: Path) -> str:
    assert call("report", "--output", "out", folder=shop).exit_code == 0
    return (shop / "out" / "report.json").read_text(encoding="utf-8")


def test_a_report_shows_the_run_that_the_gate_goes_by(shop: Path) -> None:
    another_comparator(shop)
    answers(shop, 1)
    assert call("diff", folder=shop).exit_code == 0
    (shop / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")

    assert [counts for _, counts, _ in listed(shop)] == [False, True]
    document = json.loads(newest_report(shop))
    assert document["sections"][0]["run"]["run"] == runs(shop)[0]
    assert document["verdict"] == "pass"


def test_the_paragraph_names_gate_value_limit_and_what_to_run_next(shop: Path) -> None:
    another_build(shop)

    assert call("switch", "--percent", "50", folder=shop) == Said(
        3,
        "",
        "error: 50 % of the reads of 'customers' cannot go to v2. Gate diff:customers: the evidence is of build 1 of "
        "v2.customers, readers get build 2 (found: no such evidence; needed: a passing diff of what readers get now, "
        "at most 24h old). Nothing was changed: run `dualgauge diff customers`, and ask again\n"
        "next: dualgauge diff customers   # make the evidence that diff:customers asks for\n",
    )


def test_what_the_refusal_says_to_run_opens_the_gate(shop: Path) -> None:
    new_events(shop)
    refused = call("switch", "--percent", "50", "--format", "json", folder=shop).json
    steps = [step["command"] for step in refused["next_steps"]]
    assert steps == ["dualgauge replay", "dualgauge diff"]
    for command in steps:
        assert call(*command.split()[1:], folder=shop).exit_code == 0

    assert call("switch", "--percent", "50", folder=shop).exit_code == 0


def test_checks_open_their_gate_when_they_pass(shop: Path) -> None:
    checks_that_nobody_asked(shop)
    assert call("check", folder=shop).exit_code == 0
    assert call("switch", "--percent", "50", folder=shop).exit_code == 0

    row = call("journal", "--format", "json", folder=shop).json["result"]["rows"][-1]
    assert [one.split("-")[-2] for one in row["evidence"]] == ["customers", "check"]


def test_a_run_that_was_killed_is_no_evidence_and_is_mentioned(shop: Path) -> None:
    another_build(shop)
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(shop)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "comparing\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    killed = runs(shop)[-1]

    said = call("switch", "--percent", "50", folder=shop)
    assert said.exit_code == 3
    assert f"run {killed} began at " in said.err
    assert " and did not finish (found: " in said.err
    assert call("journal", "--verify", folder=shop).exit_code == 0
    assert f"{killed} " in call("evidence", "list", folder=shop).out
    assert call("diff", folder=shop).exit_code == 0
    assert call("switch", "--percent", "50", folder=shop).exit_code == 0


def test_a_move_says_on_which_runs_it_rests(shop: Path) -> None:
    moved = call("journal", "--format", "json", folder=shop).json["result"]["rows"][-1]

    assert (moved["row"], moved["evidence"]) == ("move", runs(shop))


def test_a_dry_run_that_is_refused_shows_every_gate(shop: Path) -> None:
    another_build(shop)
    said = call("switch", "--percent", "50", "--dry-run", folder=shop)

    assert said.exit_code == 3
    assert [line.split()[:2] for line in said.out.splitlines() if line and not line.startswith(" ")] == [
        ["gate", "says"], ["journal", "pass"], ["builds", "pass"], ["definitions", "pass"], ["lag", "pass"],
        ["quarantine", "pass"],
        ["diff:customers", "inconclusive"],
    ]  # fmt: skip
    assert said.err.startswith("error: 50 % of the reads")


def test_gates_ask_nothing_of_a_share_that_does_not_grow(shop: Path) -> None:
    migration = dualgauge.open(shop)

    assert [one.name for one in migration.cutover.gates(500_000)] == [
        "journal",
        "builds",
        "definitions",
        "lag",
        "quarantine",
        "diff:customers",
    ]
    assert migration.cutover.gates(100_000) == migration.cutover.gates(0) == ()


def test_status_says_in_a_line_which_gates_are_closed(shop: Path) -> None:
    assert call("status", folder=shop).out.endswith("\ngates: all 6 open\n")
    another_build(shop)

    assert call("status", folder=shop).out.splitlines()[-1] == (
        "gates: 5 of 6 open; diff:customers: the evidence is of build 1 of v2.customers, readers get build 2"
    )
    assert len(call("status", "--format", "json", folder=shop).json["result"]["gates"]) == 6


def test_a_row_of_the_quarantine_that_was_changed_by_hand_is_named_by_gate_and_journal(shop: Path) -> None:
    a_row_in_the_quarantine(shop)
    (found, _) = (one for (one,) in ledger(shop, "SELECT id FROM quarantine ORDER BY id"))
    ledger(shop, f"UPDATE quarantine SET state = 'skipped' WHERE id = '{found}'")
    told = f"row {found[:12]} of the quarantine (skipped, of 'orders') is not what was sealed: it was changed by hand"

    assert call("journal", "--verify", folder=shop).out.endswith(
        f"the journal is not what was written: row 6: {told}\n"
    )
    refused = call("switch", "--percent", "50", folder=shop).err
    assert (
        f"Gate quarantine: the quarantine is not what was written, so nobody knows which rows wait (found: {told};"
        in (refused)
    )
    assert "next: dualgauge journal --verify" in refused
    assert call("quarantine", "skip", "--all", folder=shop).exit_code == 0
    assert call("journal", "--verify", folder=shop).exit_code == 1


def test_changes_of_the_quarantine_are_in_the_journal(shop: Path) -> None:
    a_row_in_the_quarantine(shop)
    assert call("quarantine", "skip", "--all", folder=shop).exit_code == 0

    rows = call("journal", "--format", "json", folder=shop).json["result"]["rows"][-2:]
    assert [(one["row"], one["change"], one["rows"], one["waiting"]) for one in rows] == [
        ("quarantine", "2 added", 2, 2), ("quarantine", "2 skipped", 2, 0),
    ]  # fmt: skip
    text = call("journal", "--verify", folder=shop)
    assert (text.exit_code, text.err) == (0, "")
    assert [line.split()[4:6] for line in text.out.splitlines()[-3:-1]] == [["quarantine:", "2"], ["quarantine:", "2"]]
    assert call("switch", "--percent", "50", folder=shop).exit_code == 0


# Listing and showing.


def listed(shop: Path, *arguments: str) -> list[tuple[str, bool | None, str]]:
    """Verdict, whether it counts, and why not, of each run; newest first."""
    found = call("evidence", "list", *arguments, "--format", "json", folder=shop).json["result"]["runs"]
    return [(one["verdict"], one["counts"], one["why"]) for one in found]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (an_edited_view_that_was_replayed, "another definition of v2.customers"),
        (another_build, "another build of v2.customers"),
        (another_comparator, "another comparator"),
        (another_configuration, "another configuration"),
        (a_verdict_that_does_not_exist, "not what was sealed"),
        (no_comparison_at_all, "no comparator customers asks for it"),
    ],
)
def test_a_run_that_counts_no_more_says_why(way: Callable[[Path], None], why: str, shop: Path) -> None:
    assert listed(shop) == [("pass", True, "")]
    way(shop)

    assert listed(shop) == [("pass", False, why)]


def test_runs_are_listed_newest_first_and_the_newest_counts_whatever_it_found(shop: Path) -> None:
    a_failed_run_after_the_pass(shop)
    checks_that_nobody_asked(shop)
    call("check", folder=shop)
    passed, failed, checked = runs(shop)

    assert listed(shop) == [("pass", True, ""), ("fail", True, ""), ("pass", False, "a newer run decides")]
    assert listed(shop, "--kind", "check") == [("pass", True, "")]
    assert len(listed(shop, "--name", "customers", "--limit", "2")) == 2
    assert listed(shop, "--name", "nothing") == []
    text = call("evidence", "list", folder=shop).out
    assert [line.split()[0] for line in text.splitlines()[1:]] == [checked, failed, passed]


def test_old_evidence_and_forged_evidence_are_listed_as_what_they_are(shop: Path) -> None:
    too_old(shop)
    ledger(shop, f"UPDATE evidence SET run_id = 'forged' WHERE run_id = '{max(runs(shop))}'")

    assert sorted(listed(shop)) == [
        ("pass", False, "gone from the ledger"), ("pass", False, "older than 24h"),
        ("pass", False, "put in by hand: it has no seal"),
    ]  # fmt: skip


def test_evidence_is_listed_where_the_project_cannot_be_read(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text("customers = ", encoding="utf-8")

    assert listed(shop) == [("pass", None, "")]
    assert "unknown: the project's files cannot be read" in call("evidence", "list", folder=shop).out


def test_a_project_without_evidence_says_so(tmp_path: Path) -> None:
    said = call("evidence", "list", folder=build(tmp_path / "shop"))

    assert said == Said(0, "no evidence yet\nnext: dualgauge diff   # compare what the sides answer\n", "")


def test_show_tells_what_a_run_is_bound_to_what_it_found_and_its_files(shop: Path) -> None:
    (run,) = runs(shop)
    said = call("evidence", "show", run, folder=shop)
    told = call("evidence", "show", run, "--format", "json", folder=shop).json["result"]

    assert said.out.startswith("diff of customers: pass\n")
    assert f"reports/{run}/mismatches.parquet: unchanged" in said.out
    assert told["bound"]["v2"]["customers"]["build"] == 1
    assert (told["summary"]["matched"], told["files"]) == (
        3,
        {"diff.json": "unchanged", "mismatches.parquet": "unchanged"},
    )
    assert (told["counts"], told["journal_row"], told["state"]) == (True, 4, "finished")


def test_show_of_a_run_that_does_not_exist_says_where_runs_are_named(shop: Path) -> None:
    said = call("evidence", "show", "nothing", folder=shop)

    assert (said.exit_code, said.out) == (2, "")
    assert said.err.startswith(
        "error: there is no evidence run 'nothing'; runs are named like the folders below `reports`"
    )


# Files.


def test_a_changed_report_is_found_by_verify_and_neither_it_nor_one_that_is_gone_counts(shop: Path) -> None:
    (run,) = runs(shop)
    file = shop / "reports" / run / "diff.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(found | {"verdict": "pass", "matched": 9_999}), encoding="utf-8")

    said = call("journal", "--verify", folder=shop)
    assert said.exit_code == 1
    assert said.out.endswith(
        f"the journal is not what was written: row 4: reports/{run}/diff.json is not what evidence run {run} wrote: "
        "it was changed by hand\n"
    )
    assert f"reports/{run}/diff.json: changed" in call("evidence", "show", run, folder=shop).out
    assert listed(shop) == [("pass", False, "the file diff.json was changed by hand")]
    refused = call("switch", "--percent", "50", folder=shop)
    assert refused.exit_code == 3
    assert (
        f"of run {run} the file diff.json was changed by hand, so nobody can see any more what it found" in refused.err
    )

    shutil.rmtree(shop / "reports")
    assert call("journal", "--verify", folder=shop).exit_code == 0
    assert call("evidence", "show", run, "--format", "json", folder=shop).json["result"]["files"]["diff.json"] == "gone"
    assert listed(shop) == [("pass", False, "the file diff.json is gone")]
    assert call("switch", "--percent", "50", folder=shop).exit_code == 3
    assert call("diff", folder=shop).exit_code == 0
    assert call("switch", "--percent", "50", folder=shop).exit_code == 0


def test_a_ledger_keeps_the_seals_of_two_migrations_apart(shop: Path) -> None:
    in_file(shop, "pyproject.toml", 'migration = "customers"', 'migration = "clients"')

    assert listed(shop) == []
    assert "last diff" not in call("status", folder=shop).out
    assert call("report", folder=shop).exit_code == 2
    with Ledger.open(f"sqlite:///{shop}/.dualgauge/ledger.db") as opened:
        assert opened.journal("clients") == ()
        assert [row.kind.value for row in opened.journal("customers")] == ["move", "move", "move", "evidence", "move"]
