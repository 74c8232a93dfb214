"""Whatever is changed in the ledger by hand is found, wherever it stands; and the quick digest is the slow one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.ledger import quarantine_seal
from dualgauge.ledger import seal as seal_module
from dualgauge.ledger.chain import sealed_run
from dualgauge.ledger.errors import LedgerError, NotWaiting, TamperedQuarantine
from dualgauge.ledger.journal import (
    FIRST_PREVIOUS,
    EvidenceEntry,
    JournalEntry,
    QuarantineEntry,
    evidence_of,
    evidence_row,
    move_row,
    quarantine_row,
)
from dualgauge.ledger.ledger import Ledger
from dualgauge.ledger.misfit import Misfit, RowState, Settled
from dualgauge.ledger.routing import evidence_for
from dualgauge.ledger.tables import (
    CANARY,
    EVIDENCE,
    JOURNAL,
    METADATA,
    MIGRATION,
    QUARANTINE,
    QUARANTINE_SEAL,
    ROUTING,
)
from dualgauge.ledger.values import EvidenceKind
from dualgauge.model import Outcome, Position, canonical_json, sha256
from support.ledgers import AT, sql

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Table

ROWS = 5

ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=20), st.decimals(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["", "\x00", "\x1f\x7f\x80", '"\\/\b\f\n\r\t', "\u2028\u2029\ufeff", "é😀", "\ud7ff\ue000"]),
)  # fmt: skip
"""What a column may hold: what dualgauge writes, and what other hands can put into SQLite."""


def slow(table: Table, row: tuple[object, ...]) -> str:
    """A row's digest as it has always been made: over the canonical JSON of a dictionary."""
    return sha256(canonical_json([1, dict(zip(table.columns.keys(), row, strict=True))]))


@pytest.mark.parametrize(
    ("table", "quick"),
    [(EVIDENCE, seal_module.seal), (QUARANTINE, quarantine_seal.seal)],
    ids=["evidence", "quarantine"],
)
@given(data=st.data())
def test_a_row_has_the_digest_that_its_canonical_json_gives(table: Table, quick: Any, data: st.DataObject) -> None:
    row = data.draw(st.tuples(*[ANYTHING] * len(table.columns)))
    assert quick(row) == slow(table, row)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -0.0,
        1e22,
        5e-324,
        2**53,
        -(2**70),
        Decimal("1.10"),
        True,
        None,
        b"\xff",
        "\x00\u2028",
    ],
)
def test_a_digest_of_a_row_is_canonical_at_every_edge(value: object) -> None:
    row = tuple([value] * len(EVIDENCE.columns))
    assert seal_module.seal(row) == slow(EVIDENCE, row)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    texts=st.tuples(*[TEXT] * 6), kind=st.sampled_from(EvidenceKind), verdict=st.sampled_from(Outcome),
    at=st.datetimes(timezones=st.just(UTC)), seq=st.integers(1, 2**53 - 1),
)  # fmt: skip
def test_a_row_of_evidence_read_quickly_is_the_one_that_its_json_gives(
    texts: tuple[str, ...], kind: EvidenceKind, verdict: Outcome, at: datetime, seq: int
) -> None:
    migration, who, run, name, key, seal = texts
    entry = EvidenceEntry(migration, who, at, run, kind, name, verdict, key, seal)
    row = evidence_row(entry, seq=seq, previous=FIRST_PREVIOUS)

    quick, fields = sealed_run(row.row), json.loads(row.row)

    assert evidence_of(fields) == row.evidence == entry
    assert quick in (None, ((seq, row.operation_id), entry))
    assert (quick is None) == ("\\" in row.row)
    assert fields == {**fields, "seq": seq, "operation_id": row.operation_id}


@pytest.mark.parametrize("entry_of", ["move", "quarantine"])
def test_a_row_of_another_kind_is_not_read_as_evidence(entry_of: str) -> None:
    move = JournalEntry("m", "v", "ana", AT, "off", 0, "canary", 1, "op", '","row":"evidence","run":"')
    made = (
        move_row(move, seq=1, revision=1, rollout="v2", previous=FIRST_PREVIOUS)
        if entry_of == "move"
        else quarantine_row(QuarantineEntry("m", "ana", AT, "1 added", 1, 1, "s"), seq=1, previous=FIRST_PREVIOUS)
    )
    assert sealed_run(made.row) is None


