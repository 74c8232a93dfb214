"""
Great Expectations, made quiet: the one place where it is imported, which takes seconds.

Nothing is sent, nothing is printed, nothing is kept: no analytics, no progress bars, no log on a terminal, and a
context that lives in memory. Whatever it raises becomes a result that says so.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import gc
import io
import logging
import os
import warnings
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from dualgauge.comparison.checking.texts import in_the_way
from dualgauge.comparison.content.checks import DERIVED, own
from dualgauge.comparison.errors import BadArguments, NoSuchExpectation
from dualgauge.errors import redact
from dualgauge.model import AsJson, nearest
from dualgauge.stores.external.sql_location import standing_still
from dualgauge_router.stores.long_decimals import SQLITE_DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dualgauge.comparison.content.checks import Check
    from dualgauge.stores.external.sql_location import SqlLocation

SAMPLES: Final = 20
"""How many unexpected rows are kept of a check."""

_LONG: Final = (
    "SQLite compares text above every number, and keeps values of {} with more than 15 digits as text: have the view "
    "round them to fewer digits, or check them in the view itself"
)
_LOGGER: Final = "great_expectations"
_SENDS: Final = "GX_ANALYTICS_ENABLED"
"""The variable by which the library is told whether to send analytics; it is read where a context is made."""


@dataclass(frozen=True, slots=True)
class CheckResult(AsJson):
    """
    What one expectation found in one view.

    `success` is None where it could not tell: it raised, or the view has no rows. `checked` counts the rows that were
    judged and `unexpected` those that broke the rule; None where it judges no rows (a mean, a count of rows).
    `samples` are rows that broke it, at most 20: by key and column where the expectation can tell, else the values.
    `observed` is what was measured instead. `error` says why it could not tell.
    """

    view: str
    expectation: str
    arguments: Mapping[str, object]
    success: bool | None
    checked: int | None
    unexpected: int | None
    samples: tuple[object, ...]
    observed: object
    error: str


class Expecting:
    """Great Expectations at work, made by `expecting`. Databases are opened once, and closed at its end."""

    def __init__(self, context: Any) -> None:  # noqa: ANN401  (the library has no types of its own)
        self._context = context
        self._batches: dict[tuple[str, str | None, str], Any] = {}
        self._sources: dict[str, Any] = {}
        self._held = contextlib.ExitStack()
        self._creators: dict[str, Callable[[], Any]] = {}

    def hold(self, place: SqlLocation) -> None:
        """Read a view's SQLite file as it is now, whatever is written meanwhile. Raises StoreRefused."""
        if place.url not in self._creators:
            self._creators[place.url] = self._held.enter_context(standing_still(place))

    def judge(self, label: str, place: SqlLocation, check: Check, expectation: Any) -> CheckResult:  # noqa: ANN401
        """
        Ask one expectation of one view.

        Args:
            label: what messages call the view, `v2.orders`.
            place: where it is.
            check: the check as it was written.
            expectation: what `resolve` made of it.
        """
        wanted = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLES}
        if place.key:
            wanted["unexpected_index_column_names"] = list(place.key)
        try:
            if long := self._long(place, expectation):
                return _could_not(label, check, _LONG.format(" and ".join(long)))
            with _hushed():
                found = self._batch(place).validate(expectation, result_format=wanted).to_json_dict()
        except Exception as fault:  # noqa: BLE001  (whatever it is: this check could not tell)
            return _could_not(label, check, _words(str(fault) or type(fault).__name__))
        if words := _raised(found.get("exception_info")):
            return _could_not(label, check, _words(words))
        return _result(label, check, bool(found["success"]), found.get("result") or {})

    def _long(self, place: SqlLocation, expectation: Any) -> list[str]:  # noqa: ANN401
        """The columns that an expectation may be about and of which SQLite keeps values as text that are numbers."""
        if place.kind != "sqlite":
            return []
        with _hushed(), self._source(place).get_engine().connect() as connection:
            return in_the_way(connection, place.table, expectation)

    def close(self) -> None:
        """Let go of every connection."""
        for source in self._sources.values():
            # The engine at work keeps a connection of its own, beside the pool.
            for let_go in (source.get_execution_engine().close, source.get_engine().dispose):
                with contextlib.suppress(Exception):
                    let_go()
        self._held.close()

    def _batch(self, place: SqlLocation) -> Any:  # noqa: ANN401
        at = (place.url, place.schema, place.table)
        if at not in self._batches:
            # Its quotes make the name be taken as it is: GX quotes no name by itself.
            asset = self._source(place).add_table_asset(
                f"table {len(self._batches)}", table_name=f'"{place.table}"', schema_name=place.schema
            )
            self._batches[at] = asset.add_batch_definition_whole_table("all").get_batch()
        return self._batches[at]

    def _source(self, place: SqlLocation) -> Any:  # noqa: ANN401
        if place.url not in self._sources:
            add = {"sqlite": "add_sqlite", "postgresql": "add_postgres"}.get(place.kind, "add_sql")
            name = f"database {len(self._sources)}"
            creator = self._creators.get(place.url)
            self._sources[place.url] = getattr(self._context.data_sources, add)(
                name, connection_string=place.url, kwargs={"creator": creator} if creator else {}
            )
        return self._sources[place.url]


