"""`dualgauge diff OLD NEW`: two files or tables, without a project."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.shop import build, call, child, lay_out

if TYPE_CHECKING:
    from pathlib import Path

OLD = "id,name,amount\n1,ada,2.50\n2,bob,10\n3,cyd,7\n"
NEW = "id,name,amount\n1,ada,2.5\n2,bob,10.004\n4,dan,7\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two CSV files, which is no project."""
    (tmp_path / "old.csv").write_text(OLD, encoding="utf-8")
    (tmp_path / "new.csv").write_text(NEW, encoding="utf-8")
    return tmp_path


def database(folder: Path, name: str, key: str = "id INTEGER PRIMARY KEY", amount: int = 5) -> Path:
    """A SQLite file with a table of orders."""
    file = folder / name
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"CREATE TABLE orders ({key}, amount INT)")
        connection.execute("INSERT INTO orders VALUES (1, ?), (2, 6)", [amount])
        connection.commit()
    return file


def test_two_files_are_compared_and_every_difference_is_told(files: Path) -> None:
    said = call("diff", "old.csv", "new.csv", "--key", "id", folder=files)

    assert said.exit_code == 4
    assert said.err == ""
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert lines[:2] == [
        "FAIL: v1 is old.csv, v2 is new.csv",
        "  3 rows in v1, 3 in v2; 2 keys on both: 1 matched, 1 changed; 1 only in v1, 1 only in v2; 0 expected",
    ]
    assert "  id=2: changed" in lines
    assert "    amount: v1 10.000 | v2 10.004" in lines
    assert "  id=3: only_in_v1" in lines
    assert "    name: v1 no row | v2 dan" in lines


def test_the_key_that_is_proposed_can_be_typed_as_it_is_printed(tmp_path: Path) -> None:
    text = '"  Last, ""first"" ",-n,n\nada,1,1\nbob,1,2\n'
    (tmp_path / "it's old.csv").write_text(text, encoding="utf-8")
    (tmp_path / "new.csv").write_text(text.replace("n,n", "n,N"), encoding="utf-8")

    said = call("diff", "it's old.csv", "new.csv", folder=tmp_path)
    command = next(line for line in said.err.splitlines() if line.startswith("next: ")).removeprefix("next: ")
    again = call(*shlex.split(command, comments=True)[1:], folder=tmp_path)

    assert said.exit_code == 2
    assert (again.exit_code, again.out.split(":")[0]) == (0, "PASS")
    assert call("diff", "it's old.csv", "new.csv", "--key", "-n,N", folder=tmp_path).exit_code == 0


def test_equal_files_pass_with_exit_code_0(files: Path) -> None:
    said = call("diff", "old.csv", "old.csv", "--key", "id", folder=files)

    assert (said.exit_code, said.err) == (0, "")
    assert said.out.startswith("PASS: v1 is old.csv, v2 is old.csv\n  3 rows in v1, 3 in v2; 3 keys on both: 3 matched")


def test_nothing_is_written_but_the_file_that_is_named(files: Path) -> None:
    call("diff", "old.csv", "new.csv", "--key", "id", folder=files)
    assert {one.name for one in files.iterdir()} == {"old.csv", "new.csv"}

    said = call("diff", "old.csv", "new.csv", "--key", "id", "--samples", "0", "--keep", "keys.parquet", folder=files)

    assert said.out.splitlines()[-1] == "  every mismatching key is in keys.parquet"
    assert {one.name for one in files.iterdir()} == {"old.csv", "new.csv", "keys.parquet"}
    assert sorted(pq.read_table(files / "keys.parquet")["id"].to_pylist()) == [2, 3, 4]


def test_keep_does_not_overwrite_a_side_and_needs_its_folder(files: Path) -> None:
    said = call("diff", "old.csv", "new.csv", "--key", "id", "--keep", "./new.csv", folder=files)
    assert (said.exit_code, "it is one of the two that are compared" in said.err) == (2, True)
    assert (files / "new.csv").read_text(encoding="utf-8") == NEW

    said = call("diff", "old.csv", "new.csv", "--key", "id", "--keep", "none/keys.parquet", folder=files)
    assert (said.exit_code, "its folder is not there" in said.err) == (2, True)


