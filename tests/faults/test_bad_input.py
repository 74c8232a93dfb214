"""Wrong files of a project, each refused in one paragraph that says what, where and what to do; nothing is changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.harm import edit, refused
from support.shop import COMPARATORS, EVENTS, VIEW, build, call, lay_out

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = "the source's columns are order_no, time, customer, what, cents; mend its [[tool.dualgauge.sources]] table"
EVENT_COLUMNS = (
    "mend the file: a view reads the relation `events`, whose columns are position, event_id, type, occurred_at, "
    "recorded_at, payload, customer, cents"
)
MEND_ROW = "nothing was imported: mend the row, or leave it out with the source's `where`"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "shop")


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A project into which nothing was imported yet."""
    folder = tmp_path / "plain"
    folder.mkdir()
    return lay_out(folder)


# The project.


def test_without_a_project_every_command_says_where_it_looked(tmp_path: Path) -> None:
    for command in ("status", "plan", "replay", "diff", "read x 1", "rollback", "journal", "log import", "log show"):
        assert refused(*command.split(), folder=tmp_path) == (
            2,
            (
                f"no dualgauge project in {tmp_path} or above it: no pyproject.toml there has a [tool.dualgauge] "
                "table; go to the project's folder, name it with --project DIR, or add the table"
            ),
        )


def test_broken_toml_is_told_by_its_line(shop: Path) -> None:
    edit(shop / "pyproject.toml", "[tool.dualgauge]\n", "[tool.dualgauge\n")

    assert refused("status", folder=shop) == (
        2,
        (
            f"{shop / 'pyproject.toml'} is not valid TOML: Expected ']' at the end of a table declaration "
            "(at line 1, column 16); mend that line and run the command again"
        ),
    )


def test_settings_that_are_no_table_are_refused(shop: Path) -> None:
    (shop / "pyproject.toml").write_text('[tool]\ndualgauge = "here"\n', encoding="utf-8")

    assert refused("status", folder=shop) == (
        2,
        (
            f"{shop / 'pyproject.toml'}: tool.dualgauge is 'here', and should be a table; begin it with a line "
            "[tool.dualgauge]"
        ),
    )


def test_an_unknown_key_is_refused_with_the_nearest_one(shop: Path) -> None:
    edit(shop / "pyproject.toml", 'occurred_at = "time"', 'occured_at = "time"')

    assert refused("log", "import", folder=shop) == (
        2,
        (
            f"{shop / 'pyproject.toml'}: unknown key 'occured_at' in [tool.dualgauge.sources.0] (did you mean "
            "'occurred_at'?); known keys: caused_by, cursor, event_id, name, occurred_at, order_by, path, python, "
            "query, read, select, statement, table, type, url, where. Mend the settings under [tool.dualgauge] and run "
            "the command again"
        ),
    )


# Sources.


@pytest.mark.parametrize(
    ("old", "new", "setting", "reason"),
    [
        ('type = "what"', 'type = "waht"', "type = 'waht'",
         'Binder Error: Referenced column "waht" not found in FROM clause (did you mean \'what\'?)'),
        ('event_id = "order_no', 'event_id = "(order_no', "event_id = \"(order_no || '/' || what\"",
         'Parser Error: syntax error at or near "FROM"'),
        ('type = "what"', 'type = "what"\nwhere = "cents >"', "where = 'cents >'",
         'Parser Error: syntax error at or near "FROM"'),
        ('type = "what"', 'type = "what"\nselect = {x = "lowr(what)"}', "select.x = 'lowr(what)'",
         "Catalog Error: Scalar Function with name lowr does not exist"),
        ('type = "what"', 'type = "what"\norder_by = "tmie"', "order_by = 'tmie'",
         'Binder Error: Referenced column "tmie" not found in FROM clause (did you mean \'time\'?)'),
    ],
)  # fmt: skip
def test_an_expression_that_does_not_fit_the_file_is_named_with_its_key(
    old: str, new: str, setting: str, reason: str, plain: Path
) -> None:
    edit(plain / "pyproject.toml", old, new)
    call("log", "import", folder=plain)

    assert refused("log", "import", folder=plain) == (2, f"source 'orders': {setting}: {reason}; {COLUMNS}")


