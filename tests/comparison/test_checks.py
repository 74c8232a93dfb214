"""Checks: what is refused as it is written, what Great Expectations says of stored values, and the evidence kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

import dualgauge
from dualgauge import Check, Comparator
from dualgauge.comparison.content.checks import placed, single
from dualgauge.comparison.errors import BadArguments, BadComparator, BuildsMoved, NoSuchExpectation
from dualgauge.comparison.runs.binding import check_bound, served
from dualgauge.comparison.runs.run_files import file_hashes
from dualgauge.ledger.values import EvidenceKind, EvidenceRun, RunState
from dualgauge.model import Outcome, Side
from dualgauge.project.content import collect
from support.adopted import adopt, ready, write
from support.inside import handles_of, ledger_of, store_of
from support.ledgers import kept_runs
from support.shop import ROOT, SETTINGS, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dualgauge.comparison.checking.check_run import CheckRun
    from dualgauge.comparison.checking.gx import CheckResult
    from dualgauge.migration import Migration

# Every family of stored forms, on a view with a key of two columns.
VISITS = """\
-- key: customer, what
SELECT
  customer, type AS what, count(*) AS n,
  CAST(sum(cents) AS DECIMAL(12,2)) / 100 AS euros,
  CAST(sum(cents) AS DECIMAL(12,2)) AS amount,
  min(occurred_at) AS first_at, CAST(min(occurred_at) AS DATE) AS first_day,
  bool_or(cents > 5000) AS big,
  max(CASE WHEN cents > 1200 THEN customer || '@example.org' END) AS mail
FROM events
GROUP BY customer, type
"""


# A name that would be read as something else in a URL, a URI, or for a variable.
STORE = """
[tool.dualgauge.store]
url = "sqlite:///.dualgauge/views #1 50% $HOME ?/{side}.db"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = lay_out(tmp_path_factory.mktemp("checks") / "my shop")
    (folder / "pyproject.toml").write_text(SETTINGS + STORE, encoding="utf-8")
    dualgauge.open(folder).import_(every=True)
    for side in Side:
        (folder / side.schema / "visits.sql").write_text(VISITS, encoding="utf-8")
    (folder / "comparators" / "customers.py").unlink()
    dualgauge.open(folder).replay()
    return folder


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / built.name)


def declare(
    folder: Path, *checks: str, name: str = "visits", more: str = "", key: str = "('customer', 'what')"
) -> None:
    text = (
        "import datetime as dt\nfrom decimal import Decimal\nfrom dualgauge import Check, Comparator\n"
        f"{name} = Comparator(key={key}, {more}checks=[{', '.join(checks)}])\n"
    )
    (folder / "comparators" / f"{name}.py").write_text(text, encoding="utf-8")


def ask(folder: Path, *checks: str, **given: Any) -> CheckRun:
    declare(folder, *checks)
    [run] = dualgauge.open(folder, **given).check(["visits"])
    return run


def evidence(folder: Path) -> list[EvidenceRun]:
    with ledger_of(dualgauge.open(folder)) as ledger:
        return [run for run in kept_runs(ledger) if run.kind is EvidenceKind.CHECK]


# As it is written.


def test_a_comparator_without_checks_keeps_the_hash_that_its_evidence_has() -> None:
    bare = "b2d98fabb991c4fbf63fd873bd4cbe444983342eb9e145272564c9d6a5923bd8"
    checked = Comparator(key="id", checks=[Check("expect_column_values_to_not_be_null", column="id")])

    assert Comparator(key="id").definition_hash() == bare
    assert checked.definition_hash() == bare
    assert checked.checks_hash() != Comparator(key="id").checks_hash()


