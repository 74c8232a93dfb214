"""`dualgauge doctor`."""

from __future__ import annotations

import typer
from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import failing, write
from dualgauge.model import plural


def doctor(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Check the set-up and say how to mend it; nothing is changed.

    Looks at Python and the libraries, the terminal, the project's settings, folders, sources, views and comparators,
    the log, the store, the ledger, the room on the disk, and what is out of date. Each line says `ok`, `warn` or
    `fail`, what, and where; the line below it how to mend it. Works without a project too. Exits with 0 where nothing
    failed, with 1 where something could not be looked at, with 2 where the set-up is wrong.

    Example: dualgauge doctor
    """
    with failing("doctor", form, debug=debug):
        from dualgauge.doctor.examine import examine
        from dualgauge.doctor.values import FindingState

        found = examine(project)
        counts = {state: found.count(state) for state in FindingState}

        def text(screen: Console) -> None:
            for one in found.findings:
                where = f"  ({one.where})" if one.where else ""
                screen.print(f"{one.state.value:<4}  {one.check}: {one.what}{where}", soft_wrap=True)
                if one.mend:
                    screen.print(f"      mend: {one.mend}", soft_wrap=True)
            screen.print(
                f"{counts[FindingState.OK]} in order, {plural(counts[FindingState.WARN], 'warning')}, "
                f"{plural(counts[FindingState.FAIL], 'failure')}"
            )

        result = {
            "findings": [one.to_json() for one in found.findings],
            **{state.value: count for state, count in counts.items()},
        }
        write("doctor", form, result, found.exit_code, (), text)
    raise typer.Exit(found.exit_code)
