"""The documentation is held to the code: commands, targets, links, versions, and the pages that are generated."""

from __future__ import annotations

import configparser
import dataclasses
import importlib.util
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from ruamel.yaml import YAML

import dualgauge
from support.snippets import blocks

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
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


@cache
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


SHELL = {"console", "sh", "yaml", "crontab", "ini"}
CALL = re.compile(r"(?:^|(?<=[\s;&|(]))dualgauge(?: [^\n;&|>#]*)?")


def dualgauge_calls(text: str) -> list[str]:
    """Every call of `dualgauge` in a page: in its sentences as code, in its scripts, and what its consoles type."""
    found = [span for span in CODE_SPAN.findall(FENCE.sub("", text)) if span.startswith("dualgauge ")]
    for block in blocks(text):
        if block.language in SHELL:
            typed = "\n".join(calls(f"```console\n{block.body}```\n")) if block.language == "console" else block.body
            found += CALL.findall(re.sub(r"\d?>&?\d?\S*", "", typed))
    return [line.strip() for line in found]


def rows_of(language: str) -> list[str]:
    """The lines of all blocks of a language in docs/, without comments."""
    texts = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")]
    bodies = [one.body for text in texts for one in blocks(text) if one.language == language]
    return [line for body in bodies for line in body.splitlines() if line and not line.startswith("#")]


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


def test_a_part_is_put_between_its_marks_and_nothing_else_is_touched() -> None:
    page = "before\n<!-- begin a -->\nold\n<!-- end a -->\nafter <!-- begin b --> in a line\n"

    assert generate.with_parts(page, {"a": "new\n"}, "page.md") == (
        "before\n<!-- begin a -->\n\nnew\n\n<!-- end a -->\nafter <!-- begin b --> in a line\n"
    )


@pytest.mark.parametrize("page", ["no marks\n", "<!-- begin b -->\n<!-- end b -->\n", "<!-- begin a -->\n"])
def test_a_page_whose_marks_are_not_those_of_its_parts_is_refused(page: str) -> None:
    with pytest.raises(generate.WrongParts, match=r"docs/page\.md: give each part its marks once"):
        generate.with_parts(page, {"a": "new"}, "page.md")


def test_every_setting_says_what_it_is() -> None:
    rows = [row for part in generate.settings_parts().values() for row in part.splitlines()[2:]]
    assert rows
    assert [row for row in rows if row.rstrip(" |").count("|") < 3] == []


def test_every_exit_code_has_its_meaning() -> None:
    def below(kind: type[dualgauge.DualgaugeError]) -> set[int]:
        return {kind.exit_code}.union(*(below(one) for one in kind.__subclasses__()))

    # Loaded, so that every room's errors are there.
    from dualgauge.cutover import errors  # noqa: F401

    assert below(dualgauge.DualgaugeError) <= set(generate.MEANINGS)
    assert below(dualgauge.DualgaugeError) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("name", ["Comparator", "Expected", "Limits"])
def test_every_field_of_a_comparator_is_on_its_page(name: str) -> None:
    text = (ROOT / "docs" / "comparators.md").read_text(encoding="utf-8")
    named = {word for span in CODE_SPAN.findall(text) for word in re.findall(r"\w+", span)}
    named |= set(re.findall(r"(\w+)=", text))

    assert {one.name for one in dataclasses.fields(getattr(dualgauge, name))} <= named


