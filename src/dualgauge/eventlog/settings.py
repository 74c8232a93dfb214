"""`[tool.dualgauge.log]` and `[[tool.dualgauge.sources]]`."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from dualgauge.eventlog.columns import CAUSED_BY, ENVELOPE
from dualgauge.model import fold, listed
from dualgauge.project.settings import EVIDENCE, Section

COLUMN_TYPES = ("BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "BLOB")
"""Types of declared columns, and DECIMAL(p, s) beside them: what Delta keeps without loss."""

_INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "INT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
    "INT8",
    "INT4",
}
_SYNONYMS = {
    "TEXT": "VARCHAR", "STRING": "VARCHAR", "BOOL": "BOOLEAN", "FLOAT": "DOUBLE", "REAL": "DOUBLE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "DATETIME": "TIMESTAMP", "NUMERIC": "DECIMAL(18, 3)", "BYTEA": "BLOB",
}  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SECRET = re.compile(
    r"secret|token|password|passwd|sas|credential|private|(account|access|master|api)_?key(?!_?id)", re.IGNORECASE
)
_MOST_DIGITS = 38


def column_type(text: str) -> str:
    """
    A declared type in its one spelling (`DECIMAL(12,3)`, `BIGINT`).

    Raises:
        ValueError: the type cannot be kept in the log; the sentence says which to use.
    """
    upper = " ".join(text.upper().split())
    if upper in COLUMN_TYPES:
        return upper
    if match := _DECIMAL.fullmatch(upper):
        precision, scale = int(match[1]), int(match[2])
        if not 1 <= precision <= _MOST_DIGITS or scale > precision:
            message = f"{text!r}: a DECIMAL has 1 to {_MOST_DIGITS} digits, and no more behind the point than in all"
            raise ValueError(message)
        return f"DECIMAL({precision},{scale})"
    allowed = f"allowed: {', '.join(COLUMN_TYPES)}, DECIMAL(p,s)"
    if upper in _INTEGERS:
        message = f"{text!r}: integers are BIGINT in the log (it has one width, and no unsigned ones); {allowed}"
    elif upper in _SYNONYMS:
        message = f"{text!r}: write {_SYNONYMS[upper]}; {allowed}"
    else:
        message = f"{text!r} is no type of the log; {allowed}; leave what is nested in the payload"
    raise ValueError(message)


def is_address(path: str) -> bool:
    """Whether a setting names an object store (`s3://bucket/log`) and no folder."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path) is not None


_OWN = ("position", "event_id", "type", "occurred_at", "recorded_at")
"""Columns of every event that `select` cannot give: the source's own keys do, or the log."""


class LogSettings(Section):
    """Where the log is, and the fields that have a column of their own."""

    path: str = Field(
        default=".dualgauge/log",
        description="the folder of the event log, or a prefix of an object store: `s3://bucket/log`, `gs://`, `az://`",
    )
    storage_options: dict[str, str] = Field(
        default_factory=dict,
        description="what the object store needs, by the names of the Delta library; secrets as `${NAME}` only, or "
        "left to the environment (`AWS_SECRET_ACCESS_KEY`)",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description='fields with a column of their own, as `name = "TYPE"`',
        json_schema_extra=EVIDENCE,
    )

    @field_validator("storage_options", mode="before")
    @classmethod
    def _named(cls, options: object) -> object:
        if not isinstance(options, dict):
            return options
        made = {}
        for name, value in options.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if _SECRET.search(name) and not _VARIABLE.fullmatch(text):
                message = (
                    f'{name!r} holds a secret, which belongs into no file: write "${{NAME}}" for the environment '
                    "variable that has it, or leave it out where the library finds it by itself (AWS_SECRET_ACCESS_KEY)"
                )
                raise ValueError(message)
            made[name] = text
        return made

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.storage_options and not is_address(self.path):
            message = f'storage_options are for an object store (path = "s3://bucket/log"), and path is {self.path!r}'
            raise ValueError(message)
        return self

    @field_validator("columns")
    @classmethod
    def _declared(cls, columns: dict[str, str]) -> dict[str, str]:
        seen: dict[str, str] = {}
        for name in columns:
            if not _NAME.fullmatch(name):
                message = f"{name!r} is no column name: a letter, then letters, digits and _"
                raise ValueError(message)
            if name.lower() in ENVELOPE:
                message = f"{name!r} is a column of every event already ({listed(ENVELOPE)}); choose another name"
                raise ValueError(message)
            if name.lower() in seen:
                message = f"{name!r} and {seen[name.lower()]!r} differ only in case; keep one"
                raise ValueError(message)
            seen[name.lower()] = name
        checked: dict[str, str] = {}
        for name, text in columns.items():
            try:
                checked[name] = column_type(text)
            except ValueError as fault:
                message = f"{name} = {fault}"
                raise ValueError(message) from None
            if name.lower() == CAUSED_BY and (name != CAUSED_BY or checked[name] != "VARCHAR"):
                message = f'{name} = {text!r}: it holds the id of an event, so write {CAUSED_BY} = "VARCHAR"'
                raise ValueError(message)
        return checked

    @property
    def all_columns(self) -> dict[str, str]:
        """Envelope and declared columns, in the order of the log's files."""
        return {**ENVELOPE, **self.columns}


