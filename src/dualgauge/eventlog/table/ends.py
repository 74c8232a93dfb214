"""Where the log's commits ended: what a build at a position of the log knows the log by."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.model import Position

if TYPE_CHECKING:
    from dualgauge.eventlog.table.commits import Head


@dataclass(frozen=True, slots=True)
class Ends:
    """
    The heads that a log had, the newest first: down to the first that ends before the positions that are asked for.

    A compaction adds to the digest chain and leaves positions as they are, so several may end at one position.
    """

    heads: tuple[Head, ...]

    def known_by(self, position: Position) -> str | None:
        """
        The digest chain at a position: the newest commit's that ends there.

        Within a commit it is where that commit ends, with the chain there; None where that is not known.
        """
        found = bisect_left(self.heads, -position, key=_newest_first)
        if found < len(self.heads) and self.heads[found].last == position:
            return self.heads[found].chain
        around = self.heads[found - 1] if found else None
        return f"{around.last:d}:{around.chain}" if around else None

    def had(self, known: str | None, position: Position) -> bool:
        """Whether the log was known by this at a position, see `known_by`. None never is."""
        if known is not None and ":" in known:
            end, _, known = known.partition(":")
            if int(end) < position:
                return False
            position = Position(int(end))
        return known is not None and any(head.chain == known for head in self.heads if head.last == position)


def _newest_first(head: Head) -> int:
    return -head.last
