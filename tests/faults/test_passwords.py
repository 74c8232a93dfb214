"""A database's password is in nothing that dualgauge prints, raises or keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import dualgauge
from dualgauge.errors import DualgaugeError, keep_secret, redact
from dualgauge.ledger.errors import BadLedgerUrl
from dualgauge.ledger.ledger import Ledger
from support.harm import edit
from support.ledgers import kept_runs
from support.shop import Said, call, lay_out

if TYPE_CHECKING:
    from pathlib import Path

    from support.pg_cluster import Cluster

SECRET = "hunter2-Zebra"
AWKWARD = "p%40ss%2Fw%3Aord-Zebra"  # p@ss/w:ord-Zebra

COMMANDS = (
    "log import",
    "replay",
    "diff customers",
    "status",
    "doctor",
    "journal --verify",
    "rollback",
    "evidence list",
)


def with_ledger(folder: Path, url: str) -> Path:
    folder.mkdir()
    lay_out(folder)
    edit(
        folder / "pyproject.toml",
        "[tool.dualgauge.log.columns]",
        f'[tool.dualgauge.ledger]\nurl = "{url}"\n\n[tool.dualgauge.log.columns]',
    )
    return folder


def everything_said(folder: Path) -> str:
    """What every command says, in text and JSON, with tracebacks."""
    said: list[Said] = []
    for command in COMMANDS:
        said += [call(*command.split(), *more, folder=folder) for more in ((), ("--debug", "--format", "json"))]
    return "".join(one.out + one.err for one in said)


def everything_kept(folder: Path) -> bytes:
    """What is in the project's folder besides the settings, where the user wrote the URL."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != "pyproject.toml")
    return b"".join(file.read_bytes() for file in files)


def role(postgres: Cluster, name: str, password: str) -> None:
    import psycopg

    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}")
        connection.execute(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'")


@pytest.mark.parametrize("form", ["url", "query"])
def test_a_migration_whose_ledger_is_on_postgresql_keeps_its_password_to_itself(
    form: str, postgres: Cluster, postgres_url: str, tmp_path: Path
) -> None:
    role(postgres, "zoe", "p@ss/w:ord-Zebra")
    place = postgres_url.split("@")[1]
    url = f"zoe:{AWKWARD}@{place}" if form == "url" else f"zoe@{place}?password={AWKWARD}"
    folder = with_ledger(tmp_path / "shop", f"postgresql+psycopg://{url}")
    said = everything_said(folder)

    assert '"position": 5' in said
    assert "verified" in said
    assert "***" in said
    assert "Zebra" not in said
    assert b"Zebra" not in everything_kept(folder)
    with Ledger.open(f"postgresql+psycopg://{url}") as ledger:
        assert "Zebra" not in json.dumps([row.row for row in ledger.journal()], default=str)
        assert "Zebra" not in str(kept_runs(ledger))
    assert "Zebra" not in repr(dualgauge.open(folder).project)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nobody:{secret}@127.0.0.1:{port}/{database}",
        "postgresql+psycopg://nobody@127.0.0.1:{port}/{database}?password={secret}",
        "postgresql+psycopg://postgres:{secret}@127.0.0.1:{port}/no_such_database",
        "postgresql+psycopg://postgres:{secret}@127.0.0.1:1/{database}",
        "postgresql+psycopg://postgres:{secret}@host.invalid:{port}/{database}",
        "postgresql+psycopg://postgres:{secret}@127.0.0.1:{port}/{database}?no_such_keyword=1",
        "postgresql+psycopg://postgres:{secret}",
        "postgresql+psycopg://postgres:{secret}/{database}",
        "postgresql+psycopg://postgres:x@{secret}:y@127.0.0.1/{database}",
        "postgresql+pigeon://postgres:{secret}@127.0.0.1/{database}",
        "mysql://postgres:{secret}@127.0.0.1/{database}",
    ],
)  # fmt: skip
def test_a_ledger_that_cannot_be_opened_is_told_without_its_password(
    url: str, postgres: Cluster, postgres_url: str, tmp_path: Path
) -> None:
    database = postgres_url.rpartition("/")[2]
    folder = with_ledger(tmp_path / "shop", url.format(secret=SECRET, port=postgres.port, database=database))
    for more in ([], ["--debug"], ["--format", "json", "--debug"]):
        for command in ("status", "rollback", "doctor"):
            said = call(command, *more, folder=folder)
            assert said.exit_code in {1, 2}
            assert "Zebra" not in said.out + said.err
            assert "unexpected" not in said.out + said.err

    with pytest.raises(DualgaugeError) as raised:
        dualgauge.open(folder).status()
    fault: BaseException | None = raised.value
    assert "Zebra" not in str(fault)
    assert "Zebra" not in repr(raised.value.args)
    assert "Zebra" not in repr(vars(raised.value))


