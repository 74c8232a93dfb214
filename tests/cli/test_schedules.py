"""`dualgauge schedule`, as a person, cron or systemd calls it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import dualgauge
from dualgauge.ledger.errors import SlotHeld
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.slot_values import SlotState, slot_text
from dualgauge.model import holder_name
from support.ledgers import url_of
from support.shop import PASSING, ROOT, add_order, build, call
from support.tailed import following
from support.waiting import wait_for

NIGHTLY = """
[[tool.dualgauge.schedules]]
name = "nightly"
cron = "30 2 * * *"
zone = "Europe/Berlin"
owner = "ada"
"""
OFTEN = """
[[tool.dualgauge.schedules]]
name = "often"
every = "1m"
do = ["import", "tail"]
"""
AT = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A built project whose comparator passes, with a schedule for every night."""
    build(tmp_path)
    (tmp_path / "comparators" / "customers.py").write_text(PASSING, encoding="utf-8")
    for side in ("v1", "v2"):
        file = tmp_path / f"views_{side}" / "customers.sql"
        kept = file.read_text(encoding="utf-8").replace("WHERE", "WHERE customer IS NOT NULL AND")
        file.write_text(kept, encoding="utf-8")
    dualgauge.open(tmp_path).replay()
    return scheduled(tmp_path, NIGHTLY)


def scheduled(folder: Path, text: str) -> Path:
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(text)
    return folder


def at(folder: Path, now: datetime) -> dualgauge.Migration:
    return dualgauge.open(folder, clock=lambda: now)


def seen(folder: Path, now: datetime = AT) -> None:
    """Have a schedule be seen, at a time."""
    assert at(folder, now).schedule.run("nightly").slot is None


def test_a_night_imports_tails_compares_checks_and_reports(shop: Path) -> None:
    seen(shop)
    add_order(shop)
    done = at(shop, AT + timedelta(hours=13, minutes=1)).schedule.run("nightly")
    assert [(one.step, one.exit_code) for one in done.steps] == [
        (step, 0) for step in ("import", "tail", "diff", "check", "report")
    ]
    assert done.slot is not None
    # 02:30 is not there in that night.
    assert (done.slot.due, done.slot.state) == (datetime(2026, 3, 29, 1, tzinfo=UTC), SlotState.DONE)
    assert [one.found for one in done.steps][:3] == [
        "1 event added; the log's head is position 6", "2 views brought to position 6", "customers: pass, 0 mismatched"
    ]  # fmt: skip
    assert Path(done.steps[-1].found.removeprefix("wrote ")).is_file()
    assert dualgauge.open(shop).status().views


def test_a_slot_that_is_done_answers_its_exit_code_and_runs_nothing(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        PASSING.replace(
            'key="customer"', 'key="customer", v2="SELECT customer, orders, cents + 1 AS cents FROM v2.customers"'
        ),
        encoding="utf-8",
    )
    seen(shop)
    commands = at(shop, AT + timedelta(hours=14)).schedule
    first = commands.run("nightly")
    again = commands.run("nightly", slot="2026-03-29T01:00Z")
    assert (first.exit_code, again.exit_code, again.steps) == (4, 4, ())
    assert again.slot == first.slot
    assert commands.run("nightly").slot is None


def test_where_the_import_fails_nothing_after_it_is_done(shop: Path) -> None:
    seen(shop)
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("10,no time,dan,placed,100\n")
    done = at(shop, AT + timedelta(hours=14)).schedule.run("nightly")
    assert [one.step for one in done.steps] == ["import"]
    assert done.exit_code == done.steps[0].exit_code != 0
    assert done.slot is not None
    assert done.steps[0].found in done.slot.why


def test_a_slot_beside_a_tail_that_never_ends_is_run_on_what_that_one_brought(shop: Path) -> None:
    seen(shop)
    with following(shop) as tail:
        add_order(shop)
        done = at(shop, AT + timedelta(hours=14)).schedule.run("nightly")
        assert [one.exit_code for one in done.steps] == [0] * 5
        step = done.steps[1].found
        assert (f"process {tail.pid} " in step, "brought all views to position 6" in step) == (True, True), step