def test_tolerances_are_given_by_column(files: Path) -> None:
    same = ("diff", "old.csv", "new.csv", "--key", "id", "--format", "json")

    exact = call(*same, folder=files).json["result"]["runs"][0]
    absolute = call(*same, "--absolute", "amount=0.01", folder=files).json["result"]["runs"][0]
    relative = call(*same, "--relative", "amount=0.0001", folder=files).json["result"]["runs"][0]

    assert (exact["changed"], absolute["changed"], relative["changed"]) == (1, 0, 1)
    assert [one["within_rule"] for one in absolute["columns"] if one["name"] == "amount"] == [1]


def test_json_has_the_schema_of_every_diff(files: Path) -> None:
    said = call("diff", "old.csv", "new.csv", "--key", "id", "--format", "json", folder=files)

    found = said.json
    run = found["result"]["runs"][0]
    assert (found["schema"], found["exit_code"], said.exit_code) == ("dualgauge.diff/1", 4, 4)
    assert (found["error"], found["next_steps"]) == (None, [])
    assert found["result"]["verdict"] == "fail"
    assert (run["v1"], run["v2"], run["key"], run["keep"]) == ("old.csv", "new.csv", ["id"], None)
    assert (run["run"], run["comparator"], run["position"], run["folder"]) == (None, None, None, None)
    assert (run["only_in_v1"], run["only_in_v2"], run["changed"], run["matched"]) == (1, 1, 1, 1)


def test_a_key_of_several_columns_is_parted_by_commas_or_given_again(files: Path) -> None:
    for key in (["--key", "id,name"], ["--key", "id", "--key", "name"]):
        said = call("diff", "old.csv", "new.csv", *key, "--format", "json", folder=files)
        assert said.json["result"]["runs"][0]["key"] == ["id", "name"]


def test_repeated_and_missing_keys_exit_with_4(files: Path) -> None:
    (files / "twice.csv").write_text("id,name,amount\n1,ada,2.5\n1,ada,2.5\n,x,1\n", encoding="utf-8")

    said = call("diff", "twice.csv", "twice.csv", "--key", "id", folder=files)

    assert said.exit_code == 4
    assert "keys of v1: 1 row with a NULL, 1 key more than once (2 rows)" in said.out


# Without --key.


def test_a_primary_key_that_both_databases_state_is_taken_and_said(tmp_path: Path) -> None:
    database(tmp_path, "old.db")
    database(tmp_path, "new.sqlite", amount=7)

    said = call("diff", "old.db", "new.sqlite#orders", folder=tmp_path)

    assert said.exit_code == 4
    assert said.out.splitlines()[:2] == [
        "FAIL: v1 is old.db, v2 is new.sqlite#orders",
        "  key id: the primary key that both state",
    ]
    assert "    amount: v1 5 | v2 7" in said.out


def test_without_a_stated_key_columns_that_could_be_one_are_found_by_looking(files: Path) -> None:
    said = call("diff", "old.csv", "new.csv", folder=files)

    assert (said.exit_code, said.out) == (2, "")
    assert said.err == (
        "error: no key was given, and no primary key is stated on both sides; on both sides id or name or amount is "
        "unique and never NULL: give what identifies a row with --key\n"
        "next: dualgauge diff old.csv new.csv --key id   # compare by it\n"
    )


