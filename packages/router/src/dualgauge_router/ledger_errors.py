"""What a ledger that is read may refuse. No sentence ever holds a password: URLs arrive here with it hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge_router.errors import ConflictError, DualgaugeError, UsageError
from dualgauge_router.model import NextStep

if TYPE_CHECKING:
    from dualgauge_router.state import MigrationState


class LedgerError(DualgaugeError):
    """The ledger's database failed. `url` is without its password, `reason` is the database's own first line."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        # A file is not reached but written: SQLite says "unable to open" and "full" of both its file and its folder.
        advice = (
            "see that you may write the file, those beside it (-wal, -shm) and its folder, and that the disk has room"
            if url.startswith("sqlite")
            else "see that it can be reached, and that user, password and database are right"
        )
        super().__init__(
            f"the ledger {url} cannot be used: {reason}; what was under way wrote nothing: {advice}, then run this "
            "again"
        )


class LedgerBusy(ConflictError):
    """Another process held the ledger's write lock for the whole waiting time."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url, self.seconds = url, seconds
        super().__init__(
            f"the ledger {url} is held by another process for more than {seconds:g} s; "
            "what was under way wrote nothing: end or wait for that process, then run this again"
        )


class LedgerSilent(DualgaugeError):
    """The ledger's database was asked, and has not answered yet."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url, self.seconds = url, seconds
        super().__init__(
            f"the ledger {url} has not answered for {seconds:g} s; what was known of it holds for a while, then every "
            "read goes to v1: see that its server runs and can be reached"
        )


class LedgerForked(ConflictError):
    """The parent process was at work in the ledger's SQLite file when this one was forked from it."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"the ledger {url} was in use when this process was forked, and SQLite cannot lock a file in a process "
            "that was forked meanwhile; nothing was read or written: start processes by spawn "
            '(`multiprocessing.get_context("spawn")`) or by a command of their own'
        )


UNREADABLE = "it cannot be read as one (write %40 for an @ in a password, %2F for a /, %3A for a :)"


class BadLedgerUrl(UsageError):
    """The URL does not name a database that can keep a ledger. The URL itself is not shown: it may hold a password."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the ledger's URL is not usable: {reason}; "
            "write one like sqlite:///.dualgauge/ledger.db or postgresql://host/database"
        )


class NoLedger(UsageError):
    """There is no ledger at the URL, and the caller did not ask for one to be made."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"there is no ledger at {url}; `dualgauge replay` makes it",
            next_steps=(NextStep("dualgauge replay", "make the ledger and build the views"),),
        )


class NotALedger(UsageError):
    """What stands at the URL is something else; it was left as it was."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"{url} is not a dualgauge ledger: {reason}; nothing was changed: "
            "give another `url` under [tool.dualgauge.ledger], or move that database away"
        )


class NewerLedger(UsageError):
    """The ledger was upgraded by a later dualgauge; it was left as it was."""

    _limit = ""

    def __init__(self, url: str, found: str, known: str) -> None:
        self.url, self.found, self.known = url, found, known
        super().__init__(
            f"the ledger {url} is at revision {found}, and this dualgauge knows revisions up to {known}{self._limit}; "
            "nothing was touched: upgrade dualgauge"
        )


class OlderLedger(ConflictError):
    """
    The ledger is at a revision from before `oldest`, the first that is read, or is to be written and is not at `known`.

    Looking upgrades nothing, so whoever looks is refused.
    """

    def __init__(self, url: str, found: str, oldest: str, known: str) -> None:
        self.url, self.found, self.oldest, self.known = url, found, oldest, known
        super().__init__(
            f"the ledger {url} is at revision {found}, and this dualgauge reads revisions from {oldest} on and writes "
            f"{known}; looking upgrades nothing: run `dualgauge migrate upgrade`, which upgrades the ledger too",
            next_steps=(NextStep("dualgauge migrate upgrade", f"upgrade the ledger to revision {known}"),),
        )


class ChangedCanary(DualgaugeError):
    """
    The configuration in force is not the one that was applied: other hands changed it.

    `state` is the migration without it: a kill, a rollback or another share is followed all the same.
    """

    def __init__(self, shown: str, state: MigrationState) -> None:
        self.state = state
        super().__init__(
            f"the configuration of {state.name!r} in the ledger {shown} is not the one that was applied, and is not "
            "followed; `dualgauge journal --verify` says more: roll back, and apply the file again"
        )
