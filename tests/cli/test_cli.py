"""The command line as it is typed: help, JSON, exit codes, errors, terminals and pipes."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from dualgauge.cli import app
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.outbox.values import Message, News
from support.ledgers import url_of
from support.receivers import Receiver
from support.shop import ROOT, Said, add_order, build, call, child, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")

# Each command that answers in JSON, with arguments that work in the small project.
WORKING = {
    "init": [],
    "log add": ["data/refunds.csv"],
    "log import": ["--all"],
    "log append": [],
    "log show": ["--limit", "2"],
    "log verify": [],
    "log compact": [],
    "log forget": ["orders", "--dry-run"],
    "doctor": [],
    "plan": [],
    "migrate revision": [],
    "migrate upgrade": [],
    "migrate history": [],
    "replay": [],
    "tail": ["--once"],
    "throttle": [],
    "quarantine list": [],
    "quarantine retry": ["--all"],
    "quarantine skip": ["--all"],
    "status": [],
    "diff": ["customers"],
    "check": ["customers"],
    "report": [],
    "schedule list": [],
    "schedule run": ["often"],
    "schedule pause": ["often", "--reason", "r"],
    "schedule resume": ["often"],
    "schedule show": ["often"],
    "notify list": [],
    "notify ack": ["schedule:often", "--reason", "r", "--until", "2999-01-01T00:00Z"],
    "notify send": [],
    "notify test": [],
    "evidence list": [],
    "evidence show": ["RUN"],
    "reports prune": ["--keep", "90d"],
    "read": ["customers", "ada", "--unit", "ada"],
    "canary validate": [],
    "canary apply": [],
    "canary show": [],
    "canary reads": [],
    "canary judge": [],
    "canary kill": [],
    "canary unkill": [],
    "canary who": ["ada"],
    "switch": ["--percent", "50"],
    "rollback": [],
    "journal": ["--verify"],
}


EVENTS = b'{"event_id": "9/placed", "type": "placed", "occurred_at": "2026-01-09T00:00:00Z"}\n'
"""What `log append` is given."""


TOLD = Receiver()
"""What is told to people goes there."""


@pytest.fixture(autouse=True, scope="module")
def _told() -> Iterator[None]:
    with TOLD:
        yield


def working(command: str, folder: Path) -> list[str]:
    """A command of these, and a project in which it works: with evidence, for those that want some."""
    build(folder, compared=command in {"switch", "report"} or command.startswith("evidence"))
    if command.startswith("canary"):
        (folder / "canary.yaml").write_text("steps: [{share: 1%}, {share: 100%}]\n", encoding="utf-8")
    if command.startswith("schedule"):
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write('\n[[tool.dualgauge.schedules]]\nname = "often"\nevery = "1m"\ndo = ["import"]\n')
    if command.startswith("notify"):
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(f'\n[[tool.dualgauge.channels]]\nname = "team"\nkind = "alertmanager"\nurl = "{TOLD.url}"\n')
        with Ledger.open(url_of(folder)) as ledger:
            now = datetime.now(UTC)
            fires = News("schedule:often", True, Message("it fires"), ("team",), now, timedelta(days=1), "it")
            ledger.outbox_of("customers").tell([fires])
    if command == "log add":
        (folder / "data" / "refunds.csv").write_text("refund,at\n1,2026-01-05T08:00:00Z\n", encoding="utf-8")
    runs = sorted(path.name for path in (folder / "reports").glob("*"))
    return [*command.split(), *(runs[-1] if one == "RUN" else one for one in WORKING[command])]


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group, by its words. Typer keeps their classes to itself, hence Any."""
    yield words, command
    for name, child_command in getattr(command, "commands", {}).items():
        yield from commands(child_command, (*words, name))


