"""The README's quickstart is run as printed: files, commands, outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.snippets import ROOT, blocks, calls, commands, headings, masked, play, section

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return commands(tmp_path, monkeypatch)


PLAYED = ("Compare two files", "Your own project", "Checks, gates, a report")


def played_text() -> str:
    readme = README.read_text(encoding="utf-8")
    return "".join(section(readme, heading) for heading in PLAYED)


def test_the_quickstart_does_what_the_readme_shows(shop: Path) -> None:
    played = play(played_text(), shop)

    assert [masked(f"$ {one.command}\n{one.now}") for one in played] == [
        masked(f"$ {one.command}\n{one.shown}") for one in played
    ]
    typed = " ".join(one.command for one in played)
    for verb in ("init", "log add", "log import", "replay", "diff", "check", "switch", "read", "report", "rollback"):
        assert f"dualgauge {verb}" in typed
    assert [one.exit_code for one in played if one.exit_code] == [4, 4, 3]


def test_the_quickstart_shows_every_file_that_it_needs() -> None:
    assert [block.path for block in blocks(played_text()) if block.path] == [
        "old.csv",
        "new.csv",
        "data/orders.csv",
        "views_v1/customers.sql",
        "views_v2/customers.sql",
        "comparators/customers.py",
        "comparators/customers.py",
        "app.py",
    ]


def test_a_first_verdict_takes_six_commands() -> None:
    text = section(README.read_text(encoding="utf-8"), "Your own project")
    commands_typed = [
        command for block in blocks(text) if block.language == "console" for command, _ in calls(block.body)
    ]

    assert commands_typed.index("dualgauge diff") < 6


def test_nothing_of_the_readme_is_left_unrun_without_saying_so() -> None:
    readme = README.read_text(encoding="utf-8")
    console = {heading for heading in headings(readme) if "```console" in section(readme, heading)}

    # The demo is run by test_demo.py, the wheel is built and installed by test_packaging.py.
    assert console - set(PLAYED) == {"See it", "Install"}


def test_what_the_first_screen_shows_stands_in_what_is_played() -> None:
    first = README.read_text(encoding="utf-8").partition("\n## ")[0]
    pages = [
        played_text(),
        *((ROOT / "docs" / "guides" / f"{name}.md").read_text() for name in ("canary", "scheduling")),
    ]
    whole = "\n".join(line.rstrip() for page in pages for line in page.splitlines())

    shown = [block.body.strip().removesuffix("\n...") for block in blocks(first)]
    assert len(shown) == 5
    # The nights of that one are played in tests/reporting/test_series.py.
    assert [body.splitlines()[0] for body in shown if body not in whole] == ["$ dualgauge report --series customers"]
