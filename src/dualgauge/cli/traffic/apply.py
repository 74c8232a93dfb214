"""`dualgauge canary apply`."""

from __future__ import annotations

import json

from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, DryRun, Format, FormatOption, ProjectDir, Reason
from dualgauge.cli.terminal.output import answering
from dualgauge.cli.traffic.routed import print_routed, routed_json
from dualgauge.cli.traffic.validate import CanaryPath
from dualgauge.model import as_json, listed


def apply(
    file: CanaryPath = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    project: ProjectDir = HERE,
    form: FormatOption = Format.TEXT,
    debug: Debug = False,
) -> None:
    """
    Put a canary.yaml in force, and show what changes.

    One compare-and-set in the ledger, with one row in the journal; every router reads it from there. Where it may send
    more reads to v2 at once (a pin or a cohort while v2 answers reads), the gates are asked as for a larger share.
    """
    with answering("canary-apply", project, form, debug=debug) as answer:
        routed, changes = answer.migration.canary.apply(file, reason=reason, dry_run=dry_run)

        def text(screen: Console) -> None:
            print_routed(screen, routed, "applied", "this configuration is in force already")
            # At first all of it is new, and stands in the file.
            for change in changes if routed.before.canary else ():
                before, after = (_shown(value) for value in (change.before, change.after))
                screen.print(f"  {change.path}: {before} -> {after}", soft_wrap=True)
            if uncompared := [
                name for name, one in json.loads(routed.after.canary).get("views", {}).items() if not one
            ]:
                told = "without a comparator of its rows, a view's reads have no shadow"
                screen.print(f"{told}: {listed(uncompared)}", soft_wrap=True)

        answer.give({**routed_json(routed), "changes": as_json(changes)}, text)


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