COMMANDS = dict(commands(get_command(app)))
LEAVES = {" ".join(words) for words, command in COMMANDS.items() if not hasattr(command, "commands")}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project whose views are built; every test has its own."""
    return build(tmp_path / "shop")


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    """The same where every comparison passes, so that the share may grow."""
    return build(tmp_path / "shop", compared=True)


def everything(folder: Path) -> dict[str, bytes]:
    # A read may make or remove SQLite's -wal and -shm files; the databases themselves it leaves alone.
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm")) and "__pycache__" not in path.parts
    }


def dump(folder: Path) -> dict[str, list[str]]:
    """What the databases hold, whatever file it stands in."""
    found = {}
    for file in sorted((folder / ".dualgauge").glob("*.db")):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            found[file.name] = list(connection.iterdump())
    return found


# Help.


def test_this_test_knows_every_command() -> None:
    assert {*WORKING, "demo", "schedule follow"} == LEAVES


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "dualgauge")
def test_help_works_from_a_bare_folder_and_says_what_the_command_does(words: tuple[str, ...], tmp_path: Path) -> None:
    said = call(*words, "--help", folder=tmp_path)
    help_text = COMMANDS[words].help

    assert (said.exit_code, said.err) == (0, "")
    assert f"Usage: dualgauge {' '.join(words)}".rstrip() in said.out
    assert help_text.strip().split("\n")[0].strip().rstrip(".") in " ".join(said.out.split())
    assert "Example: dualgauge" in help_text or re.search(r"[a-z0-9)`]\.\s*$", help_text.strip())
    assert list(tmp_path.iterdir()) == []


def test_dualgauge_alone_shows_the_commands_in_the_order_of_the_work(tmp_path: Path) -> None:
    said = call(folder=tmp_path)
    shown = re.findall(r"^\W+(\w+)  ", said.out, re.MULTILINE)

    assert [name for name in shown if (name,) in COMMANDS] == [
        "init", "demo", "doctor", "log", "plan", "migrate", "replay", "tail", "throttle", "quarantine", "status",
        "diff", "check", "evidence", "report", "reports", "schedule", "notify", "read", "canary", "switch", "rollback",
        "journal",
    ]  # fmt: skip


def test_version_is_one_line(tmp_path: Path) -> None:
    import dualgauge

    assert call("--version", folder=tmp_path) == Said(0, f"dualgauge {dualgauge.__version__}\n", "")


# JSON.


def envelope(said: Said, command: str) -> dict[str, Any]:
    found = said.json
    assert list(found) == ["schema", "exit_code", "result", "error", "next_steps"]
    assert found["schema"] == f"dualgauge.{command.replace(' ', '-')}/1"
    assert found["exit_code"] == said.exit_code
    assert (found["result"] is None) != (found["error"] is None)
    for step in found["next_steps"]:
        assert sorted(step) == ["command", "why"]
        words = step["command"].split()
        assert words[0] == "dualgauge"
        assert tuple(words[1:2]) in COMMANDS
    assert said.err == ""
    return found


@pytest.mark.parametrize("command", WORKING)
def test_an_answer_in_json_is_one_object(command: str, tmp_path: Path) -> None:
    words, given = working(command, tmp_path / "shop"), EVENTS if command == "log append" else None
    said = call(*words, "--format", "json", folder=tmp_path / "shop", stdin=given)

    assert envelope(said, command)["error"] is None
    assert said.exit_code == 0


@pytest.mark.parametrize("command", sorted(WORKING.keys() - {"init", "doctor"}))
def test_an_error_in_json_is_one_object(command: str, tmp_path: Path) -> None:
    said = call(*command.split(), *WORKING[command], "--format=json", folder=tmp_path)

    found = envelope(said, command)
    assert said.exit_code == 2
    assert found["error"]["type"] == "NoProject"
    assert found["error"]["message"].startswith(f"no dualgauge project in {tmp_path} or above it: ")


@pytest.mark.parametrize("command", sorted(LEAVES))
def test_a_call_that_does_not_parse_answers_in_json_too(command: str, tmp_path: Path) -> None:
    said = call(*command.split(), "--no-such-option", "--format", "json", folder=tmp_path)

    found = envelope(said, command)
    assert said.exit_code == 2
    assert found["error"]["type"] == "UsageError"
    assert "--no-such-option" in found["error"]["message"] or command == "demo"
    assert found["next_steps"] == [{"command": f"dualgauge {command} --help", "why": "see what it takes"}]


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        (["--format", "json"], "dualgauge"),
        # Not `repaly`: what is typed in a command's place may be a URL with a password.
        (["repaly", "--format", "json"], "dualgauge"),
        (["log", "--format=json"], "log"),
    ],
)
def test_a_call_that_names_no_command_answers_in_json_too(arguments: list[str], schema: str, tmp_path: Path) -> None:
    said = call(*arguments, folder=tmp_path)

    assert said.exit_code == 2
    assert said.err == ""
    assert said.json["schema"] == f"dualgauge.{schema}/1"


def test_the_word_json_alone_does_not_mean_json(shop: Path) -> None:
    said = call("diff", "json", "--bogus", folder=shop)

    assert said.out == ""
    assert "No such option: --bogus" in said.err


def test_an_unknown_format_is_refused(shop: Path) -> None:
    said = call("status", "--format", "xml", folder=shop)

    assert (said.exit_code, said.out) == (2, "")
    assert "'xml' is not one of 'text', 'json'" in " ".join(said.err.replace("│", " ").split())


# Exit codes and what goes where.


@pytest.mark.parametrize("command", WORKING)
def test_an_answer_in_text_leaves_stderr_clean(command: str, tmp_path: Path) -> None:
    words, given = working(command, tmp_path / "shop"), EVENTS if command == "log append" else None
    said = call(*words, folder=tmp_path / "shop", stdin=given)

    assert (said.exit_code, said.err) == (0, "")
    assert said.out.strip()


def test_stderr_is_clean_in_a_process_of_its_own(shop: Path) -> None:
    add_order(shop)

    call("log", "import", "--all", folder=shop)
    for arguments in (["replay"], ["diff", "customers"]):
        said = child(*arguments, folder=shop, PYTHONWARNINGS="default")
        assert (said.exit_code, said.err) == (0, "")
        assert ESCAPE not in said.out


def test_an_error_is_one_paragraph_on_stderr_with_the_next_step(tmp_path: Path) -> None:
    said = call("status", folder=tmp_path)

    assert (said.exit_code, said.out) == (2, "")
    assert said.err == (
        f"error: no dualgauge project in {tmp_path} or above it: no pyproject.toml there has a [tool.dualgauge] table; "
        "go to the project's folder, name it with --project DIR, or add the table\n"
        "next: dualgauge init   # lay out a project here\n"
        "next: dualgauge demo   # play a whole migration in a project of its own\n"
    )


@pytest.mark.parametrize(
    ("comparator", "exit_code", "verdict"),
    [("customers", 0, "pass"), ("unlike", 4, "fail"), ("empty", 1, "inconclusive")],
)
def test_diff_ends_with_0_1_or_4(comparator: str, exit_code: int, verdict: str, shop: Path) -> None:
    said = call("diff", comparator, "--format", "json", folder=shop)

    assert said.exit_code == exit_code
    assert envelope(said, "diff")["result"]["verdict"] == verdict


def test_diff_shows_both_rows_of_a_mismatch_and_its_events(shop: Path) -> None:
    said = call("diff", "unlike", "--samples", "1", folder=shop)

    assert said.exit_code == 4
    assert "unlike: FAIL at position 5\n  3 rows in v1, 3 in v2; 3 keys on both: 0 matched, 3 changed;" in said.out
    assert "  customer=ada: changed\n    cents: v1 3300 | v2 3301\n" in said.out
    assert "touched by 2 events, the latest: 1 1/placed, 3 3/placed\n" in said.out


def test_an_unexpected_error_is_one_paragraph_and_debug_gives_the_traceback(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        message = "a fault\n of   ours"
        raise RuntimeError(message)

    monkeypatch.setattr("dualgauge.commands.views.ViewCommands.revisions", broken)
    told = "error: unexpected RuntimeError: a fault of ours\n"

    said = call("migrate", "history", folder=shop)
    assert (said.exit_code, said.out) == (1, "")
    next_step = "next: dualgauge migrate history --debug ...   # see where it happened; please report it\n"
    assert said.err == told + next_step

    debugged = call("migrate", "history", "--debug", folder=shop)
    assert debugged.exit_code == 1
    assert debugged.err.startswith("Traceback (most recent call last):\n")
    assert debugged.err.endswith(told)


def test_debug_shows_the_traceback_of_an_error_on_purpose_too(tmp_path: Path) -> None:
    assert call("status", "--debug", folder=tmp_path).err.startswith("Traceback (most recent call last):\n")


def test_a_folder_below_the_project_is_as_good_and_project_names_another(shop: Path, tmp_path: Path) -> None:
    inside = call("status", folder=shop / "views_v1")
    outside = call("status", "--project", str(shop), folder=tmp_path)

    assert inside.exit_code == 0
    assert inside == outside == call("status", folder=shop)


def test_a_mistyped_project_is_refused(shop: Path) -> None:
    said = call("status", "--project", "shpo", folder=shop)
    assert said == Said(
        2, "", f"error: there is no folder {shop / 'shpo'}; name the project's folder, or one below it\n"
    )


# Terminals and pipes.


def on_terminal(*arguments: str, folder: Path, which: str, **environment: str) -> tuple[str, str]:
    """Run with a terminal as stdout or stderr and a pipe as the other; gives (terminal, pipe)."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dualgauge", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TERM": "xterm-256color", **environment},
        stdin=subprocess.DEVNULL,
        stdout=follower if which == "stdout" else subprocess.PIPE,
        stderr=follower if which == "stderr" else subprocess.PIPE,
    )
    os.close(follower)
    shown = b""
    # The end of a terminal whose last writer is gone is an error on Linux.
    with contextlib.suppress(OSError):
        while piece := os.read(leader, 65536):
            shown += piece
    os.close(leader)
    out, err = process.communicate()
    return shown.decode(), ((out or b"") + (err or b"")).decode()


