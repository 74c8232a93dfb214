"""What a comparison found: frozen values, each with `to_json()` that is stable and that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dualgauge.model import AsJson, Outcome

Row = Mapping[str, object]
"""One row: Python values by column name, in the query's order."""


class SchemaVerdict(StrEnum):
    """How a column stands on the two sides."""

    SAME = "same"
    RETYPED = "retyped"
    ONLY_IN_V1 = "only_in_v1"
    ONLY_IN_V2 = "only_in_v2"
    INCOMPARABLE = "incomparable"


class DifferenceKind(StrEnum):
    """The three kinds of row difference."""

    ONLY_IN_V1 = "only_in_v1"
    ONLY_IN_V2 = "only_in_v2"
    CHANGED = "changed"


UNEXPECTED_SAME = "unexpected_same"
"""Note of a row that should have changed by an expected difference, and did not."""


@dataclass(frozen=True, slots=True)
class SchemaColumn(AsJson):
    """
    One column on the two sides, by DuckDB type; a type is None where the side lacks the column.

    `common_type` is what both sides were cast to before they were compared. `lost` counts the values that it
    cannot hold exactly (a BIGINT over 2^53 as DOUBLE): a finding of its own.
    """

    name: str
    v1_type: str | None
    v2_type: str | None
    common_type: str | None
    verdict: SchemaVerdict
    lost: int = 0


@dataclass(frozen=True, slots=True)
class KeyProblem(AsJson):
    """
    Rows of one side that no key names: left out of the comparison, and a failure by themselves.

    `null_keys` counts rows with a NULL in the key, `duplicate_keys` the key values that occur more than once,
    `duplicate_rows` the rows that carry those. `samples` are keys, duplicate ones first.
    """

    side: str
    null_keys: int
    duplicate_keys: int
    duplicate_rows: int
    samples: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ColumnCount(AsJson):
    """
    The cells of one column over the keys on both sides; compared = equal + within_rule + expected + differ.

    `within_rule` cells are unequal and the rule lets them pass; `expected` cells differ as an expected
    difference says they should; `differ` cells are those of mismatched rows that are wrong.
    """

    name: str
    rule: str
    compared: int
    equal: int
    within_rule: int
    expected: int
    differ: int


@dataclass(frozen=True, slots=True)
class Touching(AsJson):
    """One event that touched a key; `occurred_at` is ISO text in UTC."""

    position: int
    event_id: str
    type: str
    occurred_at: str


@dataclass(frozen=True, slots=True)
class Mismatch(AsJson):
    """
    One mismatched row, both sides whole (context columns too); a side that lacks it is None.

    `columns` are those that are wrong. `note` is empty, `unexpected_same` or `expired: ...`. `cluster` is the
    name of its cluster. `events` are the latest events that touched the key and `events_total` their number,
    filled in by who knows the log; the number is None where nobody can tell. `changes` says of each of `columns` in
    what way it is wrong, as `ChangeCount.change` does.
    """

    key: Row
    kind: DifferenceKind
    columns: tuple[str, ...]
    v1: Row | None
    v2: Row | None
    note: str
    cluster: str
    events: tuple[Touching, ...] = ()
    events_total: int | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectedCount(AsJson):
    """Rows that one expected difference explains; an expired one explains and no longer excuses them."""

    reason: str
    owner: str
    until: str
    rows: int
    expired: bool


@dataclass(frozen=True, slots=True)
class Cluster(AsJson):
    """Mismatched rows with one shape of change in the same columns; `example` is the smallest key."""

    name: str
    shape: str
    columns: tuple[str, ...]
    rows: int
    example: Row


@dataclass(frozen=True, slots=True)
class ChangeCount(AsJson):
    """
    Mismatched rows that are wrong in one way in one column; `column` is None for rows that one side lacks.

    `change` is what a row shows by itself, whatever other rows there are: `NULL to value`, `value to NULL`,
    `another value`, `unexpected same`, `not in the common type`, `only_in_v1`, `only_in_v2`. `shapes` counts the rows
    by what they have in common, without the constants. A row that is wrong in two columns is in two of these.
    """

    column: str | None
    change: str
    rows: int
    shapes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Profile(AsJson):
    """
    One column of one side: rows, NULLs, distinct values (NULL not counted), smallest and largest; None of none.

    `distinct` is counted up to 200,000 rows and estimated above, within a tenth. It, `least` and `most` are None for
    what has no order (a list, a struct, bytes). Of a text the first 200 characters are kept.
    """

    rows: int
    nulls: int
    distinct: int | None
    least: object
    most: object


@dataclass(frozen=True, slots=True)
class Drift(AsJson):
    """
    A column's profile on both sides; a side that lacks the column has None.

    `notes` says in phrases what drifted (null share, least, most, distinct values); empty where nothing did.
    """

    column: str
    v1: Profile | None
    v2: Profile | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison(AsJson):
    """
    What two relations answered, at one position.

    `rows_v1` and `rows_v2` count all rows; `compared` counts the keys on both sides. Each compared key is
    matched, expected or changed; `expected` also counts the excused rows that one side lacks.
    `only_in_v1`, `only_in_v2` and `changed` are mismatches; `unexpected_same` are among the changed.
    `why` gives each value with its limit and sample size, what failed first.
    `in_flight` counts keys left out because they changed while they were looked at (an adopted v1 that cannot tell
    its position), or because events touch them that v1 does not have yet. `drifts` has a row for each column.
    `changes` counts the mismatched rows by column and way of being wrong, those with most rows first.
    `partly` says which keys were compared where it was not all: rows are then those that were looked at.
    """

    rows_v1: int
    rows_v2: int
    compared: int
    matched: int
    expected: int
    only_in_v1: int
    only_in_v2: int
    changed: int
    unexpected_same: int
    schema: tuple[SchemaColumn, ...]
    key_problems: tuple[KeyProblem, ...]
    columns: tuple[ColumnCount, ...]
    expected_by: tuple[ExpectedCount, ...]
    clusters: tuple[Cluster, ...]
    mismatches: tuple[Mismatch, ...]
    plan: str
    verdict: Outcome
    why: tuple[str, ...]
    in_flight: int = 0
    drifts: tuple[Drift, ...] = ()
    changes: tuple[ChangeCount, ...] = ()
    partly: str = ""

    @property
    def mismatched(self) -> int:
        """Rows that are neither matched nor expected."""
        return self.only_in_v1 + self.only_in_v2 + self.changed

    def to_json(self) -> dict[str, object]:
        """All fields, and `mismatched`."""
        return {**AsJson.to_json(self), "mismatched": self.mismatched}
