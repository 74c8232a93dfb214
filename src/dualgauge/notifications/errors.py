"""What a notification may refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import DualgaugeError, UsageError
from dualgauge.model import NextStep, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class NotSent(DualgaugeError):
    """A receiver did not take a message: `code` is what it answered, None where it answered nothing."""

    def __init__(self, reason: str, *, code: int | None = None, wait: float = 0.0) -> None:
        self.code, self.wait = code, wait
        super().__init__(reason)


class UnknownChannel(UsageError):
    """No channel has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"there is no channel {name!r}{nearest(name, known)}; nothing was sent: name one of "
            "[[tool.dualgauge.channels]] in pyproject.toml",
            next_steps=(NextStep("dualgauge notify test", "send a test through every channel"),),
        )


class NoChannels(UsageError):
    """The settings have no channel that could be sent through."""

    def __init__(self) -> None:
        super().__init__("no [[tool.dualgauge.channels]] stands in pyproject.toml: write one, and send then")
