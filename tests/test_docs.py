"""The documentation is held to the code: commands, targets, links, versions, and the pages that are generated."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

import dualgauge

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`([^`\n]+)`")


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load_generator()


def pages() -> list[str]:
    """Every page that a reader may open, by its path from the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found += [path for name in ("reports/README.md", "tests/project/README.md") if (path := ROOT / name).exists()]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def anchors(page: Path) -> set[str]:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def options() -> dict[str, set[str]]:
    """The options of each command, by its words: `dualgauge log import`."""
    from dualgauge.cli import app

    return {
        words: {
            name for parameter in command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)
        }
        for words, command, context in generate.walk(app, "dualgauge")
    }


def calls(text: str) -> list[str]:
    """The commands of every `console` block, continued lines joined."""
    blocks = [body for language, body in FENCE.findall(text) if language == "console"]
    return [line[2:] for body in blocks for line in body.replace("\\\n", " ").splitlines() if line.startswith("$ ")]


def make_targets(text: str) -> list[str]:
    """Targets that a page names: in its console blocks, and in code within its sentences."""
    named = [*calls(text), *CODE_SPAN.findall(FENCE.sub("", text))]
    words = [shlex.split(line, comments=True) for line in named if line.startswith("make ")]
    return [word for line in words for word in line[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]


def wrong_call(line: str) -> str | None:
    """Say what is wrong with a command of `dualgauge` as a page shows it; None where nothing is."""
    known = options()
    command, *words = shlex.split(line, comments=True)
    while words and f"{command} {words[0]}" in known:
        command = f"{command} {words.pop(0)}"
    if any(other.startswith(f"{command} ") for other in known) and words and not words[0].startswith("-"):
        return f"{command} has no command {words[0]!r}"
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in known[command] | {"--help"}:
            return f"{command} has no option {word!r}"
    return None


def test_every_command_is_documented() -> None:
    documented = re.findall(r"^## `(.+)`$", (ROOT / "docs/cli.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == [words for words in options() if words != "dualgauge"]


def test_every_command_says_what_it_does() -> None:
    from dualgauge.cli import app

    assert [words for words, command, _ in generate.walk(app, "dualgauge") if not command.help] == []


def test_generated_pages_are_fresh() -> None:
    assert generate.stale(generate.FOLDER) == [], "run `make docs`"


def test_a_stale_page_is_named_with_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "PAGES", {"stages.md": lambda: "new\n"})
    (tmp_path / "stages.md").write_text("old\n")

    assert generate.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == "docs/stages.md is stale; write it anew by `make docs`\n"
    assert (tmp_path / "stages.md").read_text() == "old\n"


def test_the_command_page_is_plain_markdown_on_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer(help="A tool.", add_completion=False)
    log = typer.Typer(help="The log.")
    app.add_typer(log, name="log", rich_help_panel="Log")

    @app.command(rich_help_panel="Start")
    def demo(folder: str = "build", *, keep: bool = True) -> None:
        """Play it. For real."""

    @log.command("import")
    def take_in(name: str) -> None:
        """Import a source."""

    @app.command(hidden=True)
    def secret() -> None:
        """Not shown."""

    monkeypatch.setenv("COLUMNS", "20")
    page = generate.cli_page(app, "tool")

    assert "**Start**\n\n- [`demo`](#tool-demo): Play it\n\n**Log**\n\n- [`log`](#tool-log): The log\n" in page
    assert "  - [`import`](#tool-log-import): Import a source\n" in page
    assert "## `tool demo`\n\nPlay it. For real.\n\n```console\n$ tool demo [OPTIONS]" in page
    assert "- `--keep / --no-keep`: [default: keep]" in page
    assert "## `tool log import`" in page
    assert "secret" not in page


@pytest.mark.parametrize("page", pages())
def test_every_relative_link_leads_somewhere(page: str) -> None:
    here = ROOT / page
    broken = []
    for link in LINK.findall(FENCE.sub("", here.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (here.parent / path).resolve() if path else here
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages())
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    assert set(make_targets((ROOT / page).read_text(encoding="utf-8"))) <= targets()


def test_every_call_that_the_readme_shows_is_one_that_works() -> None:
    shown = [line for line in calls(README.read_text(encoding="utf-8")) if line.split()[0] == "dualgauge"]
    assert [wrong for line in shown if (wrong := wrong_call(line))] == []


def test_every_console_block_of_the_readme_starts_with_a_command() -> None:
    blocks = [body for language, body in FENCE.findall(README.read_text(encoding="utf-8")) if language == "console"]
    assert [body for body in blocks if not body.startswith("$ ")] == []


def test_the_changelog_tells_of_this_version_first() -> None:
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == dualgauge.__version__


def test_make_alone_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets()
    assert targets() == set(re.findall(r"^([a-z-]+):.*## .+$", makefile, re.MULTILINE))
