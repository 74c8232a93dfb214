"""How drifts are printed: by `check` one by one, by `diff` in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualgauge.model import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from dualgauge.comparison.values import Drift

FEW: Final = 20
"""A diff of fewer rows on both sides does not speak of drifts; `check` does."""


def print_drifts(screen: Console, drifts: Sequence[Drift]) -> None:
    """Each column that drifted, with what did."""
    for one in drifts:
        if one.notes:
            screen.print(f"  drift {one.column}: {'; '.join(one.notes)}", soft_wrap=True)
    if not any(one.notes for one in drifts):
        screen.print("  no drift between the sides")


def print_drift_line(screen: Console, drifts: Sequence[Drift], shown_by: str) -> None:
    """
    Which columns drifted, in one line that says which command shows how; nothing where none did.

    Of a few rows it says nothing: one more or less moves all of it, and the rows themselves were compared.
    """
    drifted = [one.column for one in drifts if one.notes]
    if drifted and max(side.rows for one in drifts for side in (one.v1, one.v2) if side) >= FEW:
        screen.print(f"  drift between the sides in {listed(drifted)}; {shown_by} shows it", soft_wrap=True)
