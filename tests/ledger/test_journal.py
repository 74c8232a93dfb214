"""Whoever changes the journal, or a migration behind its back, is found out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.ledger import journal
from dualgauge.ledger.chain import walk
from dualgauge.ledger.errors import BadJournalText
from dualgauge.ledger.journal import EvidenceEntry, JournalEntry, TamperedRow
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import Outcome, Position, sha256

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


def found_after(url: str, *statements: str) -> TamperedRow | None:
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


@pytest.fixture
def sealed_url(url: str) -> str:
    """The same ledger with three finished runs and one that is running; their seals are rows 6 to 8."""
    with Ledger.open(url) as ledger:
        for number, verdict in enumerate([Outcome.PASS, Outcome.FAIL, Outcome.PASS], start=1):
            run = f"r{number}"
            at = AT + timedelta(hours=number)
            ledger.start_evidence(
                run, kind=EvidenceKind.DIFF, name="orders", bound={"n": number}, started_at=at, position=Position(9),
                folder=f"reports/{run}",
            )  # fmt: skip
            ledger.finish_evidence(
                run, verdict=verdict, finished_at=at, summary={"rows": number}, migration="orders", who="ana"
            )
        ledger.start_evidence("r4", kind=EvidenceKind.DIFF, name="orders", bound={}, started_at=AT)
        assert ledger.verify_journal() is None
    return url


CHANGED = "is not what was sealed: its row was changed by hand"


@pytest.mark.parametrize(
    ("statements", "seq", "run", "problem"),
    [
        (["UPDATE evidence SET verdict = 'pass' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET position = 10 WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET bound = '{\"n\":3}' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET evidence_key = 'x' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET name = 'planes' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET kind = 'check' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET state = 'running' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET state = 'unsealed' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET started_at = finished_at || ' ' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET finished_at = '2035-01-01T00:00:00+00:00' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET summary = '{}' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET folder = 'reports/r1' WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (["UPDATE evidence SET folder = NULL WHERE run_id = 'r2'"], 7, "r2", CHANGED),
        (
            [
                "UPDATE evidence SET run_id = 'x' WHERE run_id = 'r1'",
                "UPDATE evidence SET run_id = 'r1' WHERE run_id = 'r3'",
                "UPDATE evidence SET run_id = 'r3' WHERE run_id = 'x'",
            ],
            6, "r1", CHANGED,
        ),
        (["DELETE FROM evidence WHERE run_id = 'r2'"], 7, "r2", "is gone from the ledger: it was removed by hand"),
        (
            ["UPDATE evidence SET state = 'finished', verdict = 'pass' WHERE run_id = 'r4'"], 0, "r4",
            "r4 is finished in the ledger and has no seal in the journal: it was put in, or its seal was removed",
        ),
        (["UPDATE evidence SET state = 'done' WHERE run_id = 'r4'"], 0, "r4", "evidence run r4 is done in the ledger"),
        (["DELETE FROM journal WHERE seq = 8"], 0, "r3", "has no seal in the journal"),
        (["DELETE FROM journal WHERE seq = 7"], 7, None, "row 7 is missing: row 8 stands in its place"),
        (
            ["UPDATE journal SET row = replace(row, '\"verdict\":\"fail\"', '\"verdict\":\"pass\"')"], 7, None,
            "row 7 was changed: its text does not",
        ),
    ],
)  # fmt: skip
def test_evidence_that_was_changed_by_hand_is_named(
    sealed_url: str, statements: list[str], seq: int, run: str | None, problem: str
) -> None:
    found = found_after(sealed_url, *statements)

    assert found is not None
    assert (found.seq, found.run) == (seq, run)
    assert problem in found.problem


def test_a_row_of_evidence_is_canonical_and_says_what_it_is() -> None:
    row = journal.evidence_row(
        EvidenceEntry("orders", "ana", AT, "r1", EvidenceKind.CHECK, "orders", Outcome.FAIL, "key", "seal"),
        seq=1, previous=journal.FIRST_PREVIOUS,
    )  # fmt: skip
    assert row.row == (
        '{"at":"2026-03-01T12:00:00.000000+00:00","evidence_key":"key","kind":"check","migration":"orders",'
        '"name":"orders","operation_id":"evidence:r1","row":"evidence","run":"r1","seal":"seal","seq":1,'
        '"verdict":"fail","who":"ana"}'
    )
    assert row.evidence == EvidenceEntry(
        "orders", "ana", AT, "r1", EvidenceKind.CHECK, "orders", Outcome.FAIL, "key", "seal"
    )
    assert walk([astuple(row)], []).problem is None


def test_a_forged_row_with_a_fitting_digest_breaks_the_next_one(url: str) -> None:
    with Ledger.open(url) as ledger:
        third = ledger.journal()[2]
    forged = third.row.replace("ana", "eve")
    found = found_after(
        url, f"UPDATE journal SET row = '{forged}', digest = '{journal.digest(third.previous, forged)}' WHERE seq = 3"
    )
    assert found == TamperedRow(4, "row 4 does not follow the row before it: a row was removed, inserted or moved")


def test_a_row_whose_text_tells_another_number_is_named(url: str) -> None:
    with Ledger.open(url) as ledger:
        fifth = ledger.journal()[4]
    forged = fifth.row.replace('"seq":5', '"seq":4')
    digest = journal.digest(fifth.previous, forged)
    found = found_after(url, f"UPDATE journal SET row = '{forged}', digest = '{digest}' WHERE seq = 5")
    assert found == TamperedRow(5, "row 5 was moved: its text is of row 4, operation 'op-5'")


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
    row = journal.move_row(entry('"new"\n\x01 é 😀'), seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
    assert row.row == (
        '{"at":"2026-03-01T12:00:00.000000+00:00","evidence":["run-1"],"from_share_ppm":0,"from_stage":"off",'
        '"migration":"orders","operation_id":"op-1","reason":"\\"new\\"\\n\\u0001 é 😀","revision":1,"rollout":"v2",'
        '"seq":1,"to_share_ppm":0,"to_stage":"backfill","verb":"replay","who":"ana"}'
    )
    assert row.digest == sha256("0" * 64 + row.row)


@given(reason=st.none() | st.text(), who=st.text(), share_ppm=st.integers(0, 1_000_000))
def test_an_entry_comes_back_from_its_row_as_it_was(reason: str | None, who: str, share_ppm: int) -> None:
    given_entry = entry(reason, share_ppm, who)
    row = journal.move_row(given_entry, seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
    assert row.entry == given_entry
    assert walk([astuple(row)]).problem is None


def test_a_text_without_utf8_form_is_refused_with_its_fields_name() -> None:
    with pytest.raises(BadJournalText) as caught:
        journal.move_row(entry("half a pair: \ud83d"), seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
    assert str(caught.value) == (
        "reason of the journal entry holds a character that has no UTF-8 form (a lone surrogate); "
        "nothing was written: give it in plain text"
    )


def test_a_number_that_json_cannot_hold_exactly_is_refused() -> None:
    with pytest.raises(
        BadJournalText, match="to_share_ppm of the journal entry is 9007199254740992, which JSON cannot hold"
    ):
        journal.move_row(entry(share_ppm=2**53), seq=1, revision=1, rollout="v2", previous=journal.FIRST_PREVIOUS)
