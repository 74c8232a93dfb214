"""`dualgauge check` as a user sees it: lines, exit codes, JSON, and a terminal on which nothing else appears."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import dualgauge
from support.shop import ROOT, build, call

if TYPE_CHECKING:
    from pathlib import Path

CHECKED = """\
from dualgauge import Check, Comparator

customers = Comparator(
    key="customer",
    checks=[
        Check("expect_column_values_to_not_be_null", column="cents"),
        Check("expect_column_values_to_be_between", column="cents", max_value=3000, on="v2"),
        Check("expect_table_row_count_to_be_between", min_value=1, on="v1"),
    ],
)
"""
PASSING = CHECKED.replace("3000", "9900")
UNTOLD = PASSING.replace(
    'on="v1"', 'on="v1"),\n        Check("expect_column_values_to_be_unique", column="cent", on="v1"'
)

# v2 counts euros, so that its numbers drift.
EUROS = """\
-- key: customer
SELECT customer, count(*) AS orders, CASE WHEN customer <> 'bob' THEN sum(cents) / 100 END AS cents
FROM events
WHERE type = 'placed'
GROUP BY customer
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build(tmp_path_factory.mktemp("check") / "shop")
    (folder / "comparators" / "customers.py").write_text(CHECKED, encoding="utf-8")
    return folder


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "shop")


def test_each_check_is_a_line_with_its_counts_and_a_failed_one_shows_rows_and_leaves_with_4(shop: Path) -> None:
    said = call("check", folder=shop)

    [folder] = (shop / "reports").iterdir()
    assert said.exit_code == 4
    assert said.err == ""
    assert said.out.splitlines() == [
        "customers: FAIL at position 5",
        "  PASS v1.customers column values to not be null (column=cents): 3 checked, 0 unexpected",
        "  PASS v2.customers column values to not be null (column=cents): 3 checked, 0 unexpected",
        "  FAIL v2.customers column values to be between (column=cents, max_value=3000): 3 checked, 2 unexpected",
        "    customer=ada, cents=3300",
        "    customer=cyd, cents=9900",
        "  PASS v1.customers table row count to be between (min_value=1): observed 3",
        "  no drift between the sides",
        f"  run {folder.name}; all of it is in {folder}",
        f"next: dualgauge evidence show {folder.name}   # see all that is kept of it",
    ]


@pytest.mark.parametrize(
    ("comparators", "exit_code", "first", "step"),
    [
        (PASSING, 0, "customers: PASS at position 5", "next: dualgauge diff   # compare the sides row by row"),
        (UNTOLD, 1, "customers: INCONCLUSIVE at position 5", "next: dualgauge evidence show"),
    ],
)
def test_checks_that_pass_leave_with_0_and_one_that_cannot_tell_with_1(
    shop: Path, comparators: str, exit_code: int, first: str, step: str
) -> None:
    (shop / "comparators" / "customers.py").write_text(comparators, encoding="utf-8")

    said = call("check", "customers", folder=shop)

    assert (said.exit_code, said.out.splitlines()[0]) == (exit_code, first)
    assert said.out.splitlines()[-1].startswith(step)
    if exit_code:
        assert (
            '  COULD NOT TELL v1.customers column values to be unique (column=cent): Error: The column "cent" in '
            "BatchData does not exist.\n"
        ) in said.out


def test_the_json_is_what_the_folder_holds(shop: Path) -> None:
    said = call("check", "--format", "json", folder=shop)

    [folder] = (shop / "reports").iterdir()
    assert (said.exit_code, said.json["schema"], said.err) == (4, "dualgauge.check/1", "")
    assert said.json["result"] == {
        "verdict": "fail",
        "runs": [json.loads((folder / "check.json").read_text(encoding="utf-8"))],
    }
    [run] = said.json["result"]["runs"]
    assert run["results"][2] == {
        "view": "v2.customers",
        "expectation": "expect_column_values_to_be_between",
        "arguments": {"column": "cents", "max_value": 3000},
        "success": False,
        "checked": 3,
        "unexpected": 2,
        "samples": [{"customer": "ada", "cents": 3300}, {"customer": "cyd", "cents": 9900}],
        "observed": None,
        "error": "",
    }
    assert [one["column"] for one in run["drifts"]] == ["customer", "orders", "cents"]


