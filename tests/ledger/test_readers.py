"""Looking at a ledger upgrades nothing; other versions of dualgauge read and write it as far as it allows."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from dualgauge.ledger.errors import NewerLedger, OlderLedger, ReadOnlyLedger
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.misfit import Misfit, RowState
from dualgauge.ledger.tables import HEAD, VERSION_TABLE
from dualgauge.model import PPM, Side
from dualgauge_router.decision import Reason
from dualgauge_router.router import Router
from support.ledgers import AT, downgrade, later, make_by_revisions, move, revision_of, sql, tables_of, url_of
from support.shop import build, call

if TYPE_CHECKING:
    from pathlib import Path

LOOKING = (
    "status", "journal", "journal --verify", "evidence list", "report", "read customers ada", "doctor",
    "quarantine list", "log verify", "log show", "switch --percent 10 --dry-run", "rollback --dry-run",
    "quarantine retry --all --dry-run", "quarantine skip --all --dry-run", "log import --all --dry-run",
    "log compact --dry-run", "replay --dry-run", "plan", "migrate history",
)  # fmt: skip

WITHOUT_THE_LEDGER = ("log show", "replay --dry-run", "plan", "migrate history")

WRITING = (
    "replay --force", "diff", "check", "switch --percent 10", "rollback", "quarantine skip --all",
    "quarantine retry --all", "log import --all", "log compact", "migrate upgrade",
)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger of either kind, with every read of `orders` on v2."""
    found = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        found = request.getfixturevalue("postgres_url")
    move(found, PPM, "live")
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "shop", compared=True)


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "shop")
    return tmp_path / "shop"


def test_a_new_ledger_is_what_all_revisions_make_one_after_the_other(url: str) -> None:
    said = "SELECT * FROM readable_from ORDER BY revision"
    new = tables_of(url), sql(url, said), revision_of(url)

    downgrade(url, "base")
    sql(url, f"DROP TABLE {VERSION_TABLE}")
    assert tables_of(url) == {}
    make_by_revisions(url)

    assert (tables_of(url), sql(url, said), revision_of(url)) == new


# Commands.


def test_whatever_only_looks_works_at_the_oldest_readable_revision_and_leaves_it_there(shop: Path) -> None:
    downgrade(url_of(shop), "0004")
    tables = sql(url_of(shop), "SELECT name FROM sqlite_master ORDER BY name")

    said = {command: call(*command.split(), folder=shop) for command in LOOKING}

    assert {command: one.err for command, one in said.items() if one.exit_code} == {}
    assert revision_of(url_of(shop)) == "0004"
    assert sql(url_of(shop), "SELECT name FROM sqlite_master ORDER BY name") == tables


def test_whatever_only_looks_at_an_older_ledger_names_the_command_that_upgrades(shop: Path) -> None:
    downgrade(url_of(shop), "0003")

    said = {
        command: call(*command.split(), folder=shop)
        for command in LOOKING
        if command not in (*WITHOUT_THE_LEDGER, "doctor")
    }

    told = (
        f"error: the ledger {url_of(shop)} is at revision 0003, and this dualgauge reads revisions from 0004 on and "
        f"writes {HEAD}; looking upgrades nothing: run `dualgauge migrate upgrade`, which upgrades the ledger too\n"
        f"next: dualgauge migrate upgrade   # upgrade the ledger to revision {HEAD}\n"
    )
    assert {command: (one.exit_code, one.err) for command, one in said.items()} == dict.fromkeys(said, (5, told))
    assert revision_of(url_of(shop)) == "0003"
    json = call("status", "--format", "json", folder=shop).json
    assert (json["exit_code"], json["error"]["type"]) == (5, "OlderLedger")
    assert [step["command"] for step in json["next_steps"]] == ["dualgauge migrate upgrade"]
    assert "dualgauge migrate upgrade" in call("doctor", folder=shop).out
    assert revision_of(url_of(shop)) == "0003"


