"""
A page of the documentation, played: its files are written, its commands run, its Python run, its rest parsed.

How a page says what is to happen:

- a comment once in the page, `<!-- play: shop -->`, names what lies there before it begins: `shop` (the small project
  of `support/shop.py`, built), `empty` (an empty folder), `retail` (an empty folder, and the real data sets in
  `../shared/data`), or a test file that plays the page by itself (`<!-- play: tests/docs/test_tutorial.py -->`);
- a fence under a line that ends in a bold path, **`views_v1/orders.sql`**, is a file;
- `console` holds commands after `$ `, and what they print: its beginning, `...` stands for lines left out. `cd`,
  `export` and `$?` go on from command to command; a line that ends in a backslash goes on in the next;
- `python` without a path is run as a script; `toml`, `json`, `yaml` and `sql` without a path must parse;
- `<!-- not run: why -->` right over a fence leaves it out.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from support.shop import build, call

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

ROOT = Path(__file__).resolve().parents[2]

PLAIN = re.compile(r"(?P<words>dualgauge(?! demo)(?:[^|&;<>$`\\~*?!#()\n]|(?<=\S)#)*)(?: > (?P<file>[\w.]+))?")
"""A command that needs no shell; its answer may go into a file."""

CODE = re.compile(r'echo (?:\$\?|"(?P<words>[\w ]*)\$\?")')
"""Asks for the exit code of the command before."""

OF_THE_SHELL = {"_", "OLDPWD", "PWD", "SHLVL"}

FILE = re.compile(r"\*\*`(?P<path>[^`]+)`\*\*$")
PLAY = re.compile(r"^<!-- play: (.+?) -->$", re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: (.+) -->$")
FENCE = re.compile(r"(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w-]*)\n?$")

STARTS = ("empty", "shop", "retail")
RUNNABLE = {"console", "python", "sh"}
PARSED = {"toml", "json", "yaml", "sql"}
SHOWN_ONLY = {"", "csv", "text", "mermaid", "ini", "crontab", "diff"}

# What differs from run to run: times, run ids, seconds, digests, who, where the project lies.
MASKS = (
    (re.compile(r"\d{8}T\d{6}Z-([\w-]+)-[0-9a-f]{6}"), r"RUN-\1"),
    (re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z  \S+@\S+"), "WHEN  WHO"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|\+00:00)"), "WHEN"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"\bchain [0-9a-f]{16}\b"), "chain CHAIN"),
    (re.compile(r"(?<=\d{16}-)[0-9a-f]{8}-[0-9a-f]{16}\.parquet"), "TOKEN.parquet"),
    (re.compile(r"/\S*/shop\b"), "SHOP"),
    (re.compile(r"(?<=[( ])\w[\w.-]*@[\w.-]+"), "WHO"),
    (re.compile(r"\b\d+\.\d+(?=\s*$| s\b)", re.MULTILINE), "SECONDS"),
    (re.compile(r"\b\d+ (s|seconds?|minutes?) (ago|old)\b"), r"AGE \2"),
    (re.compile(r"\bpid \d+"), "pid PID"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fence of a page: `before` is the last line with text above it, `line` counts from 1."""

    language: str
    body: str
    before: str
    line: int

    @property
    def path(self) -> str | None:
        """The file that it is, if it is one."""
        found = FILE.search(self.before)
        return found["path"] if found else None

    @property
    def why_not_run(self) -> str | None:
        """The page's own reason for leaving it out."""
        found = NOT_RUN.search(self.before)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Played:
    """A command, what the page shows of its answer, and what it answered: stdout, then stderr."""

    command: str
    shown: str
    now: str
    exit_code: int


class CannotPlay(AssertionError):
    """A page holds something that is not as it should be."""


def blocks(text: str) -> list[Block]:
    """Every fence of a text, in order."""
    found: list[Block] = []
    before, opened, start, body = "", None, 0, list[str]()
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if opened is None:
            if opened := FENCE.match(line):
                start, body = number, []
            elif line.strip():
                before = line.strip()
        elif line.strip() == opened["ticks"]:
            found.append(Block(opened["language"], "".join(body), before, start))
            before, opened = "", None
        else:
            body.append(line.removeprefix(opened["indent"]))
    return found


def headings(text: str) -> list[str]:
    """The headings of the second level."""
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def section(text: str, heading: str) -> str:
    """A page's part from a heading to the next of its level."""
    return re.split(r"^## ", text, flags=re.MULTILINE)[1 + headings(text).index(heading)]