def test_a_row_that_does_not_fit_is_named_by_file_row_column_and_value(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("5,2026-01-04T08:15:00Z,eve,placed,lots\n")

    assert refused("log", "import", folder=shop) == (
        4,
        (
            f"source 'orders', data/orders.csv row 6: cents = 'lots' is no BIGINT; {MEND_ROW}, "
            "or set it aside with --on-bad-row quarantine"
        ),
    )


def test_an_event_id_that_comes_again_with_other_content_names_both(shop: Path) -> None:
    call("log", "forget", "orders", folder=shop)
    edit(shop / "data" / "orders.csv", "ada,placed,2500", "ada,placed,2501")
    advice = "nothing was imported: an event never changes, so give the second one an id of its own"

    assert refused("log", "import", folder=shop) == (
        4,
        (
            "event '1/placed' is there twice with different content: position 1 of the log and data/orders.csv row 1 "
            f"differ in cents; {advice}"
        ),
    )
    edit(shop / "data" / "orders.csv", "ada,placed,2501", "ada,placed,2500")
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("7,2026-01-04T08:15:00Z,eve,placed,1\n7,2026-01-04T08:15:00Z,eva,placed,1\n")
    assert refused("log", "import", folder=shop) == (
        4,
        (
            "event '7/placed' is there twice with different content: data/orders.csv row 6 and data/orders.csv row 7 "
            f"differ in customer; {advice}"
        ),
    )


@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
def test_an_empty_file_is_called_empty(name: str, shop: Path) -> None:
    edit(shop / "pyproject.toml", "data/orders.csv", f"data/{name}")
    call("log", "forget", "orders", folder=shop)
    (shop / "data" / name).write_text("", encoding="utf-8")

    assert refused("log", "import", folder=shop) == (
        2,
        (
            f"source 'orders': data/{name} is empty, so it has no columns; nothing was imported: "
            "fill the file, or take it out of the source's path"
        ),
    )


@pytest.mark.parametrize(
    ("row", "line", "reason"),
    [
        ('6,2026-01-05T00:00:00Z,"eve,placed,1', 7, "is opened and not closed"),
        ('6,2026-01-05T00:00:00Z,"e"ve,placed,1', 7, "is closed in a value"),
    ],
)
def test_a_broken_quote_is_told_by_file_and_line(row: str, line: int, reason: str, shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write(f"{row}\n8,2026-01-06T00:00:00Z,fay,placed,1\n")

    assert refused("log", "import", folder=shop) == (
        4,
        (
            f"source 'orders', data/orders.csv line {line}: a quote (\") {reason}; nothing was imported: mend the "
            'file; if quotes are text in this file, say read = {quote = ""}'
        ),
    )


def test_quotes_that_are_text_can_be_taken_as_such(plain: Path) -> None:
    edit(plain / "pyproject.toml", 'type = "what"', 'type = "what"\nread = {quote = ""}')
    edit(plain / "data" / "orders.csv", "1,2026-01-01T09:00:00Z,ada", '1,2026-01-01T09:00:00Z,"ada')

    assert call("log", "import", folder=plain).exit_code == 0
    assert 'customer="ada' in call("log", "show", folder=plain).out


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_another_encoding_is_told_with_what_to_do(encoding: str, shop: Path) -> None:
    call("log", "forget", "orders", folder=shop)
    (shop / "data" / "orders.csv").write_bytes(EVENTS.replace("ada", "adé").encode(encoding))
    code, told = refused("log", "import", folder=shop)

    assert code == 4
    line = 1 if encoding == "utf-16" else 2
    assert told == (
        f"source 'orders', data/orders.csv line {line}: it is not UTF-8; nothing was imported: mend the file; save it "
        f'as UTF-8, or say what it is written in: read = {{encoding = "{encoding}"}}'
    )
    edit(shop / "pyproject.toml", 'type = "what"', f'type = "what"\nread = {{encoding = "{encoding}"}}')
    said = call("log", "import", "--dry-run", folder=shop)
    assert (said.exit_code, "'1/placed' is there twice" in said.err) == (4, True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "orders.parquet",
            (
                "it is no Parquet file, whatever it is called; nothing was imported: mend the file; write it whole "
                "under another name and rename it, or take it out of the source's path"
            ),
        ),
        (
            "orders.csv.gz",
            "it cannot be read (Not a gzipped file (b'he')); nothing was imported: mend the file",
        ),
    ],
)
def test_a_file_that_is_no_file_of_its_format_is_named(name: str, reason: str, shop: Path) -> None:
    file = shop / "data" / name
    edit(shop / "pyproject.toml", "data/orders.csv", f"data/{name}")
    file.write_text("hello", encoding="utf-8")

    assert refused("log", "import", folder=shop) == (
        4,
        f"source 'orders', data/{name}: {reason}",
    )


