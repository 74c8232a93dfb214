"""What is refused where rows may be set aside. Nothing was appended, and nothing was kept."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from dualgauge.errors import DataError, UsageError
from dualgauge.eventlog.errors import BadRow
from dualgauge.model import NextStep, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALUE = re.compile(r"(?<== ).*(?= (?:is no|is not|does not) )|'[^']*'", re.DOTALL)
"""What differs from row to row in the reason why it does not fit."""


class NotSetAside(BadRow):
    """A row that does not fit, where the quarantine was asked for and which row it is cannot be told."""

    def __init__(self, fault: BadRow, why: str) -> None:
        self.why = why
        advice = f"--on-bad-row quarantine cannot set it aside, because {why}; mend the data"
        super().__init__(fault.source, fault.row, fault.reason, advice)


class TooManyBadRows(DataError):
    """
    More rows do not fit than may be set aside; nothing was appended, and nothing was kept.

    `first` are places and reasons, `common` is what most of the reasons that were found say.
    """

    def __init__(self, source: str, count: int, first: Sequence[tuple[str, str]], reasons: Sequence[str]) -> None:
        self.source, self.count, self.first = source, count, tuple(first)
        kinds = Counter(_VALUE.sub("...", one) for one in reasons)
        self.common, number = kinds.most_common(1)[0]
        shown = "; ".join(f"{place}: {reason}" for place, reason in first)
        super().__init__(
            f"source {source!r}: at least {plural(count, 'row')} {'does' if count == 1 else 'do'} not fit, more than "
            f"may be set aside; of {len(reasons):,} that were looked at, {number:,} because of this: {self.common} "
            f"(the first: {shown}); nothing was imported or kept: mend the source's settings, or allow more with "
            "--max-bad-rows"
        )


class TextForMany(UsageError):
    """A text is given to read in the place of a row's, and not one row is named."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        super().__init__(
            f"--with gives the text of one row, and the call names {rows or 'none'}; name the one",
            next_steps=(NextStep("dualgauge quarantine list", "see which rows wait, and why"),),
        )
