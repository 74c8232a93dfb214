"""`dualgauge canary show`."""

from __future__ import annotations

from rich.console import Console

from dualgauge.cli.terminal.options import HERE, Debug, Format, FormatOption, ProjectDir
from dualgauge.cli.terminal.output import answering, table
from dualgauge.cli.terminal.times import duration
from dualgauge.cutover.moves.percent import percent_text
from dualgauge.model import NextStep


def show(project: ProjectDir = HERE, form: FormatOption = Format.TEXT, debug: Debug = False) -> None:
    """Show what reads are routed by: stage and share, a kill, pins, and the steps with the one that holds."""
    with answering("canary-show", project, form, debug=debug) as answer:
        found = answer.migration.canary.show()
        state, said = found.state, found.configuration

        def text(screen: Console) -> None:
            screen.print(
                f"stage {state.stage}, {percent_text(state.share_ppm)} % of reads on v2, rollout {state.rollout}"
            )
            if state.killed:
                screen.print("killed: all reads go to v1 until `dualgauge canary unkill`")
            if said is None:
                screen.print("no canary.yaml is in force: `dualgauge canary apply`")
                return
            made = table("", "step", "share", "cohorts", "soak", right=["share"])
            for step in said["steps"]:
                here = "*" if step["name"] == found.step else ""
                soak = duration(step["soak_seconds"]) if step["soak_seconds"] else ""
                made.add_row(
                    here, step["name"], f"{percent_text(step['share_ppm'])} %", " ".join(step["cohorts"]), soak
                )
            screen.print(made)
            for side in ("pin_v1", "pin_v2"):
                pins = said["overrides"][side]
                if names := [*map(str, pins["units"]), *(f"cohort {name}" for name in pins["cohorts"])]:
                    screen.print(f"{side}: {', '.join(names)}", soft_wrap=True)

        result = {
            "stage": state.stage, "share_ppm": state.share_ppm, "rollout": state.rollout, "revision": state.revision,
            "killed": state.killed, "step": found.step, "configuration": said,
        }  # fmt: skip
        steps = [NextStep("dualgauge canary unkill", "let the share count again")] if state.killed else []
        answer.give(result, text, next_steps=steps)
