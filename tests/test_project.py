"""Finding the project, its settings and their mistakes, and content that is loaded by path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dualgauge
from dualgauge import Comparator
from dualgauge.model import Side
from dualgauge.project.content import collect, load
from dualgauge.project.errors import BadContent, BadSettings, BrokenToml, NoFolder, NoProject, NotATable
from dualgauge.project.project import find
from dualgauge.project.settings import validate
from dualgauge.settings import Settings
from support import cost

ROOT = Path(__file__).resolve().parents[1]
TABLE = '[tool.dualgauge]\nmigration = "orders"\n'


def project(folder: Path, text: str = TABLE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def mistakes(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as caught:
        dualgauge.open(project(folder, text))
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        f"{folder / 'pyproject.toml'}: {'; '.join(caught.value.mistakes)}. "
        "Mend the settings under [tool.dualgauge] and run the command again"
    )
    return caught.value.mistakes


# Finding it.


def test_the_nearest_project_upward_counts(tmp_path: Path) -> None:
    project(tmp_path)
    inner = project(tmp_path / "inner")
    below = inner / "a" / "b"
    below.mkdir(parents=True)

    assert find(below).root == inner
    assert find(inner).root == inner
    assert find(tmp_path / "inner" / "..").root == tmp_path


def test_a_pyproject_of_something_else_is_passed_over(tmp_path: Path) -> None:
    project(tmp_path)
    inner = project(tmp_path / "inner", '[project]\nname = "else"\n[tool.ruff]\n')

    assert find(inner).root == tmp_path


def test_a_tool_key_that_is_no_table_is_no_project(tmp_path: Path) -> None:
    project(tmp_path)

    assert find(project(tmp_path / "inner", 'tool = "none"\n')).root == tmp_path


def test_settings_that_are_no_table_are_refused(tmp_path: Path) -> None:
    inner = project(tmp_path / "inner", '[tool]\ndualgauge = "none"\n')

    with pytest.raises(NotATable) as refused:
        find(inner)

    assert str(refused.value) == (
        f"{inner / 'pyproject.toml'}: tool.dualgauge is 'none', and should be a table; "
        "begin it with a line [tool.dualgauge]"
    )


def test_where_there_is_no_project_the_error_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NoProject) as caught:
        find(tmp_path)

    assert str(caught.value) == (
        f"no dualgauge project in {tmp_path} or above it: no pyproject.toml there has a [tool.dualgauge] table; "
        "go to the project's folder, name it with --project DIR, or add the table"
    )
    assert [step.command for step in caught.value.next_steps] == ["dualgauge init", "dualgauge demo"]


def test_a_mistyped_folder_does_not_mean_the_project_above_it(tmp_path: Path) -> None:
    project(tmp_path)
    with pytest.raises(NoFolder) as caught:
        find(tmp_path / "ordres")

    assert str(caught.value) == f"there is no folder {tmp_path / 'ordres'}; name the project's folder, or one below it"


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    project(tmp_path, '[tool.dualgauge]\nmigration = "orders\n')
    with pytest.raises(BrokenToml, match=r"at line 2, column 20") as caught:
        find(tmp_path)

    assert str(caught.value).startswith(f"{tmp_path / 'pyproject.toml'} is not valid TOML: ")
    assert str(caught.value).endswith("; mend that line and run the command again")


def test_broken_toml_is_not_passed_over_for_a_project_above(tmp_path: Path) -> None:
    project(tmp_path)
    with pytest.raises(BrokenToml):
        find(project(tmp_path / "inner", "[tool.dualgauge\n"))


def test_a_settings_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf" + TABLE.encode())

    assert find(tmp_path).raw == {"migration": "orders"}


# Settings.


def test_an_unknown_key_is_told_with_the_nearest_and_the_known_ones(tmp_path: Path) -> None:
    assert mistakes(tmp_path, '[tool.dualgauge]\nmigration = "orders"\nledgr = {}\n') == (
        (
            "unknown key 'ledgr' in [tool.dualgauge] (did you mean 'ledger'?); "
            "known keys: channels, gates, ledger, log, migration, paths, schedules, sources, store"
        ),
    )


def test_an_unknown_key_inside_a_table_is_told_with_that_tables_keys(tmp_path: Path) -> None:
    assert mistakes(tmp_path, TABLE + '[tool.dualgauge.store]\nurls = "x"\n[tool.dualgauge.paths]\nview = "x"\n') == (
        "unknown key 'urls' in [tool.dualgauge.store] (did you mean 'url'?); known keys: adopt_url, migrate, url",
        (
            "unknown key 'view' in [tool.dualgauge.paths] (did you mean 'views_v2'?); "
            "known keys: comparators, migrations, reports, views_v1, views_v2"
        ),
    )


def test_an_unknown_key_of_a_source_is_told_with_the_keys_of_sources(tmp_path: Path) -> None:
    (told,) = mistakes(
        tmp_path,
        TABLE
        + '[[tool.dualgauge.sources]]\nname = "a"\npath = "a.csv"\ntype = "t"\noccured_at = "x"\noccurred_at = "x"\n',
    )
    assert told == (
        "unknown key 'occured_at' in [tool.dualgauge.sources.0] (did you mean 'occurred_at'?); "
        "known keys: caused_by, cursor, event_id, name, occurred_at, order_by, path, python, query, read, select, "
        "statement, table, type, url, where"
    )


def test_all_mistakes_are_told_at_once_each_with_its_key(tmp_path: Path) -> None:
    told = mistakes(
        tmp_path,
        '[tool.dualgauge]\nmigration = 3\nlog = "x"\nsources = "y"\n'
        '[tool.dualgauge.paths]\nreports = 5\n[tool.dualgauge.store]\nmigrate = "perhaps"\n',
    )
    assert told == (
        "tool.dualgauge.migration = 3: should be a valid string",
        "tool.dualgauge.log = 'x': should be a table",
        "tool.dualgauge.sources = 'y': should be a list (an array of tables is written [[tool.dualgauge.sources]])",
        "tool.dualgauge.store.migrate = 'perhaps' is not allowed; allowed: 'auto' or 'manual'",
        "tool.dualgauge.paths.reports = 5: should be a valid string",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.dualgauge]\n", "tool.dualgauge.migration is missing"),
        (
            '[tool.dualgauge]\nmigration = "a:b"\n',
            ("tool.dualgauge.migration: a migration's name is not empty and has no colon "
            "(it is half of the salt that units are hashed with)"),
        ),
        (
            TABLE + '[tool.dualgauge.log.columns]\ncents = "INT"\n',
            ("tool.dualgauge.log.columns: cents = 'INT': integers are BIGINT in the log (it has one "
            "width, and no unsigned ones); allowed: BIGINT, DOUBLE, VARCHAR, BOOLEAN, DATE, TIMESTAMP, TIMESTAMPTZ, "
            "BLOB, DECIMAL(p,s)"),
        ),
        (
            TABLE + '[tool.dualgauge.log.columns]\nposition = "BIGINT"\n',
            ("tool.dualgauge.log.columns: 'position' is a column of every event already (position, event_id, type, "
            "occurred_at, recorded_at, payload); choose another name"),
        ),
        (
            TABLE + '[tool.dualgauge.store]\nurl = "postgresql://h/d"\n',
            ("tool.dualgauge.store.url: 'postgresql' stores are not supported yet; this version serves from SQLite: "
            "sqlite:///PATH with {side} in it"),
        ),
        (
            TABLE + '[tool.dualgauge.store]\nurl = "sqlite:///views.db"\n',
            ("tool.dualgauge.store.url: a SQLite store is one file a side: the url needs {side} in it, "
            "as in sqlite:///.dualgauge/views_{side}.db"),
        ),
        (
            TABLE + '[[tool.dualgauge.sources]]\nname = "a"\n',
            ("tool.dualgauge.sources.0: source 'a' needs either path = \"...\" or python = \"package.module:name\" or "
            'url = "postgresql://..."'),
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_with_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    assert mistakes(tmp_path, text) == (said,)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    source = '[[tool.dualgauge.sources]]\nname = "a"\npath = "a.csv"\ntype = "t"\noccurred_at = "x"\n'
    assert mistakes(tmp_path, TABLE + source + source) == (
        "tool.dualgauge.sources: two sources are called 'a'; give each a name of its own",
    )


def test_a_project_without_further_settings_has_the_documented_places(tmp_path: Path) -> None:
    found = dualgauge.open(project(tmp_path))

    assert found.settings.migration == "orders"
    assert found.project.views(Side.V1, found.settings.paths) == tmp_path / "views_v1"
    assert found.ledger_url == f"sqlite:///{tmp_path}/.dualgauge/ledger.db"


def test_every_folder_can_be_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    folder = project(
        tmp_path / "project",
        TABLE + f'[tool.dualgauge.paths]\nviews_v1 = "old"\nviews_v2 = "{elsewhere}"\ncomparators = "same"\n',
    )
    (folder / "old").mkdir()
    (folder / "old" / "orders.sql").write_text("-- key: k\nSELECT type AS k FROM events")
    elsewhere.mkdir()
    (elsewhere / "orders.sql").write_text("-- key: k\nSELECT type AS k, count(*) AS n FROM events GROUP BY type")

    plans = dualgauge.open(folder).views.plan()
    assert [(one.view.label, one.view.file) for one in plans] == [
        ("v1.orders", folder / "old" / "orders.sql"),
        ("v2.orders", elsewhere / "orders.sql"),
    ]


def test_settings_cannot_be_changed_once_read(tmp_path: Path) -> None:
    settings = validate(Settings, find(project(tmp_path)).raw, tmp_path / "pyproject.toml")
    with pytest.raises(ValueError, match="frozen"):
        settings.migration = "another"


# Content.


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


COMPARATOR = 'from dualgauge import Comparator\n{name} = Comparator(key="{key}")\n'


def test_two_projects_in_one_process_do_not_see_each_others_files(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "orders.py", COMPARATOR.format(name="orders", key="a"))
    two = write(tmp_path / "two", "orders.py", COMPARATOR.format(name="orders", key="b"))

    assert collect(one, Comparator)["orders"].keys == ("a",)
    assert collect(two, Comparator)["orders"].keys == ("b",)
    assert collect(one, Comparator)["orders"].keys == ("a",)


def test_a_changed_file_is_read_anew_and_nothing_is_written_beside_it(tmp_path: Path) -> None:
    folder = write(tmp_path, "orders.py", COMPARATOR.format(name="orders", key="a"))
    collect(folder, Comparator)
    write(tmp_path, "orders.py", COMPARATOR.format(name="orders", key="b"))

    assert collect(folder, Comparator)["orders"].keys == ("b",)
    assert [path.name for path in folder.iterdir()] == ["orders.py"]


def test_content_named_like_a_library_does_not_hide_it(tmp_path: Path) -> None:
    folder = write(tmp_path, "json.py", COMPARATOR.format(name="json", key="a"))
    assert list(collect(folder, Comparator)) == ["json"]

    assert json.loads("1") == 1


def test_only_comparators_with_public_names_count(tmp_path: Path) -> None:
    folder = write(tmp_path, "a.py", COMPARATOR.format(name="_base", key="a") + "number = 1\nshown = _base\n")
    assert list(collect(folder, Comparator)) == ["shown"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\n\ndef f():\n    return 1 / 0\n\nb = f()\n", "line 4: ZeroDivisionError: division by zero"),
        ("a = 1\nb = (\n", "line 2: SyntaxError: '(' was never closed"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("import sys\nsys.exit(0)\n", "line 2: SystemExit: 0"),
        (
            "from dualgauge import Comparator\norders = Comparator()\n",
            "line 2: BadComparator: Comparator: key is empty; name the column or columns that identify a row",
        ),
    ],
)
def test_a_comparator_file_that_raises_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, "orders.py", text) / "orders.py"
    with pytest.raises(BadContent) as caught:
        load(file)

    head, _, tail = str(caught.value).partition(said)
    assert (head, tail.partition("; mend")[2]) == (
        f"{file} cannot be loaded: ",
        " the file and run the command again",
    )


def test_two_comparators_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.py", COMPARATOR.format(name="orders", key="a"))
    write(tmp_path, "b.py", COMPARATOR.format(name="orders", key="b"))
    with pytest.raises(BadContent) as caught:
        collect(tmp_path, Comparator)

    assert str(caught.value) == (
        f"{tmp_path / 'b.py'} cannot be loaded: 'orders' is already defined in {tmp_path / 'a.py'}; "
        "give one of them another name; mend the file and run the command again"
    )


def test_the_fast_tests_are_files_that_are_there() -> None:
    """That none of them starts a process, `make test-fast` holds when it runs them."""
    files = cost.fast_files()

    assert files
    assert [one for one in sorted(files) if not (cost.FAST.parents[2] / one).is_file()] == []
