"""
A view's definition: its file, checked against the log's columns, with the hash that evidence is bound to.

A v1 may be adopted: a table of the user's own, whose columns come from its database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import expressions as exp

from dualgauge.engines.errors import EngineError
from dualgauge.engines.lexer import bare, plain, tokens
from dualgauge.engines.macros import macros_with
from dualgauge.engines.syntax import statements_of
from dualgauge.model import Side, fold, listed, nearest, quote
from dualgauge.views.affected_by import equation
from dualgauge.views.determinism import doubts
from dualgauge.views.errors import (
    AdoptsOnV2,
    BadAffectedBy,
    BadColumn,
    BadName,
    BadSelect,
    NoColumn,
    NoEventColumn,
    NoKey,
    NotDeterministic,
    NotSql,
    OtherRelation,
    TakenName,
    UnknownColumn,
    UnlikeValues,
    UnsureOrder,
    ViewError,
)
from dualgauge.views.header import Header, adoption, definition_hash, parse
from dualgauge.views.relations import relations
from dualgauge.views.unlike import grouped_unlike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.stores.adopted.adoption import Adoption
    from dualgauge.views.affected_by import AffectedBy

    Declared = Callable[[Adoption], Mapping[str, str]]
    """Gives the columns of an adopted table, with the DuckDB types that it declares."""

EVENTS = "events"
"""Name of the relation that a view reads."""

BATCH = "batch"
"""Name of the new events, in a SELECT of `-- affected_by:`."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST_NAME = 40
CHANGING = {
    "now", "current_timestamp", "currenttimestamp", "current_date", "currentdate", "current_time", "currenttime",
    "current_localtime", "current_localtimestamp", "localtime", "localtimestamp", "today", "get_current_timestamp",
    "get_current_time", "transaction_timestamp", "random", "rand", "setseed", "uuid", "gen_random_uuid", "uuidv4",
    "uuidv7", "nextval", "currval", "setval", "txid_current", "current_transaction_id", "current_setting",
    "getvariable", "getenv", "pg_conf_load_time", "current_catalog",
    "version", "current_user", "current_database", "currentdatabase", "current_schema",
    "currentschema", "current_schemas", "in_search_path", "current_query", "current_query_id", "current_connection_id",
    "reservoir_quantile", "sleep_ms", "stats", "vector_type", "write_log",
}  # fmt: skip
"""Functions whose answer is not one of their arguments' alone."""


def changing(engine: Engine) -> frozenset[str]:
    """The same, with the engine's macros that call one of them, or read what is none of their arguments."""
    return frozenset(CHANGING) | macros_with(engine, frozenset((*CHANGING, "from")))


@dataclass(frozen=True, slots=True)
class ViewDefinition:
    """
    One view of one side. `columns` are its public columns with their DuckDB types, in order.

    Those of an adopted view are its table's, with the types that are declared; SQLite may hold other values too.
    `tree` is the parsed SELECT, None for an adopted view; it is shared, so nobody changes it.
    """

    name: str
    side: Side
    file: Path
    text: str
    header: Header
    columns: Mapping[str, str]
    hash: str
    tree: exp.Query | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return self.header.key

    @property
    def adopted(self) -> str | None:
        """The table of the user's own that is this view; None where the view is built from the log."""
        return self.header.adopt or None

    @property
    def allows_full(self) -> bool:
        """Whether a tail may rebuild it where nothing less keeps it."""
        return self.header.allows_full

    @property
    def label(self) -> str:
        """What messages call it: `v2.orders`."""
        return f"{self.side.value}.{self.name}"


def read_folder(
    engine: Engine,
    folder: Path,
    side: Side,
    event_columns: Mapping[str, str],
    declared: Declared | None = None,
) -> list[ViewDefinition]:
    """
    Every view of a side, by name.

    Args:
        engine: plans the SELECTs; runs none.
        folder: the side's folder; none is no view.
        side: whose it is.
        event_columns: columns of `events` with their DuckDB types.
        declared: asks the database for the columns of an adopted table; called only where there is one.

    Raises:
        ViewError: a file cannot be used.
        NoTable, TablesUnreachable: an adopted table cannot be looked at.
    """
    if not folder.is_dir():
        return []
    for file in sorted(folder.glob("*.py")):
        raise NotSql(file)
    return [define(engine, file, side, event_columns, declared) for file in sorted(folder.glob("*.sql"))]