class SourceSettings(Section):
    """One source: where rows come from, and how a row becomes one event or several."""

    name: str = Field(description="what `dualgauge log import NAME` calls it")
    path: str = Field(default="", description="a file or glob: CSV, JSONL (also .gz) or Parquet")
    python: str = Field(
        default="",
        description="`package.module:name`: a data frame, an Arrow table or reader, or a function that gives one",
    )
    url: str = Field(
        default="",
        description="a database, as SQLAlchemy writes it, which is only read; `${NAME}` is an environment variable",
    )
    table: str = Field(default="", description="with `url`: a table or a view of it, as `NAME` or `SCHEMA.NAME`")
    statement: str = Field(
        default="", description="with `url`, instead of `table`: a SELECT in that database's own SQL"
    )
    cursor: str = Field(default="", description="with `url`: the column that grows, by which new rows are told")
    read: dict[str, Any] = Field(
        default_factory=dict,
        description="how a CSV file is written: `delim`, `quote`, `escape`, `header`, `skip`, `names`, `nullstr`, "
        "`encoding`, `comment`, `types`, `dateformat`, `timestampformat`, `decimal_separator`; of JSON "
        "`format`, `types`, `filename`; of Parquet `types` and options of DuckDB's reader",
    )
    event_id: str = Field(default="", description="expression, unique over the whole log; default: file and row number")
    type: str = Field(default="", description="expression giving the event's type: `\"'arrived'\"`, or a column")
    occurred_at: str = Field(default="", description="expression giving a time; without a zone it is UTC")
    order_by: str = Field(
        default="",
        description="expression giving the time by which rows are due; default: `occurred_at`, then `event_id`, "
        "and of a database the order of its `cursor`; "
        '`"file"` keeps the file\'s order',
    )
    where: str = Field(default="", description="condition; only rows that meet it are events")
    select: dict[str, str] = Field(
        default_factory=dict,
        description='further columns as `name = "expression"`; declared ones with the same name come by themselves',
    )
    caused_by: str = Field(
        default="", description="expression giving the id of the event that caused this one, or NULL; not with `query`"
    )
    query: str = Field(default="", description="a SELECT over the relation `source`, one row an event")

    def sql(self) -> dict[str, str]:
        """The expressions of the source, by the settings that give them; or its query."""
        given = {"query": self.query} if self.query else {
            "event_id": self.event_id, "type": self.type, "occurred_at": self.occurred_at,
            "order_by": "" if self.order_by == "file" else self.order_by, "where": self.where,
            CAUSED_BY: self.caused_by, **{f"select.{name}": expression for name, expression in self.select.items()},
        }  # fmt: skip
        return {name: expression for name, expression in given.items() if expression}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not _NAME.fullmatch(self.name.replace("-", "_")):
            message = f"source name {self.name!r}: a letter, then letters, digits, - and _"
            raise ValueError(message)
        if sum(map(bool, (self.path, self.python, self.url))) != 1:
            message = (
                f'source {self.name!r} needs either path = "..." or python = "package.module:name" or '
                'url = "postgresql://..."'
            )
            raise ValueError(message)
        if self.python and self.read:
            message = (
                f"source {self.name!r}: read = {{...}} holds options of a file's reader; a python source takes none"
            )
            raise ValueError(message)
        if self.query:
            keys = ("event_id", "type", "occurred_at", "where", "select", CAUSED_BY)
            extra = [key for key in keys if getattr(self, key)]
            if extra:
                message = f"source {self.name!r} has a query: {listed(extra)} belong into that query"
                raise ValueError(message)
        elif not self.type or not self.occurred_at:
            absent = [key for key in ("type", "occurred_at") if not getattr(self, key)]
            message = f"source {self.name!r} needs {listed(absent)} (DuckDB expressions over its columns), or a query"
            raise ValueError(message)
        if mistake := self._mistake_of_database():
            message = f"source {self.name!r}{mistake}"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if self.caused_by and CAUSED_BY in {name.lower() for name in self.select}:
            message = f"source {self.name!r}: {CAUSED_BY} stands in select too; keep one"
            raise ValueError(message)
        if taken := [name for name in self.select if name.lower() in _OWN or name.startswith("_")]:
            message = f"source {self.name!r}: {listed(taken)} in select: the log has columns of its own of such names"
            raise ValueError(message)
        alike: dict[str, str] = {}
        for name in self.select:
            if (other := alike.setdefault(fold(name), name)) != name:
                message = (
                    f"source {self.name!r}: {other!r} and {name!r} in select differ by case alone, and would be one "
                    "column; give one of them another name"
                )
                raise ValueError(message)
        for option in self.read:
            if not _NAME.fullmatch(option):
                message = f"source {self.name!r}: {option!r} is no option of a DuckDB reader"
                raise ValueError(message)
        return self

    def _mistake_of_database(self) -> str:  # noqa: PLR0911  (one row a mistake reads best)
        """What is wrong with the keys of a database, as the rest of a sentence; empty where nothing is."""
        if not self.url:
            extra = [key for key in ("table", "statement", "cursor") if getattr(self, key)]
            return f': {listed(extra)} belong to a database; give url = "...", or remove them' if extra else ""
        if "://" not in self.url and not self.url.startswith("${"):
            return ": its url is no database URL; write one such as sqlite:///shop.db or postgresql://app@db/shop"
        if bool(self.table) == bool(self.statement.strip()):
            return ' reads a database, so it needs either table = "..." or statement = "SELECT ..."'
        if not self.cursor:
            return ' reads a database, so it needs cursor = "...": the column that grows, by which new rows are told'
        if not self.event_id and not self.query:
            return ' reads a database, whose rows have no file and number, so it needs event_id = "..."'
        if self.read:
            return ": read = {...} holds options of a file's reader; a database takes none"
        if self.order_by == "file":
            return ': order_by = "file" keeps the order of a file; a database has none, so name a column'
        return ""
