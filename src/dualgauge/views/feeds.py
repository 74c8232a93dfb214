"""Which source feeds each adopted table: what `-- fed_by:` names, held to the settings. Loads no engine."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dualgauge.engines.lexer import tokens
from dualgauge.project.environment import expand
from dualgauge.views.errors import CountedFeed, FeedElsewhere, UnknownFeed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dualgauge.eventlog.settings import SourceSettings
    from dualgauge.stores.adopted.adoption import Adoption

_COUNTING: Final = frozenset(("max", "count", "last_value"))


def feeding(
    adoptions: Mapping[str, Adoption], sources: Sequence[SourceSettings], url: str, root: Path
) -> dict[str, SourceSettings]:
    """
    The source that feeds each adopted table, by the view's name; a table without one is left out.

    Args:
        adoptions: the adopted views, by name.
        sources: those of the settings.
        url: the database of the adopted tables, with its environment variables.
        root: what a relative SQLite path is relative to.

    Raises:
        UnknownFeed, FeedElsewhere: there is no such source in the database of the tables.
        CountedFeed: the query counts the source's own rows.
        NoVariable: a variable of its url is not set.
    """
    # Imported here: who only asks what a query counts waits for no database library.
    from dualgauge.stores.urls import same_database

    known = {one.name: one for one in sources}
    found = {}
    for name, adoption in adoptions.items():
        if not adoption.fed_by:
            continue
        source = known.get(adoption.fed_by)
        if source is None:
            raise UnknownFeed(adoption.file, adoption.fed_by, list(known))
        if not source.url or not same_database(expand(source.url, f"the url of source {source.name!r}"), url, root):
            raise FeedElsewhere(adoption.file, adoption.fed_by)
        if counts(adoption.position_query) and _reads(adoption.position_query, source.table):
            raise CountedFeed(adoption.file, adoption.fed_by, source.table)
        found[name] = source
    return found


def counts(query: str) -> bool:
    """Whether a query asks for a highest value or a number of rows: no position where writers overlap."""
    words = _words(query)
    return any(word in _COUNTING and after == "(" for word, after in pairwise(words))


def _reads(query: str, table: str) -> bool:
    """Whether a query names a table as the settings write it."""
    written, words = _words(table), _words(query)
    return any(words[at : at + len(written)] == written for at in range(len(words))) if written else False


def _words(text: str) -> list[str]:
    try:
        return [one.text.lower() for one in tokens(text)]
    except ValueError:
        # The database says what is wrong with it.
        return []
