"""A year of a web shop's invoices, real and full of defects: the control figures come out to the last digit."""

from __future__ import annotations

import json
import shutil
import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.engines.duck import open_engine
from dualgauge.eventlog.table.open import open_log
from dualgauge.model import Outcome
from dualgauge.scaffold.demo import content
from support.shop import call

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.runs.run import DiffRun

SETTINGS = """[tool.dualgauge]
migration = "retail"

[tool.dualgauge.log.columns]
InvoiceNo = "VARCHAR"
StockCode = "VARCHAR"
CustomerID = "VARCHAR"
Quantity = "BIGINT"
UnitPrice = "DECIMAL(12,3)"

[[tool.dualgauge.sources]]
name = "lines"
path = "{path}"
{read}
type = "CASE WHEN InvoiceNo LIKE 'C%' THEN 'cancelled' ELSE 'sold' END"
occurred_at = "InvoiceDate"
order_by = "file"
select = {{description = "Description"}}
"""

# Nothing in the text but the price says that it is no binary fraction.
CSV_TYPES = """{types = {InvoiceNo = "VARCHAR", StockCode = "VARCHAR", CustomerID = "VARCHAR",
                         Quantity = "BIGINT", UnitPrice = "DECIMAL(12,3)"}}"""

# v1 adds binary fractions, as so many do; v2 adds decimals.
VIEWS = {
    "views_v1/invoices.sql": """-- key: invoice
SELECT InvoiceNo AS invoice, count(*) AS lines, sum(Quantity) AS pieces,
  sum(CAST(Quantity AS DOUBLE) * CAST(UnitPrice AS DOUBLE)) AS amount,
  bool_or(type = 'cancelled') AS cancelled, arg_max(CustomerID, position) AS customer
FROM events GROUP BY InvoiceNo
""",
    "views_v1/customers.sql": """-- key: customer
SELECT CustomerID AS customer, count(DISTINCT InvoiceNo) AS invoices, sum(Quantity) AS pieces,
  sum(CAST(Quantity AS DOUBLE) * CAST(UnitPrice AS DOUBLE)) AS amount, max(occurred_at) AS last_at
FROM events WHERE CustomerID IS NOT NULL GROUP BY CustomerID
""",
    "views_v2/invoices.sql": """-- key: invoice
-- index: customer
SELECT InvoiceNo AS invoice, count(*) AS lines, sum(Quantity) AS pieces, sum(Quantity * UnitPrice) AS amount,
  bool_or(type = 'cancelled') AS cancelled, arg_max(CustomerID, position) AS customer
FROM events GROUP BY InvoiceNo
""",
    "views_v2/customers.sql": """-- key: customer
SELECT CustomerID AS customer, count(DISTINCT InvoiceNo) AS invoices, sum(Quantity) AS pieces,
  sum(Quantity * UnitPrice) AS amount, max(occurred_at) AS last_at
FROM events WHERE CustomerID IS NOT NULL GROUP BY CustomerID
""",
    "comparators/sales.py": """from dualgauge import Absolute, Comparator, Rounded

invoices = Comparator(key="invoice", rules={"amount": Rounded(digits=6)})
customers = Comparator(key="customer", rules={"amount": Absolute(0.000001)})
""",
}