def test_the_hash_of_checks_is_of_all_that_a_check_says_and_the_same_in_every_process() -> None:
    checks = [
        Check("expect_x", column="a"),
        Check("expect_x", column="b"),
        Check("expect_y", column="a"),
        Check("expect_x", column="a", on="v1"),
        Check("expect_x", column="a", view="orders"),
        Check("expect_x", column="a", value_set={"x", "y", "z"}),
        Check("expect_x", column="a", min_value=date(2026, 1, 1)),
    ]
    program = (
        "import sys\nfrom dualgauge import Check, Comparator\n"
        "print(Comparator(key='id', checks=[Check('expect_x', column='a', value_set={'x', 'y', 'z'})]).checks_hash())\n"
        "assert 'great_expectations' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    hashes = [Comparator(key="id", checks=[check]).checks_hash() for check in checks]

    assert len(set(hashes)) == len(checks)
    assert done.stdout.strip() == hashes[5]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Check(""), "Check needs the name of an expectation; it is empty"),
        (lambda: Check(7), "Check needs the name of an expectation, or an Expectation object; got 7"),
        (lambda: Check("expect_x", on="v3"), "Check: on must be 'v1', 'v2' or 'both', got 'v3'"),
        (lambda: Check("expect_x", view=" "), "Check: view must be the name of a view, got ' '"),
        (
            lambda: Comparator(key="id", checks=Check("expect_x")),
            "Comparator: checks must be a list of Check(...), got Check(expectation='expect_x'",
        ),
        (lambda: Comparator(key="id", checks="expect_x"), "must be a list of Check(...), got 'expect_x'"),
        (
            lambda: Comparator(key="id", checks=[Check("expect_x"), "expect_x"]),
            (
                "Comparator: checks[1] must be Check(...), or an Expectation or ExpectationSuite of Great "
                "Expectations, "
                "got 'expect_x'"
            ),
        ),
    ],
)
def test_what_is_no_check_is_refused_where_it_is_written(make: Callable[[], object], words: str) -> None:
    with pytest.raises(BadComparator) as caught:
        make()

    assert words in str(caught.value)


def test_a_check_is_a_value() -> None:
    check: Any = Check("expect_x", column="a", on="v1")

    assert check == Check("expect_x", on="v1", column="a")
    assert check.sides == (Side.V1,)
    with pytest.raises(AttributeError):
        check.on = "v2"
    with pytest.raises(TypeError):
        check.arguments["column"] = "b"


# Which view.

READ = {Side.V1: ["orders"], Side.V2: ["orders", "refunds"]}


@pytest.mark.parametrize(
    ("comparator", "check", "views"),
    [
        ("orders", Check("expect_x"), ["v1.orders", "v2.orders"]),
        ("orders", Check("expect_x", on="v2"), ["v2.orders"]),
        ("orders", Check("expect_x", view="refunds", on="v2"), ["v2.refunds"]),
        ("money", Check("expect_x", on="v1"), ["v1.orders"]),
    ],
)
def test_a_check_is_asked_of_the_view_named_like_the_comparator_or_of_the_only_one(
    comparator: str, check: Check, views: list[str]
) -> None:
    assert [f"{side.value}.{view}" for side, view in placed(comparator, check, READ)] == views


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (
            Check("expect_x"),
            (
                "check expect_x of comparator 'money' does not say which view it is asked of: the comparator reads "
                "orders, refunds on v2; write Check(..., view='orders', on='v2')"
            ),
        ),
        (
            Check("expect_x", view="refunds"),
            (
                "check expect_x of comparator 'money' names the view 'refunds', which the comparator does "
                "not read on v1; "
                "it reads orders; write on='v2'"
            ),
        ),
        (
            Check("expect_x", view="order", on="v2"),
            (
                "check expect_x of comparator 'money' names the view 'order', which the comparator does not read on v2 "
                "(did you mean 'orders'?); it reads orders, refunds; name one of these"
            ),
        ),
    ],
)
def test_a_view_that_is_unclear_or_not_read_is_named(check: Check, sentence: str) -> None:
    with pytest.raises(dualgauge.DualgaugeError) as caught:
        list(placed("money", check, READ))

    assert str(caught.value) == sentence


# What Great Expectations says of stored values.

