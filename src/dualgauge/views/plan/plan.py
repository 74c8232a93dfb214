"""A view's plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict

from sqlglot import expressions as exp

from dualgauge.engines.lexer import bare
from dualgauge.model import POSITION
from dualgauge.stores.serving.types import long_decimals
from dualgauge.views.definition import no_events
from dualgauge.views.latest import latest
from dualgauge.views.plan.analysis import main_of
from dualgauge.views.plan.append import is_append
from dualgauge.views.plan.left import NotKept
from dualgauge.views.plan.lookups import Lookup, lookups_of, on_batch
from dualgauge.views.plan.merge import Merge, merge_of
from dualgauge.views.plan.parts import parts_of
from dualgauge.views.plan.position import with_position
from dualgauge.views.plan.tracing import tracing
from dualgauge.views.unique import unique_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition
    from dualgauge.views.latest import Latest
    from dualgauge.views.plan.tracing import Tracing
    from dualgauge.views.unique import Unique

_ROUNDED = (exp.Sum, exp.Avg)
_FLOATS = {"DOUBLE", "FLOAT"}


class Strategy(StrEnum):
    """How a view is kept."""

    MERGE = "merge"
    """The groups of new events are merged with the stored ones."""

    APPEND = "append"
    """New events give rows of their own."""

    REPLAY = "replay"
    """Each build is a full replay to the new head."""

    ADOPTED = "adopted"
    """A table of the user's own: nothing is built."""


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is known of a view before it is built.

    `position_sql` gives `_position` exactly, or is None where only the head bounds it. `tracing` is
    None where the plan cannot tell which events touch a key. `latest` are the values that the view takes from the last
    or the first event of a group. `merge` says how groups are merged, where that is the strategy;
    `batch_sql` gives the rows of a batch's events, where they are appended. `lookups` are its as-of joins in both.
    `unique` is what the view says to be unique, with how to look at it: a replay and each batch must hold it.
    `advice` is what would let a tail keep a view that is left to replays; empty where nothing is known to.
    """

    view: ViewDefinition
    strategy: Strategy
    why: str
    position_sql: str | None
    tracing: Tracing | None
    warnings: tuple[str, ...]
    latest: tuple[Latest, ...] = ()
    merge: Merge | None = None
    lookups: tuple[Lookup, ...] = ()
    batch_sql: str = ""
    advice: str = ""
    unique: tuple[Unique, ...] = ()

    @property
    def windows(self) -> tuple[str, ...]:
        """The columns of a merged view's key that are windows of the events' time: of the hour or the day, say."""
        return self.merge.windows if self.merge else ()

    @property
    def full(self) -> str:
        """Whether a tail rebuilds it, as a clause; empty where nothing is to say: a tail keeps it, and need not."""
        if self.strategy is Strategy.REPLAY and self.view.allows_full:
            return "a tail rebuilds it at the end of a round"
        if self.strategy is Strategy.REPLAY:
            return "a tail leaves it at its position; `-- allow: full` lets one rebuild it at the end of a round"
        return "a tail keeps it without, so `-- allow: full` is not needed" if self.view.allows_full else ""

    @property
    def exact(self) -> bool:
        """Whether `_position` is the last event that changed a row, and no upper bound."""
        return self.position_sql is not None or self.merge is not None

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden columns of a build beside `_position`, each with its DuckDB type."""
        return self.merge.hidden if self.merge else {}

    def select(self, head: int) -> str:
        """The view's SELECT with the hidden columns behind its own, `_position` last."""
        if self.merge is not None:
            return self.merge.rows(self.merge.groups)
        if self.position_sql is not None:
            return self.position_sql
        return f"SELECT *, {head:d} AS {POSITION} FROM ({bare(self.view.text)}\n)"

    @property
    def long_decimals(self) -> tuple[str, ...]:
        """The columns of which SQLite keeps long values as text. An adopted table's are as its owner keeps them."""
        return () if self.view.adopted else long_decimals(self.view.columns)


def plan(engine: Engine, view: ViewDefinition, event_columns: Mapping[str, str]) -> Plan:
    """Derive a view's plan. The engine's `events` stay what they are."""
    if view.tree is None:
        return Plan(
            view=view,
            strategy=Strategy.ADOPTED,
            why=f"code of your own keeps the table {view.adopted}, which is only read",
            position_sql=None,
            tracing=None,
            warnings=(),
        )
    tree, main = main_of(view)
    with no_events(engine, event_columns):
        position_sql = with_position(engine, view, tree, main) if tree is not None and main is not None else None
        kept = _kept(engine, view, main, position_sql)
        return Plan(
            view=view,
            **kept,
            position_sql=position_sql,
            tracing=tracing(view),
            warnings=_warnings(view.tree, event_columns),
            latest=latest(engine, bare(view.text), tuple(view.columns)),
            unique=unique_of(engine, bare(view.text), view.header.unique),
        )


class _Kept(TypedDict, total=False):
    strategy: Strategy
    why: str
    advice: str
    merge: Merge
    lookups: tuple[Lookup, ...]
    batch_sql: str


def _kept(engine: Engine, view: ViewDefinition, main: str | None, position_sql: str | None) -> _Kept:
    """How a view is kept, why, and what a tail needs for it."""
    try:
        parts = parts_of(engine, view, main)
        lookups = lookups_of(engine, bare(view.text), parts.tree)
        if position_sql is not None and is_append(engine, view, parts, str(main)):
            sql = on_batch(engine, position_sql)
            return _Kept(
                strategy=Strategy.APPEND, why="each event gives rows of its own", lookups=lookups, batch_sql=sql
            )
        merge = merge_of(engine, view, parts, str(main))
    except NotKept as fault:
        why = f"every build is a full replay to the new head, because {fault.reason}"
        if view.header.affected_by:
            why += "; its `-- affected_by:` is checked, and in this version no tail recomputes single keys by it"
        return _Kept(strategy=Strategy.REPLAY, why=why, advice=fault.advice)
    why = "groups of new events are merged with the stored ones"
    return _Kept(strategy=Strategy.MERGE, why=why, merge=merge, lookups=lookups)


def _warnings(tree: exp.Expr, event_columns: Mapping[str, str]) -> tuple[str, ...]:
    doubles = {name.casefold() for name, kind in event_columns.items() if kind in _FLOATS}
    found = []
    for node in tree.find_all(*_ROUNDED):
        over = {column.name for column in node.find_all(exp.Column) if column.name.casefold() in doubles}
        over |= {part.sql("duckdb") for part in node.find_all(exp.Div, exp.Cast) if _gives_double(part)}
        if over:
            # A FILTER stands between an aggregate and its name.
            named = node.find_ancestor(exp.Alias, exp.Select)
            name = named.alias if isinstance(named, exp.Alias) else node.sql("duckdb")
            found.append(
                f"{name}: adds DOUBLE values ({', '.join(sorted(over))}), whose sum depends on the order "
                "of addition; declare the column as DECIMAL, or compare it with a tolerant rule"
            )
    return tuple(dict.fromkeys(found))


def _gives_double(node: exp.Expr) -> bool:
    """Whether an expression is DOUBLE whatever goes in: a cast to it, or a division (DuckDB's `/`)."""
    if isinstance(node, exp.Cast):
        return str(node.to.sql("duckdb")).upper() in _FLOATS | {"REAL"}
    return isinstance(node, exp.Div)
