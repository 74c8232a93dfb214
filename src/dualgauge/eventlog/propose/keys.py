"""
Which columns together are unique and never NULL, over every row.

A column is denied only where a row has no value in it, and a group of columns only where two rows of the file agree in
all of it. Such two rows are looked for in a sample first; where only a count over all rows finds them, all columns in
which they agree are noted, and so every other group that these two rows deny is denied without a count of its own.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.model import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.propose.profile import ProfiledColumn

LONGEST_PART: Final = 200
"""Characters of a value in an event id, at most; of a column with longer ones it has a digest."""

MOST_TOGETHER: Final = 3
"""Columns of a group, at most."""

_MOST_COLUMNS: Final = 60
_FIRST_ROWS, _SPREAD_ROWS = 400, 1_600
_FIRST_CHECK: Final = 64
_MOST_COUNTED: Final = 400_000_000
"""Rows that are counted in all, at most: 400 groups of a million rows, 40 of ten million."""

_FEWEST_COUNTS: Final = 20
_DOUBLES_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Looked:
    """How many groups there are, and how many of them are known to be unique or not."""

    groups: int
    tried: int

    @property
    def all(self) -> bool:
        """Whether every group was decided."""
        return self.tried == self.groups


def part(column: ProfiledColumn, named: str) -> str:
    """A column in an event id: itself, or its digest where values are long. `named` is how it is written in SQL."""
    if column.longest <= LONGEST_PART:
        return named
    return f"sha256({named})" if column.given == "VARCHAR" else f"sha256(CAST({named} AS VARCHAR))"


class Keys:
    """
    The groups of columns of some rows that are unique.

    Args:
        engine: holds the rows.
        events: the rows as SQL, with the column `_at`, which never repeats.
        columns: those that may identify a row, the likelier first.
        score: how natural a column is in an identity; the sum orders groups.
        moved: whether some rows of the file are left out, so that what was measured over all of them does not hold.
    """

    def __init__(
        self,
        engine: Engine,
        events: str,
        columns: Sequence[ProfiledColumn],
        score: Callable[[ProfiledColumn], float],
        *,
        moved: bool,
    ) -> None:
        self._engine, self._events, self._score = engine, events, score
        (self.rows,) = engine.row(f"SELECT count(*) FROM ({events})")
        measured = [(one, self._measured(one, moved=moved)) for one in columns]
        # A column of one value tells no two rows apart.
        found = [(one, distinct) for one, (filled, distinct) in measured if filled == self.rows and distinct > 1]
        self.singles = [one for one, distinct in found if distinct == self.rows]
        likelier = sorted(found, key=lambda pair: -score(pair[0]))
        self._left_out = len(likelier) - _MOST_COLUMNS if len(likelier) > _MOST_COLUMNS else 0
        chosen = {id(one) for one, _ in likelier[:_MOST_COLUMNS]}
        self._columns = [one for one, _ in found if id(one) in chosen]
        self._distinct = [distinct for one, distinct in found if id(one) in chosen]
        self._single = sum(1 << at for at, one in enumerate(self._columns) if one in self.singles)
        self._agreed: list[int] = []
        self._budget = max(_FEWEST_COUNTS, _MOST_COUNTED // max(1, self.rows))
        self._tried: set[int] = set()
        self._sample = self._sampled()

    def groups(self, fit: Callable[[Sequence[float]], bool], *, least: bool = False) -> Iterator[list[ProfiledColumn]]:
        """
        The groups of two and three columns that are unique, pairs first, the more natural first.

        Args:
            fit: which scores a group has.
            least: leave out groups of which a single column is unique already.
        """
        scores = [self._score(one) for one in self._columns]
        for size in range(2, MOST_TOGETHER + 1):
            fitting = [
                group
                for group in itertools.combinations(range(len(self._columns)), size)
                if fit([scores[at] for at in group])
            ]
            fitting.sort(key=lambda group: -sum(scores[at] for at in group))
            for group in fitting:
                mask = sum(1 << at for at in group)
                if not (least and mask & self._single) and self._unique(group, mask):
                    yield [self._columns[at] for at in self._smaller(group, scores) or group]

    def holds(self, names: Sequence[str]) -> list[ProfiledColumn]:
        """The columns of those names, where they are unique together and never NULL; else none."""
        group = [at for at, one in enumerate(self._columns) if one.name in names]
        mask = sum(1 << at for at in group)
        whole = len(group) == len(names) > 0 and (mask & self._single or (len(group) > 1 and self._unique(group, mask)))
        return [self._columns[at] for at in group] if whole else []

    @property
    def looked(self) -> Looked:
        """How far the search went."""
        columns = len(self._columns) + self._left_out
        groups = sum(math.comb(columns, size) for size in range(2, MOST_TOGETHER + 1))
        return Looked(groups, len(self._tried))

    def _measured(self, column: ProfiledColumn, *, moved: bool) -> tuple[int, int]:
        """The rows with a value, and the distinct values, as texts."""
        if not moved and column.given == "VARCHAR":
            return column.filled, column.distinct
        text = f"CAST({quote(column.name)} AS VARCHAR)"
        filled, distinct = self._engine.row(f"SELECT count({text}), count(DISTINCT {text}) FROM ({self._events})")
        return filled, distinct

    def _unique(self, group: Sequence[int], mask: int) -> bool:
        if any(mask & ~agreed == 0 for agreed in self._agreed):
            self._tried.add(mask)
            return False
        if math.prod(self._distinct[at] for at in group) < self.rows or self._repeats_in_sample(group):
            self._tried.add(mask)
            return False
        if not mask & self._single:
            if not self._budget:
                return False
            self._budget -= 1
            self._note(self._doubles(group))
        self._tried.add(mask)
        return not any(mask & ~agreed == 0 for agreed in self._agreed)

    def _smaller(self, group: Sequence[int], scores: Sequence[float]) -> Sequence[int]:
        """The most natural two of three columns that are unique without the third; () where none are."""
        pairs = sorted(itertools.combinations(group, 2), key=lambda pair: -sum(scores[at] for at in pair))
        for pair in pairs if len(group) > 2 else ():  # noqa: PLR2004  (a pair is as small as a group can be)
            if self._unique(pair, sum(1 << at for at in pair)):
                return pair
        return ()

    def _text(self, at: int) -> str:
        """A column's text; of long ones a digest."""
        return part(self._columns[at], f"CAST({quote(self._columns[at].name)} AS VARCHAR)")

    def _sampled(self) -> list[tuple[str, ...]]:
        """A sample by column: the first rows, for neighbours are alike, and some from everywhere."""
        if not self._columns:
            return []
        texts = ", ".join(self._text(at) for at in range(len(self._columns)))
        every = max(1, self.rows // _SPREAD_ROWS)
        first = f"SELECT _at FROM ({self._events}) ORDER BY _at LIMIT {_FIRST_ROWS:d}"
        spread = f"hash(_at) % {every:d} = 0"
        rows = self._engine.rows(
            f"SELECT {texts} FROM ({self._events}) WHERE _at IN ({first}) OR {spread} ORDER BY _at "
            f"LIMIT {2 * (_FIRST_ROWS + _SPREAD_ROWS):d}"
        )
        return list(zip(*rows, strict=True))

    def _repeats_in_sample(self, group: Sequence[int]) -> bool:
        columns = [self._sample[at] for at in group]
        for size in (_FIRST_CHECK, len(columns[0])):
            values = list(zip(*(one[:size] for one in columns), strict=True))
            if len(set(values)) == len(values):
                continue
            seen: dict[tuple[str, ...], int] = {}
            for row, value in enumerate(values):
                if (other := seen.setdefault(value, row)) != row:
                    self._note([[(one[other], one[row]) for one in self._sample]])
                    return True
        return False

    def _doubles(self, group: Sequence[int]) -> list[list[tuple[str, str]]]:
        """Some pairs of rows that agree in a group, as pairs of all columns' texts; none where it is unique."""
        texts = ", ".join(self._text(at) for at in group)
        found = self._engine.rows(
            f"SELECT min(_at), max(_at) FROM ({self._events}) GROUP BY {texts} HAVING count(*) > 1 "
            f"ORDER BY 1 LIMIT {_DOUBLES_AT_ONCE:d}"
        )
        if not found:
            return []
        everything = ", ".join(self._text(at) for at in range(len(self._columns)))
        places = ", ".join(str(place) for pair in found for place in pair)
        rows = {
            place: texts
            for place, *texts in self._engine.rows(
                f"SELECT _at, {everything} FROM ({self._events}) WHERE _at IN ({places})"
            )
        }
        return [list(zip(rows[one], rows[other], strict=True)) for one, other in found]

    def _note(self, pairs: Iterable[Sequence[tuple[str, str]]]) -> None:
        """Keep in which columns two rows agree, where no other two agree in more."""
        for pair in pairs:
            mask = sum(1 << at for at, (one, other) in enumerate(pair) if one == other)
            if not any(mask & ~agreed == 0 for agreed in self._agreed):
                self._agreed = [agreed for agreed in self._agreed if agreed & ~mask] + [mask]