def test_a_slot_ends_with_the_holder_of_a_side_that_is_not_brought_there(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualgauge.commands.slot_work.HELD_FOR", 1.0)
    seen(shop)
    with following(shop) as tail:
        os.kill(tail.pid, signal.SIGSTOP)
        add_order(shop)
        done = at(shop, AT + timedelta(hours=14)).schedule.run("nightly")
        assert [(one.step, one.exit_code) for one in done.steps] == [("import", 0), ("tail", 5)]
        assert f"process {tail.pid} " in done.steps[1].found
        assert "nothing was written" in done.steps[1].found


def test_a_view_that_no_tail_keeps_is_named_with_its_position(shop: Path) -> None:
    kept = "-- key: customer\nSELECT customer, count(DISTINCT cents) AS cents FROM events GROUP BY customer\n"
    (shop / "views_v2" / "customers.sql").write_text(kept, encoding="utf-8")
    dualgauge.open(shop).replay()
    seen(shop)
    add_order(shop)
    done = at(shop, AT + timedelta(hours=14)).schedule.run("nightly")
    assert done.steps[1].found == (
        "1 view brought to position 6; v2.customers was left at position 5: see `dualgauge plan`"
    )


def test_another_runner_has_the_slot(shop: Path) -> None:
    seen(shop)
    commands = at(shop, AT + timedelta(hours=14)).schedule
    with Ledger.open(url_of(shop)) as ledger:
        slots = ledger.slots_of("customers")
        commands._found(commands._settings("nightly"), slots, None, dry_run=False)
        claim = slots.claim("nightly", datetime(2026, 3, 29, 1, tzinfo=UTC), holder_name("bob"))
        for slot in ("now", "2026-03-29T01:00Z"):
            with pytest.raises(SlotHeld, match="is being run by bob"):
                commands.run("nightly", slot=slot)
        slots.give_back(claim)
    assert commands.run("nightly").exit_code == 0


def test_a_dry_run_writes_nothing(shop: Path) -> None:
    seen(shop)
    before = Path(shop, ".dualgauge", "ledger.db").read_bytes()
    done = at(shop, AT + timedelta(hours=14)).schedule.run("nightly", dry_run=True)
    assert done.slot is not None
    assert (done.slot.due, done.steps) == (datetime(2026, 3, 29, 1, tzinfo=UTC), ())
    assert Path(shop, ".dualgauge", "ledger.db").read_bytes() == before


def test_a_missed_slot_can_be_run_by_its_time(shop: Path) -> None:
    seen(shop)
    commands = at(shop, AT + timedelta(days=3)).schedule
    assert commands.run("nightly").slot is not None
    missed = commands.run("nightly", slot="2026-03-30T02:30")
    assert missed.slot is not None
    assert (missed.slot.due, missed.slot.state) == (datetime(2026, 3, 30, 0, 30, tzinfo=UTC), SlotState.DONE)


@pytest.mark.parametrize(
    ("slot", "says"),
    [
        ("yesterday", "that is no time"),
        ("2026-03-29T01:01Z", "it is due by '30 2 * * * Europe/Berlin'"),
        ("2027-03-29T00:30Z", "it is not due yet"),
        ("2026-03-27T01:30Z", "it was due before the schedule was seen, changed or resumed"),
    ],
)
def test_a_slot_that_is_none_is_refused_with_the_reason(shop: Path, slot: str, says: str) -> None:
    seen(shop)
    with pytest.raises(dualgauge.errors.UsageError, match=re.escape(says)):
        at(shop, AT + timedelta(days=3)).schedule.run("nightly", slot=slot)


def test_cron_that_calls_for_the_first_time_at_a_slot_runs_it(shop: Path) -> None:
    done = at(shop, datetime(2026, 3, 30, 0, 30, 2, tzinfo=UTC)).schedule.run("nightly")
    assert done.slot is not None
    assert len(done.steps) == 5


def test_paused_it_is_run_by_nobody(shop: Path) -> None:
    seen(shop)
    assert call("schedule", "pause", "nightly", "--reason", "the shop moves", folder=shop).exit_code == 0
    assert at(shop, datetime.now(UTC) + timedelta(days=3)).schedule.run("nightly").slot is None
    listed = call("schedule", "list", folder=shop)
    assert ": the shop moves" in listed.out
    assert call("schedule", "resume", "nightly", folder=shop).exit_code == 0
    assert at(shop, datetime.now(UTC) + timedelta(days=3)).schedule.run("nightly").slot is not None


def test_the_list_says_when_it_is_due_on_both_clocks_and_what_was(shop: Path) -> None:
    seen(shop)
    at(shop, AT + timedelta(days=2)).schedule.run("nightly")
    line = at(shop, AT).schedule.list()[0]
    assert [one.isoformat() for one in line.following[:2]] == ["2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]
    assert [one.state for one in line.last] == [SlotState.DONE, SlotState.MISSED]
    said = call("schedule", "list", folder=shop).out
    assert "nightly: 30 2 * * * Europe/Berlin (owner: ada)" in said
    assert "last 2026-03-30T00:30Z  done, exit code 0" in said
    assert "last 2026-03-29T01:00Z  missed: nobody ran it in time; 2026-03-30T00:30Z stands for it" in said
    assert len(re.findall(r"next \S+Z  \w{3} 20\d\d-\d\d-\d\d 0\d:\d\d CES?T", said)) == 5


def test_show_prints_what_a_scheduler_is_told(shop: Path) -> None:
    told = call("schedule", "show", "nightly", "--as", "systemd", folder=shop)
    assert "OnCalendar=*-*-* 2:30:00 Europe/Berlin" in told.out
    assert re.search(r"# systemd does not call at 20\d\d-03-\d\dT01:00Z  Sun 20\d\d-03-\d\d 03:00 CEST", told.out)
    assert f"--project {shop}" in call("schedule", "show", "nightly", "--as", "cron", folder=shop).out


@pytest.mark.parametrize("runner", ["cron", "systemd", "kubernetes"])
def test_what_is_printed_for_a_runner_can_be_given_to_it_line_by_line(shop: Path, runner: str) -> None:
    shown = call("schedule", "show", "nightly", "--as", runner, "--format", "json", folder=shop).json["result"]
    wanted = []
    for file in shown["files"]:
        wanted += [f"# {file['name']}"] * (len(shown["files"]) > 1) + file["text"].splitlines()
    printed = call("schedule", "show", "nightly", "--as", runner, folder=shop).out.splitlines()
    assert printed[: len(wanted)] == wanted
    assert len(wanted) > 1
    assert all(line.startswith(f"# {runner} does not call at ") for line in printed[len(wanted) :])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "a"\ncron = "* * * * * *"', "has 6 fields, and cron has five"),
        ('name = "a"', "needs one of cron and every"),
        ('name = "a"\ncron = "@daily"\nevery = "1h"', "needs one of cron and every"),
        ('name = "a"\nevery = "1h"\nzone = "Europe/Berlin"', "is counted in UTC"),
        ('name = "a"\nevery = "90s"', "is not how often"),
        ('name = "a"\ncron = "@daily"\nzone = "Mars/Base"', "there is no time zone 'Mars/Base'"),
        ('name = "a b"\nevery = "1h"', "is no name of a schedule"),
        ('name = "a"\nevery = "1h"\ndo = ["diff", "import"]', "do is what it does in order"),
        ('name = "a"\nevery = "1h"\ndo = ["drop"]', "is not allowed"),
        ('name = "a"\nevery = "1h"\ncatch_up = "some"', "is not allowed"),
        ('name = "nightly"\nevery = "1h"', "two schedules are called 'nightly'"),
        ('name = "a"\nevery = "1h"\ntimezone = "UTC"', "unknown key 'timezone'"),
    ],
)
def test_settings_that_make_no_schedule_are_refused(shop: Path, text: str, says: str) -> None:
    scheduled(shop, f"\n[[tool.dualgauge.schedules]]\n{text}\n")
    said = call("schedule", "list", folder=shop)
    assert said.exit_code == 2
    assert says in said.err


