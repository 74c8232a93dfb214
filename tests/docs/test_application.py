"""The applications of the guide: real servers, of threads, forks and tasks, under load, through a ramp and a kill."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.ledger.ledger import Ledger
from dualgauge.model import PPM
from dualgauge_router.decision import Decision, Routing
from support.shop import build, call
from support.snippets import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = "X-Dualgauge-Decision"
UNITS = [f"tenant-{number}" for number in range(120)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = build(tmp_path / "shop")
    (folder / "comparators" / "customers.py").write_text(
        'from dualgauge import Comparator\n\ncustomers = Comparator(key="customer")\n'
    )
    (folder / "canary.yaml").write_text(
        "cohorts: {staff: {attr: email, ends_with: '@shop.example'}}\n"
        "steps: [{share: 50%, cohorts: [staff]}, {share: 100%}]\n"
    )
    for words in (["diff"], ["canary", "apply"], ["switch", "--percent", "50"]):
        assert call(*words, folder=folder).exit_code == 0
    return folder


@contextmanager
def serving(shop: Path, example: str, *options: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = shop / ".dualgauge"
    environment = os.environ | {
        "LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "STORE": f"sqlite:///{folder}/views_{{side}}.db",
    }
    application = ROOT / "docs" / "examples" / example
    command = [sys.executable, str(application), str(port), *options]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    asked(port, "/counts")
                except OSError:
                    assert server.poll() is None, server.stderr and server.stderr.read()
                    time.sleep(0.05)
                else:
                    break
            yield port
        finally:
            server.kill()


def asked(port: int, path: str, **headers: str) -> tuple[int, Any, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        found = json.loads(body) if answer.headers.get_content_type() == "application/json" else None
        return answer.status, found, answer.headers.get(HEADER, "")
    finally:
        connection.close()


def reads(port: int, **headers: str) -> list[tuple[int, Any, str]]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda unit: asked(port, "/customers/ada", X_Tenant=unit, **headers), UNITS))


@pytest.mark.parametrize(
    "started", [("shop_app.py",), ("shop_app.py", "--fork"), ("shop_fastapi.py",), ("shop_django.py",)]
)
def test_the_application_serves_both_sides_through_a_ramp_and_a_kill(shop: Path, started: tuple[str, ...]) -> None:
    with Ledger.look(f"sqlite:///{shop / '.dualgauge' / 'ledger.db'}") as ledger:
        routing = Routing(ledger.state("customers"))
    with serving(shop, *started) as port:
        found = reads(port)
        assert {status for status, *_ in found} == {200}
        assert all(row == {"cents": 3300, "customer": "ada", "orders": 2} for _, row, _ in found)
        expected = [routing.decide(unit) for unit in UNITS]
        assert [Decision.from_header(header) for *_, header in found] == expected
        assert len({decision.side for decision in expected}) == 2
        if "--fork" not in started:
            sides = [decision.side.value for decision in expected]
            assert asked(port, "/counts")[1] == {"customers": {side: sides.count(side) for side in ("v1", "v2")}}

        staff = reads(port, X_Email="ada@shop.example")
        assert {header.split(";")[:2][0] for *_, header in staff} == {"v2"}
        assert asked(port, "/customers/nobody", X_Tenant="t")[0] == 404
        # Without a tenant v1 answers; another service's decision is followed.
        assert asked(port, "/customers/ada")[2].startswith("v1;no_unit")
        later = f"v2;hash;{PPM};999"
        assert asked(port, "/customers/ada", X_Tenant="t", X_Dualgauge_Decision=later)[2] == later

        assert call("canary", "kill", folder=shop).exit_code == 0
        # The router's promise: its `refresh` of a second, and one look.
        time.sleep(2.5)
        killed = reads(port, X_Email="ada@shop.example")
        assert {header.split(";")[1] for *_, header in killed} == {"kill"}
        assert {status for status, *_ in killed} == {200}