ASKED: dict[str, tuple[bool | None, int | None, object]] = {
    # check: whether it passes, unexpected rows, what was observed
    "'expect_table_row_count_to_equal', value=4": (True, None, 4),
    "'expect_table_row_count_to_be_between', min_value=5": (False, None, 4),
    "'expect_column_values_to_not_be_null', column='mail'": (False, 2, None),
    "'expect_column_values_to_not_be_null', column='mail', mostly=0.5": (True, 2, None),
    "'expect_column_values_to_not_be_null', column='mail', mostly=0.51": (False, 2, None),
    "'expect_column_values_to_match_regex', column='mail', regex='^[a-z]+@example[.]org$'": (True, 0, None),
    "'expect_column_values_to_match_regex', column='mail', regex='^a'": (False, 1, None),
    "'expect_compound_columns_to_be_unique', column_list=['customer', 'what']": (True, 0, None),
    "'expect_compound_columns_to_be_unique', column_list=['what', 'n']": (False, 2, None),
    "'expect_column_values_to_be_unique', column='customer'": (False, 2, None),
    "'expect_column_values_to_be_in_set', column='what', value_set={'placed', 'cancelled'}": (True, 0, None),
    "'expect_column_values_to_be_in_set', column='what', value_set=['placed']": (False, 1, None),
    "'expect_column_distinct_values_to_equal_set', column='what', value_set=['cancelled', 'placed']": (True, 0, None),
    # BOOLEAN is stored as 0 and 1.
    "'expect_column_values_to_be_in_set', column='big', value_set=[True, False]": (True, 0, None),
    "'expect_column_values_to_be_in_set', column='big', value_set=[False]": (False, 1, None),
    "'expect_column_sum_to_be_between', column='big', min_value=1, max_value=1": (True, None, 1),
    # DECIMAL is NUMERIC: a number.
    "'expect_column_min_to_be_between', column='amount', min_value=1200, max_value=1200": (True, None, 1200),
    "'expect_column_max_to_be_between', column='amount', max_value=Decimal('9899.99')": (False, None, 9900),
    "'expect_column_values_to_be_between', column='amount', min_value=Decimal('1200.00'), max_value=3300": (
        False,
        1,
        None,
    ),
    "'expect_column_values_to_be_in_set', column='amount', value_set=[1200, Decimal('3300.00'), 9900]": (True, 0, None),
    # DATE is ISO text, and sorts as dates do.
    "'expect_column_min_to_be_between', column='first_day', min_value=dt.date(2026, 1, 1)": (True, None, "2026-01-01"),
    "'expect_column_min_to_be_between', column='first_day', min_value='2026-01-02'": (False, None, "2026-01-01"),
    "'expect_column_max_to_be_between', column='first_day', max_value=dt.date(2026, 1, 2)": (False, None, "2026-01-03"),
    "'expect_column_values_to_be_between', column='first_day', max_value=dt.date(2026, 1, 2)": (False, 1, None),
    "'expect_column_values_to_be_in_set', column='first_day', value_set=[dt.date(2026, 1, 1)]": (False, 2, None),
    # TIMESTAMPTZ is text in UTC, with six decimals.
    "'expect_column_values_to_be_between', column='first_at', min_value=dt.datetime(2026, 1, 1, 9, tzinfo=dt.UTC)": (
        True,
        0,
        None,
    ),
    "'expect_column_values_to_be_between', column='first_at', "
    "min_value=dt.datetime(2026, 1, 1, 15, tzinfo=dt.timezone(dt.timedelta(hours=6)))": (True, 0, None),
    "'expect_column_values_to_be_between', column='first_at', min_value='2026-01-01 09:00:01'": (False, 1, None),
    "'expect_column_max_to_be_between', column='first_at', max_value=dt.datetime(2026, 1, 3)": (
        False,
        None,
        "2026-01-03T08:15:00",
    ),
    "'expect_column_values_to_be_in_set', column='first_at', "
    "value_set=[dt.datetime(2026, 1, 1, 10, tzinfo=dt.timezone(dt.timedelta(hours=1)))]": (False, 3, None),
    "'expect_column_value_lengths_to_equal', column='first_at', value=26": (True, 0, None),
    # A column that is not there, and one that is.
    "'expect_column_to_exist', column='_position'": (False, None, None),
    "'expect_table_column_count_to_equal', value=9": (True, None, 9),
    "'expect_column_values_to_be_unique', column='custmer'": (None, None, None),
    # SQL of one's own.
    "'unexpected_rows_expectation', unexpected_rows_query='SELECT * FROM {batch} WHERE n > 1'": (False, None, 1),
}


