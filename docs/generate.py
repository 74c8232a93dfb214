"""
Writes the pages of this folder that say what the code says: `cli.md` and `stages.md`.

    python docs/generate.py            write them
    python docs/generate.py --check    write nothing, and fail where a page is stale
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FOLDER: Final = Path(__file__).resolve().parent
MEND: Final = "make docs"


def walk(app: typer.Typer, name: str) -> Iterator[tuple[str, Any, typer.Context]]:
    """Each command that is not hidden, groups before what they hold, as (its words, the command, its context)."""
    # Typer keeps the classes of its commands to itself, hence Any.
    yield from _walk(get_command(app), name, None)


def _walk(command: Any, name: str, parent: typer.Context | None) -> Iterator[tuple[str, Any, typer.Context]]:
    context = typer.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    yield name, command, context
    for child in _children(command, context):
        yield from _walk(child, f"{name} {child.name}", context)


def _children(command: Any, context: typer.Context) -> list[Any]:
    if not hasattr(command, "list_commands"):
        return []
    found = (command.get_command(context, name) for name in command.list_commands(context))
    return [child for child in found if child is not None and not child.hidden]


def cli_page(app: typer.Typer, name: str) -> str:
    """Every command's help, arguments and options, in Markdown; the same on every terminal."""
    (_, top, context), *commands = walk(app, name)
    lines = ["# Command line", "", f"This page is written from the commands themselves by `{MEND}`.", ""]
    lines += [*_help(top), "", *_options(top, context), "Every command has `--help`.", ""]
    lines += _overview(top, context, name)
    for words, command, inner in commands:
        lines += [f"## `{words}`", "", *_section(words, command, inner)]
    return "\n".join(lines).rstrip() + "\n"


def _overview(top: Any, context: typer.Context, name: str) -> list[str]:
    """List the commands, panel by panel, in the order of --help."""
    panels: dict[str, list[Any]] = {}
    for child in _children(top, context):
        panel = child.rich_help_panel if isinstance(child.rich_help_panel, str) else "Commands"
        panels.setdefault(panel, []).append(child)
    lines = []
    for panel, children in panels.items():
        lines += [f"**{panel}**", ""]
        for child in children:
            lines.append(_entry(name, child))
            lines += [f"  {_entry(f'{name} {child.name}', inner)}" for inner in _children(child, context)]
        lines.append("")
    return lines


def _entry(words: str, command: Any) -> str:
    anchor = re.sub(r"[^\w\- ]", "", f"{words} {command.name}".lower()).replace(" ", "-")
    return f"- [`{command.name}`](#{anchor}): {_line(' '.join(_help(command)).partition('. ')[0]).rstrip('.')}"


def _section(words: str, command: Any, context: typer.Context) -> list[str]:
    lines = [
        *_help(command),
        "",
        "```console",
        " ".join(["$", words, *command.collect_usage_pieces(context)]),
        "```",
        "",
    ]
    if command.deprecated:
        lines += ["Deprecated.", ""]
    lines += _options(command, context)
    if children := _children(command, context):
        lines += ["Commands:", "", *(_entry(words, child) for child in children), ""]
    return lines


def _options(command: Any, context: typer.Context) -> list[str]:
    """List the arguments, then the options."""
    lines = []
    for kind, title in (("argument", "Arguments"), ("option", "Options")):
        records = [
            parameter.get_help_record(context)
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind and "--help" not in parameter.opts
        ]
        if shown := [f"- `{_line(what)}`{': ' if text else ''}{_line(text)}" for what, text in filter(None, records)]:
            lines += [f"{title}:", "", *shown, ""]
    return lines


def _help(command: Any) -> list[str]:
    # What follows a form feed is not shown by --help either; a lone \b keeps a paragraph from being wrapped.
    text = (command.help or "").partition("\f")[0]
    return [line.rstrip() for line in text.strip().splitlines() if line.strip() != "\b"]


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _cli() -> str:
    from dualgauge.cli import app

    return cli_page(app, "dualgauge")


def _stages() -> str:
    from dualgauge.cutover.stages import stages_page

    return stages_page()


PAGES: Final[Mapping[str, Callable[[], str]]] = {"cli.md": _cli, "stages.md": _stages}


def stale(folder: Path) -> list[str]:
    """Names of the pages that are not what would be written now."""
    return [
        name
        for name, page in PAGES.items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != page()
    ]


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write the pages, or with `--check` look whether they are fresh; gives the exit code."""
    if arguments not in ([], ["--check"]):
        print(f"usage: python docs/generate.py [--check], not {' '.join(arguments)}", file=sys.stderr)
        return 2
    names = stale(folder)
    if arguments:
        for name in names:
            print(f"docs/{name} is stale; write it anew by `{MEND}`", file=sys.stderr)
        return 1 if names else 0
    for name in names:
        (folder / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
