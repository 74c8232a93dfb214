"""Point reads of a SQLite store, by keys as text: what an application asks through `dualgauge` itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualgauge.stores.errors import NotBuilt
from dualgauge.stores.point_keys import check_key
from dualgauge.stores.sqlite.database import Opened
from dualgauge_router.stores.errors import NoStore
from dualgauge_router.stores.freshness import TIMEOUT
from dualgauge_router.stores.points import SideReader, Table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from dualgauge.model import Side
    from dualgauge.stores.sqlite.database import Databases

_GUESSED = {"INTEGER": "BIGINT", "TEXT": "VARCHAR"}


class Reader(SideReader):
    """
    Point reads of one side, values as they are stored: for an application that reads often.

    Each read sees the build that is served at that moment. Safe between threads, and in a forked process.
    """

    def __init__(self, databases: Databases, side: Side) -> None:
        super().__init__(databases.file(side), side, patience=databases.wait)

    def get(
        self, view: str, key: Sequence[object] | object, *, at_least: int | None = None, timeout: float = TIMEOUT
    ) -> dict[str, Any] | None:  # fmt: skip
        """
        The row of a key, whose parts are texts, as readers see it; None where there is none. See `SideReader.get`.

        Raises:
            NotBuilt: the view has no build that is served.
            NotFresh, BadKey, ReaderClosed, StoreForked: as there.
            StoreHeld, NotADatabase, StoreRefused: the file cannot be read.
        """
        try:
            return super().get(view, key, at_least=at_least, timeout=timeout)
        except NoStore as fault:
            raise NotBuilt(f"{self._side.value}.{view}") from fault

    def _key(self, view: str, table: Table, parts: Sequence[object]) -> list[object]:
        check_key(f"{self._side.value}.{view}", table.key, parts)
        return super()._key(view, table, parts)

    def _decoded(self, view: str, table: Table, row: Sequence[Any]) -> dict[str, Any]:  # noqa: ARG002  (as it is named)
        return dict(zip(table.kinds, row, strict=True))

    def _unserved(self, label: str, served: Iterable[str]) -> Exception:
        return NotBuilt(label, served)

    def _guessed(self, label: str, declared: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002  (as it is named)
        # A build of an older version is read by what SQLite knows of its columns.
        return {name: _GUESSED.get(kind, kind) for name, kind in declared.items() if not name.startswith("_")}

    def _told(self, fault: sqlite3.Error) -> Exception:
        return Opened({self._side.schema: self._file}, self._patience).error(fault) or fault
