"""
The log's history, commit by commit: which files hold which positions, and the links of the digest chain in their order.

Nothing but commits is read here. Whether files and links agree is for the caller to see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dualgauge.eventlog.table.chain import GENESIS, link
from dualgauge.eventlog.table.commits import read_commit
from dualgauge.model import START, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualgauge.eventlog.table.commits import Commit, Head, Made, Replaced
    from dualgauge.eventlog.table.storage import Place
    from dualgauge.ledger.values import LogCommit


class Fault(StrEnum):
    """What can be wrong with a log."""

    FILE_CHANGED = "file changed"
    FILE_MISSING = "file missing"
    COMMIT_REMOVED = "commit removed"
    COMMIT_CHANGED = "commit changed"
    FOREIGN_COMMIT = "foreign commit"
    CHAIN_BROKEN = "chain broken"
    GAP = "gap"
    REPEATED_ID = "repeated id"
    CLEAN_UP = "clean-up setting off"
    LEDGER = "ledger and log disagree"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: at positions `first` to `last` (0: at none), in `file` where one is at fault."""

    fault: Fault
    first: Position
    last: Position
    what: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """
    A file that a commit put in, and its link of the chain.

    `previous` are the chains that the link may continue: one, or, behind a commit that is gone, guesses: not `sure`.
    `digest` and `replaces` are what a compaction said of the file; None and empty for an appended one.
    """

    name: str
    first: Position
    last: Position
    rows: int
    place: tuple[int, int]
    previous: tuple[str, ...]
    chain: str
    version: int
    sure: bool = True
    digest: str | None = None
    replaces: tuple[Replaced, ...] = ()

    def continued(self, digest: str) -> list[str]:
        """The chains that bytes of a digest would lead to."""
        return [link(one, self.first, self.last, digest) for one in self.previous]

    def proves(self, digest: str) -> bool | None:
        """Whether bytes of this digest are the file's; None where nobody can tell."""
        if self.digest is not None:
            return digest == self.digest
        return self.chain in self.continued(digest) or (False if self.sure else None)


@dataclass
class Walked:
    """What a walk found: every link in its order, and the files that count now, by name."""

    links: list[Held] = field(default_factory=list)
    files: dict[str, Held] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    replaced: list[tuple[int, Replaced]] = field(default_factory=list)
    """What compactions took out, each with the time of that in milliseconds since 1970."""

    last: Position = START
    step: int = 0
    chains: tuple[str, ...] = (GENESIS,)
    """The chains that the next commit may continue."""

    sure: bool = True
    """Whether it must continue one of them: the commit before it is there."""

    lost: bool = False
    """Whether a commit is gone or cannot be read."""

    def fault(self, fault: Fault, first: int, last: int, what: str, file: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(fault, Position(first), Position(last), what, file))


def walk(
    place: Place,
    version: int,
    kept: Sequence[LogCommit] = (),
    *,
    end: Position = START,
    step: Callable[[int], None] = lambda _: None,
) -> Walked:
    """
    Follow the commits from the first to a version.

    Args:
        place: where the log is.
        version: the last version that counts.
        kept: the ledger's links: they join the chain again behind a commit that was removed.
        end: the last position by the table's files, where the last commit is gone.
        step: told each version.
    """
    history = Walked()
    gone: list[int] = []
    unread: list[tuple[int, str]] = []
    for number in range(version + 1):
        step(number)
        try:
            commit = read_commit(place, number)
        except FileNotFoundError:
            gone.append(number)
            continue
        except ValueError as fault:
            unread.append((number, str(fault)))
            continue
        if commit.head is None:
            if number:
                history.fault(
                    Fault.FOREIGN_COMMIT, 0, 0,
                    f"version {number} is not dualgauge's ({commit.operation or 'it does not say what it did'})",
                )  # fmt: skip
            continue
        if gone or unread:
            _lost(history, gone, unread, Position(commit.head.first - 1), kept)
        if commit.made:
            _compacted(history, commit, commit.head)
        elif commit.appends:
            _appended(history, commit, commit.head)
        else:
            _noted(history, commit, commit.head)
    if gone or unread:
        _lost(history, gone, unread, max(end, history.last), kept)
    return history


