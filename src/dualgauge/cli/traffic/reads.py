"""`dualgauge canary reads`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.cutover.moves.percent import percent_text
from dualgauge.model import NextStep, as_json, canonical_json, listed

if TYPE_CHECKING:
    from dualgauge.commands.reads import ViewReads


def reads(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """
    Show what the reads of applications came to, for the builds, comparators and settings that there are now.

    Routers add to it at each look at the ledger. A different read is a view with other arguments: each counts once, the
    first that was judged; the bound on the rate of bad ones takes a read for bad where any was.
    """
    with answering("canary-reads", project, form, debug=debug) as answer:
        found = answer.migration.canary.reads()

        def text(screen: Console) -> None:
            for one in found:
                _print(screen, one)

        stale = any(one.stale or not one.evidence_key for one in found)
        steps = [NextStep("dualgauge canary apply", "count reads for what is there now")] if stale else []
        if any(one.waiting and not one.stale for one in found):
            steps.append(NextStep("dualgauge canary judge", "judge the pairs of answers that wait"))
        answer.give({"views": as_json(found)}, text, next_steps=steps)


def _print(screen: Console, one: ViewReads) -> None:
    screen.print(one.view, style="bold")
    if not one.evidence_key:
        screen.print("  not counted: no canary.yaml was applied since both sides were built")
        return
    if one.stale:
        screen.print(
            "  counted for builds, a comparator or a canary.yaml that is not what is there now", soft_wrap=True
        )
    if not one.counts:
        screen.print("  no read yet")
        return
    made = table("share", "kind", "side", "outcome", "reads", right=["share", "reads"])
    for count in one.counts:
        share = f"{percent_text(count.share_ppm)} %"
        made.add_row(share, count.kind, count.side, count.outcome, f"{count.reads:,}")
    screen.print(made)
    for judged in one.judged:
        at = f"at {percent_text(judged.share_ppm)} %: {judged.reads:,} different reads judged, {judged.ever_bad:,} bad"
        if judged.unjudged:
            at += f", {judged.unjudged:,} not judged, which count as bad"
        below = f"{100 * judged.rate_below:.3g} % (alpha {one.alpha:g})"
        screen.print(f"  {at}; the rate is below {below}", soft_wrap=True)
    if one.waiting:
        screen.print(f"  {one.waiting:,} pairs of answers wait to be judged")
    for sample in one.samples:
        screen.print(f"  {sample.outcome} in {listed(sample.columns)}", soft_wrap=True, markup=False)
        for side, rows in (("v1", sample.v1), ("v2", sample.v2)):
            screen.print(f"    {side} {canonical_json(rows)}", soft_wrap=True, markup=False)