def test_a_run_sealed_by_an_earlier_version_has_the_same_seal() -> None:
    row = (
        "r1", "diff", "orders", "k" * 64, '{"v1":"ä"}', 9, "pass", "finished", "2026-03-01T12:00:00.000000+00:00",
        "2026-03-01T12:00:01.000000+00:00", '{"rows":1}', None,
    )  # fmt: skip
    assert seal_module.seal(row) == "9c48cb41aca3174e21f95b1f0141ed3d813f921b315ae95492eb3a47e5bd2cc0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with five rows in each table whose every column the journal vouches for."""
    file = tmp_path_factory.mktemp("whole") / "ledger.db"
    with Ledger.open(f"sqlite:///{file}") as ledger:
        for number in range(1, ROWS + 1):
            name, at = f"m{number}", AT + timedelta(hours=number)
            ledger.move(
                ledger.state(name), JournalEntry(name, "v", "ana", at, "off", 0, "canary", number, f"op-{number}")
            )
            routed = replace(ledger.state(name), killed=number % 2 == 0, canary=f'{{"n":{number}}}')
            here = ("canary", number) * 2
            for verb, evidence in (("apply", evidence_for(routed.canary)), *([("kill", ())] if routed.killed else [])):
                entry = JournalEntry(name, verb, "ana", at, *here, f"{verb}-{number}", None, evidence)
                ledger.move(ledger.state(name), entry, routed=replace(routed, killed=verb == "kill"))
            run = f"r{number}"
            ledger.start_evidence(
                run, kind=EvidenceKind.DIFF, name=name, bound={"n": number}, started_at=at, position=Position(9),
                folder=f"reports/{run}",
            )  # fmt: skip
            ledger.finish_evidence(
                run, verdict=Outcome.PASS, finished_at=at, summary={"rows": number}, migration=name, who="ana"
            )
        quarantine = ledger.quarantine_of("m1", "ana")
        misfits = [
            Misfit("shop", "ä.csv", n, "no number", f"{n},x", n + 1, {"format": "csv"}) for n in range(1, ROWS + 1)
        ]
        quarantine.add(misfits, at=AT)
        quarantine.settle([Settled(one.id, RowState.SKIPPED, "no number") for one in misfits], at=AT)
        assert ledger.verify_journal() is None
    return file


TABLES = {
    "migration": MIGRATION, "journal": JOURNAL, "evidence": EVIDENCE, "quarantine": QUARANTINE,
    "quarantine_seal": QUARANTINE_SEAL, "routing": ROUTING, "canary": CANARY,
}  # fmt: skip

CELLS = [(name, column.name) for name, table in TABLES.items() for column in table.columns]

OTHERS: dict[str, list[object]] = {"text": ["x", "", 7, b"x", 1.5], "number": [98, -1, "x", 2.5, b"x"]}


def test_every_table_is_vouched_for_by_something() -> None:
    # The copy of the log's chain is held to the log by `log verify`; who may read decides no gate, a barrier holds
    # a tail for ten seconds at most, and a throttle makes it slow, which the gate `lag` sees.
    others = {"log_link", "readable_from", "barrier", "throttle"}
    # What reads came to is written by applications, and decides no gate.
    reads = {"read_basis", "read_count", "read_key", "read_pair", "read_sample", "read_writer"}
    # When work was due, and what came of it: a gate looks at the evidence that it made.
    slots = {"schedule", "slot"}
    # What was told: it moves nothing.
    outbox = {"subject", "notice", "delivery", "progress"}
    assert TABLES.keys() | others | reads | slots | outbox == set(METADATA.tables)