@pytest.fixture(scope="module")
def answers(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CheckResult]:
    folder = shutil.copytree(built, tmp_path_factory.mktemp("answers") / built.name)
    run = ask(folder, *(f"Check({written}, on='v2')" for written in ASKED))
    assert dualgauge.open(folder).read("visits", ["ada", "placed"]).row is not None
    return dict(zip(ASKED, run.results, strict=True))


@pytest.mark.parametrize("written", ASKED)
def test_an_expectation_understands_what_is_stored(written: str, answers: dict[str, CheckResult]) -> None:
    found = answers[written]

    assert (found.success, found.unexpected) == ASKED[written][:2], found
    assert found.view == "v2.visits"
    if ASKED[written][2] is not None:
        assert found.observed == ASKED[written][2]
    assert bool(found.error) is (found.success is None)


def test_a_sample_of_what_broke_the_rule_says_its_key(answers: dict[str, CheckResult]) -> None:
    found = {written.split(",")[0].strip("'"): one for written, one in answers.items() if one.success is False}

    assert found["expect_column_values_to_be_between"].samples == (
        {"customer": "ada", "what": "placed", "first_at": "2026-01-01 09:00:00.000000"},
    )
    between = answers["'expect_column_values_to_be_between', column='first_day', max_value=dt.date(2026, 1, 2)"]
    assert between.samples == ({"customer": "cyd", "what": "placed", "first_day": "2026-01-03"},)
    assert between.checked == 4
    assert answers["'expect_column_values_to_match_regex', column='mail', regex='^a'"].checked == 2


def test_a_check_that_raised_says_what_the_library_said(answers: dict[str, CheckResult]) -> None:
    assert answers["'expect_column_values_to_be_unique', column='custmer'"].error == (
        'Error: The column "custmer" in BatchData does not exist.'
    )


def test_what_is_handed_to_the_library_can_only_be_read(shop: Path) -> None:
    migration = dualgauge.open(shop)
    with handles_of(migration) as handles:
        place = handles.sql_location(Side.V1, "visits")
    database = sa.create_engine(place.url)

    with database.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM visits")).scalar() == 4
        with pytest.raises(sa.exc.OperationalError, match="readonly database"):
            connection.execute(sa.text("DELETE FROM _dualgauge_served"))
    database.dispose()


def test_at_most_twenty_samples_are_kept(shop: Path) -> None:
    many = "".join(f"{n},2026-02-01T09:00:00Z,c{n:03},placed,5\n" for n in range(100, 160))
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write(many)
    migration = dualgauge.open(shop)
    migration.import_(every=True)
    migration.replay()

    [found] = ask(shop, "Check('expect_column_values_to_be_between', column='amount', min_value=6, on='v1')").results

    assert (found.checked, found.unexpected, len(found.samples)) == (64, 60, 20)


def test_a_view_without_rows_has_nothing_to_check(shop: Path) -> None:
    for side in Side:
        (shop / side.schema / "visits.sql").write_text(VISITS.replace("GROUP", "WHERE false GROUP"), encoding="utf-8")
    dualgauge.open(shop).replay(["visits"])

    run = ask(shop, "Check('expect_column_values_to_not_be_null', column='n', on='v1')")

    assert run.verdict is Outcome.INCONCLUSIVE
    assert run.why == (
        (
            "v1.visits expect_column_values_to_not_be_null: could not tell: the view has no rows, so "
            "there was nothing to "
            "check"
        ),
    )


# What is wrong with a check is said before anything is asked.


@pytest.mark.parametrize(
    ("check", "kind", "sentence"),
    [
        (
            "Check('expect_column_value_to_not_be_null', column='n')",
            NoSuchExpectation,
            (
                "comparator 'visits' has a check 'expect_column_value_to_not_be_null', which is no "
                "expectation (did you "
                "mean 'expect_column_values_to_not_be_null'?); correct its name: Great Expectations lists them in its "
                "gallery"
            ),
        ),
        (
            "Check('expect_column_values_to_be_between', column='n', min=1)",
            BadArguments,
            (
                "comparator 'visits': Great Expectations refuses the arguments of check "
                "expect_column_values_to_be_between: "
                "min: extra fields not permitted (did you mean 'min_value'?); min_value and max_value "
                "cannot both be None; "
                "correct them in the comparator"
            ),
        ),
        (
            "Check('expect_column_values_to_not_be_null')",
            BadArguments,
            (
                "comparator 'visits': Great Expectations refuses the arguments of check "
                "expect_column_values_to_not_be_null: column: field required; correct them in the comparator"
            ),
        ),
        (
            "Check('expect_column_values_to_not_be_null', column='n', mostly=2)",
            BadArguments,
            (
                "comparator 'visits': Great Expectations refuses the arguments of check "
                "expect_column_values_to_not_be_null: mostly: ensure this value is less than or equal to "
                "1.0; correct them "
                "in the comparator"
            ),
        ),
    ],
)
def test_a_check_that_cannot_be_asked_is_refused_and_nothing_is_kept(
    shop: Path, check: str, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind) as caught:
        ask(shop, "Check('expect_table_row_count_to_equal', value=4)", check)

    assert str(caught.value) == sentence
    assert evidence(shop) == []
    assert not (shop / "reports").exists()