@contextlib.contextmanager
def expecting() -> Iterator[Expecting]:
    """Open an ephemeral context; one that the caller works with is put back at the end."""
    with _hushed():
        _load()
        from great_expectations.data_context.data_context.context_factory import get_context, project_manager
        from great_expectations.exceptions.exceptions import DataContextRequiredError

        try:
            current = project_manager.get_current_project()
        except DataContextRequiredError:
            current = None
        context: Any = get_context(mode="ephemeral")
        context.enable_analytics(enable=False)
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    work = Expecting(context)
    try:
        yield work
    finally:
        with _hushed():
            work.close()
        project_manager.set_project(current)


def resolve(comparator: str, check: Check, kind: str) -> Any:  # noqa: ANN401
    """
    Make the expectation that a check names, for a database of a kind.

    Raises:
        NoSuchExpectation: there is none of this name.
        BadArguments: its arguments are refused.
    """
    if not isinstance(check.expectation, str):
        return check.expectation
    with _hushed():
        _load()
        from great_expectations.expectations.registry import (
            get_expectation_impl,
            list_registered_expectation_implementations,
        )

        known = list_registered_expectation_implementations()
        if check.expectation not in known:
            raise NoSuchExpectation(comparator, check.expectation, known)
        made: Any = get_expectation_impl(check.expectation)
        if not own(made):
            # A class registers itself under its name, or under that of another.
            raise BadArguments(comparator, check.expectation, DERIVED.format(name=made.__name__))
        try:
            return made(**{name: _stored(value, kind) for name, value in check.arguments.items()})
        except Exception as fault:
            raise BadArguments(comparator, check.expectation, _refusal(fault, list(made.__fields__))) from fault


def _stored(value: object, kind: str) -> object:
    """An argument as the database stores such values: SQLite has numbers, and times in UTC without a zone."""
    if isinstance(value, set | frozenset | tuple | list):
        return [_stored(one, kind) for one in value]
    if kind == "sqlite" and isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    if kind != "sqlite" or not isinstance(value, Decimal):
        return value
    if len(value.normalize().as_tuple().digits) > SQLITE_DIGITS:
        raise ValueError(f"{value} has more than {SQLITE_DIGITS} digits, and SQLite compares no more of a number")
    return float(value)


def _refusal(fault: Exception, names: list[str]) -> str:
    """What is wrong with arguments, in the library's own words, one phrase for each."""
    errors = fault.errors() if hasattr(fault, "errors") else []
    said: dict[str, str] = {}
    for one in errors:
        at = ".".join(str(part) for part in one["loc"])
        hint = nearest(at, names) or nearest(next((name for name in names if at in name), ""), names)
        hint = hint if "extra" in one["type"] else ""
        # A value that may have several types is refused once for each; the first says enough.
        said.setdefault(at, one["msg"] if at == "__root__" else f"{at}: {one['msg']}{hint}")
    return "; ".join(said.values()) or " ".join(str(fault).split()) or type(fault).__name__


def _raised(info: Any) -> str:  # noqa: ANN401
    """The first message of an `exception_info`, which is one, or one for each metric; empty where nothing raised."""
    if not isinstance(info, dict):
        return ""
    each = [info] if "raised_exception" in info else [one for one in info.values() if isinstance(one, dict)]
    for one in each:
        if one.get("raised_exception"):
            return str(one.get("exception_message") or "it raised")
    return ""


def _words(text: str) -> str:
    """The first line of a message, without passwords."""
    return redact(" ".join(text.strip().split("\n", maxsplit=1)[0].split()))


def _could_not(label: str, check: Check, error: str) -> CheckResult:
    return CheckResult(label, check.name, check.written, None, None, None, (), None, error)


def _result(label: str, check: Check, success: bool, found: dict[str, Any]) -> CheckResult:  # noqa: FBT001
    rows, unexpected = found.get("element_count"), found.get("unexpected_count")
    samples = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or []
    details = found.get("details") or {}
    if not samples and isinstance(details, dict):
        samples = details.get("unexpected_rows") or []
    observed = found.get("observed_value")
    if rows == 0:
        return _could_not(label, check, "the view has no rows, so there was nothing to check")
    return CheckResult(
        view=label,
        expectation=check.name,
        arguments=check.written,
        success=success,
        # NULL is judged by the expectations that are about it, and passed over by the others.
        checked=None if rows is None else int(rows) - int(found.get("missing_count") or 0),
        unexpected=None if unexpected is None else int(unexpected),
        samples=tuple(samples[:SAMPLES]),
        observed=details if observed is None and details and not samples else observed,
        error="",
    )


@functools.cache
def _load() -> None:
    """Import the library. What it makes stays, so nothing is collected meanwhile: that takes a quarter of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        import great_expectations  # noqa: F401  (loaded here, used where its names are asked for)
    finally:
        if collects:
            gc.enable()


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep what the library prints, warns and logs away from the terminal, and have it send nothing."""
    logger = logging.getLogger(_LOGGER)
    nobody, propagates, sends = logging.NullHandler(), logger.propagate, os.environ.get(_SENDS)
    logger.addHandler(nobody)
    logger.propagate = False
    os.environ[_SENDS] = "false"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(nobody)
        logger.propagate = propagates
        if sends is None:
            del os.environ[_SENDS]
        else:
            os.environ[_SENDS] = sends
