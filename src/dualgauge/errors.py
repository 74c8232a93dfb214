"""
The kinds of errors that dualgauge raises on purpose; their base is the router's.

The exit codes are those of the command line: 1 failed, 2 usage or configuration, 3 gate refused, 4 differences found,
5 state conflict. No sentence holds a password: every one passes `redact`, and so does whatever else the command line
tells of a fault.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

from dualgauge_router.errors import (
    HIDDEN,
    ConflictError,
    DualgaugeError,
    UsageError,
    keep_secret,
    keep_secret_value,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HIDDEN",
    "ConflictError",
    "DataError",
    "DualgaugeError",
    "GateError",
    "SystemRefused",
    "UsageError",
    "keep_secret",
    "keep_secret_value",
    "redact",
]


class GateError(DualgaugeError):
    """A gate does not let the move through: what it asks for is not there, or says no."""

    exit_code = 3


class DataError(DualgaugeError):
    """The data breaks a promise that the tool relies on (a NULL key, a repeated key)."""

    exit_code = 4


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
