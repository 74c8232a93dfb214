"""The README's quickstart and the pages of docs/ are run as printed: files, commands, outputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.shop import build

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\*\*`(?P<path>[^`]+)`\*\*$")

# What differs from run to run: times, run ids, seconds, who, where the project lies.
MASKS = (
    (re.compile(r"\d{8}T\d{6}Z-(\w+)-[0-9a-f]{6}"), r"RUN-\1"),
    (re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z  \S+@\S+"), "WHEN  WHO"),
    (re.compile(r"/\S*/shop/"), "SHOP/"),
    (re.compile(r"\b\d+\.\d\b(?=\s*$)", re.MULTILINE), "SECONDS"),
    (re.compile(r"[ \t]+"), " "),
)


def section(text: str, heading: str) -> str:
    """A page's part from a heading to the next of its level."""
    return re.split(r"^## ", text, flags=re.MULTILINE)[1 + headings(text).index(heading)]


def headings(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def masked(text: str) -> list[str]:
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return [line.strip() for line in text.strip().splitlines()]


def calls(body: str) -> list[tuple[str, str]]:
    """A console block as (command, what it prints)."""
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside the repository, and the commands `dualgauge` and `python` as an installation gives them."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, call in (("dualgauge", f"{sys.executable} -m dualgauge"), ("python", sys.executable)):
        (commands / name).write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    (tmp_path / "dualgauge").symlink_to(ROOT)
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def play(text: str, folder: Path) -> list[tuple[str, str, str]]:
    """Write the files and run the commands of a text, in its order; gives (command, printed there, printed now)."""
    played = []
    for block in FENCE.finditer(text):
        if file := FILE.search(block["before"]):
            path = folder / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["body"], encoding="utf-8")
        elif block["language"] == "console":
            for command, output in calls(block["body"]):
                done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
                played.append((command, output, done.stdout + done.stderr))
    return played


def test_the_quickstart_does_what_the_readme_shows(shop: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    played = play(section(readme, "Your own project in five minutes"), shop)

    assert [masked(f"$ {command}\n{now}") for command, _, now in played] == [
        masked(f"$ {command}\n{shown}") for command, shown, _ in played
    ]
    typed = " ".join(command for command, _, _ in played)
    for verb in ("log import", "replay", "diff", "switch", "read", "rollback", "journal"):
        assert f"dualgauge {verb}" in typed


def test_the_quickstart_shows_every_file_that_it_needs() -> None:
    text = section((ROOT / "README.md").read_text(encoding="utf-8"), "Your own project in five minutes")
    named = [found["path"] for block in FENCE.finditer(text) if (found := FILE.search(block["before"]))]

    assert named == [
        "data/orders.csv",
        "pyproject.toml",
        "views_v1/customers.sql",
        "views_v2/customers.sql",
        "comparators/customers.py",
        "comparators/customers.py",
        "app.py",
    ]


@pytest.mark.parametrize("page", ["views", "comparators", "json"])
def test_what_a_page_shows_is_what_happens_in_a_small_project(page: str, shop: Path) -> None:
    build(shop)
    played = play((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), shop)

    assert played
    for command, shown, now in played:
        # A page shows the beginning of a long answer.
        assert masked(f"$ {command}\n{now}")[: len(masked(f"$ {command}\n{shown}"))] == masked(f"$ {command}\n{shown}")
        assert "error:" not in now