def test_drifts_need_no_check_and_judge_nothing(shop: Path) -> None:
    (shop / "comparators" / "customers.py").unlink()
    (shop / "views_v2" / "customers.sql").write_text(EUROS, encoding="utf-8")
    dualgauge.open(shop).replay()

    checked = call("check", folder=shop)
    compared = call("diff", "--samples", "0", folder=shop)

    assert checked.exit_code == 0
    assert checked.out.splitlines() == [
        "customers: NO CHECKS at position 5",
        (
            "  drift cents: null share 0 % in v1, 33.33 % in v2; distinct 3 in v1, 2 in v2; "
            "least 1200.0 in v1, 33.0 in v2; "
            "most 9900.0 in v1, 99.0 in v2"
        ),
        "no comparator has checks: give one checks=[Check(...)], and `check` will ask them",
        "next: dualgauge diff   # compare the sides row by row",
    ]
    assert call("check", "--format", "json", folder=shop).json["result"]["verdict"] is None
    assert "drift between" not in compared.out


def test_a_diff_of_more_than_a_few_rows_says_in_a_line_which_columns_drifted(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("".join(f"{n},2026-02-01T09:00:00Z,c{n},placed,{n}00\n" for n in range(10, 30)))
    (shop / "views_v2" / "customers.sql").write_text(EUROS, encoding="utf-8")
    migration = dualgauge.open(shop)
    migration.import_(every=True)
    migration.replay()

    said = call("diff", "--samples", "0", folder=shop)

    assert said.exit_code == 4
    assert "  drift between the sides in cents; `dualgauge check customers` shows it\n" in said.out


def test_a_diff_without_drifts_does_not_speak_of_them(shop: Path) -> None:
    assert "drift between" not in call("diff", folder=shop).out


@pytest.mark.parametrize(
    ("arguments", "comparators", "exit_code", "message"),
    [
        (
            ["customer"],
            CHECKED,
            2,
            (
                "no comparator is called 'customer' (did you mean 'customers'?); there are "
                "customers; name one of them, "
                "or none for all"
            ),
        ),
        (
            [],
            CHECKED.replace("_to_not_be_null", "_not_null"),
            2,
            (
                "comparator 'customers' has a check 'expect_column_values_not_null', which is no "
                "expectation (did you mean "
                "'expect_column_values_to_not_be_null'?); correct its name: Great Expectations "
                "lists them in its gallery"
            ),
        ),
    ],
)
def test_what_cannot_be_asked_is_one_paragraph(
    shop: Path, arguments: list[str], comparators: str, exit_code: int, message: str
) -> None:
    (shop / "comparators" / "customers.py").write_text(comparators, encoding="utf-8")

    said = call("check", *arguments, folder=shop)

    assert (said.exit_code, said.out) == (exit_code, "")
    assert said.err.splitlines()[0] == f"error: {message}"


def test_a_project_with_nothing_to_check_is_told_so(shop: Path) -> None:
    for name in ("comparators/customers.py", "views_v2/customers.sql"):
        (shop / name).unlink()

    said = call("check", folder=shop)

    assert said.exit_code == 2
    assert said.err.startswith("error: there is nothing to compare: no comparator is defined and no view has the same")


# Run as the installed script does; whatever would leave this process by a socket is told of.
OFFLINE = """
import socket, sys

def refuse(*given, **named):
    print("SENT", given, file=sys.stderr)
    raise OSError("no network")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
from dualgauge.cli import main
main()
"""


def test_nothing_is_sent_printed_or_left_behind_by_the_library(shop: Path, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    before = {path.relative_to(shop) for path in shop.rglob("*")}

    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", OFFLINE, "check"],
        cwd=shop,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GX_")},
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(home),
            "TMPDIR": str(temporary),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout.startswith("customers: FAIL at position 5\n")
    assert len(done.stdout.splitlines()) == 10
    assert list(home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []
    left = {path.relative_to(shop) for path in shop.rglob("*")} - before
    assert {path.parts[0] for path in left} == {"reports"}
    assert {path.name for path in left if path.suffix} == {"check.json"}


FROM_A_FILE = """\
from pathlib import Path

from dualgauge import Check, Comparator

customers = Comparator(key="customer", checks=Check.suite(Path(__file__).with_name("customers.json")))
"""


def kept_suite(shop: Path, max_value: int) -> Path:
    """The library itself writes the file, in a process of its own, as a context of the user's would."""
    script = (
        "import json, sys, great_expectations as gx\n"
        "from great_expectations import expectations as e\n"
        "suite = gx.ExpectationSuite(name='customers', expectations=["
        "e.ExpectColumnValuesToNotBeNull(column='cents', mostly=0.9), "
        "e.ExpectColumnValuesToBeBetween(column='cents', max_value=int(sys.argv[1]), severity='warning'), "
        "e.ExpectColumnValuesToBeInSet(column='customer', value_set=['ada', 'bob', 'cyd'])])\n"
        "print(json.dumps(suite.to_json_dict()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(max_value)], capture_output=True, text=True, check=True)
    file = shop / "comparators" / "customers.json"
    file.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    return file


def test_a_suite_is_read_from_the_file_in_which_the_library_keeps_it(shop: Path) -> None:
    file = kept_suite(shop, 3000)
    (shop / "comparators" / "customers.py").write_text(FROM_A_FILE, encoding="utf-8")
    said = call("check", "customers", folder=shop)
    assert said.exit_code == 4
    between = "column values to be between (column=cents, max_value=3000.0): 3 checked, 2 unexpected"
    assert [line for line in said.out.splitlines() if "FAIL v" in line] == [
        f"  FAIL v1.customers {between}", f"  FAIL v2.customers {between}",
    ]  # fmt: skip
    assert said.out.count("  PASS v") == 4
    # An edited file is another set of checks: what was found by the first is no evidence of it.
    assert call("evidence", "list", "--format", "json", folder=shop).json["result"]["runs"][0]["counts"]
    file.write_text(file.read_text(encoding="utf-8").replace("3000", "9900"), encoding="utf-8")
    assert not call("evidence", "list", "--format", "json", folder=shop).json["result"]["runs"][0]["counts"]
    assert call("check", "customers", folder=shop).exit_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is no JSON"),
        ("[]", "is no suite of Great Expectations"),
        ('{"expectations": []}', "is no suite of Great Expectations"),
        ('{"expectations": [{"kwargs": {}}]}', "expectations[0] must have a `type` and `kwargs`"),
        ('{"expectations": [{"type": "expect_no_such_thing", "kwargs": {}}]}', "expect_no_such_thing"),
        (
            '{"expectations": [{"type": "expect_column_max_to_be_between", "kwargs": {"a": {"$PARAMETER": "m"}}}]}',
            "expectations[0]: a is not known here: write the value itself in its place",
        ),
    ],
)
def test_a_file_that_is_no_suite_is_refused_with_what_is_wrong_in_it(shop: Path, text: str | None, said: str) -> None:
    (shop / "comparators" / "customers.py").write_text(FROM_A_FILE, encoding="utf-8")
    if text is not None:
        (shop / "comparators" / "customers.json").write_text(text, encoding="utf-8")
    refused = call("check", "customers", folder=shop)
    assert (refused.exit_code, said in refused.err) == (2, True), refused
    (shop / "comparators" / "customers.py").write_text(
        FROM_A_FILE.replace('Path(__file__).with_name("customers.json")', '"customers.json"'), encoding="utf-8"
    )
    refused = call("check", "customers", folder=shop)
    assert (refused.exit_code, "needs the whole path; write Path(__file__)" in refused.err) == (2, True)
