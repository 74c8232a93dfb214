"""How moves of a migration are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.cli.terminal.output import table
from dualgauge.cutover.moves.percent import percent_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from dualgauge.cutover.values import GateResult, Moved
    from dualgauge.ledger.values import MigrationState


def print_move(screen: Console, moved: Moved) -> None:
    """One line on what was, and what is or would be; after a rollback, one for each table of the user's own."""
    if moved.changed:
        verb = "would move" if moved.dry_run else "moved"
        screen.print(f"{verb} from {_state(moved.before)} to {_state(moved.after)}")
    else:
        screen.print(f"nothing to do: {_state(moved.before)} already")
    for view, position in moved.v1_positions.items():
        screen.print(f"v1.{view}, kept by code of your own: {position_text(position)}")


def position_text(position: int | None) -> str:
    """A position for a sentence: `at position 12`, or that nobody knows."""
    return "position unknown" if position is None else f"at position {position:,}"


def print_gates(screen: Console, gates: Sequence[GateResult]) -> None:
    """Each gate with what was found, and of a closed one what is needed and why."""
    made = table("gate", "says", "found")
    for one in gates:
        made.add_row(one.name, one.outcome.value, one.value)
        if not one.passed:
            made.add_row("", "needed", one.limit)
        if one.why:
            made.add_row("", "why" if not one.passed else "note", one.why)
    screen.print(made)


def print_remarks(screen: Console, gates: Sequence[GateResult]) -> None:
    """What open gates have to say all the same, a line each."""
    for one in gates:
        if one.passed and one.why:
            screen.print(f"note: {one.name}: {one.why}", soft_wrap=True)


def move_json(moved: Moved) -> dict[str, object]:
    """The same as JSON."""
    return {
        "changed": moved.changed, "dry_run": moved.dry_run,
        "before": {"stage": moved.before.stage, "share_ppm": moved.before.share_ppm, "revision": moved.before.revision},
        "after": {"stage": moved.after.stage, "share_ppm": moved.after.share_ppm, "revision": moved.after.revision},
    }  # fmt: skip


def _state(state: MigrationState) -> str:
    return f"stage {state.stage} ({percent_text(state.share_ppm)} % on v2)"