LONG = """\
-- key: customer, what
SELECT
  customer, type AS what, count(*) AS n, sum(cents) AS amount,
  sum(CAST(cents AS DECIMAL(18,4))) * {} AS "the balance", count(*) AS short,
  sum(CAST(cents AS DECIMAL(18,4))) * {} AS or_t
FROM events
GROUP BY customer, type
"""
BETWEEN = "Check('expect_column_values_to_be_between', column='the balance', min_value=0)"
CONDITION = "SELECT * FROM {{batch}} WHERE {} < 0"
QUERY = "__import__('great_expectations').expectations.UnexpectedRowsExpectation(unexpected_rows_query={!r})"
ABOUT_IT = [
    BETWEEN,
    "Check('expect_column_max_to_be_between', column='the balance', max_value=1)",
    "Check('expect_column_pair_values_a_to_be_greater_than_b', column_A='the balance', column_B='n')",
    (
        "Check('expect_column_values_to_not_be_null', column='n', row_condition='col(\"the balance\") > 0', "
        "condition_parser='great_expectations')"
    ),
    QUERY.format(CONDITION.format('"The BALANCE"')),
]
REACHES_FURTHER = [
    "WITH x AS (SELECT * FROM {batch}) SELECT * FROM x WHERE n < 0",
    "SELECT b.* FROM {batch} AS b JOIN visits AS v USING (customer) WHERE b.n < 0",
    "SELECT * FROM {batch}, visits WHERE 1 = 0",
    "SELECT * FROM {batch} WHERE n IN (SELECT n FROM visits)",
]
NOT_OF_ITS_ORDER = [
    QUERY.format(CONDITION.format("n")),
    QUERY.format(CONDITION.format('"short"')),
    "Check('expect_column_values_to_not_be_null', column='the balance')",
    "Check('expect_column_values_to_be_between', column='amount', min_value=0)",
]


def test_no_check_passes_over_a_number_that_is_kept_as_text(shop: Path) -> None:
    """SQLite takes any text for more than any number: -1234567890123456.7 would be at least 0."""
    for side in Side:
        (shop / side.schema / "visits.sql").write_text(LONG.format(*["-1.0000000000000001"] * 2), encoding="utf-8")
    dualgauge.open(shop).replay()

    run = ask(shop, *ABOUT_IT, *NOT_OF_ITS_ORDER)

    assert [one.success for one in run.results] == [None] * 2 * len(ABOUT_IT) + [True] * 2 * len(NOT_OF_ITS_ORDER)
    assert {one.error for one in run.results if one.success is None} == {(
        "SQLite compares text above every number, and keeps values of the balance with more than 15 digits as text: "
        "have the view round them to fewer digits, or check them in the view itself"
    )}  # fmt: skip
    assert run.verdict is Outcome.INCONCLUSIVE

    run = ask(shop, *map(QUERY.format, REACHES_FURTHER))
    assert {one.success for one in run.results} == {None}


def test_a_limit_of_more_digits_than_sqlite_compares_is_refused(shop: Path) -> None:
    with pytest.raises(BadArguments, match=r"1234567890123449.999 has more than 15 digits, and SQLite"):
        ask(shop, "Check('expect_column_max_to_be_between', column='n', max_value=Decimal('1234567890123449.999'))")