def test_a_pipe_gets_no_escape_codes(shop: Path) -> None:
    for arguments in (["plan"], ["diff", "unlike"], ["status"], ["--help"], ["nothing"]):
        said = call(*arguments, folder=shop)
        assert ESCAPE not in said.out + said.err


def test_no_color_is_honoured_on_a_terminal(shop: Path) -> None:
    coloured, _ = on_terminal("--help", folder=shop, which="stdout")
    plain, _ = on_terminal("--help", folder=shop, which="stdout", NO_COLOR="1")

    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)


def test_a_narrow_terminal_folds_tables_and_loses_nothing(shop: Path) -> None:
    shown, _ = on_terminal("log", "show", "--limit", "2", folder=shop, which="stdout", COLUMNS="60", NO_COLOR="1")
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown)

    assert max(len(line) for line in text.splitlines()) <= 60
    whole = "".join(text.split())
    for part in ("cancelled", "placed", "2/cancelled", "customer=cyd", "cents=9900"):
        assert part in whole or part in re.sub(r"\s+", "", text)
    narrow, _ = on_terminal("switch", "--help", folder=shop, which="stdout", COLUMNS="60", NO_COLOR="1")
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", narrow).splitlines()) <= 60


def test_progress_is_drawn_on_a_terminal_beside_one_object_of_json_and_goes_away(shop: Path) -> None:
    shown, piped = on_terminal("replay", "--force", "--format", "json", folder=shop, which="stderr")

    assert "customers" in shown
    assert ESCAPE in shown
    # The last thing is that the bar's line is erased.
    assert shown.rstrip("\r\n").endswith("\x1b[2K")
    assert Said(0, piped, "").json["result"]["position"] == 5


