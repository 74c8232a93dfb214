"""What each column of a file becomes in the log, and what tells an event's id, type, time and order, with reasons."""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dualgauge.eventlog.columns import ENVELOPE
from dualgauge.eventlog.propose.errors import DeclaredOtherwise, NoTime
from dualgauge.eventlog.propose.time_formats import words
from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources.source import FILE_ORDER
from dualgauge.model import literal, plural, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.propose.profile import FileProfile, ProfiledColumn

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ID_WORDS = {
    "id", "uuid", "guid", "no", "nr", "num", "number", "key", "code", "ref", "reference", "seq", "sequence", "line",
    "sku", "zip", "phone",
}  # fmt: skip
_KIND_WORDS = ("type", "kind", "event", "action", "activity", "verb", "operation", "op", "what", "status", "state")
_MOST_KINDS, _SHORTEST_KIND = 24, 3
_HAPPENED = {"occurred": 4, "happened": 4, "event": 3}
_TOLD = {"time": 2, "timestamp": 2, "datetime": 2, "ts": 2, "at": 2, "when": 2, "date": 1, "day": 1}
_ELSEWHEN = {"updated", "modified", "due", "expires", "expiry", "birth", "born", "dob", "end", "until", "scheduled"}
_OF_KIND = {"TIMESTAMPTZ": 3, "TIMESTAMP": 2, "BIGINT": 1, "DATE": 1}
_MOST_TRIED, _LONGEST_ID_PART = 40, 40
_A_MONTH = 31


@dataclass(frozen=True, slots=True)
class ProposedColumn:
    """A declared field: its name and type in the log, the file's column, and what was measured. `known`: declared."""

    name: str
    type: str
    column: str
    nulls: int
    distinct: int
    why: str
    known: bool = False

    @property
    def told(self) -> str:
        """What was measured, and why it has its type."""
        nulls = "never NULL" if not self.nulls else f"{self.nulls:,} NULL"
        return f"{self.why}; {self.distinct:,} distinct, {nulls}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A source's settings, a reason for each key (also for one left out), and the columns that it declares."""

    settings: SourceSettings
    label: str
    files: int
    rows: int
    events: int
    columns: tuple[ProposedColumn, ...]
    why: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def table(self) -> dict[str, Any]:
        """The keys of the source's table, in the order of the settings, those that say something."""
        return {key: value for key, value in self.settings.model_dump().items() if value}

    @property
    def heading(self) -> tuple[str, ...]:
        """What was looked at, a comment's line each."""
        files = f" in {self.files:,} files" if self.files > 1 else ""
        nothing = [f"Not declared: {'; '.join(self.left_out)}"] if self.left_out else []
        looked = f"{self.label}: {plural(self.rows, 'row')}{files}, all of them looked at by `dualgauge log add`."
        return (looked, *nothing)

    @property
    def new_columns(self) -> tuple[ProposedColumn, ...]:
        """The columns that are not declared yet."""
        return tuple(one for one in self.columns if not one.known)