def test_a_long_type_whose_values_are_short_is_checked_as_ever(shop: Path) -> None:
    for side in Side:
        (shop / side.schema / "visits.sql").write_text(LONG.format(*["-1.0"] * 2), encoding="utf-8")
    dualgauge.open(shop).replay()

    run = ask(shop, BETWEEN, ABOUT_IT[-1])

    assert {one.success for one in run.results} == {False}


# Objects of Great Expectations.

OBJECTS = """\
import great_expectations as gx
import great_expectations.expectations as gxe
from dualgauge import Check, Comparator

suite = gx.ExpectationSuite(
    name="ours",
    expectations=[
        gxe.ExpectColumnValuesToNotBeNull(column="n"),
        gxe.ExpectColumnMaxToBeBetween(column="n", max_value=1),
    ],
)
visits = Comparator(
    key=("customer", "what"),
    checks=[gxe.ExpectTableRowCountToEqual(value=4), suite, Check(suite, on="v2")],
)
"""


def test_expectations_and_suites_are_taken_as_they_are(shop: Path) -> None:
    (shop / "comparators" / "visits.py").write_text(OBJECTS, encoding="utf-8")
    alike = [
        Check("expect_table_row_count_to_equal", value=4),
        Check("expect_column_values_to_not_be_null", column="n"),
        Check("expect_column_max_to_be_between", column="n", max_value=1.0),
        Check("expect_column_values_to_not_be_null", column="n", on="v2"),
        Check("expect_column_max_to_be_between", column="n", max_value=1.0, on="v2"),
    ]

    [run] = dualgauge.open(shop).check(["visits"])

    assert [(one.view, one.expectation, one.success) for one in run.results] == [
        ("v1.visits", "expect_table_row_count_to_equal", True),
        ("v2.visits", "expect_table_row_count_to_equal", True),
        ("v1.visits", "expect_column_values_to_not_be_null", True),
        ("v2.visits", "expect_column_values_to_not_be_null", True),
        ("v1.visits", "expect_column_max_to_be_between", False),
        ("v2.visits", "expect_column_max_to_be_between", False),
        ("v2.visits", "expect_column_values_to_not_be_null", True),
        ("v2.visits", "expect_column_max_to_be_between", False),
    ]
    given = collect(shop / "comparators", Comparator)["visits"]
    assert given.checks_hash() == Comparator(key="id", checks=alike).checks_hash()
    assert [one.name for one in single(given.checks)] == [one.name for one in alike]
    with pytest.raises(BadComparator, match="takes no 'column' beside an object"):
        Check(next(single(given.checks)).expectation, column="n")


def test_a_context_that_the_caller_works_with_stays_the_current_one(shop: Path) -> None:
    import great_expectations as gx
    from great_expectations.data_context.data_context.context_factory import project_manager

    mine = gx.get_context(mode="ephemeral")
    try:
        ask(shop, "Check('expect_table_row_count_to_equal', value=4)")
        assert project_manager.get_current_project() is mine
    finally:
        project_manager.set_project(None)


# Evidence.

GOOD = "Check('expect_table_row_count_to_equal', value=4)"
BAD = "Check('expect_column_values_to_be_unique', column='customer', on='v2')"
ODD = "Check('expect_column_values_to_be_unique', column='custmer', on='v1')"


@pytest.mark.parametrize(
    ("checks", "verdict", "why"),
    [
        ([GOOD], Outcome.PASS, ("2 checks passed",)),
        (
            [GOOD, ODD, BAD],
            Outcome.FAIL,
            (
                "v2.visits expect_column_values_to_be_unique: 2 of 4 rows unexpected",
                (
                    "v1.visits expect_column_values_to_be_unique: could not tell: "
                    'Error: The column "custmer" in BatchData does not exist.'
                ),
            ),
        ),
        (
            [GOOD, ODD],
            Outcome.INCONCLUSIVE,
            (
                (
                    "v1.visits expect_column_values_to_be_unique: could not tell: "
                    'Error: The column "custmer" in BatchData does not exist.'
                ),
            ),
        ),
        (
            ["Check('expect_table_row_count_to_equal', value=5, on='v1')"],
            Outcome.FAIL,
            ("v1.visits expect_table_row_count_to_equal: observed 4",),
        ),
    ],
)
def test_a_run_of_checks_is_evidence_bound_to_what_it_looked_at(
    shop: Path, checks: list[str], verdict: Outcome, why: tuple[str, ...]
) -> None:
    run = ask(shop, *checks)

    assert (run.verdict, run.why) == (verdict, why)
    assert run.folder is not None
    assert json.loads((run.folder / "check.json").read_text(encoding="utf-8")) == run.to_json()
    [kept] = evidence(shop)
    assert (kept.run_id, kept.name, kept.position) == (run.run_id, "visits", 5)
    assert (kept.state, kept.verdict, kept.evidence_key) == (RunState.FINISHED, verdict, run.evidence_key)
    assert kept.folder == f"reports/{run.run_id}"
    assert kept.summary is not None
    assert kept.summary["files"] == file_hashes(run.folder)
    assert kept.summary["checks"] == len(run.results)
    migration = dualgauge.open(shop)
    assert kept.bound == present(migration, "visits")
    declare(shop, *checks, GOOD)
    assert kept.bound != present(migration, "visits")


