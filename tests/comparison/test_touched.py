"""A touched diff: of what changed since the run before it says what a full one says, and of the rest in its turn."""

from __future__ import annotations

import csv
import random
import shutil
import sqlite3
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

import dualgauge
from dualgauge.model import Outcome
from dualgauge.project.errors import BadSettings
from dualgauge.scaffold.demo import content

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.comparison.runs.run import DiffRun
    from dualgauge.migration import Migration

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

SETTINGS = """[tool.dualgauge]
migration = "orders"
[tool.dualgauge.log.columns]
customer = "VARCHAR"
item = "BIGINT"
amount = "DECIMAL(12,2)"
[[tool.dualgauge.sources]]
name = "orders"
path = "orders.csv"
event_id = "id"
type = "kind"
occurred_at = "seen"
"""
HEAD = "id,kind,customer,item,amount,seen\n"

TOTALS = """-- key: customer, item
SELECT customer, item, count(*) AS orders, sum(amount) AS total FROM events
WHERE customer IS NOT NULL AND item IS NOT NULL{where} GROUP BY customer, item{having}
"""
RIGHT = TOTALS.format(where="", having="")
# Refunds are left out: some totals are wrong, and who only gave things back has no row.
WRONG = TOTALS.format(where=" AND type = 'ordered'", having="")
# A row comes and goes with its sum.
HAVING = TOTALS.format(where="", having=" HAVING sum(amount) > 0")


class Shop:
    """A project whose events are known to the test, row by row."""

    def __init__(self, root: Path) -> None:
        self.root, self.rows, self.at = root, list[tuple[str, str, int, Decimal]](), NOW

    def lay_out(self, v1: str = RIGHT, v2: str = WRONG) -> None:
        (self.root / "migrations" / "versions").mkdir(parents=True)
        for name in ("env.py", "script.py.mako"):
            shutil.copyfile(content() / "migrations" / name, self.root / "migrations" / name)
        self.write("pyproject.toml", SETTINGS)
        self.write("orders.csv", HEAD)
        self.write("views_v1/totals.sql", v1)
        self.write("views_v2/totals.sql", v2)

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def comparator(self, fields: str) -> None:
        words = "from datetime import date\nfrom dualgauge import Comparator, Expected, Limits\n"
        self.write("comparators/totals.py", f"{words}totals = Comparator({fields})\n")

    def open(self) -> Migration:
        return dualgauge.open(self.root, clock=lambda: self.at)

    def happens(self, *rows: tuple[str, str, int, str]) -> Migration:
        """Orders and refunds: the log and both views get them."""
        with (self.root / "orders.csv").open("a", encoding="utf-8") as file:
            for kind, customer, item, amount in rows:
                self.rows.append((kind, customer, item, Decimal(amount)))
                file.write(f"o-{len(self.rows)},{kind},{customer},{item},{amount},2026-01-01T08:00:00Z\n")
        migration = self.open()
        migration.import_()
        if (self.root / ".dualgauge" / "views_v2.db").exists():
            migration.tail(once=True)
        else:
            migration.replay()
        return migration

    def orders(self, chance: random.Random, count: int) -> list[tuple[str, str, int, str]]:
        return [
            (
                chance.choice(["ordered", "ordered", "refunded"]), f"c{chance.randrange(60):02d}é", chance.randrange(3),
                f"{chance.randrange(-3, 9)}.50",
            )
            for _ in range(count)
        ]  # fmt: skip

    def differing(self, *, having: bool = False) -> set[tuple[str, int]]:
        """The keys that differ, computed from the rows by themselves."""
        sides: list[dict[tuple[str, int], list[Decimal]]] = [defaultdict(list), defaultdict(list)]
        for kind, customer, item, amount in self.rows:
            sides[0][customer, item].append(amount)
            if having or kind == "ordered":
                sides[1][customer, item].append(amount)
        one, other = ({key: (len(all_), sum(all_)) for key, all_ in side.items()} for side in sides)
        if having:
            other = {key: found for key, found in other.items() if found[1] > 0}
        return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}

    def found(self, run: DiffRun) -> set[tuple[str, int]]:
        """The keys that a run calls different."""
        table = pq.read_table(run.folder / "mismatches.parquet")
        return set(zip(table["customer"].to_pylist(), table["item"].to_pylist(), strict=True))

    def spoil(self, customer: str, item: int, by: int = 100) -> None:
        """Another hand writes into v2, and no event says so."""
        with sqlite3.connect(self.root / ".dualgauge" / "views_v2.db") as database:
            (build,) = database.execute("SELECT max(build) FROM _dualgauge_served").fetchone()
            where = f"WHERE customer = '{customer}' AND item = {item}"
            done = database.execute(f"UPDATE totals__b{build} SET orders = orders + {by} {where}")
            assert done.rowcount == 1


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def touched(shop: Shop, *, sweep: int = 1) -> DiffRun:
    (run,) = shop.open().diff(touched=True, sweep=sweep)
    return run