def slug(text: str) -> str:
    """A legal column name as near to a text as can be: `Unit Price (£)` is `unit_price`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()


class Choice:
    """The choices over one file, made one after the other: time, type, id, order, columns."""

    def __init__(self, engine: Engine, found: FileProfile, reserved: set[str]) -> None:
        self._engine, self._found, self._reserved = engine, found, reserved
        self._settings = found.source.settings
        self._columns = [one for one in found.columns if one.filled and not one.nested]
        self._why: dict[str, str] = {}

    def made(self, declared: dict[str, str]) -> Proposal:
        """The proposal, for a project that declares these columns already. Raises NoTime, DeclaredOtherwise."""
        found, name = self._found, self._settings.name
        time = self._time()
        where = f"{self._named(time)} IS NOT NULL" if time.nulls else ""
        events = f"SELECT * FROM ({found.base}){f' WHERE {where}' if where else ''}"
        kind = self._kind()
        event_id = self._event_id(events, time, kind, f"{name}/")
        self._why["type"] = (
            f"{kind.distinct} values: {self._values(kind)}" if kind
            else "no column of few values looks like a kind of event, so every row is one of the file's name"
        )  # fmt: skip
        columns, selected, left_out = self._declared(declared, taken={time.name, *([kind.name] if kind else [])})
        settings = SourceSettings.model_validate({
            "name": name, "path": self._settings.path, "read": self._settings.read, "event_id": event_id,
            "type": self._named(kind) if kind else literal(name.replace("-", "_")),
            "occurred_at": self._named(time) if time.time == quote(time.name) else time.time,
            "order_by": self._order(events, time), "where": where, "select": selected,
        })  # fmt: skip
        if settings.read:
            self._why["read"] = self._reading()
        if where:
            self._why["where"] = f"{plural(time.nulls, 'row')} of {found.rows:,} have no {time.name}, and are left out"
        return Proposal(
            settings=settings, label=settings.path, files=len(found.source.files), rows=found.rows,
            events=found.rows - time.nulls, columns=columns, why=self._why, left_out=left_out,
        )  # fmt: skip

    def _named(self, column: ProfiledColumn) -> str:
        """A column in an expression: quoted where SQL needs it."""
        plain = NAME.fullmatch(column.name) and column.name.lower() not in self._reserved
        return column.name if plain else quote(column.name)

    def _values(self, column: ProfiledColumn) -> str:
        name = quote(column.name)
        found = self._engine.rows(
            f"SELECT {name}, count(*) FROM ({self._found.base}) GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 6"
        )
        shown = ", ".join(f"{value} ({count:,})" for value, count in found)
        return shown + (", ..." if column.distinct > len(found) else "")

    def _time(self) -> ProfiledColumn:
        times = [one for one in self._columns if one.time]
        if not times:
            raise NoTime(self._settings.path, [one.name for one in self._found.columns])

        def fitness(column: ProfiledColumn) -> float:
            said = words(column.name)
            named = max((score for word, score in {**_HAPPENED, **_TOLD}.items() if word in said), default=0)
            return (
                _OF_KIND.get(column.type, 0) + named - 3 * bool(_ELSEWHEN & set(said))
                + (2 if not column.nulls else -6 * column.nulls / column.rows)
            )  # fmt: skip

        # The first of equals: max keeps it.
        chosen = max(times, key=fitness)
        zone = "" if chosen.type == "TIMESTAMPTZ" or "since 1970" in chosen.why else "; without a zone it is UTC"
        nulls = "never NULL" if not chosen.nulls else f"NULL in {plural(chosen.nulls, 'row')}"
        others = [one.name for one in times if one is not chosen]
        beside = f"; times too: {', '.join(others)}" if others else ""
        self._why["occurred_at"] = f"{chosen.why}, {nulls}, {chosen.distinct:,} distinct{zone}{beside}"
        return chosen

    def _kind(self) -> ProfiledColumn | None:
        fit = [
            one for one in self._columns
            if one.type == "VARCHAR" and not one.nulls and one.distinct <= _MOST_KINDS
            and one.longest >= _SHORTEST_KIND and not _ID_WORDS & set(words(one.name))
            and set(_KIND_WORDS) & set(words(one.name))
        ]  # fmt: skip
        return min(
            fit, key=lambda one: min(_KIND_WORDS.index(word) for word in words(one.name) if word in _KIND_WORDS),
            default=None,
        )  # fmt: skip

    def _event_id(self, events: str, time: ProfiledColumn, kind: ProfiledColumn | None, prefix: str) -> str:
        usable = [
            one for one in self._columns
            if one.type not in ("DOUBLE", "BOOLEAN", "BLOB") and not one.type.startswith("DECIMAL")
            and one.longest <= _LONGEST_ID_PART and one.distinct > 1
        ]  # fmt: skip

        def score(column: ProfiledColumn) -> float:
            if _ID_WORDS & set(words(column.name)):
                return 3
            if kind is not None and column.name == kind.name:
                return 2.5
            if column is time:
                return 2
            return 1.5 if column.type == "VARCHAR" else 0

        everything = ", ".join(quote(one.name) for one in self._found.columns)
        rows, distinct = self._engine.row(
            f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {everything} FROM ({events}))) FROM ({events})"
        )
        for size in (1, 2, 3) if distinct == rows else ():
            groups = sorted(
                itertools.combinations(usable, size), key=lambda group: -sum(score(one) for one in group)
            )  # the sort is stable: the file's order among equals
            for group in groups[:_MOST_TRIED]:
                # Alone, only what is called an id or is text: a number or a time that never repeats does so by chance.
                days = group[0].type == "DATE" and group[0].rows > _A_MONTH
                if size == 1 and not days and score(group[0]) not in (3, 1.5):
                    continue
                if size > 1 and max(score(one) for one in group) < 2:  # noqa: PLR2004  (an id, the kind, or the time)
                    continue
                expression = self._joined(group, prefix)
                if self._unique(events, expression):
                    names = " and ".join(one.name for one in group)
                    self._why["event_id"] = f"{names}: unique and never NULL in all {rows:,} rows" + (
                        "; the name in front keeps it apart from other sources' ids" if "||" in expression else ""
                    )
                    return expression
        self._why["event_id"] = self._unnamed(rows - distinct)
        return ""

    def _unnamed(self, again: int) -> str:
        """Why there is no event id, and what that means."""
        repeats = "no column is unique and never NULL, nor are two or three together"
        if again:
            repeats = f"{plural(again, 'row')} repeat{'s' if again == 1 else ''} an earlier one in every column"
        first = self._found.source.label(self._found.source.files[0])
        return (
            f"left out, because {repeats}. An event is then named after its file and row ({first}#1): "
            "rows may be added at the file's end, but not moved or removed"
        )

    def _joined(self, group: Sequence[ProfiledColumn], prefix: str) -> str:
        parts = [self._named(one) for one in group]
        if len(parts) == 1 and (group[0].name.lower() == "event_id" or {"uuid", "guid"} & set(words(group[0].name))):
            return parts[0]
        return f"{literal(prefix)} || " + " || '/' || ".join(parts)

    def _unique(self, events: str, expression: str) -> bool:
        unique: bool = self._engine.row(f"SELECT count(*) = count(DISTINCT {expression}) FROM ({events})")[0]
        return unique

    def _order(self, events: str, time: ProfiledColumn) -> str:
        back, ties = self._engine.row(
            f"SELECT count(*) FILTER (WHERE this < before), count(*) FILTER (WHERE this = before) FROM "
            f"(SELECT {time.time} AS this, lag({time.time}) OVER (ORDER BY _at) AS before FROM ({events}))"
        )
        if back or not ties:
            return ""
        self._why["order_by"] = (
            f"{time.name} never goes back from one row to the next, and where it stands still ({plural(ties, 'time')}) "
            "the file's order decides"
        )
        return FILE_ORDER

    def _reading(self) -> str:
        options = self._settings.read
        if "all_varchar" in options:
            nothing = f"; {', '.join(options['nullstr'][1:])} is read as NULL" if "nullstr" in options else ""
            return (
                "text as it stands, in one strict dialect: the types are those of [tool.dualgauge.log.columns], and a "
                f"value that would lose something stops the import{nothing}"
            )
        return "every field as text, so that no digit is lost: the types are those of [tool.dualgauge.log.columns]"

    def _declared(
        self, declared: dict[str, str], taken: set[str]
    ) -> tuple[tuple[ProposedColumn, ...], dict[str, str], tuple[str, ...]]:
        known = {name.lower(): name for name in declared}
        used, columns, selected, left_out = {*ENVELOPE}, [], {}, []
        for one in self._found.columns:
            if one.name in taken:
                continue
            if not one.filled:
                left_out.append(f"{one.name}: holds no value")
                continue
            name = self._log_name(one.name, used)
            used.add(name.lower())
            if one.nested:
                selected[name] = self._named(one)
                left_out.append(f"{one.name}: {one.why}")
                continue
            kind, why = one.type, one.why
            if one.type.startswith("DECIMAL") and _ID_WORDS & set(words(one.name)):
                kind = "VARCHAR"
                why = f"numbers such as {one.least}, but its name says that it identifies: kept as written"
            expression = one.expression if kind == one.type else ""
            if expression or name != one.name:
                selected[name] = expression or self._named(one)
            if name.lower() in self._reserved:
                why += f'; a word of SQL, so a view writes it "{name}"'
            had = known.get(name.lower())
            if had is not None:
                kind = _agreed(had, declared[had], kind, one, self._settings.path)
            columns.append(
                ProposedColumn(had or name, kind, one.name, one.nulls, one.distinct, why, known=had is not None)
            )
        return tuple(columns), selected, tuple(left_out)

    def _log_name(self, name: str, used: set[str]) -> str:
        if NAME.fullmatch(name) and name.lower() not in used:
            return name
        base = slug(name)
        if not NAME.fullmatch(base) or base in ENVELOPE:
            base = f"{slug(self._settings.name)}_{base}".rstrip("_")
        made = base
        for number in itertools.count(2):
            if made.lower() not in used:
                break
            made = f"{base}_{number}"
        return made


def _agreed(name: str, declared: str, found: str, column: ProfiledColumn, file: str) -> str:
    """The type of a column that is declared already: the declared one where it is the same or a roomier DECIMAL."""
    if declared == found:
        return declared
    if declared.startswith("DECIMAL") and found.startswith("DECIMAL"):
        sizes = [[int(part) for part in re.findall(r"\d+", kind)] for kind in (declared, found)]
        (digits, scale), (_, needed) = sizes
        whole = max(len(value.lstrip("+-").partition(".")[0]) for value in (column.least, column.most))
        if scale >= needed and digits - scale >= whole:
            return declared
    raise DeclaredOtherwise(name, declared, found, file)
