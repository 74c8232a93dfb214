"""Whatever is damaged, and however a call is mistyped: an exit code that is documented, one paragraph, no traceback."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.shop import Said, build, call

if TYPE_CHECKING:
    from pathlib import Path

CODES = set(range(6))

FILES = (
    "pyproject.toml", "data/orders.csv", "views_v1/customers.sql", "views_v2/customers.sql",
    "comparators/customers.py", "migrations/env.py", ".dualgauge/views_v1.db", ".dualgauge/views_v2.db",
    ".dualgauge/ledger.db", ".dualgauge/log/*.parquet", ".dualgauge/log/_delta_log/*0.json",
    ".dualgauge/log/_delta_log/*1.json", "migrations/versions/*.py",
)  # fmt: skip

COMMANDS = (
    "status", "plan", "log import", "log show", "replay --force", "diff customers", "read customers ada",
    "switch --percent 1", "rollback", "journal --verify", "migrate history", "doctor", "evidence list",
)  # fmt: skip

WORDS = st.sampled_from(
    [
        *" ".join(COMMANDS).split(), "--format", "json", "--dry-run", "--project", "--", "-h", "", " ", "\0", "\ud800",
        "..", "/", "-1", "1e9", "nan", "'", "\n", "\x1b[2J", "--until", "--limit", "--reason", "customers",
        "v2.customers",
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "shop")


def is_told(said: Said, what: str) -> None:
    """The answer is one that is documented."""
    assert said.exit_code in CODES, what
    assert "Traceback" not in said.out + said.err, what
    assert not re.search(r"unexpected [A-Z]\w+", said.out + said.err), f"{what}: {said.out}{said.err}"
    if said.err.startswith("error: "):
        sentence, *steps = said.err.splitlines()
        assert len(sentence) < 2_100
        assert all(step.startswith("next: ") for step in steps), what


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    name=st.sampled_from(FILES),
    at=st.floats(0, 1),
    how=st.sampled_from(["cut", "flip", "put", "empty", "zero", "folder"]),
    text=st.sampled_from([b"\0", b"\xff\xfe", b"'", b'"', b"\n", b"]", b"%(x)s", b"\xc3\xa9" * 50]),
    command=st.sampled_from(COMMANDS),
)
def test_a_file_damaged_anywhere_is_told_in_one_paragraph(
    name: str, at: float, how: str, text: bytes, command: str, built: Path, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    shutil.rmtree(shop, ignore_errors=True)
    shutil.copytree(built, shop)
    for file in shop.glob(name):
        content = file.read_bytes()
        place = int(at * max(0, len(content) - 1))
        match how:
            case "cut":
                file.write_bytes(content[:place])
            case "flip":
                file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
            case "put":
                file.write_bytes(content[:place] + text + content[place:])
            case "empty":
                file.write_bytes(b"")
            case "zero":
                file.write_bytes(content[:place] + bytes(len(content) - place))
            case "folder":
                file.unlink()
                file.mkdir()

    is_told(call(*command.split(), folder=shop), f"{command} after {how} at {at} of {name}")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(words=st.lists(WORDS, max_size=5))
def test_odd_arguments_are_told_in_one_paragraph(words: list[str], built: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    if not shop.exists():
        shutil.copytree(built, shop)

    is_told(call(*words, folder=shop), f"dualgauge {words!r}")