def test_an_unknown_schedule_is_refused_with_the_nearest(shop: Path) -> None:
    said = call("schedule", "run", "nightli", folder=shop)
    assert (said.exit_code, "did you mean 'nightly'" in said.err) == (2, True)


SLOW = """\
import pathlib, time

pathlib.Path(__file__).with_name("in").touch()
time.sleep(600)
"""


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "dualgauge", "schedule", *arguments, "--project", str(folder)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_runner_that_is_killed_leaves_its_slot_to_be_run_again_once(shop: Path) -> None:
    scheduled(shop, OFTEN.replace('["import", "tail"]', '["import", "diff"]'))
    at(shop, datetime.now(UTC) - timedelta(hours=1)).schedule.run("often", dry_run=False)
    slow, reached = shop / "comparators" / "slow.py", shop / "comparators" / "in"
    slow.write_text(SLOW, encoding="utf-8")
    due = ""
    for deaths in (1, 2):
        with begun(shop, "run", "often", *(["--slot", due] if due else [])) as process:
            wait_for(reached.exists, 90)
            reached.unlink()
            if deaths == 1:
                # Meanwhile it is held.
                held = call("schedule", "run", "often", folder=shop)
                assert (held.exit_code, f"process {process.pid}" in held.err) == (5, True)
            process.kill()
        call("schedule", "run", "often", "--dry-run", folder=shop)
        with Ledger.open(url_of(shop)) as ledger:
            [slot] = [
                one
                for one in ledger.slots_of("customers").newest("often", 100)
                if one.epoch and one.state is not SlotState.DONE
            ]
        due = slot_text(slot.due)
        if deaths == 1:
            assert slot.state is SlotState.CLAIMED
    slow.unlink()
    last = call("schedule", "run", "often", "--slot", due, "--format", "json", folder=shop)
    assert last.exit_code == 1
    assert last.json["result"]["slot"]["state"] == "failed"
    assert last.json["result"]["slot"]["deaths"] == 2
    assert last.json["result"]["steps"] == []


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_who_is_asked_to_end_gives_the_slot_back(shop: Path, asked: signal.Signals) -> None:
    slow, reached = shop / "comparators" / "slow.py", shop / "comparators" / "in"
    slow.write_text(SLOW, encoding="utf-8")
    seen(shop)
    with begun(shop, "run", "nightly") as process:
        wait_for(reached.exists, 90)
        process.send_signal(asked)
        assert process.wait(60) == 130
    slow.unlink()
    with Ledger.open(url_of(shop)) as ledger:
        slot = ledger.slots_of("customers").newest("nightly", 1)[0]
    assert (slot.state, slot.deaths) == (SlotState.DUE, 0)
    assert call("schedule", "run", "nightly", folder=shop).exit_code == 0


