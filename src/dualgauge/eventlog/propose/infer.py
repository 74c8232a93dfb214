"""What each column of a file becomes in the log, and what tells an event's id, type, time and order, with reasons."""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dualgauge.eventlog.columns import CAUSED_BY, ENVELOPE
from dualgauge.eventlog.propose.errors import DeclaredOtherwise, NoCursor, NoIdentity, NoTime
from dualgauge.eventlog.propose.keys import LONGEST_PART, Keys, part
from dualgauge.eventlog.propose.time_formats import NO_TIME, words
from dualgauge.eventlog.settings import SourceSettings
from dualgauge.eventlog.sources.needed import named_in
from dualgauge.eventlog.sources.source import FILE_ORDER
from dualgauge.model import listed, literal, plural, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
_ID, _KIND, _TIME, _TEXT, _NUMBER, _VALUE = 3.0, 2.5, 2.0, 1.5, 0.0, -1.0
"""How natural a column is in an identity: one called an id, the kind, the time, a text, a number, a measured value."""

_LONGEST_PROSE = 40
"""Characters of a text with blanks that may be a name; longer ones are sentences."""

_GROWING = ("BIGINT", "TIMESTAMP", "TIMESTAMPTZ")
_MARKS = ("/", "|", "~", "#")
_BY_CHANCE = ", which a number, a time or a sentence may be by chance: see whether it identifies a row"
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
        place = "table" if self._settings.url else "file"
        self._why["type"] = (
            f"{kind.distinct} values: {self._values(kind)}" if kind
            else f"no column of few values looks like a kind of event, so every row is one of the {place}'s name"
        )  # fmt: skip
        columns, selected, left_out = self._declared(
            declared, taken={*([] if time.cut else [time.name]), *([kind.name] if kind else [])}
        )
        settings = SourceSettings.model_validate({
            "name": name, "path": self._settings.path, "url": self._settings.url, "table": self._settings.table,
            "cursor": self._cursor() if self._settings.url else "", "read": self._settings.read, "event_id": event_id,
            "type": self._named(kind) if kind else literal(name.replace("-", "_")),
            "occurred_at": self._named(time) if time.time == quote(time.name) else time.time,
            "order_by": "" if self._settings.url else self._order(events, time), "where": where, "select": selected,
        })  # fmt: skip
        if texts := self._as_texts(settings):
            read = settings.read | {"types": dict.fromkeys(texts, "VARCHAR")}
            settings = settings.model_copy(update={"read": read})
        if settings.read:
            self._why["read"] = self._reading(settings.read, texts)
        if where:
            self._why["where"] = f"{plural(time.nulls, 'row')} of {found.rows:,} have no {time.name}, and are left out"
        return Proposal(
            settings=settings, label=found.label, files=len(found.source.files), rows=found.rows,
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
            doubtful = {one.name: one.least for one in self._columns if NO_TIME in one.why}
            raise NoTime(self._found.label, [one.name for one in self._found.columns], doubtful)

        def fitness(column: ProfiledColumn) -> float:
            said = words(column.name)
            named = max((score for word, score in {**_HAPPENED, **_TOLD}.items() if word in said), default=0)
            return (
                _OF_KIND.get(column.type, 2 * column.cut) + named - 3 * bool(_ELSEWHEN & set(said))
                + (2 if not column.nulls else -6 * column.nulls / column.rows)
            )  # fmt: skip

        # The first of equals: max keeps it.
        chosen = max(times, key=fitness)
        instants = chosen.type == "TIMESTAMPTZ" or "since 1970" in chosen.why or chosen.why.startswith("instants")
        zone = "" if instants else "; without a zone it is UTC"
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

    def _cursor(self) -> str:
        """
        The column by which new rows of a table are told: its primary key of one whole number, or one that grows.

        Raises:
            NoCursor: there is none.
        """
        fit = [one for one in self._columns if one.type in _GROWING and one.given != "VARCHAR" and not one.nulls]
        unseen = "; a row that is written again, or comes in below the highest one, is not seen"
        for one in fit:
            if (one.name,) == self._found.key and one.type == "BIGINT":
                self._why["cursor"] = f"{one.name}: the primary key, whole numbers{unseen}"
                return one.name
        named = sorted(fit, key=lambda one: not (_ID_WORDS | set(_TOLD)) & set(words(one.name)))
        for one in named if self._found.rows > 1 else ():
            name = quote(one.name)
            (grows,) = self._engine.row(
                f"SELECT bool_and(this > before) FROM (SELECT {name} AS this, "
                f"lag({name}) OVER (ORDER BY _at) AS before FROM ({self._found.base}))"
            )
            if grows:
                self._why["cursor"] = f"{one.name}: it grows from each of the {one.rows:,} rows to the next{unseen}"
                return one.name
        raise NoCursor(self._found.label, [one.name for one in self._found.columns])

    def _event_id(self, events: str, time: ProfiledColumn, kind: ProfiledColumn | None, prefix: str) -> str:
        everything = ", ".join(quote(one.name) for one in self._found.columns)
        rows, distinct = self._engine.row(
            f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {everything} FROM ({events}))) FROM ({events})"
        )
        if distinct < rows:
            again = rows - distinct
            return self._unnamed(
                f"{plural(again, 'row')} repeat{'s' if again == 1 else ''} an earlier one in every column"
            )
        if rows == 1:
            return self._unnamed("a single row does not tell what identifies one")

        def score(column: ProfiledColumn) -> float:
            inexact = column.type in ("DOUBLE", "BOOLEAN", "BLOB") or column.type.startswith("DECIMAL")
            if _ID_WORDS & set(words(column.name)):
                return _TEXT if inexact else _ID
            if kind is not None and column.name == kind.name:
                return _KIND
            if column is time:
                return _TIME
            if inexact:
                return _VALUE
            named = column.longest <= (_LONGEST_PROSE if " " in column.least + column.most else LONGEST_PART)
            return _TEXT if column.type == "VARCHAR" and named else _NUMBER

        keys = Keys(self._engine, events, self._columns, score, moved=bool(time.nulls))
        for group in self._identities(keys, score):
            names = " and ".join(one.name for one in group)
            expression = self._joined(events, group, prefix)
            apart = "; the name in front keeps it apart from other sources' ids" if "||" in expression else ""
            known = len(group) > 1 or self._identifies(group[0], score) or (group[0].name,) == self._found.key
            chance = "" if known else _BY_CHANCE
            self._why["event_id"] = f"{names}: unique and never NULL in all {rows:,} rows{chance}{apart}"
            return expression
        looked = keys.looked
        nested = " (those that are nested aside)" if any(one.nested for one in self._found.columns) else ""
        groups = "nor are two or three together" if looked.all else (
            f"nor are two or three together, of the {looked.tried:,} of {looked.groups:,} groups tried"
        )  # fmt: skip
        return self._unnamed(f"no column{nested} is unique and never NULL, {groups}")

    def _identities(self, keys: Keys, score: Callable[[ProfiledColumn], float]) -> Iterator[Sequence[ProfiledColumn]]:
        """What is unique and never NULL, the likelier to identify a row first."""
        if primary := keys.holds(self._found.key):
            yield primary
        likelier = sorted(keys.singles, key=lambda one: -score(one))
        yield from ([one] for one in likelier if self._identifies(one, score))
        yield from keys.groups(lambda scores: max(scores) >= _TIME and min(scores) >= _TEXT)
        yield from keys.groups(lambda scores: max(scores) >= _TIME and min(scores) >= _NUMBER)
        # A number that never repeats does so by chance, and makes every group with it unique.
        yield from keys.groups(lambda _: True, least=True)
        yield from ([one] for one in likelier)

    @staticmethod
    def _identifies(column: ProfiledColumn, score: Callable[[ProfiledColumn], float]) -> bool:
        """Whether a column that never repeats is called an id, is text, or a day for every row of many."""
        return score(column) in (_ID, _TEXT) or (column.type == "DATE" and column.rows > _A_MONTH)

    def _unnamed(self, because: str) -> str:
        """No event id, and what that means. Raises NoIdentity for a table, whose rows have no file and number."""
        if self._settings.url:
            raise NoIdentity(self._found.label, because)
        first = self._found.source.label(self._found.source.files[0])
        self._why["event_id"] = (
            f"left out, because {because}. An event is then named after its file and row ({first}#1): "
            "rows may be added at the file's end, but not moved or removed"
        )
        return ""

    def _joined(self, events: str, group: Sequence[ProfiledColumn], prefix: str) -> str:
        """An expression whose texts are as many as the group's values are."""
        parts = [part(one, self._named(one)) for one in group]
        if len(parts) == 1 and (group[0].name.lower() == "event_id" or {"uuid", "guid"} & set(words(group[0].name))):
            return parts[0]
        texts = [
            one if column.given != "BLOB" else f"CAST({one} AS VARCHAR)"
            for one, column in zip(parts, group, strict=True)
        ]
        if len(texts) == 1:
            return f"{literal(prefix)} || {texts[0]}"
        for mark in _MARKS:
            there = ", ".join(f"bool_or(contains(CAST({one} AS VARCHAR), {literal(mark)}))" for one in parts)
            # With the mark in two columns, `a/b` and `c` would be joined as `a` and `b/c` are.
            if sum(self._engine.row(f"SELECT {there} FROM ({events})")) <= 1:
                between = f" || {literal(mark)} || "
                return f"{literal(prefix)} || {between.join(texts)}"
        listed = ", ".join(f"CAST({one} AS VARCHAR)" for one in parts)
        return f"{literal(prefix)} || CAST(to_json([{listed}]) AS VARCHAR)"

    def _order(self, events: str, time: ProfiledColumn) -> str:
        back, ties = self._engine.row(
            f"SELECT count(*) FILTER (WHERE this < before), count(*) FILTER (WHERE this = before) FROM "
            f"(SELECT time AS this, lag(time) OVER (ORDER BY _at) AS before FROM "
            f"(SELECT _at, CAST({time.time} AS TIMESTAMPTZ) AS time FROM ({events})))"
        )
        if back or not ties:
            return ""
        self._why["order_by"] = (
            f"{time.name} never goes back from one row to the next, and where it stands still ({plural(ties, 'time')}) "
            "the file's order decides"
        )
        return FILE_ORDER

    def _as_texts(self, settings: SourceSettings) -> list[str]:
        """The columns of CSV files that stand in an expression which means their text."""
        if not self._found.source.texts and not self._found.source.objects:
            return []
        names = {one.name.lower(): one for one in self._found.columns}
        time = named_in([settings.occurred_at], names)
        others = named_in([settings.event_id, *settings.select.values()], names)
        # A whole number is spelt in one way.
        same = ("VARCHAR", "BIGINT", "")
        return [one.name for name, one in names.items() if name in time or (name in others and one.type not in same)]

    def _reading(self, options: Mapping[str, Any], texts: Sequence[str]) -> str:
        said = []
        if "nullstr" in options:
            said.append(f"{', '.join(options['nullstr'][1:])} is read as NULL")
        if texts:
            said.append(f"{listed(texts)} in an expression as the text that it is")
        if "delim" in options:
            said.append(f"values are parted by {options['delim']!r}")
        return "; ".join(said) or "every field as text: the types are those of [tool.dualgauge.log.columns]"

    def _declared(
        self, declared: dict[str, str], taken: set[str]
    ) -> tuple[tuple[ProposedColumn, ...], dict[str, str], tuple[str, ...]]:
        known = {name.lower(): name for name in declared}
        used, columns, selected, left_out = {*ENVELOPE}, [], {}, []
        legal = {one.name.lower() for one in self._found.columns if one.filled and NAME.fullmatch(one.name)}
        for one in self._found.columns:
            if one.name in taken:
                continue
            if not one.filled:
                left_out.append(f"{one.name}: holds no value")
                continue
            name = self._log_name(one.name, used, legal)
            used.add(name.lower())
            if one.nested:
                selected[name] = self._named(one)
                left_out.append(f"{one.name}: {one.why}")
                continue
            kind, why = one.type, one.why
            if one.type.startswith("DECIMAL") and _ID_WORDS & set(words(one.name)):
                kind = "VARCHAR"
                why = f"numbers such as {one.least}, but its name says that it identifies: kept as written"
            if name.lower() == CAUSED_BY:
                kind, why = "VARCHAR", "the id of the event that caused this one"
            expression = one.expression if kind == one.type else ""
            if expression or name != one.name:
                selected[name] = expression or self._named(one)
            if name.lower() in self._reserved:
                why += f'; a word of SQL, so a view writes it "{name}"'
            had = known.get(name.lower())
            if had is not None:
                kind = _agreed(had, declared[had], kind, one, self._found.label)
            columns.append(
                ProposedColumn(had or name, kind, one.name, one.nulls, one.distinct, why, known=had is not None)
            )
        return tuple(columns), selected, tuple(left_out)

    def _log_name(self, name: str, used: set[str], legal: set[str]) -> str:
        """A name that no column has yet, nor one of the file's own that is `legal` as it is."""
        if NAME.fullmatch(name) and name.lower() not in used:
            return name
        base = slug(name)
        if not NAME.fullmatch(base) or base in ENVELOPE:
            base = f"{slug(self._settings.name)}_{base}".rstrip("_")
        made = base
        for number in itertools.count(2):
            if made.lower() not in used | legal:
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