@pytest.fixture(scope="module")
def december(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("december")
    return laid_out(root, data_folder / "online_retail_2010-12.csv", f"read = {CSV_TYPES.replace(chr(10), ' ')}")


@pytest.fixture(scope="module")
def year(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dualgauge.Migration:
    """The whole year, imported and replayed."""
    migration = dualgauge.open(laid_out(tmp_path_factory.mktemp("year"), data_folder / "online_retail.parquet"))
    imported = migration.import_()
    assert (imported.added, imported.known, imported.first, imported.last) == (541_909, 0, 1, 541_909)
    rebuilt = migration.replay()
    assert rebuilt.position == 541_909
    return migration


def laid_out(root: Path, data: Path, read: str = "") -> Path:
    """A project whose source is read in place."""
    for name, text in VIEWS.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "migrations" / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        shutil.copyfile(content() / "migrations" / name, root / "migrations" / name)
    (root / "pyproject.toml").write_text(SETTINGS.format(path=data, read=read), encoding="utf-8")
    return root


def served(root: Path, side: str, query: str) -> list[tuple[Any, ...]]:
    """What a reader of the serving store gets, by nothing but SQLite."""
    db = sqlite3.connect(root / ".dualgauge" / f"views_{side}.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def exact_sum(values: list[tuple[Any, ...]]) -> Decimal:
    """The sum of stored decimals, each by the digits that it was stored with."""
    return sum((Decimal(repr(value)) for (value,) in values), Decimal(0))


def told(root: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What a command answers: its exit code, and the one object on stdout."""
    said = call(*arguments, "--project", str(root), "--format", "json", folder=root.parent)
    assert said.err == ""
    return said.exit_code, said.json


def test_every_line_of_the_year_is_one_event_in_the_order_of_the_file(year: dualgauge.Migration) -> None:
    first, last = year.log.show(first=1, limit=1).events[0], year.log.show().events[-1]

    assert (first["position"], first["InvoiceNo"], first["StockCode"]) == (1, "536365", "85123A")
    assert (last["position"], last["InvoiceNo"], last["StockCode"]) == (541_909, "581587", "22138")
    assert first["event_id"].endswith("online_retail.parquet#1")
    assert last["event_id"].endswith("online_retail.parquet#541909")
    assert json.loads(first["payload"]) == {"description": "WHITE HANGING HEART T-LIGHT HOLDER"}


def test_the_sums_of_the_year_are_exact_in_v2(year: dualgauge.Migration) -> None:
    root = year.project.root

    assert served(root, "v2", "SELECT count(*), sum(lines), sum(pieces) FROM invoices") == [
        (25_900, 541_909, 5_176_450)
    ]
    assert exact_sum(served(root, "v2", "SELECT amount FROM invoices")) == Decimal("9747747.934")


def test_the_cancellations_of_the_year_are_counted_apart(year: dualgauge.Migration) -> None:
    root = year.project.root

    for side in ("v1", "v2"):
        assert served(root, side, "SELECT count(*), sum(lines) FROM invoices WHERE cancelled") == [(3_836, 9_288)]
    assert exact_sum(served(root, "v2", "SELECT amount FROM invoices WHERE cancelled")) == Decimal("-896812.490")


def test_lines_without_a_customer_stay_out_of_the_customers(year: dualgauge.Migration) -> None:
    for side in ("v1", "v2"):
        assert served(year.project.root, side, "SELECT count(*) FROM customers") == [(4_372,)]


def test_the_two_sides_agree_on_the_year_by_a_tolerant_rule(year: dualgauge.Migration) -> None:
    found = {run.name: run for run in year.diff()}

    assert {name: shown(run) for name, run in found.items()} == {
        "invoices": (Outcome.PASS, 541_909, 25_900, 25_900, 0),
        "customers": (Outcome.PASS, 541_909, 4_372, 4_372, 0),
    }
    amounts = [one for run in found.values() for one in run.comparison.columns if one.name == "amount"]
    # That binary fractions add up to something else is seen, and let pass by the rule alone.
    assert all(one.within_rule > 0 for one in amounts)
    assert all(one.equal + one.within_rule == one.compared for one in amounts)


def shown(run: DiffRun) -> tuple[Outcome, int, int, int, int]:
    found = run.comparison
    return found.verdict, run.position, found.compared, found.matched, found.mismatched


def test_importing_the_year_again_adds_nothing(year: dualgauge.Migration) -> None:
    again = year.import_()

    assert (again.added, again.last) == (0, 541_909)
    assert year.log.head().head.last == 541_909


def test_a_sum_of_more_than_15_digits_is_kept_exactly_and_read_as_a_text(year: dualgauge.Migration) -> None:
    wide = year.project.root / "views_v1" / "totals.sql"
    select = (
        "SELECT type AS kind, sum(Quantity * UnitPrice * (1 - 0.0751) * (1 + 0.1937)) AS amount\n"
        "FROM events GROUP BY type\n"
    )
    wide.write_text(f"-- key: kind\n{select}", encoding="utf-8")
    try:
        assert year.replay(["totals"]).views[0].rows > 1
        with open_engine() as engine:
            log = open_log(year.project.path(year.settings.log.path), year.settings.log)
            engine.execute(f"CREATE TEMP VIEW events AS {log.relation(log.head().last)}")
            sums = dict(engine.rows(select))
        read = {kind: year.read("totals", [kind]).row for kind in sums}
    finally:
        wide.unlink()

    assert any(len(str(one).replace(".", "").strip("-0")) > 15 for one in sums.values())
    for kind, row in read.items():
        assert row is not None
        assert Decimal(str(row["amount"])) == sums[kind]


def test_one_month_from_a_csv_goes_through_the_command_line(december: Path) -> None:
    code, said = told(december, "log", "import", "lines")
    assert (code, said["schema"], said["error"]) == (0, "dualgauge.log-import/1", None)
    assert (said["result"]["added"], said["result"]["last"]) == (42_481, 42_481)

    code, said = told(december, "replay")
    assert (code, said["error"]) == (0, None)

    code, said = told(december, "diff")
    assert (code, said["result"]["verdict"]) == (0, "pass")
    runs = {run["comparator"]: (run["position"], run["matched"], run["mismatched"]) for run in said["result"]["runs"]}
    assert runs == {"invoices": (42_481, 2_025, 0), "customers": (42_481, 948, 0)}

    code, said = told(december, "log", "import", "lines")
    assert (code, said["result"]["added"], said["result"]["last"]) == (0, 0, 42_481)
