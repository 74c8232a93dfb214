"""`dualgauge status`."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dualgauge.cli.cutover.moves import print_remarks
from dualgauge.cli.log.lateness import late_line
from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, console, failing, table, write_line
from dualgauge.cli.terminal.progress import moves
from dualgauge.cli.terminal.stopping import stopping
from dualgauge.cutover.moves.percent import percent_text
from dualgauge.cutover.status import Status, ViewReadiness, ViewStatus
from dualgauge.model import NextStep, Side, listed, plural, utc_now

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from rich.console import Console

BETWEEN_LOOKS: Final = 1.0
"""Seconds."""

HOME, TO_LINE_END, TO_END = "\x1b[H", "\x1b[K", "\x1b[J"
"""What moves a terminal's cursor to its first place, and clears what stands behind the cursor."""


def status(
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Look again each second, until Ctrl-C or SIGTERM; without a terminal in lines."),
    ] = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Show where the migration stands: stage and share, the log's head, each view, the tails, the last diffs, the gates.

    An event is late where it occurred before one that the log had already; the newest million events are looked at.

    A view is `unbuilt`, `stale` (its file changed since its build was made), `failing` (a tail stopped at an error),
    `lagging` (behind the log's head) or `ready`; `adopted` where code of your own keeps it. Its lag is for how long the
    log has had the first event that it lacks. Keys that a tenth or more of its newest events go to are named.

    Example: dualgauge status --watch
    """
    if watch:
        _watch(project, form, debug=debug)
        return
    with answering("status", project, form, debug=debug) as answer:
        now = answer.migration.status()
        answer.give(now.to_json(), partial(_show, now=now), next_steps=_steps(now))


def _watch(project: Path, form: Format, *, debug: bool) -> None:
    """Show it again each second, until this process is told to end."""
    with stopping() as stop, failing("status", form, debug=debug):
        from dualgauge.migration import open as open_project

        migration = open_project(project)
        screen = console()
        while not stop():
            now = migration.status()
            if form is Format.JSON:
                write_line("status", now.to_json(), _steps(now))
            elif moves(sys.stdout):
                _redraw(screen, now)
            else:
                screen.print(_line(now, utc_now()), soft_wrap=True)
            sys.stdout.flush()
            until = time.monotonic() + BETWEEN_LOOKS
            while not stop() and time.monotonic() < until:
                time.sleep(0.05)
    raise typer.Exit


def _redraw(screen: Console, now: Status) -> None:
    """Draw over what stands on the terminal; what does not fit is left out at the bottom."""
    with screen.capture() as drawn:
        _show(screen, now)
    lines = drawn.get().splitlines()[: screen.height - 1]
    sys.stdout.write(HOME + "".join(f"{line}{TO_LINE_END}\n" for line in lines) + TO_END)


def _line(now: Status, at: datetime) -> str:
    """Where it stands, in one line: for a pipe."""
    sides = []
    for side in Side:
        behind = [one for one in now.views if one.side is side and one.behind is not None]
        last = max(behind, key=lambda one: (one.lag_seconds or 0, one.behind or 0), default=None)
        failing_ = [one.label for one in now.views if one.side is side and one.error]
        note = f", failing: {listed(failing_)}" if failing_ else ""
        far = (
            "no build"
            if last is None
            else f"{plural(last.behind or 0, 'event')} and {_seconds(last.lag_seconds)} behind"
        )
        sides.append(f"{side.value} {far}{note}")
    share = percent_text(now.state.share_ppm)
    killed = ", killed" if now.state.killed else ""
    return f"{at:%H:%M:%SZ} stage {now.state.stage}, {share} % on v2{killed}; head {now.head:,}; {'; '.join(sides)}"


def _show(screen: Console, now: Status) -> None:
    state = now.state
    screen.print(f"migration {now.migration}: stage {state.stage}, {percent_text(state.share_ppm)} % of reads on v2")
    if state.killed:
        screen.print("killed: all reads go to v1 until `dualgauge canary unkill`")
    if now.step:
        screen.print(f"canary.yaml: step {now.step}", soft_wrap=True)
    screen.print(f"log: head at position {now.head:,}")
    screen.print(late_line(now.lateness), soft_wrap=True)
    if now.waiting:
        wait = "waits" if now.waiting == 1 else "wait"
        screen.print(f"quarantine: {plural(now.waiting, 'row')} {wait}: `dualgauge quarantine list`")
    numbers = ["build", "position", "behind", "lag"]
    made = table("view", "readiness", *numbers, "kept by", right=numbers)
    for one in now.views:
        made.add_row(one.label, one.readiness.value, *_place(one), "" if one.adopted else one.strategy or "")
    if now.views:
        screen.print(made)
        _show_tails(screen, now)
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


def _show_tails(screen: Console, now: Status) -> None:
    """Who brings the sides forward, and how each view that is behind goes on."""
    for side, lease in now.holders.items():
        if lease is not None and now.at is not None and lease.until < now.at:
            held = f"{side.value} is brought no further: {lease.holder} runs, and cannot write its database"
            screen.print(f"{held}; its lease ended at {lease.until:%H:%M:%S}Z", soft_wrap=True)
        elif lease is not None:
            screen.print(f"{side.value} is kept by {lease.holder} until {lease.until:%H:%M:%S}Z", soft_wrap=True)
    for one in now.views:
        if one.hot_keys:
            hot = listed(f"{key.label} ({key.share * 100:.0f} %)" for key in one.hot_keys)
            screen.print(f"{one.label}: of its newest events many go to {hot}", soft_wrap=True)
        if one.error:
            screen.print(f"{one.label} stopped behind position {one.stopped_at:,}: {one.error}", soft_wrap=True)
        elif one.behind and one.rate is not None:
            pace = f"{one.rate:,.0f} events/s are applied, {now.arrivals or 0:,.0f} events/s came in the last minute"
            if one.catches_up is False:
                screen.print(f"{one.label} will not catch up: {pace}", soft_wrap=True)
            elif one.eta_seconds is not None:
                screen.print(f"{one.label} is at the head in {_seconds(one.eta_seconds)}: {pace}", soft_wrap=True)


def _steps(now: Status) -> list[NextStep]:
    steps = [NextStep("dualgauge quarantine list", "see which rows wait, and why")] if now.waiting else []
    settled = (ViewReadiness.READY, ViewReadiness.ADOPTED)
    waiting = [one for one in now.views if one.readiness not in settled and not _followed(one, now)]
    if waiting:
        why = f"{plural(len(waiting), 'view')} not at the head with the text of its file"
        steps.append(NextStep("dualgauge replay", why))
    return steps


def _followed(one: ViewStatus, now: Status) -> bool:
    """Whether a tail that runs is all that a view behind the head needs."""
    return one.readiness is ViewReadiness.LAGGING and one.strategy != "replay" and now.holders.get(one.side) is not None


def _gates(now: Status) -> str:
    """The gates in a line: how many are open, and the first that is closed with its reason."""
    if now.gates is None:
        return "gates: cannot be asked: a comparator cannot be read (`dualgauge diff` says which)"
    closed = [one for one in now.gates if not one.passed]
    if not closed:
        return f"gates: all {len(now.gates)} open"
    others = f"; closed too: {listed(one.name for one in closed[1:])}" if closed[1:] else ""
    return f"gates: {len(now.gates) - len(closed)} of {len(now.gates)} open; {closed[0].name}: {closed[0].why}{others}"


def _place(one: ViewStatus) -> tuple[str, str, str, str]:
    """Build, position and how far behind it is, as far as there are any."""
    build = "" if one.build is None else str(one.build)
    if one.position is None:
        return build, "unknown" if one.adopted else "", "", ""
    behind = one.behind or 0
    lag = _seconds(one.lag_seconds) if behind > 0 else ""
    return build, f"{one.position:,}", f"{-behind:,} ahead" if behind < 0 else f"{behind:,}", lag


def _seconds(span: float | None) -> str:
    # Imported here: help loads no ledger.
    from dualgauge.cutover.gates.validity import brief

    return "unknown" if span is None else brief(timedelta(seconds=span))