def test_a_url_given_to_a_command_or_written_as_a_reason_is_hidden_too(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    lay_out(folder)
    url = f"postgresql://me:{SECRET}@127.0.0.1:1/shop"
    for arguments in (
        ["diff", url], ["log", "import", url], ["replay", url], ["read", url, url],
        ["diff", f"{url}?sslpassword={SECRET}"],
        [url], ["diff", "--no-such-option", url], ["rollback", "--reason", url, "--dry-run"],
        ["switch", "--percent", url],
    ):  # fmt: skip
        for more in ([], ["--debug"], ["--format", "json"]):
            said = call(*arguments, *more, folder=folder)
            assert "Zebra" not in said.out + said.err


def test_a_setting_that_is_refused_is_shown_without_the_password_in_it(tmp_path: Path) -> None:
    folder = with_ledger(tmp_path / "shop", f"postgresql://me:{SECRET}@h/d")
    edit(folder / "pyproject.toml", 'migration = "customers"', f'migration = ["postgresql://me:{SECRET}@h/d"]')
    said = call("status", folder=folder)

    assert said.exit_code == 2
    assert "postgresql://me:***@h/d" in said.err
    assert "Zebra" not in said.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pw@h/d and then", "postgresql://me:***@h/d and then"),
        ("postgresql://me:p@w@h/d", "postgresql://me:***@h/d"),
        ("postgresql://:pw@h/d", "postgresql://:***@h/d"),
        ("postgresql://me:pw/d", "postgresql://me:***/d"),
        ("postgresql://me@h/d?a=1&password=pw&b=2", "postgresql://me@h/d?a=1&password=***&b=2"),
        ("host=h password='p w' user=me", "host=h password=*** user=me"),
        ("SSLPASSWORD = pw", "SSLPASSWORD = ***"),
        ("postgresql://h:5432/d", "postgresql://h:5432/d"),
        ("sqlite:////home/me/a:b@c.db", "sqlite:////home/me/a:b@c.db"),
        ("the time is 10:30 @ noon", "the time is 10:30 @ noon"),
    ],
)
def test_redaction_knows_the_forms_of_a_password(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert str(DualgaugeError(text)) == shown


def test_a_password_once_known_is_hidden_wherever_it_comes_up_but_not_inside_other_words() -> None:
    keep_secret("postgresql://me:gre%20at-Moth@h/d")

    assert redact("invalid token: gre at-Moth") == "invalid token: ***"
    assert redact("gre%20at-Moth") == "***"
    assert redact("gre at-Mothers") == "gre at-Mothers"


def test_a_url_that_cannot_be_read_says_how_to_write_one() -> None:
    with pytest.raises(BadLedgerUrl) as refused:
        Ledger.open(f"postgresql://me:{SECRET}/d")

    assert str(refused.value) == (
        "the ledger's URL is not usable: it cannot be read as one (write %40 for an @ in a password, %2F for a /, %3A "
        "for a :); write one like sqlite:///.dualgauge/ledger.db or postgresql://host/database"
    )
    assert refused.value.__cause__ is None
