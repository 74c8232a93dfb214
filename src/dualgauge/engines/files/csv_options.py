"""What may be said of how a CSV file is written, and what each option holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dualgauge.engines.errors import BadDialect
from dualgauge.engines.files.column_types import check_types
from dualgauge.model import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OPTIONS: Final = (
    "delim", "quote", "escape", "header", "skip", "names", "nullstr", "encoding", "comment", "types", "dateformat",
    "timestampformat", "decimal_separator",
)  # fmt: skip
"""What may be said of a CSV file."""

ALL_TEXT: Final = "all_varchar"
"""The engine's word for it, which `log add` wrote once: every column is text, in expressions too."""

_SAME: Final = {"sep": "delim", "delimiter": "delim", "null": "nullstr", "column_names": "names", "dtypes": "types"}
"""Names that the engine has for the same."""


def _are_types(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(kind, str) for kind in value.values())


def _is_delimiter(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1 and value not in '"\r\n'


def _is_mark(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1 and value not in ("\r", "\n", "\0")


def _is_format(value: object) -> bool:
    return isinstance(value, str) and "%" not in _SPECIFIER.sub("", value)


_SPECIFIER: Final = re.compile("%(?:-[djmyHIMS]|[abcdfghjmnpuwxyzABGHIMSTUVWXYZ%])")
"""What `strptime` of the engine knows."""

_MARK: Final = (_is_mark, ", which is no single character", "say one, or nothing for none")
_ASCII: Final = (str.isascii, ", which is no character of ASCII", "say one such as \" or '")
_MUST_BE: Final[Mapping[str, Sequence[tuple[Callable[[Any], bool], str, str]]]] = {
    "delim": [(_is_delimiter, ", which is no single character", "say one such as ; or \\t")],
    "quote": [_MARK, _ASCII],
    "escape": [_MARK, _ASCII],
    "comment": [_MARK],
    "skip": [
        (lambda one: type(one) is int and one >= 0, ", which is no number of lines", "say how many lines to leave out"),
    ],
    "names": [(lambda one: isinstance(one, list), ", which is no list of names", 'say it as ["id", "amount"]')],
    "header": [(lambda one: isinstance(one, bool), "", "say true or false")],
    "types": [(_are_types, "", 'say it as {code = "VARCHAR", amount = "DECIMAL(18,2)"}')],
    "dateformat": [
        (_is_format, ", which is no format", "say one such as %d.%m.%Y"),
        (lambda one: not {"%z", "%Z"} & set(_SPECIFIER.findall(one)), ", with a zone", "say it as timestampformat"),
    ],
    "timestampformat": [
        (_is_format, ", which is no format", "say one such as %d.%m.%Y %H:%M:%S"),
        (lambda one: "%n" not in one, ", with nanoseconds", "say %f: the log keeps microseconds"),
    ],
    "decimal_separator": [(lambda one: one in (".", ","), "", "say . or ,")],
}  # fmt: skip
"""What an option holds: a condition, and what is said where it does not."""


def check_options(options: Mapping[str, Any]) -> None:
    """
    Look at what is said of CSV files.

    Raises:
        BadDialect: an option is none of `OPTIONS`, or holds what it cannot.
    """
    for name, value in options.items():
        if name != ALL_TEXT or value is not True:
            _check_option(name, value)
    check_types(options)
    _check_marks(options)
    encoding = str(options.get("encoding", "utf-8"))
    known = 'one such as "utf-8", "latin-1", "cp1252" or "utf-16"'
    try:
        "a".encode(encoding).decode(encoding, "surrogateescape")
    except UnicodeError:
        raise BadDialect("encoding", f"{encoding!r} is none that files are written in", f"say {known}") from None
    except (LookupError, ValueError):
        raise BadDialect("encoding", f"{encoding!r} is known to nobody here", f"say {known}") from None


def _check_marks(options: Mapping[str, Any]) -> None:
    mark, delimiter = options.get("quote", '"'), options.get("delim")
    if mark and mark == delimiter:
        raise BadDialect("quote", f"is {mark!r}, which is what parts the values (delim)", "say another one")
    if (escape := options.get("escape", mark)) and escape == delimiter:
        raise BadDialect("escape", f"is {escape!r}, which is what parts the values (delim)", "say another one")


def _check_option(name: str, value: object) -> None:
    if name not in OPTIONS:
        near = f" (it is called {_SAME[name]!r})" if name in _SAME else nearest(name, OPTIONS)
        # What nobody needs to say any more: every value is text, and every row counts.
        needless = "" if name in _SAME else ": every value is read as text, and its type found over all rows"
        advice = f"take it out{needless}; there are {listed(OPTIONS, len(OPTIONS))}"
        raise BadDialect(name, f"is no option of a CSV file{near}", advice)
    check_value(name, value)


def check_value(name: str, value: object) -> None:
    """Look at what an option holds, of a CSV file or of another kind that has it too. Raises BadDialect."""
    for fits, reason, advice in _MUST_BE.get(name, ()):
        if not fits(value):
            raise BadDialect(name, f"is {value!r}{reason}", advice)
