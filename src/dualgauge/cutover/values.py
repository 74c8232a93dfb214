"""What a move needs to know, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.model import listed

if TYPE_CHECKING:
    from dualgauge.ledger.values import MigrationState


@dataclass(frozen=True, slots=True)
class Readiness:
    """
    Whether v2 could answer reads, as the caller found it in the stores.

    Args:
        unbuilt: the views that have no build, as `v2.orders`; of either side, since the sides are compared.
        v1_position: how far v1 is, by its view that is furthest; None where an adopted v1 cannot tell.
        v2_position: how far all of v2 is, by its view that is least far; None without any build.
    """

    unbuilt: tuple[str, ...]
    v1_position: int | None
    v2_position: int | None

    @property
    def hydrated(self) -> bool:
        """Every view has a build."""
        return not self.unbuilt and self.v2_position is not None

    @property
    def caught_up(self) -> bool:
        """Every view has a build, and v2 is exactly as far as v1 (or v1 cannot tell how far it is)."""
        return self.hydrated and self.v1_position in (None, self.v2_position)

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps reads from going to v2, in phrases; nothing when it is ready."""
        if self.unbuilt:
            return (f"there is no build of {listed(self.unbuilt)}",)
        if not self.hydrated:
            return ("v2 has no builds",)
        if not self.caught_up:
            return (f"v1 is at position {self.v1_position} and v2 at position {self.v2_position}",)
        return ()


@dataclass(frozen=True, slots=True)
class Moved:
    """
    A move: what the migration was and what it is, or, in a dry run, would be.

    Where `changed` is False there was nothing to do and no journal row was written.
    """

    before: MigrationState
    after: MigrationState
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether the move does anything."""
        return (self.before.stage, self.before.share_ppm) != (self.after.stage, self.after.share_ppm)
