"""`dualgauge init`: a project is laid out beside what is there, nothing is overwritten, and it may be killed."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.project.settings import validate
from dualgauge.scaffold.demo import content
from dualgauge.scaffold.init import SETTINGS, STAGING, LayingOutFailed, NotLaidOut, OtherName, lay_out
from dualgauge.settings import Settings
from support.shop import EVENTS, ROOT, call

if TYPE_CHECKING:
    from collections.abc import Iterator

LAID_OUT = [
    "comparators/",
    "migrations/",
    "migrations/env.py",
    "migrations/script.py.mako",
    "migrations/versions/",
    "pyproject.toml",
    "reports/",
    "reports/README.md",
    "views_v1/",
    "views_v2/",
]

# Each change of the file system is counted; at the asked-for one the process kills itself, before it happens.
KILLED = """
import os, signal, sys
from pathlib import Path
from dualgauge.scaffold.init import lay_out

CHANGES = {"os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "shutil.copymode"}
moment = 0
while True:
    moment += 1
    folder = Path(sys.argv[1], f"killed-{moment}")
    folder.mkdir()
    (folder / "pyproject.toml").write_text(sys.argv[2])
    (folder / ".gitignore").write_text("build/")
    child = os.fork()
    if child == 0:
        seen = 0
        def dies(event, given):
            global seen
            writes = event == "open" and isinstance(given[1], str) and set(given[1]) & set("wxa")
            if event in CHANGES or writes:
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(dies)
        lay_out(folder, name="shop")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print(moment, os.waitstatus_to_exitcode(status))
        break
"""


def there(folder: Path) -> list[str]:
    """Everything in a folder, folders with a slash."""
    return sorted(
        f"{one.relative_to(folder).as_posix()}{'/' if one.is_dir() else ''}" for one in folder.rglob("*")
    )  # fmt: skip


def held(folder: Path) -> dict[str, bytes]:
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_an_empty_folder_becomes_a_project_whose_settings_are_the_defaults(tmp_path: Path) -> None:
    said = call("init", "shop", folder=tmp_path)

    shop = tmp_path / "shop"
    assert (said.exit_code, said.err) == (0, "")
    assert said.out.splitlines()[0] == f"laid out the migration 'shop' in {shop}"
    assert "next: dualgauge log add FILE --write" in said.out
    assert there(shop) == LAID_OUT
    assert (shop / "migrations/env.py").read_bytes() == (content() / "migrations/env.py").read_bytes()
    raw = tomllib.loads((shop / SETTINGS).read_text())
    assert validate(Settings, raw["tool"]["dualgauge"], shop / SETTINGS) == Settings(migration="shop")
    assert raw["tool"]["alembic"] == {"script_location": "%(here)s/migrations"}


def test_a_project_that_was_laid_out_takes_events_and_is_built(tmp_path: Path) -> None:
    """The files are whole: nothing has to be added but a source and views."""
    lay_out(tmp_path)
    (tmp_path / "orders.csv").write_text(EVENTS)
    (tmp_path / "views_v1" / "orders.sql").write_text("-- key: event_id\nSELECT event_id, cents FROM events\n")

    assert call("log", "add", "orders.csv", "--write", folder=tmp_path).exit_code == 0
    assert call("log", "import", "--all", folder=tmp_path).exit_code == 0
    said = call("replay", folder=tmp_path)

    assert (said.exit_code, said.err) == (0, "")
    assert [one.name for one in (tmp_path / "migrations/versions").glob("*.py")] == ["0001_shapes_of_orders.py"]


def test_a_second_run_has_nothing_to_do_and_changes_nothing(tmp_path: Path) -> None:
    call("init", folder=tmp_path)
    before = held(tmp_path)

    said = call("init", folder=tmp_path)

    assert (said.exit_code, said.err) == (0, "")
    assert said.out == f"{tmp_path} has the migration {tmp_path.name!r} already; nothing to add\n"
    assert held(tmp_path) == before


def test_what_a_clone_lacks_is_added_again(tmp_path: Path) -> None:
    """Git keeps no empty folders."""
    lay_out(tmp_path, name="shop")
    (tmp_path / "comparators").rmdir()
    (tmp_path / "migrations/versions").rmdir()

    said = call("init", folder=tmp_path)

    assert said.out.startswith(f"{tmp_path} has the migration 'shop' already; added what was missing:\n  added")
    assert there(tmp_path) == LAID_OUT


def test_another_name_than_the_projects_is_a_conflict(tmp_path: Path) -> None:
    lay_out(tmp_path, name="shop")
    before = held(tmp_path)

    with pytest.raises(OtherName) as refused:
        lay_out(tmp_path, name="orders")

    assert refused.value.exit_code == 5
    assert str(refused.value) == (
        f"{tmp_path / SETTINGS} has the migration 'shop' already, and init does not rename it to 'orders'; nothing was "
        "changed: leave --name out, or change `migration` in the file while nothing is replayed yet"
    )
    assert held(tmp_path) == before


def test_a_name_that_cannot_be_hashed_with_is_refused(tmp_path: Path) -> None:
    said = call("init", "--name", "a:b", folder=tmp_path)

    assert said.exit_code == 2
    assert said.err == (
        f"error: nothing was laid out in {tmp_path}: 'a:b' is no migration's name (not empty, no colon); give another "
        "with --name, and run the command again\n"
    )
    assert there(tmp_path) == []


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n# the end"])
@pytest.mark.parametrize("tool", ["", '[tool.ruff]  # ours\nline-length=100\n\n[project.urls]\nx = "y"'])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_pyproject_that_is_there_is_kept_byte_for_byte(
    newline: str, end: str, tool: str, mark: str, tmp_path: Path
) -> None:
    text = f'{mark}# Ours.\n[project]\nname = "shop" # ours\nversion="1"\n\n{tool}{end}'.replace("\n", newline)
    (tmp_path / SETTINGS).write_bytes(text.encode())

    done = lay_out(tmp_path, name="shop")

    after = (tmp_path / SETTINGS).read_bytes()
    assert after.startswith(text.encode())
    assert after.count(b"\r\n") == (after.count(b"\n") if newline == "\r\n" else 0)
    raw = tomllib.loads(after.decode("utf-8-sig"))
    before = tomllib.loads(text.removeprefix("\ufeff"))
    assert raw["project"] == before["project"]
    assert {name: raw["tool"][name] for name in before.get("tool", {})} == before.get("tool", {})
    assert raw["tool"]["alembic"] == {"script_location": "%(here)s/migrations"}
    assert "pyproject.toml" in [one.path for one in done.added]
    assert dualgauge.open(tmp_path).settings == Settings(migration="shop")


def test_an_alembic_environment_of_the_users_own_is_not_touched(tmp_path: Path) -> None:
    theirs = {
        "migrations/env.py": b"# theirs\n",
        "migrations/versions/1_users.py": b"# theirs\n",
        "pyproject.toml": b'[tool.alembic]\nscript_location = "migrations"\n',
        "tests/test_it.py": b"",
        "views_v1/orders.sql": b"-- adopt: orders\n-- key: id\n",
    }
    for name, body in theirs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)

    said = call("init", folder=tmp_path)

    now = held(tmp_path)
    assert said.exit_code == 0
    assert {name: now[name] for name in theirs if name != SETTINGS} == {
        name: body for name, body in theirs.items() if name != SETTINGS
    }
    assert now[SETTINGS].startswith(theirs[SETTINGS])
    assert (tmp_path / "dualgauge_migrations/env.py").is_file()
    migration = dualgauge.open(tmp_path)
    assert migration._workspace.migrations_folder == tmp_path / "dualgauge_migrations"
    assert tomllib.loads(now[SETTINGS].decode())["tool"]["alembic"] == {"script_location": "migrations"}
    left = dict(line.split(maxsplit=2)[1:] for line in said.out.splitlines() if line.startswith("  left "))
    assert left == {
        "migrations/": "your own: not touched; the views' shapes go beside it",
        "views_v1/": "is there already",
        "[tool.alembic]": "is there already",
    }
    assert call("init", folder=tmp_path).out.endswith("already; nothing to add\n")


def test_an_alembic_ini_keeps_its_say(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = db\n")

    lay_out(tmp_path)

    assert set(tomllib.loads((tmp_path / SETTINGS).read_text())["tool"]) == {"dualgauge"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"build/", b"build/\n.dualgauge/\n"),
        (b"build/\r\n", b"build/\r\n.dualgauge/\r\n"),
        (b"", b".dualgauge/\n"),
        (b"/.dualgauge\n", b"/.dualgauge\n"),
    ],
)
def test_a_gitignore_gets_one_line(before: bytes, after: bytes, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(before)

    lay_out(tmp_path)
    lay_out(tmp_path)

    assert (tmp_path / ".gitignore").read_bytes() == after


def test_a_repository_gets_a_gitignore(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    lay_out(tmp_path / "sub")

    assert (tmp_path / "sub/.gitignore").read_text() == ".dualgauge/\n"


def test_a_dry_run_says_the_same_and_makes_nothing(tmp_path: Path) -> None:
    would = call("init", "shop", "--dry-run", folder=tmp_path)
    assert there(tmp_path) == []
    did = call("init", "shop", folder=tmp_path)

    assert would.out.splitlines()[1:] == [line for line in did.out.splitlines()[1:] if not line.startswith("next:")]


def test_the_answer_as_json_lists_what_was_added(tmp_path: Path) -> None:
    said = call("init", "--name", "shop", "--format", "json", folder=tmp_path).json

    assert (said["schema"], said["exit_code"], said["error"]) == ("dualgauge.init/1", 0, None)
    assert said["result"]["migration"] == "shop"
    assert {"migrations/env.py", "pyproject.toml", "views_v2/"} <= {one["path"] for one in said["result"]["added"]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[tool\n", "is not valid TOML: Expected ']'"),
        (b"name = \xff\n", "is not valid TOML: 'utf-8' codec can't decode"),
        (b"tool = {ruff = {}}\n", "has `tool` as an inline table, which cannot grow"),
    ],
)
def test_a_broken_pyproject_stops_it_before_anything_is_made(text: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_bytes(text)

    said = call("init", folder=tmp_path)

    assert said.exit_code == 2
    assert said.err.startswith(f"error: nothing was laid out in {tmp_path}: {tmp_path / SETTINGS} {reason}")
    assert held(tmp_path) == {SETTINGS: text}
    assert there(tmp_path) == [SETTINGS]


def test_a_file_in_a_folders_place_stops_it_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "views_v2").write_text("")
    (tmp_path / "file").write_text("")

    with pytest.raises(NotLaidOut, match="views_v2 is a file, where the project has a folder; move it away, and run"):
        lay_out(tmp_path)
    with pytest.raises(NotLaidOut, match="it is a file; name a folder, and run the command again"):
        lay_out(tmp_path / "file")

    assert there(tmp_path) == ["file", "views_v2"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, and only its owner can write."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755 if os.geteuid() == 0 else 0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_written_is_told_in_one_paragraph(open_folder: Path) -> None:
    # Root may write everywhere, so it is somebody else for a moment.
    nobody, me = 65534, os.geteuid()
    if me == 0:
        os.seteuid(nobody)
    try:
        said = call("init", str(open_folder), folder=Path("/"))
    finally:
        os.seteuid(me)

    assert said.exit_code == 1
    assert said.err.startswith(f"error: {open_folder} cannot be laid out: Permission denied")
    assert said.err.endswith(
        "see that the folder can be written and that the disk has room, and run the command again\n"
    )
    assert there(open_folder) == []


def test_a_disk_that_is_full_leaves_nothing_half_made_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """The settings are the largest file, so smaller ones are made before the disk is full."""
    (tmp_path / SETTINGS).write_text('[project]\nname = "shop"\n')
    before = held(tmp_path)

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_200, hard))
    try:
        with pytest.raises(LayingOutFailed) as failed:
            lay_out(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert "cannot be laid out: File too large" in str(failed.value)
    assert "nothing is half made" in str(failed.value)
    assert {path: text for path, text in held(tmp_path).items() if path in before} == before
    whole = tmp_path / "beside" / "whole"
    whole.mkdir(parents=True)
    (whole / SETTINGS).write_text('[project]\nname = "shop"\n')
    lay_out(whole, name="shop")
    finished = held(whole)
    shutil.rmtree(whole.parent)
    assert held(tmp_path).items() <= {**finished, **before}.items()
    lay_out(tmp_path, name="shop")
    assert held(tmp_path) == finished


def test_a_project_killed_at_any_moment_is_completed_by_the_next_run(tmp_path: Path) -> None:
    text = '[project]\nname = "shop"\n'
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), text],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    moments, code = map(int, done.stdout.split())
    whole = held(tmp_path / f"killed-{moments}")

    assert code == 0
    assert moments > 20
    halves = set()
    for moment in range(1, moments):
        folder = tmp_path / f"killed-{moment}"
        halves.add(tuple(one for one in there(folder) if not one.startswith(STAGING)))
        # Until the settings are in place, they are what they were.
        assert (folder / SETTINGS).read_bytes() in (text.encode(), whole[SETTINGS])
        lay_out(folder, name="shop")
        assert held(folder) == whole
        assert there(folder) == there(tmp_path / f"killed-{moments}")
    assert len(halves) > 8
