"""`dualgauge init`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption
from dualgauge.cli.terminal.output import failing, write
from dualgauge.model import NextStep


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The project's folder; made where there is none.")
    ] = HERE,
    name: Annotated[
        str | None, typer.Option("--name", metavar="MIGRATION", help="The migration's name; default: the folder's.")
    ] = None,
    dry_run: DryRun = False,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Lay out a project here, beside what is there already.

    [tool.dualgauge] goes to the end of pyproject.toml, which is made where there is none. Nothing is overwritten: what
    is there is left as it is, an Alembic environment of your own too. Run again, it adds only what is missing.
    """
    with failing("init", form, debug=debug):
        from dualgauge.scaffold.init import lay_out

        done = lay_out(folder, name=name, dry_run=dry_run)

        def text(out: Console) -> None:
            if done.existed:
                rest = "; added what was missing:" if done.added and not dry_run else "; nothing to add"
                rest = "; would add what is missing:" if done.added and dry_run else rest
                out.print(f"{done.folder} has the migration {done.name!r} already{rest}", soft_wrap=True)
            else:
                would = "would lay out" if dry_run else "laid out"
                out.print(f"{would} the migration {done.name!r} in {done.folder}", soft_wrap=True)
            width = max(len(one.path) for one in (*done.added, *done.left))
            for word, pieces in (("added", done.added), ("left", done.left)):
                if word == "left" and done.existed and not done.added:
                    continue
                for one in pieces:
                    out.print(f"  {word:5}  {one.path:{width}}  {one.why}", soft_wrap=True)

        here = "" if done.folder == Path.cwd() else f" --project {shlex.quote(str(folder))}"
        steps = [
            NextStep(f"dualgauge log add FILE --write{here}", "propose a source from a file of your own events"),
            NextStep("dualgauge demo", "or see a whole migration on real events first"),
        ]
        result = {
            "folder": str(done.folder), "migration": done.name, "existed": done.existed, "dry_run": dry_run,
            "added": [{"path": one.path, "why": one.why} for one in done.added],
            "left": [{"path": one.path, "why": one.why} for one in done.left],
        }  # fmt: skip
        write("init", form, result, 0, steps if not dry_run and (done.added or not done.existed) else [], text)
