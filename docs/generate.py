"""
Writes what the pages of this folder say of the code.

    python docs/generate.py            write it
    python docs/generate.py --check    write nothing, and fail where a page is stale

`cli.md` and `stages.md` are written whole. Other pages are written by hand and have parts that come from the code,
each between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import sys
import typing
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import BaseModel
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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
        "```text",
        " ".join([words, *command.collect_usage_pieces(context)]),
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
    from dualgauge.cutover.moves.stages import stages_page

    return stages_page()


PART: Final = re.compile(r"(<!-- begin (?P<name>[\w-]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


class WrongParts(Exception):
    """A page's marks are not those of the parts that it is to have."""


def with_parts(text: str, parts: Mapping[str, str], page: str) -> str:
    """
    Put generated parts between their marks.

    Raises:
        WrongParts: a part has no marks in the page, or marks have no part.
    """
    marked = [found["name"] for found in PART.finditer(text)]
    if sorted(marked) != sorted(parts):
        lacking, unknown = sorted(set(parts) - set(marked)), sorted(set(marked) - set(parts))
        message = f"docs/{page}: give each part its marks once, <!-- begin NAME --> and <!-- end NAME -->"
        raise WrongParts(f"{message}; lacking: {lacking}; unknown: {unknown}; there: {marked}")
    return PART.sub(lambda found: f"{found[1]}\n{parts[found['name']].strip()}\n\n{found[3]}", text)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [list(head), ["---"] * len(list(head)), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def settings_parts() -> dict[str, str]:
    """One table of keys for each table of `[tool.dualgauge]`, by the last part of its name."""
    from dualgauge.project.settings import EVIDENCE
    from dualgauge.settings import Settings

    parts = {}
    for name, model in _models("dualgauge", Settings):
        rows = [
            (f"`{key}`", _default(field), field.description or "", "yes" if field.json_schema_extra == EVIDENCE else "")
            for key, field in model.model_fields.items()
            if _model_in(field.annotation) is None
        ]
        parts[name] = table(("key", "default", "is", "evidence"), rows)
    return parts


def _models(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield name, model
    for key, field in model.model_fields.items():
        if inner := _model_in(field.annotation):
            yield from _models(key, inner)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field is, or is a list of."""
    for one in (annotation, *typing.get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "not set"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def view_parts() -> dict[str, str]:
    """The names of a view's header."""
    from dualgauge.views.header import HEADERS

    return {"headers": table(("name", "holds"), ((f"`{name}`", what) for name, what in HEADERS.items()))}


def rules() -> list[type[Any]]:
    """Every rule of `comparison/content/rules.py`, in its order there."""
    from dualgauge_router import rules as module

    return [
        one
        for one in vars(module).values()
        if isinstance(one, type) and dataclasses.is_dataclass(one) and hasattr(one, "holds")
    ]


# Arguments to show a rule with; one that is not named takes none.
EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "Absolute": {"limit": 0.01},
    "Relative": {"limit": 0.001},
    "Rounded": {"digits": 2},
}


def rule_parts() -> dict[str, str]:
    """Each rule: its signature, what it says, and how it is told in a diff."""
    parts = {}
    for rule in rules():
        given = EXAMPLES.get(rule.__name__, {})
        call = f"{rule.__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"
        parts[rule.__name__] = (
            f"`{rule.__name__}{signature(rule)}`\n\n{prose(rule)}\n\n"
            f"A diff says `{rule(**given).describe()}` for `{call}`."
        )
    return parts


MEANINGS: Final[Mapping[int, str]] = {
    0: "done, or passed",
    1: "failed, or could not tell: an inconclusive diff or check, a journal that is not what was written",
    2: "usage or configuration: the call, the settings or a content file is wrong, and nothing was done",
    3: "a gate refused, or could not tell: it names the gate, its value and its limit",
    4: "differences found, checks failed, or data that breaks a promise: a NULL key, a repeated one",
    5: "the state is not the one that the move starts from, or somebody else holds what is needed",
    130: "stopped from the keyboard (Ctrl-C)",
}


def json_parts() -> dict[str, str]:
    """Exit codes, and the fields of diff.json with those of all that is in it."""
    from dualgauge.comparison.values import Comparison

    return {
        "exit-codes": table(("code", "means"), ((str(code), what) for code, what in MEANINGS.items())),
        "diff-json": "\n\n".join(_fields(one) for one in _values_in(Comparison)),
    }


def _values_in(value: type[Any]) -> list[type[Any]]:
    """A dataclass and those that its fields hold, each once, in the order of their first use."""
    found = [value]
    for one in found:
        for annotation in typing.get_type_hints(one).values():
            for inner in _types_in(annotation):
                if dataclasses.is_dataclass(inner) and inner not in found:
                    found.append(typing.cast("type[Any]", inner))
    return found


def _types_in(annotation: Any) -> list[Any]:
    inside = [inner for one in typing.get_args(annotation) for inner in _types_in(one)]
    return [annotation, *inside]


def _fields(value: type[Any]) -> str:
    hints = typing.get_type_hints(value)
    rows = [(f"`{one.name}`", _json_type(hints[one.name], str(one.type))) for one in dataclasses.fields(value)]
    return f"### {value.__name__}\n\n{prose(value)}\n\n{table(('field', 'holds'), rows)}"


# As JSON knows them, whole words of an annotation.
_PLAIN: Final[Mapping[str, str]] = {
    "None": "null", "Row": "an object, values by column", "bool": "true or false", "int": "number",
    "object": "any value", "str": "text",
}  # fmt: skip


def _json_type(kind: Any, written: str) -> str:
    """An annotation as JSON knows it: `tuple[Cluster, ...]` is a list of Cluster, an enumeration its values."""
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return " or ".join(f'`"{one}"`' for one in kind)
    text = re.sub(r"tuple\[(.+), \.\.\.\]", r"list of \1", written).replace("|", "or")
    return re.sub(r"\w+", lambda word: _PLAIN.get(word[0], word[0]), text)


def api_parts() -> dict[str, str]:
    """Every public name of the package: signature, docstring, methods."""
    import dualgauge

    return {"names": "\n\n".join(_name(name, getattr(dualgauge, name)) for name in dualgauge.__all__)}


# Whose methods are called by users; the others are values, and have pages of their own.
_WITH_METHODS: Final = ("Migration", "Router")


def _name(name: str, value: Any) -> str:
    if isinstance(value, str):
        return f"## `{name}`\n\nThe version of the package, a text such as `{value}`."
    shown = f"## `{name}`\n\n```text\n{name}{signature(value)}\n```\n\n{prose(value)}"
    if name not in _WITH_METHODS:
        return shown
    lines = [f"## `{name}`\n\n{prose(value)}" if name == "Migration" else shown]
    for method, function in _methods(value):
        lines.append(_method("###", f"{name}.{method}", function))
        if isinstance(function, cached_property):
            group = vars(sys.modules[value.__module__])[function.func.__annotations__["return"]]
            lines += [_method("####", f"{name}.{method}.{inner}", call) for inner, call in _methods(group)]
    return "\n\n".join(lines)


def _method(level: str, name: str, function: Any) -> str:
    if not inspect.isfunction(function):
        return f"{level} `{name}`\n\n{prose(function)}"
    short = name.rpartition(".")[2]
    return f"{level} `{name}()`\n\n```text\n{short}{signature(function)}\n```\n\n{prose(function)}"


def _methods(value: type[Any]) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that have a docstring, in the order of the file; those of our bases too."""
    fields = {one.name for one in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    seen = set[str]()
    for base in value.__mro__:
        if not base.__module__.startswith("dualgauge"):
            continue
        for name, function in vars(base).items():
            plain = inspect.isfunction(function) or isinstance(function, property | cached_property)
            if plain and not name.startswith("_") and name not in seen | fields and function.__doc__:
                seen.add(name)
                yield name, function


_MOST_SHORT: Final = 100


def signature(value: Any) -> str:
    """A call's arguments as they are written, without `self`; a default that is made anew is `...`."""
    found = inspect.signature(value)
    words, kinds = [], [one.kind for one in found.parameters.values()]
    for name, one in found.parameters.items():
        if name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and "*" not in words and one.VAR_POSITIONAL not in kinds:
            words.append("*")
        star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        kind = "" if one.annotation is one.empty else f": {_written(one.annotation)}"
        words.append(f"{star}{name}{kind}{_default_of(one)}")
    gives = "" if found.return_annotation in {found.empty, None, "None"} else f" -> {_written(found.return_annotation)}"
    short = f"({', '.join(words)}){gives}"
    if len(short) <= _MOST_SHORT:
        return short
    return "(\n" + "".join(f"    {word},\n" for word in words) + f"){gives}"


def _written(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _default_of(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is parameter.empty:
        return ""
    plain = isinstance(default, str | int | float | tuple | None)
    return f" = {default!r}" if plain else " = ..."


def prose(value: Any) -> str:
    """A docstring as Markdown: its sections of arguments and errors become lists."""
    text = inspect.getdoc(value) or ""
    lines = []
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Raises):", line):
            lines += [{"Args:": "Arguments:", "Raises:": "Raises:"}[line], ""]
        elif entry := re.fullmatch(r"    ([\w, ]+): (.+)", line):
            names = ", ".join(f"`{one}`" for one in entry[1].split(", "))
            lines.append(f"- {names}: {entry[2]}")
        else:
            lines.append(line.removeprefix("    ") if not line.startswith("        ") else f"  {line.strip()}")
    return "\n".join(lines)


PARTS: Final[Mapping[str, Callable[[], dict[str, str]]]] = {
    "api.md": api_parts,
    "json.md": json_parts,
    "rules.md": rule_parts,
    "settings.md": settings_parts,
    "views.md": view_parts,
}


def _page(name: str) -> str:
    return with_parts((FOLDER / name).read_text(encoding="utf-8"), PARTS[name](), name)


def _canary_schema() -> str:
    """The JSON Schema of canary.yaml, by which editors complete it."""
    from dualgauge.cutover.canary.model import CanaryFile

    said = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | CanaryFile.model_json_schema()
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "canary.schema.json": _canary_schema,
    "cli.md": _cli,
    "stages.md": _stages,
    **{name: partial(_page, name) for name in PARTS},
}


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
    try:
        names = stale(folder)
    except WrongParts as fault:
        print(fault, file=sys.stderr)
        return 1
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
