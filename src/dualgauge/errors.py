"""
The base of every error that dualgauge raises on purpose.

An error class owns its fields and its sentence; the sentence says what, where, and ends in the next step.
The exit codes are those of the command line: 1 failed, 2 usage or configuration, 3 gate refused,
4 differences found, 5 state conflict.

No sentence holds a password: every one passes `redact`, and so does whatever else the command line tells of a fault.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, ClassVar, Final, Self
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.model import NextStep


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


class GateError(DualgaugeError):
    """A gate does not let the move through: what it asks for is not there, or says no."""

    exit_code = 3


class DataError(DualgaugeError):
    """The data breaks a promise that the tool relies on (a NULL key, a repeated key)."""

    exit_code = 4


class ConflictError(DualgaugeError):
    """The state is not the one this move starts from, or somebody else holds what is needed."""

    exit_code = 5


class SystemRefused(DualgaugeError):
    """The operating system refused: the disk is full, or the file may not be written. It is no fault of the tool."""

    ADVICE: ClassVar[Mapping[int, str]] = {
        errno.ENOSPC: "free some space on that disk",
        errno.EDQUOT: "free some of your quota on that disk",
        errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
        errno.EROFS: "use a place that may be written",
        errno.EACCES: "see that you may read and write that file and its folder",
        errno.EPERM: "see that you may read and write that file and its folder",
        errno.EIO: "see whether that disk is whole",
        errno.EMFILE: "raise the limit of open files (ulimit -n)",
        errno.ENFILE: "close what holds many files open",
        errno.ENOTDIR: "put a folder where that path has a file",
        errno.EEXIST: "put a folder where that path has a file",
        errno.EISDIR: "put a file where that path has a folder",
        errno.ENAMETOOLONG: "use a shorter name",
        errno.ELOOP: "mend the symbolic links of that path",
    }

    def __init__(self, fault: OSError) -> None:
        self.errno, self.filename = fault.errno, fault.filename
        what = f"{fault.filename} cannot be used" if fault.filename else "a file cannot be used"
        reason = (fault.strerror or str(fault)).rstrip(".")
        advice = self.ADVICE[fault.errno or 0]
        super().__init__(f"{what}: {reason}; {advice}, and run the command again: what was being written is not in use")

    @classmethod
    def of(cls, fault: BaseException) -> SystemRefused | None:
        """What an error of the system means to a user; None where it is another error, or may be a fault of ours."""
        return cls(fault) if isinstance(fault, OSError) and fault.errno in cls.ADVICE else None


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
