"""Whoever changes the journal, or a migration behind its back, is found out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.ledger import journal
from dualgauge.ledger.errors import BadJournalText
from dualgauge.ledger.journal import BadRow, JournalEntry
from dualgauge.ledger.ledger import Ledger
from dualgauge.model import sha256

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger of two migrations, with five rows."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger.open(url) as ledger:
        for number, name in enumerate(["orders", "planes", "orders", "orders", "planes"], start=1):
            state = ledger.state(name)
            at = AT + timedelta(minutes=number)
            ledger.move(
                state,
                JournalEntry(
                    name, "share_some", "ana", at, state.stage, state.share_ppm, "canary", number, f"op-{number}"
                ),
            )
        assert ledger.verify_journal() is None
    return url


def found_after(url: str, *statements: str) -> BadRow | None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        for sql in statements:
            connection.execute(sql)
    with Ledger.open(url) as ledger:
        return ledger.verify_journal()


@pytest.mark.parametrize(
    ("statements", "seq", "problem"),
    [
        (
            ["UPDATE journal SET row = replace(row, 'ana', 'eve') WHERE seq = 3"],
            3,
            "row 3 was changed: its text does not",
        ),
        (
            ["UPDATE journal SET digest = replace(digest, substr(digest, 1, 1), 'x') WHERE seq = 3"],
            3,
            "row 3 was changed",
        ),
        (["UPDATE journal SET previous = digest WHERE seq = 3"], 3, "row 3 was changed"),
        (["DELETE FROM journal WHERE seq = 1"], 1, "row 1 is missing: row 2 stands in its place"),
        (["DELETE FROM journal WHERE seq = 3"], 3, "row 3 is missing: row 4 stands in its place"),
        (
            ["DELETE FROM journal WHERE seq = 3", "UPDATE journal SET seq = seq - 1 WHERE seq > 3"],
            3,
            "row 3 does not follow the row before it: a row was removed, inserted or moved",
        ),
        (
            [
                "UPDATE journal SET seq = 99 WHERE seq = 2",
                "UPDATE journal SET seq = 2 WHERE seq = 3",
                "UPDATE journal SET seq = 3 WHERE seq = 99",
            ],
            2,
            "row 2 does not follow the row before it",
        ),
        (["UPDATE journal SET seq = 50 WHERE seq = 5"], 5, "row 5 is missing: row 50 stands in its place"),
        (["UPDATE journal SET seq = 0 WHERE seq = 1"], 1, "row 1 is missing: row 0 stands in its place"),
        (
            ["UPDATE journal SET operation_id = 'op-x' WHERE seq = 4"],
            4,
            "row 4 was moved: its text is of row 4, operation 'op-4'",
        ),
        (
            ["DELETE FROM journal WHERE seq = 5"],
            2,
            (
                "migration 'planes' is in stage canary with 0.0005 % (revision 2, rollout v2, "
                "2026-03-01 12:05:00+00:00), and the journal left it in stage canary with 0.0002 % (revision 1,"
            ),
        ),
        (
            ["UPDATE migration SET share_ppm = 1000000 WHERE name = 'orders'"],
            4,
            "migration 'orders' is in stage canary with 100 %",
        ),
        (["UPDATE migration SET rollout = 'v3' WHERE name = 'orders'"], 4, "migration 'orders' is in stage canary"),
        (
            ["DELETE FROM migration WHERE name = 'orders'"],
            4,
            "migration 'orders' is no longer there, and the journal left it",
        ),
        (
            ["INSERT INTO migration VALUES ('ghosts', 'live', 1000000, 'v2', 7, '2026-03-01T12:00:00.000000+00:00')"],
            0,
            "migration 'ghosts' is in stage live with 100 %",
        ),
    ],
)
def test_what_was_done_by_hand_is_found_where_it_was_done(
    url: str, statements: list[str], seq: int, problem: str
) -> None:
    found = found_after(url, *statements)
    assert found is not None
    assert found.seq == seq
    assert problem in found.problem


def test_a_forged_row_with_a_fitting_digest_breaks_the_next_one(url: str) -> None:
    with Ledger.open(url) as ledger:
        third = ledger.journal()[2]
    forged = third.row.replace("ana", "eve")
    found = found_after(
        url, f"UPDATE journal SET row = '{forged}', digest = '{journal.digest(third.previous, forged)}' WHERE seq = 3"
    )
    assert found == BadRow(4, "row 4 does not follow the row before it: a row was removed, inserted or moved")


def test_a_row_whose_text_tells_another_number_is_named(url: str) -> None:
    with Ledger.open(url) as ledger:
        fifth = ledger.journal()[4]
    forged = fifth.row.replace('"seq":5', '"seq":4')
    digest = journal.digest(fifth.previous, forged)
    found = found_after(url, f"UPDATE journal SET row = '{forged}', digest = '{digest}' WHERE seq = 5")
    assert found == BadRow(5, "row 5 was moved: its text is of row 4, operation 'op-5'")


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"seq": 5}'])
def test_a_row_that_is_no_entry_is_named(url: str, text: str) -> None:
    with Ledger.open(url) as ledger:
        digest = journal.digest(ledger.journal()[4].previous, text)
    found = found_after(url, f"UPDATE journal SET row = '{text}', digest = '{digest}' WHERE seq = 5")
    assert found is not None
    assert found.seq == 5
    assert found.problem.startswith("row 5 cannot be read as a journal entry")


def entry(reason: str | None = None, share_ppm: int = 0, who: str = "ana") -> JournalEntry:
    return JournalEntry("orders", "replay", who, AT, "off", 0, "backfill", share_ppm, "op-1", reason, ("run-1",))


def test_the_first_row_is_chained_to_64_zeros_and_its_text_is_canonical() -> None:
    row = journal.seal(entry('"new"\n\x01 é 😀'), seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
    assert row.row == (
        '{"at":"2026-03-01T12:00:00.000000+00:00","evidence":["run-1"],"from_share_ppm":0,"from_stage":"off",'
        '"migration":"orders","operation_id":"op-1","reason":"\\"new\\"\\n\\u0001 é 😀","revision":1,"rollout":"v2",'
        '"seq":1,"to_share_ppm":0,"to_stage":"backfill","verb":"replay","who":"ana"}'
    )
    assert row.digest == sha256("0" * 64 + row.row)


@given(reason=st.none() | st.text(), who=st.text(), share_ppm=st.integers(0, 1_000_000))
def test_an_entry_comes_back_from_its_row_as_it_was(reason: str | None, who: str, share_ppm: int) -> None:
    given_entry = entry(reason, share_ppm, who)
    row = journal.seal(given_entry, seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
    assert row.entry == given_entry
    assert journal.verify([row]) is None


def test_a_text_without_utf8_form_is_refused_with_its_fields_name() -> None:
    with pytest.raises(BadJournalText) as caught:
        journal.seal(entry("half a pair: \ud83d"), seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
    assert str(caught.value) == (
        "reason of the journal entry holds a character that has no UTF-8 form (a lone surrogate); "
        "nothing was written: give it in plain text"
    )


def test_a_number_that_json_cannot_hold_exactly_is_refused() -> None:
    with pytest.raises(
        BadJournalText, match="to_share_ppm of the journal entry is 9007199254740992, which JSON cannot hold"
    ):
        journal.seal(entry(share_ppm=2**53), seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
