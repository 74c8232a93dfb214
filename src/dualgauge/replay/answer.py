"""A view's answer at a position: computed once in the engine, checked, and given in batches as a store takes it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.engines.errors import BadValue, CannotRead
from dualgauge.model import POSITION, PRESENT, listed, plural, quote
from dualgauge.replay.errors import CannotCompute
from dualgauge.stores.errors import BadKeys
from dualgauge.stores.serving.types import bound_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from dualgauge.engines.duck import Engine
    from dualgauge.views.definition import ViewDefinition
    from dualgauge.views.plan.plan import Plan

_ANSWER: Final = "_answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a view, for as long as its `answered` is open. `rows` is their number."""

    engine: Engine
    view: ViewDefinition
    hidden: Mapping[str, str]
    rows: int

    def check_keys(self) -> None:
        """
        Look for keys that no table can have.

        Raises:
            BadKeys: a key is NULL or repeats.
        """
        key = ", ".join(quote(column) for column in self.view.key)
        nulls = " OR ".join(f"{quote(column)} IS NULL" for column in self.view.key)
        groups = f"(SELECT {key}, count(*) AS _rows FROM {_ANSWER} GROUP BY {key})"
        without, repeated = self.engine.row(
            f"SELECT coalesce(sum(_rows) FILTER ({nulls}), 0), count(*) FILTER (_rows > 1) FROM {groups}"
        )
        sample = ", ".join(f"CAST({quote(column)} AS VARCHAR)" for column in self.view.key)
        if without:
            (values,) = self.engine.rows(f"SELECT {sample} FROM {_ANSWER} WHERE {nulls} LIMIT 1")
            raise self._bad(f"{plural(without, 'row')} {'has' if without == 1 else 'have'} a NULL", values)
        if repeated:
            (values,) = self.engine.rows(f"SELECT {sample} FROM {groups} WHERE _rows > 1 ORDER BY {key} LIMIT 1")
            raise self._bad(
                f"{plural(repeated, 'key')} {'is' if repeated == 1 else 'are'} there more than once", values
            )

    @property
    def seen(self) -> int:
        """How many of the rows readers see."""
        if PRESENT not in self.hidden:
            return self.rows
        return int(self.engine.row(f"SELECT count(*) FILTER ({PRESENT} = 1) FROM {_ANSWER}")[0])

    def table(self, dialect: str) -> pa.Table:
        """All of the rows, as `batches` gives them."""
        columns, key = bound_select(self.view, self.hidden, dialect), ", ".join(map(quote, self.view.key))
        return self.engine.arrow(f"SELECT {columns} FROM (FROM {_ANSWER} ORDER BY {key})")

    def batches(self, dialect: str, size: int, *, skip: int) -> Iterator[pa.RecordBatch]:
        """
        The rows in the order of their keys, as a store of a dialect takes them: hidden columns last, and `_position`.

        Args:
            dialect: `sqlite` or `postgresql`.
            size: rows in a batch, at most.
            skip: rows that are left out at the beginning.

        Raises:
            BadValue: a value does not fit its stored type.
        """
        columns = bound_select(self.view, self.hidden, dialect)
        key = ", ".join(quote(column) for column in self.view.key)
        order = f"(SELECT * FROM {_ANSWER} ORDER BY {key} OFFSET {skip:d})"
        yield from self.engine.stream(f"SELECT {columns} FROM {order}", size)

    def _bad(self, fault: str, values: Sequence[object]) -> BadKeys:
        sample = (
            f"{column} = {'NULL' if value is None else value}"
            for column, value in zip(self.view.key, values, strict=True)
        )
        return BadKeys(self.view.label, self.view.key, fault, listed(sample))


def bound_select(view: ViewDefinition, hidden: Mapping[str, str], dialect: str) -> str:
    """The columns of a view's rows as a store of a dialect takes them: hidden ones last, and `_position`."""
    columns = {**view.columns, **hidden}
    bound = zip(bound_columns(view.label, columns, dialect), columns, strict=True)
    return ", ".join([*(f"{value} AS {quote(name)}" for value, name in bound), quote(POSITION)])


@contextmanager
def answered(engine: Engine, plan: Plan, select: str) -> Iterator[Answer]:
    """
    Compute rows of a view by a SELECT over `events` as the engine has them; they are dropped at the end.

    Raises:
        CannotCompute: its SELECT fails on an event.
    """
    try:
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {_ANSWER} AS {select}")
    except CannotRead:
        raise
    except BadValue as fault:
        raise CannotCompute(plan.view.label, fault.reason.splitlines()[0]) from fault
    try:
        yield Answer(engine, plan.view, plan.hidden, engine.row(f"SELECT count(*) FROM {_ANSWER}")[0])
    finally:
        engine.execute(f"DROP TABLE IF EXISTS {_ANSWER}")