@pytest.mark.parametrize("revision", ["0001", "0004"])
def test_migrate_upgrade_upgrades_the_ledger_and_says_so(revision: str, shop: Path) -> None:
    downgrade(url_of(shop), revision)

    assert call("migrate", "upgrade", folder=shop).out == f"upgraded the ledger from revision {revision} to {HEAD}\n"
    assert revision_of(url_of(shop)) == HEAD
    assert call("status", folder=shop).exit_code == 0
    assert call("migrate", "upgrade", folder=shop).out == "nothing to apply\n"
    again = call("migrate", "upgrade", "--format", "json", folder=shop).json
    assert again["result"] == {"applied": [], "ledger": {"before": HEAD, "after": HEAD}}


def test_migrate_upgrade_makes_no_ledger(shop: Path) -> None:
    shutil.rmtree(shop / ".dualgauge")
    (shop / ".dualgauge").mkdir()

    assert call("migrate", "upgrade", "--format", "json", folder=shop).json["result"]["ledger"] is None
    assert not (shop / ".dualgauge" / "ledger.db").exists()


@pytest.mark.parametrize("command", WRITING)
def test_a_command_that_writes_upgrades_an_older_ledger(command: str, shop: Path) -> None:
    downgrade(url_of(shop), "0003")

    said = call(*command.split(), folder=shop)

    assert (said.exit_code, said.err) == (0, "")
    assert revision_of(url_of(shop)) == HEAD


@pytest.mark.parametrize(
    "command",
    ["switch --percent 0 --dry-run", "rollback --dry-run", "quarantine retry --all --dry-run",
     "quarantine skip --all --dry-run"],
)  # fmt: skip
def test_a_dry_run_makes_no_ledger(command: str, shop: Path) -> None:
    (shop / ".dualgauge" / "ledger.db").unlink()

    assert call(*command.split(), folder=shop).exit_code == 0
    assert list((shop / ".dualgauge").glob("ledger.db*")) == []


def test_a_ledger_of_a_later_version_that_says_so_is_looked_at_and_not_written(shop: Path) -> None:
    later(url_of(shop), reader=HEAD)

    looked = {command: call(*command.split(), folder=shop) for command in LOOKING}
    # A replay builds before it notes.
    written = {command: call(*command.split(), folder=shop) for command in WRITING}

    assert {command: one.err for command, one in looked.items() if one.exit_code} == {}
    told = (
        f"error: the ledger {url_of(shop)} is at revision 0099, and this dualgauge knows revisions up to {HEAD}: it "
        "can read this ledger, and must not write it; nothing was touched: upgrade dualgauge\n"
    )
    assert {command: (one.exit_code, one.err) for command, one in written.items()} == dict.fromkeys(WRITING, (2, told))
    assert "upgrade dualgauge" in call("doctor", folder=shop).out


# Routers, and ledgers that are open for long.


def test_a_router_reads_an_older_ledger_and_reads_on_when_another_process_upgrades_it(url: str) -> None:
    downgrade(url, "0004")
    with Router(ledger=url, migration="orders", refresh=60) as router:
        assert router.decide("u")[:2] == (Side.V2, Reason.HASH)
        assert revision_of(url) == "0004"
        move(url, 0, "shadow")
        assert revision_of(url) == HEAD
        assert router.refresh()
        assert (router.decide("u").side, router.trouble) == (Side.V1, None)


def test_a_router_that_cannot_read_the_revision_says_so_and_starts_on_v1_until_it_is_upgraded(url: str) -> None:
    downgrade(url, "0003")
    with Router(ledger=url, migration="orders", refresh=60) as router:
        assert router.decide("u")[:2] == (Side.V1, Reason.STALE)
        assert isinstance(router.trouble, OlderLedger)
        assert revision_of(url) == "0003"
        Ledger.open(url).close()
        assert router.refresh()
        assert router.decide("u")[:2] == (Side.V2, Reason.HASH)


