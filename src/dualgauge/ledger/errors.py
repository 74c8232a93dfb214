"""What the ledger may refuse. No sentence ever holds a password: URLs arrive here with it hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.errors import ConflictError, DualgaugeError, UsageError
from dualgauge.ledger.slot_values import slot_text
from dualgauge.ledger.values import percent_text
from dualgauge.model import NextStep, listed, nearest
from dualgauge_router.ledger_errors import (
    UNREADABLE,
    BadLedgerUrl,
    LedgerBusy,
    LedgerError,
    LedgerForked,
    LedgerSilent,
    NewerLedger,
    NoLedger,
    NotALedger,
    OlderLedger,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dualgauge.ledger.slot_values import Slot
    from dualgauge.ledger.values import MigrationState

__all__ = [
    "UNREADABLE",
    "BadJournalText",
    "BadLedgerUrl",
    "BrokenRun",
    "ClaimLost",
    "GroundShifted",
    "LedgerBusy",
    "LedgerError",
    "LedgerForked",
    "LedgerSilent",
    "LogCommitDiffers",
    "NewerLedger",
    "NoLedger",
    "NoSlot",
    "NotALedger",
    "NotKept",
    "NotWaiting",
    "OlderLedger",
    "OperationReused",
    "ReadOnlyLedger",
    "RunConflict",
    "SlotHeld",
    "StateChanged",
    "TamperedQuarantine",
    "UnknownRow",
    "UnknownRun",
    "WhichRow",
]


class NotKept(DualgaugeError):
    """The database did something else with a row than to keep it. `what` is the row, in words."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"the ledger did not keep {what} as it was written: a trigger or a rule of somebody's own changes what is "
            "written to it; nothing was written: remove that, then run this again"
        )


class ReadOnlyLedger(NewerLedger):
    """The ledger was upgraded by a later dualgauge, in a way that this one can still read and must not write."""

    _limit = ": it can read this ledger, and must not write it"


class GroundShifted(ConflictError):
    """What a move rests on changed again and again between the look at it and the move; nothing was written."""

    def __init__(self, migration: str) -> None:
        self.migration = migration
        super().__init__(
            f"evidence or builds of {migration!r} changed while its gates were looked at; nothing was written: "
            "let running diffs, checks and replays end, and run the command again",
            next_steps=(NextStep("dualgauge status", "see what the migration is now"),),
        )


class StateChanged(ConflictError):
    """A move started from a state that is no longer there; nothing was written."""

    def __init__(self, expected: MigrationState, found: MigrationState) -> None:
        self.expected, self.found = expected, found
        when = f" since {found.changed_at.isoformat(timespec='seconds')}" if found.changed_at else ""
        super().__init__(
            f"migration {expected.name!r} was changed meanwhile: it is now in stage {found.stage} with "
            f"{percent_text(found.share_ppm)} % of reads on v2 (revision {found.revision}{when}), "
            f"not in stage {expected.stage} with {percent_text(expected.share_ppm)} % (revision {expected.revision}); "
            "nothing was written: look at `dualgauge status` and decide again",
            next_steps=(NextStep("dualgauge status", "see what the migration is now"),),
        )


class OperationReused(ConflictError):
    """An operation id came again with another content."""

    def __init__(self, operation_id: str, did: str, wanted: str) -> None:
        self.operation_id, self.did, self.wanted = operation_id, did, wanted
        super().__init__(
            f"operation {operation_id!r} was used before, to {did}, and now asks to {wanted}; "
            "nothing was written: give a new operation id"
        )