def _lost(
    history: Walked, gone: list[int], unread: list[tuple[int, str]], upto: Position, kept: Sequence[LogCommit]
) -> None:
    """Say what commits held that are gone or cannot be read, and which chain goes on behind them."""
    first, last = (history.last + 1, upto) if upto > history.last else (START, START)
    for number, reason in unread:
        history.fault(Fault.COMMIT_CHANGED, first, last, f"the commit of version {number} cannot be read ({reason})")
    if gone:
        several = f"the commits of versions {gone[0]} to {gone[-1]} are gone"
        history.fault(
            Fault.COMMIT_REMOVED, first, last,
            several if len(gone) > 1 else f"the commit of version {gone[0]} is gone",
        )  # fmt: skip
    guesses = [one.chain for one in kept if one.place[0] == upto]
    # Commits that appended nothing may have been compactions: the chain may be another one all the same.
    history.chains, history.sure = (*(history.chains if upto == history.last else ()), *guesses), False
    history.last, history.lost = max(history.last, upto), True
    gone.clear()
    unread.clear()


def _noted(history: Walked, commit: Commit, head: Head) -> None:
    """A commit that adds no file: a cursor, a column."""
    if (history.sure and head.chain not in history.chains) or head.last != history.last:
        history.fault(
            Fault.CHAIN_BROKEN, 0, 0,
            f"the commit of version {commit.version} adds nothing, and says another chain or position than before it",
        )  # fmt: skip
    elif not history.sure:
        history.chains, history.sure, history.step = (head.chain,), True, head.step


def _appended(history: Walked, commit: Commit, head: Head) -> None:
    name, version = commit.added[0], commit.version
    if head.first != history.last + 1:
        first, last = min(head.first, history.last + 1), max(head.first - 1, min(head.last, history.last))
        what = f"version {version} goes on at {head.first:,}, and the one before ended at {history.last:,}"
        history.fault(Fault.GAP, first, last, what, name)
    elif head.rows != head.last - head.first + 1 or len(commit.added) != 1 or commit.removed:
        what = f"version {version} does not put in one file with the {head.rows:,} events that it says"
        history.fault(Fault.GAP, head.first, max(head.first, head.last), what, name)
    held = Held(
        name, head.first, head.last, head.rows, (head.last, 0), history.chains, head.chain, version, history.sure
    )  # fmt: skip
    history.files[name] = held
    history.links.append(held)
    history.last, history.step, history.chains, history.sure = head.last, 0, (head.chain,), True


def _compacted(history: Walked, commit: Commit, head: Head) -> None:
    version, made = commit.version, sorted(commit.made, key=lambda one: one.first)
    names = sorted(commit.added)
    took = sorted(old.name for one in made for old in one.replaces)
    first, last = made[0].first, made[-1].last
    if len(names) != len(made) or took != sorted(commit.removed) or head.last != history.last:
        what = f"the compaction of version {version} does not put in and take out the files that it says"
        history.fault(Fault.CHAIN_BROKEN, first, last, what)
    step = head.step - len(made)
    if history.sure and step != history.step:
        history.fault(
            Fault.CHAIN_BROKEN, first, last, f"the compaction of version {version} does not go on from the one before"
        )
    for name, one in zip(names, made, strict=False):
        _took_out(history, commit, one)
        step += 1
        chains = tuple(link(chain, one.first, one.last, one.digest) for chain in history.chains)
        # Only the last link of a commit is written down.
        chain = head.chain if step == head.step or not chains else chains[0]
        held = Held(
            name, one.first, one.last, 0, (head.last, step), history.chains, chain, version, history.sure, one.digest,
            one.replaces,
        )  # fmt: skip
        history.files[name] = held
        history.links.append(held)
        history.chains = chains
    history.step, history.chains, history.sure = head.step, (head.chain,), True


def _took_out(history: Walked, commit: Commit, made: Made) -> None:
    """See that a compaction put a file in the place of exactly those that were there, as they were."""
    following, version, whole = made.first, commit.version, True
    for old in made.replaces:
        was = history.files.pop(old.name, None)
        history.replaced.append((commit.at, old))
        if was is None and not history.lost:
            what = f"the compaction of version {version} replaces {old.name}, which was not there"
            history.fault(Fault.CHAIN_BROKEN, old.first, old.last, what, old.name)
        elif was and ((was.first, was.last) != (old.first, old.last) or was.proves(old.digest) is False):
            what = f"the compaction of version {version} took other bytes for {old.name} than were committed"
            history.fault(Fault.CHAIN_BROKEN, old.first, old.last, what, old.name)
        whole = whole and old.first == following
        following = Position(old.last + 1)
    if not whole or following != made.last + 1:
        what = f"the compaction of version {version} does not replace what it holds, position by position"
        history.fault(Fault.GAP, made.first, made.last, what)