def test_a_pair_of_columns_is_proposed_where_no_column_is_unique(tmp_path: Path) -> None:
    (tmp_path / "old file.csv").write_text("day,shop,n\n1,a,5\n1,b,5\n2,a,5\n2,b,\n", encoding="utf-8")
    (tmp_path / "none.csv").write_text("day,shop,n\n1,a,5\n1,a,5\n", encoding="utf-8")

    said = call("diff", "old file.csv", "old file.csv", folder=tmp_path)
    none = call("diff", "old file.csv", "none.csv", folder=tmp_path)

    assert "on both sides day with shop is unique and never NULL" in said.err
    assert "next: dualgauge diff 'old file.csv' 'old file.csv' --key day,shop" in said.err
    assert "no column and no pair of columns is unique and never NULL on both sides, of day, shop, n" in none.err


def test_the_primary_key_of_one_side_alone_is_not_taken(tmp_path: Path) -> None:
    database(tmp_path, "old.db")
    database(tmp_path, "new.db", key="id INT")

    said = call("diff", "old.db", "new.db", folder=tmp_path)

    assert said.exit_code == 2
    assert "no primary key is stated on both sides; on both sides id or amount is unique" in said.err


# What the words of the call mean.


def test_in_a_project_two_files_are_still_two_files_and_names_comparators(tmp_path: Path) -> None:
    shop = build(tmp_path / "shop")
    (shop / "old.csv").write_text(OLD, encoding="utf-8")
    (shop / "customers").mkdir()  # a folder that is called like a comparator
    before = {one.name for one in (shop / "reports").iterdir()} if (shop / "reports").exists() else set()

    assert call("diff", "old.csv", "old.csv", "--key", "id", folder=shop).exit_code == 0
    assert ({one.name for one in (shop / "reports").iterdir()} if (shop / "reports").exists() else set()) == before
    assert call("diff", "customers", folder=shop).out.startswith("customers: PASS at position 5\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["old.csv", "customers"], "old.csv was given, and customers, which no file is called"),
        (["old.csv"], "old.csv was given; write `dualgauge diff OLD NEW --key COLUMN`"),
        (["old.csv", "new.csv", "old.csv"], "old.csv, new.csv, old.csv was given"),
        (["customers", "--key", "id"], "--key belongs to a diff of two files or tables"),
        (["--keep", "x.parquet"], "--keep belongs to a diff of two files or tables"),
        (["old.csv", "new.csv", "--key", "ids"], "--key ids: old.csv has no such column (did you mean 'id'?)"),
        (["old.csv", "new.csv", "--key", "id", "--absolute", "amount"], "it has no column and number"),
        (["old.csv", "new.csv", "--key", "id", "--absolute", "amount=x"], "'x' is no number"),
        (["old.csv", "new.csv", "--key", "id", "--absolute", "amount=-1"], "Absolute: limit must be"),
        (["old.csv", "new.csv", "--key", "id", "--absolute", "a=1", "--relative", "a=1"], "has a tolerance already"),
        (["old.csv", "new.csv", "--key", "id", "--absolute", "amout=1"], "names column 'amout', which is not compared"),
        (["old.csv", "new.csv", "--key", "id", "--absolute", "name=1"], "column 'name' is VARCHAR"),
        (["old.csv", "./none", "--key", "id"], "old.csv was given, and ./none, which no file is called"),
        (["old.csv", "none.csv", "--key", "id"], "none.csv cannot be compared: there is no such file"),
        (["old.csv", "..", "--key", "id"], "it is a folder"),
    ],
)
def test_a_call_that_makes_no_sense_is_one_paragraph_with_exit_code_2(
    files: Path, arguments: list[str], said: str
) -> None:
    told = call("diff", *arguments, folder=files)

    assert (told.exit_code, told.out) == (2, "")
    assert said in told.err
    assert told.err.startswith("error: ")
    assert "Traceback" not in told.err


def test_a_broken_file_exits_with_1_and_one_paragraph(files: Path) -> None:
    (files / "broken.csv").write_text('id,name,amount\n1,"ada,2\n', encoding="utf-8")

    said = call("diff", "old.csv", "broken.csv", "--key", "id", folder=files)

    assert (said.exit_code, said.out) == (1, "")
    assert said.err == (
        'error: broken.csv cannot be read: line 2: a quote (") is opened and not closed; it was read as UTF-8 with '
        "the delimiter ',': correct the line, or write it anew\n"
    )


