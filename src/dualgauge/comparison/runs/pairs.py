"""Comparators resolved against the views of both sides. Light: a gate asks for pairs and compares nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dualgauge.comparison.content.comparator import Comparator
from dualgauge.comparison.engine.volatile import changing_parts
from dualgauge.comparison.errors import BadComparator, BadRelation, NoSuchComparator, NothingToCompare, NoViewToCompare
from dualgauge.comparison.runs.keys_kept import KeysKept, keys_kept
from dualgauge.engines.syntax import statements_of
from dualgauge.model import Side, fold, listed, quote
from dualgauge.views.definition import changing
from dualgauge.views.determinism import doubts_over
from dualgauge.views.plan.tracing import Tracing, tracing
from dualgauge.views.relations import relations
from dualgauge.views.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition


@dataclass(frozen=True, slots=True)
class Pair:
    """
    A comparator with its name and the queries of both sides.

    `plain`: they only read one view each. `undeclared`: nobody wrote a comparator, so the columns that both builds
    have are compared. `keys_kept`: the views whose rows are compared one by one, or why something else is.
    """

    name: str
    comparator: Comparator
    v1: str
    v2: str
    views: Mapping[Side, Sequence[str]]
    tracings: tuple[Tracing, ...]
    plain: bool
    undeclared: bool
    keys_kept: Mapping[Side, KeysKept] | str


def pairs(
    engine: Engine,
    comparators: Mapping[str, Comparator],
    known: Sequence[ViewDefinition],
    wanted: Sequence[str] = (),
) -> list[Pair]:
    """
    The comparators of a call: those defined, and one for each name that both sides have without one.

    A view that some comparator reads on both sides is not compared once more by its name, unless it is wanted.

    Raises:
        NoSuchComparator: a wanted name is neither.
        NothingToCompare: there is none.
        NoViewToCompare, BadRelation: a comparator does not fit the views, or its query may answer otherwise each time.
    """
    by_side = {side: {one.name: one for one in known if one.side is side} for side in Side}
    shared = [name for name in by_side[Side.V1] if name in by_side[Side.V2]]
    names = list(dict.fromkeys([*comparators, *shared]))
    for name in wanted:
        if name not in names:
            raise NoSuchComparator(name, names)
    made = [_pair(engine, name, comparators.get(name), by_side) for name in wanted or comparators]
    if not wanted:
        read = [set(pair.views[Side.V1]) & set(pair.views[Side.V2]) for pair in made]
        alone = [name for name in shared if name not in comparators and not any(name in views for views in read)]
        made += [_pair(engine, name, None, by_side) for name in alone]
    if not made:
        raise NothingToCompare
    return made


def _pair(
    engine: Engine, name: str, given: Comparator | None, by_side: Mapping[Side, Mapping[str, ViewDefinition]]
) -> Pair:
    sql: dict[Side, str] = {}
    for side in Side:
        own = given and (given.v1 if side is Side.V1 else given.v2)
        sql[side] = own or f"SELECT * FROM {side.value}.{quote(name)}"
    comparator = given or Comparator(key=by_side[Side.V1][name].key)
    plain = comparator.v1 is None and comparator.v2 is None
    if not plain:
        try:
            comparator.check_context()
        except BadComparator as fault:
            raise fault.within(f"comparator {name!r}") from None
    views = {side: views_of(engine, name, side, sql[side], list(by_side[side])) for side in Side}
    for side in Side:
        # What nobody wrote is the whole of a view.
        if not plain:
            _refuse_unstable(engine, name, side, sql[side], [by_side[side][view] for view in views[side]])
    return Pair(
        name=name,
        comparator=comparator,
        v1=sql[Side.V1],
        v2=sql[Side.V2],
        views=views,
        tracings=_tracings(comparator, views, by_side),
        plain=plain,
        undeclared=given is None,
        keys_kept=keys_kept(
            comparator, sql, {side: [by_side[side][view] for view in views[side]] for side in Side}, plain=plain
        ),
    )


def _refuse_unstable(engine: Engine, name: str, side: Side, sql: str, read: Sequence[ViewDefinition]) -> None:
    """Raise BadRelation where a query may answer otherwise at the next reading of the same rows."""
    found = [f"{part}, which may give another answer each time" for part in changing_parts(sql, changing(engine))]
    known = {
        fold(view.name): Rows(tuple(map(fold, view.columns)), (frozenset(map(fold, view.key)),), placed=True)
        for view in read
    }
    for statement in statements_of(engine, sql) or ():
        doubts = doubts_over(engine, sql, statement["node"], known)
        found += [f"{one.sql}, which may give another answer each time: {_of_key(one.idiom)}" for one in doubts]
    if found:
        raise BadRelation(side.value, f"it has {found[0]}").within(f"comparator {name!r}")


def _of_key(idiom: str) -> str:
    """What is advised of the events' position, of a view's key."""
    return idiom.replace("`position`", "the key").replace("position", "the key")


def _tracings(
    comparator: Comparator, views: Mapping[Side, Sequence[str]], by_side: Mapping[Side, Mapping[str, ViewDefinition]]
) -> tuple[Tracing, ...]:
    """What the comparator declares, else what the views with the same key prove: what one side ignores may matter."""
    if comparator.affected_by is not None:
        return (Tracing(alias="events", condition="", key=dict(comparator.affected_by)),)
    found = [tracing(by_side[side][views[side][0]]) for side in Side if len(views[side]) == 1]
    return tuple(one for one in found if one is not None and set(one.key) == set(comparator.key))


def views_of(engine: Engine, comparator: str, side: Side, sql: str, known: Sequence[str]) -> list[str]:
    """
    The views that a comparator's query of one side reads.

    Raises:
        BadRelation: the query does not parse, reads no view, or reads the other side or something else.
        NoViewToCompare: it names a view that the side does not have.
    """
    read = relations(engine, sql)
    if read is None:
        raise BadRelation(side.value, "it is no SELECT that DuckDB can read").within(f"comparator {comparator!r}")
    others = replace(read, tables=tuple(one for one in read.tables if one[0] != side.value)).shown
    if others:
        reason = f"it reads {listed(others)}; the query of {side.value} reads views as {side.value}.NAME"
        raise BadRelation(side.value, reason).within(f"comparator {comparator!r}")
    found = [name for _, name in read.tables]
    for name in found:
        if name not in known:
            raise NoViewToCompare(comparator, side, name, known)
    if not found:
        reason = f"it reads no view; name one as {side.value}.NAME"
        raise BadRelation(side.value, reason).within(f"comparator {comparator!r}")
    return found