def define(
    engine: Engine, file: Path, side: Side, event_columns: Mapping[str, str], declared: Declared | None = None
) -> ViewDefinition:
    """Read and check one view file. Raises as `read_folder`."""
    name = file.stem
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise BadName(file)
    if name.startswith("sqlite_") or name == "alembic_version":
        raise TakenName(file)
    try:
        # Editors of some systems begin a file with a byte order mark; it is no part of the text.
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise ViewError(
            file, f"it is not UTF-8 text ({fault.reason} at byte {fault.start}); save it as UTF-8"
        ) from fault
    except OSError as fault:
        # A folder of that name, a link to nowhere, a file of somebody else.
        raise ViewError(
            file, f"it cannot be read ({fault.strerror or fault}); put a file there that can, or remove it"
        ) from fault
    if (header := parse(text, file)).adopt:
        return _adopting(header, text, side, file, declared)
    return from_text(engine, text, name, side, file, event_columns)


def _adopting(header: Header, text: str, side: Side, file: Path, declared: Declared | None) -> ViewDefinition:
    if side is not Side.V1:
        raise AdoptsOnV2(file, header.adopt)
    found = adoption(header, text, file)
    columns = dict(declared(found)) if declared else {}
    for column in header.key:
        if column not in columns:
            raise NoColumn(file, header.adopt, column, list(columns))
    _apart(columns, file, "drop or rename one, or adopt a database view without it")
    return ViewDefinition(
        name=file.stem, side=side, file=file, text=text, header=header, columns=columns, hash=found.hash_of(columns)
    )


def from_text(  # noqa: PLR0917  (called with all of them, in this order)
    engine: Engine, text: str, name: str, side: Side, file: Path, event_columns: Mapping[str, str]
) -> ViewDefinition:
    """The definition of a text, be it a file's or one that a build was made from. Raises ViewError."""
    header = parse(text, file)
    try:
        words = [token.text for token in tokens(text)]
    except ValueError as fault:
        raise ViewError(file, f"{fault}; close it") from fault
    tree = _one_select(engine, text, file)
    known = _refuse_others(engine, text, file)
    columns = output_columns(engine, text, file, event_columns)
    if tree is None or not known:
        raise ViewError(
            file,
            "DuckDB can run it and not all of it is understood, so nothing says that it reads `events` alone; "
            "write it in plainer SQL",
        )
    _check_header(engine, header, columns, file, event_columns)
    _check_columns(columns, file)
    _refuse_ties(engine, text, file, event_columns, header.unique)
    digest = definition_hash(header, columns, words)
    return ViewDefinition(
        name=name, side=side, file=file, text=text, header=header, columns=columns, hash=digest, tree=tree
    )


def _refuse_ties(
    engine: Engine, text: str, file: Path, event_columns: Mapping[str, str], unique: Sequence[Sequence[str]]
) -> None:
    """Raise where an answer hangs on an order that is not unique."""
    sql = bare(text)
    statements = statements_of(engine, sql)
    if statements is None:
        raise ViewError(
            file, "DuckDB makes several statements of it, so what hangs on an order cannot be seen: write a PIVOT "
            "as `FROM events PIVOT (sum(x) FOR type IN ('a', 'b') GROUP BY k)`"
        )  # fmt: skip
    for statement in statements:
        if found := doubts(engine, sql, statement["node"], event_columns, unique):
            raise UnsureOrder(file, [(one.sql, one.idiom) for one in found])
    with no_events(engine, event_columns):
        kind = grouped_unlike(engine, sql, event_columns.values())
    if kind:
        raise UnlikeValues(file, kind)


def _check_header(
    engine: Engine, header: Header, columns: Mapping[str, str], file: Path, event_columns: Mapping[str, str]
) -> None:
    if not header.key:
        raise NoKey(file, list(columns))
    for title, names in [("key", header.key), *(("index", index) for index in header.indexes)]:
        for column in names:
            if column not in columns:
                raise UnknownColumn(file, title, column, list(columns))
    for column in (column for names in header.unique for column in names):
        if column not in event_columns:
            raise NoEventColumn(file, "unique", column, list(event_columns))
    for line in header.affected_by:
        _check_affected_by(engine, line, {name: columns[name] for name in header.key}, file, event_columns)


def _check_columns(columns: Mapping[str, str], file: Path) -> None:
    for column, kind in columns.items():
        if column.startswith("_"):
            raise BadColumn(
                file, column, "begins with an underscore; such names belong to dualgauge: rename it with AS"
            )
        if kind == '"NULL"':
            raise BadColumn(file, column, "is a bare NULL without a type; write CAST(NULL AS a type)")


def output_columns(engine: Engine, text: str, file: Path, event_columns: Mapping[str, str]) -> dict[str, str]:
    """Names and types of what a view's text gives."""
    try:
        with no_events(engine, event_columns):
            found = engine.rows(f"DESCRIBE {bare(text)}")
    except EngineError as fault:
        raise BadSelect(file, _told(fault, event_columns), list(event_columns), fault.line) from fault
    _apart([column for column, *_ in found], file, "give each column a name of its own with AS")
    return {column: kind for column, kind, *_ in found}