def test_a_reader_that_goes_away_is_no_error(shop: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "dualgauge", "plan"],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert done.stderr == b""


# Single commands.


def test_the_log_is_imported_once(tmp_path: Path) -> None:
    shop = lay_out(tmp_path / "shop")

    assert call("log", "import", "orders", folder=shop).out.splitlines() == [
        "added 5 events at positions 1 to 5 from orders",
        "the log's head is position 5",
        "next: dualgauge replay   # bring the views to the new head",
    ]
    assert call("log", "import", "--all", folder=shop).out.splitlines() == [
        "added 0 events from orders",
        "the log's head is position 5",
    ]


def test_a_time_that_is_none_is_refused(shop: Path) -> None:
    assert call("log", "import", "--all", "--until", "soon", folder=shop) == Said(
        2,
        "",
        "error: --until 'soon' is no time; write it as 2013-12-01 or 2013-12-01T06:30:00+01:00 (without a zone: UTC)\n",
    )


def test_log_show_before_any_import_says_so(tmp_path: Path) -> None:
    said = call("log", "show", folder=lay_out(tmp_path / "shop"))

    assert said.exit_code != 0
    assert "dualgauge log import" in said.err


def test_log_show_begins_where_it_is_told(shop: Path) -> None:
    said = call("log", "show", "--from", "2", "--limit", "2", folder=shop)

    assert [line.split() for line in said.out.splitlines()[1:]] == [
        ["2", "2026-01-01", "09:30:00Z", "placed", "2/placed", "customer=bob", "cents=1200"],
        ["3", "2026-01-02", "10:00:00Z", "placed", "3/placed", "customer=ada", "cents=800"],
    ]


