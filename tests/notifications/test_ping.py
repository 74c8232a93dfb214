"""A dead man's switch is pinged at the path of its address, whatever else stands in that."""

from __future__ import annotations

import pytest

from dualgauge.notifications.ping import Ping
from support.receivers import Receiver


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ("/uuid", ["/uuid/start", "/uuid/0"]),
        ("/uuid/", ["/uuid/start", "/uuid/0"]),
        ("/uuid?team=a&key=/x/", ["/uuid/start?team=a&key=/x/", "/uuid/0?team=a&key=/x/"]),
        ("", ["/start", "/0"]),
    ],
)
def test_what_is_told_goes_behind_the_path(monkeypatch: pytest.MonkeyPatch, given: str, paths: list[str]) -> None:
    with Receiver() as receiver:
        monkeypatch.setenv("PING_URL", f"{receiver.url}{given}")
        ping = Ping("${PING_URL}", "nightly")
        ping.start()
        ping.end(0)
        assert [one.path for one in receiver.got] == paths
