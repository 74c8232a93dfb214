"""
The command line: one short file per command. A command parses, calls the migration once, and renders once.

Only this room knows typer and rich. Heavy libraries are loaded by what a command calls, never at start-up.
"""

from __future__ import annotations

import functools
import gc
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from dualgauge.cli.builds import migrate, plan, quarantine, replay, status, tail, throttle
from dualgauge.cli.compare import check, diff, evidence, report, reports
from dualgauge.cli.cutover import journal, rollback, switch
from dualgauge.cli.log import add, append, compact, forget, import_events, show, verify
from dualgauge.cli.notify import notify_ack, notify_list, notify_send, notify_test
from dualgauge.cli.schedules import schedule_list, schedule_pause, schedule_run, schedule_show
from dualgauge.cli.start import demo, doctor, init
from dualgauge.cli.terminal.options import Format
from dualgauge.cli.terminal.output import failing, interrupted, usage_error, version
from dualgauge.cli.terminal.screen import prepare
from dualgauge.cli.traffic import apply as canary_apply
from dualgauge.cli.traffic import judge as canary_judge
from dualgauge.cli.traffic import kill, read, validate, who
from dualgauge.cli.traffic import reads as canary_reads
from dualgauge.cli.traffic import show as canary_show
from dualgauge.errors import keep_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["app", "main"]