class UnknownRun(UsageError):
    """No evidence run has this id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no evidence run {run_id!r}; runs are named like the folders below `reports`")


class BrokenRun(ConflictError):
    """The row of a run holds what no run could have written."""

    def __init__(self, run_id: str, reason: str) -> None:
        self.run_id, self.reason = run_id, reason
        super().__init__(
            f"evidence run {run_id!r} cannot be read: {reason}; its row was changed by other hands: "
            "`dualgauge journal --verify` says what else was",
            next_steps=(NextStep("dualgauge journal --verify", "see what the journal says of it"),),
        )


class RunConflict(ConflictError):
    """An evidence run cannot be started or finished a second time with another content."""

    def __init__(self, run_id: str, reason: str) -> None:
        self.run_id, self.reason = run_id, reason
        super().__init__(f"evidence run {run_id!r} {reason}; nothing was written: start a new run")


class UnknownRow(UsageError):
    """No row of the quarantine has this id, or one that begins like it."""

    def __init__(self, given: str, known: Sequence[str]) -> None:
        self.given, self.known = given, tuple(known)
        super().__init__(
            f"no row of the quarantine has the id {given!r}{nearest(given, known)}; nothing was changed: "
            "name one that the list shows",
            next_steps=(NextStep("dualgauge quarantine list --state all", "see every row and its id"),),
        )


class WhichRow(UsageError):
    """Several rows of the quarantine have ids that begin alike."""

    def __init__(self, given: str, found: Sequence[str]) -> None:
        self.given, self.found = given, tuple(found)
        super().__init__(
            f"{len(found)} rows of the quarantine have an id that begins with {given!r} ({listed(found, 4)}); "
            "nothing was changed: write more of the one you mean"
        )


class NotWaiting(ConflictError):
    """A row of the quarantine is taken or skipped already."""

    def __init__(self, short: str, state: str) -> None:
        self.short, self.state = short, state
        super().__init__(
            f"row {short} of the quarantine is {state}, and only one that waits can be retried or skipped; "
            "nothing was changed: leave it out of the call",
            next_steps=(NextStep("dualgauge quarantine list", "see the rows that wait"),),
        )


class SlotHeld(ConflictError):
    """A slot of a schedule is being run."""

    def __init__(self, schedule: str, running: Slot) -> None:
        self.schedule, self.running = schedule, running
        super().__init__(
            f"the slot {slot_text(running.due)} of schedule {schedule!r} is being run by {running.holder}; nothing was "
            "run: let it end",
            next_steps=(NextStep("dualgauge schedule list", "see what is being run"),),
        )


class NoSlot(ConflictError):
    """A slot cannot be claimed: it has ended, or another one ended it just now."""

    def __init__(self, schedule: str, due: datetime) -> None:
        self.schedule, self.due = schedule, due
        super().__init__(
            f"the slot {slot_text(due)} of schedule {schedule!r} is not to be had: it was run to its end meanwhile; "
            "nothing was run: ask again to see what came of it",
            next_steps=(NextStep("dualgauge schedule list", "see what came of it"),),
        )


class ClaimLost(ConflictError):
    """A slot's runner was away for longer than its lease, and somebody else has the slot."""

    def __init__(self, schedule: str, due: datetime) -> None:
        self.schedule, self.due = schedule, due
        super().__init__(
            f"the slot {slot_text(due)} of schedule {schedule!r} was taken by another runner, since this one was away "
            "for too long; it writes nothing more: what the other finds counts",
            next_steps=(NextStep("dualgauge schedule list", "see who has it"),),
        )


class UnknownSubject(UsageError):
    """Nothing of this name was ever told of."""

    def __init__(self, subject: str, known: Sequence[str]) -> None:
        self.subject, self.known = subject, tuple(known)
        there = "" if known else "; nothing was ever bad"
        super().__init__(
            f"there is no subject {subject!r}{nearest(subject, known)}{there}; nothing was acknowledged: name one that "
            "fires",
            next_steps=(NextStep("dualgauge notify list", "see what fires"),),
        )


class NotFiring(ConflictError):
    """Only what fires can be acknowledged."""

    def __init__(self, subject: str, state: str) -> None:
        self.subject, self.state = subject, state
        super().__init__(
            f"{subject!r} is {state} and does not fire: nothing is there to be acknowledged, and nothing was changed; "
            "leave it as it is",
            next_steps=(NextStep("dualgauge notify list", "see what fires"),),
        )


class TamperedQuarantine(ConflictError):
    """A row of the quarantine, or what its seals add up to, is not what dualgauge wrote."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(
            f"{problem}; nothing was changed: put back what was there, or, for a row, delete it and import its source "
            "again after `dualgauge log forget`",
            next_steps=(NextStep("dualgauge journal --verify", "see what was changed by hand"),),
        )


class LogCommitDiffers(ConflictError):
    """The ledger holds another commit of the log that ends at the same position."""

    def __init__(self, last: int, kept: str, given: str) -> None:
        self.last, self.kept, self.given = last, kept, given
        super().__init__(
            f"the log's commit that ends at position {last} has chain {given[:12]}, "
            f"and the ledger kept {kept[:12]} for it: "
            "the log or the ledger was changed, or they do not belong together; nothing was written: "
            "restore the one that was changed from a backup"
        )


class BadJournalText(UsageError):
    """A text of a journal entry has no UTF-8 form, or a number has no exact JSON form."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field} of the journal entry {reason}; nothing was written: give it in plain text")