def test_a_router_keeps_what_it_knew_when_a_later_version_locks_it_out(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Router(ledger=url, migration="orders", refresh=60) as router:
        assert router.decide("u").side is Side.V2
        later(url, reader="0098")
        assert router.refresh()
        assert router.decide("u")[:2] == (Side.V2, Reason.HASH)
        assert isinstance(router.trouble, NewerLedger)
        # Told by a thread of its own.
        end = time.monotonic() + 10
        while not caplog.records and time.monotonic() < end:
            time.sleep(0.01)
        assert [record.getMessage() for record in caplog.records] == [f"migration 'orders': {router.trouble}"]


def test_a_router_reads_on_when_a_later_version_says_that_it_can(url: str) -> None:
    with Router(ledger=url, migration="orders", refresh=60) as router:
        assert router.decide("u").side is Side.V2
        move(url, 0, "shadow")
        later(url, reader="0004")
        assert router.refresh()
        assert (router.decide("u").side, router.trouble) == (Side.V1, None)


def test_a_complete_migration_is_known_as_complete_to_an_application_that_starts_after_the_upgrade(url: str) -> None:
    downgrade(url, "0004")
    move(url, PPM, "complete")
    with Router(ledger=url, migration="orders") as router:
        assert router.decide("u")[:2] == (Side.V2, Reason.COMPLETE)


def test_who_holds_a_ledger_open_writes_nothing_into_what_a_later_version_made_of_it(url: str) -> None:
    with Ledger.open(url) as ledger:
        later(url, reader=HEAD)
        before = ledger.journal()
        with pytest.raises(ReadOnlyLedger):
            ledger.quarantine.add([Misfit("shop", "a.csv", 1, "no number", "x")], at=AT)
        with pytest.raises(ReadOnlyLedger):
            Ledger.open(url)
        assert ledger.journal() == before
        assert ledger.quarantine.rows() == ()
        sql(url, "DELETE FROM readable_from")
        with pytest.raises(NewerLedger):
            ledger.state("orders")


def test_who_opened_a_ledger_to_look_writes_nothing_into_an_older_one(url: str) -> None:
    downgrade(url, "0004")
    with Ledger.look(url) as ledger:
        with pytest.raises(OlderLedger):
            ledger.quarantine.add([Misfit("shop", "a.csv", 1, "no number", "x")], at=AT)
        assert (ledger.quarantine.rows(), ledger.verify_journal()) == ((), None)
    assert revision_of(url) == "0004"


# What an upgrade seals.


def old_rows(url: str) -> None:
    """Two rows of the quarantine as they were kept before there were seals."""
    downgrade(url, "0004")
    for number, state in enumerate(("waiting", "taken"), start=1):
        sql(
            url,
            "INSERT INTO quarantine (id, kind, source, place, row, reason, raw, state, found_at, changed_at) VALUES "
            f"('old{number}', 'input', 'shop', 'ä.csv', {number}, 'no \"number\"', 'x{chr(9)}1', '{state}', "
            "'2026-03-01T12:00:00.000000+00:00', NULL)",
        )


def test_rows_of_before_the_seals_are_sealed_by_the_upgrade_which_says_so(url: str) -> None:
    old_rows(url)
    with Ledger.look(url) as ledger:
        assert (ledger.verify_journal(), ledger.quarantine.waiting()) == (None, 1)

    with Ledger.open(url) as ledger:
        assert ledger.verify_journal() is None
        row = ledger.journal("orders")[-1].quarantine
        assert (row.change, row.rows, row.waiting, row.migration) == ("upgraded", 2, 1, "")
        assert row.who == "dualgauge (upgrade to revision 0005)"
        sql(url, "UPDATE quarantine SET state = 'skipped' WHERE id = 'old1'")
        found = ledger.verify_journal()
        assert found is not None
        assert (found.seq, found.problem) == (
            2, "row old1 of the quarantine (skipped, of 'shop') is not what was sealed: it was changed by hand"
        )  # fmt: skip


def test_a_revision_put_back_by_hand_takes_no_seal_off(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.quarantine.add([Misfit("shop", "a.csv", 1, "no number", "x")], at=AT)
        sql(url, "UPDATE quarantine SET state = 'skipped'", "UPDATE dualgauge_version SET version_num = '0004'")
        assert [row.state for row in ledger.quarantine.rows()] == [RowState.SKIPPED]
        assert ledger.verify_journal() is not None
