"""docs/json.md against what the commands print: every field of every answer is there, and no other."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.outbox.values import Message, News
from support.ledgers import url_of
from support.receivers import Receiver
from support.shop import build, call
from support.snippets import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
CHECKED = """\
from dualgauge import Check, Comparator

customers = Comparator(key="customer", checks=[Check("expect_column_values_to_not_be_null", column="customer")])
"""
APPENDED = (
    b'{"event_id": "app-1", "type": "placed", "occurred_at": "2026-01-09", "fields": {"customer": "dan", "cents": 5}}'
)
COMMANDS = {
    "init": ["init", "more"],
    "doctor": ["doctor"],
    "log-add": ["log", "add", "more.csv"],
    "log-import": ["log", "import", "--all", "--on-bad-row", "quarantine"],
    "log-append": ["log", "append"],
    "log-show": ["log", "show"],
    "log-forget": ["log", "forget", "orders", "--dry-run"],
    "log-compact": ["log", "compact"],
    "log-verify": ["log", "verify"],
    "plan": ["plan"],
    "migrate-revision": ["migrate", "revision"],
    "migrate-upgrade": ["migrate", "upgrade"],
    "migrate-history": ["migrate", "history"],
    "quarantine-list": ["quarantine", "list"],
    "quarantine-retry": ["quarantine", "retry", "--all", "--dry-run"],
    "quarantine-skip": ["quarantine", "skip", "--all"],
    "replay": ["replay", "--force"],
    "tail": ["tail", "--once"],
    "throttle": ["throttle"],
    "diff": ["diff"],
    "check": ["check"],
    "status": ["status"],
    "evidence-list": ["evidence", "list"],
    "report": ["report"],
    "reports-prune": ["reports", "prune", "--keep", "90d"],
    "schedule-list": ["schedule", "list"],
    "schedule-run": ["schedule", "run", "nightly", "--dry-run"],
    "schedule-pause": ["schedule", "pause", "nightly", "--reason", "r"],
    "schedule-resume": ["schedule", "resume", "nightly"],
    "schedule-show": ["schedule", "show", "nightly"],
    "notify-list": ["notify", "list"],
    "notify-send": ["notify", "send"],
    "notify-test": ["notify", "test"],
    "notify-ack": ["notify", "ack", "schedule:nightly", "--reason", "r", "--until", "2199-01-01"],
    "read": ["read", "customers", "ada"],
    "canary-validate": ["canary", "validate"],
    "canary-apply": ["canary", "apply"],
    "canary-show": ["canary", "show"],
    "canary-reads": ["canary", "reads"],
    "canary-judge": ["canary", "judge"],
    "canary-who": ["canary", "who", "ada"],
    "canary-kill": ["canary", "kill"],
    "canary-unkill": ["canary", "unkill"],
    "switch": ["switch", "--percent", "1"],
    "rollback": ["rollback"],
    "journal": ["journal", "--verify"],
}
CHANNEL = """
[[tool.dualgauge.channels]]
name = "hook"
kind = "webhook"
url = "URL"
secret = "${HOOK_SECRET}"
"""
# What is named after data: views, columns, sources, options of a reader.
BY_NAME = {
    "configuration",
    "columns",
    "events",
    "sources",
    "read",
    "row",
    "payload",
    "from",
    "to",
    "bound",
    "summary",
    "files",
    "toml",
    "why",
}


def fields(answer: dict[str, Any], depth: int = 0) -> set[str]:
    """The names of an object's fields, and of those one level below."""
    found = set(answer)
    for name, value in answer.items():
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and name not in BY_NAME and depth < 1:
            found |= fields(inner, depth + 1)
    return found


def part(verb: str) -> str:
    for text in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, body = text.partition("\n")
        if verb in heading.split(", "):
            return body.partition("\n## ")[0]
    return ""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """One answer of each command, from one small project."""
    folder: Path = build(tmp_path_factory.mktemp("json") / "shop")
    (folder / "comparators" / "customers.py").write_text(CHECKED)
    with (folder / "data" / "orders.csv").open("a", encoding="utf-8") as orders:
        orders.write("5,2026-01-04T08:15:00Z,eve,placed\n")
    (folder / "canary.yaml").write_text("steps: [{share: 1%}, {share: 100%}]\n")
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write('\n[[tool.dualgauge.schedules]]\nname = "nightly"\nevery = "1m"\n')
    (folder / "more.csv").write_text("id,at,kind\n1,2026-01-01T00:00:00Z,a\n")
    found = {}
    with Receiver() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_SECRET", "a key of the shop")
        with (folder / "pyproject.toml").open("a") as settings:
            settings.write(CHANNEL.replace("URL", receiver.url))
        with Ledger.open(url_of(folder)) as ledger:
            news = News("schedule:nightly", True, Message("w"), ("hook",), datetime.now(UTC), timedelta(days=1), "x")
            ledger.outbox_of("customers").tell([news])
        for verb, words in COMMANDS.items():
            said = call(*words, "--format", "json", folder=folder, stdin=APPENDED)
            assert said.json["error"] is None, said.out
            assert said.json["schema"] == f"dualgauge.{verb}/1"
            found[verb] = said.json["result"]
    run = found["evidence-list"]["runs"][0]["run"]
    found["evidence-show"] = call("evidence", "show", run, "--format", "json", folder=folder).json["result"]
    return found


def test_every_command_that_answers_in_json_has_its_part(answers: dict[str, dict[str, Any]]) -> None:
    headings = re.findall(r"^### (.+)$", PAGE.partition("## diff.json")[0], re.MULTILINE)
    assert {verb for heading in headings for verb in heading.split(", ")} == set(answers)


@pytest.mark.parametrize("verb", [*COMMANDS, "evidence-show"])
def test_the_page_names_every_field_of_an_answer(verb: str, answers: dict[str, dict[str, Any]]) -> None:
    named = set(re.findall(r"`([a-z_0-9]+)`", part(verb)))
    if verb == "diff":
        named |= set(re.findall(r"^\| `([a-z_0-9]+)` \|", PAGE.partition("## diff.json")[2], re.MULTILINE))

    assert fields(answers[verb]) - named - {"mismatched"} == set()
