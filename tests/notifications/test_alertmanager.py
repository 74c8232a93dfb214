"""A real Alertmanager: what fires is one alert however often it is told, and what is resolved goes."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.ledger.outbox.values import Message, Notice, NoticeKind, SubjectState
from dualgauge.notifications.channels import send
from dualgauge.notifications.settings import ChannelSettings
from support.receivers import Receiver
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIGURATION = """\
route: {receiver: out, group_by: [subject], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: out
    webhook_configs: [{url: "URL", send_resolved: true}]
"""


@pytest.fixture(scope="module")
def alertmanager(
    tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Receiver]]:
    folder = tmp_path_factory.mktemp("alertmanager")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Receiver() as out:
        (folder / "am.yml").write_text(CONFIGURATION.replace("URL", out.url), encoding="utf-8")
        command = [
            tool("prometheus-alertmanager"), f"--config.file={folder / 'am.yml'}", f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error",
        ]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            url = f"http://127.0.0.1:{port}"
            try:
                wait_for(lambda: ready(url))
                yield url, out
            finally:
                process.kill()


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def alerts(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=5) as answer:
        return json.load(answer)


def notice(kind: NoticeKind, number: int, at: datetime, since: datetime | None, subject: str = "s") -> Notice:
    state = None if since is None else SubjectState.RESOLVED if kind is NoticeKind.RESOLVED else SubjectState.FIRING
    said = Message("it happened", found="3 mismatched", next="dualgauge evidence list")
    return Notice(f"{number:032x}", "customers", subject, number, kind, at, state, since, said)


def test_an_alert_fires_once_and_is_resolved(alertmanager: tuple[str, Receiver]) -> None:
    url, out = alertmanager
    channel = ChannelSettings(name="am", kind="alertmanager", url=f"{url}/")
    now = datetime.now(UTC)
    since = now - timedelta(hours=2)
    # Told twice, as after a kill, and reminded of: it is one alert, that goes on.
    for kind, number in ((NoticeKind.FIRING, 1), (NoticeKind.FIRING, 1), (NoticeKind.REMINDER, 2)):
        receipt = send(channel, notice(kind, number, now, since))
        assert (receipt.delivered, receipt.code) == (True, 200)
    [alert] = alerts(url)
    assert alert["labels"] == {"alertname": "Dualgauge", "migration": "customers", "subject": "s"}
    assert alert["annotations"]["found"] == "3 mismatched"
    assert datetime.fromisoformat(alert["startsAt"]) - since < timedelta(milliseconds=1)
    # It does not end by itself after five minutes.
    assert datetime.fromisoformat(alert["endsAt"]) > now + timedelta(days=300)
    fired = wait_for(lambda: [one.json for one in out.got])
    assert [one["status"] for one in fired] == ["firing"]
    send(channel, notice(NoticeKind.RESOLVED, 3, datetime.now(UTC), datetime.now(UTC)))
    wait_for(lambda: alerts(url) == [])
    wait_for(lambda: len(out.got) > 1)
    assert [one.json["status"] for one in out.got] == ["firing", "resolved"]


def test_a_test_and_a_move_are_alerts_that_end_by_themselves(alertmanager: tuple[str, Receiver]) -> None:
    url, _ = alertmanager
    channel = ChannelSettings(name="am", kind="alertmanager", url=url)
    now = datetime.now(UTC)
    for kind, subject, within in ((NoticeKind.TEST, "test", 6), (NoticeKind.EVENT, "moves", 61)):
        assert send(channel, notice(kind, 1, now, None, subject)).delivered
        [alert] = [one for one in alerts(url) if one["labels"]["subject"] == subject]
        assert alert["labels"]["alertname"] == ("DualgaugeTest" if kind is NoticeKind.TEST else "Dualgauge")
        assert datetime.fromisoformat(alert["endsAt"]) < now + timedelta(minutes=within)


def test_what_alertmanager_refuses_is_no_delivery(alertmanager: tuple[str, Receiver]) -> None:
    url, _ = alertmanager
    receipt = send(
        ChannelSettings(name="am", kind="alertmanager", url=f"{url}/elsewhere"),
        notice(NoticeKind.TEST, 1, datetime.now(UTC), None),
    )
    assert (receipt.delivered, receipt.code) == (False, 404)
