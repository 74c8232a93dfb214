"""`dualgauge status`."""

from __future__ import annotations

from rich.console import Console

from dualgauge.cli.cutover.moves import print_remarks
from dualgauge.cli.log.lateness import late_line
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.cutover.moves.percent import percent_text
from dualgauge.cutover.status import Status, ViewReadiness, ViewStatus
from dualgauge.model import NextStep, listed, plural


def status(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Show where the migration stands: stage and share, the log's head, each view, the last diffs, the gates.

    An event is late where it occurred before one that the log had already; the newest million events are looked at.

    A view is `unbuilt`, `stale` (its file changed since its build was made), `lagging` (behind the log's head) or
    `ready`; `adopted` where code of your own keeps it.
    """
    with answering("status", project, form, debug=debug) as answer:
        now = answer.migration.status()

        def text(screen: Console) -> None:
            state = now.state
            screen.print(
                f"migration {now.migration}: stage {state.stage}, {percent_text(state.share_ppm)} % of reads on v2"
            )
            screen.print(f"log: head at position {now.head:,}")
            screen.print(late_line(now.lateness), soft_wrap=True)
            if now.waiting:
                wait = "waits" if now.waiting == 1 else "wait"
                screen.print(f"quarantine: {plural(now.waiting, 'row')} {wait}: `dualgauge quarantine list`")
            made = table("view", "readiness", "build", "position", "behind", right=["build", "position", "behind"])
            for one in now.views:
                made.add_row(f"{one.side.value}.{one.view}", one.readiness.value, *_place(one))
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
            screen.print(_gates(now), soft_wrap=True)
            print_remarks(screen, now.gates or ())

        steps = [NextStep("dualgauge quarantine list", "see which rows wait, and why")] if now.waiting else []
        settled = (ViewReadiness.READY, ViewReadiness.ADOPTED)
        if waiting := [one for one in now.views if one.readiness not in settled]:
            steps.append(
                NextStep(
                    "dualgauge replay", f"{plural(len(waiting), 'view')} not at the head with the text of its file"
                )
            )
        answer.give(now.to_json(), text, next_steps=steps)


def _gates(now: Status) -> str:
    """The gates in a line: how many are open, and the first that is closed with its reason."""
    if now.gates is None:
        return "gates: cannot be asked: a comparator cannot be read (`dualgauge diff` says which)"
    closed = [one for one in now.gates if not one.passed]
    if not closed:
        return f"gates: all {len(now.gates)} open"
    others = f"; closed too: {listed(one.name for one in closed[1:])}" if closed[1:] else ""
    return f"gates: {len(now.gates) - len(closed)} of {len(now.gates)} open; {closed[0].name}: {closed[0].why}{others}"


def _place(one: ViewStatus) -> tuple[str, str, str]:
    """Build, position and how far behind it is, as far as there are any."""
    build = "" if one.build is None else str(one.build)
    if one.position is None:
        return build, "unknown" if one.adopted else "", ""
    behind = one.behind or 0
    return build, f"{one.position:,}", f"{-behind:,} ahead" if behind < 0 else f"{behind:,}"
