"""
A dead man's switch: somebody outside is told that a run began, and how it ended, and raises the alarm if neither comes.

A ping is tried once. One that comes late would say that all is well when it is not, so none waits in the outbox; one
that does not arrive raises the alarm, as it should.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from dualgauge.errors import DualgaugeError
from dualgauge.notifications.settings import with_secrets
from dualgauge.notifications.wire import post

SECONDS: Final = 5.0
"""How long a ping may take: a run waits for no more."""


class Ping:
    """Pings of one run; a schedule without a URL pings nobody."""

    def __init__(self, url: str | None, schedule: str) -> None:
        self._url, self._schedule = url, schedule
        self._last: threading.Thread | None = None

    def start(self) -> None:
        """Say that it began, while it goes on."""
        self._begin("start")

    def end(self, exit_code: int) -> None:
        """Say how it ended: 0 is success."""
        # The other end takes what comes last for how it stands.
        self._wait()
        self._begin(str(exit_code))
        self._wait()

    def _begin(self, what: str) -> None:
        if self._url is not None:
            self._last = threading.Thread(target=self._ping, args=[self._url, what], daemon=True)
            self._last.start()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.join(SECONDS + 1)

    def _ping(self, url: str, what: str) -> None:
        with suppress(DualgaugeError):
            given = urlsplit(with_secrets(url, f"tool.dualgauge.schedules, {self._schedule!r}: ping"))
            place = urlunsplit(given._replace(path=f"{given.path.rstrip('/')}/{what}"))
            post(place, b"", {"User-Agent": "dualgauge"}, allow_private=False, seconds=SECONDS)