def test_plan_says_how_each_view_is_kept(shop: Path) -> None:
    (shop / "views_v2" / "late.sql").write_text(
        "-- key: n\n\nSELECT 1 AS n, avg(DISTINCT cents / 100) AS euros FROM events"
    )
    said = call("plan", folder=shop)

    assert re.search(r"^v2\.late  key \(n\)  definition [0-9a-f]{12}$", said.out, re.MULTILINE)
    assert "  each row carries: the position of its build, an upper bound\n" in said.out
    assert "  differences can be traced to events: yes\n" in said.out
    assert "  warning: euros: adds DOUBLE values (cents / 100), whose sum depends on the order of addition" in said.out


def test_replay_of_v1_alone_points_to_v2_and_a_whole_one_to_diff(tmp_path: Path) -> None:
    shop = lay_out(tmp_path / "shop")
    call("log", "import", "--all", folder=shop)

    said = call("replay", "--side", "v1", folder=shop)
    assert said.out.endswith("next: dualgauge replay --side v2   # build the candidate beside it\n")
    assert "v2.customers" not in said.out
    said = call("replay", folder=shop)
    assert said.out.endswith("next: dualgauge diff   # compare what the sides answer\n")
    assert "was there already" in said.out


def test_status_says_what_is_unbuilt_stale_lagging_or_ready(shop: Path) -> None:
    (shop / "views_v2" / "customers.sql").write_text("-- key: customer\nSELECT DISTINCT customer FROM events")
    (shop / "views_v2" / "late.sql").write_text("-- key: type\nSELECT DISTINCT type FROM events")
    add_order(shop)
    call("log", "import", "--all", folder=shop)
    said = call("status", folder=shop)

    assert [line.split()[:5] for line in said.out.splitlines()[4:7]] == [
        ["v1.customers", "lagging", "1", "5", "1"],
        ["v2.customers", "stale", "1", "5", "1"],
        ["v2.late", "unbuilt", "replay"],
    ]
    assert said.out.endswith("next: dualgauge replay   # 3 views not at the head with the text of its file\n")


