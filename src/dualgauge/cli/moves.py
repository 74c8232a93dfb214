"""How moves of a migration are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.cutover.percent import percent_text

if TYPE_CHECKING:
    from rich.console import Console

    from dualgauge.cutover.values import Moved
    from dualgauge.ledger.values import MigrationState


def print_move(screen: Console, moved: Moved) -> None:
    """One line on what was, and what is or would be."""
    if not moved.changed:
        screen.print(f"nothing to do: {_state(moved.before)} already")
        return
    verb = "would move" if moved.dry_run else "moved"
    screen.print(f"{verb} from {_state(moved.before)} to {_state(moved.after)}")


def move_json(moved: Moved) -> dict[str, object]:
    """The same as JSON."""
    return {
        "changed": moved.changed, "dry_run": moved.dry_run,
        "before": {"stage": moved.before.stage, "share_ppm": moved.before.share_ppm, "revision": moved.before.revision},
        "after": {"stage": moved.after.stage, "share_ppm": moved.after.share_ppm, "revision": moved.after.revision},
    }  # fmt: skip


def _state(state: MigrationState) -> str:
    return f"stage {state.stage} ({percent_text(state.share_ppm)} % on v2)"
