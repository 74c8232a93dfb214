"""What a view says to be unique is held: a replay and a tail stop where it is not, and say where."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from dualgauge.replay.errors import NotUnique
from support.shop import call
from support.tailed import VIEWS, events, judged, laid_out, opened

if TYPE_CHECKING:
    from pathlib import Path

LAST = "-- key: type\n-- unique: seq\nSELECT type, arg_max(note, seq) AS a FROM events{} GROUP BY type\n"


def view(where: str = "") -> dict[str, tuple[str, str]]:
    return {"last": ("merge", LAST.format(where)), "counts": VIEWS["counts"]}


def seqs(*given: int | None) -> list[dict[str, Any]]:
    return [{"seq": seq, "note": f"n{at}"} for at, seq in enumerate(given, 1)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (seqs(1, 5, 9, 5), "the events at positions 2 and 4 have seq = 5; leave such events out in its WHERE, or"),
        (seqs(1, None, 9), "the event at position 2 has seq = NULL, and NULL tells no event from another; leave such"),
        (seqs(7, None, None, 7), "the events at positions 1 and 4 have seq = 7; leave"),
    ],
)
def test_a_replay_refuses_what_is_not_unique_and_readers_keep_the_build_before(
    tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    migration = laid_out(tmp_path, view())
    with migration.appender() as log:
        log.append(events(rows)[:1])
    migration.replay()
    with migration.appender() as log:
        log.append(events(rows)[1:])
    with pytest.raises(NotUnique) as caught:
        migration.replay(["last"])

    assert f"view v1.last: `-- unique: seq` does not hold: {said}" in str(caught.value)
    assert (caught.value.columns, caught.value.view) == (("seq",), "v1.last")
    assert judged(tmp_path) == {}


def test_events_that_a_view_leaves_out_need_not_be_unique(tmp_path: Path) -> None:
    rows = [*seqs(1, 5, 9, 5, None, None), {"type": "out", "seq": 9, "note": "x"}]
    with opened(tmp_path, rows, view(" WHERE seq <> 5 AND type = 'in'")) as project:
        project.replay(2)
        assert {one.error for one in project.tail(len(rows), size=2)} == {""}
        assert project.wrong(len(rows), ["last"]) == []
        project.replay(len(rows))


@pytest.mark.parametrize(
    ("rows", "at", "said"),
    [
        (
            seqs(1, 5, 3, 5),
            2,
            "arg_max(note, seq) does not tell the event at position 4 from the one at 2: both have 5",
        ),
        (seqs(1, 5, 8, 8), 2, "`-- unique: seq` does not hold: the events at positions 3 and 4 have seq = 8"),
        (seqs(1, 5, None, 9), 2, "`-- unique: seq` does not hold: the event at position 3 has seq = NULL"),
    ],
)
def test_a_tail_stops_the_view_at_a_tie_and_the_others_go_on(
    tmp_path: Path, rows: list[dict[str, Any]], at: int, said: str
) -> None:
    with opened(tmp_path, rows, view()) as project:
        project.replay(at)
        done = {one.view: one for one in project.tail(len(rows))}
        assert f"view v1.last: {said}" in done["last"].error
        assert (done["last"].position, done["counts"].position, done["counts"].error) == (at, len(rows), "")
        assert project.wrong(at, ["last"]) == []


def test_a_tie_that_decides_nothing_is_found_by_the_next_replay_alone(tmp_path: Path) -> None:
    """Of what was before its batch a tail knows the last event of a group: what ties with another changes no row."""
    rows = seqs(1, 5, 1)
    with opened(tmp_path, rows, view()) as project:
        project.replay(2)
        assert {one.error for one in project.tail(3)} == {""}
        assert project.wrong(3, ["last"]) == []
        with pytest.raises(NotUnique, match="the events at positions 1 and 3 have seq = 1"):
            project.replay(3)


def test_tail_says_on_the_command_line_where_a_tie_is(tmp_path: Path) -> None:
    migration, rows = laid_out(tmp_path, view()), events(seqs(1, 5, 5))
    with migration.appender() as log:
        log.append(rows[:2])
    migration.replay()
    with migration.appender() as log:
        log.append(rows[2:])
    done = call("tail", "--once", folder=tmp_path)

    assert done.exit_code == 1
    assert "does not tell the event at position 3 from the one at 2" in done.out + done.err
    plan = call("plan", folder=tmp_path).out
    assert "  unique: seq, as the view says; a replay and each batch of a tail look whether it is\n" in plan


TIED = {
    "greatest": (
        "merge",
        "-- key: type\n-- unique: seq\nSELECT type, arg_max(note, seq) AS a FROM events GROUP BY type\n",
    ),
    "least": (
        "merge",
        """-- key: type
-- unique: type, seq
SELECT type, min(seq) AS s, arg_min_null(note, seq) AS a FROM events GROUP BY type
""",
    ),
}


@pytest.mark.parametrize("turn", range(4))
def test_random_ties_stop_a_tail_or_decide_nothing(tmp_path: Path, turn: int) -> None:
    seed = random.randrange(10**6)
    print("turn", turn, "seed", seed)
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = [
        {"type": chance.choice("ab"), "seq": chance.randrange(40), "note": chance.choice((None, f"n{at}"))}
        for at in range(20)
    ]
    with opened(tmp_path, rows, TIED) as project:
        project.replay(1)
        at, going = 1, set(TIED)
        while at < len(rows) and going:
            at = min(len(rows), at + chance.randrange(1, 5))
            for one in project.tail(at):
                if one.error:
                    # Two positions of events that agree in what the view says to be unique.
                    first, other = (
                        rows[int(found) - 1] for found in re.findall(r"(?:positions?|at|and) (\d+)", one.error)[:2]
                    )
                    assert first["seq"] == other["seq"], (seed, one.error)
                    assert first is not other
                    assert one.view == "greatest" or first["type"] == other["type"], (seed, one.error)
                    going.discard(one.view)
            assert project.wrong(at, sorted(going)) == [], (seed, at)
