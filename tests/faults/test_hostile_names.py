"""Names and values with quotes, semicolons, spaces, emoji and ten thousand characters do no harm anywhere."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.harm import edit, refused
from support.shop import COMPARATORS, build, call, lay_out

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "o'clock",
    'say "no"',
    "x'; DROP TABLE events; --",
    "two words",
    "\U0001f600 sm\u00f6rg\u00e5s",
    "percent %s {} $1 \\n",
    "n" * 10_000,
]
IDS = ["quote", "double quote", "semicolon", "space", "emoji", "format", "10 kB"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "shop")


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.mark.parametrize("name", NAMES, ids=IDS)
def test_a_migration_may_have_any_name(name: str, shop: Path) -> None:
    edit(shop / "pyproject.toml", 'migration = "customers"', f"migration = {json.dumps(name, ensure_ascii=False)}")

    assert call("replay", "--force", folder=shop).exit_code == 0
    assert call("status", "--format", "json", folder=shop).json["result"]["migration"] == name
    assert call("rollback", "--reason", name, folder=shop).exit_code == 0
    assert call("journal", "--verify", folder=shop).exit_code == 0
    read = call("read", "customers", "ada", "--unit", name, "--format", "json", folder=shop).json["result"]
    assert (read["unit"], read["row"]["customer"]) == (name, "ada")


def test_values_event_ids_and_keys_come_through_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    lay_out(folder)
    with (folder / "data" / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order_no", "time", "customer", "what", "cents"])
        writer.writerows([name, "2026-01-01T09:00:00Z", name, "placed", 1] for name in NAMES)

    assert call("log", "import", folder=folder).exit_code == 0
    assert call("replay", folder=folder).exit_code == 0
    assert call("diff", "customers", folder=folder).exit_code == 0
    assert call("diff", "unlike", "--samples", "100", folder=folder).exit_code == 4
    for name in NAMES:
        row = call("read", "customers", name, "--format", "json", folder=folder).json["result"]["row"]
        assert row == {"customer": name, "orders": 1, "cents": 1}
    events = call("log", "show", "--format", "json", folder=folder).json["result"]["events"]
    assert {event["event_id"] for event in events} == {f"{name}/placed" for name in NAMES}


@pytest.mark.parametrize("name", NAMES[:-1], ids=IDS[:-1])
def test_folders_and_files_may_have_any_name(name: str, built: Path, tmp_path: Path) -> None:
    # The log's own path has no backslash: tests/eventlog/test_table.py.
    folder = tmp_path / name.replace("\\", "")
    shutil.copytree(built, folder)
    (folder / "data" / "orders.csv").rename(folder / "data" / f"{name}.csv")
    path = json.dumps(f"data/{name}.csv", ensure_ascii=False)
    edit(folder / "pyproject.toml", 'path = "data/orders.csv"', f"path = {path}")
    with (folder / "data" / f"{name}.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-09T09:00:00Z,dan,placed,100\n")

    assert call("log", "import", f"data/{name}.csv", folder=folder).out.startswith("added 1 event at positions 6 to 6 ")
    assert call("replay", folder=folder).exit_code == 0
    assert call("diff", "customers", folder=folder).exit_code == 0
    assert call("doctor", folder=folder).exit_code == 0


@pytest.mark.parametrize("name", NAMES[:-1], ids=IDS[:-1])
def test_a_sources_name_is_a_word(name: str, shop: Path) -> None:
    edit(shop / "pyproject.toml", 'name = "orders"', f"name = {json.dumps(name, ensure_ascii=False)}")
    code, told = refused("log", "import", folder=shop)

    assert code == 2
    assert "a letter, then letters, digits, - and _" in told
    assert len(told) < 2_100


@pytest.mark.parametrize("column", ["o'clock", 'say \\"no\\"', "x'; DROP TABLE events; --", "two words", "\U0001f600"])
def test_the_columns_of_a_file_and_of_a_view_may_have_any_name(column: str, shop: Path) -> None:
    name = column.replace('\\"', '"')
    view = shop / "views_v2" / "customers.sql"
    quoted = name.replace('"', '""')
    edit(view, "sum(cents) AS cents", f'sum(cents) AS cents, count(*) AS "{quoted}"')
    edit(shop / "pyproject.toml", 'type = "what"', f'type = "what"\nselect = {{"{column}" = "cents"}}')
    (shop / ".dualgauge" / "log").rename(shop / "old")
    (shop / ".dualgauge" / "ledger.db").unlink()

    assert call("log", "import", folder=shop).exit_code == 0
    payload = call("log", "show", "--limit", "1", "--format", "json", folder=shop).json["result"]["events"][0][
        "payload"
    ]
    assert json.loads(payload)[name] == 9900
    assert call("replay", folder=shop).exit_code == 0
    row = call("read", "customers", "ada", "--format", "json", folder=shop).json["result"]["row"]
    assert row["customer"] == "ada"
    with closing(sqlite3.connect(shop / ".dualgauge" / "views_v2.db")) as connection:
        names = [one[0] for one in connection.execute('SELECT * FROM "customers"').description]
    assert name in names


@pytest.mark.parametrize("name", NAMES, ids=IDS)
def test_a_name_that_is_not_there_is_refused_and_changes_nothing(name: str, shop: Path) -> None:
    for arguments in (["diff", name], ["replay", name], ["log", "import", name]):
        assert refused(*arguments, folder=shop)[0] == 2
    assert refused("read", name, "ada", folder=shop)[0] in {2, 5}
    assert call("read", "customers", name, folder=shop).exit_code == 0


def test_a_comparator_is_named_by_its_variable_so_it_has_a_plain_name(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        f"{COMPARATORS}\nglobals()['a b; \\'\"'] = customers\n", encoding="utf-8"
    )
    said = call("diff", "a b; '\"", folder=shop)

    assert "unexpected" not in said.err
    assert said.exit_code in {0, 2}
