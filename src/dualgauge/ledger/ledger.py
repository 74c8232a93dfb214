"""The ledger: states, moves, evidence and log commits, each read or written in one transaction."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import select

from dualgauge.ledger import journal, journal_rows, quarantine_seal, routing
from dualgauge.ledger.access import Access, EmptyTables, prepared
from dualgauge.ledger.barriers import Barriers
from dualgauge.ledger.chain import walk
from dualgauge.ledger.database import Database
from dualgauge.ledger.errors import (
    GroundShifted,
    LogCommitDiffers,
    NotKept,
    OperationReused,
    RunConflict,
    StateChanged,
    UnknownRun,
)
from dualgauge.ledger.outbox.outbox import Outbox, write
from dualgauge.ledger.quarantine import Quarantine
from dualgauge.ledger.reads import Reads
from dualgauge.ledger.rows import run_of, state_of
from dualgauge.ledger.seal import gather, seal
from dualgauge.ledger.slots import Fenced, Slots
from dualgauge.ledger.tables import EVIDENCE, HEAD, LOG_LINK, MIGRATION
from dualgauge.ledger.throttle import Throttle
from dualgauge.ledger.upgrade import TIMEOUT, bring_up, look
from dualgauge.ledger.values import (
    EvidenceKind,
    EvidenceRun,
    LogCommit,
    MigrationState,
    RunState,
    evidence_key,
    time_text,
)
from dualgauge.model import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from sqlalchemy.engine import Connection

    from dualgauge.ledger.journal import JournalEntry, JournalRow, TamperedRow
    from dualgauge.ledger.outbox.values import Teller
    from dualgauge.ledger.seal import Evidence
    from dualgauge.ledger.slot_values import Claim
    from dualgauge.model import Outcome, Position

_MIGRATION = [MIGRATION.c[name] for name in ("name", "stage", "share_ppm", "rollout", "revision", "changed_at")]
"""A migration's row as the journal tells of it."""


