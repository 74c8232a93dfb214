"""
The names of both sides' columns, for an engine to which `x` and `X` are one name.

Files, data frames and PostgreSQL may hold both. A reader names what it reads by place; here each column gets the name
that it has in SQL and in what is shown: its own, but where a side has two that differ by case alone.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from dualgauge.comparison.errors import UnclearColumn
from dualgauge.model import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NAME: Final = re.compile(r'(?:\s*"(?P<quoted>(?:[^"]|"")*)"\s*|(?P<plain>[^,]*))(?:,|$)')


def place(at: int) -> str:
    """A reader's own name for the column at a place, from 0: no two are one, whatever a user's are called."""
    return f"c{at}"


def twice(names: Sequence[str]) -> str | None:
    """A name that is there twice, letter for letter; such columns nothing can tell apart."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def united(parts: Sequence[Sequence[str]]) -> dict[str, str]:
    """
    For each name that a part of a side spells, the column of the side.

    Names that differ by case alone are one column, called by its first spelling, unless some part has two of them.
    """
    unlike = _unlike(parts)
    first: dict[str, str] = {}
    return {
        name: name if fold(name) in unlike else first.setdefault(fold(name), name) for part in parts for name in part
    }


def shown_names(v1: Sequence[str], v2: Sequence[str]) -> dict[str, str]:
    """
    For each name as a side spells it, one that SQL tells from all others: `x (1)` and `X (2)` for `x` and `X`.

    So it is where a side has both; columns of one spelling then belong together. Elsewhere each keeps its name, and
    SQL takes `id` and `ID` for one.
    """
    unlike = _unlike((v1, v2))
    taken = {fold(name) for name in (*v1, *v2)}
    numbers: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for name in dict.fromkeys((*v1, *v2)):
        made, group = name, fold(name)
        while group in unlike and fold(made) in taken:
            numbers[group] += 1
            made = f"{name} ({numbers[group]})"
        shown[name] = made
    return shown


def _unlike(sides: Iterable[Sequence[str]]) -> set[str]:
    """The names, in small letters, that some side has in several spellings."""
    return {one for side in sides for one, count in Counter(map(fold, side)).items() if count > 1}


def meant(field: str, given: str, shown: Mapping[str, str]) -> str:
    """
    The column that is meant by a name, as `shown_names` calls it; the name itself where there is none.

    Args:
        field: where it was given, for the message.
        given: the name, as the side spells it, as it is shown, or in other letters where there is one such column.
        shown: what `shown_names` gives.

    Raises:
        UnclearColumn: there are several that differ from it by case alone, and none is spelled so.
    """
    if given in shown:
        return shown[given]
    if any(fold(given) == fold(name) for name in shown.values()):
        return given
    alike = [name for name in shown if fold(name) == fold(given)]
    if alike:
        raise UnclearColumn(field, given, alike)
    return given


def key_of(text: str) -> list[str]:
    """The columns in what is given to `--key`: parted by commas; one in double quotes may hold anything."""
    found = [
        one["plain"].strip() if one["quoted"] is None else one["quoted"].replace('""', '"')
        for one in _NAME.finditer(text)
    ]
    return [name for name in found if name]


def key_text(names: Iterable[str]) -> str:
    """Columns as `--key` takes them."""
    return ",".join(
        name if key_of(name) == [name] and not name.startswith('"') else '"' + name.replace('"', '""') + '"'
        for name in names
    )