@pytest.mark.parametrize("at", [0, ROWS // 2, ROWS - 1], ids=["first", "middle", "last"])
@pytest.mark.parametrize(("table", "column"), CELLS, ids=str)
def test_a_change_of_any_column_of_any_row_is_found(
    table: str, column: str, at: int, whole: Path, tmp_path: Path
) -> None:
    keys = [one.name for one in TABLES[table].primary_key]
    with closing(sqlite3.connect(whole)) as before:
        rows = before.execute(f"SELECT {keys[0]}, {column} FROM {table} ORDER BY rowid").fetchall()
    key, present = rows[-1 if at == ROWS - 1 else at]
    kind = "number" if isinstance(present, int) else "text"
    nullable = TABLES[table].columns[column].nullable
    for other in OTHERS[kind] + ([None] if nullable and present is not None else []):
        file = tmp_path / "ledger.db"
        shutil.copy(whole, file)
        with closing(sqlite3.connect(file)) as hand, hand:
            hand.execute(f"UPDATE {table} SET {column} = ? WHERE {keys[0]} = ?", (other, key))
            assert hand.execute(f"SELECT count(*) FROM {table}").fetchone() == (len(rows),)
        with Ledger.look(f"sqlite:///{file}") as ledger:
            assert ledger.verify_journal() is not None, (table, column, other)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("at", [0, ROWS // 2, ROWS - 1], ids=["first", "middle", "last"])
def test_a_row_that_was_removed_is_found(table: str, at: int, whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    shutil.copy(whole, file)
    with closing(sqlite3.connect(file)) as hand, hand:
        ids = [one for (one,) in hand.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
        hand.execute(f"DELETE FROM {table} WHERE rowid = ?", (ids[-1 if at == ROWS - 1 else at],))
    with Ledger.look(f"sqlite:///{file}") as ledger:
        assert ledger.verify_journal() is not None


# The quarantine.


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger of either kind, whose quarantine has three rows that wait."""
    found = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        found = request.getfixturevalue("postgres_url")
    with Ledger.open(found) as ledger:
        ledger.quarantine_of("orders", "ana").add([misfit(number) for number in (1, 2, 3)], at=AT)
    return found


def misfit(number: int) -> Misfit:
    return Misfit("shop", "a.csv", number, "no number", f"{number},x")


def short(number: int) -> str:
    return misfit(number).id[:12]


def test_each_change_is_a_row_of_the_journal(url: str) -> None:
    with Ledger.open(url) as ledger:
        quarantine = ledger.quarantine_of("orders", "bob")
        assert quarantine.add([misfit(1), misfit(2)], at=AT) == 2
        quarantine.settle(
            [Settled(misfit(1).id, RowState.TAKEN, "fits"), Settled(misfit(2).id, RowState.WAITING, "still none")],
            at=AT,
        )
        quarantine.settle([Settled(misfit(3).id, RowState.SKIPPED, "let be")], at=AT)

        rows = [row.quarantine for row in ledger.journal("orders")]
        assert [(one.who, one.change, one.rows, one.waiting) for one in rows] == [
            ("ana", "3 added", 3, 3), ("bob", "1 retried, 1 taken", 3, 2), ("bob", "1 skipped", 3, 1),
        ]  # fmt: skip
        assert (ledger.journal("others"), ledger.verify_journal()) == ((), None)


COLUMNS = ", ".join(f'"{one.name}"' for one in QUARANTINE.columns)

PUT_IN = (
    COLUMNS.replace('"id"', "'put-in'").replace('"state"', "'taken'"),
    "row put-in of the quarantine (taken, of 'shop') has no seal: it was put in, or its seal was removed, by hand",
)

UNTRUE = "the quarantine's seals are not what row 1 of the journal left: they were changed by hand"


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (
            [f"UPDATE quarantine SET state = 'skipped' WHERE id = '{misfit(2).id}'"],
            f"row {short(2)} of the quarantine (skipped, of 'shop') is not what was sealed: it was changed by hand",
        ),
        (
            [f"DELETE FROM quarantine WHERE id = '{misfit(2).id}'"],
            f"row {short(2)} of the quarantine is gone: it was removed by hand",
        ),
        (["DELETE FROM quarantine"], "is gone: it was removed by hand"),
        (
            [
                f"INSERT INTO quarantine ({COLUMNS}) SELECT {PUT_IN[0]} FROM quarantine WHERE id = '{misfit(1).id}'",
            ],
            PUT_IN[1],
        ),
        (["DELETE FROM quarantine_seal"], "has no seal: it was put in, or its seal was removed, by hand"),
        ([f"DELETE FROM {table} WHERE id = '{misfit(2).id}'" for table in ("quarantine", "quarantine_seal")], UNTRUE),
        (["DELETE FROM quarantine", "DELETE FROM quarantine_seal"], UNTRUE),
    ],
)
def test_what_was_done_to_the_quarantine_by_hand_is_named(statements: list[str], problem: str, url: str) -> None:
    sql(url, *statements)
    with Ledger.look(url) as ledger:
        found = ledger.verify_journal()
    assert found is not None
    assert problem in found.problem
    assert found.seq == 1


def test_a_seal_made_by_hand_for_a_row_changed_by_hand_is_found(url: str) -> None:
    sql(url, "UPDATE quarantine SET state = 'skipped'")
    for row in sql(url, f"SELECT {COLUMNS} FROM quarantine"):
        sql(url, f"UPDATE quarantine_seal SET seal = '{quarantine_seal.seal(row)}' WHERE id = '{row[0]}'")
    with Ledger.open(url) as ledger:
        found = ledger.verify_journal()
        assert (found and found.problem) == UNTRUE
        # Nor does the next change make it good.
        with pytest.raises(TamperedQuarantine) as caught:
            ledger.quarantine.add([misfit(4)], at=AT)
        assert str(caught.value) == (
            f"{UNTRUE}; nothing was changed: put back what was there, or, for a row, delete it and import its source "
            "again after `dualgauge log forget`"
        )
        assert caught.value.exit_code == 5
        assert len(ledger.quarantine.rows()) == 3


def test_a_change_of_other_rows_makes_nothing_good(url: str) -> None:
    sql(url, f"UPDATE quarantine SET state = 'skipped' WHERE id = '{misfit(2).id}'")
    with Ledger.open(url) as ledger:
        ledger.quarantine.add([misfit(4)], at=AT)
        ledger.quarantine.settle([Settled(misfit(3).id, RowState.SKIPPED, "let be")], at=AT)
        found = ledger.verify_journal()
        assert found is not None
        assert found.problem.startswith(f"row {short(2)} of the quarantine (skipped")
        with pytest.raises(NotWaiting):
            ledger.quarantine.chosen([misfit(2).id])


def test_a_row_whose_text_was_changed_by_hand_is_neither_retried_nor_settled(url: str) -> None:
    sql(url, f"UPDATE quarantine SET raw = '2,2' WHERE id = '{misfit(2).id}'")
    with Ledger.open(url) as ledger:
        for ids in ((), (misfit(2).id,)):
            with pytest.raises(TamperedQuarantine, match="is not what was sealed: it was changed by hand"):
                ledger.quarantine.chosen(ids)
        with pytest.raises(TamperedQuarantine):
            ledger.quarantine.settle([Settled(misfit(2).id, RowState.TAKEN, "fits")], at=AT)
        assert ledger.quarantine.chosen([misfit(1).id])


def test_a_row_that_was_removed_and_is_found_again_is_whole_again(url: str) -> None:
    sql(url, f"DELETE FROM quarantine WHERE id = '{misfit(2).id}'")
    with Ledger.open(url) as ledger:
        assert ledger.verify_journal() is not None
        assert ledger.quarantine.add([misfit(2)], at=AT + timedelta(days=1)) == 1
        assert ledger.verify_journal() is None


@pytest.mark.parametrize(("table", "column"), [("evidence", "summary"), ("journal", "row"), ("quarantine", "raw")])
def test_a_text_that_is_no_utf_8_is_told_as_a_fault_of_the_ledger(tmp_path: Path, table: str, column: str) -> None:
    # Only SQLite keeps such a text.
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger.open(url) as ledger:
        ledger.start_evidence("r1", kind=EvidenceKind.DIFF, name="orders", bound={}, started_at=AT)
        ledger.quarantine.add([misfit(1)], at=AT)
    sql(url, f"UPDATE {table} SET {column} = CAST(X'ff22' AS TEXT)")

    with Ledger.open(url) as ledger, pytest.raises(LedgerError, match="Could not decode to UTF-8"):
        ledger.verify_journal()