class InOrder(TyperGroup):
    """Lists the commands in the order of the work, groups among them."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002  (typer's signature)
        """Names as `--help` shows them."""
        order = (
            "init", "demo", "doctor", "log", "plan", "migrate", "replay", "tail", "throttle", "quarantine", "status",
            "diff", "check", "evidence", "report", "reports", "schedule", "notify", "read", "canary", "switch",
            "rollback", "journal",
        )  # fmt: skip
        return sorted(self.commands, key=order.index)


app = typer.Typer(
    cls=InOrder,
    name="dualgauge",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

START, LOG, BUILD, COMPARE, TRAFFIC, CUTOVER = "Start", "Log", "Build", "Compare", "Traffic", "Cutover"

log_group = typer.Typer(no_args_is_help=True, help="The event log: the one history that every view is made from.")
log_group.command("add")(add.log_add)
log_group.command("import")(import_events.log_import)
log_group.command("append")(append.log_append)
log_group.command("show")(show.log_show)
log_group.command("verify")(verify.log_verify)
log_group.command("compact")(compact.log_compact)
log_group.command("forget")(forget.log_forget)

migrations = typer.Typer(no_args_is_help=True, help="The shapes of views in the serving store, as Alembic revisions.")
migrations.command("revision")(migrate.revision)
migrations.command("upgrade")(migrate.upgrade)
migrations.command("history")(migrate.history)

aside = typer.Typer(no_args_is_help=True, help="The rows that do not fit: which they are, and what becomes of them.")
aside.command("list")(quarantine.quarantine_list)
aside.command("retry")(quarantine.quarantine_retry)
aside.command("skip")(quarantine.quarantine_skip)

runs = typer.Typer(no_args_is_help=True, help="The runs that make evidence: what they found, and whether they count.")
runs.command("list")(evidence.evidence_list)
runs.command("show")(evidence.evidence_show)

files = typer.Typer(no_args_is_help=True, help="The folders in which runs and reports keep their files.")
files.command("prune")(reports.prune)

ramp = typer.Typer(no_args_is_help=True, help="The ramp as a file, canary.yaml; who reads which side; kills.")
ramp.command("validate")(validate.validate)
ramp.command("apply")(canary_apply.apply)
ramp.command("show")(canary_show.show)
ramp.command("reads")(canary_reads.reads)
ramp.command("judge")(canary_judge.judge)
ramp.command("kill")(kill.kill)
ramp.command("unkill")(kill.unkill)
ramp.command("who")(who.who)

timed = typer.Typer(no_args_is_help=True, help="Work that is due by the clock: each time once, whoever runs it.")
timed.command("list")(schedule_list.schedule_list)
timed.command("run")(schedule_run.schedule_run)
timed.command("follow")(schedule_run.schedule_follow)
timed.command("pause")(schedule_pause.schedule_pause)
timed.command("resume")(schedule_pause.schedule_resume)
timed.command("show")(schedule_show.schedule_show)

notices = typer.Typer(no_args_is_help=True, help="What people are told: what fires, and what was delivered to whom.")
notices.command("list")(notify_list.notify_list)
notices.command("ack")(notify_ack.notify_ack)
notices.command("send")(notify_send.notify_send)
notices.command("test")(notify_test.notify_test)

app.command("init", rich_help_panel=START)(init.init)
app.command("demo", rich_help_panel=START)(demo.demo)
app.command("doctor", rich_help_panel=START)(doctor.doctor)
app.add_typer(log_group, name="log", rich_help_panel=LOG)
app.command("plan", rich_help_panel=BUILD)(plan.plan)
app.add_typer(migrations, name="migrate", rich_help_panel=BUILD)
app.command("replay", rich_help_panel=BUILD)(replay.replay)
app.command("tail", rich_help_panel=BUILD)(tail.tail)
app.command("throttle", rich_help_panel=BUILD)(throttle.throttle)
app.add_typer(aside, name="quarantine", rich_help_panel=BUILD)
app.command("status", rich_help_panel=BUILD)(status.status)
app.command("diff", rich_help_panel=COMPARE)(diff.diff)
app.command("check", rich_help_panel=COMPARE)(check.check)
app.command("report", rich_help_panel=COMPARE)(report.report)
app.add_typer(runs, name="evidence", rich_help_panel=COMPARE)
app.add_typer(files, name="reports", rich_help_panel=COMPARE)
app.add_typer(timed, name="schedule", rich_help_panel=COMPARE)
app.add_typer(notices, name="notify", rich_help_panel=COMPARE)
app.command("read", rich_help_panel=TRAFFIC)(read.read)
app.add_typer(ramp, name="canary", rich_help_panel=TRAFFIC)
app.command("switch", rich_help_panel=CUTOVER)(switch.switch)
app.command("rollback", rich_help_panel=CUTOVER)(rollback.rollback)
app.command("journal", rich_help_panel=CUTOVER)(journal.journal)


@app.callback()
def root(
    show_version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and stop.",
        is_eager=True,
        callback=version,
    ),
) -> None:
    """
    Dual-run migration of derived views.

    Replay one event history into a new view (v2) beside the old one (v1), compare what they answer, send a share of
    reads to each, and move forward or back.

    Exit codes: 0 done or passed; 1 failed, or could not tell; 2 usage or configuration; 3 gate refused;
    4 differences found, or data that breaks a promise; 5 state conflict.
    """


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a call asks for JSON, be it one that parses or not."""
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def verb_of(arguments: Sequence[str]) -> str:
    """The command of a call that may not parse, as its words: `log import`; empty where none that exists is named."""
    words = [one for before, one in pairwise(["", *arguments]) if not one.startswith("-") and before != "--format"]
    level: typer.Typer | None = app
    known: list[str] = []
    # Only words of our own: what is typed instead of a command may hold a password.
    for word in words:
        here: dict[str | None, typer.Typer | None] = {}
        if level:
            here = {one.name: one.typer_instance for one in level.registered_groups}
            here |= dict.fromkeys(one.name for one in level.registered_commands)
        if word not in here:
            break
        known.append(word)
        level = here[word]
    return " ".join(known)


@functools.cache
def _commands() -> Callable[..., object]:
    """What typer makes of `app`: 50 ms, and the same for every call in a process."""
    return get_command(app)


def main() -> None:
    """Run the command line and leave with its exit code."""
    # A command loads hundreds of modules and ends; to look for garbage among them every 700 objects is 5 % of its time.
    gc.set_threshold(50_000)
    prepare()
    arguments = sys.argv[1:]
    for one in arguments:
        # A database may be named in the call itself.
        keep_secret(one)
    verb, form = verb_of(arguments), Format.JSON if wants_json(arguments) else Format.TEXT
    try:
        # What goes wrong outside a command's own `answering` is told in the same way.
        with failing(verb.replace(" ", "-") or "dualgauge", form, debug="--debug" in arguments):
            code = _commands()(args=arguments, prog_name="dualgauge", standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except TyperException as fault:
        code = usage_error(verb, form, fault)
    except typer.Abort:
        code = interrupted(verb, form)
    sys.exit(code if isinstance(code, int) else 0)
