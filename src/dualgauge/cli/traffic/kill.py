"""`dualgauge canary kill` and `unkill`."""

from __future__ import annotations

from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, ProjectDir, Reason
from dualgauge.cli.terminal.output import answering
from dualgauge.cli.traffic.routed import print_routed, routed_json
from dualgauge.model import NextStep


def kill(
    reason: Reason = None,
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Send all reads to v1 until that is taken back, whatever the share is; pins and cohorts too.

    It asks for nothing, and leaves stage and share as they are. Each router follows within its `refresh` (a second) and
    one look at the ledger. While it holds, no larger share is set.
    """
    with answering("canary-kill", project, form, debug=debug) as answer:
        routed = answer.migration.canary.kill(reason=reason, dry_run=dry_run)
        steps = [NextStep("dualgauge canary unkill", "let the share count again, once v2 is well")]
        answer.give(
            routed_json(routed),
            lambda screen: print_routed(screen, routed, "killed: all reads go to v1", "it is killed already"),
            next_steps=steps if routed.changed and not dry_run else [],
        )


def unkill(
    reason: Reason = None,
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Let the share count again.

    Where that sends reads to v2, the gates are asked as for a larger share; after `dualgauge rollback` it never is.
    """
    with answering("canary-unkill", project, form, debug=debug) as answer:
        routed = answer.migration.canary.unkill(reason=reason, dry_run=dry_run)
        answer.give(
            routed_json(routed),
            lambda screen: print_routed(screen, routed, "unkilled: the share counts again", "it is not killed"),
        )
