"""A table of a database that no source reads yet: all its rows are taken, in one state, and measured like a file's."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dualgauge.eventlog.propose.errors import NamesByCase, NoTableGiven, PasswordInUrl
from dualgauge.eventlog.propose.profile import LOOKED, FileProfile, profiled
from dualgauge.eventlog.sources.source import CURSOR_ORDER, Source, relation_of
from dualgauge.model import quote
from dualgauge.project.environment import expand
from dualgauge.stores.table_name import named_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualgauge.engines.duck import Engine
    from dualgauge.stores.external.tables import TableSnapshot

_BATCH: Final = 20_000
_KEY: Final = "the url of log add"
_SQLITE: Final = (".db", ".sqlite", ".sqlite3")
_VARIABLE: Final = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_ALL_OF_IT: Final = re.compile(rf"({_VARIABLE})(?:#(.+))?", re.DOTALL)
_PASSWORD: Final = re.compile(
    r"//[^/?#@:]*:(?P<own>.*)@|[?&](?:\w*password|passwd|pwd|token|secret)=(?P<query>[^&]*)", re.IGNORECASE | re.DOTALL
)
_TEXT: Final = re.compile(r"CHAR|CLOB|TEXT", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GivenTable:
    """A table as `log add` was given it: the URL as it belongs in the settings, and the name, which may be empty."""

    url: str
    table: str

    @property
    def label(self) -> str:
        """What it is called in a message."""
        return f"{self.url}#{self.table}" if self.table else self.url


def given_table(text: str, here: Path, relative: Callable[[str], str]) -> GivenTable | None:
    """
    What a word of the command line names of a database; None where it names a file.

    Args:
        text: `URL#table`, `shop.db#orders`, or a database alone.
        here: the folder of the call, from which a SQLite file's path is.
        relative: a path from there, as it belongs in the settings.

    Raises:
        PasswordInUrl: the URL has a password in it, which the settings would keep.
        BadTablesUrl: it is no URL of a database.
        NoVariable: it names an environment variable that is not set.
    """
    if match := _ALL_OF_IT.fullmatch(text):
        return GivenTable(match[1], match[2] or "")
    named = named_table(text)
    if named is None and text.lower().endswith(_SQLITE) and (here / text).is_file():
        named = Path(text), ""
    if named is None:
        return None
    database, table = named
    if isinstance(database, Path):
        return GivenTable(f"sqlite:///{relative(str(database))}", table)
    for found in _PASSWORD.finditer(database):
        if not re.fullmatch(_VARIABLE, found["own"] or found["query"] or "${NONE}"):
            raise PasswordInUrl
    return GivenTable(_from_project(database, relative), table)


def _from_project(url: str, relative: Callable[[str], str]) -> str:
    """A URL of the settings: the path of a SQLite file is relative to the project there."""
    from dualgauge.stores.urls import parsed_url

    parsed = parsed_url(expand(url, _KEY))
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database not in url:
        return url
    return url.replace(parsed.database, relative(parsed.database), 1)


def look_at_table(engine: Engine, source: Source) -> FileProfile:
    """
    Measure a table whose settings name only its url and, if there are several, its name.

    Raises:
        NoTableGiven: it is not said which of several tables is meant.
        NothingToRead: the table has no row.
        NamesByCase: two columns differ by case alone.
        NoTable, UnfitValue and what `open_tables` raises.
    """
    from dualgauge.stores.external.tables import open_tables

    settings = source.settings
    with open_tables(expand(settings.url, _KEY), root=source.root) as tables, tables.snapshot() as snapshot:
        if not settings.table and len(snapshot.names) != 1:
            raise NoTableGiven(settings.url, snapshot.names)
        table = settings.table or snapshot.names[0]
        declared, key = snapshot.declared(table), snapshot.key(table)
        _take(engine, snapshot, table, f"{settings.url}#{table}")
    # What a database says is text is text: `00123` or `5` in it is no number.
    said = {name for name, kind in declared.items() if _TEXT.search(kind)}
    source = replace(source, settings=settings.model_copy(update={"table": table}), state={})
    return replace(profiled(engine, source, f"{settings.url}#{table}", said), key=key)


def _take(engine: Engine, snapshot: TableSnapshot, table: str, label: str) -> None:
    """All rows, numbered as the database gives them, in a table of the engine, which may spill it."""
    import pyarrow as pa

    body, columns = snapshot.relation(table)
    folded: dict[str, str] = {}
    for one in columns:
        if (other := folded.setdefault(one.name.lower(), one.name)) != one.name:
            raise NamesByCase(label, other, one.name)
    typed = ", ".join(f"CAST(NULL AS {one.kind}) AS {quote(one.name)}" for one in columns)
    looked, rows = quote(LOOKED), 0
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE {looked} AS "
        f"SELECT {typed}, '' AS _file, 0::BIGINT AS _row, 0::BIGINT AS _at LIMIT 0"
    )
    with closing(snapshot.taken(columns, body, _BATCH)) as batches:
        for batch in batches:
            engine.register("_arriving", pa.Table.from_batches([batch]))
            engine.execute(f"INSERT INTO {looked} SELECT *, '', 0, {rows:d} + row_number() OVER () FROM _arriving")
            engine.unregister("_arriving")
            rows += batch.num_rows
    # Any order will do for a look; an import has that of the cursor.
    engine.execute(
        f"CREATE OR REPLACE TEMP VIEW {quote(relation_of(0))} AS "
        f"SELECT * EXCLUDE (_file, _row, _at), _at AS {quote(CURSOR_ORDER)} FROM {looked}"
    )
