"""
The log's history, commit by commit: which files hold which positions, and whether the digest chain joins them.

Nothing but commits is read here. That a file's bytes are those of its digest is for the caller to see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dualgauge.eventlog.chain import GENESIS, link
from dualgauge.eventlog.commits import read_commit
from dualgauge.model import START, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualgauge.eventlog.commits import Commit, Made
    from dualgauge.eventlog.place import Place
    from dualgauge.ledger.values import LogCommit


class Fault(StrEnum):
    """What can be wrong with a log."""

    FILE_CHANGED = "file changed"
    FILE_MISSING = "file missing"
    COMMIT_REMOVED = "commit removed"
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
    A file of the log by its history: positions `first` to `last`, and what proves its bytes.

    `digest` is what a compaction said of it, None for an appended file. Its bytes are right where their digest is that
    one, or where it leads from `previous` to `chain`; `previous` is None where that cannot be told any more.
    """

    name: str
    first: Position
    last: Position
    previous: str | None
    chain: str
    version: int
    digest: str | None = None

    def proves(self, digest: str) -> bool | None:
        """Whether bytes of this digest are the file's; None where nobody can tell."""
        if self.digest is not None:
            return digest == self.digest
        return None if self.previous is None else link(self.previous, self.first, self.last, digest) == self.chain


@dataclass
class Walked:
    """What a walk found: the files that count now, by name, and the chain's links by their place."""

    files: dict[str, Held] = field(default_factory=dict)
    chains: dict[tuple[int, int], str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    replaced: list[tuple[int, str]] = field(default_factory=list)
    """Files that compactions took out, each with the time of its compaction in milliseconds since 1970."""

    last: Position = START
    chain: str | None = GENESIS

    def fault(self, fault: Fault, first: int, last: int, what: str, file: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(fault, Position(first), Position(last), what, file))


def walk(
    place: Place, version: int, kept: Sequence[LogCommit] = (), step: Callable[[int], None] = lambda _: None
) -> Walked:
    """
    Follow the commits from the first to a version.

    Args:
        place: where the log is.
        version: the last version that counts.
        kept: the ledger's links: they join the chain again behind a commit that was removed.
        step: told each version.
    """
    history = Walked()
    joins = {(one.place[0], one.step): one for one in kept}
    for number in range(version + 1):
        step(number)
        try:
            commit = read_commit(place, number)
        except FileNotFoundError:
            history.fault(
                Fault.COMMIT_REMOVED, history.last + 1, history.last + 1, f"the commit of version {number} is gone"
            )
            history.chain = None
            continue
        except ValueError as fault:
            history.fault(
                Fault.CHAIN_BROKEN, history.last + 1, history.last + 1, f"version {number} is no commit ({fault})"
            )
            history.chain = None
            continue
        if commit.head is None:
            if number:
                history.fault(
                    Fault.FOREIGN_COMMIT, history.last + 1, history.last, f"version {number} is not dualgauge's"
                )
        elif commit.made:
            _compacted(history, commit)
        elif commit.appends:
            _appended(history, commit, joins)
        elif history.chain is None:
            history.chain = commit.head.chain
        elif commit.head.chain != history.chain or commit.head.last != history.last:
            history.fault(
                Fault.CHAIN_BROKEN, history.last + 1, history.last,
                f"the commit of version {number} adds nothing and says another chain",
            )  # fmt: skip
    return history


def _appended(history: Walked, commit: Commit, joins: dict[tuple[int, int], LogCommit]) -> None:
    head = commit.head
    assert head is not None  # noqa: S101  (the caller looked)
    name = commit.added[0]
    if history.chain is None:
        # A commit before this one is gone: what it held is what lies between.
        if history.problems and history.problems[-1].fault is Fault.COMMIT_REMOVED and head.first > history.last + 1:
            gone = history.problems.pop()
            history.fault(gone.fault, history.last + 1, head.first - 1, gone.what)
        before = [one for place, one in joins.items() if place < (head.last, 0)]
        history.chain = max(before, key=lambda one: one.place).chain if before else None
    elif head.first != history.last + 1 or head.rows != head.last - head.first + 1 or len(commit.added) != 1:
        history.fault(
            Fault.GAP, history.last + 1, head.first,
            f"version {commit.version} goes on at {head.first:,}, and the one before ended at {history.last:,}", name,
        )  # fmt: skip
    history.files[name] = Held(name, head.first, head.last, history.chain, head.chain, commit.version)
    history.last, history.chain = head.last, head.chain
    history.chains[head.last, 0] = head.chain


def _compacted(history: Walked, commit: Commit) -> None:
    head = commit.head
    assert head is not None  # noqa: S101  (the caller looked)
    named = dict(zip(sorted(commit.added), sorted(commit.made, key=lambda one: one.first), strict=False))
    step = head.step - len(commit.made)
    for name, made in named.items():
        _took_out(history, commit, made)
        step += 1
        history.chain = None if history.chain is None else link(history.chain, made.first, made.last, made.digest)
        history.files[name] = Held(
            name, made.first, made.last, None, history.chain or "", commit.version, digest=made.digest
        )
        history.chains[head.last, step] = history.chain or ""
    if history.chain is not None and history.chain != head.chain:
        history.fault(
            Fault.CHAIN_BROKEN, commit.made[0].first, commit.made[-1].last,
            f"the compaction of version {commit.version} does not continue the chain",
        )  # fmt: skip
    history.chain = head.chain
    history.chains[head.last, head.step] = head.chain


def _took_out(history: Walked, commit: Commit, made: Made) -> None:
    """See that a compaction put a file in the place of exactly those that were there, as they were."""
    following = made.first
    for old in made.replaces:
        was = history.files.pop(old.name, None)
        history.replaced.append((commit.at, old.name))
        if was is None:
            history.fault(
                Fault.CHAIN_BROKEN, old.first, old.last,
                f"the compaction of version {commit.version} replaces {old.name}, which was not there", old.name,
            )  # fmt: skip
        elif (was.first, was.last) != (old.first, old.last) or was.proves(old.digest) is False:
            history.fault(
                Fault.CHAIN_BROKEN, old.first, old.last,
                f"the compaction of version {commit.version} took other bytes for {old.name} than were committed",
                old.name,
            )  # fmt: skip
        if old.first != following:
            history.fault(Fault.GAP, following, old.first, f"the compaction of version {commit.version} leaves a gap")
        following = Position(old.last + 1)
    if following != made.last + 1:
        history.fault(Fault.GAP, following, made.last, f"the compaction of version {commit.version} leaves a gap")