def masked(text: str) -> list[str]:
    """A command's answer as lines, without what differs from run to run."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return [line.strip() for line in text.strip().splitlines()]


def calls(body: str) -> list[tuple[str, str]]:
    """A console block as (command, what it prints)."""
    joined = re.sub(r"\\\n(?:> )?\s*", "", body)
    parts = re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def is_plain(command: str) -> bool:
    """Whether a line holds nothing but commands of dualgauge, one after the other, and questions for their code."""
    # A quoted semicolon would leave two halves of a quotation.
    return all(
        (PLAIN.fullmatch(part) or CODE.fullmatch(part)) and not (part.count('"') % 2 or part.count("'") % 2)
        for part in command.split("; ")
    )


def shown_is_said(shown: Sequence[str], said: Sequence[str]) -> bool:
    """Whether an answer begins with the lines shown; `...` stands for any lines, also for none."""
    if not shown:
        return True
    if shown[0] == "...":
        return any(shown_is_said(shown[1:], said[at:]) for at in range(len(said) + 1))
    return bool(said) and shown[0] == said[0] and shown_is_said(shown[1:], said[1:])


def commands(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """
    Give a folder `shop` beside the repository, and the commands `dualgauge` and `python` as an installation has them.

    Args:
        folder: an empty folder, for all of it.
        patch: undoes the changes of the environment.
    """
    names = folder / "bin"
    names.mkdir()
    for name, starts in (("dualgauge", f"{sys.executable} -m dualgauge"), ("python", sys.executable)):
        (names / name).write_text(f'#!/bin/sh\nexec {starts} "$@"\n')
        (names / name).chmod(0o755)
    patch.setenv("PATH", f"{names}{os.pathsep}{os.environ['PATH']}")
    patch.setenv("PYTHONPATH", str(ROOT / "src"))
    (folder / "dualgauge").symlink_to(ROOT)
    shop = folder / "shop"
    shop.mkdir()
    return shop


def start_of(text: str) -> str | None:
    """What a page asks for before it begins, or the test file that plays it; None where it does not say."""
    found = PLAY.findall(text)
    if len(found) > 1:
        raise CannotPlay(f"a page says once how it is played, this one says it {len(found)} times")
    return found[0] if found else None


def prepare(start: str, folder: Path, data: Path | None = None) -> None:
    """Put into the folder what a page asks for. `data` is the folder of the real data sets."""
    if start == "shop":
        build(folder)
    if start == "retail":
        assert data is not None
        (folder.parent / "shared").mkdir(exist_ok=True)
        (folder.parent / "shared" / "data").symlink_to(data)


def play(text: str, folder: Path) -> list[Played]:
    """Write the files, run the commands and scripts of a text, in its order; the rest must parse."""
    shell = _Shell(folder)
    played: list[Played] = []
    for block in blocks(text):
        if block.why_not_run:
            continue
        if block.path:
            path = shell.folder / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, encoding="utf-8")
        elif block.language in {"console", "sh"}:
            if not block.body.startswith("$ "):
                raise CannotPlay(f"line {block.line}: a block of commands begins with `$ `")
            played += [shell.run(command, output) for command, output in calls(block.body)]
        elif block.language == "python":
            done = shell.python(block.body)
            if done.exit_code:
                raise CannotPlay(f"line {block.line}: the script fails:\n{done.now}")
        else:
            parse(block)
    return played


def parse(block: Block) -> None:
    """Raise where a block is not of its language; where nobody can tell, only the language must be a known one."""
    try:
        match block.language:
            case "toml":
                tomllib.loads(block.body)
            case "json":
                json.loads(block.body)
            case "yaml":
                list(YAML(typ="safe").load_all(block.body))
            case "sql":
                duckdb.extract_statements(block.body)
            case "python":
                ast.parse(block.body)
            case language if language not in SHOWN_ONLY | RUNNABLE:
                raise CannotPlay(f"line {block.line}: nobody knows how to play {language!r}")
    except (ValueError, SyntaxError, YAMLError, duckdb.Error) as fault:
        raise CannotPlay(f"line {block.line}: is no {block.language}: {fault}") from fault


def wrong(played: Sequence[Played]) -> list[str]:
    """What a page shows otherwise than it happened, told for the one who mends the page."""
    found = []
    for one in played:
        shown, now = masked(one.shown), masked(one.now)
        if not shown_is_said(shown, now):
            found.append(f"$ {one.command}\n--- shown\n{one.shown}--- now\n{one.now}")
        elif one.exit_code and not shown:
            found.append(f"$ {one.command}\n--- exit code {one.exit_code}, and the page shows nothing of it\n{one.now}")
        elif "error:" in one.now and "error:" not in one.shown:
            found.append(f"$ {one.command}\n--- an error that the page does not show\n{one.now}")
    return found


class _Shell:
    """Commands one after the other: folder, exported variables and exit code go on from each to the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._variables = dict(os.environ)
        self._exit_code = 0

    def run(self, command: str, shown: str) -> Played:
        if is_plain(command) and self._has_exported_nothing():
            return self._here(command, shown)
        # The shell says at its end, in a file of its own, what it leaves to the next.
        with tempfile.NamedTemporaryFile() as left:
            script = f"(exit {self._exit_code})\n{command}\nleft=$?\n{{ pwd; env -0; }} >{left.name}\nexit $left"
            done = subprocess.run(
                ["sh", "-c", script],
                cwd=self.folder,
                env=self._variables,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            folder, _, variables = left.read().partition(b"\n")
        if folder:
            self.folder = Path(os.fsdecode(folder))
            pairs = (os.fsdecode(one).partition("=") for one in variables.split(b"\0") if one)
            self._variables = {name: value for name, _, value in pairs}
        self._exit_code = done.returncode
        return Played(command, shown, done.stdout + done.stderr, done.returncode)

    def _here(self, command: str, shown: str) -> Played:
        """Run what leaves nothing for a shell to do in this process, so that no other has to be waited for."""
        out, err = "", ""
        for part in command.split("; "):
            if asked := CODE.fullmatch(part):
                out += f"{asked['words'] or ''}{self._exit_code}\n"
                self._exit_code = 0
            elif found := PLAIN.fullmatch(part):
                said = call(*shlex.split(found["words"])[1:], folder=self.folder)
                if found["file"]:
                    (self.folder / found["file"]).write_text(said.out, encoding="utf-8")
                out, err = out + ("" if found["file"] else said.out), err + said.err
                self._exit_code = said.exit_code
        return Played(command, shown, out + err, self._exit_code)

    def _has_exported_nothing(self) -> bool:
        now = {name: value for name, value in self._variables.items() if name not in OF_THE_SHELL}
        return now == {name: value for name, value in os.environ.items() if name not in OF_THE_SHELL}

    def python(self, body: str) -> Played:
        done = subprocess.run(
            [sys.executable, "-"],
            cwd=self.folder,
            env=self._variables,
            input=body,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return Played("python", "", done.stdout + done.stderr, done.returncode)
