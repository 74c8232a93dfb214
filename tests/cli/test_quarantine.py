"""The commands of the quarantine: what they say, and that a waiting row closes its gate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dualgauge
from dualgauge.errors import keep_secret
from support.shop import Said, build, call

GOOD = "7,2026-01-05T09:00:00Z,fay,placed,700\n"
BAD = "5,2026-01-04T08:15:00Z,eve,placed\n6,2026-01-04T09:15:00Z,eve,placed,lots\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build(tmp_path_factory.mktemp("shop"), compared=True)
    with (folder / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write(BAD + GOOD)
    return folder


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(built, tmp_path / "shop"))


def aside(shop: Path, *more: str) -> Said:
    return call("log", "import", "--on-bad-row", "quarantine", *more, folder=shop)


def ids(shop: Path, state: str = "all") -> list[str]:
    said = call("quarantine", "list", "--state", state, "--format", "json", folder=shop)
    return [one["id"] for one in said.json["result"]["rows"]]


def test_an_import_says_how_many_rows_wait_and_where_to_look(shop: Path) -> None:
    said = aside(shop)

    assert said == Said(
        0,
        "added 1 event at positions 6 to 6 from orders; 5 events known already\n"
        "2 rows do not fit and wait in the quarantine: `dualgauge quarantine list`\n"
        "the log's head is position 6\n"
        "next: dualgauge replay   # bring the views to the new head\n"
        "next: dualgauge quarantine list   # see which rows wait, and why\n",
        "",
    )


def test_an_import_in_json_counts_what_was_set_aside(shop: Path) -> None:
    dry = aside(shop, "--dry-run", "--format", "json").json
    assert (dry["result"]["quarantined"], dry["result"]["added"], dry["next_steps"]) == (2, 1, [])
    done = aside(shop, "--format", "json").json["result"]
    assert (done["quarantined"], done["added"], done["last"]) == (2, 1, 6)
    assert aside(shop, "--format", "json").json["result"]["quarantined"] == 0
    assert call("log", "import", "--format", "json", folder=shop).json["result"]["quarantined"] == 0


def test_too_many_bad_rows_stop_the_import_with_exit_code_4(shop: Path) -> None:
    said = aside(shop, "--max-bad-rows", "1")

    assert (said.exit_code, said.out) == (4, "")
    assert said.err.startswith("error: source 'orders': at least 2 rows do not fit, more than may be set aside; of 2 ")
    assert ids(shop) == []


def test_a_waiting_row_closes_the_gate_until_it_is_settled(shop: Path) -> None:
    aside(shop)
    for command in ("replay", "diff"):
        assert call(command, folder=shop).exit_code == 0
    status = call("status", folder=shop).out
    assert "\nquarantine: 2 rows wait: `dualgauge quarantine list`\n" in status
    assert "gates: 5 of 6 open; quarantine: what does not fit into the log" in status
    refused = call("switch", "--percent", "10", folder=shop)
    assert refused.exit_code == 3
    assert "Gate quarantine: what does not fit into the log, or into a view, is missing" in refused.err
    assert "(found: 2 rows wait; needed: no row waits in the quarantine)" in refused.err
    assert "next: dualgauge quarantine list   # see which rows wait, and why" in refused.err

    assert call("quarantine", "skip", "--all", "--reason", "tests", folder=shop).exit_code == 0
    assert "quarantine" not in call("status", folder=shop).out
    assert call("switch", "--percent", "10", folder=shop).exit_code == 0


def test_a_list_shows_place_reason_and_text_and_json_has_all_of_it(shop: Path) -> None:
    long = f"8,2026-01-04T09:15:00Z,{'x' * 200},placed\n"
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write(long)
    aside(shop)
    said = call("quarantine", "list", "--format", "json", folder=shop).json["result"]["rows"]

    assert [one["raw"] for one in said] == [*BAD.splitlines(), long.strip()]
    assert {one["place"] for one in said} == {"data/orders.csv"}
    assert [(one["row"], one["line"], one["reason"]) for one in said] == [
        (6, 7, "it has 4 values for 5 columns"), (7, 8, "cents = 'lots' is no BIGINT"),
        (9, 10, "it has 4 values for 5 columns"),
    ]  # fmt: skip
    text = call("quarantine", "list", folder=shop).out
    assert all(one["id"][:12] in text for one in said)
    assert "x" * 200 not in re.sub(r"\s", "", text)
    assert "..." in text
    assert call("quarantine", "list", "--source", "others", folder=shop).out == "no row waits\n"
    assert call("quarantine", "list", "--state", "taken", folder=shop).out == "no such row\n"


def test_a_project_without_a_ledger_has_an_empty_quarantine(tmp_path: Path) -> None:
    from support.shop import lay_out

    lay_out(tmp_path)
    assert call("quarantine", "list", folder=tmp_path) == Said(0, "no row waits\n", "")
    assert not (tmp_path / ".dualgauge").exists()


def test_a_retry_answers_with_positions_and_exit_code_4_where_rows_still_wait(shop: Path) -> None:
    aside(shop)
    two, four = ids(shop)
    dry = call(
        "quarantine", "retry", two[:8], "--with", "5,2026-01-04T08:15:00Z,eve,placed,1", "--dry-run", folder=shop
    )
    assert (dry.exit_code, dry.out.splitlines()[-1]) == (0, "1 row would be taken, 0 still waiting")
    assert ids(shop, "waiting") == [two, four]

    said = call("quarantine", "retry", two[:8], "--with", "5,2026-01-04T08:15:00Z,eve,placed,1", folder=shop)
    assert said.exit_code == 0
    assert said.out.splitlines()[1].split() == [two[:12], "orders", "data/orders.csv", "6", "taken", "7"]
    failed = call("quarantine", "retry", "--all", "--format", "json", folder=shop)
    assert failed.exit_code == 4
    result = failed.json["result"]
    assert (result["added"], result["waiting"], result["last"]) == (0, 1, 7)
    assert result["rows"][0]["reason"] == "cents = 'lots' is no BIGINT"
    assert dualgauge.open(shop).log.show(7).events[0]["event_id"] == "5/placed"


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_a_call_names_rows_or_all_of_them(verb: str, shop: Path) -> None:
    neither, both = call("quarantine", verb, folder=shop), call("quarantine", verb, "abc", "--all", folder=shop)

    assert [one.exit_code for one in (neither, both)] == [2, 2]
    assert neither.err.startswith(f"error: `dualgauge quarantine {verb}` names no row; give their ids, or --all\n")
    assert both.err.startswith(f"error: `dualgauge quarantine {verb}` names rows and says --all; say one of both\n")


def test_a_text_is_that_of_one_row(shop: Path) -> None:
    aside(shop)
    said = call("quarantine", "retry", *ids(shop), "--with", "x", folder=shop)

    assert said.exit_code == 2
    assert said.err.startswith("error: --with gives the text of one row, and the call names 2; name the one\n")
    assert "the call names none" in call("quarantine", "retry", "--all", "--with", "x", folder=shop).err


def test_a_skipped_row_conflicts_with_a_retry_and_an_unknown_one_is_a_usage_error(shop: Path) -> None:
    aside(shop)
    one = ids(shop)[0]
    assert call("quarantine", "skip", one, folder=shop).out.splitlines() == [
        "skipped 1 row",
        f"  {one[:12]}  orders  data/orders.csv row 6 (line 7)",
    ]
    assert call("quarantine", "retry", one, folder=shop).exit_code == 5
    assert call("quarantine", "skip", "zzz", folder=shop).exit_code == 2
    assert call("quarantine", "list", "--state", "skipped", folder=shop).out.splitlines()[1].split()[0] == one[:12]


def test_a_password_in_a_row_or_a_reason_is_not_shown(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("8,2026-01-04T09:15:00Z,postgresql://ada:hunter2-Zebra@db/x,placed\n")
    keep_secret("postgresql://ada:hunter2-Zebra@db/x")
    aside(shop)
    call("quarantine", "skip", ids(shop)[-1], "--reason", "see postgresql://ada:hunter2-Zebra@db/x", folder=shop)

    for arguments in (["--state", "all"], ["--state", "all", "--format", "json"]):
        said = call("quarantine", "list", *arguments, folder=shop).out
        assert "Zebra" not in said
        assert "***" in said
