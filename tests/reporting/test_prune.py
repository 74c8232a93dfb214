"""`dualgauge reports prune`, over years of a shop's runs: what goes, and what stays whatever its age."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dualgauge
from dualgauge.ledger.tables import EVIDENCE
from support.ledgers import url_of
from support.shop import build, call

if TYPE_CHECKING:
    from dualgauge import Migration

CHECKED = """\
from dualgauge import Check, Comparator

customers = Comparator(key="customer", checks=[Check("expect_column_values_to_not_be_null", column="customer")])
"""

NOW = datetime.now(UTC)


def at(shop: Path, days_ago: float) -> Migration:
    return dualgauge.open(shop, clock=lambda: NOW - timedelta(days=days_ago))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A move rests on the run of 400 days ago; others are of 300, 200 and 100 days ago, and one of now."""
    shop = build(tmp_path_factory.mktemp("nights") / "shop")
    (shop / "comparators" / "customers.py").write_text(CHECKED, encoding="utf-8")
    for days in (400, 300, 200, 100, 0):
        migration = at(shop, days)
        migration.compare.diff(["customers"])
        migration.compare.check(["customers"])
        migration.evidence.report()
        if days == 400:
            migration.cutover.switch(100_000)
    return shop


@pytest.fixture
def shop(nights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nights, tmp_path / "shop"))


def folders(shop: Path) -> dict[str, list[int]]:
    """How many days ago each kind of folder was made."""
    found: dict[str, list[int]] = {"diff": [], "check": [], "report": []}
    for one in sorted((shop / "reports").iterdir()):
        made = datetime.strptime(one.name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        kind = next((kind for kind in ("check", "report") if f"-{kind}-" in one.name), "diff")
        found[kind].append(round((NOW - made) / timedelta(days=1)))
    return found


ALL = [400, 300, 200, 100, 0]


def prune(shop: Path, *more: str) -> dict[str, Any]:
    said = call("reports", "prune", "--keep", "150d", "--format", "json", *more, folder=shop)
    assert said.exit_code == 0, said
    found: dict[str, Any] = said.json["result"]
    return found


def test_what_a_move_rests_on_stays_and_the_ledger_tells_of_what_went(shop: Path) -> None:
    assert folders(shop) == {"diff": ALL, "check": ALL, "report": ALL}
    would = prune(shop, "--dry-run")
    assert folders(shop) == {"diff": ALL, "check": ALL, "report": ALL}
    done = prune(shop)
    assert folders(shop) == {"diff": [400, 100, 0], "check": [400, 100, 0], "report": [100, 0]}
    assert (done["removed"], len(done["removed"])) == (would["removed"], 7)
    assert [one["stays"] for one in done["kept"]] == ["a move rests on it"] * 2
    # Nothing of the ledger went.
    runs = call("evidence", "list", "--limit", "99", "--format", "json", folder=shop).json["result"]["runs"]
    assert len(runs) == 2 * len(ALL)
    series = dualgauge.open(shop).evidence.series("customers", output=shop / "out").series
    assert len(series.runs) == len(ALL)
    for command in (["journal", "--verify"], ["doctor"], ["status"], ["report"]):
        assert call(*command, folder=shop).exit_code == 0, command
    assert prune(shop)["removed"] == []


def test_the_newest_run_stays_however_old_it_is(shop: Path) -> None:
    found = at(shop, -1000).evidence.prune(timedelta(days=1))
    assert folders(shop) == {"diff": [400, 0], "check": [400, 0], "report": []}
    assert sorted(found.reasons.items()) == [("a move rests on it", 2), ("the newest run of its kind", 2)]


def one_of(shop: Path, days: int, kind: str = "customers") -> Path:
    day = f"{NOW - timedelta(days=days):%Y%m%d}"
    return next(
        one for one in (shop / "reports").glob(f"{day}*") if f"Z-{kind}-" in one.name and "-check-" not in one.name
    )


def test_a_folder_that_is_not_as_it_was_written_stays_whole(shop: Path) -> None:
    changed, added, report = one_of(shop, 300), one_of(shop, 200), one_of(shop, 300, "report")
    with (changed / "diff.json").open("a", encoding="utf-8") as file:
        file.write(" ")
    (added / "notes.txt").write_text("mine", encoding="utf-8")
    (report / "mine").mkdir()
    mine = shop / "reports" / "mine"
    mine.mkdir()
    before = {place: sorted(one.name for one in place.iterdir()) for place in (changed, added, report, mine)}
    kept = {one["folder"]: one["stays"] for one in prune(shop)["kept"]}
    assert {place: sorted(one.name for one in place.iterdir()) for place in before} == before
    assert kept[f"reports/{changed.name}"] == "a file is not what the run wrote"
    assert kept[f"reports/{added.name}"] == "it has a file that the run did not write"
    assert kept[f"reports/{report.name}"] == "it has a file that no report writes"
    said = call("reports", "prune", "--keep", "150d", folder=shop)
    assert "removed: 0 folders" in said.out
    assert "kept: 2 older folders: a move rests on it" in said.out


def test_a_run_that_the_ledger_does_not_seal_stays_and_a_link_is_not_followed(shop: Path) -> None:
    run, linked = one_of(shop, 300), one_of(shop, 200)
    shutil.move(linked, shop / "elsewhere")
    linked.symlink_to(shop / "elsewhere")
    with closing(sqlite3.connect(url_of(shop).removeprefix("sqlite:///"))) as ledger:
        ledger.execute(f"UPDATE {EVIDENCE.name} SET summary = replace(summary, '\"matched\":', '\"matched\": ') "
                       "WHERE run_id = ?", [run.name])  # fmt: skip
        ledger.commit()
    prune(shop)
    assert run.is_dir()
    assert (shop / "elsewhere" / "diff.json").is_file()


def test_where_the_journal_was_changed_by_hand_nothing_goes(shop: Path) -> None:
    with closing(sqlite3.connect(url_of(shop).removeprefix("sqlite:///"))) as ledger:
        ledger.execute("UPDATE journal SET row = replace(row, 'customers', 'customerz') WHERE seq = 2")
        ledger.commit()
    said = call("reports", "prune", "--keep", "150d", folder=shop)
    assert (said.exit_code, "the journal is not what was written" in said.err) == (1, True)
    assert folders(shop) == {"diff": ALL, "check": ALL, "report": ALL}


def test_half_of_a_folder_that_is_left_goes_the_next_time(shop: Path) -> None:
    (one_of(shop, 300) / "diff.json").unlink()
    prune(shop)
    assert folders(shop)["diff"] == [400, 100, 0]


def test_a_time_that_is_none_is_refused(shop: Path) -> None:
    said = call("reports", "prune", "--keep", "3 weeks", folder=shop)
    assert (said.exit_code, "--keep '3 weeks' is not a duration" in said.err) == (2, True)
    assert call("reports", "prune", folder=shop).exit_code == 2
