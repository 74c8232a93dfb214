"""Readers over the serving store: point reads of a migration's views, each from the side that the router chooses."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import unquote

from dualgauge_router.errors import redact
from dualgauge_router.model import Side
from dualgauge_router.stores.errors import BadStore
from dualgauge_router.stores.freshness import TIMEOUT
from dualgauge_router.stores.points import LIMIT, Page, SideReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from dualgauge_router.hashing import Unit
    from dualgauge_router.router import Router

T = TypeVar("T")

_SIDE = "{side}"


class Reader:
    """
    Reads views from the side that `Router.decide` chooses, as `Router.read` does: where v2 fails, v1 answers.

    `v1` and `v2` read one side without a decision: for an application whose v1 is its own, `reader.v2.get` is what
    `Router.read` takes as `v2`. Safe between threads and tasks, and after a fork. Values are Python's, the same for
    v1 and v2: see `dualgauge_router.stores.values`.
    """

    def __init__(self, router: Router, store: str) -> None:
        """
        Take a place; nothing is opened.

        Args:
            router: decides.
            store: the URL of the serving store, with `{side}` in it. A relative path counts from the working folder.

        Raises:
            BadStore: it is no such URL.
        """
        place = store.removeprefix("sqlite:///")
        if "\0" in store or "${" in store:
            raise BadStore(redact(store), "a variable or a NUL in it is filled in by nobody here")
        if place == store:
            kind = redact(store).partition(":")[0]
            raise BadStore(redact(store), f"this version reads SQLite, and not {kind}")
        if _SIDE not in place:
            raise BadStore(redact(store), f"a SQLite store is one file a side, and there is no {_SIDE} in it")
        self._router = router
        self.v1, self.v2 = (
            SideReader(Path(unquote(place.replace(_SIDE, side.value))).absolute(), side) for side in Side
        )

    def __enter__(self) -> Self:
        """Give the reader itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def rest(self) -> None:
        """Hold the files only while something is read, from now on; `Router.close` has its readers do so."""
        self.v1.rest()
        self.v2.rest()

    def close(self) -> None:
        """Let go of the files: nothing is read any more."""
        self.v1.close()
        self.v2.close()

    def get(
        self, view: str, key: Sequence[object] | object, *,
        unit: Unit | Sequence[Unit | None] | None, attrs: Mapping[str, object] | None = None,
        timeout: float | None = None, at_least: int | None = None, wait: float = TIMEOUT,
    ) -> dict[str, Any] | None:  # fmt: skip
        """
        The row of a key; None where there is none.

        Args:
            view: the view's name.
            key: the key's parts in its order, each as the value of its column or as text; a key of one part by itself.
            unit: as `Router.decide` takes it.
            attrs: as `Router.decide` takes them.
            timeout: seconds that v2 is waited for, as `Router.read` takes it.
            at_least: the position of the log that the row must have been read at, or past it; it is waited for.
            wait: for how many seconds at most.

        Raises:
            DualgaugeError: v1 could not be read: see `SideReader.get`.
        """

        def ask(side: SideReader, key: Any) -> dict[str, Any] | None:  # noqa: ANN401  (a key of any type)
            return side.get(view, key, at_least=at_least, timeout=wait)

        return self._read(view, ask, (key,), unit, attrs, timeout, named=partial(self.v1.spelt, view))

    def many(
        self, view: str, where: Mapping[str, object], *,
        unit: Unit | Sequence[Unit | None] | None, attrs: Mapping[str, object] | None = None,
        timeout: float | None = None, limit: int = LIMIT, at_least: int | None = None, wait: float = TIMEOUT,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """
        All rows whose columns have these values, in the order of their key.

        Args:
            view: as `get` takes it.
            where: values by the names of the first columns of the key, or of an index, of each side.
            unit: as `get` takes it.
            attrs: as `get` takes them.
            timeout: as `get` takes it.
            limit: how many rows at most; more are an error.
            at_least: as `get` takes it.
            wait: as `get` takes it.

        Raises:
            DualgaugeError: v1 could not be read: see `SideReader.many`.
        """

        def ask(side: SideReader, where: Mapping[str, object]) -> list[dict[str, Any]]:
            return side.many(view, where, limit=limit, at_least=at_least, timeout=wait)

        def named(where: Mapping[str, object]) -> object:
            return self.v1.spelt(view, where=where)

        return self._read(view, ask, (where,), unit, attrs, timeout, named=named)

    def page(
        self, view: str, *, unit: Unit | Sequence[Unit | None] | None, attrs: Mapping[str, object] | None = None,
        timeout: float | None = None, where: Mapping[str, object] | None = None,
        after: Sequence[object] | None = None, limit: int = 100, at_least: int | None = None, wait: float = TIMEOUT,
    ) -> Page:  # fmt: skip
        """
        Some rows in the order of their key, and the key behind which the next page begins.

        The pages of one unit are of one side as long as its share stands, and v2 answers. Where the other side goes on,
        it does so behind the same key, if its key has the same columns of the same types; else it is told.

        Args:
            view: as `get` takes it.
            unit: as `get` takes it.
            attrs: as `get` takes them.
            timeout: as `get` takes it.
            where: as `many` takes it; None for all rows.
            after: `after` of the page before, as it is (the columns of the key, and its values; lists, and texts of the
                values, are taken too); None for the first.
            limit: how many rows at most, one at the least.
            at_least: as `get` takes it.
            wait: as `get` takes it.

        Raises:
            OtherKey: the page before is of a side with another key: begin anew.
            DualgaugeError: v1 could not be read: see `SideReader.page`.
        """

        def ask(side: SideReader, where: Mapping[str, object] | None, after: Sequence[Any] | None) -> Page:
            return side.page(view, where=where, after=after, limit=limit, at_least=at_least, timeout=wait)

        def named(where: Mapping[str, object] | None, after: Sequence[Any] | None) -> object:
            return self.v1.spelt(view, where=where or {}, after=after)

        return self._read(view, ask, (where, after), unit, attrs, timeout, lambda page: page.rows, named=named)

    def _read(  # noqa: PLR0917  (called with all of them, in this order)
        self, view: str, ask: Callable[..., T], args: Sequence[object], unit: Unit | Sequence[Unit | None] | None,
        attrs: Mapping[str, object] | None, timeout: float | None, as_rows: Callable[[T], object] | None = None,
        *, named: Callable[..., object],
    ) -> T:  # fmt: skip
        v1, v2 = partial(ask, self.v1), partial(ask, self.v2)
        return self._router.read(
            view, unit=unit, v1=v1, v2=v2, args=args, attrs=attrs, timeout=timeout, as_rows=as_rows,
            positions=partial(self._position, view), named=named,
        )  # fmt: skip

    def _position(self, view: str, side: Side) -> int:
        return (self.v1 if side is Side.V1 else self.v2).position(view)
