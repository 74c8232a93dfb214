"""Every terminal, pipe and locale: nothing lost, nothing garbled, no traceback, and the exit code is the command's."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dualgauge.cli.terminal.output import INTERRUPTED
from support.harm import digest, edit
from support.shop import ROOT, add_order, build, call, interpreter

if TYPE_CHECKING:
    from pathlib import Path

FULL = "/dev/full"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "shop")


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "shop")
    return tmp_path / "shop"


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `dualgauge` is the command line."""
    tool = folder.parent / "bin"
    tool.mkdir(exist_ok=True)
    (tool / "dualgauge").write_text(f'#!/bin/sh\nexec {sys.executable} -m dualgauge "$@"\n', encoding="utf-8")
    (tool / "dualgauge").chmod(0o755)
    return subprocess.run(
        ["bash", "--norc", "-c", line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PATH": f"{tool}:{os.environ['PATH']}", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# Width.


@pytest.mark.parametrize(
    "command", ["log show", "status", "diff unlike", "journal", "doctor", "migrate history", "plan"]
)
def test_at_forty_columns_nothing_is_lost(command: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def words(text: str) -> set[str]:
        # A run's name differs from call to call.
        return set(re.findall(r"[A-Za-z_]{3,}|[0-9]+/[a-z]+", re.sub(r"[0-9]{8}T[0-9]{6}Z-\S+", "", text)))

    wide = call(*command.split(), folder=shop)
    monkeypatch.setenv("COLUMNS", "40")
    narrow = call(*command.split(), folder=shop)
    whole = "".join(narrow.out.split())

    assert narrow.exit_code == wide.exit_code
    assert {word for word in words(wide.out) if word not in whole} == set()


def test_rows_are_given_as_lines_where_a_table_would_be_too_narrow(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = call("log", "show", "--limit", "2", folder=shop).out.splitlines()

    assert "position: 5" in lines
    assert "event_id: 4/placed" in lines
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize("said", ["0", "-3", "wide", "", "99999999999999999999"])
def test_a_width_that_means_nothing_is_no_error(said: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", said)

    assert "customers" in "".join(call("status", folder=shop).out.split())


# Characters.


def test_wide_characters_and_control_characters_of_data_are_shown_and_not_obeyed(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-09T09:00:00Z,\x1b[2J\x1b]0;owned\x07e\u0301\U0001f600\u202egpj,\u6f22\u5b57,100\n")
    call("log", "import", folder=shop)
    said = call("log", "show", "--limit", "1", folder=shop)

    assert "9/\u6f22\u5b57" in said.out
    assert "\\x1b[2J\\x1b]0;owned\\x07" in said.out
    assert "\\u202egpj" in said.out
    assert not set("\x1b\x07\u202e") & set(said.out)
    event = call("log", "show", "--limit", "1", "--format", "json", folder=shop).json["result"]["events"][0]
    assert event["customer"].startswith("\x1b[2J")


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
)
def test_what_a_locale_cannot_write_is_escaped(environment: dict[str, str], shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a", encoding="utf-8") as file:
        file.write("9,2026-01-09T09:00:00Z,z\u00f6e \u6f22,placed,100\n")
    call("log", "import", folder=shop)
    text = interpreter("log", "show", "--limit", "1", folder=shop, **environment)
    as_json = interpreter("log", "show", "--limit", "1", "--format", "json", folder=shop, **environment)

    assert (text.exit_code, text.err) == (0, "")
    assert "z\\xf6e \\u6f22" in text.out
    assert as_json.json["result"]["events"][0]["customer"] == "z\u00f6e \u6f22"
    assert interpreter("--help", folder=shop, **environment).exit_code == 0


@pytest.mark.parametrize("size", [10_000, 200_000])
def test_a_name_without_end_is_told_in_one_paragraph_with_its_next_step(size: int, shop: Path) -> None:
    name = "o'; DROP TABLE x; -- \U0001f600" * (size // 20)
    for arguments in (["diff", name], ["log", "import", name], ["replay", name]):
        said = call(*arguments, folder=shop)
        sentence, *_ = said.err.splitlines()
        assert said.exit_code == 2
        assert len(sentence) < 2_100
        assert "[...]" in sentence


# Pipes.


def test_a_reader_that_leaves_early_ends_it_quietly_with_the_commands_exit_code(shop: Path) -> None:
    done = shell("dualgauge diff unlike --samples 1000 | head -n 1; echo ${PIPESTATUS[0]}", shop)
    assert done.stderr == ""
    assert done.stdout == "unlike: FAIL at position 5\n4\n"

    for line in ("dualgauge plan", "dualgauge --help", "dualgauge journal --format json"):
        done = shell(f"{line} | true", shop)
        assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_output_that_takes_nothing_is_told_on_stderr(form: str, shop: Path) -> None:
    done = shell(f"dualgauge status --format {form} > {FULL}", shop)

    assert done.returncode == 1
    if form == "text":
        assert done.stderr == (
            "error: the answer cannot be written to standard output: No space left on device; what the command did is "
            "done: look with `dualgauge status`, or run it again with its output elsewhere\n"
        )
    assert "Traceback" not in done.stderr


def test_an_error_that_cannot_be_told_keeps_its_exit_code(shop: Path) -> None:
    assert shell(f"dualgauge nothing 2> {FULL}", shop).returncode == 2
    assert shell(f"dualgauge diff nothing 2> {FULL}", shop).returncode == 2


def test_closed_streams_are_no_error_and_nothing_is_printed_into_the_projects_files(shop: Path) -> None:
    done = shell("dualgauge replay --force <&- >&- 2>&-", shop)

    assert done.returncode == 0
    assert call("diff", "customers", folder=shop).exit_code == 0
    assert call("journal", "--verify", folder=shop).exit_code == 0
    assert json.loads(shell("dualgauge status --format json <&-", shop).stdout)["exit_code"] == 0


# Terminals.


def test_a_terminal_that_cannot_move_its_cursor_gets_no_bars_and_no_colour(shop: Path) -> None:
    def seen(**environment: str) -> str:
        done = shell("script -qec 'dualgauge replay --force' /dev/null", shop, **environment)
        assert done.returncode == 0
        return done.stdout

    assert "\x1b[" not in seen(TERM="dumb")
    assert "\x1b[" in seen(TERM="xterm-256color")
    plain = seen(TERM="xterm-256color", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain)
    assert "customers" in plain


# A stop from the keyboard.

SLOW = """\
import time
import pyarrow as pa

def rows():
    print("begun", flush=True)
    time.sleep(60)
    return pa.table({"x": [1]})
"""

# Takes minutes if nobody stops it: DuckDB is in a statement of its own.
SLOW_VIEW = """\
-- key: n
SELECT a.range AS n, count(*) AS c FROM events, range(3000000) a, range(3000000) b GROUP BY a.range
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_ctrl_c_in_a_replay_ends_it_in_one_line_with_130_and_nothing_half_written(form: str, shop: Path) -> None:
    (shop / "views_v2" / "slow.sql").write_text(SLOW_VIEW, encoding="utf-8")
    before = call("read", "customers", "ada", folder=shop)
    process = subprocess.Popen(
        [sys.executable, "-m", "dualgauge", "replay", "slow", "--memory-limit", "300MB", "--format", form],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(shop.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509  (no other thread is running here)
    )
    # Its revision is the last thing before the slow statement.
    while not list((shop / "migrations" / "versions").glob("*_slow.py")):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2)
    stop(process)
    out, err = ended(process)

    told = "interrupted; what was being written is not in use: run the command again"
    assert process.returncode == INTERRUPTED == 130
    if form == "text":
        assert (out, err) == ("", f"error: {told}\n")
    else:
        assert err == ""
        assert json.loads(out)["error"] == {"type": "Interrupted", "message": told}
        assert json.loads(out)["exit_code"] == 130
    assert list(shop.parent.glob("dualgauge-*")) == []
    (shop / "views_v2" / "slow.sql").unlink()
    assert call("read", "customers", "ada", folder=shop) == before
    assert call("diff", "customers", folder=shop).exit_code == 0


def test_ctrl_c_in_an_import_appends_nothing(shop: Path) -> None:
    edit(shop / "pyproject.toml", 'path = "data/orders.csv"', 'python = "slow_rows:rows"')
    (shop / "slow_rows.py").write_text(SLOW, encoding="utf-8")
    before = kept(shop)
    process = subprocess.Popen(
        [sys.executable, "-m", "dualgauge", "log", "import"],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509  (no other thread is running here)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    stop(process)
    _, err = ended(process)

    assert (process.returncode, err.count("\n")) == (130, 1)
    assert kept(shop) == before
    edit(shop / "pyproject.toml", 'python = "slow_rows:rows"', 'path = "data/orders.csv"')
    add_order(shop)
    assert call("log", "import", folder=shop).exit_code == 0
    assert list((shop / ".dualgauge" / "log" / "_staging").iterdir()) == []


def entry(tmp_path: Path, way: str) -> list[str]:
    """The command by a module of the package, or as pip writes its script."""
    if way == "module":
        return [sys.executable, "-m", "dualgauge"]
    script = tmp_path / "dualgauge"
    script.write_text("import sys\nfrom dualgauge.__main__ import main\nsys.exit(main())\n", encoding="utf-8")
    return [sys.executable, str(script)]


def started_beside(tmp_path: Path, shop: Path, *command: str) -> subprocess.Popen[str]:
    """Start a command beside modules of ours."""
    return subprocess.Popen(
        command,
        cwd=shop,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'beside'}:{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509  (no other thread is running here)
    )


def interrupted_at(said: str, tmp_path: Path, shop: Path, *command: str) -> tuple[int, str, str]:
    """Press Ctrl-C when a command, run beside modules of ours, says something on stderr; code, stdout, stderr."""
    process = started_beside(tmp_path, shop, *command)
    assert process.stderr is not None
    assert process.stderr.readline() == said
    stop(process)
    out, err = ended(process)
    return process.returncode, out, err


@pytest.mark.parametrize("way", ["module", "script"])
@pytest.mark.parametrize("swallowed", [False, True])
def test_ctrl_c_while_modules_are_loaded_is_answered_like_any_other(
    way: str, swallowed: bool, tmp_path: Path, shop: Path
) -> None:
    # A module that takes its time, and one in which an interrupt would get lost.
    wait = "import sys, time\nprint('loading', file=sys.stderr, flush=True)\n"
    wait += "try:\n    time.sleep(30)\nexcept BaseException:\n    pass\n" if swallowed else "time.sleep(30)\n"
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "typer.py").write_text(wait, encoding="utf-8")
    told = "interrupted; what was being written is not in use: run the command again"
    begin = time.monotonic()
    command = entry(tmp_path, way)
    assert interrupted_at("loading\n", tmp_path, shop, *command, "status") == (130, "", f"error: {told}\n")
    code, out, err = interrupted_at("loading\n", tmp_path, shop, *command, "status", "--format", "json")
    assert (code, err, json.loads(out)) == (
        130,
        "",
        {
            "schema": "dualgauge.dualgauge/1",
            "exit_code": 130,
            "result": None,
            "error": {"type": "Interrupted", "message": told},
            "next_steps": [],
        },
    )
    assert time.monotonic() - begin < 25


def test_ctrl_c_while_a_command_loads_a_library_waits_until_it_is_whole(tmp_path: Path, shop: Path) -> None:
    # One that would not survive it, as those that are written in C.
    loads = "import os, sys, time\nprint('loading', file=sys.stderr, flush=True)\n"
    loads += "try:\n    time.sleep(0.7)\nexcept BaseException:\n    os.abort()\n"
    loads += "sys.path.pop(sys.path.index(os.path.dirname(__file__)))\ndel sys.modules['duckdb']\nimport duckdb\n"
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "duckdb.py").write_text(loads, encoding="utf-8")
    told = "interrupted; what was being written is not in use: run the command again"
    command = entry(tmp_path, "script")
    assert interrupted_at("loading\n", tmp_path, shop, *command, "replay") == (130, "", f"error: {told}\n")


def test_ctrl_c_in_the_moment_in_which_an_engine_begins_is_answered_like_any_other(tmp_path: Path, shop: Path) -> None:
    # The thread that waits for Ctrl-C was left behind with the connection, of which DuckDB complains at the end.
    pressed = "import os, signal, sys, threading\n\nbegin = threading.Thread.start\n\n\ndef start(self):\n"
    pressed += "    begin(self)\n    if self._target.__name__ == 'watch':\n        threading.Thread.start = begin\n"
    pressed += "        print('begun', file=sys.stderr, flush=True)\n        os.kill(os.getpid(), signal.SIGINT)\n\n\n"
    pressed += "threading.Thread.start = start\n"
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "sitecustomize.py").write_text(pressed, encoding="utf-8")
    told = "interrupted; what was being written is not in use: run the command again"
    process = started_beside(tmp_path, shop, *entry(tmp_path, "script"), "replay")
    assert ended(process) == ("", f"begun\nerror: {told}\n")
    assert process.returncode == 130


@pytest.mark.parametrize("way", ["module", "script"])
def test_ctrl_c_behind_the_end_of_a_command_changes_nothing(way: str, tmp_path: Path, shop: Path) -> None:
    end = "import atexit, sys, time\n\n"
    end += "@atexit.register\ndef end():\n    print('ending', file=sys.stderr, flush=True)\n    time.sleep(1)\n"
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "sitecustomize.py").write_text(end, encoding="utf-8")
    code, out, err = interrupted_at("ending\n", tmp_path, shop, *entry(tmp_path, way), "status")
    assert (code, err) == (0, "")
    assert "customers" in out


def kept(shop: Path) -> dict[str, str]:
    """Log, ledger and store, but for the mark of who is importing, which the next import takes away."""
    return {name: one for name, one in digest(shop / ".dualgauge").items() if not name.endswith("-mark")}


def heed_ctrl_c() -> None:
    """A shell starts what it puts in the background deaf to Ctrl-C, and these tests may be run so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process said that ends by itself; one that does not must not outlive the test."""
    try:
        return process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()


def stop(process: subprocess.Popen[str]) -> None:
    """Ctrl-C."""
    assert process.poll() is None
    process.send_signal(signal.SIGINT)


# Places.


def test_no_home_and_a_working_folder_of_somebody_else_are_no_error(shop: Path, tmp_path: Path) -> None:
    done = shell("unset HOME; dualgauge status", shop)
    assert (done.returncode, done.stderr) == (0, "")

    done = shell(f"mkdir gone && cd gone && rmdir ../gone && dualgauge status --project {shop}", shop)
    # The shell itself complains of such a folder.
    assert (done.returncode, "error" in done.stderr, "Traceback" in done.stderr) == (0, False, False)


# Completion.


def test_bash_loads_the_completion_and_completes_commands_and_names(shop: Path) -> None:
    script = """
eval "$(dualgauge --show-completion bash)"
try() {
    COMP_WORDS=("$@"); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); COMPREPLY=()
    $(complete -p dualgauge | sed 's/.*-F \\([^ ]*\\) .*/\\1/') dualgauge
    echo "${COMPREPLY[@]}"
}
try dualgauge rep
try dualgauge diff ''
try dualgauge replay v2.
try dualgauge read cu
try dualgauge log import ''
try dualgauge log im
"""
    done = shell(script, shop)

    assert done.stderr == ""
    assert [set(line.split()) for line in done.stdout.splitlines()] == [
        {"replay", "report", "reports"},
        {"customers", "empty", "unlike"}, {"v2.customers"}, {"customers"}, {"orders"}, {"import"},
    ]  # fmt: skip


@pytest.mark.parametrize("shell_name", ["zsh", "fish"])
def test_zsh_and_fish_get_a_script_and_names(shell_name: str, shop: Path) -> None:
    shown = shell(f"dualgauge --show-completion {shell_name}", shop)
    asked = shell(
        "dualgauge", shop, _DUALGAUGE_COMPLETE=f"complete_{shell_name}", _TYPER_COMPLETE_ARGS="dualgauge replay v1",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )  # fmt: skip

    assert "_DUALGAUGE_COMPLETE" in shown.stdout
    assert (shown.returncode, asked.returncode) == (0, 0)
    assert "v1.customers" in asked.stdout
    assert asked.stderr == ""


def test_completion_runs_no_content_and_loads_no_engine(shop: Path) -> None:
    (shop / "comparators" / "customers.py").write_text(
        "raise SystemExit\nfrom dualgauge import Comparator\n\nwell = Comparator(key='customer')\n", encoding="utf-8"
    )
    program = """
import atexit, sys
atexit.register(lambda: print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr))
from dualgauge.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=shop,
        env={
            **os.environ, "PYTHONPATH": str(ROOT / "src"), "_DUALGAUGE_COMPLETE": "complete_bash",
            "COMP_WORDS": "dualgauge diff w", "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.stdout.split() == ["well"]
    # pydantic is there by typer's own doing.
    assert not set(done.stderr.split()) & {"duckdb", "pyarrow", "sqlalchemy", "deltalake", "sqlglot"}


@pytest.mark.parametrize("text", ["[tool.dualgauge", "[tool.dualgauge]\nsources = 3", "[tool.dualgauge]\npaths = 1"])
def test_half_written_settings_give_no_names_and_no_error(text: str, shop: Path) -> None:
    (shop / "pyproject.toml").write_text(text, encoding="utf-8")
    for words in ("dualgauge diff x", "dualgauge log import x"):
        done = shell(
            "dualgauge",
            shop,
            _DUALGAUGE_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split()) - 1),
        )
        assert (done.stdout.strip(), done.stderr) == ("", "")