@pytest.mark.parametrize(
    ("seed", "having"),
    [(seed, having) for seed in (0, 1) for having in (False, True)]
    + [pytest.param(seed, seed % 2 == 0, marks=pytest.mark.torture) for seed in range(2, 40)],
)
def test_it_finds_what_a_full_one_finds(shop: Shop, seed: int, *, having: bool) -> None:
    chance = random.Random(seed)
    shop.lay_out(v2=HAVING if having else WRONG)
    shop.happens(*shop.orders(chance, 300)).diff()
    for _ in range(4):
        shop.happens(*shop.orders(chance, chance.choice([0, 1, 5, 20])))
        run = touched(shop, sweep=chance.choice([1, 3, 10]))
        assert run.touched is not None, run.in_full
        assert shop.found(run) == shop.differing(having=having)
        assert run.comparison.rows_v1 < 180
    (full,) = shop.open().diff()
    assert shop.found(full) == shop.differing(having=having)


def test_what_no_event_says_is_found_in_its_turn(shop: Shop) -> None:
    shop.lay_out(v2=RIGHT)
    shop.happens(*shop.orders(random.Random(1), 400)).diff()
    keys = sorted({(customer, item) for _, customer, item, _ in shop.rows})
    shop.spoil(*keys[57])
    verdicts = []
    for _ in range(len(keys) // 10 + 1):
        shop.at += timedelta(hours=1)
        shop.happens(("ordered", "new", 1, "1.00"))
        run = touched(shop, sweep=10)
        verdicts.append(run.comparison.verdict)
    # Ten rows a run: the 58th comes with the sixth, and differs from then on.
    assert verdicts == [Outcome.PASS] * 5 + [Outcome.FAIL] * (len(verdicts) - 5)
    assert shop.found(run) == {keys[57]}
    # Round once, no key was compared longer ago than when the round began.
    assert run.touched is not None
    assert run.touched.oldest[:16] == "2026-03-01T13:00"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Shop(tmp_path_factory.mktemp("compared"))
    made.lay_out(v2=RIGHT)
    made.happens(*made.orders(random.Random(3), 200)).diff()
    return made.root


@pytest.fixture
def again(compared: Path, tmp_path: Path) -> Shop:
    """A shop whose sides agree, and were compared in full."""
    shutil.copytree(compared, tmp_path, dirs_exist_ok=True)
    found = Shop(tmp_path)
    rows = csv.reader((tmp_path / "orders.csv").read_text(encoding="utf-8").splitlines()[1:])
    found.rows += [(kind, customer, int(item), Decimal(amount)) for _, kind, customer, item, amount, _ in rows]
    return found


KEPT = 'key=("customer", "item"), v1="{}", v2="SELECT * FROM v2.totals"'
ROWS = {
    "SELECT item, customer, total, orders FROM v1.totals WHERE orders > 0 ORDER BY total": "",
    "SELECT t.* FROM v1.totals AS t": "",
    "FROM v1.totals SELECT *, orders * 2 AS _twice": "",
    "SELECT * REPLACE (orders - 1 + 1 AS orders) FROM v1.totals": "rows of v1.totals one by one",
    "SELECT * FROM v1.totals QUALIFY count(*) OVER (PARTITION BY customer, item) > 0": "rows of v1.totals one by one",
    "SELECT customer, item, sum(orders) AS orders, sum(total) AS total FROM v1.totals GROUP BY ALL": "one by one",
    "SELECT DISTINCT * FROM v1.totals": "rows of v1.totals one by one",
    "SELECT * FROM v1.totals UNION ALL SELECT * FROM v1.totals WHERE false": "rows of v1.totals one by one",
    "SELECT * FROM v1.totals WHERE customer IN (SELECT customer FROM v1.totals)": "rows of v1.totals one by one",
    "SELECT reverse(reverse(customer)) AS customer, item, orders, total FROM v1.totals": "is not the comparator's",
}


@pytest.mark.parametrize("query", ROWS)
def test_a_query_of_its_own_is_compared_in_part_where_each_row_is_one_of_the_view(again: Shop, query: str) -> None:
    again.comparator(KEPT.format(query))
    again.open().diff()
    again.happens(("ordered", "c01é", 1, "1.00"))
    run = touched(again)
    assert run.comparison.verdict is Outcome.PASS
    assert ROWS[query] in run.in_full
    assert (run.touched is None) == bool(ROWS[query])


def test_without_a_run_to_go_on_from_all_is_compared(again: Shop) -> None:
    again.comparator('key=("customer", "item"), limits=Limits(changed=1)')
    assert touched(again).in_full == "no diff of exactly what readers get now has told all of it before"
    assert touched(again).in_full == ""
    again.open().replay(force=True)
    assert touched(again).in_full == "no diff of exactly what readers get now has told all of it before"


def test_a_file_of_the_run_before_that_is_gone_or_changed_is_not_gone_by(again: Shop) -> None:
    first = touched(again)
    (first.folder / "verified.json").write_text("{}", encoding="utf-8")
    assert touched(again).in_full == f"the file verified.json of run {first.run_id}, the last one, is changed"
    second = touched(again)
    shutil.rmtree(second.folder)
    assert touched(again).in_full == f"the file diff.json of run {second.run_id}, the last one, is gone"


def test_an_expected_difference_that_ended_since_has_all_compared(again: Shop) -> None:
    when = 'when="v1.orders = v2.orders - 1", v2_equals={"orders": "v1.orders + 1"}, reason="one more", owner="ada"'
    again.write("views_v2/totals.sql", RIGHT.replace("count(*)", "count(*) + (item = 1)::BIGINT"))
    again.comparator(f'key=("customer", "item"), expected=[Expected({when}, until=date(2026, 3, 2))]')
    again.open().replay()
    (full,) = again.open().diff()
    assert (full.comparison.verdict, full.comparison.expected > 10) == (Outcome.PASS, True)
    again.at += timedelta(days=1)
    assert touched(again).comparison.verdict is Outcome.PASS
    again.at += timedelta(days=1)
    run = touched(again)
    assert run.in_full == "the expected difference 'one more' ended on 2026-03-02"
    assert (run.comparison.verdict, run.comparison.changed) == (Outcome.FAIL, full.comparison.expected)


def test_a_gate_goes_by_the_keys_that_were_compared_longest_ago(again: Shop) -> None:
    def gate() -> tuple[str, str, str]:
        (found,) = [one for one in again.open().status().gates if one.name == "diff:totals"]
        return found.outcome.value, found.value.partition(": ")[2], found.why

    again.at += timedelta(hours=23)
    run = touched(again)
    assert gate() == ("pass", "pass, 0 minutes old, some of its keys 23 h, 0 events behind", "")
    again.at += timedelta(hours=2)
    outcome, found, why = gate()
    assert (outcome, found) == ("fail", "pass, 2 h old, some of its keys 25 h, 0 events behind")
    assert why == (
        f"some keys of run {run.run_id} were last compared 25 h ago, and 24h is the most: a diff without --touched "
        "compares all of them"
    )
    # To the end, and then all rows in one turn: nothing is left from before.
    touched(again, sweep=1_000)
    assert gate()[:2] == ("pass", "pass, 0 minutes old, some of its keys 2 h, 0 events behind")
    touched(again, sweep=1_000)
    assert gate() == ("pass", "pass, 0 minutes old, 0 events behind", "")


def test_a_difference_that_it_finds_closes_the_gate_and_one_that_is_gone_opens_it(again: Shop) -> None:
    again.happens(("ordered", "c01é", 1, "1.00"))
    again.spoil("c01é", 1)
    run = touched(again)
    assert (run.comparison.verdict, again.found(run)) == (Outcome.FAIL, {("c01é", 1)})
    (gate,) = [one for one in again.open().status().gates if one.name == "diff:totals"]
    assert gate.outcome is Outcome.FAIL
    again.spoil("c01é", 1, by=-100)
    assert touched(again).comparison.verdict is Outcome.PASS


NIGHTLY = """[[tool.dualgauge.schedules]]
name = "nightly"
cron = "30 0 * * *"
zone = "Europe/Berlin"
do = ["diff"]
diff = "touched"
full_on = ["sunday"]
"""


def test_a_schedule_compares_what_changed_and_on_sundays_all(again: Shop) -> None:
    again.write("pyproject.toml", SETTINGS + NIGHTLY)
    partly = {}
    # Half past midnight in Berlin is the evening before in UTC.
    for day in (6, 7, 8):
        again.at = datetime(2026, 3, day, 23, 31, tzinfo=UTC)
        assert again.open().schedule.run("nightly").exit_code == 0
        (line, *_) = again.open().evidence.list()
        assert line.run is not None
        partly[day + 1] = "touched" in (line.run.summary or {})
    # The 8th is a Sunday.
    assert partly == {7: True, 8: False, 9: True}
    (listed,) = again.open().schedule.list()
    assert (listed.settings.diff, listed.settings.full_on) == ("touched", ["sunday"])


def test_days_that_are_full_are_for_diffs_that_are_not(again: Shop) -> None:
    again.write("pyproject.toml", SETTINGS + NIGHTLY.replace('diff = "touched"', ""))
    with pytest.raises(BadSettings, match="'nightly' has full_on, and its diffs are full on every day"):
        again.open().schedule.list()