class Ledger:
    """An open ledger. Safe to share between threads; each call is one transaction."""

    def __init__(self, access: Access, teller: Teller | None = None) -> None:
        self._access, self._teller = access, teller

    @classmethod
    def open(cls, url: str, *, create: bool = True, timeout: float = TIMEOUT) -> Self:
        """
        Open the ledger at a database URL to write; make it where there is none, upgrade it where it is behind.

        Args:
            url: SQLAlchemy's form. A relative SQLite path counts from the working folder (`resolve_url`).
            create: whether to make one where there is none.
            timeout: how long to wait for a server or for another writer, in seconds.

        Raises:
            BadLedgerUrl, NoLedger, NotALedger, NewerLedger: nothing was touched.
            LedgerBusy, LedgerError: the database could not be used.
        """
        return cls(prepared(Database(url, timeout=timeout), partial(bring_up, create=create)))

    @classmethod
    def look(cls, url: str, *, timeout: float = TIMEOUT) -> Self:
        """
        Open the ledger at a database URL to read it: nothing is made and nothing is upgraded.

        Whoever writes to it all the same is refused where it would have to be upgraded first.

        Raises:
            BadLedgerUrl, NoLedger, NotALedger: there is no ledger to look at.
            OlderLedger, NewerLedger: its revision is not one that this dualgauge reads.
            LedgerBusy, LedgerError: the database could not be used.
        """
        return cls(prepared(Database(url, timeout=timeout), look))

    @classmethod
    def nothing(cls) -> Self:
        """A ledger that is not there, to look at: it is empty, and keeps nothing. A dry run makes no ledger."""
        return cls(EmptyTables())

    def __enter__(self) -> Self:
        """Give the ledger itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of every connection."""
        self._access.close()

    @property
    def quarantine(self) -> Quarantine:
        """What does not fit, in the same database."""
        return Quarantine(self._access)

    def quarantine_of(self, migration: str, who: str) -> Quarantine:
        """The same, for a migration and by a name that the journal keeps with each change."""
        return Quarantine(self._access, migration, who)

    def barriers_of(self, migration: str) -> Barriers:
        """Where a tail is asked to hold a side."""
        return Barriers(self._access, migration)

    def throttle_of(self, migration: str) -> Throttle:
        """How fast a tail may go."""
        return Throttle(self._access, migration)

    def reads_of(self, migration: str) -> Reads:
        """What reads came to."""
        return Reads(self._access, migration)

    def slots_of(self, migration: str) -> Slots:
        """When schedules were due, and what came of it."""
        return Slots(self._access, migration, self._teller)

    def outbox_of(self, migration: str) -> Outbox:
        """What is told to people, and whether it arrived."""
        return Outbox(self._access, migration)

    def fenced(self, claim: Claim) -> Ledger:
        """The same for whoever runs a slot: once somebody else has it, nothing is written."""
        return Ledger(Fenced(self._access, claim), self._teller)

    def telling(self, teller: Teller) -> Ledger:
        """The same, with news of moves and of slots in the transactions that write them."""
        return Ledger(self._access, teller)

    def state(self, name: str) -> MigrationState:
        """A migration as it is now; one never seen is in stage `off` at revision 0."""
        with self._access.reading() as connection:
            return _state(connection, self._access.revision(connection), name)

    def applied(self, digest: str) -> str:
        """The text of a canary.yaml that was applied once, by its digest; empty where it is gone."""
        with self._access.reading() as connection:
            return routing.text_of(connection, digest)

    def move(
        self,
        expected: MigrationState,
        entry: JournalEntry,
        still: Callable[[tuple[int, str]], bool] | None = None,
        *,
        routed: MigrationState | None = None,
    ) -> MigrationState:
        """
        Move a migration from `expected` to what `entry` says, and write the entry: one compare-and-set, one row.

        An operation id that was written before gives the state that it made then, and nothing is written. `routed` is
        what the migration is to be routed by, where that changes: its `killed`, `canary` and `rollout` are kept.

        `still` is asked inside the transaction, with the journal's end, whether what the move rests on is still so.

        Raises:
            StateChanged: the migration is no longer at `expected`.
            GroundShifted: `still` said no; nothing was written.
            OperationReused: the operation id made another move.
            BadJournalText: the entry cannot be written in canonical form.
            ValueError: the entry does not start from `expected`. A mistake of the calling code.
        """
        origin = (entry.migration, entry.from_stage, entry.from_share_ppm)
        if origin != (expected.name, expected.stage, expected.share_ppm):
            message = f"the entry {entry!r} does not start from {expected!r}"
            raise ValueError(message)
        with self._access.writing() as connection:
            if done := journal_rows.operation(connection, entry.operation_id):
                now = _state(connection, HEAD, expected.name)
                return _same(done.entry, entry, replace(done.after, killed=now.killed, canary=now.canary))
            found = _state(connection, HEAD, expected.name)
            if _compared(found) != _compared(expected):
                raise StateChanged(expected, found)
            seq, previous = journal_rows.end(connection)
            if still is not None and not still((seq, previous)):
                raise GroundShifted(expected.name)
            by = routed or found
            if routed is not None:
                entry = replace(entry, evidence=(*entry.evidence, routing.was(routing.stored(connection, found.name))))
            row = journal.move_row(entry, seq=seq, revision=found.revision + 1, rollout=by.rollout, previous=previous)
            after = replace(row.after, killed=by.killed, canary=by.canary)
            _set(connection, after)
            if routed is not None:
                routing.write(connection, after, entry.verb)
            journal_rows.append(connection, row)
            if self._teller is not None:
                write(connection, entry.migration, self._teller.of_move(entry))
            return after

    def operation(self, operation_id: str) -> JournalRow | None:
        """The journal row that an operation wrote, or None."""
        with self._access.reading() as connection:
            return journal_rows.operation(connection, operation_id)

    def journal(self, migration: str | None = None) -> tuple[JournalRow, ...]:
        """
        The journal, oldest row first, moves, evidence and the quarantine's changes; of one migration, or whole.

        A row that cannot be read any more may be of any migration, and one of an upgrade is of all: they are left out
        of none.
        """
        with self._access.reading() as connection:
            rows = [journal.JournalRow(*row) for row in journal_rows.all_rows(connection)]
        return tuple(row for row in rows if migration is None or row.unreadable or row.migration in ("", migration))

    def verify_journal(self) -> TamperedRow | None:
        """
        What was done by hand, first found; None if all is well.

        A row of the journal that was tampered with, a migration that disagrees with the journal, or a run of evidence
        or row of the quarantine that is not what was sealed, has no seal, or is gone.
        """
        return self.evidence().first_bad

    def evidence(self, migration: str | None = None) -> Evidence:
        """
        All runs, held to their seals, in one snapshot; with what is wrong with the journal, if anything is.

        With `migration` the sealed runs of that one, and those of others apart; a run without a seal does not say whose
        it is.
        """
        with self._access.reading() as connection:
            walked = walk(journal_rows.all_rows(connection), connection.execute(select(*_MIGRATION)).all())
            revision = self._access.revision(connection)
            problem = walked.problem or routing.verify(connection, revision, walked.routing)
            found = gather(walked.seals, journal_rows.plain(connection.execute(select(EVIDENCE))), problem)
            if problem is None:
                quarantine = quarantine_seal.verify(connection, revision, walked.quarantine)
                found = replace(found, quarantine=quarantine, end=journal_rows.end(connection))
        if migration is None:
            return found
        mine = tuple(one for one in found.sealed if one.entry.migration == migration)
        others = tuple(one for one in found.sealed if one.entry.migration != migration)
        return replace(found, sealed=mine, others=others)

    def start_evidence(
        self,
        run_id: str,
        *,
        kind: EvidenceKind,
        name: str,
        bound: Mapping[str, object],
        started_at: datetime,
        position: Position | None = None,
        folder: str | None = None,
    ) -> EvidenceRun:
        """
        Write that a run began. A run that is still running and is bound to the same may be started again: it resumes.

        Raises:
            RunConflict: the id is of a finished run, or of one bound to something else.
        """
        bound_text, wanted = canonical_json(bound), (kind, name, evidence_key(bound))
        with self._access.writing() as connection:
            if found := _run(connection, run_id):
                if found.state is not RunState.RUNNING:
                    raise RunConflict(run_id, "is finished")
                if (found.kind, found.name, found.evidence_key) != wanted:
                    raise RunConflict(run_id, f"is of {found.kind} {found.name!r} and bound to something else")
                return found
            connection.execute(
                EVIDENCE.insert().values(
                    run_id=run_id,
                    kind=kind.value,
                    name=name,
                    evidence_key=wanted[-1],
                    bound=bound_text,
                    position=position,
                    state=RunState.RUNNING.value,
                    started_at=time_text(started_at),
                    folder=folder,
                )
            )
            begun = _run(connection, run_id)
            if begun is None or (begun.kind, begun.name, begun.evidence_key, begun.state) != (
                *wanted,
                RunState.RUNNING,
            ):
                raise NotKept(f"evidence run {run_id}")
            return begun

    def finish_evidence(
        self,
        run_id: str,
        *,
        verdict: Outcome,
        finished_at: datetime,
        summary: Mapping[str, object],
        migration: str,
        who: str,
    ) -> EvidenceRun:
        """
        Write a run's verdict, and its seal in the journal, in one transaction.

        The same verdict and summary again change nothing: the first time stands.

        Args:
            run_id: the run, as it was started.
            verdict: what it found.
            finished_at: when.
            summary: its counts, and `files`: the SHA-256 of each file in its folder, by name.
            migration: whose evidence it is.
            who: who ran it.

        Raises:
            UnknownRun: no run has this id.
            RunConflict: it is finished with another verdict or summary.
            BadJournalText: a text has no canonical form.
        """
        summary_text = canonical_json(summary)
        with self._access.writing() as connection:
            found = _known_run(connection, run_id)
            if found.state is not RunState.RUNNING:
                if found.verdict != verdict or canonical_json(found.summary) != summary_text:
                    raise RunConflict(run_id, f"is finished already, with verdict {found.verdict}")
                return found
            connection.execute(
                EVIDENCE.update()
                .where(EVIDENCE.c.run_id == run_id)
                .values(
                    verdict=verdict.value,
                    state=RunState.FINISHED.value,
                    finished_at=time_text(finished_at),
                    summary=summary_text,
                )
            )
            row = connection.execute(select(EVIDENCE).where(EVIDENCE.c.run_id == run_id)).one()
            if (row.verdict, row.state, row.summary) != (verdict.value, RunState.FINISHED.value, summary_text):
                raise NotKept(f"evidence run {run_id}")
            seq, previous = journal_rows.end(connection)
            entry = journal.EvidenceEntry(
                migration=migration, who=who, at=finished_at, run=run_id, kind=found.kind, name=found.name,
                verdict=verdict, evidence_key=found.evidence_key, seal=seal(row),
            )  # fmt: skip
            journal_rows.append(connection, journal.evidence_row(entry, seq=seq, previous=previous))
            return _known_run(connection, run_id)

    def log_commits(self) -> tuple[LogCommit, ...]:
        """The mirror of the log's digest chain, in its order."""
        with self._access.reading() as connection:
            rows = connection.execute(select(LOG_LINK).order_by(LOG_LINK.c.at, LOG_LINK.c.step)).mappings()
            return tuple(_link(**row) for row in rows)

    def add_log_commits(self, commits: Sequence[LogCommit]) -> None:
        """
        Keep links of the log, all or none. The same again changes nothing.

        Raises:
            LogCommitDiffers: another link is kept in the place of one.
        """
        with self._access.writing() as connection:
            for commit in commits:
                at, step = commit.place
                wanted = (LOG_LINK.c.at == at, LOG_LINK.c.step == step)
                found = connection.execute(select(LOG_LINK).where(*wanted)).mappings().first()
                if found is None:
                    connection.execute(
                        LOG_LINK.insert().values(
                            at=at, step=step, first=commit.first, last=commit.last, rows=commit.rows,
                            digest=commit.digest, chain=commit.chain,
                        )
                    )  # fmt: skip
                elif _link(**found) != _link(**{**asdict(commit), "at": at, "step": step}):
                    raise LogCommitDiffers(commit.last, found["chain"], commit.chain)