def test_an_error_in_json_is_one_object(files: Path) -> None:
    said = call("diff", "old.csv", "none.csv", "--key", "id", "--format", "json", folder=files)

    assert (said.exit_code, said.err) == (2, "")
    assert said.json["error"]["type"] == "NoSource"


def test_a_password_is_shown_nowhere(files: Path) -> None:
    for url in ("postgresql://ada:hunter2@127.0.0.1:1/shop#orders", "mysql://ada:hunter2@host/shop#orders"):
        for form in ("text", "json"):
            said = call("diff", url, "old.csv", "--key", "id", "--format", form, "--debug", folder=files)
            assert said.exit_code in (1, 2)
            assert "hunter2" not in said.out + said.err


def test_a_postgresql_table_compares_with_a_file(files: Path, postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int PRIMARY KEY, name text, amount numeric)")
        connection.execute("INSERT INTO orders VALUES (1, 'ada', 2.5), (2, 'bob', 10), (3, 'cyd', 7)")

    said = call("diff", f"{postgres_url}#public.orders", "old.csv", "--key", "id", folder=files)

    assert (said.exit_code, said.err) == (0, "")
    assert said.out.startswith(f"PASS: v1 is {postgres_url}#public.orders, v2 is old.csv\n")


def test_two_hostile_parquet_files_print_no_control_character(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "te\x1b[31mxt": ["a\x1b[2J"]}), tmp_path / "old.parquet")
    pq.write_table(pa.table({"id": [1], "te\x1b[31mxt": ["b\r\x07"]}), tmp_path / "new.parquet")

    said = call("diff", "old.parquet", "new.parquet", "--key", "id", folder=tmp_path)

    assert said.exit_code == 4
    assert not {"\x1b", "\x07", "\r"} & set(said.out)


def test_a_process_of_its_own_says_nothing_on_stderr_and_needs_no_project(files: Path) -> None:
    said = child("diff", "old.csv", "new.csv", "--key", "id", folder=files)

    assert (said.exit_code, said.err) == (4, "")


def test_a_project_that_was_never_built_does_not_matter_to_two_files(tmp_path: Path) -> None:
    shop = lay_out(tmp_path / "shop")
    (shop / "old.csv").write_text(OLD, encoding="utf-8")

    assert call("diff", "old.csv", "old.csv", "--key", "id", folder=shop).exit_code == 0
    assert not (shop / ".dualgauge").exists()


def test_a_tolerance_counts_to_its_last_digit(files: Path) -> None:
    for name, value in (("one.csv", "0.00"), ("two.csv", "1234567890123456.79")):
        (files / name).write_text(f"id,n\n1,{value}\n", encoding="utf-8")
    said = [
        call("diff", "one.csv", "two.csv", "--key", "id", "--absolute", f"n=1234567890123456.{cents}", folder=files)
        for cents in ("78", "79")
    ]
    assert [one.exit_code for one in said] == [4, 0]


def test_paranoid_judges_every_row_of_two_files_by_value(files: Path) -> None:
    for words, plan in ((["--paranoid"], "wide: asked for"), (["--plan", "buckets"], "buckets: 0 of 65,536 differ")):
        said = call("diff", "old.csv", "old.csv", "--key", "id", *words, "--format", "json", folder=files)
        assert said.json["result"]["runs"][0]["plan"].startswith(plan)
    said = call("diff", "old.csv", "old.csv", "--key", "id", "--touched", folder=files)
    assert (said.exit_code, "--touched belongs to a diff of a project's comparators" in said.err) == (2, True)
    said = call("diff", "old.csv", "old.csv", "--key", "id", "--paranoid", "--plan", "buckets", folder=files)
    assert said.exit_code == 2
    assert "--paranoid is the plan wide, and --plan buckets is another one; give one of the two" in said.err
