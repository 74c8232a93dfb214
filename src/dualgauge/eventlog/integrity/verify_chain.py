"""
Whether the chain's links follow from each other and from the files' bytes, and whether the ledger tells the same.

A link that does not fit is the fault of its file or of its commit. The ledger's digest tells which; without it the next
link does: it goes on from what the file leads to, or from what the commit says.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from dualgauge.eventlog.integrity.history import Fault
from dualgauge.eventlog.table.chain import link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualgauge.eventlog.integrity.history import Held, Walked
    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.ledger.values import LogCommit

Places = set[tuple[int, int]]


def judge(
    history: Walked, files: Sequence[EventFile], found: Mapping[str, str], kept: Sequence[LogCommit], odd: set[str]
) -> tuple[set[str], Places]:
    """
    Hold every link against the bytes that are there.

    Args:
        history: the log's, to which problems are added.
        files: those of the table that were hashed, or should have been.
        found: their digests, by name.
        kept: the ledger's links.
        odd: the names of files that a commit puts at other positions than the table.

    Returns:
        The names of files that are not what was written, and the places of links whose commit is at fault.
    """
    digests = {old.name: old.digest for _, old in history.replaced} | dict(found)
    known = {one.place: one.digest for one in kept}
    changed = _unlike(history, files, found, kept)
    broken: Places = set()
    mended: list[str] = []
    for number, held in enumerate(history.links):
        digest = held.digest or digests.get(held.name)
        starts, mended = [*held.previous, *mended], []
        if digest is None:
            continue
        ends = [link(one, held.first, held.last, digest) for one in starts]
        if held.chain in ends:
            continue
        following = history.links[number + 1] if number + 1 < len(history.links) else None
        if not held.sure:
            if known.get(held.place, digest) != digest:
                changed.add(held.name)
        elif held.digest or held.name in odd or known.get(held.place) == digest or _goes_on(following, ends, digests):
            what = f"the commit of version {held.version} does not continue the chain"
            history.fault(Fault.CHAIN_BROKEN, held.first, held.last, what, held.name)
            broken.add(held.place)
            mended = ends
        else:
            changed.add(held.name)
    for one in files:
        if one.name in changed:
            history.fault(Fault.FILE_CHANGED, one.first, one.last, f"{one.name} is not what was written", one.name)
    return changed, broken


def _unlike(
    history: Walked, files: Sequence[EventFile], found: Mapping[str, str], kept: Sequence[LogCommit]
) -> set[str]:
    """The files whose digest is written down, and is another one: what compactions made, and what the ledger knows."""
    told = {held.name: {held.digest} for held in history.links if held.digest}
    linked = {held.name for held in history.links}
    for one in files:
        if one.name not in linked:
            # Its commit is gone.
            told[one.name] = {row.digest for row in kept if (row.first, row.last) == (one.first, one.last)}
    return {name for name, digests in told.items() if digests and found.get(name, *digests) not in digests}


def _goes_on(following: Held | None, ends: Sequence[str], digests: Mapping[str, str]) -> bool:
    """Whether the next link goes on from one of these chains."""
    digest = following and (following.digest or digests.get(following.name))
    return bool(
        following
        and digest
        and any(link(one, following.first, following.last, digest) == following.chain for one in ends)
    )


def compare(history: Walked, kept: Sequence[LogCommit], broken: Places) -> None:
    """
    Note the first place at which the ledger tells another story than the log.

    What the ledger lacks is no fault: the next writer adds it.
    """
    links = {held.place: held for held in history.links}
    # A link behind a commit at fault goes on from a chain that is not written down.
    astray = {held.place for before, held in pairwise(history.links) if before.place in broken}
    for one in kept:
        held = links.get(one.place)
        if one.place[0] > history.last:
            last = kept[-1].place[0]
            what = f"the ledger has commits up to position {last:,}, and the log ends at {history.last:,}"
            history.fault(Fault.LEDGER, history.last + 1, last, what)
            return
        if (held is None and history.lost) or one.place in broken:
            continue
        what = "" if held else "the ledger has a commit that the log does not have"
        if held and held.chain != one.chain:
            what = "the ledger's chain is another one"
        elif held and (
            (held.first, held.last, held.rows) != (one.first, one.last, one.rows)
            or (held.sure and one.place not in astray and one.chain not in held.continued(one.digest))
        ):
            what = "the ledger's row says other positions, events or another digest"
        if what:
            history.fault(Fault.LEDGER, one.first, one.last, what)
            return


def unproven(history: Walked, kept: Sequence[LogCommit], present: set[str]) -> list[Held]:
    """Compactions that the ledger does not know, of which what they replaced is gone: nobody can look any more."""
    known = {one.place for one in kept}
    return [
        held
        for held in history.links
        if held.digest and held.place not in known and not all(old.name in present for old in held.replaces)
    ]
