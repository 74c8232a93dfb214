"""The report of a series, over nights of a shop whose v2 is mended and broken again, read back from its files."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dualgauge
from dualgauge.ledger.tables import EVIDENCE
from dualgauge.model import Outcome
from dualgauge.reporting.series.junit import junit
from dualgauge.reporting.series.markdown import MOST_LINES, markdown
from dualgauge.reporting.series.states import state_of
from dualgauge.reporting.series.values import ChangeState, Series, SeriesChange, SeriesRun, Untold
from dualgauge.reporting.series.write import page
from support.forked import python
from support.ledgers import url_of
from support.shop import PASSING, ROOT, build, call

if TYPE_CHECKING:
    from pathlib import Path

    from dualgauge.reporting.series.values import SeriesFiles

AT = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
RIGHT = "SELECT customer, count(*) AS orders, sum(cents) AS cents FROM events WHERE type = 'placed' GROUP BY customer\n"
OFF_BY_ONE = RIGHT.replace("sum(cents)", "sum(cents) + (customer = 'ada')::INT")
WITHOUT_BOB = RIGHT.replace("GROUP", "AND customer <> 'bob' GROUP")
BOTH = OFF_BY_ONE.replace("GROUP", "AND customer <> 'bob' GROUP")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    build(tmp_path)
    (tmp_path / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")
    return tmp_path


def night(shop: Path, day: int, text: str) -> SeriesFiles:
    """v2 is as a text has it; both are compared, and the series is reported."""
    (shop / "views_v2" / "customers.sql").write_text(f"-- key: customer\n{text}", encoding="utf-8")
    project = dualgauge.open(shop, clock=lambda: AT + day * timedelta(days=1))
    project.replay()
    project.diff(["customers"])
    return project.evidence.series("customers", output=shop / "out" / str(day))


def states(files: SeriesFiles) -> dict[tuple[str | None, str], tuple[str, int, int]]:
    found = json.loads(files.json.read_text(encoding="utf-8"))
    return {(one["column"], one["change"]): (one["state"], one["runs"], one["rows"]) for one in found["changes"]}


def test_nights_of_two_defects_are_told_as_they_were_planted(shop: Path) -> None:
    off, gone = ("cents", "another value"), (None, "only_in_v1")
    planted: list[tuple[str, dict[Any, Any]]] = [
        (RIGHT, {}),
        (OFF_BY_ONE, {off: ("new", 1, 1)}),
        (BOTH, {gone: ("new", 1, 1), off: ("ongoing", 2, 1)}),
        (WITHOUT_BOB, {off: ("gone", 0, 0), gone: ("ongoing", 2, 1)}),
        (WITHOUT_BOB, {gone: ("ongoing", 3, 1)}),
        (OFF_BY_ONE, {off: ("back", 1, 1), gone: ("gone", 0, 0)}),
        (RIGHT, {off: ("gone", 0, 0)}),
        (RIGHT, {}),
    ]
    files = [night(shop, day, text) for day, (text, _) in enumerate(planted)]
    assert [states(one) for one in files] == [wanted for _, wanted in planted]
    headlines = [one.markdown.read_text(encoding="utf-8").splitlines()[2] for one in files]
    assert headlines == [
        "**the first run of this series: no difference**", "**since the run before: 1 new**",
        "**since the run before: 1 new, 1 ongoing**", "**since the run before: 1 gone, 1 ongoing**",
        "**since the run before: 1 ongoing**", "**since the run before: 1 back, 1 gone**",
        "**since the run before: 1 gone**", "**since the run before: no difference, as in that one**",
    ]  # fmt: skip
    # One defect has one name each night, and another has another.
    names: dict[str, set[str]] = {}
    for one in files:
        for change in one.series.changes:
            names.setdefault(change.fingerprint, set()).add(f"{change.column}: {change.change}")
    assert sorted(map(sorted, names.values())) == [["None: only_in_v1"], ["cents: another value"]]
    # Whose text it came with.
    first = next(one for one in files[5].series.changes if one.column == "cents").first
    assert first.run == files[1].series.last.run
    assert first.definitions["v2.customers"] != files[0].series.last.definitions["v2.customers"]
    last = files[5]
    suite = ET.fromstring(last.junit.read_text(encoding="utf-8"))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    told = {str(case.get("name")): [one.get("message") for one in case] for case in suite}
    assert told["verdict"] == ["since the run before: 1 back, 1 gone"]
    shown = re.sub(r"<[^>]*>", " ", last.html.read_text(encoding="utf-8"))
    assert re.search(r"back\s+cents\s+another value\s+1\s+0", " ".join(shown.split()))
    # The event behind ada's row.
    assert next(one for one in last.series.changes if one.column == "cents").events


def test_no_file_holds_a_value_of_a_row(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-09T09:00:00Z,zebra-9911,placed,77177\n")
    dualgauge.open(shop).import_("orders")
    files = night(shop, 0, RIGHT.replace("sum(cents)", "sum(cents) + 1"))
    assert files.series.changes
    for one in (files.html, files.markdown, files.json, files.junit):
        text = one.read_text(encoding="utf-8")
        assert "zebra" not in text
        assert "7717" not in text.replace(",", "")


def test_what_is_compared_otherwise_begins_a_series_and_says_what_changed(shop: Path) -> None:
    night(shop, 0, OFF_BY_ONE)
    night(shop, 1, OFF_BY_ONE)
    file = shop / "comparators" / "customers.py"
    file.write_text(PASSING.replace('key="customer"', 'key=["customer", "orders"]'), encoding="utf-8")
    begun = night(shop, 2, OFF_BY_ONE)
    assert (begun.series.earlier, begun.series.changed) == (2, ("the comparator's rules",))
    assert [(one.column, one.state.value) for one in begun.series.changes] == [("cents", "new")]
    note = "what is compared changed then (the comparator's rules), after 2 earlier ones"
    assert note in begun.markdown.read_text(encoding="utf-8").replace("&#39;", "'")
    again = night(shop, 3, OFF_BY_ONE)
    assert [(one.state.value, one.runs) for one in again.series.changes] == [("ongoing", 2)]
    assert again.series.earlier == 2


def test_a_line_that_is_not_what_was_sealed_tells_nothing_and_is_counted(shop: Path) -> None:
    runs = [night(shop, day, text).series.last.run for day, text in enumerate([OFF_BY_ONE, RIGHT, OFF_BY_ONE])]
    with closing(sqlite3.connect(url_of(shop).removeprefix("sqlite:///"))) as ledger:
        changed = ledger.execute(
            f"UPDATE {EVIDENCE.name} SET summary = replace(summary, ?, ?) WHERE run_id = ?",
            ['"mismatched":0', '"mismatched":9', runs[1]],
        )
        assert changed.rowcount == 1
        ledger.commit()
    found = dualgauge.open(shop).evidence.series("customers", output=shop / "out" / "last").series
    assert [one.run for one in found.runs] == [runs[0], runs[2]]
    assert found.left_out == (("not what was sealed", 1),)
    # Nothing went away in a run that tells nothing.
    assert [one.state for one in found.changes] == [ChangeState.ONGOING]


def test_where_the_newest_line_was_changed_an_old_pass_is_no_verdict(shop: Path) -> None:
    passed = night(shop, 0, RIGHT).series.last.run
    failed = night(shop, 1, OFF_BY_ONE).series.last.run
    with closing(sqlite3.connect(url_of(shop).removeprefix("sqlite:///"))) as ledger:
        ledger.execute(f"UPDATE {EVIDENCE.name} SET verdict = 'pass' WHERE run_id = ?", [failed])
        ledger.commit()
    files = dualgauge.open(shop).evidence.series("customers", output=shop / "out" / "last")
    assert [one.run for one in files.series.runs] == [passed]
    held_back(files, failed, "not what was sealed")


def test_where_the_newest_run_was_killed_an_old_pass_is_no_verdict(shop: Path) -> None:
    """The process is killed while it compares, for real; the next run that ends is the verdict again."""
    passed = night(shop, 0, RIGHT).series.last.run
    script, paths = ROOT / "tests" / "support" / "dies.py", f"{ROOT / 'src'}:{ROOT / 'tests'}"
    environment = {**os.environ, "PYTHONPATH": paths, "DIES": "before"}
    process = python([str(script), "dualgauge", "diff", "customers"], folder=shop, environment=environment)
    process.communicate()
    assert process.wait() == -signal.SIGKILL
    killed = next(one.run_id for one in dualgauge.open(shop).evidence.list() if one.run_id != passed)
    files = dualgauge.open(shop).evidence.series("customers", output=shop / "out" / "last")
    assert [one.run for one in files.series.runs] == [passed]
    held_back(files, killed, "did not finish")
    said = call("report", "--series", "customers", folder=shop)
    assert f"INCONCLUSIVE  customers: the newest run, {killed}, tells nothing: did not finish" in said.out
    assert call("diff", "customers", folder=shop).exit_code == 0
    said = call("report", "--series", "customers", folder=shop)
    assert "PASS  customers: since the run before: no difference, as in that one" in said.out


def held_back(files: SeriesFiles, run: str, why: str) -> None:
    """The verdict of a series is held back, in each file, because the newest run tells nothing."""
    found = json.loads(files.json.read_text(encoding="utf-8"))
    assert (found["verdict"], [(one["run"], one["why"]) for one in found["newer"]]) == ("inconclusive", [(run, why)])
    lines = files.markdown.read_text(encoding="utf-8").splitlines()
    assert "INCONCLUSIVE" in lines[0]
    assert lines[2].startswith(f"**the newest run, {run}, tells nothing: {why}; in ")
    suite = ET.fromstring(files.junit.read_text(encoding="utf-8"))
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    shown = re.sub(r"<[^>]*>", " ", files.html.read_text(encoding="utf-8"))
    assert "PASS" not in shown.partition("Runs")[0]


def test_a_run_of_two_empty_sides_makes_nothing_go_or_come_back(shop: Path) -> None:
    night(shop, 0, OFF_BY_ONE)
    v1 = shop / "views_v1" / "customers.sql"
    before = v1.read_text(encoding="utf-8")
    v1.write_text(before.replace("GROUP", "AND customer = 'nobody' GROUP"), encoding="utf-8")
    empty = night(shop, 1, OFF_BY_ONE.replace("GROUP", "AND customer = 'nobody' GROUP"))
    assert [(one.state.value, one.runs) for one in empty.series.changes] == [("new", 1)]
    assert (empty.series.verdict, [one.why for one in empty.series.newer]) == (
        Outcome.INCONCLUSIVE, ["compared nothing"],
    )  # fmt: skip
    v1.write_text(before, encoding="utf-8")
    after = night(shop, 2, OFF_BY_ONE)
    assert [(one.state.value, one.runs) for one in after.series.changes] == [("ongoing", 2)]
    assert (after.series.verdict, after.series.left_out) == (Outcome.FAIL, (("compared nothing", 1),))


def test_a_run_without_a_pair_cannot_tell_of_a_column(shop: Path) -> None:
    night(shop, 0, OFF_BY_ONE)
    files = night(shop, 1, OFF_BY_ONE.replace("GROUP", "AND customer = 'nobody' GROUP"))
    found = {one.change: one.state.value for one in files.series.changes}
    assert found == {"only_in_v1": "new", "another value": "unknown"}
    files = night(shop, 2, OFF_BY_ONE)
    assert states(files)["cents", "another value"] == ("ongoing", 2, 1)


def test_a_defect_in_more_rows_is_the_same_and_the_headline_says_that_it_grew(shop: Path) -> None:
    night(shop, 0, OFF_BY_ONE)
    files = night(shop, 1, RIGHT.replace("sum(cents)", "sum(cents) + 1"))
    assert [one for one, *_ in states(files).values()] == ["ongoing"]
    headline = "since the run before: 1 ongoing (1 of them in more rows)"
    assert files.series.headline == headline
    assert f"**{headline}**" in files.markdown.read_text(encoding="utf-8")


def test_what_cannot_be_reported_is_refused_with_the_next_step(shop: Path) -> None:
    said = call("report", "--series", "customers", folder=shop)
    assert (said.exit_code, "it was never compared" in said.err) == (2, True)
    said = call("report", "--series", "custmers", folder=shop)
    assert (said.exit_code, "did you mean" in said.err) == (2, True)
    assert call("diff", "customers", folder=shop).exit_code == 0
    said = call("report", "customers", "--series", "customers", folder=shop)
    assert (said.exit_code, "leave customers out, or --series" in said.err) == (2, True)
    said = call("report", "--series", "customers", folder=shop)
    assert said.exit_code == 0
    assert "PASS  customers: the first run of this series: no difference" in said.out
    found = call("report", "--series", "customers", "--output", "here", "--format", "json", folder=shop).json["result"]
    assert found["files"] == {
        "html": "series.html", "markdown": "series.md", "json": "series.json", "junit": "series.xml",
    }  # fmt: skip
    assert all((shop / "here" / name).is_file() for name in found["files"].values())


def test_the_first_screen_of_the_readme_shows_what_is_printed(shop: Path) -> None:
    for day, text in enumerate([RIGHT, OFF_BY_ONE, BOTH, WITHOUT_BOB, WITHOUT_BOB, BOTH]):
        night(shop, day, text)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = "dualgauge report --series customers"
    wanted = readme.partition(f"$ {command}\n")[2].partition("\n...")[0].splitlines()
    printed = call(*command.split()[1:], folder=shop).out.splitlines()
    assert [without_digits(one) for one in printed[: len(wanted)]] == [without_digits(one) for one in wanted]


def without_digits(line: str) -> str:
    """A line without what is drawn by lot in the names of runs."""
    return re.sub(r"(customers-)[0-9a-f]{6}", r"\1", line).rstrip()


SEEN = st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=8)


@given(seen=SEEN)
def test_a_state_is_what_the_runs_that_tell_say(seen: list[bool | None]) -> None:
    told = [one for one in seen if one is not None]
    stretches = [(there, len(list(some))) for there, some in groupby(told)]
    state, runs = state_of(seen)
    assert runs == (stretches[-1][1] if stretches and stretches[-1][0] else 0)
    if seen[-1] is None:
        assert state == (ChangeState.UNKNOWN if stretches and stretches[-1][0] else None)
    elif seen[-1]:
        there = sum(1 for one, _ in stretches if one)
        wanted = ChangeState.ONGOING if runs > 1 else ChangeState.BACK if there > 1 else ChangeState.NEW
        assert state is wanted
    else:
        assert state is (ChangeState.GONE if len(stretches) > 1 and stretches[-1][1] == 1 else None)


HOSTILE = [
    "|",
    "`",
    "</td><script>alert(1)</script>",
    "\n# PASS",
    "a\x00b\x1b[31m",
    "\u202eevil",
    "]]>",
    "&amp;",
    "@all",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_number_of_changes_of_any_name_fits_sixty_lines_and_stays_text(name: str) -> None:
    run = SeriesRun(f"r{name}", AT, 7, Outcome.FAIL, 1.5, 9, 9, 8, 0, 1, 0, 0, 0, 1, 0, False, {f"v1.{name}": "abc"})
    changes = tuple(
        SeriesChange(f"{at:016}", f"{name}{at}", "another value", ChangeState.NEW, 1, 3, None, run, run, (1, 2))
        for at in range(500)
    )
    made = Series(
        "m", f"c{name}", AT, "1", Outcome.FAIL, tuple(f"{name} why {at}" for at in range(30)), (run,) * 90, changes,
        changed=(name,), earlier=3, newer=(Untold(f"r{name}", AT, f"{name} why"),) * 9, left_out=((name, 2),),
    )  # fmt: skip
    text = markdown(made)
    lines = text.splitlines()
    assert len(lines) <= MOST_LINES
    assert (lines[0].startswith("# "), "FAIL" in lines[0], "500 new" in lines[2]) == (True, True, True)
    assert "*477 changes more*" in text
    assert "<script" not in text
    assert sum(line.startswith("# ") for line in lines) == 1
    suite = ET.fromstring(junit(made))
    assert (suite.get("tests"), suite.get("failures")) == ("501", "501")
    html = page(made)
    assert "<script" not in html
    assert "\u202e" not in html + text
    assert json.dumps(made.to_json())
    # What is within the limits fails no build.
    passed = replace(made, verdict=Outcome.PASS, runs=(replace(run, verdict=Outcome.PASS),))
    assert ET.fromstring(junit(passed)).get("failures") == "0"
    quiet = replace(made, verdict=Outcome.INCONCLUSIVE, changes=())
    assert ET.fromstring(junit(quiet)).get("errors") == "1"