def test_a_python_source_may_lie_in_the_project_and_one_that_does_not_is_told_where_to_lie(plain: Path) -> None:
    edit(plain / "pyproject.toml", 'path = "data/orders.csv"', 'python = "shop_rows:rows"')
    call("log", "import", folder=plain)

    assert refused("log", "import", folder=plain) == (
        2,
        (
            "source 'orders': python = 'shop_rows:rows' cannot be imported (ModuleNotFoundError: No module named "
            "'shop_rows'); it must name a data frame, an Arrow table or reader, or a callable that gives one, as "
            f"'package.module:name', in a module that is installed or lies in {plain}"
        ),
    )
    (plain / "shop_rows.py").write_text(
        "import pyarrow.csv\n\ndef rows():\n    return pyarrow.csv.read_csv('data/orders.csv')\n", encoding="utf-8"
    )
    assert call("log", "import", folder=plain).out.startswith("added 5 events at positions 1 to 5 from orders\n")


# Views.


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("FROM events", "FORM events", f'line 3: Parser Error: syntax error at or near "FORM"; {EVENT_COLUMNS}'),
        ("sum(cents)", "sum(cemts)",
         ('line 2: Binder Error: Referenced column "cemts" not found in FROM clause (did you mean \'cents\'?); '
         f"{EVENT_COLUMNS}")),
        ("-- key: customer\n", "",
         ("the view has no key; begin the file with `-- key: COLUMN`, naming what identifies a row out of "
         "customer, orders, cents")),
        ("-- key: customer", "-- kye: customer",
         ("line 1: no header is called 'kye' (did you mean 'key'?); known: key, index, unique, affected_by, allow, "
         "description, adopt, position_query and 1 more; put a blank line before comments that "
             "are not headers")),
        ("-- key: customer", "-- key: custmer",
         ("`-- key:` names 'custmer', which the SELECT does not give (did you mean 'customer'?); its columns are "
         "customer, orders, cents")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["plan", "replay", "status"])
def test_a_view_that_is_wrong_is_told_by_file_and_line(command: str, old: str, new: str, told: str, shop: Path) -> None:
    file = shop / "views_v2" / "customers.sql"
    edit(file, old, new)

    assert refused(command, folder=shop) == (2, f"{file}: {told}")


@pytest.mark.parametrize(
    "name", ["Orders", "a b", "quote'd", "semi;colon", "sm\u00f6rg\u00e5s", "\U0001f600", "x" * 41]
)
def test_a_name_that_no_view_can_have_is_refused(name: str, shop: Path) -> None:
    file = shop / "views_v2" / f"{name}.sql"
    file.write_text(VIEW, encoding="utf-8")

    assert refused("plan", folder=shop) == (
        2,
        (
            f"{file}: a view is named by its file: lower-case letters, digits and single underscores, beginning with a "
            "letter, at most 40 characters; rename the file"
        ),
    )


def test_a_folder_or_a_broken_link_among_the_views_is_told(shop: Path) -> None:
    file = shop / "views_v2" / "orders.sql"
    file.mkdir()
    advice = "put a file there that can, or remove it"
    assert refused("plan", folder=shop) == (2, f"{file}: it cannot be read (Is a directory); {advice}")

    file.rmdir()
    file.symlink_to("nowhere.sql")
    assert refused("plan", folder=shop) == (2, f"{file}: it cannot be read (No such file or directory); {advice}")


# Comparators.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\ny = 1 / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("import nosuch\n", "line 1: ModuleNotFoundError: No module named 'nosuch'"),
        ("x = (\n", "line 1: SyntaxError: '(' was never closed (more.py, line 1)"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        ("from dualgauge import Comparator\n\nx = Comparator(kee='a')\n",
         "line 3: TypeError: Comparator.__init__() got an unexpected keyword argument 'kee'"),
    ],
)  # fmt: skip
def test_a_comparators_file_that_does_not_load_is_told_by_file_and_line(text: str, told: str, shop: Path) -> None:
    file = shop / "comparators" / "more.py"
    file.write_text(text, encoding="utf-8")

    assert refused("diff", folder=shop) == (
        2,
        f"{file} cannot be loaded: {told}; mend the file and run the command again",
    )


def test_a_comparator_that_names_a_missing_view_is_told_the_nearest(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        COMPARATORS.replace("FROM v2.customers WHERE", "FROM v2.custmers WHERE"), encoding="utf-8"
    )

    assert refused("diff", folder=shop) == (
        2,
        (
            "comparator 'empty' reads v2.custmers, which is not there (did you mean 'customers'?); v2 has customers; "
            "correct the query or add the view's file to views_v2"
        ),
    )