def test_every_public_name_is_on_the_page_of_the_python_interface() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")

    assert [name for name in dualgauge.__all__ if f"\n## `{name}`\n" not in text] == []
    calls = [
        "import_", "appender", "replay", "tail", "diff", "check", "report", "read", "status", "switch", "rollback",
        "doctor",
        "log.import_", "log.appender", "log.propose", "log.forget", "log.head", "log.show", "log.compact", "log.verify",
        "quarantine.list", "quarantine.retry", "quarantine.skip",
        "views.plan", "views.shapes", "views.revise", "views.upgrade", "views.revisions", "views.replay", "views.tail",
        "views.undo", "views.throttle", "views.set_throttle",
        "schedule.list", "schedule.run", "schedule.follow", "schedule.pause", "schedule.resume", "schedule.show",
        "notify.list", "notify.ack", "notify.send", "notify.test",
        "compare.diff", "compare.check", "evidence.list", "evidence.show", "evidence.report", "evidence.series",
        "evidence.prune",
        "traffic.read", "traffic.reader",
        "canary.validate", "canary.apply", "canary.show", "canary.reads", "canary.judge",
        "canary.kill", "canary.unkill", "canary.who",
        "cutover.state", "cutover.status", "cutover.switch", "cutover.gates", "cutover.rollback", "cutover.journal",
    ]  # fmt: skip
    groups = {call.partition(".")[0] for call in calls if "." in call}
    values = {"project", "settings", "ledger_url"}
    shown = re.findall(r"^#{3,4} `Migration\.([\w.]+)(\(\))?`$", text, re.MULTILINE)
    assert sorted(name for name, called in shown if called) == sorted(calls)
    assert {name for name, called in shown if not called} == groups | values
    public = {name for name in dir(dualgauge.Migration) if not name.startswith("_")}
    assert public == {call for call in calls if "." not in call} | groups | values


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
    assert "## `tool demo`\n\nPlay it. For real.\n\n```text\ntool demo [OPTIONS]" in page
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


@pytest.mark.parametrize("page", pages())
def test_every_call_that_a_page_shows_is_one_that_works(page: str) -> None:
    shown = dualgauge_calls((ROOT / page).read_text(encoding="utf-8"))
    assert [wrong for line in shown if (wrong := wrong_call(line))] == []


def test_calls_are_found_wherever_a_page_has_them() -> None:
    page = """\
Run `dualgauge diff --wrong` or `dualgauge log import NAME`.

```sh
step dualgauge log import --al && step dualgauge replay || exit 1
```

```crontab
10 3 * * *  cd /srv/shop && dualgauge chek > log
```

```yaml
- run: dualgauge journal --verify
```

```console
$ cd there; dualgauge plan --no 2>&1 | head
next: dualgauge this is an answer
```
"""
    assert [wrong_call(line) for line in dualgauge_calls(page)] == [
        "dualgauge diff has no option '--wrong'",
        None,
        "dualgauge log import has no option '--al'",
        None,
        "dualgauge has no command 'chek'",
        None,
        "dualgauge plan has no option '--no'",
    ]


def test_the_rows_of_a_crontab_have_five_fields_and_a_command() -> None:
    for row in rows_of("crontab"):
        *fields, command = row.split(maxsplit=5)
        assert len(fields) == 5
        for field, (least, most) in zip(fields, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)], strict=True):
            assert field == "*" or least <= int(field) <= most, row
        # In a crontab a percent sign is the end of the line.
        assert "%" not in command


def test_systemd_takes_the_units_that_the_guide_shows(tmp_path: Path) -> None:
    text = (ROOT / "docs/guides/scheduling.md").read_text(encoding="utf-8")
    units = [one for one in blocks(text) if one.path and one.path.endswith((".service", ".timer"))]
    assert [one.path for one in units] == ["dualgauge-nightly.service", "dualgauge-nightly.timer"]
    for unit in units:
        parsed = configparser.ConfigParser(interpolation=None, strict=True)
        parsed.optionxform = str  # type: ignore[method-assign, assignment]  # names keep their case
        parsed.read_string(unit.body)
        assert set(parsed) - {"DEFAULT"} <= {"Unit", "Service", "Timer", "Install"}
        (tmp_path / str(unit.path)).write_text(unit.body, encoding="utf-8")
    if verify := shutil.which("systemd-analyze"):
        files = [str(tmp_path / str(unit.path)) for unit in units]
        done = subprocess.run([verify, "verify", *files], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_workflow_that_the_guide_shows_is_one() -> None:
    text = (ROOT / "docs/guides/scheduling.md").read_text(encoding="utf-8")
    [workflow] = [YAML(typ="safe").load(one.body) for one in blocks(text) if one.language == "yaml"]
    assert {"name", "on", "jobs"} <= set(workflow)
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    # The report is kept of the night in which the sides differ, too.
    assert [step.get("if") for step in job["steps"] if "upload-artifact" in step.get("uses", "")] == ["always()"]


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