def present(migration: Migration, name: str) -> dict[str, object]:
    """What a check run of a comparator would be bound to now."""
    with handles_of(migration) as handles:
        [pair] = handles.pairs([name])
        return check_bound(pair, served(store_of(migration), pair), handles.basis)


def test_a_comparator_without_checks_shows_its_drifts_and_leaves_nothing(shop: Path) -> None:
    runs = dualgauge.open(shop).check()

    assert [(run.name, run.run_id, run.verdict, run.results) for run in runs] == [
        ("customers", None, None, ()),
        ("visits", None, None, ()),
    ]
    assert [one.column for one in runs[0].drifts] == ["customer", "orders", "cents"]
    assert evidence(shop) == []
    assert not (shop / "reports").exists()


def test_a_replay_in_the_middle_makes_the_checks_be_asked_again(shop: Path) -> None:
    seen: list[str] = []

    def meanwhile(step: str, done: int, total: int | None) -> None:
        if "expect_" in step:
            seen.append(step)
            if len(seen) == 1:
                dualgauge.open(shop).replay(["visits"], force=True)

    run = ask(shop, GOOD, progress=meanwhile)

    assert run.verdict is Outcome.PASS
    assert len(seen) == 4
    done, lost = evidence(shop)
    assert (done.verdict, lost.verdict) == (Outcome.PASS, Outcome.INCONCLUSIVE)
    assert lost.summary == {"error": "the builds changed while they were checked"}
    assert [path.name for path in (shop / "reports").iterdir()] == [run.run_id]


def test_all_checks_are_asked_of_one_position_while_a_tail_goes_on(shop: Path) -> None:
    """Also those that GX asks in several statements, and after one that fails."""
    kept = VISITS.replace("GROUP BY", "WHERE customer IS NOT NULL AND type IS NOT NULL GROUP BY")
    for side in Side:
        (shop / side.schema / "visits.sql").write_text(kept, encoding="utf-8")
    dualgauge.open(shop).replay()
    orders = iter(range(9, 99))

    def meanwhile(step: str, done: int, total: int | None) -> None:
        if "expect_" in step:
            with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
                file.write(f"{next(orders)},2026-01-09T09:00:00Z,dan,placed,100\n")
            dualgauge.open(shop).import_(every=True)
            assert dualgauge.open(shop).tail(once=True).failing == ()

    count = "Check('expect_table_row_count_to_equal', value=4)"
    unknown = "Check('expect_column_values_to_not_be_null', column='custmer')"
    sums = "Check('expect_column_sum_to_be_between', column='n', min_value=5, max_value=5)"
    run = ask(shop, count, unknown, sums, progress=meanwhile)

    assert run.position == 5
    assert [one.success for one in run.results] == [True, True, None, None, True, True]
    assert [one.verdict for one in evidence(shop)] == [Outcome.INCONCLUSIVE]
    later = ask(shop, count, sums)
    assert later.position == 11
    assert [one.observed for one in later.results] == [5, 5, 11, 11]


