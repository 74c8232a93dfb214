"""
The ledger's copy of the log's digest chain: brought up to the log's, or found to tell another story.

A commit reaches the log before the ledger, so a process that dies between the two leaves the copy short, at its end or,
where others went on, in its middle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.eventlog.errors import DamagedLog, LogAndLedgerDisagree
from dualgauge.eventlog.table.chain import GENESIS, link
from dualgauge.eventlog.table.commits import read_commit, removed
from dualgauge.eventlog.table.storage import digest
from dualgauge.ledger.values import LogCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.eventlog.table.commits import Commit, Made
    from dualgauge.eventlog.table.storage import Place
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.model import Position


def links_of(made: Sequence[Made], chain: str, at: Position, step: int) -> list[LogCommit]:
    """The links that a compaction adds to a chain, behind `step` others at the position `at`."""
    links = []
    for number, one in enumerate(made, step + 1):
        chain = link(chain, one.first, one.last, one.digest)
        links.append(LogCommit(one.first, one.last, 0, one.digest, chain, at, number))
    return links


def whole(links: Sequence[LogCommit]) -> int:
    """How many links, from the first, follow from each other."""
    chain = GENESIS
    for number, one in enumerate(links):
        if link(chain, one.first, one.last, one.digest) != one.chain:
            return number
        chain = one.chain
    return len(links)


def bring_up(place: Place, ledger: Ledger, links: Sequence[LogCommit], version: int, last: Position) -> None:
    """
    Give the ledger the links that it lacks.

    Args:
        place: where the log is.
        ledger: the ledger.
        links: what it has.
        version: the log's newest version that counts.
        last: the log's last position at that version.

    Raises:
        LogAndLedgerDisagree: the ledger holds a link that the log does not.
        DamagedLog: a commit or a file that is needed is gone.
    """
    known = whole(links)
    missing = _behind(place, links[known - 1].chain, version) if known else None
    if missing is None:
        # What follows from each other in the ledger is not the log's: from the beginning, the first other one is found.
        known, missing = 0, _behind(place, GENESIS, version) or []
    chain = links[known - 1].chain if known else GENESIS
    have = {one.place: one for one in links}
    digests = {old.name: old.digest for one in missing for made in one.made for old in made.replaces}
    new: list[LogCommit] = []
    for commit in missing:
        for made in _links(place, commit, chain, have, digests):
            if made.chain != have.get(made.place, made).chain:
                raise LogAndLedgerDisagree(place.shown, made.last, "the digest chains differ")
            chain = made.chain
            new.append(made)
    there = {one.place for one in (*links[:known], *new)}
    for one in reversed(links):
        if one.place not in there:
            reason = f"the log ends at {last:,}" if one.place[0] > last else "the digest chains differ"
            raise LogAndLedgerDisagree(place.shown, one.place[0], reason)
    ledger.add_log_commits(new)


def _behind(place: Place, chain: str, version: int) -> list[Commit] | None:
    """The commits that move the chain on from `chain`, oldest first; None where no commit says that chain."""
    found: list[Commit] = []
    for number in range(version, -1, -1):
        try:
            commit = read_commit(place, number)
        except FileNotFoundError as fault:
            raise DamagedLog(place.shown, removed(place, number, version)) from fault
        except ValueError as fault:
            raise DamagedLog(place.shown, f"the commit of version {number} cannot be read ({fault})") from fault
        if commit.head is not None and commit.head.chain == chain:
            return found[::-1]
        if commit.appends or commit.made:
            found.append(commit)
    return found[::-1] if chain == GENESIS else None


def _links(
    place: Place, commit: Commit, chain: str, have: dict[tuple[int, int], LogCommit], digests: dict[str, str]
) -> list[LogCommit]:
    """What a commit adds to the chain; of an append, the digest is the file's as it is now."""
    assert commit.head is not None  # noqa: S101  (only such commits are asked)
    head = commit.head
    if commit.made:
        return links_of(commit.made, chain, head.last, head.step - len(commit.made))
    known = have.get((head.last, 0))
    if known is not None and link(chain, head.first, head.last, known.digest) == head.chain:
        return [known]
    (name,) = commit.added
    try:
        found = digests[name] if name in digests else digest(place, name)
    except FileNotFoundError as fault:
        raise DamagedLog(place.shown, f"{name} is not there") from fault
    if link(chain, head.first, head.last, found) != head.chain:
        reason = "the digest chains differ" if known else "the file's digest does not continue the chain"
        raise LogAndLedgerDisagree(place.shown, head.last, reason)
    return [LogCommit(head.first, head.last, head.rows, found, head.chain)]