def test_two_that_follow_run_each_slot_once_and_end_when_they_are_asked(shop: Path) -> None:
    seen(shop)
    at(scheduled(shop, OFTEN), datetime.now(UTC) - timedelta(hours=1)).schedule.run("often")
    with begun(shop, "follow", "--format", "json") as one, begun(shop, "follow", "--format", "json") as two:

        def ended() -> bool:
            with Ledger.open(url_of(shop)) as ledger:
                slots = ledger.slots_of("customers")
                found = [slots.newest(name, 1)[0].state for name in ("nightly", "often") if slots.newest(name, 1)]
            return found == [SlotState.DONE, SlotState.DONE]

        wait_for(ended, 90)
        for process in (one, two):
            process.send_signal(signal.SIGTERM)
        said = [process.communicate(timeout=120) for process in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0), said
    lines = [line for out, _ in said for line in out.splitlines() if '"due"' in line]
    ran = sorted((found["schedule"], found["exit_code"]) for found in (json.loads(line)["result"] for line in lines))
    assert ran.count(("nightly", 0)) == 1
    with Ledger.open(url_of(shop)) as ledger:
        slots = ledger.slots_of("customers")
        done = [one for name in ("nightly", "often") for one in slots.newest(name, 100) if one.state is SlotState.DONE]
    # One was run before they began.
    assert len(ran) == len(done) - 1
    assert [one.deaths for one in done] == [0] * len(done)


def test_who_follows_is_told_where_there_is_nothing_to_follow_or_no_ledger(tmp_path: Path) -> None:
    said = call("schedule", "follow", folder=build(tmp_path))
    assert (said.exit_code, "no [[tool.dualgauge.schedules]]" in said.err) == (2, True)
    scheduled(tmp_path, NIGHTLY + '\n[tool.dualgauge.ledger]\nurl = "sqlite:////proc/no/ledger.db"\n')
    said = call("schedule", "follow", folder=tmp_path)
    assert (said.exit_code, "/proc/no" in said.err) == (1, True)
