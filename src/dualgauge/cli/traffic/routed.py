"""How a change of routing is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.cli.cutover.moves import print_gates, print_remarks

if TYPE_CHECKING:
    from rich.console import Console

    from dualgauge.cutover.moves.routing import Routed


def print_routed(screen: Console, routed: Routed, did: str, already: str) -> None:
    """One line on what was done, or that there was nothing to do; and the gates that were asked."""
    if not routed.changed:
        screen.print(f"nothing to do: {already}", soft_wrap=True)
    else:
        screen.print(f"{'would be ' if routed.dry_run else ''}{did}", soft_wrap=True)
    if routed.dry_run and routed.gates:
        print_gates(screen, routed.gates)
    else:
        print_remarks(screen, routed.gates)


def routed_json(routed: Routed) -> dict[str, object]:
    """The same as JSON."""
    return {
        "changed": routed.changed, "dry_run": routed.dry_run, "killed": routed.after.killed,
        "rollout": routed.after.rollout, "revision": routed.after.revision,
        "gates": [gate.to_json() for gate in routed.gates],
    }  # fmt: skip
