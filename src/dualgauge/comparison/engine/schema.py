"""The columns of both sides, and what SQL of ours calls them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualgauge.comparison.content.comparator import CONTEXT, Comparator
from dualgauge.comparison.engine.common_types import CommonType, common_type, is_numeric
from dualgauge.comparison.engine.equality import equal, form, is_plain, unknown
from dualgauge.comparison.engine.kinds import NULL, Kind, kind_of, struct_kind
from dualgauge.comparison.errors import BadRelation, MissingKey, NoColumnToCompare, NoEquality, NotNumeric
from dualgauge.comparison.values import SchemaColumn, SchemaVerdict
from dualgauge.engines.errors import EngineError
from dualgauge.model import fold
from dualgauge_router.rules import Exact

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge_router.rules import Rule

PREFIX = "dg"
"""How names of ours begin; an underscore more for as long as something of the user's begins so too."""


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column that is on both sides: its spelling on each, the common type, and the rule that judges it.

    `paired` is set of a key some of whose values its common type cannot hold: the type that pairs those which it can,
    while `common` is the text as which all are shown.
    """

    name: str
    v2_name: str
    v1_type: str
    v2_type: str
    common: CommonType
    rule: Rule
    paired: CommonType | None = None

    @property
    def key_kind(self) -> Kind:
        """The type of the form in which keys pair rows."""
        if self.paired is None:
            return form("", self.kind)[1]
        held = form("", kind_of(self.paired.name))[1]
        return struct_kind(("lost", "held"), (kind_of("VARCHAR"), held))

    @property
    def numeric(self) -> bool:
        """Whether the common type has a distance that counts in numbers."""
        return is_numeric(self.common.name)

    @property
    def kind(self) -> Kind:
        """The common type as a tree."""
        return kind_of(self.common.name)

    @property
    def exact(self) -> bool:
        """Whether only equal values are the same, so that a hash of them may choose candidates."""
        return type(self.rule) is Exact

    def same(self, a: str, b: str) -> str:
        """A condition that two expressions of the common type are the same answer by the column's rule; never NULL."""
        return equal(a, b, self.kind) if self.exact else f"coalesce({self.rule.sql(a, b)}, false)"


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Both sides' columns, sorted by what happens to them.

    `keys` and `compared` are cast to their common types and bear v1's spelling on both sides. `rest_v1` and
    `rest_v2` (context, one-sided and incomparable columns) keep theirs: conditions may name them.

    SQL of ours calls them by their places, behind a `prefix` that no column of the user's and no text of an expected
    difference has: whatever a column is called, no name of ours is taken for it.
    """

    keys: tuple[Column, ...]
    compared: tuple[Column, ...]
    rest_v1: tuple[str, ...]
    rest_v2: tuple[str, ...]
    schema: tuple[SchemaColumn, ...]
    bad_keys: tuple[SchemaColumn, ...]
    prefix: str

    def key(self, at: int) -> str:
        """A key column in the form that pairs rows: equal to the engine where it is equal to us."""
        return f"{self.prefix}k{at}"

    def shown(self, at: int) -> str:
        """A key column as it was."""
        column = self.keys[at]
        return self.key(at) if column.paired is None and is_plain(column.kind) else f"{self.prefix}s{at}"

    def value(self, at: int) -> str:
        """A compared column."""
        return f"{self.prefix}c{at}"

    def unfit(self, at: int) -> str:
        """Beside a compared column, 0 where the common type holds the side's value; else 1 in v1 and 2 in v2."""
        return f"{self.prefix}u{at}"

    @property
    def risky(self) -> tuple[int, ...]:
        """The compared columns, by place, that have such a mark beside them."""
        return tuple(at for at, column in enumerate(self.compared) if column.common.risky)

    def same(self, at: int, a: str, b: str) -> str:
        """The condition that a compared column's cells of two joined relations are the same; a lost value is not."""
        same = self.compared[at].same(f"{a}.{self.value(at)}", f"{b}.{self.value(at)}")
        return f"({a}.{self.unfit(at)} = 0 AND {b}.{self.unfit(at)} = 0 AND {same})" if at in self.risky else same

    def rest(self, at: int) -> str:
        """A column of the side's rest."""
        return f"{self.prefix}r{at}"

    def own(self, name: str) -> str:
        """Another name of ours beside those columns."""
        return f"{self.prefix}{name}"

    @property
    def key_names(self) -> tuple[str, ...]:
        """The columns that pair rows."""
        return tuple(self.key(at) for at in range(len(self.keys)))

    def on(self, a: str, b: str) -> str:
        """The condition that rows of two relations have one key. Keys are never NULL when it is asked."""
        return " AND ".join(f"{a}.{name} = {b}.{name}" for name in self.key_names)

    def alone(self, side: str) -> str:
        """The condition that a joined pair has no row of this side."""
        return f"{side}.{self.key(0)} IS NULL"

    @property
    def reads_json(self) -> bool:
        """Whether some column holds JSON, whose content a function of ours tells."""
        return any(column.kind.holds("JSON") for column in (*self.keys, *self.compared))


