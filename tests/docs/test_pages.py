"""Every page of docs/ does what it shows: files, commands, scripts, outputs; how is told in support/snippets.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.snippets import (
    PARSED,
    ROOT,
    RUNNABLE,
    STARTS,
    CannotPlay,
    blocks,
    calls,
    commands,
    parse,
    play,
    prepare,
    shown_is_said,
    start_of,
    wrong,
)

if TYPE_CHECKING:
    from pathlib import Path

DOCS = ROOT / "docs"

HOW = """\
docs/{page} has snippets that nobody runs. Say how it is played, in a comment of its own line:
<!-- play: shop --> in a small project that is built, <!-- play: empty --> in an empty folder,
<!-- play: retail --> with the real data sets beside it, or <!-- play: tests/docs/test_NAME.py --> where a test of its
own plays it."""


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def pages() -> list[str]:
    return sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def runs(page: str) -> bool:
    """Whether a page has anything to run."""
    return any((one.language in RUNNABLE or one.path) and not one.why_not_run for one in blocks(text_of(page)))


def start(page: str) -> str:
    return start_of(text_of(page)) or ""


@pytest.mark.parametrize("page", [page for page in pages() if runs(page)])
def test_a_page_with_snippets_says_how_they_are_played(page: str) -> None:
    asked = start(page)
    assert asked, HOW.format(page=page)
    if asked not in STARTS:
        test = ROOT / asked
        assert test.is_file(), f"docs/{page} is played by {asked}, which is not there"
        assert page.rpartition("/")[2] in test.read_text(encoding="utf-8"), f"{asked} says nothing of {page}"


@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_is_of_the_language_that_it_says(page: str) -> None:
    for block in blocks(text_of(page)):
        if not block.path and block.language not in RUNNABLE - {"python"}:
            parse(block)


@pytest.mark.parametrize("page", [page for page in pages() if runs(page) and start(page) in STARTS])
def test_what_a_page_shows_is_what_happens(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    folder = commands(tmp_path, monkeypatch)
    prepare(start(page), folder, request.getfixturevalue("data_folder") if start(page) == "retail" else None)

    assert wrong(play(text_of(page), folder)) == []


def test_an_answer_may_leave_lines_out_but_not_change_them() -> None:
    said = ["first", "second", "third"]

    assert shown_is_said(["first", "..."], said)
    assert shown_is_said(["first", "...", "third"], said)
    assert shown_is_said(["...", "third"], said)
    assert not shown_is_said(["first", "third"], said)
    assert not shown_is_said(["...", "fourth"], said)
    assert not shown_is_said(["first"], [])


def test_a_page_that_shows_what_does_not_happen_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = commands(tmp_path, monkeypatch)

    played = play(
        "```console\n$ echo one\ntwo\n$ false\n$ echo $?\n1\n$ echo error: no; echo yes\nerror: no\n```\n", folder
    )

    assert wrong(played) == [
        "$ echo one\n--- shown\ntwo\n--- now\none\n",
        "$ false\n--- exit code 1, and the page shows nothing of it\n",
    ]


def test_folder_and_variables_go_on_from_command_to_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = commands(tmp_path, monkeypatch)

    played = play(
        "```console\n$ mkdir in\n$ cd in\n$ export A=1\n$ echo $A \\\n  $(basename $PWD)\n1 in\n```\n", folder
    )

    assert wrong(played) == []


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("```toml\na = \n```\n", "line 1: is no toml"),
        ("```json\n{]\n```\n", "line 1: is no json"),
        ("```yaml\na: [\n```\n", "line 1: is no yaml"),
        ("```sql\nSELEC 1\n```\n", "line 1: is no sql"),
        ("```python\ndef\n```\n", "line 1: the script fails"),
        ("```cobol\nSTOP RUN.\n```\n", "line 1: nobody knows how to play 'cobol'"),
        ("```console\nls\n```\n", "line 1: a block of commands begins with"),
    ],
)
def test_a_block_that_is_not_what_it_says_is_found_out(block: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(CannotPlay, match=fault):
        play(block, tmp_path)


def test_a_block_that_a_page_leaves_out_is_not_run(tmp_path: Path) -> None:
    text = "<!-- not run: it takes an hour -->\n```console\n$ touch here\n```\n"

    assert play(text, tmp_path) == []
    assert [block.why_not_run for block in blocks(text)] == ["it takes an hour"]
    assert not (tmp_path / "here").exists()


def test_a_command_may_go_on_in_the_next_line() -> None:
    assert calls("$ one \\\n    two\nanswer\n$ three\n") == [("one two", "answer\n"), ("three", "")]


def test_languages_that_are_run_are_not_only_parsed() -> None:
    assert not RUNNABLE & PARSED