def test_read_says_which_side_answered_and_why(compared: Path) -> None:
    assert call("read", "customers", "ada", folder=compared).out.splitlines() == [
        "v1 answered: no read is on v2 in this stage (0 % of reads are on v2)",
        "  customer  ada",
        "  orders    2",
        "  cents     3300",
    ]
    call("switch", "--percent", "50", folder=compared)
    lines = [
        call("read", "customers", "ada", "--unit", name, folder=compared).out.splitlines()[0] for name in ("ada", "cyd")
    ]
    assert lines == [
        "v1 answered: the unit is in bucket 62.7165 %, and 50 % of reads are on v2",
        "v2 answered: the unit is in bucket 31.5496 %, and 50 % of reads are on v2",
    ]


def test_read_of_a_row_that_is_not_there_says_so(shop: Path) -> None:
    said = call("read", "customers", "zoe", "--unit", "zoe", folder=shop)

    assert said.exit_code == 0
    assert said.out.endswith("no row with key zoe\n")
    assert call("read", "customers", "zoe", "--format", "json", folder=shop).json["result"]["row"] is None


def test_read_of_a_view_that_was_never_built_is_refused(shop: Path) -> None:
    said = call("read", "orders", "1", folder=shop)

    assert said.exit_code in (2, 5)
    assert "v1.orders" in said.err
    assert "dualgauge replay" in said.err


def test_read_with_too_many_key_parts_is_refused_with_the_key(shop: Path) -> None:
    said = call("read", "customers", "ada", "bob", folder=shop)

    assert said.exit_code == 2
    assert said.err == (
        "error: view v1.customers: 2 key values were given; its key is customer, so give 1 in that order\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.00001", "it has 5 decimals, and the finest share is 0.0001 (one read in a million)"),
        ("nan", "it is not a plain decimal number from 0 to 100"),
        ("101", "it is over 100"),
        ("100.0001", "it is over 100"),
        ("1e1", "it is not a plain decimal number from 0 to 100"),
        ("1,5", "it is not a plain decimal number from 0 to 100"),
    ],
)
def test_switch_refuses_what_is_no_percentage(text: str, said: str, shop: Path) -> None:
    assert call("switch", "--percent", text, folder=shop) == Said(
        2, "", f"error: {text!r} is no percentage of reads: {said}; write one like 5 or 0.25\n"
    )


def test_switch_before_v2_is_built_is_refused_and_names_the_next_command(tmp_path: Path) -> None:
    shop = lay_out(tmp_path / "shop")
    call("log", "import", "--all", folder=shop)
    call("replay", "--side", "v1", folder=shop)
    before = dump(shop)

    assert call("switch", "--percent", "1", folder=shop) == Said(
        3,
        "",
        "error: 1 % of the reads of 'customers' cannot go to v2. Gate builds: v2 cannot answer yet (found: there is no "
        "build of v2.customers; needed: a build of every view). Closed too: lag, diff:customers, "
        "diff:unlike, diff:empty. Nothing was changed: run `dualgauge replay`, then "
        "`dualgauge diff customers unlike empty`, and ask again\n"
        "next: dualgauge replay   # build what is missing and bring both sides to the log's head\n"
        "next: dualgauge diff customers unlike empty   # make the evidence that diff:customers asks for\n",
    )
    assert dump(shop) == before


def test_switch_to_the_same_share_writes_nothing(compared: Path) -> None:
    call("switch", "--percent", "25", folder=compared)
    before = dump(compared)

    said = call("switch", "--percent", "25.0", folder=compared)
    assert said.out == "nothing to do: stage canary (25 % on v2) already\n"
    assert dump(compared) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["log", "import", "--all"], "would add 1 event at positions 6 to 6 from orders; 5 events known already\n"),
        (["replay", "--force"], "the settings and views are in order; would replay to position 5\n"),
        (["rollback"], "nothing to do: stage shadow (0 % on v2) already\n"),
    ],
)
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(arguments: list[str], said: str, shop: Path) -> None:
    add_order(shop)
    files, rows = everything(shop), dump(shop)

    answered = call(*arguments, "--dry-run", folder=shop)
    assert answered == Said(0, answered.out, "")
    assert answered.out.startswith(said)
    assert dump(shop) == rows
    assert {name for name in everything(shop) if not name.endswith(".db")} == {
        n for n in files if not n.endswith(".db")
    }