def test_builds_that_never_stand_still_are_a_conflict(shop: Path) -> None:
    def always(step: str, done: int, total: int | None) -> None:
        if "v1.visits expect_" in step:
            dualgauge.open(shop).replay(["visits"], force=True)

    with pytest.raises(BuildsMoved) as caught:
        ask(shop, GOOD, progress=always)

    assert caught.value.exit_code == 5
    assert str(caught.value) == (
        "the views of comparator 'visits' changed while they were checked, 3 times in a row; check again when no "
        "replay is at work"
    )
    assert {one.verdict for one in evidence(shop)} == {Outcome.INCONCLUSIVE}


def test_a_run_that_is_killed_stays_running(shop: Path) -> None:
    def kill(step: str, done: int, total: int | None) -> None:
        if "expect_" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(shop, GOOD, progress=kill)

    [kept] = evidence(shop)
    assert (kept.state, kept.verdict) == (RunState.RUNNING, None)


def test_views_that_are_not_at_one_position_cannot_be_checked(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-09T09:00:00Z,dan,placed,100\n")
    migration = dualgauge.open(shop)
    migration.import_(every=True)
    migration.replay(["visits"], side=Side.V1)

    with pytest.raises(dualgauge.DualgaugeError, match="at different positions") as caught:
        ask(shop, GOOD)

    assert caught.value.exit_code == 5
    assert evidence(shop) == []


# A v1 of the user's own, in its own database.

TOTALS = """
Check('expect_column_values_to_be_between', column='cents', max_value=5000),
Check('expect_column_values_to_not_be_null', column='orders', on='v1'),
Check('expect_column_min_to_be_between', column='since', min_value=dt.date(2026, 1, 2), on='v1')
"""


def test_an_adopted_table_is_checked_in_its_own_database(tmp_path: Path) -> None:
    folder = ready(tmp_path / "shop")
    write(folder / "shop.db", "ALTER TABLE customer_totals ADD COLUMN since DATE DEFAULT '2026-01-01'")
    declare(folder, TOTALS, name="customers", key="'customer'")

    [run] = dualgauge.open(folder).check()

    assert [(one.view, one.success, one.unexpected, one.observed) for one in run.results] == [
        ("v1.customers", False, 1, None),
        ("v2.customers", False, 1, None),
        ("v1.customers", True, 0, None),
        ("v1.customers", False, None, "2026-01-01"),
    ]
    assert run.results[0].samples == ({"customer": "cyd", "cents": 9900},)
    assert sorted(path.name for path in folder.glob("shop.db*")) == ["shop.db"]


def test_an_adopted_table_of_a_server_is_only_read_and_its_password_is_nowhere(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = sa.create_engine(postgres_url)
    with database.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA app"))
        connection.execute(
            sa.text('CREATE TABLE app."order" (customer TEXT PRIMARY KEY, orders BIGINT, cents BIGINT, since DATE)')
        )
        connection.execute(
            sa.text("""INSERT INTO app."order" VALUES ('ada', 2, 3300, '2026-01-01'), ('cyd', 1, 9900, '2026-01-03')""")
        )
    database.dispose()
    url = sa.make_url(postgres_url).set(drivername="postgresql", password="pa$$w0rd/17")
    monkeypatch.setenv("SHOP_URL", url.render_as_string(hide_password=False))
    folder = adopt(tmp_path / "shop", "-- adopt: app.order\n-- key: customer\n", "${SHOP_URL}")
    migration = dualgauge.open(folder)
    migration.import_(every=True)
    migration.replay()
    declare(
        folder, TOTALS, "Check('expect_column_values_to_be_unique', column='cent', on='v1')",
        "Check('unexpected_rows_expectation', on='v1', "
        "unexpected_rows_query='WITH gone AS (DELETE FROM {batch} RETURNING *) SELECT * FROM gone')",
        name="customers", key="'customer'",
    )  # fmt: skip

    [run] = dualgauge.open(folder).check()

    assert [(one.view, one.success, one.unexpected, one.observed) for one in run.results[:4]] == [
        ("v1.customers", False, 1, None),
        ("v2.customers", False, 1, None),
        ("v1.customers", True, 0, None),
        ("v1.customers", False, None, "2026-01-01"),
    ]
    assert [one.success for one in run.results[4:]] == [None, None]
    assert run.folder is not None
    kept = (run.folder / "check.json").read_text(encoding="utf-8")
    assert "pa$$" not in kept
    assert "w0rd" not in kept