def _link(**row: Any) -> LogCommit:  # noqa: ANN401  (a row of the table)
    """A kept link; that of an append does not repeat where the log stood."""
    return LogCommit(**{**row, "at": row["at"] if row["step"] else 0})


def _state(connection: Connection, revision: str, name: str) -> MigrationState:
    row = connection.execute(select(MIGRATION).where(MIGRATION.c.name == name)).mappings().first()
    killed, canary = routing.read(connection, revision, name)
    return replace(state_of(row) if row else MigrationState(name), killed=killed, canary=canary)


def _compared(state: MigrationState) -> tuple[str, int, str, int]:
    """What a compare-and-set compares: all of a state but its time."""
    return state.stage, state.share_ppm, state.rollout, state.revision


def _set(connection: Connection, after: MigrationState) -> None:
    values = {
        "stage": after.stage,
        "share_ppm": after.share_ppm,
        "rollout": after.rollout,
        "revision": after.revision,
        "changed_at": after.changed_at and time_text(after.changed_at),
    }
    # The write lock is held, so what was read is still so: no second condition is needed here.
    mine = MIGRATION.c.name == after.name
    if connection.execute(select(MIGRATION.c.name).where(mine)).first() is None:
        connection.execute(MIGRATION.insert().values(name=after.name, **values))
    else:
        connection.execute(MIGRATION.update().where(mine).values(**values))


def _same(done: JournalEntry, wanted: JournalEntry, after: MigrationState) -> MigrationState:
    # Who, when, from where and why may differ when a call is repeated; what it does may not.
    # Of two files, each is an operation of its own.
    if done.did != wanted.did or (
        wanted.verb == routing.RoutingVerb.APPLY and done.evidence[:1] != wanted.evidence[:1]
    ):
        raise OperationReused(wanted.operation_id, done.did, wanted.did)
    return after


def _run(connection: Connection, run_id: str) -> EvidenceRun | None:
    row = connection.execute(select(EVIDENCE).where(EVIDENCE.c.run_id == run_id)).mappings().first()
    return run_of(row) if row else None


def _known_run(connection: Connection, run_id: str) -> EvidenceRun:
    if found := _run(connection, run_id):
        return found
    raise UnknownRun(run_id)