def test_a_dry_run_of_a_switch_shows_the_gates_and_moves_nothing(compared: Path) -> None:
    rows = dump(compared)
    said = call("switch", "--percent", "50", "--dry-run", folder=compared)

    assert (said.exit_code, said.err) == (0, "")
    assert said.out.startswith("would move from stage shadow (0 % on v2) to stage canary (50 % on v2)\n")
    assert re.findall(r"^(\S+) +pass ", said.out, re.MULTILINE) == [
        "journal", "builds", "definitions", "lag", "quarantine", "diff:customers",
    ]  # fmt: skip
    assert dump(compared) == rows


def test_a_dry_run_of_a_rollback_leaves_the_share(compared: Path) -> None:
    call("switch", "--percent", "50", folder=compared)
    said = call("rollback", "--dry-run", folder=compared)

    assert said.out == "would move from stage canary (50 % on v2) to stage shadow (0 % on v2)\n"
    assert call("status", "--format", "json", folder=compared).json["result"]["share_ppm"] == 500_000


def test_the_journal_keeps_who_moved_what_and_why(compared: Path) -> None:
    call("switch", "--percent", "0.25", "--reason", "the diff passed", folder=compared)
    call("rollback", "--reason", "lunch", folder=compared)
    rows = call("journal", "--format", "json", folder=compared).json["result"]["rows"]

    assert [(row["verb"], row["to"]["stage"], row["to"]["share_ppm"], row["reason"]) for row in rows[-2:]] == [
        ("share_some", "canary", 2_500, "the diff passed"),
        ("roll_back", "shadow", 0, "lunch"),
    ]
    assert all("@" in row["who"] for row in rows)
    assert call("journal", "--verify", folder=compared).out.endswith(
        "verified: 6 rows, the chain is whole and the ledger agrees with it\n"
    )


def test_journal_verify_finds_a_row_that_was_changed_by_hand(compared: Path) -> None:
    call("switch", "--percent", "50", "--reason", "the diff passed", folder=compared)
    with contextlib.closing(sqlite3.connect(compared / ".dualgauge" / "ledger.db")) as connection, connection:
        connection.execute("UPDATE journal SET row = replace(row, 'the diff passed', 'nobody looked') WHERE seq = 5")

    said = call("journal", "--verify", folder=compared)
    assert said.exit_code == 1
    assert "nobody looked" in said.out
    assert "the journal is not what was written: row 5: " in said.out
    found = envelope(call("journal", "--verify", "--format", "json", folder=compared), "journal")["result"]
    assert found["verified"] is False
    assert found["problem"]["seq"] == 5
    assert call("journal", folder=compared).exit_code == 0


def test_journal_verify_finds_a_share_that_was_changed_by_hand(shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop / ".dualgauge" / "ledger.db")) as connection, connection:
        connection.execute("UPDATE migration SET share_ppm = 1000000")

    assert call("journal", "--verify", folder=shop).exit_code == 1


def test_a_log_is_read_by_no_other_type_than_it_was_written_by(shop: Path) -> None:
    settings = shop / "pyproject.toml"
    written = settings.read_text(encoding="utf-8")
    settings.write_text(written.replace('cents = "BIGINT"', 'cents = "DOUBLE"'), encoding="utf-8")
    add_order(shop)
    for command in (["tail"], ["tail", "--once"], ["replay"], ["diff"], ["status"], ["log", "import", "--all"]):
        said = call(*command, folder=shop)
        assert (said.exit_code, "'cents' is BIGINT in the log and DOUBLE" in said.err) == (2, True), (command, said)
        assert "write BIGINT there again" in said.err
    assert call("doctor", folder=shop).out.count("'cents' is BIGINT in the log") >= 1
    settings.write_text(written, encoding="utf-8")
    assert call("log", "import", "--all", folder=shop).exit_code == 0
    assert call("replay", folder=shop).exit_code == 0
