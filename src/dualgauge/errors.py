"""
The base of every error that dualgauge raises on purpose.

An error class owns its fields and its sentence; the sentence says what, where, and ends in the next step.
The exit codes are those of the command line: 1 failed, 2 usage or configuration, 3 gate refused,
4 differences found, 5 state conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from dualgauge.model import NextStep


class DualgaugeError(Exception):
    """Something a user can act on. `str()` is one paragraph; `next_steps` are commands worth running."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, *, next_steps: tuple[NextStep, ...] = ()) -> None:
        self.next_steps = next_steps
        super().__init__(sentence)


class UsageError(DualgaugeError):
    """The call, the configuration or a content file is wrong: nothing was done."""

    exit_code = 2


class DataError(DualgaugeError):
    """The data breaks a promise that the tool relies on (a NULL key, a repeated key)."""

    exit_code = 4


class ConflictError(DualgaugeError):
    """The state is not the one this move starts from, or somebody else holds what is needed."""

    exit_code = 5
