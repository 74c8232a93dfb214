"""`dualgauge status`."""

from __future__ import annotations

from rich.console import Console

from dualgauge.cli.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.output import answering, table
from dualgauge.cutover.percent import percent_text
from dualgauge.model import NextStep, plural
from dualgauge.reporting.status import ViewReadiness


def status(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Show where the migration stands: stage and share, the log's head, each view, the last diffs.

    A view is `unbuilt`, `stale` (its file changed since its build was made), `lagging` (behind the log's head) or
    `ready`.
    """
    with answering("status", project, form, debug=debug) as answer:
        now = answer.migration.status()

        def text(screen: Console) -> None:
            state = now.state
            screen.print(
                f"migration {now.migration}: stage {state.stage}, {percent_text(state.share_ppm)} % of reads on v2"
            )
            screen.print(f"log: head at position {now.head:,}")
            made = table("view", "readiness", "build", "position", "behind", right=["build", "position", "behind"])
            for one in now.views:
                at = ["", "", ""] if one.build is None else [str(one.build), f"{one.position:,}", f"{one.behind:,}"]
                made.add_row(f"{one.side.value}.{one.view}", one.readiness.value, *at)
            if now.views:
                screen.print(made)
            else:
                screen.print("no views yet: add .sql files to views_v1 and views_v2")
            for label in now.unread:
                screen.print(f"{label} is served, and has no file any more")
            for run in now.last_diffs:
                summary = run.summary or {}
                screen.print(
                    f"last diff of {run.name}: {run.verdict} at position {run.position:,} "
                    f"({summary.get('mismatched', 0):,} mismatched, {summary.get('expected', 0):,} expected)"
                )

        steps = []
        if any(one.readiness is not ViewReadiness.READY for one in now.views):
            waiting = [one for one in now.views if one.readiness is not ViewReadiness.READY]
            steps.append(
                NextStep(
                    "dualgauge replay", f"{plural(len(waiting), 'view')} not at the head with the text of its file"
                )
            )
        answer.give(now.to_json(), text, next_steps=steps)
