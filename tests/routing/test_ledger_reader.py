"""A router reads the ledger by itself: the URL as SQLAlchemy reads it, the state as the ledger gives it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from dualgauge.errors import DualgaugeError
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.tables import OLDEST_READ, REVISIONS
from dualgauge_router.ledger import KNOWN, OLDER, LedgerReader
from dualgauge_router.ledger_errors import BadLedgerUrl, LedgerBusy, LedgerError, NoLedger, NotALedger
from dualgauge_router.ledger_url import ledger_url
from dualgauge_router.router import Router
from support.ledgers import move

if TYPE_CHECKING:
    from collections.abc import Callable

PART = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)


def test_the_revisions_that_a_router_reads_are_those_of_dualgauge() -> None:
    at = REVISIONS.index(OLDEST_READ)
    assert (REVISIONS[:at], REVISIONS[at:]) == (OLDER, KNOWN)


@given(
    user=PART, password=PART, host=st.sampled_from(["db", "db.example.com", "10.0.0.1", "[::1]", ""]),
    port=st.sampled_from(["", ":5432"]), driver=st.sampled_from(["", "+psycopg", "+psycopg2"]),
    name=PART, option=PART,
)  # fmt: skip
def test_a_servers_url_is_read_as_sqlalchemy_reads_it(
    user: str, password: str, host: str, port: str, driver: str, name: str, option: str
) -> None:
    text = (
        f"postgresql{driver}://{quote(user, safe='')}:{quote(password, safe='')}@{host}{port}/{quote(name, safe='')}"
        f"?application_name={quote(option, safe='')}"
    )
    theirs = make_url(text)
    said = {
        "host": theirs.host, "port": theirs.port and str(theirs.port), "dbname": theirs.database,
        "user": theirs.username, "password": theirs.password, **theirs.query,
    }  # fmt: skip
    found = ledger_url(text)
    assert dict(found.server) == {key: value for key, value in said.items() if value}
    assert f":{quote(password, safe='')}@" not in found.shown


@pytest.mark.parametrize(
    "text", ["sqlite:///a/b.db", "sqlite:////srv/x y.db", "sqlite+pysqlite:///./l.db", "sqlite:///with%20percent.db"]
)
def test_a_files_url_is_read_as_sqlalchemy_reads_it(text: str) -> None:
    assert ledger_url(text).path == Path(str(make_url(text).database)).absolute()


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite://host/x.db", "mysql://h/d", "postgresql://u:p@h:x/d",
     "sqlite:///file:x?uri=true"],
)  # fmt: skip
def test_what_names_no_ledger_is_refused(text: str) -> None:
    with pytest.raises(BadLedgerUrl):
        ledger_url(text)


def opened(url: str, make: Callable[[str], None] | None = None) -> LedgerReader:
    if make:
        make(url.removeprefix("sqlite:///"))
    return LedgerReader(ledger_url(url), timeout=0.1)


@pytest.mark.parametrize("postgresql", [False, True])
def test_the_state_is_what_the_ledger_gives(request: pytest.FixtureRequest, tmp_path: Path, postgresql: bool) -> None:
    url = request.getfixturevalue("postgres_url") if postgresql else f"sqlite:///{tmp_path / 'ledger.db'}"
    reader = opened(url)
    try:
        with pytest.raises(NoLedger):
            reader.state("orders")
        for share, stage in ((0, "shadow"), (10_000, "canary"), (1_000_000, "live"), (0, "shadow")):
            move(url, share, stage)
            with Ledger.look(url) as ledger:
                for name in ("orders", "nobody's"):
                    assert reader.state(name) == ledger.state(name)
    finally:
        reader.close()


def write(path: str, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as made:
        for one in statements:
            made.execute(one)
        made.commit()


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda path: Path(path).write_bytes(b"no database at all, but longer than a header of one" * 9), NotALedger),
        (lambda path: write(path, "CREATE TABLE x (a)"), NoLedger),
        (lambda path: write(path, "CREATE TABLE journal (a)"), NotALedger),
        (lambda path: write(path, "CREATE TABLE dualgauge_version (version_num)"), NoLedger),
    ],
)
def test_what_is_no_ledger_is_told_as_the_ledger_tells_it(
    tmp_path: Path, make: Callable[[str], None], fault: type[DualgaugeError]
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    reader = opened(url, make)
    with pytest.raises(fault) as mine:
        reader.state("orders")
    with pytest.raises(fault) as theirs:
        Ledger.look(url)
    assert str(mine.value) == str(theirs.value)


def test_a_file_that_is_locked_is_told_as_busy(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    url = f"sqlite:///{path}"
    move(url, 0, "shadow")
    write(str(path), "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerBusy):
            opened(url).state("orders")
    assert opened(url).state("orders").stage == "shadow"


def test_a_reader_makes_no_file_and_changes_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none' / 'ledger.db'}"
    with pytest.raises(NoLedger):
        opened(url).state("orders")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [-1, 1_000_001])
def test_a_share_that_cannot_be_is_told(tmp_path: Path, share: int) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    move(url, 0, "shadow")
    write(str(tmp_path / "ledger.db"), f"UPDATE migration SET share_ppm = {share}")
    with pytest.raises(LedgerError, match=f"the share of 'orders' is {share} parts per million"):
        opened(url).state("orders")


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://me@srv:Azurepw99@127.0.0.1:1/led", ["Azurepw99"]),
        ("postgresql://q'user:p'Quotepw99@127.0.0.1:1/led", ["Quotepw99"]),
        ("postgresql://sp:two word99@127.0.0.1:1/led", ["word99"]),
        ("postgresql://q:be<Anglepw99@127.0.0.1:1/led", ["Anglepw99"]),
        ("postgresql://127.0.0.1:1/led?user=u&password=ab;Semipw99", ["Semipw99"]),
        ("postgresql://127.0.0.1:1/led?user=u&password=ab%29Parpw99", ["Parpw99"]),
        ("postgresql://u:p@ssWORDtail@db.invalid/led", ["ssWORDtail"]),
        ("postgresql:///led?host=admin:Secretpw99@h.invalid", ["Secretpw99"]),
    ],
)
def test_no_password_is_in_what_a_router_says(url: str, secrets: list[str], caplog: pytest.LogCaptureFixture) -> None:
    reader = LedgerReader(ledger_url(url), timeout=2)
    with pytest.raises(DualgaugeError) as told:
        reader.state("orders")
    with Router(url, "orders", wait=5) as router:
        assert router.trouble is not None
        end = time.monotonic() + 10
        while not caplog.records and time.monotonic() < end:
            time.sleep(0.01)
        assert caplog.records
        said = [str(told.value), repr(told.value.__cause__), ledger_url(url).shown, str(router.trouble), caplog.text]
    assert [one for one in secrets for text in said if one in text] == []