def no_events(engine: Engine, event_columns: Mapping[str, str]) -> AbstractContextManager[None]:
    """Bind `events` to none, of such columns, so that a view can be planned."""
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {quote(column)}" for column, kind in event_columns.items())
    return engine.bound(EVENTS, f"SELECT {empty} WHERE false")


def _apart(columns: Iterable[str], file: Path, advice: str) -> None:
    """Refuse columns that DuckDB could not tell apart."""
    spelled: dict[str, str] = {}
    for column in columns:
        if column.casefold() in spelled:
            other = spelled[column.casefold()]
            same = "is given twice" if other == column else f"differs from {other!r} only in case"
            raise BadColumn(file, column, f"{same}; {advice}")
        spelled[column.casefold()] = column


def _check_affected_by(
    engine: Engine, line: AffectedBy, key: Mapping[str, str], file: Path, event_columns: Mapping[str, str]
) -> None:
    """Raise where a line gives no rows of the view, or reads what no tail has."""
    expressions = ", ".join(f"({expression})" for expression in line.key.values())
    sql = line.query or f"SELECT {expressions} FROM {EVENTS}"
    _one_select(engine, sql, file)
    try:
        with no_events(engine, event_columns), engine.bound(BATCH, f"FROM {EVENTS}"):
            kinds = engine.columns(sql)
    except EngineError as fault:
        raise BadSelect(file, f"`-- affected_by:` {_told(fault, event_columns)}", list(event_columns)) from fault
    read = relations(engine, sql)
    names = {fold(name) for name in read.shown} if read else set()
    if line.query and (BATCH not in names or names - {EVENTS, BATCH}):
        raise BadAffectedBy(
            file, line.query, f"its SELECT reads {listed(sorted(names)) or 'nothing'}",
            f"it must read `{BATCH}`, the new events, and may read `{EVENTS}`, all of them, and nothing else",
        )  # fmt: skip
    if not line.query and names != {EVENTS}:
        raise BadAffectedBy(
            file, ", ".join(line.parts), f"an expression reads {listed(sorted(names - {EVENTS}))}",
            f"write a SELECT over `{BATCH}`, the new events, and `{EVENTS}`, all of them",
        )  # fmt: skip
    given = {name: name for name in kinds} if line.query else {}
    for (name, expression), kind in zip(line.key.items(), kinds.values(), strict=False):
        if kind == "BOOLEAN" != key[name] and (found := equation(expression)):
            given[found[0]] = expression
    for name, sql in given.items():
        if name not in key:
            raise BadAffectedBy(
                file, sql, f"it gives {name!r}, which is not a column of the key{nearest(name, key)}",
                f"the key is {listed(key)}: name its columns",
            )  # fmt: skip


def _told(fault: EngineError, event_columns: Mapping[str, str]) -> str:
    """DuckDB's first line, with the nearest of the events' columns where it misses one."""
    return f"{fault.reason.splitlines()[0].rstrip('!')}{fault.unknown_column(event_columns)}"


def _refuse_others(engine: Engine, text: str, file: Path) -> bool:
    """Raise where a text reads anything but `events`; gives whether that is known."""
    read = relations(engine, bare(text))
    if read is not None and (others := [one for one in read.shown if fold(one) != EVENTS]):
        raise OtherRelation(file, others)
    return read is not None


def _one_select(engine: Engine, text: str, file: Path) -> exp.Query | None:
    """Refuse what makes a view anything but a function of the log; None where sqlglot cannot tell."""
    try:
        statements = [one for one in sqlglot.parse(plain(text), dialect="duckdb") if one is not None]
    except sqlglot.errors.SqlglotError:
        # DuckDB parses it next, and its words on a syntax error are the ones its users know.
        return None
    if len(statements) != 1:
        raise ViewError(file, f"it holds {len(statements)} statements; a view is one SELECT")
    tree = statements[0]
    if not isinstance(tree, exp.Query):
        raise ViewError(file, "it is no SELECT; a view is one SELECT over `events`")
    if found := sorted({_function(node) for node in tree.find_all(exp.Func)} & changing(engine)):
        raise NotDeterministic(file, [f"{name}()" for name in found])
    # One, or none behind a dot: `age(x)` is `x.age()`.
    if any(_function(node) == "age" and len(node.expressions) <= 1 for node in tree.find_all(exp.Anonymous)):
        raise NotDeterministic(file, ["age() of one time"])
    if tree.find(exp.TableSample):
        raise NotDeterministic(file, ["a sample"])
    return tree


def _function(node: exp.Func) -> str:
    name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
    return name.lower()
