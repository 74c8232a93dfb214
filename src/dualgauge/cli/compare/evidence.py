"""`dualgauge evidence list` and `dualgauge evidence show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import NextStep, jsonable

if TYPE_CHECKING:
    from dualgauge.cutover.gates.evidence_list import EvidenceLine, EvidenceShown


def evidence_list(
    name: Annotated[str | None, typer.Option("--name", metavar="COMPARATOR", help="Only of this comparator.")] = None,
    kind: Annotated[EvidenceKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, from the newest.")] = 20,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    List the runs that make evidence, newest first, and say of each whether a gate goes by it now.

    A run counts, with a pass as with a fail, where it is the newest of exactly what readers get now, its row is what
    was sealed, and it is fresh. Where it does not, the last column says why.

    Example: dualgauge evidence list --name carrier_months --kind diff
    """
    with answering("evidence-list", project, form, debug=debug) as answer:
        found = answer.migration.evidence.list(name=name, kind=None if kind is None else kind.value, limit=limit)

        def text(screen: Console) -> None:
            if not found:
                screen.print("no evidence yet")
                return
            made = table("run", "when", "kind", "name", "position", "verdict", "counts", right=["position"])
            for one in found:
                position = "" if one.position is None else f"{one.position:,}"
                made.add_row(
                    one.run_id, f"{one.at:%Y-%m-%d %H:%M:%SZ}", one.kind, one.name, position, one.verdict, _counts(one)
                )
            screen.print(made)

        steps = [] if found else [NextStep("dualgauge diff", "compare what the sides answer")]
        answer.give({"runs": [one.to_json() for one in found]}, text, next_steps=steps)


def evidence_show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run, named like its folder below `reports`.")],
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Show one run of evidence in whole: what it is bound to, what it found, its files, and whether it counts.

    Example: dualgauge evidence show 20260301T120000Z-carrier_months-0a1b2c
    """
    with answering("evidence-show", project, form, debug=debug) as answer:
        shown = answer.migration.evidence.show(run)
        answer.give(shown.to_json(), lambda screen: _print(screen, shown), next_steps=_steps(shown.line))


def _counts(one: EvidenceLine) -> str:
    if one.counts is None:
        return one.why or "unknown: the project's files cannot be read"
    return "yes" if one.counts else f"no: {one.why}"


def _print(screen: Console, shown: EvidenceShown) -> None:
    line, run = shown.line, shown.line.run
    screen.print(f"{line.kind} of {line.name}: {line.verdict or 'no verdict'}", style="bold")
    made = table("", "")
    made.show_header = False
    made.add_row("run", line.run_id)
    made.add_row("counts", _counts(line))
    made.add_row("sealed", f"row {line.row} of the journal, by {line.who}" if line.row else "no")
    if run is not None:
        made.add_row("began", f"{run.started_at:%Y-%m-%d %H:%M:%SZ}")
        made.add_row("finished", f"{run.finished_at:%Y-%m-%d %H:%M:%SZ}" if run.finished_at else "no")
        made.add_row("position", "" if run.position is None else f"{run.position:,}")
        made.add_row("evidence key", run.evidence_key)
        for side in ("v1", "v2"):
            for label, build in _views(run.bound, side):
                made.add_row(label, build)
        for key in sorted(run.bound.keys() - {"v1", "v2"}):
            made.add_row(key.replace("_", " "), _value(run.bound[key]))
        for key, value in (run.summary or {}).items():
            if key != "files":
                made.add_row(key.replace("_", " "), _value(value))
    for name, state in shown.files.items():
        made.add_row("file", f"{run.folder if run else ''}/{name}: {state.value}")
    screen.print(made)


def _views(bound: object, side: str) -> list[tuple[str, str]]:
    views = bound.get(side) if isinstance(bound, dict) else None
    if not isinstance(views, dict):
        return []
    return [(f"{side}.{name}", _value(build)) for name, build in views.items()]


def _value(value: object) -> str:
    """A value of the evidence on one line: texts as they are, lists and mappings part by part."""
    match value:
        case str():
            return value
        case dict():
            return ", ".join(f"{str(key).replace('_', ' ')} {_value(part)}" for key, part in value.items())
        case list():
            return "; ".join(_value(part) for part in value)
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case _:
            return json.dumps(value, default=jsonable, ensure_ascii=False)


def _steps(line: EvidenceLine) -> list[NextStep]:
    if line.counts or line.kind not in (EvidenceKind.DIFF, EvidenceKind.CHECK):
        return []
    if line.run is None:
        return [NextStep("dualgauge journal --verify", "see what was changed by hand")]
    return [NextStep(f"dualgauge {line.kind} {line.name}", "make evidence of what is there now")]
