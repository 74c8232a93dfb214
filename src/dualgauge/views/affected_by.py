"""
Which rows of a view an event touches, as `-- affected_by:` lines say it: an event touches what any of them gives.

Light, as the header is: nothing is parsed here but the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dualgauge.engines.lexer import split, tokens
from dualgauge.model import listed, nearest, plural, unquoted
from dualgauge.views.errors import BadAffectedBy, ViewError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_QUERY: Final = frozenset(("select", "with", "from"))
_NAME: Final = re.compile(r'"(?:[^"]|"")+"|[^\W\d]\w*')


@dataclass(frozen=True, slots=True)
class AffectedBy:
    """
    One line.

    Args:
        parts: what stands between its commas.
        key: an expression over an event for columns of the key, all of them or some; none where it is a query.
        query: a SELECT over `events` and `batch` whose columns are called like columns of the key; empty where there
            are expressions.
    """

    parts: tuple[str, ...]
    key: Mapping[str, str]
    query: str = ""

    def whole(self, key: Sequence[str]) -> bool:
        """Whether it gives every column of the key by an expression."""
        return set(self.key) == set(key)


def affected_by(value: str, key: Sequence[str], file: Path) -> AffectedBy:
    """
    Read the value of a line.

    Args:
        value: it, not empty.
        key: the view's.
        file: the view's file.

    Raises:
        ViewError: it is in none of the forms.
        ValueError: a quote or a comment is not closed.
    """
    parts = tuple(split(value))
    if tokens(value)[:1] and tokens(value)[0].text in _QUERY:
        return AffectedBy(parts, {}, value.removesuffix(";"))
    if not all(parts):
        raise BadAffectedBy(file, value, "it has a comma with nothing beside it", "remove it")
    named = [one for one in map(equation, parts) if one and one[0] in key]
    if named and (len(named) < len(parts) or len(dict(named)) < len(named)):
        raise BadAffectedBy(
            file, value, f"it gives {named[0][0]!r} by its name, and not each of its parts another column of the key",
            f"write `column = expression` for each, of {listed(key)}",
        )  # fmt: skip
    if named:
        return AffectedBy(parts, dict(named))
    if key and len(parts) != len(key):
        given = [name for name, _ in filter(None, map(equation, parts))]
        near = f"; {given[0]!r} is not a column of the key{nearest(given[0], key)}" if given else ""
        raise ViewError(
            file,
            f"`-- affected_by:` has {plural(len(parts), 'expression')} and the key {plural(len(key), 'column')}{near}; "
            "give one each, or name the columns that it gives (`column = expression`)",
        )
    return AffectedBy(parts, dict(zip(key, parts, strict=False)))


def equation(part: str) -> tuple[str, str] | None:
    """The name and the expression of `name = expression`; None where it is something else."""
    words = tokens(part)
    signs = [one.text for one in words[1:3]]
    if len(words) < 3 or signs[0] != "=" or signs[1] in ("=", ">") or not _NAME.fullmatch(words[0].text):  # noqa: PLR2004
        return None
    return unquoted(words[0].text), part[words[2].start :]
