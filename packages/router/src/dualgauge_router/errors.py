"""
The base of every error that dualgauge and its router raise on purpose.

An error class owns its fields and its sentence; the sentence says what, where, and ends in the next step. The exit
codes are those of dualgauge's command line.

No sentence holds a password: every one passes `redact`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final, Self
from urllib.parse import unquote

if TYPE_CHECKING:
    from dualgauge_router.model import NextStep


class DualgaugeError(Exception):
    """Something a user can act on. `str()` is one paragraph; `next_steps` are commands worth running."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, *, next_steps: tuple[NextStep, ...] = ()) -> None:
        self.next_steps = next_steps
        super().__init__(redact(sentence))

    def within(self, place: str) -> Self:
        """The same error with its place in front, for whoever knows a place that the raiser did not."""
        self.args = (f"{place}: {self}",)
        return self

    def details(self) -> dict[str, object]:
        """What the JSON of the error holds beside its class and its sentence."""
        return {}


class UsageError(DualgaugeError):
    """The call, the configuration or a content file is wrong: nothing was done."""

    exit_code = 2


class ConflictError(DualgaugeError):
    """The state is not the one this move starts from, or somebody else holds what is needed."""

    exit_code = 5


HIDDEN: Final = "***"
"""What stands where a password stood."""

_SHORTEST_SECRET: Final = 4
"""A shorter password is hidden where it stands in a URL, and not wherever its letters come up."""

# SQLAlchemy ends a password at the first @. One with an @ that nobody escaped goes on to the last.
_IN_URL: Final = re.compile(r"(?P<before>[A-Za-z][\w+.-]*://[^\s:/?#@\"'<>]*):(?P<password>[^\s\"'<>]*)@")
# Who forgets the host writes the password where a port should be, and gets it told as a bad port.
_AS_PORT: Final = re.compile(
    r"(?P<before>[A-Za-z][\w+.-]*://[^\s:/?#@\[\"'<>]+):(?P<password>(?!\d+(?:[/?#\s\"'<>]|$))[^\s/?#@\"'<>]+)"
)
_KEYWORD: Final = re.compile(
    r"(?P<before>\b(?:ssl)?(?:password|passwd|pwd)\s*=\s*)"
    r"(?P<password>'(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s&;,'\")]+)",
    re.IGNORECASE,
)

_INSTEAD: Final = {_IN_URL: f":{HIDDEN}@", _AS_PORT: f":{HIDDEN}", _KEYWORD: HIDDEN}

_secrets: set[str] = set()


def _forms(text: str) -> tuple[re.Pattern[str], ...]:
    """How passwords may stand in a text. Looking for a URL in ten kilobytes without one would take half a second."""
    return (_IN_URL, _AS_PORT, _KEYWORD) if "://" in text else (_KEYWORD,)


def keep_secret(text: str) -> None:
    """Remember the passwords of a database URL, so that `redact` knows them wherever they come up in this process."""
    found = [match["password"].strip("'\"") for form in _forms(text) for match in form.finditer(text)]
    found += [one.partition("@")[0] for one in found]
    _secrets.update(one for raw in found for one in (raw, unquote(raw)) if len(one) >= _SHORTEST_SECRET)


def keep_secret_value(value: str) -> None:
    """Remember a secret that is no part of a URL, such as the key of an object store."""
    if len(value) >= _SHORTEST_SECRET:
        _secrets.add(value)


def redact(text: str) -> str:
    """The text without passwords: those of URLs and of `password=...`, and those that `keep_secret` was told of."""
    for form in _forms(text):
        text = form.sub(rf"\g<before>{_INSTEAD[form]}", text)
    for secret in sorted(_secrets, key=len, reverse=True):
        # Whole words: the password `postgres` does not hide the kind of database.
        start, end = (r"(?<!\w)" if secret[0].isalnum() else "", r"(?!\w)" if secret[-1].isalnum() else "")
        text = re.sub(f"{start}{re.escape(secret)}{end}", HIDDEN, text)
    return text