def read_layout(engine: Engine, v1_sql: str, v2_sql: str, comparator: Comparator, *, context: bool = False) -> Layout:
    """
    Look at both queries' columns, without running them. Names are matched as the engine matches them.

    With `context`, columns whose names begin with `_` are not compared.

    Raises:
        BadRelation: a query cannot be run.
        MissingKey: a key column is not on both sides.
        NoColumnToCompare: a rule, a limit or an expected difference names a column that is not compared.
        NotNumeric: a tolerant rule stands on a column without numbers.
        NoEquality: a column has a type whose values cannot be told to be the same.
    """
    if context:
        comparator.check_context()
    v1, v2 = _columns(engine, "v1", v1_sql), _columns(engine, "v2", v2_sql)
    sides = [(side, names, {fold(name) for name in names}) for side, names in (("v1", v1), ("v2", v2))]
    for column in comparator.keys:
        for side, names, folded in sides:
            if fold(column) not in folded:
                raise MissingKey(column, side, names)
    pairs, schema = _paired(v1, v2, comparator, context=context)
    keys = {fold(column) for column in comparator.keys}
    by_name = {fold(column.name): column for column in pairs}
    layout = Layout(
        keys=tuple(by_name[fold(name)] for name in comparator.keys if fold(name) in by_name),
        compared=tuple(column for column in pairs if fold(column.name) not in keys),
        rest_v1=_rest(v1, {column.name for column in pairs}),
        rest_v2=_rest(v2, {column.v2_name for column in pairs}),
        schema=schema,
        prefix=_prefix(comparator, (*v1, *v2)),
        bad_keys=tuple(c for c in schema if c.verdict is SchemaVerdict.INCOMPARABLE and fold(c.name) in keys),
    )
    _check_names(comparator, layout)
    return layout


def _prefix(comparator: Comparator, names: Sequence[str]) -> str:
    texts = [text for expected in comparator.expected for text in (expected.when, *expected.v2_equals.values())]
    taken = fold("\n".join([*names, *texts]))
    prefix = f"{PREFIX}_"
    while prefix in taken:
        prefix = f"{prefix}_"
    return prefix


def _columns(engine: Engine, side: str, sql: str) -> dict[str, str]:
    try:
        # Seen: of two statements the second one is run, and its rows are taken for the columns.
        if (count := engine.statements(sql)) > 1:
            raise BadRelation(side, f"it holds {count} statements, and one SELECT is due")
        found = [(str(name), str(kind)) for name, kind, *_ in engine.rows(f"DESCRIBE {sql}")]
    except EngineError as fault:
        raise BadRelation(side, fault.reason) from fault
    counts = Counter(fold(name) for name, _ in found)
    for name, _ in found:
        if counts[fold(name)] > 1:
            other = [one for one, _ in found if fold(one) == fold(name)][1]
            also = "twice" if other == name else f"and {other!r}, which SQL takes for one"
            raise BadRelation(side, f"it gives the column {name!r} {also}; give each a name of its own with AS")
    return dict(found)


def _paired(
    v1: Mapping[str, str], v2: Mapping[str, str], comparator: Comparator, *, context: bool
) -> tuple[list[Column], tuple[SchemaColumn, ...]]:
    there = {fold(name): name for name in v2}
    here = {fold(name) for name in v1}
    rules = {fold(name): rule for name, rule in comparator.rules.items()}
    pairs: list[Column] = []
    schema: list[SchemaColumn] = []
    for name, kind in v1.items():
        if context and name.startswith(CONTEXT):
            continue
        twin = there.get(fold(name))
        if twin is None:
            schema.append(SchemaColumn(name, kind, None, None, SchemaVerdict.ONLY_IN_V1))
            continue
        other, rule = v2[twin], rules.get(fold(name), Exact())
        common = common_type(kind, other)
        if common is None:
            schema.append(SchemaColumn(name, kind, other, None, SchemaVerdict.INCOMPARABLE))
            continue
        if rule.numeric:
            if not is_numeric(common.name) and common.name != NULL:
                raise NotNumeric(name, rule.describe(), kind if kind == other else f"{kind} and {other}")
            # A FLOAT's distance would be taken in FLOAT, and Python's in double precision.
            common = CommonType("DOUBLE") if common.name in (NULL, "FLOAT") else common
        if stranger := unknown(kind_of(common.name)):
            raise NoEquality(name, stranger)
        verdict = SchemaVerdict.SAME if kind == other else SchemaVerdict.RETYPED
        schema.append(SchemaColumn(name, kind, other, common.name, verdict))
        schema += [
            SchemaColumn(
                f"{name}{path}", mine, theirs, None, SchemaVerdict.ONLY_IN_V1 if mine else SchemaVerdict.ONLY_IN_V2
            )
            for path, mine, theirs in common.apart
        ]
        pairs.append(Column(name, twin, kind, other, common, rule))
    schema.extend(
        SchemaColumn(name, None, kind, None, SchemaVerdict.ONLY_IN_V2)
        for name, kind in v2.items()
        if fold(name) not in here and not (context and name.startswith(CONTEXT))
    )
    return pairs, tuple(schema)


def _rest(names: Mapping[str, str], taken: Container[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in taken)


def _check_names(comparator: Comparator, layout: Layout) -> None:
    known = [column.name for column in layout.compared]
    # A column that stands in the schema with a finding is not unknown: the finding says what is wrong.
    named = {fold(column) for column in known} | {fold(column.name) for column in layout.schema}
    used = [("rules", column) for column in comparator.rules]
    used += [("limits.columns", column) for column in comparator.limits.columns]
    for expected in comparator.expected:
        used += [(f"v2_equals of {expected.reason!r}", column) for column in expected.v2_equals]
    for field, column in used:
        if fold(column) not in named:
            raise NoColumnToCompare(field, column, known)
